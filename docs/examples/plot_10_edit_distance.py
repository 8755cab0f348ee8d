r"""
Edit distance, loop by loop
===========================

What does each further loop do when a looped Transformer computes an edit distance?

Dynamic programming fills a table cell by cell, so more loops might mean more cells.  The rows are
those of ``looprate reproduce all --preset small``: words of four letters, one block applied
:math:`r` times, three seeds.
"""

from statistics import median

from figures.drawing import make_figure
from figures.rows import distinct, read_rows, where

STORED = "../../results/reproduce-small/figures"
rows = where(read_rows(f"{STORED}/task-test-loops__all.csv"), name="edit-distance")
for model in distinct(rows, "model"):
    for trained in sorted(distinct(rows, "trained")):
        own = where(rows, model=model, trained=trained)
        shown = [
            f"{loops:g}: {median(row['value'] for row in where(own, loops=loops)):.2f}"
            for loops in sorted(distinct(own, "loops"))
        ]
        print(f"{model}, trained at r = {trained:g}; accuracy when run at r = {', '.join(shown)}")

# %%
# Networks trained at one loop count and run at others.

accuracy = make_figure("task-test-loops", rows)

# %%
# Where the trained network looks, on one row of the test set.

attention = make_figure(
    "task-attention", read_rows(f"{STORED}/task-attention__edit-distance-tmlt.csv")
)

# %%
# **What to see.**  A network does best near the loop count it was trained with: fewer loops leave
# the work undone, and more do not continue it.  The attention of later loops differs from that of
# the first, so loops are not copies of one another.
#
# **What this does not show.**  Attention weights are no explanation of how the answer came about,
# and this is one test row.  No bound is tested: a sentence is longer than the loops are many, so
# the theorem's hypothesis :math:`r > N` fails, and positions make the function not
# permutation-equivariant.

# sphinx_gallery_thumbnail_number = 2
