"""How fast a scene is scored: against patches one by one, the machine's own rates, and as a whole process."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import bench_common as common
import numpy as np
import torch
from threadpoolctl import threadpool_limits

from hsi_cd.config import RunConfig
from hsi_cd.detectors.checkpoint import save_checkpoint
from hsi_cd.detectors.siamese import SiameseDetector
from hsi_cd.inference import score_scene
from hsi_cd.nn.tiles import in_tiles
from hsi_cd.prepare.registration import undo_shift
from hsi_cd.prepare.windows import read_window
from hsi_cd.scene import ScenePair
from hsi_cd.training.patches import PatchSource, scene_patches

BATCH = 1024


def flops_per_pixel(detector: SiameseDetector) -> int:
    """Multiplications and additions of the default network's products, nothing computed twice, counted by hand."""
    model, channels = detector.model, len(detector.transform.noise)
    width, depth = model.backbone.width, min(model.attention.channels, channels)
    keys = model.attention.window**2
    query = 2 * channels * depth
    attention = keys * 2 * depth + keys * 2 * channels + 2 * channels * channels
    encoder = 2 * (channels * width + (model.backbone.depth - 1) * width * width)
    head = 2 * width * width + 2 * width
    return 2 * model.members * (query + attention + encoder + head)


def floor_job(flops: int, size: int) -> tuple[float, float]:
    """Seconds of so many FLOPs in one kind of large product, and of copying so many bytes."""
    a, b, out = (torch.randn(1024, 1024) for _ in range(3))
    source, target = torch.randn(1 << 24), torch.empty(1 << 24)
    found = common.medians(
        {"product": lambda: torch.mm(a, b, out=out), "copy": lambda: target.copy_(source)},
        9,
        clock=time.process_time,
    )
    return found["product"] * flops / (2 * 1024**3), found["copy"] * size / (source.numel() * 4)


def by_patches(detector: SiameseDetector, source: PatchSource, pixels: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        parts = [detector.network(*source.cut(batch)).flatten() for batch in pixels.split(BATCH)]
    return torch.cat(parts)


def from_stored(detector: SiameseDetector, source: PatchSource, pixels: torch.Tensor) -> None:
    """The patches of stored spectra, each reduced and shifted back by itself, as a patch loader does it."""
    s = detector.radius - detector.network.radius
    side = 2 * source.radius + 1
    for batch in pixels.split(BATCH // 4):
        dates = []
        for date, patches in enumerate(source.cut(batch)[:2]):
            flat = patches.permute(1, 0, 2, 3).reshape(patches.shape[1], -1, side).numpy()
            values = detector.transform.apply(flat, date=date).reshape(-1, len(batch), side, side)
            values = values.transpose(1, 0, 2, 3).reshape(-1, side, side)
            values = undo_shift(values, detector.frontend.shift if date else (0.0, 0.0), radius=s)
            dates.append(torch.from_numpy(values).reshape(len(batch), -1, side - 2 * s, side - 2 * s))
        with torch.inference_mode():
            detector.network(*dates)


def network_rows(detector: SiameseDetector, pair: ScenePair, repeat: int, patches: int) -> list:
    source = scene_patches(detector, pair)
    rows, cols = source.shape
    count = rows * cols
    pixels = torch.from_numpy(np.random.default_rng(0).choice(count, patches, replace=False))
    whole = [x[None] for x in (source.t1, source.t2, source.valid[None])]
    window = read_window(pair, slice(0, rows), slice(0, cols), radius=detector.radius)
    first, second = map(torch.from_numpy, window)
    stored = PatchSource.of(first, second, torch.ones_like(first[:1], dtype=torch.bool), radius=detector.radius)

    def dense() -> torch.Tensor:
        with torch.inference_mode():
            return in_tiles(detector.network, *whole, radius=source.radius)

    def cut() -> torch.Tensor:
        return by_patches(detector, source, pixels)

    gap = float((torch.sigmoid(dense().flatten()[pixels]) - torch.sigmoid(cut())).abs().max())
    jobs = {
        "dense": dense,
        "cut": cut,
        "score": lambda: detector.score(*window),
        "stored": lambda: from_stored(detector, stored, pixels[: max(1, patches // 4)]),
    }
    found = common.medians(jobs, repeat, clock=time.process_time)
    flops = flops_per_pixel(detector) * count
    size = 4 * (2 * source.t1.numel() + count)
    product, copy = floor_job(flops, size)
    cut_all = found["cut"] * count / patches
    stored_all = found["stored"] * count / max(1, patches // 4)
    side, full = 2 * source.radius + 1, 2 * detector.radius + 1
    return [
        ("network pass, one core", f"{found['dense']:.3f} s, {found['dense'] / count * 1e6:.1f} us a pixel", ""),
        (f"{side} x {side} x 16 patches, batches of {BATCH}, from {patches} of {count}", f"{cut_all:.2f} s", ""),
        ("these patches / network pass", f"{cut_all / found['dense']:.1f} x", ">= 30 x"),
        ("reduction and network", f"{found['score']:.3f} s", ""),
        (f"{full} x {full} x {common.BANDS} patches of stored values", f"{stored_all:.2f} s", ""),
        ("these patches / reduction and network", f"{stored_all / found['score']:.1f} x", ""),
        ("largest difference of a probability", f"{gap:.1e}", "<= 1e-5"),
        (f"floor: {flops / 1e9:.1f} GFLOP and {size / 1e6:.0f} MB", f"{product:.3f} s + {copy:.3f} s", ""),
        ("network pass / floor", f"{found['dense'] / (product + copy):.2f} x", "<= 3 x"),
    ]


def process_rows(folder: Path, checkpoint: Path, repeat: int, heights: list[int]) -> list:
    def predict(scene: Path) -> tuple[float, float, float]:
        return common.child(
            *(sys.executable, "-m", "hsi_cd", "predict", "--checkpoint", str(checkpoint), "--device", "cpu"),
            *("--t1", str(scene / "t1.tif"), "--t2", str(scene / "t2.tif")),
            *("--output", str(folder / "change.tif"), "--overwrite"),
        )

    def median(runs: list[tuple[float, float, float]]) -> list[float]:
        return [float(value) for value in np.median(runs, axis=0)]

    read = "import sys, torch, rasterio\nfor f in sys.argv[1:]:\n    with rasterio.open(f) as d: d.read()"
    scene = folder / "1"
    pairs = []
    for _ in range(repeat):
        base = common.child(sys.executable, "-c", read, str(scene / "t1.tif"), str(scene / "t2.tif"))
        pairs.append((predict(scene), base))
    own, base = (median([pair[i] for pair in pairs]) for i in (0, 1))
    rows = [
        (
            "whole process, start to map on disk",
            f"{own[0]:.2f} s ({own[1]:.2f} s of processor), {own[2]:.0f} MB",
            "",
        ),
        ("import torch and read both cubes", f"{base[0]:.2f} s ({base[1]:.2f} s), {base[2]:.0f} MB", ""),
        ("whole process / import and read", f"{own[0] / base[0]:.2f} x ({own[1] / base[1]:.2f} x)", "<= 4 x"),
    ]
    for times in heights:
        common.simulated(folder / str(times), rows=common.ROWS * times)
        tall = median([predict(folder / str(times)) for _ in range(repeat)])
        limit = ("<= 17 x; <= 1.05 x, < 1500 MB") if times == 16 else ""
        rows.append(
            (
                f"{times} x taller / 1 x: time (processor); peak memory",
                f"{tall[0] / own[0]:.1f} x ({tall[1] / own[1]:.1f} x); {tall[2] / own[2]:.3f} x, {tall[2]:.0f} MB",
                limit,
            )
        )
    return rows


def main() -> None:
    parser = common.options(__doc__ or "")
    parser.add_argument("--patches", type=int, default=2048, help="patches that the patch loop is timed on")
    parser.add_argument(
        "--heights", type=int, nargs="*", default=[4, 16], help="how many times taller; none skips"
    )
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pair = common.open_pair(common.simulated(folder / "1"))
        detector = common.untrained(pair)
        checkpoint = folder / "best.pt"
        save_checkpoint(checkpoint, detector, method="siamese", config=RunConfig().model_dump())
        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # processor seconds of one core: other work on the machine disturbs them least
        with threadpool_limits(1, user_api="blas"):
            rows = network_rows(detector, pair, args.repeat, args.patches)
        torch.set_num_threads(threads)
        passed = common.medians({"scene": lambda: score_scene(detector, pair)}, args.repeat)
        rows.append((f"scene read and scored, {threads} threads", f"{passed['scene']:.3f} s", ""))
        rows += process_rows(folder, checkpoint, args.repeat, args.heights)
        size = f"{common.ROWS} x {common.COLS} x {common.BANDS}"
        common.show(f"predict, simulated scene {size}, median of {args.repeat}", rows)


if __name__ == "__main__":
    main()
