"""``hsi-cd train``."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hsi_cd.cli.contract import Contract, contract_options, drop_option, drop_settings
from hsi_cd.cli.options import open_scene, read_truth, scene_options, truth_options
from hsi_cd.cli.settings import Layers, run_config

if TYPE_CHECKING:
    from hsi_cd.scene import LabelScheme

EPILOG = """\b
Examples:
  hsi-cd train --dataset farmland --data-root scenes
  hsi-cd train --t1 before.tif --t2 after.tif --truth truth.tif --run runs/mine
  hsi-cd train --dataset taizhou --seed 3 --set train.epochs=50
  hsi-cd train --dataset taizhou --run runs/mine --resume
  torchrun --nproc-per-node 4 -m hsi_cd train --dataset barbara --run-dir runs/mine

hsi-cd config lists every setting that --set and --config can change.
"""


@click.command(epilog=EPILOG)
@scene_options
@contract_options
@drop_option
@truth_options
@click.option(
    "--config", "config_file", type=click.Path(path_type=Path), metavar="FILE", help="Settings, as YAML."
)
@click.option(
    "--set", "assignments", multiple=True, metavar="KEY=VALUE", help="Change one setting; may be repeated."
)
@click.option(  # torchrun takes --run, wherever it stands, for the beginning of an option of its own
    "--run",
    "--run-dir",
    "folder",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Run folder [default: runs/...]. With torchrun, write --run-dir.",
)
@click.option("--name", metavar="NAME", help="What tables call a scene of your own [default: from its files].")
@click.option("--method", metavar="NAME", help="What learns; hsi-cd methods lists all [default: siamese].")
@click.option("--protocol", help="Which pixels teach: P1, P1-strict, P2, P3 or P4 [default: P1].")
@click.option("--seed", type=int, help="Seed of the split, the weights and the batches [default: 0].")
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), help="Where to compute [default: auto].")
@click.option("--resume", is_flag=True, help="Go on with the interrupted run in --run.")
def train(
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
    truth: tuple[Path, ...],
    truth_key: str | None,
    scheme: LabelScheme | None,
    config_file: Path | None,
    assignments: tuple[str, ...],
    folder: Path | None,
    name: str | None,
    method: str | None,
    protocol: str | None,
    seed: int | None,
    device: str | None,
    resume: bool,
) -> None:
    """Learn from a scene's labels, map the scene, and score the map.

    Under protocol P1, 1 % of each class teaches; every other labelled pixel judges. The run folder ends with
    the checkpoint (best.pt), the maps (change.tif, score.tif), a figure and result.json.

    Asked to leave by SIGTERM or SIGUSR1, it saves after the step under way and leaves with code 75; go on with
    --resume.
    """
    from hsi_cd.runtime.signals import heed_signals

    context = click.get_current_context()
    stop = context.with_resource(heed_signals())  # before anything slow: a signal would end the process
    options = {"dataset": dataset, "method": method, "seed": seed, "device": device}
    layers: Layers = [("options", {name: value for name, value in options.items() if value is not None})]
    if protocol is not None:
        layers.append(("--protocol", {"split": {"protocol": protocol}}))
    if dropped:
        layers.append(("--drop", {"bands": drop_settings(dropped)}))
    config = run_config(config_file, assignments, layers, t1=t1, t2=t2)
    if name is not None and config.dataset is not None:
        raise click.UsageError("--name is for a scene of --t1 and --t2: a dataset has its own")
    if resume and folder is None:
        raise click.UsageError("--resume needs --run DIR: the folder of the run to go on with")

    from hsi_cd.runtime.team import join_team

    team = context.with_resource(join_team(device=config.device))
    pair = open_scene(
        config.dataset,
        t1,
        t2,
        (t1_key, t2_key),
        data_root,
        axes=axes,
        resample=resample,
        truth=truth,
        truth_key=truth_key,
        contract=contract,
    )
    pair = replace(pair, name=name) if name is not None else pair
    labels = read_truth(config.dataset, truth, truth_key, data_root, scheme=scheme)
    if folder is None:
        stamp = time.strftime("%Y%m%d-%H%M%S")
        folder = Path("runs") / f"{pair.name}-{config.method}-seed{config.seed}-{stamp}"

    from hsi_cd.reporting.tables import score_table
    from hsi_cd.training.run import run_training

    result = run_training(pair, labels, config, folder, resume=resume, team=team, stop=stop, command=context.obj)
    if result is None:
        return
    click.echo(score_table(result))
    click.echo(f"\n{folder} holds change.tif, score.tif, figure.png, result.json and best.pt")
    click.echo(
        f"map another scene of these bands: hsi-cd predict --checkpoint {folder / 'best.pt'} --t1 ... --t2 ..."
    )
