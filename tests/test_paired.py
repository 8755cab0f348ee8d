"""Paired comparisons: p-values, Holm's correction, and how many pairs it takes."""

import numpy as np
import pytest
from scipy import stats

from looprate.theory.statistics.paired import (
    LEAST_PAIRS,
    holm,
    paired_mean,
    paired_p_value,
    pairs_needed,
    power_of,
)


def test_the_p_value_is_students_and_agrees_with_the_interval():
    rng = np.random.default_rng(0)
    for shift in (0.0, 0.3, 1.0):
        values = rng.normal(shift, 1.0, 9)
        p = paired_p_value(values)
        assert p == pytest.approx(stats.ttest_1samp(values, 0.0).pvalue)
        low, high = paired_mean(values)[1]
        assert (p < 0.05) == (low > 0 or high < 0)
    assert paired_p_value([0.3]) == paired_p_value([0.0, 0.0]) == 1.0
    assert paired_p_value([0.3, 0.3]) == 0.0


def test_holms_p_values_are_those_of_its_steps():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []
    rng = np.random.default_rng(1)
    values = list(rng.random(7) ** 3)
    found, order = holm(values), np.argsort(values)
    for level in (0.01, 0.05, 0.2):
        rejected = set()
        for rank, k in enumerate(order):  # step down until one is kept
            if values[k] > level / (7 - rank):
                break
            rejected.add(k)
        assert rejected == {k for k in range(7) if found[k] <= level}


@pytest.mark.parametrize(("pairs", "effect", "spread"), [(4, 5, 5), (8, 5, 3), (20, 5, 9)])
def test_power_is_that_of_the_noncentral_t_and_of_simulated_pairs(pairs, effect, spread):
    found = power_of(pairs, effect, spread)
    reach, shift = stats.t.ppf(0.975, pairs - 1), effect * pairs**0.5 / spread
    law = stats.nct(pairs - 1, shift)
    assert found == pytest.approx(law.sf(reach) + law.cdf(-reach), abs=1e-9)
    drawn = np.random.default_rng(2).normal(effect, spread, (4000, pairs))
    t = drawn.mean(1) / drawn.std(1, ddof=1) * pairs**0.5
    assert found == pytest.approx((abs(t) > reach).mean(), abs=0.03)
    assert power_of(pairs, 0.0, spread) == pytest.approx(0.05)
    assert power_of(pairs, effect, spread, comparisons=6) < found


@pytest.mark.parametrize("spread", [0.5, 3.0, 8.0, 40.0])
def test_pairs_needed_are_the_fewest_that_are_enough(spread):
    found = pairs_needed(5.0, spread)
    assert power_of(found, 5.0, spread) >= 0.8
    assert found == LEAST_PAIRS or power_of(found - 1, 5.0, spread) < 0.8
    assert pairs_needed(5.0, spread, comparisons=6) >= found
    assert pairs_needed(5.0, 0.0) == LEAST_PAIRS
    assert pairs_needed(1e-9, spread) is None
