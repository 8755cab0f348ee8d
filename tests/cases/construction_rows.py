"""Synthetic rows of the figures of constructed networks: plausible, measured by nobody."""

import math

__all__ = ["SETTING", "arithmetic_rows", "constructed_rows", "memoriser_rows", "stage_rows"]

SETTING = {
    "target": "dial, 1 to 8 periods",
    "latex": None,
    "tokens": 2,
    "dim": 1,
    "p": 2,
}
GRID = 3
LOOPS = {"quantise": GRID - 1, "context": 2}
INPUT = (0.45, 0.85)  # cells 1 and 2 of 3


def constructed_rows(trivial):
    """Constructed networks for the main figure, around an error of the best constant."""
    curves = {
        ("lt", "increments, sum code: slope −0.33"): (1 / 3, 1.0, 0.97),
        ("lt", "digits, rank code: slope −0.5"): (0.5, 1.4, 0.999),
        ("tmlt", "timestep, rank code: slope −0.5"): (0.5, 0.8, 0.8),
    }
    return [
        {"curve": "constructed", "family": family, "label": label, "loops": r}
        | {"value": factor * trivial * (r / 20) ** -rate}
        | {"lower": share * factor * trivial * (r / 20) ** -rate}
        for (family, label), (rate, factor, share) in curves.items()
        for r in (20, 100, 1000, 10_000, 100_000)
    ]


def memoriser_rows():
    """Increments below the gap, timestep at 0, digits at the range over 2^bits."""
    rows = []
    for periods in (1, 2, 3, 4, 6, 8):
        gap = 2 * math.sin(min(math.pi / 2, 0.19 * periods))
        shared = {"periods": periods, "gap": gap}
        rows += [
            {"memoriser": "increments", "coding": "sum", "residual": 0.62 * gap, "bound": gap}
            | {"loops": 121, **shared},
            {"memoriser": "timestep", "coding": "rank", "residual": 0.0, "bound": 0.0}
            | {"loops": 34, **shared},
        ]
        rows += [
            {"memoriser": "digits", "coding": "rank", "bits": q, "loops": 32 * q + 5}
            | {"bound": 2.0 * 2**-q, "residual": 1.8 * 2**-q, **shared}
            for q in (2, 4, 8)
        ]
    return [
        _with_setting(row, "memoriser coding periods gap residual bound bits loops") for row in rows
    ]


def arithmetic_rows():
    """Bit strings break at the digits of the significand, timestep drifts, exact is exact."""
    last = {"float32": 24, "float64": 53}
    rounding = {"float32": 6e-8, "float64": 1e-16}
    rows = []
    for arithmetic in ("float32", "float64", "exact"):
        for labels in (8, 16, 32, 64, 128, 256, 1024, 4096, 16384):
            shared = {"arithmetic": arithmetic, "labels": labels}
            for name, bits in (("increments", labels), ("digits", 4 * labels)):
                row = {"memoriser": name, "value": 0.0, "refused": 0, **shared}
                if arithmetic != "exact" and bits > last[arithmetic]:
                    limit = 128 if arithmetic == "float32" else 1024
                    row |= {"value": 0.7 if bits < limit else None, "refused": 0}
                rows.append(row)
            drift = 0.0 if arithmetic == "exact" else rounding[arithmetic] * labels
            rows.append({"memoriser": "timestep", "value": drift, "refused": 0, **shared})
    for row in rows:
        row["refused"] = bool(row["arithmetic"] == "float64" and row["value"] == 0.7)
    return [_with_setting(row, "memoriser arithmetic labels value refused") for row in rows]


def stage_rows():
    """A network for N = 2, d = 1, m = 3 with increments on the sum code."""
    cells = [math.floor(GRID * x) for x in INPUT]
    labels, table = _table()
    last = max(table)
    rows = [
        {"panel": "cells", "name": "input", "position": INPUT[0], "height": INPUT[1]},
        {"panel": "cells", "name": "cell", "position": cells[0], "height": cells[1]},
    ]
    rows += _order_rows(cells)
    for u in range(-4, 5):
        parts = {"relu(u+1)": max(0, u + 1), "relu(u)": max(0, u), "step(u)": int(u >= 0)}
        rows += [{"panel": "step", "name": n, "position": u, "height": h} for n, h in parts.items()]
    for label, value in table.items():
        used = label in labels.values()
        shared = {"panel": "staircase", "position": label}
        rows.append({**shared, "name": "table", "height": value, "used": used})
        rows.append({**shared, "name": "network", "height": round(value * 4) / 4, "used": used})
    for token in (1, 2):
        label = labels[tuple(cells) if token == 1 else tuple(reversed(cells))]
        value = round(table[label] * 4) / 4
        rows.append({"panel": "staircase", "name": "chosen", "token": token, "position": label})
        rows[-1] |= {"height": value}
    rows += _state_rows(cells, last)
    names = "panel name token loop position height used grid stage"
    return [
        _with_setting(row | {"grid": GRID}, names, latex=r"f(X)_n = \sin(2\pi x_n)") for row in rows
    ]


def _table():
    """Label of (own cell, other cell), and the value of every label with linear padding."""
    labels, known = {}, {}
    for own in range(GRID):
        for other in range(GRID):
            high, low = max(own, other), min(own, other)
            label = 2 * GRID * (GRID * high + low) + own
            labels[own, other] = label
            x, y = ((cell + 0.5) / GRID for cell in (own, other))
            known[label] = 0.5 * math.sin(2 * math.pi * x) + 0.5 * math.sin(2 * math.pi * y)
    table = {}
    for left, right in zip(sorted(known), sorted(known)[1:], strict=False):
        for label in range(left, right + 1):
            share = (label - left) / (right - left)
            table[label] = (1 - share) * known[left] + share * known[right]
    return labels, {label - min(table): value for label, value in table.items()}


def _order_rows(cells):
    """Keys at every loop of stage 2, and the maximum that is taken."""
    rows, left = [], {1, 2}
    for loop in range(GRID, GRID + 3):
        keys = {n: cells[n - 1] - (0 if n in left else 2 * GRID) for n in (1, 2)}
        shared = {"panel": "order", "loop": loop}
        rows += [{**shared, "name": "key", "token": n, "height": key} for n, key in keys.items()]
        if left:
            taken = max(left, key=keys.get)
            left.discard(taken)
            rows.append({**shared, "name": "maximum", "token": taken, "height": keys[taken]})
    return rows


def _state_rows(cells, last):
    """State of every row after every loop, loop 0 is the embedding."""
    stages = [name for name, count in LOOPS.items() for _ in range(count)]
    stages += ["values"] * (last + 1)
    first = len(stages) - last - 1
    rows = []
    for loop in range(len(stages) + 1):
        shared = {"panel": "state", "loop": loop, "stage": stages[loop - 1] if loop else None}
        sorting = min(2, max(0, loop - LOOPS["quantise"]))
        step = max(0, loop - first)
        for n in (1, 2):
            cell, x = cells[n - 1], INPUT[n - 1]
            gone = sorting >= (1 if cell == max(cells) else 2)
            s = (0, max(cells), GRID * max(cells) + min(cells))[sorting]
            label = 2 * GRID * s + cell
            state = {
                "x": x - loop / GRID,
                "z": min(cell, loop),
                "s": s,
                "out": float(gone),
                "max": (0, max(cells), min(cells))[sorting] if loop < first else 0,
                "y": math.sin(0.2 * min(step, label)),
            }
            rows += [{**shared, "name": k, "token": n, "height": v} for k, v in state.items()]
        clocks = {
            "clock": loop,
            "gate": max(0, LOOPS["quantise"] - loop) + max(0, loop - first),
            "up bits": 2.0 ** max(0, last - step),
            "down bits": 2.0 ** max(0, last - 2 * step),
            "up bit": step % 3 == 1,
            "down bit": step % 4 == 2,
        }
        rows += [{**shared, "name": k, "height": float(v)} for k, v in clocks.items()]
    return rows


def _with_setting(row, names, *, latex=None):
    """A row with all columns of its figure, in a fixed order."""
    setting = SETTING | ({"latex": latex} if latex else {})
    return {name: row.get(name) for name in names.split()} | setting
