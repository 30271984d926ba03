import logging
from dataclasses import replace

import numpy as np
import pytest

from hsi_cd.errors import BandError
from hsi_cd.prepare.band_choice import WATER_VAPOUR, choose_bands
from hsi_cd.prepare.statistics import usable_bands
from hsi_cd.scene import Bands, ScenePair, cube_from_array

CENTRES = (500.0, 1349.9, 1350.0, 1400.0, 1450.0, 1450.1, 1850.0, 1960.0, 2200.0)


def pair(good1: tuple[bool, ...] = (), good2: tuple[bool, ...] = (), centres=CENTRES) -> ScenePair:
    values = np.random.default_rng(0).random((9, 5, 6), dtype=np.float32)
    t1, t2 = (cube_from_array(values, bands=Bands(9, centres=centres, good=good)) for good in (good1, good2))
    return ScenePair(t1, t2)


def test_nothing_is_dropped_unless_asked() -> None:
    assert choose_bands(pair((False,) * 9)).used is None


def test_water_vapour_by_wavelength() -> None:
    assert choose_bands(pair(), drop_water_vapour=True).used == (0, 1, 5, 8)
    assert WATER_VAPOUR == ((1350, 1450), (1800, 1960))
    with pytest.raises(BandError, match="no wavelengths are known"):
        choose_bands(pair(centres=()), drop_water_vapour=True)


def test_bad_in_either_date_is_bad(caplog: pytest.LogCaptureFixture) -> None:
    one, two = [True] * 9, [True] * 9
    one[0] = two[8] = False
    assert choose_bands(pair(tuple(one), tuple(two)), drop_bad=True).used == tuple(range(1, 8))
    assert choose_bands(pair((), tuple(two)), drop_bad=True, drop_water_vapour=True).used == (0, 1, 5)
    with caplog.at_level(logging.WARNING):
        assert choose_bands(pair(), drop_bad=True).used is None
    assert "no list of bad bands" in caplog.text


def test_a_scene_of_bad_bands_is_refused() -> None:
    with pytest.raises(BandError, match="all 9 bands"):
        choose_bands(pair((False,) * 9), drop_bad=True)


def test_methods_look_at_the_chosen_bands_alone() -> None:
    """A bad band without data would be refused; dropped, it is never looked at."""
    values = np.random.default_rng(0).random((4, 20, 20), dtype=np.float32)
    values[2] = -1
    bands = Bands(4, good=(True, True, False, True))
    scene = ScenePair(*(cube_from_array(values + i, bands=bands, nodata=-1 + i) for i in range(2)))
    with pytest.raises(BandError, match=r"band 3 of t1 .* has no data"):
        usable_bands(scene)
    chosen = choose_bands(scene, drop_bad=True)
    np.testing.assert_array_equal(usable_bands(chosen), [0, 1, 3])
    np.testing.assert_array_equal(usable_bands(choose_bands(scene, drop_constant=True)), [0, 1, 3])
    again = choose_bands(replace(scene, used=(1, 2)), drop_constant=True)
    assert again.used == (1,)


def test_the_empty_bands_of_a_real_file_are_marked_bad(shared) -> None:
    """EnMAP: no-data fills whole bands, which the file marks as bad."""
    from hsi_cd.io import open_cube

    cube = open_cube(shared / "files" / "enmap_potsdam_tile_128_96.tif")
    scene = ScenePair(cube, cube, allow_identical=True)
    with pytest.raises(BandError, match="has no data and 5 more"):
        usable_bands(scene)
    kept = usable_bands(choose_bands(scene, drop_bad=True))
    assert not set(kept.tolist()) & set(range(129, 135))
    assert np.isfinite(cube.read()[kept]).all()
