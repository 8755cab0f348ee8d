"""Lower bounds of moduli of continuity, each with the pair of inputs that proves it.

Rigorous side: every returned value is attained by a pair in the cube, or follows from one by
monotonicity or subadditivity.  How close it comes to the supremum is heuristic.
"""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from looprate.theory.continuity.lower.objective import (
    checked_output,
    gradient_ascent,
    objective,
    watched_outputs,
)
from looprate.theory.continuity.lower.problem import Array, Effort, Problem, Values, moving_tokens
from looprate.theory.continuity.lower.search import search_pairs, structured_pairs
from looprate.theory.continuity.transfer import Rule, strengthened_lower_bounds
from looprate.theory.norms import p_norm
from looprate.theory.notation import Kind, check_delta, check_kind, check_p, check_size
from looprate.theory.targets.base import Target
from looprate.theory.targets.own import OwnFunction, is_torch, on_tensors, own_functions, the_torch

Trace = Callable[[float], None]
FEASIBLE_RTOL = 1e-12
SMALLEST = float(np.finfo(np.float64).tiny)  # a smaller radius has no direction to move in
REACHED = 1 - 1e-9
LARGEST = 1024  # entries of an input: the search's work grows like their square
FEW = 512  # entries of a batch that NumPy is faster on than torch


@dataclass(frozen=True, eq=False)
class ModulusLowerBound:
    """A lower bound of a modulus and the pair that attains it.

    Attributes
    ----------
    kind : {"sequence", "token", "contextual"}
    delta : float
        Radius in the Frobenius norm.
    value : float
        ‖f(x) - f(y)‖_p (of one output token for the last two kinds), float64.
    x, y : arrays of shape (N, d)
        In [0,1]^{N x d} with ‖x - y‖_2 <= delta (1 + 1e-12).
    p : float
    row : int or None
        The output token that is watched; None for the sequence modulus.
    """

    kind: Kind
    delta: float
    value: float
    x: Array
    y: Array
    p: float
    row: int | None = None


@dataclass(frozen=True, eq=False)
class ModulusLowerCurve:
    """Lower bounds of one modulus at several radii, in the order they were asked for.

    Attributes
    ----------
    kind, p
        As in :class:`ModulusLowerBound`.
    delta : array of shape (L,)
    lower : array of shape (L,)
        ``direct`` strengthened by monotonicity and subadditivity.
    direct : array of shape (L,)
        Value of the pair found at that radius.
    pairs : tuple of ModulusLowerBound
        One per radius, with value ``direct``.
    rules : tuple of {"pair", "monotone", "subadditive"}
        How each entry of ``lower`` was obtained.
    sources : array of shape (L,)
        The radius whose pair each entry of ``lower`` rests on.
    """

    kind: Kind
    p: float
    delta: Array
    lower: Array
    direct: Array
    pairs: tuple[ModulusLowerBound, ...]
    rules: tuple[Rule, ...]
    sources: Array


# -- functions of every sort, seen as NumPy and as torch -----------------------------------------


@contextmanager
def _one_thread() -> Iterator[None]:
    """Run torch on one thread: batches here are too small for two."""
    torch = the_torch()
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _tensor_call(f: Callable[[Any], Any], like: Any) -> Callable[[Array], Any]:
    """Return f for NumPy input and output, called in torch without a gradient."""
    called = on_tensors(f, **like)
    return lambda x: called(x).double().cpu().numpy()


def _quicker(few: Callable[[Array], Any], many: Callable[[Array], Any]) -> Callable[[Array], Any]:
    """Return f called by NumPy on small batches and by torch on those of a search."""
    return lambda x: (few if x.size <= FEW else many)(x)


def _differentiable(f: Callable[[Any], Any], like: Any, shape: tuple[int, ...]) -> bool:
    """Tell whether f maps a tensor to a tensor that depends on it differentiably."""
    torch = the_torch()
    x = torch.full(shape, 0.4, requires_grad=True, **like)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.autograd.grad(f(x.clone()).sum(), x)  # fails where f wrote over what it needs
            return True
    except Exception:  # whatever a NumPy function raises on a tensor
        return False


def _on_numpy(f: Callable[[Any], Any], shape: tuple[int, ...]) -> bool:
    """Tell whether a plain callable takes NumPy arrays; a torch one fails on them."""
    if isinstance(f, Target):
        return True
    if is_torch(f, "nn.Module"):
        return False
    try:
        return isinstance(f(np.full(shape, 0.4)), np.ndarray)
    except (TypeError, AttributeError):
        return False


def _both_ways(
    f: Callable[[Any], Any], shape: tuple[int, ...]
) -> tuple[Callable[[Array], Any], Callable[[Any], Any] | None, dict[str, Any]]:
    """Return f on NumPy, f on tensors where differentiable, and how tensors are made.

    A torch module is copied to float64, so that values do not drown in rounding.
    """
    if not callable(f):
        raise TypeError(f"`f` must be callable on (B, N, d), got {type(f).__name__}")
    on_numpy = _on_numpy(f, shape)
    if isinstance(f, OwnFunction):
        f(np.full(shape, 0.4))  # the first call finds out what it can be called on
        if "torch" not in f.accepts:
            return f, None, {}
    torch = the_torch()
    like: dict[str, Any] = {"dtype": torch.float64}
    if is_torch(f, "nn.Module"):
        f = copy.deepcopy(f).double()  # type: ignore[attr-defined]
        f.requires_grad_(False)  # type: ignore[attr-defined]
        parts = [*f.parameters(), *f.buffers()]  # type: ignore[attr-defined]
        like["device"] = parts[0].device if parts else None
    gradient = f if is_equivariant(f) or _differentiable(f, like, shape) else None
    return (f if on_numpy else _tensor_call(f, like)), gradient, like


# -- lower bounds --------------------------------------------------------------------------------


def radii_of(delta: Any) -> tuple[Array, bool]:
    """Return the radii as an array (L,) and whether one number was given."""
    array = np.asarray(delta)
    if array.ndim == 0:
        return np.array([check_delta(delta)]), True
    if array.ndim != 1 or array.size == 0:
        raise ValueError(f"`delta` must be a number or have shape (L,), got {array.shape}")
    return np.array([check_delta(value) for value in array.tolist()]), False


def _rows(kind: Kind, tokens: int, equivariant: bool) -> list[int | None]:
    """Return the output tokens to watch; None stands for all of them together."""
    if kind == "sequence":
        return [None]
    return [0] if equivariant else list(range(tokens))


def _traced(values: Values, trace: Trace) -> Values:
    """Return ``values`` that also tell the largest of every batch."""

    def told(x: Array, y: Array) -> Array:
        found = values(x, y)
        trace(float(found.max()))
        return found

    return told


def _nearer(x: Array, y: Array, delta: float) -> Array:
    """Return y, moved towards x where rounding took the pair beyond delta."""
    length = float(p_norm(x - y, 2.0))
    if length <= delta * (1 + FEASIBLE_RTOL):
        return y
    nearer = np.asarray(np.clip(x + (y - x) * (delta / length) * (1 - 1e-9), 0, 1))
    return nearer if float(p_norm(x - nearer, 2.0)) <= delta * (1 + FEASIBLE_RTOL) else x


def is_equivariant(f: object) -> bool:
    """Tell whether f is known to be equivariant: a target whose own functions are."""
    return isinstance(f, Target) and all(own.equivariant for own in own_functions(f))


@overload
def modulus_lower_bound(
    f: Callable[[Any], Any],
    delta: float,
    *,
    kind: Kind,
    tokens: int,
    dim: int,
    p: float = ...,
    rng: np.random.Generator | None = ...,
    effort: float = ...,
    equivariant: bool | None = ...,
    enough: Array | None = ...,
    trace: Trace | None = ...,
) -> ModulusLowerBound: ...


@overload
def modulus_lower_bound(
    f: Callable[[Any], Any],
    delta: NDArray[Any] | list[float] | tuple[float, ...],
    *,
    kind: Kind,
    tokens: int,
    dim: int,
    p: float = ...,
    rng: np.random.Generator | None = ...,
    effort: float = ...,
    equivariant: bool | None = ...,
    enough: Array | None = ...,
) -> ModulusLowerCurve: ...


@np.errstate(over="ignore", invalid="ignore")  # differences of huge values are infinite
def modulus_lower_bound(
    f: Callable[[Any], Any],
    delta: Any,
    *,
    kind: Kind,
    tokens: int,
    dim: int,
    p: float = 2.0,
    rng: np.random.Generator | None = None,
    effort: float = 1.0,
    equivariant: bool | None = None,
    enough: Array | None = None,
    trace: Trace | None = None,
) -> ModulusLowerBound | ModulusLowerCurve:
    """Return a lower bound of a modulus of continuity, with the pair that attains it.

    Parameters
    ----------
    f : callable
        (B, N, d) to (B, N, d): a target, a torch module, a torch or a NumPy function.  With a
        gradient the search ascends along it, otherwise it is a pattern search.
    delta : float or array of shape (L,)
        Radii, Frobenius norm on [0,1]^{N x d}, >= 0.  All radii of an array are searched at once;
        below the smallest normal float64 the bound is 0.
    kind : {"sequence", "token", "contextual"}
        Which modulus; the last two watch one output token.
    tokens, dim : int
        N and d.
    p : float
        Exponent of the entrywise output norm, 1 <= p <= inf.
    rng : numpy.random.Generator, optional
        Default ``np.random.default_rng(0)``: results are reproducible.
    effort : float
        Scales the amount of work (starts and iterations), not seconds; > 0.
    equivariant : bool, optional
        True watches output token 0 only, enough for equivariant f; False watches each in turn.
        Default: True for the built-in targets, else False.
    enough : array of shape (L,), optional
        Values of a target that are known to be the largest: where structured pairs reach them, up
        to 1e-9 of them, nothing else is tried, and torch not imported.
    trace : callable, optional
        Called with the largest value of every batch of pairs that is tried, for one radius only:
        each is a lower bound, so its clock tells how fast the search gets where.

    Returns
    -------
    ModulusLowerBound or ModulusLowerCurve
        A curve where ``delta`` is an array; its values are strengthened by monotonicity and
        subadditivity.

    Raises
    ------
    TypeError
        If ``f`` is not callable or an argument has the wrong type.
    ValueError
        If an argument is out of range, or f returns another shape, NaN or inf.
    """
    kind, p = check_kind(kind), check_p(p)
    tokens, dim = check_size(tokens, dim, most=LARGEST)
    radii, single = radii_of(delta)
    if not math.isfinite(effort) or effort <= 0:
        raise ValueError(f"`effort` (amount of work) must be finite and > 0, got {effort:g}")
    if trace is not None and not single:
        raise ValueError(f"`trace` needs `delta` as one number, got shape {radii.shape}")
    rng = np.random.default_rng(0) if rng is None else rng
    known = is_equivariant(f) if equivariant is None else equivariant
    rows = _rows(kind, tokens, known)
    if enough is not None and isinstance(f, Target):
        easy = _structured(f, radii, kind, rows, tokens, dim, p)
        if all(bound.value >= value * REACHED for bound, value in zip(easy, enough, strict=True)):
            return easy[0] if single else _curve(radii, easy)
    call, gradient, like = _both_ways(f, (2, tokens, dim))
    checked_output(call(np.full((2, tokens, dim), 0.4)), (2, tokens, dim))
    plain = call if gradient is None else _quicker(call, _tensor_call(gradient, like))
    best = _nothing(radii, kind, tokens, dim, p)
    positive = np.flatnonzero(radii >= SMALLEST)
    for row, moving in _moved(kind, rows, tokens, positive):
        values = objective(call, p, row)
        # the value reported is that of ``call``
        quick = values if gradient is None else objective(plain, p, row)
        quick = quick if trace is None else _traced(quick, trace)
        ascend = None
        if gradient is not None:
            ascend = gradient_ascent(gradient, like, p, row, moving, trace)
        outputs = watched_outputs(plain, row)
        problem = Problem(quick, ascend, moving, dim, radii[positive], outputs, p)
        work = Effort().scaled(effort)
        with nullcontext() if ascend is None else _one_thread():
            x, y = search_pairs(problem, work, rng)
        _improve(best, positive, values, x, y, row)
    return best[0] if single else _curve(radii, best)


def _structured(
    f: Target, radii: Array, kind: Kind, rows: list[int | None], tokens: int, dim: int, p: float
) -> list[ModulusLowerBound]:
    """Return the bounds of structured pairs alone, by NumPy alone."""
    best = _nothing(radii, kind, tokens, dim, p)
    positive = np.flatnonzero(radii >= SMALLEST)
    for row, moving in _moved(kind, rows, tokens, positive):
        values = objective(f, p, row)
        watched = watched_outputs(f, row)
        problem = Problem(values, None, moving, dim, radii[positive], watched, p)
        _improve(best, positive, values, *structured_pairs(problem), row)
    return best


def _moved(
    kind: Kind, rows: list[int | None], tokens: int, positive: NDArray[np.intp]
) -> Iterator[tuple[int | None, NDArray[np.bool_]]]:
    """Yield every row watched and the tokens that may move, where there are any to move."""
    for row in rows:
        moving = moving_tokens(kind, tokens, row or 0)
        if moving.any() and positive.size:
            yield row, moving


def _nothing(radii: Array, kind: Kind, tokens: int, dim: int, p: float) -> list[ModulusLowerBound]:
    """Return bounds of 0, one a radius."""
    middle, row = np.full((tokens, dim), 0.5), None if kind == "sequence" else 0
    return [ModulusLowerBound(kind, r, 0.0, middle, middle, p, row) for r in radii.tolist()]


def _improve(
    best: list[ModulusLowerBound],
    which: NDArray[np.intp],
    values: Values,
    x: Array,
    y: Array,
    row: int | None,
) -> None:
    """Put the pairs found for some radii in place of what is known, where they are better."""
    radii = [best[k].delta for k in which]
    y = np.stack([_nearer(a, b, radius) for a, b, radius in zip(x, y, radii, strict=True)])
    for k, value, left, right in zip(which, values(x, y).tolist(), x, y, strict=True):
        if value > best[k].value:
            best[k] = replace(best[k], value=value, x=left, y=right, row=row)


def _curve(radii: Array, best: list[ModulusLowerBound]) -> ModulusLowerCurve:
    """Return bounds as a curve, each strengthened by the others."""
    kind, p = best[0].kind, best[0].p
    direct = np.array([bound.value for bound in best])
    lower, rules, sources = strengthened_lower_bounds(radii, direct)
    return ModulusLowerCurve(kind, p, radii, lower, direct, tuple(best), rules, sources)
