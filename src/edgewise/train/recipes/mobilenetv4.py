"""The MobileNetV4 paper's own ImageNet recipes (arXiv 2404.10518v2, Table 10).

All: AdamW with beta2 0.999, cosine decay, label smoothing 0.1, RandAugment with 2 layers, inception crop and flip. None was run
here: they need ImageNet and thousands of accelerator hours. The effective batch is the paper's; `accumulate` splits it.

RandAugment's magnitude: TF's scale ends at 10, ours (as the RandAugment paper's) at 30, so Table 10's 9 is 27 here. Its 15 lies beyond
the end of TF's own scale; 30 is the strongest that torchvision-like operations are defined for.
"""

from __future__ import annotations

from edgewise.data.augment import AugmentConfig
from edgewise.records.artifact import Preprocessing
from edgewise.train.config import TrainConfig


def conv_small() -> TrainConfig:
    """Conv-S, 224 px, batch 4096, 9600 epochs: 73.8 % top-1 (paper)."""
    return TrainConfig(
        model="mobilenetv4_conv_small",
        recipe="mobilenetv4_conv_small_paper",
        preprocessing=Preprocessing(img_size=224),
        epochs=9600,
        batch=256,
        accumulate=16,
        lr=2e-3,
        warmup_epochs=5,
        weight_decay=0.01,
        beta1=0.6,
        adam_eps=1e-6,
        drop_rate=0.3,
        ema_decay=0.9999,
        augment=AugmentConfig(randaug_layers=2, randaug_prob=0.5, randaug_magnitude=27),
    )


def conv_medium() -> TrainConfig:
    """Conv-M, 256 px, batch 4096, 500 epochs: 79.9 % top-1 (paper)."""
    return TrainConfig(
        model="mobilenetv4_conv_medium",
        recipe="mobilenetv4_conv_medium_paper",
        preprocessing=Preprocessing(img_size=256),
        epochs=500,
        batch=256,
        accumulate=16,
        lr=4e-3,
        warmup_epochs=5,
        weight_decay=0.1,
        adam_eps=1e-7,
        drop_rate=0.2,
        drop_path_rate=0.075,
        augment=AugmentConfig(randaug_layers=2, randaug_prob=0.7, randaug_magnitude=30),
    )


def hybrid_medium() -> TrainConfig:
    """Hybrid-M, 256 px, batch 16384, 500 epochs: 80.7 % top-1 (paper)."""
    return conv_medium().model_copy(
        update={
            "model": "mobilenetv4_hybrid_medium",
            "recipe": "mobilenetv4_hybrid_medium_paper",
            "accumulate": 64,
            "lr": 16e-3,
            "warmup_epochs": 20.0,
        }
    )


def conv_large() -> TrainConfig:
    """Conv-L, 384 px, batch 16384, 500 epochs: 82.9 % top-1 (paper)."""
    return TrainConfig(
        model="mobilenetv4_conv_large",
        recipe="mobilenetv4_conv_large_paper",
        preprocessing=Preprocessing(img_size=384),
        epochs=500,
        batch=256,
        accumulate=64,
        lr=4e-3,
        warmup_epochs=20,
        weight_decay=0.2,
        adam_eps=1e-7,
        drop_rate=0.2,
        drop_path_rate=0.35,
        augment=AugmentConfig(
            randaug_layers=2,
            randaug_prob=1.0,
            randaug_magnitude=30,
            mixup=0.8,
            cutmix=1.0,
            mix_prob=0.3,
            switch_prob=0.5,
        ),
    )


def hybrid_large() -> TrainConfig:
    """Hybrid-L, 384 px, batch 16384, 500 epochs: 83.4 % top-1 (paper)."""
    return conv_large().model_copy(
        update={
            "model": "mobilenetv4_hybrid_large",
            "recipe": "mobilenetv4_hybrid_large_paper",
            "lr": 1e-2,
            "min_lr_ratio": 1e-3,
        }
    )
