"""A constructed network in numbers of few bits: what it needs, and a run that saturates.

A network of b bits is compiled from a label table rounded to b - 1 bits, and reads tokens in strip
widths, rounded: M x is an integer.  Every weight and every state is then an integer.

**Bits needed.**  Heuristic, and tested: where no weight, label or value of eta has more than b
bits, arithmetic that holds every integer below 2^b, and sums on the way, answers as exact
arithmetic does; where one has more, it breaks.  So the finest grid that b bits allow has

    increments, one level       C holds two bits a label:     2 K <= b,       K about 2 m^{Nd}
    increments, two levels      words of √K symbols:          2 √K <= b
    timestep                    labels are states:            K <= 2^b,       K about N m^{Nd}

and its error is about w(δ), δ = 1/m: with w(t) <= L t^s a floor of order b^{-s/(Nd)},
b^{-2s/(Nd)} and 2^{-bs/(Nd)}.  More loops do not lower it, as a finer grid needs
more bits.  In floating point sums on the way have b bits, too; then increments in one level need
4 K <= b, as the two units that shift a digit write 4^c each, times a number of 2c bits.

Proven: weight-tied networks of one size with weights of b bits are 2^{bW} many, so at every number
of loops some f is at least of the order b^{-s/(Nd)} away from all of them
(:func:`looprate.theory.bounds.lower.worst_case_error_lower_bound` with ``weight_bits``).  With a
free eta(t) there are 2^{b(W + Dr)}, and no such floor.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from looprate.theory.construction.build.coding import largest_label
from looprate.theory.construction.build.compile import Construction, compile_table
from looprate.theory.construction.build.network import Affine, Network

__all__ = ["bits_needed", "for_few_bits", "saturated_output"]

MOST_BITS = 24  # products of two numbers, summed over the rows, stay within 2^53: floats are exact
Array = NDArray[np.float64]


def for_few_bits(construction: Construction, bits: int) -> Construction:
    """Return a construction with its values rounded to b - 1 bits, for inputs M x.

    Parameters
    ----------
    construction : Construction
    bits : int
        b, bits of a magnitude, at least 2.
    """
    table = construction.table
    longest = int(np.abs(table.values).max()).bit_length()
    drop = max(longest - (bits - 1), 0)
    half = (1 << drop) >> 1
    small = replace(table, values=(table.values + half) >> drop, unit=table.unit * 2**drop)
    network = compile_table(construction.spec, small)
    encoder = {
        row: Affine(dict.fromkeys(affine.weights, 1), affine.bias)
        for row, affine in network.encoder.items()
    }
    return replace(construction, table=small, network=replace(network, encoder=encoder))


def bits_needed(construction: Construction, *, floating: bool = False) -> int:
    """Return the bits of the largest weight, value of eta or label of a construction.

    Parameters
    ----------
    construction : Construction
        Of :func:`for_few_bits`, or its values count with 40 bits.
    floating : bool
        Whether sums on the way are rounded, too: then the largest product of what a unit writes and
        its bias counts, which two units of a step add with both signs.
    """
    network, spec = construction.network, construction.spec
    found = [network.weight_bits(), largest_label(spec).bit_length()]
    if floating:
        found += [
            (unit.bias * weight).bit_length()
            for unit in network.block.units
            for weight in unit.writes.values()
        ]
    return max(found)


def saturated_output(network: Network, numbers: Array, *, bits: int) -> Array:
    """Run a network in integers of b bits and a sign, every number clipped to that range.

    Weights, what heads read and return, pre-activations, the output of the feed-forward layer, eta
    times it and the stream are clipped, and each sum on the way is exact; the mean over a tie is
    rounded down.  L2 is not clipped.

    Parameters
    ----------
    network : Network
        Its encoder takes integers to integers.
    numbers : (B, N, d) float64 ndarray
        Array.
    bits : int
        b, at most 24.

    Returns
    -------
    (B, N, d) float64 ndarray

    Raises
    ------
    ValueError
        If ``bits`` is out of range.
    """
    if not 2 <= bits <= MOST_BITS:
        raise ValueError(f"`bits` must be from 2 to {MOST_BITS}, got {bits}")
    top = 2**bits - 1
    dense = {
        name: np.clip(array, -top, top).astype(np.float64)
        for name, array in network.block.matrices().items()
    }
    rows = network.block.rows
    state = np.stack([_affine(network.encoder.get(row), numbers, top) for row in rows], axis=-1)
    scheduled = [(rows.index(row), row) for row in network.eta]
    for loop in range(network.loops):
        state = np.clip(state + _attended(state, dense, top), -top, top)
        reads = np.clip(state @ dense["W_1"].T + dense["b_1"], 0, top)
        change = np.clip(reads @ dense["W_2"].T + dense["b_2"], -top, top)
        for place, row in scheduled:
            change[..., place] *= min(max(network.eta_at(row, loop), -top), top)
        state = np.clip(state + change, -top, top)
    decoded = [_decoded(form, bias, state, rows) for form, bias in network.decoder]
    return np.stack(decoded, axis=-1)


def _affine(affine: Affine | None, numbers: Array, top: int) -> Array:
    """One row of L1, clipped."""
    if affine is None:
        return np.zeros(numbers.shape[:2])
    total = np.full(numbers.shape[:2], float(min(max(affine.bias, -top), top)))
    for i, weight in affine.weights.items():
        total += weight * numbers[..., i]
    return np.clip(total, -top, top)


def _attended(state: Array, dense: dict[str, Array], top: int) -> Array:
    """What the heads add to the stream, hardmax."""
    query, key, value = (
        np.clip(state @ dense[name].T, -top, top) for name in ("W_Q", "W_K", "W_V")
    )
    scores = query[:, :, None] * key[:, None]  # (B, N, N, heads): token n looks at token m
    best = scores == scores.max(axis=2, keepdims=True)
    mean = np.floor((best * value[:, None]).sum(axis=2) / best.sum(axis=2))
    return mean @ dense["W_O"].T


def _decoded(
    form: Mapping[str, Fraction], bias: Fraction, state: Array, rows: tuple[str, ...]
) -> Array:
    """One output coordinate in floats."""
    total = np.full(state.shape[:2], float(bias))
    for row, weight in form.items():
        total += float(weight) * state[..., rows.index(row)]
    return total
