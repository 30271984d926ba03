"""Spectral libraries of ENVI: a row a spectrum (``.sli``), and a text header with their names and wavelengths."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hsi_cd.errors import FormatError
from hsi_cd.io.envi import EnviHeader, check_envi_size, find_envi_pair, read_envi_header
from hsi_cd.io.wavelengths import known_nanometres
from hsi_cd.scene.spectral_library import LibraryEntry, SpectralLibrary

MOST_VALUES = 2**25
"""Numbers that a library may hold: a third of a gigabyte in memory; the largest public ones have a fifth of it."""

_SUFFIXES = ("", ".sli", ".slb", ".dat", ".img")
_TYPES = {1: "u1", 2: "i2", 3: "i4", 4: "f4", 5: "f8", 12: "u2", 13: "u4", 14: "i8", 15: "u8"}


def read_envi_library(path: Path) -> SpectralLibrary:
    """Read a spectral library of ENVI.

    Args:
        path: the ``.sli``, or its header.

    Raises:
        MissingInputError: no data file lies beside the header.
        FormatError: it is an image, has no wavelengths, is too large, or of another size than its header says.
    """
    data, header = find_envi_pair(path, suffixes=_SUFFIXES)
    told = read_envi_header(header, given=path, library=True)
    count, bands = told.lines, told.samples
    if told.bands != 1:
        raise FormatError(f"{header} has bands = {told.bands}: expected 1, as a library's lines are its spectra")
    if told.compressed:
        raise FormatError(f"{data} is compressed: unpack it first")
    check_values(count * bands, path)
    check_envi_size(data, told)
    listed = _numbers(told, "wavelength", bands, given=path)
    if listed is None:
        raise FormatError(f"{path} tells no wavelengths (wavelength = {{...}} in {header.name}): expected them")
    wavelengths = known_nanometres(listed, told.fields.get("wavelength_units", ""), where=str(path))
    order = ">" if told.fields.get("byte_order", "0") == "1" else "<"
    stored = np.fromfile(data, np.dtype(order + _TYPES[told.data_type]), count * bands, offset=told.offset)
    values = stored.reshape(count, bands).astype(np.float64)
    ignored = _numbers(told, "data ignore value", 1, given=path)
    if ignored is not None:
        values[values == ignored[0]] = np.nan
    good = _numbers(told, "bbl", bands, given=path)
    if good is not None:
        values[:, good == 0] = np.nan
    names = _names(told)
    kept, empty = [], []
    for number in range(count):
        name = names[number] if number < len(names) else f"spectrum {number + 1}"
        try:
            kept.append(LibraryEntry.of(name, wavelengths, without_marks(values[number])))
        except FormatError:
            empty.append(name)
    return made_library(path, kept, left_out=empty)


def check_values(count: int, path: Path) -> None:
    """Refuse a library of more numbers than memory should hold.

    Raises:
        FormatError: so it is.
    """
    if count > MOST_VALUES:
        raise FormatError(
            f"{path} holds {count:,} values or more: expected at most {MOST_VALUES:,}; give a part of it"
        )


def without_marks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Values with NaN in place of the number by which the USGS marks what is none (-1.23e34)."""
    return np.where(values < -1e30, np.nan, values)


def made_library(
    path: Path, kept: list[LibraryEntry], *, how: str = "", left_out: list[str] | None = None
) -> SpectralLibrary:
    """A library of what could be read; what could not is told.

    Args:
        path: where it lies.
        kept: the spectra.
        how: they were read, in words.
        left_out: names of those that could not, or why.

    Raises:
        FormatError: there is none.
    """
    others = left_out or []
    first = f" ({others[0]}{', ...' if len(others) > 1 else ''})" if others else ""
    if not kept:
        raise FormatError(f"{path} holds no spectrum that could be read{first}")
    parts = [how] if how else []
    if others:
        parts.append(f"{len(others)} left out{first}")
    # Entries over equal wavelengths have one array of them: so few have to be weighed.
    known: dict[bytes, NDArray[np.float64]] = {}
    shared = (
        replace(entry, wavelengths=known.setdefault(entry.wavelengths.tobytes(), entry.wavelengths))
        for entry in kept
    )
    return SpectralLibrary(path.name, tuple(shared), "; ".join(parts))


def _numbers(header: EnviHeader, key: str, count: int, *, given: Path) -> NDArray[np.float64] | None:
    """A list of the header, one number for each; None where there is none."""
    text = header.fields.get(key.replace(" ", "_"), "").strip().strip("{}").strip().strip(",")
    if not text:
        return None
    parts = text.split(",")
    try:
        values = np.array(parts, dtype=np.float64)
    except ValueError:
        raise FormatError(f"{given} has {key} = {text[:40]!r}: expected numbers") from None
    if len(values) != count:
        raise FormatError(f"{given} has {len(values)} values of {key}: expected {count}")
    return values


def _names(header: EnviHeader) -> list[str]:
    text = header.fields.get("spectra_names", "").strip().strip("{}")
    return [" ".join(name.split()) for name in text.split(",")] if text.strip() else []
