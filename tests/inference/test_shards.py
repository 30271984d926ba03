"""Parts of a scene mapped one by one and joined: the bytes of the map that one process writes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio.raw
import pytest
import rasterio
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.rpc import RPC

from hsi_cd.errors import FormatError, GridError, HsiCdError, OutputError, ShardError
from hsi_cd.inference.mapping import MapOptions, write_maps
from hsi_cd.io import MapFiles, RegionChoice, join_shards, read_shards
from hsi_cd.io.raster import quiet_georeference
from hsi_cd.scene import Bands, Grid, ScenePair, Shard, cube_from_array

UTM = CRS.from_epsg(32651)
PLACE = Affine(30.1, 0, 200000.7, 0, -29.3, 3600000.3)
TURNED = Affine.translation(4e5 / 3, 5e6 / 7) @ Affine.rotation(17.3) @ Affine.scale(10 / 3, -10 / 3)
OWN_CRS = CRS.from_proj4("+proj=lcc +lat_1=49.1 +lat_2=44 +lat_0=46.5 +lon_0=3 +x_0=7e5 +y_0=66e5 +ellps=GRS80")
ESRI_CRS = CRS.from_wkt(
    'PROJCS["ETRS_1989_UTM_Zone_32N_mine",GEOGCS["GCS_ETRS_1989",DATUM["D_ETRS_1989",SPHEROID["GRS_1980",6378137.0,'
    '298.257222101]],PRIMEM["Greenwich",0.0],UNIT["Degree",0.0174532925199433]],PROJECTION["Transverse_Mercator"],'
    'PARAMETER["False_Easting",500000.0],PARAMETER["False_Northing",0.0],PARAMETER["Central_Meridian",9.0],'
    'PARAMETER["Scale_Factor",0.9996],PARAMETER["Latitude_Of_Origin",0.0],UNIT["Meter",1.0]]'
)
THIRDS = [1 / 3 + i / 7 for i in range(20)]
SENSOR = RPC(100.1, 50, 48.5 + 1 / 3, 0.1, THIRDS, THIRDS, 15.2, 10, 11.5, 0.2, THIRDS, THIRDS, 10, 10)
POINTS = tuple(GroundControlPoint(r, c, 10 + c / 7, 50 - r / 3) for r, c in ((0, 0), (0, 9.5), (33.5, 0), (30, 9)))
WGS84 = CRS.from_epsg(4326)

GRIDS = {
    "none": {},
    "placed": {"crs": UTM, "transform": PLACE},
    "turned": {"crs": OWN_CRS, "transform": TURNED},
    "esri": {"crs": ESRI_CRS, "transform": PLACE},
    "no crs": {"transform": PLACE},
    "points": {"gcps": POINTS, "gcp_crs": WGS84},
    "sensor": {"rpcs": SENSOR},
    "both": {"crs": WGS84, "transform": Affine(1 / 3600, 0, 11.1, 0, -1 / 3600, 48.3), "rpcs": SENSOR},
}


class WhereItStands:
    """Scores that tell where in its window a pixel stood, so that bands cut otherwise are seen."""

    radius = 2
    threshold = 0.35
    unit = "probability"
    members = 2
    bands = Bands(3)

    def probability(self, score: NDArray[np.float32]) -> NDArray[np.float32]:
        return score

    def score(self, t1: NDArray[np.float32], t2: NDArray[np.float32]) -> NDArray[np.float32]:
        difference = np.abs(t1 - t2).mean(axis=0)[2:-2, 2:-2]
        place = np.arange(len(difference), dtype=np.float32)[:, None] / 1e5 + len(difference) / np.float32(1e6)
        scores: NDArray[np.float32] = difference + place
        return scores

    def score_and_uncertainty(self, t1: NDArray[np.float32], t2: NDArray[np.float32]) -> NDArray[np.float32]:
        score = self.score(t1, t2)
        return np.stack([score, score / 10])

    def parameters(self) -> int:
        return 0

    def state(self) -> dict[str, Any]:
        return {}


def scene(rows: int, cols: int, kind: str = "placed", *, seed: int = 0) -> ScenePair:
    values = np.random.default_rng(seed).random((2, 3, rows, cols), dtype=np.float32)
    values[0, 1, rows // 3, : cols // 3] = np.nan
    grid = Grid(rows, cols, **GRIDS[kind])
    first, second = (cube_from_array(date, grid=grid) for date in values)
    return ScenePair(replace(first, acquired="2004-05-01"), second, name="fields & <woods>")


def names(folder: Path, which: object = "") -> dict[str, Path]:
    return {name: folder / f"{name}{which}.tif" for name in ("change", "score", "uncertainty")}


def write_shards(
    folder: Path, pair: ScenePair, count: int, *, overwrite: bool = False, **options: Any
) -> list[Path]:
    """All shards of all three maps."""
    files: list[Path] = []
    for number in range(1, count + 1):
        own = names(folder, f"-{number}-of-{count}")
        how = MapOptions(shard=Shard(number, count), checkpoint="ab12", **options)
        write_maps(WhereItStands(), pair, MapFiles(**own, overwrite=overwrite), how)
        files += own.values()
    return files


def assert_same_bytes(ours: Iterable[Path], theirs: Iterable[Path]) -> None:
    for a, b in zip(ours, theirs, strict=True):
        assert a.read_bytes() == b.read_bytes(), (a, b)


@pytest.mark.parametrize(("kind", "cog"), [*((kind, False) for kind in GRIDS), ("placed", True), ("points", True)])
@pytest.mark.quick("turned-False", "points-True")
def test_eight_shards_are_one_map_byte_for_byte(tmp_path: Path, kind: str, cog: bool) -> None:
    pair = scene(600, 21, kind)
    write_maps(WhereItStands(), pair, MapFiles(**names(tmp_path), cog=cog), MapOptions(checkpoint="ab12"))
    files = write_shards(tmp_path, pair, 8)
    shards = read_shards(list(reversed(files)))
    join_shards(shards, MapFiles(**names(tmp_path, "-joined"), cog=cog))
    assert_same_bytes(names(tmp_path).values(), names(tmp_path, "-joined").values())
    assert max(len(values) for name in shards.files for _, values in shards.blocks(name)) <= 256


@settings(max_examples=settings.default.max_examples // 5)
@given(data=st.data(), rows=st.integers(1, 200), cols=st.integers(1, 9))
def test_any_number_of_shards_of_any_scene(tmp_path_factory, data: st.DataObject, rows: int, cols: int) -> None:
    count = data.draw(st.integers(1, min(rows, 7)) | st.just(min(rows, 12)))
    memory = data.draw(st.sampled_from([None, 1]))  # bands of 64 rows, or of 8
    tmp_path = tmp_path_factory.mktemp("shards")
    pair = scene(rows, cols)
    how = MapOptions(checkpoint="ab12", memory=memory)
    write_maps(WhereItStands(), pair, MapFiles(**names(tmp_path)), how)
    files = write_shards(tmp_path, pair, count, memory=memory)
    join_shards(read_shards(data.draw(st.permutations(files))), MapFiles(**names(tmp_path, "-joined")))
    assert_same_bytes(names(tmp_path).values(), names(tmp_path, "-joined").values())


def test_each_shard_lies_at_its_place_and_says_what_it_is(tmp_path: Path) -> None:
    pair = scene(450, 12, "turned")
    write_maps(WhereItStands(), pair, MapFiles(**names(tmp_path)), MapOptions(checkpoint="ab12"))
    files = write_shards(tmp_path, pair, 3)
    with rasterio.open(tmp_path / "score.tif") as whole:
        for number, rows in ((1, (0, 128)), (2, (128, 256)), (3, (256, 450))):
            with rasterio.open(tmp_path / f"score-{number}-of-3.tif") as part:
                assert part.crs == whole.crs and part.shape == (rows[1] - rows[0], 12)
                for place in ((0.5, 0.5), (11.5, part.height - 0.5)):
                    there = whole.transform @ (place[0], place[1] + rows[0])
                    assert part.transform @ place == pytest.approx(there, abs=1e-6)
                np.testing.assert_array_equal(part.read(1), whole.read(1)[slice(*rows)])
                tags = part.tags()
                assert (tags["SHARD"], tags["SHARD_ROWS"]) == (f"{number}/3", f"{rows[0]}:{rows[1]}")
                assert (tags["CHECKPOINT_SHA256"], float(tags["THRESHOLD"])) == ("ab12", 0.35)
                assert tags["SOFTWARE"].startswith("hsi-cd ")
    assert len(files) == 9


def test_control_points_and_sensor_models_stay_on_the_ground(tmp_path: Path) -> None:
    for kind in ("points", "sensor"):
        write_shards(tmp_path, scene(200, 12, kind), 2, overwrite=True)
        with quiet_georeference(), rasterio.open(tmp_path / "change-2-of-2.tif") as part:
            if kind == "points":
                found = [(p.row + 64, p.col, p.x, p.y) for p in part.gcps[0]]
                assert found == [(p.row, p.col, p.x, p.y) for p in POINTS]
            else:
                assert part.rpcs.line_off == pytest.approx(SENSOR.line_off - 64)
                assert part.rpcs.samp_off == pytest.approx(SENSOR.samp_off)


def test_polygons_of_shards_are_those_of_the_whole(tmp_path: Path) -> None:
    pair = scene(200, 40)
    whole, joined = tmp_path / "whole.geojson", tmp_path / "joined.geojson"
    files_of_all = MapFiles(tmp_path / "c.tif", vector=whole, regions=RegionChoice(3000))
    write_maps(WhereItStands(), pair, files_of_all, MapOptions(threshold=0.4))
    files = [path for path in write_shards(tmp_path, pair, 3, threshold=0.4) if "uncertainty" not in path.name]
    # The scores are needed for the polygons' probabilities, not asked for as a file.
    join_shards(read_shards(files), MapFiles(tmp_path / "joined.tif", vector=joined, regions=RegionChoice(3000)))
    assert joined.read_bytes() == whole.read_bytes()
    assert len(pyogrio.raw.read(joined)[2]) > 3


def test_polygons_of_scores_that_are_no_probabilities(tmp_path: Path) -> None:
    class Magnitude(WhereItStands):
        unit = "score"

        def probability(self, score: NDArray[np.float32]) -> NDArray[np.float32]:
            return score / 2

    pair, files = scene(150, 20), []
    for number in (1, 2):
        own = {"change": tmp_path / f"c{number}.tif", "score": tmp_path / f"s{number}.tif"}
        write_maps(Magnitude(), pair, MapFiles(**own), MapOptions(shard=Shard(number, 2)))
        files += own.values()
    output = MapFiles(tmp_path / "c.tif", vector=tmp_path / "v.geojson")
    with pytest.raises(ShardError, match="give its checkpoint as checkpoint="):
        join_shards(read_shards(files), output)
    join_shards(read_shards(files), output, probability=Magnitude().probability)
    write_maps(Magnitude(), pair, MapFiles(tmp_path / "c0.tif", vector=tmp_path / "v0.geojson"))
    assert (tmp_path / "v.geojson").read_bytes() == (tmp_path / "v0.geojson").read_bytes()


def drawn(folder: Path, pair: ScenePair, number: int, count: int, **options: Any) -> Path:
    """One shard of the change map."""
    path = folder / f"{len(list(folder.iterdir()))}.tif"
    write_maps(WhereItStands(), pair, MapFiles(path), MapOptions(shard=Shard(number, count), **options))
    return path


def drawn_otherwise(folder: Path, pair: ScenePair, *, date: str, row: int) -> Path:
    """The second shard of a scene in which one row of one date has other values."""
    cube = getattr(pair, date)
    values = cube.read(slice(0, 100), slice(0, 20)).copy()
    values[2, row, 7] += 0.125
    other = replace(cube_from_array(values, grid=cube.grid), acquired=cube.acquired)
    return drawn(folder, replace(pair, **{date: other}), 2, 2)


MIXTURES: dict[str, tuple[Any, type[HsiCdError], str]] = {
    "checkpoint": (
        lambda f, p: drawn(f, p, 2, 2, checkpoint="cd34"),
        ShardError,
        "checkpoint (none and cd34)",
    ),
    "threshold": (lambda f, p: drawn(f, p, 2, 2, threshold=0.5), ShardError, "threshold (0.35 and 0.5)"),
    "number": (lambda f, p: drawn(f, p, 2, 3), ShardError, "shard 1/2 but"),
    "scene": (lambda f, p: drawn(f, replace(p, name="sea"), 2, 2), ShardError, "scene (fields & <woods> and sea)"),
    "date": (
        lambda f, p: drawn(f, replace(p, t1=replace(p.t1, acquired="2005")), 2, 2),
        ShardError,
        "date of t1 (2004-05-01 and 2005)",
    ),
    "place": (lambda f, p: drawn(f, p, 2, 2, grid=replace(p.grid, transform=TURNED)), GridError, "pixels"),
    "a little": (
        lambda f, p: drawn(f, p, 2, 2, grid=replace(p.grid, transform=PLACE @ Affine.translation(1e-5, 0))),
        ShardError,
        "georeferenced differently",
    ),
    "size": (lambda f, p: drawn(f, scene(100, 21), 2, 2), GridError, "100 x 21"),
    "pixels": (lambda f, p: drawn(f, scene(100, 20, seed=1), 2, 2), ShardError, "other files"),
    **{
        f"row {row} of {date}": (partial(drawn_otherwise, date=date, row=row), ShardError, "other files")
        for date in ("t1", "t2")
        for row in (0, 50, 99)
    },
    "double": (lambda f, p: drawn(f, p, 1, 2), ShardError, "both shard 1/2 of the change map"),
}


@pytest.mark.parametrize("kind", MIXTURES)
@pytest.mark.quick(
    "checkpoint",
    "threshold",
    "number",
    "scene",
    "date",
    "place",
    "pixels",
    "row 50 of t1",
    "row 99 of t2",
    "double",
)
def test_mixtures_are_refused(tmp_path: Path, kind: str) -> None:
    make, error, words = MIXTURES[kind]
    pair = scene(100, 20)
    files = [drawn(tmp_path, pair, 1, 2), make(tmp_path, pair)]
    with pytest.raises(error) as caught:
        read_shards(files)
    assert words in str(caught.value) and str(files[0]) in str(caught.value) and str(files[1]) in str(caught.value)
    read_shards([files[0], drawn(tmp_path, pair, 2, 2)])


@pytest.mark.parametrize(
    ("left", "words"),
    [([1, 3], "shard 2/3 is missing"), ([2], "shards 1/3, 3/3 are missing"), ([1, 2], "shard 3/3 is missing")],
)
def test_gaps_are_refused(tmp_path: Path, left: list[int], words: str) -> None:
    pair = scene(100, 20)
    files = [drawn(tmp_path, pair, number, 3) for number in left]
    with pytest.raises(ShardError, match=f"of the change map {words}"):
        read_shards(files)


def test_of_many_missing_shards_some_are_named_and_the_others_counted(tmp_path: Path) -> None:
    with pytest.raises(ShardError, match="shards 2/7, 3/7, 4/7, 5/7 and 2 more are missing"):
        read_shards([drawn(tmp_path, scene(450, 5), 1, 7)])


def test_blocks_of_long_shards_say_where_they_lie(tmp_path: Path) -> None:
    pair = scene(1200, 5)
    found = list(read_shards([drawn(tmp_path, pair, number, 2) for number in (1, 2)]).blocks("change map"))
    rows = [row for start, block in found for row in range(start, start + len(block))]
    assert rows == list(range(1200)) and len(found) > 2


def test_rows_that_do_not_meet_are_refused(tmp_path: Path) -> None:
    """As another version that cuts otherwise might leave them."""
    pair = scene(130, 20)
    for second, words in (
        ("60:130", "overlap at row 60"),
        ("70:130", "leave a gap at row 64"),
        ("64:129", "end at"),
    ):
        start, stop = map(int, second.split(":"))
        files = [drawn(tmp_path, pair, number, 2) for number in (1, 2)]
        with rasterio.open(files[1]) as file:
            values, profile, tags = file.read(), file.profile, file.tags()
            described, colours = file.descriptions[0], file.colormap(1)
        with rasterio.open(files[1], "w", **profile | {"height": stop - start}) as file:
            file.write(np.resize(values, (1, stop - start, 20)))
            file.update_tags(**tags | {"SHARD_ROWS": second})
            file.set_band_description(1, described)
            file.write_colormap(1, colours)
        with pytest.raises(ShardError, match=words):
            read_shards(files)


@pytest.mark.parametrize(
    "tags",
    [
        {"SHARD": "1"},
        {"SHARD": "1/900"},
        {"SHARD_ROWS": "0:99"},
        {"SHARD_ROWS": "7"},
        {"SHARD_ROWS": "5:3"},
        {"SHARD_SCENE_GRID": "{}"},
        {"SHARD_SCENE_GRID": "[1"},
        {"SHARD_SCENE_GRID": '{"rows": 100, "cols": 20, "crs": "x", "transform": null, "gcps": []}'},
    ],
)
def test_tags_that_were_changed_are_told(tmp_path: Path, tags: dict[str, str]) -> None:
    files = [drawn(tmp_path, scene(100, 20), number, 2) for number in (1, 2)]
    with rasterio.open(files[0], "r+") as file:
        file.update_tags(**tags)
    with pytest.raises(FormatError, match="was changed since"):
        read_shards(files)


def test_what_is_no_shard_is_refused(tmp_path: Path) -> None:
    write_maps(WhereItStands(), scene(10, 9), MapFiles(tmp_path / "whole.tif"))
    (tmp_path / "text.txt").write_text("no raster")
    with pytest.raises(ShardError, match="is no shard of a map"):
        read_shards([tmp_path / "whole.tif"])
    with pytest.raises(HsiCdError):
        read_shards([tmp_path / "text.txt"])
    with pytest.raises(ShardError, match="no shard is named"):
        read_shards([])


def test_a_damaged_shard_leaves_nothing_behind(tmp_path: Path) -> None:
    files = [
        path
        for path in write_shards(tmp_path, scene(600, 200), 2)
        if "score" in path.name or "change" in path.name
    ]
    shards = read_shards(files)
    data = bytearray(files[-1].read_bytes())
    data[len(data) // 2 : len(data) // 2 + 20000] = bytes(20000)
    files[-1].write_bytes(bytes(data))
    before = sorted(tmp_path.iterdir())
    with pytest.raises(FormatError, match="damaged"):
        join_shards(shards, MapFiles(tmp_path / "c.tif", tmp_path / "s.tif"))
    assert sorted(tmp_path.iterdir()) == before


def test_what_is_asked_for_and_what_is_there_must_agree(tmp_path: Path) -> None:
    files = write_shards(tmp_path, scene(100, 20), 2)
    own = {name: [path for path in files if name in path.name] for name in names(tmp_path)}
    with pytest.raises(ShardError, match="is a shard of the score, which is not asked for: give score=FILE"):
        join_shards(read_shards(own["change"] + own["score"]), MapFiles(tmp_path / "c.tif"))
    with pytest.raises(ShardError, match="none of the files is a shard of the uncertainty"):
        join_shards(read_shards(own["change"]), MapFiles(tmp_path / "c.tif", uncertainty=tmp_path / "u.tif"))
    with pytest.raises(ShardError, match="none of the files is a shard of the change map"):
        join_shards(read_shards(own["score"]), MapFiles(tmp_path / "c.tif", tmp_path / "s.tif"))
    with pytest.raises(OutputError, match="is an input"):
        join_shards(read_shards(own["change"]), MapFiles(own["change"][0]))
    (tmp_path / "there.tif").write_bytes(b"")
    with pytest.raises(OutputError, match="exists"):
        join_shards(read_shards(own["change"]), MapFiles(tmp_path / "there.tif"))


def test_more_shards_than_rows_write_nothing(tmp_path: Path) -> None:
    with pytest.raises(ShardError, match="give at most 3"):
        write_maps(WhereItStands(), scene(3, 5), MapFiles(tmp_path / "c.tif"), MapOptions(shard=Shard(1, 4)))
    assert not list(tmp_path.iterdir())
