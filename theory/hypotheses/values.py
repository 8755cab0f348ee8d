"""Hypotheses on single values: defined, finite, repeatable, floating, each input on its own."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np

from looprate.theory.hypotheses.precision import Precision, allowance
from looprate.theory.hypotheses.probes import Checked, Probes
from looprate.theory.hypotheses.subject import Array, EvaluationFailed
from looprate.theory.hypotheses.witness import plain

COMPARED = 12  # inputs evaluated one by one
PARTS = (1, 2, 7)  # sizes of batches, as many of each as hold all inputs once
MANY, MOST_ENTRIES = 300, 1 << 20  # inputs of a large batch
REPEATS, MORE_REPEATS = 24, 400  # calls on one input; where it draws random numbers
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
    first, held = subject(x), x.copy()
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
    again = subject(x)
    subject(probes.spread[::-1])
    for values, when in ((again, "at once"), (subject(x), "after other calls")):
        different = ~((values == first) | (np.isnan(values) & np.isnan(first))).all((1, 2))
        if different.any():
            reason = f"the same input x again, {when}, gives a second output"
            return False, reason, _outputs(x, first, values, int(different.argmax()))
    if (other := _again(probes)) is not None:
        return other
    reason = f"{len(x)} inputs three times, bit for bit, other calls in between"
    return True, reason, {"inputs": len(x)}


def _again(probes: Probes) -> Checked | None:
    """Call often on one input, more often if a call moves the global random numbers."""
    subject, x = probes.subject, probes.spread[:2]
    first, calls, k = subject(x), REPEATS, 0
    while k < calls:
        k += 1
        state = _drawn()
        values = subject(x)
        if not np.array_equal(values, first, equal_nan=True):
            row = int((values != first).any((1, 2)).argmax())
            reason = f"the same input x again, in call {k}, gives a second output"
            return False, reason, _outputs(x, first, values, row)
        if _drawn() != state:
            calls = MORE_REPEATS
    return None


def _drawn() -> list[Any]:
    """Return where the global random number generators are."""
    _, keys, *place = np.random.get_state()  # noqa: NPY002
    torch = sys.modules.get("torch")
    state = b"" if torch is None else torch.random.get_rng_state().numpy().tobytes()
    return [np.asarray(keys).tobytes(), place, random.getstate(), state]


def alone(probes: Probes) -> Checked:
    """The output of one input does not depend on the batch it comes in."""
    subject = probes.subject
    x = probes.few[:: -(-len(probes.few) // COMPARED)]
    together = subject(x)
    allowed = allowance(subject, x, probes.precision)
    worst = 0.0
    for how, values in _batches(probes, x):
        gap = largest_gap(together, values)
        worst = max(worst, float(gap.max()))
        if (gap > allowed).any():
            row = int((gap - allowed).argmax())
            reason = f"outputs of x in a batch of {len(x)} and {how} differ by {gap[row]:.3g}"
            return False, reason, _outputs(x, together, values, row)
    reason = f"{len(x)} inputs by themselves and in batches of several sizes and orders"
    return True, reason, {"inputs": len(x), "gap": worst}


def _batches(probes: Probes, x: Array) -> Iterator[tuple[str, Array]]:
    """Yield the values of inputs in batches of other sizes and in another order."""
    subject = probes.subject
    for size in PARTS:
        parts = [subject.output(x[k : k + size]).values for k in range(0, len(x), size)]
        yield ("by itself" if size == 1 else f"in one of {size}"), np.concatenate(parts)
    yield "with the others in reverse order", subject.output(x[::-1]).values[::-1]
    others = probes.every
    count = max(len(x), min(MANY, MOST_ENTRIES // x[0].size))
    many = np.concatenate([x, np.resize(others, (count, *x.shape[1:]))])[:count]
    yield f"in one of {count}", subject.output(many).values[: len(x)]


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
    elif found.narrow or found.resolution > COARSE:
        parts.append(f"computes in {coarseness(found)}")
    else:
        parts.append(f"changes of the input show down to {found.resolution:.1g}")
    return True, "; ".join(filter(None, parts)), evidence


def coarseness(found: Precision) -> str:
    """Return a few words on arithmetic coarser than double precision, and what it costs."""
    kind = "single precision or less" if found.epsilon > COARSE else "coarse steps"
    if found.narrow:
        kind = f"{found.narrow} inside, single precision or less"
    cost = f"its values are exact to about {found.epsilon:.0e} of their size only"
    if found.resolution is not None and found.resolution > COARSE:
        cost = (
            f"changes of the input below {found.resolution:.1g} are lost, and moduli at such radii "
            "mean nothing"
        )
    return f"{kind}: {cost}"


def _outputs(x: Array, first: Array, second: Array, row: int) -> dict[str, object]:
    """An input and its two outputs, as a witness."""
    return {"x": plain(x[row]), "first": plain(first[row]), "second": plain(second[row])}


def largest_gap(a: Array, b: Array) -> Array:
    """Largest difference of every item, shape (B,); NaN and equal infinities do not differ."""
    with np.errstate(invalid="ignore"):
        gap = np.abs(a - b)
    return np.asarray(np.where((a == b) | np.isnan(a) | np.isnan(b), 0.0, gap).max((1, 2)))
