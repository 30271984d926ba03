"""A record of a command, kept beside the maps that it writes."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import click


def recorded(provenance: Path | None, *, inputs: Iterable[Path]) -> AbstractContextManager[None]:
    """Keep a record of this command while the block runs, if one is asked for by ``--provenance``.

    Args:
        provenance: the file, or None.
        inputs: files that are read.

    Raises:
        OutputError: the file cannot be written.
    """
    if provenance is None:
        return nullcontext()
    from hsi_cd.api.record_keeping import keep_record

    return keep_record(provenance, click.get_current_context().obj, inputs=inputs)
