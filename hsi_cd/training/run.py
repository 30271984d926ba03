"""One run, from a scene and its labels to a folder with everything that is needed to believe the score."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hsi_cd.config import RunConfig
from hsi_cd.detectors.base import Detector, kinds_in
from hsi_cd.detectors.checkpoint import file_hash, load_checkpoint
from hsi_cd.detectors.registry import find_method
from hsi_cd.errors import CheckpointError, HsiCdError
from hsi_cd.evaluation import (
    JudgingShapes,
    RunResult,
    beside_headline,
    judge_drawn,
    judge_map,
    merged,
    not_judged,
    scores_elsewhere,
)
from hsi_cd.inference.kind_maps import taught_kinds
from hsi_cd.inference.mapping import MapOptions, write_maps
from hsi_cd.io import (
    ClassMap,
    MapFiles,
    read_class_map,
    read_own_map,
    read_scores,
    remove_drafts,
    write_json,
    write_npz,
)
from hsi_cd.io.split_files import read_split, write_split
from hsi_cd.prepare.splits import leak_share, near_training
from hsi_cd.prepare.windows import Dates
from hsi_cd.reporting.figures import KindPanels, ScorePanel, Title, panel_figure, save_figure
from hsi_cd.reporting.images import false_colour, stretch_limits
from hsi_cd.runs.folder import PROVENANCE
from hsi_cd.runs.folder import Overview as KeptOverview
from hsi_cd.runs.making import check_folder, check_inputs, make_folder, unmake_folder
from hsi_cd.runs.recording import recording, versions
from hsi_cd.runtime.circumstances import Circumstances
from hsi_cd.runtime.device import choose_device, hardware, machine
from hsi_cd.runtime.seeding import seed_everything
from hsi_cd.runtime.signals import Stop
from hsi_cd.runtime.team import ALONE, Team
from hsi_cd.scene import UNLABELLED, Labels, ScenePair, Split
from hsi_cd.scene.shown_bands import shown_bands
from hsi_cd.training.cross_validation import judging_shapes
from hsi_cd.training.examples import Examples, LabelledScene, config_of, declared_of, prepare_examples
from hsi_cd.training.fitting import Learned, check_learning, learn
from hsi_cd.training.keeping import RunKept


def run_training(
    scene: LabelledScene,
    config: RunConfig,
    folder: Path,
    *,
    resume: bool = False,
    team: Team = ALONE,
    stop: Stop | None = None,
    command: Sequence[str] = (),
    inputs: Iterable[Path] = (),
) -> RunResult | None:
    """Split, train, map and judge one scene.

    The folder ends with ``config.yaml`` (resolved), ``split.npz``, ``last.pt`` and ``best.pt``, TensorBoard's
    event files and ``curves.csv``, ``change.tif``, ``score.tif``, ``figure.png`` and ``overview.npz`` (its
    pictures), ``provenance.json`` and, last of all, ``result.json``.

    Args:
        scene: two dates and their truth map.
        config: the resolved configuration.
        folder: the run folder; made if it is not there.
        resume: go on with what an interrupted run of the same configuration left in the folder.
        team: the processes that train together, each given the same; the first alone writes, maps and judges.
        stop: says when to save and leave; by default nothing does.
        command: what was typed, for the record.
        inputs: files that decided something, those of the scene first: for the record, and to know them again.

    Returns:
        The result, as in ``result.json``; None in the other processes of a team.

    Raises:
        UnknownNameError: there is no such method.
        ConfigError: the method cannot be taught so, or not by several processes.
        GridError: the labels have another shape.
        BandError: the scene has bands that cannot be used.
        LabelError: a class has too few labelled pixels.
        OutputError: the folder holds another run, or cannot be written.
        CheckpointError: the run cannot be resumed.
        Preempted: it was asked to leave.
    """
    check_learning(config, processes=team.size)
    config = declared_of(config_of(config, scene.split, scene.labels), scene.pair)
    scene = scene.in_area()
    scene.pair.check_labels(scene.labels)
    device = team.device(choose_device(config.device))
    inputs, pixels = tuple(inputs), None
    if team.leads:
        check_folder(folder, config, resume=resume, inputs=scene.pair.files)
        pixels = scene.pair.fingerprint()
        if resume:
            check_inputs(folder, inputs, pixels, scene.labels.fingerprint())
    generator = seed_everything(config.seed, deterministic=config.deterministic, benchmark=config.benchmark)
    circumstances = Circumstances(generator, device, team, stop or Stop())
    examples = prepare_examples(scene, config)
    # Nothing is written before all input has proved good: a refused scene leaves no folder behind.
    earlier = load_checkpoint(folder / "last.pt") if resume and (folder / "last.pt").exists() else None
    keeper = RunKept(folder, config, earlier, leads=team.leads)
    if not team.leads:
        learn(examples.measurement, examples.taught, config, circumstances, keeper)
        return None
    if resume:
        remove_drafts(folder)
    else:
        make_folder(folder, config)
    digests = {"pixels": pixels, "labels": scene.labels.fingerprint()}
    with recording(folder / PROVENANCE, command, machine=machine(), inputs=inputs, **digests):
        _keep_split(folder / "split.npz", examples.on_map()[1], resume=resume)
        try:
            learned = learn(examples.measurement, examples.taught, config, circumstances, keeper)
        except HsiCdError:
            if not resume:
                unmake_folder(folder)
            raise
        return map_and_judge(examples, learned, config, folder, device=device)


def map_and_judge(
    examples: Examples, learned: Learned, config: RunConfig, folder: Path, *, device: torch.device
) -> RunResult:
    """Map the scene with what was learned, judge the map, and leave both in the folder."""
    detector, (labels, split) = learned.detector, examples.on_map()
    pair, method = examples.measurement.pair, find_method(config.method)

    started = time.perf_counter()
    overview = Overview(pair)
    files = MapFiles(folder / "change.tif", folder / "score.tif", overwrite=True)
    how = MapOptions(checkpoint=file_hash(folder / "best.pt"), look_at_shift=False, seen=overview.see)
    how = replace(how, kinds=taught_kinds(detector))
    write_maps(detector, pair, files, how)
    map_seconds = time.perf_counter() - started

    mapped = _read_back(folder / "change.tif", detector)
    change, kinds = mapped.values, mapped.kinds
    score = read_scores(folder / "score.tif")
    probability = detector.probability(score)
    details = {
        **learned.facts,
        **({"plugin": method.place} if method.place else {}),
        "score_unit": detector.unit,
        **({} if config.split.given is None else {"split_given": config.split.given}),
        **_taught_kinds(examples),
    }
    facts: dict[str, Any] = {
        "dataset": pair.name,
        "method": method.row,
        "split": split,
        "threshold": detector.threshold,
        "parameters": detector.parameters(),
        "train_seconds": learned.seconds,
        "map_seconds": map_seconds,
        "hardware": hardware(device),
        "versions": versions(),
        "config": "config.yaml",
        "checkpoint": "best.pt",
    }
    if split.all_teach(labels):  # nothing is held out: shapes judge in turn
        if kinds is not None:
            details["kinds_not_judged"] = "mapped and not judged: what judges a shape in turn tells no kinds"
        result = judge_drawn(
            merged(change),
            labels,
            _of_map(judging_shapes(examples, learned, config), pair),
            probability=probability,
            details=details,
            **facts,
        )
    else:
        behind: dict[str, Any] = {"score": score, "probability": probability, "kinds": kinds}
        details |= {
            "leak_share": leak_share(split, labels, radius=detector.radius),
            **scores_elsewhere(change, labels, _other_scopes(labels, split), **behind),
        }
        result = judge_map(change, labels, details=details, **behind, **facts)
    # A split that was given has its own seed, or none: the run's is that of what was trained.
    result = replace(result, split="split.npz", seed=config.seed)
    if not method.needs_labels:
        result = replace(result, train=None)  # it never looked at the pixels that would have taught
    _draw(folder, overview, mapped, probability, labels, split, result)
    write_json(folder / "result.json", result.to_dict(), overwrite=True)
    return result


def _taught_kinds(examples: Examples) -> dict[str, str]:
    """How many pixels of each kind of change taught, for the result's record; nothing without kinds."""
    taught = examples.taught
    if taught.kinds is None or taught.kind_table is None:
        return {}
    counted = np.bincount(taught.kinds, minlength=taught.kind_table.count + 1)[1:].tolist()
    told = [f"{name} {count}" for name, count in zip(taught.kind_table.names, counted, strict=False)]
    return {"kinds_taught": ", ".join(told)}


def _read_back(path: Path, detector: Detector) -> ClassMap:
    """The map that was written: one of kinds where the detector has learned them."""
    learned = kinds_in(detector)
    if learned is None:
        return read_class_map(path)
    return read_own_map(path, dict(enumerate(learned.table.names, start=1)))


def _of_map(judging: JudgingShapes, pair: ScenePair) -> JudgingShapes:
    """Judging shapes of a scene on the grid of its map."""
    area = pair.focus
    if area is None:
        return judging
    found: dict[str, Any] = {
        name: area.cut(values)
        for name in ("shapes", "decided", "score", "probability")
        if (values := getattr(judging, name)) is not None
    }
    return replace(judging, **found)


def _keep_split(path: Path, split: Split, *, resume: bool) -> None:
    """Save the split; a resumed run must have drawn the same one."""
    if resume and path.exists():
        if not split.same_pixels(read_split(path)):
            raise CheckpointError(
                f"{path} holds other training pixels than this truth map gives: use the same truth"
            )
        return
    write_split(path, split)


def _other_scopes(labels: Labels, split: Split) -> dict[str, NDArray[np.bool_]]:
    """Pixels on which the map is scored too: those far from every training pixel, and all labelled ones."""
    scopes = {"all labelled": labels.values != UNLABELLED}
    if len(split.train):
        scopes["strict"] = split.test_mask(labels) & ~near_training(split.train_mask())
    return scopes


class Overview:
    """Both dates in near infrared, red and green, kept while the scene is read for its map.

    Attributes:
        name: of the scene.
        grid: of the scene.
        shown: which bands are kept, in words.
    """

    def __init__(self, pair: ScenePair) -> None:
        """Nothing is kept yet."""
        self.name, self.grid = pair.name, pair.grid
        shown = shown_bands(pair.bands, used=pair.used)
        self._bands, self.shown = list(shown.indices), shown.words
        self._rows: list[Dates] = []

    def see(self, rows: slice, dates: Dates) -> None:
        """Keep what is shown of these rows."""
        self._rows.append((dates[0][self._bands], dates[1][self._bands]))

    def dates(self) -> Dates:
        """Each date, float32 ``(3, rows, cols)``."""
        t1, t2 = (np.concatenate(parts, axis=1) for parts in zip(*self._rows, strict=True))
        return t1, t2


def _draw(
    folder: Path,
    overview: Overview,
    mapped: ClassMap,
    probability: NDArray[np.float32],
    labels: Labels,
    split: Split,
    result: RunResult,
) -> None:
    """Draw both dates in false colour (near infrared, red, green), score, map, truth and errors."""
    t1, t2 = overview.dates()
    limits = stretch_limits(t1, t2)
    kinds = None if result.kinds is None else labels.kind_numbers()
    first, second = (false_colour(date, limits=limits) for date in (t1, t2))
    pictures = KeptOverview(first, second, labels.values, overview.shown, kinds).pictures()
    write_npz(folder / "overview.npz", pictures, overwrite=True)
    told = f"{beside_headline(result)}; dates in {overview.shown}"
    figure = panel_figure(
        t1,
        t2,
        change=merged(mapped.values),
        score=ScorePanel(probability),
        truth=labels.values,
        train_index=split.train,
        title=Title(overview.name, result.method, None if not_judged(result) else result.scores, told),
        grid=overview.grid,
        kinds=None if mapped.kinds is None else KindPanels(mapped.kinds, mapped.values, kinds),
    )
    save_figure(figure, folder / "figure.png", overwrite=True)
