"""Whether what the user gave is a function, found out before anything is computed of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from looprate.theory.hypotheses import values
from looprate.theory.hypotheses.precision import DOUBLE, allowance
from looprate.theory.hypotheses.probes import Checked, Probes
from looprate.theory.hypotheses.subject import Array, EvaluationFailed, subject_of
from looprate.theory.hypotheses.witness import plain, with_witness
from looprate.theory.targets import OwnFunction

BUDGET, SEED = 0.1, 0
APART = 16.0  # times what rounding may do: sums of NumPy and torch are rounded differently
CURES = {
    values.deterministic: "draw no random numbers in it, fix them outside, and let it keep nothing "
    "between calls",
    values.alone: "axis 0 is the batch; did you mean axis=1? (the tokens; N is x.shape[1], the "
    "number of inputs len(x) is anything; torch's layers take tokens so with batch_first=True)",
}


def check_function(own: OwnFunction, *, tokens: int, dim: int) -> list[str]:
    """Raise unless an own function is a function: one output for one input, whatever is around it.

    Parameters
    ----------
    own : OwnFunction
        Which knows what it can be called on.
    tokens, dim : int
        N and d.

    Returns
    -------
    list of str
        What is worth a word although nothing is wrong.

    Raises
    ------
    ValueError
        If the same input gives two outputs: in two calls, in two batches, or as a NumPy array and
        as a torch tensor; or if it raises somewhere in the cube.  The message has the cure.
    """
    probes = Probes(subject_of(own, tokens=tokens, dim=dim), 2.0, BUDGET, SEED)
    try:
        for check, cure in CURES.items():
            _settle(own, check(probes), cure)
        if len(own.accepts) > 1:
            _settle(own, _same_from_both(own, probes), _CURE_OF_KINDS)
    except EvaluationFailed as error:
        _, reason, evidence = values.raised(error)
        raise ValueError(
            f"`target` {own.source!r} must be defined on the whole cube, in batches of any size: "
            f"{with_witness(reason, evidence)}; correct the function"
        ) from error
    if own.single or probes.precision.epsilon <= DOUBLE:
        return []
    return [f"computes in {values.coarseness(probes.precision)}"]


_CURE_OF_KINDS = (
    "make both the same, or let it take one kind only (torch's std and var divide by n - 1, "
    "NumPy's by n; functions that ask for the type of x may compute two things)"
)


def _settle(own: OwnFunction, checked: Checked, cure: str) -> None:
    """Raise if a check failed."""
    holds, reason, evidence = checked
    if not holds:
        told = with_witness(reason, evidence)
        raise ValueError(f"`target` {own.source!r} is no function of one input: {told}; {cure}")


def _same_from_both(own: OwnFunction, probes: Probes) -> Checked:
    """NumPy arrays and torch tensors give the same values, as far as rounding allows."""
    x = probes.spread
    kinds = [replace(own, accepts=frozenset({kind})) for kind in ("numpy", "torch")]
    subjects = [replace(probes.subject, call=kind.raw) for kind in kinds]
    found: list[Any] = [subject(x) for subject in subjects]
    precisions = [replace(probes, subject=subject).precision for subject in subjects]
    allowed: Array = APART * np.sum(
        [allowance(s, x, precision) for s, precision in zip(subjects, precisions, strict=True)], 0
    )
    gap = values.largest_gap(*found)
    if not (gap > allowed).any():
        return True, "", {}
    row = int((gap - allowed).argmax())
    at = np.unravel_index(int(np.abs(found[0][row] - found[1][row]).argmax()), x.shape[1:])
    first, second = (values[row][at] for values in found)
    reason = f"{first:.6g} for a NumPy array, {second:.6g} for a torch tensor"
    return False, reason, {"x": plain(x[row])}
