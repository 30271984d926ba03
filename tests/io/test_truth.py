import logging
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from PIL import Image
from rasterio.crs import CRS
from scipy.io import loadmat, savemat

from hsi_cd.errors import FormatError, GridError, LabelError, MissingInputError
from hsi_cd.io import MaskPair, infer_scheme, read_labels
from hsi_cd.io.raster import quiet_georeference
from hsi_cd.scene import Grid, LabelScheme

ZERO_ONE = LabelScheme(unchanged=(0,), changed=(1,))
ONE_TWO = LabelScheme(unchanged=(1,), changed=(2,))
TWO_ONE = LabelScheme(unchanged=(2,), changed=(1,))
ZERO_FULL = LabelScheme(unchanged=(0,), changed=(255,))
FIVE = LabelScheme(unchanged=(0,), changed=(1, 2, 3, 4, 5))
SIX = LabelScheme(unchanged=(7,), changed=(1, 2, 3, 4, 5, 6))

# (unchanged, changed, unlabelled)
REAL = [
    ("GT.mat", ZERO_ONE, (40_417, 18_383, 0)),
    ("GTChina.mat", ONE_TWO, (40_417, 18_383, 0)),
    ("GTChina1.mat", ONE_TWO, (44_723, 18_277, 0)),
    ("label.mat", ZERO_ONE, (44_723, 18_277, 0)),
    ("Rivergt.mat", ONE_TWO, (101_885, 9_698, 0)),
    ("groundtruth.mat", ZERO_FULL, (101_885, 9_698, 0)),
    ("SaGT.mat", TWO_ONE, (57_311, 16_676, 0)),
    ("hermiston390_label.mat", FIVE, (68_014, 9_986, 0)),
    ("wetland_multiclass.mat", FIVE, (70_442, 24_158, 0)),
    ("irrigated_multiclass.mat", SIX, (30_579, 9_921, 0)),
]


def image(path: Path, *bands: list[list[int]], driver: str = "GTiff", **options: object) -> Path:
    values = np.array(bands, dtype=options.pop("dtype", np.uint8))
    count, rows, cols = values.shape
    profile = {"driver": driver, "count": count, "height": rows, "width": cols, "dtype": values.dtype.name}
    with quiet_georeference(), rasterio.open(path, "w", **(profile | options)) as dataset:
        dataset.write(values)
    return path


@pytest.mark.parametrize(("name", "scheme", "counts"), REAL)
def test_real_truths_have_their_counts(shared: Path, name: str, scheme: LabelScheme, counts: tuple) -> None:
    path = shared / "truth" / name
    labels = read_labels(path, scheme=scheme)
    assert labels.counts() == counts
    stored = next(v for k, v in loadmat(path).items() if not k.startswith("_"))
    np.testing.assert_array_equal(labels.values == 1, np.isin(stored, scheme.changed))


@pytest.mark.parametrize(("name", "scheme", "counts"), REAL)
def test_kinds_of_change_are_kept(shared: Path, name: str, scheme: LabelScheme, counts: tuple) -> None:
    labels = read_labels(shared / "truth" / name, scheme=scheme)
    if len(scheme.changed) == 1:
        assert labels.kinds is None
        return
    assert labels.kinds is not None
    stored = next(v for k, v in loadmat(shared / "truth" / name).items() if not k.startswith("_"))
    changed = labels.values == 1
    np.testing.assert_array_equal(labels.kinds[changed], stored[changed])
    assert set(np.unique(labels.kinds[changed])) == set(scheme.changed)
    assert sum(int((labels.kinds[changed] == kind).sum()) for kind in scheme.changed) == counts[1]


@pytest.mark.parametrize("twins", [("GT.mat", "GTChina.mat"), ("GTChina1.mat", "label.mat"),
                                   ("groundtruth.mat", "Rivergt.mat")])  # fmt: skip
def test_the_same_truth_in_two_encodings_is_one(shared: Path, twins: tuple[str, str]) -> None:
    one, two = (read_labels(shared / "truth" / name) for name in twins)
    np.testing.assert_array_equal(one.values, two.values)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0, 1], [0, 1]),
        ([0, 1, 255], [0, 1, 255]),
        ([0, 255], [0, 1]),
        ([1, 2], [0, 1]),
        ([0, 1, 2], [255, 0, 1]),
    ],
)
@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.float64])
def test_encodings_that_are_told_from_the_values(values: list[int], expected: list[int], dtype: type) -> None:
    stored = np.array([values, values[::-1]], dtype=dtype)
    assert infer_scheme(stored).encode(stored).tolist() == [expected, expected[::-1]]


@pytest.mark.parametrize(
    "values",
    [[0], [1], [2], [255], [0, 2], [1, 255], [0, 1, 2, 3], [1, 2, 255], [0, 0.5, 1], [-1, 0, 1], [np.nan, 0, 1]],
)
def test_other_values_are_refused_with_their_counts(values: list[float]) -> None:
    with pytest.raises(LabelError, match=r"mine: label values .*\(2 pixels\).*expected 0 unchanged, 1 changed"):
        infer_scheme(np.array([values, values]), name="mine")


def test_logical_truths_are_zero_one(tmp_path: Path) -> None:
    savemat(tmp_path / "t.mat", {"t": np.eye(3, dtype=bool)})
    assert read_labels(tmp_path / "t.mat").counts() == (6, 3, 0)


def test_one_two_is_announced(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        infer_scheme(np.array([1, 2]), name="GT.mat")
    assert "GT.mat is read as 1 unchanged, 2 changed" in caplog.text


def test_a_declared_scheme_is_checked(tmp_path: Path) -> None:
    path = image(tmp_path / "t.tif", [[0, 1], [2, 2]])
    with pytest.raises(LabelError, match=r"t\.tif: unexpected label values 2 \(2 pixels\): expected 0 unchanged"):
        read_labels(path, scheme=ZERO_ONE)


@pytest.mark.parametrize(("driver", "name"), [("GTiff", "t.tif"), ("PNG", "t.png"), ("BMP", "t.bmp")])
def test_pictures_are_truths(tmp_path: Path, driver: str, name: str) -> None:
    path = image(tmp_path / name, [[0, 255, 0], [255, 255, 0]], driver=driver)
    assert read_labels(path).values.tolist() == [[0, 1, 0], [1, 1, 0]]


def test_pictures_as_editors_save_them(tmp_path: Path) -> None:
    grey = Image.fromarray(np.array([[0, 255], [255, 255]], dtype=np.uint8))
    for mode in ("RGB", "RGBA", "LA"):
        grey.convert(mode).save(tmp_path / "t.png")
        assert read_labels(tmp_path / "t.png").counts() == (1, 3, 0)
    Image.fromarray(np.array([[[255, 0, 0], [0, 255, 0]]], dtype=np.uint8)).save(tmp_path / "c.png")
    with pytest.raises(FormatError, match="3 bands that differ"):
        read_labels(tmp_path / "c.png")


def test_declared_no_data_is_never_a_class(tmp_path: Path) -> None:
    path = image(tmp_path / "a.tif", [[0, 1, 255]], nodata=255)
    assert read_labels(path).values.tolist() == [[0, 1, 255]]
    # 0 and 255 alone would be unchanged and changed, were 255 not declared.
    with pytest.raises(LabelError, match="without 2 pixels of its no-data value 255"):
        read_labels(image(tmp_path / "b.tif", [[0, 255, 255]], nodata=255))
    with pytest.raises(LabelError, match="without 1 pixels of its no-data value 0"):
        read_labels(image(tmp_path / "c.tif", [[0, 1, 1]], nodata=0))
    path = image(tmp_path / "d.tif", [[1, 2, -9999]], nodata=-9999, dtype=np.int16)
    assert read_labels(path).values.tolist() == [[0, 1, 255]]
    path = image(tmp_path / "e.tif", [[0, 1, np.nan]], nodata=np.nan, dtype=np.float32)
    assert read_labels(path).values.tolist() == [[0, 1, 255]]
    # A scheme that was declared for the file knows better than its no-data value.
    path = image(tmp_path / "f.tif", [[0, 1, 1]], nodata=0)
    assert read_labels(path, scheme=ZERO_ONE).values.tolist() == [[0, 1, 1]]


def test_masks(tmp_path: Path) -> None:
    changed = image(tmp_path / "change.bmp", [[255, 0, 0]], driver="BMP")
    unchanged = image(tmp_path / "unchanged.bmp", [[0, 255, 0]], driver="BMP")
    assert read_labels(MaskPair(changed, unchanged)).values.tolist() == [[1, 0, 255]]
    with pytest.raises(LabelError, match=r"1 pixels are both in change\.bmp and change\.bmp"):
        read_labels(MaskPair(changed, changed))
    with pytest.raises(GridError, match=r"1 x 3 pixels but other\.bmp has 1 x 2"):
        read_labels(MaskPair(changed, image(tmp_path / "other.bmp", [[0, 255]], driver="BMP")))
    with pytest.raises(LabelError, match=r"soft\.tif: a mask has zero and one other value"):
        read_labels(MaskPair(image(tmp_path / "soft.tif", [[255, 254, 0]]), unchanged))
    with pytest.raises(MissingInputError, match=r"nochange\.bmp does not exist"):
        read_labels(MaskPair(tmp_path / "nochange.bmp", unchanged))


def test_a_cube_is_no_truth(tmp_path: Path) -> None:
    savemat(tmp_path / "a.mat", {"x": np.zeros((3, 3, 3)), "list": np.zeros((1, 9)), "n": 3.0})
    with pytest.raises(FormatError, match="no 2-D array of numbers"):
        read_labels(tmp_path / "a.mat")
    with pytest.raises(FormatError, match="2 bands that differ"):
        read_labels(image(tmp_path / "a.tif", [[0, 1]], [[1, 0]]))
    with pytest.raises(FormatError, match="a key"):
        read_labels(image(tmp_path / "b.tif", [[0, 1]]), key="x")


def test_a_truth_keeps_its_place(tmp_path: Path) -> None:
    place = {"crs": "EPSG:32651", "transform": Affine(30, 0, 2e5, 0, -30, 3.6e6)}
    labels = read_labels(image(tmp_path / "a.tif", [[0, 1, 1]], **place))
    assert labels.grid == Grid(1, 3, CRS.from_epsg(32651), place["transform"])
    assert read_labels(image(tmp_path / "b.tif", [[0, 1, 1]])).grid == Grid(1, 3)
    moved = place | {"transform": place["transform"] @ Affine.translation(2, 0)}
    changed = image(tmp_path / "c.tif", [[1, 0, 0]], **place)
    with pytest.raises(GridError, match="differ by up to 2 pixels: give masks of one scene"):
        read_labels(MaskPair(changed, image(tmp_path / "d.tif", [[0, 1, 0]], **moved)))
    masks = read_labels(MaskPair(changed, image(tmp_path / "e.tif", [[0, 1, 0]], **place)))
    assert masks.grid == labels.grid


def test_a_value_declared_twice_is_refused() -> None:
    with pytest.raises(LabelError, match="label value 1 is declared twice"):
        LabelScheme(unchanged=(0, 1), changed=(1, 2))
