"""A memoriser is one file and one line: nothing else knows the names of those there are."""

import ast
import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

import looprate
from looprate.experiments.claims.check_construction import check_memoriser_error
from looprate.experiments.study.certificates import asked_spec, cost_of
from looprate.theory.bounds.explicit import explicit_bound
from looprate.theory.construction.build.timestep import TIMESTEP
from looprate.theory.construction.memorisers import MEMORISERS
from looprate.theory.verdict import Verdict

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("theory", "approx", "experiments", "figures", "looprate")
KNOWN = {  # whose statements are about some by name: lemmas, and a figure's message
    "experiments/claims/check_certificates.py",
    "experiments/claims/check_construction.py",
    "figures/memorisers.py",
}
TOY = replace(
    TIMESTEP,
    name="toy",
    source="a test's",
    loops=lambda label, q: label + 7 + q,
    takes_bits=True,
    error=lambda coding, q: (2 if coding == "sum" else 0, Fraction(1, 2 + q)),
    seconds_a_loop=1.0,
)


@pytest.fixture
def toy(monkeypatch):
    monkeypatch.setitem(MEMORISERS, "toy", TOY)


def test_a_registered_memoriser_is_in_every_command(toy, said):
    assert "toy (a test's)" in " ".join(said("construct", "--help")[1].split())
    asked = ("--memoriser", "toy", "--bits", 2, "--grid", 3, "--json", "--seconds", 1e3)
    found = json.loads(said("construct", "mean-field", *asked)[1])
    plain = json.loads(said("construct", "mean-field", "--grid", 3, "--json")[1])
    assert found["verdict"] in (Verdict.HOLDS, Verdict.VACUOUS)
    assert (found["memoriser"], found["loops"]) == ("toy", plain["loops"] + 9)
    assert found["error_upper"] == plain["error_upper"]
    assert found["bound"] > plain["bound"]
    (bound,) = json.loads(
        said("bound", "mean-field", "--inequality", "toy", "--loops", 99, "--json")[1]
    )
    assert bound["bits"] > 1
    assert "toy" in said("bound", "mean-field", "--inequality", "best")[2]


def test_a_registered_memoriser_has_costs_bounds_claims_and_answers(toy):
    own, plain = (asked_spec(tokens=2, dim=1, grid=8, memoriser=m) for m in ("toy", "timestep"))
    assert (own.coding, own.bits, own.modulated) == ("rank", 6, True)
    assert cost_of(own).seconds > own.loops > cost_of(plain).seconds
    setting = {"tokens": 2, "dim": 1, "p": 1.0, "oscillation": 1.0, "memoriser": "toy", "bits": 2}
    moduli = lambda kind, delta: (delta / 100, "upper")  # noqa: E731
    by_share = explicit_bound(moduli, 50, **setting, coding="rank").terms
    assert (by_share["memoriser"], by_share["token"]) == (2 / 4, 0.0)
    by_gap = explicit_bound(moduli, 50, **setting, coding="sum")
    assert by_gap.terms["token"] == 2 * 2 * moduli("token", by_gap.delta)[0]
    assert check_memoriser_error("toy").verdict is Verdict.HOLDS
    answer = looprate.target("mean-field").construct(2, memoriser="toy", bits=1, seconds=1e3)
    assert answer.curve_rows()[0]["family"] == "tmlt"


def test_no_other_file_asks_which_memoriser_it_is():
    """Only ``x == "name"`` and tables by name count: examples and sweeps may choose one."""
    found = []
    for path in sorted(p for folder in FOLDERS for p in (ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            asked = []
            if isinstance(node, ast.Compare):
                asked = [node.left, *node.comparators]
            elif isinstance(node, ast.Dict):
                asked = [key for key in node.keys if key is not None]
            names = [one.value for one in asked if isinstance(one, ast.Constant)]
            if len(set(names) & set(MEMORISERS)) > isinstance(node, ast.Dict):
                found.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert [place for place in found if place.partition(":")[0] not in KNOWN] == []
