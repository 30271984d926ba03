"""The type of every option and argument that names a path."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from hsi_cd.errors import ConfigError
from hsi_cd.paths import as_path


class PathType(click.Path):
    """A path, in which ``~`` is the home folder where the shell leaves it alone, too, as in ``--run=~/runs``."""

    def __init__(self, *, file_okay: bool = True) -> None:
        super().__init__(file_okay=file_okay, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path that was typed."""
        try:
            return super().convert(as_path(value), param, ctx)
        except ConfigError as error:
            self.fail(str(error), param, ctx)
