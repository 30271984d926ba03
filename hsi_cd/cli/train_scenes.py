"""``hsi-cd train --scenes``: many scenes teach one network."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hsi_cd.api.area_choice import AreaChoice
from hsi_cd.api.sources import Contract, SceneSource, TruthSource
from hsi_cd.cli.options.run_options import Layers, RunChoice
from hsi_cd.cli.telling import hint, tell

if TYPE_CHECKING:
    from hsi_cd.api.processes import Stop


@dataclass(frozen=True)
class SceneNames:
    """What options say of a single scene: with a list of scenes, nothing.

    Attributes:
        source: where it lies; the folder of benchmark scenes is for those of the list, too.
        contract: what is asked of its dates.
        area: what alone of it is of interest.
        truth: its truth map.
        name: what it is called.
        protocol: which of its pixels teach.
        split: a file of those that teach.
    """

    source: SceneSource
    contract: Contract
    area: AreaChoice
    truth: TruthSource
    name: str | None
    protocol: str | None
    split: Path | None

    def check(self) -> None:
        """Refuse options that are of one scene.

        Raises:
            click.UsageError: with the first of them.
        """
        source, truth = self.source, self.truth
        said: dict[str, Any] = {
            "--dataset": source.dataset,
            "--t1": source.t1,
            "--t2": source.t2,
            "--truth": truth.source,
            "--name": self.name,
            "--axes": source.axes,
            "--resample": source.resample or None,
            "--t1-key": source.keys[0],
            "--t2-key": source.keys[1],
            "--truth-key": truth.key,
            "--layer": truth.layer,
            "--field": truth.field,
            "--changed and --unchanged": truth.scheme,
            "--aoi and --bounds": self.area if self.area.is_named else None,
            "--split": self.split,
        }
        for option, value in said.items():
            if value is not None:
                raise click.UsageError(f"{option} says how one scene is read: say it in the list of --scenes")
        if self.contract != Contract():
            raise click.UsageError(
                "--align, --common-bands, --nodata, --mask, --register and the like say how one scene is read: "
                "say it in the list of --scenes"
            )
        if self.protocol not in (None, "P4"):
            raise click.UsageError(
                f"--protocol {self.protocol} divides the labels of one scene: leave it out with --scenes"
            )


def train_scenes(
    scenes: Path,
    hold_out: str | None,
    names: SceneNames,
    layers: Layers,
    choice: RunChoice,
    stop: Stop,
    *,
    as_json: bool,
) -> None:
    """Do what ``--scenes`` asks for, and tell of each scene how the members that held it out do on it.

    Args:
        scenes: the list of scenes.
        hold_out: name of the scene that does not teach.
        names: what other options say of a scene.
        layers: the settings of the run.
        choice: where it goes.
        stop: says when to save and leave.
        as_json: print JSON.

    Raises:
        click.UsageError: an option is of one scene.
        HsiCdError: as :func:`hsi_cd.train_scenes` says.
    """
    names.check()
    from hsi_cd.api.processes import join_team
    from hsi_cd.api.running import Attempt
    from hsi_cd.api.scenes_training import read_scenes, resolve_scenes, train_listed
    from hsi_cd.io import refuse_folder_of_inputs
    from hsi_cd.plugins import file_word
    from hsi_cd.reporting.tables import score_table

    config = resolve_scenes(layers, hold_out=hold_out)
    listed = read_scenes(scenes, data_root=names.source.root)
    if choice.folder is not None:
        refuse_folder_of_inputs(choice.folder, [scenes, *(path for scene in listed for path in scene.inputs)])
    context = click.get_current_context()
    team = context.with_resource(join_team(device=config.device))
    folder = choice.folder_or(f"{scenes.stem}-{file_word(config.method)}-seed{config.seed}")
    found = train_listed(listed, config, folder, Attempt(choice.resume, team, stop, context.obj, [scenes]))
    if found is None:
        return
    result = found.pop("result", None)
    record = {"run": folder, "checkpoint": folder / "best.pt", **found}
    text = _table(found["scenes"])
    if result is not None:
        record["result"] = result.to_dict()
        text = f"{text}\n\n{score_table(result)}" if found["scenes"] else score_table(result)
    tell(text, record, as_json=as_json)
    hint(
        f"\n{folder} holds best.pt" + ("" if result is None else f", and maps of {result.dataset}") + "\n"
        f"map another scene of these bands: hsi-cd predict --checkpoint {folder / 'best.pt'} --t1 ... --t2 ...",
        as_json=as_json,
    )


def _table(scenes: list[dict[str, Any]]) -> str:
    """What each scene taught, and how well those who held it out do on it."""
    if not scenes:
        return ""
    width = max(len("held out in turn"), *(len(scene["name"]) for scene in scenes))
    lines = [f"{'held out in turn':{width}}  {'taught':>14}  {'labelled':>19}  {'F1':>6}  {'Kappa':>6}"]
    for scene in scenes:
        taught, labelled = ("{changed} + {unchanged}".format(**scene[key]) for key in ("taught", "labelled"))
        scores = "  ".join(f"{_shown(scene[key]):>6}" for key in ("f1", "kappa"))
        lines.append(f"{scene['name']:{width}}  {taught:>14}  {labelled:>19}  {scores}")
    return "\n".join([*lines, "(pixels: changed + unchanged; scores estimated from those that were drawn)"])


def _shown(score: float) -> str:
    return "-" if math.isnan(score) else f"{score:.4f}"
