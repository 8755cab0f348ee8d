"""The report of many starts: eta.json, eta.md and the figure's rows, from stored rows alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from looprate.experiments.eta.arms import WORDS
from looprate.experiments.eta.report import verdict_lines, write_both
from looprate.experiments.eta.starts_config import StartsConfig
from looprate.experiments.eta.starts_findings import starts_part
from looprate.experiments.rows.markdown import table
from looprate.experiments.rows.provenance import versions
from looprate.experiments.study.figure_rows import write_rows

__all__ = ["write_starts_report"]

Row = dict[str, Any]
TITLES = {
    "best": "When does eta(t) help, again: the best of many starts",
    "loops": "Loops at test time, and loops drawn in training",
    "bits": "Rounding the state in every loop: after training, and during it",
}
TELLS = {
    "best": "Preregistered (`results/eta/preregistration.md` of the repository): statistic, "
    "hypotheses and stopping rule were fixed before the run. The ratio is the best error of "
    "the LT over the best with eta(t), above 1 where eta(t) helps; of a growth, the factor by "
    "which that ratio grows when r doubles. At equal blocks a table has a row of parameters more "
    "with every loop, so that its gain may be that of its parameters: equal parameters tell.",
    "loops": "Networks trained with r loops a step, or with loops drawn anew at every step from "
    "1..2r (uniform, or log-uniform: about as 1/r), run with other counts at test time. A TMLT "
    "beyond the counts of its training reads eta(t) off its network at t it has never seen; a free "
    "table has no row for them and is refused. Residual gates stay those of r. The best is chosen "
    "anew at each count at test time. Exploratory: nothing was registered before.",
    "bits": "The state is rounded to so many significant bits after every loop: after training "
    "alone, or during training too, with the gradient straight through the rounding. Public "
    "training logs report that rounding compounds over loops (github.com/openai/parameter-golf, "
    "pull request 363, of weights in few bits); here it is the state. Exploratory: nothing was "
    "registered before.",
}
KINDS = {"best": "eta-best", "loops": "eta-loops", "bits": "eta-bits"}


def write_starts_report(config: StartsConfig, folder: Path, rows: Sequence[Row]) -> Row:
    """Write eta.md, eta.json and the figure's rows of the finished banks of a sweep."""
    part = starts_part(config, rows)
    drawn = part.pop("rows")
    common = {"words": _title(part["findings"]), "tokens": config.tokens, "dim": config.dim}
    write_rows(
        folder / "figures",
        KINDS[config.question],
        config.question,
        [row | common | {"p": config.p} for row in drawn],
    )
    report = {"schema": 1, "config": config.as_dict(), "versions": versions(), **part}
    report["table"] = drawn
    return write_both(folder, report, "\n".join(_lines(config, report)))


def _title(findings: Sequence[Row]) -> str:
    """The first four findings in words, for a figure's title."""
    said = []
    for found in findings[:4]:
        verdict = "undecided" if "undecided" in found["reason"] else found["verdict"]
        said.append(f"{found['claim']}: {verdict}")
    return "|".join(said)


def _lines(config: StartsConfig, report: Row) -> list[str]:
    """Return the lines of the page."""
    facts, name = report["facts"], config.question
    sizes = ([WORDS[arm], *facts["parameters"][arm]] for arm in config.arms)
    return [
        f"# {TITLES[name]}",
        "",
        f"![{name}](figures/{KINDS[name]}__{name}.png)",
        "",
        TELLS[name],
        "",
        f"Targets: {'; '.join(facts['targets'])}. {facts['left_out']} planned ones are left out, "
        "because not all their banks were run.",
        "",
        f"{facts['starts']} starts a cell (seeds 0 to {facts['starts'] - 1}; peak rates "
        f"{', '.join(f'{rate:g}' for rate in config.learning_rates)} in turn), {config.steps} "
        f"steps of {config.batch} points; the best is of {facts['best_of']} starts, averaged over "
        f"all subsets; {facts['diverged']} starts diverged. {facts['seconds']} seconds, "
        "other work beside it.",
        "",
        "## Verdicts",
        "",
        *verdict_lines(report["findings"]),
        "## Parameters",
        "",
        *table(" | ".join(["arm", *(f"r = {r}" for r in config.loops)]), sizes),
        "## Numbers",
        "",
        *_numbers(report["table"]),
        ", ".join(f"{what} {version}" for what, version in report["versions"].items()),
        "",
    ]


def _numbers(rows: Sequence[Row]) -> list[str]:
    """Return every row of the figure as a table."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    return table(" | ".join(names), ([_cell(row.get(name)) for name in names] for row in rows))


def _cell(value: Any) -> str:
    """A number with three digits; every target for none."""
    if value is None:
        return ""
    return f"{value:.3g}" if isinstance(value, float) else str(value)
