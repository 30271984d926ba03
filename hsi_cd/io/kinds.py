"""What a file is, told from its first bytes and never from its name."""

from __future__ import annotations

import difflib
import os
from enum import Enum
from pathlib import Path

from hsi_cd.errors import FormatError, MissingInputError

_HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_HDF5_OFFSETS = (0, 512, 1024, 2048)  # MATLAB puts 512 bytes of its own before the signature
_TIFF_MARKS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # classic and BigTIFF, both byte orders


class FileKind(Enum):
    """Kinds of files that are told apart."""

    HDF5 = "HDF5"
    MATLAB = "MATLAB"
    TIFF = "GTiff"
    PNG = "PNG"
    BMP = "BMP"
    JPEG = "JPEG"
    ENVI_HEADER = "ENVI header"
    RAW = "raw"

    @property
    def is_image(self) -> bool:
        """Whether the value is the name of a rasterio driver that needs no second file."""
        return self in (FileKind.TIFF, FileKind.PNG, FileKind.BMP, FileKind.JPEG)


def find_input(path: str | os.PathLike[str]) -> Path:
    """Check that an input is a file that can be read and holds something.

    Raises:
        MissingInputError: it does not exist; names like it in its folder are given.
        FormatError: it is a folder, is empty, or may not be read.
    """
    found = Path(path)
    if found.is_dir():
        raise FormatError(f"{found} is a folder, not a file: name the file itself")
    if not found.exists():
        raise MissingInputError(f"{found} does not exist: {_what_is_there(found)}")
    try:
        with found.open("rb") as handle:
            start = handle.read(1)
    except OSError as error:
        raise FormatError(f"{found} cannot be read: {error.strerror or error}") from error
    if not start:
        raise FormatError(f"{found} is empty (0 bytes): copy or download it again")
    return found


def file_kind(path: Path) -> FileKind:
    """The kind of a file, from its content. Whatever has no mark of its own is RAW, as ENVI's data files are."""
    with path.open("rb") as handle:
        head = handle.read(_HDF5_OFFSETS[-1] + len(_HDF5_SIGNATURE))
    # HDF5 first: a MATLAB v7.3 file begins with a text much like that of v5.
    if any(head[at : at + len(_HDF5_SIGNATURE)] == _HDF5_SIGNATURE for at in _HDF5_OFFSETS):
        return FileKind.HDF5
    if head[126:128] in (b"IM", b"MI") and head[:6] == b"MATLAB":
        return FileKind.MATLAB
    if head[:4] in _TIFF_MARKS:
        return FileKind.TIFF
    if head[:8] == b"\x89PNG\r\n\x1a\n":
        return FileKind.PNG
    if head[:3] == b"\xff\xd8\xff":
        return FileKind.JPEG
    if head[:2] == b"BM" and int.from_bytes(head[2:6], "little") in (0, path.stat().st_size):
        return FileKind.BMP
    if head[:4] == b"ENVI" and head[4:5] in (b"\n", b"\r", b" ", b"\t"):
        return FileKind.ENVI_HEADER
    return FileKind.RAW


def _what_is_there(path: Path) -> str:
    """What the folder of a missing file offers."""
    folder = path.parent
    if not folder.is_dir():
        return f"there is no folder {folder} either"
    # Compared without case, because that is the commonest difference; hidden files are nobody's input.
    names = {entry.name.casefold(): entry.name for entry in folder.iterdir() if not entry.name.startswith(".")}
    near = difflib.get_close_matches(path.name.casefold(), names, n=3, cutoff=0.5)
    if near:
        return f"did you mean {' or '.join(names[name] for name in near)}?"
    if not names:
        return f"the folder {folder} is empty"
    return f"no file with a name like it is in {folder}"
