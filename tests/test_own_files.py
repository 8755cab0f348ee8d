"""Boards and texts of the user's own: read whole, divided fairly, searched within a limit."""

import numpy as np
import pytest

from looprate.cli import main
from looprate.experiments.tasks.language import Language
from looprate.experiments.tasks.sudoku import Sudoku
from looprate.experiments.tasks.sudoku_files import read_csv
from looprate.experiments.tasks.sudoku_hard import search_hard
from looprate.experiments.tasks.sudoku_solver import Box, conflicts, solve_all, to_bits
from looprate.experiments.tasks.text_source import _divided

HARD = "......52..8.4......3...9...5.1...6..2..7........3.....6...1..........7.4.......3."
LOOSE = ".....6....59.....82....8....45........3........6..3.54...325..6.................."
IMPOSSIBLE = ".....5.8....6.1.43..........1.5........1.6...3.......553.....61........4........."


def cells(text):
    """Return a board from its text."""
    return np.array([0 if c in ".0" else int(c) for c in text])


# -- boards that resist ----------------------------------------------------------------------------
@pytest.mark.parametrize(("text", "count"), [(HARD, 1), (LOOSE, 100)])
def test_boards_of_17_clues_are_solved_and_counted(text, count):  # R31
    boards = cells(text)[None]
    solutions, counts = solve_all(boards, Box(), limit=100)
    assert not conflicts(solutions, Box()).any()
    assert ((boards == 0) | (boards == solutions)).all()
    assert counts == count


@pytest.mark.slow
def test_a_board_without_solution_is_given_up_in_one_line():  # R31
    with pytest.raises(ValueError, match="within 2,097,152 branches, board 1 was not"):
        solve_all(cells(IMPOSSIBLE)[None], Box(), limit=1)


def test_a_search_ends_at_its_limit_of_branches():
    bits = to_bits(cells(IMPOSSIBLE)[None], Box())
    assert search_hard(bits, Box(), limit=1, most=50_000) is None


@pytest.mark.parametrize("box", [Box(2, 2), Box(2, 3)])
def test_both_searches_count_alike(box):
    rng = np.random.default_rng(0)
    for clues in range(3, 7):
        board = np.zeros(box.cells, dtype=np.int64)
        (full,), _ = solve_all(board[None], box, limit=1)
        shown = rng.permutation(box.cells)[:clues]
        board[shown] = full[shown]
        found, first = search_hard(to_bits(board[None], box), box, limit=300)
        assert found == solve_all(board[None], box, limit=300)[1]
        assert (first > 0).all()
    wrong = np.zeros(box.cells, dtype=np.int64)
    wrong[:2] = 1
    assert search_hard(to_bits(wrong[None], box), box, limit=2)[0] == 0


# -- files of boards -------------------------------------------------------------------------------
def boards(tmp_path, header, *, count=80):
    """Write boards of 4 by 4 as CSV under two column names among others."""
    parts = [Sudoku(2, 2, clues=(6, 8), bases=8).sample(s, 0, count) for s in ("train", "test")]
    lines = [f"source,{header},rating"]
    for part in parts:
        for puzzle, answer in zip(part.inputs, part.targets, strict=True):
            text = "".join(map(str, puzzle)).replace("0", "."), "".join(map(str, answer))
            lines.append(f"a,{text[0]},{text[1]},1.5")
    path = tmp_path / "boards.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_field_that_is_too_long_is_named_by_its_line(tmp_path):  # R31
    path = boards(tmp_path, "puzzle,solution")
    path.write_text(path.read_text() + f"{'x' * 200_000},1,2,3\n")
    with pytest.raises(ValueError, match=r"boards.csv, line 162: must be CSV, .*larger than"):
        read_csv(path)
    path.write_text("y" * 200_000)
    with pytest.raises(ValueError, match=r"boards.csv, line 1: must be CSV"):
        read_csv(path)


# -- texts -----------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "lines",
    [
        ["word " * 4000],  # R30: 19 kB in one line
        ["a" * 19_000],
        ["tail of the line " * 1000 + "\n", "\n", "end"],
        ["short\n"] * 50 + ["word " * 4000],
        [*(["a line of words\n"] * 1000)],
        ["é" * 5000],
    ],
)
def test_a_text_is_divided_fairly_wherever_its_lines_end(lines):  # R30
    parts = _divided(lines)
    assert "".join("".join(part) for part in parts.values()) == "".join(lines)
    total = sum(map(len, lines))
    for part, share in (("train", 0.8), ("validation", 0.1), ("test", 0.1)):
        assert sum(map(len, parts[part])) == pytest.approx(share * total, rel=0.1, abs=200)


def test_words_are_not_cut():
    parts = _divided(["word " * 4000])
    assert all("".join(part).split() == ["word"] * (sum(map(len, part)) // 5) for part in
               parts.values())  # fmt: skip


def test_one_long_line_holds_windows_of_every_part(tmp_path):  # R30
    path = tmp_path / "line.txt"
    path.write_text("all work and no play " * 900)
    task = Language(source=str(path), context=32)
    for split in ("train", "test"):
        assert len(task.sample(split, 0, 4)) == 4


# -- the command -----------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["lcs", "--boards", "b.csv"], "`boards` is for the task sudoku, got b.csv; add sudoku"),
        (["sudoku", "--text", "t.txt"], "`text` is for the task language"),
        (["sudoku", "--boards", "none.csv"], "none.csv"),
        (["language", "--text", "none.txt"], "none.txt"),
        (["language", "--text", "short.txt"], "must hold more than context=16 tokens"),
    ],
)
def test_own_files_are_checked_before_any_work(arguments, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "short.txt").write_text("short")
    assert main(["reproduce", *arguments, "--preset", "smoke", "--out", "x"]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert words in err
    assert not (tmp_path / "x").exists()


def test_own_boards_and_texts_are_trained_on_and_a_changed_file_is_another_task(tmp_path):
    from argparse import Namespace

    from looprate.commands.reproduce import _presets
    from looprate.experiments.reproduce.plan import reproduce_sweep

    text = tmp_path / "own.txt"
    text.write_text("so it goes " * 500)
    csv = boards(tmp_path, "question,answer")
    options = Namespace(
        task=["sudoku", "language"], preset="smoke", loops=[1], model=["looped"], seeds=1,
        steps=None, boards=csv, text=text,
    )  # fmt: skip

    def keys():
        study = reproduce_sweep(_presets(options), "smoke", tmp_path / "out")
        return [task.key for task in study.tasks()], study.tasks()

    before, tasks = keys()
    for task in tasks:
        (row,) = task.function(lambda part: None, **task.arguments)
        assert row["value"] is not None
    assert keys()[0] == before
    text.write_text("so it went " * 500)
    assert [old == new for old, new in zip(before, keys()[0], strict=True)] == [True, False]
    csv.write_text("".join(csv.read_text().splitlines(keepends=True)[:-1]))
    assert [old == new for old, new in zip(before, keys()[0], strict=True)] == [False, False]
