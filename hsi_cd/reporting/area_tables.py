"""Area and accuracy with their intervals as tables, in the formats that tables of results have."""

from __future__ import annotations

import math

from hsi_cd.evaluation import BIASED, AreaEstimate, Estimate
from hsi_cd.reporting.cells import UNDEFINED, Cell
from hsi_cd.reporting.comparison import Row, Table
from hsi_cd.reporting.formats import csv_lines, print_tables

_ALL = "changed, all kinds"
_UNITS = {"ha": "ha", "pixels": "pixels"}


def area_table(found: AreaEstimate, *, format: str = "text") -> str:  # noqa: A002
    """The estimates as a table to print: each class with its area, share and accuracies, and the error matrix.

    Args:
        found: the estimates.
        format: ``text``, ``markdown``, ``html``, ``csv`` or ``latex``; CSV has one line for each number, in full
            precision, shares and accuracies as fractions.

    Returns:
        The text, without a line break at its end. Every format but CSV has the sentence on the map's own count.

    Raises:
        UnknownNameError: there is no such format.
    """
    return print_tables(format, [_estimates(found), _matrix(found)], lambda: _csv(found))


def _estimates(found: AreaEstimate) -> Table:
    accuracy, areas = found.accuracy, found.areas
    rows = [
        Row(
            name,
            (
                _cell(areas[name]),
                *(_cell(each[place], 100) for each in (accuracy.shares, accuracy.users, accuracy.producers)),
            ),
        )
        for place, name in enumerate(found.classes)
    ]
    if len(rows) > 2:
        undefined = Cell(UNDEFINED), Cell(UNDEFINED)
        rows.append(Row(_ALL, (_cell(found.changed), _cell(found.changed_share, 100), *undefined)))
    overall = accuracy.overall
    caption = (
        f"Estimates from {found.counts.sum():,} interpreted points, with 95 % intervals. Overall accuracy "
        f"{_number(100 * overall.value)} % [{_ends(overall, 100)}]. {BIASED}."
    )
    columns = (f"area ({_UNITS[found.unit]})", "share (%)", "user's accuracy (%)", "producer's accuracy (%)")
    return Table.of(caption, "class", columns, rows)


def _matrix(found: AreaEstimate) -> Table:
    """The error matrix in shares of the area, with the points that it comes from and what the map has."""
    rows = [
        Row(
            f"called {name}",
            (
                *(Cell(f"{share:.4f}") for share in shares),
                *(Cell(f"{count:,}") for count in counts),
                Cell(f"{pixels:,}"),
                Cell(_number(mapped)),
            ),
        )
        for name, shares, counts, pixels, mapped in zip(
            found.strata,
            found.accuracy.matrix.tolist(),
            found.counts.tolist(),
            found.pixels.tolist(),
            found.mapped.tolist(),
            strict=True,
        )
    ]
    columns = (
        *(f"{name}, share" for name in found.classes),
        *(f"{name}, points" for name in found.classes),
        "map's pixels",
        f"of {_UNITS[found.unit]}",
    )
    left = f" {found.left_out:,} points that were drawn are left out." if found.left_out else ""
    caption = f"Error matrix in shares of the area: the map in the rows, the reference in the columns.{left}"
    return Table.of(caption, "map \\ reference", columns, rows)


def _cell(found: Estimate, factor: float = 1.0) -> Cell:
    if math.isnan(found.value):
        return Cell(UNDEFINED)
    return Cell(f"{_number(found.value * factor)} [{_ends(found, factor)}]")


def _ends(found: Estimate, factor: float) -> str:
    return ", ".join(_number(end * factor) for end in (found.interval.low, found.interval.high))


def _number(value: float) -> str:
    """With as many decimals as four digits are; large ones whole."""
    size = abs(value)
    decimals = 0 if size >= 1000 else 1 if size >= 100 else 2 if size >= 1 or size == 0 else 4
    return f"{value:,.{decimals}f}"


def _csv(found: AreaEstimate) -> str:
    accuracy = found.accuracy
    per_class = (
        ("area", tuple(found.areas.values()), found.unit),
        ("share", accuracy.shares, "1"),
        ("users_accuracy", accuracy.users, "1"),
        ("producers_accuracy", accuracy.producers, "1"),
    )
    lines = [(what, name, each[i], unit) for what, each, unit in per_class for i, name in enumerate(found.classes)]
    if len(found.classes) > 2:
        lines += [("area", _ALL, found.changed, found.unit), ("share", _ALL, found.changed_share, "1")]
    return csv_lines(
        ("quantity", "class", "estimate", "standard_error", "low", "high", "unit"),
        [
            (what, name, each.value, each.standard_error, each.interval.low, each.interval.high, unit)
            for what, name, each, unit in [*lines, ("overall_accuracy", "", accuracy.overall, "1")]
        ],
    )
