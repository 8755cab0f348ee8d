"""Networks on disk: one JSON file, whole and checked, or refused in one line.

Integers are hexadecimal strings ("0x1f", "-0x1"), fractions two of them ("0x1/0x3"): exact at any
size, and not subject to the limit that Python sets on decimal digits.  The file carries the SHA-256
digest of its own content, so that damage is found before anything is built.  It is replaced in one
step: a reader or a kill sees the old file or the new one.  Reading runs no code from the file.
"""

from __future__ import annotations

import hashlib
import json
import operator
import os
import re
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from looprate.theory.construction.build.network import Affine, Block, Head, Network, Unit
from looprate.theory.outputs import write_atomically

__all__ = ["load_network", "save_network"]

FORMAT = "looprate-network"
VERSION = 1
MAX_BYTES = 256 * 2**20  # 256 MiB; a larger file is not read
MAX_FRACTION_DIGITS = 2**16  # hexadecimal digits on each side: reducing longer ones is slow
INTEGER = re.compile(r"0x0|-?0x[1-9a-f][0-9a-f]*")
COORDINATE = re.compile(r"0|[1-9][0-9]{0,8}")
CURE = "save the network again"
PathLike = str | os.PathLike[str]
T = TypeVar("T")
Reader: TypeAlias = Callable[[Any, str], T]  # (value, its place) -> what it says


@dataclass(frozen=True)
class LoadedNetwork:
    """A network read from a file.

    Attributes
    ----------
    network : Network
    construction : dict or None
        What it was compiled from, as it was given to :func:`save_network`.
    """

    network: Network
    construction: dict[str, Any] | None


def save_network(
    path: PathLike, network: Network, *, construction: Mapping[str, Any] | None = None
) -> None:
    """Write a network to a file, which is replaced in one step or left as it was.

    Parameters
    ----------
    path : path
        Created with its folder.
    network : Network
    construction : mapping, optional
        What it was compiled from: JSON values only (strings as keys, lists, no NaN).

    Raises
    ------
    TypeError
        If a weight is not an integer, or a weight of the decoder not a fraction.
    ValueError
        If ``construction`` would not come back equal, or the file would not be read again.
    OSError
        If the file cannot be written.
    """
    payload = {
        "format": FORMAT,
        "version": VERSION,
        "digest": "",
        **_facts(network),
        "construction": _json_values(construction),
    }
    payload["digest"] = _digest(payload)
    try:
        _network(payload)
    except ValueError as error:
        raise ValueError(f"`network` must be one that can be read again: {error}") from None
    content = (json.dumps(payload, allow_nan=False) + "\n").encode()
    if len(content) > MAX_BYTES:
        raise ValueError(
            f"`network` must fit a file of {MAX_BYTES} bytes, got {len(content)}; take fewer loops"
        )
    write_atomically(Path(path), content)


def load_network(path: PathLike) -> LoadedNetwork:
    """Return the network of a file written by :func:`save_network`.

    Parameters
    ----------
    path : path

    Returns
    -------
    LoadedNetwork
        Its network equals the one that was saved.

    Raises
    ------
    ValueError
        In one line, if the file is not exactly what :func:`save_network` writes: damaged, of a
        newer version, longer than ``MAX_BYTES``, or wrong in any part.
    OSError
        If it cannot be opened.
    """
    try:
        payload = _payload(_content(Path(path)))
        return LoadedNetwork(_network(payload), payload["construction"])
    except (ValueError, RecursionError) as error:
        reason = "its brackets nest too deep" if isinstance(error, RecursionError) else str(error)
        raise ValueError(
            f"`path` must be a file written by save_network, got {os.fspath(path)!r}: "
            f"{' '.join(reason.split())[:300]}; {CURE}"
        ) from None


# -- writing ---------------------------------------------------------------------------------------
def _facts(network: Network) -> dict[str, Any]:
    """Return the part of the file that describes the network."""
    block = network.block
    return {
        "loops": operator.index(network.loops),
        "rows": list(block.rows),
        "heads": [
            {part: _write_form(getattr(head, part)) for part in ("query", "key", "value", "output")}
            for head in block.heads
        ],
        "units": [
            {
                "name": unit.name,
                "reads": _write_form(unit.reads),
                "bias": _write_integer(unit.bias),
                "writes": _write_form(unit.writes),
            }
            for unit in block.units
        ],
        "drift": _write_form(block.drift),
        "encoder": {
            row: {"weights": _write_form(affine.weights), "bias": _write_integer(affine.bias)}
            for row, affine in network.encoder.items()
        },
        "decoder": [
            [{row: _write_fraction(w) for row, w in form.items()}, _write_fraction(bias)]
            for form, bias in network.decoder
        ],
        "eta": {row: [_write_integer(v) for v in entry] for row, entry in network.eta.items()},
    }


def _write_form(form: Mapping[Any, int]) -> dict[str, str]:
    """A form with its weights as strings."""
    return {str(name): _write_integer(weight) for name, weight in form.items()}


def _write_integer(value: Any) -> str:
    """An integer as a hexadecimal string."""
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"`network` must have integer weights, got {value!r}; write it as an int")
    return hex(value)


def _write_fraction(value: Any) -> str:
    """A fraction as two hexadecimal strings."""
    if isinstance(value, bool) or not isinstance(value, int | Fraction):
        raise TypeError(f"`decoder` must hold fractions, got {value!r}; write it as a Fraction")
    return f"{hex(value.numerator)}/{hex(value.denominator)}"


def _json_values(construction: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return a mapping as it will come back from the file, or raise."""
    if construction is None:
        return None
    given = dict(construction)
    try:
        back = json.loads(json.dumps(given, allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        reason = str(error)[:200]
    else:
        if back == given:
            return back
        reason = "it would come back changed"
    raise ValueError(
        f"`construction` must hold JSON values only, strings as keys and no NaN: {reason}; write "
        "lists for tuples and hex strings for large integers"
    )


# -- reading ---------------------------------------------------------------------------------------
def _content(path: Path) -> bytes:
    """Return the bytes of a regular file that is not too long."""
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise ValueError("it is not a regular file")
    with path.open("rb") as stream:
        content = stream.read(MAX_BYTES + 1) if found.st_size <= MAX_BYTES else b""
    if found.st_size > MAX_BYTES or len(content) > MAX_BYTES:
        raise ValueError(f"it has {found.st_size} bytes, more than the {MAX_BYTES} allowed")
    return content


def _payload(content: bytes) -> dict[str, Any]:
    """Return the JSON object of a file whose format, version and digest are right."""
    if not content:
        raise ValueError("it is empty")
    try:
        payload = json.loads(content.decode("utf-8"), parse_constant=_refuse_constant)
    except ValueError as error:
        raise ValueError(f"it is not JSON, or cut short ({str(error)[:100]})") from None
    if not isinstance(payload, dict) or payload.get("format") != FORMAT:
        raise ValueError(f'it does not say "format": "{FORMAT}"')
    version = payload.get("version")
    if type(version) is int and version > VERSION:
        raise ValueError(
            f"its version {_short(version)} is newer than {VERSION}, the newest this looprate "
            "reads; update looprate"
        )
    if type(version) is not int or version != VERSION:
        raise ValueError(f"its version must be {VERSION}, got {_short(version)}")
    if payload.get("digest") != _digest(payload):
        raise ValueError("its digest does not match its content: the file was damaged or edited")
    return payload


def _refuse_constant(name: str) -> None:
    """Refuse NaN and infinities, which are not JSON."""
    raise ValueError(f"{name} is not JSON")


def _digest(payload: Mapping[str, Any]) -> str:
    """Return the SHA-256 digest of a file's content, in whatever order it is written."""
    content = {key: value for key, value in payload.items() if key != "digest"}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _network(payload: Mapping[str, Any]) -> Network:
    """Build the network of a file, checking every part."""
    parts: dict[str, Any] = _object(dict, **_PARTS)(payload, "")
    decoder = tuple(parts["decoder"])
    if not decoder:
        raise ValueError("`decoder` must hold at least one coordinate, got none")
    beyond = {i for row in parts["encoder"].values() for i in row.weights if i >= len(decoder)}
    if beyond:
        raise ValueError(
            f"`encoder` must read coordinates below d = {len(decoder)}, got {min(beyond)}"
        )
    rows, heads, units = (tuple(parts[name]) for name in ("rows", "heads", "units"))
    block = Block(rows, heads, units, parts["drift"])
    return Network(block, parts["encoder"], decoder, parts["eta"], parts["loops"])


def _typed(value: Any, place: str, kind: type[T]) -> T:
    """Return a value of exactly this type; a bool is not an int."""
    if type(value) is not kind:
        raise ValueError(f"`{place}` must be {kind.__name__} in JSON, got {_short(value)}")
    return value


def _one(kind: type[T]) -> Reader[T]:
    """Read a value of one type."""
    return lambda value, place: _typed(value, place, kind)


def _listed(read: Reader[T]) -> Reader[list[T]]:
    """Read a list entry by entry."""
    return lambda value, place: [
        read(entry, f"{place}[{index}]") for index, entry in enumerate(_typed(value, place, list))
    ]


def _mapped(read: Reader[T]) -> Reader[dict[str, T]]:
    """Read a mapping entry by entry."""
    return lambda value, place: {
        name: read(entry, f"{place}[{_short(name)}]")
        for name, entry in _typed(value, place, dict).items()
    }


def _object(make: Callable[..., T], **readers: Reader[Any]) -> Reader[T]:
    """Read an object that has exactly these keys."""

    def read(value: Any, place: str) -> T:
        found, names = _typed(value, place, dict), ", ".join(readers)
        dot = f"{place}." if place else ""
        if found.keys() != readers.keys():
            missing = ", ".join(name for name in readers if name not in found) or None
            unknown = _short(", ".join(sorted(found.keys() - readers.keys())))
            raise ValueError(
                f"`{place or 'the file'}` must have the keys {names}: missing {missing}, "
                f"unknown {unknown}"
            )
        return make(**{name: one(found[name], f"{dot}{name}") for name, one in readers.items()})

    return read


def _integer(value: Any, place: str) -> int:
    """Read an integer."""
    if not isinstance(value, str) or not INTEGER.fullmatch(value):
        raise ValueError(f'`{place}` must be an integer like "-0x1f", got {_short(value)}')
    return int(value, 16)


def _fraction(value: Any, place: str) -> Fraction:
    """Read a fraction in lowest terms."""
    above, _, below = _typed(value, place, str).partition("/")
    if max(len(above), len(below)) > MAX_FRACTION_DIGITS:
        raise ValueError(f"`{place}` must have at most {MAX_FRACTION_DIGITS} digits on each side")
    numerator, denominator = _integer(above, place), _integer(below, place)
    fraction = Fraction(numerator, max(denominator, 1))
    if (fraction.numerator, fraction.denominator) != (numerator, denominator):
        raise ValueError(f'`{place}` must be in lowest terms like "0x1/0x3", got {_short(value)}')
    return fraction


def _weights(value: Any, place: str) -> dict[int, int]:
    """Read the weights of one row of L1."""
    weights = _FORM(value, place)
    wrong = [_short(name) for name in weights if not COORDINATE.fullmatch(name)]
    if wrong:
        raise ValueError(f"`{place}` must have coordinates 0, 1, ..., got {wrong[0]}")
    return {int(i): w for i, w in weights.items()}


def _output(value: Any, place: str) -> tuple[Mapping[str, Fraction], Fraction]:
    """Read one coordinate of L2."""
    pair = _typed(value, place, list)
    if len(pair) != 2:
        raise ValueError(f"`{place}` must be [weights, bias], got {len(pair)} entries")
    return _mapped(_fraction)(pair[0], place), _fraction(pair[1], place)


def _origin(value: Any, place: str) -> dict[str, Any] | None:
    """Read what a network was compiled from."""
    return None if value is None else _typed(value, place, dict)


def _short(value: Any) -> str:
    """Show a value in an error message, cut to a few characters."""
    if isinstance(value, list | dict):
        return f"a {type(value).__name__} of {len(value)} entries"
    return repr(value[:40] + "..." if isinstance(value, str) and len(value) > 40 else value)


_FORM = _mapped(_integer)
_HEAD = _object(Head, query=_FORM, key=_FORM, value=_FORM, output=_FORM)
_UNIT = _object(Unit, name=_one(str), reads=_FORM, bias=_integer, writes=_FORM)
_PARTS: dict[str, Reader[Any]] = {
    **{"format": _one(str), "version": _one(int), "digest": _one(str), "loops": _one(int)},
    **{"rows": _listed(_one(str)), "heads": _listed(_HEAD), "units": _listed(_UNIT)},
    **{"drift": _FORM, "encoder": _mapped(_object(Affine, weights=_weights, bias=_integer))},
    **{"decoder": _listed(_output), "eta": _mapped(lambda v, at: tuple(_listed(_integer)(v, at)))},
    "construction": _origin,
}
