"""What the explorer shows, and its form in the address of the page."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any
from urllib.parse import quote, urlencode

from looprate.experiments.study.certificates import asked_spec
from looprate.theory.bounds.loop_counts import CODINGS
from looprate.theory.construction.build.memoriser import Coding
from looprate.theory.construction.build.spec import ConstructionSpec
from looprate.theory.construction.memorisers import memoriser_kind
from looprate.theory.notation import check_choice, check_dim, check_loops, check_p, check_tokens
from looprate.theory.targets import parse_target
from looprate.theory.targets.formula import FORMULA

LARGEST_SHAPE = 6  # N * d for which the searches answer while one waits
LARGEST_GRID = 16
LARGEST_LOOPS = 10**12
ROUGHEST = 0.1  # Hölder exponent
USUAL = "usual"  # the code that suits the memoriser
CODES = (USUAL, *CODINGS)
CODE_TITLE = "Code (of cells in one label)"
#: What the page, the theorem and the command line call the parts of a setting.
ALIASES = {
    **{"f": "target", "N": "tokens", "n": "tokens", "d": "dim", "r": "loops"},
    **{"m": "grid", "cells": "grid", "t": "step", "δ": "delta", "radius": "delta"},
    **{"s": "holder", "code": "coding", "x": "point", "input": "point"},
}
#: What the picture over two coordinates shows -> what its list calls it.
DRAWN = {"f": "the function f", "network": "the network T", "difference": "T − f"}


@dataclass(frozen=True)
class Setting:
    """One state of the page.

    Attributes
    ----------
    target : str
        As :func:`looprate.theory.targets.resolve_target` takes it: a name, a formula, a function.
    tokens, dim : int
        N and d.
    p : float
        Exponent of the error's norm.
    delta : float
        Radius at which the moduli are read off.
    loops : int
        r at which the bound is read off.
    memoriser : str
        Of the constructed network.
    coding : str
        Its code, of :data:`CODES`.
    grid : int
        Cells a side of the constructed network.
    step : int
        Loop t after which its state is shown.
    holder : float
        Hölder exponent s of the class whose worst case is shown.
    point : str
        Coordinates of the input, token by token, such as 0.8,0.3; those left out are as usual.
    across, up : int
        Coordinates over which f is drawn, counted through all tokens from 0.
    drawn : str
        One of :data:`DRAWN`.
    """

    target: str = "dial:token=0.5,context=0.5,periods=2"
    tokens: int = 2
    dim: int = 1
    p: float = 1.0
    delta: float = 0.1
    loops: int = 10_000
    memoriser: str = "timestep"
    coding: str = USUAL
    grid: int = 4
    step: int = 0
    holder: float = 1.0
    point: str = ""
    across: int = 0
    up: int = 1
    drawn: str = "f"

    def __post_init__(self) -> None:
        check_tokens(self.tokens), check_dim(self.dim), check_p(self.p)
        memoriser_kind(self.memoriser)
        check_choice(self.coding, "coding", CODES)
        check_loops(self.loops)
        if self.tokens * self.dim > LARGEST_SHAPE:
            raise ValueError(
                f"`tokens` times `dim` must be at most {LARGEST_SHAPE} here, got "
                f"{self.tokens * self.dim}; the command line takes more"
            )
        _check_between("delta", self.delta, 1e-3, 1.0)
        _check_between("loops", self.loops, 1, LARGEST_LOOPS)
        _check_between("grid", self.grid, 2, LARGEST_GRID)
        _check_between("step", self.step, 0, LARGEST_LOOPS)
        _check_between("holder", self.holder, ROUGHEST, 1.0)
        check_choice(self.drawn, "drawn", tuple(DRAWN))
        for name in ("across", "up"):
            _check_between(name, getattr(self, name), 0, LARGEST_SHAPE - 1)
        for value in self.given:
            _check_between("point", value, 0.0, 1.0)

    @property
    def shape(self) -> dict[str, Any]:
        """N and d as keyword arguments."""
        return {"tokens": self.tokens, "dim": self.dim}

    @property
    def code(self) -> Coding:
        """The code of the constructed network, by its own name."""
        own = memoriser_kind(self.memoriser).coding
        return next((coding for coding in CODINGS if coding == self.coding), own)

    @property
    def spec(self) -> ConstructionSpec:
        """The constructed network's choices.

        Raises
        ------
        ValueError
            If the grid has fewer cells than there are tokens.
        """
        return asked_spec(**self.shape, grid=self.grid, memoriser=self.memoriser, coding=self.code)

    @property
    def given(self) -> list[float]:
        """The coordinates of the input that ``point`` names, as many as the function has.

        Raises
        ------
        ValueError
            If one of them is no number.
        """
        words = [word for word in self.point.split(",") if word.strip()]
        try:
            return [float(word) for word in words][: self.tokens * self.dim]
        except ValueError:
            raise ValueError(
                f"`point` must be numbers from 0 to 1, got {self.point!r}; try 0.8,0.3"
            ) from None

    @property
    def plane(self) -> tuple[int, int]:
        """The two coordinates over which f is drawn; one twice where there is no other."""
        count = self.tokens * self.dim
        across = self.across if self.across < count else 0
        others = [k for k in range(count) if k != across]
        up = self.up if self.up in others else others[0] if others else across
        return across, up

    def query(self, usual: Setting | None = None) -> str:
        """Return the setting as the query of an address, without what is as usual."""
        own, known = asdict(self), asdict(usual or Setting())
        return urlencode({k: v for k, v in own.items() if v != known[k]}, quote_via=quote)

    def changed(self, **changes: Any) -> Setting:
        """Return the setting with some parts replaced."""
        return replace(self, **changes)


def whole(value: str | float | None) -> int:
    """Return what was typed as a whole number, such as 3, 3.0 or 1e6.

    Raises
    ------
    ValueError
        If it is none.
    """
    number = math.nan if value is None else float(value)
    if not number.is_integer():
        raise ValueError(f"a number of tokens or coordinates must be a whole one, got {value}")
    return int(number)


def exponent(value: str) -> float:
    """Return what was typed as an exponent p, such as 1, 2.5 or inf.

    Raises
    ------
    ValueError
        If it is no number.
    """
    try:
        return float(value)
    except ValueError:
        raise ValueError(f"`p` must be a number of at least 1, got {value!r}; try 2") from None


def _check_between(name: str, value: float, low: float, high: float) -> None:
    """Raise unless a number is in its range."""
    if not low <= value <= high:
        raise ValueError(f"`{name}` must be from {low:g} to {high:g}, got {value:g}")


def check_typed(target: str, own: str) -> None:
    """Raise unless a page may ask for a target: a built-in one, a formula, or ``own``.

    Any other page in the browser can open this one with an address of its making.  So an address
    or a field never names a file or module, whose code would run; only the command line does.

    Parameters
    ----------
    target : str
        As it was typed.
    own : str
        What the command line gave.

    Raises
    ------
    ValueError
        If it is none of these.
    """
    if target == own or target.strip().startswith(FORMULA):
        return
    try:
        parse_target(target)
    except ValueError as error:
        raise ValueError(
            f"{error}; or type a formula such as {FORMULA} sin(6*x) + mean(x)/2 (a function of "
            "your own is given to looprate explore --target)"
        ) from None


def setting_of(arguments: Mapping[str, Sequence[bytes]], usual: Setting | None = None) -> Setting:
    """Return the setting that the arguments of an address spell.

    Parameters
    ----------
    arguments : mapping of str to sequence of bytes
        As the server gives them; the letters of the page, such as m, are understood.
    usual : Setting, optional
        What they leave out.

    Raises
    ------
    ValueError
        If a name is unknown or a value is out of range.
    """
    usual = usual or Setting()
    kinds: dict[str, Any] = {f.name: type(getattr(usual, f.name)) for f in fields(Setting)}
    changes: dict[str, Any] = {}
    for given, values in arguments.items():
        name = ALIASES.get(given, given)
        if name not in kinds:
            raise ValueError(_unknown(given, kinds))
        text = values[-1].decode("utf-8", "replace")
        try:
            changes[name] = whole(text) if kinds[name] is int else kinds[name](text)
        except ValueError:
            word = {int: "an integer", float: "a number"}[kinds[name]]
            raise ValueError(f"`{given}` must be {word}, got {text!r}") from None
    return usual.changed(**changes)


def _unknown(name: str, kinds: Mapping[str, Any]) -> str:
    """Say that no part of a setting has a name, and which one may have been meant."""
    close = difflib.get_close_matches(name.lower(), [*kinds, *ALIASES], n=1, cutoff=0.6)
    cure = f"did you mean {ALIASES.get(close[0], close[0])}?" if close else "leave it out"
    return f"`{name}` must be one of {', '.join(kinds)}, or a letter f, N, d, r, m, t; {cure}"
