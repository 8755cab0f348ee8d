"""One target in one setting, and the questions that can be asked about it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from looprate.theory.notation import (
    KINDS,
    Kind,
    check_loops,
    positive_int,
)
from looprate.theory.targets import Target

if TYPE_CHECKING:
    from looprate.approx.models.parts import Family
    from looprate.results import (
        BestAnswer,
        BoundAnswer,
        CheckAnswer,
        ConstructAnswer,
        FitAnswer,
        ModuliAnswer,
    )
    from looprate.theory.bounds.loop_counts import Coding
    from looprate.theory.bounds.theorem import Placement
    from looprate.theory.facts import Facts
    from looprate.theory.verdict import Finding

__all__ = ["AskedTarget"]


@dataclass(frozen=True, eq=False)
class AskedTarget:
    """A target at one N, d and p; made by :func:`looprate.target`.

    Attributes
    ----------
    target : Target
        Callable on arrays and tensors of shape (B, N, d).
    tokens, dim : int
    p : float
    """

    target: Target
    tokens: int
    dim: int
    p: float

    def __call__(self, x: Any) -> Any:
        """Return the target's values on a batch of shape (B, N, d)."""
        return self.target(x)

    def __repr__(self) -> str:
        return f"{self.target}: N = {self.tokens}, d = {self.dim}, p = {self.p:g}"

    def _repr_latex_(self) -> str:
        return f"${self.target.latex}$"

    @cached_property
    def facts(self) -> Facts:
        """What bounds and verdicts read: moduli, oscillation, best constant, hypotheses."""
        from looprate.experiments.study.known import known_facts

        return known_facts(self.target, **self.shape)

    @property
    def setting_columns(self) -> dict[str, Any]:
        """The columns that every row of a figure about the target has."""
        return {"target": str(self.target), "latex": self.target.latex, **self.shape}

    @cached_property
    def hypotheses(self) -> tuple[Finding, ...]:
        """The hypotheses on the target, checked; the facts hold the same ones."""
        from looprate.theory.hypotheses import check_hypotheses

        return tuple(check_hypotheses(self.target, **self.shape))

    @property
    def shape(self) -> dict[str, Any]:
        """N, d and p as keywords."""
        return {"tokens": self.tokens, "dim": self.dim, "p": self.p}

    def check(self) -> CheckAnswer:
        """Return the hypotheses of Theorem 3.6 on the target, each with a verdict and a reason."""
        from looprate.results import CheckAnswer

        return CheckAnswer(self, tuple(found.as_dict() for found in self.hypotheses))

    def moduli(
        self,
        delta: float | Sequence[float] | None = None,
        *,
        kinds: Kind | Sequence[Kind] = KINDS,
        certify: bool = False,
        seconds: float = 60.0,
        tolerance: float = 0.02,
        effort: float = 1.0,
        seed: int = 0,
    ) -> ModuliAnswer:
        """Return bounds of the moduli of continuity, as ``looprate moduli`` does.

        Parameters
        ----------
        delta : float or sequence of float, optional
            Radii, Frobenius norm of the input difference (default: 0.01 to 1).
        kinds : one or several of {"sequence", "token", "contextual"}
        certify : bool
            Add certified upper bounds, for ``seconds`` together, each until its relative gap is
            within ``tolerance``.
        effort : float
            Scales the search for lower bounds.
        seed : int
            Of that search.
        """
        from looprate.experiments.study.followed import followed
        from looprate.results import ModuliAnswer
        from looprate.theory.continuity.certified import certified_columns
        from looprate.theory.facts import lower_curves, moduli_rows, search_radii

        radii = search_radii(self.target, **self.shape) if delta is None else _several(delta)
        kinds = (kinds,) if isinstance(kinds, str) else kinds
        how: dict[str, Any] = {"effort": effort, "seed": seed, "kinds": kinds}
        curves = lower_curves(self.target, radii, **self.shape, **how)
        rows, refused = moduli_rows(self.target, curves, **self.shape), list[str]()
        if certify:
            limits: dict[str, Any] = {"seconds": seconds, "tolerance": tolerance}
            limits["follow"] = followed
            columns, refused = certified_columns(self.target, curves, **self.shape, **limits)
            rows = [{**row, **column} for row, column in zip(rows, columns, strict=True)]
        return ModuliAnswer(self, tuple(rows), tuple(refused))

    def bound(
        self,
        loops: int | Sequence[int],
        *,
        version: str = "theorem-3.6",
        placement: Placement = "all",
        slope: float = float("inf"),
        coding: Coding | None = None,
    ) -> BoundAnswer:
        """Return a bound term by term, as ``looprate bound`` does.

        Parameters
        ----------
        loops : int or sequence of int
            Loop counts r > N.
        version, placement, slope, coding
            As in :func:`looprate.theory.versions.bound_function`.
        """
        from looprate.results import BoundAnswer

        at = self.facts.bound(version, placement=placement, slope=slope, coding=coding)
        counts = [check_loops(r, tokens=self.tokens) for r in _whole(loops, "loops")]
        return BoundAnswer(self, tuple(at(r).as_dict() for r in counts))

    def construct(
        self,
        grid: int = 8,
        *,
        memoriser: str = "timestep",
        coding: str | None = None,
        bits: int | None = None,
        sharpness: int | None = None,
        tolerance: float | None = None,
        seconds: float = 60.0,
        seed: int = 0,
    ) -> ConstructAnswer:
        """Compile the proof into weights and certify them, as ``looprate construct`` does.

        Parameters
        ----------
        grid : int
            m, cells a side.
        memoriser : str
            One of :data:`looprate.theory.construction.memorisers.MEMORISERS`: timestep, increments,
            digits, two-level-increments or two-level-digits.
        coding, bits, sharpness
            As in the command; by default those that suit the memoriser.
        tolerance : float, optional
            Relative width of the error's enclosure to aim at.
        seconds : float
            Refuse what is estimated to take longer; the error's enclosure, on top, ends then.
        seed : int
            Of the cross-checks.
        """
        from looprate.experiments.study.certificates import (
            affordable,
            asked_spec,
            known_certificate,
        )
        from looprate.results import ConstructAnswer

        spec = asked_spec(
            tokens=self.tokens,
            dim=self.dim,
            grid=positive_int(_one(grid), "grid", "cells a side m"),
            memoriser=memoriser,
            coding=coding,
            bits=bits,
            sharpness=sharpness,
        )
        affordable(spec, seconds)
        how: dict[str, Any] = {} if tolerance is None else {"tolerance": tolerance}
        made, certificate, _ = known_certificate(
            self.target, spec, self.facts, seconds=seconds, seed=seed, **how
        )
        return ConstructAnswer(self, (certificate.as_dict(),), made, certificate)

    def fit(
        self,
        loops: int | Sequence[int],
        *,
        seeds: int | Sequence[int] = 4,
        family: Family = "tmlt",
        steps: int | None = None,
        learning_rates: float | Sequence[float] | None = None,
        device: str = "auto",
    ) -> FitAnswer:
        """Train looped Transformers, one a loop count, seed and learning rate.

        Parameters
        ----------
        loops : int or sequence of int
            Loop counts r.
        seeds : int or sequence of int
            How many, or which; they decide first weights and training points.
        family : {"tmlt", "lt", "untied"}
            With eta(t); with one eta, matched in parameters; or with a block a loop.
        steps : int, optional
            Of training (default: those of ``looprate verify``).
        learning_rates : float or sequence of float, optional
        device : {"auto", "cpu", "cuda"}
        """
        from looprate.experiments.engine.task import chosen_device
        from looprate.experiments.study.config import PRESETS, fit_arguments
        from looprate.experiments.study.work import trained
        from looprate.results import FitAnswer

        counts = [check_loops(r) for r in _whole(loops, "loops")]
        which = _whole(seeds, "seeds") if np.ndim(seeds) else range(_one(seeds))
        quick = PRESETS["quick"]
        recipe = quick.recipe
        if steps is not None:
            steps = positive_int(_one(steps), "steps", "training steps")
            few = min(recipe.evaluations, steps)
            recipe = replace(recipe, steps=steps, evaluations=few)
        rates = quick.learning_rates if learning_rates is None else _several(learning_rates)
        study = replace(
            quick,
            targets=(str(self.target),),
            p=self.p,
            families=(family,),
            learning_rates=tuple(rates),
            recipe=recipe,
            device=chosen_device(device),
        )
        rows, banks = list[Any](), list[Any]()
        for r, tell in _told(counts, "fit"):
            how = fit_arguments(study, family, loops=r, tokens=self.tokens, dim=self.dim)
            how |= {"seeds": list(which), "report": tell}
            bank, found = trained([self.target], [str(self.target)], **how)
            banks.append(bank)
            rows += found
        return FitAnswer(self, tuple(rows), tuple(banks))

    def best_fit(
        self,
        loops: int | Sequence[int],
        *,
        starts: int = 48,
        family: Family = "tmlt",
        boxes: int = 0,
        device: str = "auto",
    ) -> BestAnswer:
        """Search the best network of each loop count: many starts, halving, a polish in float64.

        Parameters
        ----------
        loops : int or sequence of int
            Loop counts r.
        starts : int
            Of each of the small blocks of ``looprate verify``, the best of which is taken.
        family : {"tmlt", "lt"}
        boxes : int
            Of a certificate for each network, over its loops; 0 certifies nothing.
        device : {"auto", "cpu", "cuda"}
            Of the training; the polish is on the CPU.
        """
        from looprate.experiments.engine.task import chosen_device
        from looprate.experiments.study.best import best_arguments, best_row
        from looprate.experiments.study.config import PRESETS
        from looprate.results import BestAnswer

        counts, quick = [check_loops(r) for r in _whole(loops, "loops")], PRESETS["quick"]
        plan = replace(quick.search, starts=positive_int(_one(starts), "starts", "first weights"))
        how = best_arguments(
            blocks=quick.blocks,
            plan=plan,
            boxes=boxes,
            device=chosen_device(device),
            **{name: getattr(quick, name) for name in ("points", "replicates", "compiled")},
        )
        found = [
            best_row(
                *(self.target, str(self.target)),
                **{**self.shape, **how, "family": family, "loops": r, "report": tell},
            )
            for r, tell in _told(counts, "best fit")
        ]
        return BestAnswer(self, tuple(row for _, row in found), tuple(best for best, _ in found))


def _told(counts: Sequence[int], name: str) -> Iterator[tuple[int, Callable[[float], None]]]:
    """Give each loop count with what reports its finished fraction, work growing with loops."""
    from looprate.experiments.engine.progress import Progress

    done = 0
    with Progress(sum(counts), name) as bar:
        for r in counts:

            def tell(part: float, done: int = done, r: int = r) -> None:
                bar.to(done + part * r)

            yield r, tell
            done += r


def _several(numbers: Any) -> list[Any]:
    """One number or several, NumPy's and torch's too, as a list of Python's."""
    found: list[Any] = np.atleast_1d(numbers).tolist()
    return found


def _one(count: Any) -> Any:
    """A whole float such as 1e4 as an integer; what is no count is refused later."""
    return int(count) if isinstance(count, float) and count.is_integer() else count


def _whole(counts: Any, name: str) -> list[Any]:
    """One count or several as a list, whole floats as integers."""
    found = [_one(count) for count in _several(counts)]
    if not found:
        raise ValueError(f"`{name}` must be one number or several, got {counts!r}")
    return found
