"""A looped model from ``path/file.py:build``, with weights from a file that runs no code."""

from __future__ import annotations

import inspect
import json
import math
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from looprate.approx.official.model import bare_name, weights_of
from looprate.experiments.autopsy.protocol import Subject, failed
from looprate.theory.outputs import checked_input
from looprate.theory.stored_arrays import read_arrays
from looprate.theory.targets.home import Home, same_random_numbers
from looprate.theory.targets.modules import held_by
from looprate.theory.targets.own import in_words, place_in
from looprate.theory.targets.resolve import named_function

__all__ = ["load_subject"]

MOST_SHOWN = 3  # names in a message
DTYPES = {
    **{"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16},
    **{"I64": torch.int64, "I32": torch.int32, "I16": torch.int16, "I8": torch.int8},
    **{"U8": torch.uint8, "BOOL": torch.bool},
}


def load_subject(text: str, checkpoint: Path | None = None) -> Subject:
    """Return the adapter that a function of the user's builds, with its weights.

    Parameters
    ----------
    text : str
        ``path/file.py:build`` or ``module:build``.  Called without arguments; a function that takes
        one gets the weights of the checkpoint by name (None without a checkpoint).
    checkpoint : Path, optional
        ``.safetensors``, ``.npz``, or a file of torch's that holds nothing but weights.  Where
        ``build`` takes no argument they go to the module that has exactly these names.

    Raises
    ------
    ValueError, TypeError, OSError
        In one line, if there is no such function, it fails, or the weights do not fit.
    """
    weights = None if checkpoint is None else read_weights(checkpoint)
    try:
        build, home = named_function(text, "model")
    except (ValueError, TypeError, OSError) as error:
        if "`model`" in str(error):
            raise
        raise _unread(text, error) from error
    except Exception as error:  # whatever the file raises while it is read
        raise _unread(text, error) from error
    takes = _takes_weights(build)
    adapter = _built(build, [weights] if takes else [], text, home)
    if weights is not None and not takes:
        _fill(adapter, weights, checkpoint)
    return Subject(text, adapter, home)


def _unread(text: str, error: Exception) -> ValueError:
    """Return the error of a file that fails while it is read, with the place."""
    where = text.rpartition(":")[0]
    line = f"{error.filename}, line {error.lineno}" if isinstance(error, SyntaxError) else where
    place = place_in(error, str(Path(where).resolve().parent)) or f" at {line}"
    return ValueError(f"`model` failed{place} with {in_words(error)}; correct it")


def read_weights(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a file by name, without running anything in it.

    Raises
    ------
    ValueError
        In one line with the path, if the file is damaged, or holds more than weights.
    OSError
        If it cannot be opened.
    """
    ending = checked_input(path).suffix.lower()
    with path.open("rb"):  # what cannot be opened says so here
        pass
    if ending == ".safetensors":
        return _safetensors(path)
    if ending == ".npz":
        return {name: torch.from_numpy(value) for name, value in read_arrays(path).items()}
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
        return {str(name): torch.as_tensor(value) for name, value in weights_of(found).items()}
    except Exception as error:  # of a pickle: anything
        raise ValueError(
            f"`checkpoint` must hold weights and nothing else, {path} does not "
            f"({in_words(error)[:120]}); save model.state_dict(), or as .safetensors"
        ) from None


def _safetensors(path: Path) -> dict[str, Tensor]:
    """Read a safetensors file: eight bytes of length, JSON, then plain numbers."""
    content = path.read_bytes()
    with suppress(ValueError, KeyError, TypeError, AttributeError, RuntimeError):
        start = 8 + int.from_bytes(content[:8], "little")
        header = json.loads(content[8:start].decode())
        header.pop("__metadata__", None)
        return {name: _entry(entry, content[start:]) for name, entry in header.items()}
    raise ValueError(
        f"`checkpoint` must be a whole safetensors file, {path} is not; write it again"
    )


def _entry(entry: Mapping[str, Any], numbers: bytes) -> Tensor:
    """Return one tensor of a safetensors file; ValueError where its place does not fit."""
    dtype, shape = DTYPES[entry["dtype"]], [int(size) for size in entry["shape"]]
    first, last = entry["data_offsets"]
    if not 0 <= first <= last <= len(numbers) or min(shape, default=0) < 0:
        raise ValueError("an entry lies outside the file")
    if last - first != math.prod(shape) * dtype.itemsize:
        raise ValueError("an entry has another size")
    if first == last:
        return torch.empty(shape, dtype=dtype)
    return torch.frombuffer(bytearray(numbers[first:last]), dtype=dtype).reshape(shape)


def _takes_weights(build: Any) -> bool:
    """Tell whether a function asks for the weights: it has a parameter without a default."""
    try:
        inspect.signature(build).bind()
    except TypeError:
        return True
    except ValueError:  # it says nothing
        return False
    return False


def _built(build: Any, values: list[Any], text: str, home: Home) -> Any:
    """Call the user's function at home."""
    try:
        with home.entered(), same_random_numbers():
            return build(*values)
    except Exception as error:  # whatever it raises
        raise failed(f"`model` {text}", error, home) from error


@torch.no_grad()
def _fill(adapter: Any, weights: Mapping[str, Tensor], checkpoint: Path | None) -> None:
    """Copy weights to the module of an adapter that has their names, prefixes left out."""
    given = {bare_name(name): value for name, value in weights.items()}
    modules = [part for held in held_by(adapter).modules for part in held.modules()]
    wanted = [_bare_state(module) for module in modules]
    for own in wanted:
        if own.keys() == given.keys():
            _copy(own, given, checkpoint)
            return
    if not wanted or not wanted[0]:
        raise ValueError(
            "`model` holds no torch module, so nothing can take the weights of `checkpoint`; let "
            "build(weights) take them"
        )
    largest = max(wanted, key=lambda own: len(own.keys() & given.keys()))
    missing, extra = sorted(largest.keys() - given.keys()), sorted(given.keys() - largest.keys())
    said = [f"lacks {_some(missing)}"] if missing else []
    said += [f"has {_some(extra)}, which the model has not"] if extra else []
    raise ValueError(
        f"`checkpoint` {checkpoint} must have the names of the model, it {' and '.join(said)}; "
        "check which model it is of, or let build(weights) rename them"
    )


def _bare_state(module: nn.Module) -> dict[str, Tensor]:
    """Return the entries of a module by their names without the prefixes of wrappers."""
    return {bare_name(name): value for name, value in module.state_dict().items()}


def _copy(own: Mapping[str, Tensor], given: Mapping[str, Tensor], checkpoint: Path | None) -> None:
    """Copy entries of the same names, or raise naming the first of another shape."""
    for name, value in given.items():
        if own[name].shape != value.shape:
            raise ValueError(
                f"`checkpoint` {checkpoint} must have {name} of shape {tuple(own[name].shape)}, "
                f"got {tuple(value.shape)}; build the model of its sizes"
            )
        own[name].copy_(value)


def _some(names: list[str]) -> str:
    """Return a few names, and how many more there are."""
    more = f" and {len(names) - MOST_SHOWN} more" if len(names) > MOST_SHOWN else ""
    return ", ".join(names[:MOST_SHOWN]) + more
