"""``hsi-cd import-map``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hsi_cd.cli.options import data_root_option, read_truth, truth_options

if TYPE_CHECKING:
    from hsi_cd.scene import LabelScheme

EPILOG = """\b
Examples:
  hsi-cd import-map mine.npy --name "My method" --like runs/taizhou/svm-P1-seed0 --run runs/taizhou/mine
  hsi-cd import-map mine.tif --name "My method" --dataset taizhou --split split.npz --run runs/taizhou/mine
  hsi-cd table runs/taizhou
"""

FILE = click.Path(path_type=Path)


@click.command("import-map", epilog=EPILOG)
@click.argument("map_file", metavar="MAP", type=FILE)
@click.option("--name", required=True, metavar="TEXT", help="What tables call the method.")
@click.option("--run", "folder", required=True, type=FILE, metavar="DIR", help="The run folder that is made.")
@click.option(
    "--like",
    type=FILE,
    metavar="RUN",
    help="A run of hsi-cd on this scene: its truth, split and pictures are taken.",
)
@click.option("--dataset", metavar="NAME", help="A benchmark scene; with --truth, the scene's name.")
@truth_options
@data_root_option
@click.option("--split", "split_file", type=FILE, metavar="FILE", help="split.npz: the pixels that taught.")
@click.option("--score", "score_file", type=FILE, metavar="FILE", help="Scores of the map; higher is more change.")
@click.option("--key", metavar="NAME", help="Variable of the map, if it is a file with several.")
def import_map(
    map_file: Path,
    name: str,
    folder: Path,
    like: Path | None,
    dataset: str | None,
    truth: tuple[Path, ...],
    truth_key: str | None,
    scheme: LabelScheme | None,
    data_root: Path,
    split_file: Path | None,
    score_file: Path | None,
    key: str | None,
) -> None:
    """Bring a change map made by other code into the tables, as a row with a name.

    The map (GeoTIFF, ENVI, PNG, NumPy, MATLAB; 0 unchanged, 1 changed, 255 no data) is judged as a run of hsi-cd
    is, and kept as a run folder: table, figure and report take it like any other. --split names the pixels that
    taught; they do not judge.
    """
    from hsi_cd.api.import_map import import_map as bring_in
    from hsi_cd.cli.run_folders import open_run
    from hsi_cd.errors import MissingInputError
    from hsi_cd.io import read_map, read_scores
    from hsi_cd.io.split_files import read_split
    from hsi_cd.reporting import score_table

    if like is not None and (dataset is not None or truth or split_file is not None):
        raise click.UsageError("--like brings truth and split: leave --dataset, --truth and --split out")
    change, grid = read_map(map_file, key=key)
    score = None if score_file is None else read_scores(score_file)
    if like is not None:
        model = open_run(like)
        labels, split, overview = model.labels(), model.split, model.overview
        dataset = model.result.dataset
        if labels is None:
            raise MissingInputError(
                f"{like} holds no overview.npz with its truth: name truth and split themselves"
            )
    else:
        labels = read_truth(None if truth else dataset, truth, truth_key, data_root, scheme=scheme)
        split, overview = None if split_file is None else read_split(split_file), None
    result = bring_in(
        change,
        grid,
        replace(labels, name=dataset or labels.name),
        name=name,
        folder=folder,
        split=split,
        score=score,
        overview=overview,
        command=click.get_current_context().obj or (),
    )
    click.echo(score_table(result))
    click.echo(f"\nrun: {folder}")
