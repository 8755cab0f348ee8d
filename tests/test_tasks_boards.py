"""Sudoku: the exact solver, puzzles with one solution, symmetries, splits and own files."""

import itertools
import json

import numpy as np
import pytest

from looprate.experiments.tasks import sudoku, sudoku_solver
from looprate.experiments.tasks.sudoku import Sudoku, is_test, symmetric
from looprate.experiments.tasks.sudoku_solver import (
    Box,
    conflicts,
    random_grids,
    solve_all,
)

SMALL, MIDDLE, USUAL = Box(2, 2), Box(2, 3), Box(3, 3)
HARD = "8..........36......7..9.2...5...7.......457.....1...3...1....68..85...1..9....4.."
SMALL_TASK = Sudoku(2, 2, bases=64)
TASKS = [SMALL_TASK, Sudoku(2, 3, bases=32), Sudoku(3, 2, bases=32), Sudoku(bases=16)]


def units(box):
    """Every row, column and box as a list of cells, by the rules and nothing else."""
    n = box.order
    lines = [[(k, j) for j in range(n)] for k in range(n)]
    lines += [[(j, k) for j in range(n)] for k in range(n)]
    corners = itertools.product(range(0, n, box.rows), range(0, n, box.columns))
    inside = list(itertools.product(range(box.rows), range(box.columns)))
    lines += [[(top + i, left + j) for i, j in inside] for top, left in corners]
    return [[row * n + column for row, column in line] for line in lines]


def follows_the_rules(board, box):
    """Whether a full board holds every digit once in every unit."""
    return all(
        sorted(board[cell] for cell in u) == list(range(1, box.order + 1)) for u in units(box)
    )


def plain_count(board, box, limit):
    """Count solutions by plain backtracking: the slow and obvious answer."""
    board = [int(k) for k in board]
    peers = [set().union(*(u for u in units(box) if c in u)) - {c} for c in range(box.cells)]
    if any(board[c] and board[c] in {board[q] for q in peers[c]} for c in range(box.cells)):
        return 0

    def count(left):
        empty = [c for c in range(box.cells) if not board[c]]
        if not empty:
            return 1
        free = {c: set(range(1, box.order + 1)) - {board[q] for q in peers[c]} for c in empty}
        cell = min(empty, key=lambda c: len(free[c]))
        found = 0
        for digit in free[cell]:
            board[cell] = digit
            found += count(left - found)
            board[cell] = 0
            if found >= left:
                break
        return found

    return min(count(limit), limit)


@pytest.fixture(scope="module")
def all_small():
    """All full boards of 4 by 4, by trying every choice of rows."""
    rows = list(itertools.permutations(range(1, 5)))
    bands = [top + low for top in rows for low in rows if not {*top[:2]} & {*low[:2]}]
    boards = (top + low for top in bands for low in bands)
    return np.array([board for board in boards if follows_the_rules(board, SMALL)])


# -- the solver ------------------------------------------------------------------------------------
def test_the_solver_counts_the_288_small_boards(all_small):
    assert len(all_small) == 288
    empty = np.zeros((1, 16), int)
    assert solve_all(empty, SMALL, limit=1000)[1] == 288
    assert solve_all(empty, SMALL, limit=7)[1] == 7


def test_counts_are_those_of_all_small_boards(all_small):
    rng = np.random.default_rng(0)
    boards = all_small[rng.integers(288, size=600)] * (rng.random((600, 16)) < 0.35)
    boards[np.arange(600), rng.integers(16, size=600)] = rng.integers(5, size=600)
    match = ((boards[:, None] == 0) | (boards[:, None] == all_small)).all(2)
    solutions, counts = solve_all(boards, SMALL, limit=300)
    np.testing.assert_array_equal(counts, match.sum(1))
    assert {0, 1, 2} <= set(counts)
    for solution, fits in zip(solutions, match, strict=True):
        assert fits.any() == solution.any()
        assert not fits.any() or solution.tolist() in all_small[fits].tolist()


def test_a_digit_with_one_cell_left_is_placed_at_once():
    board = np.zeros((1, 16), int)
    board[0, [6, 12]] = 1  # of row 0 and of the first box, only cell 1 can hold a 1
    bits = sudoku_solver.to_bits(board, SMALL)
    for _ in range(2):  # the others lose the 1, then it goes there
        bits, dead = sudoku_solver.conclusions(bits, SMALL)
        assert not dead.any()
    assert bits[0, :, 0].tolist() == [0b1110, 0b0001, 0b1110, 0b1110]


def test_boards_that_break_a_rule_in_one_kind_of_unit_have_no_solution(all_small):
    rows, columns = (all_small.copy() for _ in range(2))
    rows[:, [0, 4]] = rows[:, [4, 0]]  # two cells of a column and a box
    columns[:, [0, 1]] = columns[:, [1, 0]]  # two cells of a row and a box
    boxes = np.array([[1, 2, 3, 4, 2, 3, 4, 1, 3, 4, 1, 2, 4, 1, 2, 3]])
    for boards in (rows, columns, boxes):
        assert conflicts(boards, SMALL).all()
        assert not solve_all(boards, SMALL)[1].any()
    assert not conflicts(all_small, SMALL).any()
    assert (solve_all(all_small, SMALL)[1] == 1).all()


@pytest.mark.parametrize(
    ("box", "share"), [(MIDDLE, 0.4), (Box(2, 4), 0.5), (USUAL, 0.45)], ids=str
)
def test_counts_are_those_of_plain_backtracking(box, share):
    rng = np.random.default_rng(1)
    grids = random_grids(25, box, rng)
    assert all(follows_the_rules(grid, box) for grid in grids)
    boards = grids * (rng.random(grids.shape) < share)
    boards[::5, 3] = 1
    counts = solve_all(boards, box, limit=4)[1]
    assert counts.tolist() == [plain_count(board, box, 4) for board in boards]
    assert len(set(counts)) > 2


def test_every_solution_follows_the_rules_and_keeps_the_clues():
    rng = np.random.default_rng(8)
    grids = random_grids(500, MIDDLE, rng).repeat(8, axis=0)
    boards = grids * (rng.random(grids.shape) < 0.2)
    solutions, counts = solve_all(boards, MIDDLE, limit=1)
    assert (counts == 1).all()
    assert solutions.all()
    assert not conflicts(solutions, MIDDLE).any()
    assert (solutions == boards)[boards > 0].all()


def test_a_hard_board_is_solved_and_an_impossible_one_is_not():
    board = np.array([[int(k) for k in HARD.replace(".", "0")]])
    solutions, counts = solve_all(board, USUAL)
    assert follows_the_rules(solutions[0], USUAL)
    assert (solutions == board)[board > 0].all()
    assert counts == 1
    board[0, 1] = 8
    solutions, counts = solve_all(board, USUAL)
    assert counts == 0
    assert not solutions.any()


def test_filled_boards_differ_and_conflicts_are_seen():
    grids = random_grids(40, USUAL, np.random.default_rng(2))
    assert len(np.unique(grids, axis=0)) == 40
    assert not conflicts(grids, USUAL).any()
    swapped = grids.copy()
    swapped[:, [0, 30]] = swapped[:, [30, 0]]
    rules = [not follows_the_rules(board, USUAL) for board in swapped]
    assert conflicts(swapped, USUAL).tolist() == rules
    assert sum(rules) > 30


@pytest.mark.parametrize(
    ("boards", "match"),
    [
        (np.zeros((2, 15), int), r"`boards` must be integers of shape \(B, 16\)"),
        (np.zeros((2, 16)), "`boards` must be integers"),
        (np.full((1, 16), 5), "`boards` must hold 0 .empty. to 4, got 5 to 5"),
        (np.full((1, 16), -1), "`boards` must hold 0 .empty. to 4, got -1"),
    ],
)
def test_boards_of_another_kind_are_refused(boards, match):
    with pytest.raises(ValueError, match=match):
        solve_all(boards, SMALL)


def test_other_sizes_are_refused():
    with pytest.raises(ValueError, match="`box_rows` must be an integer >= 2, got 1"):
        Sudoku(1, 4)
    with pytest.raises(ValueError, match="at most 9, got 16"):
        Sudoku(4, 4)
    with pytest.raises(ValueError, match="`limit` must be >= 1, got 0"):
        solve_all(np.zeros((1, 16), int), SMALL, limit=0)


# -- puzzles ---------------------------------------------------------------------------------------
@pytest.mark.parametrize("task", TASKS, ids=lambda task: f"{task.box_rows}x{task.box_columns}")
def test_every_puzzle_has_one_solution_and_it_is_the_target(task):
    batch = task.sample("train", 0, 20)
    least, most = task.clue_range
    assert batch.inputs.shape == batch.targets.shape == batch.mask.shape == (20, task.length)
    assert batch.inputs.dtype == batch.targets.dtype == np.int64
    assert batch.mask.all()
    for puzzle, solution in zip(batch.inputs, batch.targets, strict=True):
        assert follows_the_rules(solution, task.box)
        assert (puzzle == solution)[puzzle > 0].all()
        assert plain_count(puzzle, task.box, 2) == 1
        assert least <= (puzzle > 0).sum() <= most
    many = task.sample("train", 1, 200)
    solutions, counts = solve_all(many.inputs, task.box)
    assert (counts == 1).all()
    np.testing.assert_array_equal(solutions, many.targets)
    np.testing.assert_array_equal(task.oracle(batch.inputs), batch.targets)
    np.testing.assert_array_equal(task.score(batch.targets, batch), 1.0)


def test_the_counter_rejects_a_puzzle_with_a_clue_too_few():
    batch = Sudoku(2, 2, clues=4, bases=8).sample("train", 0, 10)
    for puzzle in batch.inputs:
        puzzle[np.flatnonzero(puzzle)[0]] = 0  # no 4 by 4 board with 3 clues has one solution
    assert (solve_all(batch.inputs, SMALL)[1] == 2).all()


def test_clues_are_a_number_or_drawn_from_a_range():
    for clues, expected in [(8, {8}), ((6, 9), {6, 7, 8, 9})]:
        batch = Sudoku(2, 2, clues=clues, bases=32).sample("train", 0, 300)
        assert set((batch.inputs > 0).sum(1)) == expected


def test_a_wrong_cell_anywhere_loses_the_board():
    batch = SMALL_TASK.sample("train", 3, 16)
    wrong = batch.targets.copy()
    wrong[np.arange(16), np.arange(16)] %= 4
    wrong[np.arange(16), np.arange(16)] += 1
    np.testing.assert_array_equal(SMALL_TASK.score(wrong, batch), 0.0)


def test_rows_depend_on_the_arguments_alone():
    first = SMALL_TASK.sample("train", (1, 2), 50)
    sudoku._pool.cache_clear()
    SMALL_TASK.sample("test", 9, 3)
    again = SMALL_TASK.sample("train", (1, 2), 50)
    np.testing.assert_array_equal(first.inputs, again.inputs)
    np.testing.assert_array_equal(first.targets, again.targets)
    assert (first.inputs != SMALL_TASK.sample("train", (1, 3), 50).inputs).any(1).mean() > 0.9


def test_sizes_come_back_from_json():
    task = Sudoku(2, 2, clues=(6, 9), bases=32)
    assert Sudoku(**json.loads(json.dumps(task.as_dict()))) == task


def test_no_solution_is_in_both_splits_and_every_one_is_in_one(all_small):
    train, test = (
        {tuple(row) for seed in range(3) for row in SMALL_TASK.sample(split, seed, 4000).targets}
        for split in ("train", "test")
    )
    assert not train & test
    assert train | test == {tuple(row) for row in all_small}
    share = is_test(random_grids(4000, MIDDLE, np.random.default_rng(3))).mean()
    assert abs(share - 1 / 8) < 0.03  # five standard deviations
    other = {tuple(row) for row in SMALL_TASK.sample("train", 77, 4000).targets}
    assert other & train, "the comparison must find rows that are in both"


def test_the_text_shows_the_rows():
    batch = SMALL_TASK.sample("train", 0, 1)
    shown = SMALL_TASK.text(batch.inputs[0])
    assert shown.replace(" ", "") == "".join(".1234"[k] for k in batch.inputs[0])
    assert [len(row) for row in shown.split()] == [4, 4, 4, 4]


@pytest.mark.parametrize(
    ("clues", "match"),
    [
        (3, r"`clues` must be a number or a least and a most from 4 to 16, got 3; try \(6, 7\)"),
        ((9, 8), r"got \(9, 8\)"),
        ((6, 17), r"got \(6, 17\)"),
        ((6, 7, 8), r"got \(6, 7, 8\)"),
        (7.5, "got 7.5"),
        (True, "got True"),
    ],
)
def test_other_clues_are_refused(clues, match):
    with pytest.raises(ValueError, match=match):
        Sudoku(2, 2, clues=clues)


def test_clues_that_digging_does_not_reach_are_refused(monkeypatch):
    monkeypatch.setattr(sudoku, "ROUNDS", 1)
    with pytest.raises(ValueError, match=r"got 8, where .* ask for more clues or fewer `bases`"):
        Sudoku(2, 3, clues=8, bases=40).sample("train", 0, 1)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (("valid", 0, 1), "`split` must be train or test, got 'valid'"),
        (("train", -1, 1), "`seed` must be >= 0"),
        (("train", 0, 0), "`count` must be an integer >= 1, got 0"),
    ],
)
def test_other_samples_are_refused(arguments, match):
    with pytest.raises(ValueError, match=match):
        SMALL_TASK.sample(*arguments)


# -- symmetries ------------------------------------------------------------------------------------
@pytest.mark.parametrize("box", [SMALL, MIDDLE, Box(3, 2), USUAL], ids=str)
def test_symmetries_keep_the_rules_and_the_number_of_solutions(box):
    rng = np.random.default_rng(5)
    grids = random_grids(60, box, rng)
    boards = grids * (rng.random(grids.shape) < 0.5)
    images = symmetric(np.stack([grids, boards]), box, rng)
    assert all(follows_the_rules(image, box) for image in images[0])
    assert ((images[1] == images[0]) == (images[1] > 0)).all()
    assert (images != np.stack([grids, boards])).any(2).mean() > 0.9
    before, after = (solve_all(some, box, limit=3)[1] for some in (boards, images[1]))
    np.testing.assert_array_equal(before, after)


def test_every_cell_and_digit_goes_everywhere():
    one = np.zeros((4000, 36), np.int64)
    one[:, 0] = 1
    images = symmetric(one, MIDDLE, np.random.default_rng(6))
    assert set(images.argmax(1)) == set(range(36))
    assert set(images.max(1)) == set(range(1, 7))


def test_rows_swapped_across_bands_are_no_symmetry():
    grid = random_grids(1, USUAL, np.random.default_rng(7))[0].reshape(9, 9)
    swapped = grid[[3, 1, 2, 0, 4, 5, 6, 7, 8]].reshape(1, 81)
    assert conflicts(swapped, USUAL).all()


# -- files -----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_stack_grows_and_many_boards_are_searched_in_chunks(monkeypatch):
    monkeypatch.setattr(sudoku_solver, "CHUNK", 7)
    batch = Sudoku(clues=24, bases=32).sample("train", 0, 60)
    solutions, counts = solve_all(batch.inputs, USUAL)
    np.testing.assert_array_equal(solutions, batch.targets)
    assert (counts == 1).all()
