"""The numbers of every panel, from the functions that the command line calls.

Everything is a pure function of a :class:`~looprate.figures.explorer.setting.Setting`, and
remembered, so that a slider computes what it changes and no more.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from looprate.experiments.study.certificates import affordable, known_certificate
from looprate.experiments.study.figure_rows import BOUND_LABELS, loop_grid
from looprate.experiments.study.known import known_facts
from looprate.figures.explorer.setting import LARGEST_LOOPS, Setting
from looprate.figures.rows import Row, read_rows
from looprate.theory import facts
from looprate.theory.bounds.rows import BoundRow
from looprate.theory.certification import closed_curves, drawn
from looprate.theory.construction.build.memoriser import Coding
from looprate.theory.continuity.transfer import lower_from
from looprate.theory.facts import Facts
from looprate.theory.notation import Kind
from looprate.theory.targets import Target, resolve_target

SECONDS = 0.05  # for the search of one modulus: all three in less than a second
RADII = tuple(float(d) for d in np.geomspace(1e-2, 1.0, 9))
CURVE = tuple(float(d) for d in np.geomspace(1e-3, 1.0, 49))  # of closed forms
POINTS_A_DECADE = 5
VERSION = "theorem-3.6"
CERTIFICATE_SECONDS = 20.0
TOLERANCE, BOXES = 0.02, 100_000  # of a certified error's enclosure, which widens where they end
QUICK_BOXES, QUICK_SECONDS = 5_000, 2.0  # the same where nobody asked for a certificate
SMALL = 2  # N * d up to which all boxes are quick
SLOW, FEWER = 1e-3, slice(None, None, 2)  # seconds a batch of a target that is searched less
STORED = "stored"  # the label of trained networks whose file names no recipe
NETWORK = ("label", "family", "loops", "seed")  # what tells trained networks apart
Known = dict[str, Any]


@lru_cache(maxsize=64)
def target_of(text: str, tokens: int | None = None, dim: int | None = None) -> Target:
    """Return the target of a text, checked for N and d where they are given.

    Raises
    ------
    FileNotFoundError, TypeError, ValueError
        If there is none; the message says why.
    """
    return resolve_target(text, tokens=tokens, dim=dim)


@dataclass(frozen=True)
class Subject:
    """The part of a setting that decides moduli, bounds and errors."""

    target: str
    tokens: int
    dim: int
    p: float

    @property
    def shape(self) -> dict[str, Any]:
        return {"tokens": self.tokens, "dim": self.dim, "p": self.p}


def subject_of(setting: Setting) -> Subject:
    """Return the target, shape and exponent of a setting."""
    return Subject(setting.target, setting.tokens, setting.dim, setting.p)


def network_of(setting: Setting) -> tuple[Subject, str, Coding, int]:
    """Return what decides the constructed network: subject, memoriser, code, cells a side."""
    return subject_of(setting), setting.memoriser, setting.code, setting.grid


def moduli_rows(setting: Setting) -> list[Known]:
    """Return rows {kind, delta, lower, exact, upper}: closed forms, and searches at a few radii.

    ``lower`` is attained by a pair that was found, None between the radii of the search.
    """
    return [dict(row) for row in _searched(subject_of(setting))] + closed_rows(setting)


def closed_rows(setting: Setting) -> list[Known]:
    """Return the rows of :func:`moduli_rows` that need no search; none without a closed form."""
    return [dict(row) for row in _closed(subject_of(setting))]


@lru_cache(maxsize=32)
def _closed(subject: Subject) -> tuple[Known, ...]:
    """Look up the moduli, once a subject."""
    f = target_of(subject.target, subject.tokens, subject.dim)
    return tuple(closed_curves(f, CURVE, **subject.shape))


@lru_cache(maxsize=32)
def _searched(subject: Subject) -> tuple[Known, ...]:
    """Return lower bounds at some radii."""
    if not is_quick(subject):
        return tuple(drawn(row) for row in _facts(subject).rows)
    f = target_of(subject.target, subject.tokens, subject.dim)
    radii = RADII[FEWER] if _seconds(f, subject) > SLOW else RADII
    curves = facts.lower_curves(f, radii, **subject.shape, effort=SECONDS)
    return tuple(facts.moduli_rows(f, curves, **subject.shape))


def _seconds(f: Target, subject: Subject) -> float:
    """Return how long a target takes for a batch of the size that a search works with."""
    x = np.full((256, subject.tokens, subject.dim), 0.5)
    start = time.perf_counter()
    f(x)
    middle = time.perf_counter()
    f(x)  # the first call may make what later ones reuse
    return min(middle - start, time.perf_counter() - middle)


def is_quick(subject: Subject) -> bool:
    """Tell whether bounds of a subject need no search: its target has closed forms."""
    f = target_of(subject.target, subject.tokens, subject.dim)
    return facts.has_closed_forms(f, **subject.shape)


def lower_at(setting: Setting, kind: str) -> float:
    """Return the largest found lower bound of a modulus at the setting's radius, 0 if none is."""
    found = [row for row in _searched(subject_of(setting)) if row["kind"] == kind]
    return lower_from(setting.delta, [(row["delta"], row["lower"]) for row in found])[0]


def upper_at(setting: Setting, kind: Kind) -> float | None:
    """Return an upper bound of a modulus at the setting's radius, None if none is certified."""
    value, side = _facts(subject_of(setting)).moduli(kind, setting.delta)
    return None if side == "lower" else value


@lru_cache(maxsize=32)
def _facts(subject: Subject) -> Facts:
    """Return what bounds and certificates of one subject share."""
    f = target_of(subject.target, subject.tokens, subject.dim)
    return known_facts(f, **subject.shape)


@lru_cache(maxsize=64)
def _bound(subject: Subject, version: str, coding: Coding | None = None) -> Any:
    """Return ``loops -> BoundRow``, not testable where a hypothesis on the target fails."""
    return _facts(subject).bound(version, coding=coding)


def bound_at(setting: Setting) -> BoundRow:
    """Return Theorem 3.6 term by term at the setting's loop count, at least N + 1 loops."""
    loops = max(setting.loops, setting.tokens + 1)
    found: BoundRow = _bound(subject_of(setting), VERSION)(loops)
    return found


def bound_over(setting: Setting) -> tuple[Callable[[int], BoundRow], list[int]]:
    """Return Theorem 3.6 by loops, and the loop counts of the page's axis."""
    counts = loop_grid(setting.tokens, LARGEST_LOOPS, POINTS_A_DECADE)
    return _bound(subject_of(setting), VERSION), counts


def bound_rows(setting: Setting) -> list[Known]:
    """Return rows {curve, label, loops, value, status} of bounds and the best constant.

    Two bounds: Theorem 3.6, in its weaker reading, and the explicit inequality of the setting's
    memoriser on its code.
    """
    subject = subject_of(setting)
    return [dict(row) for row in _bound_rows(subject, setting.memoriser, setting.code)]


@lru_cache(maxsize=32)
def _bound_rows(subject: Subject, memoriser: str, coding: Coding) -> tuple[Known, ...]:
    """Evaluate the bounds over the whole axis, once a subject, memoriser and code."""
    counts = loop_grid(subject.tokens, LARGEST_LOOPS, POINTS_A_DECADE)
    rows: list[Known] = []
    for version, label, at in (
        (VERSION, "Theorem 3.6, this project's constants", _bound(subject, VERSION)),
        (
            memoriser,
            f"{BOUND_LABELS[memoriser][1]}, {coding} code",
            _bound(subject, memoriser, coding),
        ),
    ):
        for loops in counts:
            row = at(loops)
            known = {"curve": version, "label": label, "loops": loops}
            rows.append(known | {"value": row.total, "status": str(row.verdict)})
    trivial = _facts(subject).trivial
    rows.append({"curve": "trivial", "label": "best constant", "value": trivial})
    return tuple(rows)


def constructed_row(setting: Setting, *, quick: bool = False) -> Known:
    """Return {loops, lower, upper, verdict, reason} of the constructed network, certified.

    Parameters
    ----------
    setting : Setting
    quick : bool
        Spend less on the enclosure of the error above :data:`SMALL`: it is wider, and as rigorous.

    Raises
    ------
    ValueError
        If the network is too large to certify while one waits; the message says what would fit.
    """
    small = setting.tokens * setting.dim <= SMALL
    boxes = QUICK_BOXES if quick and not small else BOXES
    affordable(setting.spec, QUICK_SECONDS if quick else CERTIFICATE_SECONDS)
    return dict(_constructed(*network_of(setting), boxes))


@lru_cache(maxsize=128)
def _constructed(subject: Subject, memoriser: str, coding: Coding, grid: int, boxes: int) -> Known:
    """Certify a network, once."""
    setting = Setting(**vars(subject), memoriser=memoriser, coding=coding, grid=grid)
    _, found, _ = known_certificate(
        target_of(subject.target, subject.tokens, subject.dim),
        setting.spec,
        _facts(subject),
        tolerance=TOLERANCE,
        boxes=boxes,
    )
    return {
        "memoriser": memoriser,
        "coding": coding,
        "grid": grid,
        "loops": setting.spec.loops,
        "lower": found.error_lower,
        "upper": found.error_upper,
        "verdict": str(found.verdict),
        "reason": found.reason,
    }


def narrowest(rows: Sequence[Known]) -> list[Known]:
    """Return one row a network of :func:`constructed_row`, the one with the narrowest enclosure."""
    best: dict[tuple[str, ...], Known] = {}
    for row in rows:
        network = constructed_network(row)
        known = best.get(network, row)
        best[network] = known if _width(row) > _width(known) else row
    return list(best.values())


def constructed_network(row: Row) -> tuple[str, ...]:
    """Return what tells constructed networks of one subject apart."""
    return tuple(str(row[name]) for name in ("memoriser", "coding", "grid"))


def constructed_words(row: Row) -> str:
    """Name a constructed network."""
    return f"{row['memoriser']}, {row['coding']} code, {row['grid']} cells a side"


def _width(row: Known) -> float:
    """Return the width of the enclosure of a network's error, inf where there is none."""
    return math.inf if row["upper"] is None else float(row["upper"] - row["lower"])


def trained_rows(
    setting: Setting, folders: Sequence[Path], fitted: Sequence[Row] = ()
) -> list[Known]:
    """Return rows {family, label, loops, seed, value} of networks trained on this very target.

    The label tells networks apart that were not trained alike: by their recipe as it is stored,
    and by their study where two of them hold other networks under one recipe.

    Parameters
    ----------
    setting : Setting
    folders : sequence of Path
        Folders with CSV files of the main figure, as ``looprate verify`` writes them.
    fitted : sequence of rows
        Networks trained just now; a copy of them in a file is left out.
    """
    seen = {tuple(row.get(name) for name in NETWORK) for row in fitted}
    found: dict[str, dict[Path, list[Known]]] = {}
    for file, row in _stored_of(setting, folders):
        known = {name: row[name] for name in ("family", "loops", "seed", "value")}
        known["label"] = label = str(row["label"] or STORED)
        if tuple(known[name] for name in NETWORK) in seen:
            continue
        found.setdefault(label, {}).setdefault(file, [])
        if not any(known in rows for rows in found[label].values()):  # of a copy of the file
            found[label][file].append(known)
    rows = [row for files in found.values() for row in _told_apart(files)]
    return [*rows, *({"label": "trained", **row} for row in fitted)]


def _told_apart(files: dict[Path, list[Known]]) -> list[Known]:
    """Return the rows of files with one label, with their study in it if there are several."""
    files = {file: rows for file, rows in files.items() if rows}
    studies = [(f.parent.parent if f.parent.name == "figures" else f.parent).name for f in files]
    if len(set(studies)) < len(studies):
        studies = [f"{study} {k + 1}" for k, study in enumerate(studies)]
    return [
        {**row, "label": f"{row['label']}, {study}"} if len(files) > 1 else row
        for study, rows in zip(studies, files.values(), strict=True)
        for row in rows
    ]


def _stored_of(setting: Setting, folders: Sequence[Path]) -> Iterator[tuple[Path, Row]]:
    """Yield stored networks of a setting's target and shape, each with its file."""
    subject, name = subject_of(setting), _canonical(setting.target)
    for file, row in (pair for folder in folders for pair in _stored(folder)):
        if (
            row["curve"] == "trained"
            and all(row[key] == value for key, value in subject.shape.items())
            and _canonical(str(row["target"])) == name
        ):
            yield file, row


@lru_cache(maxsize=256)
def _canonical(text: str) -> str:
    """Return a target's canonical name; of a text that names none, the text."""
    try:
        return str(target_of(text))
    except (OSError, TypeError, ValueError):
        return text


@lru_cache(maxsize=8)
def _stored(folder: Path) -> tuple[tuple[Path, Row], ...]:
    """Read the rows of the main figures of a folder, each with its file."""
    files = sorted({*folder.glob("error-against-loops*.csv")})
    files += sorted((folder / "figures").glob("error-against-loops*.csv"))
    return tuple((file, row) for file in files for row in read_rows(file))
