"""What a file is, told from its first bytes and never from its name."""

from __future__ import annotations

import difflib
import os
import struct
import zipfile
from enum import Enum
from pathlib import Path

from hsi_cd.errors import FormatError, MissingInputError
from hsi_cd.io.byte_sources import head_of
from hsi_cd.io.mat4 import is_mat4
from hsi_cd.paths import as_path
from hsi_cd.places import archive_of, is_place, place_name

_HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_HDF5_OFFSETS = (0, 512, 1024, 2048)  # MATLAB puts 512 bytes of its own before the signature
_FOREIGN = (
    (b"\x1f\x8b", "a gzip archive: unpack it first"),
    (b"PK", "a zip archive: unpack it first"),
    (b"7z\xbc\xaf", "a 7-Zip archive: unpack it first"),
    (b"Rar!", "a RAR archive: unpack it first"),
    (b"BZh", "a bzip2 archive: unpack it first"),
    (b"\xfd7zXZ", "an xz archive: unpack it first"),
    (b"GIF8", "a GIF picture, which is not read: save it as PNG, its values unchanged"),
    (
        b"RIFF",
        "a WebP picture or another RIFF file, which is not read: save it from its source as PNG, without loss",
    ),
    (b"P4\n", "a PBM picture, which is not read: save it as PNG, its values unchanged"),
    (b"P5\n", "a PGM picture, which is not read: save it as PNG, its values unchanged"),
    (b"P6\n", "a PPM picture, which is not read: save it as PNG, its values unchanged"),
    (b"%PDF", "a PDF document: give the image cube of a scene"),
    (b"\x0e\x03\x13\x01", "an HDF4 file, which is not read: convert it, as with gdal_translate, to GeoTIFF"),
    (b"\x80\x02", "a Python pickle, which could run anything: save it with numpy.save"),
    (b"\x80\x03", "a Python pickle, which could run anything: save it with numpy.save"),
    (b"\x80\x04", "a Python pickle, which could run anything: save it with numpy.save"),
    (b"\x80\x05", "a Python pickle, which could run anything: save it with numpy.save"),
    (b"<!DOCTYPE", "a web page: the download failed; open its address in a browser"),
    (b"<!doctype", "a web page: the download failed; open its address in a browser"),
    (b"<html", "a web page: the download failed; open its address in a browser"),
    (b"version https://git-lfs", "a Git LFS pointer: fetch the file itself with git lfs pull"),
)  # kinds that are refused by name, by their first bytes
_ELSEWHERE = (b"<OGRVRTDataSource", b"gdal_streamed_alg")
"""What makes a text one that sends GDAL to other files and programs, whatever else stands in it."""
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_LOOKED_AT = 4096  # bytes of a text that tell what it is
_TAR_MARK_AT = 257  # bytes before the mark of a tar archive
_ZIP_HEADER = 30  # bytes before the name of an archive's first member
_TIFF_MARKS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # classic and BigTIFF, both byte orders


class FileKind(Enum):
    """Kinds of files that are told apart."""

    HDF5 = "HDF5"
    MATLAB = "MATLAB"
    MATLAB4 = "MATLAB v4"
    TIFF = "GTiff"
    PNG = "PNG"
    BMP = "BMP"
    JPEG = "JPEG"
    JPEG2000 = "JP2OpenJPEG"
    IMAGINE = "HFA"
    NETCDF = "netCDF"
    NETCDF_CLASSIC = "NetCDF classic"
    ZARR = "Zarr"
    VRT = "VRT"
    NPY = "NPY"
    NPZ = "NPZ"
    ENVI_HEADER = "ENVI header"
    RAW = "raw"

    @property
    def is_image(self) -> bool:
        """Whether the value is the name of a rasterio driver that needs no second file."""
        return self in _IMAGES

    @property
    def holds_arrays(self) -> bool:
        """Whether it is read as a file of named arrays."""
        arrays = (FileKind.MATLAB, FileKind.MATLAB4, FileKind.HDF5, FileKind.NPY, FileKind.NPZ)
        return self in (*arrays, FileKind.NETCDF_CLASSIC)

    @property
    def title(self) -> str:
        """What people call it."""
        return _TITLES.get(self, self.value)


_IMAGES = (
    FileKind.TIFF, FileKind.PNG, FileKind.BMP, FileKind.JPEG, FileKind.JPEG2000, FileKind.IMAGINE,
)  # fmt: skip
_TITLES = {
    FileKind.MATLAB: "MATLAB v5",
    FileKind.TIFF: "GeoTIFF",
    FileKind.JPEG2000: "JPEG 2000",
    FileKind.IMAGINE: "ERDAS Imagine",
    FileKind.NETCDF: "NetCDF",
    FileKind.NETCDF_CLASSIC: "NetCDF",
    FileKind.VRT: "virtual raster (VRT)",
    FileKind.NPY: "NumPy .npy",
    FileKind.NPZ: "NumPy .npz",
    FileKind.ENVI_HEADER: "ENVI",
    FileKind.RAW: "ENVI",
}


def find_input(path: str | os.PathLike[str], *, places: bool = False) -> Path:
    """Check that an input is a file that can be read and holds something.

    Args:
        path: the file.
        places: it may lie at an address or in an archive, where it is not looked for yet.

    Raises:
        MissingInputError: it does not exist; names like it in its folder are given.
        FormatError: it is a folder, is empty, or may not be read.
    """
    found = as_path(path)
    if places and is_place(found):
        return found
    check_exists(found)
    if found.is_dir():
        raise FormatError(f"{found} is a folder, not a file: name the file itself")
    if not found.is_file():
        # A pipe would be waited for, for ever; a device has no end.
        raise FormatError(f"{found} is no ordinary file (a pipe or device): name a file")
    try:
        with found.open("rb") as handle:
            start = handle.read(1)
    except OSError as error:
        raise FormatError(f"{found} cannot be read: {error.strerror or error}") from error
    if not start:
        raise FormatError(f"{found} is empty (0 bytes): copy or download it again")
    return found


def check_exists(path: Path) -> None:
    """Refuse what does not exist.

    Raises:
        MissingInputError: names like it in its folder are given.
        FormatError: it cannot be looked at, or lies at an address or in an archive.
    """
    if is_place(path):
        raise FormatError(
            f"{place_name(path)} is read only where it is a date, a truth map or a mask, and no folder: copy this "
            "file here, and name the copy"
        )
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        if path.is_symlink():
            target = path.readlink()
            raise MissingInputError(f"{path} is a link to {target}, which does not exist: name a file") from None
        raise MissingInputError(f"{path} does not exist: {_what_is_there(path)}") from None
    except UnicodeEncodeError:
        raise FormatError(
            f"the name {str(path)!a} cannot be read in this locale: start Python with PYTHONUTF8=1"
        ) from None
    except (OSError, ValueError) as error:  # no rights, a loop of links, a name too long, a zero byte in it
        raise FormatError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from error


def vector_title(path: Path) -> str | None:
    """The format of a file of points, lines or polygons, as ``GeoPackage``; None of any other file, or of none."""
    try:
        with path.open("rb") as handle:
            head = handle.read(_LOOKED_AT)
    except (OSError, ValueError):
        return None
    text = head.lstrip(b"\xef\xbb\xbf \r\n\t")
    if any(mark in head for mark in _ELSEWHERE):
        return None
    if head.startswith(b"SQLite format 3\0"):
        return "GeoPackage"
    if head[:4] == b"\0\0\x27\x0a" and head[28:32] == b"\xe8\x03\0\0":
        return "Shapefile"
    if head[:3] == b"fgb":
        return "FlatGeobuf"
    if text.startswith(b"{") and any(word in text for word in (b'"Feature', b'"features"', b'"coordinates"')):
        return "GeoJSON"
    if text.startswith(b"<") and (b"<kml" in text or b"opengis.net/gml" in text):
        return "KML" if b"<kml" in text else "GML"
    return None


def refuse_vector(path: Path) -> None:
    """Refuse a file of points, lines or polygons, which has no pixels, in place of a raster.

    Raises:
        FormatError: with its format, and how it is read.
    """
    title = vector_title(path)
    if title is not None:
        raise FormatError(
            f"{path} is a file of shapes ({title}), not a raster: shapes are read as labels of a scene, whose "
            "pixels like= names; for anything else, give a raster"
        )


def refuse_foreign(path: Path) -> None:
    """Refuse a file of a kind that is known and not read.

    Raises:
        FormatError: with what it is and what to do.
    """
    with path.open("rb") as handle:
        start = handle.read(_TAR_MARK_AT + 5)
    if start[_TAR_MARK_AT:] == b"ustar":
        raise FormatError(
            f"{path} is a tar archive of no product that is known: unpack it first, or name a GeoTIFF in it, as "
            f"/vsitar/{path}/NAME"
        )
    head = start[:64].lstrip(b"\xef\xbb\xbf \r\n\t")
    for mark, what in _FOREIGN:
        if head.startswith(mark):
            raise FormatError(f"{path} is {what}")


def file_kind(path: Path) -> FileKind:
    """The kind of a file, from its content. Whatever has no mark of its own is RAW, as ENVI's data files are.

    A folder is a Zarr store where it says so. A place whose first bytes GDAL alone can reach counts as GeoTIFF.

    Raises:
        FormatError: another folder, or a place that holds what is read on disk alone.
    """
    if is_place(path):
        return _kind_at(path)
    if path.is_dir():
        if is_zarr(path):
            return FileKind.ZARR
        raise FormatError(f"{path} is a folder, not a file: name the file itself")
    head = head_of(path, _LOOKED_AT)
    marked = _kind_of(head)
    if marked is not None:
        return marked
    if head[:2] == b"BM" and int.from_bytes(head[2:6], "little") in (0, path.stat().st_size):
        return FileKind.BMP
    if head[:4] in (b"PK\3\4", b"PK\5\6") and is_npz(path):
        return FileKind.NPZ
    return FileKind.MATLAB4 if is_mat4(path) else FileKind.RAW


def _kind_at(path: Path) -> FileKind:
    try:
        head = head_of(path, _LOOKED_AT)
    except FormatError:  # GDAL knows more ways to reach it, or says why there is none
        return FileKind.TIFF
    kind = _kind_of(head) or FileKind.RAW
    if kind.is_image or kind is FileKind.HDF5:
        return kind
    what = "of no kind that is read there" if kind is FileKind.RAW else f"a {kind.title} file"
    remedy = "download it, and name the file" if archive_of(path) is None else "unpack it, and name the file"
    raise FormatError(
        f"{place_name(path)} is {what}: at an address or in an archive, images (GeoTIFF, JPEG 2000, PNG) and HDF5 "
        f"or NetCDF-4 are read; {remedy}"
    )


def _kind_of(head: bytes) -> FileKind | None:
    """The kind that the first bytes of a file alone tell."""
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
    if head[:12] == b"\0\0\0\x0cjP  \r\n\x87\n" or head[:4] == b"\xff\x4f\xff\x51":
        return FileKind.JPEG2000
    if head[:6] == b"\x93NUMPY":
        return FileKind.NPY
    if head[:3] == b"CDF" and head[3:4] in (b"\1", b"\2", b"\5"):
        return FileKind.NETCDF
    if head[:15] == b"EHFA_HEADER_TAG":
        return FileKind.IMAGINE
    head = head.removeprefix(BYTE_ORDER_MARK)
    if head[:4] == b"ENVI" and head[4:5] in (b"\n", b"\r", b" ", b"\t"):
        return FileKind.ENVI_HEADER
    return FileKind.VRT if head.lstrip()[:1] == b"<" and b"<VRTDataset" in head else None


def is_npz(path: Path) -> bool:
    """Whether a zip archive holds NumPy arrays; of a damaged one, its name or first member tells."""
    try:
        with path.open("rb") as handle:
            head = handle.read(_ZIP_HEADER + 4096)
        length = int.from_bytes(head[26:28], "little")
        if path.suffix.lower() == ".npz" or head[_ZIP_HEADER : _ZIP_HEADER + length].endswith(b".npy"):
            return True
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith(".npy") for name in archive.namelist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, UnicodeDecodeError, struct.error):
        return False


def is_zarr(folder: Path) -> bool:
    """Whether a folder is a Zarr store."""
    return any((folder / name).is_file() for name in (".zarray", ".zgroup", ".zmetadata", "zarr.json"))


def _what_is_there(path: Path) -> str:
    """What the folder of a missing file offers."""
    folder = path.parent
    if folder.is_file():
        return f"{folder} is a file, not a folder"
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
