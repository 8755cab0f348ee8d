"""What no network of a size can do: degrees, counts, bumps and the bound, each with a control."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest

from looprate.theory.bounds.bumps import Bumps, box_count
from looprate.theory.bounds.explicit import explicit_bound
from looprate.theory.bounds.lower import (
    _at_grid,
    _entropy,
    _share,
    bump_norm,
    worst_case_error_lower_bound,
)
from looprate.theory.bounds.pattern_count import (
    EtaNetwork,
    NetworkSize,
    interval_context,
    log2_patterns,
    parameter_count,
    stream_growth,
)
from looprate.theory.bounds.rates import zhang_lu_zhao_rate
from looprate.theory.bounds.symbolic import SYMBOLS, worst_case_exponents

LT = NetworkSize(rows=15, width=20, heads=2)
TMLT = NetworkSize(rows=15, width=20, heads=2, family="tmlt")
UNTIED = NetworkSize(rows=15, width=20, heads=2, family="untied")
SIZES = {"lt": LT, "tmlt": TMLT, "untied": UNTIED}


def bound(loops, size=LT, tokens=2, dim=1, **how):
    return worst_case_error_lower_bound(loops, tokens=tokens, dim=dim, size=size, **how)


# ---- a network of few rows, in whole numbers, its branch fixed on demand ----
class Tiny:
    """L2 ∘ TF^r ∘ L1 with one head, as lists of whole numbers; parameters on a line θ0 + τ θ1.

    With ``least=1`` no leading coefficient cancels.
    """

    def __init__(self, rng, *, rows, width, tokens, loops, eta, least=-3):
        self.rows, self.width, self.tokens, self.loops, self.eta = rows, width, tokens, loops, eta
        shapes = {
            "l1": (rows, 2), "query": (rows + 1,), "key": (rows + 1,), "value": (rows + 1,),
            "out": (rows,), "w1": (width, rows + 1), "w2": (rows, width + 1), "l2": (rows + 1,),
        }  # fmt: skip
        if eta:
            shapes["eta"] = (loops, rows)
        draw = lambda shape: rng.integers(least, 4, shape).astype(object)  # noqa: E731
        self.line = {name: (draw(shape), draw(shape)) for name, shape in shapes.items()}

    def run(self, x, tau, branch=None):
        """Return scores, pre-activations, output, and the branch; a given branch is followed."""
        p = {name: a + tau * b for name, (a, b) in self.line.items()}
        stream = np.array([p["l1"] @ np.array([v, 1], dtype=object) for v in x])
        taken, scores, active = [], [], []
        for t in range(self.loops):
            one = np.ones((self.tokens, 1), dtype=object)
            full = np.concatenate([stream, one], axis=1)
            scores = np.outer(full @ p["query"], full @ p["key"])
            best = branch[t][0] if branch else scores == scores.max(axis=1, keepdims=True)
            values = full @ p["value"]
            mean = [sum(values[best[n]], Fraction(0)) / int(best[n].sum()) for n in range(len(x))]
            stream = stream + np.array(mean, dtype=object)[:, None] * p["out"]
            active = np.concatenate([stream, one], axis=1) @ p["w1"].T
            on = branch[t][1] if branch else active > 0
            hidden = np.concatenate([np.where(on, active, 0), one], axis=1)
            update = hidden @ p["w2"].T
            stream = stream + (update * p["eta"][t] if self.eta else update)
            taken.append((best, on))
        output = np.concatenate([stream, one], axis=1) @ p["l2"]
        return {"score": scores[0, 0], "active": active[0, 0], "output": output[0]}, taken


def degree_of(values):
    """Degree of the polynomial through values at 0, 1, 2, ...; exact."""
    degree = -1
    for k in range(len(values)):
        if any(values):
            degree = k
        values = [b - a for a, b in itertools.pairwise(values)]
    return degree


@pytest.mark.parametrize("eta", [False, True], ids=["lt", "tmlt"])
@pytest.mark.parametrize("loops", [1, 2, 3, 4])
def test_degrees_are_those_of_the_lemma_and_are_attained(loops, eta):
    growth = stream_growth(TMLT if eta else LT)
    expected = {
        "score": 2 * (1 + growth * (loops - 1)) + 2,
        "active": 1 + growth * (loops - 1) + 3,
        "output": 1 + growth * loops + 1,
    }
    rng = np.random.default_rng(loops)
    net = Tiny(rng, rows=2, width=2, tokens=2, loops=loops, eta=eta, least=1)
    x = [Fraction(1), Fraction(3)]
    best = [[True, False], [False, True]]
    branch = [(np.array(best), np.ones((2, 2), dtype=bool))] * loops
    points = [net.run(x, tau, branch)[0] for tau in range(max(expected.values()) + 3)]
    found = {name: degree_of([point[name] for point in points]) for name in expected}
    assert found == expected
    assert max(expected.values()) <= 2 * growth * loops  # what the count uses
    assert found["output"] != 4 * loops + 1  # the control: one degree less is refuted


def patterns_seen(size, loops, inputs, draws, rng):
    """Number of different sign vectors that random tiny networks show."""
    seen = set()
    for _ in range(draws):
        eta = size.family == "tmlt"
        net = Tiny(rng, rows=size.rows, width=size.width, tokens=2, loops=loops, eta=eta)
        outputs = [net.run([Fraction(v) for v in x], 0)[0]["output"] > 0 for x in inputs]
        seen.add(tuple(outputs))
    return len(seen)


@pytest.mark.parametrize("family", ["lt", "tmlt"])
def test_sign_counts_of_tiny_networks_never_exceed_the_count(family):
    rng = np.random.default_rng(0)
    size = NetworkSize(rows=1, width=1, heads=1, family=family)
    inputs = [(k, 7 - 2 * k) for k in range(6)]
    found = patterns_seen(size, 2, inputs, 600, rng)
    counted = log2_patterns(size, 2, len(inputs), tokens=2, dim=1)
    assert found > 8  # they do show many
    assert math.log2(found) <= float(counted.b)
    bits = NetworkSize(rows=1, width=1, heads=1, family=family, weight_bits=1)
    assert float(log2_patterns(bits, 2, 10**9, tokens=2, dim=1).b) == parameter_count(
        bits, 2, dim=1
    )


def test_parameters_are_counted_one_by_one():
    rows, width, heads, head, dim, loops = 5, 7, 3, 2, 4, 11
    lift, read = rows * dim + rows, dim * rows + dim
    head_of = 3 * (head * rows + head) + rows * head  # query, key, value with biases; output
    block = heads * head_of + rows + (width * rows + width) + (rows * width + rows)
    size = {"rows": rows, "width": width, "heads": heads, "head_size": head}
    count = lambda **more: parameter_count(NetworkSize(**size, **more), loops, dim=dim)  # noqa: E731
    assert count() == lift + read + block
    assert count(family="untied") == lift + read + loops * block
    assert count(family="tmlt") == lift + read + block + loops * rows
    network = EtaNetwork(parameters=9, units=4, depth=1)
    assert count(family="tmlt", eta_network=network) == lift + read + block + 9


@pytest.mark.parametrize("tokens", [1, 2, 3, 5])
@pytest.mark.parametrize("width", [1, 2, 6])
@pytest.mark.parametrize("heads", [1, 2])
def test_tests_of_all_paths_number_less_than_the_paths(tokens, width, heads):
    """The telescoping sum of the count of paths, node by node."""
    outcomes = (2**tokens - 1) ** (heads * tokens), 2 ** (width * tokens)
    tests = heads * tokens * tokens * (tokens - 1), width * tokens
    paths, total = 1, 0
    for _ in range(3):
        for outcome, test in zip(outcomes, tests, strict=True):
            total += paths * test
            paths *= outcome
    assert total <= paths - 1


SHAPES = [(2, 1, 4), (2, 2, 2), (3, 1, 4), (1, 1, 3), (1, 2, 2)]


@pytest.mark.parametrize(("tokens", "dim", "grid"), SHAPES)
@pytest.mark.parametrize("holder", [1.0, 0.5])
@pytest.mark.parametrize("p", [1.0, 2.0, math.inf])
def test_bumps_are_in_the_class_and_come_close_to_its_edge(tokens, dim, grid, holder, p):
    rng = np.random.default_rng(7)
    signs = Bumps.random(grid, tokens=tokens, dim=dim, rng=rng).signs
    x = rng.random((20_000, tokens, dim))
    step = rng.normal(size=x.shape)
    length = 10.0 ** rng.uniform(-3, -0.3, (len(x), 1, 1))
    y = np.clip(x + length * step / np.linalg.norm(step, axis=(1, 2), keepdims=True), 0, 1)
    peak = (rng.integers(0, grid, x.shape) + 0.5) / grid
    moved = rng.integers(0, tokens * dim, len(x)), rng.choice([-0.5, 0.5, -1.0, 1.0], len(x))
    beside = peak.reshape(len(x), -1).copy()
    beside[np.arange(len(x)), moved[0]] += moved[1] / grid  # to a face, or to the next peak
    beside = np.clip(beside, 0, 1).reshape(x.shape)
    how = {"p": p, "lipschitz": 1.7, "holder": holder}
    for sigma in (signs, alternating(signs, grid)):
        f = Bumps(sigma, grid, **how)
        ratio = max(largest_ratio(f, *pair, p, holder) for pair in ((x, y), (peak, beside)))
        assert 0 < ratio <= 1.7 * (1 + 1e-9)
    assert ratio >= 0.95 * 1.7  # neighbours of opposite signs


def alternating(signs, grid):
    """Signs of one box all equal, those of boxes that share a face opposite."""
    _, tokens, dim = signs.shape
    codes = np.array(sorted(c[::-1] for c in itertools.combinations(range(grid**dim), tokens)))
    parity = sum(codes // grid**i % grid for i in range(dim)).sum(axis=1) % 2
    return np.broadcast_to((1 - 2 * parity)[:, None, None], signs.shape).astype(np.int8)


def largest_ratio(f, x, y, p, holder):
    """Largest ‖f(x) - f(y)‖_p / ‖x - y‖_2^s."""
    gap = np.linalg.norm((f(x) - f(y)).reshape(len(x), -1), ord=p, axis=1)
    far = np.linalg.norm((x - y).reshape(len(x), -1), axis=1)
    moved = far > 1e-9
    return float((gap[moved] / far[moved] ** holder).max())


def test_bumps_are_equivariant_and_use_every_sign():
    rng = np.random.default_rng(3)
    f = Bumps.random(4, tokens=3, dim=1, rng=rng)
    x = rng.random((500, 3, 1))
    order = rng.permutation(3)
    np.testing.assert_array_equal(f(x)[:, order], f(x[:, order]))
    cells = np.array([c[::-1] for c in itertools.combinations(range(4), 3)])
    centres = (cells[..., None] + 0.5) / 4
    flipped = f(centres) * 0
    for k in range(box_count(4, tokens=3, dim=1)):
        signs = f.signs.copy()
        signs[k] *= -1
        flipped += (Bumps(signs, 4)(centres) != f(centres)).astype(float)
    np.testing.assert_array_equal(flipped, np.ones_like(flipped))  # each sign rules one entry


@pytest.mark.parametrize(("p", "holder"), [(1.0, 1.0), (2.0, 1.0), (1.0, 0.5), (3.0, 0.7)])
def test_norm_of_bumps_is_that_of_quadrature(p, holder):
    rng = np.random.default_rng(0)
    f = Bumps.random(4, tokens=2, dim=1, rng=rng, p=p, lipschitz=1.7, holder=holder)

    offset = (np.arange(500) + 0.5) / 500
    u, v = (part.ravel() for part in np.meshgrid((2 + offset) / 4, (1 + offset) / 4))
    box = (np.abs(f(np.stack([u, v], axis=1)[..., None])) ** p).sum(axis=(1, 2)).mean() / 16
    total = 12 * box  # 6 sets of cells in 2 orders hold the same, whatever the signs
    norm = bump_norm(4, tokens=2, dim=1, p=p, lipschitz=1.7, holder=holder)
    assert norm == pytest.approx(total ** (1 / p), rel=1e-3)


def test_norm_of_bumps_has_the_values_by_hand():
    """L/2 · m^-1 · ρ · I, with ρ = 3/4 and I = 2!/(2·3) = 1/3."""
    norm = bump_norm(4, tokens=2, dim=1, p=1, lipschitz=1.7)
    exact = Fraction(17, 10) / 2 / 4 * Fraction(3, 4) / 3
    assert norm < exact <= Fraction(norm) * (1 + Fraction(1, 10**15))
    assert bump_norm(1, tokens=2, dim=1, p=1) <= 0.0  # no two distinct cells
    assert bump_norm(4, tokens=2, dim=1, p=math.inf) == pytest.approx(0.5 / 4)


def test_wrong_signs_cost_what_the_theorem_says():
    """|y - σB| >= ∫_{-B}^{B} 1[sgn(y - τ) ≠ σ] dτ for every y; equality within [-B, B]."""
    rng = np.random.default_rng(0)
    for y, b in zip(rng.normal(size=300) * 2, rng.random(300), strict=True):
        tau = np.linspace(-b, b, 4001)
        for sign in (1, -1):
            wrong = (np.where(y > tau, 1, -1) != sign).mean() * 2 * b
            assert wrong <= abs(y - sign * b) + 2e-3 * b
            if abs(y) < b:
                assert wrong == pytest.approx(abs(y - sign * b), abs=2e-3 * b)


@pytest.mark.parametrize("room", [1e-9, 0.1, 0.199, 0.5, 0.9, 0.999999, 1.0, 3.0])
def test_share_never_exceeds_the_room_and_comes_close(room):
    ctx = interval_context()
    share = _share(ctx, ctx.mpf(room))
    assert _entropy(ctx, share).b <= room
    beyond = min(0.5, share * (1 + 1e-6) + 1e-300)
    assert share == 0.5 or beyond == 0.5 or _entropy(ctx, beyond).b > room
    assert _share(ctx, ctx.mpf(0)) == 0.0
    assert _share(ctx, ctx.mpf(-1)) == 0.0


# N = 2, d = 1, p = s = L = 1, at r = 1e2, 1e3, 1e4, 1e6, 1e8, 1e10, 1e12
TABLE = [
    ((12, 18, 1, "lt"), "2.4e-05 7.7e-06 2.4e-06 2.4e-07 2.4e-08 2.4e-09 2.4e-10"),
    ((15, 20, 2, "lt"), "1.8e-05 5.9e-06 1.9e-06 1.9e-07 1.9e-08 1.9e-09 1.9e-10"),
    ((26, 74, 2, "lt"), "7.1e-06 2.0e-06 5.9e-07 5.2e-08 4.6e-09 4.5e-10 4.5e-11"),
    ((15, 20, 2, "tmlt"), "1.1e-05 1.3e-06 1.4e-07 1.4e-09 1.4e-11 1.4e-13 1.4e-15"),
]


@pytest.mark.parametrize(("size", "expected"), TABLE, ids=str)
def test_table_of_the_derivation(size, expected):
    """Computed independently in floating point when the theorem was derived; two digits."""
    *numbers, family = size
    sized = NetworkSize(*numbers, family=family)
    for power, text in zip((2, 3, 4, 6, 8, 10, 12), expected.split(), strict=True):
        assert bound(10**power, sized).value == pytest.approx(float(text), rel=0.03)


@pytest.mark.parametrize(("family", "factor"), [("lt", 1), ("tmlt", 2), ("untied", 2)])
@pytest.mark.parametrize(("tokens", "dim", "holder"), [(2, 1, 1.0), (2, 1, 0.5), (3, 1, 1.0)])
def test_slope_is_the_exponent(family, factor, tokens, dim, holder):
    how = {"tokens": tokens, "dim": dim, "holder": holder}
    low, high = (bound(10**k, SIZES[family], **how).value for k in (6, 9))
    slope = (math.log10(high) - math.log10(low)) / 3
    assert slope == pytest.approx(-factor * holder / (tokens * dim), abs=1e-3)
    if family != "untied":
        values = {
            SYMBOLS[name]: value for name, value in zip("Nds", (tokens, dim, holder), strict=True)
        }
        assert slope == pytest.approx(float(worst_case_exponents()[family].subs(values)), abs=1e-3)


def test_an_eta_network_of_fixed_size_has_the_exponent_of_tied_loops():
    network = EtaNetwork(parameters=200, units=20, depth=2)
    size = NetworkSize(rows=15, width=20, heads=2, family="tmlt", eta_network=network)
    low, high = (bound(10**k, size).value for k in (9, 15))
    assert (math.log10(high) - math.log10(low)) / 6 == pytest.approx(-0.5, abs=1e-3)
    assert bound(10**9, TMLT).value < low < bound(10**9, LT).value


def test_weights_of_few_bits_leave_an_error_floor():
    size = NetworkSize(rows=15, width=20, heads=2, weight_bits=32)
    floor = bound(10**40, size).value
    assert floor == pytest.approx(2.2e-4, rel=0.02)
    assert bound(10**30, size).value == floor
    assert floor > bound(10**6, LT).value
    halves = NetworkSize(rows=15, width=20, heads=2, weight_bits=16)
    assert bound(10**40, halves).value > floor


def test_the_bound_falls_with_every_resource_and_scales_with_the_class():
    base = bound(1000).value
    bigger = [{"rows": 16}, {"width": 21}, {"heads": 3}, {"head_size": 2}]
    for change in bigger:
        size = NetworkSize(**({"rows": 15, "width": 20, "heads": 2} | change))
        assert bound(1000, size).value <= base
    values = [bound(r).value for r in (1, 2, 5, 10, 100, 1000)]
    assert values == sorted(values, reverse=True)
    assert values[-1] > 0
    assert bound(1000, lipschitz=4.0).value == pytest.approx(4 * base, rel=1e-12)


@pytest.mark.parametrize("p", [1.0, 2.0, 7.5, 400.0, math.inf])
@pytest.mark.parametrize("family", ["lt", "tmlt"])
def test_the_lower_bound_is_below_every_upper_bound(family, p):
    """The explicit inequality on the class: w = w_tok = w_cont = L t^s, D = L √(Nd)^s."""
    memoriser, coding = ("timestep", "rank") if family == "tmlt" else ("digits", "rank")
    for loops in (10**3, 10**6, 10**9):
        upper = explicit_bound(
            lambda kind, delta: (delta, "upper"), loops, tokens=2, dim=1, p=p,
            oscillation=math.sqrt(2), memoriser=memoriser, coding=coding,
        )  # fmt: skip
        size = NetworkSize(rows=14, width=19, heads=1, family=family)
        assert 0 < bound(loops, size, p=p).value < upper.total


def test_control_the_tmlt_exponent_claimed_for_tied_loops_is_refuted():
    """C r^{-2s/(Nd)} falls below the lower bound of LT, whatever the constant; r^{-s/(Nd)} not."""
    lower = {k: bound(10**k).value for k in (3, 9, 20)}
    rate = lambda k, power: zhang_lu_zhao_rate(10**k, tokens=power, dim=1, modulus=float)  # noqa: E731
    assert 10 * rate(20, 1) < lower[20]
    assert all(10 * rate(k, 2) > lower[k] for k in lower)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"loops": 0}, "loops"),
        ({"tokens": 0}, "tokens"),
        ({"p": 0.5}, "`p`"),
        ({"holder": 1.5}, "holder"),
        ({"lipschitz": 0.0}, "lipschitz"),
        ({"lipschitz": math.inf}, "lipschitz"),
    ],
)
def test_arguments_out_of_range_are_named(how, message):
    with pytest.raises(ValueError, match=message):
        worst_case_error_lower_bound(**({"loops": 10, "tokens": 2, "dim": 1, "size": LT} | how))
    with pytest.raises(ValueError, match="family"):
        NetworkSize(rows=1, width=1, heads=1, family="lt", eta_network=EtaNetwork(1, 1, 1))


def test_both_counts_by_hand():
    """N = d = D = q = h = 1 and r = 1: W = 16; 5 inputs have 5·2·2 = 20 polynomials of degree 8."""
    tiny = NetworkSize(rows=1, width=1, heads=1)
    assert parameter_count(tiny, 1, dim=1) == 16
    found = log2_patterns(tiny, 1, 5, tokens=1, dim=1)
    assert float(found.b) == pytest.approx(1 + 16 * math.log2(2 * math.e * 8 * 20 / 16), rel=1e-12)
    few = log2_patterns(tiny, 1, 1, tokens=1, dim=1)  # 4 polynomials only: W instead
    assert float(few.b) == pytest.approx(1 + 16 * math.log2(2 * math.e * 8), rel=1e-12)
    wide = NetworkSize(rows=1, width=10**4, heads=1)  # one loop, many units: loop by loop is less
    weights = parameter_count(wide, 1, dim=1)

    def log2_vectors(many, degree):
        return 1 + weights * math.log2(2 * math.e * max(many, weights) * degree / weights)

    n, inputs = 2, 10**6
    expected = log2_vectors(inputs * 10**4 * n, 4) + log2_vectors(inputs * n * n * (n - 1), 8)
    expected += log2_vectors(inputs * n, 6)
    found = log2_patterns(wide, 1, inputs, tokens=n, dim=1)
    assert float(found.b) == pytest.approx(expected, rel=1e-12)


def test_a_grid_with_fewer_signs_than_patterns_says_nothing_of_the_largest_error():
    def at(grid):
        return _at_grid(grid, 1000, 2, 1, math.inf, 1.0, 1.0, LT)

    fine = bound(1000, p=math.inf).grid
    assert [at(2), at(fine // 4)] == [None, None]
    assert at(2 * fine).share == 0.5


def test_symbols_of_the_theorem_are_positive_so_that_powers_simplify():
    r, delta, s = (SYMBOLS[name] for name in ("r", "delta", "s"))
    assert all(SYMBOLS[name].is_positive for name in SYMBOLS if name != "e_mem")
    assert SYMBOLS["e_mem"].is_nonnegative
    assert (delta**s * r**s - (delta * r) ** s).simplify() == 0
