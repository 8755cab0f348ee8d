"""Modules and functions of a user's own, the whole way: moduli, bound, construct and verify."""

import textwrap

import numpy as np
import pytest

import looprate
from looprate import cli
from looprate.theory.targets import resolve_target

FILE = """
import functools, math
import numpy as np, sympy, torch
from torch import nn

torch.manual_seed(0)
encoder = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True).eval()
sequence_first = nn.TransformerEncoderLayer(4, 2, 8).eval()

class DeepSets(nn.Module):
    def __init__(self, hidden=4):
        super().__init__()
        self.inner, self.outer = nn.Linear(1, hidden), nn.Linear(1 + hidden, 1)
    def forward(self, x):
        pooled = torch.tanh(self.inner(x)).mean(1, keepdim=True).expand(-1, x.shape[1], -1)
        return self.outer(torch.cat([x, pooled], -1))

class Buffered(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("scale", torch.tensor([3.0]))
    def forward(self, x):
        return torch.sin(self.scale * x)

class Steep:
    def __init__(self, slope):
        self.slope = slope
    def __call__(self, x):
        return np.tanh(self.slope * x)

def single(x):
    return torch.sin(x.float() @ torch.full((1, 1), 3.0))

def tokens_in_turn(x):
    out = np.zeros_like(x)
    for n in range(x.shape[1]):
        out[:, n] = np.sin(3 * x[:, n]) + x.mean(1) / 2
    return out

net = nn.Linear(1, 1)
deepsets, buffered, instance = DeepSets(), Buffered(), Steep(2.0)
held = lambda x: torch.tanh(net(x))
s = sympy.Symbol("s")
symbolic = sympy.lambdify(s, sympy.sin(3 * s) + s**2, "numpy")
erfinv = lambda x: torch.erfinv(x / 2)
batch_mean = lambda x: x.mean(0, keepdims=True) + 0 * x
integers = lambda x: (4 * x).astype(int)
"""
NAMES = ("deepsets", "buffered", "single", "tokens_in_turn", "instance", "held", "symbolic")
UNENCLOSED = {"single": "has no attribute 'float'"}


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    found = tmp_path_factory.mktemp("own") / "own_models.py"
    found.write_text(textwrap.dedent(FILE))
    return found


def said(capsys, *arguments):
    code = cli.main([*map(str, arguments)])
    out, err = capsys.readouterr()
    assert code == 0, err
    return out


EVERYDAY = ("buffered", "tokens_in_turn", "instance")


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[] if n in EVERYDAY else pytest.mark.slow) for n in NAMES]
)
def test_what_a_file_holds_goes_through_every_question(path, name):
    f = looprate.target(f"{path}:{name}", tokens=2)
    assert f.check().failures == []
    assert f.moduli(0.1, kinds="token", effort=0.02).lower > 0
    assert f.bound(100).total > 0
    made = f.construct(2, tolerance=0.1)
    assert made.verdict == ("not testable" if name in UNENCLOSED else "vacuous")
    if name in UNENCLOSED:
        assert made.error == (None, None)
        assert UNENCLOSED[name] in made.reason
        assert "write it with +, -, *" in made.reason
    else:
        low, high = made.error
        assert 0 < low <= high < 1.2 * low


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_what_a_file_holds_goes_through_every_command(path, name, capsys, tmp_path):
    target = f"{path}:{name}"
    assert "token" in said(capsys, "moduli", target, "--delta", 0.1)
    assert "verdict" in said(capsys, "bound", target, "--loops", 100)
    assert "holds" in said(capsys, "construct", target, "--grid", 3)
    said(capsys, "verify", "--preset", "smoke", "--target", target, "--out", tmp_path / "out")
    assert (tmp_path / "out" / "rows.jsonl").is_file()


@pytest.mark.slow
def test_a_layer_of_torchs_goes_the_whole_way(path):
    f = looprate.target(f"{path}:encoder", tokens=2, dim=4)
    assert f.check().failures == []
    assert f.moduli(0.1, kinds="token", effort=0.02).lower > 0
    assert f.bound(100).total > 0
    assert f.construct(2, seconds=60).error[1] > 0


@pytest.mark.parametrize(
    ("name", "dim", "error", "cure"),
    [
        ("Steep", 1, TypeError, r"got a class; write `f = Steep\(\.\.\.\)` below it"),
        ("sequence_first", 4, ValueError, "axis 0 is the batch.*batch_first=True"),
        ("batch_mean", 1, ValueError, "did you mean axis=1"),
        ("integers", 1, ValueError, "float"),
    ],
)
def test_what_cannot_work_names_the_cure(path, name, dim, error, cure):
    with pytest.raises(error, match=cure):
        looprate.target(f"{path}:{name}", tokens=2, dim=dim)


def test_a_missing_operation_is_named_with_those_there_are(path):
    made = looprate.target(f"{path}:erfinv", tokens=2).construct(2)
    assert "erfinv" in made.reason
    assert "write it with +, -, *" in made.reason


def test_a_dotted_modules_parts_stay_as_they_are(path, monkeypatch):
    """What the caller's process shares is copied; the values are the same."""
    torch = pytest.importorskip("torch")
    monkeypatch.syspath_prepend(str(path.parent))
    import own_models

    own_models.deepsets.train()
    for name in ("deepsets", "held"):
        f = resolve_target(f"own_models:{name}", tokens=2, dim=1)
        x = np.random.default_rng(0).random((3, 2, 1))
        wanted = getattr(own_models, name)(torch.tensor(x, dtype=torch.float32)).detach().numpy()
        assert np.abs(f(x) - wanted).max() < 1e-6
    assert own_models.deepsets.training
    weights = [*own_models.deepsets.parameters(), *own_models.net.parameters()]
    assert all(w.dtype == torch.float32 and w.requires_grad for w in weights)
