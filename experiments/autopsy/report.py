"""One looped model looked into: what was measured, and what it comes to in plain words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from looprate.experiments.autopsy import measures
from looprate.experiments.autopsy.findings import findings_of
from looprate.experiments.autopsy.moduli import modulus_rows
from looprate.experiments.autopsy.protocol import LoopedAdapter, Subject
from looprate.theory.notation import check_delta, check_loops
from looprate.theory.targets.modules import copied
from looprate.theory.targets.own import in_words

__all__ = ["Autopsy", "autopsy", "autopsy_of"]

Row = dict[str, Any]
Report = Callable[[float], None]
USUAL = 16  # loops, of a model that does not say how many it was trained with
#: Share of the work, in the order it is done.
SHARES = {"states": 0.05, "point": 0.1, "stretch": 0.45, "moduli": 0.35, "parts": 0.05}


@dataclass(frozen=True)
class Autopsy:
    """What was seen of a looped model.

    Attributes
    ----------
    facts : dict
        model, inputs, tokens, width, precision, loops (looked at), trained, delta, fixed_point
        (the loops it took, None for none), factor (by which distances to it shrink), notes.
    findings : list of dict
        Each {panel, short, sentence}.
    rows : list of dict
        Rows of the figure: panel, name, loop, and value, lower, upper or cosine.
    """

    facts: Row
    findings: list[Row]
    rows: list[Row]

    def as_dict(self) -> Row:
        """Return a JSON-ready dictionary."""
        return {**self.facts, "findings": self.findings, "rows": self.rows}

    def to_rows(self) -> list[Row]:
        """Return the rows of the figure, each with the model and the words of its panel."""
        words = {found["panel"]: found["short"] for found in self.findings}
        common = {"model": self.facts["model"], "detail": self._setting()}
        common |= {"trained": self.facts["trained"]}
        return [{**row, "words": words.get(row["panel"]), **common} for row in self.rows]

    def _setting(self) -> str:
        """The sizes in words."""
        f = self.facts
        trained = f"trained with r = {f['trained']}" if f["said"] else f"compared at {f['trained']}"
        return f"{f['tokens']} tokens, width {f['width']}, {trained}, {f['inputs']} inputs"


def autopsy(
    adapter: LoopedAdapter,
    *,
    loops: Sequence[int] | None = None,
    delta: float | None = None,
    effort: float = 1.0,
    seed: int = 0,
    name: str = "model",
) -> Autopsy:
    """Look into a looped model: what its loops do, from its two methods.

    Parameters
    ----------
    adapter : LoopedAdapter
        A copy of it is put in evaluation mode and, where it runs so, in float64.
    loops : sequence of int, optional
        Loop counts at which moduli are bounded, the largest being the last loop looked at; default
        powers of two to twice the trained count (of 16 where the adapter says none), and that.
    delta : float, optional
        Radius of the moduli, Frobenius norm; default a tenth of a token's length.
    effort : float
        Scales the steps of searches; lower bounds only rise with it.
    seed : int
        Of first directions.
    name : str
        What it is called.

    Returns
    -------
    Autopsy

    Raises
    ------
    ValueError, TypeError
        In one line, if a method fails, changes the shape of its state, or gives no finite numbers.
    """
    subject = Subject(name, copied(adapter))  # type: ignore[arg-type]
    return autopsy_of(subject, loops=loops, delta=delta, effort=effort, seed=seed)


def autopsy_of(
    subject: Subject,
    *,
    loops: Sequence[int] | None = None,
    delta: float | None = None,
    effort: float = 1.0,
    seed: int = 0,
    report: Report = lambda part: None,
) -> Autopsy:
    """Look into a loaded model, see :func:`autopsy`; ``report`` is told the finished share."""
    if not 0 < effort < float("inf"):
        raise ValueError(f"`effort` must be finite and > 0, got {effort:g}")
    if delta is not None and check_delta(delta) == 0:
        raise ValueError("`delta` must be > 0, got 0; leave it out for a tenth of a token's length")
    notes = subject.settle()
    subject.check_alone()
    counts, trained = counts_of(subject, loops)
    stages = _Stages(report)
    states = measures.states_of(subject, counts[-1], stages.of("states"))
    rows = measures.readout_rows(subject, states, trained) + measures.update_rows(states)
    point, taken, move = measures.fixed_point(subject, states[-1], counts[-1])
    if point is not None:
        rows += measures.distance_rows(states, point)
    stages.of("point")(1.0)
    rows += measures.cosine_rows(states)
    more, why = _searched(subject, states, counts, delta, effort, seed, stages)
    rows += more
    final = subject.read(subject.run(subject.inputs, trained)).detach()
    rows += measures.part_rows(subject, final, trained)
    report(1.0)
    facts = _facts(subject, states[0], counts, trained, [*notes, why] if why else notes)
    facts |= {"delta": next((r["delta"] for r in rows if r["panel"] == "moduli"), None)}
    facts |= {"fixed_point": taken if point is not None else None, "last_move": move}
    facts["factor"] = measures.contraction(
        [row["value"] for row in rows if row["name"] == "distance"]
    )
    return Autopsy(facts, findings_of(rows, facts), rows)


def _searched(
    subject: Subject,
    states: Sequence[torch.Tensor],
    counts: Sequence[int],
    delta: float | None,
    effort: float,
    seed: int,
    stages: _Stages,
) -> tuple[list[Row], str]:
    """Return what takes gradients, stretches and moduli, or why there are none."""
    how: Row = {"effort": effort, "seed": seed}
    try:
        rows = measures.stretch_rows(subject, states, **how, report=stages.of("stretch"))
        rows += modulus_rows(subject, counts, delta=delta, **how, report=stages.of("moduli"))
    except RuntimeError as error:  # of torch, where a loop is not differentiable
        return [], f"no gradient through a loop of {subject.source}: {in_words(error)}"
    return rows, ""


def counts_of(subject: Subject, loops: Sequence[int] | None) -> tuple[list[int], int]:
    """Return the loop counts to look at, rising, and the one that others are compared with."""
    said = subject.loops
    if loops:
        counts = sorted({check_loops(count) for count in loops})
        trained = said if said is not None and said <= counts[-1] else counts[-1]
        return counts, trained
    last = 2 * said if said else USUAL
    powers = {2**k for k in range(last.bit_length()) if 2**k <= last}
    return sorted(powers | {last} | ({said} if said else set())), said or USUAL


def _facts(
    subject: Subject, state: torch.Tensor, counts: list[int], trained: int, notes: list[str]
) -> Row:
    """What the model is."""
    return {
        "model": subject.source,
        "inputs": len(subject.inputs),
        "tokens": state.shape[1] if state.ndim > 2 else 1,
        "width": state.shape[-1],
        "precision": str(state.dtype).removeprefix("torch."),
        "loops": counts,
        "trained": trained,
        "said": subject.loops == trained,
        "notes": notes,
    }


class _Stages:
    """Turns the progress of a stage into that of the whole."""

    def __init__(self, report: Report) -> None:
        self.report = report

    def of(self, stage: str) -> Report:
        """Return what a stage reports to."""
        names = list(SHARES)
        before = sum(SHARES[name] for name in names[: names.index(stage)])
        return lambda part: self.report(before + SHARES[stage] * part)
