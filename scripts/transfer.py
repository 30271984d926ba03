"""What a trained network is worth on a scene that taught it nothing (protocol P4), on simulated scenes.

    .venv/bin/python scripts/transfer.py --seeds 0-1

For each seed a scene is simulated and a network trained on 1 % of its labels. It then maps three other scenes of
the same bands, with the checkpoint's statistics as they are and with the statistics refitted on the target. Beside
them stand a network trained on the target itself (P1) and the label-free default. What is done is not done again.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

SOURCE = "source"
OTHER_AIR = ("--gain", "0.25", "--path-radiance", "0.15")  # three to four times the simulator's defaults
TARGETS: dict[str, tuple[int, tuple[str, ...]]] = {
    "same ground, other air": (0, OTHER_AIR),
    "other ground, same air": (1, ()),
    "other ground, other air": (1, OTHER_AIR),
}
"""Targets by name: how much is added to the seed of the source's ground, and what else is other."""


def hsi_cd(*words: object) -> None:
    command = [sys.executable, "-m", "hsi_cd", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"hsi-cd {words[0]} failed: {done.stderr.strip()}")


def unless(path: Path, *words: object) -> Path:
    """Run a command that makes a file, unless it is there."""
    if not path.exists():
        print(f"{words[0]}: {path}", file=sys.stderr)
        hsi_cd(*words)
    return path


def simulate(folder: Path, seed: int, more: tuple[str, ...], size: argparse.Namespace) -> list[object]:
    """A scene, and the options that name its dates."""
    words = ["--rows", size.rows, "--cols", size.cols, "--bands", size.bands, "--seed", seed, *more]
    unless(folder / "simulation.json", "simulate", folder, *words)
    return ["--t1", folder / "t1.tif", "--t2", folder / "t2.tif"]


def train(folder: Path, dates: list[object], seed: int, settings: list[str]) -> Path:
    """The run of a network taught by 1 % of a scene's labels."""
    truth = folder / "truth.tif"
    words = [*dates, "--truth", truth, "--seed", seed, *(word for text in settings for word in ("--set", text))]
    run = folder / "run"
    resume = ["--resume"] if (run / "config.yaml").exists() else []
    unless(run / "result.json", "train", *words, "--run", run, *resume)
    return run


def kappa(path: Path) -> float:
    return float(json.loads(path.read_text())["scores"]["kappa"])


def judged(folder: Path, name: str, *words: object) -> float:
    """Kappa under P4 of the map that a command makes."""
    change = unless(folder / f"{name}.tif", *words, "--output", folder / f"{name}.tif")
    scores = folder / f"{name}.json"
    truth = folder / "truth.tif"
    return kappa(unless(scores, "evaluate", change, "--truth", truth, "--protocol", "P4", "--json", scores))


def one_seed(seed: int, arguments: argparse.Namespace) -> dict[str, list[float]]:
    """Kappas by target: of a network of its own, as it is, refitted, label-free."""
    folder = arguments.runs / f"seed{seed}"
    ground = 100 * seed
    source = train(folder / SOURCE, simulate(folder / SOURCE, ground, (), arguments), seed, arguments.settings)
    found = {}
    for name, (added, more) in TARGETS.items():
        target = folder / name.replace(", ", "-").replace(" ", "-")
        dates = simulate(target, ground + added, more, arguments)
        predict = ("predict", "--checkpoint", source / "best.pt", *dates)
        found[name] = [
            kappa(train(target, dates, seed, arguments.settings) / "result.json"),
            judged(target, "as-it-is", *predict),
            judged(target, "refitted", *predict, "--refit-statistics"),
            judged(target, "auto", "detect", *dates),
        ]
    return found


def cell(values: list[float]) -> str:
    spread = f" +- {statistics.stdev(values):.3f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.3f}{spread}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", default="0-1", help="a range, as 0-1")
    parser.add_argument("--rows", type=int, default=120)
    parser.add_argument("--cols", type=int, default=120)
    parser.add_argument("--bands", type=int, default=60)
    parser.add_argument("--set", dest="settings", action="append", default=[], help="a setting of every training")
    parser.add_argument("--runs", type=Path, default=Path("runs/transfer"))
    arguments = parser.parse_args()
    first, _, last = arguments.seeds.partition("-")
    seeds = range(int(first), int(last or first) + 1)

    found = [one_seed(seed, arguments) for seed in seeds]
    print(f"Kappa, seeds {arguments.seeds}, mean +- standard deviation (ddof 1)\n")
    print("| target | trained on it (P1) | transferred (P4) | statistics refitted (P4) | auto, no label (P4) |")
    print("| --- | --- | --- | --- | --- |")
    for name in TARGETS:
        columns = zip(*(of_seed[name] for of_seed in found), strict=True)
        print(f"| {name} | " + " | ".join(cell(list(column)) for column in columns) + " |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
