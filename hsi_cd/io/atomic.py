"""Outputs that appear whole or not at all.

A file is written under a hidden name in its own folder and renamed when it is complete: a run that is killed, or
fails, never leaves half a file under the name that somebody reads.
"""

from __future__ import annotations

import json
import math
import os
import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from hsi_cd.errors import OutputError
from hsi_cd.paths import as_path

_DRAFT = re.compile(r"\..{1,40}\.[0-9a-f]{12}\.\d+(\.[^.]+)?")


def check_output(path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
    """Refuse an output that could not be written, before any long work.

    Args:
        path: the file to be written.
        overwrite: whether a file of this name may be replaced.

    Returns:
        The path.

    Raises:
        OutputError: the file exists and may not be replaced, is a folder, or its folder is absent or not writable.
    """
    target = as_path(path)
    folder = target.parent
    if target.is_dir():
        raise OutputError(f"{target} is a folder: name a file in it")
    if not folder.exists():
        raise OutputError(f"{target} cannot be written: the folder {folder} does not exist; make it first")
    if not folder.is_dir():
        raise OutputError(f"{target} cannot be written: {folder} is a file, not a folder")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OutputError(f"{target} cannot be written: no right to write in {folder}; choose another folder")
    if not overwrite and os.path.lexists(target):
        raise OutputError(f"{target} exists: pass overwrite=True or choose another name")
    return target


@contextmanager
def atomic_paths(targets: Sequence[str | os.PathLike[str]], *, overwrite: bool = False) -> Iterator[list[Path]]:
    """Temporary names for several files that are to appear together.

    Args:
        targets: the files to be written.
        overwrite: whether files of these names may be replaced.

    Yields:
        One path per target, in the target's folder and with its suffix. All are renamed when the block ends
        well, and removed when it ends in any other way.

    Raises:
        OutputError: a target cannot be written (see :func:`check_output`).
    """
    finals = [check_output(target, overwrite=overwrite) for target in targets]
    mark = uuid.uuid4().hex[:12]
    # The stem is cut so that a long name stays within the 255 bytes of most file systems.
    drafts = [final.with_name(f".{final.stem[:40]}.{mark}.{i}{final.suffix}") for i, final in enumerate(finals)]
    try:
        yield drafts
        for draft, final in zip(drafts, finals, strict=True):
            # Again: somebody may have written this name during the work.
            check_output(final, overwrite=overwrite)
            if not draft.is_file():
                raise OutputError(f"{final} was not written")
        for draft, final in zip(drafts, finals, strict=True):
            _rename(draft, final)
    finally:
        # After a success there is nothing left under these names; a KeyboardInterrupt passes here too.
        for draft in drafts:
            draft.unlink(missing_ok=True)


@contextmanager
def atomic_path(target: str | os.PathLike[str], *, overwrite: bool = False) -> Iterator[Path]:
    """A temporary name for one file; see :func:`atomic_paths`."""
    with atomic_paths([target], overwrite=overwrite) as drafts:
        yield drafts[0]


def remove_drafts(folder: str | os.PathLike[str]) -> None:
    """Remove what killed processes left half-written in a folder, where no other process is writing now."""
    for path in Path(folder).glob(".*"):
        if _DRAFT.fullmatch(path.name):
            path.unlink(missing_ok=True)


def write_text(path: str | os.PathLike[str], text: str, *, overwrite: bool = False) -> None:
    """Write ``text`` as UTF-8, whole or not at all.

    Raises:
        OutputError: the file cannot be written (see :func:`check_output`).
    """
    with atomic_path(path, overwrite=overwrite) as draft, _as_output_error(path):
        draft.write_text(text, encoding="utf-8", errors="backslashreplace")  # of names that are no UTF-8


def write_json(path: str | os.PathLike[str], value: Any, *, overwrite: bool = False) -> None:
    """Write ``value`` as JSON, whole or not at all.

    NumPy scalars and arrays become numbers and lists, paths become text. JSON knows neither NaN nor infinity: they
    are written as null, because many readers refuse the words that Python would write.

    Raises:
        OutputError: the file cannot be written (see :func:`check_output`).
        TypeError: a value has no JSON form.
    """
    text = json.dumps(_plain(value), indent=2, ensure_ascii=False, allow_nan=False)
    write_text(path, text + "\n", overwrite=overwrite)


def write_npz(path: str | os.PathLike[str], arrays: Mapping[str, ArrayLike], *, overwrite: bool = False) -> None:
    """Write named arrays as a compressed ``.npz``, whole or not at all.

    Raises:
        OutputError: the file cannot be written (see :func:`check_output`).
        ValueError: an array holds objects, which only a pickle could store.
    """
    values = {name: np.asarray(array) for name, array in arrays.items()}
    objects = [name for name, array in values.items() if array.dtype.hasobject]
    if objects:
        raise ValueError(f"arrays of objects cannot be stored: {', '.join(objects)}")
    # Through a handle, because numpy appends ".npz" to a name that lacks it.
    with atomic_path(path, overwrite=overwrite) as draft, _as_output_error(path), draft.open("wb") as handle:
        np.savez_compressed(handle, allow_pickle=False, **values)


def _rename(draft: Path, final: Path) -> None:
    try:
        draft.replace(final)
    except OSError as error:
        raise OutputError(f"{final} cannot be written: {error.strerror or error}") from error


@contextmanager
def _as_output_error(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turn the system's errors (a full disk, no rights) into ours."""
    try:
        yield
    except OutputError:
        raise
    except OSError as error:
        raise OutputError(f"{os.fspath(path)} cannot be written: {error.strerror or error}") from error


def _plain(value: Any) -> Any:
    """The value in types that JSON knows, without NaN."""
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return os.fspath(value) if isinstance(value, os.PathLike) else value
