"""What own functions in a target are, as a digest: it names what is kept under their names."""

from __future__ import annotations

import hashlib
import importlib
from contextlib import suppress
from pathlib import Path

from looprate.experiments.rows.records import digest
from looprate.theory.targets import Target, own_functions
from looprate.theory.targets.formula import FORMULA
from looprate.theory.targets.identity import code_digest, fingerprint
from looprate.theory.targets.own import OwnFunction
from looprate.theory.targets.resolve import settled

__all__ = ["source_digest"]


def source_digest(target: Target, *, tokens: int, dim: int) -> str | None:
    """Return a digest of what own functions in a target are, None where there are none.

    Their files, their code with all that it uses, and their values: a helper or a data file that
    changes makes another function of the same name.  A built-in target is its name.

    Parameters
    ----------
    target : Target
    tokens, dim : int
        N and d of the values.
    """
    own = [settled(each, tokens=tokens, dim=dim) for each in own_functions(target)]
    if not own:
        return None
    files = [_file_of(each) for each in own]
    code = [code_digest(each.function) for each in own]
    return digest([files, code, fingerprint(target, tokens=tokens, dim=dim)])


def _file_of(own: OwnFunction) -> str:
    """Return a digest of the file an own function was read from; of a formula its text."""
    if own.source.startswith(FORMULA):
        return own.source
    where = own.source.rpartition(":")[0]
    file: str | None = where
    if not where.endswith(".py"):
        with suppress(ImportError, ValueError):  # handed over under a name of no module
            file = importlib.import_module(where).__file__
    file = file if file and Path(file).is_file() else None
    return hashlib.sha256(Path(file).read_bytes()).hexdigest() if file else ""
