"""Rows of every kind of figure, as a study would write them."""

from functools import partial
from pathlib import Path

from cases.construction_rows import SETTING as NETWORK
from cases.construction_rows import arithmetic_rows, constructed_rows, memoriser_rows, stage_rows
from cases.eta_rows import best_rows, bits_rows, loops_rows
from cases.eta_rows import figure_rows as eta_rows
from cases.learned_rows import figure_rows as learned_rows
from cases.reproduce_rows import figure_rows as task_rows
from cases.scaling_rows import figure_rows as scaling_rows
from looprate.figures import (
    best_of_n,
    bound_terms,
    error_against_loops,
    few_bits,
    moduli,
    rates,
    roughness,
    training_curves,
)
from looprate.figures.rows import read_rows

SETTING = {
    "target": "mean-field",
    "latex": r"f(X)_n = \frac{x_n}{2}",
    "tokens": 2,
    "dim": 1,
    "p": 2,
}
TRIVIAL = 0.5
TRAINED = {1: (0.3, 0.45, 0.2), 8: (0.05, None, 0.09), 32: (0.02, 0.04, 0.03)}  # per seed
BOUND = {10: 4.0, 10**4: 0.6, 10**6: 0.4, 10**8: 0.2}


def complete(rows, module):
    """Rows with every column of a figure, in a fixed order."""
    return [{name: row.get(name, SETTING.get(name)) for name in module.COLUMNS} for row in rows]


def main_rows(*, informative=True):
    rows = [
        {"curve": "trained", "family": family, "loops": r, "seed": seed, "value": value}
        for family in ("lt", "tmlt")
        for r, values in TRAINED.items()
        for seed, value in enumerate(values)
    ]
    for r, value in BOUND.items():
        status = "holds" if value < TRIVIAL and informative else "vacuous"
        bound = {"curve": "bound", "family": "lt", "label": "explicit, increments"}
        rows.append(bound | {"loops": r, "value": value, "status": status})
        rows.append({"curve": "rate", "label": "slope −1/4", "loops": r, "value": r**-0.25})
    rows.append({"curve": "trivial", "value": TRIVIAL, "stderr": 0.01})
    return complete(rows, error_against_loops)


def beside_rows(*, constructed=True, optional=True):
    """Rows of the main figure with one trained network, one bound and three constructions."""
    names = [*error_against_loops.COLUMNS, *(error_against_loops.OPTIONAL if optional else ())]
    rows = [{"curve": "trivial", "value": TRIVIAL}]
    rows += [
        {"curve": "trained", "family": "lt", "loops": r, "seed": 0, "value": 0.1 / r}
        for r in (1, 8)
    ]
    rows += [
        {"curve": "bound", "family": "lt", "label": "increments", "loops": r, "value": value}
        | {"status": "holds" if value < TRIVIAL else "vacuous"}
        for r, value in ((10**3, 0.6), (10**6, 0.1))
    ]
    rows += constructed_rows(TRIVIAL) if constructed else []
    return [{name: row.get(name, NETWORK.get(name)) for name in names} for row in rows]


def roughness_rows():
    """Best found errors of a rough and a smooth target, rows out of order."""
    rows = [
        {"name": name, "formula": "x", "loops": r, "parameters": 9, "value": level / r}
        | {"stderr": 0.0, "starts": 3}
        for name, level in (("rough", 1.0), ("smooth", 0.1))
        for r in (4, 1)
    ]
    return complete(rows, roughness)


def best_of_rows():
    """Best of n starts of both families, at two loop counts, as many starts apart as doublings."""
    rows = [
        {"family": family, "loops": r, "starts": n, "value": level / r / n}
        | {"low": 0.5 * level / r / n, "high": 2 * level / r / n if n > 1 else None}
        for family, level in (("lt", 1.0), ("tmlt", 0.5))
        for r in (1, 4)
        for n in (4, 2, 1)
    ]
    return complete(rows, best_of_n)


def moduli_rows():
    slopes = {"sequence": 2.0, "token": 1.0, "contextual": 0.0}
    rows = [
        {"kind": kind, "delta": delta, "lower": 0.9 * slope * delta}
        | {("upper" if kind == "token" else "exact"): slope * delta}
        for kind, slope in slopes.items()
        for delta in (0.01, 0.1, 1.0)
    ]
    return complete(rows, moduli)


def terms_rows():
    rows = []
    for version in ("theorem-3.6", "explicit-increments"):
        for r, total in BOUND.items():
            parts = {"token": 0.25 * total, "collisions": 0.75 * total, "strips": 0.0}
            status = "holds" if total < TRIVIAL else "vacuous"
            shared = {"version": version, "loops": r, "trivial": TRIVIAL, "total": total}
            rows += [shared | {"status": status, "term": t, "value": v} for t, v in parts.items()]
    return complete(rows, bound_terms)


def rates_rows():
    """A slow and two fast rates, one of them by somebody else."""
    found = {
        "Theorem 3.6, Xu & Sato 2025: s/((N+1)d+1)": 0.25,
        "here, LT by digits: s/(Nd)": 0.5,
        "Others 2020: s/(Nd)": 0.5,
    }
    rows = [
        {"label": label, "detail": "assumes much", "loops": r, "exponent": e}
        | {"value": (r / 4) ** -e}
        for label, e in found.items()
        for r in (4, 100, 10**4)
    ]
    return complete(rows, rates)


def curves_rows():
    rows = [
        {"family": family, "loops": r, "seed": seed, "step": step, "chosen": chosen}
        | {"value": (1 + seed) / (r + step) * (1.0 if chosen else 50.0)}
        for family in ("lt", "untied")
        for r in (1, 4)
        for seed in range(3)
        for step in (0, 10, 20)
        for chosen in (True, False)
    ]
    return complete(rows, training_curves)


def few_bits_rows():
    rows = [{"curve": "lower", "bits": bits, "value": 1e-3 / bits} for bits in (8, 16)]
    for name, most in (("increments", 2), ("timestep", 8)):
        shared = {"memoriser": name, "arithmetic": "int16", "bits": 15}
        rows += [
            {"curve": "run", **shared, "loops": 2 * grid**2, "needed": 4 * grid}
            | {"exact": 1.0 / grid, "value": 1.0 / grid if grid <= most else 30.0}
            for grid in (1, 2, 4, 8)
        ]
        rows += [
            {"curve": "measured", **shared, "value": 1.0 / most, "reached": name == "increments"},
            {"curve": "predicted", **shared, "value": 1.0 / most if most < 8 else None},
        ]
    return complete(rows, few_bits)


STORED = Path(__file__).resolve().parents[2] / "docs" / "figures" / "autopsy__tmlt.csv"
CASES = {
    "autopsy": lambda: read_rows(STORED),
    "error-against-loops": main_rows,
    "moduli": moduli_rows,
    "bound-terms": terms_rows,
    "rates": rates_rows,
    "training-curves": curves_rows,
    "best-of-n": best_of_rows,
    "roughness": roughness_rows,
    "memorisers": memoriser_rows,
    "arithmetic": arithmetic_rows,
    "stages": stage_rows,
    "eta-gain": eta_rows,
    "eta-best": best_rows,
    "eta-loops": loops_rows,
    "eta-bits": bits_rows,
    "few-bits": few_bits_rows,
    "learned-moduli": learned_rows,
    "scaling": scaling_rows,
} | {
    kind: partial(task_rows, kind)
    for kind in (
        "task-accuracy",
        "task-test-loops",
        "task-training",
        "task-boards",
        "task-attention",
    )
}
