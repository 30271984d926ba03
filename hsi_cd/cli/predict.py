"""``hsi-cd predict``."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hsi_cd.cli.contract import Contract, contract_options, like_checkpoint
from hsi_cd.cli.options import check_scene_options, grid_like, memory_option, open_scene, scene_options
from hsi_cd.cli.outputs import Extras, asked_maps, extra_options, provenance_option, recorded, tell_written

if TYPE_CHECKING:
    from hsi_cd.detectors.base import Detector

EPILOG = """\b
Examples:
  hsi-cd predict --checkpoint runs/mine/best.pt --t1 a.tif --t2 b.tif --output change.tif
  hsi-cd predict --checkpoint runs/mine/best.pt --dataset farmland --output change.tif \\
      --score score.tif --like georeferenced.tif
  hsi-cd predict --checkpoint runs/mine/best.pt --t1 other/a.tif --t2 other/b.tif \\
      --refit-statistics --output other/change.tif
  hsi-cd predict --checkpoint runs/mine/best.pt --t1 a.tif --t2 b.tif --shard 3/8 --output part-3.tif
"""


@click.command(epilog=EPILOG)
@click.option(
    "--checkpoint", type=click.Path(path_type=Path), required=True, metavar="FILE", help="best.pt of a run."
)
@scene_options
@contract_options
@click.option(
    "--output", type=click.Path(path_type=Path), required=True, metavar="FILE", help="Change map (GeoTIFF)."
)
@click.option("--score", type=click.Path(path_type=Path), metavar="FILE", help="Change probabilities (GeoTIFF).")
@click.option(
    "--uncertainty",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Standard deviation of the change probability over the ensemble's members (GeoTIFF).",
)
@click.option("--threshold", type=float, help="Score from which a pixel is changed [default: the checkpoint's].")
@click.option(
    "--refit-statistics",
    is_flag=True,
    help="Measure the bands' means and deviations and the shift on this scene, without labels, in place of the "
    "training scene's. Takes as much memory as training does.",
)
@click.option(
    "--like", type=click.Path(path_type=Path), metavar="FILE", help="Take the georeference of this raster."
)
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True)
@extra_options
@click.option(
    "--precision",
    type=click.Choice(["float32", "bfloat16"]),
    default="float32",
    show_default=True,
    help="Of a network's products. bfloat16, for GPUs that are fast in it, moves probabilities by about 0.01.",
)
@memory_option
@click.option(
    "--shard",
    metavar="I/N",
    help="Map only part I of N, some whole rows of the scene; hsi-cd mosaic joins the parts.",
)
@provenance_option
@click.option("--overwrite", is_flag=True, help="Replace outputs that exist.")
def predict(
    checkpoint: Path,
    dataset: str | None,
    t1: tuple[Path, ...],
    t2: tuple[Path, ...],
    axes: str | None,
    resample: bool,
    t1_key: str | None,
    t2_key: str | None,
    data_root: Path,
    contract: Contract,
    output: Path,
    score: Path | None,
    uncertainty: Path | None,
    threshold: float | None,
    refit_statistics: bool,
    like: Path | None,
    device: str,
    extras: Extras,
    precision: str,
    memory: int | None,
    shard: str | None,
    provenance: Path | None,
    overwrite: bool,
) -> None:
    """Map a scene pair with a trained checkpoint. No labels are read.

    The change map holds 0 unchanged, 1 changed, 255 no data, with colours and the scene's georeference. Scenes
    of any height are read, scored and written in bounded memory; with --shard, by several processes or nodes.
    """
    from hsi_cd.runtime.signals import heed_signals

    context = click.get_current_context()
    context.with_resource(heed_signals())
    check_scene_options(dataset, t1, t2)
    if threshold is not None and math.isnan(threshold):
        raise click.UsageError("--threshold is not a number: give a score, for the network a probability, 0 to 1")
    if shard is not None and (extras.cog or extras.vector is not None):
        option = "--cog" if extras.cog else "--vector"
        raise click.UsageError(f"{option} is for the whole map: give it to hsi-cd mosaic, which joins the shards")
    from hsi_cd.scene import parse_shard

    part = parse_shard(shard) if shard is not None else None
    maps = asked_maps(output, score, uncertainty, overwrite=overwrite)
    pair = open_scene(
        dataset, t1, t2, (t1_key, t2_key), data_root, axes=axes, resample=resample, contract=contract
    )
    grid = grid_like(like, pair.shape) if like is not None else None
    extras.check(grid or pair.grid, overwrite=overwrite)

    from hsi_cd.detectors.checkpoint import file_hash, load_detector
    from hsi_cd.detectors.refit import refit_statistics as refit_detector
    from hsi_cd.inference.mapping import MapOptions, write_maps
    from hsi_cd.io import MapFiles
    from hsi_cd.runtime.device import choose_device

    detector = load_detector(checkpoint, device=choose_device(device))
    if threshold is not None and detector.unit == "probability" and not 0 <= threshold <= 1:
        raise click.UsageError(f"--threshold is {threshold:g}: this checkpoint scores probabilities, give 0 to 1")
    if precision != "float32":
        _lower_precision(detector, precision)
    pair = like_checkpoint(pair, detector.bands, contract=contract)
    files = MapFiles(output, score, uncertainty, extras.vector, extras.min_area, extras.cog, overwrite)
    with recorded(provenance, inputs=[*t1, *t2, checkpoint]):
        if refit_statistics:
            detector = refit_detector(detector, pair)
        how = MapOptions(
            threshold=threshold,
            grid=grid,
            shard=part,
            memory=memory,
            checkpoint=file_hash(checkpoint),
            statistics="refitted on the scene" if refit_statistics else MapOptions.statistics,
        )
        write_maps(detector, pair, files, how)
    if part is not None:
        rows = part.rows(pair.shape[0])
        click.echo(f"shard {part}: rows {rows.start} to {rows.stop - 1} of {pair.shape[0]}")
    tell_written(maps, extras)


def _lower_precision(detector: Detector, precision: str) -> None:
    import torch

    from hsi_cd.detectors.siamese import SiameseDetector

    if not isinstance(detector, SiameseDetector):
        raise click.UsageError(f"--precision {precision} is for networks, and this checkpoint holds none")
    detector.precision = getattr(torch, precision)
