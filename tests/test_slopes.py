"""Slopes: known laws are recovered, wrong ones rejected, bends noticed."""

from __future__ import annotations

import json

import numpy as np
import pytest

from looprate.theory.bounds.cell_width import delta_of_loops
from looprate.theory.bounds.rates import stage_exponent, theorem_exponent
from looprate.theory.statistics.slopes import fit_slope, slope_finding
from looprate.theory.verdict import Verdict

N = 2
LOOPS = N + np.unique(np.geomspace(2, 4000, 12).astype(int))
SLOPE_TOLERANCE = 0.05  # the house's tolerance of an order
EXACT = 1e-6  # noise-free data, after an iterative fit


def law(exponent, *, floor=0.0, scale=1.0, loops=LOOPS):
    return floor + scale * (np.asarray(loops, dtype=float) - N) ** -exponent


def noisy(errors, *, seeds=8, noise=0.03, seed=0):
    rng = np.random.default_rng(seed)
    return errors * np.exp(noise * rng.standard_normal((seeds, len(errors))))


def fit(errors, *, loops=LOOPS, offset_resamples=0, **more):
    rng = np.random.default_rng(1)
    return fit_slope(loops, errors, tokens=N, offset_resamples=offset_resamples, rng=rng, **more)


@pytest.mark.parametrize("exponent", [0.1, 0.25, 1.0, 2.0])
def test_a_pure_power_is_recovered(exponent):
    found = fit(law(exponent, scale=3.0))
    assert found.slope == pytest.approx(-exponent, abs=1e-12)
    assert np.exp(found.intercept) == pytest.approx(3.0)
    assert found.local_slopes == pytest.approx([-exponent] * (len(LOOPS) - 1))
    assert found.offset_slope == pytest.approx(-exponent, abs=EXACT)
    assert (found.status, found.drifting) == ("asymptotic", False)


@pytest.mark.parametrize("noise", [0.0, 0.02])
@pytest.mark.parametrize(("floor", "scale", "exponent"), [(0.05, 1, 0.5), (0.2, 2, 1), (1, 1, 2)])
def test_a_power_with_a_floor_is_recovered_by_the_offset_model(floor, scale, exponent, noise):
    found = fit(noisy(law(exponent, floor=floor, scale=scale), noise=noise))
    assert found.offset_slope == pytest.approx(-exponent, abs=SLOPE_TOLERANCE)
    assert found.offset_floor == pytest.approx(floor, rel=0.05)
    assert found.offset_scale == pytest.approx(scale, rel=0.1)


@pytest.mark.parametrize("seeds", [1, 8])
def test_a_floor_is_flagged_as_drift(seeds):
    found = fit(noisy(law(1.0, floor=0.05), seeds=seeds))
    assert found.drifting
    assert found.status == "not in the asymptotic range"
    tail_only_floor = fit(noisy(law(1.0), seeds=seeds))
    assert not tail_only_floor.drifting


def test_points_before_the_asymptotic_range_are_left_out_by_the_tail():
    bent = law(1.0) + 5.0 * law(3.0)
    assert fit(noisy(bent)).drifting
    tail = fit(noisy(bent), tail_from=N + 30)
    assert not tail.drifting
    assert tail.slope == pytest.approx(-1.0, abs=SLOPE_TOLERANCE)
    assert set(tail.loops) | set(tail.dropped) == set(LOOPS.tolist())
    assert min(tail.loops) >= N + 30 > max(tail.dropped)


def test_the_printed_width_has_the_printed_slope_and_not_the_stage_slope():
    widths = [delta_of_loops(int(r), tokens=N, dim=1) for r in LOOPS]
    found = fit(noisy(np.array(widths), noise=0.01))
    right = -theorem_exponent(tokens=N, dim=1)
    wrong = -stage_exponent(tokens=N, dim=1)
    assert found.slope == pytest.approx(right, abs=0.01)
    assert slope_finding(found, right, claim="printed").verdict is Verdict.HOLDS
    assert slope_finding(found, wrong, claim="stages").verdict is Verdict.VIOLATED


def test_falling_faster_meets_an_upper_bound_and_falling_slower_does_not():
    found = fit(noisy(law(0.5)))
    for predicted, verdict in ((-0.25, Verdict.HOLDS), (-0.75, Verdict.VIOLATED)):
        finding = slope_finding(found, predicted, claim="rate", relation="at_least")
        assert finding.verdict is verdict
    assert slope_finding(found, -0.25, claim="rate").verdict is Verdict.VIOLATED
    assert slope_finding(found, -0.25, claim="rate", tolerance=0.3).verdict is Verdict.HOLDS


def test_bent_or_single_seed_data_decide_nothing():
    bent = fit(noisy(law(1.0, floor=0.05)))
    assert slope_finding(bent, -1.0, claim="rate").verdict is Verdict.NOT_TESTABLE
    single = fit(law(1.0))
    assert single.interval is None
    assert slope_finding(single, -1.0, claim="rate").verdict is Verdict.NOT_TESTABLE
    few = fit(noisy(law(1.0, loops=LOOPS[:3])), loops=LOOPS[:3])
    assert few.status == "undecided"
    wild = fit(noisy(law(0.1), noise=1.5))
    assert wild.status == "undecided"


def test_intervals_cover_the_truth_and_exclude_a_wrong_slope():
    """95 % intervals of 8 seeds: at least 85 of 100 seeded repeats cover, few cover a wrong one."""
    fits = [fit(noisy(law(0.5), noise=0.1, seed=k), offset=False) for k in range(100)]
    assert sum(f.interval[0] <= -0.5 <= f.interval[1] for f in fits) >= 85
    assert sum(f.interval[0] <= -0.45 <= f.interval[1] for f in fits) <= 15


def test_offset_intervals_cover_the_truth():
    truth = -0.5
    covered = 0
    for k in range(5):
        found = fit(noisy(law(0.5, floor=0.05), noise=0.02, seed=k), offset_resamples=20)
        low, high = found.offset_interval
        covered += low <= truth <= high
        assert low <= found.offset_slope <= high
        assert high - low < 0.2
    assert covered >= 4


def test_the_same_generator_state_gives_the_same_fit():
    errors = noisy(law(0.5))
    assert fit(errors, offset_resamples=5) == fit(errors, offset_resamples=5)


def test_the_order_of_the_loops_does_not_matter_for_the_slope():
    errors = noisy(law(0.5))
    shuffle = np.random.default_rng(0).permutation(len(LOOPS))
    assert fit(errors[:, shuffle], loops=LOOPS[shuffle]) == fit(errors)


def test_scaling_the_errors_scales_only_the_level():
    errors = noisy(law(0.5, floor=0.1))
    small, large = fit(errors), fit(1e6 * errors)
    assert large.slope == pytest.approx(small.slope)
    assert large.offset_slope == pytest.approx(small.offset_slope, rel=1e-4)
    assert large.offset_floor == pytest.approx(1e6 * small.offset_floor, rel=1e-4)


def test_excess_drops_loops_the_theorem_excludes_and_loops_keeps_them():
    loops = np.arange(1, 30)
    errors = 2.0 * loops**-0.5
    by_loops = fit(errors, loops=loops, variable="loops")
    assert (by_loops.slope, by_loops.dropped) == (pytest.approx(-0.5), ())
    by_excess = fit(errors, loops=loops)
    assert by_excess.dropped == (1, 2)
    assert by_excess.slope != pytest.approx(-0.5, abs=0.02)


@pytest.mark.parametrize("seeds", [1, 4])
@pytest.mark.parametrize("points", [2, 3, 4, 12])
def test_fits_are_valid_json(points, seeds):
    found = fit(noisy(law(0.5))[:seeds, :points], loops=LOOPS[:points], offset_resamples=3)
    back = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    assert len(back["loops"]) == points
    assert (back["interval"] is None) == (seeds == 1)
    assert (back["offset_slope"] is None) == (points < 4)


@pytest.mark.parametrize(
    ("loops", "errors", "more", "message"),
    [
        ([3, 4, 5], [[1.0, 1.0]], {}, r"`errors` must have shape \(seeds, 3\)"),
        ([3, 4], [1.0, 0.0], {}, "positive and finite"),
        ([3, 4], [1.0, np.nan], {}, "positive and finite"),
        ([3, 3], [1.0, 1.0], {}, "`loops` must not repeat"),
        ([3.0, 4.0], [1.0, 1.0], {}, "`loops` must be a 1-D sequence of integers"),
        ([1, 2, 3], [1.0, 1.0, 1.0], {}, "at least 2 points"),
        ([3, 4], [1.0, 1.0], {"tail_from": 4}, "at least 2 points"),
        ([3, 4], [1.0, 1.0], {"variable": "r"}, "`variable` must be one of excess, loops"),
        ([3, 4], [1.0, 1.0], {"confidence": 95}, r"`confidence` must be in \(0, 1\)"),
        ([3, 4], [1.0, 1.0], {"resamples": 0}, "`resamples` must be >= 1"),
    ],
)
def test_unusable_data_are_refused(loops, errors, more, message):
    with pytest.raises(ValueError, match=message):
        fit(errors, loops=loops, **more)


def test_unknown_relations_are_refused():
    with pytest.raises(ValueError, match="`relation` must be one of equal, at_least"):
        slope_finding(fit(law(1.0)), -1.0, claim="rate", relation="less")
    with pytest.raises(ValueError, match="`tolerance` must be >= 0"):
        slope_finding(fit(law(1.0)), -1.0, claim="rate", tolerance=-1.0)
