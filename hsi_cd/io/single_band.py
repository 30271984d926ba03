"""The one band of a truth map, a change map or a score raster, with what the file says of its values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.errors import RasterioError

from hsi_cd.errors import FormatError
from hsi_cd.io.arrays import read_told_matrix
from hsi_cd.io.file_masks import is_value
from hsi_cd.io.kinds import FileKind
from hsi_cd.io.legend import NO_LEGEND, Legend, flag_names, read_legend
from hsi_cd.io.memory import check_plausible
from hsi_cd.io.raster import check_real, damaged, grid_of, masks_of, nodata_of, open_raster
from hsi_cd.io.raster_formats import locate_raster
from hsi_cd.places import place_name
from hsi_cd.scene import Grid


@dataclass(frozen=True)
class SingleBand:
    """One value a pixel, and what its file says of them.

    Attributes:
        values: ``(rows, cols)``, as stored: of a palette the indices.
        grid: shape and, where the file has one, georeference.
        nodata: the value that the file declares to be no data, or None.
        valid: bool ``(rows, cols)``: False where a mask or an alpha band says that there is nothing, and for NaN.
        legend: class names and colours.
    """

    values: NDArray[np.generic]
    grid: Grid
    nodata: float | None
    valid: NDArray[np.bool_]
    legend: Legend = NO_LEGEND

    @property
    def place(self) -> Grid | None:
        """Where it lies, or None where the file does not say it."""
        return self.grid if self.grid.is_georeferenced else None

    def without(self, values: Sequence[float | None]) -> SingleBand:
        """The band, with nothing where it holds one of these values, which mean no data."""
        there = self.valid.copy()
        for value in values:
            there &= ~is_value(self.values, value)
        return replace(self, valid=there)


def read_single_band(path: Path, kind: FileKind, *, key: str | None = None) -> SingleBand:
    """Read a file that holds one value a pixel.

    Images that repeat the same band count as one band: so image editors save grey pictures. An alpha band at any
    place, and a mask in the file or beside it (``.msk``), tell which pixels hold something.

    Args:
        path: a raster, or a file of arrays.
        kind: what its content is.
        key: variable of a file of arrays; by default its only 2-D numeric array.

    Raises:
        FormatError: the file is damaged, no image, of complex numbers, its bands differ, or a key names a raster's
            variable.
    """
    if kind.holds_arrays:
        values, facts, nodata = read_told_matrix(path, kind, key=key)
        legend = Legend(names=flag_names(facts.attributes))
        return SingleBand(values, Grid(*values.shape), nodata, has_number(values), legend)
    if key is not None:
        raise FormatError(f"{path} is no file of arrays: a key ({key!r}) names a variable of MATLAB, HDF5 or .npz")
    data, driver = locate_raster(path, kind)
    with open_raster(data, driver) as dataset:
        check_real(dataset, place_name(path))
        if isinstance(data, Path):  # of a VRT it is checked already
            shape = (dataset.height, dataset.width, dataset.count)
            check_plausible(data, shape, np.dtype(dataset.dtypes[0]).itemsize)
        return band_of(dataset, name=str(path))


def band_of(dataset: Any, *, name: str) -> SingleBand:
    """The one band of an open rasterio dataset, of a file or place of this name.

    Raises:
        FormatError: it is damaged, or its bands differ.
    """
    masks = masks_of(dataset, Path(name))
    # The declared value is handed on as it is: what it means, the reader of a truth or of a map decides.
    masks = replace(masks, nodata=())
    try:
        read = masks.read(dataset)
    except RasterioError as error:
        raise damaged(Path(name), error) from error
    values = np.ma.getdata(read)
    if any(not np.array_equal(values[0], other, equal_nan=False) for other in values[1:]):
        lossy = read_legend(dataset).lossy
        picture = f"a colour picture, {lossy}-compressed, which smears classes" if lossy else "a colour picture?"
        raise FormatError(
            f"{place_name(name)} has {dataset.count} bands that differ ({picture}): expected one band with one "
            "value a pixel"
        )
    one, valid = values[0], ~np.ma.getmaskarray(read)[0] & has_number(values[0])
    grid = grid_of(dataset, name=place_name(name))
    return SingleBand(one, grid, nodata_of(dataset, masks), valid, read_legend(dataset))


def band_in_memory(
    values: NDArray[np.generic],
    *,
    nodata: float | None = None,
    place: Grid | None = None,
    legend: Legend = NO_LEGEND,
) -> SingleBand:
    """One value a pixel ``(rows, cols)`` that lies in memory; a masked array's mask is heard."""
    valid = has_number(np.ma.getdata(values)) & ~np.ma.getmaskarray(values)
    return SingleBand(np.ma.getdata(values), place or Grid(*values.shape), nodata, valid, legend)


def has_number(values: NDArray[np.generic]) -> NDArray[np.bool_]:
    """Where values are no NaN, bool of their shape."""
    return ~np.isnan(values) if values.dtype.kind == "f" else np.ones(values.shape, dtype=bool)
