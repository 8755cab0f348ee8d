"""What rows of many starts say: findings and the rows of a figure, for each of the questions."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import product
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from looprate.experiments.eta.arms import EQUAL_BLOCKS, EQUAL_PARAMETERS, WORDS, Arm
from looprate.experiments.eta.config import DialPoint
from looprate.experiments.eta.starts_config import ROUGH, StartsConfig
from looprate.theory.statistics.paired_best import PairedStarts, contrast_finding
from looprate.theory.verdict import Finding

Array = NDArray[np.float64]
Row = dict[str, Any]
SHARE = 3  # the best is of one start in so many
GROWTH = "factor by which the ratio of bests grows a doubling of r"
SEVERAL = "ratio of bests"


class StartRows:
    """Stored rows of a sweep by what was trained and tested.

    Parameters
    ----------
    config : StartsConfig
    rows : sequence of dict
        Of the finished banks; targets that miss one are left out.
    """

    def __init__(self, config: StartsConfig, rows: Sequence[Row]) -> None:
        names = ("target", "loops", "arm", "law", "bits", "test_loops", "test_bits")
        self.config, self.rows = config, {tuple(r[n] for n in names): r for r in rows}
        self.dials = [dial for dial in config.dials if self._whole(dial)]
        self.cells = list(product(self.dials, config.loops))
        self.loops = np.array([loops for _, loops in self.cells], dtype=float)

    def _whole(self, dial: DialPoint) -> bool:
        """Whether every bank of a target is there."""
        return all(
            (dial.name, c.loops, c.arm, c.law, c.bits, *test) in self.rows
            for c in self.config.cells()
            if c.dial == dial
            for test in self.config.tests(c)
        )

    def errors(
        self, arm: str, *, law: str = "fixed", bits: int = 0, factor: float = 1.0, tested: int = 0
    ) -> Array:
        """Return errors (S, C) of every start in every cell, NaN where it diverged."""
        columns = []
        for dial, loops in self.cells:
            count = max(1, round(factor * loops))
            row = self.rows[dial.name, loops, arm, law, bits, count, tested or bits]
            columns.append([math.nan if e is None else e for e in row["errors"]])
        return np.array(columns, dtype=float).T

    def parameters(self, arm: str) -> list[int]:
        """Return the parameters of an arm at every r."""
        first = self.dials[0].name
        found = {
            k[1]: r["parameters"] for k, r in self.rows.items() if k[0] == first and k[2] == arm
        }
        return [found[loops] for loops in self.config.loops]

    def mean(self, chosen: Callable[[DialPoint, int], bool] = lambda dial, loops: True) -> Array:
        """Return weights (C,) of the mean over chosen cells."""
        which = np.array([chosen(*cell) for cell in self.cells], dtype=float)
        return which / max(1.0, which.sum())

    def slope(self) -> Array:
        """Return weights (C,) of the least-squares slope on log2 r, averaged over targets."""
        x = np.log2(self.loops) - np.log2(self.loops).mean()
        return np.asarray(x / (x @ x))


def starts_part(config: StartsConfig, rows: Sequence[Row]) -> Row:
    """Return facts, findings and figure rows of a sweep.

    Raises
    ------
    ValueError
        If no target has all its banks.
    """
    found = StartRows(config, rows)
    if not found.dials:
        raise ValueError("no target has all its banks of starts; run the same command again")
    part = {"best": _best, "loops": _loops, "bits": _bits}[config.question]
    n = max(1, config.seeds // SHARE)
    findings, drawn = part(found, n)
    diverged = sum(e is None for row in rows for e in row["errors"])
    facts = {
        **{"targets": [dial.name for dial in found.dials], "left_out": len(config.dials)},
        **{"best_of": n, "starts": config.seeds, "diverged": diverged},
        "parameters": {arm: found.parameters(arm) for arm in config.arms},
        "seconds": round(sum(row["seconds"] for row in rows)),
    }
    facts["left_out"] -= len(found.dials)
    return {"facts": facts, "findings": [f.as_dict() for f in findings], "rows": drawn}


# -- best: which eta(t) helps ----------------------------------------------------------------------
def _best(found: StartRows, n: int) -> tuple[list[Finding], list[Row]]:
    """Findings of the preregistration in its order, and ratios at each r."""
    arms = PairedStarts({arm: found.errors(arm) for arm in found.config.arms}, n)
    every, slope = found.mean(), found.slope()

    def helps(arm: Arm, match: dict[Arm, Arm], claim: str, weights: Array = every) -> Finding:
        return contrast_finding(arms.contrast(arm, match[arm], weights), claim=claim)

    def grows(arm: Arm, other: Arm, claim: str) -> Finding:
        return contrast_finding(arms.contrast(arm, other, slope), claim=claim, unit=GROWTH)

    findings = [
        helps("table", EQUAL_PARAMETERS, "primary 1: a free table helps at equal parameters"),
        grows("table", "lt", "primary 2: the table's gain grows with r at equal blocks"),
        grows("table", "relu", "primary 3: it grows faster than that of a ReLU network of t"),
        grows("table", "silu", "primary 3: it grows faster than that of a SiLU network of t"),
    ]
    networks: tuple[Arm, ...] = ("relu", "silu")
    for arm in networks:
        findings.append(helps(arm, EQUAL_PARAMETERS, f"{WORDS[arm]} helps at equal parameters"))
    findings += [helps(a, EQUAL_BLOCKS, f"{WORDS[a]} helps at equal blocks") for a in EQUAL_BLOCKS]
    for arm in networks:
        findings.append(grows(arm, "lt", f"the gain of {WORDS[arm]} grows with r at equal blocks"))
    silu = arms.contrast("silu", "relu", every)
    findings.append(contrast_finding(silu, claim="SiLU errs less than ReLU in the network of t"))
    for arm in EQUAL_PARAMETERS:
        for r in found.config.loops:
            claim = f"{WORDS[arm]} helps at equal parameters at r = {r}"
            at = found.mean(lambda dial, loops, r=r: loops == r)  # type: ignore[misc]
            findings.append(helps(arm, EQUAL_PARAMETERS, claim, at))
        findings += _moves(found, lambda w, c, a=arm: helps(a, EQUAL_PARAMETERS, c, w), WORDS[arm])  # type: ignore[misc]
    return findings, _best_rows(found, arms)


def _moves(found: StartRows, judged: Callable[[Array, str], Finding], name: str) -> list[Finding]:
    """How the gain of an arm moves with the share and with roughness, where both ends were run."""
    pairs = {
        "is larger for the context alone than for the token alone": (
            found.mean(lambda dial, loops: dial.share == 0),
            found.mean(lambda dial, loops: dial.share == 1),
        ),
        "is larger on rough than on smooth targets": (
            found.mean(lambda dial, loops: dial.roughness == ROUGH),
            found.mean(lambda dial, loops: dial.roughness != ROUGH),
        ),
    }
    return [
        judged(more - less, f"the gain of {name} {claim}")
        for claim, (more, less) in pairs.items()
        if more.any() and less.any()
    ]


def _best_rows(found: StartRows, arms: PairedStarts) -> list[Row]:
    """Ratios of bests at each r: the mean over targets with its interval, and every target."""
    rows: list[Row] = []
    for panel, match in (("parameters", EQUAL_PARAMETERS), ("blocks", EQUAL_BLOCKS)):
        for arm, other in match.items():
            a, b = found.errors(arm), found.errors(other)
            smallest = np.nanmin(b, axis=0) / np.nanmin(a, axis=0)
            single = np.exp(arms.log_best(other) - arms.log_best(arm))
            for r in found.config.loops:
                at = found.mean(lambda dial, loops, r=r: loops == r)  # type: ignore[misc]
                mean = arms.contrast(arm, other, at)
                ends = np.exp([mean.value, *mean.interval]).tolist()
                place = {"panel": panel, "arm": arm, "loops": r}
                rows.append(place | dict(zip(("value", "lower", "upper"), ends, strict=True)))
                rows[-1]["smallest"] = float(np.exp(at @ np.log(smallest)))
                rows += [
                    place
                    | {"target": dial.name, "value": float(single[k]), "smallest": smallest[k]}
                    for k, (dial, loops) in enumerate(found.cells)
                    if loops == r
                ]
    return rows


# -- loops: other counts at test time --------------------------------------------------------------
def _loops(found: StartRows, n: int) -> tuple[list[Finding], list[Row]]:
    """Do more loops than in training help, and does drawing them in training?"""
    c, every = found.config, found.mean()
    keys = list(product(c.arms, c.laws, c.factors))
    arms = PairedStarts({_key(*k): found.errors(k[0], law=k[1], factor=k[2]) for k in keys}, n)

    def judged(a: tuple[Any, ...], b: tuple[Any, ...], claim: str) -> Finding:
        return contrast_finding(arms.contrast(_key(*a), _key(*b), every), claim=claim)

    findings, most = [], max(c.factors)
    for arm, law in product(c.arms, c.laws):
        for factor in sorted({2.0, most} & set(c.factors)):
            claim = f"{WORDS[arm]}, {law}: {factor:g} r loops at test time err less than r"
            findings.append(judged((arm, law, factor), (arm, law, 1.0), claim))
        for factor in sorted({1.0, 2.0, most} & set(c.factors)) if law != "fixed" else ():
            claim = f"{WORDS[arm]}: {law} in training errs less at {factor:g} r than fixed"
            findings.append(judged((arm, law, factor), (arm, "fixed", factor), claim))
    rows = []
    for arm, law, factor in keys:
        value, ends = (
            np.exp(arms.log_best(_key(arm, law, factor))),
            np.exp(arms.interval(_key(arm, law, factor))),
        )
        rows += [
            {"arm": arm, "law": law, "target": dial.name, "trained": r}
            | {"loops": max(1, round(factor * r)), "value": value[k]}
            | {"lower": ends[0][k], "upper": ends[1][k]}
            for k, (dial, r) in enumerate(found.cells)
        ]
    return findings, rows


# -- bits: rounded states --------------------------------------------------------------------------
When = Literal["never", "after", "during"]


def _bits(found: StartRows, n: int) -> tuple[list[Finding], list[Row]]:
    """Does rounding compound over loops, and is it better to round while training?"""
    c, every, slope = found.config, found.mean(), found.slope()
    several = [bits for bits in c.bits if bits]
    tables = {_key(arm, "never", 0): found.errors(arm) for arm in c.arms}
    for arm, bits in product(c.arms, several):
        tables[_key(arm, "after", bits)] = found.errors(arm, tested=bits)
        tables[_key(arm, "during", bits)] = found.errors(arm, bits=bits)
    arms = PairedStarts(tables, n)
    findings = []
    for arm, bits in product(c.arms, several):
        never, after, during = (
            _key(arm, *each) for each in (("never", 0), ("after", bits), ("during", bits))
        )
        who = f"{WORDS[arm]}, {bits} bits"
        for one, other, weights, claim, unit in (
            (during, after, every, "rounding in training errs less than after it", SEVERAL),
            (never, after, every, "rounding after training costs error", SEVERAL),
            (never, during, every, "rounding in training costs error", SEVERAL),
            (never, after, slope, "the cost of rounding after training grows with r", GROWTH),
            (never, during, slope, "the cost of rounding in training grows with r", GROWTH),
        ):
            contrast = arms.contrast(one, other, weights)
            findings.append(contrast_finding(contrast, claim=f"{who}: {claim}", unit=unit))
    rows = []
    for key in tables:
        name, when, told = key.split("/")
        value, ends = np.exp(arms.log_best(key)), np.exp(arms.interval(key))
        rows += [
            {"arm": name, "when": when, "bits": int(told) or None, "target": dial.name, "loops": r}
            | {"value": value[k], "lower": ends[0][k], "upper": ends[1][k]}
            for k, (dial, r) in enumerate(found.cells)
        ]
    return findings, rows


def _key(*parts: Any) -> str:
    """Name of what was trained and tested."""
    return "/".join(map(str, parts))
