"""Constructed networks in studies: what is planned, what slopes and certificates say together."""

import math
import re
from dataclasses import replace

import pytest

from looprate.experiments.study.certificates import asked_spec, cost_of, default_bits
from looprate.experiments.study.config import PRESETS
from looprate.experiments.study.constructed_findings import (
    constructed_curve,
    constructed_findings,
    constructed_slope,
    expected_slope,
)
from looprate.experiments.study.lessons import (
    BOXES,
    FEW_BOXES,
    TOLERANCE,
    certificate_rows,
    lesson_arguments,
    lesson_rows,
    planned_specs,
)
from looprate.experiments.study.plan import construct_tasks
from looprate.figures.explorer.setting import Setting
from looprate.theory.bounds.loop_counts import construction_loops, last_label
from looprate.theory.construction.memorisers import MEMORISERS
from looprate.theory.facts import facts_of
from looprate.theory.targets import parse_target

GRIDS = (4, 6, 8, 12, 16, 24, 32)
FACTS = {"tokens": 2, "dim": 1, "p": 1.0, "smoothness": {"exponent": 1.0}}
POWERS = {"increments": 3, "timestep": 2, "digits": 2}  # of m in the labels, N = 2, d = 1


def silent(part):
    """A progress report nobody reads."""


@pytest.mark.parametrize("grid", [2, 3, 4, 5, 7, 8, 9, 15, 16])
def test_default_digits_lose_an_eighth_of_a_cell_at_most_and_no_fewer_do(grid):
    q = default_bits("digits", grid)
    assert 8 * grid <= 2**q < 2 * 8 * grid
    how = {"tokens": 2, "dim": 1, "grid": grid, "memoriser": "digits"}
    assert asked_spec(**how).bits == Setting(**how).spec.bits == q
    assert default_bits("timestep", grid) is default_bits("increments", grid) is None


def made_up(memoriser, error_at, verdict="holds", tokens=2):
    """Return certificates whose errors are a function of the grid."""
    rows = []
    for grid in GRIDS:
        coding, bits = MEMORISERS[memoriser].coding, default_bits(memoriser, grid)
        shape = {"tokens": tokens, "dim": 1, "coding": coding}
        rows.append(
            {
                "memoriser": memoriser,
                "grid": grid,
                "tokens": tokens,
                "loops": construction_loops(grid, **shape, memoriser=memoriser, bits=bits),
                "labels": last_label(grid, **shape) + 1,
                "error_lower": 0.999 * error_at(grid),
                "error_upper": 1.001 * error_at(grid),
                "bound": 2 * error_at(grid),
                "verdict": verdict,
                "reason": "made up",
            }
        )
    return rows


# -- slopes ----------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("tokens", "dim", "p", "holder", "coding", "slope"),
    [
        (2, 1, 1.0, 1.0, "sum", -1 / 3),
        (2, 1, 1.0, 1.0, "rank", -1 / 2),
        (3, 1, 1.0, 1.0, "sum", -1 / 4),
        (2, 2, 1.0, 1.0, "rank", -1 / 4),
        (2, 1, 1.0, 0.5, "sum", -1 / 6),
        (2, 1, 2.0, 1.0, "rank", -1 / 2),
        (2, 1, 4.0, 1.0, "rank", -1 / 4),  # collisions of two tokens fall like δ^{2d/p}
        (3, 1, 2.0, 1.0, "rank", -1 / 6),  # those of more like δ^{d/p}
        (1, 1, 2.0, 1.0, "rank", -1.0),  # one token has none
    ],
)
def test_the_expected_slope_is_that_of_the_label_counts(tokens, dim, p, holder, coding, slope):
    found = expected_slope(tokens=tokens, dim=dim, p=p, holder=holder, coding=coding)
    assert found == pytest.approx(slope)
    labels = [last_label(m, tokens=tokens, dim=dim, coding=coding) for m in (1000, 2000)]
    power = math.log2(labels[1] / labels[0])  # labels like δ^-power
    shared = {1: math.inf, 2: 2 * dim}.get(tokens, dim)
    width = min(holder, shared / p)  # power of δ in the error
    assert found == pytest.approx(-width / power, rel=1e-2)


@pytest.mark.parametrize("memoriser", ["increments", "timestep", "digits"])
def test_an_error_like_the_cell_width_has_the_expected_slope(memoriser):
    rows = made_up(memoriser, lambda m: 1 / m)
    fit = constructed_slope(constructed_curve(rows, memoriser))
    assert fit.slope == pytest.approx(-1 / POWERS[memoriser], abs=0.02)
    assert len(fit.loops) == 5  # the tail: grids from 32 / 4 = 8 on
    inequality, slope = constructed_findings(FACTS, rows)
    assert (inequality.verdict, slope.verdict) == ("holds", "holds")
    variable = {"digits": "(r/q)"}.get(memoriser, "r")  # W2: no power of q alone
    assert re.search(rf" like {re.escape(variable)}\^-[0-9.]+ or faster, up to 0\.", slope.claim)


@pytest.mark.parametrize(("exponent", "verdict"), [(0.5, "violated"), (1.5, "holds")])
def test_only_an_error_that_falls_slower_than_the_inequality_is_violated(exponent, verdict):
    rows = made_up("timestep", lambda m: m**-exponent)
    assert constructed_findings(FACTS, rows)[1].verdict == verdict


def test_an_error_without_an_upper_end_is_on_no_curve():
    rows = made_up("timestep", lambda m: 1 / m)
    rows[-1] |= {"error_upper": None, "verdict": "not testable"}
    assert constructed_curve(rows, "timestep") == rows[:-1]
    assert constructed_findings(FACTS, rows)[0].verdict == "not testable"


def test_errors_off_a_line_and_too_few_grids_carry_no_slope():
    jagged = made_up("timestep", lambda m: (1.5 if m in (12, 24) else 1.0) * m**-0.4)
    found = constructed_findings(FACTS, jagged)[1]
    assert found.verdict == "not testable"
    assert "no line" in found.reason
    few = made_up("timestep", lambda m: 1 / m)[-3:]
    assert constructed_slope(constructed_curve(few, "timestep")) is None
    assert constructed_findings(FACTS, few)[1].verdict == "not testable"


def test_one_bad_certificate_decides():
    good = made_up("digits", lambda m: 1 / m)
    for verdict in ("violated", "not testable"):
        bad = [*good[:-1], {**good[-1], "verdict": verdict, "reason": "a weight"}]
        found = constructed_findings(FACTS, bad)[0]
        assert (found.verdict, found.reason) == (verdict, "a weight")
    vacuous = made_up("digits", lambda m: 1 / m, verdict="vacuous")
    assert constructed_findings(FACTS, vacuous)[0].verdict == "vacuous"
    assert constructed_findings(FACTS, []) == []


# -- planning --------------------------------------------------------------------------------------
def test_grids_beyond_the_budget_and_below_the_tokens_are_left_out():
    plan = {"tokens": 3, "dim": 1, "memoriser": "increments", "grids": [2, 3, 4, 100]}
    specs, left_out = planned_specs(**plan, seconds=10.0)
    assert [spec.grid for spec in specs] == [3, 4]
    assert all(cost_of(spec).seconds <= 10 for spec in specs)
    assert list(left_out) == [100]
    assert left_out[100] > 10
    none, every = planned_specs(**plan, seconds=0.0)
    assert not none
    assert list(every) == [3, 4, 100]
    huge = {"tokens": 64, "dim": 4, "memoriser": "timestep", "grids": [64]}  # beyond any float
    assert planned_specs(**huge, seconds=1e9) == ([], {64: math.inf})


@pytest.mark.parametrize(
    ("shape", "boxes"), [((2, 2), BOXES), ((2, 1), BOXES), ((2, 4), FEW_BOXES)]
)
def test_inputs_of_many_entries_get_few_boxes_and_smaller_ones_the_usual(shape, boxes):
    config = replace(PRESETS["smoke"], targets=("mean-field",), shapes=(shape,), grids=(2,))
    *tasks, _ = construct_tasks(config)
    assert {task.arguments["boxes"] for task in tasks} == {boxes}


def test_facts_of_a_target_are_those_of_its_closed_forms():
    facts = facts_of(parse_target("mean-field"), tokens=2, dim=1, p=1.0)
    assert {finding.verdict for finding in facts.hypotheses} == {"holds"}
    assert facts.moduli("token", 0.1) == (pytest.approx(0.15), "exact")  # (a + b/N) δ
    assert facts.oscillation == 2.0


# -- lessons ---------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def lessons():
    """Rows of the smallest lessons, by figure."""
    rows = lesson_rows(silent, **lesson_arguments(5))
    return {
        name: [row for row in rows if row["figure"] == name]
        for name in ("memorisers", "arithmetic", "stages")
    }


def test_memorisers_keep_their_bounds_and_timestep_is_exact(lessons):
    rows = lessons["memorisers"]
    assert {row["memoriser"] for row in rows} == {"increments", "timestep", "digits"}
    assert all(row["residual"] <= row["bound"] for row in rows)
    assert {row["residual"] for row in rows if row["memoriser"] == "timestep"} == {0.0}
    rough = [row["residual"] for row in rows if row["memoriser"] == "increments"]
    assert rough == sorted(rough)
    assert rough[0] > 0


def test_exact_runs_have_no_error_and_floats_break_where_weights_outgrow_them(lessons):
    rows = lessons["arithmetic"]
    exact = [row for row in rows if row["arithmetic"] == "exact"]
    assert {row["value"] for row in exact} == {0.0}
    double = [row for row in rows if row["arithmetic"] == "float64"]
    assert all(row["value"] < 1e-9 for row in double if not row["refused"])
    broken = [row for row in double if row["memoriser"] == "increments" and row["labels"] > 100]
    assert broken
    assert all(row["refused"] and (row["value"] is None or row["value"] > 0.1) for row in broken)


def test_stages_have_every_panel_and_both_tokens(lessons):
    rows = lessons["stages"]
    assert {row["panel"] for row in rows} == {"cells", "order", "step", "staircase", "state"}
    chosen = [row for row in rows if row.get("name") == "chosen"]
    table = {r["position"]: r["height"] for r in rows if r.get("name") == "network"}
    assert [row["height"] for row in chosen] == [table[row["position"]] for row in chosen]


# -- the theorem's rates ---------------------------------------------------------------------------
RATES = ["token-power:alpha=1,center=0", "context-max"]


@pytest.mark.parametrize("target", RATES)
@pytest.mark.parametrize(("tokens", "grids"), [(2, GRIDS), (3, (3, 4, 5, 6, 8, 10))])
def test_timestep_errors_fall_at_the_rate_of_the_rank_code(target, tokens, grids):
    check_rate(target, tokens, "timestep", grids)


@pytest.mark.slow
@pytest.mark.parametrize("target", [*RATES, "dial:token=0.5,context=0.5,periods=1"])
@pytest.mark.parametrize("memoriser", ["increments", "digits"])
@pytest.mark.parametrize(("tokens", "grids"), [(2, GRIDS), (3, (3, 4, 5, 6, 8, 10, 12))])
def test_constructed_errors_fall_at_their_rates(target, memoriser, tokens, grids):
    if tokens == 3 and "dial" in target:
        pytest.skip("a period needs more cells than N = 3 affords")
    check_rate(target, tokens, memoriser, grids)


def check_rate(target, tokens, memoriser, grids):
    """Certify a grid after the other and compare the slope of the errors' tail."""
    specs, left_out = planned_specs(
        tokens=tokens, dim=1, memoriser=memoriser, grids=list(grids), seconds=60.0
    )
    assert not left_out
    rows = certificate_rows(
        silent,
        target=target,
        p=1.0,
        specs=[spec.as_dict() for spec in specs],
        tolerance=TOLERANCE,
        boxes=BOXES,
        source=None,
    )
    assert [row["grid"] for row in rows] == list(grids)
    assert all(row["verdict"] in ("holds", "vacuous") for row in rows)
    fit = constructed_slope(constructed_curve(rows, memoriser))
    coding = MEMORISERS[memoriser].coding
    expected = expected_slope(tokens=tokens, dim=1, p=1.0, holder=1.0, coding=coding)
    assert abs(fit.slope - expected) <= 0.05
    printed = -1 / ((tokens + 1) + 1)  # the printed theorem's, looser than its own construction
    assert fit.slope < printed
