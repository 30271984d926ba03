"""The jobs of a batch: what is done, what was done already, and by which command."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hsi_cd.batch.jobs import TrainJob, expand
from hsi_cd.batch.map_jobs import PredictJob
from hsi_cd.config import RunConfig, to_yaml
from hsi_cd.errors import ConfigError
from hsi_cd.evaluation import ClassCounts, ConfusionCounts, RunResult
from hsi_cd.runs import file_identity
from hsi_cd.runs.provenance import Provenance, Session


def jobs_in(folder: Path, methods: tuple[str, ...] = ("cva", "svm"), **more: Any) -> list[TrainJob]:
    return expand(["taizhou"], methods, [0, 1], protocol="P1", folder=folder, **more)


def leave(job: TrainJob, **other: Any) -> Path:
    """What a run that ends well leaves of a job."""
    job.folder.mkdir(parents=True, exist_ok=True)
    (job.folder / "config.yaml").write_text(to_yaml(job.config()))
    named = {"dataset": job.dataset, "method": job.method, "seed": job.seed, "protocol": job.protocol} | other
    counts = ConfusionCounts(tn=5, fp=1, fn=1, tp=3)
    result = RunResult(scope="held-out", counts=counts, scores={"oa": 0.8}, test=ClassCounts(6, 4), **named)
    (job.folder / "result.json").write_text(json.dumps(result.to_dict()))
    return job.folder / "result.json"


@pytest.fixture
def job(tmp_path: Path) -> TrainJob:
    return jobs_in(tmp_path)[0]


def test_seeds_are_the_outer_loop(tmp_path: Path) -> None:
    jobs = expand(["taizhou", "rennes"], ["cva", "svm"], [4, 2], protocol="P2", folder=tmp_path)
    scenes = ["taizhou", "taizhou", "rennes", "rennes"] * 2
    assert [j.dataset for j in jobs] == scenes
    assert [j.method for j in jobs] == ["cva", "svm"] * 4
    assert [j.seed for j in jobs] == [4] * 4 + [2] * 4
    assert jobs[6].folder == tmp_path / "rennes" / "cva-P2-seed2"
    assert len({j.folder for j in jobs}) == 8
    assert jobs[0].name == "taizhou cva seed 4"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"protocol": "P9"}, "P1-strict"),
        ({"settings": ["train.epohcs=3"]}, "did you mean train.epochs"),
        ({"settings": ["train.epochs=0"]}, "train.epochs is 0"),
        ({"seeds": [-1]}, "seed is -1"),
    ],
)
def test_what_cannot_run_is_refused_at_once(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    words = {"seeds": [0], "protocol": "P1", "folder": tmp_path} | change
    with pytest.raises(ConfigError, match=message):
        expand(["taizhou"], ["cva"], **words)


def test_the_command_is_what_a_user_would_type(tmp_path: Path) -> None:
    job = jobs_in(tmp_path, settings=["split.fraction=0.05"], arguments=["--data-root", "d"])[1]
    words = ["train", "--dataset", "taizhou", "--method", "svm", "--seed", "0", "--protocol", "P1"]
    expected = [sys.executable, "-m", "hsi_cd", *words, "--run", str(job.folder)]
    expected += ["--set", "split.fraction=0.05", "--data-root", "d"]
    assert job.command() == expected
    leave(job)
    assert job.command() == [*expected, "--resume"]
    assert job.config().split.fraction == 0.05


def test_finished_runs(job: TrainJob) -> None:
    assert job.result() is None
    result = leave(job)
    found = job.result()
    assert found is not None and found.scores["oa"] == 0.8
    (job.folder / "config.yaml").unlink()
    assert job.result() == found
    result.write_text(result.read_text()[:-20])
    assert job.result() is None
    result.write_text("[]")
    assert job.result() is None


@pytest.mark.parametrize(
    "other", [{"dataset": "rennes"}, {"method": "sam"}, {"seed": 1}, {"seed": None}, {"protocol": "P2"}], ids=str
)
def test_the_result_of_another_run_does_not_count(job: TrainJob, other: dict[str, Any]) -> None:
    leave(job, **other)
    assert job.result() is None


def test_a_result_of_other_settings_does_not_count(job: TrainJob) -> None:
    leave(replace(job, settings=("options.threshold=otsu",)))
    assert job.result() is None
    assert replace(job, settings=("options.threshold=otsu",)).result() is not None
    (job.folder / "config.yaml").write_text("nonsense: [")
    assert job.result() is None


def test_what_a_run_undid_of_its_scene_is_no_other_setting(job: TrainJob) -> None:
    asked = replace(job, settings=("coregister.dates=true",))
    leave(asked)
    found = asked.config().model_dump()
    found["coregister"] |= {"shift": (3.0, -11.0), "pixels": "0123456789abcdef"}
    (job.folder / "config.yaml").write_text(to_yaml(RunConfig.model_validate(found)))
    assert asked.result() is not None
    assert job.result() is None  # of the dates as they lie


def test_a_scene_of_ones_own_is_named_by_its_files(tmp_path: Path) -> None:
    files = ("--t1", "a.tif", "--t2", "b.tif", "--truth", "c.tif")
    job = TrainJob("mine", "svm", 0, "P1", tmp_path / "run", files=files, variant="fast")
    assert job.command()[3:13] == ["train", *files, "--name", "mine", "--method"]
    assert job.config().dataset is None and job.name == "fast mine svm seed 0"
    leave(job)
    assert job.result() is not None


def own(folder: Path, *names: str, **more: Any) -> TrainJob:
    """A run on a scene of one's own, done from files of these names."""
    for name in names:
        if not (folder / name).exists():
            (folder / name).write_text(name)
    paths = [str(folder / name) for name in names]
    options = ("--t1", "--t2", "--truth")
    files = tuple(word for pair in zip(options, paths, strict=True) for word in pair)
    return TrainJob("mine", "svm", 0, "P1", folder / "run", files=files, **more)


def record(job: TrainJob, inputs: list[str], command: tuple[str, ...] = ("train",)) -> None:
    session = Session(
        command=("hsi-cd", *command),
        started="2026-01-01T00:00:00+00:00",
        host="h",
        inputs={path: file_identity(path) for path in inputs},
    )
    (job.folder / "provenance.json").write_text(json.dumps(Provenance((session,)).to_dict()))


def test_a_run_counts_for_the_files_it_was_made_from_alone(tmp_path: Path) -> None:
    job = own(tmp_path, "a.tif", "b.tif", "c.tif")
    leave(job)
    assert not job.tells_inputs() and job.is_finished() and not job.changed()  # of an earlier version: unknown
    record(job, list(job.files[1::2]))
    assert job.tells_inputs() and job.is_finished()
    assert not own(tmp_path, "a.tif", "other.tif", "c.tif").is_finished()  # the matrix names another file
    assert "b.tif, c.tif, and not from" in replace(job, files=job.files[:4]).changed()[0]
    (tmp_path / "c.tif").write_text("C.tif")
    assert job.changed() == [f"{tmp_path / 'c.tif'} has another content"] and not job.is_finished()
    job.clear()
    assert not job.folder.exists() and job.command()[-1] != "--resume"


def test_a_run_counts_for_the_arguments_by_which_its_files_were_read(tmp_path: Path) -> None:
    job = own(tmp_path, "a.tif", "b.tif", "c.tif", arguments=("--align",), settings=("split.fraction=0.05",))
    command = tuple(job.command()[3:])
    leave(job)
    record(job, list(job.files[1::2]), (*command, "--resume"))
    assert job.is_finished() and replace(job, arguments=("--align", "--data-root", "x")).is_finished()
    other = replace(job, arguments=("--align", "--saturated", "9"))
    assert other.changed() == ["its further arguments were --align and are --align --saturated 9 now"]
    assert not replace(job, arguments=()).is_finished()
    record(job, list(job.files[1::2]), ("train", "--run", str(job.folder), *job.files, "--common-bands"))
    assert job.is_finished()  # typed by a person: what is not known is believed


def test_weights_that_a_run_begins_with_are_among_its_files(tmp_path: Path) -> None:
    weights = tmp_path / "encoder.pt"
    weights.write_text("1")
    job = own(tmp_path, "a.tif", "b.tif", "c.tif", settings=(f"train.pretrained={weights}",))
    leave(job)
    record(job, [*job.files[1::2], str(weights)])
    assert job.is_finished()
    weights.write_text("2")
    assert not job.is_finished()


def test_the_files_of_a_catalogue_scene_may_move_and_not_change(tmp_path: Path) -> None:
    old, new = tmp_path / "old" / "taizhou", tmp_path / "new" / "taizhou"
    for folder in (old, new):
        folder.mkdir(parents=True)
        for name in ("2000", "2003", "truth"):
            (folder / name).write_text(name)
    (job,) = jobs_in(tmp_path, ("svm",), arguments=["--data-root", str(new.parent)])[:1]
    leave(job)
    record(job, [str(old / name) for name in ("2000", "2003", "truth")])
    assert job.is_finished()
    (new / "2003").write_text("2004")
    assert job.changed() == [f"{new / '2003'} has another content than {old / '2003'}"]


@pytest.fixture
def pair(tmp_path: Path) -> PredictJob:
    for name in ("a.tif", "b.tif", "best.pt"):
        (tmp_path / name).write_bytes(b"0123")
    files = (tmp_path / "best.pt", tmp_path / "a.tif", tmp_path / "b.tif")
    return PredictJob("p", tmp_path / "maps" / "p", *files, arguments=("--cog",))


def predicted(job: PredictJob, **other: Any) -> None:
    """What a prediction that ends well leaves."""
    job.make_room()
    inputs = {str(path): file_identity(path) for path in (job.t1, job.t2, job.checkpoint)}
    named = {"command": ("hsi-cd", *job.command()[3:]), "outcome": "finished", "inputs": inputs} | other
    session = Session(started="2026-01-01T00:00:00+00:00", host="h", seconds=1.0, **named)
    (job.folder / "provenance.json").write_text(json.dumps(Provenance((session,)).to_dict()))
    for name in ("change.tif", "score.tif"):
        (job.folder / name).write_bytes(b"II")


def test_a_prediction_is_known_by_its_command_and_its_files(pair: PredictJob) -> None:
    expected = ["predict", "--checkpoint", str(pair.checkpoint), "--t1", str(pair.t1), "--t2", str(pair.t2)]
    assert pair.command()[3:10] == expected and pair.command()[-2:] == ["--overwrite", "--cog"]
    assert not pair.is_finished()
    predicted(pair)
    assert pair.is_finished()
    assert not replace(pair, arguments=("--threshold", "0.3")).is_finished()
    for outcome in ("failed", "pre-empted", None):
        predicted(pair, outcome=outcome)
        assert not pair.is_finished()
    predicted(pair)
    (pair.folder / "score.tif").unlink()
    assert not pair.is_finished()
    predicted(pair)
    pair.t2.write_bytes(b"01234")  # another file under the same name
    assert not pair.is_finished()
    (pair.folder / "provenance.json").write_text('{"version": 1')
    assert not pair.is_finished()
