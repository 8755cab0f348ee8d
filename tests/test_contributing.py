"""What documents and docstrings name is there: files, what they define, commands, options."""

from __future__ import annotations

import ast
import re
import shlex
from functools import cache
from pathlib import Path

import pytest

import looprate
from looprate import cli

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = "theory|approx|experiments|figures|looprate|benchmarks|tests|docs|results"
PLACE = re.compile(rf"`((?:{FOLDERS})/[\w./-]*)(?::([\w.]+))?`")
DOTTED = re.compile(r"looprate(?:\.\w+)+")
MODEL = re.compile(r"KIND|NAME|NN|N-name|_build")  # stands for names, or is made by a build
QUESTIONS = 22
SHELL = re.compile(r"```sh\n(.*?)```|`(looprate [a-z][^`\n]*)`", re.DOTALL)
END = re.compile(r"\s#|\s[|>]\s")  # of a command: a comment, or where its output goes
SOURCES = [
    *(ROOT / name for name in ("README.md", "benchmarks/README.md", "results/README.md")),
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "docs").glob("howto/*.md")),
    *sorted((ROOT / "docs").glob("figures/*.md")),
    *sorted((ROOT / "docs").glob("lessons/*.py")),
    *sorted((ROOT / "docs").glob("examples/*.py")),
    *sorted(
        path
        for name in ("theory", "approx", "experiments", "figures", "looprate", "benchmarks")
        for path in (ROOT / name).rglob("*.py")
    ),
]
CONTRIBUTING = (ROOT / "docs" / "contributing.md").read_text(encoding="utf-8")


@cache
def defined(path):
    """Return the names that a source defines or imports: functions, classes, methods, constants."""
    found = set()
    waiting = [(ast.parse(path.read_text(encoding="utf-8")), "")]
    while waiting:
        node, within = waiting.pop()
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.ClassDef):
                found.add(within + child.name)
                waiting += [(child, f"{within}{child.name}.")] * isinstance(child, ast.ClassDef)
            elif isinstance(child, ast.Assign | ast.AnnAssign):
                targets = child.targets if isinstance(child, ast.Assign) else [child.target]
                found |= {within + ast.unparse(target) for target in targets}
            elif isinstance(child, ast.ImportFrom):
                found |= {alias.name for alias in child.names}
            elif isinstance(child, ast.If):
                waiting.append((child, within))
    return found


def faults(text):
    """Return the places that a text names and that are not there."""
    found = []
    for place, name in PLACE.findall(text):
        path = ROOT / place
        if MODEL.search(place):
            continue
        if not path.exists():
            found.append(place)
        elif name and name not in defined(path):
            found.append(f"{place}:{name}")
    return found + [dotted for dotted in DOTTED.findall(text) if not is_there(dotted)]


def is_there(dotted):
    """Return whether a dotted name below looprate is a module, or defined in one."""
    parts = dotted.split(".")[1:]
    if parts[0] in (*looprate.__all__, "__version__"):
        return True
    for count in range(len(parts), 0, -1):
        for home in (ROOT, ROOT / "looprate"):
            place, rest = home.joinpath(*parts[:count]), ".".join(parts[count:])
            for source in (place.with_suffix(".py"), place / "__init__.py"):
                if source.is_file():
                    return not rest or rest in defined(source)
    return False


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_place_that_is_named_exists(source):
    assert faults(source.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "text",
    [
        "`theory/bounds/gone.py`",
        "``theory/gone/``",
        "`theory/facts.py:gone`",
        "`theory/facts.py:Facts.gone`",
        "`looprate.theory.gone`",
        ":func:`looprate.theory.facts.gone`",
        "looprate.gone",
    ],
)
def test_a_place_that_is_not_there_is_caught(text):
    assert faults(text)


def test_a_place_that_is_there_passes():
    assert not faults("`theory/`, `theory/facts.py:Facts.bound`, `looprate.theory.facts.facts_of`")
    assert not faults("`docs/figures/KIND__NAME.csv` and looprate.target and theory/gone.py")


def test_the_questions_are_answered_in_a_line_each_by_a_place():
    rows = [line for line in CONTRIBUTING.splitlines() if re.match(r"\| [^|]+\? \|", line)]
    assert len(rows) == QUESTIONS
    assert [row for row in rows if not PLACE.search(row.split("|")[2])] == []


def commands(text):
    """Yield the commands of looprate in a document, as lists of words; not those with gaps."""
    for block, inline in SHELL.findall(text):
        for line in (block or inline).splitlines():
            if line.startswith("looprate ") and "..." not in line:
                command = END.split(line)[0]
                if not re.search(r"\b[A-Z]{3,}\b", command):  # stands for something
                    yield shlex.split(command)[1:]


@pytest.mark.parametrize("source", [p for p in SOURCES if p.suffix == ".md"], ids=lambda p: p.stem)
def test_every_command_in_a_document_is_understood(source):
    for command in commands(source.read_text(encoding="utf-8")):
        cli._parser().parse_args(command)  # else it ends with a message


def test_commands_are_found_and_a_wrong_option_is_caught():
    text = "```sh\nlooprate bound token-sine --gone 8  # words\n```\n`looprate targets`"
    wrong, right = commands(text)
    assert (wrong, right) == (["bound", "token-sine", "--gone", "8"], ["targets"])
    cli._parser().parse_args(right)
    with pytest.raises(ValueError, match="--gone"):
        cli._parser().parse_args(wrong)
    assert sum(len(list(commands(p.read_text()))) for p in SOURCES if p.suffix == ".md") > 40
