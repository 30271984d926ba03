"""Runs as the command line starts them: of a configuration, in a team of processes, until a signal comes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hsi_cd.api.bounding import split_of
from hsi_cd.api.opening import open_scene, truth_of
from hsi_cd.api.processes import ALONE, Stop, Team
from hsi_cd.api.sources import Contract, SceneSource, TruthSource
from hsi_cd.config import RunConfig
from hsi_cd.evaluation import RunResult
from hsi_cd.scene import ScenePair
from hsi_cd.training.examples import LabelledScene
from hsi_cd.training.pretrain.pretraining import run_pretraining
from hsi_cd.training.run import run_training


@dataclass(frozen=True)
class Attempt:
    """How a run is worked on now.

    Attributes:
        resume: go on with what an interrupted run of the same configuration left.
        team: the processes that train together.
        stop: says when to save and leave; None where nothing does.
        command: what was typed, for the record.
        inputs: the files of the scene (see :func:`hsi_cd.api.opening.input_files`): those of an earlier attempt.
    """

    resume: bool = False
    team: Team = ALONE
    stop: Stop | None = None
    command: Sequence[str] = ()
    inputs: Sequence[Path] = ()


def open_labelled(
    source: SceneSource, contract: Contract, truth: TruthSource, split: Path | None = None
) -> LabelledScene:
    """A scene with its truth map, and who teaches where a file says it.

    Args:
        source: where the scene lies.
        contract: what is asked of the two dates.
        truth: its truth map; none beside a benchmark scene, which brings its own.
        split: file of the pixels that teach; None where a protocol draws them.

    Raises:
        HsiCdError: as :func:`hsi_cd.open_pair`, :func:`hsi_cd.open_labels` and :func:`hsi_cd.open_split` say.
    """
    pair = open_scene(source, contract, like=truth)
    labels = truth_of(source, replace(truth, align=truth.align or contract.align), pair.scene_grid)
    return LabelledScene(pair, labels, None if split is None else split_of(split, labels, pair.area))


def train_run(
    scene: LabelledScene, config: RunConfig, folder: Path, attempt: Attempt, *, split: Path | None = None
) -> RunResult | None:
    """Split, train, map and judge a scene; see :func:`hsi_cd.training.run.run_training`.

    Args:
        scene: from :func:`open_labelled`.
        config: the resolved configuration.
        folder: the run folder.
        attempt: how it is worked on.
        split: the file that said who teaches, for the record.

    Returns:
        The result; None in the processes of a team that do not lead it.
    """
    return run_training(
        scene,
        config,
        folder,
        resume=attempt.resume,
        team=attempt.team,
        stop=attempt.stop,
        command=attempt.command,
        inputs=[*attempt.inputs, *(() if split is None else (split,)), *map(Path, config.weight_files)],
    )


def pretrain_run(pair: ScenePair, config: RunConfig, folder: Path, attempt: Attempt) -> dict[str, Any]:
    """Let encoders learn from a scene without labels; see :mod:`hsi_cd.training.pretrain.pretraining`.

    Args:
        pair: the scene.
        config: the resolved configuration.
        folder: the run folder.
        attempt: how it is worked on.

    Returns:
        What ``pretrain.json`` says.
    """
    return run_pretraining(
        pair,
        config,
        folder,
        resume=attempt.resume,
        stop=attempt.stop,
        command=attempt.command,
        inputs=[*attempt.inputs, *map(Path, config.weight_files)],
    )
