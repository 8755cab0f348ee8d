"""The objective ‖f(x) - f(y)‖_p and, in torch, its projected gradient ascent."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from looprate.theory.continuity.lower.problem import Array, Ascent, Span, Values
from looprate.theory.norms import p_norm, tensor_p_norm

CHUNK = 1 << 17  # input entries per call of f: what it makes of them fits into the cache
ADAM = (0.8, 0.95)  # decay of the two averages; short memories for a few hundred steps


def checked_output(out: Any, shape: tuple[int, ...]) -> Array:
    """Return an output of f as float64, or raise saying what was expected."""
    array = np.asarray(out, dtype=np.float64)
    if array.shape != shape:
        raise ValueError(f"`f` returned shape {array.shape}, expected {shape} = (B, N, d)")
    if not np.isfinite(array).all():
        raise ValueError("`f` returned NaN or inf inside the cube, expected finite numbers")
    return array


def objective(call: Callable[[Array], Any], p: float, row: int | None) -> Values:
    """Return (x, y) -> ‖f(x) - f(y)‖_p in float64, evaluated in chunks."""

    def values(x: Array, y: Array) -> Array:
        size = max(1, CHUNK // (2 * x[0].size))
        parts = []
        for start in range(0, len(x), size):
            pair = np.concatenate([x[start : start + size], y[start : start + size]])
            out = checked_output(call(pair), pair.shape)
            left, right = np.split(out, 2)
            diff = left - right
            watched = diff if row is None else diff[:, row]
            parts.append(p_norm(watched.reshape(len(diff), -1), p, axis=1))
        return np.concatenate(parts)

    return values


def watched_outputs(call: Callable[[Array], Any], row: int | None) -> Callable[[Array], Array]:
    """Return x -> the output entries that are watched, (M, E), evaluated in chunks."""

    def outputs(x: Array) -> Array:
        size = max(1, CHUNK // x[0].size)
        parts = [x[start : start + size] for start in range(0, len(x), size)]
        out = np.concatenate([checked_output(call(part), part.shape) for part in parts])
        return (out if row is None else out[:, row]).reshape(len(x), -1)

    return outputs


def _slopes(f: Callable[[Any], Any], p: float, row: int | None, point: Any) -> tuple[Any, Any]:
    """Return values (M,) and gradients at places and differences (2, M, N, d), cusps as 0."""
    import torch

    point = point.detach().requires_grad_(True)
    left, right = f(torch.cat(_ends(point))).chunk(2)
    out = left - right if row is None else (left - right)[:, row : row + 1]
    value = tensor_p_norm(out.flatten(1), p, 1)
    try:
        (grad,) = torch.autograd.grad(value.sum(), point)
    except RuntimeError:  # f wrote over a tensor that its gradient needs, on this batch
        grad = torch.zeros_like(point)
    return value.detach(), torch.nan_to_num(grad, 0.0, 0.0, 0.0)


def _ends(point: Any) -> tuple[Any, Any]:
    """Return x and y of places t and differences D, both in the cube: the centre is that share of
    the way that its segment may go, |D|/2 + t (1 - |D|)."""
    place, diff = point
    size = diff.abs()
    centre = size / 2 + place * (1 - size)
    return centre + diff / 2, centre - diff / 2


def _best(kept: tuple[Any, Any], point: Any, value: Any) -> tuple[Any, Any]:
    """Return the better of two iterates of every candidate, and its value."""
    import torch

    better = value > kept[1]
    return (
        torch.where(better[:, None, None], point, kept[0]),
        torch.where(better, value, kept[1]),
    )


def gradient_ascent(
    f: Callable[[Any], Any],
    like: dict[str, Any],
    p: float,
    row: int | None,
    moving: NDArray[np.bool_],
    trace: Callable[[float], None] | None = None,
) -> Ascent:
    """Return projected Adam on places and differences whose steps decay geometrically.

    A place says where between the faces of the cube a segment lies, so that no end of it is ever
    clipped: along a face, where the best pairs often lie, the ascent is as smooth as f.  Every
    candidate keeps its best iterate.
    """

    def ascend(c: Array, diff: Array, reach: Array, steps: int, span: Span) -> tuple[Array, Array]:
        import torch

        radius = torch.as_tensor(reach, **like)[:, None, None]
        mask = torch.as_tensor(moving, **like)[:, None]
        point = torch.as_tensor(np.stack([_places(c, diff), diff]), **like)  # (2, M, N, d)
        unit = torch.stack([torch.clamp(radius, min=span.floor), radius])
        mean, square = torch.zeros_like(point), torch.zeros_like(point)
        kept = (point.clone(), torch.full_like(radius[:, 0, 0], -math.inf))
        fast, slow = ADAM
        for step in range(1, steps + 1):
            value, grad = _slopes(f, p, row, point)
            if trace is not None:
                trace(float(value.max()))
            kept = _best(kept, point, value)
            grad[1] = _tangent(grad[1] * mask, point[1], radius)
            mean.mul_(fast).add_(grad, alpha=1 - fast)
            square.mul_(slow).addcmul_(grad, grad, value=1 - slow)
            rate = span.first * (span.last / span.first) ** ((step - 1) / steps)
            rate *= (1 - slow**step) ** 0.5 / (1 - fast**step)
            point = point + rate * unit * mean / square.sqrt().clamp(min=1e-30)
            point[0].clamp_(0, 1)
            point[1].clamp_(-1, 1).mul_(mask)
            length = torch.linalg.vector_norm(point[1], dim=(1, 2), keepdim=True)
            point[1] *= torch.where(length > radius, radius / length, 1.0)
        x, y = (end.cpu().numpy() for end in _ends(kept[0]))
        return (x + y) / 2, kept[0][1].cpu().numpy()

    return ascend


def _places(c: Array, diff: Array) -> Array:
    """Return where between the faces the segments of candidates lie, in [0,1]."""
    size = np.abs(diff)
    return np.asarray(np.clip((c - size / 2) / np.maximum(1 - size, 1e-300), 0, 1))


def _tangent(grad: Any, diff: Any, radius: Any) -> Any:
    """Return gradients without what would only lengthen differences that are as long as may be."""
    import torch

    length = torch.linalg.vector_norm(diff, dim=(1, 2), keepdim=True)
    unit = diff / length.clamp(min=1e-300)
    outward = (grad * unit).sum((1, 2), keepdim=True)
    full = (length >= radius * (1 - 1e-9)) & (outward > 0)
    return torch.where(full, grad - outward * unit, grad)
