"""``looprate targets``: the built-in targets and their parameters."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

from looprate.options import add_option
from looprate.parser import Commands, add_command
from looprate.printing import print_json, print_table

__all__ = ["add_targets"]


def add_targets(commands: Commands) -> None:
    """Add the list of targets."""
    targets = add_command(
        commands,
        "targets",
        "List the built-in targets with their parameters.\n\n"
        "JSON: a list of {name, summary, parameters: [{name, default, doc}]}.",
        "looprate targets --json",
    )
    add_option(targets, "json")
    targets.set_defaults(run=run_targets)


def run_targets(options: Namespace) -> int:
    """List the built-in targets."""
    from looprate.theory.targets import TARGETS, target_parameters

    found: list[dict[str, Any]] = [
        {
            "name": name,
            "summary": cls.summary,
            "parameters": [
                {"name": key, "default": default, "doc": doc}
                for key, default, doc in target_parameters(cls)
            ],
        }
        for name, cls in TARGETS.items()
    ]
    if options.json:
        return print_json(found)
    rows = []
    for entry in found:
        parameters = [
            q["name"] if q["default"] is None else f"{q['name']}={q['default']}"
            for q in entry["parameters"]
        ]
        rows.append([entry["name"], ", ".join(parameters), entry["summary"]])
    return print_table(["target", "parameters", "what it is"], rows)
