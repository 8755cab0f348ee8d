"""Autopsies of models whose answers are known, and what is refused in one line."""

import json
import math

import numpy as np
import pytest
import torch

import looprate
from looprate.approx.models.looped import LoopedTransformer, ModelConfig
from looprate.approx.models.loops import SequenceLoops, VectorLoops
from looprate.approx.models.sequence import SequenceConfig, SequenceModel
from looprate.approx.official.loops import OfficialLoops
from looprate.approx.official.model import official_model
from looprate.cli import main
from looprate.experiments.autopsy import findings
from looprate.experiments.autopsy.loading import load_subject
from looprate.experiments.autopsy.report import autopsy
from looprate.figures.drawing import make_figure
from looprate.theory.continuity import modulus_lower_bound

FACTOR, ANGLE = 0.5, 0.3
GENERATOR = torch.Generator().manual_seed(0)
INPUTS = torch.randn(3, 2, 4, generator=GENERATOR, dtype=torch.float64)
MATRIX = torch.randn(4, 4, generator=GENERATOR, dtype=torch.float64)
MATRIX = 1.7 * MATRIX / torch.linalg.matrix_norm(MATRIX, 2)


class Map:
    """A state to which one map is applied again and again."""

    loops = 4

    def __init__(self, step, inputs=INPUTS):
        self.map, self.inputs = step, inputs

    def start(self, inputs):
        return inputs

    def step(self, state, t):
        return self.map(state)


def turned(x):
    """Turn the first two and the last two coordinates of every token."""
    c, s = math.cos(ANGLE), math.sin(ANGLE)
    turn = torch.tensor([[c, -s], [s, c]], dtype=x.dtype)
    return (x.unflatten(-1, (2, 2)) @ turn.T).flatten(-2)


def mixed(x):
    """A linear map of whole states: each token, plus half of the mean of all."""
    return (x + 0.5 * x.mean(1, keepdim=True)) @ MATRIX.to(x.dtype).T


def line(found, name, column="value"):
    """One line of an autopsy."""
    return np.array([row[column] for row in found.rows if row["name"] == name])


def short(found, panel):
    """The title of a panel."""
    return next(one["short"] for one in found.findings if one["panel"] == panel)


def test_a_contraction_has_its_fixed_point_and_factor():
    centre = torch.full((2, 4), 0.7, dtype=torch.float64)
    found = autopsy(Map(lambda x: centre + FACTOR * (x - centre)), loops=[8], effort=0.1)
    assert found.facts["factor"] == pytest.approx(FACTOR, rel=1e-5)
    assert line(found, "stretch") == pytest.approx(FACTOR, rel=1e-9)
    distance = line(found, "distance")
    start = torch.linalg.norm((INPUTS - centre).flatten(1), dim=1) / centre.norm()
    assert distance[0] == pytest.approx(float(start.median()), rel=1e-6)
    assert distance[1:] / distance[:-1] == pytest.approx(FACTOR, rel=1e-6)
    moved = (
        FACTOR
        * torch.linalg.norm((INPUTS - centre).flatten(1), dim=1)
        / INPUTS.flatten(1).norm(dim=1)
    )
    assert line(found, "update")[0] == pytest.approx(float(moved.median()), rel=1e-6)
    assert short(found, "update") == "Settles at a fixed point"
    assert short(found, "sensitivity") == "No stretch found"


def test_a_rotation_moves_as_far_in_every_loop_and_settles_nowhere():
    found = autopsy(Map(turned), loops=[4], effort=0.1)
    assert line(found, "update") == pytest.approx(2 * math.sin(ANGLE / 2), rel=1e-12)
    apart = [abs(row["loop"] - row["position"]) for row in found.rows if row["name"] == "cosine"]
    assert line(found, "cosine", "cosine") == pytest.approx(np.cos(ANGLE * np.array(apart)))
    assert line(found, "stretch") == pytest.approx(1.0, rel=1e-9)
    assert found.facts["fixed_point"] is None
    assert found.facts["factor"] is None
    token = line(found, "token")
    assert token == pytest.approx(found.facts["delta"], rel=1e-9)  # an isometry
    assert line(found, "contextual") == pytest.approx(0.0, abs=1e-12)  # tokens never meet


def test_an_idle_loop_moves_nothing():
    found = autopsy(Map(lambda x: x), effort=0.1)
    assert line(found, "update") == pytest.approx(0.0, abs=0.0)
    assert line(found, "change") == pytest.approx(0.0, abs=0.0)
    assert found.facts["fixed_point"] == 9  # the first loop after those looked at
    assert short(found, "readout") == "Loops beyond 4 change little"


def test_the_stretch_of_a_linear_map_is_its_largest_singular_value():
    found = autopsy(Map(lambda x: 0.01 * x @ MATRIX.T), loops=[2])
    exact = 0.01 * 1.7
    stretch = line(found, "stretch", "upper")
    assert stretch.max() <= exact * (1 + 1e-12)
    assert stretch[0] == pytest.approx(exact, rel=1e-6)
    assert abs(stretch[0] / (1.01 * exact) - 1) > 1e-3  # it can fail


@pytest.mark.parametrize("kind", ["token", "contextual"])
def test_moduli_of_a_linear_map_are_those_of_the_search_on_the_cube(kind):
    inputs = 0.5 + 0.01 * INPUTS
    found = autopsy(Map(mixed, inputs), loops=[1], delta=0.1, effort=2)
    whole = modulus_lower_bound(
        lambda x: mixed(torch.as_tensor(x)), 0.1, kind=kind, tokens=2, dim=4, p=2.0, effort=0.1
    ).value
    assert line(found, kind)[0] == pytest.approx(whole, rel=1e-3)
    share = {"token": 1.25, "contextual": 0.25}[kind]  # of the others' mean, N = 2
    assert line(found, kind)[0] == pytest.approx(0.1 * 1.7 * share, rel=1e-6)


class Stable(Map):
    """Errors, a read-out and parts that matter or do not."""

    def __init__(self, off=""):
        super().__init__(self.moved)
        self.off = off

    def moved(self, x):
        return x + (0.0 if self.off == "clock" else 1.0)

    def read(self, state):
        return state.sum((1, 2))[:, None]

    def error(self, output):
        return (output[:, 0] - self.inputs.sum((1, 2)) - 8 * self.loops).abs().mean()

    @property
    def without(self):
        return {} if self.off else {name: Stable(name) for name in ("clock", "idle")}


def test_errors_and_parts_are_those_of_the_output():
    found = autopsy(Stable(), effort=0.1)
    assert line(found, "error") == pytest.approx([8 * abs(4 - r) for r in range(9)], abs=1e-9)
    assert short(found, "readout") == "Loops beyond 4 hurt"
    parts = [(r["name"], r["value"]) for r in found.rows if r["panel"] == "parts"]
    assert dict(parts) == pytest.approx({"whole": 0.0, "clock": 32.0, "idle": 0.0}, abs=1e-9)
    assert short(found, "parts") == "Missed most: clock"


def test_a_loop_without_a_gradient_is_looked_at_without_one():
    found = autopsy(Map(lambda x: torch.tanh(x.detach())), loops=[2])
    assert {row["panel"] for row in found.rows} == {"readout", "update", "similarity"}
    assert short(found, "sensitivity") == "not measured"
    assert "no gradient" in found.facts["notes"][0]
    make_figure("autopsy", found.to_rows())


# -- the adapters that come with looprate ----------------------------------------------------------
def sequence_model(family, injection):
    config = SequenceConfig(
        **{"width": 8, "heads": 2, "hidden": 12, "vocabulary": 5, "length": 6, "loops": 3},
        **{"family": family, "injection": injection, "frequencies": 4, "clock": 4},
    )
    return with_noise(SequenceModel(config, seed=0))


def with_noise(model):
    """Move every weight a little, so that clocks that start at 0 count."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weights in model.parameters():
            weights += 0.1 * torch.randn(weights.shape, generator=generator)
    return model


IDS = torch.randint(1, 5, (2, 6), generator=torch.Generator().manual_seed(3))
OFFICIAL = {"maxlen": 6, "vocab": 5, "head": 2, "dmodel": 8, "num_loop": 3}


def official(cls):
    model = with_noise(official_model({"cls": cls, **OFFICIAL}, seed=0))
    return OfficialLoops(model, IDS, loops=3)


def vector_loops():
    config = ModelConfig(width=8, heads=2, hidden=6, injection=True, positions=2)
    x = torch.rand(3, 2, 1, generator=torch.Generator().manual_seed(2))
    return VectorLoops(with_noise(LoopedTransformer(config, seed=0, loops=3)), x, x, loops=3)


@pytest.mark.parametrize(
    "make",
    [
        vector_loops,
        lambda: SequenceLoops(sequence_model("tmlt", True), IDS, IDS, loops=3),
        lambda: SequenceLoops(sequence_model("lt", False), IDS, IDS, loops=3),
        lambda: official("LoopedGPT"),
        lambda: official("TimeDependentLoopedGPT"),
    ],
)
def test_loop_by_loop_is_the_model_itself_and_every_part_counts(make):
    loops = make()
    with torch.no_grad():
        state = loops.start(loops.inputs)
        for t in range(3):
            state = loops.step(state, t)
        out = loops.read(state)
        assert torch.allclose(out, loops.model(loops.given, loops=3), atol=1e-5)
        for name, part in loops.without.items():
            state = part.start(loops.inputs)
            for t in range(3):
                state = part.step(state, t)
            assert not torch.allclose(part.read(state), out, atol=1e-4), name


# -- the command -----------------------------------------------------------------------------------
MODEL = """
import torch
from torch import nn

class Loops(nn.Module):
    loops = 2

    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(3, 3)
        self.inputs = torch.ones(2, 2, 3)

    def start(self, inputs):
        return inputs

    def step(self, state, t):
        return torch.tanh(self.inner(state))

class Grows(Loops):
    def step(self, state, t):
        return torch.cat([state, state], -1)

class Breaks(Loops):
    def step(self, state, t):
        return state / 0

class Fails(Loops):
    def step(self, state, t):
        return state @ torch.ones(2, 2)

class Lists(Loops):
    def step(self, state, t):
        return [state]

class Mixes(Loops):
    def step(self, state, t):
        return state + torch.arange(len(state))[:, None, None] * state.mean()

class Half:
    def start(self, inputs):
        return inputs

def fails():
    raise KeyError("no weights here")

number = 3
"""


@pytest.fixture
def models(tmp_path):
    path = tmp_path / "models.py"
    path.write_text(MODEL)
    return path


def autopsied(*words):
    return main(["autopsy", *map(str, words)])


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Grows", "must keep the shape (2, 2, 3) of its state, got (2, 2, 6) at loop 1"),
        ("Breaks", "returned inf at loop 1"),
        ("Fails", "`step` of"),
        ("Lists", "must return a tensor, got list"),
        ("Mixes", "must treat each input on its own"),
        ("Half", "has no step"),
        ("fails", "KeyError: 'no weights here'"),
        ("missing", "has no 'missing', it has"),
        ("number", "must be a function, got int"),
    ],
)
def test_what_cannot_be_looked_into_is_one_line(capfd, models, name, words):
    assert autopsied(f"{models}:{name}", "--out", models.parent / "out") == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert words in err
    assert not (models.parent / "out").exists()


def test_a_missing_file_or_a_broken_one_is_one_line(capfd, tmp_path):
    broken = tmp_path / "broken.py"
    broken.write_text("def build(:\n")
    for model, words in (
        (tmp_path / "no.py", "no file"),
        (broken, "SyntaxError"),
        ("x", "must be"),
    ):
        assert autopsied(f"{model}:build" if words != "must be" else model) == 2
        err = capfd.readouterr().err
        assert err.count("\n") == 1
        assert words in err
        assert "`target`" not in err


def safetensors(state):
    """The bytes of a safetensors file."""
    header, numbers = {}, b""
    for name, value in state.items():
        raw = value.numpy().tobytes()
        place = [len(numbers), len(numbers) + len(raw)]
        header[name] = {"dtype": "F32", "shape": list(value.shape), "data_offsets": place}
        numbers += raw
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + numbers


def test_weights_come_from_files_that_run_nothing(models):
    state = {"inner.weight": torch.eye(3) / 3, "inner.bias": torch.zeros(3)}
    wrapped = {"model": {f"module._orig_mod.{name}": value for name, value in state.items()}}
    torch.save(wrapped, models.parent / "a.pt")
    np.savez(models.parent / "a.npz", **{name: value.numpy() for name, value in state.items()})
    (models.parent / "a.safetensors").write_bytes(safetensors(state))
    for ending in ("pt", "npz", "safetensors"):
        subject = load_subject(f"{models}:Loops", models.parent / f"a.{ending}")
        assert torch.equal(subject.adapter.inner.weight, torch.eye(3) / 3)


class Harmful:
    """What a pickle may hold: a call."""

    def __reduce__(self):
        return print, ("harm",)


def test_other_weights_are_refused_in_one_line(capfd, models):
    folder = models.parent
    good = {"inner.weight": torch.eye(3), "inner.bias": torch.zeros(3)}
    torch.save({"inner.weight": torch.eye(3)}, folder / "few.pt")
    torch.save({**good, "inner.bias": torch.zeros(4)}, folder / "shape.pt")
    torch.save({"model": good, "other": Harmful()}, folder / "harm.pt")
    (folder / "cut.safetensors").write_bytes(safetensors(good)[:-1])
    (folder / "text.pt").write_text("weights")
    expected = {
        "few.pt": "it lacks inner.bias",
        "shape.pt": "inner.bias of shape (3,), got (4,)",
        "harm.pt": "weights and nothing else",
        "cut.safetensors": "whole safetensors file",
        "text.pt": "weights and nothing else",
        "gone.pt": "No such file",
    }
    for name, words in expected.items():
        assert autopsied(f"{models}:Loops", "--checkpoint", folder / name) == 2
        out, err = capfd.readouterr()
        assert "harm\n" not in out
        assert err.count("\n") == 1
        assert words in err


@pytest.mark.parametrize(
    ("trained", "last", "word"),
    [(0.0, 0.004, "change little"), (0.1, 0.104, "change little"), (0.0, 0.04, "hurt"),
     (0.2, 0.1, "help")],
)  # fmt: skip
def test_what_is_small_beside_all_there_was_to_learn_hurts_nobody(trained, last, word):
    errors = {0: 0.5, 4: trained, 8: last}
    rows = [{"name": "error", "loop": loop, "value": value} for loop, value in errors.items()]
    facts = {"trained": 4, "loops": [0, 4, 8]}
    assert findings._readout(rows, facts)[0] == f"Loops beyond 4 {word}"


def test_a_page_shows_every_number_and_marks_training():
    found = autopsy(Stable(), loops=[2, 8], effort=0.1)
    figure = make_figure("autopsy", found.to_rows())
    panels = {ax.get_title(): ax for ax in figure.axes}
    (error,) = (one for one in panels["Loops beyond 4 hurt"].lines if len(one.get_xdata()) > 2)
    assert error.get_ydata() == pytest.approx(line(found, "error"))
    dotted = [one.get_xdata()[0] for one in panels["Loops beyond 4 hurt"].lines[-1:]]
    assert dotted == [4]
    assert panels["Missed most: clock"].patches[1].get_width() == pytest.approx(32.0)
    assert set(panels) >= {one["short"] for one in found.findings}


@pytest.mark.slow  # a process of its own draws
def test_a_page_is_drawn_beside_its_rows_and_said_as_json(capfd, models):
    out = models.parent / "out"
    code = autopsied(f"{models}:Loops", "--out", out, "--effort", "0.1", "--json")
    found = json.loads(capfd.readouterr().out)
    assert code == 0
    assert found["figure"] == str(out / "figures" / "autopsy__Loops.png")
    assert sorted(p.suffix for p in (out / "figures").iterdir()) == [".csv", ".pdf", ".png"]
    assert found["fixed_point"] is not None
    assert {row["panel"] for row in found["rows"]} >= {"readout", "update", "moduli"}
    rows = looprate.read_rows(out / "figures" / "autopsy__Loops.csv")
    assert len(rows) == len(found["rows"])
    assert rows[0]["words"] == found["findings"][0]["short"]
