# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Three moduli of continuity
#
# How fast can a function of a sequence change, and how sure can one be of the answer?
#
# **What you will learn**
#
# - what the sequence, the token and the contextual modulus measure, with their
#   quantifiers;
# - why a search only ever gives *lower* bounds, and what it takes to have an upper one;
# - how the three depend on the radius, on $p$, $N$ and $d$, and what goes wrong without
#   continuity or without equivariance.
#
# There are six exercises. Write down what you expect before you run anything.
#
# `check(...)` tells whether an answer is right, with a hint where it is not;
# `check.hint("1")` gives a hint at once, `check.solution("1")` the answer in a line.

# %%
import matplotlib.pyplot as plt
import numpy as np

import looprate
from looprate import modulus_lower_bound, modulus_upper_bound, resolve_target
from looprate.exercises import lesson

check = lesson(1)
plt.rcParams.update(looprate.style.paper())
KINDS = ("sequence", "token", "contextual")

# %% [markdown]
# ## One pair, one inequality
#
# An input is a sequence $X ∈ [0,1]^{N×d}$: $N$ tokens (rows) with $d$ coordinates. A
# function $f$ maps it to a sequence of the same shape. In code everything comes in
# batches, arrays of shape $(B, N, d)$. The function of this lesson mixes each token
# with the others:
#
# $$
# f(X)_n = 0.8 \sin(2πx_n) + 0.2\,\frac{1}{N-1} \sum_{m ≠ n} \sin(2πx_m) .
# $$

# %%
f = resolve_target("dial:token=0.8,context=0.2,periods=1")
X = np.array([[[0.10], [0.60]]])  # one input of two tokens with one coordinate
Y = np.array([[[0.16], [0.52]]])
distance = np.linalg.norm(X - Y)
change = np.linalg.norm(f(X) - f(Y))
print(f"inputs {distance:.3f} apart, outputs {change:.4f} apart (p = 2)")

# %% [markdown]
# The **sequence modulus** of $f$ at radius $t$ is a supremum over *all* pairs of inputs
# at most $t$ apart,
#
# $$
# w(t) = \sup \{ ‖f(X) - f(Y)‖_p : X, Y ∈ [0,1]^{N×d},\ ‖X - Y‖_2 ≤ t \} .
# $$
#
# Inputs move in the Euclidean norm, outputs are measured entry by entry in the
# $p$-norm. The pair above proves one inequality: $w(t)$ is at least the change that was
# printed, for every $t$ from its distance on. It proves no more than that. Here are
# many pairs at once:

# %% alt="changes of random pairs, all below the curve of the modulus"
rng = np.random.default_rng(0)
left = rng.random((4000, 2, 1))
step = rng.normal(size=left.shape)
step *= rng.uniform(0, 0.5, (4000, 1, 1)) / np.linalg.norm(step, axis=1, keepdims=True)
right = np.clip(left + step, 0, 1)  # never farther from `left` than before
distances = np.linalg.norm((left - right)[..., 0], axis=1)
changes = np.linalg.norm((f(left) - f(right))[..., 0], axis=1)

SEQUENCE = {"kind": "sequence", "tokens": 2, "dim": 1, "p": 2}
radii = np.linspace(0.005, 0.5, 60)
exact = [f.closed_form(t, **SEQUENCE).value for t in radii]
below = changes <= [f.closed_form(t, **SEQUENCE).value for t in distances]
print(f"{below.sum()} of {len(below)} random pairs are on or below the curve")

fig, ax = plt.subplots(figsize=(5.4, 3.1), layout="constrained")
ax.plot(distances, changes, ".", ms=2, color="0.6", label="a random pair")
ax.plot(
    radii,
    exact,
    color=looprate.style.KIND_STYLE["sequence"].colour,
    label=r"$w(t)$, proven",
)
ax.set(xlabel="distance of the inputs", ylabel="distance of the outputs")
ax.legend(loc="upper left")
plt.show()

# %% [markdown]
# The curve is not drawn through the highest points. It is a closed form with a proof,
# and no pair can be above it. The other direction is the weak one: *the largest of
# finitely many values is at most the supremum*, because these pairs are among those
# that the supremum runs over. Hence the first rule of this project: a sampled, searched
# or optimised modulus is a **lower bound**, and its name says so.

# %% [markdown]
# ### Exercise 1: how good is luck?
#
# Draw 20,000 random pairs exactly 0.05 apart (less where the cube ends) and keep the
# largest change. Which share of $w(0.05)$ does it reach for $N = 1, 2, 4, 8, 16$
# tokens? Predict whether the share grows, falls or stays, and why. Then compute it.

# %%
guess_for_16_tokens = None  # your answer: a share between 0 and 1
shares = {}  # your answer: tokens -> share

# %%
check("1", shares)

# %% [markdown] tags=["solution"]
# It falls. For this $f$ the best pairs move all tokens by the same amount, where all
# sines are steepest. Among random places and directions in $N$ dimensions such pairs
# become rare quickly.


# %% tags=["solution"]
def lucky(tokens, count=20_000):
    """Largest change over random pairs, a lower bound of the modulus."""
    rng = np.random.default_rng(1)
    x = rng.random((count, tokens, 1))
    step = rng.normal(size=x.shape)
    step *= 0.05 / np.linalg.norm(step, axis=1, keepdims=True)
    y = np.clip(x + step, 0, 1)
    return np.linalg.norm((f(x) - f(y))[..., 0], axis=1).max()


for tokens in (1, 2, 4, 8, 16):
    proven = f.closed_form(0.05, kind="sequence", tokens=tokens, dim=1, p=2).value
    shares[tokens] = lucky(tokens) / proven
    print(f"N = {tokens:2d}: {shares[tokens]:.3f} of the modulus")
assert max(shares.values()) <= 1 + 1e-9  # a lower bound, up to rounding
check("1", shares)

# %% [markdown]
# ## A better pair
#
# `modulus_lower_bound` does not hope for luck: it starts from many places and climbs.
# What comes back is still a lower bound, and the **pair that attains it**, so that you
# need not believe the search. Check its pair by hand:

# %%
found = modulus_lower_bound(f, 0.05, effort=0.2, **SEQUENCE)
print(f"value {found.value:.9f}")
print("x =", found.x.ravel(), " y =", found.y.ravel())
by_hand = np.linalg.norm(f(found.x[None]) - f(found.y[None]))
print(f"checked: {by_hand:.9f}, at distance {np.linalg.norm(found.x - found.y):.9f}")
form = f.closed_form(0.05, **SEQUENCE)
print(f"closed form {form.value:.9f} ({form.side}: {form.note})")

# %% [markdown]
# Here the search reaches the closed form to all digits shown. Nothing in the search
# told you so: the closed form did. Without one, an upper bound needs another kind of
# proof. Looprate evaluates $f$ on *boxes* of inputs with outward rounding, so that no
# input is left out:

# %%
attention = resolve_target("softmax-attention:beta=4")
SMALL = {"tokens": 2, "dim": 1, "p": 2}
for kind in KINDS:
    bound = modulus_upper_bound(attention, 0.1, kind=kind, tolerance=0.02, **SMALL)
    paper_side = attention.closed_form(0.1, kind=kind, **SMALL)
    print(
        f"{kind:10s} in [{bound.lower.value:.5f}, {bound.value:.5f}]"
        f"   on paper: {paper_side.side} {paper_side.value:.4f}"
    )

# %% [markdown]
# Three sorts of numbers, never printed as one another:
#
# | sort | what is behind it | what may be concluded |
# |---|---|---|
# | lower bound | a pair of inputs | the modulus is at least this |
# | exact closed form | a proof on paper | the modulus is this |
# | upper bound | a proof, on paper or by enclosures | the modulus is at most this |

# %% [markdown]
# ## Subadditivity
#
# For **every** integer $k ≥ 1$ and **every** $t ≥ 0$,
#
# $$
# w(kt) ≤ k\,w(t) .
# $$
#
# *Proof.* Let $‖X - Y‖_2 ≤ kt$. Cut the segment from $X$ to $Y$ into $k$ equal parts.
# The cube is convex, so the cutting points $X = Z_0, Z_1, \ldots, Z_k = Y$ are inputs,
# and neighbours are at most $t$ apart. By the triangle inequality
# $‖f(X) - f(Y)‖_p ≤ \sum_j ‖f(Z_j) - f(Z_{j-1})‖_p ≤ k\,w(t)$.
#
# So a modulus grows at most in proportion to the radius, up to rounding it up, and one
# pair says something about *all* radii below its own.

# %% [markdown]
# ### Exercise 2: one pair for a smaller radius
#
# Take the pair that a search finds for $w(0.2)$ and use nothing else. Which lower bound
# of $w(0.05)$ follows? Find a pair 0.05 apart that attains it or more. Then break the
# proof: on which subset of $[0,1]$ does $f(x) = x$ violate $w(2t) ≤ 2w(t)$?

# %%
wide = modulus_lower_bound(f, 0.2, effort=0.2, **SEQUENCE)
follows_for_005 = None  # your answer
subset = None  # your answer: a list of intervals, (low, high)

# %%
check("2a", follows_for_005)
check("2b", subset)

# %% [markdown] tags=["solution"]
# From $w(0.2) = w(4 \cdot 0.05) ≤ 4\,w(0.05)$: a quarter of the value. One of the four
# parts of the segment changes $f$ by at least the mean of the parts, so this part is
# the pair.

# %% tags=["solution"]
follows_for_005 = wide.value / 4
places = np.linspace(wide.x, wide.y, 5)  # four parts of the segment
parts = np.linalg.norm(np.diff(f(places), axis=0)[..., 0], axis=1)
print(f"pair at 0.2: {wide.value:.4f}, so w(0.05) >= {follows_for_005:.4f}")
print("changes of its four parts:", np.round(parts, 4))
assert np.linalg.norm(np.diff(places, axis=0)[..., 0], axis=1).max() <= 0.05 + 1e-9
assert follows_for_005 <= parts.max() <= f.closed_form(0.05, **SEQUENCE).value + 1e-9

# %% [markdown] tags=["solution"]
# The proof needs the points $Z_j$ to be inputs. On $[0, 0.1] ∪ [0.9, 1]$ they are not:
# no distance of two points lies strictly between 0.1 and 0.8. So $w(0.4) = 0.1$, but
# $w(0.8) = 0.8$.

# %% tags=["solution"]
two = np.concatenate([np.linspace(0, 0.1, 101), np.linspace(0.9, 1, 101)])
gaps = np.abs(two[:, None] - two[None])  # of inputs, and of outputs: f(x) = x
w = {t: gaps[gaps <= t + 1e-12].max() for t in (0.4, 0.8)}
print(f"w(0.4) = {w[0.4]:.2f}, w(0.8) = {w[0.8]:.2f} > 2 w(0.4)")
assert w[0.8] > 2 * w[0.4]
subset = [(0, 0.1), (0.9, 1)]
check("2a", follows_for_005)
check("2b", subset)

# %% [markdown]
# ## Why three
#
# The bound of the theorem has one term for a move of a token, and one for a move of its
# context. So two more suprema are needed. Both watch one output token $n$, and take the
# largest over $n$:
#
# $$
# w_{\mathrm{tok}}(t) = \max_n \sup \{ ‖f(X)_n - f(Y)_n‖_p :
# ‖X_n - Y_n‖_2 ≤ t,\ X_m = Y_m \text{ for all } m ≠ n \} ,
# $$
#
# $$
# w_{\mathrm{cont}}(t) = \max_n \sup \{ ‖f(X)_n - f(Y)_n‖_p :
# ‖X - Y‖_2 ≤ t,\ X_n = Y_n \} .
# $$
#
# Token: move token $n$ alone. Contextual: hold it, and move all others. Turn the dial
# from one to the other:

# %% alt="token modulus falls, contextual rises, sequence stays level"
contexts = np.linspace(0, 1, 6)
dials = [
    resolve_target(f"dial:token={1 - c:g},context={c:g},periods=1") for c in contexts
]
fig, ax = plt.subplots(figsize=(5.4, 2.9), layout="constrained")
for kind in KINDS:
    style, setting = looprate.style.KIND_STYLE[kind], {"kind": kind, **SMALL}
    proven = [g.closed_form(0.05, **setting).value for g in dials]
    pairs = [modulus_lower_bound(g, 0.05, effort=0.1, **setting).value for g in dials]
    ax.plot(contexts, proven, color=style.colour, label=kind)
    ax.plot(contexts, pairs, style.marker, color=style.colour, mfc="none")
    print(f"{kind:10s}", " ".join(f"{value:.4f}" for value in proven))
ax.set(xlabel="share of the context", ylabel="modulus at radius 0.05", ylim=(0, None))
ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()

# %% [markdown]
# Lines are proven, marks are pairs that were found. The sequence modulus does not see
# the dial at all. The other two say *where* a function is rough. Two facts follow from
# the definitions alone:
#
# - $w_{\mathrm{tok}} ≤ w$ and $w_{\mathrm{cont}} ≤ w$: their pairs are among those of
#   $w$, and leaving out entries of a vector does not increase its $p$-norm.
# - A **token-wise** $f$, with $f(X)_n$ a function of $X_n$ alone, has
#   $w_{\mathrm{cont}} = 0$. If $f(X)_n$ is a function of the other tokens alone, then
#   $w_{\mathrm{tok}} = 0$.

# %% [markdown]
# ### Exercise 3: the other way round
#
# Prove in two lines that **for every** $f$, $t$ and $p < ∞$
#
# $$
# w(t) ≤ N^{1/p} \left[ w_{\mathrm{tok}}(t) + w_{\mathrm{cont}}(t) \right] .
# $$
#
# Then compute both sides for the target `token-times-mean` at radius 0.1 with $N = 3$.
# You need a certified number on one side. On which, and of which sort?

# %%
product = resolve_target("token-times-mean")
THREE = {"tokens": 3, "dim": 1, "p": 2}
left_side, right_side = None, None  # your answer: numbers
left_sort, right_sort = None, None  # your answer: "lower" or "upper" bounds?

# %%
check("3", left_sort, right_sort)

# %% [markdown] tags=["solution"]
# *Proof.* Let $Z$ be $X$ with token $n$ taken from $Y$. From $X$ to $Z$ token $n$ alone
# moves, from $Z$ to $Y$ it is held and the others move, each time by at most $t$. So
# $‖f(X)_n - f(Y)_n‖_p ≤ w_{\mathrm{tok}}(t) + w_{\mathrm{cont}}(t)$ for each of the $N$
# tokens. Sum the $p$-th powers.
#
# To *see* the inequality, compare an upper bound of the left side with lower bounds on
# the right: then it holds whatever the true values are. Lower bounds on both sides
# would show nothing.

# %% tags=["solution"]
left_side = modulus_upper_bound(product, 0.1, kind="sequence", tolerance=0.05, **THREE)
pairs = [
    modulus_lower_bound(product, 0.1, kind=kind, effort=0.2, **THREE)
    for kind in ("token", "contextual")
]
right_side = 3**0.5 * sum(pair.value for pair in pairs)
print(f"w <= {left_side.value:.4f} (certified, by {left_side.method})")
print(f"N^(1/p) (w_tok + w_cont) >= {right_side:.4f} (two pairs)")
assert left_side.value <= right_side
check("3", "upper", "lower")

# %% [markdown]
# ### Exercise 4: zeros
#
# Predict which of $w_{\mathrm{tok}}$ and $w_{\mathrm{cont}}$ are 0 at radius 0.1, for
# five functions and $N = 3$, and for one of them at $N = 1$. And a question for pen and
# paper: you find $w_{\mathrm{cont}}(0.01) = 0$, by a proof. Can
# $w_{\mathrm{cont}}(0.5)$ be positive?

# %%
cases = [
    ("token-sine:periods=2", 3),
    ("others-mean", 3),
    ("mean-field:a=1,b=1", 3),
    ("mean-field:a=1,b=1", 1),
    ("mean-field:a=-1,b=3", 3),
    ("context-max", 3),
]
zero_token = []  # your answer: numbers of the cases with token modulus 0
zero_context = []  # your answer: numbers of the cases with contextual modulus 0

# %%
check("4", zero_token, zero_context)

# %% [markdown] tags=["solution"]
# No: the proof of subadditivity holds token $n$ in place on the whole segment, so
# $w_{\mathrm{cont}}(0.5) ≤ 50\,w_{\mathrm{cont}}(0.01) = 0$. The trap is case 4,
# $-x_n + 3 \cdot \frac{1}{3} \sum_m x_m$: the mean runs over *all* tokens, and the own
# value cancels.

# %% tags=["solution"]
for number, (text, tokens) in enumerate(cases):
    forms = [
        resolve_target(text).closed_form(0.1, kind=kind, tokens=tokens, dim=1, p=2)
        for kind in ("token", "contextual")
    ]
    words = ", ".join(f"{form.value:.4f} ({form.side})" for form in forms)
    print(f"case {number}: {text:22s} N = {tokens}: token, contextual = {words}")
    zero_token += [number] if forms[0].value == 0 else []
    zero_context += [number] if forms[1].value == 0 else []
print("token modulus 0:", zero_token, " contextual modulus 0:", zero_context)
check("4", zero_token, zero_context)

# %% [markdown]
# ## How p, N and d enter
#
# The theorem evaluates the three at different radii, $w_{\mathrm{tok}}(δ\sqrt{d})$,
# $w_{\mathrm{cont}}(δ\sqrt{Nd})$ and $w(δ\sqrt{Nd})$: $δ\sqrt{d}$ is the diagonal of a
# cell of one token, $δ\sqrt{Nd}$ that of a cell of all. The moduli themselves change
# with $N$, $d$ and $p$, too. For this dial and $p ≤ 2$ the sequence modulus depends on
# the product $Nd$ alone:

# %% alt="three moduli against the number of tokens, p = 1 and p = 2"
even = resolve_target("dial:token=0.5,context=0.5,periods=1")
counts = range(2, 17)
fig, panels = plt.subplots(1, 2, figsize=(6.6, 2.9), sharey=True, layout="constrained")
for ax, p in zip(panels, (1, 2), strict=True):
    for kind in KINDS:
        style = looprate.style.KIND_STYLE[kind]
        values = [
            even.closed_form(0.05, kind=kind, tokens=n, dim=1, p=p).value
            for n in counts
        ]
        ax.plot(counts, values, color=style.colour, label=kind)
        print(f"p = {p}, {kind:10s} N = 2: {values[0]:.4f}, N = 16: {values[-1]:.4f}")
    ax.set(xlabel="tokens $N$", title=f"$p = {p}$", yscale="log", xticks=(2, 4, 8, 16))
many = [
    even.closed_form(0.05, kind="sequence", tokens=n, dim=d, p=1).value
    for n, d in ((16, 1), (2, 8))
]
print(f"N d = 16, p = 1: sequence {many[0]:.4f} (d = 1) and {many[1]:.4f} (d = 8)")
panels[0].set_ylabel("modulus at radius 0.05")
panels[1].legend(loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()

# %% [markdown]
# ### Exercise 5: read the curves
#
# Explain all three curves in one line each, for the dial with equal shares and $p = 1$:
# why does the sequence modulus grow about like $\sqrt{N}$, why does the token modulus
# not move, why does the contextual one fall? Predict the factor from $N = 2$ to
# $N = 17$ of the contextual modulus at a small radius, and compute it at radius 0.001.

# %%
predicted_factor = None  # your answer

# %%
check("5", predicted_factor)

# %% [markdown] tags=["solution"]
# - Sequence: $N$ entries change by $L t/\sqrt{N}$ each if all tokens move alike, so
#   their sum is $L t \sqrt{N}$, with $L$ the steepest slope of the sine; for $p = 2$ it
#   would be $L t$.
# - Token: one token moves, one output token is watched; the others are not in the
#   formula.
# - Contextual: the *mean* over the $N - 1$ others is watched. Moving all of them by
#   $t/\sqrt{N-1}$ moves their mean by that much. From $N = 2$ to $17$:
#   $1/\sqrt{16} = 1/4$.

# %% tags=["solution"]
predicted_factor = 1 / 4
small = {
    n: even.closed_form(0.001, kind="contextual", tokens=n, dim=1, p=1) for n in (2, 17)
}
factor = small[17].value / small[2].value
print(f"factor {factor:.5f}, both closed forms {small[2].side} and {small[17].side}")
assert abs(factor - predicted_factor) < 1e-3  # a sine is not quite a line
check("5", predicted_factor)

# %% [markdown]
# ## When a hypothesis fails
#
# The theorem speaks of **continuous** and **permutation-equivariant** functions:
# permuting the tokens of the input permutes those of the output. Continuity on the cube
# is the same as $w(t) → 0$ for $t → 0$. A jump does not have it:

# %%
jump = resolve_target("formula: sign(x - 0.5)")
for radius in (1e-1, 1e-3, 1e-6):
    pair = modulus_lower_bound(jump, radius, kind="token", effort=0.1, **SMALL)
    print(f"radius {radius:g}: token modulus at least {pair.value:.3f}")

# %% [markdown]
# Three numbers are no proof of a jump, for a very steep slope looks the same. So the
# check of the hypotheses never says "discontinuous". It shows a *witness*, two inputs
# at most 1e-13 apart whose outputs differ, and the claim that needs the hypothesis
# becomes *not testable*. Or it finds nothing, which proves nothing.

# %%
from textwrap import fill

numbered = resolve_target("formula: n*x")  # n is the place of the token: forbidden
for name, g in (("jump", jump), ("numbered", numbered), ("dial", f)):
    lines = looprate.target(g, tokens=2, dim=1, p=2).check().failures
    print(fill(f"{name}: {'; '.join(lines) or 'nothing was found'}", 78))

# %% [markdown]
# ### Exercise 6: your own function
#
# Write a function from arrays $(B, N, d)$ to arrays $(B, N, d)$ that is continuous but
# not equivariant, such as a *causal* one, in which a token sees only those before it.
# Get a witness, and check it by hand. Then repair it, and bracket the three moduli of
# the repaired function.

# %%


def causal(x):
    """Your answer: a token and those before it."""
    return None


# %%
check("6", causal)


# %% tags=["solution"]
def causal(x):
    """Mean of a token and of those before it."""
    return np.cumsum(x, axis=1) / np.arange(1, x.shape[1] + 1)[:, None]


finding = looprate.target(causal, **THREE).check().rows[0]
print(finding["verdict"], "-", finding["claim"])
witness, order = np.array(finding["evidence"]["x"]), finding["evidence"]["order"]
apart = np.abs(causal(witness[None, order]) - causal(witness[None])[:, order]).max()
print(f"witness {witness.ravel().tolist()}, order {order}: outputs {apart:.3f} apart")
assert apart > 1e-6
check("6", causal)

# %% [markdown] tags=["solution"]
# Repaired: a token and the mean over *all*. That nothing is found proves nothing in
# general; here equivariance is seen from the formula. The brackets are closed to the
# tolerance of 2 %.


# %% tags=["solution"]
def repaired(x):
    """Mean of a token and of the mean over all."""
    return (x + x.mean(1, keepdims=True)) / 2


mine = looprate.target(repaired, **THREE)
print(mine.check().failures or "nothing was found")
for kind in KINDS:
    bound = modulus_upper_bound(mine.target, 0.1, kind=kind, tolerance=0.02, **THREE)
    print(
        f"{kind:10s} in [{bound.lower.value:.5f}, {bound.value:.5f}] ({bound.method})"
    )
    assert bound.lower.value <= bound.value + 1e-12

# %% [markdown]
# ## What to remember
#
# - A modulus is a supremum. A pair proves a lower bound, a closed form or enclosures
#   prove an upper one, and nothing else does.
# - The sequence modulus says how rough a function is, the other two where its roughness
#   comes from: $w_{\mathrm{tok}} ≤ w$, $w_{\mathrm{cont}} ≤ w$, and
#   $w ≤ N^{1/p} [w_{\mathrm{tok}} + w_{\mathrm{cont}}]$.
# - What is said about moduli is said about continuous, equivariant functions. Checks of
#   that can find witnesses against it, not prove it.
#
# The next lesson builds the network in whose error these three appear.
