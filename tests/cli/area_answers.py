"""What ``hsi-cd area`` answers, for the tests that ask it."""

from __future__ import annotations

import json
from typing import Any

import pytest

Capture = pytest.CaptureFixture[str]


def estimates(cli: Any, capsys: Capture, *words: object) -> dict[str, Any]:
    """Its estimates."""
    capsys.readouterr()
    assert cli("area", *words, "--format", "json") == 0, capsys.readouterr().err
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def refusal(cli: Any, capsys: Capture, *words: object) -> str:
    """The one line by which a command refuses."""
    capsys.readouterr()
    assert cli(*words) == 2
    said = capsys.readouterr()
    assert said.err.count("error:") == 1 and "Traceback" not in said.err and not said.out
    return next(line for line in said.err.splitlines() if "error:" in line)
