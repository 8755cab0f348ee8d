"""Tables, help and completion: what a terminal, a file and a shell get."""

import os
import re
import subprocess
import sys
import threading
from contextlib import nullcontext, suppress

import pytest

from looprate import waiting
from looprate.cli import main
from looprate.experiments.engine.progress import Progress
from looprate.printing import print_table

HEAD = ["modulus", "delta", "at least", "at most", "gap", "by", "why"]
ROWS = [
    ["sequence", "0.0001", "1.23456e-05", "1.23457e+100", "12.5 %", "branch and bound", "a " * 40],
    ["token", "1000000", "beyond float64", "0.25 (0.125 to 0.5)", "none", "none", "not reached"],
]
NUMBERS = re.compile(r"\d[\d.e+-]*")
WIDTHS = (40, 60, 80, 120)


def on_terminal(monkeypatch, width, run):
    """Run a function on a terminal of some width; return what it shows."""
    leader, follower = os.openpty()
    said = []

    def read():
        with suppress(OSError):  # closed
            while part := os.read(leader, 4096):
                said.append(part)

    reader = threading.Thread(target=read)
    reader.start()
    with os.fdopen(follower, "w", encoding="utf-8") as screen, monkeypatch.context() as patch:
        patch.setenv("COLUMNS", str(width))
        for name in ("stdout", "stderr"):
            patch.setattr(sys, name, screen)
        run()
        assert (sys.stdout, sys.stderr) == (screen, screen)
    reader.join(10.0)
    os.close(leader)
    return b"".join(said).decode().replace("\r\n", "\n")


@pytest.mark.parametrize("width", WIDTHS)
def test_a_table_in_a_terminal_fits_and_breaks_no_number(monkeypatch, width):
    text = on_terminal(monkeypatch, width, lambda: print_table(HEAD, ROWS))
    lines = re.sub(r"\x1b\[[\d;]*m", "", text).splitlines()
    assert max(map(len, lines)) <= width
    shown = [number for line in lines for number in NUMBERS.findall(line)]
    assert sorted(shown) == sorted(n for row in ROWS for cell in row for n in NUMBERS.findall(cell))
    words = " ".join(lines).split()
    assert "a" in words
    assert words.count("beyond") == 1
    as_blocks = any(line.startswith("at least: ") for line in lines)
    assert as_blocks == (width < 80)


SHOWN = (
    (60, "targets"),
    (60, "moduli token-sine --delta 0.1 --kind token"),
    (80, "moduli token-sine --delta 0.1 --kind token --certify --seconds 1"),
    (60, "bound dial --loops 100 1000000000"),
    (80, "bound dial --loops 100 1000000000"),
    (60, "bound --worst-case --loops 100 1000000000"),
    (60, "construct mean-field --grid 2"),
    (60, "claims delta-and-loops-invert --out OUT"),
    (60, "explain moduli-monotone --out OUT"),
)


@pytest.mark.parametrize(("width", "command"), SHOWN)
def test_what_a_command_shows_fits_the_terminal(monkeypatch, tmp_path, width, command):  # M3
    words = command.replace("OUT", str(tmp_path)).split()
    codes = []
    text = on_terminal(monkeypatch, width, lambda: codes.append(main(words)))
    assert codes == [0]
    lines = [re.sub(r"\x1b\[[\d;]*[mK]", "", line.split("\r")[-1]) for line in text.splitlines()]
    assert len(lines) > 2
    assert [line for line in lines if len(line) > width and str(tmp_path) not in line] == []
    if "1000000000" in words:  # a terminal of 80 columns once broke it in two
        assert "1000000000" in " ".join(lines).split()


def test_a_table_elsewhere_has_a_line_a_row_and_nothing_for_terminals(capsys):
    print_table(HEAD, ROWS)
    out = capsys.readouterr().out
    assert out.isascii()
    assert "\x1b" not in out
    lines = [re.split(r"  +", line) for line in out.splitlines()]
    assert lines == [[cell.strip() for cell in line] for line in [HEAD, *ROWS]]


@pytest.mark.parametrize("width", WIDTHS[1:])
@pytest.mark.parametrize("command", [[], ["construct"], ["figures"], ["rows"]])
def test_help_is_as_wide_as_the_terminal_and_keeps_examples(monkeypatch, said, width, command):
    monkeypatch.setenv("COLUMNS", str(width))
    _, out, _ = said(*command, "--help")
    text, _, example = out.partition("\nexample:\n")
    parts = [part for part in text.split("\n\n")[1:] if "\n  looprate" not in part]
    lines = [line for part in parts for line in part.splitlines() if "bash" not in line]
    assert width - 15 < max(map(len, lines)) <= width
    assert len(example.splitlines()) == 1


def test_help_shows_commands_in_groups(said):
    _, out, _ = said("--help")
    groups = re.findall(r"^  (\w+):$", out, re.MULTILINE)
    assert groups == ["start", "study", "evidence", "data"]


# -- completion ------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def script(tmp_path_factory):
    """The completion of bash, which bash accepts."""
    path = tmp_path_factory.mktemp("completion") / "looprate"
    with path.open("w") as file:
        done = subprocess.run(
            [sys.executable, "-m", "looprate", "--print-completion", "bash"],
            stdout=file, check=False,
        )  # fmt: skip
    assert done.returncode == 0
    assert subprocess.run(["bash", "-n", str(path)], check=False).returncode == 0
    return path


@pytest.mark.parametrize(
    ("typed", "wanted"),
    [
        (["mod"], {"moduli"}),
        (["verify", "--pr"], {"--preset", "--processes"}),
        (["verify", "--preset", ""], {"smoke", "quick", "full"}),
        (["moduli", "token-s"], {"token-sine"}),
        (["verify", "--target", "mean-"], {"mean-field"}),
        (["explain", "corollary-3"], {"corollary-3-7"}),
        (["construct", "dial", "--memoriser", "d"], {"digits"}),
    ],
)
def test_bash_completes_commands_options_choices_and_names(script, tmp_path, typed, wanted):
    words = " ".join(f"'{word}'" for word in ["looprate", *typed])
    text = (
        f"source {script}; COMP_WORDS=({words}); COMP_CWORD={len(typed)}; "
        f"_shtab_looprate looprate '{typed[-1]}' ''; echo \"${{COMPREPLY[@]}}\""
    )
    done = subprocess.run(["bash", "-c", text], capture_output=True, text=True, cwd=tmp_path)
    assert set(done.stdout.split()) >= wanted, done.stderr
    assert all(word.startswith(typed[-1]) for word in done.stdout.split())


@pytest.mark.parametrize("shell", ["zsh", "tcsh"])
def test_other_shells_get_the_names_too(capsys, shell):
    assert main(["--print-completion", shell]) == 0
    out = capsys.readouterr().out
    assert all(word in out for word in ("token-sine", "--memoriser", "timestep", "corollary-3-7"))


# -- waiting ---------------------------------------------------------------------------------------
@pytest.mark.parametrize("silent", [True, False])
def test_a_silent_command_says_on_a_terminal_that_it_works_until_it_speaks(monkeypatch, silent):
    monkeypatch.setattr(waiting, "PATIENCE", 0.0 if silent else 60.0)

    def command():
        with waiting.Waiting("at work ...") as note:
            if silent:
                note.timer.join()
            print("answer")
            print("another", file=sys.stderr)

    shown = on_terminal(monkeypatch, 80, command)
    assert shown == ("at work ...\r\x1b[K" if silent else "") + "answer\nanother\n"


def test_where_stderr_is_no_terminal_nothing_is_said(monkeypatch, capsys):
    monkeypatch.setattr(waiting, "PATIENCE", 0.0)
    with waiting.Waiting("at work ...") as note:
        assert not note.timer.is_alive()
        print("{}")
    assert capsys.readouterr() == ("{}\n", "")


def test_every_command_is_waited_for(monkeypatch):
    said = []
    monkeypatch.setattr("looprate.cli.Waiting", lambda words: said.append(words) or nullcontext())
    assert main(["targets"]) == 0
    assert said == ["looprate targets: at work ..."]


def test_a_bar_of_progress_ends_at_its_end_whatever_is_added_up(capfd, monkeypatch):
    """tqdm warns of a share above 1, and a warning may be an error."""
    with Progress(0.7, "work") as bar:
        monkeypatch.setattr(bar.bar, "mininterval", 0.0)
        seen = []
        for value in (0.1, 0.3, 0.2, 0.1 + 0.6, 0.7 + 1e-9, 7.0):
            bar.to(value)
            seen.append(bar.bar.n / bar.bar.total)
            str(bar.bar)  # what it draws
    assert seen == sorted(seen)
    assert seen[:2] == pytest.approx([1 / 7, 3 / 7], abs=1e-4)
    assert seen[-1] == 1
