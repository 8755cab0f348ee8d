"""Targets: functions on [0,1]^{N x d} that know what is proven about their moduli.

``parse_target("token-sine:periods=3")`` makes one, ``TARGETS`` lists them, ``resolve_target`` also
takes a function of your own.  Importing this package does not import torch.
"""

from theory.targets.base import ClosedForm, Scaled, Smoothness, Sum, Target
from theory.targets.context import ContextMax, SoftmaxAttention, TokenTimesMean
from theory.targets.equivariance import equivariance_gap, equivariance_witness
from theory.targets.field import SmoothField
from theory.targets.formula import Formula
from theory.targets.mixes import Dial, MeanField, OthersMean, TokenPower, TokenSine
from theory.targets.own import OwnFunction, notes_of, own_functions
from theory.targets.registry import TARGETS, parse_target, target_parameters
from theory.targets.resolve import formula_target, load_function, resolve_target

__all__ = [
    "TARGETS",
    "ClosedForm",
    "ContextMax",
    "Dial",
    "Formula",
    "MeanField",
    "OthersMean",
    "OwnFunction",
    "Scaled",
    "SmoothField",
    "Smoothness",
    "SoftmaxAttention",
    "Sum",
    "Target",
    "TokenPower",
    "TokenSine",
    "TokenTimesMean",
    "equivariance_gap",
    "equivariance_witness",
    "formula_target",
    "load_function",
    "notes_of",
    "own_functions",
    "parse_target",
    "resolve_target",
    "target_parameters",
]
