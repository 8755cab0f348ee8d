"""What looped models are built from: checks, sinusoids, first weights, the modulation eta.

:mod:`looprate.approx.models.looped` is the model on vectors, :mod:`looprate.approx.models.sequence`
the one on sequences.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Hashable
from typing import Literal, Protocol, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["Family"]

Family = Literal["lt", "tmlt", "untied"]
FAMILIES: tuple[Family, ...] = get_args(Family)
Activation = Callable[[Tensor], Tensor]
ACTIVATIONS: dict[str, Activation] = {"relu": F.relu, "gelu": F.gelu, "silu": F.silu}
EPS = 1e-6  # inside the root of the RMS norm, for every dtype alike


class BlockConfig(Protocol):
    """What every configuration of a looped block has; :class:`ModelConfig` explains it."""

    @property
    def width(self) -> int: ...
    @property
    def heads(self) -> int: ...
    @property
    def hidden(self) -> int: ...
    @property
    def family(self) -> Family: ...
    @property
    def blocks(self) -> int: ...
    @property
    def frequencies(self) -> int: ...
    @property
    def clock(self) -> int: ...
    @property
    def norm(self) -> str: ...
    @property
    def activation(self) -> str: ...
    @property
    def gate(self) -> float: ...


def check_block(config: BlockConfig) -> None:
    """Raise ValueError naming the first field of a block that is out of range."""
    for name in ("width", "heads", "hidden", "blocks", "frequencies", "clock"):
        if getattr(config, name) < 1:
            raise ValueError(f"`{name}` must be an integer >= 1, got {getattr(config, name)}")
    if config.width % config.heads:
        raise ValueError(
            f"`heads` must divide width={config.width}, got {config.heads}; take 1 or 2"
        )
    if config.family not in FAMILIES:
        raise ValueError(f"`family` must be one of {', '.join(FAMILIES)}, got {config.family!r}")
    if config.blocks > 1 and config.family != "untied":
        raise ValueError(
            f"`blocks` must be 1 for a weight-tied model, got {config.blocks}; "
            "use family='untied' for one block per loop"
        )
    if config.activation not in ACTIVATIONS:
        raise ValueError(
            f"`activation` must be one of {', '.join(ACTIVATIONS)}, got {config.activation!r}"
        )
    if config.norm not in ("rms", "none"):
        raise ValueError(f"`norm` must be rms or none, got {config.norm!r}")
    if config.frequencies % 2:
        raise ValueError(
            f"`frequencies` must be even (cosines and sines), got {config.frequencies}"
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


def add_block(module: nn.Module, config: BlockConfig, draw: Draw) -> None:
    """Give a module the weights of its blocks, each with one axis of blocks first."""
    D, H, L = config.width, config.hidden, config.blocks
    module.qkv = draw.weight(L, 3 * D, D)
    module.out = draw.weight(L, D, D)
    module.up = draw.weight(L, H, D, gain=math.sqrt(2.0))
    module.up_bias = draw.uniform(L, H)
    module.down = draw.weight(L, D, H)
    module.down_bias = draw.zeros(L, D)


def add_clock(module: nn.Module, config: BlockConfig, draw: Draw) -> None:
    """Give a module the network of t, if its family has one; zero at initialisation."""
    if config.family == "tmlt":
        module.clock_in = draw.weight(config.clock, config.frequencies)
        module.clock_bias = draw.zeros(config.clock)
        module.clock_out = draw.zeros(4 * config.width, config.clock)


def modulation(module: nn.Module, config: BlockConfig, loops: int) -> Tensor:
    """Return eta of a module with ``eta_row`` and a clock, shape (loops, 4, D).

    Scale and gate of attention, then scale and gate of the feed-forward layer, per loop.
    """
    names = ("eta_row", "clock_in", "clock_bias", "clock_out")
    row, *clock = (getattr(module, name) for name in names if hasattr(module, name))
    eta: Tensor = row.expand(loops, -1, -1)
    if clock:
        into, bias, out = clock
        wave = sinusoids(loops, config.frequencies).to(eta)
        hidden = F.silu(wave @ into.mT + bias)
        eta = eta + (hidden @ out.mT).view(loops, 4, config.width)
    return eta * eta.new_tensor([1.0, config.gate, 1.0, config.gate])[:, None]


@functools.lru_cache(maxsize=256)
def scalars_of(kind: Callable[..., nn.Module], config: Hashable) -> int:
    """Return the number of scalars of a model, counted on a device that holds no numbers."""
    with torch.device("meta"):
        return sum(weights.numel() for weights in kind(config).parameters())
