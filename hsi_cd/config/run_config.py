"""The configuration of a run: frozen, validated, saved resolved.

The defaults here are the one configuration that is meant for every scene; ``configs/default.yaml`` lists them
with what each does. A run's configuration is the defaults, then the short file of the dataset, then ``--config``,
then ``--set key=value``; the result is saved in the run folder.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, PlainValidator, model_validator

from hsi_cd.config.named_options import (
    Count,
    LossOptions,
    NotNegative,
    Number,
    Part,
    Positive,
    SamplerOptions,
    ScheduleOptions,
    Section,
    Share,
)

HEADS_WITH_DISTANCE = ("distance", "euclidean", "cosine")
"""Heads whose logit is a feature distance, scaled and shifted: what a contrastive loss can teach."""


Scale = Annotated[int, Field(ge=1, le=8, strict=True)]


def _check_odd(**sides: int) -> None:
    for name, side in sides.items():
        if side % 2 == 0:
            raise ValueError(f"{name} is {side}: it must be odd, with the pixel at its centre")


def _threshold(value: object) -> str | float:
    """``validation``, ``learned``, or a probability."""
    if value in ("validation", "learned"):
        return str(value)
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1:
        return float(value)
    raise ValueError(
        f"{value!r} is no threshold: give validation, learned, or a probability between 0 and 1, as 0.5"
    )


class BandsConfig(Section):
    """Which bands are used."""

    drop_constant: bool = False
    drop_bad: bool = False
    drop_water_vapour: bool = False


class PrepareConfig(Section):
    """How spectra are standardised and reduced before the network sees them."""

    scaling: Literal["zscore", "minmax"] = "zscore"
    statistics: Literal["per_date", "joint"] = "per_date"
    clip_percent: Annotated[float, Field(ge=0, lt=50)] = 0.0
    projection: Literal["mnf", "pca", "none"] = "mnf"
    components: Count = 16
    registration: bool = True


class SplitConfig(Section):
    """Which labelled pixels teach."""

    protocol: Literal["P1", "P1-strict", "P2", "P3", "P4"] = "P1"
    fraction: Annotated[float, Field(gt=0, lt=1)] = 0.01
    count: Count = 500
    imbalance: Count = 1
    block: Count = 32
    radius: Number = 6


class AttentionConfig(Section):
    """The spatial attention."""

    kind: Literal["bilateral", "bam", "joint_bam", "pam", "channel", "cbam", "none"] = "bilateral"
    place: Literal["input", "features"] = "input"
    window: Annotated[int, Field(ge=1, le=31)] = 9
    channels: Count = 12
    range: Annotated[float, Field(gt=0)] = 3.0
    spread: Annotated[float, Field(ge=1)] = 1.5
    gamma: float = 4.0
    ds: Scale = 1
    scales: Annotated[tuple[Scale, ...], Field(strict=False, min_length=1)] = (1, 2, 4)

    @model_validator(mode="after")
    def _fits_together(self) -> AttentionConfig:
        _check_odd(window=self.window)
        if self.kind == "bilateral" and self.place == "features":
            raise ValueError("bilateral starts from the noise of its input: it needs place: input")
        return self


class BackboneConfig(Section):
    """The encoder both dates share."""

    kind: Literal[
        "pointwise",
        "spectral_spatial",
        "inception",
        "spectral",
        "transformer",
        "resnet18",
        "resnet34",
        "resnet50",
    ] = "pointwise"
    width: Count = 64
    depth: Count = 3
    dropout: Part = 0.1
    until: Literal["conv1", "layer1", "layer2", "layer3", "layer4"] | None = None
    patch: Annotated[int, Field(ge=1, le=65)] = 9
    upsample: Literal["bilinear", "transposed"] = "bilinear"
    weights: str | None = None
    adapt: Literal["repeat", "mean", "random"] = "repeat"
    conv: Literal["1d", "3d"] = "1d"
    kernel: Count = 7
    filters: Count = 8
    window: Annotated[int, Field(ge=1, le=31)] = 5
    heads: Count = 4

    @model_validator(mode="after")
    def _fits_together(self) -> BackboneConfig:
        _check_odd(patch=self.patch, kernel=self.kernel, window=self.window)
        for name in ("until", "weights"):
            if getattr(self, name) is not None and not self.kind.startswith("resnet"):
                raise ValueError(
                    f"{name} is {getattr(self, name)!r}, but {self.kind} has no layers of those names: "
                    f"{name} is for resnet18, resnet34 and resnet50"
                )
        if self.kind == "transformer" and self.width % self.heads:
            raise ValueError(
                f"width is {self.width}: a transformer of {self.heads} heads needs a multiple of them"
            )
        if self.kind == "inception" and self.width < 4:
            raise ValueError(f"width is {self.width}: the four branches of inception need at least 4")
        return self


class ModelConfig(Section):
    """The Siamese network."""

    members: Count = 5
    attention: AttentionConfig = AttentionConfig()
    backbone: BackboneConfig = BackboneConfig()
    head: Literal["distance_mlp", "distance", "euclidean", "cosine", "difference", "concatenation"] = (
        "distance_mlp"
    )
    threshold: Annotated[str | float, PlainValidator(_threshold)] = "validation"


class AugmentConfig(Section):
    """How training patches are varied."""

    flips: bool = True
    turns: bool = True
    date_swap: bool = True
    band_dropout: Part = 0.0
    gain: NotNegative = 0.0
    offset: NotNegative = 0.0
    spectral_noise: NotNegative = 0.0
    shift: Share = 0.0
    mixup: NotNegative = 0.6
    gain_noise: NotNegative = 0.03
    noise: NotNegative = 1.0


class FreezeConfig(Section):
    """What does not learn, and until when."""

    groups: Number = 0
    names: Annotated[tuple[Annotated[str, Field(strict=True)], ...], Field(strict=False)] = ()
    until: Number = 0


class TeacherConfig(Section):
    """What unlabelled pixels teach beside the labels, through a running mean of the network itself."""

    kind: Literal["none", "mean_teacher", "pseudo_label"] = "none"
    weight: Positive = 1.0
    ramp: Share = 0.4
    decay: Annotated[float, Field(ge=0, lt=1)] = 0.99
    batch_size: Count = 128
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.95


class TrainConfig(Section):
    """The training loop."""

    epochs: Count = 300
    min_steps: Count = 600
    max_steps: Count = 900
    batch_size: Count = 128
    accumulate: Count = 1
    sampler: Literal["shuffle", "balanced", "hard", "block"] = "shuffle"
    sampler_options: SamplerOptions = SamplerOptions()
    loss: Literal["bce", "cross_entropy", "focal", "dice", "tversky", "hinge", "contrastive"] = "bce"
    loss_options: LossOptions = LossOptions()
    label_smoothing: Part = 0.0
    class_weight: Share = 0.25
    optimizer: Literal["adamw", "adam"] = "adamw"
    lr: Positive = 3e-3
    weight_decay: NotNegative = 1e-2
    clip_norm: NotNegative = 0.0
    ema: Part = 0.0
    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    schedule: Literal[
        "constant",
        "poly",
        "inverse_sqrt",
        "hold",
        "multiplicative",
        "step",
        "exponential",
        "plateau",
        "cosine",
        "cosine_restarts",
        "one_cycle",
    ] = "one_cycle"
    schedule_options: ScheduleOptions = ScheduleOptions()
    warmup: Part = 0.2
    linear_warmup: Part = 0.0
    threads: Number = 1
    certain: Annotated[int, Field(ge=0, le=500)] = 100
    folds: Number = 5
    validate_every: Count = 20
    patience: Number = 0
    save_every: Count = 20
    map_every: Number = 100
    graph: bool = False
    freeze: FreezeConfig = FreezeConfig()
    augment: AugmentConfig = AugmentConfig()
    pretrained: str | None = None
    teacher: TeacherConfig = TeacherConfig()

    @model_validator(mode="after")
    def _fits_together(self) -> TrainConfig:
        if self.folds == 1:
            raise ValueError("folds is 1: a single part held out leaves nothing to learn from; 0 is no validation")
        if self.folds == 0 and (self.schedule == "plateau" or self.patience):
            waiting = "schedule plateau" if self.schedule == "plateau" else "patience"
            raise ValueError(f"{waiting} waits for validations, but folds is 0: set train.folds to 2 or more")
        if self.schedule == "one_cycle" and self.linear_warmup:
            raise ValueError("linear_warmup is set, but one_cycle rises by itself: set train.warmup instead")
        if self.loss == "contrastive" and (self.augment.mixup or self.label_smoothing):
            name = "augment.mixup" if self.augment.mixup else "label_smoothing"
            raise ValueError(f"loss contrastive knows no soft targets, which {name} makes: set train.{name}=0")
        return self


class PretrainConfig(Section):
    """What encoders learn from a scene without labels, before a training."""

    task: Literal["masked", "vae"] = "masked"
    epochs: Count = 40
    pixels: Count = 5000
    batch_size: Count = 128
    lr: Positive = 3e-3
    weight_decay: NotNegative = 1e-2
    patch: Annotated[int, Field(ge=1, le=31)] = 3
    hidden: Annotated[float, Field(gt=0, lt=1)] = 0.5
    contiguous: bool = False
    latent: Count = 16
    beta: NotNegative = 1.0
    held_out: Annotated[float, Field(gt=0, le=0.5)] = 0.1
    validate_every: Count = 5
    save_every: Count = 5

    @model_validator(mode="after")
    def _has_a_centre(self) -> PretrainConfig:
        _check_odd(patch=self.patch)
        return self


class RunConfig(Section):
    """Everything that decides a run's result."""

    dataset: str | None = None
    method: str = "siamese"
    options: dict[str, str | int | float | bool] = Field(default_factory=dict)
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    device: Literal["auto", "cpu", "cuda"] = "auto"
    deterministic: bool = True
    benchmark: bool = False
    bands: BandsConfig = BandsConfig()
    prepare: PrepareConfig = PrepareConfig()
    split: SplitConfig = SplitConfig()
    model: ModelConfig = ModelConfig()
    train: TrainConfig = TrainConfig()
    pretrain: PretrainConfig = PretrainConfig()

    @model_validator(mode="after")
    def _fits_together(self) -> RunConfig:
        if self.deterministic and self.benchmark:
            raise ValueError(
                "benchmark takes the algorithm that is fastest at the moment, which does not repeat: "
                "set deterministic to false with it"
            )
        if self.model.backbone.weights is not None and self.train.pretrained is not None:
            raise ValueError("model.backbone.weights and train.pretrained both start the encoder: set one of them")
        if self.train.loss == "contrastive" and self.model.head not in HEADS_WITH_DISTANCE:
            raise ValueError(
                f"train.loss contrastive learns a distance, which model.head {self.model.head} does not end in: "
                f"set model.head to {' or '.join(HEADS_WITH_DISTANCE)}"
            )
        if self.train.loss == "contrastive" and self.model.threshold == "learned":
            raise ValueError(
                "train.loss contrastive teaches a distance and no threshold of it: set model.threshold to "
                "validation, or to a probability"
            )
        return self
