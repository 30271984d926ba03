"""What the libraries behind PNG and JPEG 2000 take on trust."""

from __future__ import annotations

import struct
from pathlib import Path

from hsi_cd.errors import FormatError
from hsi_cd.io.byte_sources import head_of, open_bytes
from hsi_cd.io.memory import check_plausible

_JPEG2000_HEAD = 1 << 16  # bytes within which the codestream begins, behind the georeference
_PNG_END_WITHIN = 1024  # bytes: some programs write a little behind the end


def check_png(path: Path) -> None:
    """Refuse a PNG without its last chunk: what is missing would be read as zeros.

    Raises:
        FormatError: it is truncated.
    """
    with open_bytes(path) as handle:
        handle.seek(max(0, handle.seek(0, 2) - _PNG_END_WITHIN))
        if b"IEND" not in handle.read():
            raise FormatError(f"{path} is a truncated PNG image (its end is missing): copy it again")


def check_jpeg2000(path: Path) -> None:
    """Refuse a JPEG 2000 image of absurd size, before its library takes memory for it.

    Raises:
        FormatError: it describes far more than it holds, or no sizes.
    """
    head = head_of(path, _JPEG2000_HEAD)
    at = head.find(b"\xff\x4f\xff\x51")  # start of the codestream, and its sizes
    if at < 0 or len(head) < at + 42:
        raise FormatError(f"{path} is a truncated or damaged JPEG 2000 image (it has no sizes): copy it again")
    right, bottom, left, top = struct.unpack_from(">IIII", head, at + 8)
    bands = struct.unpack_from(">H", head, at + 40)[0]
    check_plausible(path, (max(bottom - top, 0), max(right - left, 0), bands), 4)
