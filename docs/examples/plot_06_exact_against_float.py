r"""
Exact against float
===================

From how many labels on does floating point break a proof that is written as
weights?

Increments keep bits for every label in one number of the residual stream, and so do
digits; float64 holds every integer up to :math:`2^{53}` and float32 up to
:math:`2^{24}`, and no more.  The same compiled weights are run three times: in
float32, in float64 and in exact integers.
"""

from textwrap import fill

import torch

from looprate import (
    ConstructionSpec,
    compile_construction,
    constructed_transformer,
    make_figure,
    resolve_target,
)
from looprate.proof import arithmetic_rows, exact_output


def quiet(share):
    """Take the share that is done, and show nothing."""


TARGET = "dial:token=0.7,context=0.3,periods=1"
rows = arithmetic_rows(quiet, target=TARGET, grids=[2, 3, 4])
for name in ("increments", "timestep", "digits"):
    for arithmetic in ("float32", "float64"):
        own = [
            r for r in rows if r["memoriser"] == name and r["arithmetic"] == arithmetic
        ]
        errors = ", ".join(
            f"{r['labels']}: "
            + ("not finite" if r["value"] is None else f"{r['value']:.1e}")
            for r in own
        )
        print(f"{name:10s} {arithmetic}  at {errors}")

# %%
# Largest error over every cell's centre, against the exact run of the same weights.

figure = make_figure("arithmetic", rows)

# %%
# A network whose integers do not fit is refused rather than run with the damage
# done.  The exact evaluator takes it: inputs are fractions, outputs are fractions.

spec = ConstructionSpec(tokens=2, dim=1, grid=6, memoriser="increments", coding="sum")
network = compile_construction(resolve_target(TARGET), spec).network
try:
    constructed_transformer(network, dtype=torch.float64)
except ValueError as error:
    print(fill(str(error), 76))
output = exact_output(network, [[[1], [7]]], denominator=12)
print("exact:", *output.fractions.ravel(), "=", output.floats.ravel())

# %%
# **What to see.**  Increments and digits hold their table as bit strings, and break
# with at most a few dozen labels, in float32 before float64; not gradually: once an
# integer needs more bits than there are, the answer is wrong or not finite.
# Timestep encoding keeps small numbers only and stays at rounding error in this
# range.  The exact run is the reference and is never off.
#
# **What this does not show.**  This is about the proof's own weights.  A trained
# network keeps no bit strings in its residual stream, and says nothing about
# whether such weights could be learned.
