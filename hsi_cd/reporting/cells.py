"""One cell of a table: a score or a cost of one method on one scene, averaged over seeds, formatted, ranked."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from hsi_cd.errors import unknown_name
from hsi_cd.evaluation import (
    FEWEST_PIXELS,
    NOT_JUDGED,
    SCORE_NAMES,
    Interval,
    RunResult,
    bootstrap_kinds,
    bootstrap_pixels,
    bootstrap_seeds,
    higher_is_better,
    judged_apart,
    mean_std,
    not_judged,
    shape_interval,
    stands_on_few,
)
from hsi_cd.reporting.tables import SCORE_TITLES

COST_TITLES: Mapping[str, str] = {
    "parameters": "Parameters",
    "flops": "FLOPs",
    "train_seconds": "Train (s)",
    "map_seconds": "Map (s)",
}
"""What a method costs, and how tables call it."""

FLOOR, MAJORITY = "coordinate floor", "majority class"

UNDEFINED = "undefined"
"""What a cell says of a score that has no value for its pixels."""

_NO_NUMBER = (UNDEFINED, NOT_JUDGED)


def find_measures(
    results: Sequence[RunResult], scores: Sequence[str], percent: Collection[str], costs: Sequence[str]
) -> list[Measure]:
    """What the columns hold.

    Raises:
        UnknownNameError: there is no such score or cost.
    """
    known = {*SCORE_TITLES, *(name for result in results for name in result.scores)}
    for name in (*scores, *percent):
        if name not in known:
            raise unknown_name("score", name, known)
    measures = []
    for name in scores:
        in_percent = name in percent
        title = SCORE_TITLES.get(name, name)
        measures.append(Measure(name, title + (" (%)" if in_percent else ""), title, percent=in_percent))
    for name in costs:
        if name not in COST_TITLES:
            raise unknown_name("cost", name, COST_TITLES)
        # Nobody wants a column of dashes for what no run has measured.
        if any(_cost(result, name) is not None for result in results):
            measures.append(Measure(name, COST_TITLES[name], COST_TITLES[name], cost=True))
    return measures


def _cost(result: RunResult, name: str) -> float | None:
    value = result.details.get("flops") if name == "flops" else getattr(result, name)
    return float(value) if isinstance(value, int | float) else None


def _format_cost(name: str, value: float) -> str:
    if name == "flops":
        power = min(max(int(math.log10(value)) // 3, 0), 5) if value > 0 else 0
        return f"{value / 1000**power:.3g} {' kMGTP'[power]}".rstrip()
    return f"{value:,.0f}" if name == "parameters" else f"{value:.1f}"


@dataclass(frozen=True)
class Measure:
    """One score or cost, and how it is printed.

    Attributes:
        name: its name in results.
        title: its title above a column.
        short: the title without the unit.
        percent: whether it is printed in %.
        cost: whether it is a cost, which is not ranked.
        kinds: whether it is a score of kinds of change, by the name that :meth:`KindResult.score` takes.
    """

    name: str
    title: str
    short: str
    percent: bool = False
    cost: bool = False
    kinds: bool = False

    def of(self, run: RunResult) -> float | None:
        """The value that a run has; None where it has none."""
        if self.cost:
            return _cost(run, self.name)
        if self.kinds:
            return None if run.kinds is None else run.kinds.score(self.name)
        return run.scores.get(self.name)

    def baseline(self, run: RunResult, field: str) -> float | None:
        """What a baseline scores on the pixels of a run; None where it has none."""
        known = run.baselines if not self.kinds else None if run.kinds is None else run.kinds.baselines
        value = None if known is None else getattr(known, f"{field}_{self.name}", None)
        return None if value is None else float(value)

    def stands_on_few(self, run: RunResult) -> bool:
        """Whether few pixels judge: of a class those of this class."""
        _, of_class, called = self.name.partition("/")
        if self.kinds and of_class and run.kinds is not None and called in run.kinds.names:
            return 0 < run.kinds.confusion.truth[run.kinds.names.index(called)] < FEWEST_PIXELS
        return stands_on_few(run) is not None

    def show(self, value: float) -> str:
        """A score as it is printed."""
        if math.isnan(value):
            return UNDEFINED
        return f"{100 * value:.2f}" if self.percent else f"{value:.4f}"

    def in_unit(self, value: float) -> float:
        """A score in the unit that the title says, in full precision, without the dust of a product by 100."""
        return round(100 * value, 12) if self.percent else value


@dataclass(frozen=True)
class Cell:
    """One cell.

    Attributes:
        value: the mean, as printed.
        spread: its standard deviation, as printed; empty without one.
        ends: ends of its interval, as printed; empty without one.
        rank: 1 best, 2 second, 0 neither.
        mean: the mean in full precision, in the unit of its column.
        std: the standard deviation, likewise; NaN without one.
        count: number of runs.
        few: whether it stands on few judging pixels.
    """

    value: str
    spread: str = ""
    ends: tuple[str, ...] = ()
    rank: int = 0
    mean: float = math.nan
    std: float = math.nan
    count: int = 0
    few: bool = False


class Runs:
    """Results by method and dataset, and the cells they make."""

    def __init__(self, results: Sequence[RunResult], *, interval: str | None, ddof: int) -> None:
        self.methods = list(dict.fromkeys(result.method for result in results))
        self.datasets = list(dict.fromkeys(result.dataset for result in results))
        self._runs: dict[tuple[str, str], list[RunResult]] = {}
        for result in results:
            self._runs.setdefault((result.method, result.dataset), []).append(result)
        self._apart = judged_apart(results)
        self._interval = interval
        self._ddof = ddof
        self._cells: dict[tuple[str, str, Measure], Cell | None] = {}

    def has_kinds(self, method: str, dataset: str) -> bool:
        """Whether a method's runs on a dataset were judged by kinds of change."""
        return any(run.kinds is not None for run in self._runs.get((method, dataset), []))

    def has_baselines(self, measures: Sequence[Measure]) -> bool:
        """Whether some run has a floor for one of these measures."""
        named = any(measure.name in ("oa", "kappa") for measure in measures)
        return named and any(run.baselines is not None for runs in self._runs.values() for run in runs)

    def cell(self, method: str, dataset: str, measure: Measure) -> Cell | None:
        """The cell of a method (or baseline) on a dataset, ranked; None where there is nothing."""
        if method in (FLOOR, MAJORITY) and method not in self.methods:
            return self._baseline(method, dataset, measure)
        cell = self._unranked(method, dataset, measure)
        others = [self._unranked(other, dataset, measure) for other in self.methods]
        # Where there is one method alone, it is best of nothing; and scores on other pixels do not compare.
        if (
            cell is None
            or measure.cost
            or dataset in self._apart
            or sum(other is not None for other in others) < 2
        ):
            return cell
        best = {float(other.value) for other in others if other is not None and other.value not in _NO_NUMBER}
        order = sorted(best, reverse=higher_is_better(measure.name))[:2]
        if cell.value in _NO_NUMBER or float(cell.value) not in order:
            return cell
        return replace(cell, rank=order.index(float(cell.value)) + 1)

    def _unranked(self, method: str, dataset: str, measure: Measure) -> Cell | None:
        key = (method, dataset, measure)
        if key not in self._cells:
            self._cells[key] = self._make(self._runs.get((method, dataset), []), measure)
        return self._cells[key]

    def _make(self, runs: Sequence[RunResult], measure: Measure) -> Cell | None:
        values = [value for run in runs if (value := measure.of(run)) is not None]
        if not values:
            return None
        spread = mean_std(values, ddof=self._ddof)
        if measure.cost:
            return Cell(_format_cost(measure.name, spread.mean), mean=spread.mean, count=spread.count)
        show = measure.show
        mean, std = measure.in_unit(spread.mean), measure.in_unit(spread.std)
        few = any(map(measure.stands_on_few, runs))
        cell = Cell(show(spread.mean), mean=mean, std=std, count=spread.count, few=few)
        if math.isnan(spread.mean):
            return replace(cell, value=NOT_JUDGED, few=False) if any(map(not_judged, runs)) else cell
        if self._interval is None:
            return cell if math.isnan(spread.std) else replace(cell, spread=show(spread.std))
        if measure.kinds:
            over = bootstrap_seeds(values) if self._interval == "seeds" else _ends_of_kinds(runs, measure.name)
            return cell if math.isnan(over.low) else replace(cell, ends=(show(over.low), show(over.high)))
        by_shape = [ends for run in runs if (ends := shape_interval(run, measure.name)) is not None]
        if self._interval == "seeds":
            ends = bootstrap_seeds(values)
        elif len(by_shape) == len(runs):
            low, high = (math.fsum(of) / len(of) for of in zip(*((x.low, x.high) for x in by_shape), strict=True))
            ends = Interval(low, high)
        elif measure.name in SCORE_NAMES:
            ends = bootstrap_pixels([run.counts for run in runs], scores=[measure.name])[measure.name]
        else:
            return cell
        return cell if math.isnan(ends.low) else replace(cell, ends=(show(ends.low), show(ends.high)))

    def _baseline(self, name: str, dataset: str, measure: Measure) -> Cell | None:
        field = {FLOOR: "floor", MAJORITY: "majority"}[name]
        # Every method of one seed has the same baselines.
        by_seed = {
            run.seed: value
            for (_, other), runs in self._runs.items()
            for run in runs
            if other == dataset and (value := measure.baseline(run, field)) is not None
        }
        if measure.cost or not by_seed:
            return None
        spread = mean_std(list(by_seed.values()), ddof=self._ddof)
        if math.isnan(spread.mean):
            return None
        show = measure.show
        beside = "" if self._interval is not None or math.isnan(spread.std) else show(spread.std)
        mean, std = measure.in_unit(spread.mean), measure.in_unit(spread.std)
        return Cell(show(spread.mean), spread=beside, mean=mean, std=std, count=spread.count)


def _ends_of_kinds(runs: Sequence[RunResult], name: str) -> Interval:
    """The interval of a score of kinds over test pixels; NaN where it has none."""
    score, of_class, called = name.partition("/")
    known = [run.kinds for run in runs if run.kinds is not None]
    if score == "adjusted_rand":
        return Interval(math.nan, math.nan)
    if of_class:
        score = f"{score}/{known[0].names.index(called)}"
    return bootstrap_kinds([kinds.confusion for kinds in known], scores=[score])[score]
