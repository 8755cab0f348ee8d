"""The report of a sweep: eta.json, eta.md and the figure's rows, from stored rows alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from looprate.experiments.eta.config import EtaConfig
from looprate.experiments.eta.findings import certified_part, hypotheses, map_in_words, trained_part
from looprate.experiments.eta.gain import trained_gains
from looprate.experiments.rows.markdown import table
from looprate.experiments.rows.provenance import versions
from looprate.experiments.study.figure_rows import write_rows
from looprate.theory.gate import under_hypotheses
from looprate.theory.outputs import strict_json, write_atomically
from looprate.theory.verdict import Finding, Verdict

__all__ = ["write_eta_report"]

Row = dict[str, Any]
ANSWERS = {Verdict.HOLDS: "yes", Verdict.VIOLATED: "no"} | dict.fromkeys(
    (Verdict.VACUOUS, Verdict.NOT_TESTABLE), "not clear"
)
TITLES = {
    "constructed-loops": "Constructed, at equal loops",
    "constructed-grid": "Constructed, at equal grids",
    "trained": "Trained, at equal loops",
}


def write_eta_report(
    config: EtaConfig, folder: Path, *, fits: Sequence[Row], certificates: Sequence[Row]
) -> Row:
    """Write eta.md, eta.json and figures/eta-gain__sweep.csv from the rows of a finished sweep."""
    trained = trained_gains(config, fits)
    parts = [
        certified_part(config, certificates, "loops"),
        certified_part(config, certificates, "grid"),
        trained_part(config, trained),
    ]
    checked = hypotheses(certificates)
    for part in parts:
        part["findings"] = [
            under_hypotheses(Finding.from_dict(finding), checked).as_dict()
            for finding in part["findings"]
        ]
    for finding in parts[-1]["findings"]:  # of training, of which no theorem speaks
        finding["state"] = ANSWERS[Verdict(finding["verdict"])]
    report = {
        "schema": 1,
        "config": config.as_dict(),
        "versions": versions(),
        "hypotheses": [f.as_dict() for f in checked],
        "parts": parts,
    }
    rows = [row for part in parts for row in part.pop("rows")]
    write_rows(folder / "figures", "eta-gain", "sweep", rows)
    report["table"] = rows
    return write_both(folder, report, _markdown(report))


def write_both(folder: Path, report: Row, page: str) -> Row:
    """Write eta.json and eta.md, and return the report."""
    write_atomically(folder / "eta.json", strict_json(report) + "\n")
    write_atomically(folder / "eta.md", page)
    return report


def _markdown(report: Row) -> str:
    """Return the report as Markdown."""
    config = report["config"]
    lines = [
        "# When does eta(t) help?",
        "",
        "![eta gain](figures/eta-gain__sweep.png)",
        "",
        "Targets: dials f(X)_n = s h(x_n) + (1 - s) mean of h over the other tokens, shares s = "
        f"{', '.join(f'{s:g}' for s in config['shares'])}, maps h: "
        f"{', '.join(map(map_in_words, config['roughness']))}; N = {config['tokens']}, d = "
        f"{config['dim']}, p = {config['p']:g}. All shares of one map have the same sequence "
        "modulus; token and contextual modulus are |s| and |1 - s| times those of the pure dials.",
        "",
        "Gain: error of LT over error of TMLT, above 1 where eta(t) helps. The axis is the sum "
        "w_tok(δ√d) + w_cont(δ√(Nd)) of Theorem 3.6 (arXiv 2410.01405v7). Between s = 1 and "
        "s = 0 it moves by √(N/(N-1)) at most, so the share s < 0 carries most of its range; with "
        "both moduli at one radius the sum orders the shares differently, which each verdict "
        "also tells. Roughness moves the moduli and the difficulty together: the correlation "
        "within a level is the main one.",
        "",
        *verdict_lines(report["hypotheses"]),
    ]
    for part in report["parts"]:
        lines += [f"## {TITLES[part['part']]}", "", _facts(part), ""]
        lines += verdict_lines(part["findings"])
        lines += [f"Note: {part['note']}", ""] if "note" in part else []
        lines += table(
            "map | share | w_tok + w_cont | LT/TMLT | from | to",
            (_cells(row) for row in report["table"] if row["panel"] == part["part"]),
        )
    rates = ", ".join(f"{rate:g}" for rate in config["learning_rates"])
    lines += [
        "## How",
        "",
        f"{config['recipe']['steps']} steps of {config['recipe']['batch']} fresh points, "
        f"{config['seeds']} seeds shared by LT and TMLT, peak learning rates {rates}, the best by "
        "median validation error for each family, target and loop count; errors on held-out "
        "points.",
        "",
        ", ".join(f"{name} {version}" for name, version in report["versions"].items()),
        "",
    ]
    return "\n".join(lines)


def _facts(part: Row) -> str:
    """What was compared, in a sentence."""
    facts = part["facts"]
    if part["part"] == "trained":
        sizes = facts["parameters"]
        return (
            f"r = {', '.join(map(str, facts['loops']))}; {facts['seeds']} seeds, "
            f"{facts['dropped']} left out; {sizes['lt']} parameters (LT) against {sizes['tmlt']} "
            f"(TMLT), a difference of {facts['parameter_difference']:+.2%}."
        )
    return (
        f"LT: increments with the sum code, m = {facts['grid']}, {facts['loops']:,} loops; TMLT: "
        f"timestep with the rank code, m = {facts['tmlt_grid']}, {facts['tmlt_loops']:,} loops. "
        f"Errors are rigorous enclosures; {facts['left_out']} targets without one. Nothing is "
        "random here: intervals come from resampling targets and points of the enclosures."
    )


def verdict_lines(findings: Sequence[Row]) -> list[str]:
    """Return findings as a Markdown table, of what was trained as answers to questions."""
    rows = [(f"**{f.get('state', f['verdict'])}**", f["claim"], f["reason"]) for f in findings]
    return table("verdict | claim | why", rows)


def _cells(row: Row) -> list[str]:
    """Return one table line of gains."""
    ends = (row[name] for name in ("value", "lower", "upper"))
    told = ["" if end is None else f"{end:.3g}" for end in ends]
    return [row["roughness"], f"{row['share']:g}", f"{row['modulus_sum']:.4g}", *told]
