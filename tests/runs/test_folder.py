"""Run folders: what is read, what is refused."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsi_cd.errors import FormatError, HsiCdError, MissingInputError
from hsi_cd.evaluation import ClassCounts, ConfusionCounts, RunResult
from hsi_cd.runs.folder import find_runs, read_curves, read_overview, read_result

RESULT = RunResult(
    dataset="taizhou",
    method="svm",
    protocol="P1",
    scope="held-out",
    test=ClassCounts(4, 2),
    counts=ConfusionCounts(4, 0, 1, 1),
    scores={"oa": 5 / 6},
)


def make_run(folder, result=RESULT):
    folder.mkdir(parents=True)
    (folder / "result.json").write_text(json.dumps(result.to_dict()))
    return folder


def test_a_result_comes_back(tmp_path):
    assert read_result(make_run(tmp_path / "run")) == RESULT


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is damaged"),
        (b'{"version": 1', "is damaged"),
        (b"\xff\xfe", "is damaged"),
        (b"[" * 100_000, "is damaged"),
        (b'{"version": 1, "threshold": NaN}', "is damaged"),
        (b"[]", "expected an object"),
        (b'{"version": 9}', "version 9"),
    ],
)
def test_a_damaged_result_is_one_line_with_its_path(tmp_path, content, message):
    (tmp_path / "result.json").write_bytes(content)
    with pytest.raises(FormatError, match=message) as caught:
        read_result(tmp_path)
    assert str(tmp_path / "result.json") in str(caught.value)
    assert "\n" not in str(caught.value)


@given(st.binary(max_size=40), st.integers(0, 600))
def test_no_other_error_gets_out(tmp_path_factory, noise, at):
    folder = tmp_path_factory.mktemp("noise")
    whole = json.dumps(RESULT.to_dict()).encode()
    (folder / "result.json").write_bytes(whole[:at] + noise + whole[at + len(noise) :])
    try:
        read_result(folder)
    except HsiCdError as error:
        assert "\n" not in str(error)


def test_runs_are_found_by_name_and_below_a_folder(tmp_path):
    a, b = make_run(tmp_path / "runs" / "b-run"), make_run(tmp_path / "runs" / "a-run")
    (tmp_path / "runs" / "unfinished").mkdir()
    deep = make_run(tmp_path / "runs" / "more" / "c")
    assert find_runs([tmp_path / "runs"]) == [b, a, deep]
    assert find_runs([a, a / "result.json", tmp_path / "runs"]) == [a, b, deep]


def test_of_a_pattern_what_is_no_run_is_left_out_with_a_word(tmp_path, caplog):
    """As a batch leaves it: a log beside each run, and a run that did not end."""
    run = make_run(tmp_path / "a")
    (tmp_path / "a.log").write_text("0.1")
    (tmp_path / "b").mkdir()
    assert find_runs([run, tmp_path / "a.log", tmp_path / "b"]) == [run]
    assert [record.getMessage() for record in caplog.records] == [
        "left out, as no run that ended is there: a.log, b"
    ]
    with pytest.raises(MissingInputError, match=r"a\.log is a file"):
        find_runs([tmp_path / "a.log"])
    with pytest.raises(MissingInputError, match="no run folder"):
        find_runs([run, tmp_path / "none"])


def test_what_holds_no_run_is_refused(tmp_path):
    with pytest.raises(MissingInputError, match="no run folder"):
        find_runs([tmp_path / "none"])
    with pytest.raises(MissingInputError, match="has not ended"):
        find_runs([tmp_path])
    with pytest.raises(MissingInputError, match="has not ended"):
        read_result(tmp_path)


def test_curves(tmp_path):
    assert read_curves(tmp_path) == {}
    (tmp_path / "curves.csv").write_text("epoch,loss/train,kappa/val\r\n1,0.5,\r\n2,0.25,0.9\r\n3,0.")
    curves = read_curves(tmp_path)
    assert list(curves) == ["epoch", "loss/train", "kappa/val"]
    np.testing.assert_array_equal(curves["epoch"], [1, 2])
    np.testing.assert_array_equal(curves["kappa/val"], [np.nan, 0.9])
    (tmp_path / "curves.csv").write_text("epoch,loss/train\n")
    assert read_curves(tmp_path)["epoch"].shape == (0,)


@pytest.mark.parametrize(
    "content", [b"", b"step\n1\n", b"epoch,a\nx,1\n", b"epoch\n1,2\n3\n", b"epoch,epoch\n", b"\xff"]
)
def test_damaged_curves(tmp_path, content):
    (tmp_path / "curves.csv").write_bytes(content)
    with pytest.raises(FormatError, match=r"curves\.csv is damaged"):
        read_curves(tmp_path)


def test_overview(tmp_path):
    assert read_overview(tmp_path) is None
    pictures = {
        "t1": np.zeros((4, 5, 3), np.uint8),
        "t2": np.ones((4, 5, 3), np.uint8),
        "truth": np.ones((4, 5), np.uint8),
    }
    np.savez(tmp_path / "overview.npz", **pictures)
    overview = read_overview(tmp_path)
    for name, array in pictures.items():
        np.testing.assert_array_equal(getattr(overview, name), array)


@pytest.mark.parametrize(
    "changes",
    [{"t1": np.zeros((4, 4, 3), np.uint8)}, {"truth": np.zeros((4, 5))}, {"t2": None}, {"truth": np.uint8(3)}],
)
def test_damaged_overviews(tmp_path, changes):
    pictures = {
        "t1": np.zeros((4, 5, 3), np.uint8),
        "t2": np.ones((4, 5, 3), np.uint8),
        "truth": np.ones((4, 5), np.uint8),
    }
    np.savez(tmp_path / "overview.npz", **{k: v for k, v in (pictures | changes).items() if v is not None})
    with pytest.raises(FormatError, match=r"overview\.npz is damaged"):
        read_overview(tmp_path)
    (tmp_path / "overview.npz").write_bytes(b"PK")
    with pytest.raises(FormatError, match=r"overview\.npz is damaged"):
        read_overview(tmp_path)
