"""What the benchmarks share: a scene, a fitted detector, medians, the machine's own rates, the table."""

from __future__ import annotations

import argparse
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import rasterio
import torch

import hsi_cd
from hsi_cd.config import RunConfig
from hsi_cd.datasets.simulated.simulation import SimulationOptions
from hsi_cd.datasets.simulated.simulation_files import PairFiles, write_pair
from hsi_cd.detectors.siamese import SiameseDetector, fit_siamese
from hsi_cd.io import open_cube
from hsi_cd.scene import ScenePair

os.environ.setdefault("GDAL_CACHEMAX", "32")  # as the command line sets it: MB of decoded blocks, of all files

ROWS, COLS, BANDS = 450, 140, 155
"""The farmland scene's size."""


def options(description: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--repeat", type=int, default=5, help="runs of which the median counts")
    return parser


def simulated(folder: Path, *, rows: int = ROWS) -> PairFiles:
    return write_pair(folder, SimulationOptions(rows=rows, cols=COLS, bands=BANDS))


def open_pair(files: PairFiles) -> ScenePair:
    return ScenePair(open_cube(files.t1), open_cube(files.t2), name="simulated")


def untrained(pair: ScenePair) -> SiameseDetector:
    """The default detector with random weights: it scores at the cost of a trained one."""
    torch.manual_seed(0)
    detector = fit_siamese(pair, RunConfig())
    detector.network.eval()
    return detector


def medians(
    jobs: dict[str, Callable[[], object]], repeat: int, *, clock: Callable[[], float] = time.perf_counter
) -> dict[str, float]:
    """Median seconds of each job. They take turns, so that other work on the machine hits all of them alike.

    ``clock=time.process_time`` counts processor seconds instead: waiting for other programs is left out.
    """
    for job in jobs.values():
        job()
    seconds: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(repeat):
        for name, job in jobs.items():
            start = clock()
            job()
            seconds[name].append(clock() - start)
    return {name: float(np.median(values)) for name, values in seconds.items()}


def child(*command: str) -> tuple[float, float, float]:
    """Seconds, processor seconds and peak memory (MB) of a command in a process of its own."""
    wrapped = (
        "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)"
    )
    wrapped += "; u = resource.getrusage(resource.RUSAGE_CHILDREN); print(u.ru_utime + u.ru_stime, u.ru_maxrss)"
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", wrapped, *command], check=True, capture_output=True, text=True)
    processor, memory = map(float, done.stdout.split())
    return time.perf_counter() - start, processor, memory / 1024


def read_cubes(files: PairFiles) -> None:
    for path in (files.t1, files.t2):
        with rasterio.open(path) as cube:
            cube.read()


def show(title: str, rows: list[tuple[str, str, str]]) -> None:
    """Print one table: what, measured, target; with the command, the machine and the versions."""
    load = os.getloadavg()[0]
    cores, threads = os.cpu_count(), torch.get_num_threads()
    print(f"## {title}\n")
    print(f"    {' '.join(['python', *sys.argv])}\n")
    print(
        f"{platform.machine()}, {cores} cores, {threads} torch threads, load {load:.1f} (others' work included); "
        f"hsi-cd {hsi_cd.__version__}, Python {platform.python_version()}, torch {torch.__version__}, "
        f"numpy {np.__version__}, GDAL {rasterio.__gdal_version__}; "
        f"peak of this process {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10} MB\n"
    )
    print("| what | measured | target |\n| --- | --- | --- |")
    for row in rows:
        print(f"| {' | '.join(row)} |")
