"""The block for many models at once: batch-last layout, hand-written gradient, compiled.

A state has shape (M, D, K): M models, width D, and K = N * B columns with the batch last, so that
every matmul is one batched product with a long last axis and attention over a handful of tokens is
elementwise.  One application of the block is compiled once (never the unrolled loop) and its
gradient recomputes what is cheap (norms, attention weights, activation) from what is not
(projections).  :func:`looped_block` chains the loops as one autograd function.

Both functions return the numbers of :class:`approx.looped.LoopedTransformer` up to rounding.
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

from approx.looped import EPS, ModelConfig

__all__ = ["BLOCK_WEIGHTS", "BlockShape", "block_functions", "looped_block"]

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


def _norm_vjp(x: Tensor, scale: Tensor, grad: Tensor, norm: str) -> tuple[Tensor, Tensor, Tensor]:
    """Pull ``grad`` back through y = scale * norm(x): (grad of x, grad of scale, y)."""
    inverse = _inverse_rms(x, norm)
    unit = x * inverse
    grad_unit = grad * scale[:, :, None]
    grad_x = grad_unit
    if norm == "rms":
        grad_x = inverse * (grad_unit - unit * (grad_unit * unit).mean(1, keepdim=True))
    return grad_x, (grad * unit).sum(2), unit * scale[:, :, None]


def _heads(s: BlockShape, qkv: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Split (M, 3D, K) into queries, keys, values of shape (M, h, D/h, N, B)."""
    view = qkv.view(-1, 3, s.heads, s.width // s.heads, s.tokens, s.batch)
    return view[:, 0], view[:, 1], view[:, 2]


def _attend(s: BlockShape, qkv: Tensor) -> tuple[Tensor, Tensor]:
    """Return softmax weights (M, h, N, N, B) and the mixed values (M, D, K)."""
    q, k, v = _heads(s, qkv)
    scores = (q[:, :, :, :, None] * k[:, :, :, None]).sum(2) * (s.width // s.heads) ** -0.5
    weights = torch.softmax(scores, 3)
    mixed = (weights[:, :, None] * v[:, :, :, None]).sum(4)
    return weights, mixed.reshape(-1, s.width, s.tokens * s.batch)


def _forward(s: BlockShape, x: Tensor, eta: Tensor, *weights: Tensor) -> tuple[Tensor, ...]:
    """Apply the block: (new state, and what the gradient needs: qkv, middle state, hidden)."""
    w_qkv, w_out, w_up, b_up, w_down, b_down = weights
    y = x * _inverse_rms(x, s.norm) * eta[:, 0, :, None]
    qkv = torch.bmm(w_qkv, y)
    middle = x + eta[:, 1, :, None] * torch.bmm(w_out, _attend(s, qkv)[1])
    y = middle * _inverse_rms(middle, s.norm) * eta[:, 2, :, None]
    hidden = torch.bmm(w_up, y) + b_up[:, :, None]
    z = _activation(s.activation, hidden)[0]
    return middle + eta[:, 3, :, None] * (torch.bmm(w_down, z) + b_down[:, :, None]), *_keep(
        qkv, middle, hidden
    )


def _keep(*tensors: Tensor) -> tuple[Tensor, ...]:
    """Name the tensors kept for the gradient."""
    return tensors


def _backward(
    s: BlockShape,
    grad: Tensor,
    x: Tensor,
    qkv: Tensor,
    middle: Tensor,
    hidden: Tensor,
    eta: Tensor,
    *weights_and_sums: Tensor,
) -> tuple[Tensor, ...]:
    """Pull ``grad`` back through one block: (grad of x, grad of eta, the six sums with it added).

    A gate's gradient is read off the weight's own: sum_K grad * (W z) = rowsum(W * (grad z^T)).
    """
    w_qkv, w_out, w_up, _, w_down, b_down = weights_and_sums[:6]
    sum_qkv, sum_out, sum_up, sum_b_up, sum_down, sum_b_down = weights_and_sums[6:]
    z, slope = _activation(s.activation, hidden)
    gate = eta[:, 3]
    raw_down, raw_b_down = torch.bmm(grad, z.mT), grad.sum(2)
    grad_eta3 = (w_down * raw_down).sum(2) + b_down * raw_b_down
    grad_hidden = torch.bmm(w_down.mT, gate[:, :, None] * grad) * slope
    grad_middle, grad_eta2, y = _norm_vjp(
        middle, eta[:, 2], torch.bmm(w_up.mT, grad_hidden), s.norm
    )
    raw_up = torch.bmm(grad_hidden, y.mT)
    grad_middle = grad + grad_middle

    weights, mixed = _attend(s, qkv)
    q, k, v = _heads(s, qkv)
    raw_out, gate_out = torch.bmm(grad_middle, mixed.mT), eta[:, 1]
    grad_eta1 = (w_out * raw_out).sum(2)
    grad_mixed = torch.bmm(w_out.mT, gate_out[:, :, None] * grad_middle).view(v.shape)
    grad_weights = (grad_mixed[:, :, :, :, None] * v[:, :, :, None]).sum(2)
    scores = weights * (grad_weights - (weights * grad_weights).sum(3, keepdim=True))
    scores = scores * (s.width // s.heads) ** -0.5
    grad_q = (scores[:, :, None] * k[:, :, :, None]).sum(4)
    grad_k = (scores[:, :, None] * q[:, :, :, :, None]).sum(3)
    grad_v = (weights[:, :, None] * grad_mixed[:, :, :, :, None]).sum(3)
    grad_qkv = torch.stack([grad_q, grad_k, grad_v], 1).reshape(qkv.shape)
    grad_x, grad_eta0, y = _norm_vjp(x, eta[:, 0], torch.bmm(w_qkv.mT, grad_qkv), s.norm)
    return (
        grad_middle + grad_x,
        torch.stack([grad_eta0, grad_eta1, grad_eta2, grad_eta3], 1),
        sum_qkv + torch.bmm(grad_qkv, y.mT),
        sum_out + gate_out[:, :, None] * raw_out,
        sum_up + raw_up,
        sum_b_up + grad_hidden.sum(2),
        sum_down + gate[:, :, None] * raw_down,
        sum_b_down + gate * raw_b_down,
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
    eta = torch.zeros(shape.models, 4, D, **like)
    try:
        return (
            _compile(forward, [state, eta, *weights]),
            _compile(backward, [state, state, qkv, state, hidden, eta, *weights, *weights]),
        )
    except Exception as error:  # whatever a missing compiler raises, eager code still works
        warnings.warn(
            f"no working compiler for {shape.device} ({type(error).__name__}): fits run "
            "uncompiled, about half as fast; install g++ to speed them up",
            RuntimeWarning,
            stacklevel=2,
        )
        return forward, backward


def _compile(function: Block, example: list[Tensor]) -> Block:
    """Compile for exactly these shapes, without the per-call guards of ``torch.compile``."""
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
        state: Tensor,
        eta: Tensor,
        *weights: Tensor,
    ) -> Tensor:
        start, kept = state, []
        blocks = weights[0].shape[0]
        for t, modulation in enumerate(eta.unbind(0)):
            if injection and t:
                state = state + start
            new, *saved = functions[0](state, modulation, *(w[min(t, blocks - 1)] for w in weights))
            kept.append((state, *saved))
            state = new
        ctx.functions, ctx.injection, ctx.kept = functions, injection, kept
        ctx.eta, ctx.weights = eta, weights
        return state

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Any, ...]:
        grad = grads[0].contiguous()
        weights: Sequence[Tensor] = ctx.weights
        blocks = weights[0].shape[0]
        sums = [[torch.zeros_like(w[0]) for w in weights] for _ in range(blocks)]
        grad_eta, grad_start = [], None
        for t in range(len(ctx.kept) - 1, -1, -1):
            index = min(t, blocks - 1)
            grad, modulation, *sums[index] = ctx.functions[1](
                grad, *ctx.kept.pop(), ctx.eta[t], *(w[index] for w in weights), *sums[index]
            )
            grad_eta.append(modulation)
            if ctx.injection and t:
                grad_start = grad if grad_start is None else grad_start + grad
        if grad_start is not None:
            grad = grad + grad_start
        stacked = [torch.stack(parts) for parts in zip(*sums, strict=True)]
        return None, None, grad, torch.stack(grad_eta[::-1]), *stacked


def looped_block(
    functions: tuple[Block, Block],
    state: Tensor,
    eta: Tensor,
    weights: Sequence[Tensor],
    *,
    injection: bool = False,
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

    Returns
    -------
    Tensor, shape (M, D, N*B)
    """
    result: Tensor = _Looped.apply(functions, injection, state, eta, *weights)
    return result
