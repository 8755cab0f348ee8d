"""What a function is: found before anything is computed, refused with the cure, or made one."""

import json
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from looprate.theory.construction.memorisers import MEMORISERS
from looprate.theory.continuity import modulus_lower_bound
from looprate.theory.hypotheses import check_hypotheses, failures
from looprate.theory.targets import notes_of, resolve_target
from looprate.theory.targets.home import Home

SHAPE = {"tokens": 3, "dim": 4}
MODULES = Path(__file__).parent / "cases" / "own_modules.py"
CASES = (
    *("encoder", "encoder_eval", "layer_norm", "in_place", "first_in_place", "scripted", "half"),
    *("rms", "sab", "isab", "pma", "deep_sets", "grouped", "lambda_block", "hidden"),
    *("callable_object", "partial", "closes_over", "of_a_tensor", "casts_itself", "maker"),
    *("DeepSets",),
)
IN_SINGLE = {"rms", "casts_itself"}
IN_TRAINING = {"encoder": "TransformerEncoderLayer", "in_place": "Dropout", "hidden": "Dropout",
               "lambda_block": "Dropout", "sab": "MultiheadAttention"}  # fmt: skip

OWN = """
from __future__ import annotations
import time
import numpy as np
import torch
from torch import nn

calls = []

def noisy(x): return x + 1e-3 * np.random.randn(*x.shape)
def rare(x): return x + (np.random.rand() < 0.02)
def torch_noise(x): return x + 1e-9 * torch.rand_like(x)
def clock(x): return x + 1e-9 * time.perf_counter()
def counts(x):
    calls.append(1)
    return x + 1e-6 * len(calls)
def flat(x): return x - x.mean(0)
def length(x): return x / len(x)
def whole_std(x): return x / (1 + x.std())
def large(x): return x if len(x) < 100 else 2 * x
def first(x): return x - x[:1]
def flat_torch(x): return torch.softmax(x, 0)
def spread(x): return x / (1 + 4 * x.std(1, keepdims=True))
def asks(x): return np.sin(x) if isinstance(x, np.ndarray) else 0 * x
def nearly(x): return x + 1e-5 * (not isinstance(x, np.ndarray))
def squeezes(x): return x.squeeze()
def three(x): return x * np.array([1, 0.5, 0.25])[:, None]
def corner(x):
    if (x == 1).all((1, 2)).any(): raise KeyError("no corner")
    return x
layer = nn.LayerNorm(1)
wide = nn.LayerNorm(7)
gru = nn.GRU(2, 2, batch_first=True)
drop = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5))
plain = nn.Linear(2, 2)
def scales(x):
    x *= 2
    return x
def out_of(x): return np.multiply(x, 2, out=x)
def shout(x):
    print("hello")
    return 2 * x
def mixed(x): return x + np.sin(6 * x.astype(np.float32))
def mixed_type(x): return x + np.sin(6 * x, dtype=np.float32)
def mixed_array(x): return x + np.sin(6 * np.asarray(x, np.float32))
def mixed_inside(x): return x + np.sin(np.asarray(6 * x, np.float32))
def mixed_torch(x): return x * torch.softmax(6 * x, 1, dtype=torch.float32)
def mixed_half(x): return x + 0.01 * x.to(torch.bfloat16).to(x.dtype)
def quiet(x): return np.sqrt(x * 1e-320)
np.seterr(all="raise")
"""


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    path = tmp_path_factory.mktemp("own") / "mine.py"
    path.write_text(OWN)
    return path


# -- modules: every one through loading, values, hypotheses and moduli -----------------------------
@pytest.mark.parametrize("name", CASES)
def test_modules_work_from_loading_to_moduli(name):
    """R11, R16, R17, R18, R20, R23: converted in place, whatever holds them."""
    f = resolve_target(f"{MODULES}:{name}", **SHAPE)
    x = np.random.default_rng(0).random((6, 3, 4))
    values = f(x)
    plain = f.function(torch.tensor(x, dtype=torch.float32 if f.single else torch.float64))
    np.testing.assert_allclose(values, plain.detach().numpy(), atol=1e-6)
    np.testing.assert_allclose(f(x[:1]), values[:1], atol=1e-6)
    t = torch.tensor(x, dtype=torch.float32, requires_grad=True)  # as a fit calls it
    out = f(t)
    assert (out.dtype, out.requires_grad) == (torch.float32, True)
    np.testing.assert_allclose(out.detach().numpy(), values, atol=1e-5)
    assert failures(check_hypotheses(f, **SHAPE, p=2, effort=0.02)) == []
    found = modulus_lower_bound(f, 0.1, kind="sequence", **SHAPE, effort=0.01)
    at = [np.asarray(f(z[None]))[0] for z in (found.x, found.y)]
    assert found.value == pytest.approx(np.linalg.norm(at[0] - at[1]), rel=1e-4, abs=1e-6)
    told = " ".join(notes_of(f))
    assert ("float32 (float)" in told) is (name in IN_SINGLE)
    assert IN_TRAINING.get(name, "") in told


def test_weights_drawn_as_a_file_is_read_are_the_same_every_time():
    """B1: tasks in other processes read the file again, after other draws."""
    torch.rand(3)
    state = torch.random.get_rng_state()
    first = resolve_target(f"{MODULES}:encoder", **SHAPE)
    assert torch.equal(torch.random.get_rng_state(), state)
    torch.rand(5)
    again = resolve_target(f"{MODULES}:encoder", **SHAPE)
    x = np.full((1, 3, 4), 0.3)
    assert first.function is not again.function
    assert np.array_equal(first(x), again(x))


# -- what is no function is refused before anything is computed ------------------------------------
REFUSED = {  # R2, R5, R10, R16, A3
    "noisy": ("the same input x again", "draw no random numbers"),
    "rare": ("the same input x again", "draw no random numbers"),
    "torch_noise": ("the same input x again", "draw no random numbers"),
    "clock": ("the same input x again", "keep nothing between calls"),
    "counts": ("the same input x again", "keep nothing between calls"),
    "flat": ("differ by", "axis 0 is the batch; did you mean axis=1?"),
    "length": ("differ by", "did you mean axis=1?"),
    "whole_std": ("differ by", "did you mean axis=1?"),
    "large": ("in one of 300 differ by", "did you mean axis=1?"),
    "first": ("differ by", "did you mean axis=1?"),
    "flat_torch": ("differ by", "did you mean axis=1?"),
    "spread": ("for a NumPy array", "for a torch tensor"),
    "asks": ("for a NumPy array, 0 for a torch tensor", "make both the same"),
    "nearly": ("for a NumPy array", "for a torch tensor"),
    "squeezes": ("it returned shape (3, 2), expected (1, 3, 2)", "correct the function"),
    "corner": ("KeyError", "correct the function"),
    "layer": ("at (5, 3, 2): torch: RuntimeError", "-N and -d"),
    "gru": ("returned a tuple, expected a torch tensor", "return one of its parts"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_function_is_refused_with_the_cure(own, name):
    with pytest.raises(ValueError, match=rf"`target` '.*{name}'") as caught:
        resolve_target(f"{own}:{name}", tokens=3, dim=2)
    line = str(caught.value)
    assert "\n" not in line
    for part in REFUSED[name]:
        assert part in line


@pytest.mark.parametrize(
    "command",
    [
        ["moduli", "--delta", 0.1, "--certify"],
        ["bound"],
        ["construct", "--grid", 2],
        ["verify", "--preset", "smoke", "--out", "out", "--target"],
    ],
    ids=lambda c: c[0],
)
@pytest.mark.parametrize("name", ["noisy", "flat", "spread", "layer"])
def test_every_command_refuses_in_one_line(said, own, tmp_path, monkeypatch, command, name):
    """R5, R6, A3: exit code 2, nothing computed, nothing left behind."""
    monkeypatch.chdir(tmp_path)
    code, out, err = said(*command, f"{own}:{name}", "-d", 2)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert REFUSED[name][1] in err
    assert list(tmp_path.iterdir()) == []


def test_the_asked_size_alone_is_tried(own, monkeypatch):
    """R16, R10: no other N or d is ever called, and a message names the asked one."""
    assert resolve_target(f"{own}:three", tokens=3, dim=2).accepts == {"numpy"}
    assert resolve_target(f"{own}:wide", tokens=2, dim=7).accepts == {"torch"}
    for name, size in (("three", (4, 2)), ("wide", (4, 3))):
        with pytest.raises(ValueError, match=rf"at \(5, {size[0]}, {size[1]}\)"):
            resolve_target(f"{own}:{name}", tokens=size[0], dim=size[1])


# -- what is one is left in peace ------------------------------------------------------------------
@pytest.mark.parametrize("name", ["scales", "out_of"])
def test_in_place_functions_get_copies(own, name):
    """R17: the caller's array is unharmed, and nothing is held against the function."""
    f = resolve_target(f"{own}:{name}", tokens=3, dim=2)
    for x in (np.full((2, 3, 2), 0.25), torch.full((2, 3, 2), 0.25, requires_grad=True)):
        assert bool((f(x) == 0.5).all())
        assert bool((x == 0.25).all())
    assert failures(check_hypotheses(f, tokens=3, dim=2, p=2, effort=0.05)) == []


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("drop", "was in training mode (Dropout): taken in evaluation mode, without dropout"),
        ("plain", "its float32 weights are taken in float64"),
        ("shout", "what it prints is left out"),
        ("mixed", "computes in float32 inside"),
        ("mixed_inside", "computes in steps like float32's inside, single precision or less"),
        ("mixed_torch", "computes in float32 (softmax) inside"),
    ],
)
def test_what_was_done_to_a_function_is_said_in_one_line(said, own, name, words):
    """A7, R15, R23: on stderr, while JSON stays JSON."""
    arguments = ("-d", 2, "--delta", 0.1, "--effort", 0.01, "--json")
    code, out, err = said("moduli", f"{own}:{name}", *arguments)
    assert code == 0
    assert len(json.loads(out)) == 3
    assert err.count("\n") == 1
    assert words in err


def test_a_module_without_dropout_is_not_said_to_have_been_trained(own):
    assert "training" not in " ".join(notes_of(resolve_target(f"{own}:plain", tokens=2, dim=2)))


@pytest.mark.parametrize(
    "name", ["mixed", "mixed_type", "mixed_array", "mixed_inside", "mixed_torch", "mixed_half"]
)
def test_coarse_arithmetic_inside_is_no_jump(own, name):
    """R23: the steps of float32 are its rounding, and are named as such."""
    f = resolve_target(f"{own}:{name}", tokens=3, dim=2)
    found = check_hypotheses(f, tokens=3, dim=2, p=2, effort=0.3)
    assert failures(found) == []
    assert any("single precision" in finding.reason for finding in found)


def test_the_error_state_of_the_file_is_left_behind(own):
    """R24: np.seterr in a file changes nothing for anybody, its own function included."""
    before = np.geterr()
    f = resolve_target(f"{own}:quiet", tokens=2, dim=1)
    assert np.geterr() == before
    assert np.isfinite(f(np.full((1, 2, 1), 1e-4))).all()


# -- files and what lies beside them ---------------------------------------------------------------
BESIDE = """
from __future__ import annotations
import pickle
from dataclasses import dataclass, field
import helper_mod

@dataclass
class Point:
    by: int = 2
    more: list[int] = field(default_factory=list)

kept = pickle.loads(pickle.dumps(Point(3)))

def f(x):
    import late_mod
    return helper_mod.g(x) + late_mod.h(x)

def pickled(x):
    return pickle.loads(pickle.dumps(kept)).by * x
"""


def test_siblings_dataclasses_and_pickle_work_and_folders_are_kept_apart(tmp_path):
    """R19, R20: two files of two folders each import their own helper, at once and later."""
    targets = []
    for name, factor in (("one", 2), ("two", 5)):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "main.py").write_text(BESIDE)
        (folder / "helper_mod.py").write_text(f"def g(x):\n    return {factor} * x\n")
        (folder / "late_mod.py").write_text(f"def h(x):\n    return {factor} * x\n")
        targets.append(resolve_target(f"{folder}/main.py:f", tokens=2, dim=1))
        assert (
            resolve_target(f"{folder}/main.py:pickled", tokens=2, dim=1)(np.ones((1, 2, 1)))[
                0, 0, 0
            ]
            == 3.0
        )
    x = np.ones((1, 2, 1))
    assert [float(t(x)[0, 0, 0]) for t in (*targets, *targets)] == [4.0, 10.0, 4.0, 10.0]
    assert not {"helper_mod", "late_mod", "own_main"} & set(sys.modules)
    assert not any(str(tmp_path) in entry for entry in sys.path)


def test_a_home_is_cleared_when_the_last_one_leaves():
    home, stdout = Home(), sys.stdout
    with home.entered():
        with home.entered():
            print("inside")
        assert sys.stdout is home.sink
    assert sys.stdout is stdout
    assert home.sink.used


# -- the whole way ---------------------------------------------------------------------------------
SETS = """
import torch
from torch import nn

class Sets(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.all = nn.Linear(1, 1), nn.Linear(1, 1)

    def forward(self, x):
        return torch.tanh(self.one(x) + self.all(x.mean(1, keepdim=True)))

net = nn.Sequential(Sets(), nn.Dropout(0.2))
encoder = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True)
"""
SMALL = ("--preset", "smoke", "--loops", 3, "--seeds", 1, "--steps", 2, "--processes", 1)


@pytest.mark.parametrize(
    ("name", "dim"), [("net", 1), pytest.param("encoder", 4, marks=pytest.mark.slow)]
)
def test_verify_works_on_modules(said, tmp_path, monkeypatch, name, dim):
    """B1, A7: every task, and the report says what was done to the module."""
    if name == "net":  # in seconds: without constructed networks
        monkeypatch.setattr("looprate.experiments.study.plan.MEMORISERS", {})
    (tmp_path / "sets.py").write_text(SETS)
    target, out = f"{tmp_path / 'sets.py'}:{name}", tmp_path / "out"
    code, printed, _ = said("verify", *SMALL, "--target", target, "-d", dim, "--out", out, "--json")
    assert code == 0
    report = json.loads(printed)
    assert "failed" not in report
    (told,) = (f["reason"] for f in report["parts"][0]["hypotheses"] if "floating" in f["claim"])
    assert "was in training mode" in told
    assert "float32 weights are taken in float64" in told


def test_failed_tasks_leave_a_report_that_names_them(said, tmp_path, monkeypatch):
    """B1: one line and exit code 2, and a report of the rest."""

    def fails(report, **arguments):
        raise RuntimeError("no such luck")

    monkeypatch.setattr("looprate.experiments.study.plan.certificate_rows", fails)
    out = tmp_path / "out"
    code, _, err = said("verify", *SMALL, "--target", "mean-field", "--out", out)
    assert code == 2
    assert "tasks failed 3 times" in err.splitlines()[-1]
    report = json.loads((out / "report.json").read_text())
    assert len(report["failed"]) == len(MEMORISERS)
    assert all("no such luck" in line for line in report["failed"])
    assert len(report["parts"]) == 1
    for name in ("report.md", "report.html"):
        assert "This report is not complete" in (out / name).read_text()


@pytest.mark.parametrize("step", ["_enter", "_leave"])
def test_an_interruption_at_the_door_leaves_no_home_half_set_up(step, monkeypatch):
    usual = getattr(Home, step)

    def interrupted(self):
        signal.raise_signal(signal.SIGINT)
        usual(self)

    monkeypatch.setattr(Home, step, interrupted)
    here, before = Home(), sys.stdout
    with pytest.raises(KeyboardInterrupt), here.entered():
        pass
    assert sys.stdout is before
    assert here._inside == 0
