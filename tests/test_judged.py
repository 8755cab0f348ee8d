"""What is said of bounds: totals on both sides of every threshold, and the words added to rows."""

from __future__ import annotations

import math

import numpy as np
import pytest

from looprate.theory import facts
from looprate.theory.bounds.rows import (
    BoundProblem,
    ModuliRecorder,
    all_terms,
    first_informative_loops,
    judged_row,
)
from looprate.theory.continuity import reconcile
from looprate.theory.continuity.reconcile import exceeds
from looprate.theory.facts import moduli_of, moduli_rows, trivial_error
from looprate.theory.gate import (
    Contradiction,
    Onset,
    Total,
    below_trivial,
    check_sampled,
    failures,
    judged_total,
    state_of,
    under_hypotheses,
)
from looprate.theory.oscillation import oscillation_of
from looprate.theory.targets import OwnFunction, parse_target
from looprate.theory.verdict import Finding, Verdict


def judged(value, *, side="exact", p=1.0, ceiling=2.0, trivial=0.5, stderr=0.01, open_point=None):
    return judged_total(Total(value, side, p, ceiling, trivial, stderr), open_point)


def test_totals_are_judged_on_both_sides_of_every_threshold():
    """Half the ceiling, and 3 standard errors about the best constant: nothing in between."""
    for given, verdict, said in (
        ({"value": 0.4699}, Verdict.HOLDS, "it promises more than any constant"),
        ({"value": 0.47}, Verdict.NOT_TESTABLE, "undecided"),
        ({"value": 0.5299}, Verdict.NOT_TESTABLE, "within 3 standard errors"),
        ({"value": 0.5301}, Verdict.VACUOUS, "not below the best constant's error 0.5"),
        ({"value": 0.5, "stderr": None}, Verdict.VACUOUS, "not below the best constant's error"),
        ({"value": 0.4999, "stderr": None}, Verdict.HOLDS, "below the best constant's error"),
        ({"value": 0.2, "ceiling": 0.4}, Verdict.VACUOUS, "(Nd)^(1/p) D/2 = 0.2"),
        ({"value": 0.199, "ceiling": 0.4}, Verdict.HOLDS, "it promises more"),
        ({"value": 1.0, "trivial": None}, Verdict.VACUOUS, "some constant always reaches"),
        ({"value": 0.99, "trivial": None}, Verdict.NOT_TESTABLE, "was not given"),
        ({"value": 0.2, "ceiling": 0.4, "side": "lower"}, Verdict.NOT_TESTABLE, "lower bounds"),
        ({"value": 0.9, "side": "lower"}, Verdict.VACUOUS, "not below the best constant"),
        ({"value": 0.4, "side": "upper"}, Verdict.HOLDS, "hypotheses are met"),
        ({"value": 0.4, "open_point": "one thing"}, Verdict.NOT_TESTABLE, "one thing"),
        ({"value": 0.6, "p": math.inf}, Verdict.NOT_TESTABLE, "only a lower estimate"),
        ({"value": 1.0, "p": math.inf}, Verdict.VACUOUS, "D/2 = 1"),
        ({"value": 0.4, "p": math.inf}, Verdict.HOLDS, "it promises more"),
    ):
        found, reason = judged(**given)
        assert found is verdict, given
        assert said in reason, given


def test_rows_say_in_addition_where_there_is_no_grid():
    problem = BoundProblem(2, 1, 1.0, 1.0, math.inf, 0.5, 0.0)
    terms = all_terms(token=0.25, sequence=9.0)

    def said(*, value=9.0, delta=0.5, grid=None, constant=()):
        row = judged_row(
            problem,
            9,
            terms | {"sequence": value},
            delta=delta,
            grid=grid,
            side="exact",
            version="one",
            up_to_constant=constant,
        )
        assert row.total == 0.25 + value
        return ("describes no grid" in row.reason, "no grid with as many" in row.reason)

    assert said() == (False, True)
    assert said(delta=1.0) == (False, True)
    assert said(delta=1.5) == (True, True)
    assert said(delta=1.5, grid=2) == (True, False)
    assert said(constant=("token",)) == (False, False)
    assert said(delta=1.5, constant=("token",)) == (True, False)
    assert said(value=0.0, delta=1.5) == (False, False)


def test_the_problem_s_measures_by_hand():
    problem = BoundProblem(3, 2, 2.0, 0.5, 10.0, None, None)
    assert problem.root == pytest.approx(math.sqrt(6))
    assert problem.ceiling == pytest.approx(math.sqrt(6) / 2)
    assert problem.collision_root(0.1) == pytest.approx(math.sqrt(3 * 0.01))
    assert problem.collision_root(5.0) == pytest.approx(math.sqrt(3))
    assert problem.on_measures(0.3, 0.4) == pytest.approx(0.5 * problem.ceiling)
    assert problem.on_measures(0.9, 0.9) == pytest.approx(problem.ceiling)
    assert all_terms(token=1.0, strips=2.0) == {
        "token": 1.0,
        "context": 0.0,
        "sequence": 0.0,
        "memoriser": 0.0,
        "collisions": 0.0,
        "strips": 2.0,
    }


def test_the_worst_side_of_the_moduli_is_remembered():
    for sides, worst in (
        (("exact",), "exact"),
        (("exact", "upper"), "upper"),
        (("lower", "upper"), "lower"),
        (("upper", "lower", "exact"), "lower"),
    ):
        queue = list(sides)
        recorder = ModuliRecorder(lambda kind, delta, queue=queue: (delta, queue.pop(0)))
        for _ in sides:
            assert recorder("token", 0.5) == 0.5
        assert recorder.side == worst
    with pytest.raises(ValueError, match="must return values >= 0"):
        ModuliRecorder(lambda kind, delta: (math.nan, "exact"))("token", 0.1)
    with pytest.raises(ValueError, match="must return values >= 0"):
        ModuliRecorder(lambda kind, delta: (-0.1, "exact"))("token", 0.1)
    assert ModuliRecorder(lambda kind, delta: (0.0, "exact"))("token", 0.1) == 0


def sampled_is_refused(sampled, stderr, **more):
    given = {"points": 2000, "strips": 0.25, "ceiling": 0.0, "p": 1.0} | more
    try:
        check_sampled((1.0, 2.0), sampled, stderr, **given)
    except Contradiction:
        return True
    return False


@pytest.mark.parametrize(
    ("more", "stderr", "below", "above"),
    [
        ({}, 0.0, 0.25, 0.25),
        ({"strips": 0.0}, 0.0, 2e-9, 2e-9),  # a billionth of the upper end
        ({}, 0.125, 1.0, 1.0),  # 6 standard errors and the strips
        ({"ceiling": 4.0}, 0.0, 0.25 + 0.04, 0.25),  # 20 of 2000 points unseen
        ({"ceiling": 0.1, "p": 2.0}, 0.0, 0.25 + 0.01, 0.25),
        ({"ceiling": 4.0, "p": math.inf}, 0.0, 0.25, 0.25),
        ({"ceiling": 4.0}, None, math.inf, 0.25),
        ({"ceiling": 1e9, "p": math.inf, "strips": 0.0}, 0.0, 1.0, 1.0),  # or of the ceiling
    ],
)
def test_sampled_errors_are_refused_beyond_what_they_may_miss_and_only_there(
    more, stderr, below, above
):
    ends = ((2.0 + above, 1), (1.0 - below, -1))
    for end, sign in ends if math.isfinite(below) else ends[:1]:
        assert sampled_is_refused(end + sign * 1e-8, stderr, **more)
        assert not sampled_is_refused(end - sign * 1e-11, stderr, **more)
    if math.isinf(below):
        assert not sampled_is_refused(-9.0, stderr, **more)


def test_a_sampled_error_at_the_very_end_of_what_it_may_miss_is_taken():
    more = {"points": 100, "ceiling": 0.0, "p": 1.0}
    check_sampled((0.0, 0.0), 0.5, 0.0, strips=0.5, **more)
    check_sampled((0.0, 0.0), -0.5, 0.0, strips=0.5, **more)
    with pytest.raises(Contradiction):
        check_sampled((0.0, 0.0), math.nextafter(0.5, 1), 0.0, strips=0.5, **more)


def test_below_the_best_constant_means_by_more_than_three_standard_errors():
    assert below_trivial(0.4999, 0.5, None)
    assert not below_trivial(0.5, 0.5, None)
    assert not below_trivial(0.5, 0.5, 0.0)
    assert below_trivial(1.249, 2.0, 0.25)
    assert not below_trivial(1.25, 2.0, 0.25)
    assert not below_trivial(1.5, 2.0, 0.25)
    assert judged(2.75, ceiling=9.0, trivial=2.0, stderr=0.25)[0] is Verdict.VACUOUS
    assert judged(2.7499, ceiling=9.0, trivial=2.0, stderr=0.25)[0] is Verdict.NOT_TESTABLE


def test_hypotheses_that_fail_are_listed_and_those_not_looked_at_are_open():
    good, bad = finding(Verdict.HOLDS), finding(Verdict.NOT_TESTABLE)
    open_ = finding(Verdict.NOT_TESTABLE, skipped=True)
    assert [state_of(one) for one in (good, bad, open_)] == ["holds", "fails", "open"]
    assert state_of(finding(Verdict.HOLDS, skipped=True)) == "holds"
    assert failures([good, bad, open_, bad]) == ['"f is good" fails: it is so'] * 2


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"tokens": 0}, "`tokens`"),
        ({"dim": 0}, "`dim`"),
        ({"p": 0.9}, "`p`"),
        ({"oscillation": -1e-9}, "`oscillation`"),
        ({"oscillation": math.nan}, "`oscillation`"),
        ({"oscillation": math.inf}, "`oscillation`"),
        ({"slope": 0.0}, "`slope`"),
        ({"slope": math.nan}, "`slope`"),
        ({"trivial": -1e-9}, "`trivial` must be finite and >= 0 or None"),
        ({"trivial": math.inf}, "`trivial` must"),
        ({"trivial_stderr": math.nan}, "`trivial_stderr` must"),
        ({"trivial_stderr": -0.1}, "`trivial_stderr` must"),
    ],
)
def test_settings_of_bounds_out_of_range_are_refused_and_their_ends_taken(change, said):
    setting = {"tokens": 1, "dim": 1, "p": 1.0, "oscillation": 0.0, "slope": 1e-9}
    setting |= {"trivial": 0.0, "trivial_stderr": 0.0}
    assert BoundProblem(**setting).ceiling == 0
    BoundProblem(**setting | {"slope": math.inf, "p": math.inf, "trivial": None})
    with pytest.raises(ValueError, match=said):
        BoundProblem(**setting | change)


def row_at(loops, total, *, side="exact", p=1.0, stderr=0.0, **more):
    """A row of a setting with D = 1 and the best constant's error 1/4."""
    problem = BoundProblem(1, 1, p, 1.0, math.inf, 0.25, stderr)
    more = {"delta": 0.5, "grid": 2, "version": "one"} | more
    return judged_row(problem, loops, all_terms(token=total), side=side, **more)


def test_rows_hold_all_that_they_were_given_and_are_ready_for_json():
    given = {"grid": 3, "delta": 0.25, "version": "two", "up_to_constant": ("token",), "bits": 4}
    row = row_at(7, 0.125, side="upper", stderr=0.01, open_point="not proved here", **given)
    told = row.as_dict()
    wanted = given | {"loops": 7, "total": 0.125, "trivial": 0.25, "trivial_stderr": 0.01}
    wanted |= {"moduli_side": "upper", "reason": "not proved here", "up_to_constant": ["token"]}
    wanted |= {"terms": all_terms(token=0.125), "verdict": str(Verdict.NOT_TESTABLE)}
    assert told == wanted
    endless = row_at(7, math.inf, delta=math.inf).as_dict()
    assert (endless["total"], endless["delta"], endless["terms"]["token"]) == (None, None, None)
    assert endless["terms"]["strips"] == 0.0
    plain = row_at(7, 0.125)
    assert (plain.verdict, plain.bits, plain.up_to_constant) == (Verdict.HOLDS, None, ())


def test_the_first_informative_loops_are_found_with_few_questions_from_n_plus_1_on():
    for n in (1, 5, 30):
        for first in (n + 1, n + 2, n + 3, n + 100, n + 128, n + 1000):
            asked = []

            def at(loops, first=first, asked=asked):
                asked.append(loops)
                return row_at(loops, 0.2 if loops >= first else 0.3)

            assert first_informative_loops(at, tokens=n) == Onset(first, True, 10**18)
            assert asked[0] == n + 1
            assert min(asked) > n
            assert len(asked) <= 2 * math.log2(first - n + 1) + 3
            assert max(asked) <= n + 2 * (first - n)
            for cap, loops in ((first, first), (first - 1, None)):
                if cap > n:
                    asked.clear()
                    found = first_informative_loops(at, tokens=n, cap=cap)
                    assert (found.loops, found.cap) == (loops, cap)
                    assert max(asked) <= cap
    with pytest.raises(ValueError, match="`cap` must exceed tokens=3, got 3"):
        first_informative_loops(at, tokens=3, cap=3)


def test_informative_is_clearly_below_the_best_constant_and_not_vacuous():
    def first(total, **more):
        return first_informative_loops(lambda r: row_at(r, total, **more), tokens=1, cap=2)

    assert first(0.2499).proven
    assert first(0.25).loops is None
    assert first(0.24, stderr=0.01).loops is None  # within 3 standard errors
    assert first(0.2, stderr=0.01).loops == 2
    assert first(0.2, side="lower") == Onset(2, False, 2)
    assert first(0.2, open_point="not proved here") == Onset(2, False, 2)
    high = BoundProblem(1, 1, 1.0, 0.3, math.inf, 0.25, 0.0)  # half of D is below it

    def at(loops):
        more = {"delta": 0.5, "grid": 2, "version": "one", "side": "exact"}
        return judged_row(high, loops, all_terms(token=0.2), **more)

    assert at(2).verdict is Verdict.VACUOUS
    assert first_informative_loops(at, tokens=1, cap=9).loops is None


def test_measures_of_nothing_and_moduli_of_no_side_are_seen():
    sup = BoundProblem(2, 1, math.inf, 1.0, math.inf, None, None)
    assert (sup.root_of(0.0), sup.root_of(0.5), sup.root, sup.ceiling) == (0.0, 1.0, 1.0, 1.0)
    assert BoundProblem(1, 1, 1.0, 1.0, math.inf, None, None).collision_root(0.5) == 0
    many = BoundProblem(4, 2, 4.0, 3.0, math.inf, None, None)
    assert many.collision_root(0.25) == pytest.approx((6 * 0.25**2) ** 0.25)
    assert many.on_measures(0.5) == pytest.approx(3 * 8**0.25 * 0.5)
    assert many.root_of(0.3) == pytest.approx(0.3**0.25)
    with pytest.raises(ValueError, match="must name a side among exact, upper, lower, got 'best'"):
        ModuliRecorder(lambda kind, delta: (1.0, "best"))("token", 0.1)
    value = ModuliRecorder(lambda kind, delta: (np.float64(2.0), "upper"))("token", 0.1)
    assert type(value) is float
    assert ModuliRecorder(lambda kind, delta: (1.0, "exact")).side == "exact"


# -- what is known of a target ---------------------------------------------------------------------


def test_onsets_are_said_in_words():
    assert Onset(34, True, 99).words == "from r = 34 on"
    assert Onset(34, False, 99).words == "not proven; not before r = 34"
    assert Onset(None, False, 99).words == "at no r up to 99"
    assert Onset(236_935_001, True, 10**18).words == "from r = 236,935,001 on"
    assert Onset(10**9 + 1, True, 1).words == "from r = 1.01 * 10^9 on"  # there it holds
    assert Onset(10**10 - 1, True, 1).words == "from r = 10^10 on"
    assert Onset(10**10 - 1, False, 1).words == "not proven; not before r = 9.99 * 10^9"
    assert Onset(None, False, 10**18).words == "at no r up to 10^18"
    assert Onset(10**300, True, 1).words == "from r = 10^300 on"


def finding(verdict, **evidence):
    return Finding("f is good", verdict, "it is so", evidence)


def test_broken_findings_need_every_hypothesis():
    good, bad = finding(Verdict.HOLDS), finding(Verdict.VIOLATED)
    open_ = finding(Verdict.NOT_TESTABLE, skipped=True)
    assert under_hypotheses(bad, [good, good]) is bad
    assert under_hypotheses(bad, []) is bad
    assert under_hypotheses(good, [bad]) is good
    for hypothesis in (bad, open_):
        assert under_hypotheses(bad, [good, hypothesis]).verdict is Verdict.NOT_TESTABLE
    assert "not looked at" in under_hypotheses(bad, [open_]).reason
    assert '"f is good" fails' in under_hypotheses(bad, [bad]).reason


def test_lower_bounds_may_exceed_proven_values_by_rounding_alone():
    assert not exceeds(1.0, 1.0, 1.0)
    assert not exceeds(1.0 + 0.5 * reconcile.ROUNDING, 1.0, 0.0)
    assert exceeds(1.0 + 2 * reconcile.ROUNDING, 1.0, 0.0)
    assert not exceeds(0.5 * reconcile.FLOOR, 0.0, 1.0)
    assert exceeds(2 * reconcile.FLOOR, 0.0, 1.0)
    assert not exceeds(2 * reconcile.FLOOR, 0.0, 4.0)


SHAPE = {"tokens": 2, "dim": 1, "p": 2.0}


def test_moduli_come_from_closed_forms_else_from_the_rows_of_their_kind():
    target = parse_target("mean-field")
    assert moduli_of(target, [], **SHAPE)("token", 0.1) == (
        target.closed_form(0.1, kind="token", **SHAPE).value,
        "exact",
    )
    field = OwnFunction("own", lambda x: x, frozenset({"numpy"}))
    rows = [
        {"kind": kind, "delta": delta, "lower": lower}
        for kind, delta, lower in (
            ("token", 0.1, 1.0),
            ("token", 0.4, 3.0),
            ("contextual", 0.1, 9.0),
            ("token", 0.0, 0.0),
        )
    ]
    moduli = moduli_of(field, rows, **SHAPE)
    assert moduli("token", 0.1) == (1.0, "lower")
    assert moduli("token", 0.2) == (1.5, "lower")
    assert moduli("token", 0.19)[0] == 1.0
    assert moduli("token", 0.9) == (3.0, "lower")
    assert moduli("sequence", 0.5) == (0.0, "lower")
    assert moduli("token", 0.0)[0] == 0


def test_rows_of_moduli_refuse_a_closed_form_below_a_pair():
    target = parse_target("mean-field")
    curves = facts.lower_curves(target, (0.1, 0.2), kinds=("token",), effort=0.1, **SHAPE)
    rows = moduli_rows(target, curves, **SHAPE)
    assert [row["delta"] for row in rows] == [0.1, 0.2]
    for row in rows:
        exact = target.closed_form(row["delta"], kind="token", **SHAPE).value
        assert (row["exact"], row["upper"], row["side"]) == (exact, exact, "exact")
        assert 0.99 * exact <= row["lower"] <= exact
    half = parse_target("0.5*mean-field")
    with pytest.raises(Contradiction, match="which a pair of inputs attains"):
        moduli_rows(half, curves, **SHAPE)


def test_oscillations_and_best_constants_are_those_of_the_identity():
    identity = parse_target("token-power:alpha=1,center=0")
    assert oscillation_of(identity, tokens=2, dim=1) == 1
    value, stderr = trivial_error(identity, **SHAPE)
    assert value == pytest.approx(math.sqrt(2 / 12), rel=0.02)
    assert 0 < stderr < 0.05 * value
    assert np.isfinite(facts.DELTAS).all()
    assert list(facts.DELTAS) == sorted(facts.DELTAS)
    assert (facts.DELTAS[0], facts.DELTAS[-1]) == (0.01, 1.0)
