"""f and the constructed network around one input: over two coordinates, along one, and there."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from looprate.figures.explorer.place import Place, place_of
from looprate.figures.explorer.setting import Setting
from looprate.figures.explorer.states import built
from looprate.figures.explorer.views import target_of
from looprate.theory.construction.build.spec import ConstructionSpec
from looprate.theory.construction.run.exact import exact_output
from looprate.theory.construction.run.oracle import oracle_cells, oracle_labels

SIDE = 64  # inputs a side of the picture over two coordinates
ALONG = 192  # inputs of a line along one coordinate, at least
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Slice:
    """f and the network along one coordinate, the others as in the input.

    Attributes
    ----------
    x, f : ndarray
    network : ndarray or None
        None where there is no network to look at.
    """

    x: Floats
    f: Floats
    network: Floats | None


@dataclass(frozen=True)
class There:
    """What f and the network make of the input, token by token.

    Attributes
    ----------
    place : Place
    f : ndarray, (N, d)
    network : ndarray or None, (N, d)
    cells, labels : list of int
        Empty where there is no network to look at.
    """

    place: Place
    f: Floats
    network: Floats | None
    cells: list[int]
    labels: list[int]


def map_of(setting: Setting) -> Floats:
    """Return the values of what the setting draws over two coordinates, (SIDE, SIDE) from below.

    Of the output at the coordinate that runs to the right.

    Raises
    ------
    ValueError
        If the network is drawn and there is none to look at.
    """
    place, (across, up) = place_of(setting), setting.plane
    free = list(place.numbers)  # the same picture wherever the point in it is
    free[across] = free[up] = 0
    shown = replace(place, numbers=tuple(free))
    f = setting.target, shown, across, up
    if setting.drawn == "f":
        return _map_of_f(*f)
    network = _map_of_network(*f, setting.spec)
    return network if setting.drawn == "network" else network - _map_of_f(*f)


def _pixels(place: Place, across: int, up: int) -> NDArray[np.int64]:
    """Inputs at the middle of every pixel, row by row from below."""
    middles = (2 * np.arange(SIDE, dtype=np.int64) + 1) * place.slope // (2 * SIDE)
    return place.over({up: np.repeat(middles, SIDE), across: np.tile(middles, SIDE)})


@lru_cache(maxsize=16)
def _map_of_f(target: str, place: Place, across: int, up: int) -> Floats:
    """Evaluate f at every pixel."""
    f = target_of(target, place.tokens, place.dim)
    return _entry(f(_pixels(place, across, up) / place.slope), across).reshape(SIDE, SIDE)


@lru_cache(maxsize=16)
def _map_of_network(
    target: str, place: Place, across: int, up: int, spec: ConstructionSpec
) -> Floats:
    """Run the network at every pixel."""
    run = _runner(target, spec)
    return _entry(run(_pixels(place, across, up)), across).reshape(SIDE, SIDE)


def _entry(outputs: Any, k: int) -> Floats:
    """Return one output coordinate of a batch."""
    values = np.asarray(outputs, dtype=np.float64)
    return values.reshape(len(values), -1)[:, k]


def _runner(target: str, spec: ConstructionSpec) -> Callable[[NDArray[np.int64]], Floats]:
    """Return the constructed network as a function of numbers in units of 1/M, exact."""
    network = built(target, spec).network
    return lambda numbers: exact_output(network, numbers, denominator=spec.slope).floats


def network_at(setting: Setting, numbers: NDArray[np.int64]) -> Floats | None:
    """Return the network's outputs, None where there is none to look at."""
    try:
        return _runner(setting.target, setting.spec)(numbers)
    except ValueError:  # told where its state would be
        return None


def slice_of(setting: Setting) -> Slice:
    """Return f and the network along the coordinate that runs to the right in the picture."""
    place, (across, _) = place_of(setting), setting.plane
    cell = place.slope // setting.grid
    in_cell = np.linspace(0, 1, max(3, math.ceil(ALONG / setting.grid)))
    starts = [k * cell + (k > 0) for k in range(setting.grid)]
    ends = [(k + 1) * cell for k in range(setting.grid)]
    numbers = np.concatenate(
        [
            np.round(a + (b - a) * in_cell).astype(np.int64)
            for a, b in zip(starts, ends, strict=True)
        ]
    )
    inputs = place.over({across: numbers})
    f = _entry(target_of(setting.target, *_shape(place))(inputs / place.slope), across)
    network = network_at(setting, inputs)
    told = None if network is None else _entry(network, across)
    return Slice(numbers / place.slope, f, told)


def there(setting: Setting) -> There:
    """Return what f and the network make of the setting's input."""
    place = place_of(setting)
    inputs = place.array[None]
    f = np.asarray(target_of(setting.target, *_shape(place))(inputs / place.slope))[0]
    network = network_at(setting, inputs)
    if network is None:
        return There(place, f, None, [], [])
    cells = oracle_cells(place.fractions, setting.spec)
    return There(place, f, network[0], cells, oracle_labels(cells, setting.spec))


def _shape(place: Place) -> tuple[int, int]:
    """N and d."""
    return place.tokens, place.dim
