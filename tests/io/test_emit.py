"""EMIT L2A: the swath on the ground as its own table says, against a reader that shares nothing with ours."""

from __future__ import annotations

import pickle
import re
from pathlib import Path

import deliveries
import emit_granules as granules
import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hsi_cd as hc
from hsi_cd.errors import FormatError, HsiCdError
from hsi_cd.io import open_cube
from hsi_cd.io.products import find_product

ASCENDING, DESCENDING = granules.ASCENDING, granules.DESCENDING
CLOUD = deliveries.plane(deliveries.CLOUD)[0] != 0
ONE, TWO = "EMIT_L2A_RFL_001_20230820T161428_1_010.nc", "EMIT_L2A_RFL_001_20240901T161428_2_010.nc"


def make(folder: Path, date: int = 1, **more: object) -> Path:
    ground = deliveries.ground(granules.WAVES, date).astype(np.float32)
    day = ("2023-08-20", "2024-09-01")[date - 1]
    return granules.granule(folder / (ONE, TWO)[date - 1], ground, day, padding=deliveries.padding(), **more)


def hidden(cube: object) -> np.ndarray:
    return np.isnan(cube.read()).all(axis=0)  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("emit"), cloud=CLOUD)


def as_read(path: Path) -> None:
    cube, other = open_cube(path), granules.read(path)
    np.testing.assert_array_equal(cube.read(), other.values.transpose(2, 0, 1))  # to the last bit
    np.testing.assert_allclose(cube.bands.centres, other.waves, atol=0.01)
    assert cube.grid.crs.to_epsg() == 4326
    np.testing.assert_allclose(cube.grid.transform.to_gdal(), other.place, atol=1e-6 * other.place[1])
    assert cube.product.title == "EMIT L2A" and cube.acquired[:4] in ("2023", "2024")


@pytest.mark.parametrize("orbit", [ASCENDING, DESCENDING])
def test_the_ground_is_what_the_table_says(tmp_path: Path, orbit: object) -> None:
    path = make(tmp_path, orbit=orbit, cloud=CLOUD)
    as_read(path)
    cube = open_cube(path)
    assert len(cube.bands.fwhm) == cube.bands.count == granules.GOOD.sum()
    assert cube.product.told == (f"{(~granules.GOOD).sum()} bands that good_wavelengths calls bad",)
    m = orbit.margin  # type: ignore[attr-defined]
    inner = cube.read()[:, m : m + deliveries.ROWS, m : m + deliveries.COLS]
    unseen = deliveries.padding()
    unseen[5, 7] = True  # -9999
    ground = deliveries.ground(granules.WAVES, 1).astype(np.float32)[granules.GOOD]
    np.testing.assert_array_equal(inner, np.where(unseen, np.nan, ground))


def test_the_shared_miniatures(shared: Path) -> None:
    found = sorted((shared / "products").glob("EMIT_L2A_RFL*.nc"))
    if len(found) != 2:
        pytest.skip("no miniatures of EMIT in ../shared")
    for path in found:
        as_read(path)
    first, second = (granules.read(path) for path in found)
    pair = hc.open_pair(*found)
    np.testing.assert_array_equal(pair.t2.read(), granules.on_grid_of(second, first).transpose(2, 0, 1))


@settings(max_examples=10)
@given(row=st.integers(0, 34), col=st.integers(0, 46), high=st.integers(1, 9), wide=st.integers(1, 12))
def test_a_window_is_part_of_the_whole(made: Path, row: int, col: int, high: int, wide: int) -> None:
    cube = pickle.loads(pickle.dumps(open_cube(made)))  # noqa: S301 - its own
    rows, cols = slice(row, min(row + high, cube.grid.rows)), slice(col, min(col + wide, cube.grid.cols))
    np.testing.assert_array_equal(cube.read(rows, cols), cube.read()[:, rows, cols])
    mask = next(each for each in cube.product.masks if each.name == "cloud")
    np.testing.assert_array_equal(mask.reader(rows, cols), (CLOUD & ~deliveries.padding())[rows, cols])


# --- Two dates ---


def test_opposite_orbits_are_equal_orbits(tmp_path: Path) -> None:
    first = make(tmp_path)
    equal, opposite = (tmp_path / name for name in ("equal", "opposite"))
    for folder, orbit in ((equal, ASCENDING), (opposite, DESCENDING)):
        folder.mkdir()
        make(folder, 2, orbit=orbit)
    with h5py.File(equal / TWO) as one, h5py.File(opposite / TWO) as other:
        assert one["reflectance"].shape != other["reflectance"].shape
    pairs = [hc.open_pair(first, folder / TWO) for folder in (equal, opposite)]
    np.testing.assert_array_equal(pairs[0].t2.read(), pairs[1].t2.read())
    assert pairs[1].grid == pairs[0].grid and np.isfinite(pairs[1].t2.read()).mean() > 0.9


@pytest.mark.parametrize("shift", [0.3, -0.45, 7.6])
def test_another_grid_takes_values_as_they_were_measured(tmp_path: Path, shift: float) -> None:
    first, second = make(tmp_path), make(tmp_path, 2, orbit=DESCENDING, shift=shift)
    pair = hc.open_pair(first, second)
    expected = granules.on_grid_of(granules.read(second), granules.read(first))
    np.testing.assert_array_equal(pair.t2.read(), expected.transpose(2, 0, 1))
    assert second.absolute() in pair.files


# --- Masks ---


def test_the_mask_beside_it_is_used(made: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    second = make(tmp_path, 2, orbit=DESCENDING, cloud=CLOUD)
    pair = hc.open_pair(made, second)
    # Of the cloud's 24 pixels, in 48 x 36 and, with the margin, 54 x 42.
    assert "1.39 % of its pixels are left out by its masks (cloud 1.39 %)" in caplog.text
    for cube, alone in ((pair.t1, made), (pair.t2, second)):
        bare = hc.open_pair(made, alone, mask="none", allow_identical=True).t2
        np.testing.assert_array_equal(hidden(cube), hidden(bare) | CLOUD)
    assert hidden(hc.open_pair(made, second, mask="water").t1).all()


def test_a_mask_of_another_granule_is_not_taken(
    made: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for path in made.parent.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    mask = tmp_path / "another_mask.nc"
    (tmp_path / ONE.replace("RFL", "MASK")).rename(mask)
    with h5py.File(mask, "r+") as file:
        file.attrs["time_coverage_start"] = "2023-08-21T16:14:28+0000"
    cube = open_cube(tmp_path / ONE)
    assert not cube.product.masks and "the mask of its granule (EMIT_L2A_MASK, of 2023-08-20T16" in caplog.text


@pytest.mark.parametrize("spoilt", ["truncated", "of another time"])
def test_a_damaged_mask_is_named(made: Path, tmp_path: Path, spoilt: str) -> None:
    for path in made.parent.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    mask = tmp_path / ONE.replace("RFL", "MASK")
    if spoilt == "truncated":
        mask.write_bytes(mask.read_bytes()[:5000])
    else:
        with h5py.File(mask, "r+") as file:
            file.attrs["time_coverage_start"] = "2023-08-21T16:14:28+0000"
    second = make(tmp_path, 2)
    said = rf"{mask.name} \(whole, of the same time\) is missing, the product's mask of cloud.*mask='none'"
    with pytest.raises(FormatError, match=said):
        hc.open_pair(tmp_path / ONE, second)
    assert np.isfinite(hc.open_pair(tmp_path / ONE, second, mask="none").t1.read()).any()


def test_a_mask_without_a_time_is_found_by_its_name(made: Path, tmp_path: Path) -> None:
    for path in made.parent.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    with h5py.File(tmp_path / ONE.replace("RFL", "MASK"), "r+") as file:
        del file.attrs["time_coverage_start"], file["location"]
    assert open_cube(tmp_path / ONE).product.mask_names == ("cloud", "cirrus", "water", "spacecraft")


def test_flags_are_found_by_their_names(made: Path, tmp_path: Path) -> None:
    """Version 2 has other planes; a file that names none has those of version 1."""
    for path in made.parent.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    mask = tmp_path / ONE.replace("RFL", "MASK")
    expected = CLOUD & ~deliveries.padding()
    with h5py.File(mask, "r+") as file:
        del file["sensor_band_parameters/mask_bands"]
    whole = (slice(0, deliveries.ROWS), slice(0, deliveries.COLS))
    np.testing.assert_array_equal(open_cube(tmp_path / ONE).product.masks[0].reader(*whole), expected)
    with h5py.File(mask, "r+") as file:
        planes = file["mask"][...][..., ::-1]
        file["mask"][...] = planes
        names = np.array(granules.FLAGS[::-1], dtype=h5py.string_dtype())
        file["sensor_band_parameters/mask_bands"] = names
    cube = open_cube(tmp_path / ONE)
    assert cube.product.mask_names == ("cloud", "cirrus", "water", "spacecraft")
    np.testing.assert_array_equal(cube.product.masks[0].reader(*whole), expected)


# --- What is found, and what is refused ---


def test_a_folder_is_its_granule(made: Path, tmp_path: Path) -> None:
    assert find_product(made.parent).place == find_product(made).place
    np.testing.assert_array_equal(open_cube(made.parent).read(slice(3, 5)), open_cube(made).read(slice(3, 5)))
    mask = made.with_name(ONE.replace("RFL", "MASK"))
    with pytest.raises(FormatError, match=r"is the mask .*: name its image \(EMIT_L2A_RFL\)"):
        open_cube(mask)
    for date in (1, 2):
        make(tmp_path, date)
    with pytest.raises(FormatError, match="holds 2 EMIT granules: name one"):
        open_cube(tmp_path)


def test_radiance_is_refused_with_what_to_order(tmp_path: Path) -> None:
    path = make(tmp_path)
    with h5py.File(path, "r+") as file:
        file.move("reflectance", "radiance")
    with pytest.raises(FormatError, match=r"is EMIT L1B, at-sensor radiance.*order the same granule as EMIT L2A"):
        open_cube(path)


def _set(file: h5py.File, name: str, values: object) -> None:
    if name in file:
        del file[name]
    file[name] = values


def _table_changed(file: h5py.File, axis: str, value: int) -> None:
    file[f"location/glt_{axis}"][10, 20] = value


FAULTS = {
    "beyond": (lambda f: _table_changed(f, "x", 60), "glt_x points to 60: expected 1 to 49"),
    "negative": (lambda f: _table_changed(f, "y", -3), "glt_y points to -3"),
    "half": (lambda f: _table_changed(f, "y", 0), "do not point to pixels at the same places"),
    "empty": (lambda f: [_set(f, f"location/glt_{a}", np.zeros((36, 48), "i4")) for a in "xy"], "do not point"),
    "other shape": (lambda f: _set(f, "location/glt_x", np.ones((4, 5), "i4")), "no whole numbers of one shape"),
    "no numbers": (lambda f: _set(f, "location/glt_x", np.full((36, 48), np.nan)), "no whole numbers"),
    "mirrored": (lambda f: _set(f, "location/glt_x", np.where((x := f["location/glt_x"][...]) > 0, 49 - x, 0)),
                 r"lookup table puts pixels [\d.]+ pixels off"),
    "moved": (lambda f: f.attrs.__setitem__("geotransform", [14, 5e-4, 0, 52.4, 0, -5e-4]), "pixels off"),
    "NaN": (lambda f: f.attrs.__setitem__("geotransform", [13, np.nan, 0, 52.4, 0, -5e-4]), "no list of six"),
    "no place": (lambda f: f.attrs.__delitem__("geotransform"), "lacks the attribute geotransform"),
    "upside down": (lambda f: f.attrs.__setitem__("geotransform", [13, 5e-4, 0, 52.4, 0, 5e-4]), "upright grid"),
    "off the earth": (lambda f: f.attrs.__setitem__("geotransform", [13, 5e-4, 0, 5e6, 0, -5e-4]), "upright grid"),
    "no CRS": (lambda f: f.attrs.__setitem__("spatial_ref", "nonsense"), "its CRS 'nonsense' is not understood"),
    "swapped": (lambda f: _set(f, "reflectance", f["reflectance"][...].transpose(1, 0, 2)), "its latitudes 51"),
    "bands first": (lambda f: _set(f, "reflectance", f["reflectance"][...].transpose(2, 0, 1)), "but 60 wave"),
    "few waves": (lambda f: _set(f, "sensor_band_parameters/wavelengths", np.ones(9)), "60 bands .* but 9"),
    "NaN wave": (lambda f: f["sensor_band_parameters/wavelengths"].__setitem__(3, np.nan), "band 4 is nan"),
    "flags": (lambda f: f["sensor_band_parameters/good_wavelengths"].__setitem__(3, 7), "holds 7: expected"),
    "no flags": (lambda f: f.__delitem__("sensor_band_parameters/good_wavelengths"), "good_wavelengths"),
    "places": (lambda f: _set(f, "location/lat", np.zeros((3, 3))), "latitudes 3 x 3"),
}  # fmt: skip


@pytest.mark.parametrize("fault", list(FAULTS))
def test_what_is_damaged_is_refused(made: Path, tmp_path: Path, fault: str) -> None:
    path = tmp_path / ONE
    path.write_bytes(made.read_bytes())
    spoil, said = FAULTS[fault]
    with h5py.File(path, "r+") as file:
        spoil(file)
    with pytest.raises(FormatError, match=said) as caught:
        open_cube(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("share", [0.05, 0.4, 0.8, 0.99])
def test_what_is_truncated_is_refused(made: Path, tmp_path: Path, share: float) -> None:
    path = tmp_path / ONE
    path.write_bytes(made.read_bytes()[: int(made.stat().st_size * share)])
    with pytest.raises(HsiCdError) as caught:
        open_cube(path).read()
    assert "\n" not in str(caught.value) and str(path) in str(caught.value)


# --- What the page on inputs says ---

PAGE = (Path(__file__).parents[2] / "docs" / "inputs.md").read_text(encoding="utf-8")


def test_the_line_of_the_page_is_true(made: Path) -> None:
    (line,) = re.findall(r"^\| EMIT L2A \| (.*) \|$", PAGE, flags=re.MULTILINE)
    opens, read, masks, checked = line.split(" | ")
    told, asked = re.fullmatch(r"of `EMIT_L2A_MASK` beside it: (.*) \((\w+)\)", masks).groups()
    own = {mask.name: mask.hides for mask in open_cube(made).product.masks}
    assert own == dict.fromkeys(told.split(", "), True) | {asked: False}
    assert (
        opens == "the `EMIT_L2A_RFL` file, folder, zip, tar"
        and checked == "miniature"
        and "`good_wavelengths`" in read
    )
