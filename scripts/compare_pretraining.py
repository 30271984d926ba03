"""What pre-training without labels is worth: trainings of the same split and seed, with and without it.

    .venv/bin/python scripts/compare_pretraining.py --scenes demo,taizhou --seeds 0-1 --data-root scenes

``demo`` is a simulated scene; the others are of the catalogue. Each encoder is pre-trained with the seed of its
training. What is done is not done again, so it may be stopped and started.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

from tqdm import tqdm

from hsi_cd.errors import unknown_name

DEMO = "demo"
VARIANTS: dict[str, tuple[str | None, tuple[str, ...]]] = {
    "without": (None, ()),
    "masked": ("masked", ()),
    "vae": ("vae", ()),
    "mean teacher": (None, ("train.teacher.kind=mean_teacher",)),
    "pseudo-labels": (None, ("train.teacher.kind=pseudo_label",)),
}
"""Variants by name: the task of the pre-training, if there is one, and what else the training does."""


def hsi_cd(*words: object) -> None:
    command = [sys.executable, "-m", "hsi_cd", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"hsi-cd {words[0]} failed: {done.stderr.strip()}")


def scene_options(scene: str, arguments: argparse.Namespace) -> tuple[list[object], list[object]]:
    """The options that name a scene's dates, and its truth."""
    if scene != DEMO:
        return ["--dataset", scene, "--data-root", arguments.data_root], []
    folder = arguments.runs / DEMO / "scene"
    if not (folder / "simulation.json").exists():
        hsi_cd("simulate", folder)
    return ["--t1", folder / "t1.tif", "--t2", folder / "t2.tif"], ["--truth", folder / "truth.tif"]


def settle(folder: Path, result: str, *words: object) -> dict[str, object]:
    """Do a run, or go on with it, unless it is done; what it found."""
    if not (folder / result).exists():
        resume = ["--resume"] if (folder / "config.yaml").exists() else []
        hsi_cd(*words, "--run", folder, *resume)
    found: dict[str, object] = json.loads((folder / result).read_text())
    return found


def kappa(scene: str, variant: str, seed: int, arguments: argparse.Namespace) -> float:
    """Kappa on the held-out pixels of one training, pre-trained first where the variant says so."""
    task, more = VARIANTS[variant]
    dates, truth = scene_options(scene, arguments)
    settings: list[object] = [word for text in (*arguments.settings, *more) for word in ("--set", text)]
    folder = arguments.runs / scene / f"seed{seed}"
    if task is not None:
        encoder = folder / f"encoder-{task}"
        settle(encoder, "pretrain.json", "pretrain", *dates, "--task", task, "--seed", seed, *settings)
        settings += ["--set", f"train.pretrained={encoder / 'encoder.pt'}"]
    words = ("train", *dates, *truth, "--seed", seed, "--protocol", arguments.protocol, *settings)
    result = settle(folder / f"{arguments.protocol}-{variant.replace(' ', '-')}", "result.json", *words)
    return float(result["scores"]["kappa"])  # type: ignore[index]


def cell(values: list[float]) -> str:
    spread = f" +- {statistics.stdev(values):.4f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.4f}{spread}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scenes", default="demo", help="demo and catalogue scenes, with commas")
    parser.add_argument("--variants", default="without,masked,vae", help=f"of {', '.join(VARIANTS)}; with commas")
    parser.add_argument("--seeds", default="0-1", help="a range, as 0-1")
    parser.add_argument("--protocol", default="P1")
    parser.add_argument("--data-root", type=Path, default=Path("data"))
    parser.add_argument("--set", dest="settings", action="append", default=[], help="a setting of every run")
    parser.add_argument("--runs", type=Path, default=Path("runs/pretraining"))
    arguments = parser.parse_args()
    first, _, last = arguments.seeds.partition("-")
    seeds, scenes = range(int(first), int(last or first) + 1), arguments.scenes.split(",")
    variants = arguments.variants.split(",")
    for variant in variants:
        if variant not in VARIANTS:
            sys.exit(str(unknown_name("variant", variant, VARIANTS)))

    found: dict[tuple[str, str], list[float]] = {}
    jobs = [(scene, variant, seed) for seed in seeds for scene in scenes for variant in variants]
    for scene, variant, seed in (bar := tqdm(jobs, unit="run", disable=None)):
        bar.set_description(f"{scene} {variant} seed {seed}")
        found.setdefault((scene, variant), []).append(kappa(scene, variant, seed, arguments))
    print(f"Kappa under {arguments.protocol}, seeds {arguments.seeds}, mean +- standard deviation (ddof 1)\n")
    print("| variant | " + " | ".join(scenes) + " |")
    print("| --- |" + " --- |" * len(scenes))
    for variant in variants:
        print(f"| {variant} | " + " | ".join(cell(found[scene, variant]) for scene in scenes) + " |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
