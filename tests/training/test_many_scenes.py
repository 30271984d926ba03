"""One network that many scenes teach: what it sees of them, who judges, and that nothing else decides."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import logit

import hsi_cd as hc
from hsi_cd.api.scenes_training import resolve_scenes
from hsi_cd.config import RunConfig, ScenesConfig
from hsi_cd.config.layers import nested_settings
from hsi_cd.datasets.simulated.simulation import SimulationOptions
from hsi_cd.datasets.simulated.simulation_files import write_pair
from hsi_cd.detectors.checkpoint import load_checkpoint
from hsi_cd.detectors.refit import refit_statistics
from hsi_cd.detectors.siamese import fit_siamese_of_scenes, siamese_from_state
from hsi_cd.errors import BandError, CheckpointError, ConfigError, LabelError, Preempted, UnknownNameError
from hsi_cd.inference.change_map import ChangeMap
from hsi_cd.prepare import scratch
from hsi_cd.prepare.measurement import Measurement
from hsi_cd.prepare.projection import principal_components
from hsi_cd.runtime.signals import Stop
from hsi_cd.scene import Labels, ScenePair, cube_from_array
from hsi_cd.training.augmentation import draw_variation
from hsi_cd.training.examples import LabelledScene
from hsi_cd.training.folds import deal_folds
from hsi_cd.training.many_patches import patches_of_scenes
from hsi_cd.training.many_scenes import draw_pixels
from hsi_cd.training.patches import scene_patches
from hsi_cd.training.samplers import Pool
from hsi_cd.training.samplers import scenes as by_scene
from hsi_cd.training.scenes_run import run_scenes
from hsi_cd.training.training_set import TrainingSet

SMALL = {
    "scenes.changed": 60,
    "scenes.unchanged": 90,
    "model.members": 3,
    "model.attention.window": 3,
    "model.backbone.width": 8,
    "train.batch_size": 32,
    "train.max_steps": 24,
    "train.map_every": 0,
    "device": "cpu",
}
"""Settings of a training that takes a second."""

SHAPES = ((30, 26), (24, 36), (33, 22), (28, 28))

Train = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> list[LabelledScene]:
    """Four small scenes of one sensor, each of another shape."""
    folder = tmp_path_factory.mktemp("scenes")
    found = []
    for number, (rows, cols) in enumerate(SHAPES):
        files = write_pair(folder / f"s{number}", SimulationOptions(rows=rows, cols=cols, bands=6, seed=number))
        pair = hc.open_pair(files.t1, files.t2, name="abcd"[number])
        found.append(LabelledScene(pair, hc.open_labels(files.truth)))
    return found


def config(hold_out: str | None = None, **settings: Any) -> RunConfig:
    said = SMALL | {name.replace("__", "."): value for name, value in settings.items()}
    return resolve_scenes([("the test", nested_settings(said))], hold_out=hold_out)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return dict(load_checkpoint(folder / "best.pt")["detector"]["network"])


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(value, second[name]) for name, value in first.items())


@pytest.fixture(scope="module")
def taught(scenes: list[LabelledScene], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """The folder of a run that the first three scenes taught, and what it said."""
    folder = tmp_path_factory.mktemp("taught") / "run"
    found = run_scenes(scenes[:3], config(), folder)
    assert found is not None
    return folder, found


# --- what the network sees ---


@pytest.mark.parametrize("in_a_file", [False, True])
def test_patches_of_all_scenes_are_those_of_each(
    scenes: list[LabelledScene], in_a_file: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Turned, exchanged and blended alike, whichever scenes a batch mixes; also where they lie in a file."""
    if in_a_file:
        monkeypatch.setattr(scratch, "IN_MEMORY", 0)
    measured = [Measurement(scene.pair) for scene in scenes]
    detectors = fit_siamese_of_scenes(measured, config(prepare__score=False))
    random = np.random.default_rng(0)
    drawn = [np.sort(random.choice(rows * cols, 30, replace=False)) for rows, cols in SHAPES]
    many = patches_of_scenes(detectors, [scene.pair for scene in scenes], drawn)
    each = [*map(scene_patches, detectors, [scene.pair for scene in scenes])]
    scene = random.integers(0, 4, 40)
    own = np.array([random.choice(drawn[i]) for i in scene])
    first = np.cumsum([0, *(rows * cols for rows, cols in SHAPES)])
    numbers = torch.from_numpy(first[scene] + own)
    vary = draw_variation(40, flips=True, turns=True, date_swap=True, mixup=0.0, random=random)
    got = many.cut(numbers, vary)
    for i in range(40):
        only = replace(vary, swapped=None if vary.swapped is None else vary.swapped[i : i + 1])
        wanted = each[scene[i]].cut(torch.tensor([own[i]]), only)
        assert all(torch.equal(a[i], b[0]) for a, b in zip(got, wanted, strict=True))
    share = np.linspace(0.5, 1, 40).astype(np.float32)
    blended = many.cut(numbers, replace(vary, partner=np.roll(np.arange(40), 1), share=share))[0]
    kept = torch.from_numpy(share)[:, None, None, None]
    assert torch.allclose(blended, kept * got[0] + (1 - kept) * got[0].roll(1, 0), atol=1e-6)
    assert sorted(np.flatnonzero(many.inside)) == sorted(
        np.concatenate([p + at for p, at in zip(drawn, first, strict=False)])
    )
    assert len(many.valid) <= sum(source.valid.numel() for source in each)  # what patches share is kept once


def test_one_projection_is_for_all_scenes(scenes: list[LabelledScene]) -> None:
    """That of the mean covariance of each scene's own standardised spectra; of one scene alone, its own."""
    measured = [Measurement(scene.pair) for scene in scenes]
    settings = {"prepare__score": False, "prepare__projection": "pca", "prepare__components": 3}
    detectors = fit_siamese_of_scenes(measured, config(**settings))
    covariances = []
    for scene in scenes:
        t1, t2 = (date.reshape(6, -1).astype(np.float64) for date in scene.pair.read(slice(None)))
        both = [(date - date.mean(axis=1, keepdims=True)) / date.std(axis=1, keepdims=True) for date in (t1, t2)]
        covariances.append(np.cov(np.concatenate(both, axis=1), bias=True))
    wanted = principal_components(np.mean(covariances, axis=0), 3)
    for detector in detectors:
        transform = detector.transform
        assert transform.scale is not None
        for date in (0, 1):
            np.testing.assert_allclose(transform.weight[date] * transform.scale[date], wanted, atol=2e-3)
    assert len({id(detector.network) for detector in detectors}) == 1


def test_light_of_another_day_changes_no_map(
    scenes: list[LabelledScene], taught: tuple[Path, dict[str, Any]]
) -> None:
    """A scene that taught nothing is measured itself: gain and offset of each band and date make no difference."""
    detector, pair = hc.load(taught[0] / "best.pt"), scenes[3].pair
    t1, t2 = pair.read(slice(None))
    random = np.random.default_rng(1)
    gain, offset = random.uniform(0.5, 2, (2, 6, 1, 1)), random.uniform(-0.1, 0.1, (2, 6, 1, 1))
    other = [date * gain[i] + offset[i] for i, date in enumerate((t1, t2))]
    cubes = [cube_from_array(x.astype(np.float32), bands=pair.bands) for x in other]
    usual, lit = detector.predict(pair), detector.predict(ScenePair(*cubes, name="lit"))
    np.testing.assert_allclose(lit.score, usual.score, atol=2e-3)
    assert usual.change.any() and not usual.change.all()


def test_a_checkpoint_knows_its_scenes_and_its_score(taught: tuple[Path, dict[str, Any]]) -> None:
    content = load_checkpoint(taught[0] / "best.pt")
    detector = siamese_from_state(content["detector"])
    assert detector.scenes == ("a", "b", "c") and detector.channels == 7 and detector.scored is not None
    again = siamese_from_state(detector.state())
    assert again.scored is not None and again.scored.median == detector.scored.median
    damaged = {**content["detector"], "scored": {**content["detector"]["scored"], "median": -1.0}}
    with pytest.raises(CheckpointError, match="a median score of -1"):
        siamese_from_state(damaged)


def test_what_the_score_says_stays_beside_the_network(
    scenes: list[LabelledScene], taught: tuple[Path, dict[str, Any]]
) -> None:
    """The log-odds of the label-free map of the scene are added, by their weight, within 6 either way."""
    state, pair = load_checkpoint(taught[0] / "best.pt")["detector"], scenes[3].pair
    found = refit_statistics(siamese_from_state(state), pair)
    assert found.scored is not None and 0 < found.calibration.prior <= 1
    free = hc.detect(pair, method="auto")
    odds = np.clip(logit(free.detector.probability(free.score).astype(np.float64)), -6, 6)
    alone = replace(found, calibration=replace(found.calibration, prior=0.0))
    usual, without = (logit(ChangeMap(each, pair).score) for each in (found, alone))
    np.testing.assert_allclose(usual - without, found.calibration.prior * odds, atol=0.02)
    # A checkpoint of before, in which it was seen and no more, maps as it did.
    scored = {name: value for name, value in state["scored"].items() if name != "weight"}
    assert siamese_from_state({**state, "scored": scored}).calibration.prior == 0


PEAK = """
import resource, sys
import hsi_cd as hc
t1, t2, truth, count, run = sys.argv[1:]
pairs = [(hc.open_pair(t1, t2, name=f"s{i}", memory=1 << 20), truth) for i in range(int(count))]
settings = {"train.max_steps": 4, "model.members": 2, "scenes.unchanged": 20, "scenes.changed": 20}
hc.train_scenes(pairs, run=run, settings=settings)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_scenes(cli: Any, tmp_path: Path) -> None:
    """Nine scenes against three; each is 19 MB as the network sees it, and 8 MB decoded."""
    files = write_pair(tmp_path / "s", SimulationOptions(rows=160, cols=160, bands=40, seed=0))
    peaks = []
    for count in (3, 9):
        words = (files.t1, files.t2, files.truth, count, tmp_path / f"run{count}")
        done = cli.process(*words, code=PEAK)
        assert done.returncode == 0, done.stderr
        peaks.append(int(done.stdout.split()[-1]))
    assert peaks[1] - peaks[0] < 100e6  # all of six scenes would be 160 MB


# --- who teaches, and who judges ---


def test_every_scene_and_class_is_met_as_often() -> None:
    """However many pixels a scene has: 4 of the first, 900 of the last."""
    own = np.arange(1000)
    number = np.repeat([0, 1, 2], [4, 96, 900])
    target = (np.arange(1000) % 4 == 0).astype(np.int64)
    pool = Pool(own, target, own * 0, np.ones(1000), own[:0], number)
    order = by_scene(pool, 600, np.random.default_rng(0))
    counted = np.zeros((3, 2), dtype=int)
    np.add.at(counted, (number[order], target[order]), 1)
    assert len(order) == 600 and (counted == 100).all()


@pytest.mark.parametrize(("count", "folds", "members", "parts"), [(2, 5, 5, 2), (4, 5, 3, 3), (7, 3, 5, 3)])
def test_no_fold_divides_a_scene(count: int, folds: int, members: int, parts: int) -> None:
    """And there are no more than members, so that every scene is judged by one that never saw it."""
    number = np.repeat(np.arange(count), 10)
    taught = TrainingSet(np.arange(10 * count), np.arange(10 * count) % 2, scenes=number)
    part = deal_folds(taught, folds, seed=3, members=members)
    assert part is not None
    of_scene = [set(part[number == scene].tolist()) for scene in range(count)]
    assert all(len(each) == 1 for each in of_scene)
    assert set.union(*of_scene) == set(range(parts))


def test_few_pixels_of_a_scene_teach_all_of_a_small_class() -> None:
    values = np.full((40, 50), 255, dtype=np.uint8)
    values[:20], values[20, :7] = 0, 1
    pixels = draw_pixels(Labels(values), ScenesConfig(changed=30, unchanged=25), np.random.default_rng(0))
    drawn = values.ravel()[pixels]
    assert (drawn == 1).sum() == 7 and (drawn == 0).sum() == 25 and len(np.unique(pixels)) == 32


def test_a_scene_is_judged_by_members_that_never_saw_it(
    scenes: list[LabelledScene], taught: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    """Of one whose labels are the wrong way round, the others say what is right, and it shows."""
    labels = scenes[2].labels
    wrong = np.where(labels.values == 255, labels.values, 1 - labels.values)
    poisoned = [*scenes[:2], replace(scenes[2], labels=replace(labels, values=wrong))]
    more = {"train__max_steps": 48, "train__lr": 0.01}
    right, found = (run_scenes(each, config(**more), tmp_path / name) for name, each in
                    (("right", scenes[:3]), ("wrong", poisoned)))  # fmt: skip
    assert right is not None and found is not None
    kappas = {scene["name"]: scene["kappa"] for scene in right["scenes"]}
    assert min(kappas.values()) > 0.2
    assert found["scenes"][2]["kappa"] < -0.05


def test_scores_of_a_scene_are_by_its_own_shares(taught: tuple[Path, dict[str, Any]]) -> None:
    _, found = taught
    for scene in found["scenes"]:
        assert scene["taught"] == {"unchanged": 90, "changed": 60}
        assert scene["labelled"]["unchanged"] > 2 * scene["labelled"]["changed"]
        assert -1 <= scene["kappa"] <= 1 and 0 <= scene["f1"] <= 1
    shares = [s["labelled"]["changed"] / sum(s["labelled"].values()) for s in found["scenes"]]
    assert found["share"] == pytest.approx(np.mean(shares))


def test_a_held_out_scene_is_mapped_and_its_labels_decide_nothing(
    scenes: list[LabelledScene], taught: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    """The weights are those of a run without it, its map that of the checkpoint; the labels judge, and no more."""
    found = run_scenes(scenes, config(hold_out="d"), tmp_path / "held")
    assert found is not None
    result = found["result"]
    assert (result.dataset, result.protocol, result.train) == ("d", "P4", None)
    assert same(weights(tmp_path / "held"), weights(taught[0]))
    change = hc.load(tmp_path / "held" / "best.pt").predict(scenes[3].pair)
    judged = hc.evaluate(change, scenes[3].labels, protocol="P4")
    assert judged.counts == result.counts


# --- going on ---


def test_it_goes_on_bit_for_bit(
    scenes: list[LabelledScene], taught: tuple[Path, dict[str, Any]], tmp_path: Path, stopping: Stop
) -> None:
    folder = tmp_path / "run"
    with pytest.raises(Preempted):
        run_scenes(scenes[:3], config(), folder, stop=stopping)
    stopping.asked = None
    found = run_scenes(scenes[:3], config(), folder, resume=True)
    assert found is not None and found["scenes"] == taught[1]["scenes"]
    assert same(weights(folder), weights(taught[0]))


def test_another_list_is_not_gone_on_with(
    scenes: list[LabelledScene], taught: tuple[Path, dict[str, Any]], tmp_path: Path, stopping: Stop
) -> None:
    with pytest.raises(Preempted):
        run_scenes(scenes[:3], config(), tmp_path / "run", stop=stopping)
    with pytest.raises(CheckpointError, match="other pixels"):
        run_scenes([*scenes[:2], scenes[3]], config(), tmp_path / "run", resume=True)


def test_a_new_scene_goes_on_from_there(
    scenes: list[LabelledScene], taught: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    """With the settings of the checkpoint, its own statistics, and the weights that it was left with."""
    checkpoint, pair = taught[0] / "best.pt", scenes[3].pair
    settings = {"split.count": 10, "train.epochs": 1, "train.lr": 1e-12, "train.certain": 0, "device": "cpu"}
    run = tmp_path / "run"
    hc.train(pair, scenes[3].labels, run=run, protocol="P2", init=checkpoint, settings=settings)
    began, ended = weights(taught[0]), weights(run)
    assert all(torch.allclose(began[name], value, atol=1e-6) for name, value in ended.items())
    detector = siamese_from_state(load_checkpoint(run / "best.pt")["detector"])
    before = siamese_from_state(load_checkpoint(checkpoint)["detector"])
    assert detector.scenes == ()
    # Ten labels of each class do not tell how common change is: what the others said of that stays.
    usual, now = (hc.load(file).predict(pair).change for file in (checkpoint, run / "best.pt"))
    assert abs((usual == 1).mean() - (now == 1).mean()) < 0.01 < (usual == 1).mean()
    np.testing.assert_array_equal(detector.transform.weight, refit_statistics(before, pair).transform.weight)
    with pytest.raises(ConfigError, match=r"init=.* was trained with prepare\.score True, but here it is False"):
        more = {**settings, "prepare.score": False}
        hc.train(pair, scenes[3].labels, run=tmp_path / "other", protocol="P2", init=checkpoint, settings=more)
    assert not (tmp_path / "other").exists()


def test_scenes_go_on_from_there_too(
    scenes: list[LabelledScene], taught: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    pairs = [(scene.pair, scene.labels) for scene in scenes[2:]]
    more = {**SMALL, "train.lr": 1e-12, "train.max_steps": 2, "model.backbone.dropout": 0.1}
    for key in ("model.members", "model.attention.window", "model.backbone.width"):
        del more[key]
    found = hc.train_scenes(pairs, run=tmp_path / "run", init=taught[0] / "best.pt", settings=more)
    began, ended = weights(taught[0]), weights(found.run)
    assert all(torch.allclose(began[name], value, atol=1e-6) for name, value in ended.items())
    assert [scene["name"] for scene in found.facts["scenes"]] == ["c", "d"]


# --- what is refused ---


def _one_class(scenes: Sequence[LabelledScene]) -> list[LabelledScene]:
    values = np.where(scenes[1].labels.values == 1, np.uint8(255), scenes[1].labels.values)
    return [scenes[0], replace(scenes[1], labels=replace(scenes[1].labels, values=values))]


def _scaled(scenes: Sequence[LabelledScene]) -> list[LabelledScene]:
    pair = scenes[1].pair
    cubes = [cube_from_array(date * np.float32(10000), bands=pair.bands) for date in pair.read(slice(None))]
    return [scenes[0], replace(scenes[1], pair=ScenePair(*cubes, name="b"))]


def _fewer_bands(scenes: Sequence[LabelledScene]) -> list[LabelledScene]:
    cubes = [cube_from_array(date[:5]) for date in scenes[1].pair.read(slice(None))]
    return [scenes[0], replace(scenes[1], pair=ScenePair(*cubes, name="b"))]


def _renamed(scenes: Sequence[LabelledScene]) -> list[LabelledScene]:
    return [scenes[0], replace(scenes[1], pair=replace(scenes[1].pair, name="a"))]


REFUSED: dict[str, tuple[Callable[[Any], Any], dict[str, Any], type[Exception], str]] = {
    "one": (lambda s: s[:1], {}, ConfigError, "1 scene teaches, but whole scenes are held out"),
    "one beside": (lambda s: s[:2], {"hold_out": "a"}, ConfigError, "1 scene teaches"),
    "names": (_renamed, {}, ConfigError, "two scenes are called a"),
    "nobody": (lambda s: s[:3], {"hold_out": "z"}, UnknownNameError, "z"),
    "class": (_one_class, {}, LabelError, "b: no labelled pixel with data in both dates is changed"),
    "units": (_scaled, {}, BandError, r"the values of b are about \S+e\+04 times those of a in every band"),
    "bands": (_fewer_bands, {}, BandError, "the scene a .*the scene b"),
    "method": (lambda s: s[:3], {"method": "svm"}, ConfigError, "svm learns from one scene"),
    "teacher": (lambda s: s[:3], {"train__teacher__kind": "mean_teacher"}, ConfigError, "teacher.kind"),
    "start": (lambda s: s[:3], {"train__start_from": "runs/x"}, ConfigError, "use init=CHECKPOINT"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_teach_is_refused_and_leaves_nothing(
    scenes: list[LabelledScene], tmp_path: Path, case: str
) -> None:
    change, settings, error, message = REFUSED[case]
    with pytest.raises(error, match=message):
        run_scenes(change(scenes), config(**settings), tmp_path / "run")
    assert not (tmp_path / "run").exists()
