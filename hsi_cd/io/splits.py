"""Splits as files, so that a score can say which pixels it was not allowed to see."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import numpy as np

from hsi_cd.errors import FormatError
from hsi_cd.io.atomic import write_npz
from hsi_cd.io.kinds import find_input
from hsi_cd.scene import Split


def write_split(path: str | os.PathLike[str], split: Split, *, overwrite: bool = False) -> None:
    """Write a split as ``.npz``: ``train`` (flat row-major indices), ``shape``, ``protocol``, ``seed``."""
    write_npz(
        path,
        {
            "train": split.train,
            "shape": np.array(split.shape),
            "protocol": np.array(split.protocol),
            "seed": np.array(split.seed),
        },
        overwrite=overwrite,
    )


def read_split(path: str | os.PathLike[str]) -> Split:
    """Read a split.

    Raises:
        MissingInputError: there is no such file.
        FormatError: the file is no split, or its indices do not fit its shape.
    """
    found: Path = find_input(path)
    try:
        with np.load(found, allow_pickle=False) as content:
            rows, cols = (int(n) for n in content["shape"])
            split = Split(
                protocol=str(content["protocol"]),
                seed=int(content["seed"]),
                shape=(rows, cols),
                train=content["train"].astype(np.int64),
            )
    except (KeyError, ValueError, TypeError, AttributeError, OSError, zipfile.BadZipFile, EOFError):
        raise FormatError(f"{found} is not a split: give the split.npz of a run folder") from None
    inside = split.train.ndim == 1 and ((split.train >= 0) & (split.train < rows * cols)).all()
    if not inside or len(np.unique(split.train)) != len(split.train):
        raise FormatError(f"{found} is damaged: its pixels do not fit a scene of {rows} x {cols}")
    return split
