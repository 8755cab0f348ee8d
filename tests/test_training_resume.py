"""Training of a reproduction that is stopped or killed ends with the same bits, or is refused."""

import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from test_reproduce_training import EDIT, RECIPE, ROOT, SHORT, SMALL, edit_trainer, every_task, tiny

from looprate.experiments.reproduce.trainer import Trainer
from looprate.experiments.tasks.edit_distance import EditDistance
from looprate.theory.stored_arrays import write_arrays


@pytest.fixture
def windows(monkeypatch):
    """Windows of 4 steps, so that short runs stop between some."""
    monkeypatch.setattr("looprate.experiments.reproduce.trainer.WINDOW", 4)


def numbers(trainer):
    """Everything a run ends with, but its seconds."""
    weights = {name: p.detach().clone() for name, p in trainer.model.named_parameters()}
    return {k: v for k, v in vars(trainer.curve).items() if k != "seconds"}, weights


def same(one, other):
    """Whether two runs ended with the same bits."""
    return one[0] == other[0] and all(torch.equal(one[1][name], other[1][name]) for name in one[1])


def stop_half_way(part):
    if part >= 0.5:
        raise KeyboardInterrupt


@pytest.mark.parametrize("key", ["edit-distance", "decision-tree"])
def test_a_stopped_run_ends_with_the_same_bits(key, tmp_path, windows):
    def trainer():
        return Trainer(SMALL[key], tiny(SMALL[key]), replace(SHORT, evaluations=2), seed=3)

    whole = trainer()
    whole.run()
    path = tmp_path / "c.npz"
    with pytest.raises(KeyboardInterrupt):
        trainer().run(checkpoint=path, every_seconds=0.0, progress=stop_half_way)
    again = trainer()
    again.run(checkpoint=path)
    assert again.step == 12
    assert same(numbers(whole), numbers(again))
    finished = trainer()
    finished.run(checkpoint=path)  # the last checkpoint is the end
    assert same(numbers(whole), numbers(finished))


def test_a_checkpoint_that_lost_something_would_be_noticed(tmp_path, windows):
    one = replace(SHORT, evaluations=1)
    whole, path = edit_trainer(one), tmp_path / "c.npz"
    whole.run()
    with pytest.raises(KeyboardInterrupt):
        edit_trainer(one).run(checkpoint=path, every_seconds=0.0, progress=stop_half_way)
    with np.load(path, allow_pickle=False) as stored:
        arrays = dict(stored)
    for lost in ("exp_avg.qkv", "exp_avg_sq.embed", "weight.down_bias", "losses"):
        write_arrays(path, arrays | {lost: 0 * arrays[lost]})
        again = edit_trainer(one)
        again.run(checkpoint=path)
        assert not same(numbers(whole), numbers(again)), lost


KILLED = """
import sys, time
from pathlib import Path
sys.path.insert(0, "tests")
from test_reproduce_training import SHORT, edit_trainer
from looprate.experiments.reproduce import trainer
trainer.WINDOW = 4
slow = lambda part: time.sleep(30 if part > 0.4 else 0)
edit_trainer(SHORT).run(checkpoint=Path(sys.argv[1]), every_seconds=0.0, progress=slow)
"""


def test_a_run_killed_in_its_process_ends_with_the_same_bits(tmp_path, windows):
    path = tmp_path / "c.npz"
    with subprocess.Popen([sys.executable, "-c", KILLED, str(path)], cwd=ROOT) as child:
        until = time.monotonic() + 100
        while not path.exists() and child.poll() is None and time.monotonic() < until:
            time.sleep(0.01)
        child.kill()
    assert child.returncode == -signal.SIGKILL
    with np.load(path, allow_pickle=False) as stored:
        assert 0 < stored["step"] < SHORT.steps
    whole, again = edit_trainer(SHORT), edit_trainer(SHORT)
    whole.run()
    again.run(checkpoint=path)
    assert same(numbers(whole), numbers(again))


@pytest.mark.parametrize("differs", ["seed", "recipe", "model", "task"])
def test_a_checkpoint_of_another_run_is_refused(differs, tmp_path):
    path = tmp_path / "c.npz"
    trainer = edit_trainer(SHORT)
    trainer.advance()
    trainer.save(path)
    other = Trainer(
        EditDistance(size=4, letters=3, border=2) if differs == "task" else EDIT,
        tiny(EDIT, gate=0.5) if differs == "model" else tiny(EDIT),
        replace(SHORT, clip=2.0) if differs == "recipe" else SHORT,
        seed=4 if differs == "seed" else 3,
    )
    with pytest.raises(ValueError, match=r"`checkpoint` must be of this very run .*delete it"):
        other.run(checkpoint=path)
    edit_trainer(SHORT).load(path)  # its own run reads it


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 torn", b"text"])
def test_a_file_that_is_no_checkpoint_is_refused(content, tmp_path):
    path = tmp_path / "c.npz"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="cannot be read; delete it"):
        edit_trainer(SHORT).run(checkpoint=path)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@every_task
def test_a_gpu_trains_and_resumes(key, tmp_path):
    def trainer():
        recipe = replace(RECIPE, learning_rate=1e-2, compiled=True)
        return Trainer(SMALL[key], tiny(SMALL[key]), recipe, seed=0, device="cuda")

    path = tmp_path / "c.npz"
    with pytest.raises(KeyboardInterrupt):
        trainer().run(checkpoint=path, every_seconds=0.0, progress=stop_half_way)
    again = trainer()
    curve = again.run(checkpoint=path)
    assert curve.diverged_at == -1
    assert again.step == 60
    assert curve.loss[-1] < curve.loss[0]
