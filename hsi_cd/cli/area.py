"""``hsi-cd area``: how much changed, from an interpreted sample of a map."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click

from hsi_cd.api.sources import TruthSource
from hsi_cd.cli.options.gathering import gathering
from hsi_cd.cli.options.json_option import STANDARD_OUTPUT, json_file_option, tell_to_file
from hsi_cd.cli.options.matrix_options import FORMATS
from hsi_cd.cli.options.output_options import named_files
from hsi_cd.cli.options.pair_options import nodata_option
from hsi_cd.cli.options.path_type import PathType
from hsi_cd.cli.telling import document

EPILOG = """\b
Examples:
  hsi-cd area change.tif --sample sample.gpkg
  hsi-cd area change.tif --sample sample.gpkg --changed burnt --unchanged forest,meadow --ignore cloud
  hsi-cd area change.tif --sample sample.gpkg --format latex --output area.tex --json area.json
"""


@dataclass(frozen=True)
class Interpreted:
    """What the points say, and where.

    Attributes:
        layer: the layer of the file, or None.
        field: the field that tells the class, or None for ``reference``.
        changed: values that mean changed, with commas, or None.
        unchanged: values that mean unchanged, or None.
        ignore: values of points that are left out, or None.
    """

    layer: str | None
    field: str | None
    changed: str | None
    unchanged: str | None
    ignore: str | None


@click.command(epilog=EPILOG)
@click.argument("map_file", metavar="MAP", type=PathType())
@click.option(
    "--sample",
    "sample_file",
    type=PathType(),
    required=True,
    metavar="FILE",
    help="What hsi-cd sample drew of this map, with the field reference filled in.",
)
@gathering(
    "interpreted",
    Interpreted,
    click.option("--layer", metavar="NAME", help="Layer of the sample, where the file has several."),
    click.option("--field", metavar="NAME", help="Field that tells the class  [default: reference]"),
    click.option("--changed", metavar="VALUES", help="Values that mean changed, as burnt,built."),
    click.option("--unchanged", metavar="VALUES", help="Values that mean unchanged."),
    click.option("--ignore", metavar="VALUES", help="Values of points that nobody could interpret."),
)
@nodata_option
@click.option("--format", "kind", type=click.Choice(FORMATS), default="text", show_default=True)
@click.option("--output", type=PathType(), metavar="FILE", help="Write the table to a file.")
@json_file_option("all numbers")
@click.option("--overwrite", is_flag=True, help="Replace files that exist.")
def area(
    map_file: Path,
    sample_file: Path,
    interpreted: Interpreted,
    nodata: tuple[float, ...],
    kind: str,
    output: Path | None,
    json_file: Path | None,
    overwrite: bool,
) -> None:
    """Tell how much changed, and how good a map is, each with its 95 % interval, from a sample of the map.

    The stratified estimators of Olofsson et al. (2014): area of each class in hectares on the ellipsoid of the
    map's CRS, user's, producer's and overall accuracy. Points that nobody interpreted are left out, which is told.
    """
    from hsi_cd.api.area_estimates import estimate_area
    from hsi_cd.cli.options.truth_options import label_scheme
    from hsi_cd.io import JSON, TABLES, check_outputs, write_text
    from hsi_cd.reporting.area_tables import area_table

    read = named_files(map_file, sample_file)
    numbers = None if json_file == STANDARD_OUTPUT else json_file
    check_outputs({"--output": output, "--json": numbers}, inputs=read, overwrite=overwrite)
    check_outputs({"--output": output}, kind=TABLES[kind], overwrite=overwrite)
    check_outputs({"--json": numbers}, kind=JSON, overwrite=overwrite)
    scheme = label_scheme(interpreted.changed, interpreted.unchanged, interpreted.ignore)
    found = estimate_area(
        map_file,
        TruthSource(sample_file, scheme=scheme, layer=interpreted.layer, field=interpreted.field),
        nodata=nodata,
    )
    words = document(found.to_dict()) if kind == "json" else area_table(found, format=kind)
    if output is not None:
        write_text(output, words + "\n", overwrite=overwrite)
        words = f"table: {output}"
    tell_to_file(words, found.to_dict(), json_file, what="numbers", overwrite=overwrite)
