"""Which question a run folder answers: kept in its config.json, and not replaced by another one."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from looprate.experiments.rows.merge_config import FIRST, LARGEST, UNITED
from looprate.experiments.rows.records import digest
from looprate.theory.outputs import checked_input, write_atomically

__all__ = ["ask", "folder_for", "stored_config"]

CONFIG = "config.json"
ANSWERS = ("report.json", "eta.json", "rows.jsonl", "theory.jsonl", "constructions.jsonl")
MAKERS = {
    "targets": "verify",
    "shares": "eta",
    "dials": "eta",
    "tasks": "reproduce",
}  # an entry of their configs
UNASKED = FIRST | {"fits"}  # entries that are no part of a question
SHOWN = 60  # characters of a value in a message


def ask(folder: Path, config: dict[str, Any]) -> None:
    """Write a run's configuration into its folder, unless that answers another question.

    Parameters
    ----------
    folder : Path
        Held by this process.
    config : dict
        JSON-ready.

    Raises
    ------
    ValueError
        See :func:`check_question`.
    """
    check_question(folder, config)
    write_atomically(folder / CONFIG, json.dumps(config, indent=1) + "\n")


def check_question(folder: Path, config: dict[str, Any]) -> None:
    """Raise if a folder answers a question that is not part of the one asked.

    More targets, loops, seeds and the like are the same question, asked wider: its report covers
    what the old one did.  A folder without any result answers nothing.

    Raises
    ------
    ValueError
        In one line with the entry that differs, or that config.json cannot be read.
    """
    stored = stored_config(folder)
    if stored is None or not any((folder / name).exists() for name in ANSWERS):
        return
    difference = _difference(stored, json.loads(json.dumps(config)), "")
    if difference:
        raise ValueError(
            f"`out` must be a new folder or one of the same question, {folder} holds a run "
            f"{difference}; take another --out, or ask for what it holds too"
        )


def folder_for(out: Path | None, usual: Path, config: dict[str, Any]) -> Path:
    """Return the folder asked for, else the usual one, else one of this question beside it."""
    if out is not None:
        return out
    facts = {name: value for name, value in config.items() if name not in UNASKED}
    apart = usual.with_name(f"{usual.name}-{digest(facts)[:8]}")
    if apart.exists():
        return apart
    try:
        check_question(usual, config)
    except ValueError:
        print(f"{usual} answers another question: this one goes to {apart}", file=sys.stderr)
        return apart
    return usual


def stored_config(folder: Path) -> dict[str, Any] | None:
    """Return what a folder's config.json holds, None where there is none.

    Raises
    ------
    ValueError
        If it is no JSON object.
    """
    path = folder / CONFIG
    try:
        stored = json.loads(checked_input(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (ValueError, RecursionError):
        stored = None
    if not isinstance(stored, dict):
        raise ValueError(
            f"`{CONFIG}` must be a JSON object, {path} is not: it is damaged; delete it, and the "
            "command that made the folder writes it again"
        )
    return stored


def _difference(old: Any, new: Any, name: str) -> str:
    """Return in words where an old question is not part of a new one, "" where it is."""
    if old == new or name in UNASKED:
        return ""
    if isinstance(old, dict) and isinstance(new, dict):
        if not name and (lost := old.keys() - new.keys()):
            maker = next((MAKERS[key] for key in MAKERS if key in lost), "something else")
            return f"of {maker if maker == 'something else' else f'looprate {maker}'}"
        asked = [key for key in old if key in new or name != "tasks"]  # others stay as they are
        parts = (_difference(old[key], new.get(key), key) for key in asked)
        return next((part for part in parts if part), "")
    if name in UNITED and isinstance(old, list) and isinstance(new, list):
        if all(item in new for item in old):
            return ""
    elif name in LARGEST and type(old) is type(new) is int and old <= new:
        return ""
    return f"with {name} = {_short(old)}, asked for now: {_short(new)}"


def _short(value: Any) -> str:
    """Return a value as text, cut to a few characters."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."
