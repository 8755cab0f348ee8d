"""Statistics of gains: intervals over paired seeds, ranks within levels, and the right words."""

import math

import numpy as np
import pytest
from scipy.stats import spearmanr, t

from looprate.experiments.eta.statistics import (
    Growth,
    certified_gain_finding,
    growth,
    growth_finding,
    mean_gain_finding,
    seed_draws,
    within_level_rank,
)
from looprate.theory.statistics.paired import LEAST_PAIRS
from looprate.theory.verdict import Verdict

LEVELS = [level for level in ("smooth", "rough", "cusp") for _ in range(6)]
SUMS = np.concatenate([scale * np.linspace(1.0, 1.8, 6) for scale in (1.0, 2.0, 0.4)])
SEEDS, NOISE = 8, 0.05
MOST_FALSE = 0.1  # share of shuffled tables with a verdict; the permutation test allows 0.05


def rng(seed=0):
    return np.random.default_rng(seed)


def gains(slope, *, seed=0, offset=0.0):
    """Gains (S, T) that grow with the sum within a level, beside noise and an effect of seeds."""
    draw = rng(seed)
    table = offset + slope * SUMS / np.repeat([1.0, 2.0, 0.4], 6)
    return table + NOISE * (draw.standard_normal((SEEDS, 18)) + draw.standard_normal((SEEDS, 1)))


def judged(table, x=SUMS, levels=LEVELS):
    found = growth(
        table.mean(0), x, levels, draws=seed_draws(table, rng(1)), replicates=SEEDS, rng=rng(2)
    )
    return growth_finding(found, claim="it grows", quantity="the sum")


def shuffled(table, seed):
    """The same gains with targets shuffled within each level: nothing to be found."""
    draw = rng(seed)
    order = np.concatenate([6 * k + draw.permutation(6) for k in range(3)])
    return table[:, order]


@pytest.mark.parametrize(
    ("slope", "verdict"),
    [(0.5, Verdict.HOLDS), (-0.5, Verdict.VIOLATED), (0.0, Verdict.NOT_TESTABLE)],
)
def test_growth_gets_the_word_it_deserves(slope, verdict):
    found = judged(gains(slope))
    assert found.verdict == verdict
    assert ("undecided" in found.reason) == (verdict == Verdict.NOT_TESTABLE)


def test_shuffled_gains_rarely_get_a_verdict_and_a_law_does():
    """Gains that are measured precisely but in random order must not look like a law."""
    table = gains(0.5)
    assert 1 / 2001 <= judged(table).evidence["p_value"] < 0.002
    found = [judged(shuffled(table, seed)) for seed in range(30)]
    false = sum(one.verdict != Verdict.NOT_TESTABLE for one in found)
    assert false <= MOST_FALSE * len(found)
    assert 0.35 < np.mean([one.evidence["p_value"] for one in found]) < 0.65


@pytest.mark.parametrize(
    ("interval", "p_value", "verdict"),
    [
        ((0.1, 0.9), 0.01, Verdict.HOLDS),
        ((0.1, 0.9), 0.2, Verdict.NOT_TESTABLE),
        ((-0.1, 0.9), 0.01, Verdict.NOT_TESTABLE),
        ((-0.9, -0.1), 0.01, Verdict.VIOLATED),
        (None, None, Verdict.NOT_TESTABLE),
    ],
)
def test_a_word_on_growth_needs_the_interval_and_the_permutation_test(interval, p_value, verdict):
    found = Growth(0.5, interval, p_value, 3, 18)
    assert growth_finding(found, claim="", quantity="").verdict == verdict


def test_seed_draws_are_means_over_resampled_seeds():
    table = gains(0.5)
    draws = seed_draws(table, rng())
    assert draws.mean(0) == pytest.approx(table.mean(0), abs=0.005)
    assert draws.std(0) == pytest.approx(table.std(0) / math.sqrt(SEEDS), rel=0.1)


def test_levels_are_not_compared_with_each_other():
    """Gains that rise with roughness alone grow over all targets, and not within a level."""
    level = np.repeat([1.0, 2.0, 0.4], 6)
    table = level + NOISE * rng(5).standard_normal((SEEDS, 18))
    assert judged(table).verdict == Verdict.NOT_TESTABLE
    assert judged(table, levels=["all"] * 18).verdict == Verdict.HOLDS


def test_the_rank_is_the_mean_of_spearmans_over_levels():
    mean = gains(0.1).mean(0)
    each = [spearmanr(mean[k : k + 6], SUMS[k : k + 6]).statistic for k in (0, 6, 12)]
    assert within_level_rank(mean, SUMS, LEVELS) == pytest.approx(np.mean(each))


def test_equal_moduli_are_ties_whatever_their_rounding():
    x = np.ones(18) * (1 + 1e-15 * np.arange(18))
    found = growth(gains(0.5).mean(0), x, LEVELS, draws=gains(0.5)[:1], replicates=SEEDS, rng=rng())
    assert found.rank is None


def test_too_few_targets_are_not_judged():
    levels = [f"{k}" for k in range(6) for _ in range(3)]
    found = judged(gains(0.5), levels=levels)
    assert found.verdict == Verdict.NOT_TESTABLE
    assert "targets a level" in found.reason


@pytest.mark.parametrize(
    ("offset", "verdict"),
    [(0.3, Verdict.HOLDS), (-0.3, Verdict.VIOLATED), (0.0, Verdict.NOT_TESTABLE)],
)
def test_the_mean_gain_gets_the_word_it_deserves(offset, verdict):
    found = mean_gain_finding(gains(0.0, offset=offset), claim="it helps")
    assert found.verdict == verdict
    assert ("undecided" in found.reason) == (verdict == Verdict.NOT_TESTABLE)


def test_the_interval_of_the_mean_gain_is_that_of_paired_seeds():
    """Student's interval of the seeds' means, whatever the seeds have in common."""
    table = gains(0.0)
    low, high = mean_gain_finding(table, claim="").evidence["interval"]
    means = table.mean(1)
    reach = t.ppf(0.975, SEEDS - 1) * means.std(ddof=1) / math.sqrt(SEEDS)
    assert (low, high) == pytest.approx((means.mean() - reach, means.mean() + reach))


def test_few_seeds_are_not_judged():
    found = mean_gain_finding(gains(0.0, offset=1.0)[: LEAST_PAIRS - 1], claim="")
    assert found.verdict == Verdict.NOT_TESTABLE


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        ([0.1, 0.2], [0.2, 0.3], Verdict.HOLDS),
        ([0.1, -0.3], [0.2, -0.1], Verdict.VIOLATED),
        ([0.1, -0.1], [0.2, 0.1], Verdict.NOT_TESTABLE),
        ([], [], Verdict.NOT_TESTABLE),
    ],
)
def test_a_certified_gain_holds_if_no_target_contradicts_it(low, high, verdict):
    found = certified_gain_finding(np.array(low), np.array(high), claim="it helps")
    assert found.verdict == verdict
