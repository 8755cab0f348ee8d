"""A headless Chromium: where it is, how it is started, and a page whose requests are watched."""

import shutil
from urllib.parse import urlsplit

__all__ = ["CHROMIUM", "FLAGS", "LOOPBACK", "watched"]

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
]
LOOPBACK = {"127.0.0.1", None, ""}  # None and "": files and what is inside a page
SLOWLY = 60_000  # milliseconds a busy machine gets


def watched(chromium):
    """Return a new page; its ``hosts`` are all that it asked, its ``errors`` those of scripts."""
    page = chromium.new_page(viewport={"width": 1300, "height": 1100})
    page.set_default_timeout(SLOWLY)
    page.hosts, page.errors = set(), []
    page.on("request", lambda request: page.hosts.add(urlsplit(request.url).hostname))
    page.on("pageerror", lambda error: page.errors.append(str(error)))
    return page
