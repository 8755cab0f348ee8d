"""The authors' public models one loop at a time, as ``looprate autopsy`` asks for them.

Parts that can be switched off: ``timestep`` (the modulation of every loop is the mean of those of
training), ``gates`` (they are 1), ``positions`` (none are added).  The last norm is a part of
reading, as in their code.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from looprate.approx.models.loops import CLOCK, ModelLoops
from looprate.approx.official.layout import MODULATED
from looprate.approx.official.model import OfficialModel

__all__ = ["OfficialLoops"]


class OfficialLoops(ModelLoops):
    """A model of the authors', one loop at a time.

    Parameters
    ----------
    model : OfficialModel
    given : int64 Tensor, shape (B, T)
        Token ids.
    targets : int64 Tensor, shape (B, T), optional
        The ids that should be read out, -1 where none is asked.
    loops : int
        r of training.
    off : str
        The part that is switched off, "" for none.
    """

    model: OfficialModel

    @property
    def inputs(self) -> Tensor:
        """Embeddings of the token ids, without positions."""
        return F.embedding(self.given, self.model.ends["token"])

    @property
    def parts(self) -> list[str]:
        c = self.model.config
        there = {
            CLOCK: c.cls in MODULATED,
            "gates": c.cls in MODULATED,
            "positions": not c.rpe,
        }
        return [name for name, has in there.items() if has]

    def start(self, inputs: Tensor) -> Tensor:
        """Return the first state (B, T, D) from token embeddings."""
        return self.model._placed(inputs, positions=self.off != "positions")

    def step(self, state: Tensor, t: int) -> Tensor:
        """Apply the block once."""
        m = self.model
        rows = m._modulation(max(t + 1, self.loops))
        eta = rows[t]
        if eta is not None and self.off == CLOCK:
            parts = zip(*(row for row in rows[: self.loops] if row is not None), strict=True)
            eta = tuple(torch.stack(part).mean(0) for part in parts)
        if eta is not None and self.off == "gates":
            ones = torch.ones_like(eta[1])
            eta = (eta[0], ones, eta[2], ones)
        block = m.blocks[min(t, m.config.depth - 1)]
        return m._block(state, block, eta, m._mask(state.shape[1]))  # type: ignore[arg-type]

    def read(self, state: Tensor) -> Tensor:
        """Return the logits (B, T, V)."""
        return self.model._logits(state)
