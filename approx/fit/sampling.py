"""Training points and target values, made on the device that trains.

A chunk of steps is drawn at once.  The points are those of
:func:`looprate.approx.error.sobol_points`, bit for bit: the scrambled direction numbers come from
torch's engine once, and any stretch of the sequence is then a few exclusive ors on the device.
Faster than the engine on the CPU too, because nothing is skipped one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.quasirandom import SobolEngine

__all__ = ["TrainingPoints"]

Function = Callable[[Any], Any]
BLOCK = 256  # points made of one, by one exclusive or each


class SobolSource:
    """Scrambled Sobol sequences of the cube, one a seed, on a device.

    Parameters
    ----------
    seeds : sequence of int
    tokens, dim : int
        N and d.
    device : str or torch.device
    """

    def __init__(
        self, seeds: Sequence[int], *, tokens: int, dim: int, device: str | torch.device
    ) -> None:
        self.tokens, self.dim = tokens, dim
        engines = [SobolEngine(tokens * dim, scramble=True, seed=seed) for seed in seeds]
        directions = torch.stack([engine.sobolstate for engine in engines])  # (S, N * d, 30)
        self._directions = directions.to(device, torch.int32)
        self._shift = torch.stack([engine.shift for engine in engines]).to(device, torch.int32)
        self._low = self._mixed(0, BLOCK, 1)

    def draw(self, first: int, count: int) -> Tensor:
        """Return points first..first+count-1 of every sequence, shape (S, count, N, d).

        Point k is the shift with direction number b exclusive-ored in for every bit b of k's Gray
        code.  Float32 in [0, 1]; nothing is read back to the host.

        Raises
        ------
        ValueError
            If the stretch ends beyond the 2^30 points a sequence has.
        """
        if first < 0 or count < 1 or first + count > 2**SobolEngine.MAXBIT:
            raise ValueError(
                f"`first` and `count` must name points 0..2^{SobolEngine.MAXBIT}-1, got {count} "
                f"from {first} on; train fewer steps or a smaller batch"
            )
        blocks = range(first // BLOCK, (first + count - 1) // BLOCK + 1)
        starts = self._shift[:, None] ^ self._mixed(blocks.start * BLOCK, len(blocks), BLOCK)
        digits = (starts[:, :, None] ^ self._low[:, None]).flatten(1, 2)  # (S, ..., N * d)
        skipped = first - blocks.start * BLOCK
        points = digits[:, skipped : skipped + count].float() * 2.0**-SobolEngine.MAXBIT
        return points.view(len(points), count, self.tokens, self.dim)

    def _mixed(self, first: int, count: int, step: int) -> Tensor:
        """Return the exclusive or of the directions of points first, first + step, ..., unshifted.

        The Gray code of a sum without carries is the exclusive or of the codes, so that a block of
        points is its first one mixed with the points of the first block.
        """
        index = torch.arange(count, dtype=torch.int32, device=self._shift.device) * step + first
        gray = index ^ (index >> 1)
        digits = torch.zeros_like(self._shift)[:, None].repeat(1, count, 1)  # (S, count, N * d)
        for bit in range((first + (count - 1) * step).bit_length()):
            digits ^= -((gray >> bit) & 1)[:, None] & self._directions[:, None, :, bit]
        return digits


class TrainingPoints:
    """Fresh points of every step and seed with every target's values at them.

    Targets are called on tensors of the device; one that needs NumPy arrays is evaluated on the
    host, with one copy a chunk.

    Parameters
    ----------
    targets : sequence of callables (B, N, d) -> (B, N, d)
    seeds : sequence of int
        Of the scrambles.
    tokens, dim, batch : int
        N, d and points per step.
    device : str or torch.device
    """

    def __init__(
        self,
        targets: Sequence[Function],
        seeds: Sequence[int],
        *,
        tokens: int,
        dim: int,
        batch: int,
        device: str | torch.device,
    ) -> None:
        self.targets, self.batch = list(targets), batch
        self.source = SobolSource(seeds, tokens=tokens, dim=dim, device=device)

    def chunk(self, step: int, count: int) -> tuple[Tensor, Tensor]:
        """Return points (S, count, B, N, d) and values (T, S, count, B, N, d) from a step on."""
        x = self.source.draw(step * self.batch, count * self.batch)
        seeds, _, *shape = x.shape
        many = x.flatten(0, 1)
        split = (seeds, count, self.batch, *shape)
        y = torch.stack([target(many).to(many).view(split) for target in self.targets])
        return x.view(split), y
