"""Outputs: whole files or one line that says why not, and never a device, pipe or link replaced."""

import os
import resource
import shutil
import stat
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from looprate.approx.fit.state import save_state
from looprate.cli import main
from looprate.experiments.rows.export import write_csv, write_parquet
from looprate.experiments.rows.records import RowStore, exclusive
from looprate.figures.drawing import redraw
from looprate.figures.rows import write_rows
from looprate.theory.construction.files import load_network, save_network
from looprate.theory.outputs import (
    at_least,
    at_most,
    checked_output,
    remove_dead_drafts,
    replacing,
    write_atomically,
)
from looprate.theory.stored_arrays import write_arrays

ROOT = Path(__file__).resolve().parent.parent
FIGURE = "moduli__a"


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A folder with rows and one figure's rows."""
    folder = tmp_path_factory.mktemp("study")
    RowStore(folder / "rows.jsonl").append("a", [{"value": 0.5}, {"value": 0.25}])
    (folder / "figures").mkdir()
    (source, *_) = sorted((ROOT / "docs" / "figures").glob("moduli__*.csv"))
    shutil.copy(source, folder / "figures" / f"{FIGURE}.csv")
    return folder


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    """A small constructed network."""
    from looprate.cli import main

    path = tmp_path_factory.mktemp("network") / "net.json"
    assert main(["construct", "mean-field", "--grid", "2", "--save", str(path), "--json"]) == 0
    return load_network(path).network


class _State:
    def __init__(self):
        self.step = [1]


WRITERS = {
    "write_atomically": lambda path: write_atomically(path, "new"),
    "write_arrays": lambda path: write_arrays(path, {}),
    "save_state": lambda path: save_state(path, "stamp", _State()),
    "write_csv": lambda path: write_csv(path, ["a"], [{"a": 1}]),
    "write_parquet": lambda path: write_parquet(path, {"a": {"int"}}, [{"a": 1}]),
    "write_rows": lambda path: write_rows(path, [{"a": 1}]),
}


def pipe(folder):
    os.mkfifo(folder / "pipe")
    return folder / "pipe", "a pipe, not a regular file"


def device(folder):
    try:
        os.mknod(folder / "device", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    except OSError:
        pytest.skip("making a device is not allowed here")
    return folder / "device", "a device, not a regular file"


def null(_):
    return Path(os.devnull), "a device, not a regular file"


def full(_):
    return Path("/dev/full"), "a device, not a regular file"


def folder_there(folder):
    (folder / "there").mkdir()
    return folder / "there", "a folder, not a regular file"


def link_to_device(folder):
    (folder / "link").symlink_to(os.devnull)
    return folder / "link", "a device, not a regular file"


def link_to_nothing(folder):
    (folder / "link").symlink_to(folder / "nothing")
    return folder / "link", "No such file"


def link_to_itself(folder):
    (folder / "link").symlink_to(folder / "link")
    return folder / "link", "Too many levels of symbolic links"


def below_a_file(folder):
    (folder / "file").touch()
    return folder / "file" / "out", "Not a directory"


ODD = [pipe, device, null, full, folder_there, link_to_device, link_to_nothing, link_to_itself]
ODD = [*ODD, below_a_file]


def entries(folder, path):
    """Return what is in a folder, and at a path elsewhere: names, sorts and inodes."""
    paths = {*folder.iterdir(), *([path] if os.path.lexists(path) else [])}
    return sorted((p, p.lstat().st_mode, p.lstat().st_ino) for p in paths)


@pytest.mark.parametrize("place", ODD, ids=lambda place: place.__name__)
@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
def test_no_writer_replaces_what_is_no_file(write, place, tmp_path):  # R8
    path, words = place(tmp_path)
    if not os.path.lexists(path) and not path.parent.is_file():
        pytest.skip("no such device here")
    before = entries(tmp_path, path)
    with pytest.raises(OSError, match=words):
        write(path)
    assert entries(tmp_path, path) == before


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
def test_a_link_to_a_file_stays_a_link_and_its_file_is_written(write, tmp_path):  # R8
    (tmp_path / "far").mkdir()
    file, link = tmp_path / "far" / "file", tmp_path / "link"
    file.write_text("old")
    file.chmod(0o640)
    link.symlink_to(file)
    write(link)
    assert link.is_symlink()
    assert file.read_bytes() != b"old"
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert [path.name for path in file.parent.iterdir()] == ["file"]


COMMANDS = {
    "csv": ["rows", "STUDY", "--csv", "PLACE"],
    "parquet": ["rows", "STUDY", "--parquet", "PLACE"],
    "save": ["construct", "mean-field", "--grid", "2", "--save", "PLACE"],
    "construct-out": ["construct", "mean-field", "--grid", "2", "--out", "PLACE"],
    "to": ["figures", "STUDY", "--to", "PLACE"],
    "static": ["explore", "--static", "PLACE"],
    "claims": ["claims", "lemma-4-1-error", "--out", "PLACE"],
    "verify": ["verify", "--preset", "smoke", "--out", "PLACE"],
    "eta": ["eta", "--preset", "smoke", "--out", "PLACE"],
    "reproduce": ["reproduce", "lcs", "--preset", "smoke", "--out", "PLACE"],
    "merge": ["rows", "STUDY", "OTHER", "--merge", "PLACE"],
}


@pytest.mark.parametrize("place", [pipe, null, link_to_device, link_to_nothing, link_to_itself])
@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_every_output_option_refuses_what_is_no_file_in_one_line(
    command, place, study, tmp_path, said
):  # R8
    path, _ = place(tmp_path)
    other = tmp_path / "other"
    shutil.copytree(study, other)
    names = {"STUDY": study, "PLACE": path, "OTHER": other}
    mode = path.lstat().st_mode
    code, out, err = said(*(names.get(word, word) for word in command))
    assert (code, out, err.count("\n")) == (2, "", 1), err
    assert path.lstat().st_mode == mode
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted({"other", path.name} - {"null"})


def test_a_file_the_command_prints_to_is_no_output(study, tmp_path):  # R8
    command = f"exec {sys.executable} -m looprate rows {study} --csv out > out"
    done = subprocess.run(
        ["sh", "-c", command],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "it is what this command prints to" in done.stderr


def test_a_network_goes_to_no_pipe(network, tmp_path):  # R8
    path, words = pipe(tmp_path)
    with pytest.raises(OSError, match=words):
        save_network(path, network)


def test_figures_replace_no_pipe_and_keep_links(study, tmp_path):  # R8
    shutil.copytree(study, tmp_path / "study")
    folder = tmp_path / "study" / "figures"
    os.mkfifo(folder / f"{FIGURE}.svg")
    with pytest.raises(ValueError, match="a pipe, not a regular file"):
        redraw(tmp_path / "study", formats=["svg"])
    assert (folder / f"{FIGURE}.svg").is_fifo()
    (tmp_path / "far.png").touch()
    (folder / f"{FIGURE}.png").symlink_to(tmp_path / "far.png")
    redraw(tmp_path / "study", formats=["png"])
    assert (folder / f"{FIGURE}.png").is_symlink()
    assert (tmp_path / "far.png").read_bytes().startswith(b"\x89PNG")


def test_names_of_any_length_the_system_allows_can_be_written(tmp_path):
    for name in ("x" * 255, "λ" * 127, "🙂" * 63):
        write_atomically(tmp_path / name, "new")
        assert (tmp_path / name).read_text() == "new"
        assert len(list(tmp_path.iterdir())) == 1
        (tmp_path / name).unlink()
    with pytest.raises(OSError, match="File name too long"):
        checked_output(tmp_path / ("x" * 256))


# -- full disks and kills --------------------------------------------------------------------------
@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
def test_a_file_that_grows_too_large_leaves_the_old_one(write, tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1, hard))
    try:
        with pytest.raises(OSError, match=r"File too large: '.*/file'"):
            write(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def dead_draft(path):
    """Leave the draft of a writer that is killed."""
    code = (
        "import os, sys; from pathlib import Path; from looprate.theory.outputs import replacing\n"
        "with replacing(Path(sys.argv[1])): os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", code, path], cwd=ROOT)
    assert done.returncode == -9


def test_the_next_writer_removes_what_a_killed_one_left(tmp_path):  # F3
    path = tmp_path / "a.pdf"
    dead_draft(path)
    assert len(list(tmp_path.iterdir())) == 1
    write_atomically(tmp_path / "b.pdf", "another file is none of its business")
    assert len(list(tmp_path.iterdir())) == 2
    write_atomically(path, "new")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.pdf", "b.pdf"]


def test_the_next_run_of_a_folder_removes_all_that_a_killed_one_left(tmp_path):  # F3
    dead_draft(tmp_path / "figures" / "a.pdf")
    dead_draft(tmp_path / "models" / "b.npz")
    with exclusive(tmp_path):
        pass
    assert [p.name for p in tmp_path.rglob("*") if p.is_file()] == [".lock"]


def test_the_next_merge_removes_what_a_killed_one_left(study, tmp_path):
    other = tmp_path / "other"
    RowStore(other / "rows.jsonl").append("b", [{"value": 0.5}])
    killed = (
        "import os, sys; from pathlib import Path; from looprate.experiments.rows import merge;"
        "merge._copy_files = lambda *_: os._exit(9);"
        "merge.merge_folders([Path(sys.argv[1]), Path(sys.argv[2])], Path('out'))"
    )
    command = [sys.executable, "-c", killed, study, other]
    path = {**os.environ, "PYTHONPATH": str(ROOT)}
    assert subprocess.run(command, cwd=tmp_path, env=path, check=False).returncode == 9
    assert len(list(tmp_path.glob(".out.*"))) == 1
    assert main(["rows", str(study), str(other), "--merge", str(tmp_path / "out")]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other", "out"]
    assert len(RowStore(tmp_path / "out" / "rows.jsonl")) == 2


READ = {  # what commands look for in a folder of theirs
    "rows.jsonl": ["rows DIR", "verify --preset smoke --out DIR", "learned DIR"],
    ".lock": ["verify --preset smoke --out DIR", "eta --out DIR"],
    "config.json": ["verify --preset smoke --out DIR", "rows DIR OTHER --merge OUT"],
    "figures/moduli__a.csv": ["figures DIR"],
}


@pytest.mark.parametrize(
    ("name", "line"), [(name, line) for name, lines in READ.items() for line in lines]
)
@pytest.mark.parametrize("sort", ["pipe", "device"])
def test_no_command_waits_for_a_pipe_or_a_device_in_its_folder(
    name, line, sort, study, tmp_path, capfd, monkeypatch
):
    for folder in ("dir", "other"):
        shutil.copytree(study, tmp_path / folder)
    place = tmp_path / "dir" / name
    place.unlink(missing_ok=True)
    os.mkfifo(place) if sort == "pipe" else place.symlink_to("/dev/zero")
    monkeypatch.setattr("looprate.experiments.engine.sweep.Sweep.run", lambda *_, **__: None)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    names = {"DIR": "dir", "OTHER": "other", "OUT": "out"}
    code = main([str(tmp_path / names[word]) if word in names else word for word in line.split()])
    err = capfd.readouterr().err
    assert code == 2
    assert err.count("\n") == 1
    assert f"it is a {sort}, not a regular file" in err or "must be a study folder" in err


def test_the_draft_of_a_living_writer_stays(tmp_path):  # F3
    with replacing(tmp_path / "a") as draft:
        remove_dead_drafts(tmp_path)
        write_atomically(tmp_path / "a", "of another")
        assert draft.exists()
        draft.write_text("mine")
    assert (tmp_path / "a").read_text() == "mine"


def test_printed_sides_are_rounded_outwards_and_by_less_than_one_digit():
    values = np.random.default_rng(0).normal(size=300) * 10.0 ** np.arange(-150, 150)
    for value in [*values.tolist(), 0.0, 0.1, 4.0, 4.0 + 4e-11, 1.7976931348623157e308]:
        exact = Decimal(repr(value))
        for digits in (3, 6):
            low, high = Decimal(at_least(value, digits)), Decimal(at_most(value, digits))
            assert low <= exact <= high
            assert high - low <= abs(exact) * Decimal(10) ** (1 - digits) or high.is_infinite()
    assert (at_least(0.29996, 3), at_most(0.3, 3), at_most(2e-5, 3)) == ("0.299", "0.3", "2e-05")
