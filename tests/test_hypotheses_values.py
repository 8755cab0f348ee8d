"""Hypotheses on values: holes, poles, batches that mix, and precision are caught or said."""

import numpy as np
import pytest
from test_hypotheses import CLAIMS, checked, failing, witness

from looprate.theory.hypotheses import failures
from looprate.theory.hypotheses.precision import SINGLE
from looprate.theory.verdict import Verdict


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x * x / x,
        lambda x: x * (x.sum((1, 2), keepdims=True) / x.sum((1, 2), keepdims=True)),
        lambda x: np.where(x == 0.3, np.nan, x),
    ],
)
def test_a_hole_in_the_cube_is_caught(function):
    x = witness(function, "defined")["x"]
    with np.errstate(all="ignore"):
        assert np.isnan(function(x[None])).any()


def raising_at_a_corner(x):
    if (x == 1).all((1, 2)).any():
        raise RuntimeError("no\nsuch corner")
    return x


@pytest.mark.parametrize(
    ("function", "match"),
    [
        (raising_at_a_corner, "it raised RuntimeError: no such corner, at x"),
        (lambda x: x[:, :1], "it returned shape (1, 1, 1), expected (1, 3, 1) = (B, N, d), at x"),
        (lambda x: x.squeeze(), "expected (1, 3, 1)"),
        (lambda x: None, "it returned shape ()"),
    ],
)
def test_what_cannot_be_evaluated_is_caught_and_nothing_else_is_said(function, match):
    found = checked(function)
    assert failing(found) == ["defined"]
    assert match in found["defined"].reason
    assert np.array(found["defined"].evidence["x"]).shape == (3, 1)
    if function is raising_at_a_corner:
        assert found["defined"].evidence["x"] == [[1.0]] * 3
    assert found["continuous"].verdict is Verdict.NOT_TESTABLE
    assert f'"{CLAIMS["defined"]}" fails' in found["continuous"].reason
    assert len(failures(list(found.values()))) == 1


def test_a_function_that_refuses_batches_is_caught():
    found = checked(lambda x: 1 / 0 if len(x) > 10 else x)
    assert failing(found) == ["defined"]
    assert "ZeroDivisionError" in found["defined"].reason
    assert "none of its inputs alone" in found["defined"].reason


def test_infinite_values_are_caught():
    x = witness(lambda x: -np.log(np.abs(x - 0.5).max((1, 2), keepdims=True)) + 0 * x, "finite")
    assert (x["x"] == 0.5).all()
    found = checked(lambda x: 1 / (x - 0.5))
    assert failing(found) == ["continuous", "finite"]
    assert 0.5 in np.array(found["finite"].evidence["x"])


def test_the_sampled_range_is_reported():
    evidence = checked(lambda x: 3 * x - 1)["finite"].evidence
    assert (evidence["low"], evidence["high"]) == (-1.0, 2.0)


def stateful():
    calls = []

    def f(x):
        calls.append(len(x))
        return x + 1e-9 * len(calls)

    return f


def noisy():
    rng = np.random.default_rng(0)
    return lambda x: x + 1e-12 * rng.random(x.shape)


@pytest.mark.parametrize("make", [stateful, noisy])
def test_another_output_for_the_same_input_is_caught(make):
    found = witness(make(), "deterministic")
    assert found["x"].shape == (3, 1)
    assert (found["first"] != found["second"]).any()
    assert np.abs(found["first"] - found["second"]).max() < 1e-6


def test_a_state_that_other_inputs_leave_behind_is_caught():
    state = {"size": 0, "changes": 0}

    def f(x):
        state["changes"] += len(x) != state["size"]
        state["size"] = len(x)
        return x + 1e-3 * state["changes"]

    found = witness(f, "deterministic")
    assert np.abs(found["second"] - found["first"]).max() == pytest.approx(2e-3)


def test_an_input_changed_in_place_is_caught():
    found = witness(lambda x: np.multiply(x, 0.5, out=x), "deterministic")
    assert (found["y"] == 0.5 * found["x"]).all()


@pytest.mark.parametrize(
    "function",
    [lambda x: x - 1e-6 * x.mean(0), lambda x: x + 0.1 * np.arange(len(x))[:, None, None]],
)
def test_a_batch_that_mixes_is_caught(function):
    found = witness(function, "alone")
    assert np.abs(found["first"] - found["second"]).max() > 1e-8


def test_integers_are_caught():
    found = witness(lambda x: np.zeros(x.shape, int), "floating")
    assert found["dtype"] == "int64"


@pytest.mark.parametrize(
    ("function", "dtype"),
    [
        (lambda x: x.astype(np.float32), "float32"),
        (lambda x: np.sin(x.astype(np.float32)).astype(float), "float64"),
        (lambda x: (1 + 1e-3 * x).astype(np.float32).astype(float), "float64"),
        (lambda x: x.astype(np.float32).mean(1, keepdims=True) + np.zeros_like(x), "float64"),
    ],
)
def test_single_precision_is_said_with_what_it_costs_and_is_no_jump(function, dtype):
    found = checked(function)
    assert failing(found) == []
    evidence = found["floating"].evidence
    assert (evidence["dtype"], evidence["epsilon"]) == (dtype, SINGLE)
    assert evidence["resolution"] > 1e-8
    assert "single precision" in found["floating"].reason


FLAT = np.full((2, 2), 0.3) + np.eye(2)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x + np.sin(np.asarray(6 * x, np.float32).astype(float)),
        lambda x: x * np.array(x.mean(1, keepdims=True), np.float32),
        lambda x: 1e6 * (x - np.array((x @ FLAT).tolist(), np.float32)),
        lambda x: 1e-3 * (x + np.asarray(np.exp(x), np.float32).astype(float) ** 2),
    ],
)
def test_single_precision_of_a_number_on_the_way_is_seen_by_its_steps(function):
    found = checked(function, dim=2)
    assert failing(found) == []
    assert found["floating"].evidence["epsilon"] == SINGLE
    assert "steps like float32's inside" in found["floating"].reason


@pytest.mark.parametrize(
    "function",
    [
        np.sin,
        lambda x: x + np.round(8 * x) / 8,  # wide steps, in double precision
        lambda x: x + np.round(2.0**16 * x) / 2**16,
        lambda x: np.abs(x - 0.5) + np.maximum(x, 0.3),
        lambda x: np.sin(1e9 * x) + x,
        lambda x: (1e6 + x) - 1e6,  # rounds, a thousand times finer than float32
        lambda x: sum(0.5**k * np.cos(3.0**k * np.pi * x) for k in range(20)),
    ],
)
def test_double_precision_is_not_taken_for_single(function):
    evidence = checked(function)["floating"].evidence
    assert evidence["epsilon"] == 2.0**-52
    assert evidence["resolution"] < 1e-9


def test_torch_functions_and_modules_are_checked_as_they_are():
    torch = pytest.importorskip("torch")
    assert failing(checked(lambda x: torch.relu(x - 0.3))) == []
    torch.manual_seed(0)
    layer = torch.nn.Sequential(torch.nn.Linear(2, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
    found = checked(layer, dim=2)
    assert failing(found) == []
    assert "float32 weights are checked as a float64 copy" in found["floating"].reason
    dropping = torch.nn.Sequential(layer, torch.nn.Dropout(0.5))
    assert failing(checked(dropping, dim=2)) == ["deterministic"]
    assert failing(checked(dropping.eval(), dim=2)) == []
