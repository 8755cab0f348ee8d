"""Many training steps of a bank in one call of the kernel: eta, clipping and Adam included."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from looprate.approx.banks.fused.kernel import ACTIVATION_NUMBERS, PARAMETERS, kernel, sizes_of
from looprate.approx.models.looped import ModelConfig, sinusoids

__all__ = ["fused_train"]

ENDS = 6  # places of x, y, result, loss, scratch and eta, which are no parameters
ETA = ("eta_row", "clock_in", "clock_bias", "clock_out")


def fused_train(
    config: ModelConfig,
    state: Sequence[Tensor],
    like: Mapping[str, Tensor],
    points: Sequence[Tensor],
    table: Tensor,
    rates: Tensor,
    loops: int,
    *,
    p: float,
    beta1: float,
    beta2: float,
    clip: float,
) -> None:
    """Train every model as many steps as ``table`` has rows, in place, on one thread.

    A model whose loss or gradient stops being finite is left as it was.

    Parameters
    ----------
    config : ModelConfig
    state : flat, mean, square of shape (M, P), and diverged_at of shape (M,), int64
    like : dict
        Views of the flat parameters as a bank: where each parameter lies.
    points : x and y of shape (rows, B, N, d), and each model's first row in both, (M,), int64
    table : Tensor, shape (steps, 4)
        Of every step the share of the learning rate, both bias corrections, and its number.
    rates : Tensor, shape (M, 1)
    loops : int
        r of these steps.
    p : float
        At most 2.
    beta1, beta2, clip : float

    Raises
    ------
    ValueError
        If a tensor has another dtype or is not contiguous.
    """
    config.check_rows(loops)
    flat, x = state[0], points[0]
    (models, parameters), (_, batch, tokens, _) = flat.shape, x.shape
    wave = sinusoids(loops, config.frequencies).float().mT.contiguous()
    tensors = [*state, *points, table, rates, wave]
    whole = [state[3], *points[2:]]
    for tensor in tensors:
        kind = torch.int64 if any(tensor is one for one in whole) else torch.float32
        if tensor.dtype != kind or not tensor.is_contiguous():
            raise ValueError(
                f"`state`, `points`, `table` and `rates` must be contiguous, and this one {kind}, "
                f"got {tensor.dtype} with strides {tensor.stride()}"
            )
    clock = like["clock_bias"].shape[1] if "clock_bias" in like else 0
    activation = ACTIVATION_NUMBERS[config.clock_activation]
    of_eta = [config.eta_rows, config.frequencies, clock, activation]
    places = [int(like[n].storage_offset()) if n in like else -1 for n in (*PARAMETERS, *ETA)]
    how = _numbers(models, len(table), parameters, *of_eta, *[-1] * ENDS, *places)
    sizes = sizes_of(config, 1, batch, tokens, loops)
    numbers = (ctypes.c_double * 5)(p, beta1, beta2, clip, config.gate)
    built = kernel()
    scratch = torch.empty(built.looprate_train(sizes, how, numbers, None))
    addresses = [tensor.data_ptr() for tensor in (*tensors, scratch)]
    built.looprate_train(sizes, how, numbers, (ctypes.c_void_p * len(addresses))(*addresses))


def _numbers(*values: int) -> Any:
    """Return integers as the kernel reads them."""
    return (ctypes.c_int64 * len(values))(*values)
