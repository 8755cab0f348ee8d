"""Damaged files: what is read is what was written, or one clear ValueError; never other numbers.

Bits are flipped, tails cut and bytes swapped at places drawn with a fixed seed.
"""

import json

import numpy as np
import pytest

from looprate.approx.fit.state import FitState, load_state, save_state
from looprate.experiments.rows.question import ask, stored_config
from looprate.experiments.rows.records import RowStore, digest, read_rows
from looprate.experiments.study.config import PRESETS
from looprate.figures.rows import read_rows as read_csv
from looprate.figures.rows import write_rows
from looprate.theory.construction.build.compile import compile_construction
from looprate.theory.construction.build.spec import ConstructionSpec
from looprate.theory.construction.files import load_network, save_network
from looprate.theory.stored_arrays import read_arrays, write_arrays
from looprate.theory.targets import resolve_target

TRIES = 250  # of each kind of file
ROWS = [
    {"target": "mean-field", "loops": r, "error": 0.1234567 / r, "curve": [0.5, 0.25], "seconds": r}
    for r in (1, 2, 4)
]


def damaged(content, seed):
    """Return a file's bytes, one bit flipped, a tail cut off or two bytes swapped."""
    rng = np.random.default_rng(seed)
    found = bytearray(content)
    place, other = rng.integers(len(found), size=2)
    if seed % 4 == 0:
        return bytes(found[:place])
    if seed % 4 == 1:
        found[place], found[other] = found[other], found[place]
    else:
        found[place] ^= 1 << int(rng.integers(8))
    return bytes(found)


def said_of(path, read):
    """Return what was read, and what was said where it was refused."""
    try:
        return read(path), None
    except ValueError as error:
        return None, str(error)


def attacked(path, read, same):
    """Damage a file again and again; return how often reading it was refused."""
    content, refused = path.read_bytes(), 0
    for seed in range(TRIES):
        path.write_bytes(damaged(content, seed))
        found, words = said_of(path, read)
        if words is None:
            assert same(found), f"seed {seed}: other content without a word"
            continue
        assert "\n" not in words
        assert path.name in words
        refused += 1
    path.write_bytes(content)
    assert same(read(path))
    return refused


def test_a_damaged_network_is_refused_or_the_same(tmp_path):
    path = tmp_path / "network.json"
    spec = ConstructionSpec(2, 1, 2, "increments", "sum")
    network = compile_construction(resolve_target("mean-field"), spec).network
    save_network(path, network, construction={"target": "mean-field", **spec.as_dict()})
    refused = attacked(path, load_network, lambda found: found.network == network)
    assert refused > 0.9 * TRIES


def untimed(rows):
    """Rows without their wall time, which no digest covers."""
    return [{name: row[name] for name in row if name != "seconds"} for row in rows]


def test_a_damaged_row_is_refused_torn_or_the_same(tmp_path):
    path = tmp_path / "rows.jsonl"
    store = RowStore(path)
    for key in "abcd":
        store.append(key, ROWS)
    whole = {key: untimed(store.task(key)) for key in "abcd"}

    def read(path):
        found = RowStore(path)
        return {key: untimed(found.task(key)) for key in found.keys()}  # noqa: SIM118

    def same(found):  # a torn end is dropped and its task runs again, as after a kill
        return all(whole[key] == rows for key, rows in found.items()) and found.keys() <= set(whole)

    assert attacked(path, read, same) > 0.5 * TRIES
    assert attacked(path, lambda p: untimed(read_rows(p)), lambda rows: all(
        any(row in known for known in whole.values()) for row in rows
    )) > 0.5 * TRIES  # fmt: skip


def test_rows_of_earlier_versions_are_read(tmp_path):
    path = tmp_path / "rows.jsonl"
    row = {"task": "a", "index": 0, "of": 1, "error": 0.5, "commit": "7ba7e197924c"}
    path.write_text(json.dumps(row) + "\n")
    assert RowStore(path).task("a") == [row]
    RowStore(path).append("b", ROWS)
    assert RowStore(path).task("a") == [row]


def test_a_changed_number_is_seen(tmp_path):
    path = tmp_path / "rows.jsonl"
    RowStore(path).append("a", ROWS)
    path.write_bytes(path.read_bytes().replace(b"0.1234567", b"0.1234568"))
    with pytest.raises(ValueError, match=r"line 1 of .*delete that line"):
        RowStore(path)


ARRAYS = {
    "weights": np.linspace(0, 1, 60).reshape(3, 20).astype(np.float32),
    "steps": np.arange(12),
    "name": np.array("some words"),
}


def test_damaged_arrays_are_refused_or_the_same(tmp_path):
    path = tmp_path / "arrays.npz"
    write_arrays(path, ARRAYS)

    def same(found):
        return found.keys() == ARRAYS.keys() and all(
            found[name].dtype == value.dtype and np.array_equal(found[name], value)
            for name, value in ARRAYS.items()
        )

    assert attacked(path, read_arrays, same) > 0.5 * TRIES


def test_numpy_alone_reads_other_arrays_from_a_changed_header(tmp_path):  # why sums come first
    path = tmp_path / "arrays.npz"
    write_arrays(path, {"steps": np.arange(12_000)})
    path.write_bytes(path.read_bytes().replace(b"(12000,)", b"(10000,)"))
    with np.load(path) as stored:
        assert len(stored["steps"]) == 10_000
    with pytest.raises(ValueError, match=r"checksum of steps.npy is wrong"):
        read_arrays(path)


def test_a_damaged_checkpoint_starts_again_or_is_the_same(tmp_path):
    path = tmp_path / "checkpoint.npz"
    arrays = [np.arange(3), *np.random.default_rng(0).random((3, 3, 8)), np.arange(3), np.eye(3)]
    state = FitState(*arrays)
    save_state(path, "stamp", state)

    def same(found):
        return found is None or all(
            np.array_equal(value, getattr(state, name)) for name, value in vars(found).items()
        )

    assert attacked(path, lambda p: load_state(p, "stamp"), same) == 0
    assert load_state(path, "stamp") is not None


def test_a_damaged_configuration_is_an_object_or_refused(tmp_path):
    config = PRESETS["smoke"].as_dict()
    ask(tmp_path, config)
    path = tmp_path / "config.json"
    attacked(path, lambda p: stored_config(p.parent), lambda found: isinstance(found, dict))


def test_a_damaged_table_is_rows_or_refused(tmp_path):  # a table may be edited: no digest
    path = tmp_path / "moduli__x.csv"
    rows = [{"kind": "token", "delta": 0.1 * k, "lower": 0.2, "upper": None} for k in range(1, 9)]
    write_rows(path, rows)
    attacked(path, read_csv, lambda found: all(isinstance(row, dict) for row in found))


@pytest.mark.parametrize(
    "content",
    [
        b"[" * 100_000,
        b'{"task": ' * 20_000,
        b"\xff\xfe",
        b"null\n",
        b"{}\n",
        b"1e999\n",
        b"\0" * 99,
    ],
)
def test_files_of_anything_are_refused_in_one_line(content, tmp_path):
    for name, read in (
        ("rows.jsonl", RowStore),
        ("config.json", lambda p: stored_config(p.parent)),
        ("x.npz", read_arrays),
        ("x.json", load_network),
        ("x.csv", read_csv),
    ):
        path = tmp_path / name
        path.write_bytes(content + b"\n")
        _, words = said_of(path, read)
        if words is None:
            assert name in ("config.json", "x.csv")
            continue
        assert "\n" not in words
        assert name in words


def test_a_study_with_a_damaged_file_ends_in_one_line_and_loses_nothing(tmp_path, capsys):
    from looprate.cli import main

    ask(tmp_path, PRESETS["smoke"].as_dict())
    for name in ("rows.jsonl", "theory.jsonl", "constructions.jsonl"):
        RowStore(tmp_path / name).append(digest(name), ROWS)
    for name, old, new in (
        ("rows.jsonl", b"0.1234567", b"0.2234567"),
        ("theory.jsonl", b'"of": 3', b'"of": 4'),
        ("config.json", b'"targets"', b'"targets'),
    ):
        path = tmp_path / name
        content = path.read_bytes()
        path.write_bytes(content.replace(old, new))
        before = {file: file.read_bytes() for file in tmp_path.glob("*.js*")}
        assert main(["verify", "--preset", "smoke", "--out", str(tmp_path)]) == 2
        out, err = capsys.readouterr()
        assert (out, err.count("\n")) == ("", 1)
        assert name in err
        assert {file: file.read_bytes() for file in tmp_path.glob("*.js*")} == before
        path.write_bytes(content)
