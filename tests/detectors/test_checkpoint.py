import hashlib
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hsi_cd.config import RunConfig, resolve
from hsi_cd.detectors.checkpoint import file_hash, load_checkpoint, load_detector, save_checkpoint, state_digest
from hsi_cd.detectors.siamese import SiameseDetector, fit_siamese
from hsi_cd.errors import CheckpointError, HsiCdError, MissingInputError, UnknownNameError
from hsi_cd.inference import score_scene
from hsi_cd.scene import ScenePair, cube_from_array

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def pair() -> ScenePair:
    dates = np.random.default_rng(0).random((2, 4, 12, 11), dtype=np.float32)
    return ScenePair(*map(cube_from_array, dates))


@pytest.fixture(scope="module")
def config() -> RunConfig:
    model = {"members": 1, "attention": {"window": 3, "channels": 2}, "backbone": {"width": 4, "depth": 1}}
    return resolve([("test", {"model": model})])


@pytest.fixture(scope="module")
def detector(pair: ScenePair, config: RunConfig) -> SiameseDetector:
    return fit_siamese(pair, config)


@pytest.fixture(scope="module")
def saved(detector, config, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("checkpoint") / "best.pt"
    training = {"epoch": 3, "optimizer": {"step": torch.tensor(7)}}
    save_checkpoint(path, detector, method="siamese", config=config.model_dump(), training=training)
    return path


def test_what_is_saved_is_loaded(saved, detector, config, pair) -> None:
    content = load_checkpoint(saved)
    assert content["config"] == config.model_dump()
    assert RunConfig.model_validate(content["config"]) == config
    assert content["training"] == {"epoch": 3, "optimizer": {"step": torch.tensor(7)}}
    loaded = load_detector(saved, device=CPU)
    np.testing.assert_array_equal(score_scene(loaded, pair), score_scene(detector, pair))


def test_a_checkpoint_is_replaced_whole(saved, detector, config, tmp_path, monkeypatch) -> None:
    path = tmp_path / "last.pt"
    path.write_bytes(saved.read_bytes())

    def breaks(content: Any, file: Any) -> None:
        Path(file).write_bytes(b"half a checkp")
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "save", breaks)
    with pytest.raises(KeyboardInterrupt):
        save_checkpoint(path, detector, method="siamese", config=config.model_dump())
    assert path.read_bytes() == saved.read_bytes()
    monkeypatch.undo()
    save_checkpoint(path, detector, method="siamese", config=config.model_dump())
    assert load_checkpoint(path)["training"] == {}
    assert [p.name for p in tmp_path.iterdir()] == ["last.pt"]


def test_a_checkpoint_that_is_not_there(tmp_path) -> None:
    for path in (tmp_path / "best.pt", tmp_path):
        with pytest.raises(MissingInputError, match="is not a file"):
            load_checkpoint(path)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.01, 0.2, 0.5, 0.9, 0.999])
def test_a_truncated_checkpoint(saved, tmp_path, share: float) -> None:
    whole = saved.read_bytes()
    (tmp_path / "best.pt").write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(CheckpointError, match=r"best\.pt cannot be read: it is truncated"):
        load_checkpoint(tmp_path / "best.pt")


@given(data=st.data())
def test_a_damaged_checkpoint_is_refused_or_read(saved, tmp_path_factory, data) -> None:
    content = bytearray(saved.read_bytes())
    head = st.integers(0, 3000) | st.integers(0, len(content) - 1)  # the pickle comes first
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(head)] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("damaged") / "best.pt"
    path.write_bytes(content)
    try:
        load_detector(path, device=CPU)
    except HsiCdError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize("content", [b"\n", b"epoch,kappa\n1,0.5\n", b"\x80\x04.", b"PK\x03\x04", b"\x00" * 512])
def test_files_of_other_kinds(tmp_path, content: bytes) -> None:
    (tmp_path / "best.pt").write_bytes(content)
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_checkpoint(tmp_path / "best.pt")


def test_an_archive_that_is_no_checkpoint(tmp_path) -> None:
    with zipfile.ZipFile(tmp_path / "best.pt", "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_checkpoint(tmp_path / "best.pt")


class Trap:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize("way", ["pickle", "torch", "torch inside"])
def test_a_pickled_object_is_never_executed(saved, tmp_path, way: str) -> None:
    trap, path = Trap(tmp_path / "sprung"), tmp_path / "best.pt"
    if way == "pickle":
        path.write_bytes(pickle.dumps(trap))
    elif way == "torch":
        torch.save(trap, path)
    else:
        torch.save(load_checkpoint(saved) | {"training": trap}, path)
    with pytest.raises(CheckpointError):
        load_checkpoint(path)
    assert not (tmp_path / "sprung").exists()


def test_the_trap_works(tmp_path) -> None:
    trap = pickle.dumps(Trap(tmp_path / "sprung"))
    pickle.loads(trap)  # noqa: S301 - what the checkpoint must not do
    assert (tmp_path / "sprung").exists()


@pytest.mark.parametrize(
    "content", [{"model": torch.zeros(2)}, torch.zeros(3), [1, 2], "text", {"format": 1, "method": "siamese"}]
)
def test_checkpoints_of_other_programs(tmp_path, content: Any) -> None:
    torch.save(content, tmp_path / "best.pt")
    with pytest.raises(CheckpointError, match=r"was not written by hsi-cd train: give the best\.pt"):
        load_checkpoint(tmp_path / "best.pt")


def test_a_later_format_names_its_writer(saved, tmp_path) -> None:
    torch.save(load_checkpoint(saved) | {"format": 99, "software": "hsi-cd 9.1"}, tmp_path / "best.pt")
    with pytest.raises(CheckpointError, match=r"has format 99 but .* format 1: it was written by hsi-cd 9\.1"):
        load_checkpoint(tmp_path / "best.pt")


@pytest.mark.parametrize(
    ("method", "error"), [("other", UnknownNameError), (3, CheckpointError), ([], CheckpointError)]
)
def test_a_method_that_is_not_known(saved, tmp_path, method: Any, error: type[HsiCdError]) -> None:
    torch.save(load_checkpoint(saved) | {"method": method}, tmp_path / "best.pt")
    with pytest.raises(error):
        load_detector(tmp_path / "best.pt", device=CPU)


def test_the_hash_is_sha256(saved) -> None:
    assert file_hash(saved) == hashlib.sha256(saved.read_bytes()).hexdigest()[:16]


def test_a_checkpoint_of_an_earlier_version_has_no_digest(saved, detector, pair, tmp_path) -> None:
    older = {key: value for key, value in load_checkpoint(saved).items() if key != "digest"}
    torch.save(older, tmp_path / "best.pt")
    loaded = load_detector(tmp_path / "best.pt", device=CPU)
    np.testing.assert_array_equal(score_scene(loaded, pair), score_scene(detector, pair))


def test_the_digest_tells_names_types_shapes_and_numbers_apart() -> None:
    states: list[Any] = [
        {"a": 1},
        {"a": 1.0},
        {"a": True},
        {"b": 1},
        {"a": [1]},
        {"a": {"b": 1}},
        {"a": torch.ones(2)},
        {"a": torch.ones(2, dtype=torch.float64)},
        {"a": torch.ones(1, 2)},
        {"a": torch.tensor([1.0, 1.0000001])},
        {"a": torch.ones(2, dtype=torch.bfloat16)},
        {"a": torch.ones(())},
    ]
    assert len({state_digest(state) for state in states}) == len(states)
    assert state_digest({"a": 1, "b": 2}) == state_digest({"b": 2, "a": 1})
    around: list[Any] = []
    around.append(around)
    for other in (around, {"a": torch.ones(2).to_sparse()}):
        with pytest.raises(CheckpointError, match="was not written by hsi-cd train"):
            state_digest(other)
