"""Edit distance and longest common subsequence: answers by other routes, rows as described."""

from functools import cache
from itertools import product

import numpy as np
import pytest
from rapidfuzz.distance import LCSseq, Levenshtein

from cases.task_rows import words_of
from looprate.experiments.tasks.edit_distance import (
    EditDistance,
    cost,
    costs,
    edited_strings,
    random_moves,
)
from looprate.experiments.tasks.lcs import length, lengths_of
from looprate.experiments.tasks.strings import draw_alphabets, random_strings

WEIGHTS = (2, 2, 3)  # insert, delete, replace


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


def padded(strings, fill=99):
    """Strings as an array (B, n) of letter numbers, waste behind each end, and their lengths."""
    lengths = np.array([len(s) for s in strings])
    array = np.full((len(strings), max(1, lengths.max(initial=0))), fill)
    for row, s in enumerate(strings):
        array[row, : len(s)] = [ord(c) - 96 for c in s]
    return array, lengths


def random_words(rng, count, longest, letters="abcd"):
    return ["".join(rng.choice(list(letters), rng.integers(0, longest + 1))) for _ in range(count)]


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


def test_lengths_are_those_of_rapidfuzz_and_of_each_pair_alone():
    rng = np.random.default_rng(3)
    first, second = (random_words(rng, 600, 25) for _ in range(2))
    (a, n), (b, m) = padded(first, fill=1), padded(second, fill=1)
    truth = [LCSseq.similarity(x, y) for x, y in zip(first, second, strict=True)]
    assert lengths_of(a, b, n, m).tolist() == truth
    assert [length(x, y) for x, y in zip(first, second, strict=True)] == truth


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
