"""Networks that differ in eta alone: arms of one small block, and which LT each is set against.

Free table, network with ReLU and network with SiLU (the paper's form) modulate one block.  Two LTs
answer each: the bare block, and one widened in ``hidden`` until it has as many parameters.  A table
grows by 4 D numbers a loop, so the LT of equal parameters grows with r as well.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, get_args

from looprate.approx.models.looped import ModelConfig, matched_config

Arm = Literal["lt", "table", "relu", "silu", "lt-table", "lt-network"]
ARMS: tuple[Arm, ...] = get_args(Arm)
EQUAL_BLOCKS: dict[Arm, Arm] = {"table": "lt", "relu": "lt", "silu": "lt"}
EQUAL_PARAMETERS: dict[Arm, Arm] = {
    "table": "lt-table",
    "relu": "lt-network",
    "silu": "lt-network",
}
WORDS: dict[Arm, str] = {
    "lt": "LT, bare block",
    "table": "free table",
    "relu": "ReLU network of t",
    "silu": "SiLU network of t (the paper's)",
    "lt-table": "LT with the table's parameters",
    "lt-network": "LT with the networks' parameters",
}


def arm_model(arm: Arm, block: ModelConfig, *, loops: int) -> ModelConfig:
    """Return the model of an arm.

    Parameters
    ----------
    arm : str
    block : ModelConfig
        A TMLT with the paper's network of t.
    loops : int
        r: rows of the table, and one over the residual gates.
    """
    network = replace(block, family="tmlt", gate=1.0 / loops)
    table = replace(network, table=loops)
    if arm == "lt":
        return replace(network, family="lt")
    if arm == "table":
        return table
    if arm == "relu":
        return replace(network, clock_activation="relu")
    return network if arm == "silu" else matched_config(_matched(arm, network, table), "lt")


def _matched(arm: Arm, network: ModelConfig, table: ModelConfig) -> ModelConfig:
    """The model whose parameters a widened LT has."""
    return table if arm == "lt-table" else network
