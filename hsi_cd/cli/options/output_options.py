"""Options of the commands that write maps."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hsi_cd.cli.options.gathering import gathering
from hsi_cd.cli.options.path_type import PathType

if TYPE_CHECKING:
    from hsi_cd.io import MapFiles, WrittenMap
    from hsi_cd.scene import Grid

FilePath = PathType()

_WORDS = {
    "output": "change map",
    "score": "scores",
    "probability": "probabilities of change",
    "uncertainty": "uncertainty",
    "kind_probabilities": "probabilities of kinds",
}
_OF_REGIONS = ("min_area", "sieve", "simplify")


@dataclass(frozen=True)
class OutputChoice:
    """The files that are to be written, and how.

    Attributes:
        output: the change map, or None.
        score: the scores, or None.
        probability: the probabilities, or None.
        uncertainty: the uncertainty, or None.
        kind_probabilities: the probabilities of kinds of change, or None.
        cog: write Cloud Optimized GeoTIFFs.
        vector: file of the changed regions as polygons, or None.
        min_area: smallest region kept, or None.
        sieve: least number of pixels of a region, or None.
        simplify: how much outlines are smoothed, or None.
        overwrite: replace files that exist.

    Raises:
        click.UsageError: something is said of polygons that are not asked for.
    """

    output: Path | None = None
    score: Path | None = None
    probability: Path | None = None
    uncertainty: Path | None = None
    kind_probabilities: Path | None = None
    cog: bool = False
    vector: Path | None = None
    min_area: float | None = None
    sieve: int | None = None
    simplify: float | None = None
    overwrite: bool = False

    def __post_init__(self) -> None:
        for name in _OF_REGIONS:
            if getattr(self, name) is not None and self.vector is None:
                raise click.UsageError(f"--{name.replace('_', '-')} is about polygons: give --vector FILE, too")

    def named(self) -> MapFiles:
        """What is to be written, where there must be a change map.

        Raises:
            click.UsageError: there is none.
        """
        from hsi_cd.io import MapFiles, RegionChoice

        if self.output is None:
            raise click.UsageError("no map is named: give --output FILE")
        return MapFiles(
            self.output,
            self.score,
            self.uncertainty,
            self.vector,
            RegionChoice(self.min_area or 0.0, self.sieve or 0, self.simplify or 0.0),
            self.cog,
            self.overwrite,
            self.probability,
            self.kind_probabilities,
        )

    @property
    def maps(self) -> dict[str, Path]:
        """The maps that are asked for, by their options' names."""
        return {name: path for name in _WORDS if (path := getattr(self, name)) is not None}

    def check(
        self,
        *,
        inputs: Iterable[Path] = (),
        save: Path | None = None,
        provenance: Path | None = None,
        beside: Mapping[str, Path] | None = None,
    ) -> None:
        """Refuse files that could not each be written as asked, before any long work.

        Args:
            inputs: the files and folders that are read, which no output replaces.
            save: a checkpoint that is written, too, or None.
            provenance: a record that is written, too, or None; it goes on where there is one.
            beside: further files that are written, by their options.

        Raises:
            OutputError: a file is an input or another output, exists, or cannot be written.
            FormatError: a name's ending promises another format.
        """
        from hsi_cd.io import CHECKPOINT, GEOTIFF, JSON, check_ending, check_outputs

        maps = {f"--{name.replace('_', '-')}": path for name, path in self.maps.items()}
        others = {"--vector": self.vector, "--save": save, "--provenance": provenance, **(beside or {})}
        check_outputs({**maps, **others}, inputs=inputs, overwrite=True)
        check_outputs(maps, kind=GEOTIFF, overwrite=self.overwrite)
        check_outputs({"--save": save}, kind=CHECKPOINT, overwrite=self.overwrite)
        if provenance is not None:
            check_ending(provenance, JSON)

    def check_regions(self, grid: Grid) -> None:
        """Refuse polygons that could not be written.

        Raises:
            OutputError: the file exists or cannot be written.
            FormatError: its name's ending tells no format.
            GridError: the scene has no CRS and transform.
        """
        from hsi_cd.io import check_output, check_vector

        if self.vector is not None:
            check_output(self.vector, overwrite=self.overwrite)
            check_vector(self.vector, grid)

    def told(self, *, unit: str = "score") -> dict[str, str]:
        """The files that were written, by what they are called.

        Args:
            unit: of the scores: ``probability`` alone is called so.
        """
        words = _WORDS | ({"score": "change probabilities"} if unit == "probability" else {})
        files = {words[name]: str(path) for name, path in self.maps.items()}
        return files | ({"changed regions": str(self.vector)} if self.vector is not None else {})


def named_files(*paths: Path | None) -> list[Path]:
    """Those of the files that options name."""
    return [path for path in paths if path is not None]


def map_told(written: WrittenMap | None, kinds: Mapping[int, str] | None = None) -> dict[str, str]:
    """What a map holds, in words: how many pixels it calls changed, and regions; nothing where there is no map.

    Args:
        written: what was written.
        kinds: what the values of a map of kinds are called, whose pixels are told, too; None to tell none.
    """
    from hsi_cd.evaluation import biased

    if written is None:
        return {}
    share = f" ({100 * written.changed / written.valid:.2f} %)" if written.valid else ""
    told = {"called changed": biased(f"{written.changed:,} of {written.valid:,} pixels{share}")}
    if kinds is not None:
        told["kinds of change"] = ", ".join(
            f"{value} {kinds[value]} {count:,}" for value, count in written.kinds.items()
        )
    return told | _regions(written)


def map_record(written: WrittenMap | None, kinds: Mapping[int, str] | None = None) -> dict[str, Any]:
    """The same for a record: pixels with data, those that are called changed, their share, kinds, and regions."""
    from hsi_cd.evaluation import BIASED

    if written is None:
        return {}
    share = written.changed / written.valid if written.valid else None
    counts = {"valid": written.valid, "changed": written.changed, "share": share, "note": BIASED}
    told = {}
    if kinds is not None:
        named = [(value, kinds[value], count) for value, count in written.kinds.items()]
        told = {"kinds": [dict(zip(("kind", "name", "pixels"), each, strict=True)) for each in named]}
    return {"pixels": counts, **told, **_regions(written)}


def _regions(written: WrittenMap) -> dict[str, str]:
    """How many regions were written, and how many were left out; nothing where none were asked for."""
    regions = written.regions
    if regions is None:
        return {}
    small = f", {regions.left_out} smaller ones left out" if regions.left_out else ""
    return {"regions": f"{regions.count}{small}"}


def output_options(
    *,
    required: bool = True,
    score: str = "Scores (GeoTIFF, float32): a network's are change probabilities.",
    uncertainty: str | None = None,
    kinds: bool = False,
) -> Callable[[Any], Any]:
    """Name the maps; the command is handed them as ``files``.

    Args:
        required: whether there must be a change map.
        score: help of ``--score``.
        uncertainty: help of ``--uncertainty``; None where there is no such option.
        kinds: whether probabilities of kinds of change can be asked for.
    """
    further: tuple[Callable[[Any], Any], ...] = (
        (click.option("--uncertainty", type=FilePath, metavar="FILE", help=uncertainty),) if uncertainty else ()
    )
    if kinds:
        told = "Probability of each kind given change, a band a kind (GeoTIFF, float32)."
        further += (click.option("--kind-probabilities", type=FilePath, metavar="FILE", help=told),)
    return gathering(
        "files",
        OutputChoice,
        click.option("--output", type=FilePath, required=required, metavar="FILE", help="Change map (GeoTIFF)."),
        click.option("--score", type=FilePath, metavar="FILE", help=score),
        click.option(
            "--probability",
            type=FilePath,
            metavar="FILE",
            help="Probability of change, 0 to 1 (GeoTIFF, float32), whatever the score is.",
        ),
        *further,
        click.option("--cog", is_flag=True, help="Write Cloud Optimized GeoTIFFs, with overviews."),
        click.option(
            "--vector",
            type=FilePath,
            metavar="FILE",
            help="Changed regions as polygons (.gpkg, .geojson), with area and mean probability.",
        ),
        click.option(
            "--min-area",
            type=click.FloatRange(min=0),
            metavar="AREA",
            help="Leave out smaller regions; m2 on the ground, on the CRS's own ellipsoid.",
        ),
        click.option(
            "--sieve",
            type=click.IntRange(min=1),
            metavar="N",
            help="Leave out regions of fewer than N pixels; the map keeps them.",
        ),
        click.option(
            "--simplify",
            type=click.FloatRange(min=0, min_open=True),
            metavar="M",
            help="Smooth the regions' outlines: corners go that cut off less than M x M square metres.",
        ),
        click.option("--overwrite", is_flag=True, help="Replace outputs that exist."),
    )


like_option = click.option("--like", type=FilePath, metavar="FILE", help="Take the georeference of this raster.")

provenance_option = click.option(
    "--provenance",
    type=FilePath,
    metavar="FILE",
    help="Keep a record (JSON) of command, files, versions, machine and time. Its folder must be these maps' "
    "alone: what a killed command left half-written in it is removed.",
)
