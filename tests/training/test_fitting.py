import numpy as np

from hsi_cd.config import resolve
from hsi_cd.detectors.siamese import fit_siamese
from hsi_cd.scene import ScenePair, cube_from_array
from hsi_cd.training.fitting import scene_flops


def test_the_operations_of_a_scene_are_those_of_its_products() -> None:
    values = np.random.default_rng(0).random((2, 7, 20, 18), dtype=np.float32)
    pair = ScenePair(*map(cube_from_array, values))
    model = {
        "members": 3,
        "attention": {"kind": "none"},
        "backbone": {"width": 10, "depth": 2},
        "head": "distance",
    }
    detector = fit_siamese(pair, resolve([("test", {"model": model, "prepare": {"components": 5}})]))
    products = 5 * 10 + 10 * 10  # the two layers; the distance itself is no product
    assert scene_flops(detector, pair) == 3 * 2 * 2 * products * 20 * 18  # members, dates, two a product, pixels
