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
