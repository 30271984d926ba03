import json
import random
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from hsi_cd.errors import DeviceError
from hsi_cd.runtime.device import choose_device
from hsi_cd.runtime.seeding import random_state, restore_random_state, seed_everything


@pytest.fixture(autouse=True)
def torch_as_before() -> Iterator[None]:
    deterministic, benchmark = torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark
    yield
    torch.use_deterministic_algorithms(deterministic)
    torch.backends.cudnn.benchmark = benchmark


def draws(generator: np.random.Generator) -> list[float]:
    """The next numbers of every source of randomness, an odd number of normal ones among them."""
    return [
        random.random(),
        random.gauss(0, 1),
        float(np.random.random()),  # noqa: NPY002
        float(np.random.standard_normal()),  # noqa: NPY002
        float(generator.random()),
        float(generator.integers(2**31)),
        float(torch.rand(())),
        float(torch.randn(())),
    ]


def test_one_seed_gives_one_sequence_and_another_seed_another() -> None:
    first, again, other = (draws(seed_everything(seed, deterministic=False)) for seed in (5, 5, 6))
    assert first == again
    assert all(a != b for a, b in zip(first, other, strict=True))


def test_a_saved_state_goes_on_where_it_stopped(tmp_path) -> None:
    generator = seed_everything(1, deterministic=False)
    draws(generator)  # leaves half of a pair of normal numbers in store
    generator.integers(10, dtype=np.uint32)
    torch.save(random_state(generator), tmp_path / "state.pt")
    expected = draws(generator) + draws(generator)

    later = seed_everything(2, deterministic=False)
    draws(later)
    restore_random_state(torch.load(tmp_path / "state.pt", weights_only=True), later)
    assert draws(later) + draws(later) == expected


def test_saving_the_state_draws_nothing() -> None:
    generator = seed_everything(1, deterministic=False)
    random_state(generator)
    assert draws(generator) == draws(seed_everything(1, deterministic=False))


def test_the_state_is_tensors_and_text() -> None:
    state = random_state(np.random.default_rng(0))
    for name in ("python", "numpy", "generator"):
        json.loads(state[name])
    assert isinstance(state["torch"], torch.Tensor)


@pytest.mark.parametrize("deterministic", [True, False])
def test_deterministic_mode_is_torchs(deterministic: bool) -> None:
    seed_everything(0, deterministic=deterministic)
    assert torch.are_deterministic_algorithms_enabled() is deterministic


@pytest.mark.parametrize("benchmark", [True, False])
def test_benchmark_mode_is_cudnns(benchmark: bool) -> None:
    seed_everything(0, deterministic=False, benchmark=benchmark)
    assert torch.backends.cudnn.benchmark is benchmark
    seed_everything(0, deterministic=False)
    assert torch.backends.cudnn.benchmark is False


def test_a_device_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto") == choose_device("cpu") == torch.device("cpu")
    with pytest.raises(DeviceError, match=r"no CUDA GPU here: use device='cpu' or 'auto'"):
        choose_device("cuda")


def test_a_device_that_is_there_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert choose_device("auto").type == choose_device("cuda").type == "cuda"
    assert choose_device("cpu").type == "cpu"
