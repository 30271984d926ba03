"""hsi-cd sample and hsi-cd area on maps that tell kinds of change apart, through files and category names."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import numpy as np
import pyogrio.raw
import pytest
import rasterio
import shapely
from affine import Affine
from area_answers import estimates, refusal
from numpy.typing import NDArray
from rasterio.crs import CRS

import hsi_cd as hc
from hsi_cd.evaluation import BIASED

Capture = pytest.CaptureFixture[str]
Fields = dict[str, NDArray[Any]]

PLACE = Affine(10, 0, 500000, 0, -10, 4000000)
PIXEL = 100 / 0.9996**2 / 1e4  # hectares of UTM at its central meridian
NAMES = {0: "unchanged", 1: "burnt", 2: "newly built"}


def write_map(path: Path, values: NDArray[np.uint8], names: dict[int, str] | None = None) -> Path:
    """A raster, with category names as GDAL keeps them beside it."""
    profile = {"driver": "GTiff", "count": 1, "dtype": "uint8", "nodata": 255, "crs": CRS.from_epsg(32633)}
    profile |= {"height": values.shape[0], "width": values.shape[1], "transform": PLACE}
    with rasterio.open(path, "w", **profile) as file:
        file.write(values, 1)
    if names:
        listed = "".join(f"<Category>{escape(names.get(i, ''))}</Category>" for i in range(max(names) + 1))
        text = f'<PAMDataset><PAMRasterBand band="1"><CategoryNames>{listed}</CategoryNames></PAMRasterBand>'
        path.with_name(f"{path.name}.aux.xml").write_text(f"{text}</PAMDataset>")
    return path


def a_truth() -> NDArray[np.uint8]:
    truth = np.zeros((60, 80), dtype=np.uint8)
    truth[10:30, 10:30] = 1
    truth[35:50, 40:70] = 2
    return truth


def a_map() -> NDArray[np.uint8]:
    values = np.roll(a_truth(), 3, axis=1)
    values[35:40, 43:73] = 1  # of one kind, called the other
    values[:5] = 255
    return values


def fill(
    source: Path, target: Path, words: dict[int, str | None], edit: Callable[[Fields], None] | None = None
) -> Path:
    """The sample as somebody interprets it who knows the truth, in these words."""
    meta, _, geometry, columns = pyogrio.raw.read(source)
    fields: Fields = dict(zip(meta["fields"], columns, strict=True)) | {"geometry": geometry}
    said = a_truth()[fields["row"], fields["col"]]
    fields["reference"] = np.array([words[code] for code in said.tolist()], dtype=object)
    if edit is not None:
        edit(fields)
    geometry = fields.pop("geometry")
    pyogrio.raw.write(
        target, geometry, list(fields.values()), list(fields), geometry_type="Point", crs=meta["crs"]
    )
    return target


@pytest.fixture
def drawn(cli: Any, tmp_path: Path) -> tuple[Path, Path]:
    change, sample = write_map(tmp_path / "kinds.tif", a_map(), NAMES), tmp_path / "sample.gpkg"
    assert cli("sample", change, "--per-stratum", 60, "--seed", 2, "--output", sample) == 0
    return change, sample


def test_a_stratum_for_each_class_and_the_area_of_each_by_the_formulas(
    cli: Any, drawn: tuple[Path, Path], tmp_path: Path, capsys: Capture
) -> None:
    """Equations 1 to 11 of Olofsson et al., written again from the file alone, with Cochran's correction."""
    sample = fill(drawn[1], tmp_path / "filled.gpkg", dict(NAMES))
    found = estimates(cli, capsys, drawn[0], "--sample", sample)
    meta, _, _, columns = pyogrio.raw.read(sample)
    fields = dict(zip(meta["fields"], columns, strict=True))
    assert sorted(set(fields["stratum"].tolist())) == ["called burnt", "called newly built", "called unchanged"]
    size = np.array([(a_map() == code).sum() for code in NAMES], dtype=float)
    weight = size / size.sum()
    n = np.array(
        [
            [((fields["stratum"] == f"called {i}") & (fields["reference"] == j)).sum() for j in NAMES.values()]
            for i in NAMES.values()
        ]
    )
    assert n.sum(axis=1).tolist() == [60, 60, 60] and (n > 0).sum() == 6
    p = n / 60
    v = p * (1 - p) / 59 * (1 - 60 / size)[:, None]
    share = weight @ p
    total = size.sum() * PIXEL
    for j, name in enumerate(NAMES.values()):
        told = found["classes"][name]
        assert told["area"]["value"] == pytest.approx(share[j] * total, rel=1e-4)
        assert told["area"]["standard_error"] == pytest.approx(np.sqrt(weight**2 @ v[:, j]) * total, rel=1e-4)
        assert told["users_accuracy"]["value"] == pytest.approx(p[j, j])
        assert told["users_accuracy"]["standard_error"] == pytest.approx(np.sqrt(v[j, j]))
        producers = weight[j] * p[j, j] / share[j]
        assert told["producers_accuracy"]["value"] == pytest.approx(producers)
        others = sum(weight[i] ** 2 * v[i, j] for i in range(3) if i != j)
        variance = (weight[j] ** 2 * (1 - producers) ** 2 * v[j, j] + producers**2 * others) / share[j] ** 2
        assert told["producers_accuracy"]["standard_error"] == pytest.approx(np.sqrt(variance))
        assert told["mapped_area"] == pytest.approx(size[j] * PIXEL, rel=1e-4)
        there = ((a_truth() == j) & (a_map() != 255)).sum()
        assert told["area"]["low"] <= there * PIXEL <= told["area"]["high"]
        for k, other in enumerate(NAMES.values()):
            assert found["strata"][name]["points"][other] == n[j, k]
            assert found["strata"][name]["shares"][other] == pytest.approx(weight[j] * p[j, k])
    assert found["overall_accuracy"]["value"] == pytest.approx(weight @ np.diag(p))
    changed = found["changed"]["area"]
    assert changed["value"] == pytest.approx((share[1] + share[2]) * total, rel=1e-4)
    assert changed["standard_error"] == pytest.approx(np.sqrt(weight**2 @ v[:, 0]) * total, rel=1e-4)
    assert changed["low"] <= changed["value"] <= changed["high"]


def test_tables_have_a_line_for_each_kind(
    cli: Any, drawn: tuple[Path, Path], tmp_path: Path, capsys: Capture
) -> None:
    sample = fill(drawn[1], tmp_path / "filled.gpkg", dict(NAMES))
    found = estimates(cli, capsys, drawn[0], "--sample", sample)
    assert cli("area", drawn[0], "--sample", sample) == 0
    text = capsys.readouterr().out
    assert all(f"called {name}" in text for name in NAMES.values())
    assert "changed, all kinds" in text and "biased measure" in text
    assert cli("area", drawn[0], "--sample", sample, "--format", "csv") == 0
    lines = [line.split(",") for line in capsys.readouterr().out.splitlines()]
    told = {(line[0], line[1]): float(line[2]) for line in lines[1:] if line[1] in NAMES.values()}
    assert told["area", "newly built"] == found["classes"]["newly built"]["area"]["value"]
    assert told["producers_accuracy", "burnt"] == found["classes"]["burnt"]["producers_accuracy"]["value"]


@pytest.mark.parametrize(
    ("words", "options"),
    [
        ({0: "0", 1: "1", 2: "2"}, ()),
        ({0: "No change", 1: "BURNT", 2: "Newly  Built"}, ()),
        ({0: "meadow", 1: "burnt", 2: "newly built"}, ("--changed", "burnt,newly built", "--unchanged", "meadow")),
    ],
)
def test_kinds_are_said_by_name_or_code(
    cli: Any,
    drawn: tuple[Path, Path],
    tmp_path: Path,
    capsys: Capture,
    words: dict[int, str | None],
    options: tuple[str, ...],
) -> None:
    expected = estimates(cli, capsys, drawn[0], "--sample", fill(drawn[1], tmp_path / "f.gpkg", dict(NAMES)))
    sample = fill(drawn[1], tmp_path / "g.gpkg", words)
    assert estimates(cli, capsys, drawn[0], "--sample", sample, *options) == expected


def test_words_that_are_no_kind_are_told_with_what_is_meant(
    cli: Any, drawn: tuple[Path, Path], tmp_path: Path, capsys: Capture
) -> None:
    for word, said in (("brunt", "is 'burnt' meant?"), ("changed", "as the map calls them")):
        sample = fill(drawn[1], tmp_path / f"{word}.gpkg", dict(NAMES) | {1: word})
        line = refusal(cli, capsys, "area", drawn[0], "--sample", sample)
        assert f"'{word}' (" in line and "expected unchanged, burnt, newly built" in line and said in line
    unknown = fill(drawn[1], tmp_path / "u.gpkg", dict(NAMES) | {1: "unknown"})
    found = estimates(cli, capsys, drawn[0], "--sample", unknown)
    assert found["left_out"] > 30 and found["classes"]["burnt"]["area"]["value"] == 0


def test_python_samples_kinds_of_an_array() -> None:
    """Codes need not follow one another; a truth with these kinds answers."""
    codes = np.array([0, 3, 7], dtype=np.uint8)
    truth, change = codes[a_truth()], a_map()
    change[change != 255] = codes[change[change != 255]]
    labels = hc.Labels((truth > 0).astype(np.uint8), kinds=truth)
    sample = hc.sample_map(change, per_stratum=80, seed=1)
    assert sample.points == {"called unchanged": 80, "called kind 3": 80, "called kind 7": 80}
    found = hc.estimate_area(change, sample.answer(labels))
    for code in (3, 7):
        ends = found.areas[f"kind {code}"].interval
        assert ends.low <= (truth == code).sum() <= ends.high
    assert found.changed.interval.low <= (truth > 0).sum() <= found.changed.interval.high
    with pytest.raises(hc.errors.LabelError, match="tells no kinds of change"):
        sample.answer(hc.Labels((truth > 0).astype(np.uint8)))
    with pytest.raises(hc.errors.LabelError, match="has the kind 9, which the map does not"):
        sample.answer(hc.Labels((truth > 0).astype(np.uint8), kinds=np.full_like(truth, 9)))


def test_what_names_say_is_heard(cli: Any, tmp_path: Path, capsys: Capture, caplog: Any) -> None:
    shifted = np.where(a_map() == 255, 0, a_map() + 1).astype(np.uint8)
    names = {0: "Unclassified", 1: "stable", 2: "burnt", 3: "built"}
    change = write_map(tmp_path / "envi.tif", shifted, names)
    assert cli("sample", change, "--per-stratum", 30, "--output", tmp_path / "s.gpkg", "--json") == 0
    record = json.loads(capsys.readouterr().out)
    told = record["strata"]
    assert record["note"] == BIASED  # beside the areas of what is called so
    assert {word: each["pixels"] for word, each in told.items()} == {
        f"called {name}": int((shifted == code).sum()) for code, name in names.items() if code
    }
    sample = fill(tmp_path / "s.gpkg", tmp_path / "f.gpkg", {0: "stable", 1: "burnt", 2: "built"})
    assert set(estimates(cli, capsys, change, "--sample", sample)["classes"]) == {"stable", "burnt", "built"}
    bare = write_map(tmp_path / "bare.tif", a_map())
    assert cli("sample", bare, "--per-stratum", 30, "--output", tmp_path / "b.gpkg") == 0
    assert "has no names of its classes 0, 1, 2" in caplog.text and "called kind 2" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ({0: "water", 1: "unchanged", 2: "burnt"}, "0 ('water') and 1 ('unchanged') would be unchanged"),
        ({0: "changed", 1: "burnt", 2: "built"}, "0 ('changed') would be unchanged"),
        ({0: "unchanged", 1: "burnt", 2: "Burnt"}, "classes are called the same"),
    ],
)
def test_names_that_contradict_one_another(
    cli: Any, tmp_path: Path, capsys: Capture, names: dict[int, str], said: str
) -> None:
    change = write_map(tmp_path / "kinds.tif", a_map(), names)
    assert said in refusal(cli, capsys, "sample", change, "--output", tmp_path / "s.gpkg")
    assert not (tmp_path / "s.gpkg").exists()


def test_labels_of_1_and_2_are_no_map_of_kinds(cli: Any, tmp_path: Path, capsys: Capture) -> None:
    """Unchanged and changed by another habit: without names nobody can tell."""
    values = np.where(a_truth() > 0, 2, 1).astype(np.uint8)
    change = write_map(tmp_path / "labels.tif", values)
    assert "holds 1 and 2 and no 0, without class names" in refusal(
        cli, capsys, "sample", change, "--output", tmp_path / "s.gpkg"
    )
    named = write_map(tmp_path / "named.tif", values, {1: "unchanged", 2: "changed"})
    assert cli("sample", named, "--output", tmp_path / "s.gpkg") == 0
    assert "called changed" in capsys.readouterr().out


def test_kinds_1_and_2_alone_are_told_by_names(cli: Any, tmp_path: Path, capsys: Capture) -> None:
    """What is left of a map without its zeros could be labels: names, which the refusal asks for, tell."""
    values = a_map()
    sampled = ["--nodata", 0, "--output", tmp_path / "s.gpkg"]
    line = refusal(cli, capsys, "sample", write_map(tmp_path / "bare.tif", values), *sampled)
    assert "holds 1 and 2 and no 0, without class names" in line and "name its classes" in line
    assert not (tmp_path / "s.gpkg").exists()
    assert cli("sample", write_map(tmp_path / "named.tif", values, NAMES), *sampled) == 0
    told = capsys.readouterr().out
    assert "called burnt" in told and "called newly built" in told and "called unchanged" not in told


def test_a_kind_without_an_interpreted_point(
    cli: Any, drawn: tuple[Path, Path], tmp_path: Path, capsys: Capture
) -> None:
    def leave(fields: Fields) -> None:
        fields["reference"][fields["stratum"] == "called burnt"] = None

    sample = fill(drawn[1], tmp_path / "f.gpkg", dict(NAMES), leave)
    line = refusal(cli, capsys, "area", drawn[0], "--sample", sample)
    assert "has no interpreted points of the stratum 'called burnt'" in line
    assert shapely.from_wkb(pyogrio.raw.read(sample)[2]).size == 180
