r"""
Your own model
==============

How does a network that *you* wrote compare with the constructed ones?

Any ``torch.nn.Module`` from :math:`(B, N, d)` to :math:`(B, N, d)` will do.  Here
it is a small network of the DeepSets kind: what a token says of itself, and the
mean of what all tokens say.  It is trained for a second, measured, and drawn beside
constructed networks of the same target.
"""

import matplotlib.pyplot as plt
import torch
from torch import nn

import looprate
from looprate import (
    column,
    error,
    read_rows,
    resolve_target,
    where,
)

plt.rcParams.update(looprate.style.paper())
target = resolve_target("dial:token=0.5,context=0.5,periods=2")
SHAPE = {"tokens": 2, "dim": 1}


class Waves(nn.Module):
    """Sines of each token, and the mean of other sines over all tokens."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.own, self.shared = nn.Linear(1, width), nn.Linear(1, width)
        self.read = nn.Linear(width, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        shared = torch.sin(8 * self.shared(x)).mean(1, keepdim=True)
        return self.read(torch.sin(8 * self.own(x)) + shared)


# %%
# Training, with fresh points at every step.  ``error`` measures on points held out
# from these and says how sure it is.

STEPS, SEEN = 400, (0, 30, 100, 400)
torch.manual_seed(0)
model = Waves(16)
optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
rate = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, STEPS)
measured = {}
for step in range(STEPS + 1):
    if step in SEEN:
        measured[step] = found = error(
            model, target, **SHAPE, p=1, points=256, replicates=4
        )
        print(
            f"step {step:3d}: L1 error {found.value:.4f} +- {found.stderr:.1g} sampled"
        )
    x = torch.rand(64, 2, 1)
    optimiser.zero_grad()
    (model(x) - target(x)).abs().mean().backward()
    optimiser.step()
    rate.step()

# %%
# Its moduli: the module is followed operation by operation, so upper bounds are
# certified.

network = looprate.target(model, **SHAPE, p=1)
kinds = ("token", "contextual")
answer = network.moduli(0.05, kinds=kinds, certify=True, seconds=8.0, effort=0.3)
for row in answer.rows:
    known = target.closed_form(0.05, kind=row["kind"], **SHAPE, p=1).value
    ends = f"[{row['lower']:.3f}, {row['certified']:.3f}]"
    print(f"{row['kind']} modulus: model in {ends}, target {known:.3f}")

# %%
# Beside the constructed networks of the main figure, whose errors are certified.

rows = read_rows("../figures/error-against-loops__dial.csv")
fig, ax = plt.subplots(figsize=(6.2, 3.3), layout="constrained")
for name, style in looprate.style.MEMORISER_STYLE.items():
    own = [
        r for r in where(rows, curve="constructed") if str(r["label"]).startswith(name)
    ]
    own = sorted(own, key=lambda row: row["loops"])
    if not own:  # not in these rows
        continue
    ax.loglog(
        column(own, "loops"),
        column(own, "value"),
        color=style.colour,
        marker=style.marker,
        label=f"constructed, {name}",
    )
OWN = looprate.style.ALARM
right = max(column(where(rows, curve="constructed"), "loops"))
for step, found in measured.items():
    ax.axhline(found.value, color=OWN, linestyle="dotted")
    ax.text(right, found.value, f"step {step}", ha="right", va="bottom", color=OWN)
best = where(rows, curve="trivial")[0]["value"]
smallest = min(where(rows, curve="constructed"), key=lambda row: row["value"])
ax.axhline(best, color=looprate.style.GREY, label="best constant")
print(f"best constant {best:.3f}")
print(f"smallest constructed: {smallest['value']:.4f} at r = {smallest['loops']:,.0f}")
looprate.style.plain_log_ticks(ax)
ax.set(xlabel="loops $r$ of the constructed networks", ylabel="$L^1$ error")
ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()

# %%
# **What to see.**  The dotted lines have no loops: they are one network at four
# moments of its training.  In a second it goes from above the best constant's error
# to below what the constructed networks reach with thousands of loops, and its
# moduli to close to those of the target.
#
# **What this does not show.**  The model's errors are sampled and hold
# approximation plus optimisation error; those of the constructed networks are
# certified.  This model has the very form of its target, sines of tokens and their
# mean: that is a choice of the model, not a feat of its training.  No bound of this
# project speaks of it.
