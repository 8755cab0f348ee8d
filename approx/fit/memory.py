"""How many models train at once: a memory model of one step, and halving where it was wrong.

A step holds most just when its gradient begins: everything the block keeps of every loop, and what
the first block's gradient works with.  Both grow with the batch; parameters, Adam's averages and
the points of a chunk come on top.  The model counts the uncompiled step, checked against tensors
counted on the CPU; what compiled code holds on a GPU is unmeasured, and expected to be less.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import TypeVar

import torch

from looprate.approx.models.looped import ModelConfig, parameter_count

__all__ = ["CHUNK", "ensemble_size", "free_memory", "kept_bytes"]

CHUNK = 100  # steps whose points are drawn at once
SHARE = 0.8  # of the free memory that is planned with; the rest is for libraries and fragments
FLOAT = 4
Item = TypeVar("Item")


def kept_bytes(config: ModelConfig, *, tokens: int, batch: int, loops: int) -> int:
    """Return the bytes that the loops of one model keep for their gradient.

    Of every loop its first state, queries, keys and values, attention weights, mixed values, the
    state between attention and feed-forward, and the hidden units; and the last state.
    """
    columns = tokens * batch
    attention = config.heads * tokens * columns
    loop = (6 * config.width + config.hidden) * columns + attention
    return FLOAT * (loops * loop + config.width * columns)


def model_bytes(config: ModelConfig, *, tokens: int, batch: int, loops: int) -> int:
    """Return the bytes that one model takes at the peak of a training step.

    Parameters
    ----------
    config : ModelConfig
    tokens, batch, loops : int
        N, points per step, r.
    """
    columns = tokens * batch
    products = config.width * tokens * columns  # attention before its sum, uncompiled
    workspace = products + (5 * config.width + 3 * config.hidden) * columns
    points = 2 * CHUNK * columns * config.dim  # inputs and values, if no other model shares them
    parameters = 9 * parameter_count(config)  # weights twice, averages, gradients, a way back
    kept = kept_bytes(config, tokens=tokens, batch=batch, loops=loops)
    return kept + FLOAT * (workspace + points + parameters)


def ensemble_size(
    config: ModelConfig, *, tokens: int, batch: int, loops: int, free_bytes: int
) -> int:
    """Return how many models of one configuration to train at once in ``free_bytes``, at least 1.

    Raises
    ------
    ValueError
        If ``free_bytes`` is not positive.
    """
    if free_bytes < 1:
        raise ValueError(f"`free_bytes` must be an integer >= 1, got {free_bytes}")
    each = model_bytes(config, tokens=tokens, batch=batch, loops=loops)
    return max(1, int(SHARE * free_bytes) // each)


def free_memory(device: torch.device) -> int | None:
    """Return the bytes free on a GPU, what this process holds in reserve included; else None."""
    if device.type != "cuda":
        return None
    torch.cuda.empty_cache()
    return int(torch.cuda.mem_get_info(device)[0])


def slices(start: int, stop: int, size: int) -> list[tuple[int, int]]:
    """Cut start..stop into as few stretches of at most ``size`` as can be, of equal length +-1."""
    count = -(-(stop - start) // size)
    ends = [start + (stop - start) * k // count for k in range(count + 1)]
    return list(pairwise(ends))


def in_halves(work: Callable[[int, int], list[Item]], start: int, stop: int) -> list[Item]:
    """Return ``work(start, stop)``, or of both halves, and so on, where the GPU's memory is short.

    Raises
    ------
    torch.OutOfMemoryError
        If one alone does not fit.
    """
    try:
        return work(start, stop)
    except torch.OutOfMemoryError:
        if stop - start == 1:
            raise
    torch.cuda.empty_cache()  # outside the handler: its traceback holds tensors
    middle = (start + stop) // 2
    return in_halves(work, start, middle) + in_halves(work, middle, stop)
