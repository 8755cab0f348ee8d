"""Imports point left only, and importing does nothing: checked on the syntax of every file."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
USES = {  # package -> packages of ours it may import
    "theory": {"theory"},
    "approx": {"theory", "approx"},
    "experiments": {"theory", "approx", "experiments"},
    "figures": {"theory", "figures"},  # stored rows it reads as files
    "explorer": {"theory", "approx", "experiments", "figures"},  # figures/explorer computes, too
    "looprate": {"theory", "approx", "experiments", "figures", "looprate"},
}
SHORT = {"theory", "approx", "experiments", "figures"}  # never without looprate. before them
CIRCLE = 2  # files that may import one another
NEVER = {  # package -> libraries it imports nowhere
    "theory": {"matplotlib"},
    "approx": {"matplotlib"},
    "experiments": {"matplotlib"},
    "figures": {"torch"},
    "explorer": set(),
    "looprate": set(),
}
LATE = {"theory": {"torch"}, "looprate": {"matplotlib", "torch"}}  # ... only inside functions
UNSAFE_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}
UNSAFE_CALLS = {"eval", "exec", "compile", "__import__"}
UNSAFE_METHODS = {"torch.load", "pandas.read_pickle", "pd.read_pickle"}
GLOBAL_STATE = {  # last part of a dotted call -> changes the state of a whole process
    *("seterr", "seterrcall", "set_num_threads", "set_num_interop_threads", "set_default_dtype"),
    *("set_default_device", "set_default_tensor_type", "use_deterministic_algorithms"),
    *("manual_seed", "set_float32_matmul_precision", "set_printoptions", "simplefilter"),
    *("filterwarnings", "basicConfig", "chdir", "setrecursionlimit", "set_start_method", "putenv"),
}
FOLDERS = {name: Path("figures/explorer") if name == "explorer" else Path(name) for name in USES}
FILES = sorted({path for folder in FOLDERS.values() for path in (ROOT / folder).rglob("*.py")})


def package_of(path):
    """Return which rules hold for a file: those of the innermost folder that has some."""
    parents = path.relative_to(ROOT).parents
    (*_, name) = sorted((n for n, f in FOLDERS.items() if f in parents), key=lambda n: FOLDERS[n])
    return name


def dotted(node):
    """Return a.b.c of a name or attribute, "" of anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}".lstrip(".")
    return ""


def is_guard(node):
    """Whether a node is ``if TYPE_CHECKING:`` or ``if __name__ == "__main__":``."""
    return isinstance(node, ast.If) and (
        dotted(node.test) == "TYPE_CHECKING" or ast.unparse(node.test) == "__name__ == '__main__'"
    )


def on_import(tree):
    """Yield the nodes that run when a module is imported, bodies of functions left out."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if is_guard(node):
            continue
        yield node
        late = []
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            late = node.body
        elif isinstance(node, ast.Lambda):
            late = [node.body]
        waiting += [child for child in ast.iter_child_nodes(node) if child not in late]


def imported(nodes, package):
    """Yield (line, dotted module) of every import, of ``import_module("name")`` too."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            inside = [package] if node.level else []
            yield node.lineno, ".".join([*inside, *filter(None, [node.module])])
        elif isinstance(node, ast.Call) and dotted(node.func).endswith("import_module"):
            (name, *_) = node.args
            if isinstance(name, ast.Constant):
                yield node.lineno, str(name.value)


def part_of(module):
    """Return which part of this project a module is of, or the library it is of."""
    (top, *below) = module.split(".")
    return below[0] if top == "looprate" and below and below[0] in SHORT else top


def faults(text, package, *, script=False):
    """Return what a source file of a package does that it must not, as "line: what"."""
    tree = ast.parse(text)
    everywhere, early = list(ast.walk(tree)), list(on_import(tree))
    found = []
    for line, module in imported(everywhere, package):
        top = module.partition(".")[0]
        if top in SHORT:
            found.append(f"{line}: imports {top} without looprate. before it")
        top = part_of(module)
        if top in USES and top not in USES[package]:
            found.append(f"{line}: {package} imports {top}")
        if top in NEVER[package]:
            found.append(f"{line}: {package} imports {top}")
        if top in UNSAFE_MODULES:
            found.append(f"{line}: imports {top}")
    for line, module in imported(early, package):
        if module.partition(".")[0] in LATE.get(package, ()):
            found.append(f"{line}: imports {module} when imported")
    found += [f"{node.lineno}: {what}" for node in everywhere if (what := unsafe(node))]
    if not script:
        found += [f"{node.lineno}: {what}" for node in early if (what := side_effect(node))]
    return found


def unsafe(node):
    """Say what makes a node unsafe, if anything."""
    if not isinstance(node, ast.Call):
        return None
    name = dotted(node.func)
    plain = any(k.arg == "weights_only" and ast.unparse(k.value) == "True" for k in node.keywords)
    if name in UNSAFE_CALLS or (name in UNSAFE_METHODS and not plain):
        return f"calls {name}"
    for keyword in node.keywords:
        if keyword.arg == "allow_pickle" and ast.unparse(keyword.value) != "False":
            return "allows pickled objects"
    return None


def side_effect(node):
    """Say what a node that runs on import changes, if anything."""
    if isinstance(node, ast.Expr) and not isinstance(node.value, ast.Constant):
        return f"runs {ast.unparse(node.value)}"
    if isinstance(node, ast.Assign | ast.AugAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        if any(isinstance(target, ast.Attribute | ast.Subscript) for target in targets):
            return f"changes {ast.unparse(targets[0])}"
    if isinstance(node, ast.Call) and dotted(node.func).rpartition(".")[2] in GLOBAL_STATE:
        return f"calls {dotted(node.func)}"
    if isinstance(node, ast.For | ast.While | ast.With):
        return f"runs a {type(node).__name__.lower()}"
    return None


def module_of(path):
    """Return the dotted name of a source file."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    parts = parts if parts[0] == "looprate" else ("looprate", *parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def circles(texts):
    """Return the circles of modules that import one another, wherever in their files.

    ``texts`` holds sources by dotted name.  A name imported from a package is a module where there
    is one, and otherwise the package's own.
    """
    uses = {}
    for name, text in texts.items():
        found = set()
        waiting = [ast.parse(text)]
        while waiting:
            node = waiting.pop()
            if isinstance(node, ast.If) and dotted(node.test) == "TYPE_CHECKING":
                continue
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                inner = {f"{node.module}.{alias.name}" for alias in node.names}
                found |= (inner & set(texts)) or {node.module}
            waiting += ast.iter_child_nodes(node)
        uses[name] = found & set(texts) - {name}
    reach = {name: set(found) for name, found in uses.items()}
    for middle in texts:
        for name in texts:
            if middle in reach[name]:
                reach[name] |= reach[middle]
    rings = {
        frozenset(other for other in reach[name] if name in reach[other])
        for name in texts
        if name in reach[name]
    }
    return sorted(map(sorted, rings))


def test_no_circle_of_imports_is_larger_than_two_files():
    texts = {module_of(path): path.read_text(encoding="utf-8") for path in FILES}
    assert [ring for ring in circles(texts) if len(ring) > CIRCLE] == []


def test_circles_are_found():
    texts = {
        "a": "import b",
        "b": "def f():\n    from c import x",
        "c": "from a import y",
        "d": "import a",
    }
    assert circles(texts) == [["a", "b", "c"]]
    assert circles({"a": "import b", "b": "if TYPE_CHECKING:\n    import a"}) == []
    assert circles({"p": "", "p.a": "from p import b", "p.b": "from p import a"}) == [
        ["p.a", "p.b"]
    ]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_left_and_do_nothing(path):
    package = package_of(path)
    script = path.name == "__main__.py"
    assert faults(path.read_text(encoding="utf-8"), package, script=script) == []


def test_every_package_was_walked():
    walked = {package_of(path) for path in FILES}
    assert walked == set(USES)
    assert len(FILES) > 40


@pytest.mark.parametrize(
    ("package", "text", "fault"),
    [
        ("theory", "from looprate.approx.fit.fitting import fit", "theory imports approx"),
        ("theory", "def f():\n    import looprate.cli", "theory imports looprate"),
        (
            "figures",
            "def f():\n    from looprate.parser import Parser",
            "figures imports looprate",
        ),
        ("theory", "import theory.norms", "imports theory without looprate."),
        ("theory", "import matplotlib.pyplot as plt", "theory imports matplotlib"),
        ("theory", "import torch", "imports torch when imported"),
        ("theory", "class A:\n    import torch", "imports torch when imported"),
        (
            "theory",
            "try:\n    from torch import nn\nexcept ImportError:\n    pass",
            "imports torch when",
        ),
        ("theory", "t = importlib.import_module('torch')", "imports torch when imported"),
        ("approx", "from looprate.experiments import records", "approx imports experiments"),
        (
            "experiments",
            "from looprate.figures.rows import read_rows",
            "experiments imports figures",
        ),
        ("figures", "def f():\n    import torch", "figures imports torch"),
        (
            "figures",
            "from looprate.experiments.rows.records import read_rows",
            "figures imports experiments",
        ),
        ("figures", "from looprate.approx import fit", "figures imports approx"),
        ("explorer", "import pickle", "imports pickle"),
        ("approx", "import pickle", "imports pickle"),
        ("approx", "def f():\n    from joblib import load", "imports joblib"),
        ("theory", "def f(s):\n    return eval(s)", "calls eval"),
        ("theory", "def f(s):\n    exec(s)", "calls exec"),
        ("approx", "def f(p):\n    return torch.load(p)", "calls torch.load"),
        ("approx", "def f(p):\n    return torch.load(p, weights_only=False)", "calls torch.load"),
        ("approx", "def f(p):\n    return np.load(p, allow_pickle=True)", "pickled"),
        ("theory", "import numpy as np\nnp.seterr(all='ignore')", "np.seterr"),
        ("theory", "OLD = np.seterr(all='ignore')", "calls np.seterr"),
        ("figures", "plt.rcParams['font.size'] = 9", "changes plt.rcParams"),
        ("figures", "plt.rcParams.update({})", "runs plt.rcParams.update"),
        ("approx", "torch.set_num_threads(1)", "torch.set_num_threads"),
        ("approx", "if True:\n    torch.manual_seed(0)", "torch.manual_seed"),
        ("approx", "torch.backends.cudnn.benchmark = True", "changes torch.backends"),
        ("experiments", "os.environ['A'] = '1'", "changes os.environ"),
        ("experiments", "print('hello')", "runs print"),
        ("experiments", "def f(x=np.seterr(all='ignore')):\n    pass", "calls np.seterr"),
        ("experiments", "for k in range(3):\n    pass", "runs a for"),
    ],
)
def test_a_violation_is_caught(package, text, fault):
    assert any(fault in found for found in faults(text, package))


@pytest.mark.parametrize(
    ("package", "text"),
    [
        ("theory", '"""Words."""\nimport numpy as np\n\nX = np.arange(3)'),
        ("theory", "def f():\n    import torch\n    torch.set_num_threads(1)"),
        ("theory", "if TYPE_CHECKING:\n    import torch"),
        ("approx", "class A:\n    x: int = 1\n\n    def f(self):\n        self.x = 2"),
        ("figures", "from looprate.theory.verdict import Verdict\nimport matplotlib"),
        ("experiments", "if __name__ == '__main__':\n    main()"),
        ("experiments", "X = lambda p: np.load(p, allow_pickle=False)"),
        ("experiments", "X = lambda p: torch.load(p, weights_only=True)"),
    ],
)
def test_what_is_allowed_is_not_reported(package, text):
    assert faults(text, package) == []


def test_importing_theory_and_the_command_line_loads_no_torch():
    text = (
        "import sys, looprate.theory.bounds.theorem, looprate.theory.bounds.explicit\n"
        "import looprate.theory.continuity\n"
        "import looprate.theory.targets, looprate.theory.bounds.symbolic\n"
        "import looprate.cli, looprate.theory.facts\n"
        "import looprate.figures.drawing\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", text], check=True, cwd=ROOT)


def test_asking_about_a_target_loads_no_special_functions():
    text = (
        "import sys, looprate.asked, looprate.theory.facts\n"
        "assert 'scipy.special' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", text], check=True, cwd=ROOT)
