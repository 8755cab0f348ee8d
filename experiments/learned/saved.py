"""Trained networks of a study folder as functions that can be asked about, by their file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from looprate.experiments.learned.networks import network_of
from looprate.experiments.rows.records import RowStore
from looprate.theory.stored_arrays import read_arrays
from looprate.theory.targets import OwnFunction
from looprate.theory.targets.resolve import checked

if TYPE_CHECKING:
    from looprate.approx.models.looped import LoopedTransformer

__all__ = ["network_target"]

Row = dict[str, Any]
NAMED = re.compile(r"(?P<file>.+\.npz)(:(?P<index>\d+))?")
FILES = ("rows.jsonl", "best.jsonl")  # of a study: fitted networks, and the best found


def network_target(text: str, *, tokens: int, dim: int) -> OwnFunction:
    """Return a trained network of a study folder as a function on (B, N, d).

    Parameters
    ----------
    text : str
        ``DIR/models/FILE.npz``, or ``DIR/models/FILE.npz:INDEX`` where it holds several networks.
    tokens, dim : int
        N and d at which it is asked about.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If no row says what the weights are, or the network is not for this d.
    """
    named = NAMED.fullmatch(text.strip())
    path = Path(named["file"] if named else text)
    if not path.is_file():
        raise FileNotFoundError(f"`target` must be a file of trained networks, {path} is none")
    rows = _rows_of(path)
    index = int(named["index"]) if named and named["index"] else None
    if (index is None and len(rows) > 1) or (index or 0) >= len(rows):
        raise ValueError(
            f"`target` must name one of the {len(rows)} networks of {path}, got {text!r}; take "
            f"{path}:0 to {path}:{len(rows) - 1}"
        )
    row = rows[index or 0]
    if row["dim"] != dim:
        raise ValueError(f"`dim` must be {row['dim']}, as {path} was trained for it, got {dim}")
    model = _network(path, row)
    told = f"a trained {row['family'].upper()}, r = {row['loops']}, of {row['target']} at N = "
    told += f"{row['tokens']}, d = {dim}: held-out L^{row['p']:g} error {row['error']:.3g}"
    alike = not model.config.positions  # by construction: tokens meet in attention only
    own = OwnFunction(text.strip(), model, frozenset(), equivariant=alike)
    return checked(own, tokens=tokens, dim=dim, notes=(told,))


def _rows_of(path: Path) -> list[Row]:
    """Return the rows of the networks of a file, by index."""
    for name in FILES:
        stored = path.absolute().parent.parent / name
        rows = RowStore(stored).task(path.stem) if stored.is_file() else None
        if rows:
            return rows
    raise ValueError(
        "`target` must lie in DIR/models of looprate verify, whose rows say what its weights are, "
        f"got {path}; in Python, hand the module to looprate.target"
    )


def _network(path: Path, row: Row) -> LoopedTransformer:
    """Return the network of a row, which knows its loop count."""
    import torch

    from looprate.approx.models.looped import LoopedTransformer, ModelConfig

    if "blocks" not in row:  # one of a bank
        model = network_of(path.absolute().parent.parent, row, check=False)
        model.loops = row["loops"]
        return model
    config = ModelConfig(**row["blocks"][row["chosen"]]["config"])
    model = LoopedTransformer(config, seed=0, loops=row["loops"]).double()
    model.load_state_dict({name: torch.tensor(v) for name, v in read_arrays(path).items()})
    return model
