"""``hsi-cd runs``."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hsi_cd.cli.options.json_option import json_option
from hsi_cd.cli.options.path_type import PathType
from hsi_cd.cli.table import names
from hsi_cd.cli.telling import tell

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hsi_cd.runs.listing import Run, Standing

EPILOG = """\b
Examples:
  hsi-cd runs                                     # all runs below runs/
  hsi-cd runs runs/paper --method siamese --state finished --where train.lr=0.003
  hsi-cd runs runs/paper --best --by kappa --protocol P1
  hsi-cd runs --diff runs/a runs/b                # settings, commit, versions, machine, scores
"""


@click.command(epilog=EPILOG)
@click.argument("folder", default="runs", type=PathType())
@click.option("--dataset", metavar="NAME", help="Only runs on this scene.")
@click.option("--method", metavar="NAME", help="Only runs of this method.")
@click.option("--protocol", metavar="ID", help="Only runs under this protocol.")
@click.option("--seed", type=int, help="Only runs of this seed.")
@click.option(
    "--state",
    type=click.Choice(["finished", "unfinished", "pre-empted", "interrupted", "failed", "damaged"]),
    help="Only runs in this state; unfinished ones were killed, or still run.",
)
@click.option("--where", multiple=True, metavar="KEY=VALUE", help="Only runs with this setting; may be repeated.")
@click.option(
    "--scores", default="oa,kappa,f1", show_default=True, callback=names, help="Scores shown, with commas."
)
@click.option(
    "--best",
    is_flag=True,
    help="For each scene and protocol, the method and settings with the best mean over seeds: the highest, or of "
    "an error, as ece, the lowest.",
)
@click.option("--by", "score", default="kappa", show_default=True, help="With --best: the score.")
@click.option(
    "--diff",
    nargs=2,
    type=PathType(),
    metavar="RUN RUN",
    help="Show what differs between two runs.",
)
@json_option
def runs(
    folder: Path,
    dataset: str | None,
    method: str | None,
    protocol: str | None,
    seed: int | None,
    state: str | None,
    where: tuple[str, ...],
    scores: tuple[str, ...],
    best: bool,
    score: str,
    diff: tuple[Path, Path] | None,
    as_json: bool,
) -> None:
    """List the runs in FOLDER, find the best, or show what differs between two.

    The best is chosen by the pixels that judge, so its score is optimistic: judge the choice on another scene.
    """
    from hsi_cd.config import parse_assignment
    from hsi_cd.errors import MissingInputError, unknown_name
    from hsi_cd.reporting.tables import SCORE_TITLES
    from hsi_cd.reporting.text_cells import align
    from hsi_cd.runs.listing import best_runs, differences, flat, read_run, read_runs

    for name in (*scores, score):
        if name not in SCORE_TITLES:
            raise unknown_name("score", name, SCORE_TITLES)
    if diff is not None:
        for path in diff:
            if not any((path / name).is_file() for name in ("config.yaml", "result.json")):
                raise MissingInputError(f"{path} is no run folder: give two folders that hsi-cd train wrote")
        rows = differences(read_run(diff[0]), read_run(diff[1]))
        text = align([("", *map(str, diff)), *rows], rule_after=1) if rows else "nothing differs"
        tell(text, [dict(zip(("what", "a", "b"), row, strict=True)) for row in rows], as_json=as_json)
        return
    wanted = {"dataset": dataset, "method": method, "protocol": protocol, "seed": seed, "state": state}
    settings: dict[str, Any] = {}
    for text in where:
        settings |= flat(parse_assignment(text))
    found = [
        run
        for run in read_runs(folder)
        if all(getattr(run, name) == value for name, value in wanted.items() if value is not None)
        and all(key in run.settings and run.settings[key] == value for key, value in settings.items())
    ]
    if best:
        standings = best_runs(found, score=score)
        tell(_table_of_best(standings, score), _records_of_best(standings, score), as_json=as_json)
    else:
        tell(_table_of(found, folder, scores), _records_of(found), as_json=as_json)


def _table_of(found: Sequence[Run], folder: Path, scores: Sequence[str]) -> str:
    from hsi_cd.reporting.tables import SCORE_TITLES, score_in_list
    from hsi_cd.reporting.text_cells import align

    if not found:
        return "no run is like that"
    titles = [SCORE_TITLES[name] for name in scores]
    rows = [["run", "dataset", "method", "protocol", "seed", "state", *titles, "seconds", "started"]]
    for run in found:
        seconds = run.provenance.seconds
        values = [score_in_list(run.result, name) for name in scores]
        facts = [
            run.dataset or "-",
            run.method,
            run.protocol,
            "-" if run.seed is None else str(run.seed),
            run.state,
        ]
        time = "-" if seconds is None else f"{seconds:.0f}"
        rows.append([str(run.folder.relative_to(folder)), *facts, *values, time, run.started[:16] or "-"])
    return align(rows, rule_after=1)


def _table_of_best(standings: Sequence[Standing], score: str) -> str:
    from hsi_cd.evaluation import stands_on_few
    from hsi_cd.reporting.tables import SCORE_TITLES
    from hsi_cd.reporting.text_cells import align

    if not standings:
        return "no finished run is like that"
    rows = [["dataset", "protocol", "method", "seeds", SCORE_TITLES[score], "settings beside the default"]]
    for best in standings:
        deviation = "" if math.isnan(best.std) else f" +- {best.std:.4f}"
        deviation += " (few pixels)" if any(r.result and stands_on_few(r.result) for r in best.runs) else ""
        changed = ", ".join(f"{key}={value}" for key, value in best.changed.items()) or "-"
        rows.append(
            [best.dataset, best.protocol, best.method, str(len(best.runs)), f"{best.mean:.4f}{deviation}", changed]
        )
    return align(rows, rule_after=1)


def _records_of(found: Sequence[Run]) -> list[dict[str, Any]]:
    return [
        {
            "folder": str(run.folder),
            "state": run.state,
            "dataset": run.dataset or None,
            "method": run.method or None,
            "protocol": run.protocol or None,
            "seed": run.seed,
            "scores": dict(run.result.scores) if run.result else {},
            "scores_of_kinds": dict(run.result.kinds.scores) if run.result and run.result.kinds else None,
            "seconds": run.provenance.seconds,
            "settings": dict(run.settings),
            "sessions": run.provenance.to_dict()["sessions"],
        }
        for run in found
    ]


def _records_of_best(standings: Sequence[Standing], score: str) -> list[dict[str, Any]]:
    return [
        {
            "dataset": best.dataset,
            "protocol": best.protocol,
            "method": best.method,
            "score": score,
            "mean": best.mean,
            "std": best.std,
            "runs": [str(run.folder) for run in best.runs],
            "settings": dict(best.changed),
        }
        for best in standings
    ]
