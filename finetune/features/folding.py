"""A faster copy of a trunk: its BatchNorm layers folded into the convolutions before them."""

from timm.layers import BatchNormAct2d, Conv2dSame
from torch import fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

_PLAIN_CONVOLUTIONS = (nn.Conv2d, Conv2dSame)


def fold_norms(trunk: nn.Module) -> nn.Module:
    """The same function as `trunk`, but for rounding, in fewer passes; `trunk` itself is not touched.

    For training views only: scores always come from the network as it is saved.
    """
    if not isinstance(trunk, fx.GraphModule):
        return trunk
    graph = fx.Graph()
    graph.output(graph.graph_copy(trunk.graph, {}))
    folded = fx.GraphModule(trunk, graph, f"Folded{type(trunk).__name__}")
    for number, node in enumerate(list(folded.graph.nodes)):
        source = node.args[0] if node.op == "call_module" and node.args else None
        if not isinstance(source, fx.Node) or source.op != "call_module" or len(source.users) != 1:
            continue
        convolution, norm = folded.get_submodule(str(source.target)), folded.get_submodule(str(node.target))
        if not isinstance(convolution, nn.Conv2d) or not isinstance(norm, nn.BatchNorm2d):
            continue
        if type(convolution) in _PLAIN_CONVOLUTIONS and _is_folded_exactly(norm):
            folded.add_submodule(f"folded_{number}", fuse_conv_bn_eval(convolution, norm))
            source.target = f"folded_{number}"
            folded.add_submodule(f"after_{number}", _activation_of(norm))
            node.target = f"after_{number}"
    folded.delete_all_unused_submodules()
    folded.recompile()
    return folded.eval()


def _is_folded_exactly(norm: nn.BatchNorm2d) -> bool:
    return type(norm) in (nn.BatchNorm2d, BatchNormAct2d) and not norm.training and norm.running_var is not None


def _activation_of(norm: nn.Module) -> nn.Module:
    return nn.Sequential(norm.drop, norm.act) if isinstance(norm, BatchNormAct2d) else nn.Identity()
