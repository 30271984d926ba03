"""The rasters of a product, on disk or in its archive: what they say of themselves, and readers of windows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from rasterio.errors import RasterioError

from hsi_cd.errors import FormatError
from hsi_cd.io.envi import check_envi_size, find_envi_pair, read_envi_header
from hsi_cd.io.file_blocks import BlockReader, kept_bytes
from hsi_cd.io.file_masks import FileMasks
from hsi_cd.io.memory import check_plausible
from hsi_cd.io.packed import Packing
from hsi_cd.io.products.delivery import Delivery
from hsi_cd.io.raster import RasterReader, damaged, grid_of, layout_of, open_raster
from hsi_cd.io.raster_formats import check_beside
from hsi_cd.scene import Grid
from hsi_cd.scene.cube import WindowReader
from hsi_cd.scene.product import QualityMask

_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_JPEG2000 = (b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51")
_ENVI = ("bsq", "bil", "bip")
_SIDE = 64  # pixels of the windows in which bands are looked at before they are read whole
_ROWS = 64  # rows that are read at once


@dataclass(frozen=True)
class Layer:
    """A raster of a product, of which no pixel is read yet.

    Attributes:
        shown: what messages call it.
        grid: shape and georeference.
        count: number of bands.
        dtype: type of the stored values.
        nodata: the value that its first band declares as no data, or None.
        descriptions: names of its bands.
        reader: reads windows of stored values ``(bands, rows, cols)``, in the file's own blocks.
        source: reads windows of some of its bands, and keeps none.
    """

    shown: str
    grid: Grid
    count: int
    dtype: np.dtype[Any]
    nodata: float | None
    descriptions: tuple[str, ...]
    reader: WindowReader
    source: RasterReader

    def on(self, grid: Grid) -> Layer:
        """The layer itself, if it lies on a grid.

        Raises:
            FormatError: it lies elsewhere.
        """
        if self.grid.shape != grid.shape or self.grid.crs != grid.crs or not _is_one(self.grid, grid):
            raise FormatError(
                f"{self.shown} has {self.grid.rows} x {self.grid.cols} pixels or lies elsewhere than the image of "
                f"{grid.rows} x {grid.cols}: the files are not of one product; download it again"
            )
        return self


def is_raster(delivery: Delivery, name: str) -> bool:
    """Whether a file is GeoTIFF or JPEG 2000, by its first bytes, or ENVI, by the header beside it."""
    return _driver(delivery, name) is not None


def open_layer(delivery: Delivery, name: str, *, keep: int | None = None) -> Layer:
    """A GeoTIFF, JPEG 2000 or ENVI file of a product.

    Args:
        delivery: the product's files.
        name: the file.
        keep: bytes that its decoded blocks may take.

    Raises:
        FormatError: it is damaged, of another kind, or does not tell its place.
    """
    shown, driver = delivery.shown(name), _driver(delivery, name)
    if driver is None:
        raise FormatError(f"{shown} is neither GeoTIFF, JPEG 2000 nor ENVI: it is damaged; download it again")
    if driver == "ENVI":
        _check_envi(delivery, name)
    place = delivery.place(name)
    check_beside(delivery.file(name))
    with open_raster(place, driver) as dataset:
        try:
            grid, descriptions = grid_of(dataset, name=shown), tuple(text or "" for text in dataset.descriptions)
        except (RasterioError, UnicodeDecodeError) as error:
            raise damaged(shown, error) from error
        if grid.crs is None or grid.transform is None or grid.transform.is_identity:
            raise FormatError(f"{shown} does not tell its place (CRS and transform): download it again")
        if any(str(each).startswith("complex") for each in dataset.dtypes):
            raise FormatError(f"{shown} holds complex numbers: it is no layer of this product")
        masks = FileMasks(bands=tuple(range(1, dataset.count + 1)))
        shape = (dataset.height, dataset.width, dataset.count)
        check_plausible(delivery.file(name), shape, masks.dtype_of(dataset).itemsize)
        nodata = dataset.nodatavals[0]
        source = RasterReader(place, driver, masks=masks)
        reader = BlockReader(
            source,
            layout_of(dataset, masks),
            most=kept_bytes() if keep is None else keep,
            name=shown,
        )
        return Layer(
            shown,
            grid,
            int(dataset.count),
            masks.dtype_of(dataset),
            None if nodata is None else float(nodata),
            descriptions,
            reader,
            source,
        )


def share_of(keep: int | None, count: int) -> int:
    """What of the bytes for decoded blocks each of some files may take."""
    return (kept_bytes() if keep is None else keep) // max(1, count)


def missing_mask(kind: str, delivery: Delivery, name: str) -> QualityMask:
    """A quality mask whose file is not there: asking for it names the file."""
    return QualityMask(kind, _Absent(delivery.shown(name)), source=name, missing=delivery.shown(name))


def empty_bands(layer: Layer, nodata: float) -> tuple[int, ...]:
    """The bands, counted from 0, that hold nothing but ``nodata`` everywhere.

    Small windows rule out nearly all; what is left is read whole, window by window.

    Args:
        layer: the raster.
        nodata: the stored value.
    """
    rows, cols = layer.grid.shape
    candidates = np.ones(layer.count, dtype=bool)
    for down in (0.5, 0.25, 0.75):  # the middle first, which a rotated swath covers
        top, left = (max(0, int(down * size) - _SIDE // 2) for size in (rows, cols))
        window = slice(top, min(top + _SIDE, rows)), slice(left, min(left + _SIDE, cols))
        candidates &= (layer.source(*window, None) == nodata).all(axis=(1, 2))
    found: list[int] = []
    for run in runs_of(np.flatnonzero(candidates).tolist()):
        empty = np.ones(len(run), dtype=bool)
        for row in range(0, rows, _ROWS):
            bands = slice(run[0], run[-1] + 1)
            stored = layer.source(slice(row, min(row + _ROWS, rows)), slice(0, cols), bands)
            empty &= (stored == nodata).all(axis=(1, 2))
            if not empty.any():
                break
        found += [band for band, is_empty in zip(run, empty, strict=True) if is_empty]
    return tuple(found)


def runs_of(numbers: Sequence[int]) -> list[list[int]]:
    """Ascending whole numbers as runs of neighbours."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return runs


def ranges(numbers: Sequence[int]) -> str:
    """Ascending whole numbers in words, as ``130-135, 140``."""
    return ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs_of(numbers))


@dataclass(frozen=True)
class _Absent:
    """Stands for a layer that is not there.

    Attributes:
        shown: the file.
    """

    shown: str

    def __call__(self, rows: slice, cols: slice) -> Any:
        raise FormatError(f"{self.shown} is missing: copy the whole product")


def _driver(delivery: Delivery, name: str) -> str | None:
    head = delivery.head(name, 12)
    if head[:4] in _TIFF:
        return "GTiff"
    if head.startswith(_JPEG2000):
        return "JP2OpenJPEG"
    return "ENVI" if _header(delivery, name) is not None else None


def _header(delivery: Delivery, name: str) -> str | None:
    """The ENVI header of a data file; None where it is none."""
    stem, _, ending = name.rpartition(".")
    if ending.casefold() not in _ENVI:
        return None
    wanted = f"{stem}.hdr".casefold()
    found = [each for each in delivery.names if each.casefold() == wanted]
    return found[0] if found and delivery.head(found[0], 4) == b"ENVI" else None


def _check_envi(delivery: Delivery, name: str) -> None:
    """Refuse a data file of another size than its header describes, and one of which GDAL would not find it.

    Raises:
        FormatError: so it is.
    """
    if delivery.packing is Packing.TAR:
        raise FormatError(f"{delivery.shown(name)} is an ENVI file in a tar archive: unpack it first")
    if not delivery.zipped:
        data, header = find_envi_pair(delivery.root / name)
        check_envi_size(data, read_envi_header(header, given=data))


def _is_one(first: Grid, second: Grid) -> bool:
    if first.transform is None or second.transform is None:
        return False
    return first.transform.almost_equals(second.transform, 1e-9 + 1e-6 * abs(first.transform.a))
