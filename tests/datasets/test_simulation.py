from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import shift as spline_shift
from scipy.optimize import minimize

from hsi_cd.datasets.simulated import simulation_files
from hsi_cd.datasets.simulated.sensor import blur_weights, noise_profile
from hsi_cd.datasets.simulated.simulation import CHUNK, Simulation, SimulationOptions, simulate_pair
from hsi_cd.datasets.simulated.simulation_files import write_pair
from hsi_cd.errors import ConfigError, OutputError

SMALL = SimulationOptions(rows=70, cols=61, bands=20)
STILL = replace(
    SMALL, snr=math.inf, shift=0, drift=0, gain=0, path_radiance=0, stripes=0, variability=0, dtype="float32"
)


def near_change(truth: np.ndarray, reach: int = 3) -> np.ndarray:
    """Pixels with a changed one at most ``reach`` rows and columns away."""
    padded = np.pad(truth, reach)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (2 * reach + 1, 2 * reach + 1))
    return windows.max(axis=(2, 3)) > 0


def test_the_same_options_give_the_same_bytes() -> None:
    first, second = simulate_pair(SMALL), simulate_pair(SMALL)
    for name in ("t1", "t2", "truth"):
        assert getattr(first, name).tobytes() == getattr(second, name).tobytes()
    assert not np.array_equal(first.t1, simulate_pair(replace(SMALL, seed=1)).t1)


def test_shapes_and_dtypes() -> None:
    pair = simulate_pair(SMALL)
    assert pair.t1.shape == pair.t2.shape == (20, 70, 61)
    assert pair.t1.dtype == pair.t2.dtype == np.uint16
    assert pair.t1.min() >= 1
    assert pair.t2.min() >= 1
    assert pair.truth.dtype == np.uint8
    assert set(np.unique(pair.truth)) == {0, 1}
    reflectance = simulate_pair(replace(SMALL, dtype="float32"))
    assert reflectance.t1.dtype == np.float32
    kept = pair.t1 > 1
    np.testing.assert_allclose(reflectance.t1[kept], pair.t1[kept] / 10000, atol=5.1e-5)


@given(
    rows=st.integers(8, 50),
    cols=st.integers(8, 40),
    bands=st.integers(4, 12),
    materials=st.integers(4, 32),
    seed=st.integers(0, 2**63 - 1),
    changed=st.floats(0, 0.8),
    shift=st.floats(0, 2),
    mixing=st.floats(0, 1),
)
def test_any_options_make_a_scene(**chosen: Any) -> None:
    options = SimulationOptions(**chosen)
    pair = simulate_pair(options)
    assert pair.t1.shape == pair.t2.shape == (options.bands, options.rows, options.cols)
    assert pair.truth.shape == (options.rows, options.cols)
    assert pair.truth.max() <= 1
    assert math.hypot(*pair.shift) == pytest.approx(options.shift)


@settings(max_examples=settings.default.max_examples // 3)
@given(start=st.integers(0, 69), length=st.integers(0, 70), date=st.sampled_from([1, 2]))
def test_rows_do_not_depend_on_which_are_asked(start: int, length: int, date: Any) -> None:
    scene = Simulation(SMALL)
    part = scene.read(date, slice(start, start + length))
    np.testing.assert_array_equal(part, scene.read(date)[:, start : start + length])


def test_chunks_cover_all_rows() -> None:
    scene = Simulation(SMALL)
    starts = [(start, values.shape[1]) for start, values in scene.chunks(1)]
    assert starts == [(0, CHUNK), (CHUNK, CHUNK), (2 * CHUNK, 70 - 2 * CHUNK)]


@pytest.mark.parametrize(
    "strength",
    [
        {"snr": 3.0},
        {"shift": 1.5},
        {"drift": 0.4},
        {"gain": 0.2},
        {"path_radiance": 0.2},
        {"stripes": 0.3},
        {"variability": 0.2},
    ],
    ids=lambda s: next(iter(s)),
)
def test_each_strength_acts_and_leaves_the_truth_alone(strength: dict[str, float]) -> None:
    still, moved = simulate_pair(STILL), simulate_pair(replace(STILL, **strength))
    np.testing.assert_array_equal(still.truth, moved.truth)
    assert not np.array_equal(still.t2, moved.t2)
    both_dates = {"snr", "stripes", "variability"} & set(strength)
    assert np.array_equal(still.t1, moved.t1) == (not both_dates)


@pytest.mark.parametrize("mixing", [0.0, 0.3])
@pytest.mark.parametrize("variability", [0.0, 0.1])
def test_without_strengths_only_changes_differ(mixing: float, variability: float) -> None:
    pair = simulate_pair(replace(STILL, mixing=mixing, variability=variability))
    differs = np.any(pair.t1 != pair.t2, axis=0)
    # Sub-pixel objects that never hold the majority of a pixel make no truth, so some pixels apart may differ.
    assert differs[pair.truth == 1].all()
    if mixing == 0:
        np.testing.assert_array_equal(differs, pair.truth == 1)
    else:
        assert differs[~near_change(pair.truth)].mean() < 0.03


def test_without_change_both_dates_are_equal() -> None:
    pair = simulate_pair(replace(STILL, changed=0))
    assert not pair.truth.any()
    np.testing.assert_array_equal(pair.t1, pair.t2)


def test_unmixed_scenes_hold_the_materials_spectra() -> None:
    options = replace(STILL, mixing=0)
    scene = Simulation(options)
    pixels = scene.read(1).reshape(options.bands, -1).T
    known = np.stack([m.spectrum() for m in scene.materials])
    distance = np.abs(pixels[:, None] - known[None]).max(axis=2).min(axis=1)
    assert distance.max() < 1e-6


@pytest.mark.parametrize("asked", [0.05, 0.2, 0.5])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_asked_share_changes(asked: float, seed: int) -> None:
    scene = Simulation(SimulationOptions(rows=120, cols=100, bands=4, changed=asked, seed=seed))
    assert scene.truth.mean() == pytest.approx(asked, abs=0.01)


def test_more_change_contains_less() -> None:
    truths = [Simulation(replace(SMALL, rows=150, changed=c)).truth for c in (0.3, 0.0)]
    assert truths[0].any()
    assert not truths[1].any()
    same_ground = [simulate_pair(replace(STILL, changed=c)).t1 for c in (0.3, 0.0)]
    np.testing.assert_array_equal(*same_ground)


@pytest.mark.parametrize("snr", [5.0, 30.0])
def test_the_measured_snr_is_the_asked_one(snr: float) -> None:
    clean = Simulation(replace(STILL, bands=60))
    noisy = simulate_pair(replace(STILL, bands=60, snr=snr))
    for date, values in ((1, noisy.t1), (2, noisy.t2)):
        noise = values - clean.read(date)  # type: ignore[arg-type]
        assert clean.mean_reflectance / np.sqrt(np.mean(noise.astype(float) ** 2)) == pytest.approx(snr, rel=0.02)
        np.testing.assert_allclose(
            noise.std(axis=(1, 2)) / noise.std(), noise_profile(clean.wavelengths), rtol=0.08
        )
    assert clean.mean_reflectance == pytest.approx(clean.read(1).mean(), rel=0.1)


def test_noise_is_new_in_every_row_band_and_date() -> None:
    pair, clean = simulate_pair(replace(STILL, snr=10.0)), simulate_pair(STILL)
    noises = [pair.t1[0] - clean.t1[0], pair.t1[1] - clean.t1[1], pair.t2[0] - clean.t2[0]]
    rows = np.concatenate(noises).astype(float)
    correlation = np.corrcoef(rows) - np.eye(len(rows))
    assert np.abs(correlation).max() < 0.75  # 61 columns: chance reaches .6


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("asked", [0.35, 1.4])
@pytest.mark.quick("*-0")
def test_the_shift_is_found_in_the_images(asked: float, seed: int) -> None:
    pair = simulate_pair(replace(STILL, rows=90, cols=80, changed=0, shift=asked, mixing=0.8, seed=seed))
    reference, moved = pair.t1.mean(axis=0).astype(float), pair.t2.mean(axis=0).astype(float)
    inner = (slice(6, -6), slice(6, -6))

    def misfit(shift: np.ndarray) -> float:
        # Date 2 at (r, c) shows the ground at (r + shift): pulling the reference back by it must give date 2.
        return float(np.mean((spline_shift(reference, -shift, order=3)[inner] - moved[inner]) ** 2))

    found = minimize(misfit, x0=np.zeros(2), method="Nelder-Mead").x
    np.testing.assert_allclose(found, pair.shift, atol=0.1)
    assert math.hypot(*pair.shift) == pytest.approx(asked)


def test_gain_and_path_radiance_are_one_line_per_band() -> None:
    pair = simulate_pair(replace(STILL, changed=0, gain=0.1, path_radiance=0.05))
    offsets = []
    for before, after in zip(pair.t1, pair.t2, strict=True):
        gain, offset = np.polyfit(before.ravel().astype(float), after.ravel().astype(float), 1)
        np.testing.assert_allclose(gain * before + offset, after, atol=1e-5)
        assert 0.5 < gain < 1.5
        offsets.append(offset)
    assert offsets[0] == pytest.approx(0.05, abs=1e-4)
    assert np.all(np.diff(offsets) < 0)


def test_stripes_run_down_the_columns() -> None:
    striped, clean = simulate_pair(replace(STILL, stripes=0.1)), simulate_pair(STILL)
    offsets = striped.t1 - clean.t1
    np.testing.assert_allclose(offsets, np.broadcast_to(offsets[:, :1], offsets.shape), atol=1e-6)
    assert offsets[:, 0].std(axis=1).min() > 0
    assert not np.allclose(offsets, striped.t2 - clean.t2, atol=1e-4)


def test_drift_leaves_each_material_near_itself() -> None:
    pair = simulate_pair(replace(STILL, changed=0, drift=0.05, mixing=0))
    ratio = pair.t2 / pair.t1
    assert 0.02 < np.std(ratio) < 0.2
    assert np.median(ratio) == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("sigma", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("shift", [0.0, 0.35, -1.7])
def test_the_blur_is_centred_on_the_shift(sigma: float, shift: float) -> None:
    first, weights = blur_weights(shift=shift, sigma=sigma)
    places = (first + np.arange(weights.size) + 0.5) / 3 - 0.5
    assert weights.sum() == pytest.approx(1)
    assert weights @ places == pytest.approx(shift, abs=0.005)
    spread = weights @ (places - shift) ** 2
    assert spread == pytest.approx(1 / 12 + sigma**2, abs=0.02)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"rows": 7}, "rows is 7: expected a whole number from 8 to 100000"),
        ({"cols": 3}, "cols is 3: expected a whole number from 8 to 100000"),
        ({"bands": 3}, "bands is 3: expected a whole number from 4 to 1000"),
        ({"bands": 12.0}, "bands is 12.0: expected a whole number from 4 to 1000"),
        ({"rows": True}, "rows is True: expected a whole number from 8 to 100000"),
        ({"materials": 2}, "materials is 2: expected a whole number from 4 to 32"),
        ({"seed": -1}, "seed is -1: expected a whole number from 0 to 9223372036854775807"),
        ({"changed": 0.9}, "changed is 0.9: expected a number from 0 to 0.8"),
        ({"snr": 0.0}, "snr is 0.0: expected a number from 1 to inf"),
        ({"snr": math.nan}, "snr is nan: expected a number from 1 to inf"),
        ({"shift": 2.5}, "shift is 2.5: expected a number from 0 to 2"),
        ({"drift": -0.1}, "drift is -0.1: expected a number from 0 to 0.5"),
        ({"mixing": "0.3"}, "mixing is '0.3': expected a number from 0 to 1"),
        ({"dtype": "int16"}, "dtype is 'int16': expected uint16 or float32"),
    ],
)
def test_bad_options_are_refused_in_one_line(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        SimulationOptions(**wrong)
    assert str(caught.value) == message


@pytest.mark.parametrize("dtype", ["uint16", "float32"])
def test_written_files_hold_the_scene(tmp_path: Path, dtype: Any) -> None:
    options = replace(SMALL, dtype=dtype)
    files = write_pair(tmp_path / "new" / "scene", options)
    pair = simulate_pair(options)
    for path, values in ((files.t1, pair.t1), (files.t2, pair.t2)):
        with rasterio.open(path) as file:
            np.testing.assert_array_equal(file.read(), values)
            assert file.crs.to_epsg() == 32651
            assert (file.transform.a, file.transform.e) == (30, -30)
            assert file.nodata == (0 if dtype == "uint16" else None)
            assert file.tags()["scale"] == ("10000" if dtype == "uint16" else "1")
            tags = [file.tags(i) for i in file.indexes]
            assert {t["wavelength_units"] for t in tags} == {"Nanometers"}
            np.testing.assert_allclose([float(t["wavelength"]) for t in tags], pair.wavelengths, atol=0.01)
            assert all(float(t["fwhm"]) > 0 for t in tags)
            assert file.descriptions[0] == "400.00 nm"
    with rasterio.open(files.truth) as file:
        np.testing.assert_array_equal(file.read(1), pair.truth)
        assert file.crs.to_epsg() == 32651
        assert file.dtypes == ("uint8",)
    record = json.loads(files.record.read_text())
    assert SimulationOptions(**record["options"]) == options
    assert record["changed_pixels"] == int(pair.truth.sum())
    assert sorted(p.name for p in files.t1.parent.iterdir()) == [
        "simulation.json",
        "t1.tif",
        "t2.tif",
        "truth.tif",
    ]


def test_no_noise_is_null_in_the_record(tmp_path: Path) -> None:
    files = write_pair(tmp_path, replace(SMALL, snr=math.inf))
    assert json.loads(files.record.read_text())["options"]["snr"] is None


def test_an_existing_scene_is_kept_unless_asked(tmp_path: Path) -> None:
    files = write_pair(tmp_path, SMALL)
    before = files.t1.read_bytes()
    with pytest.raises(OutputError, match="exists"):
        write_pair(tmp_path, replace(SMALL, seed=5))
    assert files.t1.read_bytes() == before
    write_pair(tmp_path, replace(SMALL, seed=5), overwrite=True)
    assert files.t1.read_bytes() != before


def test_one_existing_file_keeps_all_from_being_written(tmp_path: Path) -> None:
    (tmp_path / "truth.tif").write_text("mine")
    with pytest.raises(OutputError, match=r"truth\.tif exists"):
        write_pair(tmp_path, SMALL)
    assert [p.name for p in tmp_path.iterdir()] == ["truth.tif"]


def test_a_failure_in_the_middle_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(simulation_files, "_write_truth", fail)
    with pytest.raises(OutputError, match=r"cannot be written: No space left on device$"):
        write_pair(tmp_path, SMALL)
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        write_pair(tmp_path / "file", SMALL)
