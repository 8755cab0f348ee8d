"""Figures of the gallery that matplotlib's pyplot does not know: those ``make_figure`` returns."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure
from sphinx_gallery.scrapers import figure_rst


def scrape(block: Any, block_vars: dict[str, Any], gallery_conf: dict[str, Any]) -> str:
    """Save each figure that a block of an example has given a name, once."""
    paths = []
    for value in list(block_vars["example_globals"].values()):
        if not isinstance(value, Figure) or hasattr(value, "number"):  # pyplot's have a number
            continue
        if not getattr(value, "in_gallery", False):
            path = next(block_vars["image_path_iterator"])
            value.savefig(path, dpi=200)
            value.in_gallery = True  # type: ignore[attr-defined]
            paths.append(path)
    return figure_rst(paths, gallery_conf["src_dir"])
