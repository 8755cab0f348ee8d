"""What a constructed network does to a plane of inputs, loop by loop: the states of an animation.

Two coordinates run over the cells of the grid, the others are held; every number is read off the
exact run of the network.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import lcm
from typing import Any

import numpy as np
from numpy.typing import NDArray

from looprate.theory.construction.build.coding import label_form
from looprate.theory.construction.build.compile import Construction
from looprate.theory.construction.build.labels import cell_points, powers_of
from looprate.theory.construction.build.spec import ConstructionSpec, stage_of
from looprate.theory.construction.run.exact import Rows, exact_states
from looprate.theory.targets import Target
from looprate.theory.values import values_of

__all__ = ["Film", "film_of"]

MOST_SIDES = 40  # cells of an axis that are run
MOST_FRAMES = {"quantise": 12, "context": 8, "values": 48}
FINE = 80  # places of an axis at which the function itself is drawn
CHOSEN = (5 / 6, 2 / 5)  # where the input that is followed is, as near as a cell's centre can be
GOLDEN = 0.6180339887498949  # spreads the coordinates that are held
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Film:
    """The states of a run after F of its loops, on K inputs.

    Attributes
    ----------
    target : Target
    construction : Construction
    loops : (F,) int ndarray
        After how many loops; 0 is the input.
    stages : list of str or None
        The stage that each of these loops belongs to.
    cells, labels, outputs : (F, K, N) ndarray
        Cell, label and first output coordinate of every token so far.
    inputs : (K, N, d) ndarray
        Centres of cells; they make a rectangle of ``shape``, the first varying coordinate running
        fastest.
    shape : (int, int)
    plane : (int, int)
        Which coordinates vary, counted token by token; twice the same if there is only one.
    chosen : int
        The input that is followed.
    function : (FINE or 1, FINE) ndarray
        First coordinate of f at token 1 on the same plane.
    wanted : (N,) ndarray
        First coordinate of f at the chosen input.
    """

    target: Target
    construction: Construction
    loops: NDArray[np.int64]
    stages: list[str | None]
    cells: Floats
    labels: Floats
    outputs: Floats
    inputs: Floats
    shape: tuple[int, int]
    plane: tuple[int, int]
    chosen: int
    function: Floats
    wanted: Floats


def film_of(
    construction: Construction, target: Target, *, report: Callable[[float], None] | None = None
) -> Film:
    """Run a network exactly on a plane of inputs and keep what an animation shows.

    Parameters
    ----------
    construction : Construction
        Of any N, d and grid; of a fine grid, and of a long run, evenly many are shown.
    target : Target
        What it was compiled from.
    report : callable, optional
        Called with the fraction done.

    Raises
    ------
    ValueError
        If the network lacks a row of the construction, or cannot be run in 64 bits.
    """
    spec = construction.spec
    plane = (0, spec.dim if spec.tokens > 1 else spec.dim - 1)  # of tokens 1 and 2 if there are two
    lines, shape = _plane_of_cells(spec, plane)
    points = cell_points(lines @ powers_of(spec.grid, spec.dim), spec)
    loops = _moments(spec)
    try:
        states = list(_states(construction, points, loops, report))
    except OverflowError as error:
        raise ValueError(str(error)) from None
    cells, labels, outputs = map(np.array, zip(*states, strict=True))
    inputs = points / spec.slope
    chosen = _nearest(inputs, plane)
    return Film(
        target=target,
        construction=construction,
        loops=np.array(loops),
        stages=[stage_of(spec, loop) for loop in loops],
        cells=cells,
        labels=labels,
        outputs=outputs,
        inputs=inputs,
        shape=shape,
        plane=plane,
        chosen=chosen,
        function=_function(target, inputs[chosen], plane),
        wanted=_values(target, inputs[chosen][None])[0],
    )


def _states(
    construction: Construction,
    points: NDArray[np.int64],
    loops: list[int],
    report: Callable[[float], None] | None,
) -> Iterator[tuple[Floats, Floats, Floats]]:
    """Yield cells, labels and outputs so far after each of some loops."""
    spec, network = construction.spec, construction.network
    form, offset = label_form(spec)
    if missing := sorted({"z", *form} - set(network.block.rows)):
        raise ValueError(
            f"`network` must have the construction's rows to be animated, it lacks {missing}; "
            "compile it again"
        )
    weights, bias = network.decoder[0]
    run = exact_states(
        network, points, denominator=spec.slope, loops=spec.loops, at=frozenset(loops)
    )
    for loop, rows in zip(loops, run, strict=True):
        yield (
            _combined(rows, {"z": 1}, 0),
            _combined(rows, form, offset),
            _combined(rows, weights, bias),
        )
        if report is not None:
            report(loop / spec.loops)


def _moments(spec: ConstructionSpec) -> list[int]:
    """After which loops a state is shown: the input, the end of each stage, evenly many between."""
    ends = {
        "quantise": (0, spec.context_start),
        "context": (spec.context_start, spec.values_start),
        "values": (spec.values_start, spec.loops),
    }
    found = {0}
    for stage, (start, end) in ends.items():
        count = min(end - start, MOST_FRAMES[stage])
        found |= {end - (end - start) * k // max(count, 1) for k in range(count)}
    return sorted(found)


def _plane_of_cells(
    spec: ConstructionSpec, plane: tuple[int, int]
) -> tuple[NDArray[np.int64], tuple[int, int]]:
    """Grid coordinates (K, N, d) of the cells of a plane, and how many rows and columns it has."""
    most = min(spec.grid, MOST_SIDES)
    sides = (2 * np.arange(most) + 1) * spec.grid // (2 * most)
    shape = (1 if plane[0] == plane[1] else most, most)
    entries = spec.tokens * spec.dim
    held = (spec.grid * ((0.5 + GOLDEN * np.arange(entries)) % 1.0)).astype(np.int64)
    return _over(held, plane, sides, shape[0]).reshape(-1, spec.tokens, spec.dim), shape


def _over(
    held: NDArray[Any], plane: tuple[int, int], sides: NDArray[Any], rows: int
) -> NDArray[Any]:
    """Repeat an input, (N·d,), with two coordinates that run over sides; the first one faster."""
    found = np.tile(held, (rows * len(sides), 1))
    found[:, plane[1]] = np.repeat(sides[:rows], len(sides))
    found[:, plane[0]] = np.tile(sides, rows)
    return found


def _combined(rows: Rows, form: Mapping[str, int | Fraction], bias: int | Fraction) -> Floats:
    """A linear form of rows plus a bias, exact and then rounded once, (B, N)."""
    scale = lcm(*(Fraction(number).denominator for number in (bias, *form.values())))
    shape = next(iter(rows.values.values())).shape
    total: NDArray[Any] = np.full(shape, int(bias * scale) * rows.resolution, dtype=object)
    for row, weight in form.items():
        total = total + rows.values[row].astype(object) * int(weight * scale)
    return np.asarray(total / (scale * rows.resolution), dtype=np.float64)


def _nearest(inputs: Floats, plane: tuple[int, int]) -> int:
    """Which input is nearest to the one that is to be followed."""
    places = inputs.reshape(len(inputs), -1)[:, list(plane)]
    return int(np.abs(places - np.array(CHOSEN)).max(axis=1).argmin())


def _function(target: Target, chosen: Floats, plane: tuple[int, int]) -> Floats:
    """First coordinate of f at token 1 on a fine plane through an input."""
    fine = (np.arange(FINE) + 0.5) / FINE
    rows = 1 if plane[0] == plane[1] else FINE
    x = _over(chosen.ravel(), plane, fine, rows)
    return _values(target, x.reshape(-1, *chosen.shape))[:, 0].reshape(rows, FINE)


def _values(target: Target, x: Floats) -> Floats:
    """First coordinate of f at every token, (B, N)."""
    return values_of(target, x, name="target", where="on the plane of the animation")[..., 0]
