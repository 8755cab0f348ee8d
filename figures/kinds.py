"""The kinds of figures: the rows each needs, how large it is, and what draws it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure

import figures.arithmetic as arithmetic
import figures.bound_terms as bound_terms
import figures.error_against_loops as error_against_loops
import figures.eta_gain as eta_gain
import figures.learned_moduli as learned_moduli
import figures.memorisers as memorisers
import figures.moduli as moduli
import figures.scaling as scaling
import figures.stages as stages
import figures.task_accuracy as task_accuracy
import figures.task_attention as task_attention
import figures.task_boards as task_boards
import figures.task_test_loops as task_test_loops
import figures.task_training as task_training
import figures.training_curves as training_curves
from figures.rows import Row

__all__ = ["KINDS", "FigureKind"]


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
    "memorisers": _single(memorisers),
    "arithmetic": _panelled(arithmetic),
    "learned-moduli": _panelled(learned_moduli),
    "eta-gain": _panelled(eta_gain),
    "stages": FigureKind(stages.COLUMNS, stages.CHOICES, lambda rows: stages.SIZE, stages.draw_all),
    "scaling": FigureKind(
        scaling.COLUMNS, scaling.CHOICES, lambda rows: scaling.SIZE, scaling.draw_all
    ),
    "task-accuracy": _sized(task_accuracy),
    "task-test-loops": _sized(task_test_loops),
    "task-training": _panelled(task_training),
    "task-boards": _sized(task_boards),
    "task-attention": _sized(task_attention),
}
