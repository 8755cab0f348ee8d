"""Everyday torch operations have enclosures, torch's numbers inside and close: R21, R22, R25.

What has none is refused in one line that names it.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from cases.operations import enclosable, operations, status
from looprate.approx.enclosed import enclosed
from looprate.approx.enclosed.everyday import EVERYDAY
from looprate.theory.continuity import modulus_upper_bound
from looprate.theory.enclosure import Interval, enclose
from looprate.theory.enclosure.affine import affine_variables
from looprate.theory.enclosure.curved import curved_variables
from looprate.theory.enclosure.forms import evaluated
from looprate.theory.enclosure.soundness import check_enclosures

MASK = torch.tensor([True, False])
CLOSE = 1e-9
SHAPE = {"tokens": 3, "dim": 2}


class Of(nn.Module):
    """A function as a module."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


class OverTokens(nn.Module):
    """A layer that takes channels first."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x):
        return self.layer(x.transpose(1, 2)).transpose(1, 2)


class GroupedHeads(nn.Module):
    """Attention whose output is viewed as torch's fused kernel lays it out."""

    def __init__(self):
        super().__init__()
        self.query = nn.Linear(2, 4)

    def forward(self, x):
        q = self.query(x).view(len(x), 3, 2, 2).transpose(1, 2)
        found = F.scaled_dot_product_attention(q, q, q, is_causal=True)
        return found.transpose(1, 2).view(len(x), 3, 4)[..., 1:3]


def seen_by_all(x):
    h = x - x.mean(1, keepdim=True)
    c = h
    h.mul_(4)
    h += x
    return c


def batch_norm():
    layer = nn.BatchNorm1d(2)
    layer.running_mean[:] = torch.tensor([0.3, -0.2])
    layer.running_var[:] = torch.tensor([0.5, 2.0])
    return OverTokens(layer)


CASES = {
    "max": lambda: Of(lambda x: x - x.max(1, keepdim=True).values),
    "min": lambda: Of(lambda x: x - x.min(2, keepdim=True)[0]),
    "log": lambda: Of(lambda x: (x + 1).log() + x.log1p() + x.expm1()),
    "logsumexp": lambda: Of(lambda x: x - x.logsumexp(1, keepdim=True) + x.logsumexp(2)[..., None]),
    "log_softmax": lambda: Of(lambda x: x.log_softmax(1)),
    "softplus": lambda: Of(lambda x: F.softplus(4 * x - 2) + F.softplus(x, beta=3)),
    "log_sigmoid": lambda: Of(lambda x: F.logsigmoid(3 * x - 2)),
    "elu": lambda: Of(lambda x: F.elu(x - 0.5) + F.celu(x - 0.5, 2.0) + F.selu(x - 0.5)),
    "prelu": lambda: nn.Sequential(nn.Linear(2, 2), nn.PReLU()),
    "hard": lambda: Of(lambda x: F.hardsigmoid(8 * x - 4) + F.hardswish(8 * x - 4)),
    "norms": lambda: Of(lambda x: F.normalize(x, dim=-1) + x.norm(1, dim=1, keepdim=True)),
    "largest": lambda: Of(lambda x: x / torch.linalg.vector_norm(x, torch.inf, 1, keepdim=True)),
    "masked": lambda: Of(lambda x: x.masked_fill(MASK, 0.5) + torch.where(MASK, x, 2 * x)),
    "infinite": lambda: Of(lambda x: x.masked_fill(MASK, float("-inf")).softmax(-1)),
    "triangles": lambda: Of(lambda x: x.triu() + x.tril(-1)),
    "batch_norm": batch_norm,
    "group_norm": lambda: OverTokens(nn.GroupNorm(1, 2)),
    "rms_norm": lambda: nn.RMSNorm(2),
    "repeat": lambda: Of(lambda x: x[..., :1].repeat(1, 1, 2) + x[:, :1].repeat(1, 3, 1)),
    "width 1": lambda: OverTokens(nn.Conv1d(2, 2, 1)),
    "width 3": lambda: OverTokens(nn.Conv1d(2, 2, 3, padding=1, groups=2, bias=False)),
    "std": lambda: Of(lambda x: x / (1 + 4 * x.std(1, keepdim=True))),
    "heads": GroupedHeads,
    "empty": lambda: Of(lambda x: torch.cat([x[..., :0], x], -1)),
    "in place": lambda: Of(seen_by_all),
}
CACHE = {}


def function(name):
    """Traced once."""
    if name not in CACHE:
        torch.manual_seed(0)
        CACHE[name] = enclosed(CASES[name](), **SHAPE)
    return CACHE[name]


@pytest.mark.parametrize("name", CASES)
def test_torchs_numbers_lie_inside_and_close(name):
    f = function(name)
    check_enclosures(f, **SHAPE)
    rng = np.random.default_rng(1)
    points = rng.uniform(0.2, 0.7, (200, 3, 2))
    values = f(points)
    box = Interval(np.full((1, 3, 2), 0.2), np.full((1, 3, 2), 0.7))
    for kind in (lambda x: x, curved_variables, affine_variables):
        found = evaluated(f, kind(box))
        ranges = found if isinstance(found, Interval) else found.value
        assert (values >= ranges.lo - CLOSE).all()
        assert (values <= ranges.hi + CLOSE).all()
    at = enclose(f, points, points)
    assert np.abs(at.middle() - values).max() < CLOSE
    assert at.width.max() < CLOSE


@pytest.mark.slow
def test_every_everyday_operation_was_used():
    lines = [line for line in operations() if line.torch]
    made = [
        enclosable(line.torch, "torch")
        for line in lines
        if status(line.torch, "torch", line.box).word != "refused"
    ]
    used = {step.function for program in made for step in program.steps}
    used |= {step.function for name in CASES for step in function(name).program.steps}
    spare = {"_native_batch_norm_legit_no_training", "_euclidean_dist"}  # the same otherwise
    spare |= {"empty_like"}  # its numbers are not known
    assert {name for name, found in EVERYDAY.items() if found not in used} <= spare


@pytest.mark.parametrize(
    ("module", "said"),
    [
        (Of(lambda x: torch.where(x > 0.5, x, 2 * x)), "uses aten.gt"),
        (Of(lambda x: F.softplus(30 * x)), "keep its argument below 20"),
        (Of(lambda x: x.norm(3, dim=1, keepdim=True) + x), "order 3"),
        (OverTokens(nn.InstanceNorm1d(2)), "mixes its inputs"),
        (Of(lambda x: x.logsumexp((1, 2), keepdim=True) + x), "several axes"),
    ],
)
def test_what_has_no_enclosure_is_named(module, said):
    with pytest.raises(ValueError, match=said):
        enclose(enclosed(module, **SHAPE), np.zeros((1, 3, 2)), np.ones((1, 3, 2)))


@pytest.mark.parametrize("width", [2, 3, 5])  # R25
def test_normalised_entries_stay_below_the_root_of_their_number(width):
    f = enclosed(nn.LayerNorm(width), tokens=1, dim=width)
    found = enclose(f, np.zeros((1, 1, width)), np.ones((1, 1, width)))
    most = np.sqrt(width - 1)
    assert found.hi.max() <= most * (1 + 1e-12)
    assert found.lo.min() >= -most * (1 + 1e-12)
    corner = np.eye(width)[:1, None]
    assert f(corner).max() == pytest.approx(most, rel=1e-3)  # and come close
    bound = modulus_upper_bound(f, 0.1, kind="token", tokens=1, dim=width, seconds=1.0)
    assert bound.value <= 2 * most * np.sqrt(width) * (1 + 1e-9)


def by_hand(x):
    return x / (x.square().mean(-1, keepdim=True) + 1e-6).sqrt()


def by_product(x):
    return x * torch.rsqrt(x.pow(2).mean((1, 2), keepdim=True) + 1e-6)


@pytest.mark.parametrize("width", [2, 5])  # R25
@pytest.mark.parametrize(
    "norm", [nn.RMSNorm, lambda width: Of(by_hand), lambda width: Of(by_product)]
)
def test_entries_over_their_root_mean_square_stay_below_the_root_of_their_number(norm, width):
    f = enclosed(norm(width), tokens=1, dim=width)
    found = enclose(f, np.zeros((1, 1, width)), np.ones((1, 1, width)))
    most = np.sqrt(width)
    assert found.hi.max() <= most * (1 + 1e-12)
    assert found.lo.min() >= -most * (1 + 1e-12)
    corner = np.eye(width)[:1, None]
    assert f(corner).max() == pytest.approx(most, rel=1e-3)  # and come close
    assert (enclose(f, corner, corner).hi >= f(corner)).all()


def test_a_mean_of_other_squares_is_no_norm():  # x over the root of a mean square of 2x, of x/2
    for scale in (0.5, 2.0):
        f = enclosed(
            Of(lambda x, a=scale: x * torch.rsqrt((a * x).square().mean(-1, keepdim=True) + 1e-6)),
            **{"tokens": 1, "dim": 2},
        )
        corner = np.array([[[1.0, 0.0]]])
        found = enclose(f, np.zeros((1, 1, 2)), np.ones((1, 1, 2)))
        assert found.hi.max() >= f(corner).max()


def layer_norm_by_hand(x, share=1):
    mean = x.mean(1, keepdim=True)
    away = x.mean(1, keepdim=True) if share == 1 else x.mean(1, keepdim=True) * share
    size = (x - away).pow(2).mean(1, keepdim=True)
    return (x - mean) * torch.rsqrt(size + 1e-9)


@pytest.mark.parametrize("share", [1, 0.5])
def test_what_is_computed_twice_is_known_to_be_one_array(share):
    f = enclosed(Of(lambda x: layer_norm_by_hand(x, share)), **SHAPE)
    found = enclose(f, np.zeros((1, 3, 2)), np.ones((1, 3, 2)))
    corner = np.tile(np.eye(3)[:1, :, None], (1, 1, 2)) * 1e-3
    assert found.contains(f(corner)).all()
    limited = found.magnitude.max() <= np.sqrt(3) * (1 + 1e-9)
    assert limited == (share == 1)  # over another norm it is not
