import pytest

from hsi_cd.errors import BandError
from hsi_cd.scene import Bands, check_same_bands

NAMES = ("first", "second")


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


def test_another_number_of_bands_is_refused() -> None:
    with pytest.raises(BandError, match="first has 3 bands but second has 4"):
        check_same_bands(Bands(3), Bands(4), names=NAMES)


def test_the_first_band_that_differs_is_named() -> None:
    first, second = Bands(3, centres=(400, 500, 600)), Bands(3, centres=(404, 506, 700))
    with pytest.raises(BandError, match=r"2 of 3 bands .* 5 nm .* first band 2: 500\.0 nm against 506\.0 nm"):
        check_same_bands(first, second, names=NAMES)
    check_same_bands(first, second, names=NAMES, tolerance=100)


def test_unknown_wavelengths_agree_with_all_but_nan_with_none() -> None:
    check_same_bands(Bands(2), Bands(2, centres=(400, 500)), names=NAMES)
    with pytest.raises(BandError):
        check_same_bands(Bands(2, centres=(400, float("nan"))), Bands(2, centres=(400, 500)), names=NAMES)
