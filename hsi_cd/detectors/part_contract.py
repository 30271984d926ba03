"""What a network's part of another package must keep to, tried on a few numbers before it is used."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hsi_cd.errors import ConfigError


def check_part(what: str, name: str, module: nn.Module, *, channels: int, width: int) -> None:
    """Refuse a part that does not do what the network expects of it.

    An attention and a backbone have ``radius``: the rows and columns that they take from each side, having looked
    at nothing beyond. A backbone has ``out_channels``, which are ``model.backbone.width``. None of them pads: the
    value at a pixel is the same in a window and in its own patch.

    Args:
        what: ``attention``, ``backbone`` or ``head``.
        name: what a message calls it.
        module: the part, on the CPU; its weights and mode stay as they are.
        channels: that it sees.
        width: channels of the backbone's features.

    Raises:
        ConfigError: something of this is missing.
    """
    radius = 0 if what == "head" else getattr(module, "radius", None)
    if isinstance(radius, bool) or not isinstance(radius, int) or radius < 0:
        raise ConfigError(
            f"{what} {name} must have radius, the rows and columns that it takes from each side: its radius is "
            f"{radius if hasattr(module, 'radius') else 'missing'}, expected a number from 0 up"
        )
    if what == "backbone" and getattr(module, "out_channels", None) != width:
        raise ConfigError(
            f"backbone {name} must have out_channels {width} (model.backbone.width): "
            f"they are {getattr(module, 'out_channels', 'missing')}"
        )
    was_training = module.training
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        x1, x2 = torch.randn(2, 2, channels, 2 * radius + 2, 2 * radius + 3)
        try:
            module.eval()
            whole = _called(what, module, x1, x2)
            side = 2 * radius + 1
            patch = _called(what, module, x1[..., :side, :side], x2[..., :side, :side])
        except Exception as error:
            told = " ".join(str(error).split())
            raise ConfigError(f"{what} {name} fails on a window ({type(error).__name__}: {told})") from error
        finally:
            module.train(was_training)
    out = {"attention": channels, "backbone": width, "head": 1}[what]
    for y in whole:
        found = tuple(y.shape) if isinstance(y, Tensor) else type(y).__name__
        if found != (2, out, 2, 3):
            raise ConfigError(
                f"{what} {name} gives {found} for a window of {tuple(x1.shape)} with radius {radius}: "
                f"expected (2, {out}, 2, 3)"
            )
    if not all(torch.allclose(y[..., :1, :1], z, atol=1e-4, rtol=1e-4) for y, z in zip(whole, patch, strict=True)):
        raise ConfigError(
            f"{what} {name} gives a pixel another value in a window than in its own patch of {side} x {side}: it "
            "must not pad, nor look beyond its radius"
        )


def _called(what: str, module: nn.Module, x1: Tensor, x2: Tensor) -> tuple[Tensor, ...]:
    """What the part gives, one entry for each map that the network expects."""
    if what == "backbone":
        return (module(x1),)
    if what == "head":
        return (module(x1, x2),)
    y1, y2 = module(x1, x2, torch.ones_like(x1[:, :1], dtype=torch.bool))
    return y1, y2
