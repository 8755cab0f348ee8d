"""A name in a module's ``__all__`` is one that another room uses; what packages pass on is used."""

import ast
import re
from collections import defaultdict

from test_imports import FILES, ROOT, module_of

MODULES = {module_of(path): path.relative_to(ROOT) for path in FILES}
DOOR = ROOT / "looprate"  # what the door lists is asked for by users


def room(path):
    """Return the folder that a file is in, at most two deep."""
    return path.parts[:2] if len(path.parts) > 2 else path.parts[:1]


def uses(path, text):
    """Yield (module, name) of what a source asks other modules for, by import or attribute."""
    tree, known = ast.parse(text), {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                yield node.module, alias.name
                known[alias.asname or alias.name] = f"{node.module}.{alias.name}"
        elif isinstance(node, ast.Import):
            known |= {alias.asname or alias.name: alias.name for alias in node.names}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            yield known.get(node.value.id, ""), node.attr


def listed(text):
    """Return the names in ``__all__``, none if there is no such list of texts."""
    for node in ast.parse(text).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return [item.value for item in getattr(node.value, "elts", [])]
    return []


def unused(texts):
    """Return "module.name" of public names that no file of another room uses.

    ``texts`` holds sources and documents by path.  What a package's ``__init__`` passes on may be
    used in its own room, and in tests.
    """
    users = defaultdict(set)
    for path, text in texts.items():
        for module, name in uses(path, text) if path.suffix == ".py" else ():
            users[module, name].add(path)
        for module, name in re.findall(r"(looprate(?:\.\w+)+)[.:](\w+)", text):
            users[module, name].add(path)
    found = []
    for module, path in MODULES.items():
        for name in listed(texts.get(path, "")):
            others = users[module, name] - {path}
            if path.name != "__init__.py":
                others = {u for u in others if room(u) != room(path) and u.parts[0] != "tests"}
            if not others:
                found.append(f"{module}.{name}")
    return found


def sources():
    paths = [p for folder in ("docs", "tests", "benchmarks") for p in (ROOT / folder).rglob("*.*")]
    texts = [p for p in paths if p.suffix in {".py", ".md"} and "_build" not in p.parts]
    return {
        path.relative_to(ROOT): path.read_text(encoding="utf-8")
        for path in [*FILES, *texts, ROOT / "README.md", ROOT / "pyproject.toml"]
    }


def test_public_names_are_used_in_another_room():
    found = [name.rpartition(".") for name in unused(sources())]
    assert [(m, name) for m, _, name in found if (ROOT / MODULES[m]).parent != DOOR] == []


def test_a_public_name_that_only_its_room_uses_is_found():
    path = MODULES["looprate.theory.norms"]
    own, other, test = (
        path.with_name("gate.py"),
        MODULES["looprate.approx.error"],
        "tests/test_x.py",
    )
    for user, found in ((own, True), (other, False), (type(path)(test), True)):
        texts = {path: '__all__ = ["f"]', user: "from looprate.theory.norms import f"}
        assert (unused(texts) == ["looprate.theory.norms.f"]) is found
        texts[user] = "from looprate.theory import norms\nnorms.f"
        assert (unused(texts) == ["looprate.theory.norms.f"]) is found
