"""Spectral libraries from files: ENVI's, tables, and folders of text files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from hsi_cd.errors import FormatError, MissingInputError
from hsi_cd.io.csv_library import read_csv_library
from hsi_cd.io.envi_library import check_values, made_library, read_envi_library
from hsi_cd.io.kinds import BYTE_ORDER_MARK
from hsi_cd.io.text_library import (
    ValueColumn,
    is_ecostress,
    over_wavelengths,
    read_column,
    read_ecostress,
)
from hsi_cd.paths import as_path
from hsi_cd.scene.spectral_library import LibraryEntry, SpectralLibrary

_LARGEST_TABLE = 128 * 2**20  # bytes: some 15 million values; in memory it takes several times as much
_LARGEST_SPECTRUM = 8 * 2**20  # bytes: one spectrum as text has some hundred kilobytes
_MOST_FILES = 20_000
_DEPTH = 3  # folders below one another that are looked into: chapters of the USGS, and theirs
_TEXTS = (".txt", ".asc", ".csv")


def read_library(path: str | os.PathLike[str]) -> SpectralLibrary:
    """Read a spectral library.

    Args:
        path: an ENVI library (``.sli``, or its header), a table (CSV), or a folder of text files as ECOSTRESS or
            the USGS (splib07, ASCII) deliver them; one such file of ECOSTRESS, too.

    Raises:
        MissingInputError: nothing lies there.
        FormatError: it is none of these, tells no wavelengths or other units, or is too large.
    """
    found = as_path(path)
    if found.is_dir():
        return _read_folder(found)
    if not found.is_file():
        raise MissingInputError(f"{found} does not exist: expected a spectral library (a file or a folder)")
    if _is_envi(found):
        return read_envi_library(found)
    text = _text(found, _LARGEST_TABLE)
    if is_ecostress(text):
        return made_library(found, [read_ecostress(found, text)])
    if read_column(found, text) is not None:
        raise FormatError(f"{found} holds values without wavelengths: give its folder, where these lie in a file")
    return read_csv_library(found, text)


def _is_envi(path: Path) -> bool:
    with path.open("rb") as handle:
        head = handle.read(64)
    if head.removeprefix(BYTE_ORDER_MARK).startswith(b"ENVI"):
        return True
    beside = (path.with_suffix(".hdr"), path.with_name(path.name + ".hdr"))
    return path.suffix.lower() in (".sli", ".slb") or (b"\0" in head and any(map(Path.is_file, beside)))


def _read_folder(folder: Path) -> SpectralLibrary:
    """The spectra of a folder of text files, in the order of their names; what is none is told."""
    kept: list[LibraryEntry] = []
    columns: list[ValueColumn] = []
    left_out: list[str] = []
    held = 0
    for path in _files(folder):
        if ".ancillary." in path.name.lower():
            continue
        try:
            text = _text(path, _LARGEST_SPECTRUM)
            if is_ecostress(text):
                kept.append(read_ecostress(path, text))
                held += len(kept[-1].values)
            elif (column := read_column(path, text)) is not None:
                columns.append(column)
                held += len(column.values)
            else:
                left_out.append(f"{path.name}: no spectrum")
        except FormatError as error:
            left_out.append(str(error).removeprefix(f"{folder}{os.sep}"))
        check_values(held, folder)
    axes = [(column, column.nanometres()) for column in columns if column.holds_wavelengths]
    spectra = [column for column in columns if column.holds_spectrum]
    if spectra and not axes:
        raise FormatError(
            f"{folder} holds values without wavelengths ({spectra[0].path.name}): expected a file of them in it, "
            "with wavelengths in its name"
        )
    for spectrum in spectra:
        near = [(file, values) for file, values in axes if file.path.parent in spectrum.path.parents]
        try:
            kept.append(over_wavelengths(spectrum, near))
        except FormatError as error:
            left_out.append(str(error).removeprefix(f"{folder}{os.sep}"))
    return made_library(folder, kept, how="a file each", left_out=left_out)


def _files(folder: Path) -> Iterator[Path]:
    """Text files of a folder and of those below; no link is followed.

    Raises:
        FormatError: there are too many, or none.
    """
    count = 0
    for root, folders, names in os.walk(folder, followlinks=False):
        here = Path(root)
        folders[:] = sorted(folders) if len(here.relative_to(folder).parts) < _DEPTH else []
        for name in sorted(names):
            path = here / name
            if path.suffix.lower() in _TEXTS and path.is_file() and not path.is_symlink():
                count += 1
                if count > _MOST_FILES:
                    raise FormatError(f"{folder} holds over {_MOST_FILES:,} text files: give a folder of fewer")
                yield path
    if not count:
        raise FormatError(f"{folder} holds no text file ({', '.join(_TEXTS)}): expected a spectral library")


def _text(path: Path, largest: int) -> str:
    """What a text file holds.

    Raises:
        FormatError: it is larger than such files are, or no text.
    """
    with path.open("rb") as handle:
        raw = handle.read(largest + 1)
    if len(raw) > largest:
        raise FormatError(f"{path} has over {largest:,} bytes: expected a smaller spectral library")
    if b"\0" in raw[:4096]:
        raise FormatError(f"{path} is no text: expected a spectral library (.sli with its header, CSV, a folder)")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:  # as the USGS and older programs write
        return raw.decode("latin-1")
