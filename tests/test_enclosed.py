"""Torch modules on enclosures: the same numbers as torch, nothing outside, honest refusals."""

import re

import mpmath
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from cases.own_functions import OWN
from looprate.approx.enclosed import enclosed, operations, steps, with_enclosures
from looprate.approx.enclosed.everyday import EVERYDAY
from looprate.approx.enclosed.operations import OPERATIONS
from looprate.approx.models.looped import LoopedTransformer, ModelConfig
from looprate.theory.continuity import modulus_lower_bound
from looprate.theory.enclosure import Interval, Jet, enclose, local_form, variables
from looprate.theory.enclosure.affine import affine_variables
from looprate.theory.enclosure.functions import erf
from looprate.theory.targets import resolve_target

CLOSE = 1e-12  # relative: float64 in another order of summation
ROUNDING = 1e-9  # what outward rounding may add to a point after a hundred operations
WIDTHS = (1e-1, pytest.param(1e-2, marks=pytest.mark.slow), 1e-3)

SMALL = {"width": 4, "heads": 2, "hidden": 6, "frequencies": 2, "clock": 2}
LOOPED = {
    "lt": ({"family": "lt", "norm": "none", "activation": "gelu", "gate": 0.5}, 1),
    "tmlt": ({"family": "tmlt", "activation": "silu"}, 2),
    "untied": ({"family": "untied", "blocks": 2, "injection": True, "positions": 3}, 2),
}


def looped(config, *, dim=2, seed=0):
    """A model whose timestep network, zero at first, says something."""
    model = LoopedTransformer(ModelConfig(dim=dim, **(SMALL | config)), seed=seed)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in model.named_parameters():
            if name.startswith(("clock", "eta")):
                value += 0.3 * torch.randn(value.shape, generator=generator)
    return model


class Tokenwise(nn.Module):
    """A multilayer perceptron of each token."""

    def __init__(self, *layers):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(2, 5), *layers, nn.Linear(5, 2))

    def forward(self, x):
        return self.layers(x)


class Encoder(nn.Module):
    """torch's own Transformer layer, with layer norm and dropout."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(2, 4)
        self.layer = nn.TransformerEncoderLayer(4, 2, 6, batch_first=True)
        self.last = nn.Linear(4, 2)

    def forward(self, x):
        return self.last(self.layer(self.first(x)))


class Pieces(nn.Module):
    """Operations that no layer above has."""

    def forward(self, x):
        first, *_ = x.split(1, dim=1)
        rest = torch.stack([x[..., 1], x[..., 0]], -1).split([1, 2], dim=1)[1]
        mixed = torch.cat([first.expand_as(x)[:, :1], rest], 1)
        size = (x.square().sum((1, 2), keepdim=True) + 0.5).sqrt()
        wide = (2.0 - x).reciprocal().clamp(0.6, 0.9) + torch.sigmoid(x) * torch.erf(x)
        largest = (
            x.mean(1, keepdim=True)
            + x.amax(1, keepdim=True)
            - x.amin(2, keepdim=True)
            + x.var(1, keepdim=True)
        )
        last = torch.minimum(x, mixed).abs() / size + torch.maximum(x, mixed).sin() * x.cos()
        turned = torch.baddbmm(-x, x @ x.mT, x, beta=0.5, alpha=2.0).to(torch.float64)
        cut = (x**-0.5 + torch.rsub(x, 1, alpha=2)).clamp(min=1.2) - x.exp().clamp(max=2.0)
        flat = torch.sub(x, cut, alpha=0.5).reshape(-1, 6).t().t().view(x.shape)
        return wide * largest - last + turned + F.relu(flat - 0.2) + F.silu(x).tanh().clone()


MODULES = {
    "relu": lambda: Tokenwise(nn.ReLU(inplace=True)),
    "several": lambda: Tokenwise(nn.Hardtanh(), nn.LeakyReLU(), nn.Dropout(0.5), nn.GELU("tanh")),
    "encoder": Encoder,
    "pieces": Pieces,
}


def case(name):
    """A module as a function of enclosures, with its tokens and dim; 3 tokens, 2 coordinates."""
    torch_state = torch.random.get_rng_state()
    torch.manual_seed(3)  # torch's layers draw their weights from the global generator
    module = MODULES[name]() if name in MODULES else looped(LOOPED[name][0])
    torch.random.set_rng_state(torch_state)
    loops = None if name in MODULES else LOOPED[name][1]
    return module, enclosed(module, tokens=3, dim=2, loops=loops), loops


CASES = {name: case for name in (*LOOPED, *MODULES)}
CACHE = {}


@pytest.fixture(params=CASES)
def network(request):
    """Traced once, used by several tests."""
    if request.param not in CACHE:
        CACHE[request.param] = case(request.param)
    return CACHE[request.param]


def inputs(count=6, *, tokens=3, dim=2, seed=0):
    return 0.05 + 0.9 * np.random.default_rng(seed).random((count, tokens, dim))


def test_gives_the_numbers_of_torch(network):
    module, f, loops = network
    x = inputs()
    tensor = torch.tensor(x, dtype=torch.float32)
    with torch.no_grad():
        single = module.eval()(tensor, *([] if loops is None else [loops])).numpy()
    assert np.abs(f(x) - single).max() < 1e-4 * max(1.0, np.abs(single).max())
    scale = max(1.0, np.abs(f(x)).max())
    points = f(Interval(x))
    assert np.abs(points.middle() - f(x)).max() < CLOSE * scale
    assert points.width.max() < ROUNDING * scale
    widened = Interval(points.lo - CLOSE * scale, points.hi + CLOSE * scale)
    assert widened.contains(f(x)).all()


@pytest.mark.parametrize("width", WIDTHS)
def test_outputs_on_boxes_lie_in_every_enclosure(network, width):
    """In intervals, on slopes of pairs, and in affine forms."""
    _, f, _ = network
    centre = inputs(8, seed=1)
    low, high = np.maximum(centre - width, 0.01), np.minimum(centre + width, 1.0)
    box, half = Interval(low, high), (high - low).reshape(len(low), -1) / 2
    jet, found, form = f(variables(box)), f(box), f(affine_variables(box))
    value, gradient, rest = form.linear(half)
    rng, middle = np.random.default_rng(2), low / 2 + high / 2
    for corner in (False, True):
        share = rng.random((2, *low.shape))
        x, y = low + (share.round() if corner else share) * (high - low)
        slack = 1e-11 * (1 + np.abs(f(x)).max())
        for enclosure in (found, jet.value, form.value):
            assert Interval(enclosure.lo - slack, enclosure.hi + slack).contains(f(x)).all()
        step = (x - y).reshape(len(x), -1).T[:, :, None, None]
        moved = jet.slope.times(Interval(step)).sum(0)
        assert Interval(moved.lo - slack, moved.hi + slack).contains(f(x) - f(y)).all()
        linear = value + np.einsum("bk,kbnd->bnd", (x - middle).reshape(len(x), -1), gradient)
        assert (np.abs(f(x) - linear) <= rest + slack).all()


def test_affine_forms_stay_sharp_where_slopes_do_not():
    f = enclosed(looped({"family": "lt"}, dim=1), tokens=2, dim=1, loops=4)
    x = inputs(12, tokens=2, dim=1)
    low, high = x - 0.005, x + 0.005
    form = f(affine_variables(Interval(low, high)))
    slopes = local_form(f, low, high).bounds.width
    share = np.random.default_rng(0).random((50, *x.shape))
    y = f((low + share * (high - low)).reshape(-1, 2, 1)).reshape(50, *x.shape)
    ratio = form.value.width / np.ptp(y, axis=0)
    assert np.median(ratio) < 1.5
    assert np.median(slopes / form.value.width) > 10


def test_a_network_shares_no_symbols_with_what_else_is_added():
    f = enclosed(looped({"family": "lt"}, dim=1), tokens=2, dim=1, loops=3)

    def mixed(x):
        before = np.sin(9 * x)
        return before + f(x) + np.cos(9 * x) + f(x)

    x = inputs(6, tokens=2, dim=1)
    box = Interval(x - 0.05, x + 0.05)
    form = mixed(affine_variables(box))
    parts = [g(affine_variables(box)) for g in (lambda u: np.sin(9 * u) + np.cos(9 * u), f)]
    half = np.full((len(x), 2), 0.05)
    rest = [part.linear(half)[2] for part in (form, *parts)]
    assert rest[0] == pytest.approx(rest[1] + 2 * rest[2], rel=1e-3)


def test_slopes_come_close_on_small_boxes(network):
    _, f, _ = network
    x = inputs(5, seed=4)
    slope = f(variables(Interval(x - 1e-9, x + 1e-9))).slope
    tensor = torch.tensor(x, requires_grad=True)
    out = f(tensor)
    for entry in np.ndindex(3, 2):
        (grad,) = torch.autograd.grad(out[(slice(None), *entry)].sum(), tensor, retain_graph=True)
        wanted = grad.reshape(5, -1).T.numpy()
        got = slope[(slice(None), slice(None), *entry)]
        scale = max(1.0, np.abs(wanted).max())
        assert np.abs(got.middle() - wanted).max() < 1e-4 * scale
        assert got.width.max() < 1e-3 * scale


SPARE = {  # the same under another name, or taken apart by torch before they are seen
    *("contiguous", "alias", "reshape", "square", "stack", "clamp_max", "clamp_min", "hardtanh"),
    "mv",
}


def test_every_operation_was_used():
    used = set()
    for name in CASES:
        _, f, _ = CACHE.setdefault(name, case(name))
        used |= {step.function for step in f.program.steps}
    others = OPERATIONS.keys() - EVERYDAY.keys()  # those have tests of their own
    missing = {name for name in others if OPERATIONS[name] not in used}
    assert missing <= SPARE


def test_any_batch_size_and_the_reference_agree(network):
    _, f, _ = network
    x = inputs(3, seed=5)
    together = f(Interval(x, x + 1e-3))
    for k in range(3):
        alone = f(Interval(x[k : k + 1], x[k : k + 1] + 1e-3))
        assert np.abs(together.lo[k] - alone.lo[0]).max() < 1e-7
        assert np.abs(together.hi[k] - alone.hi[0]).max() < 1e-7


def test_two_weights_of_softmax_are_sharp():
    scores = Interval(np.array([[[-1.0, 0.0]]]), np.array([[[1.0, 2.0]]]))
    found = OPERATIONS["_softmax"](scores, -1, False)
    exact = [1 / (1 + np.exp(3.0)), 1 / (1 + np.exp(-1.0))]  # of the first entry
    assert found.lo[0, 0, 0] == pytest.approx(exact[0], rel=1e-12)
    assert found.hi[0, 0, 0] == pytest.approx(exact[1], rel=1e-12)


@pytest.mark.parametrize("count", [1, 2, 3, 8, 9, 12])
def test_softmax_of_any_length_holds_torchs_weights(count):
    scores = 3 * np.random.default_rng(count).normal(size=(4, count, 2))
    found = OPERATIONS["_softmax"](Interval(scores), 1, False)
    wanted = torch.softmax(torch.tensor(scores), 1).numpy()
    assert np.abs(found.middle() - wanted).max() < CLOSE
    wide = OPERATIONS["_softmax"](Interval(scores - 0.1, scores + 0.1), 1, False)
    assert wide.contains(wanted).all()


def test_the_error_function_is_within_its_allowance():
    x = np.concatenate([np.linspace(-6, 6, 400), np.geomspace(1e-12, 1, 100)])
    found = erf(Interval(x))
    for value, lo, hi in zip(x.tolist(), found.lo.tolist(), found.hi.tolist(), strict=True):
        exact = mpmath.erf(mpmath.mpf(value))
        assert lo <= exact <= hi
    assert found.width.max() < 1e-14


def test_enclosures_and_lower_bounds_take_it():
    model = looped({"family": "lt"}, dim=1)
    f = enclosed(model, tokens=2, dim=1, loops=2)
    low = np.full((1, 2, 1), 0.3)
    form = local_form(f, low, low + 1e-3)
    assert enclose(f, low, low + 1e-3).contains(f(low)).all()
    assert np.isfinite(form.remainder).all()
    found = modulus_lower_bound(f, 0.1, kind="token", tokens=2, dim=1, effort=0.02)
    assert found.value > 0
    assert found.value == pytest.approx(
        np.linalg.norm((f(found.x[None]) - f(found.y[None]))[0, found.row])
    )


class Wrapped(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


@pytest.mark.parametrize(
    ("module", "said"),
    [
        (Wrapped(lambda x: x.frac()), "Wrapped uses aten.trunc"),
        (Wrapped(lambda x: x.sort(1).indices + x), "Wrapped uses places of entries"),
        (Wrapped(lambda x: x if x.max() > 2 else -x), "Wrapped cannot be traced"),
        (Wrapped(lambda x: x + 1e-15 * torch.rand(x.shape[1:])), "Wrapped draws random numbers"),
        (Wrapped(lambda x: x.float().double()), "a cast to float32 rounds"),
        (Wrapped(lambda x: x * (1 + 1e-12 * len(x))), "depends on the batch size"),
        (Wrapped(lambda x: x + 0.0 if len(x) == 11 else x), "other things for other batch sizes"),
    ],
)
def test_what_cannot_be_followed_is_refused(module, said):
    f = enclosed(module, tokens=2, dim=1)
    assert f(np.full((1, 2, 1), 0.4)).shape == (1, 2, 1)  # lower bounds still work
    with pytest.raises(ValueError, match=re.escape(said)) as caught:
        enclose(f, np.zeros((1, 2, 1)), np.ones((1, 2, 1)))
    assert "has no rigorous enclosure" in str(caught.value)


@pytest.mark.parametrize(
    ("module", "said"),
    [
        (Wrapped(lambda x: x - x.mean(0)), "must treat each input of a batch on its own"),
        (
            Wrapped(lambda x: x + torch.rand(x.shape[1:])),
            "must treat each input of a batch on its own",
        ),
        (Wrapped(lambda x: x[:, :1]), r"must map shape \(5, 2, 1\) to itself, got \(5, 1, 1\)"),
        (Wrapped(lambda x: (x, x)), "to itself, got tuple"),
        (Wrapped(lambda x: x / (x - x)), "must return finite values"),
        (looped({}, dim=1), "`loops` must be given"),
    ],
)
def test_modules_that_are_no_functions_of_one_input_are_refused(module, said):
    with pytest.raises(ValueError, match=said):
        enclosed(module, tokens=2, dim=1)


def test_other_bad_input_is_refused():
    with pytest.raises(TypeError, match=r"`module` must be a torch.nn.Module"):
        enclosed(np.sin, tokens=2, dim=1)
    with pytest.raises(ValueError, match="for a LoopedTransformer only"):
        enclosed(Tokenwise(), tokens=2, dim=2, loops=3)
    f = enclosed(Tokenwise(), tokens=2, dim=2)
    with pytest.raises(ValueError, match=r"`x` must have shape \(B, 2, 2\), got \(1, 3, 2\)"):
        f(np.zeros((1, 3, 2)))


def test_the_module_itself_is_left_alone():
    module = Tokenwise(nn.Dropout(0.5)).train()
    enclosed(module, tokens=2, dim=2)(np.zeros((1, 2, 2)))
    assert module.training
    assert next(module.parameters()).dtype == torch.float32
    assert next(module.parameters()).requires_grad


def test_the_centre_makes_slopes_sharper_and_never_wider():
    _, f, _ = CACHE.setdefault("tmlt", case("tmlt"))
    x = inputs(4, seed=6)
    jet = variables(Interval(x - 1e-3, x + 1e-3))
    sharp = f(jet)
    plain = f(Jet(jet.value, jet.slope.times(Interval(2.0))))  # not the variables: no centre
    assert sharp.slope.width.max() < 0.15 * plain.slope.width.max() / 2
    assert (sharp.value.width <= plain.value.width).all()


def test_sides_of_length_zero_have_slopes_too(network):
    _, f, _ = network
    x = inputs(2, seed=7)
    wide = f(variables(Interval(x - 1e-9, x + 1e-9))).slope
    point = f(variables(Interval(x))).slope
    assert np.isfinite(point.lo).all()
    assert (np.abs(point.middle() - wide.middle()) < 1e-4 * (1 + wide.magnitude)).all()


@pytest.mark.parametrize("name", ["model", "Mixer", "maker", "for_torch", "for_both"])
def test_own_functions_for_torch_are_targets_with_enclosures(name):
    text = f"0.5*{OWN}:{name} + mean-field"
    target = resolve_target(text)
    f = with_enclosures(target, tokens=2, dim=1)
    x = inputs(3, tokens=2, dim=1)
    assert f.name == target.name
    assert (f(x) == f(x)).all()  # no dropout
    assert np.abs(f(x) - target(x)).max() < CLOSE
    assert enclose(f, x - 0.01, x + 0.01).contains(f(x)).all()
    if name != "for_both":
        with pytest.raises(ValueError, match="has no rigorous enclosure"):
            enclose(target, x, x)


def test_targets_without_functions_for_torch_stay_as_they_are():
    for text in ("mean-field", f"{OWN}:for_both", "2*context-max + mean-field"):
        target = resolve_target(text, tokens=2, dim=1)
        assert with_enclosures(target, tokens=2, dim=1) == target


# -- attention and norms in one step ---------------------------------------------------------------
class Attending(torch.nn.Module):
    """Means of large values that are nearly the same, by weights that are not."""

    def forward(self, x):
        values = 100 + 0.1 * x
        return torch.nn.functional.scaled_dot_product_attention(9 * x, 9 * x, values)


class Turning(torch.nn.Module):
    """What has a direction that hardly moves, at a length that does."""

    def forward(self, x):
        along = x[..., :1] * torch.tensor([2.0, 1.0], dtype=x.dtype) + 0.01 * x
        return along * torch.rsqrt(along.square().mean(-1, keepdim=True) + 1e-6)


FORMS = {"interval": lambda box: box, "slopes": variables, "affine": affine_variables}


@pytest.mark.parametrize("kind", FORMS)
def test_weights_of_attention_are_known_to_add_up_to_one(kind, monkeypatch):
    x = inputs(4, seed=1)
    box = Interval(np.clip(x - 0.2, 0, 1), np.clip(x + 0.2, 0, 1))
    found = enclosed(Attending(), tokens=3, dim=2)(FORMS[kind](box)).value
    true = enclosed(Attending(), tokens=3, dim=2)(x)
    assert ((found.lo <= true) & (true <= found.hi)).all()
    assert found.width.max() < 0.2
    monkeypatch.setattr(steps, "_logits_of", lambda *_: None)  # negative control
    assert enclosed(Attending(), tokens=3, dim=2)(FORMS[kind](box)).value.width.max() > 2


def test_a_norm_is_followed_by_how_its_input_turns(monkeypatch):
    x = inputs(4, seed=1) / 2 + 0.4
    box = Interval(x - 0.2, x + 0.2)
    f = enclosed(Turning(), tokens=3, dim=2)
    found = f(affine_variables(box))
    points = box.lo + (box.hi - box.lo) * np.random.default_rng(0).random((50, *x.shape))
    for point in points:
        assert ((found.value.lo <= f(point)) & (f(point) <= found.value.hi)).all()
    assert found.radius.max() < 0.02
    monkeypatch.setattr(operations, "_about_centre", lambda x, *_: (x, np.False_))
    assert f(affine_variables(box)).radius.max() > 0.1  # negative control
