"""The authors' public models, from their state dicts to the same logits.

One module with options stands for all of them.  ``cls`` names the variant, as their code does:

``model.LoopedGPT``         WikiText, kevin671/tmlt: raw x as attention value and as MLP input
``model.TMLT``              WikiText: modulated, both norms, no gains
``LoopedGPT``               edit distance, kevin671/timestep-encoding: norms with gains, tanh-GELU
``TimeDependentLoopedGPT``  edit distance: modulated, norms without gains, SiLU
``GPT``                     edit distance, the untied baseline: LayerNorms

So either official pair differs in more than the timestep.  ``still=True`` in a configuration holds
the clock of a modulated model at t = 0, so that the pair with and without it differs in nothing
else: :data:`looprate.approx.official.layout.PAIRINGS` names both;
:class:`looprate.approx.models.sequence.SequenceModel` has such pairs of this project.

Weights arrive as mappings from names to arrays: files that run code when they are read (torch's own
format) are for others to convert.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from looprate.approx.models.parts import sinusoids
from looprate.approx.official.layout import CLOCK, MODULATED, OfficialConfig, entries, ignored
from looprate.theory.notation import check_loops

TANH_GELU: Callable[[Tensor], Tensor] = partial(F.gelu, approximate="tanh")
ACTIVATION: dict[str, Callable[[Tensor], Tensor]] = {
    "model.LoopedGPT": F.gelu,
    "model.TMLT": F.gelu,
    "LoopedGPT": TANH_GELU,
    "TimeDependentLoopedGPT": F.silu,
    "GPT": TANH_GELU,
}
PREFIXES = ("_orig_mod.", "module.", "model.")  # what training wrappers put before names, nested
WEIGHTS = ("model", "state_dict", "model_state_dict")  # where a whole checkpoint holds them


class OfficialModel(nn.Module):
    """One of the authors' models: token ids (B, T) to logits (B, T, V); no dropout.

    Parameters
    ----------
    config : OfficialConfig
        The weights are left unset; :func:`from_official` and :func:`official_model` set them.
    """

    def __init__(self, config: OfficialConfig) -> None:
        super().__init__()
        self.config = config
        groups: dict[str, nn.ParameterDict] = {}
        for (group, name), entry in entries(config).items():
            groups.setdefault(group, nn.ParameterDict())[name] = torch.empty(entry.shape)
        self.ends = groups.pop("ends")
        self.blocks = nn.ModuleList(groups.values())

    def forward(self, ids: Tensor, *, loops: int | None = None) -> Tensor:
        """Map token ids (B, T) to logits (B, T, V).

        Parameters
        ----------
        ids : int64 Tensor, shape (B, T)
            T at most ``config.length``.
        loops : int, optional
            The configuration's own count if left out; the untied baseline has no other.
        """
        c = self.config
        r = c.loops if loops is None else check_loops(loops)
        if ids.ndim != 2 or not 1 <= ids.shape[1] <= c.length:
            raise ValueError(
                f"`ids` must have shape (B, 1 <= T <= {c.length}), got {tuple(ids.shape)}"
            )
        if c.depth > 1 and r != c.loops:
            raise ValueError(f"`loops` must equal the depth {c.loops} of an untied model, got {r}")
        x, mask = self._embedded(ids), self._mask(ids.shape[1])
        rows = self._modulation(r)
        for t in range(r):
            block: Any = self.blocks[min(t, c.depth - 1)]
            x = self._block(x, block, rows[t], mask)
        return self._logits(x)

    def _embedded(self, ids: Tensor) -> Tensor:
        """Return token embeddings with positions, (B, T, D)."""
        padding = None if self.config.wikitext else 0
        return self._placed(F.embedding(ids, self.ends["token"], padding_idx=padding))

    def _placed(self, x: Tensor, *, positions: bool = True) -> Tensor:
        """Add positions to token embeddings and norm them, as the variant does."""
        c, e = self.config, self.ends
        if c.wikitext:
            return x + e["position"][: x.shape[1]] if positions else x
        if positions and not c.rpe:
            wave = sinusoids(x.shape[1], c.width).to(x)  # cosines, then sines
            cosine, sine = wave.chunk(2, dim=1)
            x = x + torch.stack([sine, cosine], 2).flatten(1)
        return F.layer_norm(x, (c.width,), e["token_norm"], e["token_norm_bias"])

    def _mask(self, tokens: int) -> Tensor | None:
        """Return what is added to the scores, (heads, T, T), where there are relative positions."""
        c = self.config
        if not c.rpe:
            return None
        like = self.ends["token"]
        place = torch.arange(tokens, device=like.device)
        gap = (place - place[:, None]).to(like.dtype)  # of key and query: negative in the past
        slope = 2.0 ** (-8 / c.heads * torch.arange(1, c.heads + 1, device=like.device))
        scores = slope.to(like.dtype)[:, None, None] * gap
        return scores.masked_fill(gap > 0, -math.inf)

    def _modulation(self, loops: int) -> list[tuple[Tensor, ...] | None]:
        """Return (scale, gate, scale, gate) of attention and MLP for every loop, or None."""
        c, e = self.config, self.ends
        if c.cls not in MODULATED:
            return [None] * loops
        wave = sinusoids(loops, CLOCK).to(e["token"])
        wave = wave[:1].expand_as(wave) if c.still else wave
        hidden = F.silu(F.linear(wave, e["clock_in"], e["clock_in_bias"]))
        hidden = F.silu(F.linear(hidden, e["clock_mid"], e["clock_mid_bias"]))
        chunks = F.linear(hidden, e["clock_out"], e["clock_out_bias"]).chunk(4, dim=1)
        order = (2, 0, 3, 1) if c.wikitext else (0, 2, 1, 3)  # the repositories' orders differ
        scale_attn, gate_attn, scale_mlp, gate_mlp = (chunks[k] for k in order)
        parts = (1 + scale_attn, gate_attn, 1 + scale_mlp, gate_mlp)
        return list(zip(*(part.unbind(0) for part in parts), strict=True))

    def _block(
        self, x: Tensor, p: nn.ParameterDict, eta: tuple[Tensor, ...] | None, mask: Tensor | None
    ) -> Tensor:
        """Apply one block: (B, T, D) to (B, T, D)."""
        c, D = self.config, self.config.width
        raw = c.cls == "model.LoopedGPT"
        y = self._norm(x, p, "norm1") if eta is None else self._norm(x, p, "norm1") * eta[0]
        bias = p.get("qkv_bias")
        if raw:  # the value reads what was not normalised
            bias_qk, bias_v = (None, None) if bias is None else (bias[: 2 * D], bias[2 * D :])
            value = F.linear(x, p["qkv"][2 * D :], bias_v)
            qkv = torch.cat([F.linear(y, p["qkv"][: 2 * D], bias_qk), value], -1)
        else:
            qkv = F.linear(y, p["qkv"], bias)
        mixed = self._attend(qkv, mask)
        update = F.linear(mixed, p["out"], p.get("out_bias"))
        x = x + (update if eta is None else eta[1] * update)
        y = x if raw else self._norm(x, p, "norm2")
        y = y if eta is None else y * eta[2]
        hidden = F.linear(y, p["up"], p.get("up_bias"))
        hidden = ACTIVATION[c.cls](hidden)
        update = F.linear(hidden, p["down"], p.get("down_bias"))
        return x + (update if eta is None else eta[3] * update)

    def _attend(self, qkv: Tensor, mask: Tensor | None) -> Tensor:
        """Map (B, T, 3D) to what the heads attend to, (B, T, D)."""
        B, T, _ = qkv.shape
        q, k, v = qkv.view(B, T, 3, self.config.heads, -1).permute(2, 0, 3, 1, 4)
        if mask is None:
            mixed = F.scaled_dot_product_attention(q, k, v, is_causal=self.config.causal)
        else:
            mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask.to(q.dtype))
        return mixed.transpose(1, 2).reshape(B, T, -1)

    def _norm(self, x: Tensor, p: nn.ParameterDict, name: str) -> Tensor:
        """Apply a norm of a block; RMS norms add the epsilon of their dtype inside the root."""
        gain = p.get(name)
        if self.config.cls == "GPT":
            return F.layer_norm(x, (self.config.width,), gain, p[f"{name}_bias"])
        return F.rms_norm(x, (self.config.width,), gain, eps=None)

    def _logits(self, x: Tensor) -> Tensor:
        """Apply the last norm and the head."""
        c, e = self.config, self.ends
        if c.wikitext:  # the head is the token embedding
            return F.linear(F.rms_norm(x, (c.width,), e["final"], eps=None), e["token"])
        x = F.layer_norm(x, (c.width,), e["final"], e["final_bias"])
        return F.linear(x, e["head"], e["head_bias"])


def from_official(state_dict: Mapping[str, Any], config: Mapping[str, Any]) -> OfficialModel:
    """Return the model of a state dict of the authors' code.

    Parameters
    ----------
    state_dict : mapping from names to arrays or tensors
        Names as their code saves them, also within a whole checkpoint or behind the prefixes of
        compiled and distributed training; masks and position tables, which follow from the
        configuration, may be there or not, and one of two tied entries.  From a file:
        ``numpy.load(path, allow_pickle=False)``.
    config : mapping
        Its ``cls`` names the variant; the sizes go by the names of the authors' code: block_size,
        vocab_size, n_head, n_embd, bias, is_causal, n_loop for WikiText; maxlen, vocab, head,
        dmodel, num_loop, rpe (num_layer for "GPT") for edit distance.  Other keys are not read.

    Returns
    -------
    OfficialModel
        In the dtype of the weights and in evaluation mode.

    Raises
    ------
    ValueError
        If ``cls`` or a size is unknown, or an entry is missing, unexpected or of another shape.
    """
    parsed = OfficialConfig.parse(config)
    given = _tensors(state_dict, parsed.wikitext)
    table = entries(parsed)
    expected = {name for entry in table.values() for name in entry.names}
    copies = {"lm_head.weight"} if parsed.wikitext else set()
    if missing := sorted(expected - given.keys()):
        raise ValueError(
            f"`state_dict` lacks {', '.join(missing)} of a {parsed.cls}; check `cls` and sizes"
        )
    extra = sorted(given.keys() - expected - copies - ignored(parsed))
    if extra:
        raise ValueError(
            f"`state_dict` has {', '.join(extra)}, which a {parsed.cls} has not; check `cls`"
        )
    with torch.device("meta"):
        model = OfficialModel(parsed)
    for (group, name), entry in table.items():
        parts = [given[part] for part in entry.names]
        shape = (entry.shape[0] // len(parts), *entry.shape[1:])
        for official, part in zip(entry.names, parts, strict=True):
            if tuple(part.shape) != shape:
                raise ValueError(
                    f"`state_dict` entry {official} must have shape {shape} by the configuration, "
                    f"got {tuple(part.shape)}"
                )
        _group(model, group)[name] = nn.Parameter(torch.cat(parts).clone())
    if "lm_head.weight" in given and parsed.wikitext:
        _check_tied(given)
    return model.eval()


def official_model(config: Mapping[str, Any], *, seed: int) -> OfficialModel:
    """Return a model with fresh weights, drawn as the authors' code draws them.

    Parameters
    ----------
    config : mapping
        As for :func:`from_official`.
    seed : int
    """
    dropout = config.get("dropout", config.get("drop", 0.0))
    if dropout:
        raise ValueError(f"`config` must have dropout 0, as the authors trained, got {dropout}")
    parsed = OfficialConfig.parse(config)
    model = OfficialModel(parsed)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for (group, name), entry in entries(parsed).items():
            entry.draw(_group(model, group)[name], generator)
        if not parsed.wikitext:
            model.ends["token"][0] = 0.0  # the padding token
    return model


def _group(model: OfficialModel, group: str) -> nn.ParameterDict:
    """Return the parameters of the ends, or of one block by its number."""
    found: Any = model.ends if group == "ends" else model.blocks[int(group)]
    return found


def bare_name(name: str) -> str:
    """Return a name without what training wrappers put before it, in any order and number."""
    while found := next((prefix for prefix in PREFIXES if name.startswith(prefix)), None):
        name = name.removeprefix(found)
    return name


def weights_of(state_dict: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the weights themselves, where a whole checkpoint is given."""
    if not isinstance(state_dict, Mapping):
        raise TypeError(
            f"`state_dict` must be a mapping from names to arrays, got {type(state_dict).__name__}"
        )
    inner = [state_dict[key] for key in WEIGHTS if isinstance(state_dict.get(key), Mapping)]
    return weights_of(inner[0]) if inner else state_dict


def _tensors(state_dict: Mapping[str, Any], tied: bool) -> dict[str, Tensor]:
    """Return the entries by their plain names as tensors; of a tied pair, one may be left out."""
    given: dict[str, Tensor] = {}
    for name, value in weights_of(state_dict).items():
        if not isinstance(value, Tensor | np.ndarray | list | np.generic):
            raise ValueError(
                f"`state_dict` entry {name} must be an array or a tensor, got "
                f"{type(value).__name__}; give the mapping that holds the weights alone"
            )
        if given.setdefault(bare_name(str(name)), entry := torch.as_tensor(value)) is not entry:
            raise ValueError(
                f"`state_dict` must name each weight once, got {name} and another "
                f"{bare_name(name)}; leave one of them out"
            )
    if tied and "lm_head.weight" in given:  # safetensors keeps one of the two
        given.setdefault("transformer.wte.weight", given["lm_head.weight"])
    return given


def _check_tied(given: Mapping[str, Tensor]) -> None:
    """Raise unless the head is the embedding."""
    if not torch.equal(given["lm_head.weight"], given["transformer.wte.weight"]):
        raise ValueError(
            "`state_dict` must have lm_head.weight equal to transformer.wte.weight (they are one "
            "parameter), got two; check the conversion"
        )
