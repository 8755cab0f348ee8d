"""The block for many models at once: batch-last layout, hand-written gradient, compiled.

A state has shape (M, D, K): M models, width D, and K = N * B columns with the batch last, so that
every matmul is one batched product with a long last axis and attention over a handful of tokens is
elementwise.  One application of the block is compiled once (never the unrolled loop) and its
gradient recomputes what is cheap (norms, activation) from what is not (projections, attention).
:func:`looped_block` chains the loops as one autograd function.

Both functions return the numbers of :class:`looprate.approx.models.looped.LoopedTransformer` up to
rounding.
"""

from __future__ import annotations

import functools
import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from looprate.approx.models.looped import EPS, ModelConfig
from looprate.approx.models.parts import rounded

BLOCK_WEIGHTS = ("qkv", "out", "up", "up_bias", "down", "down_bias")


@dataclass(frozen=True)
class BlockShape:
    """What a compiled block depends on: sizes, norm, activation, device type and dtype."""

    models: int
    width: int
    heads: int
    hidden: int
    tokens: int
    batch: int
    norm: str
    activation: str
    device: str
    dtype: str

    @classmethod
    def of(cls, config: ModelConfig, *, tokens: int, batch: int, like: Tensor) -> BlockShape:
        """Return the shape for a bank whose parameters look like ``like`` (models first)."""
        return cls(
            like.shape[0],
            config.width,
            config.heads,
            config.hidden,
            tokens,
            batch,
            config.norm,
            config.activation,
            like.device.type,
            str(like.dtype).removeprefix("torch."),
        )


def _activation(name: str, s: Tensor) -> tuple[Tensor, Tensor]:
    """Return (act(s), act'(s)) elementwise."""
    if name == "relu":
        return torch.relu(s), (s > 0).to(s.dtype)
    if name == "silu":
        sigmoid = torch.sigmoid(s)
        return s * sigmoid, sigmoid * (1 + s * (1 - sigmoid))
    cdf = 0.5 * (1 + torch.erf(s * math.sqrt(0.5)))
    return s * cdf, cdf + s * torch.exp(-0.5 * s * s) / math.sqrt(2 * math.pi)


def _inverse_rms(x: Tensor, norm: str) -> Tensor:
    """Return 1 / rms over the width, shape (M, 1, K); ones where there is no norm."""
    if norm == "none":
        return torch.ones_like(x[:, :1])
    return torch.rsqrt((x * x).mean(1, keepdim=True) + EPS)


def _norm_vjp(unit: Tensor, inverse: Tensor, grad: Tensor, norm: str) -> Tensor:
    """Pull ``grad`` back through unit = x * inverse."""
    if norm == "none":
        return grad
    return inverse * (grad - unit * (grad * unit).mean(1, keepdim=True))


def _heads(s: BlockShape, qkv: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Split (M, 3D, K) into queries, keys, values of shape (M, h, D/h, N, B)."""
    view = qkv.view(-1, 3, s.heads, s.width // s.heads, s.tokens, s.batch)
    return view[:, 0], view[:, 1], view[:, 2]


def _attend(s: BlockShape, qkv: Tensor) -> tuple[Tensor, Tensor]:
    """Return softmax weights (M, h, N, N, B) and the mixed values (M, D, K)."""
    q, k, v = _heads(s, qkv)
    scores = (q[:, :, :, :, None] * k[:, :, :, None]).sum(2) * (s.width // s.heads) ** -0.5
    grown = torch.exp(scores - scores.amax(3, keepdim=True))  # leaner code than torch.softmax's
    weights = grown / grown.sum(3, keepdim=True)
    mixed = (weights[:, :, None] * v[:, :, :, None]).sum(4)
    return weights, mixed.reshape(-1, s.width, s.tokens * s.batch)


def _forward(s: BlockShape, x: Tensor, eta: Tensor, *weights: Tensor) -> tuple[Tensor, ...]:
    """Apply the block: (new state, and what the gradient needs beside the old one)."""
    w_qkv, w_out, w_up, b_up, w_down, b_down = weights
    y = x * _inverse_rms(x, s.norm) * eta[:, 0, :, None]
    qkv = torch.bmm(w_qkv, y)
    attention, mixed = _attend(s, qkv)
    middle = x + eta[:, 1, :, None] * torch.bmm(w_out, mixed)
    y = middle * _inverse_rms(middle, s.norm) * eta[:, 2, :, None]
    hidden = torch.bmm(w_up, y) + b_up[:, :, None]
    z = _activation(s.activation, hidden)[0]
    state = middle + eta[:, 3, :, None] * (torch.bmm(w_down, z) + b_down[:, :, None])
    return state, qkv, attention, mixed, middle, z if s.activation == "relu" else hidden


def _backward(
    s: BlockShape,
    grad: Tensor,
    x: Tensor,
    qkv: Tensor,
    attention: Tensor,
    mixed: Tensor,
    middle: Tensor,
    hidden: Tensor,
    eta: Tensor,
    *weights_and_sums: Tensor,
) -> tuple[Tensor, ...]:
    """Pull ``grad`` back through one block: (grad of x, grad of eta, the six sums with it added).

    Scales and gates act on the small weights rather than on the states, and their gradients are
    read off the weights' own: sum_K grad * (W z) = rowsum(W * (grad z^T)).
    """
    w_qkv, w_out, w_up, _, w_down, b_down = weights_and_sums[:6]
    sum_qkv, sum_out, sum_up, sum_b_up, sum_down, sum_b_down = weights_and_sums[6:]
    scale_attn, gate_attn, scale_ff, gate_ff = eta.unbind(1)  # (M, D) each

    z, slope = _activation(s.activation, hidden)
    z = hidden if s.activation == "relu" else z  # relu keeps z itself
    raw_down, raw_b_down = torch.bmm(grad, z.mT), grad.sum(2)
    grad_gate_ff = (w_down * raw_down).sum(2) + b_down * raw_b_down
    grad_hidden = torch.bmm((gate_ff[:, :, None] * w_down).mT, grad) * slope
    inverse = _inverse_rms(middle, s.norm)
    unit = middle * inverse
    raw_up = torch.bmm(grad_hidden, unit.mT)
    grad_unit = torch.bmm((w_up * scale_ff[:, None, :]).mT, grad_hidden)
    grad_middle = grad + _norm_vjp(unit, inverse, grad_unit, s.norm)

    q, k, v = _heads(s, qkv)
    raw_out = torch.bmm(grad_middle, mixed.mT)
    grad_mixed = torch.bmm((gate_attn[:, :, None] * w_out).mT, grad_middle).view(v.shape)
    grad_weights = (grad_mixed[:, :, :, :, None] * v[:, :, :, None]).sum(2)
    scores = attention * (grad_weights - (attention * grad_weights).sum(3, keepdim=True))
    scores = scores * (s.width // s.heads) ** -0.5
    grad_q = (scores[:, :, None] * k[:, :, :, None]).sum(4)
    grad_k = (scores[:, :, None] * q[:, :, :, :, None]).sum(3)
    grad_v = (attention[:, :, None] * grad_mixed[:, :, :, :, None]).sum(3)
    grad_qkv = torch.stack([grad_q, grad_k, grad_v], 1).reshape(qkv.shape)
    inverse = _inverse_rms(x, s.norm)
    unit = x * inverse
    raw_qkv = torch.bmm(grad_qkv, unit.mT)
    grad_unit = torch.bmm((w_qkv * scale_attn[:, None, :]).mT, grad_qkv)
    grad_eta = [
        (w_qkv * raw_qkv).sum(1),
        (w_out * raw_out).sum(2),
        (w_up * raw_up).sum(1),
        grad_gate_ff,
    ]
    return (
        grad_middle + _norm_vjp(unit, inverse, grad_unit, s.norm),
        torch.stack(grad_eta, 1),
        sum_qkv + raw_qkv * scale_attn[:, None, :],
        sum_out + gate_attn[:, :, None] * raw_out,
        sum_up + raw_up * scale_ff[:, None, :],
        sum_b_up + grad_hidden.sum(2),
        sum_down + gate_ff[:, :, None] * raw_down,
        sum_b_down + gate_ff * raw_b_down,
    )


Block = Callable[..., tuple[Tensor, ...]]


@functools.lru_cache(maxsize=64)
def block_functions(shape: BlockShape, *, compiled: bool = True) -> tuple[Block, Block]:
    """Return (forward, backward) of the block, compiled for this shape where a compiler works.

    Without one the same functions run eagerly; a warning says so once.
    """
    forward = functools.partial(_forward, shape)
    backward = functools.partial(_backward, shape)
    if not compiled:
        return forward, backward
    like: dict[str, Any] = {"device": shape.device, "dtype": getattr(torch, shape.dtype)}
    D, H, K = shape.width, shape.hidden, shape.tokens * shape.batch
    sizes = [(3 * D, D), (D, D), (H, D), (H,), (D, H), (D,)]
    weights = [torch.zeros(shape.models, *size, **like) for size in sizes]
    state, qkv, hidden = (torch.zeros(shape.models, n, K, **like) for n in (D, 3 * D, H))
    N = shape.tokens
    attention = torch.zeros(shape.models, shape.heads, N, N, shape.batch, **like)
    kept = [state, qkv, attention, state, state, hidden]
    eta = torch.zeros(shape.models, 4, D, **like)
    return (
        compile_for(forward, [state, eta, *weights]),
        compile_for(backward, [state, *kept, eta, *weights, *weights]),
    )


def compile_for(function: Block, example: list[Tensor]) -> Block:
    """Compile for exactly these shapes; where no compiler works, warn and return the function."""
    try:
        return _compile(function, example)
    except torch.OutOfMemoryError:
        raise  # a smaller bank compiles
    except Exception as error:  # whatever a missing compiler raises, eager code still works
        warnings.warn(
            f"no working compiler for {example[0].device.type} ({type(error).__name__}): fits run "
            "uncompiled, about half as fast; install g++ to speed them up",
            RuntimeWarning,
            stacklevel=1,  # always from here, so that it is shown once
        )
        return function


def _compile(function: Block, example: list[Tensor]) -> Block:
    """Compile without the per-call guards of ``torch.compile``."""
    import torch._inductor
    from torch.fx.experimental.proxy_tensor import make_fx

    example = [tensor.clone() for tensor in example]  # no aliases
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own deprecations
        graph = make_fx(function, tracing_mode="fake")(*example)
        return torch._inductor.compile(graph, [*example])


class _Looped(torch.autograd.Function):
    """The whole loop as one differentiable function of state, modulation and block weights."""

    @staticmethod
    def forward(
        ctx: Any,
        functions: tuple[Block, Block],
        injection: bool,
        bits: int,
        state: Tensor,
        eta: Tensor,
        *weights: Tensor,
    ) -> Tensor:
        start, kept = state, []
        blocks = list(zip(*(w.unbind(0) for w in weights), strict=True))
        rows = eta.unbind(0)
        for t, row in enumerate(rows):
            if injection and t:
                state = state + start
            new, *saved = functions[0](state, row, *blocks[min(t, len(blocks) - 1)])
            kept.append((state, *saved))
            state = rounded(new, bits)  # the gradient goes straight through
        ctx.functions, ctx.injection, ctx.kept = functions, injection, kept
        ctx.rows, ctx.blocks = rows, blocks
        return state

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Any, ...]:
        grad = grads[0].contiguous()
        blocks = ctx.blocks
        sums = [[torch.zeros_like(w) for w in block] for block in blocks]
        grad_eta, grad_start = [], None
        for t in range(len(ctx.kept) - 1, -1, -1):
            index = min(t, len(blocks) - 1)
            grad, grad_row, *sums[index] = ctx.functions[1](
                grad, *ctx.kept.pop(), ctx.rows[t], *blocks[index], *sums[index]
            )
            grad_eta.append(grad_row)
            if ctx.injection and t:
                grad_start = grad if grad_start is None else grad_start + grad
        if grad_start is not None:
            grad = grad + grad_start
        stacked = [torch.stack(parts) for parts in zip(*sums, strict=True)]
        return None, None, None, grad, torch.stack(grad_eta[::-1]), *stacked


def looped_block(
    functions: tuple[Block, Block],
    state: Tensor,
    eta: Tensor,
    weights: Sequence[Tensor],
    *,
    injection: bool = False,
    bits: int = 0,
) -> Tensor:
    """Apply the block once per row of eta.

    Parameters
    ----------
    functions : pair from :func:`block_functions`
    state : Tensor, shape (M, D, N*B), contiguous
    eta : Tensor, shape (r, M, 4, D)
    weights : the tensors named in :data:`BLOCK_WEIGHTS`, each (blocks, M, ...)
    injection : bool
        Add the first state before every later loop.
    bits : int
        Significant bits the state is rounded to after every loop; 0 rounds nothing.

    Returns
    -------
    Tensor, shape (M, D, N*B)
    """
    result: Tensor = _Looped.apply(functions, injection, bits, state, eta, *weights)
    return result
