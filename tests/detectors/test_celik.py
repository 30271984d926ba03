import numpy as np
import pytest
from sklearn.cluster import KMeans

from hsi_cd.detectors.celik import blocks_of, fit_celik
from hsi_cd.errors import ConfigError
from hsi_cd.prepare.padding import mirror_pad
from hsi_cd.scene import ScenePair, cube_from_array


def dates() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    t1 = rng.normal(size=(3, 24, 22))
    t2 = t1 + rng.normal(0, 0.2, t1.shape)
    t2[:, 5:14, 4:12] += np.array([4, -4, 4])[:, None, None]
    return t1.astype(np.float32), t2.astype(np.float32)


def naive(t1: np.ndarray, t2: np.ndarray, side: int, share: float) -> np.ndarray:
    """Celik's method as the paper states it, pixel by pixel: the place between the cluster centres."""
    z1, z2 = (
        (v - v.mean(axis=(1, 2), keepdims=True)) / v.std(axis=(1, 2), keepdims=True)
        for v in (t1.astype(np.float64), t2.astype(np.float64))
    )
    image = np.linalg.norm(z1 - z2, axis=0)
    rows, cols = image.shape
    r = side // 2
    tiles = [
        image[i : i + side, j : j + side].ravel()
        for i in range(0, rows - side + 1, side)
        for j in range(0, cols - side + 1, side)
    ]
    mean = np.mean(tiles, axis=0)
    values, vectors = np.linalg.eigh(np.cov(np.array(tiles).T, bias=True))
    order = np.argsort(values)[::-1]
    kept = int(np.argmax(np.cumsum(values[order]) / values.sum() >= share)) + 1
    basis = vectors[:, order[:kept]]
    padded = np.pad(image, r, mode="symmetric")
    features = np.array(
        [(padded[i : i + side, j : j + side].ravel() - mean) @ basis for i in range(rows) for j in range(cols)]
    )
    clusters = KMeans(2, n_init=4, random_state=0).fit(features)
    averages = [image.ravel()[clusters.labels_ == k].mean() for k in (0, 1)]
    far = np.linalg.norm(features[:, None] - clusters.cluster_centers_, axis=2)
    unchanged, changed = far[:, int(np.argmin(averages))], far[:, int(np.argmax(averages))]
    return (unchanged / (unchanged + changed)).reshape(rows, cols)


@pytest.mark.parametrize("side", [3, 5])
def test_against_the_paper_pixel_by_pixel(side: int) -> None:
    t1, t2 = dates()
    detector = fit_celik(ScenePair(cube_from_array(t1), cube_from_array(t2)), options={"block": side})
    padded = (mirror_pad(x, side // 2) for x in (t1, t2))
    score = detector.score(*padded)
    np.testing.assert_allclose(score, naive(t1, t2, side, 0.9), atol=1e-4)
    change = score >= detector.threshold
    assert change[6:13, 5:11].all()
    assert not change[16:].any()


def test_the_seed_decides() -> None:
    t1, t2 = dates()
    scene = ScenePair(cube_from_array(t1), cube_from_array(t2))
    one, two = (fit_celik(scene, seed=7) for _ in range(2))
    np.testing.assert_array_equal(one.centres, two.centres)


def test_an_even_block_is_refused() -> None:
    t1, t2 = dates()
    with pytest.raises(ConfigError, match="block of celik is 4: expected an odd number"):
        fit_celik(ScenePair(cube_from_array(t1), cube_from_array(t2)), options={"block": 4})


def test_a_neighbour_without_data_has_the_value_of_the_pixel() -> None:
    image = np.arange(9.0).reshape(3, 3)
    image[0, 1] = np.nan
    np.testing.assert_array_equal(blocks_of(image, 1).ravel(), [0, 4, 2, 3, 4, 5, 6, 7, 8])
