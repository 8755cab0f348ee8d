"""The looped Transformer: one block applied r times, plain (LT) or timestep-modulated (TMLT).

The forward is one and the same; what differs is eta.  With B inputs of N tokens and width D::

    x = L1(X)                                       (B, N, D)
    for t in range(r):
        x = x + eta[t, 1] * Attn(eta[t, 0] * norm(x))
        x = x + eta[t, 3] * FF(eta[t, 2] * norm(x))
    return L2(x)                                    (B, N, d)

LT has one learned row ``eta`` for all t; TMLT adds a small network of the sinusoids of t to it,
zero at initialisation, or has a free row a loop, so both start as the same function.  No positions
by default, so that the map is permutation-equivariant.  This file is the reference, written to be
read; ``block`` and ``bank`` run the same arithmetic for many models at once.

Source: the setting of Theorem 3.6 and section 4 of Xu & Sato (v7); pre-normalisation and scaled
residuals are ours, the theory has neither.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from looprate.approx.models.parts import (
    ACTIVATIONS,
    EPS,
    FAMILIES,
    BlockConfig,
    Draw,
    Family,
    LoopedModule,
    rounded,
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
class ModelConfig(BlockConfig):
    """Everything that decides the shape of one model.

    Parameters
    ----------
    width, heads, ..., gate, clock_activation, table
        As in :class:`~looprate.approx.models.parts.BlockConfig`.
    dim : int
        d, coordinates of an input and output token.
    blocks : int
        Distinct blocks: 1, or the depth of an untied model.
    positions : int
        0 for none (permutation-equivariant); N for learned positions of N tokens.
    bits : int
        Significant bits the state is rounded to after every loop, the gradient straight through
        (as if it were not); 0 rounds nothing.
    """

    dim: int = 1
    blocks: int = 1
    positions: int = 0
    bits: int = 0

    def __post_init__(self) -> None:
        check_dim(self.dim)
        if self.bits < 0:
            raise ValueError(f"`bits` must be an integer >= 0, got {self.bits}; 0 rounds nothing")
        self.check_block()


class LoopedTransformer(LoopedModule):
    """One Transformer block applied ``loops`` times between two token-wise affine maps.

    Parameters
    ----------
    config : ModelConfig
    seed : int or None
        Seed of the initial weights; None draws a fresh one.
    loops : int or None
        Loop count of a call that names none.
    """

    config: ModelConfig

    def __init__(
        self, config: ModelConfig, *, seed: int | None = None, loops: int | None = None
    ) -> None:
        super().__init__(config)
        self.loops = loops
        c, draw = config, Draw(seed)
        self.embed = draw.weight(c.width, c.dim)  # L1
        self.embed_bias = draw.uniform(c.width)
        self.add_block(draw)
        self.read = draw.weight(c.dim, c.width)  # L2
        self.read_bias = draw.zeros(c.dim)
        self.eta_row = nn.Parameter(torch.ones(c.eta_rows, 4, c.width))
        if c.positions:
            self.position = draw.weight(c.width, c.positions)
        self.add_clock(draw)

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
            if c.bits:
                state = state + (rounded(state, c.bits) - state).detach()
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

    LT is widened until it has the parameters that TMLT spends on its clock or table (within half a
    hidden unit, far below 2 %).  The untied baseline keeps the block of ``config`` at depth
    ``loops``; its count grows with depth by nature and is reported, not matched.
    """
    if family == "untied":
        return replace(config, family=family, blocks=check_loops(loops), table=0)
    changed = replace(config, family=family, blocks=1, table=0 if family == "lt" else config.table)
    missing = parameter_count(config) - parameter_count(changed)
    return replace(changed, hidden=changed.hidden + round(missing / (2 * changed.width + 1)))
