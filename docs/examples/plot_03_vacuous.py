r"""
When a bound says nothing
=========================

From how many loops on does a proven bound say anything at all?

A bound on the error is worth something only below the error of the best constant:
predicting one number everywhere needs no Transformer.  Above it the bound is true
and *vacuous*.  The statement: for every continuous,
permutation-equivariant :math:`f`, every :math:`1 \le p < \infty` and every
:math:`r > N` there are weights of a looped Transformer with

.. math::

   \|L_2 \circ TF^r \circ L_1 - f\|_{L^p} \le (Nd)^{1/p}
   [ w_{\mathrm{tok}}(\delta\sqrt d) + w_{\mathrm{cont}}(\delta\sqrt{Nd})
   + w(\delta\sqrt{Nd}) ]

.. math::

   + \text{collisions} + \text{strips}

with :math:`\delta = ((r-N)/2)^{-1/((N+1)d+1)}`.  The paper leaves the constants of
the last two terms open; here they are those of the explicit inequality of this
project.
"""

from looprate import distinct, make_figure, read_rows, where

rows = read_rows("../figures/bound-terms__dial.csv")
best = rows[0]["trivial"]
print(f"{rows[0]['target']}, N = {rows[0]['tokens']:g}: best constant {best:.3f}")
print("Below it, of the stored loop counts:")
for version in distinct(rows, "version"):
    holding = where(rows, version=version, status="holds")
    first = min((row["loops"] for row in holding), default=None)
    words = "never in these rows" if first is None else f"from r = {first:,.0f} on"
    print(f"{version:20s} {words}")

# %%
# Both, term by term, for the dial with :math:`N = 2` and :math:`d = 1`.

figure = make_figure("bound-terms", rows)

# %%
# The terms of the first at one loop count: what is in the way.

loops = min(
    row["loops"] for row in where(rows, version="theorem-3.6") if row["loops"] >= 1e6
)
for row in where(rows, version="theorem-3.6", loops=loops):
    print(
        f"r = {loops:,.0f}: {row['term']:11s} {row['value']:.3f}"
        f"   (sum {row['total']:.3f})"
    )

# %%
# **What to see.** The black line is the best constant. The theorem comes below
# it last, because :math:`\delta` shrinks so slowly with the loops; the explicit
# inequality of the increments (this project's version of the construction, with its own
# loop count and half the radius in :math:`w`) comes earlier. The stack is paler where
# it says nothing.
#
# **What this does not show.**  A vacuous bound is not a wrong bound, and says
# nothing against looped Transformers: they may do far better than what is proven of
# them.  And the paper's own constants may be smaller or larger than ours.
