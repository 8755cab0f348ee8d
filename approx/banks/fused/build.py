"""Compile the kernel with the system's C++ compiler, once for each source, compiler and processor.

The result is a plain shared library for ctypes, kept in ``$XDG_CACHE_HOME/looprate`` (by default
``~/.cache/looprate``).  It is written under a name of its own and moved into place, so that
processes starting together, or killed while they compile, leave nothing half-made and never wait
for each other.  Its name ends with a digest of its content: a damaged one is never loaded, but
removed and compiled again.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

from looprate.theory.cache import cache_folder, trusted

HERE = Path(__file__).parent
# Nothing here assumes finite numbers: a diverged model must be seen.
FLAGS = ["-std=c++17", "-O3", "-march=native", "-fno-math-errno", "-fno-trapping-math"]
FLAGS += ["-ffp-contract=fast", "-Wno-psabi", "-shared", "-fPIC"]


@functools.cache
def library() -> ctypes.CDLL | None:
    """Return the kernel, compiled if need be, or None where that does not work.

    Says on stderr that it compiles.  A compiler that fails is reported once, as a RuntimeWarning;
    a missing one is left to the torch path, which warns itself.
    """
    compiler = _compiler()
    if compiler is None:
        return None
    try:
        return _loaded(_built(compiler))
    except (OSError, subprocess.SubprocessError) as error:
        lines = (getattr(error, "stderr", None) or str(error)).strip().splitlines()
        said = next((line for line in lines if "error" in line), lines[0] if lines else "silent")
        warnings.warn(
            f"{compiler[0]} cannot build the CPU kernel ({said}): fits run "
            "on torch's own operations, about half as fast; set CXX to another compiler",
            RuntimeWarning,
            stacklevel=1,
        )
        return None


def _compiler() -> list[str] | None:
    """Return the C++ compiler's command: $CXX, or the first one installed."""
    if "CXX" in os.environ:
        command = shlex.split(os.environ["CXX"])
        return command if command and shutil.which(command[0]) else None
    found = next(filter(shutil.which, ("g++", "clang++", "c++")), None)
    return None if found is None else [found]


def _built(compiler: list[str]) -> Path:
    """Return the compiled kernel's path, compiling where it is not there yet."""
    folder = _folder()
    name = f"kernel-{_digest(compiler)}"
    for path in sorted(folder.glob(f"{name}-*.so")):
        if trusted(path) and path.name == _named(name, path):
            return path
        path.unlink(missing_ok=True)
    handle, temporary = tempfile.mkstemp(suffix=".so", dir=folder)
    os.close(handle)
    print("looprate: compiling the CPU kernel, once", end=" ... ", file=sys.stderr, flush=True)
    start = time.monotonic()
    try:
        command = [*compiler, *FLAGS, "-o", temporary, *map(str, sorted(HERE.glob("*.cpp")))]
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=300)
        os.chmod(temporary, 0o700)  # linkers make a file of their own, by the umask
        path = folder / _named(name, Path(temporary))
        os.replace(temporary, path)
    finally:
        Path(temporary).unlink(missing_ok=True)
        print(f"{time.monotonic() - start:.1f} s", file=sys.stderr)
    return path


def _named(name: str, path: Path) -> str:
    """Return the name of a compiled kernel: what it was compiled from, and its content."""
    return f"{name}-{hashlib.sha256(path.read_bytes()).hexdigest()[:16]}.so"


def _folder() -> Path:
    """Return a folder for compiled kernels that this user alone writes to."""
    return cache_folder() or Path(tempfile.mkdtemp(prefix="looprate-"))


def _digest(compiler: list[str]) -> str:
    """Return what the compiled code depends on, as a word."""
    version = subprocess.run(
        [*compiler, "--version"], check=True, capture_output=True, text=True, timeout=60
    ).stdout
    facts = [*compiler, version, *FLAGS, platform.system(), platform.machine(), _processor()]
    sources = [path.read_text() for path in sorted([*HERE.glob("*.cpp"), *HERE.glob("*.h")])]
    return hashlib.sha256("\0".join([*facts, *sources]).encode()).hexdigest()[:16]


def _processor() -> str:
    """Return the processor's instruction sets: machines may share a home folder."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line for line in lines if line.lower().startswith(("flags", "features"))), "")


def _loaded(path: Path) -> ctypes.CDLL:
    """Load the kernel and tell ctypes the types of its functions; remove what does not load."""
    try:
        found = ctypes.CDLL(str(path))
    except OSError:
        path.unlink(missing_ok=True)
        raise
    sizes, pointers = ctypes.POINTER(ctypes.c_int64), ctypes.POINTER(ctypes.c_void_p)
    found.looprate_scratch.argtypes = [sizes, ctypes.c_int]
    found.looprate_scratch.restype = ctypes.c_int64
    found.looprate_run.argtypes = [sizes, ctypes.c_double, pointers, pointers]
    found.looprate_run.restype = None
    found.looprate_train.argtypes = [sizes, sizes, ctypes.POINTER(ctypes.c_double), pointers]
    found.looprate_train.restype = ctypes.c_int64
    numbers = [ctypes.c_int64] * 2 + [ctypes.c_float] * 3
    found.looprate_adam.argtypes = [*numbers, *[ctypes.c_void_p] * 6]
    found.looprate_adam.restype = None
    return found
