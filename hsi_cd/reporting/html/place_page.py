"""One HTML file that shows places to be looked at: both dates around each, side by side, in false colour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hsi_cd.reporting.html.elements import Picture, make_picture
from hsi_cd.reporting.html.rendering import render
from hsi_cd.reporting.images import GREY
from hsi_cd.scene import Grid
from hsi_cd.scene.surface import pixel_aspect

AROUND = 20
"""Pixels shown on each side of a place."""

Image = NDArray[np.uint8]

_ZOOM = 6  # pixels of the page for one of the scene
_FRAME = (255, 214, 0)  # yellow: seen on vegetation (red in false colour), water (black) and concrete (grey)


@dataclass(frozen=True)
class PlaceView:
    """A place to be shown.

    Attributes:
        number: by which the vector file names it.
        facts: what is told of it.
        chips: its surroundings at both dates, uint8 ``(2 AROUND + 1, 2 AROUND + 1, 3)``.
        tall: how many times as high as wide a pixel is on the ground.
    """

    number: int
    facts: tuple[str, ...]
    chips: tuple[Image, Image]
    tall: float = 1.0

    @classmethod
    def at(
        cls, number: int, row: int, col: int, chips: tuple[Image, Image], *, grid: Grid, facts: Sequence[str] = ()
    ) -> PlaceView:
        """A place around a pixel, whose row, column and coordinates are told behind its facts."""
        told = [*facts, f"row {row}, column {col}"]
        if grid.transform is not None:
            x, y = grid.transform @ (col + 0.5, row + 0.5)
            told.append(f"x {x:.10g}, y {y:.10g}")
        return cls(number, tuple(told), chips, pixel_aspect(grid))


@dataclass(frozen=True)
class _Shown:
    """A place as the template takes it."""

    title: str
    facts: str
    pictures: Sequence[Picture]


def place_page(places: Sequence[PlaceView], *, title: str, summary: str, noun: str, reach: int) -> str:
    """The page.

    Args:
        places: in the order in which they are to stand.
        title: of the page.
        summary: what it shows, and what to do.
        noun: what a place is called.
        reach: pixels that the frame around a place takes in on each side of its middle.

    Returns:
        A whole HTML document.
    """
    return render(
        "places.html", title=title, summary=summary, places=[_view(place, noun, reach) for place in places]
    )


def cut_chip(image: Image, row: int, col: int) -> Image:
    """The surroundings of a pixel, as :class:`PlaceView` takes them; grey outside the image."""
    side = 2 * AROUND + 1
    chip = np.full((side, side, 3), GREY, dtype=np.uint8)
    top, left = row - AROUND, col - AROUND
    rows = slice(max(0, top), min(image.shape[0], top + side))
    cols = slice(max(0, left), min(image.shape[1], left + side))
    chip[rows.start - top : rows.stop - top, cols.start - left : cols.stop - left] = image[rows, cols]
    return chip


def _view(place: PlaceView, noun: str, reach: int) -> _Shown:
    title = f"{noun} {place.number}"
    pictures = [
        make_picture(_framed(chip, reach), f"{title}, {word}", tall=place.tall)
        for chip, word in zip(place.chips, ("date 1", "date 2"), strict=True)
    ]
    return _Shown(title, "; ".join(place.facts), pictures)


def _framed(chip: Image, reach: int) -> Image:
    """A chip enlarged, with a frame around the pixels in its middle."""
    large = chip.repeat(_ZOOM, axis=0).repeat(_ZOOM, axis=1)
    # Just around the pixels, not on them.
    first, last = (AROUND - reach) * _ZOOM - 2, (AROUND + reach + 1) * _ZOOM + 1
    for edge in (slice(first, first + 2), slice(last - 1, last + 1)):
        large[edge, first : last + 1] = _FRAME
        large[first : last + 1, edge] = _FRAME
    return large
