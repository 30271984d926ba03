"""What the tests of commands that do a matrix of runs share."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from hsi_cd.batch import matrix

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def quick(cli: Any, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The runs of a matrix in this process, without imports anew and without figures; the commands it gave."""
    commands = []

    def run(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        before = capsys.readouterr()
        code = cli(*command[3:])
        said = capsys.readouterr()
        sys.stdout.write(before.out)
        return subprocess.CompletedProcess(command, code, said.out, said.err)

    monkeypatch.setattr(matrix.subprocess, "run", run)
    monkeypatch.setattr("hsi_cd.training.run._draw", lambda *drawn: None)
    return commands
