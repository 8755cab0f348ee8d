"""Networks that would not come back equal are not written, and a failed write costs nothing."""

import os
from fractions import Fraction

import numpy as np
import pytest
from test_construction_files import network

from looprate.theory.construction import files
from looprate.theory.construction.build.network import Affine, Block, Unit
from looprate.theory.construction.files import save_network

ENDLESS = {}
ENDLESS["a"] = ENDLESS


@pytest.fixture
def path(tmp_path):
    return tmp_path / "networks" / "one.json"


ENDLESS["a"] = ENDLESS


@pytest.mark.parametrize("weight", [1.0, True, "1", None, Fraction(1, 2)])
@pytest.mark.parametrize("part", ["eta", "drift", "bias", "encoder"])
def test_weights_that_are_no_integers_are_not_written(path, weight, part):
    changed = {
        "eta": {"eta": {"y": (weight,)}},
        "drift": {"block": Block(("y",), (), (), {"y": weight})},
        "bias": {"block": Block(("y",), (), (Unit("u", {}, weight, {}),), {})},
        "encoder": {"encoder": {"y": Affine({0: weight})}},
    }[part]
    parts = {"encoder": {}, "decoder": (({}, Fraction(1)),), "eta": {}, **changed}
    with pytest.raises(TypeError, match="`network` must have integer weights, got"):
        save_network(path, network(**{"block": Block(("y",), (), (), {}), **parts}))
    assert not path.exists()


@pytest.mark.parametrize("weight", [0.5, True])
def test_a_decoder_of_floats_is_not_written(path, weight):
    with pytest.raises(TypeError, match="`decoder` must hold fractions, got"):
        save_network(path, network(decoder=(({"y": weight}, Fraction(0)),)))


@pytest.mark.parametrize(
    "construction",
    [
        {"a": float("nan")},
        {"a": (1, 2)},
        {1: 2},
        {"a": {2}},
        {"a": np.float64(1), "b": np.arange(2)},
        {"a": 1 << 20_000},
        ENDLESS,
    ],
    ids=["nan", "tuple", "integer key", "set", "array", "large integer", "endless"],
)
def test_a_construction_that_would_change_is_not_written(path, construction):
    with pytest.raises(ValueError, match="`construction` must hold JSON values only"):
        save_network(path, network(), construction=construction)


def test_a_network_that_could_not_be_read_is_not_written(path, monkeypatch):
    one = (({"y": Fraction(1)}, Fraction(0)),)
    with pytest.raises(ValueError, match="below d = 1, got 1"):
        save_network(path, network(decoder=one))
    with pytest.raises(ValueError, match="at least one coordinate"):
        save_network(path, network(decoder=()))
    long = Fraction(1, 16 ** (files.MAX_FRACTION_DIGITS + 1))
    with pytest.raises(ValueError, match="digits on each side"):
        save_network(path, network(decoder=(({}, long), ({}, long))))
    monkeypatch.setattr(files, "MAX_BYTES", 1000)
    with pytest.raises(ValueError, match="must fit a file of 1000 bytes"):
        save_network(path, network())
    assert not path.exists()


def test_a_good_file_survives_a_failed_write(path, monkeypatch):
    save_network(path, network())
    before = path.read_bytes()

    def fail(_):
        raise OSError("no space left")

    monkeypatch.setattr(files.os, "fsync", fail)
    with pytest.raises(OSError, match="no space left"):
        save_network(path, network(loops=9))
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]
