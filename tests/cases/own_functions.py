"""Functions of a user's own, in a file as a command line names it: ``f"{OWN}:for_both"``."""

import numpy as np
import torch

OWN = __file__


def for_numpy(x):
    return np.sqrt(x)


def for_torch(x):
    return torch.relu(x - 0.3)


def square_in_torch(x):
    return torch.square(x)


def for_both(x):
    return x * x


class Bend(torch.nn.Module):
    def forward(self, x):
        return 3 * torch.relu(x - 0.4)


class Mixer(torch.nn.Module):
    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.up = torch.nn.Parameter(torch.randn(1, 4, generator=generator))
        self.drop = torch.nn.Dropout(0.5)

    def forward(self, x):
        return self.drop(torch.tanh(x @ self.up)).sum(2, keepdim=True) + x.mean(1, keepdim=True)


def maker():
    return Mixer()


model = Mixer()


def identity(x):
    return 1.0 * x


def constant(x):
    return 0.3 + 0.0 * x


def smooth(x):
    return np.sin(x) + x.mean(axis=1, keepdims=True)


def waves(x):
    return np.sin(9 * x * x.mean(1, keepdims=True)) * np.cos(5 * x)


# -- not continuous, not equivariant, without enclosure ------------------------------------------


def jump(x):
    return np.where(x > 0.4, 1.0, 0.0)


def step(x):
    return x + (x > 0.37)


def steps(x):
    return np.round(3 * x) / 3


def first_token_differs(x):
    return x * np.linspace(1.0, 2.0, x.shape[1]).reshape(1, -1, 1)


def shifted(x):
    return x + np.arange(x.shape[1])[:, None] / 4


def opaque(x):
    return np.cbrt(1 + x.max(1))[:, None] + 0 * x


def by_type(x):
    return np.sin(6 * x) if type(x).__name__ in ("ndarray", "Tensor") else 0 * x


# -- at the edge of float64 ------------------------------------------------------------------------


def stair(x):
    return (np.sqrt(1 + 1e-15 * x) - 1) * 1e15


def tiny(x):
    return 5e-324 * x


def noisy(x):
    return x + 1e-3 * np.random.randn(*x.shape)  # noqa: NPY002


# -- against the rules -----------------------------------------------------------------------------


def wrong_shape(x):
    return x[:, :1]


def not_a_number(x):
    return x / 0 * 0


def hollow(x):
    return x / (x - x)


def far(x):
    return x if x.max() < 1 else x * float("nan")


def raises(x):
    raise RuntimeError("first line\nsecond line")


def raises_late(x):
    if len(x) > 10:
        raise ZeroDivisionError("too many")
    return x * x


number = 3
