"""What is certified by default: never below what is attained, close to it, or a reason."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from cases.own_functions import OWN
from looprate.theory.certification import beside, drawn, drawn_rows, proof_of, unproven
from looprate.theory.continuity import ModulusLowerCurve
from looprate.theory.continuity.certified import as_written
from looprate.theory.facts import facts_of, lower_curves
from looprate.theory.oscillation import enclosed_oscillation, oscillation_of
from looprate.theory.targets import OwnFunction, parse_target, resolve_target
from looprate.theory.verdict import Verdict

SHAPE = {"tokens": 2, "dim": 1, "p": 1.0}
SIZE = {"tokens": 2, "dim": 1}


def own(function):
    return OwnFunction("own", function, frozenset({"numpy"}))


def bent(x):
    return np.sin(6 * x) + x.mean(1, keepdims=True) / 2


@pytest.mark.parametrize("dim", [1, 2])
@pytest.mark.parametrize("boxes", [1, 50, 2000])
def test_an_enclosed_oscillation_is_never_below_a_sampled_one_and_comes_close(dim, boxes):
    for f in (own(bent), own(lambda x: x * x.max(1, keepdims=True)), own(lambda x: 0 * x + 1)):
        seen = oscillation_of(f, tokens=2, dim=dim)
        found = enclosed_oscillation(f, tokens=2, dim=dim, tolerance=0.02, boxes=boxes)
        assert seen <= found * (1 + 1e-12)
        if boxes == 2000:
            assert found <= 1.06 * seen + 1e-12


def test_the_whole_of_a_steep_spike_is_seen_and_a_pole_has_no_bound():
    spike = own(lambda x: np.exp(-1e4 * (x - 0.3) ** 2))  # random points meet little of it
    assert enclosed_oscillation(spike, **SIZE, tolerance=0.02, boxes=2000) >= 1
    pole = own(lambda x: 1 / (x - 0.3))
    assert math.isinf(enclosed_oscillation(pole, **SIZE, tolerance=0.02, boxes=100))


def proof(f, radii=(1e-3, 0.1), kinds=("token",), **more):
    curves = lower_curves(f, radii, **SHAPE, effort=0.1, kinds=kinds)
    how = {"seconds": 0.5, "follow": as_written} | more
    return curves, proof_of(f, curves, **SHAPE, **how)


def test_moduli_are_certified_from_above_at_every_radius_and_closely():
    curves, found = proof(own(bent), kinds=("token", "contextual"))
    lower = [low for curve in curves.values() for low in curve.lower.tolist()]
    upper = [column["certified"] for column in found.columns]
    assert (found.side, found.missing, len(upper)) == ("upper", "", 4)
    for low, high in zip(lower, upper, strict=True):
        assert low <= high <= 1.06 * low


def test_the_proof_of_a_target_keeps_what_is_proven_on_paper():
    target = parse_target("softmax-attention")
    proven = target.oscillation(**SIZE)
    assert unproven(target, **SIZE).side == "upper"
    _, found = proof(target, seconds=0.01)
    assert (found.oscillation, found.side) == (proven, "upper")
    assert unproven(own(bent), **SIZE).side == "lower"


@pytest.mark.parametrize(
    ("name", "said"),
    [("opaque", "`numpy.cbrt` has no enclosure"), ("steps", "`numpy.round` has no enclosure")],
)
def test_what_has_no_enclosure_is_named_on_one_line_and_decides_nothing(name, said):
    _, found = proof(resolve_target(f"{OWN}:{name}", **SIZE))
    assert said in found.missing
    assert "\n" not in found.missing
    assert found.side == "lower"
    assert found.columns == ({"certified": None, "method": None},) * 2


def test_a_function_without_a_finite_range_has_no_upper_bounds(monkeypatch):
    finite = own(bent)
    monkeypatch.setattr(
        "looprate.theory.certification.enclosed_oscillation", lambda *_, **__: math.inf
    )
    _, found = proof(finite)
    assert (found.side, found.columns[0]["certified"]) == ("lower", None)
    assert "no finite bound" in found.missing


def test_the_reason_stands_in_the_verdict_of_a_bound(monkeypatch):
    monkeypatch.setattr("looprate.theory.facts.EFFORT", 0.02)
    known = facts_of(resolve_target(f"{OWN}:opaque", **SIZE), **SHAPE)
    row = known.bound("theorem-3.6")(10**12)
    assert row.verdict is Verdict.NOT_TESTABLE
    assert "needs upper bounds of the moduli; `target`" in row.reason
    assert "`numpy.cbrt` has no enclosure" in row.reason
    assert known.bound("theorem-3.6")(10).verdict is Verdict.VACUOUS  # a lower estimate is enough


def test_rows_show_the_least_that_is_proven():
    row = {"lower": 1.0, "upper": None, "side": "lower"}
    known = beside(row, {"certified": 1.25, "method": "partition"})
    assert (known["side"], known["upper"], drawn(known)["upper"]) == ("upper", None, 1.25)
    assert beside(row, {"certified": None, "method": None})["side"] == "lower"
    assert drawn({"upper": 2.0})["upper"] == 2.0
    assert drawn({"upper": 2.0, "certified": 3.0})["upper"] == 2.0
    exact = beside(row | {"side": "exact"}, {"certified": 1.25, "method": "partition"})
    assert exact["side"] == "exact"


def test_a_curve_of_every_kind_is_certified(monkeypatch):
    given = []

    def columns(target, curves, **how):
        given.append((list(curves), how["boxes"], how["seconds"]))
        count = sum(len(curve.delta) for curve in curves.values())
        return [{"certified": 9.0, "method": "told", "gap": 0.1}] * count, []

    monkeypatch.setattr("looprate.theory.certification.certified_columns", columns)
    curves, found = proof(own(bent), kinds=("sequence", "token", "contextual"), seconds=2.0)
    assert given == [(["sequence", "token", "contextual"], 2 * 50_000 // 8, 24.0)]
    assert found.columns == ({"certified": 9.0, "method": "told"},) * 6
    assert all(isinstance(curve, ModulusLowerCurve) for curve in curves.values())


def test_a_drawn_closed_form_has_no_corners_of_the_search():
    target, shape = resolve_target("token-sine:periods=2"), SHAPE
    own = [{"kind": "token", "delta": delta, "lower": 0.1, "exact": 0.2} for delta in (0.01, 1.0)]
    rows = [row for row in drawn_rows(target, own, **shape) if row["kind"] == "token"]
    radii = sorted(row["delta"] for row in rows)
    assert max(right / left for left, right in itertools.pairwise(radii)) < 1.11
    assert [row["lower"] for row in rows if row["delta"] in (0.01, 1.0)] == [0.1, 0.1]
    between = [row for row in rows if row["delta"] not in (0.01, 1.0)]
    form = target.closed_form(between[7]["delta"], kind="token", **shape)
    assert (between[7]["exact"], between[7]["lower"]) == (form.value, None)
    assert drawn_rows(target, own[:1], **shape) == [own[0] | {"upper": None}]
