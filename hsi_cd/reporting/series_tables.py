"""What a series of dates calls changed, from date to date, as a table in the formats that other tables have."""

from __future__ import annotations

import math

from hsi_cd.evaluation import BIASED, SeriesAreas
from hsi_cd.reporting.cells import UNDEFINED, Cell
from hsi_cd.reporting.comparison import Row, Table
from hsi_cd.reporting.formats import csv_lines, print_tables

_COLUMNS = ("from", "to", "comparison", "threshold", "changed_pixels", "pixels", "share", "changed_area")


def series_table(found: SeriesAreas, *, format: str = "text") -> str:  # noqa: A002
    """What is called changed between dates, as a table to print.

    Args:
        found: the counts.
        format: ``text``, ``markdown``, ``html``, ``csv`` or ``latex``; CSV has one line for each pair of dates
            (and each of its kinds of change, where some are known, in a column of their own) and for each kind of
            return, in full precision, the share as a fraction.

    Returns:
        The text, without a line break at its end. Every format has the sentence on what such counts are.

    Raises:
        UnknownNameError: there is no such format.
    """
    kinds = [_kinds(found)] if any(each.kinds for each in found.intervals) else []
    return print_tables(format, [_intervals(found), *kinds, _returns(found)], lambda: _csv(found))


def _intervals(found: SeriesAreas) -> Table:
    rows = [
        Row(
            f"{each.earlier} to {each.later}",
            (
                Cell(each.kind),
                Cell(f"{each.changed:,}"),
                Cell(f"{each.known:,}"),
                Cell(UNDEFINED if math.isnan(each.share) else f"{100 * each.share:.2f}"),
                Cell(f"{each.changed_area:,.2f}"),
            ),
        )
        for each in found.intervals
    ]
    columns = ("comparison", "changed pixels", "pixels with data", "share (%)", f"changed ({found.unit})")
    return Table.of(f"Called changed between two dates. {BIASED}.", "dates", columns, rows)


def _kinds(found: SeriesAreas) -> Table:
    rows = [
        Row(
            f"{each.earlier} to {each.later}",
            (Cell(each.kind), Cell(kind.name), Cell(f"{kind.pixels:,}"), Cell(f"{kind.area:,.2f}")),
        )
        for each in found.intervals
        for kind in each.kinds
    ]
    columns = ("comparison", "kind of change", "pixels", f"area ({found.unit})")
    return Table.of(f"Kinds of change between two dates. {BIASED}.", "dates", columns, rows)


def _returns(found: SeriesAreas) -> Table:
    rows = [Row(each.name, (Cell(f"{each.pixels:,}"), Cell(f"{each.area:,.2f}"))) for each in found.returns]
    columns = ("pixels", f"area ({found.unit})")
    caption = f"What came back, and what stayed, by the map. {BIASED}."
    return Table.of(caption, "over all dates", columns, rows)


def _csv(found: SeriesAreas) -> str:
    lines: list[tuple[object, ...]] = []
    for each in found.intervals:
        pair = (each.earlier, each.later, each.kind, each.threshold)
        lines.append((*pair, each.changed, each.known, each.share, each.changed_area, ""))
        lines += [(*pair, kind.pixels, each.known, "", kind.area, kind.name) for kind in each.kinds]
    lines += [("", "", kind.name, "", kind.pixels, "", "", kind.area, "") for kind in found.returns]
    known = any(each.kinds for each in found.intervals)
    head, cut = ((*_COLUMNS, "kind_of_change"), 9) if known else (_COLUMNS, 8)
    return csv_lines((*head, "unit", "note"), ((*line[:cut], found.unit, BIASED) for line in lines))
