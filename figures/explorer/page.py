"""The explorer's page: controls, panels, and what happens when a control moves."""

from __future__ import annotations

import base64
import html
import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from bokeh.core.templates import get_env
from bokeh.document import Document
from bokeh.layouts import column, row
from bokeh.models import (
    Button,
    ColumnDataSource,
    CustomJS,
    Div,
    RadioButtonGroup,
    Select,
    Slider,
    Spinner,
    TextInput,
)
from jinja2 import Template

from figures.explorer import views
from figures.explorer.export import EXPORTS, MEDIA, exported
from figures.explorer.live import LiveFit, Progress, Stopped
from figures.explorer.panels import ErrorPanel, ModuliPanel, StatePanel, TermPanel, short
from figures.explorer.setting import (
    LARGEST_GRID,
    LARGEST_LOOPS,
    MEMORISERS,
    Setting,
    check_typed,
)
from theory.bounds import BoundRow
from theory.notation import KINDS

__all__ = ["EXAMPLES", "STATEMENT", "TEXT", "Page", "template", "verdict_words"]

EXAMPLES = {
    "waves, half token and half context": "dial:token=0.5,context=0.5,periods=2",
    "a sine of every token": "token-sine:periods=2",
    "a cusp (Hölder 1/2)": "token-power:alpha=0.5",
    "the largest token": "context-max",
    "softmax attention": "softmax-attention",
    "a formula": "formula: sin(6*x) + mean(x)/2",
    "a formula that is not equivariant": "formula: n*x",
    "a formula that jumps": "formula: floor(3*x) - mean(x)",
}
STATEMENT = """
<b>Theorem 3.6</b> (arXiv 2410.01405v7). <b>For every</b> permutation-equivariant and continuous
f on [0,1]<sup>N×d</sup> and <b>every</b> r &gt; N <b>there is</b> a looped Transformer of r loops,
of constant width and heads, with
<math><mo>‖</mo><mi>T</mi><mo>−</mo><mi>f</mi><msub><mo>‖</mo><msup><mi>L</mi><mi>p</mi></msup></msub>
<mo>≤</mo><msup><mrow><mo>(</mo><mi>N</mi><mi>d</mi><mo>)</mo></mrow><mrow><mn>1</mn><mo>/</mo><mi>p</mi>
</mrow></msup><mrow><mo>(</mo><msub><mi>ω</mi><mi>tok</mi></msub><mo>+</mo><msub><mi>ω</mi><mi>cont</mi>
</msub><mo>)</mo></mrow><mo>+</mo><mi>ω</mi><mo>+</mo><mi>O</mi><mrow><mo>(</mo><msup><mi>δ</mi>
<mrow><mi>d</mi><mo>/</mo><mi>p</mi></mrow></msup><mo>)</mo></mrow></math>,
the moduli at δ√(Nd), δ = ((r−N)/2)<sup>−1/((N+1)d+1)</sup>. It speaks of the best weights, not of
trained ones; grey is where it says nothing: it is not below the error of the best constant.
"""
TEMPLATE = """{% extends base %}{% block postamble %}<style>
body { font: 15px/1.45 system-ui, sans-serif; margin: 0; padding: 0.6rem 1rem; COLOURS }
</style>{% endblock %}"""
LIGHT, DARK = "background: #ffffff; color: #000000;", "background: #15191c; color: #f0f0f0;"
TEXT = "p, b, td, th, li { font-size: 0.95rem } td, th { padding: 0 0.7rem 0 0; text-align: left }"
SAVE = """
const d = source.data; if (!d.name.length) return;
const bytes = Uint8Array.from(atob(d.base64[0]), c => c.charCodeAt(0));
const a = document.createElement('a');
a.href = URL.createObjectURL(new Blob([bytes], {type: d.mime[0]}));
a.download = d.name[0]; a.click(); URL.revokeObjectURL(a.href);
"""
ADDRESS = "window.history.replaceState(null, '', '?' + source.data.query[0])"
SMALL = 2  # N * d up to which a network is certified without being asked to
DELTA_STEP, LOOP_STEP = 0.05, 0.05  # of the sliders, in powers of ten


class Page:
    """One reader's page.

    Parameters
    ----------
    document : Document
    setting : Setting
        What to begin with.
    folders : sequence of Path
        Where rows of trained networks are looked for.
    usual : Setting, optional
        What an address without a query shows; its target alone may name code.
    dark : bool
    note : str
        A first message, such as what was wrong with the address.
    """

    def __init__(
        self,
        document: Document,
        setting: Setting,
        folders: Sequence[Path],
        *,
        usual: Setting | None = None,
        dark: bool = False,
        note: str = "",
    ) -> None:
        self.usual = usual or Setting()
        self.document, self.setting, self.folders, self.dark = document, setting, folders, dark
        self.fitted: list[dict[str, Any]] = []
        self.built: list[dict[str, Any]] = []
        self.live: LiveFit | None = None
        self.worker = ThreadPoolExecutor(1)
        self.moduli, self.errors = ModuliPanel(dark), ErrorPanel(dark)
        self.terms, self.states = TermPanel(dark), StatePanel(dark)
        self._make_controls()
        self._make_words()
        self._listen()
        document.add_root(self._layout())
        document.theme = "dark_minimal" if dark else "light_minimal"
        document.template = template(dark)
        document.title = "looprate explorer"
        document.on_session_destroyed(self._left)
        self._show_all()
        if note:
            self._complain(note)

    # -- what the page is made of ------------------------------------------------------------------
    def _make_controls(self) -> None:
        """Make the controls, at the setting's values."""
        s, wide = self.setting, {"sizing_mode": "stretch_width"}
        known = [("", "choose an example"), *((v, k) for k, v in EXAMPLES.items())]
        self.examples = Select(title="Examples", options=known, value="", **wide)
        self.target = TextInput(title="Target: a name, or formula: ...", value=s.target, **wide)
        self.tokens = Spinner(title="N, tokens", value=s.tokens, low=1, high=6, step=1, width=90)
        self.dim = Spinner(title="d, coordinates", value=s.dim, low=1, high=3, step=1, width=90)
        self.p = Select(title="p", options=["1.0", "2.0"], value=f"{s.p:.1f}", width=70)
        self.delta = Slider(
            title=f"δ = {s.delta:.3g}", start=-2, end=0, step=DELTA_STEP, value=math.log10(s.delta),
            show_value=False, **wide,
        )  # fmt: skip
        self.loops = Slider(
            title=f"r = {s.loops:,}", start=0.5, end=math.log10(LARGEST_LOOPS), step=LOOP_STEP,
            value=math.log10(s.loops), show_value=False, **wide,
        )  # fmt: skip
        self.memoriser = RadioButtonGroup(
            labels=list(MEMORISERS), active=MEMORISERS.index(s.memoriser), **wide
        )
        self.grid = Slider(
            title="m, cells a side", start=2, end=LARGEST_GRID, step=1, value=s.grid, **wide
        )
        self.step = Slider(title="t, loops done", start=0, end=1, step=1, value=s.step, **wide)
        self.certify = Button(label="Certify this network", **wide)
        self.fit = Button(label="Train LT and TMLT here", button_type="primary", **wide)
        self.what = Select(title="Take along", options=list(EXPORTS), value=EXPORTS[0], **wide)
        self.format = Select(title="as", options=list(MEDIA), value="png", width=80)
        self.save = Button(label="Download", **wide)
        empty: dict[str, list[str]] = {"name": [], "mime": [], "base64": []}
        self.payload = ColumnDataSource(empty)
        self.address = ColumnDataSource({"query": [s.query(self.usual)]})

    def _make_words(self) -> None:
        """Make the parts that are text."""
        wide: dict[str, Any] = {"sizing_mode": "stretch_width", "stylesheets": [TEXT]}
        self.statement = Div(text=STATEMENT, **wide)
        self.trouble = Div(text="", visible=False, **wide)
        self.verdict = Div(text="", **wide)
        self.values = Div(text="", **wide)
        self.table = Div(text="", **wide)
        self.training = Div(text="", **wide)

    def _layout(self) -> Any:
        """Put everything in its place."""
        controls = column(
            self.examples,
            self.target,
            row(self.tokens, self.dim, self.p),
            self.delta,
            self.loops,
            Div(text="Constructed network: memoriser, grid, loop"),
            self.memoriser,
            self.grid,
            self.step,
            self.certify,
            self.fit,
            self.training,
            row(self.what, self.format),
            self.save,
            width=330,
        )
        wide = {"sizing_mode": "stretch_width"}
        plots = [
            row(self.errors.plot, self.terms.plot, **wide),
            row(self.moduli.plot, self.states.plot, **wide),
        ]
        below = row(self.values, self.table, **wide)
        words = column(self.statement, self.trouble, self.verdict, *plots, below, **wide)
        return row(controls, words, **wide)

    def _listen(self) -> None:
        """Say what happens when a control moves."""
        self.examples.on_change("value", lambda a, o, new: self._chosen(new))
        self._bind(self.target, "value", lambda new: {"target": new.strip()})
        self._bind(self.tokens, "value", lambda new: {"tokens": int(new)})
        self._bind(self.dim, "value", lambda new: {"dim": int(new)})
        self._bind(self.p, "value", lambda new: {"p": float(new)})
        self._bind(self.delta, "value", lambda new: {"delta": round(10.0**new, 6)})
        self._bind(self.loops, "value", lambda new: {"loops": round(10.0**new)})
        self._bind(self.memoriser, "active", lambda new: {"memoriser": MEMORISERS[new]})
        self._bind(self.grid, "value", lambda new: {"grid": int(new)})
        self._bind(self.step, "value", lambda new: {"step": int(new)})
        self.certify.on_click(self._certify)
        self.fit.on_click(self._fit_or_stop)
        self.save.on_click(self._save)
        self.payload.js_on_change("data", CustomJS(args={"source": self.payload}, code=SAVE))
        self.address.js_on_change("data", CustomJS(args={"source": self.address}, code=ADDRESS))
        for source in (self.payload, self.address):  # a model is known to the page by its use
            self.save.js_on_click(CustomJS(args={"source": source}, code=""))

    def _bind(self, model: Any, name: str, change: Callable[[Any], dict[str, Any]]) -> None:
        """Change the setting when a control does; complain where that cannot be."""

        def react(attribute: str, old: Any, new: Any) -> None:
            if new is None:
                return
            self._guard(lambda: self._change(**change(new)))

        model.on_change(name, react)

    # -- changes -----------------------------------------------------------------------------------
    def _chosen(self, target: str) -> None:
        """Take an example's target."""
        if target:
            self.target.value = target

    def _change(self, **changes: Any) -> None:
        """Show another setting, computing what it changes only."""
        before, now = self.setting, self.setting.changed(**changes)
        if now == before:
            return
        check_typed(now.target, self.usual.target)
        views.target_of(now.target)
        self.setting = now
        self.address.data = {"query": [now.query(self.usual)]}
        same = {"delta", "loops", "step"}
        if set(changes) <= same:
            self._show_places()
        elif set(changes) <= {"memoriser", "grid"}:
            self._show_network()
        else:
            self.fitted = []
            self._show_all()

    def _guard(self, act: Callable[[], None]) -> None:
        """Do something; what is wrong with it is told on the page."""
        try:
            act()
        except (OSError, TypeError, ValueError) as error:
            self._complain(str(error))
        except Exception as error:  # a function of the reader's own may raise anything
            self._complain(f"{type(error).__name__}: {error}")
        else:
            self.trouble.visible = False

    def _complain(self, words: str) -> None:
        """Say what is wrong, in place of nothing."""
        said = html.escape(words)
        self.trouble.text = f'<p role="alert" style="color:#D55E00"><b>Not resolved.</b> {said}</p>'
        self.trouble.visible = True

    # -- showing -----------------------------------------------------------------------------------
    def _show_all(self) -> None:
        """Compute and draw everything that the target decides."""

        def act() -> None:
            self.moduli.show(views.moduli_rows(self.setting), self.setting.delta)
            self.errors.show_trained(self._trained())
            self.built = []
            self._show_network()

        self._guard(act)

    def _trained(self) -> list[dict[str, Any]]:
        """Return stored rows of trained networks, and those trained here."""
        return [*views.trained_rows(self.setting, self.folders), *self.fitted]

    def _show_network(self) -> None:
        """Draw bounds, the constructed network, and what depends on places."""
        s = self.setting
        self.errors.show_bounds(views.bound_rows(s), s.loops)
        self.errors.show_built(self.built)
        if s.tokens * s.dim <= SMALL:
            self._certify()
        self._show_places()

    def _show_places(self) -> None:
        """Draw what the sliders δ, r and t point at."""
        s = self.setting
        self.delta.title, self.loops.title = f"δ = {s.delta:.3g}", f"r = {s.loops:,}"
        self.moduli.at.location, self.errors.at.location = s.delta, s.loops
        found = views.bound_at(s)
        self.terms.show(found)
        self.verdict.text = verdict_words(found)
        self._say_values()
        self._show_states()

    def _say_values(self) -> None:
        """Write the three moduli at the chosen radius."""
        f, s = views.target_of(self.setting.target), self.setting
        cells = []
        for kind in KINDS:
            form = f.closed_form(s.delta, kind=kind, **s.shape, p=s.p)
            if form is None:
                found = max(row["lower"] for row in self._searched() if row["kind"] == kind)
                words = f"at least {found:.4g}: a pair was found" if found else "0, as far as found"
            else:
                words = f"{form.value:.4g} ({form.side}: {html.escape(form.note)})"
            cells.append(f"<tr><th>{kind}</th><td>{words}</td></tr>")
        title = f"<b>Moduli at δ = {s.delta:.3g}</b>"
        self.values.text = f"{title}<table>{''.join(cells)}</table>"

    def _searched(self) -> list[dict[str, Any]]:
        """Return the rows of found pairs that are also pairs at the chosen radius."""
        rows = views.moduli_rows(self.setting)
        found = [row for row in rows if row["lower"] is not None]
        within = [row for row in found if row["delta"] <= self.setting.delta * (1 + 1e-9)]
        return within or [{**row, "lower": 0.0} for row in found]

    def _show_states(self) -> None:
        """Draw the constructed network's run and write its state after t loops."""
        try:
            run = views.loop_states(self.setting)
        except ValueError as error:
            self.states.show(None, 0)
            self.table.text = f"<p>{html.escape(str(error))}</p>"
            return
        last = len(run.values) - 1
        step = min(self.setting.step, last)
        self.step.end = max(1, last)
        self.states.show(run, step)
        self.table.text = _state_table(run, step)

    # -- slow things -------------------------------------------------------------------------------
    def _certify(self) -> None:
        """Certify the constructed network beside the page, then draw it."""
        setting = self.setting
        self.certify.label, self.certify.disabled = "certifying ...", True

        def work() -> None:
            try:
                found: Any = views.constructed_row(setting)
            except Exception as error:  # told on the page
                found = error
            self.document.add_next_tick_callback(lambda: self._certified(setting, found))

        self.worker.submit(work)

    def _certified(self, setting: Setting, found: Any) -> None:
        """Draw a certified network, unless the reader is elsewhere by now."""
        self.certify.label, self.certify.disabled = "Certify this network", False
        if isinstance(found, Exception):
            self._complain(str(found))
        elif views.subject_of(setting) == views.subject_of(self.setting):
            self.built = [row for row in self.built if row != found] + [found]
            self.errors.show_built(self.built)

    def _fit_or_stop(self) -> None:
        """Begin a fit, or end the one that runs."""
        if self.live is not None:
            self.live.stop()
            self.training.text = "stopping ..."
            return
        self.fitted = []
        self.fit.label, self.fit.button_type = "Stop", "danger"

        def later(told: Any) -> None:
            self.document.add_next_tick_callback(lambda: self._fit_told(told))

        self.live = LiveFit(self.setting, later)
        self.live.start()

    def _fit_told(self, told: Any) -> None:
        """Take what a fit says."""
        if isinstance(told, Progress):
            self.training.text = f"training {told.words}: {told.part:.0%}"
            return
        if isinstance(told, list):
            self.fitted += told
            self.errors.show_trained(self._trained())
            return
        self.live = None
        self.fit.label, self.fit.button_type = "Train LT and TMLT here", "primary"
        if told is None:
            self.training.text = (
                "Trained: approximation plus optimisation error, no evidence on a bound."
            )
        elif isinstance(told, Stopped):
            self.training.text = "stopped; what was trained stays"
        else:
            self.training.text = ""
            self._complain(f"the fit ended: {told}")

    def _save(self) -> None:
        """Hand the reader a file."""

        def act() -> None:
            kind, ending = str(self.what.value), str(self.format.value)
            content = exported(self.setting, kind, ending, folders=self.folders, fitted=self.fitted)
            self.payload.data = {
                "name": [f"looprate-{kind}.{ending}"],
                "mime": [MEDIA[ending]],
                "base64": [base64.b64encode(content).decode()],
            }

        self._guard(act)

    def _left(self, context: Any) -> None:
        """End what runs for a reader who has left."""
        if self.live is not None:
            self.live.stop()
        self.worker.shutdown(wait=False, cancel_futures=True)


def verdict_words(bound: BoundRow) -> str:
    """Say what a bound says, or which hypothesis fails, as HTML."""
    extra = (
        " Its moduli are lower bounds from found pairs, so its value is a lower estimate."
        if bound.moduli_side == "lower"
        else ""
    )
    return (
        f"<p><b>At r = {bound.loops:,} the bound is {bound.total:.4g}: {bound.verdict}.</b> "
        f"{html.escape(bound.reason)}.{extra}</p>"
    )


def template(dark: bool) -> Template:
    """Return the HTML around the page."""
    return get_env().from_string(TEMPLATE.replace("COLOURS", DARK if dark else LIGHT))


def _state_table(run: Any, step: int) -> str:
    """Return the exact state after ``step`` loops as a table, with the output it decodes to."""
    tokens = range(len(run.point))
    head = "".join(f"<th>token {n + 1}</th>" for n in tokens)
    lines = []
    for name in run.names:
        cells = "".join(f"<td>{short(run.values[step][n][name])}</td>" for n in tokens)
        lines.append(f"<tr><th>{name}</th>{cells}</tr>")
    point = "".join(f"<td>{', '.join(map(str, run.point[n]))}</td>" for n in tokens)
    answer = "".join(
        f"<td>{', '.join(f'{v:.4g}' for v in run.outputs[step][n])}</td>" for n in tokens
    )
    return (
        f"<p><b>After {step} of {len(run.values) - 1} loops</b>: {run.stages[step]}</p>"
        f"<table><tr><th></th>{head}</tr><tr><th>input</th>{point}</tr>{''.join(lines)}"
        f"<tr><th>read out</th>{answer}</tr></table>"
    )
