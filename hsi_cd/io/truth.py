"""Truth maps: files to labels.

Stored values are mapped once, here, by a declared scheme; a pixel that nobody labelled never becomes unchanged.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hsi_cd.errors import FormatError, LabelError
from hsi_cd.io.arrays import read_matrix
from hsi_cd.io.file_masks import is_value
from hsi_cd.io.kinds import file_kind, find_input
from hsi_cd.io.raster import read_single_band
from hsi_cd.scene import CHANGED, UNCHANGED, UNLABELLED, Grid, Labels, LabelScheme, check_same_grid

_log = logging.getLogger(__name__)

_ZERO_ONE = LabelScheme(unchanged=(0,), changed=(1,), ignore=(255,))
_ZERO_FULL = LabelScheme(unchanged=(0,), changed=(255,))
_ONE_TWO = LabelScheme(unchanged=(1,), changed=(2,), ignore=(0,))
_UNDERSTOOD: dict[frozenset[float], LabelScheme] = {
    frozenset((0, 1)): _ZERO_ONE,
    frozenset((0, 1, 255)): _ZERO_ONE,
    frozenset((0, 255)): _ZERO_FULL,
    frozenset((1, 2)): _ONE_TWO,
    frozenset((0, 1, 2)): _ONE_TWO,
}
_ENCODINGS = (
    "0 unchanged, 1 changed, 255 unlabelled; or 0 unchanged, 255 changed; or 1 unchanged, 2 changed, 0 unlabelled"
)


@dataclass(frozen=True)
class MaskPair:
    """A truth in two files: what is not zero in one is changed, in the other unchanged, in neither unlabelled.

    Attributes:
        changed: file of the changed pixels.
        unchanged: file of the unchanged pixels.
    """

    changed: Path
    unchanged: Path


def read_labels(
    source: str | os.PathLike[str] | MaskPair, *, scheme: LabelScheme | None = None, key: str | None = None
) -> Labels:
    """Read a truth map.

    Pixels that hold the no-data value a raster declares are unlabelled, unless the given scheme says that this
    value is changed or unchanged.

    Args:
        source: a MATLAB file, a raster image (GeoTIFF, ENVI, PNG, BMP), or a pair of masks.
        scheme: what the stored values mean; by default told from the values (:func:`infer_scheme`). A pair of
            masks needs none.
        key: variable of a MATLAB file; by default its only 2-D numeric array.

    Returns:
        Labels ``(rows, cols)``.

    Raises:
        MissingInputError: a file does not exist.
        FormatError: a file is damaged, of another kind, or has several bands that differ.
        LabelError: a value is not explained, or masks overlap.
        GridError: masks of different shape.
    """
    if isinstance(source, MaskPair):
        return _read_masks(source)
    path = find_input(source)
    stored, nodata, place = _read_stored(path, key)
    return labels_of(stored, scheme=scheme, nodata=nodata, place=place, name=path.name)


def labels_of(
    stored: NDArray[np.generic],
    *,
    scheme: LabelScheme | None = None,
    nodata: float | None = None,
    place: Grid | None = None,
    name: str = "truth",
) -> Labels:
    """The labels that stored values mean.

    Args:
        stored: one value a pixel, ``(rows, cols)``; what a masked array hides is unlabelled.
        scheme: what they mean; by default told from the values (:func:`infer_scheme`).
        nodata: value of pixels that hold nothing, which are unlabelled unless the scheme says otherwise, or None.
        place: where the map lies, or None.
        name: what messages call it.

    Raises:
        LabelError: a value is not explained.
    """
    missing, stored = np.ma.getmaskarray(stored).copy(), np.ma.getdata(stored)
    if nodata is not None and not (scheme is not None and nodata in (*scheme.unchanged, *scheme.changed)):
        missing |= is_value(stored, nodata)
    if scheme is None:
        what = "without data" if nodata is None else f"of its no-data value {nodata:g}"
        left_out = f" (without {missing.sum()} pixels {what})" if missing.any() else ""
        scheme = infer_scheme(stored[~missing], name=name + left_out)
    values = np.full(stored.shape, UNLABELLED, dtype=np.uint8)
    values[~missing] = scheme.encode(stored[~missing], name=name)
    kinds = None
    if scheme.has_kinds:
        kinds = np.where(values == CHANGED, np.nan_to_num(stored), 0).astype(np.int32)
    return Labels(values=values, scheme=scheme, name=name, kinds=kinds, place=place)


def labels_of_masks(
    changed: NDArray[np.bool_],
    unchanged: NDArray[np.bool_],
    *,
    place: Grid | None = None,
    names: tuple[str, str] = ("the mask of changed pixels", "the mask of unchanged pixels"),
) -> Labels:
    """Labels from two masks, bool ``(rows, cols)``; what neither marks is unlabelled.

    Raises:
        GridError: they differ in shape.
        LabelError: they overlap.
    """
    check_same_grid(Grid(*changed.shape), Grid(*unchanged.shape), names=names, remedy="give masks of one scene")
    overlap = int((changed & unchanged).sum())
    if overlap:
        raise LabelError(
            f"{overlap} pixels are both in {names[0]} and {names[1]}: a pixel is changed or unchanged"
        )
    values = np.full(changed.shape, UNLABELLED, dtype=np.uint8)
    values[unchanged] = UNCHANGED
    values[changed] = CHANGED
    return Labels(values=values, name=f"{names[0]} + {names[1]}", place=place)


def infer_scheme(stored: NDArray[np.generic], *, name: str = "truth") -> LabelScheme:
    """Tell the label scheme of a truth map of one's own from the values it holds.

    Args:
        stored: stored values, of any shape.
        name: what messages call the map.

    Returns:
        The scheme: 0/1 with 255 unlabelled, 0/255, or 1/2 with 0 unlabelled. Benchmarks exist in which 1 and 2
        mean the opposite, so that reading is logged as a warning.

    Raises:
        LabelError: the values are none of these; they are listed with their counts.
    """
    values, counts = np.unique(stored, return_counts=True)
    scheme = _UNDERSTOOD.get(frozenset(float(value) for value in values))
    if scheme is None:
        found = ", ".join(f"{float(v):g} ({n} pixels)" for v, n in zip(values[:8], counts[:8], strict=True))
        more = f" and {len(values) - 8} more" if len(values) > 8 else ""
        raise LabelError(
            f"{name}: label values {found or 'none'}{more} are not understood: expected {_ENCODINGS}; "
            "both changed and unchanged pixels must be there; declare other values with changed= and unchanged="
        )
    if scheme is _ONE_TWO:
        _log.warning(
            "%s is read as %s; some truth maps have 1 and 2 the other way: declare it with changed= and "
            "unchanged=",
            name,
            scheme.describe(),
        )
    return scheme


def _read_stored(path: Path, key: str | None) -> tuple[NDArray[np.generic], float | None, Grid | None]:
    """Stored values, the declared no-data value, and where the file lies, if it says so."""
    kind = file_kind(path)
    if kind.holds_arrays:
        return read_matrix(path, kind, key=key), None, None
    if key is not None:
        raise FormatError(f"{path} is no file of arrays: a key ({key!r}) names a variable of MATLAB, HDF5 or .npz")
    values, grid, nodata = read_single_band(path, kind)
    return values, nodata, grid if grid.is_georeferenced else None


def _read_masks(pair: MaskPair) -> Labels:
    (changed, place), (unchanged, other) = _read_mask(pair.changed), _read_mask(pair.unchanged)
    names = pair.changed.name, pair.unchanged.name
    grids = (place or Grid(*changed.shape), other or Grid(*unchanged.shape))
    check_same_grid(*grids, names=names, remedy="give masks of one scene")
    return labels_of_masks(changed, unchanged, place=place or other, names=names)


def _read_mask(path: Path) -> tuple[NDArray[np.bool_], Grid | None]:
    stored, nodata, place = _read_stored(find_input(path), None)
    stored = np.ma.filled(stored, 0)
    marks = np.unique(stored[stored != 0])
    if nodata is not None and nodata != 0:
        marks = marks[marks != nodata]
    if len(marks) > 1:
        # Soft edges of a resampled or JPEG picture would silently become labels.
        listed = ", ".join(f"{float(v):g}" for v in marks[:8])
        raise LabelError(f"{path.name}: a mask has zero and one other value, but this holds {listed}")
    return np.isin(stored, marks), place
