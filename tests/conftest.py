"""One thread a process: tiny tensors lose to OpenMP's spinning, most beside a busy neighbour."""

import json
import os

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["MKL_NUM_THREADS"] = "1"
os.environ["LOOPRATE_CACHE"] = "0"  # a test may change what facts are found by

import pytest

from cases.browser import CHROMIUM, FLAGS, LOOPBACK, watched


def pytest_collection_modifyitems(items):
    """The longest file comes first, so that processes which take file after file end together."""
    items.sort(key=lambda item: item.path.name != "test_study.py")


@pytest.fixture(scope="module")
def chromium():
    """A real browser without a window; skipped where there is none."""
    if CHROMIUM is None:
        pytest.skip("no chromium on this machine")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as run:
        program = run.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield program
        program.close()


@pytest.fixture
def browser(chromium):
    """A page that must ask no other host for anything, and end without an error of a script."""
    page = watched(chromium)
    yield page
    assert page.errors == []
    assert page.hosts <= LOOPBACK
    page.close()


@pytest.fixture
def said(capfd):
    """Run the command here; return its exit code, stdout and stderr."""

    def run(*arguments):
        from looprate.cli import main

        code = main([str(argument) for argument in arguments])
        return code, *capfd.readouterr()

    return run


@pytest.fixture
def printed(said):
    """Run the command, which must succeed; return the JSON it prints."""

    def run(*arguments):
        code, out, err = said(*arguments, "--json")
        assert (code, err) == (0, "")
        return json.loads(out, parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))

    return run


@pytest.fixture
def refused(said):
    """Run the command, which must refuse with one line; return that line."""

    def run(*arguments):
        code, out, err = said(*arguments)
        assert code == 2, err
        assert out == ""
        assert err.count("\n") == 1
        assert err.endswith("\n")
        assert "Traceback" not in err
        return err

    return run
