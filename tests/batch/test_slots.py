"""Places for processes: shares of the cores, and GPUs as nvidia-smi tells them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hsi_cd.batch.slots import THREADS, cpu_slots, find_gpus, gpu_slots, share_of_threads
from hsi_cd.errors import DeviceError


@pytest.fixture
def cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight cores, and nothing set."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    for name in THREADS:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cores: None) -> Path:
    """A machine with two GPUs."""
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho '0, NVIDIA H100'\necho '3, NVIDIA A100, 80GB'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return program


def test_workers_share_the_cores_and_see_no_gpu(cores: None, monkeypatch: pytest.MonkeyPatch) -> None:
    slots = cpu_slots(3)
    assert len({slot.name for slot in slots}) == 3 and not any(slot.exclusive for slot in slots)
    assert slots[0].environment == {"CUDA_VISIBLE_DEVICES": ""} | dict.fromkeys(THREADS, "2")
    assert set(share_of_threads(20).values()) == {"1"}
    monkeypatch.setenv(
        "OMP_NUM_THREADS", "1"
    )  # who wants fewer gets fewer; who wants more than the share does not
    monkeypatch.setenv("MKL_NUM_THREADS", "6")
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "many")
    expected = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "4", "OPENBLAS_NUM_THREADS": "4"}
    assert share_of_threads(2) == expected | {"NUMEXPR_NUM_THREADS": "4"}


def test_one_process_a_gpu(gpus: Path) -> None:
    assert find_gpus() == {0: "NVIDIA H100", 3: "NVIDIA A100, 80GB"}
    both = gpu_slots(None)
    assert [slot.environment["CUDA_VISIBLE_DEVICES"] for slot in both] == ["0", "3"]
    assert all(slot.exclusive and slot.environment["OMP_NUM_THREADS"] == "4" for slot in both)
    (third,) = gpu_slots((3, 3))
    assert third.environment["CUDA_VISIBLE_DEVICES"] == "3" and third.environment["OMP_NUM_THREADS"] == "8"


def test_a_gpu_that_is_not_there(gpus: Path) -> None:
    with pytest.raises(
        DeviceError, match=r"no GPU 1 here; nvidia-smi finds 0 \(NVIDIA H100\), 3 \(NVIDIA A100, 80GB\)"
    ):
        gpu_slots((0, 1))
    gpus.write_text("#!/bin/sh\necho 'NVIDIA-SMI has failed' >&2\nexit 9\n")
    with pytest.raises(DeviceError, match="nvidia-smi finds no GPU here: use workers=N"):
        gpu_slots(None)


def test_no_driver(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_gpus() == {}
