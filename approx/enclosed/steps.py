"""The steps of a traced module, and how several of them become one.

Each knows less than the whole: a vector over its own norm stays within its limits, the weights of
attention add up to 1.  So what is done twice is done once, and norms, means of squares and
attention are one step each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from looprate.approx.enclosed.operations import (
    OPERATIONS,
    attended,
    mean_square,
    normalised,
    unit,
)

SOFTMAX, NORM = OPERATIONS["_softmax"], OPERATIONS["linalg_vector_norm"]
ARRANGED = [OPERATIONS[name] for name in ("expand", "view", "_unsafe_view", "reshape")]


@dataclass(frozen=True)
class Slot:
    """The result of an earlier operation."""

    name: str


@dataclass(frozen=True)
class Items:
    """A size that is a multiple of the batch size."""

    factor: int


@dataclass(frozen=True)
class Step:
    """One operation: where its result goes, its arguments, and which results end with it."""

    name: str
    function: Callable[..., Any]
    args: Any
    kwargs: Any
    on_constants: bool
    spent: tuple[str, ...] = ()


def joined(steps: Sequence[Step], result: str) -> tuple[Step, ...]:
    """Return fewer steps that give the same result, each with the results that end with it."""
    return _with_ends(_fused(_once(steps, result)), result)


def _once(steps: Sequence[Step], result: str) -> list[Step]:
    """Return the steps without repetitions, as x - m is one in norms; the result keeps its name."""
    first: dict[Any, str] = {}
    same: dict[str, str] = {}
    kept = []
    for step in steps:
        args, kwargs = _renamed((step.args, step.kwargs), same)
        key = step.function, repr(args), repr(kwargs)
        name = first.setdefault(key, step.name)
        if name == step.name or step.name == result:
            kept.append(replace(step, args=args, kwargs=kwargs))
        else:
            same[step.name] = name
    return kept


def _renamed(item: Any, same: Mapping[str, str]) -> Any:
    """Return arguments with the names of repetitions replaced by those of the first."""
    if isinstance(item, dict):
        return {key: _renamed(value, same) for key, value in item.items()}
    if isinstance(item, tuple | list):
        return type(item)(_renamed(part, same) for part in item)
    return Slot(same.get(item.name, item.name)) if isinstance(item, Slot) else item


def _fused(steps: list[Step]) -> list[Step]:
    """Return the steps with means of squares, norms and attention in one each."""
    made = {step.name: step for step in steps}
    fused = []
    for step in steps:
        inner = made.get(step.args[0].name) if step.args and type(step.args[0]) is Slot else None
        if inner and step.function is OPERATIONS["mean"] and _is_square(inner):
            step = replace(step, function=mean_square, args=(inner.args[0], *step.args[1:]))
            made[step.name] = step
        elif total := _root_of_sum(step, made):
            x = made[total.args[0].name].args[0]
            step = replace(step, function=NORM, args=(x, 2, *total.args[1:]))
            made[step.name] = step
        elif _by_own_norm(step, made):
            step = replace(step, function=unit, args=(*step.args, step.function))
        elif norm := _norm_of(step, made):
            step = replace(step, function=normalised, args=(*step.args, *norm, step.function))
        elif logits := _logits_of(step, made):
            step = replace(step, function=attended, args=(*step.args, logits))
        fused.append(step)
    return fused


def _norm_of(step: Step, made: dict[str, Step]) -> tuple[Any, float] | None:
    """Return axes and number in a step that is x over the root of (mean of x² + a number >= 0)."""
    roots = {OPERATIONS["mul"]: OPERATIONS["rsqrt"], OPERATIONS["div"]: OPERATIONS["sqrt"]}
    if step.function not in roots or len(step.args) != 2 or step.kwargs:
        return None
    root = _maker(step.args[1:], roots[step.function], made)
    total = root and _maker(root.args, OPERATIONS["add"], made)
    mean = total and _maker(total.args, mean_square, made)
    if not total or not mean or len(total.args) != 2 or total.kwargs:
        return None
    more, (x, _, *kept) = total.args[1], mean.args
    right = isinstance(more, float | int) and more >= 0 and x == step.args[0] and kept == [True]
    return (mean.args[1], more) if right else None


def _logits_of(step: Step, made: dict[str, Step]) -> Slot | None:
    """Return the logits in a step that is (softmax over the last axis, arranged anew) @ values."""
    if step.function is not OPERATIONS["bmm"] or len(step.args) != 2 or step.kwargs:
        return None
    weights, values = (made.get(arg.name) if type(arg) is Slot else None for arg in step.args)
    if values is None or values.on_constants:
        return None
    while weights is not None and weights.function in ARRANGED:
        weights = made.get(weights.args[0].name)
    found = weights is not None and weights.function is SOFTMAX and weights.args[1] == -1
    return weights.args[0] if weights is not None and found else None


def _root_of_sum(step: Step, made: dict[str, Step]) -> Step | None:
    """Return the sum in a step that is the root of a sum of squares."""
    total = (
        _maker(step.args, OPERATIONS["sum"], made) if step.function is OPERATIONS["sqrt"] else None
    )
    inner = made.get(total.args[0].name) if total and type(total.args[0]) is Slot else None
    return total if inner and _is_square(inner) and total and not total.kwargs else None


def _by_own_norm(step: Step, made: dict[str, Step]) -> bool:
    """Tell whether a step is x over a norm of x, or over more: raised, or repeated."""
    if step.function is not OPERATIONS["div"] or len(step.args) != 2 or step.kwargs:
        return False
    x, root = step.args
    while isinstance(root, Slot) and (found := made.get(root.name)) and not found.kwargs:
        if found.function is NORM:  # x, order, axes, whether they are kept
            return found.args[0] == x and len(found.args) == 4 and found.args[3] is True
        least = found.args[1] if len(found.args) == 2 else None
        more = found.function is OPERATIONS["add"] and isinstance(least, float | int) and least >= 0
        raised = found.function is OPERATIONS["clamp_min"] and isinstance(least, float | int)
        if not (more or raised or found.function is OPERATIONS["expand"]):
            return False
        root = found.args[0]
    return False


def _maker(args: Any, function: Callable[..., Any], made: dict[str, Step]) -> Step | None:
    """Return the step that makes the first of some arguments, if it is of a function."""
    found = made.get(args[0].name) if args and type(args[0]) is Slot else None
    return found if found is not None and found.function is function else None


def _is_square(step: Step) -> bool:
    """Tell whether a step squares what depends on the input."""
    power = step.function is OPERATIONS["pow"] and step.args[1:] == (2,)
    product = step.function is OPERATIONS["mul"] and step.args[:1] == step.args[1:]
    return (power or product) and not step.kwargs


def leaves(args: Any) -> Iterator[Any]:
    """Yield what arguments hold, however nested."""
    if isinstance(args, dict | tuple | list):
        for part in args.values() if isinstance(args, dict) else args:
            yield from leaves(part)
    else:
        yield args


def _with_ends(steps: list[Step], result: str) -> tuple[Step, ...]:
    """Return the steps, each with the results that nothing after it uses."""
    needed, ended = {result}, []
    for step in reversed(steps):
        if step.name not in needed:  # done as a part of another
            continue
        found = leaves((step.args, step.kwargs))
        used = {leaf.name for leaf in found if isinstance(leaf, Slot)} | {step.name}
        spent = tuple(sorted(used - needed))
        needed |= used
        ended.append(replace(step, spent=spent))
    return tuple(reversed(ended))
