"""Formulas of targets as MathML, which browsers set without a script."""

from __future__ import annotations

import html
import re

TOKEN = re.compile(r"\\[A-Za-z]+|\\.|[0-9]+(?:\.[0-9]+)?|[^\s\\]")
SYMBOLS = {
    **{"alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "eta": "η", "mu": "μ", "pi": "π"},
    **{"cdot": "·", "times": "×", "neq": "≠", "ne": "≠", "leq": "≤", "geq": "≥", "infty": "∞"},
    **{"sum": "∑", "int": "∫", "langle": "⟨", "rangle": "⟩", "lvert": "|", "rvert": "|"},
    **{"|": "‖", "{": "{", "}": "}", "lfloor": "⌊", "rfloor": "⌋", "lceil": "⌈", "rceil": "⌉"},
    **{
        "le": "≤",
        "ge": "≥",
        "sigma": "σ",
        "omega": "ω",
        "phi": "φ",
        "varphi": "φ",
        "theta": "θ",
        "lambda": "λ",
        "to": "→",
        "in": "∈",
    },
    **{"left|": "|", "right|": "|", "top": "⊤", "odot": "⊙", "ldots": "…", "dots": "…"},
}
FUNCTIONS = frozenset(
    [
        "sin",
        "cos",
        "tan",
        "exp",
        "log",
        "ln",
        "max",
        "min",
        "arctan",
        "atan",
        "sinh",
        "cosh",
        "tanh",
        "sup",
        "inf",
        "arg",
    ]
)
SPACES = {",": "0.17em", ";": "0.28em", ":": "0.22em", " ": "0.28em", "!": "0", "quad": "1em"}
STYLED = ("mathrm", "operatorname", "text", "mathtt", "textrm")
BIG = frozenset("∑∫")
APPLIED = "\u2061"  # the invisible sign between a function's name and its argument


def mathml(latex: str) -> str:
    """Return a formula as MathML, or its source as code where a command in it is unknown.

    Parameters
    ----------
    latex : str
        Without dollar signs; what the targets of this project write.

    Examples
    --------
    >>> mathml("x_n")
    '<math><mrow><msub><mi>x</mi><mi>n</mi></msub></mrow></math>'
    """
    try:
        return f"<math>{_Parser(TOKEN.findall(latex)).row(None)}</math>"
    except (KeyError, IndexError):
        return f"<code>{html.escape(latex)}</code>"


class _Parser:
    """Reads a formula from left to right; each method returns the MathML of what it has read."""

    def __init__(self, tokens: list[str]) -> None:
        self.tokens, self.at = tokens, 0

    def take(self) -> str:
        """Return the next token and go on."""
        self.at += 1
        return self.tokens[self.at - 1]

    def row(self, end: str | None) -> str:
        """Everything up to a token, which is taken; None is the end of the formula."""
        parts: list[str] = []
        while self.at < len(self.tokens) if end is None else self.tokens[self.at] != end:
            parts.append(self.scripted())
        self.at += 1
        return f"<mrow>{''.join(parts)}</mrow>"

    def scripted(self) -> str:
        """An atom with what stands below and above it."""
        named = self.tokens[self.at][1:] in FUNCTIONS
        base = self.atom()
        found: dict[str, str] = {}
        while self.at < len(self.tokens) and self.tokens[self.at] in "_^":
            mark = self.take()
            found[mark] = self.atom()
        name = {"_": "msub", "^": "msup", "_^": "msubsup"}.get("".join(sorted(found, reverse=True)))
        applied = f"<mo>{APPLIED}</mo>" if named else ""
        if name is None:
            return base + applied
        if any(f">{sign}<" in base for sign in BIG):
            name = name.replace("msubsup", "munderover").replace("msub", "munder")
        return (
            f"<{name}>{base}{''.join(found[mark] for mark in '_^' if mark in found)}</{name}>"
            + applied
        )

    def atom(self) -> str:
        """One letter, number, sign, group or command."""
        token = self.take()
        if token == "{":
            return self.row("}")
        if token.startswith("\\"):
            return self.command(token[1:])
        if token[0].isdigit():
            return f"<mn>{token}</mn>"
        if token.isalpha():
            return f"<mi>{token}</mi>"
        fixed = ' stretchy="false"' if token in "()[]|" else ""  # \\left( grows, ( does not
        return f"<mo{fixed}>{html.escape(token.replace('-', '−'))}</mo>"

    def command(self, name: str) -> str:
        """What a backslash begins."""
        if name == "frac":
            return f"<mfrac>{self.atom()}{self.atom()}</mfrac>"
        if name == "sqrt":
            return f"<msqrt>{self.atom()}</msqrt>"
        if name in ("left", "right"):
            mark = self.take()
            return f"<mo>{html.escape(SYMBOLS[mark[1:]] if mark[0] == chr(92) else mark)}</mo>"
        if name in STYLED:
            word = html.escape("".join(self.word()))
            return f'<mi mathvariant="normal">{word}</mi>'
        if name in FUNCTIONS:
            return f"<mi>{name}</mi>"
        if name in SPACES:
            return f"<mspace width='{SPACES[name]}'/>"
        sign = SYMBOLS[name]
        return f"<mi>{sign}</mi>" if sign.isalpha() and sign not in BIG else f"<mo>{sign}</mo>"

    def word(self) -> list[str]:
        """The letters of a braced word."""
        if self.take() != "{":
            raise KeyError("a braced word")
        letters: list[str] = []
        while (token := self.take()) != "}":
            letters.append(token[1:] if token.startswith("\\") else token)
        return letters
