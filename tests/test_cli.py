"""The command: what it prints for scripts, and one line with exit code 2 for every bad input."""

import argparse
import json
import operator
import os
import shlex
import subprocess
import sys
import traceback
from pathlib import Path

import pytest

from cases.own_functions import OWN
from looprate.cli import _parser, main
from looprate.commands import moduli as command_moduli
from looprate.commands import targets as command_targets
from looprate.experiments.engine import task
from looprate.options import SHARED, asked_device
from looprate.theory.bounds.rows import TERM_NAMES
from looprate.theory.notation import KINDS
from looprate.theory.targets import TARGETS

ROOT = Path(__file__).resolve().parent.parent
MODULI_KEYS = ["kind", "delta", "lower", "exact", "upper", "side"]
ROUNDING = 1e-9  # relative, of a modulus in float64
QUICK = ["--effort", "0.1"]
ENGINE = ("--processes", "--engine", "--scheduler")


def shell(*arguments, **settings):
    command = [sys.executable, "-m", "looprate", *arguments]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, **settings
    )


# -- help ------------------------------------------------------------------------------------------
COMMANDS = next(a for a in _parser()._actions if isinstance(a, argparse._SubParsersAction)).choices


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_says_what_and_how_with_an_example_that_parses(said, command):
    code, out, err = said(*command.split(), "--help")
    assert (code, err) == (0, "")
    example = out.partition("\nexample:\n  looprate ")[2]
    assert example.startswith(command)
    assert _parser().parse_args(shlex.split(example))


def test_help_says_which_function_a_certified_bound_is_of(said):  # M11
    _, out, _ = said("moduli", "--help")
    words = " ".join(out.split())
    assert "They bound the function that the formula spells, computed exactly" in words
    assert "attained by its values in float64" in words
    assert "between the two" not in words


def test_help_is_quick_and_loads_no_numbers():
    text = (
        "import sys; from looprate.cli import main; main(['--help']);"
        "print(sorted({'torch', 'scipy', 'matplotlib', 'sympy', 'numpy'} & set(sys.modules)))"
    )
    seconds = []
    for _ in range(3):
        start = os.times()
        done = subprocess.run(
            [sys.executable, "-c", text], cwd=ROOT, capture_output=True, text=True, check=True
        )
        end = os.times()  # processor time, which busy neighbours do not add to
        spent = end.children_user + end.children_system
        seconds.append(spent - start.children_user - start.children_system)
        assert done.stdout.endswith("\n[]\n")
    assert min(seconds) < 1.0  # 0.15 s on a quiet core


STEM = 7  # characters of a help that are the same in all commands
PER_STUDY = {"--preset"}  # each study has sizes of its own


def options_of_all_commands():
    """Yield command, option string and action of every parser."""
    for name, parser in [("looprate", _parser()), *COMMANDS.items()]:
        for action in parser._actions:
            yield from ((name, string, action) for string in action.option_strings)


def differences(places):
    """Yield what is not the same of one option in several commands."""
    actions = list(places.values())
    defaults = {repr(one.default) for one in actions if one.default is not None}
    for what, found in (
        ("type", {one.type for one in actions}),
        ("strings", {tuple(one.option_strings) for one in actions}),
        ("help", {one.help[:STEM] for one in actions}),
        ("default", defaults),
    ):
        if len(found) > 1:
            yield f"{what}: {found} in {', '.join(places)}"


def test_an_option_means_the_same_in_every_command():
    known = {}
    for command, string, action in options_of_all_commands():
        known.setdefault(string, {})[command] = action
    assert len(known["--tokens"]) == len(known["--p"]) == 4
    wrong = {s: [*differences(places)] for s, places in known.items() if s not in PER_STUDY}
    assert {string: words for string, words in wrong.items() if words} == {}
    other = {"moduli": known["--tokens"]["moduli"], "bound": known["--p"]["bound"]}
    assert len([*differences(other)]) == 4  # it can fail
    for string in set(known) - PER_STUDY:
        shared = [s for strings, _ in SHARED.values() for s in strings]
        assert len(known[string]) == 1 or string in [*shared, *ENGINE, "-h", "--help"]


def test_a_gpu_is_taken_where_this_machine_has_one_and_does_the_work(monkeypatch):
    asked = {"auto": "cpu", "cpu": "cpu", "cuda": "cuda"}
    for drivers, devices, auto in (((), ("0",), "cpu"), (("/",), (), "cpu"), (("/",), "0", "cuda")):
        monkeypatch.setattr(task, "DRIVERS", drivers)
        monkeypatch.setattr(task, "visible_devices", lambda devices=devices: devices)
        for word, device in {**asked, "auto": auto}.items():
            options = _parser().parse_args(["verify", "--device", word])
            assert asked_device(options) == device
            elsewhere = ["verify", "--device", word, "--engine", "dask", "--scheduler", "tcp://x:1"]
            assert asked_device(_parser().parse_args(elsewhere)) == asked[word]
    for command in (["verify"], ["eta"], ["reproduce", "lcs"]):
        assert _parser().parse_args(command).device == "auto"


def test_the_moduli_on_the_command_line_are_those_there_are():
    assert command_moduli.KINDS == KINDS


# -- output for scripts ----------------------------------------------------------------------------
def test_targets_lists_every_target(printed):
    found = printed("targets")
    assert [entry["name"] for entry in found] == list(TARGETS)
    for entry in found:
        assert set(entry) == {"name", "summary", "parameters"}
        assert all(set(p) == {"name", "default", "doc"} for p in entry["parameters"])


def test_targets_in_words_names_every_target(said):
    code, out, _ = said("targets")
    assert code == 0
    assert all(name in out for name in TARGETS)


@pytest.mark.parametrize(
    "target",
    ["token-power:alpha=0.5", "mean-field", "context-max", "softmax-attention", "0.5*mean-field"],
)
def test_moduli_stay_below_the_exact_ones(printed, target):
    rows = printed("moduli", target, "--delta", 0.05, 0.3, "--tokens", 3, "--p", 2, *QUICK)
    assert [list(row) for row in rows] == [MODULI_KEYS] * 6
    assert [row["kind"] for row in rows[::2]] == ["sequence", "token", "contextual"]
    for row in rows:
        assert row["side"] in ("exact", "upper", "lower")
        assert (row["side"] == "exact") == (row["exact"] is not None)
        assert (row["side"] == "lower") == (row["upper"] is None)
        for name in ("exact", "upper"):
            assert row[name] is None or row["lower"] <= row[name] * (1 + ROUNDING)


@pytest.mark.parametrize("name", ["for_numpy", "for_torch", "for_both"])
def test_own_functions_have_moduli_and_bounds(printed, name):
    rows = printed("moduli", f"{OWN}:{name}", "--delta", 0.1, "--kind", "token", *QUICK)
    (row,) = rows
    assert list(row) == MODULI_KEYS
    assert (row["side"], row["exact"], row["upper"]) == ("lower", None, None)
    # The token modulus at p = 2 of a function of one number is its own: known for these three.
    truth = {"for_numpy": 0.1**0.5, "for_torch": 0.1, "for_both": 1 - 0.9**2}[name]
    assert 0.97 * truth <= row["lower"] <= truth * (1 + 1e-6)


@pytest.mark.parametrize("target", ["mean-field", "dial", "token-sine"])
@pytest.mark.parametrize("version", ["theorem-3.6", "increments", "timestep"])
def test_bounds_say_nothing_at_few_loops_and_something_at_many(printed, target, version):
    loops = (3, 1000, 10**18)
    rows = printed("bound", target, "--inequality", version, "--loops", *loops)
    assert [row["loops"] for row in rows] == list(loops)
    for row in rows:
        assert row.keys() >= {"loops", "delta", "terms", "total", "trivial", "verdict"}
        assert list(row["terms"]) == list(TERM_NAMES)
        if row["total"] is not None:
            assert sum(row["terms"].values()) == pytest.approx(row["total"], rel=1e-12)
            assert (row["verdict"] == "holds") == (row["total"] < row["trivial"])
    assert rows[0]["verdict"] == "vacuous"
    assert rows[-1]["verdict"] == "holds"
    if version == "theorem-3.6":  # the others may rise while they say nothing
        assert rows[0]["total"] > rows[1]["total"] > rows[2]["total"]


def test_words_carry_the_same_numbers(said, printed):
    (row,) = printed("bound", "mean-field", "--loops", 1000)
    code, out, _ = said("bound", "mean-field", "--loops", 1000)
    assert code == 0
    assert f"{row['total']:.4g}" in out
    assert "vacuous" in out
    code, out, _ = said("moduli", "mean-field", "--delta", 0.1, *QUICK)
    assert code == 0
    assert "a pair of inputs attains each" in out


# -- bad input -------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ("", "COMMAND"),
        ("nonsense", "invalid choice: 'nonsense'"),
        ("moduli", "TARGET"),
        ("moduli nonsense", "`target` must be one of token-power"),
        ("moduli mean-field:c=1", "mean-field"),
        ("moduli no-module:f", "`target`"),
        ("moduli missing.py:f", "no file 'missing.py'"),
        ("moduli mean-field --delta -0.1", "`delta` (a radius) must be finite and >= 0, got -0.1"),
        ("moduli mean-field --delta inf", "`delta`"),
        ("moduli mean-field --delta x", "--delta"),
        ("moduli mean-field --p 0.5", "`p` (exponent of the norm) must be >= 1"),
        ("moduli mean-field --p nan", "`p`"),
        ("moduli mean-field --tokens 0", "`tokens` (sequence length N) must be an integer >= 1"),
        ("moduli mean-field --dim 0", "`dim`"),
        ("moduli mean-field --kind nonsense", "invalid choice: 'nonsense'"),
        ("moduli mean-field --effort 0", "`effort`"),
        ("moduli mean-field --seed -1", "`seed` must be an integer >= 0, got -1"),
        ("bound mean-field --loops 2", "`loops` must exceed tokens=2 for Theorem 3.6"),
        ("bound mean-field --tokens 3 --loops 9 1", "`loops` must exceed tokens=3"),
        ("bound mean-field --inequality nonsense", "invalid choice: 'nonsense'"),
        ("bound mean-field --slope 0", "`slope`"),
        ("verify --preset nonsense", "invalid choice: 'nonsense'"),
        ("verify --style nonsense", "invalid choice: 'nonsense'"),
        ("verify --target nonsense", "`target` must be one of"),
        ("verify --loops 1 2", "`loops` must include one above tokens=2"),
        ("verify --loops 3 3", "`loops` must not repeat"),
        ("verify --loops 0 3", "`loops`"),
        ("verify --seeds 0", "`seeds` must be an integer >= 1"),
        ("verify --p inf", "`p` must be finite"),
        ("verify --p 0.5", "`p`"),
        ("verify --tokens 0", "`tokens`"),
        ("verify --steps 0", "`steps` must be an integer >= 1"),
        ("verify --rates -1", "`learning_rates` must be finite and > 0"),
        ("verify --rates nan", "`learning_rates` must be finite and > 0"),
        ("verify --processes 0", "`processes` must be an integer >= 1"),
        ("figures runs --style nonsense", "invalid choice: 'nonsense'"),
        ("figures runs --format gif", "invalid choice: 'gif'"),
    ],
)
def test_bad_input_is_one_line_that_names_it(refused, monkeypatch, tmp_path, arguments, match):
    monkeypatch.chdir(tmp_path)
    assert match in refused(*arguments.split())
    assert list(tmp_path.iterdir()) == []  # nothing was begun


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("wrong_shape", "returned shape (5, 1, 1), expected (5, 2, 1)"),
        ("not_a_number", "returned NaN"),
        ("raises", "first line second line"),
        ("raises_late", "ZeroDivisionError: too many"),
        ("missing", "has no 'missing', it has Bend, Mixer"),
        ("number", "must be a function, got int"),
    ],
)
@pytest.mark.parametrize(
    "command", [["moduli", "--effort", "0.1"], ["bound"], ["verify", "--preset", "smoke"]]
)
def test_a_broken_own_function_is_one_line(refused, tmp_path, command, name, match):
    out = ["--out", str(tmp_path / "out"), "--processes", "1"] if command[0] == "verify" else []
    target = ["--target", f"{OWN}:{name}"] if out else [f"{OWN}:{name}"]
    assert match in refused(command[0], *target, *command[1:], *out)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("def f(x:\n    return x\n", "line 1 with SyntaxError"),
        ("import numpy as np\nraise KeyError('gone')\n", "line 2 with KeyError: 'gone'"),
        ("import no_such_module_at_all\n", "line 1 with ModuleNotFoundError"),
        ("import sys\nsys.exit('enough')\n", "line 2 with SystemExit: enough"),
    ],
)
def test_an_own_file_that_cannot_be_loaded_is_one_line(refused, tmp_path, text, match):
    path = tmp_path / "broken.py"
    path.write_text(text)
    line = refused("moduli", f"{path}:f")
    assert match in line
    assert str(path) in line


def test_a_path_below_a_file_is_refused(refused, tmp_path):
    (tmp_path / "file").touch()
    line = refused("verify", "--preset", "smoke", "--out", tmp_path / "file" / "out")
    assert "Not a directory" in line
    line = refused("verify", "--preset", "smoke", "--out", tmp_path / "file")
    assert "cannot use" in line


@pytest.mark.parametrize("name", ["rows.jsonl", "theory.jsonl"])
def test_corrupt_rows_are_named_and_stay(refused, tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b'{"task": "a", "index": 0, "of": 1}\n{broken\n{"task": "b"}\n')
    before = path.read_bytes()
    line = refused("verify", "--preset", "smoke", "--out", tmp_path)
    assert f"`{name}` must hold one JSON row a line, line 2 of" in line
    assert path.read_bytes() == before
    assert {p.name for p in tmp_path.iterdir()} <= {name, ".lock"}


@pytest.mark.parametrize("below", ["missing", "."])
def test_figures_of_a_missing_or_empty_folder_are_refused(refused, tmp_path, below):
    assert "`directory` must be a study folder" in refused("figures", tmp_path / below)


# -- the edges of the command ----------------------------------------------------------------------
def test_the_shell_sees_the_same(tmp_path):
    done = shell("targets", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert len(json.loads(done.stdout)) == len(TARGETS)
    done = shell("moduli", "nonsense")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("looprate: `target` must be one of")
    assert done.stderr.count("\n") == 1


def test_a_reader_that_leaves_is_no_error():
    command = f"{sys.executable} -m looprate targets --json | head -c 1"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command], cwd=ROOT, capture_output=True, check=False
    )
    assert (done.stdout, done.stderr, done.returncode) == (b"[", b"", 0)


def test_an_interruption_says_how_to_go_on(said, monkeypatch):
    def interrupted(options):
        raise KeyboardInterrupt

    monkeypatch.setattr(command_targets, "run_targets", interrupted)
    code, _, err = said("targets")
    assert (code, err) == (130, "looprate: interrupted; run the same command again to resume\n")


def test_a_bug_of_ours_is_not_dressed_up_as_bad_input(monkeypatch):
    monkeypatch.setattr(command_targets, "run_targets", operator.attrgetter("nothing"))
    with pytest.raises(AttributeError, match="nothing"):
        main(["targets"])


def test_the_debug_switch_shows_the_traceback(monkeypatch):
    monkeypatch.setenv("LOOPRATE_DEBUG", "1")
    with pytest.raises(ValueError, match="`target` must be one of"):
        main(["moduli", "nonsense"])
    with pytest.raises(ValueError, match="ZeroDivisionError: too many") as seen:
        main(["moduli", f"{OWN}:raises_late", *QUICK])
    assert "raises_late" in "".join(traceback.format_exception(seen.value))  # the user's own frame


# -- what was meant --------------------------------------------------------------------------------


def test_the_version_is_told(said):  # B3
    code, out, err = said("--version")
    assert (code, err) == (0, "")
    assert out.startswith("looprate ")
