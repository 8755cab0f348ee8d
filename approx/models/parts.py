"""What looped models are built from: checks, sinusoids, first weights, the modulation eta.

:mod:`looprate.approx.models.looped` is the model on vectors, :mod:`looprate.approx.models.sequence`
the one on sequences.
"""

from __future__ import annotations

import functools
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from looprate.theory.notation import check_choice

__all__ = ["Family"]

Family = Literal["lt", "tmlt", "untied"]
FAMILIES: tuple[Family, ...] = get_args(Family)
Activation = Callable[[Tensor], Tensor]
ACTIVATIONS: dict[str, Activation] = {"relu": F.relu, "gelu": F.gelu, "silu": F.silu}
EPS = 1e-6  # inside the root of the RMS norm, for every dtype alike


@dataclass(frozen=True)
class BlockConfig(ABC):
    """What every configuration of a looped model has.

    Parameters
    ----------
    width, heads, hidden : int
        D, number of attention heads (divides D), hidden units of the feed-forward layer.
    family : {"lt", "tmlt", "untied"}
        One constant eta; eta(t); or one block per loop (a standard Transformer of that depth).
    frequencies, clock : int
        Sinusoids of t fed to the timestep network, and its hidden width (TMLT only).
    norm : {"rms", "none"}
        Normalisation before attention and feed-forward (no gains; eta scales instead).
    activation : {"relu", "gelu", "silu"}
    injection : bool
        Add the embedding to the state before every loop after the first.
    gate : float
        Fixed factor of the residual gates eta[:, 1] and eta[:, 3], which are learned around it.
        1 is the plain Transformer; 1/loops keeps a deep loop's initial map near one step.
    """

    width: int = 16
    heads: int = 2
    hidden: int = 64
    family: Family = "tmlt"
    frequencies: int = 8
    clock: int = 8
    norm: Literal["rms", "none"] = "rms"
    activation: str = "relu"
    injection: bool = False
    gate: float = 1.0

    @property
    @abstractmethod
    def blocks(self) -> int:
        """Distinct blocks: 1, or the depth of an untied model."""

    def as_dict(self) -> dict[str, Any]:
        """Return a JSON-ready dictionary; the class called with its entries inverts it."""
        return asdict(self)

    def check_block(self) -> None:
        """Raise ValueError naming the first field of a block that is out of range."""
        for name in ("width", "heads", "hidden", "blocks", "frequencies", "clock"):
            if getattr(self, name) < 1:
                raise ValueError(f"`{name}` must be an integer >= 1, got {getattr(self, name)}")
        if self.width % self.heads:
            raise ValueError(
                f"`heads` must divide width={self.width}, got {self.heads}; take 1 or 2"
            )
        check_choice(self.family, "family", FAMILIES)
        if self.blocks > 1 and self.family != "untied":
            raise ValueError(
                f"`blocks` must be 1 for a weight-tied model, got {self.blocks}; "
                "use family='untied' for one block per loop"
            )
        check_choice(self.activation, "activation", tuple(ACTIVATIONS))
        check_choice(self.norm, "norm", ("rms", "none"))
        if self.frequencies % 2:
            raise ValueError(
                f"`frequencies` must be even (cosines and sines), got {self.frequencies}"
            )


def sinusoids(loops: int, frequencies: int, *, period: float = 10_000.0) -> Tensor:
    """Return cosines then sines of t = 0..loops-1, shape (loops, frequencies), float64."""
    half = frequencies // 2
    rate = torch.exp(-math.log(period) * torch.arange(half, dtype=torch.float64) / half)
    angle = torch.arange(loops, dtype=torch.float64)[:, None] * rate
    return torch.cat([angle.cos(), angle.sin()], dim=1)


class Draw:
    """First values of parameters, from one stream of random numbers.

    Parameters
    ----------
    seed : int or None
        None draws a fresh one.
    """

    def __init__(self, seed: int | None) -> None:
        self.generator = torch.Generator()
        if seed is None:
            self.generator.seed()
        else:
            self.generator.manual_seed(seed)

    def weight(self, *shape: int, gain: float = 1.0) -> nn.Parameter:
        """Return normal numbers of deviation gain / sqrt(last axis)."""
        std = gain / math.sqrt(shape[-1])
        return nn.Parameter(torch.randn(*shape, generator=self.generator) * std)

    def uniform(self, *shape: int) -> nn.Parameter:
        """Return uniform numbers from -1/2 to 1/2."""
        return nn.Parameter(torch.rand(*shape, generator=self.generator) - 0.5)

    def zeros(self, *shape: int) -> nn.Parameter:
        """Return zeros."""
        return nn.Parameter(torch.zeros(*shape))


class LoopedModule(nn.Module):
    """Base of looped models: the weights of their blocks, one axis of blocks first, and eta.

    Parameters
    ----------
    config : BlockConfig
    """

    qkv: Tensor
    out: Tensor
    up: Tensor
    up_bias: Tensor
    down: Tensor
    down_bias: Tensor
    eta_row: Tensor

    def __init__(self, config: BlockConfig) -> None:
        super().__init__()
        self.config = config

    def add_block(self, draw: Draw) -> None:
        """Make the weights of the blocks."""
        D, H, L = self.config.width, self.config.hidden, self.config.blocks
        self.qkv = draw.weight(L, 3 * D, D)
        self.out = draw.weight(L, D, D)
        self.up = draw.weight(L, H, D, gain=math.sqrt(2.0))
        self.up_bias = draw.uniform(L, H)
        self.down = draw.weight(L, D, H)
        self.down_bias = draw.zeros(L, D)

    def add_clock(self, draw: Draw) -> None:
        """Make the network of t, if the family has one; zero at initialisation."""
        c = self.config
        if c.family == "tmlt":
            self.clock_in = draw.weight(c.clock, c.frequencies)
            self.clock_bias = draw.zeros(c.clock)
            self.clock_out = draw.zeros(4 * c.width, c.clock)

    def eta(self, loops: int) -> Tensor:
        """Return the modulation eta, shape (loops, 4, D): scale, gate, scale, gate per loop."""
        c = self.config
        eta: Tensor = self.eta_row.expand(loops, -1, -1)
        if c.family == "tmlt":
            wave = sinusoids(loops, c.frequencies).to(eta)
            hidden = F.silu(wave @ self.clock_in.mT + self.clock_bias)
            eta = eta + (hidden @ self.clock_out.mT).view(loops, 4, c.width)
        return eta * eta.new_tensor([1.0, c.gate, 1.0, c.gate])[:, None]


@functools.lru_cache(maxsize=256)
def scalars_of(kind: Callable[..., nn.Module], config: Hashable) -> int:
    """Return the number of scalars of a model, counted on a device that holds no numbers."""
    with torch.device("meta"):
        return sum(weights.numel() for weights in kind(config).parameters())
