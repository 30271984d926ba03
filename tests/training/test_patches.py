import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from hsi_cd.training.augmentation import Variation, draw_variation
from hsi_cd.training.patches import PatchSource


def padded(rows: int, cols: int, radius: int) -> list[NDArray[np.generic]]:
    rng = np.random.default_rng(0)
    dates = rng.normal(size=(2, 3, rows, cols)).astype(np.float32)
    valid = rng.random((1, rows, cols)) < 0.7
    pad = [(0, 0), (radius, radius), (radius, radius)]
    return [np.pad(x, pad, mode="symmetric") for x in (*dates, valid)]


@pytest.mark.parametrize(("rows", "cols", "radius"), [(4, 7, 2), (7, 4, 1), (1, 3, 3), (5, 5, 0)])
def test_a_patch_is_a_slice_of_the_padded_scene(rows: int, cols: int, radius: int) -> None:
    scene = padded(rows, cols, radius)
    source = PatchSource.of(*map(torch.from_numpy, scene), radius=radius)
    assert source.shape == (rows, cols)
    np.testing.assert_array_equal(source.t1, scene[0])
    np.testing.assert_array_equal(source.t2, scene[1])

    pixels = np.random.default_rng(1).permutation(rows * cols)
    found = source.cut(torch.from_numpy(pixels))
    p = 2 * radius + 1
    assert [tuple(x.shape) for x in found] == [(rows * cols, n, p, p) for n in (3, 3, 1)]
    assert found[2].dtype == torch.bool
    for i, pixel in enumerate(pixels):
        row, col = divmod(int(pixel), cols)
        for patches, whole in zip(found, scene, strict=True):
            np.testing.assert_array_equal(patches[i].numpy(), whole[:, row : row + p, col : col + p])


@given(
    seed=st.integers(0, 2**32 - 1),
    number=st.integers(1, 9),
    radius=st.integers(0, 3),
    flips=st.booleans(),
    turns=st.booleans(),
    date_swap=st.booleans(),
    mixup=st.sampled_from([0.0, 0.6]),
)
def test_variations_are_what_is_done_to_plain_patches_one_after_the_other(
    seed: int, number: int, radius: int, flips: bool, turns: bool, date_swap: bool, mixup: float
) -> None:
    random = np.random.default_rng(seed)
    source = PatchSource.of(*map(torch.from_numpy, padded(5, 6, radius)), radius=radius)
    pixels = torch.from_numpy(random.integers(0, 30, number))
    vary = draw_variation(number, flips=flips, turns=turns, date_swap=date_swap, mixup=mixup, random=random)

    def laid(patch: NDArray[np.generic]) -> NDArray[np.generic]:
        return np.rot90(patch[..., ::-1] if vary.flipped else patch, vary.turns, axes=(-2, -1))

    plain = [laid(x.numpy()) for x in source.cut(pixels)]
    if vary.swapped is not None:
        for i in np.flatnonzero(vary.swapped):
            plain[0][i], plain[1][i] = plain[1][i].copy(), plain[0][i].copy()
    expected = [x.copy() for x in plain]
    if vary.partner is not None and vary.share is not None:
        for i, (j, share) in enumerate(zip(vary.partner, vary.share, strict=True)):
            for date in (0, 1):
                expected[date][i] = share * plain[date][i] + (1 - share) * plain[date][j]
            expected[2][i] = plain[2][i] & plain[2][j]
    for found, wanted in zip(source.cut(pixels, vary), expected, strict=True):
        np.testing.assert_allclose(found.numpy(), wanted, atol=1e-6)


def test_cutting_leaves_the_scene_as_it_is() -> None:
    source = PatchSource.of(*map(torch.from_numpy, padded(5, 6, 1)), radius=1)
    before = source.both.clone(), source.valid.clone()
    drawn = draw_variation(8, flips=True, turns=True, date_swap=True, mixup=0.6, random=np.random.default_rng(0))
    for variation in (drawn, Variation()):
        for patches in source.cut(torch.arange(8), variation):
            patches.zero_()
    torch.testing.assert_close((source.both, source.valid), before, rtol=0, atol=0)
