r"""
How N and d enter the rate
==========================

How many more loops does one and the same grid take with more tokens or more
coordinates?

The printed count for cells of width :math:`\delta = 1/m` is :math:`r = N + 2
m^{(N+1)d+1}`: the number of tokens and the dimension are *exponents*.
"""

import matplotlib.pyplot as plt

import looprate
from looprate.proof import construction_loops, printed_loops

plt.rcParams.update(looprate.style.paper())
GRID = 12  # cells of width 1/12, as many as there are tokens below
REPORTED = looprate.PAPER  # the paper's experiments, at their published sizes

# %%
# The counts are exact integers, of any size.  Timestep encoding on the rank code
# has the smallest count of this project's constructions.

for tokens, dim in ((1, 1), (2, 1), (3, 1), (2, 2), (8, 4)):
    shape = {"tokens": tokens, "dim": dim}
    rank = construction_loops(GRID, **shape, memoriser="timestep", coding="rank")
    printed = printed_loops(GRID, **shape)
    print(
        f"N = {tokens}, d = {dim}: printed {printed:.3g} loops, "
        f"timestep encoding {rank:.3g}"
    )

# %%
# The sizes of the experiments, with one coordinate a token, which is the kindest
# reading.

for preset in REPORTED.values():
    tokens, longest = preset.task.length, max(preset.loops)
    digits = len(str(printed_loops(GRID, tokens=tokens, dim=1)))
    print(
        f"{preset.task.key:14s} {tokens:4d} tokens, at most {longest:3d} loops; "
        f"printed count: {digits} digits"
    )

# %%
# Solid: the printed count.  Dashed: timestep encoding.

longest = max(max(preset.loops) for preset in REPORTED.values())
fig, ax = plt.subplots(figsize=(5.8, 3.5), layout="constrained")
for place, dim in enumerate((1, 2, 4)):
    colour, tokens = looprate.style.shade_of(place, 3), range(1, 13)
    shapes = [{"tokens": n, "dim": dim} for n in tokens]
    printed = [float(printed_loops(GRID, **shape)) for shape in shapes]
    rank = [
        float(construction_loops(GRID, **shape, memoriser="timestep", coding="rank"))
        for shape in shapes
    ]
    ax.semilogy(tokens, printed, color=colour)
    ax.text(12.15, printed[-1], f"$d = {dim}$", color=colour, va="center")
    ax.semilogy(tokens, rank, color=colour, linestyle="dashed")
ax.axhline(longest, color=looprate.style.GREY)
ax.text(
    12,
    longest,
    f"the longest experiment: r = {longest}",
    ha="right",
    va="bottom",
    color=looprate.style.GREY,
)
ax.set(
    xlabel="tokens $N$", ylabel=r"loops $r$ for $\delta = 1/12$", xticks=range(1, 13)
)
plt.show()

# %%
# **What to see.**  Straight lines on a logarithmic axis: each further token
# multiplies the printed count by about :math:`m^d`, and the dashed lines are no
# flatter.  The experiments have at most 100 loops, and all but Countdown fewer
# than tokens, so that the theorem's hypothesis :math:`r > N` fails before anything is
# counted.  Countdown's 20 tokens are those of this project's rows: the paper's number
# is not reported.
#
# **What this does not show.**  These are loops that *suffice* for one construction
# and every continuous function.  A function with structure, such as a sum over
# tokens, may need far fewer.  The lower bound of this project is about the worst
# function of a Hölder class, with exponents :math:`1/(Nd)` and, with a free
# :math:`\eta(t)`, :math:`2/(Nd)` in place of the printed :math:`1/((N+1)d+1)`.
