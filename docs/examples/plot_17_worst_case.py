r"""
What no number of loops can do
==============================

How fast can the error of a looped Transformer fall at best, for the worst function of
a class?

The class: permutation-equivariant :math:`f` with :math:`\lVert f(X) - f(Y)\rVert_p \le
L \lVert X - Y\rVert_2^s`. A *lower bound* says: for every :math:`r` there is an
:math:`f` of the class, which depends on :math:`r`, that no network of one size comes
nearer to with :math:`r` loops, whatever its real weights. An *upper bound* says: for
every :math:`f` of the class there is a network. Both are this project's, a derivation
not yet reviewed by others; attention is hardmax, arithmetic exact.
"""

from dataclasses import replace

import matplotlib.pyplot as plt

import looprate
from looprate import (
    NetworkSize,
    worst_case_error_lower_bound,
    worst_case_error_upper_bound,
)
from looprate.proof import exponent_rows, theorem_exponent

plt.rcParams.update(looprate.style.paper())

# %%
# The exponents of :math:`1/r`, from below and from above. "No faster than" comes from
# the lower bound; "reached" from the loops that the compiled networks take on a grid;
# "printed" is that of Theorem 3.6 at :math:`p = 1`, for plain loops. LT: one block
# again and again. TMLT: with a free scale :math:`\eta(t)` for each loop and row.

print("                    LT                               TMLT")
print(" N  d  s     no faster  reached  printed      no faster  reached")
for tokens, dim, holder in (
    (1, 1, 1.0),
    (2, 1, 1.0),
    (2, 1, 0.5),
    (3, 1, 1.0),
    (2, 2, 1.0),
    (8, 4, 1.0),
    (81, 1, 1.0),
):
    shape = {"tokens": tokens, "dim": dim}
    lt, tmlt = exponent_rows(**shape, holder=holder)
    printed = holder * theorem_exponent(**shape)
    print(
        f"{tokens:2d}  {dim}  {holder:<3g}  {lt.lower!s:>9s}  {lt.upper!s:>7s}"
        f"  {printed:7.4f}      {tmlt.lower!s:>9s}  {tmlt.upper!s:>7s}"
    )
    assert (lt.lower, tmlt.lower) == (lt.upper, tmlt.upper)

# %%
# No gap is left between the columns. The exponent of TMLT is twice that of LT.
#
# Now both bounds as numbers, for :math:`N = 2`, :math:`d = 1`, :math:`p = s = L = 1`
# and blocks of the size that attains the exponents. The lower ones are rounded down.

LOOPS = [10**k for k in range(1, 13)]
size = NetworkSize.of_constructions(1)
print(
    f"blocks: {size.rows} rows, {size.width} units, "
    f"{size.heads} heads of size {size.head_size}"
)
lower, upper = {}, {}
for family in ("lt", "tmlt"):
    own = replace(size, family=family)
    lower[family] = [
        worst_case_error_lower_bound(r, tokens=2, dim=1, size=own).value for r in LOOPS
    ]
    upper[family] = [
        worst_case_error_upper_bound(r, tokens=2, dim=1, family=family).total
        for r in LOOPS
    ]
    for r in (100, 10**6, 10**12):
        k = LOOPS.index(r)
        print(
            f"{family:4s} r = {r:<18,d} lower bound {lower[family][k]:.1e}, "
            f"upper bound {upper[family][k]:.1e}"
        )

# %%
# The worst-case error lies in its band. Where the bands are apart, the two kinds of
# loops are proven to differ at that very loop count. That comes late, because the
# constants are far apart; the exponents say what happens in the end.

apart = [
    r
    for r, low, high in zip(LOOPS, lower["lt"], upper["tmlt"], strict=True)
    if high < low
]
print(f"bands apart from r = {apart[0]:,d} on, of the loop counts here")
fig, ax = plt.subplots(figsize=(5.8, 3.6), layout="constrained")
for family, hatch in {"lt": "", "tmlt": "///"}.items():
    style = looprate.style.FAMILY_STYLE[family]
    ax.fill_between(
        LOOPS, lower[family], upper[family], color=style.colour, alpha=0.15, hatch=hatch
    )
    ax.loglog(
        LOOPS, upper[family], color=style.colour, label=f"{style.name}: upper bound"
    )
    ax.loglog(
        LOOPS,
        lower[family],
        color=style.colour,
        linestyle="dashed",
        label=f"{style.name}: lower bound",
    )
ax.set(xlabel="loops $r$", ylabel="worst-case $L^1$ error, bounds")
ax.legend(loc="lower left")
plt.show()

# %%
# **What to see.**  In the worst case weight-tied loops fall like
# :math:`r^{-s/(Nd)}` and no faster; with a free :math:`\eta(t)` like
# :math:`r^{-2s/(Nd)}`. Both are attained, so the printed exponent can be improved, and
# a free :math:`\eta(t)` does what weight-tied loops of the same size cannot.
#
# **What this does not show.**  That holds *per loop*, not per parameter: a free
# :math:`\eta(t)` is a number for each loop and row, and if a network of fixed size
# computes it the exponent is that of LT. It needs hardmax attention and exact
# arithmetic: weights get longer as loops are added, and with weights of a fixed length
# there is an error that no number of loops removes. It is about the worst function,
# another one at each :math:`r`, and says that weights exist, not that training finds
# them. The constants are four to five decades apart: read slopes, not levels. Upper
# bounds are for :math:`p < \infty`.
