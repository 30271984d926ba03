"""``hsi-cd train``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from hsi_cd.api.area_choice import AreaChoice
from hsi_cd.api.sources import Contract, SceneSource, TruthSource
from hsi_cd.cli.options.area_options import area_options
from hsi_cd.cli.options.json_option import json_option
from hsi_cd.cli.options.output_options import named_files
from hsi_cd.cli.options.pair_options import pair_options
from hsi_cd.cli.options.path_type import PathType
from hsi_cd.cli.options.run_options import (
    RunChoice,
    SettingsChoice,
    run_config,
    run_options,
    settings_options,
)
from hsi_cd.cli.options.scene_options import scene_options
from hsi_cd.cli.options.split_options import check_split, split_option
from hsi_cd.cli.options.truth_options import check_truth, truth_options
from hsi_cd.cli.telling import hint, tell
from hsi_cd.cli.train_scenes import SceneNames, train_scenes

EPILOG = """\b
Examples:
  hsi-cd train --dataset farmland --data-root scenes
  hsi-cd train --t1 before.tif --t2 after.tif --truth truth.tif --run runs/mine
  hsi-cd train --t1 before.tif --t2 after.tif --truth labels.gpkg --run runs/drawn
  hsi-cd train --t1 before.tif --t2 after.tif --truth labels.gpkg --truth next.gpkg --start-from runs/drawn
  hsi-cd train --dataset taizhou --seed 3 --set train.epochs=50
  hsi-cd train --dataset taizhou --split split.npz --run runs/theirs
  hsi-cd train --dataset irrigated --kinds --names kinds.csv --run runs/kinds
  hsi-cd train --scenes scenes.yaml --run runs/many
  hsi-cd train --t1 new_a.tif --t2 new_b.tif --truth few.gpkg --init runs/many/best.pt
  hsi-cd train --dataset taizhou --run runs/mine --resume
  torchrun --nproc-per-node 4 -m hsi_cd train --dataset barbara --run-dir runs/mine

hsi-cd config lists every setting that --set and --config can change.
"""


@click.command(epilog=EPILOG)
@scene_options
@pair_options
@area_options
@truth_options
@settings_options
@run_options(seed="the split, the weights and the batches", torchrun=True)
@click.option("--name", metavar="NAME", help="What tables call a scene of your own [default: from its files].")
@click.option("--method", metavar="NAME", help="What learns; hsi-cd methods lists all [default: siamese].")
@click.option(
    "--protocol",
    help="Which pixels teach: P1, P1-strict, P2, P3, P4 or drawn [default: drawn for shapes, else P1].",
)
@click.option(
    "--share",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="Of the scene that changed, where you know it, as 0.02 [default: what the label-free map says].",
)
@click.option(
    "--start-from",
    type=PathType(),
    metavar="RUN",
    help="Go on from this run of the same scene, to whose drawn labels others were added; fewer steps are enough.",
)
@click.option(
    "--init",
    type=PathType(),
    metavar="CHECKPOINT",
    help="Go on from the network of this checkpoint, which other scenes taught, with the few labels of this one.",
)
@click.option(
    "--scenes",
    type=PathType(),
    metavar="FILE",
    help="Let all scenes that this YAML file lists teach one network; no other option names a scene then.",
)
@click.option(
    "--hold-out",
    metavar="NAME",
    help="With --scenes: this scene does not teach; it is mapped and judged at the end (protocol P4).",
)
@split_option
@click.option(
    "--kinds/--no-kinds",
    default=None,
    help="Learn and map kinds of change, too, where the labels tell some apart [default: of drawn labels alone].",
)
@json_option
def train(
    source: SceneSource,
    contract: Contract,
    area: AreaChoice,
    truth: TruthSource,
    settings: SettingsChoice,
    choice: RunChoice,
    name: str | None,
    method: str | None,
    protocol: str | None,
    share: float | None,
    start_from: Path | None,
    init: Path | None,
    scenes: Path | None,
    hold_out: str | None,
    split: Path | None,
    kinds: bool | None,
    as_json: bool,
) -> None:
    """Learn from a scene's labels, map the scene, and score the map; or learn from many scenes at once.

    Under protocol P1, 1 % of each class teaches; every other labelled pixel judges. Under drawn, for labels that
    people draw, all of them teach, and shapes judge in turn. --split names the pixels that
    teach in a file instead: all other labelled pixels judge. The run folder ends with
    the checkpoint (best.pt), the maps (change.tif, score.tif), a figure and result.json.

    With --scenes, the labels of many scenes of one sensor teach one network, whole scenes held out in turn; the
    run folder then ends with best.pt, which maps any scene of these bands, and scenes.json.

    With --kinds, every kind of change teaches and is mapped: change.tif then holds 0 unchanged, 1 to K the kinds
    in the order of their values, 255 no data. Under P1, 1 % of each kind teaches, at least one pixel.

    Asked to leave by SIGTERM or SIGUSR1, it saves after the step under way and leaves with code 75; go on with
    --resume.
    """
    from hsi_cd.api.processes import heed_signals, join_team

    context = click.get_current_context()
    stop = context.with_resource(heed_signals())  # before anything slow: a signal would end the process
    layers = choice.layers(replace(contract, area=area), dataset=source.dataset, method=method)
    if protocol is not None:
        layers.insert(1, ("--protocol", {"split": {"protocol": protocol}}))
    if share is not None:
        layers.insert(1, ("--share", {"train": {"share": share}}))
    if start_from is not None:
        layers.insert(1, ("--start-from", {"train": {"start_from": str(start_from)}}))
    if kinds is not None:
        layers.insert(1, ("--kinds", {"kinds": kinds}))
    if init is not None:
        layers.insert(1, ("--init", {"train": {"init": str(init)}}))
    if scenes is not None:
        choice.check()
        named = SceneNames(source, contract, area, truth, name, protocol, split)
        train_scenes(scenes, hold_out, named, [*settings.layers(), *layers], choice, stop, as_json=as_json)
        return
    if hold_out is not None:
        raise click.UsageError("--hold-out names a scene of --scenes: give --scenes FILE, too")
    check_split(split, protocol, settings.assignments)
    from hsi_cd.api.bounding import choice_of, told_of_area

    config = run_config(settings, layers, source)
    area = choice_of(config.area)
    contract = replace(
        contract, nodata=config.nodata, mask=config.mask, register=config.coregister.dates, area=area
    )
    if name is not None and config.dataset is not None:
        raise click.UsageError("--name is for a scene of --t1 and --t2: a dataset has its own")
    choice.check()
    check_truth(truth, config.dataset)

    from hsi_cd.api.masking import mask_files
    from hsi_cd.api.opening import input_files
    from hsi_cd.api.registering import told_of
    from hsi_cd.api.running import Attempt, open_labelled, train_run
    from hsi_cd.api.sources import as_paths
    from hsi_cd.io import refuse_folder_of_inputs
    from hsi_cd.plugins import file_word
    from hsi_cd.reporting.tables import score_table

    team = context.with_resource(join_team(device=config.device))
    if choice.folder is not None:
        refuse_folder_of_inputs(choice.folder, [*source.files, *as_paths(truth.source), *area.files])
    source, truth = replace(source, dataset=config.dataset, name=name), replace(truth, kinds=config.kinds)
    scene = open_labelled(source, contract, truth, split)
    folder = choice.folder_or(f"{scene.pair.name}-{file_word(config.method)}-seed{config.seed}")
    inputs = [*input_files(source, truth), *named_files(truth.names), *mask_files(contract.mask), *area.files]
    attempt = Attempt(choice.resume, team, stop, context.obj, inputs)
    result = train_run(scene, config, folder, attempt, split=split)
    if result is None:
        return
    done = told_of(scene.pair) | told_of_area(scene.pair.area)
    record = {"run": folder, "checkpoint": folder / "best.pt", "result": result.to_dict(), **done}
    tell(score_table(result), record, as_json=as_json)
    if (drawn := result.details.get("kinds_taught")) is not None:
        done["training pixels of each kind"] = str(drawn)
    hint(
        "".join(f"\n{what}: {line}" for what, line in done.items())
        + f"\n{folder} holds change.tif, score.tif, figure.png, result.json and best.pt\n"
        f"map another scene of these bands: hsi-cd predict --checkpoint {folder / 'best.pt'} --t1 ... --t2 ...",
        as_json=as_json,
    )
