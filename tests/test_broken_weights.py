"""Every weight of a compiled network matters, but for those that are told with their slack."""

from __future__ import annotations

import random
from dataclasses import replace
from fractions import Fraction
from itertools import permutations

import pytest
from test_construction_networks import agrees_with_oracle, random_table

from cases.constructions import (
    cell_point,
    cell_tuples,
    make_spec,
)
from looprate.theory.construction.build.compile import compile_table
from looprate.theory.construction.run.oracle import oracle_labels
from looprate.theory.construction.run.reference import reference_output

# Weights with slack: the network answers the same although the weight is one off.
GATE = {
    ("still_in", "reads gate-1"): "a gate that shuts more firmly",
    ("leave", "reads gate-1"): "a gate that shuts more firmly",
    ("horner", "reads gate-1"): "a gate that shuts more firmly",
    ("horner", "reads gate+1"): "s and `largest` are not at their bounds together",
    ("gate_before", "writes gate+1"): "only whether the gate is 0 counts",
    ("gate_after", "writes gate+1"): "only whether the gate is 0 counts",
    ("gate_before", "reads clock-1"): "the same for m <= 3: it must be positive at t <= m - 3",
}


SHUT = "D = 1 shuts the unit with more than 1 to spare, D = 0 does not read it"


SLACK = {
    "increments": GATE
    | {(f"down_{part}_0", f"reads D_0{c:+}"): SHUT for part in ("from", "past") for c in (1, -1)},
    "timestep": {},
    "digits": GATE | {("shift_0", "bias+1"): "ones shifted in come out after the last label"},
}


def mutants(unit):
    """The unit with each of its weights one up and one down."""
    for change in (1, -1):
        yield f"bias{change:+}", replace(unit, bias=unit.bias + change)
        for kind in ("reads", "writes"):
            form = getattr(unit, kind)
            for row in form:
                changed = {**form, row: form[row] + change}
                yield f"{kind} {row}{change:+}", replace(unit, **{kind: changed})


def with_unit(network, place, unit):
    """The network with one unit exchanged."""
    units = network.block.units
    units = (*units[:place], unit, *units[place + 1 :])
    return replace(network, block=replace(network.block, units=units))


@pytest.mark.parametrize(
    "memoriser",
    [pytest.param(name, marks=() if name == "timestep" else pytest.mark.slow) for name in SLACK],
)
def test_every_weight_without_slack_matters(memoriser):
    spec = make_spec(2, 1, 3, memoriser, bits=2, sharpness=4)
    network, rng = compile_table(spec, random_table(spec)), random.Random(29)
    points = [cell_point(z, spec, rng) for z in ((1, 2), (2, 0), (0, 1), (1, 1), (0, 0), (2, 2))]
    points.append([[Fraction(67, 96)], [Fraction(13, 32)]])  # strips, less than a cell apart
    outputs = [reference_output(network, point) for point in points]
    survivors = set()
    for place, unit in enumerate(network.block.units):
        for name, mutant in mutants(unit):
            broken = with_unit(network, place, mutant)
            pairs = zip(points, outputs, strict=True)
            if all(reference_output(broken, point) == found for point, found in pairs):
                survivors.add((unit.name, name))
    assert survivors == set(SLACK[memoriser])


def test_the_slack_of_few_cells_is_none_for_more():
    """With four cells the gate must hold one loop longer than that of `gate_before` one off."""
    spec, rng = make_spec(1, 1, 4, "increments"), random.Random(30)
    network = compile_table(spec, random_table(spec))
    place = [unit.name for unit in network.block.units].index("gate_before")
    mutant = dict(mutants(network.block.units[place]))["reads clock-1"]
    points = [cell_point((cell,), spec, rng) for cell in range(4)]
    broken = with_unit(network, place, mutant)
    assert any(reference_output(broken, x) != reference_output(network, x) for x in points)


# Entries of eta with slack: rows and loops.
ETA_SLACK = {
    ("left", 3): "who leaves in the last round is asked by nobody",
    ("rank", 0): "all z are 0: the tokens leave as they are counted in, together",
    **{("y_0", loop): "k is below every label until the last round" for loop in range(4)},
}


def test_every_entry_of_eta_without_slack_matters():
    spec = make_spec(2, 1, 3, "timestep", "rank")
    table, rng = random_table(spec), random.Random(31)
    network = compile_table(spec, table)
    points = [cell_point(cells, spec, rng) for cells in cell_tuples(spec)]
    assert all(agrees_with_oracle(network, spec, table, point) for point in points)
    survivors = set()
    for row, schedule in network.eta.items():
        for loop in range(len(schedule)):
            wrong = (*schedule[:loop], schedule[loop] + 1, *schedule[loop + 1 :])
            broken = replace(network, eta={**network.eta, row: wrong})
            if all(agrees_with_oracle(broken, spec, table, point) for point in points):
                survivors.add((row, loop))
    assert survivors == set(ETA_SLACK)


def with_digit(network, base, place):
    """The network whose string of coordinate 0 has one other digit; place 0 is the last digit."""
    string = network.encoder["C_0"].bias
    digit = string // base**place % base
    other = (digit + 1) % 3 if base == 4 else 1 - digit
    wrong = replace(network.encoder["C_0"], bias=string + (other - digit) * base**place)
    return replace(network, encoder={**network.encoder, "C_0": wrong})


@pytest.mark.parametrize("memoriser", ["increments", "digits"])
def test_every_digit_of_the_string_matters_for_its_labels_alone(memoriser):
    spec = make_spec(2, 1, 3, memoriser, bits=2)
    table, rng = random_table(spec), random.Random(32)
    network = compile_table(spec, table)
    points = {}  # largest label of the two tokens -> an input
    for cells in permutations(range(3), 2):
        points[max(oracle_labels(cells, spec))] = cell_point(cells, spec, rng)
    assert all(agrees_with_oracle(network, spec, table, point) for point in points.values())
    for label_hit, point in points.items():
        place = spec.last_label - label_hit
        if memoriser == "increments":  # the digit of an increment moves all later labels
            spared = [other for k, other in points.items() if k < label_hit]
            broken = [with_digit(network, 4, place)]
        else:
            spared = [other for k, other in points.items() if k != label_hit]
            broken = [with_digit(network, 2, spec.bits * place + bit) for bit in range(spec.bits)]
        for wrong in broken:
            assert not agrees_with_oracle(wrong, spec, table, point)
            assert all(agrees_with_oracle(wrong, spec, table, other) for other in spared)
