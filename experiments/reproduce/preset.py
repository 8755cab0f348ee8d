"""What one task's part of a preset decides: sizes, model, training, loop counts, seeds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from looprate.approx.models.sequence import SequenceConfig, matched_config, parameter_count
from looprate.experiments.reproduce.catalogue import MODELS
from looprate.experiments.reproduce.recipe import SequenceRecipe
from looprate.experiments.tasks.base import Task
from looprate.experiments.tasks.checks import check_integer
from looprate.theory.notation import check_loops

__all__ = ["TaskPreset"]


@dataclass(frozen=True)
class TaskPreset:
    """One task at one size, for every model, loop count and seed.

    Parameters
    ----------
    task : Task
    config : SequenceConfig
        Of the TMLT; its loop count does not matter.
    recipe : SequenceRecipe
    loops : tuple of int
        Loop counts r that looped models are trained with, a model for each.
    test_loops : tuple of int
        Loop counts at which every looped model is tested.
    seeds : int
        Seeds 0..seeds-1, of first weights and training rows, shared by all models.
    models : tuple of str
    depths : tuple of int
        Depths of the untied baseline; by default those of ``loops``.
    matched : bool
        Widen the looped model to the parameters of the TMLT; else the two share their block, as
        published, and the TMLT has its clock on top.
    rates : tuple of float
        Peak learning rates that every fit is made with; each model and loop count keeps the one
        that validates best.  None: that of the recipe alone.
    note : str
        Where it departs from what it stands for.
    """

    task: Task
    config: SequenceConfig
    recipe: SequenceRecipe
    loops: tuple[int, ...]
    test_loops: tuple[int, ...] = ()
    seeds: int = 1
    models: tuple[str, ...] = tuple(MODELS)
    depths: tuple[int, ...] = ()
    matched: bool = True
    rates: tuple[float, ...] = ()
    note: str = ""

    def __post_init__(self) -> None:
        check_integer("seeds", self.seeds, least=1)
        for name in ("loops", "test_loops", "depths", "models", "rates"):
            values = getattr(self, name)
            if len(set(values)) != len(values):
                raise ValueError(
                    f"`{name}` must hold distinct values, got {list(values)}; leave one out"
                )
            if name not in ("models", "rates"):
                for count in values:
                    check_loops(count)
        for name in ("loops", "models"):
            if not getattr(self, name):
                raise ValueError(f"`{name}` must hold at least one value, got none; leave it out")
        for model in self.models:
            if model not in MODELS:
                raise ValueError(f"`models` must be of {', '.join(MODELS)}, got {model!r}")
        self._check_fit()

    def _check_fit(self) -> None:
        """Raise unless the model reads the task's rows."""
        task, c = self.task, self.config
        if c.channels != task.channels or c.causal != task.causal:
            raise ValueError(
                f"`config` must have channels={task.channels} and causal={task.causal} for "
                f"{task.key}, got {c.channels} and {c.causal}"
            )
        if c.length and c.length < task.length:
            raise ValueError(
                f"`config` must have length >= {task.length} for {task.key}, got {c.length}"
            )

    def counts(self, model: str) -> tuple[int, ...]:
        """Return the loop counts, or depths, that a model is trained with."""
        return (self.depths or self.loops) if model == "untied" else self.loops

    def recipes(self) -> list[SequenceRecipe]:
        """Return the recipes that every fit is made with: one a learning rate."""
        return [replace(self.recipe, learning_rate=rate) for rate in self.rates] or [self.recipe]

    def model_config(self, model: str, loops: int) -> SequenceConfig:
        """Return the configuration of a model at a loop count."""
        family = MODELS[model]
        if self.matched:
            return matched_config(self.config, family, loops=loops)
        return replace(self.config, family=family, loops=loops)

    def parameters(self) -> dict[str, list[int]]:
        """Return the parameter counts of every model, one for each of its loop counts."""
        return {
            model: [
                parameter_count(self.model_config(model, loops)) for loops in self.counts(model)
            ]
            for model in self.models
        }

    def as_dict(self) -> dict[str, Any]:
        """Return a JSON-ready dictionary."""
        return {
            "sizes": dict(self.task.as_dict()),
            "model_config": self.config.as_dict(),
            "recipe": self.recipe.as_dict(),
            "loops": list(self.loops),
            "test_loops": list(self.test_loops),
            "seeds": self.seeds,
            "models": list(self.models),
            "depths": list(self.depths),
            "matched": self.matched,
            "note": self.note,
            **({"rates": list(self.rates)} if self.rates else {}),
        }


def model_of(task: Task, **changes: Any) -> SequenceConfig:
    """Return a TMLT's configuration that reads a task's rows; ``changes`` win.

    The vocabulary of a text that has to be fetched must be among them.
    """
    sizes: dict[str, Any] = {"length": task.length, "causal": task.causal}
    if task.channels:
        sizes |= {"channels": task.channels, "outputs": 1}
    elif "vocabulary" not in changes:
        sizes["vocabulary"] = len(task.vocabulary)
    return SequenceConfig(**{**sizes, "family": "tmlt", **changes})
