import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from hsi_cd.datasets import CATALOGUE, dataset_files, describe, find_entry, open_dataset, open_pair
from hsi_cd.datasets.entries import Counts, SceneEntry, TruthFile, TruthMasks
from hsi_cd.errors import FormatError, GridError, LabelError, MissingInputError, UnknownNameError


def truth_values(entry: SceneEntry, truth: TruthFile) -> np.ndarray:
    """A truth map with the counts of the entry, in the encoding of the file."""
    assert entry.counts is not None
    scheme = truth.scheme
    kinds = np.resize(np.array(scheme.changed), entry.counts.changed)
    parts = [np.full(entry.counts.unchanged, scheme.unchanged[0]), kinds]
    if entry.counts.unlabelled:
        parts.append(np.full(entry.counts.unlabelled, scheme.ignore[0]))
    return np.concatenate(parts).reshape(entry.rows, entry.cols).astype(np.uint8)


def make_mat_scene(folder: Path, entry: SceneEntry, *, packing: int, truth: int, name: int = 0) -> None:
    """The files of one packing, with cubes of ones and twos."""
    files = entry.file_sets[packing]
    variables: dict[str, dict[str, np.ndarray]] = {}
    for value, cube in enumerate((files.t1, files.t2), start=1):
        pixels = np.full(entry.shape, value, np.uint8)
        variables.setdefault(cube.names[0], {})[cube.key or "anything"] = pixels
    chosen = files.truths[truth]
    assert isinstance(chosen, TruthFile)
    variables.setdefault(chosen.names[name], {})[chosen.key or "gt"] = truth_values(entry, chosen)
    folder.mkdir(parents=True)
    for file, arrays in variables.items():
        # v5 arrays of MATLAB are stored column by column, and small when compressed.
        savemat(folder / file, arrays, do_compression=True)


PACKINGS = [
    (entry.name, p, t, n)
    for entry in CATALOGUE.values()
    for p, files in enumerate(entry.file_sets)
    for t, truth in enumerate(files.truths)
    if isinstance(truth, TruthFile) and truth.names[0].endswith(".mat")
    for n in range(len(truth.names))
]


@pytest.mark.parametrize(("name", "packing", "truth", "file"), PACKINGS)
def test_every_packing_opens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, packing: int, truth: int, file: int
) -> None:
    # Two bands instead of hundreds: the whole cubes take half a minute to write.
    entry = dataclasses.replace(CATALOGUE[name], bands=2)
    monkeypatch.setitem(CATALOGUE, name, entry)
    make_mat_scene(tmp_path / name, entry, packing=packing, truth=truth, name=file)
    pair, labels = open_dataset(name, tmp_path)
    assert (pair.name, pair.shape, pair.t1.bands.count) == (name, (entry.rows, entry.cols), entry.bands)
    assert Counts(*labels.counts()) == entry.counts
    assert pair.t1.read(slice(0, 1)).max() == 1 and pair.t2.read(slice(0, 1)).min() == 2  # the order of the dates
    assert describe(tmp_path, name)[0].files.status == "complete"


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("taizhou", (17_163, 4_227, 138_610)),
        ("rennes", (185_925, 4_932, 0)),
        ("farmland", (44_723, 18_277, 0)),
    ],
)
def test_scenes_on_disk_open(shared: Path, name: str, counts: tuple[int, int, int]) -> None:
    pair, labels = open_dataset(name, shared / "scenes")
    assert labels.counts() == counts
    assert pair.read(slice(0, 2))[1].shape == (pair.t2.bands.count, 2, pair.shape[1])


def test_the_catalogue_is_consistent() -> None:
    assert len(CATALOGUE) == 12
    for name, entry in CATALOGUE.items():
        assert name == entry.name and entry.published and entry.file_sets
        if entry.counts:
            total = entry.counts.unchanged + entry.counts.changed + entry.counts.unlabelled
            assert total == entry.rows * entry.cols, name
        assert all(files.truths for files in entry.file_sets)


@pytest.mark.parametrize(
    ("given", "name"),
    [("Farmland", "farmland"), ("YANCHENG", "farmland"), ("bay-area", "bayarea"), ("Santa_Barbara", "barbara"),
     ("sa", "hermiston"), ("CITIUS", "hermiston390"), ("patterson ca", "bayarea")],
)  # fmt: skip
def test_names_and_aliases(given: str, name: str) -> None:
    assert find_entry(given).name == name


def test_wrong_and_shared_names_list_the_right_ones() -> None:
    with pytest.raises(UnknownNameError, match=r"no dataset 'hermistn': did you mean 'hermiston'\?.*taizhou"):
        find_entry("hermistn")
    with pytest.raises(UnknownNameError, match=r"say farmland \(450 x 140 x 155\) or farmland420 \(420"):
        find_entry("China")


def test_folders_by_alias_and_case_and_files_by_case(tmp_path: Path) -> None:
    make_mat_scene(tmp_path / "Benton_County", CATALOGUE["irrigated"], packing=0, truth=0)
    (tmp_path / "Benton_County" / "PreImg_2004.mat").rename(tmp_path / "Benton_County" / "preimg_2004.MAT")
    pair, _ = open_dataset("irrigated", tmp_path)
    assert pair.t1.name == "preimg_2004.MAT"


def test_namesakes_are_told_apart_by_shape(tmp_path: Path) -> None:
    make_mat_scene(tmp_path / "farmland420", CATALOGUE["farmland420"], packing=1, truth=0)
    (tmp_path / "farmland").mkdir()
    for old, new, key in (("China1", "Farm1", "imgh"), ("China2", "Farm2", "imghl")):
        savemat(tmp_path / f"farmland/{new}.mat", {key: np.zeros((420, 140, 154), np.uint8)}, do_compression=True)
        assert (tmp_path / f"farmland420/{old}.mat").exists()
    with pytest.raises(
        GridError, match=r"420 x 140 x 154.*farmland has 450 x 140 x 155.*open_dataset\('farmland420'\)"
    ):
        open_pair("farmland", tmp_path)


@pytest.mark.parametrize("order", [(2, 0, 1), (2, 1, 0), (1, 0, 2)])
def test_axes_in_another_order_are_found_by_the_catalogue(tmp_path: Path, order: tuple[int, int, int]) -> None:
    make_mat_scene(tmp_path / "irrigated", CATALOGUE["irrigated"], packing=0, truth=0)
    values = np.zeros((225, 180, 159), np.uint8)
    values[3, 5, 7] = 9
    path = tmp_path / "irrigated/PostImg_2007.mat"
    savemat(path, {"x": values.transpose(order)}, do_compression=True)
    cube = open_pair("irrigated", tmp_path).t2
    assert np.argwhere(cube.read() == 9).tolist() == [[7, 3, 5]]


def test_other_shapes_are_refused(tmp_path: Path) -> None:
    make_mat_scene(tmp_path / "irrigated", CATALOGUE["irrigated"], packing=0, truth=0)
    path = tmp_path / "irrigated/PostImg_2007.mat"
    savemat(path, {"x": np.zeros((9, 9, 9), np.uint8)})
    with pytest.raises(GridError, match=r"PostImg_2007\.mat has 9 x 9 x 9.*open_pair and open_labels"):
        open_pair("irrigated", tmp_path)


def test_swapped_and_other_counts_are_refused(tmp_path: Path) -> None:
    entry = CATALOGUE["irrigated"]
    make_mat_scene(tmp_path / "irrigated", entry, packing=0, truth=0)
    path = tmp_path / "irrigated/Reference_Map_Binary.mat"
    truth = entry.file_sets[0].truths[0]
    assert isinstance(truth, TruthFile)
    values = truth_values(entry, truth)
    savemat(path, {"Ref_map_binary": 1 - values})
    with pytest.raises(LabelError, match="changed and unchanged are swapped"):
        open_dataset("irrigated", tmp_path)
    values[0, 0] ^= 1
    savemat(path, {"Ref_map_binary": values})
    with pytest.raises(LabelError, match=r"9,922 changed, 30,578 unchanged.*expected 9,921 changed"):
        open_dataset("irrigated", tmp_path)
    values[0, 0] = 9
    savemat(path, {"Ref_map_binary": values})
    with pytest.raises(LabelError, match="unexpected label values 9"):
        open_dataset("irrigated", tmp_path)
    savemat(path, {"Ref_map_binary": values[:-1]})
    with pytest.raises(LabelError):
        open_dataset("irrigated", tmp_path)
    savemat(path, {"Ref_map_binary": np.eye(224, 180, dtype=np.uint8)})
    with pytest.raises(GridError, match="224 x 180 pixels but the scene has 225 x 180"):
        open_dataset("irrigated", tmp_path)
    savemat(path, {"other": values})
    with pytest.raises(FormatError, match=r"no variable 'Ref_map_binary': it holds other \(225 x 180"):
        open_dataset("irrigated", tmp_path)
    open_pair("irrigated", tmp_path)  # predicting never reads labels


@pytest.mark.parametrize("name", ["irrigated", "wetland", "hermiston390"])
def test_a_truth_that_tells_kinds_is_read_where_kinds_are_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    entry = dataclasses.replace(CATALOGUE[name], bands=2)
    monkeypatch.setitem(CATALOGUE, name, entry)
    make_mat_scene(tmp_path / name, entry, packing=0, truth=0)
    told = next(t for t in entry.file_sets[0].truths if isinstance(t, TruthFile) and t.scheme.has_kinds)
    savemat(tmp_path / name / told.names[0], {told.key: truth_values(entry, told)}, do_compression=True)
    labels, with_kinds = (open_dataset(name, tmp_path, kinds=kinds)[1] for kinds in (False, True))
    np.testing.assert_array_equal(with_kinds.values, labels.values)
    assert with_kinds.kind_table is not None and with_kinds.kind_table.stored == told.scheme.changed
    assert dataset_files(name, tmp_path, kinds=True)[-1] == tmp_path / name / told.names[0]
    if len(entry.file_sets[0].truths) > 1:  # the binary truth lies beside, and is read as ever
        assert labels.kind_table is None
        assert dataset_files(name, tmp_path)[-1] != dataset_files(name, tmp_path, kinds=True)[-1]


def test_missing_scenes_say_what_is_expected_and_where_from(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match=r"no folder .*river; expected in .*river_before\.mat.*crabwq"):
        open_dataset("river", tmp_path)
    with pytest.raises(MissingInputError, match=r"data root .* does not exist.*root="):
        open_pair("river", tmp_path / "nothing")
    make_mat_scene(tmp_path / "irrigated", CATALOGUE["irrigated"], packing=0, truth=0)
    (tmp_path / "irrigated/Reference_Map_Binary.mat").unlink()
    assert describe(tmp_path, "irrigated")[0].files.status == "partial"
    with pytest.raises(MissingInputError, match=r"lacks Reference_Map_Binary\.mat .* or Reference_Map_Multiclass"):
        open_dataset("irrigated", tmp_path)
    open_pair("irrigated", tmp_path)
    (tmp_path / "irrigated/PreImg_2004.mat").unlink()
    with pytest.raises(MissingInputError, match=r"lacks PreImg_2004\.mat") as caught:
        open_pair("irrigated", tmp_path)
    assert "\n" not in str(caught.value)


def test_an_envi_date_without_header_is_missing(tmp_path: Path, shared: Path) -> None:
    shutil.copytree(shared / "scenes/taizhou", tmp_path / "taizhou")
    (tmp_path / "taizhou").chmod(0o755)
    (tmp_path / "taizhou/2003TM.HDR").unlink()
    with pytest.raises(MissingInputError, match=r"lacks 2003TM \(with its \.hdr\)"):
        open_dataset("taizhou", tmp_path)


def test_masks_of_the_landsat_scenes() -> None:
    for name in ("taizhou", "nanjing"):
        assert CATALOGUE[name].file_sets[0].truths == (TruthMasks("change.bmp", "unchanged.bmp"),)


def test_describe_opens_nothing_and_needs_no_root(tmp_path: Path) -> None:
    states = describe(tmp_path / "nothing")
    assert [state.entry.name for state in states] == list(CATALOGUE)
    assert {state.files.status for state in states} == {"absent"}
    (tmp_path / "river").mkdir()
    (tmp_path / "river/groundtruth.mat").write_text("not read")
    files = describe(tmp_path, "river")[0].files
    assert (files.status, files.present) == ("partial", ("groundtruth.mat",))
