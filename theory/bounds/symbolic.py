"""The statements as SymPy expressions: exponents, limits and LaTeX from one source.

Everything here is the same mathematics as :mod:`looprate.theory.bounds.rates`,
:mod:`looprate.theory.bounds.cell_width`, :mod:`looprate.theory.bounds.theorem` and
:mod:`looprate.theory.bounds.explicit`, written independently of it, so that each checks the other.
Symbols are positive: r, N, d, p, δ, m = 1/δ, the quantiser slope M, the oscillation D, the Hölder
exponent s; w_tok, w_cont and w are unknown functions of a Euclidean distance.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

import sympy as sp

__all__ = ["limit_at_infinity"]

Expr: TypeAlias = Any  # SymPy ships no types
Moduli: TypeAlias = Mapping[Any, Any]

r, delta, p, M, D, s = sp.symbols("r delta p M D s", positive=True)
N, d, m = sp.symbols("N d m", positive=True, integer=True)
e_mem = sp.Symbol("e_mem", nonnegative=True)
SYMBOLS: dict[str, Expr] = {
    str(symbol): symbol for symbol in (r, N, d, p, delta, m, M, D, s, e_mem)
}

w = sp.Function("w")
w_tok = sp.Function("w_tok")
w_cont = sp.Function("w_cont")
LATEX_NAMES: dict[Expr, str] = {
    e_mem: r"e_{\mathrm{mem}}",
}


def delta_of_loops_expr() -> Expr:
    """Cell width δ = ((r-N)/2)^{-1/((N+1)d+1)} of Theorem 3.6 (v7), in r, N, d."""
    return ((r - N) / 2) ** (-1 / ((N + 1) * d + 1))


def loops_of_delta_expr() -> Expr:
    """Loop count r = N + 2 δ^{-((N+1)d+1)} at which the printed cell width is δ."""
    return N + 2 * delta ** (-((N + 1) * d + 1))


def stage_loops_expr() -> Expr:
    """Sum of the paper's stages, (1/δ - 1) + N + (2 δ^{-(N+1)d} - 1), in δ, N, d."""
    return (1 / delta - 1) + N + (2 * delta ** (-(N + 1) * d) - 1)


def theorem_3_6_terms(
    *, placement: Literal["all", "inner"] = "all", constants: bool = True
) -> dict[str, Expr]:
    """Terms of the right-hand side of Theorem 3.6 (v7), in δ.

    Parameters
    ----------
    placement : {"all", "inner"}
        Whether (Nd)^{1/p} multiplies w as well, see
        :func:`looprate.theory.bounds.theorem.theorem_3_6_bound`.
    constants : bool
        True for this project's constants in the collision and strip terms; False for the paper's
        O-terms with constant 1, which fix their order only.

    Returns
    -------
    dict of str to Expr
        Keys ``token``, ``context``, ``sequence``, ``collisions``, ``strips``.  The caps at measure
        1, which matter for δ near 1 only, are left out.

    Raises
    ------
    ValueError
        If the placement is unknown.
    """
    if placement not in ("all", "inner"):
        raise ValueError(f"`placement` must be one of all, inner, got {placement!r}")
    root = (N * d) ** (1 / p)
    far = delta * sp.sqrt(N * d)
    if constants:
        collisions = root * D * (N * (N - 1) / 2 * delta**d) ** (1 / p)
        strips = root * D * (d * N / (M * delta)) ** (1 / p)
    else:
        collisions = N ** (2 / p) * delta ** (d / p)
        strips = (d * N / (M * delta)) ** (1 / p)
    return {
        "token": root * w_tok(delta * sp.sqrt(d)),
        "context": root * w_cont(far),
        "sequence": (root if placement == "all" else 1) * w(far),
        "collisions": collisions,
        "strips": strips,
    }


def theorem_3_6_expr(*, placement: Literal["all", "inner"] = "all", constants: bool = True) -> Expr:
    """Sum of :func:`theorem_3_6_terms`, in δ."""
    return sum(theorem_3_6_terms(placement=placement, constants=constants).values())


def explicit_inequality_expr(colliding: Expr = N * (N - 1) / (2 * m**d)) -> Expr:
    """Right-hand side of the explicit inequality (``explicit.py``), in m = 1/δ.

    w(√(Nd)/(2m)) + (Nd)^{1/p} e_mem + (Nd)^{1/p} D min(1, μ_c + dN(m-1)/M)^{1/p}, with
    μ_c = C(N,2) m^{-d} unless ``colliding`` is another measure, such as m^{-2d} for N = 2.
    """
    root = (N * d) ** (1 / p)
    bad = sp.Min(1, colliding + d * N * (m - 1) / M)
    return w(sp.sqrt(N * d) / (2 * m)) + root * e_mem + root * D * bad ** (1 / p)


def holder_moduli(scale: Expr = 1) -> dict[Any, Any]:
    """Moduli w(t) = w_tok(t) = w_cont(t) = scale t^s, to hand to :func:`substitute_moduli`."""
    return {function: sp.Lambda(delta, scale * delta**s) for function in (w, w_tok, w_cont)}


def substitute_moduli(expr: Expr, moduli: Moduli) -> Expr:
    """Replace the unknown functions in an expression by given ones.

    Parameters
    ----------
    expr : Expr
        An expression in w, w_tok and w_cont.
    moduli : mapping
        From :data:`w`, :data:`w_tok`, :data:`w_cont` to callables of one expression.

    Returns
    -------
    Expr
    """
    for function, replacement in moduli.items():
        expr = expr.replace(function, replacement)
    return expr


def term_exponents() -> dict[str, Expr]:
    """Asymptotic slope in log(r - N) of each term of Theorem 3.6 (v7) for Hölder-s moduli.

    Returns
    -------
    dict of str to Expr
        -s/((N+1)d+1) for the moduli, -(d/p)/((N+1)d+1) for the collisions and, positive because
        strips grow with the number of grid lines, (1/p)/((N+1)d+1) for the strips at fixed M.
    """
    x = sp.Symbol("x", real=True)  # log(r - N)
    log_delta = sp.log(delta_of_loops_expr().subs(r, N + sp.exp(x)))
    moduli = holder_moduli()
    exponents = {}
    for name, term in theorem_3_6_terms(constants=False).items():
        log_term = sp.expand_log(sp.log(substitute_moduli(term, moduli)), force=True)
        slope = sp.diff(log_term, delta) * delta  # d log term / d log δ
        exponents[name] = sp.simplify(
            sp.simplify(slope) * sp.simplify(sp.diff(sp.expand_log(log_delta, force=True), x))
        )
    return exponents


def worst_case_exponents() -> dict[str, Expr]:
    """Slope in log r of the lower bound of the worst-case error, by what changes from loop to loop.

    Bumps of height L m^{-s}/2 on all sets of N cells have Nd m^{Nd}/N! free signs, to leading
    order; W tied weights, in polynomials whose degree grows like g^r, show about W g r of them, and
    a free η(t) has W ~ r.  At the m where the two are equal the bound falls like m^{-s}.

    Returns
    -------
    dict of str to Expr
        ``lt``: -s/(Nd), weight-tied loops; ``tmlt``: -2s/(Nd), with a free η(t).

    Notes
    -----
    Source: this project, the theorem of ``lower.py``.
    """
    weights, growth = sp.symbols("W g", positive=True)
    found = {}
    for family, shown in (("lt", weights * growth * r), ("tmlt", weights * r * growth * r)):
        grid = (shown * sp.factorial(N) / (N * d)) ** (1 / (N * d))
        slope = sp.diff(sp.expand_log(sp.log(grid ** (-s)), force=True), r) * r
        found[family] = sp.simplify(slope)
    return found


def dominant_term(
    holder: float, dim: int, p: float, *, tokens: int | None = None
) -> Literal["moduli", "collisions"]:
    """Which part of Theorem 3.6 decides its exponent for Hölder-s moduli and M = inf.

    Parameters
    ----------
    holder : float
        Hölder exponent s > 0.
    dim : int
        Coordinates per token d.
    p : float
        Exponent of the error norm.
    tokens : int, optional
        Sequence length N; with N = 1 nothing collides.

    Returns
    -------
    {"moduli", "collisions"}
        ``"moduli"`` when s <= d/p (both fall equally fast at equality) or N = 1.
    """
    return "moduli" if tokens == 1 or holder <= dim / p else "collisions"


def limit_at_infinity(
    *, tokens: int, dim: int, p: int, moduli: Moduli | None = None, slope: Expr = sp.oo
) -> Expr:
    """Limit of Theorem 3.6's right-hand side as r grows, Corollary 3.7 (v7) where it is 0.

    Parameters
    ----------
    tokens, dim, p : int
        Sequence length N, coordinates per token d, exponent of the norm.
    moduli : mapping, optional
        As in :func:`substitute_moduli`; Lipschitz moduli t by default.
    slope : Expr
        Quantiser slope M, which may depend on r; infinity by default.  The corollary needs M δ to
        grow without bound: at a fixed M the strips grow with r and the limit is infinity.

    Returns
    -------
    Expr
        The limit, with D = 1.
    """
    given = holder_moduli().items() if moduli is None else moduli.items()
    values = {N: tokens, d: dim, SYMBOLS["p"]: p, D: 1, s: 1}
    total = sp.Integer(0)
    for name, term in theorem_3_6_terms().items():
        if name == "strips" and slope == sp.oo:
            continue
        expr = substitute_moduli(term.subs(M, slope), dict(given))
        expr = expr.subs(delta, delta_of_loops_expr()).subs(values)
        total += sp.limit(expr.subs(r, tokens + 2 * r), r, sp.oo)  # x = (r - N)/2 instead of r
    return total


def latex_statements() -> dict[str, str]:
    """LaTeX of every statement, keyed by name.

    Returns
    -------
    dict of str to str
        ``delta``, ``loops``, ``stages``, ``theorem_3_6``, ``theorem_3_6_explicit``,
        ``explicit_inequality`` and ``exponent``, each without dollar signs.
    """
    error = (
        r"\left\lVert \mathcal{L}_2\circ \mathrm{TF}^{r}\circ\mathcal{L}_1 - f\right\rVert_{L^p}"
    )
    order = r"\mathcal{O}\left({}\right)"
    terms = theorem_3_6_terms(constants=False)
    smooth = r" + ".join(_latex(terms[name]) for name in ("token", "context", "sequence"))
    open_terms = " + ".join(
        order.replace("{}", _latex(terms[name])) for name in ("collisions", "strips")
    )
    explicit = " + ".join(_latex(term) for term in theorem_3_6_terms().values())
    exponents = term_exponents()
    moduli, collisions = (_latex(-exponents[name]) for name in ("sequence", "collisions"))
    return {
        "delta": rf"\delta = {_latex(delta_of_loops_expr())}",
        "loops": rf"r = {_latex(loops_of_delta_expr())}",
        "stages": rf"r = {_latex(stage_loops_expr())}",
        "theorem_3_6": rf"{error} \le {smooth} + {open_terms}",
        "theorem_3_6_explicit": rf"{error} \le {explicit}",
        "explicit_inequality": (
            rf"\left\lVert \mathrm{{net}} - f\right\rVert_{{L^p}} \le "
            rf"{_latex(explicit_inequality_expr())}"
        ),
        "exponent": rf"-\min\left({moduli}, {collisions}\right)",
    }


def _latex(expr: Expr) -> str:
    """LaTeX with the moduli written as w with an upright index."""
    text = sp.latex(expr, symbol_names=LATEX_NAMES)
    for index in ("tok", "cont"):
        text = text.replace(rf"w_{{{index}}}", rf"w_{{\mathrm{{{index}}}}}")
    return str(text)
