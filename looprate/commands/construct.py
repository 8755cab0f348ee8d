"""``looprate construct``: compile, certify, save, draw, animate."""

from __future__ import annotations

import math
import sys
from argparse import Namespace
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from looprate.experiments.engine.progress import Progress
from looprate.experiments.study.drawing import draw_folder
from looprate.options import add_option, add_options
from looprate.parser import Commands, add_command
from looprate.printing import in_words, print_findings, print_json, print_table, say, side
from looprate.theory.construction.memorisers import MEMORISERS
from looprate.theory.outputs import at_least, at_most, checked_folder, checked_output

if TYPE_CHECKING:
    from looprate.theory.construction.build.compile import Construction
    from looprate.theory.construction.build.network import Network
    from looprate.theory.construction.build.spec import ConstructionSpec
    from looprate.theory.construction.certify.certificate import Certificate
    from looprate.theory.targets import Target

__all__ = ["add_construct"]

TOKENS, DIM = 2, 1
START = 4.0  # seconds before and after: imports, the hypotheses' checks
CHOSEN = ("grid", "memoriser", "bits", "coding", "sharpness")
FIXED_BY_FILE = ("tokens", "dim", *CHOSEN)


def add_construct(commands: Commands) -> None:
    """Add the compiler and its certificate."""
    construct = add_command(
        commands,
        "construct",
        "Compile a reconstruction of the proof of Theorem 3.6 into the weights of a looped\n"
        "Transformer for TARGET, run it in exact arithmetic on every cell, certify its error.\n\n"
        "The error is enclosed rigorously and set against an explicit inequality; each term is\n"
        "shown next to its bound.\n"
        "holds: checked, and the bound is below the best constant's error. vacuous: checked, but\n"
        "the bound is not. violated: an output is not the construction's, or the error exceeds\n"
        "the bound. not testable: a hypothesis fails, or a weight is not the construction's.\n\n"
        "JSON: {rows, width, heads, loops, paper_loops, labels, memoriser_error, error_lower,\n"
        "error_upper, error_sampled, bound, trivial, terms, weight_bits, verdict, reason, checks,\n"
        "softmax, ...}; terms has {lower, upper, bound} for discretisation, memoriser,\n"
        "collisions, strips; softmax is null or {beta, tolerance, inputs, curve}, curve a list of\n"
        "[beta, error].",
        "looprate construct mean-field --grid 16 --memoriser timestep --save net.json",
    )
    construct.add_argument(
        "target", metavar="TARGET", nargs="?", help="may be left out with --load"
    )
    add_options(construct, "tokens", "dim", "p")
    construct.set_defaults(tokens=None, dim=None)  # told apart from 2 and 1 beside --load
    construct.add_argument(
        "-m", "--grid", type=int, help="m, cells a side; cells are 1/m wide (default: 8)"
    )
    construct.add_argument(
        "--memoriser",
        choices=list(MEMORISERS),
        metavar="NAME",
        help="how labels become values (default: timestep): "
        + ", ".join(kind.label for kind in MEMORISERS.values()),
    )
    construct.add_argument(
        "--bits",
        type=int,
        help="q, digits per label, for "
        + ", ".join(name for name, kind in MEMORISERS.items() if kind.takes_bits)
        + " (default: 3 beyond the grid's)",
    )
    add_option(construct, "coding")
    construct.add_argument(
        "--sharpness",
        type=int,
        help="M delta, cell width over strip width of the quantiser (default: 2^30)",
    )
    add_option(construct, "tolerance", ": of the error (default: 0.005)", default=5e-3)
    add_option(
        construct,
        "seconds",
        ": a network estimated to take longer is refused, and the error's enclosure, which comes "
        "on top, then stays as wide as it is; --softmax takes its own time (default: 60)",
        default=60.0,
    )
    add_option(construct, "seed")
    construct.add_argument(
        "--softmax",
        type=float,
        metavar="ERROR",
        help="also find the inverse temperature at which softmax attention, in float64, is within "
        "ERROR of hardmax in every output; measured on the cells' centres, so no bound elsewhere "
        "(timestep; other memorisers leave float64's range beyond tiny grids)",
    )
    construct.add_argument("--save", type=Path, metavar="FILE", help="write the network as JSON")
    construct.add_argument(
        "--load", type=Path, metavar="FILE", help="certify a saved network instead of compiling"
    )
    add_option(construct, "out", ": draws the stages of the proof there (N = 2, d = 1)")
    construct.add_argument(
        "--animate",
        type=Path,
        metavar="FILE",
        help="write an animation of the network at work, loop by loop: .gif, .webp, or .mp4 (by "
        "ffmpeg)",
    )
    add_options(construct, "style", "dark", "json")
    construct.set_defaults(run=run_construct)


def run_construct(options: Namespace) -> int:
    """Compile or load a network, certify it and print what was found."""
    from looprate.experiments.study import certificates
    from looprate.experiments.study.construction_rows import check_drawable
    from looprate.experiments.study.known import known_facts
    from looprate.theory.construction.files import save_network

    p = _checked(options)
    target, spec, network = _loaded(options) if options.load else (*_asked(options), None)
    cost = certificates.affordable(spec, options.seconds)
    if options.out:
        check_drawable(spec)
        checked_folder(options.out)
    if options.save:
        checked_folder(options.save.parent)
        checked_output(options.save)
    if options.animate:
        from looprate.figures.stages.encoding import check_suffix

        check_suffix(options.animate)
        checked_output(options.animate)
    say(
        f"{cost.labels:,} labels, {cost.loops:,} loops, {cost.inputs:,} sets of cells: about "
        f"{START + cost.seconds:,.0f} s, and up to {options.seconds:g} s for the error's enclosure",
        file=sys.stderr,
    )
    softmax = None
    if options.softmax is not None:
        softmax = certificates.softmax_of(_construction(target, spec, network), options.softmax)
    with Progress(1.0, "construct") as bar:
        facts = known_facts(target, tokens=spec.tokens, dim=spec.dim, p=p)
        construction, certificate, kept = certificates.known_certificate(
            target,
            spec,
            facts,
            network=network,
            tolerance=options.tolerance,
            seconds=options.seconds,
            seed=options.seed,
            report=bar.to,
        )
    if kept is not None:
        again = "LOOPRATE_CACHE=0 makes it anew"
        say(
            f"looprate: the certificate is that of an earlier run, in {kept}; {again}",
            file=sys.stderr,
        )
    if options.save:
        origin = {"target": str(target), **spec.as_dict()}
        save_network(options.save, construction.network, construction=origin)
    if options.out and (code := _draw(options, construction, target)):
        return code
    if options.animate:
        _animate(options, construction, target)
    if options.json:
        return print_json({**certificate.as_dict(), "softmax": softmax})
    return _print(certificate, softmax, options)


def _checked(options: Namespace) -> float:
    """Return p; raise for options that need no target to be refused."""
    from looprate.theory.notation import check_p

    if options.seed < 0:
        raise ValueError(f"`seed` must be an integer >= 0, got {options.seed}")
    if not 0 < options.tolerance < 1:
        raise ValueError(f"`tolerance` must be between 0 and 1, got {options.tolerance:g}")
    if not 0 < options.seconds < math.inf:
        raise ValueError(f"`seconds` must be a finite number > 0, got {options.seconds:g}")
    if options.save and options.load:
        raise ValueError(f"`save` must be left out with --load, got {options.save}; copy the file")
    if options.softmax is not None and not 0 < options.softmax < math.inf:
        raise ValueError(f"`softmax` must be a finite number > 0, got {options.softmax:g}")
    return check_p(options.p)


def _construction(target: Target, spec: ConstructionSpec, network: Network | None) -> Construction:
    """The network of a file, or a fresh compilation."""
    from looprate.theory.construction.build.compile import compile_construction

    found = compile_construction(target, spec)
    return found if network is None else replace(found, network=network)


def _asked(options: Namespace) -> tuple[Target, ConstructionSpec]:
    """Return the target and the specification the options ask for."""
    from looprate.experiments.study.certificates import asked_spec
    from looprate.given import asked_target

    if options.target is None:
        raise ValueError("`TARGET` must be given unless --load is, got none; see looprate targets")
    spec = asked_spec(
        tokens=TOKENS if options.tokens is None else options.tokens,
        dim=DIM if options.dim is None else options.dim,
        **{name: getattr(options, name) for name in CHOSEN},
    )
    return asked_target(options.target, tokens=spec.tokens, dim=spec.dim), spec


def _loaded(options: Namespace) -> tuple[Target, ConstructionSpec, Network]:
    """Return the target, the specification and the network of a file."""
    from looprate.given import asked_target
    from looprate.theory.construction.build.spec import ConstructionSpec
    from looprate.theory.construction.files import load_network

    found = load_network(options.load)
    facts = dict(found.construction or {})
    try:
        name = str(facts.pop("target"))
        spec = ConstructionSpec(**facts)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{options.load} must say what its network was compiled from, got {error}; save it "
            "with looprate construct --save"
        ) from None
    for option in FIXED_BY_FILE:
        asked = getattr(options, option)
        if asked is not None and asked != getattr(spec, option):
            raise ValueError(
                f"`{option}` is {getattr(spec, option)} in {options.load}, got {asked}; leave it "
                "out"
            )
    target = asked_target(options.target or name, tokens=spec.tokens, dim=spec.dim)
    return target, spec, found.network


def _draw(options: Namespace, construction: Construction, target: Target) -> int:
    """Draw the stages of the proof into a folder; return the exit code of the drawing."""
    from looprate.experiments.study.construction_rows import write_stage_rows

    folder = Path(options.out)
    write_stage_rows(folder / "figures", construction, target, p=float(options.p))
    return draw_folder(folder, options.style, ["png", "pdf"], dark=options.dark)[0]


def _animate(options: Namespace, construction: Construction, target: Target) -> None:
    """Write the animation: a quarter of the bar is the run, the rest the drawing."""
    from looprate.figures.stages.film import write_film
    from looprate.theory.construction.run.film import film_of

    with Progress(1.0, "animation") as bar:
        film = film_of(construction, target, report=lambda share: bar.to(0.25 * share))
        write_film(
            film,
            options.animate,
            style=options.style,
            dark=options.dark,
            report=lambda share: bar.to(0.25 + 0.75 * share),
        )


def _print(certificate: Certificate, softmax: dict[str, Any] | None, options: Namespace) -> int:
    """Print a certificate as tables."""
    facts: dict[str, Any] = certificate.as_dict()
    q = f", q = {facts['bits']}" if facts["bits"] else ""
    say(
        f"{facts['target']}: {in_words({**facts, 'p': options.p})}, m = {facts['grid']}, "
        f"{facts['memoriser']}{q}, {facts['coding']} code"
    )
    say(
        f"{facts['rows']} rows, {facts['width']} hidden units, {_heads(facts['heads'])}, "
        f"largest weight {facts['weight_bits']} bits; {facts['labels']:,} labels"
    )
    say(
        f"{facts['loops']:,} loops; the paper's formula asks for {facts['paper_loops']:,} at the "
        "same cell width"
    )
    rows = [
        [name, *_sides(term["lower"], term["upper"]), side(term["bound"], at_most)]
        for name, term in facts["terms"].items()
    ]
    sides = _sides(facts["error_lower"], facts["error_upper"])
    rows.append(["error", *sides, side(facts["bound"], at_most)])
    print_table(["L^p norm of", "at least", "at most", "explicit inequality"], rows)
    sampled = facts["error_sampled"]
    if sampled:
        say(
            f"Monte Carlo cross-check {sampled['value']:.6g} ({sampled['points']} points, not "
            f"rigorous); best constant {facts['trivial']:.6g}"
        )
    if softmax:
        say(_softmax_line(softmax))
    print_findings(facts["checks"])
    say(f"{facts['verdict']}: {facts['reason']}")
    if options.save:
        print(f"network: {options.save}")
    if options.out:
        print(f"figure:  {Path(options.out) / 'figures'}")
    if options.animate:
        print(f"animation: {options.animate}")
    return 0


def _softmax_line(softmax: dict[str, Any]) -> str:
    """What was measured of softmax attention."""
    where = f"at the centres of {softmax['inputs']} sets of cells"
    within = f"within {softmax['tolerance']:g} of hardmax {where}"
    if softmax["beta"] is None:
        return f"softmax attention in float64: no inverse temperature tried is {within}"
    return f"softmax attention in float64: {within} from inverse temperature {softmax['beta']:.4g}"


def _sides(lower: float | None, upper: float | None) -> list[str]:
    """An interval's sides, each rounded outwards, or that there is none."""
    return [side(lower, at_least), side(upper, at_most)]


def _heads(count: int) -> str:
    """How many heads."""
    return f"{count} head{'s' if count > 1 else ''} of size 1"
