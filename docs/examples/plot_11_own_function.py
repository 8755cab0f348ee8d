r"""
Your own function
=================

What does the theory say about a function that *you* wrote?

A target is any function from arrays :math:`(B, N, d)` to arrays :math:`(B, N, d)`,
tokens as rows.  Nothing is known about it at first.  This page takes one through
the whole chain: hypotheses, moduli, bound, construction, certificate.
"""

from dataclasses import replace
from functools import cache
from textwrap import fill

import matplotlib.pyplot as plt
import numpy as np

import looprate
from looprate import (
    ConstructionSpec,
    certify,
    compile_construction,
    modulus_upper_bound,
    resolve_target,
)

plt.rcParams.update(looprate.style.paper())
SHAPE = {"tokens": 2, "dim": 1}


def soft_median(x):
    """Pull every token towards the mean, the more the farther away it is."""
    gap = x - x.mean(1, keepdims=True)
    return x - gap / (1 + 4 * gap**2)


f = looprate.target(soft_median, **SHAPE, p=1, name="soft median")

# %%
# **Hypotheses.**  Each check can find a witness against one, and never prove it.

for row in f.check().rows[:2]:
    print(fill(f"{row['verdict']}: {row['claim']} ({row['reason']})", 78))

# %%
# **Moduli.**  The code has only operations with enclosures, so upper bounds can be
# certified.  The oscillation of an entry is a modulus, too: that of all pairs, with
# :math:`p = \infty`.


@cache
def modulus(kind, delta):
    found = modulus_upper_bound(
        f.target, delta, kind=kind, **SHAPE, p=1, tolerance=0.1, seconds=2.0
    )
    print(
        f"{kind} modulus at {delta:.3f}: "
        f"in [{found.lower.value:.4f}, {found.value:.4f}]"
    )
    return found.value, "upper"


everything = np.sqrt(SHAPE["tokens"] * SHAPE["dim"])
whole = modulus_upper_bound(
    f.target, everything, kind="sequence", **SHAPE, p=np.inf, tolerance=0.1
)
facts = replace(f.facts, moduli=modulus, oscillation=whole.value)
best, stderr = facts.trivial, facts.trivial_stderr
print(
    f"oscillation of an entry <= {whole.value:.4f}; "
    f"best constant {best:.4f} +- {stderr:.1g}"
)

# %%
# **Bound, construction and certificate**, on finer and finer grids.

certificates = []
for grid in (4, 8, 16):
    spec = ConstructionSpec(**SHAPE, grid=grid, memoriser="timestep", coding="rank")
    found = certify(compile_construction(f.target, spec), f.target, facts)
    certificates.append(found)
    print(
        f"m = {grid:2d}, r = {spec.loops:4d}: error in [{found.error_lower:.4f}, "
        f"{found.error_upper:.4f}], bound {found.bound.total:.3f}: {found.verdict}"
    )

# %%
# The certified error beside the bound and the best constant.

style = looprate.style.MEMORISER_STYLE["timestep"]
loops = [found.sizes["loops"] for found in certificates]
fig, ax = plt.subplots(figsize=(5.6, 3.2), layout="constrained")
bounds = [found.bound.total for found in certificates]
ax.loglog(
    loops,
    bounds,
    color=style.colour,
    linestyle="dashed",
    label="explicit inequality",
)
errors = [found.error_upper for found in certificates]
ax.loglog(
    loops, errors, color=style.colour, marker=style.marker, label="certified error"
)
ax.axhline(best, color=looprate.style.GREY, label="best constant")
ax.set(xlabel="loops $r$", ylabel="$L^1$ error", title="soft median, timestep encoding")
ax.set_xticks(loops, loops)
ax.set_xticks([], minor=True)
looprate.style.plain_log_ticks(ax)
ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()

# %%
# **As a formula**, without any Python: ``x`` is the token's own value, ``mean``,
# ``max``, ``min`` and ``sum`` run over all tokens.  And two functions that are
# refused: the error names what is wrong.

formula = resolve_target("formula: x - (x - mean(x)) / (1 + 4*(x - mean(x))^2)")
x = np.random.default_rng(0).random((5, 2, 1))
print("largest difference to the Python function:", np.abs(formula(x) - f(x)).max())

numbered = looprate.target("formula: n*x", **SHAPE)  # depends on the token's place
for sentence in numbered.check().failures:
    print(fill(sentence, 78))
try:
    resolve_target("formula: sin(x) + relu(x)")
except ValueError as error:
    print(fill(str(error), 78))

# %%
# **What to see.**  The certified error lies below the bound on every grid, and both
# fall.  Where the bound is above the grey line its verdict is *vacuous*; where it
# is below, *holds*.
#
# **What this does not show.**  "Holds" for the hypotheses means that no witness was
# found.  A function with an operation that has no enclosure has sampled lower bounds
# only: its verdict is then *not testable*, whatever the numbers look like.  One of many
# tokens has certified bounds that are far too large.
