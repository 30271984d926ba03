"""Unlabelled pixels teach too, through a running mean of the network's own weights.

Each member of the ensemble has a teacher of its own: a teacher of all of them would know the fold that a member
holds out, and validation would believe what it taught. The scene is learned as a whole (transductively): pixels
that will be judged are looked at, their labels never.
"""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - the name everybody knows it by
from numpy.typing import NDArray
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from hsi_cd.config import TrainConfig
from hsi_cd.errors import LabelError
from hsi_cd.nn.siamese_network import Ensemble, SiameseNetwork
from hsi_cd.training.augmentation import draw_variation
from hsi_cd.training.disturbances import disturb
from hsi_cd.training.patches import PatchSource


def consistency(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean squared difference of the change probabilities (Tarvainen and Valpola 2017, arXiv 1703.01780).

    Args:
        student: logits, ``(N,)``.
        teacher: logits, ``(N,)``; no gradient flows into them.

    Returns:
        A scalar in 0 to 1.
    """
    return F.mse_loss(torch.sigmoid(student), torch.sigmoid(teacher.detach()))


def pseudo_labels(student: Tensor, teacher: Tensor, *, confidence: float) -> Tensor:
    """Cross-entropy with the teacher's classes where it is confident.

    After Lee 2013 (Pseudo-label, ICML workshop on challenges in representation learning), with the cut of
    Sohn et al. 2020 (FixMatch, arXiv 2001.07685).

    Args:
        student: logits, ``(N,)``.
        teacher: logits, ``(N,)``; no gradient flows into them.
        confidence: probability of the likelier class from which it is taken at its word.

    Returns:
        The sum over the confident pixels, divided by N; 0 where there is none.
    """
    probability = torch.sigmoid(teacher.detach())
    sure = torch.maximum(probability, 1 - probability) >= confidence
    each = F.binary_cross_entropy_with_logits(student, (probability > 0.5).to(student.dtype), reduction="none")
    return torch.where(sure, each, 0).mean()


def ramp_up(step: int, *, steps: float) -> float:
    """``exp(-5 (1 - step / steps)^2)``, and 1 from ``steps`` on (Laine and Aila 2017, arXiv 1610.02242).

    Early on the teacher knows nothing that would be worth hearing.
    """
    return math.exp(-5 * (1 - step / steps) ** 2) if step < steps else 1.0


class MeanTeacher:
    """What unlabelled pixels add to the loss of each step, and the teachers behind it.

    Teachers follow their members by an exponential moving average and look at undisturbed pixels; members see
    them as they see labelled ones, varied and disturbed, but for mixup.

    Args:
        network: the ensemble that learns.
        source: the scene's components.
        labelled: flat indices of the labelled training pixels, int64; all others with data teach here.
        config: the loop's configuration.
        steps: of the whole training.
        generator: its draws are left as they are: the unlabelled pixels are drawn by a generator spawned from it.

    Raises:
        LabelError: there is no unlabelled pixel.
    """

    def __init__(
        self,
        network: Ensemble,
        source: PatchSource,
        labelled: NDArray[np.int64],
        config: TrainConfig,
        *,
        steps: int,
        generator: np.random.Generator,
    ) -> None:
        average = get_ema_multi_avg_fn(config.teacher.decay)  # type: ignore[no-untyped-call]
        self.average = AveragedModel(network, multi_avg_fn=average).eval()
        self._source = source
        self._config = config
        self._ramp = config.teacher.ramp * steps
        self._random = generator.spawn(1)[0]
        self._step = 0
        self._unlabelled = np.setdiff1d(np.flatnonzero(source.inside), labelled)
        if not len(self._unlabelled):
            raise LabelError(
                f"train.teacher.kind {config.teacher.kind} learns from unlabelled pixels, but all "
                f"{len(labelled)} with data are training pixels: set it to none"
            )

    def __call__(self, network: Ensemble) -> Tensor:
        """The loss that unlabelled pixels add to the next step, the sum over the members.

        The teachers first take in what the step before has taught.
        """
        self.average.update_parameters(network)
        config, augment = self._config.teacher, self._config.augment
        weight = config.weight * ramp_up(self._step, steps=self._ramp)
        self._step += 1
        loss = torch.zeros((), device=self._source.both.device)
        teachers: list[SiameseNetwork] = list(self.average.module.members)  # type: ignore[arg-type]
        for student, teacher in zip(network.members, teachers, strict=True):
            drawn = self._unlabelled[self._random.integers(len(self._unlabelled), size=config.batch_size)]
            pixels = torch.from_numpy(drawn).to(loss.device)
            varied = draw_variation(
                len(drawn),
                flips=augment.flips,
                turns=augment.turns,
                date_swap=augment.date_swap,
                mixup=0.0,
                random=self._random,
            )
            with torch.no_grad():
                wanted = teacher(*self._source.cut(pixels))[:, 0, 0, 0].float()
            patches = disturb(*self._source.cut(pixels, varied), config=augment, random=self._random)
            told = student(*patches)[:, 0, 0, 0].float()
            if config.kind == "pseudo_label":
                loss = loss + pseudo_labels(told, wanted, confidence=config.confidence)
            else:
                loss = loss + consistency(told, wanted)
        return weight * loss

    def state_dict(self) -> dict[str, Any]:
        """What a resumed training needs."""
        return {
            "average": self.average.state_dict(),
            "step": self._step,
            "random": json.dumps(self._random.bit_generator.state),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from :meth:`state_dict`.

        Raises:
            KeyError: a part is missing.
        """
        self.average.load_state_dict(state["average"])
        self._step = int(state["step"])
        self._random.bit_generator.state = json.loads(state["random"])
