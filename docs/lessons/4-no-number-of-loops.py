# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # What no number of loops can do
#
# Theorem 3.6 says what *some* network reaches. Here is the other side: what *no*
# network of a size reaches, and two constructions that come as far as one can.
#
# **What you will learn**
#
# - how a lower bound counts: free signs of functions against patterns of networks;
# - how a code of the *other* tokens and two levels of labels make a network with the
#   best exponent, step by step;
# - what the separation of loops with and without a free $η(t)$ says, and all that it
#   does not say.
#
# There are six exercises. Lesson 2 explains cells, labels and increments.
#
# `check(...)` tells whether an answer is right, with a hint where it is not;
# `check.hint("1")` gives a hint at once, `check.solution("1")` the answer in a line.

# %%
from dataclasses import replace
from fractions import Fraction

import matplotlib.pyplot as plt
import numpy as np

import looprate
from looprate import (
    ConstructionSpec,
    EtaNetwork,
    NetworkSize,
    compile_construction,
    worst_case_error_lower_bound,
    worst_case_error_upper_bound,
)
from looprate.exercises import lesson
from looprate.proof import (
    Bumps,
    construction_loops,
    exponent_rows,
    label_form,
    reference_output,
    reference_states,
)

check = lesson(4)
plt.rcParams.update(looprate.style.paper())
SHAPE = {"tokens": 2, "dim": 1}

# %% [markdown]
# ## What is claimed
#
# **A derivation of this project, not yet reviewed by others.** The paper has no lower
# bound. Let $F$ be the class of permutation-equivariant $f$ with
# $‖f(X) - f(Y)‖_p ≤ L ‖X - Y‖_2^s$, $0 < s ≤ 1$. Fix the size of a block: rows, units,
# heads.
#
# > **Lower bound. For every** $r$ **there is** an $f ∈ F$, which depends on $r$, such
# > that **every** network of that size with $r$ loops, hardmax attention and any real
# > weights has $‖T - f‖_{L^p} ≥ c_1 L r^{-s/(Nd)}$ if its loops are all alike (LT), and
# > $≥ c_3 L r^{-2s/(Nd)}$ with a free scale $η(t)$ for each loop and row (TMLT).
# >
# > **Upper bound. For every** $r$, $p < ∞$ and $f ∈ F$ **there are** networks, of a
# > size that depends on $d$ alone, with $‖T - f‖_{L^p} ≤ c_2 L r^{-s/(Nd)}$ (LT) and
# > $≤ c_4 L r^{-2s/(Nd)}$ (TMLT).
#
# The constants depend on $N$, $d$, $p$, $s$ and the size. So the exponents of $1/r$
# are known. `exponent_rows` takes the first from the lower bound, the second from the
# loops that a compiled network takes:

# %%
print(" N  d  s    LT: no faster  reached   TMLT: no faster  reached")
for tokens, dim, s in ((2, 1, 1.0), (3, 1, 1.0), (2, 2, 1.0), (2, 1, 0.5), (8, 4, 1.0)):
    lt, tmlt = exponent_rows(tokens=tokens, dim=dim, holder=s)
    print(
        f"{tokens:2d}  {dim}  {s:<3g}  {lt.lower!s:>13s}  {lt.upper!s:>7s}"
        f"  {tmlt.lower!s:>16s}  {tmlt.upper!s:>7s}"
    )

# %% [markdown]
# ## Signs against patterns
#
# Cut the cube into $m^d$ cells a token. Put a bump on every box of $N$ *distinct*
# cells, up or down, for every entry of the output on its own, and the same on its
# permutations. All these functions are in $F$. Three of them, for $m = 6$: the output
# of token 1 over all inputs $(x_1, x_2)$.

# %% alt="bumps of random signs on boxes of two distinct cells, three times"
m = 6
middles = (np.arange(240) + 0.5) / 240
inputs = np.stack(np.meshgrid(middles, middles, indexing="ij"), axis=-1)
fig, panels = plt.subplots(1, 3, figsize=(6.8, 2.3), layout="constrained")
for seed, ax in enumerate(panels):
    f = Bumps.random(m, **SHAPE, rng=np.random.default_rng(seed))
    values = f(inputs.reshape(-1, 2, 1))[:, 0, 0].reshape(240, 240)
    image = ax.imshow(values.T, cmap="RdBu", origin="lower", extent=(0, 1, 0, 1))
    ax.set(xlabel="$x_1$", ylabel="$x_2$")
fig.colorbar(image, ax=panels, label="token 1", shrink=0.6)
plt.show()
print(
    f"boxes {len(f.signs)}, free signs K = {f.signs.size}: 2^{f.signs.size} functions"
)

# %% [markdown]
# On the diagonal nothing is free: two tokens in one cell have no order, and equal
# inputs of an equivariant function have equal outputs.
#
# Now the networks. Fix $n$ inputs, let *all* weights vary over the reals, and note of
# every output whether it is above a threshold. How many patterns of signs can one see?
# Fix which token attains each maximum and which units are active: then the output is a
# polynomial in the weights, of a degree that grows like $4r$, because the residual
# stream adds. Few polynomials of small degree have few sign patterns (Warren), so that
#
# $$
# \log_2 Γ ≤ c \, r \ \text{(LT)}, \qquad
# \log_2 Γ ≤ c' \, r^2 \ \text{(TMLT)} .
# $$
#
# The square comes from the number of weights: a free $η(t)$ has a number for each loop
# and row. If $K$ is larger than $\log_2 Γ$, some signs are shown by no network. If it
# is clearly larger, there is a function of which every network gets a *share* $α$ of
# the signs wrong, and there its error is as large as the bump. The finer the cells, the
# more signs and the lower the bumps; the best $m$ is sought:

# %%
size = NetworkSize.of_constructions(dim=1)
print(f"a block: {size.rows} rows, {size.width} units, {size.heads} heads of size 1")
print("        r       m of the bumps   signs K   log2 of patterns   share   bound")
for r in (1, 100, 10_000, 10**8):
    found = worst_case_error_lower_bound(r, **SHAPE, size=size)
    print(
        f"{r:11,d}  {found.grid:16,d}  {found.signs:8.1e}  {found.pattern_bits:17.1e}"
        f"  {found.share:6.3f}  {found.value:.2e}"
    )

# %% [markdown]
# Every number in the last column is rounded down. "No number of loops" is meant like
# this: at *every* $r$ it is positive, and says by how much the worst function is missed
# at least. The cells are tiny, because the count of patterns is generous. So the bound
# is far below what networks do, and what it gets right is the exponent.

# %% [markdown]
# ### Exercise 1: what moves the bound?
#
# Predict the factor by which the bound changes, at $r = 10^8$: (a) $L = 2$ instead
# of 1; (b) twice the rows; (c) $s = 1/2$ instead of 1: larger or smaller? (d) weights
# of 32 bits instead of real numbers; and the same at $r = 10^{12}$.

# %%
my_factors = {"a": None, "b": None, "c": None, "d": None}  # your answer, at 10^8

# %%
check("1", my_factors)


# %% tags=["solution"]
def lower(r, size=size, **of_class):
    """The lower bound at r loops."""
    return worst_case_error_lower_bound(r, **SHAPE, size=size, **of_class).value


usual = lower(10**8)
print(f"(a) {lower(10**8, lipschitz=2.0) / usual:.3f}")
print(f"(b) {lower(10**8, replace(size, rows=2 * size.rows)) / usual:.3f}")
print(f"(c) {lower(10**8, holder=0.5) / usual:.1f}")
bits = replace(size, weight_bits=32)
for r in (10**8, 10**12):
    print(f"(d) at r = {r:.0e}: {lower(r, bits):.2e}, real weights {lower(r):.2e}")
assert lower(10**12, bits) == lower(10**8, bits)
others = {
    "a": lower(10**8, lipschitz=2.0),
    "b": lower(10**8, replace(size, rows=2 * size.rows)),
    "c": lower(10**8, holder=0.5),
    "d": lower(10**8, bits),
}
check("1", {letter: value / usual for letter, value in others.items()})

# %% [markdown] tags=["solution"]
# (a) 2: the class scales. (b) A little below 1: more weights, more patterns, but at
# this exponent twice the weights can win no more than a factor $2^{s/(Nd)}$. (c) Much
# larger: rougher functions are in the class, and the exponent is halved. (d) With $b$
# bits a weight there are finitely many networks, at most $2^{bW}$, *whatever $r$ is*:
# an error stays that no number of loops removes. So the upper bound below needs weights
# that get longer with $r$.

# %% [markdown]
# ## The code of the others
#
# Now the networks. Theorem 3.6's way to label a token, by the cells of *all* $N$ tokens
# and its own once more, has two weaknesses. It names $(N+1)d$ coordinates where there
# are $Nd$, and two tokens in one cell collide. The **others code** names, for each
# token, the cells of the $N - 1$ *other* tokens, and its own:
#
# $$
# k = 2U s + 2z - b_0, \qquad
# s = \sum_{i<N} U^{N-1-i} z'_{(i)} ,
# $$
#
# with $U = m^d$ and $z'_{(1)}, z'_{(2)}, \ldots$ the others' cells in the order of
# their *real* first coordinates, which tie on a null set only. There are $2m^{Nd} - m$
# labels. It takes two heads with one key and two values: who is largest, and in which
# cell. Two tokens that share a cell of $m = 4$:

# %%
target = looprate.resolve_target("formula: x + mean(x)")


def build(memoriser, grid=4):
    """A network on the others code."""
    how = {"memoriser": memoriser, "coding": "others", "sharpness": 2**10}
    return compile_construction(target, ConstructionSpec(**SHAPE, grid=grid, **how))


def label(found, token):
    """The label of a token's state."""
    form, bias = label_form(found.spec)
    return bias + sum(weight * token[row] for row, weight in form.items())


tied = build("increments")
block = tied.network.block
print(
    f"{len(block.rows)} rows, {block.width} units, {len(block.heads)} heads, ", end=""
)
print(f"{tied.spec.loops} loops")
point = [[Fraction(55, 100)], [Fraction(60, 100)]]  # both in cell 2
states = list(reference_states(tied.network, point))
print("loop   z of both   left of both   s of both")
for loop in range(6):
    both = [", ".join(str(t[row]) for t in states[loop]) for row in ("z", "left", "s")]
    print(f"{loop:4d}   {both[0]:9s}   {both[1]:12s}   {both[2]}")
print("labels:", [str(label(tied, token)) for token in states[-1]])

# %% [markdown]
# Loops 1 to 3 count cells; in loop 4 token 2, the larger one, is found and leaves, and
# token 1 writes down its cell; in loop 5 it is the other way round. Nobody writes down
# its own. Both have label $8 \cdot 2 + 2 = 18$, which stands for the centre of the
# common cell, and there $f$, here $f(X)_n = x_n + \frac{1}{N} \sum_m x_m$, is the same
# for both.

# %% [markdown]
# ### Exercise 2: by hand
#
# (a) $s$ and the labels of both tokens of $(0.30, 0.95)$, for $m = 4$. (b) The same for
# $(0.05, 0.10)$. (c) Three tokens at $(0.30, 0.40, 0.90)$, two of them in one cell:
# which of the codes `rank` and `others` answers with $f$ at the cells' centres?

# %%
my_labels = {"a": None, "b": None}  # your answer

# %%
check("2", my_labels)

# %% [markdown] tags=["solution"]
# (a) Cells 1 and 3: token 1 notes $s = 3$, so $k = 24 + 1 = 25$; token 2 notes $s = 1$
# and has $k = 8 + 3 = 11$. (b) Cells 0 and 0: $s = 0$ and $k = 0$ for both. (c) The
# others code. On the rank code tokens of one cell leave in the same loop, and the label
# that results belongs to other cells.

# %% tags=["solution"]
for letter, given, expected in (
    ("a", [[Fraction(30, 100)], [Fraction(95, 100)]], [25, 11]),
    ("b", [[Fraction(5, 100)], [Fraction(10, 100)]], [0, 0]),
):
    *_, last = reference_states(tied.network, given)
    labels = [label(tied, token) for token in last]
    print(f"({letter})", [str(k) for k in labels])
    assert labels == expected
three = [[Fraction(30, 100)], [Fraction(40, 100)], [Fraction(90, 100)]]
centres = np.array([[[0.375], [0.375], [0.875]]])
print("(c) f at the centres", target(centres).ravel().round(3))
for coding in ("rank", "others"):
    how = {"memoriser": "timestep", "coding": coding}
    made = compile_construction(target, ConstructionSpec(3, 1, 4, **how))
    answers = [float(y) for [y] in reference_output(made.network, three)]
    print(f"    {coding:6s} answers  {np.round(answers, 3)}")
    right = np.allclose(answers, target(centres).ravel())
    assert right == (coding == "others")
check("2", {"a": [25, 11], "b": [0, 0]})

# %% [markdown]
# ## One label a loop
#
# On this code neighbouring labels still differ by one move of a token or of its
# context, so the increments of Lemma 4.1 have a small error. Loop after loop they ask
# "is your label at least $j$?". That takes $m^{Nd}$ loops, up to a constant, for cells
# of width $1/m$: error $r^{-s/(Nd)}$, without any $η(t)$, and **the best exponent of
# weight-tied loops**. Rows of the stream over the loops for $m = 6$, and an input with
# cells 4 and 2. Dotted lines part the stages: 1 cells, 2 others, 3 values. The last
# panel is what would be read off after each loop; it means something at the end.


# %%
TALL, STEP = {"sharex": True, "layout": "constrained"}, {"where": "post"}


def draw_rows(found, point, rows):
    """Rows of the stream over the loops, both tokens; below, what would be read off."""
    states = list(reference_states(found.network, point))
    form, bias = found.network.decoder[0]
    curves = {row: [[float(t[row]) for t in now] for now in states] for row in rows}
    curves["output"] = [
        [float(bias + sum(w * t[row] for row, w in form.items())) for t in now]
        for now in states
    ]
    _, panels = plt.subplots(
        len(curves), 1, figsize=(6.4, 0.72 * len(curves) + 0.5), **TALL
    )
    for ax, (row, values) in zip(panels, curves.items(), strict=True):
        for n, style in looprate.style.TOKEN_STYLE.items():
            look = {"color": style.colour, "lw": 3.4 - n, "label": style.name}
            ax.step(range(len(values)), [now[n - 1] for now in values], **STEP, **look)
        ax.set_ylabel(row, rotation=0, ha="right", va="center")
        ax.margins(x=0.01, y=0.2)
    at = [0, found.spec.context_start, found.spec.values_start, found.spec.loops]
    for stage in range(3):
        middle = (at[stage] + at[stage + 1]) / 2
        place = panels[0].get_xaxis_transform()
        panels[0].text(middle, 1.03, stage + 1, ha="center", transform=place)
        for ax in panels:
            ax.axvline(at[stage], color=looprate.style.GREY, lw=0.6, ls="dotted")
    panels[-1].set_xlabel("after loop")
    panels[-1].xaxis.get_major_locator().set_params(integer=True)
    panels[-1].legend(ncols=2, loc="upper right", bbox_to_anchor=(1, -0.25))


# %% alt="rows z, s, D, y and the output of the increments after each loop"
apart = [[Fraction(83, 100)], [Fraction(40, 100)]]
one = build("increments", 6)
draw_rows(one, apart, ("z", "s", "D_0", "y_0"))
plt.show()

# %% [markdown]
# Row `D_0` is what the block reads off the long integer in `C_0` at each loop, a symbol
# 0, 1 or 2 for down, stay and up; it is the same for both tokens. Row `y_0` follows it
# up to the token's own label, $12 \cdot 2 + 4 = 28$ and $12 \cdot 4 + 2 = 50$, and then
# stays.
#
# ## Two levels
#
# With a free $η(t)$ one can do better. Put the $K$ labels into groups of $n$:
# $k = a n + b$. A **word** of a group holds the increments of its labels, as symbols
# 0, 1, 2 in base 4. The network then needs only
#
# 1. *bits of the cell*: with $η(t)$ the quantiser halves, $\lceil \log_2 m \rceil$
#    loops;
# 2. *others code*: $N$ loops;
# 3. *first pass*: one loop a **group**. "Is your group at least $a$?" On a yes, row `g`
#    counts, and $η$ brings row `G_0` from the word of group $a - 1$ to that of $a$, and
#    `y_0` from first count to first count;
# 4. *second pass*: one loop a **symbol** of the word: the leading one goes to `D_0`,
#    and `y_0` takes it if it belongs to place $b$ or before. What is read off is
#    $y - b$, since each symbol is one too large.
#
# That is $\lceil \log_2 m \rceil + N + \lceil K/n \rceil + n$ loops, about
# $2\sqrt{K}$ for $n = \sqrt{K}$: error $r^{-2s/(Nd)}$. The real weights, on the same
# input:

# %% alt="rows z, s, g, G, D, y and the output of two levels after each loop"
two = build("two-level-increments", 6)
block = two.network.block
print(
    f"{len(block.rows)} rows, {block.width} units, {len(block.heads)} heads, ", end=""
)
print(f"{two.spec.loops} loops")
draw_rows(two, apart, ("z", "s", "g", "G_0", "D_0", "y_0"))
plt.show()


# %%
def in_base_4(word, places):
    """The symbols of a word."""
    return "".join(str(int(word) // 4**k % 4) for k in reversed(range(places)))


states = list(reference_states(two.network, apart))
largest = max(int(token["G_0"]) for now in states for token in now)
places = len(np.base_repr(largest, 4))
print("       token 1                      token 2")
print("loop   s  g  word in base 4  D  y   s  g  word in base 4  D  y")
for loop, now in enumerate(states):
    parts = [
        f"{token['s']!s:>2s} {token['g']!s:>2s}  {in_base_4(token['G_0'], places):14s}"
        f" {token['D_0']!s:>2s} {token['y_0']!s:>2s}"
        for token in now
    ]
    print(f"{loop:4d}  {parts[0]}  {parts[1]}")
form, bias = two.network.decoder[0]
gave = [float(bias + sum(w * t[row] for row, w in form.items())) for t in states[-1]]
print("labels", [str(label(two, t)) for t in states[-1]], "answers", np.round(gave, 4))
assert gave == [float(y) for [y] in reference_output(one.network, apart)]

# %% [markdown]
# The word is there when the second pass begins, and is eaten from the left. The answer
# is *the same* as that of the weight-tied network, in 22 loops instead of 73.

# %% [markdown]
# ### Exercise 3: the best group
#
# For $N = 2$, $d = 1$, $m = 16$: write the loops as a function of $n$ and find the best
# $n$. How many loops does a grid twice as fine take, in the limit, with and without
# $η(t)$?


# %%
def two_level_loops(m, n):
    """Your answer."""
    return None


# %%
check("3", two_level_loops)


# %% [markdown] tags=["solution"]
# $K = 2m^2 - m$ labels. Near $n = \sqrt{K}$ the count is flat. Twice as fine: twice as
# many loops with $η(t)$ and four times as many without, as $\sqrt{K} ≈ \sqrt{2} m$ and
# $K ≈ 2m^2$.


# %% tags=["solution"]
def two_level_loops(m, n):
    """Loops for N = 2, d = 1 with groups of n labels."""
    labels = 2 * m**2 - m
    return (m - 1).bit_length() + 2 + -(-labels // n) + n


best = min(range(2, 60), key=lambda n: two_level_loops(16, n))
print(f"m = 16: best n = {best}, {two_level_loops(16, best)} loops")
for memoriser in ("increments", "two-level-increments"):
    how = {"memoriser": memoriser, "coding": "others"}
    counts = [construction_loops(m, **SHAPE, **how) for m in (16, 32, 1024, 2048)]
    print(f"{memoriser:21s} m = 16, 32, 1024, 2048: {counts}")
    if memoriser != "increments":
        assert counts[0] == two_level_loops(16, best)
check("3", two_level_loops)

# %% [markdown]
# ### Exercise 4: where the table is
#
# `two.network.eta[row]` are the scales of one row, loop by loop. Which rows need only
# 0 and 1, a switch, and which need numbers that depend on $f$? Predict, then count.
# What happens if every nonzero scale of `G_0` becomes 1?

# %%
my_rows = None  # your answer: those that depend on f

# %%
check("4", my_rows)

# %% tags=["solution"]
for row, scales in two.network.eta.items():
    seen = sorted(set(scales))
    words = f"{len(seen)} numbers from {seen[0]} to {seen[-1]}"
    print(f"{row:6s} {'a switch' if set(seen) <= {0, 1} else words}")
scales = dict(two.network.eta)
scales["G_0"] = tuple(int(bool(scale)) for scale in scales["G_0"])
switched = replace(two.network, eta=scales)
after = [float(y) for [y] in reference_output(switched, apart)]
print("answers", np.round(gave, 4), "become", np.round(after, 4))
assert after != gave
check("4", ["G_0", "y_0"])

# %% [markdown] tags=["solution"]
# The words of all groups are in $η$ of `G_0`, their first counts in that of `y_0`; both
# depend on $f$. The rest is the same for every $f$: `line`, `x_0`, `z` and `b_0` find
# the cell bit by bit, and `theta` runs through the places of a word. So the table has
# moved from one long integer of the weights into $Θ(r)$ free numbers: **the comparison
# is per loop, not per parameter.**

# %% [markdown]
# ## Both sides
#
# For all $f$ of the class at once, $N = 2$, $d = 1$, $p = s = L = 1$: the lower bound,
# and what the two constructions leave.

# %% alt="bounds of the worst-case error against loops, with and without eta(t)"
LOOPS = [10**k for k in range(2, 13, 2)]
PAIRS = {"lt": "increments", "tmlt": "two-level-increments"}
fig, ax = plt.subplots(figsize=(5.8, 3.3), layout="constrained")
below, above = {}, {}
for family, memoriser in PAIRS.items():
    style, own = looprate.style.FAMILY_STYLE[family], replace(size, family=family)
    below[family] = [
        worst_case_error_lower_bound(r, **SHAPE, size=own).value for r in LOOPS
    ]
    how = {"family": family, "memoriser": memoriser, "coding": "others"}
    above[family] = [
        worst_case_error_upper_bound(r, **SHAPE, **how).total for r in LOOPS
    ]
    for side, values, dash in (("upper", above, "-"), ("lower", below, "--")):
        look = {"color": style.colour, "ls": dash, "marker": style.marker, "ms": 3}
        ax.loglog(LOOPS, values[family], **look, label=f"{style.name}, {side} bound")
ax.set(xlabel="loops $r$", ylabel="worst-case $L^1$ error, bounds")
ax.legend(loc="lower left")
plt.show()
for r, *values in zip(LOOPS, *below.values(), *above.values(), strict=True):
    print(f"r = {r:.0e}: lower LT, TMLT {values[0]:.1e}, {values[1]:.1e}; ", end="")
    print(f"upper {values[2]:.1e}, {values[3]:.1e}")

# %% [markdown]
# Every pair of one colour is parallel: the exponents agree, and the constants are four
# to five decades apart. Only where the solid TMLT line is below the dashed LT line does
# the picture separate the two at *that* loop count.

# %% [markdown]
# ### Exercise 5: an $η(t)$ that is not free
#
# Which exponent do you expect of the lower bound (a) if $η(t)$ is computed from $t$ by
# a ReLU network of fixed size, say 100 weights, 20 units, 2 layers; (b) if every loop
# has a block of its own (`untied`); (c) for LT with weights of 32 bits? Measure the
# slope between $r = 10^8$ and $10^{11}$.

# %%
my_exponents = {"a": None, "b": None, "c": None}  # your answer

# %%
check("5", my_exponents)

# %% tags=["solution"]
fixed = EtaNetwork(parameters=100, units=20, depth=2)
kinds = {
    "LT": size,
    "TMLT, free": replace(size, family="tmlt"),
    "(a) TMLT, network": replace(size, family="tmlt", eta_network=fixed),
    "(b) untied": replace(size, family="untied"),
    "(c) LT, 32 bits": replace(size, weight_bits=32),
}
slopes = {}
for name, own in kinds.items():
    first, last = (
        worst_case_error_lower_bound(r, **SHAPE, size=own).value
        for r in (10**8, 10**11)
    )
    slopes[name] = np.log10(last / first) / 3
    print(f"{name:18s} slope {slopes[name]:6.3f}")
assert abs(slopes["(a) TMLT, network"] - slopes["LT"]) < 0.01
assert abs(slopes["(b) untied"] - slopes["TMLT, free"]) < 0.01
check("5", {name[1]: slope for name, slope in slopes.items() if name[0] == "("})

# %% [markdown] tags=["solution"]
# (a) That of LT: what counts is how many free numbers there are. (b) That of TMLT.
# (c) 0.

# %% [markdown]
# ### Exercise 6: four friends
#
# Which of these follows from the two bounds, and why do the others not?
#
# 1. "There is one function that no weight-tied network approximates at a rate better
#    than $r^{-s/(Nd)}$."
# 2. "At $r = 1000$ a network with $η(t)$ is proven to be better than any without."
# 3. "With the same number of parameters, $η(t)$ wins."
# 4. "So trained Transformers should get a free $η(t)$."

# %%
my_verdicts = [None, None, None, None]  # your answer: does it follow, True or False?

# %%
check("6", my_verdicts)

# %% tags=["solution"]
r = 1000
lt = worst_case_error_lower_bound(r, **SHAPE, size=size).value
tm = worst_case_error_upper_bound(r, **SHAPE, family="tmlt").total
print(f"r = {r}: LT at least {lt:.1e}, TMLT at most {tm:.1e}")
assert lt < tm
scales = {
    grid: sum(map(len, build("two-level-increments", grid).network.eta.values()))
    for grid in (4, 8, 16)
}
print("numbers in η(t), by grid:", scales)
check("6", [False] * 4)

# %% [markdown] tags=["solution"]
# None of them. 1: $f$ depends on $r$; one $f$ for all $r$ is not derived here. 2: the
# bounds overlap until about $r = 5 \cdot 10^9$; exponents say what holds in the end,
# not from where on. 3: $η(t)$ has a number for each loop and row, so the parameters
# grow with $r$. 4: these are statements about weights that *exist*, with hardmax
# attention and exact arithmetic, in the worst case of a class. For softmax the lower
# bound is not derived, and what is known of the exponential would separate nothing.

# %% [markdown]
# ## What to remember
#
# - A lower bound counts: functions with many free signs against networks with few
#   patterns. It speaks of *every* weight, and of the worst function at each $r$.
# - Two ideas make networks that attain it: label a token by the cells of the *others*,
#   and read labels in two levels.
# - The separation is in the exponent, per loop, for hardmax and exact arithmetic, with
#   a free $η(t)$.
#   [The theory](../theory.md#what-no-number-of-loops-can-do) lists all its caveats, and
#   what is known from others.
