"""Steps of the optimiser and what goes around them: precision, accumulation, clipping, averaging, the schedule."""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import partial
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from hsi_cd.config import TrainConfig
from hsi_cd.nn.losses import LOSSES, Loss
from hsi_cd.nn.schedules import Length, Schedule, build_schedule
from hsi_cd.nn.siamese_network import Ensemble


def build_loss(config: TrainConfig, *, changed: int, unchanged: int) -> Loss:
    """The configured loss with its options, as a function of ``output, target``.

    Args:
        config: the loop's configuration.
        changed: number of changed labels.
        unchanged: number of unchanged ones; their ratio, to a power, weighs the classes.
    """
    options = getattr(config.loss_options, config.loss, None)
    return partial(
        LOSSES[config.loss],
        changed_weight=(unchanged / max(changed, 1)) ** config.class_weight,
        **(options.model_dump() if options is not None else {}),
    )


def each_loss(loss: Loss, output: Tensor, target: Tensor) -> NDArray[np.float64]:
    """The loss of each sample, ``(N,)``: that of a batch which holds it alone."""
    each: Tensor = torch.func.vmap(loss)(output.detach()[:, None], target[:, None])
    return each.double().cpu().numpy()


def build_optimizer(network: Ensemble, config: TrainConfig) -> torch.optim.Optimizer:
    """Adam or AdamW; only matrices outside the attention decay, since decay would undo the filter it starts as."""
    decayed: list[Tensor] = []
    free: list[Tensor] = []
    for name, parameter in network.named_parameters():
        decays = parameter.ndim > 1 and ".attention." not in name
        (decayed if decays else free).append(parameter)
    kind = torch.optim.AdamW if config.optimizer == "adamw" else torch.optim.Adam
    groups = [{"params": decayed, "weight_decay": config.weight_decay}, {"params": free, "weight_decay": 0.0}]
    return kind(groups, lr=config.lr, fused=True)  # one pass over the parameters in place of a dozen


def configured_schedule(config: TrainConfig, optimizer: torch.optim.Optimizer, length: Length) -> Schedule:
    """The configured schedule with its options."""
    options = getattr(config.schedule_options, config.schedule, None)
    own = {"warmup": config.warmup} if config.schedule == "one_cycle" else options.model_dump() if options else {}
    return build_schedule(config.schedule, optimizer, length, linear_warmup=config.linear_warmup, **own)


class Stepper:
    """Takes the steps of a training.

    Args:
        network: what learns.
        config: the loop's configuration.
        length: of the training, in steps.
        device: where the network computes.

    Attributes:
        optimizer: changes the weights.
        schedule: changes the rate.
        average: exponential moving average of the weights (Polyak, Juditsky 1992, doi 10.1137/0330046), or None.
    """

    def __init__(self, network: Ensemble, config: TrainConfig, length: Length, *, device: torch.device) -> None:
        self._network = network
        self._device = device
        self._clip_norm = config.clip_norm
        self._dtype: torch.dtype = getattr(torch, config.precision)
        # Gradients below float16's smallest number would be lost: they are scaled up, and the step down again.
        self._scaler = torch.amp.GradScaler(device.type, enabled=self._dtype == torch.float16)
        self.optimizer = build_optimizer(network, config)
        self.schedule = configured_schedule(config, self.optimizer, length)
        self.average = None
        if config.ema:
            mean = get_ema_multi_avg_fn(config.ema)  # type: ignore[no-untyped-call]
            self.average = AveragedModel(network, multi_avg_fn=mean)

    @property
    def judged(self) -> Ensemble:
        """The network that is validated and kept: the average, where there is one."""
        return self._network if self.average is None else cast(Ensemble, self.average.module)

    def autocast(self) -> AbstractContextManager[None]:
        """Where products are taken in the configured precision."""
        return torch.autocast(self._device.type, self._dtype, enabled=self._dtype != torch.float32)

    def backward(self, loss: Tensor) -> None:
        """Add the gradient of a batch to that of the step."""
        self._scaler.scale(loss).backward()  # type: ignore[no-untyped-call]

    def step(self) -> None:
        """Change the weights by the gradients there are, and forget these."""
        if self._clip_norm:
            self._scaler.unscale_(self.optimizer)
            for member in self._network.members:  # they learn side by side, and not from each other
                torch.nn.utils.clip_grad_norm_(member.parameters(), self._clip_norm)
        scale = self._scaler.get_scale()
        self._scaler.step(self.optimizer)
        self._scaler.update()
        self.optimizer.zero_grad()
        if self._scaler.get_scale() < scale:
            return  # a gradient was infinite: the step was not taken, the next one is scaled less
        self.schedule.step()
        if self.average is not None:
            self.average.update_parameters(self._network)

    def state_dict(self) -> dict[str, Any]:
        """Tensors and plain values from which :meth:`load_state_dict` goes on."""
        return {
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "scaler": self._scaler.state_dict(),
            "average": self.average.state_dict() if self.average is not None else None,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where :meth:`state_dict` was taken."""
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        self._scaler.load_state_dict(state["scaler"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])
