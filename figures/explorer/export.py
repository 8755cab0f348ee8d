"""What a reader takes along: the figure on the page, its rows, and the Python that makes it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from looprate.experiments.study.construction_rows import stage_rows
from looprate.figures.drawing import KINDS, redraw
from looprate.figures.explorer import views
from looprate.figures.explorer.setting import Setting
from looprate.figures.rows import FLAGS, Row, write_rows
from looprate.theory.bounds.rows import TERM_NAMES
from looprate.theory.construction.build.compile import compile_construction

EXPORTS = ("error-against-loops", "moduli", "bound-terms", "stages")
MEDIA = {
    "png": "image/png",
    "svg": "image/svg+xml",
    "pdf": "application/pdf",
    "csv": "text/csv",
    "py": "text/x-python",
}
CODE = '''\
"""Made by looprate's explorer: run it where looprate is installed."""

from pathlib import Path

from looprate.figures.drawing import make_figure
from looprate.figures.explorer.export import figure_rows
from looprate.figures.explorer.setting import Setting

setting = Setting({arguments})
folders = [{folders}]  # with rows of trained networks
page = {{  # networks that were trained and certified there
    "fitted": {fitted},
    "built": {built},
}}
rows = figure_rows(setting, "{kind}", folders=folders, **page)
make_figure("{kind}", rows).savefig("{kind}.pdf")
'''
OWN_FILE = re.compile(r"[^\s+*]+\.py(?=:)")  # of a function of the reader's own


def exported(
    setting: Setting,
    kind: str,
    format_: str,
    *,
    folders: Sequence[Path] = (),
    fitted: Sequence[Row] = (),
    built: Sequence[Row] = (),
    style: str = "paper",
) -> bytes:
    """Return a file with what the page shows.

    Parameters
    ----------
    setting : Setting
    kind : str
        One of :data:`EXPORTS`.
    format_ : {"png", "svg", "pdf", "csv", "py"}
    folders, fitted, built
        As in :func:`figure_rows`.
    style : str
        One of :data:`looprate.figures.style.STYLES`.

    Raises
    ------
    ValueError
        If kind or format is unknown, or the figure cannot show this setting.
    """
    if format_ not in MEDIA:
        raise ValueError(f"`format` must be one of {', '.join(MEDIA)}, got {format_!r}")
    if format_ == "py":
        return _code(setting, kind, folders, fitted, built).encode()
    rows = figure_rows(setting, kind, folders=folders, fitted=fitted, built=built)
    with TemporaryDirectory() as place:
        folder = Path(place) / "figures"
        folder.mkdir()
        write_rows(folder / file_name(kind, "csv"), rows)
        if format_ != "csv":
            redraw(place, style=style, formats=[format_])
        return (folder / file_name(kind, format_)).read_bytes()


def _code(
    setting: Setting,
    kind: str,
    folders: Sequence[Path],
    fitted: Sequence[Row],
    built: Sequence[Row],
) -> str:
    """Return Python that makes the figure wherever it is run: with places from the root."""
    given = {k: v for k, v in asdict(setting).items() if v != getattr(Setting(), k)}
    if "target" in given:
        given["target"] = OWN_FILE.sub(lambda m: str(Path(m[0]).resolve()), given["target"])
    return CODE.format(
        arguments=", ".join(f"{name}={value!r}" for name, value in given.items()),
        folders=", ".join(f"Path({str(folder.resolve())!r})" for folder in folders),
        fitted=[{k: None if v != v else v for k, v in row.items()} for row in fitted],
        built=[dict(row) for row in built],
        kind=kind,
    )


def file_name(kind: str, format_: str) -> str:
    """Return the name of a file taken along: ``looprate figures`` draws the CSV by it again."""
    return f"{kind}__explorer.{format_}"


def figure_rows(
    setting: Setting,
    kind: str,
    *,
    folders: Sequence[Path] = (),
    fitted: Sequence[Row] = (),
    built: Sequence[Row] = (),
) -> list[dict[str, Any]]:
    """Return the rows from which :func:`looprate.figures.drawing.make_figure` draws a figure.

    Parameters
    ----------
    setting : Setting
    kind : str
        One of :data:`EXPORTS`.
    folders : sequence of Path
        Where rows of trained networks are looked for.
    fitted : sequence of rows
        Of networks trained just now: family, label, loops, seed, value.
    built : sequence of rows
        Of :func:`looprate.figures.explorer.views.constructed_row`; where the setting's own network
        is not among them, it is certified.

    Raises
    ------
    ValueError
        If the kind is unknown, or the figure cannot show this setting.
    """
    if kind not in EXPORTS:
        raise ValueError(f"`kind` must be one of {', '.join(EXPORTS)}, got {kind!r}")
    f = views.target_of(setting.target, setting.tokens, setting.dim)
    common = {"target": str(f), "latex": f.latex, **setting.shape, "p": setting.p}
    rows = {
        "error-against-loops": lambda: _error_rows(setting, folders, fitted, built),
        "moduli": lambda: views.moduli_rows(setting),
        "bound-terms": lambda: _term_rows(setting),
        "stages": lambda: stage_rows(compile_construction(f, setting.spec)),
    }[kind]()
    columns = dict.fromkeys(KINDS[kind].columns)
    return [{**columns, **_plain(row), **common} for row in rows]


def _plain(row: Row) -> dict[str, Any]:
    """Return a row whose flags are true or false, as files of rows need them."""
    return {k: bool(v) if k in FLAGS and v is not None else v for k, v in row.items()}


def _error_rows(
    setting: Setting, folders: Sequence[Path], fitted: Sequence[Row], built: Sequence[Row]
) -> list[dict[str, Any]]:
    """Return the rows of the main figure: bounds, best constant, constructed, trained."""
    rows = []
    for row in views.bound_rows(setting):
        bound = row["curve"] != "trivial"
        family = "tmlt" if row["curve"] == "timestep" else "lt"
        kind = {"curve": "bound", "family": family} if bound else {"curve": "trivial"}
        rows.append({**row, **kind, "lower": None})
    own = {"memoriser": setting.memoriser, "grid": setting.grid}
    if not any(own.items() <= row.items() for row in built):
        built = [*built, views.constructed_row(setting)]
    rows += [
        {
            "curve": "constructed",
            "family": "tmlt" if row["memoriser"] == "timestep" else "lt",
            "label": f"{row['memoriser']}, {row['grid']} cells a side",
            "loops": row["loops"],
            "value": row["upper"],
            "lower": row["lower"],
            "status": row["verdict"],
        }
        for row in built
        if row["upper"] is not None
    ]
    trained = views.trained_rows(setting, folders, fitted)
    return rows + [{**row, "curve": "trained"} for row in trained]


def _term_rows(setting: Setting) -> list[dict[str, Any]]:
    """Return the rows of the stacked terms of Theorem 3.6 over the loop counts of the bound."""
    bounds = [row for row in views.bound_rows(setting) if row["curve"] == views.VERSION]
    rows = []
    for loops in (row["loops"] for row in bounds):
        found = views.bound_at(setting.changed(loops=loops))
        rows += [
            {
                "version": views.VERSION,
                "loops": loops,
                "term": term,
                "value": found.terms[term],
                "trivial": found.trivial,
                "total": found.total,
                "status": str(found.verdict),
            }
            for term in TERM_NAMES
        ]
    return rows
