"""The kinds of change that labels taught a Siamese network: a head for each member."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hsi_cd.detectors.states import kind_table_from_state, kind_table_state
from hsi_cd.nn.kinds_head import KindsHead, KindsOfEnsemble
from hsi_cd.nn.neighbourhoods import crop
from hsi_cd.scene import KindTable

if TYPE_CHECKING:
    from hsi_cd.detectors.siamese import SiameseDetector


@dataclass(frozen=True)
class KindHeads:
    """Heads for kinds, taught on the features of a network.

    Attributes:
        table: numbers, stored values and names of the kinds.
        heads: one a member of the network, :class:`~hsi_cd.nn.kinds_head.KindsHead`.
    """

    table: KindTable
    heads: nn.ModuleList

    def parameters(self) -> int:
        """Number of learned numbers."""
        return sum(p.numel() for p in self.heads.parameters())

    def state(self) -> dict[str, Any]:
        """Tensors and plain values from which :func:`kind_heads_from_state` builds them again."""
        heads = {name: value.cpu() for name, value in self.heads.state_dict().items()}
        return {**kind_table_state(self.table), "heads": heads}


def kind_heads_from_state(
    state: Mapping[str, Any], *, channels: int, members: int, device: torch.device
) -> KindHeads:
    """The heads that :meth:`KindHeads.state` described, in evaluation mode.

    Args:
        state: what it gave.
        channels: of one date, as the attention of the network that they are for leaves it.
        members: of that network.
        device: where they compute.

    Raises:
        KeyError, TypeError, ValueError, RuntimeError: parts are missing or do not fit together.
    """
    table, weights = kind_table_from_state(state), state["heads"]
    heads = nn.ModuleList(KindsHead(channels, table.count) for _ in range(members))
    heads.load_state_dict(weights)
    for name, value in weights.items():
        if value.dtype != torch.float32 or not torch.isfinite(value).all():
            raise ValueError(f"kinds.{name} holds what is no finite number of 32 bits")
    return KindHeads(table, heads.to(device).eval())


@dataclass(frozen=True, eq=False)
class NetworkKinds:
    """The kinds of change that a network was taught; see :class:`hsi_cd.detectors.base.LearnedKinds`.

    Attributes:
        detector: the network, with what it sees of a window.
        learned: its heads for kinds.
    """

    detector: SiameseDetector
    learned: KindHeads

    def __eq__(self, other: object) -> bool:
        """Whether both are the same heads of the same network, seeing the same."""
        mine = self.detector
        return isinstance(other, NetworkKinds) and other.detector is mine and other.learned is self.learned

    __hash__ = object.__hash__

    @property
    def table(self) -> KindTable:
        """Numbers, stored values and names of the kinds."""
        return self.learned.table

    @property
    def count(self) -> int:
        """Number of kinds."""
        return self.table.count

    @property
    def radius(self) -> int:
        """Rows and columns around a pixel that its kind depends on."""
        return self.detector.network.radius + self.detector.input_radius

    def of_window(self, t1: NDArray[np.float32], t2: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Kinds of a mirror-padded window; see :meth:`hsi_cd.detectors.base.KindModel.of_window`."""
        found = self.probabilities(t1, t2)
        known = ~np.isnan(found[0])
        return np.where(known, 1 + np.where(known, found, 0).argmax(axis=0), 0).astype(np.uint8)

    def probabilities(self, t1: NDArray[np.float32], t2: NDArray[np.float32]) -> NDArray[np.float32]:
        """Mean of the members' probabilities; see :meth:`hsi_cd.detectors.base.LearnedKinds.probabilities`."""
        inputs = self.detector.inputs(t1, t2)
        found = self.detector.dense(self._module, "probabilities", inputs)
        valid = crop(inputs[2], self.detector.network.radius)
        return found.masked_fill(~valid, torch.nan).numpy()

    def with_logits(self, inputs: tuple[Tensor, ...], asked_from: Tensor) -> tuple[Tensor, Tensor]:
        """Members' change logits of a window and the kinds of some of its pixels, from one pass.

        Args:
            inputs: what the network sees of it, ``(channels, h + 2 radius, w + 2 radius)``, and the validity.
            asked_from: mean logit from which the kind is asked for, ``(h, w)``.

        Returns:
            ``(members, h, w)`` and ``(h, w)``, 0 where no kind was asked for.
        """
        r = self.detector.network.radius
        least = nn.functional.pad(asked_from, (r, r, r, r))[None]
        found = self.detector.dense(self._module, "logits_and_kinds", (*inputs, least))
        return found[:-1], found[-1]

    @property
    def _module(self) -> KindsOfEnsemble:
        return KindsOfEnsemble(self.detector.network, self.learned.heads).eval()
