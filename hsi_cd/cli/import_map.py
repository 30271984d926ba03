"""``hsi-cd import-map``."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import click

from hsi_cd.api.sources import SceneSource, TruthSource
from hsi_cd.cli.options.gathering import gathering
from hsi_cd.cli.options.json_option import json_option
from hsi_cd.cli.options.pair_options import nodata_option
from hsi_cd.cli.options.path_type import PathType
from hsi_cd.cli.options.scene_options import data_root_option
from hsi_cd.cli.options.truth_options import aligned_truth_options, check_truth
from hsi_cd.cli.telling import hint, tell

EPILOG = """\b
Examples:
  hsi-cd import-map mine.npy --name "My method" --like runs/taizhou/svm-P1-seed0 --run runs/taizhou/mine
  hsi-cd import-map mine.tif --name "My method" --dataset taizhou --split split.npz --run runs/taizhou/mine
  hsi-cd table runs/taizhou
"""

FILE = PathType()


@dataclass(frozen=True)
class MapChoice:
    """The map, as it was named.

    Attributes:
        map_file: its file.
        name: what tables call the method.
        score_file: file of its scores, or None.
        key: variable of a file with several.
        nodata: values that mean no data, beside those that the files declare.
    """

    map_file: Path
    name: str
    score_file: Path | None
    key: str | None
    nodata: tuple[float, ...]


@click.command("import-map", epilog=EPILOG)
@gathering(
    "made",
    MapChoice,
    click.argument("map_file", metavar="MAP", type=FILE),
    click.option("--name", required=True, metavar="TEXT", help="What tables call the method."),
    click.option(
        "--score", "score_file", type=FILE, metavar="FILE", help="Scores of the map; higher is more change."
    ),
    click.option("--key", metavar="NAME", help="Variable of the map, if it is a file with several."),
    nodata_option,
)
@click.option("--run", "folder", required=True, type=FILE, metavar="DIR", help="The run folder that is made.")
@click.option(
    "--like",
    type=FILE,
    metavar="RUN",
    help="A run of hsi-cd on this scene: its truth, split and pictures are taken.",
)
@click.option("--dataset", metavar="NAME", help="A benchmark scene; with --truth, the scene's name.")
@aligned_truth_options
@data_root_option
@click.option("--split", "split_file", type=FILE, metavar="FILE", help="The pixels that taught, as for train.")
@json_option
def import_map(
    made: MapChoice,
    folder: Path,
    like: Path | None,
    dataset: str | None,
    truth: TruthSource,
    data_root: Path,
    split_file: Path | None,
    as_json: bool,
) -> None:
    """Bring a change map made by other code into the tables, as a row with a name.

    The map (GeoTIFF, ENVI, PNG, NumPy, MATLAB; 0 unchanged, 1 changed or kinds of change, 255 no data) is judged
    as a run of hsi-cd is, and kept as a run folder: table, figure and report take it like any other. --split names
    the pixels that taught; they do not judge.
    """
    from hsi_cd.api.foreign_maps import import_map as bring_in
    from hsi_cd.api.foreign_maps import open_foreign_map
    from hsi_cd.api.opening import open_split, truth_of
    from hsi_cd.api.run_folders import open_run
    from hsi_cd.errors import MissingInputError
    from hsi_cd.reporting import score_table

    if like is not None and (dataset is not None or truth.source or split_file is not None):
        raise click.UsageError("--like brings truth and split: leave --dataset, --truth and --split out")
    found = open_foreign_map(
        made.map_file, name=made.name, score=made.score_file, key=made.key, nodata=made.nodata
    )
    if like is not None:
        model = open_run(like)
        labels, split, overview = model.labels(), model.split, model.overview
        dataset = model.result.dataset
        if labels is None:
            raise MissingInputError(
                f"{like} holds no overview.npz with its truth: name truth and split themselves"
            )
    else:
        named = None if truth.source else dataset
        check_truth(truth, named)
        told = truth if named is None else replace(truth, kinds=found.mapped.kinds is not None)
        labels = truth_of(SceneSource(named, data_root), told, found.grid)
        split, overview = None if split_file is None else open_split(split_file, labels), None
    labels = replace(labels, name=dataset or labels.name)
    command = click.get_current_context().obj or ()
    result = bring_in(found, labels, folder=folder, split=split, overview=overview, command=command)
    tell(score_table(result), {"run": folder, "result": result.to_dict()}, as_json=as_json)
    hint(f"\nrun: {folder}", as_json=as_json)
