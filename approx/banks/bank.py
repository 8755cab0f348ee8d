"""A bank: many models of one configuration as one set of stacked parameters.

The leading axis of every tensor runs over models (seeds x learning rates), so one batched product
serves them all.  A bank is a plain dictionary of tensors; :func:`bank_of` stacks modules and
:func:`model_of` takes one model out again.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import torch
from torch import Tensor

from looprate.approx.banks.block import BLOCK_WEIGHTS, BlockShape, block_functions, looped_block
from looprate.approx.banks.fused.kernel import covers, fused_forward, fused_losses
from looprate.approx.models.looped import LoopedTransformer, ModelConfig, sinusoids
from looprate.approx.models.parts import ACTIVATIONS
from looprate.theory.norms import tensor_p_norm

__all__ = ["Bank", "bank_forward", "bank_losses", "bank_of", "bank_path", "model_of"]

Bank = dict[str, Tensor]
PER_BLOCK = {*BLOCK_WEIGHTS, "eta_row"}  # stored (blocks or rows, M, ...); all else (M, ...)


def bank_of(models: Sequence[LoopedTransformer]) -> Bank:
    """Stack the parameters of models of one configuration."""
    configs = {model.config for model in models}
    if len(configs) != 1:
        raise ValueError(f"`models` must share one configuration, got {len(configs)}")
    return {
        name: torch.stack(
            [model.get_parameter(name).detach() for model in models],
            dim=1 if name in PER_BLOCK else 0,
        )
        for name, _ in models[0].named_parameters()
    }


def model_of(
    bank: Bank, config: ModelConfig, index: int, *, loops: int | None = None
) -> LoopedTransformer:
    """Return model ``index`` of a bank as a module of its own, called with ``loops`` by default."""
    model = LoopedTransformer(config, seed=0, loops=loops).to(next(iter(bank.values())))
    state = {
        name: (value[:, index] if name in PER_BLOCK else value[index]).clone()
        for name, value in bank.items()
    }
    model.load_state_dict(state)
    return model


@functools.lru_cache(maxsize=64)
def _constants(
    loops: int, frequencies: int, gate: float, dtype: torch.dtype, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Return the sinusoids (frequencies, r) and the factors of eta's rows (4, 1).

    Kept between steps: a copy to a GPU is not allowed while a graph is captured.
    """
    wave = sinusoids(loops, frequencies).to(device=device, dtype=dtype).mT
    return wave, torch.tensor([[1.0], [gate], [1.0], [gate]], dtype=dtype, device=device)


def bank_eta(bank: Bank, config: ModelConfig, loops: int) -> Tensor:
    """Return every model's modulation, shape (r, M, 4, D)."""
    config.check_rows(loops)
    row = bank["eta_row"]
    wave, factors = _constants(loops, config.frequencies, config.gate, row.dtype, row.device)
    eta = row.expand(loops, *row.shape[1:])
    if config.timed:
        hidden = ACTIVATIONS[config.clock_activation](
            bank["clock_in"] @ wave + bank["clock_bias"][:, :, None]
        )
        change = bank["clock_out"] @ hidden  # (M, 4D, r)
        eta = eta + change.movedim(2, 0).reshape(eta.shape)
    return (eta * factors).contiguous()


def bank_forward(
    bank: Bank, config: ModelConfig, x: Tensor, loops: int, *, compiled: bool = True
) -> Tensor:
    """Run every model of a bank on its own inputs.

    Parameters
    ----------
    bank : dict of stacked parameters
    x : Tensor, shape (M, B, N, d)
    loops : int
    compiled : bool
        Where a compiler works, use the CPU kernel (no gradient wanted) or a compiled block.

    Returns
    -------
    Tensor, shape (M, B, N, d)
    """
    if (
        not _wants_gradient(bank, x)
        and bank_path(config, bank["embed"], compiled=compiled) == "fused"
    ):
        return fused_forward(bank, config, x, bank_eta(bank, config, loops))
    M, B, N, d = x.shape
    shape = BlockShape.of(config, tokens=N, batch=B, like=bank["embed"])
    columns = x.permute(0, 3, 2, 1).reshape(M, d, N * B)  # tokens, then batch last
    state = torch.baddbmm(bank["embed_bias"][:, :, None], bank["embed"], columns)
    if config.positions:
        state = state + bank["position"].repeat_interleave(B, dim=2)
    state = looped_block(
        block_functions(shape, compiled=compiled),
        state,
        bank_eta(bank, config, loops),
        [bank[name] for name in BLOCK_WEIGHTS],
        injection=config.injection,
        bits=config.bits,
    )
    result = torch.baddbmm(bank["read_bias"][:, :, None], bank["read"], state)
    return result.view(M, d, N, B).permute(0, 3, 2, 1)


def bank_losses(
    bank: Bank,
    config: ModelConfig,
    x: Tensor,
    y: Tensor,
    loops: int,
    *,
    p: float,
    compiled: bool = True,
) -> Tensor:
    """Return every model's loss, shape (M,), differentiable in the bank.

    It is the mean of |g(x) - y|^p, and its p-th root for p > 2: powers of errors below or above 1
    leave the range of floats, so they are taken of errors divided by the largest.

    Parameters
    ----------
    bank : dict of stacked parameters
    x, y : Tensor, shape (M, B, N, d)
    loops : int
    p : float
        Finite.
    compiled : bool
        Where a compiler works, use the CPU kernel or a compiled block.
    """
    fused = not x.requires_grad and bank_path(config, bank["embed"], compiled=compiled) == "fused"
    if fused and p <= 2:
        return fused_losses(bank, config, x, y, bank_eta(bank, config, loops), p=p)
    if fused:
        return _fused_roots(bank, config, x, y, bank_eta(bank, config, loops), p=p)
    gap = bank_forward(bank, config, x, loops, compiled=compiled) - y
    if p > 2:
        return tensor_p_norm(gap, p, (1, 2, 3)) / gap[0].numel() ** (1 / p)
    power = gap.abs() if p == 1 else gap.square() if p == 2 else gap.abs() ** p
    return power.mean((1, 2, 3))


def _fused_roots(
    bank: Bank, config: ModelConfig, x: Tensor, y: Tensor, eta: Tensor, *, p: float
) -> Tensor:
    """Return roots of the kernel's losses; dividing the last map and y divides the errors."""
    with torch.no_grad():
        top = (fused_forward(bank, config, x, eta) - y).abs().amax((1, 2, 3))
        safe = top.where(top > 0, torch.ones_like(top))
    scaled = bank | {
        "read": bank["read"] / safe[:, None, None],
        "read_bias": bank["read_bias"] / safe[:, None],
    }
    losses = fused_losses(scaled, config, x, y / safe[:, None, None, None], eta, p=p)
    return top * losses.clamp_min(2.0**-100) ** (1 / p)


def bank_path(config: ModelConfig, like: Tensor, *, compiled: bool) -> str:
    """Return how banks with parameters like ``like`` are trained: "fused", "compiled" or "eager".

    They agree up to rounding alone, so a fit must not change from one to another.
    """
    if not compiled:
        return "eager"
    return "fused" if covers(config, like) else "compiled"


def _wants_gradient(bank: Bank, x: Tensor) -> bool:
    """Return whether autograd is recording this bank or its inputs."""
    return torch.is_grad_enabled() and any(t.requires_grad for t in (x, *bank.values()))
