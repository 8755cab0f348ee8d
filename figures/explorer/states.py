"""The constructed network's run on one input, loop by loop, in exact arithmetic."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from looprate.experiments.study.certificates import asked_spec
from looprate.figures.explorer.place import Place, place_of
from looprate.figures.explorer.setting import Setting
from looprate.figures.explorer.views import target_of
from looprate.theory.bounds.loop_counts import smallest_grid
from looprate.theory.construction.build.compile import Construction, compile_construction
from looprate.theory.construction.build.spec import ConstructionSpec, stage_of
from looprate.theory.construction.memorisers import MEMORISERS
from looprate.theory.construction.run.reference import reference_states

MOST_LOOPS = 600  # beyond, states cannot be looked at one by one
STAGES = {
    None: "input",
    "quantise": "quantise: count the cells each coordinate has passed",
    "context": "context: read the tokens one after the other, largest first",
    "values": "values: count up to the label and pick its output",
}


@dataclass(frozen=True)
class Loops:
    """A constructed network's run on one input.

    Attributes
    ----------
    place : Place
        The input.
    names : list of str
        Rows of the residual stream, without the constant one.
    values : list
        Exact value of every row: values[t][n][name] after t loops.
    outputs : list
        What the decoder reads after t loops: outputs[t][n], d floats.
    stages : list of str
        What loop t does; the first entry is "input".
    labels : list of int
        Labels that have been counted after t loops.
    """

    place: Place
    names: list[str]
    values: list[list[dict[str, Any]]]
    outputs: list[list[list[float]]]
    stages: list[str]
    labels: list[int]


def loop_states(setting: Setting) -> Loops:
    """Return the state of the constructed network after every loop, exactly.

    Raises
    ------
    ValueError
        If it has too many loops to look at.
    """
    return _loops(setting.target, setting.spec, place_of(setting))


@lru_cache(maxsize=16)
def built(target: str, spec: ConstructionSpec) -> Construction:
    """Return the constructed network of a target, compiled once.

    Raises
    ------
    ValueError
        If it has too many loops or labels to look at.
    """
    if spec.loops > MOST_LOOPS:
        raise ValueError(
            f"a network must have at most {MOST_LOOPS} loops to be shown one by one, this one has "
            f"{spec.loops:,}; {_what_fits(spec)}"
        )
    return compile_construction(target_of(target, spec.tokens, spec.dim), spec)


@lru_cache(maxsize=16)
def _loops(target: str, spec: ConstructionSpec, place: Place) -> Loops:
    """Run the network on one input, once."""
    network = built(target, spec)
    values = list(reference_states(network.network, place.fractions))
    names = [name for name in values[0][0] if name != "one"]
    outputs = [[_decoded(network, token) for token in tokens] for tokens in values]
    stages = [STAGES[stage_of(spec, t)] for t in range(len(values))]
    labels = [_counted(spec, t, tokens[0]) for t, tokens in enumerate(values)]
    return Loops(place, names, values, outputs, stages, labels)


def _what_fits(spec: ConstructionSpec) -> str:
    """Say which network of the same shape can be shown, the nearest one first."""
    for memoriser in dict.fromkeys((spec.memoriser, *MEMORISERS)):
        coding = spec.coding if memoriser == spec.memoriser else MEMORISERS[memoriser].coding
        smallest = smallest_grid(tokens=spec.tokens, dim=spec.dim, coding=coding)
        for grid in range(spec.grid, smallest - 1, -1):
            other = asked_spec(
                tokens=spec.tokens,
                dim=spec.dim,
                memoriser=memoriser,
                coding=coding,
                grid=max(2, grid),
            )
            if other.loops <= MOST_LOOPS:
                more = "" if memoriser == spec.memoriser else f" with the memoriser {memoriser}"
                return f"take m = {other.grid}{more}, which has {other.loops:,}"
    return f"no network fits for N = {spec.tokens}, d = {spec.dim}: take fewer tokens"


def _counted(spec: ConstructionSpec, loop: int, token: dict[str, Any]) -> int:
    """Return how many labels have been counted: one a loop of stage 3, or as row J says."""
    return int(token["J"]) if "J" in token else max(0, loop - spec.values_start)


def _decoded(built: Construction, token: dict[str, Any]) -> list[float]:
    """Return the output coordinates of one token's state."""
    return [
        float(bias + sum(weight * token[row] for row, weight in form.items()))
        for form, bias in built.network.decoder
    ]


def short(value: Any) -> str:
    """Return an exact number in few characters."""
    text = str(value)
    return text if len(text) <= 14 else f"{float(value):.6g}"
