"""Files are written whole, and a folder has one holder at a time."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from looprate.experiments.rows import records
from looprate.experiments.rows.records import exclusive
from looprate.theory.outputs import write_atomically
from looprate.theory.stored_arrays import write_arrays

WRITER = """
import sys
from pathlib import Path
from looprate.theory.outputs import write_atomically
path = Path(sys.argv[1])
write = write_atomically if sys.argv[2] == "atomic" else Path.write_text
while True:
    for letter in "ab":
        write(path, letter * 4_000_000)
"""


def seen_while_writing(path, how):
    """Return the contents a reader meets while a process writes the file, and after its kill."""
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path), how])
    try:
        end = time.monotonic() + 30
        while not path.exists() and time.monotonic() < end:
            time.sleep(0.01)
        seen = []
        for _ in range(60):
            seen.append(path.read_bytes())
            time.sleep(0.001)
    finally:
        writer.kill()
        writer.wait()
    return [*seen, path.read_bytes()]


def is_whole(content):
    return content in (b"a" * 4_000_000, b"b" * 4_000_000)


def test_an_atomic_write_never_shows_a_part(tmp_path):
    assert all(map(is_whole, seen_while_writing(tmp_path / "deep" / "file", "atomic")))


def test_a_plain_write_does_show_a_part(tmp_path):  # the check above can fail
    assert not all(map(is_whole, seen_while_writing(tmp_path / "file", "plain")))


def test_a_failing_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_atomically(path, "old")

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(records.os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(path, "new")
    assert path.read_text() == "old"


def test_arrays_come_back_and_objects_are_refused(tmp_path):
    arrays = {"flat": np.arange(6.0).reshape(2, 3), "steps": np.array([1, 2])}
    write_arrays(tmp_path / "a.npz", arrays)
    with np.load(tmp_path / "a.npz") as found:
        for name, value in arrays.items():
            np.testing.assert_array_equal(found[name], value)
    with pytest.raises(ValueError, match="allow_pickle=False"):
        write_arrays(tmp_path / "b.npz", {"bad": np.array([{}, None], dtype=object)})
    assert not (tmp_path / "b.npz").exists()


HOLDER = """
import sys, time
from pathlib import Path
from looprate.experiments.rows.records import exclusive
with exclusive(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_folder_has_one_holder_and_is_free_again_after(tmp_path):
    folder = tmp_path / "new" / "folder"
    with exclusive(folder):
        with pytest.raises(ValueError, match=r"`--out` must not be in use.*another folder"):
            exclusive(folder).__enter__()
        with exclusive(tmp_path / "other"):
            pass
    with exclusive(folder):
        pass


def test_an_error_inside_frees_the_folder(tmp_path):
    with pytest.raises(KeyError), exclusive(tmp_path):
        raise KeyError
    with exclusive(tmp_path):
        pass


def test_the_lock_of_a_killed_process_is_gone(tmp_path):
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        try:
            assert holder.stdout.readline() == "held\n"
            with pytest.raises(ValueError, match="must not be in use"), exclusive(tmp_path):
                pass
        finally:
            os.kill(holder.pid, signal.SIGKILL)
    with exclusive(tmp_path):
        pass


def test_a_lock_file_left_behind_holds_nobody_up(tmp_path):
    (tmp_path / ".lock").write_text("of a run that ended long ago")
    with exclusive(tmp_path):
        pass


def test_a_file_system_without_locks_is_named(tmp_path, monkeypatch):
    import fcntl

    def none(*_):
        raise OSError(37, "No locks available")

    monkeypatch.setattr(fcntl, "flock", none)
    with pytest.raises(OSError, match=r"No locks available: '.*/\.lock'"), exclusive(tmp_path):
        pass


def test_a_folder_below_a_file_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="Not a directory"), exclusive(tmp_path / "file" / "out"):
        pass
