"""Facts that are kept from one run to the next: the same numbers, and no other function's."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from dataclasses import replace

import pytest

from looprate.experiments.study import certificates, known
from looprate.experiments.study import kept as store
from looprate.experiments.study.certificates import asked_spec
from looprate.experiments.study.known import known_facts
from looprate.theory.certification import unproven
from looprate.theory.facts import Facts
from looprate.theory.targets import OwnFunction, parse_target, resolve_target
from looprate.theory.verdict import Finding, Verdict

SHAPE = {"tokens": 2, "dim": 1, "p": 1.0}
CODE = """
from pathlib import Path

import numpy as np

def f(x):
    return {factor} * np.sin(x) + 0.1 * x.mean(1, keepdims=True)
"""


@pytest.fixture
def searches(monkeypatch, tmp_path):
    """What is found out anew, with a cache of its own."""
    monkeypatch.setenv("LOOPRATE_CACHE", "1")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    calls = []

    def found(target, *, tokens, dim, p, **_):
        calls.append(str(target))
        size = {"oscillation": unproven(target, tokens=tokens, dim=dim).oscillation}
        size |= {"oscillation_side": "upper", "trivial": 0.5, "trivial_stderr": 0.01}
        row = {"kind": "token", "delta": 0.5, "lower": 0.1, "exact": None, "upper": None}
        row |= {"side": "upper", "certified": 0.125, "method": "partition"}
        shape = {"tokens": tokens, "dim": dim, "p": p}
        holds = Finding("it is good", Verdict.HOLDS, "looked at")
        return Facts(target, **shape, hypotheses=(holds,), rows=(row,), **size)

    monkeypatch.setattr(known, "facts_of", found)
    return calls


def kept(tmp_path):
    return sorted((tmp_path / "cache" / "looprate" / "facts").glob("*.json"))


def target(tmp_path, factor):
    path = tmp_path / "own.py"
    path.write_text(CODE.format(factor=factor))
    return resolve_target(f"{path}:f", tokens=2, dim=1)


def test_facts_are_found_once_and_another_function_of_the_name_anew(searches, tmp_path):
    first = known_facts(target(tmp_path, 1), **SHAPE)
    again = known_facts(target(tmp_path, 1), **SHAPE)
    assert len(searches) == 1
    assert again.as_row() == first.as_row()
    assert again.moduli("token", 0.3) == first.moduli("token", 0.3) == (0.125, "upper")
    assert again.oscillation_side == "upper"
    other = known_facts(target(tmp_path, 2), **SHAPE)
    assert len(searches) == 2
    assert other.oscillation > 1.5 * first.oscillation
    known_facts(target(tmp_path, 1), **SHAPE, seconds=7.0)
    assert len(searches) == 3
    assert len(kept(tmp_path)) == 3


def test_nothing_is_kept_of_what_is_quick_handed_over_infinite_or_not_to_be(
    searches, tmp_path, monkeypatch
):
    known_facts(parse_target("mean-field"), **SHAPE)
    for name in ("", "bent", "no.module:bent"):
        known_facts(OwnFunction(name, lambda x: 2.0 * x, frozenset({"numpy"})), **SHAPE)
        for file in kept(tmp_path):
            assert ":" in name
            file.unlink()
    known_facts(target(tmp_path, 1), **SHAPE | {"p": math.inf})
    monkeypatch.setenv("LOOPRATE_CACHE", "0")
    known_facts(target(tmp_path, 1), **SHAPE)
    assert len(searches) == 6
    assert kept(tmp_path) == []


@pytest.mark.parametrize("harm", ["write", "mode", "folder"])
def test_a_file_that_is_torn_or_that_others_may_write_is_not_read(searches, tmp_path, harm):
    f = target(tmp_path, 1)
    known_facts(f, **SHAPE)
    (path,) = kept(tmp_path)
    if harm == "write":
        path.write_text(path.read_text()[:-9])
    else:
        (path if harm == "mode" else path.parent).chmod(0o777)
    known_facts(f, **SHAPE)
    assert len(searches) == 2


def test_the_oldest_files_go_where_there_are_too_many(searches, tmp_path, monkeypatch):
    monkeypatch.setattr(store, "KEPT", 2)
    for factor in (1, 2, 3):
        known_facts(target(tmp_path, factor), **SHAPE)
    assert len(kept(tmp_path)) == 2
    known_facts(target(tmp_path, 3), **SHAPE)
    assert len(searches) == 3


def test_code_that_decides_numbers_is_in_the_key(searches, tmp_path, monkeypatch):
    f = target(tmp_path, 1)
    known_facts(f, **SHAPE)
    monkeypatch.setattr(store, "_code", lambda: {"code": "another"})
    known_facts(f, **SHAPE)
    assert len(searches) == 2


# -- certificates ----------------------------------------------------------------------------------
@pytest.fixture
def certified(searches, monkeypatch):
    """Asks for a certificate; how often one was made is the length of the list."""
    made, certify = [], certificates.certify
    monkeypatch.setattr(
        certificates, "certify", lambda *a, **how: made.append(1) or certify(*a, **how)
    )

    def ask(f, **changed):
        how = {"tolerance": 0.5, "boxes": 200} | changed
        facts = known_facts(f, **SHAPE)
        spec = asked_spec(tokens=2, dim=1, grid=how.pop("grid", 3))
        return certificates.known_certificate(f, spec, facts, **how)

    return ask, made


def test_a_certificate_is_made_once_and_another_question_anew(certified, tmp_path):
    ask, made = certified
    built, first, none = ask(target(tmp_path, 1))
    again, second, path = ask(target(tmp_path, 1))
    assert len(made) == 1
    assert (none, path.parent.name) == (None, "certificates")
    assert second.as_dict() == first.as_dict()
    assert repr(again.network) == repr(built.network)
    other = replace(built.network, loops=built.network.loops + 1)
    for change in ({"tolerance": 0.4}, {"seed": 1}, {"seconds": 9.0}, {"grid": 4}, {"boxes": 300}):
        assert ask(target(tmp_path, 1), **change)[2] is None
    assert ask(target(tmp_path, 1), network=other)[1].as_dict() != first.as_dict()
    assert ask(target(tmp_path, 2))[1].as_dict() != first.as_dict()
    assert len(made) == 8


@pytest.mark.parametrize("harm", ["torn", "bound", "ends", "verdict"])
def test_a_certificate_that_is_not_whole_is_made_anew(certified, tmp_path, harm):
    ask, made = certified
    _, first, _ = ask(target(tmp_path, 1))
    (path,) = (tmp_path / "cache" / "looprate" / "certificates").glob("*.json")
    row = json.loads(path.read_text())
    harmed = {"bound": {"bound": 0.0}, "ends": {"error_lower": 9.0}, "verdict": {"verdict": "?"}}
    text = json.dumps(row | harmed.get(harm, {}))
    path.write_text(text[:-9] if harm == "torn" else text)
    assert ask(target(tmp_path, 1))[1].as_dict() == first.as_dict()
    assert len(made) == 2


def test_two_processes_do_not_find_the_same_at_once(tmp_path, monkeypatch):
    path, other = tmp_path / "facts" / f"{'a' * 20}.json", tmp_path / "facts" / f"{'b' * 20}.json"
    code = (
        "import sys; from pathlib import Path; from looprate.experiments.study import kept\n"
        "with kept.one_at_a_time(Path(sys.argv[1])): print('in', flush=True); sys.stdin.read()\n"
        "kept.keep(Path(sys.argv[1]), {'found': 1})"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", code, str(path)], **pipes) as child:
        assert child.stdout.readline() == "in\n"
        with store.one_at_a_time(other):  # another row: nobody waits
            pass
        waits = []
        monkeypatch.setattr(
            store.time, "sleep", lambda s: waits.append(s) or child.stdin.close() or child.wait()
        )
        with store.one_at_a_time(path):
            assert store.kept_row(path, "found") == {"found": 1}
        assert len(waits) == 1
