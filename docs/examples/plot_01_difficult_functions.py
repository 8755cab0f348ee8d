r"""
Moduli of six difficult functions
=================================

How fast can a function change, and how sure can one be of the answer?

The sequence modulus of continuity of :math:`f` at radius :math:`\delta` is

.. math::

   w(\delta) = \sup \{ \|f(X) - f(X')\|_p : X, X' \in [0,1]^{N \times d},\
   \|X - X'\|_2 \le \delta \}

A search finds a pair of inputs: what it attains is a **lower** bound of the
supremum, however long the search.  An **upper** bound needs a proof: interval
arithmetic on pieces of the cube gives one.  Six functions, each difficult in its
own way, and what is left between the two.
"""

from textwrap import fill

import matplotlib.pyplot as plt

import looprate
from looprate import (
    modulus_lower_bound,
    modulus_upper_bound,
    resolve_target,
)

plt.rcParams.update(looprate.style.paper())

FUNCTIONS = {
    "a cusp": "token-power:alpha=0.5,center=0.5",
    "a fast sine": "token-sine:periods=40",
    "the largest token": "context-max",
    "softmax attention": "softmax-attention:beta=4",
    "a sum that cancels": "formula: sin(20*x) - sin(20*x + 0.01)",
    "a jump": "formula: sign(x - 0.5)",
}
SETTING = {"kind": "sequence", "tokens": 2, "dim": 1, "p": 2}
RADIUS = 0.1
EFFORT = {"tolerance": 0.05, "seconds": 2.0}

# %%
# First the pair, then the proof.  A jump has no operation with enclosures, so
# nothing is certified for it: only the lower bound is left.

found = {}
for name, text in FUNCTIONS.items():
    f = resolve_target(text)
    pair = modulus_lower_bound(f, RADIUS, effort=0.3, **SETTING)
    try:
        proof = modulus_upper_bound(f, RADIUS, lower=pair, **EFFORT, **SETTING)
    except ValueError:
        found[name] = pair.value, None, "no upper bound"
    else:
        end = "closed" if proof.reached else "not resolved"
        found[name] = pair.value, proof.value, end
    value = (
        "nothing is proven" if found[name][1] is None else f"<= {found[name][1]:.4f}"
    )
    print(f"{name:18s} >= {pair.value:.4f}, {value}: {found[name][2]}")

# %%
# The interval in which each modulus lies.

style = looprate.style.KIND_STYLE["sequence"]
fig, ax = plt.subplots(figsize=(6.2, 2.9), layout="constrained")
for place, (lower, value, end) in enumerate(found.values()):
    right = lower if value is None else value
    ax.plot([lower, right], [place, place], color=style.colour, linewidth=2)
    ax.plot(lower, place, marker="o", markerfacecolor="white", color=style.colour)
    words = end if value is None else f"{end}, factor {value / lower:.3f}"
    if value is not None:
        ax.plot(value, place, marker="|", markersize=12, color=style.colour)
    left = lower > 1  # no room to the right of it
    ax.annotate(
        words,
        (lower if left else right, place),
        (-9 if left else 9, 0),
        textcoords="offset points",
        ha="right" if left else "left",
        va="center",
    )
ax.set_yticks(range(len(found)), found)
ax.invert_yaxis()
ax.set_xscale("log")
ax.set_xlim(0.01, 5)
ax.set_xlabel(r"sequence modulus at $\delta = 0.1$ ($N = 2$, $d = 1$, $p = 2$)")
ax.set_title("circle: a pair that was found;   bar: a proven upper bound")
plt.show()

# %%
# The jump again, at smaller and smaller radii, and what the check of the hypotheses
# says of it.

jump = resolve_target(FUNCTIONS["a jump"])
for radius in (1e-1, 1e-3, 1e-6):
    pair = modulus_lower_bound(jump, radius, effort=0.1, **SETTING)
    print(f"radius {radius:g}: at least {pair.value:.4f}")
for sentence in looprate.target(jump, tokens=2, dim=1, p=2).check().failures:
    print(fill(sentence, 78))

# %%
# **What to see.**  Four intervals are closed to the tolerance of 5 %: the modulus
# is known.  The sum that cancels is *not resolved*: its two sines move together,
# interval arithmetic takes them one by one and sees more change than there is.  The
# jump does not go to 0 with the radius: it is not continuous, and no theorem about
# continuous functions applies.
#
# **What this does not show.**  An open interval is no fault of the function: more
# seconds make it narrower (the end of the open one depends on the machine, too).
# And a lower bound that does not fall with the radius cannot tell a jump from a
# very steep slope; the verdict is *not testable*, never "proven discontinuous".
