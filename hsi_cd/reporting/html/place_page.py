"""One HTML file that shows places to be labelled: both dates around each, side by side, in false colour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hsi_cd.reporting.html.elements import Picture, make_picture
from hsi_cd.reporting.html.rendering import render
from hsi_cd.reporting.images import GREY

_AROUND = 20  # pixels shown on each side of a place
_ZOOM = 6  # pixels of the page for one of the scene
_FRAME = (255, 214, 0)  # yellow: seen on vegetation (red in false colour), water (black) and concrete (grey)


@dataclass(frozen=True)
class PlaceView:
    """A place to be shown.

    Attributes:
        number: by which the vector file names it.
        row: of its middle.
        col: of its middle.
        probability: of change.
        coordinates: of its middle, in the scene's CRS; None where that is not known.
    """

    number: int
    row: int
    col: int
    probability: float
    coordinates: tuple[float, float] | None = None


@dataclass(frozen=True)
class _Shown:
    """A place as the template takes it."""

    title: str
    facts: str
    pictures: Sequence[Picture]


def place_page(
    dates: tuple[NDArray[np.uint8], NDArray[np.uint8]], places: Sequence[PlaceView], *, scene: str, shown: str = ""
) -> str:
    """The page.

    Args:
        dates: false colour of both, uint8 ``(rows, cols, 3)``.
        places: in the order in which they are to stand.
        scene: what the scene is called.
        shown: which bands are red, green and blue, in words.

    Returns:
        A whole HTML document.
    """
    told = f", in {shown}" if shown else ""
    return render(
        "places.html",
        title=f"Where to draw next: {scene}",
        summary=f"{len(places)} places, each of 3 x 3 pixels, in the yellow frame{told}. Fill the field class "
        "of each in a GIS: changed or unchanged.",
        places=[_view(dates, place) for place in places],
    )


def _view(dates: tuple[NDArray[np.uint8], NDArray[np.uint8]], place: PlaceView) -> _Shown:
    facts = [f"probability of change {place.probability:.2f}", f"row {place.row}, column {place.col}"]
    if place.coordinates is not None:
        facts.append(f"x {place.coordinates[0]:.10g}, y {place.coordinates[1]:.10g}")
    words = ("date 1", "date 2")
    chips = [
        make_picture(_chip(image, place.row, place.col), f"Place {place.number}, {word}")
        for image, word in zip(dates, words, strict=True)
    ]
    return _Shown(f"Place {place.number}", "; ".join(facts), chips)


def _chip(image: NDArray[np.uint8], row: int, col: int) -> NDArray[np.uint8]:
    """The surroundings of a place, enlarged, with a frame around its 3 x 3 pixels; grey outside the scene."""
    side = 2 * _AROUND + 1
    chip = np.full((side, side, 3), GREY, dtype=np.uint8)
    top, left = row - _AROUND, col - _AROUND
    rows = slice(max(0, top), min(image.shape[0], top + side))
    cols = slice(max(0, left), min(image.shape[1], left + side))
    chip[rows.start - top : rows.stop - top, cols.start - left : cols.stop - left] = image[rows, cols]
    large = chip.repeat(_ZOOM, axis=0).repeat(_ZOOM, axis=1)
    first, last = (_AROUND - 1) * _ZOOM - 2, (_AROUND + 2) * _ZOOM + 1  # just around the pixels, not on them
    for edge in (slice(first, first + 2), slice(last - 1, last + 1)):
        large[edge, first : last + 1] = _FRAME
        large[first : last + 1, edge] = _FRAME
    return large
