"""Recipes for a person's own pictures on a person's own machine, from fresh weights."""

from __future__ import annotations

from edgewise.data.augment import AugmentConfig
from edgewise.records.artifact import Preprocessing
from edgewise.train.config import TrainConfig

SMALL_SET = 10_000
"""Training images below which a run sees each of them so often that augmentation must be strong."""
LOW_RES = 64
"""Below this side in pixels, crops are milder and colours are left as they are: little is left to lose."""


def from_scratch(model: str, img_size: int, num_images: int) -> TrainConfig:
    """Return settings for training ``model`` on ``num_images`` pictures.

    Command: ``edgewise fit DATA``. Made on TrashNet (2,012 photos, 128 px) and CIFAR-10 (50,000 pictures, 32 px) on 2 CPU
    cores; `results/` holds what came out and how long it took.
    """
    low_res = img_size < LOW_RES
    small = num_images < SMALL_SET
    return TrainConfig(
        model=model,
        recipe="from_scratch",
        preprocessing=Preprocessing(img_size=img_size, crop_pct=1.0 if low_res else 0.95),
        epochs=200 if small else 60,
        batch=64 if small else 128,
        lr=3e-3 if low_res and not small else 2e-3,
        warmup_epochs=5 if small else 1,
        weight_decay=0.05,
        label_smoothing=0.1,
        drop_rate=0.1 if small else 0.0,
        drop_path_rate=0.05 if small else 0.0,
        ema_decay=0.999 if small else 0.998,
        clip_grad=5.0,
        augment=_augment(low_res=low_res, small=small),
    )


def fine_tune(model: str, img_size: int, num_images: int) -> TrainConfig:
    """Return settings for training ``model`` further on ``num_images`` pictures, from weights that know others.

    Command: ``edgewise train DATA --pretrained``. As `from_scratch`, with a quarter of the peak rate and of the epochs: the
    features are there, and what is to be learnt is mostly the head.
    """
    fresh = from_scratch(model, img_size, num_images)
    return fresh.model_copy(
        update={"recipe": "fine_tune", "lr": fresh.lr / 4, "epochs": fresh.epochs // 4, "warmup_epochs": 1.0}
    )


def quantisation_aware(trained: TrainConfig, num_epochs: int) -> TrainConfig:
    """Return settings for training a finished run's weights further as int8 computes them.

    Command: ``edgewise train DATA --qat CHECKPOINT``. A tenth of the epochs, at least 10, at a tenth of the peak rate, falling along a
    cosine. NVIDIA's pytorch-quantization gives a tenth of the schedule too, but a hundredth of the rate, for ImageNet, whose tenth is
    many more steps; on small sets that was too slow to bring a collapsed network back. No dropout, no decay and no average: the weights are
    where they belong, and have to find the levels beside them.

    Args:
        trained: the settings of the run, or those that it would have had.
        num_epochs: that the run took.
    """
    return trained.model_copy(
        update={
            "recipe": "quantisation_aware",
            "qat": True,
            "epochs": max(10, round(num_epochs / 10)),
            "lr": trained.lr / 10,
            "warmup_epochs": 0.0,
            "weight_decay": 0.0,
            "drop_rate": 0.0,
            "drop_path_rate": 0.0,
            "ema_decay": None,
            "amp": "off",
            "time_budget_s": None,
        }
    )


def digits(img_size: int) -> TrainConfig:
    """Return settings for scikit-learn's 8x8 digits, which must not be mirrored.

    Command: ``edgewise quickstart``; `results/quickstart.json` holds its time and accuracy on 2 CPU cores.
    """
    return TrainConfig(
        model="mobilenetv4_conv_small",
        width_mult=0.5,
        recipe="digits",
        preprocessing=Preprocessing(
            img_size=img_size, crop_pct=1.0, interpolation="bilinear", mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)
        ),
        epochs=11,
        batch=64,
        lr=3e-3,
        warmup_epochs=1,
        weight_decay=0.05,
        label_smoothing=0.1,
        ema_decay=0.98,
        augment=AugmentConfig(crop_scale=(0.7, 1.0), crop_ratio=(0.85, 1.18), hflip=0.0, randaug_layers=0),
    )


def _augment(*, low_res: bool, small: bool) -> AugmentConfig:
    if low_res:
        return AugmentConfig(crop_scale=(0.6, 1.0), randaug_layers=1 if small else 0, randaug_magnitude=7)
    if small:
        return AugmentConfig(
            crop_scale=(0.3, 1.0),
            randaug_layers=2,
            randaug_magnitude=9,
            randaug_prob=0.5,
            erasing=0.1,
            mixup=0.2,
            cutmix=1.0,
            mix_prob=0.5,
        )
    return AugmentConfig(crop_scale=(0.25, 1.0), randaug_layers=2, randaug_magnitude=7, randaug_prob=0.5)
