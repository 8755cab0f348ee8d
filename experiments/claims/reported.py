"""What is reported of the paper's experiments: copied numbers, never verified here.

Secondary summaries of v7 report them; the paper's text was not at hand.  Cells that no summary
gives are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from looprate.experiments.claims.claim import PAPER, Claim, Row, compared, found, wrong
from looprate.experiments.reproduce.reported import reported_of
from looprate.theory.bounds.rows import Side
from looprate.theory.bounds.theorem import theorem_3_6_bound
from looprate.theory.notation import Kind
from looprate.theory.verdict import Finding, Verdict

SUMMARIES = f"reported by secondary summaries of v7 of {PAPER}"
NO_WORD = (
    "reported only: neither the runs nor the data are part of this ledger, and a trained result "
    "is no evidence for or against a bound"
)


@dataclass(frozen=True)
class Experiment:
    """Tokens, as a number and as they are reported, and the most loops of one experiment."""

    name: str
    tokens: int
    loops: int
    words: str

    def __str__(self) -> str:
        return f"{self.name} N {self.words}, r = {self.loops}"


@dataclass(frozen=True)
class Table:
    """One line of the reported results: baseline Transformer, Looped, TMLT."""

    id: str
    task: str
    metric: str
    baseline: str
    looped: str
    tmlt: str


EXPERIMENTS = (
    Experiment("Sudoku", 81, 32, "= 81"),
    Experiment("LCS", 121, 100, "> 120"),
    Experiment("edit distance", 121, 100, "> 120"),
    Experiment("in-context decision tree", 200, 12, "about 200"),
    Experiment("WikiText-103", 1024, 24, "= 1024"),
)


def _table(id: str, task: str, metric: str, key: str) -> Table:
    """Return one line of the results, from the cells that the reproduction is compared with."""

    def words(model: str, letter: str) -> str:
        cells = [cell for cell in reported_of(key) if cell.model == model]
        values = " / ".join(
            f"{cell.value:{'g' if 0 < cell.value < 1 else '.1f'}}" for cell in cells
        )
        return f"{letter}={cells[0].loops}: {values}"

    return Table(id, task, metric, words("untied", "L"), words("looped", "r"), words("tmlt", "r"))


TABLES = (
    _table("sudoku", "Sudoku", "board accuracy %", "sudoku"),
    _table("countdown", "Countdown", "accuracy %", "countdown"),
    _table("lcs", "LCS (100)", "accuracy %", "lcs"),
    _table("edit-distance", "edit distance (60)", "accuracy %", "edit-distance"),
    _table("decision-tree", "in-context decision tree", "mean squared error", "decision-tree"),
    _table("wikitext", "WikiText-103", "train / test perplexity", "language"),
)


def check_outside(experiments: Sequence[Experiment] = EXPERIMENTS) -> Finding:
    """In every reported experiment r <= N, and the bound is silent there."""
    rows: list[Row] = []
    for one in experiments:
        row = theorem_3_6_bound(
            _some_moduli, one.loops, tokens=one.tokens, dim=1, p=1.0, oscillation=1.0
        )
        rows.append((f"{one}", one.loops, one.tokens))
        rows.append((f"{one}: the bound speaks", int(row.total < float("inf")), 0))
    finding = compared(rows, "loops against tokens, as reported", exact=True)
    if finding.verdict is not Verdict.HOLDS:
        return finding
    listed = "; ".join(map(str, experiments))
    figure = f"r <= N in {len(experiments)} of {len(experiments)}"
    return found(True, figure, f"as reported: {listed}", experiments=list(map(vars, experiments)))


def _some_moduli(kind: Kind, delta: float) -> tuple[float, Side]:
    """Moduli of the identity: where the theorem is silent they do not matter."""
    return delta, "exact"


def check_reported(table: Table) -> Finding:
    """Repeat what is reported."""
    figure = f"LT {table.looped}; TMLT {table.tmlt}"
    reason = f"{table.metric}: baseline {table.baseline}, {figure}; {NO_WORD}"
    return found(Verdict.NOT_TESTABLE, figure, reason, reported=vars(table))


def check_bound_there(experiments: Sequence[Experiment] = EXPERIMENTS) -> Finding:
    """Theorem 3.6 at the reported sizes: its hypothesis fails."""
    listed = "; ".join(map(str, experiments))
    words = f"the hypothesis r > N fails: {listed} (as reported)"
    return found(Verdict.NOT_TESTABLE, "r < N throughout", words)


REPORTED_CLAIMS = (
    Claim(
        "experiments-outside-hypothesis",
        "No reported experiment of the paper meets r > N",
        "For every experiment reported with its N and r: r <= N, so Theorem 3.6 says nothing.",
        f"Theorem 3.6 (v7), {PAPER}; sizes {SUMMARIES}",
        ("N and r as reported; N of LCS, edit distance and the decision tree from below",),
        "The experiments and the theorem do not meet. It is no criticism of either: positions, "
        "causal masks and discontinuous targets keep them apart as well.",
        "Sudoku, LCS, edit distance, decision tree, WikiText-103; Countdown's N is not reported",
        check_outside,
        (
            wrong(
                "Sudoku with 82 loops",
                check_outside,
                (Experiment("Sudoku", 81, 82, "= 81"), *EXPERIMENTS[1:]),
            ),
        ),
    ),
    Claim(
        "theorem-at-the-experiments",
        "Theorem 3.6 bounds the error in the paper's experiments",
        "For every reported experiment: the error is at most the right-hand side of Theorem 3.6.",
        f"Theorem 3.6 (v7), {PAPER}; sizes {SUMMARIES}",
        ("r > N fails in all of them",),
        "Not testable: the theorem does not apply, and just above r = N its bound is vacuous.",
        "none",
        check_bound_there,
        reported=True,
    ),
    *(
        Claim(
            f"reported-{table.id}",
            f"Reported: {table.task}, {table.metric}",
            f"{table.task}, {table.metric}: baseline {table.baseline}; Looped {table.looped}; TMLT "
            f"{table.tmlt}.",
            SUMMARIES,
            (),
            "A number copied from summaries, for the shape of the result. It was not verified.",
            "none",
            partial(check_reported, table),
            reported=True,
        )
        for table in TABLES
    ),
)
