import numpy as np
import pytest
import torch
from onnx import TensorProto
from onnxruntime.quantization.quant_utils import compute_scale_zp, quantize_data

from edgewise.blocks.rounding import RATE, RoundedMap, RoundedWeight


def test_weights_round_as_onnx_runtime_rounds_them():
    """Per output channel, symmetric, seven bits; channels of very different size, one of zeros."""
    weight = torch.randn(4, 3, 3, 3, generator=torch.Generator().manual_seed(0))
    weight *= torch.tensor([1e-3, 1.0, 50.0, 0.0]).view(-1, 1, 1, 1)
    rounded = RoundedWeight()(weight)
    assert not torch.equal(rounded, weight)
    for channel in range(3):
        values = weight[channel].numpy()
        *_, scale, levels = quantize_data(values, TensorProto.INT8, symmetric=True, reduce_range=True)
        np.testing.assert_allclose(rounded[channel], levels * np.float32(scale), rtol=1e-6, atol=0)
        assert len(rounded[channel].unique()) > 10
    assert not rounded[3].any()


def test_a_weight_s_gradient_passes_as_if_nothing_was_rounded():
    weight = torch.randn(2, 5, generator=torch.Generator().manual_seed(0), requires_grad=True)
    factor = torch.arange(10.0).view(2, 5)
    (RoundedWeight()(weight) * factor).sum().backward()
    assert torch.equal(weight.grad, factor)


@pytest.mark.parametrize(("low", "high"), [(-1.0, 3.0), (0.5, 2.0), (-3.0, -1.0)])
def test_maps_round_as_onnx_runtime_rounds_them(low, high):
    """Per tensor, 256 levels over the range with zero in it, zero exact."""
    x = low + (high - low) * torch.rand(2, 5, 10, 10, generator=torch.Generator().manual_seed(0))
    x[0, 0, 0, :2] = torch.tensor([low, high])
    rounded = RoundedMap().train()(x)
    ends = (np.array(value, np.float32) for value in (low, high, 0, 255))
    zero_point, scale = compute_scale_zp(*ends, symmetric=False)
    levels = np.clip(np.rint(x.numpy() / scale) + zero_point, 0, 255)
    np.testing.assert_allclose(rounded, (levels - zero_point) * scale, atol=1e-6)
    assert RoundedMap().train()(torch.tensor([low, high, 0.0]))[2] == 0


def test_the_range_follows_in_training_alone_and_can_be_fixed():
    rounding = RoundedMap().train()
    rounding(torch.tensor([-1.0, 1.0]))
    assert (rounding.low.item(), rounding.high.item()) == (-1.0, 1.0)
    rounding(torch.tensor([-1.0, 2.0]))
    assert (rounding.low.item(), rounding.high.item()) == (-1.0, pytest.approx(1 + RATE))
    kept = rounding.high.clone()
    rounding.eval()(torch.tensor([100.0]))
    rounding.is_observing = False
    assert rounding.train()(torch.tensor([100.0])).item() == pytest.approx(kept.item(), rel=0.01)
    assert torch.equal(rounding.high, kept)


def test_a_clipped_value_has_no_gradient():
    rounding = RoundedMap().train()
    rounding(torch.tensor([0.0, 1.0]))
    rounding.is_observing = False
    x = torch.tensor([-0.5, 0.25, 0.75, 1.5], requires_grad=True)
    rounding(x).sum().backward()
    assert x.grad.tolist() == [0, 1, 1, 0]


def test_the_range_is_part_of_the_state():
    one, other = RoundedMap().train(), RoundedMap().eval()
    one(torch.tensor([-2.0, 5.0]))
    other.load_state_dict(one.state_dict())
    x = torch.linspace(-3, 6, 50)
    assert torch.equal(other(x), one.eval()(x))


@pytest.mark.parametrize("rounding", [RoundedMap(), RoundedWeight()], ids=lambda each: type(each).__name__)
def test_a_pause_holds_in_training_alone(rounding):
    x = torch.randn(3, 7, generator=torch.Generator().manual_seed(0))
    first = rounding.train()(x)
    rounding.is_paused = True
    assert rounding.train()(100 * x) is not first
    assert torch.equal(rounding.train()(100 * x), 100 * x)
    assert torch.equal(rounding.eval()(x), first)
    assert not torch.equal(first, x)
