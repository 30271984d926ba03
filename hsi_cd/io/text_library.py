"""Spectra as text files, one a material: those of ECOSTRESS (and ASTER), and those of the USGS (splib07).

ECOSTRESS: lines ``key: value``, the units among them, an empty line, then wavelength and value. USGS: a title,
then a value a line; the wavelengths stand in a file of their own, of as many lines, beside the spectra or above.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hsi_cd.errors import FormatError
from hsi_cd.io.envi_library import without_marks
from hsi_cd.io.wavelengths import known_nanometres
from hsi_cd.scene.spectral_library import LibraryEntry

Floats = NDArray[np.float64]

_KEY = re.compile(r"^\s*([A-Za-z][A-Za-z .]{0,40}):\s*(.*)$")
_UNIT = re.compile(r"(nm|um|µm|μm|nanomet(?:er|re)s?|micromet(?:er|re)s?|microns?)\b", re.IGNORECASE)
_TITLE = re.compile(r"^\s*\S+\s+Record=\d+:\s*(.*)$")
_INSTRUMENT = re.compile(r"\s+[A-Z]+\d*[a-z]*\s+[A-Z]?REF\s*$")  # as "BECKb AREF": what measured, and how
_OF_WAVELENGTHS = re.compile(r"wavelength", re.IGNORECASE)
_OTHER_FILES = re.compile(r"bandpass|fwhm|error|ancillary|readme|license", re.IGNORECASE)
_HEAD = 40  # lines in which a header ends


def is_ecostress(text: str) -> bool:
    """Whether a text is a spectrum as ECOSTRESS has them: its header tells the units."""
    keys = {match[1].strip().lower() for line in text.splitlines()[:_HEAD] if (match := _KEY.match(line))}
    return {"x units", "y units"} <= keys


def read_ecostress(path: Path, text: str) -> LibraryEntry:
    """One spectrum of ECOSTRESS.

    Args:
        path: the file, for messages.
        text: what it holds.

    Raises:
        FormatError: it is none, of another quantity than reflectance, of other units, or cut off.
    """
    lines = text.splitlines()
    fields = {match[1].strip().lower(): match[2].strip() for line in lines[:_HEAD] if (match := _KEY.match(line))}
    start = next((i for i, line in enumerate(lines) if _pair(line) is not None), len(lines))
    quantity = fields.get("y units", "")
    if "reflectance" not in quantity.lower():
        raise FormatError(f"{path} holds {quantity[:40]!r}: expected reflectance")
    pairs = [_pair(line) for line in lines[start:] if line.strip()]
    if not pairs or None in pairs:
        raise FormatError(f"{path} has lines that are no two numbers behind its header: expected a spectrum")
    promised = fields.get("number of x values", "")
    if promised.isdecimal() and int(promised) != len(pairs):
        raise FormatError(f"{path} has {len(pairs)} values but promises {promised}: copy it again")
    table = np.array(pairs, dtype=np.float64)
    unit = _unit(fields.get("x units", "")) or fields.get("x units", "")
    wavelengths = known_nanometres(table[:, 0], unit, where=str(path))
    return LibraryEntry.of(fields.get("name") or path.stem, wavelengths, without_marks(table[:, 1]))


@dataclass(frozen=True)
class ValueColumn:
    """A title, and a value a line: a spectrum of the USGS, or its wavelengths.

    Attributes:
        path: the file.
        title: its first line.
        values: float64 ``(n,)``.
    """

    path: Path
    title: str
    values: Floats

    @property
    def holds_wavelengths(self) -> bool:
        """Whether it holds no spectrum but wavelengths, by its name or title."""
        return bool(_OF_WAVELENGTHS.search(self.path.name) or _OF_WAVELENGTHS.search(self.title))

    @property
    def holds_spectrum(self) -> bool:
        """Whether it holds a spectrum: neither wavelengths nor widths of bands nor errors, by its name."""
        return not (self.holds_wavelengths or _OTHER_FILES.search(self.path.name))

    def nanometres(self) -> Floats:
        """Its values as wavelengths.

        Raises:
            FormatError: they are none.
        """
        return known_nanometres(self.values, _unit(self.title) or _unit(self.path.name), where=str(self.path))

    @property
    def name(self) -> str:
        """What the spectrum is of."""
        match = _TITLE.match(self.title)
        return " ".join(_INSTRUMENT.sub("", match[1]).split()) if match else self.path.stem


def read_column(path: Path, text: str) -> ValueColumn | None:
    """A title and a column of numbers; None where a file holds something else."""
    lines = text.splitlines()
    if len(lines) < 3 or _number(lines[0]) is not None:
        return None
    values = [_number(line) for line in lines[1:] if line.strip()]
    if len(values) < 2 or None in values:
        return None
    return ValueColumn(path, lines[0].strip(), np.array(values, dtype=np.float64))


def over_wavelengths(spectrum: ValueColumn, axes: list[tuple[ValueColumn, Floats]]) -> LibraryEntry:
    """A spectrum over the wavelengths that have as many lines, of the instrument that its file names.

    Args:
        spectrum: title and values.
        axes: files of wavelengths, and what they hold in nm.

    Raises:
        FormatError: none has as many, or several have, of other values, and no instrument tells.
    """
    fitting = [(file, values) for file, values in axes if len(values) == len(spectrum.values)]
    if not fitting:
        raise FormatError(
            f"{spectrum.path} has {len(spectrum.values)} values, and no file of wavelengths beside it has as many"
        )
    named = [(file, values) for file, values in fitting if _same_instrument(file.path.stem, spectrum.path.stem)]
    chosen = named or fitting
    if any(not np.array_equal(values, chosen[0][1]) for _, values in chosen):
        listed = ", ".join(file.path.name for file, _ in chosen)
        raise FormatError(f"{spectrum.path}: several files of wavelengths have as many values ({listed})")
    return LibraryEntry.of(spectrum.name, chosen[0][1], without_marks(spectrum.values))


def _same_instrument(wavelengths: str, spectrum: str) -> bool:
    """Whether a file's name holds the word that stands behind wavelengths_ in the other's, as ASD in ASDFRa."""
    match = re.search(r"wavelengths?_([A-Za-z0-9]+)", wavelengths, re.IGNORECASE)
    return match is not None and f"_{match[1].upper()}" in f"_{spectrum.upper()}"


def _unit(text: str) -> str:
    match = _UNIT.search(text)
    return match[1] if match else ""


def _pair(line: str) -> tuple[float, float] | None:
    parts = line.replace(",", " ").split()
    if len(parts) < 2:
        return None
    first, second = _number(parts[0]), _number(parts[1])
    return None if first is None or second is None else (first, second)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
