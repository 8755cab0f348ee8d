"""The gallery: every page is a page, reads what is stored, and runs without a warning."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "docs" / "examples"
PAGES = sorted(EXAMPLES.glob("plot_*.py"))
FEWEST = 12
LONGEST_TITLE = 45  # characters, to fit below a thumbnail
WIDEST = 80  # characters of a printed line, which a page shows without scrolling
LIMIT = 120  # seconds a page, on a busy machine; alone it takes a few
HEADINGS = ("**What to see.**", "**What this does not show.**")
OURS = ("looprate",)
NAMED_FILE = re.compile(r"[\w./-]+\.(?:csv|json|jsonl|npz|png)$")
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)


def private_names(source):
    """Return the names with a leading underscore that a source takes from our packages."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in OURS:
            parts = [*(node.module or "").split("."), *(name.name for name in node.names)]
            found += [part for part in parts if part.startswith("_")]
        if isinstance(node, ast.Import):
            parts = [part for name in node.names for part in name.name.split(".")]
            found += [part for part in parts if part.startswith("_")]
        if isinstance(node, ast.Attribute) and re.match("_(?!_)", node.attr):
            found.append(node.attr)
    return found


def title_of(source):
    """Return the title of a page, "" where its docstring does not begin with one."""
    lines = (ast.get_docstring(ast.parse(source)) or "").splitlines()
    underlined = len(lines) > 2 and set(lines[1]) == {"="} and len(lines[1]) == len(lines[0])
    return lines[0] if underlined and not lines[2] else ""


def stored_files(source):
    """Return the files that the strings of a source name; f-strings are filled in with globals."""
    tree = ast.parse(source)
    texts = {
        node.targets[0].id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and isinstance(node.value, ast.Constant)
    }
    parts_of_joined = {
        id(v) for n in ast.walk(tree) if isinstance(n, ast.JoinedStr) for v in n.values
    }
    found = []
    for node in ast.walk(tree):
        text = ""
        if isinstance(node, ast.JoinedStr):
            text = "".join(filled(part, texts) for part in node.values)
        elif isinstance(node, ast.Constant) and id(node) not in parts_of_joined:
            text = str(node.value)
        if NAMED_FILE.fullmatch(text):
            found.append(text)
    return found


def filled(part, texts):
    """Return a part of an f-string as text, " " where it is no constant of the page."""
    if isinstance(part, ast.Constant):
        return str(part.value)
    known = isinstance(part.value, ast.Name) and part.value.id in texts
    return str(texts[part.value.id]) if known else " "


def listed_rows():
    """Return the table of docs/figures/README.md: file -> (gallery pages, whole line)."""
    lines = (ROOT / "docs" / "figures" / "README.md").read_text().splitlines()
    table = [line for line in lines if line.startswith("| `")]
    return {
        line.split("`")[1]: (set(re.findall(r"plot_\w+", line.split("|")[3])), line)
        for line in table
    }


def test_there_are_enough_pages_and_their_numbers_are_unique():
    numbers = [page.stem.split("_")[1] for page in PAGES]
    assert len(PAGES) >= FEWEST
    assert len(set(numbers)) == len(numbers)
    assert all(re.fullmatch(r"\d\d", number) for number in numbers)


def test_titles_are_short_and_unique():
    titles = [title_of(page.read_text()) for page in PAGES]
    assert all(0 < len(title) <= LONGEST_TITLE for title in titles), titles
    assert len(set(titles)) == len(titles)


def test_what_is_no_title_is_seen():
    assert title_of('"""\nA title\n=======\n\nWords.\n"""') == "A title"
    assert title_of('"""\nA title\n====\n\nWords.\n"""') == ""
    assert title_of("x = 1") == ""


@each_page
def test_a_page_asks_and_says_what_it_shows_and_what_not(page):
    source = page.read_text()
    assert "?" in " ".join((ast.get_docstring(ast.parse(source)) or "").split("\n\n")[1:2])
    assert all(source.count(heading) == 1 for heading in HEADINGS)


@each_page
def test_a_page_uses_public_names_only(page):
    assert private_names(page.read_text()) == []


def test_a_private_name_is_caught():
    assert private_names("from looprate.theory.bounds.rows import _judge") == ["_judge"]
    assert private_names("from looprate.theory._hidden import name") == ["_hidden"]
    assert private_names("import looprate.theory.bounds.rows as b\nb._judge()") == ["_judge"]
    assert private_names("from looprate.theory.bounds.rows import judged_row") == []


@each_page
def test_stored_files_exist(page):
    missing = [name for name in stored_files(page.read_text()) if not (EXAMPLES / name).is_file()]
    assert missing == []


def test_stored_files_are_found_in_plain_and_in_filled_text():
    source = 'FOLDER = "../results"\nread(f"{FOLDER}/a__b.csv")\nread("../figures/c.csv")\n'
    assert sorted(stored_files(source)) == ["../figures/c.csv", "../results/a__b.csv"]
    assert any(stored_files(page.read_text()) for page in PAGES)


def test_the_table_of_rows_lists_every_file_and_the_pages_that_read_it():
    table = listed_rows()
    assert sorted(table) == sorted(path.name for path in (ROOT / "docs" / "figures").glob("*.csv"))
    for name, (pages, line) in table.items():
        read_by = {
            page.stem
            for page in PAGES
            if any(Path(stored).name == name for stored in stored_files(page.read_text()))
        }
        assert pages == read_by, line


@pytest.mark.slow
@each_page
def test_a_page_runs_by_itself_without_a_warning(page):
    environment = {**os.environ, "MPLBACKEND": "Agg", "PYTHONPATH": str(ROOT)}
    environment["OMP_NUM_THREADS"] = "1"
    environment.pop("DISPLAY", None)  # matplotlib says that Agg cannot show, where one is there
    done = subprocess.run(
        [sys.executable, "-W", "error", page.name],
        cwd=EXAMPLES,
        env=environment,
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert done.stdout.strip()
    assert max(map(len, done.stdout.splitlines())) <= WIDEST
