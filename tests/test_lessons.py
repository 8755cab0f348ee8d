"""The lessons: their form, what they read, and the builder that makes pages and downloads."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import matplotlib.pyplot as plt
import pytest
from test_gallery import other_doors, stored_files

from looprate.solutions import LESSONS as LESSONS_CHECKED

for package in ("jupytext", "nbclient", "ipykernel", "myst_parser", "sphinx"):
    pytest.importorskip(package, reason="the lessons are built with the extra docs")

ROOT = Path(__file__).resolve().parent.parent
LESSONS = ROOT / "docs" / "lessons"
SOURCES = sorted(LESSONS.glob("*.py"))
FEWEST, MOST = 4, 6  # exercises
GOALS = 3
LONGEST_TITLE = 45  # characters
WIDEST = 92  # characters of a printed line, which a page shows without scrolling
STARTER, SOLUTION = "cell for the reader", "solution"
EXERCISE = re.compile(r"### Exercise (\d+): ")
TINY = """# %% [markdown]
# # A tiny lesson
#
# With $ω_{tok} ≤ ω$ and [a link](../theory.md).

# %% [markdown]
# ## A section

# %% [markdown]
# ### Exercise 1: draw

# %%
answer = None

# %% [markdown] tags=["solution"]
# Like this:

# %% alt="a line" tags=["solution"]
import matplotlib.pyplot as plt

plt.plot([0, 1])
print("drawn", answer)
plt.show()
"""
each_lesson = pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.stem)


@pytest.fixture(scope="module", autouse=True)
def _extensions():
    """Find the site's extensions, which are no package."""
    sys.path.insert(0, str(ROOT / "docs" / "extensions"))
    yield
    sys.path.remove(str(ROOT / "docs" / "extensions"))


@pytest.fixture(scope="module")
def builder(_extensions):
    """The extension that builds the lessons."""
    return importlib.import_module("lessons")


@pytest.fixture
def made(builder, tmp_path):
    """Return the notebook of a text in percent format."""

    def notebook(text):
        source = tmp_path / "lesson.py"
        source.write_text(text)
        return builder.notebook_of(source)

    return notebook


@pytest.fixture(scope="module")
def built(builder, tmp_path_factory):
    """A site of one tiny lesson: built twice, with what its kernel ran."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "lessons").mkdir()
    (folder / "lessons" / "tiny.py").write_text(TINY)
    app = SimpleNamespace(srcdir=folder, outdir=folder / "html")
    runs, execute = [], builder.executed
    builder.executed = lambda *given: runs.append(given) or execute(*given)
    try:
        builder.build(app)
        builder.build(app)
    finally:
        builder.executed = execute
    return SimpleNamespace(folder=folder, runs=runs)


def code_of(notebook):
    """Return all code of a notebook."""
    return "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")


def form_faults(builder, notebook):
    """Yield what is wrong with the form of a lesson: numbers, starters and solutions."""
    numbers = []
    waiting = outside = "nothing outside exercises"
    for cell in notebook.cells:
        begins, solution = EXERCISE.match(cell.source), builder.is_solution(cell)
        if cell.cell_type == "markdown" and re.search("^#", cell.source, re.MULTILINE):
            if waiting in (STARTER, SOLUTION):
                yield f"exercise {numbers[-1]} has no {waiting}"
            if solution:
                yield f"a solution has a heading: {cell.source.splitlines()[0]}"
            waiting = outside
        if begins:
            numbers.append(int(begins[1]))
            waiting = STARTER
        elif solution:
            if waiting == STARTER:
                yield f"exercise {numbers[-1]} has no {STARTER}"
            elif waiting == outside:
                yield f"a solution belongs to no exercise: {cell.source.splitlines()[0]}"
            waiting = "nothing more"
        elif waiting == STARTER and cell.cell_type == "code":
            waiting = SOLUTION
    if waiting in (STARTER, SOLUTION):
        yield f"exercise {numbers[-1]} has no {waiting}"
    if numbers != list(range(1, len(numbers) + 1)):
        yield f"exercises are numbered {numbers}"


def test_lessons_are_numbered_and_the_index_lists_them():
    assert [source.stem[:2] for source in SOURCES] == ["1-", "2-", "3-", "4-"]
    text = (LESSONS / "index.md").read_text()
    assert re.findall(r"\]\(([\w-]+)\.md\)", text) == [source.stem for source in SOURCES]


@each_lesson
def test_a_lesson_begins_with_its_title_and_what_is_learnt(builder, source):
    first = builder.notebook_of(source).cells[0].source.splitlines()
    assert re.fullmatch(rf"# .{{1,{LONGEST_TITLE}}}", first[0])
    assert "**What you will learn**" in first
    assert sum(line.startswith("- ") for line in first) == GOALS


@each_lesson
def test_each_exercise_has_a_cell_for_the_reader_and_then_a_solution(builder, source):
    notebook = builder.notebook_of(source)
    exercises = [cell for cell in notebook.cells if cell.source.startswith("### Exercise")]
    assert FEWEST <= len(exercises) <= MOST
    assert not any(builder.is_solution(cell) for cell in exercises)
    assert list(form_faults(builder, notebook)) == []


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        (' tags=["solution"]', "", "exercise 1 has no solution"),
        ("# %%\nanswer = None\n", "", "exercise 1 has no cell for the reader"),
        ("Exercise 1", "Exercise 2", "exercises are numbered [2]"),
        ("# Like this:", "# ## Like this", "a solution has a heading: ## Like this"),
        ("# ### Exercise 1: draw", "# Words.", "a solution belongs to no exercise: Like this:"),
    ],
)
def test_an_exercise_that_lacks_something_is_caught(builder, made, old, new, fault):
    assert list(form_faults(builder, made(TINY))) == []
    assert fault in list(form_faults(builder, made(TINY.replace(old, new))))


@each_lesson
def test_a_lesson_comes_through_the_one_door(builder, source):
    assert other_doors(code_of(builder.notebook_of(source))) == []


@each_lesson
def test_stored_files_exist(builder, source):
    named = stored_files(code_of(builder.notebook_of(source)))
    assert [name for name in named if not (LESSONS / name).is_file()] == []


@each_lesson
def test_every_figure_has_words_for_those_who_do_not_see_it(builder, source):
    for cell in builder.notebook_of(source).cells:
        if cell.cell_type == "code" and re.search(r"plt\.show|make_figure\(", cell.source):
            assert cell.metadata.get("alt"), cell.source


def test_a_lesson_is_executed_once_until_something_changes(builder, built):
    assert len(built.runs) == 1
    source = built.folder / "lessons" / "tiny.py"
    before = builder.digest(source)
    assert before == builder.digest(source)
    source.write_text(TINY + "\n")
    assert builder.digest(source) != before
    source.write_text(TINY)


def test_a_page_folds_its_solutions_and_shows_what_was_drawn_and_printed(built):
    text = (built.folder / "lessons" / "tiny.md").read_text()
    folded = text[text.index("<details") : text.index("</details>")]
    assert text.count("<details") == text.count("</details>") == 1
    assert "Like this:" in folded
    assert "drawn None" in folded
    assert ":alt: a line" in folded
    assert "answer = None" in text[: text.index("<details")]
    image = (built.folder / "lessons" / "built" / "tiny-1.png").read_bytes()
    assert image.startswith(b"\x89PNG")
    assert int.from_bytes(image[16:20]) > 900  # pixels: 5 inches at 200 dpi
    pictures = [built.folder / "lessons" / "built" / f"tiny-1{dark}.png" for dark in ("", "-dark")]
    light, dark = (plt.imread(picture)[..., :3].mean() for picture in pictures)
    assert dark < 0.3 < 0.7 < light


def test_the_file_that_stands_alone_loads_nothing_and_links_to_nothing(built):
    offline = importlib.import_module("offline")
    downloads = built.folder / "html" / "lessons" / "download"
    assert list(offline.site_faults(downloads)) == []
    text = (downloads / "tiny.html").read_text()
    assert "<title>A tiny lesson</title>" in text
    assert "data:image/png;base64," in text
    assert "<msub>" in text  # formulas are MathML
    assert '<details class="solution">' in text
    assert "theory" not in text
    broken = text.replace("data:image/png;base64,", "https://example.org/")
    (downloads / "broken.html").write_text(broken)
    assert list(offline.site_faults(downloads))
    (downloads / "broken.html").unlink()


def test_the_notebook_to_take_along_has_no_outputs_and_its_solutions_do_not_run(builder, built):
    nbformat = importlib.import_module("nbformat")
    place = built.folder / "html" / "lessons" / "download" / "tiny.ipynb"
    notebook = nbformat.read(place, as_version=4)
    nbformat.validate(notebook)
    assert not any(cell.get("outputs") for cell in notebook.cells)
    folded = [cell for cell in notebook.cells if "<details" in cell.source]
    assert [cell.cell_type for cell in folded] == ["markdown"]
    assert "Like this:" in folded[0].source
    assert "plt.plot" in folded[0].source
    assert "plt.plot" not in code_of(notebook)
    assert "answer = None" in code_of(notebook)


@each_lesson
def test_every_exercise_with_a_check_is_checked_blank_and_in_its_solution(builder, source):
    names = LESSONS_CHECKED[int(source.stem[0])]
    notebook = builder.notebook_of(source)
    for solution in (False, True):
        cells = [c for c in notebook.cells if builder.is_solution(c) == solution]
        code = "\n".join(cell.source for cell in cells if cell.cell_type == "code")
        found = set(re.findall(r"""check\(\s*['"](\w+)['"]""", code))
        if solution:
            found |= set(re.findall(r"""['"](\d[a-z])['"] (?:if|else)""", code))
            found |= set(re.findall(r"""else ['"](\d[a-z])['"]""", code))
        assert found == set(names), solution


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("1 / 0", "ZeroDivisionError"),
        ("import warnings\n\nwarnings.warn('look out')", "standard error"),
    ],
)
def test_a_cell_that_raises_or_warns_stops_the_build(builder, made, tmp_path, cell, message):
    with pytest.raises(Exception, match=message):
        builder.executed(made(f"# %%\n{cell}\n"), tmp_path)


@pytest.mark.slow
@each_lesson
def test_run_all_in_the_readers_notebook_ends_and_reveals_nothing(builder, source):
    notebook = builder.executed(builder.for_reader(builder.notebook_of(source)), LESSONS)
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    said = "\n".join(one.get("text", "") for one in outputs)
    for name in LESSONS_CHECKED[int(source.stem[0])]:
        assert re.findall(rf"Exercise {name}: (\w+)", said) == ["nothing"]


@pytest.mark.slow
@each_lesson
def test_a_lesson_runs_and_its_lines_fit_the_page(builder, source):
    notebook = builder.executed(builder.notebook_of(source), LESSONS)
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    printed = [line for one in outputs for line in one.get("text", "").splitlines()]
    said = "\n".join(one.get("text", "") for one in outputs)
    for name in LESSONS_CHECKED[int(source.stem[0])]:  # blank, then right
        assert re.findall(rf"Exercise {name}: (\w+)", said) == ["nothing", "right"]
    assert any("image/png" in one.get("data", {}) for one in outputs)
    assert max(map(len, printed)) <= WIDEST
