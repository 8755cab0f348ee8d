"""Hypotheses on single values: defined, finite, repeatable, floating, each input on its own."""

from __future__ import annotations

import numpy as np

from theory.hypotheses.precision import allowance
from theory.hypotheses.probes import Checked, Probes
from theory.hypotheses.subject import Array, EvaluationFailed
from theory.hypotheses.witness import plain

__all__ = ["alone", "defined", "deterministic", "finite", "floating"]

COMPARED = 12  # inputs evaluated one by one
COARSE = 1e-9  # resolution beyond which it is worth a word


def defined(probes: Probes) -> Checked:
    """A batch of one and a batch of many come back in their shape, without NaN."""
    subject, x = probes.subject, probes.every
    try:
        subject(x[:1])
        values = subject(x)
    except EvaluationFailed as error:
        return raised(error)
    bad = np.isnan(values).any((1, 2))
    if bad.any():
        reason = f"it is NaN at x, and at {int(bad.sum())} of {len(x)} inputs in all"
        return False, reason, {"inputs": len(x), "x": plain(x[bad.argmax()])}
    reason = f"{len(x)} inputs, corners, faces and constants among them, and one by itself"
    return True, reason, {"inputs": len(x)}


def raised(error: EvaluationFailed) -> Checked:
    """What a failing evaluation says of a hypothesis."""
    if error.x is None:
        return False, f"{error}, on a batch, though on none of its inputs alone", {"raised": True}
    return False, f"{error}, at x", {"raised": True, "x": plain(error.x)}


def finite(probes: Probes) -> Checked:
    """No value is infinite; the sampled range is reported."""
    x = probes.every
    values = probes.subject(x)
    seen = values[np.isfinite(values)]
    low, high = (float(seen.min()), float(seen.max())) if seen.size else (0.0, 0.0)
    evidence = {"inputs": len(x), "low": low, "high": high}
    bad = np.isinf(values).any((1, 2))
    if bad.any():
        reason = f"it is infinite at x, and at {int(bad.sum())} of {len(x)} inputs in all"
        return False, reason, evidence | {"x": plain(x[bad.argmax()])}
    return True, f"from {low:.4g} to {high:.4g} on {len(x)} inputs", evidence


def deterministic(probes: Probes) -> Checked:
    """The same input gives the same bits, at once and after other calls, and is not changed."""
    subject, x = probes.subject, probes.few
    held = x.copy()
    with np.errstate(all="ignore"):
        subject.call(held)
    changed = (held != x).any((1, 2))
    if changed.any():
        row = int(changed.argmax())
        return (
            False,
            "it changes its input x, in place, to y",
            {
                "x": plain(x[row]),
                "y": plain(held[row]),
            },
        )
    first, again = subject(x), subject(x)
    subject(probes.spread[::-1])
    for values, when in ((again, "at once"), (subject(x), "after other calls")):
        different = ~((values == first) | (np.isnan(values) & np.isnan(first))).all((1, 2))
        if different.any():
            reason = f"the same input x again, {when}, gives a second output"
            return False, reason, _outputs(x, first, values, int(different.argmax()))
    reason = f"{len(x)} inputs three times, bit for bit, other calls in between"
    return True, reason, {"inputs": len(x)}


def alone(probes: Probes) -> Checked:
    """The output of one input does not depend on the batch it comes in."""
    subject = probes.subject
    x = probes.few[:: -(-len(probes.few) // COMPARED)]
    together = subject(x)
    single = np.concatenate([subject(x[k : k + 1]) for k in range(len(x))])
    allowed = allowance(subject, x, probes.precision)
    turned = subject(x[::-1])[::-1]
    for values, how in ((single, "by itself"), (turned, "with the others in reverse order")):
        gap = _gap(together, values)
        if (gap > allowed).any():
            row = int((gap - allowed).argmax())
            reason = f"outputs of x in a batch of {len(x)} and {how} differ by {gap[row]:.3g}"
            return False, reason, _outputs(x, together, values, row)
    reason = f"{len(x)} inputs by themselves and in two batches"
    return True, reason, {"inputs": len(x), "gap": float(_gap(together, single).max())}


def floating(probes: Probes) -> Checked:
    """float64 in, floating point out; coarser arithmetic is said with what it costs."""
    found = probes.precision
    evidence = {"dtype": found.dtype, "epsilon": found.epsilon, "resolution": found.resolution}
    if not found.floating:
        reason = f"it returns {found.dtype}, expected floating point numbers"
        return False, reason, evidence | {"x": plain(probes.few[0])}
    parts = [f"it returns {found.dtype} for float64", probes.subject.note]
    if found.resolution is None:
        parts.append("constant near most inputs")
    elif found.resolution > COARSE:
        kind = "single precision or less" if found.epsilon > COARSE else "coarse steps"
        parts.append(
            f"computes in {kind}: changes of the input below {found.resolution:.1g} are lost, and "
            "moduli at such radii mean nothing"
        )
    else:
        parts.append(f"changes of the input show down to {found.resolution:.1g}")
    return True, "; ".join(filter(None, parts)), evidence


def _outputs(x: Array, first: Array, second: Array, row: int) -> dict[str, object]:
    """An input and its two outputs, as a witness."""
    return {"x": plain(x[row]), "first": plain(first[row]), "second": plain(second[row])}


def _gap(a: Array, b: Array) -> Array:
    """Largest difference of every item, shape (B,); NaN and equal infinities do not differ."""
    with np.errstate(invalid="ignore"):
        gap = np.abs(a - b)
    return np.asarray(np.where((a == b) | np.isnan(a) | np.isnan(b), 0.0, gap).max((1, 2)))
