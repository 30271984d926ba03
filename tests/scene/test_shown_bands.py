import numpy as np
import pytest

from hsi_cd.scene import Bands
from hsi_cd.scene.shown_bands import NEAR_INFRARED, TRUE_COLOUR, shown_bands


def test_bands_are_shown_by_their_true_wavelengths_and_told() -> None:
    bands = Bands(5, centres=(450.4, 550.0, 661.0, 705.0, 862.0))
    assert shown_bands(bands).indices == (4, 2, 1) and shown_bands(bands).words == "862, 661 and 550 nm"
    assert shown_bands(bands, TRUE_COLOUR).words == "661, 550 and 450 nm"
    flagged = Bands(5, bands.centres, good=(True, True, False, True, True))
    assert shown_bands(flagged).words == "862, 705 and 550 nm"
    assert shown_bands(flagged, used=[0, 1, 2, 4]).words == "862, 661 and 550 nm"


def test_bands_in_any_order() -> None:
    waves = np.random.default_rng(0).permutation(np.arange(400.0, 1000, 10))
    shown = shown_bands(Bands(60, tuple(waves)))
    assert [waves[i] for i in shown.indices] == [*NEAR_INFRARED] and shown.words == "860, 660 and 560 nm"


@pytest.mark.parametrize(
    ("waves", "words"),
    [
        (np.arange(1000.0, 2500, 10), "2250, 1750 and 1250 nm"),  # a sensor of the shortwave infrared
        (np.arange(400.0, 700, 10), "650, 550 and 450 nm"),  # one of the visible
        ([560.0, 660.0, 1610.0], "1610, 660 and 560 nm"),
        ([655.0, 665.0, 400.0], "665, 655 and 400 nm"),
    ],
)
def test_what_a_sensor_does_not_see_is_not_shown(waves: list[float], words: str) -> None:
    shown = shown_bands(Bands(len(waves), tuple(waves)))
    assert shown.words == words and len(set(shown.indices)) == 3


def test_without_wavelengths_the_places_are_told() -> None:
    assert shown_bands(Bands(210)).words == "bands 47, 27 and 17"
    assert shown_bands(Bands(210), used=range(100, 110)).indices == (102, 101, 100)
    assert shown_bands(Bands(3, good=(False,) * 3)).words == "bands 1, 2 and 3"
    assert shown_bands(Bands(2)).indices == (0, 1, 1) and shown_bands(Bands(1, (500.0,))).indices == (0, 0, 0)
