"""What is learned: a task turns batches into losses and a validation set into metrics."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

import torch
from torch import nn

from edgewise.data.loader import Batch
from edgewise.data.mixing import mix_batch
from edgewise.data.normalise import normalise
from edgewise.data.seeds import derived_seed
from edgewise.records.training import EvalRecord
from edgewise.train.config import TrainConfig
from edgewise.train.evaluate import evaluate
from edgewise.train.losses import soft_cross_entropy


class Task(Protocol):
    """What the loop needs to know of a task."""

    def loss(self, model: nn.Module, batch: Batch, *, step: int, micro: int) -> torch.Tensor:
        """Return the mean loss of one batch, ready for backward."""
        ...

    def evaluate(self, model: nn.Module, batches: Iterable[Batch]) -> EvalRecord:
        """Return the model's answers on the validation set."""
        ...


class Classification:
    """One label per image; mixup, cutmix and label smoothing as the config says."""

    def __init__(self, config: TrainConfig, labels: Sequence[str]) -> None:
        self.config = config
        self.labels = tuple(labels)
        self.layout = torch.channels_last if config.channels_last else torch.contiguous_format

    def loss(self, model: nn.Module, batch: Batch, *, step: int, micro: int) -> torch.Tensor:
        """Return the mean loss of one batch; every random choice follows from the run's seed and the place in the run."""
        config = self.config
        recipe = config.preprocessing
        images = normalise(batch.images.to(config.device, non_blocking=True), recipe.mean, recipe.std)
        targets = batch.targets.to(config.device, non_blocking=True)
        images, soft = mix_batch(
            images, targets, len(self.labels), config.augment, seed=config.seed, epoch=step, batch_index=micro
        )
        # Dropout and drop path draw from torch's generator; set here, they depend on the step alone.
        torch.manual_seed(derived_seed("step", config.seed, step, micro) % 2**63)
        amp_dtype = torch.bfloat16 if config.amp == "bf16" else torch.float16
        with torch.autocast(torch.device(config.device).type, amp_dtype, enabled=config.amp != "off"):
            logits = model(images.contiguous(memory_format=self.layout))
        return soft_cross_entropy(logits, soft, config.label_smoothing)

    def evaluate(self, model: nn.Module, batches: Iterable[Batch]) -> EvalRecord:
        """Return the model's answers on the validation set."""
        config = self.config
        return evaluate(
            model,
            batches,
            config.preprocessing,
            self.labels,
            device=config.device,
            channels_last=config.channels_last,
        )
