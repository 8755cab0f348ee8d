r"""
What softmax costs
==================

The proof uses hardmax attention.  How sharp must softmax be to do the same?

Hardmax gives all weight to the largest score.  Softmax of :math:`\beta` times the
scores leaves some for the others: with integer scores, at least 1 apart, a token
that is not the largest keeps at most :math:`e^{-\beta}` of the weight of the
largest.  The block is applied again and again, so an error of one loop is the input
of the next.
"""

import matplotlib
import matplotlib.pyplot as plt

import looprate
from looprate import ConstructionSpec, compile_construction, resolve_target
from looprate.proof import softmax_of

plt.rcParams.update(looprate.style.paper())
target = resolve_target("dial:token=0.7,context=0.3,periods=1")
TOLERANCE = 0.01

# %%
# ``looprate construct ... --softmax 0.01`` does the same search: hardmax and
# softmax outputs are compared on the centre of every cell, in float64.

found = {}
for grid in (3, 4, 5):
    spec = ConstructionSpec(
        tokens=2, dim=1, grid=grid, memoriser="timestep", coding="rank"
    )
    found[grid] = softmax_of(compile_construction(target, spec), TOLERANCE)
    print(
        f"m = {grid}, r = {spec.loops:3d}: "
        f"beta = {found[grid]['beta']:.2f} for {TOLERANCE:g}"
    )

# %%
# Every :math:`\beta` that was tried, with the largest difference of an output.

fig, ax = plt.subplots(figsize=(5.6, 3.3), layout="constrained")
shades = matplotlib.colormaps["viridis"]
for place, (grid, search) in enumerate(found.items()):
    tried = [(beta, gap) for beta, gap in search["curve"] if gap and beta <= 32]
    ax.semilogy(
        *zip(*tried, strict=True),
        marker="o",
        color=shades(0.42 * place),
        label=f"$m = {grid}$",
    )
ax.axhline(TOLERANCE, color=looprate.style.GREY, linestyle="dashed")
ax.text(30, TOLERANCE, "tolerance", ha="right", va="bottom", color=looprate.style.GREY)
ax.set(xlabel=r"inverse temperature $\beta$", ylabel="largest difference to hardmax")
ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()

# %%
# **What to see.** Below some :math:`\beta` the network is simply wrong: a label that is
# off by one half answers the mean of two labels' values. Above it the difference falls
# exponentially. A finer grid asks for a little more :math:`\beta`.
#
# **What this does not show.**  The search is a measurement on finitely many inputs,
# not a bound: another input may need more.  And a :math:`\beta` is a weight like
# any other: trained networks are free to learn one, or not.
