"""Lessons: notebooks in jupytext's percent format, executed when the site is built.

Figures are drawn on black, too, for the dark theme.  Each lesson becomes a page of the site, a file
of HTML that stands alone, and a notebook without outputs.  Solutions, cells tagged ``solution``,
are folded away in all three; in the notebook they are text, so that running all cells neither shows
them nor replaces what the reader has written.
"""

from __future__ import annotations

import asyncio
import base64
import copy
import hashlib
import os
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from pathlib import Path
from typing import Any

import jupytext
import nbformat
import zmq
from dark_outputs import DARK
from docutils.core import publish_string
from ipykernel.kernelspec import get_kernel_dict
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from mathml import mended
from myst_parser.docutils_ import Parser
from nbclient import NotebookClient
from nbformat import NotebookNode
from pygments.formatters import HtmlFormatter
from sphinx.application import Sphinx
from sphinx.util.logging import getLogger
from traitlets import default

from looprate.experiments.engine.child import child_environment

ROOT = Path(__file__).resolve().parents[2]
READ = ("theory/**/*.py", "approx/**/*.py", "experiments/**/*.py", "figures/**/*.py")
STORED = ("docs/figures/*.csv", "docs/extensions/dark_outputs.py")
FOLD = '<details class="solution">\n<summary>Solution</summary>'
LIMIT, AT_ONCE = 300, 2  # seconds a cell, lessons executed at once
ESCAPE = re.compile(r"\x1b\[[0-9;]*m")
STYLE = """
.lesson-output pre, pre.lesson-output {border-left: 3px solid #888; background: transparent}
details.solution {border-left: 3px solid #0072B2; padding: 0 0 0 .8em; margin: 1em 0}
details.solution > summary {cursor: pointer; font-weight: bold}
"""
ALONE = """
body {max-width: 46em; margin: 2em auto; padding: 0 1em; font: 17px/1.5 sans-serif}
img {max-width: 100%; height: auto}
pre, div.body pre {overflow-x: auto; padding: .6em; margin: 1em 0; font-size: 13px}
pre code {background: none} table {border-collapse: collapse} td, th {padding: .2em .8em}
"""
MATH = ROOT / "docs" / "_static" / "math.css"  # names the font by its place beside it
FONT = "fonts/STIXTwoMath-Regular.woff2"
LOG = getLogger(__name__)


class _Kernel(AsyncKernelManager):
    """A kernel of this very interpreter, whatever kernels the user has installed."""

    @default("transport_encryption")
    def _encrypted(self) -> str:
        """Where ZeroMQ can: kernels warn otherwise."""
        return "auto" if zmq.has("curve") else "disabled"

    @property
    def kernel_spec(self) -> KernelSpec:
        """How to start it: the project on its path, one core, figures as outputs of cells."""
        env = {
            "PYTHONPATH": f"{Path(__file__).parent}{os.pathsep}{child_environment()['PYTHONPATH']}",
            "OMP_NUM_THREADS": "1",
            "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        }
        return KernelSpec(**{**get_kernel_dict(), "env": env})


def notebook_of(source: Path) -> NotebookNode:
    """Return a lesson as a notebook; its cells are numbered, so that it is the same each time."""
    notebook = jupytext.read(source)
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number}"
    return notebook


def is_solution(cell: NotebookNode) -> bool:
    """Tell whether a cell is part of a solution."""
    return "solution" in cell.metadata.get("tags", [])


def executed(notebook: NotebookNode, folder: Path) -> NotebookNode:
    """Return a notebook with its outputs, run in a folder by this interpreter.

    Raises
    ------
    nbclient.exceptions.CellExecutionError
        If a cell raises.
    RuntimeError
        If a cell writes to standard error, as warnings do.
    """
    result = copy.deepcopy(notebook)
    client = NotebookClient(
        result,
        kernel_manager_class=_Kernel,
        kernel_name="python3",
        timeout=LIMIT,
        coalesce_streams=True,
        resources={"metadata": {"path": str(folder)}},
        extra_arguments=["--InlineBackend.figure_format=retina", "--ext=dark_outputs"],  # 200 dpi
    )
    asyncio.run(client.async_execute())  # a loop of its own, which is closed
    for cell in result.cells:
        for output in cell.get("outputs", []):
            if output.get("name") == "stderr":
                raise RuntimeError(f"a cell writes to standard error:\n{output.text}")
    return result


def digest(source: Path) -> str:
    """Return a name for everything that an execution rests on: lesson, project, stored rows."""
    found = hashlib.sha256(sys.version.encode())
    files = [path for pattern in (*READ, *STORED) for path in sorted(ROOT.glob(pattern))]
    for path in (source, *files):
        found.update(path.name.encode() + b"\0" + path.read_bytes())
    return found.hexdigest()[:16]


def remembered(source: Path, cache: Path) -> NotebookNode:
    """Return an executed lesson; it is run only if something has changed since the last time."""
    place = cache / f"{source.stem}-{digest(source)}.ipynb"
    if place.exists():
        LOG.info("lesson %s: nothing has changed", source.stem)
        return nbformat.read(place, as_version=4)
    LOG.info("lesson %s: executing", source.stem)
    done = executed(notebook_of(source), source.parent)
    cache.mkdir(parents=True, exist_ok=True)
    for stale in cache.glob(f"{source.stem}-*.ipynb"):
        stale.unlink()
    draft = place.with_suffix(".draft")
    nbformat.write(done, draft)
    draft.replace(place)
    return done


def for_reader(notebook: NotebookNode) -> NotebookNode:
    """Return a notebook to work in: no outputs, solutions as folded text, which does not run."""
    result = copy.deepcopy(notebook)
    result.cells = []
    for solution, cells in groupby(notebook.cells, is_solution):
        if solution:
            parts = [FOLD, *map(_as_text, cells), "</details>"]
            folded = nbformat.v4.new_markdown_cell("\n\n".join(parts))
            folded["id"] = f"solution-{len(result.cells)}"
            result.cells.append(folded)
        else:
            result.cells += copy.deepcopy(list(cells))
    return result


def _as_text(cell: NotebookNode) -> str:
    """Return a cell as MyST, its code set as code."""
    return f"```python\n{cell.source}\n```" if cell.cell_type == "code" else str(cell.source)


def page(notebook: NotebookNode, name: str, images: Path, links: str) -> str:
    """Return an executed lesson in MyST, and write its images beside as ``built/NAME-K.png``."""
    images.mkdir(parents=True, exist_ok=True)
    for stale in images.glob(f"{name}-*.png"):
        stale.unlink()
    title, _, rest = notebook.cells[0].source.partition("\n")
    parts, inside, count = [title, links, f"<style>{STYLE}</style>", rest], False, 0
    for cell in notebook.cells[1:]:
        if is_solution(cell) != inside:
            parts.append("</details>" if inside else FOLD)
            inside = not inside
        parts.append(_as_text(cell))
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if "image/png" in data:
                count += 1
                place = images / f"{name}-{count}.png"
                place.write_bytes(base64.b64decode(data["image/png"]))
                place.with_stem(f"{place.stem}-dark").write_bytes(base64.b64decode(data[DARK]))
                wide = output.metadata.get("image/png", {}).get("width", 600)
                alt = cell.metadata.get("alt", "figure")
                options = f":alt: {alt}\n:width: {wide}px"
                parts.append(f"```{{image}} {images.name}/{place.name}\n{options}\n```")
            elif text := ESCAPE.sub("", output.get("text", data.get("text/plain", ""))).rstrip():
                parts.append(f"````{{code-block}} text\n:class: lesson-output\n\n{text}\n````")
    return "\n\n".join([*parts, *(["</details>"] if inside else [])]) + "\n"


def standalone(text: str, folder: Path) -> str:
    """Return a page that loads nothing: images, MathML and its font are inside."""
    style = ALONE + MATH.read_text(encoding="utf-8") + HtmlFormatter().get_style_defs("pre.code")
    text = re.sub(r"(?<!!)\[([^]]+)\]\((?!\w+:)[^)]+\)", r"\1", text)  # links into the site
    text = text.replace("```{image} ", f"```{{image}} {folder}/")
    title, _, rest = text.partition("\n")
    settings: dict[str, Any] = {
        "halt_level": 2,
        "image_loading": "embed",
        "input_encoding": "unicode",
        "math_output": "MathML",
        "myst_enable_extensions": ["dollarmath"],
        "output_encoding": "unicode",
        "report_level": 2,
        "title": title.removeprefix("# "),
    }
    found = str(
        publish_string(
            f"{title}\n\n<style>{style}</style>\n{rest}",
            source_path=str(folder / "lesson.md"),
            parser=Parser(),
            writer="html5",
            settings_overrides=settings,
        )
    )
    font = base64.b64encode((MATH.parent / FONT).read_bytes()).decode()
    return mended(found).replace(FONT, f"data:font/woff2;base64,{font}")


def build(app: Sphinx) -> None:
    """Write pages and downloads of all lessons before sources are read."""
    folder = Path(app.srcdir) / "lessons"
    sources = sorted(folder.glob("*.py"))
    cache = Path(app.srcdir) / "_build" / "lessons"
    with ThreadPoolExecutor(AT_ONCE) as pool:
        done = list(pool.map(lambda source: remembered(source, cache), sources))
    downloads = Path(app.outdir) / "lessons" / "download"
    downloads.mkdir(parents=True, exist_ok=True)
    for source, notebook in zip(sources, done, strict=True):
        name = source.stem
        links = (
            f'<p>To download: <a href="download/{name}.ipynb">the notebook</a>, '
            f'<a href="download/{name}.html">one HTML file</a>.</p>'
        )
        place, text = folder / f"{name}.md", page(notebook, name, folder / "built", links)
        if not place.exists() or place.read_text(encoding="utf-8") != text:
            place.write_text(text, encoding="utf-8")
        alone = standalone(text.replace(links, ""), folder)
        (downloads / f"{name}.html").write_text(alone, encoding="utf-8")
        nbformat.write(for_reader(notebook_of(source)), downloads / f"{name}.ipynb")


def setup(app: Sphinx) -> dict[str, bool]:
    """Build the lessons first."""
    app.connect("builder-inited", build)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
