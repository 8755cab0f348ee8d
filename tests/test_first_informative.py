"""How far the region in which a bound speaks moves left, as the page on the theory has it."""

import re
from functools import partial
from pathlib import Path

import pytest

from looprate.theory.bounds.explicit import explicit_bound
from looprate.theory.bounds.rows import first_informative_loops
from looprate.theory.facts import facts_of
from looprate.theory.targets import resolve_target

PAGE = Path(__file__).resolve().parent.parent / "docs" / "theory.md"
SHAPE = {"tokens": 2, "dim": 1, "p": 1.0}
ROWS = {
    ("increments", "sum"): ("increments", 1), ("increments", "others"): ("increments", 2),
    ("digits", "rank"): ("digits", 1), ("digits", "others"): ("digits", 2),
    ("timestep", "rank"): ("timestep", 1), ("timestep", "others"): ("timestep", 2),
    ("two-level-increments", "others"): ("increments in two levels", 0),
    ("two-level-digits", "others"): ("digits in two levels", 0),
}  # fmt: skip


@pytest.mark.parametrize(
    ("column", "name"), [(1, "dial:token=0.5,context=0.5,periods=1"), (2, "mean-field")]
)
def test_first_informative_loops_are_those_of_the_page(column, name):
    facts = facts_of(resolve_target(name), **SHAPE)
    page = PAGE.read_text(encoding="utf-8")
    for (memoriser, coding), (row, place) in ROWS.items():
        (line,) = re.findall(rf"^\| {row}[:,].*\|$", page, re.MULTILINE)
        printed = line.split(" | ")[column].strip(" |").split(";")[place].replace(" ", "")
        at = partial(
            explicit_bound, facts.moduli, **SHAPE, oscillation=facts.oscillation,
            memoriser=memoriser, coding=coding, trivial=facts.trivial,
            trivial_stderr=facts.trivial_stderr,
        )  # fmt: skip
        assert first_informative_loops(at, tokens=2).loops == int(printed), (memoriser, coding)
