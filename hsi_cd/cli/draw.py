"""``hsi-cd draw``: labels as people draw them, from a truth map."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, replace
from pathlib import Path

import click

from hsi_cd.api.sources import SceneSource, TruthSource
from hsi_cd.cli.options.gathering import gathering
from hsi_cd.cli.options.json_option import json_option
from hsi_cd.cli.options.path_type import PathType
from hsi_cd.cli.options.scene_options import data_root_option
from hsi_cd.cli.options.truth_options import check_truth, truth_inputs, truth_options
from hsi_cd.cli.telling import hint, tell

EPILOG = """\b
Examples:
  hsi-cd draw truth.tif --shapes 15 --output labels.gpkg
  hsi-cd draw truth.tif --shapes 5,15,50 --kind points --seed 3 --output labels.gpkg
  hsi-cd draw truth.png --changed 2 --unchanged 1 --like before.tif --output labels.geojson
  hsi-cd train --t1 a.tif --t2 b.tif --truth labels.gpkg
"""

_KINDS = ("points", "squares", "blobs")  # those of api.drawing, which is not imported here: the help comes at once


@dataclass(frozen=True)
class DrawChoice:
    """What is drawn.

    Attributes:
        shapes: shapes of each class, a drawing for each number.
        kind: points, squares or blobs.
        seed: of the draw.
    """

    shapes: tuple[int, ...]
    kind: str
    seed: int


def _numbers(_: click.Context, __: click.Parameter, text: str) -> tuple[int, ...]:
    try:
        found = tuple(int(part) for part in text.split(","))
    except ValueError:
        found = ()
    if not found or min(found) < 1 or len(set(found)) < len(found):
        raise click.BadParameter(f"{text!r} is no number of shapes: give one from 1, or several, as 5,15,50")
    return found


@click.command(epilog=EPILOG)
@click.argument("maps", metavar="[TRUTH]...", type=PathType(), nargs=-1)
@click.option("--dataset", metavar="NAME", help="Draw over the truth of a benchmark scene.")
@truth_options
@data_root_option
@gathering(
    "choice",
    DrawChoice,
    click.option(
        "--shapes",
        default="15",
        show_default=True,
        metavar="N[,N...]",
        callback=_numbers,
        help="Shapes of each class. Several numbers make a file each, whose name ends in the number.",
    ),
    click.option(
        "--kind",
        type=click.Choice(_KINDS),
        default="squares",
        show_default=True,
        help="Single pixels, squares of 3 x 3, or irregular areas of 5 to 40 pixels.",
    ),
    click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True, help="Of the draw."),
)
@click.option("--like", type=PathType(), metavar="FILE", help="Take the place of this image of the same pixels.")
@click.option(
    "--output",
    type=PathType(),
    required=True,
    metavar="FILE",
    help="The labels, with the fields class and shape: .gpkg in the scene's CRS, .geojson in WGS 84.",
)
@click.option("--overwrite", is_flag=True, help="Replace files that exist.")
@json_option
def draw(
    maps: tuple[Path, ...],
    dataset: str | None,
    truth: TruthSource,
    data_root: Path,
    choice: DrawChoice,
    like: Path | None,
    output: Path,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Draw labels over a truth map as people do, to measure what such labels are worth.

    Shapes lie inside the objects of TRUTH, away from their borders where there is room, as many of each class, in
    a part of the scene that shows both classes; the view moves on when nothing is left to draw in it. The first
    shapes of a larger drawing with the same seed are those of a smaller one. Two maps are the masks of changed,
    then of unchanged pixels.
    """
    from hsi_cd.api.drawing import check_drawing, numbered, open_truth, write_labels
    from hsi_cd.api.drawing import draw as draw_over

    if maps and truth.source:
        raise click.UsageError("a truth map is named twice: leave --truth out, and name it once")
    truth = replace(truth, source=maps or truth.source)
    check_truth(truth, dataset)
    files = numbered(output, choice.shapes)
    labels = open_truth(SceneSource(dataset, data_root), truth, like=like)
    inputs = [*truth_inputs(truth, dataset, data_root), *([] if like is None else [like])]
    check_drawing(files.values(), labels, like=like, inputs=inputs, overwrite=overwrite)
    drawn = {
        count: draw_over(labels, count, kind=choice.kind, seed=choice.seed)  # type: ignore[arg-type]
        for count in files
    }
    record, lines = [], []
    for count, path in files.items():
        write_labels(drawn[count], path, like=like, overwrite=overwrite)
        unchanged, changed, _ = drawn[count].counts()
        record.append({"labels": path, "shapes": count, "unchanged": unchanged, "changed": changed})
        lines.append(
            f"labels: {path}  {count:,} {choice.kind} a class, "
            f"{unchanged:,} unchanged + {changed:,} changed pixels"
        )
    tell("\n".join(lines), {"kind": choice.kind, "seed": choice.seed, "drawings": record}, as_json=as_json)
    hint(f"\nnext: hsi-cd train ... --truth {shlex.quote(str(next(iter(files.values()))))}", as_json=as_json)
