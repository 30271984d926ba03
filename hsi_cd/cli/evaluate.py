"""``hsi-cd evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from hsi_cd.cli.options import data_root_option, read_truth, truth_options

if TYPE_CHECKING:
    from hsi_cd.scene import LabelScheme

EPILOG = """\b
Examples:
  hsi-cd evaluate change.tif --truth truth.tif
  hsi-cd evaluate runs/mine/change.tif --dataset taizhou --exclude runs/mine/split.npz --json scores.json
"""


@click.command(epilog=EPILOG)
@click.argument("map_file", metavar="MAP", type=click.Path(path_type=Path))
@click.option("--dataset", metavar="NAME", help="Judge against the truth of a benchmark scene.")
@truth_options
@data_root_option
@click.option(
    "--exclude", type=click.Path(path_type=Path), metavar="FILE", help="split.npz: leave its pixels out."
)
@click.option(
    "--json", "json_file", type=click.Path(path_type=Path), metavar="FILE", help="Write the scores as JSON."
)
@click.option("--overwrite", is_flag=True, help="Replace the JSON file if it exists.")
def evaluate(
    map_file: Path,
    dataset: str | None,
    truth: tuple[Path, ...],
    truth_key: str | None,
    scheme: LabelScheme | None,
    data_root: Path,
    exclude: Path | None,
    json_file: Path | None,
    overwrite: bool,
) -> None:
    """Score a change map against a truth map.

    Only labelled pixels count. With --exclude, the pixels that a run was trained on judge nothing; without it,
    a map made by a trained method is scored on its own training pixels too, and the table says so.
    """
    from hsi_cd.evaluation import judge_map, score_table
    from hsi_cd.io import check_output, read_map, write_json
    from hsi_cd.io.splits import read_split
    from hsi_cd.scene import check_same_grid

    if json_file is not None:
        check_output(json_file, overwrite=overwrite)
    change, grid = read_map(map_file)
    labels = read_truth(dataset, truth, truth_key, data_root, scheme=scheme)
    names = ("the map", f"the truth ({labels.name})")
    check_same_grid(grid, labels.grid, names=names, remedy="give the truth map of this scene, on its grid")
    split = read_split(exclude) if exclude is not None else None
    result = judge_map(change, labels, split=split, dataset=dataset or labels.name, method=map_file.name)
    if json_file is not None:
        write_json(json_file, result.to_dict(), overwrite=overwrite)
    click.echo(score_table(result))
    if json_file is not None:
        click.echo(f"\nscores: {json_file}")
