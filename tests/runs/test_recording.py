"""What a run says of itself."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch

import hsi_cd
from hsi_cd.errors import Preempted
from hsi_cd.runs import file_identity
from hsi_cd.runs.folder import read_provenance
from hsi_cd.runs.recording import commits, recording, versions
from hsi_cd.runtime.device import machine


@pytest.mark.parametrize(
    ("error", "outcome"),
    [(None, "finished"), (Preempted, "pre-empted"), (KeyboardInterrupt, "interrupted"), (ValueError, "failed")],
)
def test_a_session_is_there_at_once_and_knows_its_end(
    tmp_path: Path, error: type[BaseException] | None, outcome: str
) -> None:
    path, file = tmp_path / "provenance.json", tmp_path / "a.tif"
    file.write_bytes(b"123")

    def work() -> None:
        with recording(path, ["hsi-cd", "x"], machine=machine(), inputs=[file]):
            (begun,) = read_provenance(path).sessions
            assert (begun.outcome, begun.seconds, begun.command) == (None, None, ("hsi-cd", "x"))
            if error is not None:
                raise error

    if error is None:
        work()
    else:
        with pytest.raises(error):
            work()
    (ended,) = read_provenance(path).sessions
    assert ended.outcome == outcome and ended.seconds is not None and 0 <= ended.seconds < 60
    assert ended.inputs == {str(file): file_identity(file)} and ended.host == platform.node()


def test_sessions_are_added_and_a_damaged_file_stops_nothing(tmp_path: Path) -> None:
    path = tmp_path / "provenance.json"
    for word in ("one", "two"):
        with recording(path, [word], machine={}):
            pass
    assert [session.command for session in read_provenance(path).sessions] == [("one",), ("two",)]
    path.write_text("{")
    with recording(path, ["three"], machine={}):
        pass
    assert [session.command for session in read_provenance(path).sessions] == [("three",)]


def test_versions_and_machine() -> None:
    assert versions()["torch"] == str(torch.__version__) and versions()["hsi-cd"] == hsi_cd.__version__
    assert machine()["cores"] == os.cpu_count() and machine()["processor"]


def git(folder: Path, *words: str) -> str:
    identity = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", *identity, *words], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def test_the_commit_of_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """None without a repository or a commit; marked where files differ from it."""
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.chdir(tmp_path)
    assert "folder" not in commits()
    git(tmp_path, "init", "--quiet")
    assert "folder" not in commits()
    (tmp_path / "a").write_text("1")
    git(tmp_path, "add", "a")
    git(tmp_path, "commit", "--quiet", "-m", "a")
    head = git(tmp_path, "rev-parse", "HEAD")
    (tmp_path / "untracked").touch()
    assert commits()["folder"] == head
    (tmp_path / "a").write_text("2")
    assert commits()["folder"] == f"{head}+"


def test_software_inside_somebody_else_s_repository_is_not_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An environment in a project's folder: the project's commit says nothing of the software."""
    installed = tmp_path / ".venv" / "hsi_cd"
    installed.mkdir(parents=True)
    (installed / "__init__.py").touch()
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "commit", "--quiet", "--allow-empty", "-m", "a")
    monkeypatch.setattr(hsi_cd, "__file__", str(installed / "__init__.py"))
    monkeypatch.chdir(tmp_path)
    assert set(commits()) == {"folder"}
    git(tmp_path, "add", "-f", ".venv")
    git(tmp_path, "commit", "--quiet", "-m", "b")
    assert set(commits()) == {"folder", "software"}


def test_without_git(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def absent(*_: Any, **__: Any) -> None:
        raise FileNotFoundError("git")

    monkeypatch.setattr("hsi_cd.runs.recording.subprocess.run", absent)
    assert commits() == {}
