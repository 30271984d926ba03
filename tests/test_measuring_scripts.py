"""The scripts that hold the core to its promises: how often it reads, and that a change of code changes no map."""

from __future__ import annotations

import csv
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from scipy.stats import chi2

from hsi_cd.datasets.simulated.simulation_files import PairFiles

SCRIPTS = Path(__file__).parent.parent / "scripts"


Script = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def script(cli: Any) -> Script:
    """Runs a script in a process of its own, in which all that it imports is there."""

    def run(name: str, *words: object) -> subprocess.CompletedProcess[str]:
        code = f"import runpy, sys; sys.path[0] = {str(SCRIPTS)!r}; runpy.run_path({str(SCRIPTS / name)!r}, "
        process = cli.fork(*words, code=f"{code} run_name='__main__')")
        out, err = process.communicate()
        return subprocess.CompletedProcess([name, *words], process.returncode, out, err)

    return run


@pytest.mark.slow
def test_a_scene_is_read_as_seldom_as_was_promised(simulated: PairFiles, script: Script) -> None:
    """At most four times to detect, five to train, and once, with few rows more, to predict."""
    files = ["--t1", simulated.t1, "--t2", simulated.t2, "--truth", simulated.truth]
    done = script("count_readings.py", *files, "--method", "logistic", "--detect", "auto,cva,irmad,superpixel")
    assert done.returncode == 0, done.stderr
    found = re.findall(r"(detect|train|predict)\D+([\d.]+) readings", done.stdout.replace("--method", ""))
    limits = {"detect": 4.0, "train": 5.0, "predict": 1.2}
    assert [command for command, _ in found] == ["detect"] * 4 + ["train", "predict"]
    for command, readings in found:
        assert 1 <= float(readings) <= limits[command], done.stdout


@pytest.fixture
def two_runs(trained: Path, tmp_path: Path) -> tuple[Path, Path]:
    """The same run below two folders."""
    for side in ("old", "new"):
        (tmp_path / side / "siamese").mkdir(parents=True)
        for name in ("change.tif", "score.tif", "result.json"):
            shutil.copy(trained / name, tmp_path / side / "siamese" / name)
    return tmp_path / "old", tmp_path / "new"


@pytest.mark.slow
def test_equal_runs_are_equal(two_runs: tuple[Path, Path], script: Script) -> None:
    done = script("compare_runs.py", *two_runs)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 of 1 runs are the same to 1e-06" in done.stdout


@pytest.mark.parametrize("what", ["map", "score", "no data", "result", "absent"])
@pytest.mark.slow
def test_runs_that_differ_are_told(two_runs: tuple[Path, Path], what: str, script: Script) -> None:
    run = two_runs[1] / "siamese"
    if what == "absent":
        (run / "result.json").unlink()
    elif what == "result":
        result: dict[str, Any] = json.loads((run / "result.json").read_text())
        result["scores"]["kappa"] += 1e-4
        (run / "result.json").write_text(json.dumps(result))
    else:
        with rasterio.open(run / ("change.tif" if what == "map" else "score.tif"), "r+") as file:
            values = file.read(1)
            values[3, 4] = {"map": 1 - min(values[3, 4], 1), "score": values[3, 4] + 1e-3, "no data": np.nan}[what]
            file.write(values, 1)
    done = script("compare_runs.py", *two_runs)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "0 of 1 runs are the same" in done.stdout


@pytest.mark.slow
def test_intervals_of_the_area_hold_the_truth_as_often_as_the_pages_say(script: Script) -> None:
    """Reckoned over all samples: in nothing below 93 %, and the usual one far less often; 120 drawn agree."""
    words = ["--draws", "120", "--shares", "0.01", "--accuracies", "0.8/0.7"]
    done = script("measure_area_coverage.py", *words)
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines()[2:] if line.startswith("|")]
    rows = [line.strip("| ").split(" | ") for line in lines]
    assert [row[2] for row in rows] == ["30 a class", "50 a class", "100 a class", "500, at least 50"]
    cells = [[tuple(map(float, cell.rstrip(")").split(" ("))) for cell in row[3:8]] for row in rows]
    assert all(reckoned >= 93 for row in cells for reckoned, _ in row[:4]), done.stdout
    assert all(row[4][0] <= 85 for row in cells), done.stdout
    # Four standard errors of a share of 120.
    off = [(true, drawn, 4 * (true * (100 - true) / 120) ** 0.5) for row in cells for true, drawn in row]
    assert all(abs(true - drawn) <= max(far, 1) for true, drawn, far in off), done.stdout
    assert done.stdout.count("of 4 designs 0 below 93") == 4
    page = (SCRIPTS.parent / "docs" / "area.md").read_text()
    again = script("measure_area_coverage.py", "--draws", "500", *words[2:]).stdout.splitlines()
    assert [line for line in again[2:] if line.startswith("|")] == [
        line for line in page.splitlines() if line.startswith("| 1 % | 0.8")
    ]


@pytest.mark.slow
def test_runs_of_peers_become_a_table_with_paired_tests(trained: Path, tmp_path: Path, script: Script) -> None:
    for method in ("siamese", "other", "third"):
        shutil.copytree(trained, tmp_path / method)
        told = json.loads((trained / "result.json").read_text())
        (tmp_path / method / "result.json").write_text(json.dumps(told | {"method": method}))
    teaches = np.load(trained / "split.npz")["train"]
    with rasterio.open(tmp_path / "other" / "change.tif", "r+") as file:
        change = file.read(1)
        change[::3] = 1 - change[::3]
        change.ravel()[teaches] = 0  # must not count
        file.write(change, 1)
    done = script("measure_peers.py", tmp_path, "--output", tmp_path / "peers.csv")
    assert done.returncode == 0, done.stderr
    with (tmp_path / "peers.csv").open(newline="") as file:
        rows = {row["method"]: row for row in csv.DictReader(file)}
    with rasterio.open(trained / "change.tif") as file:
        before = file.read(1)
    truth = np.load(trained / "overview.npz")["truth"]
    judged = truth != 255
    judged.ravel()[teaches] = False
    right, also = (before == truth)[judged], (change == truth)[judged]
    b, c = int((right & ~also).sum()), int((~right & also).sum())
    assert (int(rows["other"]["only_against"]), int(rows["other"]["only_method"])) == (b, c) and b > c > 0
    single = chi2.sf((abs(b - c) - 1) ** 2 / (b + c), 1)
    assert float(rows["other"]["p_holm"]) == pytest.approx(2 * single, rel=0.05)  # Holm: the smaller of two
    assert rows["third"]["p_holm"] == "1" and rows["siamese"]["p_holm"] == ""
    assert float(rows["siamese"]["kappa"]) == pytest.approx(told["scores"]["kappa"], abs=1e-4)
    assert re.search(r"\| other \| 0\.\d{3} \[.+\] \(1, 0:1\) \|", done.stdout)
