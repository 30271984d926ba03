"""What a series of dates calls changed, from date to date, as a table in the formats that other tables have."""

from __future__ import annotations

import csv
import io
import math

from hsi_cd.errors import unknown_name
from hsi_cd.evaluation import BIASED, SeriesAreas
from hsi_cd.reporting.cells import UNDEFINED, Cell
from hsi_cd.reporting.comparison import Row, Table
from hsi_cd.reporting.formats import FORMATS

_COLUMNS = ("from", "to", "comparison", "threshold", "changed_pixels", "pixels", "share", "changed_area", "unit")


def series_table(found: SeriesAreas, *, format: str = "text") -> str:  # noqa: A002
    """What is called changed between dates, as a table to print.

    Args:
        found: the counts.
        format: ``text``, ``markdown``, ``html``, ``csv`` or ``latex``; CSV has one line for each pair of dates and
            each kind of return, in full precision, the share as a fraction.

    Returns:
        The text, without a line break at its end. Every format has the sentence on what such counts are.

    Raises:
        UnknownNameError: there is no such format.
    """
    if format not in FORMATS:
        raise unknown_name("format", format, FORMATS)
    if format == "csv":
        return _csv(found)
    return FORMATS[format]([_intervals(found), _returns(found)])


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
    return Table("", f"Called changed between two dates. {BIASED}.", "dates", ("",), columns, tuple(rows), "", "")


def _returns(found: SeriesAreas) -> Table:
    rows = [Row(each.name, (Cell(f"{each.pixels:,}"), Cell(f"{each.area:,.2f}"))) for each in found.returns]
    columns = ("pixels", f"area ({found.unit})")
    caption = f"What came back, and what stayed, by the map. {BIASED}."
    return Table("", caption, "over all dates", ("",), columns, tuple(rows), "", "")


def _csv(found: SeriesAreas) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*_COLUMNS, "note"])
    for each in found.intervals:
        share = "" if math.isnan(each.share) else repr(each.share)
        facts = [each.earlier, each.later, each.kind, repr(each.threshold), each.changed, each.known, share]
        writer.writerow([*facts, repr(each.changed_area), found.unit, BIASED])
    for kind in found.returns:
        writer.writerow(["", "", kind.name, "", kind.pixels, "", "", repr(kind.area), found.unit, BIASED])
    return out.getvalue().rstrip("\n")
