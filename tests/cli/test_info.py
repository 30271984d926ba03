"""hsi-cd info: what it says of files is what independent readers find in them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyogrio.raw
import pytest
import rasterio
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scipy.io import loadmat, savemat

from hsi_cd.datasets.simulated.simulation_files import PairFiles
from hsi_cd.io.inspect import Part, blocks_of, summarise
from hsi_cd.io.raster import quiet_georeference
from hsi_cd.scene import cube_from_array


@pytest.fixture
def say(cli: Any, capsys: pytest.CaptureFixture[str]) -> Any:
    """The text that ``hsi-cd info`` prints; with ``--json``, what it holds."""

    def run(*words: object) -> Any:
        capsys.readouterr()
        code = cli("info", *words)
        out, err = capsys.readouterr()
        assert (code, err) == (0, "")
        return json.loads(out) if "--json" in words else out

    return run


def tiff(path: Path, values: np.ndarray, **profile: object) -> Path:
    count, rows, cols = values.shape
    base = {"driver": "GTiff", "count": count, "height": rows, "width": cols, "dtype": values.dtype.name}
    with quiet_georeference(), rasterio.open(path, "w", **(base | profile)) as file:
        file.write(values)
    return path


# --- The pass over the values ---


@given(rows=st.integers(1, 700), cols=st.integers(1, 700), bands=st.integers(1, 900))
def test_blocks_cover_each_pixel_once_in_bounded_memory(rows: int, cols: int, bands: int) -> None:
    seen = np.zeros((rows, cols), np.uint8)
    for row, col in blocks_of(rows, cols, bands):
        seen[row, col] += 1
        assert (row.stop - row.start) * (col.stop - col.start) * bands * 4 <= 32 << 20
    assert (seen == 1).all()


@pytest.mark.parametrize("shape", [(4, 5, 6), (3, 40, 3000), (1, 2500, 7)])
def test_a_summary_is_what_numpy_finds(shape: tuple[int, int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hsi_cd.io.inspect._BLOCK_BYTES", 20_000)  # many blocks
    random = np.random.default_rng(3)
    values = random.integers(1, 15, shape).astype(np.float32)
    values[random.random(shape) < 0.1] = np.nan
    values[:, 0, :2] = np.nan
    found = summarise(Part(cube_from_array(values), is_map=False))
    assert (found.low, found.high) == (np.nanmin(values), np.nanmax(values))
    assert found.missing == pytest.approx(np.isnan(values).mean())
    assert found.empty == pytest.approx(np.isnan(values).all(axis=0).mean())
    step = -(-max(shape[1:]) // 1000)
    shown = [0, 1, 2] if shape[0] >= 3 else [0]  # of few bands that tell no wavelength, the first ones
    np.testing.assert_array_equal(found.quick, values[shown, ::step, ::step])
    counted = summarise(Part(cube_from_array(values[:1]), is_map=True)).counts
    labels, numbers = np.unique(values[0][np.isfinite(values[0])], return_counts=True)
    assert counted == dict(zip(labels.astype(int).tolist(), numbers.tolist(), strict=True))


def test_dead_bands_and_images_of_nothing() -> None:
    values = np.random.default_rng(0).random((5, 4, 4)).astype(np.float32)
    values[1], values[3] = 7, np.nan
    assert summarise(Part(cube_from_array(values), is_map=False)).dead == (1, 3)
    nothing = summarise(Part(cube_from_array(np.full((2, 3, 3), np.nan)), is_map=False))
    assert (np.isnan(nothing.low), nothing.missing, nothing.empty) == (True, 1, 1)


def test_values_that_are_no_classes_are_not_counted() -> None:
    assert summarise(Part(cube_from_array(np.arange(100.0).reshape(1, 10, 10)), is_map=True)).counts is None
    assert summarise(Part(cube_from_array(np.full((1, 3, 3), 0.5)), is_map=True)).counts is None


# --- Files ---


def test_a_file_of_several_arrays(tmp_path: Path, say: Any) -> None:
    random = np.random.default_rng(1)
    t1 = random.integers(1, 900, (20, 16, 5)).astype(np.int16)
    truth = random.integers(0, 2, (20, 16)).astype(np.uint8)
    savemat(tmp_path / "a.mat", {"T1": t1, "T2": t1 + 1, "Binary": truth, "note": "text", "s": {"a": 1}})
    text = say(tmp_path / "a.mat")
    for line in (
        "a.mat: MATLAB v5, ", "array       T1 (20 x 16 x 5 int16)", "array       note (1 x 4 char)",
        "array       s (1 x 1 struct)", "image       a.mat:T1: 20 rows x 16 cols x 5 bands, int16",
        f"range     {t1.min()} to {t1.max()}", "map         a.mat:Binary: 20 rows x 16 cols, uint8",
        f"labels    0: {(truth == 0).sum()} pixels, 1: {(truth == 1).sum()} pixels",
        "grid      no georeference", "memory    6.4 kB as float32", "a.mat:T1 and a.mat:T2:",
        "grid        the same",
    ):  # fmt: skip
        assert line in text, text
    one = say(tmp_path / "a.mat", "--key", "T2", "--json")
    assert [image["name"] for image in one["files"][0]["images"]] == ["a.mat:T2"]
    assert one["pair"] is None


def test_what_a_geotiff_tells(tmp_path: Path, say: Any) -> None:
    values = np.arange(3 * 8 * 6, dtype=np.uint16).reshape(3, 8, 6)
    values[2] = 9
    path = tiff(tmp_path / "a.tif", values, crs="EPSG:32633", nodata=5,
                transform=Affine(30, 0, 366_015, 0, -30, 5_807_085))  # fmt: skip
    with rasterio.open(path, "r+") as file:
        file.scales = [0.5] * 3
        for i, (centre, good) in enumerate(((900, 1), (500, 0), (600, 1)), 1):
            file.update_tags(i, wavelength=str(centre), fwhm="10", wavelength_units="nm", bbl=str(good))
        file.update_tags(acquisition_date="2022-07-24")
    text = say(path)
    for line in (
        "range     0 to 47.5 (stored values x 0.5)", "no data   0.6944 % of values, stored as 5.0",
        "waves     500 to 900 nm, fwhm 10 to 10 nm, not in ascending order",
        "bad       1 bands flagged by the sensor: 2",
        "dead      1 bands without data, or one value everywhere: 3",
        "grid      EPSG:32633, pixels of 30 x 30, upper left corner at 366015, 5807085", "acquired  2022-07-24",
    ):  # fmt: skip
        assert line in text, text


def test_arrays_that_do_not_tell_their_axes_are_listed_all_the_same(tmp_path: Path, say: Any) -> None:
    values = np.random.default_rng(0).random((5, 16, 20))
    np.save(tmp_path / "a.npy", values)
    text = say(tmp_path / "a.npy")
    assert "array       (no name) (5 x 16 x 20 float64)" in text and "--axes rows,cols,bands or" in text
    assert "16 rows x 20 cols x 5 bands" in say(tmp_path / "a.npy", "--axes", "bands,rows,cols")
    # The truth beside it tells as much.
    savemat(tmp_path / "gt.mat", {"gt": np.eye(16, 20, dtype=np.uint8)})
    assert "16 rows x 20 cols x 5 bands" in say(tmp_path / "a.npy", tmp_path / "gt.mat")
    np.savez(tmp_path / "b.npz", cube=values, gt=np.eye(16, 20, dtype=np.uint8))
    assert "b.npz:cube: 16 rows x 20 cols x 5 bands" in say(tmp_path / "b.npz")


def test_a_folder_of_bands_and_a_folder_of_files(tmp_path: Path, say: Any) -> None:
    bands = tmp_path / "bands"
    bands.mkdir()
    for i in range(3):
        tiff(bands / f"B{i}.tif", np.full((1, 4, 5), i, np.uint8))
    assert "4 rows x 5 cols x 3 bands, uint8" in say(bands)
    tiff(bands / "cube.tif", np.ones((4, 4, 5), np.uint8))
    (bands / "notes.txt").write_text("hello")
    found = say(bands, "--json")["files"]
    assert [Path(file["path"]).name for file in found] == ["B0.tif", "B1.tif", "B2.tif", "cube.tif"]
    assert "notes.txt is neither" in found[-1]["notes"][0]


def test_two_dates_are_compared(simulated: PairFiles, say: Any, tmp_path: Path) -> None:
    pair = say(simulated.t1, simulated.t2, simulated.truth, "--json")["pair"]
    assert (pair["grid"], pair["bands"], pair["matched_by"]) == (None, None, "wavelength")
    assert len(pair["shift"]) == 2
    assert "the same, by wavelength" in say(simulated.t1, simulated.t2)
    with rasterio.open(simulated.t2) as file:
        values = file.read()
    tiff(tmp_path / "small.tif", values[:5, :20])
    other = say(simulated.t1, tmp_path / "small.tif")
    assert "has 48 x 40 pixels but small.tif has 20 x 40" in other
    assert "has 24 bands but small.tif has 5" in other and "not measured: grid or bands differ" in other


def test_the_shift_is_that_of_the_simulation(cli: Any, say: Any, tmp_path: Path) -> None:
    size = ["--rows", 90, "--cols", 80, "--bands", 20]
    assert cli("simulate", tmp_path / "s", *size, "--shift", 0.6, "--seed", 2) == 0
    found = say(tmp_path / "s/t1.tif", tmp_path / "s/t2.tif", "--json")["pair"]["shift"]
    assert np.hypot(*found) == pytest.approx(0.6, abs=0.2)


def test_the_quick_look(simulated: PairFiles, say: Any, cli: Any, tmp_path: Path) -> None:
    say(simulated.t1, simulated.t2, simulated.truth, "--png", tmp_path / "look.png")
    with Image.open(tmp_path / "look.png") as picture:
        assert (picture.size, picture.mode) == ((3 * 40 + 2 * 4, 48), "RGB")
        image = np.asarray(picture)
    with rasterio.open(simulated.truth) as file:
        truth = file.read(1)
    assert len({tuple(c) for c in image[:, -40:][truth == 1].tolist()}) == 1
    assert (image[:, -40:][truth == 1][0] > image[:, -40:][truth == 0][0]).all()
    before = (tmp_path / "look.png").read_bytes()
    assert cli("info", simulated.t1, "--png", tmp_path / "look.png") == 2
    assert (tmp_path / "look.png").read_bytes() == before
    say(simulated.t1, "--png", tmp_path / "look.png", "--overwrite")


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="there is no /proc")
@pytest.mark.slow
def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    # Not getrusage: its figure begins with that of the process that started this one.
    code = (
        "import pathlib, sys\nfrom hsi_cd.cli.main import run\ncode = run(['info', *sys.argv[1:]])\n"
        "print(pathlib.Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0])\nsys.exit(code)"
    )
    peaks = []
    for rows in (1000, 4000):  # several blocks each
        path = tmp_path / f"{rows}.npy"
        values = np.lib.format.open_memmap(path, "w+", np.float32, (rows, 200, 60))
        values[:] = 1
        del values
        command = [sys.executable, "-c", code, str(path), "--axes", "rows,cols,bands"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
        peaks.append(int(done.stdout.split()[-1]) // 1024)
        path.unlink()
    # 48 MB and 192 MB: to hold them, or to keep their pages, would show.
    assert peaks[1] - peaks[0] < 60, peaks


# --- Commands on scenes of other kinds ---


def test_every_kind_of_file_gives_one_map(cli: Any, simulated: PairFiles, tmp_path: Path) -> None:
    """The simulated pair, written as all that a user may have: the map is the same to the last pixel."""
    files: dict[str, list[object]] = {"tif": ["--t1", simulated.t1, "--t2", simulated.t2]}
    cubes = []
    for path in (simulated.t1, simulated.t2):
        with rasterio.open(path) as file:
            cubes.append(file.read())
            profile = file.profile
    with rasterio.open(simulated.truth) as file:
        truth = file.read(1)
    names: dict[str, list[object]] = {kind: [] for kind in ("v5", "v73", "npy", "npz", "envi", "folder", "list")}
    for i, values in enumerate(cubes, 1):
        savemat(tmp_path / f"v5{i}.mat", {"x": values.transpose(1, 2, 0)}, do_compression=True)
        with h5py.File(tmp_path / f"v73{i}.mat", "w") as file:
            file["x"] = values.transpose(0, 2, 1)
            file["x"].attrs["MATLAB_class"] = np.bytes_(b"double")
        np.save(tmp_path / f"npy{i}.npy", values)
        np.savez(tmp_path / f"npz{i}.npz", values)
        tiff(tmp_path / f"envi{i}.dat", values, driver="ENVI", interleave="bil")
        (tmp_path / f"folder{i}").mkdir()
        for b, band in enumerate(values):
            tiff(
                tmp_path / f"folder{i}" / f"B{b}.tif",
                band[None],
                crs=profile["crs"],
                transform=profile["transform"],
            )
        option = f"--t{i}"
        names["v5"] += [option, tmp_path / f"v5{i}.mat"]
        names["v73"] += [option, tmp_path / f"v73{i}.mat"]
        names["npy"] += [option, tmp_path / f"npy{i}.npy"]
        names["npz"] += [option, tmp_path / f"npz{i}.npz"]
        names["envi"] += [option, tmp_path / f"envi{i}.hdr"]
        names["folder"] += [option, tmp_path / f"folder{i}"]
        names["list"] += [w for b in range(24) for w in (option, tmp_path / f"folder{i}" / f"B{b}.tif")]
    names["npy"] += ["--axes", "bands,rows,cols"]
    names["npz"] += ["--axes", "bands,rows,cols"]
    maps = {}
    for kind, words in (files | names).items():
        assert cli("detect", "--method", "cva", *words, "--output", tmp_path / f"{kind}-map.tif") == 0
        with quiet_georeference(), rasterio.open(tmp_path / f"{kind}-map.tif") as file:
            maps[kind] = (file.read(1), file.crs, file.transform)
    for kind, (values, crs, place) in maps.items():
        np.testing.assert_array_equal(values, maps["tif"][0])
        if kind in ("folder", "list"):
            assert (crs, place) == maps["tif"][1:]
    assert truth.shape == maps["tif"][0].shape


def test_the_truth_tells_the_axes_when_training(cli: Any, simulated: PairFiles, tmp_path: Path) -> None:
    for i, path in enumerate((simulated.t1, simulated.t2), 1):
        with rasterio.open(path) as file:
            np.save(tmp_path / f"{i}.npy", file.read())
    words = ["train", "--method", "cva", "--t1", tmp_path / "1.npy", "--t2", tmp_path / "2.npy"]
    words += ["--truth", simulated.truth, "--set", "split.fraction=0.05", "--run", tmp_path / "run"]
    assert cli(*words) == 0
    assert json.loads((tmp_path / "run/result.json").read_text())["scores"]


# --- Real files: what their README says of them ---


def test_info_says_what_is_known_of_the_real_files(shared: Path, say: Any) -> None:
    found = {Path(f["path"]).name: f for f in say(shared / "files", "--json")["files"]}
    images = {name: file["images"][0] for name, file in found.items()}
    assert found.keys() == {
        "HyMap02_Berlin_Urban_Gradient_2009.bsq", "bimodal.dat", "abu-urban-1.mat",
        "enmap_potsdam_tile_128_96.tif",
    }  # fmt: skip
    assert "optimized.sli is a spectral library" in list(found.values())[-1]["notes"][0]
    shapes = {name: (i["rows"], i["cols"], i["bands"], i["type"]) for name, i in images.items()}
    assert shapes["enmap_potsdam_tile_128_96.tif"] == (32, 32, 224, "float32")
    assert shapes["HyMap02_Berlin_Urban_Gradient_2009.bsq"] == (100, 67, 111, "float32")
    assert shapes["bimodal.dat"] == (50, 50, 91, "int16")
    assert shapes["abu-urban-1.mat"] == (100, 100, 204, "float64")
    enmap = images["enmap_potsdam_tile_128_96.tif"]
    assert (enmap["crs"], enmap["nodata"], enmap["scale"]) == ("EPSG:32633", -32768, [1e-4])
    assert len(enmap["wavelengths"]) == len(enmap["fwhm"]) == 224
    assert enmap["bad_bands"] == enmap["dead_bands"] == list(range(130, 136))
    assert len(images["HyMap02_Berlin_Urban_Gradient_2009.bsq"]["wavelengths"]) == 111
    assert (images["bimodal.dat"]["wavelengths"], images["bimodal.dat"]["crs"]) == ([], None)
    assert (images["abu-urban-1.mat"]["low"], images["abu-urban-1.mat"]["high"]) == (-50, 6534)
    assert [a["name"] for a in found["abu-urban-1.mat"]["arrays"]] == ["hsi", "hsi_gt"]


def test_a_spectral_library_is_refused_by_name(shared: Path, cli: Any, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("optimized.sli", "optimized.sli.hdr"):
        assert cli("info", shared / "files" / name) == 2
        assert f"{name} is a spectral library, not an image" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("scene", "labels"),
    [
        ("taizhou", {"change.bmp": {"255": 4227}, "unchanged.bmp": {"255": 17163}}),
        ("rennes", {"rennes_truth.tif": {"1": 339 * 563 - 4932, "2": 4932}}),
        ("farmland", {"GTChina1.mat": {"1": 44723, "2": 18277}}),
    ],
)
@pytest.mark.quick("taizhou-*")
def test_info_on_a_scene_shows_its_truth(shared: Path, say: Any, scene: str, labels: dict[str, Any]) -> None:
    found = say(shared / "scenes" / scene, "--json")
    assert found["pair"]["grid"] is None and found["pair"]["bands"] is None
    images = [(Path(file["path"]).name, image) for file in found["files"] for image in file["images"]]
    counted = {name: image["labels"] for name, image in images if image["is_map"]}
    assert counted.keys() == labels.keys()
    for name, expected in labels.items():
        assert expected.items() <= counted[name].items()
    assert {image["shape_of"][0] for _, image in images} == {scene}


def test_info_on_the_real_truths(shared: Path, say: Any) -> None:
    for path in sorted((shared / "truth").glob("*.mat")):
        (image,) = say(path, "--json")["files"][0]["images"]
        (values,) = [v for v in loadmat(path).values() if isinstance(v, np.ndarray) and min(v.shape) > 1]
        stored, counts = np.unique(values, return_counts=True)
        assert image["labels"] == {str(int(v)): int(n) for v, n in zip(stored, counts, strict=True)}


# --- Drawn shapes ---


def test_layers_of_shapes_are_listed_with_what_their_fields_say(
    say: Any, cli: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "labels.gpkg"
    points = np.array(
        [b"\1" + np.array([1], "<u4").tobytes() + np.array([i, 48.0], "<f8").tobytes() for i in range(3)], object
    )
    said = [np.array(["burnt", "burnt", None], object), np.array([7, 8, 9]), np.array(["a\x1b[31m"] * 3, object)]
    pyogrio.raw.write(
        path, points, said, ["class", "n", "by"], geometry_type="Point", crs="EPSG:4326", driver="GPKG"
    )
    text = say(path)
    assert "labels.gpkg: GeoPackage" in text and "layer       labels: 3 Point, EPSG:4326" in text
    assert "field     class: burnt (2)\n" in text and "field     n: 7 (1), 8 (1), 9 (1)\n" in text
    assert "\x1b" not in text and r"'a\x1b[31m' (3)" in text
    (file,) = say(path, "--json")["files"]
    assert file["layers"][0]["fields"]["class"] == {"burnt": 2} and file["images"] == []
    assert cli("info", path, "--png", tmp_path / "look.png") == 2
    assert "there is no image to look at" in capsys.readouterr().err


def test_the_quick_look_shows_true_colours_and_says_which(cli: Any, say: Any, tmp_path: Path) -> None:
    waves = (862.0, 461.5, 705.0, 645.0, 549.0)  # as stored, in no order
    values = np.full((5, 20, 30), 0.2, dtype=np.float32)
    values[3] = np.linspace(0, 1, 30)  # red alone grows to the right
    path = tiff(tmp_path / "a.tif", values)
    with quiet_georeference(), rasterio.open(path, "r+") as file:
        for band, wave in enumerate(waves, start=1):
            file.update_tags(band, wavelength=str(wave), wavelength_units="Nanometers")
    assert "quick look: " in (text := say(path, "--png", tmp_path / "look.png"))
    assert "(red, green and blue: 645, 549 and 462 nm)" in text
    with Image.open(tmp_path / "look.png") as picture:
        red, green, blue = np.moveaxis(np.asarray(picture).astype(int), -1, 0)
    assert (np.diff(red[0]) >= 0).all() and red[0, -1] - red[0, 0] > 200
    assert len(np.unique(green)) == len(np.unique(blue)) == 1
    (image,) = say(path, "--json")["files"][0]["images"]
    assert image["shown"] == "645, 549 and 462 nm"


def test_figure_and_report_say_which_bands_they_show(
    cli: Any, trained: Path, simulated: PairFiles, tmp_path: Path
) -> None:
    with rasterio.open(simulated.t1) as file:
        waves = np.array([float(file.tags(band)["wavelength"]) for band in file.indexes])
    nearest = [waves[np.abs(waves - wanted).argmin()] for wanted in (860, 660, 560)]
    told = "{:.0f}, {:.0f} and {:.0f} nm".format(*nearest)
    with np.load(trained / "overview.npz") as kept:
        assert str(kept["shown"]) == told
    assert cli("report", trained, "--output", tmp_path / "r.html") == 0
    assert f"Date 1 ({told})" in (tmp_path / "r.html").read_text()
    assert cli("figure", trained, "--output", tmp_path / "f.pdf") == 0
    assert (
        cli("suggest", trained, "--output", tmp_path / "s.geojson", "--html", tmp_path / "s.html", "--number", 2)
        == 0
    )
    assert f"in {told}." in (tmp_path / "s.html").read_text()
