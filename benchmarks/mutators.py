"""Mutants of a file: mutmut's operators and those of rounding, drawn at random.

From mutmut come swapped operators and comparisons, numbers plus 1, conditions forced, arguments
left out, True for False.  Of ours are numbers minus 1, conditions negated, the ends ``lo`` and
``hi`` swapped, floor for ceil, min for max, up for down, all for any, and a rounding left out.

Left out are texts, messages of exceptions, annotations, and what mutmut makes None (arguments and
values): that raises at once, and would only raise the score.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import libcst as cst
import libcst.matchers as m
from libcst.metadata import MetadataWrapper, PositionProvider
from mutmut.mutation import mutators as tool

__all__ = ["Mutant", "drawn", "mutants_of"]

PAIRS = (
    ("floor", "ceil"),
    ("min", "max"),
    ("minimum", "maximum"),
    ("fmin", "fmax"),
    ("argmin", "argmax"),
    ("amin", "amax"),
    ("down", "up"),
    ("down_sum", "up_sum"),
    ("function_down", "function_up"),
    ("all", "any"),
    ("lo", "hi"),
    ("least", "most"),
)
SWAPPED = dict(PAIRS) | {b: a for a, b in PAIRS}
ROUNDINGS = {"down", "up", "down_sum", "up_sum", "function_down", "function_up"}
SKIPPED = (cst.Annotation, cst.Raise, cst.Decorator, cst.BaseString, cst.Import, cst.ImportFrom)
UNUSED = {"operator_string", "operator_assignment", "operator_dict_arguments"}


@dataclass(frozen=True)
class Mutant:
    """One change of one file, ``at`` a line of it."""

    path: str
    line: int
    at: str
    operator: str
    old: str
    new: str
    source: str

    @property
    def name(self) -> str:
        """What a reader sees."""
        text = f"{self.path}:{self.line} {self.operator}: {self.old} -> {self.new}"
        return " ".join(text.split())


def _number(node: cst.BaseNumber) -> Iterator[cst.CSTNode]:
    """Numbers minus 1."""
    if isinstance(node, cst.Integer | cst.Float):
        less = node.evaluated_value - 1
        yield (
            node.with_changes(value=repr(less))
            if less >= 0
            else cst.parse_expression(f"({less!r})")
        )


def _name(node: cst.Name | cst.Attribute) -> Iterator[cst.CSTNode]:
    """min for max and the like, where they are called or read."""
    inner = node.attr if isinstance(node, cst.Attribute) else node
    if inner.value in SWAPPED:
        yield node.with_deep_changes(inner, value=SWAPPED[inner.value])


def _called(node: cst.Call) -> Iterator[cst.CSTNode]:
    """A swapped function, and a rounding left out."""
    function = node.func
    if isinstance(function, cst.Name):
        for new in _name(function):
            yield node.with_changes(func=new)
    name = function.attr if isinstance(function, cst.Attribute) else function
    if isinstance(name, cst.Name) and name.value in ROUNDINGS and len(node.args) == 1:
        yield node.args[0].value.with_changes(lpar=[cst.LeftParen()], rpar=[cst.RightParen()])


def _negated(node: cst.If) -> Iterator[cst.CSTNode]:
    """A condition negated."""
    test = node.test.with_changes(lpar=[cst.LeftParen()], rpar=[cst.RightParen()])
    yield node.with_changes(test=cst.UnaryOperation(cst.Not(), test))


def _fewer_arguments(node: cst.Call) -> Iterator[cst.CSTNode]:
    """Arguments with names left out, guards of lengths excepted: the default is used."""
    for k, argument in enumerate(node.args):
        if argument.keyword is not None and argument.keyword.value != "strict":
            yield node.with_changes(args=[*node.args[:k], *node.args[k + 1 :]])


OPERATORS: list[tuple[type, str, Any]] = [
    (kind, function.__name__.removeprefix("operator_"), function)
    for kind, function in tool.mutation_operators
    if function.__name__ not in UNUSED | {"operator_arg_removal", "operator_lambda"}
] + [
    (cst.BaseNumber, "number_less", _number),
    (cst.Attribute, "swapped", _name),
    (cst.Call, "called", _called),
    (cst.If, "negated", _negated),
    (cst.Call, "argument_left_out", _fewer_arguments),
]


class _Walk(cst.CSTVisitor):
    """Collects (node, its mutation, operator) of executable code."""

    def __init__(self) -> None:
        self.found: list[tuple[cst.CSTNode, cst.CSTNode, str]] = []

    def on_visit(self, node: cst.CSTNode) -> bool:
        """Note the mutations of a node; skip what is no executable code."""
        if isinstance(node, SKIPPED) or m.matches(node, _SKIPPED):
            return False
        for kind, name, function in OPERATORS:
            if isinstance(node, kind):
                made: Iterable[cst.CSTNode] = function(node)
                self.found += [(node, new, name) for new in made]
        return True


_SKIPPED = m.FunctionDef(decorators=[m.Decorator(m.Name("overload"))]) | m.Arg(
    keyword=m.Name("strict")
)


def mutants_of(path: str, text: str) -> list[partial[Mutant]]:
    """Return what makes every mutant of a file, in the order of its lines."""
    wrapper = MetadataWrapper(cst.parse_module(text), unsafe_skip_copy=True)
    places = wrapper.resolve(PositionProvider)
    walk = _Walk()
    wrapper.module.visit(walk)
    return [
        partial(_made, path, wrapper.module, *change, line=places[change[0]].start.line)
        for change in walk.found
    ]


def _made(
    path: str, module: cst.Module, old: cst.CSTNode, new: cst.CSTNode, operator: str, *, line: int
) -> Mutant:
    """Return the mutant with its source."""
    changed = module.deep_replace(old, new)
    assert isinstance(changed, cst.Module)
    before, after = (" ".join(module.code_for_node(x).split())[:90] for x in (old, new))
    at = module.code.split("\n")[line - 1].strip()
    return Mutant(path, line, at, operator, before, after, changed.code)


def drawn(files: dict[str, str], total: int, least: int, seed: int) -> list[Mutant]:
    """Return about ``total`` mutants: of every file in proportion, and at least ``least``."""
    rng = random.Random(seed)
    pools = {path: mutants_of(path, text) for path, text in files.items()}
    whole = sum(map(len, pools.values()))
    chosen = []
    for path, pool in pools.items():
        count = min(len(pool), max(least, round(total * len(pool) / whole)))
        picked = random.Random(f"{seed} {path}").sample(range(len(pool)), count)
        chosen += [pool[k]() for k in sorted(picked)]
    rng.shuffle(chosen)
    return chosen
