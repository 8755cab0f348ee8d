"""The report of a study in words: Markdown, which also becomes the page of HTML."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from looprate.experiments.engine.sweep import CONSTRUCTIONS, FITS, THEORY
from looprate.experiments.rows.markdown import table
from looprate.experiments.study.best import BEST, table_lines
from looprate.experiments.study.figure_rows import BOUND_LABELS, slug
from looprate.experiments.study.headline import contradictions, headline
from looprate.experiments.study.summary import CONVERGED, NAMES
from looprate.theory.certification import drawn
from looprate.theory.outputs import at_least, at_most

Row = dict[str, Any]
MAIN = (
    "Error against the number of loops r: best found, trained and constructed networks, the "
    "bounds as evaluated here, and the error of the best constant"
)
NORMS = {"rms": "RMS normalisation before attention and feed-forward", "none": "no normalisation"}


def markdown(report: Row) -> str:
    """Return the report of a study as Markdown."""
    parts = report["parts"]
    lines = ["# Error against loop count, next to the theory", ""]
    if report.get("failed"):
        lines += ["**This report is not complete: tasks failed.** Run the same command again.", ""]
        lines += [*(f"- {task}" for task in report["failed"]), ""]
    lines += ["## Findings", ""]
    lines += [f"{k}. {sentence}" for k, sentence in enumerate(headline(report), start=1)]
    lines += ["", *_contradicted(parts)]
    lines += _main_figure(parts[0]) if parts else []
    lines += _how_to_read(report)
    for place, part in enumerate(parts):
        lines += _part_lines(part, first=place == 0)
    for name in report["roughness"]:
        lines += ["## Rough and smooth targets", "", f"![roughness](figures/roughness__{name}.png)"]
        lines += ["", *_rows_of(f"figures/roughness__{name}.csv")]
    lines += _LESSONS
    lines += ["## Versions", "", ", ".join(f"{k} {v}" for k, v in report["versions"].items()), ""]
    return "\n".join(lines)


def _contradicted(parts: Sequence[Row]) -> list[str]:
    """What the numbers contradict, or that it is nothing."""
    found = list(contradictions(parts))
    if not found:
        return ["No claim of this report is contradicted by its numbers.", ""]
    return ["**Contradicted**", "", *(f"- {sentence}" for sentence in found), ""]


def _main_figure(part: Row) -> list[str]:
    """The figure of errors against loops of one target."""
    name = f"error-against-loops__{slug(part['target'], part['tokens'], part['dim'])}"
    return [f"![{MAIN}](figures/{name}.png)", "", *_rows_of(f"figures/{name}.csv")]


def _rows_of(*files: str) -> list[str]:
    """Where the numbers above or below are from."""
    names = {file: file.removeprefix("figures/").partition("__")[0] for file in files}
    links = (f"[{name.partition('.')[0]}]({file})" for file, name in names.items())
    return [f"Rows: {', '.join(links)}.", ""]


def _how_to_read(report: Row) -> list[str]:
    """What was trained, whose constants these are, and what the words mean."""
    config, parts = report["config"], report["parts"]
    recipe, rates = config["recipe"], ", ".join(f"{r:g}" for r in config["learning_rates"])
    model = parts[0]["model"] if parts else None
    trained = "" if model is None else f"{_model_words(model)} "
    return [
        "## What was run, and whose numbers these are",
        "",
        f"*Trained*: {trained}{config['seeds']} seeds, peak learning rates tried: {rates}, the "
        "best by median validation error reported for every family alike; "
        f"{recipe['steps']} steps of {recipe['batch']} fresh points. Errors are sampled on "
        "held-out points; they are approximation plus optimisation error.",
        "",
        "*Theory*: Xu & Sato, arXiv 2410.01405v7, known to this project through summaries; where "
        "these disagree, the reading used is the one named in the theory's page. The paper leaves "
        "its O-constants open: every number at a bound has those of this project's explicit "
        "inequality. Its networks attend by hardmax and have neither normalisation nor gates.",
        "",
        "*Constructed*: a reconstruction of the proof as weights, and variants of it by this "
        "project; errors are rigorous enclosures in exact arithmetic.",
        "",
        "*Moduli*: at least what a pair of inputs attains; at most what is proven, by a closed "
        "form or by a certified search.",
        "",
        "*Words*: of a claim that holds no case looked at contradicts it; a vacuous bound is not "
        "below the best constant's error; not testable is what a hypothesis leaves open that "
        "fails, or what the numbers cannot decide. Questions about trained networks are answered "
        "by yes, no or not clear, since no theorem here speaks of training.",
        "",
    ]


def _model_words(model: Row) -> str:
    """What kind of network was trained, from its configuration."""
    gated = model["loops"] > 1 and model["gate"] == 1.0 / model["loops"]
    gates = "learned residual gates of size 1/r" if gated else "learned residual gates"
    activation = {"relu": "ReLU", "gelu": "GELU", "silu": "SiLU"}[model["activation"]]
    return f"softmax attention, {NORMS[model['norm']]}, {activation}, {gates};"


_LESSONS = [
    "## The construction, drawn",
    "",
    "What a memoriser loses as labels get rougher (Lemma 4.1 against Theorem 4.2):",
    "",
    "![memorisers](figures/memorisers__lesson.png)",
    "",
    "Where arithmetic breaks:",
    "",
    "![arithmetic](figures/arithmetic__lesson.png)",
    "",
    "The three stages, d = 1, N = 2:",
    "",
    "![stages](figures/stages__lesson.png)",
    "",
]


def _part_lines(part: Row, *, first: bool) -> list[str]:
    """Return the Markdown of one target and shape; the first one's figure is above all."""
    name = slug(part["target"], part["tokens"], part["dim"])
    states = [finding["state"] for finding in part["hypotheses"]]
    trained = f"figures/training-curves__{name}"
    return [
        f"## `{part['target']}`, N = {part['tokens']}, d = {part['dim']}, p = {part['p']:g}",
        "",
        f"${part['latex']}$",
        "",
        *([] if first else _main_figure(part)),
        f"### Hypotheses: {states.count('holds')} of {len(states)} hold",
        "",
        *table(
            "state | hypothesis | looked at",
            ((f"**{f['state']}**", f["claim"], f["reason"]) for f in part["hypotheses"]),
        ),
        *_rows_of(THEORY),
        "### Verdicts",
        "",
        *table(
            "verdict | claim | why",
            ((f"**{f['verdict']}**", f["claim"], f["reason"]) for f in part["findings"]),
        ),
        *_rows_of(THEORY, CONSTRUCTIONS),
        "### Questions about trained networks",
        "",
        *table(
            "answer | question | why",
            ((f"**{a['answer']}**", a["claim"], a["reason"]) for a in part["answers"]),
        ),
        *_convergence(part["convergence"]),
        *_rows_of(FITS),
        "### From where on each bound is below the best constant",
        "",
        f"The best constant's error: {part['trivial']:.4g}, sampled (standard error "
        f"{part['trivial_stderr']:.1g}).",
        "",
        *table(
            "bound | below it",
            (
                (BOUND_LABELS[version][1] if version in BOUND_LABELS else version, words)
                for version, words in part["first_informative_words"].items()
            ),
        ),
        f"![Terms of the bounds against loops](figures/bound-terms__{name}.png)",
        "",
        *_rows_of(THEORY, f"figures/bound-terms__{name}.csv"),
        "### Constructed networks (a reconstruction of the proof, and variants, as weights)",
        "",
        "Errors are rigorous enclosures in exact arithmetic; paper loops: what the theorem, as "
        "reported, asks for at the same cell width.",
        "",
        *table(
            "memoriser | code | m | loops | paper loops | error | explicit bound | verdict",
            map(_certificate_cells, part["certificates"]),
        ),
        *(
            f"{memoriser}: m = {', '.join(map(str, grids))} left out, estimated to take too long."
            for memoriser, grids in part["grids_left_out"].items()
        ),
        "",
        *_rows_of(CONSTRUCTIONS),
        *([*table_lines(part["best"]), *_rows_of(BEST)] if part["best"] else []),
        *([f"![best of n starts](figures/best-of-n__{name}.png)", ""] if part["best"] else []),
        "### Trained networks (best recipe by validation)",
        "",
        *table(
            "family | loops | parameters | rate | error: median (range over seeds) | diverged "
            "| stopped improving",
            map(_fit_cells, part["fits"]),
        ),
        f"![Validation error against training steps]({trained}.png)",
        "",
        *_rows_of(FITS, f"{trained}.csv"),
        *_slope_lines(part),
        *_rows_of(FITS),
        "### Moduli",
        "",
        f"![Moduli against radius](figures/moduli__{name}.png)",
        "",
        *table("kind | delta | at least | at most | side", map(_modulus_cells, part["moduli"])),
        *_rows_of(THEORY, f"figures/moduli__{name}.csv"),
    ]


def _convergence(told: Row) -> list[str]:
    """A note on whether training was over: no claim rests on it."""
    words = (
        f"Note: {told['converged']} of {told['fits']} reported fits had stopped improving, that "
        f"is, their validation error fell by less than {CONVERGED:.0%} over the last quarter of "
        f"training; {told['diverged']} diverged, median gain {told['median_gain']:.0%}."
    )
    if 2 * told["converged"] <= told["fits"]:
        words += (
            " More steps may lead to other errors, lower ones or, where training diverges, none."
        )
    return [words, ""]


def _modulus_cells(row: Row) -> list[str]:
    """Return one table line of moduli."""
    known = drawn(row)["upper"]
    upper = "" if known is None else at_most(known, 5)
    return [row["kind"], f"{row['delta']:g}", at_least(row["lower"], 5), upper, row["side"]]


def _certificate_cells(row: Row) -> list[Any]:
    """Return one table line of constructed networks."""
    low, high = row["error_lower"], row["error_upper"]
    error = "not enclosed" if high is None else f"{at_least(low, 4)} to {at_most(high, 4)}"
    bound = "unknown" if row["bound"] is None else at_most(row["bound"], 3)
    what = [row[name] for name in ("memoriser", "coding", "grid", "loops", "paper_loops")]
    return [*what, error, bound, row["verdict"]]


def _fit_cells(cell: Row) -> list[Any]:
    """Return one table line of trained networks."""
    error = "all diverged"
    if cell["median"] is not None:
        error = f"{cell['median']:.3g} ({cell['low']:.3g} to {cell['high']:.3g})"
    rate, converged = f"{cell['learning_rate']:g}", f"{cell['converged']:.0%}"
    what = [NAMES[cell["family"]], cell["loops"], cell["parameters"], rate]
    return [*what, error, cell["diverged"], converged]


def _slope_lines(part: Row) -> list[str]:
    """Return the slopes of the trained errors in words."""
    lines = ["### Slopes of trained errors in log r", ""]
    for family, fit in part["slopes"].items():
        interval = fit["interval"]
        words = f"- {NAMES[family]}: {fit['slope']:.3f}"
        if interval:
            words += f" (95 % over seeds {interval[0]:.3f} to {interval[1]:.3f})"
        words += f", {fit['status']}"
        if fit["offset_slope"] is not None:
            words += (
                f"; with a floor, E + A r^b: E = {fit['offset_floor']:.3g}, "
                f"b = {fit['offset_slope']:.3f}"
            )
            if fit["offset_interval"]:
                low, high = fit["offset_interval"]
                words += f" ({low:.3f} to {high:.3f})"
        lines.append(words)
    lines += [
        "",
        f"For comparison, δ of Theorem 3.6 falls like r^-{part['printed_exponent']:.3g}; no "
        "theorem says that trained networks follow it.",
        "",
    ]
    return lines
