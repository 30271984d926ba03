"""The matrix file: what it expands to, and what is refused with line and field."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from hsi_cd.batch.jobs import TrainJob
from hsi_cd.batch.map_jobs import PredictJob
from hsi_cd.batch.matrix import Matrix, parse_seeds, read_matrix
from hsi_cd.errors import ConfigError, HsiCdError, unknown_name

DATASETS, METHODS = ("taizhou", "rennes"), ("cva", "svm", "siamese")


def find(kind: str, known: tuple[str, ...]) -> Any:
    def right(name: str) -> str:
        if name.lower() not in known:
            raise unknown_name(kind, name, known)
        return name.lower()

    return right


def read(folder: Path, text: str) -> Matrix:
    path = folder / "m.yaml"
    path.write_text(text)
    finders = {"find_dataset": find("dataset", DATASETS), "find_method": find("method", METHODS)}
    return read_matrix(path, **finders, data_root=Path("data"))


def test_everything_at_once(tmp_path: Path) -> None:
    text = """
folder: out
data_root: ../scenes
datasets:
  - Taizhou
  - {name: mine, t1: a.tif, t2: [b1.tif, b2.tif], truth: c.tif, arguments: [--align]}
methods: [svm, cva, SVM]
seeds: [0-1, 4]
protocols: [P1, P3]
settings:
  train.map_every: 0
  model: {members: 2}
variants:
  plain: {}
  small: {model.members: 1}
arguments: [--band-tolerance, "7"]
"""
    matrix = read(tmp_path, text)
    jobs = [job for job in matrix.jobs if isinstance(job, TrainJob)]
    assert len(jobs) == len(matrix.jobs) == 2 * 2 * 3 * 2 * 2 == len({job.folder for job in jobs})
    assert [job.seed for job in jobs] == [0] * 16 + [1] * 16 + [4] * 16
    assert {(job.dataset, job.method, job.protocol, job.variant) for job in jobs[:16]} == {
        (d, m, p, v)
        for d in ("taizhou", "mine")
        for m in ("svm", "cva")
        for p in ("P1", "P3")
        for v in ("plain", "small")
    }
    small = next(j for j in jobs if (j.dataset, j.method, j.protocol, j.variant) == ("mine", "svm", "P3", "small"))
    assert small.folder == tmp_path / "out" / "small" / "mine" / "svm-P3-seed0"
    assert small.settings == ("train.map_every=0", "model.members=2", "model.members=1")
    config = small.config()
    assert (config.model.members, config.train.map_every, config.split.protocol) == (1, 0, "P3")
    assert small.arguments == ("--band-tolerance", "7", "--align")
    files = ["--t1", "a.tif", "--t2", "b1.tif", "--t2", "b2.tif", "--truth", "c.tif"]
    assert small.files == tuple(word if word.startswith("--") else str(tmp_path / word) for word in files)
    catalogue = next(job for job in jobs if job.dataset == "taizhou")
    assert catalogue.arguments == ("--data-root", str(tmp_path / "../scenes"), "--band-tolerance", "7")
    assert catalogue.files == ()


def test_values_of_no_data(tmp_path: Path) -> None:
    """A setting of a training, by which a finished run is known; an argument of a prediction."""
    own = "{name: mine, t1: a.tif, t2: b.tif, truth: c.tif, nodata: [-9999, 1e+20]}"
    (other, mine) = read(tmp_path, f"datasets: [taizhou, {own}]\nmethods: cva\nseeds: 0").jobs
    assert isinstance(mine, TrainJob) and isinstance(other, TrainJob)
    assert (mine.config().nodata, other.config().nodata) == ((-9999, 1e20), ())
    (tmp_path / "pairs.csv").write_text("t1,t2,nodata\na.tif,b.tif,-9999 -1\nc.tif,d.tif,\n")
    text = "predict: {checkpoint: best.pt, pairs: pairs.csv, nodata: 0.5}"
    first, second = (job.command() for job in read(tmp_path, text).jobs)
    assert [word for word in first if "nodata" in word] == ["--nodata=0.5", "--nodata=-9999", "--nodata=-1"]
    assert [word for word in second if "nodata" in word] == ["--nodata=0.5"]


def test_what_is_left_out_has_a_default(tmp_path: Path) -> None:
    matrix = read(tmp_path, "datasets: taizhou\nmethods: cva\n")
    assert matrix.folder == tmp_path / "runs" / "m"
    assert [(job.seed, job.protocol) for job in matrix.jobs] == [(seed, "P1") for seed in range(5)]  # type: ignore
    assert matrix.jobs[0].arguments == ("--data-root", "data")


def test_predictions(tmp_path: Path) -> None:
    (tmp_path / "pairs.csv").write_text("t1,t2,checkpoint\na1.tif,a2.tif,\nb1.tif,b2.tif,other.pt\n")
    text = "folder: maps\npredict:\n  checkpoint: best.pt\n  pairs: pairs.csv\n  arguments: [--cog]\n"
    first, second = read(tmp_path, text).jobs
    expected = PredictJob(
        "a1_a2",
        tmp_path / "maps" / "a1_a2",
        tmp_path / "best.pt",
        tmp_path / "a1.tif",
        tmp_path / "a2.tif",
        ("--cog",),
    )
    assert first == expected
    assert isinstance(second, PredictJob) and second.checkpoint == tmp_path / "other.pt"


GOOD = "datasets: [taizhou]\nmethods: [cva]\n"
REFUSED = {
    "unknown field": (GOOD + "sedes: 0-4\n", "m.yaml, line 3: sedes is no field of a matrix: did you mean seeds?"),
    "unknown dataset": (
        "datasets:\n  - taizhou\n  - renes\nmethods: [cva]\n",
        "m.yaml, line 3: datasets[2]: there is no dataset 'renes': did you mean 'rennes'?",
    ),
    "unknown method": (
        "datasets: [taizhou]\n\nmethods: [svm, cvaa]\n",
        "line 3: methods[2]: there is no method 'cvaa': did",
    ),
    "no datasets": ("methods: [cva]\n", "datasets names nothing"),
    "no methods": ("datasets: [taizhou]\nmethods: []\n", "line 2: methods names nothing"),
    "a number for methods": ("datasets: [taizhou]\nmethods: {cva: 1}\n", "line 2: methods"),
    "a number as dataset": ("datasets: [3.5]\nmethods: [cva]\n", "line 1: datasets[1] is 3.5: give a name"),
    "unknown protocol": (GOOD + "protocols:\n- P1\n- P9\n", "line 5: protocols[2]"),
    "bad seeds": (GOOD + "seeds: [0, x-2]\n", "line 3: seeds[2]: 'x-2' is neither a number nor a range"),
    "no seed": (GOOD + "seeds: 4-0\n", "line 3: seeds[1]: '4-0' names no seed"),
    "half a seed": (GOOD + "seeds: [0.5]\n", "line 3: seeds[1] is 0.5: it is neither"),
    "huge seed": (GOOD + "seeds: [4294967296]\n", "line 3: seeds[1]: seed is 4294967296"),
    "unknown setting": (GOOD + "settings:\n  train.epohcs: 3\n", "line 4: settings.train.epohcs: unknown key"),
    "bad value": (
        GOOD + "variants:\n  a:\n    train:\n      epochs: 0\n",
        "line 6: variants.a.train.epochs: train.epochs is 0",
    ),
    "variant that leaves": (
        GOOD + "variants:\n  ../a: {}\n",
        "line 4: variants.../a is '../a': it names a folder",
    ),
    "scene that leaves": (
        "datasets:\n- {name: ../x, t1: a, t2: b, truth: c}\nmethods: [cva]\n",
        "line 2: datasets[1].name is '../x'",
    ),
    "scene without truth": (
        "datasets:\n- name: x\n  t1: a\n  t2: b\nmethods: [cva]\n",
        "line 2: datasets[1]: truth is missing",
    ),
    "scene with more": (
        "datasets:\n- name: x\n  t1: a\n  t2: b\n  truth: c\n  trut: d\nmethods: [cva]\n",
        "line 6: datasets[1].trut is no field of a matrix: did you mean truth?",
    ),
    "two scenes of a name": (
        "datasets:\n- taizhou\n- {name: taizhou, t1: a, t2: b, truth: c}\nmethods: [cva]\n",
        "line 3: datasets[2]: there are two scenes called taizhou",
    ),
    "twice": (GOOD + "methods: [svm]\n", "line 3: methods is given twice, first in line 2"),
    "twice inside": (GOOD + "settings:\n  seed: 1\n  seed: 1\n", "line 5: settings.seed is given twice"),
    "both": (GOOD + "predict: {checkpoint: c, pairs: p}\n", "line 3: predict and datasets are both given"),
    "no pairs": ("predict: {checkpoint: c}\n", "line 1: predict: give either pairs"),
    "no checkpoint": ("predict:\n  pairs: p\n", "line 1: predict: checkpoint is missing"),
    "unknown in predict": (
        "predict:\n  checkpoint: c\n  pars: p\n",
        "line 3: predict.pars is no field of a matrix: did you mean pairs?",
    ),
    "bad dates": ("predict:\n  checkpoint: c\n  pattern: p\n  dates: all\n", "line 4: predict.dates is 'all'"),
    "no yaml": ("datasets: [taizhou\n", "is not valid YAML at line 2"),
    "no mapping": ("- a\n", "holds a list"),
    "nothing": ("", "datasets names nothing"),
    "itself": ("datasets: &a [*a]\nmethods: [cva]\n", "datasets[1] is"),
}


@pytest.mark.parametrize(("text", "message"), REFUSED.values(), ids=REFUSED)
def test_line_and_field(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(HsiCdError) as caught:
        read(tmp_path, text)
    assert message in str(caught.value) and "\n" not in str(caught.value)
    assert str(tmp_path / "m.yaml") in str(caught.value)


@settings(max_examples=settings.default.max_examples // 3)
@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats()
        | st.text(max_size=5)
        | st.sampled_from(["cva", "taizhou"]),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["datasets", "methods", "seeds", "predict", "settings", "variants", "name", "t1", "x"]
                )
                | st.text(max_size=3),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    )
)
def test_no_other_error_gets_out(tmp_path_factory: pytest.TempPathFactory, content: Any) -> None:
    try:
        read(tmp_path_factory.mktemp("any"), yaml.safe_dump(content, allow_unicode=True))
    except HsiCdError as error:
        assert str(error)


def test_seeds() -> None:
    assert parse_seeds("0-2, 7,1") == (0, 1, 2, 7)
    for wrong in ("", "a", "3-", "-3", "1-2-3"):
        with pytest.raises(ConfigError, match="neither a number nor a range"):
            parse_seeds(wrong)


def test_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    monkeypatch.setenv("HOME", str(home))
    text = """
folder: ~/runs
data_root: ~/scenes
datasets: [taizhou, {name: mine, t1: ~/a.tif, t2: b.tif, truth: ~/c.tif}]
methods: svm
seeds: 0
settings: {train.pretrained: ~/encoder.pt}
"""
    first, own = (job for job in read(tmp_path, text).jobs if isinstance(job, TrainJob))
    assert first.folder == home / "runs" / "taizhou" / "svm-P1-seed0"
    assert first.arguments == ("--data-root", str(home / "scenes"))
    assert own.files[1::2] == (str(home / "a.tif"), str(tmp_path / "b.tif"), str(home / "c.tif"))
    assert own.inputs()[-1] == home / "encoder.pt" and own.config().train.pretrained == str(home / "encoder.pt")
    (tmp_path / "pairs.csv").write_text("t1,t2\na,b\n")
    (job,) = read(tmp_path, "predict: {checkpoint: ~/best.pt, pairs: pairs.csv}").jobs
    assert isinstance(job, PredictJob) and job.checkpoint == home / "best.pt"
