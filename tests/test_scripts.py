"""The scripts start: what they import is there, and they say what they do."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[1] / "scripts"
SCRIPTS = sorted(path for path in FOLDER.glob("*.py") if path.name != "bench_common.py")


@pytest.mark.filterwarnings("ignore")  # of what a script imports
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_script_says_what_it_does(
    script: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In this process: one of its own for each would import torch again."""
    monkeypatch.syspath_prepend(FOLDER)  # what Python does for a script
    monkeypatch.setattr(sys, "argv", [str(script), "--help"])
    monkeypatch.setenv("GDAL_CACHEMAX", "32")  # some set it where it is not set
    with pytest.raises(SystemExit) as left:
        runpy.run_path(str(script), run_name="__main__")
    assert not left.value.code
    first = next(line for line in script.read_text().splitlines() if line.startswith('"""'))
    assert " ".join(first.strip('"').split()) in " ".join(capsys.readouterr().out.split())
