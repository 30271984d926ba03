"""``hsi-cd mosaic``."""

from __future__ import annotations

from pathlib import Path

import click

from hsi_cd.cli.options.json_option import json_option
from hsi_cd.cli.options.output_options import (
    OutputChoice,
    map_record,
    map_told,
    named_files,
    output_options,
    provenance_option,
)
from hsi_cd.cli.options.path_type import PathType
from hsi_cd.cli.provenance_record import recorded
from hsi_cd.cli.telling import tell

EPILOG = """\b
Examples:
  hsi-cd mosaic part-*.tif --output change.tif
  hsi-cd mosaic part-*.tif part-score-*.tif --output change.tif --score score.tif --cog
"""


@click.command(epilog=EPILOG)
@click.argument("shards", metavar="SHARD...", nargs=-1, required=True, type=PathType())
@output_options(uncertainty="Uncertainty of both (GeoTIFF).", kinds=True)
@click.option(
    "--checkpoint",
    type=PathType(),
    metavar="FILE",
    help="The shards' checkpoint: --probability and --vector need it where a method's scores are none.",
)
@provenance_option
@json_option
def mosaic(
    shards: tuple[Path, ...],
    files: OutputChoice,
    checkpoint: Path | None,
    provenance: Path | None,
    as_json: bool,
) -> None:
    """Join the parts that predict --shard wrote: the same file, byte for byte, as of a single process.

    Shards of change map, scores and uncertainty may be named in any order. Those that are missing, there twice, or
    not of one prediction (another checkpoint, threshold, scene, grid or number of shards) are refused.
    """
    files.check(inputs=named_files(*shards, checkpoint), provenance=provenance)
    from hsi_cd.api.mosaicking import join_shards, probabilities_by, read_shards

    found = read_shards(shards)
    files.check_regions(found.grid)
    probability = None if checkpoint is None else probabilities_by(checkpoint, found)
    with recorded(provenance, inputs=shards):
        mapped = join_shards(found, files.named(), probability=probability)
    written = files.told(unit=found.tags.get("SCORE_UNIT", "score"))
    tell(
        "\n".join(f"{what}: {told}" for what, told in (written | map_told(mapped)).items()),
        {"files": written, **map_record(mapped)},
        as_json=as_json,
    )
