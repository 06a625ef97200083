"""Loading into networks of every naming layout: heads, first convolutions, forms, foreign names, and what is refused."""

import argparse

import pytest
import torch
from tests.conftest import randomise
from tests.unit.models.tiny_specs import ALL, FORMER, MOBILEONE, OF_OTHERS, REPVGG, REPVIT, V2, V3, repvit
from timm.models import adapt_input_conv

import edgewise
from edgewise.blocks.fuse import fuse
from edgewise.errors import WeightsError
from edgewise.models.build import build
from edgewise.models.weights import load_weights
from edgewise.spec.model import NormSpec

HEADS = {
    "tiny_v2": {"classifier.weight", "classifier.bias"},
    "tiny_v3": {"classifier.weight", "classifier.bias"},
    "tiny_repvgg": {"head.fc.weight", "head.fc.bias"},
    "tiny_mobileone": {"head.fc.weight", "head.fc.bias"},
    "tiny_repvit": {f"head.{head}.l.{part}" for head in ("head", "head_dist") for part in ("weight", "bias")},
    "tiny_former": {"classifier.classifier.1.weight", "classifier.classifier.1.bias"},
}
FIRST_CONVS = {
    "tiny_v2": {"conv_stem.weight"},
    "tiny_v3": {"conv_stem.weight"},
    "tiny_repvgg": {"stem.conv_kxk.conv.weight", "stem.conv_1x1.conv.weight"},
    "tiny_mobileone": {"stem.conv_kxk.0.conv.weight", "stem.conv_scale.conv.weight"},
    "tiny_repvit": {"stem.conv1.c.weight"},
    "tiny_former": {"stem.0.weight"},
}
EVERY = pytest.mark.parametrize("spec", ALL, ids=lambda spec: spec.name)
FOREIGN = pytest.mark.parametrize(
    ("layout", "spec"),
    [(layout, spec) for layout, specs in OF_OTHERS.items() for spec in specs],
    ids=lambda value: value if isinstance(value, str) else value.name,
)


def trained(spec, **fields):
    torch.manual_seed(1)
    return randomise(build(spec.model_copy(update=fields)), seed=1).eval()


def fresh(spec, **fields):
    torch.manual_seed(2)
    return build(spec.model_copy(update=fields)).eval()


@pytest.fixture
def saved(tmp_path):
    def save(content):
        torch.save(content, tmp_path / "net.pth")
        return tmp_path / "net.pth"

    return save


def copied(network):
    return {name: value.clone() for name, value in network.state_dict().items()}


def check(network, state, names=None):
    loaded = network.state_dict()
    for name in names if names is not None else state:
        assert torch.equal(loaded[name], state[name]), name


def refused(network, path, **options) -> str:
    before, spec = copied(network), network.spec
    eps = [module.eps for module in network.modules() if hasattr(module, "eps")]
    with pytest.raises(WeightsError) as caught:
        load_weights(network, path, **options)
    check(network, before)
    assert network.spec == spec
    assert [module.eps for module in network.modules() if hasattr(module, "eps")] == eps
    text = str(caught.value)
    assert text.startswith(f"'{path}'")
    assert "\n" not in text
    return text


# heads


@EVERY
def test_a_head_for_other_classes_is_named_and_can_be_left_out(spec, saved):
    source, network = trained(spec, num_classes=9), fresh(spec)
    path = saved(source.state_dict())
    assert "has a head for 9 classes, the model has 5" in refused(network, path)
    before = copied(network)
    report = load_weights(network, path, new_head=True)
    head = HEADS[spec.name]
    assert report.notes == (
        f"new head: {len(head)} tensors of the file left out, {len(head)} of the model keep their start",
    )
    check(network, before, head)
    check(network, source.state_dict(), source.state_dict().keys() - head)


@EVERY
def test_a_file_with_a_head_for_a_model_without_one(spec, saved):
    source, network = trained(spec), fresh(spec, num_classes=0)
    path = saved(source.state_dict())
    assert "has a head, the model has none; ask for a new head (new_head=True, --new-head)" in refused(network, path)
    load_weights(network, path, new_head=True)
    check(network, source.state_dict(), network.state_dict())


@EVERY
def test_a_fused_head_is_a_head_too(spec, saved):
    path = saved(trained(spec, num_classes=9).fuse().state_dict())
    network = fresh(spec).fuse()
    assert "has a head for 9 classes, the model has 5" in refused(network, path)
    assert "2 of the model keep their start" in load_weights(network, path, new_head=True).notes[0]


def test_a_second_head_goes_with_the_first(saved):
    network = fresh(repvit(distilled=False))
    path = saved(trained(REPVIT).state_dict())
    assert "'head.head_dist.bn.weight' is not in the model" in refused(network, path)
    assert "new head: 9 tensors of the file left out, 2 of" in load_weights(network, path, new_head=True).notes[0]


def test_a_head_of_a_foreign_layout_is_left_out_too(saved):
    network = fresh(V3)
    path = saved(edgewise.convert_state_dict(trained(V3, num_classes=9), "torchvision"))
    assert "has a head for 9 classes" in refused(network, path)
    assert "new head: 2 tensors of the file left out, 2 of the model keep their start" in (
        load_weights(network, path, new_head=True).notes
    )


@pytest.mark.parametrize("value", [torch.zeros(()), torch.zeros(5, 24, 1, 1)])
def test_a_head_of_an_odd_shape_is_misshapen(saved, value):
    state = trained(V2).state_dict() | {"classifier.weight": value}
    assert f"'classifier.weight' has shape {tuple(value.shape)}, the model needs (5, 24)" in refused(
        fresh(V2), saved(state)
    )


# first convolutions


@EVERY
@pytest.mark.parametrize(("given", "wanted"), [(3, 1), (3, 4), (3, 2), (1, 3), (4, 3), (4, 1), (1, 4)])
@pytest.mark.parametrize("is_fused", [False, True])
def test_every_convolution_that_sees_the_image_is_adapted_as_timm_does(spec, given, wanted, is_fused, saved):
    source, network = trained(spec, in_chans=given), fresh(spec, in_chans=wanted)
    if is_fused:
        source, network = source.fuse(), network.fuse()
    state = source.state_dict()
    first = FIRST_CONVS[spec.name] & state.keys() or {"stem.reparam_conv.weight", "stem.conv1.weight"} & state.keys()
    report = load_weights(network, saved(state))
    assert len(report.notes) == len(first) > 0
    assert all(f" adapted from {given} to {wanted} input channels (" in note for note in report.notes)
    for name in first:
        assert torch.equal(network.state_dict()[name], adapt_input_conv(wanted, state[name], base_chans=given))
    check(network, state, state.keys() - first)


def test_channels_that_no_image_has_are_not_adapted(saved):
    assert "'conv_stem.weight' has shape (8, 12, 3, 3)" in refused(
        fresh(V2), saved(trained(V2, in_chans=12).state_dict())
    )


def test_a_stem_whose_second_convolution_takes_as_many_channels_is_adapted_once(saved):
    # conv2 of this stem takes 4 channels, as the image does
    network = fresh(REPVIT, in_chans=4)
    assert network.stem.conv2.c.in_channels == 4
    report = load_weights(network, saved(trained(REPVIT).state_dict()))
    assert [note.partition(" ")[0] for note in report.notes] == ["'stem.conv1.c.weight'"]


def test_a_later_convolution_that_takes_as_many_channels_as_the_image_is_left_alone(saved):
    name = "blocks.0.0.se.conv_expand.weight"
    state = trained(V3, in_chans=8).state_dict()
    assert state[name].shape == (8, 8, 1, 1)
    text = refused(fresh(V3, in_chans=8), saved(state | {name: torch.ones(8, 3, 1, 1)}))
    assert f"'{name}' has shape (8, 3, 1, 1), the model needs (8, 8, 1, 1)" in text


# the two forms


@EVERY
def test_fused_files_go_into_fused_models_and_others_into_others(spec, saved):
    source = trained(spec)
    path = saved(source.fuse().state_dict())
    network = fresh(spec)
    text = refused(network, path)
    assert text == (
        f"'{path}' is of a fused network, the model is in training form; "
        f"fuse the model first: load_weights(model.fuse(), file)"
    )
    fused = network.fuse()
    assert load_weights(fused, path).notes == ()
    check(fused, source.fuse().state_dict())
    path = saved(source.state_dict())
    assert refused(fused, path) == (
        f"'{path}' is of a network in training form, the model is fused; "
        f"load first and fuse then: load_weights(model, file), model.fuse()"
    )


@EVERY
def test_a_damaged_fused_file_is_still_told_by_its_form(spec, saved):
    state = dict(list(trained(spec).fuse().state_dict().items())[:-3])
    path = saved({"state_dict": {f"module.{name}": value for name, value in state.items()}})
    assert "is of a fused network, the model is in training form" in refused(fresh(spec), path)


@pytest.mark.parametrize("spec", [REPVGG, MOBILEONE, REPVIT], ids=lambda spec: spec.name)
def test_the_authors_fused_files_are_told_by_their_form(spec, saved):
    source = trained(spec)
    path = saved(edgewise.convert_state_dict(source.fuse(), "authors"))
    assert "is of a fused network, the model is in training form" in refused(fresh(spec), path)
    network = fresh(spec).fuse()
    load_weights(network, path)
    check(network, source.fuse().state_dict())
    path = saved(edgewise.convert_state_dict(source, "authors"))
    assert "is of a network in training form, the model is fused" in refused(network, path)


def test_a_file_of_another_model_is_not_taken_for_another_form(saved):
    text = refused(fresh(V2), saved(trained(REPVGG).state_dict()))
    assert " is of another model: it holds 'stem.conv_kxk.conv.weight'" in text


# foreign names


@FOREIGN
def test_foreign_names_are_found_under_nests_and_prefixes(layout, spec, saved):
    source = trained(spec)
    theirs = edgewise.convert_state_dict(source, layout)
    content = {"epoch": 3, "args": argparse.Namespace(lr=0.1), "model": {f"module.{k}": v for k, v in theirs.items()}}
    network = fresh(spec)
    notes = load_weights(network, saved(content)).notes
    assert notes[:2] == ("read from 'model'", f"prefix 'module.' removed from {len(theirs)} names")
    assert notes[2].startswith("keys of ")
    assert notes[2].endswith(f" renamed ({len(theirs)} tensors)")
    check(network, source.state_dict())


@FOREIGN
def test_faults_are_named_as_in_the_file(layout, spec, saved):
    theirs = edgewise.convert_state_dict(trained(spec), layout)
    missing, misshapen, wrong, *_ = [name for name, value in theirs.items() if value.is_floating_point()]
    del theirs[missing]
    theirs |= {
        misshapen: torch.zeros(7, 7),
        wrong: torch.zeros(1, dtype=torch.int32),
        "linear.fc.9.bias": torch.ones(1),
    }
    text = refused(fresh(spec), saved(theirs))
    assert f"does not fit the model, nothing was loaded: '{missing}' is missing; '{misshapen}' has shape (7, 7)" in text
    assert f"'{wrong}' has shape (1,)" in text
    assert "'linear.fc.9.bias' is not in the model" in text


@FOREIGN
def test_nonfinite_values_are_named_as_in_the_file(layout, spec, saved):
    theirs = dict(edgewise.convert_state_dict(trained(spec), layout))
    name = [name for name in theirs if name.endswith("running_mean")][1]
    theirs[name] = torch.full_like(theirs[name], float("nan"))
    path = saved({"state_dict": theirs})
    assert f"'{path}' ('state_dict') holds NaN or infinite values in '{name}';" in refused(fresh(spec), path)


@FOREIGN
def test_a_mixture_of_names_is_refused(layout, spec, saved):
    source = trained(spec)
    theirs = list(edgewise.convert_state_dict(source, layout).items())
    ours = list(source.state_dict().items())
    half = len(ours) // 2
    for mixed in (dict(ours[:half] + theirs[half:]), dict(ours + theirs)):
        text = refused(fresh(spec), saved(mixed))
        assert f"mixes the model's own keys ('{ours[0][0]}') with keys of " in text
        assert text.endswith("; save the ones you want alone")
    text = refused(fresh(spec), saved(dict(ours + theirs[:1])))
    assert f"'{theirs[0][0]}' is not in the model" in text or f" ('{theirs[0][0]}'); save" in text


def test_two_names_in_a_file_for_one_tensor_are_refused(saved):
    theirs = dict(edgewise.convert_state_dict(trained(REPVIT), "authors"))
    # a fused head's module is called classifier, which makes this a second name of classifier.classifier.bn.bias
    theirs["classifier.head.bn.bias"] = torch.ones(16)
    assert "'classifier.head.bn.bias' is not in the model" in refused(fresh(REPVIT), saved(theirs))


def test_a_foreign_layout_of_another_network_is_named(saved):
    theirs = edgewise.convert_state_dict(trained(V3), "torchvision")
    for spec in (V2, REPVIT, FORMER):
        text = refused(fresh(spec), saved(theirs))
        assert (
            "is of another model, with the names of torchvision's MobileNetV3: it holds 'features.0.0.weight'" in text
        )


def test_batch_norms_become_those_of_the_layout(saved):
    source = trained(V3)
    path = saved(edgewise.convert_state_dict(source, "torchvision"))
    network = fresh(V3, norm=NormSpec())
    report = load_weights(network, path)
    assert report.notes[1:] == (
        "batch norm eps 1e-05 -> 0.001, as torchvision's MobileNetV3 is trained",
        "batch norm momentum 0.1 -> 0.01, as torchvision's MobileNetV3 is trained",
    )
    assert network.spec.norm == NormSpec(eps=1e-3, momentum=0.01)
    norms = [module for module in network.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    assert {(norm.eps, norm.momentum) for norm in norms} == {(1e-3, 0.01)}
    x = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        assert torch.equal(network(x), source(x))
    # and back where nothing has to be changed
    assert load_weights(network, path).notes[1:] == ()


def test_our_own_layout_leaves_batch_norms_alone(saved):
    network = fresh(V3, norm=NormSpec())
    load_weights(network, saved(trained(V3).state_dict()))
    assert network.bn1.eps == network.spec.norm.eps == 1e-5


@pytest.mark.parametrize("foreign", [False, True])
def test_legacy_mixers_are_converted_and_reported(foreign, saved):
    source = trained(repvit(legacy=True))
    state = edgewise.convert_state_dict(source, "authors" if foreign else "timm")
    network = fresh(REPVIT)
    notes = load_weights(network, saved(state)).notes
    assert notes[int(foreign) :] == (
        "4 token mixers of RepViT's first generation converted; exact in eval mode",
        "num_batches_tracked is missing 4 times; the model's own are kept",
    )
    x = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        assert (network(x) - source(x)).abs().max() <= 1e-5 * source(x).abs().max()


# nests, prefixes, counters


@pytest.mark.parametrize("prefix", ["ema.", "ema_model.", "model_ema.module.", "_orig_mod.module."])
def test_prefixes_of_averages_and_wrappers_are_removed(prefix, saved):
    source, network = trained(V2), fresh(V2)
    report = load_weights(network, saved({prefix + name: value for name, value in source.state_dict().items()}))
    assert report.notes == (f"prefix '{prefix}' removed from {len(source.state_dict())} names",)
    check(network, source.state_dict())


@pytest.mark.parametrize("nest", ["ema", "model_state_dict", "ema_state_dict"])
def test_nests_of_averages_are_opened(nest, saved):
    source, network = trained(V2), fresh(V2)
    assert load_weights(network, saved({nest: source.state_dict()})).notes == (f"read from '{nest}'",)
    check(network, source.state_dict())


def test_torchs_averaged_model_is_read(saved):
    source, network = trained(V2), fresh(V2)
    average = torch.optim.swa_utils.AveragedModel(source)
    report = load_weights(network, saved(average.state_dict()))
    assert report.notes == (
        "'n_averaged' left out, which counts the averaged states",
        f"prefix 'module.' removed from {len(source.state_dict())} names",
    )
    check(network, source.state_dict())


def test_a_state_and_its_average_are_refused_unless_equal(saved):
    state = trained(V2).state_dict()
    other = {name: value + 1 for name, value in state.items()}
    text = refused(fresh(V2), saved({"model": state, "model_ema": other}))
    assert "holds two states that fit equally well, 'model' and 'model_ema'; save the one you want alone" in text
    text = refused(
        fresh(V2), saved({f"model.{k}": v for k, v in state.items()} | {f"ema.{k}": v for k, v in other.items()})
    )
    assert "the names under 'model.' of the top level and the names under 'ema.' of the top level" in text
    load_weights(fresh(V2), saved({"model": state, "model_ema": state}))


def test_two_states_without_counts_of_batches_are_two_all_the_same(saved):
    state = {k: v for k, v in trained(V2).state_dict().items() if not k.endswith("num_batches_tracked")}
    text = refused(fresh(V2), saved({f"{p}.{k}": v + (p == "ema") for k, v in state.items() for p in ("model", "ema")}))
    assert "holds two states that fit equally well" in text


def test_names_with_and_without_a_prefix_are_not_mixed(saved):
    state = trained(V2).state_dict()
    names = list(state)
    half = {name if index % 2 else f"module.{name}": state[name] for index, name in enumerate(names)}
    text = refused(fresh(V2), saved(half))
    first, second = (len(names) + 1) // 2, len(names) // 2
    assert (
        f"mixes names of the model under different prefixes ({first} have the prefix 'module.', {second} have none)"
        in text
    )
    for layout, spec in (("timm", V2), ("torchvision", V2), ("authors", REPVIT)):
        halves = list(edgewise.convert_state_dict(trained(spec), layout).items())
        both = {f"{'ema' if index % 2 else 'model'}.{name}": value for index, (name, value) in enumerate(halves)}
        text = refused(fresh(spec), saved(both))
        counts = f"{len(both) - len(both) // 2} have the prefix 'model.', {len(both) // 2} have the prefix 'ema.'"
        assert f"mixes names of the model under different prefixes ({counts})" in text
    one_more = {f"module.{name}": value for name, value in state.items()} | {names[0]: state[names[0]] + 1}
    assert "mixes names of the model under different prefixes" in refused(fresh(V2), saved(one_more))


def test_other_things_beside_a_prefixed_model_are_named(saved):
    state = {f"model.{name}": value for name, value in trained(V2).state_dict().items()}
    text = refused(fresh(V2), saved(state | {"loss.weight": torch.ones(3), "model.extra": torch.ones(1)}))
    assert "nothing was loaded: 'extra' is not in the model; 'loss.weight' is not in the model" in text or (
        "nothing was loaded: 'loss.weight' is not in the model; 'extra' is not in the model" in text
    )


@EVERY
def test_files_from_before_batches_were_counted_are_read(spec, saved):
    source, network = trained(spec), fresh(spec)
    state = {name: value for name, value in source.state_dict().items() if not name.endswith("num_batches_tracked")}
    count = len(source.state_dict()) - len(state)
    report = load_weights(network, saved({f"module.{name}": value for name, value in state.items()}))
    assert report.notes[1] == f"num_batches_tracked is missing {count} times; the model's own are kept"
    assert report.loaded == len(state)
    check(network, state)


def test_a_counter_of_another_kind_is_refused(saved):
    state = trained(V2).state_dict() | {"bn1.num_batches_tracked": torch.tensor(3.0)}
    assert "'bn1.num_batches_tracked' is torch.float32, the model needs torch.int64" in refused(fresh(V2), saved(state))


def test_settings_beside_the_weights_are_no_obstacle(saved):
    source, network = trained(FORMER), fresh(FORMER)
    content = {
        "state_dict": {f"module.{k}": v for k, v in source.state_dict().items()},
        "args": argparse.Namespace(b=1),
    }
    assert load_weights(network, saved(content)).notes[0] == "read from 'state_dict'"
    check(network, source.state_dict())


def test_names_that_are_no_texts_are_refused(saved):
    assert "is of another model: it holds '0'" in refused(fresh(V2), saved({0: torch.ones(1), (1, 2): torch.ones(1)}))
    assert "'7' is not in the model" in refused(fresh(V2), saved(trained(V2).state_dict() | {7: torch.ones(1)}))


# features only


@EVERY
def test_a_classifiers_file_goes_into_its_features(spec, saved):
    source = trained(spec)
    features = build(spec, features_only=True, out_indices=(0,))
    path = saved(source.state_dict())
    report = load_weights(features, path)
    left = len(source.state_dict()) - len(features.state_dict())
    assert left > 0
    assert report.notes == (f"features only: {left} tensors of the head and of later stages left out",)
    check(features, source.state_dict(), features.state_dict())
    fused = fuse(features)
    check(fused, source.fuse().state_dict(), fused.state_dict())
    load_weights(fused, saved(source.fuse().state_dict()))


def test_features_take_foreign_names_and_leave_out_nothing_else(saved):
    theirs = edgewise.convert_state_dict(trained(V3), "torchvision")
    features = build(V3, features_only=True)
    notes = load_weights(features, saved(theirs)).notes
    assert "features only: 4 tensors of the head and of later stages left out" in notes
    assert "'extra' is not in the model" in refused(features, saved(theirs | {"extra": torch.ones(1)}))
