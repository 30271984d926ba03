"""``hsi-cd detect``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hsi_cd.cli.contract import Contract, contract_options, drop_option, drop_settings
from hsi_cd.cli.options import check_scene_options, grid_like, memory_option, open_scene, scene_options
from hsi_cd.cli.outputs import Extras, asked_maps, extra_options

if TYPE_CHECKING:
    from hsi_cd.config import RunConfig
    from hsi_cd.detectors.base import Detector
    from hsi_cd.detectors.method import Method
    from hsi_cd.scene import ScenePair

EPILOG = """\b
Examples:
  hsi-cd detect --t1 before.tif --t2 after.tif --output change.tif
  hsi-cd detect --method irmad --dataset taizhou --output change.tif --score score.tif
  hsi-cd detect --method cva --set threshold=otsu --t1 a.tif --t2 b.tif --output change.tif
  hsi-cd detect --t1 a.tif --t2 b.tif --save auto.pt      # then predict --checkpoint auto.pt --shard 1/8
"""


@click.command(epilog=EPILOG)
@click.option("--method", default="auto", show_default=True, help="A method without labels; see hsi-cd methods.")
@scene_options
@contract_options
@drop_option
@click.option("--set", "assignments", multiple=True, metavar="NAME=VALUE", help="Change an option of the method.")
@click.option("--output", type=click.Path(path_type=Path), metavar="FILE", help="Change map (GeoTIFF).")
@click.option("--score", type=click.Path(path_type=Path), metavar="FILE", help="Scores (GeoTIFF, float32).")
@click.option(
    "--save",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Keep what was measured as a checkpoint for hsi-cd predict; without --output, nothing is mapped now.",
)
@click.option(
    "--like", type=click.Path(path_type=Path), metavar="FILE", help="Take the georeference of this raster."
)
@click.option(
    "--seed",
    type=click.IntRange(0, 2**32 - 1),
    default=0,
    show_default=True,
    help="Of methods that draw at random.",
)
@extra_options
@memory_option
@click.option("--overwrite", is_flag=True, help="Replace outputs that exist.")
def detect(
    method: str,
    dataset: str | None,
    t1: tuple[Path, ...],
    t2: tuple[Path, ...],
    axes: str | None,
    resample: bool,
    t1_key: str | None,
    t2_key: str | None,
    data_root: Path,
    contract: Contract,
    dropped: tuple[str, ...],
    assignments: tuple[str, ...],
    output: Path | None,
    score: Path | None,
    save: Path | None,
    like: Path | None,
    seed: int,
    extras: Extras,
    memory: int | None,
    overwrite: bool,
) -> None:
    """Map a scene pair without any label or training.

    The method measures the scene in streaming passes, chooses a threshold from its own scores, and writes the
    change map like predict does.
    """
    check_scene_options(dataset, t1, t2)
    if output is None and (save is None or score is not None or extras != Extras()):
        raise click.UsageError("no map is named: give --output FILE, or --save FILE alone to map the scene later")
    from hsi_cd.config import parse_assignment
    from hsi_cd.io import check_output

    asked_maps(output, score, overwrite=overwrite)
    if save is not None:
        check_output(save, overwrite=overwrite)
    options = {name: value for text in assignments for name, value in parse_assignment(text).items()}
    pair = open_scene(
        dataset, t1, t2, (t1_key, t2_key), data_root, axes=axes, resample=resample, contract=contract
    )
    grid = grid_like(like, pair.shape) if like is not None else None
    extras.check(grid or pair.grid, overwrite=overwrite)

    from hsi_cd.detectors.registry import find_method
    from hsi_cd.inference.mapping import MapOptions, write_maps
    from hsi_cd.io import MapFiles
    from hsi_cd.prepare.band_choice import choose_bands

    chosen = find_method(method)
    if chosen.needs_labels:
        raise click.UsageError(
            f"{method} learns from labels: use hsi-cd train --method {method}, or another method"
        )
    pair = choose_bands(pair, **drop_settings(dropped))
    fit = chosen.fit
    detector = (
        fit(pair, options=options, seed=seed) if fit else _train(pair, _configuration(chosen, options, seed))
    )
    if save is not None:
        from hsi_cd.detectors.checkpoint import save_checkpoint

        config = _configuration(chosen, options, seed)
        save_checkpoint(save, detector, method=chosen.name, config=config.model_dump())
        click.echo(f"checkpoint: {save}")
    if output is not None:
        files = MapFiles(output, score, None, extras.vector, extras.min_area, extras.cog, overwrite)
        write_maps(detector, pair, files, MapOptions(grid=grid, memory=memory, look_at_shift=False))
        click.echo(f"change map: {output}" + (f"\nscores: {score}" if score else ""))
    if extras.vector is not None:
        click.echo(f"changed regions: {extras.vector}")
    click.echo(f"threshold {detector.threshold:.4g} ({detector.unit}), method {chosen.title}")


def _configuration(method: Method, options: dict[str, Any], seed: int) -> RunConfig:
    """The configuration with which hsi-cd train would come by the same detector."""
    from hsi_cd.config import resolve

    settings = options if method.fit is None else {"options": options}
    return resolve([("--set", settings), ("options", {"method": method.name, "seed": seed})])


def _train(pair: ScenePair, config: RunConfig) -> Detector:
    """A network that teaches itself; what a run folder would hold is dropped."""
    import tempfile

    import numpy as np

    from hsi_cd.prepare.measurement import Measurement
    from hsi_cd.runtime.device import choose_device
    from hsi_cd.runtime.seeding import seed_everything
    from hsi_cd.training.fitting import learn

    generator = seed_everything(config.seed, deterministic=config.deterministic)
    none = np.empty(0, dtype=np.int64)
    with tempfile.TemporaryDirectory() as folder:
        device = choose_device(config.device)
        return learn(
            Measurement(pair), none, none, config, Path(folder), generator=generator, device=device
        ).detector
