"""``hsi-cd benchmark``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from hsi_cd.cli.matrix_runs import run_with_bar, tell_changed
from hsi_cd.cli.options.matrix_options import (
    MatrixChoice,
    Places,
    TableChoice,
    matrix_options,
    place_options,
    runs_option,
    table_options,
)
from hsi_cd.cli.options.output_options import named_files
from hsi_cd.cli.options.path_type import PathType
from hsi_cd.cli.options.split_options import check_split, split_option
from hsi_cd.cli.telling import hint, results_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hsi_cd.batch.jobs import GivenSplit
    from hsi_cd.evaluation import RunResult

EPILOG = """\b
Examples:
  hsi-cd benchmark --datasets taizhou,rennes --methods siamese,svm,cva --seeds 0-4
  hsi-cd benchmark --datasets farmland --methods siamese --seeds 0-9 --protocol P1-strict \\
      --format latex --output table.tex
  hsi-cd benchmark --datasets taizhou --methods siamese --seeds 0-2 \\
      --vary attention.kind=bilateral,bam,none --vary train.loss=bce,focal   # an ablation
  hsi-cd benchmark --datasets taizhou --methods siamese,svm --seeds 0-4 --split split.npz

  hsi-cd benchmark --datasets irrigated --methods siamese,svm,forest --seeds 0-4 --kinds \
      --format latex --output kinds.tex

  hsi-cd benchmark --scenes scenes.yaml --leave-one-scene-out --protocol P4 --methods siamese,auto --seeds 0

Stopped and started again, it goes on where it stopped. hsi-cd batch takes
larger matrices from a file; hsi-cd table makes other tables of the same runs.
"""


@click.command(epilog=EPILOG)
@matrix_options
@click.option("--protocol", help="P1, P1-strict, P2, P3, P4 or drawn  [default: P1]")
@split_option
@click.option(
    "--vary",
    multiple=True,
    metavar="KEY=A,B",
    help="Do each run with each of these values of a setting; given again, with every combination.",
)
@click.option(
    "--scenes",
    type=PathType(),
    metavar="FILE",
    help="With --leave-one-scene-out: the scenes, as hsi-cd train --scenes lists them.",
)
@click.option(
    "--leave-one-scene-out",
    is_flag=True,
    help="Each scene of --scenes in turn does not teach, and is mapped by what all others taught (protocol P4).",
)
@runs_option("runs/benchmark")
@place_options
@table_options
def benchmark(
    matrix: MatrixChoice,
    protocol: str | None,
    split: Path | None,
    vary: tuple[str, ...],
    scenes: Path | None,
    leave_one_scene_out: bool,
    runs: Path,
    places: Places,
    table: TableChoice,
) -> int:
    """Run methods x scenes x seeds, skip what is done, and print the table.

    Each run is a process and a folder of its own; one that fails is named at the end and stops no other. With
    --split, the pixels of a file teach in every run on the one scene that is named. With --leave-one-scene-out,
    a method without labels maps each scene by itself, beside a network that all others taught.
    """
    from hsi_cd.api.benchmarks import dataset_files
    from hsi_cd.batch.jobs import expand
    from hsi_cd.batch.variants import cross

    if leave_one_scene_out or scenes is not None:
        _check_left_out(matrix, scenes, protocol, split, leave_one_scene_out=leave_one_scene_out)
    if scenes is not None:
        from hsi_cd.api.scenes_training import read_scenes

        listed = read_scenes(scenes, data_root=matrix.data_root)
        names, chosen, protocol = [scene.name for scene in listed], matrix.chosen(), "P4"
        read = [scenes, *(path for scene in listed for path in scene.inputs)]
    else:
        names, chosen = matrix.names()
        read = [path for name in names for path in dataset_files(name, matrix.data_root)]
    shown = table.check(inputs=[*read, *named_files(split)])
    check_split(split, protocol, matrix.settings)
    if split is not None and len(names) > 1:
        raise click.UsageError(f"--split names pixels of one scene, and --datasets names {len(names)}: name one")
    slots = places.slots()
    drawn: str | GivenSplit = protocol or "P1"
    if split is not None:
        from hsi_cd.api.splitting import split_for

        drawn = split_for(names[0], matrix.data_root, split)
    jobs = expand(
        names,
        chosen,
        matrix.seeds,
        protocol=drawn,
        folder=runs,
        settings=matrix.settings,
        arguments=["--data-root", str(matrix.data_root)],
        variants=cross(vary),
        scenes=scenes,
    )
    tell_changed(jobs)
    failed = run_with_bar({job: job.name for job in jobs}, slots)

    results = [result for job in jobs if (result := job.table_result()) is not None]
    if results:
        click.echo(
            table.put(results_text(results, kind=table.kind, rows="method", columns="dataset", scores=shown))
        )
        if scenes is not None and table.kind == "text":
            hint(_means(results, shown))
    elif table.kind == "json":
        click.echo(table.put("[]"))
    for line in failed:
        click.echo(line, err=True)
    return 2 if failed else 0


def _check_left_out(
    matrix: MatrixChoice,
    scenes: Path | None,
    protocol: str | None,
    split: Path | None,
    *,
    leave_one_scene_out: bool,
) -> None:
    """Refuse what does not go with scenes that are left out in turn.

    Raises:
        click.UsageError: so it is.
    """
    if scenes is None:
        raise click.UsageError("--leave-one-scene-out needs the list of scenes: give --scenes FILE")
    if not leave_one_scene_out:
        raise click.UsageError("--scenes lists scenes that are left out in turn: say --leave-one-scene-out, too")
    if matrix.datasets is not None:
        raise click.UsageError("--datasets and --scenes both name scenes: list benchmark scenes in the file, too")
    if protocol not in (None, "P4") or split is not None:
        named = "--split" if split is not None else f"--protocol {protocol}"
        raise click.UsageError(f"{named}: no pixel of a scene that is left out teaches: that is --protocol P4")


def _means(results: Sequence[RunResult], scores: Sequence[str]) -> str:
    """Of each method the mean of each score over all scenes and seeds, a line each."""
    lines = []
    for method in dict.fromkeys(result.method for result in results):
        own = [result.scores for result in results if result.method == method]
        told = [
            f"{score} {sum(each[score] for each in own) / len(own):.4f}" for score in scores if score in own[0]
        ]
        lines.append(f"mean of {len(own)} runs, {method}: {', '.join(told)}")
    return "\n".join(["", *lines])
