"""Three questions answered by many starts of one small block: what is swept for each.

best: which eta(t) lowers the best found error, and does its gain grow with r?  loops: what do more
loops at test time do, and loops drawn in training?  bits: what does rounding the state do, during
training and after?
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from itertools import product
from typing import Any, Literal, NamedTuple

from looprate.approx.fit.training import LAWS, Law
from looprate.approx.models.looped import ModelConfig
from looprate.experiments.eta.arms import ARMS, Arm
from looprate.experiments.eta.config import DialPoint
from looprate.theory.notation import check_choice, check_loops

__all__ = ["STARTS"]

LEAST_STARTS = 2


class Cell(NamedTuple):
    """One bank of starts."""

    dial: DialPoint
    loops: int
    arm: Arm
    law: Law
    bits: int


@dataclass(frozen=True)
class StartsConfig:
    """A sweep of banks of starts.

    Parameters
    ----------
    question : {"best", "loops", "bits"}
    dials : tuple of DialPoint
        Targets, in the order in which they run.
    loops : tuple of int
        r of training.
    arms : tuple of str
        See :mod:`looprate.experiments.eta.arms`.
    seeds : int
        Starts of a cell; they take the learning rates in turn, the same in every cell.
    learning_rates : tuple of float
    laws : tuple of str
        Of the loops of a training step, see :func:`looprate.approx.fit.training.drawn_loops`.
    bits : tuple of int
        Significant bits of the state in training; 0 is none rounded.  Networks trained without
        rounding are tested at all of them.
    factors : tuple of float
        Loops at test time over r.
    tokens, dim, p
        N, d and the exponent of loss and error.
    width, heads, hidden, clock : int
        Of the block and of the network of t (as many frequencies).
    steps, batch : int
        Of training.
    points, replicates : int
        Of the held-out error.
    compiled, device
        As in :class:`looprate.experiments.study.config.StudyConfig`.
    """

    question: Literal["best", "loops", "bits"]
    dials: tuple[DialPoint, ...]
    loops: tuple[int, ...]
    arms: tuple[Arm, ...]
    seeds: int = 48
    learning_rates: tuple[float, ...] = (1e-2, 2.5e-2)
    laws: tuple[Law, ...] = ("fixed",)
    bits: tuple[int, ...] = (0,)
    factors: tuple[float, ...] = (1.0,)
    tokens: int = 2
    dim: int = 1
    p: float = 1.0
    width: int = 8
    heads: int = 1
    hidden: int = 16
    clock: int = 4
    steps: int = 2000
    batch: int = 32
    points: int = 1024
    replicates: int = 4
    compiled: bool = True
    device: str = "cpu"

    def __post_init__(self) -> None:
        for name in ("dials", "loops", "arms", "learning_rates", "laws", "bits", "factors"):
            values = getattr(self, name)
            if not values or len(set(values)) != len(values):
                raise ValueError(f"`{name}` must hold distinct values, got {list(values)}")
        for loops in self.loops:
            check_loops(loops)
        for arm in self.arms:
            check_choice(arm, "arms", ARMS)
        for law in self.laws:
            check_choice(law, "laws", LAWS)
        if self.seeds < LEAST_STARTS:
            raise ValueError(f"`seeds` must be an integer >= {LEAST_STARTS}, got {self.seeds}")
        if "table" in self.arms and (self.laws != ("fixed",) or self.factors != (1.0,)):
            raise ValueError(
                "`arms` must not hold table where other loop counts are run, got "
                f"{list(self.arms)}: a free table has no rows for them"
            )

    def cells(self) -> Iterator[Cell]:
        """Return every bank of starts, target by target."""
        for each in product(self.dials, self.loops, self.arms, self.laws, self.bits):
            yield Cell(*each)

    def block(self) -> ModelConfig:
        """Return the block, as a TMLT with the paper's network of t."""
        shape = {name: getattr(self, name) for name in ("dim", "width", "heads", "hidden", "clock")}
        return ModelConfig(**shape, frequencies=self.clock)

    def tests(self, cell: Cell) -> list[tuple[int, int]]:
        """Return the loops and bits with which a cell's networks are tested."""
        loops = sorted({max(1, round(factor * cell.loops)) for factor in self.factors})
        return list(product(loops, (cell.bits,) if cell.bits else self.bits))

    def as_dict(self) -> dict[str, Any]:
        """Return a JSON-ready dictionary."""
        return asdict(self)


ROUGH, SMOOTH = "periods=4", "periods=2"
BEST = StartsConfig(
    question="best",
    dials=(
        DialPoint(ROUGH, 0.5),
        DialPoint(SMOOTH, 0.5),
        DialPoint(ROUGH, 0.0),
        DialPoint(SMOOTH, 1.0),
        DialPoint(SMOOTH, 0.0),
        DialPoint(ROUGH, 1.0),
    ),
    loops=(2, 4, 8, 16, 32),
    arms=ARMS,
)
LOOPS = replace(
    BEST,
    question="loops",
    dials=(DialPoint(ROUGH, 0.5), DialPoint(SMOOTH, 0.5)),
    loops=(4, 8),
    arms=("lt", "silu"),
    laws=LAWS,
    factors=(0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 3.0, 4.0),
    steps=3000,
)
BITS = replace(
    BEST,
    question="bits",
    dials=(DialPoint(SMOOTH, 0.5),),
    loops=(2, 4, 8, 16),
    arms=("lt", "silu"),
    bits=(0, 8, 6, 4),
    steps=1000,
)
STARTS: dict[str, StartsConfig] = {"best": BEST, "loops": LOOPS, "bits": BITS}
