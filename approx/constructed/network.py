"""A constructed network as a torch module: the paper's dense matrices in floating point.

One loop of the block on the residual stream X (B, N, D), heads of size 1::

    X = X + Attn(X)                                   hardmax, or softmax of beta times the scores
    X = X + eta[t] * (W_2 relu(W_1 X + b_1) + b_2)

Floating point holds every integer only up to 2^53 (float64; 2^24 for float32), and every multiple
of 2^-k only up to 2^(53-k).  With ``exact=True`` (the default) a network with a larger integer is
refused when it is built, and a hardmax run in the loop in which a partial sum could leave that
range, k being the fractional bits of the rows.  So what comes back went through the loops without
any rounding; L1 and L2, before and after, may round to nearest.  Inputs drawn as floats have too
many bits: with hardmax they are first taken for the nearest multiples of 2^-20.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from looprate.theory.construction.build.network import Network
from looprate.theory.notation import check_loops

__all__ = ["ConstructedTransformer", "constructed_transformer"]

BITS = 20  # fractional bits of inputs that are kept
ROUND = "take `x` in multiples of a larger power of 2, let tokens that tie share values, or "
CURE = (
    "take the timestep memoriser, or digits on a smaller grid, or the exact evaluator for "
    "exact values; exact=False runs it with the damage"
)


class ConstructedTransformer(nn.Module):
    """L2 ∘ block^loops ∘ L1 with fixed weights; :func:`constructed_transformer` makes one.

    Parameters
    ----------
    network : Network
    dtype, device, beta, exact
        As in :func:`constructed_transformer`.

    Attributes
    ----------
    W_Q, W_K, W_V : Tensor, shape (heads, D)
    W_O : Tensor, shape (D, heads)
    W_1, b_1, W_2, b_2 : Tensor, shapes (width, D), (width,), (D, width), (D,)
    L1, L1_bias : Tensor, shapes (D, d), (D,)
    L2, L2_bias : Tensor, shapes (d, D), (d,)
    eta : Tensor, shape (loops, D)
        1 on rows without a schedule.  It is longer where a schedule is.
    eta_after : Tensor, shape (D,)
        eta of every later loop: 0 on rows with a schedule, 1 on the others.
    """

    W_Q: Tensor
    W_K: Tensor
    W_V: Tensor
    W_O: Tensor
    W_1: Tensor
    b_1: Tensor
    W_2: Tensor
    b_2: Tensor
    L1: Tensor
    L1_bias: Tensor
    L2: Tensor
    L2_bias: Tensor
    eta: Tensor
    eta_after: Tensor

    def __init__(
        self,
        network: Network,
        *,
        dtype: torch.dtype = torch.float64,
        device: str | torch.device = "cpu",
        beta: float | None = None,
        exact: bool = True,
    ) -> None:
        super().__init__()
        limit = _integer_range(dtype)
        if beta is not None and not (math.isfinite(beta) and beta > 0):
            raise ValueError(
                f"`beta` must be a finite number > 0, or None for hardmax, got {beta!r}"
            )
        if exact:
            _refuse_large_integers(network, limit, dtype)
        self.dtype, self.beta, self.exact = dtype, beta, exact
        self.dim, self.loops = network.dim, network.loops
        self.rows = network.block.rows
        self.units = tuple(unit.name for unit in network.block.units)
        for name, array in {**network.block.matrices(), **_ends(network)}.items():
            self.register_buffer(name, _tensor(array).to(device, dtype))

    def forward(self, x: Tensor, loops: int | None = None) -> Tensor:
        """Map (B, N, d) to (B, N, d).

        Parameters
        ----------
        x : Tensor, shape (B, N, d)
            Of the dtype and on the device of the module; N >= 1.  With exact=True and hardmax taken
            for the nearest multiples of 2^-20, so the output is exactly the network's there.
        loops : int, optional
            Loops to run; the network's own count if left out.

        Raises
        ------
        ValueError
            If ``x`` has another shape, dtype or device; with exact=True and hardmax, if ``x`` has
            too many bits or a row, head or unit could leave the range that is exact.
        """
        self._check_input(x)
        count = self.loops if loops is None else check_loops(loops)
        if not len(x):
            return x.clone()
        checked = self.exact and self.beta is None
        if checked:
            x = _rounded(x)
        state = x @ self.L1.mT + self.L1_bias  # (B, N, D)
        grain = None
        if checked:
            grain = self._grain(state, 1.0, "`x` must be finite with few enough bits to stay")
        for loop in range(count):
            state, grain = self._loop(state, loop, grain)
        return state @ self.L2.mT + self.L2_bias

    def _check_input(self, x: Tensor) -> None:
        """Raise unless the input fits the module, and the module is as it was built."""
        if self.L1.dtype != self.dtype and self.exact:
            raise ValueError(
                f"`dtype` must stay {self.dtype}, in which the network was checked, got "
                f"{self.L1.dtype}; build it anew with dtype={self.L1.dtype}"
            )
        if x.ndim != 3 or x.shape[1] < 1 or x.shape[2] != self.dim:
            raise ValueError(
                f"`x` must have shape (B, N >= 1, d = {self.dim}), got {tuple(x.shape)}"
            )
        if x.dtype != self.L1.dtype or x.device != self.L1.device:
            raise ValueError(
                f"`x` must be {self.L1.dtype} on {self.L1.device} like the network, got {x.dtype} "
                f"on {x.device}; convert it with x.to({self.L1.dtype}) or x.to(device)"
            )

    def _grain(self, values: Tensor, largest: float, cause: str) -> float:
        """Return the largest power of two <= ``largest`` of which all values are multiples."""
        _refuse_transforms(values)
        scaled = values.detach().double() / largest
        for bits in range(_integer_range(self.dtype).bit_length()):
            if (scaled.frac() == 0).all():
                return largest / 2**bits
            scaled = scaled * 2
        raise ValueError(
            f"{cause} exact in {self.dtype}, got numbers with more bits; {ROUND}{CURE}"
        )

    def _loop(self, x: Tensor, loop: int, grain: float | None) -> tuple[Tensor, float | None]:
        """Apply the block once: (B, N, D) to (B, N, D), and what its rows are multiples of.

        Rounding is refused unless ``grain`` is None.  Proof that the mean over a tie was not
        rounded: off the new grain g it would be at least g/N from its multiples, and its rounding
        error is less, because N times its magnitude is within 2^53 g.
        """
        eta = self.eta[loop] if loop < len(self.eta) else self.eta_after
        mixed = self._mix(x)  # (B, N, heads)
        middle = x + mixed @ self.W_O.mT
        reads = middle @ self.W_1.mT + self.b_1  # (B, N, width)
        update = reads.relu() @ self.W_2.mT + self.b_2
        if grain is not None:
            grain = self._grain(mixed, grain, "`network` must share values among tokens that tie")
            states = map(Tensor.detach, (x, mixed, middle, reads, update))
            self._refuse_rounding(loop, grain, eta, *states)
        return middle + eta * update, grain

    def _mix(self, x: Tensor) -> Tensor:
        """Return what every head attends to, before W_O: (B, N, D) to (B, N, heads)."""
        query, key, value = x @ self.W_Q.mT, x @ self.W_K.mT, x @ self.W_V.mT
        scores = query[:, :, None] * key[:, None]  # (B, N, N, heads): token n looks at token m
        largest = scores.amax(2, keepdim=True)
        if self.beta is not None:  # scaled after the subtraction, which rounds no integer
            return ((self.beta * (scores - largest)).softmax(2) * value[:, None]).sum(2)
        best = scores == largest
        chosen = torch.where(best, value[:, None], 0.0)
        return chosen.sum(2) / best.sum(2)  # summed first: the mean of equal integers is exact

    def _refuse_rounding(self, loop: int, grain: float, eta: Tensor, *states: Tensor) -> None:
        """Raise if a partial sum of this loop could leave the range of multiples of ``grain``."""
        limit = _integer_range(self.dtype) * grain
        x, mixed, middle, reads, update = states
        parts = (x.abs(), mixed.abs(), middle.abs(), reads, update.abs())
        peaks = [part.flatten(0, 1).amax(0)[None, None] for part in parts]
        tokens = x.shape[1]
        if (self._reach(grain, eta, tokens, *peaks) <= limit).all():
            return  # cheap and enough: as if one token had the largest value of every row
        reached = self._reach(grain, eta, tokens, *parts)
        within = reached <= limit  # False for NaN too
        if not within.all():
            first = int((~within).nonzero()[0])
            names = [f"head {k}" for k in range(len(self.W_Q))]
            names += [f"unit {name!r}" for name in self.units]
            names += [f"row {name!r}" for name in self.rows]
            rows = "integers" if grain == 1 else f"rows in multiples of 2^{round(math.log2(grain))}"
            cure = "" if grain == 1 else ROUND
            raise ValueError(
                f"`network` must keep its {rows} within ±2^{round(math.log2(limit))}, where "
                f"{self.dtype} is exact, got up to {float(reached[first]):.3g} in {names[first]} "
                f"in loop {loop}; {cure}{CURE}"
            )

    def _reach(
        self,
        grain: float,
        eta: Tensor,
        tokens: int,
        x: Tensor,
        mixed: Tensor,
        middle: Tensor,
        reads: Tensor,
        update: Tensor,
    ) -> Tensor:
        """Return the largest sum of magnitudes of each head, unit and row: (heads + width + D,).

        All but ``reads`` are magnitudes.  ``update`` is what a row gains before eta: where its sum
        is exact, so is its product with eta if that is in the range.  A unit that is below 0 by
        more than its own rounding is off whatever its sum, and counts as 0.
        """
        query, key, value = (x @ w.abs().mT for w in (self.W_Q, self.W_K, self.W_V))
        key = key.amax(1, keepdim=True)
        scores = query * key / grain  # a product is a multiple of grain squared
        heads = scores.maximum(query).maximum(key).maximum(tokens * value)
        units = middle @ self.W_1.abs().mT + self.b_1.abs()
        rounding = (len(self.rows) + 2) * torch.finfo(self.dtype).eps * units
        units = torch.where(reads < -rounding, 0.0, units)
        gained = reads.relu() @ self.W_2.abs().mT + self.b_2.abs()
        rows = torch.maximum(x + mixed @ self.W_O.abs().mT, middle + eta.abs() * update)
        rows = rows.maximum(gained * (eta != 0))
        return torch.cat([part.flatten(0, 1).amax(0) for part in (heads, units, rows)])


def constructed_transformer(
    network: Network,
    *,
    dtype: torch.dtype = torch.float64,
    device: str | torch.device = "cpu",
    beta: float | None = None,
    exact: bool = True,
) -> ConstructedTransformer:
    """Return a constructed network as a torch module.

    Parameters
    ----------
    network : Network
    dtype : torch.dtype
        A floating-point type.
    device : str or torch.device
    beta : float, optional
        None for hardmax: the tokens of the largest score share the weight equally.  A number > 0
        for softmax of beta times the scores.
    exact : bool
        Refuse what ``dtype`` cannot hold: integers beyond the range of its significand, 2^53 for
        float64 and 2^24 for float32, at once in weights, L1 and eta, and for hardmax also in the
        loop in which a row, head or unit could reach one (20 fractional bits of an input are
        read).  With False anything runs, with the damage done: integers are rounded, or become
        infinite beyond the range of ``dtype`` and spread as NaN.

    Returns
    -------
    ConstructedTransformer

    Raises
    ------
    TypeError
        If ``dtype`` is not a floating-point type.
    ValueError
        If ``beta`` is not a finite number > 0, or an integer is beyond the range.
    """
    return ConstructedTransformer(network, dtype=dtype, device=device, beta=beta, exact=exact)


def _rounded(x: Tensor) -> Tensor:
    """Return the nearest multiples of 2^-BITS, with the slope of x; infinite numbers stay."""
    near = ((x.detach().double() * 2.0**BITS).round() / 2.0**BITS).to(x.dtype)
    return x + torch.where(near.isfinite(), near - x, 0.0).detach()  # two exact operations


def _refuse_transforms(x: Tensor) -> None:
    """Raise where there are no values to check: a graph is recorded, or many inputs are mapped."""
    if torch.compiler.is_compiling() or torch._C._functorch.is_batchedtensor(x):
        raise ValueError(
            "`exact` must be False under torch.compile, torch.export and vmap, where no value can "
            "be checked, got True; make the module with exact=False"
        )


def _integer_range(dtype: torch.dtype) -> int:
    """Return the integer up to which a floating-point type holds every integer."""
    if not dtype.is_floating_point:
        raise TypeError(f"`dtype` must be a floating-point type, torch.float64 say, got {dtype}")
    return round(2 / torch.finfo(dtype).eps)


def _refuse_large_integers(network: Network, limit: int, dtype: torch.dtype) -> None:
    """Raise if an integer of the network is beyond the range, naming the largest."""
    bits = limit.bit_length() - 1
    place, value = max(_integers(network), key=lambda found: abs(found[1]), default=("", 0))
    if abs(value) > limit:
        raise ValueError(
            f"`network` must have integers within ±2^{bits}, the range of {dtype}, got "
            f"{place} of {abs(value).bit_length()} bits; {CURE}"
        )


def _integers(network: Network) -> Iterator[tuple[str, int]]:
    """Yield every integer of the network with its place."""
    forms: list[tuple[str, Mapping[Any, int]]] = [("b_2 (drift)", network.block.drift)]
    for k, head in enumerate(network.block.heads):
        parts = {"W_Q": head.query, "W_K": head.key, "W_V": head.value, "W_O": head.output}
        forms += [(f"{name} of head {k}", form) for name, form in parts.items()]
    for unit in network.block.units:
        forms += [(f"W_1 of unit {unit.name!r}", unit.reads)]
        forms += [(f"W_2 of unit {unit.name!r}", unit.writes)]
        yield f"b_1 of unit {unit.name!r}", operator.index(unit.bias)
    for row, affine in network.encoder.items():
        forms.append((f"L1 of row {row!r}", affine.weights))
        yield f"L1 bias of row {row!r}", operator.index(affine.bias)
    for place, form in forms:
        yield from ((f"{place} at {at!r}", operator.index(value)) for at, value in form.items())
    for row, schedule in network.eta.items():
        yield from ((f"eta of row {row!r} in loop {t}", eta) for t, eta in enumerate(schedule))


def _ends(network: Network) -> dict[str, np.ndarray]:
    """Return L1, L2 and eta as arrays of Python numbers."""
    rows = {row: place for place, row in enumerate(network.block.rows)}
    count = max([network.loops, *map(len, network.eta.values())])
    arrays = {
        "L1": np.zeros((len(rows), network.dim), dtype=object),
        "L1_bias": np.zeros(len(rows), dtype=object),
        "L2": np.zeros((network.dim, len(rows)), dtype=object),
        "L2_bias": np.array([bias for _, bias in network.decoder], dtype=object),
        "eta": np.ones((count, len(rows))),
        "eta_after": np.ones(len(rows)),
    }
    for row, affine in network.encoder.items():
        arrays["L1_bias"][rows[row]] = affine.bias
        for coordinate, weight in affine.weights.items():
            arrays["L1"][rows[row], coordinate] = weight
    for coordinate, (form, _) in enumerate(network.decoder):
        for row, value in form.items():
            arrays["L2"][coordinate, rows[row]] = value
    for row, schedule in network.eta.items():
        arrays["eta"][:, rows[row]] = 0
        arrays["eta"][: len(schedule), rows[row]] = [_float(eta) for eta in schedule]
        arrays["eta_after"][rows[row]] = 0
    return arrays


def _tensor(array: np.ndarray) -> Tensor:
    """Numbers of any size as float64; infinite where they are beyond it."""
    if array.dtype == object:
        array = np.array([_float(value) for value in array.flat]).reshape(array.shape)
    return torch.from_numpy(array.astype(np.float64, copy=False))


def _float(value: int | Fraction) -> float:
    """Return the nearest float64, infinite beyond its range."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
