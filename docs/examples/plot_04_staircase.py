r"""
The staircase of labels
=======================

How do a ReLU and an attention head turn continuous tokens into one number that
names everything?

The proof of Theorem 3.6 works in three stages.  The first *quantises*: in
:math:`m - 1` loops every token finds out in which of :math:`m` cells it lies.  The
second gives every token a *label*: in :math:`N` loops it sees all tokens, its own
among them, largest first, and adds them up as digits.  Here the compiled network is
run in exact arithmetic and its residual stream is read off.
"""

import matplotlib.pyplot as plt
import numpy as np

import looprate
from looprate import ConstructionSpec, compile_construction, resolve_target
from looprate.proof import exact_states, label_form

plt.rcParams.update(looprate.style.paper())
spec = ConstructionSpec(tokens=2, dim=1, grid=4, memoriser="timestep", coding="rank")
target = resolve_target("dial:token=0.7,context=0.3,periods=1")
network = compile_construction(target, spec).network
print(f"rows of the residual stream: {', '.join(network.block.rows)}")
print(
    f"loops: {spec.grid - 1} to quantise, {spec.tokens} for the labels, "
    f"{spec.loops} in all"
)

# %%
# Inputs on a lattice of the square: token 1 to the right, token 2 upwards.
# ``exact_states`` yields the residual stream before the first loop and after each.

SIDE = 48
places = 2 * np.arange(SIDE) + 1  # odd, so that none is on a grid line
pairs = np.stack(np.meshgrid(places, places), axis=-1).reshape(-1, 2, 1)
states = list(
    exact_states(network, pairs, denominator=2 * SIDE, loops=spec.values_start)
)


def read(row, loop):
    """Values of a row of token 1 after a loop, (SIDE, SIDE)."""
    values = states[loop].values[row][:, 0] / states[loop].resolution
    return np.asarray(values, dtype=float).reshape(SIDE, SIDE)


x = places / (2 * SIDE)
form, bias = label_form(spec)
label = bias + sum(
    weight * read(row, spec.values_start) for row, weight in form.items()
)
print(
    "cells of token 1 after",
    spec.grid - 1,
    "loops:",
    np.unique(read("z", spec.grid - 1)),
)
cells = read("z", spec.grid - 1)
apart = cells != cells.T  # the tokens are in two cells
print("labels of token 1 after", spec.values_start, "loops:")
print(np.unique(label[apart]))

# %%
# Left: the staircase grows by one step a loop.  Right: the labels of token 1 on the
# whole square.

fig, (left, right) = plt.subplots(1, 2, figsize=(6.75, 3.1), layout="constrained")
for loop in range(1, spec.grid):
    height = read("z", loop)[0]
    shade = 0.25 + 0.75 * loop / (spec.grid - 1)
    left.step(
        x,
        height,
        where="mid",
        color=looprate.style.TOKEN_STYLE[1].colour,
        alpha=shade,
        label=f"after loop {loop}",
    )
left.set(xlabel="token 1", ylabel="row z: the cell", title="Stage 1: which cell?")
left.set_yticks(range(spec.grid))
left.legend(loc="upper left")
right.imshow(label, origin="lower", extent=(0, 1, 0, 1), cmap="viridis", aspect="equal")
centres = (np.arange(spec.grid) + 0.5) / spec.grid
for a in centres:
    for b in centres:
        value = label[int(b * SIDE), int(a * SIDE)]
        shared = "shared" if a == b else f"{value:.0f}"
        dark = value < 0.6 * label.max()
        right.text(
            a,
            b,
            shared,
            color="white" if dark else "black",
            ha="center",
            va="center",
        )
right.set(xlabel="token 1", ylabel="token 2", title="Stage 2: the label of token 1")
plt.show()

# %%
# **What to see.**  Each loop of stage 1 adds one step, made of two ReLUs of the
# quantiser's slope :math:`M`.  After stage 2 every cell off the diagonal has a
# label of its own: it names token 1 *and* its context.  What is left for stage 3 is
# a table from labels to values, and that is where plain loops and timestep encoding
# part: :ref:`sphx_glr_gallery_plot_05_memorisers.py`.
#
# **What this does not show.**  On the diagonal both tokens are in one cell and
# cannot be told apart: the *collision* term pays for these squares.  Within a strip
# of width :math:`1/M` above each grid line the cell is a fraction; no point of this
# lattice lies in one.
