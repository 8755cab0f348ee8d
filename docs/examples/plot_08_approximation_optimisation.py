r"""
Approximation against optimisation
==================================

A trained network has an error.  Which part of it is the fault of the training?

.. math::

   \text{trained error} = \text{approximation (of the best weights)} +
   \text{optimisation (left over by training)}

Only the sum is ever measured.  A constructed network helps: its weights come from
a proof, without any training, so its certified error is an upper bound of the
approximation error *of its own size*.
"""

from statistics import median

import matplotlib.pyplot as plt

import looprate
from looprate import column, distinct, make_figure, read_rows, where

plt.rcParams.update(looprate.style.paper())
curves = where(read_rows("../figures/training-curves__dial.csv"), chosen=True)
errors = read_rows("../figures/error-against-loops__dial.csv")

# %%
# One loop count, every seed, beside constructed networks and the best constant.

LOOPS = 16.0
fig, ax = plt.subplots(figsize=(6.2, 3.4), layout="constrained")
for seed in distinct(curves, "seed"):
    own = where(curves, family="tmlt", loops=LOOPS, seed=seed)
    label = "TMLT trained, r = 16 (each seed)" if seed == 0 else None
    ax.plot(
        column(own, "step"),
        column(own, "value"),
        color=looprate.style.FAMILY_STYLE["tmlt"].colour,
        label=label,
    )
ax.axhline(
    where(errors, curve="trivial")[0]["value"],
    color=looprate.style.GREY,
    label="best constant",
)
made = where(errors, curve="constructed", family="tmlt")
made = [row for row in made if row["label"].startswith("timestep")]
made = sorted(made, key=lambda row: row["loops"])
for row in (made[2], made[len(made) // 2], made[-1]):
    ax.axhline(
        row["value"],
        color=looprate.style.MEMORISER_STYLE["timestep"].colour,
        linestyle="dashed",
        linewidth=0.9,
    )
    ax.text(
        max(column(curves, "step")),
        row["value"],
        f"constructed, r = {row['loops']:,.0f}  ",
        ha="right",
        va="top",
    )
    print(
        f"constructed {row['label']}, r = {row['loops']:,.0f}: "
        f"certified {row['value']:.4f}"
    )
first = where(curves, family="tmlt", loops=LOOPS, step=min(column(curves, "step")))
best = where(errors, curve="trivial")[0]["value"]
print(
    f"best constant {best:.3f}; trained, first mark:",
    *(f"{r['value']:.3f}" for r in first),
)
ax.set_yscale("log")
ax.set(xlabel="training step", ylabel="$L^1$ error")
ax.legend(loc="upper center", ncols=2, bbox_to_anchor=(0.5, -0.2))
plt.show()

# %%
# Validation error while training, for every loop count.

figure = make_figure("training-curves", curves)

# %%
# How much the last quarter of the steps still gained, in the median over seeds, and
# the errors at which single seeds ended.

last = max(column(curves, "step"))
steps = distinct(curves, "step")
before = max(step for step in steps if step <= 0.75 * last)
for family in ("lt", "tmlt"):
    for loops in (1.0, 8.0, 16.0):
        own = where(curves, family=family, loops=loops)
        early = median(row["value"] for row in where(own, step=before))
        ends = [row["value"] for row in where(own, step=last)]
        late = median(ends)
        print(
            f"{family:5s} r = {loops:3g}: {early:.4f} -> {late:.4f} in the last quarter"
            f", seeds {min(ends):.4f} to {max(ends):.4f}"
        )

# %%
# **What to see.**  Training starts below the best constant at its first mark and
# falls through the levels of constructed networks with far more loops than its own.
# Seeds end at different errors although their size is one and the same: what all but
# the best have above it is, up to sampling, optimisation error.
#
# **What this does not show.**  Sizes differ: the trained block has another width
# than the constructed one, so the dashed lines are no bound of what the trained one
# could reach.  And a trained error below a construction at more loops does not
# refute the theorem, which says what exists and not what is best.
