"""The compiler: validate, tabulate the target, and put the parts of the proof into one block."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from looprate.theory.construction.build.labels import LabelTable, label_table
from looprate.theory.construction.build.network import Network
from looprate.theory.construction.build.parts import join
from looprate.theory.construction.build.spec import ConstructionSpec
from looprate.theory.construction.build.stages import label_parts
from looprate.theory.construction.memorisers import memoriser_kind

__all__ = ["Construction", "compile_construction", "compile_table"]


@dataclass(frozen=True, eq=False)
class Construction:
    """A compiled proof: what it was built for, its label table and the network."""

    spec: ConstructionSpec
    table: LabelTable
    network: Network


def compile_construction(target: Callable[[Any], Any], spec: ConstructionSpec) -> Construction:
    """Return the looped Transformer whose weights are the proof of Theorem 3.6 for a target.

    Parameters
    ----------
    target : callable
        Permutation-equivariant, (B, N, d) float64 arrays to the same shape.
    spec : ConstructionSpec

    Returns
    -------
    Construction
        Its network has one head of size 1 and, for increments on the sum code, 4d+8 rows and
        12d+6 hidden units, for timestep on the rank code 2d+7 and 2d+6, for digits on the rank
        code 4d+10 and 9d+10 (the paper: 17d+9 and 49d+25).  On the others code it has two heads
        and, for increments, 4d+9 and 12d+8, for two levels of increments 4d+11 and 10d+8, of digits
        4d+12 and 7d+9.

    Raises
    ------
    ValueError
        If there are too many labels, or the target returns a wrong shape or non-finite values.

    Notes
    -----
    Source: proof of Theorem 3.6, Lemma 4.1 and Theorem 4.2 (v7); digits, two levels, cells bit by
    bit, the rank and the others code and the sizes are this project's.  Each step's module holds
    its proof.
    """
    table = label_table(target, spec)
    return Construction(spec, table, compile_table(spec, table))


def compile_table(spec: ConstructionSpec, table: LabelTable) -> Network:
    """Return the network of a label table.

    Raises
    ------
    ValueError
        If the table does not have the labels 0..L of the spec and d coordinates.
    """
    shape = (spec.last_label + 1, spec.dim)
    if table.values.shape != shape:
        raise ValueError(f"`table` must have shape {shape} for this spec, got {table.values.shape}")
    part, decoder = memoriser_kind(spec.memoriser).part(spec, table)
    block, encoder, eta = join([*label_parts(spec), part])
    return Network(block, encoder, decoder, eta, spec.loops)
