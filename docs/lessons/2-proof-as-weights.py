# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # The proof as weights
#
# The proof of Theorem 3.6, as this project reconstructs it from summaries, is a program
# for a looped Transformer. Here you compile it, read its weights, run it in exact
# arithmetic, and break it.
#
# **What you will learn**
#
# - how one block, applied again and again, quantises, reads its context and recites a
#   table;
# - what each of three memorisers costs in loops, and what error it leaves;
# - what a certificate checks, and how it refuses a network in which one weight is
#   wrong.
#
# There are six exercises. Lesson 1 explains the moduli $w$, $w_{\mathrm{tok}}$ and
# $w_{\mathrm{cont}}$.
#
# `check(...)` tells whether an answer is right, with a hint where it is not;
# `check.hint("1a")` gives a hint at once, `check.solution("1a")` the answer in a line.

# %%
from dataclasses import replace
from fractions import Fraction
from math import comb
from textwrap import fill

import matplotlib.pyplot as plt
import numpy as np

import looprate
from looprate import ConstructionSpec, compile_construction
from looprate.exercises import lesson
from looprate.proof import (
    compile_table,
    construction_loops,
    every_cell,
    exact_output,
    grid_coordinates,
    labels_in_use,
    last_label,
    printed_loops,
    reference_output,
    reference_states,
)

check = lesson(2)
plt.rcParams.update(looprate.style.paper())

# %% [markdown]
# ## What is claimed
#
# > **Theorem 3.6** (Xu & Sato, arXiv 2410.01405v7). **For every** continuous,
# > permutation-equivariant $f : [0,1]^{N×d} → \mathbb{R}^{N×d}$, **every** $1 ≤ p < ∞$
# > and **every** number of loops $r > N$, **there is** a looped Transformer $T$ of $r$
# > loops, of a size that depends on $d$ alone, with
# >
# > $$
# > ‖T - f‖_{L^p} ≤ (Nd)^{1/p}
# > \left[ w_{\mathrm{tok}}(δ\sqrt{d}) + w_{\mathrm{cont}}(δ\sqrt{Nd})
# > + w(δ\sqrt{Nd}) \right]
# > $$
# >
# > $$
# > \qquad + O\left( N^{2/p} δ^{d/p} \right) + O\left( ((Mδ)^{-1} d N)^{1/p} \right) ,
# > $$
# >
# > where $δ = ((r - N)/2)^{-1/((N+1)d+1)}$ and $M$ is the slope of the quantiser, a
# > weight that may be as large as one likes.
#
# It says that weights *exist*. The proof writes them down: every coordinate is cut into
# $m = 1/δ$ intervals, the cube into cells of side $δ$, and the network answers, up to
# an error of its memoriser, $f$ at the centre of the cell. What is compiled here is
# this project's version of that network, with one head instead of two and fewer rows.
# We take $N = 2$, $d = 1$, $m = 4$, and a sine:

# %%
SHAPE = {"tokens": 2, "dim": 1}
f = looprate.target("dial:token=0.7,context=0.3,periods=1", **SHAPE, p=1)
target = f.target
print(target.latex)
CHOICES = {  # memoriser -> how cells become labels, bits of a label
    "increments": {"coding": "sum"},
    "timestep": {"coding": "rank"},
    "digits": {"coding": "rank", "bits": 4},
}
built = {}
for name, choice in CHOICES.items():
    spec = ConstructionSpec(**SHAPE, grid=4, memoriser=name, sharpness=2**10, **choice)
    built[name] = compile_construction(target, spec)
    block = built[name].network.block
    print(
        f"{name:10s} {len(block.rows):2d} rows, {block.width:2d} hidden units, "
        f"{len(block.heads)} head, {spec.loops:3d} loops"
    )
print(f"loops that the theorem, as reported, has for this grid: {spec.paper_loops}")

# %% [markdown]
# Three networks for the same function. They differ in the **memoriser**, the last of
# three stages, and in the code of labels that suits it:
#
# - `increments`, that of Lemma 4.1: a plain looped Transformer;
# - `timestep`, that of Theorem 4.2: with a scale $η(t)$ of its own for each loop;
# - `digits`, of this project: a plain looped Transformer again.
#
# ## The weights
#
# A network is one block with named rows of the residual stream, and integer weights.
# The smallest of the three in full; empty places are 0:

# %% alt="matrices W_1 and W_2 of the timestep network with their integer weights"
network = built["timestep"].network
names = [unit.name for unit in network.block.units]
matrices = network.block.matrices()
fig, panels = plt.subplots(1, 2, figsize=(6.8, 3.0), layout="constrained")
sides = {"reads: $W_1$": matrices["W_1"], "writes: $W_2^T$": matrices["W_2"].T}
for ax, (title, matrix) in zip(panels, sides.items(), strict=True):
    signs = np.sign(matrix.astype(float))
    ax.imshow(signs, cmap="RdBu", vmin=-2.5, vmax=2.5, aspect="auto")
    for (i, j), weight in np.ndenumerate(matrix):
        if weight:
            ax.text(j, i, str(weight), ha="center", va="center")
    ax.set_xticks(range(len(network.block.rows)), network.block.rows, rotation=60)
    ax.set_yticks(range(len(names)), names if ax is panels[0] else [])
    ax.set_title(title)
plt.show()
for unit in network.block.units:
    print(f"bias of {unit.name:13s} {unit.bias:6d}")
print("drift b_2:", dict(network.block.drift))

# %% [markdown]
# Each line is a hidden unit: it adds `writes` times $\mathrm{relu}$(`reads` · rows +
# bias). Pairs of units make steps, for $\mathrm{relu}(u+1) - \mathrm{relu}(u)$ is 0 for
# $u ≤ -1$ and 1 for $u ≥ 0$: `above_0` and `past_0` are one, `label_from` and
# `label_past` another. Now run it on one input, and look after every loop.
# `reference_states` computes with fractions, so nothing is rounded:

# %%
point = [[Fraction(83, 100)], [Fraction(40, 100)]]
states = list(reference_states(network, point))
print("loop   z of both   s of both   left of both  rank of both")
for loop in range(7):
    columns = [
        ", ".join(str(token[row]) for token in states[loop])
        for row in ("z", "s", "left", "rank")
    ]
    print(f"{loop:4d}  " + "".join(f" {text:11s}" for text in columns))

# %% [markdown]
# **Stage 1, quantise** ($m - 1 = 3$ loops). Each loop moves the input down by one cell
# and adds 1 to row `z` while it is still above the first grid line. Token 1 ends in
# cell 3, token 2 in cell 1.
#
# **Stage 2, context** ($N = 2$ loops). Attention finds the largest cell not yet `left`,
# every token appends it to `s` as a digit in base $U = m^d = 4$, and the token that had
# it leaves. Keys carry an offset so that they are never negative; without it
# $s = 4 \cdot 3 + 1 = 13$. Row `rank` is the place of the token in that order, from 0.
#
# The order in which tokens come in plays no role in any of it. That is where
# equivariance comes from:

# %%
swapped = reference_output(network, point[::-1])
print("as is:  ", [float(token[0]) for token in reference_output(network, point)])
print("swapped:", [float(token[0]) for token in swapped])
assert swapped[::-1] == reference_output(network, point)

# %% [markdown]
# **Stage 3, values.** Now a token has a **label** $k$, one integer that names its own
# cell and those of all others. Two codings:
#
# - *sum code* (the paper's): $k = 2U s + 2z - b_0$, with $b_0$ the first coordinate of
#   the cell ($b_0 = z$ for $d = 1$). Neighbouring labels differ by at most one move of
#   a token and one of its context; labels that no input has are filled in linearly.
# - *rank code* (this project's): $k = N s + \mathrm{rank}$. Fewer labels, but
#   neighbours are unrelated.

# %% [markdown]
# ### Exercise 1: by hand
#
# Take the input $(0.30, 0.95)$. On paper: the cells, $s$ without its offset, the ranks,
# and the labels of both tokens in both codings. Then compare with the network that was
# compiled.

# %%
my_cells, my_code = None, None  # your answer
my_rank_labels = None  # your answer
my_sum_labels = None  # your answer

# %%
check("1a", my_cells, my_code)
check("1b", my_rank_labels)
check("1c", my_sum_labels)

# %% [markdown] tags=["solution"]
# Cells 1 and 3, so $s = 4 \cdot 3 + 1 = 13$: the same as before, for the *set* of cells
# is the same. Token 2 has the largest cell and rank 0, token 1 has rank 1. Rank code:
# $2 \cdot 13 + 1 = 27$ and $26$. Sum code: $8 \cdot 13 + 1 = 105$ and
# $8 \cdot 13 + 3 = 107$.

# %% tags=["solution"]
from looprate.proof import label_form

mine = [[Fraction(30, 100)], [Fraction(95, 100)]]
for name in ("timestep", "increments"):
    *_, last = reference_states(built[name].network, mine)
    form, bias = label_form(built[name].spec)
    labels = [bias + sum(w * token[row] for row, w in form.items()) for token in last]
    print(
        f"{built[name].spec.coding:4s} code: cells",
        [str(token["z"]) for token in last],
        end="",
    )
    print(", labels", [str(label) for label in labels])
    assert labels == ([27, 26] if name == "timestep" else [105, 107])
    check("1b" if name == "timestep" else "1c", labels)
check("1a", [1, 3], 13)

# %% [markdown]
# ## Reciting a table
#
# After the first $m - 1 + N$ loops the labels are counted up, $j = 0, 1, \ldots$
# Increments and timestep ask every token "is your label at least $j$?", one label a
# loop, and on a yes add the difference of two neighbouring values, which increments
# round to -1, 0 or 1 steps: both tokens climb the same stairs, each up to its own
# label. Digits ask "is it $j$?" for $q$ loops, and on a yes take in one bit of the
# value a loop. What the decoder would read after each loop:

# %% alt="the decoded outputs of both tokens after every loop, for three memorisers"
fig, panels = plt.subplots(1, 3, figsize=(6.8, 2.4), sharey=True, layout="constrained")
for ax, (name, found) in zip(panels, built.items(), strict=True):
    form, bias = found.network.decoder[0]
    run = list(reference_states(found.network, point))
    for n, style in looprate.style.TOKEN_STYLE.items():
        read = [bias + sum(w * s[n - 1][row] for row, w in form.items()) for s in run]
        ax.step(
            range(len(run)), read, where="post", color=style.colour, label=style.name
        )
    ax.set(xlabel="after loop", title=f"{name}: {len(run) - 1} loops")
panels[0].set_ylabel("what is read off")
panels[0].legend()
plt.show()
numbers = np.array([[[0.83], [0.40]]])
centres = np.array([[[0.875], [0.375]]])
print("f at the input: ", target(numbers).ravel().round(4))
print("f at the centre:", target(centres).ravel().round(4))
for name, found in built.items():
    answer = [float(token[0]) for token in reference_output(found.network, point)]
    print(f"{name:15s}", np.round(answer, 4))

# %% [markdown]
# The whole run of the increments in one picture. Its third panel is the pair of ReLUs,
# the long one the table of all labels with what the network answers:

# %% alt="the three stages of the construction, and every row after each loop"

f.construct(4, memoriser="increments", sharpness=2**10).stages()

# %% [markdown]
# How far is the answer from the table? For **all** values $y_0, \ldots, y_{K-1}$, with
# a block whose size depends on $d$ alone:
#
# - *increments* (Lemma 4.1): at most $\max_k |y_k - y_{k-1}|$ in each coordinate;
# - *timestep* (Theorem 4.2): 0;
# - *digits*: at most $2^{-q} (\max_k y_k - \min_k y_k)$ with $q$ bits, at $q$ loops a
#   label.
#
# Measured on every cell, as exact numbers:


# %%
def largest_error(found):
    """Largest |output - table| over all cells without a collision, exact."""
    cells, labels = labels_in_use(found.spec)
    inputs = 2 * grid_coordinates(cells, found.spec) + 1  # centres, in half cells
    answers = exact_output(found.network, inputs, denominator=2 * found.spec.grid)
    table = found.table.unit * found.table.values[labels]
    return np.abs(answers.fractions - table).max()


def proven(found):
    """The bounds above."""
    low, high = found.table.ranges[0]
    if found.spec.memoriser == "digits":
        return (high - low) / 2**found.spec.bits
    return found.table.gaps[0] if found.spec.memoriser == "increments" else 0


for name, found in built.items():
    print(f"{name:10s} error {float(largest_error(found)):.4f}, ", end="")
    print(f"proven {float(proven(found)):.4f}")
    assert largest_error(found) <= proven(found)

# %% [markdown]
# Here is where $w_{\mathrm{tok}}(δ\sqrt{d}) + w_{\mathrm{cont}}(δ\sqrt{Nd})$ comes
# from: on the sum code it bounds the largest gap of neighbouring labels, and nothing
# else in the construction needs it. A memoriser that does not care about gaps has
# neither term, and may use the rank code, where the gaps are larger:

# %%
moves = {"token": 1 / 4, "contextual": 2**0.5 / 4}  # kind -> radius, at delta = 1/4
terms = [
    target.closed_form(radius, kind=kind, **SHAPE, p=1).value
    for kind, radius in moves.items()
]
gaps = {name: float(built[name].table.gaps[0]) for name in ("increments", "timestep")}
print(f"w_tok + w_cont = {terms[0]:.4f} + {terms[1]:.4f} = {sum(terms):.4f}")
print(
    f"largest gap: sum code {gaps['increments']:.4f}, rank code {gaps['timestep']:.4f}"
)
assert gaps["increments"] <= sum(terms)

# %% [markdown]
# ### Exercise 2: shuffle the table
#
# Keep the labels, and permute the values that they stand for. Which of the three errors
# grow, which stay, and which stay below their bound? Predict, then run `shuffled` for
# all three.


# %%
def shuffled(found, seed=0):
    """The same network for a table whose values are permuted."""
    values = np.random.default_rng(seed).permutation(found.table.values)
    table = replace(found.table, values=values)
    return replace(found, table=table, network=compile_table(found.spec, table))


# your answer: does its error grow?
my_prediction = {"increments": None, "timestep": None, "digits": None}

# %%
check("2", my_prediction)

# %% [markdown] tags=["solution"]
# All three stay below their bounds, which hold for all values. But the bound of the
# increments is the largest gap, which may now be as large as the whole range. The other
# two bounds do not see the order.

# %% tags=["solution"]
for name, found in built.items():
    mixed = shuffled(found)
    print(
        f"{name:10s} error {float(largest_error(found)):.4f} -> "
        f"{float(largest_error(mixed)):.4f}, proven {float(proven(found)):.4f} -> "
        f"{float(proven(mixed)):.4f}"
    )
    assert largest_error(mixed) <= proven(mixed)
    if name != "increments":
        assert proven(mixed) == proven(found)
    my_prediction[name] = largest_error(mixed) > largest_error(found)
check("2", my_prediction)

# %% [markdown]
# Mind what this does *not* say. Timestep modulation removes two terms from the bound of
# *this construction*. The digits, a plain looped Transformer without any $η(t)$, do not
# have them either and pay with $q$ loops a label. So an upper bound differs, which
# separates nothing. A separation takes a **lower** bound for all weight-tied networks:
# none is known to us from the paper, this project derives one for the worst function of
# a class, with its caveats (*What no number of loops can do*, in the theory).
#
# ## What it costs
#
# Where two tokens share a cell, the network cannot tell them apart: the **collisions**.
# Within $1/M$ above a grid line, row `z` is a fraction: the **strips**. The explicit
# inequality of this project bounds the measure of both,
#
# $$
# μ = \min\left( 1, \binom{N}{2} δ^d + \frac{d N (m - 1)}{M} \right) ,
# $$
#
# (for $N = 2$ even $δ^{2d}$ instead of $δ^d$: two tokens in one cell have a label of
# their own, except in cell 0)
#
# and uses only that there each entry of the output lies between its smallest and its
# largest label, so that output and $f$ lie in one interval of length at most $D$, which
# bounds the oscillation of every entry of $f$.

# %% [markdown]
# ### Exercise 3: the bad set
#
# (a) Put token 1 in the middle of the strip above $x = 1/4$, token 2 at $0.8$. Predict
# row `z` of token 1, then its label. Whose value does it answer? (b) For $d = 1$ and
# $m = 4$ compute the exact probability that *some* two of $N$ random tokens share a
# cell, $N = 2, 3, 4$, and compare with $\binom{N}{2} δ$.

# %%
slope = built["timestep"].spec.slope  # M
in_strip = [
    [Fraction(1, 4)],
    [Fraction(8, 10)],
]  # your answer: move token 1 into the strip
my_z, my_label = None, None  # your answer
probabilities = {}  # your answer: N -> exact probability

# %%
check("3a", my_z, my_label)
check("3b", probabilities)

# %% [markdown] tags=["solution"]
# (a) `z` is one half, so $s = 4 \cdot 3 + \frac{1}{2}$, and
# $k = 2 \cdot 12.5 + 1 = 26$. That is the label of a token in cell 3 beside one in cell
# 1: above the line it belongs to token 2. So the answer has nothing to do with either
# side. But it stays in the range of the table, and that is all the proof uses.

# %% tags=["solution"]
in_strip = [[Fraction(1, 4) + Fraction(1, 2 * slope)], [Fraction(8, 10)]]
*_, last = reference_states(network, in_strip)
form, bias = label_form(built["timestep"].spec)
label = bias + sum(w * last[0][row] for row, w in form.items())
print(f"z = {last[0]['z']}, label {label}")
for place, words in (
    (Fraction(1, 5), "below"),
    (in_strip[0][0], "in"),
    (Fraction(3, 10), "above"),
):
    output = reference_output(network, [[place], in_strip[1]])[0][0]
    print(f"{words:5s} the strip: {float(output):+.4f}")
low, high = built["timestep"].table.ranges[0]
assert last[0]["z"] == Fraction(1, 2)
assert label == 26
check("3a", last[0]["z"], label)
assert low <= reference_output(network, in_strip)[0][0] <= high

# %% [markdown] tags=["solution"]
# (b) One minus the product of $(1 - j/m)$ for $j < N$. The bound sums over pairs, so it
# counts inputs with several shared pairs more than once; for $N = 2$ it is exact.

# %% tags=["solution"]
for tokens in (2, 3, 4):
    none_shared = Fraction(1)
    for j in range(tokens):
        none_shared *= 1 - Fraction(j, 4)
    probabilities[tokens] = 1 - none_shared
    bound = min(Fraction(1), comb(tokens, 2) * Fraction(1, 4))
    print(f"N = {tokens}: exactly {probabilities[tokens]}, bound {bound}")
    assert probabilities[tokens] <= bound
cells, copies = every_cell(built["timestep"].spec)  # a check by counting, N = 2
assert probabilities[2] == Fraction(int(copies[cells[:, 0] == cells[:, 1]].sum()), 4**2)
check("3b", probabilities)

# %% [markdown]
# ## Counting loops
#
# Quantising takes $m - 1$ loops and the context $N$. With $L$ the last label in use,
# the values take $L + 1$ loops for increments, $L$ for timestep and $q(L + 1) + 1$ for
# digits. A collision-free input has distinct cells, so for $N = 2$ and $d = 1$ the
# largest code is $s = m(m-1) + (m-2)$.

# %%
for grid in (4, 8, 16):
    counts = {
        name: construction_loops(grid, **SHAPE, memoriser=name, **choice)
        for name, choice in CHOICES.items()
    }
    print(
        f"m = {grid:2d}: as reported {printed_loops(grid, **SHAPE):6d}, ",
        counts,
    )

# %% [markdown]
# ### Exercise 4: a formula
#
# Derive $L$ and the number of loops as polynomials in $m$, for $N = 2$, $d = 1$:
# increments on the sum code, timestep on the rank code. Read off how many loops a grid
# twice as fine takes, in the limit, and compare with the printed count $2 + 2m^4$.


# %%
def increments_loops(m):
    """Your answer."""
    return None


def timestep_loops(m):
    """Your answer."""
    return None


# %%
check("4a", increments_loops)
check("4b", timestep_loops)


# %% [markdown] tags=["solution"]
# With $s = m^2 - 2$: rank code $L = 2s + 1 = 2m^2 - 3$, so
# $(m - 1) + 2 + L = 2m^2 + m - 2$ loops. Sum code
# $L = 2ms + 2(m-1) - (m-1) = 2m^3 - 3m - 1$, so $(m - 1) + 2 + L + 1 = 2m^3 - 2m + 1$
# loops. Twice as fine takes 4 and 8 times as many, and by the printed count 16 times.


# %% tags=["solution"]
def increments_loops(m):
    """Loops for N = 2, d = 1 on the sum code."""
    return 2 * m**3 - 2 * m + 1


def timestep_loops(m):
    """Loops for N = 2, d = 1 on the rank code."""
    return 2 * m**2 + m - 2


for m in range(2, 60):
    assert last_label(m, **SHAPE, coding="rank") == 2 * m**2 - 3
    assert increments_loops(m) == construction_loops(
        m, **SHAPE, memoriser="increments", coding="sum"
    )
    assert timestep_loops(m) == construction_loops(
        m, **SHAPE, memoriser="timestep", coding="rank"
    )
for name, count in (("increments", increments_loops), ("timestep", timestep_loops)):
    print(
        f"{name}: {count(2000) / count(1000):.3f} times the loops from m = 1000 to 2000"
    )
print(f"printed: {printed_loops(2000, **SHAPE) / printed_loops(1000, **SHAPE):.3f}")
check("4a", increments_loops)
check("4b", timestep_loops)

# %% [markdown]
# ## A certificate, and a broken weight
#
# `certify` runs a network on every cell, compares every output with the steps of the
# proof and every weight with a fresh compilation, encloses its error on the whole cube
# in an interval, and holds that against the explicit inequality.

# %%
from looprate import certify

facts = f.facts  # what certificates need to know of the target
certificate = certify(built["timestep"], target, facts)
print(fill(f"{certificate.verdict}: {certificate.reason}", 78))

# %% [markdown]
# *Vacuous*: everything is as it should be and the error is enclosed, but on 4 cells the
# *bound* is not below what a constant reaches. Lesson 3 takes this word apart. Now one
# weight:


# %%
def with_bias(found, unit, change):
    """The network with the bias of one hidden unit changed."""
    block = found.network.block
    units = tuple(
        replace(one, bias=one.bias + change) if one.name == unit else one
        for one in block.units
    )
    return replace(
        found, network=replace(found.network, block=replace(block, units=units))
    )


refused = certify(with_bias(built["timestep"], "horner", 1), target, facts)
print(fill(f"{refused.verdict}: {refused.reason}", 78))
print("enclosure of the error:", refused.error_lower)

# %% [markdown]
# ### Exercise 5: break it
#
# (a) Is there any bias of the timestep network whose change by one the certificate
# overlooks? Try all. (b) Change $η(t)$ such that *no* output on any cell changes. What
# does the certificate say, and why is that right? Hint: not every label has an input.

# %%
verdicts = {}  # your answer to (a): unit -> verdict
labels_without_input = None  # your answer to (b)

# %%
check("5", labels_without_input)

# %% tags=["solution"]
for unit in names:
    for change in (-1, 1):
        found = certify(with_bias(built["timestep"], unit, change), target, facts)
        verdicts[unit, change] = str(found.verdict)
print(f"(a) {len(verdicts)} changes, verdicts: {set(verdicts.values())}")
assert set(verdicts.values()) == {"violated"}

# %% [markdown] tags=["solution"]
# (b) No input off the strips has a label from 12 to 15. Raise the step to label 13, and
# lower the step to 14 by the same amount: of all integer labels, only 13 answers
# differently.

# %% tags=["solution"]
from looprate.proof import oracle_labels

spec = built["timestep"].spec
taken = {k for row in every_cell(spec)[0].tolist() for k in oracle_labels(row, spec)}
labels_without_input = [k for k in range(spec.last_label + 1) if k not in taken]
print("labels without an input:", labels_without_input)
check("5", labels_without_input)
eta = {row: list(schedule) for row, schedule in network.eta.items()}
to_13 = spec.values_start + 12  # the loop that adds the step to label 13
eta["y_0"][to_13] += 10**11
eta["y_0"][to_13 + 1] -= 10**11
changed = replace(network, eta={row: tuple(schedule) for row, schedule in eta.items()})
quiet = replace(built["timestep"], network=changed)
assert largest_error(quiet) == 0  # the same outputs on all cells
found = certify(quiet, target, facts)
print(fill(f"{found.verdict}: {found.reason}", 78))
assert found.verdict == "not testable"

# %% [markdown] tags=["solution"]
# Not *violated*, for every output looked at is right. Not *holds* either: what happens
# in strips, where labels are fractions, is proven for the compiler's weights and no
# others.

# %% [markdown]
# ## Exact against float
#
# Increments and digits keep their table as the bits of one integer in row `C_0`.
# Floating point holds all integers up to $2^{53}$ in float64. A network that needs
# larger ones is refused rather than run:

# %%
import torch

from looprate import constructed_transformer

for name, found in built.items():
    bits = found.network.weight_bits()
    try:
        constructed_transformer(found.network, dtype=torch.float64)
        words = "taken"
    except ValueError as error:
        words = "refused, " + str(error).split(";")[0]
    print(fill(f"{name}: largest weight {bits} bits: {words}", 78))

# %% [markdown]
# ### Exercise 6: how many bits?
#
# The increments hold one digit in base 4 for each loop up to the last increment.
# Predict the largest grid $m$ that float64 can still hold ($N = 2$, $d = 1$), from your
# formula of exercise 4. Does timestep run out of bits, too?

# %%
my_largest_grid = None  # your answer

# %%
check("6", my_largest_grid)

# %% [markdown] tags=["solution"]
# One digit for each loop before stage 3 and for each of $L$ increments:
# $(m + 1) + (2m^3 - 3m - 1) = 2m^3 - 2m$ digits of two bits. For $m = 2$ that is 24
# bits, for $m = 3$ already 96. Weights of the shifting units are as large. Timestep has
# no such row: its $η(t)$ has the bits of one value, and its other weights grow like
# labels do, by a few bits.

# %% alt="bits of the largest weight against the grid" tags=["solution"]
grids, bits = range(2, 8), {name: [] for name in CHOICES}
for name, choice in CHOICES.items():
    for m in grids:
        one = ConstructionSpec(
            **SHAPE, grid=m, memoriser=name, sharpness=2**10, **choice
        )
        bits[name].append(compile_construction(target, one).network.weight_bits())
fig, ax = plt.subplots(figsize=(5.4, 2.9), layout="constrained")
for name in CHOICES:
    style = looprate.style.MEMORISER_STYLE[name]
    ax.semilogy(grids, bits[name], color=style.colour, marker=style.marker, label=name)
    print(f"{name:10s}", bits[name])
for limit, words in ((24, "float32"), (53, "float64")):
    ax.axhline(limit, color="0.35", linestyle="dashed")
    ax.text(7, limit, words, ha="right", va="bottom", color="0.35")
ax.set(xlabel="cells $m$ for each coordinate", ylabel="bits of the largest weight")
ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()
for m, needed in zip(grids, bits["increments"], strict=True):
    assert needed >= 2 * (2 * m**3 - 2 * m)  # at least the digits themselves
my_largest_grid = max(
    m for m, b in zip(grids, bits["increments"], strict=True) if b <= 53
)
print("largest grid of the increments in float64:", my_largest_grid)
check("6", my_largest_grid)

# %% [markdown]
# ## What to remember
#
# - The proof is a network of about a dozen rows. Its loops are counted, not estimated,
#   and what its memoriser loses on every cell is an exact number.
# - The token and the contextual term belong to one memoriser. Others do without, with
#   or without $η(t)$.
# - A certificate ends in one word. *Violated*: an output is wrong. *Not testable*: the
#   weights are not those that the proof speaks of.
#
# None of this is about training. Lesson 3 puts trained and constructed networks side by
# side.
