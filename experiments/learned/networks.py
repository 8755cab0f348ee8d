"""Trained networks of a study folder: found in its rows, rebuilt, and held against their rows."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from looprate.experiments.rows.records import read_rows
from looprate.experiments.study.summary import cells, recipe_of
from looprate.experiments.study.work import located
from looprate.theory.outputs import checked_input
from looprate.theory.stored_arrays import read_arrays

if TYPE_CHECKING:
    from looprate.approx.models.looped import LoopedTransformer

Row = dict[str, Any]
#: Two ways through one network in single precision, of a mean over held-out points.
SAME_ERROR = 1e-3


def chosen_fits(
    folder: Path, *, targets: Sequence[str] | None = None, loops: Sequence[int] | None = None
) -> list[Row]:
    """Return the rows of a study's networks at their chosen learning rates, one per seed.

    Parameters
    ----------
    folder : Path
        A study folder, with ``rows.jsonl`` and ``models``.
    targets, loops : sequence, optional
        Which to keep; default all.

    Raises
    ------
    ValueError
        If the folder has no such networks.
    """
    rows = [row for row in read_rows(folder / "rows.jsonl") if _file(folder, row).is_file()]
    if not rows:
        raise ValueError(
            f"`DIR` must be a study folder with rows.jsonl and models/*.npz, got {folder}; make "
            "one with looprate verify --preset smoke --out DIR"
        )
    for name, wanted in (("target", targets), ("loops", loops)):
        have = list(dict.fromkeys(row[name] for row in rows))
        missing = [value for value in wanted or () if value not in have]
        if missing:
            known = ", ".join(map(str, sorted(have)))
            raise ValueError(f"`{name}` must be among {known} in {folder}, got {missing[0]}")
        rows = [row for row in rows if wanted is None or row[name] in wanted]
    recipes = {_place(row): recipe_of(row) for row in rows}  # the one stored last, where several
    rows = [row for row in rows if recipe_of(row) == recipes[_place(row)]]
    latest = {(_place(row), row["seed"], row["learning_rate"]): row for row in rows}
    chosen = [row for cell in cells(list(latest.values())) for row in cell["rows"]]
    found = [row for row in chosen if row["error"] is not None]
    if not found:
        raise ValueError(f"`DIR` {folder} holds diverged networks only; train with smaller --rates")
    return sorted(found, key=lambda row: (*_place(row), row["seed"]))


def network_of(folder: Path, row: Row, *, check: bool = True) -> LoopedTransformer:
    """Return the network whose fit a row describes.

    Parameters
    ----------
    folder : Path
        The study folder.
    row : dict
        A row of its ``rows.jsonl``.
    check : bool
        Compute the held-out error again and compare it with the row's.

    Raises
    ------
    ValueError
        If the weights are missing, or the error is not the row's: other weights, or other code.
    """
    import torch

    from looprate.approx.banks.bank import model_of
    from looprate.approx.models.looped import ModelConfig

    path = _file(folder, row)
    if not path.is_file():
        raise ValueError(f"`row` must have its weights in {path}, which is missing; train it again")
    bank = {name: torch.tensor(value) for name, value in read_arrays(path).items()}
    model = model_of(bank, ModelConfig(**row["config"]["model"]), row["index"])
    if check:
        found = recomputed_error(model, row)
        if not abs(found - row["error"]) <= SAME_ERROR * row["error"]:
            raise ValueError(
                f"the network {row['index']} of {path} has held-out error {found:.6g}, its row "
                f"says {row['error']:.6g}: other weights or other code; train it again"
            )
    return model


def recomputed_error(model: LoopedTransformer, row: Row) -> float:
    """Return the held-out L^p error of a network on the points of its row."""
    from looprate.approx.error import error
    from looprate.theory.targets import resolve_target

    return error(
        lambda x: model(x, row["loops"]),
        resolve_target(
            located(row["target"], row.get("directory")), tokens=row["tokens"], dim=row["dim"]
        ),
        tokens=row["tokens"],
        dim=row["dim"],
        p=row["p"],
        points=row["config"]["points"],
        replicates=row["config"]["replicates"],
    ).value


def network_digest(folder: Path, row: Row) -> str:
    """Return a digest of the weights a row's network is stored with."""
    return hashlib.sha256(checked_input(_file(folder, row)).read_bytes()).hexdigest()[:20]


def _file(folder: Path, row: Row) -> Path:
    """Where the weights of a row's network are."""
    return folder / "models" / f"{row['task']}.npz"


def _place(row: Row) -> tuple[Any, ...]:
    """What decides a network beside seed and learning rate."""
    return tuple(row[name] for name in ("target", "tokens", "dim", "p", "family", "loops"))
