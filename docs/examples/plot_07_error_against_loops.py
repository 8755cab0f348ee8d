r"""
Error against loops
===================

What is proven, what is constructed and what is trained, in one figure: how far
apart are they?

**The statement** (Theorem 3.6 of Xu & Sato, arXiv 2410.01405v7), with its quantifiers:
*for every* continuous permutation-equivariant
:math:`f: [0,1]^{d \times N} \to \mathbb{R}^{d \times N}`, *every* exponent
:math:`1 \le p < \infty` and *every* :math:`r > N` *there are* one Transformer block (2
heads of size 1 and :math:`49d + 25` hidden units, as reported) and affine token-wise
maps :math:`L_1, L_2` such that the network that applies the block :math:`r` times has

.. math::

   \|L_2 \circ TF^r \circ L_1 - f\|_{L^p} \le (Nd)^{1/p}
   [ w_{\mathrm{tok}}(\delta\sqrt d) + w_{\mathrm{cont}}(\delta\sqrt{Nd})
   + w(\delta\sqrt{Nd}) ]

.. math::

   + O(N^{2/p} \delta^{d/p}) + O( ((M\delta)^{-1} dN)^{1/p} )

with :math:`\delta = ((r-N)/2)^{-1/((N+1)d+1)}` and :math:`M` the slope of the
quantiser, which is free.  The constants of the two :math:`O`-terms are left open.
It is an *existence* statement: some weights reach this, which does not say that
training finds them. As summaries give it, in the weaker of two readings: in the other
:math:`(Nd)^{1/p}` does not multiply :math:`w`.
"""

from statistics import median

from looprate import distinct, make_figure, read_rows, where

# %%
# The rows are those of ``looprate verify`` (preset quick): 5 seeds, and the best
# networks found among 144 starts (stars; a bar where the error is certified).

rows = read_rows("../figures/error-against-loops__dial.csv")
figure = make_figure("error-against-loops", rows)

# %%
# The numbers behind the reading, from the same rows.

best = where(rows, curve="trivial")[0]["value"]
print(f"best constant: {best:.3f}")
for family in distinct(where(rows, curve="trained"), "family"):
    for loops in (1.0, 16.0):
        values = [
            row["value"]
            for row in where(rows, curve="trained", family=family, loops=loops)
        ]
        print(f"{family:5s} trained, r = {loops:3g}: median {median(values):.4f}")
for label in distinct(where(rows, curve="constructed"), "label"):
    own = sorted(
        where(rows, curve="constructed", label=label), key=lambda row: row["loops"]
    )
    below = [row["loops"] for row in own if row["value"] < best]
    print(f"constructed, {label}:")
    for row in (own[0], own[-1]):
        print(f"    certified {row['value']:.4f} at r = {row['loops']:,.0f}")
    print(f"    below the best constant from r = {min(below):,.0f}")
for label in distinct(where(rows, curve="bound"), "label"):
    holding = [
        row["loops"] for row in where(rows, curve="bound", label=label, status="holds")
    ]
    print(f"bound, {label}: first below at stored r = {min(holding):,.0f}")

# %%
# **What to see.** Read it from left to right. Trained networks reach their error with a
# handful of loops.  Constructed networks, the proof and variants of it as weights with
# a *certified* error, come below the best constant later and fall with their loops from
# there on; the bounds come last, and say nothing where it is hatched.  Triangles show
# the proven exponents.
#
# Results of others are about other networks; their rates have a figure of their own,
# with what each of them assumes.  A rate is known up to a constant: compare slopes.

figure = make_figure("rates", read_rows("../figures/rates__dial.csv"))

# %%
#
# **What this does not show.**  A trained error is approximation plus optimisation
# error, so the trained curves neither confirm nor refute any bound.  Where bound
# and construction are far apart, the bound may be loose; nothing says that fewer
# loops would not do.
