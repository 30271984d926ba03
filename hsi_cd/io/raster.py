"""GeoTIFF, ENVI and plain images, through rasterio."""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
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
from hsi_cd.io.envi import check_envi_size, find_envi_pair, read_envi_header
from hsi_cd.io.kinds import FileKind
from hsi_cd.io.memory import check_plausible, limit_gdal_cache
from hsi_cd.io.pictures import check_jpeg2000, check_png
from hsi_cd.io.wavelengths import read_acquired, read_bands, read_scaling
from hsi_cd.scene import Cube, Grid

_FILTERS = threading.RLock()


def open_raster_cube(path: Path, kind: FileKind, *, name: str) -> Cube:
    """A raster as a cube that reads its windows when asked.

    Args:
        path: an image, or one of the two files of an ENVI image.
        kind: what its content is.
        name: what messages call it.

    Raises:
        FormatError: the file is damaged, no image, or of complex numbers.
        MissingInputError: an ENVI header without its data file.
    """
    data, driver = locate_raster(path, kind)
    with open_raster(data, driver) as dataset:
        check_real(dataset, data)
        dtype = np.result_type(*dataset.dtypes)
        if data.is_file():
            check_plausible(data, (dataset.height, dataset.width, dataset.count), dtype.itemsize)
        header = header_fields(data, driver)
        scale, offset = read_scaling(dataset, header=header)
        return Cube(
            name=name,
            grid=grid_of(dataset),
            bands=read_bands(dataset, header=header),
            dtype=dtype,
            reader=RasterReader(data, driver),
            nodata=nodata_of(dataset),
            scale=scale,
            offset=offset,
            acquired=read_acquired(dataset, header=header),
        )


def read_shape(path: Path, kind: FileKind) -> tuple[int, int]:
    """Rows and columns of an image, from its header.

    Raises:
        FormatError: the file is damaged, or no image.
    """
    data, driver = locate_raster(path, kind)
    with open_raster(data, driver) as dataset:
        return int(dataset.height), int(dataset.width)


def locate_raster(path: Path, kind: FileKind) -> tuple[Path, str]:
    """The file to open and the rasterio driver that reads it; ENVI's two files are checked against each other.

    Raises:
        FormatError: an ENVI image whose header is absent, wrong, or of a spectral library.
        MissingInputError: an ENVI header without its data file.
    """
    if kind.is_image:
        if kind is FileKind.PNG:
            check_png(path)
        if kind is FileKind.JPEG2000:
            check_jpeg2000(path)
        return path, kind.value
    if kind in (FileKind.NETCDF, FileKind.ZARR):
        check_free_format(path, kind)
        return path, kind.value
    if kind is FileKind.ENVI_HEADER:
        # Before the data file is looked for: a library is to be refused by name wherever its numbers lie.
        header = read_envi_header(path, given=path)
        data, _ = find_envi_pair(path)
    else:
        data, header_path = find_envi_pair(path)
        header = read_envi_header(header_path, given=path)
    check_envi_size(data, header)
    return data, "ENVI"


def check_free_format(path: Path, kind: FileKind) -> None:
    """Refuse a NetCDF file or Zarr store unless GDAL gives one image whose axes its georeference proves.

    Without one, GDAL takes the last two axes for rows and columns whatever they are, and turns NetCDF upside down.

    Raises:
        FormatError: there are several arrays, none, or no georeference.
    """
    with open_raster(path, kind.value) as dataset:
        if dataset.subdatasets:
            names = [str(name).rsplit(":", 1)[-1].strip("/") for name in dataset.subdatasets]
            more = f" and {len(names) - 12} more" if len(names) > 12 else ""
            raise FormatError(
                f"{path} holds {len(names)} arrays ({', '.join(names[:12])}{more}): save the image alone, as with "
                f"gdal_translate, as GeoTIFF"
            )
        if not dataset.count or dataset.transform.is_identity:
            raise FormatError(
                f"{path} is a {kind.title} file without a georeference, which does not tell its axes: save the "
                "image as GeoTIFF, ENVI or .npy"
            )


@contextmanager
def open_raster(path: Path, driver: str) -> Iterator[Any]:
    """An open rasterio dataset.

    Raises:
        FormatError: the file is damaged or no such file.
    """
    try:
        with rasterio.Env(), _open(path, driver) as dataset:
            yield dataset
    except UnicodeDecodeError as error:
        raise FormatError(f"{path} holds text that is not UTF-8 ({error.reason}): write its tags again") from error


def grid_of(dataset: Any) -> Grid:
    """Shape and georeference of an open rasterio dataset."""
    points, point_crs = dataset.gcps
    # rasterio gives the identity where a file has no transform.
    placed = not dataset.transform.is_identity or (dataset.crs is not None and not points)
    return Grid(
        rows=int(dataset.height),
        cols=int(dataset.width),
        crs=dataset.crs if placed else None,
        transform=dataset.transform if placed else None,
        gcps=tuple(points),
        gcp_crs=point_crs,
        rpcs=_rpcs(dataset),
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

    def __init__(self, path: Path, driver: str, onto: Grid | None = None) -> None:
        """``onto``: the grid to resample to, of the file's own CRS; by default the values come as stored."""
        self._path = path.absolute()
        self._driver = driver
        self._onto = onto
        self._idle: dict[int, list[Any]] = {}  # open handles that nobody reads from, by process

    def __call__(self, rows: slice, cols: slice) -> NDArray[np.generic]:
        """Stored values ``(bands, rows, cols)`` of a window.

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
                with rasterio.Env():  # in which GDAL's warnings go to the log, not to the terminal
                    values: NDArray[np.generic] = dataset.read(
                        window=Window(cols.start, rows.start, width, height)
                    )
            except RasterioError as error:
                raise damaged(self._path, error) from error
        else:
            values = np.empty((dataset.count, height, width), dtype=np.result_type(*dataset.dtypes))
        idle.append(dataset)
        return values

    def __reduce__(self) -> tuple[type[RasterReader], tuple[Path, str, Grid | None]]:
        return RasterReader, (self._path, self._driver, self._onto)

    def _open(self) -> Any:
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
        )


def _open(path: Path, driver: str) -> Any:
    limit_gdal_cache()
    try:
        with quiet_georeference():
            # The driver is named, so that a file is read as what its content says and as nothing else.
            return rasterio.open(path.absolute(), driver=driver)
    except RasterioError as error:
        raise damaged(path, error) from error


def nodata_of(dataset: Any) -> float | None:
    """The value that the first band of an open rasterio dataset declares to be no data, or None."""
    return None if dataset.nodata is None else float(dataset.nodata)


def header_fields(data: Path, driver: str) -> dict[str, str]:
    """The fields of an ENVI image's header; nothing for other files."""
    if driver != "ENVI":
        return {}
    return read_envi_header(find_envi_pair(data)[1], given=data).fields


def _rpcs(dataset: Any) -> RPC | None:
    try:
        return dataset.rpcs
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise FormatError(
            f"{dataset.name}: its rational polynomial coefficients are not understood ({error}): remove them"
        ) from error


def check_real(dataset: Any, path: Path) -> None:
    """Refuse a raster of complex numbers.

    Raises:
        FormatError: so it is.
    """
    if any(str(dtype).startswith("complex") for dtype in dataset.dtypes):
        raise FormatError(
            f"{path} holds complex numbers ({dataset.dtypes[0]}): give real values, as the magnitude"
        )


def damaged(path: Path, error: Exception) -> FormatError:
    """The error of a raster that cannot be read, in one line."""
    # The first line: GDAL's messages can be long.
    reason = (str(error.__cause__ or error).splitlines() or ["no reason given"])[0]
    return FormatError(f"{path} cannot be read as a raster ({reason}): it is damaged or truncated; copy it again")
