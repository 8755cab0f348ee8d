r"""
The rate is a slope
===================

Do the constructed networks fall as fast as the theorem says, or faster?

A rate :math:`r^{-\beta}` is a straight line of slope :math:`-\beta` on two
logarithmic axes.  For a Lipschitz target, :math:`p = 1` and :math:`N = 2`, :math:`d
= 1` there are three predictions: the printed exponent :math:`1/((N+1)d+1)`, that of
the paper's own stages :math:`1/((N+1)d)`, and :math:`1/(Nd)` for the rank code.
"""

import matplotlib.pyplot as plt
import numpy as np

import looprate
from looprate import column, fit_slope, read_rows, where
from looprate.proof import construction_exponent, theorem_exponent

plt.rcParams.update(looprate.style.paper())
SHAPE = {"tokens": 2, "dim": 1}
rows = where(read_rows("../figures/error-against-loops__dial.csv"), curve="constructed")
curves = {
    name: sorted(
        (row for row in rows if str(row["label"]).startswith(name)),
        key=lambda row: row["loops"],
    )
    for name in looprate.style.MEMORISER_STYLE
}

# %%
# A slope means something only on the tail, where the points lie on a line: here
# from 100 loops on.

print(f"the theorem, as reported: {-theorem_exponent(**SHAPE):.3f}")
fits = {}
for name, coding in {"increments": "sum", "timestep": "rank"}.items():
    own = curves[name]
    loops = column(own, "loops").astype(int)
    fits[name] = fit = fit_slope(
        loops,
        column(own, "value"),
        tokens=2,
        tail_from=100,
        rng=np.random.default_rng(0),
    )
    local = ", ".join(f"{slope:.3f}" for slope in fit.local_slopes)
    predicted = -construction_exponent(**SHAPE, coding=coding)
    print(f"{name}: predicted {predicted:.3f}, measured {fit.slope:.3f} ({fit.status})")
    print(f"    between neighbours: {local}")

# %%
# Measured errors with their fitted lines; grey is the slope of the theorem,
# level arbitrary.

fig, ax = plt.subplots(figsize=(5.6, 3.4), layout="constrained")
for name, fit in fits.items():
    style, own = looprate.style.MEMORISER_STYLE[name], curves[name]
    ax.loglog(
        column(own, "loops"),
        column(own, "value"),
        linestyle="none",
        marker=style.marker,
        color=style.colour,
    )
    x = np.array([fit.loops[0], fit.loops[-1]])
    y = np.exp(fit.intercept) * (x - 2.0) ** fit.slope
    ax.loglog(x, y, color=style.colour, label=f"{name}: slope {fit.slope:.2f}")
x = np.array([100.0, 3e4])
ax.loglog(
    x,
    0.9 * (x / 100) ** -theorem_exponent(**SHAPE),
    color=looprate.style.GREY,
    linestyle="dashed",
    label=f"Theorem 3.6: slope {-theorem_exponent(**SHAPE):.2f}",
)
looprate.style.plain_log_ticks(ax)
ax.set(xlabel="loops $r$", ylabel="$L^1$ error (certified)")
ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()

# %%
# **What to see.**  Both fall faster than the theorem: the increments like
# the paper's own stage counts, timestep encoding like the rank code.  The printed
# exponent is loose for its own construction.
#
# **What this does not show.**  A slope over one to two decades is evidence, not an
# asymptotic statement: the word in brackets says whether the local slopes still
# drift.  Nothing here is fitted to trained networks, for which no rate is claimed.
