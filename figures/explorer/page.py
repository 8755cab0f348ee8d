"""The explorer's page: what happens when a control moves."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bokeh.document import Document
from bokeh.layouts import column
from bokeh.models import Div

from looprate.figures.explorer import around, views
from looprate.figures.explorer.certifier import Certifier
from looprate.figures.explorer.controls import READ, Controls
from looprate.figures.explorer.export import MEDIA, exported, file_name
from looprate.figures.explorer.finder import Finder
from looprate.figures.explorer.hand import Hand
from looprate.figures.explorer.live import Trainer
from looprate.figures.explorer.look import PARTS, keys_and_names, sheet, template
from looprate.figures.explorer.panels import ErrorPanel, ModuliPanel, StatePanel, TermPanel
from looprate.figures.explorer.pictures import ReadoutPanel
from looprate.figures.explorer.setting import Setting, check_typed
from looprate.figures.explorer.smoothness import knob_of, turned
from looprate.figures.explorer.states import loop_states
from looprate.figures.explorer.words import (
    STATEMENT,
    formula_words,
    in_words,
    moduli_table,
    refusal,
    seeking,
    state_table,
    state_words,
    verdict_words,
)
from looprate.figures.explorer.worst import WorstCase

UNASKED = 4  # N * d up to which a network is certified without being asked to
STRETCHED: dict[str, Any] = {"sizing_mode": "stretch_width"}
SOON = 20  # milliseconds after which what takes longer is computed


def input_of(setting: Setting) -> tuple[Any, ...]:
    """Return what decides the pictures around the input."""
    return views.network_of(setting), setting.point, setting.plane


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
        self.document, self.setting, self.folders = document, setting, folders
        served = document.session_context is not None
        self.unseen: list[Callable[[], None]] | None = [] if served else None
        self.fitted: list[dict[str, Any]]
        self.built: list[dict[str, Any]]
        self.finder = Finder(document, setting, self._found)
        self.wide = sheet()
        self.controls = Controls(setting, dark=dark, wide=self.wide)
        self.moduli, self.errors = ModuliPanel(dark), ErrorPanel(dark)
        self.terms, self.states = TermPanel(dark), StatePanel(dark)
        self.worst = WorstCase(
            lambda: self.setting, self._later, self.errors.show_lower, dark=dark, wide=self.wide
        )
        self.readout = ReadoutPanel(dark)
        self.hand = Hand(document, self.controls, lambda: self.setting, self._moved, dark=dark)
        self._listen()  # a document knows what listens when it gets its roots
        self._arrange()
        self.trainer = Trainer(document, self.controls.fit, self.training, self._fitted)
        button = self.controls.certify
        self.certifier = Certifier(document, button, self._certified, self._complain)
        document.theme = "dark_minimal" if dark else "light_minimal"
        document.template = template(dark)
        document.title = "looprate explorer"
        ranging = (self.controls.smoothness, self.controls.step)
        document.js_on_event("document_ready", keys_and_names(*ranging))
        document.on_session_destroyed(self._left)
        document.on_event("document_ready", lambda event: self._seen())
        self._guard(self._show_all)
        if note:
            self._complain(note)

    def _arrange(self) -> None:
        """Make the parts that are text, and put everything in its place."""
        words = ("statement", "trouble", "verdict", "formula", "told", "values", "table")
        made = {name: Div(text="", name=name, **self.wide) for name in words}
        self.trouble, self.verdict, self.formula = (
            made[n] for n in ("trouble", "verdict", "formula")
        )
        self.told, self.values, self.table = made["told"], made["values"], made["table"]
        self.training = Div(text="", **self.wide)
        made["statement"].text = STATEMENT
        parts = made | self.controls.layout() | self.hand.parts
        parts["class"] = column(self.controls.holder, self.worst.words, name="class", **STRETCHED)
        parts["bounds"].children.append(self.training)
        panels = (self.errors, self.terms, self.moduli, self.states, self.worst.panel)
        for panel in (*panels, self.readout):
            parts[panel.part.name] = panel.part
        with self.document.models.freeze():  # else all models are walked again for every root
            for name in (name for name in PARTS if name in parts):
                self.document.add_root(parts[name])

    def _listen(self) -> None:
        """Say what happens when a control moves."""
        c = self.controls
        c.examples.on_change("value", lambda a, o, new: self._typed(new))
        c.smoothness.on_change("value", lambda a, o, new: self._turned(new))
        for name, read in READ.items():
            self._bind(name, read)
        c.certify.on_click(lambda: self.certifier.start(self.setting, quick=False))
        c.fit.on_click(self._train)
        c.save.on_click(self._save)

    def _bind(self, name: str, read: Callable[[Any], Any]) -> None:
        """Change the setting when a control of its name does; complain where that cannot be."""

        def react(attribute: str, old: Any, new: Any) -> None:
            before = self.setting
            if not self._guard(lambda: self._change({name: read(new)})):
                if name != "target":  # what is typed stays, to be mended
                    self.controls.show_one(name, self.setting)
            elif name == "target" or self.setting != before:
                self._settle()

        getattr(self.controls, name).on_change("value", react)

    def _settle(self) -> None:
        """Take the last complaint away, unless the field still holds what was refused."""
        if str(self.controls.target.value).strip() == self.setting.target:
            self.trouble.text = ""

    # -- changes -----------------------------------------------------------------------------------
    def _typed(self, target: str) -> None:
        """Take a target as if it had been typed."""
        if target:
            self.controls.target.value = target

    def _turned(self, value: float) -> None:
        """Take the smoothness of the slider into the target's name."""
        knob = knob_of(self.setting.target)
        if knob is not None and abs(value - knob.value) > knob.step / 2:
            self._typed(turned(self.setting.target, value))

    def _moved(self, point: str) -> None:
        """Take another input."""
        self._guard(lambda: self._change({"point": point}))

    def _change(self, changes: dict[str, Any]) -> None:
        """Show another setting, computing what it changes only; raise if it cannot be."""
        changes = self.finder.with_sought(changes)
        now = self.setting.changed(**changes)
        if now == self.setting:
            return
        check_typed(now.target, self.usual.target)
        if self.finder.sent(changes, now):
            self.trouble.text = seeking(now, self._shown())
            return
        views.bound_rows(now)  # refuses what cannot be shown, before anything is
        self.setting = now
        self.controls.address.data = {"query": [now.query(self.usual)]}
        shows = {
            "delta": self._show_radius,
            "loops": self._show_loops,
            "step": self._show_step,
            "grid": self._show_network,
            "memoriser": self._show_network,
            "holder": self.worst.show,
            "coding": self._show_network,
            "point": self._show_moved,
            "across": self.hand.show,
            "up": self.hand.show,
            "drawn": self.hand.show_map,
        }
        shows.get(next(iter(changes)), self._show_all)()

    def _found(self, changes: dict[str, Any], error: Exception | None) -> None:
        """Show what was looked for, or say what is wrong with it."""
        if error is not None:
            self._complain(in_words(error))
            for name in changes.keys() - {"target"}:
                self.controls.show_one(name, self.setting)
        elif self._guard(lambda: self._change(changes)):
            self._settle()

    def _guard(self, act: Callable[[], None]) -> bool:
        """Do something and return whether it could be; what is wrong is told on the page."""
        try:
            act()
        except Exception as error:  # a function of the reader's own may raise anything
            self._complain(in_words(error))
            return False
        return True

    def _complain(self, words: str) -> None:
        """Say what is wrong, and what is shown."""
        self.trouble.text = refusal(words, self._shown())

    def _shown(self) -> str:
        """Say which function the page shows."""
        s = self.setting
        return f"{s.target} at N = {s.tokens}, d = {s.dim}"

    # -- showing: what is quick first --------------------------------------------------------------
    def _show_all(self) -> None:
        """Compute and draw everything that the target decides."""
        s = self.setting
        self.controls.show_smoothness(s.target)
        self.formula.text = formula_words(s)
        self.trainer.leave(s)
        self.fitted, self.built = [], []
        self.moduli.show(views.closed_rows(s), s.delta)
        self.errors.show_trained(self._trained())
        self._show_radius()
        self._later(self.hand.show, input_of)
        if self.unseen is None:
            self._show_bounds()
        else:  # the first of all bounds takes half a second, which a first paint need not
            self._later(self._show_bounds, views.network_of)
        self._later(self._show_found, views.subject_of)
        self.worst.show()

    def _later(self, act: Callable[[], None], of: Callable[[Setting], Any]) -> None:
        """Do something slower once the page shows what is known, if it is still about that."""
        shown = of(self.setting)

        def then() -> None:
            if of(self.setting) == shown:
                self._guard(act)

        if self.unseen is None:
            self.document.add_timeout_callback(then, SOON)
        else:  # a server at work answers nobody: the browser fetches the page first
            self.unseen.append(then)

    def _seen(self) -> None:
        """Begin what is slower: the browser shows the page."""
        waiting, self.unseen = self.unseen or [], None
        for then in waiting:
            self.document.add_timeout_callback(then, SOON)

    def _show_found(self) -> None:
        """Draw the pairs that a search finds, then the network."""
        self.moduli.show(views.moduli_rows(self.setting), self.setting.delta)
        self._later(self._show_run, views.network_of)

    def _trained(self) -> list[dict[str, Any]]:
        """Return rows of stored trained networks, and of those trained here."""
        return views.trained_rows(self.setting, self.folders, self.fitted)

    def _show_bounds(self) -> None:
        """Draw bounds and the networks certified so far."""
        self.errors.show_bounds(views.bound_rows(self.setting), self.setting.loops)
        self.errors.show_built(self.built)
        self._show_loops()

    def _show_network(self) -> None:
        """Draw what a memoriser and a grid decide."""
        self._show_bounds()
        self._later(self.hand.show, input_of)
        self._later(self._show_run, views.network_of)

    def _show_moved(self) -> None:
        """Draw and write what another input changes: there at once, then its run."""
        self.hand.show()
        self._later(self._show_moved_run, input_of)

    def _show_moved_run(self) -> None:
        """Write and draw the run on another input."""
        self._show_step()
        self._draw_run()

    def _show_run(self) -> None:
        """Write the constructed network's state, then draw its run."""
        self._show_step()
        self._later(self._draw_and_certify, views.network_of)

    def _draw_run(self) -> None:
        """Draw the constructed network's run."""
        s = self.setting
        try:
            run, why = loop_states(s), ""
        except ValueError as error:
            run, why = None, str(error)
        self.states.show(run, why)
        self.readout.show(run, around.there(s).f)

    def _draw_and_certify(self) -> None:
        """Draw the constructed network's run, then certify it if that is quick."""
        self._draw_run()
        s = self.setting
        if s.tokens * s.dim <= UNASKED:
            self._later(lambda: self.certifier.start(s, quick=True), views.network_of)

    def _show_radius(self) -> None:
        """Draw and write what the slider of δ points at."""
        s = self.setting
        self.moduli.at.location = s.delta
        self.values.text = moduli_table(s)

    def _show_loops(self) -> None:
        """Draw and write what the slider of r points at."""
        found = views.bound_at(self.setting)
        self.errors.at.location = self.worst.panel.at.location = found.loops
        self.terms.show(found)
        self.verdict.text = verdict_words(found, self.setting)

    def _show_step(self) -> None:
        """Write the state after the loops of the slider t, and point at it."""
        try:
            run = loop_states(self.setting)
        except ValueError:  # told where the picture would be
            self.table.text = self.told.text = ""
            self.controls.step.disabled = True
            return
        last = len(run.values) - 1
        step = min(self.setting.step, last)
        self.controls.step.update(end=max(1, last), value=step, disabled=False)
        self.states.at.location = self.readout.at.location = step
        self.told.text, self.table.text = state_words(run, step), state_table(run, step)

    # -- slow things -------------------------------------------------------------------------------
    def _train(self) -> None:
        """Begin a fit, or end the one that runs."""
        if not self.trainer.stop():
            self.fitted = []
            self.trainer.start(self.setting)

    def _certified(self, setting: Setting, row: dict[str, Any]) -> None:
        """Draw a certified network, unless the reader is elsewhere by now."""
        if views.subject_of(setting) == views.subject_of(self.setting):
            self.built = views.narrowest([*self.built, row])
            self.errors.show_built(self.built)

    def _fitted(self, setting: Setting, rows: list[dict[str, Any]]) -> None:
        """Draw networks trained just now, unless the reader is elsewhere by now."""
        if views.subject_of(setting) == views.subject_of(self.setting):
            self.fitted += rows
            self.errors.show_trained(self._trained())

    def _save(self) -> None:
        """Hand the reader a file."""

        def act() -> None:
            kind, ending = str(self.controls.what.value), str(self.controls.format.value)
            content = exported(
                self.setting,
                kind,
                ending,
                folders=self.folders,
                fitted=self.fitted,
                built=self.built,
            )
            self.controls.payload.data = {
                "name": [file_name(kind, ending)],
                "mime": [MEDIA[ending]],
                "base64": [base64.b64encode(content).decode()],
            }

        if self._guard(act):
            self._settle()

    def _left(self, context: Any) -> None:
        """End what runs for a reader who has left."""
        self.trainer.stop()
        self.certifier.end()
        self.finder.beside.end()
