"""What ``looprate exponents`` measures: lines of constructed networks, certificates, few bits.

A line is one target, norm and construction over grids.  Its slope is read over all its grids, from
certified errors.  Lines of mean-field are Lipschitz, of token-power:alpha=0.5 Hölder-1/2.
The last two are of the older codes at p = 2: for N = 2 only one cell collides, for N = 3 all cells
that tokens share do, which halves the proven exponent.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from looprate.experiments.study.certificates import asked_spec
from looprate.experiments.study.config import PRESETS as STUDIES
from looprate.experiments.study.constructed_findings import expected_slope
from looprate.theory.bounds.loop_counts import CODINGS, Coding
from looprate.theory.construction.build.spec import ConstructionSpec
from looprate.theory.construction.memorisers import MEMORISERS

__all__ = ["PRESETS"]


@dataclass(frozen=True)
class Line:
    """Constructed networks of one kind over grids.

    Attributes
    ----------
    memoriser, coding, target : str
    holder : float
        s of the target.
    tokens : int
        N; d is 1.
    p : float
    grids : tuple of int
    """

    memoriser: str
    coding: Coding
    target: str
    holder: float
    tokens: int
    p: float
    grids: tuple[int, ...]

    @property
    def specs(self) -> list[ConstructionSpec]:
        """What is built, by grid."""
        how: dict[str, Any] = {"memoriser": self.memoriser, "coding": self.coding}
        return [asked_spec(tokens=self.tokens, dim=1, grid=m, **how) for m in self.grids]

    @property
    def exponents(self) -> dict[str, float]:
        """The slopes of both families on the others code, and the line's own."""
        shape: dict[str, Any] = {"tokens": self.tokens, "dim": 1, "holder": self.holder}
        best: dict[str, Any] = {**shape, "p": self.p, "coding": "others"}
        levels = MEMORISERS[self.memoriser].levels
        own = expected_slope(**{**best, "coding": self.coding}, levels=levels)
        return {
            "own": own,
            "lt": expected_slope(**best, levels=1),
            "tmlt": expected_slope(**best, levels=2),
        }


@dataclass(frozen=True)
class ExponentsConfig:
    """Lines and how near their slopes must be; certificates of a table; networks of few bits.

    Attributes
    ----------
    lines : tuple of Line
    tolerance : float
        Of a slope.
    targets : tuple of str
        Certified for every memoriser and coding, N = 2, d = 1.
    grid : int
        m of these.
    few_bits_target : str
        Of the networks that are run in numbers of few bits, N = 2, d = 1.
    few_bits_grid : int
        The largest m of these.
    """

    lines: tuple[Line, ...]
    tolerance: float
    targets: tuple[str, ...]
    grid: int
    few_bits_target: str
    few_bits_grid: int

    def as_dict(self) -> dict[str, Any]:
        """Return a JSON-ready dictionary; nothing is trained, so the device is the CPU."""
        return {**asdict(self), "device": "cpu"}

    @property
    def table_specs(self) -> list[ConstructionSpec]:
        """Every memoriser on every coding."""
        return [
            asked_spec(tokens=2, dim=1, grid=self.grid, memoriser=name, coding=coding)
            for name in MEMORISERS
            for coding in CODINGS
        ]


LT: tuple[str, Coding] = ("increments", "others")
TM: tuple[str, Coding] = ("two-level-increments", "others")
RANK: tuple[str, Coding] = ("timestep", "rank")
ROOT = "token-power:alpha=0.5"
FINE = (100, 200, 350, 600, 1000)

_SMOKE = ExponentsConfig(
    lines=(
        Line(*LT, "mean-field", 1.0, 2, 1.0, (6, 9, 12, 17, 24)),
        Line(*TM, "mean-field", 1.0, 2, 1.0, (12, 24, 34, 48, 64)),
        Line(*LT, ROOT, 0.5, 2, 1.0, (16, 24, 32, 48, 64)),
        Line(*TM, ROOT, 0.5, 2, 1.0, (16, 24, 32, 48, 64)),
    ),
    tolerance=0.12,
    targets=STUDIES["smoke"].targets,
    grid=4,
    few_bits_target="mean-field",
    few_bits_grid=8,
)
PRESETS: dict[str, ExponentsConfig] = {
    "smoke": _SMOKE,
    "full": replace(
        _SMOKE,
        lines=(
            *(Line(*LT, "mean-field", 1.0, 2, p, (12, 17, 24, 34, 48)) for p in (1.0, 2.0)),
            *(Line(*TM, "mean-field", 1.0, 2, p, FINE) for p in (1.0, 2.0)),
            *(Line(*LT, "mean-field", 1.0, 3, p, (8, 11, 16, 22, 32)) for p in (1.0, 2.0)),
            *(Line(*TM, "mean-field", 1.0, 3, p, (16, 24, 34, 48, 64)) for p in (1.0, 2.0)),
            Line(*LT, ROOT, 0.5, 2, 1.0, (48, 64, 96, 128, 192)),
            Line(*TM, ROOT, 0.5, 2, 1.0, (64, 100, 140, 200, 280, 400)),
            Line(*RANK, "mean-field", 1.0, 2, 2.0, (12, 17, 24, 34, 48)),
            Line(*RANK, "mean-field", 1.0, 3, 2.0, (16, 22, 32, 44)),
        ),
        tolerance=0.05,
        targets=STUDIES["full"].targets,
        grid=16,
        few_bits_grid=128,
    ),
}
