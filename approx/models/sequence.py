"""The looped Transformer on sequences: token ids or vectors in, one prediction per position out.

The loop is that of :mod:`looprate.approx.models.looped`, between an embedding and a normed
read-out::

    x = embedding + positions                       (B, T, D)
    for t in range(r):
        x = x + eta[t, 1] * Attn(eta[t, 0] * norm(x))
        x = x + eta[t, 3] * FF(eta[t, 2] * norm(x))
    return read(gain * norm(x))                     (B, T, V)

LT and TMLT differ in eta alone: one learned row, or that row plus a small network of the sinusoids
of t, zero at initialisation.  For speed the scales and gates act on the weights, not on every
token, which is the same up to rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from looprate.approx.models.parts import Draw, Family, LoopedModule, scalars_of, sinusoids
from looprate.approx.models.sequence_config import SequenceConfig
from looprate.approx.models.unrolled import (
    Weights,
    compiled_body,
    explicit_attention,
    rms_norm,
    unrolled,
)
from looprate.theory.notation import check_loops

__all__ = ["SequenceConfig", "SequenceModel", "matched_config", "parameter_count"]

Criterion = Callable[[Tensor], Tensor]


class SequenceModel(LoopedModule):
    """One Transformer block applied r times between an embedding and a read-out.

    Parameters
    ----------
    config : SequenceConfig
    seed : int or None
        Seed of the initial weights; None draws a fresh one.
    checkpoint : bool
        Keep few states for the gradient and compute the rest again: the same numbers, with memory
        that grows like the square root of the loop count, for about a third more time.
    compiled : bool
        Compile the loop body (once, whatever the loop count); where no compiler works, a warning
        says so and the body runs as it is.

    Attributes
    ----------
    checkpoint, compiled : bool
        As given; free to change between calls.
    """

    config: SequenceConfig

    def __init__(
        self,
        config: SequenceConfig,
        *,
        seed: int | None = None,
        checkpoint: bool = False,
        compiled: bool = False,
    ) -> None:
        super().__init__(config)
        self.checkpoint, self.compiled = checkpoint, compiled
        c, D, draw = config, config.width, Draw(seed)
        gain = 1.0 if c.tied else D**0.5  # a tied embedding is small enough to read out with
        if c.vocabulary:
            self.embed = draw.weight(c.vocabulary, D, gain=gain)
        else:
            self.embed = draw.weight(D, c.channels)
            self.embed_bias = draw.uniform(D)
        if c.positions == "learned":
            self.position = draw.weight(c.length, D, gain=gain)
        if c.embedding_norm:
            self.embed_norm = nn.LayerNorm(D)
        self.add_block(draw)
        self.final = nn.Parameter(torch.ones(D))
        if not c.tied:
            self.read = draw.weight(c.predicted, D)
            self.read_bias = draw.zeros(c.predicted)
        self.eta_row = nn.Parameter(torch.ones(c.eta_rows, 4, D))
        self.add_clock(draw)  # last: LT and TMLT of one seed share everything else

    def forward(self, inputs: Tensor, *, loops: int | None = None, every: bool = False) -> Tensor:
        """Return the predictions after the last loop, or after each.

        Parameters
        ----------
        inputs : int64 Tensor (B, T), or floating Tensor (B, T, C)
        loops : int, optional
            ``config.loops`` if left out; tied models take any other, eta(t) beyond those trained
            being what its network says there.
        every : bool
            Return the predictions after every loop; :meth:`loss` needs less memory.

        Returns
        -------
        Tensor, shape (B, T, V); (loops, B, T, V) with ``every``
        """
        state, visited = self._run(inputs, loops, self._read if every else None)
        return torch.stack(visited) if every else self._read(state)

    def loss(
        self,
        inputs: Tensor,
        criterion: Criterion,
        *,
        loops: int | None = None,
        every: bool = False,
    ) -> Tensor:
        """Return ``criterion(predictions)``, or its mean over all loops.

        Parameters
        ----------
        inputs, loops
            As in :meth:`forward`.
        criterion : callable
            Maps predictions (B, T, V) to a scalar; called again in the backward pass under
            ``checkpoint``, so it must not draw random numbers.
        every : bool
            Average over the predictions after every loop.  Under ``checkpoint`` no more than one
            segment's predictions are held at once.
        """

        def visit(state: Tensor) -> Tensor:
            return criterion(self._read(state))

        state, visited = self._run(inputs, loops, visit if every else None)
        return torch.stack(visited).mean() if every else visit(state)

    @torch.no_grad()
    def states(self, inputs: Tensor, loops: int | None = None) -> Tensor:
        """Return the embedding and the state after every loop, shape (loops + 1, B, T, D)."""
        start = self._embedded(inputs)
        _, visited = self._run(inputs, loops, lambda state: state)
        return torch.stack([start.to(visited[0].dtype), *visited])

    @torch.no_grad()
    def attention(self, inputs: Tensor, loops: int | None = None) -> Tensor:
        """Return who attends to whom, shape (loops, B, heads, T, T); rows sum to 1."""
        c, states = self.config, self.states(inputs, loops)
        found = []
        for t, weights in enumerate(self._weights(len(states) - 1)):
            state = states[t] + states[0] if c.injection and t else states[t]
            found.append(explicit_attention(c, state, weights()[0]))
        return torch.stack(found)

    def _run(
        self, inputs: Tensor, loops: int | None, visit: Criterion | None
    ) -> tuple[Tensor, list[Tensor]]:
        """Run the loops; return the last state and what ``visit`` made of every one."""
        r = self._checked_loops(loops)
        return unrolled(
            compiled_body(self.config, self.compiled, self.final),
            self._embedded(inputs),
            self._weights(r),
            injection=self.config.injection,
            checkpoint=self.checkpoint and torch.is_grad_enabled(),
            visit=visit,
        )

    def _checked_loops(self, loops: int | None) -> int:
        """Return the loop count of a call."""
        r = self.config.loops if loops is None else check_loops(loops)
        if self.config.family == "untied" and r != self.config.loops:
            raise ValueError(
                f"`loops` must equal the depth {self.config.loops} of an untied model, got {r}"
            )
        return r

    def _embedded(self, inputs: Tensor) -> Tensor:
        """Return the state before the first loop, (B, T, D)."""
        self._check(inputs)
        found = self._looked_up(inputs) if self.config.vocabulary else self._projected(inputs)
        return self._placed(found)

    def _projected(self, inputs: Tensor) -> Tensor:
        """Return the embedding of vectors."""
        return F.linear(inputs.to(self.embed.dtype), self.embed, self.embed_bias)

    def _placed(self, x: Tensor, *, positions: bool = True) -> Tensor:
        """Add positions to an embedding and norm it, as far as the configuration says."""
        c = self.config
        if positions and c.positions == "learned":
            x = x + self.position[: x.shape[1]]
        elif positions and c.positions == "sinusoidal":
            x = x + sinusoids(x.shape[1], c.width).to(x)
        return self.embed_norm(x) if c.embedding_norm else x

    def _looked_up(self, ids: Tensor) -> Tensor:
        """Return the embedding of token ids."""
        try:
            return F.embedding(ids, self.embed)
        except IndexError:  # on a CPU, at once; never asked of values, which a compiler has not
            low, high = (int(k) for k in ids.aminmax())
            raise ValueError(
                f"`inputs` must be token ids from 0 to {self.config.vocabulary - 1}, got {low} to "
                f"{high}"
            ) from None

    def _check(self, inputs: Tensor) -> None:
        """Raise unless the inputs fit the configuration."""
        c = self.config
        if c.vocabulary:
            expected, fits = "(B, T)", inputs.ndim == 2 and not inputs.is_floating_point()
        else:
            expected = f"(B, T, {c.channels})"
            fits = inputs.ndim == 3 and inputs.shape[2] == c.channels
        if not fits or not inputs.shape[1]:
            kind = "token ids" if c.vocabulary else "vectors"
            raise ValueError(
                f"`inputs` must be {kind} of shape {expected} with T >= 1, got {inputs.dtype} of "
                f"shape {tuple(inputs.shape)}"
            )
        if c.length and inputs.shape[1] > c.length:
            raise ValueError(f"`inputs` must have T <= length={c.length}, got {inputs.shape[1]}")

    def _weights(self, loops: int) -> list[Callable[[], Weights]]:
        """Return for every loop a function that returns its weights, eta multiplied in."""
        rows, blocks = self.eta(loops).unbind(0), self._blocks()
        if self.config.family == "lt":
            same = modulated(rows[0], blocks[0])
            return [lambda: same] * loops
        last = len(blocks) - 1
        return [partial(modulated, row, blocks[min(t, last)]) for t, row in enumerate(rows)]

    def _blocks(self) -> list[Weights]:
        """Return the weights of every block, before eta."""
        every = (self.qkv, self.out, self.up, self.up_bias, self.down, self.down_bias)
        return list(zip(*(weight.unbind(0) for weight in every), strict=True))

    def _read(self, state: Tensor) -> Tensor:
        """Map a state (B, T, D) to predictions (B, T, V)."""
        x = rms_norm(state) * self.final
        if self.config.tied:
            return F.linear(x, self.embed)
        return F.linear(x, self.read, self.read_bias)


def modulated(eta: Tensor, block: Weights) -> Weights:
    """Return the weights of a block with the scales on their inputs, gates on outputs."""
    scale_attn, gate_attn, scale_ff, gate_ff = eta.unbind(0)
    qkv, out, up, up_bias, down, down_bias = block
    return (
        qkv * scale_attn,
        out * gate_attn[:, None],
        up * scale_ff,
        up_bias,
        down * gate_ff[:, None],
        down_bias * gate_ff,
    )


def parameter_count(config: SequenceConfig) -> int:
    """Return the number of scalars of a model of this configuration, without making them."""
    return scalars_of(
        SequenceModel, config if config.family == "untied" else replace(config, loops=1)
    )


def matched_config(config: SequenceConfig, family: Family, *, loops: int) -> SequenceConfig:
    """Return a TMLT's configuration for another family and loop count.

    LT is widened in ``hidden`` until it has the parameters that TMLT spends on its clock (within
    half a hidden unit), as :func:`looprate.approx.models.looped.matched_config` does.  The untied
    baseline keeps the block; its count grows with the depth and is reported, not matched.
    """
    table = config.table if family == "tmlt" else 0
    changed = replace(config, family=family, loops=loops, table=table)
    if family != "lt":
        return changed
    missing = parameter_count(replace(config, family="tmlt", loops=loops)) - parameter_count(
        changed
    )
    return replace(changed, hidden=changed.hidden + round(missing / (2 * changed.width + 1)))
