"""When eta(t) helps: what certified constructions say; of trained networks `looprate eta` does."""

from __future__ import annotations

from dataclasses import replace

from looprate.experiments.claims.check_certificates import Case, certified, judged
from looprate.experiments.claims.claim import (
    THIS,
    Claim,
    Drawn,
    Row,
    compared,
    found,
    wrong,
)
from looprate.theory.bounds.loop_counts import largest_grid
from looprate.theory.construction.memorisers import memoriser_kind
from looprate.theory.verdict import Finding, Verdict

SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)  # of the own token; the others have the rest
TARGET = "dial:token={:g},context={:g},periods=1"
GRID = 8  # of the plain network
FEWER = 32  # by which the control divides the loops of the network with eta(t)


def check_gain(timed: str = "timestep", plain: str = "increments", fewer: int = 1) -> Finding:
    """At equal loops the network with eta(t) is certified below the one without."""
    rows: list[Row] = []
    gains: dict[str, float] = {}
    for share in SHARES:
        name = TARGET.format(share, 1 - share)
        one = certified(Case(name, plain, GRID))
        loops = one.sizes["loops"] // fewer
        coding = memoriser_kind(timed).coding
        grid = largest_grid(loops, tokens=2, dim=1, memoriser=timed, coding=coding)
        other = None if grid is None else certified(Case(name, timed, grid))
        if other is None or other.error_upper is None or one.error_lower is None:
            return found(Verdict.NOT_TESTABLE, "no certificate", f"{name}: nothing to compare")
        place = f"{name}, r={loops}, m={grid} against {GRID}"
        rows.append((place, other.error_upper, one.error_lower))
        gains[f"{share:g}"] = one.error_lower / other.error_upper
    what = f"error of {timed}, upper end, against that of {plain}, lower end"
    cases = [Case(TARGET.format(share, 1 - share), plain, GRID) for share in SHARES]
    finding = judged(compared(rows, what), cases)
    if finding.verdict is not Verdict.HOLDS:
        return finding
    low, high = min(gains.values()), max(gains.values())
    figure = f"error {low:.3g} to {high:.3g} times smaller"
    evidence = finding.evidence | {"figure": figure, "gains": gains}
    return replace(finding, reason=f"{finding.reason}; {figure}", evidence=evidence)


ETA_CLAIMS = (
    Claim(
        "eta-lowers-certified-error",
        "At equal loops the construction with eta(t) is certified below the one of Lemma 4.1",
        "For every dial in scope: with no more loops than the increments network at m = 8 takes, "
        "the timestep network's certified L^1 error is below the increments network's.",
        THIS,
        ("f equivariant and continuous", "exact arithmetic", "each on the code that suits it"),
        "Two constructions differ, and so do their bounds. Whether eta(t) helps a trained network, "
        "and for which targets, is what `looprate eta` measures. For these targets it is not "
        "claimed that weight tying cannot do as well, digits come close; for the worst of a class "
        "see free-eta-separates.",
        "dial with own-token shares 0, 1/4, 1/2, 3/4, 1, one period; N = 2, d = 1, p = 1; r = 1009",
        check_gain,
        (
            wrong("the two networks exchanged", check_gain, "increments", "timestep"),
            wrong(f"eta(t) with {FEWER} times fewer loops", check_gain, fewer=FEWER),
        ),
        Drawn("eta-gain", "looprate eta --preset smoke --out runs/eta-smoke"),
        seconds=6.0,
    ),
)
