"""The option that names a file of the pixels that teach."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from hsi_cd.cli.options.path_type import PathType

split_option = click.option(
    "--split",
    type=PathType(),
    metavar="FILE",
    help="The pixels that teach, in place of a protocol: a split.npz; a .csv with the header index (flat, row by "
    "row) or row,col, both from 0; a .mat with rows, cols and base (0 or 1); or a raster that labels only them.",
)
"""Name who teaches; the command is handed it as ``split``."""


def check_split(split: Path | None, protocol: str | None, assignments: Sequence[str]) -> None:
    """Refuse a protocol beside a file that says who teaches.

    Raises:
        click.UsageError: so it is.
    """
    if split is None:
        return
    set_so = next((text for text in assignments if text.partition("=")[0].strip() == "split.protocol"), None)
    if protocol is not None or set_so is not None:
        said = f"--set {set_so}" if protocol is None else f"--protocol {protocol}"
        raise click.UsageError(f"{said} draws the pixels that teach, and --split names them: give one of the two")
