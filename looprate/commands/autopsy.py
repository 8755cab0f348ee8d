"""``looprate autopsy``: what the loops of any looped model do, on one page."""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from looprate.experiments.engine.progress import Progress
from looprate.experiments.study.drawing import draw_folder
from looprate.options import add_option, add_options
from looprate.parser import Commands, add_command
from looprate.printing import print_json, print_table

if TYPE_CHECKING:
    from looprate.experiments.autopsy.report import Autopsy

__all__ = ["add_autopsy"]


def add_autopsy(commands: Commands) -> None:
    """Add what looks into a looped model."""
    autopsy = add_command(
        commands,
        "autopsy",
        "What do the loops of MODEL do?\n\n"
        "MODEL is path/file.py:build, a function that returns an adapter: an object with inputs\n"
        "(a tensor), start(inputs), the state before the first loop, and step(state, t), the\n"
        "state after loop t = 0, 1, ... of the same shape. Where it has them, also used are\n"
        "read(state), the output; error(output), one number; loops, the count of training;\n"
        "without, a dict from the name of a part to an adapter with that part off. Files run as\n"
        "you name them: do not name one you did not read.\n\n"
        "Measured: the output after every loop, also beyond training; the size of each update and\n"
        "the distance to a fixed point, where one is found; cosines between states; by how much a\n"
        "loop stretches a small change; the token and contextual modulus of the map as loops\n"
        "grow; each named part off. Stretches (largest singular values) and moduli are lower\n"
        "bounds, found by search: they can show that a loop is no contraction, never that it is\n"
        "one. The model is taken in evaluation mode and, where it runs so, in float64.\n\n"
        "JSON: {model, inputs, tokens, width, precision, loops, trained, delta, fixed_point,\n"
        "factor, notes, findings: [{panel, short, sentence}], rows: [{panel, name, loop, value,\n"
        "...}], figure}.",
        "looprate autopsy docs/autopsy/models.py:recurrent_depth --checkpoint "
        "docs/autopsy/recurrent_depth.npz",
    )
    autopsy.add_argument("model", metavar="MODEL", help="path/file.py:build or module:build")
    autopsy.add_argument(
        "--checkpoint",
        type=Path,
        metavar="FILE",
        help="weights: .safetensors, .npz, or a file of torch's that holds nothing else; they go "
        "to the module with exactly these names, or to build(weights)",
    )
    add_option(
        autopsy,
        "loops",
        " of the moduli; the largest is the last loop looked at (default: "
        "powers of two to twice that of training, or to 16)",
    )
    add_option(
        autopsy,
        "delta",
        ": one, of the moduli (default: a tenth of a token's length)",
    )
    add_option(autopsy, "effort", " (default: 1)", default=1.0)
    add_option(autopsy, "seed", ": first directions of the searches (default: 0)")
    add_option(autopsy, "out", " (default: runs/autopsy-NAME, NAME that of the function)")
    add_options(autopsy, "style", "json")
    autopsy.set_defaults(run=run_autopsy)


def run_autopsy(options: Namespace) -> int:
    """Look into a model, write rows and figure, say what was found."""
    from looprate.experiments.autopsy.loading import load_subject
    from looprate.experiments.autopsy.report import autopsy_of

    if options.delta and len(options.delta) > 1:
        raise ValueError(f"`delta` must be one radius here, got {len(options.delta)}; name one")
    subject = load_subject(options.model, options.checkpoint)
    with Progress(1.0, "autopsy") as bar:
        found = autopsy_of(
            subject,
            loops=options.loops,
            delta=options.delta[0] if options.delta else None,
            effort=options.effort,
            seed=options.seed,
            report=bar.to,
        )
    name = options.model.rpartition(":")[2]
    folder = options.out or Path("runs") / f"autopsy-{name}"
    path = _write(folder, name, found)
    code, _ = draw_folder(folder, options.style, ["png", "pdf"], only=[path.stem])
    if code:
        return code
    if options.json:
        return print_json(found.as_dict() | {"figure": str(path.with_suffix(".png"))})
    for note in found.facts["notes"]:
        print(f"looprate: {note}", file=sys.stderr)
    print(f"{options.model}: {found.to_rows()[0]['detail']}")
    print_table(["what", "found"], [[f["short"], f["sentence"]] for f in found.findings])
    print(f"figure:  {path.with_suffix('.png')}")
    return 0


def _write(folder: Path, name: str, found: Autopsy) -> Path:
    """Write the rows of the figure."""
    from looprate.experiments.study.figure_rows import write_rows

    return write_rows(folder / "figures", "autopsy", name, found.to_rows())
