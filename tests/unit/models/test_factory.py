from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import timm
import torch
from hub_cache import offline, put
from safetensors.torch import save, save_file
from tests.conftest import randomise
from torch import nn

import edgewise
from edgewise.errors import ConfigError, SpecError, UnknownNameError, WeightsError
from edgewise.models.described import Described
from edgewise.models.families.mobilenetv3 import SPECS
from edgewise.records.artifact import Preprocessing
from edgewise.spec.text import dump_spec

NAME = "mobilenetv3_small_050"
TAG = f"{NAME}.lamb_in1k"
HALF = "mobilenetv4_conv_small_050.e3000_r224_in1k"  # trained on images from -1 to 1
X = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))


def published(num_classes: int = 1000) -> dict[str, torch.Tensor]:
    return randomise(timm.create_model(NAME, num_classes=num_classes)).state_dict()


STATE = published()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    save_file(STATE, tmp_path / "net.safetensors")
    return tmp_path / "net.safetensors"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    offline(tmp_path / "hub", monkeypatch)
    return tmp_path / "hub"


def config(**fields: object) -> dict[str, object]:
    """Return what timm writes beside a model that was fine-tuned to two classes of 96 pixels."""
    cfg = {
        "tag": "cats", "custom_load": False, "input_size": [3, 96, 96], "test_input_size": [3, 128, 128],
        "fixed_input_size": False, "interpolation": "bilinear", "crop_pct": 0.9, "test_crop_pct": 1.0,
        "crop_mode": "center", "mean": [0.4, 0.5, 0.6], "std": [0.2, 0.3, 0.4], "num_classes": 2, "pool_size": [3, 3],
        "first_conv": "conv_stem", "classifier": "classifier", "license": "cc0-1.0", "label_names": ["cat", "dog"],
    }  # fmt: skip
    whole = {"architecture": NAME, "num_classes": 2, "num_features": 288, "global_pool": "avg", "pretrained_cfg": cfg}
    return whole | fields


RECIPE = Preprocessing(img_size=96, crop_pct=0.9, interpolation="bilinear", mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.4))


def made(*args: object, **options: object) -> Described:
    model = edgewise.create_model(*args, **options)
    assert isinstance(model, Described)
    return model.eval()


def holds(model: nn.Module, state: dict[str, torch.Tensor], *, but: str = "nothing") -> bool:
    own = model.state_dict()
    return all(torch.equal(own[name], value) for name, value in state.items() if name in own and but not in name)


def sha256_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


# names and tags


def test_a_name_alone_gives_fresh_weights_and_the_first_tags_preprocessing() -> None:
    model = made("mobilenetv4_conv_medium")
    assert model.preprocessing == Preprocessing(img_size=256, crop_pct=0.95)
    assert (model.weights_sha256, model.weights_source, model.weights_notes) == (None, None, ())


def test_the_catalogues_size_stays_where_nobody_asks_for_weights() -> None:
    name = "mobilenetv4_conv_aa_large"  # its first tag was trained at 448
    assert made(name, num_classes=2).preprocessing.img_size == 384
    assert made(f"{name}.e230_r448_in12k_ft_in1k", num_classes=2).preprocessing.img_size == 448


def test_a_tag_brings_its_preprocessing_without_its_weights() -> None:
    torch.manual_seed(0)
    fresh = made(HALF.partition(".")[0]).state_dict()
    torch.manual_seed(0)
    model = made(HALF)
    assert holds(model, fresh)
    assert (model.preprocessing.mean, model.preprocessing.std) == ((0.5,) * 3, (0.5,) * 3)
    assert model.weights_sha256 is None


@pytest.mark.parametrize(("name", "num_classes"), [("mobilenetv4_conv_medium.e180_r384_in12k", 11821), (TAG, 1000)])
def test_a_tag_brings_its_classes(name: str, num_classes: int) -> None:
    with torch.device("meta"):
        assert made(name).spec.num_classes == num_classes
        assert made(name, num_classes=3).spec.num_classes == 3


@pytest.mark.parametrize("name", [TAG, HALF, "mobilenetv4_conv_small", "repvit_m0_9", "mobileone_s0", "repvgg_a0"])
def test_pretrained_cfg_says_what_timms_does(name: str) -> None:
    with torch.device("meta"):
        ours, theirs = made(name).pretrained_cfg, timm.create_model(name).pretrained_cfg
    for field in ("custom_load", "fixed_input_size", "pool_size", "url"):
        theirs.pop(field)
    assert {field: ours[field] for field in theirs} == theirs


def test_pretrained_cfg_says_what_was_published() -> None:
    with torch.device("meta"):
        cfg = made("mobilenetv4_conv_small.e2400_r224_in1k", num_classes=5, features_only=True).pretrained_cfg
    assert (cfg["license"], cfg["top1"], cfg["test_top1"]) == ("apache-2.0", 0.73756, 0.74644)
    assert cfg["num_classes"] == 1000, "of the weights, as in timm"


def test_unknown_names_and_tags() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown weights '\w+\.lamb'; did you mean 'lamb_in1k'"):
        made(f"{NAME}.lamb")
    with pytest.raises(UnknownNameError, match=f"unknown weights '{NAME}.'; accepted: lamb_in1k"):
        made(f"{NAME}.")
    with pytest.raises(UnknownNameError, match="unknown model 'mobilenetv3_smal_050'; did you mean"):
        made("mobilenetv3_smal_050.lamb_in1k")


# weights


@pytest.mark.parametrize("name", [NAME, TAG])
def test_published_weights_come_through_the_hub(name: str, cache: Path) -> None:
    put(cache, f"timm/{TAG}", {"model.safetensors": save(STATE)})
    model = made(name, pretrained=True)
    assert holds(model, STATE)
    assert model.weights_sha256 == hashlib.sha256(save(STATE)).hexdigest()
    assert model.weights_source == f"hf-hub:timm/{TAG}"
    assert model.tag is not None
    assert model.tag.top1 == 0.57918


def test_the_hubs_own_variables_are_heeded(tmp_path: Path) -> None:
    put(tmp_path / "hub", f"timm/{TAG}", {"model.safetensors": save(STATE)})
    code = f"import edgewise; print(edgewise.create_model({NAME!r}, pretrained=True).weights_sha256)"
    environment = os.environ | {"HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1"}
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        environment.pop(name, None)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.strip() == hashlib.sha256(save(STATE)).hexdigest()


def test_published_weights_that_cannot_be_had_are_an_error(cache: Path) -> None:
    with pytest.raises(WeightsError, match=f"of timm/{TAG} is not in the cache"):
        made(NAME, pretrained=True)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "mobilenetv1_025",
            r"no weights were published for 'mobilenetv1_025'; give a file \(checkpoint_path=FILE in Python",
        ),
        ("mobilenetv2_035", "no weights were published for 'mobilenetv2_035'"),
        (
            "mobilenet_v3_small",
            "the weights 'mobilenet_v3_small.IMAGENET1K_V1' are not on the hub: get mobilenet_v3_small-047dcff4.pth from "
            r"https://download.pytorch.org/\S+ \(licence: bsd-3-clause\) and give it: checkpoint_path=FILE in Python",
        ),
    ],
)
def test_weights_that_nobody_can_download(name: str, message: str) -> None:
    with pytest.raises(WeightsError, match=message):
        made(name, pretrained=True)


@pytest.mark.parametrize("kind", ["safetensors", "torch"])
def test_a_file_stands_in_for_the_published_one(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "net.bin"
    if kind == "torch":
        torch.save({"state_dict": STATE}, path)
    else:
        save_file(STATE, path)
    by_overlay = made(TAG, pretrained=True, pretrained_cfg_overlay={"file": path})
    by_path = made(TAG, checkpoint_path=path)
    for model in (by_overlay, by_path):
        assert holds(model, STATE)
        assert (model.weights_sha256, model.weights_source) == (sha256_of(path), "net.bin")
        assert model.tag is not None
        assert model.tag.tag == "lamb_in1k"


def test_a_file_without_a_tag_is_nobodys_published_weights(file: Path) -> None:
    model = made(NAME, checkpoint_path=file)
    assert model.tag is None
    assert "top1" not in model.pretrained_cfg
    assert model.preprocessing == made(NAME).preprocessing


def test_answers_are_timms(file: Path) -> None:
    theirs = timm.create_model(TAG, pretrained=True, pretrained_cfg_overlay={"file": str(file)}).eval()
    with torch.inference_mode():
        assert torch.allclose(made(TAG, checkpoint_path=file)(X), theirs(X), rtol=0, atol=1e-5 * theirs(X).abs().max())


def test_other_classes_keep_the_body_alone(file: Path) -> None:
    model = made(TAG, checkpoint_path=file, num_classes=7)
    assert holds(model, STATE, but="classifier.")
    assert model(X).shape == (2, 7)
    assert model.weights_notes == ("new head: 2 tensors of the file left out, 2 of the model keep their start",)
    assert holds(made(TAG, checkpoint_path=file, num_classes=0), STATE)


def test_a_file_for_other_classes_than_expected_is_refused(tmp_path: Path) -> None:
    save_file(published(9), tmp_path / "net.safetensors")
    with pytest.raises(WeightsError, match="has a head for 9 classes, the model has 1000; build it for 9, or"):
        made(NAME, checkpoint_path=tmp_path / "net.safetensors")
    assert holds(made(NAME, num_classes=9, checkpoint_path=tmp_path / "net.safetensors"), published(9))


@pytest.mark.parametrize("in_chans", [1, 4])
def test_other_channels_adapt_the_first_convolution_and_the_normalisation(in_chans: int, file: Path) -> None:
    model = made(TAG, in_chans=in_chans, checkpoint_path=file)
    theirs = timm.create_model(TAG, in_chans=in_chans, pretrained=True, pretrained_cfg_overlay={"file": str(file)})
    assert torch.allclose(model.conv_stem.weight, theirs.conv_stem.weight, atol=1e-6)
    assert f"'conv_stem.weight' adapted from 3 to {in_chans} input channels" in model.weights_notes[0]
    mean = model.preprocessing.mean
    assert mean == ((0.485, 0.456, 0.406, 0.485) if in_chans == 4 else pytest.approx((0.449,)))
    assert len(model.preprocessing.std) == in_chans
    assert model.pretrained_cfg["input_size"] == (in_chans, 224, 224)


def test_features_take_the_trunk_of_a_classifier(file: Path) -> None:
    model = made(TAG, features_only=True, out_indices=(1, 2), checkpoint_path=file)
    theirs = timm.create_model(
        TAG, features_only=True, out_indices=(1, 2), pretrained=True, pretrained_cfg_overlay={"file": str(file)}
    ).eval()
    with torch.inference_mode():
        for one, other in zip(model(X), theirs(X), strict=True):
            assert torch.allclose(one, other, rtol=0, atol=1e-5 * other.abs().max())
    assert any("features only: " in note for note in model.weights_notes)
    assert model.weights_sha256 == sha256_of(file)


def test_an_own_size_is_kept(file: Path) -> None:
    model = made(TAG, img_size=96, checkpoint_path=file)
    assert model.preprocessing.img_size == model.spec.img_size == 96


def test_a_file_that_does_not_fit(tmp_path: Path) -> None:
    save_file(randomise(timm.create_model("mobilenetv3_small_075")).state_dict(), tmp_path / "net.safetensors")
    with pytest.raises(WeightsError, match="does not fit the model, nothing was loaded"):
        made(NAME, checkpoint_path=tmp_path / "net.safetensors")


# overlays


def test_an_overlay_changes_what_is_known() -> None:
    overlay = {"input_size": (3, 128, 128), "mean": (0.1, 0.2, 0.3), "std": (1, 2, 3), "num_classes": 4, "tag": "own"}
    model = made(NAME, pretrained_cfg_overlay=overlay | {"test_input_size": (3, 160, 160), "crop_pct": 1.0})
    assert model.preprocessing == Preprocessing(img_size=128, crop_pct=1.0, mean=(0.1, 0.2, 0.3), std=(1, 2, 3))
    assert model.spec.num_classes == 4
    assert model.pretrained_cfg["test_input_size"] == (3, 160, 160)


def test_an_overlay_names_another_repository(cache: Path) -> None:
    put(cache, "org/mine", {"pytorch_model.bin": save(STATE)})
    model = made(NAME, pretrained=True, pretrained_cfg_overlay={"hf_hub_id": "org/mine"})
    assert holds(model, STATE)
    assert model.weights_source == "hf-hub:org/mine"


@pytest.mark.parametrize(
    ("overlay", "message"),
    [
        ({"crop_pkt": 1.0}, "pretrained_cfg_overlay: unknown field 'crop_pkt'; did you mean 'crop_pct'"),
        ({"pool_size": (7, 7)}, "unknown field 'pool_size'.* accepted: tag, hf_hub_id, file"),
        ({"crop_pct": 0}, "pretrained_cfg_overlay: crop_pct is 0; must be > 0"),
        ({"crop_mode": "squash"}, "crop_mode is 'squash'; accepted: 'center'"),
        ({"input_size": (3, 128, 96)}, "height and width must be equal"),
        ({"mean": (0.5,) * 3}, "mean and std belong together; give both"),
        ({"mean": (0.5,) * 3, "std": (0.5,)}, "mean has 3 values, std 1; must be equal"),
    ],
)
def test_overlays_that_cannot_be_used(overlay: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        made(NAME, pretrained_cfg_overlay=overlay)


# repositories and folders


def folder_with(folder: Path, cfg: dict[str, object]) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(cfg))
    save_file(published(2), folder / "model.safetensors")
    return folder


def old_form() -> dict[str, object]:
    whole = config()
    return whole.pop("pretrained_cfg") | {"architecture": NAME, "num_features": 288}


@pytest.mark.parametrize("cfg", [config(), old_form()], ids=["nested", "flat"])
def test_a_folder_says_which_model_it_holds(cfg: dict[str, object], tmp_path: Path) -> None:
    folder = folder_with(tmp_path / "cats", cfg)
    model = made(f"local-dir:{folder}", pretrained=True)
    assert holds(model, published(2))
    assert (model.spec.name, model.spec.num_classes, model.preprocessing) == (NAME, 2, RECIPE)
    assert (model.weights_sha256, model.weights_source) == (sha256_of(folder / "model.safetensors"), "cats")
    expected = {"tag": "cats", "license": "cc0-1.0", "label_names": ("cat", "dog"), "test_input_size": (3, 128, 128)}
    assert expected.items() <= model.pretrained_cfg.items()
    assert made(f"local-dir:{folder}").weights_sha256 is None
    assert made(f"local-dir:{folder}", pretrained=True, num_classes=5)(X).shape == (2, 5)


@pytest.mark.parametrize("revision", ["", "@v2"])
def test_a_repository_says_which_model_it_holds(revision: str, cache: Path) -> None:
    files = {"config.json": config(), "model.safetensors": save(published(2))}
    put(cache, "org/cats", files, revision=revision.removeprefix("@") or "main")
    model = made(f"hf-hub:org/cats{revision}", pretrained=True)
    assert holds(model, published(2))
    assert model.preprocessing == RECIPE
    assert model.weights_source == f"hf-hub:org/cats{revision}"
    assert model.pretrained_cfg["hf_hub_id"] == f"org/cats{revision}"


def test_a_repository_of_timms_is_the_tag(cache: Path) -> None:
    cfg = {
        key: value for key, value in timm.create_model(TAG).pretrained_cfg.items() if key not in ("url", "hf_hub_id")
    }
    files = {"config.json": {"architecture": NAME, "num_classes": 1000, "pretrained_cfg": cfg}}
    put(cache, f"timm/{TAG}", files | {"model.safetensors": save(STATE)})
    by_hub, by_tag = made(f"hf-hub:timm/{TAG}", pretrained=True), made(TAG, pretrained=True)
    assert by_hub.preprocessing == by_tag.preprocessing
    assert by_hub.weights_sha256 == by_tag.weights_sha256


def test_a_folder_for_other_channels(tmp_path: Path) -> None:
    folder = tmp_path / "grey"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config(model_args={"in_chans": 1})))
    save_file(randomise(timm.create_model(NAME, num_classes=2, in_chans=1)).state_dict(), folder / "model.safetensors")
    model = made(f"local-dir:{folder}", pretrained=True)
    assert model(X[:, :1]).shape == (2, 2)
    assert len(model.preprocessing.mean) == 1


def test_a_runs_folder(tmp_path: Path) -> None:
    spec = SPECS[NAME].model_copy(update={"num_classes": 2, "img_size": 96})
    metadata = {"edgewise.spec": dump_spec(spec), "edgewise.preprocessing": RECIPE.model_dump_json()}
    (tmp_path / "weights").mkdir()
    best = tmp_path / "weights" / "best.safetensors"
    save_file(published(2), best, metadata)
    model = made(f"local-dir:{tmp_path}", pretrained=True)
    assert holds(model, published(2))
    assert (model.spec, model.preprocessing, model.weights_sha256) == (spec, RECIPE, sha256_of(best))
    by_file = made(NAME, num_classes=2, checkpoint_path=best)
    assert (by_file.preprocessing, by_file.spec.img_size) == (RECIPE, 96)
    assert made(NAME, num_classes=2, img_size=64, checkpoint_path=best).preprocessing.img_size == 64
    overlaid = made(f"local-dir:{tmp_path}", pretrained=True, pretrained_cfg_overlay={"crop_pct": 1.0})
    assert overlaid.preprocessing == RECIPE.model_copy(update={"crop_pct": 1.0})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", r"config.json' is no JSON"),
        (b"[]", r"config.json' is not laid out as timm's config.json"),
        (b'{"pretrained_cfg": 3}', r"is not laid out as timm's"),
        (b"{}", r"names no architecture; accepted: timm's config.json of an image classifier"),
        (b'{"architecture": "resnet50"}', "holds an unknown model 'resnet50'.*a model of timm's comes as timm:NAME"),
        (
            json.dumps(config(model_args={"global_pool": "max"})).encode(),
            "model_args.global_pool cannot be used here; accepted: num_classes, in_chans, img_size",
        ),
        (
            json.dumps({"architecture": NAME, "pretrained_cfg": {"interpolation": "lanczos"}}).encode(),
            "config.json': interpolation is 'lanczos'; accepted: 'bilinear' or 'bicubic'",
        ),
    ],
)
def test_a_config_that_cannot_be_used(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes(content)
    with pytest.raises((ConfigError, UnknownNameError), match=message):
        made(f"local-dir:{tmp_path}")


def test_folders_that_say_nothing(tmp_path: Path, file: Path) -> None:
    with pytest.raises(WeightsError, match="there is no such folder"):
        made(f"local-dir:{tmp_path / 'gone'}")
    with pytest.raises(WeightsError, match=r"is a folder without weights/best\.safetensors, model\.safetensors"):
        made(f"local-dir:{tmp_path}")
    file.rename(tmp_path / "model.safetensors")
    with pytest.raises(WeightsError, match=r"has no config\.json, and its weights do not say of which model they are"):
        made(f"local-dir:{tmp_path}")
    save_file(
        STATE, tmp_path / "model.safetensors", {"edgewise.spec": dump_spec(SPECS[NAME]), "edgewise.preprocessing": "{"}
    )
    with pytest.raises(WeightsError, match="carries a preprocessing that cannot be read"):
        made(f"local-dir:{tmp_path}")


def test_repositories_that_say_nothing(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(WeightsError, match=r"'hf-hub:org/cats': config\.json of org/cats is not in the cache"):
        made("hf-hub:org/cats")
    with pytest.raises(WeightsError, match="is no hub id; accepted: hf-hub:org/name"):
        made("hf-hub:cats")


# other forms of names


def test_a_spec_file(tmp_path: Path, file: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_text(dump_spec(SPECS[NAME]))
    assert holds(made(str(path), checkpoint_path=file), STATE)
    with pytest.raises(WeightsError, match=r"no weights were published for .*mine\.json'"):
        made(str(path), pretrained=True)
    with pytest.raises(SpecError, match=r"gone\.yaml' cannot be read"):
        made("gone.yaml")
    overlaid = made(str(path), pretrained_cfg_overlay={"crop_pct": 0.5}, img_size=64)
    assert overlaid.preprocessing == Preprocessing(img_size=64, crop_pct=0.5)


def test_a_model_of_timms(file: Path) -> None:
    model = edgewise.create_model(f"timm:{NAME}", checkpoint_path=file)
    assert holds(model, STATE)
    assert model.weights_sha256 == sha256_of(file)
    assert edgewise.create_model(f"timm:{NAME}", checkpoint_path=file, num_classes=3)(X).shape == (2, 3)
    with pytest.raises(ConfigError, match="pretrained_cfg_overlay is not for timm: models"):
        edgewise.create_model(f"timm:{NAME}", pretrained_cfg_overlay={"crop_pct": 1.0})
