"""The gallery: every page is a page, reads what is stored, and runs without a warning."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import looprate
from looprate import exercises, proof

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "docs" / "examples"
PAGES = sorted(EXAMPLES.glob("plot_*.py"))
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
DOCUMENTS += sorted((ROOT / "docs").glob("howto/*.md"))
FEWEST = 12
LONGEST_TITLE = 45  # characters, to fit below a thumbnail
WIDEST = 80  # characters of a printed line, which a page shows without scrolling
LIMIT = 120  # seconds a page, on a busy machine; alone it takes a few
HEADINGS = ("**What to see.**", "**What this does not show.**")
OURS = ("looprate", "theory", "approx", "experiments", "figures")
DOORS = {"looprate": looprate, "looprate.proof": proof, "looprate.exercises": exercises}
NAMED_FILE = re.compile(r"[\w./-]+\.(?:csv|json|jsonl|npz|png)$")
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)


def other_doors(source):
    """Return what a source takes from our packages other than through ``import looprate``."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in OURS:
            public = getattr(DOORS.get(node.module), "__all__", ())
            found += [f"{node.module}.{a.name}" for a in node.names if a.name not in public]
        if isinstance(node, ast.Import):
            names = [name.name for name in node.names if name.name.split(".")[0] in OURS]
            found += [name for name in names if name not in DOORS]
        if isinstance(node, ast.Attribute) and re.match("_(?!_)", node.attr):
            found.append(node.attr)
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) in DOORS:
            public = DOORS[ast.unparse(node.value)].__all__
            found += [ast.unparse(node)] if node.attr not in public else []
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
    assert all(heading in source for heading in HEADINGS)


@each_page
def test_a_page_comes_through_the_one_door(page):
    assert other_doors(page.read_text()) == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_python_in_a_document_comes_through_the_one_door(document):
    for code in re.findall(r"```python\n(.*?)```", document.read_text(), re.DOTALL):
        assert other_doors(code) == []


def test_another_door_is_caught():
    inside = "looprate.theory.bounds.rows"
    assert other_doors(f"from {inside} import judged_row") == [f"{inside}.judged_row"]
    assert other_doors(f"import {inside} as b\nb._judge()") == [inside, "_judge"]
    assert other_doors("from theory.norms import p_norm") == ["theory.norms.p_norm"]
    assert other_doors("from looprate import theory") == ["looprate.theory"]
    assert "looprate.theory" in other_doors("import looprate\nlooprate.theory.norms")
    assert other_doors("from looprate.proof import judged_row") == ["looprate.proof.judged_row"]
    assert other_doors("import looprate\nfrom looprate.proof import exact_output") == []
    assert other_doors("import looprate\nlooprate.style.paper()\nlooprate.proof.label_form") == []


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
