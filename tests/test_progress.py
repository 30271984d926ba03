from __future__ import annotations

import io
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hsi_cd import progress as module
from hsi_cd.batch.runner import reason_in
from hsi_cd.progress import INTERVAL, MARK, LineProgress, progress


class Clock:
    """A clock that the test turns."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_log_has_a_line_every_half_minute(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in LineProgress(range(100), desc="scoring", total=100, unit="bands", clock=clock):
        clock.now += 10
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1000 // INTERVAL
    assert lines[0] == "progress: scoring: 3 of 100 bands (3 %) after 0:30 min, about 16:10 min left"
    assert lines[-1] == "progress: scoring: 99 of 100 bands (99 %) after 16:30 min, about 0:10 min left"


def test_what_takes_less_writes_nothing(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in LineProgress(range(29), desc="scoring", clock=clock):
        clock.now += 1
    assert capsys.readouterr().err == ""


def test_what_was_done_before_does_not_shorten_the_rest(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    bar = LineProgress((), desc="training", total=100, unit="epochs", initial=90, clock=clock)
    with bar:
        clock.now += 7200
        bar.set_postfix({"loss": "0.1"})
        bar.update(5)
    assert capsys.readouterr().err == (
        "progress: training: 95 of 100 epochs (95 %) after 2 h 00 min, about 2 h 00 min left; loss=0.1\n"
    )


def test_without_a_total_it_counts(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    bar: LineProgress[int] = LineProgress(desc="a", unit="rows", clock=clock)
    bar.set_description("b")
    bar.set_postfix_str("2 failed")
    clock.now += INTERVAL
    bar.update(1234)
    assert capsys.readouterr().err == "progress: b: 1,234 rows after 0:30 min; 2 failed\n"


def test_items_pass_through_and_are_not_read_ahead(clock: Clock) -> None:
    drawn = []

    def items() -> Iterator[int]:
        for i in range(3):
            drawn.append(i)
            yield i

    for item in LineProgress(items(), desc="a", clock=clock):
        assert drawn[-1] == item
    assert drawn == [0, 1, 2]


def test_a_terminal_has_a_bar_and_a_pipe_has_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal, pipe = Terminal(), io.StringIO()
    monkeypatch.setattr(sys, "stderr", terminal)
    assert list(progress(range(3), desc="scoring", leave=True)) == [0, 1, 2]
    assert "scoring: 100%" in terminal.getvalue() and MARK not in terminal.getvalue()
    monkeypatch.setattr(sys, "stderr", pipe)
    monkeypatch.setattr(module, "INTERVAL", 0.0)
    assert list(progress(range(3), desc="scoring")) == [0, 1, 2]
    assert pipe.getvalue().count(MARK) == 3 and "\r" not in pipe.getvalue()


@pytest.mark.parametrize("stream", [Terminal, io.StringIO])
def test_where_errors_alone_are_asked_for_nothing_is_shown(
    monkeypatch: pytest.MonkeyPatch, stream: type[io.StringIO]
) -> None:
    shown = stream()
    monkeypatch.setattr(sys, "stderr", shown)
    monkeypatch.setattr(module, "INTERVAL", 0.0)
    logger = logging.getLogger("hsi_cd")
    monkeypatch.setattr(logger, "level", logging.ERROR)
    logger.manager._clear_cache()
    assert list(progress(range(3), desc="scoring")) == [0, 1, 2]
    with progress((), desc="a", total=2) as bar:
        bar.update(2)
    assert shown.getvalue() == ""


def test_progress_is_no_reason_for_a_failure(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text(f"hsi-cd: error: no room\n{MARK}training: 3 of 4\n")
    assert reason_in(log) == "no room"
    log.write_text(f"{MARK}training: 3 of 4\n")
    assert reason_in(log) == ""


def test_the_environment_asks_for_lines_more_often(
    clock: Clock, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HSI_CD_PROGRESS", "2.5")
    for _ in LineProgress(range(10), desc="scoring", clock=clock):
        clock.now += 1
    assert capsys.readouterr().err.count(MARK) == 3


@pytest.mark.parametrize("asked", ["often", "-1", "nan", "inf"])
def test_what_is_no_interval_is_one_line_before_any_work(
    cli: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, asked: str
) -> None:
    monkeypatch.setenv("HSI_CD_PROGRESS", asked)
    assert cli("methods") == 2
    told = capsys.readouterr()
    assert told.out == "" and told.err.count("\n") == 1
    assert told.err.startswith(
        f"hsi-cd: error: HSI_CD_PROGRESS is {asked!r} in the environment: set it to seconds"
    )
