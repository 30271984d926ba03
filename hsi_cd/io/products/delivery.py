"""What was delivered: a file and what lies beside it, a folder, or a zip or tar archive as it was sent."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from xml.etree import ElementTree

from hsi_cd.errors import FormatError
from hsi_cd.io.byte_sources import head_of
from hsi_cd.io.packed import (
    UNREADABLE,
    Packing,
    gdal_member,
    members_of,
    packing_of,
    read_member,
    without_compression,
)
from hsi_cd.places import archive_of, gdal_name, is_place, member_of, place_name

_MOST_FILES = 20_000
_DEEPEST = 6  # folders below the one that is named: GRANULE/L2A_.../IMG_DATA/R10m of a .SAFE is four
_MOST_TEXT = 64 << 20  # bytes of a metadata file; EnMAP's take 5 MB


@dataclass(frozen=True)
class Delivery:
    """The files that came together.

    Attributes:
        path: what the user named.
        root: the folder of the files, or the archive that holds them; of a compressed tar, a plain one.
        named: the one of them that the user named, or None for a folder or an archive.
        packing: which kind of archive ``root`` is; None for files. Its files are read where they lie.
        folder: the folder of an archive that the user named; empty for the whole.
    """

    path: Path
    root: Path
    named: str | None = None
    packing: Packing | None = None
    folder: str = ""

    @property
    def zipped(self) -> bool:
        """Whether the files lie in an archive, zip or tar."""
        return self.packing is not None

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names below ``root`` with ``/`` between folders, sorted; of a named file, those in its own folder.

        Raises:
            FormatError: the folder or archive cannot be read, or holds more files than any product.
        """
        if is_place(self.root):  # where nothing is looked for
            return (self.named,) if self.named else ()
        found = self._members(self.packing) if self.packing else _files(self.root, 0 if self.named else _DEEPEST)
        if self.folder:
            found = (name for name in found if name.startswith(f"{self.folder}/"))
        if self.packing and self.named:
            folder = self.named.rpartition("/")[0]
            found = (name for name in found if name.rpartition("/")[0] == folder)
        names = []
        for name in found:
            names.append(name)
            if len(names) > _MOST_FILES:
                raise FormatError(
                    f"{self.path} holds more than {_MOST_FILES} files: name the product's own file or folder"
                )
        return tuple(sorted(names))

    @cached_property
    def top(self) -> str:
        """What all names begin with: the folders, with a ``/``, in which an archive holds everything."""
        parents = {name.rpartition("/")[0] for name in self.names}
        return f"{common}/" if parents and (common := _common_folder(parents)) else ""

    def matching(self, pattern: str, *, deep: bool = False) -> list[str]:
        """The names whose last part matches a regular expression, case left out.

        Where none lies at the top, those of a folder below are taken, if all of them lie in one.

        Args:
            pattern: the expression, of the whole last part.
            deep: look into all folders below.
        """
        wanted = re.compile(pattern, re.IGNORECASE)
        found = [name for name in self.names if wanted.fullmatch(name.rsplit("/", 1)[-1])]
        top = [name for name in found if "/" not in name[len(self.top) :]]
        if deep or top:
            return found if deep else top
        return found if len({name.rpartition("/")[0] for name in found}) == 1 else []

    def only(self, names: Sequence[str], what: str) -> str | None:
        """The one name of a list; None of an empty one.

        Args:
            names: the main files that were found.
            what: they are, in the plural.

        Raises:
            FormatError: there are several.
        """
        if len(names) > 1:
            raise FormatError(f"{self.root} holds {len(names)} {what} ({', '.join(names[:3])}): name one of them")
        return names[0] if names else None

    def place(self, name: str) -> str:
        """What GDAL calls a file: its absolute path, or its place in the archive."""
        if self.packing:
            with self._reading(name):
                return gdal_member(self.root, self.packing, name)
        return gdal_name((self.root / name).absolute())

    def file(self, name: str) -> Path:
        """The path of a file: on disk, or its place in the archive or at the address."""
        if self.packing:
            return Path(f"/vsi{self.packing.value}/{{{self.root.absolute()}}}/{name}")
        return self.root / name

    def shown(self, name: str) -> str:
        """What messages call a file."""
        return f"{self.path}:{name}" if self.zipped else place_name(self.root / name)

    def head(self, name: str, count: int = 4096) -> bytes:
        """The first bytes of a file; none where it cannot be read."""
        try:
            return self._read(name, count)
        except UNREADABLE:
            return b""

    def text(self, name: str) -> bytes:
        """A metadata file, whole.

        Raises:
            FormatError: it cannot be read, or is too large for one.
        """
        with self._reading(name):
            read = self._read(name, _MOST_TEXT + 1)
        if len(read) > _MOST_TEXT:
            raise FormatError(f"{self.shown(name)} has more than {_MOST_TEXT} bytes: expected a metadata file")
        return read

    def xml(self, name: str) -> ElementTree.Element:
        """The root of a metadata file in XML. Documents that declare a type or entities are refused.

        Raises:
            FormatError: it cannot be read, or is no whole XML.
        """
        text = self.text(name)
        if b"<!DOCTYPE" in text or b"<!ENTITY" in text:
            raise FormatError(f"{self.shown(name)} declares a document type: no product's metadata does")
        try:
            return ElementTree.fromstring(text)
        except (ElementTree.ParseError, ValueError, LookupError) as error:
            raise FormatError(
                f"{self.shown(name)} cannot be read as XML ({error}): it is truncated or damaged; copy it again"
            ) from error

    def _read(self, name: str, count: int) -> bytes:
        if self.packing:
            return read_member(self.root, self.packing, name, count)
        return head_of(self.root / name, count)

    def _members(self, packing: Packing) -> Iterator[str]:
        try:
            yield from members_of(self.root, packing)
        except UNREADABLE as error:
            raise FormatError(
                f"{self.path} cannot be read as a {packing.value} archive ({error}): copy it again"
            ) from error

    @contextmanager
    def _reading(self, name: str) -> Iterator[None]:
        try:
            yield
        except UNREADABLE as error:
            reason = getattr(error, "strerror", None) or error
            raise FormatError(f"{self.shown(name)} cannot be read ({reason}): copy it again") from error


def delivery_of(path: Path) -> Delivery | None:
    """What lies at a path; None of what cannot be read.

    Nothing but the first bytes is read, except of a compressed tar, which is unpacked once.

    Raises:
        FormatError: a compressed tar cannot be unpacked.
    """
    if is_place(path):
        return _placed(path)
    if path.is_dir():
        return Delivery(path, _unwrapped(path))
    if not path.is_file():
        return None
    try:
        packing = packing_of(path)
    except OSError:
        return None
    if packing is not None:
        return Delivery(path, path, packing=packing)
    try:
        plain = without_compression(path)
    except UNREADABLE as error:
        raise FormatError(
            f"{path} cannot be unpacked ({error}): it is damaged, or the disk is full (TMPDIR); copy it again, or "
            "unpack it by hand"
        ) from error
    if plain is not None:
        return Delivery(path, plain, packing=Packing.TAR)
    # A path without a folder lies where the program runs.
    return Delivery(path, path.parent, named=path.name)


def _placed(path: Path) -> Delivery | None:
    archive = archive_of(path)
    try:
        if archive is not None and _is_folder(archive, member_of(path)):
            return Delivery(path, archive, packing=packing_of(archive), folder=member_of(path))
        head_of(path, 1)
        if archive is None:
            return Delivery(path, path.parent, named=path.name)
        return Delivery(path, archive, named=member_of(path), packing=packing_of(archive))
    except (*UNREADABLE, FormatError):
        return None


def _is_folder(archive: Path, name: str) -> bool:
    """Whether a name is that of a folder in an archive."""
    packing = packing_of(archive)
    return packing is not None and any(each.startswith(f"{name}/") for each in members_of(archive, packing))


def _unwrapped(folder: Path) -> Path:
    """The folder inside of folders that hold nothing else, as unpacking an archive leaves them."""
    for _ in range(_DEEPEST):
        try:
            inside = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
        except OSError:
            break
        if len(inside) != 1 or not inside[0].is_dir():
            break
        folder = inside[0]
    return folder


def _common_folder(parents: set[str]) -> str:
    """The folder that all of these are, or lie in; empty where they have none in common."""
    split = [parent.split("/") for parent in parents]
    common = []
    for parts in zip(*split, strict=False):
        if len(set(parts)) > 1:
            break
        common.append(parts[0])
    return "/".join(common)


def _files(folder: Path, depth: int, prefix: str = "") -> Iterator[str]:
    try:
        with os.scandir(folder) as entries:
            listed = [entry for entry in entries if not entry.name.startswith(".")]
    except OSError as error:
        if prefix:  # a folder in it that may not be looked at holds nothing of the product
            return
        raise FormatError(f"{folder} cannot be read: {error.strerror or error}") from error
    for entry in listed:
        if entry.is_file():
            yield prefix + entry.name
        elif depth and entry.is_dir(follow_symlinks=False):
            yield from _files(Path(entry.path), depth - 1, f"{prefix}{entry.name}/")
