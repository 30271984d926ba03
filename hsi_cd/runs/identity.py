"""Files known again: by size and times, and where these differ, by a digest of what they hold.

A copy, or a checkout on another machine, has other times and the same content: it is the same file. A corrected
truth map, or a cube that was registered anew, is another one.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from hsi_cd.errors import FormatError
from hsi_cd.io.kinds import FileKind, file_kind
from hsi_cd.io.place_identity import place_digest
from hsi_cd.io.raster_formats import shown_files
from hsi_cd.io.stac import item_assets, read_item
from hsi_cd.places import is_place
from hsi_cd.runs.provenance import Identity, Provenance

_WHOLE = 1 << 26  # bytes up to which all is digested
_BLOCKS, _BLOCK = 64, 1 << 20  # of what is larger: so many blocks, spread evenly, of so many bytes
_NOTES = ".aux.xml"  # where GDAL keeps what a format has no place for
_BESIDE = (".hdr", _NOTES, ".msk")  # endings behind a file's name of what says how it is to be read
_INSTEAD = (".hdr", ".HDR", ".tfw", ".TFW", ".wld")  # and in place of its ending
_SHAPEFILE = (".dbf", ".shx", ".prj", ".cpg")  # what a Shapefile's fields, place and letters lie in
_JOURNAL = "-wal"  # behind the name of a GeoPackage: what a GIS has saved, and not yet put into the file itself
_SYSTEM = (".DS_Store", "Thumbs.db")  # files that a file manager leaves in folders
# What a viewer leaves in .aux.xml when somebody looks at a file, and what is empty without it.
_LOOKED_AT = re.compile(
    rb"<MDI key=\"STATISTICS_[^<]*</MDI>|<Histograms>.*?</Histograms>"
    rb"|<(Metadata|PAMRasterBand|PAMDataset)[^>/]*>\s*</\1>",
    re.DOTALL,
)


def file_identity(path: str | Path) -> Identity:
    """By what a file, or a folder, is known again.

    Returns:
        Size in bytes, times of change of its content and of its entry in ns, and a digest of its content with that
        of the files beside it that say how it is read (ENVI's header, a mask); nothing if it is absent. Of more
        than 64 MB, 64 blocks of 1 MB are digested, spread over all of it. Of a raster at an address or in an
        archive, a digest alone, see :func:`hsi_cd.io.place_identity.place_digest`.
    """
    try:
        if is_place(path):
            return (place_digest(Path(path)),)
        parts = _parts(Path(path))
        return (*_numbers(parts), _digest(parts))
    except (OSError, FormatError):
        return ()


def is_same_file(path: str | Path, then: Identity) -> bool:
    """Whether a file is the one of this identity: of the same size and times, or of the same content."""
    if is_place(path):
        return file_identity(path) == then
    try:
        parts = _parts(Path(path))
    except OSError:
        return not then
    told = tuple(part for part in then if isinstance(part, int))
    digest = digest_of(then)
    if told and _numbers(parts)[: len(told)] == told:
        return True
    return digest is not None and digest == _digest(parts)


def digest_of(identity: Identity) -> str | None:
    """The digest in an identity; None in one of an earlier version."""
    return next((part for part in identity if isinstance(part, str)), None)


def known_inputs(provenance: Provenance) -> Mapping[str, Identity]:
    """The files that a run was last made from; nothing where an earlier version did not record them."""
    for session in reversed(provenance.sessions):
        if session.inputs and all(map(digest_of, session.inputs.values())):
            return session.inputs
    return {}


def changed_inputs(then: Mapping[str, Identity], now: Iterable[str | Path]) -> list[str]:
    """What of the files that a run was made from is not what it was.

    Files are compared in their order, whatever their names: a folder that was moved holds the same files.

    Args:
        then: from :func:`known_inputs`; nothing is known to have changed where it is empty.
        now: the files that it would be made from now. One that is absent contradicts nothing.

    Returns:
        A few words for each, as ``t2.tif has another content``.
    """
    paths = list(dict.fromkeys(map(str, now)))
    if not then:
        return []
    if len(then) != len(paths):
        return [f"it was made from {_listed(list(then))}, and not from {_listed(paths)}"]
    return [
        f"{path} has another content" if path == known else f"{path} has another content than {known}"
        for (known, identity), path in zip(then.items(), paths, strict=True)
        if _can_be_read(path) and not is_same_file(path, identity)
    ]


def _can_be_read(path: str) -> bool:
    return bool(file_identity(path)) if is_place(path) else Path(path).exists()


def _listed(paths: Sequence[str]) -> str:
    return ", ".join(Path(path).name for path in paths)


Part = tuple[Path, str, tuple[int, int, int]]
"""A file that is read, what it is to the one that was named, and its size and times."""


def _parts(path: Path) -> tuple[Part, ...]:
    """The files that are read where one file, or a folder, is named."""
    if path.is_dir():
        files = sorted(p for p in path.rglob("*") if p.name not in _SYSTEM and p.is_file())
        return tuple((file, file.relative_to(path).as_posix(), _stat(file)) for file in files)
    first = (path, "", _stat(path))
    beside = [path.with_name(path.name + ending) for ending in _BESIDE]
    beside += [path.with_suffix(ending) for ending in _INSTEAD] if path.suffix else []
    if path.suffix.lower() == ".hdr":  # ENVI's header was named: its data lie beside it
        beside += [path.with_suffix("")]
        beside += [p for p in path.parent.glob("*") if p.stem == path.stem and p.suffix.lower() in _ENVI_DATA]
    if path.suffix.lower() == ".shp":
        beside += [p for p in path.parent.glob("*") if p.stem == path.stem and p.suffix.lower() in _SHAPEFILE]
    journal = path.with_name(path.name + _JOURNAL)
    if _is_there(journal) and journal.stat().st_size:
        beside += [journal]
    if file_kind(path) is FileKind.VRT:
        beside += shown_files(path)
    with contextlib.suppress(FormatError):  # an item that is not read
        beside += [asset for asset in item_assets(path, read_item(path) or {}) if not is_place(asset)]
    found = {file.resolve(): file for file in beside if _is_there(file) and not file.samefile(path)}
    return (first, *((file, _role(file), _stat(file)) for file in found.values()))


def _is_there(beside: Path) -> bool:
    with contextlib.suppress(OSError):  # a name longer than files have, beside one of the longest
        return beside.is_file()
    return False


def _role(beside: Path) -> str:
    return _NOTES if beside.name.endswith(_NOTES) else beside.suffix.lower()


_ENVI_DATA = (".img", ".dat", ".bin", ".raw", ".bsq", ".bil", ".bip", ".envi")


def _stat(path: Path) -> tuple[int, int, int]:
    found = path.stat()
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _numbers(parts: Sequence[Part]) -> tuple[int, int, int]:
    """Size of all parts, and the latest of their times."""
    sizes, changed, moved = zip(*(stat for _, _, stat in parts), strict=True) if parts else ((0,),) * 3
    return sum(sizes), max(changed), max(moved)


@functools.lru_cache(maxsize=4096)
def _digest(parts: tuple[Part, ...]) -> str:
    """Of the parts' content, one after the other."""
    digest = hashlib.sha256()
    read = [part for part in parts if part[1] != _NOTES]
    total = sum(size for _, _, (size, _, _) in read)
    step = 0 if total <= _WHOLE else (total - _BLOCK) // (_BLOCKS - 1)
    begin = 0
    for path, role, (size, _, _) in read:
        digest.update(f"{role}:{size}:".encode("utf-8", "surrogateescape"))
        with path.open("rb") as file:
            for start, end in _spans(begin, size, step):
                file.seek(start)
                while start < end and (block := file.read(min(_BLOCK, end - start))):
                    digest.update(block)
                    start += len(block)
        begin += size
    for path, _, _ in (part for part in parts if part[1] == _NOTES):
        digest.update(_told(path.read_bytes()))
    return digest.hexdigest()[:16]


def _spans(begin: int, size: int, step: int) -> Iterator[tuple[int, int]]:
    """What is digested of a part that begins here in all of them: all of it, or a block at each step."""
    if not step:
        yield 0, size
        return
    for start in range(max(0, (begin - _BLOCK) // step) * step, begin + size, step):
        yield max(0, start - begin), min(start - begin + _BLOCK, size)


def _told(notes: bytes) -> bytes:
    """What GDAL's ``.aux.xml`` tells beside what a viewer leaves in it."""
    while notes != (left := _LOOKED_AT.sub(b"", notes).strip()):
        notes = left
    return notes
