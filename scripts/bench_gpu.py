"""The network on a GPU: pixels a second, share of the FLOPs and bytes that the device reaches, bfloat16."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import bench_common as common
import torch
from bench_predict import flops_per_pixel

from hsi_cd.nn.tiles import in_tiles


def main() -> None:
    args = common.options(__doc__ or "").parse_args()
    if not torch.cuda.is_available():
        print("not run: this machine has no GPU that torch can use")
        return
    device = torch.device("cuda")
    with tempfile.TemporaryDirectory() as name:
        detector = common.untrained(common.open_pair(common.simulated(Path(name) / "1")))
    detector.network.to(device)
    side, r, channels = 2048, detector.network.radius, len(detector.transform.noise)
    t1, t2 = (torch.randn(1, channels, side + 2 * r, side + 2 * r, device=device) for _ in range(2))
    valid = torch.ones_like(t1[:, :1], dtype=torch.bool)
    a, b = (torch.randn(8192, 8192, device=device) for _ in range(2))

    def timed(dtype: torch.dtype) -> float:
        def run() -> None:
            lower = torch.autocast("cuda", dtype, enabled=dtype != torch.float32)
            with torch.inference_mode(), lower:
                in_tiles(detector.network, t1, t2, valid, radius=r)
            torch.cuda.synchronize()

        return common.medians({"run": run}, args.repeat)["run"]

    def reached(job: object) -> float:
        torch.cuda.synchronize()
        start = time.perf_counter()
        job()  # type: ignore[operator]
        torch.cuda.synchronize()
        return time.perf_counter() - start

    flops = flops_per_pixel(detector) * side**2
    peak = 2 * 8192**3 / min(reached(lambda: a @ b) for _ in range(5))
    copied = 2 * a.numel() * 4 / min(reached(lambda: b.copy_(a)) for _ in range(5))
    rows = [("device", torch.cuda.get_device_name(device), "")]
    for dtype in (torch.float32, torch.bfloat16):
        seconds = timed(dtype)
        rows += [
            (f"{dtype}: pixels a second", f"{side**2 / seconds:.3g}", ""),
            (f"{dtype}: share of the rate of a large float32 product", f"{flops / seconds / peak:.2f}", ""),
            (f"{dtype}: inputs and output / copy rate", f"{8 * t1.numel() / seconds / copied:.4f}", ""),
        ]
    common.show(f"GPU, {side} x {side} pixels, median of {args.repeat}", rows)
    with torch.profiler.profile() as profile, torch.inference_mode():
        in_tiles(detector.network, t1, t2, valid, radius=r)
    print(profile.key_averages().table(sort_by="self_device_time_total", row_limit=12))


if __name__ == "__main__":
    main()
