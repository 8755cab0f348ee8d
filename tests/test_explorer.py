"""The explorer: its settings, its numbers, its exports."""

import csv
import io
import math
import runpy
import socket
import subprocess
import sys
from pathlib import Path
from urllib.parse import parse_qs

import numpy as np
import pytest
from test_gallery import other_doors

from cases.own_functions import OWN
from looprate.cli import main
from looprate.figures.drawing import make_figure, redraw
from looprate.figures.explorer import views
from looprate.figures.explorer.__main__ import main as explorer
from looprate.figures.explorer.export import EXPORTS, exported, figure_rows, file_name
from looprate.figures.explorer.live import LiveFit, Progress, Stopped
from looprate.figures.explorer.server import asked_for
from looprate.figures.explorer.setting import Setting, check_typed, setting_of
from looprate.figures.explorer.smoothness import KNOBS, knob_of, turned
from looprate.figures.explorer.states import loop_states
from looprate.figures.explorer.words import EXAMPLES, state_table, state_words
from looprate.figures.rows import read_rows
from looprate.theory import facts
from looprate.theory.bounds.rows import TERM_NAMES
from looprate.theory.construction.build.compile import compile_construction
from looprate.theory.construction.run.reference import reference_output
from looprate.theory.oscillation import oscillation_of
from looprate.theory.targets import resolve_target
from looprate.theory.verdict import Verdict

ROOT = Path(__file__).resolve().parent.parent
HEADS = {"png": b"\x89PNG", "pdf": b"%PDF", "svg": b"<?xml"}


# -- settings --------------------------------------------------------------------------------------
def test_a_setting_comes_back_from_its_address():
    setting = Setting(target="formula: sin(6*x) + mean(x)/2", tokens=3, p=2.0, grid=5, loops=10**9)
    arguments = {k: [v.encode() for v in vs] for k, vs in parse_qs(setting.query()).items()}
    assert set(arguments) == {"target", "tokens", "p", "grid", "loops"}
    assert setting_of(arguments) == setting
    assert Setting().query() == setting.query(setting) == ""
    assert setting_of({"grid": [b"3"]}, setting) == setting.changed(grid=3)


def test_an_address_of_before_codes_could_be_chosen_opens_the_network_it_did():
    asked = setting_of({"memoriser": [b"increments"], "grid": [b"4"]})
    assert (asked.coding, asked.code, asked.spec.loops) == ("usual", "sum", 121)
    chosen = setting_of({"memoriser": [b"increments"], "code": [b"others"]})
    assert chosen == Setting(memoriser="increments", coding="others")
    assert chosen.query() == "memoriser=increments&coding=others"
    assert chosen.changed(memoriser="timestep").code == "others"  # a choice stays
    assert asked.changed(memoriser="timestep").code == "rank"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"tokens": [b"x"]}, "`tokens` must be an integer, got 'x'"),
        ({"p": [b"x"]}, "`p` must be a number"),
        ({"word": [b"1"]}, "`word` must be one of target, tokens"),
        ({"tokens": [b"7"]}, "at most 6"),
        ({"grid": [b"17"]}, "`grid` must be from 2 to 16, got 17"),
        ({"memoriser": [b"none"]}, "`memoriser`"),
        ({"coding": [b"none"]}, "`coding` must be one of usual, sum, rank, others"),
        ({"delta": [b"nan"]}, "`delta` must be from"),
    ],
)
def test_settings_out_of_range_are_refused(arguments, words):
    with pytest.raises(ValueError, match=r"`\w+` ") as error:
        setting_of(arguments)
    assert words in str(error.value)


def test_an_address_keeps_its_good_parts_and_names_the_bad_ones():
    given = {"tokens": [b"3"], "grid": [b"99"], "loops": [b"1e6"], "word": [b"x"], "dim": [b"1.5"]}
    asked, notes = asked_for(given, Setting())
    assert asked == Setting(tokens=3, loops=10**6)
    assert len(notes) == 3
    asked, notes = asked_for({"target": [b"formula: 1/(x-x)"], "tokens": [b"3"]}, Setting())
    assert asked == Setting()
    assert "denominators" in notes[-1]


def test_letters_of_the_page_are_understood_in_an_address():  # B5
    given = {"m": [b"8"], "N": [b"3"], "r": [b"1e6"], "p": [b"2.5"]}
    assert setting_of(given) == Setting(grid=8, tokens=3, loops=10**6, p=2.5)
    with pytest.raises(ValueError, match="did you mean tokens"):
        setting_of({"tokns": [b"3"]})


@pytest.mark.parametrize(("tokens", "dim"), [(6, 1), (2, 3), (4, 1)])
def test_a_run_that_cannot_be_shown_names_one_that_can_or_says_that_none_can(tokens, dim):  # B5
    with pytest.raises(ValueError, match=r"take m = \d|no network fits|at least as many cells"):
        loop_states(Setting(tokens=tokens, dim=dim))


def test_a_page_never_names_code_to_run():
    check_typed("formula: x", "mean-field")
    check_typed("2*mean-field + context-max", "mean-field")
    check_typed("docs/example_target.py:soft_median", "docs/example_target.py:soft_median")
    for text in ("os:abort", "docs/example_target.py:soft_median", "mean-field + os:abort"):
        with pytest.raises(ValueError, match="looprate explore --target"):
            check_typed(text, "mean-field")


@pytest.mark.parametrize(
    ("text", "name", "value", "after"),
    [
        ("dial:token=0.5,periods=2", "periods", 3, "dial:token=0.5,periods=3"),
        ("dial:alpha=0.5", "alpha", 0.25, "dial:alpha=0.25"),
        ("token-sine", "periods", 4, "token-sine:periods=4"),
        ("token-power: alpha = 0.5, scale=2", "alpha", 1, "token-power:alpha=1,scale=2"),
        ("softmax-attention", "beta", 9, "softmax-attention:beta=9"),
        ("smooth-field:seed=3", "length", 0.45, "smooth-field:seed=3,length=0.45"),
    ],
)
def test_the_smoothness_of_a_target_can_be_turned(text, name, value, after):
    assert knob_of(text).name == name
    assert turned(text, value) == after
    assert knob_of(after).value == value
    assert turned(after, knob_of(text).value) == turned(text, knob_of(text).value)


@pytest.mark.parametrize(
    "text", ["mean-field", "formula: x", "2*token-sine", "token-sine + mean-field", "nothing", ""]
)
def test_targets_without_a_smoothness_have_no_slider(text):
    assert knob_of(text) is None
    with pytest.raises(ValueError, match="`text` must name a target with a smoothness"):
        turned(text, 2)


def test_sliders_of_smoothness_hold_what_was_named_and_make_targets():
    assert knob_of("token-sine:periods=40").high == 40
    for text in ("dial:periods=2", "token-power", "softmax-attention", "smooth-field"):
        knob = knob_of(text)
        for value in (knob.low, knob.high):
            resolve_target(turned(text, value))
    assert {knob_of(t).name for t in EXAMPLES.values() if knob_of(t)} < {k.name for k in KNOBS}


# -- numbers ---------------------------------------------------------------------------------------
def test_moduli_are_those_of_the_target():
    setting = Setting()
    rows = views.moduli_rows(setting)
    f = resolve_target(setting.target)
    for row in rows:
        form = f.closed_form(row["delta"], kind=row["kind"], **setting.shape, p=setting.p)
        assert row["upper"] == form.value
        if row["lower"] is not None:
            assert 0.8 * form.value <= row["lower"] <= form.value * (1 + 1e-9)
    assert sum(row["lower"] is not None for row in rows) == 3 * len(views.RADII)


def test_closed_forms_come_without_a_search_and_a_formula_has_none(monkeypatch):
    monkeypatch.setattr(views.facts, "lower_curves", None)  # a search would fail
    setting = Setting(target="token-sine:periods=5")
    rows = views.closed_rows(setting)
    assert rows
    assert all(row["lower"] is None for row in rows)
    assert views.bound_rows(setting)
    assert views.closed_rows(Setting(target="formula: x + 0.25")) == []
    with pytest.raises(TypeError):
        views.moduli_rows(setting)


def test_found_pairs_are_read_off_at_no_larger_radius():
    setting = Setting(target="formula: x - mean(x)/3", delta=0.5)
    found = [row for row in views.moduli_rows(setting) if row["kind"] == "token"]
    for delta in (0.011, 0.2, 1.0):
        nearer = max(row["lower"] for row in found if row["delta"] <= delta)
        shown = views.lower_at(setting.changed(delta=delta), "token")
        assert nearer <= shown <= delta * 5 / 6 * (1 + 1e-9)  # (1 - 1/6) is the slope
        above = views.upper_at(setting.changed(delta=delta), "token")
        assert above == views._facts(views.subject_of(setting)).moduli("token", delta)[0]  # C2
        assert shown <= above <= delta * 5 / 6 * 1.06
    assert 0 < views.lower_at(setting.changed(delta=0.002), "token") <= 0.002


def test_the_bound_is_the_command_line_s(capsys):
    setting = Setting(loops=10**6)
    found = views.bound_at(setting)
    assert main(["bound", setting.target, "--loops", "1000000", "--json"]) == 0
    assert f'"total": {found.total!r}' in capsys.readouterr().out
    assert found.verdict is Verdict.VACUOUS
    rows = views.bound_rows(setting)
    (trivial,) = (row["value"] for row in rows if row["curve"] == "trivial")
    expected = facts.trivial_error(resolve_target(setting.target), **setting.shape, p=setting.p)
    assert trivial == expected[0]


def test_a_sampled_oscillation_looks_at_corners_and_proves_nothing_about_constants():
    spike = "formula: 1000*exp(-900000*x)"  # nothing of it is seen away from 0
    f = resolve_target(spike)
    assert oscillation_of(f, tokens=2, dim=1) > 999
    found = views.bound_at(Setting(target=f"{OWN}:opaque", loops=10))
    assert "always reaches" not in found.reason
    exact = views.bound_at(Setting(loops=100))  # D is proven
    assert "some constant always reaches" in exact.reason


def test_a_function_outside_the_theorem_is_told_with_its_witness():
    for formula, word in (("n*x", "permutation-equivariant"), ("floor(3*x)", "continuous")):
        found = views.bound_at(Setting(target=f"formula: {formula}"))
        assert found.verdict is Verdict.NOT_TESTABLE
        assert word in found.reason
        assert "witness" in found.reason


def test_the_last_state_reads_out_the_network_s_answer():
    setting = Setting(grid=3)
    run = loop_states(setting)
    built = compile_construction(resolve_target(setting.target), setting.spec)
    answer = reference_output(built.network, run.place.fractions)
    assert run.outputs[-1] == [[float(v) for v in token] for token in answer]
    assert len(run.values) == len(run.stages) == setting.spec.loops + 1
    assert run.outputs[0] != run.outputs[-1]
    with pytest.raises(ValueError, match="at most 600 loops"):
        loop_states(setting.changed(tokens=4, grid=6))


@pytest.mark.parametrize("memoriser", ["increments", "timestep", "digits"])
def test_the_state_is_told_in_words(memoriser):
    setting = Setting(grid=3, memoriser=memoriser)
    run = loop_states(setting)
    context, values = setting.spec.context_start, setting.spec.values_start
    assert "none read yet; labels counted: 0; read out" in state_words(run, context)
    assert "sorted: token 1; labels" in state_words(run, context + 1)
    assert "sorted: token 1 &gt; token 2; labels counted: 0; read out" in state_words(run, values)
    assert run.labels[-1] >= setting.spec.last_label
    table = state_table(run, values)
    assert "<th>cell</th><td>2</td><td>1</td>" in table
    assert [line for line in table.split("<tr>")[6:] if line.endswith("<td></td></tr>")] == []


def test_a_quick_certificate_is_wider_and_agrees_with_the_whole_one():
    setting = Setting(tokens=3, grid=3)
    quick, whole = (views.constructed_row(setting, quick=q) for q in (True, False))
    assert quick["lower"] <= whole["lower"] < whole["upper"] <= quick["upper"]
    assert quick["upper"] - quick["lower"] > 1.5 * (whole["upper"] - whole["lower"])
    other = whole | {"grid": 4}
    assert views.narrowest([quick, whole, other]) == [whole, other]
    assert views.narrowest([whole, quick]) == [whole]
    jump = views.constructed_row(Setting(target="formula: floor(3*x) - mean(x)"))
    assert jump["upper"] is None
    assert views.narrowest([jump, jump | {"upper": 1.0, "lower": 0.0}])[0]["upper"] == 1.0
    with pytest.raises(ValueError, match="over `seconds`=2"):
        views.constructed_row(setting.changed(tokens=4, grid=16), quick=True)


def test_a_slow_target_is_searched_at_fewer_radii(monkeypatch):
    setting = Setting(target="token-sine:periods=2")
    monkeypatch.setattr(views, "_seconds", lambda f, subject: 1.0)
    views._searched.cache_clear()
    slow = {row["delta"] for row in views.moduli_rows(setting) if row["lower"] is not None}
    assert slow == set(views.RADII[::2])
    views._searched.cache_clear()


def test_trained_rows_are_those_of_this_target_and_shape():
    folders = [ROOT / "docs"]
    rows = views.trained_rows(Setting(), folders)
    assert {row["family"] for row in rows} == {"lt", "tmlt"}
    assert views.trained_rows(Setting(p=2.0), folders) == []
    assert views.trained_rows(Setting(target="context-max"), folders) == []


def test_a_fit_tells_rows_and_stops_when_asked():
    told = []
    live = LiveFit(Setting(), told.append, loops=(1,))
    live._run()
    assert told[-1] is None
    rows = [row for part in told if isinstance(part, list) for row in part]
    assert [(row["family"], row["seed"]) for row in rows] == [
        (family, seed) for family in ("lt", "tmlt") for seed in range(3)
    ]
    assert all(0 < row["value"] < 0.8 for row in rows)  # below the best constant
    parts = [part.part for part in told if isinstance(part, Progress)]
    assert parts == sorted(parts)
    told.clear()
    live.stop()
    live._run()
    assert isinstance(told[-1], Stopped)


# -- taking along ----------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("kind", "ending"), list(zip(EXPORTS, ("png", "pdf", "svg", "png"), strict=True))
)
def test_figures_and_rows_can_be_taken_along(kind, ending):
    setting = Setting(grid=3)
    assert exported(setting, kind, ending).startswith(HEADS[ending])
    rows = list(csv.DictReader(io.StringIO(exported(setting, kind, "csv").decode())))
    assert rows
    assert {row["tokens"] for row in rows} == {"2"}


def test_a_file_of_rows_is_drawn_again_by_its_name(tmp_path):
    setting, folder = Setting(grid=3), tmp_path / "figures"
    folder.mkdir()
    name = folder / file_name("bound-terms", "csv")
    name.write_bytes(exported(setting, "bound-terms", "csv"))
    assert {row["term"] for row in read_rows(name)} == set(TERM_NAMES)
    (drawn,) = redraw(tmp_path, formats=["svg"])
    assert drawn.read_bytes() == exported(setting, "bound-terms", "svg")


@pytest.mark.parametrize("kind", EXPORTS)
def test_the_code_taken_along_makes_the_figure(kind, tmp_path, monkeypatch):
    dial, formula = "dial:token=0.5,context=0.5,periods=2", "formula: x - mean(x)"
    setting = Setting(target=formula if kind == "moduli" else dial, grid=3)
    code = exported(setting, kind, "py").decode()
    assert other_doors(code) == []
    (tmp_path / "own.py").write_text(code)
    monkeypatch.chdir(tmp_path)
    names = runpy.run_path("own.py")
    f = names["f"]
    assert (f.target, f.tokens, f.dim, f.p) == (views.target_of(setting.target), 2, 1, 1.0)
    assert (tmp_path / f"{kind}.pdf").read_bytes().startswith(b"%PDF")


def test_the_code_taken_along_takes_the_maximum_norm():
    assert 'p=float("inf"))' in exported(Setting(p=math.inf), "moduli", "py").decode()


def test_networks_of_the_page_are_taken_along():
    setting = Setting(grid=3)
    page = [views.constructed_row(setting.changed(grid=g)) for g in (3, 4)]
    rows = figure_rows(setting, "error-against-loops", built=page)
    built = [row for row in rows if row["curve"] == "constructed"]
    assert [row["value"] for row in built] == [row["upper"] for row in page]
    rows = figure_rows(setting, "error-against-loops", built=page[1:])  # its own is computed
    assert len([row for row in rows if row["curve"] == "constructed"]) == 2


def test_a_network_without_an_enclosure_is_left_out_of_the_figure():
    setting = Setting(target="formula: floor(3*x) - mean(x)", grid=3)
    rows = figure_rows(setting, "error-against-loops")
    assert {row["curve"] for row in rows} == {"bound", "trivial"}
    texts = [text.get_text() for text in make_figure("error-against-loops", rows).axes[0].texts]
    assert "not testable on this\nwhole range: see the verdicts" in texts


def test_the_code_taken_along_holds_what_the_page_alone_knows(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    setting = Setting(target="docs/example_target.py:soft_median", grid=3)
    fitted = [
        {"family": "lt", "loops": 1, "seed": seed, "value": v}
        for seed, v in ((0, 0.5), (1, math.nan))
    ]
    built = [views.constructed_row(setting)]
    given = {"folders": [Path("docs")], "fitted": fitted, "built": built}
    code = exported(setting, "error-against-loops", "py", **given)
    (tmp_path / "own.py").write_bytes(code)
    monkeypatch.chdir(tmp_path)  # places are from the root
    rows = runpy.run_path("own.py")["networks"]
    assert [row.get("value") for row in rows if row["curve"] == "trained"] == [0.5, None]
    assert [row["value"] for row in rows if row["curve"] == "constructed"] == [built[0]["upper"]]


def test_exports_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="`format` must be one of png"):
        exported(Setting(), "moduli", "gif")
    with pytest.raises(ValueError, match="`kind` must be one of"):
        exported(Setting(), "all", "png")
    with pytest.raises(ValueError, match="tokens=2 and dim=1"):
        exported(Setting(tokens=3), "stages", "png")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--port", "70000"], "`port` must be from 0 to 65535"),
        (["--json"], "`json` needs --static"),
        (["--rows", "nowhere"], "`rows` must be folders"),
    ],
)
def test_the_command_refuses_in_one_line(arguments, words, capsys):
    assert main(["explore", *arguments]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


def test_a_folder_that_cannot_be_made_is_told_before_anything_is_computed(tmp_path, capsys):
    (tmp_path / "file").touch()
    assert explorer(["--static", str(tmp_path / "file" / "below")]) == 2
    error = capsys.readouterr().err
    assert "Not a directory; name another" in error
    assert error.count("\n") == 1


def test_a_port_that_is_taken_is_told():
    command = [sys.executable, "-m", "looprate.figures.explorer", "--no-browser", "--port"]
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        done = subprocess.run([*command, port], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"`port` must be one that is free, got {port}" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("memoriser", "coding", "loops"),
    [("increments", "others", 33), ("two-level-digits", "sum", 53)],
)
def test_a_network_on_a_code_of_choice_is_shown_loop_by_loop(memoriser, coding, loops):
    setting = Setting(memoriser=memoriser, coding=coding)
    run = loop_states(setting)
    assert len(run.values) == loops + 1
    table = state_table(run, loops)
    assert all("<td></td></tr>" not in line for line in table.split("<tr>")[6:])
    built = compile_construction(resolve_target(setting.target), setting.spec)
    answer = reference_output(built.network, run.place.fractions)
    assert run.outputs[-1] == [[float(v) for v in token] for token in answer]


def test_a_code_of_choice_is_taken_along(tmp_path, monkeypatch):
    setting = Setting(memoriser="increments", coding="others", grid=3)
    (row,) = built = [views.constructed_row(setting)]
    code = exported(setting, "error-against-loops", "py", built=built).decode()
    assert 'version="increments", coding="others"' in code
    assert "f.construct" not in code
    usual = exported(setting.changed(coding="usual"), "error-against-loops", "py", built=built)
    assert 'f.construct(3, memoriser="increments", coding="sum"' in usual.decode()
    (tmp_path / "own.py").write_text(code)
    monkeypatch.chdir(tmp_path)
    made = runpy.run_path("own.py")
    assert [known["value"] for known in made["networks"]] == [row["upper"]]
    assert made["answers"][1].rows[0]["version"].endswith("increments on the others code")


def test_networks_on_two_codes_are_two_networks():
    on = [{"memoriser": "digits", "coding": c, "grid": 4, "lower": 0, "upper": u}
          for c, u in (("rank", 1), ("others", 2), ("rank", 0.5))]  # fmt: skip
    assert views.narrowest(on) == [on[2], on[1]]


@pytest.mark.parametrize("memoriser", ["two-level-increments", "two-level-digits"])
def test_two_levels_are_shown_loop_by_loop_with_every_row_in_words(memoriser):
    setting = Setting(memoriser=memoriser, dim=2, grid=2, target="mean-field")  # b_0 is shared
    run = loop_states(setting)
    last = len(run.values) - 1
    table = state_table(run, last)
    assert "group found:" in state_words(run, last)
    assert all("<td></td></tr>" not in line for line in table.split("<tr>")[6:])
    exact = resolve_target("mean-field")(
        np.array([[[float(x) for x in t] for t in run.place.fractions]])
    )[0]
    assert np.abs(np.array(run.outputs[last]) - exact).max() < 0.5
