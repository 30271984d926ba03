"""ENVI's two files: a text header, and raw numbers beside it.

rasterio reads the numbers. Here the two are brought together, and a header that does not fit its data is refused
with a reason, before rasterio would read zeros past the end of the file.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hsi_cd.errors import FormatError, MissingInputError
from hsi_cd.io.kinds import BYTE_ORDER_MARK, refuse_foreign, refuse_vector

_SUFFIXES = ("", ".dat", ".img", ".bsq", ".bil", ".bip", ".raw")
_BYTES = {1: 1, 2: 2, 3: 4, 4: 4, 5: 8, 6: 8, 9: 16, 12: 2, 13: 4, 14: 8, 15: 8}  # by ENVI's "data type"
_COMPLEX = (6, 9)
_INTERLEAVES: tuple[str, ...] = ("bsq", "bil", "bip")
_BYTE_ORDERS: tuple[str, ...] = ("0", "1")
_STRUCTURED = (
    "wavelength", "fwhm", "bbl", "map info", "projection info", "coordinate system string", "data ignore value",
    "data gain values", "data offset values", "geo points", "rpc info", "acquisition time", "interleave",
    "file type",
)  # fmt: skip
_FIELD = re.compile(r"^[ \t]*([^={}\n;]+?)[ \t]*=[ \t]*(\{[^}]*\}|[^\n]*)", re.MULTILINE)
_LARGEST_HEADER = 64 * 2**20  # bytes; a real one has some kilobytes, a long list of spectra some megabytes


@dataclass(frozen=True)
class EnviHeader:
    """The fields of an ENVI header that say how large the data file is.

    Attributes:
        path: the header file.
        samples: number of columns.
        lines: number of rows.
        bands: number of bands.
        offset: bytes before the first number.
        data_type: ENVI's code of the number type.
        compressed: whether the data file is gzipped, and its size says nothing.
        fields: all fields by name, in small letters with ``_`` for a blank.
    """

    path: Path
    samples: int
    lines: int
    bands: int
    offset: int
    data_type: int
    compressed: bool
    fields: dict[str, str] = field(repr=False)

    @property
    def data_bytes(self) -> int:
        """Size of the data file that this header describes."""
        return self.offset + self.samples * self.lines * self.bands * _BYTES[self.data_type]


def find_envi_pair(path: Path, *, suffixes: Sequence[str] = _SUFFIXES) -> tuple[Path, Path]:
    """The data file and the header of an ENVI image, of which either is given.

    Args:
        path: an existing data file, or its header.
        suffixes: endings that the data file of a header may have.

    Returns:
        ``(data file, header)``.

    Raises:
        FormatError: no header lies beside a data file, or several data files lie beside a header.
        MissingInputError: no data file lies beside a header.
    """
    if _is_header(path):
        return _data_beside(path, suffixes), path
    refuse_vector(path)
    header = _header_beside(path)
    if header is None:
        refuse_foreign(path)
        raise FormatError(
            f"{path} is neither a MATLAB, GeoTIFF nor ENVI file: its first bytes are unknown and no ENVI header "
            f"({path.stem}.hdr or {path.name}.hdr) lies beside it"
        )
    return path, header


def read_envi_header(path: Path, *, given: Path, library: bool = False) -> EnviHeader:
    """Read and check an ENVI header.

    Args:
        path: the header.
        given: the file that the user named, for messages: the header or its data file.
        library: whether it is to be that of a spectral library, not of an image.

    Raises:
        FormatError: it is a spectral library (or none), of complex numbers, or a size is absent or no number.
    """
    with path.open("rb") as handle:
        raw = handle.read(_LARGEST_HEADER)
    if raw.startswith(BYTE_ORDER_MARK):
        raise FormatError(
            f"{path} begins with a byte order mark, with which GDAL takes it for no ENVI header: save it as UTF-8 "
            f"without one, as with sed -i '1s/^\\xEF\\xBB\\xBF//' {path}"
        )
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:  # as "µm" is written by older programs
        text = raw.decode("latin-1")
    # Old Macintosh headers end their lines with a bare carriage return.
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    fields = {" ".join(key.lower().split()): value.strip() for key, value in _FIELD.findall(text)}
    for key in _STRUCTURED:
        if not fields.get(key, "").isascii():
            raise FormatError(
                f"{path} has {key} = {fields[key][:40]!r}: expected plain text; correct or remove it"
            )
    file_type = fields.get("file type", "")
    if library != ("spectral library" in file_type.lower()):
        if library:
            raise FormatError(
                f"{given} is an ENVI image, not a spectral library: expected file type = ENVI Spectral Library"
            )
        raise FormatError(f"{given} is a spectral library, not an image: give the image cube of a scene")
    header = EnviHeader(
        path=path,
        samples=_integer(path, fields, "samples"),
        lines=_integer(path, fields, "lines"),
        bands=_integer(path, fields, "bands"),
        offset=_integer(path, fields, "header offset", default=0),
        data_type=_integer(path, fields, "data type"),
        compressed=_integer(path, fields, "file compression", default=0) != 0,
        fields={key.replace(" ", "_"): value for key, value in fields.items()},
    )
    if header.data_type in _COMPLEX:
        raise FormatError(f"{given} holds complex numbers (data type {header.data_type}): give real values")
    if header.data_type not in _BYTES:
        known = ", ".join(str(code) for code in _BYTES if code not in _COMPLEX)
        raise FormatError(f"{path} has data type {header.data_type}: ENVI's real types are {known}")
    for key, choices in (("interleave", _INTERLEAVES), ("byte order", _BYTE_ORDERS)):
        word = fields.get(key, choices[0]).lower()
        if word not in choices:
            raise FormatError(f"{path} has {key} = {word[:40]!r}: expected {' or '.join(choices)}")
    if min(header.samples, header.lines, header.bands) < 1:
        raise FormatError(f"{path} describes {header.lines} x {header.samples} x {header.bands} values: none")
    return header


def check_envi_size(data: Path, header: EnviHeader) -> None:
    """Refuse a data file of another size than its header describes.

    Raises:
        FormatError: with both sizes in bytes.
    """
    found = data.stat().st_size
    if found == header.data_bytes or header.compressed:
        return
    fault = "it is truncated" if found < header.data_bytes else "the header belongs to another file"
    raise FormatError(
        f"{data} has {found} bytes but {header.path.name} describes {header.data_bytes} "
        f"({header.lines} lines x {header.samples} samples x {header.bands} bands): {fault}, or a size in the "
        "header is wrong; copy both again"
    )


def _is_header(path: Path) -> bool:
    with path.open("rb") as handle:
        return handle.read(8).removeprefix(BYTE_ORDER_MARK)[:4] == b"ENVI"


def _siblings(path: Path) -> dict[str, list[Path]]:
    """Files of a folder by their names without case; several where only the case differs."""
    found: dict[str, list[Path]] = {}
    for entry in sorted(path.parent.iterdir()):
        if entry.is_file():
            found.setdefault(entry.name.casefold(), []).append(entry)
    return found


def _header_beside(path: Path) -> Path | None:
    siblings = _siblings(path)
    # GDAL asks in this order too.
    for name in (f"{path.stem}.hdr", f"{path.name}.hdr"):
        for candidate in siblings.get(name.casefold(), []):
            if _is_header(candidate):
                return candidate
    return None


def _data_beside(header: Path, suffixes: Sequence[str]) -> Path:
    siblings = _siblings(header)
    base = header.stem
    names = [base + suffix for suffix in suffixes]
    found = [path for name in names for path in siblings.get(name.casefold(), []) if path != header]
    # Where only the case differs (A.DAT and a.dat), the one written as the header is meant.
    found = [path for path in found if path.name.startswith(base)] or found
    if not found:
        raise MissingInputError(f"{header} has no data file beside it: expected one of {', '.join(names)}")
    if len(found) > 1:
        listed = ", ".join(path.name for path in found)
        raise FormatError(f"{header} has several data files beside it ({listed}): name the data file itself")
    return found[0]


def _integer(path: Path, fields: dict[str, str], key: str, *, default: int | None = None) -> int:
    value = fields.get(key)
    if value is None:
        if default is not None:
            return default
        raise FormatError(f"{path} is an ENVI header without {key!r}: the size of the image is unknown")
    try:
        number = int(value)
    except ValueError:
        raise FormatError(f"{path} has {key} = {value[:40]!r}: expected a whole number") from None
    if number < 0:
        raise FormatError(f"{path} has {key} = {number}: expected no negative number")
    return number
