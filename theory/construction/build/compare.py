"""Where two networks differ, weight by weight and by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from looprate.theory.construction.build.network import Affine, Network, Unit

LONG = 10**12  # weights beyond are described, not printed


def differences(network: Network, other: Network) -> list[str]:
    """Return one line for every weight in which ``network`` differs from ``other``.

    Parameters
    ----------
    network, other : Network

    Returns
    -------
    list of str
        Such as ``W_1[leave, z] is 2, expected 1``; of eta the first loop in each row.  Empty if the
        networks are equal up to the order of rows and units.
    """
    return list(_lines(network, other))


def _lines(network: Network, other: Network) -> Iterator[str]:
    mine, theirs = network.block, other.block
    if network.loops != other.loops:
        yield _line("loops", network.loops, other.loops)
    if set(mine.rows) != set(theirs.rows):
        yield f"rows are {sorted(mine.rows)}, expected {sorted(theirs.rows)}"
    if len(mine.heads) != len(theirs.heads):
        yield _line("number of heads", len(mine.heads), len(theirs.heads))
    for place, (a, b) in enumerate(zip(mine.heads, theirs.heads, strict=False)):
        for name, letter in (("query", "Q"), ("key", "K"), ("value", "V"), ("output", "O")):
            yield from _form(f"W_{letter}[{place}", getattr(a, name), getattr(b, name))
    yield from _units({u.name: u for u in mine.units}, {u.name: u for u in theirs.units})
    yield from _form("b_2[", mine.drift, theirs.drift)
    for row in sorted({*network.encoder, *other.encoder}):
        first, second = network.encoder.get(row, Affine()), other.encoder.get(row, Affine())
        yield from _form(f"L1[{row}", first.weights, second.weights)
        yield from _number(f"L1 bias[{row}]", first.bias, second.bias)
    for i, (reads, wanted) in enumerate(zip(network.decoder, other.decoder, strict=False)):
        yield from _form(f"L2[{i}", reads[0], wanted[0])
        yield from _number(f"L2 bias[{i}]", reads[1], wanted[1])
    if network.dim != other.dim:
        yield _line("output coordinates", network.dim, other.dim)
    yield from _eta(network, other)


def _units(mine: Mapping[str, Unit], theirs: Mapping[str, Unit]) -> Iterator[str]:
    """Differences of hidden units of the same name."""
    for name in sorted({*mine, *theirs}):
        if name not in mine or name not in theirs:
            yield f"hidden unit {name} is {'missing' if name in theirs else 'not expected'}"
            continue
        a, b = mine[name], theirs[name]
        yield from _form(f"W_1[{name}", a.reads, b.reads)
        yield from _form(f"W_2[{name}", a.writes, b.writes)
        yield from _number(f"b_1[{name}]", a.bias, b.bias)


def _form(where: str, mine: Mapping[Any, Any], theirs: Mapping[Any, Any]) -> Iterator[str]:
    """Differences of two forms."""
    comma = "" if where.endswith("[") else ", "
    for row in sorted({*mine, *theirs}):
        yield from _number(f"{where}{comma}{row}]", mine.get(row, 0), theirs.get(row, 0))


def _number(what: str, mine: Any, theirs: Any) -> Iterator[str]:
    """The difference of two numbers, if there is one."""
    if mine != theirs:
        yield _line(what, mine, theirs)


def _eta(network: Network, other: Network) -> Iterator[str]:
    """First loop of each row in which the schedules differ."""
    for row in sorted({*network.eta, *other.eta}):
        length = max(len(network.eta.get(row, ())), len(other.eta.get(row, ()))) + 1
        for loop in range(length):
            mine, theirs = network.eta_at(row, loop), other.eta_at(row, loop)
            if mine != theirs:
                yield _line(f"eta({loop})[{row}]", mine, theirs)
                break


def _line(what: str, mine: Any, theirs: Any) -> str:
    """One difference; of two long integers, where it is."""
    if all(isinstance(value, int) and abs(value) > LONG for value in (mine, theirs)):
        bits = [place for place, bit in enumerate(reversed(f"{mine ^ theirs:b}")) if bit == "1"]
        more = f" and {len(bits) - 1} more" if len(bits) > 1 else ""
        return f"{what}, {theirs.bit_length()} bits long, differs in bit {bits[-1]}{more}"
    return f"{what} is {_short(mine)}, expected {_short(theirs)}"


def _short(value: Any) -> str:
    """A number, or how long it is."""
    if isinstance(value, int) and abs(value) > LONG:
        return f"an integer of {value.bit_length()} bits"
    return str(value)
