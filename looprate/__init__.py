# ruff: noqa: F401
"""looprate: the theory of looped Transformers, checked against numbers.

One object answers most questions::

    import looprate

    f = looprate.target("dial:token=0.8,context=0.2", tokens=2, dim=1, p=1)
    f.check()  # are the hypotheses of the theorem met?
    f.moduli([0.05, 0.1, 0.2])  # of continuity: lower bounds, closed forms, certified upper bounds
    f.bound([100, 10_000])  # Theorem 3.6 (v7), term by term
    f.construct(8, memoriser="timestep")  # the proof as weights, with a certified error
    f.fit([1, 2, 4], seeds=4)  # trained looped Transformers, with held-out errors

The target may be a name, a formula, a function or a torch module of your own.  Every answer prints
as a table, has ``.to_rows()`` and ``.plot()``; :func:`error_figure` draws several in one figure.
The other names below are the functions these answers are made of.

Importing this loads neither torch nor matplotlib: a name is imported when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

_HERE = Path(__file__).resolve().parent
if (_HERE.parent / "theory" / "sources.py").is_file():  # a checkout: the folders lie beside this
    __path__ = [str(_HERE), str(_HERE.parent)]

if TYPE_CHECKING:  # for editors and type checkers
    from looprate import proof
    from looprate.approx.constructed.network import constructed_transformer
    from looprate.approx.error import error
    from looprate.approx.fit.fitted import Recipe
    from looprate.approx.fit.fitting import fit
    from looprate.approx.models.looped import LoopedTransformer, ModelConfig
    from looprate.approx.models.loops import SequenceLoops, VectorLoops
    from looprate.approx.official.loops import OfficialLoops
    from looprate.approx.official.model import from_official, official_model
    from looprate.asked import AskedTarget
    from looprate.experiments.autopsy.protocol import LoopedAdapter
    from looprate.experiments.autopsy.report import autopsy
    from looprate.experiments.claims import CLAIMS
    from looprate.experiments.reproduce.paper import PAPER
    from looprate.figures import style
    from looprate.figures.drawing import make_figure
    from looprate.figures.rows import column, distinct, where
    from looprate.given import target
    from looprate.results import error_figure, read_rows
    from looprate.theory.bounds.cell_width import delta_of_loops, loops_of_delta
    from looprate.theory.bounds.explicit import explicit_bound
    from looprate.theory.bounds.lower import worst_case_error_lower_bound
    from looprate.theory.bounds.pattern_count import EtaNetwork, NetworkSize
    from looprate.theory.bounds.rows import first_informative_loops
    from looprate.theory.bounds.theorem import theorem_3_6_bound
    from looprate.theory.bounds.trivial import best_constant_error
    from looprate.theory.bounds.upper import worst_case_error_upper_bound
    from looprate.theory.construction.build.compile import compile_construction
    from looprate.theory.construction.build.spec import ConstructionSpec
    from looprate.theory.construction.certify.certificate import certify
    from looprate.theory.construction.files import load_network, save_network
    from looprate.theory.continuity import modulus_lower_bound, modulus_upper_bound
    from looprate.theory.facts import facts_of
    from looprate.theory.hypotheses import check_hypotheses
    from looprate.theory.statistics.slopes import fit_slope, slope_finding
    from looprate.theory.targets import TARGETS, Target, resolve_target
    from looprate.theory.verdict import Finding, Verdict

_PLACES = {  # name -> the module it is in, or the module that it is
    "target": "given",
    "AskedTarget": "asked",
    "error_figure": "results",
    "TARGETS": "theory.targets",
    "Target": "theory.targets",
    "resolve_target": "theory.targets",
    "check_hypotheses": "theory.hypotheses",
    "Verdict": "theory.verdict",
    "Finding": "theory.verdict",
    "facts_of": "theory.facts",
    "modulus_lower_bound": "theory.continuity",
    "modulus_upper_bound": "theory.continuity",
    "theorem_3_6_bound": "theory.bounds.theorem",
    "explicit_bound": "theory.bounds.explicit",
    "worst_case_error_lower_bound": "theory.bounds.lower",
    "worst_case_error_upper_bound": "theory.bounds.upper",
    "NetworkSize": "theory.bounds.pattern_count",
    "EtaNetwork": "theory.bounds.pattern_count",
    "best_constant_error": "theory.bounds.trivial",
    "first_informative_loops": "theory.bounds.rows",
    "delta_of_loops": "theory.bounds.cell_width",
    "loops_of_delta": "theory.bounds.cell_width",
    "ConstructionSpec": "theory.construction.build.spec",
    "compile_construction": "theory.construction.build.compile",
    "certify": "theory.construction.certify.certificate",
    "save_network": "theory.construction.files",
    "load_network": "theory.construction.files",
    "proof": "proof",
    "fit_slope": "theory.statistics.slopes",
    "slope_finding": "theory.statistics.slopes",
    "constructed_transformer": "approx.constructed.network",
    "LoopedTransformer": "approx.models.looped",
    "ModelConfig": "approx.models.looped",
    "VectorLoops": "approx.models.loops",
    "SequenceLoops": "approx.models.loops",
    "OfficialLoops": "approx.official.loops",
    "from_official": "approx.official.model",
    "official_model": "approx.official.model",
    "LoopedAdapter": "experiments.autopsy.protocol",
    "autopsy": "experiments.autopsy.report",
    "Recipe": "approx.fit.fitted",
    "fit": "approx.fit.fitting",
    "error": "approx.error",
    "CLAIMS": "experiments.claims",
    "PAPER": "experiments.reproduce.paper",
    "read_rows": "results",
    "where": "figures.rows",
    "distinct": "figures.rows",
    "column": "figures.rows",
    "make_figure": "figures.drawing",
    "style": "figures.style",
}

__all__ = sorted(_PLACES)


def __getattr__(name: str) -> Any:
    """Import a name of the facade where it is first used."""
    if name == "__version__":
        from importlib import metadata

        try:
            return metadata.version("looprate")
        except metadata.PackageNotFoundError:  # a checkout that is not installed
            return "unknown"
    if name not in _PLACES:
        from difflib import get_close_matches

        near = get_close_matches(name, __all__, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise AttributeError(f"module 'looprate' has no attribute {name!r}{hint}")
    module = import_module(f"looprate.{_PLACES[name]}")
    found = getattr(module, name, module)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return [*globals(), *__all__]
