"""How sharp softmax attention must be for a constructed network to do what hardmax does."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from looprate.approx.constructed.network import constructed_transformer
from looprate.theory.construction.build.network import Network
from looprate.theory.notation import check_tokens

__all__ = ["softmax_beta_for"]

BETA_PRECISION = 0.01  # relative width at which the search for beta stops
SMALLEST_BETA = 2.0**-20  # ... and the beta below which it does not look


@dataclass(frozen=True)
class BetaSearch:
    """How sharp softmax must be, measured on some inputs.

    Attributes
    ----------
    beta : float or None
        The smallest beta tried at which it and every larger beta tried stay within the tolerance;
        None if the largest does not.  A measurement, not a bound: other inputs may need more, and
        the error need not fall with beta.
    tolerance : float
        The error allowed: largest absolute difference over all entries.
    curve : tuple of (float, float)
        Every beta tried, in increasing order, and its error (NaN or inf where it diverged).
    """

    beta: float | None
    tolerance: float
    curve: tuple[tuple[float, float], ...]


def softmax_beta_for(
    network: Network,
    inputs: Tensor,
    *,
    tolerance: float,
    reference: Tensor | None = None,
    largest: float = 2**60,
) -> BetaSearch:
    """Return the smallest beta at which softmax does what hardmax does, as far as inputs show.

    Tried are ``largest``, its half and so on down to 1, further while they pass (not below
    ``SMALLEST_BETA``), and then bisected, geometrically, between the last that passes and the next
    below it until they differ by ``BETA_PRECISION``.

    Parameters
    ----------
    network : Network
    inputs : Tensor, shape (B, N, d)
        Its dtype and device are those of the runs; B >= 1.
    tolerance : float
        Largest absolute difference allowed over all entries, >= 0.
    reference : Tensor, shape (B, N, d), optional
        What to compare with; the hardmax network's own outputs if left out.
    largest : float
        The largest beta tried, >= 1.

    Raises
    ------
    ValueError
        If an argument is not as above, or :func:`constructed_transformer` refuses the network.
    """
    if not tolerance >= 0:
        raise ValueError(f"`tolerance` must be a number >= 0, got {tolerance!r}")
    if not (math.isfinite(largest) and largest >= 1):
        raise ValueError(f"`largest` must be a finite number >= 1, got {largest!r}")
    model = constructed_transformer(network, dtype=inputs.dtype, device=inputs.device)
    if not len(inputs):
        raise ValueError(f"`inputs` must hold at least one input, got {tuple(inputs.shape)}")
    wanted = model(inputs) if reference is None else reference
    if wanted.shape != inputs.shape:
        raise ValueError(
            f"`reference` must have the shape of `inputs`, {tuple(inputs.shape)}, got "
            f"{tuple(wanted.shape)}"
        )
    curve: dict[float, float] = {}

    def passes(beta: float) -> bool:
        model.beta = beta
        curve[beta] = float((model(inputs) - wanted).abs().max())
        return curve[beta] <= tolerance

    return BetaSearch(_smallest(passes, float(largest)), tolerance, tuple(sorted(curve.items())))


def _smallest(passes: Callable[[float], bool], largest: float) -> float | None:
    """Return the smallest beta tried such that it and all larger ones pass."""
    best, beta, failed = None, largest, 0.0
    while beta >= 1 or (not failed and beta >= SMALLEST_BETA):
        if not passes(beta):
            failed = failed or beta
        elif not failed:
            best = beta
        beta /= 2
    if best is None or not failed:
        return best
    while best > failed * (1 + BETA_PRECISION):
        middle = math.sqrt(best) * math.sqrt(failed)
        if passes(middle):
            best = middle
        else:
            failed = middle
    return best


def off_maximum_weight_upper_bound(beta: float, *, tokens: int, gap: float = 1.0) -> float:
    """Return (N - 1) exp(-beta gap): what softmax can give to tokens below the largest score.

    Proof: a token whose score is at least ``gap`` below the largest has weight at most
    exp(-beta gap) times that of a token which attains it, so at most exp(-beta gap); at most N - 1
    tokens are below.  It is about one attention over exact scores, not about a whole network.
    With query 1 and integer keys, gap is 1.

    Raises
    ------
    ValueError
        If beta or gap is negative.
    """
    if not (beta >= 0 and gap >= 0):
        raise ValueError(f"`beta` and `gap` must be >= 0, got {beta!r} and {gap!r}")
    return (check_tokens(tokens) - 1) * math.exp(-beta * gap)
