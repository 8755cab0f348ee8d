"""The gate: what is certified is never below what is attained, and which verdict outranks which."""

import json
import math
from types import SimpleNamespace

import pytest

from cases.own_functions import OWN
from looprate import cli
from looprate.approx.models.looped import ModelConfig
from looprate.commands import targets as command_targets
from looprate.experiments.engine.run import run_tasks
from looprate.experiments.engine.sweep import CONSTRUCTIONS, FITS, THEORY, Sweep
from looprate.experiments.engine.task import Task
from looprate.experiments.study.best import BEST
from looprate.experiments.study.certificates import default_bits
from looprate.experiments.study.config import PRESETS
from looprate.experiments.study.construction_rows import arithmetic_rows
from looprate.experiments.study.figure_rows import BOUND_LABELS
from looprate.experiments.study.lessons import BOXES, TOLERANCE, certificate_rows
from looprate.experiments.study.report import write_report
from looprate.experiments.study.source import source_digest
from looprate.experiments.study.work import theory_rows
from looprate.figures.explorer import views
from looprate.figures.rows import read_rows
from looprate.theory import gate
from looprate.theory.construction.build.spec import ConstructionSpec
from looprate.theory.continuity import modulus_lower_bound, modulus_upper_bound
from looprate.theory.continuity.upper import bound as upper
from looprate.theory.gate import Contradiction, Total, judged_total, under_hypotheses
from looprate.theory.outputs import at_most
from looprate.theory.targets import parse_target, resolve_target
from looprate.theory.targets.base import ClosedForm
from looprate.theory.verdict import Finding, Verdict

CASE = {"kind": "token", "tokens": 2, "dim": 1}


# -- certified against attained (A3, R5) -----------------------------------------------------------
def falsified(value):
    """A search that answers a constant: negative control of every guard."""
    found = SimpleNamespace(value=value, method="none", boxes=0, reached=True, note="")
    return lambda *a: SimpleNamespace(bound=lambda *b: found)


def test_a_certified_bound_below_the_attained_is_an_internal_error(monkeypatch):
    f = parse_target("token-sine:periods=1")
    low = modulus_lower_bound(f, 0.1, **CASE)
    monkeypatch.setattr(upper, "Search", falsified(0.9 * low.value))
    with pytest.raises(Contradiction, match=r"x = \[\["):
        modulus_upper_bound(f, 0.1, lower=low, **CASE)
    curve = modulus_lower_bound(f, [0.1, 0.2], **CASE)
    with pytest.raises(Contradiction, match="certified upper bound"):
        modulus_upper_bound(f, [0.1, 0.2], lower=curve, **CASE)
    monkeypatch.setattr(upper, "Search", falsified(low.value * (1 + 1e-6)))
    assert modulus_upper_bound(f, 0.1, lower=low, **CASE).value == low.value * (1 + 1e-6)


@pytest.mark.parametrize("name", ["stair", "tiny", "noisy"])
def test_the_command_never_prints_certified_below_attained(said, name):
    code, out, err = said(
        "moduli", f"{OWN}:{name}", "--delta", 0.1, "--certify", "--seconds", 1, "--json"
    )
    assert code in (0, 2), err
    assert code == 0 or "Traceback" not in err
    rows = json.loads(out) if code == 0 else []
    for row in rows:
        assert row["certified"] is None or row["certified"] >= row["lower"]
        assert row["gap"] is None or row["gap"] >= 0


def test_a_wrong_closed_form_is_an_internal_error(monkeypatch, capsys):
    kind = type(parse_target("token-sine"))
    right = kind._closed_form

    def wrong(self, *arguments):
        form = right(self, *arguments)
        return ClosedForm(0.9 * form.value, form.side, form.note)

    monkeypatch.setattr(kind, "_closed_form", wrong)
    code = cli.main(["moduli", "token-sine", "--delta", "0.1", "--effort", "0.1", "--json"])
    out, err = capsys.readouterr()
    assert (code, out) == (3, "")
    assert err.startswith("looprate: internal error")
    assert "below" in err
    assert "x = [[" in err
    assert err.count("\n") == 1


def test_an_internal_error_of_a_worker_ends_with_exit_code_3(monkeypatch, capsys):
    def broken(report):
        raise Contradiction("certified 1 below 2")

    def command(options):
        return len(list(run_tasks([Task("k", "a", broken, {})], processes=1, report=print)))

    monkeypatch.setattr(command_targets, "run_targets", command)
    assert cli.main(["targets"]) == 3
    assert "certified 1 below 2" in capsys.readouterr().err


# -- verdicts --------------------------------------------------------------------------------------
def total(value, side="exact", p=1.0, trivial=0.15, stderr=0.01):
    return judged_total(Total(value, side, p, 1.0, trivial, stderr))[0]


def test_within_three_standard_errors_nothing_is_decided():  # A4
    assert total(0.136) is Verdict.NOT_TESTABLE
    assert total(0.1201) is Verdict.NOT_TESTABLE
    assert total(0.1799) is Verdict.NOT_TESTABLE
    assert total(0.1199) is Verdict.HOLDS
    assert total(0.1801) is Verdict.VACUOUS
    assert total(0.1801, "lower") is Verdict.VACUOUS
    assert total(0.15, stderr=0.0) is Verdict.VACUOUS
    assert total(0.136, stderr=None) is Verdict.HOLDS


def test_at_p_inf_a_sampled_best_constant_makes_nothing_vacuous():  # A5
    assert total(0.3, p=math.inf) is Verdict.NOT_TESTABLE
    assert total(0.3, p=2.0) is Verdict.VACUOUS
    assert total(0.5, p=math.inf) is Verdict.VACUOUS  # half the ceiling
    assert total(0.1, p=math.inf) is Verdict.HOLDS


def test_a_failed_hypothesis_outranks_a_broken_finding():  # R6
    broken = Finding("a", Verdict.VIOLATED, "off by one")
    good, bad = Finding("h", Verdict.HOLDS, ""), Finding("h", Verdict.NOT_TESTABLE, "jumps")
    skipped = Finding("g", Verdict.NOT_TESTABLE, "", {"skipped": True})
    assert under_hypotheses(broken, [good]) is broken
    assert under_hypotheses(broken, []) is broken
    for hypotheses in ([good, bad], [skipped], [bad, skipped]):
        judged = under_hypotheses(broken, hypotheses)
        assert judged.verdict is Verdict.NOT_TESTABLE
        assert "off by one" in judged.reason
    assert '"h" fails: jumps' in under_hypotheses(broken, [bad]).reason
    holds = Finding("a", Verdict.HOLDS, "")
    assert under_hypotheses(holds, [bad]) is holds


def test_a_hypothesis_has_one_word():  # M7
    states = [
        gate.state_of(Finding("h", Verdict.HOLDS, "")),
        gate.state_of(Finding("h", Verdict.NOT_TESTABLE, "")),
        gate.state_of(Finding("h", Verdict.NOT_TESTABLE, "", {"skipped": True})),
    ]
    assert states == ["holds", "fails", "open"]


DEV = """
import numpy as np

def dev(x):
    return np.tanh(3 * (x - x.mean(1, keepdims=True)))
"""
SHAPE = {"tokens": 2, "dim": 1, "p": 1.0}
SPEC = ConstructionSpec(2, 1, 4, "timestep", "rank")


def answer(capsys, *words):
    """What a command prints as JSON."""
    assert cli.main([*map(str, words), "--tokens", "2", "--dim", "1", "--p", "1", "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def written_report(name, folder):
    """The report of one target's stored rows: all as in a study, but for the training."""
    source = source_digest(resolve_target(name), tokens=2, dim=1)
    theory = theory_rows(lambda part: None, target=name, source=source, **SHAPE)
    arguments = {"tolerance": TOLERANCE, "boxes": BOXES, "source": source}
    built = certificate_rows(
        lambda part: None, target=name, p=1.0, specs=[SPEC.as_dict()], **arguments
    )
    fit = {"target": name, **SHAPE, "family": "tmlt", "loops": SPEC.loops, "seed": 0}
    fit |= {"learning_rate": 0.01, "parameters": 9, "late_gain": 0.0}
    fit |= {"error": 0.1, "error_stderr": 0.0, "validation_error": 0.1, "curve": [0.1]}
    fit |= {"curve_steps": [1]}
    fit["config"] = {"recipe": {"steps": 1}, "model": ModelConfig().as_dict()}
    study = Sweep(folder, {THEORY: [], CONSTRUCTIONS: [], FITS: []})
    stored = json.loads(json.dumps({THEORY: theory, CONSTRUCTIONS: built, FITS: [fit], BEST: []}))
    study.rows = stored.__getitem__
    (folder / "figures").mkdir()
    return write_report(PRESETS["smoke"], study)["parts"][0]


def drawn(folder, kind):
    """The rows of a figure."""
    (path,) = (folder / "figures").glob(f"{kind}__*.csv")
    return read_rows(path)


FORMULA = pytest.param("formula: tanh(3*(x - mean(x)))", marks=pytest.mark.slow)


@pytest.fixture
def kept(monkeypatch, tmp_path):
    """Facts are found once: that a search gives the same digits again is another test's."""
    monkeypatch.setenv("LOOPRATE_CACHE", "1")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.mark.usefixtures("kept")
@pytest.mark.parametrize("name", ["OWN:dev", FORMULA])
def test_bound_construct_report_figures_and_explorer_agree(name, tmp_path, capsys):  # C2, A6, M5
    (tmp_path / "own.py").write_text(DEV)
    name, r = name.replace("OWN", str(tmp_path / "own.py")), SPEC.loops
    part = written_report(name, tmp_path)
    built = answer(capsys, "construct", name, "--grid", SPEC.grid)
    (certificate,) = part["certificates"]
    sloped = ("--slope", repr(float(SPEC.slope)))  # of the quantiser that is built
    for version in ("timestep", "theorem-3.6"):
        asked = ("bound", name, "--inequality", version, "--loops")
        (one,) = answer(capsys, *asked, r)
        (told,) = (b for b in part["bounds"] if (b["bound"], b["loops"]) == (version, r))
        seen = views._bound(views.Subject(name, 2, 1, 1.0), version)(r)
        assert one["total"] == told["total"] == seen.total
        assert one["verdict"] == told["verdict"] == str(seen.verdict)
        assert one["reason"] == told["reason"] == seen.reason
        assert one["terms"] == told["terms"] == seen.terms
        assert one["trivial"] == built["trivial"] == part["trivial"] == seen.trivial
        assert one["moduli_side"] == told["moduli_side"] == seen.moduli_side == "upper"
    (one,) = answer(capsys, "bound", name, "--inequality", "timestep", "--loops", r, *sloped)
    assert one["total"] == built["bound"] == certificate["bound"]
    assert built["verdict"] == certificate["verdict"]
    assert (
        f"| {at_most(certificate['bound'], 3)} | {built['verdict']} |"
        in (tmp_path / "report.md").read_text()
    )
    (point,) = (row for row in drawn(tmp_path, "error-against-loops") if row["lower"])
    assert (point["loops"], point["status"]) == (r, built["verdict"])
    for kind, version in (("error-against-loops", "timestep"), ("bound-terms", "theorem-3.6")):
        label = BOUND_LABELS["timestep"][1]
        rows = [
            row
            for row in drawn(tmp_path, kind)
            if (row["label"] == label if version == "timestep" else row["version"] == version)
        ]
        row = rows[len(rows) // 2]
        (one,) = answer(
            capsys, "bound", name, "--inequality", version, "--loops", int(row["loops"])
        )
        assert row.get("total", row["value"]) == one["total"]
        assert row["status"] == one["verdict"]
    words = part["first_informative_words"]
    assert all(said.startswith("from r = ") for said in words.values())


def test_the_number_of_digits_has_one_rule():  # C7
    wanted = {2: 4, 3: 5, 4: 5, 5: 6, 8: 6, 9: 7, 16: 7}
    assert {m: default_bits("digits", m) for m in wanted} == wanted  # 3 + ⌈log2 m⌉
    rows = arithmetic_rows(lambda part: None, target="dial", grids=[4], dtypes=())
    labels = {row["labels"] for row in rows if row["memoriser"] == "digits"}
    assert labels == {ConstructionSpec(2, 1, 4, "digits", "rank", 5).last_label + 1}


def test_an_enclosed_error_that_samples_deny_is_an_internal_error():  # A1, A3
    more = {"points": 2**14, "strips": 0.0, "ceiling": 1.0, "p": 1.0}
    gate.check_sampled((0.2, 0.21), 0.217, 0.002, **more)
    gate.check_sampled((0.2, 0.21), 0.19, 0.002, **more)
    gate.check_sampled((0.2, 0.21), 0.23, 0.001, **{**more, "strips": 0.02})
    gate.check_sampled((0.2, 0.21), 0.1, None, **{**more, "p": math.inf})
    for value, stderr, p in ((0.23, 0.002, 1.0), (0.17, 0.002, 1.0), (0.22, None, math.inf)):
        with pytest.raises(Contradiction, match="random inputs"):
            gate.check_sampled((0.2, 0.21), value, stderr, **{**more, "p": p})
    with pytest.raises(Contradiction, match=r"\[1.595, 1.595\]"):
        gate.check_sampled((1.595, 1.595), 0.217, 0.001, **more)
