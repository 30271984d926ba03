"""Methods of other packages through the real command line: named, entered, run as children, refused."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import scipy
import torch
import yaml
from PIL import Image

import hsi_cd as hc
from hsi_cd.api.method_names import chosen_method
from hsi_cd.batch.jobs import ChosenMethod, TrainJob
from hsi_cd.datasets.simulated.simulation import SimulationOptions
from hsi_cd.datasets.simulated.simulation_files import PairFiles, write_pair
from hsi_cd.detectors.registry import all_methods, find_method
from hsi_cd.errors import ConfigError
from hsi_cd.evaluation import ClassCounts, ConfusionCounts, RunResult
from hsi_cd.reporting.comparison import told_apart

Capture = pytest.CaptureFixture[str]
EXAMPLES = Path(__file__).resolve().parents[1] / "docs" / "examples"

GOOD = """
import numpy as np, torch
from hsi_cd.detectors.states import bands_from_state, bands_state

class Good:
    "Differences of sums."
    name, title, reference, needs_labels = "plug-good", "Sums", "nobody 2024", False
    options = {"factor": 2.0}
    unit, radius = "score", 1
    def __init__(self, bands, factor):
        self.bands, self.factor, self.threshold = bands, factor, 100.0
    @classmethod
    def fit(cls, scene, *, options=None, seed=0):
        factor = options["factor"]
        assert isinstance(factor, float)
        if factor < 0:
            raise ValueError("a factor\\nbelow 0")
        return cls(scene.pair.bands, factor)
    @classmethod
    def from_state(cls, state, *, device=None):
        return cls(bands_from_state(state["bands"]), state["factor"])
    def score(self, t1, t2):
        d = np.abs(t2 - t1).mean(axis=0)
        return (self.factor * (d[1:-1, 1:-1] + d[:-2, 1:-1])).astype(np.float32)
    def probability(self, score):
        return 1 / (1 + np.exp((self.threshold - score) / 1000))
    def parameters(self):
        return 1
    def state(self):
        return {"bands": bands_state(self.bands), "factor": self.factor}
"""

NETWORK = """
class Net:
    "The Siamese network, smaller."
    title, reference, needs_labels = "Small", "nobody 2024", True
    settings = {"model.backbone.width": 8}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A current directory with modules in it, which the rest of the tests does not see."""
    for example in EXAMPLES.glob("*.py"):
        shutil.copy(example, tmp_path)
    (tmp_path / "plug_good.py").write_text(GOOD + NETWORK)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])
    forget()
    yield tmp_path
    forget()


def forget() -> None:
    for name in [name for name in sys.modules if name.startswith("plug_") or name in ("kan", "city_block")]:
        del sys.modules[name]


def enter(folder: Path, **methods: str) -> Path:
    """A package as pip leaves it, which enters methods."""
    told = folder / f"{'_'.join(methods)}-0.1.dist-info"
    told.mkdir(parents=True)
    (told / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {'-'.join(methods)}\nVersion: 0.1\n")
    lines = [f"{name.replace('_', '-')} = {place}" for name, place in methods.items()]
    (told / "entry_points.txt").write_text("\n".join(["[hsi_cd.methods]", *lines, ""]))
    return folder


@pytest.fixture
def scenes(tmp_path: Path) -> Path:
    """A simulated scene in the place, the shape and the formats of taizhou."""
    folder = tmp_path / "scenes" / "taizhou"
    files = write_pair(tmp_path / "simulated", SimulationOptions(rows=400, cols=400, bands=6))
    place = rasterio.Affine(30, 0, 0, 0, -30, 0)
    for source, name in ((files.t1, "2000TM"), (files.t2, "2003TM")):
        folder.mkdir(parents=True, exist_ok=True)
        with rasterio.open(source) as raster:
            values = raster.read()
        shape = {"height": 400, "width": 400, "count": 6, "dtype": values.dtype}
        with rasterio.open(folder / name, "w", driver="ENVI", transform=place, crs="EPSG:32650", **shape) as out:
            out.write(values)
    with rasterio.open(files.truth) as raster:
        truth = raster.read(1)
    for value, name, count in ((1, "change", 4227), (0, "unchanged", 17163)):
        mask = np.zeros(truth.size, dtype=np.uint8)
        mask[np.random.default_rng(0).permutation(np.flatnonzero(truth == value))[:count]] = 255
        Image.fromarray(mask.reshape(truth.shape)).save(folder / f"{name}.bmp")
    return folder.parent


@pytest.fixture
def options(simulated: PairFiles, dates: list[str]) -> list[str]:
    return [*dates, "--truth", str(simulated.truth)]


# --- The examples of the documentation, beside the built-in methods ---


@pytest.mark.slow
@pytest.mark.parametrize("real", [False, True], ids=["forks", "processes"])
def test_own_methods_stand_in_the_tables_beside_the_others(
    cli: Any, scenes: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture, real: bool
) -> None:
    """Benchmark in processes; one method by its place, one by its package's entry; then what shows runs."""
    package = enter(folder / "site", blocks="city_block:CityBlock")

    def fork(command: list[str], **options: Any) -> object:
        paths = ["", str(package)]  # as Python searches, told so by the variable below
        code = f"import os, sys; os.chdir({str(folder)!r}); sys.path[:0] = {paths}; "
        return cli.fork(*command[3:], code=f"{code}from hsi_cd.cli.main import main; main()")

    if not real:
        monkeypatch.setattr("hsi_cd.batch.runner.start_process", fork)
    monkeypatch.setenv("PYTHONPATH", f"{package}:{Path(hc.__file__).parents[1]}")
    monkeypatch.syspath_prepend(str(package))
    quick = cli.settings(split__fraction=0.01, model__members=1, train__map_every=0, train__certain=0)
    words = ["--datasets", "taizhou", "--data-root", scenes, "--seeds", "0", "--runs", "runs"]
    matrix = ["benchmark", *words, "--methods", "cva,kan:KAN,blocks"]
    assert cli(*matrix, "--workers", 1, *(w for w in quick)) == 0, capsys.readouterr().err
    out = capsys.readouterr().out
    rows = [line.split()[0] for line in out.splitlines() if re.match(r" *(cva|kan|city-block) ", line)]
    assert sorted(rows) == ["city-block", "cva", "kan"]
    kept = folder / "runs" / "taizhou"
    assert {p.name for p in kept.iterdir() if p.is_dir()} == {
        "cva-P1-seed0",
        "kan+KAN-P1-seed0",
        "blocks-P1-seed0",
    }
    result = json.loads((kept / "kan+KAN-P1-seed0" / "result.json").read_text())
    assert (result["method"], result["details"]["plugin"]) == ("kan", "kan:KAN")
    config = yaml.safe_load((kept / "kan+KAN-P1-seed0" / "config.yaml").read_text())
    assert config["model"]["backbone"]["kind"] == "kan:Encoder"
    assert 0.5 < result["scores"]["oa"] <= 1

    # What is finished is known, though its settings came from its method.
    monkeypatch.setattr("hsi_cd.batch.runner.start_process", None)
    assert cli(*matrix, *quick) == 0
    assert capsys.readouterr().out == out

    # A map that other code made is a row beside them.
    like = ["--like", kept / "cva-P1-seed0", "--run", kept / "theirs"]
    assert cli("import-map", kept / "blocks-P1-seed0" / "change.tif", "--name", "Their method", *like) == 0
    capsys.readouterr()
    assert cli("table", "runs", "--costs") == 0
    out = capsys.readouterr().out
    rows = re.findall(r"^ *(cva|kan|city-block|Their method) ", out, re.MULTILINE)
    assert sorted(rows) == ["Their method", "city-block", "cva", "kan"]
    assert cli("report", "runs", "--output", "report.html") == 0
    assert cli("figure", kept / "kan+KAN-P1-seed0", kept / "blocks-P1-seed0", "--output", "both.png") == 0
    page = (folder / "report.html").read_text()
    assert "city-block" in page and "kan:KAN" in page
    capsys.readouterr()

    # A process that knows nothing of it: refused, until the module is vouched for.
    forget()
    maps = ["--t1", scenes / "taizhou" / "2000TM", "--t2", scenes / "taizhou" / "2003TM", "--output", "map.tif"]
    predict = ["predict", "--checkpoint", kept / "kan+KAN-P1-seed0" / "best.pt", *maps]
    assert cli(*predict) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith(
        "the checkpoint needs the method kan:KAN, which is imported only if you trust it: set HSI_CD_PLUGINS=kan"
    )
    assert "kan" not in sys.modules and not (folder / "map.tif").exists()
    monkeypatch.setenv("HSI_CD_PLUGINS", "kan")
    assert cli(*predict) == 0
    with rasterio.open("map.tif") as mine, rasterio.open(kept / "kan+KAN-P1-seed0" / "change.tif") as run:
        np.testing.assert_array_equal(mine.read(), run.read())


def test_the_layers_of_the_example_are_b_splines(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Against SciPy's: eight cubic splines on five intervals, which sum to one inside the grid."""
    assert len((EXAMPLES / "kan.py").read_text().splitlines()) <= 80
    monkeypatch.syspath_prepend(str(folder))
    import kan  # type: ignore[import-not-found]

    layer = kan.Layer(1, 1, grid=5, reach=3.0)
    x = np.linspace(-3.9, 3.9, 60, dtype=np.float32)
    found = layer.basis(torch.from_numpy(x)[None, None, None])[0, 0, :, 0].numpy()
    knots = -3 + 1.2 * np.arange(-3, 9)
    for k in range(8):
        spline = scipy.interpolate.BSpline.basis_element(knots[k : k + 5], extrapolate=False)
        np.testing.assert_allclose(found[k], np.nan_to_num(spline(x)), atol=1e-6)
    np.testing.assert_allclose(found.sum(axis=0)[np.abs(x) < 3], 1, atol=1e-6)


@pytest.mark.slow
def test_a_batch_passes_on_the_name_and_the_trust(
    cli: Any, options: list[str], folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    """Real processes: a run of a matrix, then a scene mapped with its checkpoint."""
    monkeypatch.setenv("PYTHONPATH", str(Path(hc.__file__).parents[1]))
    t1, t2, truth = options[1], options[3], options[5]
    scene = {"name": "mine", "t1": t1, "t2": t2, "truth": truth}
    matrix = {"folder": "out", "datasets": [scene], "methods": ["plug_good:Good"], "seeds": 0}
    (folder / "runs.yaml").write_text(yaml.safe_dump(matrix | {"settings": {"options.factor": 3.0}}))
    assert cli("batch", "runs.yaml") == 0, capsys.readouterr().err
    assert " plug-good " in capsys.readouterr().out
    run = folder / "out" / "mine" / "plug_good+Good-P1-seed0"
    (folder / "pairs.csv").write_text(f"t1,t2,name\n{t1},{t2},mine\n")
    maps = {"folder": "maps", "predict": {"checkpoint": str(run / "best.pt"), "pairs": "pairs.csv"}}
    (folder / "maps.yaml").write_text(yaml.safe_dump(maps))
    monkeypatch.setenv("HSI_CD_PLUGINS", "plug_other,plug_good")
    assert cli("batch", "maps.yaml") == 0
    assert (folder / "maps" / "mine" / "change.tif").read_bytes()


def test_a_matrix_takes_the_options_of_a_part_that_a_method_brings(folder: Path) -> None:
    from hsi_cd.batch.matrix import read_matrix

    (folder / "m.yaml").write_text(
        "{datasets: taizhou, methods: [kan:KAN], seeds: 0, settings: {model.backbone.grid: 4},"
        " variants: {far: {model.backbone.reach: 5.0}}}"
    )
    matrix = read_matrix(folder / "m.yaml", find_dataset=str, find_method=chosen_method, data_root=folder)
    (job,) = matrix.jobs
    assert isinstance(job, TrainJob) and job.name == "far taizhou kan seed 0"
    assert job.config().model.backbone.model_extra == {"grid": 4, "reach": 5.0}
    words = job.command()
    assert words[words.index("--method") + 1] == "kan:KAN"
    assert job.folder == folder / "runs" / "m" / "far" / "taizhou" / "kan+KAN-P1-seed0"
    (folder / "m.yaml").write_text("{datasets: taizhou, methods: [svm, kan:KANN], seeds: 0}")
    with pytest.raises(ConfigError, match=r"line 1.*methods.*kan has no KANN: did you mean KAN\?"):
        read_matrix(folder / "m.yaml", find_dataset=str, find_method=chosen_method, data_root=folder)


def test_from_python(options: list[str], folder: Path) -> None:
    pair, labels = hc.open_pair(options[1], options[3]), hc.open_labels(options[5])
    change = hc.detect(pair, method="plug_good:Good", factor=3.0)
    result = hc.evaluate(change, labels)
    assert result.method == "plug-good" and 0 <= result.scores["oa"] <= 1
    from hsi_cd.api.estimators import estimator_class

    own = estimator_class("plug_good:Good")
    assert own.__name__ == "Good" and own().options == {"factor": 2.0, "seed": 0}
    fitted = own(factor=3.0).fit(pair)
    fitted.save("good.pt")
    again = hc.load("good.pt")
    assert again.options["factor"] == 3.0
    np.testing.assert_array_equal(again.predict(pair).score, change.score)


# --- Names ---


def test_two_of_one_name_are_told_apart(folder: Path) -> None:
    counts = ConfusionCounts(tn=5, fp=1, fn=1, tp=3)
    words: Any = {"scope": "held-out", "counts": counts, "scores": {"oa": 0.8}, "test": ClassCounts(6, 4)}
    one = RunResult(dataset="a", method="kan", protocol="P1", seed=0, details={"plugin": "kan:KAN"}, **words)
    other = replace(one, details={"plugin": "mine:KAN"}, seed=1)
    alone = replace(one, method="svm", details={})
    named = [result.method for result in told_apart([one, other, alone, replace(one, details={})])]
    assert named == ["kan (kan:KAN)", "kan (mine:KAN)", "svm", "kan"]
    assert told_apart([one, alone]) == [one, alone]
    folders = {chosen_method(name).name for name in ("kan:KAN", "plug_good:Good")}
    assert folders == {"kan:KAN", "plug_good:Good"}
    assert chosen_method("plug_good:Net") == ChosenMethod(
        "plug_good:Net", "", '{"model": {"backbone": {"width": 8}}}'
    )


def test_a_run_without_a_name_for_it(cli: Any, options: list[str], folder: Path, capsys: Capture) -> None:
    assert cli("train", *options, "--method", "plug_good:Good") == 0
    (run,) = (folder / "runs").iterdir()
    assert "-plug_good+Good-seed0-" in run.name
    capsys.readouterr()
    assert cli("runs", "runs") == 0
    assert "plug-good" in capsys.readouterr().out


def test_packages_enter_methods(
    cli: Any, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.syspath_prepend(str(enter(folder / "a", mine="plug_good:Good", broken="plug_absent:Net")))
    monkeypatch.syspath_prepend(str(enter(folder / "b", cva="plug_good:Good", twice="plug_good:Net")))
    assert cli("methods") == 0
    out, said = capsys.readouterr().out, caplog.text
    assert re.search(r"^mine +Differences of sums\n +nobody 2024$", out, re.MULTILINE)
    assert re.search(r"^siamese ", out, re.MULTILINE) and "broken" not in out
    assert "method plug_absent:Net: there is no module plug_absent" in said
    assert "method cva is one of hsi-cd: name what a package enters as it by plug_good:Good" in said
    assert find_method("cva").place == "" and all_methods()["mine"].row == "plug-good"
    assert hc.methods()["mine"].place == "plug_good:Good"
    assert cli("methods", "plug_good:Net") == 0
    out = capsys.readouterr().out
    assert "  from plug_good:Net\n  setting model.backbone.width = 8\n" in out
    assert cli("methods", "minee") == 2 and "did you mean 'mine'?" in capsys.readouterr().err
    monkeypatch.syspath_prepend(str(enter(folder / "c", twice="plug_good:Good", a__b="plug_good:Net")))
    with pytest.raises(
        ConfigError, match=r"twice is entered as plug_good:Good and as plug_good:Net: name the one"
    ):
        find_method("twice")


# --- Classes that keep no contract ---

BROKEN = {
    "no class": ("Good = 3", "it is a int, expected a class"),
    "title": ("del Good.title", "title is missing, expected text"),
    "reference": ("Good.reference = 7", "reference is 7, expected text"),
    "labels": ("Good.needs_labels = 'no'", "needs_labels is 'no', expected True or False"),
    "docstring": ("Good.__doc__ = None", "a docstring that says what it does is missing"),
    "name": ("Good.name = 'my/kan'", "name is 'my/kan', expected letters"),
    "name of ours": ("Good.name = 'siamese'", "name is siamese, which is a method of hsi-cd"),
    "no fit": ("del Good.fit", "fit is missing"),
    "no from_state": ("Good.from_state = None", "from_state is missing"),
    "of instances": (
        "Good.fit = lambda self, scene, *, options=None, seed=0: 1",
        "fit is a method of instances, expected a staticmethod or a classmethod",
    ),
    "fit's call": ("Good.fit = staticmethod(lambda scene: 1)", "options=..., seed=...) is how it is called, but"),
    "fit's labels": ("Good.needs_labels = True", "fit(scene, pixels, target, options=..., seed=...) is how"),
    "from_state's call": ("Good.from_state = staticmethod(lambda: 1)", "(state, device=...) is how it is called"),
    "options": ("Good.options = [1]", "options is [1], expected a mapping"),
    "an option": ("Good.options = {'seed': 1}", "an option is called 'seed', expected another name"),
    "option's value": ("Good.options = {'a': [1]}", "option a is [1], expected text, a number"),
    "preparation": (
        "Good.preparation = staticmethod(lambda options: 'mnf')",
        "preparation(options) is 'mnf', expected a Preparation or None",
    ),
    "preparation fails": (
        "Good.preparation = staticmethod(lambda options: options['nothing'])",
        "fails in preparation (KeyError: 'nothing')",
    ),
    "settings": ("Good.settings = 3", "settings is 3, expected a mapping"),
    "a setting": ("Good.settings = {'model.backbon.width': 3}", "unknown key model.backbon"),
    "another setting": ("Good.settings = {'split': {}}", "settings hold split, expected those of model"),
    "a part": ("Good.settings = {'model.backbone.kind': 'plug_bad:Nothing'}", "plug_bad has no Nothing"),
}


@pytest.mark.parametrize(("change", "message"), BROKEN.values(), ids=BROKEN)
def test_a_class_that_is_no_method_is_named_with_what_is_missing(
    cli: Any, folder: Path, options: list[str], change: str, message: str, capsys: Capture
) -> None:
    (folder / "plug_bad.py").write_text(f"{GOOD}\n{change}\n")
    for command in (["methods", "plug_bad:Good"], ["train", *options, "--method", "plug_bad:Good", "--run", "r"]):
        assert cli(*command) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("hsi-cd: error: method plug_bad:Good ") and message in line
    benchmark = ["benchmark", "--datasets", "taizhou", "--methods", "cva,plug_bad:Good", "--runs", "runs"]
    assert cli(*benchmark) == 2 and message in capsys.readouterr().err
    assert not (folder / "r").exists() and not (folder / "runs").exists()


FITTED = {
    "fit fails": ("--", "fails in fit (ValueError: a factor below 0)"),
    "no detector": (
        "Good.fit = staticmethod(lambda s, **o: 3)",
        "what it gives is a int, which lacks radius, bands",
    ),
    "no score": ("del Good.score", "what it gives is a Good, which lacks score"),
    "radius": ("Good.radius = -1", "radius of what it fits is '-1', expected a whole number"),
    "bands": (
        "Good.state, Good.bands = None, property(lambda s: 24, lambda s, v: 0)",
        "expected those of the scene",
    ),
    "unit": ("Good.unit = 'metres'", "unit of what it fits is 'metres', expected 'probability' or 'score'"),
    "threshold": (
        "Good.threshold = property(lambda s: None, lambda s, v: 0)",
        "threshold of what it fits is 'None'",
    ),
    "a count of numpy": (
        "Good.parameters = lambda s: np.int64(3)",
        "parameters() of what it fits is '3', expected a",
    ),
    "parameters": ("Good.parameters = lambda s: 'many'", "parameters() of what it fits is 'many'"),
    "state": ("Good.state = lambda s: {'a': np.ones(3)}", "state() holds more than tensors and plain values"),
    "state fails": ("Good.state = lambda s: s.nothing", "fails in state (AttributeError"),
    "from_state": (
        "Good.from_state = staticmethod(lambda s, device=None: s['x'])",
        "fails in from_state (KeyError: 'x')",
    ),
    "from_state's detector": (
        "Good.from_state = staticmethod(lambda s, device=None: s)",
        "what it gives is a dict, which lacks radius",
    ),
    "another": (
        "Good.from_state = classmethod(lambda c, s, device=None: c(bands_from_state(s['bands']), 5.0))",
        "from_state(state()) scores otherwise",
    ),
    "score fails": ("Good.score = lambda s, a, b: a @ b", "fails in score (ValueError"),
    "score's type": (
        "old = Good.score; Good.score = lambda s, a, b: old(s, a, b).astype(float)",
        "is ('float64', (8, 9)), expected float32 of (8, 9)",
    ),
    "score's shape": ("Good.score = lambda s, a, b: a[0]", "is ('float32', (10, 11)), expected float32 of (8, 9)"),
    "the window": (
        "old = Good.score; Good.score = lambda s, a, b: old(s, a, b) / np.nanmax(a)",
        "gives a pixel another value in a window than alone with its surroundings (radius 1)",
    ),
    "gaps": (
        "old = Good.score; Good.score = lambda s, a, b: np.nan_to_num(old(s, a, b))",
        "score is 0 where a date has no data, expected NaN",
    ),
    "probability": ("Good.probability = lambda s, x: x", "probability(score) is not, for each score, from 0 to 1"),
    "probability fails": ("Good.probability = lambda s, x: x.a", "fails in probability (AttributeError"),
}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param(*case, id=name, marks=[pytest.mark.slow] * (i % 3 > 0))
        for i, (name, case) in enumerate(FITTED.items())
    ],
)
def test_what_is_no_detector_leaves_no_folder(
    cli: Any, folder: Path, options: list[str], change: str, message: str, capsys: Capture
) -> None:
    (folder / "plug_bad.py").write_text(f"{GOOD}\n{change if change != '--' else ''}\n")
    factor = ["--set", "options.factor=-1"] if change == "--" else []
    assert cli("train", *options, "--method", "plug_bad:Good", "--run", "r", *factor) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("hsi-cd: error: method plug_bad:Good ") and message in line
    assert not (folder / "r").exists()


def test_a_wrong_option_of_a_part_is_told_before_anything_is_read(
    cli: Any, folder: Path, capsys: Capture, options: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hsi_cd.training.examples.choose_bands", None)
    train = ["train", *options, "--method", "kan:KAN", "--run", "r"]
    assert cli(*train, "--set", "model.backbone.gird=4") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "unknown key model.backbone.gird: kan:Encoder takes width, depth, grid, reach" in line
    assert not (folder / "r").exists()


# --- Checkpoints ---


def test_a_checkpoint_says_what_it_needs(
    cli: Any, folder: Path, dates: list[str], monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    package = enter(folder / "site", mine="plug_inside.methods:Good")
    inside = package / "plug_inside"
    inside.mkdir()
    (inside / "__init__.py").write_text("")
    (inside / "methods.py").write_text(GOOD)
    path = list(sys.path)
    monkeypatch.syspath_prepend(str(package))
    assert cli("detect", *dates, "--method", "mine", "--save", "mine.pt") == 0
    predict = ["predict", *dates, "--checkpoint", "mine.pt", "--overwrite", "--output", "map.tif"]
    assert cli(*predict) == 0  # it is installed
    first = (folder / "map.tif").read_bytes()
    capsys.readouterr()

    forget()
    monkeypatch.setattr(sys, "path", path)  # it no longer is
    assert cli(*predict) == 2
    needs = "error: the checkpoint needs the method plug_inside.methods:Good, which "
    assert needs + "is imported only if you trust it: set HSI_CD_PLUGINS=plug_inside.methods" in told(capsys)
    monkeypatch.setenv("HSI_CD_PLUGINS", "plug_inside")  # a package, with all in it
    assert cli(*predict) == 2
    assert needs + "cannot be loaded: method plug_inside.methods:Good: there is no module plug_inside" in told(
        capsys
    )
    shutil.copytree(inside, folder / "plug_inside")
    assert cli(*predict) == 0 and (folder / "map.tif").read_bytes() == first
    capsys.readouterr()

    broken = GOOD.replace('state["factor"]', 'state["colours"]')
    (folder / "plug_inside" / "methods.py").write_text(broken)
    forget()
    assert cli(*predict) == 2
    assert "cannot be rebuilt: method plug_inside.methods:Good fails in from_state (KeyError: 'colours')" in told(
        capsys
    )
    (folder / "plug_inside" / "methods.py").write_text(GOOD.replace("title, ", "the_title, "))
    forget()
    assert cli(*predict) == 2
    assert "which cannot be used: method plug_inside.methods:Good does not keep the contract" in told(capsys)


def told(capsys: Capture) -> str:
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_help_says_the_contract() -> None:
    doc = hc.Method.__doc__ or ""
    names = ["title", "reference", "needs_labels", "name", "settings", "options", "preparation(options)"]
    names += ["fit(scene, *, options=None, seed=0)", "fit(scene, pixels, target, *, options=None, seed=0)"]
    names += ["from_state(state, *, device=None)", "radius", "bands", "unit", "threshold", "score(t1, t2)"]
    names += ["probability(score)", "parameters()", "state()", "hsi_cd.methods", "module:Class"]
    assert [name for name in names if f"``{name}``" not in doc] == []


def test_the_network_of_an_own_method_is_shown(cli: Any, folder: Path, capsys: Capture) -> None:
    assert cli("model", "--set", "method=kan:KAN", "--set", "model.backbone.grid=4", "--json") == 0
    costs = [layer["cost"] for layer in json.loads(capsys.readouterr().out)["layers"]]
    found = {cost["name"]: cost["parameters"] for cost in costs}
    splines = [count for name, count in found.items() if name.endswith("spline")]
    assert splines == [16 * 16 * (4 + 3)] * 2  # 16 components to a width of 16, twice, 7 splines on 4 intervals


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (["options.factr=1"], "there is no option of plug_good:Good 'factr': did you mean 'factor'?"),
        (["options.factor=much"], "option factor of plug_good:Good is 'much': expected float"),
    ],
)
def test_options_are_checked_for_it(
    cli: Any, folder: Path, options: list[str], said: list[str], message: str, capsys: Capture
) -> None:
    assert cli("train", *options, "--method", "plug_good:Good", "--run", "r", "--set", *said) == 2
    assert message in told(capsys) and not (folder / "r").exists()


def test_a_network_without_labels_is_taught_by_the_label_free_detector(
    cli: Any, folder: Path, options: list[str]
) -> None:
    (folder / "plug_free.py").write_text(NETWORK.replace("True", "False"))
    quick = cli.settings(model__members=1, train__map_every=0)
    assert cli("train", *options, "--method", "plug_free:Net", "--run", "r", *quick) == 0
    result = json.loads((folder / "r" / "result.json").read_text())
    assert result["method"] == "plug_free:Net" and result["train"] is None
    assert result["details"]["plugin"] == "plug_free:Net"
