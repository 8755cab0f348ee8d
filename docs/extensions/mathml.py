"""Formulas as MathML, written by docutils at build time: the pages load no script for them."""

from __future__ import annotations

from typing import Any

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from docutils.utils.math.unichar2tex import uni2tex_table
from sphinx.application import Sphinx
from sphinx.util.logging import getLogger

LOG = getLogger(__name__)
#: What docutils writes -> what browsers set as in print: bars of one height, close fractions.
MENDED = {
    "<mo>‖</mo>": '<mo stretchy="false">‖</mo>',
    '<mo class="mathopen">‖</mo>': '<mo stretchy="false">‖</mo>',
    '<mo stretchy="false">/</mo>': '<mo stretchy="false" lspace="0" rspace="0">/</mo>',
}


def mathml(node: nodes.Element, *, as_block: bool) -> str:
    """Return a formula as MathML; one that cannot be set is a warning at its place."""
    try:
        text = str(tex2mathml(node.astext().translate(uni2tex_table), as_block=as_block))
    except MathError as error:
        LOG.warning("formula %s cannot be set: %s", node.astext(), error, location=node)
        return ""
    return mended(text)


def mended(text: str) -> str:
    """Return docutils' MathML as browsers set it best."""
    for written, wanted in MENDED.items():
        text = text.replace(written, wanted)
    return text


def inline(writer: Any, node: nodes.math) -> None:
    """Write a formula within a sentence."""
    writer.body.append(mathml(node, as_block=False))
    raise nodes.SkipNode


def displayed(writer: Any, node: nodes.math_block) -> None:
    """Write a formula on a line of its own."""
    writer.body.append(f'<div class="math">{mathml(node, as_block=True)}</div>')
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the renderer ``html_math_renderer = "mathml"``."""
    app.add_html_math_renderer("mathml", (inline, None), (displayed, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
