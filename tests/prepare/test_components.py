"""The components of a whole scene against those of its windows."""

from __future__ import annotations

import errno

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsi_cd.prepare.components import SceneComponents, row_windows
from hsi_cd.prepare.measurement import Measurement, Preparation
from hsi_cd.prepare.statistics import row_blocks
from hsi_cd.prepare.windows import read_window
from hsi_cd.scene import ScenePair, cube_from_array

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


def test_row_windows_cover_the_scene_with_their_surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hsi_cd.prepare.statistics._PIXELS_PER_BLOCK", 9 * 7)
    kept = components(20, 9)
    blocks = list(row_blocks(20, 9))
    assert len(blocks) > 2
    for block, window in row_windows(blocks, kept, radius=2):
        for values, wanted in zip(window, kept.window(block, slice(0, 9), radius=2), strict=True):
            np.testing.assert_array_equal(values, wanted)
            assert values.shape == (3, block.stop - block.start + 4, 13)
