"""Claims about the exponents that constructed networks attain, and what few bits leave of them."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from looprate.experiments.claims.claim import THIS, Claim, Drawn, compared, found, wrong
from looprate.experiments.exponents.config import PRESETS
from looprate.experiments.exponents.few_bits import few_bits_rows, few_bits_tasks, floors
from looprate.experiments.exponents.report import line_finding
from looprate.experiments.study.lessons import certificate_rows
from looprate.theory.verdict import Finding, Verdict

CONFIG = PRESETS["smoke"]
FACTOR = 2.1  # between floors: a grid's step may lie between them
Row = dict[str, Any]


@lru_cache(maxsize=8)
def certified(place: int) -> tuple[Row, ...]:
    """The certificates of one line of the preset smoke."""
    line = CONFIG.lines[place]
    specs = [spec.as_dict() for spec in line.specs]
    how: Row = {"specs": specs, "tolerance": 0.02, "boxes": 60_000}
    return tuple(certificate_rows(lambda part: None, target=line.target, p=line.p, **how))


def check_slopes(exponent: str = "own") -> Finding:
    """The slope of every line is near the exponent; another one can be asked for."""
    words, worst = [], Verdict.HOLDS
    for place, line in enumerate(CONFIG.lines):
        predicted = line.exponents[exponent]
        one = line_finding(line, certified(place), predicted=predicted, tolerance=CONFIG.tolerance)
        words.append(f"{line.memoriser}, {line.target}: {one.reason}")
        if one.verdict is not Verdict.HOLDS:
            worst = one.verdict
    return found(worst, f"{len(words)} slopes", "; ".join(words))


@lru_cache(maxsize=1)
def measured_floors() -> tuple[Row, ...]:
    """Floors of constructed networks in every arithmetic, small grids."""
    tasks = few_bits_tasks("mean-field", 8)
    rows = [row for task in tasks for row in few_bits_rows(lambda part: None, **task)]
    return tuple(floor for floor in floors(rows) if floor["predicted"] is not None)


def check_floors(shift: float = 1.0) -> Finding:
    """Measured and predicted floors differ by a small factor; predictions may be made wrong."""
    rows = []
    for floor in measured_floors():
        ratio = floor["measured"] / (shift * floor["predicted"])
        rows.append((f"{floor['memoriser']}, {floor['arithmetic']}", max(ratio, 1 / ratio), FACTOR))
    return compared(rows, "ratio of the measured to the predicted floor")


EXPONENT_CLAIMS = (
    Claim(
        "measured-exponents",
        "Certified errors of the constructions fall with the optimal exponents",
        "The certified error of increments on the others code falls like r^(-s/(Nd)), that of two "
        "levels with eta(t) like r^(-2s/(Nd)).",
        f"{THIS}: theory/construction/build/others.py and two_level_increments.py",
        ("hardmax attention", "exact arithmetic", "eta(t) free"),
        "Every least-squares slope through the certified intervals is near the exponent: no "
        "estimate, no seeds. For two targets at these grids; the finer ones are in "
        "results/exponents.",
        "N = 2, d = 1, p = 1; mean-field (s = 1) and token-power:alpha=0.5 (s = 1/2); m = 6 to 64; "
        "within 0.12",
        check_slopes,
        (
            wrong("the exponent without eta(t) for all", check_slopes, "lt"),
            wrong("the exponent with eta(t) for all", check_slopes, "tmlt"),
        ),
        seconds=10.0,
    ),
    Claim(
        "few-bits-floors",
        "With b bits a number, networks get no better than the finest grid whose numbers fit",
        "The least error over grids in integers or floats of few bits is that of the exact network "
        "on the finest grid whose weights, labels and eta fit, up to a factor of 2.1.",
        f"{THIS}: theory/construction/run/few_bits.py",
        ("heuristic prediction",),
        "Without eta(t) one weight holds the whole table: 64 bits hold a 3 by 3 grid. With eta(t), "
        "one label a loop, b bits hold 2^b labels: then more loops go on to help.",
        "N = 2, d = 1, mean-field; int8 to int20, bfloat16, float16, float32, float64; m <= 8; 512 "
        "random inputs",
        check_floors,
        (wrong("floors a third as high", check_floors, 1 / 3),),
        Drawn("few-bits", "looprate exponents --preset smoke --out runs/exponents-smoke"),
        seconds=10.0,
    ),
)
