"""The animation of a constructed network: its states are the run's, its picture shows them."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from looprate.experiments.study.certificates import asked_spec
from looprate.figures.stages import encoding
from looprate.figures.stages import film as drawing
from looprate.theory.construction.build.compile import compile_construction
from looprate.theory.construction.memorisers import MEMORISERS
from looprate.theory.construction.run.film import MOST_SIDES, film_of
from looprate.theory.construction.run.oracle import oracle_cells, oracle_labels
from looprate.theory.construction.run.reference import reference_states
from looprate.theory.targets import resolve_target

TARGET = "dial:token=0.7,context=0.3,periods=1"


def made(name=TARGET, tokens=2, dim=1, grid=4, **others):
    """A film, and the construction it is of."""
    target = resolve_target(name)
    spec = asked_spec(tokens=tokens, dim=dim, grid=grid, **others)
    built = compile_construction(target, spec)
    return film_of(built, target), built


@pytest.fixture(scope="module")
def film():
    """A film of two tokens."""
    return made()[0]


@pytest.mark.parametrize("memoriser", MEMORISERS)
def test_a_film_shows_what_the_slow_evaluator_says_after_each_of_its_loops(memoriser):
    film, built = made(grid=3, memoriser=memoriser)
    slope = built.spec.slope
    point = [[Fraction(round(a * slope), slope) for a in x] for x in film.inputs[film.chosen]]
    states = list(reference_states(built.network, point))
    weights, bias = built.network.decoder[0]
    for frame, loop in enumerate(film.loops):
        for n, token in enumerate(states[loop]):
            output = bias + sum(w * token[row] for row, w in weights.items())
            assert film.outputs[frame, film.chosen, n] == float(output)
            assert film.cells[frame, film.chosen, n] == float(token["z"])
    assert film.loops[0] == 0
    assert film.loops[-1] == built.spec.loops


@pytest.mark.parametrize(("tokens", "dim", "grid"), [(1, 1, 5), (1, 2, 3), (2, 1, 4), (3, 2, 2)])
def test_at_the_end_every_input_has_the_oracles_cells_labels_and_values(tokens, dim, grid):
    film, built = made("mean-field", tokens=tokens, dim=dim, grid=grid)
    rows = 1 if tokens * dim == 1 else grid
    assert film.shape == (rows, grid)
    for k, x in enumerate(film.inputs):
        cells = oracle_cells(x.tolist(), built.spec)
        labels = oracle_labels(cells, built.spec)
        assert film.cells[-1, k].tolist() == cells
        assert film.labels[-1, k].tolist() == labels
        values = [float(built.table.value(label)[0]) for label in labels]
        assert film.outputs[-1, k] == pytest.approx(values, abs=1e-9)


def test_a_fine_grid_and_a_long_run_are_thinned_out():
    film, built = made(grid=MOST_SIDES + 7)
    assert film.shape == (MOST_SIDES, MOST_SIDES)
    assert len(film.loops) < 80 < built.spec.loops == film.loops[-1]
    assert film.inputs.min() < 0.02
    assert film.inputs.max() > 0.98


def test_a_network_that_lacks_a_row_is_refused():
    film, built = made()
    other = replace(built.network.block, rows=("x",), heads=(), units=(), drift={})
    network = replace(built.network, block=other, encoder={}, eta={}, decoder=(({}, 0),))
    with pytest.raises(ValueError, match=r"lacks \['.*'z'\]; compile"):
        film_of(replace(built, network=network), film.target)


def scene(film, dark=False):
    return drawing.Scene(film, "paper", dark)


def shown(part, name):
    return np.asarray(getattr(part, name).get_array())


@pytest.mark.parametrize("name", [TARGET, "context-max"])
def test_the_map_shows_cells_then_labels_then_outputs(name):
    film, _ = made(name, tokens=2 if name == TARGET else 3)
    bar, plane, table, staircase = scene(film).parts
    for frame, stage in enumerate(film.stages):
        for part in (bar, plane, table, staircase):
            part.show(frame)
        assert plane.values.get_visible() == (stage == "values") != plane.codes.get_visible()
        if stage == "values":
            outputs = film.outputs[frame, :, 0].reshape(film.shape)
            assert np.array_equal(shown(plane, "values"), outputs)
            said = table.cells[0][3].get_text().replace("−", "-")
            assert float(said) == pytest.approx(film.outputs[frame, film.chosen, 0], abs=0.006)
        else:
            codes = film.labels if stage == "context" else film.cells
            order = codes[frame, :, 0].reshape(film.shape)
            assert np.ptp(order) == 0 or np.corrcoef(shown(plane, "codes").ravel(), order.ravel())[
                0, 1
            ] == pytest.approx(1)
        assert staircase.marks[1].get_ydata() == [film.outputs[frame, film.chosen, 1]]
        assert f"loop {film.loops[frame]} of" in bar.loop.get_text()
    heights = film.construction.table.values * float(film.construction.table.unit)
    low, high = staircase.network.axes.get_ylim()
    assert low < min(heights.min(), film.outputs.min())
    assert high > max(heights.max(), film.outputs.max())
    widths = np.cumsum(drawing._copies(film)[:-1])
    assert bar.gone.get_width() > widths[-1]


def test_what_is_not_known_yet_is_not_told(film):
    _, _, table, _ = scene(film).parts
    table.show(0)
    assert [cell.get_text() for cell in table.cells[0][1:4]] == [drawing.PENDING] * 3
    table.show(film.stages.index("values"))
    assert drawing.PENDING not in [cell.get_text() for cell in table.cells[0]]


@pytest.mark.parametrize("suffix", [".gif", ".webp"])
def test_an_animation_is_a_file_of_its_frames_each_long_enough(tmp_path, monkeypatch, suffix):
    monkeypatch.setattr(drawing, "PIXELS", 200)
    film, _ = made("mean-field", tokens=1, grid=2)
    told, place = [], tmp_path / f"film{suffix}"
    drawing.write_film(film, place, dark=suffix == ".webp", report=told.append)
    assert told[-1] == 1
    assert list(tmp_path.iterdir()) == [place]
    with Image.open(place) as found:
        assert found.n_frames == len(film.loops)
        assert found.size[0] == 200
        seconds = []
        for frame in range(found.n_frames):
            found.seek(frame)
            found.load()
            seconds.append(found.info["duration"] / 1000)
        corner = np.asarray(found.convert("L"))[0, 0]
    assert seconds == pytest.approx(np.array(drawing._copies(film)) / encoding.FPS, abs=0.011)
    assert seconds[-1] == drawing.LAST
    assert corner < 60 if suffix == ".webp" else corner >= 253


def test_frames_are_encoded_as_mp4_where_ffmpeg_is(monkeypatch, tmp_path, film):
    if not encoding.FFMpegWriter.isAvailable():
        pytest.skip("no ffmpeg here")
    monkeypatch.setattr(drawing, "PIXELS", 201)  # odd
    film, _ = made("mean-field", tokens=1, grid=2)
    drawing.write_film(film, tmp_path / "film.mp4")
    assert b"ftyp" in (tmp_path / "film.mp4").read_bytes()[:16]
