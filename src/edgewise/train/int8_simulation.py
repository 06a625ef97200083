"""A network that computes in training as its int8 file will: quantisation-aware training.

The network is fused first, then captured, and rounding is put behind every map and in front of every kernel that one of the int8
runtimes keeps in 8 bits. What is trained is what is deployed: norms are folded before training and not simulated (static folding,
Nagel et al. 2021, arXiv 2106.08295), and the branches of RepVGG, MobileOne and RepViT are one convolution. So the statistics of the
norms are fixed from the start; the ranges of the maps are fixed by `train.learner` behind half of the run.

torchao's PT2E puts the same rounding into a captured program and was tried first (torchao 0.18, torch 2.14). On the training form,
whose norms it simulates by rewriting patterns, MobileOne-S0 was not prepared after eight minutes, and MobileNetV3-Small took one to two
seconds for each change between training and validation. On the fused form it is quick, but there a quarter of its states begin
infinite and get their shape from the first batch: an average of the weights that begins before it turns NaN. Its quantisers are those of
one runtime each (XNNPACK's comes with ExecuTorch), and its scales of weights are running averages where the exporters take
the weights as they are. What is left to do is below, on operators of torch's core, so that no run needs an extra.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import fx, nn

from edgewise.blocks.fuse import fuse
from edgewise.blocks.rounding import RoundedMap, RoundedWeight, Rounding
from edgewise.graph.capture import capture

aten = torch.ops.aten

KERNELS = frozenset({aten.conv2d.default, aten.linear.default})
"""Operators whose second input is a weight."""
CLIPS = frozenset(
    {
        aten.relu.default,
        aten.relu_.default,
        aten.relu6.default,
        aten.relu6_.default,
        aten.hardtanh.default,
        aten.hardtanh_.default,
    }
)
"""What every runtime computes together with the operator before it: nothing is rounded between the two."""
MAPS = (
    KERNELS
    | CLIPS
    | {
        aten.batch_norm.default,
        aten.add.Tensor,
        aten.add_.Tensor,
        aten.mul.Tensor,
        aten.mul_.Tensor,
        aten.matmul.default,
        aten.mean.dim,
        aten.adaptive_avg_pool2d.default,
        aten.avg_pool2d.default,
        aten.cat.default,
        aten.hardswish.default,
        aten.hardswish_.default,
        aten.hardsigmoid.default,
        aten.hardsigmoid_.default,
        aten.sigmoid.default,
        aten.silu.default,
        aten.silu_.default,
        aten.gelu.default,
        aten.prelu.default,
    }
)
"""Operators whose answers at least one int8 runtime keeps in 8 bits."""


USUAL_WEIGHT = 0.25
"""About the largest weight of a channel in a network with norms."""


class SimulatedInt8(nn.Module):
    """The int8 form of a network, (N, in_chans, S, S) to (N, num_classes), with float weights that can be trained.

    In eval mode it rounds, always. In train mode `start_step` says what is to be done.

    A quiet channel, whose largest weight is below `USUAL_WEIGHT`, is held as a multiple of a power of two about so much smaller. Adam's
    steps are equally large for every weight; behind folded norms channels differ a hundredfold, and a step that suits the loud ones
    would be many times the weights of the quiet ones.
    """

    def __init__(self, network: nn.Module, img_size: int, in_chans: int) -> None:
        """Simulate ``network``, which is left as it is.

        Raises:
            InputError: it cannot be captured.
        """
        super().__init__()
        fused = fuse(network)
        program = capture(fused, torch.zeros(2, in_chans, img_size, img_size), dynamic_batch=True)
        self.program = with_rounding(program.module(check_guards=False))
        found = self.program.state_dict()
        self.names = tuple(name for name in fused.state_dict() if name in found)
        self.unused = {name: value for name, value in fused.state_dict().items() if name not in found}
        """What has no part in answers: the batch counters of norms that could not be folded."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, in_chans, S, S) -> (N, num_classes) logits."""
        logits: torch.Tensor = self.program(x)
        return logits

    def start_step(self, step: int, *, fixed: bool) -> None:
        """Prepare for training step number ``step`` from 0: those of odd number are computed in float, by the same weights.

        Runtimes round in different places and over different ranges, and NNCF even aligns channels first. Weights that know one grid
        alone drift within its levels and fail in the others, and in float; the steps between keep them from it. (Fan et al. 2020,
        arXiv 2004.07320, round a random part of the weights in each step for a like reason.)

        Args:
            step: decides by itself, so that a resumed run does the same.
            fixed: keep the ranges of all maps as they are, instead of letting them follow what they see.
        """
        for module in self.modules():
            if isinstance(module, Rounding):
                module.is_paused = step % 2 == 1
            if isinstance(module, RoundedMap):
                module.is_observing = not fixed

    @torch.no_grad()
    def weights(self) -> dict[str, torch.Tensor]:
        """Return the state of the fused network that is simulated: its own names, no ranges and no units."""
        found = self.program.state_dict()
        own = {
            name: found[name] * found[unit] if (unit := unit_of(name)) in found else found[name] for name in self.names
        }
        return own | self.unused


def unit_of(name: str) -> str:
    """Return under which name the unit is held of which the parameter ``name`` is a multiple."""
    return f"unit_{name.replace('.', '_')}"


def with_rounding(captured: fx.GraphModule) -> fx.GraphModule:
    """Return the captured program with its kernels and maps rounded; its parameters keep their names, those of kernels in units."""
    # of a class of its own: what torch.export gives refuses train() and eval()
    module = fx.GraphModule(captured, captured.graph)
    graph = module.graph
    maps = [node for node in graph.nodes if node.op == "placeholder" or node.target in MAPS]
    kernels = [node for node in graph.nodes if node.target in KERNELS]
    for node in kernels:
        with graph.inserting_before(node):
            weight, *bias = _in_units(module, [each for each in node.args[1:3] if isinstance(each, fx.Node)])
            rounded = _rounded(module, RoundedWeight(), weight)
            node.args = (node.args[0], rounded, *bias, *node.args[2 + len(bias) :])
    for node in [each for each in maps if not _is_clipped(each.users)]:
        with graph.inserting_after(node):
            rounded = _rounded(module, RoundedMap(), node)
        node.replace_all_uses_with(rounded, delete_user_cb=lambda user, own=rounded: user is not own)
    graph.lint()
    module.recompile()
    return module


def _rounded(module: fx.GraphModule, rounding: Rounding, node: fx.Node) -> fx.Node:
    name = f"rounding_of_{node.name}"
    module.add_module(name, rounding)
    return module.graph.call_module(name, (node,))


def _in_units(module: fx.GraphModule, nodes: list[fx.Node]) -> list[fx.Node]:
    """Divide a kernel (out, …) and its bias, where it has one, by the unit of each output channel, and return what gives their values."""
    if any(node.op != "get_attr" for node in nodes):
        return nodes
    parameters = [_parameter(module, str(node.target)) for node in nodes]
    unit = _units(parameters[0])
    values = []
    for node, parameter in zip(nodes, parameters, strict=True):
        name = unit_of(str(node.target))
        if not hasattr(module, name):  # else it is used twice, and divided already
            module.register_buffer(name, unit.view(-1, *[1] * (parameter.dim() - 1)))
            parameter.data /= getattr(module, name)
        values.append(module.graph.call_function(torch.mul, (node, module.graph.get_attr(name))))
    return values


@torch.no_grad()
def _units(kernel: torch.Tensor) -> torch.Tensor:
    """Return (out,): powers of two, by which dividing is exact, up to 1."""
    largest = kernel.abs().amax(dim=tuple(range(1, kernel.dim())))
    return torch.exp2((largest / USUAL_WEIGHT).clamp(2.0**-24, 1.0).log2().floor())


def _parameter(module: nn.Module, path: str) -> nn.Parameter:
    parent, _, name = path.rpartition(".")
    return getattr(module.get_submodule(parent), name)  # type: ignore[no-any-return]


def _is_clipped(users: Iterable[fx.Node]) -> bool:
    return all(user.target in CLIPS for user in users)
