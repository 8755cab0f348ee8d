"""Moduli of continuity: brackets of every built-in target, and the lower bound against SciPy.

Brackets: certified lower and upper bound, p = 2, delta 0.1, one line a target, kind and shape; gap
is upper/lower - 1.

Race: seconds until a sequence modulus (p = 2, delta 0.1) is known to 1 %, measured for all in the
same way: the clock of every value tried, the first that is >= 0.99 of the truth.  The truth is the
closed form where it is exact; elsewhere ("best found") the best value of all solvers at the cap and
of four long searches of our own.  Solvers that are not there at the cap count as "> cap", and the
ratio to the best of them as a lower bound (>=).  Everyone runs on one thread after a warm-up, the
median of three seeds where the first run took under a second, else one.

kinked   cusps of power 1/2 and less: in one place, in the context too, beside a maximum, in another
         place for every coordinate, across a plane
maximum  context-max: piecewise linear, easy for everybody
smooth   linear, bilinear, sines, softmax attention, a random field

The last line is one JSON object: worst gaps of brackets, smallest speed-up of kinked targets,
largest ratio of smooth ones (ours over the best of SciPy), largest error at N d = 64
("right_at_64").

    python benchmarks/moduli.py [--quick] [--cap SECONDS] [--part brackets|race]
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"  # before numpy: one thread for everybody

import numpy as np
import torch
from solvers import SOLVERS, Case, Trace, solved

from looprate.experiments.engine.progress import Progress
from looprate.theory.continuity import modulus_lower_bound, modulus_upper_bound
from looprate.theory.notation import KINDS
from looprate.theory.targets import TARGETS, OwnFunction, Target, parse_target
from looprate.theory.targets.base import namespace

DELTA, P = 0.1, 2.0
NEAR = 0.99
BUDGET = {False: 60.0, True: 10.0}  # seconds for an upper bound, in full and with --quick
SMALL = ((2, 1), (2, 2), (3, 1), (4, 1))  # (N, d), N d <= 4
LARGER = ((3, 2), (6, 1))
RACED = ((4, 2), (4, 4))
LARGE = (8, 8)


def cusps(x: Any) -> Any:
    """√|x - c| with c elsewhere in every coordinate."""
    places = 0.15 + 0.7 * ((0.1 + 0.618034 * np.arange(x.shape[2])) % 1)
    places = places if namespace(x) is np else torch.tensor(places, dtype=x.dtype)
    return abs(x - places) ** 0.5


def plane(x: Any) -> Any:
    """√|0.5 x + mean - 0.71|: the cusp is a plane across tokens."""
    return abs(0.5 * x + x.mean(1)[:, None] - 0.71) ** 0.5


BOTH = frozenset({"numpy", "torch"})
KINKED: tuple[Target, ...] = (
    parse_target("token-power:alpha=0.5"),
    parse_target("token-power:alpha=0.3,center=0.37"),
    parse_target("dial:alpha=0.5"),
    parse_target("0.5*token-power + context-max"),
    OwnFunction("cusps", cusps, BOTH),
    OwnFunction("plane", plane, BOTH),
)
MAXIMUM: tuple[Target, ...] = (parse_target("context-max"),)
SMOOTH: tuple[Target, ...] = (
    parse_target("mean-field"),
    parse_target("token-times-mean"),
    parse_target("dial:periods=3,token=0.7,context=0.3"),
    parse_target("softmax-attention"),
    parse_target("smooth-field"),
)
GROUPS = {"kinked": KINKED, "maximum": MAXIMUM, "smooth": SMOOTH}


# -- the race ------------------------------------------------------------------------------------


def ours(case: Case, seed: int, effort: float = 1.0) -> tuple[Trace, float, float]:
    """Run this project's search; return its trace, its value and the seconds it took in all."""
    trace = Trace()
    bound = modulus_lower_bound(
        case.target,
        case.delta,
        kind="sequence",
        tokens=case.tokens,
        dim=case.dim,
        p=P,
        rng=np.random.default_rng(seed),
        effort=effort,
        equivariant=True,
        trace=trace,
    )
    seconds = time.perf_counter() - trace.start
    if trace.best > bound.value * (1 + 1e-9):
        raise SystemExit(f"{case.target}: {trace.best} was seen, {bound.value} returned")
    return trace, bound.value, seconds


def exact_value(case: Case) -> float | None:
    """Return the modulus where it is proven exactly."""
    same = parse_target("token-power") if case.target.name == "cusps" else case.target
    form = same.closed_form(case.delta, kind="sequence", tokens=case.tokens, dim=case.dim, p=P)
    return form.value if form is not None and form.side == "exact" else None


def raced(case: Case, cap: float, told: Callable[[], None]) -> dict[str, Any]:
    """Return the seconds of everyone to 1 %, inf where the cap came first, and what is left."""
    truth, exact = exact_value(case), True
    traces: dict[str, list[Trace]] = {}
    for name in SOLVERS:
        goal = math.inf if truth is None else NEAR * truth
        traces[name] = [solved(name, case, goal=goal, cap=cap)]
        told()
    mine = [ours(case, seed) for seed in range(3)]
    if truth is None:
        exact = False
        every = [run[0].best for run in traces.values()] + [run[1] for run in mine]
        truth = max(every + [ours(case, seed, 6.0)[1] for seed in range(3, 7)])
    for name, runs in traces.items():
        if runs[0].seconds_to(NEAR * truth) < 1:
            runs += [solved(name, case, goal=NEAR * truth, cap=cap, seed=k) for k in (1, 2)]
    seconds = {
        name: statistics.median(run.seconds_to(NEAR * truth) for run in runs)
        for name, runs in traces.items()
    }
    return {
        "exact": exact,
        "scipy": seconds,
        "left": {name: 1 - runs[0].best / truth for name, runs in traces.items()},
        "ours": statistics.median(run.seconds_to(NEAR * truth) for run, _, _ in mine),
        "end": statistics.median(taken for _, _, taken in mine),
        "error": max(1 - value / truth for _, value, _ in mine),
    }


def shown(seconds: float, left: float, cap: float) -> str:
    """Return a time, or the cap and the share that was still missing."""
    return f"{seconds:.3f}" if seconds < math.inf else f"> {cap:g} ({100 * left:.0f} %)"


def race(quick: bool, cap: float) -> dict[str, float]:
    """Print the table of the race and return its ratios."""
    groups = {name: targets[-3:] if quick else targets for name, targets in GROUPS.items()}
    lines = [(g, Case(t, *s, DELTA)) for s in RACED for g, ts in groups.items() for t in ts]
    print(f"\nseconds to 1 %, cap {cap:g} s; in brackets what was missing then")
    heads = "".join(f"{name:>15}" for name in SOLVERS)
    print(f"{'N,d':<4} {'target':<38}{heads}{'ours':>8}{'ratio':>9}  returns  truth")
    result: dict[str, float] = {}
    with Progress(len(lines) * len(SOLVERS), "race") as bar:
        done = iter(range(1, len(lines) * len(SOLVERS) + 1))
        for group, case in lines:
            found = raced(case, cap, lambda: bar.to(next(done)))
            best = min(found["scipy"].values())
            ratio = min(best, cap) / found["ours"]  # 0 where ours missed 1 %
            times = [shown(s, found["left"][n], cap) for n, s in found["scipy"].items()]
            print(
                f"{case.tokens},{case.dim:<2} {case.target.name:<38.38}"
                + "".join(f"{text:>15}" for text in times)
                + f"{found['ours']:>8.4f}{'>=' if best > cap else '  '}{ratio:>7.1f}"
                f"{found['end']:>8.2f}s  {'closed form' if found['exact'] else 'best found'}",
                flush=True,
            )
            if group == "smooth":
                key, one = f"smooth_ratio_{case.width}", found["ours"] / min(best, cap)
                result[key] = round(max(result.get(key, 0.0), one), 4)
            else:
                key = f"speedup_{group}_{case.width}"
                result[key] = round(min(result.get(key, math.inf), ratio), 2)
    return result | large()


def large() -> dict[str, float]:
    """Print what is missing at N d = 64 against exact closed forms and return the most."""
    print("\nN,d 8,8  target                               missing of the exact value   seconds")
    worst = 0.0
    for target in (target for targets in GROUPS.values() for target in targets):
        case = Case(target, *LARGE, DELTA)
        truth = exact_value(case)
        if truth is not None:
            _, value, seconds = ours(case, 0)
            worst = max(worst, 1 - value / truth)
            print(f"         {target.name:<38.38}{1 - value / truth:>16.1e}{seconds:>20.2f}")
    return {"right_at_64": float(f"{worst:.2g}")}


# -- the brackets --------------------------------------------------------------------------------


def brackets(quick: bool) -> dict[str, float]:
    """Print lower and upper bounds of the built-in targets and return the worst gaps."""
    shapes = SMALL[:2] if quick else (*SMALL, *LARGER)
    lines = [(s, name, kind) for s in shapes for name in TARGETS for kind in KINDS]
    print(
        f"{'N,d':<4} {'target':<18}{'kind':<11}   lower   upper      gap  closed form    s  method"
    )
    result: dict[str, float] = {}
    with Progress(len(lines), "brackets") as bar:
        for done, ((tokens, dim), name, kind) in enumerate(lines):
            where = {"kind": kind, "tokens": tokens, "dim": dim, "p": P}
            found = modulus_upper_bound(parse_target(name), DELTA, seconds=BUDGET[quick], **where)
            form = parse_target(name).closed_form(DELTA, **where)
            low, high = found.lower.value, found.value
            gap = 0.0 if high <= 1e-12 else found.gap
            side = "" if form is None else f"{form.value:.4f} {form.side}"
            print(
                f"{tokens},{dim:<2} {name:<18}{kind:<11}{low:>8.4f}{high:>8.4f}{100 * gap:>8.2f} % "
                f"{side:>12} {found.seconds:>5.1f}  {found.method}",
                flush=True,
            )
            key = f"worst_gap_{4 if tokens * dim <= 4 else 6}"
            result[key] = max(result.get(key, 0.0), float(f"{gap:.3g}"))
            bar.to(done + 1)
    return result


def main() -> None:
    """Print the tables and the JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--quick", action="store_true", help="the hardest targets, fewer shapes, cap 5 s"
    )
    parser.add_argument("--cap", type=float, help="seconds for each solver (default 10)")
    parser.add_argument("--part", choices=("brackets", "race"), help="one of the two alone")
    given = parser.parse_args()
    cap = given.cap or (5.0 if given.quick else 10.0)
    if not 0 < cap < math.inf:
        sys.exit(f"`--cap` must be a finite number of seconds > 0, got {cap:g}; leave it out")
    torch.set_num_threads(1)
    print(f"numpy {np.__version__}, torch {torch.__version__}, 1 thread, p {P:g}, delta {DELTA:g}")
    easy = Case(parse_target("mean-field"), 1, 1)
    ours(easy, 0)  # everyone has run once before the first clock
    for name in SOLVERS:
        solved(name, easy, goal=DELTA, cap=20.0)
    result = {} if given.part == "race" else brackets(given.quick)
    result |= {} if given.part == "brackets" else race(given.quick, cap)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
