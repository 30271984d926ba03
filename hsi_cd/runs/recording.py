"""What a run says of itself: the command, the code, the machine and the time, as it starts and as it ends."""

from __future__ import annotations

import platform
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import hsi_cd
from hsi_cd.errors import HsiCdError, Preempted
from hsi_cd.evaluation.records import Fact
from hsi_cd.io import write_json
from hsi_cd.runs.folder import read_provenance
from hsi_cd.runs.identity import file_identity
from hsi_cd.runs.provenance import Provenance, Session


@contextmanager
def recording(
    path: Path,
    command: Sequence[str],
    *,
    machine: Mapping[str, Fact],
    inputs: Iterable[Path] = (),
    pixels: str | None = None,
    labels: str | None = None,
) -> Iterator[None]:
    """Add this process to a provenance file: at once, and again with its time and outcome when the block ends.

    Args:
        path: the file, ``provenance.json``; earlier sessions in it are kept.
        command: what was typed.
        machine: what it runs on, as :func:`hsi_cd.runtime.device.machine` tells.
        inputs: files that are read.
        pixels: digest of the scene's pixels, as they are read.
        labels: digest of its truth map.

    Raises:
        OutputError: the file cannot be written.
    """
    try:
        earlier = read_provenance(path).sessions
    except HsiCdError:  # none yet, or a damaged one, which must not stop the run
        earlier = ()
    session = Session(
        command=tuple(command),
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        host=platform.node(),
        hardware=dict(machine),
        versions=versions(),
        commits=commits(),
        inputs={str(source): file_identity(source) for source in inputs},
        pixels=pixels,
        labels=labels,
    )
    write_json(path, Provenance((*earlier, session)).to_dict(), overwrite=True)
    started = time.perf_counter()
    outcome = "failed"
    try:
        yield
        outcome = "finished"
    except Preempted:
        outcome = "pre-empted"
        raise
    except KeyboardInterrupt:
        outcome = "interrupted"
        raise
    finally:
        # A run that was refused before it learned anything takes its folder back.
        if path.parent.is_dir():
            ended = replace(session, seconds=time.perf_counter() - started, outcome=outcome)
            write_json(path, Provenance((*earlier, ended)).to_dict(), overwrite=True)


def versions() -> dict[str, str]:
    """Versions by package of what decides a run's numbers."""
    import numpy as np
    import rasterio
    import scipy
    import sklearn

    return {
        "hsi-cd": hsi_cd.__version__,
        "python": platform.python_version(),
        "torch": metadata.version("torch"),  # not imported: a list of runs needs no network
        "numpy": np.__version__,
        "scipy": scipy.__version__,
        "scikit-learn": sklearn.__version__,
        "rasterio": rasterio.__version__,
        "gdal": rasterio.__gdal_version__,
    }


def commits() -> dict[str, str]:
    """The git commits of the software and of the folder the command was given in; none where there is no git."""
    source = Path(hsi_cd.__file__)
    found = {"folder": _commit(Path.cwd())}
    # An installed package may lie inside somebody's checkout without being of it.
    if _git(source.parent, "ls-files", "--error-unmatch", source.name):
        found["software"] = _commit(source.parent)
    return {name: commit for name, commit in found.items() if commit}


def _commit(folder: Path) -> str | None:
    commit = _git(folder, "rev-parse", "--verify", "HEAD")
    differs = commit and _git(folder, "status", "--porcelain", "--untracked-files=no")
    return f"{commit}+" if differs else commit


def _git(folder: Path, *words: str) -> str | None:
    """What git says, or None where it is absent, slow, or has nothing to say."""
    try:
        said = subprocess.run(
            ["git", "-C", str(folder), *words],
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=10,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return said.stdout.strip() or None if said.returncode == 0 else None
