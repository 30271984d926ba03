"""The files of a command that writes places to be looked at: points or outlines, and a page that shows them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from hsi_cd.cli.options.gathering import gathering
from hsi_cd.cli.options.path_type import PathType


@dataclass(frozen=True)
class PointFiles:
    """What is written.

    Attributes:
        output: the vector file.
        page: the HTML page, or None.
        like: the image that says where the places lie, or None.
        overwrite: whether files that exist may be replaced.
    """

    output: Path
    page: Path | None
    like: Path | None
    overwrite: bool


def point_file_options(*, output: str, page: str) -> Callable[[Any], Any]:
    """Options that become the parameter ``files``.

    Args:
        output: help of the vector file.
        page: help of the page.
    """
    return gathering(
        "files",
        PointFiles,
        click.option("--output", type=PathType(), required=True, metavar="FILE", help=output),
        click.option("--html", "page", type=PathType(), metavar="FILE", help=page),
        click.option(
            "--like", type=PathType(), metavar="FILE", help="Take the place of this image of the same pixels."
        ),
        click.option("--overwrite", is_flag=True, help="Replace files that exist."),
    )
