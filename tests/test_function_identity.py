"""What a function is: digests and fingerprints tell functions apart, in every process alike."""

import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from looprate.theory.targets import resolve_target
from looprate.theory.targets.identity import ENTRIES, code_digest, fingerprint, fixed_inputs

ROOT = Path(__file__).resolve().parent.parent


def scaled(factor):
    """Return a local function of a factor that it closes over."""
    return lambda x: factor * x


def helped(helper):
    """Return a local function that calls another one."""

    def f(x):
        return helper(x) + x

    return f


def rare(limit):
    """Return a function whose branch at the end of the cube no probe sees."""
    return lambda x: np.where(x > limit, 0.0, x)


class Callable:
    """An object that can be called, without a representation of its own."""

    def __init__(self, weights):
        self.weights = weights

    def __call__(self, x):
        return self.weights[0] * x


SAME = [
    lambda: scaled(2.0),
    lambda: helped(scaled(3.0)),
    lambda: rare(0.5),
    lambda: partial(np.multiply, 2.0),
    lambda: Callable(np.array([1.0, 2.0])),
    lambda: Callable(np.array([1.0, 2.0])).__call__,
    lambda: Callable(torch.tensor([1.0, 2.0])),
    lambda: resolve_target("formula: sin(6*x)"),
    lambda: resolve_target("0.5*mean-field + context-max"),
]


OTHERS = [  # C1: functions of one name, or one place, that differ
    (scaled(2.0), scaled(2.5)),
    (lambda x: x + 1, lambda x: x + 2),
    (lambda x: x + 1, lambda x: x - 1),
    (lambda x: np.sin(x), lambda x: np.cos(x)),
    (helped(scaled(2.0)), helped(scaled(3.0))),
    (rare(1 - 1e-9), rare(1 - 1e-10)),
    (lambda x, k=1: k * x, lambda x, k=2: k * x),
    (lambda x: (lambda y: y + 1)(x), lambda x: (lambda y: y + 2)(x)),
    (partial(np.multiply, 2.0), partial(np.multiply, 3.0)),
    (Callable(np.array([1.0, 2.0])), Callable(np.array([1.0, 3.0]))),
    (Callable(np.array([1.0])), Callable(np.array([1.0], np.float32))),
    (Callable([1.0]).__call__, Callable([2.0]).__call__),
    (Callable({"a": 1, 0: 1.0}), Callable({"b": 1, 0: 1.0})),
    (Callable({1, 2}), Callable({1, 3})),
    (Callable(torch.tensor([1.0, 2.0])), Callable(torch.tensor([1.0, 3.0]))),
    (resolve_target("formula: x*3"), resolve_target("formula: x/3")),
    (resolve_target("mean-field:a=1"), resolve_target("mean-field:a=2")),
]


@pytest.mark.parametrize("make", SAME)
def test_a_function_made_again_is_the_same(make):
    assert code_digest(make()) == code_digest(make())


@pytest.mark.parametrize(("one", "other"), OTHERS)
def test_functions_that_differ_are_told_apart(one, other):  # C1
    assert code_digest(one) != code_digest(other)


def test_a_weight_of_a_module_behind_a_function_counts():
    module = torch.nn.TransformerEncoderLayer(4, 2, 8, batch_first=True)
    f = helped(module)
    before = code_digest(f)
    assert code_digest(f) == before
    with torch.no_grad():
        module.linear1.weight[0, 0] += 1e-6
    assert code_digest(f) != before


def test_values_tell_functions_apart_to_the_last_bit():
    def found(f):
        return fingerprint(f, tokens=2, dim=1)

    assert found(lambda x: x) == found(lambda x: 1.0 * x)
    assert found(lambda x: x) != found(lambda x: x * (1 + 2**-52))
    assert found(lambda x: 1 / x) != found(lambda x: 1 / (x + 1e-9))  # raises nothing, or inf
    assert fingerprint(np.sin, tokens=2, dim=1) != fingerprint(np.sin, tokens=1, dim=2)


def test_a_function_that_fails_at_a_corner_has_a_fingerprint():
    target = resolve_target("formula: 1/x")
    assert fingerprint(target, tokens=2, dim=1) == fingerprint(target, tokens=2, dim=1)


def test_many_tokens_need_few_inputs():
    inside, corners = fixed_inputs(tokens=500, dim=100)
    assert inside.shape[1:] == corners.shape[1:] == (500, 100)
    assert inside.size <= 2 * ENTRIES * 8


SCRIPT = """
import numpy as np, sys
from functools import lru_cache
from looprate.theory.targets.identity import code_digest, fingerprint

WORDS = frozenset("abcdefgh")
@lru_cache
def known(word): return word in {"a", "b", "c"}
class Kind:
    def __init__(self): self.names = set("xyz"); self.other = object()
    def __call__(self, x): return x * known("a") + len(WORDS)
print(code_digest(Kind()), code_digest(lambda x: Kind()(x)), fingerprint(Kind(), tokens=2, dim=1))
"""


def test_digests_depend_on_no_process_address_or_hash():
    said = {
        subprocess.run(
            [sys.executable, "-c", SCRIPT],
            env={**os.environ, "PYTHONHASHSEED": seed},
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "77")
    }
    assert len(said) == 1
