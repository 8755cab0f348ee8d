"""The loop of a sequence model: one body, applied with weights of its own every time.

The gradient keeps everything, or (``checkpoint``) the state at the start of every segment only, and
runs a segment again when its turn comes.  With r loops in segments of s, about r/s states and the
inner values of s loops are held at once; one loop's inner values are worth some sixteen states, so
that s = sqrt(r)/4 is best.
"""

from __future__ import annotations

import functools
import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint as run_again

from looprate.approx.models.parts import ACTIVATIONS, EPS
from looprate.approx.models.sequence_config import SequenceConfig

Weights = tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]  # qkv, out, up, bias, down, bias
Body = Callable[..., Tensor]
INNER = 16  # states that one loop's inner values take, about


def rms_norm(x: Tensor) -> Tensor:
    """Divide by the root mean square over the last axis, without gains."""
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + EPS)


class _Norm(torch.autograd.Function):
    """:func:`rms_norm` with its derivative by hand: a third less time where nothing is compiled.

    With y = x s and s = 1 / rms(x), the gradient is s (g - y mean(g y)).
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor) -> tuple[Tensor, Tensor]:
        square = torch.linalg.vector_norm(x, dim=-1, keepdim=True).square_()
        inverse = square.div_(x.shape[-1]).add_(EPS).rsqrt_()
        return x * inverse, inverse

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: tuple[Tensor, Tensor]) -> None:
        ctx.mark_non_differentiable(output[1])
        ctx.save_for_backward(*output)

    @staticmethod
    def backward(ctx: Any, grad: Tensor, _: Tensor) -> Tensor:
        y, inverse = ctx.saved_tensors
        mean = torch.linalg.vecdot(grad, y).unsqueeze_(-1).div_(-y.shape[-1])
        return torch.addcmul(grad, y, mean).mul_(inverse)


def quick_norm(x: Tensor) -> Tensor:
    """Return :func:`rms_norm` with the derivative by hand."""
    normed: Tensor = _Norm.apply(x)[0]
    return normed


def unrolled(
    body: Body,
    start: Tensor,
    weights: Sequence[Callable[[], Weights]],
    *,
    injection: bool = False,
    checkpoint: bool = False,
    visit: Callable[[Tensor], Tensor] | None = None,
) -> tuple[Tensor, list[Tensor]]:
    """Apply a body once per entry of ``weights``.

    Parameters
    ----------
    body : callable
        Maps a state and six weights to the next state.
    start : Tensor, shape (B, T, D)
    weights : sequence of callables
        Each returns the weights of one loop; called again in the backward pass under
        ``checkpoint``.
    injection : bool
        Add ``start`` before every loop after the first.
    checkpoint : bool
        Keep the states between segments only.
    visit : callable, optional
        Applied to the state after every loop.

    Returns
    -------
    tuple of Tensor and list
        The last state, and what ``visit`` returned.
    """
    loops = len(weights)
    span = segment_length(loops) if checkpoint else loops

    def segment(first: int, state: Tensor) -> tuple[Tensor, ...]:
        found = []
        for t in range(first, min(first + span, loops)):
            if injection and t:
                state = state + start
            state = body(state, *weights[t]())
            if visit is not None:
                found.append(visit(state))
        return state, *found

    state, visited = start, []
    for first in range(0, loops, span):
        if first + span < loops:  # the last segment's turn comes at once: nothing to save
            state, *found = run_again(
                segment, first, state, use_reentrant=False, preserve_rng_state=False
            )
        else:
            state, *found = segment(first, state)
        visited += found
    return state, visited


def segment_length(loops: int) -> int:
    """Return s, the loops of a segment, for the least memory: sqrt(r / 16), rounded down."""
    return max(1, math.isqrt(loops // INNER))


def compiled_body(config: SequenceConfig, compiled: bool, like: Tensor) -> Body:
    """Return the loop body of a configuration, compiled for the device of ``like`` if asked for."""
    compiling = torch.compiler.is_compiling()  # by who calls the model: once is enough
    how, normed = (config.heads, config.causal, config.activation), config.norm != "none"
    if compiled and not compiling and compiler_works(like.device.type):
        return _compiled(*how, normed)
    return _body(*how, (rms_norm if compiling else quick_norm) if normed else None)


def explicit_attention(config: SequenceConfig, state: Tensor, qkv: Tensor) -> Tensor:
    """Return the softmax weights of a block at a state, shape (B, heads, T, T)."""
    B, T, D = state.shape
    x = state if config.norm == "none" else rms_norm(state)
    parts = F.linear(x, qkv[: 2 * D]).view(B, T, 2, config.heads, -1)
    q, k = parts.permute(2, 0, 3, 1, 4)
    scores = q @ k.mT * (D // config.heads) ** -0.5
    if config.causal:
        later = torch.ones(T, T, dtype=torch.bool, device=state.device).triu(1)
        scores = scores.masked_fill(later, -math.inf)
    return scores.softmax(-1)


def _body(
    heads: int, causal: bool, activation: str, normed: Callable[[Tensor], Tensor] | None
) -> Body:
    """Return the function that applies a block once."""
    act = ACTIVATIONS[activation]

    def body(
        x: Tensor,
        qkv: Tensor,
        out: Tensor,
        up: Tensor,
        up_bias: Tensor,
        down: Tensor,
        down_bias: Tensor,
    ) -> Tensor:
        B, T, D = x.shape
        parts = F.linear(normed(x) if normed else x, qkv).view(B, T, 3, heads, D // heads)
        q, k, v = (part.transpose(1, 2) for part in parts.unbind(2))  # (B, h, T, D/h) each
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=causal)
        x = x + F.linear(mixed.transpose(1, 2).reshape(B, T, D), out)
        hidden = act(F.linear(normed(x) if normed else x, up, up_bias))
        return x + F.linear(hidden, down, down_bias)

    return body


@functools.lru_cache(maxsize=64)
def _compiled(heads: int, causal: bool, activation: str, normed: bool) -> Body:
    """Return the compiled body; a compiler fuses the plain norm itself."""
    body = _body(heads, causal, activation, rms_norm if normed else None)
    compiled = torch.compile(body, dynamic=False)

    def quietly(*arguments: Tensor) -> Tensor:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's own, while it reads the body
            result: Tensor = compiled(*arguments)
            return result

    return quietly


@functools.lru_cache(maxsize=8)
def compiler_works(device: str) -> bool:
    """Whether torch compiles for a device here; warns once where it does not."""
    probe = torch.zeros(2, device=device, requires_grad=True)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's own deprecations
            torch.compile(lambda x: x.sin() + 1)(probe).sum().backward()
    except Exception as error:  # whatever a missing compiler raises, eager code still works
        warnings.warn(
            f"no working compiler for {device} ({type(error).__name__}): sequence models run "
            "uncompiled; install g++ (or, on a GPU, triton) to speed them up",
            RuntimeWarning,
            stacklevel=2,
        )
        return False
    return True
