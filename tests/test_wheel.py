"""Installed alone and run beside files that have our folders' names, everything works."""

import json
import os
import shutil
import site
import subprocess
import sys
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("looprate", "theory", "approx", "experiments", "figures")
FILES = ("pyproject.toml", "README.md", "LICENSE")
HOSTILE = ("figures.py", "theory.py", "approx/__init__.py")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
VERSION = PROJECT["project"]["version"]
OFFLINE = ("--quiet", "--no-deps", "--no-index", "--no-build-isolation")
SMOKE = ("verify", "--preset", "smoke", "--processes", "2", "--out", "smoke")
FACADE = """\
import looprate
f = looprate.target("formula: mean(x)", tokens=2, dim=1)
answers = f.bound([100, 10_000]), f.construct(3)
assert [row["verdict"] for row in f.check().to_rows()], f.check()
assert f.moduli(0.1, effort=0.1).to_rows()
axes = looprate.error_figure(*answers)
assert axes.lines
axes.figure.savefig("error.png")
print(looprate.__version__, looprate.__file__)
"""


def sources():
    """Yield the files of our folders that belong into a wheel, relative to the root."""
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                yield path.relative_to(ROOT)


def pip(*arguments):
    """Run pip offline."""
    subprocess.run([sys.executable, "-m", "pip", *map(str, arguments)], check=True)


def environment(folder):
    """Return the Python of a new environment: with every library, without any looprate.

    A path in a .pth file brings a folder's packages and none of its own .pth files, so that an
    editable install stays behind.
    """
    venv.create(folder, symlinks=os.name != "nt")
    python = folder / "bin" / "python"
    (place,) = folder.glob("lib/python*/site-packages")
    (place / "libraries.pth").write_text("\n".join(site.getsitepackages()))
    return python


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """A copy of the checkout: building in it leaves nothing here, and nothing old gets in."""
    folder = tmp_path_factory.mktemp("clone")
    for path in [*map(Path, FILES), *sources()]:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, folder / path)
    return folder


@pytest.fixture(scope="module")
def wheel(clone):
    pip("wheel", *OFFLINE, "--wheel-dir", clone / "dist", clone)
    (path,) = (clone / "dist").glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """The Python of an environment that has the wheel."""
    python = environment(tmp_path_factory.mktemp("installed"))
    pip("--python", python, "install", *OFFLINE, wheel)
    return python


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run a command in a folder that is empty but for hostile files."""
    for name in HOSTILE:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"raise SystemExit('{name} was imported')\n")
    monkeypatch.delenv("PYTHONPATH", raising=False)
    monkeypatch.setenv("MPLBACKEND", "Agg")

    def run(*command, **variables):
        done = subprocess.run(
            list(map(str, command)),
            cwd=tmp_path,
            env=os.environ | variables,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def test_the_packages_of_the_project_are_the_folders_with_an_init():
    found = {path.parent for path in sources() if path.name == "__init__.py"}
    names = {".".join(path.parts) for path in found}
    names = {name if name.startswith("looprate") else f"looprate.{name}" for name in names}
    assert PROJECT["tool"]["setuptools"]["packages"] == sorted(names)
    assert {path.parent for path in sources() if path.suffix == ".py"} == found


def test_the_wheel_holds_every_file_and_nothing_outside_looprate(wheel):
    held = set(zipfile.ZipFile(wheel).namelist())
    wanted = {
        str(path if path.parts[0] == "looprate" else Path("looprate", path)) for path in sources()
    }
    info = f"looprate-{VERSION}.dist-info/"
    assert {name for name in held if not name.startswith(info)} == wanted
    assert {Path(name).suffix for name in wanted} == {".py", ".cpp", ".h"}


def test_the_command_of_the_wheel_works_beside_files_of_our_names(installed, run):
    assert run(installed.parent / "looprate", "--version") == f"looprate {VERSION}\n"
    assert "usage:" in run(installed, "-P", "-m", "looprate.figures", "--help")


@pytest.mark.slow
def test_the_names_of_the_wheel_work_beside_files_of_our_names(installed, run, tmp_path):
    version, place = run(installed, "-c", FACADE).split()
    assert version == VERSION
    assert Path(place).is_relative_to(installed.parent.parent)
    assert (tmp_path / "error.png").stat().st_size > 10_000


def test_a_bare_checkout_and_an_editable_install_work(clone, run, tmp_path, tmp_path_factory):
    python = environment(tmp_path_factory.mktemp("editable"))
    bare = {"PYTHONPATH": str(clone)}
    (tmp_path / "bare").mkdir()  # where no .egg-info tells a version
    (tmp_path / "bare" / "looprate").symlink_to(clone / "looprate")
    told = "import looprate; print(looprate.__version__)"
    assert run(python, "-S", "-c", told, PYTHONPATH="bare") == "unknown\n"
    told = "import looprate.theory.verdict as v; print(v.__file__)"
    assert run(python, "-m", "looprate", "--version", **bare).startswith("looprate ")
    assert run(python, "-c", told, **bare) == f"{clone / 'theory' / 'verdict.py'}\n"
    pip("--python", python, "install", *OFFLINE, "--editable", clone)
    assert run(python.parent / "looprate", "--version") == f"looprate {VERSION}\n"
    assert run(python, "-c", told) == f"{clone / 'theory' / 'verdict.py'}\n"


def test_a_folder_of_the_checkout_is_not_imported_as_a_second_copy(clone):
    for name in FOLDERS[1:]:
        done = subprocess.run(
            [sys.executable, "-c", f"import {name}"],
            cwd=clone,
            capture_output=True,
            text=True,
            check=False,
        )
        said = f"ImportError: import looprate.{name} instead of {name}"
        assert said in done.stderr.splitlines()[-1]


@pytest.mark.slow
def test_the_smoke_study_of_the_wheel_has_rows_figures_and_reports(installed, run, tmp_path):
    run(installed.parent / "looprate", *SMOKE)
    assert len((tmp_path / "smoke/rows.jsonl").read_text().splitlines()) >= 12
    (figure, *_) = (tmp_path / "smoke/figures").glob("error-against-loops__*.png")
    assert figure.stat().st_size > 10_000
    assert (tmp_path / "smoke/report.md").stat().st_size
    assert json.loads((tmp_path / "smoke/report.json").read_text())
