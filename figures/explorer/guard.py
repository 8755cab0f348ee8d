"""Who may talk to the explorer's server, and quiet ends for those who leave early."""

from __future__ import annotations

from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from bokeh.protocol.exceptions import ProtocolError
from bokeh.server.server import Server
from bokeh.server.views.ws import WSHandler
from tornado.httputil import HTTPServerRequest
from tornado.routing import Matcher, Rule
from tornado.web import ErrorHandler
from tornado.websocket import WebSocketClosedError

LOOPBACK = {"127.0.0.1", "localhost", "::1"}
FORBIDDEN = 403


def guard(server: Server) -> None:
    """Let a server answer to names of this machine only, and end broken connections quietly.

    A page elsewhere whose name is made to point here (DNS rebinding) still asks by that name.

    Parameters
    ----------
    server : Server
        Not yet started.
    """
    rules: list[Any] = server._tornado.wildcard_router.rules
    for rule in rules:
        if rule.target is WSHandler:
            rule.target = _Socket
    rules.insert(0, Rule(_Foreign(), ErrorHandler, {"status_code": FORBIDDEN}))


class _Foreign(Matcher):
    """Matches requests by a name that is not this machine's."""

    def match(self, request: HTTPServerRequest) -> dict[str, Any] | None:
        with suppress(ValueError):  # of what is no address at all
            if urlsplit(f"//{request.headers.get('Host', '')}").hostname in LOOPBACK:
                return None
        return {}


class _Socket(WSHandler):
    """A page's connection that may be closed at any moment, its session then ends, too."""

    lost = False

    def open(self) -> None:
        """Begin, unless the page has left or never spoke the protocol."""
        if self.ws_connection is None:
            return
        try:
            super().open()
        except Exception:  # what it was sent may be anything
            self.close()

    async def _async_open(self, token: str) -> None:
        """Make the session; give it up at once if the page has left meanwhile."""
        if self.ws_connection is None:
            return
        with suppress(ProtocolError):
            await super()._async_open(token)
        if self.ws_connection is None:
            self.on_close()

    async def send_message(self, message: Any) -> None:
        """Send, to whoever is still there."""
        with suppress(WebSocketClosedError):
            await message.send(self)

    def on_close(self) -> None:
        """Say once that the page has left its session."""
        if self.connection is not None and not self.lost:
            self.lost = True
            super().on_close()
