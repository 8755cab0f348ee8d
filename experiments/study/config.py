"""What a study is: targets, shapes, loop counts, seeds and how networks are trained."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any

from looprate.approx.fit.fitted import Recipe
from looprate.approx.fit.halving import SearchPlan
from looprate.approx.fit.polish import Stage
from looprate.approx.models.looped import FAMILIES, Family, ModelConfig, matched_config
from looprate.theory.notation import check_loops, check_p, check_size

__all__ = ["PRESETS", "StudyConfig", "fit_arguments", "model_for"]


@dataclass(frozen=True)
class StudyConfig:
    """A study: every target and shape, for every family and loop count, over seeds and rates.

    Parameters
    ----------
    targets : tuple of str
        Names of targets or own functions.
    shapes : tuple of (N, d)
    loops : tuple of int
        Loop counts r to train.
    seeds : int
        Seeds 0..seeds-1, shared by all families.
    p : float
        Exponent of error and loss, finite.
    families : tuple of {"lt", "tmlt", "untied"}
    learning_rates : tuple of float
        Peak rates tried for every model; the best by validation is reported.
    width, heads, hidden : int
        Of the TMLT; LT is widened to the same number of parameters.
    recipe : Recipe
    points, replicates : int
        Held-out Sobol points per scramble and number of scrambles.
    compiled : bool
        Compile the block where a compiler works; not worth its 15 s for a few hundred steps.
    device : {"cpu", "cuda"}
        Where networks are trained; a GPU runs one bank at a time.
    grids : tuple of int
        Cells a side of the constructed networks that are certified, for every memoriser.
    construct_seconds : float
        Certificates estimated to take longer are left out.
    blocks : tuple of (width, heads, hidden)
        Small blocks that the best network is searched in; none leaves the search out.
    search : SearchPlan
    boxes : int
        Of each best network's certificate, over its loops; 0 certifies nothing.
    roughness : tuple of str
        Further targets whose best LT of the middle block is searched, for the page on roughness.
    lesson_grid : int
        Grid of the figure on memorisers, best a prime, and largest in the one on arithmetic.
    """

    targets: tuple[str, ...]
    shapes: tuple[tuple[int, int], ...] = ((2, 1),)
    loops: tuple[int, ...] = (1, 2, 4, 8, 16, 32)
    seeds: int = 5
    p: float = 1.0
    families: tuple[Family, ...] = ("lt", "tmlt")
    learning_rates: tuple[float, ...] = (1e-2, 2.5e-2)
    width: int = 16
    heads: int = 2
    hidden: int = 32
    recipe: Recipe = field(default_factory=Recipe)
    points: int = 512
    replicates: int = 8
    compiled: bool = True
    device: str = "cpu"
    grids: tuple[int, ...] = (2, 3, 4, 6, 8, 12, 16, 24, 32)
    construct_seconds: float = 6.0
    blocks: tuple[tuple[int, int, int], ...] = ()
    search: SearchPlan = field(default_factory=SearchPlan)
    boxes: int = 0
    roughness: tuple[str, ...] = ()
    lesson_grid: int = 11

    def __post_init__(self) -> None:
        check_p(self.p)
        if self.p == float("inf"):
            raise ValueError("`p` must be finite to train and measure networks, got inf")
        for tokens, dim in self.shapes:
            check_size(tokens, dim)
        for loops in self.loops:
            check_loops(loops)
        for name in ("targets", "shapes", "loops", "families", "learning_rates", "grids"):
            values = getattr(self, name)
            if not values:
                raise ValueError(f"`{name}` must hold at least one value, got none")
            if len(set(values)) != len(values):
                raise ValueError(f"`{name}` must not repeat a value, got {list(values)}")
        if self.device not in ("cpu", "cuda"):
            raise ValueError(f"`device` must be cpu or cuda, got {self.device!r}")
        if not all(type(grid) is int and grid >= 1 for grid in self.grids):
            raise ValueError(f"`grids` must hold integers >= 1, got {list(self.grids)}")
        if not 0 <= self.construct_seconds < float("inf"):
            raise ValueError(
                f"`construct_seconds` must be finite and >= 0, got {self.construct_seconds:g}"
            )
        if self.boxes < 0:
            raise ValueError(f"`boxes` must be an integer >= 0, got {self.boxes}")
        if self.lesson_grid < 2:
            raise ValueError(f"`lesson_grid` must be an integer >= 2, got {self.lesson_grid}")
        if self.seeds < 1:
            raise ValueError(f"`seeds` must be an integer >= 1, got {self.seeds}")
        if not all(0 < rate < float("inf") for rate in self.learning_rates):
            raise ValueError(
                f"`learning_rates` must be finite and > 0, got {list(self.learning_rates)}; "
                "try 0.01"
            )
        for family in self.families:
            if family not in FAMILIES:
                raise ValueError(f"`families` must be among {', '.join(FAMILIES)}, got {family!r}")

    def as_dict(self) -> dict[str, Any]:
        """Return a JSON-ready dictionary."""
        return asdict(self)


def model_for(config: StudyConfig, family: Family, *, loops: int, dim: int) -> ModelConfig:
    """Return the model of one family: matched parameters, residual gates of size 1/loops."""
    base = ModelConfig(
        dim=dim, width=config.width, heads=config.heads, hidden=config.hidden, gate=1.0 / loops
    )
    return matched_config(base, family, loops=loops)


def fit_arguments(
    config: StudyConfig, family: Family, *, loops: int, tokens: int, dim: int
) -> dict[str, Any]:
    """Return how one bank of a study is fitted and measured, as plain values."""
    return {
        "family": family,
        "loops": loops,
        "tokens": tokens,
        "dim": dim,
        "p": config.p,
        "seeds": list(range(config.seeds)),
        "learning_rates": list(config.learning_rates),
        "model": model_for(config, family, loops=loops, dim=dim).as_dict(),
        "recipe": asdict(config.recipe),
        "points": config.points,
        "replicates": config.replicates,
        "compiled": config.compiled,
        "device": config.device,
    }


_QUICK = StudyConfig(
    targets=("token-sine:periods=3", "dial:token=0.5,context=0.5,periods=2"),
    loops=(1, 2, 4, 8, 16),
    recipe=Recipe(steps=1000),
    blocks=((2, 1, 4), (4, 1, 8), (6, 1, 12)),
    search=SearchPlan(rungs=(500,) * 4, finalists=2, stages=(Stage(2, 20), Stage(4, 10))),
    boxes=20_000,
    roughness=(
        "dial:token=0.5,context=0.5,periods=1",
        "dial:token=0.5,context=0.5,periods=3",
        "token-power:alpha=0.5",
    ),
)

PRESETS: dict[str, StudyConfig] = {
    "smoke": replace(
        _QUICK,
        targets=("dial:token=0.5,context=0.5,periods=2",),
        loops=(1, 2, 4),
        seeds=2,
        learning_rates=(2e-2,),
        recipe=Recipe(steps=150, evaluations=5),
        points=256,
        replicates=4,
        compiled=False,
        grids=(2, 4),
        blocks=((4, 1, 4),),
        search=SearchPlan(
            starts=4,
            rungs=(100, 200),
            finalists=1,
            stages=(Stage(3, 15),),
            recipe=Recipe(batch=16, validation_points=64),
        ),
        boxes=1_000,
        roughness=(),
        lesson_grid=5,
    ),
    "quick": _QUICK,
    "full": replace(
        _QUICK,
        targets=(
            "token-sine:periods=3",
            "dial:token=0.5,context=0.5,periods=2",
            "token-power:alpha=0.5",
            "others-mean",
            "context-max",
            "softmax-attention",
        ),
        shapes=((2, 1), (3, 1), (2, 2)),
        loops=(1, 2, 4, 8, 16, 32, 64),
        seeds=10,
        families=("lt", "tmlt", "untied"),
        learning_rates=(5e-3, 1e-2, 2.5e-2),
        recipe=Recipe(steps=4000, evaluations=20),
        grids=(2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64),
        construct_seconds=300.0,
        blocks=((4, 1, 8), (8, 1, 16), (16, 2, 32)),
        search=SearchPlan(
            starts=256,
            rungs=(1000, 1000, 1000, 1000, 2000),
            gates=(1.0, 0.5),
            finalists=8,
            stages=(Stage(2, 40), Stage(4, 40), Stage(8, 200)),
        ),
        boxes=200_000,
        lesson_grid=23,
    ),
}
