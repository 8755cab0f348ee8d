"""One question has one answer, to the last digit: whoever is asked, and where it is written."""

import csv
import json
import math

import pytest

import looprate
from looprate.experiments.claims.check_bounds import facts_at, theorem_at
from looprate.experiments.claims.check_certificates import TOLERANCE as OF_CLAIMS
from looprate.experiments.claims.check_certificates import Case, certified
from looprate.experiments.study.figure_rows import write_figure_rows
from looprate.experiments.study.source import source_digest
from looprate.experiments.study.work import theory_rows
from looprate.figures.explorer import views
from looprate.figures.explorer.export import figure_rows
from looprate.figures.explorer.setting import Setting
from looprate.theory.construction.memorisers import MEMORISERS
from looprate.theory.facts import EFFORT, facts_of, stored_facts
from looprate.theory.notation import KINDS
from looprate.theory.targets import resolve_target

TARGETS = {
    "built-in": "dial:token=0.5,context=0.5,periods=2",
    "formula": "formula: sin(3*x) + mean(x)/2",
    "own": "own.py:bent",
    "jump": "own.py:jump",  # a hypothesis fails: not testable everywhere
}
OWN = """\
import numpy as np

def bent(x):
    return abs(x - 0.5) + 0.25 * x.mean(axis=1, keepdims=True)

def jump(x):
    return np.round(x)
"""
SHAPE = {"tokens": 2, "dim": 1, "p": 1.0}
LOOPS = (9, 10_000, 10**9)
GRID = 2


EVERYDAY = ("built-in", "own")


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(name, marks=[] if name in EVERYDAY else pytest.mark.slow) for name in TARGETS
    ],
)
def target(request, tmp_path_factory):
    """A target by its text."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "own.py").write_text(OWN)
    return TARGETS[request.param].replace("own.py", str(folder / "own.py"))


@pytest.fixture(scope="module", autouse=True)
def kept(tmp_path_factory):
    """Facts are found once: that a search gives the same digits again is another test's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOOPRATE_CACHE", "1")
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def asked(target):
    return looprate.target(target, **SHAPE)


@pytest.fixture(scope="module")
def stored(target):
    """The theory of a study, as the file of rows gives it back."""
    source = source_digest(resolve_target(target), tokens=2, dim=1)
    (row,) = theory_rows(lambda part: None, target=target, source=source, **SHAPE)
    return json.loads(json.dumps(row))


def answer(said, *arguments):
    code, out, err = said(*arguments, "--json")
    assert code == 0, err
    return json.loads(out)


def of_bound(row):
    """What must agree of a bound."""
    return row["total"], row["trivial"], row["terms"], row["verdict"], row["reason"]


@pytest.mark.parametrize("inequality", ["theorem-3.6", "increments"])
def test_a_bound_has_the_same_digits_everywhere(said, target, asked, stored, inequality, tmp_path):
    how = ("--inequality", inequality, "--loops", *LOOPS)
    wanted = [of_bound(row) for row in answer(said, "bound", target, *how)]
    assert all(math.isfinite(row[0]) for row in wanted)
    assert [of_bound(row) for row in asked.bound(LOOPS, version=inequality).rows] == wanted
    known = stored_facts(stored, resolve_target(target))
    bounds = {name: known.bound(name) for name in ("theorem-3.6", *MEMORISERS)}
    assert [of_bound(bounds[inequality](r).as_dict()) for r in LOOPS] == wanted

    setting = Setting(target, **SHAPE, memoriser="increments", grid=GRID)
    files = write_figure_rows(tmp_path, stored, [], [], [], [], bounds, {})
    (terms,) = [read(file) for file in files if file.name.startswith("bound-terms")]
    drawn = [row for row in terms if row["version"] == inequality]
    assert drawn
    for row in drawn:  # the report's figures
        of = bounds[inequality](int(row["loops"]))
        assert float(row["value"]) == of.terms[row["term"]]
        assert (float(row["trivial"]), row["status"]) == (of.trivial, str(of.verdict))
    shown = [row for row in views.bound_rows(setting) if row["curve"] == inequality]
    for row in shown[::20]:  # the explorer's curve
        of = bounds[inequality](row["loops"])
        assert (row["value"], row["status"]) == (of.total, str(of.verdict))
    if inequality in MEMORISERS:  # on another code
        how = (*how, "--coding", "others")
        wanted = [of_bound(row) for row in answer(said, "bound", target, *how)]
        asked_rows = asked.bound(LOOPS, version=inequality, coding="others").rows
        assert [of_bound(row) for row in asked_rows] == wanted
        at = known.bound(inequality, coding="others")
        assert [of_bound(at(r).as_dict()) for r in LOOPS] == wanted
        usual = {row["loops"]: row["value"] for row in shown}
        shown = views.bound_rows(setting.changed(coding="others"))
        for row in [row for row in shown if row["curve"] == inequality][::20]:
            of = at(row["loops"])
            assert (row["value"], row["status"]) == (of.total, str(of.verdict))
        assert shown[-2]["value"] < usual[shown[-2]["loops"]]  # at the end of the axis
    if inequality == "theorem-3.6":
        for loops, one in zip(LOOPS, wanted, strict=True):
            at = views.bound_at(setting.changed(loops=loops))
            assert of_bound(at.as_dict()) == one
            if ".py" not in target:
                assert of_bound(theorem_at(target, loops, **SHAPE).as_dict()) == one
        exported = figure_rows(setting, "bound-terms")[-1]
        assert exported["value"] == bounds[inequality](exported["loops"]).terms[exported["term"]]


def read(path):
    """The rows of a figure's file."""
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_facts_have_the_same_digits_everywhere(said, target, asked, stored):
    known = facts_of(resolve_target(target), **SHAPE)
    back = stored_facts(stored, resolve_target(target))
    for facts in (asked.facts, back, views._facts(views.subject_of(Setting(target, **SHAPE)))):
        for name in ("oscillation", "oscillation_side", "trivial", "trivial_stderr", "hypotheses"):
            assert getattr(facts, name) == getattr(known, name), name
        for kind in KINDS:
            for delta in (1e-3, 0.0123, 0.1, 1.0):
                assert facts.moduli(kind, delta) == known.moduli(kind, delta)
    checks = [(row["claim"], row["verdict"], row["reason"]) for row in asked.check().rows]
    assert [(f.claim, str(f.verdict), f.reason) for f in known.hypotheses] == checks
    if known.rows:  # searched: an estimate says how hard
        rows = answer(said, "moduli", target, "--effort", EFFORT)
        assert rows == list(asked.moduli(effort=EFFORT).rows)
        more = {"certified", "method", "side"}  # what bounds rest on, the searched rows besides
        assert [r | {"side": "lower"} for r in rows] == [
            {name: r[name] for name in r if name not in more} | {"side": "lower"}
            for r in known.rows
        ]
        setting = Setting(target, **SHAPE, delta=0.1)
        for kind in KINDS:
            (at,) = (r for r in known.rows if (r["kind"], r["delta"]) == (kind, 0.1))
            assert views.lower_at(setting, kind) == at["lower"]
            value, side = known.moduli(kind, 0.1)
            assert views.upper_at(setting, kind) == (None if side == "lower" else value)
            assert value >= at["lower"]


@pytest.mark.parametrize(("memoriser", "coding"), [("digits", "rank"), ("increments", "others")])
def test_a_certificate_has_the_same_digits_everywhere(said, target, asked, memoriser, coding):
    own = MEMORISERS[memoriser].coding == coding
    on = () if own else ("--coding", coding)
    how = ("--grid", GRID, "--memoriser", memoriser, "--tolerance", views.TOLERANCE, *on)
    wanted = answer(said, "construct", target, *how)
    assert wanted["bound"] is None or math.isfinite(wanted["bound"])
    options = {"memoriser": memoriser, "coding": coding, "tolerance": views.TOLERANCE}
    (row,) = asked.construct(GRID, **options).rows
    loops = ("--loops", wanted["loops"], *on)
    (bound,) = answer(said, "bound", target, "--inequality", memoriser, *loops)
    assert wanted["trivial"] == row["trivial"] == bound["trivial"]
    same = [name for name in row if name not in ("checks", "reason", "error_sampled")]
    assert {name: row[name] for name in same} == {name: wanted[name] for name in same}
    setting = Setting(target, **SHAPE, memoriser=memoriser, grid=GRID)
    shown = views.constructed_row(setting if own else setting.changed(coding=coding))
    assert (shown["coding"], shown["loops"]) == (wanted["coding"], wanted["loops"])
    for name, other in (("lower", "error_lower"), ("upper", "error_upper"), ("verdict",) * 2):
        assert shown[name] == wanted[other]
    if own and ".py" not in target:
        case = Case(target, memoriser, GRID)
        claimed = certified(case).as_dict()
        again = answer(said, "construct", target, *how[:4], "--tolerance", OF_CLAIMS)
        assert {name: claimed[name] for name in same} == {name: again[name] for name in same}
        assert facts_at(target, *SHAPE.values()).trivial == wanted["trivial"]
