"""The options by which a command tells what it found as one JSON document: printed, or as a file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from hsi_cd.cli.options.path_type import PathType

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of text.")
"""Print JSON; the command is handed it as ``as_json``."""

STANDARD_OUTPUT = Path("-")
"""The file of :func:`json_file_option` that is none: the document is printed, and nothing else is."""


def json_file_option(what: str) -> Callable[[Any], Any]:
    """The option that writes ``what`` as JSON beside the text; the command is handed it as ``json_file``."""
    return click.option(
        "--json",
        "json_file",
        type=PathType(),
        metavar="FILE",
        help=f"Write {what} as JSON; - prints them, and nothing else.",
    )
