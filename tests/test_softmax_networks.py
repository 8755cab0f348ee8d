"""Constructed networks with softmax: hardmax is its limit, and the beta that suffices is found."""

import math

import numpy as np
import pytest
import torch
from test_constructed import NETWORKS, ROUNDING, as_tensor, decode, largest, points

from looprate.approx.constructed import sharpness as softmax_beta
from looprate.approx.constructed.network import constructed_transformer
from looprate.approx.constructed.sharpness import (
    BETA_PRECISION,
    SMALLEST_BETA,
    off_maximum_weight_upper_bound,
    softmax_beta_for,
)
from looprate.theory.construction.build.network import Affine, Block, Head, Network


def test_ties_share_the_weight_equally():
    head = Head({"one": 1}, {"c": 1}, {"x": 1}, {"y": 1})
    encoder = {"x": Affine({0: 1}), "c": Affine({1: 1}), "one": Affine({}, 1)}
    block = Block(("x", "c", "one", "y"), (head,), (), {})
    network = Network(block, encoder, decode("y", "c"), {}, 1)
    x = torch.tensor([[[4.0, 1.0], [8.0, 1.0], [64.0, 0.0]]], dtype=torch.float64)
    assert constructed_transformer(network)(x)[0, :, 0].tolist() == [6.0, 6.0, 6.0]
    x[0, 2, 1] = 1.0
    found = constructed_transformer(network, exact=False)(x)[0, :, 0]
    torch.testing.assert_close(found, torch.full_like(found, 76 / 3))
    x[0, :, 0] = torch.tensor([0.0, 0.0, 1.0])  # a mean of 1/3
    with pytest.raises(ValueError, match="`network` must share values among tokens that tie"):
        constructed_transformer(network)(x)


def test_softmax_weighs_the_tokens_by_its_scores():
    head = Head({"one": 1}, {"x": 1}, {"x": 1}, {"y": 1})
    block = Block(("x", "one", "y"), (head,), (), {})
    network = Network(block, {"x": Affine({0: 1}), "one": Affine({}, 1)}, decode("y"), {}, 1)
    x = torch.tensor([[[3.0], [5.0], [4.0]]], dtype=torch.float64)
    for beta in (0.5, 2.0):
        weights = [math.exp(beta * v) for v in (3, 5, 4)]
        want = (3 * weights[0] + 5 * weights[1] + 4 * weights[2]) / sum(weights)
        found = constructed_transformer(network, beta=beta)(x)
        torch.testing.assert_close(found, torch.full_like(x, want), rtol=ROUNDING, atol=0)


@pytest.mark.parametrize("name", ["largest", "tied", "scheduled", "random 0"])
def test_sharp_softmax_is_hardmax(name):
    network, tokens = NETWORKS[name]
    x = as_tensor(*points(network.dim, tokens))
    sharp = constructed_transformer(network, beta=2.0**20)(x)
    torch.testing.assert_close(sharp, constructed_transformer(network)(x), rtol=ROUNDING, atol=0)


def test_softmax_with_scores_and_beta_at_the_limit_stays_finite():
    head = Head({"one": 1}, {"x": 2**52}, {"x": 1}, {"y": 1})
    block = Block(("x", "one", "y"), (head,), (), {})
    network = Network(block, {"x": Affine({0: 1}), "one": Affine({}, 1)}, decode("y"), {}, 1)
    x = torch.tensor([[[1.0], [2.0]]], dtype=torch.float64)
    assert constructed_transformer(network, beta=2.0**60)(x).tolist() == [[[2.0], [2.0]]]


def test_softmax_tells_large_scores_apart():
    head = Head({"one": 1}, {"x": 1, "one": 2**50}, {"x": 1}, {"y": 1})
    block = Block(("x", "one", "y"), (head,), (), {})
    network = Network(block, {"x": Affine({0: 1}), "one": Affine({}, 1)}, decode("y"), {}, 1)
    x = torch.tensor([[[0.0], [1.0]]], dtype=torch.float64)
    found = constructed_transformer(network, beta=0.7)(x)
    torch.testing.assert_close(found, torch.full_like(x, 1 / (1 + math.exp(-0.7))))


@pytest.mark.parametrize("tolerance", [1e-1, 1e-6])
def test_the_beta_found_is_the_smallest_that_passes(tolerance):
    network = largest()
    x = as_tensor(*points(2, 3))
    search = softmax_beta_for(network, x, tolerance=tolerance)
    assert search.tolerance == tolerance
    betas = [beta for beta, _ in search.curve]
    assert betas == sorted(set(betas))
    assert {2.0**k for k in range(61)} <= set(betas)
    passing = [beta for beta, error in search.curve if beta >= search.beta and error <= tolerance]
    assert len(passing) == sum(beta >= search.beta for beta in betas)
    failing = max(beta for beta, error in search.curve if not error <= tolerance)
    assert failing < search.beta <= failing * (1 + BETA_PRECISION)
    hard = constructed_transformer(network)(x)
    for beta, error in (search.curve[0], search.curve[3]):
        soft = constructed_transformer(network, beta=beta)(x)
        assert float((soft - hard).abs().max()) == error


def test_a_beta_that_suffices_everywhere_is_found_down_to_the_smallest():
    x = as_tensor(*points(2, 1))
    search = softmax_beta_for(largest(), x, tolerance=1e-9, largest=8)  # one token: any beta does
    assert search.beta == search.curve[0][0] == SMALLEST_BETA
    assert search.curve[-1][0] == 8


def test_none_is_said_when_the_largest_beta_fails():
    x = as_tensor(*points(2, 3))
    search = softmax_beta_for(largest(), x, tolerance=1e-9, largest=2)
    assert search.beta is None
    assert [beta for beta, _ in search.curve] == [1, 2]
    off = softmax_beta_for(largest(), x, tolerance=0.1, reference=x + 100, largest=4)
    assert off.beta is None
    assert all(error > 10 for _, error in off.curve)


def test_a_small_beta_that_passes_below_one_that_fails_is_not_taken():
    errors = {8.0: 0, 4.0: 0, 2.0: 1, 1.0: 0}
    found = softmax_beta._smallest(lambda beta: not errors.get(beta, beta < 3), 8.0)
    assert 3 <= found <= 3 * (1 + BETA_PRECISION)
    found = softmax_beta._smallest(lambda beta: beta > 5 or 1 < beta < 4, 8.0)
    assert 5 <= found <= 5 * (1 + BETA_PRECISION)
    assert softmax_beta._smallest(lambda beta: beta < 8, 8.0) is None
    assert 0.3 <= softmax_beta._smallest(lambda beta: beta >= 0.3, 8.0) <= 0.303


def test_wrong_arguments_of_the_search_are_refused():
    x = as_tensor(*points(2, 3))
    for tolerance in (-1.0, math.nan):
        with pytest.raises(ValueError, match="`tolerance` must be a number >= 0"):
            softmax_beta_for(largest(), x, tolerance=tolerance)
    for limit in (0.5, math.inf):
        with pytest.raises(ValueError, match="`largest` must be a finite number >= 1"):
            softmax_beta_for(largest(), x, tolerance=1, largest=limit)
    with pytest.raises(ValueError, match="`inputs` must hold at least one input"):
        softmax_beta_for(largest(), x[:0], tolerance=1)
    with pytest.raises(ValueError, match="`reference` must have the shape of `inputs`"):
        softmax_beta_for(largest(), x, tolerance=1, reference=x[:1])


@pytest.mark.parametrize("tokens", [1, 2, 5])
def test_the_weight_off_the_maximum_never_exceeds_its_bound(tokens):
    rng = np.random.default_rng(0)
    for beta, gap in ((0.5, 1.0), (3.0, 1.0), (3.0, 0.25), (20.0, 2.0)):
        bound = off_maximum_weight_upper_bound(beta, tokens=tokens, gap=gap)
        scores = gap * rng.integers(0, 4, (2000, tokens))
        weights = np.exp(beta * (scores - scores.max(1, keepdims=True)))
        weights /= weights.sum(1, keepdims=True)
        off = np.where(scores < scores.max(1, keepdims=True), weights, 0).sum(1)
        assert off.max() <= bound
        if beta * gap > 2:  # attained up to the weight itself
            assert off.max() >= bound / (1 + bound) * (1 - ROUNDING)
    with pytest.raises(ValueError, match="`beta` and `gap` must be >= 0"):
        off_maximum_weight_upper_bound(-1.0, tokens=tokens)
