"""Child processes find this package, and nothing of the standard library is hidden from them."""

import subprocess
import sys

import pytest

from looprate.experiments.engine import child

HIDDEN = "dataclasses"  # no start of an interpreter needs it


@pytest.mark.parametrize("installed", [True, False], ids=["installed", "checkout"])
def test_an_installed_package_hides_nothing_of_the_standard_library(  # C5
    installed, tmp_path, monkeypatch
):
    (tmp_path / f"{HIDDEN}.py").write_text("raise SystemExit('hidden')\n")
    monkeypatch.setattr(child, "IMPORTED_FROM", tmp_path)
    monkeypatch.delenv("PYTHONPATH", raising=False)
    if installed:
        monkeypatch.setattr(child.site, "getsitepackages", lambda: [str(tmp_path)])
    done = subprocess.run(
        [sys.executable, "-P", "-c", f"import {HIDDEN}"],
        env=child.child_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    # A checkout comes first, which shows that the file above would hide it.
    assert (done.returncode, done.stderr) == ((0, "") if installed else (1, "hidden\n"))
