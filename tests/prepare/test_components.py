"""The components of a whole scene against those of its windows."""

from __future__ import annotations

import errno
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, shift

from hsi_cd.prepare.components import SceneComponents, row_windows
from hsi_cd.prepare.measurement import Measurement, Preparation
from hsi_cd.prepare.registration import measure_shift
from hsi_cd.prepare.statistics import row_blocks
from hsi_cd.prepare.windows import read_window
from hsi_cd.scene import Cube, ScenePair, cube_from_array

HOW = Preparation(projection="mnf", components=3)


def components(rows: int, cols: int) -> SceneComponents:
    dates = np.random.default_rng(rows * 100 + cols).random((2, 4, rows, cols), dtype=np.float32)
    dates[0, 1, rows // 2, cols // 3] = np.nan
    measurement = Measurement(ScenePair(*map(cube_from_array, dates)))
    return measurement.components(measurement.transform(HOW), exact=True)


@given(
    rows=st.integers(2, 14),
    cols=st.integers(2, 14),
    top=st.integers(-20, 20),
    left=st.integers(-20, 20),
    height=st.integers(1, 20),
    width=st.integers(1, 20),
    radius=st.integers(0, 20),
    where=st.sampled_from(["memory", "file", "nowhere"]),
)
def test_a_window_is_what_the_stored_values_of_it_give(
    rows: int, cols: int, top: int, left: int, height: int, width: int, radius: int, where: str
) -> None:
    """Also where it lies outside the scene, or is larger; wherever the components were kept."""
    with pytest.MonkeyPatch.context() as patch:
        if where != "memory":
            patch.setattr("hsi_cd.prepare.scratch.IN_MEMORY", 0)
        if where == "nowhere":
            patch.setattr("os.posix_fallocate", no_room)
        kept = components(rows, cols)
    assert (kept.kept is None) == (where == "nowhere")
    assert isinstance(kept.kept, np.memmap) == (where == "file")
    part = slice(top, top + height), slice(left, left + width)
    found = kept.window(*part, radius=radius)
    kept.let_go()
    for date, values in enumerate(read_window(kept.pair, *part, radius=radius)):
        expected = kept.transform.apply(values, date=date, exact=True)
        np.testing.assert_array_equal(found[date], expected)
        assert found[date].dtype == np.float32 and found[date].flags.c_contiguous
        np.testing.assert_array_equal(kept.window(*part, radius=radius)[date], expected)


def no_room(*_: int) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("where", ["memory", "file", "nowhere"])
def test_the_shift_is_that_of_the_middle_wherever_components_are(
    where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where they are nowhere, no more than a block of rows is read at once, and no row again and again."""
    monkeypatch.setattr("hsi_cd.prepare.components._SHIFT_SIDE", 60)
    monkeypatch.setattr("hsi_cd.prepare.statistics._PIXELS_PER_BLOCK", 10 * 60)
    if where != "memory":
        monkeypatch.setattr("hsi_cd.prepare.scratch.IN_MEMORY", 0)
    if where == "nowhere":
        monkeypatch.setattr("os.posix_fallocate", no_room)
    ground = gaussian_filter(np.random.default_rng(0).normal(size=(12, 84, 75)), (0, 2, 2))
    moved = np.stack([shift(band, (0.4, -0.7), order=5, mode="nearest") for band in ground])
    dates = np.stack([ground, moved]).astype(np.float32)
    dates += np.random.default_rng(1).normal(scale=0.002, size=dates.shape).astype(np.float32)
    dates[0, :, 30:34, 20:30] = np.nan
    read: list[int] = []

    def counted(date: NDArray[np.float32]) -> Cube:
        cube = cube_from_array(date)

        def reader(rows: slice, cols: slice) -> NDArray[np.generic]:
            read.append(rows.stop - rows.start)
            return cube.reader(rows, cols)

        return replace(cube, reader=reader)

    measurement = Measurement(ScenePair(*map(counted, dates)))
    how = Preparation(projection="mnf", components=9)
    kept = measurement.components(measurement.transform(how), exact=True)
    assert (kept.kept is None) == (where == "nowhere")
    read.clear()
    found = kept.shift()
    assert (max(read, default=0), sum(read)) == ((10, 2 * 60) if where == "nowhere" else (0, 0))
    middle = [values[:6] for values in kept.window(slice(12, 72), slice(7, 67))]
    assert found == measure_shift(*middle, kept.transform.noise)
    assert math.dist(found, (0.4, -0.7)) < 0.08


def test_row_windows_cover_the_scene_with_their_surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hsi_cd.prepare.statistics._PIXELS_PER_BLOCK", 9 * 7)
    kept = components(20, 9)
    blocks = list(row_blocks(20, 9))
    assert len(blocks) > 2
    for block, window in row_windows(blocks, kept, radius=2):
        for values, wanted in zip(window, kept.window(block, slice(0, 9), radius=2), strict=True):
            np.testing.assert_array_equal(values, wanted)
            assert values.shape == (3, block.stop - block.start + 4, 13)
