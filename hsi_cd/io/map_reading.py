"""Change maps and rasters of scores, of this program and of others, read again for judging."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hsi_cd.errors import FormatError, LabelError
from hsi_cd.io.kinds import FileKind, file_kind, find_input
from hsi_cd.io.map_classes import COLOURS, NO_DATA
from hsi_cd.io.maps import SCORE_NAME, SCORE_UNIT, raster_named
from hsi_cd.io.raster import open_raster
from hsi_cd.io.single_band import SingleBand, read_single_band
from hsi_cd.io.told_classes import check_unsmeared, codes_by_colours, scheme_by_names
from hsi_cd.scene import CHANGED, UNCHANGED, Grid

_log = logging.getLogger(__name__)

_WRITE = "write the map with 0 unchanged, 1 changed and 255 no data, without class names and palette"


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
    return map_of_band(found, band, nodata=nodata), band.grid


def map_of_band(found: Path, band: SingleBand, *, nodata: Sequence[float] = ()) -> NDArray[np.uint8]:
    """The change map, uint8 ``(rows, cols)``, that the band of a file holds; see :func:`read_map`."""
    stored = _as_codes(found, band.without(nodata))
    if not set((values := np.unique(stored)).tolist()) <= set(COLOURS):
        listed = ", ".join(f"{float(v):g}" for v in values[:8])
        more = f" and {len(values) - 8} more" if len(values) > 8 else ""
        raise FormatError(
            f"{found} is no change map: it holds {listed}{more}; expected 0 unchanged, 1 changed, 255 no data; "
            "declare other values of no data with nodata="
        )
    return stored.astype(np.uint8)


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


def read_map_tags(path: str | os.PathLike[str]) -> dict[str, str]:
    """What a map says of itself, by tag; nothing where it is no GeoTIFF."""
    found = find_input(path, places=True)
    if file_kind(found) is not FileKind.TIFF:
        return {}
    with open_raster(found, FileKind.TIFF.value) as dataset:
        return dict(dataset.tags())


def read_score_name(path: str | os.PathLike[str]) -> tuple[str, bool]:
    """What the scores in a raster are, and whether they are probabilities of change.

    Returns:
        Their name, empty where the file does not tell it; False also where it does not tell.

    Raises:
        FormatError: the file is no GeoTIFF.
    """
    with open_raster(Path(path), "GTiff") as dataset:
        tags, dtype, description = dataset.tags(), dataset.dtypes[0], dataset.descriptions[0]
    if raster_named(description, dtype, tags=tags) == "probability":
        return str(description), True  # whose tags tell of the scores that it was made from
    return tags.get(SCORE_NAME, ""), tags.get(SCORE_UNIT) == "probability"
