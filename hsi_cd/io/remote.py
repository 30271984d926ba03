"""Reading over the network: how GDAL is to do it, and what is said where it does not succeed."""

from __future__ import annotations

import re
from pathlib import Path

from hsi_cd.errors import FormatError
from hsi_cd.places import gdal_name, is_remote, place_name

_SETTINGS: dict[str, str | int] = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",  # what is not named is not looked for: no sidecars, no listing
    "GDAL_HTTP_CONNECTTIMEOUT": 10,  # s
    "GDAL_HTTP_LOW_SPEED_LIMIT": 1,  # bytes/s, below which a connection is dead
    "GDAL_HTTP_LOW_SPEED_TIME": 60,  # s
    "GDAL_HTTP_MAX_RETRY": 3,
    "GDAL_HTTP_RETRY_DELAY": 1,  # s
}
_REMEDIES = (
    (r"\b40[45]\b|\b410\b|does not exist", "nothing is there: check the address"),
    (
        r"\b40[13]\b|AWS_|credential|Access ?Denied",
        "it is not open to you: give GDAL your credentials, or download it",
    ),
    (
        r"CURL|resolve|connect|timed out|\b5\d\d\b",
        "check the network and the address, or download it and name the file",
    ),
)


def gdal_settings(path: Path | str) -> dict[str, str | int]:
    """GDAL's settings for reading a file: none of one on disk."""
    return dict(_SETTINGS) if is_remote(path) else {}


def unreachable(path: Path | str, reason: str) -> FormatError:
    """The error of a remote file that cannot be read, in one line.

    Args:
        path: its place.
        reason: what GDAL says.
    """
    shown = place_name(path)
    said = reason.replace(gdal_name(Path(path)), shown)
    for pattern, remedy in _REMEDIES:
        if re.search(pattern, said.replace(shown, "")):
            return FormatError(f"{shown} cannot be read over the network ({said}): {remedy}")
    remedy = "download it and name the file"
    if shown.startswith("s3://"):  # of which GDAL's driver is all that is used
        remedy += ", or give its https:// address, signed where it is closed"
    return FormatError(
        f"{shown} cannot be read over the network: it is no GeoTIFF, is damaged, or its server hands out no "
        f"ranges of bytes; {remedy}"
    )
