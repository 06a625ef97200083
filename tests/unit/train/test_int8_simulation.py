"""The simulated int8 form of a network, against the network and against the file that ONNX Runtime makes of it."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
import torch
from tests.tiny_reparam import TINY_MOBILEONE, TINY_REPVGG, TINY_REPVIT
from torch import nn

from edgewise.blocks.rounding import RoundedMap, RoundedWeight
from edgewise.deploy.exporters.onnx import OnnxExporter
from edgewise.deploy.exporters.protocol import ExportOptions
from edgewise.errors import InputError
from edgewise.graph.capture import capture
from edgewise.models.build import build
from edgewise.models.families.mobilenetv1 import alike, wider
from edgewise.spec.heads import PoolHeadSpec
from edgewise.spec.model import ModelSpec
from edgewise.spec.row import SESpec
from edgewise.spec.rows import ConvSpec, InvertedResidualSpec, MQASpec
from edgewise.train.ema import Ema
from edgewise.train.int8_simulation import SimulatedInt8

V1 = ModelSpec(
    name="v1",
    act="relu6",
    stem=ConvSpec(out_chs=8),
    stages=((wider(16), alike(16)),),
    head=PoolHeadSpec(),
    num_classes=5,
)
V3 = ModelSpec(
    name="v3",
    act="hard_swish",
    padding="same",
    stem=ConvSpec(out_chs=8),
    stages=((InvertedResidualSpec(out_chs=8, se=SESpec()), MQASpec(num_heads=2, key_dim=4, value_dim=4)),),
    num_classes=5,
)
SPECS = [V1, V3, TINY_REPVGG, TINY_MOBILEONE, TINY_REPVIT]


def settled(spec: ModelSpec) -> nn.Module:
    """Return a network whose norms have seen images."""
    torch.manual_seed(0)
    network = build(spec)
    for _ in range(3):
        network.train()(images(seed=1))
    return network.eval()


def images(seed: int = 0, count: int = 16) -> torch.Tensor:
    return torch.randn(count, 3, 32, 32, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_it_has_the_weights_of_the_fused_network_and_answers_nearly_like_it(spec):
    network = settled(spec)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    simulated = SimulatedInt8(network, 32, 3)
    fused = network.fuse()
    weights = simulated.weights()
    assert weights.keys() == fused.state_dict().keys()
    assert all(torch.equal(value, weights[name]) for name, value in fused.state_dict().items())
    simulated.train()(images())
    with torch.no_grad():
        ours, theirs = simulated.eval()(images()), fused(images())
    error = float((ours - theirs).abs().max() / theirs.abs().max())
    assert 1e-4 < error < 0.3
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_kernels_and_maps_are_rounded_but_for_what_a_runtime_computes_at_once():
    simulated = SimulatedInt8(settled(V1), 32, 3)
    # the image; 1 + 2 x 2 convolutions each with its ReLU6; the pooled map; the logits
    assert sum(isinstance(module, RoundedMap) for module in simulated.modules()) == 1 + 5 + 1 + 1
    assert sum(isinstance(module, RoundedWeight) for module in simulated.modules()) == 5 + 1


def test_every_weight_learns_any_batch_is_taken_and_ranges_can_be_fixed():
    simulated = SimulatedInt8(settled(V1), 32, 3).train()
    simulated(images(count=1)).sum().backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in simulated.parameters())
    before = {name: value.clone() for name, value in simulated.state_dict().items()}
    simulated.start_step(0, fixed=True)
    simulated(100 * images(count=3))
    assert all(torch.equal(value, before[name]) for name, value in simulated.state_dict().items())
    simulated.start_step(2, fixed=False)
    simulated(100 * images(count=3))
    assert not all(torch.equal(value, before[name]) for name, value in simulated.state_dict().items())


def test_every_other_step_is_computed_in_float():
    network = settled(V1)
    simulated, fused = SimulatedInt8(network, 32, 3).train(), network.fuse()
    simulated(images())
    simulated.start_step(3, fixed=False)
    with torch.no_grad():
        torch.testing.assert_close(simulated.train()(images()), fused(images()))
        assert (simulated.eval()(images()) - fused(images())).abs().max() > 1e-4


def test_quiet_channels_are_held_in_units_of_their_size():
    """A step that is equally large for all weights must not be many times a small one."""
    network = settled(V1)
    quieten(network)
    simulated, fused = SimulatedInt8(network, 32, 3), network.fuse()
    kernel = fused.blocks[0][0].conv_dw.weight
    held = simulated.program.get_parameter("blocks.0.0.conv_dw.weight")
    largest, held_largest = (each.detach().abs().amax((1, 2, 3)) for each in (kernel, held))
    assert largest[::2].max() < 0.01
    assert held_largest.min() >= 0.24
    assert torch.equal(simulated.weights()["blocks.0.0.conv_dw.weight"], kernel)
    assert torch.equal(simulated.weights()["blocks.0.0.conv_dw.bias"], fused.blocks[0][0].conv_dw.bias)


def test_an_average_made_before_the_first_batch_stays_finite():
    simulated = SimulatedInt8(settled(V1), 32, 3).train()
    average = Ema(simulated, 0.9)
    simulated(images())
    for update in range(30):
        average.update(update)
    torch.testing.assert_close(average.model(images()), simulated.eval()(images()), atol=0.05, rtol=0.05)


def quieten(network: nn.Module) -> None:
    """Keep the function of V1 but make half of the channels behind a depthwise convolution 2,000 times quieter."""
    with torch.no_grad():
        for block in network.blocks[0]:
            scale = torch.ones(len(block.bn1.weight))
            scale[::2] = 1 / 2000
            block.bn1.weight *= scale
            block.bn1.bias *= scale
            block.conv_pw.weight /= scale.view(1, -1, 1, 1)


def test_it_foretells_what_the_int8_file_answers(tmp_path):
    """Where int8 loses much, the simulation errs as ONNX Runtime's own quantiser does."""
    network = settled(V1)
    quieten(network)
    simulated = SimulatedInt8(network, 32, 3)
    simulated.train()(images(seed=2, count=64))
    np.save(tmp_path / "images.npy", images(seed=2, count=64).numpy())
    program = capture(network.fuse(), torch.zeros(2, 3, 32, 32), dynamic_batch=True)
    options = ExportOptions(precision="int8", calibration=tmp_path / "images.npy")
    OnnxExporter().export(program, tmp_path / "int8.onnx", options)
    session = onnxruntime.InferenceSession(str(tmp_path / "int8.onnx"), providers=["CPUExecutionProvider"])
    (file,) = session.run(None, {"images": images().numpy()})
    with torch.no_grad():
        exact, ours = network(images()).numpy(), simulated.eval()(images()).numpy()
    lost, unforeseen = np.abs(file - exact).mean(), np.abs(file - ours).mean()
    assert lost > 0.1 * np.abs(exact).mean(), "int8 loses too little here for the test to mean anything"
    assert unforeseen < 0.5 * lost


def test_what_cannot_be_captured_is_refused():
    class Undecided(nn.Module):
        def forward(self, x):
            return x if x.sum() > 0 else -x

    with pytest.raises(InputError, match="Undecided cannot be captured"):
        SimulatedInt8(Undecided(), 32, 3)
