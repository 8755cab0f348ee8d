"""Functions drawn at random: lists of array steps that NumPy, torch, enclosures and Arb all run.

Arb runs them on arrays of balls of 300 bits, with NumPy's own aliases and views, so that a value is
known exactly whatever the function does in place.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from flint import arb, ctx
from hypothesis import strategies as st

__all__ = ["BITS", "Program", "exact", "programs"]

BITS = 300
UNARY = ("abs", "root", "exp", "tanh", "sin", "clip", "half")
BINARY = ("add", "sub", "mul", "div", "maximum")
REDUCED = ("mean", "max", "min")
IN_PLACE = ("iadd", "isub", "imul")
SHARED = ("alias", "tail", "flat", "turned")  # other names, slices and reshapes of the same memory
MEMORY = (*IN_PLACE, *SHARED, "half", "add", "mean", "tanh")


class Step(NamedTuple):
    """One step: registers i and j, an axis, a number."""

    name: str
    i: int
    j: int
    axis: int
    number: float


def _each(function: Any) -> Any:
    """Return a function of balls as one of arrays of balls."""
    return np.frompyfunc(function, 1, 1)


class Balls:
    """NumPy's functions on arrays of Arb balls."""

    abs = staticmethod(_each(abs))
    sqrt = staticmethod(_each(lambda b: b.sqrt()))
    exp = staticmethod(_each(lambda b: b.exp()))
    tanh = staticmethod(_each(lambda b: b.tanh()))
    sin = staticmethod(_each(lambda b: b.sin()))
    maximum = staticmethod(np.frompyfunc(lambda a, b: arb(a).max(arb(b)), 2, 1))
    minimum = staticmethod(np.frompyfunc(lambda a, b: arb(a).min(arb(b)), 2, 1))

    @staticmethod
    def clip(x: Any, low: float, high: float) -> Any:
        return Balls.minimum(Balls.maximum(x, low), high)

    @staticmethod
    def mean(x: Any, axis: int) -> Any:
        return x.sum(axis=axis, keepdims=True) / x.shape[axis]

    @staticmethod
    def max(x: Any, axis: int) -> Any:
        return Balls.maximum.reduce(x, axis=axis, keepdims=True)

    @staticmethod
    def min(x: Any, axis: int) -> Any:
        return Balls.minimum.reduce(x, axis=axis, keepdims=True)


class Arrays:
    """NumPy's functions on arrays and on enclosures."""

    abs, sqrt, exp, tanh, sin = map(staticmethod, (np.abs, np.sqrt, np.exp, np.tanh, np.sin))
    maximum, clip = staticmethod(np.maximum), staticmethod(np.clip)
    mean = staticmethod(lambda x, axis: np.mean(x, axis, keepdims=True))
    max = staticmethod(lambda x, axis: np.max(x, axis, keepdims=True))
    min = staticmethod(lambda x, axis: np.min(x, axis, keepdims=True))


class Tensors:
    """Torch's functions."""

    abs = staticmethod(lambda x: x.abs())
    sqrt = staticmethod(lambda x: x.sqrt())
    exp = staticmethod(lambda x: x.exp())
    tanh = staticmethod(lambda x: x.tanh())
    sin = staticmethod(lambda x: x.sin())
    maximum = staticmethod(lambda a, b: a.maximum(b))
    clip = staticmethod(lambda x, low, high: x.clamp(low, high))
    mean = staticmethod(lambda x, axis: x.mean(axis, keepdim=True))
    max = staticmethod(lambda x, axis: x.amax(axis, keepdim=True))
    min = staticmethod(lambda x, axis: x.amin(axis, keepdim=True))


@dataclass(frozen=True)
class Program:
    """A function (B, N, d) to (B, N, d)."""

    steps: tuple[Step, ...]
    scale: float

    @property
    def name(self) -> str:
        """What messages call it."""
        return f"a program of {len(self.steps)} steps"

    def __call__(self, x: Any) -> Any:
        return self.run(x, Arrays)

    def run(self, x: Any, xp: Any) -> Any:
        """Return what the last register holds, times the scale."""
        held = [x, x * self.steps[0].number]
        for step in self.steps:
            held.append(_done(step, held, xp))
        return held[-1] * self.scale

    def tensors(self, x: Any) -> Any:
        """Run on torch tensors."""
        return self.run(x, Tensors)


def _done(step: Step, held: list[Any], xp: Any) -> Any:
    """Return the result of one step, which may change registers in place."""
    a, b, c = held[step.i % len(held)], held[step.j % len(held)], step.number
    match step.name:
        case "abs" | "tanh" | "sin":
            return getattr(xp, step.name)(a)
        case "root":
            return xp.sqrt(xp.abs(a) + abs(c))
        case "exp":
            return xp.exp(xp.clip(a, -9.0, 9.0))
        case "clip":
            return xp.clip(a, min(c, 0.25), max(c, 0.5))
        case "half":
            return a * 0.5
        case "add":
            return a + b * c
        case "sub":
            return a - b
        case "mul":
            return a * b
        case "div":
            return a / (xp.abs(b) + abs(c))
        case "maximum":
            return xp.maximum(a, b)
        case "mean" | "max" | "min":
            return b - getattr(xp, step.name)(a, step.axis)
        case "alias":
            return a
        case "tail":
            return b + a[:, -1:]
        case "flat":
            return a.reshape((a.shape[0], -1)).reshape(a.shape)
        case "turned":
            return a[:, :, :]
    a = held[1 + step.i % (len(held) - 1)]  # not the input
    if step.name == "iadd":
        a += b
    elif step.name == "isub":
        a -= b * c
    else:
        a *= c
    return a


@st.composite
def programs(draw: Any, *, longest: int = 8) -> Program:
    """Draw a function; one number in six, and one scale in three, is far from 1."""
    numbers = st.builds(
        lambda mantissa, exponent: mantissa * 10.0**exponent,
        st.floats(0.125, 4.0),
        st.one_of(*[st.just(0)] * 5, st.integers(-300, 300)),
    )
    pools = (UNARY + 2 * BINARY + REDUCED + 2 * IN_PLACE + SHARED, MEMORY)
    names = st.sampled_from(draw(st.sampled_from(pools)))
    steps = st.builds(
        Step, names, st.integers(0, 11), st.integers(0, 11), st.integers(1, 2), numbers
    )
    drawn = draw(st.lists(steps, min_size=2, max_size=longest))
    return Program(tuple(drawn), 10.0 ** draw(st.one_of(st.just(0), st.integers(-300, 300))))


def exact(program: Program, points: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return balls that hold the exact values at points (B, N, d)."""
    with ctx.workprec(BITS):
        balls = np.frompyfunc(lambda v: arb(float(v)), 1, 1)(points)
        return program.run(balls, Balls)
