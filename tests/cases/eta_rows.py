"""Synthetic rows of a sweep of dials: plausible, measured by nobody."""

import math

from looprate.experiments.eta.config import EtaConfig
from looprate.experiments.eta.plan import compared_specs

__all__ = ["TMLT_ERROR", "certificates", "figure_rows", "fit_rows"]

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
