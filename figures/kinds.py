"""The kinds of figures: the rows each needs, how large it is, and what draws it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure

import looprate.figures.arithmetic as arithmetic
import looprate.figures.autopsy as autopsy
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


@dataclass(frozen=True)
class FigureKind:
    """One kind of figure: the rows it needs, and how to draw them.

    Attributes
    ----------
    columns : mapping of str to str
        Column -> meaning.
    choices : mapping of str to sequence of str
        Column -> the words allowed in it.
    size : callable
        ``rows -> (width, height)`` in inches, at the size of a page.
    draw_all : callable
        ``(figure, rows) -> None``.
    """

    columns: Mapping[str, str]
    choices: Mapping[str, Sequence[str]]
    size: Callable[[Sequence[Row]], tuple[float, float]]
    draw_all: Callable[[Figure, Sequence[Row]], None]


def _single(module: Any) -> FigureKind:
    """Kind of a module that draws into one pair of axes."""
    return FigureKind(
        module.COLUMNS,
        module.CHOICES,
        lambda rows: module.SIZE,
        lambda figure, rows: module.draw(figure.add_subplot(), rows),
    )


def _panelled(module: Any) -> FigureKind:
    """Kind of a module that draws several panels; its SIZE is that of one."""
    width, height = module.SIZE
    return FigureKind(
        module.COLUMNS,
        module.CHOICES,
        lambda rows: (width * max(1, len(module.panels(rows))) + module.MARGIN, height),
        module.draw_all,
    )


def _sized(module: Any) -> FigureKind:
    """Kind of a module that says how large its figure is."""
    return FigureKind(module.COLUMNS, module.CHOICES, module.size, module.draw_all)


KINDS: dict[str, FigureKind] = {
    "error-against-loops": _single(error_against_loops),
    "moduli": _single(moduli),
    "bound-terms": _panelled(bound_terms),
    "training-curves": _panelled(training_curves),
    "roughness": _single(roughness),
    "memorisers": _single(memorisers),
    "arithmetic": _panelled(arithmetic),
    "few-bits": _panelled(few_bits),
    "learned-moduli": _panelled(learned_moduli),
    "eta-gain": _panelled(eta_gain),
    "eta-best": _panelled(eta_best),
    "eta-loops": _panelled(eta_loops),
    "eta-bits": _panelled(eta_bits),
    "stages": FigureKind(stages.COLUMNS, stages.CHOICES, lambda rows: stages.SIZE, stages.draw_all),
    "scaling": FigureKind(
        scaling.COLUMNS, scaling.CHOICES, lambda rows: scaling.SIZE, scaling.draw_all
    ),
    "task-accuracy": _sized(task_accuracy),
    "task-test-loops": _sized(task_test_loops),
    "task-training": _panelled(task_training),
    "task-boards": _sized(task_boards),
    "task-attention": _sized(task_attention),
    "autopsy": FigureKind(
        autopsy.COLUMNS, autopsy.CHOICES, lambda rows: autopsy.SIZE, autopsy.draw_all
    ),
}
