"""How many sign patterns the outputs of all networks of one size can show: an upper bound.

Setting
-------
T = L2 ∘ TF^r ∘ L1 on N tokens with d coordinates: D rows, h heads of size σ with hardmax attention
(equal scores share the weight), one ReLU layer of q units, residuals, every weight and bias a free
real number.  Fix n inputs and a threshold for each of their N·d outputs.  A network's *pattern* is
the vector of all signs 1[output > threshold].

Degrees
-------
Fix an input and the *branch* taken: which tokens attain each maximum, which units are active.  The
stream after t loops is then a polynomial in the parameters of degree 1 + g t, g = 4.  Proof: L1 has
degree 1.  W_O mean(W_V x + b) raises the degree by 2, W_2 relu(W_1 x + b) by 2 more; scores choose
the branch and do not enter.  Scores of loop t have degree 2(1 + g t) + 2, pre-activations
1 + g t + 3, the output 1 + g r + 1: none exceeds 2 g r for r >= 1.  A free η(t) multiplies by one
more parameter, g = 5; an η(t) computed by a ReLU network with l hidden layers is a polynomial of
degree l + 1 in that network's weights, g = 5 + l.

Count of paths (Goldberg & Jerrum, 1995)
----------------------------------------
For one input the branches form a tree.  A round of attention has at most (2^N - 1)^{hN} outcomes,
told apart by hN·N(N-1) signs of differences of scores (ordered pairs, so that ties are seen), and
hN·N(N-1) <= (2^N - 1)^{hN} - 1.  A ReLU layer of k units in all has 2^k outcomes, told apart by
k <= 2^k - 1 signs.  So every test node has at most as many polynomials as outcomes less one, and by
telescoping all tests together have at most P - 1 polynomials, P = 2^{r λ} the number of paths,
λ = N(q + h log2(2^N - 1)), plus the units of η's network.  With the outputs of every path there are
at most n P (Nd + 1) polynomials of degree <= 2 g r in W variables, and their signs determine the
pattern.  Polynomials M >= W of degree Δ in W variables have at most 2 (2 e M Δ / W)^W sign vectors
(Warren, in the form of Anthony & Bartlett, 1999, Theorem 8.3); with fewer, take M = W.

Count loop by loop (Bartlett, Harvey, Liaw & Mehrabian, 2019)
-------------------------------------------------------------
Refine the parameter space loop by loop.  In a cell on which the branches of all inputs are fixed so
far, this loop's n hN·N(N-1) differences of scores are polynomials, and so are its n q N
pre-activations, and at last the n N d outputs.  The patterns are at most the product of all those
numbers of sign vectors.  This has a log r where the other has none; the smaller one counts.

Weights of b bits have at most 2^{bW} settings: a third count.

Source: this project, with the theorems named; a derivation not yet reviewed by others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, final, get_args

from mpmath.ctx_iv import MPIntervalContext

from looprate.theory.notation import (
    check_choice,
    check_dim,
    check_loops,
    check_tokens,
    positive_int,
)

__all__ = ["EtaNetwork", "NetworkSize"]

Family = Literal["lt", "tmlt", "untied"]
FAMILIES: tuple[Family, ...] = get_args(Family)
Interval = Any  # of MPIntervalContext
PRECISION = 96  # bits; counts of 10^18 loops keep more than a float's digits


@final
@dataclass(frozen=True)
class EtaNetwork:
    """A ReLU network of fixed size that computes η(t) from fixed features of t.

    Attributes
    ----------
    parameters : int
        Its weights and biases W'.
    units : int
        Its ReLU units in all layers q'.
    depth : int
        Its hidden layers l.
    """

    parameters: int
    units: int
    depth: int

    def __post_init__(self) -> None:
        for name in ("parameters", "units", "depth"):
            positive_int(getattr(self, name), name, "of the network of η")


@final
@dataclass(frozen=True)
class NetworkSize:
    """The size of a block and what is tied to what.

    Attributes
    ----------
    rows : int
        D, rows of the residual stream.
    width : int
        q, ReLU units of the feed-forward layer.
    heads : int
        h >= 1 heads of hardmax attention.
    head_size : int
        σ.
    family : {"lt", "tmlt", "untied"}
        One block; one block and a free η(t) of every row and loop; a block of its own each loop.
    eta_network : EtaNetwork, optional
        With ``"tmlt"`` only: η(t) is this network's, not free.
    weight_bits : int, optional
        Bits of every parameter; left out, parameters are real numbers.
    """

    rows: int
    width: int
    heads: int
    head_size: int = 1
    family: Family = "lt"
    eta_network: EtaNetwork | None = None
    weight_bits: int | None = None

    def __post_init__(self) -> None:
        for name in ("rows", "width", "heads", "head_size"):
            positive_int(getattr(self, name), name, "of the network")
        check_choice(self.family, "family", FAMILIES)
        if self.weight_bits is not None:
            positive_int(self.weight_bits, "weight_bits", "bits a weight")
        if self.eta_network is not None and self.family != "tmlt":
            raise ValueError(
                "`eta_network` computes the η(t) of family 'tmlt', got it with family "
                f"{self.family!r}; leave it out"
            )

    @classmethod
    def of_constructions(cls, dim: int, **others: Any) -> NetworkSize:
        """Return the size of the networks that attain the exponents, with and without η(t).

        4d + 11 rows (4d + 9 do without η), 12d + 8 units (10d + 8 do with η), two heads of size 1.
        """
        d = check_dim(dim)
        return cls(rows=4 * d + 11, width=12 * d + 8, heads=2, **others)


def parameter_count(size: NetworkSize, loops: int, *, dim: int) -> int:
    """Return the number W of real parameters of L2 ∘ TF^r ∘ L1.

    L1 and L2 have D(d+1) + d(D+1), a block hσ(4D+3) + D + q(2D+1) + D; a free η adds D r.
    """
    r, d = check_loops(loops), check_dim(dim)
    rows, q = size.rows, size.width
    block = size.heads * size.head_size * (4 * rows + 3) + rows + q * (2 * rows + 1) + rows
    ends = rows * (d + 1) + d * (rows + 1)
    if size.family == "untied":
        return ends + r * block
    if size.family == "lt":
        return ends + block
    return ends + block + (size.eta_network.parameters if size.eta_network else rows * r)


def stream_growth(size: NetworkSize) -> int:
    """Return g: the stream after t loops has degree 1 + g t in the parameters, the branch fixed."""
    if size.family != "tmlt":
        return 4
    return 5 + (size.eta_network.depth if size.eta_network else 0)


def log2_patterns(
    size: NetworkSize, loops: int, inputs: int, *, tokens: int, dim: int, context: Any = None
) -> Interval:
    """Return an interval whose upper end bounds log2 of the number of patterns at n inputs.

    Parameters
    ----------
    size : NetworkSize
    loops, inputs : int
        r and n, of any size.
    tokens, dim : int
        N and d.
    context : mpmath.ctx_iv.MPIntervalContext, optional
        Interval arithmetic to use; a new one by default.

    Returns
    -------
    mpmath interval
        The smallest of the counts of the module's docstring.
    """
    ctx = context or interval_context()
    r, n, d = check_loops(loops), check_tokens(tokens), check_dim(dim)
    count = positive_int(inputs, "inputs", "inputs n")
    weights, growth = parameter_count(size, r, dim=d), stream_growth(size)
    found = [
        _paths(ctx, size, r, count, n, d, weights, growth),
        _refined(ctx, size, r, count, n, d, weights, growth),
    ]
    if size.weight_bits is not None:
        found.append(ctx.mpf(size.weight_bits * weights))
    return min(found, key=lambda bits: float(bits.b))


def interval_context() -> Any:
    """Return interval arithmetic of its own: mpmath's shared one has a precision anyone may set."""
    ctx = MPIntervalContext()
    ctx.prec = PRECISION
    return ctx


def log2_of(ctx: Any, number: Any) -> Interval:
    """log2 of an integer or interval."""
    return ctx.log(ctx.mpf(number)) / ctx.log(ctx.mpf(2))


def _sign_vectors(ctx: Any, log2_polynomials: Interval, degree: int, weights: int) -> Interval:
    """log2 of 2 (2 e M Δ / W)^W, for M polynomials or W where there are fewer."""
    own = log2_of(ctx, weights)
    most = ctx.mpf([max(log2_polynomials.a, own.a), max(log2_polynomials.b, own.b)])
    return 1 + weights * (log2_of(ctx, 2 * ctx.e * degree) + most - own)


def _paths(
    ctx: Any, size: NetworkSize, r: int, count: int, n: int, d: int, weights: int, growth: int
) -> Interval:
    """The count of paths."""
    rate = n * (size.width + size.heads * log2_of(ctx, 2**n - 1))
    if size.eta_network:
        rate = rate + size.eta_network.units
    polynomials = log2_of(ctx, count) + r * rate + log2_of(ctx, n * d + 1)
    return _sign_vectors(ctx, polynomials, 2 * growth * r, weights)


def _refined(
    ctx: Any, size: NetworkSize, r: int, count: int, n: int, d: int, weights: int, growth: int
) -> Interval:
    """The count loop by loop, every loop with the degrees of the last."""
    tests = [(count * size.width * n, growth * r)]
    if n > 1:
        tests.append((count * size.heads * n * n * (n - 1), 2 * growth * r))
    if size.eta_network:  # layer by layer: fewer at a time, and no input enters
        tests += [(size.eta_network.units, growth * r)] * size.eta_network.depth
    loop = sum(_sign_vectors(ctx, log2_of(ctx, many), at, weights) for many, at in tests)
    outputs = _sign_vectors(ctx, log2_of(ctx, count * n * d), growth * r + 1 + 1, weights)
    return r * loop + outputs
