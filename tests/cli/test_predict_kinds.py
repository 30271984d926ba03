"""hsi-cd predict of learned kinds: their tables, spectra, figure and nearest materials, beside the map."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from numpy.typing import NDArray

import hsi_cd as hc

Capture = pytest.CaptureFixture[str]

ROWS, COLS = 44, 36
WAVES = np.linspace(450, 2400, 10)
NAMES = {1: "newly built", 2: "burnt", 3: "flooded"}
"""Kinds by their numbers; the first is not the largest."""
MATERIALS = ("soil", "roof", "ash", "water")


def spectra() -> NDArray[np.float64]:
    return np.random.default_rng(7).uniform(0.1, 0.9, (4, len(WAVES)))


def write(path: Path, values: NDArray[Any]) -> None:
    profile = {"driver": "GTiff", "height": ROWS, "width": COLS, "count": len(values), "dtype": values.dtype}
    profile |= {"crs": "EPSG:32633", "transform": Affine(10, 0, 400000, 0, -10, 5800000)}
    with rasterio.open(path, "w", **profile) as file:
        file.write(values)
        for band, wave in enumerate(WAVES, start=1):
            file.update_tags(band, wavelength=f"{wave}", wavelength_units="nm")


def read(path: Path) -> NDArray[Any]:
    with rasterio.open(path) as file:
        return file.read()


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two dates, a later one without floods, and a checkpoint that learned three kinds on the first two."""
    folder = tmp_path_factory.mktemp("ground")
    rng = np.random.default_rng(3)
    kind = np.zeros((ROWS, COLS), dtype=np.uint8)
    kind[26:36, 3:15], kind[4:20, 4:18], kind[8:14, 24:30] = 1, 2, 3
    dry = np.where(kind == 3, 0, kind)
    for name, after in (("t1", np.zeros_like(kind)), ("t2", kind), ("dry", dry)):
        values = spectra()[after].transpose(2, 0, 1) + 0.01 * rng.standard_normal((len(WAVES), ROWS, COLS))
        values[:, :2, :3] = np.nan
        write(folder / f"{name}.tif", values.astype(np.float32))
    lines = [",".join(map(str, row)) for row in np.column_stack([WAVES, spectra().T])]
    (folder / "library.csv").write_text("\n".join([f"wavelength (nm),{','.join(MATERIALS)}", *lines]))
    pair = hc.open_pair(folder / "t1.tif", folder / "t2.tif")
    labels = hc.open_labels(kind, changed=(1, 2, 3), unchanged=0, names=NAMES)
    svm = hc.SVM(kinds=True, components=4, settings={"split.fraction": 0.05}).fit(pair, labels)
    svm.save(folder / "kinds.pt")
    return folder


def predict(ground: Path, *words: object, later: str = "t2") -> list[object]:
    dates = ["--t1", ground / "t1.tif", "--t2", ground / f"{later}.tif"]
    return ["predict", "--checkpoint", ground / "kinds.pt", *dates, *words]


def beside(folder: Path) -> list[object]:
    files = {"table": "table.csv", "spectra": "spectra.csv", "figure": "kinds.png", "nearest": "nearest.csv"}
    return [word for name, file in files.items() for word in (f"--kinds-{name}", folder / file)]


def lines_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def check_spectra(folder: Path, ground: Path, later: str, kinds: NDArray[np.uint8], present: list[int]) -> None:
    """The table of spectra against means and deviations of the dates where the written map has each kind."""
    t1, t2 = (read(ground / f"{name}.tif").astype(np.float64) for name in ("t1", later))
    rows = lines_of(folder / "spectra.csv")
    assert sorted({int(row["kind"]) for row in rows}) == present
    quiet = (t2 - t1)[:, kinds == 0]
    for number in present:
        own = [row for row in rows if int(row["kind"]) == number]
        first, second = t1[:, kinds == number], t2[:, kinds == number]
        strength = np.abs((second - first).mean(axis=1) - quiet.mean(axis=1)) / quiet.std(axis=1)
        expected = {
            "before": first.mean(axis=1),
            "after": second.mean(axis=1),
            "before deviation": first.std(axis=1),
            "after deviation": second.std(axis=1),
            "strength": strength,
        }
        for column, values in expected.items():
            np.testing.assert_allclose([float(row[column]) for row in own], values, rtol=1e-4, atol=1e-7)
        assert {row["name"] for row in own} == {NAMES[number]}


def test_tables_hold_what_the_written_map_and_the_dates_do(
    cli: Any, ground: Path, tmp_path: Path, capsys: Capture
) -> None:
    files = ["--output", tmp_path / "kinds.tif", *beside(tmp_path), "--library", ground / "library.csv"]
    assert cli(*predict(ground, *files, "--json")) == 0
    record = json.loads(capsys.readouterr().out)
    kinds = read(tmp_path / "kinds.tif")[0]
    counts = np.bincount(kinds.ravel(), minlength=256)
    assert counts[255] == 6 and counts[2] > counts[1] > counts[3] > 0  # not re-ordered by area
    table = lines_of(tmp_path / "table.csv")
    assert [(int(line["kind"]), line["name"]) for line in table] == list(NAMES.items())
    assert [int(line["pixels"]) for line in table] == counts[1:4].tolist()
    for line in table:
        assert float(line["area"]) == pytest.approx(100 * int(line["pixels"]), rel=2e-3) and line["unit"] == "m2"
        assert float(line["share"]) == pytest.approx(int(line["pixels"]) / counts[1:4].sum(), rel=1e-4)
    check_spectra(tmp_path, ground, "t2", kinds, [1, 2, 3])
    ends = [("soil", "roof"), ("soil", "ash"), ("soil", "water")]
    assert [(line["from"], line["to"]) for line in table] == ends
    nearest = lines_of(tmp_path / "nearest.csv")
    assert len(nearest) == 3 * 2 * 3
    for line in nearest:
        date = read(ground / ("t1.tif" if line["date"] == "before" else "t2.tif")).astype(np.float64)
        mean = date[:, kinds == int(line["kind"])].mean(axis=1)
        angles = [np.arccos(mean @ own / np.linalg.norm(mean) / np.linalg.norm(own)) for own in spectra()]
        assert line["entry"] == MATERIALS[int(np.argsort(angles)[int(line["rank"]) - 1])]
        assert float(line["angle (rad)"]) == pytest.approx(np.sort(angles)[int(line["rank"]) - 1], abs=2e-5)
    assert (tmp_path / "kinds.png").read_bytes().startswith(b"\x89PNG")
    assert [(kind["pixels"], kind["to"][0]["name"]) for kind in record["kinds"]] == [
        (int(line["pixels"]), line["to"]) for line in table
    ]
    assert record["library"].startswith("library.csv (4 spectra")


def test_a_kind_without_a_pixel_is_told_and_the_others_keep_their_numbers(
    cli: Any, ground: Path, tmp_path: Path, capsys: Capture
) -> None:
    bounds = ["--bounds", "400000,5799600,400200,5800000"]  # 40 rows, 20 columns
    files = ["--output", tmp_path / "kinds.tif", *beside(tmp_path), "--library", ground / "library.csv"]
    assert cli(*predict(ground, *files, *bounds, "--threshold", 0.3, later="dry")) == 0
    said = capsys.readouterr().out
    assert "kinds without a pixel: flooded" in said and "burnt: soil (" in said and " rad) to ash (" in said
    part = read(tmp_path / "kinds.tif")[0]
    whole = np.full((ROWS, COLS), 255, dtype=np.uint8)
    whole[:40, :20] = part
    table = lines_of(tmp_path / "table.csv")
    assert [int(line["pixels"]) for line in table] == [(part == n).sum() for n in NAMES]
    empty = {"pixels": "0", "area": "0.0", "share": "0.0", "leading bands": "", "from": "", "to angle (rad)": ""}
    assert table[2].items() >= (empty | {"kind": "3", "name": "flooded"}).items()
    check_spectra(tmp_path, ground, "dry", whole, [1, 2])


def test_a_notebook_counts_when_it_is_asked(ground: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    change = hc.predict(ground / "kinds.pt", hc.open_pair(ground / "t1.tif", ground / "t2.tif"))
    assert change.kinds is not None and change.kinds.names == {0: "unchanged", **NAMES}
    assert change.kinds.by_number.keys() == NAMES.keys() and change.kinds.unit == "m2"
    first = change.kinds.by_number[2]
    library = hc.open_library(ground / "library.csv")
    assert change.kinds.from_to(library)[2].after[0].name == "ash"
    t2 = read(ground / "t2.tif").astype(np.float64)
    np.testing.assert_allclose(first.after, t2[:, change.kind == 2].mean(axis=1), rtol=1e-5)
    again = hc.predict(ground / "kinds.pt", change.pair)
    assert again.kind is not None and again.kinds is not None
    monkeypatch.setattr("hsi_cd.inference.change_map.map_rows", None)  # the map in memory is counted
    np.testing.assert_array_equal(again.kinds.by_number[2].after, first.after)
    assert again.kinds.by_number[2].pixels == (change.kind == 2).sum()


def test_kinds_are_a_variable_of_xarray(ground: Path) -> None:
    pytest.importorskip("xarray")
    pair = hc.open_pair(ground / "t1.tif", ground / "t2.tif")
    change = hc.predict(ground / "kinds.pt", pair)
    made = change.to_xarray()
    np.testing.assert_array_equal(made["kind"].values, change.kind)
    assert made["kind"].attrs["names"] == ["unchanged", *NAMES.values()]
    assert made["kind"].attrs["flag_values"].tolist() == [0, 1, 2, 3]
    assert made["kind"].attrs["flag_meanings"] == "unchanged newly_built burnt flooded"
    assert made["kind"].encoding["grid_mapping"] == "spatial_ref"
    assert "kind" not in hc.predict(ground / "kinds.pt", pair, kinds=False).to_xarray()


@pytest.mark.parametrize(
    ("words", "said", "remedy"),
    [
        (["--shard", "1/2"], "--kinds-table is about the kinds of the whole map: leave --shard out", []),
        (["--no-kinds"], "--kinds-table is about kinds of change: leave --no-kinds out", []),
        (["--kinds-nearest", "n.csv"], "give --library FILE, too", ["--kinds-nearest", "n.csv", "--library"]),
    ],
)
def test_what_cannot_be_counted_is_refused(
    cli: Any, ground: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture,
    words: list[object], said: str, remedy: list[object],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    asked = predict(ground, "--output", "k.tif", "--kinds-table", "k.csv")
    assert cli(*asked, *words) == 2
    err = capsys.readouterr().err
    assert said in err and err.count("\n") == 1 and not list(tmp_path.iterdir())
    assert cli(*asked, *remedy, *([ground / "library.csv"] if remedy else [])) == 0
    assert Path("k.csv").is_file()


def test_a_checkpoint_of_two_classes_has_no_table(cli: Any, ground: Path, tmp_path: Path, capsys: Capture) -> None:
    dates = ["--t1", ground / "t1.tif", "--t2", ground / "t2.tif"]
    assert cli("detect", "--method", "cva", *dates, "--save", tmp_path / "cva.pt") == 0
    capsys.readouterr()
    asked = ["predict", "--checkpoint", tmp_path / "cva.pt", *dates, "--output", tmp_path / "k.tif"]
    assert cli(*asked, "--kinds-spectra", tmp_path / "s.csv") == 2
    err = capsys.readouterr().err
    assert "--kinds-spectra is about kinds of change, and the checkpoint was trained without" in err
    assert err.count("\n") == 1 and [path.name for path in tmp_path.iterdir()] == ["cva.pt"]
    assert cli(*asked) == 0  # the remedy: leave it out
