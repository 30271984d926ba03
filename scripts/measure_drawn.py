r"""What labels as people draw them are worth: Kappa on the whole truth, against the label-free map's.

    .venv/bin/python scripts/measure_drawn.py --root scenes --scenes taizhou,rennes,farmland,cities/bercy \
        --kinds points,squares,blobs --shapes 5,15,50 --seeds 0-4 --output runs/drawn.csv

A scene is one of the catalogue, or a folder of Sentinel-2 bands in ``imgs_1`` and ``imgs_2`` with its truth in
``cm``. Every seed is another drawing (``hsi-cd draw``) and another run (``hsi-cd train``). The table gives the
mean over drawings and the worst one, each minus what ``auto`` scores; in how many drawings the run's 95 %
interval, found by shapes held out, covers the Kappa of its map (``-`` where a run says "not judged"); and the
seconds from the labels to the map. What stands in the output is not done again, so it may be stopped and started;
several outputs (``--output a.csv,b.csv``: the first is written) make one table.
"""

from __future__ import annotations

import argparse
import csv
import math
import statistics
import tempfile
import time
from collections.abc import Iterator
from functools import reduce
from itertools import product
from pathlib import Path

import hsi_cd as hc
from hsi_cd.config import merge, parse_assignment
from hsi_cd.scene import Labels, ScenePair

COLUMNS = ("scene", "kind", "shapes", "seed", "settings", "kappa", "auto", "seconds", "low", "high")


def main() -> None:
    """Measure what is missing, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=Path("data"))
    parser.add_argument("--scenes", default="taizhou,rennes,farmland")
    parser.add_argument("--kinds", default="squares")
    parser.add_argument("--shapes", default="15")
    parser.add_argument("--seeds", default="0-4")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting of the network")
    parser.add_argument("--output", default="runs/drawn.csv")
    asked = parser.parse_args()
    first, _, last = asked.seeds.partition("-")
    seeds = range(int(first), int(last or first) + 1)
    drawings = list(product(asked.kinds.split(","), map(int, asked.shapes.split(",")), seeds))
    settings = " ".join(asked.set)
    output, *others = map(Path, asked.output.split(","))
    output.parent.mkdir(parents=True, exist_ok=True)
    for scene in asked.scenes.split(","):
        done = {key(row) for row in rows(output, *others)}
        left = [each for each in drawings if (scene, each[0], str(each[1]), str(each[2]), settings) not in done]
        if left:
            measure_scene(asked.root, scene, left, settings, output)
    print_table([row for row in rows(output, *others) if row["settings"] == settings])


def open_scene(root: Path, name: str) -> tuple[ScenePair, Labels]:
    """A scene of the catalogue, or a folder of bands with its truth."""
    folder = root / name
    if not (folder / "imgs_1").exists():
        return hc.open_dataset(name, root)
    dates = [sorted((folder / part).glob("*.tif")) for part in ("imgs_1", "imgs_2")]
    truth = hc.open_labels(folder / "cm" / f"{folder.name}-cm.tif", changed=2, unchanged=1)
    return hc.open_pair(*dates, resample=True, name=name), truth


def measure_scene(
    root: Path, scene: str, drawings: list[tuple[str, int, int]], settings: str, output: Path
) -> None:
    """Train on every drawing of a scene, and keep what the maps score."""
    pair, truth = open_scene(root, scene)
    free = hc.evaluate(hc.detect(pair), truth).scores["kappa"]
    # Pictures of the training are no part of a map.
    given = reduce(merge, map(parse_assignment, settings.split()), {"train": {"map_every": 0}})
    for kind, shapes, seed in drawings:
        labels = hc.draw(truth, shapes, kind=kind, seed=seed)
        with tempfile.TemporaryDirectory() as folder:
            started = time.perf_counter()
            result = hc.train(pair, labels, run=Path(folder) / "run", seed=seed, settings=given)
            seconds = time.perf_counter() - started
            kappa = hc.evaluate(Path(folder) / "run" / "change.tif", truth).scores["kappa"]
        ends = [result.details.get(f"interval/kappa/{end}", math.nan) for end in ("low", "high")]
        numbers = [f"{value:.4f}" for value in (kappa, free)], [f"{end:.4f}" for end in ends]
        row = (scene, kind, shapes, seed, settings, *numbers[0], f"{seconds:.1f}", *numbers[1])
        new = not output.exists()
        with output.open("a", newline="") as file:
            csv.writer(file).writerows(([COLUMNS] if new else []) + [row])


def rows(*outputs: Path) -> Iterator[dict[str, str]]:
    """What was measured before."""
    for output in outputs:
        if output.exists():
            with output.open(newline="") as file:
                yield from csv.DictReader(file)


def key(row: dict[str, str]) -> tuple[str, ...]:
    """What a row is of."""
    return tuple(row[name] for name in COLUMNS[:5])


def print_table(found: list[dict[str, str]]) -> None:
    """The mean and the worst of each scene, kind and number of shapes."""
    print("| scene | labels | auto | drawn, mean | mean - auto | worst - auto | covered | drawings | seconds |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for scene, kind, shapes in dict.fromkeys((row["scene"], row["kind"], row["shapes"]) for row in found):
        own = [row for row in found if (row["scene"], row["kind"], row["shapes"]) == (scene, kind, shapes)]
        kappas, free = [float(row["kappa"]) for row in own], float(own[0]["auto"])
        mean, seconds = statistics.mean(kappas), statistics.median(float(row["seconds"]) for row in own)
        judged = [row for row in own if row["low"] != "nan"]
        covered = sum(float(row["low"]) <= float(row["kappa"]) <= float(row["high"]) for row in judged)
        told = f"{covered} of {len(judged)}" if judged else "-"
        print(
            f"| {scene} | {shapes} {kind} | {free:.3f} | {mean:.3f} | {mean - free:+.3f} | "
            f"{min(kappas) - free:+.3f} | {told} | {len(own)} | {seconds:.0f} |"
        )


if __name__ == "__main__":
    main()
