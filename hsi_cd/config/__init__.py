"""The run's settings in one place, with their ranges; and how files and assignments become them."""

from hsi_cd.config.layers import (
    dataset_config,
    parse_assignment,
    read_config_file,
    resolve,
    to_yaml,
    whole_key,
)
from hsi_cd.config.run_config import (
    HEADS_WITH_DISTANCE,
    AttentionConfig,
    AugmentConfig,
    BackboneConfig,
    BandsConfig,
    FreezeConfig,
    ModelConfig,
    PrepareConfig,
    PretrainConfig,
    RunConfig,
    SplitConfig,
    TeacherConfig,
    TrainConfig,
)

__all__ = [
    "HEADS_WITH_DISTANCE",
    "AttentionConfig",
    "AugmentConfig",
    "BackboneConfig",
    "BandsConfig",
    "FreezeConfig",
    "ModelConfig",
    "PrepareConfig",
    "PretrainConfig",
    "RunConfig",
    "SplitConfig",
    "TeacherConfig",
    "TrainConfig",
    "dataset_config",
    "parse_assignment",
    "read_config_file",
    "resolve",
    "to_yaml",
    "whole_key",
]
