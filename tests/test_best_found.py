"""Best found: halving keeps the better half, a polish never worsens, held-out is unread."""

from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest
import torch

from cases.small_fits import Stopped, mean
from looprate.approx.error import HELD_OUT, sobol_points
from looprate.approx.fit import halving, progress
from looprate.approx.fit.fitted import Recipe
from looprate.approx.fit.halving import SearchPlan, best_found
from looprate.approx.fit.polish import QUADRATURE, Polisher, Stage, _Points
from looprate.approx.fit.progress import Progress
from looprate.approx.fit.state import fresh_state
from looprate.approx.models.looped import FAMILIES, LoopedTransformer, ModelConfig, matched_config

ALL_WRITES = 18  # of a search that is not killed: two a rung, one a step and one a stage
TINY = ModelConfig(width=4, heads=1, hidden=4, frequencies=2, clock=2)
PLAN = SearchPlan(
    starts=8,
    rungs=(20, 20, 20),
    finalists=2,
    stages=(Stage(1, 3), Stage(2, 3)),
    recipe=Recipe(batch=8, validation_points=64),
)
HOW = {"tokens": 2, "loops": 2, "p": 1.0}


def wave(x):
    """A function that no constant is near."""
    return torch.sin(6 * x) + x.mean(1, keepdim=True)


def search(**changes):
    """A search of the wave by tiny networks, uncompiled."""
    usual = {**HOW, "plan": PLAN, "points": 256, "replicates": 2, "compiled": False}
    return best_found(wave, matched_config(TINY, "lt"), **{**usual, **changes})


def start_of(config, seed=0):
    """First weights in float64, shape (P,)."""
    member = replace(PLAN.members()[0][0], seed=seed)
    return torch.from_numpy(fresh_state(config, [member], evaluations=1).flat[0]).double()


# -- polish ----------------------------------------------------------------------------------------
@pytest.mark.parametrize(("family", "p"), [*zip(FAMILIES, (1.0, 2.0, 3.0), strict=True)])
def test_a_polish_lowers_the_error_on_its_points_as_recomputed(family, p):
    config = matched_config(TINY, family, loops=2)
    polisher = Polisher(config, wave, tokens=2, loops=2, p=p)
    found = polisher.polished(start_of(config), Stage(2, 6))
    assert found.after < 0.7 * found.before
    assert not found.settled
    x = sobol_points(found.points, tokens=2, dim=1, seed=QUADRATURE, dtype=torch.float64)
    with torch.no_grad():
        y = polisher.outputs(found.flat[None], x[None])[0]
    half = len(x) // 2  # its first points watch one token, the others the other
    e = torch.cat([(y - wave(x))[:half, 0], (y - wave(x))[half:, 1]])
    assert found.after == pytest.approx(float((2 * (e.abs() ** p).mean()) ** (1 / p)), rel=1e-12)


def test_a_polish_never_ends_above_where_it_began():
    config = matched_config(TINY, "lt")
    polisher = Polisher(config, wave, **HOW)
    first, second = polisher.stages(start_of(config), [Stage(1, 30), Stage(1, 1)])
    again = polisher.polished(second.flat + 1e-3, Stage(1, 1))
    for found in (first, second, again):
        assert found.after <= found.before
    assert second.before == first.after


def test_an_exact_network_is_left_alone():
    config = matched_config(TINY, "lt")
    flat = start_of(config)
    own = Polisher(config, wave, **HOW)

    def itself(x):
        with torch.no_grad():
            return own.outputs(flat[None], x[None])[0]

    found = Polisher(config, itself, **HOW).polished(flat, Stage(1, 5))
    assert (found.after, found.steps) == (0, 0)


@pytest.mark.parametrize(
    ("family", "more"),
    [
        ("tmlt", {}),
        ("tmlt", {"table": 2, "norm": "none", "activation": "silu"}),
        ("untied", {"heads": 2, "injection": True, "positions": 3, "activation": "gelu"}),
    ],
)
def test_normal_equations_are_those_of_the_derivative(family, more):
    config = replace(matched_config(TINY, family, loops=2), dim=2, **more)
    polisher = Polisher(config, mean, tokens=3, loops=2, p=2.0)
    flat = start_of(config)
    points = _Points(polisher, 6)
    normal, slope = points.normal_equations(flat, points.errors(flat))

    def errors(flat):
        y = polisher.outputs(flat[None], points.x[None])[0]
        return (y[torch.arange(len(y)), points.token] - points.y).ravel()

    count, leaf = len(points.x), flat.clone().requires_grad_()
    rows = [torch.autograd.grad(errors(leaf)[k], leaf)[0] for k in range(2 * count)]
    jacobian = torch.stack(rows)
    torch.testing.assert_close(normal, jacobian.mT @ jacobian / count)
    torch.testing.assert_close(slope, jacobian.mT @ errors(flat).detach() / count)


@pytest.mark.parametrize(("p", "size"), [(1.0, 1e-200), (400.0, 1e-3), (400.0, 1e3)])
def test_steps_do_not_depend_on_the_scale_of_errors_however_large_p_is(p, size):  # R1
    config = matched_config(TINY, "lt")
    points, flat = _Points(Polisher(config, wave, **HOW | {"p": p}), 64), start_of(config)
    e = points.errors(flat)
    (normal, slope), (same, scaled) = (points.normal_equations(flat, a * e) for a in (1.0, size))
    torch.testing.assert_close(same, normal)
    torch.testing.assert_close(scaled / size, slope)
    assert normal.diagonal().max() > 0


def test_a_stage_without_points_is_refused():
    with pytest.raises(ValueError, match="`density` must be"):
        Stage(0, 3)


# -- halving ---------------------------------------------------------------------------------------
def halved(rungs):
    """Where the starts stand after some rungs."""
    plan = replace(PLAN, rungs=rungs)
    run = halving._Search(wave, matched_config(TINY, "lt"), plan, **HOW)
    return run.halved(False, torch.device("cpu"), Progress(None), lambda part: None)


def test_halving_stops_the_worse_half_and_trains_the_better_on():
    one, two = halved((20,)), halved((20, 20))
    order = np.argsort(one.error)
    assert len(one.alive) == 8
    np.testing.assert_array_equal(two.error[order[4:]], one.error[order[4:]])
    np.testing.assert_array_equal(two.flat[order[4:]], one.flat[order[4:]])
    assert (two.flat[order[:4]] != one.flat[order[:4]]).any(1).all()
    assert set(two.alive) == set(order[:4])


def test_loops_grow_to_those_asked_for():
    plan = replace(PLAN, rungs=(1, 1, 1, 1))
    assert [plan.loops_at(k, 16) for k in range(4)] == [4, 4, 8, 16]
    assert [plan.loops_at(k, 9) for k in range(4)] == [4, 4, 5, 9]
    assert [plan.loops_at(k, 1) for k in range(4)] == [1] * 4
    assert [replace(plan, least_loops=99).loops_at(k, 16) for k in range(4)] == [16] * 4


def test_a_rung_trains_as_many_loops_as_planned_with_their_gate(monkeypatch):
    seen, run = [], halving.TrainingRun

    def watched(targets, config, members, state, **how):
        seen.append((how["loops"], config.gate))
        return run(targets, config, members, state, **how)

    monkeypatch.setattr(halving, "TrainingRun", watched)
    found = search(loops=8, plan=replace(PLAN, least_loops=2))
    assert seen == [(2, 1 / 2), (4, 1 / 4), (8, 1 / 8)]
    table = replace(matched_config(TINY, "tmlt"), table=8)
    halving._Search(wave, table, PLAN, **{**HOW, "loops": 8}).halved(
        False, torch.device("cpu"), Progress(None), lambda part: None
    )
    assert seen[3:] == [(8, 1 / 8)] * 3
    assert (found.config.gate, found.loops) == (1 / 8, 8)


def test_starts_take_rates_and_gates_in_turn():
    plan = replace(PLAN, learning_rates=(1e-2, 3e-2), gates=(1.0, 0.5))
    pairs = [(member.learning_rate, gate) for member, gate in plan.members()]
    assert pairs[:4] == [(1e-2, 1.0), (3e-2, 1.0), (1e-2, 0.5), (3e-2, 0.5)]
    assert [member.seed for member, _ in plan.members()] == list(range(8))
    found = search(plan=plan, loops=4)
    assert found.config.gate in (0.25, 0.5)


def names_written(monkeypatch, path, last=None):
    """Search, and stop after so many writes; return the search, None where stopped, and names."""
    names, save = [], Progress.save

    def noted(self, name, *args, **how):
        save(self, name, *args, **how)
        names.append(name)
        if len(names) == last:
            raise Stopped

    with monkeypatch.context() as patch, suppress(Stopped):
        patch.setattr(progress, "EVERY", 0.0)  # after every chunk of steps, and of the polish
        patch.setattr(Progress, "save", noted)
        return search(checkpoint=path), names
    return None, names


@pytest.fixture(scope="module")
def whole():
    """A search that is not killed."""
    return search()


@pytest.mark.parametrize("last", [4, 10, 15])  # in a rung; in either stage of the polish
def test_a_search_ends_with_the_same_numbers_after_a_kill(tmp_path, monkeypatch, whole, last):
    killed, _ = names_written(monkeypatch, tmp_path / "cut.npz", last)
    found, after = names_written(monkeypatch, tmp_path / "cut.npz")
    assert killed is None
    assert len(after) <= ALL_WRITES - last + 1  # what was written is not done again
    assert torch.equal(found.flat, whole.flat)
    assert (found.error, found.polish.steps) == (whole.error, whole.polish.steps)
    np.testing.assert_array_equal(found.stopped, whole.stopped)


def test_a_checkpoint_of_another_question_is_not_used(tmp_path):
    path = tmp_path / "starts.npz"
    search(checkpoint=path)
    seen = []
    search(checkpoint=path, p=2.0, progress=seen.append)
    assert seen[0] == pytest.approx(1 / 6)


def test_the_best_is_better_than_every_start_by_the_polish():
    found, rough = search(), search(plan=replace(PLAN, stages=()))
    assert found.stopped.shape == (PLAN.starts,)
    assert found.validation < 0.9 * found.stopped.min()
    assert rough.polish is None
    assert rough.validation == pytest.approx(rough.stopped.min(), rel=0.1)  # on fewer points
    assert rough.member == PLAN.members()[int(found.stopped.argmin())][0]


def points_read(monkeypatch, held_out):
    """The points at which the target is read before the last estimate, and in it."""
    monkeypatch.setattr(halving, "HELD_OUT", held_out)
    read, chosen = [], []

    def watched(x):
        read.append(x.double().reshape(-1, 2))
        return wave(x)

    polished = halving._Search.polished

    def marked(*args):
        found = polished(*args)
        chosen.append(len(read))
        return found

    monkeypatch.setattr(halving._Search, "polished", marked)
    search_of(watched)
    before, after = (torch.cat(part) for part in (read[: chosen[0]], read[chosen[0] :]))
    return {tuple(x) for x in before.tolist()}, {tuple(x) for x in after.tolist()}


def search_of(target):
    """A search whose error is told on as many points a scramble as choices are made on."""
    size = halving.VALIDATION_POINTS
    how = {**HOW, "plan": PLAN, "points": size, "replicates": 2, "compiled": False}
    return best_found(target, matched_config(TINY, "lt"), **how)


def test_the_error_is_told_on_points_that_no_choice_has_read(monkeypatch):
    before, after = points_read(monkeypatch, HELD_OUT)
    assert len(after) == 2 * halving.VALIDATION_POINTS
    assert not before & after


def test_an_error_told_on_the_points_of_the_choice_is_caught(monkeypatch):  # negative control
    before, after = points_read(monkeypatch, halving.VALIDATION)
    assert before & after == after


def test_a_network_is_handed_out_with_the_outputs_that_were_measured():
    found = search()
    model, x = found.model(), sobol_points(32, tokens=2, dim=1, seed=5, dtype=torch.float64)
    assert isinstance(model, LoopedTransformer)
    polisher = Polisher(found.config, wave, **HOW)
    with torch.no_grad():
        torch.testing.assert_close(model(x), polisher.outputs(found.flat[None], x[None])[0])
