"""``hsi-cd batch``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from hsi_cd.cli.matrix_runs import run_with_bar, tell_changed
from hsi_cd.cli.options.matrix_options import Places, TableChoice, place_options, table_options
from hsi_cd.cli.options.path_type import PathType
from hsi_cd.cli.options.scene_options import data_root_option
from hsi_cd.cli.options.slurm_options import slurm_options
from hsi_cd.cli.remedies import for_command
from hsi_cd.cli.telling import cells_of, document, is_quiet, results_text, tell

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hsi_cd.batch.jobs import Job
    from hsi_cd.batch.matrix import Matrix
    from hsi_cd.batch.slurm import Request

EPILOG = """\b
Examples:
  hsi-cd batch matrix.yaml --dry-run            # the plan, with an estimated time
  hsi-cd batch matrix.yaml --gpus all           # one process a GPU
  hsi-cd batch matrix.yaml --workers 4 --format latex --output table.tex
  hsi-cd batch matrix.yaml --slurm --partition gpu --gpus-per-node 1 --time 4:00:00

\b
matrix.yaml (paths are relative to it):
  folder: runs/paper
  datasets:
    - taizhou
    - {name: mine, t1: mine/before.tif, t2: mine/after.tif, truth: mine/truth.tif}
  methods: [siamese, svm]
  seeds: 0-4
  protocols: [P1, P3]
  settings: {train.map_every: 0}
  variants:
    default: {}
    no-attention: {model.attention.kind: none}

\b
or scene pairs to map, from a CSV file (t1, t2, name, checkpoint) or by a pattern:
  folder: maps
  predict:
    checkpoint: runs/mine/best.pt
    pattern: "scenes/{name}_{date:%Y%m%d}.tif"
    arguments: [--cog]
    # shards: 8           # of each pair, mapped by as many processes and joined;
    # join: [--cog]       # then --cog and --vector are for the joining

Stopped and started again, it goes on where it stopped: what is finished is skipped.
"""


@click.command(epilog=EPILOG)
@click.argument("matrix_file", metavar="MATRIX.yaml", type=PathType())
@click.option("--dry-run", is_flag=True, help="Show the plan and which inputs are not there, and do nothing.")
@place_options
@slurm_options
@data_root_option
@click.option(
    "--history",
    type=PathType(),
    multiple=True,
    metavar="DIR",
    help="Estimate times by the finished runs in this folder, too; may be repeated.",
)
@click.option("--collect", is_flag=True, help="Start nothing: make the table of what is finished.")
@table_options
def batch(
    matrix_file: Path,
    dry_run: bool,
    places: Places,
    request: Request | None,
    data_root: Path,
    history: tuple[Path, ...],
    collect: bool,
    table: TableChoice,
) -> int:
    """Do a matrix of runs, or map many scene pairs: on GPUs, on cores, or on a SLURM cluster.

    Each job is a process and a folder of its own, with what it says in a .log beside it. One that fails stops no
    other and is named at the end; one that was pre-empted is put back. On Ctrl-C or SIGTERM what runs is saved.
    """
    from hsi_cd.api.benchmarks import dataset_name
    from hsi_cd.api.method_names import chosen_method
    from hsi_cd.batch.matrix import read_matrix
    from hsi_cd.batch.slurm import check_cluster
    from hsi_cd.cli.batch_check import check_commands, missing_inputs, safe_inputs

    shown = table.check(inputs=[matrix_file])
    if request is not None and (places.are_named or collect):
        raise click.UsageError("--slurm is for a cluster; --workers, --gpus and --collect are for this machine")
    matrix = read_matrix(
        matrix_file,
        find_method=chosen_method,
        find_dataset=dataset_name,
        data_root=data_root,
    )
    check_commands(matrix)
    table.check(inputs=safe_inputs(matrix))
    slots = places.slots()
    if request is not None:
        check_cluster(request)
    missing = [job for job in matrix.jobs if not job.is_finished()]
    tell_changed(matrix.jobs)
    if not collect:
        at_once = len(slots) if request is None else min(request.at_once, max(1, len(missing)))
        _show_plan(matrix, missing, history, places=at_once)
    if dry_run:
        todo = [{"name": job.name, "folder": job.folder} for job in missing]
        text = "\n".join(f"  {job.name}: {job.folder}" for job in missing)
        absent = missing_inputs(missing, data_root)
        if todo or table.kind == "json":
            record = {"jobs": len(matrix.jobs), "to_do": todo, "missing": absent}
            tell(text, record, as_json=table.kind == "json")
        for line in absent:
            click.echo(f"missing: {line}", err=True)
        return 2 if absent else 0
    if request is not None:
        return _submit(matrix, missing, request, matrix_file, data_root, as_json=table.kind == "json")
    if collect:
        from hsi_cd.batch.runner import log_of, reason_in

        reasons = {job: for_command(reason_in(log_of(job)), "batch") or "it never started" for job in missing}
        failed = [f"failed: {job.name}: {reason}" for job, reason in reasons.items()]
    else:
        failed = run_with_bar({job: job.name for job in matrix.jobs}, slots, tell=True)
    _show_end(matrix, shown, table)
    for line in failed:
        click.echo(line, err=True)
    return 2 if failed else 0


def _show_plan(matrix: Matrix, missing: Sequence[Job], history: Sequence[Path], *, places: int) -> None:
    """What is to be done, and how long it takes by what finished jobs took."""
    from collections import Counter

    from hsi_cd.batch.estimate import estimate, in_words, known_times, total_seconds
    from hsi_cd.reporting.text_cells import align

    if is_quiet():
        return
    known = known_times([matrix.folder, *history])
    jobs = Counter(job.kinds[0] for job in matrix.jobs)
    left = Counter(job.kinds[0] for job in missing)
    estimates = {job: estimate(job, known) for job in missing}
    told = {job.kinds[0]: found for job, found in estimates.items() if found is not None}
    rows = [["what", "jobs", "finished", "to do", "each takes", "by"]]
    for kind, count in jobs.items():
        found = told.get(kind)
        about = [in_words(found.seconds), found.source] if found else ["unknown" if left[kind] else "-", "-"]
        rows.append([" ".join(kind[1:]), f"{count}", f"{count - left[kind]}", f"{left[kind]}", *about])
    click.echo(align(rows, rule_after=1), err=True)
    seconds = total_seconds(list(estimates.values()), places=places)
    unknown = sum(found is None for found in estimates.values())
    time = "an unknown time" if seconds is None else f"about {in_words(seconds)}"
    beside = f" and {unknown} jobs of unknown length" if unknown and seconds is not None else ""
    click.echo(f"  {len(missing)} of {len(matrix.jobs)} to do, {places} at a time: {time}{beside}\n", err=True)


def _submit(
    matrix: Matrix,
    missing: Sequence[Job],
    request: Request,
    matrix_file: Path,
    data_root: Path,
    *,
    as_json: bool,
) -> int:
    """Put what is missing into the queue of the cluster."""
    from hsi_cd.batch.map_jobs import PROGRAM
    from hsi_cd.batch.slurm import array_ids, make_executor, queue_name, queued, submit
    from hsi_cd.errors import OutputError

    if not missing:
        tell("nothing to do; hsi-cd batch MATRIX.yaml --collect makes the table", {"jobs": 0}, as_json=as_json)
        return 0
    logs, name = matrix.folder / "slurm", queue_name(matrix.folder)
    if there := queued(name):
        raise OutputError(
            f"this batch is in the queue already, as {', '.join(there)}: wait for it (squeue --name={name}), "
            f"or end it (scancel --name={name})"
        )
    table_file = matrix.folder / "table.txt"
    words = [*PROGRAM, "batch", str(matrix_file.absolute()), "--data-root", str(data_root.absolute()), "--collect"]
    executor = make_executor(logs, request)
    *tasks, last = submit(missing, executor, table=[*words, "--output", str(table_file), "--overwrite"], name=name)
    arrays = array_ids(tasks)
    text = (
        f"submitted {len(missing)} jobs as {', '.join(arrays)}, then the table as {last.job_id}\n"
        f"watch: squeue --name={name}; logs: {logs}; table: {table_file}"
    )
    record = {"jobs": len(missing), "arrays": arrays, "table_job": last.job_id, "logs": logs, "table": table_file}
    tell(text, {**record, "name": name}, as_json=as_json)
    return 0


def _show_end(matrix: Matrix, scores: Sequence[str], table: TableChoice) -> None:
    """The tables of what is finished: one for each protocol, whose scores do not compare with another's."""
    from hsi_cd.batch.jobs import TrainJob
    from hsi_cd.evaluation import RunResult

    groups: dict[str, list[RunResult]] = {}
    for job in matrix.jobs:
        if isinstance(job, TrainJob) and (result := job.table_result()) is not None:
            groups.setdefault(job.protocol, []).append(result)
    parts = {folder for job in matrix.jobs for folder in job.needs}
    maps = [
        job
        for job in matrix.jobs
        if not isinstance(job, TrainJob) and job.folder not in parts and job.is_finished()
    ]
    if table.kind == "json":
        cells = {
            title: cells_of(results_text(results, kind="csv", columns="dataset", scores=scores))
            for title, results in groups.items()
        }
        mapped = {job.name: job.folder / "change.tif" for job in maps}
        click.echo(table.put(document({"tables": cells, "maps": mapped})))
        return
    tables = [
        f"{title}\n\n" * (len(groups) > 1)
        + results_text(results, kind=table.kind, columns="dataset", scores=scores)
        for title, results in groups.items()
    ]
    tables += ["\n".join(f"mapped: {job.name}: {job.folder / 'change.tif'}" for job in maps)] if maps else []
    if tables:
        click.echo(table.put("\n\n".join(tables)))
