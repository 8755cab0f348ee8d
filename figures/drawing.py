"""From a study folder to figure files: find the rows, draw them, put the files in their place."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from looprate.figures import handout
from looprate.figures.dark import darken
from looprate.figures.kinds import KINDS
from looprate.figures.rows import Row, check_columns, read_rows
from looprate.figures.style import STYLES
from looprate.theory.outputs import checked_folder, remove_dead_drafts, replacing

__all__ = ["make_figure", "redraw"]

#: Format -> metadata that would otherwise change from one drawing to the next; what holds words.
FORMATS: dict[str, tuple[dict[str, Any], str]] = {
    "png": ({"Software": None}, "Description"),
    "pdf": ({"CreationDate": None, "Creator": None, "Producer": None}, "Subject"),
    "svg": ({"Date": None, "Creator": None}, "Description"),
}


def redraw(
    directory: str | Path,
    *,
    style: str = "paper",
    dark: bool = False,
    formats: Sequence[str] = ("png", "pdf"),
    only: Sequence[str] = (),
    to: str | Path | None = None,
    handouts: bool = False,
) -> list[Path]:
    """Draw every figure of a study folder again from its stored rows.

    Parameters
    ----------
    directory : str or Path
        Study folder; rows are read from ``figures/KIND__SLUG.csv`` in it, KIND one of
        :data:`KINDS`; other files are left alone.  A folder without a folder ``figures`` may hold
        the rows itself.
    style : {"paper", "slides", "poster", "phone"}
        See :mod:`looprate.figures.style`.
    dark : bool
        Light on black.
    formats : sequence of {"png", "pdf", "svg"}
        Files to write beside each CSV file.
    only : sequence of str
        Draw these, each a KIND or a KIND__SLUG; empty draws all.
    to : str or Path, optional
        Folder for the files, made if need be, with a copy of the rows; left out, beside the rows.
    handouts : bool
        Write a page ``handout__SLUG`` for each error-against-loops file instead, in paper style.

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
    for _, outcome in redraw_each(
        directory, style=style, dark=dark, formats=formats, only=only, to=to, handouts=handouts
    ):
        if isinstance(outcome, str):
            failed.append(outcome)
        else:
            written.extend(outcome)
    if failed:
        raise ValueError("\n".join(failed))
    return written


def redraw_each(
    directory: str | Path,
    *,
    style: str,
    dark: bool = False,
    formats: Sequence[str],
    only: Sequence[str] = (),
    to: str | Path | None = None,
    handouts: bool = False,
    share: tuple[int, int] = (0, 1),
) -> Iterator[tuple[Path, list[Path] | str]]:
    """Yield each CSV file with the files drawn from it, or with what is wrong with it.

    Of several processes that draw at once, the one with ``share=(k, n)`` draws each n-th figure.
    """
    _check_choice(style, "style", STYLES)
    for name in formats:
        _check_choice(name, "formats", FORMATS)
    if handouts and (style != "paper" or dark):
        raise ValueError(
            "`style` of a handout must be paper, as it is a page, got "
            f"{'dark' if dark else repr(style)}; leave it out"
        )
    sources = _chosen(_sources(Path(directory), handout.KIND if handouts else ""), only)
    if to is not None:
        _check_same_rows(sources, Path(to))
    for folder in {source.parent for source in sources} | ({Path(to)} if to else set()):
        remove_dead_drafts(folder)
    first, every = share
    for source in sources[first::every]:
        yield source, _outcome(source, style, dark, formats, to, handouts)


def _outcome(
    source: Path,
    style: str,
    dark: bool,
    formats: Sequence[str],
    to: str | Path | None,
    as_handout: bool,
) -> list[Path] | str:
    """Draw one CSV file; return the files written, or what is wrong with it."""
    try:
        return _redraw_one(source, style, dark, formats, to, as_handout)
    except ValueError as error:
        message = str(error)
        return message if source.name in message else f"`{source.name}`: {message}"
    except OSError as error:
        return (
            f"`{source.name}` must be readable and its folder writable, got "
            f"{error.strerror or error}; change the permissions or copy the study"
        )


def make_figure(
    kind: str, rows: Sequence[Row], *, style: str = "paper", dark: bool = False
) -> Figure:
    """Draw rows as one figure, without any global state.

    Parameters
    ----------
    kind : str
        One of :data:`KINDS`.
    rows : sequence of rows
        With that kind's columns.
    style : {"paper", "slides", "poster", "phone"}
        Must be in force when the figure is saved, too.
    dark : bool
        Light on black.

    Returns
    -------
    Figure
        On an Agg canvas, with constrained layout.
    """
    _check_choice(kind, "kind", KINDS)
    _check_choice(style, "style", STYLES)
    chosen = KINDS[kind]
    size = chosen.stacked(rows) if STYLES[style].stacked else chosen.size(rows)
    return _make(size, chosen.draw_all, rows, style, dark=dark)


def make_handout(rows: Sequence[Row], *, source: str) -> Figure:
    """Draw a page with the main figure and the theorem, without any global state.

    Parameters
    ----------
    rows : sequence of rows
        Of an error-against-loops figure.
    source : str
        Where the reader finds the rows; printed at the foot of the page.

    Returns
    -------
    Figure
        A4, portrait; the paper style must be in force when it is saved, too.
    """
    return _make(handout.SIZE, partial(handout.draw_all, source=source), rows, "paper")


def _make(
    size: tuple[float, float],
    draw: Callable[[Figure, Sequence[Row]], None],
    rows: Sequence[Row],
    style: str,
    *,
    dark: bool = False,
) -> Figure:
    """Draw rows as a figure of a size."""
    look = STYLES[style]
    width, height = (look.scale * side for side in size)
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(look.parameters())
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(figure)
        draw(figure, rows)
        if dark:
            darken(figure)
    return figure


def _redraw_one(
    source: Path,
    style: str,
    dark: bool,
    formats: Sequence[str],
    to: str | Path | None,
    as_handout: bool,
) -> list[Path]:
    """Draw one CSV file; return the files written."""
    kind, stem, rows = _kind_of(source), source.stem, read_rows(source)
    check_columns(rows, KINDS[kind].columns, KINDS[kind].choices, name=source.name)
    if as_handout:
        figure, stem = make_handout(rows, source=source.name), handout.stem(stem)
    else:
        figure = make_figure(kind, rows, style=style, dark=dark)
    folder = source.parent if to is None else _with_rows(Path(to), source)
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLES[style].parameters())
        said = KINDS[kind].alt(rows)
        _lay_out(figure)
        return [_save(figure, folder / f"{stem}.{name}", name, said) for name in formats]


def _check_same_rows(sources: Sequence[Path], folder: Path) -> None:
    """Raise if a folder holds other rows under the name of a figure: of another study, or older."""
    for source in sources:
        copy = folder / source.name
        try:
            same = not copy.is_file() or copy.read_bytes() == source.read_bytes()
        except OSError:
            continue  # said where it is drawn
        if not same:
            raise ValueError(
                f"`to` must be a folder without other rows of the same name, {folder} holds "
                f"another {source.name}; take another --to, or delete that file with its figure"
            )


def _with_rows(folder: Path, source: Path) -> Path:
    """Copy the rows of a figure into a folder, made if need be, and return it."""
    checked_folder(folder)
    copy = folder / source.name
    if not copy.exists() or not copy.samefile(source):
        with replacing(copy) as draft:
            shutil.copyfile(source, draft)
    return folder


def _lay_out(figure: Figure) -> None:
    """Settle the layout once for all formats, as a bitmap has it: saving does it again for each."""
    figure.dpi = matplotlib.rcParams["savefig.dpi"]
    figure.draw_without_rendering()
    figure.set_layout_engine(None)


def _save(figure: Figure, path: Path, format_: str, said: str) -> Path:
    """Write a figure with what it shows in words, whole or not at all."""
    constant, words = FORMATS[format_]
    with replacing(path) as draft:
        figure.savefig(draft, format=format_, metadata={**constant, words: said})
    return path


def _sources(directory: Path, kind: str) -> list[Path]:
    """CSV files of one kind, of all known ones if it is "", sorted by name."""
    folder = directory / "figures" if (directory / "figures").is_dir() else directory
    files = sorted(folder.glob("*.csv"))
    known = [path for path in files if _kind_of(path) in KINDS]
    found = [path for path in known if kind in ("", _kind_of(path))]
    if not known and folder is directory:
        raise ValueError(
            f"`directory` must be a study folder with a folder figures in it, got {directory}; "
            "give the folder a study wrote its results to"
        )
    if not found:
        raise ValueError(
            f"`directory` must hold figures/KIND__SLUG.csv with KIND "
            f"{kind or 'one of ' + ', '.join(KINDS)}, got none in {folder}; run the study first"
        )
    return found


def _chosen(sources: Sequence[Path], only: Sequence[str]) -> list[Path]:
    """Sources whose KIND or KIND__SLUG is asked for; all if nothing is."""
    for name in only:
        if not any(name in (_kind_of(path), path.stem) for path in sources):
            raise ValueError(
                f"`only` must name a KIND or KIND__SLUG of {', '.join(p.stem for p in sources)}, "
                f"got {name!r}; take one of these"
            )
    return [path for path in sources if not only or {_kind_of(path), path.stem} & set(only)]


def _kind_of(source: Path) -> str:
    """The part of a file's name before the double underscore, "" if there is none."""
    kind, mark, _ = source.stem.partition("__")
    return kind if mark else ""


def _check_choice(value: str, name: str, choices: Mapping[str, Any]) -> None:
    """Raise unless ``value`` is a key of ``choices``."""
    if value not in choices:
        raise ValueError(f"`{name}` must be one of {', '.join(choices)}, got {value!r}")
