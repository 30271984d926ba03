"""hsi-cd train --kinds and predict: what became what, learned from labels, as files of a map."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio.raw
import pytest
import rasterio
import shapely
from affine import Affine
from area_answers import estimates
from numpy.typing import NDArray

import hsi_cd as hc
from hsi_cd.io.class_maps import read_class_map
from hsi_cd.io.split_files import read_split

Capture = pytest.CaptureFixture[str]

ROWS, COLS, BANDS = 44, 36, 8
PLACE = Affine(10, 0, 400000, 0, -10, 5800000)
PROFILE = {"driver": "GTiff", "height": ROWS, "width": COLS, "crs": "EPSG:32633", "transform": PLACE}
VALUES = {3: "burnt", 5: "newly built", 9: "flooded"}
"""Stored values of the truth's kinds, and what they are called: numbers 1, 2, 3 of a map."""
LEARN = ["--method", "svm", "--set", "split.fraction=0.05", "--set", "options.components=4"]


def write(path: Path, values: NDArray[Any]) -> Path:
    with rasterio.open(path, "w", **PROFILE, count=len(values), dtype=values.dtype) as file:
        file.write(values)
    return path


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two dates, ``truth.tif`` (0 unchanged, three kinds) and ``names.csv``."""
    folder = tmp_path_factory.mktemp("ground")
    rng = np.random.default_rng(7)
    materials = rng.uniform(0.1, 0.9, (4, BANDS))
    truth = np.zeros((ROWS, COLS), dtype=np.uint8)
    truth[4:20, 4:18], truth[26:40, 3:15], truth[8:14, 24:30] = 3, 5, 9
    after = np.select([truth == 3, truth == 5, truth == 9], [1, 2, 3], 0)
    for name, at in (("t1", np.zeros_like(after)), ("t2", after)):
        values = materials[at].transpose(2, 0, 1) + 0.01 * rng.standard_normal((BANDS, ROWS, COLS))
        write(folder / f"{name}.tif", values.astype(np.float32))
    write(folder / "truth.tif", truth[np.newaxis])
    lines = [f"{value},{name}" for value, name in VALUES.items()]
    (folder / "names.csv").write_text("\n".join(["value,name", *lines, "0,unchanged", ""]), encoding="utf-8")
    return folder


def scene(ground: Path) -> list[object]:
    return ["--t1", ground / "t1.tif", "--t2", ground / "t2.tif"]


def labelled(ground: Path, *words: object) -> list[object]:
    declared = ["--changed", "3,5,9", "--unchanged", "0"]
    return [*scene(ground), "--truth", ground / "truth.tif", *declared, *words]


@pytest.fixture(scope="module")
def run(cli: Any, ground: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("kinds") / "run"
    words = labelled(ground, "--kinds", "--names", ground / "names.csv", *LEARN)
    assert cli("train", *words, "--run", folder) == 0
    return folder


def read(path: Path) -> NDArray[Any]:
    with rasterio.open(path) as file:
        return file.read()


def numbers(ground: Path) -> NDArray[np.uint8]:
    truth = read(ground / "truth.tif")[0]
    return np.select([truth == value for value in VALUES], [1, 2, 3], 0).astype(np.uint8)


def test_the_map_of_a_run_has_the_kinds_by_name(run: Path, ground: Path) -> None:
    told = read_class_map(run / "change.tif")
    assert dict(told.names) == {0: "unchanged", 1: "burnt", 2: "newly built", 3: "flooded"}
    assert (told.values == numbers(ground)).mean() > 0.97
    with rasterio.open(run / "change.tif") as file:
        assert (file.dtypes, file.nodata) == (("uint8",), 255)
        assert json.loads(file.tags()["KINDS"]) == {str(value): name for value, name in told.names.items()}
        assert len({file.colormap(1)[value] for value in range(4)}) == 4
    assert 'label="newly built"' in (run / "change.qml").read_text()


def test_the_area_of_each_kind_is_estimated_from_its_map(
    cli: Any, run: Path, ground: Path, tmp_path: Path, capsys: Capture
) -> None:
    """A sample by kind, interpreted by somebody who knows the truth; the formulas have tests of their own."""
    change, sample, filled = run / "change.tif", tmp_path / "sample.gpkg", tmp_path / "filled.gpkg"
    assert cli("sample", change, "--per-stratum", 40, "--output", sample) == 0
    meta, _, points, columns = pyogrio.raw.read(sample)
    fields = dict(zip(meta["fields"], columns, strict=True))
    names = {0: "unchanged", 1: "burnt", 2: "newly built", 3: "flooded"}
    assert set(fields["stratum"].tolist()) == {f"called {name}" for name in names.values()}
    truth = numbers(ground)
    seen = truth[fields["row"], fields["col"]].tolist()
    fields["reference"] = np.array([names[number] for number in seen], dtype=object)
    pyogrio.raw.write(
        filled, points, list(fields.values()), list(fields), geometry_type="Point", crs=meta["crs"], driver="GPKG"
    )
    found = estimates(cli, capsys, change, "--sample", filled)
    mapped = read(change)[0]
    for number, name in names.items():
        told, pixel = found["classes"][name], 100 / 1e4
        assert told["mapped_area"] == pytest.approx((mapped == number).sum() * pixel, rel=5e-3)
        low, high = (
            told["area"]["low"] * 0.995,
            told["area"]["high"] * 1.005,
        )  # on the ellipsoid, as the map's area
        assert low <= (truth == number).sum() * pixel <= high


def test_every_kind_teaches_its_share_and_the_result_says_so(run: Path, ground: Path) -> None:
    truth, split = numbers(ground), read_split(run / "split.npz")
    taught = np.bincount(truth.ravel()[split.train], minlength=4)
    assert taught.tolist() == [max(int(0.05 * n), 1) for n in np.bincount(truth.ravel()).tolist()]
    result = json.loads((run / "result.json").read_text())
    assert result["details"]["kinds_taught"] == f"burnt {taught[1]}, newly built {taught[2]}, flooded {taught[3]}"


def test_the_score_is_that_of_the_same_pixels_without_kinds(
    cli: Any, run: Path, ground: Path, tmp_path: Path
) -> None:
    words = labelled(ground, "--no-kinds", *LEARN)
    assert cli("train", *words, "--split", run / "split.npz", "--run", tmp_path / "two") == 0
    np.testing.assert_array_equal(read(tmp_path / "two/score.tif"), read(run / "score.tif"))
    two, kinds = read(tmp_path / "two/change.tif"), read(run / "change.tif")
    np.testing.assert_array_equal(two, (kinds > 0).astype(np.uint8))


@pytest.fixture(scope="module")
def mapped(cli: Any, run: Path, ground: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mapped")
    files = ["--output", folder / "kinds.tif", "--kind-probabilities", folder / "chances.tif"]
    shapes = ["--vector", folder / "kinds.gpkg"]
    assert cli("predict", "--checkpoint", run / "best.pt", *scene(ground), *files, *shapes) == 0
    return folder


def test_a_checkpoint_maps_its_kinds_by_itself_and_their_chances(mapped: Path, run: Path) -> None:
    kinds = read(mapped / "kinds.tif")[0]
    np.testing.assert_array_equal(kinds, read(run / "change.tif")[0])
    chances = read(mapped / "chances.tif")
    np.testing.assert_allclose(chances.sum(axis=0), 1, atol=1e-5)
    changed = kinds > 0
    np.testing.assert_array_equal(1 + chances.argmax(axis=0)[changed], kinds[changed])
    with rasterio.open(mapped / "chances.tif") as file:
        assert file.descriptions == ("burnt", "newly built", "flooded")
        assert (set(file.dtypes), str(file.nodata)) == ({"float32"}, "nan")


def test_polygons_have_the_names_of_their_kinds(mapped: Path) -> None:
    kinds = read(mapped / "kinds.tif")[0]
    with closing(sqlite3.connect(mapped / "kinds.gpkg")) as file:
        found = file.execute("SELECT kind, name, sum(pixels) FROM change_regions GROUP BY kind, name").fetchall()
    assert found == [(k, name, (kinds == k).sum()) for k, name in enumerate(VALUES.values(), start=1)]


def test_parts_are_joined_to_the_same_bytes(
    cli: Any, mapped: Path, run: Path, ground: Path, tmp_path: Path
) -> None:
    parts: list[Path] = []
    for part in (1, 2):
        files = [tmp_path / f"{name}-{part}.tif" for name in ("kinds", "chances")]
        words = ["--output", files[0], "--kind-probabilities", files[1], "--shard", f"{part}/2"]
        assert cli("predict", "--checkpoint", run / "best.pt", *scene(ground), *words) == 0
        parts += files
    whole = ["--output", tmp_path / "kinds.tif", "--kind-probabilities", tmp_path / "chances.tif"]
    assert cli("mosaic", *parts, *whole) == 0
    for name in ("kinds.tif", "chances.tif", "kinds.tif.aux.xml", "kinds.qml"):
        assert (tmp_path / name).read_bytes() == (mapped / name).read_bytes(), name


def test_an_area_and_a_cog_hold_the_same_kinds(
    cli: Any, mapped: Path, run: Path, ground: Path, tmp_path: Path
) -> None:
    left, top = PLACE @ (2, 10)
    bounds = f"{left},{top - 200},{left + 250},{top}"
    files = ["--output", tmp_path / "area.tif", "--kind-probabilities", tmp_path / "chances.tif", "--cog"]
    assert cli("predict", "--checkpoint", run / "best.pt", *scene(ground), *files, f"--bounds={bounds}") == 0
    for name, whole in (("area.tif", "kinds.tif"), ("chances.tif", "chances.tif")):
        np.testing.assert_array_equal(read(tmp_path / name), read(mapped / whole)[:, 10:30, 2:27])


def test_no_kinds_gives_the_map_of_two_classes(
    cli: Any, mapped: Path, run: Path, ground: Path, tmp_path: Path
) -> None:
    words = [*scene(ground), "--no-kinds", "--output", tmp_path / "two.tif"]
    assert cli("predict", "--checkpoint", run / "best.pt", *words) == 0
    np.testing.assert_array_equal(read(tmp_path / "two.tif"), (read(mapped / "kinds.tif") > 0).astype(np.uint8))


def test_a_notebook_has_the_same(mapped: Path, run: Path, ground: Path) -> None:
    pair = hc.open_pair(ground / "t1.tif", ground / "t2.tif")
    change = hc.predict(run / "best.pt", pair)
    np.testing.assert_array_equal(change.kind, read(mapped / "kinds.tif")[0])
    np.testing.assert_array_equal(change.kind_probability, read(mapped / "chances.tif"))
    assert change.kinds is not None and change.kinds.names[3] == "flooded"
    assert set(np.unique(change.change)) == {0, 1}
    assert hc.predict(run / "best.pt", pair, kinds=False).kinds is None


def test_an_estimator_learns_the_same(run: Path, ground: Path) -> None:
    pair = hc.open_pair(ground / "t1.tif", ground / "t2.tif")
    labels = hc.open_labels(ground / "truth.tif", changed=(3, 5, 9), unchanged=0, names={3: "ash"})
    svm = hc.SVM(kinds=True, components=4, settings={"split.fraction": 0.05}).fit(pair, labels)
    found = svm.predict(pair)
    np.testing.assert_array_equal(found.kind, read(run / "change.tif")[0])
    assert found.kinds is not None and list(found.kinds.names.values()) == ["unchanged", "ash", "kind 5", "kind 9"]
    drawn = hc.split(labels, kinds=True, fraction=0.05)
    assert svm.split_ is not None and svm.split_.same_pixels(drawn)


def test_all_files_are_written_or_none(
    cli: Any, mapped: Path, run: Path, ground: Path, tmp_path: Path, capsys: Capture
) -> None:
    (tmp_path / "chances.tif").write_bytes((mapped / "chances.tif").read_bytes())
    files = ["--output", tmp_path / "kinds.tif", "--kind-probabilities", tmp_path / "chances.tif"]
    said = kinds_refused(cli, capsys, "predict", "--checkpoint", run / "best.pt", *scene(ground), *files)
    assert "chances.tif" in said and "--overwrite" in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["chances.tif"]


def test_parts_with_kinds_and_without_are_no_map(
    cli: Any, run: Path, ground: Path, tmp_path: Path, capsys: Capture
) -> None:
    for part, asked in ((1, "--kinds"), (2, "--no-kinds")):
        words = [asked, "--output", tmp_path / f"{part}.tif", "--shard", f"{part}/2"]
        assert cli("predict", "--checkpoint", run / "best.pt", *scene(ground), *words) == 0
    capsys.readouterr()
    parts = [tmp_path / "1.tif", tmp_path / "2.tif"]
    assert "not of one set of kinds" in kinds_refused(
        cli, capsys, "mosaic", *parts, "--output", tmp_path / "a.tif"
    )


def kinds_refused(cli: Any, capsys: Capture, *words: object) -> str:
    assert cli(*words) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("WARNING: ")]
    assert len(lines) == 1 and lines[0].startswith("hsi-cd: error: "), lines
    return lines[0]


def test_a_checkpoint_without_kinds_is_asked_for_some(
    cli: Any, run: Path, ground: Path, tmp_path: Path, capsys: Capture
) -> None:
    words = labelled(ground, *LEARN, "--split", run / "split.npz")
    assert cli("train", *words, "--run", tmp_path / "two") == 0
    capsys.readouterr()
    mapping = ["predict", "--checkpoint", tmp_path / "two/best.pt", *scene(ground), "--output", tmp_path / "a.tif"]
    for asked in (["--kinds"], ["--kind-probabilities", tmp_path / "b.tif"]):
        said = kinds_refused(cli, capsys, *mapping, *asked)
        assert "trained without kinds" in said and "hsi-cd train --kinds" in said
    assert not list(tmp_path.glob("*.tif*"))
    assert cli(*mapping) == 0  # the remedy: leave it out


def test_a_kind_with_one_pixel_cannot_teach_and_judge(
    cli: Any, ground: Path, tmp_path: Path, capsys: Capture
) -> None:
    truth = read(ground / "truth.tif")
    truth[0, 0, 0] = 12
    write(tmp_path / "truth.tif", truth)
    asked = [*scene(ground), "--truth", tmp_path / "truth.tif", "--unchanged", "0", "--run", tmp_path / "run"]
    said = kinds_refused(cli, capsys, "train", *asked, "--kinds", "--changed", "3,5,9,12", *LEARN)
    assert "'kind 12' (value 12) 1;" in said and "--ignore in place of --changed" in said and "--no-kinds" in said
    assert not (tmp_path / "run").exists()
    assert cli("train", *asked, "--kinds", "--changed", "3,5,9", "--ignore", "12", *LEARN) == 0


def test_two_pixels_of_a_kind_are_enough(cli: Any, ground: Path, tmp_path: Path) -> None:
    truth = read(ground / "truth.tif")
    truth[truth == 9] = 0
    truth[0, 8, 24:26] = 9
    write(tmp_path / "truth.tif", truth)
    asked = [
        *scene(ground),
        "--truth",
        tmp_path / "truth.tif",
        "--changed",
        "3,5,9",
        "--unchanged",
        "0",
        "--kinds",
    ]
    for method in ("svm", "forest", "logistic"):
        options = [*LEARN, "--method", method, *(["--set", "options.trees=10"] if method == "forest" else [])]
        assert cli("train", *asked, *options, "--run", tmp_path / method) == 0
        found = hc.load(tmp_path / method / "best.pt").detector_.kinds
        assert found is not None and found.count == 3


def test_kinds_of_a_truth_with_one_value_for_all_change(
    cli: Any, ground: Path, tmp_path: Path, capsys: Capture
) -> None:
    write(tmp_path / "truth.tif", (read(ground / "truth.tif") > 0).astype(np.uint8))
    asked = ["train", *scene(ground), "--truth", tmp_path / "truth.tif", *LEARN, "--run", tmp_path / "run"]
    said = kinds_refused(cli, capsys, *asked, "--kinds")
    assert "tells no kinds of change apart" in said and "leave --kinds out" in said
    said = kinds_refused(cli, capsys, *asked, "--names", ground / "names.csv")
    assert "names.csv names kinds of change" in said and "leave --names out" in said
    assert cli(*asked) == 0


def test_undeclared_values_are_kinds_where_kinds_are_asked_for(
    cli: Any, ground: Path, tmp_path: Path, capsys: Capture
) -> None:
    asked = ["train", *scene(ground), "--truth", ground / "truth.tif", *LEARN]
    assert "are not understood" in kinds_refused(cli, capsys, *asked, "--run", tmp_path / "run")
    assert cli(*asked, "--kinds", "--run", tmp_path / "run") == 0
    assert read_class_map(tmp_path / "run/change.tif").names[2] == "kind 5"


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["value,name", "3,burnt", "5,burnt"], "calls both 3 and 5 'burnt'"),
        (["value,name", "3,burnt", "3,scorched"], "names the value 3 twice"),
        (["value,name", "3,burnt", "7,dry"], "names 7, which is no kind of change"),
        (["code,label", "3,burnt"], "expected a CSV with the columns value,name"),
        (["value,name", "3,"], "has a line without a value or a name"),
        (["value,name", "3,kind 5"], "calls both 3 and 5 'kind 5'"),
        (["value,name", "3,no change"], "which means none"),
    ],
)
def test_names_that_are_wrong(
    cli: Any, ground: Path, tmp_path: Path, capsys: Capture, lines: list[str], said: str
) -> None:
    (tmp_path / "names.csv").write_text("\n".join(lines), encoding="utf-8")
    words = labelled(ground, "--kinds", "--names", tmp_path / "names.csv", *LEARN, "--run", tmp_path / "run")
    assert said in kinds_refused(cli, capsys, "train", *words)
    assert not (tmp_path / "run").exists()


def test_forty_values_are_confirmed_to_be_kinds(cli: Any, ground: Path, tmp_path: Path, capsys: Capture) -> None:
    truth = np.zeros((1, ROWS, COLS), dtype=np.uint8)
    truth[0, :40] = np.arange(1, 41)[:, np.newaxis] * (np.arange(COLS) < 20)
    write(tmp_path / "truth.tif", truth)
    values = ["--changed", ",".join(map(str, range(1, 41))), "--unchanged", "0"]
    asked = ["train", *scene(ground), "--truth", tmp_path / "truth.tif", *values, *LEARN]
    said = kinds_refused(cli, capsys, *asked, "--run", tmp_path / "run")
    assert "tells 40 kinds of change apart" in said and "confirm with --kinds" in said and "--no-kinds" in said
    assert cli(*asked, "--kinds", "--run", tmp_path / "kinds") == 0
    assert cli(*asked, "--no-kinds", "--run", tmp_path / "two") == 0


def test_methods_and_protocols_without_labels_learn_no_kinds(
    cli: Any, ground: Path, tmp_path: Path, capsys: Capture
) -> None:
    words = labelled(ground, "--kinds", "--run", tmp_path / "run")
    said = kinds_refused(cli, capsys, "train", *words, "--method", "cva", "--protocol", "P4")
    assert "cva learns from no label" in said and "hsi-cd detect --kinds auto" in said
    said = kinds_refused(cli, capsys, "train", *words, *LEARN, "--protocol", "P4")
    assert "protocol P4 gives no training pixel" in said
    (tmp_path / "scenes.yaml").write_text("scenes: []\n")
    said = kinds_refused(cli, capsys, "train", "--scenes", tmp_path / "scenes.yaml", "--kinds")
    assert "one scene" in said and "--kinds" in said


def shapes_file(ground: Path, path: Path) -> Path:
    """Squares of the truth, each with its class in words."""
    truth, shapes, said = read(ground / "truth.tif")[0], [], []
    for row in range(0, ROWS, 3):
        for col in range(0, COLS, 3):
            block = truth[row : row + 2, col : col + 2]
            if (block == block[0, 0]).all():
                (left, top), (right, bottom) = PLACE @ (col, row), PLACE @ (col + 2, row + 2)
                shapes.append(shapely.box(left, bottom, right, top))
                said.append({0: "unchanged", **VALUES}[int(block[0, 0])])
    column = [np.array(said, dtype=object)]
    geometry = shapely.to_wkb(np.array(shapes, dtype=object))
    pyogrio.raw.write(path, geometry, column, ["class"], driver="GPKG", geometry_type="Polygon", crs="EPSG:32633")
    return path


def test_drawn_kinds_are_learned_by_themselves(
    cli: Any, ground: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    truth = shapes_file(ground, tmp_path / "labels.gpkg")
    asked = ["train", *scene(ground), "--truth", truth, *LEARN]
    declared = ["--changed", "burnt,newly built,flooded", "--unchanged", "unchanged"]
    assert cli(*asked, *declared, "--run", tmp_path / "run") == 0
    told = [each.getMessage() for each in caplog.records if "kinds of change apart" in each.getMessage()]
    assert len(told) == 1 and "tells 3 kinds of change apart (burnt, newly built, flooded)" in told[0]
    found = read_class_map(tmp_path / "run/change.tif")
    assert dict(found.names) == {0: "unchanged", 1: "burnt", 2: "newly built", 3: "flooded"}
    assert (found.values == numbers(ground)).mean() > 0.97


@pytest.mark.slow
def test_drawn_kinds_are_one_where_it_is_asked_and_need_no_declaration(
    cli: Any, ground: Path, tmp_path: Path
) -> None:
    truth = shapes_file(ground, tmp_path / "labels.gpkg")
    asked = ["train", *scene(ground), "--truth", truth, *LEARN]
    declared = ["--changed", "burnt,newly built,flooded", "--unchanged", "unchanged"]
    assert cli(*asked, *declared, "--no-kinds", "--run", tmp_path / "two") == 0
    assert set(np.unique(read(tmp_path / "two/change.tif"))) == {0, 1}
    assert cli(*asked, "--kinds", "--run", tmp_path / "undeclared") == 0  # all but the unchanged, by name
    assert dict(read_class_map(tmp_path / "undeclared/change.tif").names)[1] == "burnt"


def test_a_split_is_drawn_beforehand_as_a_run_draws_it(
    cli: Any, run: Path, ground: Path, tmp_path: Path, capsys: Capture
) -> None:
    truth = ["--truth", ground / "truth.tif", "--changed", "3,5,9", "--unchanged", "0"]
    drawing = ["split", *truth, "--fraction", "0.05", "--output", tmp_path / "split.npz", "--json"]
    assert cli(*drawing, "--kinds", "--names", ground / "names.csv") == 0
    told = json.loads(capsys.readouterr().out)
    assert read_split(tmp_path / "split.npz").same_pixels(read_split(run / "split.npz"))
    pixels = np.bincount(numbers(ground).ravel()).tolist()
    assert [each["name"] for each in told["kinds"]] == list(VALUES.values())
    assert [each["teach"] + each["judge"] for each in told["kinds"]] == pixels[1:]


def test_a_split_without_a_kind_is_refused(cli: Any, ground: Path, tmp_path: Path, capsys: Capture) -> None:
    truth = numbers(ground).ravel()
    pixels = np.concatenate([np.flatnonzero(truth == kind)[:9] for kind in (0, 1, 2)])
    (tmp_path / "split.csv").write_text("index\n" + "\n".join(map(str, pixels)) + "\n")
    words = labelled(ground, *LEARN, "--split", tmp_path / "split.csv", "--run", tmp_path / "run")
    said = kinds_refused(cli, capsys, "train", *words, "--kinds")
    assert "is of 'kind 9' in truth.tif" in said and "--no-kinds" in said
    assert cli("train", *words, "--no-kinds") == 0
