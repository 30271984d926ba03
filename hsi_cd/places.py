"""Places that are no paths: an address of the web or of S3, and a file in an archive.

GDAL reads them under names of its own, as ``/vsicurl/https://host/a.tif``. They travel through the package as
paths, in which ``https://`` has lost its second slash and an archive stands in braces; :func:`gdal_name` mends it.
"""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

from hsi_cd.errors import ConfigError

_SCHEMES = {"https://": "/vsicurl/https://", "http://": "/vsicurl/http://", "s3://": "/vsis3/"}
_NOTHING = "%"  # stands for the nothing between two slashes, which a path cannot hold and no address has elsewhere
_REMOTE = ("/vsicurl/", "/vsis3/")
_ARCHIVES = ("/vsizip/", "/vsitar/")
_REMOTE_ARCHIVE = re.compile(r"(.+?\.(?:zip|tar|tgz|tar\.gz))/(.+)", re.IGNORECASE)


def as_place(text: str) -> Path | None:
    """The place that a name means, as a path that is the same wherever the program runs; None for a file's path.

    Args:
        text: as people write it: ``https://...``, ``s3://...``, ``/vsicurl/...``, ``/vsis3/...``,
            ``/vsizip/a.zip/b.tif`` or ``/vsitar/a.tar/b.tif``, where the archive may be a place itself.

    Raises:
        ConfigError: the address is none, or there is no such archive.

    Example:
        >>> as_place("https://host/a.tif").as_posix(), as_place("a.tif")
        ('/vsicurl/https:/host/a.tif', None)
    """
    for scheme, prefix in _SCHEMES.items():
        if text[: len(scheme)].lower() == scheme:
            text = prefix + text[len(scheme) :]
    if text.startswith(_REMOTE):
        return _address(text)
    if not text.startswith(_ARCHIVES):
        return None
    _, system, rest = text.split("/", 2)
    archive, member = _divide(rest, text)
    return Path(f"/{system}/{{{archive}}}/{member}")


def is_place(path: str | Path) -> bool:
    """Whether a path, or GDAL's name, is such a place."""
    return _posix(path).startswith(_REMOTE + _ARCHIVES)


def is_remote(path: str | Path) -> bool:
    """Whether it is read over the network."""
    name = _posix(path)
    return name.startswith(_REMOTE) or name.startswith(tuple(f"{a}{{{r}" for a in _ARCHIVES for r in _REMOTE))


def archive_of(path: str | Path) -> Path | None:
    """The archive on disk that holds a place; None of any other."""
    name = _posix(path)
    if not name.startswith(_ARCHIVES) or is_remote(name):
        return None
    return Path(name.split("{", 1)[1].split("}/", 1)[0])


def file_of(path: Path) -> Path:
    """The absolute path of the file on disk that a file is, or lies in; a place elsewhere as it is."""
    return archive_of(path) or path.absolute()


def member_of(path: Path) -> str:
    """The name, in its archive, of a file that lies in one."""
    return path.as_posix().partition("}/")[2]


def gdal_name(path: Path) -> str:
    """What GDAL calls a place."""
    name = re.sub(r"/vsicurl/(https?):/(?!/)", r"/vsicurl/\1://", path.as_posix())
    return re.sub(f"(?<=/){_NOTHING}(?=/)", "", name) if is_remote(path) else name


def place_name(path: str | Path) -> str:
    """What messages call a place: its address without the query, which may hold a signature."""
    if not is_place(path):
        return str(path)
    name = gdal_name(Path(path))
    if not is_remote(path):
        return name
    name = name.split("?")[0]
    for scheme, prefix in _SCHEMES.items():
        if name.startswith(prefix):
            return scheme + name[len(prefix) :]
    return name


def file_name(path: Path) -> str:
    """The last part of a path's name; of an address without its query."""
    return path.name.split("?")[0] if is_remote(path) else path.name


def _posix(path: str | Path) -> str:
    return path if isinstance(path, str) else path.as_posix()


def _address(text: str) -> Path:
    """The path that stands for an address."""
    _, system, rest = text.split("/", 2)
    if system == "vsicurl":
        found = re.fullmatch(r"(https?):/{1,2}([^/].*)", rest)
        if found is None:
            raise ConfigError(f"{text.split('?')[0]} is no address: expected https://host/name")
        scheme, rest = found[1] + ":/", found[2]
    else:
        scheme = ""
    if "/" not in rest.strip("/"):
        raise ConfigError(
            f"{text.split('?')[0]} is no address that can be read: expected a host (or bucket) and a name"
        )
    kept = re.sub("/(?=/)", f"/{_NOTHING}", rest)
    return Path(f"/{system}/{scheme}{kept}")


def _divide(rest: str, text: str) -> tuple[str, str]:
    """The archive, a whole path or a place, and the name of what is in it."""
    if rest.startswith("{"):
        archive, _, member = rest[1:].partition("}/")
    else:
        inner = rest.lstrip("/")
        if inner.startswith(("vsicurl/", "vsis3/")):
            inner = f"/{inner}"
        if inner.startswith((*_REMOTE, *_SCHEMES)):
            found = _REMOTE_ARCHIVE.fullmatch(inner)
            archive, member = (found[1], found[2]) if found else (inner, "")
        else:
            archive, member = _on_disk(rest)
    if not archive or not member:
        raise ConfigError(
            f"{text.split('?')[0]} names no file in an archive: expected an archive that is there and a name "
            "in it, as /vsizip/folder/a.zip/b.tif"
        )
    place = as_place(archive)
    return (place or _home(archive).absolute()).as_posix(), member


def _on_disk(rest: str) -> tuple[str, str]:
    """Where the archive's name ends, which the disk tells."""
    for start in (rest, f"/{rest}"):  # a pathlib.Path has lost the second slash of /vsizip//home/a.zip/b.tif
        for cut in (found.start() for found in re.finditer("/", start[1:])):
            if _home(start[: cut + 1]).is_file():
                return start[: cut + 1], start[cut + 2 :]
    return "", ""


def _home(archive: str) -> Path:
    with contextlib.suppress(RuntimeError):  # nobody's home
        return Path(archive).expanduser()
    return Path(archive)
