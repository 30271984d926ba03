"""The numbers that QGIS's models go on with stand where the commands write them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import pytest
from qgis_process import band

from hsi_cd.datasets.simulated.simulation_files import PairFiles
from hsi_cd.qgis.algorithms import ALGORITHMS
from hsi_cd.qgis.told_numbers import numbers_in

NUMBERS = {entry.command: entry.numbers for entry in ALGORITHMS if entry.numbers}


def test_all_are_found_and_are_what_the_pixels_tell(
    cli: Any, simulated: PairFiles, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change, sample, told = tmp_path / "c.tif", tmp_path / "s.gpkg", tmp_path / "n.json"
    dates = ["--t1", simulated.t1, "--t2", simulated.t2]
    capsys.readouterr()
    assert cli("detect", "--method", "cva", *dates, "--output", change, "--json") == 0
    found = {"detect": numbers_in(capsys.readouterr().out, NUMBERS["detect"])}
    assert cli("evaluate", change, "--truth", simulated.truth, "--json", told) == 0
    found["evaluate"] = numbers_in(told.read_text(), NUMBERS["evaluate"])
    assert cli("sample", change, "--per-stratum", 20, "--output", sample) == 0
    truth, mapped = band(simulated.truth), band(change)
    meta, _, shapes, columns = pyogrio.raw.read(sample, layer="reference_sample")
    points = dict(zip(meta["fields"], columns, strict=True))
    points["reference"] = np.where(truth[points["row"], points["col"]] == 1, "changed", "unchanged").astype(object)
    filled = tmp_path / "filled.gpkg"
    pyogrio.raw.write(
        filled, shapes, list(points.values()), list(points), geometry_type="Point", crs=meta["crs"], append=False
    )
    assert cli("area", change, "--sample", filled, "--json", told, "--overwrite") == 0
    found["area"] = numbers_in(told.read_text(), NUMBERS["area"])

    assert NUMBERS["predict"] == NUMBERS["detect"] and set(found) | {"predict"} == set(NUMBERS)
    for command, values in found.items():
        assert list(values) == [name for name, _, _ in NUMBERS[command]]
    assert found["detect"]["CHANGED_SHARE"] == pytest.approx((mapped == 1).sum() / (mapped != 255).sum())
    judged = (truth != 255) & (mapped != 255)
    assert found["evaluate"]["OA"] == pytest.approx((truth == mapped)[judged].mean())
    assert found["area"]["POINTS"] == 40
    own = mapped[points["row"], points["col"]]
    seen = truth[points["row"], points["col"]]
    assert found["area"]["USERS"] == pytest.approx((seen[own == 1] == 1).mean())
    assert found["area"]["USERS_LOW"] < found["area"]["USERS"] < found["area"]["USERS_HIGH"]


@pytest.mark.parametrize("text", ['{"scores": {"oa": null}}', '{"scores": {}}', '{"scores": 3}', "[]"])
def test_what_is_not_told_is_no_number(text: str) -> None:
    assert numbers_in(text, [("OA", "Overall accuracy", "scores/oa")]) == {}
