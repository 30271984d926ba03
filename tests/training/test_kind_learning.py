"""Kinds of change that the network learns beside change itself, on a scene of stripes with known kinds."""

from __future__ import annotations

import copy
import io
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight

from hsi_cd.config import RunConfig, resolve
from hsi_cd.detectors.base import KindScorer, LearnedKinds
from hsi_cd.detectors.labelfree import fit_auto
from hsi_cd.detectors.network_calibration import Calibration
from hsi_cd.detectors.network_kinds import NetworkKinds
from hsi_cd.detectors.prior import Prior
from hsi_cd.detectors.siamese import SiameseDetector, fit_siamese, siamese_from_state
from hsi_cd.detectors.surroundings import Surroundings
from hsi_cd.errors import CheckpointError, LabelError
from hsi_cd.inference.kind_maps import taught_kinds
from hsi_cd.inference.mapping import MapOptions, map_rows, rows_of_kinds
from hsi_cd.prepare.windows import read_window
from hsi_cd.runtime.circumstances import Circumstances
from hsi_cd.runtime.seeding import random_state, seed_everything
from hsi_cd.scene import KindTable, ScenePair, cube_from_array
from hsi_cd.training.journal import Journal
from hsi_cd.training.kind_learning import kind_weights, learn_kinds
from hsi_cd.training.loop import train
from hsi_cd.training.patches import PatchSource, scene_patches
from hsi_cd.training.tracking import NoTracker
from hsi_cd.training.training_set import TrainingSet

TABLE = KindTable((3, 4, 9), ("crop to soil", "soil to crop", "crop to roof"))
CONFIG: dict[str, Any] = {
    "train": {"epochs": 40, "max_steps": 60, "batch_size": 32, "folds": 2, "validate_every": 20, "map_every": 0},
    "model": {
        "members": 2,
        "attention": {"window": 3, "channels": 3},
        "backbone": {"width": 16, "depth": 2},
    },
    "prepare": {"components": 6, "registration": False},
}
CROP, SOIL, ROOF = 0, 1, 2


def configured(*layers: dict[str, Any]) -> RunConfig:
    return resolve([("test", CONFIG), *(("test", layer) for layer in layers)])


@pytest.fixture(scope="module")
def ground() -> tuple[np.ndarray, np.ndarray]:
    """Both dates, float32 ``(2, bands, rows, cols)``, and the kind of each pixel, 0 unchanged."""
    random = np.random.default_rng(5)
    spectra = random.uniform(0.1, 0.6, (3, 10))
    before = np.where(np.arange(40)[:, None] // 10 % 2, SOIL, CROP) * np.ones((1, 36), dtype=int)
    kinds = np.zeros((40, 36), dtype=np.uint8)
    kinds[(before == CROP) & (np.arange(36) < 8)] = 1
    kinds[(before == SOIL) & (np.arange(36) < 8)] = 2
    kinds[2:8, 20:28] = 3
    after = np.choose(kinds, [before, SOIL, CROP, ROOF])
    dates = np.stack([spectra[each].transpose(2, 0, 1) for each in (before, after)])
    return (dates + random.normal(0, 0.02, dates.shape)).astype(np.float32), kinds


@pytest.fixture(scope="module")
def pair(ground: tuple[np.ndarray, np.ndarray]) -> ScenePair:
    return ScenePair(*(cube_from_array(date) for date in ground[0]))


@pytest.fixture(scope="module")
def taught(ground: tuple[np.ndarray, np.ndarray]) -> TrainingSet:
    """A dozen pixels of each class and kind, but a single one of the third."""
    kinds, random = ground[1].ravel(), np.random.default_rng(1)
    found = [
        random.choice(np.flatnonzero(kinds == kind), count, replace=False)
        for kind, count in enumerate((60, 12, 12, 1))
    ]
    pixels = np.sort(np.concatenate(found)).astype(np.int64)
    own = kinds[pixels]
    return TrainingSet(pixels, (own > 0).astype(np.int64), kinds=own, kind_table=TABLE)


Trained = tuple[SiameseDetector, dict[str, dict[str, Any]], dict[str, Any]]


def trained(pair: ScenePair, taught: TrainingSet, *layers: dict[str, Any], earlier: Any = None) -> Trained:
    """A detector, the last checkpoint of each name, and the state of all draws after its training."""
    config = configured(*layers)
    generator = seed_everything(0, deterministic=False)
    detector = fit_siamese(pair, config)
    if earlier is not None:
        detector = siamese_from_state(earlier["detector"], augment=config.train.augment)
    saved: dict[str, dict[str, Any]] = {}

    def save(name: str, told: SiameseDetector, training: dict[str, Any]) -> None:
        file = io.BytesIO()
        torch.save({"detector": told.state(), "training": training}, file)
        file.seek(0)
        saved[name] = torch.load(file, weights_only=True)

    train(
        detector,
        scene_patches(detector, pair),
        taught,
        config.train,
        circumstances=Circumstances(generator, detector.device),
        journal=Journal(NoTracker(), save, None if earlier is None else earlier["training"]),
    )
    return detector, saved, random_state(generator)


@pytest.fixture(scope="module")
def learned(pair: ScenePair, taught: TrainingSet) -> Trained:
    return trained(pair, taught)


def kinds_of(detector: SiameseDetector, pair: ScenePair, *, step: int = 40) -> np.ndarray:
    """Kinds of the whole scene, in bands of so many rows."""
    assert detector.kinds is not None
    parts = []
    for row in range(0, 40, step):
        window = read_window(pair, slice(row, min(row + step, 40)), slice(0, 36), radius=detector.kinds.radius)
        parts.append(detector.kinds.of_window(*window))
    return np.concatenate(parts)


def same(a: Any, b: Any) -> bool:
    """Whether nested dictionaries and lists hold the same, bit for bit."""
    if isinstance(a, torch.Tensor):
        return a.dtype == b.dtype and torch.allclose(a, b, rtol=0, atol=0, equal_nan=True)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return bool(a == b or a != a)


def test_kinds_are_learned_with_their_direction_and_from_a_single_pixel(
    learned: Trained, pair: ScenePair, ground: tuple[np.ndarray, np.ndarray], taught: TrainingSet
) -> None:
    detector, kinds = learned[0], ground[1]
    assert isinstance(detector.kinds, LearnedKinds) and isinstance(detector, KindScorer)
    assert detector.kinds.table == TABLE and detector.kinds.count == 3
    found = kinds_of(detector, pair)
    held_out = np.ones(kinds.size, dtype=bool)
    held_out[taught.pixels] = False
    for kind in (1, 2, 3):  # 1 and 2 are each other's way back, and one pixel taught 3
        judged = held_out & (kinds == kind).ravel()
        assert (found.ravel()[judged] == kind).mean() > 0.9, kind
    back = ScenePair(pair.t2, pair.t1)
    there = held_out & np.isin(kinds, (1, 2)).ravel()
    assert (kinds_of(detector, back).ravel()[there] == (3 - kinds.ravel())[there]).mean() > 0.9


def test_the_binary_network_is_the_same_bit_for_bit(
    learned: Trained, pair: ScenePair, taught: TrainingSet
) -> None:
    with_kinds, saved, draws = learned
    without, alone, drawn = trained(pair, replace(taught, kinds=None, kind_table=None))
    assert without.kinds is None and "kinds" not in alone["best"]["detector"]
    assert same(drawn, draws) and same(alone["last"], saved["last"])
    state = dict(saved["best"]["detector"])
    assert state.pop("kinds") and same(state, alone["best"]["detector"])
    window = read_window(pair, slice(0, 40), slice(0, 36), radius=without.radius)
    np.testing.assert_array_equal(with_kinds.score(*window), without.score(*window))


@pytest.mark.parametrize("backbone", [{"kind": "densenet121", "until": "denseblock1", "patch": 3}])
def test_what_a_batch_norm_measured_stays(pair: ScenePair, taught: TrainingSet, backbone: dict[str, Any]) -> None:
    config = configured({"model": {"members": 1, "backbone": backbone}})
    detector = fit_siamese(pair, config)
    before, draws = copy.deepcopy(detector.network.state_dict()), torch.get_rng_state()
    learn_kinds(
        detector.network,
        scene_patches(detector, pair),
        taught,
        config.train,
        calibration=detector.calibration,
        seed=0,
    )
    assert same(dict(before), dict(detector.network.state_dict()))
    assert torch.equal(draws, torch.get_rng_state())


def test_dates_are_never_exchanged_for_kinds(
    pair: ScenePair, taught: TrainingSet, learned: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    detector, cuts = learned[0], []
    cut = PatchSource.cut

    def spied(self: PatchSource, pixels: torch.Tensor, variation: Any = None) -> Any:
        cuts.append(variation)
        return cut(self, pixels, variation)

    monkeypatch.setattr(PatchSource, "cut", spied)
    config = configured().train
    assert config.augment.date_swap
    again = learn_kinds(
        detector.network, scene_patches(detector, pair), taught, config, calibration=detector.calibration, seed=0
    )
    assert again is not None and {each.swapped is None for each in cuts if each} == {True}
    assert detector.kind_heads is not None and same(again.state(), detector.kind_heads.state())


@pytest.mark.parametrize("step", [1, 7])
def test_kinds_do_not_depend_on_the_tiling(learned: Trained, pair: ScenePair, step: int) -> None:
    detector = learned[0]
    np.testing.assert_array_equal(kinds_of(detector, pair, step=step), kinds_of(detector, pair))
    assert detector.kinds is not None
    r = detector.kinds.radius
    whole = detector.kinds.probabilities(*read_window(pair, slice(0, 40), slice(0, 36), radius=r))
    one = detector.kinds.probabilities(*read_window(pair, slice(9, 10), slice(3, 12), radius=r))
    np.testing.assert_allclose(one, whole[:, 9:10, 3:12], atol=1e-5)
    np.testing.assert_allclose(whole.sum(axis=0), 1, atol=1e-5)


@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.999999999, 1.0])
def test_one_pass_tells_what_two_tell(
    learned: Trained, pair: ScenePair, ground: tuple[np.ndarray, np.ndarray], threshold: float
) -> None:
    detector, dates = learned[0], ground[0].copy()
    dates[1, 4, 5:7, 5:9] = np.nan
    holed = ScenePair(*(cube_from_array(date) for date in dates))
    window = read_window(holed, slice(0, 40), slice(0, 36), radius=detector.radius)
    score, kinds = detector.score_and_kinds(*window, threshold=threshold)
    np.testing.assert_array_equal(score, detector.score(*window))
    assert np.isnan(score[5:7, 5:9]).all() and np.isnan(kinds[5:7, 5:9]).all()
    changed = score >= threshold
    np.testing.assert_array_equal(kinds[changed], kinds_of(detector, holed)[changed])


@pytest.mark.parametrize(
    "calibration",
    [
        Calibration(slope=0.7, offset=-0.4, threshold=0.6, prior=0.5),
        Calibration(slope=0.0, threshold=0.5, prior=0.5),
        Calibration(slope=1.2, offset=0.1, threshold=0.4, surroundings=Surroundings(2, 0.3, 0.9, -0.1)),
    ],
)
def test_one_pass_where_others_have_a_say(learned: Trained, pair: ScenePair, calibration: Calibration) -> None:
    prior = Prior(fit_auto(pair, options={"components": 4}))
    detector = replace(learned[0], calibration=calibration, prior=prior)
    window = read_window(pair, slice(0, 40), slice(0, 36), radius=detector.radius)
    score, kinds = detector.score_and_kinds(*window, threshold=calibration.threshold)
    np.testing.assert_array_equal(score, detector.score(*window))
    changed = score >= calibration.threshold
    assert 0 < changed.sum() < changed.size
    np.testing.assert_array_equal(kinds[changed], kinds_of(detector, pair)[changed])


def test_a_map_with_kinds_asks_the_network_once(
    learned: Trained, pair: ScenePair, monkeypatch: pytest.MonkeyPatch
) -> None:
    detector = learned[0]
    how = MapOptions(kinds=taught_kinds(detector), look_at_shift=False)
    plain = [part.change for part in map_rows(detector, pair, replace(how, kinds=None))]
    twice = rows_of_kinds((replace(part, kinds=None) for part in map_rows(detector, pair, how)), pair, how)
    wanted = np.concatenate([part.change for part in twice])
    monkeypatch.setattr(NetworkKinds, "of_window", None)  # nobody may ask
    once = np.concatenate([part.change for part in rows_of_kinds(map_rows(detector, pair, how), pair, how)])
    np.testing.assert_array_equal(once, wanted)
    np.testing.assert_array_equal(once > 0, np.concatenate(plain) > 0)
    assert set(np.unique(once)) == {0, 1, 2, 3}


def test_kinds_beside_uncertainty(learned: Trained, pair: ScenePair) -> None:
    detector = learned[0]
    how = MapOptions(kinds=taught_kinds(detector), look_at_shift=False)
    (part,) = rows_of_kinds(map_rows(detector, pair, how, uncertainty=True), pair, how)
    (alone,) = rows_of_kinds(map_rows(detector, pair, how), pair, how)
    assert part.uncertainty is not None
    np.testing.assert_array_equal(part.change, alone.change)


def test_a_checkpoint_brings_the_kinds_back(learned: Trained, pair: ScenePair) -> None:
    detector, saved, _ = learned
    again = siamese_from_state(saved["best"]["detector"])
    assert again.kinds is not None and again.kinds.table == TABLE
    assert again.parameters() == detector.parameters() > sum(p.numel() for p in detector.network.parameters())
    np.testing.assert_array_equal(kinds_of(again, pair), kinds_of(detector, pair))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda kinds: kinds.update(names=["a", "b"]), "3 values and 2 names of kinds"),
        (lambda kinds: kinds.update(names=["a", "b", "b"]), "names two kinds"),
        (lambda kinds: kinds.update(stored=[1, 2, 2.5]), "has no number, or no name"),
        (lambda kinds: kinds.update(stored=[1, 2], names=["a", "b"]), "loading state_dict"),
        (lambda kinds: kinds["heads"]["1.out.bias"].fill_(np.nan), "no finite number"),
        (lambda kinds: kinds["heads"].pop("1.out.bias"), "loading state_dict"),
        (lambda kinds: kinds.pop("heads"), "'heads' is missing"),
    ],
)
def test_damaged_kinds_are_refused(learned: Trained, change: Any, said: str) -> None:
    state = copy.deepcopy(learned[1]["best"]["detector"])
    change(state["kinds"])
    with pytest.raises((CheckpointError, LabelError), match=said):
        siamese_from_state(state)


def test_a_training_that_goes_on_ends_with_the_same_kinds(
    learned: Trained, pair: ScenePair, taught: TrainingSet
) -> None:
    detector, saved, _ = learned
    resumed, after, _ = trained(pair, taught, earlier=saved["last"])  # killed while kinds were learned
    assert same(after["best"], saved["best"])
    np.testing.assert_array_equal(kinds_of(resumed, pair), kinds_of(detector, pair))


def test_weights_of_kinds_are_those_of_scikit_learn() -> None:
    kinds = np.repeat([1, 2, 4], [60, 12, 1])
    balanced = compute_class_weight("balanced", classes=np.array([1, 2, 4]), y=kinds)
    found = kind_weights(kinds, 4, power=1.0).numpy()
    np.testing.assert_allclose(found, [*balanced[:2], 0, balanced[2]], rtol=1e-6)
    np.testing.assert_array_equal(kind_weights(kinds, 4, power=0.0).numpy(), [1, 1, 0, 1])
    half = kind_weights(kinds, 4, power=0.5).numpy()
    np.testing.assert_allclose((half[kinds - 1]).mean(), 1, rtol=1e-6)
    assert half[3] / half[0] == pytest.approx(60**0.5)


def test_what_the_training_is_told_counts(
    learned: Trained, pair: ScenePair, ground: tuple[np.ndarray, np.ndarray], taught: TrainingSet
) -> None:
    detector, source, changed = learned[0], scene_patches(learned[0], pair), ground[1] > 0

    def chances(**settings: Any) -> np.ndarray:
        config = configured({"train": {"augment": {"mixup": 0.0}}}, {"train": settings}).train
        heads = learn_kinds(detector.network, source, taught, config, calibration=detector.calibration, seed=0)
        told = replace(detector, kind_heads=heads).kinds
        assert told is not None
        window = read_window(pair, slice(0, 40), slice(0, 36), radius=told.radius)
        return told.probabilities(*window)[:, changed]

    plain = chances().max(axis=0).mean()
    for settings in ({"label_smoothing": 0.5}, {"augment": {"mixup": 2.0}}):
        assert 0.5 < chances(**settings).max(axis=0).mean() < plain - 0.005, settings
    light, heavy = (chances(class_weight=power)[2].mean() for power in (0.0, 1.0))  # one pixel against twelve
    assert heavy > light


@pytest.mark.parametrize(("kinds", "said"), [([0, 1], "numbers 0 to 1"), ([1, 4], "numbers 1 to 4")])
def test_kinds_outside_of_their_table_are_refused(
    learned: Trained, pair: ScenePair, kinds: list[int], said: str
) -> None:
    detector = learned[0]
    source, config = scene_patches(detector, pair), configured().train
    own = TrainingSet(
        np.array([3, 4, 90]), np.array([1, 1, 0]), kinds=np.array([*kinds, 0], dtype=np.uint8), kind_table=TABLE
    )
    with pytest.raises(LabelError, match=said):
        learn_kinds(detector.network, source, own, config, calibration=detector.calibration, seed=0)
    unchanged = replace(own, target=np.zeros(3, dtype=np.int64))
    with pytest.raises(LabelError, match="none"):
        learn_kinds(detector.network, source, unchanged, config, calibration=detector.calibration, seed=0)
