import hashlib
import io
import sys

import huggingface_hub
import pytest
import torch
from huggingface_hub.errors import LocalEntryNotFoundError, RemoteEntryNotFoundError
from safetensors.torch import save_file
from torch import nn

from edgewise.blocks.state_hash import sha256_of_state
from edgewise.errors import MissingExtraError, WeightsError
from edgewise.models.weights import FINGERPRINT, load_weights


def model(in_chs: int = 3, num_classes: int = 5, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    whole = nn.Sequential()
    whole.add_module("stem", nn.Conv2d(in_chs, 4, 3, bias=False))
    whole.add_module("norm", nn.BatchNorm2d(4))
    whole.add_module("mid", nn.Conv2d(4, 4, 1))
    whole.add_module("classifier", nn.Linear(4, num_classes))
    return whole


def trained(**options) -> dict[str, torch.Tensor]:
    state = model(**options, seed=1).state_dict()
    state["norm.num_batches_tracked"] += 2**40 + 1
    state["norm.running_mean"] += torch.arange(4)
    return state


def check(net, state, names=None):
    loaded = net.state_dict()
    for name in names or state:
        assert torch.equal(loaded[name], state[name]), name


def refused(net, path, **options) -> str:
    before = {name: value.clone() for name, value in net.state_dict().items()}
    with pytest.raises(WeightsError) as caught:
        load_weights(net, path, **options)
    check(net, before)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def saved(path, content):
    if path.suffix == ".safetensors":
        save_file(content, path, metadata={"model": "tiny"})
    else:
        torch.save(content, path)
    return path


def test_safetensors_are_loaded_in_place_with_metadata_and_hash(tmp_path):
    path = saved(tmp_path / "net.safetensors", trained())
    net = model()
    weight = net.stem.weight
    report = load_weights(net, str(path))
    assert net.stem.weight is weight
    assert weight.requires_grad
    check(net, trained())
    assert report.loaded == len(trained())
    assert report.notes == ()
    assert report.metadata == {"model": "tiny"}
    assert report.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("zip_format", [True, False])
def test_torch_files_of_either_kind_are_loaded_whatever_their_name(tmp_path, zip_format):
    path = tmp_path / "net.safetensors"
    torch.save(trained(), path, _use_new_zipfile_serialization=zip_format)
    net = model()
    report = load_weights(net, path)
    check(net, trained())
    assert report.metadata == {}


def test_a_run_folder_gives_its_best_weights(tmp_path):
    (tmp_path / "weights").mkdir()
    saved(tmp_path / "weights/best.safetensors", trained())
    net = model()
    load_weights(net, tmp_path)
    check(net, trained())


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "model.", "module._orig_mod.", "model_ema."])
def test_prefixes_are_removed_and_reported(tmp_path, prefix):
    path = saved(tmp_path / "net.safetensors", {prefix + name: value for name, value in trained().items()})
    net = model()
    assert load_weights(net, path).notes == (f"prefix '{prefix}' removed from {len(trained())} names",)
    check(net, trained())


def test_a_model_whose_own_names_begin_with_a_prefix_is_left_alone(tmp_path):
    net = nn.Sequential()
    net.add_module("model", model())
    path = saved(tmp_path / "net.safetensors", {f"model.{name}": value for name, value in trained().items()})
    assert load_weights(net, path).notes == ()
    check(net.model, trained())


@pytest.mark.parametrize("nest", ["state_dict", "model", "state_dict_ema", "model_ema"])
def test_nests_are_opened_and_reported(tmp_path, nest):
    wrapped = {f"module.{name}": value for name, value in trained().items()}
    path = saved(tmp_path / "net.pth", {"epoch": 3, "lr": 0.1, nest: wrapped, "optimizer": {"state": {}}})
    net = model()
    report = load_weights(net, path)
    assert report.notes[0] == f"read from '{nest}'"
    assert report.notes[1].startswith("prefix 'module.' removed")
    check(net, trained())


def test_nests_within_nests_are_opened(tmp_path):
    net = model()
    report = load_weights(net, saved(tmp_path / "net.pth", {"model": {"state_dict": trained()}}))
    assert report.notes == ("read from 'model.state_dict'",)


def test_two_equally_good_states_are_refused_naming_both_unless_they_are_the_same(tmp_path):
    other = {name: value + 1 for name, value in trained().items()}
    path = saved(tmp_path / "net.pth", {"state_dict": trained(), "state_dict_ema": other})
    text = refused(model(), path)
    assert (
        "holds two states that fit equally well, 'state_dict' and 'state_dict_ema'; save the one you want alone" in text
    )
    net = model()
    load_weights(net, saved(path, {"state_dict": trained(), "state_dict_ema": trained()}))
    check(net, trained())


def test_the_state_that_fits_wins_over_one_of_another_model(tmp_path):
    path = saved(tmp_path / "net.pth", {"model": {"x": torch.zeros(1)}, "state_dict_ema": trained()})
    net = model()
    assert load_weights(net, path).notes == ("read from 'state_dict_ema'",)


def test_two_equally_good_prefixes_are_refused_naming_both(tmp_path):
    both = trained() | {f"module.{name}": value + 1 for name, value in trained().items()}
    text = refused(model(), saved(tmp_path / "net.safetensors", both))
    assert "holds two states that fit equally well, " in text
    assert "the top level and " in text or " and the top level;" in text
    assert "the names under 'module.' of the top level" in text


def test_a_whole_model_beside_rests_under_a_prefix_is_refused(tmp_path):
    text = refused(model(), saved(tmp_path / "net.safetensors", trained() | {"module.mid.bias": torch.zeros(4)}))
    assert "'module.mid.bias' is not in the model" in text


def test_missing_extra_and_misshapen_are_listed_together_and_nothing_is_loaded(tmp_path):
    state = trained()
    del state["norm.bias"]
    state |= {"extra": torch.zeros(2), "mid.weight": torch.zeros(4, 5, 1, 1), "mid.bias": torch.zeros(4).int()}
    text = refused(model(), saved(tmp_path / "net.safetensors", state))
    assert "does not fit the model, nothing was loaded: 'norm.bias' is missing; " in text
    assert "'extra' is not in the model" in text
    assert "'mid.weight' has shape (4, 5, 1, 1), the model needs (4, 4, 1, 1)" in text
    assert "'mid.bias' is torch.int32, the model needs torch.float32" in text


def test_only_the_first_ten_problems_are_listed(tmp_path):
    state = trained() | {f"extra{i:02d}": torch.zeros(1) for i in range(14)}
    text = refused(model(), saved(tmp_path / "net.safetensors", state))
    assert text.count("is not in the model") == 10
    assert text.endswith("… (14 in all)")


def test_entries_that_are_no_tensors_are_refused(tmp_path):
    text = refused(model(), saved(tmp_path / "net.pth", trained() | {"epoch": 3}))
    assert "'epoch' is not in the model" in text
    assert "'mid.bias' is no plain tensor (list)" in refused(
        model(), saved(tmp_path / "net.pth", trained() | {"mid.bias": [0.0]})
    )


def test_weights_of_another_model_are_named_as_such(tmp_path):
    text = refused(model(), saved(tmp_path / "net.safetensors", {"features.0.weight": torch.zeros(3)}))
    assert "is of another model: it holds 'features.0.weight', …; the model has 'stem.weight'" in text


def test_another_class_count_needs_a_new_head(tmp_path):
    state = trained(num_classes=9)
    path = saved(tmp_path / "net.safetensors", state)
    assert (
        "has a head for 9 classes, the model has 5; build it for 9, or ask for a new head (new_head=True, --new-head)"
        in refused(model(), path)
    )
    net = model()
    report = load_weights(net, path, new_head=True)
    assert report.notes == ("new head: 2 tensors of the file left out, 2 of the model keep their start",)
    assert report.loaded == len(state) - 2
    check(net, state, [name for name in state if not name.startswith("classifier.")])
    check(net, model().state_dict(), ["classifier.weight", "classifier.bias"])


def test_a_new_head_is_new_even_where_the_old_one_would_fit_or_is_missing(tmp_path):
    net = model()
    load_weights(net, saved(tmp_path / "net.safetensors", trained()), new_head=True)
    check(net, model().state_dict(), ["classifier.weight", "classifier.bias"])
    headless = {name: value for name, value in trained().items() if not name.startswith("classifier.")}
    path = saved(tmp_path / "net.safetensors", headless)
    assert "'classifier.weight' is missing" in refused(model(), path)
    load_weights(net, path, new_head=True)


def test_a_new_head_excuses_nothing_else(tmp_path):
    state = trained(num_classes=9) | {"mid.bias": torch.zeros(5)}
    assert "'mid.bias' has shape (5,)" in refused(model(), saved(tmp_path / "net.safetensors", state), new_head=True)


@pytest.mark.parametrize("in_chs", [1, 2, 4, 6, 7])
def test_the_first_conv_is_adapted_as_timm_does(tmp_path, in_chs):
    from timm.models import adapt_input_conv

    state = trained()
    net = model(in_chs=in_chs)
    report = load_weights(net, saved(tmp_path / "net.safetensors", state))
    assert torch.equal(net.stem.weight, adapt_input_conv(in_chs, state["stem.weight"]))
    assert report.notes[0].startswith(f"'stem.weight' adapted from 3 to {in_chs} input channels (")
    check(net, state, [name for name in state if name != "stem.weight"])


def test_a_depthwise_first_conv_is_not_adapted(tmp_path):
    net = nn.Sequential(nn.Conv2d(4, 4, 3, groups=4))
    state = {"0.weight": torch.ones(4, 3, 3, 3), "0.bias": torch.ones(4)}
    assert "'0.weight' has shape (4, 3, 3, 3), the model needs (4, 1, 3, 3)" in refused(
        net, saved(tmp_path / "net.safetensors", state)
    )


def test_only_the_first_conv_is_adapted(tmp_path):
    state = trained() | {"mid.weight": torch.ones(4, 3, 1, 1)}
    assert "'mid.weight' has shape (4, 3, 1, 1)" in refused(model(), saved(tmp_path / "net.safetensors", state))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_floats_of_another_width_are_cast_and_reported(tmp_path, dtype):
    state = {name: value.to(dtype) if value.is_floating_point() else value for name, value in trained().items()}
    net = model()
    report = load_weights(net, saved(tmp_path / "net.safetensors", state))
    name = str(dtype).removeprefix("torch.")
    assert report.notes == (f"{len(state) - 1} tensors cast from {name} to float32",)
    assert net.stem.weight.dtype == torch.float32
    check(net, {key: value.to(model().state_dict()[key].dtype) for key, value in state.items()})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_nonfinite_values_are_refused_unless_allowed(tmp_path, value):
    state = trained()
    state["norm.running_var"][2] = value
    path = saved(tmp_path / "net.safetensors", state)
    assert "holds NaN or infinite values in 'norm.running_var'; to load it all the same" in refused(model(), path)
    net = model()
    report = load_weights(net, path, allow_nonfinite=True)
    assert report.notes == ("NaN or infinite values in 'norm.running_var'",)
    assert not net.norm.running_var.isfinite().all()


def test_a_value_that_overflows_in_the_cast_is_refused(tmp_path):
    state = trained() | {"mid.bias": torch.full((4,), 1e300, dtype=torch.float64)}
    assert "infinite values in 'mid.bias'" in refused(model(), saved(tmp_path / "net.safetensors", state))


class Hub:
    """Stands in for the hub: gives the files it was told of and remembers what was asked."""

    def __init__(self, monkeypatch, files, missing=RemoteEntryNotFoundError):
        self.asked = []
        self.files = files
        self.missing = missing
        monkeypatch.setattr(huggingface_hub, "hf_hub_download", self.download)

    def download(self, repository, name, revision=None):
        self.asked.append((repository, name, revision))
        if name in self.files:
            return str(self.files[name])
        raise self.missing.__new__(self.missing)


def test_a_hub_id_gives_its_safetensors_first(tmp_path, monkeypatch):
    hub = Hub(monkeypatch, {"model.safetensors": saved(tmp_path / "net.safetensors", trained())})
    for source in ("hf-hub:timm/tiny.e1_in1k", "timm/tiny.e1_in1k", "hf-hub:timm/tiny.e1_in1k@v2"):
        net = model()
        load_weights(net, source)
        check(net, trained())
    assert hub.asked == [
        ("timm/tiny.e1_in1k", "model.safetensors", None),
        ("timm/tiny.e1_in1k", "model.safetensors", None),
        ("timm/tiny.e1_in1k", "model.safetensors", "v2"),
    ]


def test_a_hub_repository_with_a_bin_file_is_read_as_plain_tensors_only(tmp_path, monkeypatch):
    hub = Hub(monkeypatch, {"pytorch_model.bin": saved(tmp_path / "net.bin", trained())})
    load_weights(model(), "hf-hub:org/name")
    assert [name for _, name, _ in hub.asked] == ["model.safetensors", "pytorch_model.bin"]
    stream = io.BytesIO()
    torch.save(model(), stream)
    (tmp_path / "net.bin").write_bytes(stream.getvalue())
    assert "holds a pickle that is not plain tensors" in refused(model(), "hf-hub:org/name")


def test_a_hub_that_cannot_give_is_said_in_one_line(monkeypatch):
    hub = Hub(monkeypatch, {})
    assert "'hf-hub:org/name' has no model.safetensors or pytorch_model.bin on the hub" in refused(
        model(), "hf-hub:org/name"
    )
    hub.missing = LocalEntryNotFoundError
    hub.asked.clear()
    assert "'org/name' is no file here, and the hub did not give it: " in refused(model(), "org/name")
    assert len(hub.asked) == 1, "offline is not the same as absent"


def test_offline_the_network_is_not_asked(tmp_path, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    text = refused(model(), "hf-hub:timm/mobilenetv4_conv_small.e2400_r224_in1k")
    assert "is not in the cache" in text
    assert "HF_HUB_OFFLINE=1 forbids to ask" in text


def test_without_huggingface_hub_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(MissingExtraError, match=r"'hf-hub:org/name' needs huggingface-hub: install edgewise\[hub\]"):
        load_weights(model(), "hf-hub:org/name")


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("hf-hub:only-a-name", "is no hub id; accepted: hf-hub:org/name"),
        ("hf-hub:../../etc/passwd", "is no hub id"),
        ("http://example.org/net.safetensors", "is an address; download it first"),
        ("gone/net.safetensors", "cannot be read: No such file or directory"),
        ("here/net", "cannot be read: No such file or directory"),
        ("nul\0name", r"'nul\x00name' cannot be read: its name holds a NUL character"),
        ("x" * 300, "cannot be read: File name too long"),
        ("here/" + "x" * 300, "cannot be read: File name too long"),
    ],
)
def test_sources_that_are_none_are_said_without_asking_the_hub(tmp_path, monkeypatch, source, reason):
    hub = Hub(monkeypatch, {})
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here").mkdir()
    assert reason in refused(model(), source)
    assert hub.asked == []


def test_a_fingerprint_beside_the_tensors_is_checked(tmp_path):
    state = trained()
    path = tmp_path / "best.safetensors"
    save_file(state, path, {FINGERPRINT: sha256_of_state(state)})
    net = model()
    load_weights(net, path)
    check(net, state)
    raw = bytearray(path.read_bytes())
    raw[-3] ^= 1
    path.write_bytes(raw)
    assert "was altered after it was written" in refused(model(), path)
