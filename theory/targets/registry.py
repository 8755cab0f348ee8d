"""Targets by name: ``token-sine:periods=3``, ``0.5*mean-field + context-max``."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable

from looprate.theory.targets.base import Target
from looprate.theory.targets.context import ContextMax, SoftmaxAttention, TokenTimesMean
from looprate.theory.targets.field import SmoothField
from looprate.theory.targets.mixes import Dial, MeanField, OthersMean, TokenPower, TokenSine
from looprate.theory.targets.parameters import target_fields

__all__ = ["TARGETS"]

_CLASSES: tuple[type[Target], ...] = (
    TokenPower,
    TokenSine,
    MeanField,
    OthersMean,
    Dial,
    ContextMax,
    TokenTimesMean,
    SoftmaxAttention,
    SmoothField,
)
TARGETS: dict[str, type[Target]] = {cls.key: cls for cls in _CLASSES}

_PLUS = re.compile(r"(?<![0-9][eE])\+")  # not the sign of an exponent such as 1e+20


def target_parameters(cls: type[Target]) -> list[tuple[str, float | int | None, str]]:
    """Return (name, default, meaning) of every parameter of a target class.

    A default of None means that the parameter may be left out.
    """
    return [(f.name, f.default, f.metadata["doc"]) for f in target_fields(cls)]


def _suggestion(word: str, known: list[str]) -> str:
    """Return ``; did you mean ...?`` or nothing."""
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else ""


def _number(text: str, name: str) -> float:
    """Return the number a parameter was given."""
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"`{name}` must be a number, got {text!r}") from None


def _built_in(text: str) -> Target:
    """Return the built-in target ``name[:key=value,...]``."""
    name, colon, rest = (part.strip() for part in text.partition(":"))
    if name not in TARGETS:
        raise ValueError(
            f"`target` must be one of {', '.join(TARGETS)}, got {name!r}"
            + _suggestion(name, list(TARGETS))
        )
    known = [f.name for f in target_fields(TARGETS[name])]
    values: dict[str, float] = {}
    for item in rest.split(",") if colon and rest else []:
        key, equals, value = (part.strip() for part in item.partition("="))
        if not equals:
            raise ValueError(f"`target` {name}: expected key=value, got {item.strip()!r}")
        if key not in known:
            raise ValueError(
                f"`target` {name} has parameters {', '.join(known)}, got {key!r}"
                + _suggestion(key, known)
            )
        if key in values:
            raise ValueError(f"`target` {name}: `{key}` must be given once, got it twice")
        values[key] = _number(value, key)
    return TARGETS[name](**values)


def _term(text: str, resolve: Callable[[str], Target]) -> Target:
    """Return one term, ``name...`` or ``number*name...``."""
    head, star, tail = text.partition("*")
    if star and ":" not in head:
        return _number(head.strip(), "factor") * _term(tail.strip(), resolve)
    return resolve(text)


def parse_terms(text: str, resolve: Callable[[str], Target]) -> Target:
    """Return the sum of scaled terms that ``text`` spells, each name read by ``resolve``."""
    if not isinstance(text, str):
        raise TypeError(f"`target` must be a text such as 'mean-field:a=1', got {text!r}")
    first, *rest = (_term(part.strip(), resolve) for part in _PLUS.split(text))
    total = first
    for term in rest:
        total = total + term
    return total


def parse_target(text: str) -> Target:
    """Return the built-in target a text names.

    Parameters
    ----------
    text : str
        ``name[:key=value,...]``, terms joined by ``+``, each optionally ``number*``.

    Raises
    ------
    TypeError
        If ``text`` is no text.
    ValueError
        If a name or parameter is unknown, or a value is out of range.

    Examples
    --------
    >>> parse_target("token-sine").name
    'token-sine:periods=2,scale=1'
    """
    return parse_terms(text, _built_in)
