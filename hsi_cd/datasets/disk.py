"""Which files of a benchmark scene are on disk."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from hsi_cd.datasets.entries import CubeFile, FileSet, SceneEntry, TruthFile, TruthMasks
from hsi_cd.io import MaskPair


@dataclass(frozen=True)
class FoundCube:
    """A date that is on disk.

    Attributes:
        path: its file.
        key: variable to read, or None.
    """

    path: Path
    key: str | None


@dataclass(frozen=True)
class FoundTruth:
    """A truth that is on disk.

    Attributes:
        source: its file, or its two masks.
        entry: what the catalogue says of it.
    """

    source: Path | MaskPair
    entry: TruthFile | TruthMasks


@dataclass(frozen=True)
class SceneFiles:
    """The files of a scene that are on disk, as far as they are.

    Attributes:
        folders: folders that carry a name of the scene.
        t1: the earlier date.
        t2: the later date.
        truth: the truth map.
        present: names of all files of the scene that are there.
        missing: what is missing of the file set that is nearest to complete, in words.
    """

    folders: tuple[Path, ...] = ()
    t1: FoundCube | None = None
    t2: FoundCube | None = None
    truth: FoundTruth | None = None
    present: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()

    @property
    def status(self) -> str:
        """``complete``, ``partial`` (some files, or no truth) or ``absent``."""
        if self.t1 and self.t2 and self.truth:
            return "complete"
        return "partial" if self.present else "absent"


def plain_name(name: str) -> str:
    """A name without case, spaces and punctuation, as names of scenes and folders are compared."""
    return "".join(letter for letter in name.casefold() if letter.isalnum())


def locate(entry: SceneEntry, root: Path, *, kinds: bool = False) -> SceneFiles:
    """Find a scene's files below the data root.

    The scene's folder has its name or an alias, in any case. Of several folders and packings the most complete
    wins. The truth may come from another packing of the same scene, because people mix them.

    Args:
        entry: the scene.
        root: folder that holds one folder per scene.
        kinds: prefer a truth that tells kinds of change apart.
    """
    folders = _folders(entry, root)
    best = SceneFiles(missing=(entry.file_sets[0].describe(),))
    best_rank = -1
    for folder in folders:
        files = {path.name.casefold(): path for path in sorted(folder.iterdir()) if path.is_file()}
        present = tuple(path.name for name, path in files.items() if name in _all_names(entry))
        for file_set in entry.file_sets:
            t1, t2 = _cube(file_set.t1, files), _cube(file_set.t2, files)
            # The packing's own truth first; the others follow in the order of the catalogue.
            truths = [*file_set.truths, *(t for s in entry.file_sets if s is not file_set for t in s.truths)]
            if kinds:
                truths.sort(key=lambda each: not _tells_kinds(each))
            truth = next((found for t in truths if (found := _truth(t, files))), None)
            rank = 2 * (t1 is not None) + 2 * (t2 is not None) + (truth is not None)
            if rank > best_rank:
                best_rank = rank
                missing = _missing(file_set, t1, t2, truth)
                best = SceneFiles((), t1, t2, truth, present, missing)
    return SceneFiles(tuple(folders), best.t1, best.t2, best.truth, best.present, best.missing)


def expected_files(entry: SceneEntry) -> str:
    """All packings of a scene on one line."""
    return "; or ".join(file_set.describe() for file_set in entry.file_sets)


def _folders(entry: SceneEntry, root: Path) -> list[Path]:
    if not root.is_dir():
        return []
    wanted = [plain_name(name) for name in (entry.name, *entry.aliases)]
    found = [path for path in sorted(root.iterdir()) if path.is_dir() and plain_name(path.name) in wanted]
    return sorted(found, key=lambda path: wanted.index(plain_name(path.name)))


def _all_names(entry: SceneEntry) -> set[str]:
    names: list[str] = []
    for file_set in entry.file_sets:
        names += [*file_set.t1.names, *file_set.t2.names]
        for truth in file_set.truths:
            names += truth.names if isinstance(truth, TruthFile) else [truth.changed, truth.unchanged]
    return {name.casefold() for name in names}


def _first(names: Iterable[str], files: dict[str, Path]) -> Path | None:
    return next((files[name.casefold()] for name in names if name.casefold() in files), None)


def _cube(cube: CubeFile, files: dict[str, Path]) -> FoundCube | None:
    path = _first(cube.names, files)
    if path is None:
        return None
    if cube.header and _first((f"{path.stem}.hdr", f"{path.name}.hdr"), files) is None:
        return None
    return FoundCube(path, cube.key)


def _truth(truth: TruthFile | TruthMasks, files: dict[str, Path]) -> FoundTruth | None:
    if isinstance(truth, TruthFile):
        path = _first(truth.names, files)
        return None if path is None else FoundTruth(path, truth)
    changed, unchanged = _first((truth.changed,), files), _first((truth.unchanged,), files)
    if changed is None or unchanged is None:
        return None
    return FoundTruth(MaskPair(changed, unchanged), truth)


def _tells_kinds(truth: TruthFile | TruthMasks) -> bool:
    return isinstance(truth, TruthFile) and truth.scheme.has_kinds


def _missing(
    file_set: FileSet, t1: FoundCube | None, t2: FoundCube | None, truth: FoundTruth | None
) -> tuple[str, ...]:
    absent = [cube.describe() for cube, found in ((file_set.t1, t1), (file_set.t2, t2)) if found is None]
    if truth is None:
        absent.append(" or ".join(t.describe() for t in file_set.truths))
    return tuple(absent)
