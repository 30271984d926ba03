import numpy as np
import pytest
import torch

from hsi_cd.prepare.patches import PatchSource


@pytest.mark.parametrize(("rows", "cols", "radius"), [(4, 7, 2), (7, 4, 1), (1, 3, 3), (5, 5, 0)])
def test_a_patch_is_a_slice_of_the_padded_scene(rows: int, cols: int, radius: int) -> None:
    rng = np.random.default_rng(0)
    dates = rng.normal(size=(2, 3, rows, cols))
    valid = rng.random((1, rows, cols)) < 0.7
    pad = [(0, 0), (radius, radius), (radius, radius)]
    padded = [np.pad(x, pad, mode="symmetric") for x in (*dates, valid)]
    source = PatchSource(*map(torch.from_numpy, padded), radius=radius)
    assert source.shape == (rows, cols)

    pixels = rng.permutation(rows * cols)
    found = source.cut(torch.from_numpy(pixels))
    p = 2 * radius + 1
    assert [tuple(x.shape) for x in found] == [(rows * cols, n, p, p) for n in (3, 3, 1)]
    assert found[2].dtype == torch.bool
    for i, pixel in enumerate(pixels):
        row, col = divmod(int(pixel), cols)
        for patches, whole in zip(found, padded, strict=True):
            np.testing.assert_array_equal(patches[i].numpy(), whole[:, row : row + p, col : col + p])
