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
from hsi_cd.io.envi import check_envi_size, find_envi_pair, read_envi_header
from hsi_cd.io.file_blocks import BlockLayout
from hsi_cd.io.file_masks import FileMasks, find_masks
from hsi_cd.io.kinds import FileKind
from hsi_cd.io.memory import limit_gdal_cache
from hsi_cd.io.pictures import check_jpeg2000, check_png
from hsi_cd.io.remote import gdal_settings, unreachable
from hsi_cd.places import archive_of, is_remote, place_name
from hsi_cd.scene import Grid

_FILTERS = threading.RLock()


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
    if kind is FileKind.NETCDF:
        check_free_format(path, kind)
    if kind in (FileKind.NETCDF, FileKind.ZARR):
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
            names, listed = _arrays_of(dataset)
            raise FormatError(f"{path} holds {len(names)} arrays ({listed}): name the image by keys=")
        _check_placed(dataset, path, kind)


def zarr_array(path: Path, key: str | None) -> Path | str:
    """What GDAL calls the image of a Zarr store, whose axes its georeference must prove.

    Args:
        path: the store.
        key: the array's name; by default the only image of several bands, or the only one of all.

    Raises:
        FormatError: no such array, no or several images, or one without a georeference.
    """
    with open_raster(path, FileKind.ZARR.value) as dataset:
        names, listed = _arrays_of(dataset)
        if not names:
            if key is not None:
                raise FormatError(f"{path} holds one array: leave the key ({key!r}) out")
            _check_placed(dataset, path, FileKind.ZARR)
            return path
    if key is not None and key not in names:
        raise FormatError(f"{path} has no array {key!r}: it holds {listed}")
    images = {name: count for name in (names if key is None else [key]) if (count := _image_bands(path, name))}
    if key is not None and not images:
        raise FormatError(
            f"{path}: array {key!r} is no image with a georeference, which proves its axes: save the image as "
            "GeoTIFF, ENVI or .npy"
        )
    cubes = [name for name, count in images.items() if count > 1] or list(images)
    if key is None and len(cubes) != 1:
        raise FormatError(
            f"{path} holds {len(names)} arrays ({listed}), of which {len(cubes)} are images with a georeference: "
            "name one with keys="
        )
    return _zarr_name(path, key or cubes[0])


def _arrays_of(dataset: Any) -> tuple[list[str], str]:
    """Names of the arrays of an open container, and the first of them in words."""
    names = [str(name).rsplit(":", 1)[-1].strip("/") for name in dataset.subdatasets]
    return names, ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")


def _image_bands(path: Path, array: str) -> int:
    """Bands of an array of a Zarr store; 0 where it is no image with a georeference."""
    try:
        with open_raster(_zarr_name(path, array), FileKind.ZARR.value) as dataset:
            placed = not dataset.transform.is_identity and min(dataset.shape) > 1
            return int(dataset.count) if placed else 0
    except FormatError:  # as of a single number, which describes the CRS
        return 0


def _zarr_name(path: Path, array: str) -> str:
    return f'ZARR:"{path.absolute()}":/{array}'


def _check_placed(dataset: Any, path: Path, kind: FileKind) -> None:
    if not dataset.count or dataset.transform.is_identity:
        raise FormatError(
            f"{path} is a {kind.title} file without a georeference, which does not tell its axes: save the "
            "image as GeoTIFF, ENVI or .npy"
        )


@contextmanager
def open_raster(path: Path | str, driver: str) -> Iterator[Any]:
    """An open rasterio dataset.

    Raises:
        FormatError: the file is damaged or no such file.
    """
    try:
        with rasterio.Env(**gdal_settings(path)), _open(path, driver) as dataset:
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

    def __init__(self, path: Path | str, driver: str, onto: Grid | None = None, *, masks: FileMasks) -> None:
        """Nothing is opened yet.

        Args:
            path: the file, or GDAL's own name of one of its arrays.
            driver: the rasterio driver that reads it.
            onto: the grid to resample to, of the file's own CRS; by default the values come as stored.
            masks: which of its bands hold values, and how it marks pixels without data.
        """
        self._path = path if isinstance(path, str) else path.absolute()
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
                with rasterio.Env(
                    **gdal_settings(self._path)
                ):  # in which GDAL's warnings go to the log, not to the terminal
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

    def __reduce__(self) -> tuple[Any, tuple[Path | str, str, Grid | None]]:
        return partial(RasterReader, masks=self._masks), (self._path, self._driver, self._onto)

    def _open(self) -> Any:
        with rasterio.Env(**settings) if (settings := gdal_settings(self._path)) else nullcontext():
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


def _open(path: Path | str, driver: str) -> Any:
    limit_gdal_cache()
    try:
        with quiet_georeference():
            # The driver is named, so that a file is read as what its content says and as nothing else.
            return rasterio.open(path if isinstance(path, str) else path.absolute(), driver=driver)
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


def masks_of(dataset: Any, path: Path | str, *, image: bool = False) -> FileMasks:
    """How an open raster marks pixels without data, see :func:`hsi_cd.io.file_masks.find_masks`.

    Raises:
        FormatError: it is damaged, or has alpha bands alone.
    """
    try:
        masks = find_masks(dataset, image=image)
    except RasterioError as error:
        raise damaged(path, error) from error
    if not masks.bands:
        raise FormatError(f"{path} has no bands but alpha bands: expected an image beside them")
    return masks


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


def check_real(dataset: Any, path: Path | str) -> None:
    """Refuse a raster of complex numbers.

    Raises:
        FormatError: so it is.
    """
    if any(str(dtype).startswith("complex") for dtype in dataset.dtypes):
        raise FormatError(
            f"{path} holds complex numbers ({dataset.dtypes[0]}): give real values, as the magnitude"
        )


def damaged(path: Path | str, error: Exception) -> FormatError:
    """The error of a raster that cannot be read, in one line."""
    # The first line: GDAL's messages can be long.
    reason = (str(error.__cause__ or error).splitlines() or ["no reason given"])[0]
    if is_remote(path):
        return unreachable(path, reason)
    if archive_of(path) is not None and "not exist" in reason:
        return FormatError(f"{place_name(path)} does not exist: the archive holds no such file; check the name")
    return FormatError(f"{path} cannot be read as a raster ({reason}): it is damaged or truncated; copy it again")
