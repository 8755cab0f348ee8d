"""Run folders of several machines as one: every finished task once, and the files that go with it.

A task's key is a digest of everything that decides its numbers, so the same key means the same
numbers.  Where two folders disagree nonetheless, nothing is merged.  Reports and figures are not
copied: the command that made them makes those of the merged folder.
"""

from __future__ import annotations

import filecmp
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from looprate.experiments.rows.merge_config import merged_config
from looprate.experiments.rows.provenance import TRACES
from looprate.experiments.rows.query import Row, RowFile, flat, open_folders
from looprate.theory.outputs import replacing_folder

__all__ = ["merge_folders"]

DRAWN = "figures"  # made from rows, again where they are merged
NAMED = 5  # columns that differ, named in a message


@dataclass
class Merged:
    """What a merge did.

    Attributes
    ----------
    tasks : dict of str to int
        Finished tasks in each row file of the merged folder.
    repeated : int
        Tasks that more than one folder had, with the same numbers; the first folder's are kept.
    files : int
        Other files copied: weights, checkpoints, pictures.
    notes : list of str
        Choices made where folders differ in more than rows.
    """

    tasks: dict[str, int] = field(default_factory=dict)
    repeated: int = 0
    files: int = 0
    notes: list[str] = field(default_factory=list)


def merge_folders(
    folders: Sequence[Path], out: Path, *, report: Callable[[float], None] = lambda part: None
) -> Merged:
    """Write the union of run folders to a new folder; it appears whole or not at all.

    Parameters
    ----------
    folders : sequence of Path
        At least two; where they repeat each other the first wins.
    out : Path
        New or empty.
    report : callable
        Called with the share of rows that is done; files are copied after.

    Raises
    ------
    ValueError
        If the folders are of other presets, or have other numbers for the same task.
    """
    _check_places(folders, out)
    files, found = open_folders(folders), Merged()
    config = merged_config(folders, found.notes)
    with replacing_folder(out) as draft:
        owners: dict[str, list[Path]] = {}  # of a finished task: the folders that have it
        names = list(dict.fromkeys(file.name for file in files))
        for place, name in enumerate(names, start=1):
            same = [file for file in files if file.name == name]
            _merge_rows(same, draft / f"{name}.jsonl", owners, found)
            report(place / len(names))
        if config is not None:
            (draft / "config.json").write_text(json.dumps(config, indent=1) + "\n")
        _copy_files(folders, draft, owners, found)
    return found


def _check_places(folders: Sequence[Path], out: Path) -> None:
    """Refuse one folder twice, less than two, and a place that is taken."""
    if len({folder.resolve() for folder in folders}) < max(2, len(folders)):
        names = ", ".join(map(str, folders))
        raise ValueError(f"`DIR` must be at least two different folders to merge, got {names}")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ValueError(f"`merge` must be a new or empty folder, {out} is not; take another one")


def _merge_rows(
    files: Sequence[RowFile], path: Path, owners: dict[str, list[Path]], found: Merged
) -> None:
    """Write the tasks of one kind of row file, byte for byte, each once."""
    first: dict[str, RowFile] = {}
    with path.open("wb") as stream:
        for file in files:
            for key in file.store.keys():  # noqa: SIM118, a method with an order
                owners.setdefault(key, []).append(file.folder)
                if key in first:
                    _check_same(key, first[key], file)
                    found.repeated += 1
                else:
                    first[key] = file
                    stream.writelines(file.store.lines(key) or [])
        stream.flush()
        os.fsync(stream.fileno())
    found.tasks[files[0].name] = len(first)


def _check_same(key: str, one: RowFile, other: RowFile) -> None:
    """Raise if two folders have other numbers for one task."""
    if one.store.lines(key) == other.store.lines(key):
        return
    left, right = one.store.task(key) or [], other.store.task(key) or []
    names = list(dict.fromkeys(_differing(left, right)))
    if not names:
        return
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    raise ValueError(
        f"`DIR` must have the same numbers for the same task, {one.folder} and {other.folder} "
        f"differ in task {key} of {one.name}.jsonl in {', '.join(names[:NAMED])}{more}; nothing "
        "was written: delete its lines in the folder that is wrong"
    )


def _differing(left: Sequence[Row], right: Sequence[Row]) -> Iterator[str]:
    """Yield the columns that differ beyond where and how fast the rows were made."""
    if len(left) != len(right):
        yield "of"
        return
    for a, b in zip(left, right, strict=True):
        mine, theirs = flat(_without_traces(a)), flat(_without_traces(b))
        missing = object()
        for name in mine | theirs:
            if mine.get(name, missing) != theirs.get(name, missing):
                yield name


def _without_traces(value: Any) -> Any:
    """Return a value without provenance and times, at any depth."""
    if isinstance(value, dict):
        return {k: _without_traces(v) for k, v in value.items() if k not in TRACES}
    return [_without_traces(item) for item in value] if isinstance(value, list) else value


def _copy_files(
    folders: Sequence[Path], draft: Path, owners: dict[str, list[Path]], found: Merged
) -> None:
    """Copy what lies in subfolders: a task's files with its rows, others from the first folder."""
    kept: dict[Path, Path] = {}
    for folder in folders:
        for source in sorted(path for path in folder.glob("*/**/*") if path.is_file()):
            place = source.relative_to(folder)
            have = owners.get(source.name.partition(".")[0])
            late = have is not None and ("checkpoint" in str(place) or folder not in have)
            if place.parts[0] == DRAWN or source.suffix == ".tmp" or late:
                continue
            if place not in kept:
                kept[place] = source
                (draft / place).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, draft / place)
                found.files += 1
            elif have is None and not filecmp.cmp(source, kept[place], shallow=False):
                found.notes.append(
                    f"{place} is that of {kept[place].parents[len(place.parts) - 1]}"
                )
