"""Results of many runs as tables of cells: which run stands where, which cell is best. Formats are elsewhere."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from hsi_cd.errors import ConfigError
from hsi_cd.evaluation import KindResult, RunResult, judges
from hsi_cd.reporting.captions import make_caption
from hsi_cd.reporting.cells import FLOOR, MAJORITY, Cell, Measure, Runs, find_measures
from hsi_cd.reporting.judged_kinds import KIND_TITLES
from hsi_cd.scene import DRAWN

LAYOUTS: Mapping[str, tuple[str, ...]] = {"method": ("dataset", "score"), "dataset": ("method", "score")}
"""What may stand in the columns, by what stands in the rows."""


def compare_results(
    results: Sequence[RunResult],
    *,
    rows: str = "method",
    columns: str = "dataset",
    scores: Sequence[str] = ("oa", "kappa", "f1"),
    percent: Collection[str] = ("oa",),
    costs: Sequence[str] = (),
    baselines: bool = True,
    interval: str | None = None,
    ddof: int = 1,
) -> tuple[Table, ...]:
    """Lay out results of many runs, averaged over seeds.

    The best and second best method of each dataset and score are ranked as printed: cells that look the same rank
    the same, and a single method is not ranked.

    Args:
        results: results of runs under one protocol; methods and datasets keep the order in which they come.
        rows: ``method`` or ``dataset``.
        columns: the other of the two, with every score beneath each: one table; or ``score``: one table for each
            dataset (rows of methods), or each method (rows of datasets).
        scores: names of scores.
        percent: those of them that are printed in %.
        costs: names of :data:`COST_TITLES` to follow the scores.
        baselines: whether the coordinate floor and the majority class stand below rows of methods.
        interval: what is printed beside the mean: its standard deviation over seeds (None), or its 95 % bootstrap
            interval over test ``pixels`` or over ``seeds``.
        ddof: of the standard deviation.

    Returns:
        The tables; None cells are missing runs. Of each dataset whose maps were judged by kinds of change, a table
        of these follows: scores in the rows, methods in the columns.

    Raises:
        ConfigError: there is no result, the layout does not exist, protocols, scopes or training pixels differ, or
            a run is given twice.
        UnknownNameError: there is no such score or cost.
    """
    if columns not in LAYOUTS.get(rows, ()):
        known = "; ".join(f"rows {name}: columns {' or '.join(below)}" for name, below in LAYOUTS.items())
        raise ConfigError(f"rows {rows} and columns {columns}: there is no such table; choose {known}")
    if interval not in (None, "pixels", "seeds"):
        raise ConfigError(f"interval over {interval!r}: choose pixels or seeds")
    results = told_apart(results)
    check_comparable(results)
    measures = find_measures(results, scores, percent, costs)
    runs = Runs(results, interval=interval, ddof=ddof)
    in_percent = [measure.short for measure in measures if measure.percent]
    methods, datasets = runs.methods, runs.datasets

    extra = [FLOOR, MAJORITY] if baselines and rows == "method" and runs.has_baselines(measures) else []
    if columns == "score":
        titles, labels = (datasets, methods) if rows == "method" else (methods, datasets)
        groups: list[tuple[str, ...]] = [("",)] * len(titles)
    else:
        titles, labels = [""], methods if rows == "method" else datasets
        groups = [tuple(datasets if rows == "method" else methods)]

    tables = []
    for title, group in zip(titles, groups, strict=True):
        about = [result for result in results if title in ("", result.dataset, result.method)]
        body = []
        for label in [*labels, *extra]:
            places = [(label, name or title) if rows == "method" else (name or title, label) for name in group]
            cells = tuple(runs.cell(method, dataset, m) for method, dataset in places for m in measures)
            body.append(Row(label, cells, apart=bool(extra) and label == FLOOR))
        tables.append(
            Table(
                title=title,
                caption=make_caption(about, percent=in_percent, interval=interval, ddof=ddof),
                corner=rows.capitalize(),
                groups=group,
                columns=tuple(m.title for m in measures),
                rows=tuple(body),
                protocol=results[0].protocol,
                scope=results[0].scope,
            )
        )
    of_kinds = _kind_tables(results, runs, percent=percent, baselines=baselines, interval=interval, ddof=ddof)
    return (*tables, *of_kinds)


def in_order(tables: Sequence[Table], order: Sequence[str]) -> tuple[Table, ...]:
    """Tables with methods and datasets in an order, wherever they stand; the others follow, and floors come last.

    Args:
        tables: as :func:`compare_results` lays them out.
        order: names of methods and datasets.
    """
    place = {name: i for i, name in enumerate(order)}
    ordered = []
    for table in sorted(tables, key=lambda table: place.get(table.title, len(place))):
        at = sorted(range(len(table.groups)), key=lambda i: place.get(table.groups[i], len(place)))
        cells = [i * len(table.columns) + j for i in at for j in range(len(table.columns))]
        rows = sorted(
            table.rows, key=lambda row: (row.label in (FLOOR, MAJORITY), place.get(row.label, len(place)))
        )
        ordered.append(
            replace(
                table,
                groups=tuple(table.groups[i] for i in at),
                rows=tuple(replace(row, cells=tuple(row.cells[i] for i in cells)) for row in rows),
            )
        )
    return tuple(ordered)


def told_apart(results: Sequence[RunResult]) -> list[RunResult]:
    """Results whose methods are told apart by their names: two of other packages may have one name.

    Such a method is called by where its class is, too: ``kan (mynets:KAN)``.
    """
    places: dict[str, set[object]] = {}
    for result in results:
        places.setdefault(result.method, set()).add(result.details.get("plugin"))
    return [
        replace(result, method=f"{result.method} ({place})")
        if (place := result.details.get("plugin")) and len(places[result.method]) > 1
        else result
        for result in results
    ]


def check_comparable(results: Sequence[RunResult]) -> None:
    """Refuse results that must not share a table.

    Raises:
        ConfigError: there is none, they are of several protocols or scopes, of several numbers of training pixels
            for one scene, or one run is given twice.
    """
    if not results:
        raise ConfigError("no result to put in a table: name run folders")
    first = results[0]
    seen: dict[tuple[str, str, int | None], RunResult] = {}
    trained: dict[str, RunResult] = {}
    for result in results:
        if _judged_alike(result) != _judged_alike(first):
            raise ConfigError(
                f"{_name(first)} is of protocol {first.protocol} ({judges(first)}) but {_name(result)} of "
                f"{result.protocol} ({judges(result)}): two protocols cannot share a table; make two"
            )
        key = (result.method, result.dataset, result.seed)
        if key in seen:
            raise ConfigError(f"{_name(result)} is given twice: give each method, dataset and seed once")
        seen[key] = result
        other = trained.setdefault(result.dataset, result)
        if other.train is None:
            trained[result.dataset] = result
        # Blocks hold as many pixels as they happen to hold; a method without training has none to tell.
        told = result.train is not None and other.train is not None and result.protocol != "P3"
        if told and result.train != other.train:
            raise ConfigError(
                f"{_name(other)} was trained on {_trained(other)} pixels but {_name(result)} on "
                f"{_trained(result)}: scores from other numbers of labels cannot share a table; make two"
            )


def _judged_alike(result: RunResult) -> tuple[str, str]:
    """Protocol and scope; of a drawing, each shape is judged by what has not learned from it, labels or none."""
    return result.protocol, "" if result.protocol == DRAWN else result.scope


def _name(result: RunResult) -> str:
    return f"{result.method} on {result.dataset}" + ("" if result.seed is None else f", seed {result.seed},")


def _trained(result: RunResult) -> str:
    return "no" if result.train is None else f"{result.train.unchanged} + {result.train.changed}"


def _kind_tables(
    results: Sequence[RunResult],
    runs: Runs,
    *,
    percent: Collection[str],
    baselines: bool,
    interval: str | None,
    ddof: int,
) -> Iterator[Table]:
    """A table of kinds for each dataset that has such results."""
    for dataset in runs.datasets:
        about = [result for result in results if result.dataset == dataset and result.kinds is not None]
        judged = [result.kinds for result in about if result.kinds is not None]
        if not judged:
            continue
        names = list(dict.fromkeys(name for kinds in judged for name in kinds.names))
        overall = [
            Measure(name, title + (" (%)" if name in percent else ""), title, percent=name in percent, kinds=True)
            for name, title in KIND_TITLES.items()
        ]
        measures = [*overall, *(Measure(f"f1/{name}", f"F1, {name}", f"F1, {name}", kinds=True) for name in names)]
        floors = (FLOOR, MAJORITY) if baselines and any(kinds.baselines for kinds in judged) else ()
        groups = (*(method for method in runs.methods if runs.has_kinds(method, dataset)), *floors)
        pixels: dict[str, list[tuple[int, ...] | None]] = {
            "trained on": [kinds.train for kinds in judged],
            "pixels": [kinds.confusion.truth for kinds in judged],
        }
        told = {title: counts for title, counts in pixels.items() if _same_classes(judged, counts)}
        rows = []
        for place, measure in enumerate(measures):
            cells = [runs.cell(group, dataset, measure) for group in groups]
            number = place - len(overall)
            counted = [counts[0] for counts in told.values()]
            cells += [_pixels(count[number]) if count and number >= 0 else None for count in counted]
            rows.append(Row(measure.title, tuple(cells), apart=number == 0))
        yield Table(
            title=f"{dataset}, kinds of change",
            caption=f"Scores over {len(names)} classes, the unchanged among them, and F1 of each. "
            + make_caption(about, percent=[m.short for m in overall if m.percent], interval=interval, ddof=ddof),
            corner="Score",
            groups=(*groups, *told),
            columns=("",),
            rows=tuple(rows),
            protocol=about[0].protocol,
            scope=about[0].scope,
        )


def _same_classes(judged: Sequence[KindResult], counts: Sequence[tuple[int, ...] | None]) -> bool:
    """Whether all results are of the same classes, with the same numbers of pixels."""
    found = {(kinds.names, count) for kinds, count in zip(judged, counts, strict=True)}
    return len(found) == 1 and counts[0] is not None


def _pixels(count: int) -> Cell:
    return Cell(f"{count:,}", mean=float(count), count=1)


@dataclass(frozen=True)
class Row:
    """One row: its label, its cells (None where there is no run), and whether a rule sets it apart from above."""

    label: str
    cells: tuple[Cell | None, ...]
    apart: bool = False


@dataclass(frozen=True)
class Table:
    """One table.

    Attributes:
        title: the dataset or method it is about; empty for all of them.
        caption: sentences that say how to read it, without the marks of the format.
        corner: title of the first column.
        groups: titles above the columns; every group has all of them.
        columns: titles of the columns of one group.
        rows: its rows.
        protocol: the protocol of all of it.
        scope: the pixels that judged.
    """

    title: str
    caption: str
    corner: str
    groups: tuple[str, ...]
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    protocol: str
    scope: str

    @classmethod
    def of(cls, caption: str, corner: str, columns: Sequence[str], rows: Sequence[Row]) -> Table:
        """A table of numbers that no protocol gave, in one group of columns."""
        return cls("", caption, corner, ("",), tuple(columns), tuple(rows), protocol="", scope="")
