# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Rates and verdicts
#
# A theorem has a bound, a construction a certified error, a trained network a sampled
# one, all drawn against the number of loops $r$. Which of them may be compared, and
# what follows?
#
# **What you will learn**
#
# - what the rate of Theorem 3.6 says in numbers, and from which $r$ on the bound says
#   anything;
# - how to measure a slope, and when not to believe it;
# - what *holds*, *violated*, *vacuous* and *not testable* mean, and why a trained error
#   is no evidence about any bound.
#
# There are six exercises. Lesson 2 builds the networks that are measured here.
#
# `check(...)` tells whether an answer is right, with a hint where it is not;
# `check.hint("1")` gives a hint at once, `check.solution("1")` the answer in a line.

# %%
from statistics import median
from textwrap import fill

import matplotlib.pyplot as plt
import numpy as np

import looprate
from looprate import (
    delta_of_loops,
    distinct,
    facts_of,
    first_informative_loops,
    fit_slope,
    read_rows,
    resolve_target,
    slope_finding,
    where,
)
from looprate.exercises import lesson
from looprate.proof import construction_exponent, printed_loops, theorem_exponent

check = lesson(3)
plt.rcParams.update(looprate.style.paper())
SHAPE = {"tokens": 2, "dim": 1}

# %% [markdown]
# ## What a loop buys
#
# Theorem 3.6 (Xu & Sato, arXiv 2410.01405v7; as summaries give it, in the weaker of two
# readings: in the other $(Nd)^{1/p}$ does not multiply $w$): **for every** continuous,
# permutation-equivariant $f$, **every** $1 ≤ p < ∞$ and **every** $r > N$ **there is**
# a looped Transformer of $r$ loops, of a size that depends on $d$ alone, whose $L^p$
# error is at most
#
# $$
# (Nd)^{1/p} \left[ w_{\mathrm{tok}}(δ\sqrt{d}) + w_{\mathrm{cont}}(δ\sqrt{Nd})
# + w(δ\sqrt{Nd}) \right]
# $$
#
# $$
# \qquad + O\left( N^{2/p} δ^{d/p} \right) + O\left( ((Mδ)^{-1} d N)^{1/p} \right) .
# $$
#
# Here $M$ is the slope of the quantiser, a weight that may be as large as one likes.
# Loops enter through the cell width alone,
#
# $$
# δ = \left( \frac{r - N}{2} \right)^{-1/((N+1)d+1)} .
# $$

# %% alt="cell width against loops, for several numbers of tokens and coordinates"
fig, ax = plt.subplots(figsize=(5.6, 3.0), layout="constrained")
for tokens, dim in ((1, 1), (2, 1), (3, 1), (2, 2), (8, 4)):
    loops = [tokens + 2 * 4**k for k in range(1, 11)]
    widths = [delta_of_loops(r, tokens=tokens, dim=dim) for r in loops]
    ax.loglog(loops, widths, label=f"$N = {tokens}$, $d = {dim}$")
    needed = printed_loops(4, tokens=tokens, dim=dim)
    print(f"N = {tokens}, d = {dim}: {needed:.4g} loops for a cell width of 1/4")
ax.set(xlabel="loops $r$", ylabel=r"cell width $\delta$")
ax.set_yticks(
    [0.02, 0.05, 0.1, 0.2, 0.5, 1], ["0.02", "0.05", "0.1", "0.2", "0.5", "1"]
)
ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()

# %% [markdown]
# ### Exercise 1: halve the cells
#
# By which factor does $r - N$ grow when $δ$ is halved? Predict it for $N = 3$, $d = 1$,
# and for the Sudoku of the paper, $N = 81$ tokens, with $d = 1$ to be kind. Then ask
# `delta_of_loops` for $δ$ at $r = 32$, the number of loops that the paper's Sudoku runs
# with.

# %%
factor_three_tokens = None  # your answer
factor_sudoku = None  # your answer

# %%
check("1", factor_three_tokens, factor_sudoku)

# %% [markdown] tags=["solution"]
# $r - N = 2 δ^{-((N+1)d+1)}$, so the factor is $2^{(N+1)d+1}$: $2^5$ and $2^{83}$. At
# $r = 32 ≤ 81$ there is no $δ$: the hypothesis $r > N$ fails, and the theorem says
# nothing, good or bad.

# %% tags=["solution"]
for tokens in (3, 81):
    fine, coarse = (printed_loops(m, tokens=tokens, dim=1) - tokens for m in (8, 4))
    print(f"N = {tokens}: factor {fine // coarse:.4g}")
    assert fine == 2 ** (tokens + 2) * coarse  # exact integers
check("1", 2**5, 2**83)
try:
    delta_of_loops(32, tokens=81, dim=1)
except ValueError as error:
    print(fill(str(error), 78))

# %% [markdown]
# ## From where on does it say anything?
#
# Predicting one number everywhere needs no Transformer. A bound that is not below the
# error of the **best constant** is true and without content: it is **vacuous**. One
# function, with four bounds: the theorem, and this project's explicit
# inequality (proven in `theory/bounds/explicit.py`) for each of the three constructions
# of lesson 2. The paper leaves the constants of its two $O$-terms open; the theorem is
# evaluated with those of the explicit inequality, for $M → ∞$.

# %% alt="four bounds against loops, above and below the best constant"
f = resolve_target("dial:token=0.5,context=0.5,periods=2")


def bounds_of(g):
    """Bounds as functions of r, and the error of the best constant."""
    facts = facts_of(g, **SHAPE, p=1)  # closed forms of its moduli, and more
    versions = ("theorem-3.6", "increments", "digits", "timestep")
    return {v: facts.bound(v) for v in versions}, facts.trivial


bounds, best = bounds_of(f)
first = {v: first_informative_loops(at, tokens=2).loops for v, at in bounds.items()}
print(f"best constant: {best:.4f} (sampled)")
fig, ax = plt.subplots(figsize=(6.0, 3.2), layout="constrained")
for version, at in bounds.items():
    loops = [2 + round(10 ** (k / 6)) for k in range(6, 56)]
    style = looprate.style.MEMORISER_STYLE.get(version)
    colour, words = (
        (style.colour, f"explicit, {version}") if style else ("black", "Theorem 3.6")
    )
    ax.loglog(loops, [at(r).total for r in loops], color=colour, label=words)
    print(f"{version:11s} says something from r = {first[version]:,} on")
ax.axhline(best, color=looprate.style.GREY)
ax.axhspan(best, 10, **looprate.style.SHADE, zorder=0)
ax.text(12, best, "best constant", va="top", color=looprate.style.GREY)
ax.set(xlabel="loops $r$", ylabel="bound of the $L^1$ error", ylim=(0.02, 10))
ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()

# %% [markdown]
# In the hatched region a bound promises nothing that a constant does not do as well.
# That is no argument against looped Transformers: a bound that says nothing does not
# say "cannot". What says "cannot", of the worst function of a class, is a lower bound:
# `looprate.worst_case_error_lower_bound`, orders of magnitude further down.

# %% [markdown]
# ### Exercise 2: rougher and larger
#
# (a) Replace $f$ by $10 f$. From which $r$ on does each bound say something? (b) Double
# the periods of the sine. Show that $r - N$ grows at most by the factor $2^{(N+1)d+1}$
# for the theorem. Predict, prove in two lines each, then compute.

# %%
larger = resolve_target("dial:token=0.5,context=0.5,periods=2,sequence=10")
rougher = resolve_target("dial:token=0.5,context=0.5,periods=4")
my_first_of_larger = None  # your answer, for the theorem
my_factor_of_rougher = None  # your answer, for the theorem

# %%
check("2a", my_first_of_larger)
check("2b", my_factor_of_rougher)

# %% [markdown] tags=["solution"]
# (a) Nothing changes. Every modulus, $D$ and the best constant's error are multiplied
# by 10, and with them both sides of the comparison.
#
# (b) $x ↦ 2x \bmod 1$ preserves the uniform measure, so the best constant and $D$ are
# the same. With twice the periods the closed forms have $w_2(t) = w_1(2t)$, in all
# three kinds. So the bound of the rougher function at $δ/2$ is at most that of $f$ at
# $δ$: the moduli are equal there, and the collisions are fewer. Half of $δ$ takes
# $2^{(N+1)d+1} = 16$ times $r - N$.

# %% tags=["solution"]
for name, g in (("10 f", larger), ("twice the periods", rougher)):
    found, constant = bounds_of(g)
    starts = {v: first_informative_loops(at, tokens=2).loops for v, at in found.items()}
    print(f"{name}: best constant {constant:.4f}")
    for version, r in starts.items():
        ratio = (r - 2) / (first[version] - 2)
        print(
            f"    {version:11s} from r = {r:13,}, r - N is {ratio:5.2f} times that of f"
        )
    if g is larger:
        assert starts == first
    else:
        assert starts["theorem-3.6"] - 2 <= 16 * (first["theorem-3.6"] - 2)
        check("2b", (starts["theorem-3.6"] - 2) / (first["theorem-3.6"] - 2))
check("2a", first["theorem-3.6"])

# %% [markdown]
# ## A rate is a slope
#
# $r^{-β}$ is a line of slope $-β$ on two logarithmic axes. For a Lipschitz $f$, $p = 1$
# and large $M$ the bound of the theorem has the exponent $-1/((N+1)d+1)$. That is the
# exponent of an *upper* bound: errors may fall faster. Measured here is the
# construction with timestep modulation, for which the paper has no rate theorem. Its
# explicit inequality falls like $δ$, and on the rank code it needs about $2 δ^{-Nd}$
# loops for $N = 2$, $d = 1$: the exponent is $-1/(Nd)$. The error is not estimated but
# *enclosed*, for five functions and four grids:

# %%
from looprate import ConstructionSpec, certify, compile_construction

GRIDS = (8, 16, 32, 64)
specs = [
    ConstructionSpec(**SHAPE, grid=m, memoriser="timestep", coding="rank")
    for m in GRIDS
]
loops = [spec.loops for spec in specs]
errors = []  # functions x grids: upper ends of the enclosures
for share in (0.2, 0.4, 0.6, 0.8, 1.0):
    g = resolve_target(f"dial:token={share:g},context={1 - share:g},periods=1")
    facts = facts_of(g, **SHAPE, p=1)
    found = [
        certify(compile_construction(g, spec), g, facts, tolerance=0.05)
        for spec in specs
    ]
    errors.append([one.error_upper for one in found])
    ends = ", ".join(f"[{one.error_lower:.4f}, {one.error_upper:.4f}]" for one in found)
    print(f"share {share:.1f}: {ends}")

# %%
theorem = -theorem_exponent(**SHAPE)
construction = -construction_exponent(**SHAPE, coding="rank")
fit = fit_slope(loops, errors, tokens=2, rng=np.random.default_rng(0))
print(f"theorem {theorem:.3f}, construction {construction:.3f}")
print(f"measured {fit.slope:.4f}, interval {np.round(fit.interval, 4)}: {fit.status}")
print("between neighbours:", np.round(fit.local_slopes, 4))

# %% [markdown]
# The interval comes from resampling the five functions. It says how much the slope
# differs *between functions* on these four grids. *Asymptotic* means that no drift of
# the slope by more than a fifth is seen along these points; it is no statement about
# the limit. A predicted slope is judged in one of two relations: `at_least`, for the
# exponent of an upper bound, and `equal`.

# %%
cases = {
    "falls at least like its explicit inequality": (construction, "at_least"),
    "falls exactly like the theorem": (theorem, "equal"),
    "negative control: at least like 1/r": (-1.0, "at_least"),
}
for claim, (slope, relation) in cases.items():
    finding = slope_finding(fit, slope, claim=claim, relation=relation)
    print(f"{finding.verdict:9s} {claim}\n          {finding.reason}")

# %% [markdown]
# The second line is no contradiction of the theorem: it speaks of plain looped
# Transformers, and it does not say that errors fall *exactly* like its bound. The third
# is a **negative control**, a claim known to be too strong. A check that let it pass
# would be worthless.

# %% [markdown]
# ### Exercise 3: a verdict that is right and misleading
#
# Judge "the slope is equal to $-1/2$" with this fit. What comes out, and is the
# construction's rate refuted? Look at the local slopes. Then think of the errors as a
# function of $m$ instead of $r - N$: which slope do you expect, and what does
# $r = 2m^2 + m - 2$ make of it on this range?

# %%
my_verdict = None  # your answer

# %%
check("3", my_verdict)

# %% tags=["solution"]
finding = slope_finding(fit, construction, claim="slope -1/2", relation="equal")
print(f"{finding.verdict}: {finding.reason}")
check("3", finding.verdict)
finer = fit_slope(
    loops, errors, tokens=2, tail_from=loops[1], rng=np.random.default_rng(0)
)
print(f"without the coarsest grid: {finer.slope:.4f}, {np.round(finer.interval, 4)}")
each = [np.polyfit(np.log(np.array(loops) - 2), np.log(e), 1)[0] for e in errors]
print("each function:", np.round(each, 4))
against_m = np.polyfit(np.log(GRIDS), np.log(errors).mean(0), 1)[0]
pure = [1 / m for m in GRIDS]  # an error of exactly 1/m
rule = fit_slope(loops, pure, tokens=2, rng=np.random.default_rng(0))
print(f"slope against m: {against_m:.4f}; an error of exactly 1/m: {rule.slope:.4f}")
assert max(each) < construction
gaps = np.abs(np.array(fit.local_slopes) - construction)
assert (np.diff(gaps) < 0).all()  # each local slope is nearer to -1/2 than the last

# %% [markdown] tags=["solution"]
# *Violated*, and rightly so: on these grids the fitted slope is not $-1/2$ for any of
# these functions. But the claim was not about these grids. The local slopes move
# towards $-1/2$, and the interval knows nothing of that: it holds the scatter between
# functions, not the bias of a finite range. A little of the bias is that $r$ is not
# exactly $2m^2$, the rest is that these errors fall slightly faster than $1/m$. So a
# claim about a rate needs a tolerance (`slope_finding(..., tolerance=0.05)`), and a
# measured slope is evidence and no proof.

# %% [markdown]
# ### Exercise 4: an error that stops falling
#
# Add 0.05 to every error, as if something else were left over: arithmetic, say. Predict
# the slope, the status, and the verdict on the claim that the error falls at least like
# $r^{-1/4}$, the exponent of the theorem. Which number of the fit finds the 0.05?

# %%
floored = np.array(errors) + 0.05
my_status = None  # your answer

# %%
check("4", my_status)

# %% tags=["solution"]
flat = fit_slope(loops, floored, tokens=2, rng=np.random.default_rng(0))
finding = slope_finding(
    flat, theorem, claim="at least like r^(-1/4)", relation="at_least"
)
print(f"slope {flat.slope:.4f}: {flat.status}; local {np.round(flat.local_slopes, 3)}")
print(f"{finding.verdict}: {finding.reason}")
print(f"E + A (r - N)^b: E = {flat.offset_floor:.4f}, b = {flat.offset_slope:.4f}")
check("4", flat.status)
assert finding.verdict == "not testable"

# %% [markdown] tags=["solution"]
# The line through all points is steeper than $-1/4$, and would have passed. The drift
# gives it away: a pure power has no bend. The offset $E$ finds the floor, nearly. Where
# a fit drifts no exponent is read off it, whomever it would please.

# %% [markdown]
# ## Four words
#
# | word | meaning |
# |---|---|
# | **holds** | no hypothesis was found to fail, and the numbers satisfy the claim |
# | **violated** | no hypothesis was found to fail, and the numbers contradict it |
# | **vacuous** | the bound is not below the best constant's error: it says nothing |
# | **not testable** | a hypothesis fails, or the evidence cannot decide |
#
# Each of them once, from the code that the command line uses:

# %%
from dataclasses import replace

from looprate import theorem_3_6_bound

spec = specs[1]
built = compile_construction(g, spec)
units = built.network.block.units
units = (replace(units[0], bias=units[0].bias + 1), *units[1:])
block = replace(built.network.block, units=units)
broken = replace(built, network=replace(built.network, block=block))
outcomes = {
    "the certificate of a compiled network": certify(built, g, facts, tolerance=0.05),
    "the same, one bias off by one": certify(broken, g, facts, tolerance=0.05),
    "the theorem at r = 1,000": bounds["theorem-3.6"](1000),
    "the theorem at r = 2 = N": theorem_3_6_bound(
        facts_of(f, **SHAPE, p=1).moduli, 2, **SHAPE, p=1, oscillation=2.0, trivial=best
    ),
}
for what, outcome in outcomes.items():
    print(fill(f"{what}: {outcome.verdict.upper()}. {outcome.reason}", 78))

# %% [markdown]
# Read *holds* with care. It means that no case looked at contradicts the claim, and for
# a bound that it says something here. It is never "proven for all".

# %% [markdown]
# ### Exercise 5: which word?
#
# Predict the verdicts, then run: (a) the theorem at $r = 10^9$; (b) the same, with
# moduli that a search found instead of closed forms; (c) the certificate of a network
# for the jump $\mathrm{sign}(x - 1/2)$; (d) a slope of one single function.

# %%
my_words = {"a": None, "b": None, "c": None, "d": None}

# %%
check("5", my_words)

# %% tags=["solution"]

a = bounds["theorem-3.6"](10**9)

own = resolve_target("formula: sin(4*pi*x)/2 + (sum(sin(4*pi*x)) - sin(4*pi*x))/2")
points = np.random.default_rng(0).random((9, 2, 1))
assert np.allclose(own(points), f(points))  # the same, but nothing is known of it


def from_pairs(kind, delta):
    """A modulus as far as pairs are found."""
    found = looprate.modulus_lower_bound(own, delta, kind=kind, **SHAPE, p=1)
    return found.value, "lower"


b = theorem_3_6_bound(from_pairs, 10**9, **SHAPE, p=1, oscillation=2.0, trivial=best)

jump = resolve_target("formula: sign(x - 0.5)")
height = facts_of(jump, **SHAPE, p=1)
c = certify(compile_construction(jump, spec), jump, height, tolerance=0.05)

one = fit_slope(loops, errors[0], tokens=2, rng=np.random.default_rng(0))
d = slope_finding(one, theorem, claim="one function", relation="at_least")
for letter, outcome in {"a": a, "b": b, "c": c, "d": d}.items():
    print(fill(f"({letter}) {outcome.verdict}: {outcome.reason}", 78))
print(f"totals of (a) and (b): {a.total:.4f} and {b.total:.4f}")
assert [o.verdict for o in (a, b, c, d)] == ["holds"] + 3 * ["not testable"]
assert b.total <= a.total + 1e-9
check("5", {"a": a.verdict, "b": b.verdict, "c": c.verdict, "d": d.verdict})

# %% [markdown] tags=["solution"]
# (b) is the subtle one. It is the same function, and its total is not larger: lower
# bounds of moduli give a lower bound *of the bound*. A small number on the wrong side
# proves nothing. Certified moduli do: `facts_of(own, ...).moduli` holds upper bounds.

# %% [markdown]
# ## Approximation and optimisation
#
# $$
# \text{trained error} = \text{approximation (of the best weights)}
# + \text{optimisation (left over by training)} .
# $$
#
# Only the sum is ever measured. A constructed network has no optimisation part: its
# weights come from the proof, and its certified error bounds the first summand *for
# networks of its own size*. Stored rows of `looprate verify`, 5 seeds a point:

# %% alt="trained errors at few loops beside certified errors of constructed networks"
rows = read_rows("../figures/error-against-loops__dial.csv")
fig, ax = plt.subplots(figsize=(6.2, 3.3), layout="constrained")
for family in ("lt", "tmlt"):
    own_rows = where(rows, curve="trained", family=family)
    style, counts = (
        looprate.style.FAMILY_STYLE[family],
        sorted(distinct(own_rows, "loops")),
    )
    middle = [median(r["value"] for r in where(own_rows, loops=r)) for r in counts]
    ax.loglog(
        counts, middle, color=style.colour, label=f"{style.name}, trained (median)"
    )
    ax.plot(
        [r["loops"] for r in own_rows],
        [r["value"] for r in own_rows],
        style.marker,
        color=style.colour,
        mfc="none",
        ms=3,
    )
    print(
        f"{style.name:4s} trained: {middle[0]:.4f} at r = 1, {middle[-1]:.4f} "
        f"at r = {counts[-1]:g}"
    )
for name in ("increments", "timestep", "digits"):  # of one level
    style = looprate.style.MEMORISER_STYLE[name]
    made = [
        r for r in where(rows, curve="constructed") if str(r["label"]).startswith(name)
    ]
    made = sorted(made, key=lambda r: r["loops"])
    xs, ys = [r["loops"] for r in made], [r["value"] for r in made]
    ax.loglog(
        xs,
        ys,
        style.marker,
        ls="solid",
        color=style.colour,
        label=f"constructed, {name}",
    )
    print(f"constructed, {name}: certified {ys[-1]:.4f} at r = {xs[-1]:,.0f}")
ax.axhline(best, color=looprate.style.GREY, label="best constant")
looprate.style.plain_log_ticks(ax)
ax.set(xlabel="loops $r$", ylabel="$L^1$ error")
ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()

# %% [markdown]
# ### Exercise 6: three friends
#
# (a) "Trained at $r = 8$, the error is far below the theorem's bound: the theorem is
# confirmed." (b) "From $r = 8$ to $16$ the trained LT got no better, so the rate of
# the theorem is refuted." (c) "I fitted the slope of the trained errors: they follow
# a power law in $r$." Which of these answers whom, and which number shows it?
#
# 1. The local slopes drift.
# 2. The bound is vacuous there.
# 3. A trained error is an estimate from above of what good weights reach.
# 4. A lower bound for the worst function of a class says nothing about this one.

# %%
my_replies = {"a": None, "b": None, "c": None}  # 1, 2, 3 or 4 for each

# %%
check("6", my_replies)

# %% [markdown] tags=["solution"]
# (a) 2. At $r = 8$ the bound is above the best constant. A constant network is below
# it, too: nothing that needs a Transformer was tested. And the theorem says "for
# every $f$"; this is one.
#
# (b) 3. The theorem says that good weights *exist*. A trained error is approximation
# plus optimisation error: an estimate from above of what the best weights of this
# size reach. That it is large says nothing about them. Sizes differ, too.
#
# (c) 1. Ask the fit: the local slopes drift from $-2$ to between $-0.3$ and $0.1$. No
# exponent is read off it. And if they did lie on a line, it would be a fact about
# this training.

# %% tags=["solution"]
check("6", {"a": 2, "b": 3, "c": 1})
print(f"bound at r = 8: {bounds['theorem-3.6'](8).total:.3f}, best constant {best:.3f}")
assert bounds["theorem-3.6"](8).verdict == "vacuous"
own_rows = where(rows, curve="trained", family="lt")
counts = sorted(distinct(own_rows, "loops"))
table = np.array(
    [[where(own_rows, loops=r, seed=s)[0]["value"] for r in counts] for s in range(5)]
)
for r in (8, 16):
    print(f"trained LT at r = {r}: median {median(table[:, counts.index(r)]):.4f}")
trained = fit_slope(
    np.array(counts, dtype=int),
    table,
    tokens=2,
    variable="loops",
    rng=np.random.default_rng(0),
)
print(f"slope {trained.slope:.3f}: {trained.status}; ", end="")
print("local", np.round(trained.local_slopes, 2))
finding = slope_finding(trained, theorem, claim="trained", relation="at_least")
print(f"{finding.verdict}: {finding.reason}")

# %% [markdown]
# ## The paper's experiments
#
# What would the theorem say of them? First of all, does $r > N$ hold? And how many
# digits has the number of loops for cells of width 1/2, with $d = 1$ to be kind?

# %%
for preset in looprate.PAPER.values():
    tokens, longest = preset.task.length, max(preset.loops)
    digits = len(str(printed_loops(2, tokens=tokens, dim=1)))
    print(
        f"{preset.task.key:14s} N = {tokens:4d}, r <= {longest:3d}: "
        f"{'r > N ' if longest > tokens else 'r <= N'}; width 1/2: {digits} digits"
    )

# %% [markdown]
# All but one have fewer loops than tokens: *not testable*. The exception, Countdown,
# has the 20 tokens of this project's rows (the paper's number is not reported); there
# other hypotheses fail, and the loops are far from enough for cells of width 1/2. These
# experiments neither support nor contradict the theorem.
#
# ## What to remember
#
# - Ask of a bound where it is below the best constant, before you ask how fast it
#   falls.
# - An interval holds the scatter that was resampled, and nothing else. Look for drift
#   before you read a slope.
# - Draw the constructed network beside the trained one, with the certified and the
#   sampled number told apart, and let neither stand as evidence for the other.
