"""The tables that figures are drawn from: the columns of each kind, and the one CSV writer.

Experiments write such tables and figures read them, neither knowing the other: what a column means
stands here alone.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from looprate.theory.outputs import replacing

__all__ = ["SETTING", "TABLES", "cell_text", "write_table"]

#: Columns of every table about one target -> their meaning.
SETTING = {
    "target": "name of the target",
    "latex": "its formula in LaTeX, without dollar signs",
    "tokens": "sequence length N",
    "dim": "coordinates per token d",
    "p": "exponent of the error norm",
}
#: Kind of figure -> its columns -> their meaning.
TABLES: dict[str, dict[str, str]] = {
    "error-against-loops": {
        "curve": "trained, start, best, certified, constructed, bound, slope or trivial",
        "family": "lt, tmlt or untied",
        "label": "which construction, bound, recipe of training or search; slope: bound: formula",
        "loops": "loop count r",
        "seed": "seed of a trained network",
        "value": "L^p error (certified, constructed: its upper end), bound; slope: a proven "
        "exponent; empty: diverged",
        "lower": "certified lower end of the error of a network",
        "stderr": "standard error of the value",
        "status": "verdict on a bound at this loop count",
        **SETTING,
    },
    "moduli": {
        "kind": "sequence, token or contextual",
        "delta": "radius, Frobenius norm of the input difference",
        "lower": "lower bound, attained by a pair that was found",
        "exact": "closed form, where it is exact",
        "upper": "proven upper bound, where it is not",
        **SETTING,
    },
    "bound-terms": {
        "version": "which bound",
        "loops": "loop count r",
        "term": "token, context, sequence, memoriser, collisions or strips",
        "value": "the term, an L^p error",
        "trivial": "L^p error of the best constant",
        "total": "sum of the terms; empty where a hypothesis fails",
        "status": "verdict on the bound at this loop count",
        **SETTING,
    },
    "rates": {
        "label": "whose result, a colon and the exponent in N, d and s",
        "detail": "what it is about and assumes",
        "loops": "loop count r",
        "exponent": "the exponent as a number",
        "value": "the rate over its value at the first loop count",
        **SETTING,
    },
    "training-curves": {
        "family": "lt, tmlt or untied",
        "loops": "loop count r",
        "seed": "seed of the network",
        "step": "training step",
        "value": "validation L^p error; empty once the run diverged",
        "chosen": "whether this recipe was chosen for its family and loop count",
        **SETTING,
    },
    "best-of-n": {
        "family": "lt or tmlt",
        "loops": "loop count r",
        "starts": "n, drawn with replacement from all starts",
        "value": "median of the smallest L^p validation error among n, before the polish",
        "low": "5 % of the draws are below; empty where infinite",
        "high": "5 % of the draws are above; empty where infinite",
        **SETTING,
    },
    "roughness": {
        "name": "name of the target",
        "formula": "it in LaTeX, without dollar signs",
        "loops": "loop count r",
        "parameters": "of the network",
        "value": "held-out L^p error of the best network found",
        "stderr": "its standard error",
        "starts": "how many the search began with",
        "tokens": "sequence length N",
        "dim": "coordinates per token d",
        "p": "exponent of the error norm",
    },
    "memorisers": {
        "memoriser": "its name",
        "coding": "how a token and its context became a label: sum or rank",
        "periods": "periods of the target on [0, 1], its roughness",
        "gap": "largest difference of adjacent labels in any coordinate",
        "residual": "largest error of the memorised table in any coordinate, exact",
        "bound": "proven bound of the residual: the gap, 0, or the range over 2^bits",
        "bits": "bits per label; digits only",
        "loops": "loop count r",
        **SETTING,
    },
    "arithmetic": {
        "memoriser": "its name",
        "arithmetic": "float32, float64 or exact",
        "labels": "number of labels the network holds",
        "value": "largest error against the exact network, in the target's unit; empty: not finite",
        "refused": "1 where the exact module refuses: an integer may leave the significand",
        **SETTING,
    },
    "few-bits": {
        "curve": "run, measured, predicted or lower",
        "memoriser": "its name; empty for lower",
        "arithmetic": "int8 to int20, bfloat16, float16, float32 or float64",
        "bits": "bits b of a magnitude or a significand",
        "loops": "run: loop count r",
        "needed": "run: bits of the largest weight, eta or label",
        "exact": "run: the error in exact arithmetic",
        "value": "mean error over random inputs; predicted: of the finest grid that fits; lower: "
        "what no LT of the size is below in the worst case; empty: no number",
        "reached": "measured: 1 if a finer grid was run that does not fit",
        **SETTING,
    },
    "learned-moduli": {
        "kind": "sequence, token or contextual",
        "delta": "radius, Frobenius norm of the input difference, one a file",
        "family": "lt, tmlt or untied",
        "loops": "loop count r",
        "seed": "seed of the network",
        "value": "lower bound of the network's modulus over the target's; empty where that is 0",
        "lower": "what the ratio of the moduli is at least",
        "upper": "what it is at most; empty where nothing is certified",
        **SETTING,
    },
    "eta-gain": {
        "panel": "constructed-loops, constructed-grid or trained",
        "roughness": "the map h of the dial: its level",
        "share": "share s of the own token",
        "modulus_sum": "w_tok(δ√d) + w_cont(δ√(Nd)), closed forms",
        "value": "error of LT over error of TMLT",
        "lower": "lower end of the interval of the value",
        "upper": "upper end of the interval of the value",
        "delta": "δ of the moduli",
        "words": "verdict of the panel in words, | between lines",
        "detail": "networks of the panel and what the interval is, | between lines",
        **SETTING,
    },
    "eta-best": {
        "panel": "parameters or blocks: what arm and LT have in common",
        "arm": "where eta(t) comes from: table, relu or silu",
        "loops": "loop count r",
        "target": "its name; empty for the mean over targets",
        "value": "best error of the LT over the arm's, the best of some starts",
        "lower": "mean: lower end of the interval of the value",
        "upper": "mean: upper end of the interval of the value",
        "smallest": "the same ratio of the smallest errors of all starts",
        "words": "first verdicts in words, | between lines",
        **SETTING,
    },
    "eta-loops": {
        "arm": "lt or silu (the TMLT)",
        "law": "loops of a training step: fixed, uniform or log-uniform",
        "target": "its name",
        "trained": "loop count r of training",
        "loops": "loop count at test time",
        "value": "best error of some starts",
        "lower": "lower end of the interval of the value",
        "upper": "upper end of the interval of the value",
        "words": "first verdicts in words, | between lines",
        **SETTING,
    },
    "eta-bits": {
        "arm": "lt or silu (the TMLT)",
        "when": "the state is rounded never, after training, or during it too",
        "bits": "significant bits of the state; empty for never",
        "target": "its name",
        "loops": "loop count r",
        "value": "best error of some starts",
        "lower": "lower end of the interval of the value",
        "upper": "upper end of the interval of the value",
        "words": "first verdicts in words, | between lines",
        **SETTING,
    },
    "stages": {
        "panel": "cells, order, step, staircase or state",
        "name": "what the row is of, see this module; a row of the residual stream in state",
        "token": "1 .. N, empty where it is the same for all",
        "loop": "1 .. r, 0 for the input; order and state only",
        "position": "x coordinate: token 1, u or label",
        "height": "y coordinate: token 2, key, value or state",
        "used": "staircase: 1 if an input has this label, 0 for padding",
        "grid": "cells per axis m",
        "stage": "state: quantise, context or values",
        **SETTING,
    },
    "scaling": {
        "panel": "overhead, memory, loops or size",
        "label": "what a line is of",
        "position": "its place on the x axis: points, loops, N or d",
        "value": "milliseconds, or MiB in panel memory",
    },
    "task-accuracy": {
        "curve": "fit or reported",
        "name": "task",
        "detail": "size of the task, for its title",
        "metric": "accuracy, squared error or perplexity",
        "model": "looped, tmlt or untied",
        "loops": "loop count r, or depth of an untied model",
        "seed": "seed of the fit",
        "value": "metric on test rows; an accuracy as a share",
        "diverged": "whether training was stopped, or ended without a number",
    },
    "task-test-loops": {
        "name": "task",
        "detail": "size of the task, for its title",
        "metric": "accuracy, squared error or perplexity",
        "model": "looped or tmlt",
        "trained": "loop count in training",
        "loops": "loop count at test time",
        "seed": "seed of the fit",
        "value": "metric on test rows; an accuracy as a share",
        "diverged": "whether training was stopped, or ended without a number",
    },
    "task-training": {
        "name": "task, one a file",
        "detail": "size of the task, for its title",
        "metric": "accuracy, squared error or perplexity",
        "model": "looped, tmlt or untied",
        "loops": "loop count r, or depth of an untied model",
        "seed": "seed of the fit",
        "step": "training step",
        "value": "metric on held-out rows; an accuracy as a share",
        "diverged": "whether training was stopped, or ended without a number",
    },
    "task-boards": {
        "name": "task, one a file",
        "model": "looped, tmlt or untied, one a file",
        "loops": "loop count in training",
        "loop": "after how many loops",
        "row": "row of the board, from 1",
        "column": "column of the board, from 1",
        "digit": "what is predicted there; 0 for empty",
        "given": "whether the cell is a clue",
        "right": "whether the prediction is that of the solution",
        "box_rows": "rows of a box",
        "box_columns": "columns of a box",
    },
    "task-attention": {
        "name": "task, one a file",
        "model": "looped, tmlt or untied, one a file",
        "loops": "loop count in training",
        "loop": "which loop, from 1",
        "query": "position that attends, from 1",
        "key": "position that is attended to, from 1",
        "weight": "attention weight, mean over the heads",
        "query_word": "token at the query",
        "key_word": "token at the key",
        "asked": "whether the answer is predicted at the query",
        "heads": "heads of the mean",
    },
    "autopsy": {
        "panel": "readout, update, similarity, sensitivity, moduli or parts",
        "name": "what is measured: error, change, choices, update, distance, cosine, stretch, a "
        "kind of modulus, or the part that is off",
        "loop": "after how many loops",
        "position": "similarity: the other loop",
        "value": "the number, median over inputs; moduli: largest found",
        "lower": "least over inputs",
        "upper": "largest over inputs",
        "cosine": "similarity: cosine of the two states, mean over inputs",
        "delta": "moduli: radius, Frobenius norm",
        "words": "title of the panel",
        "model": "what was looked at",
        "detail": "its sizes in words",
        "trained": "loop count in training",
    },
}


def write_table(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write a CSV file, whole or not at all: a header line, then a line for each row as it comes.

    Parameters
    ----------
    path : Path
    columns : sequence of str
        In this order; other entries of the rows are left out.
    rows : iterable of mappings
        See :func:`cell_text`.

    Raises
    ------
    OSError
        With the path, if it cannot be written.
    """
    with replacing(path) as draft, draft.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([cell_text(row.get(name)) for name in columns] for row in rows)


def cell_text(value: Any) -> str:
    """Return a cell that reads back as the same value; None and nan are empty."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, float):
        return repr(float(value))
    return json.dumps(value) if isinstance(value, bool | list | dict) else str(value)
