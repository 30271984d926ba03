"""``hsi-cd evaluate``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from hsi_cd.api.area_choice import AreaChoice
from hsi_cd.api.sources import SceneSource, TruthSource
from hsi_cd.cli.options.area_options import area_place_options
from hsi_cd.cli.options.json_option import STANDARD_OUTPUT, json_file_option, tell_to_file
from hsi_cd.cli.options.output_options import named_files
from hsi_cd.cli.options.pair_options import nodata_option
from hsi_cd.cli.options.path_type import PathType
from hsi_cd.cli.options.scene_options import data_root_option
from hsi_cd.cli.options.truth_options import aligned_truth_options, check_truth, truth_inputs

EPILOG = """\b
Examples:
  hsi-cd evaluate change.tif --truth truth.tif
  hsi-cd evaluate change.tif --truth labels.gpkg --field class
  hsi-cd evaluate change.tif --truth truth.tif --aoi valley.gpkg
  hsi-cd evaluate runs/mine/change.tif --dataset taizhou --exclude runs/mine/split.npz --json scores.json
"""


@click.command(epilog=EPILOG)
@click.argument("map_file", metavar="MAP", type=PathType())
@click.option("--dataset", metavar="NAME", help="Judge against the truth of a benchmark scene.")
@aligned_truth_options
@data_root_option
@area_place_options
@click.option(
    "--exclude",
    type=PathType(),
    metavar="FILE",
    help="split.npz, or another file that --split of train takes: leave its pixels out.",
)
@nodata_option
@click.option(
    "--protocol",
    type=click.Choice(["P4"]),
    help="P4: no label of this scene taught the map; all of them judge.",
)
@json_file_option("the scores")
@click.option("--overwrite", is_flag=True, help="Replace the JSON file if it exists.")
def evaluate(
    map_file: Path,
    dataset: str | None,
    truth: TruthSource,
    data_root: Path,
    area: AreaChoice,
    exclude: Path | None,
    nodata: tuple[float, ...],
    protocol: str | None,
    json_file: Path | None,
    overwrite: bool,
) -> None:
    """Score a change map against a truth map, or drawn labels, which are put on the map's pixels.

    Only labelled pixels count. Where map and truth tell kinds of change apart, which go by their numbers, the map
    is judged by them, too. With --exclude, the pixels that a run was trained on judge nothing; without it, a map
    made by a trained method is scored on its own training pixels too, and the table says so. With --protocol P4,
    the map is said to come from no label of this scene: a method without labels, or one trained elsewhere.
    """
    if protocol is not None and exclude is not None:
        raise click.UsageError("--protocol P4 says that no pixel of this scene taught: leave --exclude out")
    from hsi_cd.api.area_samples import opened_map
    from hsi_cd.api.opening import truth_of
    from hsi_cd.api.verbs import evaluate as judge
    from hsi_cd.io import JSON, check_outputs
    from hsi_cd.reporting.tables import score_table

    check_truth(truth, dataset)
    if json_file != STANDARD_OUTPUT:
        read = [*truth_inputs(truth, dataset, data_root), *named_files(map_file, exclude), *area.files]
        check_outputs({"--json": json_file}, kind=JSON, inputs=read, overwrite=overwrite)
    labels: Any = truth
    if dataset is not None:  # of a scene's two truths, the one that tells kinds judges a map of them
        kinds = opened_map(map_file, nodata).kinds is not None
        labels = truth_of(SceneSource(dataset, data_root), replace(truth, kinds=kinds))
    where = {"aoi": area.aoi, "bounds": area.bounds, "bounds_crs": area.bounds_crs}
    result = judge(map_file, labels, exclude=exclude, protocol=protocol, name=dataset, nodata=nodata, **where)
    tell_to_file(score_table(result), result.to_dict(), json_file, what="scores", overwrite=overwrite)
