"""Sequence tasks: answers against other routes, rows that line up, splits that never meet."""

from fractions import Fraction
from functools import cache
from itertools import permutations, product

import numpy as np
import pytest
from rapidfuzz.distance import LCSseq, Levenshtein

from experiments.tasks import redraw
from experiments.tasks.countdown import Countdown, first_solution
from experiments.tasks.edit_distance import (
    EditDistance,
    cost,
    costs,
    edited_strings,
    random_moves,
)
from experiments.tasks.lcs import LongestCommonSubsequence, length, lengths_of
from experiments.tasks.strings import Pairs, draw_alphabets, in_test_split, random_strings

WEIGHTS = (2, 2, 3)  # insert, delete, replace
TINY = (  # so few rows that two free samplers must meet
    EditDistance(size=4, letters=3),
    LongestCommonSubsequence(size=5, letters=3),
    Countdown(numbers=2, max_number=12, min_target=2, max_target=21),
)
SMALL = (
    EditDistance(size=12),
    EditDistance(size=12, border=2),
    EditDistance(size=9, letters=5),
    LongestCommonSubsequence(size=15),
    Countdown(),
    Countdown(numbers=3, max_number=20, max_target=40),
)
STRINGS = [task for task in SMALL if task.causal]


@cache
def recursive_cost(first, second, border):
    """The definition, from the ends of the strings: what it costs to turn one into the other."""
    if not first or not second:
        return border * (len(first) + len(second))
    return min(
        recursive_cost(first[:-1], second, border) + 2,
        recursive_cost(first, second[:-1], border) + 2,
        recursive_cost(first[:-1], second[:-1], border) + 3 * (first[-1] != second[-1]),
    )


@cache
def reachable(numbers):
    """Every value of every expression that uses all numbers once; no negative, no fraction."""
    if len(numbers) == 1:
        return frozenset(numbers)
    found = set()
    for order in set(permutations(numbers)):
        for cut in range(1, len(order)):
            left, right = (reachable(tuple(sorted(part))) for part in (order[:cut], order[cut:]))
            for a, b in product(left, right):
                found |= {a + b, a * b, abs(a - b)}
                if b and Fraction(a, b).denominator == 1:
                    found.add(a // b)
    return frozenset(found)


def padded(strings, fill=99):
    """Strings as an array (B, n) of letter numbers, waste behind each end, and their lengths."""
    lengths = np.array([len(s) for s in strings])
    array = np.full((len(strings), max(1, lengths.max(initial=0))), fill)
    for row, s in enumerate(strings):
        array[row, : len(s)] = [ord(c) - 96 for c in s]
    return array, lengths


def random_words(rng, count, longest, letters="abcd"):
    return ["".join(rng.choice(list(letters), rng.integers(0, longest + 1))) for _ in range(count)]


def words_of(task, inputs):
    """The two strings and the answer, read back from rows of token ids."""
    for ids in inputs:
        before, after = task.text(ids).replace(" ", "").split("<sep>")
        yield *before.split("|"), after.replace("<pad>", "")


def unordered(task, batch):
    """Rows as a set of what two splits must not share."""
    if isinstance(task, Countdown):
        return {(*sorted(row[:-1]), row[-1]) for row in batch.inputs[:, :3].tolist()}
    return {tuple(sorted((a, b))) for a, b, _ in words_of(task, batch.inputs)}


# Edit distance


def test_the_border_costs_one_in_the_published_rule():
    assert cost("xa", "a", border=1) == 1
    assert cost("ax", "a", border=1) == 2
    assert cost("xa", "a") == 1
    assert cost("xa", "a", border=2) == 2


def test_the_published_rule_is_the_definition_on_every_short_pair():
    words = ["".join(w) for n in range(4) for w in product("ab", repeat=n)]
    words += random_words(np.random.default_rng(0), 15, 8)
    for border in (1, 2):
        for a, b in product(words, repeat=2):
            assert cost(a, b, border=border) == recursive_cost(a, b, border)


def test_the_true_rule_is_the_weighted_distance_of_rapidfuzz():
    rng = np.random.default_rng(1)
    words = random_words(rng, 40, 30)
    differ = 0
    for a, b in product(words, repeat=2):
        truth = Levenshtein.distance(a, b, weights=WEIGHTS)
        assert cost(a, b, border=2) == truth
        differ += cost(a, b, border=1) != truth
    assert differ > 100  # else the comparison could not tell the two rules apart


@pytest.mark.parametrize("border", [1, 2])
def test_costs_are_those_of_each_pair_alone(border):
    rng = np.random.default_rng(2)
    first, second = (random_words(rng, 2500, 12) for _ in range(2))  # more than one block
    (a, n), (b, m) = padded(first, fill=1), padded(second, fill=1)  # the waste is a letter too
    found = costs(a, b, n, m, border=border)
    assert found.tolist() == [cost(x, y, border=border) for x, y in zip(first, second, strict=True)]


@pytest.mark.parametrize("size", [63, 70, 130])
def test_long_strings_do_not_overflow(size):
    same, other = np.zeros((2, 1, size), np.int64)
    other += 1024  # a character that is no byte, and 0 cut down to one
    wide = np.zeros((1, 300), np.int64)
    for border in (1, 2):
        assert costs(same, other, [size], [size], border=border) == [3 * size]
        assert costs(same, same, [size], [0], border=border) == [border * size]
    assert lengths_of(same, same, [size], [size]) == [size]
    assert lengths_of(wide, wide, [300], [300]) == [300]


@pytest.mark.parametrize("border", [0, 3, None])
def test_other_borders_are_refused(border):
    for call in (
        lambda: cost("a", "b", border=border),
        lambda: costs(*([np.ones((1, 1))] * 2), [1], [1], border=border),
        lambda: EditDistance(border=border),
    ):
        with pytest.raises(ValueError, match=f"`border` must be 1 .* or 2 .*, got {border}"):
            call()


def test_strings_that_do_not_fit_are_refused():
    a = np.ones((2, 3), np.uint8)
    with pytest.raises(ValueError, match=r"first strings must be an array \(2, n\)"):
        costs(a, a, [1], [1, 1])
    with pytest.raises(ValueError, match=r"second strings must be 0\.\.\.3, got 1\.\.\.4"):
        lengths_of(a, a, [1, 1], [1, 4])


def test_about_two_thirds_of_published_rows_differ_from_the_true_distance():
    batch = EditDistance().sample("train", 0, 1000)
    pairs = list(words_of(EditDistance(), batch.inputs))
    truth = [Levenshtein.distance(a, b, weights=WEIGHTS) for a, b, _ in pairs]
    differ = np.mean([int(c[:-5]) != d for (_, _, c), d in zip(pairs, truth, strict=True)])
    assert 0.60 < differ < 0.70


def plain_pair(rng, size, letters):
    """One pair drawn step by step, as the published procedure is described."""
    steps = rng.integers(1, size + 1)
    while True:
        alphabet = rng.permutation(letters)[: rng.integers(3, letters + 1)]
        first = rng.choice(alphabet, size).tolist()
        second = rng.choice(alphabet, rng.integers(size - 3, size + 3)).tolist()
        if rng.random() >= 0.4:
            second = first[:]
            for _ in range(steps):
                kind, letter = rng.integers(3), int(rng.choice(alphabet))
                if kind == 0 and len(second) > 2:
                    del second[rng.integers(len(second))]
                elif kind == 1:
                    second[rng.integers(len(second))] = letter
                else:
                    second.insert(rng.integers(len(second) + 1), letter)
        if first != second and size - 3 <= len(second) < size + 3:
            return sorted([first, second], key=len)


def features(first, second):
    """What is compared between two ways of drawing pairs."""
    found = cost(first, second)
    return (
        found < 7,
        found > 14,
        found != Levenshtein.distance(first, second, weights=WEIGHTS),
        len(first) < 10,
        len(second) == 12,
        len(set(second)) == 3,
        first[0] == second[0],
    )


def test_rows_are_distributed_as_by_the_plain_procedure():
    task, rng = EditDistance(size=10, letters=6), np.random.default_rng(0)
    plain = [features(*plain_pair(rng, 10, 6)) for _ in range(2000)]
    rows = words_of(task, task.sample("train", 0, 4000).inputs)
    ours = [features(a, b) for a, b, _ in rows]
    spread = np.sqrt(0.25 * (1 / 2000 + 1 / 4000))
    assert (np.abs(np.mean(plain, 0) - np.mean(ours, 0)) < 4 * spread).all()


# The longest common subsequence


def test_lengths_are_those_of_rapidfuzz_and_of_each_pair_alone():
    rng = np.random.default_rng(3)
    first, second = (random_words(rng, 600, 25) for _ in range(2))
    (a, n), (b, m) = padded(first, fill=1), padded(second, fill=1)
    truth = [LCSseq.similarity(x, y) for x, y in zip(first, second, strict=True)]
    assert lengths_of(a, b, n, m).tolist() == truth
    assert [length(x, y) for x, y in zip(first, second, strict=True)] == truth


# Rows


@pytest.mark.parametrize("task", SMALL, ids=str)
def test_the_oracle_and_the_generator_agree(task):
    for split in ("train", "test"):
        batch = task.sample(split, (3, 4), 150)
        np.testing.assert_array_equal(task.oracle(batch.inputs), batch.targets)
        assert task.score(batch.targets, batch).all()


def test_the_oracle_rejects_the_other_rule():
    batch = EditDistance(size=12).sample("train", 0, 100)
    wrong = EditDistance(size=12, border=2).oracle(batch.inputs)
    assert 0.2 < EditDistance(size=12).score(wrong, batch).mean() < 0.8


@pytest.mark.parametrize("task", STRINGS, ids=str)
def test_what_counts_is_the_next_token_after_the_separator_and_after_the_answer(task):
    batch = task.sample("train", 5, 50)
    assert batch.inputs.shape == batch.targets.shape == (50, task.length)
    assert batch.inputs.dtype == batch.targets.dtype == np.int64
    for ids, targets, mask in zip(batch.inputs, batch.targets, batch.mask, strict=True):
        answer, end = np.flatnonzero(mask)
        words = [task.vocabulary[k] for k in ids]
        assert words[answer] == "<sep>"
        assert words[end] == task.vocabulary[targets[answer]]
        assert ids[answer + 1] == targets[answer]
        assert words[end + 1] == "<eos>" == task.vocabulary[targets[end]]
        assert set(words[end + 2 :]) <= {"<pad>"}
        assert not targets[~mask].any()


def test_one_wrong_token_that_counts_is_a_wrong_row():
    task = EditDistance(size=8)
    batch = task.sample("train", 0, 20)
    for place in (0, 1):
        wrong = batch.targets.copy()
        for row in range(20):
            wrong[row, np.flatnonzero(batch.mask[row])[place]] += 1
        assert not task.score(wrong, batch).any()
    elsewhere = np.where(batch.mask, batch.targets, 7)
    assert task.score(elsewhere, batch).all()


def test_published_sizes_and_vocabularies():
    edit, lcs = EditDistance(), LongestCommonSubsequence()
    assert (len(edit.vocabulary), edit.length) == (211, 126)
    assert (len(lcs.vocabulary), lcs.length) == (204, 204)
    assert len(set(edit.vocabulary)) == 211
    outside = 898_515 - 513 * 211  # parameters of the published model without its vocabulary
    assert outside == 894_924 - 513 * 204
    assert Countdown().length == 20


def test_edit_distance_rows_have_the_published_lengths_and_alphabets():
    task = EditDistance(size=20, letters=7)
    rows = list(words_of(task, task.sample("train", 1, 3000).inputs))
    shorter, longer = ([len(row[k]) for row in rows] for k in (0, 1))
    assert all(n == 20 or m == 20 for n, m in zip(shorter, longer, strict=True))
    assert set(shorter) == {17, 18, 19, 20}
    assert set(longer) == {20, 21, 22}
    assert all(a != b for a, b, _ in rows)
    assert set("".join(a + b for a, b, _ in rows)) == set("abcdefg")
    used = [len(set(a + b)) for a, b, _ in rows]
    assert (min(used), max(used)) == (3, 7)


def test_edits_are_those_of_one_letter_at_a_time():
    rng = np.random.default_rng(0)
    alphabets = draw_alphabets(rng, 400, 26)
    strings = random_strings(rng, alphabets, 10)
    edits = np.sort(rng.integers(0, 4, 400))[::-1].copy()
    moves, lengths = random_moves(rng, 10, edits)
    found = edited_strings(rng, strings, edits, moves, alphabets)
    assert ((found > 0).sum(1) == lengths).all()
    assert (np.abs(moves).sum(0) <= edits).all()
    for before, after, n, steps, move in zip(strings, found, lengths, edits, moves.T, strict=True):
        assert not after[n:].any()
        assert n == 10 + move.sum()
        weights = (1, 1, 1)
        assert Levenshtein.distance(list(before), list(after[:n]), weights=weights) <= steps
        assert not steps or set(after[:n]) <= set(before) | set(range(1, 27))
        if steps == 1 and move[0] == -1:
            assert any((np.delete(before, k) == after[:9]).all() for k in range(10))
        if steps == 1 and move[0] == 1:
            assert any((np.delete(after[:11], k) == before).all() for k in range(11))


def test_edits_reach_every_place_alike_and_every_kind():
    rng = np.random.default_rng(1)
    count = 6000
    order = np.tile(np.arange(1, 27, dtype=np.uint8), (count, 1))
    strings = order[:, :10].copy()
    edits = np.ones(count, np.int64)
    moves, _ = random_moves(rng, 10, edits)
    found = edited_strings(rng, strings, edits, moves, (order + 26, np.full(count, 26)))
    kinds = np.bincount(moves[0] + 1)
    assert (np.abs(kinds - 2000) < 5 * np.sqrt(2000 * 2 / 3)).all()
    place = (found[:, :11] != np.pad(strings, ((0, 0), (0, 1)))).argmax(1)
    for move, places in ((-1, 10), (0, 10), (1, 11)):
        hits = np.bincount(place[moves[0] == move])
        assert len(hits) == places
        assert (np.abs(hits - 2000 / places) < 5 * np.sqrt(2000 / places)).all()


def test_a_string_of_two_letters_is_not_shortened():
    moves, lengths = random_moves(np.random.default_rng(0), 3, np.full(500, 3))
    assert lengths.min() == 2
    paths = 3 + moves.cumsum(0)
    assert paths.min() == 2
    assert (moves[1][paths[0] == 2] >= 0).all()
    assert (moves[1][paths[0] > 2] < 0).any()


# Splits


@pytest.mark.parametrize("task", SMALL, ids=str)
def test_the_same_arguments_give_the_same_rows_and_others_do_not(task):
    one, again = (task.sample("train", (1, 2), 40) for _ in range(2))
    np.testing.assert_array_equal(one.inputs, again.inputs)
    np.testing.assert_array_equal(one.targets, again.targets)
    others = [task.sample("train", (1, 3), 40), task.sample("test", (1, 2), 40)]
    for other in others:
        assert (one.inputs != other.inputs).any(1).mean() > 0.9


@pytest.mark.parametrize("task", TINY, ids=str)
def test_train_and_test_never_meet(task):
    train, test = (unordered(task, task.sample(split, 0, 4000)) for split in ("train", "test"))
    assert len(train) > 20
    assert test
    assert not train & test


@pytest.mark.parametrize("task", TINY, ids=str)
def test_without_the_rule_they_would_meet(task, monkeypatch):
    if isinstance(task, Countdown):
        monkeypatch.setattr(Countdown, "targets", lambda self, split: np.arange(2, 22))
    else:
        free = {"train": 0, "test": 1}
        monkeypatch.setattr(
            "experiments.tasks.strings.in_test_split",
            lambda pairs: np.full(len(pairs.first), bool(free[split])),
        )
    found = []
    for split in ("train", "test"):
        found.append(unordered(task, task.sample(split, 0, 4000)))
    assert found[0] & found[1]


def test_the_split_of_a_pair_knows_neither_order_nor_padding():
    rng = np.random.default_rng(0)
    a, b = rng.integers(1, 27, (2, 20_000, 6)).astype(np.uint8)
    n = np.full(20_000, 6)
    test = in_test_split(Pairs(a, b, n, n))
    np.testing.assert_array_equal(test, in_test_split(Pairs(b, a, n, n)))
    wide = np.pad(a, ((0, 0), (0, 5)))
    np.testing.assert_array_equal(test, in_test_split(Pairs(wide, b, n, n)))
    assert abs(test.mean() - 1 / 16) < 5 * np.sqrt(15 / 16 / 16 / 20_000)
    rolled = in_test_split(Pairs(a[:, ::-1], b, n, n))
    assert 0.05 < (rolled != test).mean() < 0.2  # another string, another split: 2 * 15 / 256


def test_the_split_of_a_pair_is_fixed_for_ever():
    letters = np.arange(1, 121, dtype=np.uint8).reshape(40, 3) % 26 + 1
    n = np.full(40, 3)
    found = np.flatnonzero(in_test_split(Pairs(letters, letters[::-1], n, n)))
    assert found.tolist() == [4, 9, 18, 21, 30, 35]
    assert Countdown().targets("test").tolist() == [11, 24, 27, 32, 54, 60, 63, 88, 92]


# Countdown


@pytest.mark.parametrize("task", [task for task in SMALL if not task.causal], ids=str)
def test_every_row_can_be_solved_and_its_target_is_of_its_split(task):
    held = set(task.targets("test").tolist())
    every = range(task.min_target, task.max_target + 1)
    assert len(held) == len(every) // 10
    assert held | set(task.targets("train").tolist()) == set(every)
    for split in ("train", "test"):
        batch = task.sample(split, 0, 30)
        values = batch.inputs[:, : task.numbers + 1] - 6
        for *numbers, target in values.tolist():
            assert target in reachable(tuple(sorted(numbers)))
            assert (target in held) == (split == "test")
            assert 1 <= min(numbers) <= max(numbers) <= task.max_number


def test_the_search_finds_a_solution_where_there_is_one_and_only_there():
    rng = np.random.default_rng(4)
    counts = {True: 0, False: 0}
    for numbers in rng.integers(1, 30, (150, 3)).tolist():
        target = int(rng.integers(1, 60))
        there = target in reachable(tuple(sorted(numbers)))
        assert (first_solution(numbers, target) is not None) == there
        counts[there] += 1
    assert min(counts.values()) > 10


def row_of(task, numbers, target, steps):
    """Token ids of a row written as text: "(3+4=7) (7*2=14)"."""
    ids = {word: k for k, word in enumerate(task.vocabulary)}
    words = [*map(str, numbers), str(target)]
    for step in steps.split():
        for sign in "+*-/=":
            step = step.replace(sign, f" {sign} ")
        words += step.split()
    return np.array([ids[word] for word in words])


GAME = (6, 4, 3, 20)
RIGHT = (
    "20-4=16 6/3=2 16-2=14",
    "6+4=10 20/10=2 2*3=6",
    "4-3=1 6*1=6 20-6=14",
    "3*4=12 20*6=120 120/12=10",
)


@pytest.mark.parametrize("steps", RIGHT)
def test_any_correct_derivation_is_accepted_for_its_own_target_only(steps):
    task = Countdown()
    reached = int(steps.split("=")[-1])
    assert task.validate(row_of(task, GAME, reached, steps))
    assert not task.validate(row_of(task, GAME, reached + 1, steps))


@pytest.mark.parametrize(
    ("steps", "target"),
    [
        ("20-4=15 6/3=2 15-2=13", 13),  # wrong arithmetic
        ("20-4=16 6/3=3 16-3=13", 13),
        ("20-4=16 20-6=14 16+14=30", 30),  # a number twice
        ("20-4=16 16-4=12 12+6=18", 18),
        ("20-5=15 6/3=2 15-2=13", 13),  # a number that is not there
        ("4/6=0 20*3=60 60-0=60", 60),  # a quotient that is not whole
        ("20+4=24 6*3=18 24+18=41", 41),
        ("4-3=1 6*1=6 6-20=14", 14),  # the smaller first
    ],
)
def test_wrong_derivations_are_rejected(steps, target):
    task = Countdown()
    assert not task.validate(row_of(task, GAME, target, steps))


def test_a_row_that_is_no_equation_is_rejected():
    task = Countdown()
    row = row_of(task, GAME, 14, RIGHT[0])
    assert task.validate(row)
    for place in range(task.numbers + 1, task.length):
        for wrong in (0, 1, 5, 3000):
            changed = row.copy()
            changed[place] = wrong
            assert not task.validate(changed) or (changed == row).all()
    with pytest.raises(ValueError, match=r"`rows` must have shape \(B, 20\)"):
        task.validate(row[:-1])


def test_an_equal_number_may_be_used_as_often_as_it_is_there():
    task = Countdown(numbers=3, max_number=20, max_target=40)
    assert task.validate(row_of(task, (5, 5, 2), 20, "5+5=10 10*2=20"))
    assert not task.validate(row_of(task, (5, 4, 2), 20, "5+5=10 10*2=20"))
    assert task.validate(row_of(task, (7, 7, 12), 12, "7-7=0 12+0=12"))


def test_nothing_is_divided_by_zero():
    task = Countdown()
    assert task.validate(row_of(task, (7, 7, 9, 12), 12, "7-7=0 0/9=0 0+12=12"))
    assert not task.validate(row_of(task, (7, 7, 5, 5), 12, "7-7=0 5-5=0 0/0=12"))
    assert not task.validate(row_of(task, (7, 7, 3, 12), 15, "7-7=0 12/0=12 12+3=15"))


def test_the_score_counts_any_correct_derivation():
    task = Countdown()
    batch = task.sample("train", 0, 60)
    swapped = batch.targets.copy()
    first = task.numbers + 1
    turn = np.isin(swapped[:, first + 1], (1, 2))  # a + b and a * b may be turned round
    swapped[turn, first], swapped[turn, first + 2] = (
        batch.targets[turn, first + 2],
        batch.targets[turn, first],
    )
    assert (swapped != batch.targets).any(1).sum() > 20
    assert task.score(swapped, batch).all()
    swapped[:, -1] += 1
    assert not task.score(swapped, batch).any()


# Refusals


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: EditDistance(size=3), "size"),
        (lambda: EditDistance(size=True), "size"),
        (lambda: EditDistance(letters=2), "letters"),
        (lambda: LongestCommonSubsequence(size=0), "size"),
        (lambda: LongestCommonSubsequence(letters=27), "letters"),
        (lambda: Countdown(numbers=5), "numbers"),
        (lambda: Countdown(max_number=0), "max_number"),
        (lambda: Countdown(min_target=0), "min_target"),
        (lambda: Countdown(min_target=50, max_target=50), "max_target"),
        (lambda: Countdown().sample("train", 0, -1), "count"),
        (lambda: EditDistance().sample("validation", 0, 1), "split"),
        (lambda: EditDistance().sample("train", -1, 1), "seed"),
    ],
)
def test_bad_sizes_are_refused(make, named):
    with pytest.raises(ValueError, match=f"`{named}`"):
        make()


@pytest.mark.parametrize("task", SMALL, ids=str)
def test_no_rows_are_a_batch_too(task):
    batch = task.sample("train", 0, 0)
    assert batch.inputs.shape == batch.mask.shape == (0, task.length)


def test_rows_that_do_not_exist_end_in_an_error(monkeypatch):
    with pytest.raises(ValueError, match="no row of this split was found"):
        Countdown(numbers=2, max_number=3, min_target=90).sample("train", 0, 5)
    monkeypatch.setattr(redraw, "PATIENCE", 500)
    with pytest.raises(ValueError, match="use larger sizes"):
        redraw.accepted_rows(3, lambda rows: (rows[:0], (rows[:0],)), block=8)


def test_the_first_accepted_try_of_every_row_is_kept():
    calls = []

    def attempt(owners):
        calls.append(owners)
        values = np.arange(len(owners)) + 1000 * len(calls)
        kept = np.flatnonzero(np.arange(len(owners)) % 3 == 1)
        return kept, (values[kept],)

    (found,) = redraw.accepted_rows(4, attempt, block=8)
    # rows 0 0 1 1 2 2 3 3, kept 1, 4, 7; then row 1 alone
    assert calls[0].tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert found.tolist() == [1001, 2001, 1004, 1007]
