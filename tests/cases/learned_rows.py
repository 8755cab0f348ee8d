"""Stored rows of trained networks' moduli, and the rows of their figure."""

from looprate.experiments.learned.summary import figure_rows as rows_of_figure
from looprate.experiments.learned.summary import learned_cells
from looprate.figures import learned_moduli

__all__ = ["figure_rows", "stored"]


def stored(bounds, *, target=(1.0, 1.0), kind="token", loops=2, family="lt"):
    """Rows of one cell: (lower, upper) of each seed, and of the target."""
    shared = {"target": "t", "latex": "x_n", "tokens": 2, "dim": 1, "p": 1.0, "kind": kind}
    shared |= {"delta": 0.1, "note": ""}
    lower, upper = target
    first = {"what": "target", "lower": lower, "upper": upper, "exact": lower == upper}
    networks = [
        {"what": "network", "family": family, "loops": loops, "seed": seed, "error": 0.1}
        | {"lower": low, "upper": high}
        for seed, (low, high) in enumerate(bounds)
    ]
    return [row | shared for row in (first, *networks)]


def figure_rows():
    """Two families at three loop counts, three seeds, some certified."""
    rows = []
    for family, factor in (("lt", 1.5), ("tmlt", 1.1)):
        for loops in (1, 4, 16):
            bounds = [(factor, 2.0 * factor), (factor + 0.3, None), (factor + 0.1, 3.0 * factor)]
            rows += stored(bounds, loops=loops, family=family)
    (table,) = rows_of_figure(learned_cells(rows)).values()
    return [{name: row[name] for name in learned_moduli.COLUMNS} for row in table]
