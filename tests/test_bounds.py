"""Bounds: the formulas term by term, the proof behind them on small cases, and the verdicts."""

from __future__ import annotations

import itertools
import json
import math

import numpy as np
import pytest

from looprate.theory.bounds import cell_width, loop_counts
from looprate.theory.bounds.explicit import explicit_bound
from looprate.theory.bounds.rows import TERM_NAMES, first_informative_loops
from looprate.theory.bounds.theorem import theorem_3_6_bound, theorem_constants_are_proved
from looprate.theory.bounds.trivial import best_constant_error
from looprate.theory.verdict import Verdict

CASES = [
    (n, d, p, slope)
    for n, d in ((1, 1), (2, 1), (3, 2))
    for p in (1.0, 2.0, 3.5, math.inf)
    for slope in (math.inf, 1e4, 3.0)
]
RELATIVE = 1e-12  # a few roundings
ROUNDING = 1e-12


def holder(kind, delta):
    """Three different moduli, all of a known side."""
    scale, exponent = {"sequence": (0.9, 0.7), "token": (0.4, 1.0), "contextual": (0.3, 0.5)}[kind]
    return scale * delta**exponent, "exact"


def lower(kind, delta):
    return holder(kind, delta)[0], "lower"


def identity(p, n, d):
    """Moduli of f(X) = X: upper bounds by the p-norm of a vector of given Euclidean length."""

    def moduli(kind, delta):
        entries = {"sequence": n * d, "token": d, "contextual": 0}[kind]
        return (delta * entries ** max(0.0, 1 / p - 0.5) if entries else 0.0), "upper"

    return moduli


def p_norm_measure(measure, p):
    return 0.0 if measure == 0 else min(1.0, measure) ** (1 / p)


@pytest.mark.parametrize("placement", ["all", "inner"])
@pytest.mark.parametrize("rule", ["printed", "stages"])
@pytest.mark.parametrize(("n", "d", "p", "slope"), CASES)
def test_theorem_bound_is_the_formula(n, d, p, slope, rule, placement):
    span = 1.7
    for loops in (n + 1, n + 40, 10**9):
        row = theorem_3_6_bound(
            holder, loops, tokens=n, dim=d, p=p, oscillation=span,
            slope=slope, placement=placement, delta_rule=rule,
        )  # fmt: skip
        if math.isinf(p):  # A5: the theorem has p < inf
            assert (row.verdict, row.total) == (Verdict.NOT_TESTABLE, math.inf)
            assert "p < inf" in row.reason
            continue
        width = {"printed": cell_width.delta_of_loops, "stages": cell_width.delta_of_stages}[rule]
        delta, root = width(loops, tokens=n, dim=d), (n * d) ** (1 / p)
        expected = {
            "token": root * 0.4 * delta * d**0.5,
            "context": root * 0.3 * (delta * (n * d) ** 0.5) ** 0.5,
            "sequence": (root if placement == "all" else 1) * 0.9 * (delta * (n * d) ** 0.5) ** 0.7,
            "memoriser": 0.0,
            "collisions": root * span * p_norm_measure(n * (n - 1) / 2 * delta**d, p),
            "strips": root * span * p_norm_measure(d * n / (slope * delta), p),
        }
        assert row.terms == pytest.approx(expected, rel=RELATIVE)
        assert row.total == pytest.approx(sum(expected.values()), rel=RELATIVE)
        assert tuple(row.terms) == TERM_NAMES
        assert row.up_to_constant == ("collisions", "strips")


@pytest.mark.parametrize("p", [1.0, 2.0])
@pytest.mark.parametrize(("n", "d", "grid"), [(2, 1, 3), (2, 1, 8), (2, 2, 4), (3, 1, 9)])
def test_error_of_the_exact_table_never_exceeds_the_bound(n, d, grid, p):
    """Worst case of the proof: collisions answered as wrongly as an output in range can be."""
    x = np.random.default_rng(3).random((20000, n, d))
    cells = np.floor(x * grid)
    pairs = itertools.combinations(range(n), 2)
    collided = np.any([(cells[:, i] == cells[:, j]).all(axis=1) for i, j in pairs], axis=0)
    collided &= (n > 2) | (cells == 0).all(axis=(1, 2))
    answer = np.where(collided[:, None, None], np.round(1 - x), (cells + 0.5) / grid)
    error = (np.abs(answer - x) ** p).sum(axis=(1, 2)).mean() ** (1 / p)
    loops = loop_counts.construction_loops(
        grid, tokens=n, dim=d, memoriser="timestep", coding="rank"
    )
    row = explicit_bound(
        identity(p, n, d), loops, tokens=n, dim=d, p=p, oscillation=1.0,
        memoriser="timestep", coding="rank",
    )  # fmt: skip
    assert 0.2 * row.total < error < row.total  # and the bound is of the right size
    assert row.terms["collisions"] == pytest.approx(
        (n * d) ** (1 / p) * colliding_measure(n, d, grid) ** (1 / p)
    )


def colliding_measure(n, d, grid):
    """C(N,2) δ^d; of two tokens only those in cell 0 collide."""
    return grid ** (-2 * d) if n == 2 else math.comb(n, 2) / grid**d


@pytest.mark.parametrize(
    ("grid", "n", "d"), [(4, 1, 1), (4, 2, 1), (5, 3, 1), (3, 2, 2), (2, 2, 3)]
)
def test_neighbouring_labels_of_the_sum_code_differ_by_at_most_the_two_moduli(grid, n, d):
    """e_mem <= w_tok(δ√d) + w_cont(δ√(Nd)): distances per label step, over all cells."""
    cells = list(itertools.product(range(grid), repeat=d))
    number = {b: sum(digit * grid**i for i, digit in enumerate(b)) for b in cells}
    used = {}
    for chosen in itertools.combinations(cells, n):
        s = 0
        for b in sorted(chosen, key=number.__getitem__, reverse=True):
            s = grid**d * s + number[b]
        for b in chosen:
            used[2 * grid**d * s + 2 * number[b] - b[0]] = b, [c for c in chosen if c != b]
    labels = sorted(used)
    for k, following in itertools.pairwise(labels):
        (b, context), (b2, context2) = used[k], used[following]
        nearest = min(
            math.hypot(*(math.dist(u, v) for u, v in zip(context, order, strict=True)), 0.0)
            for order in itertools.permutations(context2)
        )
        gap = following - k  # in units of δ: w(gap δ) <= gap w(δ), shared by the labels between
        assert math.dist(b, b2) <= gap * math.sqrt(d) + ROUNDING
        assert nearest <= gap * math.sqrt(n * d) + ROUNDING


@pytest.mark.parametrize("rule", ["printed", "stages"])
@pytest.mark.parametrize(("n", "d", "p", "slope"), CASES)
def test_theorem_bound_follows_from_the_explicit_one_where_it_says_so(n, d, p, slope, rule):
    proved = 0
    for loops in [n + k for k in (1, 2, 5, 30, 257, 4000, 99991)] + [10**14 + 7]:
        if not theorem_constants_are_proved(loops, tokens=n, dim=d, delta_rule=rule):
            continue
        proved += 1
        delta_of = {"printed": cell_width.delta_of_loops, "stages": cell_width.delta_of_stages}[
            rule
        ]
        grid = math.ceil(1 / delta_of(loops, tokens=n, dim=d) - 1e-9)
        setting = {"tokens": n, "dim": d, "p": p, "oscillation": 1.7, "slope": slope}
        claimed = theorem_3_6_bound(holder, loops, delta_rule=rule, **setting).total
        if grid**d < n:
            assert claimed >= (n * d) ** (1 / p) * 1.7
            continue
        needed = loop_counts.construction_loops(
            grid, tokens=n, dim=d, memoriser="increments", coding="sum"
        )
        assert needed <= loops
        ours = explicit_bound(
            holder, needed, memoriser="increments", coding="sum", **setting
        )  # fmt: skip
        assert ours.grid == grid
        assert ours.total <= claimed * (1 + RELATIVE)
    assert proved >= (3 if rule == "printed" else 1)


@pytest.mark.parametrize(
    "bound",
    [
        lambda r: theorem_3_6_bound(holder, r, tokens=2, dim=1, p=2, oscillation=1.0),
        lambda r: explicit_bound(
            holder, r, tokens=2, dim=1, p=2, oscillation=1.0, memoriser="digits", coding="rank"
        ),
        lambda r: explicit_bound(
            holder, r, tokens=2, dim=1, p=2, oscillation=1.0, memoriser="increments", coding="sum"
        ),
    ],
)
def test_bounds_never_grow_with_the_loops(bound):
    totals = [bound(r).total for r in (3, 4, 20, 21, 100, 1000, 10**5, 10**9, 10**30)]
    assert all(b <= a * (1 + RELATIVE) for a, b in itertools.pairwise(totals) if a < 1.4)
    assert totals[-1] < 0.1 * totals[0]


SETTING = {"tokens": 2, "dim": 1, "p": 1.0, "oscillation": 1.0}
LARGE = loop_counts.printed_loops(10**4, tokens=2, dim=1)


def test_verdicts_of_the_theorem():
    def verdict(loops, moduli=holder, **more):
        return theorem_3_6_bound(moduli, loops, **SETTING, **more).verdict

    assert verdict(2, trivial=0.5) is Verdict.NOT_TESTABLE  # r <= N
    assert verdict(34, trivial=0.5) is Verdict.VACUOUS
    assert verdict(34) is Verdict.VACUOUS  # no constant is needed to see it
    assert verdict(LARGE, trivial=0.5) is Verdict.HOLDS
    assert verdict(LARGE, lower, trivial=0.5) is Verdict.NOT_TESTABLE
    assert verdict(34, lower, trivial=0.5) is Verdict.VACUOUS
    assert verdict(LARGE) is Verdict.NOT_TESTABLE  # trivial bound unknown
    total = theorem_3_6_bound(holder, LARGE, **SETTING).total
    assert verdict(LARGE, trivial=total + 0.01, trivial_stderr=0.001) is Verdict.HOLDS
    assert verdict(LARGE, trivial=total + 0.01, trivial_stderr=0.004) is Verdict.NOT_TESTABLE
    assert verdict(LARGE, trivial=0.9 * total, trivial_stderr=0.04 * total) is Verdict.NOT_TESTABLE
    assert verdict(LARGE, trivial=0.9 * total, trivial_stderr=0.03 * total) is Verdict.VACUOUS
    assert verdict(LARGE, trivial=total) is Verdict.VACUOUS


def test_a_row_whose_constants_are_unproved_does_not_hold():
    between = loop_counts.paper_stage_loops(10**4, tokens=2, dim=1) + 1
    assert not theorem_constants_are_proved(between, tokens=2, dim=1, delta_rule="stages")
    row = theorem_3_6_bound(holder, between, delta_rule="stages", trivial=0.5, **SETTING)
    assert row.verdict is Verdict.NOT_TESTABLE
    assert "not proved at this r" in row.reason


def test_rows_are_valid_json():
    for loops in (2, 3, 40):
        row = theorem_3_6_bound(holder, loops, trivial=0.5, **SETTING)
        back = json.loads(json.dumps(row.as_dict(), allow_nan=False))
        assert (back["total"] is None) == (loops <= 2)
        assert set(back["terms"]) == set(TERM_NAMES)


def timestep_bound(side):
    """The bound at a loop count, from moduli of a side."""
    return lambda loops: explicit_bound(
        lambda kind, t: (t / 20, side), loops, tokens=2, dim=1, p=1, oscillation=0.5,
        memoriser="timestep", coding="rank", trivial=0.2,
    )  # fmt: skip


def test_first_informative_loops_agree_with_trying_every_loop_count():
    bound_at = timestep_bound("exact")
    found = first_informative_loops(bound_at, tokens=2)
    tried = (r for r in itertools.count(3) if bound_at(r).verdict is Verdict.HOLDS)
    assert found.loops == next(tried)
    assert found.proven
    assert found.words == f"from r = {found.loops:,} on"
    assert 10 < found.loops < 100
    assert first_informative_loops(bound_at, tokens=2, cap=found.loops).loops == found.loops
    none = first_informative_loops(bound_at, tokens=2, cap=found.loops - 1)
    assert (none.loops, none.proven, none.words) == (
        None, False, f"at no r up to {found.loops - 1:,}"
    )  # fmt: skip


def test_sampled_moduli_never_speak_of_from_on():  # A6
    found = first_informative_loops(timestep_bound("lower"), tokens=2)
    assert not found.proven
    assert found.words == f"not proven; not before r = {found.loops}"


def test_first_informative_loops_handle_counts_beyond_floats():
    def bound_at(loops):
        return theorem_3_6_bound(
            lambda kind, t: (t, "exact"), loops, tokens=30, dim=8, p=1, oscillation=1.0,
            trivial=60.0,
        )  # fmt: skip

    assert first_informative_loops(bound_at, tokens=30).loops is None
    onset = first_informative_loops(bound_at, tokens=30, cap=10**600)
    found = onset.loops
    assert onset.words.endswith(f" * 10^{len(str(found)) - 1} on")
    assert found > 10**300
    assert bound_at(found).verdict is not Verdict.VACUOUS
    assert bound_at(found - 1).verdict is Verdict.VACUOUS


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"oscillation": -1.0}, "`oscillation`"),
        ({"oscillation": math.inf}, "`oscillation`"),
        ({"slope": 0.0}, "`slope`"),
        ({"p": 0.5}, "`p`"),
        ({"placement": "none"}, "`placement` must be one of all, inner"),
        ({"delta_rule": "none"}, "`delta_rule` must be one of printed, stages"),
        ({"trivial": math.nan}, "`trivial`"),
    ],
)
def test_bound_arguments_out_of_range_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        theorem_3_6_bound(holder, 100, **(SETTING | change))


def test_moduli_without_a_side_are_refused():
    with pytest.raises(ValueError, match="must name a side among exact, upper, lower"):
        theorem_3_6_bound(lambda kind, t: (t, "guess"), 100, **SETTING)
    with pytest.raises(ValueError, match="must return rows with a trivial bound"):
        first_informative_loops(lambda r: theorem_3_6_bound(holder, r, **SETTING), tokens=2)


@pytest.mark.parametrize(
    ("f", "p", "per_entry", "constant"),
    [
        (lambda x: x, 1.0, 1 / 4, 1 / 2),
        (lambda x: x, 2.0, 1 / 12, 1 / 2),
        (lambda x: x, 4.0, 1 / 80, 1 / 2),
        (lambda x: x, 1.5, 0.5**1.5 / 2.5, 1 / 2),
        (lambda x: x**2, 1.0, 1 / 4, 1 / 4),
        (lambda x: x**2, 2.0, 4 / 45, 1 / 3),
        (lambda x: 0 * x + 3.0, 3.0, 0.0, 3.0),
    ],
)
def test_best_constant_comes_close_to_its_closed_form(f, p, per_entry, constant):
    value, stderr, found = best_constant_error(
        f, tokens=2, dim=3, p=p, points=2**11, rng=np.random.default_rng(0)
    )
    assert found == pytest.approx(np.full(3, constant), abs=2e-3)
    assert value == pytest.approx((6 * per_entry) ** (1 / p), abs=6 * stderr + 1e-9)
    assert stderr <= 1e-3


def test_best_constant_in_the_sup_norm_is_the_midrange():
    value, _, found = best_constant_error(
        lambda x: x**2, tokens=2, dim=1, p=math.inf, rng=np.random.default_rng(0)
    )
    assert found == pytest.approx([0.5], abs=1e-3)
    assert 0.499 < value <= 0.5


def test_best_constant_differs_by_coordinate_but_not_by_token():
    scale = np.array([1.0, -4.0])
    _, _, found = best_constant_error(
        lambda x: scale * x, tokens=3, dim=2, p=1, points=2**11, rng=np.random.default_rng(0)
    )
    assert found == pytest.approx(scale / 2, abs=5e-3)


def test_best_constant_s_standard_error_is_the_spread_over_generators():
    found = [
        best_constant_error(
            lambda x: x**2, tokens=2, dim=2, p=2, points=64, replicates=4,
            rng=np.random.default_rng(seed),
        )
        for seed in range(100)
    ]  # fmt: skip
    spread = np.std([value for value, _, _ in found])
    claimed = np.sqrt(np.mean([stderr**2 for _, stderr, _ in found]))
    assert 0.75 < claimed / spread < 1.33


def test_best_constant_refuses_bad_targets_and_sizes():
    def call(f=lambda x: x, **more):
        rng = np.random.default_rng(0)
        return best_constant_error(f, tokens=2, dim=1, p=1, rng=rng, **more)

    with pytest.raises(ValueError, match="`f` must map shape"):
        call(lambda x: x[:, :1])
    with pytest.raises(ValueError, match="finite values"):
        call(lambda x: x * np.nan)
    with pytest.raises(ValueError, match="power of two"):
        call(points=100)
    with pytest.raises(ValueError, match="`replicates` must be >= 2"):
        call(replicates=1)


def test_a_standard_error_needs_two_replicates():
    how = {"tokens": 1, "dim": 1, "p": 1.0, "points": 2, "rng": np.random.default_rng(0)}
    with pytest.raises(ValueError, match="`replicates` must be >= 2"):
        best_constant_error(lambda x: x, replicates=1, **how)
    with pytest.raises(ValueError, match="`points` must be a power of two >= 2, got 1"):
        best_constant_error(lambda x: x, **how | {"points": 1})
    assert best_constant_error(lambda x: x, replicates=2, **how)[1] > 0
