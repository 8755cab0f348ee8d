"""Facts of a target, kept from one run to the next where they take seconds to find."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from looprate.experiments.study.followed import followed
from looprate.experiments.study.kept import keep, kept_row, one_at_a_time, place_of
from looprate.theory.facts import Facts, facts_of, has_closed_forms, stored_facts
from looprate.theory.gate import SECONDS
from looprate.theory.targets import Target

__all__ = ["known_facts"]


def known_facts(
    target: Target,
    *,
    tokens: int,
    dim: int,
    p: float,
    searched: bool = False,
    seconds: float = SECONDS,
    report: Callable[[float], None] | None = None,
) -> Facts:
    """Return what is known of a target, torch functions followed, from a file where there is one.

    Parameters and errors are those of :func:`looprate.theory.facts.facts_of`.
    """
    shape: dict[str, Any] = {"tokens": tokens, "dim": dim, "p": p}
    how: dict[str, Any] = {"searched": searched, "seconds": seconds}
    slow = searched or not has_closed_forms(target, **shape)
    path = place_of("facts", target, {**shape, **how}) if slow else None
    with one_at_a_time(path):
        if (row := kept_row(path, "uncertified")) is not None:
            return stored_facts(row, target)
        facts = facts_of(target, **shape, **how, follow=followed, report=report)
        keep(path, facts.as_row())
    return facts
