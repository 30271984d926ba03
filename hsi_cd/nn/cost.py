"""What a network costs: operations, parameters and memory, layer by layer."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode


@dataclass(frozen=True)
class LayerCost:
    """One layer of a network, as it computes one input.

    Attributes:
        name: as in ``named_modules``; empty for the network itself.
        kind: its class.
        output: shape of what it gives (of the first, if several), without the batch.
        parameters: numbers of its own, without those of the layers inside it.
        flops: operations of its own for the whole batch, two for each multiplication and addition.
    """

    name: str
    kind: str
    output: tuple[int, ...]
    parameters: int
    flops: int


def layer_costs(network: nn.Module, *inputs: Tensor) -> list[LayerCost]:
    """The layers of a network that have parameters or operations of their own, in the order of the modules.

    Args:
        network: in the mode that is to be counted.
        inputs: what it is called with.
    """
    outputs: dict[str, tuple[int, ...]] = {}

    def watch(name: str) -> Callable[[nn.Module, Any, Any], None]:
        def hook(module: nn.Module, given: Any, output: Any) -> None:
            first = next(leaf for leaf in tree_leaves(output) if isinstance(leaf, Tensor))
            outputs[name] = tuple(first.shape[1:])

        return hook

    handles = [module.register_forward_hook(watch(name)) for name, module in network.named_modules()]
    try:
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            network(*inputs)
    finally:
        for handle in handles:
            handle.remove()
    root = type(network).__name__
    counted = counter.get_flop_counts().items()  # by class and path, as "Ensemble.members.0", and "Global" for all
    total = {path.removeprefix(root)[1:]: sum(ops.values()) for path, ops in counted if path != "Global"}
    layers = []
    for name, module in network.named_modules():
        parameters = sum(parameter.numel() for parameter in module.parameters(recurse=False))
        own = total[name] - sum(total[inner] for inner in _nearest_below(name, total)) if name in total else 0
        if parameters or own:
            layers.append(LayerCost(name, type(module).__name__, outputs.get(name, ()), parameters, own))
    return layers


def _nearest_below(name: str, paths: Iterable[str]) -> list[str]:
    """Those paths below ``name`` that lie below no other such path."""
    below = [path for path in paths if path != name and (not name or path.startswith(f"{name}."))]
    return [path for path in below if not any(path.startswith(f"{other}.") for other in below)]


class PeakMemory(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Bytes of the tensors that are alive at once while it is active, at most, beside those known before.

    Args:
        known: tensors that are there anyway, as parameters and inputs.
    """

    def __init__(self, known: Iterable[Tensor] = ()) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now = self.peak = 0
        self._alive: dict[int, weakref.ref[Any]] = {}
        self._known = [x.untyped_storage() for x in known]  # held, so that no other storage takes their place
        self._ignored = {storage.data_ptr() for storage in self._known}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run an operation, and count the memory of what it gives."""
        out = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(out):
            if isinstance(leaf, Tensor):
                self._count(leaf.untyped_storage())
        return out

    def _count(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key in self._alive or storage.data_ptr() in self._ignored:
            return

        def gone(reference: weakref.ref[Any]) -> None:
            self.now -= size
            del self._alive[key]

        self._alive[key] = weakref.ref(storage, gone)
        self.now += size
        self.peak = max(self.peak, self.now)


def kept_for_backward(network: nn.Module, *inputs: Tensor) -> int:
    """Bytes that one forward pass keeps for the backward pass, beside parameters and inputs."""
    known = {x.untyped_storage().data_ptr() for x in (*network.parameters(), *network.buffers(), *inputs)}
    kept: dict[int, int] = {}
    held = []

    def pack(x: Tensor) -> Tensor:
        storage = x.untyped_storage()
        if storage.data_ptr() not in known:
            kept[storage.data_ptr()] = storage.nbytes()
            held.append(storage)  # while it is held, no other tensor takes its place
        return x

    with saved_tensors_hooks(pack, lambda x: x):
        network(*inputs)
    return sum(kept.values())
