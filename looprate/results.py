"""What the questions about a target answer: rows that print, as text and HTML, and draw themselves.

Nothing is computed here.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from looprate.answer import Answer, Row

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from looprate.approx.constructed.network import ConstructedTransformer
    from looprate.approx.fit.fitted import FitResult
    from looprate.approx.fit.halving import BestFound
    from looprate.approx.models.looped import LoopedTransformer
    from looprate.theory.construction.build.compile import Construction
    from looprate.theory.construction.certify.certificate import Certificate

__all__ = [
    "Answer",
    "BestAnswer",
    "BoundAnswer",
    "CheckAnswer",
    "ConstructAnswer",
    "FitAnswer",
    "ModuliAnswer",
    "error_figure",
    "read_rows",
]


@dataclass(frozen=True, repr=False, eq=False)
class CheckAnswer(Answer):
    """The hypotheses of the theorem on a target: what was checked, and what was found."""

    columns = ("verdict", "claim", "reason")

    @property
    def failures(self) -> list[str]:
        """One line for each hypothesis that fails, with its witness."""
        from looprate.theory.gate import failures

        return failures(self.asked.hypotheses)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Write one line a hypothesis."""
        with _axes(ax) as ax:
            ax.set_axis_off()
            ax.set_title(self.title)
            for k, row in enumerate(self.rows):
                y = 1 - (k + 0.5) / len(self.rows)
                ax.text(0.0, y, row["verdict"], weight="bold", va="center", transform=ax.transAxes)
                ax.text(0.25, y, row["claim"], va="center", transform=ax.transAxes)
        return ax


@dataclass(frozen=True, repr=False, eq=False)
class ModuliAnswer(Answer):
    """Moduli of continuity: ``lower`` is attained by a pair, ``exact`` and ``upper`` are proven.

    ``certified`` is a proven upper bound of a search, where it was asked for.

    Attributes
    ----------
    refused : tuple of str
        Why nothing was certified, where nothing was.
    """

    refused: tuple[str, ...] = ()
    columns = ("kind", "delta", "lower", "exact", "upper", "certified", "side")

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw every modulus against the radius."""
        from looprate.figures.moduli import SIZE, draw
        from looprate.theory.certification import drawn_rows

        with _axes(ax, SIZE) as ax:
            rows = drawn_rows(self.asked.target, self.rows, **self.asked.shape)
            draw(ax, [row | self.asked.setting_columns for row in rows])
        return ax

    def _words(self) -> list[str]:
        return [f"no certified upper bounds: {reason}" for reason in self.refused]


@dataclass(frozen=True, repr=False, eq=False)
class BoundAnswer(Answer):
    """A proven bound of the error at some loop counts, term by term, and what it is worth."""

    columns = ("loops", "delta", "total", "trivial", "verdict")

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the terms, stacked, against the loop count."""
        from looprate.figures.bound_terms import SIZE, draw

        terms = [
            {"version": row["version"], "loops": row["loops"], "term": term, "value": value}
            | {"trivial": row["trivial"], "total": row["total"], "status": row["verdict"]}
            for row in self.rows
            for term, value in row["terms"].items()
        ]
        with _axes(ax, SIZE) as ax:
            draw(ax, [row | self.facts.setting_columns for row in terms])
        return ax

    def curve_rows(self) -> list[Row]:
        """Return the rows of the main figure."""
        from looprate.theory.construction.memorisers import MEMORISERS

        modulated = {name for name, kind in MEMORISERS.items() if kind.modulated}
        return [
            {"curve": "bound", "family": "tmlt" if modulated & {*row["version"].split()} else "lt"}
            | {"label": ", ".join(row["version"].split(", ")[:2]), "loops": row["loops"]}
            | {"value": row["total"], "status": row["verdict"]}
            for row in self.rows
        ]

    def _words(self) -> list[str]:
        return [f"r = {self.rows[-1]['loops']}: {self.rows[-1]['reason']}"]


@dataclass(frozen=True, repr=False, eq=False)
class ConstructAnswer(Answer):
    """The proof as weights, and what is certified of them.

    Attributes
    ----------
    construction : Construction
        Specification, label table and network, in exact numbers.
    certificate : Certificate
    """

    construction: Construction
    certificate: Certificate
    columns = ("memoriser", "coding", "grid", "loops", "error_lower", "error_upper", "bound")

    @property
    def error(self) -> tuple[float | None, float | None]:
        """A rigorous enclosure of the L^p error, None where there is none."""
        return self.certificate.error_lower, self.certificate.error_upper

    def model(self, **options: Any) -> ConstructedTransformer:
        """Return the network as a torch module.

        Parameters
        ----------
        **options
            Of :func:`looprate.constructed_transformer`.
        """
        from looprate.approx.constructed.network import constructed_transformer

        return constructed_transformer(self.construction.network, **options)

    def save(self, path: str | Path) -> None:
        """Write the network as JSON, for ``looprate construct --load``."""
        from looprate.theory.construction.files import save_network

        origin = {"target": str(self.asked.target), **self.construction.spec.as_dict()}
        save_network(path, self.construction.network, construction=origin)

    def stages(self) -> Figure:
        """Draw the three stages of the network, for N = 2 and d = 1."""
        from looprate.experiments.study.construction_rows import stage_rows
        from looprate.figures.drawing import make_figure

        rows = stage_rows(self.construction)
        return make_figure("stages", [row | self.asked.setting_columns for row in rows])

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the certified error beside the best constant's."""
        return error_figure(self, ax=ax)

    def curve_rows(self) -> list[Row]:
        """Return the rows of the main figure."""
        from looprate.theory.construction.memorisers import memoriser_kind

        row = self.rows[0]
        family = memoriser_kind(row["memoriser"]).family
        label = f"{row['memoriser']}, {row['coding']} code"
        return [
            {"curve": "constructed", "family": family, "label": label, "loops": row["loops"]}
            | {"value": row["error_upper"], "lower": row["error_lower"], "status": row["verdict"]}
        ]

    def _words(self) -> list[str]:
        return [f"{self.verdict}: {self.rows[0]['reason']}"]


@dataclass(frozen=True, repr=False, eq=False)
class FitAnswer(Answer):
    """Trained looped Transformers and their held-out errors, a row a network.

    Attributes
    ----------
    banks : tuple of FitResult
        One a loop count, in the order of the rows.
    """

    banks: tuple[FitResult, ...]
    columns = ("family", "loops", "seed", "learning_rate", "error", "error_stderr", "parameters")

    def model(self, index: int) -> LoopedTransformer:
        """Return the network of a row as a torch module that maps (B, N, d) to (B, N, d)."""
        from looprate.approx.banks.bank import model_of

        if not -len(self.rows) <= index < len(self.rows):
            raise IndexError(
                f"`index` must be a row's, below {len(self.rows)}, got {index}; see to_rows()"
            )
        places = [(bank, k) for bank in self.banks for k in range(len(bank.members))]
        bank, member = places[index]
        return model_of(bank.bank, bank.config, member, loops=self.rows[index]["loops"])

    def best(self) -> LoopedTransformer:
        """Return the network with the smallest validation error, which held-out points had no part
        in."""
        errors = [row["validation_error"] for row in self.rows]
        if all(error is None for error in errors):
            raise ValueError("every network diverged; take smaller `learning_rates`")
        found = [math.inf if error is None else error for error in errors]
        return self.model(found.index(min(found)))

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw errors against loops beside the best constant's."""
        return error_figure(self, ax=ax)

    def curve_rows(self) -> list[Row]:
        """Return the rows of the main figure: of every seed the rate that validates best."""
        best: dict[tuple[Any, ...], Row] = {}
        for row in self.rows:
            place = (row["family"], row["loops"], row["seed"])
            known = best.get(place)
            if known is None or _error(row) < _error(known):
                best[place] = row
        return [
            {"curve": "trained", "family": row["family"], "loops": row["loops"]}
            | {"label": f"{row['config']['recipe']['steps']:,} steps", "seed": row["seed"]}
            | {"value": row["error"], "stderr": row["error_stderr"]}
            for row in best.values()
        ]

    def _words(self) -> list[str]:
        return ["A trained error is approximation plus optimisation: it says nothing of a bound."]


@dataclass(frozen=True, repr=False, eq=False)
class BestAnswer(Answer):
    """The best network found of each loop count, with its held-out error, a row a loop count.

    Attributes
    ----------
    networks : tuple of BestFound
        In the order of the rows.
    """

    networks: tuple[BestFound, ...]
    columns = (
        *("family", "loops", "error", "stderr", "starts", "median"),
        *("certified_lower", "certified_upper"),
    )

    def model(self, index: int) -> LoopedTransformer:
        """Return the network of a row as a torch module in float64."""
        return self.networks[index].model()

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw errors against loops beside the best constant's."""
        return error_figure(self, ax=ax)

    def curve_rows(self) -> list[Row]:
        """Return the rows of the main figure."""
        from looprate.experiments.study.best import curve_rows

        return curve_rows(self.rows)

    def _words(self) -> list[str]:
        return ["The best found is an upper estimate of what such networks can do."]


def _error(row: Row) -> float:
    """The validation error of a row, infinite where it diverged."""
    return math.inf if row["validation_error"] is None else float(row["validation_error"])


@contextmanager
def _axes(ax: Axes | None, size: tuple[float, float] | None = None) -> Iterator[Axes]:
    """Give the axes given, or those of a new figure in this project's style while it is drawn."""
    if ax is not None:
        yield ax
        return
    import matplotlib.pyplot as plt

    from looprate.figures.style import paper

    with plt.rc_context(paper()):
        yield plt.subplots(figsize=size, layout="constrained")[1]


def error_figure(
    *answers: BoundAnswer | ConstructAnswer | FitAnswer | BestAnswer,
    rows: Sequence[Row] = (),
    ax: Axes | None = None,
) -> Axes:
    """Draw bounds, constructed and trained networks of one target into one figure.

    Parameters
    ----------
    *answers : of ``bound``, ``construct``, ``fit`` and ``best_fit``
        All about one target at one N, d and p.
    rows : sequence of dict
        Further rows of the figure ``error-against-loops``, such as stored ones.
    ax : Axes, optional
        Empty; by default of a figure of its own, with this project's style.

    Returns
    -------
    Axes
        Error against loops, both logarithmic, beside the error of the best constant.

    Raises
    ------
    TypeError
        If something is no answer of these questions.
    ValueError
        If there is no answer, or they are about several settings.
    """
    from looprate.figures.error_against_loops import COLUMNS, OPTIONAL, SIZE, draw

    for answer in answers:
        if not isinstance(answer, BoundAnswer | ConstructAnswer | FitAnswer | BestAnswer):
            raise TypeError(
                "`answers` must be those of bound, construct and fit, one after the other, got "
                f"{type(answer).__name__}; moduli and hypotheses have figures of their own: .plot()"
            )
    settings = {answer.title for answer in answers}
    if len(settings) != 1:
        raise ValueError(
            f"`answers` must be about one target and setting, got {len(settings)}: "
            f"{'; '.join(sorted(settings)) or 'none'}"
        )
    facts = answers[0].facts
    trivial = {"curve": "trivial", "value": facts.trivial, "stderr": facts.trivial_stderr}
    drawn = [trivial, *(row for answer in answers for row in answer.curve_rows()), *rows]
    empty = dict.fromkeys((*COLUMNS, *OPTIONAL))
    with _axes(ax, SIZE) as ax:
        draw(ax, [empty | row | facts.setting_columns for row in drawn])
    return ax


def read_rows(path: str | Path) -> list[Row]:
    """Read stored rows: the CSV file of a figure, or the ``rows.jsonl`` of a study.

    Raises
    ------
    ValueError, OSError
        If the file cannot be read; the message says what to do.
    """
    from pathlib import Path

    from looprate.experiments.rows import records
    from looprate.figures import rows as tables

    if (place := Path(path)).suffix != ".jsonl":
        return tables.read_rows(place)
    place.stat()  # a store that is not there has no rows; here it is an error
    return records.read_rows(place)
