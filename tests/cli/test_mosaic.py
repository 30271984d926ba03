"""One scene over several processes: predict --shard, then mosaic."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import scipy.io

from hsi_cd.datasets.simulated.simulation_files import PairFiles
from hsi_cd.io.raster import quiet_georeference

Capture = pytest.CaptureFixture[str]
MAPS = {"--output": "change", "--score": "score", "--uncertainty": "uncertainty"}


def maps(folder: Path, which: object = "", options: dict[str, str] = MAPS) -> list[object]:
    return [word for option, name in options.items() for word in (option, folder / f"{name}{which}.tif")]


def predict_shards(
    cli: Any, words: list[object], folder: Path, count: int, options: dict[str, str] = MAPS
) -> None:
    folder.mkdir()
    for number in range(1, count + 1):
        assert cli(*words, *maps(folder, number, options), "--shard", f"{number}/{count}") == 0


@pytest.fixture(scope="module")
def words(trained: Path, dates: list[str]) -> list[object]:
    return ["predict", "--checkpoint", trained / "best.pt", *dates, "--device", "cpu"]


@pytest.fixture(scope="module")
def parts(cli: Any, words: list[object], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of eight shards of three maps; nobody writes into it."""
    folder = tmp_path_factory.mktemp("mosaic") / "parts"
    predict_shards(cli, words, folder, 8)
    return folder


@pytest.mark.parametrize("more", [[], ["--cog"]])
@pytest.mark.quick("more0")
def test_eight_shards_equal_one_process(
    cli: Any, words: list[object], parts: Path, tmp_path: Path, capsys: Capture, more: list[str]
) -> None:
    assert cli(*words, *maps(tmp_path), *more) == 0
    capsys.readouterr()
    assert cli("mosaic", *sorted(parts.iterdir()), *maps(tmp_path, "-joined"), *more) == 0
    out, err = capsys.readouterr()
    assert err == "" and out.splitlines()[0] == f"change map: {tmp_path / 'change-joined.tif'}"
    for name in MAPS.values():
        assert (tmp_path / f"{name}.tif").read_bytes() == (tmp_path / f"{name}-joined.tif").read_bytes()
    beside = [path for path in tmp_path.iterdir() if path.suffix != ".tif"]
    assert len(beside) == 8 and {path.suffix for path in beside} == {".qml", ".xml"}
    for name in MAPS.values():
        assert (tmp_path / f"{name}.qml").read_bytes() == (tmp_path / f"{name}-joined.qml").read_bytes()


def test_shards_of_refitted_statistics_and_another_threshold(
    cli: Any, words: list[object], tmp_path: Path
) -> None:
    words = [*words, "--refit-statistics", "--threshold", "0.6"]
    two = {option: name for option, name in MAPS.items() if name != "uncertainty"}
    assert cli(*words, *maps(tmp_path, "", two)) == 0
    predict_shards(cli, words, tmp_path / "parts", 3, two)
    assert cli("mosaic", *(tmp_path / "parts").iterdir(), *maps(tmp_path, "-joined", two)) == 0
    for name in two.values():
        assert (tmp_path / f"{name}.tif").read_bytes() == (tmp_path / f"{name}-joined.tif").read_bytes()


def test_shards_take_the_georeference_of_another_raster(
    cli: Any, trained: Path, simulated: PairFiles, tmp_path: Path
) -> None:
    for date in ("t1", "t2"):
        with rasterio.open(getattr(simulated, date)) as file:
            scipy.io.savemat(tmp_path / f"{date}.mat", {"image": file.read().transpose(1, 2, 0)})
    words = ["predict", "--checkpoint", trained / "best.pt", "--like", simulated.truth]
    words += ["--t1", tmp_path / "t1.mat", "--t2", tmp_path / "t2.mat"]
    vector = ["--vector", tmp_path / "whole.geojson"]
    two = {option: name for option, name in MAPS.items() if name != "uncertainty"}
    assert cli(*words, *maps(tmp_path, "", two), *vector) == 0
    predict_shards(cli, words, tmp_path / "parts", 2, two)
    vector = ["--vector", tmp_path / "joined.geojson"]
    assert cli("mosaic", *(tmp_path / "parts").iterdir(), *maps(tmp_path, "-joined", two), *vector) == 0
    for first, second in (("change.tif", "change-joined.tif"), ("whole.geojson", "joined.geojson")):
        assert (tmp_path / first).read_bytes() == (tmp_path / second).read_bytes()
    with rasterio.open(simulated.truth) as truth, rasterio.open(tmp_path / "parts" / "change2.tif") as part:
        assert part.crs == truth.crs
        assert part.transform @ (0, 0) == pytest.approx(truth.transform @ (0, 24))


def test_shards_of_aligned_dates(cli: Any, trained: Path, simulated: PairFiles, tmp_path: Path) -> None:
    with rasterio.open(simulated.t2) as file:
        values, profile, tags = file.read(), file.profile, [file.tags(band) for band in file.indexes]
    profile["transform"] = profile["transform"] @ profile["transform"].translation(0.4, -0.3)
    with rasterio.open(tmp_path / "t2.tif", "w", **profile) as file:
        file.write(values)
        for band, own in zip(file.indexes, tags, strict=True):
            file.update_tags(band, **own)
    words = ["predict", "--checkpoint", trained / "best.pt", "--t1", simulated.t1, "--t2", tmp_path / "t2.tif"]
    words += ["--align"]
    assert cli(*words, *maps(tmp_path)) == 0
    predict_shards(cli, words, tmp_path / "parts", 3)
    assert cli("mosaic", *(tmp_path / "parts").iterdir(), *maps(tmp_path, "-joined")) == 0
    for name in MAPS.values():
        assert (tmp_path / f"{name}.tif").read_bytes() == (tmp_path / f"{name}-joined.tif").read_bytes()


def test_a_method_without_labels_is_frozen_then_mapped_in_shards(
    cli: Any, dates: list[str], tmp_path: Path, capsys: Capture
) -> None:
    """Measured once, so that every shard uses the same statistics and threshold."""
    two = {option: name for option, name in MAPS.items() if name != "uncertainty"}
    kept = tmp_path / "cva.pt"
    assert cli("detect", "--method", "cva", *dates, "--set", "threshold=otsu", "--save", kept) == 0
    out = capsys.readouterr().out
    assert f"checkpoint: {kept}" in out and "change map" not in out
    assert [path.name for path in tmp_path.iterdir()] == ["cva.pt"]
    vector = tmp_path / "whole.geojson"
    assert (
        cli(
            "detect",
            "--method",
            "cva",
            *dates,
            "--set",
            "threshold=otsu",
            "--vector",
            vector,
            *maps(tmp_path, "", two),
        )
        == 0
    )
    predict_shards(cli, ["predict", "--checkpoint", kept, *dates], tmp_path / "parts", 3, two)
    joined = ["mosaic", *(tmp_path / "parts").iterdir(), *maps(tmp_path, "-joined", two)]
    capsys.readouterr()
    assert cli(*joined, "--vector", tmp_path / "joined.geojson") == 2
    assert "give its checkpoint as --checkpoint" in capsys.readouterr().err
    assert cli(*joined, "--vector", tmp_path / "joined.geojson", "--checkpoint", kept) == 0
    for name in two.values():
        with rasterio.open(tmp_path / f"{name}.tif") as a, rasterio.open(tmp_path / f"{name}-joined.tif") as b:
            np.testing.assert_array_equal(a.read(1), b.read(1))
    assert vector.read_bytes() == (tmp_path / "joined.geojson").read_bytes()


def test_a_detector_that_is_neither_mapped_nor_kept_is_refused(
    cli: Any, dates: list[str], tmp_path: Path, capsys: Capture
) -> None:
    for more in (
        [],
        ["--save", tmp_path / "a.pt", "--score", tmp_path / "s.tif"],
        ["--score", tmp_path / "s.tif"],
    ):
        assert cli("detect", "--method", "cva", *dates, *more) == 2
        assert "no map is named: give --output FILE, or --save FILE" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--shard", "9/8"], "there is no shard 9/8"),
        (["--shard", "two"], "'two' names no shard: give its number and how many there are, as 1/8 to 8/8"),
        (["--shard", "1/49"], "a scene of 48 rows cannot be cut into 49 shards"),
        (["--shard", "1/2", "--cog"], "--cog is for the whole map: give it to hsi-cd mosaic"),
        (["--shard", "1/2", "--vector", "v.gpkg"], "--vector is for the whole map: give it to hsi-cd mosaic"),
    ],
)
def test_a_shard_that_cannot_be_is_told(
    cli: Any, words: list[object], tmp_path: Path, capsys: Capture, more: list[str], message: str
) -> None:
    assert cli(*words, "--output", tmp_path / "c.tif", *more) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1) and message in err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (["change[1-7].tif"], "of the change map shard 8/8 is missing"),
        (["change*.tif", "score*.tif"], "is a shard of the score, which is not asked for: give --score FILE"),
        (["change*.tif", "change3.tif"], "are both shard 3/8 of the change map: leave one out"),
        (["score*.tif"], "none of the files is a shard of the change map"),
    ],
)
def test_what_makes_no_whole_is_refused(
    cli: Any, parts: Path, tmp_path: Path, capsys: Capture, files: list[str], message: str
) -> None:
    named = [path for pattern in files for path in sorted(parts.glob(pattern))]
    assert cli("mosaic", *named, "--output", tmp_path / "c.tif") == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1) and message in err
    assert not list(tmp_path.iterdir())


def test_mixtures_are_refused(
    cli: Any, words: list[object], parts: Path, trained: Path, tmp_path: Path, capsys: Capture
) -> None:
    """Another threshold, another precision, a map of the whole, another checkpoint, a name that is taken."""
    others = [
        (["--threshold", "0.9"], "threshold"),
        (["--precision", "bfloat16"], "PRECISION"),
        ([], "no shard of a"),
    ]
    rest = [path for path in sorted(parts.glob("change*.tif")) if path.name != "change2.tif"]
    for number, (more, message) in enumerate(others):
        other = tmp_path / f"{number}.tif"
        assert cli(*words, "--output", other, *more, *(["--shard", "2/8"] if more else [])) == 0
        capsys.readouterr()
        assert cli("mosaic", *rest, other, "--output", tmp_path / "c.tif") == 2
        err = capsys.readouterr().err
        assert err.count("\n") == 1 and message in err
    whole = sorted(parts.glob("change*.tif"))
    assert cli("mosaic", *whole, "--output", tmp_path / "c.tif", "--checkpoint", trained / "last.pt") == 2
    assert "did not make these shards" in capsys.readouterr().err
    assert cli("mosaic", *whole, "--output", tmp_path / "0.tif") == 2
    assert "exists: pass --overwrite" in capsys.readouterr().err
    assert not (tmp_path / "c.tif").exists()
    assert cli("mosaic", *whole, "--output", tmp_path / "0.tif", "--overwrite") == 0
    with quiet_georeference(), rasterio.open(tmp_path / "0.tif") as joined:
        assert joined.shape == (48, 40)


WITHOUT_TORCH = """
import sys
from hsi_cd.cli.main import run

code = run(sys.argv[1:])
sys.exit("torch" in sys.modules or code)
"""


def test_joining_needs_no_torch(cli: Any, parts: Path, tmp_path: Path) -> None:
    words = ["mosaic", *parts.glob("change*.tif"), "--output", tmp_path / "c.tif"]
    done = cli.process(*words, code=WITHOUT_TORCH)
    assert (done.returncode, done.stderr) == (0, "")
