"""Maps of two classes or of kinds of change, with what their classes are called."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hsi_cd.errors import FormatError
from hsi_cd.io.kinds import file_kind, find_input
from hsi_cd.io.map_reading import map_of_band
from hsi_cd.io.single_band import SingleBand, band_in_memory, read_single_band
from hsi_cd.io.told_classes import is_bare, meaning_of
from hsi_cd.scene import CHANGED, UNCHANGED, UNLABELLED, Grid

_log = logging.getLogger(__name__)

_MOST = 64
"""Classes up to which a raster is taken for a map: a picture has more."""

TWO: Mapping[int, str] = {UNCHANGED: "unchanged", CHANGED: "changed"}
"""Classes of a map that tells no kinds apart."""


@dataclass(frozen=True)
class ClassMap:
    """A change map, and what its classes are called.

    Attributes:
        values: uint8 ``(rows, cols)``: 0 unchanged, 1 to 254 kinds of change, 255 no data.
        grid: shape and georeference.
        names: of the classes, the unchanged first; also of those that the map could have given and did not.
        named: whether the file names its classes, so that it says of itself that it tells kinds; True of two.
    """

    values: NDArray[np.uint8]
    grid: Grid
    names: Mapping[int, str]
    named: bool = True

    @property
    def kinds(self) -> Mapping[int, str] | None:
        """Names of the kinds of change by number, from 1; None where the map tells none apart."""
        if self.names == TWO:
            return None
        return {value: name for value, name in self.names.items() if value != UNCHANGED}


def read_class_map(
    path: str | os.PathLike[str], *, key: str | None = None, nodata: Sequence[float] = ()
) -> ClassMap:
    """Read a change map of two classes, or of kinds of change with their names.

    Two classes are read as :func:`hsi_cd.io.read_map` does. Of kinds, 0 is unchanged, or the value whose name says
    so; names are those of the raster's categories, or the numbers. A class whose name says that it is none
    (*unclassified*) is no data.

    Args:
        path: a raster of one band, or an array.
        key: variable of a file of arrays; by default its only 2-D numeric array.
        nodata: further stored values that mean no data.

    Raises:
        MissingInputError: the file does not exist.
        FormatError: it is no raster, has several bands, holds other values, or its names contradict one another.
    """
    found = find_input(path, places=True)
    band = read_single_band(found, file_kind(found), key=key)
    kinds = _kinds_of(band.without(nodata), str(found))
    if kinds is not None:
        return kinds
    _check_numbers(band.without((*nodata, UNLABELLED)), str(found))
    return ClassMap(map_of_band(found, band, nodata=nodata), band.grid, TWO)


def read_own_map(path: str | os.PathLike[str], names: Mapping[int, str]) -> ClassMap:
    """A map of kinds that this program wrote: its values mean what they are, whatever a name sounds like.

    Args:
        path: the GeoTIFF.
        names: of its kinds, by number.

    Raises:
        FormatError: it is damaged, or holds other values.
    """
    found = find_input(path)
    band = read_single_band(found, file_kind(found))
    strange = sorted(set(np.unique(band.values).tolist()) - {UNCHANGED, *names, UNLABELLED})
    if strange:
        raise FormatError(
            f"{found} holds {strange[0]:g}, which is none of its {len(names)} kinds: it is of another run"
        )
    return ClassMap(band.values.astype(np.uint8), band.grid, {UNCHANGED: TWO[UNCHANGED], **names})


def class_map_in_memory(values: NDArray[np.generic]) -> ClassMap:
    """A change map that lies in memory, ``(rows, cols)``; a masked array's mask is no data.

    Raises:
        FormatError: it holds other values than 0, 1 to 254 and 255.
    """
    stored = np.ma.filled(values, UNLABELLED)
    if stored.ndim == 2 and stored.dtype.kind in "biuf":
        if np.isin(stored, (*TWO, UNLABELLED)).all():
            return ClassMap(stored.astype(np.uint8), Grid(*stored.shape), TWO)
        kinds = _kinds_of(band_in_memory(stored), "the map")
        if kinds is not None:
            return kinds
    raise FormatError(
        f"an array of shape {stored.shape} is no change map: expected (rows, cols) with 0 unchanged, 1 changed "
        f"(or kinds of change, to {UNLABELLED - 1}), 255 no data"
    )


def _kinds_of(band: SingleBand, name: str) -> ClassMap | None:
    """The map of kinds that a band holds; None where it holds two classes, or no classes."""
    declared = () if band.nodata == UNCHANGED else (band.nodata,)
    there = band.without((*declared, UNLABELLED)).valid
    held = np.unique(band.values[there])
    if not 0 < len(held) <= _MOST or (held != np.round(held)).any() or held[0] < 0 or held[-1] > UNLABELLED:
        return None
    codes = [int(value) for value in held]
    names = {int(v): each for v, each in band.legend.names.items() if 0 <= v < UNLABELLED and not is_bare(each)}
    told = {code: meaning_of(names[code]) if code in names else None for code in codes}
    two = set(codes) <= set(TWO) and not _names_kinds(names)
    if two or (not names and set(codes) <= {1, 2}) or _are_two(told, names):
        return None
    for code in [code for code, meaning in told.items() if meaning == UNLABELLED]:
        there &= band.values != code
        codes.remove(code)
    unchanged = _unchanged_of(codes, told, names, name)
    values = np.full(band.values.shape, UNLABELLED, dtype=np.uint8)
    values[there] = band.values[there].astype(np.uint8)
    if unchanged != UNCHANGED:
        values[there & (band.values == unchanged)] = UNCHANGED
    if band.nodata == UNCHANGED and unchanged == UNCHANGED in codes:
        _log.warning(
            "%s declares 0 as no data, which is unchanged in a change map: it is read as unchanged; to leave such "
            "pixels out, declare them by nodata=0", name,
        )  # fmt: skip
    return ClassMap(values, band.grid, _named(codes, names, unchanged, name), named=bool(names))


def _check_numbers(band: SingleBand, name: str) -> None:
    """Refuse 2, or 1 and 2, that nothing names: kinds of change, or 1 for unchanged as labels have it.

    Raises:
        FormatError: so it is.
    """
    held = set(np.unique(band.values[band.valid]).tolist())
    if 2 in held and held <= {1, 2} and not band.legend.names and not band.legend.colours:
        raise FormatError(
            f"{name} holds {' and '.join(f'{value:g}' for value in sorted(held))} and no 0, without class names: "
            "1 may be a kind of change, or unchanged, as labels have it; name its classes (GDAL's category names, "
            "or an attribute table), or write the unchanged pixels as 0"
        )


def _names_kinds(names: Mapping[int, str]) -> bool:
    """Whether a legend names kinds of change, although the map may hold the first alone, or none."""
    quiet = meaning_of(names[UNCHANGED]) if UNCHANGED in names else UNCHANGED
    return quiet == UNCHANGED and any(code > CHANGED and meaning_of(each) is None for code, each in names.items())


def _are_two(told: Mapping[int, int | None], names: Mapping[int, str]) -> bool:
    """Whether all values have names that tell changed, unchanged and unlabelled apart, and nothing else."""
    meanings = list(told.values())
    return set(told) <= set(names) and None not in meanings and meanings.count(CHANGED) <= 1


def _unchanged_of(
    codes: Sequence[int], told: Mapping[int, int | None], names: Mapping[int, str], name: str
) -> int:
    """The value that means unchanged: the one whose name says so, or 0.

    Raises:
        FormatError: there are several, or 0 is a kind of change.
    """
    so_called = [code for code in codes if told[code] == UNCHANGED]
    zero = [UNCHANGED] if UNCHANGED in codes else []
    several = sorted({*so_called, *zero})
    if len(several) > 1 or (zero and told[UNCHANGED] == CHANGED):
        listed = " and ".join(f"{code} ({names.get(code, 'without a name')!r})" for code in several)
        raise FormatError(
            f"{name}: of its classes {listed} would be unchanged, by number or by name: write the map with 0 "
            "unchanged and its kinds of change as 1 and more"
        )
    return several[0] if several else UNCHANGED


def _named(codes: Sequence[int], names: Mapping[int, str], unchanged: int, name: str) -> dict[int, str]:
    """What the classes are called, those of the legend included that no pixel has.

    Raises:
        FormatError: two are called the same.
    """
    further = [code for code, each in names.items() if meaning_of(each) not in (UNLABELLED, UNCHANGED)]
    kinds = sorted({*codes, *(further if len(further) <= _MOST else ())} - {unchanged, UNCHANGED})
    found = {UNCHANGED: " ".join(names.get(unchanged, TWO[UNCHANGED]).split())}
    found |= {code: " ".join(names.get(code, f"kind {code}").split()) for code in kinds}
    if len({each.casefold() for each in found.values()}) < len(found):
        listed = ", ".join(f"{code} {each!r}" for code, each in found.items())
        raise FormatError(f"{name}: classes are called the same ({listed}): give each a name of its own")
    if unnamed := [str(code) for code in codes if code not in names]:
        _log.warning(
            "%s has no names of its classes %s: it is read as a map of kinds, 0 unchanged and each other value a "
            "kind of change", name, ", ".join(unnamed),
        )  # fmt: skip
    return found
