"""Splits as files, so that a score can say which pixels it was not allowed to see."""

from __future__ import annotations

import os
import zipfile
import zlib
from pathlib import Path

import numpy as np

from hsi_cd.errors import FormatError
from hsi_cd.io.atomic import write_npz
from hsi_cd.io.kinds import find_input
from hsi_cd.scene import Split


def write_split(path: str | os.PathLike[str], split: Split, *, overwrite: bool = False) -> None:
    """Write a split as ``.npz``: ``train`` (flat row-major indices), ``shape``, ``protocol``, ``seed``, ``guard``.

    A split without a guard is written without it, as versions before the guard wrote and read it.
    """
    arrays = {
        "train": split.train,
        "shape": np.array(split.shape),
        "protocol": np.array(split.protocol),
        "seed": np.array(split.seed),
    }
    if split.guard is not None:
        arrays["guard"] = split.guard
    write_npz(path, arrays, overwrite=overwrite)


def read_split(path: str | os.PathLike[str]) -> Split:
    """Read a split.

    Raises:
        MissingInputError: there is no such file.
        FormatError: the file is no split, or its pixels do not fit its shape.
    """
    found: Path = find_input(path)
    try:
        # Through a handle, because numpy leaves a file open that proves to be no whole archive.
        with found.open("rb") as handle, np.load(handle, allow_pickle=False) as content:
            rows, cols = (int(n) for n in content["shape"])
            protocol, seed = str(content["protocol"]), int(content["seed"])
            train = content["train"]
            guard = content.get("guard")
    except (KeyError, ValueError, TypeError, AttributeError, OSError, EOFError, zipfile.BadZipFile, zlib.error):
        raise FormatError(f"{found} is not a split: give the split.npz of a run folder") from None
    inside = rows >= 0 and cols >= 0 and train.ndim == 1 and train.dtype.kind in "iu"
    inside = inside and bool(((train >= 0) & (train < rows * cols)).all())
    if guard is not None:
        inside = inside and guard.shape == (rows, cols) and guard.dtype == np.bool_
    if not inside or len(np.unique(train)) != len(train):
        raise FormatError(f"{found} is damaged: its pixels do not fit a scene of {rows} x {cols}")
    train = train.astype(np.int64)
    return Split(protocol, seed, (rows, cols), train, guard)
