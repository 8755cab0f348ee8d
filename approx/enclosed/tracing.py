"""From a torch module to a list of operations that holds for every batch size.

The module is traced to ATen operations for two batch sizes; where the two graphs differ they must
differ in whole multiples of the batch size.  What depends on weights alone is computed by torch
once; the rest is left to the functions of :mod:`looprate.approx.enclosed.operations`.
"""

from __future__ import annotations

import copy
import functools
import operator
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch._decomp import core_aten_decompositions
from torch.overrides import TorchFunctionMode

from looprate.approx.enclosed.centred import Centred, tightened
from looprate.approx.enclosed.operations import MOVES, OPERATIONS
from looprate.approx.enclosed.steps import Items, Slot, Step, joined, leaves
from looprate.theory.enclosure.affine import Affine
from looprate.theory.enclosure.arrays import EnclosureArray
from looprate.theory.enclosure.namespace import refusal

BATCHES = (11, 13)  # primes: a number that is 11 k in one trace and 13 k in the other is k B
MOST_SYMBOLS, WITH_SQUARES = 96, 256  # of affine forms of a state, beside those of the inputs
PLACES = ("max", "min", "sort", "topk", "median")  # their second result
CURE = "only lower bounds of its moduli are available"


@dataclass(frozen=True)
class Program:
    """A traced module as a function of enclosures (B, N, d).

    Attributes
    ----------
    start, result : str
        Names of the input and of the output.
    constants : mapping of str to Tensor
        What depends on the weights alone.
    steps : tuple
        The operations, in order.
    """

    start: str
    result: str
    constants: Mapping[str, Tensor]
    steps: tuple[Step, ...]

    def __call__(self, x: EnclosureArray) -> Any:
        """Return the output on an enclosure of shape (B, N, d).

        The variables of a box are followed together with its centre, see
        :mod:`looprate.approx.enclosed.centred`; everything else as it is.
        """
        batch, centred = x.shape[0], Centred.of(x)
        own = x if isinstance(x, Affine) and len(x.coef) == x.symbols.inputs else None  # variables
        inner = centred.scaled if centred else own.alone() if own is not None else x
        known: dict[str, Any] = {self.start: inner}
        centre: dict[str, Any] = {self.start: centred.centre} if centred else {}
        for step in self.steps:
            known[step.name] = self._done(step, known, batch)
            if centred and not step.on_constants:
                centre[step.name] = self._done(step, known | centre, batch)
                if step.function not in MOVES:
                    known[step.name] = tightened(known[step.name], centre[step.name])
            for name in step.spent:  # jets are large: none is kept longer than needed
                known.pop(name, None), centre.pop(name, None)
            alone = known[step.name] if [*known] == [step.name] else None
            if own is not None and isinstance(alone, Affine):
                most = WITH_SQUARES if own.symbols.squared else MOST_SYMBOLS
                known[step.name] = alone.condensed(most)
        found = _Values(known, self.constants, batch, tensors=False)(Slot(self.result))
        if own is not None:
            return found.among(own)
        return centred.unscaled(found) if centred else found

    def _done(self, step: Step, known: Mapping[str, Any], batch: int) -> Any:
        """Return the result of one step."""
        values = _Values(known, self.constants, batch, tensors=step.on_constants)
        return step.function(*values(step.args), **values(step.kwargs))


@dataclass(frozen=True)
class _Values:
    """Puts values in the place of slots and sizes; tensors become arrays unless asked for."""

    known: Mapping[str, Any]
    constants: Mapping[str, Tensor]
    batch: int
    tensors: bool

    def __call__(self, item: Any) -> Any:
        if isinstance(item, Items):
            return item.factor * self.batch
        if isinstance(item, Slot):
            found = self.known[item.name] if item.name in self.known else self.constants[item.name]
            return found.numpy() if isinstance(found, Tensor) and not self.tensors else found
        if isinstance(item, dict):
            return {key: self(value) for key, value in item.items()}
        return type(item)(self(part) for part in item) if isinstance(item, tuple | list) else item


def traced(module: nn.Module, *, tokens: int, dim: int, name: str) -> Program:
    """Return what a module in float64 computes on (B, N, d), for every B.

    Parameters
    ----------
    module : nn.Module
    tokens, dim : int
        N and d.
    name : str
        What messages call it.

    Raises
    ------
    ValueError
        If the module cannot be traced (its course depends on values), depends on the batch size,
        or does something that has no enclosure.
    """
    graphs = [_graph(module, (size, tokens, dim), name) for size in BATCHES]
    pairs = list(zip(graphs[0].graph.nodes, graphs[1].graph.nodes, strict=False))
    alike = len(graphs[0].graph.nodes) == len(graphs[1].graph.nodes)
    if not alike or any(a.op != b.op or a.target != b.target for a, b in pairs):
        raise ValueError(f"{name} does other things for other batch sizes: {CURE}")
    constants: dict[str, Tensor] = {}
    moving: set[str] = set()  # what depends on the input
    steps: list[Step] = []
    start = result = ""
    for node, twin in pairs:
        if node.op == "placeholder":
            start = node.name
            moving.add(start)
        elif node.op == "get_attr":
            constants[node.name] = operator.attrgetter(str(node.target))(graphs[0]).detach()
        elif node.op == "output":
            result = _slot(node.args[0], name).name
        else:
            args = _merged((node.args, node.kwargs), (twin.args, twin.kwargs), name)
            step = _step(node, args, moving, name)
            sized = any(isinstance(leaf, Items) for leaf in leaves(args))
            fixed = step.on_constants and not sized
            if fixed and all(n.name in constants for n in node.all_input_nodes):
                values = _Values({}, constants, 0, tensors=True)
                constants[node.name] = step.function(*values(step.args), **values(step.kwargs))
            else:
                steps.append(step)
    return Program(start, result, constants, joined(steps, result))


class _ReshapedViews(TorchFunctionMode):
    """Takes views as reshapes: attention as products returns another layout than fused.

    Cosines of angles, in whose course torch changes a norm in place, are spelled.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.cosine_similarity:
            return _cosine_similarity(*args, **(kwargs or {}))
        sizes = args[1:] if func is Tensor.view else ()
        if sizes and not (isinstance(sizes[0], torch.dtype) or kwargs):
            return args[0].reshape(*sizes)
        return func(*args, **(kwargs or {}))


def _cosine_similarity(a: Tensor, b: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """Return what torch computes in place."""
    normalize = torch.nn.functional.normalize
    return (normalize(a, dim=dim, eps=eps) * normalize(b, dim=dim, eps=eps)).sum(dim)


@functools.cache
def _taken_apart() -> dict[Any, Callable[..., Any]]:
    """Return torch's own ways to do operations by simpler ones, of those that are not known."""
    table = core_aten_decompositions()
    return {op: how for op, how in table.items() if op.overloadpacket.__name__ not in OPERATIONS}


def _graph(module: nn.Module, shape: tuple[int, ...], name: str) -> fx.GraphModule:
    """Trace a module to operations that change nothing in place, attention as products."""
    from torch.fx.experimental.proxy_tensor import make_fx
    from torch.nn.attention import SDPBackend, sdpa_kernel

    learning = copy.deepcopy(module).requires_grad_(True)  # torch's fused layers step aside
    pure = torch.func.functionalize(learning, remove="mutations")
    try:
        plain = sdpa_kernel(SDPBackend.MATH)
        with warnings.catch_warnings(), torch.enable_grad(), plain, _ReshapedViews():
            warnings.simplefilter("ignore")  # torch's own
            graph = make_fx(pure, _taken_apart())(torch.full(shape, 0.4, dtype=torch.float64))
    except Exception as error:  # whatever a module may raise when its course depends on values
        said = " ".join(str(error).split()).partition(". ")[0]
        if "_local_scalar_dense" in said:
            said = f"its course depends on values{refusal('gt')}"
        raise ValueError(f"{name} cannot be traced ({said}): {CURE}") from error
    graph.graph.eliminate_dead_code()
    return graph


def _step(node: fx.Node, args: Any, moving: set[str], name: str) -> Step:
    """Return one operation: on enclosures if it depends on the input, else by torch."""
    target: Any = node.target
    if torch.Tag.nondeterministic_seeded in getattr(target, "tags", ()):
        raise ValueError(f"{name} draws random numbers ({target}): {CURE}")
    depends = any(n.name in moving for n in node.all_input_nodes)
    if not depends:
        return Step(node.name, target, args[0], args[1], True)
    moving.add(node.name)
    if target is operator.getitem:
        source: Any = node.args[0]
        if node.args[1] and str(source.target).split(".")[1:2] in [[name] for name in PLACES]:
            raise ValueError(f"{name} uses places of entries{refusal('argmax')}: {CURE}")
        return Step(node.name, target, args[0], args[1], False)
    operation = OPERATIONS.get(_plain(node))
    if operation is None:
        raise ValueError(
            f"{name} uses {target}, which has no enclosure{refusal(_plain(node))}: {CURE}"
        )
    return Step(node.name, operation, args[0], args[1], False)


def _plain(node: fx.Node) -> str:
    """Return the name of an operation; of one in place, where nothing else sees the change."""
    target: Any = node.target
    called = str(target.overloadpacket.__name__)
    changed = node.args[0] if node.args else None
    if not called.endswith("_") or called.endswith("__") or not isinstance(changed, fx.Node):
        return called
    made: Any = changed.target
    fresh = changed.op == "call_function" and hasattr(made, "overloadpacket")
    moves = fresh and OPERATIONS.get(made.overloadpacket.__name__) in MOVES
    return called[:-1] if fresh and not moves and len(changed.users) == 1 else called


def _slot(item: Any, name: str) -> Slot:
    """Return the slot of a node."""
    if not isinstance(item, fx.Node):
        raise ValueError(f"{name} must return one tensor, got {type(item).__name__}: {CURE}")
    return Slot(item.name)


def _merged(one: Any, other: Any, name: str) -> Any:
    """Return the arguments of an operation for every batch size from those for two."""
    if isinstance(one, fx.Node):
        return _slot(one, name)
    if isinstance(one, dict):
        return {key: _merged(one[key], other[key], name) for key in one}
    if isinstance(one, tuple | list):
        kind = tuple if isinstance(one, tuple) else list
        return kind(_merged(a, b, name) for a, b in zip(one, other, strict=True))
    if one == other:
        return one
    factor = one // BATCHES[0] if isinstance(one, int) else 0
    if (factor * BATCHES[0], factor * BATCHES[1]) != (one, other):
        raise ValueError(f"{name} depends on the batch size ({one} and {other}): {CURE}")
    return Items(factor)
