"""Products that are damaged: never a traceback, and never values that the file does not hold."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import deliveries
import numpy as np
import pytest
from damage import SPOILS
from hypothesis import given
from hypothesis import strategies as st

import hsi_cd as hc
from hsi_cd.errors import HsiCdError
from hsi_cd.io import open_cube

Held = tuple[dict[float, np.ndarray], Any]
"""What a product holds: values ``(rows, cols)`` by their wavelengths, and their grid."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Path, Held]]:
    """Makes a product of a kind, with what it holds, when it is first asked for; nobody writes there."""
    folder = tmp_path_factory.mktemp("whole")

    @functools.cache
    def make(name: str) -> tuple[Path, Held]:
        (folder / name).mkdir()
        path = deliveries.MAKERS[name](folder / name, 1)
        cube = open_cube(path)
        return path, (dict(zip(cube.bands.centres, cube.read(), strict=True)), cube.grid)

    return make


def is_true(cube: Any, held: Held, spoil: str) -> None:
    """Each value that is there is the original's, at its wavelength and its place.

    Where a number of the metadata, or bytes anywhere, became other ones, values are at least finite: a
    gain of another sensible size, and another colour of a pixel, cannot be told.
    """
    if cube.product is None:
        return  # of a damaged mark: it is read as any other file, or refused, as ever
    values, (bands, grid) = cube.read(), held
    known = ~np.isnan(values)
    assert np.isfinite(values[known]).all()
    assert list(cube.bands.centres) == sorted(set(cube.bands.centres))
    if spoil in ("misstated", "garbled"):
        return
    assert cube.grid.transform == grid.transform and cube.grid.crs == grid.crs
    for centre, found in zip(cube.bands.centres, values, strict=True):
        there, flawed = ~np.isnan(found), np.isnan(bands[centre])
        # Without PRISMA's error matrix nobody knows which values are flawed, which is told.
        assert not (there & flawed).any() or any("error matri" in told for told in cube.product.told)
        np.testing.assert_array_equal(found[there & ~flawed], bands[centre][there & ~flawed])


@pytest.mark.quick("prisma", "neon")
@pytest.mark.parametrize("name", list(deliveries.MAKERS))
@given(seed=st.integers(0, 2**32 - 1), spoil=st.sampled_from(sorted(SPOILS)))
def test_damage_ends_in_one_line_or_in_true_values(
    whole: Callable[[str], tuple[Path, Held]],
    tmp_path_factory: pytest.TempPathFactory,
    name: str,
    seed: int,
    spoil: str,
) -> None:
    path, held = whole(name)
    spoilt = deliveries.copied(path, tmp_path_factory.mktemp("spoilt"))
    SPOILS[spoil](spoilt, np.random.default_rng(seed))
    try:
        cube = open_cube(spoilt)
        is_true(cube, held, spoil)
        hc.open_pair(spoilt, path, allow_identical=True).t1.read()
    except HsiCdError as error:
        message = str(error)
        assert "\n" not in message and len(message) < 1500
