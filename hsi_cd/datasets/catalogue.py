"""The catalogue of benchmark scenes, and the one way to open them by name."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

from hsi_cd.datasets.disk import FoundCube, FoundTruth, SceneFiles, expected_files, locate, plain_name
from hsi_cd.datasets.entries import Counts, SceneEntry, TruthFile
from hsi_cd.datasets.scenes import ENTRIES
from hsi_cd.errors import GridError, LabelError, MissingInputError, UnknownNameError, unknown_name
from hsi_cd.io import Expected, open_cube, read_labels
from hsi_cd.paths import as_path
from hsi_cd.scene import Cube, Labels, ScenePair

CATALOGUE: dict[str, SceneEntry] = {entry.name: entry for entry in ENTRIES}
"""All scenes by name."""


@dataclass(frozen=True)
class DatasetState:
    """A scene and what of it is on disk.

    Attributes:
        entry: what the catalogue knows.
        files: what was found below the data root.
    """

    entry: SceneEntry
    files: SceneFiles


def find_entry(name: str) -> SceneEntry:
    """The entry of this name or alias; case, spaces and punctuation do not matter.

    Raises:
        UnknownNameError: no scene has this name, or two share the alias.
    """
    wanted = plain_name(name)
    if wanted in CATALOGUE:
        return CATALOGUE[wanted]
    found = [e for e in CATALOGUE.values() if wanted in map(plain_name, e.aliases)]
    if len(found) > 1:
        listed = " or ".join(f"{entry.name} ({entry.size})" for entry in found)
        raise UnknownNameError(f"{name!r} is the name of {len(found)} datasets: say {listed}")
    if not found:
        raise unknown_name("dataset", name, CATALOGUE)
    return found[0]


def open_pair(name: str, root: str | os.PathLike[str]) -> ScenePair:
    """Open both dates of a benchmark scene; labels are neither needed nor read.

    Args:
        name: name or alias of the scene.
        root: folder that holds one folder per scene.

    Raises:
        UnknownNameError: there is no such scene.
        MissingInputError: its folder or files are not there; what is expected, and where it is published, is said.
        GridError: the files are of another shape, as those of the scene's namesake are.
        FormatError: a file is damaged or lacks the expected variable.
    """
    entry = find_entry(name)
    return _open_pair(entry, locate(entry, as_path(root)), as_path(root))


def open_dataset(name: str, root: str | os.PathLike[str], *, kinds: bool = False) -> tuple[ScenePair, Labels]:
    """Open a benchmark scene with its truth map.

    Args:
        name: name or alias of the scene.
        root: folder that holds one folder per scene.
        kinds: read the truth that tells kinds of change apart, where the scene has one.

    Returns:
        The two dates, of which no pixel has been read, and the labels.

    Raises:
        UnknownNameError: there is no such scene.
        MissingInputError: its folder or files are not there; what is expected, and where it is published, is said.
        GridError: the files are of another shape, as those of the scene's namesake are.
        LabelError: the truth map holds other values or counts than the scene's.
        FormatError: a file is damaged or lacks the expected variable.
    """
    entry = find_entry(name)
    files = locate(entry, as_path(root), kinds=kinds)
    if files.truth is None:
        raise _missing(entry, files, as_path(root))
    pair = _open_pair(entry, files, as_path(root))
    labels = _read_truth(files.truth)
    pair.check_labels(labels)
    if entry.counts is not None:
        _check_counts(entry, entry.counts, labels)
    return pair, labels


def dataset_files(
    name: str, root: str | os.PathLike[str], *, labelled: bool = True, kinds: bool = False
) -> tuple[Path, ...]:
    """The files that a benchmark scene is read from, as far as they are there: t1, t2, then its truth.

    Args:
        name: name or alias of the scene.
        root: folder that holds one folder per scene.
        labelled: whether the truth is named, too.
        kinds: name the truth that tells kinds of change apart, where the scene has one.

    Raises:
        UnknownNameError: there is no such scene.
    """
    files = locate(find_entry(name), as_path(root), kinds=kinds)
    found = [cube.path for cube in (files.t1, files.t2) if cube is not None]
    if labelled and files.truth is not None:
        source = files.truth.source
        found += [source] if isinstance(source, Path) else [source.changed, source.unchanged]
    return tuple(found)


def missing_files(name: str, root: str | os.PathLike[str]) -> str:
    """What is missing of a scene's files and its truth, in words; empty where all are there. Nothing is opened.

    Args:
        name: name or alias of the scene.
        root: folder that holds one folder per scene.

    Raises:
        UnknownNameError: there is no such scene.
    """
    entry = find_entry(name)
    files = locate(entry, as_path(root))
    return "" if files.status == "complete" else str(_missing(entry, files, as_path(root)))


def describe(root: str | os.PathLike[str], name: str | None = None) -> tuple[DatasetState, ...]:
    """What the catalogue knows and what is on disk; nothing is opened.

    Args:
        root: folder that holds one folder per scene; it need not exist.
        name: one scene; all by default.

    Raises:
        UnknownNameError: there is no such scene.
    """
    entries = list(CATALOGUE.values()) if name is None else [find_entry(name)]
    return tuple(DatasetState(entry, locate(entry, as_path(root))) for entry in entries)


def _open_pair(entry: SceneEntry, files: SceneFiles, root: Path) -> ScenePair:
    if files.t1 is None or files.t2 is None:
        raise _missing(entry, files, root)
    dates = (_open_cube(entry, files.t1), _open_cube(entry, files.t2))
    told = ("" if date == "unknown" else date for date in entry.dates)
    t1, t2 = (replace(cube, acquired=cube.acquired or date) for cube, date in zip(dates, told, strict=True))
    return ScenePair(t1, t2, name=entry.name)


def _open_cube(entry: SceneEntry, found: FoundCube) -> Cube:
    cube = open_cube(found.path, key=found.key, expected=Expected(*entry.shape))
    shape = (cube.grid.rows, cube.grid.cols, cube.bands.count)
    if shape != entry.shape:
        raise GridError(
            f"{found.path} has {' x '.join(map(str, shape))} values (rows x cols x bands) but {entry.name} has "
            f"{entry.size}: {_whose_shape(shape)}"
        )
    return cube


def _whose_shape(shape: tuple[int, int, int]) -> str:
    """What a wrong shape tells."""
    for other in CATALOGUE.values():
        if other.shape == shape:
            return f"this is {other.name}; put the files into its folder and use open_dataset('{other.name}')"
    for other in CATALOGUE.values():
        if sorted(other.shape) == sorted(shape):
            return f"these are the axes of {other.name} in another order; store them as rows x cols x bands"
    return "this is another scene or another packing; open it with open_pair and open_labels"


def _read_truth(found: FoundTruth) -> Labels:
    if isinstance(found.entry, TruthFile):
        return read_labels(found.source, scheme=found.entry.scheme, key=found.entry.key)
    return read_labels(found.source)


def _check_counts(entry: SceneEntry, expected: Counts, labels: Labels) -> None:
    counted = Counts(*labels.counts())
    if counted == expected:
        return
    reason = "it is the truth of another scene, or was edited"
    if (counted.changed, counted.unchanged) == (expected.unchanged, expected.changed):
        # Accuracy and kappa cannot tell, so this must not pass.
        reason = "changed and unchanged are swapped: it is encoded the other way than files of this name are"
    raise LabelError(
        f"truth ({labels.name}) of {entry.name}: {counted.describe()}; expected {expected.describe()}: {reason}"
    )


def _missing(entry: SceneEntry, files: SceneFiles, root: Path) -> MissingInputError:
    folder = files.folders[0] if files.folders else root / entry.name
    if not root.is_dir():
        found = f"the data root {root} does not exist (give root= or set HSI_CD_DATA)"
    elif not files.folders:
        found = f"there is no folder {folder}"
    else:
        found = f"{folder} lacks {', '.join(files.missing)}"
    return MissingInputError(
        f"dataset {entry.name}: {found}; expected in {folder}: {expected_files(entry)}; "
        f"published: {entry.published}"
    )
