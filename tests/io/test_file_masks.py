"""Where a file says, other than by a number, that it holds nothing: masks, alpha bands, values of each band."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.enums import ColorInterp
from rasterio.io import MemoryFile

import hsi_cd as hc
from hsi_cd.errors import FormatError
from hsi_cd.io import open_cube, read_labels
from hsi_cd.io.file_masks import FileMasks
from hsi_cd.io.kinds import file_kind
from hsi_cd.io.raster import quiet_georeference
from hsi_cd.io.raster_cubes import open_raster_cube
from hsi_cd.scene import Cube, cube_from_array

ROWS, COLS = 12, 10
HIDDEN = np.zeros((ROWS, COLS), dtype=bool)
HIDDEN[:, :3] = True
HIDDEN[5, 7] = True
MASK = np.where(HIDDEN, 0, 255).astype(np.uint8)
PLACE = {"crs": "EPSG:32633", "transform": Affine(20, 0, 400000, 0, -20, 5800000)}
GRAY, ALPHA, OTHER = ColorInterp.gray, ColorInterp.alpha, ColorInterp.undefined


def spectra(bands: int = 5, dtype: str = "uint8") -> np.ndarray:
    """Values that are no fill, under the mask as well."""
    return np.random.default_rng(0).integers(20, 200, (bands, ROWS, COLS)).astype(dtype)


def write(
    path: Path,
    values: np.ndarray,
    *,
    mask: np.ndarray | None = None,
    beside: bool = False,
    uses: list[ColorInterp] | None = None,
    **profile: object,
) -> Path:
    given = {"driver": "GTiff", "dtype": values.dtype.name, "count": len(values)}
    size = {"height": values.shape[1], "width": values.shape[2]}
    with (
        quiet_georeference(),
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=not beside),
        rasterio.open(path, "w", **(given | size | PLACE | profile)) as file,
    ):
        if uses:
            file.colorinterp = uses
        for band in range(1, len(values) + 1):
            file.set_band_description(band, f"b{band}")
        file.write(values)
        if mask is not None:
            file.write_mask(mask)
    return path


def with_alpha(place: int) -> tuple[np.ndarray, list[ColorInterp]]:
    uses = [GRAY, *[OTHER] * 4]
    uses.insert(place, ALPHA)
    return np.insert(spectra(), place, MASK, axis=0), uses


def test_a_mask_in_the_file_and_one_beside_it(tmp_path: Path) -> None:
    for name, profile in (
        ("inside.tif", {}),
        ("beside.tif", {"beside": True}),
        ("scene.bsq", {"beside": True, "driver": "ENVI"}),
    ):
        cube = open_cube(write(tmp_path / name, spectra(), mask=MASK, **profile))
        assert (tmp_path / f"{name}.msk").exists() == bool(profile)
        check(pickle.loads(pickle.dumps(cube)), spectra())  # noqa: S301 - it was made here
        assert cube.marks == "the file's mask"
        part = cube.read(slice(3, 9), slice(2, 8))
        np.testing.assert_array_equal(np.isnan(part[0]), HIDDEN[3:9, 2:8])


def check(cube: Cube, values: np.ndarray) -> None:
    expected = values.astype(np.float32)
    expected[:, HIDDEN] = np.nan
    np.testing.assert_array_equal(cube.read(), expected)


@pytest.mark.parametrize("place", [0, 2, 5])
def test_an_alpha_band_is_no_band_of_the_image_wherever_it_stands(tmp_path: Path, place: int) -> None:
    values, uses = with_alpha(place)
    path = write(tmp_path / "a.tif", values, uses=uses)
    with rasterio.open(path) as file:
        assert file.colorinterp[place] == ALPHA
    cube = open_cube(path)
    check(cube, spectra())
    assert cube.bands.names == tuple(f"b{i + 1}" for i in range(6) if i != place)
    assert (cube.dtype, cube.marks) == (np.uint8, f"alpha band {place + 1}")


def test_an_alpha_band_that_is_not_marked_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    values = np.insert(spectra(3, "uint16"), 3, MASK.astype(np.uint16) * 257, axis=0)
    path = write(tmp_path / "a.tif", values, photometric="RGB")
    with rasterio.open(path) as file:
        assert ALPHA not in file.colorinterp
    check(open_cube(path), spectra(3, "uint16"))
    (record,) = caplog.records
    assert "band 4 holds nothing but 0 and 65535: it is taken as an alpha band" in record.message


def test_near_infrared_that_software_marks_as_alpha_stays(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write(tmp_path / "nir.tif", spectra(4))
    with rasterio.open(path) as file:
        assert file.colorinterp[3] == ALPHA  # GDAL's own choice for four bands of 8 bits
    np.testing.assert_array_equal(open_cube(path).read(), spectra(4).astype(np.float32))
    assert "band 4 is marked as alpha (transparency), but holds measured values" in caplog.text
    caplog.clear()
    plain = write(tmp_path / "plain.tif", spectra(4), photometric="MINISBLACK")
    np.testing.assert_array_equal(open_cube(plain).read(), spectra(4).astype(np.float32))
    assert not caplog.records


def test_a_mask_and_a_value_both_hide(tmp_path: Path) -> None:
    values = spectra()
    values[2, 8, 8] = 7
    read = open_cube(write(tmp_path / "m.tif", values, mask=MASK, nodata=7)).read()
    assert np.isnan(read[2, 8, 8]) and np.isnan(read).sum() == 5 * HIDDEN.sum() + 1


def test_a_value_for_each_band(tmp_path: Path) -> None:
    """``NODATA_VALUES`` hides where all bands hold theirs; a band's own value hides that band alone."""
    values = spectra(2)
    values[:, HIDDEN] = [[9], [11]]
    values[0, 0, 9] = 9
    path = write(tmp_path / "v.tif", values)
    with rasterio.open(path, "r+") as file:
        file.update_tags(NODATA_VALUES="9 11")
    check(open_cube(path), values)
    band = (
        '<VRTRasterBand dataType="Byte" band="{0}"><NoDataValue>{1}</NoDataValue><SimpleSource><SourceFilename>{2}'
    )
    band += "</SourceFilename><SourceBand>{0}</SourceBand></SimpleSource></VRTRasterBand>"
    bands = "".join(band.format(i, value, path) for i, value in ((1, 9), (2, 11)))
    text = f'<VRTDataset rasterXSize="{COLS}" rasterYSize="{ROWS}">{bands}</VRTDataset>'
    with quiet_georeference(), rasterio.open(text) as file:
        assert file.nodatavals == (9, 11)
        read = hc.open_pair(file, file).t1.read()
    expected = HIDDEN.copy()
    expected[0, 9] = True
    np.testing.assert_array_equal(np.isnan(read), [expected, HIDDEN])


def test_a_stack_keeps_the_mask_of_each_file(tmp_path: Path) -> None:
    values = spectra(2)
    paths = [write(tmp_path / "a.tif", values[:1], mask=MASK), write(tmp_path / "b.tif", values[1:], nodata=150)]
    read = open_cube(paths).read()
    np.testing.assert_array_equal(np.isnan(read), [HIDDEN, values[1] == 150])
    fine = np.repeat(np.repeat(values[1:], 2, axis=1), 2, axis=2)
    finer = {"transform": PLACE["transform"] @ Affine.scale(0.5)}
    paths[1] = write(tmp_path / "fine.tif", fine, **finer)
    cube = open_cube(paths, resample=True)
    hidden = np.isnan(cube.read())
    np.testing.assert_array_equal(hidden[0], np.kron(HIDDEN, np.ones((2, 2), bool)))
    assert not hidden[1].any()
    np.testing.assert_array_equal(np.isnan(cube.read(slice(4, 13), slice(3, 9))), hidden[:, 4:13, 3:9])


def of_memory_file(values: np.ndarray) -> Cube:
    with MemoryFile() as memory:
        with memory.open(driver="GTiff", count=5, height=ROWS, width=COLS, dtype="uint8", **PLACE) as file:
            file.write(values)
            file.write_mask(MASK)
        with memory.open() as file:
            cube = hc.open_pair(file, values).t1
            return cube_from_array(cube.reader(slice(0, ROWS), slice(0, COLS)))


@pytest.mark.parametrize(
    "make",
    [
        of_memory_file,
        lambda values: hc.open_pair(np.ma.array(values, mask=np.broadcast_to(HIDDEN, values.shape)), values).t1,
    ],
)
def test_in_memory(make: Callable[[np.ndarray], Cube]) -> None:
    check(make(spectra()), spectra())


def test_a_truth_is_unlabelled_where_its_file_hides_it(tmp_path: Path) -> None:
    truth = (spectra(1) > 100).astype(np.uint8)
    masked = write(tmp_path / "mask.tif", truth, mask=MASK)
    transparent = write(
        tmp_path / "alpha.png", np.concatenate([truth, MASK[None]]), driver="PNG", uses=[GRAY, ALPHA]
    )
    for path in (masked, transparent):
        expected = np.where(HIDDEN, 255, truth[0])
        np.testing.assert_array_equal(read_labels(path).values, expected)


def test_an_alpha_band_alone_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", np.stack([MASK, MASK]), uses=[ALPHA, ALPHA])
    with rasterio.open(path) as file:
        assert set(file.colorinterp) == {ALPHA}
    with pytest.raises(FormatError, match=r"no bands but alpha bands: expected an image"):
        open_cube(path)


@pytest.mark.parametrize("interleave", ["pixel", "band"])
@pytest.mark.parametrize("keep", [1 << 20, 1])
def test_masks_are_kept_with_the_blocks_and_decoded_once(
    tmp_path: Path, interleave: str, keep: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one block that holds the whole image, kept in memory or, where that is short, in a temporary file."""
    values, uses = with_alpha(2)
    layout = {"compress": "deflate", "blockysize": ROWS, "interleave": interleave}
    paths = [
        write(tmp_path / "mask.tif", spectra(), mask=MASK, **layout),
        write(tmp_path / "alpha.tif", values, uses=uses, **layout),
    ]
    decoded: list[object] = []
    hidden = FileMasks._hidden
    monkeypatch.setattr(FileMasks, "_hidden", lambda *args, **how: decoded.append(args[2]) or hidden(*args, **how))
    for path in paths:
        cube = open_raster_cube(path, file_kind(path), name="scene", keep=keep)
        decoded.clear()
        parts = [cube.read(slice(row, row + 3)) for row in range(0, ROWS, 3)]
        check(cube_from_array(np.concatenate(parts, axis=1)), spectra())
        assert len(decoded) == 1
