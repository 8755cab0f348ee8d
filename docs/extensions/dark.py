"""Figures for the dark theme: one that is drawn from rows beside it is drawn on black, too."""

from __future__ import annotations

from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx

from looprate.figures.drawing import redraw

DRAWN = "_build/dark"  # below the sources, where nobody looks for pages


def dark_twin(image: Path, folder: Path) -> Path | None:
    """Return the dark version of a figure: beside it, or drawn into a folder; None without one."""
    beside = image.with_stem(f"{image.stem}-dark")
    if beside.is_file():
        return beside
    if not image.with_suffix(".csv").is_file():
        return None
    redraw(image.parent.parent, dark=True, formats=["png"], only=[image.stem], to=folder)
    return (folder / image.name).replace(folder / beside.name)


def add_twins(app: Sphinx, document: nodes.document) -> None:
    """Put the dark version beside each figure of a page; the theme shows one of the two."""
    source = Path(app.srcdir)
    page = source / app.env.docname
    for node in list(document.findall(nodes.image)):
        image = (page.parent / node["uri"]).resolve()
        twin = dark_twin(image, source / DRAWN)
        if twin is None:
            continue
        other = node.copy()
        other["uri"] = f"/{twin.relative_to(source)}"
        other["classes"] = [*node["classes"], "only-dark"]
        node["classes"] = [*node["classes"], "only-light"]
        node.parent.insert(node.parent.index(node) + 1, other)


def setup(app: Sphinx) -> dict[str, bool]:
    """Add the dark figures before Sphinx collects what is to be copied."""
    app.connect("doctree-read", add_twins, priority=100)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
