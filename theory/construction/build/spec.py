"""What a construction is built for: shape, grid, memoriser and coding, and when each stage runs.

Loops are numbered t = 0, 1, ...  Quantising takes loops 0..m-2, or the first ceil(log2 m) where it
is done bit by bit, the contextual mapping the N loops from ``context_start`` on, the value mapping
the rest from ``values_start`` on.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from looprate.theory.bounds import loop_counts
from looprate.theory.bounds.loop_counts import CODINGS, Coding
from looprate.theory.construction.memorisers import memoriser_kind
from looprate.theory.notation import check_choice, check_size

__all__ = ["SHARPNESS", "ConstructionSpec", "stage_of"]

MOST_SHARP = 2**62  # runs are exact in 64 bits
SHARPNESS = 2**30  # strips of 1e-9 of a cell: they vanish beside every other term


@dataclass(frozen=True)
class ConstructionSpec:
    """Shape and choices of one construction; everything else follows.

    Attributes
    ----------
    tokens, dim : int
        Sequence length N and coordinates per token d.
    grid : int
        Cells a side, m = 1/δ; m^d must be at least N, except on the others code.
    memoriser : str
        One of :data:`looprate.theory.construction.memorisers.MEMORISERS`.
    coding : {"sum", "rank", "others"}
    bits : int, optional
        Digits per label q, required where the memoriser takes them and refused otherwise.
    sharpness : int
        Mδ >= 2: cell width over the width of a transition strip, on the others code at least N, so
        that tokens of one cell can be told apart.  The quantiser's slope is
        M = ``sharpness`` * m.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range, there are fewer cells than tokens, or options do not fit.
    """

    tokens: int
    dim: int
    grid: int
    memoriser: str
    coding: Coding
    bits: int | None = None
    sharpness: int = SHARPNESS

    def __post_init__(self) -> None:
        check_size(self.tokens, self.dim)
        check_choice(self.coding, "coding", CODINGS)
        loop_counts.construction_loops(**self._shape, memoriser=self.memoriser, bits=self.bits)
        if isinstance(self.sharpness, bool) or not isinstance(self.sharpness, int):
            raise TypeError(f"`sharpness` (Mδ) must be an integer >= 2, got {self.sharpness!r}")
        if self.sharpness < 2:
            raise ValueError(f"`sharpness` (Mδ) must be an integer >= 2, got {self.sharpness}")
        if self.sharpness > MOST_SHARP:
            bits = self.sharpness.bit_length() - 1
            raise ValueError(
                f"`sharpness` (Mδ) must be at most 2^62, got about 2^{bits}; 2^30 is sharp enough"
            )
        if self.coding == "others" and self.sharpness < self.tokens:
            raise ValueError(
                f"`sharpness` (Mδ) must be at least tokens={self.tokens} on the others code, got "
                f"{self.sharpness}; 2^30 is sharp enough"
            )
        for name in ("tokens", "dim", "grid", "bits"):  # NumPy integers overflow in powers
            value = getattr(self, name)
            object.__setattr__(self, name, None if value is None else int(value))

    @property
    def _shape(self) -> dict[str, Any]:
        """Keywords of :mod:`looprate.theory.bounds.loop_counts` that every count takes."""
        return {
            "grid": self.grid,
            "tokens": self.tokens,
            "dim": self.dim,
            "coding": self.coding,
        }

    @property
    def cells(self) -> int:
        """U = m^d, cells of one token."""
        return int(self.grid**self.dim)

    @property
    def slope(self) -> int:
        """M, the slope of the quantiser; strips are 1/M wide."""
        return self.sharpness * self.grid

    @property
    def last_label(self) -> int:
        """L, the largest label in use; labels run from 0 to L."""
        return loop_counts.last_label(**self._shape)

    @property
    def loops(self) -> int:
        """r, the loops the network needs."""
        return loop_counts.construction_loops(
            **self._shape, memoriser=self.memoriser, bits=self.bits
        )

    @property
    def paper_loops(self) -> int:
        """The loops the printed Theorem 3.6 (v7) asks for at the same δ: N + 2 m^{(N+1)d+1}."""
        return loop_counts.printed_loops(self.grid, tokens=self.tokens, dim=self.dim)

    @property
    def context_start(self) -> int:
        """First loop of the contextual mapping: m - 1, or ceil(log2 m) bit by bit."""
        return loop_counts.quantise_loops(self.grid, memoriser=self.memoriser)

    @property
    def values_start(self) -> int:
        """First loop of the value mapping, N loops later."""
        return self.context_start + self.tokens

    @property
    def modulated(self) -> bool:
        """Whether the network has eta(t) (TMLT) or is a plain looped Transformer."""
        return memoriser_kind(self.memoriser).modulated

    @property
    def bitwise(self) -> bool:
        """Whether cells are found bit by bit or line by line."""
        return memoriser_kind(self.memoriser).bitwise

    def as_dict(self) -> dict[str, Any]:
        """Return a JSON-ready dictionary; ``ConstructionSpec(**d)`` is the inverse."""
        return asdict(self)


def stage_of(spec: ConstructionSpec, loop: int) -> str | None:
    """Return the stage that loop number ``loop`` (from 1) belongs to; 0 is the input, of none."""
    if loop == 0:
        return None
    if loop <= spec.context_start:
        return "quantise"
    return "context" if loop <= spec.values_start else "values"
