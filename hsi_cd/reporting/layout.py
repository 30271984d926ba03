"""How panels of a scene share a page: sizes in inches, no drawing."""

from __future__ import annotations

import math
import textwrap
from dataclasses import dataclass, replace

# Inches. The panels share what is left of the page when these are taken off.
_PAGE = (11.0, 7.6)
_LARGEST_PANEL = 4.6
_NARROWEST_CELL = 1.3
_NARROWEST_PAGE = 5.4
MARGIN = 0.18
_GAP = 0.14
_HEAD = 0.36  # the title alone; each line of notes adds to it
_NOTE_LINE = 0.17
_NOTE_CHARACTER = 0.075
_PANEL_TITLE = 0.24
_BAR = 0.31
_LEGEND_LINE = 0.22
_LEGEND_ENTRY = 1.62


def arrange(count: int, shape: tuple[float, float], *, entries: int, with_bar: bool, note: str) -> Page:
    """The arrangement of panels that shows them largest on one page.

    Args:
        count: number of panels.
        shape: height and width of the scene, in one unit.
        entries: number of legend entries.
        with_bar: whether the third panel has a colour bar below.
        note: text below the title, broken into lines where it is wider than the page.
    """
    pages = [_page(count, columns, shape, entries, with_bar) for columns in range(count, 0, -1)]
    page = max(pages, key=Page.rank)
    return replace(page, note=tuple(textwrap.wrap(note, int((page.width - 2 * MARGIN) / _NOTE_CHARACTER))))


def _page(count: int, columns: int, shape: tuple[float, float], entries: int, with_bar: bool) -> Page:
    rows = math.ceil(count / columns)
    aspect = shape[1] / shape[0]
    spare_width = (_PAGE[0] - 2 * MARGIN - (columns - 1) * _GAP) / columns
    fixed = (
        _HEAD + _NOTE_LINE + rows * _PANEL_TITLE + (rows - 1) * _GAP + _BAR * with_bar + 2 * _LEGEND_LINE + MARGIN
    )
    spare_height = (_PAGE[1] - fixed) / rows
    width = min(spare_width, spare_height * aspect, _LARGEST_PANEL * max(1.0, aspect))
    cell = max(width, _NARROWEST_CELL)
    page_width = max(2 * MARGIN + columns * cell + (columns - 1) * _GAP, _NARROWEST_PAGE)
    fitting = max(1, int((page_width - 2 * MARGIN) / _LEGEND_ENTRY))
    legend_lines = math.ceil(entries / fitting)
    return Page(
        columns=columns,
        rows=rows,
        count=count,
        width=page_width,
        panel_width=width,
        panel_height=width / aspect,
        cell_width=cell,
        bar_row=2 // columns if with_bar else None,
        legend_lines=legend_lines,
        legend_columns=math.ceil(entries / legend_lines),
    )


@dataclass(frozen=True)
class Page:
    """Where the panels lie, in inches from the lower left corner of the page."""

    columns: int
    rows: int
    count: int
    width: float
    panel_width: float
    panel_height: float
    cell_width: float
    bar_row: int | None
    legend_lines: int
    legend_columns: int
    note: tuple[str, ...] = ()

    @property
    def height(self) -> float:
        """Height of the whole page."""
        return self._below(-1) + _HEAD + (0.06 + _NOTE_LINE * len(self.note) if self.note else 0.0)

    def rank(self) -> tuple[float, int]:
        """Pages compare by the size of their panels, then by the number of empty places."""
        return round(self.panel_width, 3), self.count - self.rows * self.columns

    def corner(self, place: int) -> tuple[float, float]:
        """Lower left corner of a panel."""
        row, column = divmod(place, self.columns)
        used = self.columns * self.cell_width + (self.columns - 1) * _GAP
        left = (self.width - used) / 2 + column * (self.cell_width + _GAP)
        return left, self._below(row)

    def fractions(
        self, left: float, bottom: float, width: float, height: float
    ) -> tuple[float, float, float, float]:
        """A rectangle as matplotlib takes it, in fractions of the page."""
        return left / self.width, bottom / self.height, width / self.width, height / self.height

    def _below(self, row: int) -> float:
        """Height of what lies below the panels of a row, or below the head for row -1."""
        height = 0.14 + self.legend_lines * _LEGEND_LINE
        for other in range(row + 1, self.rows):
            height += self.panel_height + _PANEL_TITLE + (_GAP if other > 0 else 0.0)
        if self.bar_row is not None and self.bar_row >= row and row >= -1:
            height += _BAR
        return height
