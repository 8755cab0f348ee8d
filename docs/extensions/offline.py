"""A finished site is refused if a page loads anything from another host, or links to no file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

#: Tag -> the attributes by which a browser loads something without being asked.
LOADING = {
    "audio": ("src",),
    "embed": ("src",),
    "iframe": ("src",),
    "img": ("src", "srcset"),
    "input": ("src",),
    "link": ("href",),
    "object": ("data",),
    "script": ("src",),
    "source": ("src", "srcset"),
    "track": ("src",),
    "video": ("src", "poster"),
}
ELSEWHERE = re.compile(r"(?:\w+:)?//")
IN_STYLE = re.compile(r"""(?:url\(|@import)\s*["']?((?:\w+:)?//[^"')\s]+)""")
SAYS_ONLY = {"canonical", "next", "prev", "index", "search", "license", "author"}


class _Page(HTMLParser):
    """Collects what a page loads and what it links to."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.linked: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note the addresses in one tag."""
        found = {name: value for name, value in attrs if value}
        self.loaded += IN_STYLE.findall(found.get("style", ""))
        if tag == "a" and "href" in found:
            self.linked.append(found["href"])
        if tag == "link" and found.get("rel") in SAYS_ONLY:
            return
        for name in LOADING.get(tag, ()):
            if name in found:
                self.loaded += [part.split()[0] for part in found[name].split(",") if part.strip()]


def site_faults(folder: Path) -> Iterator[str]:
    """Yield one line for each address of another host that is loaded, and each dead inner link."""
    for source in sorted(folder.rglob("*.css")):
        for address in IN_STYLE.findall(source.read_text(encoding="utf-8")):
            yield f"{source.relative_to(folder)} loads {address}"
    for source in sorted(folder.rglob("*.html")):
        text = source.read_text(encoding="utf-8")
        page = _Page()
        page.feed(text)
        name = source.relative_to(folder)
        styles = re.findall(r"<style.*?</style>", text, re.DOTALL)
        outside = [one for one in page.loaded if ELSEWHERE.match(one)]
        outside += [one for style in styles for one in IN_STYLE.findall(style)]
        yield from (f"{name} loads {one}" for one in outside)
        for link in page.linked:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc or not parts.path:
                continue
            if not (source.parent / unquote(parts.path)).resolve().exists():
                yield f"{name} links to {link}, which is not there"


def refuse_faults(app: Sphinx, exception: Exception | None) -> None:
    """Stop a build whose pages are not complete in themselves."""
    if exception is not None or app.builder.format != "html":
        return
    if faults := list(site_faults(Path(app.outdir))):
        raise ExtensionError("the site must be complete in itself:\n" + "\n".join(faults))


def setup(app: Sphinx) -> dict[str, bool]:
    """Look at the site once it is written."""
    app.connect("build-finished", refuse_faults)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
