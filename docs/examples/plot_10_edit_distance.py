r"""
Edit distance, loop by loop
===========================

What does each further loop do when a looped Transformer computes an edit distance?

Dynamic programming fills a table cell by cell, so more loops might mean more cells.
The rows are those of ``looprate reproduce all --preset small``: words of four
letters, one block applied :math:`r` times, three seeds (the preset has two since).
"""

from statistics import median

import matplotlib
import matplotlib.pyplot as plt

import looprate
from looprate import distinct, make_figure, read_rows, where

plt.rcParams.update(looprate.style.paper())
STORED = "../../results/reproduce-small/figures"
rows = where(read_rows(f"{STORED}/task-test-loops__all.csv"), name="edit-distance")

# %%
# Networks trained at one loop count and run at others.  Lines are medians over the
# seeds.

fig, panels = plt.subplots(1, 2, figsize=(6.6, 3.1), sharey=True, layout="constrained")
for ax, (model, title) in zip(
    panels, {"looped": "LT", "tmlt": "TMLT"}.items(), strict=True
):
    counts = sorted(distinct(where(rows, model=model), "trained"))
    for place, trained in enumerate(counts):
        own = where(rows, model=model, trained=trained)
        loops = sorted(distinct(own, "loops"))
        accuracy = [median(row["value"] for row in where(own, loops=r)) for r in loops]
        colour = matplotlib.colormaps["viridis"](0.28 * place)
        ax.plot(
            loops,
            accuracy,
            color=colour,
            marker="o",
            label=f"trained at $r = {trained:g}$",
        )
        ax.plot(
            trained,
            accuracy[loops.index(trained)],
            marker="*",
            markersize=13,
            color=colour,
        )
        best = loops[accuracy.index(max(accuracy))]
        print(f"{title}, trained at r = {trained:g}: best when run at r = {best:g}")
    ax.set_xscale("log", base=2)
    ax.set_xticks(loops, [f"{r:g}" for r in loops])
    ax.set(xlabel="loops it is run with", title=f"{title}; star: as trained")
panels[0].set_ylabel("accuracy")
panels[1].legend(loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()

# %%
# Where the trained network looks, on one row of the test set.

weights = read_rows(f"{STORED}/task-attention__edit-distance-tmlt.csv")
tokens, trained = len(distinct(weights, "query")), max(distinct(rows, "trained"))
print(f"this row has {tokens} tokens; at most {trained:g} loops in training")
maps = [[row["weight"] for row in where(weights, loop=r)] for r in (1.0, 2.0, 4.0, 8.0)]
for r, later in zip((2, 4, 8), maps[1:], strict=True):
    change = max(abs(a - b) for a, b in zip(maps[0], later, strict=True))
    print(f"largest change of a weight from loop 1 to loop {r}: {change:.2f}")
attention = make_figure("task-attention", weights)

# %%
# **What to see.**  Every network does best with the loops it was trained with:
# fewer leave the work undone, and more do not continue it.  The attention of later
# loops differs from that of the first, so loops are not copies of one another.
#
# **What this does not show.**  Attention weights are no explanation of how the
# answer came about, and this is one test row.  No bound is tested: a row has more
# tokens than the networks were trained loops, so the theorem's hypothesis :math:`r
# > N` fails, and the function depends on the order of its letters, so it is not
# permutation-equivariant.
