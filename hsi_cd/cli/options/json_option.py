"""The options by which a command tells what it has to tell as one JSON document."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from hsi_cd.cli.options.path_type import PathType
from hsi_cd.cli.telling import document, hint

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of text.")
"""Print JSON; the command is handed it as ``as_json``."""

STANDARD_OUTPUT = Path("-")
"""In place of a file."""


def json_file_option(what: str) -> Callable[[Any], Any]:
    """Write JSON beside the text, or print it; the command is handed the file as ``json_file``."""
    told = f"Write {what} as JSON; - prints them, and nothing else."
    return click.option("--json", "json_file", type=PathType(), metavar="FILE", help=told)


def tell_to_file(text: str, record: Any, json_file: Path | None, *, what: str, overwrite: bool) -> None:
    """Print a result, and write its record to the file of :func:`json_file_option`; or print the record alone."""
    from hsi_cd.io import write_json

    if json_file == STANDARD_OUTPUT:
        click.echo(document(record))
        return
    if json_file is not None:
        write_json(json_file, record, overwrite=overwrite)
    click.echo(text)
    if json_file is not None:
        hint(f"\n{what}: {json_file}")
