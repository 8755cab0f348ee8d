"""The smoothness of a built-in target as one number of its name, such as periods or alpha."""

from __future__ import annotations

from dataclasses import dataclass

from looprate.theory.targets import parse_target
from looprate.theory.targets.formula import FORMULA
from looprate.theory.targets.parameters import format_number
from looprate.theory.targets.registry import TARGETS


@dataclass(frozen=True)
class Knob:
    """A parameter that makes a target smoother or rougher.

    Attributes
    ----------
    name : str
        Of the parameter.
    words : str
        What it does.
    low, high, step : float
        Range and step of a slider; a value given by name may lie beyond.
    value : float
        At present.
    """

    name: str
    words: str
    low: float
    high: float
    step: float
    value: float = 0.0


KNOBS = (
    Knob("periods", "more is rougher", 1, 12, 1),
    Knob("alpha", "Hölder exponent, less is rougher", 0.1, 1, 0.05),
    Knob("beta", "sharpness, more is rougher", 1, 32, 1),
    Knob("length", "length scale, less is rougher", 0.1, 1, 0.05),
)


def knob_of(text: str) -> Knob | None:
    """Return the parameter of smoothness that a target's text names or leaves at its default.

    None for a formula, a sum, a multiple, a function of one's own, and a target without one.
    """
    if text.strip().startswith(FORMULA):
        return None
    try:
        target = parse_target(text)
    except (TypeError, ValueError):
        return None
    for knob in KNOBS if type(target) in TARGETS.values() else ():
        value = getattr(target, knob.name, None)
        if value is not None:
            low, high = min(knob.low, value), max(knob.high, value)
            return Knob(knob.name, knob.words, low, high, knob.step, float(value))
    return None


def turned(text: str, value: float) -> str:
    """Return a target's text with its parameter of smoothness at another value.

    Parameters
    ----------
    text : str
        One for which :func:`knob_of` returns a parameter.
    value : float

    Examples
    --------
    >>> turned("dial:token=0.5,periods=2", 3)
    'dial:token=0.5,periods=3'
    """
    knob = knob_of(text)
    if knob is None:
        raise ValueError(f"`text` must name a target with a smoothness, got {text!r}; try dial")
    name, _, rest = (part.strip() for part in text.partition(":"))
    items = [item.split("=") for item in rest.split(",") if item]
    given = {key.strip(): number.strip() for key, number in items}
    given[knob.name] = format_number(round(value, 6))
    return f"{name}:" + ",".join(f"{key}={number}" for key, number in given.items())
