"""The tidy rows each figure is drawn from, written beside the figures as CSV."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from looprate.experiments.study.best import best_of_rows, curve_rows
from looprate.experiments.study.constructed_findings import constructed_curve, constructed_slope
from looprate.experiments.study.rate_rows import THEOREM, rate_rows, slope_rows
from looprate.theory.bounds.rows import TERM_NAMES, BoundRow
from looprate.theory.construction.memorisers import MEMORISERS
from looprate.theory.gate import Onset
from looprate.theory.tables import TABLES, write_table

__all__ = ["BOUND_LABELS", "loop_grid", "slug", "term_rows", "write_rows"]

Row = dict[str, Any]
PRINTED = "theorem-3.6"
BOUND_LABELS = {
    name: (kind.family, f"explicit inequality, {name}") for name, kind in MEMORISERS.items()
}
MARGIN = 300.0  # the loop axis ends this factor beyond where the last bound starts to speak
FARTHEST = 10**12
POINTS_A_DECADE = 12
LONGEST_NAME = 100  # characters of a slug; a file system allows 255 bytes with KIND and ending
READABLE, DIGITS = 48, 12  # characters kept of a name that cannot be kept whole; of its digest
#: Names that a slug keeps whole: built-in targets, their colon and commas as underscores.
WHOLE = re.compile(r"(?!.*-n\d)[a-z0-9][a-z0-9-]*(:[a-z0-9.=+-]+(,[a-z0-9.=+-]+)*)?")


def slug(target: str, tokens: int, dim: int, more: str = "") -> str:
    """Return a file name's form of a target and shape: another one for every other four arguments.

    Names of built-in targets can be read off it.  Of any other a readable part is kept, then ``~``
    and a digest of the whole.  Case does not tell two of them apart, as on some file systems.

    Parameters
    ----------
    target : str
    tokens, dim : int
        N and d.
    more : str
        What else tells figures of one kind apart, such as ``-delta0.1``.

    Examples
    --------
    >>> slug("mean-field:a=1,b=2", 2, 1)
    'mean-field_a=1_b=2-N2-d1'
    >>> slug("formula: x/3", 2, 1)
    'formula_x_3~855e368154d9-N2-d1'
    """
    rest = f"-N{tokens}-d{dim}{more}"
    plain = re.fullmatch(r"[a-z0-9.=+-]*[a-z0-9]", rest.replace("N", "", 1)) is not None
    if plain and WHOLE.fullmatch(target) and len(target) + len(rest) <= LONGEST_NAME:
        return re.sub("[:,]", "_", target) + rest
    whole = f"{target}\0{rest}".encode("utf-8", "surrogatepass")
    found = hashlib.sha256(whole).hexdigest()[:DIGITS]
    readable = re.sub(r"[^A-Za-z0-9.=+-]+", "_", target)[:READABLE].strip("_.")
    room = LONGEST_NAME - len(readable) - DIGITS - 1
    shown = rest if plain and len(rest) <= room else ""
    return f"{readable}~{found}{shown}"


def write_figure_rows(
    folder: Path,
    theory: Row,
    moduli: Sequence[Row],
    group: Sequence[Row],
    certificates: Sequence[Row],
    best: Sequence[Row],
    bounds: dict[str, Callable[[int], BoundRow]],
    first: dict[str, Onset],
) -> list[Path]:
    """Write the CSV files of one target and shape into ``folder`` and return their paths."""
    tokens, dim = theory["tokens"], theory["dim"]
    common = {name: theory[name] for name in ("target", "latex", "tokens", "dim", "p")}
    starts = [onset.loops for onset in first.values() if onset.loops]
    run = max((row["loops"] for row in (*group, *certificates, *best)), default=tokens + 1)
    last = min(FARTHEST, max([run * 10, *(int(MARGIN * s) for s in starts)]))
    grid = loop_grid(tokens, last)
    tables = {
        "error-against-loops": [
            *_error_rows(theory, group, bounds, grid),
            *_constructed_rows(certificates),
            *curve_rows(best),
        ],
        "moduli": moduli,
        "bound-terms": [
            row  # the printed theorem first
            for version in (PRINTED, "increments")
            for row in term_rows(version, bounds[version], grid)
        ],
        "training-curves": _curve_rows(group),
        "rates": rate_rows(theory, grid),
    }
    if found := best_of_rows(best):
        tables["best-of-n"] = found
    name = slug(theory["target"], tokens, dim)
    return [
        write_rows(folder, kind, name, [{**row, **common} for row in rows])
        for kind, rows in tables.items()
    ]


def write_rows(folder: Path, kind: str, name: str, rows: Sequence[Row]) -> Path:
    """Write the CSV file of one figure and return its path."""
    path = folder / f"{kind}__{name}.csv"
    write_table(path, list(TABLES[kind]), map(_cells, rows))
    return path


def _cells(row: Row) -> Row:
    """Return a row without infinite numbers, as a curve has no point there; flags as ever."""
    return {
        name: str(value) if isinstance(value, bool) else value
        for name, value in row.items()
        if value not in (math.inf, -math.inf)
    }


def loop_grid(tokens: int, last: int, a_decade: int = POINTS_A_DECADE) -> list[int]:
    """Return loop counts r > N on a log grid up to ``last``."""
    count = max(2, int(a_decade * math.log10(last / (tokens + 1))))
    return sorted({round(r) for r in np.geomspace(tokens + 1, last, count)})


def _error_rows(
    theory: Row,
    group: Sequence[Row],
    bounds: dict[str, Callable[[int], BoundRow]],
    grid: Sequence[int],
) -> list[Row]:
    """Rows of the main figure: trained, bounds, proven exponents, best constant."""
    rows: list[Row] = [
        {"curve": "trivial", "value": theory["trivial"], "stderr": theory["trivial_stderr"]}
    ]
    for cell in group:
        rows += [
            {
                "curve": "trained",
                "family": cell["family"],
                "label": f"{fit['config']['recipe']['steps']:,} steps",
                "loops": cell["loops"],
                "seed": fit["seed"],
                "value": fit["error"],
                "stderr": fit["error_stderr"],
            }
            for fit in cell["rows"]
        ]
    for version, (family, label) in {PRINTED: ("lt", THEOREM), **BOUND_LABELS}.items():
        for r in grid:
            row = bounds[version](r)
            rows.append(
                {"curve": "bound", "family": family, "label": label, "loops": r}
                | {"value": row.total, "status": str(row.verdict)}
            )
    return rows + slope_rows(theory)


def _constructed_rows(certificates: Sequence[Row]) -> list[Row]:
    """Rows of the constructed networks: both ends of every certified error."""
    rows = []
    for memoriser, kind in MEMORISERS.items():
        curve = constructed_curve(certificates, memoriser)
        fit = constructed_slope(curve)
        slope = f": slope {fit.slope:.2f}".replace("-", "−") if fit else ""
        slope += f" in {('r/q', 'r²/q')[kind.levels - 1]}" if fit and kind.takes_bits else ""
        rows += [
            {
                "curve": "constructed",
                "family": kind.family,
                "label": f"{memoriser}, {kind.coding} code{slope}",
                "loops": row["loops"],
                "value": row["error_upper"],
                "lower": row["error_lower"],
                "status": row["verdict"],
            }
            for row in curve
        ]
    return rows


def term_rows(version: str, bound: Callable[[int], BoundRow], grid: Sequence[int]) -> list[Row]:
    """Rows of the stacked terms of one bound."""
    return [
        {"version": version, "loops": r, "term": term, "value": row.terms[term]}
        | {"trivial": row.trivial, "total": row.total, "status": str(row.verdict)}
        for r, row in ((r, bound(r)) for r in grid)
        for term in TERM_NAMES
    ]


def _curve_rows(group: Sequence[Row]) -> list[Row]:
    """Rows of the training curves at the chosen recipes."""
    return [
        {
            "family": cell["family"],
            "loops": cell["loops"],
            "seed": fit["seed"],
            "step": step,
            "value": value,
            "chosen": 1,
        }
        for cell in group
        for fit in cell["rows"]
        for step, value in zip(fit["curve_steps"], fit["curve"], strict=True)
    ]
