"""What the loops of a model do, number by number: states, updates, stretch, moduli, parts off.

Every row has a ``panel`` and what belongs on its axes; figures draw them as they are.  Sizes are
Euclidean norms of whole states, one for each input; medians are over inputs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from looprate.experiments.autopsy.protocol import Subject

Row = dict[str, Any]
Report = Callable[[float], None]
STRETCHED = 4  # inputs at which loops are differentiated
POWER = 60  # steps of a power iteration at effort 1, at most
SETTLED = {torch.float64: 1e-9, torch.float32: 1e-5}  # relative move that counts as none
FURTHER = 200  # loops beyond the last that a fixed point is looked for in
STALLED = 1e-10  # relative gain at which a power iteration ends
DIFFERENCE = {torch.float64: 1e-6, torch.float32: 1e-3}  # step of a difference, over the state
WARM = 0.1  # share of fresh noise in a first direction


def norms(x: Tensor) -> Tensor:
    """Return the Euclidean norm of every input's part, (B,)."""
    return x.flatten(1).norm(dim=1)


def relative(part: Tensor, whole: Tensor) -> Tensor:
    """Return ‖part‖/‖whole‖ of every input, 0 where both are 0."""
    size = norms(whole)
    return norms(part) / torch.where(size > 0, size, torch.ones_like(size))


@dataclass(frozen=True)
class Spread:
    """Median, least and largest number over inputs."""

    value: float
    lower: float
    upper: float

    @classmethod
    def of(cls, numbers: Tensor) -> Spread:
        """Take them of (B,) numbers."""
        return cls(float(numbers.quantile(0.5)), float(numbers.min()), float(numbers.max()))

    def as_dict(self) -> Row:
        """Return them as columns."""
        return dict(vars(self))


# -- states ----------------------------------------------------------------------------------------
@torch.no_grad()
def states_of(subject: Subject, loops: int, report: Report = lambda part: None) -> list[Tensor]:
    """Return the states before and after every loop, loops + 1 of shape (B, ...)."""
    states = [subject.start(subject.inputs)]
    for t in range(loops):
        states.append(subject.step(states[-1], t))
        report((t + 1) / loops)
    return states


@torch.no_grad()
def readout_rows(subject: Subject, states: Sequence[Tensor], trained: int) -> list[Row]:
    """Return what is read after every loop: its error, or how far it is from that at ``trained``.

    Where the last axis of an output holds scores, "choices" is the share of largest ones that
    differ from those at ``trained``.
    """
    outputs = [subject.read(state) for state in states]
    final, rows = outputs[trained], []
    for loop, out in enumerate(outputs):
        if subject.has("error"):
            rows.append(_row("readout", "error", loop, value=subject.error(out)))
        change = Spread.of(relative(out - final, final))
        rows.append(_row("readout", "change", loop, **change.as_dict()))
        if subject.has("read") and out.shape[-1] > 1:
            other = (out.argmax(-1) != final.argmax(-1)).to(final.dtype)
            rows.append(_row("readout", "choices", loop, value=float(other.mean())))
    return rows


def update_rows(states: Sequence[Tensor]) -> list[Row]:
    """Return ‖s_{t+1} - s_t‖/‖s_t‖ for every loop, from 1."""
    pairs = pairwise(states)
    moves = [Spread.of(relative(new - old, old)) for old, new in pairs]
    return [_row("update", "update", k + 1, **move.as_dict()) for k, move in enumerate(moves)]


@torch.no_grad()
def fixed_point(subject: Subject, last: Tensor, loops: int) -> tuple[Tensor | None, int, float]:
    """Look for a state that further loops leave where it is.

    Parameters
    ----------
    subject : Subject
        Started: its injections are those of the inputs.
    last : Tensor
        The state after ``loops`` loops.

    Returns
    -------
    state, loops, move
        The state, None where there is none within :data:`FURTHER` more loops; the loops it took;
        the relative size of the last update.
    """
    state, move = last, math.inf
    least = SETTLED.get(last.dtype, SETTLED[torch.float32])
    for t in range(loops, loops + FURTHER):
        try:
            new = subject.step(state, t)
        except ValueError:  # beyond what it was asked for, numbers may break
            return None, t, move
        move = float(relative(new - state, state).max())
        state = new
        if move <= least:
            return state, t + 1, move
    return None, loops + FURTHER, move


def distance_rows(states: Sequence[Tensor], point: Tensor) -> list[Row]:
    """Return ‖s_t - s*‖/‖s*‖ after every loop."""
    found = [Spread.of(relative(state - point, point)) for state in states]
    return [_row("update", "distance", k, **one.as_dict()) for k, one in enumerate(found)]


def contraction(distances: Sequence[float]) -> float | None:
    """Return the factor by which distances shrink a loop, by least squares on their logarithms.

    Distances within rounding of 0 are left out; None for fewer than two others.
    """
    kept = [
        (k, math.log(d)) for k, d in enumerate(distances) if d > 1e-6 * max(distances, default=0)
    ]
    if len(kept) < 2:
        return None
    at = torch.tensor(kept, dtype=torch.float64)
    k, y = at[:, 0] - at[:, 0].mean(), at[:, 1] - at[:, 1].mean()
    return math.exp(float((k @ y) / (k @ k)))


def cosine_rows(states: Sequence[Tensor]) -> list[Row]:
    """Return the cosine between the states after any two loops, mean over inputs."""
    flat = torch.stack([state.flatten(1) for state in states])  # (r + 1, B, TD)
    flat = flat / flat.norm(dim=2, keepdim=True).clamp_min(torch.finfo(flat.dtype).tiny)
    cosines = torch.einsum("abk,cbk->ac", flat, flat) / flat.shape[1]
    return [
        {**_row("similarity", "cosine", a), "position": c, "cosine": float(cosines[a, c])}
        for a in range(len(states))
        for c in range(len(states))
    ]


# -- stretch ---------------------------------------------------------------------------------------
def stretch_rows(
    subject: Subject,
    states: Sequence[Tensor],
    *,
    effort: float,
    seed: int,
    report: Report = lambda part: None,
) -> list[Row]:
    """Return for every loop lower bounds of the largest singular value of its Jacobian.

    Notes
    -----
    Power iteration at the states the model passes through: a direction v goes forward by a
    difference, u = F(s + hv) - F(s - hv), and back by a product with the transposed Jacobian.  With
    ‖u‖ = 1 the number is ‖Jᵀu‖, which is never above the largest singular value, whatever the error
    of the difference.
    """
    generator = torch.Generator().manual_seed(seed)
    inputs, rows, v = subject.inputs[:STRETCHED], [], None
    for t, whole in enumerate(states[:-1]):
        state = whole[: len(inputs)]
        fresh = torch.randn(state.shape, generator=generator).to(state)
        v = fresh if v is None else _unit(v) + WARM * _unit(fresh)
        value, v = _stretch(subject, inputs, state, t, v, max(2, round(POWER * effort)))
        spread = Spread.of(value)
        rows.append(_row("sensitivity", "stretch", t + 1, **spread.as_dict()))
        report((t + 1) / (len(states) - 1))
    return rows


def _stretch(
    subject: Subject, inputs: Tensor, state: Tensor, t: int, v: Tensor, steps: int
) -> tuple[Tensor, Tensor]:
    """Return the largest ‖Jᵀu‖ found for every input, and the last direction."""
    best = state.new_zeros(len(state))
    h = DIFFERENCE.get(state.dtype, 1e-3) * norms(state).clamp_min(1.0)
    for _ in range(steps):
        v = _unit(v)
        shift = v * _as(h, v)
        subject.start(torch.cat([inputs, inputs]))
        with torch.no_grad():
            ahead, behind = subject.step(torch.cat([state + shift, state - shift]), t).chunk(2)
        u = _unit(ahead - behind)
        subject.start(inputs)
        at = state.detach().clone().requires_grad_(True)
        (v,) = torch.autograd.grad(subject.step(at, t), at, u)
        found = norms(v)
        gain = float(((found - best) / best.clamp_min(1e-300)).max())
        best = torch.maximum(best, found)
        if gain <= STALLED:
            break
    return best, v


def _unit(v: Tensor) -> Tensor:
    """Return directions of length 1, one for each input; 0 stays 0."""
    size = norms(v)
    return v / _as(torch.where(size > 0, size, torch.ones_like(size)), v)


def _as(numbers: Tensor, like: Tensor) -> Tensor:
    """Return (B,) numbers in a shape that multiplies (B, ...)."""
    return numbers.reshape(-1, *[1] * (like.ndim - 1))


# -- parts off -------------------------------------------------------------------------------------
@torch.no_grad()
def part_rows(subject: Subject, final: Tensor, trained: int) -> Iterator[Row]:
    """Yield a row for each part switched off, at the trained loop count.

    Its error where there is one, after that of the whole; else how far its output is from that of
    the whole, ``final``.
    """
    erring = subject.has("error")
    if erring:
        yield _row("parts", "whole", trained, value=subject.error(final))
    for name, part in subject.without().items():
        out = part.read(part.run(subject.inputs, trained))
        change = Spread.of(relative(out - final, final)).value
        yield _row("parts", name, trained, value=subject.error(out) if erring else change)


def _row(panel: str, name: str, loop: int, **columns: Any) -> Row:
    """Return a row of a panel."""
    return {"panel": panel, "name": name, "loop": loop, **columns}
