"""What looped models are built from: checks, sinusoids, first weights, the modulation eta.

:mod:`looprate.approx.models.looped` is the model on vectors, :mod:`looprate.approx.models.sequence`
the one on sequences.
"""

from __future__ import annotations

import functools
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable
from dataclasses import asdict, dataclass, fields
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
LATER = ("clock_activation", "table", "bits")  # fields that old configurations do not have
UNSET = object()
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
    clock_activation : {"silu", "relu", "gelu"}
        Of the timestep network; SiLU is the paper's.
    table : int
        Rows of a free eta(t), one a loop and each learned by itself, in place of the timestep
        network (TMLT only); 0 for the network.  Such a model runs exactly so many loops.
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
    clock_activation: str = "silu"
    table: int = 0

    @property
    @abstractmethod
    def blocks(self) -> int:
        """Distinct blocks: 1, or the depth of an untied model."""

    @property
    def eta_rows(self) -> int:
        """Learned rows of eta: one a distinct block, or one a loop of a table."""
        return self.table or self.blocks

    @property
    def timed(self) -> bool:
        """Whether a network of t adds to the rows of eta."""
        return self.family == "tmlt" and not self.table

    def as_dict(self) -> dict[str, Any]:
        """Return a JSON-ready dictionary; the class called with its entries inverts it.

        What came later and is as it was before is left out: digests of old runs stay theirs.
        """
        later = {f.name: f.default for f in fields(self) if f.name in LATER}
        return {name: v for name, v in asdict(self).items() if later.get(name, UNSET) != v}

    def check_rows(self, loops: int) -> None:
        """Raise ValueError if eta has no row for some of ``loops`` loops."""
        if self.table and loops != self.table:
            raise ValueError(
                f"`loops` must equal the {self.table} rows of a free table of eta(t), got {loops}: "
                "it says nothing of other loops; take a network of t (table=0)"
            )

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
        check_choice(self.clock_activation, "clock_activation", tuple(ACTIVATIONS))
        check_choice(self.norm, "norm", ("rms", "none"))
        if self.table < 0 or (self.table and self.family != "tmlt"):
            raise ValueError(
                f"`table` must be 0 or the loops of a TMLT, got {self.table} of {self.family}; "
                "take family='tmlt'"
            )
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
        if c.timed:
            self.clock_in = draw.weight(c.clock, c.frequencies)
            self.clock_bias = draw.zeros(c.clock)
            self.clock_out = draw.zeros(4 * c.width, c.clock)

    def eta(self, loops: int) -> Tensor:
        """Return the modulation eta, shape (loops, 4, D): scale, gate, scale, gate per loop."""
        c = self.config
        c.check_rows(loops)
        eta: Tensor = self.eta_row.expand(loops, -1, -1)
        if c.timed:
            wave = sinusoids(loops, c.frequencies).to(eta)
            hidden = ACTIVATIONS[c.clock_activation](wave @ self.clock_in.mT + self.clock_bias)
            eta = eta + (hidden @ self.clock_out.mT).view(loops, 4, c.width)
        return eta * eta.new_tensor([1.0, c.gate, 1.0, c.gate])[:, None]


def rounded(x: Tensor, bits: int) -> Tensor:
    """Return x with ``bits`` significant bits a number, ties to even; x itself for 0 bits."""
    if not bits:
        return x
    share, power = torch.frexp(x)  # x = share * 2^power, 1/2 <= |share| < 1
    return torch.ldexp(torch.round(share * 2.0**bits), power - bits)


@functools.lru_cache(maxsize=256)
def scalars_of(kind: Callable[..., nn.Module], config: Hashable) -> int:
    """Return the number of scalars of a model, counted on a device that holds no numbers."""
    with torch.device("meta"):
        return sum(weights.numel() for weights in kind(config).parameters())
