"""Feasible pairs of inputs, and the norms of what a target does between them."""

from __future__ import annotations

import numpy as np

from looprate.theory.continuity.lower.bound import ModulusLowerBound
from looprate.theory.continuity.lower.problem import moving_tokens

__all__ = ["lower_of_pairs", "norms", "pair_values", "random_pairs", "row_of"]


def row_of(kind):
    """The output token that is watched: the first, or all."""
    return None if kind == "sequence" else 0


def random_pairs(rng, count, delta, *, kind, tokens, dim):
    """Pairs (count, N, d): half of them at the full radius, some at faces and at the centre."""
    moving = np.repeat(moving_tokens(kind, tokens, 0), dim).astype(float)
    step = rng.standard_normal((count, tokens * dim)) * moving
    step *= rng.random(step.shape) < rng.choice([0.4, 1.0], (count, 1))  # some along few axes
    length = np.linalg.norm(step, axis=1, keepdims=True)
    share = np.where(rng.random((count, 1)) < 0.5, 1.0, rng.random((count, 1)))
    step = np.clip(step / np.maximum(length, 1e-300) * delta * share * (1 - 1e-14), -1.0, 1.0)
    low, high = np.maximum(-step, 0.0), np.minimum(1 - step, 1.0)
    place = rng.random(step.shape)
    place = np.where(rng.random((count, 1)) < 0.4, np.round(2 * place) / 2, place)
    y = np.clip(low + (high - low) * place, 0.0, 1.0)
    x = np.clip(y + step, 0.0, 1.0)
    return x.reshape(-1, tokens, dim), y.reshape(-1, tokens, dim)


def norms(difference, p):
    """p-norms over the last axis, the largest entry taken out."""
    most = np.abs(difference).max(-1)
    shares = difference / np.where(most > 0, most, 1.0)[..., None]
    return most * np.linalg.norm(shares, ord=p, axis=-1)


def pair_values(f, x, y, *, row, p):
    """‖f(x) - f(y)‖_p of one output token, or all, for pairs (B, N, d)."""
    gap = f(x) - f(y)
    gap = gap if row is None else gap[:, row]
    return norms(gap.reshape(len(gap), -1), p)


def lower_of_pairs(f, delta, *, kind, tokens, dim, p, count=200):
    """A lower bound from random pairs: quick, and not close."""
    rng = np.random.default_rng(3)
    x, y = random_pairs(rng, count, delta, kind=kind, tokens=tokens, dim=dim)
    values = pair_values(f, x, y, row=row_of(kind), p=p)
    k = int(values.argmax())
    return ModulusLowerBound(kind, delta, float(values[k]), x[k], y[k], p, row_of(kind))
