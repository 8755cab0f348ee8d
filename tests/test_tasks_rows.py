"""Rows of the sequence tasks: what counts, splits that never meet, refusals."""

import numpy as np
import pytest

from cases.task_rows import SMALL, STRINGS, TINY, unordered
from looprate.experiments.tasks import redraw
from looprate.experiments.tasks.countdown import Countdown
from looprate.experiments.tasks.edit_distance import EditDistance
from looprate.experiments.tasks.lcs import LongestCommonSubsequence
from looprate.experiments.tasks.strings import Pairs, in_test_split


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
            "looprate.experiments.tasks.strings.in_test_split",
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
