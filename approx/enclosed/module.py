"""A torch module as a function of NumPy arrays, tensors and enclosures."""

from __future__ import annotations

import copy
from functools import cached_property
from typing import Any, final

import numpy as np
import torch
from torch import Tensor, nn

from looprate.approx.enclosed.tracing import Program, traced
from looprate.approx.models.looped import LoopedTransformer
from looprate.theory.enclosure.arrays import EnclosureArray
from looprate.theory.notation import check_dim, check_loops, check_tokens

PROBE_BATCH = 5
PROBE_SEED = 0
SAME = 1e-9  # of the largest value: outputs of one input, alone and in a batch, in float64


@final
class EnclosedModule:
    """A module that maps (B, N, d) to (B, N, d), in float64; see :func:`enclosed`.

    Parameters
    ----------
    module : nn.Module
        In float64, in evaluation mode, on the CPU; not changed.
    tokens, dim : int
        N and d.
    name : str
    """

    def __init__(self, module: nn.Module, *, tokens: int, dim: int, name: str) -> None:
        self.module, self.tokens, self.dim, self.name = module, tokens, dim, name

    @cached_property
    def program(self) -> Program:
        """What the module computes, as operations; ValueError if that cannot be followed."""
        return traced(self.module, tokens=self.tokens, dim=self.dim, name=self.name)

    def __call__(self, x: Any) -> Any:
        """Return the module's output, of the kind and shape of ``x``.

        Parameters
        ----------
        x : array, tensor or enclosure of shape (B, N, d)
            A NumPy array gives one of float64; a tensor of float64 keeps its gradient.

        Raises
        ------
        ValueError
            If the shape does not fit, or an enclosure meets an operation that has none.
        TypeError
            If ``x`` is none of these.
        """
        if tuple(x.shape)[1:] != (self.tokens, self.dim):
            raise ValueError(
                f"`x` must have shape (B, {self.tokens}, {self.dim}), got {tuple(x.shape)}; "
                "enclose the module for these `tokens` and `dim`"
            )
        if isinstance(x, EnclosureArray):
            return self.program(x)
        if isinstance(x, Tensor):
            return self.module(x)
        if isinstance(x, np.ndarray):
            with torch.no_grad():
                return self.module(torch.tensor(x, dtype=torch.float64)).numpy()
        raise TypeError(f"`x` must be an array, a tensor or an enclosure, got {type(x).__name__}")

    def __repr__(self) -> str:
        return f"EnclosedModule({self.name}, tokens={self.tokens}, dim={self.dim})"


def enclosed(
    module: nn.Module, *, tokens: int, dim: int, loops: int | None = None
) -> EnclosedModule:
    """Return a module as a function that also takes enclosures (:mod:`looprate.theory.enclosure`).

    Parameters
    ----------
    module : nn.Module
        Maps (B, N, d) to (B, N, d), every input of a batch on its own; copied to float64 and
        evaluation mode.
    tokens, dim : int
        N and d.
    loops : int, optional
        r, for a :class:`~looprate.approx.models.looped.LoopedTransformer`, which must have it.

    Returns
    -------
    EnclosedModule

    Raises
    ------
    TypeError
        If ``module`` is no module.
    ValueError
        If it lacks its loop count, maps to another shape, returns NaN or inf, or mixes the inputs
        of a batch.

    Notes
    -----
    What is enclosed is the function that the operations spell when the float64 weights, and what
    is computed from weights alone (such as eta(t)), are taken at their exact values and every
    operation on what depends on the input is exact.  Dropout is off, as in evaluation.

    Examples
    --------
    >>> from looprate.approx.models.looped import LoopedTransformer, ModelConfig
    >>> from looprate.theory.enclosure import enclose
    >>> model = LoopedTransformer(ModelConfig(width=4, hidden=4), seed=0)
    >>> f = enclosed(model, tokens=2, dim=1, loops=2)
    >>> box = enclose(f, np.zeros((1, 2, 1)), np.full((1, 2, 1), 0.01))
    >>> bool(box.contains(f(np.full((1, 2, 1), 0.005))).all())
    True
    """
    if not isinstance(module, nn.Module):
        raise TypeError(f"`module` must be a torch.nn.Module, got {type(module).__name__}")
    tokens, dim = check_tokens(tokens), check_dim(dim)
    name = type(module).__name__
    module = copy.deepcopy(module).cpu().double().train(False).requires_grad_(False)
    if isinstance(module, LoopedTransformer):
        if loops is None:
            raise ValueError("`loops` must be given for a LoopedTransformer, got none")
        name = f"{name} (r = {check_loops(loops)})"
        module.loops = loops
    elif loops is not None:
        raise ValueError(f"`loops` is for a LoopedTransformer only, got a {name}; leave it out")
    _probe(module, tokens, dim, name)
    return EnclosedModule(module, tokens=tokens, dim=dim, name=name)


def _probe(module: nn.Module, tokens: int, dim: int, name: str) -> None:
    """Raise unless the module maps batches to their shape, finite, input by input."""
    shape = (PROBE_BATCH, tokens, dim)
    x = torch.tensor(np.random.default_rng(PROBE_SEED).random(shape))
    with torch.no_grad():
        out = module(x)
        if not isinstance(out, Tensor) or tuple(out.shape) != shape:
            got = tuple(out.shape) if isinstance(out, Tensor) else type(out).__name__
            raise ValueError(f"`module` {name} must map shape {shape} to itself, got {got}")
        if not bool(torch.isfinite(out).all()):
            raise ValueError(f"`module` {name} must return finite values on the cube, got NaN, inf")
        alone = torch.cat([module(x[k : k + 1]) for k in range(PROBE_BATCH)])
    gap = float((out - alone).abs().max())
    if gap > SAME * float(out.abs().max()):
        raise ValueError(
            f"`module` {name} must treat each input of a batch on its own, in the same way each "
            f"time, got outputs that differ by {gap:.2g} without the others; let it not mix "
            "the first axis, nor draw random numbers"
        )
