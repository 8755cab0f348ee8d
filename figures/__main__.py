"""``python -m looprate.figures JSON``: what ``looprate figures`` starts to draw a folder's figures.

The JSON text holds the arguments of :func:`looprate.figures.drawing.redraw_each`.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from typing import Any

from looprate.figures.drawing import redraw_each
from looprate.theory.processes import become_child, finish, open_streams

BAD_INPUT = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Draw what is asked for; return 0, or 2 if an input was bad."""
    parser = argparse.ArgumentParser(prog="python -m looprate.figures", description=__doc__)
    parser.add_argument("asked", metavar="JSON", type=json.loads, help="see looprate figures")
    parser.add_argument("--parent", type=int, metavar="PID", help="end when this process does")
    options = parser.parse_args(arguments)
    if options.parent is not None:
        become_child(options.parent)
    try:
        return _drawn(**options.asked)
    except BrokenPipeError:  # nobody listens
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _drawn(
    *,
    style: str = "paper",
    formats: Sequence[str] = (),
    handouts: bool = False,
    share: Sequence[int] = (0, 1),
    **others: Any,
) -> int:
    """Draw, and print a JSON line a figure: the file of its rows, then the files drawn."""
    status = 0
    formats = formats or (["pdf"] if handouts else ["png", "pdf"])
    first, every = share
    try:
        for source, outcome in redraw_each(
            style=style, formats=formats, handouts=handouts, share=(first, every), **others
        ):
            if isinstance(outcome, str):
                print(f"error: {outcome}", file=sys.stderr)
                status = BAD_INPUT
            else:
                print(json.dumps([str(source), [str(path) for path in outcome]]))
    except ValueError as error:
        if first == 0:  # all processes find the same
            print(f"error: {error}", file=sys.stderr)
        return BAD_INPUT
    return status


if __name__ == "__main__":
    open_streams()
    finish(main())
