"""Mobile-Former's parts against plain numpy, element by element; where its blocks put them; the UIB inside the bridge."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.conftest import randomise
from torch import nn

from edgewise.blocks.channel_shuffle import ChannelShuffle
from edgewise.blocks.former import BneckLite, BridgedBlock, FormerBlock, FormerDown
from edgewise.blocks.former_bridge import FormerToMobile, MobileToFormer, Tokens
from edgewise.blocks.former_head import TokenHead
from edgewise.blocks.former_relu import TokenReLU
from edgewise.blocks.former_tokens import Former
from edgewise.blocks.former_uib import FormerUIB
from edgewise.blocks.fuse import fuse
from edgewise.blocks.uib import UIB
from edgewise.errors import InputError

TOKENS = Tokens(token_dim=8, bridge_heads=2, former_heads=4, mlp_ratio=2.0, hyper_reduction=4)


def _map(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def _some(module: nn.Module) -> nn.Module:
    """Weights with which attention chooses, softly."""
    module = randomise(module)
    for name, parameter in module.named_parameters():
        if name.endswith(("q.weight", "k.weight")):
            parameter.data.mul_(3.0)
    return module.double().eval()


def _linear(layer: nn.Linear, x: np.ndarray) -> np.ndarray:
    return x @ layer.weight.detach().numpy().T + layer.bias.detach().numpy()


def _norm(layer: nn.LayerNorm, x: np.ndarray) -> np.ndarray:
    centred = x - x.mean(-1, keepdims=True)
    scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5)
    return scaled * layer.weight.detach().numpy() + layer.bias.detach().numpy()


def _hard_sigmoid(x: np.ndarray) -> np.ndarray:
    return np.clip(x + 3.0, 0.0, 6.0) / 6.0


def _softmax(x: np.ndarray) -> np.ndarray:
    return np.exp(x) / np.exp(x).sum()


def _same(ours: torch.Tensor, wanted: np.ndarray) -> None:
    # torch's hard sigmoid holds 1/6 in float32, also for float64
    np.testing.assert_allclose(ours.detach().numpy(), wanted, rtol=0, atol=2e-7 * np.abs(wanted).max())


def test_tokens_read_the_map() -> None:
    bridge = _some(MobileToFormer(6, TOKENS))
    x, tokens = _map(2, 6, 2, 3).double(), _map(2, 4, 8, seed=1).double()
    wanted = np.zeros((2, 4, 8))
    for n in range(2):
        positions = x[n].numpy().reshape(6, 6)  # channel, position
        for m in range(4):
            token = tokens[n, m].numpy()
            query, read = _linear(bridge.q, token), np.zeros(6)
            for chs in (slice(0, 3), slice(3, 6)):  # two heads
                weights = _softmax(query[chs] @ positions[chs] / np.sqrt(3))
                read[chs] = positions[chs] @ weights
            gate = 2.0 * _hard_sigmoid(_linear(bridge.alpha[0], token))
            wanted[n, m] = _norm(bridge.layer_norm, token + _linear(bridge.proj, gate * read))
    _same(bridge(x, tokens), wanted)


def test_the_map_reads_the_tokens() -> None:
    bridge = _some(FormerToMobile(6, TOKENS))
    x, tokens = _map(2, 6, 2, 3).double(), _map(2, 4, 8, seed=1).double()
    wanted = x.numpy().copy()
    for n in range(2):
        keys, values = _linear(bridge.k, tokens[n].numpy()), _linear(bridge.proj, tokens[n].numpy())
        for row, column in np.ndindex(2, 3):
            query = x[n, :, row, column].numpy()
            for chs in (slice(0, 3), slice(3, 6)):
                weights = _softmax(keys[:, chs] @ query[chs] / np.sqrt(3))
                wanted[n, chs, row, column] += weights @ values[:, chs]
    _same(bridge(x, tokens), wanted)


def test_former() -> None:
    former = _some(Former(TOKENS))
    tokens = _map(2, 3, 8).double()
    wanted = np.zeros((2, 3, 8))
    for n in range(2):
        given = tokens[n].numpy()
        queries, read = _linear(former.q, given), np.zeros((3, 8))
        for head in range(4):
            chs = slice(2 * head, 2 * head + 2)
            for m in range(3):
                read[m, chs] = _softmax(given[:, chs] @ queries[m, chs] / np.sqrt(2)) @ given[:, chs]
        mixed = _norm(former.layer_norm, given + _linear(former.channel_mlp, read))
        hidden = _linear(former.ffn[0], mixed)
        hidden = torch.nn.functional.gelu(torch.from_numpy(hidden)).numpy()
        wanted[n] = _norm(former.ffn_norm, mixed + _linear(former.ffn[2], hidden))
    _same(former(tokens), wanted)


def test_token_relu() -> None:
    act = _some(TokenReLU(3, token_dim=8, reduction=4))
    x, token = _map(2, 3, 2, 2).double(), _map(2, 8, seed=1).double()
    wanted = np.zeros((2, 3, 2, 2))
    for n in range(2):
        hidden = np.maximum(_linear(act.hyper[0], token[n].numpy()), 0.0)
        slopes = _hard_sigmoid(_linear(act.hyper[2], hidden))
        for c in range(3):
            first, second = 2.0 * (slopes[c] - 0.5) + 1.0, 2.0 * (slopes[3 + c] - 0.5)
            wanted[n, c] = np.maximum(first * x[n, c].numpy(), second * x[n, c].numpy())
    _same(act(x, token), wanted)
    _same(act.train()(x, token), wanted)


def test_token_relu_has_the_same_gradients_in_training() -> None:
    """There it is put in other operators; slopes are chosen with either of the two the larger."""
    act = _some(TokenReLU(3, token_dim=8, reduction=4))
    act.hyper[2].bias.data = torch.tensor([-2.0, 0.0, 2.0, 2.0, 0.0, -2.0]).double()
    x, token = _map(2, 3, 4, 4).double().requires_grad_(), _map(2, 8, seed=1).double().requires_grad_()
    slopes = (2.0 * act.hyper(token)).chunk(2, dim=1)
    assert {bool(larger) for larger in (slopes[0] > slopes[1] - 1.0).flatten()} == {True, False}
    inputs = (x, token, *act.parameters())
    weights = _map(2, 3, 4, 4, seed=3).double()
    eval_grads = torch.autograd.grad((act.eval()(x, token) * weights).sum(), inputs)
    for ours, wanted in zip(
        torch.autograd.grad((act.train()(x, token) * weights).sum(), inputs), eval_grads, strict=True
    ):
        torch.testing.assert_close(ours, wanted)


def test_token_relu_starts_as_relu() -> None:
    act = TokenReLU(3, token_dim=8)
    for layer in (act.hyper[0], act.hyper[2]):
        nn.init.zeros_(layer.weight)
        nn.init.zeros_(layer.bias)
    x = _map(2, 3, 4, 4)
    assert torch.equal(act(x, _map(2, 8)), x.relu())


def test_scores_of_large_features_fit_half_precision() -> None:
    """Scores of 60 000 after scaling would be 240 000 before it, which float16 does not hold."""
    bridge = MobileToFormer(32, TOKENS).half()
    nn.init.zeros_(bridge.q.weight)
    nn.init.constant_(bridge.q.bias, 25.0)
    x = torch.zeros(1, 32, 1, 2, dtype=torch.half)
    x[..., 0] = 600.0
    assert bool(bridge(x, torch.zeros(1, 2, 8, dtype=torch.half)).isfinite().all())


def test_channel_shuffle_reads_the_groups_in_turn() -> None:
    x = torch.arange(6.0).view(1, 6, 1, 1)
    assert ChannelShuffle(2)(x).flatten().tolist() == [0, 3, 1, 4, 2, 5]
    assert ChannelShuffle(3)(x).flatten().tolist() == [0, 2, 4, 1, 3, 5]


class _Shuffled:
    """What a shuffle of ``groups`` does, written with an index."""

    def __init__(self, groups: int) -> None:
        self.groups = groups

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        size = x.shape[1] // self.groups
        order = [group * size + place for place in range(size) for group in range(self.groups)]
        return x[:, order]


def _conv_norm(sequence: nn.Sequential, x: torch.Tensor, at: int = 0) -> torch.Tensor:
    return sequence[at + 1](sequence[at](x))


@pytest.mark.parametrize("groups", [1, 2])
def test_block_without_stride(groups: int) -> None:
    """Tokens read the block's input; both activations take the first token behind Former; the output reads the tokens last."""
    block = _some(FormerBlock(8, 8, 16, groups, tokens=TOKENS))
    x, tokens = _map(2, 8, 5, 4).double(), _map(2, 3, 8, seed=1).double()
    shuffled = _Shuffled(groups)
    new = block.global_block(block.local_global(x, tokens))
    out = block.hyper1(shuffled(_conv_norm(block.conv1, x)), new[:, 0])
    out = block.hyper2(_conv_norm(block.conv2, out), new[:, 0])
    out = x + shuffled(_conv_norm(block.conv3, out))
    ours, left = block(x, tokens)
    torch.testing.assert_close(ours, block.global_local(out, new))
    torch.testing.assert_close(left, new)
    assert [block.conv1[0].groups, block.conv2[0].groups, block.conv3[0].groups] == [groups, 16, groups]


def test_block_without_stride_has_no_skip_to_another_width() -> None:
    block = _some(FormerBlock(8, 12, 16, tokens=TOKENS))
    nn.init.zeros_(block.conv3[1].weight)
    nn.init.zeros_(block.conv3[1].bias)
    nn.init.zeros_(block.global_local.proj.weight)
    nn.init.zeros_(block.global_local.proj.bias)
    out, _ = block(_map(2, 8, 5, 4).double(), _map(2, 3, 8).double())
    assert bool((out == 0).all())


@pytest.mark.parametrize("groups", [1, 2])
def test_block_with_stride(groups: int) -> None:
    """The second pair expands again, with a residual of its own; the depthwise outputs are shuffled by their input's channels."""
    block = _some(FormerDown(4, 6, 8, 24, groups=groups, tokens=TOKENS))
    x, tokens = _map(2, 4, 7, 6).double(), _map(2, 3, 8, seed=1).double()
    by_input, by_output = (_Shuffled(4), _Shuffled(6)) if groups > 1 else (_Shuffled(1), _Shuffled(1))
    new = block.global_block(block.local_global(x, tokens))
    halved = block.hyper1(by_input(_conv_norm(block.conv1, x)), new[:, 0])
    halved = _conv_norm(block.conv2, halved)
    out = block.hyper3(by_output(_conv_norm(block.conv3, halved)), new[:, 0])
    out = halved + _conv_norm(block.conv4, out)
    ours, left = block(x, tokens)
    assert ours.shape == (2, 6, 4, 3)
    torch.testing.assert_close(ours, block.global_local(out, new))
    torch.testing.assert_close(left, new)


@pytest.mark.parametrize("groups", [1, 2])
def test_bneck_lite(groups: int) -> None:
    block = _some(BneckLite(4, 4, 8, groups=groups))
    x = 5.0 * _map(2, 4, 5, 4).double()
    out = _conv_norm(block.conv, x).clamp(0.0, 6.0)
    out = _Shuffled(4 if groups > 1 else 1)(out)
    torch.testing.assert_close(block(x), x + _conv_norm(block.conv, out, at=4))
    assert not BneckLite(4, 6, 8).has_skip
    assert BneckLite(4, 4, 8, stride=2)(x.float()).shape == (2, 4, 3, 2)


@pytest.mark.parametrize("groups", [1, 2])
def test_head(groups: int) -> None:
    head = _some(TokenHead(4, 8, 6, 10, 3, groups))
    x, token = 5.0 * _map(2, 4, 3, 3).double(), _map(2, 8, seed=1).double()
    pooled = _conv_norm(head.conv, _Shuffled(groups)(x), at=1).clamp(0.0, 6.0).mean((2, 3))
    beside = torch.cat((nn.functional.hardswish(pooled), token), dim=1)
    hidden = nn.functional.hardswish(head.fc[1](head.fc[0](beside)))
    torch.testing.assert_close(head(x, token, pre_logits=True), hidden)
    torch.testing.assert_close(head(x, token), head.classifier[1](hidden))


def test_a_head_in_training_says_why_it_needs_two_images() -> None:
    head = TokenHead(4, 8, 6, 10, 3)
    with pytest.raises(InputError, match="the batch holds 1 image; this head's batch norm trains on 2 or more"):
        head.train()(_map(1, 4, 3, 3), _map(1, 8))
    assert head.eval()(_map(1, 4, 3, 3), _map(1, 8)).shape == (1, 3)
    assert fuse(head).train()(_map(1, 4, 3, 3), _map(1, 8)).shape == (1, 3)


def test_fused_head_has_no_norm_and_the_same_answers() -> None:
    head = _some(TokenHead(4, 8, 6, 10, 3, groups=2))
    fused = fuse(head)
    x, token = _map(2, 4, 3, 3).double(), _map(2, 8).double()
    assert not [m for m in fused.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    torch.testing.assert_close(fused(x, token), head(x, token), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("start", "mid", "stride"),
    [(3, 5, 1), (3, 5, 2), (None, 3, 1), (None, 3, 2), (5, None, 1), (5, None, 2), (None, None, 1)],
)
def test_uib_between_the_bridges(start: int | None, mid: int | None, stride: int) -> None:
    """With dynamic ReLUs that are ReLUs and bridges that read nothing, what is left is MobileNetV4's UIB."""
    block = randomise(FormerUIB(8, 8, stride, 2.0, start, mid, tokens=TOKENS, layer_scale_init=0.1)).eval()
    for act in (module for module in block.modules() if isinstance(module, TokenReLU)):
        for parameter in act.parameters():
            nn.init.zeros_(parameter)
    for parameter in block.global_local.proj.parameters():
        nn.init.zeros_(parameter)
    uib = UIB(8, 8, stride, 2.0, start, mid, layer_scale_init=0.1).eval()
    state = block.state_dict()
    uib.load_state_dict({name: value for name, value in state.items() if name in uib.state_dict()})
    x = _map(2, 8, 7, 6)
    out, _ = block(x, _map(2, 3, 8))
    torch.testing.assert_close(out, uib(x))


def test_uibs_activations_take_the_first_token_behind_former() -> None:
    block = _some(FormerUIB(8, 8, 1, 2.0, 3, 3, tokens=TOKENS))
    seen: list[torch.Tensor] = []
    for act in (block.hyper_exp, block.hyper_mid):
        act.register_forward_hook(lambda _module, inputs, _output: seen.append(inputs[1]))
    _, left = block(_map(2, 8, 5, 4).double(), _map(2, 3, 8).double())
    assert len(seen) == 2
    assert all(torch.equal(token, left[:, 0]) for token in seen)


@pytest.mark.parametrize("downsample", ["avg", "blur"])
@pytest.mark.parametrize("kind", ["bneck_lite", "down", "uib", "uib_start"])
def test_pooling_takes_the_strides_place(kind: str, downsample: str) -> None:
    tokens = {"tokens": TOKENS, "downsample": downsample}
    block = {
        "bneck_lite": lambda: BneckLite(4, 6, 8, 2, downsample=downsample),
        "down": lambda: FormerDown(4, 6, 8, 12, **tokens),
        "uib": lambda: FormerUIB(4, 6, 2, 2.0, 3, 3, **tokens),
        "uib_start": lambda: FormerUIB(4, 6, 2, 2.0, 3, None, **tokens),
    }[kind]()
    assert all(m.stride == (1, 1) for m in block.modules() if isinstance(m, nn.Conv2d))
    x = _map(2, 4, 8, 6)
    out = block(x, _map(2, 3, 8))[0] if isinstance(block, BridgedBlock) else block(x)
    assert out.shape == (2, 6, 4, 3)


@pytest.mark.parametrize(
    "make",
    [
        lambda rate: FormerBlock(8, 8, 16, tokens=TOKENS, drop_path=rate),
        lambda rate: FormerDown(8, 8, 16, 16, tokens=TOKENS, drop_path=rate),
        lambda rate: FormerUIB(8, 8, tokens=TOKENS, drop_path=rate),
    ],
)
def test_drop_path_leaves_out_whole_residuals(make) -> None:
    """At a rate near 1 hardly a branch is left: the tokens pass unread but for the norms and the feed-forward network."""
    torch.manual_seed(0)
    block = randomise(make(1.0 - 1e-6)).train()
    tokens = _map(4, 3, 8)
    out, left = block(_map(4, 8, 6, 6), tokens)
    former = block.global_block
    passed = former.layer_norm(block.local_global.layer_norm(tokens))
    torch.testing.assert_close(left, former.ffn_norm(passed + former.ffn(passed)))
    if isinstance(block, FormerDown):
        assert out.shape == (4, 8, 3, 3)
    else:
        torch.testing.assert_close(out, _map(4, 8, 6, 6))
    assert not torch.equal(block.eval()(_map(4, 8, 6, 6), tokens)[1], left)


def test_convolutions_start_as_the_authors_do() -> None:
    """Normal with fan-out, not divided by the groups: a depthwise convolution's weights are small."""
    block = FormerBlock(64, 64, 256, tokens=TOKENS)
    block.init_weights()
    assert block.conv2[0].weight.std().item() == pytest.approx((2 / (9 * 256)) ** 0.5, rel=0.05)
    assert block.conv1[0].weight.std().item() == pytest.approx((2 / 256) ** 0.5, rel=0.05)
