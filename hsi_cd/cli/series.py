"""``hsi-cd series``: many dates of one place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click

from hsi_cd.api.area_choice import AreaChoice
from hsi_cd.api.sources import Contract
from hsi_cd.cli.options.area_options import area_options
from hsi_cd.cli.options.gathering import gathering
from hsi_cd.cli.options.json_option import json_option
from hsi_cd.cli.options.matrix_options import FORMATS
from hsi_cd.cli.options.output_options import named_files
from hsi_cd.cli.options.pair_options import drop_option, drop_settings, pair_options
from hsi_cd.cli.options.path_type import PathType
from hsi_cd.cli.options.scene_options import parse_bytes
from hsi_cd.cli.telling import document, tell

EPILOG = """\b
Examples:
  hsi-cd series 2019.tif 2020.tif 2021.tif --output series.tif
  hsi-cd series 'scenes/field_{date:%Y%m%d}.tif' --output series.tif --table areas.csv --format csv
  hsi-cd series a.tif b.tif c.tif --dates 2019-06-01,2020-06-14,2021-06-09 --reference 2020-06-14 \\
      --output series.tif
  hsi-cd series a.tif b.tif c.tif --aoi valley.gpkg --output valley.tif
  hsi-cd series a.tif b.tif c.tif --checkpoint runs/mine/best.pt --work work --output series.tif
  hsi-cd series a.tif b.tif c.tif --checkpoint runs/kinds/best.pt --output series.tif --kinds-map kinds.tif
"""


@dataclass(frozen=True)
class Images:
    """The dates, and how they are read.

    Attributes:
        images: files and folders, or one pattern.
        dates: when each was taken, with commas, or None.
        reference: the date that each other one is compared with, or None.
        key: variable of files with several.
        axes: axes of arrays that do not tell them.
        resample: bring single-band files of several pixel sizes to the finest.
        memory: bytes for the scene, or None.
    """

    images: tuple[str, ...]
    dates: str | None
    reference: str | None
    key: str | None
    axes: str | None
    resample: bool
    memory: int | None

    def found(self) -> tuple[list[Path], list[str] | None]:
        """The files, and their days where a pattern or an option tells them.

        Raises:
            click.UsageError: no date is named, or a pattern stands beside files or days.
            ConfigError: the pattern finds nothing, or several places.
        """
        patterns = [image for image in self.images if "{" in image and not Path(image).exists()]
        days = None if self.dates is None else [day.strip() for day in self.dates.split(",")]
        if not patterns:
            return [_path(image) for image in self.images], days
        if len(self.images) > 1 or days is not None:
            raise click.UsageError(f"{patterns[0]!r} names all dates: leave other files and --dates out")
        from hsi_cd.api.dated_patterns import dates_of_pattern

        return dates_of_pattern(patterns[0])


@dataclass(frozen=True)
class Scorer:
    """What scores the pairs.

    Attributes:
        method: a method without labels, or None.
        assignments: its options.
        seed: of methods that draw at random.
        checkpoint: in place of a method, or None.
        refit_statistics: measure each pair's statistics.
        any_units: map values that are far from all that the checkpoint knows.
        device: where a network computes.
    """

    method: str | None
    assignments: tuple[str, ...]
    seed: int
    checkpoint: Path | None
    refit_statistics: bool
    any_units: bool
    device: str

    def chosen(self) -> Any:
        """The method as a value.

        Raises:
            click.UsageError: a method's options beside a checkpoint, or a checkpoint's beside none.
        """
        own = {"--method": self.method, "--set": self.assignments}
        theirs = {"--refit-statistics": self.refit_statistics, "--any-units": self.any_units}
        if self.checkpoint is not None:
            if given := next((name for name, value in own.items() if value), None):
                raise click.UsageError(f"{given} chooses what is fitted, and --checkpoint is: give one of the two")
        elif given := next((name for name, value in theirs.items() if value), None):
            raise click.UsageError(f"{given} is about a checkpoint: give --checkpoint FILE, too")
        from hsi_cd.config import merge, parse_assignment

        options: dict[str, Any] = {}
        for text in self.assignments:
            options = merge(options, parse_assignment(text))
        from hsi_cd.api.many_dates import SeriesMethod
        from hsi_cd.api.method_names import find_method

        method = self.method or "auto"
        if self.checkpoint is None:
            chosen = find_method(method)
            if chosen.needs_labels:
                raise click.UsageError(f"{method} learns from labels: train it, and give its --checkpoint")
            if chosen.fit is None:
                options = {"settings": options}
        how = (self.checkpoint, self.refit_statistics, self.any_units, self.device)
        return SeriesMethod(method, options, self.seed, *how)


@dataclass(frozen=True)
class SeriesOutputs:
    """What is written.

    Attributes:
        output: the raster.
        table: file of the table, or None to print it.
        kind: the table's format.
        cog: write a Cloud Optimized GeoTIFF.
        overwrite: replace files that exist.
        kinds_map: the map of kinds of change, or None.
    """

    output: Path
    table: Path | None
    kind: str
    cog: bool
    overwrite: bool
    kinds_map: Path | None

    def check(self, *, inputs: Sequence[Path]) -> Any:
        """The raster's files, where all could be written.

        Raises:
            OutputError: a file is an input or another output, exists or cannot be written.
            FormatError: a name's ending promises another format.
        """
        from hsi_cd.io import TABLES, check_outputs
        from hsi_cd.io.series_files import SeriesFiles

        files = SeriesFiles(self.output, self.cog, self.overwrite, self.kinds_map)
        files.check(inputs=inputs)
        all_files = {"--output": files.raster, "its style": files.style, "--table": self.table}
        all_files |= {"--kinds-map": files.kinds}
        check_outputs(all_files, inputs=inputs, overwrite=True)
        check_outputs({"--table": self.table}, kind=TABLES[self.kind], overwrite=self.overwrite)
        return files


@click.command(epilog=EPILOG)
@gathering(
    "named",
    Images,
    click.argument("images", metavar="T1 T2 T3...", nargs=-1, required=True),
    click.option(
        "--dates",
        metavar="DAYS",
        help="When each was taken, as 2019-06-01,2020-06-14, in the order of the files [default: as the files "
        "tell, or their names].",
    ),
    click.option(
        "--reference",
        metavar="DATE",
        help="The date that each other one is compared with, by its day or its file; its grid and bands are those "
        "of all [default: the first].",
    ),
    click.option("--key", metavar="NAME", help="Variable of the dates, if their files hold several arrays."),
    click.option("--axes", metavar="AXES", help="Axes of arrays that do not tell them, as bands,rows,cols."),
    click.option("--resample", is_flag=True, help="Bring single-band files of several pixel sizes to the finest."),
    click.option(
        "--memory",
        type=parse_bytes,
        metavar="SIZE",
        help="Memory for two dates at a time, as 500MB or 2GiB; the program takes some 400 MB more "
        "[default: enough, at most half of what is free].",
    ),
)
@pair_options
@area_options
@drop_option
@gathering(
    "scorer",
    Scorer,
    click.option("--method", metavar="NAME", help="A method without labels; see hsi-cd methods  [default: auto]"),
    click.option(
        "--set", "assignments", multiple=True, metavar="NAME=VALUE", help="Change an option of the method."
    ),
    click.option(
        "--seed",
        type=click.IntRange(0, 2**32 - 1),
        default=0,
        show_default=True,
        help="Of methods that draw at random.",
    ),
    click.option("--checkpoint", type=PathType(), metavar="FILE", help="What was trained, in place of a method."),
    click.option("--refit-statistics", is_flag=True, help="Measure each pair's statistics for the checkpoint."),
    click.option("--any-units", is_flag=True, help="Map values that are far from all that the checkpoint knows."),
    click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True),
)
@click.option(
    "--every-pair",
    is_flag=True,
    help="Compare each date with each other one: what came back is told by the two dates' own comparison, and not "
    "through the reference.",
)
@click.option(
    "--work",
    type=PathType(file_okay=False),
    metavar="DIR",
    help="Keep what is fitted and scored in this folder: the same command goes on from there after any stop.",
)
@gathering(
    "outputs",
    SeriesOutputs,
    click.option(
        "--output",
        type=PathType(),
        required=True,
        metavar="FILE",
        help="Raster of seven bands (GeoTIFF); its style lies beside it (.qml).",
    ),
    click.option(
        "--table", type=PathType(), metavar="FILE", help="Write the table of what is called changed to a file."
    ),
    click.option(
        "--kinds-map",
        type=PathType(),
        metavar="FILE",
        help="The kind of the largest change, of those that the checkpoint has learned (GeoTIFF).",
    ),
    click.option("--format", "kind", type=click.Choice(FORMATS), default="text", show_default=True),
    click.option("--cog", is_flag=True, help="Write a Cloud Optimized GeoTIFF, with overviews."),
    click.option("--overwrite", is_flag=True, help="Replace outputs that exist."),
)
@json_option
def series(
    named: Images,
    contract: Contract,
    area: AreaChoice,
    dropped: tuple[str, ...],
    scorer: Scorer,
    every_pair: bool,
    work: Path | None,
    outputs: SeriesOutputs,
    as_json: bool,
) -> None:
    """Compare many dates of one place: when each pixel changed, how often, how much, and what came back.

    The dates T1 T2 T3... are files or folders, or one pattern in quotes, as 'scenes/field_{date:%Y%m%d}.tif'. Each
    date is compared with the next and with the reference; t1 in messages is the earlier one of a pair.
    """
    files, days = named.found()
    if outputs.kinds_map is not None and scorer.checkpoint is None:
        raise click.UsageError("--kinds-map is about kinds that labels taught: give --checkpoint FILE, too")
    how = replace(scorer.chosen(), kinds=outputs.kinds_map is not None)
    raster = outputs.check(inputs=[*files, *named_files(scorer.checkpoint), *area.files])

    from hsi_cd.api.bounding import told_of_area
    from hsi_cd.api.dated_scenes import SeriesSource, opened_series, with_chosen_bands
    from hsi_cd.api.many_dates import compared_series
    from hsi_cd.reporting.series_tables import series_table

    half = None if named.memory is None else named.memory // 2
    source = SeriesSource(files, days, named.reference, named.key, named.axes, named.resample, memory=half)
    dates = opened_series(source, replace(contract, area=area))
    outputs.check(inputs=dates.files)
    dates = with_chosen_bands(dates, **drop_settings(dropped))
    found = compared_series(dates, how, every=every_pair, work=work, memory=half)
    found.write_files(raster)
    words = document(found.areas.to_dict()) if outputs.kind == "json" else series_table(
        found.areas, format=outputs.kind
    )  # fmt: skip
    written = {"series": str(raster.raster), "style": str(raster.style)}
    if raster.kinds is not None:
        written["kinds"] = str(raster.kinds)
    if outputs.table is not None:
        from hsi_cd.io import write_text

        write_text(outputs.table, words + "\n", overwrite=outputs.overwrite)
        written["table"] = str(outputs.table)
    done = told_of_area(dates.area)
    lines = [f"{what}: {path}" for what, path in (written | done).items()]
    text = "\n".join([*lines, *([] if outputs.table is not None else ["", words])])
    record = {
        "files": written,
        "dates": list(dates.days),
        "images": [cube.name for cube in dates.cubes],
        "reference": found.dates.days[found.dates.reference],
        "method": found.method,
        **({"registered": list(found.dates.registered)} if found.dates.registered else {}),
        **done,
        **found.areas.to_dict(),
    }
    tell(text, record, as_json=as_json)


def _path(text: str) -> Path:
    from hsi_cd.paths import as_path

    return as_path(text)
