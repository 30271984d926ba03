"""Shards of maps on disk: what their tags say, and which of them make a whole."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from affine import Affine
from numpy.typing import NDArray
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.errors import RasterioError
from rasterio.rpc import RPC

from hsi_cd.errors import FormatError, ShardError
from hsi_cd.io.file_masks import FileMasks
from hsi_cd.io.kinds import FileKind, file_kind, find_input
from hsi_cd.io.map_classes import KINDS, kinds_of_tags
from hsi_cd.io.maps import PART, raster_named
from hsi_cd.io.raster import RasterReader, open_raster
from hsi_cd.scene import Grid, ScenePair, Shard, check_same_grid, parse_shard

_SHARD, _ROWS, _SCENE_GRID, _PIXELS = PART, "SHARD_ROWS", "SHARD_SCENE_GRID", "SHARD_PIXELS"
_OWN = (_SHARD, _ROWS, _SCENE_GRID, _PIXELS)
_NOT_OURS = ("AREA_OR_POINT",)  # GDAL's own
_WORDS = {
    "SCENE": "scene",
    "CHECKPOINT_SHA256": "checkpoint",
    "THRESHOLD": "threshold",
    "STATISTICS": "statistics",
    "METHOD": "method",
    "SCORE_NAME": "score",
    "SCORE_UNIT": "score",
    "SOFTWARE": "software",
    KINDS: "set of kinds",
    "T1_DATE": "date of t1",
    "T2_DATE": "date of t2",
}  # of tags in which mixtures differ, in the order in which they are told
_BLOCK = 256  # rows read at once: a row of tiles
_NAMED = 4  # missing shards that a message lists


def shard_tags(shard: Shard, pair: ScenePair, grid: Grid) -> dict[str, str]:
    """What a shard's files say beside the tags of every map.

    ``SHARD`` is its number and count, ``SHARD_ROWS`` its rows as ``first:one past the last``, ``SHARD_SCENE_GRID``
    the grid of the whole scene with every digit, and ``SHARD_PIXELS`` a digest of three rows of both dates: shards
    of other files, of other bands or resampled otherwise do not share it.

    Args:
        shard: the shard.
        pair: the scene.
        grid: georeference of the maps of the whole scene.
    """
    rows = shard.rows(pair.shape[0])
    return {
        _SHARD: str(shard),
        _ROWS: f"{rows.start}:{rows.stop}",
        _SCENE_GRID: _grid_to_text(grid),
        _PIXELS: pair.fingerprint(),
    }


@dataclass(frozen=True)
class ShardFile:
    """A raster of one shard, as its tags describe it.

    Attributes:
        path: the file.
        raster: what it holds: ``change map``, ``score``, ``uncertainty``, ``probability`` or
            ``kind probability``.
        shard: which part of the scene.
        rows: the rows of the scene that it holds.
        grid: of the whole scene.
        tags: those that the map of the whole scene has, too.
        pixels: digest of the scene's pixels.
        bands: how many it has; several of probabilities of kinds alone.
    """

    path: Path
    raster: str
    shard: Shard
    rows: slice
    grid: Grid
    tags: dict[str, str]
    pixels: str = field(repr=False)
    bands: int = 1

    def blocks(self) -> Iterator[tuple[int, NDArray[Any]]]:
        """Its values from top to bottom: the first row in the scene, and ``(rows, cols)``.

        Of probabilities of kinds ``(kinds, rows, cols)``.

        Raises:
            FormatError: the file is damaged.
        """
        # A reader enters GDAL's environment for each window alone: several shards are read in turns, and
        # environments that were left open over a yield would be closed in the wrong order.
        read = RasterReader(self.path, FileKind.TIFF.value, masks=FileMasks(tuple(range(1, self.bands + 1))))
        height, cols = self.rows.stop - self.rows.start, slice(0, self.grid.cols)
        for start in range(0, height, _BLOCK):
            block = read(slice(start, min(start + _BLOCK, height)), cols)
            yield self.rows.start + start, block if self.raster == "kind probability" else block[0]


@dataclass(frozen=True)
class ShardSet:
    """The shards of one prediction, complete.

    Attributes:
        files: for each raster (``change map``, ``score``, ...) its shards from top to bottom.
        grid: of the whole scene.
        tags: of the maps of the whole scene.
    """

    files: dict[str, tuple[ShardFile, ...]]
    grid: Grid
    tags: dict[str, str]

    def blocks(self, raster: str) -> Iterator[tuple[int, NDArray[Any]]]:
        """The values of a raster from top to bottom, as :meth:`ShardFile.blocks`."""
        for file in self.files[raster]:
            yield from file.blocks()


def read_shards(paths: Sequence[str | os.PathLike[str]]) -> ShardSet:
    """The shards in files, if they belong together and none is missing or there twice. No pixel is read.

    Args:
        paths: the files in any order; change map, score and uncertainty may be mixed.

    Raises:
        MissingInputError: a file does not exist.
        FormatError: a file is damaged, or no GeoTIFF.
        ShardError: a file is no shard; shards are of different predictions; some are missing, double or overlap.
        GridError: shards are of scenes that lie elsewhere.
    """
    if not paths:
        raise ShardError("no shard is named: give the files that predict wrote with shard=")
    found = [_read_shard(find_input(path)) for path in paths]
    first = found[0]
    for other in found[1:]:
        _check_one_prediction(first, other)
    files = {
        raster: _in_order(raster, [file for file in found if file.raster == raster])
        for raster in dict.fromkeys(file.raster for file in found)
    }
    return ShardSet(files, first.grid, first.tags)


def _read_shard(path: Path) -> ShardFile:
    if file_kind(path) is not FileKind.TIFF:
        raise ShardError(f"{path} is no GeoTIFF, and so no shard: give the files that predict wrote with shard=")
    with open_raster(path, FileKind.TIFF.value) as dataset:
        tags = {name: text for name, text in dataset.tags().items() if name not in _NOT_OURS}
        shape, dtype, description = dataset.shape, dataset.dtypes[0], dataset.descriptions[0]
        count = dataset.count
    if not tags.keys() >= set(_OWN):
        raise ShardError(
            f"{path} is no shard of a map: give the files that predict wrote with shard=, and no others"
        )
    raster = raster_named(description, dtype, tags=tags)
    try:
        shard, grid = parse_shard(tags[_SHARD]), _grid_from_text(tags[_SCENE_GRID])
        rows = slice(*(int(row) for row in tags[_ROWS].split(":")))
        several = len(kinds_of_tags(tags)) - 1 if raster == "kind probability" else 1
        if raster is None or count != several or not 0 <= rows.start < rows.stop <= grid.rows:
            raise ValueError
        if shape != (rows.stop - rows.start, grid.cols) or shard.count > grid.rows:
            raise ValueError
    except (ValueError, TypeError, KeyError, AttributeError, RasterioError):
        raise FormatError(f"{path} says that it is a shard, but was changed since: make it again") from None
    return ShardFile(
        path,
        raster,
        shard,
        rows,
        grid,
        {name: tags[name] for name in tags if name not in _OWN},
        tags[_PIXELS],
        count,
    )


def _check_one_prediction(first: ShardFile, other: ShardFile) -> None:
    """Refuse shards that no single prediction would have written."""
    join = "join the shards of one prediction"
    if first.shard.count != other.shard.count:
        raise ShardError(
            f"{first.path} is shard {first.shard} but {other.path} is shard {other.shard}: {join}, cut alike"
        )
    for name in dict.fromkeys([*_WORDS, *first.tags, *other.tags]):
        mine, theirs = first.tags.get(name), other.tags.get(name)
        if mine != theirs:
            raise ShardError(
                f"{first.path} and {other.path} are not of one {_WORDS.get(name, name)} "
                f"({mine or 'none'} and {theirs or 'none'}): {join}"
            )
    check_same_grid(first.grid, other.grid, names=(str(first.path), str(other.path)), remedy=join)
    if _grid_to_text(first.grid) != _grid_to_text(other.grid):
        raise ShardError(f"{first.path} and {other.path} are georeferenced differently: {join}")
    if first.pixels != other.pixels:
        raise ShardError(
            f"{first.path} and {other.path} were made of other files, or with other options for them: {join}"
        )


def _in_order(raster: str, files: list[ShardFile]) -> tuple[ShardFile, ...]:
    """The shards of one raster from top to bottom, if they cover the scene once."""
    by_number: dict[int, ShardFile] = {}
    for file in files:
        twin = by_number.setdefault(file.shard.number, file)
        if twin is not file:
            raise ShardError(
                f"{twin.path} and {file.path} are both shard {file.shard} of the {raster}: leave one out"
            )
    count = files[0].shard.count
    absent = count - len(by_number)
    if absent:
        missing = islice((number for number in range(1, count + 1) if number not in by_number), _NAMED)
        named = [f"{number}/{count}" for number in missing]
        listed = ", ".join(named) + (f" and {absent - len(named)} more" if absent > len(named) else "")
        raise ShardError(
            f"of the {raster} {'shard' if absent == 1 else 'shards'} {listed} {'is' if absent == 1 else 'are'} "
            f"missing: name the file, or make it by predict with shard='{named[0]}'"
        )
    ordered = tuple(sorted(files, key=lambda file: file.rows.start))
    end, height = 0, ordered[0].grid.rows
    for file in ordered:
        if file.rows.start != end:
            what = "overlap" if file.rows.start < end else "leave a gap"
            raise ShardError(
                f"the shards of the {raster} {what} at row {min(end, file.rows.start)} ({file.path} has rows "
                f"{file.rows.start} to {file.rows.stop - 1}): make them again with one version of hsi-cd"
            )
        end = file.rows.stop
    if end != height:
        raise ShardError(
            f"the shards of the {raster} end at row {end - 1} of {height}: make them again with one version of "
            "hsi-cd"
        )
    return ordered


def _grid_to_text(grid: Grid) -> str:
    """A grid as JSON, with every digit: a shifted transform, shifted back, may differ in the last one."""
    return json.dumps(
        {
            "rows": grid.rows,
            "cols": grid.cols,
            "crs": _crs_to_text(grid.crs),
            "transform": None if grid.transform is None else list(grid.transform)[:6],
            "gcps": [[p.row, p.col, p.x, p.y, p.z] for p in grid.gcps],
            "gcp_crs": _crs_to_text(grid.gcp_crs),
            "rpcs": None if grid.rpcs is None else grid.rpcs.to_dict(),
        }
    )


def _grid_from_text(text: str) -> Grid:
    """The grid in a tag; ValueError, TypeError, KeyError or RasterioError where it is none."""
    told = json.loads(text)
    points: Iterable[list[float]] = told["gcps"]
    return Grid(
        rows=int(told["rows"]),
        cols=int(told["cols"]),
        crs=_crs_from_text(told["crs"]),
        transform=None if told["transform"] is None else Affine(*told["transform"]),
        gcps=tuple(GroundControlPoint(row, col, x, y, z) for row, col, x, y, z in points),
        gcp_crs=_crs_from_text(told["gcp_crs"]),
        rpcs=None if told["rpcs"] is None else RPC(**told["rpcs"]),
    )


def _crs_to_text(crs: CRS | None) -> str | None:
    return None if crs is None else crs.to_wkt()


def _crs_from_text(text: str | None) -> CRS | None:
    return None if text is None else CRS.from_wkt(text)
