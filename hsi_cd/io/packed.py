"""Archives as they are sent, zip and tar, read where they lie and never unpacked."""

from __future__ import annotations

import atexit
import functools
import gzip
import lzma
import os
import shutil
import struct
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from enum import Enum
from pathlib import Path

UNREADABLE = (
    OSError,
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    KeyError,
    NotImplementedError,
    RuntimeError,
    EOFError,
    ValueError,
)
"""What a damaged archive makes these readers raise."""

_ZIP_MARK = b"PK\3\4"
_GZIP_MARK = b"\x1f\x8b"
_TAR_MARK, _TAR_MARK_AT = b"ustar", 257
_NOBODYS = "__MACOSX"  # what one system puts beside the files of a zip archive


class Packing(Enum):
    """Kinds of archives."""

    ZIP = "zip"
    TAR = "tar"


def packing_of(path: Path) -> Packing | None:
    """Which archive a file is, by its first bytes; None of any other, and of a compressed tar, see below.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as handle:
        head = handle.read(_TAR_MARK_AT + len(_TAR_MARK))
    if head.startswith(_ZIP_MARK):
        return Packing.ZIP
    return Packing.TAR if head[_TAR_MARK_AT:] == _TAR_MARK else None


def members_of(archive: Path, packing: Packing) -> Iterator[str]:
    """Names of the files in an archive, as it holds them; a link in a tar is none.

    Raises:
        one of :data:`UNREADABLE`: it is damaged.
    """
    if packing is Packing.ZIP:
        with zipfile.ZipFile(archive) as opened:
            yield from (name for name in opened.namelist() if not name.endswith("/") and _is_somebodys(name))
        return
    yield from filter(_is_somebodys, tar_spans(archive))


def _is_somebodys(name: str) -> bool:
    return not any(part == _NOBODYS or part.startswith(".") for part in name.split("/") if part != ".")


def without_compression(archive: Path) -> Path | None:
    """A compressed tar archive as a plain one, of which windows can be read; None where a file is none.

    It is unpacked once a process, into the folder for temporary files (``TMPDIR``), and removed at its end.

    Raises:
        one of :data:`UNREADABLE`: it is damaged, or the disk is full.
    """
    with archive.open("rb") as handle:
        if handle.read(len(_GZIP_MARK)) != _GZIP_MARK:
            return None
    try:
        with gzip.open(archive) as stream:
            head = stream.read(_TAR_MARK_AT + len(_TAR_MARK))
    except UNREADABLE:
        return None  # of another kind: its reader says so
    if head[_TAR_MARK_AT:] != _TAR_MARK:
        return None
    found = archive.stat()
    return _plain_tar(archive.absolute(), found.st_size, found.st_mtime_ns)


@functools.lru_cache(maxsize=8)
def _plain_tar(archive: Path, _size: int, _changed: int) -> Path:
    handle, name = tempfile.mkstemp(prefix="hsi-cd-", suffix=".tar")
    atexit.register(_remove, Path(name), os.getpid())
    with gzip.open(archive) as stream, os.fdopen(handle, "wb") as plain:
        shutil.copyfileobj(stream, plain, 1 << 20)
    return Path(name)


def _remove(path: Path, owner: int) -> None:
    if os.getpid() == owner:  # a process that was forked reads it on
        path.unlink(missing_ok=True)


def tar_spans(archive: Path) -> dict[str, tuple[int, int]]:
    """Where the files of a tar archive begin in it, and their bytes; ``./a`` and ``a`` are one name.

    Raises:
        one of :data:`UNREADABLE`: it is damaged.
    """
    found = archive.stat()
    return _spans(archive.absolute(), found.st_size, found.st_mtime_ns)


@functools.lru_cache(maxsize=8)
def _spans(archive: Path, _size: int, _changed: int) -> dict[str, tuple[int, int]]:
    """Looked for once, as each file of a product is asked for several times."""
    with tarfile.open(archive, "r:") as tar:
        files = [member for member in tar if member.isreg() and not member.issparse()]
        end = tar.offset
    with archive.open("rb") as whole:
        whole.seek(end)
        if whole.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
            # Which tarfile takes for the end: what came behind would be missed by nobody.
            raise tarfile.ReadError("it has no end: it was cut off")
    return {member.name.removeprefix("./"): (member.offset_data, member.size) for member in files}


def gdal_member(archive: Path, packing: Packing, name: str) -> str:
    """What GDAL calls a file in an archive.

    Raises:
        one of :data:`UNREADABLE`: it is damaged, or the file is not there.
    """
    if packing is Packing.ZIP:
        # In braces, because the archive's own name may end in anything.
        return f"/vsizip/{{{archive.absolute()}}}/{name}"
    # As bytes of the archive: GDAL's own reader of tar knows no names of more than 100 letters as pax writes them.
    start, size = tar_spans(archive)[name]
    return f"/vsisubfile/{start}_{size},{archive.absolute()}"


def read_member(archive: Path, packing: Packing, name: str, count: int) -> bytes:
    """The first bytes of a file in an archive, at most ``count``.

    Raises:
        one of :data:`UNREADABLE`: it is damaged, or not there.
    """
    if packing is Packing.ZIP:
        with zipfile.ZipFile(archive) as opened, opened.open(name) as handle:
            return handle.read(count)
    start, size = tar_spans(archive)[name]
    with archive.open("rb") as whole:
        whole.seek(start)
        return whole.read(min(size, count))
