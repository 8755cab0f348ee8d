"""A page to hand out: the main figure, the theorem it is about, and how to read the two."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure, SubFigure

from looprate.figures import error_against_loops
from looprate.figures.common import fit_width, setting_title
from looprate.figures.rows import Row, distinct

KIND = "error-against-loops"  # whose rows a handout is drawn from
SIZE = (8.27, 11.69)  # inches: A4, portrait
PARTS = (0.325, 0.425, 0.25)  # of the height: statement, figure, reading
LEFT = 0.07  # of the width, free on either side of the text
BESIDE = 0.045  # the same, of the figure
SPACING = 1.5  # of lines, in sizes of their letters
TITLE, HEADING, FORMULA, TEXT = 16.0, 10.5, 9.2, 8.8  # points
STATEMENT = (
    r"For every continuous, permutation-equivariant $f$ from $[0,1]^{N\times d}$ to "
    r"$\mathbb{R}^{N\times d}$, every $1 \leq p < \infty$, every loop"
    "\n"
    "count $r > N$ and every slope $M$ of the quantiser there is a looped Transformer: "
    "one block, of two heads\n"
    "and a width that depends on $d$ alone, applied $r$ times between affine maps $L_1$ and "
    "$L_2$, with"
)
FORMULAS = (
    r"$\left\Vert L_2\circ\mathrm{TF}^{\circ r}\circ L_1-f\right\Vert_{L^p} \;\leq\; "
    r"(Nd)^{1/p}\left[w_{\mathrm{tok}}(\delta\sqrt{d})+w_{\mathrm{cont}}(\delta\sqrt{Nd})"
    r"+w(\delta\sqrt{Nd})\right]+O(N^{2/p}\delta^{d/p})+O(((M\delta)^{-1}dN)^{1/p}),$",
    r"$\delta=((r-N)/2)^{-1/((N+1)d+1)}.$",
)
MODULI = (
    r"$w$, $w_{\mathrm{tok}}$, $w_{\mathrm{cont}}$ at $t$: the largest change of $f$ ($p$-norm) "
    "when the whole input, one token (seen at that token),\n"
    "or all other tokens (seen at the one that stays) move by at most $t$ (Frobenius norm)."
)
EXPLICIT = (
    "The paper leaves its $O$-constants open; ours are drawn. The others have none: for weights of "
    r"$m$ cells a side, $\delta=1/m$,"
)
INEQUALITY = (
    r"$\left\Vert \mathrm{net}-f\right\Vert_{L^p} \;\leq\; w(\delta\sqrt{Nd}/2)+(Nd)^{1/p}"
    r"e_{\mathrm{mem}}+(Nd)^{1/p}D\mu^{1/p},\quad "
    r"\mu=\min(1,\;N(N-1)\delta^d/2+dN(m-1)/M),$"
)
TERMS = (
    r"$e_{\mathrm{mem}}$: error of the memoriser in an entry; $D$: largest oscillation of an entry "
    "of $f$. Proof: theory/bounds/explicit.py."
)
#: Curve -> how to read it; a page explains what is on it.
READING = {
    "bound": "Hatched: no proven bound is below the best constant there, so none says anything "
    "(vacuous). Steps: bounds.",
    "slope": "Triangles: the proven exponents, with s the Hölder exponent of f.",
    "constructed": "Constructed: a reconstruction of the proof, and variants, as weights, run "
    "exactly; a mark is the certified upper end.",
    "trained": "Trained: medians over seeds, and the best network found: approximation plus "
    "optimisation error.",
}
NOT_CLAIMED = (
    "A trained error is no evidence for or against a bound: a bound says what some weights reach.",
    "No lower bound is drawn. For the worst case there is one: looprate bound --worst-case.",
    "Theorem 3.6 is drawn with this project's constants. No rate theorem for TMLT in the paper.",
)
SOURCE = "Xu & Sato, On Expressive Power of Looped Transformers, ICML 2025, arXiv 2410.01405v7"


def stem(source: str) -> str:
    """Return the name of a handout, without its ending, from that of its rows."""
    return source.replace(KIND, "handout", 1)


def draw_all(figure: Figure, rows: Sequence[Row], *, source: str) -> None:
    """Draw the page.

    Parameters
    ----------
    figure : Figure
        Empty, of :data:`SIZE`, with constrained layout.
    rows : sequence of rows
        As for :func:`looprate.figures.error_against_loops.draw`.
    source : str
        Where the reader finds the rows.
    """
    above, middle, below = figure.subfigures(3, 1, height_ratios=PARTS, squeeze=False).flat
    _state(_Column(above, PARTS[0]), rows)
    shares = (BESIDE, 1.0 - 2.0 * BESIDE, BESIDE)
    part = middle.subfigures(1, 3, width_ratios=shares, squeeze=False)[0, 1]
    error_against_loops.draw_all(part, rows, title=False)  # the page has it
    _explain(_Column(below, PARTS[2]), rows, source)


class _Column:
    """Writes one thing below the other into a part of the page."""

    def __init__(self, part: SubFigure, share: float) -> None:
        self.part, self.height = part, 72.0 * SIZE[1] * share  # points
        self.down = 0.0

    def write(
        self,
        text: str,
        *,
        size: float = TEXT,
        before: float = 0.0,
        centred: bool = False,
        **look: Any,
    ) -> None:
        """Write lines of text, ``before`` points below the last."""
        self.down += before
        words = self.part.text(
            0.5 if centred else LEFT,
            1.0 - self.down / self.height,
            text,
            ha="center" if centred else "left",
            va="top",
            fontsize=size,
            linespacing=SPACING,
            **look,
        )
        fit_width(words)
        self.down += SPACING * size * (1 + text.count("\n"))


def _state(column: _Column, rows: Sequence[Row]) -> None:
    """Write title, setting and theorem."""
    column.write(
        "How well can a looped Transformer approximate?", size=TITLE, before=24.0, fontweight="bold"
    )
    column.write(setting_title(rows), size=HEADING, before=4.0)
    column.write("Theorem 3.6 (arXiv 2410.01405v7)", size=HEADING, before=12.0, fontweight="bold")
    column.write(STATEMENT, before=2.0)
    column.write(FORMULAS[0], size=FORMULA, before=5.0, centred=True)
    column.write(FORMULAS[1], size=FORMULA, before=5.0, centred=True)
    column.write(MODULI, before=6.0)
    column.write(EXPLICIT, before=6.0)
    column.write(INEQUALITY, size=FORMULA, before=5.0, centred=True)
    column.write(TERMS, before=5.0)


def _explain(column: _Column, rows: Sequence[Row], source: str) -> None:
    """Write how to read the figure, what is not claimed and where things are from."""
    there = distinct(rows, "curve")
    column.write("How to read it", size=HEADING, before=4.0, fontweight="bold")
    for curve, words in READING.items():
        if curve in there:
            column.write(f"• {words}")
    column.write("What is not claimed", size=HEADING, before=10.0, fontweight="bold")
    for words in NOT_CLAIMED:
        column.write(f"• {words}")
    name = distinct(rows, "target")
    column.write(
        f"Target: {', '.join(map(str, name))}\nTheory: {SOURCE}\nRows: {source}, beside this page; "
        "it is drawn from them by  looprate figures DIR --handout",
        size=7.5,
        before=12.0,
        color="0.25",
    )
