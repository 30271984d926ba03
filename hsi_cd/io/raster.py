"""GeoTIFF, ENVI and plain images, through rasterio."""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.rpc import RPC
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from hsi_cd.errors import FormatError
from hsi_cd.io.envi import find_envi_pair, read_envi_header
from hsi_cd.io.file_blocks import BlockLayout
from hsi_cd.io.file_masks import FileMasks, find_masks
from hsi_cd.io.memory import limit_gdal_cache
from hsi_cd.io.remote import gdal_settings, unreachable
from hsi_cd.io.virtual_raster import VirtualRaster
from hsi_cd.places import archive_of, is_remote, place_name
from hsi_cd.scene import Grid

_FILTERS = threading.RLock()

Opened = Path | str | VirtualRaster
"""What a driver opens: a file, GDAL's own name of a part of one or of a place, or a VRT that was checked."""


@contextmanager
def open_raster(path: Opened, driver: str) -> Iterator[Any]:
    """An open rasterio dataset.

    Raises:
        FormatError: the file is damaged or no such file.
    """
    try:
        with rasterio.Env(**_settings(path)), _open(path, driver) as dataset:
            yield dataset
    except UnicodeDecodeError as error:
        raise FormatError(f"{path} holds text that is not UTF-8 ({error.reason}): write its tags again") from error


def grid_of(dataset: Any, *, name: str) -> Grid:
    """Shape and georeference of an open rasterio dataset, which messages call ``name``.

    Raises:
        FormatError: its transform holds what is no number, or pixels of no size.
    """
    points, point_crs = dataset.gcps
    # rasterio gives the identity where a file has no transform.
    placed = not dataset.transform.is_identity or (dataset.crs is not None and not points)
    if not (np.isfinite(dataset.transform[:6]).all() and dataset.transform.determinant):
        told = ", ".join(f"{number:.10g}" for number in dataset.transform.to_gdal())
        raise FormatError(
            f"{name} lies at {told} (GDAL's geotransform), which is no place: expected finite "
            "numbers and pixels of some size; correct or remove its map info, or copy the file again"
        )
    return Grid(
        rows=int(dataset.height),
        cols=int(dataset.width),
        crs=dataset.crs if placed else None,
        transform=dataset.transform if placed else None,
        gcps=tuple(points),
        gcp_crs=point_crs,
        rpcs=_rpcs(dataset, name),
    )


def layout_of(dataset: Any, masks: FileMasks) -> BlockLayout:
    """The blocks of an open rasterio dataset; where pixels are interleaved, a block holds all bands.

    Args:
        dataset: the open rasterio dataset.
        masks: which of its bands hold values; its planes of masks are counted as bands behind them.
    """
    heights, widths = zip(*dataset.block_shapes, strict=True)
    together = dataset.interleaving is not None and dataset.interleaving.name == "pixel"
    count = len(masks.bands) + masks.planes
    return BlockLayout(
        shape=(count, dataset.height, dataset.width),
        block=(count if together else 1, max(heights), max(widths)),
        dtype=masks.dtype_of(dataset),
    )


@contextmanager
def quiet_georeference() -> Iterator[None]:
    """Silence rasterio's warning about rasters without a georeference, which are an ordinary input here."""
    # Warning filters belong to the whole process, so threads take turns. The wait is bounded, because a child
    # forked while another thread opened a file inherits a lock that nobody will release; it risks a warning.
    held = _FILTERS.acquire(timeout=5)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            yield
    finally:
        if held:
            _FILTERS.release()


class RasterReader:
    """Reads windows of one raster file.

    Opening costs up to some milliseconds for some hundred bands, and a fresh handle starts with an empty block
    cache, so handles are kept for the next reading, in whatever thread: rasterio's may not be used by two at a
    time, nor after a fork. Pickling keeps the path alone.
    """

    def __init__(self, path: Opened, driver: str, onto: Grid | None = None, *, masks: FileMasks) -> None:
        """Nothing is opened yet.

        Args:
            path: the file, or another name that its driver opens.
            driver: the rasterio driver that reads it.
            onto: the grid to resample to, of the file's own CRS; by default the values come as stored.
            masks: which of its bands hold values, and how it marks pixels without data.
        """
        self._path = path.absolute() if isinstance(path, Path) else path
        self._driver = driver
        self._onto = onto
        self._masks = masks
        self._idle: dict[int, list[Any]] = {}  # open handles that nobody reads from, by process

    def __call__(self, rows: slice, cols: slice, bands: slice | None = None) -> NDArray[np.generic]:
        """Stored values ``(bands, rows, cols)`` of a window, of all bands of values by default.

        Behind them come the planes of the file's masks, see :meth:`hsi_cd.io.file_masks.FileMasks.read_planes`;
        :class:`hsi_cd.io.file_masks.MaskedReader` takes them off again.

        Raises:
            FormatError: the file is damaged or was removed.
        """
        idle = self._idle.setdefault(os.getpid(), [])
        try:
            dataset = idle.pop()
        except IndexError:
            dataset = self._open()
        height, width = max(0, rows.stop - rows.start), max(0, cols.stop - cols.start)
        if height and width:
            try:
                # In which GDAL's warnings go to the log, not to the terminal.
                with rasterio.Env(**_settings(self._path)):
                    window = Window(cols.start, rows.start, width, height)
                    values = self._masks.read_planes(dataset, window, bands, resampled=self._onto is not None)
            except RasterioError as error:
                raise damaged(self._path, error) from error
        else:
            count = len(self._masks.bands) + self._masks.planes
            values = np.empty((count, height, width), dtype=self._masks.dtype_of(dataset))
        idle.append(dataset)
        return values

    def close(self) -> None:
        """Close the files that nobody reads from."""
        for dataset in self._idle.pop(os.getpid(), []):
            dataset.close()

    def __reduce__(self) -> tuple[Any, tuple[Opened, str, Grid | None]]:
        return partial(RasterReader, masks=self._masks), (self._path, self._driver, self._onto)

    def _open(self) -> Any:
        with rasterio.Env(**settings) if (settings := _settings(self._path)) else nullcontext():
            dataset = _open(self._path, self._driver)
        if self._onto is None:
            return dataset
        grid = self._onto
        # Bilinear weighs neighbours by where a pixel lies, whatever the window: tiles fit together.
        return WarpedVRT(
            dataset,
            crs=grid.crs,
            transform=grid.transform,
            width=grid.cols,
            height=grid.rows,
            resampling=Resampling.bilinear,
            tolerance=1e-6,
            add_alpha=self._masks.is_masked,  # which shows what GDAL's mask leaves
        )


def _settings(path: Opened) -> dict[str, str | int]:
    """GDAL's settings for reading a file."""
    return {"GDAL_VRT_ENABLE_PYTHON": "NO"} if isinstance(path, VirtualRaster) else gdal_settings(path)


def _open(path: Opened, driver: str) -> Any:
    limit_gdal_cache()
    try:
        with quiet_georeference():
            # The driver is named, so that a file is read as what its content says and as nothing else.
            name = path.text if isinstance(path, VirtualRaster) else path
            return rasterio.open(name.absolute() if isinstance(name, Path) else name, driver=driver)
    except RasterioError as error:
        raise damaged(path, error) from error
    except UnicodeEncodeError:  # bytes that are no UTF-8; or Python in another locale than the files' names
        raise FormatError(
            f"the name {str(path)!a} is not UTF-8, which GDAL reads: rename it, or start Python with PYTHONUTF8=1"
        ) from None


def nodata_of(dataset: Any, masks: FileMasks) -> float | None:
    """The value that the first band of values of an open rasterio dataset declares to be no data, or None."""
    declared = dataset.nodatavals[masks.bands[0] - 1]
    return None if declared is None else float(declared)


def masks_of(dataset: Any, path: Opened, *, image: bool = False) -> FileMasks:
    """How an open raster marks pixels without data, see :func:`hsi_cd.io.file_masks.find_masks`.

    Raises:
        FormatError: it is damaged, or has alpha bands alone.
    """
    name = place_name(str(path))
    try:
        masks = find_masks(dataset, name=name, image=image)
    except RasterioError as error:
        raise damaged(path, error) from error
    if not masks.bands:
        raise FormatError(f"{name} has no bands but alpha bands: expected an image beside them")
    return masks


def header_fields(data: Opened, driver: str) -> dict[str, str]:
    """The fields of an ENVI image's header; nothing for other files."""
    if driver != "ENVI" or not isinstance(data, Path):
        return {}
    return read_envi_header(find_envi_pair(data)[1], given=data).fields


def _rpcs(dataset: Any, name: str) -> RPC | None:
    try:
        return dataset.rpcs
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise FormatError(
            f"{name}: its rational polynomial coefficients are not understood ({error}): remove them"
        ) from error


def check_real(dataset: Any, path: Opened) -> None:
    """Refuse a raster of complex numbers.

    Raises:
        FormatError: so it is.
    """
    if any(str(dtype).startswith("complex") for dtype in dataset.dtypes):
        raise FormatError(
            f"{path} holds complex numbers ({dataset.dtypes[0]}): give real values, as the magnitude"
        )


def damaged(path: Opened, error: Exception) -> FormatError:
    """The error of a raster that cannot be read, in one line."""
    # The first line: GDAL's messages can be long.
    reason = (str(error.__cause__ or error).splitlines() or ["no reason given"])[0]
    if isinstance(path, VirtualRaster):
        return FormatError(
            f"{path}, or a file that it shows, cannot be read ({reason}): it is damaged; copy it again"
        )
    if is_remote(path):
        return unreachable(path, reason)
    if archive_of(path) is not None and "not exist" in reason:
        return FormatError(f"{place_name(path)} does not exist: the archive holds no such file; check the name")
    return FormatError(f"{path} cannot be read as a raster ({reason}): it is damaged or truncated; copy it again")
