"""A record of a command, kept beside what it writes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from hsi_cd.io import check_output, remove_drafts
from hsi_cd.runs.recording import recording
from hsi_cd.runtime.device import machine


def keep_record(path: Path, command: Sequence[str], *, inputs: Iterable[Path]) -> AbstractContextManager[None]:
    """Keep a record of a command while the block runs; earlier ones in the file stay.

    Args:
        path: the file, ``provenance.json``.
        command: what was typed.
        inputs: files that are read.

    Raises:
        OutputError: the file cannot be written.
    """
    check_output(path, overwrite=True)
    remove_drafts(path.parent)
    return recording(path, command, machine=machine(), inputs=inputs)
