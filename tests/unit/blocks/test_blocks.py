"""Blocks against hand-made small cases, and every argument has an effect."""

from __future__ import annotations

import pytest
import torch
from tests.conftest import randomise
from torch import nn

from edgewise.blocks.attention import MQA, MapAttention
from edgewise.blocks.drop_path import DropPath
from edgewise.blocks.fused_ib import FusedIB
from edgewise.blocks.uib import UIB


@pytest.mark.parametrize(
    ("start", "mid", "names"),
    [
        (3, 5, ["dw_start", "pw_exp", "dw_mid", "pw_proj"]),
        (None, 3, ["pw_exp", "dw_mid", "pw_proj"]),
        (5, None, ["dw_start", "pw_exp", "pw_proj"]),
        (None, None, ["pw_exp", "pw_proj"]),
    ],
)
def test_uib_forms_have_their_convolutions(start: int | None, mid: int | None, names: list[str]) -> None:
    block = UIB(8, 16, 1, 2.0, start, mid)
    assert [name for name, _ in block.named_modules() if name.endswith(".conv")] == [f"{name}.conv" for name in names]


def test_uib_strides_on_the_middle_depthwise_else_on_the_start() -> None:
    both, start_only = UIB(8, 8, 2, 2.0, 3, 5), UIB(8, 8, 2, 2.0, 3, None)
    assert (both.dw_start.conv.stride, both.dw_mid.conv.stride) == ((1, 1), (2, 2))
    assert start_only.dw_start.conv.stride == (2, 2)
    assert both(torch.zeros(2, 8, 8, 8)).shape == start_only(torch.zeros(2, 8, 8, 8)).shape == (2, 8, 4, 4)


def test_uib_start_depthwise_and_projection_are_linear() -> None:
    block = UIB(8, 8, 1, 2.0, 3, 3)
    assert isinstance(block.dw_start.act, nn.Identity)
    assert isinstance(block.pw_proj.act, nn.Identity)
    assert isinstance(block.pw_exp.act, nn.ReLU)
    assert isinstance(block.dw_mid.act, nn.ReLU)


def test_residual_only_where_shapes_allow() -> None:
    x = torch.randn(2, 8, 8, 8)
    for block, skips in (
        (UIB(8, 8, 1, 2.0), True),
        (UIB(8, 16, 1, 2.0), False),
        (UIB(8, 8, 2, 2.0), False),
        (FusedIB(8, 8, 3, 1, 2.0), True),
        (FusedIB(8, 8, 3, 2, 2.0), False),
    ):
        last = block.pw_proj.bn if isinstance(block, UIB) else block.bn2
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        out = block.eval()(x)
        assert torch.equal(out, x) if skips else bool((out == 0).all())


def test_attention_equals_the_definition() -> None:
    layer = randomise(MapAttention(6, num_heads=3, key_dim=4, value_dim=5)).eval()
    x = torch.randn(2, 6, 3, 2)
    q = layer.query.proj(x).flatten(2).transpose(1, 2)  # (N, L, h*k)
    k = layer.key.proj(x).flatten(2).transpose(1, 2)
    v = layer.value.proj(x).flatten(2).transpose(1, 2)
    heads = [torch.softmax(q[..., 4 * h : 4 * h + 4] @ k.transpose(1, 2) / 2.0, -1) @ v for h in range(3)]
    wanted = layer.output.proj(torch.cat(heads, -1).transpose(1, 2).reshape(2, 15, 3, 2))
    torch.testing.assert_close(layer(x), wanted)


def test_attention_reduces_keys_only() -> None:
    block = MQA(8, 2, 4, 4, kv_stride=2)
    assert block.attn.key(torch.zeros(1, 8, 8, 8)).shape == (1, 4, 4, 4)
    assert block(torch.zeros(2, 8, 8, 8)).shape == (2, 8, 8, 8)


def test_drop_path_keeps_the_mean_and_whole_samples() -> None:
    torch.manual_seed(0)
    out = DropPath(0.25).train()(torch.ones(4000, 2, 1, 1))
    assert out.unique().tolist() == pytest.approx([0.0, 1 / 0.75])
    assert torch.equal(out[:, 0], out[:, 1])
    assert out.mean().item() == pytest.approx(1.0, abs=0.05)
    assert torch.equal(DropPath(0.25).eval()(out), out)
