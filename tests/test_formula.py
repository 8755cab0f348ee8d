"""Formulas as targets: their values, what they refuse, and that nothing in them is executed."""

import math
import time

import numpy as np
import pytest
import torch

from looprate.theory.continuity import modulus_lower_bound, modulus_upper_bound
from looprate.theory.enclosure.intervals import Interval
from looprate.theory.hypotheses import check_hypotheses
from looprate.theory.targets import parse_target, resolve_target
from looprate.theory.targets.formula import FORMULA, Formula
from looprate.theory.verdict import Verdict

X = np.random.default_rng(3).random((6, 3, 2))
POSITION = np.arange(1.0, 4.0)[:, None]
MEAN = X.mean(1, keepdims=True)
SAME = 1e-14


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("x", X),
        ("2 - -x", 2 + X),
        ("+x*3/4", X * 3 / 4),
        ("x^2 + x**0.5", X**2 + X**0.5),
        ("sin(6*x) - cos(x)", np.sin(6 * X) - np.cos(X)),
        ("tanh(x) + exp(-x)", np.tanh(X) + np.exp(-X)),
        ("sqrt(x) + abs(x - 0.5)", np.sqrt(X) + np.abs(X - 0.5)),
        ("floor(3*x) + sign(x - 0.5)", np.floor(3 * X) + np.sign(X - 0.5)),
        ("x - mean(x)", X - MEAN),
        ("mean(x*mean(x))", np.broadcast_to((X * MEAN).mean(1, keepdims=True), X.shape)),
        ("sum(x) + x", X.sum(1, keepdims=True) + X),
        ("max(x) - min(x) + 0*x", np.ptp(X, axis=1, keepdims=True) + 0 * X),
        ("max(x, 0.5) + min(x, mean(x))", np.maximum(X, 0.5) + np.minimum(X, MEAN)),
        ("n*x + N + d", POSITION * X + 3 + 2),
        ("sin(pi/2)", np.ones_like(X)),
        ("mean(n)", np.full_like(X, 2.0)),
        ("max(1, 2) * floor(2.5)", np.full_like(X, 4.0)),
    ],
)
def test_values(text, value):
    f = resolve_target(FORMULA + text)
    np.testing.assert_allclose(f(X), value, rtol=SAME, atol=SAME)
    tensor = f(torch.tensor(X)).numpy()
    np.testing.assert_allclose(tensor, value, rtol=1e-12, atol=1e-12)
    assert f(torch.tensor(X, dtype=torch.float32)).dtype == torch.float32
    if "floor" not in text and "sign" not in text:
        box = f.function(Interval(X - 1e-3, X + 1e-3))
        assert (np.asarray(box.lo) <= value).all()
        assert (value <= np.asarray(box.hi)).all()
    assert f.latex.startswith("f(X)_n = ")


def test_the_name_is_the_formula_and_resolves_to_itself():
    f = resolve_target("formula:  sin( 6*x )  ")
    assert str(f) == "formula:sin( 6*x )"
    assert resolve_target(str(f)) == f
    assert resolve_target("formula:x") != f


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "1 to 300 characters"),
        ("x+" * 200 + "x", "got 401"),
        ("sin(6*x", "cannot read it"),
        ("x y", "cannot read it"),
        ("y", "unknown name 'y'"),
        ("snh(x)", "did you mean sin?"),
        ("max(x, x, x)", "max takes 1 or 2 values, got 3"),
        ("sin()", "sin takes 1 value, got 0"),
        ("x**n", "an exponent must be a number"),
        ("x**-1", "an exponent must be a number"),
        ("x**65", "from 0 to 64"),
        ("1e999*x", "too large"),
        ("'x'", "is not allowed"),
        ("True", "is not allowed"),
        ("x.real", "is not allowed"),
        ("x[0]", "is not allowed"),
        ("[x]", "is not allowed"),
        ("x if x else 0", "is not allowed"),
        ("x < 1", "is not allowed"),
        ("lambda: 0", "is not allowed"),
        ("(x := 1)", "is not allowed"),
        ("mean(x, axis=1)", "is not allowed"),
        ("mean(*x)", "is not allowed"),
        ("__import__('os').system('false')", "is not allowed"),
        ("open('f')", "unknown function 'open'"),
        ("x @ x", "is not allowed"),
        ("1j*x", "is not allowed"),
    ],
)
def test_refusals(text, words):
    with pytest.raises(ValueError, match="`formula`") as error:
        Formula(text)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["1/(x - x)", "sqrt(x - 2)", "1/0", "exp(999*(1+x))"])
def test_what_is_not_finite_is_refused_where_it_is(text):
    with pytest.raises(ValueError, match=r"finite numbers; the first is at input .* denominators"):
        resolve_target(FORMULA + text)(X)


@pytest.mark.parametrize(
    ("text", "claim"), [("floor(3*x)", "continuous"), ("n*x", "permutation-equivariant")]
)
def test_hypotheses_that_fail_are_found(text, claim):
    findings = check_hypotheses(resolve_target(FORMULA + text), tokens=2, dim=1, p=2, effort=1.0)
    broken = [f.claim for f in findings if f.verdict is Verdict.NOT_TESTABLE]
    assert len(broken) == 1
    assert claim in broken[0]


def test_the_bracket_holds_the_modulus_of_the_same_function_with_a_closed_form():
    mine, known = resolve_target("formula:sin(4*pi*x)"), parse_target("token-sine:periods=2")
    shape = {"kind": "token", "tokens": 2, "dim": 1, "p": 2}
    np.testing.assert_allclose(mine(X), known(X), atol=1e-12)
    truth = known.closed_form(0.05, **shape).value
    below = modulus_lower_bound(mine, 0.05, **shape).value
    above = modulus_upper_bound(mine, 0.05, **shape, tolerance=0.02).value
    assert below <= truth * (1 + 1e-12)
    assert truth <= above <= 1.02 * truth
    assert math.isclose(truth, 2 * math.sin(4 * math.pi * 0.05 / 2))


BOMBS = [
    "0x" + "f" * 290,
    "1" + "0" * 290,
    "x" + ".a" * 145,
    "x" + "[0]" * 95,
    "[" * 140,
    "(" * 140 + "x" + ")" * 140,
    "-" * 290 + "x",
    "sin(" * 58 + "x" + ")" * 58,
    "mean(" * 48 + "x" + ")" * 48,
    "9**9**9",
    "(" * 30 + "64" + "**64)" * 30 + "*x",
    "(" * 30 + "x" + "**64)" * 30,
    "floor(" + "exp(" * 20 + "9" + ")" * 20 + ")*x",
    "floor((1/sin(1))**64**1)*x + floor(" + "(" * 9 + "pi" + "**64)" * 9 + ")*x",
    "max(" + "exp(" * 9 + "9" + ")" * 9 + ", 2)*x",
    "1if 1else x",
    "1(x)",
]


@pytest.mark.parametrize("text", BOMBS, ids=range(len(BOMBS)))
def test_a_hostile_formula_is_refused_in_one_line_or_read_and_printed_at_once(text):
    start, refused = time.process_time(), "one line"
    try:
        formula = Formula(text)
    except ValueError as error:
        refused = str(error)
    else:
        formula(X)
        assert formula.latex.startswith("f(X)_n = ")
    assert "\n" not in refused
    assert len(refused) < 700
    assert time.process_time() - start < 5
