"""Options of a batch that goes to a SLURM cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from hsi_cd.cli.options.gathering import gathering

if TYPE_CHECKING:
    from hsi_cd.batch.slurm import Request


def _request(
    slurm: bool,
    partition: str | None,
    time: str | None,
    gpus_per_node: int | None,
    cpus_per_task: int | None,
    at_once: int | None,
    sbatch: tuple[str, ...],
) -> Request | None:
    given = {
        "--partition": partition,
        "--time": time,
        "--gpus-per-node": gpus_per_node,
        "--cpus-per-task": cpus_per_task,
        "--at-once": at_once,
        "--sbatch": sbatch or None,
    }
    if not slurm:
        if named := next((option for option, value in given.items() if value is not None), None):
            raise click.UsageError(f"{named} is for a cluster: give --slurm, too")
        return None
    from hsi_cd.batch.slurm import Request, parse_minutes

    return Request(
        partition,
        parse_minutes(time) if time is not None else 60,
        gpus_per_node or 0,
        cpus_per_task or 1,
        dict(_assignment(text) for text in sbatch),
        at_once or 256,
    )


slurm_options = gathering(
    "request",
    _request,
    click.option("--slurm", is_flag=True, help="Submit to the SLURM cluster, one task a job (needs submitit)."),
    click.option("--partition", metavar="NAME", help="Partition of the cluster [default: the cluster's]."),
    click.option(
        "--time",
        metavar="TIME",
        help="Time limit of a task, as SLURM says it; what needs longer saves and goes on [default: 60].",
    ),
    click.option(
        "--gpus-per-node", type=click.IntRange(min=0), metavar="N", help="GPUs of each task [default: none]."
    ),
    click.option(
        "--cpus-per-task", type=click.IntRange(min=1), metavar="N", help="Cores of each task [default: 1]."
    ),
    click.option("--at-once", type=click.IntRange(min=1), metavar="N", help="Tasks at a time [default: 256]."),
    click.option(
        "--sbatch",
        multiple=True,
        metavar="KEY=VALUE",
        help="Another option of sbatch, as account=geo or mem=16G; may be repeated.",
    ),
)
"""Say what is asked of a cluster; the command is handed it as ``request``, None without ``--slurm``."""


def _assignment(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise click.UsageError(f"--sbatch {text}: expected an option of sbatch and its value, as mem=16G")
    return key.removeprefix("--"), value
