"""The looped Transformer: one block applied r times, plain (LT) or timestep-modulated (TMLT).

The forward is one and the same; what differs is eta.  With B inputs of N tokens and width D::

    x = L1(X)                                       (B, N, D)
    for t in range(r):
        x = x + eta[t, 1] * Attn(eta[t, 0] * norm(x))
        x = x + eta[t, 3] * FF(eta[t, 2] * norm(x))
    return L2(x)                                    (B, N, d)

LT has one learned row ``eta`` for all t; TMLT adds a small network of the sinusoids of t to it,
zero at initialisation, so both start as the same function.  No positions by default, so that the
map is permutation-equivariant.  This file is the reference, written to be read; ``block`` and
``bank`` run the same arithmetic for many models at once.

Source: the setting of Theorem 3.6 and section 4 of Xu & Sato (v7); pre-normalisation and scaled
residuals are ours, the theory has neither.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from theory.notation import check_dim, check_loops

__all__ = [
    "EPS",
    "FAMILIES",
    "Family",
    "LoopedTransformer",
    "ModelConfig",
    "matched_config",
    "parameter_count",
    "sinusoids",
]

Family = Literal["lt", "tmlt", "untied"]
FAMILIES: tuple[Family, ...] = get_args(Family)
Activation = Callable[[Tensor], Tensor]
ACTIVATIONS: dict[str, Activation] = {"relu": F.relu, "gelu": F.gelu, "silu": F.silu}
EPS = 1e-6  # inside the root of the RMS norm, for every dtype alike


@dataclass(frozen=True)
class ModelConfig:
    """Everything that decides the shape of one model.

    Parameters
    ----------
    dim : int
        d, coordinates of an input and output token.
    width, heads, hidden : int
        D, number of attention heads (divides D), hidden units of the feed-forward layer.
    family : {"lt", "tmlt", "untied"}
        One constant eta; eta(t); or one block per loop (a standard Transformer of that depth).
    blocks : int
        Distinct blocks: 1, or the depth of an untied model.
    frequencies, clock : int
        Sinusoids of t fed to the timestep network, and its hidden width (TMLT only).
    norm : {"rms", "none"}
        Normalisation before attention and feed-forward (no gains; eta scales instead).
    activation : {"relu", "gelu", "silu"}
    positions : int
        0 for none (permutation-equivariant); N for learned positions of N tokens.
    injection : bool
        Add L1(X) to the state before every loop after the first.
    gate : float
        Fixed factor of the residual gates eta[:, 1] and eta[:, 3], which are learned around it.
        1 is the plain Transformer; 1/loops keeps a deep loop's initial map near one step.
    """

    dim: int = 1
    width: int = 16
    heads: int = 2
    hidden: int = 64
    family: Family = "tmlt"
    blocks: int = 1
    frequencies: int = 8
    clock: int = 8
    norm: Literal["rms", "none"] = "rms"
    activation: str = "relu"
    positions: int = 0
    injection: bool = False
    gate: float = 1.0

    def __post_init__(self) -> None:
        check_dim(self.dim)
        for name in ("width", "heads", "hidden", "blocks", "frequencies", "clock"):
            if getattr(self, name) < 1:
                raise ValueError(f"`{name}` must be an integer >= 1, got {getattr(self, name)}")
        if self.width % self.heads:
            raise ValueError(
                f"`heads` must divide width={self.width}, got {self.heads}; take 1 or 2"
            )
        if self.family not in FAMILIES:
            raise ValueError(f"`family` must be one of {', '.join(FAMILIES)}, got {self.family!r}")
        if self.blocks > 1 and self.family != "untied":
            raise ValueError(
                f"`blocks` must be 1 for a weight-tied model, got {self.blocks}; "
                "use family='untied' for one block per loop"
            )
        if self.activation not in ACTIVATIONS:
            raise ValueError(
                f"`activation` must be one of {', '.join(ACTIVATIONS)}, got {self.activation!r}"
            )
        if self.norm not in ("rms", "none"):
            raise ValueError(f"`norm` must be rms or none, got {self.norm!r}")
        if self.frequencies % 2:
            raise ValueError(
                f"`frequencies` must be even (cosines and sines), got {self.frequencies}"
            )

    def as_dict(self) -> dict[str, Any]:
        """Return a JSON-ready dictionary; ``ModelConfig(**d)`` inverts it."""
        return asdict(self)


def sinusoids(loops: int, frequencies: int, *, period: float = 10_000.0) -> Tensor:
    """Return cosines then sines of t = 0..loops-1, shape (loops, frequencies), float64."""
    half = frequencies // 2
    rate = torch.exp(-math.log(period) * torch.arange(half, dtype=torch.float64) / half)
    angle = torch.arange(loops, dtype=torch.float64)[:, None] * rate
    return torch.cat([angle.cos(), angle.sin()], dim=1)


class LoopedTransformer(nn.Module):
    """One Transformer block applied ``loops`` times between two token-wise affine maps.

    Parameters
    ----------
    config : ModelConfig
    seed : int or None
        Seed of the initial weights; None draws a fresh one.
    """

    def __init__(self, config: ModelConfig, *, seed: int | None = None) -> None:
        super().__init__()
        self.config = config
        c, L = config, config.blocks
        generator = torch.Generator()
        if seed is None:
            generator.seed()
        else:
            generator.manual_seed(seed)

        def weight(*shape: int, gain: float = 1.0) -> nn.Parameter:
            std = gain / math.sqrt(shape[-1])
            return nn.Parameter(torch.randn(*shape, generator=generator) * std)

        def zeros(*shape: int) -> nn.Parameter:
            return nn.Parameter(torch.zeros(*shape))

        self.embed = weight(c.width, c.dim)  # L1
        self.embed_bias = nn.Parameter(torch.rand(c.width, generator=generator) - 0.5)
        self.qkv = weight(L, 3 * c.width, c.width)
        self.out = weight(L, c.width, c.width)
        self.up = weight(L, c.hidden, c.width, gain=math.sqrt(2.0))
        self.up_bias = nn.Parameter(torch.rand(L, c.hidden, generator=generator) - 0.5)
        self.down = weight(L, c.width, c.hidden)
        self.down_bias = zeros(L, c.width)
        self.read = weight(c.dim, c.width)  # L2
        self.read_bias = zeros(c.dim)
        self.eta_row = nn.Parameter(torch.ones(L, 4, c.width))
        if c.positions:
            self.position = weight(c.width, c.positions)
        if c.family == "tmlt":
            self.clock_in = weight(c.clock, c.frequencies)
            self.clock_bias = zeros(c.clock)
            self.clock_out = zeros(4 * c.width, c.clock)

    def eta(self, loops: int) -> Tensor:
        """Return the modulation eta, shape (loops, 4, D): scale, gate, scale, gate per loop."""
        eta = self.eta_row.expand(loops, -1, -1)
        if self.config.family == "tmlt":
            wave = sinusoids(loops, self.config.frequencies).to(eta)
            hidden = F.silu(wave @ self.clock_in.mT + self.clock_bias)
            eta = eta + (hidden @ self.clock_out.mT).view(loops, 4, self.config.width)
        return eta * eta.new_tensor([1.0, self.config.gate, 1.0, self.config.gate])[:, None]

    def forward(self, x: Tensor, loops: int, eta: Tensor | None = None) -> Tensor:
        """Map (B, N, d) to (B, N, d) with ``loops`` applications of the block.

        Parameters
        ----------
        x : Tensor, shape (B, N, d)
        loops : int
            Free at call time for tied models; must equal ``config.blocks`` for untied ones.
        eta : Tensor, shape (loops, 4, D), optional
            Injected modulation; default is the model's own.  All ones is the plain LT.
        """
        c = self.config
        check_loops(loops)
        if x.ndim != 3 or x.shape[2] != c.dim:
            raise ValueError(f"`x` must have shape (B, N, {c.dim}), got {tuple(x.shape)}")
        if c.family == "untied" and loops != c.blocks:
            raise ValueError(
                f"`loops` must equal the depth {c.blocks} of an untied model, got {loops}"
            )
        if c.positions and x.shape[1] != c.positions:
            raise ValueError(f"`x` must have {c.positions} tokens, got {x.shape[1]}")
        eta = self.eta(loops) if eta is None else eta
        if eta.shape != (loops, 4, c.width):
            raise ValueError(f"`eta` must have shape {(loops, 4, c.width)}, got {tuple(eta.shape)}")
        start = x @ self.embed.mT + self.embed_bias
        if c.positions:
            start = start + self.position.mT
        state = start
        for t in range(loops):
            if c.injection and t:
                state = state + start
            state = self._block(state, eta[t], min(t, c.blocks - 1))
        return state @ self.read.mT + self.read_bias

    def _block(self, x: Tensor, eta: Tensor, index: int) -> Tensor:
        """Apply block ``index`` once: (B, N, D) to (B, N, D)."""
        c = self.config
        B, N, D = x.shape
        qkv = (self._norm(x) * eta[0]) @ self.qkv[index].mT
        q, k, v = qkv.view(B, N, 3, c.heads, D // c.heads).permute(2, 0, 3, 1, 4)  # (B, h, N, D/h)
        mixed = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(B, N, D)
        x = x + eta[1] * (mixed @ self.out[index].mT)
        hidden = (self._norm(x) * eta[2]) @ self.up[index].mT + self.up_bias[index]
        hidden = ACTIVATIONS[c.activation](hidden)
        return x + eta[3] * (hidden @ self.down[index].mT + self.down_bias[index])

    def _norm(self, x: Tensor) -> Tensor:
        """Root-mean-square norm over the width, without gains."""
        if self.config.norm == "none":
            return x
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + EPS)


def parameter_count(config: ModelConfig) -> int:
    """Return the number of scalars of a model of this configuration."""
    c, L = config, config.blocks
    block = c.width * (4 * c.width + 2 * c.hidden + 1 + 4) + c.hidden
    ends = c.width * c.dim * 2 + c.width + c.dim + c.width * c.positions
    clock = c.clock * (c.frequencies + 1 + 4 * c.width) if c.family == "tmlt" else 0
    return L * block + ends + clock


def matched_config(config: ModelConfig, family: Family, *, loops: int = 1) -> ModelConfig:
    """Return ``config`` for another family with the parameter count matched through ``hidden``.

    LT is widened until it has the parameters that TMLT spends on its clock (within half a hidden
    unit, far below 2 %).  The untied baseline keeps the block of ``config`` at depth ``loops``; its
    count grows with depth by nature and is reported, not matched.
    """
    if family == "untied":
        return replace(config, family=family, blocks=check_loops(loops))
    changed = replace(config, family=family, blocks=1)
    missing = parameter_count(config) - parameter_count(changed)
    return replace(changed, hidden=changed.hidden + round(missing / (2 * changed.width + 1)))
