"""The notation of the whole project, said once, and the checks of its arguments.

Symbols
-------
B        batch size
N        ``tokens``, the sequence length
d        ``dim``, coordinates per token
D        ``width``, the model width of a network
r        ``loops``, how often the one block is applied
delta    a radius in the input: Euclidean (Frobenius) distance on [0,1]^{N x d}
δ        the cell width of the construction, a function of (r, N, d)
p        exponent of the output norm: entrywise p-norm, 1 <= p <= inf
kind     which modulus: ``"sequence"`` w, ``"token"`` w_tok, ``"contextual"`` w_cont

A batch of inputs or outputs always has shape (B, N, d): tokens are rows.  Inputs live in the cube
[0,1]^{N x d}.  Every error is an L^p norm over that cube of the entrywise p-norm.
Theorem numbers are those of Xu & Sato, arXiv 2410.01405v7.
"""

from __future__ import annotations

import math
from typing import Literal, TypeVar, get_args

__all__ = [
    "KINDS",
    "Kind",
    "check_choice",
    "check_delta",
    "check_dim",
    "check_kind",
    "check_loops",
    "check_p",
    "check_size",
    "check_tokens",
    "positive_int",
]

Kind = Literal["sequence", "token", "contextual"]
MOST_ENTRIES = 21201  # the coordinates that a Sobol sequence of the cube can have
KINDS: tuple[Kind, ...] = get_args(Kind)
T = TypeVar("T", bound=str)


def positive_int(value: object, name: str, meaning: str) -> int:
    """Return ``value`` as an int >= 1 or raise an error that names the argument."""
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"`{name}` ({meaning}) must be an integer >= 1, got {value!r}")
    number = int(value.__index__())
    if number < 1:
        raise ValueError(f"`{name}` ({meaning}) must be an integer >= 1, got {number}")
    return number


def check_tokens(tokens: object) -> int:
    """Return N, the sequence length, as an int; raise unless it is an integer >= 1."""
    return positive_int(tokens, "tokens", "sequence length N")


def check_dim(dim: object) -> int:
    """Return d, the coordinates per token, as an int; raise unless it is an integer >= 1."""
    return positive_int(dim, "dim", "coordinates per token d")


def check_size(tokens: object, dim: object, *, most: int = MOST_ENTRIES) -> tuple[int, int]:
    """Return N and d; raise, before any work, if N·d entries are more than ``most``."""
    n, d = check_tokens(tokens), check_dim(dim)
    if n * d > most:
        raise ValueError(
            f"`tokens` times `dim` must be at most {most} here, got {n} * {d} = {n * d}; take "
            "fewer tokens"
        )
    return n, d


def check_loops(loops: object, *, tokens: int | None = None) -> int:
    """Return r as an int; raise unless r >= 1, and r > N where ``tokens`` is given.

    Theorem 3.6 (v7) is stated for r > N only.
    """
    number = positive_int(loops, "loops", "loop count r")
    if tokens is not None and number <= tokens:
        raise ValueError(
            f"`loops` must exceed tokens={tokens} for Theorem 3.6 to apply, got {number}; "
            f"take loops >= {tokens + 1}"
        )
    return number


def check_p(p: object) -> float:
    """Return p as a float; raise unless 1 <= p <= inf."""
    try:
        number = float(p)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise TypeError(
            f"`p` (exponent of the norm) must be a number >= 1 or inf, got {p!r}"
        ) from None
    if math.isnan(number) or number < 1:
        raise ValueError(f"`p` (exponent of the norm) must be >= 1 or inf, got {number:g}")
    return number


def check_delta(delta: object) -> float:
    """Return a radius as a float; raise unless it is finite and >= 0."""
    try:
        number = float(delta)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise TypeError(f"`delta` (a radius) must be a number >= 0, got {delta!r}") from None
    if not math.isfinite(number) or number < 0:
        raise ValueError(f"`delta` (a radius) must be finite and >= 0, got {number:g}")
    return number


def check_kind(kind: object) -> Kind:
    """Return the modulus kind; raise unless it is one of :data:`KINDS`."""
    if kind not in KINDS:
        raise ValueError(f"`kind` must be one of {', '.join(KINDS)}, got {kind!r}")
    return kind


def check_choice(value: T, name: str, choices: tuple[T, ...]) -> T:
    """Return ``value``; raise unless it is one of ``choices``."""
    if value not in choices:
        raise ValueError(f"`{name}` must be one of {', '.join(choices)}, got {value!r}")
    return value
