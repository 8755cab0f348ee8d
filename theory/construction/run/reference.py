"""The slow evaluator: any block, every number an exact fraction, written as the definition reads.

It exists to be obviously right; :mod:`looprate.theory.construction.run.exact` is fast and must
agree with it bit for bit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction

from looprate.theory.construction.build.network import Form, Network
from looprate.theory.notation import check_loops

__all__ = ["reference_output", "reference_states"]

Number = int | Fraction
Token = dict[str, Number]
Point = Sequence[Sequence[Number]]
"""One input: N tokens of d exact coordinates."""


def reference_states(
    network: Network, point: Point, *, loops: int | None = None
) -> Iterator[list[Token]]:
    """Yield the rows of every token before the first loop and after each.

    Parameters
    ----------
    network : Network
    point : sequence of N sequences of d exact numbers
        Integers or fractions in [0, 1].
    loops : int, optional
        Loops to run; the network's own count if left out.

    Yields
    ------
    list of N dict
        Row -> value, loops + 1 times.

    Raises
    ------
    ValueError
        If a token does not have d coordinates or there is none.
    """
    count = network.loops if loops is None else check_loops(loops)
    if not point or any(len(token) != network.dim for token in point):
        raise ValueError(
            f"`point` must hold at least one token of d = {network.dim} coordinates, got {point!r}"
        )
    tokens = [_encode(network, token) for token in point]
    yield tokens
    for loop in range(count):
        attended = _attend(network, tokens)
        tokens = [_feed_forward(network, token, loop) for token in attended]
        yield tokens


def reference_output(
    network: Network, point: Point, *, loops: int | None = None
) -> list[list[Fraction]]:
    """Return the network's exact output at one input: N tokens of d fractions.

    Parameters and errors are those of :func:`reference_states`.
    """
    *_, last = reference_states(network, point, loops=loops)
    return [
        [
            Fraction(bias + sum(w * token[row] for row, w in form.items()))
            for form, bias in network.decoder
        ]
        for token in last
    ]


def _encode(network: Network, token: Sequence[Number]) -> Token:
    """L1."""
    rows: Token = dict.fromkeys(network.block.rows, 0)
    for row, affine in network.encoder.items():
        rows[row] = affine.bias + sum(w * token[i] for i, w in affine.weights.items())
    return rows


def _attend(network: Network, tokens: list[Token]) -> list[Token]:
    """X + Attn(X); every head reads the rows before any has written."""
    result = [dict(token) for token in tokens]
    for head in network.block.heads:
        keys = [_dot(head.key, token) for token in tokens]
        values = [_dot(head.value, token) for token in tokens]
        for token, new in zip(tokens, result, strict=True):
            query = _dot(head.query, token)
            scores = [query * key for key in keys]
            best = max(scores)
            chosen = [v for v, score in zip(values, scores, strict=True) if score == best]
            mean = Fraction(sum(chosen), len(chosen))
            for row, weight in head.output.items():
                new[row] += weight * mean
    return result


def _feed_forward(network: Network, token: Token, loop: int) -> Token:
    """X + eta(t) * FF(X)."""
    update: Token = {row: network.block.drift.get(row, 0) for row in network.block.rows}
    for unit in network.block.units:
        value = max(_dot(unit.reads, token) + unit.bias, 0)
        if value:
            for row, weight in unit.writes.items():
                update[row] += weight * value
    return {row: token[row] + network.eta_at(row, loop) * update[row] for row in token}


def _dot(form: Form, token: Token) -> Number:
    """A linear form of one token's rows."""
    return sum(weight * token[row] for row, weight in form.items())
