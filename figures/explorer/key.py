"""What marks mean, as a line of the page below a picture: it covers nothing, and it wraps."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass

DASHES = {"solid": "", "dashed": "6 4", "dotted": "2 3"}
SHAPES = {
    "": "",
    "circle": '<circle cx="14" cy="7" r="4"/>',
    "square": '<rect x="10" y="3" width="8" height="8"/>',
    "triangle": '<path d="M14 2 L18.5 11 H9.5 Z"/>',
    "diamond": '<path d="M14 1 L18 7 L14 13 L10 7 Z"/>',
}
OVER = {
    "": "",
    "x": '<path d="M11 4 L17 10 M17 4 L11 10"/>',
    "cross": '<path d="M14 3 V11 M10 7 H18"/>',
}


@dataclass(frozen=True)
class Entry:
    """One meaning.

    Attributes
    ----------
    words : str
    colour : str
    dash : str
        Of a line, one of :data:`DASHES`; empty for none.
    mark : str
        A marker as bokeh names it, such as ``circle_x``; empty for none.
    filling : float
        How opaque the marker's inside is.
    """

    words: str
    colour: str
    dash: str = ""
    mark: str = ""
    filling: float = 0.3


def key(entries: Sequence[Entry]) -> str:
    """Return HTML that says what marks mean."""
    said = (
        f'<span style="display: inline-block; margin-right: 1em">{_symbol(entry)} '
        f"{html.escape(entry.words)}</span>"
        for entry in entries
    )
    return f'<p style="font-size: 13px">{" ".join(said)}</p>'


def _symbol(entry: Entry) -> str:
    """Return a mark as a picture in a line of text."""
    shape, _, over = entry.mark.partition("_")
    line = f'<path d="M0 7 H28" stroke-dasharray="{DASHES[entry.dash]}"/>' if entry.dash else ""
    return (
        '<svg aria-hidden="true" width="28" height="14" style="vertical-align: -2px" '
        f'stroke="{entry.colour}" fill="{entry.colour}" fill-opacity="{entry.filling:g}" '
        f'stroke-width="2">{line}{SHAPES[shape]}{OVER[over]}</svg>'
    )
