from __future__ import annotations

import numpy as np
import pytest

from hsi_cd.datasets.simulated.materials import MATERIALS_RANGE, Material, make_materials
from hsi_cd.errors import ConfigError

WAVELENGTHS = np.linspace(400, 2500, 211)


def make(count: int, seed: int = 0) -> tuple[Material, ...]:
    return make_materials(count, wavelengths=WAVELENGTHS, rng=np.random.default_rng(seed))


def angle(a: np.ndarray, b: np.ndarray) -> float:
    """Spectral angle, degrees."""
    return float(np.degrees(np.arccos(a @ b / np.linalg.norm(a) / np.linalg.norm(b))))


@pytest.mark.parametrize("seed", range(5))
def test_spectra_are_reflectances_and_smooth(seed: int) -> None:
    for material in make(32, seed):
        spectrum = material.spectrum()
        assert spectrum.shape == WAVELENGTHS.shape
        assert 0 < spectrum.min() <= spectrum.max() <= 1
        # 10 nm apart: even the red edge does not jump.
        assert np.abs(np.diff(spectrum)).max() < 0.12


def test_materials_are_distinct_and_some_are_close() -> None:
    materials = make(8)
    spectra = [m.spectrum() for m in materials]
    distance = np.array([[np.sqrt(np.mean((a - b) ** 2)) for a in spectra] for b in spectra])
    others = distance[~np.eye(len(spectra), dtype=bool)]
    assert others.min() > 0.01
    by_name = {m.name: m.spectrum() for m in materials}
    assert len(by_name) == 8
    twins = angle(by_name["vegetation 1"], by_name["vegetation 2"])
    assert twins < angle(by_name["vegetation 1"], by_name["soil 1"]) / 3


def test_more_materials_leave_the_first_ones_as_they_are() -> None:
    for few, many in zip(make(4), make(20), strict=False):
        assert few.name == many.name
        np.testing.assert_array_equal(few.spectrum(), many.spectrum())


def test_every_scene_has_the_four_families_a_landscape_needs() -> None:
    assert {"vegetation", "soil", "water", "concrete"} <= {m.family for m in make(MATERIALS_RANGE[0])}


def test_vegetation_has_a_red_edge_and_water_absorbs_the_infrared() -> None:
    materials = {m.name: m.spectrum() for m in make(8)}

    def at(name: str, nm: float) -> float:
        return float(materials[name][np.argmin(np.abs(WAVELENGTHS - nm))])

    assert at("vegetation 1", 800) > 3 * at("vegetation 1", 670)
    assert at("vegetation 1", 1450) < at("vegetation 1", 1650)
    assert at("vegetation 1", 1940) < at("vegetation 1", 2200)
    assert at("water 1", 1650) < 0.02 < at("water 1", 560)


def test_variants_follow_their_three_numbers() -> None:
    soil = make(4)[1]
    rest = soil.spectrum()
    one, none = np.ones(1), np.zeros(1)
    np.testing.assert_allclose(soil.spectra(brightness=0.5 * one, slope=none, depth=one)[0], 0.5 * rest)
    tilted = soil.spectra(brightness=one, slope=0.1 * one, depth=one)[0] / rest
    assert tilted[0] == pytest.approx(0.9)
    assert tilted[-1] == pytest.approx(1.1)
    flat = soil.spectra(brightness=one, slope=none, depth=none)[0]
    np.testing.assert_allclose(flat, soil.continuum)
    assert soil.spectra(brightness=np.ones(7), slope=np.zeros(7), depth=np.ones(7)).shape == (7, 211)


@pytest.mark.parametrize("count", [0, 3, 33])
def test_a_wrong_number_of_materials_is_refused(count: int) -> None:
    with pytest.raises(ConfigError, match=rf"^materials is {count}: expected a whole number from 4 to 32$"):
        make(count)


def test_wavelengths_outside_the_formulas_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"run from 0\.4 to 2\.5 nm"):
        make_materials(4, wavelengths=WAVELENGTHS / 1000, rng=np.random.default_rng(0))
