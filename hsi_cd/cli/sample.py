"""``hsi-cd sample``: a reference sample of a map, to be interpreted."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

import click

from hsi_cd.api.sources import Contract, SceneSource
from hsi_cd.cli.options.gathering import gathering
from hsi_cd.cli.options.json_option import json_option
from hsi_cd.cli.options.output_options import named_files
from hsi_cd.cli.options.pair_options import pair_options
from hsi_cd.cli.options.path_type import PathType
from hsi_cd.cli.options.point_file_options import PointFiles, point_file_options
from hsi_cd.cli.options.scene_options import check_scene, scene_options
from hsi_cd.cli.telling import hint, tell

EPILOG = """\b
Examples:
  hsi-cd sample change.tif --per-stratum 50 --output sample.gpkg
  hsi-cd sample change.tif --t1 a.tif --t2 b.tif --html points.html --output sample.gpkg
  hsi-cd sample change.tif --standard-error 0.01 --output sample.gpkg
  hsi-cd area change.tif --sample sample.gpkg
"""


@dataclass(frozen=True)
class SampleChoice:
    """What is drawn.

    Attributes:
        per_stratum: least number of points of each class of the map.
        total: number of points of all, or None.
        standard_error: of the overall accuracy that is to be reached, or None.
        seed: of the draw.
    """

    per_stratum: int
    total: int | None
    standard_error: float | None
    seed: int


@click.command(epilog=EPILOG)
@click.argument("map_file", metavar="MAP", type=PathType())
@gathering(
    "choice",
    SampleChoice,
    click.option(
        "--per-stratum",
        type=click.IntRange(min=2),
        default=50,
        show_default=True,
        help="Points of each class of the map, at least; of a smaller class all pixels.",
    ),
    click.option(
        "--total",
        type=click.IntRange(min=4),
        metavar="N",
        help="Points of all classes: what is beyond --per-stratum is shared by area.",
    ),
    click.option(
        "--standard-error",
        type=float,
        metavar="S",
        help="In place of --total: as many as give the overall accuracy this standard error, as 0.01.",
    ),
    click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True, help="Of the draw."),
)
@point_file_options(
    output="The points, with the field reference to be filled in: .gpkg in the map's CRS, .geojson in WGS 84.",
    page="A page that shows both dates around each point; name them by --t1 and --t2, or --dataset.",
)
@scene_options
@pair_options
@json_option
def sample(
    map_file: Path,
    choice: SampleChoice,
    files: PointFiles,
    source: SceneSource,
    contract: Contract,
    as_json: bool,
) -> None:
    """Draw random points of each class of a change map, to be interpreted: the way to the area that changed.

    Open the file in a GIS, look at both dates, and fill the field reference of each point with changed or
    unchanged, or with the kind of change where the map tells kinds apart, whatever the map says there; then
    hsi-cd area tells how much changed, and how good the map is. What that needs (pixels and area of each class, by
    what the map is known again) is in the file.
    """
    named = source.dataset is not None or source.t1 or source.t2
    if named:
        check_scene(source)
    if bool(named) != (files.page is not None):
        missing = "--html FILE" if named else "--t1 FILE and --t2 FILE, or --dataset NAME"
        raise click.UsageError(f"a page of the points is made of two dates: give {missing}, too")
    from hsi_cd.api.area_samples import check_sample_files, sample_map
    from hsi_cd.api.opening import input_files, open_scene
    from hsi_cd.evaluation import BIASED
    from hsi_cd.io import write_text

    read = [*named_files(map_file, files.like), *(input_files(source) if named else ())]
    check_sample_files(files.output, files.page, inputs=read, overwrite=files.overwrite)
    pair = open_scene(source, contract) if named else None
    drawn = sample_map(
        map_file,
        per_stratum=choice.per_stratum,
        total=choice.total,
        standard_error=choice.standard_error,
        seed=choice.seed,
        like=files.like,
        # Of the map 0 and 1 are classes, whatever they are of the dates.
        nodata=[value for value in contract.nodata if not named or value not in (0, 1)],
    )
    page = "" if pair is None else drawn.page(pair)
    drawn.write(files.output, overwrite=files.overwrite)
    lines = [f"sample: {files.output}"]
    if files.page is not None:
        write_text(files.page, page, overwrite=files.overwrite)
        lines.append(f"page:   {files.page}")
    strata = {
        word: {"points": count, "pixels": each.pixels, "area": each.area, "unit": drawn.unit}
        for (word, count), each in zip(drawn.points.items(), drawn.strata, strict=True)
    }
    told = [f"{each['points']} of the {each['pixels']:,} pixels {word}" for word, each in strata.items()]
    lines.append(f"{len(drawn)} points: {', '.join(told)}")
    record = {"output": files.output, "page": files.page, "map": drawn.map, "strata": strata, "note": BIASED}
    tell("\n".join(lines), record, as_json=as_json)
    shown = " ".join(["hsi-cd area", shlex.quote(str(map_file)), "--sample", shlex.quote(str(files.output))])
    hint(f"\nnext: fill the field reference in a GIS, then {shown}", as_json=as_json)
