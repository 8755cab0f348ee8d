"""The report of ``looprate exponents``: slopes with intervals, certificates, floors of few bits."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from looprate.experiments.exponents.config import ExponentsConfig, Line
from looprate.experiments.exponents.few_bits import figure_rows, floors
from looprate.experiments.rows.markdown import table
from looprate.experiments.rows.provenance import versions
from looprate.experiments.study.figure_rows import slug, write_rows
from looprate.theory.outputs import at_least, at_most, strict_json, write_atomically
from looprate.theory.statistics.enclosed import enclosed_slope, enclosed_slope_finding
from looprate.theory.tables import write_table
from looprate.theory.verdict import Finding

__all__ = ["line_finding", "write_exponents_report"]

Row = dict[str, Any]
LINE = ("memoriser", "coding", "target", "tokens", "dim", "p")
ERRORS = (*LINE, "grid", "loops", "error_lower", "error_upper", "bound", "verdict")
SLOPES = (*LINE, "grids", "low", "high", "predicted", "verdict")


def write_exponents_report(config: ExponentsConfig, folder: Path, rows: Sequence[Row]) -> Row:
    """Write exponents.md and .json, errors.csv, slopes.csv and the figure's rows of a sweep."""
    certificates = [row for row in rows if "arithmetic" not in row]
    few = [row for row in rows if "arithmetic" in row]
    lines = [_line(line, certificates, config.tolerance) for line in config.lines]
    listed = [
        row for row in certificates if row["target"] in config.targets and _in_table(config, row)
    ]
    report: Row = {
        "schema": 1,
        "config": config.as_dict(),
        "versions": versions(),
        "lines": lines,
        "certificates": [{name: row[name] for name in ERRORS} for row in listed],
        "floors": floors(few),
    }
    errors = [{**row, **point} for row in lines for point in row["points"]]
    write_table(folder / "errors.csv", ERRORS, [*errors, *report["certificates"]])
    write_table(folder / "slopes.csv", SLOPES, lines)
    name = slug(config.few_bits_target, 2, 1)
    write_rows(folder / "figures", "few-bits", name, figure_rows(few))
    write_atomically(folder / "exponents.json", strict_json(report) + "\n")
    write_atomically(folder / "exponents.md", _markdown(report, name))
    return report


def line_finding(
    line: Line, points: Sequence[Row], *, predicted: float, tolerance: float
) -> Finding:
    """Judge a predicted slope of one line by its certified errors.

    Parameters
    ----------
    line : Line
        On the others code the slope must be near the prediction; on an older code, whose rate is
        one of an upper bound alone, at least so steep.
    points : rows with loops, error_lower and error_upper
    predicted, tolerance : float
    """
    ends = ([row[name] for row in points] for name in ("loops", "error_lower", "error_upper"))
    claim = (
        f"{line.memoriser}, {line.coding} code, {line.target}, N = {line.tokens}, p = {line.p:g}: "
        f"the certified error falls like r^{predicted:.3g}"
    )
    more = line.coding != "others"
    return enclosed_slope_finding(
        enclosed_slope(*ends), predicted, tolerance=tolerance, claim=claim, at_least=more
    )


def _line(line: Line, certificates: Sequence[Row], tolerance: float) -> Row:
    """Everything about one line."""
    asked = [{**spec.as_dict(), "target": line.target, "p": line.p} for spec in line.specs]
    points = [row for one in asked for row in certificates if one.items() <= row.items()]
    exponents = line.exponents
    own = line_finding(line, points, predicted=exponents["own"], tolerance=tolerance)
    low, high = own.evidence["interval"]
    return {
        "memoriser": line.memoriser,
        "coding": line.coding,
        "target": line.target,
        "tokens": line.tokens,
        "dim": 1,
        "p": line.p,
        "grids": f"{line.grids[0]}-{line.grids[-1]}",
        "low": low,
        "high": high,
        "predicted": exponents["own"],
        "exponents": exponents,
        "verdict": str(own.verdict),
        "finding": own.as_dict(),
        "points": [{name: row[name] for name in ERRORS} for row in points],
    }


def _in_table(config: ExponentsConfig, row: Row) -> bool:
    """Whether a certificate is one of the table's."""
    return row["p"] == 1.0 and any(
        spec.as_dict().items() <= row.items() for spec in config.table_specs
    )


def _markdown(report: Row, name: str) -> str:
    """Return the report as Markdown."""
    config = report["config"]
    slopes = [
        [
            *(line[key] for key in ("memoriser", "coding", "target", "tokens")),
            f"{line['p']:g}",
            line["grids"],
            f"[{at_least(line['low'], 4)}, {at_most(line['high'], 4)}]",
            f"{line['predicted']:.4g}",
            line["verdict"],
        ]
        for line in report["lines"]
    ]
    certificates = [
        [
            *(row[key] for key in ("target", "memoriser", "coding", "loops")),
            _ends(row),
            f"{row['bound']:.4g}",
            row["verdict"],
        ]
        for row in report["certificates"]
    ]
    floor = [
        [
            *(row[key] for key in ("memoriser", "arithmetic", "bits")),
            f"{row['measured']:.3g}" + ("" if row["reached"] else " (still falling)"),
            "" if row["predicted"] is None else f"{row['predicted']:.3g}",
            row["loops"],
        ]
        for row in report["floors"]
    ]
    return "\n".join(
        [
            "# Exponents that the constructions attain",
            "",
            "## Slopes",
            "",
            "Least and largest least-squares slope of log error on log r through errors that are "
            "certified to lie in intervals, over all grids m listed; d = 1. Within "
            f"{config['tolerance']:g} of the prediction; on the rank code, whose rate is that of "
            "an upper bound, at least so steep.",
            "",
            *table("memoriser | code | target | N | p | m | slope | predicted | verdict", slopes),
            "## Certificates",
            "",
            f"N = 2, d = 1, p = 1, m = {config['grid']}. Vacuous: the explicit inequality is kept, "
            "but is not below the best constant's error.",
            "",
            *table(
                "target | memoriser | code | loops | error | inequality | verdict", certificates
            ),
            "## Few bits",
            "",
            f"![few bits](figures/few-bits__{name}.png)",
            "",
            "Least error over grids in each arithmetic, at the loops listed, means over random "
            "inputs; predicted: the exact network's on the finest grid whose numbers fit.",
            "",
            *table("memoriser | arithmetic | bits | measured | predicted | loops", floor),
        ]
    )


def _ends(row: Row) -> str:
    """A certified error as text."""
    if row["error_lower"] is None or row["error_upper"] is None:
        return "unknown"
    return f"[{at_least(row['error_lower'], 4)}, {at_most(row['error_upper'], 4)}]"
