"""What a batch is made of: runs of ``hsi-cd train``, predictions, and the joining of their shards.

Each is a process with a folder of its own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import ClassVar

from hsi_cd.batch.map_jobs import PROGRAM, JoinJob, PredictJob, inputs_of, last_command
from hsi_cd.config import (
    AUTO_MASK,
    MANY_SCENES,
    RunConfig,
    dataset_config,
    parse_assignment,
    read_config_file,
    resolve,
)
from hsi_cd.errors import HsiCdError
from hsi_cd.evaluation import RunResult
from hsi_cd.plugins import file_word
from hsi_cd.runs import changed_inputs
from hsi_cd.runs.making import clear_folder


@dataclass(frozen=True)
class GivenSplit:
    """The pixels that teach in a run, named by a file.

    Attributes:
        path: the file, as ``hsi-cd train --split`` takes it.
        protocol: what the split says of how it was drawn.
        fingerprint: of its pixels.
    """

    path: Path
    protocol: str
    fingerprint: str


@dataclass(frozen=True)
class TrainJob:
    """One run of a matrix.

    Attributes:
        dataset: name of the scene.
        method: name of the method.
        seed: seed of the split and the training.
        protocol: id of the protocol.
        folder: its run folder.
        settings: settings that it changes, as ``train.epochs=50``.
        arguments: further arguments of ``hsi-cd train``, which change no setting.
        files: for a scene that is not in the catalogue, the arguments that name its files.
        variant: what its settings are called; empty where all runs share them.
        row: what its result calls the method; empty where that is the method's name.
        brings: settings that its method brings, as JSON; it makes them itself when it runs.
        given: the pixels that teach, where no protocol draws them; the protocol is then theirs.
        scenes: the list of scenes that ``dataset`` is one of: all others teach, and it is mapped and judged.
    """

    dataset: str
    method: str
    seed: int
    protocol: str
    folder: Path
    settings: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    variant: str = ""
    row: str = ""
    brings: str = ""
    given: GivenSplit | None = None
    scenes: Path | None = None

    needs: ClassVar[tuple[Path, ...]] = ()

    @property
    def title(self) -> str:
        """What tables call its method."""
        return self.row or self.method

    @property
    def name(self) -> str:
        """The run in words."""
        words = [self.variant, self.dataset, self.title, f"seed {self.seed}"]
        return " ".join(word for word in words if word)

    @property
    def kinds(self) -> tuple[tuple[str, ...], ...]:
        """What runs that take as long have in common with it: method and scene; else the method."""
        return ("train", self.title, self.dataset), ("train", self.title)

    def config(self) -> RunConfig:
        """The configuration that ``hsi-cd train`` resolves for it.

        Raises:
            ConfigError: a setting, the seed or the protocol is not allowed.
        """
        named = {"method": self.method, "seed": self.seed}
        brought = (f"method {self.method}", json.loads(self.brings or "{}"))
        changes = [(f"--set {text}", parse_assignment(text)) for text in self.settings]
        if self.scenes is not None:
            held = ("--hold-out", {"scenes": {"hold_out": self.dataset}, "split": {"protocol": self.protocol}})
            return resolve([brought, ("--scenes", MANY_SCENES), *changes, ("options", named), held])
        scene = {} if self.files else {"dataset": self.dataset}
        given = None if self.given is None else self.given.fingerprint
        return resolve(
            [
                brought,
                (f"configs/{self.dataset}.yaml", {} if self.files else dataset_config(self.dataset)),
                *changes,
                ("options", scene | named),
                ("--protocol", {"split": {"protocol": self.protocol, "given": given}}),
            ]
        )

    def command(self) -> list[str]:
        """The command that does it, going on with what an earlier one left."""
        scene = [*self.files, "--name", self.dataset] if self.files else ["--dataset", self.dataset]
        drawn = ["--protocol", self.protocol] if self.given is None else ["--split", str(self.given.path)]
        if self.scenes is not None:
            scene, drawn = ["--scenes", str(self.scenes), "--hold-out", self.dataset], []
        words = [*PROGRAM, "train", *scene, "--method", self.method]
        words += [
            "--seed",
            str(self.seed),
            *drawn,
            "--run",
            str(self.folder),
            *(word for text in self.settings for word in ("--set", text)),
            *self.arguments,
        ]
        return [*words, "--resume"] if (self.folder / "config.yaml").is_file() else words

    def result(self) -> RunResult | None:
        """The result, if the run is done; None if it is not, or if what is there is damaged or of another run.

        A result made with other settings, or from other files, is one of another run. One without its
        ``config.yaml`` is believed, and so is one that does not say from which files it was made.
        """
        kept = self.folder / "config.yaml"
        try:
            text = (self.folder / "result.json").read_text(encoding="utf-8")
            result = RunResult.from_dict(json.loads(text))
            # Not resolved: that would import what a file names.
            then = RunConfig.model_validate(read_config_file(kept)) if kept.is_file() else None
            if then is not None and self.scenes is not None:  # how a scene is read, the list says
                then = then.model_copy(update={"nodata": (), "mask": AUTO_MASK})
            if then is not None and then.as_asked() != self.config().as_asked():
                return None
        except (OSError, ValueError, HsiCdError):
            return None
        if self.changed():
            return None
        same = (result.dataset, result.method, result.seed, result.protocol) == (
            self.dataset,
            self.title,
            self.seed,
            self.protocol,
        )
        return result if same else None

    def table_result(self) -> RunResult | None:
        """The result as a row of a table: its method is called by the variant, too."""
        found = self.result()
        return found and replace(found, method=f"{found.method} {self.variant}".strip())

    def is_finished(self) -> bool:
        """Whether its result is there."""
        return self.result() is not None

    def inputs(self) -> list[Path]:
        """The files that the matrix names for it: scene, split, weights; a catalogue scene is not among them."""
        listed = () if self.scenes is None else (str(self.scenes),)
        return [Path(path) for path in (*self.files[1::2], *listed, *self._beside())]

    def _beside(self) -> list[str]:
        """What it is made from beside the scene: a given split, and weights to begin with."""
        config = self.config()
        split = [] if self.given is None else [str(self.given.path)]
        return [*split, *config.weight_files]

    def changed(self) -> list[str]:
        """In words, what the run in its folder was made from that is not the same now; see ``changed_inputs``."""
        then = inputs_of(self.folder)
        if not then:
            return []
        beside = self._beside()
        scene = self.files[1::2] or [self._in_data_root(path) for path in list(then)[: len(then) - len(beside)]]
        return [*changed_inputs(then, [*scene, *beside]), *self._changed_arguments()]

    def _changed_arguments(self) -> list[str]:
        """Arguments that say how files are read, as ``--align``, where a batch gave others to the run before."""
        then, now = last_command(self.folder), self.command()[len(PROGRAM) :]
        if "--run" not in then:
            return []
        end, start = then.index("--run") + 2, now.index("--run") + 2
        if [w for w in then[:end] if w.startswith("--")] != [w for w in now[:start] if w.startswith("--")]:
            return []  # typed by a person, in an order of their own
        words = [_further(then[end:]), _further(self.arguments)]
        told = [" ".join(further) or "none" for further in words]
        return [] if words[0] == words[1] else [f"its further arguments were {told[0]} and are {told[1]} now"]

    def _in_data_root(self, path: str) -> str:
        """Where a file of a catalogue scene is to be now: its folder may have moved."""
        root = next((value for word, value in pairwise(self.arguments) if word == "--data-root"), None)
        moved = None if root is None else Path(root, *Path(path).parts[-2:])
        return str(moved) if moved is not None and moved.exists() else path

    def tells_inputs(self) -> bool:
        """Whether the run in its folder says from which files it was made; those of earlier versions do not."""
        return bool(inputs_of(self.folder))

    def make_room(self) -> None:
        """Make the folder around its run folder, which the run makes itself."""
        self.folder.parent.mkdir(parents=True, exist_ok=True)

    def clear(self) -> None:
        """Remove a run that was made from other files: it is done anew, not gone on with."""
        if self.changed():
            clear_folder(self.folder)


@dataclass(frozen=True)
class ChosenMethod:
    """A method of a matrix, as far as its runs need to know it.

    Attributes:
        name: its name, as ``hsi-cd train --method`` takes it.
        row: what its results are called; empty where that is its name.
        brings: of a network of another package: the settings that it brings, as JSON.
    """

    name: str
    row: str = ""
    brings: str = ""


Job = TrainJob | PredictJob | JoinJob
"""One process of a batch."""


def _further(words: Sequence[str]) -> list[str]:
    """Arguments without settings, the data root and ``--resume``, which say nothing of how files are read."""
    kept, rest = list[str](), list(words)
    while rest:
        if rest[0] in ("--set", "--data-root"):
            del rest[:2]
        elif (word := rest.pop(0)) != "--resume":
            kept.append(word)
    return kept


def expand(
    datasets: Sequence[str],
    methods: Sequence[str | ChosenMethod],
    seeds: Sequence[int],
    *,
    protocol: str | GivenSplit,
    folder: Path,
    settings: Sequence[str] = (),
    arguments: Sequence[str] = (),
    variants: Mapping[str, Sequence[str]] = {"": ()},
    scenes: Path | None = None,
) -> list[TrainJob]:
    """All runs of a matrix, seed by seed, so that a matrix stopped half-way has something of every method.

    The runs of a variant have its settings besides, and a folder of its name around them. Runs of a given split
    have its fingerprint in their folders' names: other pixels are other runs. With ``scenes``, the list that the
    datasets are of, each run maps and judges one of them, and the others teach.

    Raises:
        ConfigError: a setting, a seed or the protocol is not allowed.
    """
    given = protocol if isinstance(protocol, GivenSplit) else None
    name = protocol if isinstance(protocol, str) else protocol.protocol
    told = name if given is None else f"{name}-{given.fingerprint}"
    jobs = [
        TrainJob(
            dataset,
            method.name,
            seed,
            name,
            run_folder(folder / variant, dataset, method.name, told, seed),
            (*settings, *changes),
            tuple(arguments),
            variant=variant,
            row=method.row,
            brings=method.brings,
            given=given,
            scenes=scenes,
        )
        for seed in seeds
        for variant, changes in variants.items()
        for dataset in datasets
        for method in (ChosenMethod(each) if isinstance(each, str) else each for each in methods)
    ]
    for job in jobs:
        job.config()
    return jobs


def run_folder(folder: Path, dataset: str, method: str, protocol: str, seed: int) -> Path:
    """The folder of one run below the folder of a matrix."""
    return folder / dataset / f"{file_word(method)}-{protocol}-seed{seed}"
