"""One detector that many scenes teach."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hsi_cd.api.opening import data_root
from hsi_cd.api.running import Attempt
from hsi_cd.api.scene_lists import ListedScene, open_scenes, read_scenes
from hsi_cd.api.settings import resolve_run
from hsi_cd.api.sources import TruthSource
from hsi_cd.api.truths import read_truth
from hsi_cd.api.verbs import FilePath
from hsi_cd.config import MANY_SCENES, RunConfig
from hsi_cd.config.layers import nested_settings
from hsi_cd.errors import ConfigError
from hsi_cd.evaluation import RunResult
from hsi_cd.paths import as_path
from hsi_cd.scene import ScenePair
from hsi_cd.training.examples import LabelledScene
from hsi_cd.training.scenes_run import run_scenes

__all__ = ["ListedScene", "ScenesResult", "read_scenes", "resolve_scenes", "train_listed", "train_scenes"]


@dataclass(frozen=True)
class ScenesResult:
    """What became of a training by many scenes.

    Attributes:
        run: its folder; ``best.pt`` in it maps any scene of these bands.
        facts: what its ``scenes.json`` says: threshold, seconds, and of each scene in ``scenes`` what it taught,
            and how the members of the network that held it out do on it.
        result: the held-out scene's; None where all teach.
    """

    run: Path
    facts: Mapping[str, Any]
    result: RunResult | None = None


def train_scenes(
    scenes: FilePath | Sequence[tuple[ScenePair, Any]],
    *,
    run: FilePath,
    hold_out: str | None = None,
    init: FilePath | None = None,
    seed: int = 0,
    settings: Mapping[str, Any] | None = None,
    resume: bool = False,
    root: FilePath | None = None,
) -> ScenesResult:
    """Teach one network by many labelled scenes of one sensor, to map others without a label.

    Statistics are measured on each scene, without labels, also when it maps another. At most so many pixels of
    each scene teach (``scenes.changed``, ``scenes.unchanged``), in every batch as many of each; whole scenes are
    held out in turn for validation.

    Args:
        scenes: a YAML file that lists them (docs/many-scenes.md), or pairs with their labels, in any form that
            :func:`hsi_cd.open_labels` takes; each with a name of its own (``open_pair(name=...)``).
        run: the run folder, which must not be there or be empty.
        hold_out: name of a scene that does not teach, and is mapped and judged at the end (protocol P4).
        init: checkpoint whose network goes on to learn.
        seed: of the drawn pixels, the weights and the batches.
        settings: further settings, as ``{"train.max_steps": 3000}``.
        resume: go on with an interrupted run of the same settings.
        root: folder of the benchmark scenes that the file names.

    Raises:
        ConfigError: fewer than two scenes teach, two share a name, or a setting is wrong.
        BandError: their bands differ, or their values are in other units.
        LabelError: one of the classes has no labelled pixel in a scene.
        OutputError: the folder holds another run, or cannot be written.
        CheckpointError: the run cannot be resumed, or ``init`` is damaged.
    """
    options: dict[str, Any] = {"seed": seed}
    if init is not None:
        options["train"] = {"init": str(as_path(init))}
    config = resolve_scenes(
        [("options", options), ("settings", nested_settings(settings or {}))], hold_out=hold_out
    )
    if isinstance(scenes, Sequence) and not isinstance(scenes, str):
        opened = [LabelledScene(pair, read_truth(TruthSource(labels), pair.scene_grid)) for pair, labels in scenes]
        found = run_scenes(opened, config, as_path(run), resume=resume, inputs=map(Path, config.weight_files))
    else:
        listed = read_scenes(as_path(scenes), data_root=data_root(root))
        found = train_listed(listed, config, as_path(run), Attempt(resume=resume))
    if found is None:  # never of one process alone
        raise ConfigError("train_scenes runs in one process: start several by torchrun -m hsi_cd train")
    return _result(as_path(run), found)


def resolve_scenes(layers: list[tuple[str, Mapping[str, Any]]], *, hold_out: str | None) -> RunConfig:
    """The configuration of a run of many scenes: their settings first, then ``layers``.

    Raises:
        UnknownNameError: there is no such method.
        ConfigError: an unknown key, a value that is not allowed, or kinds of change are to be learned.
    """
    held = {} if hold_out is None else {"scenes": {"hold_out": hold_out}, "split": {"protocol": "P4"}}
    config = resolve_run([("many scenes", MANY_SCENES), *layers, ("hold_out", held)])
    if config.kinds:
        raise ConfigError("kinds of change are learned from one scene, not from several: leave kinds=True out")
    return config


def train_listed(
    listed: Sequence[ListedScene], config: RunConfig, folder: Path, attempt: Attempt
) -> dict[str, Any] | None:
    """Teach a network by the scenes of a list; see :func:`hsi_cd.training.scenes_run.run_scenes`."""
    return run_scenes(
        open_scenes(listed),
        config,
        folder,
        resume=attempt.resume,
        team=attempt.team,
        stop=attempt.stop,
        command=attempt.command,
        inputs=[
            *attempt.inputs,
            *(path for scene in listed for path in scene.inputs),
            *map(Path, config.weight_files),
        ],
    )


def _result(folder: Path, found: dict[str, Any]) -> ScenesResult:
    return ScenesResult(
        folder, {name: value for name, value in found.items() if name != "result"}, found.get("result")
    )
