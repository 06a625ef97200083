"""A training run of about a second, with everything on that could break bit-equality."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from pathlib import Path

import numpy as np
from PIL import Image
from safetensors.torch import load_file

from edgewise.data.augment import AugmentConfig
from edgewise.data.dataset import Dataset, Sample
from edgewise.data.sources import MemoryImage
from edgewise.models.families.mobilenetv4 import CONV_SMALL
from edgewise.records.artifact import Preprocessing
from edgewise.records.data import DataSummary
from edgewise.spec.model import ModelSpec
from edgewise.spec.scale import fit_resolution, scale_width
from edgewise.train.config import TrainConfig
from edgewise.train.loop import TrainJob
from edgewise.train.run_folder import RunFolder

LABELS = ("blue", "green", "red")
TIMES = ("elapsed_s", "images_per_s", "data_wait")
"""Columns of results.csv that no two runs share."""


def config(**changed) -> TrainConfig:
    fields = {
        "model": "mobilenetv4_conv_small",
        "width_mult": 0.1,
        "preprocessing": Preprocessing(img_size=16, crop_pct=1.0),
        "epochs": 3,
        "batch": 4,
        "accumulate": 2,
        "lr": 3e-3,
        "warmup_epochs": 1,
        "clip_grad": 1.0,
        "drop_rate": 0.2,
        "drop_path_rate": 0.2,
        "ema_decay": 0.9,
        "augment": AugmentConfig(mixup=0.4, cutmix=1.0, mix_prob=0.8, erasing=0.3, color_jitter=0.2),
        "save_every_steps": 3,
        "seed": 5,
    }
    return TrainConfig(**(fields | changed))


def spec(num_classes: int = len(LABELS)) -> ModelSpec:
    small = fit_resolution(scale_width(CONV_SMALL, 0.1, scale_head=True), 16)
    return small.model_copy(update={"num_classes": num_classes})


def png(label: int, index: int) -> bytes:
    """Return a noisy picture in its class's colour."""
    noise = np.random.default_rng([label, index]).integers(0, 120, (16, 16, 3), dtype=np.uint8)
    noise[..., 2 - label] += 110
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, format="PNG")
    return buffer.getvalue()


def dataset(num_train: int = 9, num_val: int = 4) -> Dataset:
    """Return so many pictures a class, in memory."""
    sides = [
        tuple(
            Sample(MemoryImage(png(label, index)), label, f"{name}/{index}.png")
            for label, name in enumerate(LABELS)
            for index in range(first, first + count)
        )
        for first, count in ((0, num_train), (1000, num_val))
    ]
    summary = DataSummary(
        source="test",
        labels=LABELS,
        train_counts=(num_train,) * 3,
        val_counts=(num_val,) * 3,
        split="folders",
        fingerprint="f",
    )
    return Dataset(summary, *sides, LABELS)


def write_images(root: Path, num_train: int = 9, num_val: int = 4) -> Path:
    """Write the same pictures as an image folder."""
    for side, first, count in (("train", 0, num_train), ("val", 1000, num_val)):
        for label, name in enumerate(LABELS):
            folder = root / side / name
            folder.mkdir(parents=True)
            for index in range(first, first + count):
                (folder / f"{index}.png").write_bytes(png(label, index))
    return root


def job(path: Path, **changed) -> TrainJob:
    """Return a job on the pictures in memory; fields of `TrainJob` and of the config may be changed."""
    parts = {name: changed.pop(name) for name in ("listener", "dataset", "spec", "resume_command") if name in changed}
    folder = RunFolder(path)
    if not folder.weights.is_dir():
        folder.create()
    return TrainJob(**{"config": config(**changed), "spec": spec(), "dataset": dataset(), "folder": folder} | parts)


def outcome(path: Path) -> dict[str, str]:
    """Return what must be equal between two runs: digests of weights and of the newest checkpoint, the table without times."""
    folder = RunFolder(path)
    newest = max(folder.checkpoints.glob("step-*"))
    digests = {"best": hashlib.sha256(folder.best.read_bytes()).hexdigest()}
    parts: dict[str, hashlib._Hash] = {}
    for name, tensor in sorted(load_file(newest / "tensors.safetensors").items()):
        part = parts.setdefault(name.split(".")[0], hashlib.sha256())
        part.update(name.encode() + tensor.numpy().tobytes())
    digests |= {name: part.hexdigest() for name, part in parts.items()}
    with folder.results_csv.open(newline="") as file:
        rows = [{key: row[key] for key in row if key not in TIMES} for row in csv.DictReader(file)]
    digests["results.csv"] = json.dumps(rows)
    digests["step"] = newest.name.partition(".")[0]
    digests["eval"] = folder.eval_record.read_text()
    return digests
