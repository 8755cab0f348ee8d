"""The explorer's words: examples, the theorem with its quantifiers, verdicts, tables."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence

from looprate.experiments.rows.formula import mathml
from looprate.figures.explorer import views
from looprate.figures.explorer.around import There
from looprate.figures.explorer.place import Place
from looprate.figures.explorer.setting import Setting
from looprate.figures.explorer.states import Loops, short
from looprate.theory.bounds.rows import BoundRow
from looprate.theory.notation import KINDS
from looprate.theory.outputs import at_least, at_most

EXAMPLES = {
    "waves, half token and half context": "dial:token=0.5,context=0.5,periods=2",
    "a sine of every token": "token-sine:periods=2",
    "a cusp (Hölder 1/2)": "token-power:alpha=0.5",
    "the largest token": "context-max",
    "softmax attention": "softmax-attention",
    "a formula": "formula: sin(6*x) + mean(x)/2",
    "a formula that is not equivariant": "formula: n*x",
    "a formula that jumps": "formula: floor(3*x) - mean(x)",
}
UNIT = 9  # decimals of a difference: tables hold 40 bits
THEOREM = (
    r"(Nd)^{1/p} [w_{\mathrm{tok}}(\delta\sqrt{d}) + w_{\mathrm{cont}}(\delta\sqrt{Nd})"
    r" + w(\delta\sqrt{Nd})] + O(N^{2/p} \delta^{d/p}) + O(((M\delta)^{-1} dN)^{1/p})"
)
DELTA = r"\delta = ((r - N)/2)^{-1/((N+1)d+1)}"


def broken(latex: str) -> list[str]:
    """Return a formula in the parts between which a line may break: before + and −, in no group."""
    parts, depth = [""], 0
    for word in re.findall(r"\\left|\\right|\\?.", latex):
        depth += (word in ("{", "\\left", "(")) - (word in ("}", "\\right", ")"))
        if word in "+-" and depth == 0 and parts[-1].rstrip()[-1:] not in ("=", ""):
            parts.append("")
        parts[-1] += word
    return parts


def typeset(latex: str) -> str:
    """Return a formula that the browser sets, and whose lines may break, as HTML."""
    infix = "<mrow><mo>", '<mrow><mo form="infix">'  # a part begins with a sign between two
    return " ".join(mathml(part).replace(*infix, 1) for part in broken(latex))


STATEMENT = f"""
<p><b>Theorem 3.6</b> (arXiv 2410.01405v7). <b>For every</b> continuous, permutation-equivariant
f on [0,1]<sup>d×N</sup>, <b>every</b> 1 ≤ p &lt; ∞ and <b>every</b> r &gt; N
<b>there is</b> a looped Transformer T of r
loops, of a size that depends on d alone, with</p>
<div class="across formula">‖T − f‖<sub>L<sup>p</sup></sub> ≤
{typeset(THEOREM)}, &nbsp; {typeset(DELTA)}.</div>
<p>As summaries of the paper give it, in the weaker of two readings: in the other
(Nd)<sup>1/p</sup> does not multiply w. M is a free weight, infinite here, so the last term is 0.
The O-constants, open in the paper, are those of an explicit inequality of this project. The theorem
says that some weights reach this;
it does not speak of trained ones, and has no lower bound: for the worst f of a class this project
has one, at the end of this page and in <code>looprate bound --worst-case</code>. Hatched: no bound
drawn is proven to be below the error of the best constant.</p>
"""
ROWS = {
    "x": "input in units of 1/M, less the cells that have been counted",
    "z": "cell number",
    "b": "first digit of the cell number",
    "line": "grid line of the bit that is asked for",
    "s": "cells of all tokens (two heads: all others) read so far, as one number",
    "left": "1 once this token has been read",
    "largest": "largest cell not yet read, cleared each loop",
    "top": "largest first coordinate not yet read, cleared each loop",
    "cell": "cell of that token, cleared each loop",
    "clock": "loops done",
    "gate": "0 where the context stage works",
    "rank": "place in the sorted order, from 0",
    "l": "bit of the label, counted",
    "J": "label, counted",
    "g": "group of the label",
    "G": "word of that group: what is still to be read",
    "theta": "place of the symbol that is read",
    "y": "output, in steps of the memoriser",
    "C": "string of what is still to be added",
    "D": "leading digit of that string or word",
    "e": "leading bit of that string",
}


def verdict_words(bound: BoundRow, setting: Setting) -> str:
    """Say what a bound says, or which hypothesis fails, as HTML."""
    note = (
        f"The theorem needs r &gt; N = {setting.tokens}, and r = {setting.loops} was asked for. "
        if setting.loops <= setting.tokens
        else ""
    )
    extra = (
        " Its moduli are lower bounds from found pairs, so its value is a lower bound of the bound."
        if bound.moduli_side == "lower"
        else ""
    )
    reason = html.escape(bound.reason[:1].upper() + bound.reason[1:])
    return (
        f"<p>{note}<b>At r = {bound.loops:,} the bound is {bound.total:.4g}: {bound.verdict}.</b> "
        f"{reason}.{extra}</p>"
    )


def formula_words(setting: Setting) -> str:
    """Return the formula of a setting's function, set by the browser, as HTML."""
    target = views.target_of(setting.target, setting.tokens, setting.dim)
    shape = f"N = {setting.tokens}, d = {setting.dim}, error in L<sup>p</sup>, p = {setting.p:g}"
    return f'<div class="across formula">{typeset(target.latex)}</div><p class="note">{shape}</p>'


def input_table(here: There) -> str:
    """Return what f and the network make of the input as HTML, token by token."""
    known = here.network is not None
    head = ["", "input", *(("cell", "label", "T") if known else ()), "f"]
    lines = ["".join(f"<th>{word}</th>" for word in [*head, *(["T − f"] if known else [])])]
    inputs = [here.place.floats[k : k + here.place.dim] for k in _firsts(here.place)]
    for n, token in enumerate(inputs):
        cells = [_several(token)]
        if here.network is not None:
            cells += [f"{here.cells[n]}", f"{here.labels[n]:,}", _several(here.network[n])]
        cells.append(_several(here.f[n]))
        if here.network is not None:
            cells.append(_several((here.network[n] - here.f[n]).round(UNIT) + 0.0))
        inner = "".join(f"<td>{cell}</td>" for cell in cells)
        lines.append(f"<th>token {n + 1}</th>{inner}")
    table = "".join(f"<tr>{line}</tr>" for line in lines)
    note = _shared(here) + '<p class="note">T: the network, in exact arithmetic.</p>' * known
    return f'<div class="across numbers"><table>{table}</table></div>{note}'


def _firsts(place: Place) -> range:
    """Where each token begins among the coordinates."""
    return range(0, place.tokens * place.dim, place.dim)


def _several(values: Sequence[float]) -> str:
    """Return the coordinates of one token."""
    return ", ".join(f"{value:.4g}" for value in values).replace("-", "−")


def _shared(here: There) -> str:
    """Say that tokens share a cell, if they do, as HTML."""
    if len(set(here.cells)) == len(here.cells):
        return ""
    return '<p class="note">Two tokens lie in one cell: a collision.</p>'


def in_words(error: Exception) -> str:
    """Say what went wrong; a function of the reader's own may raise anything."""
    told = isinstance(error, (OSError, TypeError, ValueError)) and str(error)
    return str(error) if told else f"{type(error).__name__}: {error}"


def refusal(words: str, shown: str) -> str:
    """Say what is wrong with an input, and what the page shows meanwhile, as HTML."""
    return (
        f'<p role="alert"><b>&#9888; Not resolved.</b> {html.escape(words)}<br>'
        f"The page shows {html.escape(shown)}.</p>"
    )


def seeking(asked: Setting, shown: str) -> str:
    """Say that a function's moduli are looked for, and what the page shows meanwhile, as HTML."""
    return (
        f"<p><b>Bounding the moduli of {html.escape(asked.target)}</b> at N = {asked.tokens}, "
        f"d = {asked.dim}, p = {asked.p:g}: some seconds.<br>"
        f"Until then the page shows {html.escape(shown)}.</p>"
    )


def moduli_table(setting: Setting) -> str:
    """Return the three moduli at the chosen radius as HTML: closed forms, else both sides."""
    target, lines = views.target_of(setting.target, setting.tokens, setting.dim), []
    for kind in KINDS:
        form = target.closed_form(setting.delta, kind=kind, **setting.shape, p=setting.p)
        if form is not None:
            words = f"{form.value:.4g} ({form.side}: {html.escape(form.note)})"
        else:
            lower, upper = views.lower_at(setting, kind), views.upper_at(setting, kind)
            words = f"at least {at_least(lower, 4)}: a pair was found"
            words = words if lower else "0, as far as found"
            words += "" if upper is None else f"; at most {at_most(upper, 4)}: certified"
        lines.append(f"<tr><th>{kind}</th><td>{words}</td></tr>")
    table = f'<div class="across"><table>{"".join(lines)}</table></div>'
    return f"<p><b>Moduli at δ = {setting.delta:.3g}</b></p>{table}"


def state_words(run: Loops, step: int) -> str:
    """Return what has happened after ``step`` loops, and what would be read out, as HTML."""
    state = run.values[step]
    read = sorted(
        (n for n, token in enumerate(state) if token["left"]), key=lambda n: -state[n]["z"]
    )
    order = " &gt; ".join(f"token {n + 1}" for n in read) or "none read yet"
    out = "; ".join(", ".join(f"{v:.4g}" for v in token) for token in run.outputs[step])
    group = state[0].get("g")  # of two levels
    counted = f"labels counted: {run.labels[step]}" if group is None else f"group found: {group}"
    return (
        f"<p><b>After {step} of {len(run.values) - 1} loops</b>: {run.stages[step]}</p>"
        f"<p>sorted: {order}; {counted}; read out: {out}.<br>"
        "In the picture a row is dark at its least value and bright at its largest.</p>"
    )


def state_table(run: Loops, step: int) -> str:
    """Return the exact state after ``step`` loops as HTML, row by row."""
    state, tokens = run.values[step], range(run.place.tokens)
    first: list[tuple[str, list[str]]] = [
        ("input", [", ".join(map(short, run.place.fractions[n])) for n in tokens]),
        ("cell", [short(state[n]["z"]) for n in tokens]),
        ("read out", [", ".join(f"{v:.4g}" for v in run.outputs[step][n]) for n in tokens]),
    ]
    rows = [(name, [short(state[n][name]) for n in tokens], _meaning(name)) for name in run.names]
    head = "".join(f"<th>token {n + 1}</th>" for n in tokens)
    lines = [_line(name, cells, "") for name, cells in first]
    lines.append(_line("in the stream", ["" for _ in tokens], ""))
    lines += [_line(name, cells, meaning) for name, cells, meaning in rows]
    return (
        f'<div class="across state"><table>'
        f"<tr><th></th>{head}<th></th></tr>"
        f"{''.join(lines)}</table></div>"
    )


def _meaning(name: str) -> str:
    """Return what a row of the residual stream holds."""
    return ROWS.get(name.partition("_")[0], "")


def _line(name: str, cells: list[str], meaning: str) -> str:
    """Return one line of the table of the state."""
    inner = "".join(f"<td>{cell}</td>" for cell in cells)
    return f"<tr><th>{name}</th>{inner}<td>{meaning}</td></tr>"
