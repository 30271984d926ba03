"""Kinds of change as tables: one line a kind, and one line a band of each."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_TOLD = 5  # leading bands of a kind that its line names


@dataclass(frozen=True)
class KindLine:
    """One kind of change as tables and figures show it.

    Attributes:
        kind: its value in the map.
        name: what it is called.
        pixels: how many it has.
        area: of them.
        before: mean spectrum of the earlier date, float64 ``(bands,)``.
        after: of the later date.
        before_deviation: over the kind's pixels.
        after_deviation: of the later date.
        strength: how far each band's mean change lies from that of unchanged pixels, in deviations of these.
        leading: bands by their strength, the strongest first.
    """

    kind: int
    name: str
    pixels: int
    area: float
    before: Floats
    after: Floats
    before_deviation: Floats
    after_deviation: Floats
    strength: Floats
    leading: NDArray[np.intp]


def band_words(band: int, centres: Sequence[float]) -> str:
    """A band as people call it: by its wavelength, or by its number from 1 where none is known."""
    return f"{centres[band]:.0f} nm" if centres else f"band {band + 1}"


def kinds_csv(lines: Sequence[KindLine], *, unit: str, centres: Sequence[float]) -> str:
    """One line a kind: pixels, area, share of the changed area, and the bands that carry it most."""
    whole = sum(line.area for line in lines)
    rows = (
        (line.kind, line.name, line.pixels, line.area, unit, line.area / whole,
         "; ".join(band_words(int(band), centres) for band in line.leading[:_TOLD]))
        for line in lines
    )  # fmt: skip
    return _csv(("kind", "name", "pixels", "area", "unit", "share", "leading bands"), rows)


def spectra_csv(lines: Sequence[KindLine], *, centres: Sequence[float]) -> str:
    """One line a band of each kind: means and deviations of both dates, its strength, and its rank by that."""
    rows = []
    for line in lines:
        rank = np.empty(len(line.leading), dtype=np.int64)
        rank[line.leading] = np.arange(1, len(rank) + 1)
        for band in range(len(rank)):
            numbers = (
                line.before, line.before_deviation, line.after, line.after_deviation, line.strength,
            )  # fmt: skip
            wavelength = centres[band] if centres else ""
            own = (_number(each[band]) for each in numbers)
            rows.append((line.kind, line.name, band + 1, wavelength, *own, int(rank[band])))
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
