"""A looped Transformer with named rows and integer weights: what the compiler makes.

One loop of the block on the residual stream X, one column of named rows per token:

    X <- X + Attn(X)                                  heads of size 1, hardmax
    X <- X + eta(t) * FF(X),   FF(X) = W_2 relu(W_1 X + b_1) + b_2     token by token

A head gives token n the score (q·X_n)(k·X_m) for every token m and returns the mean of v·X_m over
the tokens of the largest score (hardmax: ties share the weight), times its output vector.
eta(t) is 1 on every row that has no schedule; a row with a schedule takes its entry t and 0 after
the last, so that further loops add nothing.  The whole network is L2 ∘ block^r ∘ L1 with affine,
token-wise L1 and L2.

Weights are Python integers of any size and sparse: a form is a mapping from row to weight.
:meth:`Block.matrices` gives the dense matrices of the paper.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any, TypeAlias

from looprate.theory.notation import check_loops

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Form", "Network", "Unit"]

Form = Mapping[str, int]
"""A linear form in the rows: row -> weight; rows left out have weight 0."""

Decoder: TypeAlias = "tuple[tuple[Mapping[str, Fraction], Fraction], ...]"
"""L2: the weights and the bias of each output coordinate."""


@dataclass(frozen=True)
class Head:
    """One attention head of size 1: scores (query·X_n)(key·X_m), hardmax, mean of value·X_m."""

    query: Form
    key: Form
    value: Form
    output: Form


@dataclass(frozen=True)
class Unit:
    """One hidden unit: adds ``writes`` times relu(``reads``·X_n + ``bias``) to the rows."""

    name: str
    reads: Form
    bias: int
    writes: Form


@dataclass(frozen=True)
class Affine:
    """One row of L1: ``weights`` (coordinate -> weight) times the token, plus ``bias``."""

    weights: Mapping[int, int] = field(default_factory=dict)
    bias: int = 0


@dataclass(frozen=True)
class Block:
    """One Transformer block.

    Attributes
    ----------
    rows : tuple of str
        Names of the rows of the residual stream, in order.
    heads : tuple of Head
    units : tuple of Unit
    drift : mapping of row to int
        Output bias b_2, added to its rows every loop (times eta).

    Raises
    ------
    ValueError
        If a name repeats or a form names a row that does not exist.
    """

    rows: tuple[str, ...]
    heads: tuple[Head, ...]
    units: tuple[Unit, ...]
    drift: Form

    def __post_init__(self) -> None:
        for names, what in ((self.rows, "rows"), ([u.name for u in self.units], "units")):
            if len(set(names)) != len(names):
                raise ValueError(f"`{what}` must not repeat a name, got {list(names)}")
        forms = [self.drift]
        forms += [form for h in self.heads for form in (h.query, h.key, h.value, h.output)]
        forms += [form for unit in self.units for form in (unit.reads, unit.writes)]
        _check_rows(self.rows, *forms)

    @property
    def width(self) -> int:
        """Hidden units of the feed-forward layer."""
        return len(self.units)

    def matrices(self) -> dict[str, NDArray[Any]]:
        """Return W_Q, W_K, W_V (heads, D), W_O (D, heads), W_1 (width, D), b_1, W_2 (D, width),
        b_2 as arrays of Python integers, D = number of rows."""
        import numpy as np

        heads, units = self.heads, self.units
        return {
            "W_Q": self._stack([head.query for head in heads]),
            "W_K": self._stack([head.key for head in heads]),
            "W_V": self._stack([head.value for head in heads]),
            "W_O": self._stack([head.output for head in heads]).T,
            "W_1": self._stack([unit.reads for unit in units]),
            "b_1": np.array([unit.bias for unit in units], dtype=object),
            "W_2": self._stack([unit.writes for unit in units]).T,
            "b_2": self._stack([self.drift])[0],
        }

    def _stack(self, forms: list[Form]) -> NDArray[Any]:
        """Forms as the rows of a dense matrix."""
        import numpy as np  # late: commands read the names of memorisers before they need numbers

        dense = np.zeros((len(forms), len(self.rows)), dtype=object)
        for place, form in enumerate(forms):
            for row, weight in form.items():
                dense[place, self.rows.index(row)] = weight
        return dense


@dataclass(frozen=True)
class Network:
    """L2 ∘ block^loops ∘ L1.

    Attributes
    ----------
    block : Block
    encoder : mapping of row to Affine
        L1: the initial rows of a token with coordinates x; rows left out start at 0.
    decoder : tuple of (mapping of row to Fraction, Fraction)
        L2: weights and bias of each of the d output coordinates.
    eta : mapping of row to tuple of int
        Timestep modulation of the rows that have one; empty for a plain looped Transformer.
    loops : int
        r, the loops the network is meant for.
    """

    block: Block
    encoder: Mapping[str, Affine]
    decoder: Decoder
    eta: Mapping[str, tuple[int, ...]]
    loops: int

    def __post_init__(self) -> None:
        check_loops(self.loops)
        _check_rows(self.block.rows, self.encoder, self.eta, *(form for form, _ in self.decoder))

    @property
    def dim(self) -> int:
        """d, coordinates per token."""
        return len(self.decoder)

    def eta_at(self, row: str, loop: int) -> int:
        """Return eta of a row at loop t = 0, 1, ..."""
        schedule = self.eta.get(row)
        if schedule is None:
            return 1
        return schedule[loop] if loop < len(schedule) else 0

    def weight_bits(self) -> int:
        """Return the bits of the largest integer weight, L1 and eta included."""
        dense = self.block.matrices().values()
        weights = [abs(w) for array in dense for w in array.ravel().tolist()]
        for affine in self.encoder.values():
            weights += [abs(affine.bias), *map(abs, affine.weights.values())]
        weights += [abs(w) for schedule in self.eta.values() for w in schedule]
        return max(weights, default=0).bit_length()


def _check_rows(rows: tuple[str, ...], *forms: Mapping[str, Any]) -> None:
    """Raise unless every form names existing rows only."""
    unknown = {row for form in forms for row in form} - set(rows)
    if unknown:
        raise ValueError(
            f"forms must name rows of the block, got {sorted(unknown)}; rows are {list(rows)}"
        )
