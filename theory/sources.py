"""Where this package's own source lies: its folders side by side, in a checkout as installed."""

from __future__ import annotations

from pathlib import Path

__all__ = ["FOLDERS", "HERE", "IMPORTED_FROM"]

FOLDERS = ("theory", "approx", "experiments", "figures", "looprate")
HERE = Path(__file__).resolve().parent.parent
#: The folder that must be on the path for ``import looprate``: a checkout's root, or site-packages.
IMPORTED_FROM = HERE if (HERE / "looprate").is_dir() else HERE.parent
