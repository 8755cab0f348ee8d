"""What a study found, in five sentences: each is counted from verdicts, numbers lead to rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from looprate.experiments.engine.sweep import CONSTRUCTIONS, FITS, THEORY
from looprate.experiments.rows.markdown import tally
from looprate.experiments.study.best import BEST
from looprate.experiments.study.summary import NAMES
from looprate.theory.outputs import at_least, at_most
from looprate.theory.verdict import Verdict

Row = dict[str, Any]
SAID = {
    Verdict.HOLDS: "holds",
    Verdict.VIOLATED: "contradicted",
    Verdict.VACUOUS: "vacuous",
    Verdict.NOT_TESTABLE: "open",
}
FEW = 3  # targets that are named one by one


def headline(report: Row) -> list[str]:
    """Return five sentences in Markdown, on everything in a report; its links lead to rows."""
    parts, config = report["parts"], report["config"]
    if not parts:
        return ["No target has rows of trained networks yet: run the same command again."]
    return [
        _hypotheses(parts),
        _theorem(parts),
        _constructed(parts),
        _best(parts),
        _trained(parts, config["seeds"]),
    ]


def contradictions(parts: Sequence[Row]) -> Iterator[str]:
    """Yield every claim that the numbers contradict, with its target and why."""
    for part in parts:
        for finding in part["findings"]:
            if finding["verdict"] == Verdict.VIOLATED:
                yield f"`{part['target']}`: {finding['claim']} ({finding['reason']})"


def _hypotheses(parts: Sequence[Row]) -> str:
    """How many hypotheses hold, of which targets."""
    said = []
    for part in parts:
        states = [finding["state"] for finding in part["hypotheses"]]
        said.append(f"{states.count('holds')} of {len(states)} hold")
    broken = [
        f"`{part['target']}`: {f['claim']} {'fails' if f['state'] == 'fails' else 'was not tested'}"
        for part in parts
        for f in part["hypotheses"]
        if f["state"] != "holds"
    ]
    told = f"**Hypotheses**, checked on finitely many [inputs]({THEORY}): {tally(said, 'target')}"
    return f"{told}; {'; '.join(broken)}." if broken else f"{told}."


def _theorem(parts: Sequence[Row]) -> str:
    """Where Theorem 3.6 as evaluated here is below the best constant."""
    most = max(cell["loops"] for part in parts for cell in part["fits"])
    verdicts = [
        SAID[finding["verdict"]]
        for part in parts
        for finding in part["findings"]
        if finding["claim"].startswith("Theorem 3.6")
    ]
    onsets = [(part["target"], part["first_informative_words"]["theorem-3.6"]) for part in parts]
    below = "; ".join(f"`{target}` {words}" for target, words in onsets[:FEW])
    below = onsets[0][1] if len(onsets) == 1 else below
    return (
        f"**Theorem 3.6** (v7, with O-constants of this project) at the [trained]({FITS}) loop "
        f"counts, up to r = {most}, is {tally(verdicts, 'target')}; it is below the best "
        f"constant's error {below}{'; ...' if len(onsets) > FEW else ''}."
    )


def _constructed(parts: Sequence[Row]) -> str:
    """What the constructed networks reach, and whether they keep the explicit inequality."""
    rows = [(part["target"], row) for part in parts for row in part["certificates"]]
    if not rows:
        return "**Constructed networks**: none was certified."
    kept = {Verdict.HOLDS: "kept", Verdict.VACUOUS: "kept"}
    words = tally([kept.get(row["verdict"], SAID[row["verdict"]]) for _, row in rows], "network")
    below = sum(row["verdict"] == Verdict.HOLDS for _, row in rows)
    told = (
        "**Constructed networks** (a reconstruction of the proof, and variants of this project): "
        f"the explicit inequality, proven here, is {words}, and is below the best constant's "
        f"error for {below}"
    )
    enclosed = [(target, row) for target, row in rows if row["error_upper"] is not None]
    if not enclosed:
        return f"{told}."
    target, row = min(enclosed, key=lambda each: each[1]["error_upper"])
    return (
        f"{told}; smallest certified error [{at_least(row['error_lower'], 3)} to "
        f"{at_most(row['error_upper'], 3)}]({CONSTRUCTIONS}) (`{target}`, {row['memoriser']}, "
        f"r = {row['loops']})."
    )


def _best(parts: Sequence[Row]) -> str:
    """The smallest error that a search found for each target."""
    found = [
        (part, min(part["best"], key=lambda row: row["error"])) for part in parts if part["best"]
    ]
    if not found:
        return f"**Best found**: no [network]({BEST}) was searched."
    told = [
        f"`{part['target']}` [{row['error']:.3g} ± {row['stderr']:.1g}]({BEST}) at "
        f"r = {row['loops']} "
        f"({NAMES[row['family']]}; best constant {part['trivial']:.3g})"
        for part, row in found[:FEW]
    ]
    more = "; ..." if len(found) > FEW else ""
    return (
        "**Best found** by search, an error that some weights reach and no limit of "
        f"what weights can reach: {'; '.join(told)}{more}."
    )


def _trained(parts: Sequence[Row], seeds: int) -> str:
    """What may be asked of trained networks, and whether training was over."""
    said: dict[str, list[str]] = {}
    for part in parts:
        for each in part["answers"]:
            said.setdefault(each["claim"], []).append(each["answer"])
    answers = "; ".join(f"{claim}: {tally(words, 'target')}" for claim, words in said.items())
    fits = sum(part["convergence"]["fits"] for part in parts)
    done = sum(part["convergence"]["converged"] for part in parts)
    return (
        f"**Trained networks** ({seeds} [seeds]({FITS})): {answers}; {done} of {fits} fits had "
        "stopped improving, and none of this confirms or refutes a bound."
    )
