"""Pages of the API reference: one a package, written from the packages as they are.

A page shows the names in the ``__all__`` of its modules, which is what this project calls public:
what other rooms use.  A module without that list is for its own room.
Nothing is imported to write the pages: names and first lines are read from the sources.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parents[2]
ROLE = re.compile(r":\w+:`~?([^`]*)`")
LITERAL = re.compile(r"(``.*?``|`.*?`)|\|")  # what is between backticks stays as it is
PACKAGES = ("looprate", "theory", "approx", "experiments", "figures")
TITLE = """# API reference

Start with [looprate](looprate.md), the one import: its object and its answers are all that most
work needs. Below it imports point left only: `theory` ← `approx` ← `experiments` ← `figures` ←
`looprate`. `theory` needs no torch, `figures` draws from stored rows alone. A page shows the
public names of its modules, those that other rooms use; shapes, norms, errors and sources are
in the docstrings.
"""


def public_names(source: Path) -> list[str]:
    """Return the names in a module's ``__all__``, none if it has no such list."""
    names = assigned(source, "__all__")
    if not isinstance(names, ast.List | ast.Tuple):
        return []
    return [str(name) for name in ast.literal_eval(names)]


def assigned(source: Path, name: str) -> ast.expr | None:
    """Return what a module assigns to a name, None if it does not."""
    for node in ast.parse(source.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
            return node.value
    return None


def source_of(module: str) -> Path:
    """Return the source of a module or package by its name below looprate."""
    homes = [ROOT.joinpath(*module.split(".")), ROOT.joinpath("looprate", *module.split("."))]
    places = [p for home in homes for p in (home.with_suffix(".py"), home / "__init__.py")]
    return next(place for place in places if place.is_file())


def definition(module: str, name: str) -> tuple[str, str]:
    """Return the full name of what a module defines or hands on, and its first line."""
    source = source_of(module)
    for node in ast.parse(source.read_text(encoding="utf-8")).body:
        own = isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == name
        if own and (words := ast.get_docstring(node)):  # the overloads before it have none
            return f"{dotted(source)}.{name}", words.partition("\n")[0]
        if isinstance(node, ast.ImportFrom) and name in [alias.name for alias in node.names]:
            return definition(str(node.module).removeprefix("looprate."), name)
    if module.rpartition(".")[2] == name:
        return dotted(source), first_line(source)
    return f"{dotted(source)}.{name}", first_line(source)


def door() -> str:
    """Return the table of the names that ``import looprate`` gives."""
    places = ast.literal_eval(assigned(ROOT / "looprate" / "__init__.py", "_PLACES") or ast.Dict())
    lines = ["| name | what it is |", "|---|---|"]
    for name, module in places.items():
        full, words = definition(module, name)
        lines.append(f"| {{py:obj}}`looprate.{name} <{full}>` | {plain(words)} |")
    return "\n".join(lines) + "\n"


def plain(words: str) -> str:
    """Return the first line of a docstring as a cell of a table."""
    return ROLE.sub(r"`\1`", words).replace("``", "`").replace("|", "\\|")


def first_line(source: Path) -> str:
    """Return the first line of a module's docstring."""
    text = ast.get_docstring(ast.parse(source.read_text(encoding="utf-8"))) or ""
    return text.partition("\n")[0]


def modules_of(package: Path) -> list[Path]:
    """Return the sources right in a package's folder that have public names, sorted by name."""
    return [source for source in sorted(package.glob("*.py")) if public_names(source)]


def packages_below(package: Path) -> Iterator[Path]:
    """Yield a package and those inside it that have public names, the outer first."""
    if modules_of(package):
        yield package
    for init in sorted(package.glob("*/__init__.py")):
        yield from packages_below(init.parent)


def dotted(path: Path) -> str:
    """Return the import name of a package's folder or a module's source."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    name = [part for part in parts if part != "__init__"]
    return ".".join(name if name[0] == "looprate" else ["looprate", *name])


def package_page(package: Path) -> str:
    """Return the page of one package, in MyST: its modules, each with what it is for."""
    sections = [
        f"## {name}\n\n```{{eval-rst}}\n.. automodule:: {name}\n   :members:\n```\n"
        for name in map(dotted, modules_of(package))
    ]
    head = f"# {dotted(package)}\n\n{first_line(package / '__init__.py')}\n"
    names = [door()] if package == ROOT / "looprate" else []
    return "\n".join([head, *names, *sections])


def pages() -> dict[str, str]:
    """Return every page of the reference by its file's name."""
    packages = [inner for outer in PACKAGES for inner in packages_below(ROOT / outer)]
    found = {f"{dotted(package)}.md": package_page(package) for package in packages}
    lines = [
        f"| [{dotted(one)}]({dotted(one)}.md) | {first_line(one / '__init__.py')} |"
        for one in packages
    ]
    table = "\n".join(["| package | what it holds |", "|---|---|", *lines])
    tree = "\n".join(dotted(package) for package in packages)
    found["index.md"] = f"{TITLE}\n{table}\n\n```{{toctree}}\n:hidden:\n\n{tree}\n```\n"
    return found


def plain_bars(
    app: Sphinx, what: str, name: str, thing: object, options: object, lines: list[str]
) -> None:
    """Let ``|x - y|`` in a docstring be an absolute value, which it is everywhere here."""
    lines[:] = [LITERAL.sub(lambda part: part[1] or "\\|", line) for line in lines]


def write_pages(app: Sphinx) -> None:
    """Write the pages into the folder api beside the configuration; touch only what changed."""
    folder = Path(app.srcdir) / "api"
    folder.mkdir(exist_ok=True)
    wanted = pages()
    for stale in set(folder.glob("*.md")) - {folder / name for name in wanted}:
        stale.unlink()
    for name, text in wanted.items():
        place = folder / name
        if not place.exists() or place.read_text(encoding="utf-8") != text:
            place.write_text(text, encoding="utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    """Write the reference before sources are read; mend docstrings before numpydoc's turn."""
    app.connect("builder-inited", write_pages)
    app.connect("autodoc-process-docstring", plain_bars, priority=100)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
