"""Stages 1 and 2 of a construction: from an input to the label of every token, in one place.

:func:`label_parts` is the network's side, :func:`token_labels` the plain evaluator of the same
steps for any input, strips, near ties and shared cells included.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from looprate.theory.construction.build.bits import bits_part, bitwise_coordinates
from looprate.theory.construction.build.coding import label
from looprate.theory.construction.build.contextual import contextual_code, contextual_part
from looprate.theory.construction.build.gate import gate_part
from looprate.theory.construction.build.others import others_codes, others_part
from looprate.theory.construction.build.parts import Part
from looprate.theory.construction.build.quantise import (
    cell_coordinates,
    cell_number,
    quantise_part,
)
from looprate.theory.construction.build.spec import ConstructionSpec


def label_parts(spec: ConstructionSpec) -> list[Part]:
    """Return the parts of stage 1 and stage 2."""
    quantise = bits_part if spec.bitwise else quantise_part
    context = others_part if spec.coding == "others" else contextual_part
    return [quantise(spec), context(spec), gate_part(spec)]


def token_labels(
    point: Sequence[Sequence[Fraction | int]], spec: ConstructionSpec
) -> list[Fraction | int]:
    """Return the label of every token of one input (N, d) of exact numbers, any in the cube."""
    coordinates = bitwise_coordinates if spec.bitwise else cell_coordinates
    b = [coordinates(token, spec) for token in point]
    cells = [cell_number(part, spec) for part in b]
    if spec.coding == "others":
        codes = others_codes([token[0] for token in point], cells, spec)
        ranks = [Fraction(0)] * len(cells)
    else:
        code, ranks = contextual_code(cells, spec)
        codes = [code] * len(cells)
    return [
        label(code, cell=z, first=part[0], rank=rank, spec=spec)
        for code, z, part, rank in zip(codes, cells, b, ranks, strict=True)
    ]
