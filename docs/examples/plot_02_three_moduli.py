r"""
Why three moduli
================

What do a token's own value and its context each contribute to how fast a function
changes?

The theorem has three moduli: *sequence* (move everything, watch everything),
*token* (move one token, watch it) and *contextual* (hold one token, move the
others, watch it).  One target sets them apart: the ``dial`` with share :math:`s`,

.. math::

   f(X)_n = s \sin(4\pi x_n) + (1 - s)\,\frac{1}{N-1} \sum_{m \ne n} \sin(4\pi x_m)
"""

import matplotlib.pyplot as plt

import looprate
from looprate import make_figure, modulus_lower_bound, read_rows, resolve_target, where

plt.rcParams.update(looprate.style.paper())
SETTING = {"tokens": 2, "dim": 1, "p": 2}
RADIUS = 0.05
KINDS = ("sequence", "token", "contextual")
SHARES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
DIALS = [
    resolve_target(f"dial:token={s:g},context={1 - s:g},periods=2") for s in SHARES
]

# %%
# For each share: the closed form, which is proven, and the best pair that a search
# finds.

closed, lower = {}, {}
for kind in KINDS:
    closed[kind] = [f.closed_form(RADIUS, kind=kind, **SETTING).value for f in DIALS]
    found = [
        modulus_lower_bound(f, RADIUS, kind=kind, effort=0.1, **SETTING) for f in DIALS
    ]
    lower[kind] = [bound.value for bound in found]
    pairs = zip(lower[kind], closed[kind], strict=True)
    worst = min(pair / proven for pair, proven in pairs if proven > 0)
    values = " ".join(f"{value:.3f}" for value in closed[kind])
    print(f"{kind:10s} {values}   worst found/proven {worst:.6f}")

# %%
# The same as a figure: lines are proven, marks are pairs that were found.

fig, ax = plt.subplots(figsize=(5.2, 3.1), layout="constrained")
for kind in KINDS:
    style = looprate.style.KIND_STYLE[kind]
    ax.plot(SHARES, closed[kind], color=style.colour, label=style.name)
    ax.plot(
        SHARES,
        lower[kind],
        linestyle="none",
        marker=style.marker,
        color=style.colour,
        mfc="none",
    )
ax.set_xlabel("share $s$ of the own token")
ax.set_ylabel(r"modulus at $\delta = 0.05$")
ax.set_ylim(bottom=0)
ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()

# %%
# Against the radius, at equal shares and :math:`p = 1`, from stored rows.

rows = read_rows("../figures/moduli__dial.csv")
for radius in (0.02, 0.1):
    at = {row["kind"]: row["exact"] for row in where(rows, delta=radius)}
    print(f"radius {radius:g}:", ", ".join(f"{kind} {at[kind]:.3f}" for kind in KINDS))
figure = make_figure("moduli", rows)

# %%
# **What to see.**  Turning the dial moves the token modulus up and the contextual
# modulus down, each from 0 to the same height, while the sequence modulus does not
# move at all.  Two functions can be equally rough as a whole and differ in *where*
# the roughness comes from.  Theorem 3.6 adds a token and a contextual term for the
# plain looped Transformer; whether they matter is the subject of
# :ref:`sphx_glr_gallery_plot_09_eta_gain.py`.
#
# **What this does not show.** That the sequence modulus stays the same is a property of
# this family with :math:`N \ge 2` and :math:`p \le 2`. In general token and contextual
# are at most sequence, as in the second figure, and sequence is at most :math:`N^{1/p}`
# times their sum: move a token, then its context.
