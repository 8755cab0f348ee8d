"""What is known of a target: every question asked in the one setting, every answer kept."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, replace
from types import SimpleNamespace

import numpy as np
import pytest

from looprate.theory import facts
from looprate.theory.bounds.rows import BoundRow
from looprate.theory.bounds.trivial import best_constant_error
from looprate.theory.certification import Proof
from looprate.theory.continuity.certified import as_written
from looprate.theory.facts import (
    Facts,
    bound_under,
    facts_of,
    has_closed_forms,
    lower_curves,
    moduli_of,
    moduli_rows,
    search_radii,
    stored_facts,
    trivial_error,
)
from looprate.theory.gate import Contradiction
from looprate.theory.hypotheses.inputs import special_points
from looprate.theory.notation import KINDS
from looprate.theory.oscillation import oscillation_of
from looprate.theory.targets import OwnFunction, parse_target
from looprate.theory.targets.base import ClosedForm
from looprate.theory.verdict import Finding, Verdict
from looprate.theory.versions import bound_function

SHAPE = {"tokens": 3, "dim": 2, "p": 2.0}
SIZE = {"tokens": 3, "dim": 2}
GOOD = Finding("f is good", Verdict.HOLDS, "looked at")
BAD = Finding("f is good", Verdict.NOT_TESTABLE, "a jump")


class Told:
    """A target of which a table tells the closed forms, at one radius; each question is checked."""

    smoothness = parse_target("mean-field").smoothness
    latex = "f"

    def __init__(self, forms, oscillation=2.0, only=None):
        self.forms, self.D, self.only = forms, oscillation, only

    def __str__(self):
        return "told"

    def closed_form(self, delta, *, kind, tokens, dim, p):
        assert (tokens, dim, p) == (3, 2, 2.0)
        assert self.only in (None, delta)
        return self.forms.get(kind)

    def oscillation(self, *, tokens, dim):
        assert (tokens, dim) == (3, 2)
        return self.D


def exact(value):
    return ClosedForm(value, "exact", "")


def upper(value):
    return ClosedForm(value, "upper", "")


def curve(deltas, lower):
    pair = SimpleNamespace(x=np.zeros((3, 2)), y=np.full((3, 2), 0.25))
    return SimpleNamespace(
        delta=np.array(deltas), lower=np.array(lower), pairs=(pair,) * len(deltas)
    )


def own(function=lambda x: 2.0 * x):
    return OwnFunction("own", function, frozenset({"numpy"}))


# -- what is asked for -----------------------------------------------------------------------------


def test_moduli_are_known_where_all_three_have_a_closed_form_at_a_tenth():
    every = dict.fromkeys(KINDS, exact(1.0))
    assert has_closed_forms(Told(every, only=0.1), **SHAPE)
    assert has_closed_forms(Told(every | {"token": upper(1.0)}), **SHAPE)
    for kind in KINDS:
        assert not has_closed_forms(Told(every | {kind: None}), **SHAPE)
    assert not has_closed_forms(Told({}), **SHAPE)


def test_smaller_radii_are_searched_where_bounds_rest_on_the_search():
    usual = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
    assert usual == facts.DELTAS
    assert search_radii(Told(dict.fromkeys(KINDS, exact(1.0))), **SHAPE) == usual
    assert search_radii(Told({"token": exact(1.0)}), **SHAPE) == (0.0001, 0.001, *usual)


@pytest.fixture
def asked(monkeypatch):
    """Every search of moduli that is asked for, answered by 2 delta."""
    calls = []

    def search(target, radii, *, rng, **how):
        calls.append({"target": target, "radii": radii.tolist(), "draw": rng.random(), **how})
        return curve(radii.tolist(), 2 * radii)

    monkeypatch.setattr(facts, "modulus_lower_bound", search)
    return calls


def test_searches_share_radii_effort_and_seed_and_report_what_is_done(asked):
    target, done = own(), []
    found = lower_curves(target, [0.1, 0.3], **SHAPE, report=done.append)
    assert list(found) == list(KINDS)
    assert done == [1 / 3, 2 / 3, 1.0]
    first = np.random.default_rng(0).random()
    for call, kind in zip(asked, KINDS, strict=True):
        wanted = {"target": target, "radii": [0.1, 0.3], "draw": first, "kind": kind, "effort": 1.0}
        assert call == wanted | SHAPE | {"enough": None}
    asked.clear()
    lower_curves(target, [0.2], **SHAPE, kinds=("token",), effort=0.5, seed=7)
    (call,) = asked
    assert (call["kind"], call["effort"]) == ("token", 0.5)
    assert call["draw"] == np.random.default_rng(7).random()
    with pytest.raises(ValueError, match="`delta`"):
        lower_curves(target, [-0.1], **SHAPE)


def test_a_target_with_closed_forms_is_searched_on_demand_and_at_full_effort(asked):
    target = parse_target("mean-field")
    known = facts_of(target, **SHAPE)
    assert (asked, known.rows) == ([], ())
    assert known.target is target
    assert known.shape == SHAPE
    assert known.oscillation == target.oscillation(**SIZE)
    assert known.oscillation_side == "upper"
    assert (known.trivial, known.trivial_stderr) == trivial_error(target, **SHAPE)
    assert all(finding.verdict is Verdict.HOLDS for finding in known.hypotheses)
    done = []
    steep = parse_target("10*mean-field")  # the search that answers 2 delta is below it
    searched = facts_of(steep, **SHAPE, searched=True, report=done.append)
    assert len(done) == len(asked) == 3
    assert {call["effort"] for call in asked} == {1.0}
    assert {tuple(call["radii"]) for call in asked} == {facts.DELTAS}
    assert [(row["kind"], row["delta"]) for row in searched.rows] == [
        (kind, delta) for kind in KINDS for delta in facts.DELTAS
    ]


def test_an_own_function_is_searched_at_small_radii_too_with_less_effort(asked, monkeypatch):
    given = []

    def nothing(target, curves, **how):
        given.append({"target": target, "kinds": list(curves), **how})
        column = {"certified": None, "method": None}
        return Proof(2.0, "lower", (column,) * 27, "no enclosure")

    monkeypatch.setattr(facts, "proof_of", nothing)
    target = own()
    known = facts_of(target, **SHAPE)
    how = {"seconds": 5.0, "follow": as_written, "report": None}
    assert given == [{"target": target, "kinds": list(KINDS), **SHAPE, **how}]
    assert known.uncertified == "no enclosure"
    assert {call["effort"] for call in asked} == {0.3}
    assert {tuple(call["radii"]) for call in asked} == {(1e-4, 1e-3, *facts.DELTAS)}
    assert len(known.rows) == 3 * 9
    assert {row["side"] for row in known.rows} == {"lower"}
    assert known.oscillation_side == "lower"
    assert known.oscillation == 2.0  # seen at the corners
    assert known.moduli("token", 0.1) == (0.2, "lower")


def test_closed_forms_tell_the_search_where_to_end_if_all_are_exact(asked):
    lower_curves(parse_target("2*mean-field"), [0.1, 0.3], **SHAPE, kinds=("token",))
    lower_curves(parse_target("softmax-attention"), [0.1], **SHAPE, kinds=("sequence",))
    (first, second) = (call["enough"] for call in asked)
    form = parse_target("2*mean-field").closed_form
    assert first.tolist() == [form(r, kind="token", **SHAPE).value for r in (0.1, 0.3)]
    assert second is None


# -- rows of moduli --------------------------------------------------------------------------------


def test_rows_say_what_is_attained_proven_and_the_better_of_both():
    lifted = 1.0 + 1e-12  # a closed form is exceeded by rounding: it is what is said
    target = Told({"sequence": exact(1.0), "token": upper(3.0)})
    curves = {kind: curve([0.25], [lifted]) for kind in KINDS}
    assert moduli_rows(target, curves, **SHAPE) == [
        {"kind": "sequence", "delta": 0.25, "lower": 1.0, "exact": 1.0, "upper": 1.0}
        | {"side": "exact"},
        {"kind": "token", "delta": 0.25, "lower": lifted, "exact": None, "upper": 3.0}
        | {"side": "upper"},
        {"kind": "contextual", "delta": 0.25, "lower": lifted, "exact": None, "upper": None}
        | {"side": "lower"},
    ]


def test_a_contradiction_of_a_row_names_modulus_radius_and_pair():
    with pytest.raises(Contradiction) as told:
        moduli_rows(Told({"token": exact(1.0)}), {"token": curve([0.25], [1.1])}, **SHAPE)
    for part in ("told, token modulus at delta 0.25, p = 2", "x = [[0.0, 0.0]", "y = [[0.25, 0."):
        assert part in str(told.value)


def test_moduli_ask_for_their_own_kind_radius_and_setting():
    rows = [{"kind": kind, "delta": 0.5, "lower": k + 1.0} for k, kind in enumerate(KINDS)]
    moduli = moduli_of(Told({"token": upper(5.0)}), rows, **SHAPE)
    assert moduli("token", 0.5) == (5.0, "upper")
    assert moduli("sequence", 0.7) == (1.0, "lower")
    assert moduli("contextual", 0.5) == (3.0, "lower")
    rows = [*rows, {"kind": "contextual", "delta": 0.2, "lower": 0.5, "certified": 4.0}]
    moduli = moduli_of(Told({}), rows, **SHAPE)
    assert moduli("contextual", 0.1) == (4.0, "upper")
    assert moduli("contextual", 0.5) == (12.0, "upper")  # three pieces
    assert moduli("contextual", 0.0) == (0.0, "lower")
    assert moduli("token", 0.5) == (2.0, "lower")


# -- oscillations and best constants ---------------------------------------------------------------


def test_a_proven_oscillation_is_taken_without_a_look_at_the_function():
    assert oscillation_of(Told({}, oscillation=0.0), **SIZE) == 0.0
    assert oscillation_of(Told({}, oscillation=7.0), **SIZE) == 7.0


@pytest.mark.parametrize(("more", "count"), [({}, 4096), ({"points": 64}, 64)])
def test_an_own_function_s_oscillation_is_seen_at_seeded_points_and_at_special_ones(more, count):
    seen = []

    def f(x):
        seen.append(x)
        return x * np.array([1.0, -3.0]) + 100.0 * (x == 0.5).all((1, 2), keepdims=True)

    assert oscillation_of(own(f), **SIZE, **more) == pytest.approx(103.0 - 1.5, abs=0.02)
    rng = np.random.default_rng(0)
    special = special_points(3, 2, count=count // 16, rng=rng)
    assert np.array_equal(seen[0], np.concatenate([rng.random((count, 3, 2)), special]))


def test_oscillations_are_of_each_coordinate_over_all_tokens_and_must_be_finite():
    def f(x):
        return x * np.array([1.0, -3.0]) + np.arange(3)[:, None]

    assert oscillation_of(own(f), **SIZE) == 5.0  # -3 to 2 in the second coordinate
    with pytest.raises(ValueError, match=r"two of its values differ .* scale it down"):
        oscillation_of(own(lambda x: 1.5e308 * (2 * x - 1)), **SIZE)


def test_the_best_constant_has_one_seed_and_so_many_points():
    target, p = own(lambda x: np.exp(x)), 1.5
    value, stderr, _ = best_constant_error(
        target, **SIZE, p=p, points=4096, rng=np.random.default_rng(0)
    )
    assert trivial_error(target, **SIZE, p=p) == (value, stderr)


# -- facts as they are kept ------------------------------------------------------------------------


def some_facts(hypotheses=(GOOD,), rows=(), **more):
    given = {"oscillation": 0.75, "oscillation_side": "upper", "trivial": 0.6}
    given |= {"trivial_stderr": 0.01} | more
    return Facts(parse_target("mean-field"), **SHAPE, hypotheses=hypotheses, rows=rows, **given)


def test_moduli_of_facts_are_closed_forms_unless_others_are_given():
    known = some_facts()
    form = known.target.closed_form(0.1, kind="token", **SHAPE)
    assert known.moduli("token", 0.1) == (form.value, "exact")
    other = replace(known, moduli=lambda kind, delta: (7.0, "lower"))
    assert other.moduli("token", 0.1) == (7.0, "lower")


@pytest.mark.parametrize("slope", [math.inf, 1e3])
@pytest.mark.parametrize("placement", ["all", "inner"])
@pytest.mark.parametrize("version", ["theorem-3.6", "increments"])
def test_bounds_of_facts_are_those_of_their_setting(version, placement, slope):
    known = some_facts()
    how = {"placement": placement, "slope": slope}
    wanted = bound_function(
        version, known.moduli, **SHAPE, oscillation=0.75, trivial=0.6, trivial_stderr=0.01, **how
    )
    for loops in (4, 10**4, 10**12):
        assert known.bound(version, **how)(loops) == wanted(loops)
    if placement == "all" and slope == math.inf:
        assert known.bound(version)(10**4) == wanted(10**4)


def test_no_bound_is_testable_where_a_hypothesis_fails():
    row = some_facts().bound("theorem-3.6")(10**4)
    assert bound_under(row, [GOOD]) is row
    failed = some_facts(hypotheses=(GOOD, BAD)).bound("theorem-3.6")(10**4)
    assert isinstance(failed, BoundRow)
    assert failed.verdict is Verdict.NOT_TESTABLE
    assert failed.reason == '"f is good" fails: a jump'
    kept = {k: v for k, v in asdict(row).items() if k not in ("verdict", "reason")}
    assert kept.items() <= asdict(failed).items()


def test_facts_are_read_back_as_they_were_stored():
    rows = (
        {"kind": "token", "delta": 0.1, "lower": 0.01, "exact": None, "upper": None}
        | {"side": "lower"},
    )
    known = some_facts(rows=rows, hypotheses=(GOOD, BAD), oscillation_side="lower")
    row = known.as_row()
    assert row["latex"] == known.target.latex
    assert row["smoothness"] == asdict(known.target.smoothness)
    again = stored_facts(json.loads(json.dumps(row)), known.target)
    for name in ("target", "shape", "rows", "oscillation", "oscillation_side"):
        assert getattr(again, name) == getattr(known, name), name
    assert (again.trivial, again.trivial_stderr) == (0.6, 0.01)
    assert [(f.claim, f.verdict, f.reason) for f in again.hypotheses] == [
        (f.claim, f.verdict, f.reason) for f in (GOOD, BAD)
    ]


@pytest.mark.parametrize(
    ("stored", "now", "sound"),
    [
        (None, None, True),
        (2.0, None, True),
        (None, exact(2.0), True),
        (2.0, exact(1.0), True),
        (0.5, None, False),
        (None, upper(0.5), False),
        (0.5, upper(2.0), False),
    ],
)
def test_stored_lower_bounds_are_held_against_stored_and_present_closed_forms(stored, now, sound):
    row = some_facts().as_row()
    row["moduli"] = [{"kind": "token", "delta": 0.1, "lower": 1.0, "upper": stored}]
    target = Told({"token": now}, only=0.1)
    if sound:
        assert stored_facts(row, target).rows == tuple(row["moduli"])
        return
    with pytest.raises(Contradiction, match=r"token modulus at delta 0\.1, p = 2, as stored is"):
        stored_facts(row, target)


def test_a_stored_certificate_below_a_stored_pair_is_an_error_that_names_both():  # A3
    row = some_facts().as_row()
    known = {"kind": "token", "delta": 0.1, "lower": 1.0, "upper": None}
    row["moduli"] = [known | {"certified": 1.0}]
    assert stored_facts(row, Told({})).rows == tuple(row["moduli"])
    row["moduli"] = [known | {"certified": 0.99}]
    with pytest.raises(Contradiction, match=r"token modulus at delta 0\.1.* is 0\.99, below .* 1"):
        stored_facts(row, Told({}))
