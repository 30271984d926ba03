import numpy as np
import pytest
import torch

from hsi_cd.config import resolve
from hsi_cd.detectors.base import check_bands
from hsi_cd.detectors.registry import METHODS, detector_from_state
from hsi_cd.detectors.siamese import fit_siamese
from hsi_cd.errors import BandError, CheckpointError, UnknownNameError
from hsi_cd.scene import Bands, ScenePair, cube_from_array

CPU = torch.device("cpu")


def pair(*, bands: Bands) -> ScenePair:
    values = np.random.default_rng(0).random((2, bands.count, 9, 8), dtype=np.float32)
    return ScenePair(*(cube_from_array(date, bands=bands) for date in values), name="fields")


def test_an_unknown_method_lists_the_known() -> None:
    with pytest.raises(UnknownNameError, match=r"no method 'siames': did you mean 'siamese'.* .*siamese"):
        detector_from_state("siames", {}, device=CPU)


@pytest.mark.parametrize("method", METHODS)
def test_no_method_is_rebuilt_from_nothing(method: str) -> None:
    with pytest.raises(CheckpointError):
        detector_from_state(method, {}, device=CPU)


def test_a_scene_of_other_bands_is_refused() -> None:
    known = Bands(4, centres=(400.0, 500.0, 600.0, 700.0))
    config = resolve([("test", {"model": {"members": 1}})])
    detector = fit_siamese(pair(bands=known), config)
    check_bands(detector, pair(bands=known))
    check_bands(detector, pair(bands=Bands(4)))
    with pytest.raises(BandError, match="the checkpoint has 4 bands but the scene fields has 3"):
        check_bands(detector, pair(bands=Bands(3)))
    with pytest.raises(BandError, match=r"1 of 4 bands of the checkpoint are not in the scene fields: 400\.0 nm"):
        check_bands(detector, pair(bands=Bands(4, centres=(410.0, 500.0, 600.0, 700.0))))
