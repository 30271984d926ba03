"""The network that a configuration describes, built of parts found by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from hsi_cd import plugins
from hsi_cd.config import ATTENTIONS, BACKBONES, HEADS, AugmentConfig, BackboneConfig, ModelConfig
from hsi_cd.detectors.part_contract import check_part
from hsi_cd.errors import ConfigError
from hsi_cd.nn.patch_encoder import PatchEncoder
from hsi_cd.nn.siamese_network import Ensemble, SiameseNetwork


@dataclass(frozen=True)
class Part:
    """A part of the network, before it is built.

    Attributes:
        what: ``attention``, ``backbone`` or ``head``.
        name: as the configuration names it.
        block: its class, or a function that makes it: takes channels, then its options by keyword.
        key: where in the configuration its settings stand.
        foreign: whether it is of another package.
    """

    what: str
    name: str
    block: Callable[..., nn.Module]
    key: str
    foreign: bool

    @property
    def takes(self) -> dict[str, inspect.Parameter]:
        """Its options: what its signature names after the channels."""
        return dict(list(inspect.signature(self.block).parameters.items())[1:])

    def build(self, channels: int, settings: Mapping[str, Any], own: Mapping[str, Any] | None = None) -> nn.Module:
        """Build it.

        Args:
            channels: what it sees.
            settings: of which it is given those that it takes.
            own: options that are for it alone: it is given all of them.

        Raises:
            ConfigError: the options are not those that it takes, or it refuses them.
        """
        own, takes = own or {}, self.takes
        anything = any(option.kind is option.VAR_KEYWORD for option in takes.values())
        unknown = [] if anything else [name for name in own if name not in takes]
        if unknown:
            raise ConfigError(
                f"unknown key {self.key}.{unknown[0]}: {self.name} takes {', '.join(takes) or 'no options'}"
            )
        given = {name: value for name, value in settings.items() if name in takes} | dict(own)
        missing = [
            name
            for name, option in takes.items()
            if option.kind not in (option.VAR_KEYWORD, option.VAR_POSITIONAL)
            and option.default is option.empty
            and name not in given
        ]
        if missing:
            raise ConfigError(f"{self.key}: {self.name} needs {missing[0]}: set {self.key}.{missing[0]}")
        try:
            return self.block(channels, **given)
        except ValueError as error:
            raise ConfigError(f"{self.key}: {_one_line(error)}") from error
        except Exception as error:
            if not self.foreign:
                raise
            raise ConfigError(
                f"{self.key}: {self.name} cannot be built ({type(error).__name__}: {_one_line(error)})"
            ) from error


def find_part(what: str, name: str, known: Mapping[str, str]) -> Part:
    """The part called ``name``, or at ``module:Class`` of a package that the user vouched for.

    Raises:
        ConfigError: it is no class of torch's modules.
        CheckpointError: nobody vouched for the module (see :func:`hsi_cd.plugins.load_trusted`).
    """
    key = "model" if what == "head" else f"model.{what}"
    if name in known:
        return Part(what, name, plugins.load_named(known[name], kind=what), key, foreign=False)
    block = plugins.load_trusted(name, kind=what)
    if not (isinstance(block, type) and issubclass(block, nn.Module)):
        raise ConfigError(f"{what} {name} is no class of torch.nn.Module, which a part of a network must be")
    return Part(what, name, block, key, foreign=True)


def check_parts(model: ModelConfig) -> None:
    """Refuse a configuration of which no network can be built, before anything is read or measured.

    Raises:
        ConfigError: options do not fit their part, or a part is not what it must be.
        CheckpointError: nobody vouched for the module of a part.
    """
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        _Builder(model, np.ones(8, dtype=np.float32), None).member(model.attention.range)


def build_network(
    model: ModelConfig, noise: NDArray[np.float32], *, augment: AugmentConfig | None = None
) -> Ensemble:
    """An ensemble of freshly initialised networks.

    Args:
        model: what to build.
        noise: noise deviation of each component, ``(components,)``; its length is the number of input channels.
        augment: how strongly the networks disturb their own features while training; not at all by default.

    Returns:
        The ensemble; its weights come from torch's global random state.

    Raises:
        ConfigError: options do not fit their part, or a part of another package is not what it must be.
        CheckpointError: nobody vouched for the module of a part.
    """
    builder = _Builder(model, noise, augment)
    # The members' filters start from different ranges: how much smoothing pays differs between scenes.
    powers = np.linspace(-1, 1, model.members) if model.members > 1 else np.zeros(1)
    members = [builder.member(model.attention.range * model.attention.spread ** float(power)) for power in powers]
    first, channels = members[0], len(noise)
    for part, module, seen in (
        (builder.attention, first.attention, channels if builder.attend_first else model.backbone.width),
        (builder.backbone, first.backbone, channels),
        (builder.head, first.head, model.backbone.width),
    ):
        if part.foreign:
            check_part(part.what, part.name, module, channels=seen, width=model.backbone.width)
    return Ensemble(members)


class _Builder:
    """Builds the members of an ensemble, one after the other."""

    def __init__(self, model: ModelConfig, noise: NDArray[np.float32], augment: AugmentConfig | None) -> None:
        self.attention = find_part("attention", model.attention.kind, ATTENTIONS)
        self.backbone = find_part("backbone", model.backbone.kind, BACKBONES)
        self.head = find_part("head", model.head, HEADS)
        self.attend_first = model.attention.place == "input"
        self.model, self.noise, self.augment = model, noise, augment
        if "noise" in self.attention.takes and not self.attend_first:
            raise ConfigError(
                f"model.attention: {self.attention.name} starts from the noise of its input: it needs place: input"
            )

    def member(self, filter_range: float) -> SiameseNetwork:
        """The next member; its attention, if it is a bilateral filter, starts from a range."""
        encoder, section, augment = self.model.backbone, self.model.attention, self.augment
        attention = self.attention.build(
            len(self.noise) if self.attend_first else encoder.width,
            {
                **_settings(section),
                "range": filter_range,
                "noise": torch.from_numpy(self.noise),
                "noise_gain": augment.noise if augment else 0.0,
            },
            section.model_extra,
        )
        backbone = self.backbone.build(len(self.noise), _settings(encoder), encoder.model_extra)
        self._check_prefix(encoder, backbone)
        head = self.head.build(encoder.width, {"dropout": encoder.dropout})
        gain_noise = augment.gain_noise if augment else 0.0
        return SiameseNetwork(attention, backbone, head, attend_first=self.attend_first, gain_noise=gain_noise)

    def _check_prefix(self, encoder: BackboneConfig, backbone: nn.Module) -> None:
        for name in ("until", "weights"):
            value = getattr(encoder, name)
            if value is None or isinstance(backbone, PatchEncoder) or name in self.backbone.takes:
                continue
            *others, last = (each for each in BACKBONES if "until" in find_part("backbone", each, BACKBONES).takes)
            raise ConfigError(
                f"model.backbone: {name} is {value!r}, but {encoder.kind} has no layers of those names: "
                f"{name} is for {', '.join(others)} and {last}"
            )


def _settings(section: Any) -> dict[str, Any]:
    """The settings that a section lists; what else a part of another package takes is not among them."""
    return {name: getattr(section, name) for name in type(section).model_fields}


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())
