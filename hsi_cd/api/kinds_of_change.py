"""Kinds of change without labels, as a notebook and the command line ask for them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hsi_cd.api.area_samples import areas_of
from hsi_cd.api.estimators import Estimator
from hsi_cd.detectors.change_kinds import fit_kinds
from hsi_cd.detectors.kind_clusters import KindOptions
from hsi_cd.errors import ConfigError
from hsi_cd.inference.kind_maps import MappedKinds, map_kinds
from hsi_cd.io import TABLES, check_outputs, write_text
from hsi_cd.io.map_classes import kind_colour
from hsi_cd.reporting.kind_tables import KindLine, band_words, kinds_csv, spectra_csv
from hsi_cd.scene import Grid

__all__ = ["KindFiles", "KindOptions", "Kinds", "find_kinds", "kind_options", "kinds_record", "kinds_told"]

_TOLD = 3  # leading bands of a kind that are told

Kinds = int | str | KindOptions
"""How many kinds, ``auto``, or all that can be said of how they are found."""


def kind_options(kinds: Kinds) -> KindOptions:
    """What was asked for, as a value.

    Raises:
        ConfigError: it is neither a number in its range nor ``auto``.
    """
    if isinstance(kinds, KindOptions):
        return kinds
    if kinds == "auto":
        return KindOptions()
    if isinstance(kinds, str):
        if not kinds.isdecimal() or not kinds.isascii():
            raise ConfigError(f"kinds is {kinds[:40]!r}: expected a number of kinds, or auto")
        kinds = int(kinds)
    return KindOptions(kinds)


def find_kinds(estimator: Estimator, options: KindOptions, *, grid: Grid | None = None) -> MappedKinds:
    """Group what a method calls changed in the scene it was fitted on, count each kind, and order them by area.

    Args:
        estimator: fitted on the scene.
        options: how changed pixels are grouped.
        grid: georeference of the whole scene, in place of its own.

    Raises:
        BandError: bands without data or variation.
        GridError: the scene lies where its CRS has no ground.
    """
    detector, measurement = estimator.detector_, estimator.measurement_
    model = fit_kinds(detector, measurement, options, settings=estimator.options)
    areas, unit = areas_of(measurement.pair.map_grid(grid))
    return map_kinds(detector, measurement, model, areas=areas, unit=unit)


def kind_lines(found: MappedKinds) -> list[KindLine]:
    """The kinds as tables and figures show them."""
    return [
        KindLine(
            number,
            found.names[number],
            kind.pixels,
            kind.area,
            kind.before,
            kind.after,
            kind.before_deviation,
            kind.after_deviation,
            kind.strength,
            kind.leading,
        )
        for number, kind in enumerate(found.kinds, start=1)
    ]


@dataclass(frozen=True)
class KindFiles:
    """What is written of kinds of change beside their map.

    Attributes:
        table: CSV of one line a kind, or None.
        spectra: CSV of one line a band of each kind, or None.
        figure: PNG or PDF of the mean spectra, or None.
        overwrite: whether existing files may be replaced.
    """

    table: Path | None = None
    spectra: Path | None = None
    figure: Path | None = None
    overwrite: bool = False

    def check(self) -> None:
        """Refuse files that could not be written, before any long work.

        Raises:
            OutputError: a file exists or cannot be written, or two are one.
            FormatError: a name's ending promises another format.
        """
        check_outputs({"--kinds-table": self.table, "--kinds-spectra": self.spectra}, kind=TABLES["csv"],
                      overwrite=self.overwrite)  # fmt: skip
        check_outputs(
            {"--kinds-table": self.table, "--kinds-spectra": self.spectra, "--kinds-figure": self.figure},
            overwrite=self.overwrite,
        )
        if self.figure is not None:
            from hsi_cd.reporting.figures import figure_kind

            figure_kind(self.figure)

    def write(self, found: MappedKinds, *, scene: str = "scene") -> None:
        """Write what is asked for.

        Raises:
            OutputError: a file exists or cannot be written.
        """
        lines, centres = kind_lines(found), found.bands.centres
        if self.table is not None:
            write_text(self.table, kinds_csv(lines, unit=found.unit, centres=centres), overwrite=self.overwrite)
        if self.spectra is not None:
            write_text(self.spectra, spectra_csv(lines, centres=centres), overwrite=self.overwrite)
        if self.figure is not None:
            from hsi_cd.reporting.figures import save_figure
            from hsi_cd.reporting.kind_figure import kind_figure

            colours = {line.kind: kind_colour(line.kind) for line in lines}
            figure = kind_figure(lines, centres=centres, colours=colours, title=f"{scene}: kinds of change")
            save_figure(figure, self.figure, overwrite=self.overwrite)


def kinds_told(found: MappedKinds) -> list[str]:
    """The kinds in words, a line each."""
    whole = sum(kind.area for kind in found.kinds)
    return [
        f"{line.name}: {line.pixels:,} pixels, {100 * line.area / whole:.1f} % of what changed; most in "
        + ", ".join(band_words(int(band), found.bands.centres) for band in line.leading[:_TOLD])
        for line in kind_lines(found)
    ]


def kinds_record(found: MappedKinds) -> list[dict[str, Any]]:
    """The same for a record; bands by their numbers, the strongest first, counted from 0."""
    return [
        {"kind": line.kind, "name": line.name, "pixels": line.pixels, "area": line.area, "unit": found.unit,
         "leading_bands": line.leading[:_TOLD].tolist()}
        for line in kind_lines(found)
    ]  # fmt: skip
