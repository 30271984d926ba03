"""What holds for every method, the networks included: fitted once a session, judged by what everybody can see."""

from __future__ import annotations

import copy
import errno
import math
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import settings

from hsi_cd.api.estimators import Estimator, load, make_estimator
from hsi_cd.api.opening import open_labels
from hsi_cd.datasets.simulated.simulation import SimulationOptions, simulate_pair
from hsi_cd.datasets.simulated.simulation_files import PairFiles
from hsi_cd.detectors.base import Detector, check_bands
from hsi_cd.detectors.checkpoint import load_checkpoint, load_detector
from hsi_cd.detectors.registry import METHODS
from hsi_cd.errors import CheckpointError, HsiCdError, LabelError, OutputError, UnknownNameError
from hsi_cd.inference import score_scene
from hsi_cd.prepare.windows import read_window
from hsi_cd.scene import UNLABELLED, AreaOfInterest, ScenePair, cube_from_array

ROWS, COLS = 40, 34
HOLES = ((4, 5), (20, 11), (21, 11), (0, 0))
CPU = torch.device("cpu")
NETWORKS = [name for name, method in METHODS.items() if method.fit is None]
LEARNED = [name for name, method in METHODS.items() if method.needs_labels]
SYMMETRIC = ["cva", "pca-cva", "sam", "irmad", "sfa", "isfa", "celik"]
"""Which date comes first plays no part in their scores; the others register date 2, or learn the order."""
EVERY_METHOD = pytest.mark.parametrize("name", METHODS)
# Several fits each: in the quick suite the methods that are fitted soonest stand for the others on the same road.
SLOW_TO_FIT = ("self-trained", "svm", "logistic", "sfa", "isfa")
EVERY_FIT = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW_TO_FIT)) for name in METHODS]
)
THOROUGH = settings.default.max_examples > 20  # with --slow

_SETTINGS = {
    "split.fraction": 0.05,
    "model.attention.window": 3,
    "model.attention.channels": 3,
    "model.backbone.width": 8,
    "model.backbone.depth": 2,
    "train.batch_size": 16,
    "train.folds": 2,
    "train.epochs": 4,
    "train.min_steps": 8,
    "train.max_steps": 8,
    "train.certain": 0,
}


def options(name: str) -> dict[str, Any]:
    quick: dict[str, Any] = {"seed": 1}
    if name in NETWORKS:
        quick |= {"members": 1, "device": "cpu"}
    if name in NETWORKS or name in LEARNED:
        quick["settings"] = _SETTINGS if name in NETWORKS else {"split.fraction": 0.05}
    return quick | ({"trees": 12} if name == "forest" else {})


@cache
def scene() -> tuple[ScenePair, np.ndarray]:
    """Two dates with holes, and where they changed."""
    made = simulate_pair(SimulationOptions(rows=ROWS, cols=COLS, bands=10, dtype="float32", seed=3))
    t1, t2 = made.t1.copy(), made.t2.copy()
    t1[:, 4, 5] = np.nan
    t2[3, 20:22, 11] = np.nan  # one band is enough
    t2[:, 0, 0] = np.nan
    return ScenePair(cube_from_array(t1), cube_from_array(t2), name="fields"), made.truth


def exchanged() -> ScenePair:
    """The scene with its dates in the other order."""
    pair = scene()[0]
    return ScenePair(pair.t2, pair.t1, name="fields")


def fit(name: str, pair: ScenePair) -> Estimator:
    labels = scene()[1] if name in LEARNED else None
    return make_estimator(name, **options(name)).fit(pair, labels)


@cache
def fitted(name: str) -> Estimator:
    return fit(name, scene()[0])


def window(detector: Detector, rows: slice, cols: slice) -> np.ndarray:
    return detector.score(*read_window(scene()[0], rows, cols, radius=detector.radius))


@cache
def whole(name: str) -> np.ndarray:
    return window(fitted(name).detector_, slice(0, ROWS), slice(0, COLS))


@cache
def content(name: str) -> dict[str, Any]:
    """What the checkpoint of a method holds."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        fitted(name).save(Path(folder) / "best.pt")
        return load_checkpoint(Path(folder) / "best.pt")


@EVERY_METHOD
@pytest.mark.quick("auto", "cva", "irmad", "sfa", "superpixel", "forest", "logistic", "siamese")
def test_the_map_does_not_depend_on_the_tiling(name: str) -> None:
    detector, expected = fitted(name).detector_, whole(name)
    for height, width in ((10, 13), (7, 34), (40, 4)):
        tiled = np.empty_like(expected)
        for r in range(0, ROWS, height):
            for c in range(0, COLS, width):
                rows, cols = slice(r, min(r + height, ROWS)), slice(c, min(c + width, COLS))
                tiled[rows, cols] = window(detector, rows, cols)
        np.testing.assert_allclose(tiled, expected, rtol=1e-5, atol=1e-5)
    for r, c in ((0, 0), (0, 33), (17, 3), (39, 14), (5, 6), (21, 12)):
        one = window(detector, slice(r, r + 1), slice(c, c + 1))
        np.testing.assert_allclose(one[0, 0], expected[r, c], rtol=1e-5, atol=1e-5)


@EVERY_METHOD
@pytest.mark.quick("auto", "superpixel", "siamese")
def test_bands_of_rows_and_threads_make_the_same_map(name: str) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        for rows in (4, 17, 64):
            score = score_scene(fitted(name).detector_, scene()[0], rows=rows)
            np.testing.assert_allclose(score, whole(name), rtol=1e-5, atol=1e-5)
    finally:
        torch.set_num_threads(threads)


@EVERY_METHOD
@pytest.mark.quick("auto", "cva", "superpixel", "svm", "forest", "logistic", "siamese")
def test_an_area_of_interest_has_the_scores_of_the_whole_scene_bit_for_bit(name: str) -> None:
    detector, pair = fitted(name).detector_, scene()[0]
    expected = score_scene(detector, pair)
    rng = np.random.default_rng(2)
    for top, left, height, width in ((0, 0, 9, 8), (ROWS - 7, COLS - 12, 7, 12), (13, 5, 20, 21), (30, 17, 1, 1)):
        rows, cols = slice(top, top + height), slice(left, left + width)
        covered = rng.random((height, width)) < 0.7
        covered[0, 0] = covered[-1, -1] = True
        area = AreaOfInterest(rows, cols, covered, pair.grid)
        found = score_scene(detector, pair.in_area(area))
        np.testing.assert_array_equal(found, np.where(covered, expected[rows, cols], np.nan))


@EVERY_FIT
@pytest.mark.quick("cva", "siamese")
def test_a_scene_that_no_memory_holds_gives_the_same_fit(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the passes it lies in a temporary file; where there is no room for that, it is read again."""
    monkeypatch.setattr("hsi_cd.prepare.statistics._PIXELS_PER_BLOCK", 5 * COLS)
    kept = fit(name, scene()[0])
    expected = score_scene(kept.detector_, scene()[0])
    monkeypatch.setattr("hsi_cd.prepare.scratch.IN_MEMORY", 0)
    again = fit(name, scene()[0])
    assert again.threshold_ == kept.threshold_
    np.testing.assert_array_equal(score_scene(again.detector_, scene()[0]), expected)

    def full(*_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.posix_fallocate", full)
    if name in NETWORKS or name not in LEARNED:  # how much changed is found in many passes: these say so
        with pytest.raises(OutputError, match=r"No space left on device\): make room"):
            fit(name, scene()[0])
        return
    again = fit(name, scene()[0])
    assert again.threshold_ == kept.threshold_
    np.testing.assert_array_equal(score_scene(again.detector_, scene()[0]), expected)


@EVERY_FIT
@pytest.mark.quick("auto", "cva", "forest", "siamese")
def test_the_same_seed_gives_the_same_detector(name: str) -> None:
    again = fit(name, scene()[0])
    np.testing.assert_array_equal(
        score_scene(again.detector_, scene()[0]), score_scene(fitted(name).detector_, scene()[0])
    )


@EVERY_METHOD
def test_a_checkpoint_is_all_that_is_needed(name: str, tmp_path: Path) -> None:
    detector = fitted(name).detector_
    fitted(name).save(tmp_path / "best.pt")
    again = load(tmp_path / "best.pt", device="cpu")
    assert (again.method, again.threshold_) == (name, detector.threshold)
    assert (again.detector_.radius, again.detector_.unit, again.detector_.bands) == (
        detector.radius,
        detector.unit,
        detector.bands,
    )
    assert again.detector_.parameters() == detector.parameters() > 0
    score = window(again.detector_, slice(0, ROWS), slice(0, COLS))
    np.testing.assert_allclose(score, whole(name), rtol=1e-6, atol=1e-6)
    score = whole(name)
    np.testing.assert_array_equal(again.detector_.probability(score), detector.probability(score))
    again.save(tmp_path / "copy.pt")  # what was loaded is saved as it was
    copied = load_detector(tmp_path / "copy.pt", device=CPU)
    np.testing.assert_array_equal(
        window(copied, slice(0, ROWS), slice(0, COLS)), window(again.detector_, slice(0, ROWS), slice(0, COLS))
    )


@EVERY_METHOD
def test_nothing_is_measured_when_it_predicts(name: str) -> None:
    """A part of the scene, and one of a single colour around it, score as in the whole."""
    detector, r = fitted(name).detector_, fitted(name).detector_.radius
    part = ScenePair(*(cube_from_array(values[:, 8:30, 5:31].copy()) for values in scene()[0].read()))
    inner = score_scene(detector, part)[r : 22 - r, r : 26 - r]
    assert inner.size
    np.testing.assert_allclose(inner, whole(name)[8 + r : 30 - r, 5 + r : 31 - r], rtol=1e-5, atol=1e-5)
    flat = ScenePair(*(cube_from_array(np.full_like(values, 0.3)) for values in scene()[0].read()))
    assert np.ptp(score_scene(detector, flat)) <= 1e-4


@EVERY_METHOD
def test_pixels_without_data_have_no_score(name: str) -> None:
    score = whole(name)
    assert score.dtype == np.float32
    assert np.isnan([score[pixel] for pixel in HOLES]).all()
    if fitted(name).detector_.radius == 0:
        assert np.isnan(score).sum() == len(HOLES)
    # Undoing the shift needs up to four neighbours; nothing else spreads a gap.
    assert np.isnan(score).sum() <= 16 * len(HOLES)
    assert np.isfinite(score[10, 20])
    probability = fitted(name).detector_.probability(score)
    np.testing.assert_array_equal(np.isnan(probability), np.isnan(score))
    change = fitted(name).predict(scene()[0]).change
    np.testing.assert_array_equal(change == UNLABELLED, np.isnan(score))


@EVERY_METHOD
def test_probabilities_rise_with_the_score(name: str) -> None:
    detector = fitted(name).detector_
    score = np.sort(whole(name)[np.isfinite(whole(name))])
    probability = detector.probability(score)
    assert probability.dtype == np.float32
    assert (np.diff(probability) >= 0).all()
    assert 0 <= probability.min() <= probability.max() <= 1
    if detector.unit == "score":
        at = np.array([detector.threshold], dtype=np.float32)
        np.testing.assert_allclose(detector.probability(at), 0.5, atol=1e-4)


@EVERY_METHOD
def test_change_scores_higher(name: str) -> None:
    score, truth = whole(name), scene()[1]
    known = np.isfinite(score)
    assert score[known & (truth == 1)].mean() > score[known & (truth == 0)].mean()


@EVERY_METHOD
def test_both_dates_are_looked_at_and_each_as_what_it_is(name: str) -> None:
    detector = fitted(name).detector_
    t1, t2 = read_window(scene()[0], slice(0, ROWS), slice(0, COLS), radius=detector.radius)
    straight, first_alone, second_alone, turned = (
        detector.score(a.copy(), b.copy()) for a, b in ((t1, t2), (t1, t1), (t2, t2), (t2, t1))
    )
    for other in (first_alone, second_alone):
        assert np.nanmax(np.abs(other - straight)) > 1e-3
    if name == "sam":  # an angle has no direction, and needs no statistics
        np.testing.assert_allclose(turned, straight, atol=1e-6)
    else:  # each date has its own statistics, or the shift is of the second
        assert np.nanmax(np.abs(turned - straight)) > 1e-4


@EVERY_FIT
@pytest.mark.quick("auto", "cva", "irmad", "superpixel", "forest", "siamese")
def test_exchanged_dates_give_a_map_too(name: str) -> None:
    score = score_scene(fit(name, exchanged()).detector_, exchanged())
    truth = scene()[1]
    known = np.isfinite(score)
    assert known.mean() > 0.9
    assert score[known & (truth == 1)].mean() > score[known & (truth == 0)].mean()
    if name in SYMMETRIC:
        np.testing.assert_allclose(score, whole(name), rtol=2e-3, atol=1e-4)


@pytest.mark.parametrize("name", LEARNED)
def test_labels_of_one_class_are_refused(name: str) -> None:
    for code in (0, 1):
        alone = np.full((ROWS, COLS), UNLABELLED, np.uint8)
        alone[10:20, 10:20] = code
        with pytest.raises(LabelError) as caught:
            labels = open_labels(alone, changed=1, unchanged=0, ignore=UNLABELLED)
            make_estimator(name, **options(name)).fit(scene()[0], labels)
        assert "\n" not in str(caught.value)
    with pytest.raises(LabelError, match=f"{name} learns from labels: give them"):
        make_estimator(name, **options(name)).fit(scene()[0])


@EVERY_METHOD
def test_an_unknown_option_is_refused(name: str) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'seed'"):
        make_estimator(name, sed=1)


@EVERY_METHOD
def test_it_is_described(name: str) -> None:
    method = METHODS[name]
    assert method.name == name
    assert "doi:10." in method.reference or name == "self-trained"  # published without one
    assert 20 < len(method.summary) <= 110
    if method.fit is not None:
        assert "drop_constant" in method.options


# --- Damage: every number of every state ---

MISSING = object()
Place = tuple[Any, ...]


def places(value: Any, path: Place = ()) -> Iterator[tuple[Place, Any]]:
    """Everything in nested dictionaries and lists, the dictionaries and lists themselves included."""
    if path:
        yield path, value
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inner:
        if not isinstance(value, list) or key in (0, len(value) - 1):  # of bands, the first and the last
            yield from places(item, (*path, key))


def tensor_damages(value: torch.Tensor) -> Iterator[tuple[str, Any, bool]]:
    def with_one(number: float, at: int) -> torch.Tensor:
        other = value.clone()
        other.view(-1)[at] = number
        return other

    if value.is_floating_point():
        for number, at in ((math.nan, 0), (math.inf, -1), (-math.inf, -1), (math.inf, 0)):
            yield f"{number} at {at}", with_one(number, at), True
        yield "another number", with_one(float(value.view(-1)[0]) * 1.5 + 1, 0), False
        yield "other precision", value.to(torch.float32 if value.dtype == torch.float64 else torch.float64), True
        yield "whole numbers", value.nan_to_num(0, 0, 0).to(torch.int64), True
    elif value.dtype == torch.uint8:
        yield "other bytes", value.flip(0), True
        yield "half of it", value[: len(value) // 2].clone(), True
    else:
        yield "floating", value.to(torch.float32), True
        if value.dtype == torch.int64:
            yield "huge", with_one(10**9, -1), True
            yield "negative", with_one(-(10**9), 0), True
    if value.numel() > 1:
        yield "one short", value.reshape(-1)[:-1].clone(), True
    yield "one axis more", value[None].clone(), True
    yield "text", "text", True


def same_bytes(a: torch.Tensor, b: torch.Tensor) -> bool:
    """A noise that was not measured is NaN already, limits of no clipping are infinite."""
    return (a.dtype, a.shape) == (b.dtype, b.shape) and a.numpy().tobytes() == b.numpy().tobytes()


def damages(value: Any) -> Iterator[tuple[str, Any, bool]]:
    """What becomes of a value, in words; the damage; and whether nobody could take it for a good value."""
    yield "missing", MISSING, True
    if isinstance(value, torch.Tensor):
        for words, damage, certain in tensor_damages(value):
            if not (isinstance(damage, torch.Tensor) and same_bytes(damage, value)):
                yield words, damage, certain
    elif isinstance(value, bool):
        yield from (("text", "text", True), ("nothing", None, True))
    elif isinstance(value, float | int):
        for number in (math.nan, math.inf, -math.inf):
            yield str(number), number, True
        yield from (("text", "text", True), ("nothing", None, True), ("a list", [], True))
        yield from (("huge", type(value)(10**9), False), ("negative", type(value)(-(10**9)), False))
    elif isinstance(value, dict | list):
        yield from (("text", "text", True), ("a number", 3, True), ("empty", type(value)(), True))
    elif isinstance(value, str):
        yield from (("a number", 3, True), ("another text", "\x00 unknown", False))


def damaged(state: Any, path: Place, value: Any) -> Any:
    """A copy of the state with one entry replaced, or taken out."""
    changed = copy.copy(state)
    if len(path) > 1:
        changed[path[0]] = damaged(changed[path[0]], path[1:], value)
    elif value is MISSING:
        del changed[path[0]]
    else:
        changed[path[0]] = value
    return changed


def every_damage(name: str) -> Iterator[tuple[str, dict[str, Any], bool]]:
    state = content(name)["detector"]
    for path, value in places(state):
        for words, damage, certain in damages(value):
            if type(damage) is type(value) and not isinstance(value, torch.Tensor) and damage == value:
                continue  # no widths of bands are an empty list already
            # A version with fewer settings of the network left those out that it did not know.
            certain = certain and (path[0] != "model" or words != "missing")
            # With one band less, the angle is another good angle.
            certain = certain and (path[0] != "used" or words != "one short")
            yield f"{'.'.join(map(str, path))}: {words}", damaged(state, path, damage), certain


def chosen_damages(name: str, *, certain: bool) -> list[tuple[str, dict[str, Any], bool]]:
    """All of them, or only those that nobody could take for good values; in the quick suite some 40, evenly."""
    found = [damage for damage in every_damage(name) if damage[2] or not certain]
    return found if THOROUGH else found[:: max(1, len(found) // 40)]


def same(a: np.ndarray, b: np.ndarray) -> bool:
    return np.array_equal(a, b, equal_nan=True)


@EVERY_METHOD
@pytest.mark.quick("auto", "cva", "siamese")
def test_a_damaged_state_is_refused_or_gives_the_same_map(name: str, tmp_path: Path) -> None:
    """Without the digest, which checkpoints of earlier versions do not have."""
    plain = {key: value for key, value in content(name).items() if key != "digest"}
    path, pair = tmp_path / "best.pt", scene()[0]
    torch.save(plain, path)
    sound = load_detector(path, device=CPU)
    expected = score_scene(sound, pair)
    wrong, refused = [], 0
    for words, state, _ in chosen_damages(name, certain=True):
        torch.save(plain | {"detector": state}, path)
        try:
            detector = load_detector(path, device=CPU)
            check_bands(detector, pair)
        except HsiCdError as error:
            refused += 1
            if "\n" in str(error):
                wrong.append(f"{words}: {error}")
            continue
        score = score_scene(detector, pair)
        alike = same(score, expected) and detector.threshold == sound.threshold
        if not alike or not same(detector.probability(score), sound.probability(score)):
            wrong.append(words)
    assert not wrong, "\n".join(wrong)
    assert refused > (20 if THOROUGH else 10)


@EVERY_METHOD
@pytest.mark.quick("cva", "siamese")
def test_whatever_was_changed_is_seen(name: str, tmp_path: Path) -> None:
    """With the digest, also what could be a good number."""
    path, held = tmp_path / "best.pt", content(name)
    for words, state, _ in chosen_damages(name, certain=False):
        torch.save(held | {"detector": state}, path)
        with pytest.raises(CheckpointError, match=r"best\.pt was changed after it was written: copy") as caught:
            load_detector(path, device=CPU)
        assert "\n" not in str(caught.value), words


@EVERY_METHOD
@pytest.mark.quick("auto", "cva", "superpixel", "forest", "siamese")
def test_the_command_line_refuses_damage_in_one_line(
    name: str, cli: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pair, state = scene()[0], content(name)["detector"]
    for date, values in zip(("t1", "t2"), pair.read(), strict=True):
        np.save(tmp_path / f"{date}.npy", values)
    dates = ["--t1", tmp_path / "t1.npy", "--t2", tmp_path / "t2.npy", "--axes", "bands,rows,cols"]
    plain = {key: value for key, value in content(name).items() if key != "digest"}
    checkpoint, output = tmp_path / "best.pt", tmp_path / "change.tif"
    words = ["predict", "--checkpoint", checkpoint, *dates, "--output", output]
    top = {path: value for path, value in places(state) if len(path) <= 2}
    path, value = next((path, value) for path, value in top.items() if isinstance(value, torch.Tensor))
    broken = [
        held | {"detector": damaged(state, path, damage)}
        for held in (plain, content(name))
        for damage in (MISSING, "text", value.to(torch.float16))
    ]
    number = content(name)["detector"]
    broken.append(content(name) | {"detector": damaged(number, path, value.flip(0).roll(1))})
    for damage in broken[:-1] if len(value) == 1 else broken:
        torch.save(damage, checkpoint)
        assert cli(*words) == 2
        said = capsys.readouterr()
        assert said.out == "" and len(said.err.strip().splitlines()) == 1, said.err
        assert "checkpoint" in said.err and "train" in said.err
        assert not output.exists()
    torch.save(plain, checkpoint)
    assert cli(*words) == 0 and output.exists()


def test_there_are_scenes_in_which_the_methods_are_tried(simulated: PairFiles) -> None:
    """The fixtures stand: each method of the registry is in one of the groups above."""
    assert {*SYMMETRIC, *LEARNED, *NETWORKS, "auto", "superpixel"} == set(METHODS)
