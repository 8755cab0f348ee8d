"""Checks of the claims about moduli of continuity, and the broken moduli of their controls.

Every check asks for a bracket of a modulus, (lower, upper): lower is attained by a pair of inputs
or an exact closed form, upper a closed form.  A relation "w here <= w there" is tested as
"lower here <= upper there", which it implies.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np

from looprate.experiments.claims.claim import Row, compared
from looprate.theory.continuity import ModulusLowerCurve, modulus_lower_bound
from looprate.theory.gate import under_hypotheses
from looprate.theory.hypotheses import check_hypotheses
from looprate.theory.norms import p_norm
from looprate.theory.notation import KINDS, Kind
from looprate.theory.targets import OwnFunction, resolve_target
from looprate.theory.verdict import Finding, Verdict

Bracket = Callable[["Setting", Kind, int], tuple[float, float]]
STEP = 0.05  # radii are whole multiples of it, so that they add up exactly
MULTIPLES = (1, 2, 3, 4, 6, 8, 9, 12)
EFFORT = 0.3  # of the search for pairs
REACH = 0.99  # of an exact modulus that the search must reach
SAME = 1e-12  # of a value, for two evaluations of the same pair
CERTIFIED_AT = 0.1  # radius of the certified brackets
CERTIFIED_SECONDS = 1.0  # of branch and bound, each


@dataclass(frozen=True)
class Setting:
    """A target in one shape and norm."""

    target: str
    tokens: int = 2
    dim: int = 1
    p: float = 2.0

    def shape(self) -> dict[str, Any]:
        """N, d and p as keyword arguments."""
        return {"tokens": self.tokens, "dim": self.dim, "p": self.p}

    def __str__(self) -> str:
        return f"{self.target} (N={self.tokens}, d={self.dim}, p={self.p:g})"


SETTINGS = (
    Setting("mean-field", p=1.0),
    Setting("dial:token=0.7,context=0.3,periods=1"),
    Setting("token-power:alpha=0.5", tokens=3, p=1.0),
    Setting("others-mean", tokens=3),
    Setting("context-max", dim=2, p=float("inf")),
    Setting("token-times-mean", dim=2),
    Setting("softmax-attention"),
)


CERTIFIED = (Setting("mean-field"), Setting("token-times-mean"), Setting("softmax-attention"))


@lru_cache(maxsize=64)
def attained(setting: Setting, kind: Kind) -> ModulusLowerCurve:
    """Lower bounds at every radius, with the pairs that attain them."""
    radii = STEP * np.array(MULTIPLES)
    target = resolve_target(setting.target)
    return modulus_lower_bound(target, radii, kind=kind, effort=EFFORT, **setting.shape())


def proven(setting: Setting, kind: Kind, steps: float) -> tuple[float, str]:
    """The closed form at a radius and its side."""
    form = resolve_target(setting.target).closed_form(STEP * steps, kind=kind, **setting.shape())
    if form is None:
        raise ValueError(f"`target` must have closed forms here, got {setting.target}")
    return form.value, form.side


def bracket(setting: Setting, kind: Kind, steps: int) -> tuple[float, float]:
    """What is known of a modulus at ``steps`` times 0.05: a lower and an upper bound."""
    upper, side = proven(setting, kind, steps)
    if side == "exact" or steps not in MULTIPLES:
        return (upper if side == "exact" else 0.0), upper
    return float(attained(setting, kind).direct[MULTIPLES.index(steps)]), upper


# -- broken ingredients ----------------------------------------------------------------------------
def halved(setting: Setting, kind: Kind, steps: int, *, only: Kind = "sequence") -> Any:
    """One modulus taken half as large."""
    lower, upper = bracket(setting, kind, steps)
    return (lower / 2, upper / 2) if kind == only else (lower, upper)


def mirrored(setting: Setting, kind: Kind, steps: int) -> tuple[float, float]:
    """A modulus that falls with its radius."""
    return bracket(setting, kind, max(MULTIPLES) + 1 - steps)


def squared(setting: Setting, kind: Kind, steps: int) -> tuple[float, float]:
    """w(t)^4: superadditive, also where w grows like a square root."""
    lower, upper = bracket(setting, kind, steps)
    return lower**4, upper**4


def lifted(setting: Setting, kind: Kind, steps: int) -> tuple[float, float]:
    """A modulus that does not start at 0."""
    lower, upper = bracket(setting, kind, steps)
    return lower + 0.01, upper + 0.01


# -- checks ----------------------------------------------------------------------------------------
def check_zero(known: Bracket = bracket) -> Finding:
    """w(0) = 0."""
    rows = [(f"{kind}, {s}", known(s, kind, 0)[1], 0.0) for s in SETTINGS for kind in KINDS]
    return compared(rows, "modulus at radius 0 against 0", exact=True)


def check_monotone(known: Bracket = bracket) -> Finding:
    """w(s) <= w(t) for s <= t."""
    rows = [
        (f"{kind}, {s}, t={STEP * b:g}", known(s, kind, a)[0], known(s, kind, b)[1])
        for s in SETTINGS
        for kind in KINDS
        for a in MULTIPLES
        for b in MULTIPLES
        if a < b
    ]
    return compared(rows, "w(s) against w(t), s < t")


def check_subadditive(known: Bracket = bracket) -> Finding:
    """w(s + t) <= w(s) + w(t)."""
    rows = [
        (
            f"{kind}, {s}, s={STEP * a:g}, t={STEP * b:g}",
            known(s, kind, a + b)[0],
            known(s, kind, a)[1] + known(s, kind, b)[1],
        )
        for s in SETTINGS
        for kind in KINDS
        for a in MULTIPLES
        for b in MULTIPLES
        if a <= b and a + b in MULTIPLES
    ]
    return compared(rows, "w(s + t) against w(s) + w(t)")


def check_multiples(known: Bracket = bracket) -> Finding:
    """w(k t) <= k w(t)."""
    rows = [
        (f"{kind}, {s}, k={k}, t={STEP * a:g}", known(s, kind, k * a)[0], k * known(s, kind, a)[1])
        for s in SETTINGS
        for kind in KINDS
        for a in MULTIPLES
        for k in (2, 3, 4, 6)
        if k * a in MULTIPLES
    ]
    return compared(rows, "w(kt) against k w(t)")


def check_below_sequence(kind: Kind, known: Bracket = bracket) -> Finding:
    """The token or contextual modulus never exceeds the sequence modulus."""
    rows = [
        (f"{s}, t={STEP * a:g}", known(s, kind, a)[0], known(s, "sequence", a)[1])
        for s in SETTINGS
        for a in MULTIPLES
    ]
    return compared(rows, f"{kind} against sequence modulus")


def check_vanishing(kind: Kind, settings: tuple[Setting, ...]) -> Finding:
    """One modulus is 0: by its closed form, and no pair of inputs is found against it."""
    rows: list[Row] = []
    for s in settings:
        worst = float(attained(s, kind).direct.max())
        rows += [(f"best pair, {s}", worst, SAME)]
        rows += [(f"closed form, {s}", bracket(s, kind, a)[1], 0.0) for a in MULTIPLES]
    return compared(rows, f"{kind} modulus against 0", exact=True)


def check_one_token(tokens: int = 1) -> Finding:
    """With one token there is no context, and the token modulus is the sequence modulus."""
    rows: list[Row] = []
    for s in (Setting(name, tokens, 2) for name in ("mean-field", "token-sine", "context-max")):
        for a in MULTIPLES:
            place, token = f"{s}, t={STEP * a:g}", bracket(s, "token", a)
            sequence = bracket(s, "sequence", a)
            rows.append((f"contextual, {place}", bracket(s, "contextual", a)[1], 0.0))
            rows.append((f"token, {place}", token[0], sequence[1]))
            rows.append((f"sequence, {place}", sequence[0], token[1]))
        rows.append((f"pair, {s}", float(attained(s, "contextual").direct.max()), 0.0))
    return compared(rows, "contextual against 0, token against sequence modulus, N = 1")


def by_place(x: Any) -> Any:
    """A function that looks at the places of its tokens: not equivariant."""
    return x * (1.0 + np.arange(x.shape[1]))[None, :, None]


def check_watched_row(f: Callable[[Any], Any] | None = None) -> Finding:
    """A pair found for one output token gives the same value for any other, tokens permuted."""
    rows: list[Row] = []
    for s in (s for s in SETTINGS if s.tokens > 1):
        g = f or resolve_target(s.target)
        for kind in ("token", "contextual"):
            for bound in attained(s, kind).pairs:
                values = [_at_place(g, bound.x, bound.y, n, s.p) for n in range(s.tokens)]
                spread = max(values) - min(values)
                rows.append((f"{kind}, {s}, t={bound.delta:g}", spread, SAME * (1 + values[0])))
    finding = compared(rows, "spread of a pair's value over the watched token", exact=True)
    if f is None:
        return finding
    own = OwnFunction("f", f)
    shapes = sorted({(s.tokens, s.dim) for s in SETTINGS if s.tokens > 1})
    known = [
        one
        for tokens, dim in shapes
        for one in check_hypotheses(own, tokens=tokens, dim=dim, p=2.0, effort=0.1)
    ]
    return under_hypotheses(finding, known)


def _at_place(f: Callable[[Any], Any], x: Any, y: Any, place: int, p: float) -> float:
    """‖f(x)_n - f(y)_n‖_p with token 0 of both moved to a place n."""
    order = np.roll(np.arange(len(x)), place)
    gap = np.asarray(f(x[order][None]))[0, place] - np.asarray(f(y[order][None]))[0, place]
    return float(p_norm(gap, p))


def check_never_exceeds(known: Bracket = bracket) -> Finding:
    """A pair that was found never moves the output by more than the closed form says."""
    rows = [
        (f"{kind}, {s}, t={STEP * a:g}", float(value), known(s, kind, a)[1])
        for s in SETTINGS
        for kind in KINDS
        for a, value in zip(MULTIPLES, attained(s, kind).direct, strict=True)
    ]
    return compared(rows, "attained value against closed form")


def check_comes_close(known: Bracket = bracket) -> Finding:
    """Where a closed form is exact, the search comes within one per cent of it."""
    rows = [
        (f"{kind}, {s}, t={STEP * a:g}", REACH * known(s, kind, a)[1], float(value))
        for s in SETTINGS
        for kind in KINDS
        for a, value in zip(MULTIPLES, attained(s, kind).lower, strict=True)
        if proven(s, kind, a)[1] == "exact"
    ]
    return compared(rows, f"{REACH:g} times the exact closed form against the lower bound")


def doubled(setting: Setting, kind: Kind, steps: int) -> tuple[float, float]:
    """A closed form twice too large."""
    lower, upper = bracket(setting, kind, steps)
    return lower, 2 * upper


def check_brackets(share: float = 1.0) -> Finding:
    """The lower bound never exceeds the certified upper bound; ``share`` shrinks its radius."""
    from looprate.theory.continuity import modulus_upper_bound

    rows, gaps = [], []
    for s in CERTIFIED:
        target = resolve_target(s.target)
        for kind in KINDS:
            top = modulus_upper_bound(
                target, share * CERTIFIED_AT, kind=kind, seconds=CERTIFIED_SECONDS, **s.shape()
            )
            pair = modulus_lower_bound(target, CERTIFIED_AT, kind=kind, effort=EFFORT, **s.shape())
            rows.append((f"{kind}, {s}", pair.value, top.value))
            gaps.append(top.value / pair.value - 1 if pair.value else 0.0)
    finding = compared(rows, f"attained value against certified upper bound, t={CERTIFIED_AT:g}")
    if finding.verdict is not Verdict.HOLDS:
        return finding
    evidence = finding.evidence | {"gaps": gaps}
    evidence["figure"] = f"{len(rows)} brackets, widest gap {100 * max(gaps):.3g} %"
    return replace(finding, evidence=evidence)
