"""The explorer's benchmark moves every control of the page, by the page's own names."""

import importlib.util
import sys
from pathlib import Path

import pytest

from looprate.figures.explorer.look import PARTS

FILE = Path(__file__).resolve().parent.parent / "benchmarks" / "explorer.py"


@pytest.fixture(scope="module")
def benchmark():
    spec = importlib.util.spec_from_file_location("explorer_benchmark", FILE)
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def test_every_control_is_moved_where_something_follows(benchmark):
    moves = benchmark.MOVES.values()
    assert {move.control for move in moves} | {*benchmark.OTHER} == {*benchmark.titles(), "map"}
    assert len(benchmark.titles()) > 20
    assert {move.part for move in moves} <= {*PARTS, ""}
    assert {move.how for move in moves} <= {*benchmark.HANDS, "drag", "again"}
