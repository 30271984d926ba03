"""What the tests of commands share."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any

import pytest

from hsi_cd.batch import runner

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def quick(cli: Any, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The runs of a matrix in this process, without imports anew and without figures; the commands it gave."""
    commands = []

    def start(command: list[str], *, log: IO[bytes], **options: Any) -> SimpleNamespace:
        commands.append(command)
        before = capsys.readouterr()
        code = cli(*command[3:])
        said = capsys.readouterr()
        sys.stdout.write(before.out)
        sys.stderr.write(before.err)
        log.write((said.out + said.err).encode())
        return SimpleNamespace(poll=lambda: code)

    monkeypatch.setattr(runner, "start_process", start)
    monkeypatch.setattr("hsi_cd.training.run._draw", lambda *drawn: None)
    return commands


@pytest.fixture(scope="session")
def whole_map(cli: Any, dates: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the map that ``detect`` makes of the whole simulated scene, with its scores."""
    folder = tmp_path_factory.mktemp("whole")
    assert cli("detect", *dates, "--output", folder / "change.tif", "--score", folder / "score.tif") == 0
    return folder
