r"""Runs of methods on the same pixels as one table, and McNemar's test of each map against one method's.

    hsi-cd benchmark --datasets A,B --methods X,Y --seeds 0-2 --runs runs/peers      (as docs/peers/index.md says)
    .venv/bin/python scripts/measure_peers.py runs/peers --output data/results/peers.csv

A row of the output is a run. ``only_against`` and ``only_method`` count the judging pixels that only the map of
the method of ``--against`` calls rightly, or only this one, of the same scene, protocol and seed; ``p_holm`` is
the p value of McNemar's test, corrected by Holm over the methods beside it, and empty where there is no such run.

Printed is Kappa by method and scene: mean, standard deviation (ddof 1), in square brackets the mean far from what
taught, and the number of seeds; then with how many of them this method : that of ``--against`` was the better one
with p_holm < 0.05.
"""

from __future__ import annotations

import argparse
import csv
import statistics
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from hsi_cd.api.run_folders import RunFolder, open_run
from hsi_cd.evaluation import holm, mcnemar
from hsi_cd.runs.folder import find_runs

KEYS = ("scene", "protocol", "seed", "method")
SCORES = ("kappa", "oa", "f1", "far_kappa", "seconds", "parameters")
TESTS = ("only_against", "only_method", "p_holm")


def main() -> None:
    """Read the runs, write the table, print its means."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--output", type=Path, default=Path("runs/peers.csv"))
    parser.add_argument("--against", default="siamese")
    asked = parser.parse_args()
    runs = sorted((open_run(folder) for folder in find_runs(asked.runs)), key=_key)
    rows = [
        row for _, group in groupby(runs, key=lambda run: _key(run)[:3]) for row in measure(list(group), asked)
    ]
    asked.output.parent.mkdir(parents=True, exist_ok=True)
    with asked.output.open("w", newline="") as file:
        table = csv.DictWriter(file, (*KEYS, *SCORES, *TESTS), lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
    for protocol in dict.fromkeys(row["protocol"] for row in rows):
        print(f"\n{protocol}\n\n{summary([row for row in rows if row['protocol'] == protocol])}")


def measure(runs: Sequence[RunFolder], asked: argparse.Namespace) -> list[dict[str, Any]]:
    """The rows of the runs of one scene, protocol and seed."""
    against = next((run for run in runs if run.result.method == asked.against), None)
    others = [run for run in runs if run is not against] if against else []
    tests = [_test(against, run) for run in others]
    corrected = holm([test.p_value for test in tests])
    found = {id(run): found for run, *found in zip(others, tests, corrected, strict=True)}
    rows = []
    for run in runs:
        scores, far = run.result.scores, run.result.details.get("strict/kappa")
        seconds = sum(filter(None, (run.result.train_seconds, run.result.map_seconds)))
        values = [scores["kappa"], scores["oa"], scores["f1"], far]
        shown = ["" if value is None else f"{value:.4f}" for value in values]
        row = dict(
            zip((*KEYS, *SCORES), (*_key(run), *shown, f"{seconds:.0f}", run.result.parameters), strict=True)
        )
        if id(run) in found:
            test, p_value = found[id(run)]
            row |= dict(zip(TESTS, (test.only_first, test.only_second, f"{p_value:.2g}"), strict=True))
        rows.append(row)
    return rows


def summary(rows: Sequence[dict[str, Any]]) -> str:
    """A table in Markdown of one protocol's rows."""
    scenes, methods = (list(dict.fromkeys(row[key] for row in rows)) for key in ("scene", "method"))
    lines = ["| method | " + " | ".join(scenes) + " |", "| --- |" + " --- |" * len(scenes)]
    for method in methods:
        cells = [_cell([r for r in rows if r["scene"] == scene and r["method"] == method]) for scene in scenes]
        lines.append(f"| {method} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(rows: Sequence[dict[str, Any]]) -> str:
    if not rows:
        return "-"
    kappa = [float(row["kappa"]) for row in rows]
    spread = f" +- {statistics.stdev(kappa):.3f}" if len(kappa) > 1 else ""
    far = [float(row["far_kappa"]) for row in rows if row["far_kappa"]]
    beyond = f" [{statistics.mean(far):.3f}]" if far else ""
    sure = [row for row in rows if row.get("p_holm") and float(row["p_holm"]) < 0.05]
    better = sum(row["only_method"] > row["only_against"] for row in sure)
    tested = f", {better}:{len(sure) - better}" if any(row.get("p_holm") for row in rows) else ""
    return f"{statistics.mean(kappa):.3f}{spread}{beyond} ({len(rows)}{tested})"


def _test(against: RunFolder, run: RunFolder) -> Any:
    labels = run.labels()
    if labels is None or run.split is None or against.split is None:
        raise SystemExit(f"{run.folder} or {against.folder} keeps no truth or no split: run the benchmark again")
    where = run.split.test_mask(labels)
    if not np.array_equal(where, against.split.test_mask(labels)):
        raise SystemExit(f"{run.folder} and {against.folder} were judged on other pixels: run both at one version")
    return mcnemar(labels.values, against.change, run.change, where=where)


def _key(run: RunFolder) -> tuple[str, str, int, str]:
    result = run.result
    return result.dataset, result.protocol, result.seed or 0, result.method


if __name__ == "__main__":
    main()
