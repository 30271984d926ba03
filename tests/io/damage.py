"""What happens to files of products on their way: each damage draws from random numbers where and how."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import h5py
import numpy as np

Thing = TypeVar("Thing")
Spoil = Callable[[Path, np.random.Generator], None]


def one_of(rng: np.random.Generator, things: Sequence[Thing]) -> Thing:
    return things[int(rng.integers(0, len(things)))]


def parts(path: Path) -> list[Path]:
    return sorted(each for each in path.rglob("*") if each.is_file()) if path.is_dir() else [path]


def truncated(path: Path, rng: np.random.Generator) -> None:
    file = one_of(rng, parts(path))
    content = file.read_bytes()
    file.write_bytes(content[: int(rng.integers(0, len(content)))])


def lost(path: Path, rng: np.random.Generator) -> None:
    one_of(rng, parts(path)).unlink()


def garbled(path: Path, rng: np.random.Generator) -> None:
    file = one_of(rng, parts(path))
    content = bytearray(file.read_bytes())
    at = int(rng.integers(0, max(1, len(content) - 39)))
    content[at : at + 32] = rng.bytes(32)
    file.write_bytes(content)


def misstated(path: Path, rng: np.random.Generator) -> None:
    """A number of the metadata becomes none, or one that cannot be."""
    texts = [each for each in parts(path) if each.suffix.lower() in (".xml", ".txt", ".hdr")]
    value = one_of(rng, ["NaN", "inf", "-1", "0", "1e30", "", "x", "99999999"])
    if not texts:
        _misstated_in_hdf5(path, rng, value)
        return
    file = one_of(rng, texts)
    text = file.read_text()
    numbers = list(re.finditer(r"(?<=[>=,{ ])-?\d+\.?\d*(?=[<,}\n ])", text))
    one = one_of(rng, numbers)
    file.write_text(text[: one.start()] + value + text[one.end() :])


def _misstated_in_hdf5(path: Path, rng: np.random.Generator, value: str) -> None:
    if path.suffix not in (".he5", ".h5", ".nc"):
        return
    number = {"": 0.0, "x": -5.0}.get(value) if value in ("", "x") else float(value)
    with h5py.File(path, "r+") as file:
        found = [(file, name) for name in file.attrs if np.asarray(file.attrs[name]).dtype.kind in "if"]
        file.visititems(
            lambda _, each: found.extend(
                (each, n) for n in each.attrs if np.asarray(each.attrs[n]).dtype.kind in "if"
            )
        )
        if not found:
            return
        at, name = one_of(rng, found)
        told = np.array(at.attrs[name], dtype=np.float64)
        told.reshape(-1)[int(rng.integers(0, told.size))] = number
        at.attrs[name] = told


def unlisted(path: Path, rng: np.random.Generator) -> None:
    """An array or attribute of an HDF5 file goes, or an array is turned."""
    if path.is_dir() or path.suffix not in (".he5", ".h5", ".nc"):
        lost(path, rng)
        return
    with h5py.File(path, "r+") as file:
        names: list[str] = []
        file.visititems(lambda name, each: names.append(name) if isinstance(each, h5py.Dataset) else None)
        name = one_of(rng, names)
        values, told = file[name][()], dict(file[name].attrs)
        del file[name]
        if rng.random() < 0.5 and getattr(values, "ndim", 0) > 1:
            turned = file.create_dataset(name, data=np.moveaxis(values, 0, -1))
            turned.attrs.update(told)


SPOILS: dict[str, Spoil] = {
    "truncated": truncated, "lost": lost, "garbled": garbled, "misstated": misstated, "unlisted": unlisted
}  # fmt: skip
