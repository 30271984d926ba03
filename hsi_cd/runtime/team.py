"""Several processes that train one network together, as torchrun starts them; by default one alone.

    torchrun --nproc-per-node 4 -m hsi_cd train ...

Every process draws the same batches from the same generator and computes its part of each. The outputs of all
parts are put together before the loss, so that a loss of any kind sees the whole batch, parts need not be of one
size, and neither batches nor draws depend on how many processes there are. torch's DistributedDataParallel adds
the gradients up. The first process alone writes and speaks.

What is heavy is imported late: the command line asks this module before it knows whether it must.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

from hsi_cd.errors import ConfigError, DeviceError

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray
    from torch import Tensor

    from hsi_cd.nn.siamese_network import Ensemble

    Inputs = tuple[Tensor, ...]
    Forward = Callable[[Iterable[Inputs]], list[Tensor]]
    Number = TypeVar("Number", np.int64, np.float64)

_LAUNCHED = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")  # what torchrun sets
_QUESTION = timedelta(seconds=10)  # to wait for who speaks


@dataclass(frozen=True)
class Team:
    """The processes of one training, and which of them this is.

    Attributes:
        rank: of this process, from 0.
        size: number of processes.
        local_rank: of this process among those of its node, by which it takes its GPU.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0

    @property
    def leads(self) -> bool:
        """Whether this process is the one that writes and speaks."""
        return self.rank == 0

    def device(self, chosen: torch.device) -> torch.device:
        """The device of this process: of several GPUs of a node, its own.

        Raises:
            DeviceError: the node has fewer GPUs than processes.
        """
        import torch

        if self.size == 1 or chosen.type != "cuda":
            return chosen
        found = torch.cuda.device_count()
        if self.local_rank >= found:
            raise DeviceError(
                f"torchrun started {self.local_rank + 1} processes or more here, but torch finds "
                f"{found} GPU{'s' if found != 1 else ''}: give --nproc-per-node {found}"
            )
        torch.cuda.set_device(self.local_rank)
        return torch.device("cuda", self.local_rank)

    def part(self, count: int) -> slice:
        """This process's part of ``count`` things; parts follow each other, their sizes differ by one at most."""
        return slice(count * self.rank // self.size, count * (self.rank + 1) // self.size)

    def parallel(self, network: Ensemble, *, distance: bool = False, idle: bool = False) -> Forward:
        """The outputs of an ensemble for a batch of each member, computed in parts.

        Args:
            network: the ensemble; the processes begin with the weights of the first.
            distance: give the distances of the features in place of the logits.
            idle: whether parameters may be left out of a step, being frozen or not needed for the output.

        Returns:
            From the members' inputs, tensors ``(N, ...)`` each, to their outputs ``(N,)``. Every process gives the
            whole batch and gets all outputs; gradients flow into those of its own part. A loss times
            :attr:`size` then has the gradient that one process would have.

        Raises:
            ConfigError: the network normalises over batches, and the processes compute on CPUs.
        """
        from torch import nn

        class Members(nn.Module):
            """DistributedDataParallel follows one forward pass: that of all members."""

            def __init__(self) -> None:
                super().__init__()
                self.network = network

            def forward(self, inputs: Iterable[Inputs]) -> list[Tensor]:
                pairs = zip(self.network.members, inputs, strict=True)
                return [member(*own, distance=distance)[:, 0, 0, 0] for member, own in pairs]

        members = Members()
        if self.size == 1:
            return members
        device = next(network.parameters()).device
        if any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in network.modules()):
            if device.type != "cuda":
                raise ConfigError(
                    "the network normalises over batches, which several processes do together on GPUs alone: "
                    "train it in one process, or with another model.backbone"
                )
            nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
        together = nn.parallel.DistributedDataParallel(
            members,
            device_ids=[device] if device.type == "cuda" else None,
            find_unused_parameters=idle,
        )

        def forward(inputs: Iterable[Inputs]) -> list[Tensor]:
            whole = list(inputs)
            counts = [len(own[0]) for own in whole]
            parts = [tuple(x[self.part(len(x))] for x in own) for own in whole]
            return [self._whole(output, n) for output, n in zip(together(parts), counts, strict=True)]

        return forward

    def sum(self, counts: NDArray[Number]) -> NDArray[Number]:
        """What all processes counted, added up in the numbers' own type; integers stay exact."""
        import torch
        import torch.distributed as dist

        if self.size == 1:
            return counts
        total = torch.from_numpy(counts).to("cuda" if dist.get_backend() == "nccl" else "cpu", copy=True)
        dist.all_reduce(total)
        summed: NDArray[Number] = total.cpu().numpy()
        return summed

    def any(self, flag: bool) -> bool:
        """Whether it holds in any of the processes."""
        import numpy as np

        return bool(self.sum(np.array([flag], dtype=np.int64))[0]) if self.size > 1 else flag

    def vary_noise(self, seed: int, epoch: int) -> None:
        """Let each process but the first draw noise and dropout of its own in an epoch, the same when resumed."""
        import numpy as np
        import torch

        if not self.leads:
            torch.manual_seed(int(np.random.SeedSequence([seed, epoch, self.rank]).generate_state(1)[0]))

    def _whole(self, own: Tensor, count: int) -> Tensor:
        """All outputs of a batch: this process's with their gradients, the others' as numbers."""
        import torch
        import torch.distributed as dist

        part = self.part(count)
        others = own.new_zeros(count, requires_grad=False)
        others[part] = own.detach()
        dist.all_reduce(others)
        return torch.cat([others[: part.start], own, others[part.stop :]])


ALONE = Team()
"""One process, as there is by default."""


def launched() -> Team | None:
    """The processes that torchrun started, or None where this one was started by itself."""
    if any(name not in os.environ for name in _LAUNCHED):
        return None
    rank, size, local_rank = (int(os.environ[name]) for name in _LAUNCHED[:3])
    return Team(rank, size, local_rank) if size > 1 else None


@contextlib.contextmanager
def join_team(*, device: str) -> Iterator[Team]:
    """The processes that torchrun started, connected; or this one alone.

    Args:
        device: ``auto``, ``cpu`` or ``cuda``: GPUs are connected otherwise than CPUs.

    Yields:
        The team. While the block runs, all of its processes but the first are silent.

    Raises:
        DeviceError: ``cuda`` is asked for and there is none.
    """
    team = launched()
    if team is None:
        yield ALONE
        return
    import torch.distributed as dist

    from hsi_cd.runtime.device import choose_device

    with contextlib.ExitStack() as quiet:
        if not team.leads:
            nothing = quiet.enter_context(open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123
            quiet.enter_context(contextlib.redirect_stdout(nothing))
            quiet.enter_context(contextlib.redirect_stderr(nothing))
            quiet.callback(logging.disable, logging.root.manager.disable)
            logging.disable(logging.WARNING)
        dist.init_process_group("nccl" if choose_device(device).type == "cuda" else "gloo")
        try:
            yield team
        finally:
            dist.destroy_process_group()


def first_to_speak() -> bool:
    """Whether this process is the first of its team that has something to say before it leaves.

    Where one process fails the others do, too, since they wait for it in vain; only the first one knows why.
    """
    if launched() is None:
        return True
    try:
        from torch._C._distributed_c10d import TCPStore

        address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
        store = TCPStore(address, port, is_master=False, timeout=_QUESTION, wait_for_workers=False)
        return store.add(f"hsi-cd speaks {os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}", 1) == 1
    except (RuntimeError, ValueError):  # nobody to ask
        return True
