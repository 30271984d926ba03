"""Remedies: in the library's terms in the library, as options on the command line, and true in both."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
import rasterio
import scipy.io
from affine import Affine

import hsi_cd
import hsi_cd as hc
from hsi_cd.cli.main import COMMANDS
from hsi_cd.cli.main import cli as group
from hsi_cd.cli.remedies import in_options
from hsi_cd.datasets.simulated.simulation_files import PairFiles
from hsi_cd.errors import AxesError, BandError, CheckpointError, FormatError, GridError, LabelError, OutputError
from hsi_cd.io import open_cube, write_text

PACKAGE = Path(hsi_cd.__file__).parent
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]+")
WHOLE = re.compile(r"--[a-z][a-z-]*([ =]\S*)?")  # a word of a command that is put together
REMEDY = re.compile(r"\b([a-z_]+)=(?=True\b|FILE\b|N\b|'|[\s,;)]|$)")


@cache
def said_by(path: Path) -> tuple[str, ...]:
    """The texts of a module that a user may see: its strings, and what its docstrings say of errors."""
    return tuple(_said_by(path))


def _said_by(path: Path) -> Iterator[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
    docs = {id(n.body[0].value) for n in ast.walk(tree) if isinstance(n, documented) and ast.get_docstring(n)}
    parts = {id(part) for n in ast.walk(tree) if isinstance(n, ast.JoinedStr) for part in n.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(p.value) if isinstance(p, ast.Constant) else "{}" for p in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in parts:
            text = node.value
            if id(node) in docs:
                text = text.partition("Raises:")[2]
            yield text


CLIENTS = {"cli", "qgis"}
"""Rooms that speak of options: the command line, and what runs it."""


def library() -> list[Path]:
    found = [path for path in sorted(PACKAGE.rglob("*.py")) if path.relative_to(PACKAGE).parts[0] not in CLIENTS]
    assert len(found) > 100
    return found


def test_no_message_of_the_library_speaks_of_options() -> None:
    torchrun = "--nproc-per-node"  # an option of torchrun, which has no other name
    faults = [
        (str(path.relative_to(PACKAGE)), text)
        for path in library()
        for text in said_by(path)
        if OPTION.search(text.replace(torchrun, "")) and not WHOLE.fullmatch(text.strip())
    ]
    assert faults == []


def test_every_option_that_a_message_becomes_exists() -> None:
    """All remedies that library messages name, translated, are options of some command."""
    commands = [group.get_command(click.Context(group), name) for name in COMMANDS]
    options = {w for c in commands if c is not None for p in c.params for w in (*p.opts, *p.secondary_opts)}
    translated = set()
    for path in library():
        for text in said_by(path):
            told = in_options(text)
            if told != text:
                translated |= set(OPTION.findall(told)) - set(OPTION.findall(text))
    assert len(translated) > 12
    assert translated <= options


@pytest.mark.parametrize(
    ("library_says", "shown"),
    [
        ("use align=True or not", "use --align or not"),
        ("say axes='rows,cols,bands' or 'bands,rows,cols'", "say --axes rows,cols,bands or bands,rows,cols"),
        ("use device='cpu' or 'auto'", "use --device cpu or auto"),
        (
            "declare other values with changed= and unchanged=",
            "declare other values with --changed and --unchanged",
        ),
        ("(give root= or set HSI_CD_DATA)", "(give --data-root or set HSI_CD_DATA)"),
        ("use open_dataset('farmland')", "use --dataset farmland"),
        ("make it by predict with shard='2/8'", "make it with hsi-cd predict --shard 2/8"),
        (
            "give the files that predict wrote with shard=, and no others",
            "give the files that hsi-cd predict --shard",
        ),
        ("setting a.b: expected key=value, as a.b=5", "--set a.b: expected key=value, as a.b=5"),
        ("give score=FILE, or leave", "give --score FILE, or leave"),
        ("like=a.tif has 3 x 4", "--like a.tif has 3 x 4"),
        (
            "leave uncertainty= out, or train with members=5",
            "leave --uncertainty out, or train with --set model.members=5",
        ),
        ("declare it with nodata=-9999", "declare it with --nodata -9999"),
        ("declare it with nodata=1e+20", "declare it with --nodata 1e+20"),
        ("declare other values of no data with nodata=", "declare other values of no data with --nodata"),
        ("give labels=, the truth map, too", "give --truth, the truth map, too"),
        ("give the same by split=FILE, or", "give the same by --split FILE, or"),
    ],
)
def test_what_is_shown(library_says: str, shown: str) -> None:
    assert in_options(library_says).startswith(shown.replace("make it with", "make it by"))


@pytest.mark.parametrize(
    "text", ["/data/align=True.tif is damaged", "x.overwrite=Truely", "key=value", "run=3 of 4"]
)
def test_what_is_no_remedy_stays(text: str) -> None:
    assert in_options(text) == text


# --- Each remedy that a message names, done: first in Python, then on the command line ---


def remedy(error: pytest.ExceptionInfo[Exception]) -> dict[str, Any]:
    """The keywords that a message names, as a caller would type them."""
    text = str(error.value)
    return dict.fromkeys(re.findall(r"\b([a-z_]+)=True\b", text), True) | dict(
        re.findall(r"\b([a-z_]+)='([^']*)'", text)
    )


def test_align_and_common_bands(simulated: PairFiles, tmp_path: Path, cli: Any, capsys: Any) -> None:
    with rasterio.open(simulated.t2) as file:
        values, kept = file.read(), file.profile
        tags = [file.tags(i) for i in file.indexes]
    kept |= {"transform": kept["transform"] @ Affine.translation(1, 2), "count": 23, "height": 46, "width": 39}
    with rasterio.open(tmp_path / "t2.tif", "w", **kept) as file:
        file.write(values[1:, 2:, 1:])
        for i, tag in enumerate(tags[1:], start=1):
            file.update_tags(i, **tag)
    dates = (simulated.t1, tmp_path / "t2.tif")
    with pytest.raises(GridError) as told:
        hc.open_pair(*dates)
    assert remedy(told) == {"align": True}
    with pytest.raises(BandError) as more:
        hc.open_pair(*dates, **remedy(told))
    assert remedy(more) == {"common_bands": True}
    assert hc.open_pair(*dates, **remedy(told), **remedy(more)).bands.count == 23
    words = ["detect", "--method", "cva", "--t1", dates[0], "--t2", dates[1], "--output", tmp_path / "c.tif"]
    for option in ("--align", "--common-bands"):
        assert cli(*words) == 2
        assert f"use {option}" in capsys.readouterr().err
        words.append(option)
    assert cli(*words) == 0


def test_axes(tmp_path: Path, cli: Any, capsys: Any) -> None:
    values = np.random.default_rng(0).random((2, 5, 33, 34), dtype=np.float32)
    for i in (0, 1):
        np.save(tmp_path / f"t{i + 1}.npy", values[i])
    dates = (tmp_path / "t1.npy", tmp_path / "t2.npy")
    with pytest.raises(AxesError) as told:
        hc.open_pair(*dates)
    assert set(remedy(told)) == {"axes"}
    assert "'bands,rows,cols'" in str(told.value)
    assert hc.open_pair(*dates, axes="bands,rows,cols").shape == (33, 34)
    words = ["detect", "--method", "cva", "--t1", dates[0], "--t2", dates[1], "--output", tmp_path / "c.tif"]
    assert cli(*words) == 2
    assert re.search(r"say --axes \S+ or .*bands,rows,cols", capsys.readouterr().err)
    assert cli(*words, "--axes", "bands,rows,cols") == 0


def test_keys(tmp_path: Path, cli: Any, capsys: Any) -> None:
    values = np.random.default_rng(0).random((33, 34, 5))
    scipy.io.savemat(tmp_path / "both.mat", {"before": values, "after": values + 0.1})
    both = (tmp_path / "both.mat", tmp_path / "both.mat")
    with pytest.raises(FormatError, match=r"before.*after"):
        hc.open_pair(*both)
    assert hc.open_pair(*both, keys=("before", "after")).shape == (33, 34)
    words = ["detect", "--method", "cva", "--t1", both[0], "--t2", both[1], "--output", tmp_path / "c.tif"]
    assert cli(*words) == 2
    assert "before" in capsys.readouterr().err
    assert cli(*words, "--t1-key", "before", "--t2-key", "after") == 0


def test_resample(simulated: PairFiles, tmp_path: Path, cli: Any, capsys: Any) -> None:
    with rasterio.open(simulated.t1) as file:
        values, kept = file.read(), file.profile | {"count": 1}
    coarse = kept | {"height": 24, "width": 20, "transform": kept["transform"] @ Affine.scale(2)}
    for name, profile, layer in (("a", kept, values[0]), ("b", coarse, values[1, ::2, ::2])):
        with rasterio.open(tmp_path / f"{name}.tif", "w", **profile) as file:
            file.write(layer, 1)
    bands = [tmp_path / "a.tif", tmp_path / "b.tif"]
    with pytest.raises(GridError) as told:
        hc.open_pair(bands, bands)
    assert remedy(told) == {"resample": True}
    assert hc.open_pair(bands, bands, allow_identical=True, **remedy(told)).shape == (48, 40)
    assert cli("info", bands[0], bands[1]) == 0
    words = ["--allow-identical", *[w for date in ("--t1", "--t2") for band in bands for w in (date, band)]]
    assert cli("detect", "--method", "cva", *words, "--output", tmp_path / "c.tif") == 2
    assert "pass --resample" in capsys.readouterr().err
    assert cli("detect", "--method", "cva", *words, "--output", tmp_path / "c.tif", "--resample") == 0


def test_overwrite(simulated: PairFiles, dates: list[str], tmp_path: Path, cli: Any, capsys: Any) -> None:
    target = tmp_path / "c.tif"
    write_text(target, "a")
    with pytest.raises(OutputError) as told:
        write_text(target, "b")
    write_text(target, "b", **remedy(told))
    assert target.read_text() == "b"
    words = ["detect", "--method", "cva", *dates, "--output", target]
    assert cli(*words) == 2
    assert "pass --overwrite" in capsys.readouterr().err
    assert cli(*words, "--overwrite") == 0


def test_drop_constant(simulated: PairFiles, tmp_path: Path, cli: Any, capsys: Any) -> None:
    """The message comes from the measuring, whose words follow the configuration's keys."""
    paths = []
    for date in (simulated.t1, simulated.t2):
        with rasterio.open(date) as file:
            values, kept = file.read(), file.profile
        values[3] = 7
        paths.append(tmp_path / date.name)
        with rasterio.open(paths[-1], "w", **kept) as file:
            file.write(values)
    assert hc.open_pair(*paths).bands.count == open_cube(simulated.t1).bands.count
    pair = hc.open_pair(*paths)
    with pytest.raises(
        BandError, match=r"hsi_cd\.choose_bands\(pair, drop_constant=True\), or the setting bands\."
    ) as told:
        hc.IRMAD().fit(pair)
    chosen = hc.choose_bands(pair, **remedy(told))
    assert chosen.used == tuple(i for i in range(24) if i != 3)
    assert hc.IRMAD().fit(chosen).threshold_ > 0
    labels = hc.open_labels(simulated.truth)
    with pytest.raises(BandError):
        hc.Logistic().fit(pair, labels)
    assert hc.Logistic(settings={"bands.drop_constant": True}).fit(pair, labels).threshold_ > 0
    words = ["detect", "--method", "irmad", "--t1", paths[0], "--t2", paths[1], "--output", tmp_path / "c.tif"]
    assert cli(*words) == 2
    err = capsys.readouterr().err
    assert err.endswith("a constant band cannot be standardised; leave such bands out with --drop constant\n")
    assert cli(*words, "--drop", "constant") == 0


def test_uncertainty_and_refit(
    simulated: PairFiles, dates: list[str], trained: Path, tmp_path: Path, cli: Any, capsys: Any
) -> None:
    """A method that is no ensemble: what is to be left out is left out, and there is a map."""
    pair = hc.open_pair(simulated.t1, simulated.t2)
    fitted = hc.CVA().fit(pair)
    fitted.save(tmp_path / "cva.pt")
    with pytest.raises(CheckpointError, match="leave uncertainty= out"):
        fitted.predict(pair).write(tmp_path / "c.tif", uncertainty=tmp_path / "u.tif")
    with pytest.raises(CheckpointError, match="leave refit=True out"):
        fitted.predict(pair, refit=True)
    fitted.predict(pair).write(tmp_path / "c.tif")
    words = ["predict", "--checkpoint", tmp_path / "cva.pt", *dates, "--output", tmp_path / "d.tif"]
    for more in (["--uncertainty", tmp_path / "u.tif"], ["--refit-statistics"]):
        assert cli(*words, *more) == 2
        assert f"leave {more[0]} out, or" in capsys.readouterr().err
    assert cli(*words) == 0


@pytest.mark.slow
def test_members(simulated: PairFiles, dates: list[str], tmp_path: Path, cli: Any, capsys: Any) -> None:
    """One network has no uncertainty, several have."""
    words = ["train", *dates, "--truth", simulated.truth, "--device", "cpu", *cli.settings(model__members=1)]
    assert cli(*words, "--run", tmp_path / "one") == 0
    pair = hc.open_pair(simulated.t1, simulated.t2)
    with pytest.raises(CheckpointError, match=r"or train with members=5$"):
        hc.load(tmp_path / "one" / "best.pt").predict(pair).write(
            tmp_path / "c.tif", uncertainty=tmp_path / "u.tif"
        )
    maps = ["--output", tmp_path / "c.tif", "--uncertainty", tmp_path / "u.tif"]
    assert cli("predict", "--checkpoint", tmp_path / "one" / "best.pt", *dates, *maps) == 2
    told = re.search(r"or train with (--set \S+)$", capsys.readouterr().err.strip())
    assert told is not None
    assert cli(*words, "--run", tmp_path / "five", *told[1].split()) == 0
    assert cli("predict", "--checkpoint", tmp_path / "five" / "best.pt", *dates, *maps) == 0


def test_another_method_where_nothing_is_certain(tmp_path: Path, cli: Any, capsys: Any) -> None:
    values = np.random.default_rng(0).random((2, 6, 24, 20), dtype=np.float32)
    for i in (0, 1):
        np.save(tmp_path / f"t{i + 1}.npy", values[i])
    pair = hc.open_pair(*values)
    with pytest.raises(LabelError, match=r"use hsi_cd\.detect\(pair, method='auto'\), or labels"):
        hc.SelfTrained(device="cpu").fit(pair)
    assert hc.detect(pair, method="auto").change.shape == (24, 20)
    words = ["--t1", tmp_path / "t1.npy", "--t2", tmp_path / "t2.npy", "--axes", "bands,rows,cols"]
    words += ["--output", tmp_path / "c.tif"]
    assert cli("detect", "--method", "self-trained", *words) == 2
    told = re.search(r"use hsi-cd (detect --method auto), or labels", capsys.readouterr().err)
    assert told is not None
    assert cli(*told[1].split(), *words) == 0


def test_labels_beside_a_split(simulated: PairFiles, tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text("index\n5\n")
    with pytest.raises(FormatError, match="give labels=, the truth map, too"):
        hc.open_split(tmp_path / "s.csv")
    assert hc.open_split(tmp_path / "s.csv", labels=simulated.truth).train.tolist() == [5]


@pytest.mark.slow
def test_a_warning_names_options_too(simulated: PairFiles, tmp_path: Path, cli: Any, caplog: Any) -> None:
    with rasterio.open(simulated.truth) as file:
        values, kept = file.read(1) + 1, file.profile
    with rasterio.open(tmp_path / "truth.tif", "w", **kept | {"nodata": None}) as file:
        file.write(values, 1)
    with caplog.at_level("WARNING"):
        labels = hc.open_labels(tmp_path / "truth.tif")
    assert caplog.messages[-1].endswith("declare it with changed= and unchanged=")
    turned = hc.open_labels(tmp_path / "truth.tif", changed=1, unchanged=2)
    assert turned.counts()[:2] == labels.counts()[1::-1]
    words = ["split", "--truth", tmp_path / "truth.tif", "--output", tmp_path / "s.npz"]
    done = cli.process(*words)
    assert done.returncode == 0
    assert done.stderr.startswith("WARNING: truth.tif is read as 1 unchanged, 2 changed")
    assert done.stderr.endswith("the other way: declare it with --changed and --unchanged\n")
    quiet = cli.process(*words, "--overwrite", "--changed", 1, "--unchanged", 2)
    assert (quiet.returncode, quiet.stderr) == (0, "")


def test_drop_partly_empty(simulated: PairFiles, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    t1, t2 = (open_cube(path).read() for path in (simulated.t1, simulated.t2))
    t1[3, :, :20] = np.nan
    pair = hc.open_pair(t1, t2)
    hc.measure(pair).valid_spectra()
    (message,) = [record.getMessage() for record in caplog.records if "no data in the map" in record.getMessage()]
    assert in_options(message).endswith("; leave such bands out with --drop partly-empty")
    (name,) = re.findall(r"choose_bands\(pair, (\w+)=True\)", message)
    chosen = hc.choose_bands(pair, **{name: True})
    assert chosen.used == tuple(i for i in range(24) if i != 3)
    assert hc.measure(chosen).valid_spectra().all()
