"""What learns: a network, its optimiser, its average, and the scaler of half precision, as one thing to step, save and load."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from edgewise.errors import CheckpointError
from edgewise.train.checkpoint_folder import JSON
from edgewise.train.config import TrainConfig
from edgewise.train.ema import Ema
from edgewise.train.int8_simulation import SimulatedInt8
from edgewise.train.optimizer import make_optimizer
from edgewise.train.optimizer_state import flatten_optimizer, restore_optimizer

OBSERVED_SHARE = 0.5
"""Of a quantisation-aware run: behind it the ranges of the maps stay, so that the weights settle in levels that no longer move.

torchvision's references/classification/train_quantization.py fixes them after 4 epochs of any number.
"""


class Learner:
    """A network in training."""

    def __init__(self, model: nn.Module, config: TrainConfig) -> None:
        self.config = config
        self.model = model
        layout = torch.channels_last if config.channels_last else torch.contiguous_format
        self.model.to(device=config.device, memory_format=layout)  # type: ignore[call-overload]
        self.ema = Ema(self.model, config.ema_decay) if config.ema_decay is not None else None
        self.optimizer = make_optimizer(self.model, config)
        self.scaler = torch.amp.GradScaler(torch.device(config.device).type, enabled=config.amp == "fp16")

    @property
    def best_form(self) -> nn.Module:
        """Return the network that is validated and kept: the average, where there is one."""
        return self.ema.model if self.ema is not None else self.model

    @property
    def best_weights(self) -> dict[str, torch.Tensor]:
        """Return the weights of `best_form` (not copies) as they are kept: of a simulated network, those of the network itself."""
        form = self.best_form
        return form.weights() if isinstance(form, SimulatedInt8) else form.state_dict()

    @property
    def lr(self) -> float:
        """Return the learning rate of the last step."""
        return float(self.optimizer.param_groups[0]["lr"])

    def start_step(self, lr: float, step: int, progress: float) -> None:
        """Prepare for the batches of step number ``step`` from 0, with the share ``progress`` of the run behind it, 0 to 1."""
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        self.model.train()
        if isinstance(self.model, SimulatedInt8):
            self.model.start_step(step, fixed=progress >= OBSERVED_SHARE)

    def backward(self, loss: torch.Tensor) -> None:
        """Add the gradient of ``loss``."""
        self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]

    def gradient_norm(self) -> float | None:
        """Clip the gradient as configured and return its norm before; None where fp16's scaler deals with infinite ones itself."""
        self.scaler.unscale_(self.optimizer)
        gradients = [p.grad for p in self.model.parameters() if p.grad is not None]
        norm = nn.utils.get_total_norm(gradients)
        value = None if self.scaler.is_enabled() else float(norm.item())
        if self.config.clip_grad is not None and (value is None or math.isfinite(value)):
            nn.utils.clip_grads_with_norm_(self.model.parameters(), self.config.clip_grad, norm)
        return value

    def finish_step(self, num_updates: int) -> None:
        """Take the step, number ``num_updates`` from 0."""
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)
        if self.ema is not None:
            self.ema.update(num_updates)

    def state(self) -> tuple[dict[str, torch.Tensor], dict[str, JSON]]:
        """Return everything that a checkpoint must hold of this: tensors (not copies) and plain values."""
        tensors = {f"model.{key}": value for key, value in self.model.state_dict().items()}
        if self.ema is not None:
            tensors |= {f"ema.{key}": value for key, value in self.ema.model.state_dict().items()}
        optimizer_tensors, optimizer_plain = flatten_optimizer(self.optimizer)
        tensors |= {f"optimizer.{key}": value for key, value in optimizer_tensors.items()}
        return tensors, {"optimizer": optimizer_plain, "scaler": self.scaler.state_dict()}

    def load_state(self, tensors: Mapping[str, torch.Tensor], plain: Mapping[str, Any], where: str) -> None:
        """Put back what `state` gave; ``where`` it comes from is named in errors.

        Raises:
            CheckpointError: it is the state of another model or optimiser.
        """
        parts: dict[str, dict[str, torch.Tensor]] = {"model": {}, "ema": {}, "optimizer": {}}
        for key, tensor in tensors.items():
            part, _, name = key.partition(".")
            parts[part][name] = tensor
        try:
            self.model.load_state_dict(parts["model"])
            if self.ema is not None:
                self.ema.model.load_state_dict(parts["ema"])
        except RuntimeError as error:
            reason = " ".join(str(error).split())[:300]
            raise CheckpointError(f"{where} is of another model: {reason}") from error
        restore_optimizer(self.optimizer, parts["optimizer"], plain["optimizer"])
        if self.scaler.is_enabled():
            self.scaler.load_state_dict(plain["scaler"])
