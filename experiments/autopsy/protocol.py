"""What a looped model must show to be looked into: two methods and some inputs.

::

    class MyLoops:
        inputs = ...                    # (B, ...) some inputs; numbers or token ids

        def start(self, inputs): ...    # the state before the first loop, (B, T, D) or (B, D)
        def step(self, state, t): ...   # the state after loop t = 0, 1, ..., of the same shape

``start`` is called again before every run, so it may keep on ``self`` what each loop needs, such as
an embedding that is injected.  More is looked at where an adapter has more, see
:class:`LoopedAdapter`.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from looprate.theory.targets.home import Home, same_random_numbers
from looprate.theory.targets.modules import held_by
from looprate.theory.targets.own import in_words, place_in

__all__ = ["LoopedAdapter"]

ALONE = 1e-4  # relative: what other inputs of a batch may change by rounding


@runtime_checkable
class LoopedAdapter(Protocol):
    """A looped model, one loop at a time.

    Two methods are needed.  Looked for besides, all optional:

    ``read(state)``
        The output of a state, such as logits.
    ``error(output)``
        One number >= 0 for the output of all ``inputs``; less is better.
    ``loops``
        The loop count it was trained with.
    ``without``
        Mapping from the name of a part, such as "timestep", "injection", "positions" or "gates", to
        an adapter with that part switched off.

    Attributes
    ----------
    inputs : Tensor, shape (B, ...)
        What it is looked at with.  Of floating point numbers (B, T, C), such as embeddings, moduli
        are those of the map from inputs; of ids, of the map from the state that ``start`` returns.
    """

    inputs: Tensor

    def start(self, inputs: Tensor) -> Tensor:
        """Return the state before the first loop, (B, T, D) or (B, D)."""
        ...

    def step(self, state: Tensor, t: int) -> Tensor:
        """Return the state after loop t = 0, 1, ..., of the same shape."""
        ...


@dataclass(eq=False)
class Subject:
    """An adapter whose calls are checked, and fail in one line that names the method.

    Attributes
    ----------
    source : str
        Where it is from, for messages.
    adapter : LoopedAdapter
    home : Home or None
        What its code finds around it; None for code of this process.
    """

    source: str
    adapter: Any
    home: Home | None = None

    def __post_init__(self) -> None:
        for name in ("start", "step"):
            if not callable(getattr(self.adapter, name, None)):
                raise TypeError(
                    f"`model` {self.source} must have methods start(inputs) and step(state, t), "
                    f"{type(self.adapter).__name__} has no {name}; add it"
                )
        inputs = getattr(self.adapter, "inputs", None)
        if not isinstance(inputs, Tensor) or not inputs.ndim or not len(inputs):
            raise TypeError(
                f"`model` {self.source} must have `inputs`, a tensor whose first axis counts "
                f"inputs, got {type(inputs).__name__}; set self.inputs to some of them"
            )

    @property
    def inputs(self) -> Tensor:
        """The inputs that it is looked at with."""
        found: Tensor = self.adapter.inputs
        return found.detach()

    @property
    def loops(self) -> int | None:
        """The loop count of training, None where it is not said."""
        found = getattr(self.adapter, "loops", None)
        return None if found is None else int(found)

    def has(self, name: str) -> bool:
        """Tell whether the adapter has an optional part."""
        return getattr(self.adapter, name, None) is not None

    def without(self) -> dict[str, Subject]:
        """Return the adapters with one part off, by the name of the part."""
        parts = getattr(self.adapter, "without", None) or {}
        if not isinstance(parts, Mapping):
            raise TypeError(
                f"`without` of {self.source} must be a mapping from names to adapters, got "
                f"{type(parts).__name__}; write a dict"
            )
        return {
            str(name): Subject(f"{self.source} without {name}", part, self.home)
            for name, part in parts.items()
        }

    def start(self, inputs: Tensor) -> Tensor:
        """Return the first state, checked."""
        state = self._called("start", inputs)
        self._check_tensor(state, "start")
        if state.ndim < 2 or len(state) != len(inputs) or not state.is_floating_point():
            raise ValueError(
                f"`start` of {self.source} must return floating point numbers of shape (B, T, D) "
                f"or (B, D) with B = {len(inputs)}, got {state.dtype} of shape "
                f"{tuple(state.shape)}"
            )
        return self._finite(state, "start", "before the first loop")

    def step(self, state: Tensor, t: int) -> Tensor:
        """Return the state after loop t, checked."""
        new = self._called("step", state, t)
        self._check_tensor(new, "step")
        if new.shape != state.shape:
            raise ValueError(
                f"`step` of {self.source} must keep the shape {tuple(state.shape)} of its state, "
                f"got {tuple(new.shape)} at loop {t + 1}; put what changes shape into start or read"
            )
        return self._finite(new, "step", f"at loop {t + 1}")

    def read(self, state: Tensor) -> Tensor:
        """Return the output of a state; the state itself without a method for it."""
        if not self.has("read"):
            return state
        out = self._called("read", state)
        self._check_tensor(out, "read")
        return self._finite(out, "read", "in its output")

    def error(self, output: Tensor) -> float:
        """Return the error of an output as a float."""
        value = self._called("error", output)
        try:
            return float(value)
        except (TypeError, ValueError, RuntimeError):
            raise TypeError(
                f"`error` of {self.source} must return one number, got {type(value).__name__}"
            ) from None

    def run(self, inputs: Tensor, loops: int) -> Tensor:
        """Return the state after some loops."""
        state = self.start(inputs)
        for t in range(loops):
            state = self.step(state, t)
        return state

    def settle(self) -> list[str]:
        """Put its modules in evaluation mode and, where it runs so, in float64; return notes.

        Raises
        ------
        ValueError
            If it fails in either precision; the message is that of the first try.
        """
        held = held_by(self.adapter)
        notes, first = held.settle(), None
        for change in (held.in_double, held.as_they_were):
            more = change()
            try:
                with torch.no_grad():
                    self.step(self.start(self.inputs), 0)
            except (ValueError, TypeError) as error:
                first = first or error
            else:
                return [*notes, *more]
        raise first or ValueError(self.source)

    @torch.no_grad()
    def check_alone(self) -> None:
        """Raise unless the first and the last input run by themselves as among the others."""
        states = self.step(self.start(self.inputs), 0)
        for place in (slice(0, 1), slice(-1, None)):
            state = states[place]
            single = self.step(self.start(self.inputs[place]), 0)
            if float((single - state).norm()) > ALONE * float(state.norm()):
                raise ValueError(
                    f"`model` {self.source} must treat each input on its own, but one ends "
                    "elsewhere without the others; draw noise once for all inputs of a batch, or "
                    "take `inputs` of one"
                )

    def _called(self, name: str, *values: Any) -> Any:
        """Call a method at home, or raise one line that names it and the place."""
        try:
            with self.home.entered() if self.home else nullcontext(), same_random_numbers():
                return getattr(self.adapter, name)(*values)
        except Exception as error:  # whatever the user's code raises
            raise failed(f"`{name}` of {self.source}", error, self.home) from error

    def _check_tensor(self, value: object, name: str) -> None:
        """Raise unless a method returned a tensor."""
        if not isinstance(value, Tensor):
            raise TypeError(
                f"`{name}` of {self.source} must return a tensor, got {type(value).__name__}; "
                "join parts with torch.cat and take them apart again in step"
            )

    def _finite(self, value: Tensor, name: str, where: str) -> Tensor:
        """Return a tensor of finite numbers, or raise saying where they end."""
        if not bool(torch.isfinite(value).all()):
            what = "NaN" if bool(torch.isnan(value).any()) else "inf"
            raise ValueError(
                f"`{name}` of {self.source} returned {what} {where}, expected finite numbers; ask "
                "for fewer --loops or mend the weights"
            )
        return value


def failed(what: str, error: BaseException, home: Home | None) -> ValueError:
    """Return an error that says in one line what failed, where and how."""
    place = place_in(error, home.folder) if home else ""
    return ValueError(f"{what} failed{place} with {in_words(error)}")
