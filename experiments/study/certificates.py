"""Constructed networks for the commands and the study: what one costs, and its certificate."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import Path
from typing import Any, cast

import numpy as np

from looprate.experiments.study.followed import followed
from looprate.experiments.study.kept import keep, kept_row, one_at_a_time, place_of
from looprate.theory.bounds.loop_counts import (
    Coding,
    label_power,
    smallest_grid,
)
from looprate.theory.construction.build.compile import Construction, compile_construction
from looprate.theory.construction.build.labels import MOST_LABELS, cell_points, every_cell
from looprate.theory.construction.build.network import Network
from looprate.theory.construction.build.spec import SHARPNESS, ConstructionSpec
from looprate.theory.construction.certify.cells import cell_count
from looprate.theory.construction.certify.certificate import (
    BOXES,
    TOLERANCE,
    Certificate,
    certify,
    stored_certificate,
)
from looprate.theory.construction.certify.evidence import STRIP_SAMPLES
from looprate.theory.construction.memorisers import memoriser_kind
from looprate.theory.enclosure.soundness import check_arithmetic
from looprate.theory.facts import Facts
from looprate.theory.targets import Target

__all__ = [
    "affordable",
    "asked_spec",
    "certificate_of",
    "cost_of",
    "known_certificate",
    "softmax_of",
]

GRID, MEMORISER = 8, "timestep"  # where nothing is asked for
BITS_BEYOND_GRID = 3  # digits below 1/m: the memoriser's error is a small share of the cells'
# Measured on one core of an AMD EPYC, 2.6 GHz; the memorisers know their own
SECONDS_A_BIT = 4e-10  # and loop, of the integer that a memoriser holds the labels in
SECONDS_AN_ENTRY = 1.2e-4  # of the table of outputs, compared as fractions
SECONDS_A_LABEL = 4e-6  # compiled
LONG = 10**15  # numbers beyond are told by their power of ten
INPUT_BITS = 20  # fractional bits of a cell's centre as float64 input: the same cell, exact sums
LARGEST_BETA = 2.0**12  # exp(-beta) is 0 in float64, and integer scores differ by at least 1


@dataclass(frozen=True)
class Cost:
    """What certifying a construction takes.

    Attributes
    ----------
    labels, loops, inputs : int
        Labels 0..L, loops, and sets of cells the network is run on.
    seconds : float
        Rough estimate for one core, inf beyond ``MOST_LABELS`` labels, which no label table holds;
        the enclosure of the error comes on top.
    """

    labels: int
    loops: int
    inputs: int
    seconds: float


def default_bits(memoriser: str, grid: int) -> int | None:
    """Return q: three digits beyond the cell width; None for a memoriser that takes none."""
    takes_bits = memoriser_kind(memoriser).takes_bits
    return (grid - 1).bit_length() + BITS_BEYOND_GRID if takes_bits else None


def asked_spec(
    *,
    tokens: int,
    dim: int,
    grid: int | None = None,
    memoriser: str | None = None,
    coding: str | None = None,
    bits: int | None = None,
    sharpness: int | None = None,
) -> ConstructionSpec:
    """Return what a construction is built for; what is left out suits the rest.

    Parameters
    ----------
    tokens, dim, grid, memoriser, coding, bits, sharpness
        See :class:`looprate.theory.construction.build.spec.ConstructionSpec`.
    """
    grid = GRID if grid is None else grid
    kind = memoriser_kind(memoriser or MEMORISER)
    if bits is None:
        bits = default_bits(kind.name, max(grid, 1))  # a grid below 1 is refused as such
    return ConstructionSpec(
        tokens=tokens,
        dim=dim,
        grid=grid,
        memoriser=kind.name,
        coding=cast(Coding, coding) if coding else kind.coding,
        bits=bits,
        sharpness=SHARPNESS if sharpness is None else sharpness,
    )


def cost_of(spec: ConstructionSpec) -> Cost:
    """Estimate the cost of a certificate before anything is computed."""
    loops, inputs = spec.loops, cell_count(spec)
    labels, entries = spec.last_label + 1, inputs * spec.tokens * spec.dim
    if labels > MOST_LABELS:
        return Cost(labels, loops, inputs, math.inf)
    columns = (3 * inputs + STRIP_SAMPLES) * spec.tokens
    kind = memoriser_kind(spec.memoriser)
    a_loop = kind.seconds_a_loop + kind.bits_a_loop * loops * SECONDS_A_BIT
    a_loop += kind.seconds_a_column * columns
    tables = entries * SECONDS_AN_ENTRY + labels * SECONDS_A_LABEL
    return Cost(labels, loops, inputs, loops * spec.dim * a_loop + tables)


def affordable(spec: ConstructionSpec, seconds: float) -> Cost:
    """Return the cost of a construction within some seconds.

    Raises
    ------
    ValueError
        If it exceeds ``seconds`` or the labels that a table holds; the message says which
        grid would fit.
    """
    cost = cost_of(spec)
    if _fits(spec, seconds):
        return cost
    smallest = smallest_grid(tokens=spec.tokens, dim=spec.dim, coding=spec.coding)
    grids = range(smallest, spec.grid)
    cheap = takewhile(lambda grid: _fits(replace(spec, grid=grid), seconds), grids)
    fits = max(cheap, default=None)
    cure = f"grid <= {fits} fits" if fits else "no grid fits: fewer tokens or coordinates"
    limit = f"over `seconds`={seconds:g} (about {cost.seconds:,.0f} s)"
    if math.isinf(cost.seconds):
        limit = f"over the {MOST_LABELS:,} labels that a table holds"
    power = label_power(tokens=spec.tokens, dim=spec.dim, coding=spec.coding)
    raise ValueError(
        f"`grid`={spec.grid} needs {_count(cost.labels)} labels, {_count(cost.loops)} loops and "
        f"{_count(cost.inputs)} inputs, {limit} (labels grow like m^{power}): {cure}"
    )


def _count(number: int) -> str:
    """A number, or its power of ten where it is long."""
    return f"{number:,}" if number < LONG else f"about 10^{math.log10(number):.0f}"


def _fits(spec: ConstructionSpec, seconds: float) -> bool:
    """Whether a construction has a table of labels and is within the time."""
    return math.isfinite(cost := cost_of(spec).seconds) and cost <= seconds


def certificate_of(
    target: Target,
    spec: ConstructionSpec,
    facts: Facts,
    *,
    network: Network | None = None,
    tolerance: float = TOLERANCE,
    boxes: int = BOXES,
    seconds: float = math.inf,
    seed: int = 0,
    report: Callable[[float], None] | None = None,
) -> tuple[Construction, Certificate]:
    """Compile a target, or take a network said to be its construction, and certify it.

    Parameters
    ----------
    target : Target
    spec : ConstructionSpec
    facts : Facts
        Of the same target, N and d.
    network : Network, optional
        From a file; a fresh compilation if left out.
    tolerance, boxes, seconds, seed, report
        As in :func:`looprate.theory.construction.certify.certificate.certify`.

    Raises
    ------
    ValueError
        If something is out of range or cannot be run in 64 bits.
    """
    with suppress(ValueError):  # without enclosures the certificate says so
        target = followed(target, spec.tokens, spec.dim)
    construction = compile_construction(target, spec)
    if network is not None:
        construction = replace(construction, network=network)
    try:
        certificate = certify(
            construction,
            target,
            facts,
            tolerance=tolerance,
            boxes=boxes,
            seconds=seconds,
            seed=seed,
            report=report,
        )
    except OverflowError as error:
        raise ValueError(str(error)) from None
    return construction, certificate


def known_certificate(
    target: Target,
    spec: ConstructionSpec,
    facts: Facts,
    *,
    network: Network | None = None,
    report: Callable[[float], None] | None = None,
    **limits: float,
) -> tuple[Construction, Certificate, Path | None]:
    """Return what :func:`certificate_of` does, and the file it was read from where there is one.

    Parameters, ``limits`` among them, and errors are those of :func:`certificate_of`; besides,
    NotCertifiedError where float64 does not round to nearest or flushes subnormal numbers.
    """
    check_arithmetic()
    made_of = {"facts": repr(facts.as_row()), "network": network and repr(network), "p": facts.p}
    path = place_of(
        "certificates",
        target,
        {**spec.as_dict(), **made_of, "limits": repr(sorted(limits.items()))},
    )
    with one_at_a_time(path):
        with suppress(ValueError, KeyError, TypeError, AttributeError):
            if (row := kept_row(path, "checks")) is not None:
                found = stored_certificate(row, spec, facts)
                fresh = compile_construction(target, spec)
                return replace(fresh, network=network or fresh.network), found, path
        how: dict[str, Any] = {**limits, "network": network, "report": report}
        construction, found = certificate_of(target, spec, facts, **how)
        check_arithmetic()  # the target may have changed it: then nothing is kept
        keep(path, found.as_dict())
    return construction, found, None


def softmax_of(construction: Construction, tolerance: float) -> dict[str, Any]:
    """Return the inverse temperature at which softmax attention does what hardmax does.

    Parameters
    ----------
    construction : Construction
    tolerance : float
        Largest absolute difference allowed over all output entries, float64, on every cell's
        centre (tokens in descending order of cells), rounded to multiples of 2^-20.

    Returns
    -------
    dict
        beta (None if none that was tried does), tolerance, inputs, curve: [[beta, error], ...] with
        None for an error that diverged.

    Raises
    ------
    ValueError
        If the tolerance is not a finite number > 0, or float64 cannot hold the network.
    """
    import torch

    from looprate.approx.constructed.sharpness import softmax_beta_for

    if not (tolerance > 0 and math.isfinite(tolerance)):
        raise ValueError(f"`softmax` must be a finite number > 0, got {tolerance:g}")
    cells, _ = every_cell(construction.spec)
    centres = cell_points(cells, construction.spec) / construction.spec.slope
    centres = np.rint(np.ldexp(centres, INPUT_BITS))
    inputs = torch.tensor(np.ldexp(centres, -INPUT_BITS))
    try:
        found = softmax_beta_for(
            construction.network, inputs, tolerance=tolerance, largest=LARGEST_BETA
        )
    except ValueError as error:
        why = str(error).partition("; ")[0]
        other = construction.spec.memoriser != MEMORISER
        cure = f"the {MEMORISER} memoriser stays below it" if other else "take a smaller sharpness"
        raise ValueError(
            f"`softmax` runs the network in float64, exact up to 2^53 only: {why}; {cure}"
        ) from None
    curve = [[beta, error if math.isfinite(error) else None] for beta, error in found.curve]
    return {"beta": found.beta, "tolerance": tolerance, "inputs": len(inputs), "curve": curve}
