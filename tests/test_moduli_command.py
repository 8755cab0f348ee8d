"""``looprate moduli --certify``: brackets, what is said where one stays open, and refusals."""

import json
import math
import re
import time

import numpy as np
import pytest

from cases.own_functions import OWN, waves
from looprate.theory.continuity import ModulusLowerBound, ModulusLowerCurve, modulus_lower_bound
from looprate.theory.continuity.certified import attaining_pair, certified_columns
from looprate.theory.outputs import at_least, at_most, strict_json
from looprate.theory.targets import OwnFunction, parse_target

ADDED = ["certified", "gap", "method", "reached", "note", "boxes", "seconds", "x", "y"]
KEYS = ["kind", "delta", "lower", "exact", "upper", "side", *ADDED]
ROUNDING = 1e-9  # relative, of a modulus in float64
QUICK = ["--effort", "0.1", "--certify"]


@pytest.fixture
def certified(said):
    """Run the command with --certify --json; return its rows and what it said on stderr."""

    def run(*arguments):
        code, out, err = said("moduli", *arguments, *QUICK, "--json")
        assert code == 0, err
        rows = json.loads(out, parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))
        assert [list(row) for row in rows] == [KEYS] * len(rows)
        return rows, err

    return run


def attained(f, row, p):
    """What a row's pair attains, in one output token but for the sequence modulus."""
    pair = np.array([row["x"], row["y"]])
    assert ((pair >= 0) & (pair <= 1)).all()
    steps = np.diff(f(pair), axis=0)[0]
    moved = (pair[0] != pair[1]).any(1)
    seen = {"sequence": slice(None), "token": moved, "contextual": ~moved}[row["kind"]]
    if row["kind"] == "token":
        assert moved.sum() == 1
    return np.linalg.norm(steps[seen].ravel(), ord=p), np.linalg.norm(pair[0] - pair[1])


# -- brackets --------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("name", "p"), [("token-power:alpha=0.5", 1), ("mean-field", 2), ("context-max", math.inf)]
)
def test_the_exact_modulus_lies_in_the_bracket(certified, name, p):
    rows, err = certified(name, "--delta", 0, 0.1, "--p", p)
    assert err == ""
    assert len(rows) == 6
    for row in rows:
        assert row["lower"] <= row["exact"] * (1 + ROUNDING)
        assert row["exact"] <= row["certified"] * (1 + ROUNDING)
        assert row["reached"]
        if row["lower"]:
            assert row["gap"] == pytest.approx(row["certified"] / row["lower"] - 1, abs=1e-15)
            assert row["gap"] <= 0.02 + ROUNDING
        else:
            assert (row["certified"], row["gap"]) == (0, 0)


@pytest.mark.parametrize("name", ["for_both", "square_in_torch"])
def test_an_own_function_for_numpy_or_torch_has_a_bracket(certified, name):
    rows, err = certified(f"{OWN}:{name}", "--delta", 0.1, 0.5, "--kind", "token")
    assert err == ""
    assert len(rows) == 2
    for row in rows:
        truth = 1 - (1 - row["delta"]) ** 2
        assert row["lower"] <= truth * (1 + ROUNDING)
        assert truth <= row["certified"] * (1 + ROUNDING)
        assert (row["exact"], row["upper"], row["reached"]) == (None, None, True)


def test_an_own_torch_module_and_a_sum_with_it_have_brackets(certified):
    for text, slope in ((f"{OWN}:Bend", 3), (f"0.5*{OWN}:Bend + token-power:alpha=1", 2.5)):
        ((row,), err) = certified(text, "--delta", 0.1, "--kind", "token")
        assert err == ""
        assert row["certified"] == pytest.approx(0.1 * slope, rel=0.02 + ROUNDING)
        assert row["certified"] >= 0.1 * slope * (1 - ROUNDING)


@pytest.mark.parametrize("kind", ["sequence", "token", "contextual"])
def test_the_pair_attains_the_lower_bound_within_the_radius(certified, kind):
    name = "softmax-attention"
    rows, _ = certified(name, "--delta", 0.05, 0.3, "--p", 1, "--kind", kind, "--seconds", 0.1)
    for row in rows:
        value, distance = attained(parse_target(name), row, 1)
        assert value >= row["lower"] * (1 - ROUNDING)
        assert distance <= row["delta"] * (1 + ROUNDING)


def test_a_bound_from_a_larger_radius_gets_a_pair_of_its_own():
    f = parse_target("token-power:alpha=1")
    x, y = np.zeros((2, 1)), np.array([[0.9], [0.0]])
    pairs = tuple(
        ModulusLowerBound("token", radius, value, x, end, 2.0, 0)
        for radius, value, end in ((0.25, 0.0, x), (0.9, 0.9, y))
    )
    radii, lower = np.array([0.25, 0.9]), np.array([0.225, 0.9])
    sources, rules = np.array([0.9, 0.9]), ("subadditive", "pair")
    curve = ModulusLowerCurve("token", 2.0, radii, lower, lower, pairs, rules, sources)
    left, right = attaining_pair(f, curve, 0)
    assert np.linalg.norm(left - right) <= 0.25
    assert abs(f(left[None]) - f(right[None])).max() >= 0.225 * (1 - ROUNDING)
    assert attaining_pair(f, curve, 1) == (x, y)


def test_a_pair_from_the_segment_watches_the_output_token():
    def f(x):
        return np.concatenate([np.minimum(x[:, :1], 0.5), 9 * np.maximum(x[:, :1] - 0.5, 0)], 1)

    x, y = np.zeros((2, 1)), np.array([[1.0], [0.0]])
    pair = ModulusLowerBound("token", 1.0, 0.5, x, y, 2.0, 0)
    none = ModulusLowerBound("token", 0.5, 0.0, x, x, 2.0, 0)
    radii, lower = np.array([0.5, 1.0]), np.array([0.25, 0.5])
    rules, sources = ("subadditive", "pair"), np.array([1.0, 1.0])
    curve = ModulusLowerCurve("token", 2.0, radii, lower, lower, (none, pair), rules, sources)
    left, right = attaining_pair(OwnFunction("f", f), curve, 0)
    assert (left.ravel().tolist(), right.ravel().tolist()) == ([0, 0], [0.5, 0])


# -- what has no bracket, or an open one -----------------------------------------------------------
@pytest.mark.parametrize(
    ("name", "why", "least"), [("steps", "numpy.round", 0.19), ("opaque", "numpy.cbrt", 0.05)]
)
def test_without_enclosures_lower_bounds_stand_and_one_line_says_why(certified, name, why, least):
    rows, err = certified(f"{OWN}:{name}", "--delta", 0.2, "--kind", "token", "contextual")
    (line,) = [line for line in err.splitlines() if "no certified upper bounds" in line]
    assert why in line
    assert "write " in line
    assert rows[0]["lower"] > least
    for row in rows:
        assert [row[key] for key in ("certified", "gap", "method")] == [None] * 3
        assert not row["reached"]
        assert why in row["note"]


def test_without_enclosures_the_table_says_unknown(said):
    arguments = [f"{OWN}:steps", "--delta", "0.2", "--kind", "token", *QUICK]
    code, out, err = said("moduli", *arguments)
    assert code == 0
    assert "unknown" in out
    assert "not reached" not in out
    assert '"the target is continuous" fails' in err


def test_an_open_bracket_is_valid_and_says_not_reached(said, certified):
    arguments = [f"{OWN}:waves", "--delta", 0.2, "--kind", "sequence", "--seconds", 0.01]
    ((row,), _) = certified(*arguments)
    assert not row["reached"]
    assert row["gap"] > 0.02
    best = modulus_lower_bound(waves, 0.2, kind="sequence", tokens=2, dim=1, effort=0.5)
    assert best.value <= row["certified"]  # a search that works harder stays below
    _, out, _ = said("moduli", *arguments, *QUICK)
    assert "not reached: sequence, delta 0.2: " in out
    assert "before the gap was closed" in out


def test_the_table_fits_100_columns_and_carries_the_same_numbers(said, certified):
    arguments = ["softmax-attention", "--delta", 0.05, "--kind", "contextual", "token"]
    rows, _ = certified(*arguments, "--seconds", 0.01)  # a batch of cells each
    _, out, _ = said("moduli", *arguments, *QUICK, "--seconds", 0.01)
    assert max(map(len, out.splitlines())) <= 100
    for row in rows:
        assert at_most(row["certified"]) in out
        assert at_least(row["lower"]) in out


def test_a_looser_tolerance_and_more_time_do_what_they_say(certified):
    one = [f"{OWN}:waves", "--delta", 0.2, "--kind", "contextual"]
    ((loose,), _) = certified(*one, "--tolerance", 0.5)
    ((tight,), _) = certified(*one, "--tolerance", 0.05)
    assert 0.05 < loose["gap"] <= 0.5 + ROUNDING
    assert tight["gap"] <= 0.05 + ROUNDING
    assert tight["certified"] < loose["certified"]
    assert tight["boxes"] > loose["boxes"]


def test_what_one_modulus_leaves_of_the_time_the_next_ones_have(monkeypatch):
    given = []

    def refuse(*_, seconds, **__):
        given.append(seconds)
        raise ValueError("no\nenclosure")

    monkeypatch.setattr("looprate.theory.continuity.certified.modulus_upper_bound", refuse)
    f, setting = parse_target("mean-field"), {"tokens": 2, "dim": 1, "p": 2.0}
    kinds = ("sequence", "token", "contextual")
    curves = {k: modulus_lower_bound(f, [0.0], kind=k, **setting) for k in kinds}
    columns, reasons = certified_columns(f, curves, **setting, tolerance=0.02, seconds=60.0)
    assert given == pytest.approx([20, 30, 60], rel=0.1)
    assert reasons == ["no enclosure"]
    assert len(columns) == 3


def test_every_modulus_has_time_left_however_slow_the_tracing_and_the_others(monkeypatch):  # R25
    given = []

    def slow(*_, **__):
        time.sleep(0.2)
        return f

    def overdrawn(*_, seconds, **__):
        given.append(seconds)
        time.sleep(0.15)
        raise ValueError("no enclosure")

    monkeypatch.setattr("looprate.theory.continuity.certified.modulus_upper_bound", overdrawn)
    f, setting = parse_target("mean-field"), {"tokens": 2, "dim": 1, "p": 2.0}
    kinds = ("sequence", "token", "contextual")
    curves = {k: modulus_lower_bound(f, [0.0], kind=k, **setting) for k in kinds}
    certified_columns(f, curves, **setting, tolerance=0.02, seconds=0.1, follow=slow)
    assert given == pytest.approx([0.1 / 3, 0.01, 0.01], rel=0.1)


def test_progress_never_falls_and_ends_at_one():
    f = parse_target("softmax-attention")
    setting = {"tokens": 2, "dim": 1, "p": 2.0}
    kinds = ("sequence", "token")
    curves = {k: modulus_lower_bound(f, [0.1, 0.3], kind=k, effort=0.1, **setting) for k in kinds}
    heard = []
    certified_columns(f, curves, **setting, tolerance=0.02, seconds=1.0, report=heard.append)
    assert heard == sorted(heard)
    assert 0 < heard[0] < 0.5
    assert 0.5 in heard
    assert heard[-1] == 1


# -- numbers beyond float64 ------------------------------------------------------------------------
HUGE = """
def edge(x):
    return 1e308 * x - 1e308 * (1 - x)
"""


@pytest.mark.parametrize("p", ["1", "2", "inf"])
def test_moduli_that_overflow_are_null_and_one_line_says_so(said, tmp_path, recwarn, p):  # A2
    path = tmp_path / "huge.py"
    path.write_text(HUGE)
    setting = ["--p", p, "--delta", 0.1, 1, "--kind", "token", *QUICK]
    code, out, err = said("moduli", f"{path}:edge", *setting, "--json")
    near, far = json.loads(out, parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))
    assert code == 0
    assert near["lower"] == pytest.approx(2e307, rel=1e-9)
    assert near["certified"] >= near["lower"]
    assert (far["lower"], far["certified"], far["reached"]) == (None, None, False)
    assert err.count("beyond the largest float64 number") == err.count("\n") == 1
    assert not recwarn.list
    code, out, _ = said("moduli", f"{path}:edge", *setting)
    assert code == 0
    assert re.search("beyond float64 +unknown", out)


def test_a_modulus_of_zero_at_unresolved_radii_says_nothing(said):
    arguments = ["formula:sin(6*x+1)", "--kind", "token", "--effort", 0.1, "--json", "--delta"]
    code, out, err = said("moduli", *arguments, 1e-300, 1e-20, 0.1)
    lower = [row["lower"] for row in json.loads(out)]
    assert (code, lower[:2]) == (0, [0.0, 0.0])
    assert lower[2] > 0
    assert err.count("a lower bound of 0 there says nothing") == err.count("\n") == 1
    code, _, err = said("moduli", *arguments, 0.1)
    assert (code, err) == (0, "")


def test_json_is_strict_for_every_number():
    given = {"a": [1.0, math.inf, (math.nan, -math.inf)], "b": np.float64("inf"), "c": "inf"}
    wanted = {"a": [1.0, None, [None, None]], "b": None, "c": "inf"}
    assert json.loads(strict_json(given)) == wanted


# -- bad input -------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ("--certify --tolerance 0", "`tolerance` must be finite and > 0, got 0"),
        ("--certify --tolerance nan", "`tolerance` must be finite and > 0, got nan"),
        ("--certify --seconds -1", "`seconds` must be finite and > 0, got -1"),
        ("--certify --seconds inf", "`seconds` must be finite and > 0, got inf"),
        ("--tolerance 0.1", "`tolerance` is for --certify, got 0.1; add --certify"),
        ("--seconds 5", "`seconds` is for --certify, got 5; add --certify"),
    ],
)
def test_bad_limits_are_one_line(said, arguments, match):
    code, out, err = said("moduli", "mean-field", *arguments.split())
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert match in err


def test_without_certify_the_rows_are_as_they_were(said):
    code, out, err = said("moduli", "mean-field", "--delta", 0.1, "--effort", 0.1, "--json")
    assert (code, err) == (0, "")
    assert [list(row) for row in json.loads(out)] == [KEYS[:6]] * 3
