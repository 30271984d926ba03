"""The scripts start: what they import is there, and they say what they do."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = sorted(
    path for path in (Path(__file__).parent.parent / "scripts").glob("*.py") if path.name != "bench_common.py"
)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_script_says_what_it_does(script: Path) -> None:
    done = subprocess.run([sys.executable, script, "--help"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    first = next(line for line in script.read_text().splitlines() if line.startswith('"""'))
    assert " ".join(first.strip('"').split()) in " ".join(done.stdout.split())
