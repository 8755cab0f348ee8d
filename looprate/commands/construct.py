"""``looprate construct``: compile, certify, save, draw."""

from __future__ import annotations

import math
import sys
from argparse import Namespace
from dataclasses import replace
from pathlib import Path
from typing import Any

from looprate.asked import asked_target
from looprate.experiments.engine.progress import Progress
from looprate.experiments.study.certificates import (
    affordable,
    asked_spec,
    certificate_of,
    softmax_of,
    target_facts,
)
from looprate.experiments.study.construction_rows import check_drawable, write_stage_rows
from looprate.experiments.study.drawing import draw_folder
from looprate.printing import in_words, print_json, print_table
from looprate.theory.construction.build.compile import Construction, compile_construction
from looprate.theory.construction.build.network import Network
from looprate.theory.construction.build.spec import ConstructionSpec
from looprate.theory.construction.certify.certificate import Certificate
from looprate.theory.construction.files import load_network, save_network
from looprate.theory.notation import check_p
from looprate.theory.outputs import checked_folder, checked_output
from looprate.theory.targets import Target

TOKENS, DIM = 2, 1
START = 4.0  # seconds before and after: imports, the hypotheses' checks
CHOSEN = ("grid", "memoriser", "bits", "coding", "sharpness")
FIXED_BY_FILE = ("tokens", "dim", *CHOSEN)


def run_construct(options: Namespace) -> int:
    """Compile or load a network, certify it and print what was found."""
    p = _checked(options)
    target, spec, network = _loaded(options) if options.load else (*_asked(options), None)
    cost = affordable(spec, options.budget)
    if options.out:
        check_drawable(spec)
        checked_folder(options.out)
    if options.save:
        checked_folder(options.save.parent)
        checked_output(options.save)
    print(
        f"{cost.labels:,} labels, {cost.loops:,} loops, {cost.inputs:,} sets of cells: about "
        f"{START + cost.seconds:,.0f} s, and up to {options.seconds:g} s for the error's enclosure",
        file=sys.stderr,
    )
    softmax = None
    if options.softmax is not None:
        softmax = softmax_of(_construction(target, spec, network), options.softmax)
    with Progress(1.0, "construct") as bar:
        facts = target_facts(target, tokens=spec.tokens, dim=spec.dim, p=p)
        construction, certificate = certificate_of(
            target,
            spec,
            facts,
            network=network,
            tolerance=options.tolerance,
            seconds=options.seconds,
            seed=options.seed,
            report=bar.to,
        )
    if options.save:
        origin = {"target": str(target), **spec.as_dict()}
        save_network(options.save, construction.network, construction=origin)
    if options.out and (code := _draw(options, construction, target)):
        return code
    if options.json:
        return print_json({**certificate.as_dict(), "softmax": softmax})
    return _print(certificate, softmax, options)


def _checked(options: Namespace) -> float:
    """Return p; raise for options that need no target to be refused."""
    if options.seed < 0:
        raise ValueError(f"`seed` must be an integer >= 0, got {options.seed}")
    if not 0 < options.tolerance < 1:
        raise ValueError(f"`tolerance` must be between 0 and 1, got {options.tolerance:g}")
    if not options.budget > 0:
        raise ValueError(f"`budget` must be > 0 seconds, got {options.budget:g}")
    if not 0 < options.seconds < math.inf:
        raise ValueError(f"`seconds` must be a finite number > 0, got {options.seconds:g}")
    if options.save and options.load:
        raise ValueError(f"`save` must be left out with --load, got {options.save}; copy the file")
    if options.softmax is not None and not 0 < options.softmax < math.inf:
        raise ValueError(f"`softmax` must be a finite number > 0, got {options.softmax:g}")
    return check_p(options.p)


def _construction(target: Target, spec: ConstructionSpec, network: Network | None) -> Construction:
    """The network of a file, or a fresh compilation."""
    found = compile_construction(target, spec)
    return found if network is None else replace(found, network=network)


def _asked(options: Namespace) -> tuple[Target, ConstructionSpec]:
    """Return the target and the specification the options ask for."""
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
    folder = Path(options.out)
    write_stage_rows(folder / "figures", construction, target, p=float(options.p))
    return draw_folder(folder, options.style, ["png", "pdf"])[0]


def _print(certificate: Certificate, softmax: dict[str, Any] | None, options: Namespace) -> int:
    """Print a certificate as tables."""
    facts: dict[str, Any] = certificate.as_dict()
    q = f", q = {facts['bits']}" if facts["bits"] else ""
    print(
        f"{facts['target']}: {in_words({**facts, 'p': options.p})}, m = {facts['grid']}, "
        f"{facts['memoriser']}{q}, {facts['coding']} code"
    )
    print(
        f"{facts['rows']} rows, {facts['width']} hidden units, {facts['heads']} head of size 1, "
        f"largest weight {facts['weight_bits']} bits; {facts['labels']:,} labels"
    )
    print(
        f"{facts['loops']:,} loops; the paper's formula asks for {facts['paper_loops']:,} at the "
        "same cell width"
    )
    rows = [
        [name, _number(term["lower"]), _number(term["upper"]), _number(term["bound"])]
        for name, term in facts["terms"].items()
    ]
    total = [facts["error_lower"], facts["error_upper"], facts["bound"]]
    rows.append(["error", *map(_number, total)])
    print_table(["L^p norm of", "at least", "at most", "explicit inequality"], rows)
    sampled = facts["error_sampled"]
    if sampled:
        print(
            f"Monte Carlo cross-check {sampled['value']:.6g} ({sampled['points']} points, not "
            f"rigorous); best constant {facts['trivial']:.6g}"
        )
    if softmax:
        print(_softmax_line(softmax))
    checks = [[check["verdict"], check["claim"], check["reason"]] for check in facts["checks"]]
    print_table(["verdict", "claim", "why"], checks)
    print(f"{facts['verdict']}: {facts['reason']}")
    if options.save:
        print(f"network: {options.save}")
    if options.out:
        print(f"figure:  {Path(options.out) / 'figures'}")
    return 0


def _softmax_line(softmax: dict[str, Any]) -> str:
    """What was measured of softmax attention."""
    where = f"at the centres of {softmax['inputs']} sets of cells"
    within = f"within {softmax['tolerance']:g} of hardmax {where}"
    if softmax["beta"] is None:
        return f"softmax attention in float64: no inverse temperature tried is {within}"
    return f"softmax attention in float64: {within} from inverse temperature {softmax['beta']:.4g}"


def _number(value: float | None) -> str:
    """A number, or that there is none."""
    return "unknown" if value is None else f"{value:.6g}"
