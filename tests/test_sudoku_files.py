"""Sudoku from own files: read back in their split, or refused with file, line and cure."""

import json

import pytest
from test_tasks_boards import SMALL, SMALL_TASK

from looprate.experiments.tasks.sudoku import Sudoku
from looprate.experiments.tasks.sudoku_files import read_csv


@pytest.fixture
def write(tmp_path):
    def write(text, name="boards.csv"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write


def as_text(board):
    return "".join(str(digit) for digit in board)


def lines_of(batch):
    pairs = zip(batch.inputs, batch.targets, strict=True)
    return [(as_text(puzzle), as_text(solution)) for puzzle, solution in pairs]


@pytest.mark.parametrize(
    "head", ["puzzle,solution", "quizzes,solutions", "question,answer", "id,puzzle,solution,clues"]
)
def test_rows_of_a_file_come_back_in_their_split(write, head):
    train, test = (lines_of(SMALL_TASK.sample(s, 0, 30)) for s in ("train", "test"))
    body = [f"{a.replace('0', '.')},{b}" for a, b in train + test]
    body = [f"7,{line},9" for line in body] if head.startswith("id") else body
    task = Sudoku.from_csv(write("\n".join([head, *body]) + "\n"))
    assert task.box == SMALL
    for split, own, other in [("train", train, test), ("test", test, train)]:
        found = set(lines_of(task.sample(split, 1, 500)))
        assert found == set(own)
        assert not found & set(other)
    assert Sudoku(**json.loads(json.dumps(task.as_dict()))) == task


def test_a_changed_file_is_read_again(write):
    first, second = (lines_of(SMALL_TASK.sample("train", seed, 1))[0] for seed in (0, 1))
    path = write(f"puzzle,solution\n{','.join(first)}\n")
    assert as_text(read_csv(path)[1][0]) == first[1]
    write(f"puzzle,solution\n{','.join(second)}\n{','.join(second)}\n")
    assert as_text(read_csv(path)[1][1]) == second[1]


GOOD = "1234341221434321"


OTHER = "2134342112434312"  # 1 and 2 exchanged


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", "line 1: must name the columns puzzle and solution"),
        (f"{GOOD},{GOOD}\n", "line 1: must name the columns"),
        ("puzzle,answer\n", "line 1: must name the columns"),
        ("puzzle,solution\n", "line 2: the puzzle must have 81 characters"),
        (f"puzzle,solution\n{GOOD}\n", "line 2: must hold a puzzle and a solution, got 1 column"),
        (f"puzzle,solution\n{GOOD},{GOOD}\n{GOOD[1:]},{GOOD}\n", "line 3: the puzzle must have 16"),
        (f"puzzle,solution\n{GOOD},{GOOD[1:]}\n", "line 2: the solution must have 16"),
        (f"puzzle,solution\n{GOOD[:-1]}x,{GOOD}\n", "line 2: .* got 'x' at character 16"),
        (f"puzzle,solution\n{GOOD[:-1]}é,{GOOD}\n", "line 2: the puzzle must have 16"),
        (f"puzzle,solution\n{GOOD[:-1]}5,{GOOD}\n", "line 2: .* 1 to 4, 0 or a point .* got '5'"),
        (f"puzzle,solution\n{GOOD},{GOOD[:-1]}.\n", "line 2: the solution must hold 1 to 4, got"),
        (f"puzzle,solution\n\n.{GOOD[1:]},{OTHER}\n", "line 3: the solution differs"),
        (f"puzzle,solution\n{GOOD},{GOOD[:-1]}2\n", "line 2: the solution holds a digit twice"),
    ],
)
def test_bad_files_are_refused_with_file_line_and_cure(write, text, match):
    path = write(text)
    with pytest.raises(ValueError, match=match) as caught:
        Sudoku.from_csv(path)
    assert str(path) in str(caught.value)
    assert ";" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_without_rows_of_a_split_is_refused(write):
    lone = lines_of(SMALL_TASK.sample("train", 0, 1))[0]
    task = Sudoku.from_csv(write(f"puzzle,solution\n{','.join(lone)}\n"))
    with pytest.raises(ValueError, match="`path` must hold boards of the split 'test'"):
        task.sample("test", 0, 1)


def test_a_missing_file_and_clues_beside_a_file_are_refused(tmp_path):
    with pytest.raises(ValueError, match="`path` must be a file with Sudoku puzzles as CSV"):
        Sudoku.from_csv(tmp_path / "none.csv")
    with pytest.raises(ValueError, match="`clues` must be left out beside `path`"):
        Sudoku(clues=30, path="some.csv")
