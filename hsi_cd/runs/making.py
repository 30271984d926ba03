"""The folder of a run: refused where it is taken, made with the configuration in it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from hsi_cd.config import RunConfig, read_config_file, to_yaml
from hsi_cd.errors import CheckpointError, HsiCdError, OutputError
from hsi_cd.io import refuse_folder_of_inputs, remove_drafts, write_text
from hsi_cd.runs.folder import PROVENANCE, RESULT, SCENES, read_provenance
from hsi_cd.runs.identity import changed_inputs, known_inputs

_LEFT: tuple[str, ...] = (
    RESULT,
    PROVENANCE,
    "config.yaml",
    "split.npz",
    "*.pt",
    "change.tif",
    "change.tif.aux.xml",
    "change.qml",
    "score.tif",
    "score.qml",
    "figure.png",
)
_LEFT += (SCENES, "overview.npz", "curves.csv", "train.log", "events.out.tfevents*", "pretrain.json")
"""Files that a run leaves, the one that says that it ended first."""


def check_folder(folder: Path, config: RunConfig, *, resume: bool, inputs: Iterable[Path] = ()) -> None:
    """Refuse a run folder that is taken or cannot be made, or that holds no run of this very configuration.

    Args:
        folder: the run folder.
        config: the configuration.
        resume: whether an interrupted run is gone on with.
        inputs: the files of the scene, which are not to lie among those of the run.

    Raises:
        OutputError: it is taken, holds an input, or cannot be made.
        CheckpointError: it holds no run of this configuration.
    """
    refuse_folder_of_inputs(folder, inputs)
    if resume:
        _check_same_configuration(folder, config)
        return
    if folder.is_dir() and not (folder / "config.yaml").exists():
        remove_drafts(folder)  # killed before its first file was whole: there is nothing to go on with
    if os.path.lexists(folder) and (not folder.is_dir() or any(folder.iterdir())):
        # To go on with is what a run began alone.
        is_run = (folder / "config.yaml").is_file()
        way = "go on with it by resume=True, or name another by run=" if is_run else "name another by run="
        raise OutputError(f"run folder {folder} exists and is not empty: {way}")
    ground = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not ground.is_dir() or not os.access(ground, os.W_OK | os.X_OK):
        why = "no right to write in" if ground.is_dir() else "not a folder:"
        raise OutputError(f"run folder {folder} cannot be made ({why} {ground}): name another by run=")


def _check_same_configuration(folder: Path, config: RunConfig) -> None:
    """Refuse to go on with a run that was started otherwise."""
    written = folder / "config.yaml"
    if not written.is_file():
        raise CheckpointError(
            f"run folder {folder} holds no run: resume=True goes on with one that was interrupted"
        )
    before, now = _lines(_settings(written)), _lines(to_yaml(config))
    differs = next(
        (f"{a.strip()} then, {b.strip()} now" for a, b in zip(before, now, strict=False) if a != b), None
    )
    if differs or len(before) != len(now):
        raise CheckpointError(
            f"run folder {folder} was started with another configuration ({differs or 'of another version'}): "
            f"resume with the same options, or start anew in another folder"
        )


def _lines(text: str) -> list[str]:
    """Settings line by line, each with its whole value: a list stands on one."""
    return re.sub(r":\n((?: *- .*\n?)+)", lambda found: ": " + _joined(found[1]) + "\n", text).splitlines()


def _joined(items: str) -> str:
    return ", ".join(line.strip().removeprefix("- ") for line in items.splitlines())


def _settings(written: Path) -> str:
    """What a run was started with, as this version writes it: a setting that is newer had its default then."""
    text = written.read_text(encoding="utf-8")
    try:  # not resolved: that would import what a file names
        return to_yaml(RunConfig.model_validate(read_config_file(written)))
    except (ValueError, HsiCdError):
        return text


def check_inputs(folder: Path, inputs: Sequence[Path], pixels: str | None, labels: str | None = None) -> None:
    """Refuse to go on with a run that was started from other data; what an earlier version kept is believed.

    Args:
        folder: the run folder.
        inputs: the files that are read now, in the order in which they are named.
        pixels: digest of the scene's pixels, as they are read now.
        labels: digest of its truth map, as it is read now; None where it has none.

    Raises:
        CheckpointError: a file has another content, or the same files are read otherwise.
    """
    try:
        provenance = read_provenance(folder)
    except HsiCdError:  # none, or a damaged one
        return
    again = "resume with the same files, or start anew in another folder"
    if inputs and (changed := changed_inputs(known_inputs(provenance), inputs)):
        raise CheckpointError(f"run folder {folder} was started from other files ({'; '.join(changed)}): {again}")
    then = next((session.pixels for session in reversed(provenance.sessions) if session.pixels), None)
    if None not in (then, pixels) and then != pixels:
        raise CheckpointError(
            f"run folder {folder} was started from other pixels (of other files, or with other options for them): "
            f"{again}"
        )
    then = next((session.labels for session in reversed(provenance.sessions) if session.labels), None)
    if None not in (then, labels) and then != labels:
        raise CheckpointError(
            f"run folder {folder} was started from another truth (another array of its file, or other values for "
            "its classes): resume with the same truth, or start anew in another folder"
        )


def clear_folder(folder: Path) -> None:
    """Remove what a run left, so that it can be done anew; files that are no run's stay."""
    for pattern in _LEFT:
        for path in folder.glob(pattern):
            path.unlink()
    remove_drafts(folder)
    if not any(folder.iterdir()):
        folder.rmdir()


def make_folder(folder: Path, config: RunConfig) -> None:
    """Make the run folder with the resolved configuration in it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"run folder {folder} cannot be made ({error.strerror}): name another by run=") from None
    write_text(folder / "config.yaml", to_yaml(config))


def unmake_folder(folder: Path) -> None:
    """Take back the folder of a run that was refused before it learned anything, as for a wrong option."""
    if {path.name for path in folder.iterdir()} <= {"config.yaml", "split.npz", PROVENANCE}:
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()
