"""What a target is: a callable on batches that also knows what is proven about its moduli.

The same code runs on NumPy arrays and torch tensors; torch is never imported here, it is taken from
``sys.modules`` when a tensor arrives.
"""

from __future__ import annotations

import math
import sys
from abc import ABC, abstractmethod
from dataclasses import dataclass
from numbers import Real
from typing import Any, ClassVar, Literal, final

import numpy as np

from looprate.theory.notation import Kind, check_delta, check_dim, check_kind, check_p, check_tokens
from looprate.theory.targets.parameters import (
    checked_parameter,
    format_number,
    latex_factor,
    target_fields,
)

__all__ = ["ClosedForm", "Scaled", "Sum", "Target", "namespace"]

Side = Literal["exact", "upper"]


@dataclass(frozen=True)
class ClosedForm:
    """A proven value of a modulus at one radius, and which side of the modulus it is on.

    Attributes
    ----------
    value : float
        The modulus itself (``side="exact"``) or a proven upper bound (``side="upper"``).
    side : {"exact", "upper"}
    note : str
        Why, in a few words.
    """

    value: float
    side: Side
    note: str

    def times(self, factor: float) -> ClosedForm:
        """Return the closed form of ``factor`` times the function; a factor 0 is exact."""
        if factor == 0:
            return ClosedForm(0.0, "exact", "no dependence")
        return ClosedForm(abs(factor) * self.value, self.side, self.note)


@dataclass(frozen=True)
class Smoothness:
    """The exponent s in modulus(t) = O(t^s) as t -> 0, and the class it belongs to."""

    exponent: float
    kind: Literal["Lipschitz", "Hölder"]
    note: str = ""


LIPSCHITZ = Smoothness(1.0, "Lipschitz", "bounded slope")


def namespace(x: Any) -> Any:
    """Return the module whose functions fit ``x``: NumPy, or the torch that made the tensor.

    Arrays of a type of their own, such as enclosures, name theirs ``__looprate_namespace__``.

    Raises
    ------
    TypeError
        If ``x`` is none of these.
    """
    if isinstance(x, np.ndarray):
        return np
    own = getattr(type(x), "__looprate_namespace__", None)
    if own is not None:
        return own
    if type(x).__module__.split(".")[0] == "torch":
        return sys.modules["torch"]
    raise TypeError(
        "`x` must be a NumPy array or a torch tensor of shape (B, N, d), "
        f"got {type(x).__name__}; take numpy.asarray(x, dtype=float)"
    )


def check_batch(x: Any) -> Any:
    """Return the namespace of ``x``; raise unless it is a floating batch (B, N, d)."""
    xp = namespace(x)
    if x.ndim != 3 or x.shape[1] < 1 or x.shape[2] < 1:
        raise ValueError(
            f"`x` must have shape (B, N, d), got {tuple(x.shape)}; a single input is x[None]"
        )
    floating = np.issubdtype(x.dtype, np.floating) if xp is np else x.is_floating_point()
    if not floating:
        raise TypeError(f"`x` must hold floating point numbers, got {x.dtype}")
    return xp


def entry_count(kind: Kind, tokens: int, dim: int) -> int:
    """Return how many output entries the norm of a modulus runs over: N·d, or d for one token."""
    return tokens * dim if kind == "sequence" else dim


@dataclass(frozen=True)
class Target(ABC):
    """A permutation-equivariant function on [0,1]^{N x d}, tokens as rows.

    Call it on a batch of shape (B, N, d), NumPy or torch; the result has the same shape, dtype and
    device, and in torch is differentiable.  A subclass gives the formula and what is proven of it.
    """

    key: ClassVar[str] = ""
    summary: ClassVar[str] = ""

    def __post_init__(self) -> None:
        """Check every parameter and store it as a float or an int."""
        for f in target_fields(self):
            value = getattr(self, f.name)
            if value is not None:
                object.__setattr__(self, f.name, checked_parameter(value, f.name, f.metadata))
        self._settle()

    def _settle(self) -> None:  # noqa: B027  (a hook: most targets have nothing to settle)
        """Check parameters against one another."""

    @abstractmethod
    def _evaluate(self, x: Any, xp: Any) -> Any:
        """Return f(x) for a checked batch; ``xp`` is its namespace."""

    @abstractmethod
    def _closed_form(
        self, delta: float, kind: Kind, tokens: int, dim: int, p: float
    ) -> ClosedForm | None:
        """Return the proven modulus for delta > 0; contextual only with tokens >= 2."""

    @abstractmethod
    def _oscillation(self, tokens: int, dim: int) -> float | None:
        """Return a bound of sup - inf of every output entry."""

    @property
    @abstractmethod
    def smoothness(self) -> Smoothness:
        """The exponent s of all three moduli, O(t^s) as t -> 0."""

    @property
    @abstractmethod
    def latex(self) -> str:
        """One LaTeX line that defines f(X)_n."""

    @final
    def __call__(self, x: Any) -> Any:
        """Return f(x), shape (B, N, d) like ``x``.

        Parameters
        ----------
        x : array or tensor of shape (B, N, d)
            Floating point, NumPy or torch.

        Raises
        ------
        TypeError
            If ``x`` is no array or tensor, or not floating.
        ValueError
            If ``x`` does not have three axes.
        """
        return self._evaluate(x, check_batch(x))

    @final
    def closed_form(
        self, delta: float, *, kind: Kind, tokens: int, dim: int, p: float
    ) -> ClosedForm | None:
        """Return what is proven about a modulus of continuity at one radius.

        Parameters
        ----------
        delta : float
            Radius in the Frobenius norm on [0,1]^{N x d}, >= 0.
        kind : {"sequence", "token", "contextual"}
            Which modulus.  The last two look at one output token, the worst one.
        tokens, dim : int
            N and d.
        p : float
            Exponent of the entrywise output norm, 1 <= p <= inf.

        Returns
        -------
        ClosedForm or None
            None where nothing is proven (own functions).

        Raises
        ------
        TypeError, ValueError
            If an argument is out of range.
        """
        radius, kind, p = check_delta(delta), check_kind(kind), check_p(p)
        tokens, dim = check_tokens(tokens), check_dim(dim)
        if kind == "contextual" and tokens == 1:
            return ClosedForm(0.0, "exact", "one token has no context")
        if kind == "token" and tokens == 1:
            kind = "sequence"
        if radius == 0:
            return ClosedForm(0.0, "exact", "radius 0")
        found = self._closed_form(radius, kind, tokens, dim, p)
        span = self._oscillation(tokens, dim)
        if found is None or found.side == "exact" or span is None:
            return found
        trivial = float(entry_count(kind, tokens, dim) ** (1 / p) * span)
        if trivial < found.value:
            return ClosedForm(trivial, "upper", "oscillation of the entries")
        return found

    @final
    def oscillation(self, *, tokens: int, dim: int) -> float | None:
        """Return a proven upper bound of sup - inf over the cube of every output entry.

        None where nothing is proven (own functions).

        Raises
        ------
        TypeError, ValueError
            If ``tokens`` or ``dim`` is no integer >= 1.
        """
        return self._oscillation(check_tokens(tokens), check_dim(dim))

    @property
    def name(self) -> str:
        """The canonical text, such as ``token-sine:periods=2,scale=1``; parses back to self."""
        values = [(f.name, getattr(self, f.name)) for f in target_fields(self)]
        given = [f"{key}={format_number(value)}" for key, value in values if value is not None]
        return f"{self.key}:{','.join(given)}" if given else self.key

    def __str__(self) -> str:
        return self.name

    @final
    def __add__(self, other: object) -> Target:
        if not isinstance(other, Target):
            return NotImplemented
        return Sum(_terms(self) + _terms(other))

    @final
    def __mul__(self, factor: object) -> Target:
        if isinstance(factor, bool) or not isinstance(factor, Real):
            return NotImplemented
        return _scaled(float(factor), self)

    __rmul__ = __mul__


def _terms(target: Target) -> tuple[Target, ...]:
    """Return the terms of a sum, or the target as its only term."""
    return target.terms if isinstance(target, Sum) else (target,)


def _scaled(factor: float, target: Target) -> Target:
    """Return factor * target with sums and scales flattened, so that names stay one line."""
    if not math.isfinite(factor):
        raise ValueError(f"`factor` of a target must be finite, got {factor:g}")
    if isinstance(target, Sum):
        return Sum(tuple(_scaled(factor, term) for term in target.terms))
    if isinstance(target, Scaled):
        return Scaled(factor * target.factor, target.inner)
    return Scaled(factor, target)


@final
@dataclass(frozen=True)
class Scaled(Target):
    """factor * inner: every modulus is |factor| times that of ``inner``."""

    factor: float
    inner: Target

    def _evaluate(self, x: Any, xp: Any) -> Any:
        return self.factor * self.inner(x)

    def _closed_form(
        self, delta: float, kind: Kind, tokens: int, dim: int, p: float
    ) -> ClosedForm | None:
        found = self.inner.closed_form(delta, kind=kind, tokens=tokens, dim=dim, p=p)
        return None if found is None else found.times(self.factor)

    def _oscillation(self, tokens: int, dim: int) -> float | None:
        span = self.inner.oscillation(tokens=tokens, dim=dim)
        return None if span is None else abs(self.factor) * span

    @property
    def smoothness(self) -> Smoothness:
        return self.inner.smoothness

    @property
    def latex(self) -> str:
        body = self.inner.latex.partition("=")[2].strip()
        return rf"f(X)_n = {latex_factor(self.factor)}\left({body}\right)"

    @property
    def name(self) -> str:
        return f"{format_number(self.factor)}*{self.inner.name}"


@final
@dataclass(frozen=True)
class Sum(Target):
    """The sum of two or more targets: moduli and oscillations at most add."""

    terms: tuple[Target, ...]

    def _evaluate(self, x: Any, xp: Any) -> Any:
        first, *rest = self.terms
        total = first(x)
        for term in rest:
            total = total + term(x)
        return total

    def _closed_form(
        self, delta: float, kind: Kind, tokens: int, dim: int, p: float
    ) -> ClosedForm | None:
        parts = [t.closed_form(delta, kind=kind, tokens=tokens, dim=dim, p=p) for t in self.terms]
        known = [part for part in parts if part is not None]
        if len(known) < len(parts):
            return None
        moving = [part for part in known if part.value > 0]
        if len(moving) <= 1:
            return moving[0] if moving else ClosedForm(0.0, "exact", "all terms vanish")
        return ClosedForm(sum(part.value for part in moving), "upper", "triangle inequality")

    def _oscillation(self, tokens: int, dim: int) -> float | None:
        spans = [term.oscillation(tokens=tokens, dim=dim) for term in self.terms]
        known = [span for span in spans if span is not None]
        return sum(known) if len(known) == len(spans) else None

    @property
    def smoothness(self) -> Smoothness:
        return min((term.smoothness for term in self.terms), key=lambda s: s.exponent)

    @property
    def latex(self) -> str:
        bodies = [term.latex.partition("=")[2].strip() for term in self.terms]
        return "f(X)_n = " + " + ".join(rf"\left({body}\right)" for body in bodies)

    @property
    def name(self) -> str:
        return " + ".join(term.name for term in self.terms)
