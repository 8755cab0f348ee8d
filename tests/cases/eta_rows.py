"""Synthetic rows of a sweep of dials: plausible, measured by nobody."""

import math

import numpy as np

from looprate.experiments.eta.config import EtaConfig
from looprate.experiments.eta.plan import compared_specs

__all__ = [
    "TMLT_ERROR",
    "best_rows",
    "bits_rows",
    "certificates",
    "figure_rows",
    "fit_rows",
    "loops_rows",
    "start_rows",
]

NOISE = 0.02
TMLT_ERROR = 0.2


def figure_rows():
    """Two levels, three shares, all panels."""
    rows = []
    for panel, slope in (("constructed-loops", 0.5), ("constructed-grid", 0.2), ("trained", 0.0)):
        for level, scale in (("sine, 1 period", 1.0), ("|x - 1/2|^0.5", 0.4)):
            for share, x in ((-0.25, 1.8), (0.0, 1.2), (1.0, 1.0)):
                ratio = math.exp(slope * (x - 0.9))
                rows.append(
                    {"panel": panel, "roughness": level, "share": share, "modulus_sum": scale * x}
                    | {"value": ratio, "lower": 0.95 * ratio, "upper": 1.05 * ratio}
                    | {"delta": 0.125, "words": "η(t) helps: holds|gain grows with x: undecided"}
                    | {"detail": "r = 8|bars: 95 % over 8 seeds", "target": None, "latex": None}
                    | {"tokens": 3.0, "dim": 1.0, "p": 1.0}
                )
    return rows


def fit_rows(config: EtaConfig, log_gain):
    """Stored fits whose log(LT / TMLT) is ``log_gain(point, loops, seed)`` plus common noise."""
    rows = []
    for point in config.points_of_dial():
        for r in config.loops:
            for seed in range(config.seeds):
                tmlt = 0.1 * (1 + NOISE * math.sin(37.0 * seed + r))
                for family in ("lt", "tmlt"):
                    error = tmlt * (math.exp(log_gain(point, r, seed)) if family == "lt" else 1.0)
                    rows += [
                        {"target": point.name, "tokens": config.tokens, "dim": config.dim}
                        | {"p": config.p, "family": family, "loops": r, "seed": seed}
                        | {"learning_rate": rate, "validation_error": error * worse}
                        | {"error": error * worse, "late_gain": 0.0}
                        | {"parameters": 2000 if family == "lt" else 2010}
                        for rate, worse in ((0.01, 1.0), (0.02, 1.5))
                    ]
    return rows


def certificates(config: EtaConfig, log_gain, *, width=0.01):
    """Stored certificates whose middle log(LT / TMLT) is ``log_gain(point)``, at every grid."""
    found = {"claim": "the target is continuous", "verdict": "holds", "reason": "", "evidence": {}}
    rows = []
    for point in config.points_of_dial():
        for spec in compared_specs(config):
            middle = TMLT_ERROR * (1.0 if spec.modulated else math.exp(log_gain(point)))
            rows.append(
                {"target": point.name, "p": config.p, "memoriser": spec.memoriser}
                | {"grid": spec.grid, "loops": spec.loops, "verdict": "vacuous"}
                | {"error_lower": middle * (1 - width), "error_upper": middle * (1 + width)}
                | {"memoriser_error": 0.0 if spec.modulated else 0.05, "hypotheses": [found]}
            )
    return rows


def start_rows(config, log_error, *, seed=0, noise=0.3):
    """Stored banks of starts: log errors are ``log_error(cell, loops, bits)``, plus noise."""
    rng, rows = np.random.default_rng(seed), []
    for cell in config.cells():
        for loops, bits in config.tests(cell):
            errors = np.exp(log_error(cell, loops, bits) + noise * rng.normal(size=config.seeds))
            rows.append(
                {"target": cell.dial.name, "arm": cell.arm, "loops": cell.loops, "law": cell.law}
                | {"bits": cell.bits, "test_loops": loops, "test_bits": bits, "seconds": 1.0}
                | {"parameters": 600, "errors": errors.tolist()}
            )
    return rows


SETTING = {"target": None, "latex": None, "tokens": 2.0, "dim": 1.0, "p": 1.0}


def _with_bar(value):
    return {"value": value, "lower": 0.9 * value, "upper": 1.1 * value, "words": "it helps: holds"}


def best_rows():
    """Ratios of bests of three arms at three loop counts: the mean and one target."""
    rows = []
    for panel in ("parameters", "blocks"):
        for k, arm in enumerate(("table", "relu", "silu")):
            for r in (2.0, 4.0, 8.0):
                own = {"panel": panel, "arm": arm, "loops": r, "smallest": 1.0}
                rows.append(SETTING | own | _with_bar(r ** (0.2 * k)))
                alone = {"value": 1.2 * r ** (0.2 * k), "words": "it helps: holds", "target": "t"}
                rows.append(SETTING | own | alone | {"lower": None, "upper": None})
    return rows


def loops_rows():
    """Errors at other loop counts than those of training."""
    return [
        SETTING
        | _with_bar(0.1 * (1 + abs(math.log(r / trained))))
        | {"arm": arm, "law": law, "target": "t", "trained": trained, "loops": r}
        for arm in ("lt", "silu")
        for law in ("fixed", "uniform")
        for trained in (4.0, 8.0)
        for r in (trained / 2, trained, 4 * trained)
    ]


def bits_rows():
    """Errors with the state rounded."""
    return [
        SETTING
        | _with_bar(0.1 + 2.0 ** -(bits or 99) * r)
        | {"arm": arm, "when": when, "bits": bits, "target": "t", "loops": r}
        for arm in ("lt", "silu")
        for when, bits in (("never", None), ("after", 4.0), ("during", 4.0), ("after", 8.0))
        for r in (2.0, 8.0)
    ]
