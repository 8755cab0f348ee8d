"""The configuration of a sequence model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from looprate.approx.models.parts import BlockConfig
from looprate.theory.notation import check_choice, check_loops

__all__ = ["SequenceConfig"]

Positions = Literal["learned", "sinusoidal", "none"]
POSITIONS: tuple[Positions, ...] = get_args(Positions)


@dataclass(frozen=True)
class SequenceConfig(BlockConfig):
    """Everything that decides the shape of one sequence model.

    Parameters
    ----------
    width, heads, ..., gate, clock_activation, table
        As in :class:`~looprate.approx.models.parts.BlockConfig`.
    vocabulary, channels : int
        Token ids 0..vocabulary-1 as inputs, or vectors of so many entries; the other one is 0.
    outputs : int
        Classes or numbers predicted at each position; 0 means the vocabulary.
    length : int
        T, the longest sequence; needed for learned positions, 0 otherwise means any.
    loops : int
        r, the loop count it is trained with; tied models run with any other, too.
    positions : {"learned", "sinusoidal", "none"}
        Without any, and without a causal mask, the map is permutation-equivariant.
    embedding_norm, causal, tied : bool
        LayerNorm on the embedding; position t sees positions up to t only; the read-out is the
        token embedding.
    """

    width: int = 64
    heads: int = 4
    hidden: int = 256
    activation: str = "gelu"
    vocabulary: int = 0
    channels: int = 0
    outputs: int = 0
    length: int = 0
    loops: int = 8
    positions: Positions = "learned"
    embedding_norm: bool = False
    causal: bool = True
    tied: bool = False

    def __post_init__(self) -> None:
        check_loops(self.loops)
        for name in ("vocabulary", "channels", "outputs", "length"):
            if getattr(self, name) < 0:
                raise ValueError(f"`{name}` must be an integer >= 0, got {getattr(self, name)}")
        self.check_block()
        if (self.vocabulary > 0) == (self.channels > 0):
            raise ValueError(
                "`vocabulary` or `channels` must be > 0, and only one of them (token ids or "
                f"vectors), got {self.vocabulary} and {self.channels}"
            )
        if self.channels and not self.outputs:
            raise ValueError("`outputs` must be >= 1 for inputs that are vectors, got 0; take 1")
        check_choice(self.positions, "positions", POSITIONS)
        if self.positions == "learned" and not self.length:
            raise ValueError("`length` must be >= 1 for learned positions, got 0; take the longest")
        if self.positions == "sinusoidal" and self.width % 2:
            raise ValueError(
                f"`width` must be even for sinusoidal positions, got {self.width}; add 1"
            )
        if self.tied and not self.vocabulary:
            raise ValueError(
                "`tied` must be False for inputs that are vectors (they have no token embedding), "
                "got True"
            )
        if self.tied and self.outputs not in (0, self.vocabulary):
            raise ValueError(
                f"`outputs` must be vocabulary={self.vocabulary} for a tied read-out, got "
                f"{self.outputs}; leave it out, or take tied=False"
            )

    @property
    def blocks(self) -> int:
        """Distinct blocks: 1, or ``loops`` for an untied model."""
        return self.loops if self.family == "untied" else 1

    @property
    def predicted(self) -> int:
        """V, the entries of an output."""
        return self.outputs or self.vocabulary
