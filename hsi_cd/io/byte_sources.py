"""The bytes of a file wherever it lies: on disk, in an archive, or at an address, of which ranges are fetched.

GDAL reads places by itself. This is for what Python reads: HDF5, and the first bytes that tell what a file is.
"""

from __future__ import annotations

import functools
import http.client
import io
import os
import re
import shutil
import struct
import tempfile
import threading
import time
import urllib.error
import urllib.request
import weakref
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import IO, Any, BinaryIO, cast
from urllib.parse import quote

from hsi_cd.errors import FormatError
from hsi_cd.io.packed import UNREADABLE, Packing, read_member, tar_spans
from hsi_cd.io.remote import unreachable
from hsi_cd.places import archive_of, gdal_name, is_place, member_of, place_name

_BLOCK = 1 << 15  # bytes that are fetched at least
_KEPT = 512  # blocks of a file that are kept
_AT_ONCE = 256  # blocks that are fetched together at most
_ZIP_HEADER, _LENGTHS_AT = 30, 26  # bytes of the head before a file's name, and where its lengths stand
_TIMEOUT = 60  # s
_ATTEMPTS, _PAUSE = 4, 1.0  # s, longer each time
_AGAIN = (429, 500, 502, 503, 504)  # what a server says that is busy
_TOTAL = re.compile(r"bytes (\d+)-(\d+)/(\d+)")


def open_bytes(path: Path) -> BinaryIO:
    """The bytes of a file, to be read at any position.

    What is stored in an archive as it is, is read where it lies; what is compressed there is unpacked once, into a
    temporary file without a name.

    Args:
        path: a file on disk, or a place, see :mod:`hsi_cd.places`.

    Raises:
        FormatError: it cannot be read; it lies in a bucket, or in an archive at an address.
        OSError: a file on disk cannot be read.
    """
    if not is_place(path):
        return path.open("rb")
    archive = archive_of(path)
    if archive is None:
        return cast(BinaryIO, _Window(_remote(path)))
    try:
        return _packed(path, archive)
    except UNREADABLE as error:
        raise _unreadable(path, error) from error


def head_of(path: Path, count: int) -> bytes:
    """The first bytes of a file, at most so many; nothing else is fetched or unpacked.

    Raises:
        FormatError: it cannot be read; it lies in a bucket, or in an archive at an address.
        OSError: a file on disk cannot be read.
    """
    archive = archive_of(path)
    if archive is None:
        with open_bytes(path) as handle:
            return handle.read(count)
    try:
        return read_member(archive, _packing(path), member_of(path), count)
    except UNREADABLE as error:
        raise _unreadable(path, error) from error


def size_of(path: Path) -> int:
    """The bytes of a file; of one in an archive, those that it takes there.

    Raises:
        FormatError: it cannot be read; it lies in a bucket, or in an archive at an address.
        OSError: a file on disk cannot be read.
    """
    archive = archive_of(path)
    if archive is None:
        return _remote(path).size if is_place(path) else path.stat().st_size
    try:
        if _packing(path) is Packing.TAR:
            return tar_spans(archive)[member_of(path)][1]
        with zipfile.ZipFile(archive) as opened:
            return opened.getinfo(member_of(path)).compress_size
    except UNREADABLE as error:
        raise _unreadable(path, error) from error


def _packing(path: Path) -> Packing:
    return Packing.ZIP if path.as_posix().startswith("/vsizip/") else Packing.TAR


def _unreadable(path: Path, error: Exception) -> FormatError:
    if isinstance(error, FormatError):
        return error
    if isinstance(error, KeyError):
        return FormatError(f"{place_name(path)} does not exist: the archive holds no such file; check the name")
    reason = getattr(error, "strerror", None) or error
    return FormatError(f"{place_name(path)} cannot be read ({reason}): copy the archive again")


def _packed(path: Path, archive: Path) -> BinaryIO:
    name = member_of(path)
    if _packing(path) is Packing.TAR:
        return cast(BinaryIO, _Window(_Part(archive.open("rb"), *tar_spans(archive)[name])))
    with zipfile.ZipFile(archive) as opened:
        found = opened.getinfo(name)
        if found.compress_type != zipfile.ZIP_STORED or found.flag_bits & 1:
            stat = archive.stat()
            return cast(BinaryIO, _Window(_unpacked(archive.absolute(), name, stat.st_size, stat.st_mtime_ns)))
        opened.open(name).close()  # which checks the head that stands before it
    with archive.open("rb") as whole:
        whole.seek(found.header_offset + _LENGTHS_AT)
        start = found.header_offset + _ZIP_HEADER + sum(struct.unpack("<HH", whole.read(4)))
    return cast(BinaryIO, _Window(_Part(archive.open("rb"), start, found.file_size)))


class _Part:
    """Reads a part of an open file, which goes with this object.

    Attributes:
        size: its bytes.
    """

    def __init__(self, handle: IO[bytes], start: int, size: int) -> None:
        self._handle, self._start, self.size = handle, start, size
        weakref.finalize(self, handle.close)

    def read(self, start: int, stop: int) -> bytes:
        """The bytes from ``start`` to ``stop`` of the part."""
        return os.pread(self._handle.fileno(), stop - start, self._start + start)


@functools.lru_cache(maxsize=4)
def _unpacked(archive: Path, name: str, _size: int, _changed: int) -> _Part:
    """A file of an archive, in a temporary file without a name.

    Unpacked once, however often it is opened, and by whatever process that is forked from this one.
    """
    with zipfile.ZipFile(archive) as opened, opened.open(name) as packed:
        size = opened.getinfo(name).file_size
        folder = tempfile.gettempdir()
        if size > shutil.disk_usage(folder).free:
            raise FormatError(
                f"{archive} holds {name} compressed, and {folder} has no room for the {size / 1e9:.1f} GB that it "
                "takes unpacked: make room, name another folder by TMPDIR, or unpack the archive"
            )
        file = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as what is returned
        unpacked = _Part(file, 0, size)
        left = size
        while left and (block := packed.read(min(left, 1 << 20))):
            file.write(block)
            left -= len(block)
        file.flush()
        if left or packed.read(1):
            raise zipfile.BadZipFile("a file in it is not as long as the archive says")
    return unpacked


class _Window(io.RawIOBase):
    """A file to be read at any position, over what reads spans of its bytes."""

    def __init__(self, source: _Part | _Ranges) -> None:
        super().__init__()
        self._source, self._at = source, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = offset + (0, self._at, self._source.size)[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        wanted = memoryview(buffer).cast("B")
        stop = min(self._at + len(wanted), self._source.size)
        count = 0
        while self._at < stop:
            found = self._source.read(self._at, stop)
            if not found:
                raise OSError("the file ends before its end: it was cut off meanwhile")
            wanted[count : count + len(found)] = found
            count += len(found)
            self._at += len(found)
        return count


class _Ranges:
    """A file at an address, of which blocks are fetched when they are asked for, and the last of them kept."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._url = quote(gdal_name(path).removeprefix("/vsicurl/"), safe="%/:?&=+,;@#~!$'()*[]")
        self._blocks: OrderedDict[int, bytes] = OrderedDict()
        self._lock = threading.Lock()
        self._version: str | None = None
        self._next, self._ahead = 1, 1  # the block behind those that were fetched last, and how many come at once
        self.size = 0
        self._keep(0, self._fetch(0, 1))

    def read(self, start: int, stop: int) -> bytes:
        """Bytes from ``start`` on, at least one and at most to ``stop``."""
        with self._lock:
            block = start // _BLOCK
            if block not in self._blocks:
                # Who reads on where the last blocks ended gets twice as many: a request costs a way to and fro.
                self._ahead = min(2 * self._ahead, _AT_ONCE) if block == self._next else 1
                wanted = max(-(-stop // _BLOCK), block + self._ahead)
                last = min(wanted, block + _AT_ONCE, -(-self.size // _BLOCK))
                end = block + 1
                while end < last and end not in self._blocks:
                    end += 1
                self._keep(block, self._fetch(block, end))
                self._next = end
            self._blocks.move_to_end(block)
            parts = []
            at = start
            while at < stop and at // _BLOCK in self._blocks:
                held = self._blocks[at // _BLOCK]
                parts.append(held[at % _BLOCK : at % _BLOCK + stop - at])
                if not parts[-1]:
                    break
                at += len(parts[-1])
            return b"".join(parts)

    def _keep(self, first: int, content: bytes) -> None:
        for number, at in enumerate(range(0, len(content), _BLOCK)):
            self._blocks[first + number] = content[at : at + _BLOCK]
        while len(self._blocks) > _KEPT:
            self._blocks.popitem(last=False)

    def _fetch(self, first: int, end: int) -> bytes:
        """Some blocks; a server that is busy is asked again."""
        start, stop = first * _BLOCK, end * _BLOCK
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return self._ask(start, stop)
            except urllib.error.HTTPError as error:
                if error.code not in _AGAIN or attempt == _ATTEMPTS:
                    raise unreachable(self._path, f"HTTP response code: {error.code}") from error
            except (OSError, http.client.HTTPException) as error:
                if not isinstance(error, (TimeoutError, ConnectionResetError, http.client.IncompleteRead)) or (
                    attempt == _ATTEMPTS
                ):
                    reason = getattr(error, "reason", error)
                    raise unreachable(self._path, f"cannot connect: {reason}") from error
            time.sleep(_PAUSE * attempt)
        raise unreachable(self._path, "timed out")  # pragma: no cover - the last attempt raised

    def _ask(self, start: int, stop: int) -> bytes:
        headers = {"Range": f"bytes={start}-{stop - 1}", "Accept-Encoding": "identity"}
        request = urllib.request.Request(self._url, headers=headers)
        token = os.environ.get("GDAL_HTTP_BEARER")
        if token:  # for the host that was named, and for none to which it sends us on
            request.add_unredirected_header("Authorization", f"Bearer {token}")
        with _opener().open(request, timeout=_TIMEOUT) as answer:
            told = _TOTAL.fullmatch(answer.headers.get("Content-Range") or "")
            if answer.status != 206 or told is None or int(told[1]) != start:
                raise unreachable(self._path, "")
            content: bytes = answer.read(stop - start)
            version = f"{answer.headers.get('ETag')} {answer.headers.get('Last-Modified')} {told[3]}"
        size = int(told[3])
        if len(content) != min(stop, size) - start:
            raise http.client.IncompleteRead(content)
        if version != (self._version or version):
            _ranges.cache_clear()
            raise FormatError(f"{place_name(self._path)} was changed while it was read: start again")
        self._version, self.size = version, size
        return content


@functools.lru_cache(maxsize=16)
def _ranges(path: Path, _process: int) -> _Ranges:
    """One for each file and process, so that what several readers ask for is fetched once."""
    return _Ranges(path)


def _remote(path: Path) -> _Ranges:
    name = path.as_posix()
    if name.startswith("/vsis3/"):
        raise FormatError(
            f"{place_name(path)} lies in a bucket, of which GeoTIFF alone is read: give its https:// address"
        )
    if not name.startswith("/vsicurl/"):
        raise FormatError(
            f"{place_name(path)} lies in an archive at an address, of which GeoTIFF alone is read: download the "
            "archive, and name it"
        )
    return _ranges(path, os.getpid())


@functools.lru_cache(maxsize=1)
def _opener() -> urllib.request.OpenerDirector:
    """Opens http and https alone, whatever a server sends us on to; by a proxy where the system names one."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPRedirectHandler(),
        urllib.request.HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    opener.addheaders = [("User-Agent", "hsi-cd")]
    return opener
