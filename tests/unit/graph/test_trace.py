"""What the dispatcher sees of a pass: modules, views, memory, constants; and passes that cannot be followed."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from edgewise.errors import InputError
from edgewise.graph.trace import Call, trace

SHAPE = (1, 3, 8, 8)


def _ops(net: nn.Module, shape: tuple[int, ...] = SHAPE) -> list[Call]:
    return list(trace(net, shape).calls)


def test_every_operator_with_its_module() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Sequential(nn.BatchNorm2d(4), nn.ReLU(inplace=True)))
    run = trace(net, SHAPE)
    seen = [(call.op, call.module) for call in run.calls if call.op != "aten.empty"]
    assert seen == [("aten.convolution", "0"), ("aten.native_batch_norm", "1.0"), ("aten.relu_", "1.1")]
    conv, relu = run.calls[0], run.calls[-1]
    assert [value.name for value in conv.inputs] == ["", "0.weight", "0.bias"]
    assert conv.inputs[0] is run.inputs[0]
    assert [value.fixed for value in conv.inputs] == [False, True, True]
    assert relu.writes_into
    assert relu.outputs == run.outputs
    assert relu.outputs[0].shape == (1, 4, 6, 6)


def test_views_lie_in_the_memory_that_they_look_at() -> None:
    class Views(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.permute(0, 2, 3, 1)[:, 1:].flatten(1) * 2

    permute, *rest = _ops(Views())
    assert permute.is_view
    assert permute.outputs[0].buffer is permute.inputs[0].buffer
    assert rest[-1].op == "aten.mul"
    assert rest[-1].outputs[0].buffer is not permute.inputs[0].buffer


def test_what_is_computed_from_weights_alone_is_fixed_until_an_image_is_written_there() -> None:
    class Fills(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(3, 1, 1))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            doubled = self.scale * 2
            out = torch.zeros_like(x)
            out[:, :2] = x[:, :2]
            return out * doubled

    calls = _ops(Fills())
    assert calls[0].fixed
    assert calls[0].outputs[0].fixed
    assert not calls[-1].fixed
    assert [value.fixed for value in calls[-1].inputs] == [False, True]


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_the_model_is_left_as_it_was(device: str) -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5)).to(device)
    net[1].eval()  # frozen while the rest trains
    before = [net[0].weight, net[1].running_mean]
    trace(net, SHAPE)
    assert [module.training for module in net.modules()] == [True, True, False, True]
    assert [net[0].weight, net[1].running_mean] == [*before] or device == "meta"
    assert net[0].weight is before[0]
    assert all(not m._forward_hooks and not m._forward_pre_hooks for m in net.modules())
    assert net[1].num_batches_tracked.device.type == device


def test_tensors_that_a_model_makes_without_a_device() -> None:
    class Adds(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + torch.arange(8.0)

    for net in (
        Adds(),
        nn.Sequential(nn.Conv2d(3, 3, 1), Adds()),
        nn.Sequential(nn.Conv2d(3, 3, 1), Adds()).to("meta"),
    ):
        assert _ops(net)[-1].op == "aten.add"


class Asks(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.mean() > 0:
            return x * 2
        return x


class Picks(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x[x > 0]


@pytest.mark.parametrize("device", ["cpu", "meta"])
@pytest.mark.parametrize(
    ("block", "line"), [(Asks(), "'if x.mean() > 0:'"), (Picks(), "'return x[x > 0]'")], ids=["branch", "mask"]
)
def test_a_course_that_depends_on_the_image_is_refused_with_its_place(device, block, line) -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Sequential(nn.ReLU(), block)).to(device)
    with pytest.raises(
        InputError, match="Sequential cannot be counted: its course depends on what the image shows"
    ) as e:
        trace(net, SHAPE)
    assert " in 1.1, test_trace.py line " in str(e.value)
    assert str(e.value).endswith(line)


class Rounds(nn.Module):
    """Reads a number out of its own weights."""

    def __init__(self) -> None:
        super().__init__()
        self.times = nn.Parameter(torch.tensor(2.0))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for _ in range(int(self.times)):
            x = x.relu()
        return x


def test_a_course_that_depends_on_weights_is_followed_where_there_are_any() -> None:
    assert [call.op for call in _ops(Rounds())].count("aten.relu") == 2
    with pytest.raises(
        InputError, match=r"Rounds cannot be counted on meta: .* asks for values of weights, in the model"
    ):
        trace(Rounds().to("meta"), SHAPE)


def test_another_failure_names_the_module() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Sequential(nn.Flatten(), nn.Linear(5, 2)))
    with pytest.raises(InputError, match=r"Sequential cannot be captured at \(1, 3, 8, 8\): .* in 1\.1"):
        trace(net, SHAPE)


def test_answers_of_several_tensors() -> None:
    class Several(nn.Module):
        def forward(self, x: torch.Tensor) -> dict[str, object]:
            return {"a": x + 1, "b": [x.mean(), x]}

    assert [value.shape for value in trace(Several(), SHAPE).outputs] == [SHAPE, (), SHAPE]
