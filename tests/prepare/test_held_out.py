from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsi_cd.errors import ConfigError
from hsi_cd.prepare.held_out import hold_out_blocks


@given(
    rows=st.integers(20, 70),
    cols=st.integers(33, 70),
    share=st.floats(0.02, 0.4),
    half=st.integers(0, 3),
    seed=st.integers(0, 50),
)
def test_no_patch_that_teaches_overlaps_one_that_judges(
    rows: int, cols: int, share: float, half: int, seed: int
) -> None:
    valid = np.random.default_rng(seed).random((rows, cols)) < 0.9
    try:
        teach, held = hold_out_blocks(valid, share=share, half=half, seed=seed)
    except ConfigError:
        assert share > 0.2 or rows < 32  # few blocks, all near the one held out
        return
    assert valid.ravel()[teach].all() and valid.ravel()[held].all()
    seen = np.zeros((rows, cols), dtype=int)
    for number, pixels in ((1, teach), (2, held)):
        for pixel in pixels:
            row, col = divmod(int(pixel), cols)
            seen[max(0, row - half) : row + half + 1, max(0, col - half) : col + half + 1] |= number
    assert not (seen == 3).any()


def test_about_the_share_is_held_out_in_whole_blocks_and_drawn_by_the_seed() -> None:
    valid = np.ones((160, 160), dtype=bool)
    drawn = [hold_out_blocks(valid, share=0.1, half=1, seed=seed) for seed in (0, 0, 1)]
    assert len(drawn[0][1]) == 10 * 16 * 16
    held = np.zeros(160 * 160, dtype=bool)
    held[drawn[0][1]] = True
    blocks = held.reshape(10, 16, 10, 16).sum(axis=(1, 3))
    assert set(np.unique(blocks)) == {0, 256}
    np.testing.assert_array_equal(drawn[0][1], drawn[1][1])
    assert not np.array_equal(drawn[0][1], drawn[2][1])


def test_a_scene_too_small_to_hold_out_from() -> None:
    with pytest.raises(ConfigError, match=r"1 of 1 blocks .* lower pretrain\.held_out"):
        hold_out_blocks(np.ones((9, 9), dtype=bool), share=0.1, half=1, seed=0)
    with pytest.raises(ConfigError, match="0 of 0 blocks"):
        hold_out_blocks(np.zeros((9, 9), dtype=bool), share=0.1, half=1, seed=0)
