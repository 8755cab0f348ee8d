"""The configuration of a sequence model."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from looprate.approx.models.parts import Family, check_block
from looprate.theory.notation import check_loops

__all__ = ["SequenceConfig"]

Positions = Literal["learned", "sinusoidal", "none"]
POSITIONS: tuple[Positions, ...] = ("learned", "sinusoidal", "none")


@dataclass(frozen=True)
class SequenceConfig:
    """Everything that decides the shape of one sequence model.

    Parameters
    ----------
    vocabulary, channels : int
        Token ids 0..vocabulary-1 as inputs, or vectors of so many entries; the other one is 0.
    outputs : int
        Classes or numbers predicted at each position; 0 means the vocabulary.
    length : int
        T, the longest sequence; needed for learned positions, 0 otherwise means any.
    width, heads, hidden : int
        D, number of attention heads (divides D), hidden units of the feed-forward layer.
    loops : int
        r, the loop count it is trained with; tied models run with any other, too.
    family : {"lt", "tmlt", "untied"}
        One constant eta; eta(t); or one block per loop (a standard Transformer of that depth).
    frequencies, clock : int
        Sinusoids of t fed to the timestep network, and its hidden width (TMLT only).
    norm : {"rms", "none"}
        Normalisation before attention and feed-forward (no gains; eta scales instead).
    activation : {"relu", "gelu", "silu"}
    positions : {"learned", "sinusoidal", "none"}
        Without any, and without a causal mask, the map is permutation-equivariant.
    embedding_norm, causal, injection, tied : bool
        LayerNorm on the embedding; position t sees positions up to t only; add the embedding to
        the state before every loop after the first; the read-out is the token embedding.
    gate : float
        Fixed factor of the residual gates eta[:, 1] and eta[:, 3], as in
        :class:`~looprate.approx.models.looped.ModelConfig`.
    """

    vocabulary: int = 0
    channels: int = 0
    outputs: int = 0
    length: int = 0
    width: int = 64
    heads: int = 4
    hidden: int = 256
    loops: int = 8
    family: Family = "tmlt"
    frequencies: int = 8
    clock: int = 8
    norm: Literal["rms", "none"] = "rms"
    activation: str = "gelu"
    positions: Positions = "learned"
    embedding_norm: bool = False
    causal: bool = True
    injection: bool = False
    tied: bool = False
    gate: float = 1.0

    def __post_init__(self) -> None:
        check_loops(self.loops)
        for name in ("vocabulary", "channels", "outputs", "length"):
            if getattr(self, name) < 0:
                raise ValueError(f"`{name}` must be an integer >= 0, got {getattr(self, name)}")
        check_block(self)
        if (self.vocabulary > 0) == (self.channels > 0):
            raise ValueError(
                "`vocabulary` or `channels` must be > 0, and only one of them (token ids or "
                f"vectors), got {self.vocabulary} and {self.channels}"
            )
        if self.channels and not self.outputs:
            raise ValueError("`outputs` must be >= 1 for inputs that are vectors, got 0; take 1")
        if self.positions not in POSITIONS:
            raise ValueError(
                f"`positions` must be one of {', '.join(POSITIONS)}, got {self.positions!r}"
            )
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

    def as_dict(self) -> dict[str, Any]:
        """Return a JSON-ready dictionary; ``SequenceConfig(**d)`` inverts it."""
        return asdict(self)
