"""The gradients of one network's outputs at many points, one row of parameters a point.

One backward pass over all points gives the adjoint of whatever each linear map puts out; the
gradient of its weights at a point is a sum of outer products over loops and tokens, one batched
product after the pass.  So a loop costs what its points cost, not points times parameters.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from looprate.approx.banks.bank import PER_BLOCK, Bank, bank_eta
from looprate.approx.banks.block import BLOCK_WEIGHTS
from looprate.approx.fit.state import bank_views
from looprate.approx.models.looped import EPS, ModelConfig
from looprate.approx.models.parts import ACTIVATIONS, rounded

Taps = dict[str, list[Tensor]]  # one a loop, (K, N, width of it)
GATED = {"seen": "unit", "attended": "sent", "read": "middle", "fed": "made"}  # eta times these
ADJOINED = (*GATED, "qkv", "hidden")


def point_gradients(
    flat: Tensor, like: Bank, config: ModelConfig, x: Tensor, token: Tensor, *, loops: int
) -> list[Tensor]:
    """Return the gradient of each coordinate of the watched token's output, each (K, P).

    Parameters
    ----------
    flat : Tensor, shape (P,)
        Parameters of the network.
    like : Bank
        Of one model; its sizes are read.
    config : ModelConfig
    x : Tensor, shape (K, N, d)
    token : Tensor of int, shape (K,)
        The token that is watched at each point.
    loops : int
    """

    def eta_of(flat: Tensor) -> Tensor:
        return bank_eta(bank_views(flat[None], like), config, loops)[:, 0]

    flat, rows = flat.detach(), torch.arange(len(x))
    bank = bank_views(flat[None], like)
    weights = {n: value[:, 0] if n in PER_BLOCK else value[0] for n, value in bank.items()}
    eta, spread = eta_of(flat), torch.func.jacrev(eta_of)(flat).flatten(0, 2)  # (r * 4 * D, P)
    start = x @ weights["embed"].mT + weights["embed_bias"]
    start = (start + weights["position"].mT if config.positions else start).requires_grad_()
    end, taps = _looped(start, config, weights, eta)
    found = []
    for i, unit in enumerate(torch.eye(config.dim).to(flat).expand(len(x), -1, -1).unbind(1)):
        output = (end @ weights["read"][i])[rows, token].sum()
        leaves = [start, *(tap for name in ADJOINED for tap in taps[name])]
        first, *others = torch.autograd.grad(output, leaves, retain_graph=True)
        adjoint = {n: torch.stack(others[k * loops :][:loops]) for k, n in enumerate(ADJOINED)}
        parts = _block_rows(taps, adjoint, eta, config.blocks)
        parts |= {"embed": first.mT @ x, "embed_bias": first.sum(1), "position": first.mT}
        last = end.detach()[rows, token]
        parts |= {"read": unit[:, :, None] * last[:, None], "read_bias": unit}
        through = [(adjoint[n] * torch.stack(taps[f])).sum(2) for n, f in GATED.items()]
        row = torch.stack(through, 2).transpose(0, 1).detach().flatten(1) @ spread
        found.append(_added(row, parts, like))
    return found


def _looped(start: Tensor, config: ModelConfig, weights: Bank, eta: Tensor) -> tuple[Tensor, Taps]:
    """Return the last state of the looped Transformer, and what its gradients are made of."""
    K, N, D = start.shape
    steps = []
    state = start
    for t, row in enumerate(eta):
        w = {name: weights[name][min(t, config.blocks - 1)] for name in BLOCK_WEIGHTS}
        state = state + start if config.injection and t else state
        unit = _normed(state, config.norm)
        seen = unit * row[0]
        qkv = seen @ w["qkv"].mT
        q, k, v = qkv.view(K, N, 3, config.heads, -1).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(K, N, D)
        sent = mixed @ w["out"].mT
        attended = row[1] * sent
        state = state + attended
        middle = _normed(state, config.norm)
        read = middle * row[2]
        hidden = read @ w["up"].mT + w["up_bias"]
        active = ACTIVATIONS[config.activation](hidden)
        made = active @ w["down"].mT + w["down_bias"]
        fed = row[3] * made
        state = state + fed
        if config.bits:
            state = state + (rounded(state, config.bits) - state).detach()
        steps.append(
            {"unit": unit, "seen": seen, "qkv": qkv, "mixed": mixed, "sent": sent}
            | {"attended": attended, "middle": middle, "read": read, "hidden": hidden}
            | {"active": active, "made": made, "fed": fed}
        )
    return state, {name: [step[name] for step in steps] for name in steps[0]}


def _normed(x: Tensor, norm: str) -> Tensor:
    """Return x over its root mean square, or x where there is no norm."""
    return x if norm == "none" else x * torch.rsqrt(x.square().mean(-1, keepdim=True) + EPS)


def _block_rows(
    taps: Taps, adjoint: dict[str, Tensor], eta: Tensor, blocks: int
) -> dict[str, Tensor]:
    """Return the gradients of the blocks' weights, (K, blocks, ...)."""
    gates = eta[:, None, None]  # (r, 1, 1, 4, D)
    sent, made = (adjoint[n] * gates[..., k, :] for n, k in (("attended", 1), ("fed", 3)))
    one = [made.new_ones(*made.shape[1:3], 1)] * len(made)
    return {
        "qkv": _outer(adjoint["qkv"], taps["seen"], blocks),
        "out": _outer(sent, taps["mixed"], blocks),
        "up": _outer(adjoint["hidden"], taps["read"], blocks),
        "up_bias": _outer(adjoint["hidden"], one, blocks),
        "down": _outer(made, taps["active"], blocks),
        "down_bias": _outer(made, one, blocks),
    }


def _outer(left: Tensor, right: list[Tensor], blocks: int) -> Tensor:
    """Return outer products summed over tokens and a block's loops, (K, blocks, rows, columns)."""
    both = (left, torch.stack(right).detach())
    a, b = (v.unflatten(0, (blocks, -1)).permute(2, 0, 1, 3, 4).flatten(2, 3) for v in both)
    return a.mT @ b


def _added(row: Tensor, parts: dict[str, Tensor], like: Bank) -> Tensor:
    """Return the gradient through eta (K, P) with that of every weight added at its place."""
    start = 0
    for name, value in like.items():
        if name in parts:
            row[:, start : start + value.numel()] += parts[name].flatten(1)
        start += value.numel()
    return row
