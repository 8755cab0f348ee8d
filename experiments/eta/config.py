"""What ``looprate eta`` sweeps: dials of one sequence modulus, and how networks are built for them.

A dial is f(X)_n = s h(x_n) + (1 - s) mean_{m != n} h(x_m) with share s of the own token.  For
-(N-2)/N <= s <= 1 and p <= 2 its sequence modulus does not depend on s, while its token and
contextual moduli are |s| and |1 - s| times those of the pure ones.

Which N?  At the radii of Theorem 3.6 (v7) the sum w_tok(δ√d) + w_cont(δ√(Nd)) grows from s = 1 to
s = 0 by √(N/(N-1)) at most, since the context radius δ√(Nd) is spread over N - 1 tokens: 1.41 at
N = 2, 1.22 at N = 3.  (At equal radii it does not move at N = 2 and falls by √2 at N = 3.)  From
N = 3 on there is room for s < 0, the own token against the others, where the sum is largest under
both readings: 1.78 times that of s = 1, at s = -1/4 and N = 3.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from looprate.approx.fit.fitted import Recipe
from looprate.experiments.study.config import StudyConfig
from looprate.theory.notation import Kind, check_delta
from looprate.theory.targets import parse_target

__all__ = ["PRESETS"]


@dataclass(frozen=True)
class DialPoint:
    """One target of the sweep.

    Attributes
    ----------
    roughness : str
        Parameters of the map h: "periods=2" or "alpha=0.5".
    share : float
        s, the weight of the own token; the others weigh 1 - s.
    """

    roughness: str
    share: float

    @property
    def name(self) -> str:
        """Name of the target, a sum of two dials where the share is negative."""
        own, others = f"token=1,context=0,{self.roughness}", f"token=0,context=1,{self.roughness}"
        if self.share < 0:
            rest = f"dial:{others},sequence={1 - self.share:g}"
            return str(parse_target(f"{rest} + dial:{own},sequence={self.share:g}"))
        shares = f"token={self.share:g},context={1 - self.share:g}"
        return str(parse_target(f"dial:{shares},{self.roughness}"))

    def modulus(self, delta: float, *, kind: Kind, tokens: int, dim: int, p: float) -> float:
        """Return the modulus at ``delta`` (Frobenius norm), exact for d = 1 and p <= 2.

        The token modulus is |s| times that at s = 1, the contextual one |1 - s| times that at
        s = 0, and the sequence modulus that at s = 1/2.
        """
        at = {"token": 1.0, "contextual": 0.0, "sequence": 0.5}[kind]
        factor = {"token": self.share, "contextual": 1 - self.share, "sequence": 1.0}[kind]
        pure = parse_target(f"dial:token={at:g},context={1 - at:g},{self.roughness}")
        form = pure.closed_form(delta, kind=kind, tokens=tokens, dim=dim, p=p)
        if form is None or form.side != "exact":
            raise ValueError(
                f"`delta` must be a radius with an exact {kind} modulus of {pure}, got {delta:g}; "
                "take d = 1 and p <= 2"
            )
        return abs(factor) * form.value

    def modulus_sum(
        self, delta: float, *, tokens: int, dim: int, p: float, radii: str = "theorem"
    ) -> float:
        """Return w_tok + w_cont, at δ√d and δ√(Nd) as in Theorem 3.6 (v7), or both at δ.

        Parameters
        ----------
        delta : float
            Cell width δ ("theorem"), or the radius of both ("equal").
        radii : {"theorem", "equal"}
        """
        wide = radii == "theorem"
        near = delta * math.sqrt(dim) if wide else delta
        far = delta * math.sqrt(tokens * dim) if wide else delta
        token = self.modulus(near, kind="token", tokens=tokens, dim=dim, p=p)
        return token + self.modulus(far, kind="contextual", tokens=tokens, dim=dim, p=p)


@dataclass(frozen=True)
class EtaConfig:
    """A sweep of dials over matched LT and TMLT, trained and constructed.

    Parameters
    ----------
    shares : tuple of float
        s, each from -(N-2)/N to 1.
    roughness : tuple of str
        Parameters of the map h of each level.
    tokens, dim, p
        N, d and the exponent of the error norm.
    delta : float
        δ of the axis w_tok(δ√d) + w_cont(δ√(Nd)) for the trained networks.
    loops : tuple of int
        Loop counts r to train.
    seeds : int
    learning_rates : tuple of float
        Tried for each family, target and loop count; the best by validation is reported.
    recipe : Recipe
    grid : int
        Grid m of the increments (LT); the timestep network (TMLT) is built at the same grid and at
        the largest that fits the same loops.  Best a prime: where m is 4 times the periods of a
        sine, cell centres have two values only and the increments are exact at some shares.
    points, replicates, compiled, device
        As in :class:`looprate.experiments.study.config.StudyConfig`.
    """

    shares: tuple[float, ...] = (-0.25, 0.0, 0.25, 0.5, 1.0)
    roughness: tuple[str, ...] = ("periods=1", "periods=2", "alpha=0.5")
    tokens: int = 3
    dim: int = 1
    p: float = 1.0
    delta: float = 0.125
    loops: tuple[int, ...] = (2, 4, 8)
    seeds: int = 8
    learning_rates: tuple[float, ...] = (1e-2, 2.5e-2)
    recipe: Recipe = field(default_factory=lambda: Recipe(steps=600))
    grid: int = 7
    points: int = 512
    replicates: int = 4
    compiled: bool = True
    device: str = "cpu"

    def __post_init__(self) -> None:
        check_delta(self.delta)
        least = -(self.tokens - 2) / self.tokens
        for share in self.shares:
            if not least <= share <= 1:
                raise ValueError(
                    f"`shares` must be between {least:.3g} and 1 at tokens={self.tokens}, where "
                    f"the sequence modulus stays the same, got {share:g}"
                )
        for name in ("shares", "roughness"):
            values = getattr(self, name)
            if not values or len(set(values)) != len(values):
                raise ValueError(f"`{name}` must hold distinct values, got {list(values)}")
        self.study()  # refuses the rest

    def points_of_dial(self) -> list[DialPoint]:
        """Return every target of the sweep, level by level."""
        return [DialPoint(level, share) for level in self.roughness for share in self.shares]

    def study(self) -> StudyConfig:
        """Return the study whose fits are those of this sweep."""
        return StudyConfig(
            targets=tuple(point.name for point in self.points_of_dial()),
            shapes=((self.tokens, self.dim),),
            loops=self.loops,
            seeds=self.seeds,
            p=self.p,
            families=("lt", "tmlt"),
            learning_rates=self.learning_rates,
            recipe=self.recipe,
            points=self.points,
            replicates=self.replicates,
            compiled=self.compiled,
            device=self.device,
            grids=(self.grid,),
        )

    def as_dict(self) -> dict[str, Any]:
        """Return a JSON-ready dictionary."""
        return asdict(self)


_QUICK = EtaConfig()

PRESETS: dict[str, EtaConfig] = {
    "smoke": replace(
        _QUICK,
        shares=(-0.25, 0.5, 1.0),
        roughness=("periods=1",),
        loops=(2,),
        seeds=2,
        learning_rates=(2e-2,),
        recipe=Recipe(steps=60, evaluations=4),
        grid=4,
        points=256,
        replicates=2,
        compiled=False,
    ),
    "quick": _QUICK,
    "full": replace(
        _QUICK,
        shares=(-0.25, 0.0, 0.25, 0.5, 0.75, 1.0),
        roughness=("periods=1", "periods=2", "periods=4", "alpha=0.5", "alpha=1"),
        loops=(2, 4, 8, 16, 32),
        seeds=16,
        learning_rates=(5e-3, 1e-2, 2.5e-2),
        recipe=Recipe(steps=4000, evaluations=20),
        grid=9,
        replicates=8,
    ),
}
