"""Pages of reports: complete in themselves, the Markdown's own words, verdicts counted in words."""

import base64
import re

import pytest

from looprate.experiments.rows.formula import mathml
from looprate.experiments.rows.markdown import plain, table, tally
from looprate.experiments.rows.page import page, write_page
from looprate.experiments.study.headline import contradictions, headline
from looprate.experiments.study.words import markdown
from looprate.theory.targets import resolve_target
from looprate.theory.targets.registry import TARGETS

REPORT = """\
# A report

## Findings

1. **Claim**: [0.5 ± 0.1](rows.jsonl) at r = 4; a < b & `c <i>` and w_tok * 2 * 3.
2. Second, $x_n$.

![what it shows](figures/a.png)

## Evidence

Before *all* this.

### One

| verdict | why |
|---|---|
| **holds** | p \\| q &lt;blank> |

- item

### Two

![gone](figures/b.png)

## Note

Only words.
"""
PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


@pytest.fixture
def report(tmp_path):
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "a.png").write_bytes(PIXEL)
    (tmp_path / "report.md").write_text(REPORT)
    return write_page(tmp_path / "report.md")


# -- the page --------------------------------------------------------------------------------------
def test_a_page_needs_no_script_and_no_other_file(report):
    text = report.read_text()
    assert re.findall(r'src="([^"]{10})', text) == ["data:image"]
    assert not re.search(
        r"<(script|link|iframe|object|embed|base|form)\b|@import|url\(|\bon\w+=", text
    )
    assert "http" not in text
    for needed in ('lang="en"', "prefers-color-scheme: dark", "@media print", "width=device-width"):
        assert needed in text


def test_a_page_has_every_form_of_the_markdown(report):
    text = report.read_text()
    assert '<a href="rows.jsonl">0.5\u00a0±\u00a00.1</a>' in text  # no number is broken
    assert "a\u00a0&lt;\u00a0b &amp; <code>c &lt;i&gt;</code> and w_tok * 2 * 3." in text
    assert "<msub><mi>x</mi><mi>n</mi></msub>" in text
    assert '<td class="short">p | q &lt;blank&gt;</td>' in text
    assert "Before <em>all</em> this." in text
    assert "<ul><li>item</li></ul>" in text
    assert text.count("<li>") == 3
    assert 'alt="what it shows"' in text
    assert "Not drawn: gone." in text


def test_evidence_is_folded_and_findings_are_not(report):
    text = report.read_text()
    assert re.findall(r"<summary>(.*?)</summary>", text) == ["One", "Two"]
    assert text.count("<details") == text.count("</details>") == 2
    assert text.index("<ol>") < text.index("<img") < text.index("<details")
    assert re.findall(r"<h(\d) id=\"([^\"]+)\"", text) == [
        ("1", "a-report"),
        ("2", "findings"),
        ("2", "evidence"),
        ("2", "note"),
    ]


@pytest.mark.parametrize(
    "hostile",
    ["<script>x</script>", "[x](javascript:alert)", '[x](a"onclick)', "![x](/etc/passwd)", "<b>"],
)
def test_nothing_in_a_report_becomes_markup_of_its_own(tmp_path, hostile):
    quiet = page("# t\n\n" + hostile + "\n\n" + "\n".join(table("a", [[hostile]])), tmp_path)
    assert not re.search(r"<script|href=\"(java|a&quot)|onclick=|<b>|root:", quiet)


def test_a_page_that_loads_something_is_seen():  # the first test can fail
    assert re.search(r"@import|url\(", page("# t", None).replace("<style>", "<style>@import x;"))


# -- formulas --------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", [*TARGETS, "formula: sin(6*x)**2 + exp(-x)*max(x)/(1 + abs(x))"])
def test_formulas_of_targets_become_mathml(name):
    text = mathml(resolve_target(name).latex)
    assert text.startswith("<math><mrow>")
    assert "\\" not in text
    for tag in ("mrow", "msub", "msup", "msubsup", "munder", "mfrac", "msqrt", "mi", "mo"):
        assert len(re.findall(f"<{tag}[ >]", text)) == text.count(f"</{tag}>")


def test_scripts_and_fractions_have_as_many_parts_as_mathml_asks_for():
    assert mathml(r"\max_m x") == (
        "<math><mrow><msub><mi>max</mi><mi>m</mi></msub><mo>\u2061</mo><mi>x</mi></mrow></math>"
    )
    assert mathml(r"\frac{1}{N}") == (
        "<math><mrow><mfrac><mrow><mn>1</mn></mrow><mrow><mi>N</mi></mrow></mfrac></mrow></math>"
    )
    assert mathml(r"\sum_{m} a_i^2").count("<munder>") == 1
    assert "<msubsup><mi>a</mi><mi>i</mi><mn>2</mn></msubsup>" in mathml(r"a_i^2")


@pytest.mark.parametrize("broken", [r"\unknown x", r"\frac{1}", "x_", "{x"])
def test_what_is_no_known_formula_is_shown_as_its_source(broken):
    assert mathml(broken).startswith("<code>")


# -- findings --------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["holds"], "holds"),
        (["holds"] * 2, "holds for both targets"),
        (["holds"] * 3, "holds for all 3 targets"),
        (["open", "holds", "holds", "holds"], "holds for 3 of 4 targets, open for 1"),
        (["a", "b", "b", "c"], "b for 2 of 4 targets, a for 1, c for 1"),
    ],
)
def test_mixed_verdicts_are_counted_in_words(words, said):
    assert tally(words, "target") == said


def part(target="f", verdict="holds", state="holds", answer="yes"):
    """One target of a report, in which one word of each sort varies."""
    return {
        "target": target,
        "trivial": 0.5,
        "hypotheses": [{"claim": "f is continuous", "state": state, "reason": "seen"}],
        "findings": [{"claim": "Theorem 3.6 is so", "verdict": verdict, "reason": "2 > 1"}],
        "first_informative_words": {"theorem-3.6": "from r = 9 on"},
        "answers": [{"claim": "LT: lower", "answer": answer, "reason": "seen"}],
        "convergence": {"fits": 4, "converged": 1, "diverged": 0, "median_gain": 0.1},
        "fits": [{"loops": 4}],
        "certificates": [],
        "best": [],
    }


def test_every_sentence_follows_what_was_found():
    parts = [part("f"), part("g", "not testable", "fails", "not clear"), part("h")]
    said = [plain(s) for s in headline({"parts": parts, "config": {"seeds": 2}})]
    assert "1 of 1 hold for 2 of 3 targets, 0 of 1 hold for 1; g: f is continuous fails" in said[0]
    assert "holds for 2 of 3 targets, open for 1" in said[1]
    assert "f from r = 9 on; g from r = 9 on" in said[1]
    assert "LT: lower: yes for 2 of 3 targets, not clear for 1; 3 of 12 fits" in said[4]
    assert not list(contradictions(parts))


def test_what_is_contradicted_is_said_first_and_nothing_else_is_called_violated():
    (found,) = contradictions([part(), part("g", "violated", answer="no")])
    assert found == "`g`: Theorem 3.6 is so (2 > 1)"
    assert not list(contradictions([part(answer="no", state="fails")]))


def test_a_report_without_any_target_says_so():
    config = {"seeds": 1, "learning_rates": [0.1], "recipe": {"steps": 1, "batch": 1}}
    empty = {"parts": [], "config": config, "roughness": [], "versions": {}, "failed": ["x: no"]}
    words = markdown(empty)
    assert "No target has rows of trained networks" in words
    assert "This report is not complete" in words
