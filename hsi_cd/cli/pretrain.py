"""``hsi-cd pretrain``."""

from __future__ import annotations

import time
from pathlib import Path

import click

from hsi_cd.cli.contract import Contract, contract_options, drop_option, drop_settings
from hsi_cd.cli.options import open_scene, scene_options
from hsi_cd.cli.settings import Layers, run_config

EPILOG = """\b
Examples:
  hsi-cd pretrain --dataset taizhou --task masked --run runs/pre
  hsi-cd pretrain --t1 before.tif --t2 after.tif --task vae --set pretrain.latent=8
  hsi-cd pretrain --dataset taizhou --task masked --run runs/pre --resume
  hsi-cd train --dataset taizhou --set train.pretrained=runs/pre/encoder.pt

The settings of bands, prepare and model must be those of the training that starts from it;
hsi-cd config lists every setting that --set and --config can change.
"""


@click.command(epilog=EPILOG)
@scene_options
@contract_options
@drop_option
@click.option(
    "--task",
    metavar="NAME",
    help="masked (fill in hidden channels) or vae (code patches in few numbers) [default: masked].",
)
@click.option(
    "--config", "config_file", type=click.Path(path_type=Path), metavar="FILE", help="Settings, as YAML."
)
@click.option(
    "--set", "assignments", multiple=True, metavar="KEY=VALUE", help="Change one setting; may be repeated."
)
@click.option(
    "--run", "folder", type=click.Path(path_type=Path), metavar="DIR", help="Run folder [default: runs/...]."
)
@click.option("--seed", type=int, help="Seed of the weights, the batches and what is held out [default: 0].")
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), help="Where to compute [default: auto].")
@click.option("--resume", is_flag=True, help="Go on with the interrupted run in --run.")
def pretrain(
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
    task: str | None,
    config_file: Path | None,
    assignments: tuple[str, ...],
    folder: Path | None,
    seed: int | None,
    device: str | None,
    resume: bool,
) -> None:
    """Let encoders learn from a scene without labels, for a training to start from.

    Both dates' own pixels teach, but for a share of the scene in whole blocks, which says how well it went. The
    run folder ends with the encoders (encoder.pt), their curves and pretrain.json. No truth map is read.

    Asked to leave by SIGTERM or SIGUSR1, it saves after the step under way and leaves with code 75; go on with
    --resume.
    """
    from hsi_cd.runtime.signals import heed_signals

    stop = click.get_current_context().with_resource(heed_signals())
    options = {"dataset": dataset, "seed": seed, "device": device}
    layers: Layers = [("options", {name: value for name, value in options.items() if value is not None})]
    if task is not None:
        layers.append(("--task", {"pretrain": {"task": task}}))
    if dropped:
        layers.append(("--drop", {"bands": drop_settings(dropped)}))
    config = run_config(config_file, assignments, layers, t1=t1, t2=t2)
    if resume and folder is None:
        raise click.UsageError("--resume needs --run DIR: the folder of the run to go on with")
    pair = open_scene(
        config.dataset, t1, t2, (t1_key, t2_key), data_root, axes=axes, resample=resample, contract=contract
    )
    if folder is None:
        stamp = time.strftime("%Y%m%d-%H%M%S")
        folder = Path("runs") / f"{pair.name}-{config.pretrain.task}-seed{config.seed}-{stamp}"

    from hsi_cd.training.pretrain.pretraining import run_pretraining

    facts = run_pretraining(pair, config, folder, resume=resume, stop=stop)
    pixels, judged = facts["pixels"], facts["held_out"]
    click.echo(
        f"{facts['task']}: {facts['encoders']} encoders, {pixels['taught']} pixels taught, both dates of each\n"
        f"held-out pixels ({pixels['held_out']}): {judged['explained/val']:.1%} of the variance explained, "
        f"loss {judged['loss/val']:.4g}"
    )
    click.echo(f"\n{folder} holds encoder.pt, pretrain.json and curves.csv")
    click.echo(f"train from it: hsi-cd train ... --set train.pretrained={folder / 'encoder.pt'}")
