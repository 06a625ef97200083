"""Every name of the catalogue through everything that a user may do with it; what takes long, in `make test-zoo` alone."""

from __future__ import annotations

import copy
import gc
import io
import itertools
import pickle
from collections.abc import Iterator

import pytest
import torch
from tests.conftest import randomise, settled
from tests.zoo import LIGHT, NAMES, ONE_OF_EACH, SMALLEST, taken
from torch import nn
from torch._dynamo.guards import PyExprCSEPass
from torch.export import Dim

import edgewise
from edgewise.errors import ConfigError, InputError
from edgewise.models.build import build
from edgewise.models.catalogue import CATALOGUE
from edgewise.spec.text import dump_spec, parse_spec
from edgewise.spec.walk import max_reduction

SIDES = (64, 66, 94, 130, 222, 256, 318, 446, 512)
"""Even sides that the strides divide, and even ones that they do not."""
FEW_SIDES = (64, 222, 512)


@pytest.fixture
def _no_collector() -> Iterator[None]:
    """Python's collector takes a tenth of the time in which dynamo makes its many small objects."""
    gc.disable()
    yield
    gc.enable()


def _images(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("name", NAMES)
def test_entry_and_spec_agree(name: str) -> None:
    entry = CATALOGUE[name]
    spec = entry.spec()
    assert (spec.name, spec.img_size, entry.name) == (name, entry.img_size, name)
    assert parse_spec(dump_spec(spec)) == spec
    assert max_reduction(spec) == 32
    assert entry.top1 is None or 0.4 < entry.top1 < 0.9
    assert entry.source
    assert entry.params_fused <= entry.params
    assert entry.macs_fused <= entry.macs


@pytest.mark.parametrize("name", taken(LIGHT))
def test_training_step(name: str) -> None:
    """Every parameter gets a gradient, for other channels and sizes than the usual; recomputing the maps changes nothing."""
    torch.manual_seed(0)
    model = edgewise.create_model(name, num_classes=3, in_chans=4, drop_rate=0.1, drop_path_rate=0.1)
    again = copy.deepcopy(model)
    again.set_grad_checkpointing()
    grads = []
    for network in (model, again):
        torch.manual_seed(1)
        # not the sum of squares: a batch norm before the classifier would leave no gradient to what lies before it
        logits = network(_images(3, 4, 90, 90))
        nn.functional.cross_entropy(logits, torch.tensor([0, 1, 2])).backward()
        grads.append({key: parameter.grad for key, parameter in network.named_parameters()})
    assert [key for key, grad in grads[0].items() if grad is None] == []
    assert all(torch.equal(grad, grads[1][key]) for key, grad in grads[0].items())
    state = again.state_dict()
    assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())


@pytest.mark.parametrize("name", taken(LIGHT))
@torch.no_grad()
def test_surface(name: str) -> None:
    model = randomise(edgewise.create_model(name, num_classes=5)).eval()
    x = _images(2, 3, 96, 96)
    logits = model(x)
    features = model.forward_features(x)
    pooled = model.forward_head(features, pre_logits=True)
    last, maps = model.forward_intermediates(x)
    pyramid = edgewise.create_model(name, features_only=True)
    kept = pyramid.state_dict().keys()
    pyramid.load_state_dict({key: value for key, value in model.state_dict().items() if key in kept})
    levels = pyramid.eval()(x)
    coarse = model.forward_intermediates(x, indices=2, intermediates_only=True)
    with torch.device("meta"):
        two = edgewise.create_model(name, features_only=True, out_indices=(-1, 1))
    assert logits.shape == (2, 5)
    assert features.shape[:2] == (2, model.num_features)
    assert pooled.shape == (2, model.head_hidden_size)
    torch.testing.assert_close(model.forward_head(features), logits, rtol=1e-4, atol=1e-5 * float(logits.abs().max()))
    assert torch.equal(last, features)
    info = model.feature_info
    assert info.reduction() == sorted(set(info.reduction()))
    for level, own, chs, stride, module in zip(
        levels, maps, info.channels(), info.reduction(), info.module_name(), strict=True
    ):
        assert torch.equal(level, own)
        assert level.shape == (2, chs, 96 // stride, 96 // stride)
        assert model.get_submodule(module) is not None
    assert [each.shape for each in coarse] == [each.shape for each in maps[-2:]]
    assert two.feature_info.channels() == [info.channels()[1], info.channels()[-1]]
    assert [each.shape[1] for each in two(x.to("meta"))] == two.feature_info.channels()
    with pytest.raises(ConfigError, match="out_indices"):
        edgewise.create_model(name, features_only=True, out_indices=(9,))
    cfg = model.pretrained_cfg
    for field in ("classifier", "first_conv"):
        # timm's way: one path, or all of them where there are several
        paths = cfg[field] if isinstance(cfg[field], tuple) else (cfg[field],)
        assert paths
        assert all(f"{path}.weight" in model.state_dict() for path in paths)
        assert field == "classifier" or all(model.get_submodule(str(path)).in_channels == 3 for path in paths)
    matcher = model.group_matcher()
    assert set(matcher) == {"stem", "blocks"}


@pytest.mark.parametrize("name", taken(LIGHT))
def test_classifier_can_be_reset_and_removed(name: str) -> None:
    model = edgewise.create_model(name, num_classes=5).eval()
    x = _images(2, 3, 64, 64)
    model.reset_classifier(9)
    assert model(x).shape == (2, 9)
    assert model.num_classes == model.spec.num_classes == 9
    assert not model.get_classifier().training
    model.reset_classifier(0)
    with torch.device("meta"):
        bare = edgewise.create_model(name, num_classes=0).eval()
    for network, images in ((model, x), (bare, x.to("meta"))):
        assert network(images).shape == (2, network.head_hidden_size)
    assert bare.state_dict().keys() == model.state_dict().keys()
    torch.testing.assert_close(model(x), model.forward_head(model.forward_features(x), pre_logits=True))
    with pytest.raises(ConfigError, match="num_classes"):
        model.reset_classifier(-1)


@pytest.mark.parametrize("name", taken(LIGHT))
def test_layouts_precisions_and_copies(name: str) -> None:
    x = _images(2, 3, 64, 64)
    model = randomise(edgewise.create_model(name, num_classes=3)).eval()
    if model.spec.tokens is not None:
        # for them alone: at settled statistics RepVGG-D2se magnifies the last bit to a percent
        settled(model, _images(4, 3, 64, 64, seed=1))
    with torch.inference_mode():
        wanted = model(x)
        for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
            assert torch.equal(twin(x), wanted)
        with torch.autocast("cpu", torch.bfloat16):
            low = model(x)
        assert bool(low.isfinite().all())
        # random weights magnify float32's last bit too, so other orders of summing are compared in float64
        model, x = model.double(), x.double()
        wanted = model(x)
        close = {"rtol": 0.0, "atol": 1e-5 * float(wanted.abs().max())}
        fused = model.fuse()
        torch.testing.assert_close(fused(x), wanted, **close)
        again = fused.fuse().state_dict()
        assert again.keys() == fused.state_dict().keys()
        assert all(torch.equal(value, again[key]) for key, value in fused.state_dict().items())
        last = model.to(memory_format=torch.channels_last)(x.contiguous(memory_format=torch.channels_last))
        torch.testing.assert_close(last, wanted, **close)
    assert copy.deepcopy(fused.float()).state_dict().keys() == fused.state_dict().keys()
    buffer = io.BytesIO()
    torch.save(fused.state_dict(), buffer)
    buffer.seek(0)
    assert torch.load(buffer, weights_only=True).keys() == fused.state_dict().keys()


@pytest.mark.usefixtures("_no_collector")
@pytest.mark.parametrize("name", taken(SMALLEST, ONE_OF_EACH))
@torch.no_grad()
def test_compiles_whole(name: str) -> None:
    model, x = randomise(edgewise.create_model(name, num_classes=3)).eval(), _images(2, 3, 64, 64)
    wanted = model(x)
    torch._dynamo.reset()
    compiled = torch.compile(model, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(x), wanted, rtol=1e-4, atol=1e-5 * float(wanted.abs().max()))


def _give_up(*_: object) -> None:
    raise RecursionError  # for which dynamo is prepared: it leaves the text as it is


@pytest.mark.usefixtures("_no_collector")
@pytest.mark.parametrize("name", taken(SMALLEST))
@torch.no_grad()
def test_captures_for_any_batch(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One of each structure strictly: dynamo goes through the whole forward pass without a graph break."""
    # dynamo shortens the text of its guards, which takes it longer than all the rest and changes no graph
    monkeypatch.setattr(PyExprCSEPass, "count", _give_up)
    model, x = randomise(edgewise.create_model(name, num_classes=3)).eval(), _images(2, 3, 64, 64)
    torch._dynamo.reset()
    program = torch.export.export(
        model, (x,), dynamic_shapes=({0: Dim("batch", min=1, max=64)},), strict=name in ONE_OF_EACH
    )
    captured = program.module()
    for batch in (1, 3):
        more = _images(batch, 3, 64, 64, seed=batch)
        wanted = model(more)
        torch.testing.assert_close(captured(more), wanted, rtol=1e-4, atol=1e-5 * float(wanted.abs().max()))


@pytest.mark.parametrize("name", NAMES)
def test_any_even_side_and_no_memory_on_meta(name: str) -> None:
    with torch.device("meta"):
        model = edgewise.create_model(name).eval()
        pyramid = edgewise.create_model(name, features_only=True).eval()
        assert edgewise.create_model(name, in_chans=1).eval()(torch.empty(1, 1, 64, 64)).shape == (1, 1000)
        assert sum(p.numel() for p in model.parameters()) == CATALOGUE[name].params
        assert all(tensor.is_meta for tensor in itertools.chain(model.parameters(), model.buffers()))
        for side in SIDES if name in SMALLEST else FEW_SIDES:
            assert model(torch.empty(1, 3, side, side)).shape == (1, 1000)
        for level, stride in zip(pyramid(torch.empty(1, 3, 94, 130)), pyramid.feature_info.reduction(), strict=True):
            assert all(abs(size - side / stride) < 1 for size, side in zip(level.shape[-2:], (94, 130), strict=True))
        for shape in ((3, 64, 64), (1, 4, 64, 64), (1, 3, 64)):
            with pytest.raises(InputError, match=r"the input has shape .*; accepted: \(N, 3, H, W\)"):
                model(torch.empty(shape))


@pytest.mark.parametrize("name", NAMES)
def test_rows_alone_make_the_model(name: str) -> None:
    """What a saved spec says is enough: the name plays no part."""
    spec = CATALOGUE[name].spec()
    with torch.device("meta"):
        renamed = build(spec.model_copy(update={"name": "other"}))
        named = edgewise.create_model(name)
    shapes = {key: tuple(value.shape) for key, value in named.state_dict().items()}
    assert {key: tuple(value.shape) for key, value in renamed.state_dict().items()} == shapes
