"""Decision trees in context: values against a plain walk, references against a plain learner."""

import dataclasses
import json

import numpy as np
import pytest

from looprate.experiments.tasks.decision_tree import DecisionTree, tree_values

TASK = DecisionTree(dims=4, depth=3, points=12)
EXACT = 1e-6  # float32 values, means of at most a dozen of them


def walk(questions, leaves, point, node=0):
    """Evaluate one tree at one point, from the root down."""
    if node >= len(questions):
        return leaves[node - len(questions)]
    return walk(questions, leaves, point, 2 * node + (2 if point[questions[node]] > 0 else 1))


def nearest(x, y, query, neighbours):
    """Mean value of the nearest points, one distance at a time."""
    order = sorted(range(len(x)), key=lambda j: sum((x[j] - query) ** 2))[:neighbours]
    return sum(y[j] for j in order) / len(order) if order else 0.0


def grown(x, y, query, levels):
    """Value at a point of the tree grown greedily on signs, by trying every question."""

    def error(values):
        return sum((v - sum(values) / len(values)) ** 2 for v in values)

    if not len(y):
        return 0.0
    best, question = error(y), None
    for k in range(len(query)):
        right, left = (
            [v for p, v in zip(x, y, strict=True) if (p[k] > 0) == side] for side in (True, False)
        )
        if right and left and error(right) + error(left) < best - 1e-9:
            best, question = error(right) + error(left), k
    if question is None or levels == 0:
        return sum(y) / len(y)
    mine = [j for j in range(len(y)) if (x[j][question] > 0) == (query[question] > 0)]
    return grown(x[mine], y[mine], query, levels - 1)


def points_of(inputs):
    """Points and values of inputs, as float64."""
    return inputs[:, 0::2].astype(float), inputs[:, 1::2, 0].astype(float)


def test_trees_are_walked_from_the_root():
    rng = np.random.default_rng(0)
    for depth in (1, 2, 4):
        questions = rng.integers(5, size=(6, 2**depth - 1))
        leaves, x = rng.standard_normal((6, 2**depth)), rng.standard_normal((6, 40, 5))
        expected = [
            [walk(q, values, point) for point in row]
            for q, values, row in zip(questions, leaves, x, strict=True)
        ]
        np.testing.assert_array_equal(tree_values(questions, leaves, x), expected)


def test_a_point_on_a_boundary_goes_left():
    values = tree_values(np.array([[0]]), np.array([[1.0, 2.0]]), np.array([[[0.0], [1e-9]]]))
    assert values.tolist() == [[1.0, 2.0]]


def test_points_and_values_take_turns_and_targets_stand_at_the_points():
    batch = TASK.sample("train", 0, 30)
    assert batch.inputs.shape == (30, 24, 4) == (30, TASK.length, TASK.channels)
    assert batch.inputs.dtype == batch.targets.dtype == np.float32
    assert batch.mask[:, 0::2].all()
    assert not batch.mask[:, 1::2].any()
    assert not batch.inputs[:, 1::2, 1:].any()
    np.testing.assert_array_equal(batch.targets[:, 0::2], batch.inputs[:, 1::2, 0])
    assert not batch.targets[:, 1::2].any()
    np.testing.assert_array_equal(TASK.oracle(batch.inputs), batch.targets)


def test_a_row_is_some_tree_of_its_depth():
    batch = dataclasses.replace(TASK, points=400).sample("train", 1, 8)
    x, y = points_of(batch.inputs)
    for points, values in zip(x, y, strict=True):
        assert 2 <= len(set(values)) <= 8
        cells = {}
        for point, value in zip(points > 0, values, strict=True):
            assert cells.setdefault(point.tobytes(), value) == value  # signs decide


def test_points_and_leaves_are_standard_normal():
    x, y = points_of(DecisionTree(points=20).sample("train", 2, 4000).inputs)
    assert abs(x.mean()) < 0.01
    assert abs(x.std() - 1) < 0.01
    assert abs(y.mean()) < 0.02
    assert abs(y.std() - 1) < 0.02


def test_every_row_has_another_tree_and_rows_depend_on_the_arguments_alone():
    first, again = (TASK.sample("train", (3, 4), 20) for _ in range(2))
    np.testing.assert_array_equal(first.inputs, again.inputs)
    np.testing.assert_array_equal(first.targets, again.targets)
    assert len(np.unique(first.targets[:, 0])) == 20
    others = [TASK.sample("train", (3, 5), 20), TASK.sample("test", (3, 4), 20)]
    for other in others:
        assert not np.isin(first.inputs[:, 0, 0], other.inputs[:, 0, 0]).any()


def test_inactive_coordinates_are_zero():
    batch = dataclasses.replace(TASK, active=2).sample("train", 0, 50)
    assert not batch.inputs[:, :, 2:].any()
    assert batch.inputs[:, 0::2, :2].all()
    _, y = points_of(batch.inputs)
    distinct = np.array([len(set(row)) for row in y])
    assert distinct.max() <= 4  # only two signs are left to ask for
    assert distinct.min() == 1


def test_the_score_is_the_mean_squared_error_over_what_counts():
    batch = TASK.sample("train", 0, 5)
    outputs = batch.targets.astype(float) + 0.5
    outputs[:, 1::2] = np.nan  # does not count
    np.testing.assert_allclose(TASK.score(outputs, batch), 0.25, rtol=EXACT)
    outputs[:, 0] += 1.0
    np.testing.assert_allclose(TASK.score(outputs, batch), (11 * 0.25 + 2.25) / 12, rtol=EXACT)
    last = dataclasses.replace(TASK, last_only=True)
    batch = last.sample("train", 0, 5)
    assert np.flatnonzero(batch.mask[0]).tolist() == [22]
    np.testing.assert_allclose(last.score(outputs, batch), 0.25, rtol=EXACT)


@pytest.mark.parametrize("neighbours", [1, 3])
def test_the_nearest_neighbours_are_those_of_a_plain_search(neighbours):
    batch = TASK.sample("test", 0, 10)
    found = TASK.nearest_neighbour(batch.inputs, neighbours=neighbours)
    for row, (x, y) in enumerate(zip(*points_of(batch.inputs), strict=True)):
        expected = [nearest(x[:i], y[:i], x[i], neighbours) for i in range(len(y))]
        np.testing.assert_allclose(found[row, 0::2], expected, rtol=EXACT, atol=EXACT)
    assert not found[:, 1::2].any()


@pytest.mark.parametrize("levels", [0, 1, 3, 6])
def test_the_greedy_tree_is_that_of_a_plain_learner(levels):
    batch = TASK.sample("test", 1, 10)
    found = TASK.greedy_tree(batch.inputs, levels=levels)
    for row, (x, y) in enumerate(zip(*points_of(batch.inputs), strict=True)):
        expected = [grown(x[:i], y[:i], x[i], levels) for i in range(len(y))]
        np.testing.assert_allclose(found[row, 0::2], expected, rtol=EXACT, atol=EXACT)


def test_a_greedy_tree_stops_where_no_question_helps():
    task = DecisionTree(dims=2, depth=2, points=5)
    inputs = np.zeros((1, 10, 2), np.float32)
    inputs[0, 0::2] = [(1, 1), (-1, -1), (1, -1), (-1, 1), (1, 1)]
    inputs[0, 1:8:2, 0] = [1, 1, 3, 3]  # same signs 1, other signs 3: no coordinate alone tells
    assert task.greedy_tree(inputs, levels=2)[0, 8] == 2.0


@pytest.mark.parametrize("name", ["nearest_neighbour", "greedy_tree"])
def test_references_see_the_past_alone(name):
    inputs = TASK.sample("train", 5, 6).inputs
    changed = inputs.copy()
    changed[:, 13:] += 1.0  # from the value of the seventh point on
    before, after = (getattr(TASK, name)(some) for some in (inputs, changed))
    np.testing.assert_array_equal(before[:, :13], after[:, :13])
    assert (before[:, 13:] != after[:, 13:]).any()


def test_a_greedy_tree_learns_a_small_tree_and_zero_does_not():
    task = DecisionTree(dims=3, depth=2, points=80, last_only=True)
    batch = task.sample("test", 0, 200)
    greedy, zero = (
        task.score(outputs, batch).mean()
        for outputs in (task.greedy_tree(batch.inputs, levels=6), np.zeros(batch.targets.shape))
    )
    assert greedy < 0.05 < 0.7 < zero


def test_the_curriculum_ends_at_the_task():
    task = DecisionTree()
    for step, active, points in [
        (0, 5, 26),
        (1999, 5, 26),
        (2000, 6, 31),
        (29_999, 19, 96),
        (30_000, 20, 101),
        (500_000, 20, 101),
    ]:
        stage = task.at_step(step)
        assert (stage.active, stage.points, stage.dims) == (active, points, 20)
    assert (
        stage.sample("train", 0, 2).inputs.tobytes() == task.sample("train", 0, 2).inputs.tobytes()
    )
    small = TASK.at_step(25, interval=10, dims=(1, 1), points=(2, 3))
    assert (small.active, small.points) == (3, 8)


def test_sizes_come_back_from_json():
    task = dataclasses.replace(TASK, active=2, last_only=True)
    assert DecisionTree(**json.loads(json.dumps(task.as_dict()))) == task


@pytest.mark.parametrize(
    ("sizes", "match"),
    [
        ({"dims": 0}, "`dims` must be an integer >= 1, got 0"),
        ({"depth": 13}, "`depth` must be an integer from 1 to 12, got 13"),
        ({"points": 1}, "`points` must be an integer >= 2, got 1"),
        ({"active": 21}, "`active` must be an integer from 1 to 20, got 21"),
        ({"dims": 2.0}, "`dims` must be an integer >= 1, got 2.0"),
    ],
)
def test_other_sizes_are_refused(sizes, match):
    with pytest.raises(ValueError, match=match):
        DecisionTree(**sizes)


def test_other_arguments_are_refused():
    inputs = TASK.sample("train", 0, 2).inputs
    with pytest.raises(ValueError, match="`count` must be an integer >= 1, got 0"):
        TASK.sample("train", 0, 0)
    with pytest.raises(ValueError, match="`split` must be train or test"):
        TASK.sample("dev", 0, 1)
    with pytest.raises(ValueError, match=r"`inputs` must be of shape \(B, 24, 4\)"):
        TASK.greedy_tree(inputs[:, :-1])
    with pytest.raises(ValueError, match="`levels` must be an integer >= 0"):
        TASK.greedy_tree(inputs, levels=-1)
    with pytest.raises(ValueError, match="`neighbours` must be an integer >= 1"):
        TASK.nearest_neighbour(inputs, neighbours=0)
    with pytest.raises(ValueError, match="`step` must be an integer >= 0"):
        TASK.at_step(-1)
    with pytest.raises(ValueError, match="`ids` must be token ids"):
        TASK.text(inputs[0])
