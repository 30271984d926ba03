"""Truth maps: files to labels.

Stored values are mapped once, here, by a declared scheme; a pixel that nobody labelled never becomes unchanged.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hsi_cd.errors import LabelError
from hsi_cd.io.kind_names import names_of_legend
from hsi_cd.io.kinds import file_kind, find_input
from hsi_cd.io.legend import Legend
from hsi_cd.io.single_band import SingleBand, read_single_band
from hsi_cd.io.told_classes import (
    ONE_TWO,
    ZERO_FULL,
    check_unsmeared,
    codes_by_colours,
    scheme_by_kinds,
    scheme_by_names,
    scheme_by_numbers,
)
from hsi_cd.places import file_name
from hsi_cd.scene import CHANGED, UNCHANGED, UNLABELLED, Grid, Labels, LabelScheme, check_same_grid

_log = logging.getLogger(__name__)

_ENCODINGS = (
    "0 unchanged, 1 changed, 255 unlabelled; or 0 unchanged, 255 changed; or 1 unchanged, 2 changed, 0 unlabelled"
)
_MASKS = "write 1 for marked pixels and 0 for all others, without a palette"


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
    source: str | os.PathLike[str] | MaskPair,
    *,
    scheme: LabelScheme | None = None,
    key: str | None = None,
    default: LabelScheme | None = None,
    kinds: bool = False,
) -> Labels:
    """Read a truth map.

    What a file says of its values is heard: class names and colours tell which are changed, and where a mask, an
    alpha band, NaN, or a declared no-data value say that there is nothing, pixels are unlabelled. A given scheme
    wins over names, colours and the no-data value.

    Args:
        source: a MATLAB file, a raster image (GeoTIFF, ENVI, PNG, BMP), or a pair of masks.
        scheme: what the stored values mean; by default told by the file. A pair of masks needs none.
        key: variable of a MATLAB file; by default its only 2-D numeric array.
        default: what the stored values mean where neither names nor colours say it; by default
            :func:`infer_scheme` tells.
        kinds: whether values that nobody declared are kinds of change, all but the unchanged.

    Returns:
        Labels ``(rows, cols)``.

    Raises:
        MissingInputError: a file does not exist.
        FormatError: a file is damaged, of another kind, or has several bands that differ.
        LabelError: a value is not explained, names or colours contradict the numbers, or masks overlap.
        GridError: masks of different shape.
    """
    if isinstance(source, MaskPair):
        return _read_masks(source)
    path = find_input(source, places=True)
    return labels_of_band(read_band(path, key), scheme=scheme, name=file_name(path), default=default, kinds=kinds)


def labels_of_band(
    band: SingleBand,
    *,
    scheme: LabelScheme | None = None,
    name: str = "truth",
    default: LabelScheme | None = None,
    kinds: bool = False,
) -> Labels:
    """The labels that the values of a band mean; see :func:`read_labels`.

    Raises:
        LabelError: a value is not explained, or names or colours contradict the numbers.
    """
    stored, missing, legend = band.values, ~band.valid, band.legend
    declared = () if scheme is None else (*scheme.unchanged, *scheme.changed)
    hollow = {value for value, colour in legend.colours.items() if colour[3] == 0}
    if band.nodata is not None:
        hollow.add(band.nodata)
    absent = np.isin(stored, [value for value in hollow if value not in declared])
    missing |= absent
    if scheme is None and absent.any():
        found = ", ".join(f"{float(value):g}" for value in np.unique(stored[absent])[:8])
        name_in_full = f"{name} (without {absent.sum()} pixels of its no-data value {found})"
    else:
        name_in_full = name
    check_unsmeared(stored[~missing], legend, name=name)
    if scheme is None and kinds:
        scheme = scheme_by_kinds(np.unique(stored[~missing]), legend.names)
    if scheme is None:
        stored, scheme = _as_meant(stored, ~missing, legend, default, name=name_in_full)
    labels = _encoded(stored, missing, scheme, place=band.place, name=name)
    return labels if labels.kinds is None else replace(labels, kind_names=names_of_legend(scheme, legend.names))


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
    scheme = scheme_by_numbers(values)
    if scheme is None:
        found = ", ".join(f"{float(v):g} ({n} pixels)" for v, n in zip(values[:8], counts[:8], strict=True))
        more = f" and {len(values) - 8} more" if len(values) > 8 else ""
        raise LabelError(
            f"{name}: label values {found or 'none'}{more} are not understood: expected {_ENCODINGS}; "
            "both changed and unchanged pixels must be there; declare other values with changed= and unchanged="
        )
    if scheme is ONE_TWO:
        _log.warning(
            "%s is read as %s; some truth maps have 1 and 2 the other way: declare it with changed= and "
            "unchanged=",
            name,
            scheme.describe(),
        )
    return scheme


def read_band(path: Path, key: str | None = None) -> SingleBand:
    """One value a pixel of a file, as stored, with what the file says of them.

    Raises:
        FormatError: the file is damaged, of another kind, or has several bands that differ.
    """
    return read_single_band(path, file_kind(path), key=key)


def _as_meant(
    stored: NDArray[np.generic],
    there: NDArray[np.bool_],
    legend: Legend,
    default: LabelScheme | None,
    *,
    name: str,
) -> tuple[NDArray[np.generic], LabelScheme]:
    """Stored values and the scheme that explains them: by names, then colours, then numbers.

    What only colours explain is handed over as it is shown, 0 and 255: two values of one colour are one class.
    """
    if legend.names or legend.colours:
        held = np.unique(stored[there])
        scheme = scheme_by_names(held, legend.names, name=name)
        if scheme is not None:
            return stored, scheme
        codes = codes_by_colours(held, legend, name=name)
        if codes is not None:
            bright = [value for value, code in codes.items() if code == CHANGED]
            return np.where(np.isin(stored, bright), np.uint8(255), np.uint8(0)), ZERO_FULL
    return stored, default or infer_scheme(stored[there], name=name)


def _encoded(
    stored: NDArray[np.generic],
    missing: NDArray[np.bool_],
    scheme: LabelScheme,
    *,
    place: Grid | None,
    name: str,
) -> Labels:
    values = np.full(stored.shape, UNLABELLED, dtype=np.uint8)
    values[~missing] = scheme.encode(stored[~missing], name=name)
    kinds = None
    if scheme.has_kinds:
        kinds = np.where(values == CHANGED, np.nan_to_num(stored), 0).astype(np.int32)
    return Labels(values=values, scheme=scheme, name=name, kinds=kinds, place=place)


def marks_of_band(band: SingleBand, *, name: str) -> NDArray[np.bool_]:
    """What a mask marks, bool ``(rows, cols)``: what is not zero, or what is white where its palette says so.

    Raises:
        LabelError: it holds several values beside zero, or its colours contradict them.
    """
    stored = band.values
    there = band.valid if band.nodata in (None, 0) else band.valid & (stored != band.nodata)
    held = np.unique(stored[there])
    check_unsmeared(held, band.legend, name=name)
    codes = codes_by_colours(held, band.legend, name=name, remedy=_MASKS)
    if codes is not None:
        return there & np.isin(stored, [value for value, code in codes.items() if code == CHANGED])
    marks = held[held != 0]
    if len(marks) > 1:
        # Soft edges of a resampled or JPEG picture would silently become labels.
        listed = ", ".join(f"{float(v):g}" for v in marks[:8])
        raise LabelError(f"{name}: a mask has zero and one other value, but this holds {listed}")
    return there & np.isin(stored, marks)


def _read_masks(pair: MaskPair) -> Labels:
    paths = (pair.changed, pair.unchanged)
    changed, unchanged = (read_band(find_input(path, places=True)) for path in paths)
    names = file_name(pair.changed), file_name(pair.unchanged)
    # Before their values are looked at: masks of two scenes have other faults, too.
    check_same_grid(
        changed.place or Grid(*changed.values.shape),
        unchanged.place or Grid(*unchanged.values.shape),
        names=names,
        remedy="give masks of one scene",
    )
    marked, other = (
        marks_of_band(band, name=name) for band, name in zip((changed, unchanged), names, strict=True)
    )
    return labels_of_masks(marked, other, place=changed.place or unchanged.place, names=names)
