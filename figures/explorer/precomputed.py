"""What the page without a server shows, computed beforehand for every place of its sliders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from looprate.figures.explorer import views
from looprate.figures.explorer.around import map_of, there
from looprate.figures.explorer.panels import ErrorPanel, ModuliPanel, StatePanel, TermPanel
from looprate.figures.explorer.pictures import MapPanel, ReadoutPanel
from looprate.figures.explorer.setting import LARGEST_LOOPS, USUAL, Setting
from looprate.figures.explorer.states import loop_states
from looprate.figures.explorer.words import (
    formula_words,
    moduli_table,
    state_words,
    verdict_words,
)
from looprate.theory.construction.memorisers import MEMORISERS

COUNTS = [round(r) for r in np.geomspace(10, LARGEST_LOOPS, 56)]  # five a decade
DELTAS = [float(delta) for delta in np.geomspace(1e-2, 1.0, 25)]
GRIDS = range(2, 9)
LOOKED_AT = 4  # cells a side up to which a run is there loop by loop; it fills the file
SHOWN_CODES = (USUAL, "others")
DIGITS = 3  # of a share of a row's range, which is a colour


@dataclass(frozen=True)
class Panels:
    """The panels of the page; they arrange the data."""

    moduli: ModuliPanel
    errors: ErrorPanel
    terms: TermPanel
    states: StatePanel
    map: MapPanel
    readout: ReadoutPanel

    @classmethod
    def made(cls, dark: bool) -> Panels:
        """Return panels that show nothing yet."""
        return cls(
            ModuliPanel(dark),
            ErrorPanel(dark),
            TermPanel(dark),
            StatePanel(dark),
            MapPanel(dark, moves=False),
            ReadoutPanel(dark),
        )


def precomputed(target: str, panels: Panels, folders: Sequence[Path]) -> dict[str, Any]:
    """Return what the panels show of one target, as the page's script takes it.

    Parameters
    ----------
    target : str
    panels : Panels
    folders : sequence of Path
        Where rows of trained networks are looked for.
    """
    moduli, errors, terms = panels.moduli, panels.errors, panels.terms
    setting = Setting(target=target)
    moduli.show(views.moduli_rows(setting), setting.delta)
    errors.show_trained(views.trained_rows(setting, folders))
    bounds = [views.bound_at(setting.changed(loops=r)) for r in COUNTS]
    networks = {
        name: {own.code: _networks(own, panels) for own in _codes(setting.changed(memoriser=name))}
        for name in MEMORISERS
    }
    panels.map.show(setting, map_of(setting))
    return {
        "formula": formula_words(setting),
        "picture": dict(panels.map.source.data),
        "low": panels.map.colours.low,
        "high": panels.map.colours.high,
        "said": panels.map.words.text,
        "moduli": {"/".join(key): dict(source.data) for key, source in moduli.sources.items()},
        "values": [moduli_table(setting.changed(delta=delta)) for delta in DELTAS],
        "trained": {f"{name}/{k}": dict(s.data) for (name, k), s in errors.trained.items()},
        "kinds": moduli.key.text,
        "terms": [terms.shown(bound) for bound in bounds],
        "words": [verdict_words(bound, setting.changed(loops=bound.loops)) for bound in bounds],
        "trivial": bounds[0].trivial,
        "theorem": dict(errors.bounds["theorem"].data),  # the same beside every network
        "networks": networks,
    }


def _codes(setting: Setting) -> list[Setting]:
    """Return a setting on each of its codes that the page has."""
    found = (setting.changed(coding=coding) for coding in SHOWN_CODES)
    return list({own.code: own for own in found}.values())


def _networks(setting: Setting, panels: Panels) -> dict[str, Any]:
    """Return the bound of one memoriser on one code and its networks by cells a side."""
    errors = panels.errors
    errors.show_bounds(views.bound_rows(setting), setting.loops)
    found = {"explicit": dict(errors.bounds["explicit"].data), "speaks": errors.vacuous.right}
    built, runs = {}, {}  # by text: a page's script takes other keys for no object's
    for grid in GRIDS:
        errors.show_built([views.constructed_row(setting.changed(grid=grid))])
        built[str(grid)] = dict(errors.built.data)
        if grid <= LOOKED_AT:
            runs[str(grid)] = _run(setting.changed(grid=grid), panels)
    look = {"marks": errors.key.text, "colour": errors.explicit.glyph.line_color}
    return found | look | {"built": built, "runs": runs}


def _run(setting: Setting, panels: Panels) -> dict[str, Any]:
    """Return a network's run: colour and exact value of every row after every loop, and words."""
    run, here, states = loop_states(setting), there(setting), panels.states
    states.show(run)
    panels.readout.show(run, here.f)
    panels.map.point(setting, here.place)
    lines = panels.readout.lines.data
    sides = ("left", "right", "bottom", "top")
    data = states.source.data
    return {
        "names": states.plot.y_range.factors,
        "height": states.plot.height,
        "share": [round(share, DIGITS) for share in data["share"]],
        "value": data["value"],
        "outputs": {**lines, "ys": [[round(y, 2 * DIGITS) for y in ys] for ys in lines["ys"]]},
        "aims": dict(panels.readout.aims.data),
        "input": dict(panels.map.at.data),
        "box": {side: getattr(panels.map.cell, side) for side in sides},
        "words": [state_words(run, step) for step in range(len(run.values))],
    }
