"""Places to be labelled next, as a value: to be written, looked at, or answered from a truth."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hsi_cd.api.pairing import grid_like
from hsi_cd.errors import GridError
from hsi_cd.io import shape_files, write_text
from hsi_cd.prepare.suggestion import Places
from hsi_cd.reporting.html.place_page import PlaceView, cut_chip, place_page
from hsi_cd.scene import UNLABELLED, Grid, Labels

FilePath = str | os.PathLike[str]
PlaceKind = Literal["points", "squares"]

LAYER = "suggested_places"
"""Name of the layer that they are written as."""

KINDS = ("points", "squares")
"""What a suggestion is drawn as: a point in the middle of its place, or the outline of its 3 x 3 pixels."""


@dataclass(frozen=True)
class Suggestions:
    """Places to be labelled next.

    Attributes:
        places: where they are, the first to be looked at first.
        probability: of change, as the map has it, the mean over each place, float32 ``(n,)``.
        kind: ``points`` or ``squares``.
        grid: of the scene.
        pictures: both dates in false colour, uint8 ``(rows, cols, 3)`` each.
        scene: what the scene is called.
        shown: which bands the pictures show, in words; empty where nobody said.
    """

    places: Places
    probability: NDArray[np.float32]
    kind: PlaceKind
    grid: Grid
    pictures: tuple[NDArray[np.uint8], NDArray[np.uint8]]
    scene: str
    shown: str = ""

    def __len__(self) -> int:
        """Number of places."""
        return len(self.probability)

    @property
    def shapes(self) -> NDArray[np.int32]:
        """The number of each place, from 1, on its pixels, int32 ``(rows, cols)``; 0 elsewhere."""
        found = np.zeros(self.grid.shape, dtype=np.int32)
        for number, window in enumerate(windows_of(self.places, self.kind), start=1):
            found[window] = number
        return found

    def answer(self, truth: Labels, labels: Labels | None = None) -> Labels:
        """Labels of the places, from a truth map: what an analyst would say who knew it.

        A place has the class of its middle, on those of its pixels that are of this class; it stays without a
        label where the truth has none.

        Args:
            truth: the truth map.
            labels: drawn labels that there are already, to which these are added.

        Returns:
            Labels with ``shapes``; new shapes are numbered after those that there are.

        Raises:
            GridError: truth, labels and places are of different shapes.
        """
        _check_shape(truth, self.grid.shape)
        values = np.full(self.grid.shape, UNLABELLED, dtype=np.uint8)
        shapes = np.zeros(self.grid.shape, dtype=np.int32)
        name = f"{len(self)} places of {truth.name}"
        if labels is not None:
            _check_shape(labels, self.grid.shape)
            there = labels.values != UNLABELLED
            values[there] = labels.values[there]
            shapes[there] = 1 if labels.shapes is None else labels.shapes[there]
            name = f"{labels.name}, {name}"
        first = last = int(shapes.max())
        windows = windows_of(self.places, self.kind)
        for window, row, col in zip(windows, self.places.rows, self.places.cols, strict=True):
            own = truth.values[row, col]
            if own != UNLABELLED:
                last += 1
                fits = truth.values[window] == own
                values[window][fits] = own
                shapes[window][fits] = last
        before = () if labels is None else labels.suggested
        suggested = (*before, *range(first + 1, last + 1))
        return Labels(values, name=name, place=truth.place, shapes=shapes, suggested=suggested)

    def write(self, path: FilePath, *, like: FilePath | None = None, overwrite: bool = False) -> None:
        """Write them as a vector file, to be filled in.

        Fields: ``class``, which is empty, for ``changed`` or ``unchanged``; ``shape``, the number of the place;
        ``probability``, of change, as the map has it.

        Args:
            path: the file, ending in .gpkg or .geojson.
            like: an image of the same pixels that says where they lie, for a map without a georeference.
            overwrite: whether a file of this name may be replaced.

        Raises:
            FormatError: the name's ending tells no format.
            GridError: there is no CRS and transform.
            OutputError: the file exists or cannot be written.
        """
        fields = {
            shape_files.CLASS: np.full(len(self), None, dtype=object),
            shape_files.SHAPE: np.arange(1, len(self) + 1, dtype=np.int32),
            "probability": self.probability.astype(np.float64).round(4),
        }
        grid = self.grid if like is None else grid_like(like, self.grid.shape)
        shape_files.write_shapes(path, self.shapes, fields, grid=grid, layer=LAYER, overwrite=overwrite)

    def write_page(self, path: FilePath, *, overwrite: bool = False) -> None:
        """Write an HTML page that shows both dates around each place in false colour; it needs nothing else.

        Raises:
            OutputError: the file exists or cannot be written.
        """
        views = []
        each = zip(self.places.rows.tolist(), self.places.cols.tolist(), self.probability.tolist(), strict=True)
        for number, (row, col, probability) in enumerate(each, start=1):
            t1, t2 = (cut_chip(image, row, col) for image in self.pictures)
            facts = [f"probability of change {probability:.2f}"]
            views.append(PlaceView.at(number, row, col, (t1, t2), grid=self.grid, facts=facts))
        bands = f", in {self.shown}" if self.shown else ""
        page = place_page(
            views,
            noun="Place",
            title=f"Where to draw next: {self.scene}",
            summary=f"{len(views)} places, each of 3 x 3 pixels, in the yellow frame{bands}. Fill the field class "
            "of each in a GIS: changed or unchanged.",
            reach=1,
        )
        write_text(path, page, overwrite=overwrite)


def windows_of(places: Places, kind: PlaceKind) -> list[tuple[slice, slice]]:
    """The pixels of each place."""
    reach = int(kind == "squares")
    return [
        (slice(row - reach, row + reach + 1), slice(col - reach, col + reach + 1))
        for row, col in zip(places.rows.tolist(), places.cols.tolist(), strict=True)
    ]


def _check_shape(labels: Labels, shape: tuple[int, int]) -> None:
    if labels.shape != shape:
        raise GridError(
            f"{labels.name} has {labels.shape[0]} x {labels.shape[1]} pixels but the scene {shape[0]} x "
            f"{shape[1]}: give labels of this scene"
        )
