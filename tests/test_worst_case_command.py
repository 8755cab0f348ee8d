"""The worst case on the command line and through the one import, and its bound at its limits."""

import json

import pytest

import looprate
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
