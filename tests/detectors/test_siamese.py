import copy
import io
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hsi_cd.config import RunConfig, resolve
from hsi_cd.datasets.simulated.simulation import SimulationOptions, simulate_pair
from hsi_cd.detectors.network_calibration import Calibration
from hsi_cd.detectors.siamese import SiameseDetector, fit_siamese, siamese_from_state
from hsi_cd.errors import BandError, CheckpointError
from hsi_cd.inference import score_scene
from hsi_cd.nn.siamese_network import Ensemble
from hsi_cd.scene import Bands, ScenePair, cube_from_array
from hsi_cd.training.patches import scene_patches

SHIFTS = [(0.0, 0.0), (0.3, -0.6), (-1.2, 0.0), (1.0, -1.0)]
SMALL = {
    "prepare": {"components": 5, "registration": False},
    "model": {
        "members": 2,
        "attention": {"window": 5, "channels": 4, "ds": 2},
        "backbone": {"width": 8, "depth": 2},
    },
}
KINDS = {
    "bilateral": {"attention": {"kind": "bilateral"}, "backbone": {"kind": "pointwise"}},
    "bilateral with texture": {"attention": {"kind": "bilateral"}, "backbone": {"kind": "spectral_spatial"}},
    "bam": {"attention": {"kind": "bam"}, "backbone": {"kind": "spectral_spatial"}, "head": "distance"},
    "bam on features": {
        "attention": {"kind": "bam", "place": "features"},
        "backbone": {"kind": "spectral_spatial"},
    },
    "no attention": {"attention": {"kind": "none"}, "backbone": {"kind": "pointwise"}},
    "strides": {
        "attention": {"kind": "channel", "place": "features", "window": 3},
        "backbone": {"kind": "resnet18", "until": "layer2", "patch": 5},
    },
    "pyramid": {
        "attention": {"kind": "pam", "window": 3, "scales": [1, 2]},
        "backbone": {"kind": "transformer", "window": 3},
    },
}


def small_config(*layers: dict[str, Any]) -> RunConfig:
    return resolve([("test", layer) for layer in (SMALL, *layers)])


def as_pair(dates: np.ndarray) -> ScenePair:
    return ScenePair(*(cube_from_array(date) for date in dates))


@pytest.fixture(scope="module")
def dates() -> np.ndarray:
    """Both dates, float32 ``(2, bands, rows, cols)``, with holes as small as a pixel and wider than a window."""
    scene = simulate_pair(SimulationOptions(rows=26, cols=23, bands=12, dtype="float32"))
    values = np.stack([scene.t1, scene.t2])
    values[0, 3, 4, 5] = np.nan
    values[1, :, 12:22, 9:20] = np.nan
    values[:, 7, 0, 0] = np.nan
    return values


@pytest.fixture(scope="module", params=KINDS.values(), ids=KINDS.keys())
def detector(request: pytest.FixtureRequest, dates: np.ndarray) -> SiameseDetector:
    torch.manual_seed(0)
    fitted = fit_siamese(as_pair(dates), small_config({"model": request.param}))
    with torch.no_grad():
        for name, parameter in fitted.network.named_parameters():
            if name.endswith("gamma"):
                parameter.fill_(0.8)
    fitted.calibration = Calibration(slope=1.5, offset=-0.2, threshold=0.4)
    return fitted


def shifted(detector: SiameseDetector, shift: tuple[float, float]) -> SiameseDetector:
    """The detector for dates that lie so far apart."""
    return replace(detector, frontend=replace(detector.frontend, shift=shift))


def patch_by_patch(detector: SiameseDetector, dates: np.ndarray) -> np.ndarray:
    """Scores of a scene, each pixel from its own square cut from the padded cubes."""
    r = detector.radius
    padded = np.pad(dates, ((0, 0), (0, 0), (r, r), (r, r)), mode="symmetric")
    rows, cols = dates.shape[2:]
    scores = np.empty((rows, cols), np.float32)
    for row in range(rows):
        for col in range(cols):
            t1, t2 = padded[:, :, row : row + 2 * r + 1, col : col + 2 * r + 1]
            scores[row, col] = detector.score(t1, t2)[0, 0]
    return scores


@settings(max_examples=6)
@given(
    top=st.integers(0, 20),
    left=st.integers(0, 17),
    rows=st.integers(1, 11),
    cols=st.integers(1, 11),
    step=st.integers(1, 12),
    shift=st.sampled_from(SHIFTS),
)
@pytest.mark.quick("bilateral")
def test_whole_scene_windows_and_patches_agree(detector, dates, top, left, rows, cols, step, shift) -> None:
    # Scenes of a few pixels are smaller than the radius: the mirror is then reflected more than once.
    moved = shifted(detector, shift)
    crop = dates[:, :, top : top + rows, left : left + cols]
    whole = score_scene(moved, as_pair(crop), rows=rows)
    np.testing.assert_allclose(score_scene(moved, as_pair(crop), rows=step), whole, atol=1e-5)
    np.testing.assert_allclose(patch_by_patch(moved, crop), whole, atol=1e-5)


@pytest.mark.parametrize("rows", [1, 5, 8, 25, 26, 400, None])
@pytest.mark.quick("bilateral*", "bam-[58]", "pyramid-8")
def test_the_height_of_bands_changes_no_score(detector, dates, rows) -> None:
    moved = shifted(detector, SHIFTS[1])
    np.testing.assert_allclose(
        score_scene(moved, as_pair(dates), rows=rows), score_scene(moved, as_pair(dates), rows=26), atol=1e-5
    )


@settings(max_examples=6)
@given(
    top=st.integers(0, 20),
    left=st.integers(0, 17),
    rows=st.integers(1, 11),
    cols=st.integers(1, 11),
    step=st.integers(1, 12),
    shift=st.sampled_from(SHIFTS),
)
@pytest.mark.quick("bilateral")
def test_uncertainty_does_not_depend_on_the_tiling(detector, dates, top, left, rows, cols, step, shift) -> None:
    moved = shifted(detector, shift)
    crop = dates[:, :, top : top + rows, left : left + cols]
    rows, cols = crop.shape[2:]
    whole = score_scene(moved, as_pair(crop), rows=rows, uncertainty=True)
    assert whole.shape == (2, rows, cols)
    stepped = score_scene(moved, as_pair(crop), rows=step, uncertainty=True)
    np.testing.assert_allclose(stepped, whole, atol=1e-5)
    r = moved.radius
    padded = np.pad(crop, ((0, 0), (0, 0), (r, r), (r, r)), mode="symmetric")
    pixel = (slice(None), slice(rows // 2, rows // 2 + 2 * r + 1), slice(cols // 2, cols // 2 + 2 * r + 1))
    patch = moved.score_and_uncertainty(padded[0][pixel], padded[1][pixel])
    np.testing.assert_allclose(patch[:, 0, 0], whole[:, rows // 2, cols // 2], atol=1e-5)
    # The score is the very score that is written without it.
    np.testing.assert_array_equal(whole[0], score_scene(moved, as_pair(crop), rows=rows))


@pytest.mark.quick("bam*", "no attention", "pyramid", "bilateral*")
def test_uncertainty_is_the_deviation_of_the_members_probabilities(detector, dates) -> None:
    """Against each member scored as a network of its own."""
    members = [replace(detector, network=Ensemble([member])) for member in copy.deepcopy(detector.network).members]
    alone = np.stack([score_scene(member, as_pair(dates)) for member in members])
    score, uncertainty = score_scene(detector, as_pair(dates), uncertainty=True)
    np.testing.assert_allclose(uncertainty, alone.astype(np.float64).std(axis=0, ddof=1), atol=1e-6)
    missing = np.isnan(dates).any(axis=(0, 1))
    np.testing.assert_array_equal(np.isnan(uncertainty), missing)
    np.testing.assert_array_equal(np.isnan(score), missing)
    assert uncertainty.dtype == np.float32
    assert 0 <= np.nanmin(uncertainty) < np.nanmax(uncertainty) <= np.sqrt(0.5)


def test_one_member_has_no_uncertainty(dates) -> None:
    fitted = fit_siamese(as_pair(dates), small_config({"model": {"members": 1}}))
    with pytest.raises(CheckpointError, match="has 1 member"):
        score_scene(fitted, as_pair(dates), uncertainty=True)


@pytest.mark.parametrize("shift", SHIFTS)
@pytest.mark.quick("bilateral-shift*", "*texture-shift3", "pyramid-shift2")
def test_patches_for_training_are_those_that_are_scored(detector, dates, shift) -> None:
    moved = shifted(detector, shift)
    source = scene_patches(moved, as_pair(dates))
    assert source.shape == (26, 23)
    first, second, valid = source.cut(torch.arange(26 * 23))
    with torch.inference_mode():
        logits = moved.network.eval()(first, second, valid)[:, 0, 0, 0]
    scores = torch.sigmoid(1.5 * logits - 0.2).numpy().reshape(26, 23)
    whole = score_scene(moved, as_pair(dates))
    np.testing.assert_allclose(scores[np.isfinite(whole)], whole[np.isfinite(whole)], atol=1e-5)


@pytest.mark.quick("bam*", "no attention", "pyramid", "bilateral*")
def test_a_full_gpu_leaves_its_part_of_the_scene_to_the_processor(detector, dates, monkeypatch, caplog) -> None:
    expected = score_scene(detector, as_pair(dates))
    full = copy.copy(detector)
    full.network = copy.deepcopy(detector.network)
    failed = []

    def out_of_memory(*inputs: torch.Tensor) -> torch.Tensor:
        failed.append(inputs[0].shape)
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    # The copy that computes on the processor must not be the network whose memory is full.
    full.network.each = out_of_memory  # type: ignore[method-assign]
    monkeypatch.setattr(type(full.network), "__deepcopy__", lambda self, memo: detector.network, raising=False)
    np.testing.assert_array_equal(score_scene(full, as_pair(dates)), expected)
    assert len(failed) > 1 and "scored on the CPU" in caplog.text


@pytest.mark.quick("bilateral*", "bam")
def test_lower_precision_is_near_and_is_not_the_same(detector, dates) -> None:
    low = replace(detector, precision=torch.bfloat16)
    found, expected = score_scene(low, as_pair(dates)), score_scene(detector, as_pair(dates))
    np.testing.assert_allclose(found, expected, atol=0.03)
    assert not np.allclose(found, expected, atol=1e-5, equal_nan=True)


def test_no_score_where_no_data_and_only_there(detector, dates) -> None:
    missing = np.isnan(dates).any(axis=(0, 1))
    np.testing.assert_array_equal(np.isnan(score_scene(detector, as_pair(dates))), missing)


def test_a_shift_needs_the_pixels_it_interpolates(detector, dates) -> None:
    values = np.nan_to_num(dates, nan=0.3)
    values[1, 2, 10, 11] = np.nan
    found = np.isnan(score_scene(shifted(detector, (0.3, -0.6)), as_pair(values)))
    expected = np.zeros((26, 23), bool)
    # Row r reads date 2 at r + 0.3, from rows r - 1 to r + 2; column c at c - 0.6, from c - 2 to c + 1.
    expected[10 - 2 : 10 + 2, 11 - 1 : 11 + 3] = True
    np.testing.assert_array_equal(found, expected)


def test_scores_are_probabilities_of_their_own_neighbourhood(detector, dates) -> None:
    values = np.nan_to_num(dates, nan=0.3)
    before = score_scene(detector, as_pair(values))
    assert before.dtype == np.float32 and 0 <= before.min() < before.max() <= 1
    r = detector.radius
    values[:, :, 8, 9] *= 1.5
    changed = np.zeros((26, 23), bool)
    changed[8 - r : 8 + r + 1, 9 - r : 9 + r + 1] = True
    np.testing.assert_allclose(score_scene(detector, as_pair(values))[~changed], before[~changed], atol=1e-6)


def test_what_stands_in_bands_that_were_dropped_never_matters(dates) -> None:
    values = dates.copy()
    values[0, 4] = 0.25
    config = small_config({"bands": {"drop_constant": True}})
    fitted = fit_siamese(as_pair(values), config)
    before = score_scene(fitted, as_pair(values))
    values[:, 4] = np.nan
    np.testing.assert_array_equal(score_scene(fitted, as_pair(values)), before)
    valid = ~np.isnan(np.delete(dates, 4, axis=1)).any(axis=(0, 1))
    np.testing.assert_array_equal(np.isfinite(before), valid)


def test_dead_bands_are_refused_unless_dropped(dates) -> None:
    values = dates.copy()
    values[0, 4] = 0.25
    with pytest.raises(BandError, match="band 5 of t1"):
        fit_siamese(as_pair(values), small_config())


def test_a_shift_of_the_simulator_is_measured_and_undone() -> None:
    options = SimulationOptions(rows=80, cols=70, bands=20, shift=0.6, dtype="float32", seed=4)
    scene = simulate_pair(options)
    fitted = fit_siamese(
        as_pair(np.stack([scene.t1, scene.t2])), small_config({"prepare": {"registration": True}})
    )
    # The second date looks further down and right: what it shows lies further up and left.
    np.testing.assert_allclose(fitted.frontend.shift, -np.array(scene.shift), atol=0.15)
    plain = fit_siamese(as_pair(np.stack([scene.t1, scene.t2])), small_config())
    assert plain.frontend.shift == (0.0, 0.0)
    assert fitted.radius > plain.radius


def through_a_file(state: dict[str, Any]) -> dict[str, Any]:
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    loaded: dict[str, Any] = torch.load(file, weights_only=True)
    return loaded


@pytest.mark.quick("bam*", "no attention", "pyramid", "bilateral*")
def test_a_rebuilt_detector_gives_the_same_scores(detector, dates) -> None:
    bands = Bands(12, centres=tuple(range(400, 1600, 100)), names=tuple("abcdefghijkl"))
    original = shifted(detector, (0.25, -0.5))
    original.frontend = replace(original.frontend, bands=bands)
    torch.manual_seed(99)
    rebuilt = siamese_from_state(through_a_file(original.state()))
    assert (rebuilt.bands, rebuilt.frontend.shift, rebuilt.threshold) == (bands, (0.25, -0.5), 0.4)
    assert (rebuilt.radius, rebuilt.parameters(), rebuilt.model) == (
        original.radius, original.parameters(), original.model
    )  # fmt: skip
    np.testing.assert_array_equal(score_scene(rebuilt, as_pair(dates)), score_scene(original, as_pair(dates)))


@pytest.mark.quick("bam*", "no attention", "pyramid", "bilateral*")
def test_the_state_is_a_copy_that_later_training_leaves_alone(detector, dates) -> None:
    state = through_a_file(detector.state())
    rebuilt = siamese_from_state(state)
    with torch.no_grad():
        for parameter in rebuilt.network.parameters():
            parameter.add_(1.0)
    again = siamese_from_state(state)
    np.testing.assert_array_equal(score_scene(again, as_pair(dates)), score_scene(detector, as_pair(dates)))


def damaged(state: dict[str, Any], *path: str, value: Any) -> dict[str, Any]:
    """The state with one entry replaced, or taken out for None."""
    inner = dict(state)
    if len(path) == 1:
        if value is None:
            del inner[path[0]]
        else:
            inner[path[0]] = value
    else:
        inner[path[0]] = damaged(inner[path[0]], *path[1:], value=value)
    return inner


@pytest.mark.parametrize(
    ("path", "value"),
    [
        *[((part,), None) for part in ("bands", "transform", "shift", "network", "calibration", "model")],
        *[((part,), 3) for part in ("bands", "transform", "shift", "network", "calibration", "model")],
        (("bands", "count"), 7),
        (("bands", "centres"), [400.0, 500.0]),
        (("shift",), [0.1]),
        (("shift",), ["a", "b"]),
        (("shift",), [float("nan"), 0.0]),
        (("calibration", "slope"), None),
        (("calibration", "slope"), "steep"),
        (("calibration", "offset"), float("nan")),
        (("shift",), [1e9, 0.0]),
        (("transform", "offset"), None),
        (("transform", "weight"), torch.zeros(2, 5, 11)),
        (("transform", "offset"), torch.zeros(2, 4)),
        (("transform", "clip"), torch.zeros(2, 2)),
        (("transform", "noise"), torch.ones(4)),
        (("transform", "bands"), torch.arange(100, 112)),
        (("transform", "bands"), torch.zeros(12)),
        (("model", "head"), "unknown"),
        (("model", "attention", "window"), 4),
        (("model", "members"), 3),
        (("network", "members.0.backbone.layers.0.weight"), None),
    ],
)  # fmt: skip
def test_a_state_that_does_not_fit_together_is_refused(dates, path, value) -> None:
    fitted = fit_siamese(as_pair(dates), small_config())
    state = damaged(fitted.state(), *path, value=value)
    with pytest.raises(CheckpointError, match=r"cannot be rebuilt .*train it again") as caught:
        siamese_from_state(state)
    assert "\n" not in str(caught.value)
