"""Two products that are no two dates of one place are told so by every command that opens them."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import deliveries
import h5py
import pytest
import rasterio

Capture = pytest.CaptureFixture[str]
Log = pytest.LogCaptureFixture


COMMANDS = ["detect", "train", "predict", "suggest", "pretrain", "register", "info"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> dict[str, Path]:
    """Two dates, the later one 50 km away, radiance in its place, a truth; nobody writes there."""
    folder = tmp_path_factory.mktemp("pairs")
    found = {"t1": deliveries.landsat(folder, 1), "t2": deliveries.landsat(folder, 2)}
    found["far"] = deliveries.copied(found["t2"], folder / "far")
    for path in found["far"].glob("*.TIF"):
        with rasterio.open(path, "r+") as file:
            file.transform = deliveries.Affine.translation(0, -50_000) @ deliveries.PLACE
    found["surface"], later = deliveries.tanager(folder, 1), deliveries.tanager(folder, 2)
    found["radiance"] = Path(shutil.copy(later, folder / later.name.replace("_sr_", "_radiance_")))
    with h5py.File(found["radiance"], "r+") as file:
        fields = file["HDFEOS/GRIDS/HYP/Data Fields"]
        fields.move("surface_reflectance", "toa_radiance")
    found["truth"] = deliveries.raster(folder / "truth.tif", deliveries.plane(deliveries.BLOCK))
    return found


@pytest.fixture(scope="module")
def run(made: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on the two dates, for predict and suggest."""
    from hsi_cd.cli.main import main

    folder = tmp_path_factory.mktemp("run") / "run"
    named = [word for name in ("t1", "t2", "truth") for word in (f"--{name}", str(made[name]))]
    words = ["train", *named, "--method", "logistic", "--set", "split.fraction=0.2", "--run", str(folder)]
    try:
        main(words)
    except SystemExit as ended:
        assert not ended.code
    return folder


def words(command: str, first: Path, second: Path, folder: Path, truth: Path, run: Path) -> list[Any]:
    if command in ("info", "register"):
        return [command, first, second]
    named = [command, "--t1", first, "--t2", second]
    return {
        "detect": [*named, "--method", "cva", "--output", folder / "c.tif"],
        "train": [
            *named,
            "--truth",
            truth,
            "--method",
            "logistic",
            "--run",
            folder / "r",
            "--set",
            "split.fraction=0.2",
        ],
        "predict": [*named, "--checkpoint", run / "best.pt", "--output", folder / "c.tif"],
        "suggest": ["suggest", run, *named[1:], "--output", folder / "next.geojson", "--number", 3],
        "pretrain": [*named, "--run", folder / "r", "--set", "pretrain.epochs=1"],
    }[command]


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        (
            "t1",
            "far",
            r"are of other places and share no ground: their middles lie \d+(\.\d+)? km apart;",
        ),
        ("surface", "radiance", r"in reflectance, but t2 .* in radiance: order both dates of one level"),
    ],
    ids=["places", "units"],
)
@pytest.mark.quick("places-*", "units-detect", "units-info")
def test_what_is_no_pair_is_refused(
    cli: Any, made: dict[str, Path], run: Path, tmp_path: Path, capsys: Capture, command: str, first: str,
    second: str, said: str,
) -> None:  # fmt: skip
    code = cli(*words(command, made[first], made[second], tmp_path, made["truth"], run))
    shown = capsys.readouterr()
    if command == "info":
        assert code == 0
        (line,) = [line for line in shown.out.splitlines() if line.startswith("  pair ")]
        if second == "radiance":
            assert "  grid        not compared" in shown.out and "  bands       not compared" in shown.out
        assert line.startswith("  pair        does not fit, because") and "next: hsi-cd" not in shown.out
    else:
        assert code == 2 and shown.err.count("\n") == 1
        line = shown.err
    assert re.search(said, line), line
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.quick("detect", "info")
def test_dates_in_the_wrong_order_are_told(
    cli: Any, made: dict[str, Path], run: Path, tmp_path: Path, caplog: Log, command: str
) -> None:
    for first, second, told in (("t2", "t1", 1), ("t1", "t2", 0)):
        caplog.clear()
        place = tmp_path / first
        place.mkdir()
        cli(*words(command, made[first], made[second], place, made["truth"], run))
        said = [record.getMessage() for record in caplog.records]
        assert sum(" is of 2023-07-24" in each and each.endswith("swap the two") for each in said) == told, said
