"""From a study folder to figure files: find the rows, draw them, put the files in their place."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
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
from figures.rows import Row, check_columns, read_rows
from figures.style import STYLES

__all__ = ["FORMATS", "KINDS", "FigureKind", "make_figure", "redraw", "redraw_each"]

#: Format -> metadata that would otherwise change from one drawing to the next.
FORMATS: dict[str, dict[str, Any]] = {
    "png": {"Software": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
    "svg": {"Date": None, "Creator": None},
}


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


def redraw(
    directory: str | Path, *, style: str = "paper", formats: Sequence[str] = ("png", "pdf")
) -> list[Path]:
    """Draw every figure of a study folder again from its stored rows.

    Parameters
    ----------
    directory : str or Path
        Study folder; rows are read from ``figures/KIND__SLUG.csv`` in it, KIND one of
        :data:`KINDS`; other files are left alone.
    style : {"paper", "slides"}
        See :mod:`figures.style`.
    formats : sequence of {"png", "pdf", "svg"}
        Files to write beside each CSV file.

    Returns
    -------
    list of Path
        Files written, each replaced as a whole.  The same rows give the same bytes.

    Raises
    ------
    ValueError
        If an argument is unknown, there is nothing to draw, or a file is not as it should be or
        cannot be written; in the last cases all other figures have been drawn before.
    """
    written: list[Path] = []
    failed: list[str] = []
    for _, outcome in redraw_each(directory, style=style, formats=formats):
        if isinstance(outcome, str):
            failed.append(outcome)
        else:
            written.extend(outcome)
    if failed:
        raise ValueError("\n".join(failed))
    return written


def redraw_each(
    directory: str | Path, *, style: str, formats: Sequence[str], processes: int = 1
) -> Iterator[tuple[Path, list[Path] | str]]:
    """Yield each CSV file with the files drawn from it, or with what is wrong with it.

    Several processes draw several figures at once.
    """
    _check_choice(style, "style", STYLES)
    for name in formats:
        _check_choice(name, "formats", FORMATS)
    sources = _sources(Path(directory))
    draw = partial(_outcome, style=style, formats=tuple(formats))
    if min(processes, len(sources)) < 2:
        yield from ((source, draw(source)) for source in sources)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(processes, len(sources)), mp_context=context) as pool:
        yield from zip(sources, pool.map(draw, sources), strict=True)


def _outcome(source: Path, *, style: str, formats: Sequence[str]) -> list[Path] | str:
    """Draw one CSV file; return the files written, or what is wrong with it."""
    try:
        return _redraw_one(source, style, formats)
    except ValueError as error:
        message = str(error)
        return message if source.name in message else f"`{source.name}`: {message}"
    except OSError as error:
        return (
            f"`{source.name}` must be readable and its folder writable, got "
            f"{error.strerror or error}; change the permissions or copy the study"
        )


def make_figure(kind: str, rows: Sequence[Row], *, style: str = "paper") -> Figure:
    """Draw rows as one figure, without any global state.

    Parameters
    ----------
    kind : str
        One of :data:`KINDS`.
    rows : sequence of rows
        With that kind's columns.
    style : {"paper", "slides"}
        Must be in force when the figure is saved, too.

    Returns
    -------
    Figure
        On an Agg canvas, with constrained layout.
    """
    _check_choice(kind, "kind", KINDS)
    _check_choice(style, "style", STYLES)
    parameters, scale = STYLES[style]
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(parameters())
        width, height = KINDS[kind].size(rows)
        figure = Figure(figsize=(scale * width, scale * height), layout="constrained")
        FigureCanvasAgg(figure)
        KINDS[kind].draw_all(figure, rows)
    return figure


def _redraw_one(source: Path, style: str, formats: Sequence[str]) -> list[Path]:
    """Draw one CSV file; return the files written."""
    kind = _kind_of(source)
    rows = read_rows(source)
    check_columns(rows, KINDS[kind].columns, KINDS[kind].choices, name=source.name)
    figure = make_figure(kind, rows, style=style)
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLES[style][0]())
        return [_save(figure, source.with_suffix(f".{name}"), name) for name in formats]


def _save(figure: Figure, path: Path, format_: str) -> Path:
    """Write a figure under another name, then move it into place."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        figure.savefig(draft, format=format_, metadata=FORMATS[format_])
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)
    return path


def _sources(directory: Path) -> list[Path]:
    """CSV files of known kinds, sorted by name."""
    folder = directory / "figures"
    if not folder.is_dir():
        raise ValueError(
            f"`directory` must be a study folder with a folder figures in it, got {directory}; "
            "give the folder a study wrote its results to"
        )
    found = [path for path in sorted(folder.glob("*.csv")) if _kind_of(path) in KINDS]
    if not found:
        raise ValueError(
            f"`directory` must hold figures/KIND__SLUG.csv with KIND one of {', '.join(KINDS)}, "
            f"got none in {folder}; run the study first"
        )
    return found


def _kind_of(source: Path) -> str:
    """The part of a file's name before the double underscore, "" if there is none."""
    kind, mark, _ = source.stem.partition("__")
    return kind if mark else ""


def _check_choice(value: str, name: str, choices: Mapping[str, Any]) -> None:
    """Raise unless ``value`` is a key of ``choices``."""
    if value not in choices:
        raise ValueError(f"`{name}` must be one of {', '.join(choices)}, got {value!r}")
