"""What each part of the default network is worth: Kappa with the part taken away or exchanged.

    .venv/bin/python scripts/ablate.py --datasets taizhou,rennes --seeds 0-2

Each variant is a matrix of runs under protocol P1 in ``runs/ablation/VARIANT``; what is done is not done again, so
it may be stopped and started. Held-out pixels judge: choose settings by this table only for other scenes.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from pathlib import Path

from tqdm import tqdm

from hsi_cd.batch.matrix import Job, expand, finished, run_missing

VARIANTS: dict[str, tuple[str, ...]] = {
    "default": (),
    "no attention": ("model.attention.kind=none",),
    "BAM in place of the bilateral attention": ("model.attention.kind=bam",),
    "window 5": ("model.attention.window=5",),
    "PCA in place of MNF": ("prepare.projection=pca",),
    "8 components": ("prepare.components=8",),
    "no registration": ("prepare.registration=false",),
    "distance alone as head": ("model.head=distance",),
    "one member": ("model.members=1",),
    "no mixup": ("train.augment.mixup=0",),
    "no date swap": ("train.augment.date_swap=false",),
    "no noise, no gain": ("train.augment.noise=0", "train.augment.gain_noise=0"),
    "labels alone": ("train.certain=0",),
    "no class weight": ("train.class_weight=0",),
    "half the steps": ("train.epochs=150", "train.min_steps=300", "train.max_steps=800"),
}


def matrix(variant: str, arguments: argparse.Namespace) -> list[Job]:
    first, _, last = arguments.seeds.partition("-")
    return expand(
        arguments.datasets.split(","),
        ["siamese"],
        range(int(first), int(last or first) + 1),
        protocol="P1",
        folder=arguments.runs / variant.replace(" ", "-"),
        settings=("train.map_every=0", *VARIANTS[variant]),
        arguments=("--data-root", str(arguments.data_root)),
    )


def cell(jobs: list[Job], dataset: str) -> str:
    kappas = [r.scores["kappa"] for job in jobs if job.dataset == dataset and (r := finished(job)) is not None]
    if not kappas:
        return "-"
    spread = f" +- {statistics.stdev(kappas):.4f}" if len(kappas) > 1 else ""
    return f"{statistics.mean(kappas):.4f}{spread}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--datasets", default="taizhou,rennes", help="catalogue scenes, with commas")
    parser.add_argument("--seeds", default="0-2", help="a range, as 0-2")
    parser.add_argument("--data-root", type=Path, default=Path("data"))
    parser.add_argument("--runs", type=Path, default=Path("runs/ablation"))
    arguments = parser.parse_args()

    matrices = {variant: matrix(variant, arguments) for variant in VARIANTS}
    failed = []
    with tqdm(total=sum(map(len, matrices.values())), unit="run", disable=None) as bar:
        for variant, jobs in matrices.items():
            for job, failure in run_missing(
                jobs, started=lambda job, v=variant: bar.set_description(f"{v}: {job.name}")
            ):
                bar.update()
                if failure is not None:
                    failed.append(f"{variant}, {job.name}: {failure.reason}")
    datasets = arguments.datasets.split(",")
    print(f"Kappa under P1, seeds {arguments.seeds}, mean +- standard deviation (ddof 1), held-out pixels\n")
    print("| variant | " + " | ".join(datasets) + " |")
    print("| --- |" + " --- |" * len(datasets))
    for variant, jobs in matrices.items():
        print(f"| {variant} | " + " | ".join(cell(jobs, dataset) for dataset in datasets) + " |")
    for line in failed:
        print(f"failed: {line}", file=sys.stderr)
    return 2 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
