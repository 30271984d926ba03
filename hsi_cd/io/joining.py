"""The shards of a map joined to the map that a single process would have written, byte for byte."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from hsi_cd.errors import ShardError
from hsi_cd.io.map_classes import kinds_of_tags
from hsi_cd.io.prediction import MapFiles, MapRows, WrittenMap, write_prediction
from hsi_cd.io.shards import ShardSet
from hsi_cd.progress import Bar, progress

Probability = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""From scores to change probabilities."""


def join_shards(shards: ShardSet, files: MapFiles, *, probability: Probability | None = None) -> WrittenMap:
    """Write the maps of the whole scene, block of rows by block of rows.

    Args:
        shards: what :func:`hsi_cd.io.shards.read_shards` found.
        files: what is written, and where to.
        probability: from scores to change probabilities, for what tells these, of scores that are none themselves.

    Returns:
        Its counts, and what was written as polygons.

    Raises:
        ShardError: a raster is asked for of which there are no shards, or the other way round.
        FormatError: a shard is damaged, or the polygons' name tells no format.
        GridError: polygons are asked for of a scene without CRS and transform.
        OutputError: a file exists or cannot be written.
    """
    files.check(inputs=[file.path for part in shards.files.values() for file in part])
    asked = set(files.rasters)
    if (files.vector is not None or files.probability is not None) and "probability" not in shards.files:
        asked = asked - {"probability"} | {"score"}  # from which the probabilities come
        if shards.tags.get("SCORE_UNIT") != "probability" and probability is None:
            raise ShardError(
                "probabilities of change are to be written, or told by polygons, which the scores of this method "
                "are not: give its checkpoint as checkpoint=, or leave probability= and vector= out"
            )
    elif files.vector is not None:
        asked.add("probability")
    for name in sorted(asked - shards.files.keys()):
        raise ShardError(
            f"none of the files is a shard of the {name}: name these, too, or do not ask for what needs them"
        )
    for name in sorted(shards.files.keys() - asked):
        raise ShardError(
            f"{shards.files[name][0].path} is a shard of the {name}, which is not asked for: "
            f"give {name}=FILE, or leave these shards out"
        )
    return write_prediction(
        _rows(shards),
        files,
        grid=shards.grid,
        tags=shards.tags,
        probability=probability or (lambda scores: scores),
        kinds=kinds_of_tags(shards.tags),
    )


def _rows(shards: ShardSet) -> Iterator[MapRows]:
    """All rasters side by side; their shards have the same rows, being of one prediction."""
    names = list(shards.files)
    bar: Bar[None] = progress((), total=shards.grid.rows, desc="joining", unit="rows")
    with bar:
        for blocks in zip(*(shards.blocks(name) for name in names), strict=True):
            values = {name: block for name, (_, block) in zip(names, blocks, strict=True)}
            rest = (values.get(name) for name in ("score", "uncertainty", "probability", "kind probability"))
            yield MapRows(blocks[0][0], values["change map"], *rest)
            bar.update(len(values["change map"]))
