"""Sums of functions of one entry: every operation keeps value, coefficients and atoms right."""

from __future__ import annotations

import numpy as np
import pytest

from looprate.theory.enclosure import Interval
from looprate.theory.enclosure.additive import Atom, _Sums, additive_form
from looprate.theory.enclosure.deadline import OutOfTimeError

TIGHT = 1e-12
WEIGHT = np.array([[1.0, -2.0], [0.5, 3.0]])
TALL = np.array([[0.5, 1.0, -1.0], [2.0, 0.0, 0.25], [1.0, -1.0, 3.0]])
SHIFT = np.random.default_rng(0).random((1, 3, 2)) + 0.5


def inputs(tokens=3, dim=2):
    """The inputs as sums of one atom each."""
    count = tokens * dim
    eye = Interval(np.eye(count).reshape(count, 1, tokens, dim))
    tape = [Atom(j, lambda x: x) for j in range(count)]
    return _Sums(tape, Interval(np.zeros((1, tokens, dim))), eye)


def value_of(sums, x):
    """The sums at one input (1, N, d), constants and all."""
    total, flat = sums.const, x.ravel()
    for k, atom in enumerate(sums.tape[: sums.coef.shape[0]]):
        total = total + atom.function(Interval(flat[atom.variable])) * sums.coef[k]
    return total


FORMULAS = {
    "shifted": lambda x: (x + 2.0) + (SHIFT + x) - (x - SHIFT) * 3 + (1.0 - x) * 5,
    "scaled": lambda x: x * SHIFT + 3.0 * x - (x + 1.0) * SHIFT / 4.0 + (2 * SHIFT) * (x - 1),
    "quotients": lambda x: x / SHIFT + (x + 1.0) / 4.0,
    "inverse": lambda x: 1.0 / (x + 1.0) + SHIFT / x,
    "ratio": lambda x: x / (x + 2.0) + (x - 3.0) / (1.0 + x * x),
    "products": lambda x: x * x + (x + 1.0) * (2.0 - x) * x,
    "own product": lambda x: np.sin(x) * x + np.exp(x) * np.cos(x),
    "matrix": lambda x: x @ WEIGHT + (x + 1.0) @ WEIGHT,
    "matrix on the left": lambda x: TALL @ x + TALL @ (x - 1.0) * 2,
    "diagonal": lambda x: np.sin(x @ np.diag([2.0, -3.0])),
    "powers": lambda x: x**2 + x**3 * 2 + x**0.5 * 3 + x**1 * 4 + x**-1,
    "limits": lambda x: np.maximum(x, 0.5) + np.minimum(x, 1 - x) * 2 + np.clip(x, 0.3, 0.7) * 4,
    "limits on the other side": lambda x: np.maximum(SHIFT - 0.5, x) + np.maximum(x * x, x),
    "mean": lambda x: x.mean(1, keepdims=True) + x.sum((1, 2), keepdims=True) * 2 + x,
    "sums": lambda x: np.reshape(x.sum(1), (1, 1, 2)) - x.sum(-1, keepdims=True) + x,
    "sums of functions": lambda x: np.sin(x).sum(1, keepdims=True) + x**2,
    "functions": lambda x: np.exp(x) + 2 * np.log(x) + 3 * np.sin(x) + 5 * np.cos(x),
    "more functions": lambda x: np.sqrt(x) + 2 * np.tanh(x) + 3 * abs(x - 0.5) - 7 * (-x),
    "nested": lambda x: np.sin(np.exp(x) + 2 * np.cos(3 * x) - 1.0) - np.tanh(x - np.sin(x)),
    "of constants": lambda x: x + np.sin(0 * x + SHIFT) + np.exp(x.sum(1, keepdims=True) * 0),
    "mixed": lambda x: np.sin(x * np.array([1.0, 0.0]) + 2.0),
    "parts": lambda x: x[:, :1] + x[0] * 2 - x[:, ::-1, 1:] + x[..., :1] * np.ones((1, 3, 2)),
    "one of length one": lambda x: x[:, :1].max(1, keepdims=True) + x[:, 1:2].min(1)[:, None] + x,
    "turned": lambda x: np.swapaxes(np.swapaxes(np.sin(x), 1, 2) @ TALL, -1, 1) + x,
    "formed": lambda x: np.reshape(np.reshape(np.sin(x), (2, 3)) * 2, (1, 3, 2)) + x,
    "nothing": lambda x: np.zeros_like(x) + x.copy() + np.zeros_like(np.sin(x)),
    "cancelled": lambda x: (x - x) * np.sin(x) + (x - x + 2.0) * x,
}


@pytest.mark.parametrize("name", FORMULAS)
def test_sums_have_the_values_of_their_formula(name):
    f, rng = FORMULAS[name], np.random.default_rng(1)
    made = f(inputs())
    assert isinstance(made, _Sums)
    for x in rng.random((4, 1, 3, 2)) + 0.25:
        found, exact = value_of(made, x), f(x)
        assert found.shape == made.shape == exact.shape
        assert found.width.max() < TIGHT
        assert np.abs(found.middle() - exact).max() < TIGHT
    form = additive_form(f, tokens=3, dim=2)
    assert form is not None
    assert form.coefficients.shape == (len(form.atoms), 3, 2)
    used = np.maximum(np.abs(form.coefficients.lo), np.abs(form.coefficients.hi))
    assert used.max((1, 2)).min() > 0


def test_atoms_are_functions_of_one_variable_with_their_coefficients():
    form = additive_form(lambda x: 2 * np.sin(x) - x, tokens=2, dim=1)
    assert [atom.variable for atom in form.atoms] == [0, 1, 0, 1]
    wanted = [[-1, 0], [0, -1], [2, 0], [0, 2]]
    assert form.coefficients.middle()[:, :, 0].tolist() == wanted
    assert form.atoms[0].function(Interval(0.25)).middle() == 0.25
    assert form.atoms[3].function(Interval(0.25)).middle() == pytest.approx(np.sin(0.25))
    form = additive_form(lambda x: 0 * np.sin(x) + x[:, :1], tokens=2, dim=1)
    assert [atom.variable for atom in form.atoms] == [0]  # what no output needs is left out
    assert form.coefficients.middle()[:, :, 0].tolist() == [[1, 1]]
    form = additive_form(lambda x: np.exp(x[:, 1:]) + 0 * x, tokens=2, dim=1)
    assert [atom.variable for atom in form.atoms] == [1]


def test_coefficients_known_as_intervals_count_where_one_end_is_zero():
    x = inputs(2, 1)
    for lo, hi in ((0.0, 1.0), (-1.0, 0.0)):
        half = _Sums(x.tape, x.const, Interval(lo * x.coef.lo, hi * x.coef.hi))
        assert not half._constant()
        assert half._part((0, 1, 0)).variables == {1}
        with pytest.raises(TypeError, match="several variables"):
            half * half[:, ::-1]
        form = additive_form(lambda _, half=half: half, tokens=2, dim=1)
        assert [atom.variable for atom in form.atoms] == [0, 1]
    assert x.zeros_like()._constant()
    assert (x - x)._constant()
    assert not x._constant()


@pytest.mark.parametrize(
    "f",
    [
        lambda x: x * x[:, ::-1],
        lambda x: x / x[:, ::-1],
        lambda x: np.sin(x.sum(1, keepdims=True)) + x,
        lambda x: np.maximum(x, x[:, ::-1]),
        lambda x: np.maximum(x.mean(1, keepdims=True), 0.5) + x,
        lambda x: x.max(1, keepdims=True) + 0 * x,
        lambda x: x @ x.swapaxes(1, 2) @ x,
        lambda x: (x + x[:, ::-1]) ** 2,
        lambda x: x.sum(1),
        lambda x: x[:, :2],
        lambda x: 1.0,
        lambda x: np.ones((1, 3, 2)),
        lambda x: x > 0.5,
        lambda x: x.middle(),
        lambda x: x["name"],
        lambda x: {}["lost"],
    ],
)
def test_what_is_no_such_sum_has_no_form(f):
    assert additive_form(f, tokens=3, dim=2) is None


def test_one_variable_may_enter_by_several_entries():
    """An entry and its copy are one variable; two entries are two."""
    twice = lambda x: np.sin(x + 2 * x) * x  # noqa: E731
    form = additive_form(twice, tokens=2, dim=1)
    assert [atom.variable for atom in form.atoms] == [0, 1]
    first = lambda x: np.sin(x[:, :1] * x[:, :1]) + 0 * x  # noqa: E731
    form = additive_form(first, tokens=2, dim=1)
    assert [atom.variable for atom in form.atoms] == [0]
    assert form.coefficients.middle()[:, :, 0].tolist() == [[1, 1]]


def test_time_that_is_up_is_not_taken_for_no_form():
    def late(x):
        raise OutOfTimeError

    with pytest.raises(OutOfTimeError):
        additive_form(late, tokens=1, dim=1)
    with pytest.raises(TypeError, match="no middle"):
        inputs().middle()
