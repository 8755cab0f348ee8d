"""What is said about mutants that no test kills: each is of a line that is still there."""

import ast
import json
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
NOTES = json.loads((ROOT / "benchmarks" / "mutation_alive.json").read_text(encoding="utf-8"))


def stale(notes, root=ROOT):
    """Return the notes whose file is gone, or holds no such line any more."""
    texts = {
        path: (root / path).read_text(encoding="utf-8") if (root / path).is_file() else ""
        for path in {note["path"] for note in notes}
    }
    lines = {path: {line.strip() for line in text.split("\n")} for path, text in texts.items()}
    return [note for note in notes if note["at"] not in lines[note["path"]]]


def test_every_explained_mutant_is_of_a_line_that_is_there():
    assert stale(NOTES) == []


@pytest.mark.parametrize("change", [{"at": "return nothing"}, {"path": "theory/gone.py"}], ids=str)
def test_a_stale_explanation_is_found(change):
    note = NOTES[0] | change
    assert stale([note]) == [note]


def test_every_mutation_named_by_hand_is_of_a_text_that_is_there_once():
    tree = ast.parse((ROOT / "benchmarks" / "mutation.py").read_text(encoding="utf-8"))
    (named,) = [
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "NAMED"
    ]
    first = {"TRANSFER": "theory/continuity/transfer.py"}
    for row in named.elts:
        path, old, new = row.elts[0], *map(ast.literal_eval, row.elts[2:])
        where = first[path.id] if isinstance(path, ast.Name) else path.value
        text = (ROOT / where).read_text(encoding="utf-8")
        assert (text.count(old), old != new) == (1, True), where
