"""A fit beside the page: a thread that trains, tells how far it is, and can be stopped."""

from __future__ import annotations

import html
import math
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any

from bokeh.document import Document
from bokeh.models import Button, Div

from looprate.figures.explorer import views
from looprate.figures.explorer.beside import tell
from looprate.figures.explorer.setting import Setting
from looprate.figures.explorer.words import in_words

if TYPE_CHECKING:
    from looprate.approx.models.looped import Family
    from looprate.experiments.study.config import StudyConfig

LOOPS = (1, 2, 4, 8)
FAMILIES: tuple[Family, ...] = ("lt", "tmlt")
STEPS = 400
RECIPE_WORDS = f"{STEPS:,} steps, trained on the page"
TRAIN, STOP = "Train LT and TMLT here", "Stop"
ELSEWHERE = "stopped: the page shows another function now"


@cache
def study() -> StudyConfig:
    """Return the networks of verify, trained for fewer steps; loads torch, as the page need not."""
    from looprate.approx.fit.fitted import Recipe
    from looprate.experiments.study.config import PRESETS

    return replace(
        PRESETS["quick"],
        seeds=3,
        learning_rates=(2.5e-2,),
        recipe=Recipe(steps=STEPS, batch=64, evaluations=1, validation_points=64),
        points=512,
        replicates=2,
        compiled=False,
    )


class Stopped(Exception):
    """The reader pressed stop."""


@dataclass(frozen=True)
class Progress:
    """How far a fit is: a share of the whole, and what it is at."""

    part: float
    words: str


class LiveFit:
    """LT and TMLT of equal size trained on a target at a few loop counts, in a thread.

    Parameters
    ----------
    setting : Setting
    told : callable
        Called from the thread with a :class:`Progress`, a list of rows {family, label, loops,
        seed, value}, or at the end None; or with the exception that ended it.
    loops : sequence of int
    """

    def __init__(
        self, setting: Setting, told: Callable[[Any], None], *, loops: Sequence[int] = LOOPS
    ) -> None:
        self.setting, self.told, self.loops = setting, told, tuple(loops)
        self._stop = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Begin."""
        self.thread.start()

    def stop(self) -> None:
        """End at the next step."""
        self._stop.set()

    def _run(self) -> None:
        """Train one model after the other; whatever ends it is told."""
        plan = [(family, r) for r in self.loops for family in FAMILIES]
        try:
            for done, (family, r) in enumerate(plan):
                self.told(self._rows(family, r, done, len(plan)))
            self.told(None)
        except Exception as error:  # a function of the reader's own may raise anything
            self.told(error)

    def _rows(self, family: Family, loops: int, done: int, planned: int) -> list[dict[str, Any]]:
        """Return the errors of one family at one loop count, over seeds."""
        from looprate.experiments.study.config import fit_arguments
        from looprate.experiments.study.work import trained

        s = self.setting
        f = views.target_of(s.target, s.tokens, s.dim)

        def at(share: float) -> None:
            if self._stop.is_set():
                raise Stopped
            part = (done + share) / planned
            self.told(Progress(part, f"{family.upper()}, r = {loops}"))

        how = fit_arguments(
            replace(study(), p=s.p), family, loops=loops, tokens=s.tokens, dim=s.dim
        )
        _, rows = trained([f], [s.target], **how, report=at)
        return [
            {"family": family, "label": RECIPE_WORDS, "loops": loops, "seed": row["seed"]}
            | {"value": math.nan if row["error"] is None else row["error"]}
            for row in rows
        ]


class Trainer:
    """The button that begins a fit and ends it, and the words below it.

    Parameters
    ----------
    document : Document
        Whose page it is.
    button : Button
    words : Div
    drawn : callable
        ``(setting, rows) -> None``, called with what has been trained.
    """

    def __init__(
        self,
        document: Document,
        button: Button,
        words: Div,
        drawn: Callable[[Setting, list[dict[str, Any]]], None],
    ) -> None:
        self.document, self.button, self.words, self.drawn = document, button, words, drawn
        self.live: LiveFit | None = None
        self.gone = False

    def start(self, setting: Setting) -> None:
        """Begin a fit of a setting's target."""

        def later(told: Any) -> None:
            tell(self.document, lambda: self._told(setting, told))

        self.button.update(label=STOP, button_type="danger")
        self.gone = False
        self.live = LiveFit(setting, later)
        self.live.start()

    def stop(self) -> bool:
        """End the fit that runs; return whether there was one."""
        if self.live is None:
            return False
        self.live.stop()
        self.words.text = "stopping ..."
        return True

    def leave(self, setting: Setting) -> None:
        """End the fit that runs if it is of another target, shape or exponent than a setting's."""
        if self.live and views.subject_of(self.live.setting) != views.subject_of(setting):
            self.gone = self.stop()

    def _told(self, setting: Setting, told: Any) -> None:
        """Take what a fit says."""
        if isinstance(told, Progress):
            self.words.text = f"training {told.words}: {told.part:.0%}"
        elif isinstance(told, list):
            self.drawn(setting, told)
        else:
            self.live = None
            self.button.update(label=TRAIN, button_type="primary")
            self.words.text = ELSEWHERE if self.gone else _last_words(told)


def _last_words(told: Exception | None) -> str:
    """Say how a fit ended, as HTML."""
    if told is None:
        return "Trained: approximation plus optimisation error, no evidence on a bound."
    if isinstance(told, Stopped):
        return "stopped; what was trained stays"
    return f'<p role="alert">The fit ended: {html.escape(in_words(told))}</p>'
