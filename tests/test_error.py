"""Estimated errors: the points they are taken at, and how they are put together."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from looprate.approx.error import HELD_OUT, ErrorEstimate, error, errors_of, sobol_points

CASE = {"tokens": 2, "dim": 3, "p": 1.5}


def drawn(count, seed, dtype=torch.float32):
    return torch.quasirandom.SobolEngine(6, scramble=True, seed=seed).draw(count, dtype=dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_points_are_scrambled_sobol_points_from_the_first_on(dtype):
    found = sobol_points(8, tokens=2, dim=3, seed=4, dtype=dtype)
    assert found.dtype == dtype
    assert torch.equal(found, drawn(8, 4, dtype).view(8, 2, 3))
    assert sobol_points(8, tokens=2, dim=3, seed=4).dtype == torch.float32
    later = sobol_points(4, tokens=2, dim=3, seed=4, skip=3, dtype=dtype)
    assert torch.equal(later, drawn(7, 4, dtype)[3:].view(4, 2, 3))
    one = sobol_points(4, tokens=2, dim=3, seed=4, skip=1, dtype=dtype)
    assert torch.equal(one, drawn(5, 4, dtype)[1:].view(4, 2, 3))


def gap(x):
    """Two models: their differences to the truth 0."""
    return torch.stack([x - 0.3, x.flip(-1) ** 2])


def by_hand(points, replicates, seed, p, dtype):
    """Values and standard errors of both models, from the scrambles seed, seed + 1, ..."""
    powers = []
    for k in range(replicates):
        x = drawn(points, seed + k, dtype).view(points, 2, 3)
        powers.append((gap(x).double().abs() ** p).sum((2, 3)).mean(1).numpy())
    powers = np.array(powers)
    mean, spread = powers.mean(0), powers.std(0, ddof=1) / math.sqrt(replicates)
    value = mean ** (1 / p)
    return value, value * spread / (p * mean)  # the derivative of the root


@pytest.mark.parametrize(
    ("given", "points", "replicates", "seed"),
    [
        ({}, 512, 8, 1_000_003),
        ({"seed": 9, "points": 64, "replicates": 2, "batch": 16}, 64, 2, 9),
        ({"seed": 9, "points": 1024, "replicates": 3}, 1024, 3, 9),
    ],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_estimates_are_those_of_the_scrambles_that_follow_the_seed(
    given, points, replicates, seed, dtype
):
    found = errors_of(gap, torch.zeros_like, **CASE, **given, dtype=dtype)
    value, stderr = by_hand(points, replicates, seed, 1.5, dtype)
    assert [one.value for one in found] == pytest.approx(value, rel=1e-9)
    assert [one.stderr for one in found] == pytest.approx(stderr, rel=1e-6)
    for one in found:
        assert (one.points, one.replicates, one.p) == (points * replicates, replicates, 1.5)
    assert HELD_OUT == 1_000_003


def test_one_model_has_the_same_estimate_in_one_batch():
    calls = []

    def model(x):
        calls.append(x)
        return gap(x)[0]

    more = {"points": 64, "replicates": 3, "seed": 5, "dtype": torch.float64}
    found = error(model, torch.zeros_like, **CASE, **more, device="cpu")
    assert found == errors_of(gap, torch.zeros_like, **CASE, **more, batch=64)[0]
    assert isinstance(found, ErrorEstimate)
    assert [tuple(x.shape) for x in calls] == [(64, 2, 3)] * 3
    usual = error(model, torch.zeros_like, **CASE)
    assert usual == errors_of(gap, torch.zeros_like, **CASE)[0]
    assert usual.points == 4096
    assert not calls[-1].requires_grad


@pytest.mark.parametrize("device", ["cpu", torch.device("cpu", 0)])
def test_points_are_put_on_the_device_and_truth_may_differ_by_model(monkeypatch, device):
    asked, to = [], torch.Tensor.to

    def put(x, *where, **more):
        asked.extend(where)
        return to(x, *where, **more)

    monkeypatch.setattr(torch.Tensor, "to", put)
    how = {"points": 32, "replicates": 2} | CASE
    first, second = errors_of(gap, gap, **how, batch=16, device=device)
    assert (first.value, second.value) == (0.0, 0.0)
    assert [where for where in asked if where is device] == [device] * 2
    error(lambda x: gap(x)[0], torch.zeros_like, **how, device=device)
    assert [where for where in asked if where is device] == [device] * 4


def test_no_gradient_is_kept():
    weight = torch.nn.Parameter(torch.tensor(0.5))
    how = {"points": 32, "replicates": 2, "batch": 32} | CASE
    assert errors_of(lambda x: (weight * x)[None], lambda x: x, **how)[0].value > 0


@pytest.mark.parametrize("p", [1.0, 2.0, 3.0])
@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (3, 2)])
def test_errors_of_known_functions_are_found_with_the_root_and_every_entry(p, shape):
    """A constant difference c has the error c (Nd)^(1/p) and no spread; x has (Nd/(p+1))^(1/p)."""
    tokens, dim = shape
    given = {"tokens": tokens, "dim": dim, "p": p, "points": 256, "replicates": 4, "batch": 64}
    shifts = torch.tensor([0.25, 0.5])[:, None, None, None]
    found = errors_of(lambda x: x + shifts, lambda x: x, **given)
    for shift, one in zip((0.25, 0.5), found, strict=True):
        assert one.value == pytest.approx(shift * (tokens * dim) ** (1 / p), rel=1e-6)
        assert one.stderr < 1e-7
    (one,) = errors_of(lambda x: 2 * x[None], lambda x: x, **given)
    truth = (tokens * dim / (p + 1)) ** (1 / p)
    assert abs(one.value - truth) < 5 * one.stderr + 1e-4
    assert 0 < one.stderr < 0.01 * one.value
    (same,) = errors_of(lambda x: x[None], lambda x: x, **given)
    assert (same.value, same.stderr) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"tokens": 0}, "`tokens`"),
        ({"dim": 0}, "`dim`"),
        ({"p": 0.5}, "`p`"),
        ({"p": math.inf}, "`p` must be finite"),
        ({"replicates": 1}, "`replicates` must be >= 2"),
        ({"points": 100}, "`points` must be a multiple of batch=32"),
    ],
)
def test_estimates_that_cannot_be_made_are_refused(change, said):
    with pytest.raises(ValueError, match=said):
        errors_of(gap, gap, **({"points": 32, "replicates": 2, "batch": 32} | CASE | change))
