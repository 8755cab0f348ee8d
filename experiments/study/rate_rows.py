"""Rows of the exponents in a study's figures: those of its own lines, and those of neighbours."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from looprate.experiments.study.constructed_findings import expected_slope
from looprate.theory.bounds import rates
from looprate.theory.bounds.explicit import collision_power
from looprate.theory.construction.memorisers import MEMORISERS

Row = dict[str, Any]
THEOREM = "Theorem 3.6"
FIRST = 3  # loops, from which the logarithm of Tian & Shen falls


@dataclass(frozen=True)
class _Rate:
    """A rate of error in r up to a constant: whose it is, of which line, and under what."""

    label: str
    line: str
    formula: str
    exponent: float
    assumes: str
    rate: Callable[[int], float]


def slope_rows(theory: Row) -> list[Row]:
    """Return the exponents of the theorem and of every construction, a row each."""
    found = [_theorem(theory), *_constructions(theory)]
    return [
        {"curve": "slope", "label": f"{each.line}: {each.formula}", "value": each.exponent}
        for each in found
    ]


def rate_rows(theory: Row, grid: Sequence[int]) -> list[Row]:
    """Return the theorem's rate, the fastest of either family here and neighbours' ones.

    Each is 1 at the first loop count: a rate is known up to a constant.
    """
    own: dict[str, _Rate] = {}
    for each in _constructions(theory):
        family = MEMORISERS[each.line].family
        if family not in own or each.exponent > own[family].exponent:
            own[family] = each
    at = [r for r in grid if r > max(theory["tokens"], FIRST)]
    return [
        {"label": f"{each.label}: {each.formula}", "detail": each.assumes, "loops": r}
        | {"exponent": each.exponent, "value": each.rate(r) / each.rate(at[0])}
        for each in (_theorem(theory), *own.values(), *_neighbours(theory))
        for r in at
    ]


def _theorem(theory: Row) -> _Rate:
    """The printed exponent of Theorem 3.6."""
    tokens, dim, p = (theory[name] for name in ("tokens", "dim", "p"))
    exponent = rates.holder_exponent(tokens=tokens, dim=dim, holder=_holder(theory), p=p)
    least = "s" if tokens == 1 or _holder(theory) <= dim / p else "(d/p)"
    return _Rate(
        label="Theorem 3.6, Xu & Sato 2025",
        line=THEOREM,
        formula=f"{least}/((N+1)d+1)",
        exponent=exponent,
        assumes="looped Transformer, Lᵖ error; constants open",
        rate=lambda r: (r - tokens) ** -exponent,
    )


def _constructions(theory: Row) -> Iterator[_Rate]:
    """The exponents of this project's constructions."""
    tokens, dim, p = (theory[name] for name in ("tokens", "dim", "p"))
    for name, kind in MEMORISERS.items():
        exponent = -expected_slope(
            tokens=tokens, dim=dim, p=p, holder=_holder(theory), coding=kind.coding,
            levels=kind.levels,
        )  # fmt: skip
        power = collision_power(tokens, dim, kind.coding) / p
        least = "s" if min(1.0, _holder(theory)) <= power else f"{power:.3g}"
        levels = "" if kind.levels == 1 else f"{kind.levels}"
        below = "(N+1)d" if kind.coding == "sum" else "Nd"
        eta = ", any η(t)" if kind.modulated else ""
        yield _Rate(
            label=f"here, {kind.family.upper()} by {name}",
            line=name,
            formula=f"{levels}{least}/({below})",
            exponent=exponent,
            assumes=f"looped Transformer with hardmax{eta}, Lᵖ error"
            + ("; up to logarithms" if kind.takes_bits else ""),
            rate=partial(_power, exponent=exponent),
        )


def _power(loops: int, *, exponent: float) -> float:
    """A power of the loop count."""
    return float(loops) ** -exponent


def _neighbours(theory: Row) -> Iterator[_Rate]:
    """Rates of others for networks that are no equivariant Transformers."""
    tokens, dim, s = theory["tokens"], theory["dim"], _holder(theory)
    size = {"tokens": tokens, "dim": dim}
    yield _Rate(
        label="Zhang, Lu & Zhao 2023",
        line="",
        formula="s/(Nd)",
        exponent=s / (tokens * dim),
        assumes="looped ReLU network on the flattened input, no Transformer, not equivariant",
        rate=lambda r: rates.zhang_lu_zhao_rate(r, **size, modulus=lambda t: t**s),
    )
    yield _Rate(
        label="Tian & Shen 2026",
        line="",
        formula="s/(Nd)",
        exponent=s / (tokens * dim),
        assumes="looped softmax block, scalar output, L² error, no η(t); times a logarithm; "
        "not read by us",
        rate=lambda r: rates.tian_shen_rate(r, **size, holder=s),
    )


def _holder(theory: Row) -> float:
    """The Hölder exponent of the target, at most 1."""
    return min(1.0, float(theory["smoothness"]["exponent"]))
