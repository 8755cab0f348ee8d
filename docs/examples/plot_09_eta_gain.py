r"""
When does timestep encoding help?
=================================

Is the gain of :math:`\eta(t)` larger where the token and contextual moduli are
larger?

That is the question the bound asks. For the plain looped Transformer it has the terms
:math:`w_{\mathrm{tok}}(\delta\sqrt d) + w_{\mathrm{cont}}(\delta\sqrt{Nd})`; with
timestep encoding (TMLT) the natural reading drops them. So, for each of three
roughnesses, targets with the same sequence modulus and different shares of token and
context are given to both, alike in everything but :math:`\eta(t)`.
"""

from statistics import median

from looprate import distinct, make_figure, read_rows, where

# %%
# The rows are those of ``looprate eta`` (preset quick): 15 dials with :math:`N =
# 3`, :math:`d = 1`, 8 seeds for each trained point.

rows = read_rows("../figures/eta-gain__sines.csv")
figure = make_figure("eta-gain", rows)

# %%
# Gains above 1 mean that timestep encoding had the smaller error.

for panel in distinct(rows, "panel"):
    own = where(rows, panel=panel)
    gains = [row["value"] for row in own]
    above = sum(row["lower"] > 1 for row in own)
    below = sum(row["upper"] < 1 for row in own)
    print(
        f"{panel}: gain {min(gains):.2f} to {max(gains):.2f}, "
        f"median {median(gains):.2f};\n    "
        f"interval above 1: {above}, below 1: {below}, of {len(own)}"
    )
    print("   ", own[0]["words"].replace("|", "; "))

# %%
# **What to see.**  At equal loops the constructed networks gain from
# :math:`\eta(t)`: it needs one loop a label on a smaller code, so it affords finer
# cells.  The trained networks show no gain that can be told from 1.  In no panel
# does the gain clearly grow to the right, which is what the question asked.
#
# **What this does not show.**  A null result for these targets, this size and this
# short training proves nothing about others.  The bars of the first two panels are
# certified, those of the third are intervals over seeds; they must not be compared
# as if they were of one kind.

# %%
# The best of many starts, and where eta(t) comes from
# ----------------------------------------------------
#
# A theorem on weights is about the best ones, so ``looprate eta --preset best`` asks
# again with the best of 48 starts of one small block, for three kinds of
# :math:`\eta(t)`: a free table, one row a loop, and small networks of :math:`t` with
# ReLU and with SiLU (the paper's form).  Hypotheses, statistic and stopping rule were
# written down before the run (``results/eta/preregistration.md``).

rows = read_rows("../../results/eta/best/figures/eta-best__best.csv")
figure = make_figure("eta-best", rows)

# %%
# **What to see.**  Added to the same block (right), every kind helps: 1.56 times over
# all for the table, 1.17 for ReLU, 1.30 for SiLU. The gain of
# the free table grows with :math:`r`: 1.17 times a doubling, from 1.27 at 2 loops to
# 2.2 at 32; that of the ReLU network does not grow, that of the SiLU network by 1.08.
# That is the pattern of the theory, by which only a free :math:`\eta(t)` leaves the
# exponent of weight tying.  But a table has 32 parameters more with every loop.  Set
# against an LT widened to as many parameters (left) the gain is gone: 1.02 over all,
# 95 % from 0.94 to 1.10.  In such networks more parameters in the feed-forward layer
# buy what the table buys.
#
# **What this does not show.**  Six targets, one block, 2,000 steps: errors still hold
# what training did not find, and the theorem speaks of hardmax, exact weights, the
# worst function and large :math:`r`.  It is neither confirmed nor refuted here.

# %%
# Other loop counts at test time
# ------------------------------
#
# ``looprate eta --preset loops`` trains with :math:`r` loops, or with loops drawn anew
# at every step from 1 to :math:`2r`, and tests with up to :math:`4r`.

rows = read_rows("../../results/eta/loops/figures/eta-loops__loops.csv")
figure = make_figure("eta-loops", rows)

# %%
# **What to see.**  Trained with a fixed count, networks work at that count alone:
# with twice the loops the error is 26 to 32 times larger.  With drawn counts it is flat
# up to :math:`2r` and rises slowly beyond, at the price of an error 2.6 to 4.2 times
# larger at :math:`r` itself.  No count at test time makes a network trained with drawn
# counts as good as fixed training at its own.  LT and TMLT behave alike here.

# %%
# The state in few bits
# ---------------------
#
# Public training logs report that rounding compounds over loops (openai/parameter-golf,
# 363, of weights).  ``looprate eta --preset bits`` rounds the state after every loop,
# once after training alone, and once in training too, with the gradient straight
# through.

rows = read_rows("../../results/eta/bits/figures/eta-bits__bits.csv")
figure = make_figure("eta-bits", rows)

# %%
# **What to see.**  With 4 significant bits rounding after training costs a factor of
# 2.4 and compounds: the factor grows by 1.5 with every doubling of :math:`r`, so that
# beyond 4 loops more of them make it worse.  Rounding in training errs 1.2 times less,
# and compounds as well.  With 8 bits rounding after training costs 2 to 3 %.
#
# **What this does not show.**  One target, one block, 1,000 steps, and the state alone:
# weights are not rounded.
