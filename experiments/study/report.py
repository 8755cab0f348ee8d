"""The report of a study: ``report.json``, ``report.md`` and the figures' rows, from stored rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from looprate.experiments.engine.sweep import CONSTRUCTIONS, FITS, THEORY, Sweep
from looprate.experiments.rows.markdown import table
from looprate.experiments.rows.provenance import versions
from looprate.experiments.study.best import (
    BEST,
    doubling,
    exponents,
    roughness_rows,
    table_lines,
    told,
)
from looprate.experiments.study.config import StudyConfig
from looprate.experiments.study.constructed_findings import constructed_findings
from looprate.experiments.study.figure_rows import BOUND_LABELS, slug, write_figure_rows, write_rows
from looprate.experiments.study.lessons import planned_specs
from looprate.experiments.study.summary import NAMES, cells, findings, slope_of
from looprate.theory.bounds.rates import theorem_exponent
from looprate.theory.bounds.rows import BoundRow, first_informative_loops
from looprate.theory.construction.memorisers import MEMORISERS
from looprate.theory.facts import stored_facts
from looprate.theory.gate import state_of, under_hypotheses
from looprate.theory.outputs import at_least, at_most, strict_json, write_atomically
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
    text = strict_json(report)
    write_atomically(study.folder / "report.json", text + "\n")
    write_atomically(study.folder / "report.md", _markdown(report))
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
    write_figure_rows(folder / "figures", facts, group, certificates, best, bounds, first)
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
    }


def _bounds_at(
    bounds: dict[str, Callable[[int], BoundRow]], group: Sequence[Row], tokens: int
) -> list[Row]:
    """Return every bound at the trained loop counts above N."""
    trained = sorted({cell["loops"] for cell in group if cell["loops"] > tokens})
    return [
        {"bound": name, **bound(r).as_dict()} for name, bound in bounds.items() for r in trained
    ]


# -- words -----------------------------------------------------------------------------------------
def _markdown(report: Row) -> str:
    """Return the report as Markdown."""
    config = report["config"]
    lines = [
        "# Error against loop count, next to the theory",
        "",
        "Theorem numbers: Xu & Sato, arXiv 2410.01405v7. Moduli: *lower* values are guaranteed (a "
        "pair attains them), *closed* ones are proven. Trained errors are sampled on held-out "
        "points; they are approximation plus optimisation error and neither confirm nor refute an "
        "existence bound.",
        "",
        f"{config['seeds']} seeds; peak learning rates tried "
        f"{', '.join(f'{rate:g}' for rate in config['learning_rates'])}, the best by median "
        f"validation error reported for every family alike; {config['recipe']['steps']} steps of "
        f"{config['recipe']['batch']} fresh points; residual gates 1/r.",
        "",
    ]
    if report.get("failed"):
        lines += ["**This report is not complete: tasks failed.** Run the same command again.", ""]
        lines += [*(f"- {task}" for task in report["failed"]), ""]
    for part in report["parts"]:
        lines += _part_lines(part)
    for page in report["roughness"]:
        lines += ["## Rough and smooth targets", "", f"![roughness](figures/roughness__{page}.png)"]
        lines += [""]
    lines += _LESSONS
    lines += ["## Versions", "", ", ".join(f"{k} {v}" for k, v in report["versions"].items()), ""]
    return "\n".join(lines)


_LESSONS = [
    "## The construction, drawn",
    "",
    "What a memoriser loses as labels get rougher (Lemma 4.1 against Theorem 4.2):",
    "",
    "![memorisers](figures/memorisers__lesson.png)",
    "",
    "Where arithmetic breaks:",
    "",
    "![arithmetic](figures/arithmetic__lesson.png)",
    "",
    "The three stages, d = 1, N = 2:",
    "",
    "![stages](figures/stages__lesson.png)",
    "",
]


def _part_lines(part: Row) -> list[str]:
    """Return the Markdown of one target and shape."""
    name = slug(part["target"], part["tokens"], part["dim"])
    states = {f["claim"]: f["state"] for f in part["hypotheses"]}  # holds, fails or is open
    return [
        f"## `{part['target']}`, N = {part['tokens']}, d = {part['dim']}, p = {part['p']:g}",
        "",
        f"${part['latex']}$",
        "",
        f"![error against loops](figures/error-against-loops__{name}.png)",
        "",
        "### Verdicts",
        "",
        *table(
            "verdict | claim | why",
            (
                (f"**{states.get(f['claim'], f['verdict'])}**", f["claim"], f["reason"])
                for f in part["findings"]
            ),
        ),
        "### From where on each bound says something",
        "",
        f"Best constant: {part['trivial']:.4g}. Where a bound is below it:",
        "",
        *table(
            "bound | below it",
            (
                (BOUND_LABELS[version][1] if version in BOUND_LABELS else version, words)
                for version, words in part["first_informative_words"].items()
            ),
        ),
        "### Constructed networks (the theorem's proof as weights)",
        "",
        "Errors are rigorous enclosures in exact arithmetic; paper loops: what the printed theorem "
        "asks for at the same cell width.",
        "",
        *table(
            "memoriser | code | m | loops | paper loops | error | explicit bound | verdict",
            map(_certificate_cells, part["certificates"]),
        ),
        *(
            f"{memoriser}: m = {', '.join(map(str, grids))} left out, estimated to take too long."
            for memoriser, grids in part["grids_left_out"].items()
        ),
        "",
        *(table_lines(part["best"]) if part["best"] else []),
        "### Trained networks (best recipe by validation)",
        "",
        *table(
            "family | loops | parameters | rate | error: median (range over seeds) | diverged "
            "| stopped improving",
            map(_fit_cells, part["fits"]),
        ),
        "A fit counts as no longer improving when its validation error fell by less than 5 % over "
        "the last quarter of training.",
        "",
        *_slope_lines(part),
        "### Moduli",
        "",
        f"![moduli](figures/moduli__{name}.png)",
        "",
        *table("kind | delta | lower | closed form | ", map(_modulus_cells, part["moduli"])),
    ]


def _modulus_cells(row: Row) -> list[str]:
    """Return one table line of moduli."""
    upper = "" if row["upper"] is None else at_most(row["upper"], 5)
    return [row["kind"], f"{row['delta']:g}", at_least(row["lower"], 5), upper, row["side"]]


def _certificate_cells(row: Row) -> list[Any]:
    """Return one table line of constructed networks."""
    low, high = row["error_lower"], row["error_upper"]
    error = "not enclosed" if high is None else f"{at_least(low, 4)} to {at_most(high, 4)}"
    bound = "unknown" if row["bound"] is None else at_most(row["bound"], 3)
    what = [row[name] for name in ("memoriser", "coding", "grid", "loops", "paper_loops")]
    return [*what, error, bound, row["verdict"]]


def _fit_cells(cell: Row) -> list[Any]:
    """Return one table line of trained networks."""
    error = "all diverged"
    if cell["median"] is not None:
        error = f"{cell['median']:.3g} ({cell['low']:.3g} to {cell['high']:.3g})"
    rate, converged = f"{cell['learning_rate']:g}", f"{cell['converged']:.0%}"
    what = [NAMES[cell["family"]], cell["loops"], cell["parameters"], rate]
    return [*what, error, cell["diverged"], converged]


def _slope_lines(part: Row) -> list[str]:
    """Return the slopes of the trained errors in words."""
    lines = ["### Slopes of trained errors in log r", ""]
    for family, fit in part["slopes"].items():
        interval = fit["interval"]
        words = f"- {NAMES[family]}: {fit['slope']:.3f}"
        if interval:
            words += f" (95 % over seeds {interval[0]:.3f} to {interval[1]:.3f})"
        words += f", {fit['status']}"
        if fit["offset_slope"] is not None:
            words += (
                f"; with a floor, E + A r^b: E = {fit['offset_floor']:.3g}, "
                f"b = {fit['offset_slope']:.3f}"
            )
            if fit["offset_interval"]:
                low, high = fit["offset_interval"]
                words += f" ({low:.3f} to {high:.3f})"
        lines.append(words)
    lines += [
        "",
        f"For comparison, δ of Theorem 3.6 falls like r^-{part['printed_exponent']:.3g}; no "
        "theorem says that trained networks follow it.",
        "",
    ]
    return lines
