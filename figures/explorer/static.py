"""The explorer without a server: one HTML file, its main sliders on rows computed beforehand."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from bokeh.document import Document
from bokeh.embed import file_html
from bokeh.layouts import column
from bokeh.models import CustomJS, CustomJSTickFormatter, Div, Select, Slider
from bokeh.resources import INLINE

from experiments.records import write_atomically
from figures.explorer import views
from figures.explorer.look import NAMES, sheet, template
from figures.explorer.panels import ErrorPanel, ModuliPanel, TermPanel
from figures.explorer.setting import LARGEST_LOOPS, MEMORISERS, Setting
from figures.explorer.words import EXAMPLES, STATEMENT, verdict_words

__all__ = ["write_static"]

NAME, TITLE = "explorer.html", "looprate explorer"
COUNTS = [round(r) for r in np.geomspace(10, LARGEST_LOOPS, 56)]  # five a decade
GRID = 4
CODE = """
const now = data[choice.value], kind = memoriser.value;
for (const [key, source] of Object.entries(moduli)) source.data = now.moduli[key];
theorem.data = now.theorem;
explicit.data = now.explicit[kind];
built.data = now.built[kind];
trivial.data = {loops: trivial.data.loops, value: [now.trivial, now.trivial]};
vacuous.right = now.speaks[kind];
const k = loops.value, r = counts[k];
at.location = r;
terms.data = {...terms.data, value: now.terms[k]};
line.location = now.trivial;
title.text = 'Terms at r = ' + r.toLocaleString('en') + ', best constant dotted';
words.text = now.words[k];
"""
INTRODUCTION = """
<p><b>looprate explorer, the page without a server.</b> What the theory of looped Transformers says
about some functions f: moduli of continuity, the bound of Theorem 3.6 term by term, and the
certified error of the network that the proof builds. N = 2, d = 1, p = 1, m = 4. All values were
computed beforehand; nothing is loaded from anywhere. For formulas of your own, other N, d, p and
the network loop by loop, install looprate and run <code>looprate explore</code>.</p>
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
    panels = ModuliPanel(dark), ErrorPanel(dark), TermPanel(dark)
    data = {words: _precomputed(text, *panels) for words, text in targets.items()}
    document = _document(data, *panels, dark=dark)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / NAME
    write_atomically(path, file_html(document, INLINE, TITLE, template=template(dark)))
    return path


def _document(
    data: dict[str, Any], moduli: ModuliPanel, errors: ErrorPanel, terms: TermPanel, *, dark: bool
) -> Document:
    """Return the page: two choices and a slider, and what they show of the data."""
    wide = sheet(dark)
    choice = Select(title="Target", options=list(data), value=next(iter(data)), **wide)
    memoriser = Select(
        title="Memoriser (network)", options=list(MEMORISERS), value="timestep", **wide
    )
    middle = COUNTS.index(min(COUNTS, key=lambda r: abs(math.log(r / 10_000))))
    count = CustomJSTickFormatter(
        args={"counts": COUNTS}, code="return counts[Math.round(tick)].toLocaleString('en')"
    )
    loops = Slider(
        title="loops r", start=0, end=len(COUNTS) - 1, value=middle, format=count, **wide
    )
    words = Div(text="", name="verdict", **wide)
    shown = {
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
    }
    moved = {"choice": choice, "memoriser": memoriser, "loops": loops}
    react = CustomJS(args={"data": data, "counts": COUNTS, **moved, **shown}, code=CODE)
    for control in moved.values():
        control.js_on_change("value", react)
    document = Document()
    document.theme = "dark_minimal" if dark else "light_minimal"
    controls = column(*moved.values(), name="controls", sizing_mode="stretch_width")
    statement = Div(text=INTRODUCTION + STATEMENT, name="statement", **wide)
    for root in (statement, controls, words, errors.plot, terms.plot, moduli.plot):
        document.add_root(root)
    document.js_on_event("document_ready", react, CustomJS(code=NAMES))
    return document


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
