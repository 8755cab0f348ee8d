"""Lower bounds of moduli around the search: what it is given, and what is made of its pairs."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from looprate.theory.continuity.lower import bound as lower
from looprate.theory.continuity.lower.bound import (
    _both_ways,
    _differentiable,
    _nearer,
    _on_numpy,
    _rows,
    _traced,
    is_equivariant,
    modulus_lower_bound,
    radii_of,
)
from looprate.theory.continuity.lower.problem import Effort
from looprate.theory.targets import OwnFunction, parse_target

SHAPE = (2, 2, 1)
CASE = {"tokens": 2, "dim": 1}


def doubled(x):
    return 2.0 * x


def own(accepts, function=doubled):
    return OwnFunction("own", function, frozenset(accepts))


# -- functions of every sort -----------------------------------------------------------------------


class Linear(torch.nn.Module):
    def __init__(self, parts=True):
        super().__init__()
        if parts:
            self.weight = torch.nn.Parameter(torch.tensor([[1 / 3]]))

    def forward(self, x):
        return x * getattr(self, "weight", 2.0)


def test_a_torch_module_is_copied_in_double_precision_without_gradients_of_its_own():
    module = Linear()
    call, gradient, like = _both_ways(module, SHAPE)
    assert like == {"dtype": torch.float64, "device": torch.device("cpu")}
    assert module.weight.dtype == torch.float32
    assert module.weight.requires_grad
    assert gradient.weight.dtype == torch.float64
    assert not gradient.weight.requires_grad
    out = call(np.full(SHAPE, 0.3))
    assert isinstance(out, np.ndarray)
    assert out == pytest.approx(np.full(SHAPE, float(np.float32(1 / 3)) * 0.3), rel=1e-15)
    call, gradient, like = _both_ways(Linear(parts=False), SHAPE)
    assert like == {"dtype": torch.float64, "device": None}
    assert call(np.full(SHAPE, 0.3)).tolist() == np.full(SHAPE, 0.6).tolist()


def test_plain_functions_are_called_as_they_are_where_they_take_numpy():
    for f, numpy, differs in (
        (doubled, True, True),  # of NumPy and of torch
        (lambda x: np.sin(x) * 2, True, False),
        (lambda x: torch.sin(x), False, True),
        (lambda x: x.round() if isinstance(x, np.ndarray) else x.detach(), True, False),
        (parse_target("mean-field"), True, True),
    ):
        call, gradient, like = _both_ways(f, SHAPE)
        assert (call is f) == numpy
        assert (gradient is f) == differs
        assert (gradient is None) != differs
        assert like == {"dtype": torch.float64}
        assert np.asarray(call(np.full(SHAPE, 0.4))).shape == SHAPE
    with pytest.raises(TypeError, match=r"`f` must be callable on .* got int"):
        _both_ways(3, SHAPE)


def test_own_functions_of_numpy_alone_are_never_given_tensors():
    f = own({"numpy"})
    assert _both_ways(f, SHAPE) == (f, None, {})
    both = own({"numpy", "torch"})
    call, gradient, like = _both_ways(both, SHAPE)
    assert call is both
    assert gradient is both
    assert like == {"dtype": torch.float64}


def test_functions_are_tried_inside_the_cube_and_what_fails_there_is_no_gradient():
    seen = []

    def watched(x):
        seen.append(x)
        return x * 1.0

    assert _differentiable(watched, {"dtype": torch.float64}, SHAPE)
    assert torch.equal(seen[0], torch.full(SHAPE, 0.4, dtype=torch.float64))
    assert _on_numpy(watched, SHAPE)
    assert seen[1].tolist() == np.full(SHAPE, 0.4).tolist()

    def written_over(x):
        y = x.exp()
        y *= y.detach()  # exp needs what was written over
        return y

    assert not _differentiable(written_over, {}, SHAPE)
    assert not _differentiable(lambda x: torch.zeros(2), {}, SHAPE)
    assert not _on_numpy(lambda x: x.unsqueeze(0), SHAPE)
    assert not _on_numpy(lambda x: [1.0], SHAPE)
    assert not _on_numpy(Linear(), SHAPE)
    assert _on_numpy(own({"torch"}), SHAPE)  # a target


def test_what_is_known_to_be_equivariant():
    assert is_equivariant(parse_target("mean-field"))
    assert not is_equivariant(own({"numpy"}))
    assert not is_equivariant(doubled)


# -- radii, rows, pairs ----------------------------------------------------------------------------


def test_radii_are_one_number_or_a_list():
    assert [part if isinstance(part, bool) else part.tolist() for part in radii_of(0.5)] == [
        [0.5],
        True,
    ]
    array, single = radii_of([0.0, 0.25])
    assert (array.tolist(), single) == ([0.0, 0.25], False)
    assert radii_of((0.5,))[1] is False
    for wrong, shape in (([], r"\(0,\)"), ([[0.1]], r"\(1, 1\)"), (np.zeros((0, 2)), r"\(0, 2\)")):
        with pytest.raises(ValueError, match=rf"`delta` must be a number or .* got {shape}"):
            radii_of(wrong)
    with pytest.raises(ValueError, match=r"`delta` .* must be finite and >= 0"):
        radii_of([0.1, -0.1])


def test_each_output_token_is_watched_unless_one_is_enough():
    assert _rows("sequence", 3, True) == _rows("sequence", 3, False) == [None]
    for kind in ("token", "contextual"):
        assert _rows(kind, 3, True) == [0]
        assert _rows(kind, 3, False) == [0, 1, 2]


def test_traces_are_told_the_largest_value_of_every_batch():
    told = []
    values = _traced(lambda x, y: x + y, told.append)
    assert values(np.array([1.0, 4.0, 2.0]), np.array([0.0, 1.0, 0.0])).tolist() == [1.0, 5.0, 2.0]
    values(np.array([3.0]), np.array([0.5]))
    assert told == [5.0, 3.5]


def test_pairs_beyond_their_radius_are_moved_together_by_a_little_more_than_needed():
    x, step = np.array([[0.25, 0.5]]), np.array([[0.03, -0.04]])
    for length in (0.05, 0.05 * (1 + 0.9e-12), 0.04):
        y = x + step * length / 0.05
        assert _nearer(x, y, 0.05) is y  # within, up to rounding
    for factor in (1 + 3e-12, 1.5, 1e3):
        y = x + factor * step
        near = _nearer(x, y, 0.05)
        wanted = np.clip(x + step * (1 - 1e-9), 0, 1)
        assert near == pytest.approx(wanted, abs=1e-13)
        assert np.linalg.norm(near - x) <= 0.05
    origin, end = np.array([[0.0]]), np.array([[0.5 * (1 + 1e-12)]])
    assert _nearer(origin, end, 0.5) is end  # at the very end
    corner, out = np.array([[0.0, 1.0]]), np.array([[-0.3, 1.4]])
    assert _nearer(corner, out, 0.1).tolist() == corner.tolist()  # in the cube
    half = np.array([[0.5]])
    assert _nearer(half, half + 2**-50, 0.8e-16) is half  # the next float is too far


# -- what the search is given, and what comes of it ------------------------------------------------


@pytest.fixture
def searches(monkeypatch):
    """Every search that is asked for, answered by pairs at the full radius along one entry."""
    calls = []

    def search(problem, effort, rng):
        threads = torch.get_num_threads()
        calls.append((problem, effort, float(rng.random()), threads))
        count, tokens = len(problem.deltas), len(problem.moving)
        x = np.full((count, tokens, problem.dim), 0.25)
        y = x.copy()
        y[:, int(np.flatnonzero(problem.moving)[0]), 0] += problem.deltas
        return x, y

    monkeypatch.setattr(lower, "search_pairs", search)
    return calls


def weighted(x):
    """Steeper in the second token, and a little of the other one."""
    return np.array([[1.0], [3.0]]) * x + 0.5 * x[:, ::-1]


def test_values_of_pairs_are_those_of_the_function_and_the_best_token_is_kept(searches):
    found = modulus_lower_bound(weighted, 0.125, kind="token", p=1.0, **CASE)
    assert (found.value, found.row, found.p, found.kind, found.delta) == (
        0.375,
        1,
        1.0,
        "token",
        0.125,
    )
    assert (found.x.tolist(), found.y.tolist()) == ([[0.25], [0.25]], [[0.25], [0.375]])
    assert [call[0].moving.tolist() for call in searches] == [[True, False], [False, True]]
    context = modulus_lower_bound(weighted, 0.125, kind="contextual", **CASE)
    assert (context.value, context.row) == (0.0625, 0)  # the first of equals
    whole = modulus_lower_bound(weighted, 0.125, kind="sequence", p=1.0, **CASE)
    assert (whole.value, whole.row) == (0.1875, None)
    searches.clear()
    first = modulus_lower_bound(weighted, 0.125, kind="token", equivariant=True, **CASE)
    assert (first.value, first.row, len(searches)) == (0.125, 0, 1)
    modulus_lower_bound(parse_target("mean-field"), 0.125, kind="token", **CASE)
    modulus_lower_bound(parse_target("mean-field"), 0.1, kind="token", equivariant=False, **CASE)
    assert len(searches) == 4


def test_the_search_gets_positive_radii_the_effort_and_a_seeded_generator(searches):
    deltas = [0.25, 0.0, 0.125]
    curve = modulus_lower_bound(weighted, deltas, kind="sequence", p=1.0, **CASE)
    ((problem, effort, draw, _),) = searches
    assert problem.deltas.tolist() == [0.25, 0.125]
    assert (effort, problem.dim) == (Effort().scaled(1.0), 1)
    assert draw == np.random.default_rng(0).random()
    assert curve.delta.tolist() == deltas
    assert curve.direct.tolist() == [0.375, 0.0, 0.1875]
    assert [pair.value for pair in curve.pairs] == curve.direct.tolist()
    none = curve.pairs[1]
    assert (none.x.tolist(), none.y.tolist(), none.row) == ([[0.5]] * 2, [[0.5]] * 2, None)
    assert curve.lower.tolist() == curve.direct.tolist()
    assert (curve.kind, curve.p, curve.rules) == ("sequence", 1.0, ("pair",) * 3)
    searches.clear()
    rng = np.random.default_rng(5)
    modulus_lower_bound(weighted, 0.1, kind="sequence", effort=0.25, rng=rng, **CASE)
    assert searches[0][1:3] == (Effort().scaled(0.25), np.random.default_rng(5).random())
    assert modulus_lower_bound(weighted, 0.1, kind="sequence", **CASE).p == 2.0


def test_curves_of_searched_values_are_strengthened(searches):
    curve = modulus_lower_bound(
        lambda x: np.minimum(x, 0.375), [0.125, 0.5, 0.25], kind="sequence", **CASE
    )
    assert curve.direct.tolist() == [0.125] * 3
    jump = modulus_lower_bound(
        lambda x: 1.0 * (x >= 0.75), [0.125, 0.5, 1.0], kind="sequence", **CASE
    )
    assert jump.direct.tolist() == [0.0, 1.0, 1.0]
    assert jump.lower.tolist() == [0.25, 1.0, 1.0]
    assert jump.rules == ("subadditive", "pair", "pair")
    assert jump.sources.tolist() == [0.5, 0.5, 1.0]


def test_functions_with_a_gradient_are_searched_by_torch_on_one_thread(searches):
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        found = modulus_lower_bound(doubled, 0.125, kind="sequence", **CASE)
        assert torch.get_num_threads() == 2
        modulus_lower_bound(weighted, 0.125, kind="sequence", **CASE)
    finally:
        torch.set_num_threads(before)
    (problem, _, _, threads), (plain, _, _, threads_plain) = searches
    assert (threads, threads_plain) == (1, 2)
    assert found.value == 0.25
    assert problem.ascend is not None
    assert plain.ascend is None
    x, y = np.full((3, 2, 1), 0.5), np.full((3, 2, 1), 0.25)
    for one, factor in ((problem, 2.0), (plain, None)):
        if factor:
            assert one.values(x, y) == pytest.approx([0.5 * math.sqrt(2)] * 3)
            assert one.outputs(x).tolist() == [[1.0, 1.0]] * 3
        assert one.outputs(x).shape == (3, 2)


def test_traces_hear_of_the_search_alone(searches):
    told = []
    modulus_lower_bound(doubled, 0.125, kind="sequence", trace=told.append, **CASE)
    assert told == []  # the stand-in for the search tried nothing
    searches[0][0].values(np.array([[[0.5], [0.0]]]), np.zeros((1, 2, 1)))
    assert told == [1.0]


def test_what_cannot_move_is_not_searched(searches):
    found = modulus_lower_bound(doubled, 0.1, kind="contextual", tokens=1, dim=1)
    assert (found.value, found.row, found.x.tolist()) == (0.0, 0, [[0.5]])
    still = modulus_lower_bound(doubled, 0.0, kind="token", **CASE)
    assert (still.value, still.row, still.delta) == (0.0, 0, 0.0)
    assert searches == []


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"effort": 0.0}, "`effort` .* must be finite and > 0, got 0"),
        ({"effort": -1.0}, "`effort`"),
        ({"effort": math.inf}, "`effort` .* got inf"),
        ({"effort": math.nan}, "`effort` .* got nan"),
        (
            {"delta": [0.1], "trace": print},
            r"`trace` needs `delta` as one number, got shape \(1,\)",
        ),
        ({"p": 0.5}, "`p` .* must be >= 1"),
        ({"kind": "both"}, "`kind` must be one of"),
        ({"tokens": 1025}, "must be at most 1024"),
        ({"f": lambda x: x[:, :1]}, r"shape \(2, 1, 1\), expected \(2, 2, 1\)"),
        (
            {"f": lambda x: x / 0 if isinstance(x, float) else x * np.inf},
            "`f` returned NaN or inf inside the cube",
        ),
    ],
)
def test_arguments_out_of_range_are_refused_before_the_search(searches, wrong, said):
    given = {"f": weighted, "delta": 0.1, "kind": "token"} | CASE | wrong
    with pytest.raises(ValueError, match=said):
        modulus_lower_bound(given.pop("f"), given.pop("delta"), **given)
    assert searches == []


def test_small_budgets_and_lists_of_one_radius_are_taken(searches):
    assert modulus_lower_bound(weighted, [0.125], kind="token", effort=1e-3, **CASE).delta == [
        0.125
    ]
    assert modulus_lower_bound(
        lambda x: x, 0.1, kind="token", tokens=1024, dim=1, equivariant=True
    ).value == pytest.approx(0.1)


@pytest.mark.parametrize("radius", [5e-324, 1e-310, 2.0**-1022, 1e-300])  # B10
@pytest.mark.parametrize("kind", ["sequence", "token"])
def test_radii_as_small_as_float64_has_them_are_searched_inside_the_cube(radius, kind):
    f = parse_target("mean-field")
    found = modulus_lower_bound(f, radius, kind=kind, tokens=2, dim=1, p=1.0, effort=0.05)
    assert np.isfinite([found.x, found.y]).all()
    assert found.value <= 3 * radius
    assert (found.value > 0) == (radius >= 2.0**-1022)


def test_where_structured_pairs_reach_what_is_enough_nothing_else_is_tried(searches):
    f, radii = parse_target("dial"), [0.0, 0.05, 0.4]
    for kind in ("sequence", "token", "contextual"):
        enough = np.array([f.closed_form(r, kind=kind, p=1.0, **CASE).value for r in radii])
        found = modulus_lower_bound(f, radii, kind=kind, p=1.0, enough=enough, **CASE)
        assert searches == []
        assert (found.lower <= enough * (1 + 1e-12)).all()
        assert found.lower == pytest.approx(enough, rel=1e-9)
        for pair in found.pairs:  # attained, within the radius
            gap = f(pair.x[None]) - f(pair.y[None])
            watched = gap if kind == "sequence" else gap[:, 0]
            assert np.abs(watched).sum() == pytest.approx(pair.value)
            assert np.linalg.norm(pair.x - pair.y) <= pair.delta * (1 + 1e-12)
    enough[1] *= 1 + 1e-8  # not reached: all is searched
    modulus_lower_bound(f, radii, kind="contextual", p=1.0, enough=enough, **CASE)
    assert len(searches) == 1
