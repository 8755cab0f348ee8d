"""Each version of a bound is one statement with every argument handed on."""

from __future__ import annotations

import math

import pytest

from looprate.theory.bounds.explicit import explicit_bound
from looprate.theory.bounds.loop_counts import THEOREMS
from looprate.theory.bounds.theorem import theorem_3_6_bound
from looprate.theory.construction.memorisers import MEMORISERS
from looprate.theory.versions import bound_function

SETTING = {"tokens": 2, "dim": 3, "p": 2.0, "oscillation": 0.7}
SETTING |= {"trivial": 0.4, "trivial_stderr": 0.01, "slope": 1e4}


def holder(kind, delta):
    """Three different moduli."""
    return {"sequence": 0.9, "token": 0.4, "contextual": 0.3}[kind] * delta**0.5, "upper"


@pytest.mark.parametrize("loops", [3, 500, 10**9])
def test_a_version_is_its_statement_with_the_whole_setting(loops):
    wanted = {
        "theorem-3.6": theorem_3_6_bound(holder, loops, **SETTING, delta_rule="printed"),
        "theorem-3.6-stages": theorem_3_6_bound(holder, loops, **SETTING, delta_rule="stages"),
    }
    for memoriser, coding in (("increments", "sum"), ("digits", "rank"), ("timestep", "rank")):
        wanted[memoriser] = explicit_bound(
            holder, loops, **SETTING, memoriser=memoriser, coding=coding
        )
    for version, row in wanted.items():
        assert bound_function(version, holder, **SETTING)(loops) == row, version
    assert len({row.total for row in wanted.values()}) > 1


def test_slopes_are_infinite_and_roots_placed_as_printed_unless_said_otherwise():
    less = {name: value for name, value in SETTING.items() if name != "slope"}
    for version in ("theorem-3.6", "timestep"):
        plain = bound_function(version, holder, **less)(10**9)
        assert plain == bound_function(version, holder, **less, slope=math.inf)(10**9)
        assert plain.terms["strips"] == 0
    sharp = bound_function("theorem-3.6", holder, **SETTING, placement="inner")(10**9)
    assert sharp == theorem_3_6_bound(holder, 10**9, **SETTING, placement="inner")
    assert sharp != bound_function("theorem-3.6", holder, **SETTING)(10**9)


def test_other_versions_and_loops_up_to_n_are_refused():
    with pytest.raises(ValueError, match=r"`version` must be one of theorem-3.6, .* got 'best'"):
        bound_function("best", holder, **SETTING)
    for version in (*THEOREMS, *MEMORISERS):
        at = bound_function(version, holder, **SETTING)
        with pytest.raises(ValueError, match="`loops` must exceed tokens=2"):
            at(2)
        assert at(3).loops == 3
