"""``python -m experiments`` is the command ``looprate``, for a checkout that is not installed."""

from experiments.cli import run

run()
