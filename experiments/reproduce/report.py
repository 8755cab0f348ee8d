"""The report of a reproduction: report.json for machines, report.md for readers, figures' rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from looprate.approx.models.sequence_config import SequenceConfig
from looprate.experiments.reproduce.catalogue import MODELS, TASKS, task_of
from looprate.experiments.reproduce.comparisons import compared_tasks, corrected, power_rows
from looprate.experiments.reproduce.figure_tables import write_figure_tables
from looprate.experiments.reproduce.page import markdown
from looprate.experiments.reproduce.paper_size import at_paper_size
from looprate.experiments.reproduce.presets import PRESETS
from looprate.experiments.reproduce.reported import SOURCE, reported_cell, reported_of
from looprate.experiments.reproduce.silence import Setting, silence
from looprate.experiments.reproduce.summary import (
    at_chosen_rates,
    beats,
    cells,
    diverged,
    rate_of,
    rises,
    test_loop_cells,
)
from looprate.experiments.rows.question import stored_config
from looprate.theory.outputs import strict_json, write_atomically

__all__ = ["write_report"]

Row = dict[str, Any]


def write_report(folder: Path, rows: Sequence[Row]) -> Row:
    """Write report.json, report.md and the rows of the figures; return what report.json holds.

    Parameters
    ----------
    folder : Path
        Of a reproduction; config.json in it, where there is one, says what was planned.
    rows : sequence of dict
        Fits, one a task, model, loop count and seed, all of one preset.

    Raises
    ------
    ValueError
        If there are no rows, or rows of several presets.
    """
    presets = sorted({row["preset"] for row in rows})
    if len(presets) != 1:
        raise ValueError(
            f"`rows` must be fits of one preset, got {', '.join(presets) or 'no rows'}; give each "
            "preset a folder of its own"
        )
    names = [name for name in TASKS if any(row["name"] == name for row in rows)]
    planned = dict((stored_config(folder) or {}).get("tasks", {}))  # what config.json says
    chosen = at_chosen_rates(rows)
    by_task = [[row for row in chosen if row["name"] == name] for name in names]
    parts = [_task_part(own) for own in by_task]
    for part, compared, answers in zip(
        parts, compared_tasks(by_task), _corrected(parts), strict=True
    ):
        part |= {"answers": answers, "compared": compared}
        own = [row for row in rows if row["name"] == part["name"]]
        part["rates"] = sorted({r for row in own if (r := rate_of(row))})
        part["seconds"] = sum(row["seconds"] for row in own)  # at all learning rates
        part["note"] = planned.get(part["name"], {}).get("note", "")
    report = {
        "schema": 2,
        "preset": presets[0],
        "torch": sorted({row["torch"] for row in rows}),
        "reported": SOURCE,
        "power": power_rows(by_task),
        "tasks": parts,
        "not_run": _not_run(planned, rows),
        "figures": [path.stem for path in write_figure_tables(folder, chosen)],
    }
    text = strict_json(report)
    write_atomically(folder / "report.json", text + "\n")
    write_atomically(folder / "report.md", markdown(report))
    return report


def _corrected(parts: Sequence[Row]) -> list[list[Row]]:
    """Return the answers of every task, corrected for the comparisons of the whole report."""
    every = iter(corrected([one for part in parts for one in part["answers"]]))
    return [list(islice(every, len(part["answers"]))) for part in parts]


def _task_part(rows: Sequence[Row]) -> Row:
    """Everything about one task."""
    name = rows[0]["name"]
    at_size = at_paper_size(rows[0])
    table = cells(rows)
    for cell in table:
        reported = reported_cell(name, cell["model"], cell["loops"]) if at_size else None
        cell["reported"] = reported.in_rows_unit if reported else None
    models = [model for model in MODELS if any(row["model"] == model for row in rows)]
    shared = [{row["loops"] for row in rows if row["model"] == m} for m in ("looped", "tmlt")]
    return {
        "name": name,
        "metric": rows[0]["metric"],
        "sizes": rows[0]["sizes"],
        "steps": sorted({row["steps"] for row in rows}),
        "batch": sorted({row["batch"] for row in rows}),
        "test_rows": sorted({row["test_rows"] for row in rows}),
        "at_paper_size": at_size,
        "table": table,
        "reported": [cell.as_dict() for cell in reported_of(name)],
        "test_loops": test_loop_cells(rows),
        "answers": [rises(rows, model) for model in models]
        + [beats(rows, loops) for loops in sorted(set.intersection(*shared))],
        "silence": {"here": silence(_setting_of(rows)), "paper": silence(_paper_setting(name))},
    }


def _setting_of(rows: Sequence[Row]) -> Setting:
    """What was run of one task, at its most loops."""
    row = max(rows, key=lambda r: (r["model"] != "untied", r["loops"]))
    task = task_of(row["name"], row["sizes"])
    return Setting(task, SequenceConfig(**row["model_config"]), row["loops"])


def _paper_setting(name: str) -> Setting:
    """One task at the paper's size, at the most loops reported of it."""
    preset = PRESETS["paper"][name]
    loops = max(cell.loops for cell in reported_of(name))
    return Setting(preset.task, preset.config, loops)


def _not_run(planned: Mapping[str, Row], rows: Sequence[Row]) -> list[str]:
    """Say in sentences what is missing: tasks, models, planned fits, the paper's sizes, losses."""
    found = []
    for name in TASKS:
        own = [row for row in rows if row["name"] == name]
        fits = len(planned.get(name, {}).get("fits", []))
        if not own:
            found.append(f"{name}: no fit")
            continue
        missing = [model for model in MODELS if all(row["model"] != model for row in own)]
        if missing:
            found.append(f"{name}: no fit of {', '.join(missing)}")
        if fits > len(own):
            found.append(f"{name}: {fits - len(own)} of {fits} planned fits")
        if lost := sum(diverged(row) for row in own):
            found.append(f"{name}: {lost} of {len(own)} fits diverged and count nowhere")
        if not at_paper_size(own[0]):
            found.append(f"{name}: the paper's size, in this folder")
        unlike = dict.fromkeys(cell.metric for cell in reported_of(name) if not cell.compared)
        found += [f"{name}: the {metric}, which is reported, is not measured" for metric in unlike]
    return found
