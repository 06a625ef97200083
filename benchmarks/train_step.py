"""One training step of MobileNetV4-Conv-S in Edgewise's loop against a bare PyTorch loop.

The real loop runs; whenever it has finished a block of steps, its listener runs the bare loop's block in the same process.
Blocks go ABBA, so that a drift of the machine cancels. Both sides start from the same weights and read the same batches from
a loader each (JPEG decoding in the process, no augmentation), with the same AdamW and the same threads; EMA, mixup and clipping
are off. A step is everything between two batches asked for: load, normalise, forward, loss, backward, update, book-keeping.

    python benchmarks/train_step.py [--img-size 224] [--batch 32] [--rounds 10] [--block 3] [--threads N]
"""

from __future__ import annotations

import argparse
import io
import statistics
import tempfile
import time
from itertools import chain
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from result_file import RESULTS, check, save_result, this_command

from edgewise.bench.statistics import ratio_interval
from edgewise.data.augment import AugmentConfig, TrainTransform
from edgewise.data.dataset import Dataset, Sample
from edgewise.data.loader import TrainLoader
from edgewise.data.seeds import derived_seed
from edgewise.data.sources import MemoryImage
from edgewise.models import catalogue
from edgewise.models.build import build
from edgewise.records.artifact import Preprocessing
from edgewise.records.data import DataSummary
from edgewise.records.environment import usable_cores
from edgewise.spec.model import ModelSpec
from edgewise.spec.scale import fit_resolution
from edgewise.train.config import TrainConfig, make_config
from edgewise.train.listener import Listener, StepView
from edgewise.train.loop import TrainJob, train
from edgewise.train.optimizer import make_optimizer
from edgewise.train.run_folder import RunFolder

MODEL = "mobilenetv4_conv_small"
NUM_CLASSES = 10
MAX_RATIO = 1.03
WARM_UP_STEPS = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--img-size", type=int, default=224)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=10, help="how often ABBA")
    parser.add_argument("--block", type=int, default=3, help="steps of a block")
    parser.add_argument("--threads", type=int, default=usable_cores())
    parser.add_argument("--out", type=Path, default=RESULTS / "train_step.json")
    given = parser.parse_args()

    config = _config(given)
    num_steps = WARM_UP_STEPS + 2 * given.rounds * given.block
    dataset = _dataset(given.img_size, num_steps * given.batch)
    entry = catalogue.find(MODEL)
    spec = fit_resolution(entry.spec(), given.img_size).model_copy(update={"num_classes": NUM_CLASSES})
    sides = _Sides(_BareLoop(config, spec, dataset), given.block)
    with tempfile.TemporaryDirectory() as temporary:
        folder = RunFolder(Path(temporary) / "run")
        folder.create()
        train(TrainJob(config=config, spec=spec, dataset=dataset, folder=folder, listener=sides))
    _report(given, sides, config)


def _report(given: argparse.Namespace, sides: _Sides, config: TrainConfig) -> None:
    ours, bare = sides.ours_ms, sides.bare_ms[: len(sides.ours_ms)]
    # rounds of ABBA: both sides' two blocks of a round straddle the same moment
    ours_rounds, bare_rounds = (
        np.array([_median(blocks[i : i + 2]) for i in range(0, 2 * given.rounds, 2)]) for blocks in (ours, bare)
    )
    ratio = float(np.median(ours_rounds / bare_rounds))
    low, high = ratio_interval(bare_rounds, ours_rounds, paired=True)
    ours_ms, bare_ms = (_median(blocks) for blocks in (ours, bare))
    print(
        f"{MODEL}, {given.img_size} px, batch {given.batch}, {given.threads} thread(s), {len(ours) * given.block} steps a side"
    )
    print(
        f"edgewise {ours_ms:.1f} ms a step; bare PyTorch {bare_ms:.1f} ms; ratio {ratio:.4f} (95 % {low:.4f}-{high:.4f})"
    )
    loss_gap = abs(sides.first_loss - sides.bare.losses[0])
    checks = [
        check("step time, edgewise / bare", ratio, MAX_RATIO, "x"),
        check("first loss, difference between the sides", loss_gap, 1e-4, "nats"),
    ]
    save_result(
        given.out,
        command=this_command(),
        model=MODEL,
        img_size=given.img_size,
        batch=given.batch,
        threads=given.threads,
        torch_parallel=torch.__config__.parallel_info().splitlines()[0:2],
        edgewise_step_ms=ours_ms,
        bare_step_ms=bare_ms,
        ratio=ratio,
        ratio_ci95=[low, high],
        first_loss={"edgewise": sides.first_loss, "bare": sides.bare.losses[0]},
        config=config.model_dump(mode="json"),
        checks=checks,
        samples_ms={"edgewise": ours, "bare": bare},
    )
    raise SystemExit(not all(each["passed"] for each in checks))


def _median(blocks: list[list[float]]) -> float:
    return statistics.median(chain.from_iterable(blocks))


class _BareLoop:
    """What one would write without Edgewise; only weights, batches and parameter groups come from it."""

    def __init__(self, config: TrainConfig, spec: ModelSpec, dataset: Dataset) -> None:
        side = config.preprocessing.img_size
        transform = TrainTransform(config.augment, side, config.preprocessing.interpolation)
        self.batches = TrainLoader(dataset.train, transform, batch_size=config.batch, seed=config.seed).epoch(0)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derived_seed("init", config.seed) % 2**63)
            self.model = build(spec).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimizer = make_optimizer(self.model, config)
        self.mean = torch.tensor(config.preprocessing.mean).mul(255).view(1, -1, 1, 1)
        self.std = torch.tensor(config.preprocessing.std).mul(255).view(1, -1, 1, 1)
        self.smoothing = config.label_smoothing
        self.losses: list[float] = []

    def step(self) -> float:
        """Take one step; returns its milliseconds."""
        begun = time.perf_counter()
        self.model.train()
        batch = next(self.batches)
        images = ((batch.images.float() - self.mean) / self.std).contiguous(memory_format=torch.channels_last)
        loss = F.cross_entropy(self.model(images), batch.targets, label_smoothing=self.smoothing)
        self.losses.append(loss.item())
        loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return (time.perf_counter() - begun) * 1000


class _Sides(Listener):
    """Times our steps from the outside, and runs the bare ones between our blocks."""

    def __init__(self, bare: _BareLoop, block: int) -> None:
        self.bare = bare
        self.block = block
        self.ours_ms: list[list[float]] = []
        self.bare_ms: list[list[float]] = []
        self.first_loss = float("nan")
        self.left_at = 0.0
        self.running: list[float] = []

    def on_step(self, view: StepView) -> None:
        took_ms = (time.perf_counter() - self.left_at) * 1000
        if view.step == 1:
            self.first_loss = view.loss
        if view.step <= WARM_UP_STEPS:
            self.bare.step()
        else:
            self.running.append(took_ms)
            if len(self.running) == self.block:
                self._end_block()
        self.left_at = time.perf_counter()

    def _end_block(self) -> None:
        self.ours_ms.append(self.running)
        self.running = []
        if len(self.ours_ms) % 2 == 1:  # A, then BB, then A: the second A of a round follows without a stop
            self.bare_ms += [[self.bare.step() for _ in range(self.block)] for _ in range(2)]


def _config(given: argparse.Namespace) -> TrainConfig:
    return make_config(
        model=MODEL,
        preprocessing=Preprocessing(img_size=given.img_size),
        epochs=1,
        batch=given.batch,
        warmup_epochs=0.0,
        ema_decay=None,
        clip_grad=None,
        augment=AugmentConfig(crop_scale=(1.0, 1.0), crop_ratio=(1.0, 1.0), hflip=0.0, randaug_layers=0),
        threads=given.threads,
        save_every_s=1e9,
    )


def _dataset(side: int, num_samples: int) -> Dataset:
    """Return crops of scikit-learn's two bundled photographs, as JPEG in memory, repeated."""
    from PIL import Image
    from sklearn.datasets import load_sample_images

    photos = load_sample_images().images
    rng = np.random.default_rng(0)
    contents: list[bytes] = []
    for number in range(64):
        photo = photos[number % len(photos)]
        top, left = (int(rng.integers(0, length - min(side, length) + 1)) for length in photo.shape[:2])
        buffer = io.BytesIO()
        Image.fromarray(photo[top : top + side, left : left + side]).save(buffer, format="JPEG", quality=90)
        contents.append(buffer.getvalue())
    samples = [Sample(MemoryImage(contents[i % 64]), i % NUM_CLASSES, f"{i}.jpg") for i in range(num_samples)]
    labels = tuple(f"class{number}" for number in range(NUM_CLASSES))
    counts = tuple(sum(sample.label == label for sample in samples) for label in range(NUM_CLASSES))
    summary = DataSummary(
        source="scikit-learn's sample photographs",
        labels=labels,
        train_counts=counts,
        val_counts=(1,) * NUM_CLASSES,
        split="none",
        fingerprint="0" * 64,
    )
    return Dataset(summary, samples, samples[:NUM_CLASSES], labels)


if __name__ == "__main__":
    main()
