"""Kinds of change, as a notebook and the command line ask for them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hsi_cd.api.estimators import Estimator
from hsi_cd.detectors.base import kinds_in
from hsi_cd.detectors.change_kinds import fit_kinds
from hsi_cd.detectors.kind_clusters import KindOptions
from hsi_cd.errors import ConfigError
from hsi_cd.inference.change_map import ChangeMap
from hsi_cd.inference.kind_maps import MappedKinds, NamedKinds, by_area
from hsi_cd.inference.mapping import MapOptions
from hsi_cd.io import TABLES, check_ending, check_outputs, write_text
from hsi_cd.io.libraries import read_library
from hsi_cd.io.map_classes import kind_colour
from hsi_cd.prepare.library_match import KindMaterials, in_bands
from hsi_cd.reporting.kind_tables import band_words, kinds_csv, nearest_csv, spectra_csv
from hsi_cd.scene import Grid, ScenePair
from hsi_cd.scene.spectral_library import SpectralLibrary

__all__ = [
    "KindFiles",
    "KindOptions",
    "Kinds",
    "NamedMaterials",
    "find_kinds",
    "find_materials",
    "has_kinds",
    "kind_options",
    "kinds_record",
    "kinds_told",
    "open_library",
]

_TOLD = 3  # leading bands of a kind that are told

Kinds = int | str | KindOptions
"""How many kinds, ``auto``, or all that can be said of how they are found."""


def open_library(path: str | os.PathLike[str], *, scene: ScenePair | None = None) -> SpectralLibrary:
    """Open a spectral library: what ``change.kinds.from_to`` looks the kinds of a map up in.

    Args:
        path: an ENVI library (``.sli``, or its header); a table (CSV) of a column or a row a spectrum; a folder of
            text files as ECOSTRESS or the USGS (splib07, ASCII) deliver them.
        scene: that it is to serve: refused early where the library covers too few of its bands.

    Raises:
        MissingInputError: nothing lies there.
        FormatError: it is none of these, tells no wavelengths or other units, or is too large.
        BandError: the scene tells no wavelengths, or the library covers too few of its bands.
    """
    library = read_library(path)
    if scene is not None:
        in_bands(library, scene.bands, used=scene.used)
    return library


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


def find_kinds(
    estimator: Estimator, options: KindOptions, *, grid: Grid | None = None, memory: int | None = None
) -> MappedKinds:
    """Group what a method calls changed in the scene it was fitted on, count each kind, and order them by area.

    Args:
        estimator: fitted on the scene.
        options: how changed pixels are grouped.
        grid: georeference of the whole scene, in place of its own.
        memory: bytes for the parts of the scene that are on their way at once.

    Raises:
        BandError: bands without data or variation.
        GridError: the scene lies where its CRS has no ground.
    """
    detector, measurement = estimator.detector_, estimator.measurement_
    model = fit_kinds(detector, measurement, options, settings=estimator.options)
    unordered = NamedKinds(model, dict.fromkeys(range(model.count + 1), ""))
    how = MapOptions(grid=grid, memory=memory, look_at_shift=False, kinds=unordered)
    return by_area(model, ChangeMap(detector, measurement.pair, how).count_kinds(), measurement.pair)


def has_kinds(estimator: Estimator) -> bool:
    """Whether labels taught a fitted method kinds of change."""
    return kinds_in(estimator.detector_) is not None


@dataclass(frozen=True)
class NamedMaterials:
    """What each kind of change is from and to.

    Attributes:
        library: whose entries they are.
        of_kinds: the nearest entries of each kind, by its value in the map.
    """

    library: SpectralLibrary
    of_kinds: Mapping[int, KindMaterials]

    def told(self, found: MappedKinds) -> list[str]:
        """In words, a line each: ``kind 1: bare soil (.05 rad) to green vegetation (.07 rad)``."""
        lines = [f"{found.names[number]}: {kind}" for number, kind in self.of_kinds.items()]
        return [f"library: {self.library}", *lines]

    def record(self) -> dict[int, dict[str, list[dict[str, Any]]]]:
        """The same for a record, by the kinds' values in the map."""
        return {
            number: {"from": [vars(entry) for entry in kind.before], "to": [vars(entry) for entry in kind.after]}
            for number, kind in self.of_kinds.items()
        }


def find_materials(found: MappedKinds, library: SpectralLibrary) -> NamedMaterials:
    """What each kind is from and to.

    Raises:
        BandError: the scene tells no wavelengths, or the library covers too few of its bands.
    """
    return NamedMaterials(library, found.from_to(library))


@dataclass(frozen=True)
class KindFiles:
    """What is written of kinds of change beside their map.

    Attributes:
        table: CSV of one line a kind, or None.
        spectra: CSV of one line a band of each kind, or None.
        figure: PNG or PDF of the mean spectra, or None.
        nearest: CSV of the entries of a library that are nearest to each kind at both dates, or None.
        overwrite: whether existing files may be replaced.
    """

    table: Path | None = None
    spectra: Path | None = None
    figure: Path | None = None
    nearest: Path | None = None
    overwrite: bool = False

    def check(self) -> None:
        """Refuse files that could not be written, before any long work.

        Raises:
            OutputError: a file exists or cannot be written, or two are one.
            FormatError: a name's ending promises another format.
        """
        tables = {"--kinds-table": self.table, "--kinds-spectra": self.spectra, "--kinds-nearest": self.nearest}
        for path in tables.values():
            if path is not None:
                check_ending(path, TABLES["csv"])
        check_outputs({**tables, "--kinds-figure": self.figure}, overwrite=self.overwrite)
        if self.figure is not None:
            from hsi_cd.reporting.figures import figure_kind

            figure_kind(self.figure)

    def write(self, found: MappedKinds, materials: NamedMaterials | None = None, *, scene: str = "scene") -> None:
        """Write what is asked for.

        Args:
            found: the kinds.
            materials: what each is from and to.
            scene: its name, for the figure's title.

        Raises:
            OutputError: a file exists or cannot be written.
        """
        kinds, names, centres = found.by_number, found.names, found.bands.centres
        own = None if materials is None else materials.of_kinds
        if self.table is not None:
            text = kinds_csv(kinds, names, unit=found.unit, centres=centres, materials=own)
            write_text(self.table, text, overwrite=self.overwrite)
        if self.spectra is not None:
            write_text(self.spectra, spectra_csv(kinds, names, centres=centres), overwrite=self.overwrite)
        if self.nearest is not None and materials is not None:
            text = nearest_csv(materials.of_kinds, names, library=materials.library.name)
            write_text(self.nearest, text, overwrite=self.overwrite)
        if self.figure is not None:
            from hsi_cd.reporting.figures import save_figure
            from hsi_cd.reporting.kind_figure import kind_figure

            colours = {number: kind_colour(number) for number in kinds}
            title = f"{scene}: kinds of change"
            figure = kind_figure(kinds, names, centres=centres, colours=colours, materials=own, title=title)
            save_figure(figure, self.figure, overwrite=self.overwrite)


def kinds_told(found: MappedKinds) -> list[str]:
    """The kinds in words, a line each; those that no pixel has in the last."""
    whole = sum(kind.area for kind in found.kinds)
    none = ", ".join(found.names[number] for number in found.absent)
    lines = [
        f"{found.names[number]}: {kind.pixels:,} pixels, {100 * kind.area / whole:.1f} % of what changed; most in "
        + ", ".join(band_words(int(band), found.bands.centres) for band in kind.leading[:_TOLD])
        for number, kind in found.by_number.items()
    ]
    return lines + ([f"kinds without a pixel: {none}"] if none else [])


def kinds_record(found: MappedKinds, materials: NamedMaterials | None = None) -> list[dict[str, Any]]:
    """The same for a record; bands by their numbers, the strongest first, counted from 0."""
    named = {} if materials is None else materials.record()
    empty = {"pixels": 0, "area": 0.0, "unit": found.unit, "leading_bands": []}
    told: list[dict[str, Any]] = [
        {"kind": number, "name": found.names[number], "pixels": kind.pixels, "area": kind.area, "unit": found.unit,
         "leading_bands": kind.leading[:_TOLD].tolist(), **named.get(number, {})}
        for number, kind in found.by_number.items()
    ]  # fmt: skip
    told += [{"kind": number, "name": found.names[number], **empty} for number in found.absent]
    return sorted(told, key=lambda kind: int(kind["kind"]))
