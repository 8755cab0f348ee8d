"""The best of n starts between arms: closed form, bootstrap and exchange, null and planted gain."""

import itertools

import numpy as np
import pytest

from looprate.theory.statistics.paired_best import (
    PairedStarts,
    contrast_finding,
    mean_log_best,
)
from looprate.theory.verdict import Verdict

STARTS, CELLS, N = 24, 4, 8
FEW = 300  # resamples, where a test asks many times
MOST_FALSE = 0.1  # share of equal arms with a verdict; the exchange alone allows 0.05
EVERY = np.full(CELLS, 1 / CELLS)


def errors(seed, *, gain=0.0):
    """Two arms that share a start's luck; the second's errors are exp(gain) times larger."""
    rng = np.random.default_rng(seed)
    shared = rng.normal(size=(STARTS, 1))
    arms = [0.5 * shared + rng.normal(size=(STARTS, CELLS)) for _ in range(2)]
    return {"arm": np.exp(arms[0]), "other": np.exp(arms[1] + gain)}


@pytest.mark.parametrize("n", [1, 2, 3, 6])
def test_the_best_of_n_is_the_mean_over_all_subsets(n):
    values = np.random.default_rng(0).random((6, 2))
    subsets = itertools.combinations(range(6), n)
    slow = np.mean([np.log(values[list(each)].min(axis=0)) for each in subsets], axis=0)
    assert mean_log_best(values, n) == pytest.approx(slow)


def test_of_all_starts_it_is_the_smallest_and_of_one_the_mean():
    values = np.random.default_rng(1).random((5, 3))
    assert mean_log_best(values, 5) == pytest.approx(np.log(values.min(axis=0)))
    assert mean_log_best(values, 1) == pytest.approx(np.log(values).mean(axis=0))


def test_a_start_that_diverged_counts_as_the_worst_of_its_cell():
    values = np.array([[0.1, 0.2], [np.inf, 0.3], [0.4, np.nan]])
    mended = np.array([[0.1, 0.2], [0.4, 0.3], [0.4, 0.3]])
    assert mean_log_best(values, 2) == pytest.approx(mean_log_best(mended, 2))
    with pytest.raises(ValueError, match="a cell has none"):
        mean_log_best(np.full((3, 1), np.inf), 2)


@pytest.mark.parametrize("n", [0, 6])
def test_more_starts_than_there_are_is_refused(n):
    with pytest.raises(ValueError, match="`n` must be an integer from 1 to the 5 starts"):
        mean_log_best(np.ones((5, 1)), n)


def test_interval_and_p_are_those_of_a_plain_loop():
    table, weights = errors(3, gain=0.2), np.array([0.5, -0.5, 1.0, 0.0])
    found = PairedStarts(table, N, resamples=FEW).contrast("arm", "other", weights)

    def gain(arm, other):
        return weights @ (mean_log_best(other, N) - mean_log_best(arm, N))

    rng = np.random.default_rng(0)
    picks = rng.integers(STARTS, size=(FEW, STARTS))
    draws = [gain(table["arm"][own], table["other"][own]) for own in picks]
    assert found.interval == pytest.approx(np.quantile(draws, [0.025, 0.975]))
    swaps = np.random.default_rng(1).random((FEW, STARTS, 1)) < 0.5
    beyond = 0
    for swap in swaps:
        a, b = (np.where(swap, table[x], table[y]) for x, y in (("other", "arm"), ("arm", "other")))
        beyond += abs(gain(a, b)) >= abs(found.value) - 1e-12
    assert found.p_value == pytest.approx((1 + beyond) / (1 + FEW))


def test_equal_arms_rarely_get_a_verdict():
    arms = [PairedStarts(errors(seed), N, resamples=FEW) for seed in range(40)]
    signs = [each.contrast("arm", "other", EVERY).sign for each in arms]
    assert np.count_nonzero(signs) <= MOST_FALSE * len(signs)


@pytest.mark.parametrize(("gain", "verdict"), [(0.8, Verdict.HOLDS), (-0.8, Verdict.VIOLATED)])
def test_a_planted_gain_is_found_with_its_sign_and_size(gain, verdict):
    for seed in range(3):
        found = PairedStarts(errors(seed, gain=gain), N).contrast("arm", "other", EVERY)
        judged = contrast_finding(found, claim="it helps")
        assert judged.verdict is verdict
        low, high = found.interval
        assert low < gain < high


def test_a_planted_growth_is_found_and_a_constant_gain_does_not_grow():
    slope = np.array([-1.5, -0.5, 0.5, 1.5]) / 5  # least squares on 0, 1, 2, 3
    table = errors(4)
    found = []
    for each in (np.exp(0.5 * np.arange(CELLS)), np.exp(0.5)):
        arms = {"arm": table["arm"], "other": table["arm"] * each}
        found.append(PairedStarts(arms, N).contrast("arm", "other", slope))
    assert found[0].value == pytest.approx(0.5)
    assert [each.sign for each in found] == [1, 0]


def test_arms_of_other_shapes_are_refused():
    with pytest.raises(ValueError, match="one shape"):
        PairedStarts({"a": np.ones((4, 2)), "b": np.ones((4, 3))}, 2)
