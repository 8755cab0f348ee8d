"""Summaries: one rule for every family, gains by hand, verdicts that can come out either way."""

import numpy as np
import pytest

from looprate.experiments.study.summary import (
    answers,
    cells,
    convergence,
    findings,
    paired_gain,
    slope_of,
)
from looprate.experiments.study.work import theory_rows
from looprate.theory.bounds.rates import theorem_exponent
from looprate.theory.facts import moduli_of, stored_facts
from looprate.theory.gate import Contradiction
from looprate.theory.statistics.paired import LEAST_PAIRS
from looprate.theory.targets import resolve_target
from looprate.theory.verdict import Finding, Verdict
from looprate.theory.versions import bound_function

SHAPE = {"tokens": 2, "dim": 1, "p": 1.0}
FINE, ROUGH = 0.01, 0.03  # learning rates
SEEDS = LEAST_PAIRS + 1
SPREAD = (1.0, 1.1, 0.9, 1.05, 0.95, 1.02, 0.98, 1.08)  # of seeds, shared by all loop counts


def row(seed, error, *, validation=None, rate=FINE, family="lt", loops=4, late_gain=0.0):
    return {
        "target": "mean-field:a=1,b=1",
        **SHAPE,
        "family": family,
        "loops": loops,
        "seed": seed,
        "learning_rate": rate,
        "parameters": 100,
        "error": error,
        "validation_error": error if validation is None else validation,
        "late_gain": late_gain,
    }


def trained(table, seeds=SEEDS):
    """Return cells from (family, loops) -> level of the error, or errors by seed."""
    rows = []
    for (family, loops), level in table.items():
        errors = [level * s for s in SPREAD[:seeds]] if isinstance(level, float) else level
        rows += [row(k, e, family=family, loops=loops) for k, e in enumerate(errors)]
    return cells(rows)


# -- the chosen learning rate ----------------------------------------------------------------------
@pytest.mark.parametrize("family", ["lt", "tmlt", "untied"])
@pytest.mark.parametrize("best", [FINE, ROUGH])
def test_the_rate_with_the_smallest_median_validation_error_is_chosen(family, best):
    # One lucky seed and a smaller test error must not decide: only the median of validation does.
    rows = [row(k, 0.5, validation=v, rate=best, family=family) for k, v in enumerate([5, 2, 2])]
    other = FINE + ROUGH - best
    rows += [row(k, 0.1, validation=v, rate=other, family=family) for k, v in enumerate([1, 3, 3])]
    (cell,) = cells(rows[::-1])
    assert cell["learning_rate"] == best
    assert cell["errors"] == [0.5] * 3
    assert cell["validation_by_rate"] == {f"{best:g}": 2.0, f"{other:g}": 3.0}


def test_a_rate_at_which_most_seeds_diverge_is_not_chosen():
    wild = [row(0, 1e-9, rate=ROUGH)]
    wild += [{**row(k, None, rate=ROUGH), "validation_error": None} for k in (1, 2)]
    (cell,) = cells(wild + [row(k, 0.3) for k in range(3)])
    assert cell["learning_rate"] == FINE
    assert cell["validation_by_rate"] == {"0.01": 0.3, "0.03": None}


def test_diverged_seeds_are_counted_and_left_out_of_the_median():
    gone = {**row(1, None), "validation_error": None}
    (cell,) = cells([row(2, 0.4), gone, row(0, 0.2, late_gain=0.3)])
    assert cell["errors"] == [0.2, None, 0.4]
    assert (cell["low"], cell["median"], cell["high"]) == (0.2, pytest.approx(0.3), 0.4)
    assert cell["diverged"] == 1
    assert cell["converged"] == pytest.approx(2 / 3)
    (cell,) = cells([gone])
    assert (cell["median"], cell["low"], cell["high"], cell["diverged"]) == (None, None, None, 1)


def test_cells_keep_targets_shapes_families_and_loops_apart():
    rows = [
        row(0, 0.1),
        row(0, 0.2, family="tmlt"),
        row(0, 0.3, loops=8),
        {**row(0, 1.0), "dim": 2},
    ]
    rows += [{**row(0, 1.0), "target": "others-mean"}, {**row(0, 1.0), "p": 2.0}]
    assert [len(cell["rows"]) for cell in cells(rows)] == [1] * 6


# -- gains and slopes ------------------------------------------------------------------------------
def test_paired_gain_is_the_geometric_mean_by_hand():
    gain = paired_gain([1.0, 2.0, 4.0], [0.5, 0.5, 8.0])
    assert gain["ratio"] == pytest.approx((1 / 2 * 1 / 4 * 2) ** (1 / 3))
    assert gain["seeds"] == 3
    assert gain["interval"][0] < gain["ratio"] < gain["interval"][1]
    # Pairs: the same factor at every seed leaves no doubt, however much seeds differ.
    sure = paired_gain([1.0, 10.0, 100.0], [0.5, 5.0, 50.0])
    assert sure["ratio"] == pytest.approx(0.5)
    assert sure["interval"] == pytest.approx([0.5, 0.5])


def test_paired_gain_leaves_out_seeds_that_diverged_in_either():
    gain = paired_gain([1.0, None, 1.0, 1.0], [0.5, 0.1, None, 0.5])
    assert (gain["ratio"], gain["seeds"]) == (pytest.approx(0.5), 2)
    assert paired_gain([1.0, None], [0.5, 0.1]) is None
    assert paired_gain([], []) is None
    with pytest.raises(ValueError, match="zip"):
        paired_gain([1.0], [1.0, 2.0])


@pytest.mark.parametrize("seeds", [LEAST_PAIRS, 5, 10])
def test_the_interval_of_a_gain_covers_the_truth_mostly(seeds):
    rng, truth, repeats = np.random.default_rng(0), 0.7, 200
    covered = wrong = 0
    for _ in range(repeats):
        before = np.exp(rng.normal(size=seeds))
        after = before * truth * np.exp(0.3 * rng.normal(size=seeds))
        low, high = paired_gain(before.tolist(), after.tolist())["interval"]
        covered += low <= truth <= high
        wrong += low <= 3 * truth <= high
    assert 0.91 * repeats <= covered <= 0.99 * repeats  # 95 % and 2.6 standard errors
    assert wrong < 0.2 * repeats  # an interval as wide as the world would cover this too


def test_the_slope_of_a_power_law_is_found_without_diverged_seeds():
    group = trained({("lt", r): 0.8 * r**-0.5 for r in (3, 6, 12, 24)})
    assert slope_of(group, tokens=2).slope == pytest.approx(-0.5, abs=1e-6)
    group[1]["errors"] = [None, *group[1]["errors"][1:]]
    assert slope_of(group, tokens=2).slope == pytest.approx(-0.5, abs=1e-6)
    assert slope_of(group[:1], tokens=2) is None
    group[1]["errors"] = [None] * SEEDS
    assert slope_of(group, tokens=2) is None


# -- findings --------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def theory():
    (facts,) = theory_rows(lambda part: None, target="mean-field:a=1,b=1", **SHAPE)
    return facts


def verdicts(theory, group):
    """Return finding by first words of its claim."""
    target = resolve_target(theory["target"])
    bound = bound_function(
        "theorem-3.6",
        moduli_of(target, theory["moduli"], **SHAPE),
        **SHAPE,
        oscillation=theory["oscillation"],
        trivial=theory["trivial"],
        trivial_stderr=theory["trivial_stderr"],
    )
    found = findings(theory, group, {"theorem-3.6": bound})
    assert all(finding.reason for finding in found)
    return {finding.claim: finding for finding in found}


def finding_about(words, theory, group):
    (found,) = [f for claim, f in verdicts(theory, group).items() if words in claim]
    return found


def answer_about(words, group):
    (found,) = [row for row in answers(group) if words in row["claim"]]
    assert found["reason"]
    return found


LOOPS = [("lt", 1), ("lt", 4), ("lt", 16)]
NOISE = [0.2, 0.05, 0.2, 0.05, 0.1]  # against 0.1: better for some seeds, worse for others


@pytest.mark.parametrize(
    ("levels", "word"),
    [
        ((0.4, 0.2, 0.1), "yes"),
        ((0.1, 0.2, 0.4), "no"),
        (([0.1] * 5, 0.1, NOISE), "not clear"),
    ],
)
def test_more_loops_help_hurt_or_cannot_be_told(levels, word):
    found = answer_about("error at r", trained(dict(zip(LOOPS, levels, strict=True))))
    assert found["answer"] == word
    assert found["claim"] == "LT: the trained error at r = 16 is below that at r = 1"


def test_a_rise_between_two_loop_counts_is_named_even_where_the_last_is_best():
    group = trained({("lt", 1): 0.4, ("lt", 4): 0.6, ("lt", 16): 0.1})
    found = answer_about("error at r", group)
    assert found["answer"] == "yes"
    assert "the error rose from r = 1 to 4" in found["reason"]
    assert found["evidence"]["best_loops"] == 16


@pytest.mark.parametrize("seeds", [1, 2, LEAST_PAIRS - 1])
def test_too_few_seeds_carry_no_answer_about_seeds(seeds):
    table = {(f, r): level for f in ("lt", "tmlt") for r, level in ((1, 0.8), (4, 0.1))}
    for (family, loops), level in list(table.items()):
        table[family, loops] = level if family == "lt" else level / 4
    for words in ("LT: the", "TMLT: the", "timestep modulation"):
        (few, enough) = (
            next(row for row in answers(trained(table, n)) if row["claim"].startswith(words))
            for n in (seeds, LEAST_PAIRS)
        )
        assert (few["answer"], enough["answer"]) == ("not clear", "yes")  # the rows are clear


def test_seeds_that_diverged_do_not_count_as_seeds():
    clear = [level * s for level in (0.1,) for s in SPREAD[:LEAST_PAIRS]]
    table = {("lt", 1): 0.8, ("lt", 4): [None, *clear[1:]]}
    found = answer_about("error at r", trained(table, LEAST_PAIRS))
    assert found["answer"] == "not clear"
    assert f"{LEAST_PAIRS} seeds" in found["reason"]


@pytest.mark.parametrize(
    ("factors", "word"),
    [
        ((1.0, 0.5, 0.5), "yes"),  # r = 1 has no steps to tell apart
        ((1.0, 2.0, 2.0), "no"),
        ((0.1, 2.0, 2.0), "no"),
        ((1.0, 2.0, 0.5), "not clear"),
        ((1.0, NOISE, NOISE), "not clear"),
    ],
)
def test_timestep_modulation_helps_hurts_or_cannot_be_told(factors, word):
    table = {("lt", r): [0.1] * 5 for r in (1, 4, 16)}
    for loops, factor in zip((1, 4, 16), factors, strict=True):
        table["tmlt", loops] = 0.1 * factor if isinstance(factor, float) else factor
    assert answer_about("timestep modulation", trained(table))["answer"] == word


def test_timestep_modulation_is_not_clear_without_both_families_or_several_loops():
    assert not any("timestep" in row["claim"] for row in answers(trained({("lt", 1): 0.1})))
    found = answer_about("timestep modulation", trained({("lt", 1): 0.1, ("tmlt", 1): 0.01}))
    assert found["answer"] == "not clear"


MODULI = "lower bounds of the moduli"
GROUP = {("lt", 4): 0.1}


def test_right_moduli_hold(theory):
    found = finding_about(MODULI, theory, trained(GROUP))
    assert found.verdict is Verdict.HOLDS
    assert found.evidence["worst_ratio"] > 0.99


def with_modulus(theory, index, **factors):
    """A theory row with one modulus scaled."""
    rows = [dict(r) for r in theory["moduli"]]
    assert rows[index]["side"] == "exact"
    for name, factor in factors.items():
        rows[index][name] *= factor
    return {**theory, "moduli": rows}


@pytest.mark.parametrize("factors", [{"lower": 2.0}, {"exact": 0.5, "upper": 0.5}], ids=str)
@pytest.mark.parametrize("index", [0, 4, -1])
def test_a_stored_lower_bound_above_a_closed_form_is_an_internal_error(theory, factors, index):
    target = resolve_target(theory["target"])  # A3
    stored_facts(theory, target)
    with pytest.raises(Contradiction, match=r"as stored.* below"):
        stored_facts(with_modulus(theory, index, **factors), target)


@pytest.mark.parametrize("index", [0, 4, -1])
def test_one_unreached_modulus_is_caught_and_the_bound_not_judged(theory, index):
    broken = with_modulus(theory, index, exact=2.0, upper=2.0)
    found = finding_about(MODULI, broken, trained(GROUP))
    assert found.verdict is Verdict.VIOLATED
    assert "worst lower/exact 0.5" in found.reason
    assert (
        finding_about("best constant's error", broken, trained(GROUP)).verdict
        is Verdict.NOT_TESTABLE
    )


def test_moduli_without_a_closed_form_are_not_judged(theory):
    rows = [{**r, "exact": None, "upper": None, "side": "lower"} for r in theory["moduli"]]
    unknown = {**theory, "moduli": rows}
    assert finding_about(MODULI, unknown, trained(GROUP)).verdict is Verdict.NOT_TESTABLE
    # ... but the bound still is: with lower bounds of the moduli it is vacuous all the more.
    at_three = finding_about("best constant's error", unknown, trained({("lt", 3): 0.1}))
    assert at_three.verdict is Verdict.VACUOUS


@pytest.mark.parametrize(
    ("loops", "verdict"),
    [(2, Verdict.NOT_TESTABLE), (3, Verdict.VACUOUS), (10**12, Verdict.HOLDS)],
)
def test_the_theorem_says_nothing_at_few_loops_and_something_at_many(theory, loops, verdict):
    found = finding_about("best constant's error", theory, trained({("lt", loops): 0.1}))
    assert found.verdict is verdict
    if verdict is Verdict.VACUOUS:
        exponent = theorem_exponent(tokens=2, dim=1)
        assert f"r^-{exponent:.3g}" in found.reason
        assert 3 < found.evidence["first_informative_loops"] < 10**12


def test_a_failing_hypothesis_leaves_the_theorem_untestable(theory):
    failing = Finding("the target is continuous", Verdict.NOT_TESTABLE, "a jump").as_dict()
    broken = {**theory, "hypotheses": [theory["hypotheses"][0], failing]}
    found = finding_about("best constant's error", broken, trained({("lt", 10**12): 0.1}))
    assert found.verdict is Verdict.NOT_TESTABLE
    assert "hypothesis" in found.reason


@pytest.mark.parametrize("level", [1e-9, 1e9])
def test_no_verdict_rests_on_trained_errors(theory, level):
    seen = {claim: f.verdict for claim, f in verdicts(theory, trained({("lt", 4): level})).items()}
    assert seen == {
        claim: f.verdict for claim, f in verdicts(theory, trained({("lt", 4): 0.1})).items()
    }


@pytest.mark.parametrize(("gain", "done"), [(0.01, 4), (0.4, 0)])
def test_fits_that_had_not_stopped_improving_are_counted(gain, done):
    told = convergence(cells([row(seed, 0.1, late_gain=gain) for seed in range(4)]))
    assert (told["converged"], told["fits"], told["median_gain"]) == (done, 4, gain)
