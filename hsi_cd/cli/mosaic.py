"""``hsi-cd mosaic``."""

from __future__ import annotations

from pathlib import Path

import click

from hsi_cd.cli.outputs import Extras, asked_maps, extra_options, provenance_option, recorded, tell_written

EPILOG = """\b
Examples:
  hsi-cd mosaic part-*.tif --output change.tif
  hsi-cd mosaic part-*.tif part-score-*.tif --output change.tif --score score.tif --cog
"""


@click.command(epilog=EPILOG)
@click.argument("files", metavar="SHARD...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--output", type=click.Path(path_type=Path), required=True, metavar="FILE", help="Change map (GeoTIFF)."
)
@click.option("--score", type=click.Path(path_type=Path), metavar="FILE", help="Change probabilities (GeoTIFF).")
@click.option(
    "--uncertainty", type=click.Path(path_type=Path), metavar="FILE", help="Uncertainty of both (GeoTIFF)."
)
@click.option(
    "--checkpoint",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The shards' checkpoint: needed for --vector where a method's scores are no probabilities.",
)
@extra_options
@provenance_option
@click.option("--overwrite", is_flag=True, help="Replace outputs that exist.")
def mosaic(
    files: tuple[Path, ...],
    output: Path,
    score: Path | None,
    uncertainty: Path | None,
    checkpoint: Path | None,
    extras: Extras,
    provenance: Path | None,
    overwrite: bool,
) -> None:
    """Join the parts that predict --shard wrote: the same file, byte for byte, as of a single process.

    Shards of change map, scores and uncertainty may be named in any order. Those that are missing, there twice, or
    not of one prediction (another checkpoint, threshold, scene, grid or number of shards) are refused.
    """
    from hsi_cd.runtime.signals import heed_signals

    click.get_current_context().with_resource(heed_signals())
    maps = asked_maps(output, score, uncertainty, overwrite=overwrite)
    from hsi_cd.io import MapFiles, join_shards, read_shards

    shards = read_shards(files)
    extras.check(shards.grid, overwrite=overwrite)
    probability = None
    if checkpoint is not None:
        import torch

        from hsi_cd.detectors.checkpoint import file_hash, load_detector
        from hsi_cd.errors import CheckpointError

        probability = load_detector(checkpoint, device=torch.device("cpu")).probability
        if file_hash(checkpoint) != shards.tags.get("CHECKPOINT_SHA256"):
            raise CheckpointError(f"checkpoint {checkpoint} did not make these shards: give the one that did")
    with recorded(provenance, inputs=files):
        made = MapFiles(output, score, uncertainty, extras.vector, extras.min_area, extras.cog, overwrite)
        join_shards(shards, made, probability=probability)
    tell_written(maps, extras)
