"""looprate claims and explain: what they print, exit codes, and one line for bad input."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from looprate.experiments.claims import (
    CLAIMS,
)


def test_the_table_and_the_evidence(said, tmp_path):
    names = ["lemma-4-1-size", "reported-sudoku"]
    code, out, _ = said("claims", *names, "--out", tmp_path)
    assert code == 0
    assert all(name in out for name in names)
    assert "1 holds, 1 not testable" in out
    assert "reported-sudoku: not testable: board accuracy %" in out
    code, out, _ = said("claims", *names, "--out", tmp_path, "--json")
    rows = json.loads(out)
    assert [row["verdict"] for row in rows] == ["holds", "not testable"]
    assert all(json.loads(Path(row["file"]).read_text())["rows"] == [row] for row in rows)


def test_controls_are_rejected_in_words_and_json(said, tmp_path):
    code, out, _ = said("claims", "quantise-exact", "--controls", "--out", tmp_path)
    assert code == 0
    assert "2 of 2 wrong variants rejected" in out
    code, out, _ = said("claims", "quantise-exact", "--controls", "--out", tmp_path, "--json")
    assert [row["rejected"] for row in json.loads(out)] == [True, True]


@pytest.mark.parametrize("controls", [False, True])
def test_a_violated_claim_or_a_control_that_passes_is_exit_code_1(
    said, tmp_path, monkeypatch, controls
):
    claim = CLAIMS["lemma-4-1-size"]
    (control,) = claim.controls
    right, wrong = claim.check, control.check
    broken = replace(claim, check=wrong, controls=(replace(control, check=right),))
    monkeypatch.setitem(CLAIMS, claim.id, broken)
    more = ["--controls"] if controls else []
    code, out, _ = said("claims", claim.id, "--out", tmp_path, *more)
    assert code == 1
    assert ("PASSED" if controls else "violated") in out


def test_the_list_runs_nothing(said, tmp_path):
    code, out, _ = said("claims", "--list", "--json", "--out", tmp_path / "none")
    assert code == 0
    assert [entry["id"] for entry in json.loads(out)] == list(CLAIMS)
    assert not (tmp_path / "none").exists()


def test_explain_says_statement_reading_figure_and_last_verdict(said, tmp_path):
    code, out, _ = said("explain", "lemma-4-1-size", "--out", tmp_path)
    assert code == 0
    claim = CLAIMS["lemma-4-1-size"]
    assert claim.statement in out
    assert "not run yet: looprate claims lemma-4-1-size" in out
    said("claims", "lemma-4-1-size", "--out", tmp_path)
    code, out, _ = said("explain", "lemma-4-1-size", "--out", tmp_path)
    assert "holds: size of the memoriser" in out
    code, out, _ = said("explain", "slope-digits", "--json", "--out", tmp_path)
    facts = json.loads(out)
    assert facts["statement"] == CLAIMS["slope-digits"].statement
    assert facts["figure"]["command"].startswith("looprate verify")
    assert facts["last"] is None


@pytest.mark.parametrize("command", ["claims", "explain"])
def test_an_unknown_claim_is_one_line_with_near_ones(said, command):
    code, out, err = said(command, "lemma-4-1-eror")
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert "`ID` must be a claim of the ledger, got 'lemma-4-1-eror'; near: lemma-4-1-error" in err


def test_a_folder_that_is_no_study_is_refused(said, tmp_path):
    code, _, err = said("claims", "trained-beside-constructed", "--study", tmp_path)
    assert code == 2
    assert "`study` must be a folder of looprate verify" in err
