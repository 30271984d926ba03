"""What each part of the default network is worth: Kappa with the part taken away or exchanged.

    .venv/bin/python scripts/ablate.py --datasets taizhou,rennes --seeds 0-2

--constants varies single numbers instead; for every combination of some settings see hsi-cd benchmark --vary. The
second table says what an honest choice among the variants would have been, and what it scores: by the other scenes
alone, or by the validation inside the scene's own labels. Each variant is a matrix of runs under protocol P1 in
``runs/ablation/VARIANT``; what is done is not done again, so it may be stopped and started.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from hsi_cd.batch.jobs import TrainJob, expand
from hsi_cd.batch.runner import run_missing

PARTS: dict[str, tuple[str, ...]] = {
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
    "half the steps": ("train.epochs=150", "train.min_steps=300", "train.max_steps=600"),
}

CONSTANTS: dict[str, tuple[str, ...]] = {
    "window 7": ("model.attention.window=7",),
    "window 11": ("model.attention.window=11",),
    "6 channels decide who is alike": ("model.attention.channels=6",),
    "range 2": ("model.attention.range=2",),
    "range 4.5": ("model.attention.range=4.5",),
    "all members of one range": ("model.attention.spread=1",),
    "gamma 1": ("model.attention.gamma=1",),
    "12 components": ("prepare.components=12",),
    "24 components": ("prepare.components=24",),
    "width 32": ("model.backbone.width=32",),
    "width 128": ("model.backbone.width=128",),
    "2 layers": ("model.backbone.depth=2",),
    "no dropout": ("model.backbone.dropout=0",),
    "dropout 0.3": ("model.backbone.dropout=0.3",),
    "ten members": ("model.members=10",),
    "learning rate 0.001": ("train.lr=0.001",),
    "no weight decay": ("train.weight_decay=0",),
    "batches of 64": ("train.batch_size=64",),
    "both classes as often": ("train.sampler=balanced", "train.class_weight=0"),
    "class weight 0.5": ("train.class_weight=0.5",),
    "mixup 0.2": ("train.augment.mixup=0.2",),
    "mixup 1": ("train.augment.mixup=1",),
    "noise 2": ("train.augment.noise=2",),
    "no gain": ("train.augment.gain_noise=0",),
    "gain 0.1": ("train.augment.gain_noise=0.1",),
}

NOT_VALIDATED = ("one member", "ten members")
"""Each member is validated alone, so the loss does not tell what their number is worth."""


def matrix(variant: str, settings: tuple[str, ...], arguments: argparse.Namespace) -> list[TrainJob]:
    first, _, last = arguments.seeds.partition("-")
    return expand(
        arguments.datasets.split(","),
        ["siamese"],
        range(int(first), int(last or first) + 1),
        protocol="P1",
        folder=arguments.runs / variant.replace(" ", "-"),
        settings=("train.map_every=0", *settings),
        arguments=("--data-root", str(arguments.data_root)),
    )


@dataclass(frozen=True)
class Outcome:
    """What a variant came to on a scene, over its seeds: held-out Kappa, and the loss of the validation.

    The validation is by labels inside the budget: each member of the ensemble on the fold that it did not see.
    """

    kappa: list[float]
    loss: list[float]

    def __str__(self) -> str:
        spread = f" +- {statistics.stdev(self.kappa):.4f}" if len(self.kappa) > 1 else ""
        return f"{statistics.mean(self.kappa):.4f}{spread} ({statistics.mean(self.loss):.3f})"


def outcome(jobs: list[TrainJob], dataset: str) -> Outcome | None:
    results = [result for job in jobs if job.dataset == dataset and (result := job.result()) is not None]
    if not results:
        return None
    losses = [result.details.get("validation_loss") for result in results]
    return Outcome(
        [result.scores["kappa"] for result in results],
        [float(loss) if isinstance(loss, int | float) else math.nan for loss in losses],
    )


def chosen_elsewhere(outcomes: dict[str, dict[str, Outcome]], dataset: str) -> str | None:
    """The variant with the best mean Kappa on all scenes but one."""
    others = {
        variant: [statistics.mean(found.kappa) for name, found in by_scene.items() if name != dataset]
        for variant, by_scene in outcomes.items()
    }
    most = max(map(len, others.values()), default=0)
    complete = {
        variant: statistics.mean(kappas) for variant, kappas in others.items() if kappas and len(kappas) == most
    }
    return max(complete, key=complete.__getitem__, default=None)


def chosen_inside(outcomes: dict[str, dict[str, Outcome]], dataset: str) -> str | None:
    """The variant with the smallest validation loss on the scene itself, that is by its 1 % of labels alone."""
    losses = {
        variant: statistics.mean(by_scene[dataset].loss)
        for variant, by_scene in outcomes.items()
        if dataset in by_scene and variant not in NOT_VALIDATED
    }
    return min(losses, key=losses.__getitem__, default=None)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--datasets", default="taizhou,rennes", help="catalogue scenes, with commas")
    parser.add_argument("--seeds", default="0-2", help="a range, as 0-2")
    parser.add_argument("--data-root", type=Path, default=Path("data"))
    parser.add_argument("--runs", type=Path, default=Path("runs/ablation"))
    parser.add_argument("--constants", action="store_true", help="vary single numbers instead of whole parts")
    arguments = parser.parse_args()

    variants = {"default": (), **(CONSTANTS if arguments.constants else PARTS)}
    matrices = {variant: matrix(variant, settings, arguments) for variant, settings in variants.items()}
    failed = []
    with tqdm(total=sum(map(len, matrices.values())), unit="run", disable=None) as bar:
        for variant, jobs in matrices.items():
            for job, failure in run_missing(
                jobs, started=lambda job, slot, v=variant: bar.set_description(f"{v}: {job.name}")
            ):
                bar.update()
                if failure is not None:
                    failed.append(f"{variant}, {job.name}: {failure.reason}")
    datasets = arguments.datasets.split(",")
    outcomes = {
        variant: {name: found for name in datasets if (found := outcome(jobs, name)) is not None}
        for variant, jobs in matrices.items()
    }
    print(f"Kappa under P1, seeds {arguments.seeds}, mean +- standard deviation (ddof 1), held-out pixels;")
    print("in brackets the validation loss, by the labels inside the budget\n")
    print("| variant | " + " | ".join(datasets) + " |")
    print("| --- |" + " --- |" * len(datasets))
    for variant, by_scene in outcomes.items():
        print(f"| {variant} | " + " | ".join(str(by_scene.get(name, "-")) for name in datasets) + " |")
    print(
        "\n| scene | chosen on the other scenes | its Kappa here | chosen by this scene's validation | its Kappa |"
    )
    print("| --- | --- | --- | --- | --- |")
    for name in datasets:
        words = []
        for variant in (chosen_elsewhere(outcomes, name), chosen_inside(outcomes, name)):
            words += [variant or "-", str(outcomes[variant].get(name, "-")) if variant else "-"]
        print(f"| {name} | " + " | ".join(words) + " |")
    for line in failed:
        print(f"failed: {line}", file=sys.stderr)
    return 2 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
