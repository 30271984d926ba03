"""The settings of the Siamese network."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, ModelWrapValidatorHandler, PlainValidator, ValidationError, model_validator
from pydantic_core import InitErrorDetails

from hsi_cd.config.blocks import ATTENTIONS, BACKBONES, HEADS, check_kind
from hsi_cd.config.named_options import Count, FileName, Part, Section
from hsi_cd.plugins import is_named

Scale = Annotated[int, Field(ge=1, le=8, strict=True)]
Plain = str | int | float | bool | None
"""What an option of another package's part may be; a checkpoint holds nothing else."""


def check_odd(**sides: int) -> None:
    """Refuse a side without a centre.

    Raises:
        ValueError: one of them is even.
    """
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


class PartSection(Section):
    """The settings of a part of the network: of another package's part, whatever its signature takes, too."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Plain | list[Plain]]

    kind: str

    @model_validator(mode="wrap")
    @classmethod
    def _knows_its_keys(cls, values: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        section = handler(values)
        unknown = {} if is_named(section.kind) else section.model_extra or {}
        if unknown:
            problems = [
                InitErrorDetails(type="extra_forbidden", loc=(key,), input=unknown[key]) for key in unknown
            ]
            raise ValidationError.from_exception_data(cls.__name__, problems)
        return section


class AttentionConfig(PartSection):
    """The spatial attention."""

    kind: Annotated[str, PlainValidator(partial(check_kind, known=ATTENTIONS))] = "bilateral"
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
        check_odd(window=self.window)
        return self


class BackboneConfig(PartSection):
    """The encoder both dates share."""

    kind: Annotated[str, PlainValidator(partial(check_kind, known=BACKBONES))] = "pointwise"
    width: Count = 64
    depth: Count = 3
    dropout: Part = 0.1
    until: str | None = None
    patch: Annotated[int, Field(ge=1, le=65)] = 9
    upsample: Literal["bilinear", "transposed"] = "bilinear"
    weights: FileName | None = None
    adapt: Literal["repeat", "mean", "random"] = "repeat"
    conv: Literal["1d", "3d"] = "1d"
    kernel: Count = 7
    filters: Count = 8
    window: Annotated[int, Field(ge=1, le=31)] = 5
    heads: Count = 4

    @model_validator(mode="after")
    def _fits_together(self) -> BackboneConfig:
        check_odd(patch=self.patch, kernel=self.kernel, window=self.window)
        return self


class ModelConfig(Section):
    """The Siamese network."""

    members: Count = 5
    attention: AttentionConfig = AttentionConfig()
    backbone: BackboneConfig = BackboneConfig()
    head: Annotated[str, PlainValidator(partial(check_kind, known=HEADS))] = "distance_mlp"
    threshold: Annotated[str | float, PlainValidator(_threshold)] = "validation"
    around: Annotated[int, Field(ge=1, le=65)] = 13

    @model_validator(mode="after")
    def _has_a_centre(self) -> ModelConfig:
        check_odd(around=self.around)
        return self
