"""The objective ‖f(x) - f(y)‖_p and, in torch, its projected gradient ascent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from looprate.theory.continuity.lower.problem import Array, Ascent, Values
from looprate.theory.norms import p_norm, tensor_p_norm

CHUNK = 1 << 20  # input entries per call of f
ADAM = (0.8, 0.95)  # decay of the two averages; short memories for a few hundred steps
CENTRE_STEP = 0.1  # first step of a centre over that of a difference at radius 1, at least


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
    """Return values (M,) and gradients at centres and differences (2, M, N, d), cusps as 0."""
    import torch

    point = point.detach().requires_grad_(True)
    half = point[1] / 2
    ends = torch.cat([point[0] + half, point[0] - half]).clamp(0, 1)
    left, right = f(ends).chunk(2)
    out = left - right if row is None else (left - right)[:, row : row + 1]
    value = tensor_p_norm(out.flatten(1), p, 1)
    try:
        (grad,) = torch.autograd.grad(value.sum(), point)
    except RuntimeError:  # f wrote over a tensor that its gradient needs, on this batch
        grad = torch.zeros_like(point)
    return value.detach(), torch.nan_to_num(grad, 0.0, 0.0, 0.0)


def _best(kept: tuple[Any, Any], point: Any, value: Any) -> tuple[Any, Any]:
    """Return the better of two iterates of every candidate, and its value."""
    import torch

    better = value > kept[1]
    return (
        torch.where(better[:, None, None], point, kept[0]),
        torch.where(better, value, kept[1]),
    )


def gradient_leaps(
    f: Callable[[Any], Any],
    like: dict[str, Any],
    p: float,
    row: int | None,
    moving: NDArray[np.bool_],
) -> Ascent:
    """Return a few long steps from many starts: the right basin, not the right place in it.

    D jumps to the radius along its gradient, which for linear f is the power method for the largest
    singular value; the centre moves along its own by a length that decays.
    """

    def leap(
        c: Array, diff: Array, reach: Array, steps: int, span: tuple[float, float]
    ) -> tuple[Array, Array]:
        import torch

        radius = torch.as_tensor(reach, **like)[:, None, None]
        mask = torch.as_tensor(moving * 1.0, **like)[:, None]
        point = torch.as_tensor(np.stack([c, diff]), **like)  # (2, M, N, d)
        kept = (point.clone(), torch.full_like(radius[:, 0, 0], -1.0))
        length = span[0]
        for _ in range(steps):
            value, grad = _slopes(f, p, row, point)
            kept = _best(kept, point, value)
            grad[1] *= mask
            size = torch.linalg.vector_norm(grad, dim=(2, 3), keepdim=True)
            grad /= size + 1e-300
            centre = (point[0] + length * grad[0]).clamp(0, 1)
            jump = torch.where(size[1] > 0, radius * grad[1], point[1])
            point = torch.stack([centre, jump])
            length *= (span[1] / span[0]) ** (1 / steps)
        return kept[0][0].cpu().numpy(), kept[0][1].cpu().numpy()

    return leap


def gradient_ascent(
    f: Callable[[Any], Any],
    like: dict[str, Any],
    p: float,
    row: int | None,
    moving: NDArray[np.bool_],
) -> Ascent:
    """Return projected Adam on (c, D) whose steps decay geometrically.

    Every candidate keeps its best iterate.
    """

    def ascend(
        c: Array, diff: Array, reach: Array, steps: int, span: tuple[float, float]
    ) -> tuple[Array, Array]:
        import torch

        radius = torch.as_tensor(reach, **like)[:, None, None]
        mask = torch.as_tensor(moving * 1.0, **like)[:, None]
        point = torch.as_tensor(np.stack([c, diff]), **like)  # (2, M, N, d)
        first = span[0] * torch.stack([torch.clamp(radius, min=CENTRE_STEP), radius])
        decay = (span[1] * radius / first) ** (1 / steps)
        mean, square = torch.zeros_like(point), torch.zeros_like(point)
        kept = (point.clone(), torch.full_like(radius[:, 0, 0], -1.0))
        fast, slow = ADAM
        rate = first
        for step in range(1, steps + 1):
            value, grad = _slopes(f, p, row, point)
            kept = _best(kept, point, value)
            mean.mul_(fast).add_(grad, alpha=1 - fast)
            square.mul_(slow).addcmul_(grad, grad, value=1 - slow)
            scale = (1 - slow**step) ** 0.5 / (1 - fast**step)
            point = point + rate * scale * mean / (square.sqrt() + 1e-30)
            point[0].clamp_(0, 1)
            point[1] *= mask
            length = tensor_p_norm(point[1], 2.0, (1, 2))[:, None, None]
            point[1] *= torch.where(length > radius, radius / length, 1.0)
            rate = rate * decay
        return kept[0][0].cpu().numpy(), kept[0][1].cpu().numpy()

    return ascend
