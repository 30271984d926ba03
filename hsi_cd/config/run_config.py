"""The configuration of a run: frozen, validated, saved resolved.

The defaults here are the one configuration that is meant for every scene; ``default.yaml`` lists them with what
each does. A run's configuration is the defaults, then the short file of the dataset, then ``--config``,
then ``--set key=value``; the result is saved in the run folder.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeGuard

from pydantic import BeforeValidator, Field, model_validator

from hsi_cd.config.blocks import HEADS_WITH_DISTANCE
from hsi_cd.config.model_config import ModelConfig, check_odd
from hsi_cd.config.named_options import (
    Count,
    FileName,
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

FEWEST_STEPS, MOST_STEPS = 600, 900  # of a training whose epochs nobody asked for


def _counts(value: object) -> TypeGuard[int]:
    """Whether this is a number of steps; others are refused where the field is checked."""
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _several(values: object) -> object:
    """A single number as a list of one."""
    return (values,) if isinstance(values, int | float) and not isinstance(values, bool) else values


def _one_word(values: object) -> object:
    """A single word as a list of one."""
    return (values,) if isinstance(values, str) else values


Values = Annotated[tuple[float, ...], BeforeValidator(_several), Field(strict=False)]
"""Stored values; one may be given bare."""

Words = Annotated[
    tuple[Annotated[str, Field(strict=True, min_length=1)], ...],
    BeforeValidator(_one_word),
    Field(strict=False, min_length=1),
]
"""Words, or one bare."""

AUTO_MASK = ("auto",)
"""What products mark is left out, and nobody said anything of it."""


class RegisterConfig(Section):
    """Whether date 2 is laid on date 1 first; a run leaves what it undid, and of which pixels, in the rest."""

    dates: bool = False
    shift: Annotated[tuple[float, float], Field(strict=False)] | None = None
    pixels: Annotated[str, Field(strict=True)] | None = None


class AreaConfig(Section):
    """What alone of the scene is mapped and judged, and where its statistics come from."""

    aoi: FileName | None = None
    bounds: Annotated[tuple[float, float, float, float], Field(strict=False)] | None = None
    bounds_crs: Annotated[str, Field(strict=True, min_length=1)] | None = None
    statistics: Literal["scene", "area"] = "scene"

    @property
    def is_named(self) -> bool:
        """Whether there is an area of interest."""
        return self.aoi is not None or self.bounds is not None

    @property
    def described(self) -> str:
        """The area in words, empty where all of the scene is of interest."""
        if not self.is_named:
            return ""
        where = self.aoi or ",".join(map(repr, self.bounds or ()))
        return f"{where}{f' in {self.bounds_crs}' if self.bounds_crs else ''}, statistics of the {self.statistics}"

    @model_validator(mode="after")
    def _is_one(self) -> AreaConfig:
        if self.aoi is not None and self.bounds is not None:
            raise ValueError("aoi and bounds both say which area is of interest: set one of them")
        if self.bounds is None and self.bounds_crs is not None:
            raise ValueError("bounds_crs is of bounds, which are not set: set area.bounds, too")
        if not self.is_named and self.statistics == "area":
            raise ValueError("statistics are to be of the area, but none is named: set area.aoi or area.bounds")
        return self


class BandsConfig(Section):
    """Which bands are used."""

    drop_constant: bool = False
    drop_bad: bool = False
    drop_water_vapour: bool = False
    drop_partly_empty: bool = False


class PrepareConfig(Section):
    """How spectra are standardised and reduced before the network sees them."""

    scaling: Literal["zscore", "minmax"] = "zscore"
    statistics: Literal["per_date", "joint"] = "per_date"
    clip_percent: Annotated[float, Field(ge=0, lt=50)] = 0.0
    projection: Literal["mnf", "pca", "none"] = "mnf"
    components: Count = 16
    registration: bool = True
    score: bool = False


class SplitConfig(Section):
    """Which labelled pixels teach.

    A split that was given, in place of one that the protocol draws, leaves its fingerprint in ``given``; its
    protocol is ``file`` where it names none.
    """

    protocol: Literal["P1", "P1-strict", "P2", "P3", "P4", "drawn", "file"] = "P1"
    fraction: Annotated[float, Field(gt=0, lt=1)] = 0.01
    count: Count = 500
    imbalance: Count = 1
    block: Count = 32
    radius: Number = 6
    given: Annotated[str, Field(strict=True)] | None = None


class ScenesConfig(Section):
    """How many scenes teach one network: see ``train --scenes``."""

    changed: Count = 2000
    unchanged: Count = 8000
    hold_out: Annotated[str, Field(strict=True)] | None = None


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
    """The training loop.

    Epochs that are given alone are exact: ``min_steps`` and ``max_steps`` are then None, which is no bound. Bounds
    hold where they are given themselves, or where no epochs are. Of two bounds that exclude each other, the one
    that was not given makes way.
    """

    epochs: Count = 300
    min_steps: Count | None = FEWEST_STEPS
    max_steps: Count | None = MOST_STEPS
    many: Count | None = 200
    batch_size: Count = 128
    accumulate: Count = 1
    sampler: Literal["shuffle", "balanced", "hard", "block", "scenes"] = "shuffle"
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
    pseudo: Part = 0.5
    share: Annotated[float, Field(gt=0, lt=1)] | None = None
    prior: bool = True
    folds: Number = 5
    validate_every: Count = 20
    patience: Number = 0
    save_every: Count = 20
    map_every: Number = 100
    graph: bool = False
    freeze: FreezeConfig = FreezeConfig()
    augment: AugmentConfig = AugmentConfig()
    pretrained: FileName | None = None
    start_from: FileName | None = None
    init: FileName | None = None
    teacher: TeacherConfig = TeacherConfig()

    @model_validator(mode="before")
    @classmethod
    def _bounds(cls, values: Any) -> Any:
        if not isinstance(values, Mapping):
            return values
        fewest, most = (values.get(name) for name in ("min_steps", "max_steps"))
        free = "epochs" in values
        default = {
            "min_steps": None if free else min(FEWEST_STEPS, most) if _counts(most) else FEWEST_STEPS,
            "max_steps": None if free else max(MOST_STEPS, fewest) if _counts(fewest) else MOST_STEPS,
        }
        return {**default, **values}

    @model_validator(mode="after")
    def _fits_together(self) -> TrainConfig:
        if self.min_steps is not None and self.max_steps is not None and self.min_steps > self.max_steps:
            raise ValueError(f"min_steps is {self.min_steps}, above max_steps, which is {self.max_steps}")
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
        check_odd(patch=self.patch)
        return self


class RunConfig(Section):
    """Everything that decides a run's result."""

    dataset: str | None = None
    nodata: Values = ()
    mask: Words = AUTO_MASK
    coregister: RegisterConfig = RegisterConfig()
    area: AreaConfig = AreaConfig()
    method: str = "siamese"
    kinds: bool = False
    options: dict[str, str | int | float | bool] = Field(default_factory=dict)
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    device: Literal["auto", "cpu", "cuda"] = "auto"
    deterministic: bool = True
    benchmark: bool = False
    bands: BandsConfig = BandsConfig()
    prepare: PrepareConfig = PrepareConfig()
    split: SplitConfig = SplitConfig()
    scenes: ScenesConfig = ScenesConfig()
    model: ModelConfig = ModelConfig()
    train: TrainConfig = TrainConfig()
    pretrain: PretrainConfig = PretrainConfig()

    @property
    def weight_files(self) -> list[str]:
        """The files of weights that a run begins with."""
        start = self.train.start_from
        earlier = None if start is None else f"{start}/best.pt"
        named = (self.model.backbone.weights, self.train.pretrained, earlier, self.train.init)
        return [path for path in named if path is not None]

    def as_asked(self) -> RunConfig:
        """The same without what a run itself leaves in it: by what its scene was registered."""
        asked = RegisterConfig(dates=self.coregister.dates)
        return self if asked == self.coregister else self.model_copy(update={"coregister": asked})

    @model_validator(mode="after")
    def _fits_together(self) -> RunConfig:
        if self.deterministic and self.benchmark:
            raise ValueError(
                "benchmark takes the algorithm that is fastest at the moment, which does not repeat: "
                "set deterministic to false with it"
            )
        starts = {
            "model.backbone.weights": ("encoder", self.model.backbone.weights),
            "train.pretrained": ("encoder", self.train.pretrained),
            "train.start_from": ("network", self.train.start_from),
            "train.init": ("network", self.train.init),
        }
        named = [(name, part) for name, (part, file) in starts.items() if file is not None]
        if len(named) > 1:
            (first, _), (second, part) = named[:2]
            raise ValueError(f"{first} and {second} both start the {part}: set one of them")
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
