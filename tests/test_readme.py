"""The README: short, three pictures, links that lead somewhere, Python that runs."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from test_start import faults

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
LONGEST, PICTURES = 150, 3
LIMIT = 120  # seconds, on a busy machine; alone they take eight


def test_the_readme_is_short_and_shows_three_pictures():
    assert len(README.splitlines()) < LONGEST
    assert len(re.findall(r"!\[", README)) == PICTURES


def test_links_of_the_readme_lead_to_files():
    links = [link for link in re.findall(r"\]\(([^)]+)\)", README) if "//" not in link]
    assert len(links) > 15
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_every_page_of_the_site_that_is_written_by_hand_is_linked_from_the_readme():
    pages = {str(page.relative_to(ROOT)) for page in (ROOT / "docs").glob("*.md")}
    pages |= {str(page.relative_to(ROOT)) for page in (ROOT / "docs" / "howto").glob("*.md")}
    less = {"docs/index.md", "docs/explorer.md", "docs/items.md"}  # the site
    assert sorted(page for page in pages - less if f"({page})" not in README) == []


@pytest.mark.parametrize(
    ("page", "lines", "figure"),
    [("README.md", 20, "error-against-loops.pdf"), ("docs/start.md", 10, "moduli.png")],
)
def test_the_python_of_a_page_is_short_and_saves_its_figure(page, lines, figure, tmp_path):
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)
    assert len(code.splitlines()) <= lines
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "MPLBACKEND": "Agg"}
    environment["OMP_NUM_THREADS"] = "1"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )
    assert done.returncode == 0, done.stderr
    shown = re.findall(r"```python\n[^`]*```\n\n```text\n([^`]*)```", (ROOT / page).read_text())
    assert [line for text in shown for line in faults(text, done.stdout)] == []
    assert "exact" in done.stdout
    assert "vacuous" in done.stdout
    assert (tmp_path / figure).read_bytes()[:4] in (b"%PDF", b"\x89PNG")


def test_the_citation_names_the_version():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert f"\nversion: {project['version']}\n" in (ROOT / "CITATION.cff").read_text()
