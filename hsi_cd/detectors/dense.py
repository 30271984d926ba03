"""A module over a whole window: where it computes, in which precision, and what becomes of a full GPU."""

from __future__ import annotations

import copy
import logging
from collections.abc import Sequence
from contextlib import nullcontext

import torch
from torch import Tensor, nn

from hsi_cd.nn.tiles import in_tiles

log = logging.getLogger(__name__)


def dense_output(
    module: nn.Module,
    how: str,
    inputs: Sequence[Tensor],
    *,
    device: torch.device,
    radius: int,
    precision: torch.dtype,
) -> Tensor:
    """What a module in evaluation mode makes of a window, tile by tile.

    Args:
        module: pads nothing.
        how: the name of its method that computes; that takes the inputs with a first dimension of 1.
        inputs: both dates, their validity, and what the method takes beside, on the CPU, each
            ``(n, h + 2 radius, w + 2 radius)``.
        device: where the module is.
        radius: rows and columns that an output pixel sees on each side.
        precision: of the module's products.

    Returns:
        float32 ``(K, h, w)``, on the CPU.
    """
    module.eval()
    try:
        return _output(module, how, inputs, device, radius, precision)
    except torch.cuda.OutOfMemoryError:
        log.warning("the GPU's memory is full: this part of the scene is scored on the CPU")
        return _output(copy.deepcopy(module).cpu(), how, inputs, torch.device("cpu"), radius, precision)


def _output(
    module: nn.Module,
    how: str,
    inputs: Sequence[Tensor],
    device: torch.device,
    radius: int,
    precision: torch.dtype,
) -> Tensor:
    """On a GPU each call copies and computes in a stream of its own: one window travels while another is scored.

    (The tests run this on the CPU; on a GPU it has not been run yet.)
    """
    on_gpu = device.type == "cuda"
    stream = torch.cuda.stream(torch.cuda.Stream(device)) if on_gpu else nullcontext()  # type: ignore[no-untyped-call]
    lower = torch.autocast(device.type, precision, enabled=precision != torch.float32)
    with torch.inference_mode(), stream, lower:
        first, second, valid, *beside = (
            (x.pin_memory().to(device, non_blocking=True) if on_gpu else x)[None] for x in inputs
        )
        found = in_tiles(getattr(module, how), first, second, valid, *beside, radius=radius)
        return found[0].float().cpu()
