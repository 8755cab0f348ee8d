"""Constructed networks in floating point: exact or refused, hardmax as the limit of softmax."""

import math
import random
from fractions import Fraction

import numpy as np
import pytest
import torch

from looprate.approx.constructed.network import ConstructedTransformer, constructed_transformer
from looprate.theory.construction.build.compile import compile_construction
from looprate.theory.construction.build.network import Affine, Block, Head, Network, Unit
from looprate.theory.construction.build.spec import ConstructionSpec
from looprate.theory.construction.run.exact import exact_output
from looprate.theory.construction.run.reference import reference_output
from looprate.theory.targets import parse_target

ROUNDING = 1e-12  # of a few float64 operations on numbers near 1
TARGET = parse_target("dial:token=0.8,context=0.2,periods=1")


def decode(*forms):
    """L2 that reads these rows, every one with a weight of 1."""
    return tuple(({row: Fraction(1)}, Fraction(0)) for row in forms)


def largest():
    """y adds the largest c of any token in loop 2 only, gated by a clock; c halves its lead."""
    look = Head({"one": 1}, {"c": 1}, {"c": 1}, {"a": 1})
    units = (
        Unit("gate low", {"clock": -1}, 1, {"closed": 1}),  # relu(1 - t)
        Unit("gate high", {"clock": 1}, -1, {"closed": 1}),  # relu(t - 1): closed after loop t = 2
        Unit("reset", {"closed": 1}, 0, {"closed": -1}),
        Unit("up", {"a": 1, "closed": -1000}, 0, {"y": 1}),
        Unit("down", {"a": -1, "closed": -1000}, 0, {"y": -1}),
        Unit("clear", {"a": 1}, 0, {"a": -1}),
        Unit("clear below", {"a": -1}, 0, {"a": 1}),
        Unit("leave", {"c": 1}, 0, {"c": -2}),
    )
    rows = ("c", "one", "a", "closed", "clock", "y")
    encoder = {"c": Affine({0: 4, 1: -3}, 1), "one": Affine(bias=1), "closed": Affine(bias=1)}
    decoder = (({"y": Fraction(3, 4), "c": Fraction(-1)}, Fraction(1, 8)), *decode("clock"))
    return Network(Block(rows, (look,), units, {"clock": 1}), encoder, decoder, {}, 4)


def scheduled(loops=3):
    """y counts up by an eta of its own, s too by another; the clock has none."""
    unit = Unit("positive", {"x": 1}, 0, {"y": 2, "s": -1})
    eta = {"y": (3, 0, -2), "s": (1,)}
    block = Block(("x", "y", "s", "clock"), (), (unit,), {"y": 1, "s": 1, "clock": 1})
    decoder = decode("y", "s", "clock")
    return Network(block, {"x": Affine({0: 8, 2: 1})}, decoder, eta, loops)


def tied():
    """Two heads: one attends to all tokens with c = 1, one to those with the smallest x."""
    first = Head({"one": 1}, {"c": 1}, {"x": 4}, {"y": 1})
    second = Head({"one": -2}, {"x": 1}, {"c": 1, "one": 1}, {"y": 8, "c": 1})
    encoder = {"x": Affine({0: 4}), "c": Affine({1: 1}), "one": Affine({}, 1)}
    return Network(Block(("x", "c", "one", "y"), (first, second), (), {}), encoder,
                   decode("y", "c"), {}, 2)  # fmt: skip


def random_network(seed):
    """Small random weights in every place."""
    rng = random.Random(seed)
    rows = tuple("abcde")

    def form(size=2):
        return {row: rng.randint(-size, size) for row in rng.sample(rows, 3)}

    heads = tuple(Head(form(1), form(1), form(1), form(1)) for _ in range(2))
    units = tuple(Unit(str(k), form(1), rng.randint(-3, 3), form(1)) for k in range(4))
    eta = {"b": tuple(rng.randint(-1, 1) for _ in range(3))}
    encoder = {row: Affine({0: rng.randint(-2, 2), 1: 1}, rng.randint(-2, 2)) for row in "abd"}
    decoder = tuple(({row: Fraction(rng.randint(-4, 4), 4) for row in "ace"}, Fraction(1, 2))
                    for _ in range(2))  # fmt: skip
    return Network(Block(rows, heads, units, form()), encoder, decoder, eta, 4)


NETWORKS = {
    "largest": (largest(), 3),
    "scheduled": (scheduled(), 2),
    "tied": (tied(), 2),
    **{f"random {seed}": (random_network(seed), 2) for seed in range(6)},
}


def points(dim, tokens, count=40, denominator=4, seed=0):
    """Random inputs in [0, 1] that repeat coordinates often, as integers over a denominator."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, denominator, (count, tokens, dim), endpoint=True), denominator


def as_tensor(numerators, denominator):
    return torch.from_numpy(numerators / denominator)


def by_reference(network, numerators, denominator, loops=None):
    """The outputs as the definition reads, rounded to float64 once."""
    outputs = [
        reference_output(
            network, [[Fraction(int(v), denominator) for v in t] for t in x], loops=loops
        )
        for x in numerators
    ]
    return torch.from_numpy(np.array(outputs, dtype=np.float64))


# -- exactness -------------------------------------------------------------------------------------
@pytest.mark.parametrize("loops", [None, 1, 6])
@pytest.mark.parametrize("name", NETWORKS)
def test_hardmax_is_exact(name, loops):
    network, tokens = NETWORKS[name]
    numerators, denominator = points(network.dim, tokens)
    found = constructed_transformer(network)(as_tensor(numerators, denominator), loops=loops)
    want = by_reference(network, numerators, denominator, loops)
    assert torch.equal(found, want)
    assert len(want.unique()) > 3  # not a constant that hides all faults


@pytest.mark.parametrize(
    ("memoriser", "coding", "grid", "bits"),
    [
        ("timestep", "rank", 4, None),
        ("timestep", "rank", 3, None),
        ("timestep", "sum", 3, None),
        ("increments", "sum", 2, None),
        ("digits", "rank", 3, 1),
    ],
)
def test_compiled_networks_are_exact_or_refused(memoriser, coding, grid, bits):
    spec = ConstructionSpec(2, 1, grid, memoriser, coding, bits)
    network = compile_construction(TARGET, spec).network
    numerators, denominator = points(1, 2, count=100, denominator=2**20)
    for loops in (None, network.loops + 3):  # loops beyond the count change nothing
        found = constructed_transformer(network)(as_tensor(numerators, denominator), loops)
        want = exact_output(network, numerators, denominator=denominator, loops=loops).floats
        np.testing.assert_allclose(found, want, rtol=0, atol=ROUNDING)  # L2 rounds
    assert np.ptp(want) > 0.1


@pytest.mark.parametrize(
    ("memoriser", "coding", "bits"), [("increments", "sum", None), ("digits", "rank", 4)]
)
def test_bit_strings_longer_than_the_significand_are_refused(memoriser, coding, bits):
    network = compile_construction(
        TARGET, ConstructionSpec(2, 1, 4, memoriser, coding, bits)
    ).network
    with pytest.raises(ValueError, match=r"within ±2\^53.* at 'C_0' of \d+ bits; take the timest"):
        constructed_transformer(network)
    numerators, denominator = points(1, 2, denominator=2**20)
    damaged = constructed_transformer(network, exact=False)(as_tensor(numerators, denominator))
    want = exact_output(network, numerators, denominator=denominator).floats
    assert not (np.abs(damaged.numpy() - want) < 0.01).all()


def test_small_weights_that_round_in_some_order_are_refused():
    """37-bit weights on 36-bit rows: right or wrong by the order in which a library sums units."""
    network = compile_construction(TARGET, ConstructionSpec(2, 1, 3, "digits", "rank", 2)).network
    assert network.weight_bits() == 37
    with pytest.raises(ValueError, match="in row 'C_0' in loop"):
        constructed_transformer(network)(as_tensor(*points(1, 2, denominator=2**20)))
    row, weight = 2.0**36 - 1, 2.0**36  # C_0 and the two units that take its leading bit away
    above, below = row - 2**35 + 1, row - 2**35
    assert row - (weight * above - weight * below) == row - weight
    assert (row - weight * above) + weight * below != row - weight


def test_inputs_with_too_many_bits_are_taken_for_the_nearest_with_few():  # B4a
    spec = ConstructionSpec(1, 3, 7, "timestep", "rank")
    network = compile_construction(TARGET, spec).network
    x = torch.from_numpy(np.random.default_rng(0).random((500, 1, 3)))
    rounded = (x * 2**20).round() / 2**20
    model = constructed_transformer(network)
    assert torch.equal(model(x), model(rounded))
    free = constructed_transformer(network, exact=False)
    z = network.block.rows.index("z")
    for inputs, whole in ((rounded, True), (x, False)):
        state = inputs @ free.L1.mT
        for loop in range(spec.context_start):
            state, _ = free._loop(state, loop, None)
        assert (state[..., z] == state[..., z].round()).all() == whole


# -- what is refused -------------------------------------------------------------------------------
def doubling(bias=1):
    """y doubles every loop."""
    unit = Unit("twice", {"y": 1}, 0, {"y": 1})
    encoder = {"y": Affine({0: 1}, bias)}
    return Network(Block(("y",), (), (unit,), {}), encoder, decode("y"), {}, 4)


def one_large(place, value):
    """A network of small integers but for one."""
    weights = dict.fromkeys(
        ("query", "key", "value", "output", "reads", "bias", "writes", "drift", "l1", "b", "eta"), 1
    )
    weights[place] = value
    form = {name: {"y": weight} for name, weight in weights.items()}
    head = Head(form["query"], form["key"], form["value"], form["output"])
    unit = Unit("u", form["reads"], weights["bias"], form["writes"])
    block = Block(("x", "y"), (head,), (unit,), form["drift"])
    encoder = {"y": Affine({0: weights["l1"]}, weights["b"])}
    return Network(block, encoder, decode("y"), {"y": (1, weights["eta"])}, 2)


PLACES = {
    "query": "W_Q of head 0 at 'y'",
    "key": "W_K of head 0 at 'y'",
    "value": "W_V of head 0 at 'y'",
    "output": "W_O of head 0 at 'y'",
    "reads": "W_1 of unit 'u' at 'y'",
    "bias": "b_1 of unit 'u'",
    "writes": "W_2 of unit 'u' at 'y'",
    "drift": r"b_2 \(drift\) at 'y'",
    "l1": "L1 of row 'y' at 0",
    "b": "L1 bias of row 'y'",
    "eta": "eta of row 'y' in loop 1",
}


@pytest.mark.parametrize(
    ("dtype", "bits"), [(torch.float64, 53), (torch.float32, 24), (torch.bfloat16, 8)], ids=str
)
@pytest.mark.parametrize("place", PLACES)
def test_integers_beyond_the_significand_are_refused(place, dtype, bits):
    constructed_transformer(one_large(place, 2**bits), dtype=dtype)
    constructed_transformer(one_large(place, -(2**bits)), dtype=dtype)
    for value in (2**bits + 1, -(2**bits) - 1, 2 ** (bits + 1)):
        match = rf"within ±2\^{bits}, .*, got {PLACES[place]} of {value.bit_length()} bits"
        with pytest.raises(ValueError, match=match):
            constructed_transformer(one_large(place, value), dtype=dtype)
        constructed_transformer(one_large(place, value), dtype=dtype, exact=False)


def test_a_row_that_outgrows_the_range_is_refused_in_its_loop():
    x = torch.zeros(3, 2, 1, dtype=torch.float64)
    model = constructed_transformer(doubling())
    assert model(x, loops=52).max() == 2**52
    assert model(x, loops=53).max() == 2**53
    with pytest.raises(
        ValueError, match=r"got up to 1.8e\+16 in row 'y' in loop 53; take the time"
    ):
        model(x, loops=60)
    assert constructed_transformer(doubling(), exact=False)(x, loops=60).max() == 2**60
    with pytest.raises(ValueError, match=r"±2\^50.* in loop 49; take `x` in multiples"):
        model(x + 1 / 8, loops=60)


def test_a_score_or_tie_that_rounds_is_refused():
    x = torch.tensor([[[0.0, 1.0], [0.25, 1.0], [0.25, 1.0]]], dtype=torch.float64)
    with pytest.raises(ValueError, match="let tokens that tie share values"):
        constructed_transformer(tied())(x)
    head = Head({"x": 2**20}, {"x": 1}, {"x": 1}, {"x": 1})
    network = Network(Block(("x",), (head,), (), {}), {"x": Affine({0: 1})}, decode("x"), {}, 1)
    fine = torch.rand(9, 2, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    coarse = (fine * 2**10).round() / 2**10
    constructed_transformer(network)(coarse)
    with pytest.raises(ValueError, match="in head 0 in loop 0; take `x` in mult"):
        constructed_transformer(network)((fine * 2**20).round() / 2**20)


def test_a_tie_whose_sum_rounds_is_refused():
    head = Head({}, {}, {"x": 1}, {"y": 1})
    network = Network(Block(("x", "y"), (head,), (), {}), {"x": Affine({0: 1})}, decode("y"), {}, 1)
    x = torch.full((1, 3, 1), 2.0**52 + 1, dtype=torch.float64)
    assert torch.equal(constructed_transformer(network)(x[:, :1]), x[:, :1])
    with pytest.raises(ValueError, match="in head 0 in loop 0"):
        constructed_transformer(network)(x)


def test_a_gate_far_below_zero_may_leave_the_range():
    """A closed unit is 0 whatever its rounding: the gates of the compiler are not refused."""

    def gated(closed, shift):
        unit = Unit("gated", {"y": 1, "t": -(2**52)}, shift, {"y": 1})
        encoder = {"y": Affine({0: 1}, 3), "t": Affine({}, closed)}
        return Network(Block(("y", "t"), (), (unit,), {}), encoder, decode("y"), {}, 2)

    x = torch.zeros(1, 1, 1, dtype=torch.float64)
    assert constructed_transformer(gated(5, 0))(x).item() == 3
    with pytest.raises(ValueError, match="in unit 'gated' in loop 0"):
        constructed_transformer(gated(2, 2**53))(x)


def test_what_does_not_fit_shows_its_damage():
    x = torch.zeros(1, 1, 1, dtype=torch.float64)
    free = {"exact": False}
    assert constructed_transformer(doubling(2**53 + 1), **free)(x, 1).item() == 2.0**54
    assert constructed_transformer(doubling(10**400), **free)(x, 1).item() == math.inf
    assert constructed_transformer(doubling(-(10**400)), **free)(x, 1).item() == -math.inf
    single = constructed_transformer(doubling(2**24 + 1), dtype=torch.float32, **free)
    assert single(x.float(), 1).item() == 2.0**25
    assert (
        constructed_transformer(doubling(10**40), dtype=torch.float32, **free).L1_bias == math.inf
    )


def test_another_dtype_after_the_check_is_refused():
    model = constructed_transformer(scheduled()).float()
    with pytest.raises(ValueError, match=r"`dtype` must stay torch.float64.*build it anew"):
        model(torch.zeros(1, 1, 3))


@pytest.mark.parametrize(
    "x",
    [
        torch.zeros(2, 3, dtype=torch.float64),
        torch.zeros(1, 2, 2, dtype=torch.float64),
        torch.zeros(1, 0, 3, dtype=torch.float64),
    ],
)
def test_wrong_shapes_are_refused(x):
    with pytest.raises(ValueError, match=r"`x` must have shape \(B, N >= 1, d = 3\), got"):
        constructed_transformer(scheduled())(x)


def test_wrong_arguments_are_refused():
    model = constructed_transformer(scheduled())
    x = torch.zeros(1, 2, 3, dtype=torch.float64)
    for wrong in (x.float(), x.long(), x.to("meta")):
        with pytest.raises(ValueError, match=r"`x` must be torch\.float64 on cpu like"):
            model(wrong)
    for wrong in (math.nan, math.inf, -math.inf):
        with pytest.raises(ValueError, match="`x` must be finite with few enough bits"):
            model(x + wrong)
    with pytest.raises(ValueError, match="`loops`"):
        model(x, loops=0)
    with pytest.raises(TypeError, match="`dtype` must be a floating-point type"):
        constructed_transformer(scheduled(), dtype=torch.int64)
    for beta in (0, -1.0, math.inf, math.nan):
        with pytest.raises(ValueError, match="`beta` must be a finite number > 0"):
            constructed_transformer(scheduled(), beta=beta)


# -- the module ------------------------------------------------------------------------------------
def test_buffers_are_the_matrices_of_the_paper():
    network = scheduled()
    model = constructed_transformer(network)
    assert isinstance(model, ConstructedTransformer)
    assert not list(model.parameters())
    for name, want in network.block.matrices().items():
        assert getattr(model, name).tolist() == want.tolist()
    assert model.L1.tolist() == [[8, 0, 1], [0, 0, 0], [0, 0, 0], [0, 0, 0]]
    assert model.L2.tolist() == [[0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
    assert model.eta.tolist() == [[1, 3, 1, 1], [1, 0, 0, 1], [1, -2, 0, 1]]
    assert model.eta_after.tolist() == [1, 0, 0, 1]
    assert constructed_transformer(scheduled(loops=1)).eta.shape == (3, 4)  # the schedule is longer


def test_loops_beyond_the_schedule_leave_its_rows():
    model = constructed_transformer(scheduled())
    x = as_tensor(*points(3, 2))
    assert torch.equal(model(x, loops=9)[..., :2], model(x)[..., :2])
    assert not torch.equal(model(x, loops=2)[..., :2], model(x)[..., :2])


@pytest.mark.parametrize("name", NETWORKS)
def test_permuting_tokens_permutes_outputs(name):
    network, _ = NETWORKS[name]
    model = constructed_transformer(network, exact=False)
    x = as_tensor(*points(network.dim, 4, denominator=8))
    order = torch.tensor([2, 0, 3, 1])
    torch.testing.assert_close(model(x[:, order]), model(x)[:, order], rtol=0, atol=ROUNDING)


def test_a_batch_runs_as_its_members_and_none_is_fine():
    model = constructed_transformer(largest())
    x = as_tensor(*points(2, 3))
    alone = torch.cat([model(x[k : k + 1]) for k in range(len(x))])
    assert torch.equal(model(x), alone)
    assert model(x[:0]).shape == (0, 3, 2)
    assert not model(x).requires_grad


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("beta", [None, 4.0])
def test_cuda_agrees_with_the_cpu(dtype, beta):
    x = as_tensor(*points(2, 3)).to(dtype)
    cpu = constructed_transformer(largest(), dtype=dtype, beta=beta)(x)
    gpu = constructed_transformer(largest(), dtype=dtype, beta=beta, device="cuda")(x.cuda())
    assert gpu.is_cuda
    if beta is None:
        assert torch.equal(gpu.cpu(), cpu)
    else:
        rounding = 100 * torch.finfo(dtype).eps * float(cpu.abs().max())
        torch.testing.assert_close(gpu.cpu(), cpu, rtol=0, atol=rounding)
