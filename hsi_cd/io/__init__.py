"""Files to values and back: cubes of every kind, truth maps, outputs that appear whole or not at all."""

from hsi_cd.io.atomic import (
    atomic_path,
    atomic_paths,
    check_output,
    remove_drafts,
    write_json,
    write_npz,
    write_text,
)
from hsi_cd.io.axes import Axes, Expected, parse_axes
from hsi_cd.io.class_maps import ClassMap, class_map_in_memory, read_class_map, read_own_map
from hsi_cd.io.cubes import CubeSource, map_shape, open_cube, open_cubes
from hsi_cd.io.joining import join_shards
from hsi_cd.io.map_classes import COLOURS
from hsi_cd.io.map_reading import read_map, read_score_name, read_scores
from hsi_cd.io.maps import MapWriters, RasterWriter, map_writers
from hsi_cd.io.outputs import (
    CHECKPOINT,
    GEOTIFF,
    HTML,
    JSON,
    PNG,
    TABLES,
    YAML,
    check_ending,
    check_outputs,
    refuse_folder_of_inputs,
    refuse_inputs,
)
from hsi_cd.io.prediction import MapFiles, MapRows, WrittenMap, write_prediction
from hsi_cd.io.regions import RegionChoice, Regions, check_vector, write_regions
from hsi_cd.io.shards import ShardSet, read_shards, shard_tags
from hsi_cd.io.truth import MaskPair, infer_scheme, read_labels

__all__ = [
    "CHECKPOINT",
    "COLOURS",
    "GEOTIFF",
    "HTML",
    "JSON",
    "PNG",
    "TABLES",
    "YAML",
    "Axes",
    "ClassMap",
    "CubeSource",
    "Expected",
    "MapFiles",
    "MapRows",
    "MapWriters",
    "MaskPair",
    "RasterWriter",
    "RegionChoice",
    "Regions",
    "ShardSet",
    "WrittenMap",
    "atomic_path",
    "atomic_paths",
    "check_ending",
    "check_output",
    "check_outputs",
    "check_vector",
    "class_map_in_memory",
    "infer_scheme",
    "join_shards",
    "map_shape",
    "map_writers",
    "open_cube",
    "open_cubes",
    "parse_axes",
    "read_class_map",
    "read_labels",
    "read_map",
    "read_own_map",
    "read_score_name",
    "read_scores",
    "read_shards",
    "refuse_folder_of_inputs",
    "refuse_inputs",
    "remove_drafts",
    "shard_tags",
    "write_json",
    "write_npz",
    "write_prediction",
    "write_regions",
    "write_text",
]
