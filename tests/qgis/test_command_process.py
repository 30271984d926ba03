"""The command as a process: progress, errors, cancel, version; a shell's program stands in where it tells more."""

from __future__ import annotations

import os
import stat
import sys
import sysconfig
import time
from pathlib import Path
from typing import Any

import pytest

from hsi_cd.datasets.simulated.simulation_files import PairFiles
from hsi_cd.progress import LineProgress
from hsi_cd.qgis import command
from hsi_cd.qgis.command import CancelledError, CommandError, Line, check_version, read_line, run_command

HSI_CD = str(Path(sysconfig.get_path("scripts")) / "hsi-cd")


@pytest.fixture
def program(tmp_path: Path) -> Any:
    """Writes a program of the shell."""

    def write(text: str, name: str = "program") -> str:
        path = tmp_path / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return str(path)

    return write


def test_the_package_s_own_lines_are_understood(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HSI_CD_PROGRESS", "0")
    with LineProgress((), desc="training", total=8, unit="epochs") as bar:
        bar.update(2)
    line = read_line(capsys.readouterr().err)
    assert (line.kind, line.share) == ("progress", 0.25) and line.text.startswith("training: 2 of 8 epochs (25 %)")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("progress: joining: 3 rows after 0:30 min\n", Line("progress", "joining: 3 rows after 0:30 min")),
        ("WARNING: 3 % are clipped\n", Line("warning", "3 % are clipped")),
        ("hsi-cd: error: no such file\n", Line("error", "no such file")),
        ("something\r\n", Line("said", "something")),
    ],
)
def test_lines_are_told_apart(text: str, line: Line) -> None:
    assert read_line(text) == line


@pytest.mark.slow
def test_progress_comes_as_often_as_it_is_asked_for(
    simulated: PairFiles, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr(command, "INTERVAL", 0)
    told: list[Line] = []
    words = [
        "detect",
        "--method",
        "cva",
        "--t1",
        simulated.t1,
        "--t2",
        simulated.t2,
        "--output",
        tmp_path / "c.tif",
    ]
    said = run_command([HSI_CD, *map(str, words)], tell=told.append)
    shares = [line.share for line in told if line.kind == "progress"]
    assert shares and max(share for share in shares if share is not None) == 1
    assert f"change map: {tmp_path / 'c.tif'}" in said and (tmp_path / "c.tif").is_file()


def test_an_error_is_its_one_line_whatever_follows(program: Any) -> None:
    failing = program("echo 'WARNING: odd' >&2; echo 'hsi-cd: error: no room' >&2; echo 'leaked' >&2; exit 2")
    told: list[Line] = []
    with pytest.raises(CommandError, match=r"^no room$"):
        run_command([failing], tell=told.append)
    assert told == [Line("warning", "odd"), Line("said", "leaked")]
    with pytest.raises(CommandError, match=r"^Segmentation fault$"):
        run_command([program("echo 'Segmentation fault' >&2; exit 139")])
    with pytest.raises(CommandError, match=r"ended with code 3, and said nothing$"):
        run_command([program("exit 3")])


def test_much_output_blocks_nothing(program: Any) -> None:
    talking = program("i=0; while [ $i -lt 3000 ]; do echo 0123456789012345678901234567890123456789; "
                      "echo 'progress: x: 1 of 2 (50 %)' >&2; i=$((i+1)); done")  # fmt: skip
    told: list[Line] = []
    assert len(run_command([talking], tell=told.append).splitlines()) == 3000 == len(told)


def test_it_runs_without_what_qgis_sets_for_itself(program: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PYTHONHOME", "PYTHONPATH", "GDAL_DATA", "PROJ_LIB"):
        monkeypatch.setenv(name, "/of/qgis")
    monkeypatch.setenv("HSI_CD_DATA", "/mine")
    said = run_command([program("env")])
    assert "/of/qgis" not in said and "HSI_CD_DATA=/mine" in said and "HSI_CD_PROGRESS=0.5" in said


def test_a_command_that_hears_ctrl_c_tidies_up(program: Any, tmp_path: Path) -> None:
    hearing = program(f"trap 'rm -f {tmp_path}/draft; exit 130' INT TERM\ntouch {tmp_path}/draft\n"
                      "echo 'progress: a: 1 of 2 (50 %)' >&2\nwhile true; do sleep 0.1; done")  # fmt: skip
    told: list[Line] = []
    with pytest.raises(CancelledError, match="cancelled"):
        run_command([hearing], tell=told.append, is_cancelled=lambda: bool(told))
    assert not (tmp_path / "draft").exists()


def test_a_command_that_does_not_hear_is_ended_with_all_it_started(
    program: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "PATIENCE", 0.3)
    deaf = program(f"trap '' INT\nsleep 600 &\necho $! > {tmp_path}/child\n"
                   "echo 'progress: a' >&2\nwhile true; do sleep 0.1; done")  # fmt: skip
    told: list[Line] = []
    with pytest.raises(CancelledError):
        run_command([deaf], tell=told.append, is_cancelled=lambda: bool(told))
    child = int((tmp_path / "child").read_text())
    assert ended(child)


def ended(pid: int) -> bool:
    """Whether a process ends within seconds; one that nobody waits for counts as ended."""
    for _ in range(100):
        try:
            os.kill(pid, 0)
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (ProcessLookupError, FileNotFoundError):
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False


def test_a_fault_of_the_listener_leaves_no_process(program: Any, tmp_path: Path) -> None:
    talking = program(f"echo $$ > {tmp_path}/pid\necho hello >&2\nexec sleep 600")

    def fail(line: Line) -> None:
        raise RuntimeError(line.text)

    with pytest.raises(RuntimeError, match="hello"):
        run_command([talking], tell=fail)
    assert ended(int((tmp_path / "pid").read_text()))


def test_this_environment_s_command_is_young_enough() -> None:
    check_version(HSI_CD, "0.1.0")
    check_version(HSI_CD, "0.0.9")
    with pytest.raises(CommandError, match=r"hsi-cd 0\.1\.0, but this plugin needs 99\.0 or later"):
        check_version(HSI_CD, "99.0")


@pytest.mark.parametrize(
    ("told", "least", "fits"),
    [
        ("1.10.0", "1.9", True),
        ("1.9", "1.10", False),
        ("0.2.0.dev3", "0.2.0", True),
        ("1", "1.0.0", True),
        ("0.1.9", "0.2", False),
    ],
)
def test_versions_are_compared_as_numbers(program: Any, told: str, least: str, fits: bool) -> None:
    answering = program(f"echo 'hsi-cd, version {told}'")
    if fits:
        check_version(answering, least)
    else:
        with pytest.raises(CommandError, match=f"is hsi-cd {told}, but this plugin needs {least} or later"):
            check_version(answering, least)


def test_what_is_no_command_is_one_line(program: Any, tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.write_text("no program")
    for words in ([str(tmp_path / "absent")], [str(plain)], [str(tmp_path)]):
        with pytest.raises(CommandError, match=r"^the command .* cannot be run \(.*\): run hsi-cd qgis install"):
            run_command(words)
    with pytest.raises(CommandError, match="is not hsi-cd: it does not tell its version"):
        check_version(sys.executable, "0.1")
