"""Names, shapes and first values of the weights of the authors' public models.

Facts about two repositories, as data: kevin671/tmlt (commit 72b3228, ``model.py``) and
kevin671/timestep-encoding (commit dd2eb8a, ``dynamic_programming/model.py``).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

CLASSES = ("model.LoopedGPT", "model.TMLT", "LoopedGPT", "TimeDependentLoopedGPT", "GPT")
MODULATED = ("model.TMLT", "TimeDependentLoopedGPT")
CLOCK = 256  # sinusoids of t
#: Pairs of edit-distance models -> configurations without and with the timestep.  The official pair
#: also differs in norm gains, activation and gates; the matched one in the timestep alone.
PAIRINGS = {
    "official": ({"cls": "LoopedGPT"}, {"cls": "TimeDependentLoopedGPT"}),
    "matched": (
        {"cls": "TimeDependentLoopedGPT", "still": True},
        {"cls": "TimeDependentLoopedGPT"},
    ),
}
SIZES = {  # ours -> theirs, WikiText and edit distance
    "vocabulary": ("vocab_size", "vocab"),
    "length": ("block_size", "maxlen"),
    "width": ("n_embd", "dmodel"),
    "heads": ("n_head", "head"),
    "loops": ("n_loop", "num_loop"),
}


@dataclass(frozen=True)
class OfficialConfig:
    """What decides one official model; :meth:`parse` makes it from the authors' names.

    Parameters
    ----------
    cls : str
        One of :data:`CLASSES`.
    vocabulary, length, width, heads, loops : int
        V, largest T, D, attention heads, r.
    depth : int
        Distinct blocks: 1, or ``loops`` for "GPT".
    bias : bool
        Biases of the block's matrices (always there in the edit-distance models).
    causal, rpe : bool
        Causal mask; relative positions (scores fall with the distance) instead of sinusoids.
    still : bool
        The clock stands at t = 0 in every loop: the same parameters, norms, activation and gates,
        without the timestep.  Not of the authors' code.
    residual : float
        Factor of the first values of the matrices that write to the state (WikiText).
    """

    cls: str
    vocabulary: int
    length: int
    width: int
    heads: int
    loops: int
    depth: int = 1
    bias: bool = True
    causal: bool = True
    rpe: bool = False
    still: bool = False
    residual: float = 1.0

    @property
    def wikitext(self) -> bool:
        """Whether this is a model of the WikiText code."""
        return self.cls.startswith("model.")

    @classmethod
    def parse(cls, config: Mapping[str, Any]) -> OfficialConfig:
        """Read a configuration in the authors' names; see ``from_official``."""
        name = config.get("cls")
        if name not in CLASSES:
            raise ValueError(f"`cls` must be one of {', '.join(CLASSES)}, got {name!r}")
        wikitext = name.startswith("model.")
        names = {ours: theirs[0 if wikitext else 1] for ours, theirs in SIZES.items()}
        if name == "GPT":
            names["loops"] = "num_layer"
        sizes = {ours: _size(config, theirs) for ours, theirs in names.items()}
        if sizes["width"] % sizes["heads"]:
            raise ValueError(
                f"`{names['heads']}` must divide {names['width']}={sizes['width']}, got "
                f"{sizes['heads']}"
            )
        V, T, D, heads, loops = (sizes[ours] for ours in SIZES)
        still = bool(config.get("still", False))
        if still and name not in MODULATED:
            raise ValueError(
                f"`still` is for {' and '.join(MODULATED)}, which have a clock, got cls={name!r}; "
                "leave it out"
            )
        made = cls(name, V, T, D, heads, loops, still=still)
        if wikitext:
            residual = 1 / math.sqrt(2 * config.get("n_layer", 1))
            bias, causal = bool(config.get("bias", False)), bool(config.get("is_causal", True))
            return replace(made, bias=bias, causal=causal, residual=residual)
        depth = loops if name == "GPT" else 1
        return replace(made, depth=depth, rpe=bool(config.get("rpe", False)))


@dataclass(frozen=True)
class Entry:
    """One of our parameters: the official entries it stacks, its shape and its first values.

    Parameters
    ----------
    names : tuple of str
        Official names, stacked along the first axis.
    shape : tuple of int
    law : {"normal", "uniform", "constant"}
    size : float
        Standard deviation, half width, or the constant.
    """

    names: tuple[str, ...]
    shape: tuple[int, ...]
    law: Literal["normal", "uniform", "constant"]
    size: float

    def draw(self, parameter: Tensor, generator: torch.Generator) -> None:
        """Write first values to a parameter."""
        if self.law == "normal":
            parameter.normal_(0.0, self.size, generator=generator)
        elif self.law == "uniform":
            parameter.uniform_(-self.size, self.size, generator=generator)
        else:
            parameter.fill_(self.size)


Table = dict[tuple[str, str], Entry]


def entries(config: OfficialConfig) -> Table:
    """Return every parameter of a model by group ("ends", or the number of a block) and name."""
    c, D, V = config, config.width, config.vocabulary
    table: Table = {}
    if c.wikitext:
        wte = "transformer.wte.weight"
        table["ends", "token"] = Entry((wte,), (V, D), "normal", 0.02)
        wpe = "transformer.wpe.weight"
        table["ends", "position"] = Entry((wpe,), (c.length, D), "normal", 0.02)
        table["ends", "final"] = Entry(("transformer.ln_f.weight",), (D,), "constant", 1.0)
    else:
        token = "transformer.embedding.tok_embed.weight"
        table["ends", "token"] = Entry((token,), (V, D), "normal", 1.0)
        _norm(table, "ends", "token_norm", "transformer.embedding.norm", D)
        _norm(table, "ends", "final", "transformer.ln_f", D)
        _linear(table, c, "ends", "head", ("lm_head",), (V, D), plain=True)
    for k in range(c.depth):
        _block(table, c, k)
    if c.cls in MODULATED:
        _clock(table, c)
    return table


def ignored(config: OfficialConfig) -> set[str]:
    """Return the names of buffers, which follow from the configuration."""
    if config.wikitext:
        return set()
    masks = {
        f"{_at(config, k)}attn.{name}" for k in range(config.depth) for name in ("bias", "RPE")
    }
    return masks | {"transformer.embedding.pe"}


def _block(table: Table, c: OfficialConfig, k: int) -> None:
    """Add block number ``k``."""
    D, group, at = c.width, str(k), _at(c, k)
    parts = ("q", "k", "v") if c.wikitext else ("c_attn",)
    _linear(table, c, group, "qkv", tuple(f"{at}attn.{part}" for part in parts), (3 * D, D))
    _linear(table, c, group, "out", (f"{at}attn.c_proj",), (D, D), factor=c.residual)
    up, down = ("c_fc", "c_proj") if c.wikitext or c.cls == "GPT" else ("0", "2")
    _linear(table, c, group, "up", (f"{at}mlp.{up}",), (4 * D, D))
    _linear(table, c, group, "down", (f"{at}mlp.{down}",), (D, 4 * D), factor=c.residual)
    for place in ("1", "2"):
        if c.cls == "GPT":
            _norm(table, group, f"norm{place}", f"{at}ln_{place}", D)
        elif c.cls == "LoopedGPT":
            gain = (f"{at}norm{place}.weight",)
            table[group, f"norm{place}"] = Entry(gain, (D,), "constant", 1.0)


def _clock(table: Table, c: OfficialConfig) -> None:
    """Add the network of t."""
    D, embedder = c.width, "timestep_embedder.mlp"
    last = "adaLN_modulation.1" if c.wikitext else "transformer.h.adaLN_modulation.1"
    shape = (D, CLOCK)
    _linear(table, c, "ends", "clock_in", (f"{embedder}.0",), shape, plain=True)
    _linear(table, c, "ends", "clock_mid", (f"{embedder}.2",), (D, D), plain=True)
    for name, kind, size in (("", "weight", (4 * D, D)), ("_bias", "bias", (4 * D,))):
        table["ends", f"clock_out{name}"] = Entry((f"{last}.{kind}",), size, "constant", 0.0)


def _linear(
    table: Table,
    c: OfficialConfig,
    group: str,
    name: str,
    official: tuple[str, ...],
    shape: tuple[int, int],
    *,
    factor: float = 1.0,
    plain: bool = False,
) -> None:
    """Add a matrix and its bias; ``plain`` is torch's own initialisation everywhere."""
    uniform = plain or not c.wikitext
    half = 1 / math.sqrt(shape[1])
    weights, biases = (tuple(f"{n}.{kind}" for n in official) for kind in ("weight", "bias"))
    if uniform:
        table[group, name] = Entry(weights, shape, "uniform", half)
        table[group, f"{name}_bias"] = Entry(biases, shape[:1], "uniform", half)
    else:
        table[group, name] = Entry(weights, shape, "normal", 0.02 * factor)
        if c.bias:
            table[group, f"{name}_bias"] = Entry(biases, shape[:1], "constant", 0.0)


def _norm(table: Table, group: str, name: str, official: str, width: int) -> None:
    """Add the gain and the bias of a LayerNorm."""
    table[group, name] = Entry((f"{official}.weight",), (width,), "constant", 1.0)
    table[group, f"{name}_bias"] = Entry((f"{official}.bias",), (width,), "constant", 0.0)


def _at(c: OfficialConfig, k: int) -> str:
    """Return the prefix of a block's names."""
    if c.cls == "GPT":
        return f"transformer.h.{k}."
    return "transformer.h." if c.cls == "TimeDependentLoopedGPT" else "transformer."


def _size(config: Mapping[str, Any], name: str) -> int:
    """Return one size, or raise naming it."""
    value = config.get(name)
    whole = hasattr(value, "__index__") and not isinstance(value, bool | np.bool_)
    if value is None or not whole or int(value.__index__()) < 1:
        raise ValueError(
            f"`config` must have an integer {name} >= 1 for cls={config['cls']!r}, got {value!r}"
        )
    return int(value.__index__())
