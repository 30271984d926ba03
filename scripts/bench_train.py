"""How long training takes: against its own products alone, and against a loop over patches that lie ready."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import bench_common as common
import numpy as np
import torch
from torch import Tensor

from hsi_cd.config import resolve
from hsi_cd.detectors.siamese import SiameseDetector
from hsi_cd.io import read_labels
from hsi_cd.prepare.measurement import Measurement
from hsi_cd.prepare.splits import make_split
from hsi_cd.runtime.circumstances import Circumstances
from hsi_cd.runtime.seeding import seed_everything
from hsi_cd.training.fitting import learn
from hsi_cd.training.journal import Journal
from hsi_cd.training.loop import train
from hsi_cd.training.patches import PatchSource, scene_patches
from hsi_cd.training.tracking import NoTracker
from hsi_cd.training.training_set import TrainingSet

STEPS = 100


def products(detector: SiameseDetector, batch: int) -> list[tuple[int, int, int, int]]:
    """Matrix products of one member's step, forward and backward: how many, and their three sizes.

    Every product of the forward pass has one for the weight's gradient, and one for its input's where that leads
    to a weight. The patches themselves need no gradient.
    """
    model, channels = detector.model, len(detector.transform.noise)
    depth, width = min(model.attention.channels, channels), model.backbone.width
    keys = model.attention.window**2
    found = [(1, 2 * batch * keys, channels, depth), (1, channels, 2 * batch * keys, depth)]  # queries and keys
    found += [(batch, 1, 2 * depth, keys)] * 3  # logits, and the gradients of query and key
    found += [(batch, 1, keys, 2 * channels)] * 2  # the mean of the neighbours, and the gradient of the weights
    layers = [(2 * batch, channels, channels), (2 * batch, channels, width)]
    layers += [(2 * batch, width, width)] * (model.backbone.depth - 1)
    layers += [(batch, 2 * width, width), (batch, width, 1)]
    for rows, inner, outer in layers:
        found += [(1, rows, inner, outer), (1, inner, rows, outer), (1, rows, outer, inner)]
    return found


def multiply(sizes: list[tuple[int, int, int, int]], steps: int) -> None:
    pairs = [(torch.randn(n, a, b), torch.randn(n, b, c)) for n, a, b, c in sizes]
    pairs = [(a[0], b[0]) if len(a) == 1 else (a, b) for a, b in pairs]
    for _ in range(steps):
        for a, b in pairs:
            torch.matmul(a, b)


def cut_once(detector: SiameseDetector, source: PatchSource, pixels: Tensor, target: Tensor, steps: int) -> None:
    """The plainest loop: the patches lie ready, nothing is varied or validated, one step is one step."""
    network = detector.network.train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-4)
    t1, t2, valid = source.cut(pixels)
    for _ in range(steps):
        loss = torch.zeros(())
        for member in network.members:
            drawn = torch.randint(len(pixels), (128,))
            logits = member(t1[drawn], t2[drawn], valid[drawn])[:, 0, 0, 0]
            loss = loss + torch.nn.functional.binary_cross_entropy_with_logits(logits, target[drawn])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()


def main() -> None:
    args = common.options(__doc__ or "").parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = common.simulated(folder / "scene")
        pair, labels = common.open_pair(files), read_labels(files.truth)
        split = make_split(labels, protocol="P1", seed=0)
        target = labels.values.ravel()[split.train].astype(np.int64)
        quiet = {"map_every": 0, "validate_every": STEPS, "save_every": STEPS}
        few = {"epochs": 1, "min_steps": STEPS, "max_steps": STEPS}
        config = resolve([("bench", {"train": quiet | few})])
        detector = common.untrained(pair)
        source = scene_patches(detector, pair)
        sizes = [size for _ in detector.network.members for size in products(detector, config.train.batch_size)]

        def loop() -> None:
            generator = np.random.default_rng(0)
            train(
                detector, source, TrainingSet(split.train, target), config.train,
                circumstances=Circumstances(generator, detector.device),
                journal=Journal(NoTracker(), save=lambda *told: None),
            )  # fmt: skip

        jobs = {
            "loop": loop,
            "plain": lambda: cut_once(
                detector, source, torch.from_numpy(split.train), torch.from_numpy(target).float(), STEPS
            ),
            "products": lambda: multiply(sizes, STEPS),
        }
        found = common.medians(jobs, args.repeat, clock=time.process_time)
        whole = []
        for seed in range(args.repeat):
            start = time.perf_counter(), time.process_time()
            full = resolve([("bench", {"train": {"map_every": 0}, "seed": seed})])
            circumstances = Circumstances(seed_everything(seed, deterministic=True), torch.device("cpu"))
            learn(Measurement(pair), TrainingSet(split.train, target), full, circumstances)
            whole.append((time.perf_counter() - start[0], time.process_time() - start[1]))
        seconds, processor = np.median(whole, axis=0)
    flops = sum(2 * n * a * b * c for n, a, b, c in sizes)
    step = {name: value / STEPS * 1e3 for name, value in found.items()}
    rows = [
        (
            f"training under P1, {np.sum(target == 0)} + {np.sum(target == 1)} labels, statistics included",
            f"{seconds:.1f} s ({processor:.1f} s of processor)",
            "<= 60 s",
        ),
        ("one step of five members, batches of 128", f"{step['loop']:.1f} ms", ""),
        (f"its products alone, {flops / 1e6:.0f} MFLOP, in their own sizes", f"{step['products']:.1f} ms", ""),
        ("step / products", f"{step['loop'] / step['products']:.2f} x", "<= 2 x"),
        ("a plain loop over patches cut once, without variation or validation", f"{step['plain']:.1f} ms", ""),
        ("step / plain loop", f"{step['loop'] / step['plain']:.2f} x", ""),
    ]
    size = f"{common.ROWS} x {common.COLS} x {common.BANDS}"
    common.show(f"train, simulated scene {size}, one core, median of {args.repeat}", rows)


if __name__ == "__main__":
    main()
