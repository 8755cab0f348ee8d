"""The proof as weights, taken apart: what lessons and one's own experiments on it need.

Names of this project's inside, gathered here so that their users need not follow when they move.
"""

from looprate.experiments.study.certificates import softmax_of
from looprate.experiments.study.construction_rows import arithmetic_rows, memoriser_rows
from looprate.theory.bounds.bumps import Bumps
from looprate.theory.bounds.exponents import exponent_rows
from looprate.theory.bounds.loop_counts import construction_loops, last_label, printed_loops
from looprate.theory.bounds.rates import construction_exponent, theorem_exponent
from looprate.theory.construction.build.coding import label_form
from looprate.theory.construction.build.compile import compile_table
from looprate.theory.construction.build.labels import every_cell, grid_coordinates, labels_in_use
from looprate.theory.construction.run.exact import exact_output, exact_states
from looprate.theory.construction.run.oracle import oracle_labels
from looprate.theory.construction.run.reference import reference_output, reference_states

__all__ = [
    "Bumps",
    "arithmetic_rows",
    "compile_table",
    "construction_exponent",
    "construction_loops",
    "every_cell",
    "exact_output",
    "exact_states",
    "exponent_rows",
    "grid_coordinates",
    "label_form",
    "labels_in_use",
    "last_label",
    "memoriser_rows",
    "oracle_labels",
    "printed_loops",
    "reference_output",
    "reference_states",
    "softmax_of",
    "theorem_exponent",
]
