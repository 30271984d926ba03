import math
from pathlib import Path

import pytest

from hsi_cd.training.tracking import Tracker


def write(folder: Path, epochs: range, *, resume_at: int = 0, **options: tuple[str, ...]) -> None:
    tracker = Tracker(folder, resume_at=resume_at, **options)
    for epoch in epochs:
        values = {"loss/train": 1 / epoch, "lr": 1e-3} | ({"loss/val": 0.123456789} if epoch % 2 == 0 else {})
        tracker.scalars(epoch, values | {"kappa/val": math.nan})
    tracker.close()


def columns(folder: Path) -> list[list[str]]:
    """The log without the time of each line."""
    return [line.split()[2:] for line in (folder / "train.log").read_text().splitlines()]


def test_the_log_stands_in_columns(tmp_path: Path) -> None:
    write(tmp_path, range(1, 12))
    lines = (tmp_path / "train.log").read_text().splitlines()
    assert len({len(line) for line in lines}) == 1
    assert columns(tmp_path)[2] == ["2", "0.5", "0.123457", "-", "0.001"]
    assert lines[1].index("0.001") + len("0.001") == lines[0].index("lr") + len("lr")  # to the right


def test_a_resumed_run_goes_on_where_it_saved(tmp_path: Path) -> None:
    write(tmp_path / "whole", range(1, 9))
    write(tmp_path / "stopped", range(1, 7))
    write(tmp_path / "stopped", range(4, 9), resume_at=3)
    assert columns(tmp_path / "stopped") == columns(tmp_path / "whole")
    texts = [(tmp_path / run / "curves.csv").read_text() for run in ("stopped", "whole")]
    assert texts[0] == texts[1]


@pytest.mark.parametrize("cut", range(2, 80, 13))
def test_a_line_that_was_cut_off_by_a_kill_is_dropped(tmp_path: Path, cut: int) -> None:
    write(tmp_path, range(1, 6))
    path = tmp_path / "train.log"
    path.write_text(path.read_text()[:-cut])
    write(tmp_path, range(6, 8), resume_at=5)
    assert [row[0] for row in columns(tmp_path)] == ["epoch", "1", "2", "3", "4", "6", "7"]


def test_a_run_that_saved_nothing_begins_anew(tmp_path: Path) -> None:
    write(tmp_path, range(1, 6))
    write(tmp_path, range(1, 3))
    assert [row[0] for row in columns(tmp_path)] == ["epoch", "1", "2"]


def test_other_curves_have_other_columns(tmp_path: Path) -> None:
    write(tmp_path, range(1, 3), curves=("a name of some length", "loss/train"))
    lines = (tmp_path / "train.log").read_text().splitlines()
    assert lines[1].split()[2:] == ["1", "-", "1"] and len({len(line) for line in lines}) == 1
    write(tmp_path, range(3, 4), resume_at=2, curves=("a name of some length", "loss/train"))
    assert len((tmp_path / "train.log").read_text().splitlines()) == 4


def test_sessions_of_the_same_second_keep_their_events(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: 1e9)
    for start in range(3):
        write(tmp_path, range(start + 1, start + 2), resume_at=start)
    assert len(list(tmp_path.glob("events.out.tfevents.*"))) == 3
