"""Reflectance spectra of ground materials, 400-2500 nm, from formulas.

A spectrum is a smooth continuum times absorption features::

    reflectance(w) = brightness * (1 + slope * t(w)) * continuum(w) * exp(-depth * absorption(w))

with ``t`` running from -1 at 400 nm to 1 at 2500 nm, and ``absorption`` a sum of Gaussians at the positions where
real materials absorb: leaf and liquid water near 970, 1200, 1450 and 1940 nm, chlorophyll near 450 and 670 nm,
cellulose and lignin near 2100 and 2300 nm, iron oxide near 500 and 870 nm, clay near 2200 nm, carbonate near
2340 nm, C-H bonds of plastics and paints near 1210, 1730 and 2310 nm. The three numbers ``brightness``, ``slope``
and ``depth`` are how one material differs from place to place; their rest values are 1, 0 and 1.

The shapes follow the descriptions in Clark, "Spectroscopy of rocks and minerals, and principles of spectroscopy",
Manual of Remote Sensing vol. 3, 1999, and the leaf model of Jacquemoud and Baret, 1990,
doi:10.1016/0034-4257(90)90100-Z. They are plausible, not measured.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hsi_cd.errors import ConfigError

Floats = NDArray[np.float64]

WAVELENGTH_RANGE = (400.0, 2500.0)
"""Range in which the formulas hold, nm."""

MATERIALS_RANGE = (4, 32)
"""Fewest and most materials of a scene: below four there is no river, road or second crop to change into."""


def gaussian(wavelengths: Floats, centre: float, width: float) -> Floats:
    """A Gaussian of height 1 at ``centre`` with standard deviation ``width`` (all nm)."""
    values: Floats = np.exp(-0.5 * ((wavelengths - centre) / width) ** 2)
    return values


def step(wavelengths: Floats, centre: float, width: float) -> Floats:
    """A smooth step from 0 to 1 at ``centre`` (all nm)."""
    return 1.0 / (1.0 + np.exp(-(wavelengths - centre) / width))


@dataclass(frozen=True)
class Material:
    """One ground material, sampled at a sensor's bands.

    Attributes:
        name: as ``vegetation 1``.
        family: ``vegetation``, ``dry vegetation``, ``soil``, ``water``, ``concrete`` or ``roof``.
        continuum: float64 ``(bands,)``, reflectance 0-1 without the absorption features.
        absorption: float64 ``(bands,)``, optical depth of the features, at least 0.
        position: float64 ``(bands,)``, the bands' place from -1 (400 nm) to 1 (2500 nm).
    """

    name: str
    family: str
    continuum: Floats
    absorption: Floats
    position: Floats

    def spectra(self, *, brightness: Floats, slope: Floats, depth: Floats) -> Floats:
        """Reflectance of as many variants as values are given.

        Args:
            brightness: ``(n,)``, factor on the whole spectrum; 1 at rest.
            slope: ``(n,)``, relative tilt from blue to infrared; 0 at rest.
            depth: ``(n,)``, factor on the depth of the absorption features; 1 at rest.

        Returns:
            float64 ``(n, bands)``, reflectance 0-1; at least 0.001, for nothing on the ground is quite black.
        """
        shape = self.continuum * np.exp(-np.maximum(depth, 0.0)[:, None] * self.absorption)
        tilted = brightness[:, None] * (1.0 + slope[:, None] * self.position) * shape
        return np.clip(tilted, 0.001, 1.0)

    def spectrum(self) -> Floats:
        """Reflectance at rest, float64 ``(bands,)``."""
        one = np.ones(1)
        spectrum: Floats = self.spectra(brightness=one, slope=np.zeros(1), depth=one)[0]
        return spectrum


# Every family is a function of (wavelengths, parameters) that returns (continuum, absorption); the table below it
# says between which values each parameter is drawn.


def _vegetation(w: Floats, p: dict[str, float]) -> tuple[Floats, Floats]:
    edge = step(w, p["edge"], 13.0)
    continuum = 0.16 + (p["infrared"] - 0.16) * edge * np.exp(-p["decline"] * (w - 800) / 1700 * step(w, 1250, 90))
    chlorophyll = gaussian(w, 450, 55) * 1.5 + gaussian(w, 660, 38) * 1.6 + gaussian(w, 590, 60) * 0.35
    return continuum, p["chlorophyll"] * chlorophyll + p["water"] * _liquid_water(w)


def _dry_vegetation(w: Floats, p: dict[str, float]) -> tuple[Floats, Floats]:
    continuum = 0.07 + p["bright"] * (1 - np.exp(-(w - 380) / p["rise"])) * np.exp(-0.25 * step(w, 1900, 120))
    cellulose = gaussian(w, 2100, 55) * 0.30 + gaussian(w, 2310, 45) * 0.25 + gaussian(w, 1730, 40) * 0.08
    rest = 0.25 * gaussian(w, 670, 35)
    return continuum, p["cellulose"] * cellulose + p["water"] * _liquid_water(w) + p["green"] * rest


def _soil(w: Floats, p: dict[str, float]) -> tuple[Floats, Floats]:
    continuum = 0.04 + p["bright"] * (1 - np.exp(-(w - 350) / p["rise"]))
    iron = gaussian(w, 500, 60) * 0.45 + gaussian(w, 870, 75) * 0.18
    clay = gaussian(w, 2205, 28) * 0.22 + gaussian(w, 1410, 30) * 0.10
    return continuum, p["iron"] * iron + p["clay"] * clay + p["water"] * _liquid_water(w)


def _water(w: Floats, p: dict[str, float]) -> tuple[Floats, Floats]:
    continuum = 0.006 + p["turbid"] * (
        gaussian(w, 560, 95) + 0.35 * gaussian(w, 700, 60) + 0.1 * gaussian(w, 810, 40)
    )
    return continuum, p["algae"] * (0.5 * gaussian(w, 440, 40) + 0.4 * gaussian(w, 675, 18))


def _concrete(w: Floats, p: dict[str, float]) -> tuple[Floats, Floats]:
    continuum = p["bright"] * (0.65 + 0.35 * (1 - np.exp(-(w - 380) / p["rise"])))
    carbonate = gaussian(w, 2340, 35) * 0.25 + gaussian(w, 1940, 50) * 0.15 + gaussian(w, 1430, 40) * 0.08
    return continuum, p["carbonate"] * carbonate


def _roof(w: Floats, p: dict[str, float]) -> tuple[Floats, Floats]:
    colour = step(w, p["colour"], 22.0)
    continuum = 0.08 + p["bright"] * colour + p["blue"] * gaussian(w, 465, 35)
    bonds = gaussian(w, 1210, 25) * 0.15 + gaussian(w, 1730, 30) * 0.45 + gaussian(w, 2310, 40) * 0.55
    return continuum, p["plastic"] * bonds + 0.15 * gaussian(w, 900, 120)


def _liquid_water(w: Floats) -> Floats:
    """Optical depth of liquid water in leaves and wet ground, 1 at the 1450 nm feature."""
    return (
        0.09 * gaussian(w, 970, 32)
        + 0.17 * gaussian(w, 1195, 48)
        + 1.00 * gaussian(w, 1450, 65)
        + 1.35 * gaussian(w, 1940, 85)
        + 0.55 * step(w, 1850, 160)
        + 0.70 * gaussian(w, 2560, 150)
    )


_Formula = Callable[[Floats, dict[str, float]], tuple[Floats, Floats]]

_FAMILIES: dict[str, tuple[_Formula, dict[str, tuple[float, float]]]] = {
    "vegetation": (
        _vegetation,
        {
            "edge": (708, 728),
            "infrared": (0.34, 0.56),
            "decline": (0.15, 0.5),
            "chlorophyll": (0.55, 1.25),
            "water": (0.5, 1.1),
        },
    ),
    "soil": (
        _soil,
        {"bright": (0.16, 0.40), "rise": (450, 900), "iron": (0.3, 1.3), "clay": (0.3, 1.4), "water": (0.05, 0.3)},
    ),
    "water": (_water, {"turbid": (0.03, 0.10), "algae": (0.1, 1.0)}),
    "concrete": (_concrete, {"bright": (0.16, 0.40), "rise": (250, 600), "carbonate": (0.3, 1.2)}),
    "dry vegetation": (
        _dry_vegetation,
        {
            "bright": (0.26, 0.46),
            "rise": (380, 700),
            "cellulose": (0.6, 1.3),
            "water": (0.1, 0.35),
            "green": (0, 0.9),
        },
    ),
    "roof": (
        _roof,
        {"colour": (560, 610), "bright": (0.24, 0.50), "blue": (0.0, 0.20), "plastic": (0.4, 1.3)},
    ),
}

# The order in which a scene takes its materials. A number after the family names the material it is close to.
_ORDER: tuple[tuple[str, int | None], ...] = (
    ("vegetation", None),
    ("soil", None),
    ("water", None),
    ("concrete", None),
    ("vegetation", 0),
    ("dry vegetation", None),
    ("soil", 1),
    ("roof", None),
)
_TWIN = 0.25  # a twin lies this share of a parameter's range away from its sibling, to either side


def make_materials(count: int, *, wavelengths: Floats, rng: np.random.Generator) -> tuple[Material, ...]:
    """Draw the materials of a scene.

    The families come in a fixed order, so that any number of at least four has vegetation, soil, water and
    concrete. Among each further eight, one vegetation and one soil are drawn close to an earlier one, as two
    cereals or two neighbouring soils are.

    Args:
        count: number of materials, 4 to 32.
        wavelengths: float64 ``(bands,)``, band centres in nm, within 400-2500.
        rng: source of all random numbers; the first ``n`` of ``count`` materials are the same for every count.

    Returns:
        ``count`` materials with distinct names.

    Raises:
        ConfigError: the count or a wavelength is out of range.
    """
    low, high = MATERIALS_RANGE
    if not low <= count <= high:
        raise ConfigError(f"materials is {count}: expected a whole number from {low} to {high}")
    first, last = WAVELENGTH_RANGE
    if not bool(np.all((wavelengths >= first) & (wavelengths <= last))):
        raise ConfigError(
            f"wavelengths run from {wavelengths.min():g} to {wavelengths.max():g} nm: "
            f"the formulas hold from {first:g} to {last:g} nm"
        )
    position = 2 * (wavelengths - first) / (last - first) - 1
    drawn: list[dict[str, float]] = []
    made: list[Material] = []
    for index in range(count):
        family, sibling = _ORDER[index % len(_ORDER)]
        formula, ranges = _FAMILIES[family]
        near = None if sibling is None else drawn[index - index % len(_ORDER) + sibling]
        drawn.append({name: _draw(bounds, near[name] if near else None, rng) for name, bounds in ranges.items()})
        continuum, absorption = formula(wavelengths, drawn[-1])
        number = 1 + sum(m.family == family for m in made)
        made.append(Material(f"{family} {number}", family, continuum, absorption, position))
    return tuple(made)


def _draw(bounds: tuple[float, float], near: float | None, rng: np.random.Generator) -> float:
    """A value within ``bounds``; with ``near``, a quarter of the range to either side of it."""
    low, high = bounds
    place = rng.uniform()
    if near is None:
        return low + place * (high - low)
    away = _TWIN * (high - low) * (1 if place > 0.5 else -1)
    return near + (away if low <= near + away <= high else -away)
