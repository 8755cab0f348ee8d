"""What certificates rest on is looked at first; in-place steps and sizes near the limits are right.

Numbers such as A1 and R7 in comments name the faults, found by use, that a test guards against.
"""

from __future__ import annotations

import ctypes
import math
import sys
from contextlib import contextmanager

import numpy as np
import pytest
import torch

from looprate.approx.enclosed.error import certified_error
from looprate.approx.models.looped import LoopedTransformer, ModelConfig
from looprate.experiments.study.certificates import asked_spec, known_certificate
from looprate.theory.certification import proof_of
from looprate.theory.continuity import modulus_lower_bound, modulus_upper_bound
from looprate.theory.continuity.certified import as_written
from looprate.theory.enclosure import Interval, enclose, variables
from looprate.theory.enclosure.affine import affine_variables
from looprate.theory.enclosure.curved import curved_variables
from looprate.theory.enclosure.gains import grouped_variables
from looprate.theory.enclosure.integral import error_norm
from looprate.theory.enclosure.soundness import (
    NotCertifiedError,
    check_arithmetic,
    check_enclosures,
)
from looprate.theory.facts import Facts, lower_curves
from looprate.theory.gate import Contradiction
from looprate.theory.oscillation import check_oscillation, oscillation_of
from looprate.theory.targets import OwnFunction

KINDS = (lambda box: box, variables, curved_variables, affine_variables, grouped_variables)
BOX = Interval(np.full((1, 2, 2), 0.25), np.full((1, 2, 2), 0.5))


def mean(x):
    return x.mean(1, keepdims=True)


def named(x):
    h = x - mean(x)
    c = h
    h *= 4
    h += x
    return c


def by_ufunc(x):
    h = x - mean(x)
    c = h
    np.multiply(h, 4, out=h)
    np.add(h, x, out=h)
    return c


def all_steps(x):
    h = x + 0
    c = h
    h -= mean(x)
    h *= 2
    h /= 0.5
    h **= 1
    h += x
    return c


def copied(x):
    h = x.copy()
    h *= 5
    h -= 4 * mean(x)
    return h


def temporary(x):
    h = (1 * x).reshape(x.shape)[:, :]
    h = h + 0.0
    h -= mean(h)
    h *= 4
    h += x
    return h


def started_with_zeros(x):
    h = np.zeros_like(x)
    h += 5 * x
    h -= 4 * mean(x)
    return h


def by_one(x):
    h = 1 * x
    h *= 5
    h -= 4 * mean(x)  # x itself is as it was
    return h


RIGHT = (named, by_ufunc, all_steps, copied, temporary, started_with_zeros, by_one)


@pytest.mark.parametrize("f", RIGHT, ids=lambda f: f.__name__)  # A1
def test_in_place_steps_change_every_name_of_an_array(f):
    plain = lambda x: 5 * x - 4 * x.mean(1, keepdims=True)  # noqa: E731
    x = np.random.default_rng(0).random((3, 2, 2))
    assert np.allclose(f(x.copy()), plain(x))
    for kind in KINDS:
        found, wanted = f(kind(BOX)), plain(kind(BOX))
        a, b = (made if isinstance(made, Interval) else made.value for made in (found, wanted))
        assert np.abs(a.lo - b.lo).max() < 1e-12
        assert np.abs(a.hi - b.hi).max() < 1e-12
    shape = {"kind": "sequence", "tokens": 2, "dim": 1}
    lower = modulus_lower_bound(f, 0.1, **shape)
    upper = modulus_upper_bound(f, 0.1, **shape, lower=lower)
    assert lower.value <= upper.value <= 0.51
    assert lower.value > 0.49


def sliced(x):
    h = 2 * x
    part = h[:, :1]
    part += 1
    return h


def reshaped(x):
    h = 2 * x
    flat = h.reshape(len(x), -1)
    h *= 3
    return h + flat.reshape(x.shape)


def turned(x):
    h = 2 * x
    other = h.swapaxes(1, 2)
    other *= 3
    return h


def second_view(x):
    h = 2 * x
    a, b = h[:, :1], h[:, 1:]
    a -= b
    return h


def written(x):
    h = 2 * x
    part = h[:, :1]
    h[:, 0] = 1.0
    return h + part


def part_of_the_input(x):
    h = x.reshape(x.shape)
    h *= 3
    return x + h


def into_numbers(x):
    h = np.zeros(x.shape)
    h += x
    return h


def grown(x):
    h = x.mean(1, keepdims=True)
    h += x
    return h


WRONG = (sliced, reshaped, turned, second_view, written, part_of_the_input, into_numbers, grown)


@pytest.mark.parametrize("f", WRONG, ids=lambda f: f.__name__)  # A1
def test_in_place_steps_on_shared_memory_are_refused_with_the_cure(f):
    said = {"into_numbers": "zeros_like", "grown": "cannot change"}
    for kind in KINDS:
        with pytest.raises((TypeError, ValueError), match=said.get(f.__name__, "copy first")):
            f(kind(BOX))
    with pytest.raises(ValueError, match="has no rigorous enclosure"):
        enclose(f, BOX.lo, BOX.hi)


def test_what_is_given_to_a_function_is_not_changed_by_it():
    def greedy(x):
        x *= 2
        return x

    assert enclose(greedy, BOX.lo, BOX.hi).hi.max() == pytest.approx(1.0)
    assert (BOX.hi == 0.5).all()


def by_type(x):
    return 3 * x if isinstance(x, np.ndarray) else x


def third_formula(x):
    return np.sin(6 * x) if isinstance(x, np.ndarray | torch.Tensor) else x * 0


def by_attribute(x):
    return np.sin(6 * x) if hasattr(x, "tobytes") else 0.5 * x


def by_failure(x):
    try:
        return np.sin(6 * x.astype(float, copy=True, order="K"))
    except Exception:
        return 0 * x


def by_length(x):
    return x / len(x)


def mixing(x):
    return x - x.mean(axis=0)


def random(x):
    return x + 1e-3 * np.random.default_rng().random(x.shape)


def kept_from_before(x, seen=[0.0]):  # noqa: B006
    seen[0] += 1.0
    return x * seen[0]


def stairs(x):
    return (np.sqrt(1 + 1e-15 * x) - 1) * 1e15


def least(x):
    return 5e-324 * x


FOOLED = [by_type, third_formula, by_attribute, by_failure, by_length, mixing, random]
FOOLED.append(kept_from_before)


@pytest.mark.parametrize("f", FOOLED)  # A3, R5
def test_functions_that_do_something_else_on_enclosures_are_not_certified(f):
    with pytest.raises(NotCertifiedError, match="not certified"):
        modulus_upper_bound(f, 0.1, kind="sequence", tokens=2, dim=1, seconds=1.0)


@pytest.mark.parametrize(("f", "most"), [(stairs, 1.5), (least, 2e-323)])  # A3
def test_where_rounding_moves_values_the_range_alone_is_certified(f, most):
    shape = {"kind": "token", "tokens": 2, "dim": 1, "seconds": 1.0}
    found = modulus_upper_bound(f, 0.1, **shape)
    x = np.linspace(0, 1, 101)[:, None, None]
    values = f(np.concatenate([x, x], 1))
    assert found.method == "trivial"
    assert np.ptp(values) <= found.value <= most
    assert "rounding moves values" in found.note
    assert check_enclosures(bent, tokens=2, dim=1) == 0.0


@pytest.mark.parametrize("scale", [1e-300, 1e-12, 1.0, 1e300])
def test_ordinary_functions_pass_the_check_at_every_scale(scale):
    check_enclosures(lambda x: scale * np.sin(6 * x), tokens=2, dim=2)
    check_enclosures(lambda x: scale * x / (0.1 + x.std(1, keepdims=True)), tokens=3, dim=1)


def bent(x):
    return 10 * x * (1 - x) - mean(x)


@pytest.mark.parametrize("kind", ["token", "sequence"])
@pytest.mark.parametrize("p", [1.0, 2.0, math.inf])
@pytest.mark.parametrize("exponent", [-1000, 1010])  # A2
def test_bounds_do_not_depend_on_the_scale(kind, p, exponent):
    shape = {"kind": kind, "tokens": 2, "dim": 1, "p": p, "seconds": 0.3, "tolerance": 0.2}
    plain = modulus_upper_bound(bent, 0.1, **shape)
    scale = 2.0**exponent
    found = modulus_upper_bound(lambda x: bent(x) * scale, 0.1, **shape)
    assert plain.lower.value * scale <= found.value
    assert found.value <= 1.3 * plain.value * scale


def over(x):
    return 1e308 * x * (1 - x) - 1e307 * mean(x)


def edge(x):
    return 1e308 * x - 1e308 * (1 - x)


@pytest.mark.parametrize("f", [over, edge])  # A2
@pytest.mark.parametrize("p", [1.0, 2.0])
def test_overflow_gives_infinity_or_a_bound_never_a_smaller_number(f, p):
    shape = {"kind": "sequence", "tokens": 2, "dim": 1, "p": p}
    small = modulus_lower_bound(lambda x: f(x) * 2.0**-40, 0.1, **shape).value * 2.0**40
    found = modulus_upper_bound(f, [0.1, 1.0], **shape, seconds=0.5)
    assert np.isfinite(found.lower[0])  # an overflow at one radius is none at another
    assert found.upper[0] >= small
    assert found.upper[1] >= found.upper[0]
    assert f is over or p == 2 or math.isinf(found.upper[1])


@pytest.mark.parametrize("delta", [5e-324, 1e-300, 1e-170, 1e-100])  # B10
def test_tiny_radii_have_bounds_in_proportion(delta):
    found = modulus_upper_bound(
        lambda x: np.sin(6 * x), delta, kind="sequence", tokens=2, dim=1, seconds=1.0
    )
    assert 6 * delta * (1 - 1e-9) <= found.value <= 8.5 * delta + 1e-322


def test_powers_of_tiny_slopes_are_not_lost():
    f = lambda x: x * np.array([1.0, 1e-200])[:, None]  # noqa: E731
    shape = {"kind": "token", "tokens": 2, "dim": 1, "equivariant": False}
    for p in (1.0, 2.0, math.inf):
        found = modulus_upper_bound(lambda x: f(x) * 1e-5, 0.1, **shape, p=p, seconds=0.5)
        assert 1e-6 <= found.value <= 1.1e-6
        few = modulus_upper_bound(lambda x: 1e-200 * x, 0.1, **shape, p=p, seconds=0.5)
        assert 1e-201 <= few.value <= 1.1e-201


@pytest.mark.parametrize("state", ["raise", "warn", "ignore"])  # R12, R24
def test_the_error_state_of_the_user_does_not_matter(state, recwarn):
    pole = lambda x: 1 / (x - 0.3) + 1e-300 * (1e-10 * x)  # noqa: E731
    steep = lambda x: np.exp(700 * x) + 1e-300 * (1e-10 * x)  # noqa: E731
    shape = {"kind": "sequence", "tokens": 1, "dim": 1, "seconds": 0.5}
    with np.errstate(all=state):
        with pytest.raises(ValueError, match="NaN or inf"):
            modulus_upper_bound(pole, 0.1, **shape)
        found = modulus_upper_bound(steep, 0.1, **shape)
    assert found.value >= math.exp(700) - math.exp(630)
    assert not [w for w in recwarn if issubclass(w.category, RuntimeWarning)]


@contextmanager
def flushed():
    if not torch.set_flush_denormal(True):
        pytest.skip("this processor keeps subnormal numbers")
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


@contextmanager
def rounded(mode):
    if not sys.platform.startswith("linux"):
        pytest.skip("needs the C library's fesetround")
    library = ctypes.CDLL("libm.so.6")
    if library.fesetround(mode):
        pytest.skip("other numbers for the rounding modes here")
    try:
        yield
    finally:
        library.fesetround(0)


def flushing(x):
    torch.set_flush_denormal(True)
    return bent(x)


SMALL = {"tokens": 2, "dim": 1}
CUBE = np.zeros((1, 2, 1)), np.ones((1, 2, 1)), np.zeros((1, 2, 1))
FIT = ModelConfig(width=4, hidden=4)


def told(f):
    """Raise what the facts of an own function say of its upper bounds."""
    curves = lower_curves(own(f), (0.1,), **SMALL, p=1, effort=0.02, kinds=("token",))
    found = proof_of(own(f), curves, **SMALL, p=1, seconds=0.05, follow=as_written)
    assert (found.side, found.columns[0]["certified"] is None) == (
        ("lower", True) if found.missing else ("upper", False)
    )
    if found.missing:
        raise NotCertifiedError(found.missing)


def own(f):
    return OwnFunction("own", f, frozenset({"numpy"}))


def constructed(f):
    """Ask for the certificate of a constructed network, as construct and the explorer do."""
    size = {"oscillation": 3.0, "oscillation_side": "upper", "trivial": None}
    size |= {"trivial_stderr": None, "hypotheses": (), "rows": ()}
    facts = Facts(own(f), **SMALL, p=1.0, **size)
    spec = asked_spec(**SMALL, grid=3)
    found = known_certificate(own(f), spec, facts, tolerance=0.5, boxes=200)[1]
    assert found.error_upper < 3


ENTRIES = {
    "modulus": lambda f: modulus_upper_bound(f, 0.1, kind="token", **SMALL, seconds=0.1),
    "integral": lambda f: error_norm(f, *CUBE, p=2, boxes=100, tolerance=0.5),
    "largest error": lambda f: error_norm(f, *CUBE, p=math.inf, boxes=100, tolerance=0.5),
    "network": lambda f: certified_error(
        LoopedTransformer(FIT, seed=0), own(f), **SMALL, loops=1, p=1, boxes=50
    ),
    "facts": told,
    "construction": constructed,
}
STATES = {"flushed": flushed, "down": lambda: rounded(0x400), "up": lambda: rounded(0x800)}


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("entry", ENTRIES)
def test_no_certificate_is_made_in_another_arithmetic(entry, state):  # R7
    with STATES[state](), pytest.raises(NotCertifiedError, match=r"flushes|round to nearest"):
        ENTRIES[entry](bent)


@pytest.mark.parametrize("entry", ENTRIES)
def test_no_certificate_is_made_where_the_function_changes_the_arithmetic(entry):
    try:
        with pytest.raises(NotCertifiedError, match="flushes"):
            ENTRIES[entry](flushing)
    finally:
        torch.set_flush_denormal(False)


@pytest.mark.parametrize("entry", ENTRIES)
def test_certificates_are_made_in_the_usual_arithmetic(entry):
    ENTRIES[entry](bent)


@pytest.mark.parametrize("entry", ["modulus", "network", "facts"])
def test_no_certificate_is_made_of_a_function_that_does_something_else_on_enclosures(entry):
    with pytest.raises(NotCertifiedError, match="not certified"):
        ENTRIES[entry](by_type)


def test_values_that_differ_by_more_than_is_certified_are_an_error_with_the_inputs():
    target = own(bent)
    seen = oscillation_of(target, **SMALL)
    check_oscillation(target, seen, seen * (1 - 1e-10), **SMALL)  # rounding
    with pytest.raises(Contradiction, match=r"at the inputs x = \[\[.*\]\], y = \[\["):
        check_oscillation(target, seen, 0.99 * seen, **SMALL)


@pytest.mark.parametrize("mode", [0x400, 0x800, 0xC00], ids=["down", "up", "to zero"])  # R7
def test_other_rounding_modes_are_seen(mode):
    with rounded(mode), pytest.raises(NotCertifiedError, match="round to nearest"):
        check_arithmetic()
    check_arithmetic()
