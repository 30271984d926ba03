"""Options of the losses, schedules and samplers that a configuration names: each takes those under its name."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from hsi_cd.paths import as_path

Share = Annotated[float, Field(ge=0, le=1)]
Part = Annotated[float, Field(ge=0, lt=1)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Number = Annotated[int, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]


def _named(name: str) -> str:
    """The name as it was given, so that settings stay what they were, but for the home folder."""
    path = as_path(name)
    return str(path) if name.startswith("~") else name


FileName = Annotated[str, AfterValidator(_named)]
"""The path of a file, in which ``~`` is the home folder; otherwise as it was written."""


class Section(BaseModel):
    """A part of a configuration: frozen, strict, without room for keys that are not there."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class FocalOptions(Section):
    """The focal loss."""

    gamma: NotNegative = 2.0


class TverskyOptions(Section):
    """The Tversky loss."""

    alpha: NotNegative = 0.3
    beta: NotNegative = 0.7


class ContrastiveOptions(Section):
    """The contrastive loss."""

    margin: Positive = 2.0


class LossOptions(Section):
    """What the losses that have options take, by name."""

    focal: FocalOptions = FocalOptions()
    tversky: TverskyOptions = TverskyOptions()
    contrastive: ContrastiveOptions = ContrastiveOptions()


class PolyOptions(Section):
    """Polynomial decay."""

    power: Positive = 0.9


class HoldOptions(Section):
    """Hold, then decay linearly."""

    epochs: Number = 100
    decay: Number = 0


class MultiplicativeOptions(Section):
    """A factor at milestones."""

    milestones: list[Count] = [100, 200]
    factor: Positive = 0.1


class StepOptions(Section):
    """A factor every so many epochs."""

    every: Count = 100
    factor: Positive = 0.1


class ExponentialOptions(Section):
    """A factor each epoch."""

    gamma: Positive = 0.98


class PlateauOptions(Section):
    """A factor when the validation loss falls no more."""

    patience: Number = 2
    factor: Annotated[float, Field(gt=0, lt=1)] = 0.3


class CosineRestartsOptions(Section):
    """Cosines one after the other."""

    cycle: Count = 40
    growth: Count = 2


class ScheduleOptions(Section):
    """What the schedules that have options take, by name."""

    poly: PolyOptions = PolyOptions()
    hold: HoldOptions = HoldOptions()
    multiplicative: MultiplicativeOptions = MultiplicativeOptions()
    step: StepOptions = StepOptions()
    exponential: ExponentialOptions = ExponentialOptions()
    plateau: PlateauOptions = PlateauOptions()
    cosine_restarts: CosineRestartsOptions = CosineRestartsOptions()


class BalancedOptions(Section):
    """The balanced sampler."""

    fill: Literal["repeat", "scene"] = "repeat"


class BlockOptions(Section):
    """The block sampler."""

    side: Count = 32


class SamplerOptions(Section):
    """What the samplers that have options take, by name."""

    balanced: BalancedOptions = BalancedOptions()
    block: BlockOptions = BlockOptions()
