"""Trained networks certified: the enclosure of an L^p error holds the error, and comes close."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch

from looprate.approx.enclosed import error as enclosed_error
from looprate.approx.enclosed.error import _cells, certified_error, guessed_upper
from looprate.approx.error import error
from looprate.approx.fit.fitted import Recipe
from looprate.approx.fit.halving import SearchPlan, best_found
from looprate.approx.fit.polish import Stage
from looprate.approx.models.looped import LoopedTransformer, ModelConfig, matched_config
from looprate.experiments.study import best as study_best
from looprate.theory.enclosure.affine import affine_variables
from looprate.theory.enclosure.boxes import cell_boxes
from looprate.theory.enclosure.forms import SharedSymbols
from looprate.theory.enclosure.integral import ErrorIntegral, error_norm
from looprate.theory.enclosure.intervals import Interval
from looprate.theory.gate import Contradiction
from looprate.theory.targets import parse_target

DIAL = parse_target("dial:token=0.5,context=0.5,periods=1")
HOW = {"tokens": 2, "loops": 2, "p": 1.0}
SIZE = {**HOW, "dim": 1}
PLAN = SearchPlan(
    starts=4,
    rungs=(60,),
    finalists=1,
    stages=(Stage(3, 4),),
    recipe=Recipe(validation_points=64),
)


@pytest.fixture(scope="module")
def best():
    config = matched_config(ModelConfig(width=4, heads=1, hidden=4, frequencies=2, clock=2), "lt")
    plan = {"plan": PLAN, "compiled": False, "points": 4096, "replicates": 2}
    return best_found(DIAL, config, **HOW, **plan)


@pytest.mark.parametrize("p", [1.0, 2.0])
def test_a_certified_error_holds_the_sampled_one_and_comes_close(best, p):
    found = certified_error(best.model(), DIAL, **{**SIZE, "p": p}, boxes=1_500)
    how = {"tokens": 2, "dim": 1, "p": p, "points": 8192, "dtype": torch.float64}
    sampled = error(best.model(), DIAL, **how)
    slack = 6 * sampled.stderr
    assert found.lower - slack <= sampled.value <= found.upper + slack
    assert found.upper < 1.25 * sampled.value
    assert found.lower > 0.75 * sampled.value


def test_best_found_is_never_below_its_certified_lower_end(best):
    found = certified_error(best.model(), DIAL, **SIZE, boxes=1_500)
    assert best.error.value + 6 * best.error.stderr >= found.lower > 0
    better = replace(best.error, value=0.7 * best.error.value)  # negative control
    assert better.value + 6 * better.stderr < found.lower


def test_the_enclosure_of_another_network_does_not_hold_the_error(best):  # negative control
    model = best.model()
    with torch.no_grad():
        model.read_bias += 0.5
    found = certified_error(model, DIAL, **SIZE, boxes=300)
    assert found.lower > best.error.value


@pytest.mark.parametrize("p", [1.0, 2.0])
def test_a_guess_is_near_the_upper_end_of_equal_boxes(best, p):
    size = {**SIZE, "p": p}
    whole = certified_error(best.model(), DIAL, **size, boxes=2_000, tolerance=10.0)  # none is cut
    guess = guessed_upper(best.model(), DIAL, **size, boxes=1_000)
    assert guess == pytest.approx(whole.upper, rel=0.1)


def test_an_upper_end_below_what_is_sampled_is_refused(best, monkeypatch):
    broken = ErrorIntegral(0.0, 0.5 * best.error.value, 1, True)
    monkeypatch.setattr(enclosed_error, "certified_error", lambda *args, **how: broken)
    with pytest.raises(Contradiction, match=r"certified to be at most .* random inputs give"):
        study_best._certified(best, DIAL, **SIZE, boxes=1_000)
    fair = replace(broken, upper=1.5 * best.error.value)
    monkeypatch.setattr(enclosed_error, "certified_error", lambda *args, **how: fair)
    assert study_best._certified(best, DIAL, **SIZE, boxes=1_000)["certified_upper"] == fair.upper


def test_what_is_hopeless_to_certify_is_not_tried(best, monkeypatch):
    monkeypatch.setattr(enclosed_error, "certified_error", pytest.fail)
    assert study_best._certified(best, DIAL, **SIZE, boxes=2) == dict.fromkeys(study_best.ENDS)


@pytest.mark.parametrize(("tokens", "dim"), [(1, 2), (2, 1), (3, 1), (2, 2)])
def test_cells_of_one_order_stand_for_the_whole_cube(tokens, dim):
    cells, copies, grid = _cells(tokens, dim, 60, symmetric=True)
    every, ones, same = _cells(tokens, dim, grid ** (tokens * dim), symmetric=False)
    assert copies.sum() == grid ** (tokens * dim) == len(every) == ones.sum()
    assert same == grid
    assert len(cells) < len(every) or tokens == 1 or grid == 1
    columns = {tuple(sorted(map(tuple, cell.tolist()))) for cell in cells}
    assert columns == {tuple(sorted(map(tuple, cell.tolist()))) for cell in every}


@pytest.mark.parametrize("p", [1.0, 2.0, np.inf])
def test_shared_symbols_enclose_the_same_integral_as_slopes(p):
    low, high = cell_boxes(np.array(list(product(range(8), repeat=2)))[:, :, None], 8)
    y = np.full(low.shape, 0.3)
    ends = [
        error_norm(f, low, high, y, p=p, tolerance=0.05, boxes=2_000)
        for f in (DIAL, SharedSymbols(DIAL))
    ]
    assert all(found.converged for found in ends)
    assert ends[0].lower <= ends[1].upper
    assert ends[1].lower <= ends[0].upper


def test_forms_of_numbers_known_to_be_bounded_become_boxes_where_they_say_less():
    x = affine_variables(Interval(np.zeros((2, 1, 1)), np.array([[[1.0]], [[100.0]]])))
    found = (x - 0.25).known(-1.0, 1.0)
    np.testing.assert_allclose(found.value.lo.ravel(), [-0.25, -0.25])
    np.testing.assert_allclose(found.value.hi.ravel(), [0.75, 1.0])
    np.testing.assert_allclose(found.coef[0].ravel(), [0.5, 0.0])
    np.testing.assert_allclose(found.rest.ravel(), [0.0, 1.0], atol=1e-12)


def test_a_norm_that_may_vanish_on_a_box_leaves_a_finite_error():
    config = matched_config(ModelConfig(width=2, heads=1, hidden=4), "lt")
    model = LoopedTransformer(config, seed=2, loops=SIZE["loops"])
    with torch.no_grad():
        model.embed_bias.copy_(-0.4 * model.embed[:, 0])  # the state is 0 at x = 0.4
    found = certified_error(model, DIAL, **SIZE, boxes=200)
    how = {"tokens": 2, "dim": 1, "p": 1.0, "dtype": torch.float64}
    assert found.lower <= error(model.double(), DIAL, **how).value <= found.upper < 100
