"""The worst case on the command line and through the one import, and its bound at its limits."""

import json
import math
import random

import pytest

import looprate
from looprate.theory.bounds.lower import _at_grid, bump_norm
from looprate.theory.bounds.pattern_count import interval_context, log2_patterns
from looprate.theory.bounds.upper import worst_case_error_upper_bound
from looprate.theory.outputs import at_least, at_most

KEYS = ["loops", "family", "lower", "grid", "share", "upper", "by"]


def test_the_command_prints_what_the_function_returns(said):
    sizes = {"--stream-rows": 7, "--width": 9, "--heads": 1, "--head-size": 2, "--weight-bits": 40}
    words = [word for pair in sizes.items() for word in pair]
    asked = ["bound", "--worst-case", "-N", 3, "--p", 2, "--lipschitz", 1.5, "--holder", 0.5]
    families = ["lt", "untied"]
    code, out, err = said(*asked, *words, "--loops", 5, 40, "--family", *families, "--json")
    assert (code, err) == (0, "")
    rows = json.loads(out)
    assert [(row["loops"], row["family"]) for row in rows] == [
        (r, family) for r in (5, 40) for family in families
    ]
    given = {
        name[2:].removeprefix("stream-").replace("-", "_"): value for name, value in sizes.items()
    }
    for row in rows:
        assert list(row) == KEYS
        size = looprate.NetworkSize(**given, family=row["family"])
        how = {"tokens": 3, "dim": 1, "p": 2, "lipschitz": 1.5, "holder": 0.5, "size": size}
        found = looprate.worst_case_error_lower_bound(row["loops"], **how)
        assert (row["lower"], row["grid"], row["share"]) == (found.value, found.grid, found.share)


def test_without_a_size_it_is_that_of_the_constructions(said):
    size = looprate.NetworkSize(rows=19, width=32, heads=2)
    shape = {"tokens": 2, "dim": 2}
    found = looprate.worst_case_error_lower_bound(50, **shape)
    assert found == looprate.worst_case_error_lower_bound(50, size=size, **shape)
    code, out, _ = said("bound", "--worst-case", "-d", 2, "--loops", 50)
    assert code == 0
    head, columns, lt, tmlt, *words = out.splitlines()
    assert "blocks of 19 rows, 32 units, heads: 2 of size 1" in head
    assert " ".join(columns.split()) == "loops family no error below all f within by"
    reached = worst_case_error_upper_bound(50, **shape)
    assert lt.split()[:4] == ["50", "lt", at_least(found.value, 3), at_most(reached.total, 3)]
    assert tmlt.split()[1] == "tmlt"
    for caveat in ("some f of the class, which depends on it", "hardmax", "exact arithmetic"):
        assert caveat in " ".join(words)
    assert "not yet reviewed by others" in words[-1]


@pytest.mark.parametrize("option", [("--weight-bits", 9), ("--p", "inf")])
def test_no_construction_is_named_for_short_weights_or_the_supremum_norm(said, option):
    rows = json.loads(said("bound", "--worst-case", "--loops", 9, *option, "--json")[1])
    assert [row["upper"] for row in rows] == [None, None]
    assert all(row["lower"] > 0 for row in rows)


def test_eta_from_a_network_lies_between_a_free_one_and_none(said):
    asked = ["bound", "--worst-case", "--loops", 10**6, "--json"]
    (network,) = json.loads(said(*asked, "--eta-network", 90, 10, 1)[1])
    lt, tmlt = json.loads(said(*asked)[1])
    assert network["family"] == tmlt["family"] == "tmlt"
    assert tmlt["lower"] < network["lower"] < lt["lower"]


@pytest.fixture
def refused(said):
    """Run the command, which must refuse with one line; return that line."""

    def run(*arguments):
        code, out, err = said(*arguments)
        assert (code, out, err.count("\n")) == (2, "", 1), err
        return err

    return run


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ("", "`TARGET` must be given, or --worst-case"),
        ("mean-field --worst-case", "`TARGET` must be left out with --worst-case"),
        ("mean-field --stream-rows 4", "`--stream-rows` needs --worst-case"),
        ("mean-field --weight-bits 4", "`--weight-bits` needs --worst-case"),
        ("--worst-case --holder 2", "`holder` (H\u00f6lder exponent s) must be in (0, 1], got 2"),
        ("--worst-case --lipschitz 0", "`lipschitz`"),
        ("--worst-case --heads 0", "`heads`"),
        ("--worst-case --loops 0", "`loops`"),
        ("--worst-case --family lt --eta-network 9 3 1", "`eta_network`"),
        ("--worst-case --family rnn", "invalid choice: 'rnn'"),
        ("--worst-case --slope 3", "`--slope` is about a TARGET"),
        ("--worst-case --coding rank", "`--coding` is about a TARGET"),
        ("--worst-case --inequality digits", "`--inequality` is about a TARGET"),
        ("--worst-case --placement inner", "`--placement` is about a TARGET"),
        ("--worst-case --tokens 2000", "must be at most 1000 here"),
        ("--worst-case --loops 9 --lipschitz 1e308 --tokens 4", "at most the largest float64"),
    ],
)
def test_what_does_not_fit_is_one_line(refused, arguments, match):
    assert match in refused("bound", *arguments.split())


@pytest.mark.parametrize("p", [1.0, 3.0])
@pytest.mark.parametrize("family", ["lt", "tmlt", "untied"])
def test_with_far_more_signs_than_patterns_the_bound_is_the_error_of_zero(p, family):
    """It cannot be larger: the network that is 0 errs by the norm of f, which is returned then."""
    size = looprate.NetworkSize(rows=2, width=1, heads=1, family=family)
    shape = {"tokens": 2, "dim": 1}
    norm = bump_norm(2**18, p=p, holder=0.7, **shape)
    found = _at_grid(2**18, 3, 2, 1, p, 1.0, 0.7, size)
    assert 0.99 * norm < found.value < norm
    assert _at_grid(2, 3, 2, 1, p, 1.0, 0.7, size) is None  # two signs: every network may be right


@pytest.mark.parametrize("seed", range(6))
def test_the_count_grows_with_every_resource(seed):
    rng, ctx = random.Random(seed), interval_context()
    names = ("rows", "width", "heads", "head_size")
    numbers = {name: rng.randint(1, 30) for name in names}
    family, tokens, dim = rng.choice(["lt", "tmlt", "untied"]), rng.randint(1, 5), rng.randint(1, 3)
    loops, inputs = rng.randint(1, 10**4), 10 ** rng.randint(0, 12)

    def count(r, n, **more):
        size = looprate.NetworkSize(**(numbers | more), family=family)
        return log2_patterns(size, r, n, tokens=tokens, dim=dim, context=ctx).b

    base = count(loops, inputs)
    assert base < count(loops + 1, inputs)
    assert base <= count(loops, 2 * inputs)
    assert all(base < count(loops, inputs, **{name: numbers[name] + 1}) for name in names)
    assert math.isfinite(float(base))


def test_the_count_of_paths_with_a_network_of_eta_by_hand():
    """g = 5 + l, and its units branch once a loop: N = d = 1, 3 hidden layers, 4 units, r = 50."""
    network = looprate.EtaNetwork(parameters=9, units=4, depth=3)
    size = looprate.NetworkSize(rows=1, width=1, heads=1, family="tmlt", eta_network=network)
    weights, g, r = 16 + 9, 5 + 3, 50
    found = log2_patterns(size, r, 5, tokens=1, dim=1).b
    polynomials = math.log2(5 * (1 + 1)) + r * (1 + 4)
    expected = 1 + weights * (math.log2(2 * math.e * 2 * g * r / weights) + polynomials)
    assert float(found) == pytest.approx(expected, rel=1e-12)


def test_the_code_of_an_inequality_can_be_chosen(said):
    asked = ["bound", "mean-field", "--inequality", "increments", "--loops", 500, "--json"]
    (own,), (others,) = (
        json.loads(said(*asked, *more)[1]) for more in ([], ["--coding", "others"])
    )
    assert (own["verdict"], others["verdict"]) == ("vacuous", "holds")
    assert others["terms"]["collisions"] == 0 < own["terms"]["collisions"]
    f = looprate.target("mean-field")
    answer = f.bound(500, version="increments", coding="others")
    assert answer.to_rows()[0]["total"] == others["total"] < own["total"] / 2


def test_twenty_bits_are_kept_spare():
    """H(α) <= 1 - (log2 Γ + 20)/K, nearly equal; W = 22 weights of a bit, K = 2 C(32, 2) signs."""
    size = looprate.NetworkSize(rows=1, width=3, heads=1, weight_bits=1)
    found = _at_grid(32, 4, 2, 1, 1.0, 1.0, 1.0, size)
    assert (found.signs, found.pattern_bits) == (992, pytest.approx(22))
    entropy = -sum(share * math.log2(share) for share in (found.share, 1 - found.share))
    assert entropy == pytest.approx(1 - (22 + 20) / 992, abs=1e-9)


def test_a_class_too_small_for_float64_has_the_bound_0():
    shape = {"tokens": 2, "dim": 1, "lipschitz": 1e-320}
    assert looprate.worst_case_error_lower_bound(9, **shape).value == 0.0
    assert 0.0 <= worst_case_error_upper_bound(9, **shape).total < 1e-318


@pytest.mark.parametrize("family", ["lt", "tmlt", "untied"])
def test_a_class_without_smoothness_is_bounded_by_nearly_half_its_oscillation(family):
    size = looprate.NetworkSize.of_constructions(1, family=family)
    shape = {"tokens": 2, "dim": 1, "p": 400.0, "holder": 1e-9}
    assert 0.495 < looprate.worst_case_error_lower_bound(100, size=size, **shape).value < 0.5
