"""The start page: every command on it that has an output below it prints that output."""

import math
import re
import shlex
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "start.md").read_text(encoding="utf-8")
SHOWN = re.findall(r"```(sh|python)\n([^`]*)```\n\n```text\n([^`]*)```", PAGE)
NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?(?:e-?\d+)?")
NEAR = 0.02  # relative: a search may stop a little earlier on another machine


def faults(shown, printed):
    """Yield the lines of an output shown that are not printed, in their order."""
    rest = printed.splitlines()
    for line in shown.splitlines():
        if line == "...":
            continue
        place = next((k for k, other in enumerate(rest) if same(line, other)), None)
        if place is None:
            yield line
        else:
            rest = rest[place + 1 :]


def same(line, other):
    """Whether two lines have the same words and nearly the same numbers."""
    words = [" ".join(NUMBER.sub("#", text).split()) for text in (line, other)]
    left, right = ([float(n.replace(",", "")) for n in NUMBER.findall(t)] for t in (line, other))
    near = [math.isclose(a, b, rel_tol=NEAR) for a, b in zip(left, right, strict=False)]
    return words[0] == words[1] and len(left) == len(right) and all(near)


def test_outputs_that_differ_are_seen():
    assert list(faults("a  1.00\n...\nb 2", "x\na 1.001\nc\nb  2")) == []
    assert list(faults("a 1\nb 2", "b 2\na 1")) == ["b 2"]
    assert list(faults("a 1\nb 2", "a 1.1\nb 2")) == ["a 1"]
    assert list(faults("holds 1", "vacuous 1")) == ["holds 1"]


def test_the_page_shows_outputs_of_one_function_through_all_steps():
    assert [kind for kind, *_ in SHOWN] == ["sh", "sh", "sh", "python"]
    (target,) = set(re.findall(r"dial:[\w.=,]*periods=\d(?=[ \"])", PAGE))
    assert [command.split()[1] for kind, command, _ in SHOWN if kind == "sh"] == [
        *("moduli", "bound", "construct")
    ]
    assert all(target in command for _, command, _ in SHOWN)


@pytest.mark.parametrize(("command", "output"), [each[1:] for each in SHOWN if each[0] == "sh"])
def test_what_the_page_shows_is_what_is_printed(command, output, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # what Python prints is compared where it is run, in test_readme
    code, out, err = said(*shlex.split(command)[1:])
    assert code == 0, err
    assert list(faults(output, out)) == []
