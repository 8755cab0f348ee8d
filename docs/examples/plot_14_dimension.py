r"""
How N and d enter the rate
==========================

How many loops does the coarsest useful grid take when there are more tokens or more coordinates?

The printed count for cells of width :math:`\delta = 1/m` is :math:`r = N + 2 m^{(N+1)d+1}`: the
number of tokens and the dimension are *exponents*.  The coarsest grid that can hold the tokens in
cells of their own has :math:`m \ge 2` and :math:`m^d \ge N`.
"""

import matplotlib.pyplot as plt

from experiments.reproduce.presets import PRESETS
from figures.style import GREY, paper
from theory.loop_counts import construction_loops, printed_loops, smallest_grid

plt.rcParams.update(paper())
TOKENS = range(1, 13)


def coarsest(tokens, dim):
    """At least two cells a side, and as many cells as tokens."""
    return max(2, smallest_grid(tokens=tokens, dim=dim))


# %%
# Exact integers, of any size.

for tokens, dim in ((1, 1), (2, 1), (3, 1), (2, 2), (8, 4)):
    grid = coarsest(tokens, dim)
    shape = {"tokens": tokens, "dim": dim}
    rank = construction_loops(grid, **shape, memoriser="timestep", coding="rank")
    print(
        f"N = {tokens}, d = {dim}: m = {grid}, printed {printed_loops(grid, **shape):,} loops, "
        f"timestep on the rank code {rank:,}"
    )

# %%
# Solid: the printed count.  Dashed: timestep encoding on the rank code, the smallest count of this
# project's constructions.  Grey: the largest loop count of the paper's experiments, as reported.

for preset in PRESETS["paper"].values():
    length, longest = preset.task.length, max(preset.loops)
    side = smallest_grid(tokens=length, dim=1)
    count = printed_loops(side, tokens=length, dim=1)
    print(
        f"{preset.task.key:14s} {length:4d} tokens, at most {longest:3d} loops; printed count at "
        f"d = 1: {len(str(count))} digits"
    )
LONGEST = max(max(preset.loops) for preset in PRESETS["paper"].values())
fig, ax = plt.subplots(figsize=(5.8, 3.5), layout="constrained")
for dim, colour in {1: "#0072B2", 2: "#E69F00", 4: "#D55E00"}.items():
    shapes = [{"tokens": tokens, "dim": dim} for tokens in TOKENS]
    printed = [printed_loops(coarsest(**shape), **shape) for shape in shapes]
    rank = [
        construction_loops(coarsest(**shape), **shape, memoriser="timestep", coding="rank")
        for shape in shapes
    ]
    ax.semilogy(TOKENS, [float(r) for r in printed], color=colour, label=f"$d = {dim}$")
    ax.semilogy(TOKENS, [float(r) for r in rank], color=colour, linestyle="dashed")
ax.axhline(LONGEST, color=GREY)
ax.text(max(TOKENS), LONGEST, f"r = {LONGEST}", ha="right", va="bottom", color=GREY)
ax.set_ylim(1, 1e18)
ax.set_xticks(TOKENS)
ax.set(xlabel="tokens $N$", ylabel="loops $r$ for the coarsest grid")
ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))

# %%
# **What to see.**  On this logarithmic axis the curves are straight or bend upwards: each further
# token multiplies the loops.  With eight tokens of four coordinates the printed count is above
# 10^11 for two cells a side.  The experiments are far to the right of this figure and far below
# its curves: all but Countdown have fewer loops than tokens, so that the theorem's hypothesis
# :math:`r > N` fails.
#
# **What this does not show.**  These are loops that *suffice* for one construction and every
# continuous function.  A function with structure, such as a sum over tokens, may need far fewer,
# and no lower bound is proved anywhere here.
