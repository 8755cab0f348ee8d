"""Symbolic and floating-point forms of the statements are the same mathematics."""

from __future__ import annotations

import math

import numpy as np
import pytest
import sympy as sp

from looprate.theory.bounds import cell_width, loop_counts, rates, symbolic
from looprate.theory.bounds.explicit import explicit_bound
from looprate.theory.bounds.theorem import theorem_3_6_bound

RELATIVE = 1e-12  # a few roundings
SLOPE_TOLERANCE = 1e-3
SETTINGS = [(1, 1, 1, 1.0), (2, 1, 2, 0.5), (3, 2, 1, 0.3), (2, 3, 3, 1.0), (4, 1, 5, 0.7)]
S = symbolic.SYMBOLS


def holder(scale, exponent):
    return lambda kind, t: (scale * t**exponent, "exact")


def evaluate(expr, **values):
    """Value of an expression by a lambdified function of the named symbols."""
    symbols = [S[name] for name in values]
    return float(sp.lambdify(symbols, expr, "math")(*values.values()))


def random_cases(count=20):
    rng = np.random.default_rng(5)
    for _ in range(count):
        n, d = (int(v) for v in rng.integers(1, 6, size=2))
        yield n, d, n + int(rng.integers(1, 10**9)), float(rng.uniform(1, 6))


def test_cell_width_and_loops_agree_with_the_float_code():
    for n, d, loops, _ in random_cases():
        width = evaluate(symbolic.delta_of_loops_expr(), r=loops, N=n, d=d)
        assert width == pytest.approx(
            cell_width.delta_of_loops(loops, tokens=n, dim=d), rel=RELATIVE
        )
        back = evaluate(symbolic.loops_of_delta_expr(), delta=width, N=n, d=d)
        assert back == pytest.approx(
            cell_width.loops_of_delta(width, tokens=n, dim=d), rel=RELATIVE
        )  # fmt: skip
    grid = sp.Symbol("grid", positive=True, integer=True)
    stages = symbolic.stage_loops_expr().subs(S["delta"], 1 / grid)
    assert stages.subs({grid: 7, S["N"]: 3, S["d"]: 2}) == loop_counts.paper_stage_loops(
        7, tokens=3, dim=2
    )


def test_cell_width_and_loops_are_inverse_symbolically():
    back = symbolic.loops_of_delta_expr().subs(S["delta"], symbolic.delta_of_loops_expr())
    values = {S["N"]: 3, S["d"]: 2}
    assert sp.simplify(back.subs(values).subs(S["r"], S["m"] + 3) - (S["m"] + 3)) == 0


@pytest.mark.parametrize("placement", ["all", "inner"])
def test_theorem_terms_agree_with_the_float_code(placement):
    for n, d, loops, p in random_cases():
        row = theorem_3_6_bound(
            holder(0.8, 0.6), loops + 10**9, tokens=n, dim=d, p=p, oscillation=1.3,
            slope=1e12, placement=placement,
        )  # fmt: skip
        if row.delta**d * n * (n - 1) / 2 > 1:
            continue  # the float code caps the measure at 1
        for name, term in symbolic.theorem_3_6_terms(placement=placement).items():
            filled = symbolic.substitute_moduli(term, symbolic.holder_moduli(0.8))
            value = evaluate(filled, delta=row.delta, N=n, d=d, p=p, M=1e12, D=1.3, s=0.6)
            assert value == pytest.approx(row.terms[name], rel=RELATIVE)


def test_the_theorem_is_the_sum_of_its_terms_with_abstract_moduli():
    total = symbolic.theorem_3_6_expr(constants=False)
    assert total.atoms(sp.core.function.AppliedUndef) == {
        symbolic.w_tok(S["delta"] * sp.sqrt(S["d"])),
        symbolic.w_cont(S["delta"] * sp.sqrt(S["N"] * S["d"])),
        symbolic.w(S["delta"] * sp.sqrt(S["N"] * S["d"])),
    }
    assert total == sum(symbolic.theorem_3_6_terms(constants=False).values())
    sharper = symbolic.theorem_3_6_expr(constants=False, placement="inner")
    one_token = {S["N"]: 1, S["d"]: 1}
    assert sp.simplify((total - sharper).subs(one_token)) == 0
    assert sp.simplify((total - sharper).subs({S["N"]: 2, S["d"]: 1})) != 0


@pytest.mark.parametrize("slope", [1e6, 2.0])
def test_explicit_inequality_agrees_with_the_float_code(slope):
    fewer = (S["m"] ** (-2 * S["d"]),)  # of two tokens
    for n, d, loops, p in random_cases():
        row = explicit_bound(
            holder(0.8, 0.6), loops, tokens=n, dim=d, p=p, oscillation=1.3,
            memoriser="digits", coding="rank", bits=6, slope=slope,
        )  # fmt: skip
        if row.grid is None:
            continue
        filled = symbolic.substitute_moduli(
            symbolic.explicit_inequality_expr(*fewer if n == 2 else ()), symbolic.holder_moduli(0.8)
        )
        value = evaluate(filled, m=row.grid, N=n, d=d, p=p, M=slope, D=1.3, s=0.6, e_mem=1.3 / 2**6)
        assert value == pytest.approx(row.total, rel=RELATIVE)


@pytest.mark.parametrize(("n", "d", "p", "s"), SETTINGS)
def test_exponents_agree_with_a_regression_of_the_float_bound(n, d, p, s):
    excess = [10**k for k in range(150, 250, 10)]
    rows = [
        theorem_3_6_bound(
            holder(1.0, s), n + x, tokens=n, dim=d, p=p, oscillation=1.0, slope=1e300
        )
        for x in excess
    ]  # fmt: skip
    logs = [math.log(x) for x in excess]
    values = {S["N"]: n, S["d"]: d, S["p"]: p, S["s"]: sp.Rational(str(s))}
    exponents = {k: float(v.subs(values)) for k, v in symbolic.term_exponents().items()}
    for name, exponent in exponents.items():
        if n == 1 and name == "collisions":
            continue  # one token collides with nothing
        slope = np.polyfit(logs, [math.log(row.terms[name]) for row in rows], 1)[0]
        assert slope == pytest.approx(exponent, rel=SLOPE_TOLERANCE)
        assert slope != pytest.approx(exponent * (1 + 1 / (n + 1)), rel=SLOPE_TOLERANCE)
    group = symbolic.dominant_term(s, d, p, tokens=n)
    slowest = exponents["collisions" if group == "collisions" else "sequence"]
    total = np.polyfit(logs, [math.log(r.total - r.terms["strips"]) for r in rows], 1)[0]
    assert total == pytest.approx(slowest, rel=0.02)
    assert -slowest == pytest.approx(rates.holder_exponent(tokens=n, dim=d, holder=s, p=p))


def test_dominant_term_switches_at_equal_exponents():
    assert symbolic.dominant_term(1.0, 1, 1) == "moduli"
    assert symbolic.dominant_term(1.0, 1, 1.01) == "collisions"
    assert symbolic.dominant_term(0.5, 1, 2) == "moduli"
    assert symbolic.dominant_term(1.0, 1, 2, tokens=1) == "moduli"
    assert symbolic.dominant_term(1.0, 1, math.inf) == "collisions"


@pytest.mark.parametrize(("n", "d", "p"), [(1, 1, 2), (2, 1, 1), (3, 2, 2)])
def test_the_bound_vanishes_in_the_limit_unless_the_quantiser_is_fixed(n, d, p):
    setting = {"tokens": n, "dim": d, "p": p}
    assert symbolic.limit_at_infinity(**setting) == 0
    assert symbolic.limit_at_infinity(**setting, slope=S["r"]) == 0
    assert symbolic.limit_at_infinity(**setting, slope=sp.Integer(100)) == sp.oo
    jump = symbolic.holder_moduli() | {symbolic.w: sp.Lambda(S["r"], 1)}
    assert symbolic.limit_at_infinity(**setting, moduli=jump) == sp.Integer(n * d) ** sp.Rational(
        1, p
    )


def test_latex_contains_what_it_should():
    latex = symbolic.latex_statements()
    assert r"- \frac{1}{d \left(N + 1\right) + 1}" in latex["delta"]
    for part in (
        r"w_{\mathrm{tok}}{\left(\sqrt{d} \delta \right)}",
        r"w_{\mathrm{cont}}{\left(\sqrt{N} \sqrt{d} \delta \right)}",
        r"\mathcal{O}\left(N^{\frac{2}{p}} \delta^{\frac{d}{p}}\right)",
        r"\mathcal{O}\left(\left(\frac{N d}{M \delta}\right)^{\frac{1}{p}}\right)",
    ):
        assert part in latex["theorem_3_6"]
    assert r"\mathcal{O}" not in latex["theorem_3_6_explicit"]
    assert r"e_{\mathrm{mem}}" in latex["explicit_inequality"]
    assert latex["exponent"].startswith(r"-\min\left(\frac{s}{d \left(N + 1\right) + 1}")
    for text in latex.values():
        assert text.count("{") == text.count("}")
        assert text.count(r"\left") == text.count(r"\right")


def test_unknown_placements_are_refused():
    with pytest.raises(ValueError, match="`placement` must be one of all, inner"):
        symbolic.theorem_3_6_terms(placement="none")
