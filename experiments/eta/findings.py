"""The parts of a sweep's report: what was found of constructed and of trained networks.

A part is a dictionary of its name, its facts, its findings and its rows, one a target.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from looprate.experiments.eta.config import DialPoint, EtaConfig
from looprate.experiments.eta.gain import Certified, Match, Trained, certified_gains
from looprate.experiments.eta.statistics import (
    Growth,
    certified_gain_finding,
    growth,
    growth_finding,
    mean_gain_finding,
    seed_draws,
)
from looprate.theory.statistics.paired import CONFIDENCE
from looprate.theory.statistics.seed_intervals import expanded_percentiles
from looprate.theory.verdict import Finding, Verdict

Array = NDArray[np.float64]
Row = dict[str, Any]
DRAWS = 2000
SEED = 0  # of every resampling: the same rows give the same report
ROUNDING = 1e-9  # relative, of closed forms in floats


def trained_part(config: EtaConfig, found: Trained) -> Row:
    """Findings and rows of the trained networks."""
    rng = np.random.default_rng(SEED)
    per_seed = found.gains.mean(axis=2)  # (S, T)
    enough = len(per_seed) >= 2
    mean = per_seed.mean(axis=0) if len(per_seed) else np.zeros(per_seed.shape[1])
    draws = seed_draws(per_seed, rng) if enough else mean[None]
    findings = [
        mean_gain_finding(per_seed, claim="eta(t) lowers the trained error"),
        *_growths(config, found.points, mean, draws, len(per_seed), config.delta, "trained gain"),
        *(
            mean_gain_finding(
                found.gains[:, :, k], claim=f"eta(t) lowers the trained error at r = {r}"
            )
            for k, r in enumerate(found.loops)
        ),
    ]
    low, high = np.full((2, len(mean)), math.nan)
    if enough:
        ends = [expanded_percentiles(column, len(per_seed), CONFIDENCE) for column in draws.T]
        low, high = np.array(ends).T
    loops = ", ".join(map(str, found.loops))
    detail = f"r = {loops} (geometric mean)|bars: 95 % over {len(per_seed)} seeds"
    rows = _rows(config, "trained", found.points, (mean, low, high), config.delta, findings, detail)
    difference = found.parameters[0] / found.parameters[1] - 1
    facts = {
        "loops": found.loops,
        "seeds": len(per_seed),
        "dropped": found.dropped,
        "parameters": {"lt": found.parameters[0], "tmlt": found.parameters[1]},
        "parameter_difference": difference,
    }
    return {
        "part": "trained",
        "facts": facts,
        "note": _stopped(found),
        "findings": [f.as_dict() for f in findings],
        "rows": rows,
    }


def certified_part(config: EtaConfig, certificates: Sequence[Row], match: Match) -> Row:
    """Findings and rows of the constructed networks."""
    found, grid = certified_gains(config, certificates, match=match), config.grid
    rng = np.random.default_rng(SEED)
    middle = (found.low + found.high) / 2
    draws = rng.uniform(found.low, found.high, size=(DRAWS, len(middle)))
    what = "equal loops" if match == "loops" else "equal grids"
    which = f"certified gain at {what}"
    targets = len(found.points) // max(1, len(config.roughness))
    findings = [
        certified_gain_finding(
            found.low, found.high, claim=f"eta(t) lowers the certified error at {what}"
        ),
        *_growths(config, found.points, middle, draws, targets, 1 / grid, which),
    ]
    if match == "grid":
        findings += [_memoriser_finding(config, found), _excess_finding(config, found)]
    detail = (
        f"LT m = {grid}, r = {found.loops:,}|TMLT m = {found.tmlt_grid}, r = {found.tmlt_loops:,}"
        "|bars: certified"
    )
    name = f"constructed-{match}"
    ends = (middle, found.low, found.high)
    facts = {
        "grid": grid,
        "tmlt_grid": found.tmlt_grid,
        "loops": found.loops,
        "tmlt_loops": found.tmlt_loops,
        "left_out": len(config.points_of_dial()) - len(found.points),
    }
    return {
        "part": name,
        "facts": facts,
        "findings": [f.as_dict() for f in findings],
        "rows": _rows(config, name, found.points, ends, 1 / grid, findings, detail),
    }


def _growths(
    config: EtaConfig,
    points: Sequence[DialPoint],
    gains: Array,
    draws: Array,
    replicates: int,
    delta: float,
    which: str,
) -> list[Finding]:
    """Does the gain grow with the moduli: at one roughness (the main one), and over all targets?"""
    levels = [point.roughness for point in points]
    sums = {radii: _sums(config, points, delta, radii) for radii in ("theorem", "equal")}

    def of(x: Array, groups: Sequence[str]) -> Growth:
        rng = np.random.default_rng(SEED)
        return growth(gains, x, groups, draws=draws, replicates=replicates, rng=rng)

    shares = of(np.array([point.share for point in points]), levels)
    other = of(sums["equal"], levels)
    note = f"; with the share {_signed(shares.rank)}, with both moduli at one radius "
    note += _signed(other.rank)
    main = growth_finding(
        of(sums["theorem"], levels),
        claim=f"the {which} grows with w_tok + w_cont at fixed roughness",
        quantity="w_tok + w_cont",
        note=note,
    )
    main.evidence.update({"share": shares.as_dict(), "equal_radii": other.as_dict()})
    overall = growth_finding(
        of(sums["theorem"], ["all"] * len(points)),
        claim=f"the {which} grows with w_tok + w_cont over all targets",
        quantity="w_tok + w_cont",
        note="; roughness moves both the moduli and the difficulty",
    )
    return [main, overall]


def _sums(config: EtaConfig, points: Sequence[DialPoint], delta: float, radii: str) -> Array:
    """Return w_tok + w_cont of each target."""
    n, d, p = config.tokens, config.dim, config.p
    sums = [point.modulus_sum(delta, tokens=n, dim=d, p=p, radii=radii) for point in points]
    return np.array(sums)


def _memoriser_finding(config: EtaConfig, found: Certified) -> Finding:
    """The increments' exact error against the two moduli, label by label (Lemma 4.1)."""
    claim = "the LT's memoriser errs by at most w_tok + w_cont in every coordinate"
    bound = _sums(config, found.points, 1 / found.grid, "theorem")
    if not len(bound):
        return Finding(claim, Verdict.NOT_TESTABLE, "no certificates")
    over = int((found.memoriser > bound * (1 + ROUNDING)).sum())
    share = float((found.memoriser / bound).max())
    reason = f"largest error over bound {share:.3g} on {len(bound)} targets, exact arithmetic"
    verdict = Verdict.VIOLATED if over else Verdict.HOLDS
    return Finding(claim, verdict, reason, {"over": over, "largest_share": share})


def _excess_finding(config: EtaConfig, found: Certified) -> Finding:
    """LT - TMLT at one grid against the two terms, collisions included."""
    claim = "at equal grids LT exceeds TMLT by at most (Nd)^(1/p) (w_tok + w_cont)"
    factor = (config.tokens * config.dim) ** (1 / config.p)
    bound = factor * _sums(config, found.points, 1 / found.grid, "theorem")
    if not len(bound):
        return Finding(claim, Verdict.NOT_TESTABLE, "no certificates")
    over, open_ = found.excess_low > bound, found.excess_high > bound
    share = float((found.excess_high / bound).max())
    reason = (
        f"largest excess over bound {share:.3g} on {len(bound)} targets; inputs whose tokens share "
        "a cell are counted too, though no term of the two speaks of them"
    )
    word = Verdict.VIOLATED if over.any() else Verdict.HOLDS
    verdict = Verdict.NOT_TESTABLE if open_.any() and not over.any() else word
    return Finding(claim, verdict, reason, {"largest_share": share})


def _stopped(found: Trained) -> str:
    """A note on how far training got: no claim rests on it."""
    return (
        f"{found.improving} of {found.fits} fits still gained 5 % over the last quarter, in which "
        f"the learning rate falls to 0; the largest rate tried was the best in {found.at_edge} of "
        f"{found.cells} cells. The gain is that of this training length and these rates. A trained "
        "error is approximation plus optimisation error: nothing here confirms or refutes a bound."
    )


def hypotheses(certificates: Sequence[Row]) -> list[Finding]:
    """One finding a hypothesis, over all targets."""
    by_claim: dict[str, dict[str, Row]] = {}
    for row in certificates:
        for finding in row["hypotheses"]:
            known = by_claim.setdefault(finding["claim"], {})
            if finding["verdict"] != Verdict.HOLDS or row["target"] not in known:
                known[row["target"]] = finding
    found = []
    for claim, per_target in by_claim.items():
        failing = [name for name, f in per_target.items() if f["verdict"] != Verdict.HOLDS]
        worst = per_target[failing[0]] if failing else next(iter(per_target.values()))
        verdict = Verdict.NOT_TESTABLE if failing else Verdict.HOLDS
        looked = not worst.get("evidence", {}).get("skipped")
        failed = f"{'fails' if looked else 'is open'} on "
        where = f"{failed}{failing[0]}: " if failing else f"on all {len(per_target)}; first: "
        evidence = {} if looked else {"skipped": True}
        found.append(Finding(f"all targets: {claim}", verdict, where + worst["reason"], evidence))
    return found


def _rows(
    config: EtaConfig,
    panel: str,
    points: Sequence[DialPoint],
    gains: tuple[Array, Array, Array],
    delta: float,
    findings: Sequence[Finding],
    detail: str,
) -> list[Row]:
    """One row a target: the ratio LT/TMLT, its interval and where it stands."""
    sums = _sums(config, points, delta, "theorem")
    common = {
        "panel": panel,
        "delta": delta,
        "words": _words(findings),
        "detail": detail,
        "tokens": config.tokens,
        "dim": config.dim,
        "p": config.p,
    }
    return [
        {
            "roughness": map_in_words(point.roughness),
            "share": point.share,
            "modulus_sum": float(sums[k]),
            **{
                name: float(np.exp(ends[k])) if math.isfinite(ends[k]) else None
                for name, ends in zip(("value", "lower", "upper"), gains, strict=True)
            },
            **common,
        }
        for k, point in enumerate(points)
    ]


def _words(findings: Sequence[Finding]) -> str:
    """Verdicts of a panel's first two findings, for its title."""
    names = ("η(t) helps", "gain grows with x")
    parts = []
    for name, found in zip(names, findings, strict=False):
        undecided = found.verdict is Verdict.NOT_TESTABLE and "undecided" in found.reason
        word = "undecided" if undecided else str(found.verdict)
        rank = found.evidence.get("rank")
        parts.append(f"{name}: {word}" + (f" (ρ = {rank:+.2f})" if rank is not None else ""))
    return "|".join(parts)


def map_in_words(roughness: str) -> str:
    """The map h of a level."""
    name, _, value = roughness.partition("=")
    if name == "periods":
        return f"sine, {value} period" + ("" if value == "1" else "s")
    return f"|x - 1/2|^{value}"


def _signed(value: float | None) -> str:
    """A correlation with its sign."""
    return "undefined" if value is None else f"{value:+.2f}"
