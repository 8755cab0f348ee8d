"""Moduli of trained networks: the right network, resumed rows, what the ratios allow to say."""

import json
import re
import shutil
from dataclasses import asdict, replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import looprate
import looprate.theory.continuity
from cases.learned_rows import figure_rows as drawn_rows
from cases.learned_rows import stored
from looprate.approx.enclosed import enclosed
from looprate.approx.fit.fitted import Recipe
from looprate.approx.models.looped import LoopedTransformer, ModelConfig
from looprate.cli import main
from looprate.commands import learned as command_learned
from looprate.experiments.engine.task import TaskFailed
from looprate.experiments.learned.moduli import LEARNED, LearnedPlan
from looprate.experiments.learned.networks import chosen_fits, network_of, recomputed_error
from looprate.experiments.learned.summary import learned_cells, learned_findings
from looprate.experiments.rows.records import RowStore
from looprate.experiments.study.work import fit_rows
from looprate.figures import learned_moduli
from looprate.figures.drawing import make_figure
from looprate.figures.style import FAMILY_STYLE
from looprate.theory.continuity import modulus_lower_bound
from looprate.theory.verdict import Finding, Verdict

TARGET = "mean-field"
EFFORT = 0.005


def fitted(folder, family, loops, key):
    """Rows and weights of a bank that was hardly trained."""
    model = ModelConfig(family=family, width=4, heads=1, hidden=4, frequencies=2, clock=2)
    rows = fit_rows(
        lambda part: None,
        targets=[TARGET],
        family=family,
        loops=loops,
        tokens=2,
        dim=1,
        p=1.0,
        seeds=[0, 1],
        learning_rates=[0.01, 0.02],
        model=model.as_dict(),
        recipe=asdict(Recipe(steps=20, batch=16, evaluations=1, validation_points=32)),
        points=64,
        replicates=2,
        compiled=False,
        device="cpu",
        sources=[None],
        key=key,
        folder=str(folder),
    )
    RowStore(folder / "rows.jsonl").append(key, rows)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A small study folder; not to be changed."""
    folder = tmp_path_factory.mktemp("study")
    fitted(folder, "lt", 1, "a")
    fitted(folder, "tmlt", 2, "b")
    return folder


@pytest.fixture
def folder(study, tmp_path):
    """A copy of the study."""
    return shutil.copytree(study, tmp_path / "study")


# -- networks --------------------------------------------------------------------------------------
def test_chosen_fits_are_one_a_seed_at_one_rate(study):
    rows = chosen_fits(study)
    assert [(row["family"], row["loops"], row["seed"]) for row in rows] == [
        *(("lt", 1, 0), ("lt", 1, 1)),
        *(("tmlt", 2, 0), ("tmlt", 2, 1)),
    ]
    for family in ("lt", "tmlt"):
        assert len({row["learning_rate"] for row in rows if row["family"] == family}) == 1
    assert [row["family"] for row in chosen_fits(study, loops=[2])] == ["tmlt", "tmlt"]


def test_every_network_has_its_rows_error(study):
    rows = [row for key in "ab" for row in RowStore(study / "rows.jsonl").task(key)]
    for row in rows:
        found = recomputed_error(network_of(study, row), row)
        assert found == pytest.approx(row["error"], rel=1e-4)
    errors = [row["error"] for row in rows]
    assert len({f"{error:.4g}" for error in errors}) == len(errors)  # they can be told apart


def test_another_network_is_refused(folder):
    row = chosen_fits(folder)[0]
    with pytest.raises(ValueError, match="other weights or other code"):
        network_of(folder, row | {"index": 3 - row["index"]})
    with pytest.raises(ValueError, match="must have its weights"):
        network_of(folder, row | {"task": "c"})
    network_of(folder, row | {"index": 3 - row["index"]}, check=False)


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"targets": ["context-max"]}, "`target` must be among mean-field"),
        ({"loops": [1, 7]}, r"`loops` must be among 1, 2 in .*, got 7"),
    ],
)
def test_what_the_folder_lacks_is_refused(study, wanted, said):
    with pytest.raises(ValueError, match=said):
        chosen_fits(study, **wanted)


# -- rows ------------------------------------------------------------------------------------------
def plan(folder, **settings):
    return LearnedPlan(folder, **{"loops": (1,), "deltas": (0.1,), "effort": EFFORT} | settings)


def measure(learned):
    """Run what is missing; return all rows."""
    sweep = learned.sweep()
    sweep.run()
    return sweep.rows(LEARNED)


@pytest.fixture(scope="module")
def measured(study, tmp_path_factory):
    """A copy of the study with its moduli measured once."""
    folder = tmp_path_factory.mktemp("measured") / "study"
    shutil.copytree(study, folder)
    measure(plan(folder))
    return folder


def test_rows_are_the_networks_own_lower_bounds(measured):
    folder, rows = measured, measure(plan(measured))
    network = chosen_fits(folder)[1]
    f = enclosed(network_of(folder, network), tokens=2, dim=1, loops=1)
    for kind in ("token", "contextual"):
        (row,) = [r for r in rows if r.get("seed") == 1 and r["kind"] == kind]
        own = modulus_lower_bound(
            f, np.array([0.1]), kind=kind, tokens=2, dim=1, p=1.0, effort=EFFORT, equivariant=True
        )
        assert row["lower"] == own.lower[0] > 0
        assert {check["verdict"] for check in row["hypotheses"]} == {"holds"}
        (target,) = [r for r in rows if r["what"] == "target" and r["kind"] == kind]
        assert target["exact"]
        assert target["lower"] == target["upper"] > 0


def test_finished_rows_are_kept_and_other_settings_are_measured_anew(measured, monkeypatch):
    stored = (measured / "learned.jsonl").read_bytes()
    monkeypatch.setattr(
        "looprate.experiments.learned.moduli.modulus_lower_bound", None
    )  # nothing may run
    rows = measure(plan(measured))
    assert len(rows) == 3 * (1 + 2)  # moduli, of the target and of two networks
    with pytest.raises(TaskFailed, match="not callable"):
        measure(plan(measured, deltas=(0.2,)))
    assert (measured / "learned.jsonl").read_bytes() == stored


def test_certified_bounds_are_asked_for_with_the_pair(folder, monkeypatch):
    asked = []

    def stub(f, delta, *, kind, tokens, dim, p, seconds, equivariant, lower):
        asked.append((kind, delta, seconds, equivariant, lower.value))
        if kind == "token":
            raise ValueError("`target` has no rigorous enclosure")
        value = float("inf") if kind == "contextual" else 1.5 * lower.value
        return SimpleNamespace(value=value, note="far", boxes=3, seconds=0.1)

    monkeypatch.setattr(looprate.theory.continuity, "modulus_upper_bound", stub, raising=False)
    rows = measure(plan(folder, seconds=0.5))
    own = {row["kind"]: row for row in rows if row.get("seed") == 0}
    assert own["sequence"]["upper"] == 1.5 * own["sequence"]["lower"]
    assert own["token"]["upper"] is None
    assert "no rigorous enclosure" in own["token"]["note"]
    assert own["contextual"]["upper"] is None
    assert {(budget, equivariant) for _, _, budget, equivariant, _ in asked} == {
        (0.5, None),  # of the target
        (0.5, True),
    }


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"deltas": ()}, "`delta` must hold radii > 0"),
        ({"deltas": (0.1, 0.0)}, "`delta` must hold radii > 0"),
        ({"deltas": (0.1, 0.1)}, "must not repeat"),
        ({"effort": 0.0}, "`effort` must be finite and > 0, got 0"),
        ({"seconds": float("inf")}, "`seconds` must be finite and > 0, got inf"),
    ],
)
def test_bad_plans_are_refused(tmp_path, settings, said):
    with pytest.raises(ValueError, match=said):
        plan(tmp_path, **settings)


# -- what ratios say -------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("bounds", "target", "word", "verdict"),
    [
        ([(0.95, 1.05), (1.0, 1.02)], (1.0, 1.0), "reproduced", Verdict.HOLDS),
        ([(1.2, None), (1.3, None)], (1.0, 1.0), "too rough", Verdict.VIOLATED),
        ([(0.2, 0.8), (0.5, 0.85)], (1.0, 1.0), "too smooth", Verdict.VIOLATED),
        ([(1.2, None), (1.0, None)], (1.0, 1.0), "undecided", Verdict.VIOLATED),
        ([(1.0, None), (0.5, None)], (1.0, 1.0), "undecided", Verdict.NOT_TESTABLE),
        ([(0.5, None)], (1.0, 1.0), "undecided", Verdict.NOT_TESTABLE),  # never too smooth
        ([(1.2, 1.3)], (1.0, 1.3), "undecided", Verdict.NOT_TESTABLE),  # the target's may be 1.3
        ([(1.2, 1.3)], (1.0, None), "undecided", Verdict.NOT_TESTABLE),
        ([(0.2, 0.8)], (1.0, None), "too smooth", Verdict.VIOLATED),
        ([(0.2, None)], (0.0, 0.0), "target has none", Verdict.NOT_TESTABLE),
    ],
)
def test_words_claim_no_more_than_the_bounds_prove(bounds, target, word, verdict):
    (cell,) = learned_cells(stored(bounds, target=target))
    (finding,) = learned_findings([cell])
    assert cell["word"] == word
    assert finding.verdict is verdict
    assert "within 10 %" in finding.claim


FAILED = Finding("the target is continuous", Verdict.NOT_TESTABLE, "jumps at 0.5").as_dict()
OPEN = Finding("the target is equivariant", Verdict.NOT_TESTABLE, "", {"skipped": True}).as_dict()


@pytest.mark.parametrize("check", [FAILED, OPEN], ids=["failed", "open"])
@pytest.mark.parametrize("place", [0, -1], ids=["target", "network"])
def test_no_modulus_is_called_wrong_where_a_hypothesis_does_not_hold(check, place):  # R6
    rows = stored([(1.2, None), (1.3, None)])
    (finding,) = learned_findings(learned_cells(rows))
    assert finding.verdict is Verdict.VIOLATED
    holds = check | {"verdict": "holds"}
    rows[place] = rows[place] | {"hypotheses": [holds]}
    (finding,) = learned_findings(learned_cells(rows))
    assert finding.verdict is Verdict.VIOLATED
    rows[place] = rows[place] | {"hypotheses": [holds, check]}
    (finding,) = learned_findings(learned_cells(rows))
    assert finding.verdict is Verdict.NOT_TESTABLE
    assert "otherwise: " in finding.reason


def test_ratios_are_over_the_right_side_of_the_target():
    (cell,) = learned_cells(stored([(1.2, 1.8)], target=(0.5, 2.0)))
    assert cell["at_least"] == [0.6]
    assert cell["at_most"] == [3.6]
    assert cell["found"] == [2.4]


@pytest.mark.slow
def test_the_command_prints_a_table(measured, said):
    options = ("--loops", 1, "--delta", 0.1, "--effort", EFFORT, "--processes", 1)
    code, out, err = said("learned", measured, *options)
    assert code == 0, err
    assert re.search(r"token +0\.1 +lt +1 ", out)
    assert "hypotheses not refuted for any network: 8 of 8" in out


# -- figure and command ----------------------------------------------------------------------------
def test_the_figure_draws_medians_bands_and_the_largest_upper_bound():
    (ax,) = make_figure("learned-moduli", drawn_rows()).axes
    lines = {line.get_label(): line for line in ax.get_lines()}
    for family, factor in (("lt", 1.5), ("tmlt", 1.1)):
        name = FAMILY_STYLE[family].name
        assert lines[name].get_xdata().tolist() == [1, 4, 16]
        assert lines[name].get_ydata() == pytest.approx([factor + 0.1] * 3)
        assert lines[f"{name}: certified upper bound"].get_ydata() == pytest.approx(
            [3 * factor] * 3
        )
        assert lines[name].get_color() == FAMILY_STYLE[family].colour
    assert lines["target"].get_ydata() == [1.0, 1.0]
    low, high = ax.get_ylim()
    assert low < 0.9
    assert high > 4.5
    assert "radius" in ax.get_legend().get_title().get_text()


def test_the_figure_leaves_out_moduli_without_a_ratio():
    rows = drawn_rows() + [row | {"kind": "contextual", "value": None} for row in drawn_rows()]
    assert learned_moduli.panels(rows) == ["token"]
    empty = [row | {"value": None, "lower": None, "upper": None} for row in drawn_rows()]
    assert len(make_figure("learned-moduli", empty).axes) == 1


def test_the_command_ends_with_cells_and_findings(measured, said):
    folder = measured
    options = ("--loops", 1, "--delta", 0.1, "--effort", EFFORT, "--processes", 1, "--json")
    code, out, err = said("learned", folder, *options)
    assert code == 0, err
    found = json.loads(out)
    assert {cell["family"] for cell in found["cells"]} == {"lt"}
    assert {(check["holds"], check["networks"]) for check in found["hypotheses"]} == {(2, 2)}
    assert len(found["findings"]) == 3
    (figure,) = (folder / "figures").glob("learned-moduli__*.png")
    assert figure.stat().st_size > 10_000
    assert "-delta0.1-effort0.005-loops1." in figure.name


def test_other_questions_to_one_folder_have_figures_of_their_own(tmp_path):  # B7
    asked = [
        plan(tmp_path, loops=loops, effort=effort, seconds=seconds)
        for loops in (None, (1,), (1, 2))
        for effort in (0.2, 0.4)
        for seconds in (None, 1.0, 5.0)
    ]
    names = [command_learned._apart(one) for one in asked]
    assert names[0] == ""
    assert len(set(names)) == len(asked)
    assert names[-1] == command_learned._apart(replace(asked[-1], loops=(2, 1)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["nowhere"], "`DIR` must be a study folder"),
        (["FOLDER", "--delta", "-1"], "`delta`"),
        (["FOLDER", "--seconds", "3"], "`seconds` is for --certify"),
        (["FOLDER", "--loops", "9"], "`loops` must be among"),
        (["FOLDER", "--processes", "0"], "`processes` must be an integer >= 1"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(study, said, options, message):
    code, out, err = said("learned", *[str(study) if o == "FOLDER" else o for o in options])
    assert code == 2
    assert out == ""
    assert message in err
    assert err.count("\n") == 1


# -- one of them as a target -----------------------------------------------------------------------
def test_a_file_of_networks_is_a_target_with_both_bounds(study, capsys, monkeypatch):
    monkeypatch.chdir(study)
    rows = chosen_fits(study, loops=[1])
    name = f"models/{rows[1]['task']}.npz:{rows[1]['index']}"
    asked = looprate.target(name, tokens=2)
    assert asked.target.equivariant
    model = network_of(study, rows[1])
    x = torch.rand(5, 2, 1, generator=torch.Generator().manual_seed(0))
    np.testing.assert_allclose(asked(x.double().numpy()), model(x, 1).detach(), atol=1e-5)
    how = ["--certify", "--seconds", "4", "--delta", "0.1", "--kind", "token", "--json"]
    assert main(["moduli", name, *how]) == 0
    told = capsys.readouterr()
    (found,) = json.loads(told.out)
    assert 0 < found["lower"] <= found["certified"] <= 1.5 * found["lower"]
    assert "a trained LT, r = 1, of mean-field" in told.err


@pytest.mark.parametrize(
    ("name", "size", "words"),
    [
        ("models/a.npz", {}, "name one of the 4 networks"),
        ("models/a.npz:4", {}, "take models/a.npz:0 to models/a.npz:3"),
        ("models/a.npz:0", {"dim": 2}, "`dim` must be 1"),
        ("models/c.npz", {}, "must be a file of trained networks"),
        ("a.npz", {}, "whose rows say what its weights are"),
    ],
)
def test_a_file_that_names_no_network_is_refused(folder, monkeypatch, name, size, words):
    monkeypatch.chdir(folder)
    shutil.copy("models/a.npz", "a.npz")
    with pytest.raises((ValueError, FileNotFoundError), match=words):
        looprate.target(name, tokens=2, **size)


def test_networks_without_positions_alone_are_known_to_be_equivariant():
    for positions in (0, 2):
        model = LoopedTransformer(ModelConfig(width=4, positions=positions), seed=0, loops=1)
        assert looprate.target(model, tokens=2).target.equivariant is (positions == 0)
    assert not looprate.target(torch.nn.Identity(), tokens=2).target.equivariant
