"""QGIS as a process that obeys orders (``in_qgis.py``), from a profile that has the plugin."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import rasterio

PYTHON = "/usr/bin/python3"


def why_not() -> str:
    """Why QGIS cannot be started here; empty where it can."""
    if not Path(PYTHON).exists():
        return f"no {PYTHON}"
    code = "import qgis.core; print(qgis.core.Qgis.QGIS_VERSION)"
    tried = subprocess.run([PYTHON, "-c", code], capture_output=True, text=True, check=False)
    return "" if tried.returncode == 0 else "QGIS is not installed for Debian's Python (python3-qgis)"


class Qgis:
    """A profile with the plugin, and QGIS started in it."""

    def __init__(self, folder: Path, cli: Any) -> None:
        self.home, self.profile = folder, folder / "profile"
        self.profile.mkdir()
        assert cli("qgis", "install", "--profile", self.profile) == 0

    def __call__(self, *orders: dict[str, Any]) -> dict[str, Any]:
        """What comes of orders (see ``in_qgis.py``) in one process."""
        own = {"HOME": str(self.home), "QT_QPA_PLATFORM": "offscreen", "OMP_NUM_THREADS": "1"}
        own |= {name: str(self.home) for name in ("XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME")}
        kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        script = Path(__file__).with_name("in_qgis.py")
        done = subprocess.run(
            [PYTHON, script, self.profile], input=json.dumps(orders), env=kept | own, cwd=self.home,
            capture_output=True, text=True, check=False, timeout=900,
        )  # fmt: skip
        assert done.returncode == 0 and done.stdout, done.stderr
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return found


def order(algorithm: str, *, how: dict[str, Any] | None = None, **parameters: Any) -> dict[str, Any]:
    texts = {name: str(value) if isinstance(value, Path) else value for name, value in parameters.items()}
    return {"algorithm": f"hsi_cd:{algorithm}", "parameters": texts, **(how or {})}


def band(path: Path | str) -> Any:
    with rasterio.open(path) as file:
        return file.read(1)
