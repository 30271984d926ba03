"""A spectral library: spectra of materials, each over wavelengths of its own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hsi_cd.errors import FormatError

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class LibraryEntry:
    """The spectrum of one material.

    Attributes:
        name: what the library calls it.
        wavelengths: nm, float64 ``(n,)``, ascending, each once.
        values: reflectance in whatever scale, float64 ``(n,)``, all finite.
    """

    name: str
    wavelengths: Floats
    values: Floats

    @classmethod
    def of(cls, name: str, wavelengths: Floats, values: Floats) -> LibraryEntry:
        """An entry of values in any order, of which those that are no finite number are left out.

        Raises:
            FormatError: fewer than two are left, or all are 0.
        """
        known = np.isfinite(values)
        order, first = np.unique(wavelengths[known], return_index=True)
        kept = values[known][first]
        if len(kept) < 2 or not kept.any():
            raise FormatError(f"{name} has {len(kept)} values that are not 0: expected a spectrum")
        # Most entries of a library share their wavelengths: so do they in memory.
        same = len(order) == len(wavelengths) and np.array_equal(order, wavelengths)
        return cls(name, wavelengths if same else order, kept)


@dataclass(frozen=True)
class SpectralLibrary:
    """Spectra of materials.

    Attributes:
        name: of the file or folder.
        entries: the spectra, one at least.
        told: how they were read, in words.
    """

    name: str
    entries: tuple[LibraryEntry, ...]
    told: str = ""

    def __str__(self) -> str:
        low = min(entry.wavelengths[0] for entry in self.entries)
        high = max(entry.wavelengths[-1] for entry in self.entries)
        how = f"; {self.told}" if self.told else ""
        return f"{self.name} ({len(self.entries):,} spectra, {low:.0f} to {high:.0f} nm{how})"

    def __repr__(self) -> str:
        return f"SpectralLibrary {self}"
