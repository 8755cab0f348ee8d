"""Functions and torch modules as people bring them; every one is called with N = 3 and d = 4.

The weights are drawn as the file is read.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

encoder = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True)
encoder_eval = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True, norm_first=True).eval()
layer_norm = nn.LayerNorm(4)
in_place = nn.Sequential(nn.Linear(4, 4), nn.ReLU(inplace=True), nn.Dropout(0.5))
first_in_place = nn.Sequential(nn.ReLU(inplace=True), nn.Linear(4, 4))
scripted = torch.jit.script(nn.Sequential(nn.Linear(4, 4), nn.Tanh()))
half = nn.Linear(4, 4).half()


class RMSNorm(nn.Module):
    """Computes in float32, as published ones do."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.rand(4))

    def forward(self, x):
        y = x.float()
        y = y * torch.rsqrt(y.pow(2).mean(-1, keepdim=True) + 1e-5)
        return (y * self.weight).type_as(x)


class SAB(nn.Module):
    """Set attention block."""

    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.MultiheadAttention(4, 2, batch_first=True)
        self.after = nn.Sequential(nn.Linear(4, 8), nn.GELU(), nn.Linear(8, 4))

    def forward(self, x, context=None):
        y = x if context is None else context
        h = x + self.mix(x, y, y, need_weights=False)[0]
        return h + self.after(h)


class ISAB(nn.Module):
    """Attention through two inducing points."""

    def __init__(self) -> None:
        super().__init__()
        self.points = nn.Parameter(torch.randn(1, 2, 4))
        self.into, self.back = SAB(), SAB()

    def forward(self, x):
        return self.back(x, self.into(self.points.expand(len(x), -1, -1), x))


class PMA(nn.Module):
    """Pooling by attention, given back to every token."""

    def __init__(self) -> None:
        super().__init__()
        self.seed = nn.Parameter(torch.randn(1, 1, 4))
        self.pool = SAB()

    def forward(self, x):
        return x + self.pool(self.seed.expand(x.shape[0], -1, -1), x)


class DeepSets(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.own, self.all = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x):
        return torch.tanh(self.own(x) + self.all(x.mean(1, keepdim=True)))


class GroupedHeads(nn.Module):
    """Two query heads share one key head."""

    def __init__(self) -> None:
        super().__init__()
        self.q, self.kv = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x):
        b, n, _ = x.shape
        q = self.q(x).view(b, n, 2, 2).transpose(1, 2)
        k, v = (part.expand(-1, 2, -1, -1) for part in self.kv(x).unsqueeze(1).chunk(2, -1))
        out = functional.scaled_dot_product_attention(q, k, v)
        return out.transpose(1, 2).contiguous().view(b, n, 4)


class LambdaBlock(nn.Module):
    """As the authors' edit-distance block: a lambda made in ``__init__`` holds the submodules."""

    def __init__(self) -> None:
        super().__init__()
        norm, drop = nn.LayerNorm(4), nn.Dropout(0.1)
        self.net = nn.Linear(4, 4)
        self.step = lambda x: x + drop(self.net(norm(x)))

    def forward(self, x):
        return self.step(x)


class Hidden(nn.Module):
    """Submodules and tensors that torch does not know of."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = {"a": [nn.Linear(4, 4)], "b": (nn.Dropout(0.3),)}
        self.scale = torch.rand(4)
        self.register_buffer("shift", torch.rand(4))

    def forward(self, x):
        return self.layers["b"][0](self.layers["a"][0](x)) * self.scale + self.shift @ torch.eye(
            4, dtype=x.dtype
        )


@dataclass
class Scale:
    by: float = 0.5
    net: nn.Module | None = None

    def __call__(self, x):
        return self.by * self.net(x)


rms, sab, isab, pma = RMSNorm(), SAB(), ISAB(), PMA()
deep_sets, grouped, lambda_block, hidden = DeepSets(), GroupedHeads(), LambdaBlock(), Hidden()
callable_object = Scale(net=nn.Linear(4, 4))
partial = functools.partial(lambda net, x: net(x), nn.Linear(4, 4))
weight = torch.rand(4, 4)


def closes_over(x):
    return deep_sets(x)


def of_a_tensor(x):
    return x @ weight


def casts_itself(x):
    return deep_sets32(x.float()).double()


deep_sets32 = DeepSets()


def maker():
    return nn.Sequential(nn.Linear(4, 4), nn.Sigmoid())
