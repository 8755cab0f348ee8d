"""The time of a search is that of the clock on the wall, tracing included; bounds stay valid.

Numbers such as A8 name the faults, found by use, that a test guards against.
"""

from __future__ import annotations

import math
import time
from contextlib import suppress

import numpy as np
import pytest

from looprate.experiments.study.certificates import certificate_of
from looprate.experiments.study.followed import followed
from looprate.theory.construction.build.spec import ConstructionSpec
from looprate.theory.continuity import modulus_lower_bound, modulus_upper_bound
from looprate.theory.continuity.certified import certified_columns
from looprate.theory.continuity.upper.branching import branch_and_bound
from looprate.theory.continuity.upper.cells import CellProblem
from looprate.theory.enclosure import Interval, deadline
from looprate.theory.enclosure.deadline import OutOfTimeError, check_time, time_limit, until
from looprate.theory.facts import facts_of
from looprate.theory.targets import resolve_target

GRACE = 15.0  # seconds: one step of one enclosure, the checks before, a busy machine

FILE = """
import numpy as np
import torch
from torch import nn

torch.manual_seed(0)
encoder = nn.TransformerEncoderLayer(2, 1, 4, batch_first=True).eval()

def either(x):
    return 3 * x.flatten().reshape(x.shape)

def neither(x):
    return x.round() / 10 + x
"""


@pytest.fixture
def own(tmp_path):
    path = tmp_path / "a.py"
    path.write_text(FILE)
    return lambda name: resolve_target(f"{path}:{name}")


def slow(x):
    for _ in range(200):
        x = (np.tanh(x) + 0.3 * np.sin(3 * x)) / 2
        if not isinstance(x, np.ndarray):
            time.sleep(1e-4)
    return x


def test_enclosures_end_at_the_time_set_for_their_thread():
    with until(time.monotonic() - 1), pytest.raises(OutOfTimeError):
        Interval(0.0)
    assert math.isinf(time_limit())
    with until(5.0), until(9.0):  # the earlier one counts
        assert time_limit() == 5.0
    assert Interval(0.0).hi == 0


def test_time_is_over_after_its_end_not_at_it(monkeypatch):
    now = [5.0]
    monkeypatch.setattr(deadline.time, "monotonic", lambda: now[0])
    check_time()  # no end was set
    with until(5.0):
        check_time()
        now[0] = math.nextafter(5.0, 6.0)
        with pytest.raises(OutOfTimeError):
            check_time()
        with until(9.0), pytest.raises(OutOfTimeError):
            check_time()
    check_time()
    with suppress(OutOfTimeError), until(1.0):
        check_time()
    assert math.isinf(time_limit())  # also after an error
    with until(7.0):
        with until(6.0):
            assert time_limit() == 6.0
        assert time_limit() == 7.0


@pytest.mark.parametrize("seconds", [0.3, 1.0])  # A8
def test_a_bound_comes_in_time_and_holds(seconds):
    shape = {"tokens": 2, "dim": 2, "kind": "sequence"}
    lower = modulus_lower_bound(slow, 0.1, **shape, effort=0.01)
    started = time.monotonic()
    found = modulus_upper_bound(slow, 0.1, **shape, lower=lower, seconds=seconds)
    assert time.monotonic() - started < seconds + GRACE
    assert lower.value <= found.value < math.inf
    assert "stopped after" in found.note or found.reached
    assert "stopped after 0 s" not in found.note


def test_a_search_out_of_time_ends_with_what_it_knew():
    problem = CellProblem(np.tanh, 2, 1, np.ones(2, dtype=bool), None, 2.0, 0.1)
    with until(time.monotonic() - 1):
        found = branch_and_bound(problem, 0.0, seconds=1.0, least=7.0)
    assert (found.value, found.boxes, len(found.live)) == (7.0, 0, 1)
    assert branch_and_bound(problem, 0.0, seconds=0.2, least=7.0).value < 0.2


def curves(f, tokens, dim):
    kinds = ("sequence", "token", "contextual")
    return {
        kind: modulus_lower_bound(f, [0.1], kind=kind, tokens=tokens, dim=dim, effort=0.05)
        for kind in kinds
    }


def test_every_kind_has_its_share_of_the_time_tracing_included(own):  # A8, R25
    f = own("encoder")
    found = curves(f, 2, 2)
    started = time.monotonic()
    asked = {"tokens": 2, "dim": 2, "p": 2.0, "tolerance": 0.02, "seconds": 3.0}
    columns, reasons = certified_columns(f, found, **asked, follow=followed)
    assert time.monotonic() - started < 3.0 + GRACE
    assert not reasons
    for column, curve in zip(columns, found.values(), strict=True):
        assert curve.lower[0] <= column["certified"] <= 4 * (1 + 1e-9)  # R25: the range is 4
        assert column["boxes"] > 0 or column["reached"]


def test_a_function_for_both_kinds_is_traced_where_numpy_fails(own):  # R22
    f = followed(own("either"), 2, 1)
    found = modulus_upper_bound(f, 0.1, kind="sequence", tokens=2, dim=1, seconds=1.0)
    assert found.value == pytest.approx(0.3, rel=0.02)
    with pytest.raises(ValueError, match="has no rigorous enclosure"):
        followed(own("neither"), 2, 1)


@pytest.mark.slow
def test_errors_of_torch_modules_are_enclosed_by_construct(own):  # B4b
    f, spec = own("encoder"), ConstructionSpec(2, 2, 2, "timestep", "sum")
    facts = facts_of(f, tokens=2, dim=2, p=2.0)
    _, certificate = certificate_of(f, spec, facts, boxes=2_000, tolerance=0.5)
    assert certificate.error_upper is not None
    assert 0 <= certificate.error_lower <= certificate.error_upper < 20


def certificate_in(f, seconds, **limits):
    spec = ConstructionSpec(2, 2, 2, "timestep", "sum")
    facts = facts_of(f, tokens=2, dim=2, p=2.0)
    return certificate_of(f, spec, facts, seconds=seconds, **limits)[1]


def test_a_certificate_ends_at_its_time_with_what_it_knows():  # B4
    started = time.monotonic()
    found = certificate_in(resolve_target("token-sine"), 1.0, tolerance=1e-12, boxes=10**9)
    assert time.monotonic() - started < 1.0 + GRACE
    lower, upper, sampled = found.error_lower, found.error_upper, found.sampled["value"]
    assert lower <= sampled + 5 * found.sampled["stderr"]
    assert upper >= sampled - 5 * found.sampled["stderr"]
    assert lower > 0.1  # the second was used
    assert "boxes within 1 s, before the relative width 1e-12 was reached" in found.reason


def test_a_certificate_without_time_says_so_and_keeps_the_rest():  # B4
    found = certificate_in(resolve_target("mean-field"), 1e-9)
    assert found.error_lower is None
    assert found.error_upper is None
    assert found.sampled["value"] > 0
    assert found.memoriser_error is not None
    assert "not certified within 1e-09 s" in found.reason
    wide = certificate_in(resolve_target("mean-field"), 60.0, tolerance=0.5)
    assert wide.error_upper is not None
    assert "stopped" not in wide.reason
