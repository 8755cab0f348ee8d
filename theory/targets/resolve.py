"""Targets by what the user writes: ``path/file.py:name``, ``module:name``, ``formula:``, a name."""

from __future__ import annotations

import importlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from looprate.theory.notation import check_dim, check_tokens
from looprate.theory.targets.base import Target, namespace
from looprate.theory.targets.formula import FORMULA, Formula
from looprate.theory.targets.home import Home, same_random_numbers, the_module
from looprate.theory.targets.modules import copied, held_by, made
from looprate.theory.targets.own import OwnFunction, accepted, in_words, the_torch
from looprate.theory.targets.registry import TARGETS, parse_target, parse_terms

__all__ = ["settled"]

BATCH, SEED = 5, 0  # of the inputs on which it is found out how a function is called
WAYS = {"numpy": "NumPy", "torch": "torch"}


def load_function(text: str, *, tokens: int | None = None, dim: int | None = None) -> OwnFunction:
    """Return the function that ``path/file.py:name`` or ``module:name`` points to.

    The function takes a batch of shape (B, N, d) and returns one of the same shape.  Whether it is
    written for NumPy, torch or both is found out by calling it on a small batch of the asked N and
    d, or of its first input where these are not given.  Torch modules that it is, or holds, are put
    in evaluation mode and float64, a file's own in place, copies of a module's; a class or function
    without arguments that makes a module is called for it.

    Parameters
    ----------
    text : str
    tokens, dim : int, optional
        N and d; given, what a function is gets checked, see :func:`resolve_target`.

    Raises
    ------
    FileNotFoundError
        If the file does not exist.
    TypeError
        If the name is not callable.
    ValueError
        If the text has no name, the module lacks it, or the function accepts neither kind.
    """
    function, home = named_function(text)
    name = text.rpartition(":")[2]
    with home.entered(), same_random_numbers():
        function = made(function)
    if isinstance(function, type):
        raise TypeError(
            f"`target` {text!r} must be a function, got a class; write `f = {name}(...)` below it "
            "and name f"
        )
    if not home.private:  # a module of the caller's process, which others use
        function = copied(function)
    own = OwnFunction(text, function, frozenset(), home=home)
    if tokens is None or dim is None:
        return own
    return checked(own, tokens=tokens, dim=dim)


def named_function(text: str, argument: str = "target") -> tuple[Any, Home]:
    """Return what ``path/file.py:name`` or ``module:name`` points to, and its home.

    Parameters
    ----------
    text : str
    argument : str
        What it is called in messages.

    Raises
    ------
    FileNotFoundError, ValueError, TypeError
        As :func:`load_function`.
    """
    where, colon, name = text.rpartition(":")
    if not colon or not where or not name:
        raise ValueError(f"`{argument}` must be path/file.py:name or module:name, got {text!r}")
    module, home = the_module(text, where, argument)
    if not hasattr(module, name):
        public = sorted(n for n, v in vars(module).items() if callable(v) and n[0] != "_")
        found = ", ".join(public) or "no functions"
        raise ValueError(f"`{argument}` {text!r}: {where} has no {name!r}, it has {found}")
    function = getattr(module, name)
    if not callable(function):
        raise TypeError(f"`{argument}` {text!r} must be a function, got {type(function).__name__}")
    return function, home


def settled(own: OwnFunction, *, tokens: int, dim: int) -> OwnFunction:
    """Return an own function with what it can be called on at one N and d.

    Tried in this order: its modules in float64; as they were; its input in float32.

    Raises
    ------
    ValueError
        If it fails at every try; the message says how, of the first.
    """
    if own.accepts:
        return own
    held = held_by(own.function)
    notes = held.settle()
    own = replace(own, fixed=bool(held))
    failures: list[dict[str, Exception]] = []
    for single, done in ((False, held.in_double), (False, held.as_they_were), (True, list[str])):
        more = done()
        accepts, failed = _accepting(own, tokens, dim, single)
        if accepts:
            if single:
                more = ["computes in float32: its values are exact to about 1e-7 only"]
            told = own.home.notes  # what was done in place once is not there to be seen again
            told += [note for note in (*notes, *more) if note not in told]
            return replace(own, accepts=accepts, single=single, notes=tuple(told))
        failures.append(failed)
    raise _refused(own, failures[0], tokens, dim)


def _accepting(
    own: OwnFunction, tokens: int, dim: int, single: bool
) -> tuple[frozenset[str], dict[str, Exception]]:
    """Return the kinds of batch a function takes, and how it fails on the others."""
    failures: dict[str, Exception] = {}
    for kind in WAYS:
        trial = replace(own, accepts=frozenset({kind}), single=single)
        x: Any = np.random.default_rng(SEED).random((BATCH, tokens, dim))
        if kind == "torch":
            x = the_torch().tensor(x, requires_grad=True)  # refuses a detour through NumPy
        given = trial.given(x, namespace(x))
        try:
            accepted(trial.called(given), given.detach() if kind == "torch" else x, own.source)
        except Exception as error:  # whatever a user's function may raise
            failures[kind] = error
    return frozenset(WAYS) - failures.keys(), failures


def _refused(own: OwnFunction, failures: dict[str, Exception], tokens: int, dim: int) -> Exception:
    """Return the error of a function that takes neither kind of batch, in one line."""
    told = failures
    if _torch_alone(own):
        told = {"torch": failures["torch"]}
    shape = f"({BATCH}, {tokens}, {dim})"
    said = "; ".join(f"{WAYS[kind]}: {in_words(error)}" for kind, error in told.items())
    return ValueError(
        f"`target` {own.source!r} must accept a batch (B, N, d) as a NumPy array or a torch "
        f"tensor, got, at {shape}: {said}; correct it, or ask with -N and -d for what it "
        "is written for"
    )


def _torch_alone(own: OwnFunction) -> bool:
    """Tell whether an own function is a torch module."""
    return any(c.__module__.startswith("torch.") for c in type(own.function).__mro__)


def checked(own: OwnFunction, *, tokens: int, dim: int, notes: tuple[str, ...] = ()) -> OwnFunction:
    """Return an own function settled at one N and d; raise unless it is a function there.

    ``notes`` are told before others.
    """
    own = settled(own, tokens=check_tokens(tokens), dim=check_dim(dim))
    check = importlib.import_module("looprate.theory.hypotheses.function").check_function
    found: list[str] = check(own, tokens=tokens, dim=dim)
    if own.home.sink.used:
        found = [*found, "what it prints is left out"]
    return replace(own, notes=(*notes, *own.notes, *found))


def _is_own(text: str) -> bool:
    """Tell whether a text points to a function rather than to a built-in target."""
    where, colon, name = text.rpartition(":")
    return bool(colon) and name.isidentifier() and where.strip() not in TARGETS


def resolve_target(text: str, *, tokens: int | None = None, dim: int | None = None) -> Target:
    """Return the target a text names: built-in, formula, own function, or a sum of scaled ones.

    Parameters
    ----------
    text : str
        See :func:`looprate.theory.targets.registry.parse_target` and :func:`load_function`; what
        starts with ``formula:``, or is a formula and no other target, is a
        :class:`~looprate.theory.targets.formula.Formula`
    tokens, dim : int, optional
        N and d at which it will be evaluated.  Given, an own function is checked there before
        anything is computed: it must return finite floating point numbers of the same shape, the
        same for the same input, independent of the rest of the batch, and the same for NumPy
        arrays and torch tensors where it takes both.  Left out, it is not called at all.

    Raises
    ------
    FileNotFoundError, TypeError, ValueError
        See there.
    """

    def own(term: str) -> OwnFunction:
        return load_function(term, tokens=tokens, dim=dim)

    if isinstance(text, str) and text.strip().startswith(FORMULA):
        return formula_target(text.strip().removeprefix(FORMULA))
    whole = isinstance(text, str) and _is_own(text) and Path(text.rpartition(":")[0]).is_file()
    if whole:
        return own(text)
    try:
        return parse_terms(text, lambda term: own(term) if _is_own(term) else parse_target(term))
    except ValueError:
        if formula := _formula_without_prefix(text):
            return formula
        raise


def _formula_without_prefix(text: str) -> OwnFunction | None:
    """Return the formula that a text is, None if it is none; what has brackets is meant as one."""
    try:
        return formula_target(text)
    except ValueError:
        if "(" in text and ":" not in text:
            raise
        return None


def formula_target(text: str) -> OwnFunction:
    """Return the target that a formula spells; see ``Formula``.

    Raises
    ------
    ValueError
        If the text is no formula.
    """
    formula = Formula(text)
    return OwnFunction(FORMULA + formula.text, formula, frozenset(WAYS))
