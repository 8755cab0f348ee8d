"""``python -m figures.explorer``: serve the explorer, or write its static form."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from experiments.printing import one_line
from figures.explorer.setting import Setting
from theory.processes import become_child, finish, open_streams

BAD_INPUT, INTERRUPTED = 2, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return 0, or 2 after one line if an input was bad."""
    options = _options(arguments)
    if options.parent is not None:
        become_child(options.parent)
    try:
        if options.static is not None:
            from figures.explorer.static import write_static

            print(write_static(options.static, dark=options.dark, rows=options.rows))
            return 0
        return _serve(options)
    except KeyboardInterrupt:
        return INTERRUPTED
    except (OSError, TypeError, ValueError) as error:
        print(f"looprate: {one_line(error)}", file=sys.stderr)
        return BAD_INPUT


def _serve(options: argparse.Namespace) -> int:
    """Serve until interrupted."""
    from figures.explorer import views
    from figures.explorer.server import explore_server, serve

    setting = Setting(target=options.target) if options.target else Setting()
    views.target_of(setting.target, setting.tokens, setting.dim)
    server = explore_server(setting, options.rows, port=options.port, dark=options.dark)
    try:
        serve(
            server,
            browser=not options.no_browser,
            told=lambda address: print(f"{address}  (stop with Ctrl-C)", flush=True),
        )
    except KeyboardInterrupt:
        server.stop()
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return the parsed options; ``looprate explore`` documents them."""
    parser = argparse.ArgumentParser(prog="python -m figures.explorer", description=__doc__)
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
