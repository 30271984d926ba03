import pytest

from hsi_cd.errors import BandError
from hsi_cd.scene import Bands


@pytest.mark.parametrize("field", ["centres", "fwhm", "good", "names"])
def test_one_value_a_band_or_none(field: str) -> None:
    assert getattr(Bands(3), field) == ()
    with pytest.raises(BandError, match=f"2 values of {field} for 3 bands"):
        Bands(3, **{field: (1, 1)})


def test_nearest_bands_by_wavelength() -> None:
    bands = Bands(4, centres=(450.0, 550.0, 650.0, 860.0))
    assert bands.nearest([640, 460, 9999, 0]) == [2, 0, 3, 0]


def test_nearest_bands_without_wavelengths_stand_at_the_same_part_of_the_range() -> None:
    bands = Bands(210)
    assert bands.nearest([400, 650, 2500, 100, 9999]) == [0, 25, 209, 0, 209]
