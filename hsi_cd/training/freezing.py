"""Which parameters learn, and from which epoch on."""

from __future__ import annotations

import fnmatch

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from hsi_cd.config import FreezeConfig
from hsi_cd.errors import ConfigError
from hsi_cd.nn.siamese_network import Ensemble


def parameter_groups(member: nn.Module) -> list[str]:
    """The parts of a member's backbone in the order of the data, as ``backbone.layer1``; each has parameters."""
    names = []
    for name, part in member.get_submodule("backbone").named_children():
        container = isinstance(part, nn.ModuleList | nn.ModuleDict)  # of parts, one behind the other
        inner = [f"{name}.{each}" for each, _ in part.named_children()] if container else [name]
        names += [f"backbone.{path}" for path in inner]
    return [name for name in names if any(True for _ in member.get_submodule(name).parameters())]


def frozen_names(member: nn.Module, config: FreezeConfig) -> frozenset[str]:
    """Names of a member's parameters that are frozen at the start.

    Raises:
        ConfigError: there are fewer groups, a pattern fits no parameter, or nothing would be left to learn.
    """
    names = [name for name, _ in member.named_parameters()]
    groups = parameter_groups(member)
    if config.groups > len(groups):
        raise ConfigError(
            f"train.freeze.groups is {config.groups}, but the backbone has {len(groups)} parts: "
            f"{', '.join(groups)} (hsi-cd model lists them)"
        )
    frozen = {name for name in names if name.startswith(tuple(f"{group}." for group in groups[: config.groups]))}
    for pattern in config.names:
        found = fnmatch.filter(names, pattern)
        if not found:
            raise ConfigError(
                f"train.freeze.names: no parameter fits {pattern!r}; they are called {names[0]}, ..., {names[-1]} "
                "(hsi-cd model lists them)"
            )
        frozen.update(found)
    if len(frozen) == len(names):
        raise ConfigError("train.freeze leaves nothing that learns: freeze fewer groups or names")
    return frozenset(frozen)


def freeze(network: Ensemble, config: FreezeConfig, *, epoch: int) -> None:
    """Let learn what learns in an epoch; to be called after ``network.train()``.

    What is frozen gets no gradient, so neither the optimiser's step nor weight decay moves it, and a batch norm
    whose parameters are frozen stays in evaluation mode: its statistics are part of what was learned elsewhere.
    This depends on the epoch alone, so a resumed training needs nothing beside it.

    Args:
        network: the ensemble, changed in place.
        config: what is frozen.
        epoch: epochs that are behind.
    """
    if not config.groups and not config.names:
        return
    over = bool(config.until) and epoch >= config.until
    for member in network.members:
        frozen = frozenset() if over else frozen_names(member, config)
        for name, parameter in member.named_parameters():
            parameter.requires_grad_(name not in frozen)
        for module in member.modules():
            if isinstance(module, _BatchNorm) and not any(p.requires_grad for p in module.parameters()):
                module.eval()
