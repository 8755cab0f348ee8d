"""The report of a reproduction as a page of Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from looprate.experiments.reproduce.catalogue import TASKS
from looprate.experiments.reproduce.comparisons import RULES as DIRECTION_RULES
from looprate.experiments.reproduce.comparisons import power_words
from looprate.experiments.reproduce.directions import ANSWER, direction, direction_lines
from looprate.experiments.reproduce.reported import SOURCE
from looprate.experiments.reproduce.summary import RULES
from looprate.experiments.rows.markdown import table, tally
from looprate.theory.gate import state_of
from looprate.theory.verdict import Finding

Row = dict[str, Any]


def markdown(report: Row) -> str:
    """Return the report of a reproduction as Markdown."""
    lines = [
        f"# The paper's experiments again: preset {report['preset']}",
        "",
        "## Findings",
        "",
        *_findings(report),
        "![The metric of every task against loops, ours](figures/task-accuracy__all.png)",
        "",
        "Rows: [all fits](./rows.jsonl), [the figure](./figures/task-accuracy__all.csv).",
        "",
        *_figures("all", [s for s in report["figures"] if s.startswith("task-test-loops")]),
        "## How to read this",
        "",
        f"The paper's numbers: {SOURCE}; copied, not verified. A trained error is "
        "approximation plus optimisation error, so nothing here is evidence for or against a "
        "theorem; see [Why the bounds are silent](#why-the-bounds-are-silent).",
        "",
        DIRECTION_RULES,
        "",
        f"Spreads are median [least to largest] over seeds that did not diverge. {RULES}",
        "",
        "Trained networks attend by softmax and have RMS normalisation and residual gates; which "
        "of them have positions or a causal mask is said below, under the hypotheses.",
        "",
    ]
    lines += _power(report["power"])
    for part in report["tasks"]:
        lines += _task(part, report["preset"])
        lines += _figures(part["name"], report["figures"])
    lines += _silence(report["tasks"])
    lines += ["## What was not run", ""]
    lines += [f"- {sentence}" for sentence in report["not_run"]] or ["- nothing that was planned"]
    return "\n".join([*lines, "", f"torch {', '.join(report['torch'])}", ""])


def _findings(report: Row) -> list[str]:
    """Sentences that are counted from answers, and a row a task beside the paper's."""
    found = [direction(part) for part in report["tasks"]]
    asked = [
        a["answer"] for part in report["tasks"] for a in part["answers"] if ANSWER in a["claim"]
    ]
    words = [d["status"] for d in found]
    here = (
        "at the paper's sizes"
        if all(p["at_paper_size"] for p in report["tasks"])
        else ("at sizes of this project, below the paper's")
    )
    sentences = [
        "Whether TMLT is better than Looped, as the paper reports of every task: "
        f"{tally(words, 'task')} (at the most loops, {here}).",
    ]
    if asked:
        sentences.append(
            f"TMLT better than Looped at one loop count: {tally(asked, 'comparison')}; paired by "
            "[seed](./rows.jsonl)."
        )
    listed = [f"{k}. {sentence}" for k, sentence in enumerate(sentences, start=1)]
    return [*listed, "", *direction_lines(report["tasks"])]


def in_unit(value: float | None, metric: str) -> str:
    """Return a value as a reader expects it, an accuracy in per cent, nothing for None."""
    if value is None:
        return ""
    return f"{100 * value:.1f}" if metric == "accuracy" else f"{value:.3g}"


def _power(found: Sequence[Row]) -> list[str]:
    """The section on how many seeds it takes."""
    rows = [
        [
            one["name"],
            one["pairs"],
            "" if one["spread"] is None else f"{one['spread']:.3g} ({one['freedom']})",
            *("" if one[name] is None else one[name] for name in ("needed", "needed_corrected")),
            "" if one["power"] is None else f"{one['power']:.0%}",
            f"{'not' if one['settled'] is None else one['settled']} of {one['steps']}",
        ]
        for one in found
    ]
    head = "task | pairs here | spread of a pair (degrees of freedom) | pairs needed"
    head += " | with Holm | chance with the pairs here | settled at step"
    return ["## How many seeds it takes", "", power_words(), "", *table(head, rows)]


def _figures(name: str, stems: Sequence[str]) -> list[str]:
    """Links to the figures of one task."""
    links: list[str] = []
    for stem in stems:
        slug = stem.partition("__")[2]
        if slug == name or slug.startswith(f"{name}-"):
            links += [f"![{stem}](figures/{stem}.png)", ""]
    return links


def _task(part: Row, preset: str) -> list[str]:
    """The section of one task."""
    name, metric = part["name"], part["metric"]
    sizes = ", ".join(f"{key} = {value}" for key, value in part["sizes"].items() if value)
    facts = ", ".join(
        f"{'/'.join(map(str, part[key]))} {words}"
        for key, words in (
            ("steps", "steps"),
            ("batch", "rows a step"),
            ("test_rows", "test rows"),
        )
    )
    lines = [f"## {name}", "", f"{TASKS[name].summary}; {sizes}; {facts}; metric: {metric}.", ""]
    lines += [f"Against the paper: {part['note']}.", ""] if part["note"] else []
    if len(part["rates"]) > 1:
        rates = " and ".join(f"{rate:g}" for rate in part["rates"])
        lines += [
            f"Every fit was made at learning rates {rates}; each model and loop count keeps the "
            "one with the best median validation metric over seeds, and test rows have no part in "
            "it.",
            "",
        ]
    lines += [_reported(part, preset), "", *_cells(part)]
    if part["test_loops"]:
        lines += ["Other loop counts at test time (trained count in bold):", "", *_at_test(part)]
    answers = [[f"**{a['answer']}**", a["claim"], a["reason"]] for a in part["answers"]]
    return [*lines, *table("answer | question | why", answers)]


def _reported(part: Row, preset: str) -> str:
    """What is reported, and whether it is of this size."""
    told = "; ".join(
        f"{cell['metric']} {cell['model']} {'L' if cell['model'] == 'untied' else 'r'} = "
        f"{cell['loops']}: {cell['value']:g}{' %' if cell['unit'] == '%' else ''}"
        for cell in part["reported"]
    )
    size = part["reported"][0]["size"]
    if part["at_paper_size"]:
        return f"Reported ({size}, the size of this task; training here: preset {preset}): {told}."
    return f"Reported for another size ({size}), so not comparable with the table: {told}."


def _cells(part: Row) -> list[str]:
    """The main table of a task."""
    unit = ", %" if part["metric"] == "accuracy" else ""
    ours = f"ours ({part['metric']}{unit})"
    rows = [
        [
            cell["model"],
            cell["loops"],
            f"{cell['parameters']:,}",
            _spread(cell, part["metric"]),
            _seeds(cell),
            in_unit(cell["reported"], part["metric"]),
            f"{cell['seconds']:.3g}",
            cell["device"],
        ]
        for cell in part["table"]
    ]
    head = f"model | loops | parameters | {ours} | seeds | reported | seconds a fit | device"
    if len(part["rates"]) > 1:
        head += " | learning rate"
        rows = [[*row, f"{c['rate']:g}"] for row, c in zip(rows, part["table"], strict=True)]
    return table(head, rows)


def _at_test(part: Row) -> list[str]:
    """The table of loop counts at test time: a row a model and trained count."""
    counts = sorted({cell["loops"] for cell in part["test_loops"]})
    rows = []
    for model, trained in dict.fromkeys((c["model"], c["trained"]) for c in part["test_loops"]):
        own = {
            cell["loops"]: cell
            for cell in part["test_loops"]
            if (cell["model"], cell["trained"]) == (model, trained)
        }
        texts = {count: _spread(cell, part["metric"]) for count, cell in own.items()}
        if texts.get(trained):
            texts[trained] = f"**{texts[trained]}**"
        rows.append([model, trained, *(texts.get(count, "") for count in counts)])
    return table(" | ".join(["model", "trained", *(f"r = {count}" for count in counts)]), rows)


def _spread(cell: Row, metric: str) -> str:
    """Median and range of a cell, or what became of it."""
    if not cell["seeds"]:
        return "diverged" if cell["diverged"] else ""
    middle = in_unit(cell["median"], metric)
    if cell["seeds"] == 1:
        return middle
    return f"{middle} [{in_unit(cell['low'], metric)} to {in_unit(cell['high'], metric)}]"


def _seeds(cell: Row) -> str:
    """How many seeds count, and how many do not."""
    return f"{cell['seeds']}" + (f" ({cell['diverged']} diverged)" if cell["diverged"] else "")


def _silence(parts: Sequence[Row]) -> list[str]:
    """The section on the theorems: one table of all sizes, then every hypothesis."""
    rows: list[list[str]] = []
    details: list[str] = []
    for part in parts:
        for where, words in (("here", "as run"), ("paper", "the paper's")):
            found = part["silence"][where]
            delta = "none" if found["delta"] is None else f"{found['delta']:.4g}"
            numbers = [f"{found[name]}" for name in ("tokens", "dim", "loops")]
            verdict = f"**{found['verdict']}**"
            rows.append([part["name"], words, *numbers, delta, verdict, found["sentence"]])
        details += _hypotheses(part)
    return [
        "## Why the bounds are silent",
        "",
        "Theorems 3.6 and 4.2 (v7) against every task, at the sizes that were run and at those of "
        "the paper's preset. N is the length of a row of this project. Readings are the kindest: "
        "a token id counts as one coordinate (d = 1), the moduli of the bound are put at 0. Where "
        "a hypothesis holds, it was not refuted where it was looked at; delta exists for r > N.",
        "",
        *table("task | size | N | d | r | delta | verdict | why", rows),
        *details,
    ]


def _hypotheses(part: Row) -> list[str]:
    """The findings of one task, those of both sizes side by side."""
    both = [part["silence"]["here"], part["silence"]["paper"]]
    rows = []
    for pair in zip(*(found["hypotheses"] for found in both), strict=True):
        words = [f"**{state_of(Finding.from_dict(f))}**: {f['reason']}" for f in pair]
        rows.append([pair[0]["claim"], *words])
    for name in ("bound", "storage"):
        words = [f"**{found[name]['verdict']}**: {found[name]['reason']}" for found in both]
        rows.append([both[0][name]["claim"], *words])
    return [f"### {part['name']}", "", *table("claim | as run | at the paper's size", rows)]
