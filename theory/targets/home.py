"""Where a function of the user's comes from, and what its code finds around it while it runs.

A file runs as Python would run it: its folder comes first on the path, and its module can be looked
up by name.  Modules beside it are its own: two files of different folders may each import another
``helper``.  What it prints is left out, and it draws the same random numbers every time it is read.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import random
import sys
import threading
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import TextIOBase
from pathlib import Path
from types import ModuleType
from typing import Any, TextIO, cast

import numpy as np

from looprate.theory.processes import interrupts_blocked

SEED = 0
OURS = ("looprate", "numpy", "scipy", "torch", "__main__")
SHARED = {*OURS, *sys.stdlib_module_names}  # never a module of one file alone
_LOCK = threading.RLock()


class _Sink(TextIOBase):
    """A stream that drops what is written and remembers that something was."""

    used = False

    def write(self, text: str) -> int:
        """Drop a text."""
        self.used = self.used or bool(text.strip())
        return len(text)


@dataclass(eq=False)
class Home:
    """Where code runs: its folder, and modules that are its own.

    Attributes
    ----------
    folder : str
        Comes first on the path; "" for none.
    private : bool
        Whether modules that lie in the folder belong to this home alone.
    modules : dict
        By name: the file's module and those imported from beside it.
    sink : file
        Takes what the code prints; ``sink.used`` tells whether it did.
    notes : list of str
        What was done to the function that lives here.
    """

    folder: str = ""
    private: bool = False
    modules: dict[str, ModuleType] = field(default_factory=dict)
    sink: _Sink = field(default_factory=_Sink)
    notes: list[str] = field(default_factory=list)
    _inside: int = 0
    _loaded: int = 0
    _hidden: dict[str, ModuleType | None] = field(default_factory=dict)
    _stdout: TextIO | None = None
    _warnings: warnings.catch_warnings[None] | None = None

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Run code at home: path, modules, no output, no warnings, no floating point errors.

        Threads may be inside at once; the first one in sets the place up, the last one out clears
        it away.
        """
        inside = False
        try:
            with _LOCK, interrupts_blocked():  # the place is never half set up
                inside, self._inside = True, self._inside + 1
                if self._inside == 1:
                    self._enter()
            with np.errstate(all="ignore"):
                yield
        finally:
            if inside:
                with _LOCK, interrupts_blocked():
                    self._inside -= 1
                    if not self._inside:
                        self._leave()

    def _enter(self) -> None:
        """Put folder and modules where imports find them, and the sink where prints go."""
        self._hidden = {name: sys.modules.get(name) for name in self.modules}
        sys.modules.update(self.modules)
        if self.folder:
            sys.path.insert(0, self.folder)
        self._stdout, sys.stdout = sys.stdout, cast(TextIO, self.sink)
        self._loaded = len(sys.modules)
        self._warnings = warnings.catch_warnings()
        self._warnings.__enter__()
        warnings.simplefilter("ignore")

    def _leave(self) -> None:
        """Undo what :meth:`_enter` did."""
        if self._warnings is not None:
            self._warnings.__exit__(None, None, None)
        if sys.stdout is cast(TextIO, self.sink):
            sys.stdout = cast(TextIO, self._stdout)
        if len(sys.modules) > self._loaded:  # what the code imports while it runs
            late = {k: m for k, m in list(sys.modules.items()) if self._owns(k, m)}
            new = {k: m for k, m in late.items() if k not in self.modules}
            self._hidden |= dict.fromkeys(new)
            self.modules |= new
        if self.folder in sys.path:
            sys.path.remove(self.folder)
        for name, module in self._hidden.items():
            if module is None:
                sys.modules.pop(name, None)
            else:
                sys.modules[name] = module

    def read(self, path: Path) -> ModuleType | None:
        """Execute a file as a module of this home; None if it is no Python file."""
        name = f"own_{path.stem}"
        spec = importlib.util.spec_from_file_location(name, path)
        if spec is None or spec.loader is None:
            return None
        module = importlib.util.module_from_spec(spec)
        outer = self._beside()
        self.modules[name] = module
        before = set(sys.modules) - set(outer)
        try:
            with _without(outer), self.entered(), same_random_numbers():
                spec.loader.exec_module(module)
                found = {key: sys.modules[key] for key in set(sys.modules) - before}
            self.modules |= {key: one for key, one in found.items() if self._owns(key, one)}
        finally:
            for key in self._beside():
                if key not in outer:
                    sys.modules.pop(key, None)
        return module

    def _owns(self, name: str, module: ModuleType) -> bool:
        """Tell whether a module lies beside the file, and not among installed packages."""
        file = getattr(module, "__file__", None) or ""
        inside = self.private and file.startswith(self.folder + os.sep)
        return inside and "site-packages" not in file and name.partition(".")[0] not in SHARED

    def _beside(self) -> dict[str, ModuleType]:
        """Return loaded modules that a file of the folder would import from beside it."""
        names = {p.stem for p in Path(self.folder).glob("*.py")} | {
            p.parent.name for p in Path(self.folder).glob("*/__init__.py")
        }
        return {
            key: module
            for key, module in list(sys.modules.items())
            if key.partition(".")[0] in names - SHARED
        }


@contextmanager
def _without(modules: dict[str, ModuleType]) -> Iterator[None]:
    """Hide loaded modules for a while."""
    for name in modules:
        sys.modules.pop(name, None)
    try:
        yield
    finally:
        sys.modules.update(modules)


@contextmanager
def same_random_numbers() -> Iterator[None]:
    """Start the global generators from a fixed state, and put them back as they were.

    These are NumPy's legacy one, torch's and Python's, for other people's code uses them.  What
    draws weights when it is read draws the same ones in every process.
    """
    torch: Any = importlib.import_module("torch")
    state = torch.random.get_rng_state()
    drawn, legacy = random.getstate(), np.random.get_state()  # noqa: NPY002
    random.seed(SEED)
    np.random.set_state(np.random.RandomState(SEED).get_state())  # noqa: NPY002
    torch.random.set_rng_state(torch.Generator().get_state())  # which starts from a fixed seed
    try:
        yield
    finally:
        random.setstate(drawn)
        np.random.set_state(legacy)  # noqa: NPY002
        torch.random.set_rng_state(state)


def the_module(text: str, where: str, argument: str = "target") -> tuple[ModuleType, Home]:
    """Return the module that a source names, a file or a dotted name, and its home.

    Parameters
    ----------
    text : str
        The whole target, for messages.
    where : str
        ``path/file.py``, or ``package.module`` importable from here.
    argument : str
        What the target is called in messages.

    Raises
    ------
    FileNotFoundError
        If the file does not exist.
    ValueError
        If there is no such module, or the file is no Python file.
    """
    if not where.endswith(".py"):
        home = Home(os.getcwd())
        try:
            with home.entered(), same_random_numbers():
                return importlib.import_module(where), home
        except ModuleNotFoundError as error:
            raise ValueError(
                f"`{argument}` {text!r}: no module {error.name!r}; for a file write "
                "path/file.py:name"
            ) from None
    path = Path(where)
    if not path.is_file():
        raise FileNotFoundError(f"`{argument}` {text!r}: no file {where!r}")
    home = Home(str(path.resolve().parent), private=True)
    try:
        module = home.read(path.resolve())
    except ModuleNotFoundError as error:
        place = f", line {line}" if (line := _line_of(error, path)) else ""
        raise ValueError(
            f"`{argument}` failed at {where}{place} with ModuleNotFoundError: {error.name!r} is "
            "neither beside it nor installed; correct the function"
        ) from None
    if module is None:
        raise ValueError(f"`{argument}` {text!r}: {where!r} is not a Python file")
    return module, home


def _line_of(error: BaseException, path: Path) -> int | None:
    """Return the line of a file at which an error left it."""
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == str(path.resolve())]
    return lines[-1] if lines else None
