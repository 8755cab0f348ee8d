"""Certificates of broken networks: nothing broken passes, and what is broken is named."""

import json
from dataclasses import replace
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from test_certificate import DIAL, IDENTITY, certified, spec_of

from looprate.theory.construction.build.compile import compile_construction
from looprate.theory.construction.build.spec import ConstructionSpec
from looprate.theory.construction.certify import evidence
from looprate.theory.construction.memorisers import MEMORISERS
from looprate.theory.targets import parse_target
from looprate.theory.verdict import Finding, Verdict


def refuted(found, *words):
    """A broken network must not pass, and what is broken must be named in one line."""
    assert found.verdict in (Verdict.VIOLATED, Verdict.NOT_TESTABLE), found.reason
    for word in words:
        assert word in found.reason
    assert "\n" not in found.reason
    assert (found.error_lower, found.error_upper) == (None, None)  # the proof does not cover it
    json.dumps(found.as_dict(), allow_nan=False)
    return found


def compiled(memoriser, grid=3, name=DIAL):
    spec = spec_of(memoriser, grid)
    return spec, compile_construction(parse_target(name), spec).network


def off_by_one(form):
    """Every form that differs in one weight."""
    for row in form:
        yield row, {**form, row: form[row] + 1}


def with_unit(network, unit):
    units = tuple(unit if u.name == unit.name else u for u in network.block.units)
    return replace(network, block=replace(network.block, units=units))


def broken_units(network):
    """Every network with one feed-forward weight off by one, with its name."""
    for unit in network.block.units:
        yield f"b_1[{unit.name}]", with_unit(network, replace(unit, bias=unit.bias + 1))
        for row, form in off_by_one(unit.reads):
            yield f"W_1[{unit.name}, {row}]", with_unit(network, replace(unit, reads=form))
        for row, form in off_by_one(unit.writes):
            yield f"W_2[{unit.name}, {row}]", with_unit(network, replace(unit, writes=form))


def broken_elsewhere(network):
    """Every network with one other weight off by one, with its name."""
    block, letters = network.block, {"query": "Q", "key": "K", "value": "V", "output": "O"}
    for k, (place, letter) in product(range(len(block.heads)), letters.items()):
        for row, form in off_by_one(getattr(block.heads[k], place)):
            heads = list(block.heads)
            heads[k] = replace(heads[k], **{place: form})
            changed = replace(block, heads=tuple(heads))
            yield f"W_{letter}[{k}, {row}]", replace(network, block=changed)
    for row, form in off_by_one(block.drift):
        yield f"b_2[{row}]", replace(network, block=replace(block, drift=form))
    for row, affine in network.encoder.items():
        moved = {**network.encoder, row: replace(affine, bias=affine.bias + 1)}
        yield f"L1 bias[{row}]", replace(network, encoder=moved)
        for i, weights in off_by_one(affine.weights):
            moved = {**network.encoder, row: replace(affine, weights=weights)}
            yield f"L1[{row}, {i}]", replace(network, encoder=moved)
    ((form, bias),) = network.decoder
    yield "L2 bias[0]", replace(network, decoder=((form, bias + 1),))
    for row, changed in off_by_one(form):
        yield f"L2[0, {row}]", replace(network, decoder=((changed, bias),))


@pytest.mark.parametrize("memoriser", MEMORISERS)
def test_no_weight_off_by_one_passes(memoriser):
    spec, network = compiled(memoriser, grid=2)
    seen = {word: 0 for word in Verdict}
    for name, broken in (*broken_units(network), *broken_elsewhere(network)):
        found = refuted(certified(DIAL, spec, network=broken), name)
        seen[found.verdict] += 1
    assert seen[Verdict.VIOLATED] > seen[Verdict.NOT_TESTABLE] / 4  # outputs notice many


def test_a_weight_that_changes_no_output_is_still_named():
    spec, network = compiled("increments")
    unit = next(u for u in network.block.units if u.name == "gate_before")
    broken = with_unit(network, replace(unit, bias=unit.bias + 1))
    found = certified(DIAL, spec, network=broken)
    line = f"b_1[gate_before] is {unit.bias + 1}, expected {unit.bias}"
    refuted(found, line)
    unit = next(u for u in network.block.units if u.name == "up_from_0")
    larger = {**unit.reads, "D_0": unit.reads["D_0"] + 1}
    broken = with_unit(network, replace(unit, reads=larger, bias=unit.bias - 2))
    found = refuted(certified(DIAL, spec, network=broken), "W_1[up_from_0, D_0]", "b_1[up_from_0]")
    assert found.verdict is Verdict.NOT_TESTABLE
    assert found.sampled["value"] > 0


@pytest.mark.parametrize("memoriser", ["increments", "digits"])
def test_a_flipped_bit_of_the_string_shows_at_a_cell(memoriser):
    spec, network = compiled(memoriser, grid=4)
    affine = network.encoder["C_0"]
    place = 20
    moved = {**network.encoder, "C_0": replace(affine, bias=affine.bias ^ (1 << place))}
    found = certified(DIAL, spec, network=replace(network, encoder=moved))
    refuted(found, "of cells [", "token ", "expected ", f"C_0], {affine.bias.bit_length()} bits")
    assert f"differs in bit {place}" in found.reason
    assert found.verdict is Verdict.VIOLATED


@pytest.mark.parametrize("first", [True, False])
def test_one_wrong_eta_is_named_with_its_loop(first):
    spec, network = compiled("timestep", grid=4)
    schedule = network.eta["y_0"]
    moving = [t for t, eta in enumerate(schedule) if eta]
    loop = moving[0] if first else moving[-1]
    changed = tuple(eta + (t == loop) * 2**20 for t, eta in enumerate(schedule))
    broken = replace(network, eta={**network.eta, "y_0": changed})
    found = refuted(certified(DIAL, spec, network=broken), f"eta({loop})[y_0] is", "of cells [")
    assert found.verdict is Verdict.VIOLATED


@pytest.mark.parametrize("memoriser", MEMORISERS)
def test_one_loop_too_few_is_violated(memoriser):
    spec, network = compiled(memoriser, name=IDENTITY)
    broken = replace(network, loops=network.loops - 1)
    found = certified(IDENTITY, spec, network=broken)
    refuted(found, f"loops is {network.loops - 1}, expected {network.loops}")
    if memoriser == "timestep":  # the last label is in use and its eta is not 0
        assert found.verdict is Verdict.VIOLATED


def test_a_decoder_off_by_little_is_violated():
    spec, network = compiled("digits")
    ((form, bias),) = network.decoder
    broken = replace(network, decoder=((form, bias + Fraction(1, 2**60)),))
    found = refuted(certified(DIAL, spec, network=broken), "L2 bias[0]")
    assert found.verdict is Verdict.VIOLATED


@pytest.mark.parametrize("memoriser", MEMORISERS)
def test_a_network_for_another_target_is_violated(memoriser):
    spec, network = compiled(memoriser, name="others-mean")
    found = refuted(certified("mean-field", spec, network=network), "of cells [", "expected")
    assert found.verdict is Verdict.VIOLATED


def test_a_network_for_another_shape_cannot_pass():
    _, network = compiled("timestep", grid=4)
    refuted(certified(DIAL, spec_of("timestep", 5), network=network), "loops is")
    wide = compile_construction(parse_target(DIAL), spec_of("timestep", 2, dim=2)).network
    refuted(certified(DIAL, spec_of("timestep", 2), network=wide), "cannot be run exactly")


def test_a_failed_hypothesis_outranks_a_wrong_output(monkeypatch):  # R6
    spec, right = spec_of("timestep", 4), evidence.run_cells

    def wrong(*arguments, **more):
        run = right(*arguments, **more)
        return replace(run, centres=run.centres + 1)

    monkeypatch.setattr(evidence, "run_cells", wrong)
    assert certified("mean-field", spec).verdict is Verdict.VIOLATED
    bad = Finding("deterministic", Verdict.NOT_TESTABLE, "two values")
    found = certified("mean-field", spec, hypotheses=[bad])
    assert found.verdict is Verdict.NOT_TESTABLE
    assert found.reason.startswith('"deterministic" fails: two values; ')


@pytest.mark.parametrize(
    ("outputs", "where"),
    [
        ("strips", "in a strip coordinate 0 of an output is"),
        ("low", "at the lower corner of cells [2, 2] token 1 outputs"),
        ("high", "at the upper corner of cells [2, 2] token 1 outputs"),
        ("centres", "at the centre of cells [2, 2] token 1 outputs"),
    ],
)
def test_one_wrong_output_anywhere_is_violated(monkeypatch, outputs, where):
    """Weights are right here; the run is not."""
    right = evidence.run_cells

    def wrong(*arguments, **settings):
        run = right(*arguments, **settings)
        found = getattr(run, outputs)
        found[4, 1, 0] += 100 if outputs == "strips" else Fraction(1, 2**70)
        return run

    monkeypatch.setattr(evidence, "run_cells", wrong)
    found = certified("mean-field", spec_of("timestep", 4))
    assert found.verdict is Verdict.VIOLATED
    assert where in found.reason


def test_a_compiled_network_that_cannot_be_run_is_an_error(monkeypatch):
    def overflows(*arguments, **settings):
        raise OverflowError("beyond int64")

    monkeypatch.setattr(evidence, "run_cells", overflows)
    with pytest.raises(OverflowError, match="beyond int64"):
        certified("mean-field", spec_of("timestep", 4))


def test_strips_too_thin_for_64_bits_are_refused():
    spec = ConstructionSpec(2, 1, 2, "timestep", "rank", sharpness=2**58)
    built = compile_construction(parse_target("mean-field"), spec)
    with pytest.raises(OverflowError, match=r"`sharpness` must be at most 2\^62 / \(16 grid\)"):
        evidence.run_cells(built, strips=1, rng=np.random.default_rng(0))
