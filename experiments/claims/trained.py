"""The claim that sets trained networks beside constructed ones: an observation, never a proof."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from looprate.experiments.claims.claim import THIS, Claim, Drawn, found, wrong
from looprate.theory.construction.memorisers import MEMORISERS
from looprate.theory.gate import under_hypotheses
from looprate.theory.verdict import Finding, Verdict

__all__ = ["TRAINED", "check_trained"]

Row = dict[str, Any]
TRAINED = "trained-beside-constructed"
TARGET = "mean-field"
LOOPS = {"lt": 13, "tmlt": 19}  # what increments at m = 2 and timestep at m = 3 take, N = 2, d = 1
BUILT = (("increments", 2), ("timestep", 3))
STEPS, SEEDS, RATE = 100, (0, 1), 2e-2
PLACE = ("target", "tokens", "dim", "p", "family")
STEADY = 3.0  # standard errors added to a trained error
SILENT = "a trained error is approximation plus optimisation error: no word on any bound"


def check_trained(steps: int = STEPS, study: Path | None = None) -> Finding:
    """Trained errors against those of constructed networks with no more loops.

    Parameters
    ----------
    steps : int
        Of the fits made here; ignored where a study is given.
    study : Path, optional
        Folder of ``looprate verify`` whose stored rows are read instead.
    """
    trained = _fits(steps) if study is None else _stored(study, "rows.jsonl")
    built = _built() if study is None else _stored(study, "constructions.jsonl")
    pairs = _pairs([row for row in trained if row["error"] is not None], built)
    if not pairs:
        reason = "no trained network has as many loops as a certified constructed one; " + SILENT
        return found(Verdict.NOT_TESTABLE, "no pair", reason)
    worse = [pair for pair in pairs if pair["trained"] > pair["constructed"]]
    shown = max(worse or pairs, key=lambda pair: float(pair["trained"] / pair["constructed"]))
    what = (
        f"{shown['target']}, {shown['family']} at r = {shown['loops']}: {shown['trained']:.3g} "
        f"trained, {shown['constructed']:.3g} constructed ({shown['memoriser']}, "
        f"m = {shown['grid']})"
    )
    ratio = f"trained / constructed <= {shown['trained'] / shown['constructed']:.2g}"
    reason = f"{len(pairs)} pairs, {len(worse)} where training is worse; {what}; {SILENT}"
    finding = found(not worse, f"{len(pairs)} pairs, {ratio}", reason, pairs=pairs)
    return under_hypotheses(finding, [] if study is None else _hypotheses(study, pairs))


def _hypotheses(study: Path, pairs: Sequence[Row]) -> list[Finding]:
    """What a study found of the targets that are compared."""
    places = {tuple(pair[name] for name in PLACE[:-1]) for pair in pairs}
    theory = _stored(study, "theory.jsonl")
    own = [row for row in theory if tuple(row[name] for name in PLACE[:-1]) in places]
    return [Finding.from_dict(one) for row in own for one in row["hypotheses"]]


def _pairs(trained: Sequence[Row], built: Sequence[Row]) -> list[Row]:
    """Each family's worst seed at its largest r against the best network with at most r loops."""
    pairs: list[Row] = []
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in trained:
        if row["family"] != "untied":
            groups.setdefault(tuple(row[name] for name in PLACE), []).append(row)
    for place, own in sorted(groups.items()):
        most = max(row["loops"] for row in own)
        own = [row for row in own if row["loops"] == most]
        rate = min(own, key=lambda row: row["validation_error"] or float("inf"))["learning_rate"]
        worst = max(
            row["error"] + STEADY * row["error_stderr"]
            for row in own
            if row["learning_rate"] == rate
        )
        best = _best_built(place, most, built)
        if best is not None:
            pairs.append(
                {
                    **dict(zip(PLACE, place, strict=True)),
                    "loops": most,
                    "trained": worst,
                    "constructed": best["error_lower"],
                    "memoriser": best["memoriser"],
                    "grid": best["grid"],
                }
            )
    return pairs


def _best_built(place: tuple[Any, ...], loops: int, built: Sequence[Row]) -> Row | None:
    """The constructed network of the smallest error; eta(t) for TMLT only."""
    fitting = [
        row
        for row in built
        if (row["target"], row["tokens"], row["dim"], row["p"]) == place[:-1]
        and (place[-1] == "tmlt" or not MEMORISERS[row["memoriser"]].modulated)
        and row["loops"] <= loops
        and row["error_lower"]
    ]
    return min(fitting, key=lambda row: float(row["error_lower"]), default=None)


def _built() -> list[Row]:
    """Certificates of the networks that have as many loops as the fits made here."""
    from looprate.experiments.claims.check_certificates import Case, certified

    rows = [certified(Case(TARGET, kind, m)).as_dict() for kind, m in BUILT]
    return [row | {"target": TARGET, "p": 1.0} for row in rows]


def _fits(steps: int) -> list[Row]:
    """Errors of small networks trained here, on one thread: tensors are tiny."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return _fitted(steps)
    finally:
        torch.set_num_threads(threads)


def _fitted(steps: int) -> list[Row]:
    """Rows of LT and TMLT at equal parameters."""
    from looprate.approx.fit.fitted import Recipe, member_errors
    from looprate.approx.fit.fitting import fit
    from looprate.experiments.study.config import PRESETS, model_for
    from looprate.theory.targets import resolve_target

    target, rows = resolve_target(TARGET), []
    recipe = Recipe(steps=steps, evaluations=1)
    shape: Row = {"tokens": 2, "p": 1.0}
    for family, loops in LOOPS.items():
        model = model_for(PRESETS["smoke"], family, loops=loops, dim=1)  # type: ignore[arg-type]
        given: Row = {**shape, "loops": loops, "compiled": False}
        result = fit([target], model, seeds=SEEDS, learning_rates=[RATE], recipe=recipe, **given)
        estimates = member_errors(
            result, [target], points=512, replicates=4, batch=recipe.batch, **given
        )
        for index, estimate in enumerate(estimates):
            diverged = result.diverged_at[index] >= 0
            rows.append(
                {
                    **shape,
                    "target": TARGET,
                    "dim": 1,
                    "family": family,
                    "loops": loops,
                    "learning_rate": RATE,
                    "validation_error": float(result.curve[-1, index]),
                    "error": None if diverged else estimate.value,
                    "error_stderr": None if diverged else estimate.stderr,
                }
            )
    return rows


def _stored(study: Path, name: str) -> list[Row]:
    """Rows of a study's folder."""
    from looprate.experiments.rows.records import read_rows

    rows = read_rows(study / name)
    if not rows and name == "rows.jsonl":
        raise ValueError(f"`study` must be a folder of looprate verify with fits, got {study}")
    return rows


TRAINED_CLAIMS = (
    Claim(
        TRAINED,
        "Trained networks beside constructed ones with no more loops",
        "For every target and family in scope, at the largest trained r: every seed's L^p error "
        "(plus three standard errors) is below the certified error of every constructed network "
        "of that family's kind with at most r loops.",
        f"{THIS}, an observation",
        ("r at least the loops of some constructed network", "eta(t) set against TMLT only"),
        "The proof's weights are far from the best weights at these loop counts. A trained error "
        "is approximation plus optimisation error, so it is evidence neither for nor against a "
        "bound.",
        "mean-field, N = 2, d = 1, p = 1: LT at r = 13, TMLT at r = 19, 100 steps, 2 seeds; or the "
        "rows of a study given with --study",
        check_trained,
        (wrong("one step of training instead of 100", check_trained, 1),),
        Drawn("error-against-loops", "looprate verify --preset smoke --out runs/smoke"),
        seconds=20.0,
    ),
)
