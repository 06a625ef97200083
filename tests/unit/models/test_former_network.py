"""Networks with tokens: their surface, their rows, their spec's faults."""

from __future__ import annotations

import pytest
import torch
from tests.conftest import randomise, settled
from torch import nn

from edgewise.blocks.drop_path import DropPath
from edgewise.blocks.former import BridgedBlock
from edgewise.blocks.former_relu import TokenReLU
from edgewise.errors import SpecError
from edgewise.models.build import build
from edgewise.models.catalogue import CATALOGUE
from edgewise.models.families.mobileformer import MODEL_294M, SPECS
from edgewise.models.families.mobileformer_v4 import MODEL_100M
from edgewise.models.families.mobileformer_v4 import SPECS as V4_SPECS
from edgewise.spec.former_rows import BneckLiteSpec, FormerDownSpec, FormerSpec, FormerUIBSpec, TokensSpec
from edgewise.spec.heads import ConvHeadSpec, TokenHeadSpec
from edgewise.spec.model import ModelSpec
from edgewise.spec.row import Row
from edgewise.spec.rows import ConvSpec, MQASpec, RepVGGSpec
from edgewise.spec.scale import fit_resolution, scale_width
from edgewise.spec.walk import max_reduction, walk

ROWS = (FormerSpec(out_chs=8, mid_chs=16), FormerDownSpec(out_chs=12, mid_chs=16, second_mid_chs=24))


def _spec(*rows: Row, **fields: object) -> ModelSpec:
    given = {
        "name": "tiny",
        "stem": ConvSpec(out_chs=8, stride=2),
        "stages": (rows or ROWS,),
        "tokens": TokensSpec(num_tokens=3, token_dim=16),
        "head": TokenHeadSpec(conv_chs=24, hidden_chs=20),
        "num_classes": 5,
        "img_size": 32,
    }
    return ModelSpec(**given | fields)


def _images(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_features_are_the_map_and_the_first_token() -> None:
    model = settled(randomise(build(_spec())), _images(4, 3, 32, 32, seed=1))
    x = _images(2, 3, 32, 32)
    features = model.forward_features(x)
    maps = model.forward_intermediates(x, intermediates_only=True)
    assert features.shape == (2, 12 + 16, 8, 8)
    assert (model.num_features, model.head_hidden_size, model.feature_info.last_chs) == (28, 20, 12)
    assert torch.equal(features[:, :12], maps[-1])
    token = features[:, 12:]
    assert torch.equal(token, token[..., :1, :1].expand_as(token))
    tokens = model.tokens.weight.expand(2, -1, -1)
    out = model.stem(x)
    for block in model.features:
        out, tokens = block(out, tokens)
    torch.testing.assert_close(token[..., 0, 0], model.local_global(out, tokens)[:, 0])
    torch.testing.assert_close(model.forward_head(features), model(x))
    torch.testing.assert_close(model(x), model.classifier(out, token[..., 0, 0]))


def test_tokens_of_one_image_do_not_reach_another() -> None:
    model = settled(randomise(build(_spec())), _images(4, 3, 32, 32, seed=1))
    x = _images(3, 3, 32, 32)
    torch.testing.assert_close(model(x)[1:2], model(x[1:2]), rtol=1e-4, atol=1e-5)


def test_other_rows_let_the_tokens_pass() -> None:
    rows = (
        ConvSpec(out_chs=8),
        BneckLiteSpec(out_chs=8, mid_chs=16),
        MQASpec(num_heads=2, key_dim=8, value_dim=8),
        *ROWS,
    )
    model = settled(randomise(build(_spec(*rows))), _images(4, 3, 32, 32, seed=1))
    x, tokens = _images(2, 3, 32, 32), model.tokens.weight.expand(2, -1, -1)
    out = model.stem(x)
    for block in model.features[:3]:
        assert not isinstance(block, BridgedBlock)
        out = block(out)
    for block in model.features[3:]:
        out, tokens = block(out, tokens)
    features = model.forward_features(x)
    torch.testing.assert_close(features[:, :12], out)
    torch.testing.assert_close(features[:, 12:, 0, 0], model.local_global(out, tokens)[:, 0])


def test_bneck_lite_needs_no_tokens() -> None:
    spec = _spec(BneckLiteSpec(out_chs=8, mid_chs=16), tokens=None, head=ConvHeadSpec(hidden_chs=16))
    assert build(spec).eval()(_images(1, 3, 32, 32)).shape == (1, 5)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: _spec(ConvSpec(out_chs=8)), r"tokens are set, but no row reads them; leave them out or use rows of"),
        (
            lambda: _spec(tokens=None, head=ConvHeadSpec()),
            r"stages\[0\]\[0\]\.kind is 'former', which reads tokens; set tokens",
        ),
        (lambda: _spec(head=ConvHeadSpec()), r"head\.kind is 'conv'; 'token' goes with tokens"),
        (lambda: _spec(stem=RepVGGSpec(out_chs=8, stride=2)), r"stem\.kind is 'repvgg'; with tokens it must be 'conv'"),
        (
            lambda: _spec(FormerSpec(out_chs=9, mid_chs=16)),
            r"stages\[0\]\[0\] bridges 9 channels \(out_chs\), which tokens\.bridge_heads=2 does not divide",
        ),
        (
            lambda: _spec(*ROWS, ConvSpec(out_chs=9)),
            r"the last map has 9 channels, which tokens\.bridge_heads=2 does not divide",
        ),
        (
            lambda: _spec(head=TokenHeadSpec(conv_chs=24, hidden_chs=20, groups=8)),
            r"head\.groups is 8, which does not divide 12 and 24 channels",
        ),
        (
            lambda: _spec(*ROWS, BneckLiteSpec(out_chs=12, mid_chs=16)),
            r"stages\[0\]\[2\]\.mid_chs is 16; its depthwise gives a multiple of the 12 input channels",
        ),
        (
            lambda: _spec(FormerDownSpec(out_chs=12, mid_chs=16, second_mid_chs=20)),
            r"stages\[0\]\[0\]\.second_mid_chs is 20; its depthwise gives a multiple of out_chs=12",
        ),
        (
            lambda: _spec(FormerUIBSpec(out_chs=8, stride=2, mid_kernel=None)),
            r"stride is 2, which needs a depthwise convolution",
        ),
        (lambda: TokensSpec(token_dim=18), r"token_dim is 18; must be a multiple of former_heads=4"),
    ],
)
def test_faults_name_their_place(make, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        make()


def test_widths_of_rows_with_tokens_are_not_scaled() -> None:
    for spec in (MODEL_294M, _spec(BneckLiteSpec(out_chs=8, mid_chs=16), tokens=None, head=ConvHeadSpec())):
        with pytest.raises(SpecError, match=f"{spec.name} has rows of Mobile-Former, which fix their inner widths"):
            scale_width(spec, 0.5)


@pytest.mark.parametrize("spec", [*SPECS.values(), *V4_SPECS.values()], ids=lambda spec: spec.name)
@pytest.mark.parametrize("img_size", [32, 64])
def test_small_images_get_fewer_strides_and_the_same_parameters(spec: ModelSpec, img_size: int) -> None:
    adapted = fit_resolution(spec, img_size)
    assert img_size // max_reduction(adapted) == 4
    assert [step.out_chs for step in walk(adapted)] == [step.out_chs for step in walk(spec)]
    with torch.device("meta"):
        model, whole = build(adapted), build(spec)
        features = model.eval().forward_features(torch.empty(1, 3, img_size, img_size))
    assert features.shape[2:] == (4, 4)
    assert {k: v.shape for k, v in model.state_dict().items()} == {k: v.shape for k, v in whole.state_dict().items()}


@pytest.mark.parametrize("name", V4_SPECS)
def test_v4_members_keep_to_their_nominal_cost(name: str) -> None:
    nominal = int(name.rpartition("_")[2].removesuffix("m")) * 1_000_000
    assert CATALOGUE[name].macs == pytest.approx(nominal, rel=0.1)


def test_v4_members_use_every_form_of_the_uib() -> None:
    rows = [step.row for spec in V4_SPECS.values() for step in walk(spec) if isinstance(step.row, FormerUIBSpec)]
    forms = {(row.start_kernel is not None, row.mid_kernel is not None) for row in rows}
    assert forms == {(True, True), (False, True), (True, False), (False, False)}


def test_fresh_weights() -> None:
    """Tokens are standard normal, linear layers small, so dynamic ReLUs start near ReLU."""
    torch.manual_seed(0)
    model = build(MODEL_294M)
    assert model.tokens.weight.std().item() == pytest.approx(1.0, abs=0.05)
    act = next(module for module in model.modules() if isinstance(module, TokenReLU))
    assert act.hyper[0].weight.std().item() == pytest.approx(0.01, rel=0.1)
    assert bool((act.hyper[0].bias == 0).all())
    x = _images(1, 96, 4, 4)
    torch.testing.assert_close(act(x, model.tokens.weight[:1]), x.relu(), rtol=0, atol=0.05)


def test_drop_rates_go_where_they_belong() -> None:
    model = build(_spec(), drop_rate=0.25, drop_path_rate=0.5)
    assert model.classifier.classifier[0].p == 0.25
    rates = [{m.rate for m in block.modules() if isinstance(m, DropPath)} for block in model.features]
    assert rates == [{0.0}, {0.25}]
    # before the last linear layer, behind what `pre_logits` gives
    x = _images(4, 3, 32, 32)
    model.train()
    features = model.forward_features(x)
    hidden = model.forward_head(features, pre_logits=True)
    assert bool((hidden != 0).all())
    torch.manual_seed(0)
    dropped = model.forward_head(features)
    torch.manual_seed(0)
    torch.testing.assert_close(dropped, model.get_classifier()(nn.functional.dropout(hidden, 0.25)))


def test_low_precision_is_close_to_float32() -> None:
    model = settled(randomise(build(MODEL_100M)), _images(4, 3, 64, 64, seed=1))
    x = _images(2, 3, 64, 64)
    with torch.inference_mode():
        wanted = model(x)
        with torch.autocast("cpu", torch.bfloat16):
            low = model(x).float()
    assert bool(low.isfinite().all())
    assert nn.functional.cosine_similarity(low, wanted).min() > 0.95
