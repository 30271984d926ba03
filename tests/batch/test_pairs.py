"""Scene pairs from a table, and from files whose names tell a date."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsi_cd.batch.pairs import Pair, find_pairs, read_pairs
from hsi_cd.errors import ConfigError, HsiCdError, MissingInputError


def test_a_table(tmp_path: Path) -> None:
    path = tmp_path / "pairs.csv"
    path.write_text(
        "\ufeffname, t2 ,t1,checkpoint\nfield,b.tif, a.tif ,\n\n,/d/b.mat,sub/a.mat,c.pt\n", encoding="utf-8"
    )
    assert read_pairs(path) == [
        Pair("field", tmp_path / "a.tif", tmp_path / "b.tif"),
        Pair("a_b", tmp_path / "sub/a.mat", Path("/d/b.mat"), tmp_path / "c.pt"),
    ]


REFUSED = {
    "empty": ("", "is empty"),
    "header alone": ("t1,t2\n", "holds no pair"),
    "column": ("t1,t2,chekpoint\na,b,c\n", "line 1: there is no column 'chekpoint': did you mean checkpoint?"),
    "no t2": ("name,t1\na,b\n", "line 1: column t2 is missing"),
    "twice": ("t1,t2,t1\na,b,c\n", "line 1: a column is there twice"),
    "short line": ("t1,t2\na,b\n\nc\n", "line 4 has 1 cells, but there are 2 columns"),
    "no file": ("t1,t2\na,b\n,d\n", "line 3: t1 is empty"),
    "name": ("name,t1,t2\n../x,a,b\n", "line 2: name is '../x'"),
    "same name": ("name,t1,t2\nx,a,b\nx,c,d\n", "line 3: there is a pair called x already"),
    "no number": ("t1,t2,nodata\na,b,none\n", "line 2: nodata is 'none': give numbers with spaces"),
    "quotes": ('t1,t2\n"a,b\n', "is no CSV file"),
}


@pytest.mark.parametrize(("text", "message"), REFUSED.values(), ids=REFUSED)
def test_a_table_that_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "pairs.csv"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_pairs(path)
    assert message in str(caught.value) and str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_no_table(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match="is not a file"):
        read_pairs(tmp_path / "none.csv")
    (tmp_path / "latin.csv").write_bytes(b"t1,t2\n\xff,b\n")
    with pytest.raises(ConfigError, match="is no CSV file"):
        read_pairs(tmp_path / "latin.csv")


def make(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def found(root: Path, pattern: str, *, ends: bool = False) -> dict[str, tuple[str, str]]:
    pairs = find_pairs(pattern, root, ends=ends, where="m.yaml, line 3: predict.pattern")
    assert len({pair.name for pair in pairs}) == len(pairs)
    return {p.name: (str(p.t1.relative_to(root)), str(p.t2.relative_to(root))) for p in pairs}


def test_dates_in_names(tmp_path: Path) -> None:
    names = ["a_20200105.tif", "a_20191231.tif", "a_20210101.tif", "b-c_20200101.tif", "b-c_20200301.tif"]
    make(tmp_path, *(f"s/{name}" for name in names), "s/a_20201399.tif", "s/a_2020.tif", "s/single_20200101.tif")
    pattern = "s/{name}_{date:%Y%m%d}.tif"
    assert found(tmp_path, pattern) == {
        "a_20191231_20200105": ("s/a_20191231.tif", "s/a_20200105.tif"),
        "a_20200105_20210101": ("s/a_20200105.tif", "s/a_20210101.tif"),
        "b-c_20200101_20200301": ("s/b-c_20200101.tif", "s/b-c_20200301.tif"),
    }
    assert set(found(tmp_path, pattern, ends=True)) == {"a_20191231_20210101", "b-c_20200101_20200301"}
    absolute = str(tmp_path / "s") + "/{name}_{date:%Y%m%d}.tif"
    assert found(tmp_path, absolute) == found(tmp_path, pattern)


def test_folders_and_times_in_names(tmp_path: Path) -> None:
    make(tmp_path, "y/y_2020-01-01T0930.tif", "y/y_2020-01-01T1845.tif")
    assert found(tmp_path, "{name}/{name}_{date:%Y-%m-%dT%H%M}.tif") == {
        "y_20200101T093000_20200101T184500": ("y/y_2020-01-01T0930.tif", "y/y_2020-01-01T1845.tif")
    }
    make(tmp_path, "z/S2A_z_2020123.hdr", "z/S2B_z_2020124.hdr", "z/S2B_other_2020125.hdr")
    assert found(tmp_path, "{name}/S2*_{name}_{date:%Y%j}.hdr") == {
        "z_20200502_20200503": ("z/S2A_z_2020123.hdr", "z/S2B_z_2020124.hdr")
    }
    make(tmp_path, "2019/07.tif", "2021/01.tif")
    assert found(tmp_path, "{date:%Y}/{date:%m}.tif") == {
        "scene_20190701_20210101": ("2019/07.tif", "2021/01.tif")
    }


@given(st.sets(st.integers(0, 4000), min_size=2, max_size=12))
def test_each_date_is_paired_with_the_next(tmp_path_factory: pytest.TempPathFactory, days: set[int]) -> None:
    root = tmp_path_factory.mktemp("dates")
    dates = sorted(date(2015, 1, 1) + timedelta(day) for day in days)
    make(root, *(f"p.q_{day:%y%b%d}.tif" for day in reversed(dates)))
    pairs = found(root, "{name}_{date:%y%b%d}.tif")
    assert list(pairs) == [f"p.q_{a:%Y%m%d}_{b:%Y%m%d}" for a, b in pairwise(dates)]
    assert list(pairs.values()) == [(f"p.q_{a:%y%b%d}.tif", f"p.q_{b:%y%b%d}.tif") for a, b in pairwise(dates)]


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("{name}.tif", "it tells no date"),
        ("{nam}_{date:%Y}.tif", "{nam} is not known"),
        ("{date:%Q}.tif", "%Q is not known in a date"),
        ("none_{date:%Y%m%d}.tif", "no file below"),
        ("{name}_{date:%m%d}.tif", "its dates tell no year"),
        ("{name}_{date:}.tif", "it tells no date"),
        ("{name}_{date:%Y}.tif", "only single dates are there, of one"),
        ("*_{date:%Y}.tif", "are both scene at 2020"),
    ],
)
def test_a_pattern_that_is_refused(tmp_path: Path, pattern: str, message: str) -> None:
    make(tmp_path, "one_2020.tif", *(["two_2020.tif"] if pattern.startswith("*") else []))
    with pytest.raises(HsiCdError) as caught:
        found(tmp_path, pattern)
    assert message in str(caught.value) and str(caught.value).startswith("m.yaml, line 3: predict.pattern")


def test_a_pattern_says_what_it_leaves_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    names = ["a_20200101.tif", "a_20210101.tif", "b_20200101.TIF", "b_20210101.TIF", "c_20200101.tif"]
    make(tmp_path, *(f"s/{name}" for name in (*names, "c_20211301.tif", "d_20200101.tif")))
    make(tmp_path, "s/a_20200101.tif.msk", "s/a_20200101.hdr", "s/.hidden", "s/notes.txt", "other/e_20200101.TIF")
    for pattern in ("s/{name}_{date:%Y%m%d}.tif", f"{tmp_path}/s/{{name}}_{{date:%Y%m%d}}.tif"):
        caplog.clear()
        assert list(found(tmp_path, pattern)) == ["a_20200101_20210101"]
        assert [record.getMessage() for record in caplog.records] == [
            "5 files are left out: b_20200101.TIF, b_20210101.TIF (fit no pattern); c_20211301.tif (no readable "
            "date); c_20200101.tif, d_20200101.tif (no partner)"
        ]
    caplog.clear()
    make(tmp_path, "other/e_20200102.TIF")
    assert len(found(tmp_path, "other/{name}_{date:%Y%m%d}.TIF")) == 1
    assert not caplog.records


def test_a_date_in_several_places_must_be_one(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A year told by a folder and by a file's name; strptime itself fails on that."""
    make(tmp_path, "2020/a_20200101.tif", "2021/a_20210101.tif", "2021/a_20220101.tif")
    assert list(found(tmp_path, "{date:%Y}/{name}_{date:%Y%m%d}.tif")) == ["a_20200101_20210101"]
    assert [record.getMessage() for record in caplog.records] == [
        "1 file is left out: a_20220101.tif (fit no pattern)"
    ]


def test_day_366_of_a_year_that_has_none_is_no_date(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    make(tmp_path, "a_2020001.tif", "a_2020366.tif", "a_2021366.tif")
    assert list(found(tmp_path, "{name}_{date:%Y%j}.tif")) == ["a_20200101_20201231"]
    assert "a_2021366.tif (no readable date)" in caplog.text


def test_brackets_of_a_pattern_are_letters(tmp_path: Path) -> None:
    make(tmp_path, "s [1]/a_2020.tif", "s [1]/a_2021.tif")
    assert list(found(tmp_path, "s [1]/{name}_{date:%Y}.tif")) == ["a_20200101_20210101"]


def test_a_pattern_with_folders_looks_into_each(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    make(tmp_path, "2019/07.tif", "2021/01.tif", "2021/1.tif")
    (tmp_path / "2021" / "02.tif").mkdir()  # a folder may be an image, too
    assert len(found(tmp_path, "{date:%Y}/{date:%m}.tif")) == 2
    assert [record.getMessage() for record in caplog.records] == ["1 file is left out: 1.tif (fit no pattern)"]


def test_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    make(tmp_path, "s/a_2020.tif", "s/a_2021.tif")
    (pair,) = find_pairs("~/s/{name}_{date:%Y}.tif", tmp_path / "elsewhere", ends=False, where="m.yaml")
    assert (pair.t1, pair.t2) == (tmp_path / "s/a_2020.tif", tmp_path / "s/a_2021.tif")
    table = tmp_path / "pairs.csv"
    table.write_text("t1,t2,checkpoint\n~/a.tif,b.tif,~/best.pt\n")
    assert read_pairs(table) == [
        Pair("a_b", tmp_path / "a.tif", tmp_path / "b.tif", tmp_path / "best.pt"),
    ]


def test_a_zero_byte_in_a_table(tmp_path: Path) -> None:
    (tmp_path / "pairs.csv").write_bytes(b"name,t1,t2\nx,a\0.tif,b.tif\n")
    with pytest.raises(ConfigError, match="is no CSV file: line 2 holds a zero byte"):
        read_pairs(tmp_path / "pairs.csv")
