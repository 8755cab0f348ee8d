"""What each command of ``looprate`` does, given its parsed options.

Commands compute with the theory package and draw through ``python -m looprate.figures`` in a
process of its own, which reads nothing but stored rows.
"""

from __future__ import annotations

from argparse import Namespace
from typing import Any

from looprate.experiments.study.drawing import draw_folder
from looprate.printing import print_json, print_table


def targets(options: Namespace) -> int:
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


def moduli(options: Namespace) -> int:
    """Print bounds and closed forms of the moduli of a target."""
    from looprate.commands.moduli import run_moduli

    return run_moduli(options)


def bound(options: Namespace) -> int:
    """Print a bound term by term."""
    from looprate.commands.bound import run_bound

    return run_bound(options)


def construct(options: Namespace) -> int:
    """Compile the proof for a target and certify it."""
    from looprate.commands.construct import run_construct

    return run_construct(options)


def verify(options: Namespace) -> int:
    """Run the main job, resume it if need be, and write its report and figures."""
    from looprate.commands.verify import run_verify

    return run_verify(options)


def eta(options: Namespace) -> int:
    """Ask when eta(t) helps: run the sweep, resume it if need be, and write its report."""
    from looprate.commands.eta import run_eta_command

    return run_eta_command(options)


def reproduce(options: Namespace) -> int:
    """Train the paper's tasks again, resume if need be, and report."""
    from looprate.commands.reproduce import run_reproduce

    return run_reproduce(options)


def learned(options: Namespace) -> int:
    """Set the moduli of trained networks beside those of their targets."""
    from looprate.commands.learned import run_command_learned

    return run_command_learned(options)


def claims(options: Namespace) -> int:
    """Run the ledger of claims."""
    from looprate.commands.claims import run_claims

    return run_claims(options)


def explain(options: Namespace) -> int:
    """Explain one claim of the ledger."""
    from looprate.commands.claims import run_explain

    return run_explain(options)


def rows(options: Namespace) -> int:
    """List, filter, export and merge stored rows."""
    from looprate.commands.rows import run_rows

    return run_rows(options)


def explore(options: Namespace) -> int:
    """Open the explorer."""
    from looprate.commands.explore import run_explore

    return run_explore(options)


def figures(options: Namespace) -> int:
    """Redraw a folder's figures from its rows."""
    import json

    others = ["--handout"] * options.handout + ["--json"] * options.json
    others += ["--to", str(options.to)] if options.to else []
    others += ["--only", *options.only] if options.only else []
    code, text = draw_folder(options.directory, options.style, options.format, others)
    if code:
        return code
    if options.json:
        return print_json(sorted(path for line in text.splitlines() for path in json.loads(line)))
    print(text, end="")
    return 0
