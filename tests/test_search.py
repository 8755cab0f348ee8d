"""The search behind lower bounds: any size and radius, cusps and ripples, in blocks of memory."""

import math

import numpy as np
import pytest
from scipy.ndimage import maximum_filter1d

from looprate.cli import main
from looprate.theory.continuity import modulus_lower_bound
from looprate.theory.continuity.lower import pattern, recombine, scan
from looprate.theory.continuity.lower.bound import LARGEST, _nearer
from looprate.theory.continuity.lower.problem import Problem, capped, direction, ends, fitted
from looprate.theory.norms import p_norm
from looprate.theory.notation import MOST_ENTRIES, check_size
from looprate.theory.targets import parse_target, resolve_target

SLACK = 1e-9


def weierstrass(x):
    return sum(0.5**k * np.cos(3**k * np.pi * x) for k in range(20))


def gibbs(x):
    return sum(np.sin((2 * k + 1) * 2 * np.pi * x) / (2 * k + 1) for k in range(30))


def takagi(x):
    return sum(np.abs(2**k * x - np.round(2**k * x)) / 2**k for k in range(20))


def cusp(center):
    return lambda x: np.abs(x - center) ** 0.1


RIPPLES = {
    "weierstrass": weierstrass,
    "gibbs": gibbs,
    "takagi": takagi,
    "half": cusp(0.5),
    "third": cusp(1 / 3),
    "odd": cusp(0.7315),
    "needle": lambda x: np.maximum(0, 1 - 300 * np.abs(x - 0.4141)),
}


def brute(f, delta, cells=200_000):
    """The modulus of a function of one number on a fine grid: a lower bound of the truth."""
    values = f(np.linspace(0, 1, cells + 1))
    return float((maximum_filter1d(values, 2 * int(delta * cells) + 1) - values).max())


@pytest.mark.parametrize("name", RIPPLES)
@pytest.mark.parametrize("tokens", [1, 2])
def test_the_search_finds_ripples_and_cusps_where_there_are_few_entries(name, tokens):  # R26
    f, deltas = RIPPLES[name], np.array([0.003, 0.02, 0.1])
    found = modulus_lower_bound(f, deltas, kind="sequence", tokens=tokens, dim=1)
    for delta, pair in zip(deltas, found.pairs, strict=True):
        one, shared = brute(f, delta), brute(f, delta / math.sqrt(tokens))
        assert pair.value >= 0.99 * max(one, math.sqrt(tokens) * shared)
        assert np.linalg.norm(pair.x - pair.y) <= delta * (1 + 1e-12)  # never more than it may
        assert pair.value == pytest.approx(np.linalg.norm(f(pair.x) - f(pair.y)), rel=SLACK)


def test_the_search_sees_cusps_in_two_entries_and_for_one_token():  # R26
    found = modulus_lower_bound(cusp(1 / 3), 0.05, kind="sequence", tokens=1, dim=2)
    assert found.value >= 0.99 * max(0.05**0.1, math.sqrt(2) * (0.05 / math.sqrt(2)) ** 0.1)
    context = modulus_lower_bound(
        lambda x: cusp(0.7)(x[:, ::-1]), 0.05, kind="contextual", tokens=2, dim=1
    )
    assert context.value == pytest.approx(0.05**0.1, rel=0.01)


# -- radii -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("delta", [1e-300, 1e-200, 1e-150, 1e-20, 1e-13, 1e-11, 1e-6])
@pytest.mark.parametrize("text", ["formula: sin(6*x)", "mean-field", "token-power:alpha=0.5"])
def test_tiny_radii_give_an_attained_value(text, delta):  # R13, B10
    f, shape = resolve_target(text), {"tokens": 2, "dim": 1, "p": 2.0}
    found = modulus_lower_bound(f, delta, kind="sequence", **shape)
    assert float(p_norm(found.x - found.y, 2.0)) <= delta * (1 + 1e-12)
    gap = np.asarray(f(found.x[None])) - np.asarray(f(found.y[None]))
    assert found.value == pytest.approx(float(p_norm(gap, 2.0)), rel=SLACK)
    if text == "token-power:alpha=0.5":
        return  # floats near its cusp, at 1/2, are no closer than 1e-16
    slope = 6.0 if text.startswith("formula") else 2.0
    assert found.value >= 0.9 * slope * delta


def test_certified_bounds_of_tiny_radii_do_not_blame_the_function(capsys):  # R13, B10
    for delta in ("1e-150", "1e-300"):
        command = ["moduli", "formula: sin(6*x)", "--delta", delta, "--kind", "sequence"]
        code = main([*command, "--effort", "0.3", "--certify", "--seconds", "1"])
        text = capsys.readouterr()
        assert code == 0
        assert "nan" not in (text.out + text.err).lower()


def test_lengths_are_those_of_scaled_squares():  # R13
    diff = np.array([[[3e-300, -4e-300]], [[0.3, 0.4]], [[0.0, 0.0]]])
    unit, length = direction(diff)
    assert np.allclose(length.ravel(), [5e-300, 0.5, 0.0], rtol=1e-12, atol=0)
    assert np.allclose(unit[:, 0], [[0.6, -0.8], [0.6, 0.8], [0, 0]])
    assert np.allclose(capped(diff, np.full((3, 1, 1), 1e-301))[0], diff[0] / 50, atol=0)
    assert np.array_equal(capped(diff, np.full((3, 1, 1), 1.0)), diff)
    assert np.allclose(fitted(diff, np.full((3, 1, 1), 0.5))[0], [[0.3, -0.4]])


def test_no_entry_moves_further_than_a_tiny_difference_says():
    c = np.array([[[0.5], [5e-301]]])
    x, y = ends(c, np.full((1, 2, 1), 1e-300))
    assert x[0, 0] == y[0, 0]
    assert x[0, 1] - y[0, 1] == 1e-300
    near = _nearer(np.array([[0.5]]), np.array([[0.5 + 2**-50]]), 1e-20)
    assert near == 0.5  # rounding leaves nothing else


# -- sizes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "command",
    ["moduli mean-field", "bound mean-field", "construct mean-field", "verify --target mean-field"],
)
@pytest.mark.parametrize(("tokens", "dim"), [(1000, 1000), (1, 10**6), (10**9, 10**9)])
def test_sizes_beyond_reach_are_refused_in_a_line(command, tokens, dim, capsys):  # R9, B9
    shape = ["--tokens", str(tokens), "--dim", str(dim)]
    assert main([*command.split(), *shape]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    line = said.err.strip().splitlines()[-1]
    assert f"`tokens` times `dim` must be at most {MOST_ENTRIES} here, got {tokens} * " in line


def test_the_search_refuses_what_its_memory_cannot_hold(capsys):  # R9, B9
    for tokens in (LARGEST + 1, 2000):
        assert main(["moduli", "mean-field", "-N", str(tokens), "--delta", "0.1"]) == 2
        assert f"must be at most {LARGEST} here" in capsys.readouterr().err
    assert check_size(LARGEST, 1, most=LARGEST) == (LARGEST, 1)
    with pytest.raises(ValueError, match="take fewer tokens"):
        check_size(LARGEST, 2, most=LARGEST)


@pytest.mark.parametrize("tokens", [7, 130])
def test_blocks_of_memory_change_no_value(tokens, monkeypatch):  # R9: every split, one number each
    f, shape = parse_target("mean-field"), {"tokens": tokens, "dim": 1, "p": 2.0}
    how = {"kind": "sequence", "effort": 0.05, **shape}
    if tokens == 7:
        whole = modulus_lower_bound(f, [0.1, 0.2], **how).direct
        for module in (scan, recombine):
            monkeypatch.setattr(module, "CHUNK", 1)
        assert np.array_equal(modulus_lower_bound(f, [0.1, 0.2], **how).direct, whole)
    monkeypatch.setattr(pattern, "CHUNK", 1)
    exact = f.closed_form(0.1, **{k: v for k, v in how.items() if k != "effort"}).value
    assert 0.999 * exact <= modulus_lower_bound(f, 0.1, **how).value <= exact * (1 + SLACK)


@pytest.mark.slow
def test_the_largest_size_works():  # R9: IndexError at 1,030
    f = parse_target("mean-field")
    shape = {"tokens": LARGEST, "dim": 1, "p": 2.0, "kind": "sequence"}
    found = modulus_lower_bound(f, 0.1, effort=0.05, **shape)
    assert 0.99 * f.closed_form(0.1, **shape).value <= found.value


def test_reach_keeps_rounding_below_the_radius():
    problem = Problem(None, None, np.ones(2, dtype=bool), 1, np.array([1e-300, 0.1, 9.0]))
    assert (problem.reach <= problem.deltas).all()
    assert np.allclose(problem.reach, [1e-300, 0.1, math.sqrt(2)], rtol=1e-8, atol=0)
