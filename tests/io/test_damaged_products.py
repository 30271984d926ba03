"""Products that are damaged: never a traceback, and never values that the file does not hold."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import deliveries
import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import hsi_cd as hc
from hsi_cd.errors import HsiCdError
from hsi_cd.io import open_cube

Thing = TypeVar("Thing")
Spoil = Callable[[Path, np.random.Generator], None]
Held = tuple[dict[float, np.ndarray], Any]
"""What a product holds: values ``(rows, cols)`` by their wavelengths, and their grid."""

# --- What happens to files; each draws where and how ---


def one_of(rng: np.random.Generator, things: Sequence[Thing]) -> Thing:
    return things[int(rng.integers(0, len(things)))]


def parts(path: Path) -> list[Path]:
    return sorted(each for each in path.rglob("*") if each.is_file()) if path.is_dir() else [path]


def truncated(path: Path, rng: np.random.Generator) -> None:
    file = one_of(rng, parts(path))
    content = file.read_bytes()
    file.write_bytes(content[: int(rng.integers(0, len(content)))])


def lost(path: Path, rng: np.random.Generator) -> None:
    one_of(rng, parts(path)).unlink()


def garbled(path: Path, rng: np.random.Generator) -> None:
    file = one_of(rng, parts(path))
    content = bytearray(file.read_bytes())
    at = int(rng.integers(0, max(1, len(content) - 39)))
    content[at : at + 32] = rng.bytes(32)
    file.write_bytes(content)


def misstated(path: Path, rng: np.random.Generator) -> None:
    """A number of the metadata becomes none, or one that cannot be."""
    texts = [each for each in parts(path) if each.suffix.lower() in (".xml", ".txt", ".hdr")]
    value = one_of(rng, ["NaN", "inf", "-1", "0", "1e30", "", "x", "99999999"])
    if not texts:
        _misstated_in_hdf5(path, rng, value)
        return
    file = one_of(rng, texts)
    text = file.read_text()
    numbers = list(re.finditer(r"(?<=[>=,{ ])-?\d+\.?\d*(?=[<,}\n ])", text))
    one = one_of(rng, numbers)
    file.write_text(text[: one.start()] + value + text[one.end() :])


def _misstated_in_hdf5(path: Path, rng: np.random.Generator, value: str) -> None:
    if path.suffix not in (".he5", ".h5", ".nc"):
        return
    number = {"": 0.0, "x": -5.0}.get(value) if value in ("", "x") else float(value)
    with h5py.File(path, "r+") as file:
        found = [(file, name) for name in file.attrs if np.asarray(file.attrs[name]).dtype.kind in "if"]
        file.visititems(
            lambda _, each: found.extend(
                (each, n) for n in each.attrs if np.asarray(each.attrs[n]).dtype.kind in "if"
            )
        )
        if not found:
            return
        at, name = one_of(rng, found)
        told = np.array(at.attrs[name], dtype=np.float64)
        told.reshape(-1)[int(rng.integers(0, told.size))] = number
        at.attrs[name] = told


def unlisted(path: Path, rng: np.random.Generator) -> None:
    """An array or attribute of an HDF5 file goes, or an array is turned."""
    if path.is_dir() or path.suffix not in (".he5", ".h5", ".nc"):
        lost(path, rng)
        return
    with h5py.File(path, "r+") as file:
        names: list[str] = []
        file.visititems(lambda name, each: names.append(name) if isinstance(each, h5py.Dataset) else None)
        name = one_of(rng, names)
        values, told = file[name][()], dict(file[name].attrs)
        del file[name]
        if rng.random() < 0.5 and getattr(values, "ndim", 0) > 1:
            turned = file.create_dataset(name, data=np.moveaxis(values, 0, -1))
            turned.attrs.update(told)


SPOILS: dict[str, Spoil] = {
    "truncated": truncated, "lost": lost, "garbled": garbled, "misstated": misstated, "unlisted": unlisted
}  # fmt: skip


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
        there = ~np.isnan(found)
        np.testing.assert_array_equal(found[there], bands[centre][there])


@pytest.mark.quick("prisma")
@pytest.mark.parametrize("name", [name for name in deliveries.MAKERS if name != "hyperion"])  # too many files
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
