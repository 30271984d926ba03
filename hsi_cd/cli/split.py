"""``hsi-cd split``."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import click

from hsi_cd.api.sources import SceneSource, TruthSource
from hsi_cd.cli.options.gathering import gathering
from hsi_cd.cli.options.json_option import json_option
from hsi_cd.cli.options.output_options import named_files
from hsi_cd.cli.options.path_type import PathType
from hsi_cd.cli.options.scene_options import data_root_option
from hsi_cd.cli.options.truth_options import aligned_truth_options, check_truth, truth_inputs
from hsi_cd.cli.telling import hint, tell

EPILOG = """\b
Examples:
  hsi-cd split --dataset taizhou --output split.npz
  hsi-cd split --truth truth.tif --protocol P2 --count 50 --seed 3 --output split.csv
  hsi-cd split --truth labels.gpkg --like before.tif --output split.npz
  hsi-cd split --truth truth.tif --protocol P3 --block 32 --output blocks.npz
  hsi-cd train --t1 a.tif --t2 b.tif --truth truth.tif --split blocks.npz
"""


@dataclass(frozen=True)
class Draw:
    """How the pixels that teach are drawn; None for what a run's settings have by default.

    Attributes:
        protocol: id of the protocol.
        seed: of the draw.
        fraction: share of each class.
        count: pixels of each class.
        imbalance: unchanged pixels for each changed one.
        block: edge of a block, pixels.
        radius: half a patch, pixels.
    """

    protocol: str | None
    seed: int
    fraction: float | None
    count: int | None
    imbalance: int | None
    block: int | None
    radius: int | None

    def named(self) -> dict[str, Any]:
        """What is said, by name."""
        return {name: value for name, value in asdict(self).items() if value is not None}


@click.command(epilog=EPILOG)
@click.option("--dataset", metavar="NAME", help="Divide the truth of a benchmark scene.")
@click.option("--kinds", is_flag=True, help="Each kind of change is a class of its own, as for train --kinds.")
@aligned_truth_options
@click.option(
    "--like", type=PathType(), metavar="FILE", help="A raster of the scene, onto whose pixels drawn labels come."
)
@data_root_option
@gathering(
    "draw",
    Draw,
    click.option("--protocol", help="P1, P1-strict, P2, P3, P4 or drawn  [default: drawn for shapes, else P1]"),
    click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True, help="Of the draw."),
    click.option(
        "--fraction",
        type=float,
        help="P1, P1-strict, P3: share of each class that teaches  [default: 0.01]",
    ),
    click.option("--count", type=int, metavar="N", help="P2: pixels of each class that teach  [default: 500]"),
    click.option(
        "--imbalance",
        type=int,
        metavar="N",
        help="P2: unchanged pixels that teach for each changed one  [default: 1]",
    ),
    click.option("--block", type=int, metavar="N", help="P3: edge of a block, in pixels  [default: 32]"),
    click.option(
        "--radius", type=int, metavar="N", help="P3: half a patch, kept clear between the blocks  [default: 6]"
    ),
)
@click.option(
    "--output",
    type=PathType(),
    required=True,
    metavar="FILE",
    help="The split: .npz holds all of it; .mat rows, cols, base, shape and guard; .csv rows and columns from 0.",
)
@click.option("--overwrite", is_flag=True, help="Replace the file if it exists.")
@json_option
def split(
    dataset: str | None,
    kinds: bool,
    truth: TruthSource,
    like: Path | None,
    data_root: Path,
    draw: Draw,
    output: Path,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Say which labelled pixels teach, and keep it as a file.

    Drawn as train draws them under the same protocol and seed. Several trainings, or other software, can then
    learn from the same pixels: train and benchmark take the file by --split, evaluate and import-map leave its
    pixels out of the score.
    """
    from hsi_cd.api.opening import truth_of
    from hsi_cd.api.splitting import check_split_file, count_pixels, count_turns, kind_counts, write_split
    from hsi_cd.api.truths import labels_like
    from hsi_cd.api.verbs import split as divide

    check_truth(truth, dataset)
    read = [*truth_inputs(truth, dataset, data_root), *named_files(like)]
    check_split_file(output, inputs=read, overwrite=overwrite)
    truth = replace(truth, kinds=kinds)
    labels = labels_like(truth, like) if dataset is None else truth_of(SceneSource(dataset, data_root), truth)
    divided = divide(labels, kinds=kinds, **draw.named())
    write_split(output, divided, overwrite=overwrite)
    counts, shapes = count_pixels(divided, labels), count_turns(divided, labels)
    words = {name: f"{c['unchanged']:,} unchanged + {c['changed']:,} changed" for name, c in counts.items()}
    judging = f"the same, {shapes} shapes in turn" if shapes else words["judge"]
    lines = [f"teach    {words['teach']}", f"judge    {judging}"]
    lines += [f"neither  {words['neither']}"] if any(counts["neither"].values()) else []
    told = kind_counts(divided, labels) if kinds else []
    lines += [f"{each.name}: {each.teach:,} teach, {each.judge:,} judge" for each in told]
    record = {
        "split": output,
        "protocol": divided.protocol,
        "seed": divided.seed,
        "shape": divided.shape,
        **counts,
        **({"kinds": [asdict(each) for each in told]} if kinds else {}),
    }
    tell("\n".join([f"split: {output}", *lines]), record, as_json=as_json)
    hint(f"\nnext: hsi-cd train ... --split {output}", as_json=as_json)
