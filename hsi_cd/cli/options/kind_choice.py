"""Options of kinds of change: how they are found without labels, and what is written of them beside a map."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hsi_cd.cli.options.gathering import gathering
from hsi_cd.cli.options.path_type import PathType

if TYPE_CHECKING:
    from hsi_cd.api.kinds_of_change import KindFiles, KindOptions

FilePath = PathType()


@dataclass(frozen=True)
class KindsBeside:
    """What is written of kinds of change beside their map.

    Attributes:
        kinds_table: file of the table, or None.
        kinds_spectra: file of the spectra, or None.
        kinds_figure: file of the curves, or None.
        kinds_nearest: file of the nearest entries of the library, or None.
        library: the spectral library, or None.

    Raises:
        click.UsageError: the nearest entries of no library are asked for.
    """

    kinds_table: Path | None = None
    kinds_spectra: Path | None = None
    kinds_figure: Path | None = None
    kinds_nearest: Path | None = None
    library: Path | None = None

    def __post_init__(self) -> None:
        if self.kinds_nearest is not None and self.library is None:
            raise click.UsageError("--kinds-nearest is about a spectral library: give --library FILE, too")

    @property
    def asked(self) -> str | None:
        """The first of the options that was given, as it is typed; None where none was."""
        given = [field.name for field in fields(KindsBeside) if getattr(self, field.name) is not None]
        return f"--{given[0].replace('_', '-')}" if given else None

    @property
    def files(self) -> dict[str, Path]:
        """What is written beside the map, by options."""
        names = ("kinds_table", "kinds_spectra", "kinds_figure", "kinds_nearest")
        named = {f"--{name.replace('_', '-')}": getattr(self, name) for name in names}
        return {option: path for option, path in named.items() if path is not None}

    def told(self) -> dict[str, str]:
        """The same by what they are called."""
        words = {
            "--kinds-table": "kinds",
            "--kinds-spectra": "spectra of kinds",
            "--kinds-figure": "figure of kinds",
            "--kinds-nearest": "nearest of the library",
        }
        return {words[option]: str(path) for option, path in self.files.items()}

    def named(self, *, overwrite: bool) -> KindFiles:
        """What is to be written beside the map."""
        from hsi_cd.api.kinds_of_change import KindFiles

        return KindFiles(
            self.kinds_table, self.kinds_spectra, self.kinds_figure, self.kinds_nearest, overwrite=overwrite
        )


@dataclass(frozen=True)
class KindChoice(KindsBeside):
    """What is asked of kinds of change without labels.

    Attributes:
        kinds: how many, or ``auto``; None for a map of two classes.
        kinds_by: how they are grouped, or None for the default.
        bandwidth: of mean shift, or None.

    Raises:
        click.UsageError: something is said of kinds that are not asked for.
    """

    kinds: str | None = None
    kinds_by: str | None = None
    bandwidth: float | None = None

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if self.kinds is None and value is not None:
                raise click.UsageError(
                    f"--{name.replace('_', '-')} is about kinds of change: give --kinds auto, too"
                )
        super().__post_init__()

    def options(self) -> KindOptions | None:
        """How kinds are found; None where they are not asked for.

        Raises:
            ConfigError: a value is out of its range.
        """
        from hsi_cd.api.kinds_of_change import kind_options

        if self.kinds is None:
            return None
        told: dict[str, Any] = {"bandwidth": self.bandwidth}
        return replace(kind_options(self.kinds), **told | ({"by": self.kinds_by} if self.kinds_by else {}))


_BESIDE = (
    click.option(
        "--kinds-table", type=FilePath, metavar="FILE", help="One line a kind (CSV): area, share, leading bands."
    ),
    click.option(
        "--kinds-spectra",
        type=FilePath,
        metavar="FILE",
        help="Mean spectra of each kind before and after (CSV), with the rank of the bands that carry it.",
    ),
    click.option(
        "--kinds-figure", type=FilePath, metavar="FILE", help="The same as curves over wavelength (.png, .pdf)."
    ),
    click.option(
        "--library",
        type=FilePath,
        metavar="PATH",
        help="Spectral library in which each kind is looked up, before and after, by spectral angle: ENVI .sli, a "
        "table (.csv), or a folder of text files (ECOSTRESS, USGS).",
    ),
    click.option(
        "--kinds-nearest",
        type=FilePath,
        metavar="FILE",
        help="The three entries of the library nearest to each kind at both dates (CSV).",
    ),
)

kind_options = gathering(
    "kinds",
    KindChoice,
    click.option(
        "--kinds",
        metavar="K|auto",
        help="Map kinds of change, the largest first, in place of changed: so many, or as many as stand apart.",
    ),
    click.option(
        "--kinds-by",
        type=click.Choice(["vectors", "directions", "c2va", "mean-shift"]),
        help="How changed pixels are grouped: k-means on whitened change vectors (the default), on their "
        "directions or on the angle of compressed change vectors, or mean shift.",
    ),
    click.option(
        "--bandwidth",
        type=float,
        metavar="B",
        help="Of mean shift, 1e-3 to 1e2 times the spread of the change vectors; chosen by stability by default.",
    ),
    *_BESIDE,
)
"""Tell kinds of change apart; the command is handed what was said as ``kinds``."""

beside_options = gathering("beside", KindsBeside, *_BESIDE)
"""What is written of kinds that labels taught; the command is handed what was said as ``beside``."""
