"""``hsi-cd predict``."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click

from hsi_cd.api.area_choice import AreaChoice
from hsi_cd.api.sources import Contract, SceneSource
from hsi_cd.cli.options.area_options import area_options
from hsi_cd.cli.options.gathering import gathering
from hsi_cd.cli.options.json_option import json_option
from hsi_cd.cli.options.kind_choice import KindsBeside, beside_options
from hsi_cd.cli.options.output_options import (
    OutputChoice,
    like_option,
    map_record,
    map_told,
    named_files,
    output_options,
    provenance_option,
)
from hsi_cd.cli.options.pair_options import pair_options
from hsi_cd.cli.options.path_type import PathType
from hsi_cd.cli.options.scene_options import check_scene, scene_options
from hsi_cd.cli.provenance_record import recorded
from hsi_cd.cli.telling import tell

EPILOG = """\b
Examples:
  hsi-cd predict --checkpoint runs/mine/best.pt --t1 a.tif --t2 b.tif --output change.tif
  hsi-cd predict --checkpoint runs/mine/best.pt --dataset farmland --output change.tif \\
      --score score.tif --like georeferenced.tif
  hsi-cd predict --checkpoint runs/mine/best.pt --t1 other/a.tif --t2 other/b.tif \\
      --refit-statistics --output other/change.tif
  hsi-cd predict --checkpoint runs/kinds/best.pt --t1 a.tif --t2 b.tif --output kinds.tif \\
      --kinds-table kinds.csv --library soils.csv
  hsi-cd predict --checkpoint runs/mine/best.pt --t1 a.tif --t2 b.tif --shard 3/8 --output part-3.tif
"""


@dataclass(frozen=True)
class Scoring:
    """How the scene is scored.

    Attributes:
        threshold: score from which a pixel is changed; None for the checkpoint's.
        refit_statistics: measure the bands and the shift on this scene.
        any_units: map values that are far from all that the checkpoint knows.
        device: where to compute.
        precision: of a network's products.
        shard: the part that is mapped, as ``3/8``, or None.
        kinds: whether the map tells kinds of change apart; None for what the checkpoint knows.
    """

    threshold: float | None
    refit_statistics: bool
    any_units: bool
    device: str
    precision: str
    shard: str | None
    kinds: bool | None


@click.command(epilog=EPILOG)
@click.option("--checkpoint", type=PathType(), required=True, metavar="FILE", help="best.pt of a run.")
@scene_options
@pair_options
@area_options
@output_options(
    uncertainty="Standard deviation of the change probability over the ensemble's members (GeoTIFF).", kinds=True
)
@gathering(
    "scoring",
    Scoring,
    click.option(
        "--threshold", type=float, help="Score from which a pixel is changed [default: the checkpoint's]."
    ),
    click.option(
        "--refit-statistics",
        is_flag=True,
        help="Measure the bands' means and deviations and the shift on this scene, without labels, in place of "
        "the training scene's. Takes as much memory as training does.",
    ),
    click.option(
        "--any-units",
        is_flag=True,
        help="Map a scene whose values are far from all that the checkpoint was fitted on.",
    ),
    click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True),
    click.option(
        "--precision",
        type=click.Choice(["float32", "bfloat16"]),
        default="float32",
        show_default=True,
        help="Of a network's products. bfloat16, for GPUs that are fast in it, moves probabilities by about 0.01.",
    ),
    click.option(
        "--shard",
        metavar="I/N",
        help="Map only part I of N, some whole rows of the scene; hsi-cd mosaic joins the parts.",
    ),
    click.option(
        "--kinds/--no-kinds",
        default=None,
        help="Map kinds of change, or none [default: those that the checkpoint has learned].",
    ),
)
@beside_options
@like_option
@provenance_option
@json_option
def predict(
    checkpoint: Path,
    source: SceneSource,
    contract: Contract,
    area: AreaChoice,
    files: OutputChoice,
    scoring: Scoring,
    beside: KindsBeside,
    like: Path | None,
    provenance: Path | None,
    as_json: bool,
) -> None:
    """Map a scene pair with a trained checkpoint. No labels are read.

    The change map holds 0 unchanged, 1 changed (or 1 to K, the kinds of change that the checkpoint has learned),
    255 no data, with colours, names and the scene's georeference. Scenes
    of any height are read, scored and written in bounded memory; with --shard, by several processes or nodes.
    """
    check_scene(source)
    threshold = scoring.threshold
    if threshold is not None and math.isnan(threshold):
        raise click.UsageError("--threshold is not a number: give a score, for the network a probability, 0 to 1")
    if scoring.shard is not None and (files.cog or files.vector is not None):
        option = "--cog" if files.cog else "--vector"
        raise click.UsageError(f"{option} is for the whole map: give it to hsi-cd mosaic, which joins the shards")
    if scoring.shard is not None and area.is_named:
        raise click.UsageError(
            "--shard is for the whole scene: leave --aoi and --bounds out, or map the area at once"
        )
    if beside.asked and scoring.kinds is False:
        raise click.UsageError(f"{beside.asked} is about kinds of change: leave --no-kinds out")
    if beside.asked and scoring.shard is not None:
        raise click.UsageError(
            f"{beside.asked} is about the kinds of the whole map: leave --shard out, or map parts without it"
        )
    from hsi_cd.scene import parse_shard

    part = parse_shard(scoring.shard) if scoring.shard is not None else None
    inputs = named_files(*source.files, checkpoint, like, beside.library)
    files.check(inputs=inputs, provenance=provenance, beside=beside.files)
    named = beside.named(overwrite=files.overwrite)
    named.check()

    from hsi_cd import MapOptions
    from hsi_cd.api.bounding import told_of_area
    from hsi_cd.api.estimators import load
    from hsi_cd.api.kinds_of_change import find_materials, has_kinds, kinds_record, kinds_told, open_library
    from hsi_cd.api.masking import mask_files
    from hsi_cd.api.opening import open_scene
    from hsi_cd.api.pairing import grid_like, like_checkpoint
    from hsi_cd.api.precision import compute_in
    from hsi_cd.api.registering import told_of

    pair = open_scene(
        source, replace(contract, register=None, area=replace(area, like=like))
    )  # the checkpoint knows its own scene's shift
    # Those of a dataset are among them, which nobody named.
    files.check(inputs=pair.files, provenance=provenance, beside=beside.files)
    grid = grid_like(like, pair.scene_grid.shape) if like is not None else None
    files.check_regions(grid or pair.grid)
    estimator = load(checkpoint, device=scoring.device)
    detector = estimator.detector_
    if beside.asked and not has_kinds(estimator):
        raise click.UsageError(
            f"{beside.asked} is about kinds of change, and the checkpoint was trained without: leave it out, or "
            "use hsi-cd train --kinds"
        )
    if threshold is not None and detector.unit == "probability" and not 0 <= threshold <= 1:
        raise click.UsageError(f"--threshold is {threshold:g}: this checkpoint scores probabilities, give 0 to 1")
    compute_in(estimator, scoring.precision)
    pair = like_checkpoint(pair, detector.bands, contract=contract)
    library = None if beside.library is None else open_library(beside.library, scene=pair)
    how = MapOptions(threshold=threshold, grid=grid, shard=part, memory=source.memory, any_units=scoring.any_units)
    how = replace(how, register=contract.register, learned=scoring.kinds)
    read = [*source.files, *mask_files(contract.mask), *area.files, checkpoint, *named_files(beside.library)]
    with recorded(provenance, inputs=read):
        change = estimator.predict(pair, how, refit=scoring.refit_statistics)
        mapped = change.write_files(files.named(), count_kinds=beside.asked is not None)
        found = change.kinds if beside.asked else None
        materials = None if library is None or found is None else find_materials(found, library)
        if found is not None:
            named.write(found, materials, scene=pair.name)
    names = None if change.kinds is None else change.kinds.names
    written = files.told(unit=detector.unit) | beside.told()
    done = told_of(change.pair) | told_of_area(pair.area)
    lines = [f"{what}: {told}" for what, told in (written | map_told(mapped, names) | done).items()]
    rows = None if part is None else part.rows(pair.shape[0])
    if rows is not None:
        lines.insert(0, f"shard {part}: rows {rows.start} to {rows.stop - 1} of {pair.shape[0]}")
    facts: dict[str, Any] = map_record(mapped, names)
    if found is not None:
        lines += kinds_told(found)
        facts["kinds"] = kinds_record(found, materials)
    if found is not None and materials is not None:
        lines += materials.told(found)
        facts["library"] = str(materials.library)
    record = {
        "files": written,
        "checkpoint": checkpoint,
        "threshold": detector.threshold if threshold is None else threshold,
        "unit": detector.unit,
        "rows": list(pair.shape[:1]) if rows is None else [rows.start, rows.stop],
        **facts,
        **done,
    }
    tell("\n".join(lines), record, as_json=as_json)
