"""Moduli of trained networks beside those of the function they were trained on.

A task is one network or one target at stated radii and gives one row for every modulus and radius:
a lower bound that a pair of inputs attains and, where asked for, a certified upper bound.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from looprate.experiments.engine.sweep import Sweep
from looprate.experiments.engine.task import Task
from looprate.experiments.learned.networks import chosen_fits, network_digest, network_of
from looprate.experiments.rows.provenance import stamped, versions
from looprate.experiments.rows.records import digest
from looprate.experiments.study.source import source_digest
from looprate.experiments.study.work import located, planned_target
from looprate.theory.continuity import ModulusLowerCurve, modulus_lower_bound
from looprate.theory.continuity.reconcile import beside_closed_form
from looprate.theory.hypotheses import check_hypotheses
from looprate.theory.notation import KINDS, check_delta
from looprate.theory.targets import resolve_target

__all__ = ["DELTAS", "LEARNED", "LearnedPlan"]

Row = dict[str, Any]
LEARNED = "learned.jsonl"  # the file of their rows
Report = Callable[[float], None]
DELTAS = (0.05, 0.2)
EFFORT = 0.2  # of the search of pairs; 1 is that of looprate moduli
HYPOTHESES = 0.05  # effort of their checks, at most
SCHEMA = 2  # raise it when code changes what a row's numbers mean
SHAPE = ("tokens", "dim", "p")
A_BLOCK, A_TARGET = 1.0, 2.0  # relative cost of one block in the search, of a target


@dataclass(frozen=True)
class LearnedPlan:
    """What is measured.

    Attributes
    ----------
    folder : Path
        A study folder.
    targets, loops : tuple or None
        Which networks; None for all.
    deltas : tuple of float
        Radii, Frobenius norm.
    effort : float
        Work of the search for lower bounds.
    seconds : float or None
        For each certified upper bound, None for none.
    """

    folder: Path
    targets: tuple[str, ...] | None = None
    loops: tuple[int, ...] | None = None
    deltas: tuple[float, ...] = DELTAS
    effort: float = EFFORT
    seconds: float | None = None

    def __post_init__(self) -> None:
        if not self.deltas or min(map(check_delta, self.deltas)) == 0:
            raise ValueError(f"`delta` must hold radii > 0, got {list(self.deltas)}")
        if len(set(self.deltas)) != len(self.deltas):
            raise ValueError(f"`delta` must not repeat a value, got {list(self.deltas)}")
        for name in ("effort", "seconds"):
            value = getattr(self, name)
            if value is not None and not 0 < value < float("inf"):
                raise ValueError(f"`{name}` must be finite and > 0, got {value:g}")

    def sweep(self) -> Sweep:
        """Return the tasks, one a network and one a target and shape, in ``learned.jsonl``."""
        fits = chosen_fits(self.folder, targets=self.targets, loops=self.loops)
        work: Row = {"deltas": list(self.deltas), "effort": self.effort, "budget": self.seconds}
        places = {
            (row["target"], *(row[name] for name in SHAPE)): row.get("directory") for row in fits
        }
        tasks = [
            *(_target_task(place, where, work) for place, where in places.items()),
            *(_network_task(self.folder, row, work) for row in fits),
        ]
        return Sweep(self.folder, {LEARNED: tasks})


def _target_task(place: tuple[Any, ...], directory: str | None, work: Row) -> Task:
    """Return the task of one target and shape, whose file is named relative to a directory."""
    name, tokens, dim, _ = place
    arguments = {"target": name, **dict(zip(SHAPE, place[1:], strict=True)), **work}
    arguments["source"] = source_digest(
        resolve_target(located(name, directory)), tokens=tokens, dim=dim
    )
    key = digest({"learned": SCHEMA, "versions": versions(), **arguments})
    arguments["directory"] = directory
    cost = A_TARGET * work["effort"] + (work["budget"] or 0.0)
    return Task(key, f"moduli of {place[0]}", target_rows, arguments, cost)


def _network_task(folder: Path, row: Row, work: Row) -> Task:
    """Return the task of one network."""
    weights = {"weights": network_digest(folder, row), "index": row["index"]}
    facts = {name: row[name] for name in ("target", *SHAPE, "family", "loops", "seed")}
    key = digest({"learned": SCHEMA, "versions": versions(), **facts, **weights, **work})
    label = f"{row['family']} r={row['loops']} seed={row['seed']} of {row['target']}"
    cost = A_BLOCK * (1 + row["loops"]) * work["effort"] + (work["budget"] or 0.0)
    return Task(
        key, label, learned_rows, {"folder": str(folder.absolute()), "row": row, **work}, cost
    )


@stamped
def target_rows(
    report: Report,
    *,
    target: str,
    tokens: int,
    dim: int,
    p: float,
    deltas: list[float],
    effort: float,
    budget: float | None,
    source: str | None = None,
    directory: str | None = None,
) -> list[Row]:
    """Return a row for each modulus and radius of a target: closed form, else what is found.

    Its hypotheses are checked first.
    """
    f = planned_target(target, source, tokens=tokens, dim=dim, directory=directory)
    shape: Row = {"tokens": tokens, "dim": dim, "p": p}
    latex = f.latex.replace(f"{directory}/".replace("_", r"\_"), "")  # its name, not its place
    checks = check_hypotheses(f, **shape, effort=min(effort, HYPOTHESES))
    shared = {"what": "target", "target": target, "latex": latex, **shape}
    shared["hypotheses"] = [check.as_dict() for check in checks]
    rows = []
    for bound in _bounds(f, shape, deltas, max(effort, 1.0), budget, report, equivariant=None):
        known = f.closed_form(bound["delta"], kind=bound["kind"], **shape)
        if known is not None:
            bound["lower"] = beside_closed_form(
                f, known, bound["lower"], bound["upper"], tokens=tokens, dim=dim
            )
            if bound["upper"] is None or known.value < bound["upper"] or known.side == "exact":
                bound["upper"], bound["note"] = known.value, known.note
        rows.append({**shared, **bound, "exact": known is not None and known.side == "exact"})
    return rows


@stamped
def learned_rows(
    report: Report,
    *,
    folder: str,
    row: Row,
    deltas: list[float],
    effort: float,
    budget: float | None,
) -> list[Row]:
    """Return a row for each modulus and radius of one trained network.

    The network must give its row's held-out error, and its hypotheses are checked first.
    """
    from looprate.approx.enclosed import enclosed

    shape = {name: row[name] for name in SHAPE}
    model = network_of(Path(folder), row)
    f = enclosed(model, tokens=row["tokens"], dim=row["dim"], loops=row["loops"])
    equivariant = model.config.positions == 0  # by construction: tokens meet in attention only
    checks = check_hypotheses(f, **shape, effort=min(effort, HYPOTHESES))
    shared = {
        "what": "network",
        **{name: row[name] for name in ("target", *SHAPE, "family", "loops", "seed")},
        "learning_rate": row["learning_rate"],
        "error": row["error"],
        "hypotheses": [check.as_dict() for check in checks],
    }
    bounds = _bounds(f, shape, deltas, effort, budget, report, equivariant=equivariant)
    return [{**shared, **bound} for bound in bounds]


def _bounds(
    f: Any,
    shape: Row,
    deltas: Sequence[float],
    effort: float,
    budget: float | None,
    report: Report,
    *,
    equivariant: bool | None,
) -> Iterator[Row]:
    """Yield {kind, delta, lower, upper, note} for every modulus and radius."""
    total, done = len(KINDS) * len(deltas), 0
    for kind in KINDS:
        curve = modulus_lower_bound(
            f,
            np.array(deltas),
            kind=kind,
            **shape,
            effort=effort,
            equivariant=equivariant,
            rng=np.random.default_rng(0),
        )
        for k, (delta, lower) in enumerate(zip(deltas, curve.lower.tolist(), strict=True)):
            found: Row = {"kind": kind, "delta": delta, "lower": lower, "upper": None, "note": ""}
            if budget is not None:
                found |= _upper(f, curve, k, shape, budget, equivariant)
            done += 1
            report(done / total)
            yield found


def _upper(
    f: Any, curve: ModulusLowerCurve, k: int, shape: Row, budget: float, equivariant: bool | None
) -> Row:
    """Return a certified upper bound at radius k of a curve, or why there is none."""
    from looprate.theory.continuity import modulus_upper_bound
    from looprate.theory.continuity.reconcile import reconciled_at

    pair = curve.pairs[k]
    try:
        bound = modulus_upper_bound(
            f,
            pair.delta,
            kind=pair.kind,
            **shape,
            seconds=budget,
            equivariant=equivariant,
            lower=pair,
        )
        upper = reconciled_at(f, bound.value, curve, k)
    except ValueError as error:  # an operation without an enclosure, or values that are not f's
        return {"upper": None, "note": str(error)}
    return {
        "upper": upper if np.isfinite(upper) else None,
        "note": bound.note,
        "boxes": bound.boxes,
        "seconds": bound.seconds,
    }
