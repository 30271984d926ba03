"""On which days two dates were taken."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest

import hsi_cd as hc
from hsi_cd.errors import PairError
from hsi_cd.scene.acquisition import days_of


@pytest.mark.parametrize(
    ("first", "second", "days"),
    [
        (("2021-06-01", "a"), ("2019-06-01", "b"), ("2021-06-01", "2019-06-01")),
        (
            ("2021-06-01T10:00:00", "a"),
            ("2021-06-01T09:00:00", "b"),
            ("2021-06-01T10:00:00", "2021-06-01T09:00:00"),
        ),
        (("2021-06-01T10:00:00", "a"), ("2021-06-01", "b"), ("2021-06-01", "2021-06-01")),
        (
            ("2019-06-01", "x_20210101"),
            ("2021-06-01", "x_20190101"),
            ("2019-06-01", "2021-06-01"),
        ),  # the file's own
        (("", "x_20210601.tif"), ("", "x_2019-06-01.tif"), ("2021-06-01", "2019-06-01")),
        (("", "S2A_20210601T101031"), ("", "S2B_20190601T101031"), ("2021-06-01", "2019-06-01")),
        (("", "x_2021.tif"), ("", "x_2019.tif"), ("2021", "2019")),
        (("", "tile_2048.tif"), ("", "grid_2019.tif"), None),  # a number may be anything
        (("", "x_20211399.tif"), ("", "x_20190601.tif"), None),
        (("2021-06-01", "a"), ("", "b"), None),
    ],
)
def test_what_both_tell(first: tuple[str, str], second: tuple[str, str], days: tuple[str, str] | None) -> None:
    assert days_of(first, second) == days


def test_swapped_dates_and_one_file_twice(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    r = np.random.default_rng(0)
    late, early = tmp_path / "x_20210601.npy", tmp_path / "x_20190601.npy"
    for path in (late, early):
        np.save(path, r.random((3, 12, 10), dtype=np.float32))
    with caplog.at_level(logging.WARNING, "hsi_cd"):
        hc.open_pair(early, late, axes="bands,rows,cols")
        assert caplog.text == ""
        hc.open_pair(late, early, axes="bands,rows,cols")
        assert "swap the two" in caplog.text
    with pytest.raises(PairError, match=r"are one file, .* allow_identical=True"):
        hc.open_pair(late, tmp_path / "." / late.name, axes="bands,rows,cols")
    hc.open_pair(late, late, axes="bands,rows,cols", allow_identical=True)
