"""``hsi-cd detect``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from hsi_cd.api.area_choice import AreaChoice
from hsi_cd.api.sources import Contract, SceneSource
from hsi_cd.cli.options.area_options import area_options
from hsi_cd.cli.options.json_option import json_option
from hsi_cd.cli.options.kind_choice import KindChoice, kind_options
from hsi_cd.cli.options.output_options import (
    OutputChoice,
    like_option,
    map_record,
    map_told,
    named_files,
    output_options,
)
from hsi_cd.cli.options.pair_options import drop_option, drop_settings, pair_options
from hsi_cd.cli.options.path_type import PathType
from hsi_cd.cli.options.scene_options import check_scene, scene_options
from hsi_cd.cli.telling import tell

EPILOG = """\b
Examples:
  hsi-cd detect --t1 before.tif --t2 after.tif --output change.tif
  hsi-cd detect --t1 before.tif --t2 after.tif --register --output change.tif
  hsi-cd detect --t1 before.tif --t2 after.tif --aoi valley.gpkg --output valley.tif
  hsi-cd detect --method irmad --dataset taizhou --output change.tif --score score.tif
  hsi-cd detect --method cva --set threshold=otsu --t1 a.tif --t2 b.tif --output change.tif
  hsi-cd detect --t1 a.tif --t2 b.tif --kinds auto --output kinds.tif --kinds-figure kinds.png
  hsi-cd detect --t1 a.tif --t2 b.tif --kinds 6 --library soils.csv --output kinds.tif --kinds-table kinds.csv
  hsi-cd detect --t1 a.tif --t2 b.tif --save auto.pt      # then predict --checkpoint auto.pt --shard 1/8
"""


@click.command(epilog=EPILOG)
@click.option("--method", default="auto", show_default=True, help="A method without labels; see hsi-cd methods.")
@scene_options
@pair_options
@area_options
@drop_option
@click.option("--set", "assignments", multiple=True, metavar="NAME=VALUE", help="Change an option of the method.")
@output_options(required=False, score="Scores (GeoTIFF, float32), in the method's own unit.")
@click.option(
    "--save",
    type=PathType(),
    metavar="FILE",
    help="Keep what was measured as a checkpoint for hsi-cd predict; without --output, nothing is mapped now.",
)
@kind_options
@like_option
@click.option(
    "--seed",
    type=click.IntRange(0, 2**32 - 1),
    default=0,
    show_default=True,
    help="Of methods that draw at random.",
)
@json_option
def detect(
    method: str,
    source: SceneSource,
    contract: Contract,
    area: AreaChoice,
    dropped: tuple[str, ...],
    assignments: tuple[str, ...],
    files: OutputChoice,
    save: Path | None,
    kinds: KindChoice,
    like: Path | None,
    seed: int,
    as_json: bool,
) -> None:
    """Map a scene pair without any label or training.

    The method measures the scene in streaming passes, chooses a threshold from its own scores, and writes the
    change map like predict does. With --kinds, what changed is grouped by how it changed.
    """
    check_scene(source)
    if files.output is None and (save is None or files.maps or files.cog or files.vector):
        raise click.UsageError("no map is named: give --output FILE, or --save FILE alone to map the scene later")
    if files.output is None and kinds.kinds is not None:
        raise click.UsageError("kinds of change are of a map: give --output FILE, too")
    grouping, beside = kinds.options(), kinds.named(overwrite=files.overwrite)
    from hsi_cd.config import merge, parse_assignment

    files.check(inputs=named_files(*source.files, like, kinds.library), save=save, beside=kinds.files)
    beside.check()
    options: dict[str, Any] = {}
    for text in assignments:
        options = merge(options, parse_assignment(text))

    from hsi_cd import MapOptions
    from hsi_cd.api.bounding import told_of_area
    from hsi_cd.api.change_share import change_share
    from hsi_cd.api.estimators import make_estimator
    from hsi_cd.api.kinds_of_change import find_kinds, find_materials, kinds_record, kinds_told, open_library
    from hsi_cd.api.method_names import find_method
    from hsi_cd.api.opening import open_scene
    from hsi_cd.api.pairing import choose_bands, grid_like
    from hsi_cd.api.registering import told_of
    from hsi_cd.api.verbs import OF_THESE_DATES

    chosen = find_method(method)
    if chosen.needs_labels:
        raise click.UsageError(
            f"{method} learns from labels: use hsi-cd train --method {method}, or another method"
        )
    pair = open_scene(source, replace(contract, area=replace(area, like=like)))
    files.check(
        inputs=pair.files, save=save, beside=kinds.files
    )  # those of a dataset among them, which nobody named
    grid = grid_like(like, pair.scene_grid.shape) if like is not None else None
    files.check_regions(grid or pair.grid)
    pair = choose_bands(pair, **drop_settings(dropped))
    library = None if kinds.library is None else open_library(kinds.library, scene=pair)
    settings = {} if chosen.fit is not None else {"settings": options}
    estimator = make_estimator(method, seed=seed, **(settings or options)).fit(pair)
    if save is not None:
        estimator.save(save, overwrite=files.overwrite)
    mapped, found, materials = None, None, None
    if files.output is not None:
        found = None if grouping is None else find_kinds(estimator, grouping, grid=grid, memory=source.memory)
        how = MapOptions(
            grid=grid, memory=source.memory, look_at_shift=False, statistics=OF_THESE_DATES, kinds=found
        )
        mapped = estimator.predict(pair, how).write_files(files.named())
        if found is not None:
            materials = None if library is None else find_materials(found, library)
            beside.write(found, materials, scene=pair.name)
    detector = estimator.detector_
    written = ({} if save is None else {"checkpoint": str(save)}) | files.told() | kinds.told()
    done = told_of(pair) | told_of_area(pair.area)
    lines = [f"{what}: {told}" for what, told in (written | map_told(mapped) | done).items()]
    lines.append(f"threshold {detector.threshold:.4g} ({detector.unit}), method {chosen.title}")
    facts = {"method": chosen.name, "threshold": detector.threshold, "unit": detector.unit}
    if (share := change_share(detector)) is not None:
        lines.append(f"share of the scene that changed, estimated: {share[0]}")
        facts["change_share"] = share[1]
    if found is not None:
        lines += kinds_told(found)
        facts["kinds"] = kinds_record(found, materials)
    if found is not None and materials is not None:
        lines += materials.told(found)
        facts["library"] = str(materials.library)
    tell("\n".join(lines), {"files": written, **facts, **map_record(mapped), **done}, as_json=as_json)
