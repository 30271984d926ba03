"""The files of settings that come with the package: the defaults, the scenes' own, the examples."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

from hsi_cd.config.layers import read_config_file
from hsi_cd.errors import MissingInputError, unknown_name
from hsi_cd.paths import as_path

DEFAULTS = "default"


def config_files() -> dict[str, Path]:
    """Every file that comes with the package, by its name: the defaults, then scenes, then examples."""
    package = Path(__file__).parents[1]
    folders = (package / "configs", package.parent / "configs")  # of a wheel, and of a checkout
    folder = next((folder for folder in folders if (folder / f"{DEFAULTS}.yaml").is_file()), folders[0])
    scenes = sorted(folder.glob("*.yaml"), key=lambda path: (path.stem != DEFAULTS, path.stem))
    return {path.stem: path for path in (*scenes, *sorted((folder / "examples").glob("*.yaml")))}


def find_config_file(name: str) -> Path:
    """The file called ``name``.

    Raises:
        UnknownNameError: there is none; the nearest is named.
    """
    known = config_files()
    if name not in known:
        raise unknown_name("config", name, known)
    return known[name]


def read_config(named: Path) -> dict[str, Any]:
    """The nested keys of a YAML file, or, where there is no such file, of one that comes with the package.

    Args:
        named: a path; or a name, as ``backbone-resnet18``, also as ``configs/examples/backbone-resnet18.yaml``.

    Raises:
        MissingInputError: there is neither a file nor a name like this.
        ConfigError: the file is not YAML, or not a mapping.
    """
    if as_path(named).is_file():
        return read_config_file(named)
    known, stem = config_files(), named.name.removesuffix(".yaml")
    own = named.parent in (Path(), Path("configs"), Path("configs/examples"), Path("examples"))
    if own and stem in known:
        return read_config_file(known[stem])
    near = difflib.get_close_matches(stem, known, n=1)
    hint = f" (did you mean {near[0]}?)" if own and near else ""
    raise MissingInputError(
        f"config {named} is not a file: give the path of a YAML file, or the name of an example{hint}"
    )


def dataset_config(name: str) -> dict[str, Any]:
    """The settings that a catalogue scene needs beside the defaults; none where it has no file of its own."""
    path = config_files().get(name)
    return {} if path is None or path.parent.name == "examples" else read_config_file(path)
