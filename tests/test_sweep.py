"""A sweep: whatever it is killed by it ends with the same rows; its folder answers one question."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from cases import engine_tasks
from looprate.experiments.engine.sweep import (
    CONSTRUCTIONS,
    FITS,
    THEORY,
    Sweep,
    checkpoint_of,
    run_in_folder,
)
from looprate.experiments.engine.task import ATTEMPTS, Task, TaskFailed
from looprate.experiments.rows.records import CorruptRows, exclusive

PATIENCE = 60.0  # seconds until a killed run has got where it is killed
QUESTION = {"targets": ["squares"], "steps": 20}


def squares(first, count):
    """Return tasks of a few squares."""
    return [
        Task(f"square {k}", f"{k}", engine_tasks.square, {"value": k}, cost=k + 1)
        for k in range(first, first + count)
    ]


def sweep_in(folder, question=None, more=()):
    """Return a sweep with three files."""
    files = {THEORY: squares(0, 1), CONSTRUCTIONS: squares(10, 2), FITS: [*squares(20, 4), *more]}
    return Sweep(folder, files, question)


def run(folder, tell=lambda sweep, failed: sweep, **how):
    """Run a sweep in its folder, in this process."""
    return run_in_folder(folder, lambda: sweep_in(folder, **how), tell, name="squares", processes=1)


def values(sweep):
    """Return what is stored, by file."""
    return {file: [row["square"] for row in sweep.rows(file)] for file in sweep.files}


def test_rows_are_kept_in_their_file_in_the_order_of_the_tasks(tmp_path):
    expected = {THEORY: [0], CONSTRUCTIONS: [100, 121], FITS: [400, 441, 484, 529]}
    sweep = sweep_in(tmp_path)
    assert sweep.missing() == sweep.tasks()
    for task in reversed(sweep.tasks()):
        sweep.keep(task, task.function(lambda part: None, **task.arguments))
    assert values(sweep) == expected
    assert sweep.missing() == []
    assert values(sweep_in(tmp_path)) == expected
    assert [row["value"] for row in sweep.rows(keys=["square 23", "unknown", "square 20"])] == [
        *(23, 20),
    ]
    wider = sweep_in(tmp_path, more=squares(30, 1))
    assert [task.key for task in wider.missing()] == ["square 30"]


SCRIPT = """
import sys
sys.path[:0] = {path!r}
from pathlib import Path
from test_sweep import run, slow_squares
run(Path(sys.argv[1]), more=slow_squares())
"""


def slow_squares():
    """Return tasks after which a sweep can be killed: a nap each."""
    return [
        Task(f"nap {k}", f"nap {k}", engine_tasks.naps, {"value": k, "seconds": 0.02})
        for k in range(20)
    ]


@pytest.mark.parametrize("torn", [b"", b'{"task": "torn'], ids=["killed", "killed in a write"])
def test_a_killed_sweep_ends_with_the_rows_of_an_unbroken_one(torn, tmp_path):
    path, folder = tmp_path / "killed" / FITS, tmp_path / "killed"
    script = SCRIPT.format(path=[p for p in sys.path if p] + [str(Path(__file__).parent)])
    child = subprocess.Popen([sys.executable, "-c", script, str(folder)], stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + PATIENCE
        while not path.exists() or path.read_bytes().count(b"\n") < 7:
            assert child.poll() is None, "the run ended before it could be killed"
            assert time.monotonic() < end, "the run never got where it was to be killed"
            time.sleep(0.005)
    finally:
        child.kill()
        child.wait()
    left = path.read_bytes()
    path.write_bytes(left + torn)
    known = sweep_in(folder, more=slow_squares())
    assert 0 < len(known.missing()) < len(known.tasks())
    again = run(folder, more=slow_squares())
    assert again.missing() == []
    assert values(again) == values(run(tmp_path / "unbroken", more=slow_squares()))
    assert path.read_bytes().startswith(left[: left.rindex(b"\n") + 1])
    assert path.read_bytes().count(b"\n") == len(again.files[FITS])


def test_a_sweep_says_what_is_done_and_does_not_do_it_again(tmp_path, capsys):
    run(tmp_path)
    assert "resuming" not in capsys.readouterr().err
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    parts = []
    again = sweep_in(tmp_path, more=squares(30, 1))
    again.run(report=lambda task, part: parts.append((task.key, part)))
    assert parts == [("square 30", 0.5), ("square 30", 1.0)]
    assert (tmp_path / FITS).read_bytes().startswith(before[tmp_path / FITS])
    run(tmp_path, more=squares(30, 1))
    assert f"resuming {tmp_path}: 8 of 8 tasks are done" in capsys.readouterr().err
    with exclusive(tmp_path), pytest.raises(ValueError, match="must not be in use"):
        run(tmp_path)


def test_a_task_given_up_is_told_of_before_the_sweep_fails(tmp_path):
    log, told = tmp_path / "log", []
    bad = Task("bad", "the bad one", engine_tasks.refuses, {"log": str(log)}, cost=9)
    with pytest.raises(TaskFailed, match="1 of 8 tasks failed 3 times"):
        run(tmp_path, lambda sweep, failed: told.append((values(sweep), failed)), more=[bad])
    ((stored, failed),) = told
    assert len(log.read_text().splitlines()) == ATTEMPTS
    assert stored[FITS] == [400, 441, 484, 529]
    assert failed == ["the bad one: `x` must be even, got 3"]
    assert run(tmp_path, lambda sweep, failed: failed) == []


def test_a_folder_keeps_its_question_and_refuses_another(tmp_path):
    run(tmp_path, question=QUESTION)
    assert json.loads((tmp_path / "config.json").read_text()) == QUESTION
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(ValueError, match=r"holds a run with steps = 20, asked for now: 21"):
        run(tmp_path, question=QUESTION | {"steps": 21}, more=squares(30, 1))
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
    run(tmp_path, more=squares(30, 1))  # a sweep without a question asks none
    (tmp_path / THEORY).write_text("damaged\n")
    with pytest.raises(CorruptRows, match="line 1"):
        run(tmp_path, question=QUESTION | {"targets": ["squares", "cubes"]})
    assert json.loads((tmp_path / "config.json").read_text()) == QUESTION


def test_a_checkpoint_stays_until_the_rows_are_stored(tmp_path):
    sweep = sweep_in(tmp_path)
    task = sweep.missing()[-1]
    path = checkpoint_of(tmp_path, task.key)
    path.parent.mkdir()
    path.write_text("half done")
    with pytest.raises(TypeError):
        sweep.keep(task, [{"not": {1, 2}}])
    assert path.exists()
    sweep.keep(task, [{"square": 529}])
    assert not path.exists()
    unfinished = checkpoint_of(tmp_path, "of a run to come")
    for left in (path, unfinished):  # as a kill right after the rows leaves it
        left.write_text("done")
    sweep_in(tmp_path).run()
    assert not path.exists()
    assert unfinished.exists()


@pytest.mark.parametrize("fails", [False, True])
def test_a_sweep_works_on_one_thread_and_leaves_the_callers_setting(fails, tmp_path):
    before, seen = torch.get_num_threads(), []
    more = [Task("bad", "bad", engine_tasks.fails, {"log": str(tmp_path / "log")})] if fails else []
    torch.set_num_threads(2)
    try:
        sweep = sweep_in(tmp_path, more=more)
        failure = None
        try:
            sweep.run(report=lambda task, part: seen.append(torch.get_num_threads()))
        except TaskFailed as error:
            failure = error
        assert (failure is not None) is fails
        assert set(seen) == {1}
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
