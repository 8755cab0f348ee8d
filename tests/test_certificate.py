"""Certificates of constructed networks: they hold where they should, and nothing broken passes."""

import json
import math
from dataclasses import fields, replace
from fractions import Fraction
from functools import lru_cache

import numpy as np
import pytest
from mpmath import mp, mpf

from cases.constructions import make_spec
from cases.own_functions import OWN
from looprate.experiments.study.certificates import default_bits
from looprate.theory.bounds.trivial import best_constant_error
from looprate.theory.construction.build.compile import compile_construction
from looprate.theory.construction.certify.certificate import certify
from looprate.theory.construction.certify.error import strip_measure
from looprate.theory.construction.memorisers import MEMORISERS
from looprate.theory.construction.run.exact import exact_output
from looprate.theory.facts import Facts, moduli_of
from looprate.theory.targets import parse_target, resolve_target
from looprate.theory.verdict import Finding, Verdict

TOLERANCE = 5e-3  # asked of the enclosures
COARSE = 0.05  # ... of those over many dimensions
ROUNDING = 1e-9  # relative: float bounds against outward-rounded measurements
IDENTITY = "token-power:alpha=1,center=0"  # f(X) = X
DIAL = "dial:token=0.5,context=0.5,periods=1"
KEYS = {
    "rows", "width", "heads", "loops", "paper_loops", "labels", "memoriser_error", "error_lower",
    "error_upper", "bound", "terms", "weight_bits", "verdict",
}  # fmt: skip
TERMS = ["discretisation", "memoriser", "collisions", "strips"]
SMALLEST = {  # grids from which the bound is below the best constant's error: N = 2, d = 1, p = 1
    "mean-field": {"timestep": 4, "digits": 5, "increments": 9},
    "others-mean": {"timestep": 4, "digits": 4, "increments": 9},
    "context-max": {"timestep": 5, "digits": 6, "increments": 17},
    "token-times-mean": {"timestep": 6, "digits": 7, "increments": 17},
    IDENTITY: {"timestep": 4, "digits": 4, "increments": 7},
    DIAL: {"timestep": 9, "digits": 9, "increments": 27},
}
LONG = 20  # increments on grids beyond are slow


def spec_of(memoriser, grid, *, tokens=2, dim=1, **more):
    coding, bits = MEMORISERS[memoriser].coding, default_bits(memoriser, grid)
    return make_spec(tokens, dim, grid, memoriser, coding, bits=bits, **more)


@lru_cache(maxsize=64)
def trivial_of(name, tokens, dim, p):
    rng = np.random.default_rng(0)
    target = parse_target(name)
    found = best_constant_error(target, tokens=tokens, dim=dim, p=p, points=2**10, rng=rng)
    return {"trivial": found[0], "trivial_stderr": found[1]}


def certified(name, spec, *, p=1.0, network=None, scale=1.0, **more):
    """The certificate of a built-in target; ``scale`` makes its moduli wrong."""
    target, shape = parse_target(name), {"tokens": spec.tokens, "dim": spec.dim}
    construction = compile_construction(target, spec)
    if network is not None:
        construction = replace(construction, network=network)
    moduli = moduli_of(target, [], **shape, p=p)

    def scaled(kind, delta):
        value, side = moduli(kind, delta)
        return scale * value, side

    given = {"moduli": scaled, "oscillation": target.oscillation(**shape), "tolerance": TOLERANCE}
    trivial = trivial_of(name, spec.tokens, spec.dim, p)
    return certified_with(construction, target, p=p, **{**given, **trivial, **more})


def certified_with(construction, target, **given):
    """The certificate from facts of the target and settings, told apart by name."""
    known, spec = {field.name for field in fields(Facts)}, construction.spec
    own = {"target": target, "tokens": spec.tokens, "dim": spec.dim, "oscillation_side": "upper"}
    own |= dict.fromkeys(("rows", "hypotheses"), ()) | dict.fromkeys(("trivial", "trivial_stderr"))
    own |= {name: value for name, value in given.items() if name in known}
    facts = Facts(**own)
    rest = {name: value for name, value in given.items() if name not in known}
    return certify(construction, target, facts, **rest)


def check_numbers(found, p=1.0, tolerance=TOLERANCE):
    """What every certificate with an enclosure must satisfy."""
    lower, upper, sampled = found.error_lower, found.error_upper, found.sampled
    assert 0 <= lower <= upper
    if math.isfinite(p):
        lost = found.terms["strips"].upper
        assert upper - lower <= 1.01 * tolerance * upper + lost
        slack = 5 * sampled["stderr"] + lost
        assert lower - slack <= sampled["value"] <= upper + slack
    else:
        assert sampled["value"] <= upper
    for name, term in found.terms.items():
        assert 0 <= term.lower <= term.upper, name
        assert term.upper <= term.bound * (1 + ROUNDING) + 1e-11, name
    text = json.dumps(found.as_dict(), allow_nan=False)
    assert json.loads(text).keys() >= KEYS
    assert list(json.loads(text)["terms"]) == TERMS


def check_memoriser(found, memoriser, table, bits):
    """The memoriser keeps what is proved of it."""
    if memoriser == "timestep":
        assert found.memoriser_error == 0.0
        assert found.terms["memoriser"].upper == 0.0
    elif memoriser == "increments":
        assert found.memoriser_error <= max(table.gaps)
    else:
        span = max(high - low for low, high in table.ranges)
        assert 0 < found.memoriser_error <= span / 2**bits


def smallest_cases():
    for name, grids in SMALLEST.items():
        for memoriser, grid in grids.items():
            slow = memoriser == "increments" and grid > LONG
            marks = [pytest.mark.slow] if slow else []
            yield pytest.param(name, memoriser, grid, marks=marks, id=f"{name}-{memoriser}-{grid}")


# -- they hold -------------------------------------------------------------------------------------
@pytest.mark.parametrize(("name", "memoriser", "grid"), list(smallest_cases()))
def test_holds_from_the_smallest_informative_grid_on(name, memoriser, grid):
    spec = spec_of(memoriser, grid)
    found = certified(name, spec)
    assert found.verdict is Verdict.HOLDS, found.reason
    assert found.bound.total < found.bound.trivial
    check_numbers(found)
    table = compile_construction(parse_target(name), spec).table
    check_memoriser(found, memoriser, table, spec.bits)
    if memoriser != "increments":  # the others cost little
        coarser = certified(name, spec_of(memoriser, grid - 1))
        assert coarser.verdict is Verdict.VACUOUS, coarser.reason
        assert "but the bound" in coarser.reason
        check_numbers(coarser)


@pytest.mark.parametrize("memoriser", MEMORISERS)
@pytest.mark.parametrize(
    ("name", "tokens", "dim", "grid", "p"),
    [
        ("mean-field", 2, 2, 2, 1.0),
        pytest.param("context-max", 2, 2, 3, 2.0, marks=pytest.mark.slow),
        pytest.param("token-times-mean", 3, 1, 4, 1.0, marks=pytest.mark.slow),
        pytest.param(DIAL, 3, 1, 3, 2.0, marks=pytest.mark.slow),
        ("mean-field", 3, 1, 3, 2.0),
        ("others-mean", 2, 1, 5, 3.0),
        pytest.param("context-max", 2, 1, 4, 1.5, marks=pytest.mark.slow),
        (IDENTITY, 1, 1, 6, 2.0),
        (DIAL, 1, 2, 3, 1.0),
        ("token-sine", 2, 1, 4, math.inf),
        (IDENTITY, 1, 1, 1, 1.0),
    ],
)
def test_other_shapes_and_norms_are_never_violated(name, tokens, dim, grid, p, memoriser):
    spec = spec_of(memoriser, grid, tokens=tokens, dim=dim)
    found = certified(name, spec, p=p, tolerance=COARSE)
    assert found.verdict in (Verdict.HOLDS, Verdict.VACUOUS), found.reason
    check_numbers(found, p, COARSE)


@pytest.mark.parametrize("memoriser", MEMORISERS)
def test_a_target_without_any_range_has_no_error(memoriser):
    found = certified("0*mean-field", spec_of(memoriser, 3))
    assert (found.error_lower, found.memoriser_error) == (0.0, 0.0)
    assert found.error_upper <= 1e-15
    assert found.verdict is Verdict.VACUOUS  # no bound is below the best constant's error, 0


def test_sizes_and_loops_are_those_of_the_theory():
    found = certified("mean-field", spec_of("timestep", 4))
    assert (found.sizes["loops"], found.sizes["paper_loops"]) == (34, 2 + 2 * 4**4)
    assert (found.sizes["rows"], found.sizes["width"], found.sizes["heads"]) == (9, 8, 1)
    assert found.sizes["labels"] == 30
    for memoriser, loops in (("increments", 121), ("digits", 156)):
        assert certified("mean-field", spec_of(memoriser, 4)).sizes["loops"] == loops


# -- the enclosure is right ------------------------------------------------------------------------
def identity_power(grid, tokens, p):
    """∫ Σ |net - X|^p of the timestep network for f(X) = X, d = 1, by hand; N is 1 or 2.

    A token at its cell's centre is δ/2 away at most: E|x - c|^p = (δ/2)^p/(p+1).  Two tokens in
    one cell are answered with its centre, too, but in the lowest cell with the next one's.
    """
    delta = Fraction(1, grid)
    near = (delta / 2) ** p / (p + 1)
    if tokens == 1:
        return near
    far = delta**p * (Fraction(3, 2) ** (p + 1) - Fraction(1, 2) ** (p + 1)) / (p + 1)
    return 2 * (near * (1 - delta**2) + far * delta**2)


@pytest.mark.parametrize("grid", [2, 5, 8])
@pytest.mark.parametrize("tokens", [1, 2])
@pytest.mark.parametrize("p", [1, 2, 3])
def test_encloses_the_exact_error_of_the_identity(grid, tokens, p):
    found = certified(IDENTITY, spec_of("timestep", grid, tokens=tokens), p=float(p))
    exact = float(identity_power(grid, tokens, p)) ** (1 / p)
    assert found.error_lower * (1 - 1e-12) <= exact <= found.error_upper * (1 + 1e-12)
    assert found.error_upper - found.error_lower <= TOLERANCE * exact + found.terms["strips"].upper


@pytest.mark.parametrize("p", [40, 400, 5000])
def test_encloses_the_error_of_the_identity_closely_at_large_exponents(p):  # R1
    found = certified(IDENTITY, spec_of("timestep", 4), p=float(p))  # exact labels
    exact = float(identity_root(4, 2, p))
    assert exact * (1 - TOLERANCE) <= found.error_lower <= exact <= found.error_upper < 2
    wide = found.error_upper - found.error_lower
    assert wide <= TOLERANCE * exact + found.terms["strips"].upper  # proven of strips: no more
    for part in ("discretisation", "collisions"):
        term = found.terms[part]
        assert (1 - TOLERANCE) * term.upper <= term.lower <= term.upper <= term.bound


def identity_root(grid, tokens, p):
    """The p-th root of identity_power, whose floats would be 0."""
    with mp.workdps(30):
        power = identity_power(grid, tokens, p)
        return (mpf(power.numerator) / mpf(power.denominator)) ** (1 / mpf(p))


def test_encloses_the_exact_discretisation_of_the_identity():
    spec = spec_of("timestep", 8)
    term = certified(IDENTITY, spec, tolerance=1e-9).terms["discretisation"]
    cut = Fraction(1, 2**30)  # of a cell, the strip
    exact = float(2 * Fraction(1, 8) / 4 * Fraction(63, 64))  # all but cell 0 twice
    assert term.lower <= exact <= term.upper + 2 * float(cut)
    assert term.upper - term.lower < 1e-8


@pytest.mark.parametrize("p", [1.0, 2.0])
def test_the_bound_of_the_strips_counts_the_m_minus_1_strips_of_every_entry(p):
    for tokens, dim, grid in ((1, 1, 2), (1, 1, 1), (2, 1, 3)):
        spec = spec_of("timestep", grid, tokens=tokens, dim=dim, sharpness=2)
        term = certified(IDENTITY, spec, p=p, tolerance=0.1).terms["strips"]
        entries, measure = tokens * dim, tokens * dim * (grid - 1) / spec.slope
        expected = entries ** (1 / p) * min(measure, 1.0) ** (1 / p)  # D = 1
        assert term.bound == pytest.approx(expected, rel=1e-12)
        assert measure == 0 or 0 < term.upper <= term.bound * (1 + ROUNDING)


@pytest.mark.parametrize("p", [1.0, math.inf])
def test_strips_are_cut_off_the_cells(p):
    """f(x) = x on two cells, a strip being half a cell, by hand.

    The outputs are 1/4 up to x = 1/2, 3/4 from x = 3/4 on, linear in the strip between.
    """
    found = certified(IDENTITY, spec_of("timestep", 2, tokens=1, sharpness=2), p=p)
    off, strip = (1 / 16 + 1 / 32, 1 / 32) if p == 1 else (1 / 4, 1 / 4)
    term = found.terms["discretisation"]
    assert term.lower <= off <= term.upper <= off * (1 + TOLERANCE) + 1e-12
    assert found.error_lower == pytest.approx(off, rel=TOLERANCE)
    assert found.error_lower <= (off + strip if p == 1 else off) <= found.error_upper
    most = 3 / 4 * (1 / 4 if p == 1 else 1)  # labels and f are at most 3/4 apart
    assert strip <= found.terms["strips"].upper <= most * (1 + ROUNDING)


def test_the_supremum_is_that_off_the_strips_or_within_them():
    found = certified(IDENTITY, spec_of("timestep", 4, tokens=1), p=math.inf)
    assert found.error_lower == pytest.approx(1 / 8, rel=TOLERANCE)
    assert 1 / 8 <= found.error_upper <= 1
    one_cell = certified(IDENTITY, spec_of("timestep", 1, tokens=1), p=math.inf)
    assert one_cell.error_lower <= 0.5 <= one_cell.error_upper <= 0.5 + 1e-12


@pytest.mark.parametrize("memoriser", MEMORISERS)
@pytest.mark.parametrize("p", [1.0, 2.0])
def test_wide_strips_stay_inside_the_enclosure(memoriser, p):
    """The network itself, run at random inputs: a third of them in strips."""
    spec = spec_of(memoriser, 3, sharpness=4)
    found = certified(IDENTITY, spec, p=p)
    network = compile_construction(parse_target(IDENTITY), spec).network
    denominator = 2**10 * spec.slope
    rng = np.random.default_rng(1)
    points = rng.integers(0, denominator, (4000, 2, 1), endpoint=True)
    outputs = exact_output(network, points, denominator=denominator).fractions.astype(float)
    powers = (np.abs(outputs - points / denominator) ** p).sum(axis=(1, 2))
    slack = 5 * powers.std() / math.sqrt(len(powers))
    assert found.error_lower**p <= powers.mean() + slack
    assert powers.mean() - slack <= found.error_upper**p
    assert found.terms["strips"].upper > 0.1  # they matter here
    in_strip = ((points % denominator) % (denominator // 3) < 2**10) & (points >= denominator // 3)
    lost, wide = in_strip.any(axis=(1, 2)), strip_measure(spec)
    if spec.coding == "others":  # near ties, whose measure is added up without what they share
        lost |= np.abs(points[:, 0, 0] - points[:, 1, 0]) < 2**10
        assert 0.8 * wide <= lost.mean() <= wide
    else:
        assert lost.mean() == pytest.approx(float(wide), abs=0.04)
    lost = (powers * lost).mean()
    assert lost <= found.terms["strips"].upper ** p


def test_a_smaller_tolerance_gives_a_narrower_enclosure_around_the_same_error():
    wide = certified(DIAL, spec_of("timestep", 6), tolerance=0.2)
    narrow = certified(DIAL, spec_of("timestep", 6), tolerance=1e-3)
    assert wide.error_lower <= narrow.error_lower <= narrow.error_upper <= wide.error_upper
    assert narrow.boxes > wide.boxes


# -- own functions ---------------------------------------------------------------------------------
def own(name, spec, **more):
    """The certificate of an own function."""
    target = resolve_target(f"{OWN}:{name}")
    given = {"oscillation": 1.0, "trivial": 0.5, "trivial_stderr": 0.0, "p": 1.0}
    construction = compile_construction(target, spec)
    given["moduli"] = lambda kind, delta: (2 * delta, "lower")
    return certified_with(construction, target, **{**given, **more})


def test_an_own_function_is_enclosed_but_lower_moduli_decide_nothing():
    found = own("identity", spec_of("timestep", 8))
    assert found.verdict is Verdict.NOT_TESTABLE
    assert "moduli are lower bounds only" in found.reason
    exact = float(identity_power(8, 2, 1))
    assert found.error_lower <= exact <= found.error_upper
    proven = certified(IDENTITY, spec_of("timestep", 8))
    assert found.error_upper == pytest.approx(proven.error_upper, rel=TOLERANCE)


@pytest.mark.parametrize("p", [1.0, 2.0])
def test_all_orders_of_the_tokens_are_integrated_for_an_own_function(p):
    found = own("first_token_differs", spec_of("timestep", 4), p=p)
    slack = 5 * found.sampled["stderr"]
    assert found.error_lower - slack <= found.sampled["value"] <= found.error_upper + slack
    assert found.error_upper <= 1.02 * found.error_lower


def test_without_enclosures_only_the_sampled_error_is_left():
    found = own("jump", spec_of("timestep", 4))
    assert (found.error_lower, found.error_upper) == (None, None)
    assert found.verdict is Verdict.NOT_TESTABLE
    assert "no enclosure of the error" in found.reason
    assert "jump" in found.reason
    assert 0 < found.sampled["value"] < 1
    assert found.terms["memoriser"].upper == 0.0
    assert [found.terms[name].upper for name in TERMS if name != "memoriser"] == [None] * 3
    json.dumps(found.as_dict(), allow_nan=False)


# -- negative controls -----------------------------------------------------------------------------


@pytest.mark.parametrize("p", [1.0, 2.0])
def test_moduli_a_hundred_times_too_small_are_caught(p):
    spec = spec_of("timestep", 8, tokens=1)
    right, wrong = certified(IDENTITY, spec, p=p), certified(IDENTITY, spec, p=p, scale=0.01)
    assert right.verdict is Verdict.HOLDS
    assert wrong.verdict is Verdict.VIOLATED
    assert "above the bound" in wrong.reason
    assert wrong.error_lower > wrong.bound.total


def test_an_enclosure_around_the_bound_decides_nothing():
    spec = spec_of("timestep", 8, tokens=1)
    right = certified(DIAL, spec, tolerance=COARSE)
    middle = (right.error_lower + right.error_upper) / 2
    scale = middle / right.terms["discretisation"].bound
    found = certified(DIAL, spec, scale=scale, tolerance=COARSE)
    assert found.verdict is Verdict.NOT_TESTABLE
    assert "around the bound" in found.reason


def test_the_rounding_of_labels_is_allowed_for():
    """The bound of a constant is 0, the error of its rounded label is not."""
    exact = {"moduli": lambda kind, delta: (0.0, "exact"), "oscillation": 0.0}
    found = own("constant", spec_of("timestep", 4), **exact)
    assert found.bound.total == 0 < found.error_lower < found.error_upper < 1e-11
    assert found.verdict is Verdict.VACUOUS


def test_lower_moduli_and_failed_hypotheses_are_not_testable():
    spec = spec_of("timestep", 8)

    def lower(kind, delta):
        return 3 * delta, "lower"

    assert "lower bounds only" in certified("mean-field", spec, moduli=lower).reason
    witness = {"x": [[0.25], [0.5]], "order": [1, 0]}
    bad = Finding("equivariant", Verdict.NOT_TESTABLE, "it is not", witness)
    found = certified("mean-field", spec, hypotheses=[bad])
    assert found.verdict is Verdict.NOT_TESTABLE
    assert found.reason == '"equivariant" fails: it is not'
    assert found.error_lower > 0  # the error is what it is


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match="`p`"):
        certified(IDENTITY, spec_of("timestep", 2, tokens=1), p=0.5, trivial=None)
    with pytest.raises(ValueError, match="`oscillation`"):
        certified("mean-field", spec_of("timestep", 3), oscillation=-1.0)
    with pytest.raises(ValueError, match="`tolerance`"):
        certified("mean-field", spec_of("timestep", 3), tolerance=0.0)
