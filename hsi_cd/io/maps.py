"""Change maps and rasters of scores: written by row bands, and read again for judging."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import rasterio.shutil
from numpy.typing import NDArray
from rasterio.errors import RasterioError
from rasterio.windows import Window

from hsi_cd.errors import FormatError, LabelError, OutputError
from hsi_cd.io.atomic import atomic_paths
from hsi_cd.io.kinds import file_kind, find_input
from hsi_cd.io.raster import open_raster, quiet_georeference
from hsi_cd.io.single_band import SingleBand, read_single_band
from hsi_cd.io.told_classes import check_unsmeared, codes_by_colours, scheme_by_names
from hsi_cd.paths import as_path
from hsi_cd.scene import CHANGED, UNCHANGED, UNLABELLED, Grid

_log = logging.getLogger(__name__)

NO_DATA = UNLABELLED
COLOURS = {UNCHANGED: (230, 230, 230, 255), CHANGED: (200, 30, 30, 255), NO_DATA: (0, 0, 0, 0)}
"""Colour table of change maps, RGBA by value."""

_WRITE = "write the map with 0 unchanged, 1 changed and 255 no data, without class names and palette"
_BLOCK = 256
_LEVEL = 3  # of deflate: twice as fast as its usual 6, and 1 % larger on scores

_RASTERS: Mapping[str, tuple[type[np.generic], float, str]] = {
    "change map": (np.uint8, NO_DATA, "change: 0 unchanged, 1 changed, 255 no data"),
    "score": (np.float32, math.nan, "score, higher is more change"),
    "uncertainty": (np.float32, math.nan, "standard deviation of the probability of change over the ensemble"),
}
"""Type, no-data value and description of each raster; scores go by the name in their tags, if there is one."""

SCORE_NAME, SCORE_UNIT = "SCORE_NAME", "SCORE_UNIT"
"""Tags that tell what a score is: its name with its unit, and whether it is a ``probability`` or a ``score``."""


def raster_named(description: str | None, dtype: str, *, tags: Mapping[str, str]) -> str | None:
    """Which raster (``change map``, ``score``, ``uncertainty``) its band's description and type tell, or None."""
    return next(
        (
            name
            for name, (kind, _, _) in _RASTERS.items()
            if _description(name, tags) == description and np.dtype(kind) == dtype
        ),
        None,
    )


def _description(name: str, tags: Mapping[str, str]) -> str:
    """What the band of a raster is called."""
    text = _RASTERS[name][2]
    return tags.get(SCORE_NAME) or text if name == "score" else text


class RasterWriter:
    """Writes one band from top to bottom.

    Rows are gathered to whole rows of tiles, so that every compressed tile is written once: one written twice
    would leave its first copy as dead bytes in the file.
    """

    def __init__(self, dataset: Any, path: Path) -> None:
        self._dataset = dataset
        self._path = path
        self._rows, self._cols = int(dataset.height), int(dataset.width)
        self._buffer = np.empty((dataset.block_shapes[0][0], self._cols), dtype=dataset.dtypes[0])
        self._start = 0  # first row of the buffer
        self._next = 0  # next row to come

    def write(self, row0: int, values: NDArray[np.generic]) -> None:
        """Write a band of rows.

        Args:
            row0: its first row; bands come in order and without gaps.
            values: ``(any number of rows, cols)``, of the raster's type (or bool for a change map).

        Raises:
            ValueError: the band has another width or type, or is not the next one.
            OutputError: the file cannot be written.
        """
        if row0 != self._next or values.ndim != 2 or values.shape[1] != self._cols:
            raise ValueError(
                f"rows from {row0} of shape {values.shape}: expected row {self._next} and {self._cols} columns"
            )
        if row0 + len(values) > self._rows:
            raise ValueError(f"rows {row0} to {row0 + len(values)} of a raster of {self._rows}")
        if not np.can_cast(values.dtype, self._buffer.dtype, casting="same_kind") or (
            values.dtype.kind == "f" and self._buffer.dtype.kind != "f"
        ):
            raise ValueError(f"values of type {values.dtype} for a raster of {self._buffer.dtype}")
        done = 0
        while done < len(values):
            fill = self._next - self._start
            taken = min(len(values) - done, len(self._buffer) - fill)
            self._buffer[fill : fill + taken] = values[done : done + taken]
            done += taken
            self._next += taken
            if self._next - self._start == len(self._buffer):
                self._flush()

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
            self._dataset.write(self._buffer[:count], 1, window=Window(0, self._start, self._cols, count))
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
    """

    change: RasterWriter
    score: RasterWriter | None
    uncertainty: RasterWriter | None


@contextmanager
def map_writers(
    change: str | os.PathLike[str],
    score: str | os.PathLike[str] | None = None,
    uncertainty: str | os.PathLike[str] | None = None,
    *,
    grid: Grid,
    tags: Mapping[str, str] | None = None,
    cog: bool = False,
    overwrite: bool = False,
) -> Iterator[MapWriters]:
    """Write a change map, and the rasters of scores and uncertainty if asked for, row by row.

    All are tiled, deflated GeoTIFFs with the grid's georeference, and BigTIFF where they might pass 4 GB. They
    appear together when the block ends well; otherwise none does.

    Args:
        change: file of the change map.
        score: file of the score raster, or None; its band is called what the tag ``SCORE_NAME`` says.
        uncertainty: file of the uncertainty raster, or None.
        grid: shape and georeference.
        tags: text to store in each (version, checkpoint, threshold).
        cog: rewrite all as Cloud Optimized GeoTIFFs with overviews when they are complete.
        overwrite: whether existing files may be replaced.

    Yields:
        The writers; every row of each must be written, in order.

    Raises:
        OutputError: a file exists, its folder is absent or not writable, or writing fails.
        ValueError: rows are missing at the end.
    """
    wanted = {
        name: as_path(path)
        for name, path in (("change map", change), ("score", score), ("uncertainty", uncertainty))
        if path is not None
    }
    targets = list(wanted.values())
    if len({target.absolute() for target in targets}) != len(targets):
        raise OutputError(
            f"{', '.join(wanted)} are to be {', '.join(map(str, targets))}: name a file of its own for each"
        )
    with atomic_paths(targets, overwrite=overwrite) as drafts:
        opened: list[Any] = []
        try:
            for name, draft in zip(wanted, drafts, strict=True):
                dtype, nodata, _ = _RASTERS[name]
                opened.append(_create(draft, grid, np.dtype(dtype), nodata, tags or {}, compress=not cog))
                opened[-1].set_band_description(1, _description(name, tags or {}))
            opened[0].write_colormap(1, COLOURS)
            writers = {
                name: RasterWriter(dataset, draft)
                for name, dataset, draft in zip(wanted, opened, drafts, strict=True)
            }
            yield MapWriters(writers["change map"], writers.get("score"), writers.get("uncertainty"))
            for writer in writers.values():
                writer.close()
            if cog:
                for name, draft in zip(wanted, drafts, strict=True):
                    make_cog(draft, "NEAREST" if name == "change map" else "AVERAGE")
        finally:
            for dataset in opened:
                with quiet_georeference():
                    dataset.close()


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


def read_map(
    path: str | os.PathLike[str], *, key: str | None = None, nodata: Sequence[float] = ()
) -> tuple[NDArray[np.uint8], Grid]:
    """Read a change map.

    Class names and colours of a map that another program made are heard, as those of a truth map are, and what it
    marks as no data (a value, NaN, a mask, an alpha band). Where that is its 0 or 1, it marks what it found, not
    where it looked: it is read as such, which is said.

    Args:
        path: a raster of one band, or an array (NumPy, MATLAB, HDF5), with 0 unchanged, 1 changed, 255 no data.
        key: variable of a file of arrays; by default its only 2-D numeric array.
        nodata: further stored values that mean no data.

    Returns:
        uint8 ``(rows, cols)`` and the grid.

    Raises:
        MissingInputError: the file does not exist.
        FormatError: it is no raster, has several bands, or holds other values.
    """
    found = find_input(path, places=True)
    band = read_single_band(found, file_kind(found), key=key)
    stored = _as_codes(found, band.without(nodata))
    if not set((values := np.unique(stored)).tolist()) <= set(COLOURS):
        listed = ", ".join(f"{float(v):g}" for v in values[:8])
        more = f" and {len(values) - 8} more" if len(values) > 8 else ""
        raise FormatError(
            f"{found} is no change map: it holds {listed}{more}; expected 0 unchanged, 1 changed, 255 no data; "
            "declare other values of no data with nodata="
        )
    return stored.astype(np.uint8), band.grid


def read_scores(path: str | os.PathLike[str], *, nodata: Sequence[float] = ()) -> NDArray[np.float32]:
    """Read a raster, or an array, of scores: float32 ``(rows, cols)``, NaN for no data, however it is marked.

    Args:
        path: the file.
        nodata: further stored values that mean no data.

    Raises:
        MissingInputError: the file does not exist.
        FormatError: it is no raster, has several bands, or holds indices of a palette.
    """
    found = find_input(path, places=True)
    band = read_single_band(found, file_kind(found))
    if band.legend.colours:
        what = "white stored as 0 (WhiteIsZero)" if band.legend.white_is_zero else "indices of a palette"
        raise FormatError(
            f"{found} holds {what}, which are no scores: write the scores themselves, where higher is more "
            "change, as a float32 GeoTIFF"
        )
    return np.where(band.without((band.nodata, *nodata)).valid, band.values, np.nan).astype(np.float32)


def _as_codes(path: Path, band: SingleBand) -> NDArray[np.generic]:
    """The stored values, or 0 and 1 where names or colours say what they mean; 255 where there is none."""
    stored, valid = band.values, band.valid
    ours = not band.legend.names and set(np.unique(stored[valid]).tolist()) <= set(COLOURS)
    if ours and band.nodata in (UNCHANGED, CHANGED):
        # Written with the profile of a scene whose no data is 0, as it happens, or to show what was found alone.
        word = "unchanged" if band.nodata == UNCHANGED else "changed"
        _log.warning(
            "%s declares %g as no data, which is %s in a change map: it is read as %s; to leave such pixels out, "
            "declare them by nodata=%g", path, band.nodata, word, word, band.nodata,
        )  # fmt: skip
    else:
        valid = band.without([band.nodata]).valid
    held = np.unique(stored[valid])
    try:
        check_unsmeared(held, band.legend, name=str(path))
        scheme = scheme_by_names(held, band.legend.names, name=str(path), remedy=_WRITE)
        codes = None if scheme else codes_by_colours(held, band.legend, name=str(path), remedy=_WRITE)
    except LabelError as error:
        raise FormatError(str(error)) from None
    if scheme is not None:
        told = {value: int(scheme.encode(np.array([value]))[0]) for value in held.tolist()}
    elif codes is not None:
        told = codes
    else:
        if NO_DATA in held and CHANGED not in held:
            # The commonest other encoding: read as ours, its changed pixels would silently not be scored.
            raise FormatError(
                f"{path} holds 0 and 255 and does not say that 255 is no data: write changed pixels as 1, or "
                "declare 255 as no data"
            )
        return np.where(valid, stored, np.uint8(NO_DATA)) if not valid.all() else stored
    out = np.full(stored.shape, NO_DATA, dtype=np.uint8)
    for value, code in told.items():
        out[valid & (stored == value)] = code
    return out


def read_score_name(path: str | os.PathLike[str]) -> tuple[str, bool]:
    """What the scores in a raster are, and whether they are probabilities of change.

    Returns:
        Their name, empty where the file does not tell it; False also where it does not tell.

    Raises:
        FormatError: the file is no GeoTIFF.
    """
    with open_raster(Path(path), "GTiff") as dataset:
        tags = dataset.tags()
    return tags.get(SCORE_NAME, ""), tags.get(SCORE_UNIT) == "probability"


def _create(
    path: Path, grid: Grid, dtype: np.dtype[Any], nodata: float, tags: Mapping[str, str], *, compress: bool
) -> Any:
    profile: dict[str, Any] = {
        "driver": "GTiff",
        "height": grid.rows,
        "width": grid.cols,
        "count": 1,
        "dtype": dtype.name,
        "nodata": nodata,
        "tiled": True,
        "blockxsize": _block(grid.cols),
        "blockysize": _block(grid.rows),
        "BIGTIFF": "IF_SAFER",
    }
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
