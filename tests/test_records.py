"""Rows on disk: they come back as stored, heal after a kill, and are never silently changed."""

import json
import math
import subprocess
import sys
import time
import tracemalloc
from importlib.metadata import version

import numpy as np
import pytest

from looprate.experiments.rows import records
from looprate.experiments.rows.provenance import _commit, provenance, stamped
from looprate.experiments.rows.records import (
    CorruptRows,
    RowStore,
    digest,
    read_rows,
)
from looprate.theory.outputs import write_atomically

PROVENANCE = {"version", "commit", "device", "seed", "seconds"}
ROWS = [{"seed": 0, "error": 0.1, "curve": [0.3, 1 / 3]}, {"seed": 1, "error": 2e-9, "word": "é\n"}]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "study" / "rows.jsonl"


def stored(path, key="a"):
    return RowStore(path).task(key)


def framed(key="a", rows=ROWS):
    frames = ({"task": key, "index": k, "of": len(rows)} for k in range(len(rows)))
    return [{**frame, **row, **provenance()} for frame, row in zip(frames, rows, strict=True)]


def test_rows_say_where_they_come_from(path, monkeypatch, tmp_path):
    RowStore(path).append("a", ROWS)
    assert {row["version"] for row in stored(path)} == {version("looprate")}
    commits = {row["commit"] for row in stored(path)}
    assert commits == {provenance()["commit"]}
    monkeypatch.setattr("looprate.experiments.rows.provenance.HERE", tmp_path / "provenance.py")
    assert _commit() is None  # under no repository
    git("init", "--quiet", cwd=tmp_path)
    (tmp_path / "provenance.py").write_text("here\n")
    assert _commit() is None  # in a repository that does not hold this file
    git("add", "provenance.py", cwd=tmp_path)
    git("commit", "--quiet", "-m", "one", cwd=tmp_path)
    head = git("rev-parse", "HEAD", cwd=tmp_path)[:12]
    assert _commit() == head
    (tmp_path / "provenance.py").write_text("there\n")
    assert _commit() == f"{head}-dirty"


def git(*arguments, cwd):
    author = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    command = ["git", *author, *arguments]
    done = subprocess.run(command, cwd=cwd, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def test_a_stamp_is_of_the_process_and_time_of_the_task_and_leaves_what_rows_say():
    @stamped
    def work(report, *, say):
        report(1.0)
        time.sleep(0.05)
        return [{"a": 1}, {"a": 2, **say}]

    heard = []
    plain, own = work(heard.append, say={"seed": 7, "device": "H100", "seconds": 9.0})
    assert heard == [1.0]
    assert set(plain) == PROVENANCE | {"a"}
    assert (plain["device"], plain["seed"], plain["commit"]) == ("cpu", 0, provenance()["commit"])
    assert 0.025 <= plain["seconds"] < 5.0
    assert (own["seed"], own["device"], own["seconds"]) == (7, "H100", 9.0)


def test_rows_share_the_wall_time_of_their_task(monkeypatch):
    clock = iter([100.0, 106.0])
    monkeypatch.setattr("looprate.experiments.rows.provenance.time.monotonic", lambda: next(clock))
    rows = stamped(lambda: [{}, {}, {}])()
    assert [row["seconds"] for row in rows] == [2.0, 2.0, 2.0]


def test_what_a_task_says_of_its_origin_is_stored(path):
    (row,) = RowStore(path).append("a", [{"commit": "of a worker", "version": "9"}])
    assert (row["commit"], row["version"]) == ("of a worker", "9")


def test_every_kind_of_row_is_stamped():
    from looprate.experiments.learned import moduli as learned
    from looprate.experiments.reproduce import fitting
    from looprate.experiments.study import lessons as tasks_construct
    from looprate.experiments.study import work as tasks_study

    (row,) = tasks_study.theory_rows(lambda part: None, target="mean-field", tokens=2, dim=1, p=1.0)
    assert set(row) >= PROVENANCE
    for work in (
        *(tasks_study.fit_rows, fitting.fit_row, tasks_construct.certificate_rows),
        tasks_construct.lesson_rows,
        *(learned.target_rows, learned.learned_rows),
    ):
        assert work.__code__ is stamped(work).__code__, work.__module__


# -- rows ------------------------------------------------------------------------------------------
def test_rows_come_back_as_stored_by_task_and_in_order(path):
    store = RowStore(path)
    assert store.task("a") is None
    assert store.append("a", ROWS) == framed()
    store.append("b", ROWS[:1])
    for again in (store, RowStore(path)):
        assert again.task("a") == framed()
        assert again.task("b") == framed("b", ROWS[:1])
        assert again.task("c") is None


def test_numbers_json_cannot_hold_become_null(path):
    wild = {
        "nan": math.nan,
        "deep": {"inf": [math.inf, 1.0, (-math.inf,)]},
        "np": np.float64("nan"),
    }
    RowStore(path).append("a", [wild])
    (row,) = [json.loads(line) for line in path.read_text().splitlines()]
    assert (row["nan"], row["np"]) == (None, None)
    assert row["deep"] == {"inf": [None, 1.0, [None]]}
    assert row.pop("check").startswith("sha256:")
    assert stored(path) == [row]


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_a_torn_last_line_is_dropped_and_the_file_healed(path, cut):
    RowStore(path).append("a", ROWS)
    whole = path.read_bytes()
    torn = json.dumps(framed("b", ROWS[:1])[0]).encode()  # cut=1 below: all but its newline
    path.write_bytes(whole + torn[: len(torn) + 1 - cut])
    store = RowStore(path)
    assert store.task("a") == framed()
    assert store.task("b") is None
    assert path.read_bytes().startswith(whole)  # reading changes nothing
    store.append("b", ROWS[:1])
    assert path.read_bytes().startswith(whole + torn[:-1])
    assert stored(path, "b") == framed("b", ROWS[:1])


def test_a_task_with_rows_missing_is_not_done_and_comes_back_as_one_set(path):
    RowStore(path).append("a", ROWS)
    whole = path.read_bytes()
    RowStore(path).append("b", [*ROWS, *ROWS])
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-1]))
    store = RowStore(path)
    assert store.task("b") is None
    store.append("b", [*ROWS, *ROWS])
    assert path.read_bytes() == b"".join(lines)
    assert path.read_bytes().startswith(whole)
    assert stored(path, "b") == framed("b", [*ROWS, *ROWS])


def test_a_row_twice_does_not_stand_for_one_that_is_missing(path):
    three = framed(rows=[*ROWS, *ROWS[:1]])
    path.parent.mkdir()
    path.write_text("".join(json.dumps(row) + "\n" for row in (three[0], three[1], three[1])))
    assert RowStore(path).task("a") is None
    path.write_text("".join(json.dumps(row) + "\n" for row in three))
    assert RowStore(path).task("a") == three


def test_a_half_written_task_in_the_middle_is_not_done_either(path):
    RowStore(path).append("a", ROWS)
    first, _ = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(first)
    with path.open("ab") as stream:  # as if another program had gone on
        stream.write(json.dumps(framed("b", ROWS[:1])[0]).encode() + b"\n")
    store = RowStore(path)
    assert store.task("a") is None
    store.append("a", ROWS)
    assert stored(path) == framed()
    assert stored(path, "b") == framed("b", ROWS[:1])


def test_a_task_stored_twice_counts_as_stored_last(path):
    store = RowStore(path)
    store.append("a", ROWS)
    store.append("b", ROWS)
    store.append("a", ROWS[::-1])
    for again in (store, RowStore(path)):
        assert again.task("a") == framed(rows=ROWS[::-1])
        assert again.keys() == ["b", "a"]
        assert len(again) == 2
        assert "b" in again
        assert "c" not in again
        assert again.lines("b") == path.read_bytes().splitlines(keepends=True)[2:4]
        assert again.lines("c") is None


def test_memory_does_not_grow_with_the_rows(path):
    row = {"note": "x" * 75_000}
    tracemalloc.start()
    try:
        store = RowStore(path)
        for key in map(str, range(40)):
            store.append(key, [row])
        again = RowStore(path)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert path.stat().st_size >= 3_000_000
    assert len(again) == 40
    assert held < 300_000


def test_rows_of_another_writer_are_not_cut_off(path):
    mine, other = RowStore(path), RowStore(path)
    other.append("a", ROWS)
    before = path.read_bytes()
    with pytest.raises(CorruptRows, match=r"`rows.jsonl` must have one writer.*run the same"):
        mine.append("b", ROWS)
    assert path.read_bytes() == before
    other.append("b", ROWS)  # the other may go on


# -- disks -----------------------------------------------------------------------------------------
@pytest.fixture
def disk(tmp_path):
    """A disk of 64 kB of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(folder)]
    if sys.platform != "linux" or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("mounting a small disk is not allowed here")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder):
    """Leave no byte free."""
    with pytest.raises(OSError, match="No space left"):
        (folder / "filler").write_bytes(b"x" * 1_000_000)


def test_a_full_disk_costs_no_stored_row_and_is_named(disk):
    path = disk / "rows.jsonl"
    store = RowStore(path)
    store.append("a", ROWS)
    before = path.read_bytes()
    with pytest.raises(OSError, match=r"No space left on device: '.*/rows\.jsonl'"):
        store.append("b", [{"long": "x" * 100_000}])
    assert path.read_bytes() == before
    assert "b" not in store
    store.append("c", ROWS)  # what fits still comes
    assert RowStore(path).task("c") == framed("c")
    write_atomically(disk / "report.md", "old")
    with pytest.raises(OSError, match=r"No space left on device: '.*/report\.md'"):
        write_atomically(disk / "report.md", "x" * 100_000)
    assert (disk / "report.md").read_text() == "old"
    assert not list(disk.glob("*.tmp"))


def test_a_command_on_a_full_disk_ends_in_one_line(disk, said):
    fill(disk)
    code, out, err = said("verify", "--preset", "smoke", "--out", disk)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "config.json: No space left on device; free some space and run the same" in err


def test_a_folder_that_cannot_be_written_is_named_and_can_be_read(disk, said):
    RowStore(disk / "rows.jsonl").append("a", ROWS)
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    store = RowStore(disk / "rows.jsonl")
    assert store.task("a") == framed()
    with pytest.raises(OSError, match=r"Read-only file system: '.*/rows\.jsonl'"):
        store.append("b", ROWS)
    code, out, err = said("verify", "--preset", "smoke", "--out", disk)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "cannot use" in err
    assert "Read-only file system; check the path and its permissions" in err


def test_rows_that_do_not_reach_the_disk_are_not_kept(path, monkeypatch):
    store = RowStore(path)
    store.append("a", ROWS)
    before = path.read_bytes()

    def broken(_):
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(records.os, "fsync", broken)
        with pytest.raises(OSError, match=r"Input/output error: '.*rows.jsonl'"):
            store.append("b", ROWS)
    assert path.read_bytes() == before
    assert "b" not in store
    store.append("b", ROWS)
    assert stored(path, "b") == framed("b")


# -- unreadable lines ------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "line",
    [b"{not json}\n", b"[1, 2]\n", b'{"seed": 3}\n', b"\xff\xfe\n", b"\n", b'{"task": "a"}\n'],
)
@pytest.mark.parametrize("place", [1, 2, 3])
def test_an_unreadable_line_is_named_and_nothing_is_touched(path, line, place):
    RowStore(path).append("a", ROWS)
    lines = path.read_bytes().splitlines(keepends=True)
    lines.insert(place - 1, line)
    path.write_bytes(b"".join(lines))
    before = path.read_bytes()
    with pytest.raises(CorruptRows, match=rf"`rows.jsonl` must hold .* line {place} of .*--out"):
        RowStore(path)
    assert path.read_bytes() == before


def test_no_file_and_an_empty_file_hold_no_rows(path):
    assert read_rows(path) == []
    path.parent.mkdir()
    path.touch()
    assert read_rows(path) == []


# -- digest ----------------------------------------------------------------------------------------
def test_digest_is_stable_ignores_order_of_keys_and_sees_every_change():
    facts = {"target": "mean-field", "loops": 3, "rates": [0.01, 0.03], "recipe": {"a": 1, "b": 2}}
    turned = {"recipe": {"b": 2, "a": 1}, **dict(reversed(facts.items()))}
    assert digest(facts) == digest(turned)
    assert digest({"a": 1}) == "f9d86028c6e0d64e2251"  # as sha256sum of {"a": 1} says
    changed = [
        {**facts, "loops": 4},
        {**facts, "rates": [0.03, 0.01]},
        {**facts, "recipe": {"a": 1, "b": 3}},
        {**facts, "more": None},
    ]
    assert len({digest(f) for f in [facts, *changed]}) == 5
    with pytest.raises(ValueError, match="JSON compliant"):
        digest({"a": math.nan})
