from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from generated_images import encoded, noise
from PIL import Image
from pydantic import ValidationError
from torchvision.transforms.v2 import functional as tv

from edgewise.data.augment import AugmentConfig, TrainTransform, crop_box
from edgewise.data.mixing import mix_batch
from edgewise.data.normalise import normalise
from edgewise.data.randaug import MEAN_GREY, OPERATIONS
from edgewise.data.seeds import derived_seed, generator
from edgewise.data.transforms import EvalTransform
from edgewise.errors import ConfigError, ImageError
from edgewise.records.artifact import Preprocessing

PLAIN = AugmentConfig(crop_scale=(1, 1), crop_ratio=(1, 1), hflip=0, randaug_layers=0)


@pytest.mark.parametrize("size", [(256, 341), (341, 256), (97, 61), (8, 8), (700, 33), (73, 73), (1100, 35)])
@pytest.mark.parametrize("crop_pct", [1.0, 0.875, 0.95, 0.9])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_eval_is_resize_then_centre_crop(size: tuple[int, int], crop_pct: float, interpolation: str) -> None:
    pixels = noise(1, *size)
    preprocessing = Preprocessing(img_size=64, crop_pct=crop_pct, interpolation=interpolation)
    view = EvalTransform(preprocessing)(pixels)
    resized = tv.resize(Image.fromarray(pixels), [int(64 / crop_pct)], tv.InterpolationMode(interpolation))
    expected = tv.pil_to_tensor(tv.center_crop(resized, [64, 64]))
    assert view.dtype == torch.uint8
    assert view.shape == (3, 64, 64)
    assert torch.equal(view, expected)


@pytest.mark.parametrize("size", [(33, 1100), (1100, 33)])
def test_eval_of_a_very_long_image_is_within_two_levels(size: tuple[int, int]) -> None:
    pixels = noise(1, *size)
    view = EvalTransform(Preprocessing(img_size=64, crop_pct=0.875))(pixels)
    expected = tv.pil_to_tensor(
        tv.center_crop(tv.resize(Image.fromarray(pixels), [73], tv.InterpolationMode.BICUBIC), [64, 64])
    )
    assert (view.int() - expected.int()).abs().max() <= 2


def test_eval_of_a_file_is_that_of_its_pixels() -> None:
    content = encoded(noise(1, 900, 1200))
    view = EvalTransform(Preprocessing(img_size=64))
    assert torch.equal(view(content), view(np.asarray(Image.open(io.BytesIO(content)))))


def test_one_mean_asks_for_grey() -> None:
    pixels = noise(1, 90, 120)
    grey = EvalTransform(Preprocessing(img_size=64, mean=(0.5,), std=(0.5,)))(pixels)
    resized = tv.resize(Image.fromarray(pixels).convert("L"), [73], tv.InterpolationMode.BICUBIC)
    assert torch.equal(grey, tv.pil_to_tensor(tv.center_crop(resized, [64, 64])))
    with pytest.raises(ConfigError, match=r"mean has 4 values; image files give 1 channel \(grey\) or 3 \(RGB\)"):
        EvalTransform(Preprocessing(img_size=64, mean=(0.5,) * 4, std=(0.5,) * 4))


def test_extreme_aspect_is_cheap() -> None:
    assert EvalTransform(Preprocessing(img_size=64))(np.zeros((2, 60000, 3), np.uint8)).shape == (3, 64, 64)
    assert TrainTransform(AugmentConfig(), 64)(np.zeros((60000, 2, 3), np.uint8), 1).shape == (3, 64, 64)


def test_train_view_depends_on_its_seed_alone() -> None:
    content = encoded(noise(1, 100, 120))
    view = TrainTransform(AugmentConfig(color_jitter=0.4, erasing=0.5, vflip=0.5), 48)
    np.random.seed(1)
    torch.manual_seed(1)
    before = np.random.get_state()[1].copy(), torch.get_rng_state()
    first = [view(content, seed) for seed in range(20)]
    assert np.array_equal(np.random.get_state()[1], before[0])
    assert torch.equal(torch.get_rng_state(), before[1])
    np.random.seed(2)
    torch.manual_seed(2)
    assert all(torch.equal(one, view(content, seed)) for seed, one in reversed(list(enumerate(first))))
    assert len({one.numpy().tobytes() for one in first}) == 20
    assert {(tuple(one.shape), one.dtype) for one in first} == {((3, 48, 48), torch.uint8)}


def test_plain_train_view_is_the_eval_view() -> None:
    content = encoded(noise(1, 90, 90), "PNG")
    expected = EvalTransform(Preprocessing(img_size=40, crop_pct=1.0))(content)
    assert torch.equal(TrainTransform(PLAIN, 40)(content, 3), expected)


@pytest.mark.parametrize(("field", "axis"), [("hflip", 2), ("vflip", 1)])
def test_flips(field: str, axis: int) -> None:
    pixels = noise(1, 40, 40)
    plain = TrainTransform(PLAIN, 40)(pixels, 3)
    assert torch.equal(TrainTransform(PLAIN.model_copy(update={field: 1.0}), 40)(pixels, 3), plain.flip(axis))


def test_crop_of_a_smaller_decoding_is_that_of_the_full_one() -> None:
    content = encoded(noise(1, 480, 640), quality=95)
    pixels = np.asarray(Image.open(io.BytesIO(content)))
    view = TrainTransform(AugmentConfig(randaug_layers=0), 48)
    for seed in range(10):
        assert (view(content, seed).int() - view(pixels, seed).int()).float().abs().mean() < 2


def test_crops_stay_inside_and_cover_the_range() -> None:
    boxes = [crop_box(60, 100, AugmentConfig(), generator(seed)) for seed in range(300)]
    left, top, right, bottom = np.array(boxes).T
    shares = (right - left) * (bottom - top) / 6000
    assert min(left.min(), top.min()) >= 0
    assert right.max() <= 100
    assert bottom.max() <= 60
    assert shares.min() < 0.15
    assert shares.max() > 0.75
    assert (((right - left) / (bottom - top) > 0.70) & ((right - left) / (bottom - top) < 1.42)).all()
    assert crop_box(10, 100, AugmentConfig(crop_scale=(1, 1)), generator(0)) == (43, 0, 56, 10)


def test_train_view_of_garbage() -> None:
    with pytest.raises(ImageError, match="not an image"):
        TrainTransform(AugmentConfig(), 48)(b"garbage", 0)


REFERENCE = {
    "identity": lambda i, s: i,
    "brightness": lambda i, s: tv.adjust_brightness(i, 1 + 0.9 * s),
    "colour": lambda i, s: tv.adjust_saturation(i, 1 + 0.9 * s),
    "contrast": lambda i, s: tv.adjust_contrast(i, 1 + 0.9 * s),
    "sharpness": lambda i, s: tv.adjust_sharpness(i, 1 + 0.9 * s),
    "posterize": lambda i, s: tv.posterize(i, 8 - round(4 * abs(s))),
    "solarize": lambda i, s: tv.solarize(i, round(255 * (1 - abs(s)))),
    "auto_contrast": lambda i, s: tv.autocontrast(i),
    "equalize": lambda i, s: tv.equalize(i),
    "rotate": lambda i, s: tv.rotate(i, 30 * s, fill=list(MEAN_GREY)),
    "translate_x": lambda i, s: tv.affine(i, 0, [-round(150 / 331 * 64 * s), 0], 1, [0, 0], fill=list(MEAN_GREY)),
    "translate_y": lambda i, s: tv.affine(i, 0, [0, -round(150 / 331 * 64 * s)], 1, [0, 0], fill=list(MEAN_GREY)),
    "shear_x": lambda i, s: shear(i, 0.3 * s, 0),
    "shear_y": lambda i, s: shear(i, 0, 0.3 * s),
}


def shear(image: Image.Image, across: float, down: float) -> Image.Image:
    degrees = [float(np.degrees(np.arctan(across))), float(np.degrees(np.arctan(down)))]
    return tv.affine(image, 0, [0, 0], 1, degrees, center=[0, 0], fill=list(MEAN_GREY))


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("strength", [0.3, -0.8])
def test_operations_equal_torchvisions(name: str, strength: float) -> None:
    image = Image.fromarray(noise(5, 64, 64))
    ours = np.asarray(OPERATIONS[name](image, strength)).astype(int)
    theirs = np.asarray(REFERENCE[name](image, strength)).astype(int)
    # nearest neighbours may fall on either side of a pixel's edge
    assert (np.abs(ours - theirs).max(-1) > 12).mean() < 0.01
    if name not in {"identity", "auto_contrast"}:
        assert not np.array_equal(ours, np.asarray(image))


@pytest.mark.parametrize(
    "bad",
    [{"hflip": 1.1}, {"crop_scale": (0, 1)}, {"crop_scale": (0.9, 0.1)}, {"crop_ratio": (2, 1)}, {"mixup": -1},
     {"randaug_magnitude": 31}, {"erasing": float("nan")}, {"hfilp": 0.5}],
)  # fmt: skip
def test_settings_out_of_range(bad: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        AugmentConfig(**bad)


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    images = torch.arange(8, dtype=torch.uint8).mul(30).view(8, 1, 1, 1).expand(8, 3, 16, 16).contiguous()
    return images, torch.arange(8) % 4


def mixed(config: AugmentConfig, index: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    images, targets = batch()
    return mix_batch(images, targets, 4, config, seed=1, epoch=2, batch_index=index)


@pytest.mark.parametrize("config", [AugmentConfig(), AugmentConfig(mixup=0.2, cutmix=1, mix_prob=0)])
def test_unmixed_gives_one_hot(config: AugmentConfig) -> None:
    images, soft = mixed(config)
    assert torch.equal(images, batch()[0])
    assert torch.equal(soft, torch.eye(4).repeat(2, 1))


@pytest.mark.parametrize("config", [AugmentConfig(mixup=1.0), AugmentConfig(cutmix=1.0)])
def test_targets_follow_the_pixels(config: AugmentConfig) -> None:
    for index in range(8):
        images, soft = mixed(config, index)
        assert images.dtype == torch.uint8
        assert soft.sum(1) == pytest.approx(torch.ones(8))
        assert any(matches(images, soft, shift) for shift in range(1, 8))


def matches(images: torch.Tensor, soft: torch.Tensor, shift: int) -> bool:
    original, targets = batch()
    own = (images == original).flatten(1).float().mean(1)
    hot = torch.eye(4)[targets]
    partner = original.roll(shift, 0)
    if ((images == original) | (images == partner)).all():
        share = own[0]
    else:
        share = ((images.float() - partner.float()) / (original.float() - partner.float())).mean()
    return torch.allclose(soft, hot * share + hot.roll(shift, 0) * (1 - share), atol=0.02)


def test_mixing_is_counted_and_leaves_its_input() -> None:
    config = AugmentConfig(mixup=0.4, cutmix=1.0)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = [mixed(config, index) for index in range(12)]
    assert torch.equal(torch.get_rng_state(), before)
    for index, (images, soft) in enumerate(first):
        assert torch.equal(mixed(config, index)[0], images)
        assert torch.equal(mixed(config, index)[1], soft)
    assert len({images.numpy().tobytes() for images, _ in first}) >= 11
    images, targets = batch()
    kept = images.clone()
    mix_batch(images, targets, 4, config, seed=1, epoch=2, batch_index=0)
    assert torch.equal(images, kept)
    floats, _ = mix_batch(images.float(), targets, 4, AugmentConfig(mixup=1.0), seed=1, epoch=2, batch_index=0)
    assert floats.dtype == torch.float32


def test_switch_chooses_between_the_two() -> None:
    both = {"mixup": 1.0, "cutmix": 1.0}
    for index in range(5):
        for prob, single in ((0.0, {"mixup": 1.0}), (1.0, {"cutmix": 1.0})):
            images, _ = mixed(AugmentConfig(**both, switch_prob=prob), index)
            assert torch.equal(images, mixed(AugmentConfig(**single), index)[0])


def test_normalise() -> None:
    images = torch.randint(0, 256, (2, 3, 5, 7), dtype=torch.uint8).contiguous(memory_format=torch.channels_last)
    mean, std = (0.1, 0.5, 0.9), (0.2, 0.3, 0.4)
    out = normalise(images, mean, std)
    assert out.dtype == torch.float32
    assert out.is_contiguous(memory_format=torch.channels_last)
    assert torch.allclose(out, tv.normalize(images.float() / 255, list(mean), list(std)), atol=1e-5)
    assert torch.equal(normalise(images.float(), mean, std), out)


def test_derived_seeds_differ_by_every_part() -> None:
    seeds = {derived_seed("a", *parts) for parts in ((1, 2), (2, 1), (12,), (1, 2, 0))} | {derived_seed("b", 1, 2)}
    assert len(seeds) == 5
    assert all(0 <= seed < 2**128 for seed in seeds)
