r"""
A claim and its negative control
================================

A check says "holds".  Would it have noticed if the claim were false?

The ledger keeps claims as data: the exact statement, its source, a check on
finitely many cases, and for each check at least one *negative control*, the same
check with something broken.  A control that passes means that the check is
worthless.
"""

from textwrap import fill

import matplotlib.pyplot as plt

import looprate
from looprate import CLAIMS

plt.rcParams.update(looprate.style.paper())
CHOSEN = (
    "quantise-exact",
    "contextual-mapping-distinct",
    "lemma-4-1-error",
    "theorem-4-2-exact",
)

# %%
# One claim in full.

claim = CLAIMS["lemma-4-1-error"]
finding = claim.run()
for words in (
    claim.statement,
    f"source: {claim.source}",
    f"reading: {claim.reading}",
    f"scope: {claim.scope}",
    f"{finding.verdict}: {finding.reason}",
):
    print(fill(words, 76))
for control, rejected in claim.run_controls():
    print(fill(f"control, {control.name}: {rejected.verdict}, {rejected.reason}", 78))

# %%
# Four claims about the proof as weights, with their controls below them.

lines = []
for name in CHOSEN:
    lines.append((CLAIMS[name].title, CLAIMS[name].run().verdict, True))
    lines += [(c.name, f.verdict, False) for c, f in CLAIMS[name].run_controls()]
fig, ax = plt.subplots(figsize=(6.6, 0.27 * len(lines) + 0.4), layout="constrained")
for place, (words, verdict, is_claim) in enumerate(lines):
    good = verdict == "holds" if is_claim else verdict != "holds"
    colour = looprate.style.RIGHT if verdict == "holds" else looprate.style.WRONG
    ax.plot(
        0,
        place,
        marker="o" if verdict == "holds" else "X",
        color=colour,
        markersize=7,
    )
    ax.text(0.03, place, str(verdict), va="center", color=colour)
    ax.text(
        0.2 if is_claim else 0.24,
        place,
        words if is_claim else f"broken: {words}",
        va="center",
        fontweight="bold" if is_claim else "normal",
    )
    ax.text(1.32, place, "" if good else "should not be so", va="center", ha="right")
ax.set_xlim(-0.03, 1.32)
ax.invert_yaxis()
ax.set_axis_off()
plt.show()

# %%
# **What to see.**  Every claim, in bold, holds on its cases; every broken variant
# below it is rejected by the very same check.  Breaking is small on purpose: one
# bit, one bias, one loop, one entry of :math:`\eta(t)`.
#
# **What this does not show.**  "Holds" speaks of the cases in the scope and of no
# others: a check on finitely many cases proves nothing for all.  ``looprate claims
# --controls`` runs every control.
