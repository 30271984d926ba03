"""Change maps and rasters of scores: written by row bands, each with what a GIS needs beside it."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import rasterio
import rasterio.shutil
from numpy.typing import NDArray
from rasterio.errors import RasterioError
from rasterio.windows import Window

from hsi_cd.errors import FormatError, OutputError
from hsi_cd.io import qml
from hsi_cd.io.atomic import atomic_paths
from hsi_cd.io.map_classes import CHANGE_CLASSES, NO_DATA, MapClasses
from hsi_cd.io.raster import open_raster, quiet_georeference
from hsi_cd.io.sidecars import class_table, names_path, remove_stale, styles_beside, write_beside
from hsi_cd.paths import as_path
from hsi_cd.scene import UNCHANGED, Grid

_BLOCK = 256
_LEVEL = 3  # of deflate: twice as fast as its usual 6, and 1 % larger on scores

_RASTERS: Mapping[str, tuple[type[np.generic], float, str]] = {
    "change map": (np.uint8, NO_DATA, "change: 0 unchanged, 1 changed, 255 no data"),
    "score": (np.float32, math.nan, "score, higher is more change"),
    "uncertainty": (np.float32, math.nan, "standard deviation of the probability of change over the ensemble"),
    "probability": (np.float32, math.nan, "probability of change, 0 to 1"),
    "kind probability": (np.float32, math.nan, "probability of a kind of change, given change, 0 to 1"),
}
"""Type, no-data value and description of each raster; scores go by the name in their tags, if there is one."""

SCORE_NAME, SCORE_UNIT = "SCORE_NAME", "SCORE_UNIT"
"""Tags that tell what a score is: its name with its unit, and whether it is a ``probability`` or a ``score``."""
PART = "SHARD"
"""Tag of a part of a map, which is to be joined, not to be looked at: nothing is written beside it."""

_NOTHING: Mapping[str, None] = MappingProxyType({})
_SAMPLE = 250_000
"""Values from which the ends of a style's ramp are taken."""
_TAIL = 2.0
"""Per cent of the values beyond each end: a few scores are a hundred times the rest."""


def raster_named(description: str | None, dtype: str, *, tags: Mapping[str, str]) -> str | None:
    """Which raster of :class:`MapWriters` its band's description and type tell, or None."""
    return next(
        (
            name
            for name, (kind, _, _) in _RASTERS.items()
            if _description(name, tags) == description and np.dtype(kind) == dtype
        ),
        None,
    )


def _bands_of(name: str, tags: Mapping[str, str], classes: MapClasses) -> list[str]:
    """What the bands of a raster are called; those of a part are known by it when parts are joined."""
    called = _description(name, tags)
    if name != "kind probability":
        return [called]
    kinds = [each for value, each in classes.names.items() if value not in (UNCHANGED, NO_DATA)]
    return [called] * len(kinds) if PART in tags else kinds


def _description(name: str, tags: Mapping[str, str]) -> str:
    """What the band of a raster is called."""
    text = _RASTERS[name][2]
    return tags.get(SCORE_NAME) or text if name == "score" else text


class RasterWriter:
    """Writes one band, or several at once, from top to bottom.

    Rows are gathered to whole rows of tiles, so that every compressed tile is written once: one written twice
    would leave its first copy as dead bytes in the file.
    """

    def __init__(self, dataset: Any, path: Path) -> None:
        self._dataset = dataset
        self._path = path
        self._count, self._rows, self._cols = (
            int(size) for size in (dataset.count, dataset.height, dataset.width)
        )
        self._buffer = np.empty((self._count, dataset.block_shapes[0][0], self._cols), dtype=dataset.dtypes[0])
        self._start = 0  # first row of the buffer
        self._next = 0  # next row to come
        self._step = math.ceil(math.sqrt(self._rows * self._cols / _SAMPLE))
        self._sample: list[NDArray[np.generic]] = []

    def write(self, row0: int, values: NDArray[np.generic]) -> None:
        """Write a band of rows.

        Args:
            row0: its first row; bands come in order and without gaps.
            values: ``(any number of rows, cols)``, of several bands ``(bands, rows, cols)``, of the raster's type
                (or bool for a change map).

        Raises:
            ValueError: the band has another width or type, or is not the next one.
            OutputError: the file cannot be written.
        """
        values = values[np.newaxis] if values.ndim == 2 else values
        if row0 != self._next or values.ndim != 3 or values.shape[::2] != (self._count, self._cols):
            raise ValueError(
                f"rows from {row0} of shape {values.shape}: expected row {self._next}, {self._count} bands and "
                f"{self._cols} columns"
            )
        rows = values.shape[1]
        if row0 + rows > self._rows:
            raise ValueError(f"rows {row0} to {row0 + rows} of a raster of {self._rows}")
        if not np.can_cast(values.dtype, self._buffer.dtype, casting="same_kind") or (
            values.dtype.kind == "f" and self._buffer.dtype.kind != "f"
        ):
            raise ValueError(f"values of type {values.dtype} for a raster of {self._buffer.dtype}")
        self._sample.append(values[0, -row0 % self._step :: self._step, :: self._step].ravel())
        done, height = 0, self._buffer.shape[1]
        while done < rows:
            fill = self._next - self._start
            taken = min(rows - done, height - fill)
            self._buffer[:, fill : fill + taken] = values[:, done : done + taken]
            done += taken
            self._next += taken
            if self._next - self._start == height:
                self._flush()

    def ends(self) -> tuple[float, float]:
        """Between which values nearly all lie: the ends of a ramp of colours, the lower one first.

        From every so manyth row and column, so that they depend on no tiling.
        """
        values = np.concatenate(self._sample).astype(np.float64)
        values = values[np.isfinite(values)]
        if not values.size:
            return 0.0, 1.0
        low, high = (float(end) for end in np.percentile(values, [_TAIL, 100 - _TAIL]))
        return (low, high) if low < high else (low, low + 1.0)

    def close(self) -> None:
        """Write what is left and close the file.

        Raises:
            ValueError: rows are missing.
            OutputError: the file cannot be written.
        """
        if self._next != self._rows:
            raise ValueError(f"{self._next} of {self._rows} rows were written")
        self._flush()
        try:
            with quiet_georeference():
                self._dataset.close()
            # GDAL tells a disk that filled up at the very end only in its log: the last row shows it.
            with open_raster(self._path, "GTiff") as written:
                written.read(1, window=Window(0, self._rows - 1, self._cols, 1))
        except (RasterioError, FormatError) as error:
            raise _unwritable(self._path, error) from error

    def _flush(self) -> None:
        count = self._next - self._start
        if not count:
            return
        try:
            self._dataset.write(self._buffer[:, :count], window=Window(0, self._start, self._cols, count))
        except RasterioError as error:
            raise _unwritable(self._path, error) from error
        self._start = self._next


@dataclass(frozen=True)
class MapWriters:
    """The rasters of one prediction.

    Attributes:
        change: uint8: 0 unchanged, 1 changed, 255 no data.
        score: float32, higher is more change, NaN no data; None where none was asked for.
        uncertainty: float32 standard deviation of the probability of change, NaN no data, or None.
        probability: float32, of change, NaN no data, or None.
        kind_probability: float32, of each kind of change, a band each, NaN no data, or None.
    """

    change: RasterWriter
    score: RasterWriter | None = None
    uncertainty: RasterWriter | None = None
    probability: RasterWriter | None = None
    kind_probability: RasterWriter | None = None


@contextmanager
def map_writers(
    change: str | os.PathLike[str],
    score: str | os.PathLike[str] | None = None,
    uncertainty: str | os.PathLike[str] | None = None,
    *,
    beside: Mapping[str, str | os.PathLike[str] | None] = _NOTHING,
    grid: Grid,
    tags: Mapping[str, str] | None = None,
    cog: bool = False,
    overwrite: bool = False,
    classes: MapClasses = CHANGE_CLASSES,
) -> Iterator[MapWriters]:
    """Write a change map, and the rasters of scores, uncertainty and probabilities if asked for, row by row.

    All are tiled, deflated GeoTIFFs with the grid's georeference, and BigTIFF where they might pass 4 GB. They
    appear together when the block ends well; otherwise none does. Beside each lies its style for QGIS, and beside
    the change map what its classes are called.

    Args:
        change: file of the change map.
        score: file of the score raster, or None; its band is called what the tag ``SCORE_NAME`` says.
        uncertainty: file of the uncertainty raster, or None.
        beside: files of further rasters, or None: ``probability``, and ``kind probability``, which has a band a
            kind under its name.
        grid: shape and georeference.
        tags: text to store in each (version, checkpoint, threshold).
        cog: rewrite all as Cloud Optimized GeoTIFFs with overviews when they are complete.
        overwrite: whether existing files may be replaced.
        classes: names and colours of the values of the change map.

    Yields:
        The writers; every row of each must be written, in order.

    Raises:
        OutputError: a file exists, its folder is absent or not writable, or writing fails.
        ValueError: rows are missing at the end.
    """
    tags = dict(tags or {})
    named = {"change map": change, "score": score, "uncertainty": uncertainty}
    named |= {name: beside.get(name) for name in ("probability", "kind probability")}
    wanted = {name: as_path(path) for name, path in named.items() if path is not None}
    targets = list(wanted.values())
    if len({target.absolute() for target in targets}) != len(targets):
        raise OutputError(
            f"{', '.join(wanted)} are to be {', '.join(map(str, targets))}: name a file of its own for each"
        )
    shown = [] if PART in tags else targets
    legends = [names_path(target) for target in shown[:1]]
    with (
        styles_beside(shown) as styles,
        atomic_paths(legends, overwrite=True) as tables,
        atomic_paths(targets, overwrite=overwrite) as drafts,
    ):
        opened: list[Any] = []
        try:
            for name, draft in zip(wanted, drafts, strict=True):
                dtype, nodata, _ = _RASTERS[name]
                called = _bands_of(name, tags, classes)
                opened.append(
                    _create(draft, grid, np.dtype(dtype), nodata, tags, compress=not cog, count=len(called))
                )
                for band, text in enumerate(called, start=1):
                    opened[-1].set_band_description(band, text)
            opened[0].write_colormap(1, classes.colours)
            writers = {
                name: RasterWriter(dataset, draft)
                for name, dataset, draft in zip(wanted, opened, drafts, strict=True)
            }
            yield MapWriters(*(writers.get(name) for name in named))  # type: ignore[arg-type]  # the first is there
            for writer in writers.values():
                writer.close()
            if cog:
                for name, draft in zip(wanted, drafts, strict=True):
                    make_cog(draft, "NEAREST" if name == "change map" else "AVERAGE")
            for name, target in wanted.items():
                if target in styles:
                    write_beside(styles[target], _style(name, writers[name], tags, classes))
            for table in tables:
                write_beside(table, class_table(classes.colours, classes.names))
        finally:
            for dataset in opened:
                with quiet_georeference():
                    dataset.close()
    remove_stale(targets, kept=legends)


def _style(name: str, writer: RasterWriter, tags: Mapping[str, str], classes: MapClasses) -> str:
    if name == "change map":
        return qml.classes_qml(classes.colours, classes.names)
    if name in ("probability", "kind probability") or (name == "score" and tags.get(SCORE_UNIT) == "probability"):
        return qml.ramp_qml(0.0, 1.0)
    return qml.ramp_qml(*writer.ends())


def make_cog(path: Path, resampling: str) -> None:
    """Rewrite a tiled GeoTIFF as a Cloud Optimized GeoTIFF.

    From the finished file, because GDAL's COG driver, written to, would hold the whole raster in memory.
    """
    copy = path.with_suffix(".cog")
    try:
        with quiet_georeference():
            rasterio.shutil.copy(
                path,
                copy,
                driver="COG",
                COMPRESS="DEFLATE",
                PREDICTOR="YES",
                LEVEL=_LEVEL,
                NUM_THREADS="ALL_CPUS",
                BLOCKSIZE=_BLOCK,
                BIGTIFF="IF_SAFER",
                RESAMPLING=resampling,
            )
        path.unlink()  # replaced in place, the file system would wait for the disk (ext4's auto_da_alloc)
        copy.rename(path)
    except RasterioError as error:
        raise _unwritable(path, error) from error
    finally:
        copy.unlink(missing_ok=True)


def _create(
    path: Path,
    grid: Grid,
    dtype: np.dtype[Any],
    nodata: float,
    tags: Mapping[str, str],
    *,
    compress: bool,
    count: int = 1,
) -> Any:
    profile: dict[str, Any] = {
        "driver": "GTiff",
        "height": grid.rows,
        "width": grid.cols,
        "count": count,
        "dtype": dtype.name,
        "nodata": nodata,
        "tiled": True,
        "blockxsize": _block(grid.cols),
        "blockysize": _block(grid.rows),
        "BIGTIFF": "IF_SAFER",
    }
    if count > 1:
        profile["interleave"] = "band"
    if compress:
        profile |= {"compress": "deflate", "zlevel": _LEVEL, "predictor": 3 if dtype.kind == "f" else 1}
    try:
        with quiet_georeference():
            dataset = rasterio.open(path, "w", **profile, **grid.georeference())
    except RasterioError as error:
        raise _unwritable(path, error) from error
    except UnicodeEncodeError:
        raise OutputError(
            f"the folder {str(path.parent)!a} or the file in it has a name that is not UTF-8, which GDAL writes: "
            "choose another, or start Python with PYTHONUTF8=1"
        ) from None
    dataset.update_tags(**tags)
    return dataset


def _block(size: int) -> int:
    """Tile edge: TIFF wants a multiple of 16, and a small raster needs no larger tile than itself."""
    return min(_BLOCK, math.ceil(size / 16) * 16)


def _unwritable(path: Path, error: Exception) -> OutputError:
    reason = (str(error.__cause__ or error).splitlines() or ["no reason given"])[0]
    return OutputError(f"the raster cannot be written in {path.parent} ({reason}): is the disk full?")
