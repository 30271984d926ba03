"""Numbers as cells of a table in a terminal, and cells lined up."""

from __future__ import annotations

import math
from collections.abc import Sequence

from hsi_cd.evaluation import Interval

ABSENT = "-"
"""Where there is nothing."""
INDENT = "  "
"""Before every line of a table."""


def format_score(value: float | None, *, percent: bool = False) -> str:
    """One score: ``97.90`` in %, ``0.9514`` as a fraction, ``undefined`` for NaN, a dash where there is none."""
    if value is None:
        return ABSENT
    if math.isnan(value):
        return "undefined"
    return f"{100 * value:.2f}" if percent else f"{value:.4f}"


def grouped(number: int) -> str:
    """A number of pixels as people write it: ``12,345``."""
    return f"{number:,}"


def interval_in_words(ends: Interval | None, *, percent: bool = False) -> str:
    """An interval as ``0.4100 to 0.8700``; a dash where there is none."""
    if ends is None or math.isnan(ends.low):
        return ABSENT
    return " to ".join(format_score(end, percent=percent) for end in (ends.low, ends.high))


def align(rows: Sequence[Sequence[str]], *, rule_after: int = 0) -> str:
    """Cells lined up: the first column to the left, all others to the right.

    Args:
        rows: rows of as many cells each.
        rule_after: number of rows above a rule; 0 for none.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for cells in rows:
        first, *rest = (
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        lines.append((INDENT + "   ".join([first, *rest])).rstrip())
    if rule_after:
        lines.insert(rule_after, INDENT + "-" * (sum(widths) + 3 * (len(widths) - 1)))
    return "\n".join(lines)
