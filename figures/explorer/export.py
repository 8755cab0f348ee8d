"""What a reader takes along: the figure on the page, its rows, and the Python that makes it."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from looprate.experiments.study.construction_rows import stage_rows
from looprate.experiments.study.figure_rows import term_rows
from looprate.figures.explorer import views
from looprate.figures.explorer.setting import Setting
from looprate.figures.rows import FLAGS, Row, write_rows
from looprate.theory.construction.build.compile import compile_construction
from looprate.theory.construction.memorisers import MEMORISERS

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

import looprate

f = looprate.target({target!r}, tokens={tokens}, dim={dim}, p={p})
{body}
figure.savefig("{kind}.pdf")
'''
COUNTS = "[round(10 ** (k / 5)) for k in range({first}, 61)]"  # loops, as on the page's axis
BODIES = {
    "moduli": "figure = f.moduli().plot().figure",
    "bound-terms": "figure = f.bound({counts}).plot().figure",
    "stages": "figure = f.construct({network}).stages()",
    "error-against-loops": """\
loops = {counts}
answers = [
    f.bound(loops),
    f.bound(loops, version="{memoriser}", coding="{coding}"),
{built}]
networks = [  # trained and certified ones that the page showed
{rows}]
figure = looprate.error_figure(*answers, rows=networks).figure""",
}
OWN_FILE = re.compile(r"[^\s+*]+\.py(?=:)")  # of a function of the reader's own


def exported(
    setting: Setting,
    kind: str,
    format_: str,
    *,
    folders: Sequence[Path] = (),
    fitted: Sequence[Row] = (),
    built: Sequence[Row] = (),
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
            from looprate.figures.drawing import redraw  # loads matplotlib, as the page need not

            redraw(place, formats=[format_])
        return (folder / file_name(kind, format_)).read_bytes()


def _code(
    setting: Setting,
    kind: str,
    folders: Sequence[Path],
    fitted: Sequence[Row],
    built: Sequence[Row],
) -> str:
    """Return Python that asks for the figure again, with what the page alone knows."""
    if kind not in BODIES:
        raise ValueError(f"`kind` must be one of {', '.join(EXPORTS)}, got {kind!r}")
    network = _asked_network(setting) if kind in ("stages", "error-against-loops") else ""
    rows = _network_rows(setting, folders, fitted, built)
    first = math.ceil(5 * math.log10(setting.tokens + 1))
    body = BODIES[kind].format(
        counts=COUNTS.format(first=first),
        network=network,
        memoriser=setting.memoriser,
        coding=setting.code,
        built="" if _is_among(built, setting) else f"    f.construct({network}),\n",
        rows="".join(f"    {row},\n" for row in map(_said, rows)),
    )
    return CODE.format(
        target=OWN_FILE.sub(lambda m: str(Path(m[0]).resolve()), setting.target),
        tokens=setting.tokens,
        dim=setting.dim,
        p=setting.p if math.isfinite(setting.p) else 'float("inf")',
        body=body,
        kind=kind,
    )


def _asked_network(setting: Setting) -> str:
    """Return the arguments that ask for the constructed network."""
    bits = "" if setting.spec.bits is None else f", bits={setting.spec.bits}"
    how = f'memoriser="{setting.memoriser}", coding="{setting.code}"{bits}'
    return f"{setting.grid}, {how}, tolerance={views.TOLERANCE}"


def _said(row: Row) -> dict[str, Any]:
    """Return a row as Python can read it: without nan and what is empty."""
    return {k: v for k, v in row.items() if v is not None and v == v}


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
    from looprate.figures.kinds import KINDS

    if kind not in EXPORTS:
        raise ValueError(f"`kind` must be one of {', '.join(EXPORTS)}, got {kind!r}")
    f = views.target_of(setting.target, setting.tokens, setting.dim)
    common = {"target": str(f), "latex": f.latex, **setting.shape, "p": setting.p}
    rows = {
        "error-against-loops": lambda: _error_rows(setting, folders, fitted, built),
        "moduli": lambda: views.moduli_rows(setting),
        "bound-terms": lambda: term_rows(views.VERSION, *views.bound_over(setting)),
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
        family = MEMORISERS[str(row["curve"])].family if row["curve"] in MEMORISERS else "lt"
        kind = {"curve": "bound", "family": family} if bound else {"curve": "trivial"}
        rows.append({**row, **kind, "lower": None})
    if not _is_among(built, setting):
        built = [*built, views.constructed_row(setting)]
    return rows + _network_rows(setting, folders, fitted, built)


def _is_among(built: Sequence[Row], setting: Setting) -> bool:
    """Whether a setting's own network is one of those constructed."""
    own: Row = {"memoriser": setting.memoriser, "coding": setting.code, "grid": setting.grid}
    return views.constructed_network(own) in map(views.constructed_network, built)


def _network_rows(
    setting: Setting, folders: Sequence[Path], fitted: Sequence[Row], built: Sequence[Row]
) -> list[dict[str, Any]]:
    """Return the rows of networks: constructed ones with a certified error, then trained ones."""
    certified = [
        {
            "curve": "constructed",
            "family": MEMORISERS[str(row["memoriser"])].family,
            "label": views.constructed_words(row),
            "loops": row["loops"],
            "value": row["upper"],
            "lower": row["lower"],
            "status": row["verdict"],
        }
        for row in built
        if row["upper"] is not None
    ]
    trained = views.trained_rows(setting, folders, fitted)
    return [*certified, *({**row, "curve": "trained"} for row in trained)]
