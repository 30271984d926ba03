import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsi_cd.errors import BandError
from hsi_cd.scene import Bands, check_same_bands, cube_from_array
from hsi_cd.scene.matching import common_bands, find_bands, match_bands, select_bands

NAMES = ("first", "second")
CENTRES = st.lists(st.integers(40, 250), min_size=1, max_size=12, unique=True)


def cube(bands: Bands, name: str = "cube"):
    """A cube whose band b holds ten times its centre, or its place."""
    levels = np.array(bands.centres or range(1, bands.count + 1), np.float32)
    return cube_from_array(np.broadcast_to(levels[:, None, None], (bands.count, 2, 3)), bands=bands, name=name)


def told(*centres: float) -> Bands:
    return Bands(len(centres), centres=centres)


def test_another_number_of_bands_is_refused() -> None:
    with pytest.raises(BandError, match=r"first has 3 bands but second has 4.*not in first: band 4"):
        check_same_bands(Bands(3), Bands(4), names=NAMES)


def test_what_each_list_lacks_is_named() -> None:
    first, second = told(400, 500, 600), told(404, 506, 700)
    with pytest.raises(
        BandError,
        match=r"2 of 3 bands of first are not in second: 500\.0 nm, 600\.0 nm; "
        r"2 of 3 bands of second are not in first: 506\.0 nm, 700\.0 nm .*within 5 nm.*common_bands=True",
    ):
        check_same_bands(first, second, names=NAMES)
    check_same_bands(first, second, names=NAMES, tolerance=100)


def test_another_order_is_refused_and_shown() -> None:
    with pytest.raises(
        BandError, match=r"same 3 bands in another order.* 400\.0 nm is band 1 of first but band 3"
    ):
        check_same_bands(told(400, 500, 600), told(600, 500, 400), names=NAMES)


def test_names_decide_where_wavelengths_do_not() -> None:
    first = Bands(3, names=("B02", "B03", "B04"))
    assert match_bands(first, Bands(3, names=("b02", "B03 ", "B04"))).is_same
    with pytest.raises(BandError, match=r"first are not in second: B04; .* second are not in first: B08.*by name"):
        check_same_bands(first, Bands(3, names=("B02", "B03", "B08")), names=NAMES)
    with pytest.raises(BandError, match=r"another order \(by name\): B02 is band 1 of first but band 2"):
        check_same_bands(first, Bands(3, names=("B03", "B02", "B04")), names=NAMES)
    # Wavelengths on one side only: the names still tell.
    assert match_bands(Bands(2, centres=(1, 2), names=("a", "b")), Bands(2, names=("b", "a"))).second == (1, 0)


@pytest.mark.parametrize("names", [("2004 b1", "2004 b2"), ("x", "x"), ()])
def test_names_that_tell_nothing_leave_it_to_the_place(names: tuple[str, ...]) -> None:
    match = match_bands(Bands(2, names=("2007 b1", "2007 b2")), Bands(2, names=names))
    assert (match.by, match.is_same) == ("count", True)


def test_unknown_wavelengths_agree_with_all_but_nan_with_none() -> None:
    check_same_bands(Bands(2), told(400, 500), names=NAMES)
    with pytest.raises(BandError):
        check_same_bands(told(400, float("nan")), told(400, 500), names=NAMES)


def test_overlapping_spectrometers_have_a_wavelength_twice() -> None:
    twice = told(850, 860, 861, 851, 870)
    check_same_bands(twice, told(851, 861, 860, 850, 870), names=NAMES)


def test_many_differences_are_cut_short() -> None:
    first, second = told(*range(400, 1400, 10)), told(*range(1500, 2500, 10))
    with pytest.raises(BandError, match=r"100 of 100 bands .*450\.0 nm and 94 more; ") as caught:
        check_same_bands(first, second, names=NAMES)
    assert len(str(caught.value)) < 400


@given(a=CENTRES, b=CENTRES, jitter=st.floats(-4.9, 4.9))
def test_common_bands_are_the_intersection(a: list[int], b: list[int], jitter: float) -> None:
    """Ten nm apart, a set's intersection is the oracle, whatever the order of either list."""
    first, second = told(*(10.0 * x for x in a)), told(*(10.0 * x + jitter for x in b))
    shared = [x for x in a if x in b]
    if not shared:
        with pytest.raises(BandError, match="in common"):
            common_bands(cube(first), cube(second))
        return
    one, two = common_bands(cube(first), cube(second))
    np.testing.assert_allclose(one.bands.centres, [10.0 * x for x in shared])
    np.testing.assert_allclose(two.bands.centres, [10.0 * x + jitter for x in shared])
    np.testing.assert_allclose(one.read()[:, 0, 0], one.bands.centres, rtol=1e-6)
    np.testing.assert_allclose(two.read()[:, 0, 0], two.bands.centres, rtol=1e-6)
    assert check_same_bands(one.bands, two.bands, names=NAMES).is_same
    assert match_bands(first, second).is_same == (a == b)


def test_by_count_alone_nothing_is_left_out() -> None:
    with pytest.raises(BandError, match="nobody can tell"):
        common_bands(cube(Bands(3)), cube(Bands(4)))
    with pytest.raises(BandError, match="every band of the checkpoint"):
        find_bands(Bands(3), Bands(4), names=("the checkpoint", "the scene"))


@given(order=st.permutations(range(6)))
def test_a_scene_is_brought_into_the_order_that_is_wanted(order: list[int]) -> None:
    wanted = told(450, 550, 660)
    centres = (450, 550, 660, 860, 1650, 2200)
    scene = cube(told(*(centres[i] for i in order)))
    found = select_bands(scene, find_bands(wanted, scene.bands, names=NAMES))
    assert found.bands == wanted
    np.testing.assert_array_equal(found.read()[:, 1, 1], wanted.centres)


def test_a_band_that_is_wanted_and_absent_is_named() -> None:
    with pytest.raises(BandError, match=r"first are not in second: 999\.0 nm.*every band of first"):
        find_bands(told(450, 999), told(450, 550), names=NAMES)


def test_selected_bands_keep_their_description_and_their_data() -> None:
    bands = Bands(3, (1, 2, 3), (0.1, 0.2, 0.3), (True, False, True), ("a", "b", "c"))
    values = np.arange(18).reshape(3, 2, 3)
    whole = cube_from_array(values, bands=bands, nodata=4)
    some = select_bands(whole, [2, 0])
    assert some.bands == Bands(2, (3, 1), (0.3, 0.1), (True, True), ("c", "a"))
    np.testing.assert_array_equal(some.read(slice(1, 2)), whole.read(slice(1, 2))[[2, 0]])
    assert np.isnan(some.read()[1, 1, 1])
    assert select_bands(whole, [0, 1, 2]) is whole
