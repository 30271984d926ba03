"""Values: grids, bands, cubes, labels, pairs. No files, no torch."""

from hsi_cd.scene.area_of_interest import AreaOfInterest
from hsi_cd.scene.bands import Bands
from hsi_cd.scene.contract import check_same_grid, window_of
from hsi_cd.scene.cube import Cube, cube_from_array
from hsi_cd.scene.division import DRAWN, GIVEN, Split
from hsi_cd.scene.grid import Grid
from hsi_cd.scene.labels import CHANGED, UNCHANGED, UNLABELLED, KindTable, Labels, LabelScheme, is_changed
from hsi_cd.scene.matching import check_same_bands
from hsi_cd.scene.pair import Registered, ScenePair
from hsi_cd.scene.shard import Shard, parse_shard

__all__ = [
    "CHANGED",
    "DRAWN",
    "GIVEN",
    "UNCHANGED",
    "UNLABELLED",
    "AreaOfInterest",
    "Bands",
    "Cube",
    "Grid",
    "KindTable",
    "LabelScheme",
    "Labels",
    "Registered",
    "ScenePair",
    "Shard",
    "Split",
    "check_same_bands",
    "check_same_grid",
    "cube_from_array",
    "is_changed",
    "parse_shard",
    "window_of",
]
