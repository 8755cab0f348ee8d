"""Hypotheses on f as a whole: permutation-equivariant and continuous."""

from __future__ import annotations

import numpy as np

from looprate.theory.hypotheses.inputs import orders
from looprate.theory.hypotheses.jumps import TINY, search_jumps
from looprate.theory.hypotheses.precision import allowance
from looprate.theory.hypotheses.probes import Checked, Probes
from looprate.theory.hypotheses.witness import plain

ENTRIES = 1 << 20  # of all permuted inputs together
SHOWN = (0, 3, 6, 9)  # decades of the radius whose changes a reason names
PROVEN = " (and true by construction)"


def equivariant(probes: Probes) -> Checked:
    """f(PX) = P f(X) up to what rounding may do."""
    subject, rng = probes.subject, probes.rng()
    ways, every = orders(subject.tokens, rng=rng)
    x = probes.few
    room = max(8, ENTRIES // (max(1, len(ways)) * x[0].size))
    x = x[rng.permutation(len(x))[:room]]
    straight, scale = subject(x), probes.precision.scale
    allowed = allowance(subject, x, probes.precision)
    worst, excess, at = 0.0, 0.0, (0, 0)
    for k, order in enumerate(ways):
        with np.errstate(invalid="ignore"):
            gaps = np.abs(subject(x[:, order]) - straight[:, order])
        gap = np.where(np.isnan(gaps), 0.0, gaps).max((1, 2))
        worst = max(worst, float(gap.max()))
        over = gap - allowed
        if over.max() > excess:
            excess, at = float(over.max()), (k, int(over.argmax()))
    evidence = {"gap": plain(worst), "scale": scale, "permutations": len(ways), "inputs": len(x)}
    which = "all permutations" if every else f"{len(ways)} permutations"
    reason = f"largest violation {worst:.2g}, {which}, {len(x)} inputs, values up to {scale:.3g}"
    if excess > 0:
        order, row = at
        return False, reason, evidence | {"x": plain(x[row]), "order": plain(ways[order])}
    return True, reason + (PROVEN if subject.proven else ""), evidence


def continuous(probes: Probes) -> Checked:
    """No change of f survives as two inputs approach each other."""
    found = search_jumps(
        probes.subject, probes.precision, p=probes.p, effort=probes.effort, rng=probes.rng()
    )
    evidence = {
        "changes": plain([list(pair) for pair in found.changes]),
        "least": found.least,
        "segments": found.segments,
    }
    if found.x is not None and found.y is not None:
        distance = float(np.linalg.norm(found.x - found.y))
        witness = {"x": plain(found.x), "y": plain(found.y), "distance": distance}
        words = f"x and y, {distance:.1g} apart, differ by {found.height:.4g} in f"
        reason = f"looks like a jump: {words}"
        return False, reason, {**evidence, "height": found.height, **witness}
    shown = [found.changes[k] for k in SHOWN]
    told = ", ".join(f"{change:.2g} at {radius:g}" for radius, change in shown)
    reason = (
        f"no jump above {found.least:.1g} on {found.segments} segments bisected to {TINY:g}; "
        f"largest changes {told}"
    )
    return True, reason + (PROVEN if probes.subject.proven else ""), evidence
