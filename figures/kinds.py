"""The kinds of figures: the rows each needs, how large it is, and what draws it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure

import looprate.figures.arithmetic as arithmetic
import looprate.figures.autopsy as autopsy
import looprate.figures.best_of_n as best_of_n
import looprate.figures.bound_terms as bound_terms
import looprate.figures.error_against_loops as error_against_loops
import looprate.figures.eta_best as eta_best
import looprate.figures.eta_bits as eta_bits
import looprate.figures.eta_gain as eta_gain
import looprate.figures.eta_loops as eta_loops
import looprate.figures.few_bits as few_bits
import looprate.figures.learned_moduli as learned_moduli
import looprate.figures.memorisers as memorisers
import looprate.figures.moduli as moduli
import looprate.figures.rates as rates
import looprate.figures.roughness as roughness
import looprate.figures.scaling as scaling
import looprate.figures.stages.figure as stages
import looprate.figures.tasks.accuracy as task_accuracy
import looprate.figures.tasks.attention as task_attention
import looprate.figures.tasks.boards as task_boards
import looprate.figures.tasks.test_loops as task_test_loops
import looprate.figures.tasks.training as task_training
import looprate.figures.training_curves as training_curves
from looprate.figures.rows import Row
from looprate.figures.style import PHONE

Size = Callable[[Sequence[Row]], tuple[float, float]]
LEGEND = 1.0  # inches below stacked panels


@dataclass(frozen=True)
class FigureKind:
    """One kind of figure: the rows it needs, and how to draw them.

    Attributes
    ----------
    columns : mapping of str to str
        Column -> meaning.
    choices : mapping of str to sequence of str
        Column -> the words allowed in it.
    size, stacked : callable
        ``rows -> (width, height)`` in inches, at the size of a page, and where panels are stacked.
    draw_all : callable
        ``(figure, rows) -> None``.
    alt : callable
        ``rows -> str``: what the figure shows, in a sentence for those who do not see it.
    """

    columns: Mapping[str, str]
    choices: Mapping[str, Sequence[str]]
    size: Size
    stacked: Size
    draw_all: Callable[[Figure, Sequence[Row]], None]
    alt: Callable[[Sequence[Row]], str]


def _kind(module: Any, size: Size, draw_all: Callable[..., None], stacked: Size) -> FigureKind:
    """Kind of a module, whose own ``stacked`` and ``alt`` come first."""
    return FigureKind(
        module.COLUMNS,
        module.CHOICES,
        size,
        getattr(module, "stacked", stacked),
        draw_all,
        getattr(module, "alt", lambda rows: module.ALT),
    )


def _single(module: Any) -> FigureKind:
    """Kind of a module that draws into one pair of axes."""
    return _kind(
        module,
        lambda rows: module.SIZE,
        lambda figure, rows: module.draw(figure.add_subplot(), rows),
        lambda rows: (PHONE, module.SIZE[1] + LEGEND),
    )


def _panelled(module: Any) -> FigureKind:
    """Kind of a module that draws several panels; its SIZE is that of one."""
    width, height = module.SIZE
    return _kind(
        module,
        lambda rows: (width * max(1, len(module.panels(rows))) + module.MARGIN, height),
        module.draw_all,
        lambda rows: (PHONE, height * max(1, len(module.panels(rows))) + LEGEND),
    )


def _sized(module: Any) -> FigureKind:
    """Kind of a module that says how large its figure is, stacked ones included."""
    return _kind(module, module.size, module.draw_all, module.stacked)


KINDS: dict[str, FigureKind] = {
    "error-against-loops": _sized(error_against_loops),
    "moduli": _single(moduli),
    "bound-terms": _panelled(bound_terms),
    "rates": _single(rates),
    "training-curves": _panelled(training_curves),
    "best-of-n": _panelled(best_of_n),
    "roughness": _single(roughness),
    "memorisers": _single(memorisers),
    "arithmetic": _panelled(arithmetic),
    "few-bits": _panelled(few_bits),
    "learned-moduli": _panelled(learned_moduli),
    "eta-gain": _panelled(eta_gain),
    "eta-best": _panelled(eta_best),
    "eta-loops": _panelled(eta_loops),
    "eta-bits": _panelled(eta_bits),
    "stages": _sized(stages),
    "scaling": _sized(scaling),
    "task-accuracy": _sized(task_accuracy),
    "task-test-loops": _sized(task_test_loops),
    "task-training": _panelled(task_training),
    "task-boards": _sized(task_boards),
    "task-attention": _sized(task_attention),
    "autopsy": _sized(autopsy),
}
