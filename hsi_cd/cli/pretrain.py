"""``hsi-cd pretrain``."""

from __future__ import annotations

from dataclasses import replace

import click

from hsi_cd.api.sources import Contract, SceneSource
from hsi_cd.cli.options.json_option import json_option
from hsi_cd.cli.options.pair_options import pair_options
from hsi_cd.cli.options.run_options import (
    RunChoice,
    SettingsChoice,
    run_config,
    run_options,
    settings_options,
)
from hsi_cd.cli.options.scene_options import scene_options
from hsi_cd.cli.telling import hint, tell

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
@pair_options
@click.option(
    "--task",
    metavar="NAME",
    help="masked (fill in hidden channels) or vae (code patches in few numbers) [default: masked].",
)
@settings_options
@run_options(seed="the weights, the batches and what is held out")
@json_option
def pretrain(
    source: SceneSource,
    contract: Contract,
    task: str | None,
    settings: SettingsChoice,
    choice: RunChoice,
    as_json: bool,
) -> None:
    """Let encoders learn from a scene without labels, for a training to start from.

    Both dates' own pixels teach, but for a share of the scene in whole blocks, which says how well it went. The
    run folder ends with the encoders (encoder.pt), their curves and pretrain.json. No truth map is read.

    Asked to leave by SIGTERM or SIGUSR1, it saves after the step under way and leaves with code 75; go on with
    --resume.
    """
    from hsi_cd.api.processes import heed_signals

    context = click.get_current_context()
    stop = context.with_resource(heed_signals())
    layers = choice.layers(contract, dataset=source.dataset)
    if task is not None:
        layers.insert(1, ("--task", {"pretrain": {"task": task}}))
    config = run_config(settings, layers, source)
    contract = replace(contract, nodata=config.nodata, mask=config.mask, register=config.coregister.dates)
    choice.check()

    from hsi_cd.api.masking import mask_files
    from hsi_cd.api.opening import input_files, open_scene
    from hsi_cd.api.running import Attempt, pretrain_run

    source = replace(source, dataset=config.dataset)
    pair = open_scene(source, contract)
    folder = choice.folder_or(f"{pair.name}-{config.pretrain.task}-seed{config.seed}")
    inputs = [*input_files(source), *mask_files(contract.mask)]
    attempt = Attempt(choice.resume, stop=stop, command=context.obj, inputs=inputs)
    facts = pretrain_run(pair, config, folder, attempt)
    pixels, judged = facts["pixels"], facts["held_out"]
    text = (
        f"{facts['task']}: {facts['encoders']} encoders, {pixels['taught']} pixels taught, both dates of each\n"
        f"held-out pixels ({pixels['held_out']}): {judged['explained/val']:.1%} of the variance explained, "
        f"loss {judged['loss/val']:.4g}"
    )
    tell(text, {"run": folder, "encoders_file": folder / "encoder.pt", **facts}, as_json=as_json)
    hint(
        f"\n{folder} holds encoder.pt, pretrain.json and curves.csv\n"
        f"train from it: hsi-cd train ... --set train.pretrained={folder / 'encoder.pt'}",
        as_json=as_json,
    )
