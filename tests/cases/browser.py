"""A headless Chromium: where it is, how it is started, and a page whose requests are watched."""

import re
import shutil
from urllib.parse import urlsplit

__all__ = ["CHROMIUM", "FLAGS", "LOOPBACK", "check_width", "slider", "watched"]

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
OVERLAPS = """() => {
  const boxes = [...document.querySelectorAll('main > section > *')]
    .map(e => [e.className, e.getBoundingClientRect()]).filter(([, b]) => b.width * b.height);
  return boxes.flatMap(([one, a], k) => boxes.slice(k + 1).filter(([, b]) =>
    a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 1 && b.top < a.bottom - 1)
    .map(([other]) => one + ' over ' + other));
}"""
WIDTHS = "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"


def watched(chromium):
    """Return a new page; its ``hosts`` are all that it asked, its ``errors`` those of scripts."""
    page = chromium.new_page(viewport={"width": 1300, "height": 1100})
    page.set_default_timeout(SLOWLY)
    page.hosts, page.errors = set(), []
    page.on("request", lambda request: page.hosts.add(urlsplit(request.url).hostname))
    page.on("pageerror", lambda error: page.errors.append(str(error)))
    return page


def slider(page, name):
    """Return the handle of the slider whose title begins with a name."""
    return page.get_by_role("slider", name=re.compile(f"^{name}"))


def check_width(page, width):
    """The page at a width: nothing to scroll to the right, nothing over something else."""
    page.set_viewport_size({"width": width, "height": 450})
    page.wait_for_function(f"innerWidth === {width}")
    page.wait_for_timeout(300)  # plots follow
    whole, seen = page.evaluate(WIDTHS)
    assert whole <= seen == width
    assert page.evaluate(OVERLAPS) == []
