"""A training run's settings: checked when they are made, YAML in and out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edgewise.data.augment import AugmentConfig
from edgewise.errors import ConfigError, shown, suggestion
from edgewise.records.artifact import Preprocessing
from edgewise.records.files import write_atomically
from edgewise.spec.plain_yaml import load_yaml

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Rate = Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)]


class TrainConfig(BaseModel):
    """Everything that decides what a run computes, and a little about how fast.

    Two runs with equal configs (but for `workers` and `save_every_s`), data and machine give the same weights bit for bit on CPU.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    width_mult: Annotated[float, Field(ge=0.05, le=8)] = 1.0
    """Scales every width of the model, head included; 1 = as published."""
    weights: str | None = None
    """Where training starts: a weights file, a run's folder or a hub id; None = fresh weights that follow from `seed`."""
    preprocessing: Preprocessing
    recipe: str = "custom"
    qat: bool = False
    """Whether int8 is simulated in training: the fused network of `weights` is trained, and what is validated is its int8 form."""
    epochs: Annotated[int, Field(ge=1, le=100_000)] = 100
    batch: Annotated[int, Field(ge=1, le=65_536)] = 64
    accumulate: Annotated[int, Field(ge=1, le=1024)] = 1
    """Batches whose gradients are averaged into one step; the effective batch is ``batch * accumulate``."""
    lr: Positive = 2e-3
    """Peak learning rate."""
    min_lr_ratio: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Where the cosine ends, as a share of `lr`."""
    warmup_epochs: Annotated[float, Field(ge=0, le=10_000)] = 5.0
    weight_decay: Annotated[float, Field(ge=0, le=10)] = 0.05
    """Decoupled (AdamW); norms, biases and layer scales are left out."""
    beta1: Rate = 0.9
    beta2: Rate = 0.999
    adam_eps: Positive = 1e-8
    clip_grad: Positive | None = None
    """Largest norm of the whole gradient; None = not clipped."""
    label_smoothing: Rate = 0.1
    drop_rate: Rate = 0.0
    drop_path_rate: Rate = 0.0
    ema_decay: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Decay per step of the averaged weights, warmed up; None = no average. The average is what is validated and saved as best."""
    augment: AugmentConfig = AugmentConfig()
    amp: Literal["off", "bf16", "fp16"] = "off"
    channels_last: bool = True
    device: str = "cpu"
    threads: Annotated[int, Field(ge=1, le=1024)] = 1
    """torch's threads; part of the result's bits on CPU."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    eval_every: Annotated[int, Field(ge=1, le=100_000)] = 1
    """Epochs between validations."""
    time_budget_s: Positive | None = None
    """Wall-clock seconds that training may take; the number of steps is planned, and re-planned, to end inside it."""
    workers: Annotated[int, Field(ge=0, le=256)] = 0
    save_every_s: Positive = 60.0
    save_every_steps: Annotated[int, Field(ge=1)] | None = None


_PARTS: Mapping[str | int, type[BaseModel]] = {"augment": AugmentConfig, "preprocessing": Preprocessing}

FREE_ON_RESUME = frozenset({"workers", "save_every_s", "save_every_steps"})
"""Settings that a resumed run may change: they do not touch the result."""


def make_config(**fields: Any) -> TrainConfig:
    """Build a config.

    Raises:
        ConfigError: a setting is unknown, missing or out of range; all problems in one line.
    """
    return _checked(fields, "setting")


def save_config(config: TrainConfig, path: Path) -> None:
    """Write ``config`` as YAML."""
    text = yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
    write_atomically(path, text.encode())


def load_config(path: Path) -> TrainConfig:
    """Read a config that `save_config` wrote or a person edited.

    Raises:
        ConfigError: the file cannot be read, is not a YAML mapping, repeats a key, or holds a bad setting.
    """
    fields = read_yaml(path)
    return _checked(fields, f"{shown(path)}: setting")


def read_yaml(path: Path, limit_bytes: int = 1 << 20) -> dict[str, Any]:
    """Read a YAML mapping with plain scalars, lists and mappings; tags, aliases and repeated keys are refused."""
    try:
        with path.open("rb") as file:
            content = file.read(limit_bytes + 1)
    except OSError as error:
        raise ConfigError(f"{shown(path)} cannot be read: {error.strerror}") from error
    if len(content) > limit_bytes:
        raise ConfigError(f"{shown(path)} is larger than {limit_bytes} bytes; a config is a short YAML file")
    try:
        found = load_yaml(content)
    except ValueError as error:
        raise ConfigError(f"{shown(path)} is {error}") from error
    if not isinstance(found, dict):
        raise ConfigError(f"{shown(path)} holds a {type(found).__name__}; a config is a mapping of settings")
    return found


def differences(old: TrainConfig, new: TrainConfig) -> list[str]:
    """Return one line for each setting that differs and may not differ in a resumed run."""
    before, after = old.model_dump(mode="json"), new.model_dump(mode="json")
    return [
        f"{key}: {before[key]} -> {after[key]}"
        for key in before
        if key not in FREE_ON_RESUME and before[key] != after[key]
    ]


def _checked(fields: Mapping[str, Any], where: str) -> TrainConfig:
    try:
        return TrainConfig.model_validate(dict(fields))
    except ValidationError as error:
        problems = "; ".join(_problem(dict(detail)) for detail in error.errors()[:8])
        raise ConfigError(f"{where} {problems}") from error


def _problem(detail: dict[str, Any]) -> str:
    name = ".".join(str(part) for part in detail["loc"])
    if detail["type"] == "extra_forbidden":
        known = _PARTS.get(detail["loc"][0], TrainConfig).model_fields
        return f"{shown(name)} is unknown{suggestion(str(detail['loc'][-1]), known)}"
    if detail["type"] == "missing":
        return f"{name} is missing"
    if detail["type"] == "invalid_key":
        return f"{name} is no name of a setting"
    if detail["type"] == "value_error":
        return f"{name}: {detail['ctx']['error']}"
    message = str(detail["msg"]).removeprefix("Input should be ")
    return f"{name} is {shown(detail['input'], 40)}; must be {message}"
