r"""What labels as people draw them are worth: Kappa on the whole truth, against the label-free map's.

    .venv/bin/python scripts/measure_drawn.py --root scenes --scenes taizhou,rennes,farmland,cities/bercy \
        --kinds points,squares,blobs --shapes 5,15,50 --seeds 0-4 --output runs/drawn.csv

A scene is one of the catalogue, or a folder of Sentinel-2 bands in ``imgs_1`` and ``imgs_2`` with its truth in
``cm``. Every seed is another drawing (``hsi-cd draw``) and another training. The table gives the mean over
drawings and the worst one, each minus what ``auto`` scores, and the seconds from the labels to the map. What
stands in the output is not done again, so it may be stopped and started.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import time
from collections.abc import Iterator
from functools import reduce
from itertools import product
from pathlib import Path

import hsi_cd as hc
from hsi_cd.config import merge, parse_assignment
from hsi_cd.scene import Labels, ScenePair

COLUMNS = ("scene", "kind", "shapes", "seed", "settings", "kappa", "auto", "seconds")


def main() -> None:
    """Measure what is missing, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=Path("data"))
    parser.add_argument("--scenes", default="taizhou,rennes,farmland")
    parser.add_argument("--kinds", default="squares")
    parser.add_argument("--shapes", default="15")
    parser.add_argument("--seeds", default="0-4")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting of the network")
    parser.add_argument("--output", type=Path, default=Path("runs/drawn.csv"))
    asked = parser.parse_args()
    first, _, last = asked.seeds.partition("-")
    seeds = range(int(first), int(last or first) + 1)
    drawings = list(product(asked.kinds.split(","), map(int, asked.shapes.split(",")), seeds))
    settings = " ".join(asked.set)
    asked.output.parent.mkdir(parents=True, exist_ok=True)
    for scene in asked.scenes.split(","):
        done = {key(row) for row in rows(asked.output)}
        left = [each for each in drawings if (scene, each[0], str(each[1]), str(each[2]), settings) not in done]
        if left:
            measure_scene(asked.root, scene, left, settings, asked.output)
    print_table([row for row in rows(asked.output) if row["settings"] == settings])


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
    given = reduce(merge, map(parse_assignment, settings.split()), {})
    for kind, shapes, seed in drawings:
        labels = hc.draw(truth, shapes, kind=kind, seed=seed)
        started = time.perf_counter()
        change = hc.Siamese(seed=seed, settings=given).fit(pair, labels).predict(pair)
        seconds = time.perf_counter() - started
        kappa = hc.evaluate(change, truth).scores["kappa"]
        row = (scene, kind, shapes, seed, settings, f"{kappa:.4f}", f"{free:.4f}", f"{seconds:.1f}")
        new = not output.exists()
        with output.open("a", newline="") as file:
            csv.writer(file).writerows(([COLUMNS] if new else []) + [row])


def rows(output: Path) -> Iterator[dict[str, str]]:
    """What was measured before."""
    if output.exists():
        with output.open(newline="") as file:
            yield from csv.DictReader(file)


def key(row: dict[str, str]) -> tuple[str, ...]:
    """What a row is of."""
    return tuple(row[name] for name in COLUMNS[:5])


def print_table(found: list[dict[str, str]]) -> None:
    """The mean and the worst of each scene, kind and number of shapes."""
    print("| scene | labels | auto | drawn, mean | mean - auto | worst - auto | drawings | seconds |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for scene, kind, shapes in dict.fromkeys((row["scene"], row["kind"], row["shapes"]) for row in found):
        own = [row for row in found if (row["scene"], row["kind"], row["shapes"]) == (scene, kind, shapes)]
        kappas, free = [float(row["kappa"]) for row in own], float(own[0]["auto"])
        mean, seconds = statistics.mean(kappas), statistics.median(float(row["seconds"]) for row in own)
        print(
            f"| {scene} | {shapes} {kind} | {free:.3f} | {mean:.3f} | {mean - free:+.3f} | "
            f"{min(kappas) - free:+.3f} | {len(own)} | {seconds:.0f} |"
        )


if __name__ == "__main__":
    main()
