"""A reference sample of a map: random points of each of its classes, to be interpreted."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hsi_cd.api.pairing import grid_like
from hsi_cd.api.sources import as_values
from hsi_cd.errors import ConfigError, GridError, LabelError
from hsi_cd.inference.change_map import ChangeMap
from hsi_cd.io import HTML, ClassMap, check_outputs, class_map_in_memory, read_class_map, write_text
from hsi_cd.io.class_maps import TWO
from hsi_cd.io.reference_points import REFERENCE, called, write_reference_points
from hsi_cd.io.regions import check_vector_name
from hsi_cd.paths import as_path
from hsi_cd.prepare.stratified_sample import Stratum, allocate, areas_of, draw_points, measure_strata
from hsi_cd.reporting.html.place_page import AROUND, PlaceView, place_page
from hsi_cd.reporting.images import false_colour, stretch_limits
from hsi_cd.scene import CHANGED, UNLABELLED, Grid, Labels, ScenePair, window_of
from hsi_cd.scene.shown_bands import shown_bands

FilePath = str | os.PathLike[str]

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ReferenceSample:
    """A stratified random sample of a map.

    Attributes:
        rows: row of each point, ``(points,)``; the points come in a random order.
        cols: column of each point.
        stratum: class that the map gives to each, uint8 ``(points,)``.
        reference: the class that is there, uint8 ``(points,)``, as codes of the map; 255 not interpreted.
        strata: the classes of the map, with their pixels and areas.
        unit: of these areas: ``m2``, or ``pixels`` where the CRS tells no length.
        map: by what the map is known again.
        grid: of the map.
        names: what the classes are called, by code: 0 unchanged, 1 changed, or kinds of change.
    """

    rows: NDArray[np.int64]
    cols: NDArray[np.int64]
    stratum: NDArray[np.uint8]
    reference: NDArray[np.uint8]
    strata: tuple[Stratum, ...]
    unit: str
    map: str
    grid: Grid
    names: Mapping[int, str] = field(default_factory=lambda: TWO)

    def __len__(self) -> int:
        """Number of points."""
        return len(self.rows)

    @property
    def points(self) -> dict[str, int]:
        """Number of points by the name of their stratum."""
        return {called(self.names[each.code]): int((self.stratum == each.code).sum()) for each in self.strata}

    def answer(self, truth: Labels) -> ReferenceSample:
        """The sample as somebody would interpret it who knew the truth; where that has no label, nothing is said.

        Args:
            truth: of this map; of kinds of change it has the codes of the map.

        Raises:
            GridError: the truth is of another shape than the map.
            LabelError: the map tells kinds of change apart, and the truth does not, or has others.
        """
        if truth.shape != self.grid.shape:
            raise GridError(
                f"{truth.name} has {truth.shape[0]} x {truth.shape[1]} pixels but the map {self.grid.rows} x "
                f"{self.grid.cols}: give a truth of this map"
            )
        said = truth.values[self.rows, self.cols]
        if self.names.keys() != TWO.keys():
            if truth.kinds is None and (said == CHANGED).any():
                raise LabelError(f"{truth.name} tells no kinds of change, which the map does: give one that does")
            kinds = np.where(
                said == CHANGED, said if truth.kinds is None else truth.kinds[self.rows, self.cols], 0
            )
            if strange := sorted(set(kinds.tolist()) - set(self.names)):
                raise LabelError(
                    f"{truth.name} has the kind {strange[0]}, which the map does not: its classes are "
                    f"{', '.join(f'{code} {name}' for code, name in self.names.items())}"
                )
            said = np.where(said == CHANGED, kinds, said).astype(np.uint8)
        return replace(self, reference=said)

    def write(self, path: FilePath, *, overwrite: bool = False) -> None:
        """Write the points as a vector file, to be interpreted.

        Fields: ``id``; ``stratum``, what the map says; ``reference``, which is empty, for the name of the class
        that is there; ``row`` and ``col``; and the design: ``pixels``, ``area``, ``unit`` of the stratum, the
        number of points ``drawn`` in it, and by what the ``map`` is known again.

        Args:
            path: the file, ending in .gpkg or .geojson.
            overwrite: whether a file of this name may be replaced.

        Raises:
            FormatError: the name's ending tells no format.
            GridError: there is no CRS and transform.
            OutputError: the file exists or cannot be written.
        """
        of = {each.code: each for each in self.strata}
        own = [of[code] for code in self.stratum.tolist()]
        drawn = self.points
        fields: dict[str, NDArray[Any]] = {
            "id": np.arange(1, len(self) + 1, dtype=np.int32),
            "stratum": np.array([called(self.names[each.code]) for each in own], dtype=object),
            REFERENCE: np.array([self.names.get(code) for code in self.reference.tolist()], dtype=object),
            "row": self.rows.astype(np.int32),
            "col": self.cols.astype(np.int32),
            "pixels": np.array([each.pixels for each in own], dtype=np.int64),
            "drawn": np.array([drawn[called(self.names[each.code])] for each in own], dtype=np.int32),
            "area": np.array([each.area for each in own]),
            "unit": np.full(len(self), self.unit, dtype=object),
            "map": np.full(len(self), self.map, dtype=object),
        }
        write_reference_points(path, fields, grid=self.grid, overwrite=overwrite)

    def write_page(self, path: FilePath, pair: ScenePair, *, overwrite: bool = False) -> None:
        """Write :meth:`page` to a file.

        Raises:
            GridError: the dates lie on another grid than the map.
            OutputError: the file exists or cannot be written.
        """
        write_text(path, self.page(pair), overwrite=overwrite)

    def page(self, pair: ScenePair) -> str:
        """An HTML page that shows both dates around each point in false colour; it needs nothing else.

        It does not say what the map calls a point: who interprets is not to know.

        Args:
            pair: the two dates of the map.

        Raises:
            GridError: the dates lie on another grid than the map.
        """
        names = ("the map", f"the scene {pair.name}")
        down, right = window_of(self.grid, pair.grid, names=names, remedy="give the two dates of this map")
        shown = shown_bands(pair.bands, used=pair.used)
        dates = [
            _around(pair, down.start + row, right.start + col, shown.indices)
            for row, col in zip(self.rows, self.cols, strict=True)
        ]
        limits = stretch_limits(*(chip for both in dates for chip in both))
        places = []
        for number, (row, col, both) in enumerate(zip(self.rows, self.cols, dates, strict=True), start=1):
            t1, t2 = (false_colour(chip, limits=limits) for chip in both)
            places.append(PlaceView.at(number, int(row), int(col), (t1, t2), grid=self.grid))
        return place_page(
            places,
            noun="Point",
            title=f"Reference sample: {pair.name}",
            summary=f"{len(self)} points, each the pixel in the yellow frame, in {shown.words}. Fill the field "
            f"{REFERENCE} of each in a GIS ({' or '.join(self.names.values())}) as the two dates and whatever "
            "else you know tell, and not as the map says, which is not shown here.",
            reach=0,
        )


def sample_map(
    change: Any,
    *,
    per_stratum: int = 50,
    total: int | None = None,
    standard_error: float | None = None,
    seed: int = 0,
    like: FilePath | None = None,
    nodata: float | Sequence[float] | None = None,
) -> ReferenceSample:
    """Draw a stratified random sample of a map, to be interpreted: the way to the area that changed.

    Args:
        change: a map (:class:`hsi_cd.ChangeMap`), its file, or an array ``(rows, cols)``: 0 unchanged, 1 changed
            (or kinds of change, to 254), 255 no data, which is sampled nowhere.
        per_stratum: least number of points of each class; of a smaller class all pixels.
        total: number of points of all classes, which share by their areas what is beyond ``per_stratum``.
        standard_error: of the overall accuracy that is to be reached, in place of a total.
        seed: of the draw; the same seed draws the same.
        like: an image of the same pixels that says where they lie, for a map without a georeference.
        nodata: values of a map's file that mean no data, beside those that it declares.

    Returns:
        The sample; ``write`` makes a vector file of it, ``write_page`` a page to look at.

    Raises:
        FormatError: the map holds other values.
        ConfigError: a number that there is not, or both a total and a standard error.
        LabelError: the map has no pixel with data.
        GridError: ``like`` is of another shape.

    Reference:
        Olofsson et al. 2014, doi:10.1016/j.rse.2014.02.015

    Example:
        >>> import numpy as np, hsi_cd as hc
        >>> change = np.zeros((40, 50), dtype=np.uint8)
        >>> change[:5, :10] = 1
        >>> hc.sample_map(change, per_stratum=20).points
        {'called unchanged': 20, 'called changed': 20}
    """
    if seed < 0:
        raise ConfigError(f"seed is {seed}: expected 0 or more")
    opened = opened_map(change, nodata)
    values, grid, names = opened.values, opened.grid, opened.names
    if like is not None:
        grid = grid_like(like, values.shape)
    areas, unit = areas_of(grid)
    strata = measure_strata(values, areas)
    if not strata:
        raise LabelError("the map has no pixel with data: there is nothing to sample")
    if len(strata) == 1:
        _log.warning(
            "the map has one class alone (%s): its area can be told, and no accuracy of others",
            called(names[strata[0].code]),
        )
    sizes = allocate(strata, per_stratum=per_stratum, total=total, standard_error=standard_error)
    for each in strata:
        if sizes[each.code] < per_stratum:
            _log.warning("the stratum %r has %d pixels: all are drawn", called(names[each.code]), each.pixels)
    rows, cols = draw_points(values, sizes, areas, seed=seed)
    unsaid = np.full(len(rows), UNLABELLED, dtype=np.uint8)
    return ReferenceSample(rows, cols, values[rows, cols], unsaid, strata, unit, map_identity(values), grid, names)


def check_sample_files(
    output: Path, page: Path | None, *, inputs: Iterable[Path] = (), overwrite: bool = False
) -> None:
    """Refuse files of a sample that could not be written, before any work.

    Raises:
        OutputError: a file is an input or the other one, exists or cannot be written.
        FormatError: a name's ending tells another format.
    """
    check_outputs({"output": output, "the page": page}, inputs=inputs, overwrite=overwrite)
    check_outputs({"the page": page}, kind=HTML, overwrite=overwrite)
    check_vector_name(output)


def opened_map(change: Any, nodata: float | Sequence[float] | None = None) -> ClassMap:
    """A change map, of two classes or of kinds, with its grid and the names of its classes.

    Raises:
        FormatError: it holds other values than 0, 1 to 254 and 255.
    """
    if isinstance(change, ChangeMap):
        if change.kinds is not None:
            return ClassMap(change.kind, change.grid, change.kinds.names)
        return ClassMap(change.change, change.grid, TWO)
    if not isinstance(change, np.ndarray):
        return read_class_map(as_path(change), nodata=as_values(nodata))
    return class_map_in_memory(change)


def map_identity(values: NDArray[np.uint8]) -> str:
    """By what a map is known again: a digest of its classes, however its file stores them."""
    digest = hashlib.sha256(repr(values.shape).encode())
    digest.update(np.ascontiguousarray(values).data)
    return f"sha256:{digest.hexdigest()[:16]}"


def _around(
    pair: ScenePair, row: int, col: int, bands: Sequence[int]
) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Three bands of both dates around a pixel, NaN outside the scene."""
    rows, cols = (
        slice(max(0, at - AROUND), min(size, at + AROUND + 1))
        for at, size in zip((int(row), int(col)), pair.shape, strict=True)
    )
    top, left = rows.start - (int(row) - AROUND), cols.start - (int(col) - AROUND)

    def padded(values: NDArray[np.float32]) -> NDArray[np.floating]:
        chip = np.full((len(bands), 2 * AROUND + 1, 2 * AROUND + 1), np.nan, dtype=np.float32)
        chip[:, top : top + values.shape[1], left : left + values.shape[2]] = values[list(bands)]
        return chip

    t1, t2 = pair.read(rows, cols)
    return padded(t1), padded(t2)
