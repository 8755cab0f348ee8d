"""The explorer without a server: one HTML file, its main sliders on rows computed beforehand."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bokeh.document import Document
from bokeh.embed import file_html
from bokeh.layouts import column
from bokeh.models import CustomJS, CustomJSTickFormatter, Div, Select, Slider
from bokeh.resources import INLINE

from looprate.experiments.engine.progress import Progress
from looprate.figures.explorer import views
from looprate.figures.explorer.controls import play_button
from looprate.figures.explorer.look import PARTS, keys_and_names, sheet, template
from looprate.figures.explorer.panels import ErrorPanel
from looprate.figures.explorer.precomputed import (
    COUNTS,
    DELTAS,
    GRIDS,
    LOOKED_AT,
    SHOWN_CODES,
    Panels,
    precomputed,
)
from looprate.figures.explorer.setting import CODE_TITLE, USUAL, Setting
from looprate.figures.explorer.words import EXAMPLES, STATEMENT
from looprate.figures.explorer.worst import HOLDERS, WorstPanel, asked_of
from looprate.theory.construction.memorisers import MEMORISERS
from looprate.theory.outputs import checked_folder, checked_output, write_atomically
from looprate.theory.targets.formula import FORMULA

__all__ = ["write_static"]

NAME, TITLE = "explorer.html", "looprate explorer"
#: What a target, a memoriser, a code and a grid decide; then what the other sliders point at.
CODE = """
const now = data[choice.value];
const code = coding.value === usual ? own[memoriser.value] : coding.value;
const networks = now.networks[memoriser.value][code];
const shown = [choice.value, memoriser.value, code, grid.value].join();
if (state.tags[0] !== shown) {
  state.tags = [shown];
  for (const [key, source] of Object.entries(moduli)) source.data = now.moduli[key];
  for (const [key, source] of Object.entries(trained)) {
    source.data = now.trained[key];
  }
  marks.text = networks.marks;
  dashes.line_color = networks.colour;
  kinds.text = now.kinds;
  theorem.data = now.theorem;
  formula.text = now.formula;
  picture.data = now.picture;
  shades.low = now.low;
  shades.high = now.high;
  said.text = now.said;
  explicit.data = networks.explicit;
  built.data = networks.built[grid.value];
  trivial.data = {loops: trivial.data.loops, value: [now.trivial, now.trivial]};
  vacuous.right = networks.speaks;
  const run = networks.runs[grid.value] || {names: [''], share: [], value: [], height: plot.height};
  const count = run.share.length / run.names.length;
  const seen = run.share.length > 0;
  readout.visible = seen;
  if (seen) {
    outputs.data = run.outputs;
    aims.data = run.aims;
    input.data = run.input;
    box.setv(run.box);
  }
  lines.ticks = [...Array(grid.value - 1).keys()].map(k => (k + 1) / grid.value);
  const names = [...run.names].reverse();
  rows.factors = run.names;
  plot.height = run.height;
  plot.visible = run.share.length > 0;
  state.data = {
    loop: run.share.map((_, k) => k % count),
    row: run.share.map((_, k) => names[Math.floor(k / count)]),
    share: run.share,
    value: run.value,
  };
  step.end = Math.max(1, count - 1);
  step.disabled = !run.share.length;
  step.value = Math.min(step.value, step.end);
}
const k = loops.value;
at.location = beside.location = counts[k];
terms.data = {...terms.data, value: now.terms[k]};
line.location = now.trivial;
words.text = now.words[k];
radius.location = deltas[delta.value];
values.text = now.values[delta.value];
after.location = beneath.location = step.value;
const run = networks.runs[grid.value];
told.text = run ? run.words[step.value] : '';
absent.text = run ? '' : far;
"""
#: What the exponent of the class decides.
CLASS_CODE = """
const now = places[holder.value];
for (const [key, source] of Object.entries(sources)) source.data = now.data[key];
text.text = now.text;
below.data = now.data['lt/lower'];
"""
INTRODUCTION = f"""
<p><b>looprate explorer, the page without a server.</b> What the theory of looped Transformers says
about some functions f: moduli of continuity, the bound of Theorem 3.6 term by term, the network
that the proof builds, its certified error and its state loop by loop. N = 2, d = 1, p = 1. All
values were computed beforehand; nothing is loaded from anywhere. The input is the one that the
picture shows and cannot be moved here. To drag it, for formulas of your own, other N, d, p and
codes, and more than {LOOKED_AT} cells a side loop by loop, install looprate and run
<code>looprate explore</code>.</p>
"""
FAR = f"<p>This page holds runs loop by loop up to m = {LOOKED_AT}.</p>"


def write_static(
    folder: Path, *, target: str = "", dark: bool = False, rows: Sequence[Path] = ()
) -> Path:
    """Write the static page into a folder and return the file.

    It holds everything it needs: no other file, no other host.

    Parameters
    ----------
    folder : Path
        Made if it is not there.
    target : str
        What to begin with, beside the examples: a name, a formula or a function.
    dark : bool
    rows : sequence of Path
        Folders of ``looprate verify`` with trained networks to show.

    Raises
    ------
    OSError
        If the folder cannot be made, or the file not be written.
    FileNotFoundError, TypeError, ValueError
        If there is no such target.
    """
    setting = Setting(target=target) if target else Setting()
    views.target_of(setting.target, setting.tokens, setting.dim)
    path = checked_output(checked_folder(folder) / NAME)  # before what takes long
    targets = {words: text for words, text in EXAMPLES.items() if not text.startswith(FORMULA)}
    known = {text: words for words, text in targets.items()}
    targets = ({known.get(target, target): target} if target else {}) | targets
    panels = Panels.made(dark)
    data: dict[str, Any] = {}
    with Progress(len(targets), "explorer") as bar:
        for words, text in targets.items():
            data[words] = precomputed(text, panels, rows)
            bar.to(len(data))
    document = _document(data, panels, dark=dark)
    write_atomically(path, file_html(document, INLINE, TITLE, template=template(dark)))
    return path


def _document(data: dict[str, Any], panels: Panels, *, dark: bool) -> Document:
    """Return the page: choices and sliders, and what they show of the data."""
    moduli, errors, terms, states = panels.moduli, panels.errors, panels.terms, panels.states
    worst = WorstPanel(dark)
    wide, usual = sheet(), Setting()
    moved = {
        "choice": Select(title="Target", options=list(data), value=next(iter(data)), **wide),
        "delta": _places("radius δ", DELTAS, usual.delta, wide),
        "loops": _places("loops r", COUNTS, usual.loops, wide),
        "memoriser": Select(
            title="Memoriser (network)", options=list(MEMORISERS), value=usual.memoriser, **wide
        ),
        "coding": Select(title=CODE_TITLE, options=list(SHOWN_CODES), value=usual.coding, **wide),
        "grid": Slider(
            title="cells a side m", start=GRIDS[0], end=GRIDS[-1], value=usual.grid, **wide
        ),
        "step": Slider(title="loops done t", start=0, end=1, value=0, **wide),
    }
    words = ("verdict", "values", "told", "formula")
    text = {name: Div(text="", name=name, **wide) for name in words}
    shown = {
        "moduli": {"/".join(key): source for key, source in moduli.sources.items()},
        "radius": moduli.at,
        "theorem": errors.bounds["theorem"],
        "explicit": errors.bounds["explicit"],
        "built": errors.built,
        "trained": {f"{name}/{recipe}": s for (name, recipe), s in errors.trained.items()},
        "marks": errors.key,
        "dashes": errors.explicit.glyph,
        "kinds": moduli.key,
        "absent": states.absent,
        "trivial": errors.trivial,
        "vacuous": errors.vacuous,
        "at": errors.at,
        "beside": worst.at,
        "terms": terms.source,
        "line": terms.trivial,
        "state": states.source,
        "rows": states.plot.y_range,
        "plot": states.plot,
        "after": states.at,
        "words": text["verdict"],
        "values": text["values"],
        "told": text["told"],
        "formula": text["formula"],
        "picture": panels.map.source,
        "shades": panels.map.colours,
        "said": panels.map.words,
        "input": panels.map.at,
        "lines": panels.map.lines,
        "box": panels.map.cell,
        "outputs": panels.readout.lines,
        "aims": panels.readout.aims,
        "readout": panels.readout.plot,
        "beneath": panels.readout.at,
    }
    given = {"data": data, "counts": COUNTS, "deltas": DELTAS, "far": FAR, "usual": USUAL}
    given |= {"own": {name: kind.coding for name, kind in MEMORISERS.items()}}
    react = CustomJS(args={**given, **moved, **shown}, code=CODE)
    for control in moved.values():
        control.js_on_change("value", react)
    document = Document()
    document.theme = "dark_minimal" if dark else "light_minimal"
    of_class, look = _class(worst, errors, wide)
    parts = text | {
        "intro": Div(text=INTRODUCTION, name="intro", **wide),
        "statement": Div(text=STATEMENT, name="statement", **wide),
        "class": of_class,
    }
    places = {
        "function": ["choice"],
        "networks": ["memoriser", "coding", "grid", "step"],
        "bounds": ["loops"],
        "radius": ["delta"],
    }
    for name, names in places.items():
        own = [moved[one] for one in names]
        own += [play_button(moved["step"], **wide)] if "step" in names else []
        parts[name] = column(*own, name=name, sizing_mode="stretch_width")
    for panel in (errors, terms, moduli, states, worst, panels.map, panels.readout):
        parts[panel.part.name] = panel.part
    with document.models.freeze():
        for name in (name for name in PARTS if name in parts):
            document.add_root(parts[name])
    document.js_on_event("document_ready", react, look, keys_and_names(moved["step"]))
    return document


def _class(worst: WorstPanel, errors: ErrorPanel, wide: dict[str, Any]) -> tuple[Any, CustomJS]:
    """Return the slider of the class above its exponents, and what it shows."""
    asked = [asked_of(Setting(holder=s)) for s in HOLDERS]
    words = Div(text="", **wide)
    slider = _places("s, Hölder exponent of the class", HOLDERS, HOLDERS[-1], wide)
    sources = {"/".join(key): source for key, source in worst.sources.items()}
    given = {"places": [worst.data_at(one) for one in asked], "sources": sources, "text": words}
    given["below"] = errors.lower
    look = CustomJS(args={**given, "holder": slider}, code=CLASS_CODE)
    slider.js_on_change("value", look)
    return column(slider, words, name="class", sizing_mode="stretch_width"), look


def _places(title: str, values: Sequence[float], near: float, wide: dict[str, Any]) -> Slider:
    """Return a slider over the places of a list, at the one nearest to a value."""
    start = min(range(len(values)), key=lambda k: abs(math.log(values[k] / near)))
    code = (
        "const v = values[Math.round(tick)]; return Number(v.toPrecision(3)).toLocaleString('en')"
    )
    shown = CustomJSTickFormatter(args={"values": list(values)}, code=code)
    return Slider(title=title, start=0, end=len(values) - 1, value=start, format=shown, **wide)
