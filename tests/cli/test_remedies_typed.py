"""What a message suggests is typed as it stands: the message is provoked, its remedy read out of it and run."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio.raw
import pytest
import rasterio
import torch
from affine import Affine

from hsi_cd.cli.remedies import for_command

Capture = pytest.CaptureFixture[str]
ROWS, COLS, BANDS = 24, 20, 5
PLACE = Affine(30, 0, 400000, 0, -30, 5800000)
PAIR = ["--t1", "t1.tif", "--t2", "t2.tif"]
CVA = ["detect", "--method", "cva"]
OPTION = re.compile(r"--[a-z][a-z0-9-]*")


def write(name: str, values: np.ndarray, *, waves: list[float] | None = None, **profile: Any) -> None:
    count, rows, cols = values.shape
    kept = {"crs": "EPSG:32633", "transform": PLACE} | profile
    size = {"count": count, "height": rows, "width": cols, "dtype": values.dtype}
    with rasterio.open(
        name, "w", driver="GTiff", **size, **{k: v for k, v in kept.items() if v is not None}
    ) as file:
        file.write(values)
        for band, wave in enumerate(waves or (), start=1):
            file.update_tags(band, wavelength=wave, wavelength_units="nm")


@pytest.fixture
def values(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[np.ndarray, np.ndarray]:
    """Two dates with a changed corner, as t1.tif, t2.tif and truth.tif in the current folder."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    ground = rng.random((BANDS, 3))[:, :, None, None] * rng.random((3, ROWS, COLS))
    t1 = (ground.sum(axis=1) * 1000 + 500).astype(np.float32)
    t2 = (t1 + rng.normal(0, 8, t1.shape)).astype(np.float32)
    t2[:, 4:12, 3:12] = t2[::-1, 4:12, 3:12] + 400
    truth = np.zeros((1, ROWS, COLS), np.uint8)
    truth[:, 4:12, 3:12] = 1
    waves = [500.0, 600.0, 700.0, 800.0, 900.0]
    write("t1.tif", t1, waves=waves)
    write("t2.tif", t2, waves=waves)
    write("truth.tif", truth)
    return t1, t2


def one_value(t1: np.ndarray, t2: np.ndarray) -> None:
    t1[2] = 777
    write("t1.tif", t1)


def no_value(t1: np.ndarray, t2: np.ndarray) -> None:
    t2[1] = np.nan
    write("t2.tif", t2)


def moved(t1: np.ndarray, t2: np.ndarray) -> None:
    write("t2.tif", t2, transform=PLACE @ Affine.translation(1, 0))


def fewer_bands(t1: np.ndarray, t2: np.ndarray) -> None:
    write("t2.tif", t2[1:], waves=[600.0, 700.0, 800.0, 900.0])


def no_waves(t1: np.ndarray, t2: np.ndarray) -> None:
    write("t1.tif", t1)
    write("t2.tif", t2)


def no_place(t1: np.ndarray, t2: np.ndarray) -> None:
    Path("t1.tif").rename("placed.tif")
    for name, date in (("t1.tif", t1), ("t2.tif", t2)):
        write(name, date, crs=None, transform=Affine.scale(2))


def local(t1: np.ndarray, t2: np.ndarray) -> None:
    for name, date in (("t1.tif", t1), ("t2.tif", t2)):
        write(name, date, crs='LOCAL_CS["site",UNIT["metre",1]]')


def two_sizes(t1: np.ndarray, t2: np.ndarray) -> None:
    for date, cube in (("a", t1), ("b", t2)):
        Path(date).mkdir()
        write(f"{date}/B1.tif", cube[:1])
        write(f"{date}/B2.tif", cube[1:2, ::2, ::2], transform=PLACE @ Affine.scale(2))


def bare(t1: np.ndarray, t2: np.ndarray) -> None:
    for name, date in (("a.npy", t1), ("b.npy", t2)):
        np.save(name, date)


def other_values(t1: np.ndarray, t2: np.ndarray) -> None:
    with rasterio.open("truth.tif", "r+") as file:
        file.write(np.where(file.read() == 1, 7, 4).astype(np.uint8))


def there(t1: np.ndarray, t2: np.ndarray) -> None:
    Path("o.tif").write_text("mine")


def nothing(t1: np.ndarray, t2: np.ndarray) -> None:
    pass


def drawn(t1: np.ndarray, t2: np.ndarray) -> None:
    """Points in two layers, of which one has two fields that could tell the class."""
    Path("placed.tif").write_bytes(Path("t1.tif").read_bytes())
    points = [PLACE @ place for place in ((3.5, 4.5), (5.5, 4.5), (12.5, 2.5), (15.5, 2.5))]
    wkb = np.array([b"\1" + np.array([1], "<u4").tobytes() + np.array(p, "<f8").tobytes() for p in points], object)
    yes, no = np.repeat(np.array([["yes", "no"], ["no", "yes"]], object), 2, axis=1)
    for name, layers in (
        ("one.gpkg", {"a": [yes]}),
        ("layers.gpkg", {"a": [yes], "b": [no]}),
        ("fields.gpkg", {"a": [yes, no]}),
    ):
        for layer, columns in layers.items():
            fields = ["a", "b"][: len(columns)]
            kept = {"driver": "GPKG", "geometry_type": "Point", "crs": "EPSG:32633", "append": layer == "b"}
            pyogrio.raw.write(name, wkb, columns, fields, layer=layer, **kept)


def another_grid(t1: np.ndarray, t2: np.ndarray) -> None:
    with rasterio.open("truth.tif") as file:
        values = file.read()
    write("truth.tif", values, transform=PLACE @ Affine.translation(1, 0))
    write("map.tif", values)


def split(*words: str) -> list[str]:
    return ["split", "--protocol", "P2", "--count", "1", "--output", "s.npz", *words]


Prepare = Callable[[np.ndarray, np.ndarray], None]
Case = tuple[Prepare, list[str], str]

APPENDED: dict[str, Case] = {
    "a constant band": (
        one_value,
        [*CVA, *PAIR, "--output", "o.tif"],
        r"leave such bands out with (--drop constant)$",
    ),
    "an empty band": (no_value, [*CVA, *PAIR, "--output", "o.tif"], r"with (--drop constant)$"),
    "grids": (moved, [*CVA, *PAIR, "--output", "o.tif"], r"or use (--align)$"),
    "bands": (fewer_bands, [*CVA, *PAIR, "--output", "o.tif"], r"; use (--common-bands) to keep"),
    "it exists": (there, [*CVA, *PAIR, "--output", "o.tif"], r"pass (--overwrite) or"),
    "pixel sizes": (two_sizes, [*CVA, "--t1", "a", "--t2", "b", "--output", "o.tif"], r"pass (--resample) to"),
    "axes": (
        bare,
        [*CVA, "--t1", "a.npy", "--t2", "b.npy", "--output", "o.tif"],
        r"say (--axes) \S.*or bands,rows,cols$",
    ),
    "no map": (nothing, [*CVA, *PAIR], r"give (--output FILE), or"),
    "a checkpoint alone": (nothing, [*CVA, *PAIR], r"or (--save FILE) alone"),
    "areas of nothing": (
        nothing,
        [*CVA, *PAIR, "--output", "o.tif", "--min-area", "5"],
        r"give (--vector FILE), too",
    ),
    "no place": (
        no_place,
        [*CVA, *PAIR, "--output", "o.tif", "--vector", "r.gpkg"],
        r"of the same pixels as (--like)$",
    ),
    "no truth": (nothing, ["split", "--fraction", "0.1", "--output", "s.npz"], r"give (--truth FILE), or"),
    "label values": (
        other_values,
        ["split", "--fraction", "0.1", "--truth", "truth.tif", "--output", "s.npz"],
        r"with (--changed and --unchanged)$",
    ),
    "labels without a scene": (drawn, split("--truth", "one.gpkg"), r"or a raster of it, by (--like)$"),
    "layers": (
        drawn,
        split("--truth", "layers.gpkg", "--like", "placed.tif"),
        r"'a', 'b'\): name one by (--layer)$",
    ),
    "fields": (
        drawn,
        split("--truth", "fields.gpkg", "--like", "placed.tif"),
        r"name it by (--field); it has 'a'",
    ),
    "a truth's grid": (
        another_grid,
        ["evaluate", "map.tif", "--truth", "truth.tif"],
        r"or say (--align) to resample",
    ),
    "a scene's grid": (
        another_grid,
        ["split", "--fraction", "0.1", "--truth", "truth.tif", "--like", "t1.tif", "--output", "s.npz"],
        r"or say (--align) to resample it$",
    ),
    "bands of a network": (
        nothing,
        ["model", "--set", "prepare.projection=none"],
        r"say how many by (--bands N)$",
    ),
}
"""Files, a command that is refused, and the words of its message that are typed behind it."""

VALUES = {
    "--axes": "bands,rows,cols",
    "--changed": "7",
    "--unchanged": "4",
    "--bands": "5",
    "--save": "c.pt",
    "--like": "placed.tif",
    "--output": "o.tif",
    "--vector": "r.gpkg",
    "--truth": "truth.tif",
    "--layer": "a",
    "--field": "a",
}
"""What a user would give to an option of which a message gives no value, or several to choose from."""


def typed(remedy: str) -> list[str]:
    """The options in the words of a remedy, with the values that these words, or else a user, give."""
    found = []
    for option in OPTION.findall(remedy):
        after = remedy.partition(option)[2].split()
        given = (
            after[0] if after and not after[0].startswith("--") and after[0] not in ("FILE", "N", "and") else None
        )
        value = VALUES.get(option, given)
        found += [option, *([value] if value is not None else [])]
    return found


@pytest.mark.parametrize("case", APPENDED)
def test_options_that_a_message_names(
    cli: Any, values: tuple[np.ndarray, np.ndarray], capsys: Capture, case: str
) -> None:
    prepare, words, remedy = APPENDED[case]
    prepare(*values)
    assert cli(*words) == 2
    said = capsys.readouterr().err.partition(" (see ")[0].strip()
    found = re.search(remedy, said)
    assert found is not None, said
    assert cli(*words, *typed(found[1])) == 0, capsys.readouterr().err


@pytest.mark.parametrize(
    ("prepare", "words", "wrong"),
    [
        (nothing, [*CVA, *PAIR, "--output", "o.png"], "o.png"),
        (nothing, [*CVA, *PAIR, "--output", "o.tif", "--vector", "r.shp"], "r.shp"),
        (local, [*CVA, *PAIR, "--output", "o.tif", "--vector", "r.geojson"], "r.geojson"),
        (nothing, [*CVA, *PAIR, "--save", "c.tif"], "c.tif"),
    ],
)
def test_endings_that_a_message_names(
    cli: Any,
    values: tuple[np.ndarray, np.ndarray],
    capsys: Capture,
    prepare: Prepare,
    words: list[str],
    wrong: str,
) -> None:
    prepare(*values)
    assert cli(*words) == 2
    found = re.search(r"let (?:the|its) name end in (\.[a-z]+)", capsys.readouterr().err)
    assert found is not None
    right = str(Path(wrong).with_suffix(found[1]))
    assert cli(*[right if word == wrong else word for word in words]) == 0
    assert Path(right).is_file()


@pytest.mark.parametrize("prepare", [no_waves])
def test_options_that_a_message_takes_back(
    cli: Any, values: tuple[np.ndarray, np.ndarray], capsys: Capture, prepare: Prepare
) -> None:
    prepare(*values)
    words = [*CVA, *PAIR, "--output", "o.tif"]
    assert cli(*words, "--drop", "water-vapour") == 2
    assert "leave --drop water-vapour out, or" in capsys.readouterr().err
    assert cli(*words) == 0
    assert cli(*CVA, *PAIR, "--save", "c.pt") == 0
    more = ["predict", "--checkpoint", "c.pt", *PAIR, "--output", "p.tif"]
    capsys.readouterr()
    assert cli(*more, "--precision", "bfloat16") == 2
    assert re.search(r"--precision bfloat16 is for networks.*: leave it out", capsys.readouterr().err)
    assert cli(*more) == 0


@pytest.mark.slow
def test_commands_that_a_message_names(cli: Any, values: tuple[np.ndarray, np.ndarray], capsys: Capture) -> None:
    """A method that learns from labels, run folders that are taken, and the shard that is missing."""
    words = [*PAIR, "--set", "split.fraction=0.2"]
    assert cli("detect", "--method", "svm", *PAIR, "--output", "o.tif") == 2
    found = re.search(r"use hsi-cd (train --method svm), or", capsys.readouterr().err)
    assert found is not None
    learn = [*found[1].split(), *words, "--truth", "truth.tif", "--run", "run"]
    assert cli(*learn) == 0
    capsys.readouterr()
    assert cli(*learn) == 2
    found = re.search(r"go on with it by (--resume), or name another by (--run)$", capsys.readouterr().err.strip())
    assert found is not None
    assert cli(*learn, found[1]) == 0
    Path("full").mkdir()
    Path("full/notes.txt").write_text("mine")
    capsys.readouterr()
    assert cli(*learn[:-1], "full") == 2
    said = capsys.readouterr().err
    assert (
        "is not empty: name another by --run" in said and "--resume" not in said
    )  # there is no run to go on with
    Path("run/result.json").unlink()
    assert cli("table", "run") == 2
    assert re.search(r"\(hsi-cd train --resume goes on with it\)", capsys.readouterr().err)
    assert cli(*learn, "--resume") == 0

    assert cli(*CVA, *PAIR, "--save", "c.pt") == 0
    shard = ["predict", "--checkpoint", "c.pt", *PAIR]
    assert cli(*shard, "--shard", "1/2", "--output", "p1.tif") == 0
    capsys.readouterr()
    assert cli("mosaic", "p1.tif", "--output", "o.tif") == 2
    found = re.search(r"make it by hsi-cd (predict) (--shard 2/2)$", capsys.readouterr().err.strip())
    assert found is not None
    assert cli(*shard, *found[2].split(), "--output", "p2.tif") == 0
    assert cli("mosaic", "p1.tif", "p2.tif", "--output", "o.tif") == 0


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_device_that_is_not_there(cli: Any, values: tuple[np.ndarray, np.ndarray], capsys: Capture) -> None:
    """detect takes no --device: what its message says is what it takes."""
    assert cli("detect", "--method", "self-trained", *PAIR, "--output", "o.tif", "--set", "device=cuda") == 2
    assert capsys.readouterr().err.strip().endswith("use --set device=cpu")
    assert cli(*CVA, *PAIR, "--save", "c.pt") == 0
    words = ["predict", "--checkpoint", "c.pt", *PAIR, "--output", "o.tif"]
    assert cli(*words, "--device", "cuda") == 2
    found = re.search(r"use (--device cpu) or auto$", capsys.readouterr().err.strip())
    assert found is not None
    assert cli(*words, *found[1].split()) == 0


def test_all_bands_constant_have_no_remedy_in_leaving_them_out(
    cli: Any, values: tuple[np.ndarray, np.ndarray], capsys: Capture
) -> None:
    write("t1.tif", np.full_like(values[0], 3))
    assert cli(*CVA, *PAIR, "--output", "o.tif", "--drop", "constant") == 2
    said = capsys.readouterr().err
    assert re.search(r"no band of \S+ varies", said) and "--drop" not in said


@pytest.mark.parametrize(
    ("command", "message", "shown"),
    [
        ("detect", "use device='cpu' or 'auto'", "use --set device=cpu"),
        ("train", "use device='cpu' or 'auto'", "use --device cpu or auto"),
        ("predict", "full: use --device cpu, or --set train.batch_size=32", "full: use --device cpu"),
        ("batch", "leave such bands out with --drop constant", "out with the setting bands.drop_constant=true"),
        ("split", "or raise split.fraction", "or raise --fraction"),
        ("train", "leave such bands out with --drop constant", "out with --drop constant"),
    ],
)
def test_each_command_names_what_it_takes(command: str, message: str, shown: str) -> None:
    assert for_command(message, command).endswith(shown)
