"""Figures of the gallery, pyplot's and those that ``make_figure`` returns, each light and dark."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from sphinx_gallery.scrapers import figure_rst, matplotlib_scraper

from looprate.figures.dark import darken

DPI = 200


def scrape(block: Any, block_vars: dict[str, Any], gallery_conf: dict[str, Any]) -> str:
    """Save each figure of pyplot, and each other that a block has given a name, once."""
    figures = [plt.figure(number) for number in plt.get_fignums()]
    text = matplotlib_scraper(block, block_vars, gallery_conf)
    paths = []
    for value in list(block_vars["example_globals"].values()):
        if not isinstance(value, Figure) or hasattr(value, "number"):  # pyplot's have a number
            continue
        if not getattr(value, "in_gallery", False):
            path = next(block_vars["image_path_iterator"])
            value.savefig(path, dpi=DPI)
            value.in_gallery = True  # type: ignore[attr-defined]
            paths.append(path)
            figures.append(value)
    return _with_dark(text + figure_rst(paths, gallery_conf["src_dir"]), figures, gallery_conf)


def _with_dark(text: str, figures: list[Figure], gallery_conf: dict[str, Any]) -> str:
    """Draw the figures that a text shows on black, too, and let the theme choose."""
    names = re.findall(r"image-sg:: /(\S+)\.png", text)
    for figure, name in zip(figures, names, strict=True):
        darken(figure)
        place = Path(gallery_conf["src_dir"]) / f"{name}-dark.png"
        figure.savefig(place, dpi=plt.rcParams["savefig.dpi"] if hasattr(figure, "number") else DPI)
    dark = re.sub(r"(_\d{3})\.png", r"\1-dark.png", text)
    return "".join(
        part.replace(":class: sphx-glr", f":class: only-{look} sphx-glr")
        for look, part in (("light", text), ("dark", dark))
    )
