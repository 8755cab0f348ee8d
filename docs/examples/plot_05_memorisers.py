r"""
Plain loops against timestep encoding
=====================================

What does a block that does not know the time lose when it has to recite a table?

After stage 2 a token holds a label :math:`k` and the network has to answer :math:`y_k`,
one label a loop. *Lemma 4.1:* for all :math:`y_0, \ldots, y_{K-1}` a weight-tied block,
of a size that depends on :math:`d` alone, does it with an error of at most
:math:`\max_k |y_k - y_{k-1}|` in each coordinate. *Theorem 4.2:* with a free scale
:math:`\eta(t)` a loop (TMLT) it does it with error 0, for all of them. Both are
compiled here and run in exact arithmetic on targets that get rougher, beside a third
way, ``digits``, which is this project's and needs no :math:`\eta(t)`.
"""

from looprate import make_figure
from looprate.proof import memoriser_rows


def quiet(share):
    """Take the share that is done, and show nothing."""


rows = memoriser_rows(
    quiet,
    grid=11,
    periods=[1, 2, 3],
    digits=[2, 4],
)
print("periods  memoriser   bits  loops  error     proven bound")
for row in rows:
    bits = row["bits"] or ""
    print(
        f"{row['periods']:7d}  {row['memoriser']:10s}  {bits!s:4s}  {row['loops']:5d}"
        f"  {row['residual']:.6f}  {row['bound']:.6f}"
    )

# %%
# Errors are marks on solid lines, proven bounds are dashed.

figure = make_figure("memorisers", rows)

# %%
# **What to see.**  Plain loops with *increments* pay for roughness: neighbouring
# labels have values that are farther apart, and the error follows.  Timestep
# encoding stays at exactly 0.  But so, up to :math:`2^{-q}` of the range, do
# digits, which no :math:`\eta(t)` feeds: they spend :math:`q` loops a label instead
# of one.
#
# **What this does not show.**  Lemma 4.1 is an upper bound of one construction.
# The digits show that it is no limit of weight tying: nothing on this page says that
# a tied block *cannot* memorise.  How many labels it can tell apart in r loops at
# most is counted in the theory, under *What no number of loops can do*.  The errors
# are those of the table at the cells' centres; the error on the cube comes from the
# cells' width, too.
