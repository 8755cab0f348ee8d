"""The explorer without a server: one HTML file, its main sliders on rows computed beforehand."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from bokeh.document import Document
from bokeh.embed import file_html
from bokeh.layouts import column, row
from bokeh.models import CustomJS, Div, RadioButtonGroup, Select, Slider
from bokeh.resources import INLINE

from experiments.records import write_atomically
from figures.explorer import views
from figures.explorer.page import EXAMPLES, STATEMENT, TEXT, template, verdict_words
from figures.explorer.panels import ErrorPanel, ModuliPanel, TermPanel
from figures.explorer.setting import LARGEST_LOOPS, MEMORISERS, Setting

__all__ = ["write_static"]

NAME, TITLE = "explorer.html", "looprate explorer"
COUNTS = [round(r) for r in np.geomspace(10, LARGEST_LOOPS, 56)]  # five a decade
GRID = 4
CODE = """
const name = choice.value, kind = memorisers.labels[memoriser.active], now = data[name];
for (const [key, source] of Object.entries(moduli)) source.data = now.moduli[key];
theorem.data = now.theorem;
explicit.data = now.explicit[kind];
built.data = now.built[kind];
trivial.data = {loops: trivial.data.loops, value: [now.trivial, now.trivial]};
vacuous.right = now.speaks[kind];
const k = loops.value, r = counts[k];
loops.title = 'r = ' + r.toLocaleString('en');
at.location = r;
terms.data = {...terms.data, value: now.terms[k]};
line.location = now.trivial;
title.text = 'Terms at r = ' + r.toLocaleString('en') + ', best constant dotted';
words.text = now.words[k];
"""


def write_static(folder: Path, *, dark: bool = False) -> Path:
    """Write the static page into a folder and return the file.

    It holds everything it needs: no other file, no other host.

    Parameters
    ----------
    folder : Path
        Made if it is not there.
    dark : bool
    """
    targets = {words: text for words, text in EXAMPLES.items() if not text.startswith("formula")}
    moduli, errors, terms = ModuliPanel(dark), ErrorPanel(dark), TermPanel(dark)
    data = {words: _precomputed(text, moduli, errors, terms) for words, text in targets.items()}
    wide: dict[str, Any] = {"sizing_mode": "stretch_width"}
    choice = Select(title="Target", options=list(targets), value=next(iter(targets)), **wide)
    memoriser = RadioButtonGroup(labels=list(MEMORISERS), active=1, **wide)
    middle = COUNTS.index(min(COUNTS, key=lambda r: abs(math.log(r / 10_000))))
    loops = Slider(title="r", start=0, end=len(COUNTS) - 1, value=middle, show_value=False, **wide)
    words = Div(text="", stylesheets=[TEXT], **wide)
    react = CustomJS(
        args={
            "data": data,
            "counts": COUNTS,
            "choice": choice,
            "memoriser": memoriser,
            "memorisers": memoriser,
            "loops": loops,
            "moduli": {"/".join(key): source for key, source in moduli.sources.items()},
            "theorem": errors.bounds["theorem"],
            "explicit": errors.bounds["explicit"],
            "built": errors.built,
            "trivial": errors.trivial,
            "vacuous": errors.vacuous,
            "at": errors.at,
            "terms": terms.source,
            "line": terms.trivial,
            "title": terms.plot.title,
            "words": words,
        },
        code=CODE,
    )
    choice.js_on_change("value", react)
    memoriser.js_on_change("active", react)
    loops.js_on_change("value", react)
    document = Document()
    document.theme = "dark_minimal" if dark else "light_minimal"
    note = Div(text="N = 2, d = 1, p = 1. The full explorer: <code>looprate explore</code>", **wide)
    controls = column(choice, memoriser, loops, note, width=330)
    plots = column(row(errors.plot, terms.plot, **wide), moduli.plot, **wide)
    statement = Div(text=STATEMENT, stylesheets=[TEXT], **wide)
    page = row(controls, column(statement, words, plots, **wide), **wide)
    document.add_root(page)
    document.js_on_event("document_ready", react)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / NAME
    write_atomically(path, file_html(document, INLINE, TITLE, template=template(dark)))
    return path


def _precomputed(
    target: str, moduli: ModuliPanel, errors: ErrorPanel, terms: TermPanel
) -> dict[str, Any]:
    """Return what the panels show of one target; the panels are used to arrange it."""
    setting = Setting(target=target, grid=GRID)
    moduli.show(views.moduli_rows(setting), setting.delta)
    found: dict[str, Any] = {
        "moduli": {"/".join(key): dict(source.data) for key, source in moduli.sources.items()},
        "explicit": {},
        "built": {},
        "speaks": {},
    }
    for memoriser in MEMORISERS:
        now = setting.changed(memoriser=memoriser)
        errors.show_bounds(views.bound_rows(now), now.loops)
        errors.show_built([views.constructed_row(now)])
        found["explicit"][memoriser] = dict(errors.bounds["explicit"].data)
        found["built"][memoriser] = dict(errors.built.data)
        found["speaks"][memoriser] = errors.vacuous.right
    found["theorem"] = dict(errors.bounds["theorem"].data)
    bounds = [views.bound_at(setting.changed(loops=r)) for r in COUNTS]
    names = terms.source.data["term"]
    found["terms"] = [[_finite(bound.terms[name]) for name in names] for bound in bounds]
    found["words"] = [verdict_words(bound) for bound in bounds]
    found["trivial"] = bounds[0].trivial
    return found


def _finite(value: float) -> float:
    """Return a number that a page can draw."""
    return value if math.isfinite(value) else 0.0
