"""The explorer's worst case: what it shows is what the front door says, whatever the target is."""

import math
import re

import pytest
from bokeh.document import Document
from test_explorer_page import settle

from looprate import NetworkSize, worst_case_error_lower_bound, worst_case_error_upper_bound
from looprate.figures.explorer import worst
from looprate.figures.explorer.page import Page
from looprate.figures.explorer.setting import Setting, setting_of
from looprate.figures.explorer.worst import (
    COUNTS,
    Asked,
    asked_of,
    exponents_table,
    point_places,
    worst_point,
)


@pytest.fixture
def page(monkeypatch):
    """A page at rest, with few points."""
    monkeypatch.setattr(worst, "COUNTS", COUNTS[:2])
    made = Page(Document(), Setting(target="mean-field", grid=2), [])
    settle(made)
    return made


def drawn(page):
    """Return loops and values of every curve."""
    return {key: (s.data["loops"], s.data["value"]) for key, s in page.worst.panel.sources.items()}


@pytest.mark.parametrize("family", ["lt", "tmlt"])
def test_a_point_is_what_the_functions_say(family):
    point = worst_point(Asked(2, 1, 1.0, 0.5), family, 100)
    how = {"tokens": 2, "dim": 1, "holder": 0.5}
    size = NetworkSize.of_constructions(1, family=family)
    assert point.lower == worst_case_error_lower_bound(100, size=size, **how).value
    assert point.upper == worst_case_error_upper_bound(100, family=family, **how).total


def test_curves_and_exponents_follow_the_class_and_not_the_target(page):
    before = drawn(page)
    assert [loops for loops, _ in before.values()] == [[1, 100]] * 4
    assert before["lt", "lower"][1][1] < before["lt", "upper"][1][1]
    assert "r<sup>−1/2</sup>" in page.worst.words.text
    page.controls.target.value = "formula: x - mean(x)/3"
    settle(page)
    assert drawn(page) == before
    page.controls.holder.value = 0.5
    settle(page)
    assert "r<sup>−1/4</sup>" in page.worst.words.text
    assert drawn(page)["lt", "lower"][1][1] > before["lt", "lower"][1][1]
    assert page.controls.address.data["query"][0].endswith("holder=0.5")


def test_a_change_in_the_middle_leaves_no_points_of_what_was_asked_before(page):
    page.controls.holder.value = 0.5
    for _ in ("exponents", "one point, and the next one waits"):
        waiting = page.document.session_callbacks[-1]
        page.document.callbacks.remove_session_callback(waiting)
        waiting.callback()
    assert drawn(page)["lt", "lower"][0] == [1]
    show, seen = page.worst.panel.show, []
    page.worst.panel.show = lambda points: seen.extend(points) or show(points)
    page.controls.holder.value = 0.3
    settle(page)
    asked = asked_of(page.setting)
    expected = [worst_point(asked, *place) for place in point_places()]
    assert set(seen) == set(expected)
    for (family, side), (_, values) in drawn(page).items():
        assert values == [getattr(p, side) for p in expected if p.family == family]


def test_no_upper_side_is_shown_in_the_supremum_norm():
    asked = Asked(2, 1, math.inf, 1.0)
    point = worst_point(asked, "lt", 100)
    assert point.lower > 0
    assert point.upper is None
    assert exponents_table(asked).count("not known") == 2
    with pytest.raises(ValueError, match="`p` must be finite"):
        worst_case_error_upper_bound(100, tokens=2, dim=1, p=math.inf)


def test_the_letter_of_the_exponent_is_understood_and_its_range_is_told():
    assert setting_of({"s": [b"0.5"]}).holder == 0.5
    with pytest.raises(ValueError, match=r"`holder` must be from 0\.1 to 1"):
        Setting(holder=2.0)


def test_every_caveat_is_said():
    text = re.sub(r"\s+", " ", exponents_table(Asked(2, 1, 1.0, 1.0)))
    for words in (
        *(
            "not yet reviewed by others",
            "Hardmax",
            "exact arithmetic",
            "per loop, not per parameter",
        ),
        *("from a network of fixed size has the exponent of LT", "f depends on r", "Weights exist"),
        *("nothing about training", "slopes, not levels", "p &lt; ∞", "fixed size"),
    ):
        assert words in text
