"""Hypotheses: each has functions that violate it and are caught with a witness, checked again here;
good functions pass, however steep, large, small or rounded they are."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cases.own_functions import OWN
from cases.targets import EXAMPLES
from looprate.theory.hypotheses import check_hypotheses, testable
from looprate.theory.hypotheses.inputs import orders, special_points, spread_points
from looprate.theory.hypotheses.jumps import TINY, search_jumps
from looprate.theory.hypotheses.precision import measured_precision
from looprate.theory.hypotheses.subject import subject_of
from looprate.theory.targets import OwnFunction, Scaled, Sum, parse_target, resolve_target
from looprate.theory.verdict import Verdict

testable.__test__ = False  # a name pytest would collect

ROOT = Path(__file__).resolve().parent.parent
CLAIMS = {
    "equivariant": "the target is permutation-equivariant",
    "continuous": "the target is continuous",
    "defined": "the target is defined on the whole cube",
    "finite": "the target's values are finite",
    "deterministic": "the target is deterministic",
    "floating": "the target computes in floating point",
    "alone": "the target treats each input of a batch on its own",
    "exponent": "the exponent p is at least 1",
    "loops": "the loop count exceeds the number of tokens",
}
SMALL_EFFORT = 0.3  # that of the commands
ENDS = 1e-9  # relative; of a jump measured at ends TINY apart against its true height


def checked(f, *, tokens=3, dim=1, p=1.0, effort=SMALL_EFFORT, **more):
    """Findings by short name."""
    found = check_hypotheses(f, tokens=tokens, dim=dim, p=p, effort=effort, **more)
    assert [finding.claim for finding in found] == list(CLAIMS.values())[: len(found)]
    json.dumps([finding.as_dict() for finding in found], allow_nan=False)
    return dict(zip(CLAIMS, found, strict=False))


def failing(found):
    """Names of hypotheses that fail, those not looked at left out."""
    bad = [name for name, finding in found.items() if finding.verdict is not Verdict.HOLDS]
    return [name for name in bad if not found[name].evidence.get("skipped")]


def witness(f, name, **settings):
    """Evidence of the one hypothesis that must fail."""
    found = checked(f, **settings)
    assert failing(found) == [name]
    assert "the theorem does not apply" in found[name].reason
    assert found[name].verdict is Verdict.NOT_TESTABLE
    return {key: np.array(value) if key in ("x", "y", "first", "second") else value
            for key, value in found[name].evidence.items()}  # fmt: skip


def test_importing_the_checker_and_checking_a_target_loads_no_torch():
    text = (
        "import sys; from looprate.theory.hypotheses import check_hypotheses;"
        "from looprate.theory.targets import parse_target;"
        "check_hypotheses(parse_target('dial'), tokens=2, dim=1, p=1, effort=0.1);"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", text], check=True, cwd=ROOT)


# -- good functions --------------------------------------------------------------------------------
@pytest.mark.parametrize(("tokens", "dim", "p"), [(2, 1, 1.0), (3, 2, 2.0)])
@pytest.mark.parametrize("name", EXAMPLES)
def test_built_in_targets_pass(name, tokens, dim, p):
    found = checked(parse_target(name), tokens=tokens, dim=dim, p=p, loops=tokens + 1, effort=0.1)
    assert failing(found) == []
    assert all("by construction" in found[key].reason for key in ("equivariant", "continuous"))


@pytest.mark.slow
@pytest.mark.parametrize(("tokens", "dim"), [(1, 1), (2, 1), (3, 2), (6, 2)])
@pytest.mark.parametrize("p", [1.0, 2.0, np.inf])
@pytest.mark.parametrize("name", EXAMPLES)
def test_built_in_targets_pass_at_the_full_budget(name, tokens, dim, p):
    assert failing(checked(parse_target(name), tokens=tokens, dim=dim, p=p, effort=1.0)) == []


@pytest.mark.parametrize("center", [0.0, 0.5, 0.37])
@pytest.mark.parametrize(("alpha", "tokens", "dim"), [(0.1, 3, 2), (0.05, 2, 1)])
def test_small_hölder_exponents_are_no_jumps(alpha, center, tokens, dim):
    target = parse_target(f"token-power:alpha={alpha},center={center}")
    found = checked(target, tokens=tokens, dim=dim, effort=1.0)
    assert failing(found) == []
    changes = dict(found["continuous"].evidence["changes"])
    assert changes[1e-12] > 0.5 * 1e-12**alpha  # the cusp was found, and is no jump


@pytest.mark.parametrize(
    "function",
    [
        np.sqrt,
        np.zeros_like,
        lambda x: x * x.mean(1, keepdims=True),
        lambda x: np.sign(x - 0.5) * np.abs(x - 0.5) ** 0.15,
        lambda x: np.sin(40 * x),
        lambda x: 1 / (1 + np.exp(-1e8 * (x - 0.5))),
        lambda x: 1e-30 * x,
        lambda x: 1e30 * x,
        lambda x: 1e9 + x - 1e9,  # rounds to 1e-7
        lambda x: sum(2.0 ** (-0.2 * k) * np.cos(3 * 2.0**k * x) for k in range(40)),
    ],
)
def test_good_functions_pass(function):
    found = checked(function)
    assert failing(found) == []
    assert all("by construction" not in finding.reason for finding in found.values())


def test_a_sum_is_proven_only_where_no_term_is_the_users():
    own = OwnFunction("own.py:f", np.sqrt)
    for target, proven in [
        (resolve_target("mean-field + context-max"), True),
        (Sum((Scaled(2.0, own), resolve_target("mean-field"))), False),
    ]:
        found = checked(target, effort=0.1)
        assert failing(found) == []
        assert ("by construction" in found["continuous"].reason) is proven


def test_the_changes_are_lower_bounds_of_the_modulus():
    """|f(x) - f(y)|_1 of the identity is at most sqrt(Nd) |x - y|_2."""
    changes = checked(lambda x: x)["continuous"].evidence["changes"]
    assert [radius for radius, _ in changes] == pytest.approx(10.0 ** -np.arange(14.0))
    assert all(change <= 3**0.5 * radius + 1e-14 for radius, change in changes)
    assert changes[0][1] > 1


# -- equivariance ----------------------------------------------------------------------------------
@pytest.mark.parametrize("tokens", [2, 3, 6])
@pytest.mark.parametrize(
    "function",
    [
        lambda x: np.concatenate([2 * x[:, :1], x[:, 1:]], axis=1),
        lambda x: np.sort(x, 1),
        lambda x: x + 1e-9 * np.arange(x.shape[1])[:, None],
        lambda x: x + x[:, ::-1].cumsum(1),
    ],
)
def test_what_depends_on_the_order_of_tokens_is_caught(function, tokens):
    found = witness(function, "equivariant", tokens=tokens)
    x, order = found["x"][None], found["order"]
    gap = np.abs(function(x[:, order]) - function(x)[:, order]).max()
    assert sorted(order) == list(range(tokens))
    assert 0 < gap <= found["gap"]
    assert gap > 0.4e-9


def test_permutations_are_all_or_generators():
    rng = np.random.default_rng(0)
    four, every = orders(4, rng=rng)
    assert every
    assert len({tuple(order) for order in four}) == 23
    six, every = orders(6, rng=rng)
    assert not every
    assert [0, 1, 3, 2, 4, 5] in six.tolist()
    made, waiting = {tuple(range(6))}, [tuple(range(6))]
    while waiting:  # the group they generate
        now = waiting.pop()
        new = {tuple(np.array(now)[order].tolist()) for order in six} - made
        made |= new
        waiting += new
    assert len(made) == 720


# -- continuity ------------------------------------------------------------------------------------
JUMPS = {  # function and the height of its largest jump in one entry
    "step": (lambda x: x + (x > 0.37), 1.0),
    "low step": (lambda x: x + 1e-5 * (x > 0.61), 1e-5),
    "step beside waves": (lambda x: np.sin(40 * x) + 1e-4 * (x > 0.61), 1e-4),
    "small region": (lambda x: x + (np.abs(x - 0.31) < 1e-3), 1.0),
    "of the mean": (lambda x: x + 0.1 * (x.mean(1, keepdims=True) > 0.43), 0.1),
    "round": (np.round, 1.0),
    "floor": (lambda x: np.floor(5 * x) / 5, 0.2),
    "sixth decimal": (lambda x: np.round(x, 6), 1e-6),
    "at a face only": (lambda x: np.where(x == 0, 1.0, x), 1.0),
}


@pytest.mark.parametrize("name", JUMPS)
def test_a_jump_is_caught_with_the_pair_that_shows_it(name):
    function, height = JUMPS[name]
    found = witness(function, "continuous")
    x, y = found["x"], found["y"]
    assert (np.array([x, y]) >= 0).all()
    assert (np.array([x, y]) <= 1).all()
    assert 0 < np.linalg.norm(x - y) == found["distance"] <= TINY
    change = np.abs(function(x[None]) - function(y[None]))
    assert change.sum() == pytest.approx(found["height"], rel=ENDS)
    assert change.max() == pytest.approx(height, rel=1e-5)


@pytest.mark.parametrize(("p", "factor"), [(1.0, 4.0), (2.0, 2.0), (np.inf, 1.0)])
def test_a_jump_is_measured_in_the_norm_asked_for(p, factor):
    def step(x):
        return np.broadcast_to(x.mean((1, 2), keepdims=True) > 0.43, x.shape) * 1.0

    found = witness(step, "continuous", tokens=2, dim=2, p=p)
    assert found["height"] == pytest.approx(factor, rel=ENDS)


def test_a_pole_that_no_input_hits_is_a_jump():
    found = witness(lambda x: (x - 0.31234) ** -2, "continuous")
    assert found["height"] > 1e12


def test_suspects_are_held_against_their_surroundings(monkeypatch):
    """A cusp that halving met off its centre is cleared by f around it."""
    from looprate.theory.hypotheses import jumps

    subject = subject_of(parse_target("token-power:alpha=0.1,center=0.5"), tokens=3, dim=2)
    precision = measured_precision(subject, rng=np.random.default_rng(0))

    def found():
        rng = np.random.default_rng(0)
        return search_jumps(subject, precision, p=1.0, effort=1.0, rng=rng)

    assert found().x is None
    monkeypatch.setattr(jumps, "_around", lambda *a: np.zeros(a[1].shape[1]))
    assert found().x is not None


# -- numbers ---------------------------------------------------------------------------------------
def test_too_few_loops_are_named_with_the_tokens():
    found = checked(np.sqrt, loops=3)
    assert failing(found) == ["loops"]
    assert "r = 3 is not above N = 3" in found["loops"].reason
    assert found["loops"].evidence == {"loops": 3, "tokens": 3}
    assert failing(checked(np.sqrt, loops=4)) == []
    assert "loops" not in checked(np.sqrt)


@pytest.mark.parametrize("p", [0.5, float("nan")])
def test_a_small_exponent_is_a_finding(p):
    found = check_hypotheses(np.sqrt, tokens=2, dim=1, p=p, effort=0.1)
    assert failing(dict(zip(CLAIMS, found, strict=False))) == ["exponent"]


@pytest.mark.parametrize(
    ("changes", "error", "match"),
    [
        ({"tokens": 0}, ValueError, "`tokens`"),
        ({"dim": 1.5}, TypeError, "`dim`"),
        ({"effort": 0.0}, ValueError, "`effort`"),
        ({"f": 3}, TypeError, "`f` must be callable"),
    ],
)
def test_bad_arguments_are_refused(changes, error, match):
    arguments = {"f": np.sqrt, "tokens": 2, "dim": 1, "p": 1.0, "effort": 0.1, **changes}
    with pytest.raises(error, match=match):
        check_hypotheses(arguments.pop("f"), **arguments)


def test_inputs_are_in_the_cube_and_the_corners_among_them():
    rng = np.random.default_rng(0)
    special = special_points(2, 2, count=8, rng=rng)
    assert ((special >= 0) & (special <= 1)).all()
    assert len(np.unique(special[:16].reshape(16, 4), axis=0)) == 16
    assert any((x == 0.3).all() for x in special)
    spread = spread_points(3, 2, count=64, rng=rng)
    assert spread.shape == (128, 3, 2)
    assert ((spread >= 0) & (spread <= 1)).all()
    assert len(np.unique(spread[-1])) == 6
    assert (np.abs(spread[64:].mean(0) - 0.5) < 0.02).all()  # random points stray by 0.04


# -- what is concluded -----------------------------------------------------------------------------


WITNESSES = {"step": "(witness x = [[", "shifted": "order = [1, 0])"}


@pytest.mark.parametrize("name", WITNESSES)
def test_commands_end_not_testable_with_the_witness(said, name):
    target, claim = f"{OWN}:{name}", CLAIMS["continuous" if name == "step" else "equivariant"]
    code, out, err = said("moduli", target, "--delta", 0.1, "--effort", 0.05, "--json")
    assert code == 0
    assert len(json.loads(out)) == 3  # a discontinuous function has moduli, too
    assert err.startswith(f'looprate: "{claim}" fails: ')
    assert err.count("\n") == 1
    assert WITNESSES[name] in err
    code, out, err = said("bound", target, "--loops", 10**3, 10**15, "--json")
    rows = json.loads(out)
    assert [row["verdict"] for row in rows] == ["not testable"] * 2
    assert all(WITNESSES[name] in row["reason"] for row in rows)
