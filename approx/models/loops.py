"""This project's models one loop at a time, as ``looprate autopsy`` asks for them.

Parts that a model has can be switched off one at a time:

``timestep``   eta is the same in every loop: its mean over the loops of training
``gates``      what a loop adds is added as it is: the gates of eta are 1
``positions``  none are added to the embedding
``injection``  the embedding is not added again before later loops
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from looprate.approx.models.looped import LoopedTransformer
from looprate.approx.models.parts import BlockConfig
from looprate.approx.models.sequence import SequenceModel, modulated
from looprate.approx.models.unrolled import compiled_body
from looprate.theory.notation import check_loops

__all__ = ["CLOCK", "SequenceLoops", "VectorLoops"]

CLOCK = "timestep"  # the part that reads t


class ModelLoops(nn.Module):
    """A looped model with the inputs it is looked at with, one loop at a time.

    Parameters
    ----------
    model : nn.Module
    given : Tensor
        Inputs of the model, (B, ...).
    targets : Tensor, optional
        What the outputs should be: numbers of their shape, or ids (B, T), -1 where none is asked.
    loops : int
        r of training.
    off : str
        The part that is switched off, "" for none.
    """

    given: Tensor
    targets: Tensor | None

    def __init__(
        self, model: Any, given: Tensor, targets: Tensor | None = None, *, loops: int, off: str = ""
    ) -> None:
        super().__init__()
        self.model, self.loops, self.off = model, check_loops(loops), off
        self.register_buffer("given", given, persistent=False)
        self.register_buffer("targets", targets, persistent=False)

    @property
    def inputs(self) -> Tensor:
        """What a run starts from: inputs of the model, or embeddings of its token ids."""
        return self.given

    @property
    def parts(self) -> list[str]:
        """Return the names of the parts that can be switched off."""
        raise NotImplementedError

    @property
    def without(self) -> dict[str, ModelLoops]:
        """The same with one part off, by its name."""
        if self.off:
            return {}
        make = type(self)
        return {
            name: make(self.model, self.given, self.targets, loops=self.loops, off=name)
            for name in self.parts
        }

    @property
    def error(self) -> Callable[[Tensor], Tensor] | None:
        """The error of an output, None without targets."""
        return None if self.targets is None else self._error

    def _error(self, output: Tensor) -> Tensor:
        """Root mean square of the difference; of ids, the share that is wrong."""
        targets = self.targets
        if targets is None:
            raise ValueError("`targets` must be given for an error, got None")
        if targets.is_floating_point():
            return (output - targets).square().mean().sqrt()
        asked = targets >= 0
        return (output.argmax(-1) != targets)[asked].double().mean()


class VectorLoops(ModelLoops):
    """A :class:`~looprate.approx.models.looped.LoopedTransformer`, one loop at a time.

    Parameters
    ----------
    model : LoopedTransformer
    given : Tensor, shape (B, N, d)
    targets : Tensor, shape (B, N, d), optional
    loops : int
        r of training.
    off : str
    """

    model: LoopedTransformer

    @property
    def parts(self) -> list[str]:
        return parts_of(self.model.config, positions=self.model.config.positions > 0)

    def start(self, inputs: Tensor) -> Tensor:
        """Return the embedding (B, N, D)."""
        m = self.model
        self.first = inputs @ m.embed.mT + m.embed_bias
        if m.config.positions and self.off != "positions":
            self.first = self.first + m.position.mT
        return self.first

    def step(self, state: Tensor, t: int) -> Tensor:
        """Apply the block once."""
        c = self.model.config
        if c.injection and t and self.off != "injection":
            state = state + self.first
        return self.model._block(state, eta_of(self, t), min(t, c.blocks - 1))

    def read(self, state: Tensor) -> Tensor:
        """Return the output (B, N, d)."""
        return state @ self.model.read.mT + self.model.read_bias


class SequenceLoops(ModelLoops):
    """A :class:`~looprate.approx.models.sequence.SequenceModel`, one loop at a time.

    Parameters
    ----------
    model : SequenceModel
    given : Tensor
        Token ids (B, T), or vectors (B, T, C).
    targets : Tensor, optional
    loops : int
        r of training.
    off : str
    """

    model: SequenceModel

    @property
    def inputs(self) -> Tensor:
        return self.model._looked_up(self.given) if self.model.config.vocabulary else self.given

    @property
    def parts(self) -> list[str]:
        return parts_of(self.model.config, positions=self.model.config.positions != "none")

    def start(self, inputs: Tensor) -> Tensor:
        """Return the first state (B, T, D) from embeddings, or from vectors."""
        m = self.model
        x = inputs if m.config.vocabulary else m._projected(inputs)
        self.first = m._placed(x, positions=self.off != "positions")
        return self.first

    def step(self, state: Tensor, t: int) -> Tensor:
        """Apply the block once."""
        m = self.model
        if m.config.injection and t and self.off != "injection":
            state = state + self.first
        block = m._blocks()[min(t, m.config.blocks - 1)]
        body = compiled_body(m.config, False, m.final)
        return body(state, *modulated(eta_of(self, t), block))

    def read(self, state: Tensor) -> Tensor:
        """Return the predictions (B, T, V)."""
        return self.model._read(state)


def eta_of(adapter: ModelLoops, t: int) -> Tensor:
    """Return eta of loop t, (4, D), with a part of it switched off."""
    model = adapter.model
    still = adapter.off == CLOCK
    eta = model.eta(adapter.loops).mean(0) if still else model.eta(t + 1)[t]
    if adapter.off == "gates":
        scale, _, other, _ = eta.unbind(0)
        ones = torch.full_like(scale, model.config.gate)  # its fixed factor stays
        eta = torch.stack([scale, ones, other, ones])
    return eta


def parts_of(config: BlockConfig, *, positions: bool) -> list[str]:
    """Return which parts a model of ours has."""
    there = {
        CLOCK: config.family == "tmlt",
        "gates": True,
        "positions": positions,
        "injection": config.injection,
    }
    return [name for name, has in there.items() if has]
