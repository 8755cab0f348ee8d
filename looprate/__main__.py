"""``python -m looprate`` is the command ``looprate``, for a checkout that is not installed."""

from looprate.cli import run

run()
