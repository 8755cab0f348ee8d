"""What the kernel does: outputs of a bank, its losses with every gradient at once, and Adam.

The kernel holds one tile of samples through all loops, forward and backward, in the processor's
cache, so the loss belongs inside it.  The gradients are computed with the losses and handed out
when autograd asks for them.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from looprate.approx.banks.fused.build import library
from looprate.approx.models.looped import ModelConfig

# As in step.h: after x, y, result, loss and scratch come eta and these.
PARAMETERS = (
    *("embed", "embed_bias", "read", "read_bias", "position"),
    *("qkv", "out", "up", "up_bias", "down", "down_bias"),
)
PLACES = 5 + 1 + len(PARAMETERS)
ACTIVATION_NUMBERS = {"relu": 0, "gelu": 1, "silu": 2}


def covers(config: ModelConfig, like: Tensor) -> bool:
    """Return whether the kernel runs such models with parameters that look like ``like``."""
    plain = like.device.type == "cpu" and like.dtype == torch.float32 and not config.bits
    return plain and config.activation in ACTIVATION_NUMBERS and library() is not None


def fused_forward(bank: dict[str, Tensor], config: ModelConfig, x: Tensor, eta: Tensor) -> Tensor:
    """Return every model's outputs, shape (M, B, N, d), without a graph.

    Parameters
    ----------
    bank : dict of stacked parameters, float32 on the CPU
    x : Tensor, shape (M, B, N, d)
    eta : Tensor, shape (r, M, 4, D)

    Raises
    ------
    ValueError
        If a tensor has another shape or dtype.
    """
    sizes, result = _sizes(bank, config, x, x, eta), torch.empty(x.shape)
    inputs = [eta, *(bank.get(name) for name in PARAMETERS)]
    _run(sizes, 1.0, [x, None, result, None], inputs, None)
    return result


def fused_losses(
    bank: dict[str, Tensor], config: ModelConfig, x: Tensor, y: Tensor, eta: Tensor, *, p: float
) -> Tensor:
    """Return every model's mean of |g(x) - y|^p, shape (M,), differentiable in bank and eta.

    Parameters
    ----------
    bank : dict of stacked parameters, float32 on the CPU
    x, y : Tensor, shape (M, B, N, d)
        Inputs and target values; no gradient flows to them.
    eta : Tensor, shape (r, M, 4, D)
    p : float

    Raises
    ------
    ValueError
        If a tensor has another shape or dtype.
    """
    sizes = _sizes(bank, config, x, y, eta)
    inputs = [eta, *(bank.get(name) for name in PARAMETERS)]
    losses: Tensor = _Losses.apply(sizes, p, x, y, *inputs)
    return losses


def fused_adam(
    beta1: float,
    beta2: float,
    flat: Tensor,
    mean: Tensor,
    square: Tensor,
    grad: Tensor,
    share: Tensor,
    rate: Tensor,
    correction: Tensor,
) -> tuple[()]:
    """Update flat, mean and square (M, P) in place, as `adam_function` of the bank does."""
    tensors = flat, mean, square, grad.contiguous(), share.contiguous(), rate.contiguous()
    if any(t.dtype != torch.float32 or not t.is_contiguous() for t in tensors):
        raise ValueError("`flat`, `mean` and `square` must be contiguous and all float32")
    kernel().looprate_adam(
        *flat.shape, beta1, beta2, float(correction), *(t.data_ptr() for t in tensors)
    )
    return ()


class _Losses(torch.autograd.Function):
    """Losses whose gradients are made with them."""

    @staticmethod
    def forward(
        ctx: Any, sizes: Any, p: float, x: Tensor, y: Tensor, *inputs: Tensor | None
    ) -> Tensor:
        losses = torch.empty(len(x))
        ctx.grads = [None if t is None else torch.empty(t.shape) for t in inputs]
        _run(sizes, p, [x, y, None, losses], inputs, ctx.grads)
        return losses

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor | None, ...]:
        (share,) = outer  # of each model's loss in what is differentiated, mostly 1
        grads = ctx.grads
        if not bool((share == 1).all()):
            grads = [None if g is None else _times(g, share, i) for i, g in enumerate(grads)]
        return None, None, None, None, *grads


def _times(grad: Tensor, share: Tensor, place: int) -> Tensor:
    """Scale each model's gradient; ``place`` counts eta and the parameters."""
    axis = 0 if 1 <= place <= PARAMETERS.index("position") + 1 else 1
    return (grad.movedim(axis, -1) * share).movedim(-1, axis)


def kernel() -> ctypes.CDLL:
    """Return the kernel, which somebody has asked for before."""
    found = library()
    if found is None:
        raise RuntimeError("the CPU kernel is not built: ask `covers` before using it")
    return found


def _run(
    sizes: Any,
    p: float,
    ends: Sequence[Tensor | None],
    inputs: Sequence[Tensor | None],
    grads: Sequence[Tensor | None] | None,
) -> None:
    """Call the kernel on x, y, result, losses; eta and parameters; and their gradients."""
    built = kernel()
    scratch = torch.empty(built.looprate_scratch(sizes, int(grads is not None)))
    tensors = [None if t is None else t.detach().contiguous() for t in (*ends, scratch, *inputs)]
    out = None if grads is None else _pointers([None] * 5 + list(grads))
    built.looprate_run(sizes, p, _pointers(tensors), out)


def _sizes(bank: dict[str, Tensor], config: ModelConfig, x: Tensor, y: Tensor, eta: Tensor) -> Any:
    """Return the sizes as step.h reads them; refuse tensors it would misread."""
    c, M, r = config, len(bank["embed"]), len(eta)
    B, N = x.shape[1:3]
    points = (M, max(B, 1), c.positions or max(N, 1), c.dim)
    loops = r if c.blocks == 1 else c.blocks
    expected = [("x", x, points), ("y", y, points), ("eta", eta, (loops, M, 4, c.width))]
    for name, tensor, shape in expected:
        if tensor.shape != shape or tensor.dtype != torch.float32:
            raise ValueError(
                f"`{name}` must be float32 of shape {shape}, "
                f"got {tensor.dtype} of {tuple(tensor.shape)}"
            )
    return sizes_of(c, M, B, N, r)


def sizes_of(config: ModelConfig, models: int, batch: int, tokens: int, loops: int) -> Any:
    """Return the sizes as step.h reads them."""
    c = config
    shape = [models, batch, tokens, c.dim, c.width, c.heads, c.hidden, c.blocks, loops]
    numbers = [int(c.norm == "rms"), ACTIVATION_NUMBERS[c.activation], int(c.injection)]
    return (ctypes.c_int64 * 12)(*shape, *numbers)


def _pointers(tensors: Sequence[Tensor | None]) -> Any:
    """Return the addresses of tensors, null for None."""
    addresses = [None if tensor is None else tensor.data_ptr() for tensor in tensors]
    return (ctypes.c_void_p * PLACES)(*addresses)
