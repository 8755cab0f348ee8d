"""``python -m looprate.figures.explorer``: serve the explorer, or write its static form."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import TextIO

from looprate.figures.explorer.setting import Setting
from looprate.theory.outputs import one_line
from looprate.theory.processes import become_child, finish, open_streams

BAD_INPUT, INTERRUPTED = 2, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return 0, or 2 after one line if an input was bad."""
    options = _options(arguments)
    if options.parent is not None:
        become_child(options.parent)
    told = sys.stdout
    try:
        with redirect_stdout(sys.stderr):  # what the reader's own function prints
            (_serve if options.static is None else _write)(options, told)
        return 0
    except KeyboardInterrupt:
        return INTERRUPTED
    except (OSError, TypeError, ValueError) as error:
        print(f"looprate: {one_line(error)}", file=sys.stderr)
        return BAD_INPUT


def _write(options: argparse.Namespace, told: TextIO) -> None:
    """Write the static page and say where it is."""
    from looprate.figures.explorer.static import write_static

    dark, rows = options.dark, options.rows
    print(write_static(options.static, target=options.target, dark=dark, rows=rows), file=told)


def _serve(options: argparse.Namespace, told: TextIO) -> None:
    """Serve until interrupted."""
    from looprate.figures.explorer import views
    from looprate.figures.explorer.server import explore_server, serve

    setting = Setting(target=options.target) if options.target else Setting()
    views.target_of(setting.target, setting.tokens, setting.dim)
    server = explore_server(setting, options.rows, port=options.port, dark=options.dark)
    try:
        serve(
            server,
            browser=not options.no_browser,
            told=lambda address: print(f"{address}  (stop with Ctrl-C)", file=told, flush=True),
        )
    except KeyboardInterrupt:
        server.stop()


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return the parsed options; ``looprate explore`` documents them."""
    parser = argparse.ArgumentParser(
        prog="python -m looprate.figures.explorer", description=__doc__
    )
    parser.add_argument("--target", default="")
    parser.add_argument("--rows", type=Path, nargs="*", default=[])
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--static", type=Path)
    parser.add_argument("--dark", action="store_true")
    parser.add_argument("--no-browser", action="store_true")
    parser.add_argument("--parent", type=int)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    open_streams()
    finish(main())
