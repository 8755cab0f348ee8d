"""The README: short, three pictures, links that lead somewhere, Python that runs."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
LONGEST, PICTURES = 150, 3


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
    less = {"docs/index.md", "docs/explorer.md"}  # the site's front page; its page in the site
    assert sorted(page for page in pages - less if f"({page})" not in README) == []


def test_the_python_of_the_readme_runs(tmp_path):
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    (tmp_path / "readme.py").write_text(code)
    command = [sys.executable, str(tmp_path / "readme.py")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    lower, upper = (
        float(line.split()[0]) for line in (done.stdout.splitlines()[0], done.stdout.split()[-1])
    )
    assert 0 < lower <= upper


def test_the_citation_names_the_version():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert f"\nversion: {project['version']}\n" in (ROOT / "CITATION.cff").read_text()
