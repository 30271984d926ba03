"""Malformed files of every kind: one line that says why, exit code 2; no traceback, hang or crash."""

from __future__ import annotations

import os
import re
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import malformed
import numpy as np
import pytest
from hypothesis import settings

_WRONG_REASON = re.compile(r"no command|no such option|unexpected|did not raise|traceback", re.IGNORECASE)
_MEGABYTE = 1 << 20
THOROUGH = 4 if settings.default.max_examples > 20 else 1  # times as many damages with --slow
_HANG = 60  # seconds: not how fast a refusal is, but that there is one, on a machine under load

REASONS = {
    "cut": r"truncated|damaged|empty \(0 bytes\)|unknown|cannot be read",
    "start": r"truncated|damaged|unknown|archive|without a georeference",
    "foreign": r"archive|document|web page|pickle|pointer|HDF4|unknown|georeference|damaged",
    "envi": r"expected|describes|without|library|complex|data type|no data|scale|offset|empty|unknown|damaged",
    "tiff": r"expected|complex|damaged|describes|scale",
    "matlab": r"holds|damaged|truncated|describes|candidates|no variable|unknown",
    "hdf5": r"holds|expected|describes|correct or remove|axes",
    "numpy": r"holds|damaged|describes|axes|no variable|candidates",
    "place": r"exist|folder|pixel|ground|CRS|damaged|list of files|key|link|pipe|axes|Missing|be read|no file",
}
"""What a line must say, by the group of the fault: a refusal for another reason is no refusal of this fault."""

NASTY = (
    "matlab: terabytes, compressed",
    "matlab: sizes that overflow",
    "matlab: gigabytes in a tag",
    "matlab: a deep structure",
    "matlab: nothing but tags",
    "hdf5: groups in a circle",
    "hdf5: a maze of groups",
    "hdf5: groups in groups in groups",
    "hdf5: terabytes of nothing",
    "hdf5: values in other files",
    "numpy: absurd sizes",
    "numpy: npz: terabytes in a header",
    "numpy: a header of deep brackets",
    "tiff: terabytes of nothing",
    "tiff: absurd width",
    "tiff: a directory that is its own successor",
    "envi: samples = 999999999999",
    "envi: a header of one long line",
    "envi: a header of blank lines",
    "envi: a header of many braces",
    "foreign: a Zarr store of huge size",
    "place: an endless device",
    "place: a pipe",
)
"""Those made to take memory or time, for processes of their own."""


@pytest.fixture
def no_hang() -> Iterator[None]:
    """Ends a test that waits for ever; without it, a hang would end the whole run."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise TimeoutError(f"nothing came for {_HANG} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(_HANG)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def check_line(err: str, group: str) -> None:
    assert err.startswith("hsi-cd: error: "), err
    assert err.count("\n") == 1, err
    assert not _WRONG_REASON.search(err), err
    assert re.search(REASONS[group], err), err


def test_there_are_many() -> None:
    assert len(malformed.CASES) >= 150
    assert set(NASTY) <= set(malformed.CASES)


def chosen() -> list[Any]:
    """All of them; the quick suite has one of each damage and format of the families, which are large."""
    families = {
        "cut": lambda name, number: number % 3 == 0,  # formats x lengths
        "start": lambda name, number: number % 5 == 0,  # formats x beginnings
        "envi": lambda name, number: name.partition(" = ")[0],  # keys x values
    }
    seen: set[object] = set()
    params = []
    for number, name in enumerate(malformed.CASES):
        kind = families.get(name.split(":")[0], lambda name, number: name)(name, number)
        # A maze takes five seconds to build.
        slow = kind is False or name == "hdf5: a maze of groups" or (kind is not True and kind in seen)
        seen.add(kind)
        params.append(pytest.param(name, marks=[pytest.mark.slow] * slow))
    return params


@pytest.mark.filterwarnings("ignore")  # of the libraries that write the good files
@pytest.mark.usefixtures("no_hang")
@pytest.mark.parametrize("name", chosen())
def test_one_line_and_exit_code_2(
    cli: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    words = malformed.CASES[name](tmp_path)
    before = sorted(str(path) for path in tmp_path.rglob("*"))
    capfd.readouterr()
    code = cli(*words)
    out, err = capfd.readouterr()  # of the process: what GDAL's or HDF5's own code prints counts, too
    assert (code, out) == (2, ""), err
    check_line(err, name.split(":")[0])
    assert sorted(str(path) for path in tmp_path.rglob("*")) == before


@pytest.mark.filterwarnings("ignore")
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="there is no /proc")
# A process each, with its imports: all with --slow. Those that are left are refused in this process, above.
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (i > 0)) for i, name in enumerate(NASTY)]
)
def test_in_bounded_memory(tmp_path: Path, name: str) -> None:
    words = malformed.CASES[name](tmp_path)

    def limit() -> None:
        # Addresses, of which libraries reserve more than they use: a wall behind the figure that is checked.
        resource.setrlimit(resource.RLIMIT_AS, (4096 * _MEGABYTE, 4096 * _MEGABYTE))

    # Not getrusage: its figure begins with that of the process that started this one.
    code = (
        "import pathlib, sys\nfrom hsi_cd.cli.main import run\ncode = run(sys.argv[1:])\n"
        "print(pathlib.Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0])\nsys.exit(code)"
    )
    command = [sys.executable, "-c", code, *map(str, words)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=_HANG, preexec_fn=limit, env=environment, check=False
    )
    assert done.returncode == 2, done.stderr
    check_line(done.stderr, name.split(":")[0])
    assert int(done.stdout) * 1024 < 500 * _MEGABYTE


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_files_that_may_not_be_read(cli: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = malformed.tiff(tmp_path / "a.tif")
    path.chmod(0)
    assert cli("info", path) == 2
    assert "cannot be read: Permission denied" in capsys.readouterr().err


@pytest.mark.filterwarnings("ignore")
@pytest.mark.usefixtures("no_hang")
@pytest.mark.parametrize("name", malformed.GOOD)
def test_flipped_bytes_end_well_or_in_one_line(
    cli: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """Whatever a disk does to a file: values may be wrong then, but the program stands."""
    path = malformed.GOOD[name](tmp_path)
    target = path.with_suffix(".hdr") if name == "envi" else path
    raw = target.read_bytes()
    random = np.random.default_rng(7)
    codes = set()
    for _ in range(THOROUGH * 15):
        spoilt = np.frombuffer(raw, np.uint8).copy()
        within = min(len(raw), int(random.choice([64, 256, 1024, len(raw)])))
        at = random.integers(0, within, random.choice([1, 2, 8]))
        spoilt[at] = random.choice([0, 127, 128, 255, int(random.integers(256))])
        target.write_bytes(spoilt.tobytes())
        capsys.readouterr()
        codes.add(code := cli("info", path))
        err = capsys.readouterr().err
        assert code in (0, 2), err
        assert code == 0 or err.splitlines()[-1].startswith("hsi-cd: error: "), err
        assert "unexpected" not in err and "Traceback" not in err
    assert 2 in codes


def test_a_type_code_that_scipy_falls_over(cli: Any, tmp_path: Path) -> None:
    """scipy 1.17 takes the code for a place in a table and reads beyond its end: the process dies."""
    path = malformed.mat(tmp_path / "a.mat")
    raw = bytearray(path.read_bytes())
    at = raw.index(b"\x03\0\0\0" + (malformed.CUBE.nbytes).to_bytes(4, "little"))
    raw[at : at + 2] = b"\x03\x7f"
    path.write_bytes(raw)
    done = cli.process("info", path)
    assert done.returncode == 2
    assert "values of cube are of the unknown type 32515" in done.stderr
