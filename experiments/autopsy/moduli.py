"""Lower bounds of the token and contextual moduli of a looped model, at any size.

A modulus of continuity is a supremum over all pairs of inputs within a radius; a pair that is found
bounds it from below.  The pairs here lie around given inputs: x + v/2 and x - v/2 with ‖v‖ = delta,
v zero but for one token (token modulus, seen at that token) or zero at one (contextual, seen
there).  v climbs by v <- delta g/‖g‖ with the gradient g of the change of the output, which for a
linear map is a power iteration.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from looprate.experiments.autopsy.protocol import Subject
from looprate.theory.continuity.lower.problem import moving_tokens
from looprate.theory.notation import Kind

Row = dict[str, Any]
KINDS: tuple[Kind, ...] = ("token", "contextual")
EXAMPLES = 2  # inputs that pairs lie around
WATCHED = 6  # tokens that are watched, at most
STARTS = 2  # directions that a climb begins with: the best of fewer loops, and a new one
CLIMB = 12  # steps at effort 1
SHARE = 0.1  # the usual radius, over the length of a token


class Start:
    """Where pairs are formed: the inputs where they are numbers (B, T, C), else the first states.

    Parameters
    ----------
    subject : Subject
    """

    def __init__(self, subject: Subject) -> None:
        given = subject.inputs[:EXAMPLES]
        self.subject, self.ids = subject, given
        self.numbers = given.is_floating_point() and given.ndim == 3
        with torch.no_grad():
            self.x = given if self.numbers else subject.start(given)
        if self.x.ndim == 2:
            self.x = self.x[:, None]  # one token

    def radius(self) -> float:
        """Return the usual radius: a tenth of the mean length of a token."""
        length = float(self.x.norm(dim=-1).mean())
        return SHARE * length if length > 0 else SHARE

    def output(self, x: Tensor, rows: Tensor, loops: int) -> Tensor:
        """Return (M, T, ...) outputs of points (M, T, C) around the inputs ``rows``."""
        subject = self.subject
        if self.numbers:
            state = subject.start(x)
        else:
            state = x.reshape(len(x), *subject.start(self.ids[rows]).shape[1:])
        for t in range(loops):
            state = subject.step(state, t)
        out = subject.read(state)
        if out.ndim < 3 or out.shape[1] != x.shape[1]:  # a read-out without tokens
            out = state
        return out.reshape(len(x), x.shape[1], -1)


def modulus_rows(
    subject: Subject,
    loops: Sequence[int],
    *,
    delta: float | None,
    effort: float,
    seed: int,
    report: Callable[[float], None] = lambda part: None,
) -> list[Row]:
    """Return a lower bound of each modulus at each loop count, attained by a pair.

    Parameters
    ----------
    subject : Subject
    loops : sequence of int
    delta : float or None
        Radius, Frobenius norm; None takes a tenth of a token's length.
    effort : float
        Scales the steps of the climb.
    seed : int
        Of the first directions.
    """
    start, generator = Start(subject), torch.Generator().manual_seed(seed)
    radius = start.radius() if delta is None else delta
    tokens = start.x.shape[1]
    kinds = [kind for kind in KINDS if tokens > 1 or kind == "token"]
    total, done, found = len(kinds) * sum(loops), 0, []
    for kind in kinds:
        rows, watched, mask = _copies(start.x, kind)
        v = torch.randn(mask.shape, generator=generator).to(start.x)
        for r in loops:
            steps = max(2, round(CLIMB * effort))
            v[1::2] = torch.randn(v[1::2].shape, generator=generator).to(v)  # half begin anew
            value, v = _climb(start, rows, watched, mask, v, r, radius, steps)
            found.append({"panel": "moduli", "name": kind, "loop": r, "delta": radius})
            found[-1]["value"] = float(value.max())
            done += r
            report(done / max(total, 1))
    return found


def _copies(x: Tensor, kind: Kind) -> tuple[Tensor, Tensor, Tensor]:
    """Return which example, which token and what may move, twice for each of the first two."""
    B, T, C = x.shape
    places = np.unique(np.linspace(0, T - 1, min(T, WATCHED)).round().astype(int)).tolist()
    places = [place for place in places for _ in range(STARTS)]
    masks = np.stack([moving_tokens(kind, T, place) for place in places])
    mask = torch.from_numpy(masks).to(x).repeat(B, 1)[..., None].expand(-1, -1, C)
    rows = torch.arange(B).repeat_interleave(len(places))
    return rows, torch.tensor(places).repeat(B), mask


def _climb(
    start: Start,
    rows: Tensor,
    watched: Tensor,
    mask: Tensor,
    v: Tensor,
    loops: int,
    radius: float,
    steps: int,
) -> tuple[Tensor, Tensor]:
    """Return the largest change found for every copy, and the direction it was found in."""
    x, both = start.x[rows], torch.cat([rows, rows])
    places, best, kept = torch.arange(len(rows)), x.new_zeros(len(rows)), v
    for _ in range(steps):
        v = _scaled(v * mask, radius).detach().requires_grad_(True)
        out = start.output(torch.cat([x + v / 2, x - v / 2]), both, loops)
        ahead, behind = out.chunk(2)
        change = (ahead - behind)[places, watched].norm(dim=-1)
        kept = torch.where((change > best)[:, None, None], v, kept).detach()
        best = torch.maximum(best, change.detach())
        (gradient,) = torch.autograd.grad(change.sum(), v)
        flat = gradient.flatten(1).norm(dim=1) <= 0  # nothing moves: stay
        v = torch.where(flat[:, None, None], v.detach(), gradient)
    better = best[0::STARTS] >= best[1::STARTS]
    return best, torch.where(
        better[:, None, None], kept[0::STARTS], kept[1::STARTS]
    ).repeat_interleave(STARTS, 0)


def _scaled(v: Tensor, radius: float) -> Tensor:
    """Return directions of length ``radius``."""
    size = v.flatten(1).norm(dim=1)
    return v * (radius / torch.where(size > 0, size, torch.ones_like(size)))[:, None, None]
