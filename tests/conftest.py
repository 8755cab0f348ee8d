"""One thread a process: tiny tensors lose to OpenMP's spinning, most beside a busy neighbour."""

import os

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["MKL_NUM_THREADS"] = "1"

import pytest


def pytest_collection_modifyitems(items):
    """The longest file comes first, so that processes which take file after file end together."""
    items.sort(key=lambda item: item.path.name != "test_study.py")


@pytest.fixture
def said(capfd):
    """Run the command here; return its exit code, stdout and stderr."""

    def run(*arguments):
        from experiments.cli import main

        code = main([str(argument) for argument in arguments])
        return code, *capfd.readouterr()

    return run
