"""The local server of the explorer: loopback only, every file of its own."""

from __future__ import annotations

import webbrowser
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bokeh.application import Application
from bokeh.application.handlers.function import FunctionHandler
from bokeh.document import Document
from bokeh.server.server import Server

from looprate.figures.explorer import views
from looprate.figures.explorer.guard import guard
from looprate.figures.explorer.page import Page
from looprate.figures.explorer.setting import Setting, check_typed, setting_of

HOST = "127.0.0.1"
UNUSED = {  # milliseconds after which a page that was closed ends, with the fit beside it
    "unused_session_lifetime_milliseconds": 10_000,
    "check_unused_sessions_milliseconds": 2_000,
}


def explore_server(
    setting: Setting, folders: Sequence[Path], *, port: int = 0, dark: bool = False
) -> Server:
    """Return a started server of the explorer on loopback.

    Parameters
    ----------
    setting : Setting
        What a page without a query shows.
    folders : sequence of Path
        Where rows of trained networks are looked for.
    port : int
        0 takes a free one.
    dark : bool

    Raises
    ------
    ValueError
        If the port cannot be had.
    """

    def page(document: Document) -> None:
        context: Any = document.session_context
        given: dict[str, Any] = dict(context.request.arguments) if context else {}
        theme = given.pop("theme", [b"dark" if dark else b"light"])
        shown, notes = asked_for(given, setting)
        note = "; ".join(notes)
        look: dict[str, Any] = {"dark": theme[-1] == b"dark", "note": note}
        Page(document, shown, folders, usual=setting, **look)

    try:
        server = Server(
            {"/": Application(FunctionHandler(page))},
            port=port,
            address=HOST,
            allow_websocket_origin=[f"{HOST}:{port}", f"localhost:{port}"] if port else None,
            **UNUSED,
        )
    except OSError as error:
        raise ValueError(
            f"`port` must be one that is free, got {port} ({error.strerror}); leave it out"
        ) from error
    guard(server)
    server.start()
    return server


def asked_for(given: dict[str, Any], usual: Setting) -> tuple[Setting, list[str]]:
    """Return the setting that an address asks for, and what is wrong with parts of it.

    Parameters
    ----------
    given : dict
        The arguments of the address, as :func:`looprate.figures.explorer.setting.setting_of` takes
        them.
    usual : Setting
        What they leave out, and what is shown where they cannot be.
    """
    asked, notes = usual, []
    for name, values in given.items():
        try:
            now = setting_of({name: values}, asked)
            check_typed(now.target, usual.target)
            asked = now
        except (TypeError, ValueError) as error:
            notes.append(str(error))
    if asked == usual:
        return usual, notes
    try:
        views.bound_rows(asked)  # refuses what cannot be shown
    except (TypeError, ValueError) as error:
        return usual, [*notes, str(error)]
    return asked, notes


def serve(server: Server, *, browser: bool, told: Callable[[str], None]) -> None:
    """Run a server until it is interrupted.

    Parameters
    ----------
    server : Server
    browser : bool
        Open a page in the browser.
    told : callable
        Called with the address.
    """
    address = f"http://{HOST}:{server.port}/"
    told(address)
    if browser:
        server.io_loop.add_callback(lambda: webbrowser.open(address))
    server.io_loop.start()
