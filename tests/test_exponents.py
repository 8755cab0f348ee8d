"""Slopes through certified errors, networks of few bits, and the study of both."""

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from looprate.experiments.engine.sweep import CONSTRUCTIONS
from looprate.experiments.exponents.config import PRESETS
from looprate.experiments.exponents.few_bits import (
    few_bits_rows,
    few_bits_tasks,
    figure_rows,
    floors,
)
from looprate.experiments.exponents.plan import exponents_sweep
from looprate.experiments.exponents.report import line_finding, write_exponents_report
from looprate.experiments.study.lessons import certificate_rows
from looprate.figures.drawing import make_figure
from looprate.theory.construction.build.compile import compile_construction
from looprate.theory.construction.build.network import Affine, Block, Network, Unit
from looprate.theory.construction.build.spec import ConstructionSpec
from looprate.theory.construction.certify.error import _off_ties
from looprate.theory.construction.run.exact import exact_output
from looprate.theory.construction.run.few_bits import bits_needed, for_few_bits, saturated_output
from looprate.theory.statistics.enclosed import enclosed_slope, enclosed_slope_finding
from looprate.theory.targets import resolve_target
from looprate.theory.verdict import Verdict

SMOKE = PRESETS["smoke"]


def test_enclosed_slope_contains_every_slope_and_its_ends_are_attained():
    rng, loops = np.random.default_rng(0), np.array([10, 30, 70, 200])
    low = 3.0 / loops
    high = low * np.array([1.1, 1.3, 1.05, 1.2])
    ends = enclosed_slope(loops, low, high)
    x = np.log(loops)
    drawn = [
        np.polyfit(x, np.log(low + share * (high - low)), 1)[0]
        for share in (*rng.random((200, 4)), *np.ndindex(2, 2, 2, 2))
    ]
    assert ends[0] <= min(drawn) <= ends[0] + 1e-9
    assert ends[1] - 1e-9 <= max(drawn) <= ends[1]


@pytest.mark.parametrize("p", [1.0, 1.5, 2.0, 8.0])
def test_near_ties_take_their_power_from_a_norm_and_hardly_more(p):
    for low, strips in ((1.0, 0.0), (1.0, 0.05), (2e-3, 1e-4), (1e-200, 1e-201)):
        found, exact = _off_ties(low, strips, p), low * (1 - (strips / low) ** p) ** (1 / p)
        assert 0.9 * exact <= found <= exact
    assert _off_ties(1.0, 1.0, p) == _off_ties(1.0, 2.0, p) == 0.0
    assert _off_ties(1.0, 0.1, math.inf) <= 0.9


def test_a_slope_is_judged_by_its_whole_interval():
    def verdict(low, high, **more):
        return enclosed_slope_finding((low, high), -1.0, tolerance=0.05, claim="", **more).verdict

    assert verdict(-1.04, -0.96) is Verdict.HOLDS
    assert verdict(-1.06, -0.96) is verdict(-1.0, -0.94) is Verdict.NOT_TESTABLE
    assert verdict(-0.94, -0.9) is verdict(-1.2, -1.06) is Verdict.VIOLATED
    assert verdict(-1.2, -1.06, at_least=True) is Verdict.HOLDS
    assert verdict(-0.94, -0.9, at_least=True) is Verdict.VIOLATED


@pytest.mark.parametrize(
    ("loops", "lower"), [([4, 4], [1.0, 1.0]), ([4, 8], [1.0]), ([4, 8], [0.0, 1.0])]
)
def test_errors_without_a_slope_are_refused(loops, lower):
    with pytest.raises(ValueError, match="`lo"):
        enclosed_slope(loops, lower, [1.0] * len(lower))


def test_exponents_of_lines_are_those_of_the_sheet():
    full = {
        (line.memoriser, line.tokens, line.holder, line.p, line.coding): line.exponents["own"]
        for line in PRESETS["full"].lines
    }
    for p in (1.0, 2.0):  # no collision: p does not matter on the others code
        assert full["increments", 2, 1.0, p, "others"] == -1 / 2
        assert full["two-level-increments", 2, 1.0, p, "others"] == -1
        assert full["increments", 3, 1.0, p, "others"] == pytest.approx(-1 / 3)
        assert full["two-level-increments", 3, 1.0, p, "others"] == pytest.approx(-2 / 3)
    assert full["increments", 2, 0.5, 1.0, "others"] == -1 / 4
    assert full["two-level-increments", 2, 0.5, 1.0, "others"] == -1 / 2
    assert full["timestep", 2, 1.0, 2.0, "rank"] == -1 / 2
    assert full["timestep", 3, 1.0, 2.0, "rank"] == pytest.approx(-1 / 6)


def _points(line):
    how = {"tolerance": 0.02, "boxes": 60_000, "target": line.target, "p": line.p}
    return certificate_rows(lambda part: None, specs=[s.as_dict() for s in line.specs], **how)


def test_certified_errors_fall_with_their_exponent_and_not_with_the_other():
    """Every day at few grids: 0.12 tells -1/2 from -1."""
    for line, other in zip(SMOKE.lines[:2], ("tmlt", "lt"), strict=True):
        points = _points(line)
        how = {"tolerance": SMOKE.tolerance}
        own = line_finding(line, points, predicted=line.exponents["own"], **how)
        assert own.verdict is Verdict.HOLDS, own.reason
        wrong = line_finding(line, points, predicted=line.exponents[other], **how)
        assert wrong.verdict is Verdict.VIOLATED


@pytest.mark.slow
@pytest.mark.parametrize("line", PRESETS["full"].lines, ids=str)
def test_certified_slopes_are_within_a_twentieth_of_the_exponent(line):
    points = _points(replace(line, grids=tuple(m for m in line.grids if m <= 600)))
    found = line_finding(line, points, predicted=line.exponents["own"], tolerance=0.05)
    assert found.verdict is Verdict.HOLDS, found.reason
    if line.coding == "others":
        for name in {"lt", "tmlt"}:
            if line.exponents[name] != line.exponents["own"]:
                wrong = line_finding(line, points, predicted=line.exponents[name], tolerance=0.05)
                assert wrong.verdict is Verdict.VIOLATED


@pytest.mark.parametrize(
    ("memoriser", "coding", "grid"),
    [("increments", "others", 2), ("two-level-increments", "others", 5), ("timestep", "rank", 6)],
)
def test_integers_of_enough_bits_answer_exactly_and_of_too_few_do_not(memoriser, coding, grid):
    spec = ConstructionSpec(2, 1, grid, memoriser, coding, None, 8)
    built = compile_construction(resolve_target("mean-field"), spec)
    numbers = np.random.default_rng(0).integers(0, spec.slope, (64, 2, 1)).astype(float)
    for bits in range(7, 20):
        small = for_few_bits(built, bits)
        exact = exact_output(small.network, numbers.astype(int), denominator=1).floats
        same = np.abs(saturated_output(small.network, numbers, bits=bits) - exact).max() < 1e-12
        assert same == (bits_needed(small) <= bits) or bits_needed(small) - bits in (1, -1)
        if bits_needed(small) <= bits:
            assert same


def test_every_number_is_clipped_on_its_way():
    units = (Unit("up", {"x": 3}, 0, {"y": 1}), Unit("down", {"x": 1}, 0, {"y": -1}))
    decoder = (({"y": Fraction(1)}, Fraction(0)),)
    network = Network(Block(("x", "y"), (), units, {}), {"x": Affine({0: 1})}, decoder, {}, 1)
    found = saturated_output(network, np.array([[[5.0]], [[9.0]], [[1.0]]]), bits=3)
    assert found.ravel().tolist() == [7 - 5, 7 - 7, 3 - 1]  # 15, 9 and 27 become 7


def test_more_bits_than_floats_add_exactly_are_refused():
    spec = ConstructionSpec(2, 1, 2, "timestep", "rank", None, 8)
    built = for_few_bits(compile_construction(resolve_target("mean-field"), spec), 8)
    with pytest.raises(ValueError, match="from 2 to 24"):
        saturated_output(built.network, np.zeros((1, 2, 1)), bits=25)


def test_floors_are_the_predicted_ones_and_only_eta_escapes_them():
    rows = [
        row
        for task in few_bits_tasks("mean-field", 8)
        for row in few_bits_rows(lambda part: None, **task)
    ]
    found = floors(rows)
    for floor in found:
        if floor["predicted"] is not None:
            ratio = floor["measured"] / floor["predicted"]
            assert 1 / 2.1 <= ratio <= 2.1, floor
    best = {(f["memoriser"], f["arithmetic"]): f for f in found}
    assert best["increments", "float64"]["measured"] > 4 * best["timestep", "int12"]["measured"]
    assert not best["timestep", "int16"]["reached"]
    figure = make_figure("few-bits", figure_rows(rows))
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert "LT: increments" in texts
    assert "TMLT: timestep" in texts


def test_a_report_says_what_its_rows_say(tmp_path):
    config = replace(SMOKE, lines=SMOKE.lines[:1], few_bits_grid=2, grid=2)
    sweep = exponents_sweep(config, tmp_path)
    sweep.run()
    report = write_exponents_report(config, tmp_path, sweep.rows(CONSTRUCTIONS))
    assert [line["verdict"] for line in report["lines"]] == ["holds"]
    assert len(report["certificates"]) == 15
    assert all(math.isfinite(row["error_upper"]) for row in report["certificates"])
    text = (tmp_path / "exponents.md").read_text()
    assert "| increments | others | mean-field | 2 | 1 | 6-24 |" in text
    assert (tmp_path / "slopes.csv").read_text().count("\n") == 2
