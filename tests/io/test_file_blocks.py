"""Files are read in their own blocks: each decoded once, in bounded memory, whatever the layout."""

from __future__ import annotations

import errno
import logging
import os
import pickle
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st

import hsi_cd as hc
from hsi_cd.io import open_cube
from hsi_cd.io.file_blocks import BlockLayout, BlockReader


@dataclass
class Counted:
    """A file in memory that counts how often each of its values is decoded, in whole blocks."""

    values: Any
    block: tuple[int, int, int]
    decoded: Any = field(init=False)
    largest: int = 0

    def __post_init__(self) -> None:
        self.decoded = np.zeros(self.values.shape, dtype=int)

    def __call__(self, rows: slice, cols: slice, bands: slice | None = None) -> Any:
        whole = [slice(0, len(self.values)) if bands is None else bands, rows, cols]
        blocks = tuple(
            slice(s.start // n * n, -(-s.stop // n) * n) for s, n in zip(whole, self.block, strict=True)
        )
        self.decoded[blocks] += 1
        part = self.values[tuple(whole)]
        self.largest = max(self.largest, part.nbytes)
        return part.copy()

    def close(self) -> None:
        pass


def blocked(
    shape: tuple[int, int, int], block: tuple[int, int, int], *, most: int = 1 << 30
) -> tuple[Counted, BlockReader]:
    values = np.arange(np.prod(shape), dtype=np.int32).reshape(shape)
    source = Counted(values, block)
    return source, BlockReader(source, BlockLayout(shape, block, values.dtype), most=most, name="a.tif")


@given(st.data())
def test_any_window_is_what_the_file_holds(data: st.DataObject) -> None:
    shape = data.draw(st.tuples(*[st.integers(1, 12)] * 3))
    block = tuple(data.draw(st.integers(1, size)) for size in shape)
    source, reader = blocked(shape, block, most=data.draw(st.integers(0, 4000)))  # type: ignore[arg-type]
    for _ in range(data.draw(st.integers(1, 5))):
        rows, cols = (
            slice(*sorted(data.draw(st.tuples(st.integers(0, n), st.integers(0, n))))) for n in shape[1:]
        )
        np.testing.assert_array_equal(reader(rows, cols), source.values[:, rows, cols])


@pytest.mark.parametrize("block", [(3, 16, 7), (1, 16, 40), (3, 50, 40), (1, 50, 40), (2, 9, 13), (3, 50, 1)])
@pytest.mark.parametrize(("step", "below"), [(4, 0), (8, 1), (20, 1)])
def test_each_block_is_decoded_once_from_top_to_bottom(block: Any, step: int, below: int) -> None:
    source, reader = blocked((3, 50, 40), block)
    for row in range(0, 50, step):
        reader(slice(row, min(row + step + below, 50)), slice(0, 40))
    assert source.decoded.max() == 1


@pytest.mark.parametrize("block", [(3, 50, 40), (1, 50, 40), (1, 25, 40), (3, 25, 10), (3, 50, 1)])
def test_what_does_not_fit_is_decoded_once_into_a_temporary_file(block: Any) -> None:
    row_of_blocks = 3 * block[1] * 40 * 4
    source, reader = blocked((3, 50, 40), block, most=row_of_blocks - 1)
    for _ in range(2):  # and a second reading decodes nothing again
        for row in range(0, 50, 10):
            np.testing.assert_array_equal(
                reader(slice(row, row + 10), slice(0, 40)), source.values[:, row : row + 10]
            )
    assert source.decoded.max() == 1
    assert source.largest <= max(np.prod(block) * 4, row_of_blocks - 1)


def test_without_room_for_the_file_it_is_read_all_the_same(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    source, reader = blocked((3, 50, 40), (3, 50, 40), most=1000)
    for row in range(0, 50, 10):
        np.testing.assert_array_equal(reader(slice(row, row + 10), slice(0, 40)), source.values[:, row : row + 10])
    (record,) = caplog.records
    assert "a.tif is stored in blocks of 50 x 40 pixels and is decoded many times over" in record.message
    assert record.message.endswith("or give memory=96000")  # of which a quarter is the image's 24,000 bytes
    _, enough = blocked((3, 50, 40), (3, 50, 40), most=96000 // 4)
    caplog.clear()
    enough(slice(0, 10), slice(0, 40))
    assert not caplog.records


def test_a_reader_travels_without_what_it_keeps() -> None:
    _, reader = blocked((3, 50, 40), (3, 50, 40))
    before = len(pickle.dumps(reader))
    reader(slice(0, 10), slice(0, 40))
    again = pickle.loads(pickle.dumps(reader))  # noqa: S301
    assert len(pickle.dumps(reader)) < before + 100
    np.testing.assert_array_equal(again(slice(3, 5), slice(2, 4)), reader(slice(3, 5), slice(2, 4)))


def tiff(path: Path, values: Any, **how: Any) -> Path:
    count, rows, cols = values.shape
    profile = {"count": count, "height": rows, "width": cols, "dtype": values.dtype, "crs": "EPSG:32633"}
    with rasterio.open(path, "w", "GTiff", **profile, transform=Affine(1, 0, 0, 0, -1, 9), **how) as file:
        file.write(values)
    return path


def hdf5(path: Path, values: Any, chunks: tuple[int, ...] | None, axes: tuple[int, ...] = (0, 1, 2)) -> Path:
    with h5py.File(path, "w") as file:
        file.create_dataset(
            "cube", data=values.transpose(axes), chunks=chunks, compression=None if chunks is None else "gzip"
        )
        file["wavelength"] = np.linspace(400, 900, len(values))
    return path


def layouts(folder: Path, values: Any) -> list[Path]:
    count, rows, cols = values.shape
    tiles = {"tiled": True, "blockxsize": 16, "blockysize": 32}
    small = {"compress": "deflate"}
    return [
        tiff(folder / "band.tif", values, interleave="band"),
        tiff(folder / "pixel-tiles.tif", values, interleave="pixel", **tiles, **small),
        tiff(folder / "band-tiles.tif", values, interleave="band", **tiles, **small),
        tiff(folder / "pixel-one.tif", values, interleave="pixel", blockysize=rows, **small),
        tiff(folder / "band-one.tif", values, interleave="band", blockysize=rows, **small),
        hdf5(folder / "contiguous.h5", values, None),
        hdf5(folder / "band-a-chunk.h5", values, (1, rows, cols)),
        hdf5(folder / "one-chunk.h5", values, (count, rows, cols)),
        hdf5(folder / "pixels.h5", values, (rows, cols, 1), (1, 2, 0)),
    ]


@pytest.mark.parametrize("keep", [None, 1])
def test_every_layout_gives_the_same_values(tmp_path: Path, keep: int | None) -> None:
    values = np.random.default_rng(0).integers(1, 999, (5, 70, 33)).astype(np.uint16)
    for path in layouts(tmp_path, values):
        cube = open_cube(path, keep=keep)
        found = [cube.read(slice(row, row + 8)) for row in range(0, 70, 8)]
        np.testing.assert_array_equal(np.concatenate(found, axis=1), values, err_msg=path.name)


@pytest.mark.parametrize("chunks", [(1, 64, 20), (5, 64, 20)])
def test_hdf5_is_decoded_once_a_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunks: Any) -> None:
    values = np.random.default_rng(0).integers(1, 999, (5, 64, 20)).astype(np.uint16)
    read = 0
    whole = h5py.Dataset.__getitem__

    def counted(self: Any, index: Any) -> Any:
        nonlocal read
        found = whole(self, index)
        read += found.size if self.name == "/cube" else 0
        return found

    monkeypatch.setattr(h5py.Dataset, "__getitem__", counted)
    cube = open_cube(hdf5(tmp_path / "a.h5", values, chunks))
    for row in range(0, 64, 8):
        cube.read(slice(row, row + 8))
    assert read == values.size


def test_memory_is_the_scenes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Half of it a date: an image of one strip fits, or is decoded into a temporary file."""
    values = np.random.default_rng(0).integers(1, 999, (2, 5, 70, 33)).astype(np.uint16)
    paths = [tiff(tmp_path / f"{i}.tif", v, blockysize=70, compress="deflate") for i, v in enumerate(values)]
    with caplog.at_level(logging.INFO):
        hc.open_pair(*paths, memory=2 * values[0].nbytes).t1.read(slice(0, 4))
        assert "temporary file" not in caplog.text
        hc.open_pair(*paths, memory=2 * values[0].nbytes - 2).t1.read(slice(0, 4))
    assert "0.tif: decoded once into a temporary file of 23.1 kB" in caplog.text
