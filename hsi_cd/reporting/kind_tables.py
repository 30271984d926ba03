"""Kinds of change as tables: one line a kind, and one line a band of each."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from hsi_cd.prepare.library_match import KindMaterials
from hsi_cd.scene import UNCHANGED
from hsi_cd.scene.kind_spectra import KindSpectra

MARKED = 3
"""Leading bands of a kind that its curves mark."""

_TOLD = 5  # leading bands of a kind that its line names
_GAP = 3.0  # times the usual step between bands from which a curve is broken: water vapour lies between


def band_words(band: int, centres: Sequence[float]) -> str:
    """A band as people call it: by its wavelength, or by its number from 1 where none is known."""
    return f"{centres[band]:.0f} nm" if centres else f"band {band + 1}"


def unbroken(x: NDArray[np.float64]) -> list[NDArray[np.intp]]:
    """Places, in ascending numbers along an axis, of stretches without a gap."""
    steps = np.diff(x)
    breaks = np.flatnonzero(steps > _GAP * np.median(steps)) + 1 if len(steps) else np.empty(0, dtype=np.intp)
    return np.split(np.arange(len(x)), breaks)


def kinds_csv(
    kinds: Mapping[int, KindSpectra],
    names: Mapping[int, str],
    *,
    unit: str,
    centres: Sequence[float],
    materials: Mapping[int, KindMaterials] | None = None,
) -> str:
    """One line a kind: pixels, area, share of the changed area, and the bands that carry it most.

    Args:
        kinds: by their value in the map; others that have a name have no pixel.
        names: of the kinds, and of unchanged.
        unit: of their areas.
        centres: wavelengths, nm, or nothing.
        materials: what each is from and to: the nearest of a library at both dates in four columns more.
    """
    whole = sum(kind.area for kind in kinds.values())
    rows: list[tuple[object, ...]] = [
        (number, names[number], kind.pixels, kind.area, unit, kind.area / whole,
         "; ".join(band_words(int(band), centres) for band in kind.leading[:_TOLD]))
        for number, kind in kinds.items()
    ]  # fmt: skip
    head: tuple[str, ...] = ("kind", "name", "pixels", "area", "unit", "share", "leading bands")
    if materials is not None:
        head += ("from", "from angle (rad)", "to", "to angle (rad)")
        rows = [(*row, *_nearest(materials[number])) for row, number in zip(rows, kinds, strict=True)]
    blank = ("",) * (len(head) - 6)
    absent = [number for number in names if number != UNCHANGED and number not in kinds]
    rows += [(number, names[number], 0, 0.0, unit, 0.0, *blank) for number in absent]
    rows.sort(key=lambda row: int(str(row[0])))
    return _csv(head, rows)


def nearest_csv(materials: Mapping[int, KindMaterials], names: Mapping[int, str], *, library: str) -> str:
    """One line an entry of the library that is near to a kind's mean spectrum of either date.

    Args:
        materials: of each kind, by its value in the map.
        names: of the kinds.
        library: name of the library.
    """
    rows: list[tuple[object, ...]] = [
        (number, names[number], date, rank, entry.name, f"{entry.angle:.5f}", library)
        for number, kind in materials.items()
        for date, near in (("before", kind.before), ("after", kind.after))
        for rank, entry in enumerate(near, start=1)
    ]
    return _csv(("kind", "name", "date", "rank", "entry", "angle (rad)", "library"), rows)


def _nearest(kind: KindMaterials) -> tuple[str, ...]:
    ends = ((near[0].name, f"{near[0].angle:.5f}") if near else ("", "") for near in (kind.before, kind.after))
    return tuple(cell for end in ends for cell in end)


def spectra_csv(kinds: Mapping[int, KindSpectra], names: Mapping[int, str], *, centres: Sequence[float]) -> str:
    """One line a band of each kind: means and deviations of both dates, its strength, and its rank by that."""
    rows = []
    for number, kind in kinds.items():
        rank = np.empty(len(kind.leading), dtype=np.int64)
        rank[kind.leading] = np.arange(1, len(rank) + 1)
        for band in range(len(rank)):
            numbers = (kind.before, kind.before_deviation, kind.after, kind.after_deviation, kind.strength)
            wavelength = centres[band] if centres else ""
            own = (_number(each[band]) for each in numbers)
            rows.append((number, names[number], band + 1, wavelength, *own, int(rank[band])))
    head = ("kind", "name", "band", "wavelength (nm)", "before", "before deviation", "after", "after deviation")
    return _csv((*head, "strength", "rank"), rows)


def _number(value: float) -> str:
    return f"{value:.7g}" if np.isfinite(value) else ""


def _csv(head: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(rows)
    return text.getvalue()
