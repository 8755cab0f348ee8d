"""Targets: functions on [0,1]^{N x d} that know what is proven about their moduli.

``parse_target("token-sine:periods=3")`` makes one, ``TARGETS`` lists them, ``resolve_target`` also
takes a function of your own.  Importing this package does not import torch.
"""

from looprate.theory.targets.base import ClosedForm, Scaled, Sum, Target
from looprate.theory.targets.equivariance import equivariance_gap
from looprate.theory.targets.field import SmoothField
from looprate.theory.targets.mixes import MeanField, TokenPower, TokenSine
from looprate.theory.targets.own import OwnFunction, notes_of, own_functions
from looprate.theory.targets.registry import TARGETS, parse_target, target_parameters
from looprate.theory.targets.resolve import load_function, resolve_target

__all__ = [
    "TARGETS",
    "ClosedForm",
    "MeanField",
    "OwnFunction",
    "Scaled",
    "SmoothField",
    "Sum",
    "Target",
    "TokenPower",
    "TokenSine",
    "equivariance_gap",
    "load_function",
    "notes_of",
    "own_functions",
    "parse_target",
    "resolve_target",
    "target_parameters",
]
