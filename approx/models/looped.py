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

from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from looprate.approx.models.parts import (
    ACTIVATIONS,
    EPS,
    FAMILIES,
    Draw,
    Family,
    add_block,
    add_clock,
    check_block,
    modulation,
    scalars_of,
    sinusoids,
)
from looprate.theory.notation import check_dim, check_loops

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
        check_block(self)

    def as_dict(self) -> dict[str, Any]:
        """Return a JSON-ready dictionary; ``ModelConfig(**d)`` inverts it."""
        return asdict(self)


class LoopedTransformer(nn.Module):
    """One Transformer block applied ``loops`` times between two token-wise affine maps.

    Parameters
    ----------
    config : ModelConfig
    seed : int or None
        Seed of the initial weights; None draws a fresh one.
    loops : int or None
        Loop count of a call that names none.
    """

    qkv: Tensor
    out: Tensor
    up: Tensor
    up_bias: Tensor
    down: Tensor
    down_bias: Tensor

    def __init__(
        self, config: ModelConfig, *, seed: int | None = None, loops: int | None = None
    ) -> None:
        super().__init__()
        self.config, self.loops = config, loops
        c, draw = config, Draw(seed)
        self.embed = draw.weight(c.width, c.dim)  # L1
        self.embed_bias = draw.uniform(c.width)
        add_block(self, c, draw)
        self.read = draw.weight(c.dim, c.width)  # L2
        self.read_bias = draw.zeros(c.dim)
        self.eta_row = nn.Parameter(torch.ones(c.blocks, 4, c.width))
        if c.positions:
            self.position = draw.weight(c.width, c.positions)
        add_clock(self, c, draw)

    def eta(self, loops: int) -> Tensor:
        """Return the modulation eta, shape (loops, 4, D): scale, gate, scale, gate per loop."""
        return modulation(self, self.config, loops)

    def forward(self, x: Tensor, loops: int | None = None, eta: Tensor | None = None) -> Tensor:
        """Map (B, N, d) to (B, N, d) with ``loops`` applications of the block.

        Parameters
        ----------
        x : Tensor, shape (B, N, d)
        loops : int, optional
            Free at call time for tied models; must equal ``config.blocks`` for untied ones.  Left
            out, it is the count the model was made with.
        eta : Tensor, shape (loops, 4, D), optional
            Injected modulation; default is the model's own.  All ones is the plain LT.
        """
        c = self.config
        loops = self.loops if loops is None else loops
        if loops is None:
            raise ValueError("`loops` must be given for a model made without a count of its own")
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
    return scalars_of(LoopedTransformer, config)


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
