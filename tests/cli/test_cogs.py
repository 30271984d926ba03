"""What --cog writes is a Cloud Optimized GeoTIFF, as an independent validator and the bytes of the file say."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from rio_cogeo import cog_validate

ROWS, COLS = 300, 280  # more than a tile, so that there are overviews
SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 12: 8, 16: 8}  # bytes of a value of a TIFF's field types
CODES = {1: "B", 3: "H", 4: "I", 16: "Q"}
WIDTH, HEIGHT, SUBFILE, TILE_WIDTH, TILE_HEIGHT, OFFSETS, COUNTS, STRIPS = 256, 257, 254, 322, 323, 324, 325, 273


def directories(content: bytes) -> list[tuple[int, dict[int, tuple[int, ...]]]]:
    """Place and whole-number fields of each image of a TIFF, read from its bytes."""
    assert content[:4] == b"II*\0"
    (at,) = struct.unpack_from("<I", content, 4)
    found = []
    while at:
        (count,) = struct.unpack_from("<H", content, at)
        fields = {}
        for entry in range(at + 2, at + 2 + 12 * count, 12):
            tag, kind, number = struct.unpack_from("<HHI", content, entry)
            if kind in CODES:
                size = SIZES[kind] * number
                place = entry + 8 if size <= 4 else struct.unpack_from("<I", content, entry + 8)[0]
                fields[tag] = struct.unpack_from(f"<{number}{CODES[kind]}", content, place)
        found.append((at, fields))
        (at,) = struct.unpack_from("<I", content, at + 2 + 12 * count)
    return found


def check(path: Path, rows: int, cols: int) -> None:
    content = path.read_bytes()
    assert b"LAYOUT=IFDS_BEFORE_DATA" in content[:300]
    found = directories(content)
    starts = []
    for number, (_, fields) in enumerate(found):
        assert STRIPS not in fields and fields[TILE_WIDTH] == fields[TILE_HEIGHT]
        assert (fields.get(SUBFILE, (0,))[0] & 1) == (number > 0)  # reduced images follow the whole one
        size, tile = (fields[HEIGHT][0], fields[WIDTH][0]), fields[TILE_WIDTH][0]
        assert all(abs(own - whole / 2**number) < 1 for own, whole in zip(size, (rows, cols), strict=True))
        tiles = [(at, count) for at, count in zip(fields[OFFSETS], fields[COUNTS], strict=True) if count]
        assert len(fields[OFFSETS]) % (-(-size[0] // tile) * -(-size[1] // tile)) == 0
        assert tiles == sorted(tiles) and all(at + count <= len(content) for at, count in tiles)
        starts.append(min(at for at, _ in tiles))
        assert (max(size) <= tile) == (number == len(found) - 1)  # the smallest is one tile
    assert len(found) > 1
    # What describes the images comes first, then the smallest of them: one request shows the whole.
    assert max(at for at, _ in found) < min(starts) and starts == sorted(starts, reverse=True)
    assert cog_validate(path, strict=True, quiet=True) == (True, [], [])


@pytest.fixture(scope="module")
def dates(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder, random = tmp_path_factory.mktemp("dates"), np.random.default_rng(0)
    values = random.integers(10, 200, (2, ROWS, COLS)).astype(np.uint8)
    paths = []
    for year in (2018, 2019, 2020):
        values = values.copy()
        values[:, 50 : 50 * (year - 2014), 50:200] += 30
        place = {"crs": "EPSG:32633", "transform": Affine(30, 0, 400_000, 0, -30, 5_800_000)}
        paths.append(folder / f"{year}.tif")
        size = {"height": ROWS, "width": COLS, "count": 2, "dtype": "uint8"}
        with rasterio.open(paths[-1], "w", driver="GTiff", **size, **place) as file:
            file.write(values)
    return paths


@pytest.mark.parametrize("area", [False, True], ids=["whole", "area"])
def test_of_detect_and_predict(cli: Any, dates: list[Path], tmp_path: Path, area: bool) -> None:
    named = ["--t1", dates[0], "--t2", dates[1], "--cog"]
    named += ["--bounds=400300,5791300,408400,5799910"] if area else []
    size = (287, 270) if area else (ROWS, COLS)
    three = {name: tmp_path / f"{name}.tif" for name in ("output", "score", "probability")}
    files = [word for name, path in three.items() for word in (f"--{name}", path)]
    assert cli("detect", *named, "--method", "cva", *files, "--save", tmp_path / "cva.pt") == 0
    for path in three.values():
        check(path, *size)
    assert cli("predict", *named, "--checkpoint", tmp_path / "cva.pt", *files, "--overwrite") == 0
    for path in three.values():
        check(path, *size)


def test_of_a_series(cli: Any, dates: list[Path], tmp_path: Path) -> None:
    series = ["series", *dates, "--method", "cva", "--bounds=400300,5791300,408400,5799910", "--cog"]
    assert cli(*series, "--output", tmp_path / "series.tif") == 0
    check(tmp_path / "series.tif", 287, 270)


def test_what_is_none_is_told_apart(cli: Any, dates: list[Path], tmp_path: Path) -> None:
    """The checks can fail."""
    assert (
        cli("detect", "--t1", dates[0], "--t2", dates[1], "--method", "cva", "--output", tmp_path / "c.tif") == 0
    )
    with pytest.raises(AssertionError):
        check(tmp_path / "c.tif", ROWS, COLS)
