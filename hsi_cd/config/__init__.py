"""The run's settings in one place, with their ranges; and how files and assignments become them."""

from hsi_cd.config.blocks import ATTENTIONS, BACKBONES, HEADS, HEADS_WITH_DISTANCE
from hsi_cd.config.config_files import config_files, dataset_config, find_config_file, read_config
from hsi_cd.config.layers import (
    merge,
    parse_assignment,
    read_config_file,
    resolve,
    to_yaml,
    whole_key,
)
from hsi_cd.config.model_config import AttentionConfig, BackboneConfig, ModelConfig
from hsi_cd.config.run_config import (
    AUTO_MASK,
    AreaConfig,
    AugmentConfig,
    BandsConfig,
    FreezeConfig,
    PrepareConfig,
    PretrainConfig,
    RegisterConfig,
    RunConfig,
    ScenesConfig,
    SplitConfig,
    TeacherConfig,
    TrainConfig,
)
from hsi_cd.config.scenes_defaults import MANY_SCENES

__all__ = [
    "ATTENTIONS",
    "AUTO_MASK",
    "BACKBONES",
    "HEADS",
    "HEADS_WITH_DISTANCE",
    "MANY_SCENES",
    "AreaConfig",
    "AttentionConfig",
    "AugmentConfig",
    "BackboneConfig",
    "BandsConfig",
    "FreezeConfig",
    "ModelConfig",
    "PrepareConfig",
    "PretrainConfig",
    "RegisterConfig",
    "RunConfig",
    "ScenesConfig",
    "SplitConfig",
    "TeacherConfig",
    "TrainConfig",
    "config_files",
    "dataset_config",
    "find_config_file",
    "merge",
    "parse_assignment",
    "read_config",
    "read_config_file",
    "resolve",
    "to_yaml",
    "whole_key",
]
