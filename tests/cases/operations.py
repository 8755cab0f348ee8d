"""What people write in targets: every operation in NumPy and in torch, and its exact value.

``x`` has shape (B, 3, 2).  ``exact`` is run on object arrays of Arb balls; left out, the NumPy text
is.  What has an enclosure is found by running the texts.  ``python tests/cases/operations.py``
writes docs/howto/operations.md.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from flint import arb
from scipy import special
from torch import nn

from looprate.approx.enclosed.tracing import traced
from looprate.theory.enclosure import Interval, variables

__all__ = [
    *("GROUPS", "PAGE", "SHAPE", "Operation", "Status", "enclosable", "function_of"),
    *("operations", "page", "status"),
]

PAGE = Path(__file__).resolve().parents[2] / "docs" / "howto" / "operations.md"

SHAPE = (3, 2)  # N, d
WIDE, POSITIVE, INNER = (-2.0, 2.0), (0.2, 2.0), (-0.9, 0.9)
W = np.array([[0.5, -1.25, 2.0], [1.5, 0.75, -0.5]])
V = np.array([[1.0, -0.5, 0.25], [0.5, 2.0, -1.0], [-0.75, 0.125, 1.5]])
C = np.array([0.75, 1.5])
POLYGON = "2 - 2 * (relu(x + 1) - relu(x - 0.5)) + 3 * (relu(x - 0.5) - relu(x - 1))"
MASK = np.array([[True, False], [False, True], [True, True]])


@dataclass(frozen=True)
class Operation:
    """One line of the table."""

    label: str
    numpy: str = ""
    torch: str = ""
    exact: str = ""
    box: tuple[float, float] = WIDE
    note: str = ""

    @property
    def oracle(self) -> str:
        """What is run on Arb balls."""
        return self.exact or self.numpy


def _each(method: Callable[[arb], arb]) -> Callable[[Any], Any]:
    """Return a function of balls for every entry of an object array."""
    return np.frompyfunc(method, 1, 1)


def _erf(x: Any) -> Any:
    return _each(arb.erf)(x)


def _relu(x: Any) -> Any:
    return np.maximum(x, arb(0))


def _normal(x: Any, axis: int = -1) -> Any:
    gap = x - x.mean(axis, keepdims=True)
    return gap / np.sqrt((gap**2).mean(axis, keepdims=True) + arb(1e-5))


def _softmax(x: Any, axis: int = -1) -> Any:
    grown = np.exp(x)
    return grown / grown.sum(axis, keepdims=True)


def _spread(x: Any, axis: int) -> Any:
    return ((x - x.mean(axis, keepdims=True)) ** 2).sum(axis)


def _shrunk(x: Any) -> Any:
    return _relu(x - 0.5) - _relu(-x - 0.5)


def _silu(x: Any) -> Any:
    return x / (1 + np.exp(-x))


BALLS = {
    **{name: _each(getattr(arb, name)) for name in ("log1p", "expm1", "atan", "tan", "sinh")},
    **{"cosh": _each(arb.cosh), "erf": _erf, "relu": _relu, "normal": _normal},
    **{
        "softmax": _softmax,
        "silu": _silu,
        "shrunk": _shrunk,
        "spread": _spread,
        "pi": arb.pi(),
        "arb": arb,
    },
}

GROUPS: dict[str, tuple[Operation, ...]] = {
    "Arithmetic": (
        Operation("sums", "x + 2 * x - 0.5", "x + 2 * x - 0.5"),
        Operation("products", "x * x[:, ::-1]", "x * x.flip(1)"),
        Operation("quotients", "1 / (1 + x**2)", "1 / (1 + x**2)"),
        Operation("whole powers", "x**3", "x**3"),
        Operation("other powers", "x**1.5", "x**1.5", box=POSITIVE),
        Operation("powers of numbers", "2.0**x", "2.0**x", "np.exp(x * arb(2).log())"),
        Operation("power of two arrays", "x ** x[:, :1]", "x ** x[:, :1]", box=POSITIVE),
        Operation("square", "np.square(x)", "torch.square(x)"),
        Operation("square root", "np.sqrt(x)", "torch.sqrt(x)", box=POSITIVE),
        Operation("cube root", "np.cbrt(x)", "", "np.exp(np.log(x) / 3)", POSITIVE),
        Operation("reciprocal", "np.reciprocal(x)", "torch.reciprocal(x)", "1 / x", POSITIVE),
        Operation("root below", "", "torch.rsqrt(x)", "1 / np.sqrt(x)", POSITIVE),
        Operation("absolute value", "np.abs(x)", "torch.abs(x)"),
        Operation("negative", "np.negative(x)", "torch.neg(x)"),
        Operation("complex numbers", "np.abs(np.exp(1j * x))", "torch.exp(1j * x).abs()"),
    ),
    "Functions of a number": (
        Operation("exponential", "np.exp(x)", "torch.exp(x)"),
        Operation("exp x - 1", "np.expm1(x)", "torch.expm1(x)", "expm1(x)"),
        Operation("power of two", "np.exp2(x)", "torch.exp2(x)", "np.exp(x * arb(2).log())"),
        Operation("logarithm", "np.log(x)", "torch.log(x)", box=POSITIVE),
        Operation("log (1 + x)", "np.log1p(x)", "torch.log1p(x)", "log1p(x)", INNER),
        Operation(
            "log2, log10",
            "np.log2(x) + np.log10(x)",
            "torch.log2(x) + torch.log10(x)",
            "np.log(x) / arb(2).log() + np.log(x) / arb(10).log()",
            POSITIVE,
        ),
        Operation("sine, cosine", "np.sin(x) + np.cos(x)", "torch.sin(x) + torch.cos(x)"),
        Operation("tangent", "np.tan(x)", "torch.tan(x)", "tan(x)", INNER),
        Operation("arctangent", "np.arctan(x)", "torch.atan(x)", "atan(x)"),
        Operation("sinh, cosh", "np.sinh(x) + np.cosh(x)", "torch.sinh(x) + torch.cosh(x)"),
        Operation("its complement", "1 - special.erf(x)", "torch.erfc(x)", "1 - erf(x)"),
        Operation("tanh", "np.tanh(x)", "torch.tanh(x)"),
        Operation("error function", "special.erf(x)", "torch.erf(x)", "erf(x)"),
    ),
    "Activations": (
        Operation("sigmoid", "special.expit(x)", "torch.sigmoid(x)", "1 / (1 + np.exp(-x))"),
        Operation("relu", "np.maximum(x, 0)", "F.relu(x)", "relu(x)"),
        Operation("leaky relu", "np.maximum(x, 0.25 * x)", "F.leaky_relu(x, 0.25)"),
        Operation(
            "elu",
            "np.maximum(x, 0) + np.expm1(np.minimum(x, 0))",
            "F.elu(x)",
            "relu(x) + expm1(-relu(-x))",
        ),
        Operation("silu", "x * special.expit(x)", "F.silu(x)", "silu(x)"),
        Operation(
            "GELU",
            "x * (1 + special.erf(x / np.sqrt(2))) / 2",
            "F.gelu(x)",
            "x * (1 + erf(x / arb(2).sqrt())) / 2",
        ),
        Operation(
            "GELU by tanh",
            "",
            "F.gelu(x, approximate='tanh')",
            "x * (1 + np.tanh((x + arb(0.044715) * x**3) * (2 / pi).sqrt())) / 2",
        ),
        Operation("softplus", "np.logaddexp(0, x)", "F.softplus(x)", "log1p(np.exp(x))"),
        Operation("mish", "", "F.mish(x)", "x * np.tanh(log1p(np.exp(x)))"),
        Operation("log sigmoid", "-np.logaddexp(0, -x)", "F.logsigmoid(x)", "-log1p(np.exp(-x))"),
        Operation(
            "softmax",
            "special.softmax(x, axis=1)",
            "F.softmax(x, 1)",
            "softmax(x, 1)",
            note="SciPy's makes a NumPy array of its argument: write it with np.exp",
        ),
        Operation(
            "softmax by hand",
            "np.exp(x) / np.exp(x).sum(1, keepdims=True)",
            "torch.exp(x) / torch.exp(x).sum(1, keepdim=True)",
        ),
        Operation(
            "log softmax",
            "x - np.logaddexp.reduce(x, axis=1, keepdims=True)",
            "F.log_softmax(x, 1)",
            "np.log(softmax(x, 1))",
        ),
        Operation(
            "log of sums of exponentials",
            "np.logaddexp.reduce(x, axis=1)",
            "torch.logsumexp(x, 1)",
            "np.log(np.exp(x).sum(1))",
        ),
        Operation(
            "hardtanh", "np.clip(x, -1, 1)", "F.hardtanh(x)", "relu(x + 1) - relu(x - 1) - 1"
        ),
        Operation(
            "hard sigmoid", "np.clip(x / 6 + 0.5, 0, 1)", "F.hardsigmoid(x)", "x / 6 + arb(0.5)"
        ),
        Operation("polygon", "np.interp(x, [-1, 0.5, 1], [2, -1, 0.5])", "", POLYGON),
        Operation("polynomial", "np.polyval([1.5, -2, 0.5], x)", "", "1.5 * x**2 - 2 * x + 0.5"),
        Operation("soft shrinkage", "x - np.clip(x, -0.5, 0.5)", "F.softshrink(x)", "shrunk(x)"),
        Operation("log of odds", "", "torch.logit(x)", "np.log(x / (1 - x))", (0.1, 0.9)),
        Operation(
            "gated halves",
            "",
            "F.glu(torch.cat([x, x], -1))",
            "x / (1 + np.exp(-x))",
        ),
        Operation("softsign", "x / (1 + np.abs(x))", "F.softsign(x)"),
    ),
    "Limits": (
        Operation(
            "mix",
            "x + 0.25 * (1 - x)",
            "torch.lerp(x, torch.ones_like(x), 0.25)",
            "x * arb(0.75) + arb(0.25)",
        ),
        Operation("maximum", "np.maximum(x, x[:, :1])", "torch.maximum(x, x[:, :1])"),
        Operation(
            "minimum", "np.minimum(x, 0.5)", "torch.clamp(x, max=0.5)", "-np.maximum(-x, arb(-0.5))"
        ),
        Operation(
            "clip",
            "np.clip(x, -0.5, 1)",
            "torch.clamp(x, -0.5, 1)",
            "relu(x + 0.5) - relu(x - 1) - arb(0.5)",
        ),
        Operation(
            "log of two exponentials",
            "np.logaddexp(x, x[:, :1])",
            "torch.logaddexp(x, x[:, :1])",
            "np.log(np.exp(x) + np.exp(x[:, :1]))",
        ),
        Operation(
            "hypotenuse",
            "np.hypot(x, x[:, :1])",
            "torch.hypot(x, x[:, :1])",
            "np.sqrt(x**2 + x[:, :1]**2)",
        ),
    ),
    "Over axes": (
        Operation("sum", "x.sum(1, keepdims=True)", "x.sum(1, keepdim=True)"),
        Operation("mean", "x.mean(1)", "x.mean(1)"),
        Operation(
            "variance",
            "np.var(x, axis=2)",
            "torch.var_mean(x, 2, correction=0)[0]",
            "spread(x, 2) / 2",
        ),
        Operation(
            "standard deviation",
            "np.std(x, axis=1, ddof=1)",
            "torch.std(x, 1)",
            "np.sqrt(spread(x, 1) / 2)",
        ),
        Operation("largest", "np.max(x, axis=1)", "torch.amax(x, 1)"),
        Operation("largest, values of", "x.max(1)", "x.max(1).values"),
        Operation("least", "np.min(x, axis=2)", "torch.amin(x, 2)"),
        Operation("product", "np.prod(x, axis=1)", "torch.prod(x, 1)"),
        Operation("running sum", "np.cumsum(x, axis=1)", "torch.cumsum(x, 1)"),
        Operation(
            "weighted mean", "np.average(x, axis=2, weights=C)", "", "(x * C).sum(2) / C.sum()"
        ),
        Operation("running product", "np.cumprod(x, axis=1)", "torch.cumprod(x, 1)"),
        Operation("differences", "np.diff(x, axis=1)", "torch.diff(x, dim=1)"),
    ),
    "Norms": (
        Operation(
            "Euclidean norm",
            "np.linalg.norm(x, axis=2)",
            "torch.linalg.norm(x, dim=2)",
            "np.sqrt((x**2).sum(2))",
        ),
        Operation(
            "norm of differences",
            "np.linalg.norm(x - x.mean(1, keepdims=True), axis=-1, keepdims=True)",
            "torch.linalg.vector_norm(x - x.mean(1, keepdim=True), dim=-1, keepdim=True)",
            "np.sqrt(((x - x.mean(1, keepdims=True)) ** 2).sum(2))",
        ),
        Operation(
            "1-norm",
            "np.linalg.norm(x, 1, axis=2)",
            "torch.linalg.vector_norm(x, 1, dim=2)",
            "np.abs(x).sum(2)",
        ),
        Operation(
            "largest norm",
            "np.linalg.norm(x, np.inf, axis=2)",
            "torch.linalg.vector_norm(x, float('inf'), dim=2)",
            "np.abs(x).max(2)",
        ),
        Operation(
            "unit vectors",
            "x / np.linalg.norm(x, axis=2, keepdims=True)",
            "F.normalize(x, dim=2)",
            "x / np.sqrt((x**2).sum(2, keepdims=True))",
            POSITIVE,
        ),
        Operation(
            "layer norm",
            "(x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)",
            "F.layer_norm(x, (2,))",
            "normal(x)",
        ),
        Operation(
            "root mean square norm",
            "x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-5)",
            "F.rms_norm(x, (2,), eps=1e-5)",
            "x / np.sqrt((x**2).mean(-1, keepdims=True) + arb(1e-5))",
        ),
        Operation(
            "cosines of angles",
            "",
            "F.cosine_similarity(x, x[:, :1], dim=2)",
            "(x * x[:, :1]).sum(2) / np.sqrt((x**2).sum(2) * (x[:, :1]**2).sum(2))",
            POSITIVE,
        ),
        Operation(
            "Huber's loss",
            "",
            "sum(f(x, 0 * x, reduction='none') / 2 for f in (F.huber_loss, F.smooth_l1_loss))",
            "x * x / 2",
            (-1.0, 1.0),
        ),
        Operation(
            "pairwise distances",
            "np.sqrt(((x[:, :, None] - x[:, None]) ** 2).sum(-1))",
            "torch.cdist(x, x)",
            box=POSITIVE,
        ),
    ),
    "Products of matrices": (
        Operation("by a constant", "x @ W", "x @ W"),
        Operation("constant from the left", "V @ x", "V @ x"),
        Operation("linear layer", "x @ W + 1", "F.linear(x, W.T, torch.ones(3).double())"),
        Operation("of two unknowns", "x @ x.swapaxes(1, 2)", "x @ x.transpose(1, 2)"),
        Operation("in batches", "np.matmul(x, np.swapaxes(x, -1, -2))", "torch.bmm(x, x.mT)"),
        Operation(
            "einsum", "np.einsum('bnd,bmd->bnm', x, x)", "torch.einsum('bnd,bmd->bnm', x, x)"
        ),
        Operation(
            "einsum, no arrow",
            "np.einsum('bnd,de', x, W)",
            "torch.einsum('bnd,de', x, W)",
            "(x @ W).swapaxes(1, 2)",
        ),
        Operation(
            "einsum, ellipsis",
            "np.einsum('...nd,de->...ne', x, W)",
            "torch.einsum('...nd,de->...ne', x, W)",
            "x @ W",
        ),
        Operation(
            "tensordot", "np.tensordot(x, W, axes=1)", "torch.tensordot(x, W, dims=1)", "x @ W"
        ),
        Operation("dot", "np.dot(x, C)", "x.matmul(C)", "x @ C"),
        Operation("outer", "np.multiply.outer(x, C)", "x[..., None] * C", "x[..., None] * C"),
        Operation(
            "attention",
            "softmax(x @ x.swapaxes(1, 2) / np.sqrt(2)) @ x",
            "F.scaled_dot_product_attention(x, x, x)",
            "softmax(x @ x.swapaxes(1, 2) / arb(2).sqrt()) @ x",
        ),
        Operation(
            "determinant, inverse",
            "np.linalg.det(x[:, :2])",
            "torch.linalg.det(x[:, :2])",
            "x[:, 0, 0] * x[:, 1, 1] - x[:, 0, 1] * x[:, 1, 0]",
        ),
    ),
    "Shapes": (
        Operation("reshape", "x.reshape(-1, 6)", "x.view(-1, 6)"),
        Operation("flatten", "x.reshape(len(x), -1)", "x.flatten(1)"),
        Operation("transpose", "x.transpose(0, 2, 1)", "x.permute(0, 2, 1)"),
        Operation(
            "transpose by function", "np.transpose(x, (0, 2, 1))", "torch.permute(x, (0, 2, 1))"
        ),
        Operation("exchange axes", "np.swapaxes(x, 1, 2)", "x.swapaxes(1, 2)"),
        Operation("move an axis", "np.moveaxis(x, 2, 1)", "x.movedim(2, 1)"),
        Operation("new axis", "np.expand_dims(x, 2)", "x.unsqueeze(2)"),
        Operation("drop axes", "np.squeeze(x[:, :1], 1)", "x[:, :1].squeeze(1)"),
        Operation("broadcast", "np.broadcast_to(x[:, :1], x.shape)", "x[:, :1].expand_as(x)"),
        Operation("stack", "np.stack([x, 2 * x], axis=1)", "torch.stack([x, 2 * x], 1)"),
        Operation(
            "concatenate", "np.concatenate([x, x[:, :1]], axis=1)", "torch.cat([x, x[:, :1]], 1)"
        ),
        Operation(
            "concatenate constants",
            "np.concatenate([x, np.ones((len(x), 1, 2))], 1)",
            "torch.cat([x, torch.ones_like(x[:, :1])], 1)",
        ),
        Operation("split", "np.split(x, 2, axis=2)[1]", "x.chunk(2, 2)[1]"),
        Operation("roll", "np.roll(x, 1, axis=1)", "torch.roll(x, 1, 1)"),
        Operation("flip", "np.flip(x, axis=1)", "torch.flip(x, (1,))"),
        Operation("repeat", "np.repeat(x, 2, axis=1)", "torch.repeat_interleave(x, 2, 1)"),
        Operation("tile", "np.tile(x, (1, 2, 1))", "x.repeat(1, 2, 1)"),
        Operation(
            "pad by zeros",
            "np.pad(x, ((0, 0), (1, 0), (0, 0)))",
            "F.pad(x, (0, 0, 1, 0))",
            "np.concatenate([0 * x[:, :1], x], 1)",
        ),
        Operation("slices", "x[:, 1:, ::-1]", "x[:, 1:].flip(2)"),
        Operation("ellipsis and None", "x[..., None, :, 0]", "x[..., None, :, 0]"),
        Operation("lists of indices", "x[:, [1, 2, 0]]", "x[:, [1, 2, 0]]"),
        Operation(
            "take", "np.take(x, [1, 0], axis=2)", "torch.index_select(x, 2, torch.tensor([1, 0]))"
        ),
        Operation("upper triangle", "np.triu(x)", "torch.triu(x)"),
        Operation("lower triangle", "np.tril(x)", "torch.tril(x)"),
        Operation(
            "diagonal",
            "np.einsum('bii->bi', x[:, :2])",
            "torch.diagonal(x[:, :2], dim1=1, dim2=2)",
            "np.diagonal(x[:, :2], axis1=1, axis2=2)",
        ),
    ),
    "Beginnings": (
        Operation("zeros", "np.zeros_like(x) + x", "torch.zeros_like(x) + x", "x"),
        Operation("ones", "np.ones_like(x) * x", "torch.ones_like(x) * x", "x"),
        Operation("one number", "np.full_like(x, 0.5) * x", "torch.full_like(x, 0.5) * x", "x / 2"),
        Operation(
            "of the kind of x",
            "",
            "x * x.new_ones(2) + x.new_zeros(2) + x.new_full((2,), 1.0)",
            "x + 1",
        ),
        Operation("ranges", "x * np.arange(3)[:, None]", "x * torch.arange(3)[:, None]"),
        Operation("unit matrix", "np.eye(3) @ x", "torch.eye(3).double() @ x", "x"),
        Operation("copies", "np.copy(x) + x.copy()", "x.clone() + x.detach()", "2 * x"),
        Operation("casts to float64", "x.astype(np.float64)", "x.double()", "x"),
        Operation("casts to float32", "x.astype(np.float32)", "x.float().double()", "x"),
    ),
    "In place": (
        Operation("steps", "step(x)", "step(x)", "2 * x + 1"),
        Operation(
            "steps of a view",
            "view_step(x)",
            "view_step(x)",
            "np.concatenate([x[:, :1] + 1, x[:, 1:]], 1)",
        ),
        Operation("out=", "np.add(x, 1, out=1 * x)", "torch.add(x, 1)", "x + 1"),
        Operation(
            "entries at places",
            "put(x)",
            "put(x)",
            "np.concatenate([x[:, 1:2], 0 * x[:, :1], x[:, :1]], 1)",
        ),
        Operation("entries of zeros_like", "filled(x)", "filled_torch(x)", "2 * x[:, ::-1]"),
    ),
    "By cases": (
        Operation(
            "where, constant mask", "np.where(MASK, x, 0)", "torch.where(MASK, x, 0)", "x * MASK"
        ),
        Operation("masked fill", "", "x.masked_fill(MASK, 0)", "x * ~MASK"),
        Operation(
            "where, mask of x", "np.where(x > 0, x, 0)", "torch.where(x > 0, x, 0)", "relu(x)"
        ),
        Operation("sort", "np.sort(x, axis=1)", "torch.sort(x, 1).values"),
        Operation("order", "np.argsort(x, axis=1)", "torch.argsort(x, 1)"),
        Operation("place of the largest", "np.argmax(x, axis=1)", "torch.argmax(x, 1)"),
        Operation("largest k", "", "torch.topk(x, 2, 1).values", "np.sort(x, axis=1)[:, :0:-1]"),
        Operation("median", "np.median(x, axis=1)", "torch.median(x, 1).values"),
        Operation("rounding", "np.floor(x)", "torch.floor(x)"),
        Operation("sign", "np.sign(x)", "torch.sign(x)"),
        Operation("remainder", "np.mod(x, 1)", "torch.remainder(x, 1)"),
        Operation("comparison", "(x > 0) * x", "(x > 0) * x"),
        Operation(
            "branch",
            "x if x.max() > 0 else -x",
            "x if x.max() > 0 else -x",
            note="a course that depends on values cannot be followed",
        ),
        Operation(
            "loop over tokens", "sum(x[:, k] for k in range(3))", "sum(x[:, k] for k in range(3))"
        ),
        Operation(
            "random numbers",
            torch="x + torch.rand_like(x)",
            note="NumPy's are seen by a second call, and refused",
        ),
    ),
}


def step(x: Any) -> Any:
    h = 1 * x
    h *= 2
    h += 1
    return h


def view_step(x: Any) -> Any:
    h = 1 * x
    part = h[:, :1]
    part += 1
    return h


def filled(x: Any) -> Any:
    h = np.zeros_like(x)
    for k in range(3):
        h[:, k] = 2 * x[:, 2 - k]
    return h


def filled_torch(x: Any) -> Any:
    h = torch.zeros_like(x)
    for k in range(3):
        h[:, k] = 2 * x[:, 2 - k]
    return h


def put(x: Any) -> Any:
    h = 0 * x
    h[:, [2, 0]] = x[:, :2]
    return h


COMMON = {
    "put": put,
    "step": step,
    "view_step": view_step,
    "filled": filled,
    "filled_torch": filled_torch,
}
PLAIN = {"np": np, "special": special, "softmax": _softmax, **COMMON}
PLAIN |= {"W": W, "V": V, "C": C, "MASK": MASK}
TENSORS = {"torch": torch, "F": F, **COMMON}
TENSORS |= {name: torch.tensor(PLAIN[name]) for name in ("W", "V", "C", "MASK")}


def operations() -> list[Operation]:
    """Return all lines."""
    return [line for group in GROUPS.values() for line in group]


def function_of(text: str, kind: str) -> Callable[[Any], Any]:
    """Return a text of the table above as a function of NumPy arrays, tensors or balls."""
    names = {"numpy": PLAIN, "torch": TENSORS, "exact": PLAIN | BALLS}[kind]
    made: Callable[[Any], Any] = eval(f"lambda x: {text}", dict(names))
    return made


class _Flat(nn.Module):
    """A function of a tensor, whatever its shape, as one of shape (B, 1, entries)."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Any) -> Any:
        return self.function(x).reshape(len(x), 1, -1)


@functools.cache
def enclosable(text: str, kind: str) -> Callable[[Any], Any]:
    """Return a text as a function of enclosures of shape (B, 1, entries); ValueError if none."""
    made = function_of(text, kind)
    if kind == "torch":
        return traced(_Flat(made), tokens=SHAPE[0], dim=SHAPE[1], name="f")
    return lambda x: made(x).reshape((x.shape[0], 1, -1))


@dataclass(frozen=True)
class Status:
    """What there is of an operation: "enclosed", "values only" or "refused", and why."""

    word: str
    why: str = ""


@functools.cache
def status(text: str, kind: str, box: tuple[float, float]) -> Status:
    """Return what there is of a text, by running it on a box."""
    sides = Interval(*(np.full((1, *SHAPE), end) for end in box))
    try:
        f = enclosable(text, kind)
        with np.errstate(all="ignore"):
            f(sides)
            slope = f(variables(sides)).slope
    except (TypeError, ValueError) as error:
        return Status("refused", " ".join(str(error).split()))
    known = np.isfinite(slope.lo).all() and np.isfinite(slope.hi).all()
    return Status("enclosed" if known else "values only")


HEAD = """# Operations with enclosures

What a function of your own may be made of so that its moduli are certified. *Enclosed* are its
values and slopes on boxes, outward-rounded; of *values only* the slopes are unbounded somewhere on
the box tried. The rest is *refused*: lower bounds remain, and the message says what to write.

A vector over its own norm, or over a little more, is known to stay within its limits, also near 0:
for norms by `np.linalg.norm`, `std`, `var`, or roots of sums and means of squares, with `keepdims`.

`x` has shape (B, 3, 2); `W`, `V` and `C` are constant arrays, `MASK` is one of truth values. This
page is written by running every line: `python tests/cases/operations.py`.
"""


def page() -> str:
    """Return docs/howto/operations.md."""
    parts = [HEAD]
    for name, lines in GROUPS.items():
        parts.append(f"\n## {name}\n\n| | NumPy | torch | status | note |\n|---|---|---|---|---|\n")
        parts.extend(f"| {' | '.join(_cells(line))} |\n" for line in lines)
    return "".join(parts)


def _cells(line: Operation) -> list[str]:
    """Return the cells of one line."""
    texts = {"NumPy": line.numpy, "torch": line.torch}
    found = {name: status(t, name.lower(), line.box) for name, t in texts.items() if t}
    words = {known.word for known in found.values()}
    told = words.pop() if len(words) == 1 else ", ".join(f"{k}: {v.word}" for k, v in found.items())
    whys = dict.fromkeys(_short(known.why) for known in found.values() if known.why)
    note = line.note or "; ".join(whys)
    code = [f"`{text}`".replace("|", "\\|") if text else "" for text in texts.values()]
    return [line.label, *code, told, note]


def _short(why: str) -> str:
    """Return why something is refused, without its name and what follows for the command."""
    why = why.removesuffix(": only lower bounds of its moduli are available")
    return why.rpartition(": ")[2] if "`x" not in why else why.partition(": ")[2]


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
