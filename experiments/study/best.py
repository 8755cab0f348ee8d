"""Best found: the tasks of a study that search the best network, and what their rows say.

A task is one target, family and loop count: every block is searched, the best of them by validation
is certified, and its error is told on held-out points.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from looprate.experiments.engine.sweep import checkpoint_of
from looprate.experiments.rows.markdown import table
from looprate.experiments.rows.provenance import stamped
from looprate.experiments.study.work import planned_target
from looprate.theory.gate import Contradiction
from looprate.theory.outputs import at_least, at_most
from looprate.theory.statistics.best_of import best_of, power_law
from looprate.theory.stored_arrays import write_arrays

if TYPE_CHECKING:
    from looprate.approx.fit.halving import BestFound
    from looprate.approx.models.looped import Family
    from looprate.theory.targets import Target

__all__ = ["best_arguments", "best_row", "curve_rows"]

BEST = "best.jsonl"
Row = dict[str, Any]
Block = tuple[int, int, int]
TOLD = ("target", "family", "loops", "error", "stderr", "starts", "median")
ENDS = ("certified_lower", "certified_upper")
CLOCK = 4  # frequencies and hidden units of a small block's timestep network
HOPELESS = 3.0  # guessed to be so many times as loose, it is not tried: cutting boxes gains less
SURE = 6.0  # standard errors: what is sampled is not above what is proven
LOOSE = 10.0  # an upper end so many times the sampled error certifies nothing worth a word


def searched(
    families: Sequence[str], loops: Sequence[int], *, rough: bool = False
) -> list[tuple[str, int]]:
    """Return the families and loop counts searched: of the weight-tied ones, where they differ.

    With one loop eta(t) is a constant, and roughness is shown of LT.
    """
    tied = [f for f in families if f == "lt" or (f == "tmlt" and not rough)]
    return [(f, r) for f, r in product(tied, loops) if f == "lt" or r > 1 or "lt" not in tied]


def best_arguments(
    *,
    blocks: Sequence[Block],
    plan: Any,
    points: int,
    replicates: int,
    boxes: int,
    compiled: bool,
    device: str,
) -> Row:
    """Return how a search is made, as plain values."""
    return {
        "blocks": [list(block) for block in blocks],
        **{"plan": json.loads(json.dumps(asdict(plan))), "points": points},
        **{"replicates": replicates, "boxes": boxes, "compiled": compiled, "device": device},
    }


@stamped
def best_rows(
    report: Callable[[float], None],
    *,
    target: str,
    source: str | None,
    tokens: int,
    dim: int,
    key: str,
    folder: str,
    **how: Any,
) -> list[Row]:
    """Search one target, family and loop count; its weights stay in ``folder/models/KEY.npz``."""
    f = planned_target(target, source, tokens=tokens, dim=dim)
    checkpoint = checkpoint_of(Path(folder), key)
    best, row = best_row(f, target, tokens=tokens, dim=dim, report=report, at=checkpoint, **how)
    state = best.model().state_dict()
    write_arrays(Path(folder) / "models" / f"{key}.npz", {n: v.numpy() for n, v in state.items()})
    return [row]


def best_row(
    f: Target,
    name: str,
    *,
    tokens: int,
    dim: int,
    p: float,
    family: Family,
    loops: int,
    blocks: Sequence[Sequence[int]],
    plan: Row,
    points: int,
    replicates: int,
    boxes: int,
    compiled: bool,
    device: str,
    report: Callable[[float], None] = lambda part: None,
    at: Path | None = None,
) -> tuple[BestFound, Row]:
    """Return the best network of several blocks, and its row.

    Parameters
    ----------
    f, name
        The target, and what the row calls it.
    tokens, dim, p, family, loops
        N, d, the norm, the model and r.
    blocks, ..., device
        See :func:`best_arguments`; ``boxes`` is shared by the loops, 0 certifies nothing.
    at : Path, optional
        Checkpoint.
    """
    from looprate.approx.fit.halving import SearchPlan, best_found
    from looprate.approx.models.looped import ModelConfig, matched_config

    started, search = time.monotonic(), SearchPlan.from_dict(plan)
    found: list[BestFound] = []
    for k, (width, heads, hidden) in enumerate(blocks):
        size: Row = {"width": width, "heads": heads, "hidden": hidden}
        size |= {"dim": dim, "frequencies": CLOCK, "clock": CLOCK}
        config = matched_config(ModelConfig(**size), family, loops=loops)

        def tell(part: float, k: int = k) -> None:
            report(0.9 * (k + part) / len(blocks))

        how: Row = {"tokens": tokens, "loops": loops, "p": p, "compiled": compiled}
        how |= {"points": points, "replicates": replicates, "device": device}
        found.append(best_found(f, config, **how, plan=search, checkpoint=at, progress=tell))
    best = min(found, key=lambda each: each.validation)
    stopped = np.concatenate([each.stopped for each in found])
    median = float(np.median(stopped))
    row = {
        **{"target": name, "tokens": tokens, "dim": dim, "p": p, "family": family, "loops": loops},
        **{"error": best.error.value, "stderr": best.error.stderr, "starts": len(stopped)},
        "median": median if math.isfinite(median) else None,
        **_certified(best, f, tokens=tokens, dim=dim, loops=loops, p=p, boxes=boxes // loops),
        "stopped": [e if math.isfinite(e) else None for e in stopped.tolist()],
        "best_of": [asdict(each) for each in best_of(stopped.tolist())]
        if median < math.inf
        else [],
        "blocks": [_block(each) for each in found],
        "chosen": found.index(best),
        "plan": plan,
        "seconds": round(time.monotonic() - started, 3),
    }
    return best, row


def _block(found: BestFound) -> Row:
    """What the search of one block gave."""
    polish = found.polish
    return {
        "config": found.config.as_dict(),
        "parameters": len(found.flat),
        **{"seed": found.member.seed, "learning_rate": found.member.learning_rate},
        **{"error": found.error.value, "stderr": found.error.stderr},
        "validation_error": found.validation,
        "quadrature_error": polish and polish.after,
        "quadrature_points": polish and polish.points,
        "settled": polish and polish.settled,
    }


def _certified(best: BestFound, f: Target, *, boxes: int, **size: Any) -> Row:
    """Both ends of the error, None where they say nothing or the target has no enclosure."""
    from looprate.approx.enclosed.error import certified_error, guessed_upper

    if not boxes:
        return dict.fromkeys(ENDS)
    most = LOOSE * best.error.value
    try:
        if guessed_upper(best.model(), f, **size, boxes=boxes) > HOPELESS * most:
            return dict.fromkeys(ENDS)
        ends = certified_error(best.model(), f, **size, boxes=boxes)
    except ValueError:
        return dict.fromkeys(ENDS)
    if ends.upper < best.error.value - SURE * best.error.stderr:
        raise Contradiction(
            f"the error of the network {best.member} for {f} ({size}) is certified to be at most "
            f"{at_most(ends.upper)}, and random inputs give {best.error.value:.6g} (standard error "
            f"{best.error.stderr:.1g})"
        )
    if not ends.upper < most:
        return dict.fromkeys(ENDS)
    return dict(zip(ENDS, (ends.lower, ends.upper), strict=True))


# -- what rows say ---------------------------------------------------------------------------------
def told(rows: Sequence[Row]) -> list[Row]:
    """Return the list ``best_found`` of a report, in the order of target, family and loops."""
    order = sorted(rows, key=lambda row: (row["target"], row["family"], row["loops"]))
    return [{name: row[name] for name in (*TOLD, *ENDS)} for row in order]


def exponents(rows: Sequence[Row]) -> dict[str, Row | None]:
    """Return the power law of each family's best curve, None where there is none."""
    laws: dict[str, Row | None] = {}
    for family in sorted({row["family"] for row in rows}):
        own = sorted((r for r in rows if r["family"] == family), key=lambda row: row["loops"])
        law = power_law([row["loops"] for row in own], [row["error"] for row in own])
        laws[family] = None if law is None else law.as_dict()
    return laws


def doubling(row: Row) -> float | None:
    """Return the best of all starts over the best of half as many, medians of the bootstrap."""
    counts = row["best_of"]
    half = [each for each in counts if 2 * each["starts"] <= row["starts"]]
    return counts[-1]["median"] / half[-1]["median"] if half else None


def curve_rows(rows: Sequence[Row]) -> list[Row]:
    """Return rows of the main figure: best found, its certificate, every start."""
    found: list[Row] = []
    for row in rows:
        place = {"family": row["family"], "loops": row["loops"]}
        label = f"best of {row['starts']} starts"
        best = {"curve": "best", "label": label, "value": row["error"], "stderr": row["stderr"]}
        found.append({**place, **best})
        if row["certified_upper"] is not None:
            ends = {"value": row["certified_upper"], "lower": row["certified_lower"]}
            found.append({**place, "curve": "certified", "label": label, **ends})
        found += [
            {**place, "curve": "start", "label": label, "seed": seed, "value": error}
            for seed, error in enumerate(row["stopped"])
        ]
    return found


def best_of_rows(rows: Sequence[Row]) -> list[Row]:
    """Return rows of the figure of the best of n starts against n."""
    return [
        {"family": row["family"], "loops": row["loops"], "starts": each["starts"]}
        | {"value": each["median"], "low": each["low"], "high": each["high"]}
        for row in rows
        for each in row["best_of"]
    ]


def roughness_rows(rows: Sequence[Row], latex: dict[str, str]) -> list[Row]:
    """Return rows of the page on roughness: LT, one block for all targets."""
    found = []
    for row in rows:
        if row["family"] != "lt":
            continue
        block = row["blocks"][len(row["blocks"]) // 2]
        found.append(
            {"name": row["target"], "formula": latex[row["target"]], "loops": row["loops"]}
            | {"parameters": block["parameters"], "value": block["error"]}
            | {"stderr": block["stderr"], "starts": row["starts"] // len(row["blocks"])}
            | {name: row[name] for name in ("tokens", "dim", "p")}
        )
    return found


def table_lines(rows: Sequence[Row]) -> list[str]:
    """Return the Markdown of one target's best found networks."""
    order = sorted(rows, key=lambda row: (row["family"], row["loops"]))
    return [
        "### Best found",
        "",
        "The smallest error that successive halving and a polish came to, by held-out points that "
        "no choice has read. Certified: proven of the network itself. Twice the starts: best of "
        "all over best of half, before the polish (bootstrap, not extrapolated).",
        "",
        *table(
            "family | loops | parameters | error | starts | their median | certified | twice the "
            "starts",
            map(_table_cells, order),
        ),
        *(_law_line(f, law) for f, law in exponents(rows).items()),
        "",
    ]


def _table_cells(row: Row) -> list[Any]:
    """Return one table line of best networks."""
    block, ratio = row["blocks"][row["chosen"]], doubling(row)
    low, high = (row[name] for name in ENDS)
    proven = "no" if high is None else f"{at_least(low, 3)} to {at_most(high, 3)}"
    median = "diverged" if row["median"] is None else f"{row['median']:.3g}"
    error = f"{row['error']:.4g} ± {row['stderr']:.1g}"
    what = [row["family"].upper(), row["loops"], block["parameters"], error, row["starts"]]
    return [*what, median, proven, "" if ratio is None else f"{ratio:.2f}"]


def _law_line(family: str, law: Row | None) -> str:
    """The exponent of one family's curve in words."""
    if law is None:
        return f"- {family.upper()}: not a power law."
    low, high = law["interval"]
    return (
        f"- {family.upper()}: r^{law['slope']:.2f} (95 % {low:.2f} to {high:.2f}) from r = "
        f"{law['first']} to {law['last']}; measured there, claimed nowhere else."
    )
