"""Maps that a batch makes with a checkpoint: predictions, and the joining of their shards."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from hsi_cd.errors import HsiCdError
from hsi_cd.runs import PROVENANCE, changed_inputs, is_same_file, known_inputs, read_provenance
from hsi_cd.runs.provenance import Identity

PROGRAM = (sys.executable, "-m", "hsi_cd")
"""The words before the command, in whatever environment this process runs."""

MAPS = ("change", "score")
"""The maps that a prediction of a batch writes, each a GeoTIFF of its name."""

JOIN_KIND = ("mosaic", "shards, joined")
"""What the joinings of shards have in common."""


@dataclass(frozen=True)
class PredictJob:
    """One scene pair to map with a checkpoint, or a shard of one.

    Attributes:
        pair: what the pair is called.
        folder: where its maps go.
        checkpoint: the checkpoint.
        t1: the earlier date.
        t2: the later date.
        arguments: further arguments of ``hsi-cd predict``.
        shard: which part of the pair, as ``3/8``; empty for all of it.
    """

    pair: str
    folder: Path
    checkpoint: Path
    t1: Path
    t2: Path
    arguments: tuple[str, ...] = field(default=())
    shard: str = ""

    needs: ClassVar[tuple[Path, ...]] = ()

    @property
    def name(self) -> str:
        """The prediction in words."""
        return f"{self.pair} shard {self.shard}" if self.shard else self.pair

    @property
    def kinds(self) -> tuple[tuple[str, ...], ...]:
        """What predictions that take as long have in common with it: the checkpoint, and the number of shards."""
        return (predict_kind(str(self.checkpoint), self.shard),)

    def command(self) -> list[str]:
        """The command that does it; what a killed one left is replaced."""
        words = [*PROGRAM, "predict", "--checkpoint", str(self.checkpoint), "--t1", str(self.t1)]
        words += ["--t2", str(self.t2), *_map_options(self.folder)]
        return [*words, *(["--shard", self.shard] if self.shard else ()), *self.arguments]

    def is_finished(self) -> bool:
        """Whether its maps are there, made by this command from these very files."""
        return _has_maps(self.folder, self.command(), self.inputs())

    def make_room(self) -> None:
        """Make the folder of its maps."""
        self.folder.mkdir(parents=True, exist_ok=True)

    def inputs(self) -> list[Path]:
        """The files that it reads."""
        return [self.t1, self.t2, self.checkpoint]

    def changed(self) -> list[str]:
        """In words, what the maps in its folder were made from that is not the same now."""
        return _changed_inputs(self.folder, self.inputs())

    def clear(self) -> None:
        """Leave what is there: the command replaces it."""


@dataclass(frozen=True)
class JoinJob:
    """The shards of one scene pair to join.

    Attributes:
        name: what the pair is called.
        folder: where its maps go.
        shards: the jobs that make the shards.
        arguments: further arguments of ``hsi-cd mosaic``.
    """

    name: str
    folder: Path
    shards: tuple[PredictJob, ...]
    arguments: tuple[str, ...] = ()

    kinds: ClassVar[tuple[tuple[str, ...], ...]] = (JOIN_KIND,)

    @property
    def needs(self) -> tuple[Path, ...]:
        """The folders of the jobs that must have ended well before it."""
        return tuple(shard.folder for shard in self.shards)

    def _parts(self) -> list[Path]:
        return [shard.folder / f"{name}.tif" for shard in self.shards for name in MAPS]

    def command(self) -> list[str]:
        """The command that does it; what a killed one left is replaced."""
        return [*PROGRAM, "mosaic", *map(str, self._parts()), *_map_options(self.folder), *self.arguments]

    def is_finished(self) -> bool:
        """Whether its maps are there, made by this command from these very shards."""
        return _has_maps(self.folder, self.command(), self._parts())

    def make_room(self) -> None:
        """Make the folder of its maps."""
        self.folder.mkdir(parents=True, exist_ok=True)

    def inputs(self) -> list[Path]:
        """The files that are there before the batch: none, as others of its jobs make the shards."""
        return []

    def changed(self) -> list[str]:
        """In words, what the maps in its folder were made from that is not the same now."""
        return _changed_inputs(self.folder, self._parts())

    def clear(self) -> None:
        """Leave what is there: the command replaces it."""


def predict_kind(checkpoint: str, shard: str) -> tuple[str, ...]:
    """What predictions have in common that take as long as one with this checkpoint, of this shard."""
    return ("predict", checkpoint, f"in {shard.partition('/')[2]} shards") if shard else ("predict", checkpoint)


def _map_options(folder: Path) -> list[str]:
    words = ["--output", str(folder / f"{MAPS[0]}.tif")]
    for name in MAPS[1:]:
        words += [f"--{name}", str(folder / f"{name}.tif")]
    return [*words, "--provenance", str(folder / PROVENANCE), "--overwrite"]


def _has_maps(folder: Path, command: Sequence[str], inputs: Sequence[Path]) -> bool:
    """Whether the maps in a folder are there, made by this command from these very files."""
    try:
        last = read_provenance(folder).sessions[-1]
    except (HsiCdError, IndexError):
        return False
    return (
        last.outcome == "finished"
        and last.command[1:] == tuple(command[len(PROGRAM) :])
        and set(last.inputs) == set(map(str, inputs))
        and all(is_same_file(path, identity) for path, identity in last.inputs.items())
        and all((folder / f"{name}.tif").is_file() for name in MAPS)
    )


def _changed_inputs(folder: Path, inputs: Sequence[Path]) -> list[str]:
    """What the maps in a folder were made from that is not the same now; nothing where they are not there."""
    whole = all((folder / f"{name}.tif").is_file() for name in MAPS)
    return changed_inputs(inputs_of(folder), inputs) if whole else []


def inputs_of(folder: Path) -> Mapping[str, Identity]:
    """The files that what lies in a folder was made from, as far as it says so."""
    try:
        return known_inputs(read_provenance(folder))
    except HsiCdError:
        return {}


def last_command(folder: Path) -> tuple[str, ...]:
    """The arguments of the command that last worked in a folder; none where it does not say so."""
    try:
        return read_provenance(folder).sessions[-1].command[1:]
    except (HsiCdError, IndexError):
        return ()
