"""``scripts/setup.sh`` says what it does, and makes a .venv anew that cannot be used; with a Python of straw."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PYTHON = """#!/bin/bash
case "$*" in
  --version) echo "Python $VERSION" ;;
  *version_info\\ \\<*) [ "${VERSION#3.}" -ge 11 ] ;;
  *version_info*) echo "$VERSION" ;;
  "-m venv .venv")
    mkdir -p .venv/bin
    cp "$0" .venv/bin/python
    chmod +x .venv/bin/python ;;
  "-m pip --version") ;;
  "-m pip install"*)
    echo "Collecting $*"
    [ -z "$FAILING" ] || exit 1
    printf '#!/bin/bash\\n' > .venv/bin/hsi-cd; chmod +x .venv/bin/hsi-cd ;;
esac
"""


class Project:
    """A copy of what the script needs, and a Python that only notes what it is asked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "scripts").mkdir()
        shutil.copy(ROOT / "scripts" / "setup.sh", folder / "scripts")
        for name in ("pyproject.toml", "constraints.txt"):
            shutil.copy(ROOT / name, folder)
        for version in ("3.9", "3.11", "3.12"):
            path = folder / f"python{version}"
            path.write_text(PYTHON.replace("\n", f"\nVERSION=${{VERSION:-{version}}}\n", 1))
            path.chmod(0o755)
        shutil.copy(folder / "python3.11", folder / "python3")

    def run(self, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
        plain = {"PATH": f"{self.folder}:{os.environ['PATH']}", "FAILING": ""}
        script = ["bash", str(self.folder / "scripts" / "setup.sh"), *words]
        return subprocess.run(script, env=plain | more, capture_output=True, text=True, check=False)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def test_it_says_what_it_does_and_does_it_once(project: Project) -> None:
    said = project.run("dev").stdout
    assert "== making .venv with Python 3.11" in said and "-e .[dev]" in said and "--quiet" not in said
    assert "removed" not in said and "torch" not in said
    again = project.run("dev")
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")
    assert "== installing hsi-cd (once" in project.run().stdout  # without what tests need


@pytest.mark.parametrize(
    ("harm", "why"),
    [
        (lambda venv: (venv / "bin/python").unlink(), "its Python is broken"),
        (lambda venv: (venv / "bin/python").write_text("#!/nowhere/python\n"), "its Python is broken"),
        (lambda venv: shutil.rmtree(venv / "bin"), "its Python is broken"),
        (lambda venv: (venv / ".installing").touch(), "an installation into it was interrupted"),
    ],
)
def test_what_cannot_be_used_is_made_anew(project: Project, harm, why: str) -> None:
    project.run()
    (project.folder / ".venv" / "left").touch()
    harm(project.folder / ".venv")
    done = project.run()
    assert done.returncode == 0 and f"== .venv is removed and made anew: {why}" in done.stdout
    assert not (project.folder / ".venv" / "left").exists()
    assert project.run().stdout == ""


def test_an_installation_that_failed_is_done_again(project: Project) -> None:
    assert project.run(FAILING="yes").returncode == 1
    done = project.run()
    assert done.returncode == 0 and "an installation into it was interrupted" in done.stdout


def test_another_python_only_where_one_is_named(project: Project) -> None:
    project.run()
    assert project.run(PYTHON=str(project.folder / "python3.11")).stdout == ""
    done = project.run(PYTHON=str(project.folder / "python3.12"))
    assert "it has Python 3.11, not that of PYTHON=" in done.stdout and "with Python 3.12" in done.stdout
    assert project.run().stdout == ""  # python3 is 3.11, the .venv serves


def test_an_old_python_is_refused_before_anything_is_removed(project: Project) -> None:
    project.run()
    done = project.run(PYTHON=str(project.folder / "python3.9"))
    assert done.returncode == 2 and "hsi-cd needs Python 3.11 or later" in done.stderr
    assert (project.folder / ".venv" / "bin" / "hsi-cd").exists()


def test_torch_for_the_cpu_and_extras_are_words(project: Project) -> None:
    said = project.run("cpu", "dev", "tensorboard").stdout
    first, second = (line for line in said.splitlines() if line.startswith("Collecting"))
    assert "torch==" in first and first.endswith("--index-url https://download.pytorch.org/whl/cpu")
    assert second.endswith("-e .[dev,tensorboard]")
    done = project.run("cuda")
    assert done.returncode == 2 and "cuda is no extra of pyproject.toml: give cpu, dev" in done.stderr
