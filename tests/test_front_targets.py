"""What looprate.target takes: whatever maps batches, refused with the cure, left as it is."""

import functools

import numpy as np
import pytest
import torch

import looprate


def squares(x):
    return x * x


class Scaled:
    """A class whose instances are functions."""

    def __call__(self, x):
        return 0.5 * x


class Layer(torch.nn.Module):
    """A module with weights and a buffer, in training mode as modules come."""

    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(1, 1)
        self.register_buffer("shift", torch.ones(1))

    def forward(self, x):
        return torch.tanh(self.linear(x)) + self.shift


def symbolic():
    import sympy

    x = sympy.Symbol("x")
    return sympy.lambdify(x, sympy.sin(3 * x) + x**2, "numpy")


@pytest.mark.parametrize(
    "of",
    [
        "dial",
        "sin(3*x) + mean(x)",
        squares,
        lambda x: 1 - x,
        Scaled(),
        Layer(),
        symbolic(),
        functools.partial(np.clip, a_min=0.2, a_max=0.8),
    ],
    ids=["name", "formula", "def", "lambda", "instance", "module", "sympy", "partial"],
)
def test_a_target_is_whatever_maps_batches(of):
    f, x = looprate.target(of, tokens=2), np.random.default_rng(0).random((3, 2, 1))
    assert f(x).shape == f(torch.tensor(x)).shape == (3, 2, 1)
    assert np.abs(f(x) - f(torch.tensor(x)).detach().numpy()).max() < 1e-12
    assert f.moduli(0.1, kinds="token", effort=0.02).lower > 0
    assert (f.tokens, f.dim, f.p) == (2, 1, 1.0)
    assert "N = 2, d = 1, p = 1" in repr(f)


@pytest.mark.parametrize(
    ("of", "error", "said"),
    [
        (Layer, TypeError, "an instance, not a class"),
        (3.0, TypeError, "must be a name, a formula, a function or a module"),
        ("dail", ValueError, "did you mean dial?"),
        (lambda x: x[..., :0], ValueError, "shape"),
        (lambda x: x / 0 if isinstance(x, float) else None, (TypeError, ValueError), "`target`"),
    ],
)
def test_what_is_no_target_is_refused_with_the_cure(of, error, said):
    with pytest.raises(error, match=said):
        looprate.target(of, tokens=2)


NET = Layer()


def holders(net):
    """Functions that hold a module: in a closure, a default, an argument, an attribute, a list."""
    keeper = Scaled()
    keeper.parts = [net]
    keeper.__class__ = type("Keeper", (Scaled,), {"__call__": lambda self, x: self.parts[0](x)})

    def inner(x):
        return net(x)

    return {
        "module": net,
        "closure": lambda x: net(x),
        "default": lambda x, net=net: net(x),
        "keyword": functools.partial(lambda x, *, net: net(x), net=net),
        "through a function": lambda x: inner(x),
        "instance": keeper,
        "method": keeper.__call__,
        "global": lambda x: NET(x),
    }


@pytest.mark.parametrize("way", holders(NET))
def test_what_is_handed_over_stays_as_it_is(way):
    """The user goes on training: mode, dtype and gradients of the module are untouched."""
    function = holders(NET)[way]
    f = looprate.target(function, tokens=2)
    x = np.random.default_rng(0).random((3, 2, 1))
    wanted = NET(torch.tensor(x, dtype=torch.float32)).detach().numpy()
    assert NET.training
    assert {p.dtype for p in (*NET.parameters(), NET.shift)} == {torch.float32}
    assert all(p.requires_grad for p in NET.parameters())
    assert f(x).dtype == np.float64
    assert np.abs(f(x) - wanted).max() < 1e-6
