"""The report of a study: ``report.json``, ``report.md`` and the figures' rows, from stored rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from looprate.experiments.engine.sweep import CONSTRUCTIONS, FITS, THEORY, Sweep
from looprate.experiments.rows.provenance import versions
from looprate.experiments.study.best import BEST, doubling, exponents, roughness_rows, told
from looprate.experiments.study.config import StudyConfig
from looprate.experiments.study.constructed_findings import constructed_findings
from looprate.experiments.study.figure_rows import BOUND_LABELS, write_figure_rows, write_rows
from looprate.experiments.study.headline import headline
from looprate.experiments.study.lessons import planned_specs
from looprate.experiments.study.summary import (
    NAMES,
    answers,
    cells,
    convergence,
    findings,
    slope_of,
)
from looprate.experiments.study.words import markdown
from looprate.theory.bounds.rates import theorem_exponent
from looprate.theory.bounds.rows import BoundRow, first_informative_loops
from looprate.theory.certification import drawn_rows
from looprate.theory.construction.memorisers import MEMORISERS
from looprate.theory.facts import stored_facts
from looprate.theory.gate import state_of, under_hypotheses
from looprate.theory.outputs import strict_json, write_atomically
from looprate.theory.targets import resolve_target

__all__ = ["write_report"]

Row = dict[str, Any]
SHOWN = ("theorem-3.6", *BOUND_LABELS)


def write_report(config: StudyConfig, study: Sweep, failed: Sequence[str] = ()) -> Row:
    """Write report.md, report.json and the figures' rows of a study; return the report.

    ``failed`` names the tasks that gave no rows: a target none of whose networks were fitted is
    left out, and the report says so first.
    """
    theory, every = study.rows(THEORY), cells(study.rows(FITS))
    constructed, searched = study.rows(CONSTRUCTIONS), study.rows(BEST)
    certificates = [row for row in constructed if "figure" not in row]
    parts = []
    for facts in theory:
        group = [cell for cell in every if _same(cell, facts)]
        if failed and not group:
            continue
        own = [row for row in certificates if _same(row, facts)]
        best = [row for row in searched if _same(row, facts)]
        part = _part(study.folder, facts, group, own, best)
        part["grids_left_out"] = _left_out(config, facts)
        parts.append(part)
    pages = _write_roughness(study.folder, searched)
    _write_lessons(study.folder, [row for row in constructed if "figure" in row])
    report = {
        "schema": 1,
        "config": config.as_dict(),
        "versions": versions(),
        "parts": parts,
        "best_found": told(searched),
        "roughness": pages,
    }
    if failed:
        report["failed"] = list(failed)
    report["headline"] = headline(report)
    text = strict_json(report)
    write_atomically(study.folder / "report.json", text + "\n")
    write_atomically(study.folder / "report.md", markdown(report))
    return report


def _same(cell: Row, facts: Row) -> bool:
    """Whether a cell belongs to the target and shape of a theory row."""
    return all(cell[name] == facts[name] for name in ("target", "tokens", "dim", "p"))


def _left_out(config: StudyConfig, facts: Row) -> dict[str, list[int]]:
    """Grids that were not certified because they would have taken too long, by memoriser."""
    plans = {
        memoriser: planned_specs(
            tokens=facts["tokens"],
            dim=facts["dim"],
            memoriser=memoriser,
            grids=list(config.grids),
            seconds=config.construct_seconds,
        )
        for memoriser in MEMORISERS
    }
    return {memoriser: sorted(left) for memoriser, (_, left) in plans.items() if left}


def _write_roughness(folder: Path, searched: Sequence[Row]) -> list[str]:
    """Write the rows of the page on roughness, one a shape with several targets; return names."""
    pages = []
    for tokens, dim in sorted({(row["tokens"], row["dim"]) for row in searched}):
        own = [row for row in searched if (row["tokens"], row["dim"]) == (tokens, dim)]
        latex = {name: resolve_target(name).latex for name in {row["target"] for row in own}}
        if len(latex) > 1 and (rows := roughness_rows(own, latex)):
            pages.append(f"targets-N{tokens}-d{dim}")
            write_rows(folder / "figures", "roughness", pages[-1], rows)
    return pages


def _write_lessons(folder: Path, rows: Sequence[Row]) -> None:
    """Write the rows of the figures on memorisers, arithmetic and stages."""
    for figure in sorted({row["figure"] for row in rows}):
        own = [row for row in rows if row["figure"] == figure]
        write_rows(folder / "figures", figure, "lesson", own)


def _part(
    folder: Path,
    facts: Row,
    group: Sequence[Row],
    certificates: Sequence[Row],
    best: Sequence[Row],
) -> Row:
    """Assemble one target and shape."""
    shape = {name: facts[name] for name in ("tokens", "dim", "p")}
    known = stored_facts(facts, resolve_target(facts["target"]))
    bounds = {version: known.bound(version) for version in SHOWN}
    first = {
        version: first_informative_loops(bound, tokens=facts["tokens"])
        for version, bound in bounds.items()
    }
    moduli = drawn_rows(known.target, facts["moduli"], **shape)
    write_figure_rows(folder / "figures", facts, moduli, group, certificates, best, bounds, first)
    slopes = {}
    for family in NAMES:
        own = sorted((c for c in group if c["family"] == family), key=lambda cell: cell["loops"])
        fitted = slope_of(own, tokens=facts["tokens"]) if own else None
        if fitted is not None:
            slopes[family] = fitted.as_dict()
    return {
        "target": facts["target"],
        "latex": facts["latex"],
        **shape,
        "trivial": facts["trivial"],
        "trivial_stderr": facts["trivial_stderr"],
        "oscillation": facts["oscillation"],
        "moduli": facts["moduli"],
        "bounds": _bounds_at(bounds, group, facts["tokens"]),
        "first_informative_loops": {version: onset.loops for version, onset in first.items()},
        "first_informative_words": {version: onset.words for version, onset in first.items()},
        "printed_exponent": theorem_exponent(tokens=facts["tokens"], dim=facts["dim"]),
        "fits": [{k: v for k, v in cell.items() if k != "rows"} for cell in group],
        "slopes": slopes,
        "best": [{**row, "doubling": doubling(row)} for row in best],
        "best_exponents": exponents(best),
        "certificates": list(certificates),
        "hypotheses": [
            finding.as_dict() | {"state": state_of(finding)} for finding in known.hypotheses
        ],
        "findings": [
            under_hypotheses(finding, known.hypotheses).as_dict()
            for finding in (
                *findings(facts, group, bounds),
                *constructed_findings(facts, certificates),
            )
        ],
        "answers": answers(group),
        "convergence": convergence(group),
        "model": _model(group),
    }


def _model(group: Sequence[Row]) -> Row | None:
    """Return the configuration of the networks trained with the most loops, None of none."""
    most = max(group, key=lambda cell: cell["loops"], default=None)
    return most and {**most["rows"][0]["config"]["model"], "loops": most["loops"]}


def _bounds_at(
    bounds: dict[str, Callable[[int], BoundRow]], group: Sequence[Row], tokens: int
) -> list[Row]:
    """Return every bound at the trained loop counts above N."""
    trained = sorted({cell["loops"] for cell in group if cell["loops"] > tokens})
    return [
        {"bound": name, **bound(r).as_dict()} for name, bound in bounds.items() for r in trained
    ]
