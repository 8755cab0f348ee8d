"""In-place operators on arrays of enclosures: every name of the array sees the change.

NumPy's slices, reshapes and exchanges of axes are views: a step in place changes them too.  An
enclosure is changed in place where no such view is alive, and the step is refused where one is.
"""

from __future__ import annotations

import functools
import weakref
from abc import ABC
from collections.abc import Callable
from typing import Any, Self

VIEWS = ("__getitem__", "reshape", "swapaxes")  # methods that NumPy answers with views
PRUNED = 64  # views made between two looks for those that are gone


class InPlace(ABC):
    """Base of arrays that in-place operators change, their views being known."""

    __slots__ = ("__weakref__", "_family", "_past")
    _past: Any  # what it is known to be of other arrays
    _family: list[weakref.ref[Any]]  # this array and all that shares its memory in NumPy

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        for name in VIEWS:
            if name in vars(cls):
                setattr(cls, name, _shared(vars(cls)[name]))

    def copy(self) -> Self:
        """Return the same array with no memory in common."""
        made = object.__new__(type(self))
        made._take(self)
        return made

    def __copy__(self) -> Self:
        return self.copy()

    def __deepcopy__(self, memo: Any) -> Self:
        return self.copy()

    def apart_from(self, other: Any) -> Self:
        """Return a copy where this is the other array itself, else this."""
        return self.copy() if self is other else self

    def becomes(self, made: Any) -> Self:
        """Put another array in the place of this one, under all its names.

        Raises
        ------
        TypeError
            If the other is of another kind, or views of this array are alive.
        ValueError
            If the shapes differ.
        """
        if type(made) is not type(self):
            raise TypeError(
                f"an in-place step would make {type(made).__name__} of {type(self).__name__}: "
                "write `h = h + x` for `h += x`"
            )
        shapes: Any = (self, made)
        if shapes[0].shape != shapes[1].shape:
            raise ValueError(
                f"an in-place step cannot change shape {shapes[0].shape} to {shapes[1].shape}"
            )
        family = getattr(self, "_family", [])
        if any(other() is not None and other() is not self for other in family):
            raise TypeError(
                "an in-place step changes an array that shares memory with others (the input, a "
                "slice, a reshape): write `h = h + x` for `h += x`, or copy first, `h = h.copy()`"
            )
        self._take(made)
        return self

    def _take(self, other: Any) -> None:
        """Take over everything but the family."""
        self._past = getattr(other, "_past", None)
        for cls in type(self).__mro__:
            for name in getattr(cls, "__slots__", ()):
                if name not in InPlace.__slots__:
                    setattr(self, name, getattr(other, name))

    def share(self, made: Any) -> None:
        """Note that another array shares the memory of this one."""
        family = getattr(self, "_family", None)
        if family is None:
            self._family = family = [weakref.ref(self)]
        if len(family) % PRUNED == 0:
            family[:] = [other for other in family if other() is not None]
        family.append(weakref.ref(made))
        made._family = family

    def __iadd__(self, other: Any) -> Self:
        return self.becomes(self + other)

    def __isub__(self, other: Any) -> Self:
        return self.becomes(self - other)

    def __imul__(self, other: Any) -> Self:
        return self.becomes(self * other)

    def __itruediv__(self, other: Any) -> Self:
        return self.becomes(self / other)

    def __ipow__(self, other: Any) -> Self:
        return self.becomes(self**other)

    def __imatmul__(self, other: Any) -> Self:
        return self.becomes(self @ other)


def _shared(view: Callable[..., Any]) -> Callable[..., Any]:
    """Return a method that makes views, with what it makes noted."""

    @functools.wraps(view)
    def noted(self: InPlace, *args: Any, **kwargs: Any) -> Any:
        made = view(self, *args, **kwargs)
        if made is not self:
            self.share(made)
        return made

    return noted
