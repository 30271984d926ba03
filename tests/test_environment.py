"""The recipes for a server name what is there, and keep to the versions that pyproject.toml allows."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    told: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return told


def pins() -> dict[str, Requirement]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    requirements = [Requirement(line) for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(requirement.name): requirement for requirement in requirements}


def test_every_version_is_pinned_and_allowed(project: dict[str, Any]) -> None:
    pinned = pins()
    extras = [text for texts in project["optional-dependencies"].values() for text in texts]
    for wanted in map(Requirement, [*project["dependencies"], *extras]):
        name = canonicalize_name(wanted.name)
        if name == "hsi-cd":  # an extra that takes in others
            continue
        found = re.fullmatch(r"==(\S+)", str(pinned[name].specifier)) if name in pinned else None
        assert found is not None, f"{name} is not pinned in constraints.txt"
        assert wanted.specifier.contains(found[1]), f"{wanted} does not allow {found[1]}"


def test_the_conda_environment_is_this_project_at_those_versions(project: dict[str, Any]) -> None:
    told = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    assert told["name"] == project["name"]
    plain = [line for line in told["dependencies"] if isinstance(line, str)]
    (python,) = [line.partition("=")[2] for line in plain if line.startswith("python=")]
    assert SpecifierSet(project["requires-python"]).contains(f"{python}.0") and "pip" in plain
    (pip,) = [line["pip"] for line in told["dependencies"] if isinstance(line, dict)]
    assert pip == ["--constraint constraints.txt", "--editable .[slurm]"]


@pytest.mark.slow
def test_the_container_copies_all_that_is_installed(tmp_path: Path) -> None:
    """The files of its COPY lines alone hold the package, its command and its configurations."""
    recipe = (ROOT / "scripts" / "Containerfile").read_text(encoding="utf-8")
    steps = [line.split() for line in recipe.replace("\\\n", " ").splitlines() if line and line[0] not in "# "]
    for _, *sources, target in (step for step in steps if step[0] == "COPY"):
        for source in sources:
            place = tmp_path / target / source if target == "./" else tmp_path / target
            if (ROOT / source).is_dir():
                shutil.copytree(ROOT / source, place, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(ROOT / source, place)
    (installed,) = [step for step in steps if "install" in step and "--constraint" in step]
    assert (tmp_path / installed[installed.index("--constraint") + 1]).is_file()
    told = tomllib.loads((tmp_path / "pyproject.toml").read_text(encoding="utf-8"))
    for source in (
        told["project"]["readme"],
        *told["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"],
    ):
        assert (tmp_path / source).exists()
    done = subprocess.run(
        [sys.executable, "-m", "hsi_cd", "methods"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0 and "siamese" in done.stdout, done.stderr
    assert steps[-1] == ["ENTRYPOINT", '["hsi-cd"]'] and "hsi-cd" in told["project"]["scripts"]
