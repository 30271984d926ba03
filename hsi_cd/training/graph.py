"""The graph of a network as TensorBoard draws it, without TensorBoard."""

from __future__ import annotations

import torch
from tensorboardX.proto.attr_value_pb2 import AttrValue
from tensorboardX.proto.graph_pb2 import GraphDef
from tensorboardX.proto.node_def_pb2 import NodeDef
from tensorboardX.proto.versions_pb2 import VersionDef
from torch import Tensor, nn


def network_graph(network: nn.Module, inputs: tuple[Tensor, ...]) -> GraphDef:
    """What a network computes: its operations, named by the modules they belong to, and what feeds them.

    Args:
        network: left in evaluation mode, in which it is traced (``torch.export``).
        inputs: an example of its inputs.

    Returns:
        One node for each input, parameter and operation; a slash in a name is a box that can be opened.
    """
    network.eval()
    nodes = torch.export.export(network, inputs).graph.nodes
    names: dict[torch.fx.Node, str] = {}
    graph = GraphDef(versions=VersionDef(producer=22))
    for node in nodes:
        modules = [path for path, _ in (node.meta.get("nn_module_stack") or {}).values()]
        scope = modules[-1].replace(".", "/") if modules else "inputs" if node.op == "placeholder" else ""
        names[node] = f"{scope}/{node.name}" if scope else node.name
        fed_by = [names[source] for source in node.all_input_nodes]
        shape = getattr(node.meta.get("val"), "shape", None)
        attributes = {} if shape is None else {"shape": AttrValue(s=str(list(shape)).encode())}
        graph.node.append(NodeDef(name=names[node], op=str(node.target), input=fed_by, attr=attributes))
    return graph
