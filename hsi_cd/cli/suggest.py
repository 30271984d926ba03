"""``hsi-cd suggest``: where to draw next."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

import click

from hsi_cd.api.area_choice import AreaChoice
from hsi_cd.api.sources import Contract, SceneSource
from hsi_cd.cli.options.area_options import area_place_options
from hsi_cd.cli.options.gathering import gathering
from hsi_cd.cli.options.json_option import json_option
from hsi_cd.cli.options.pair_options import pair_options
from hsi_cd.cli.options.path_type import PathType
from hsi_cd.cli.options.point_file_options import PointFiles, point_file_options
from hsi_cd.cli.options.scene_options import check_scene, scene_options
from hsi_cd.cli.telling import hint, tell

EPILOG = """\b
Examples:
  hsi-cd suggest runs/mine --number 20 --output next.gpkg --html next.html
  hsi-cd suggest runs/mine --t1 a.tif --t2 b.tif --kind points --output next.geojson
  hsi-cd train --t1 a.tif --t2 b.tif --truth labels.gpkg --truth next.gpkg --start-from runs/mine
"""

_KINDS = ("points", "squares")  # those of api.suggesting, which is not imported here: the help comes at once


@dataclass(frozen=True)
class PlaceChoice:
    """What is suggested.

    Attributes:
        number: of places.
        kind: points or squares.
        seed: of the draw.
    """

    number: int
    kind: str
    seed: int


@click.command(epilog=EPILOG)
@click.argument("run", metavar="RUN", type=PathType())
@gathering(
    "choice",
    PlaceChoice,
    click.option("--number", type=click.IntRange(min=1), default=20, show_default=True, help="Of places."),
    click.option(
        "--kind",
        type=click.Choice(_KINDS),
        default="squares",
        show_default=True,
        help="The outline of each place, which is 3 x 3 pixels, or the point in its middle.",
    ),
    click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True, help="Of the draw."),
)
@point_file_options(
    output="The places, with the field class to be filled in: .gpkg in the scene's CRS, .geojson in WGS 84.",
    page="A page that shows both dates around each place.",
)
@scene_options
@pair_options
@area_place_options
@json_option
def suggest(
    run: Path,
    choice: PlaceChoice,
    files: PointFiles,
    source: SceneSource,
    contract: Contract,
    area: AreaChoice,
    as_json: bool,
) -> None:
    """Say where to draw next: places of a run's scene whose labels would teach most.

    The places are uncertain in the run's map, unlike what is labelled and unlike each other, and far apart. Open
    the file in a GIS, fill the field class of each with changed or unchanged, and train with both files. Places
    are compared by the pictures of both dates that the run keeps, or, where the dates are named, by all bands.
    """
    from hsi_cd.api.opening import open_scene
    from hsi_cd.api.suggesting import can_start_from, check_suggestions
    from hsi_cd.api.suggesting import suggest as find_places

    named = source.dataset is not None or source.t1 or source.t2
    if named:
        check_scene(source)
    check_suggestions(run, output=files.output, page=files.page, like=files.like, overwrite=files.overwrite)
    pair = open_scene(source, contract) if named else None
    found = find_places(
        run,
        choice.number,
        kind=choice.kind,  # type: ignore[arg-type]
        pair=pair,
        within=area if area.is_named else None,
        seed=choice.seed,
    )
    found.write(files.output, like=files.like, overwrite=files.overwrite)
    lines = [f"places: {files.output}"]
    if files.page is not None:
        found.write_page(files.page, overwrite=files.overwrite)
        lines.append(f"page:   {files.page}")
    places = [
        {"shape": shape, "row": row, "col": col, "probability": probability}
        for shape, (row, col, probability) in enumerate(
            zip(
                found.places.rows.tolist(),
                found.places.cols.tolist(),
                found.probability.tolist(),
                strict=True,
            ),
            start=1,
        )
    ]
    record = {"output": files.output, "page": files.page, "distance": found.places.distance, "places": places}
    lines.append(f"{len(found)} {choice.kind}, at least {found.places.distance:.0f} pixels apart")
    tell("\n".join(lines), record, as_json=as_json)
    words = ["hsi-cd train ... --truth", shlex.quote(str(files.output))]
    if can_start_from(run):
        words += ["--start-from", shlex.quote(str(run))]
    hint(f"\nnext: fill the field class in a GIS, then {' '.join(words)}", as_json=as_json)
