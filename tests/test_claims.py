"""The ledger of claims: complete, honest in words, resumable; its checks reject what is broken."""

import json
import re
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from looprate.experiments.claims import (
    CLAIMS,
    REJECTED,
    THEMES,
    check_bounds,
    check_certificates,
    check_moduli,
    ledger,
)
from looprate.experiments.claims.claim import compared, found
from looprate.experiments.claims.ledger import stored_run
from looprate.experiments.claims.page import markdown, told
from looprate.experiments.claims.reported import EXPERIMENTS, TABLES
from looprate.experiments.claims.trained import check_trained
from looprate.figures.kinds import KINDS
from looprate.theory.verdict import Finding, Verdict

ROOT = Path(__file__).resolve().parent.parent
CHEAP = (  # checks of about a second at most
    "moduli-zero-at-zero",
    "token-wise-no-context",
    "others-mean-no-token",
    "delta-and-loops-invert",
    "printed-exponent-loose",
    "construction-within-stages",
    "placement-weaker",
    "outputs-stay-in-range",
    "quantise-exact",
    "contextual-mapping-distinct",
    "lemma-4-1-error",
    "lemma-4-1-size",
    "theorem-4-2-exact",
    "theorem-4-2-size",
    "sizes-within-the-papers",
    "timestep-needs-fewer-loops",
    "experiments-outside-hypothesis",
)
TOPICS = {  # what a ledger of this paper must speak of -> a word of the ids that do
    "each term": ("term-discretisation", "term-memoriser", "term-collisions", "term-strips"),
    "lemma and theorem": ("lemma-4-1-error", "theorem-4-2-exact", "corollary-3-7"),
    "stages": ("quantise-exact", "contextual-mapping-distinct", "value-mapping-loops"),
    "slopes": ("slope-increments", "slope-timestep", "slope-digits", "printed-exponent-loose"),
    "trained": ("trained-beside-constructed",),
    "moduli": ("certified-brackets", "moduli-monotone", "moduli-subadditive"),
}
BANNED = re.compile(r"\b(proves|proven that|proved that|confirms)\b")


# -- the data --------------------------------------------------------------------------------------
def test_ids_are_unique_and_in_kebab_case():
    listed = [claim.id for claims in THEMES.values() for claim in claims]
    assert len(listed) == len(set(listed)) == len(CLAIMS) >= 25
    assert all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name) for name in listed)


@pytest.mark.parametrize("claim", CLAIMS.values(), ids=CLAIMS)
def test_every_field_is_filled(claim):
    for name in ("title", "statement", "source", "reading", "scope"):
        text = getattr(claim, name)
        assert isinstance(text, str)
        assert text == text.strip() != ""
    assert claim.reading.endswith(".")
    assert claim.seconds > 0
    assert "v7" in claim.source or "this project" in claim.source
    assert len({control.name for control in claim.controls}) == len(claim.controls)
    assert claim.reported or claim.controls, "a check without a wrong variant shows nothing"


def test_topics_are_covered():
    assert not {name for names in TOPICS.values() for name in names} - set(CLAIMS)
    assert {f"reported-{table.id}" for table in TABLES} <= set(CLAIMS)


def test_no_claim_speaks_of_proof_by_experiment():
    for claim in CLAIMS.values():
        for name, text in told(claim):
            assert not BANNED.search(text), (claim.id, name)


def test_reported_numbers_are_said_to_be_reported():
    for claim in CLAIMS.values():
        if claim.reported:
            finding = claim.run()
            assert finding.verdict is Verdict.NOT_TESTABLE
            assert "reported" in finding.reason + claim.source
    assert all(one.loops < one.tokens for one in EXPERIMENTS)


def test_the_page_is_up_to_date():
    page = (ROOT / "docs" / "claims.md").read_text()
    assert page == markdown(stored_run()), "run: looprate claims --markdown > docs/claims.md"
    assert all(f"### {name}\n" in page for name in CLAIMS)


def test_the_page_shows_what_the_stored_run_found():
    run = stored_run()
    assert len(run) > len(CLAIMS) // 2
    page, name = markdown(run), "moduli-monotone"
    for row in run.values():
        assert re.fullmatch(r"20\d\d-\d\d-\d\d", row["date"])
        wanted = "not testable" if CLAIMS[row["id"]].reported else "holds"
        assert row["verdict"] == wanted
    entry = page[page.index(f"### {name}\n") :].partition("\n### ")[0]
    row = run[name]
    assert f"- **stored run**: holds: {row['figure']} ({row['date']}, " in entry
    changed = markdown({**run, name: {**row, "verdict": "violated"}})
    assert "- **stored run**: violated: " in changed
    assert "violated for 1" in changed


def test_a_claim_that_reads_otherwise_than_in_the_stored_run_has_no_verdict(tmp_path):
    row = stored_run()["moduli-monotone"]
    path = tmp_path / "claims.json"
    path.write_text(json.dumps([{**row, "claim": "another"}, {**row, "id": "gone"}]))
    assert stored_run(path) == stored_run(tmp_path / "none.json") == {}
    assert f"not in the stored run for all {len(CLAIMS)} claims." in markdown({})


def test_figures_exist_and_their_commands_parse():
    from looprate.cli import _parser

    drawn = {claim.drawn for claim in CLAIMS.values() if claim.drawn}
    assert drawn
    for figure in drawn:
        assert figure.name in KINDS
        assert _parser().parse_args(figure.command.removeprefix("looprate ").split())


# -- checks and their wrong variants ---------------------------------------------------------------
SLOW = (pytest.mark.slow, pytest.mark.timeout(600))


@pytest.mark.parametrize(
    "claim",
    [
        pytest.param(one, id=name, marks=() if name in CHEAP else SLOW)
        for name, one in CLAIMS.items()
    ],
)
def test_every_claim_holds_and_every_wrong_variant_is_rejected(claim):
    finding = claim.run()
    wanted = Verdict.NOT_TESTABLE if claim.reported else Verdict.HOLDS
    assert finding.verdict is wanted, finding.reason
    assert finding.claim == claim.statement
    assert finding.evidence["figure"]
    json.dumps(finding.as_dict(), allow_nan=False)
    for control, rejected in claim.run_controls():
        assert rejected.verdict in REJECTED, control.name
        assert control.name in rejected.claim


def test_comparisons_find_the_one_case_beyond():
    rows = [("fine", 1.0, 2.0), ("tight", 2.0, 2.0), ("beyond", 2.1, 2.0)]
    finding = compared(rows, "left against right")
    assert finding.verdict is Verdict.VIOLATED
    assert finding.reason == "left against right: 2.1 > 2 at beyond"
    assert finding.evidence["beyond"] == 1
    kept = compared(rows[:2], "left against right")
    assert (kept.verdict, kept.evidence["case"]) == (Verdict.HOLDS, "tight")


def test_comparisons_of_nothing_or_of_nan_do_not_hold():
    assert compared([], "nothing").verdict is Verdict.NOT_TESTABLE
    assert compared([("nan", float("nan"), 1.0)], "nan").verdict is Verdict.VIOLATED


def test_rounding_is_forgiven_in_floats_but_not_in_exact_numbers():
    rows = [("hair", 1.0 + 1e-12, 1.0)]
    assert compared(rows, "floats").verdict is Verdict.HOLDS
    assert compared(rows, "exact", exact=True).verdict is Verdict.VIOLATED


def test_brackets_reject_a_bound_below_an_attained_value(monkeypatch):
    class Bound:
        def __init__(self, value):
            self.value = value

    monkeypatch.setattr(check_moduli, "CERTIFIED", check_moduli.SETTINGS[:1])
    for scale, verdict in ((1.0, Verdict.HOLDS), (0.9, Verdict.VIOLATED)):
        monkeypatch.setattr(
            "looprate.theory.continuity.modulus_upper_bound",
            lambda f, t, *, kind, seconds, scale=scale, **shape: Bound(
                scale * f.closed_form(t, kind=kind, **shape).value
            ),
            raising=False,
        )
        assert check_moduli.check_brackets().verdict is verdict


# -- trained networks beside constructed ones, from a study's rows ---------------------------------
def study(folder, trained, constructed, hypotheses=()):
    """A folder with one trained network of each family at r = 40 and one constructed network."""
    common = {"target": "mean-field", "tokens": 2, "dim": 1, "p": 1.0, "task": "t", "index": 0}
    fits = [
        {
            **common, "of": 1, "task": family, "family": family, "loops": 40, "seed": 0,
            "learning_rate": 0.01, "validation_error": trained, "error": trained,
            "error_stderr": 0.0,
        }
        for family in ("lt", "tmlt")
    ]  # fmt: skip
    built = [
        {
            **common, "of": 1, "task": memoriser, "memoriser": memoriser, "loops": loops,
            "grid": 4, "error_lower": constructed, "error_upper": constructed,
        }
        for memoriser, loops in (("timestep", 34), ("increments", 121))
    ]  # fmt: skip
    folder.mkdir()
    theory = [{**common, "of": 1, "hypotheses": [one.as_dict() for one in hypotheses]}]
    for name, rows in (("rows", fits), ("constructions", built), ("theory", theory)):
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / f"{name}.jsonl").write_text(lines)
    return folder


def test_a_study_is_compared_only_with_networks_of_no_more_loops(tmp_path):
    finding = check_trained(study=study(tmp_path / "better", 0.1, 0.2))
    assert finding.verdict is Verdict.HOLDS
    assert [pair["family"] for pair in finding.evidence["pairs"]] == ["tmlt"]  # 121 > 40 loops
    assert "no word on any bound" in finding.reason
    worse = check_trained(study=study(tmp_path / "worse", 0.3, 0.2))
    assert worse.verdict is Verdict.VIOLATED
    none = check_trained(study=study(tmp_path / "none", 0.1, None))
    assert none.verdict is Verdict.NOT_TESTABLE


# -- a failed hypothesis outranks a broken finding (R6) --------------------------------------------
FAILED = Finding("the target is equivariant", Verdict.NOT_TESTABLE, "tokens were exchanged")
OPEN = Finding("the target is continuous", Verdict.NOT_TESTABLE, "", {"skipped": True})


@pytest.mark.parametrize("hypothesis", [FAILED, OPEN], ids=["failed", "open"])
def test_no_claim_about_errors_is_violated_where_a_hypothesis_does_not_hold(
    hypothesis, monkeypatch, tmp_path
):
    case = check_certificates.INFORMATIVE[2]
    dropped = partial(check_certificates.without, kinds=("sequence",))
    checks = (
        partial(
            check_certificates.check_term,
            "discretisation",
            partial(check_certificates.broken, change=dropped),
            [case],
        ),
        lambda: check_certificates.judged(found(False, "", "beyond"), [case]),
    )
    for check in checks:
        assert check().verdict is Verdict.VIOLATED
    facts = check_certificates.facts_at
    monkeypatch.setattr(
        check_certificates, "facts_at", lambda *a: replace(facts(*a), hypotheses=(hypothesis,))
    )
    for check in checks:
        assert check().verdict is Verdict.NOT_TESTABLE
        assert "otherwise: " in check().reason
    held = found(True, "", "within")
    assert check_certificates.judged(held, [case]) is held
    worse = check_trained(study=study(tmp_path / "s", 0.3, 0.2, [hypothesis]))
    assert worse.verdict is Verdict.NOT_TESTABLE


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("watched-token-does-not-matter", "a function that weights tokens by their place"),
        ("corollary-3-7", "a target that is not equivariant"),
    ],
)
def test_a_target_that_is_not_equivariant_violates_no_claim_about_those_that_are(
    name, wrong, monkeypatch
):
    monkeypatch.setattr(check_moduli, "SETTINGS", check_moduli.SETTINGS[1:2])
    (control,) = (one for one in CLAIMS[name].controls if one.name == wrong)
    found_there = control.check()
    assert found_there.verdict is Verdict.NOT_TESTABLE
    assert "permut" in found_there.reason


def test_a_hypothesis_that_was_not_looked_at_is_not_called_refuted(monkeypatch):
    monkeypatch.setattr(check_bounds, "_hypotheses", lambda *a: (FAILED, OPEN))
    verdicts = [check_bounds.check_hypotheses(k, ("mean-field",)).verdict for k in (0, 1)]
    assert verdicts == [Verdict.VIOLATED, Verdict.NOT_TESTABLE]


# -- running, storing, resuming --------------------------------------------------------------------
@pytest.fixture
def counted(monkeypatch):
    """Three small claims that count how often they run."""
    runs = {"one": 0, "two": 0, "three": 0}
    base = CLAIMS["moduli-zero-at-zero"]

    def check(name, verdict):
        runs[name] += 1
        return found(verdict, "a figure", "a reason", value=1.5)

    claims = {
        name: replace(base, id=name, check=partial(check, name, verdict))
        for name, verdict in (("one", True), ("two", True), ("three", Verdict.NOT_TESTABLE))
    }
    monkeypatch.setattr(ledger, "CLAIMS", claims)
    return claims, runs


def test_results_are_stored_and_reused(tmp_path, counted):
    claims, runs = counted
    first = ledger.results(list(claims.values()), tmp_path)
    again = ledger.results(list(claims.values()), tmp_path)
    assert first == again
    assert set(runs.values()) == {1}
    ledger.results(list(claims.values()), tmp_path, again=True)
    assert set(runs.values()) == {2}
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "one.json",
        "three.json",
        "two.json",
    ]


def test_a_broken_off_run_resumes_and_torn_files_are_run_again(tmp_path, counted):
    claims, runs = counted

    def stop(part, note):
        if note == "three":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ledger.results(list(claims.values()), tmp_path, report=stop)
    (tmp_path / "one.json").write_text('{"key": "tor')
    found = ledger.results(list(claims.values()), tmp_path)
    assert runs == {"one": 2, "two": 1, "three": 1}
    assert [row["verdict"] for row in found] == ["holds", "holds", "not testable"]


def test_other_sources_versions_or_inputs_run_again(tmp_path, counted, monkeypatch):
    claims, runs = counted
    only = [claims["one"]]
    ledger.results(only, tmp_path)
    ledger.results(only, tmp_path, given={"one": "a study", "two": "another"})
    assert runs["one"] == 2
    monkeypatch.setattr(ledger, "_sources", lambda: "other sources")
    ledger.results(only, tmp_path, given={"one": "a study", "two": "another"})
    assert runs["one"] == 3


# -- the commands ----------------------------------------------------------------------------------


def test_a_finding_is_told_under_the_claims_own_words():
    claim = replace(CLAIMS["one-token"], check=lambda: Finding("other", Verdict.HOLDS, "r", {}))
    assert claim.run().claim == claim.statement
