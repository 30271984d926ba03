"""Which bands of two cubes are the same: by wavelength, else by name, else by their place in the file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hsi_cd.errors import BandError
from hsi_cd.scene.bands import Bands
from hsi_cd.scene.cube import Cube, derived_cube

BAND_TOLERANCE = 5.0
"""Largest difference of centre wavelengths, in nm, of the same band: half the usual step of a spectrometer."""

_SHOWN = 6  # bands named in a message before "and n more"


@dataclass(frozen=True)
class BandMatch:
    """What two lists of bands have in common.

    Attributes:
        by: what told: ``wavelength``, ``name`` or ``count`` (the place in the file).
        first: indices into the first list, ascending, of the bands both have.
        second: their partners in the second list.
        only_first: indices of the first list's other bands.
        only_second: indices of the second list's other bands.
    """

    by: str
    first: tuple[int, ...]
    second: tuple[int, ...]
    only_first: tuple[int, ...] = ()
    only_second: tuple[int, ...] = ()

    @property
    def is_same(self) -> bool:
        """Whether both lists hold the same bands in the same order."""
        return not self.only_first and not self.only_second and self.first == self.second


def match_bands(first: Bands, second: Bands, *, tolerance: float = BAND_TOLERANCE) -> BandMatch:
    """Pair the bands of two lists.

    Where both tell wavelengths, these decide; else names, where both have names that tell their bands apart and
    share at least one (names that carry a date or a file's name share none, and say nothing); else the place in
    the file.

    Args:
        first: bands of the first cube.
        second: bands of the second cube.
        tolerance: largest difference of centre wavelengths, nm, that is still the same band.

    Returns:
        The pairs, and what has no partner.
    """
    if first.centres and second.centres:
        return _match(first, second, "wavelength", _by_wavelength(first.centres, second.centres, tolerance))
    names = [[name.strip().casefold() for name in bands.names] for bands in (first, second)]
    if all(names) and all(len(set(each)) == len(each) for each in names) and set(names[0]) & set(names[1]):
        place = {name: i for i, name in enumerate(names[1])}
        return _match(first, second, "name", [(i, place[n]) for i, n in enumerate(names[0]) if n in place])
    return _match(first, second, "count", [(i, i) for i in range(min(first.count, second.count))])


def check_same_bands(
    first: Bands, second: Bands, *, names: tuple[str, str], tolerance: float = BAND_TOLERANCE
) -> BandMatch:
    """Refuse two cubes whose bands are not the same in the same order.

    Args:
        first: bands of the first cube.
        second: bands of the second cube.
        names: what the two are called in the message.
        tolerance: largest difference of centre wavelengths, nm, that is still the same band.

    Raises:
        BandError: with what each has that the other lacks.
    """
    match = match_bands(first, second, tolerance=tolerance)
    if not match.is_same:
        raise BandError(
            f"{describe_difference(match, first, second, names=names, tolerance=tolerance)}; "
            "use common_bands=True to keep those that both have, in one order"
        )
    return match


def describe_difference(
    match: BandMatch, first: Bands, second: Bands, *, names: tuple[str, str], tolerance: float = BAND_TOLERANCE
) -> str:
    """A match that is not whole, in words: what each list has that the other lacks, or the first that moved."""
    a, b = names
    how = (
        f" (compared by wavelength, within {tolerance:g} nm)" if match.by == "wavelength" else f" (by {match.by})"
    )
    if match.only_first or match.only_second:
        lacks = [
            f"{len(only)} of {bands.count} bands of {name} are not in {other}: {_listed(bands, only)}"
            for only, bands, name, other in (
                (match.only_first, first, a, b),
                (match.only_second, second, b, a),
            )
            if only
        ]
        counts = f"{a} has {first.count} bands but {b} has {second.count}: " if first.count != second.count else ""
        return f"{counts}{'; '.join(lacks)}{how}"
    i = next(i for i, j in zip(match.first, match.second, strict=True) if i != j)
    j = match.second[match.first.index(i)]
    return (
        f"{a} and {b} have the same {first.count} bands in another order{how}: "
        f"{band_name(first, i)} is band {i + 1} of {a} but band {j + 1} of {b}"
    )


def band_name(bands: Bands, index: int) -> str:
    """What a message calls a band: its wavelength, else its name, else its number."""
    if bands.centres:
        return f"{bands.centres[index]:.1f} nm"
    return bands.names[index] if bands.names else f"band {index + 1}"


def take_bands(bands: Bands, indices: Sequence[int]) -> Bands:
    """The description of some of the bands, in the order given."""
    fields = ("centres", "fwhm", "good", "names")
    taken = {name: tuple(values[i] for i in indices) for name in fields if (values := getattr(bands, name))}
    return replace(bands, count=len(indices), **dict.fromkeys(fields, ()) | taken)


def select_bands(cube: Cube, indices: Sequence[int]) -> Cube:
    """A cube of some of the bands, in the order given; the cube itself where these are all of them in order."""
    if tuple(indices) == tuple(range(cube.bands.count)):
        return cube
    return derived_cube(cube, _SomeBands(cube, tuple(indices)), bands=take_bands(cube.bands, indices))


def common_bands(first: Cube, second: Cube, *, tolerance: float = BAND_TOLERANCE) -> tuple[Cube, Cube]:
    """Both cubes with the bands that both have, in the order of the first.

    Raises:
        BandError: they have none in common, or nothing but the number of bands could tell and it differs.
    """
    match = match_bands(first.bands, second.bands, tolerance=tolerance)
    if not match.first or (match.by == "count" and not match.is_same):
        names = (f"t1 ({first.name})", f"t2 ({second.name})")
        told = describe_difference(match, first.bands, second.bands, names=names, tolerance=tolerance)
        raise BandError(
            f"{told}: without wavelengths or names in common, nobody can tell which bands are the same"
        )
    return select_bands(first, match.first), select_bands(second, match.second)


def find_bands(
    wanted: Bands, bands: Bands, *, names: tuple[str, str], tolerance: float = BAND_TOLERANCE
) -> tuple[int, ...]:
    """Where the ``wanted`` bands are among others, in the order in which they are wanted.

    Args:
        wanted: the bands to find.
        bands: the bands among which they are looked for.
        names: what messages call the two.
        tolerance: largest difference of centre wavelengths, nm, that is still the same band.

    Raises:
        BandError: a wanted band is not there, or nothing but the number of bands could tell and it differs.
    """
    match = match_bands(wanted, bands, tolerance=tolerance)
    if match.only_first or (match.by == "count" and match.only_second):
        told = describe_difference(match, wanted, bands, names=names, tolerance=tolerance)
        raise BandError(f"{told}; give a scene that has every band of {names[0]}")
    return match.second


@dataclass(frozen=True)
class _SomeBands:
    """Reads some of the bands of a cube; a class, so that cubes can be pickled."""

    cube: Cube
    indices: tuple[int, ...]

    def __call__(self, rows: slice, cols: slice) -> NDArray[np.float32]:
        return self.cube.read(rows, cols)[list(self.indices)]


def _match(first: Bands, second: Bands, by: str, pairs: list[tuple[int, int]]) -> BandMatch:
    mine, theirs = tuple(i for i, _ in pairs), tuple(j for _, j in pairs)
    rest = tuple(i for i in range(first.count) if i not in set(mine))
    others = tuple(j for j in range(second.count) if j not in set(theirs))
    return BandMatch(by, mine, theirs, rest, others)


def _by_wavelength(a: Sequence[float], b: Sequence[float], tolerance: float) -> list[tuple[int, int]]:
    """Pairs of bands that are each other's nearest and within the tolerance.

    Two lists that agree place by place are taken so: where spectrometers of one instrument overlap, a wavelength
    stands twice.
    """
    gap = np.abs(np.subtract.outer(np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)))
    gap[np.isnan(gap)] = np.inf
    if len(a) == len(b) and (np.diag(gap) <= tolerance).all():
        return [(i, i) for i in range(len(a))]
    nearest, back = gap.argmin(axis=1), gap.argmin(axis=0)
    return [(i, int(j)) for i, j in enumerate(nearest) if back[j] == i and gap[i, j] <= tolerance]


def _listed(bands: Bands, indices: Sequence[int]) -> str:
    names = [band_name(bands, i) for i in indices]
    repeated = {name for name, count in Counter(names).items() if count > 1}
    names = [f"{n} (band {i + 1})" if n in repeated else n for n, i in zip(names, indices, strict=True)]
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
