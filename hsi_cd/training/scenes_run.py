"""A run in which many scenes teach: from the scenes to a folder with a checkpoint, and a held-out scene's map."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hsi_cd.config import RunConfig
from hsi_cd.detectors.checkpoint import load_checkpoint
from hsi_cd.detectors.refit import refit_statistics
from hsi_cd.detectors.registry import find_method
from hsi_cd.errors import HsiCdError, unknown_name
from hsi_cd.io import remove_drafts, write_json
from hsi_cd.runs.folder import PROVENANCE, SCENES
from hsi_cd.runs.making import check_folder, check_inputs, make_folder, unmake_folder
from hsi_cd.runs.recording import recording
from hsi_cd.runtime.circumstances import Circumstances
from hsi_cd.runtime.device import choose_device, machine
from hsi_cd.runtime.seeding import seed_everything
from hsi_cd.runtime.signals import Stop
from hsi_cd.runtime.team import ALONE, Team
from hsi_cd.training.examples import LabelledScene, prepare_examples
from hsi_cd.training.fitting import Learned
from hsi_cd.training.keeping import RunKept
from hsi_cd.training.many_scenes import TaughtScene, check_many, draw_scene, learn_scenes, scene_facts
from hsi_cd.training.run import map_and_judge, run_training


def run_scenes(
    scenes: Sequence[LabelledScene],
    config: RunConfig,
    folder: Path,
    *,
    resume: bool = False,
    team: Team = ALONE,
    stop: Stop | None = None,
    command: Sequence[str] = (),
    inputs: Iterable[Path] = (),
) -> dict[str, Any] | None:
    """Teach one network by many scenes; map and judge the one that is held out, if there is one.

    The folder ends with ``config.yaml``, ``last.pt`` and ``best.pt``, the curves, ``provenance.json``, and
    ``scenes.json``: of each scene what it taught, and how the members that held it out do on it. Where a scene is
    held out of all, there are its maps, its split (in which nobody teaches), ``figure.png`` and ``result.json``,
    too.

    Args:
        scenes: the scenes, each with a name of its own.
        config: the resolved configuration; ``scenes.hold_out`` names the scene that does not teach.
        folder: the run folder; made if it is not there.
        resume: go on with what an interrupted run of the same configuration left in the folder.
        team: the processes that train together, each given the same; the first alone writes, maps and judges.
        stop: says when to save and leave; by default nothing does.
        command: what was typed, for the record.
        inputs: the files of all scenes: for the record, and to know them again.

    Returns:
        What ``scenes.json`` holds, with the result of a held-out scene as ``result``; None in the other processes
        of a team.

    Raises:
        UnknownNameError: no scene is called as the one to hold out, or there is no such method.
        ConfigError: too few scenes, two of one name, or settings that are for one scene.
        BandError: bands differ or cannot be used, or values are in other units.
        LabelError: one of the classes has no labelled pixel in a scene.
        OutputError: the folder holds another run, or cannot be written.
        CheckpointError: the run cannot be resumed.
        Preempted: it was asked to leave.
    """
    held = held_out_of(scenes, config)
    inputs, teaching = tuple(inputs), [scene for scene in scenes if scene is not held]
    if held is not None and not find_method(config.method).needs_labels:  # nothing of the others helps it
        result = run_training(
            held, config, folder, resume=resume, team=team, stop=stop, command=command, inputs=held.pair.files
        )
        return None if result is None else {"scenes": [], "result": result}
    check_many(config, [scene.pair.name for scene in teaching], processes=team.size)
    device = team.device(choose_device(config.device))
    digests: dict[str, Any] = {}
    if team.leads:
        files = [file for scene in scenes for file in scene.pair.files]
        check_folder(folder, config, resume=resume, inputs=files)
        pixels = _digest([scene.pair.fingerprint() for scene in scenes])
        digests = {"pixels": pixels, "labels": _digest([scene.labels.fingerprint() for scene in scenes])}
        if resume:
            check_inputs(folder, inputs, digests["pixels"], digests["labels"])
    generator = seed_everything(config.seed, deterministic=config.deterministic, benchmark=config.benchmark)
    circumstances = Circumstances(generator, device, team, stop or Stop())
    taught = [draw_scene(scene, config, number=number) for number, scene in enumerate(teaching)]
    examples = None if held is None else prepare_examples(held, config, taught_elsewhere=True)
    earlier = load_checkpoint(folder / "last.pt") if resume and (folder / "last.pt").exists() else None
    keeper = RunKept(folder, config, earlier, leads=team.leads)
    if not team.leads:
        learn_scenes(taught, config, circumstances, keeper)
        return None
    if resume:
        remove_drafts(folder)
    else:
        make_folder(folder, config)
    with recording(folder / PROVENANCE, command, machine=machine(), inputs=inputs, **digests):
        try:
            learned = learn_scenes(taught, config, circumstances, keeper)
        except HsiCdError:
            if not resume:
                unmake_folder(folder)
            raise
        facts = _facts(taught, learned)
        write_json(folder / SCENES, facts, overwrite=True)
        if examples is None:
            return facts
        there = refit_statistics(learned.detector, examples.measurement)
        told = replace(learned, detector=there)
        return facts | {"result": map_and_judge(examples, told, config, folder, device=device)}


def held_out_of(scenes: Sequence[LabelledScene], config: RunConfig) -> LabelledScene | None:
    """The scene that does not teach; None where all do.

    Raises:
        UnknownNameError: no scene is called so.
    """
    name = config.scenes.hold_out
    if name is None:
        return None
    found = {scene.pair.name: scene for scene in scenes}
    if name not in found:
        raise unknown_name("scene", name, found)
    return found[name]


def _facts(taught: Sequence[TaughtScene], learned: Learned) -> dict[str, Any]:
    """What ``scenes.json`` holds."""
    return {
        **learned.facts,
        "scenes": scene_facts(taught, learned.out_of_fold),
        "parameters": learned.detector.parameters(),
        "threshold": learned.detector.threshold,
        "train_seconds": learned.seconds,
    }


def _digest(fingerprints: Sequence[str | None]) -> str:
    """One digest of several, in their order."""
    return hashlib.sha256("\n".join(map(str, fingerprints)).encode()).hexdigest()[:16]
