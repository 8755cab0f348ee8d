"""Command lines drawn at random: options right and wrong, odd values, odd places."""

import os
import shutil

from looprate.theory.construction.memorisers import MEMORISERS

WORDS = [
    "",
    " ",
    "nan",
    "inf",
    "-inf",
    "-1",
    "0",
    "1",
    "2",
    "3",
    "7",
    "0.5",
    "-0.5",
    "1e6",
    "1e400",
]
WORDS += ["-1e400", "1e-320", "99999999999999999999", "9" * 400, "0x10", "1_0", "٣", "é", "🙂"]
WORDS += ["-", "--", "true", "None", "\udcff", "x" * 300, "a b", "%s", "{}", "[0]", "=", "@x"]
NUMBERS = ["1", "2", "3", "0.5", "0.1", "8"]
PLACES = ["study", "study/rows.jsonl", "file.txt", "bad.json", "net.json", "own.py", "pipe"]
PLACES += [
    "here",
    "link",
    "loop",
    "missing",
    "missing/below",
    "file.txt/below",
    "/dev/null",
    "é",
    "x" * 300,
]
PLACES += ["", "."]
OUTS = ["out/a", "out/b.csv", "out/new/c", "out", "pipe", "loop", "dangling", "file.txt/below"]
OUTS += ["/dev/null", "/dev/full", "/dev/stdout", "out/" + "x" * 300, "out/é🙂"]
TARGETS = ["mean-field", "token-sine", "token-power:alpha=0.5", "dial:token=0.8", "context-max"]
TARGETS += [
    "mean-field + 0.5*context-max",
    "formula: sin(6*x)",
    "x*x",
    "formula:",
    "formula: 9**9**9",
]
TARGETS += ["formula: x/0", "formula: " + "(" * 200 + "x" + ")" * 200, "mean-field:a=nan", "token"]
TARGETS += ["mean-field:a=1e400", "mean-field:a=1e308,b=1e308", "1e400*mean-field", "-1*mean-field"]
TARGETS += [
    "own.py:cube",
    "own.py:bad",
    "own.py:number",
    "own.py:missing",
    "missing.py:f",
    "os:getcwd",
]
TARGETS += ["own.py:loops"]
TARGETS += ["own.py:prints", "here:f", "own.py:", ":", "+", "*", "mean-field +", "0*mean-field"]
TARGETS += ["own.py:cube + mean-field", "2*own.py:cube", "pipe:f", "broken.py:f", "json:dumps"]
CHOICES = {
    "kind": ["sequence", "token", "contextual"],
    "memoriser": list(MEMORISERS),
    "coding": ["sum", "rank", "others"],
    "style": ["paper", "slides", "poster"],
    "format": ["png", "svg"],
    "only": ["moduli", "moduli__a"],
    "device": ["auto", "cpu", "cuda"],
    "engine": ["local"],
    "inequality": ["theorem-3.6", "theorem-3.6-stages", "increments", "digits", "timestep"],
    "placement": ["all", "inner"],
    "families": ["lt", "tmlt", "untied"],
    "model": ["looped", "tmlt", "untied"],
    "preset": ["smoke"],
    "where": ["value=1", "value<2", "file=rows", "folder~s", "value", "=", "nope=1", "value=null"],
    "columns": ["value", "task", "nope"],
    "id": ["lemma-4-1-error", "corollary-3-7"],
    "task": ["lcs", "sudoku", "all"],
}
SHAPE = {"--tokens": "N", "-N": "N", "--dim": "N", "-d": "N", "--p": "N"}
RUN = {"--processes": "N", "--engine": "engine", "--scheduler": "N", "--device": "device"}
#: Command -> what it takes in a place, then its options; always given, where a default is long.
COMMANDS = {
    "targets": ((), {}, ()),
    "moduli": (
        ("T",),
        {**SHAPE, "--delta": "N+", "--kind": "kind+", "--seed": "N", "--certify": ""}
        | {"--tolerance": "N"},
        ("--effort", "0.02", "--seconds", "0.1"),
    ),
    "bound": (
        ("T",),
        {**SHAPE, "--loops": "N+", "--inequality": "inequality", "--placement": "placement"}
        | {"--slope": "N"},
        (),
    ),
    "construct": (
        ("T",),
        {**SHAPE, "-m": "N", "--memoriser": "memoriser", "--bits": "N", "--coding": "coding"}
        | {"--sharpness": "N", "--tolerance": "N", "--seed": "N", "--softmax": "N"}
        | {"--save": "OUT", "--load": "IN", "--out": "OUT", "--style": "style"},
        ("--seconds", "5"),
    ),
    "verify": (
        (),
        {**SHAPE, **RUN, "--target": "T+", "--loops": "N+", "--seeds": "N", "--steps": "N"}
        | {"--families": "families+", "--rates": "N+", "--style": "style", "--preset": "preset"},
        ("--out", "OUT"),
    ),
    "learned": (
        ("IN",),
        {**RUN, "--target": "T+", "--loops": "N+", "--delta": "N+", "--effort": "N"}
        | {"--certify": "", "--seconds": "N"},
        (),
    ),
    "autopsy": (
        ("T",),
        {"--checkpoint": "IN", "--loops": "N+", "--delta": "N", "--seed": "N", "--style": "style"},
        ("--effort", "0.02", "--out", "OUT"),
    ),
    "eta": ((), {**RUN, "--loops": "N+", "--seeds": "N", "--preset": "preset"}, ("--out", "OUT")),
    "reproduce": (
        ("task",),
        {**RUN, "--loops": "N+", "--seeds": "N", "--boards": "IN", "--text": "IN"}
        | {"--model": "model+", "--list": "", "--preset": "preset"},
        ("--out", "OUT"),
    ),
    "explore": (
        (),
        {"--target": "T", "--rows": "IN+", "--port": "N", "--dark": "", "--no-browser": ""},
        (),
    ),
    "claims": (
        ("id",),
        {"--controls": "", "--again": "", "--list": "", "--markdown": "", "--study": "IN"},
        ("--out", "OUT"),
    ),
    "explain": (("id",), {"--out": "IN"}, ()),
    "rows": (
        ("IN",),
        {"--where": "where+", "--columns": "columns+", "--csv": "OUT", "--parquet": "OUT"}
        | {"--merge": "OUT"},
        (),
    ),
    "figures": (
        ("IN",),
        {"--style": "style", "--format": "format+", "--only": "only+", "--to": "OUT"}
        | {"--handout": ""},
        (),
    ),
}


def value(rng, sort):
    """Return a value of a sort, mostly one that may be right."""
    if sort != "OUT" and rng.random() < 0.2:
        return rng.choice(WORDS)
    pools = {"T": TARGETS, "N": NUMBERS, "IN": PLACES, "OUT": OUTS, **CHOICES}
    return rng.choice(pools[sort])


def values(rng, sort):
    """Return what follows an option."""
    many = sort.endswith("+")
    count = rng.choice([0, 1, 1, 2, 3]) if many else 1 if sort else 0
    return [value(rng, sort.rstrip("+")) for _ in range(count)]


def command_line(rng):
    """Return one line: a command, its places, options of it, and now and then what is none."""
    name = rng.choice(list(COMMANDS))
    places, options, always = COMMANDS[name]
    words = [value(rng, sort) for sort in places if rng.random() < 0.97]
    words += [value(rng, word) if word == "OUT" else word for word in always]
    count = min(len(options), rng.choice([0, 0, 1, 1, 2, 3, 5]))
    for option in rng.sample(sorted(options), count):
        words += [option, *values(rng, options[option])]
    if rng.random() < 0.3:
        words.append("--json")
    if rng.random() < 0.05:
        words.insert(rng.randrange(len(words) + 1), rng.choice([*WORDS, "--help", "--nope"]))
    if rng.random() < 0.03:
        name = rng.choice([*WORDS, name[:-1], name.upper()])
    return [name, *words]


def make_place(folder, study):
    """Fill a folder with what the lines name."""
    shutil.copytree(study, folder / "study")
    (folder / "file.txt").write_text("a text\n")
    (folder / "bad.json").write_text("{")
    (folder / "own.py").write_text(
        "def cube(x):\n    return x**3\n"
        "def bad(x):\n    return x / 0\n"
        "def prints(x):\n    print('hello')\n    return x\n"
        "number = 3\n"
        "class loops:\n"
        "    def __init__(self):\n"
        "        import torch\n"
        "        self.inputs = torch.ones(2, 2, 1)\n"
        "    def start(self, x):\n        return x\n"
        "    def step(self, x, t):\n        return x / 2\n"
    )
    (folder / "broken.py").write_text("def f(x:\n")
    (folder / "here").mkdir()
    os.mkfifo(folder / "pipe")
    (folder / "link").symlink_to("study")
    (folder / "loop").symlink_to("loop")
    (folder / "dangling").symlink_to("nowhere")
