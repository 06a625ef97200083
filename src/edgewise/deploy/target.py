"""What is to come out of a model: checked before any work, described when it is done."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import nn

from edgewise.deploy.answers import module_answer
from edgewise.deploy.exporters.protocol import Exporter, ExportOptions
from edgewise.deploy.identity import model_sha256
from edgewise.deploy.interface import Interface
from edgewise.deploy.metadata import describe
from edgewise.deploy.runtimes.formats import files_of, model_bytes
from edgewise.errors import InputError, shown
from edgewise.records.artifact import Artifact, InputSpec, LayerPrecision, Preprocessing, VerificationRecord
from edgewise.records.environment import capture_environment

SAFE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What is to come out of a model."""

    exporter: Exporter
    precision: str
    model_name: str
    preprocessing: Preprocessing
    """What is done before the network; the file may do a part of it by itself."""
    interface: Interface
    labels: tuple[str, ...]
    batch: int | None
    """Images that the file takes at once; None = any number."""
    source_sha256: str
    """Of the weights before fusing."""
    credits_: Mapping[str, str] = field(default_factory=dict)
    origin: Mapping[str, str] = field(default_factory=dict)

    @property
    def metadata(self) -> dict[str, str]:
        """The text that travels inside the file."""
        return describe(
            model_name=self.model_name,
            precision=self.precision,
            labels=self.labels,
            preprocessing=self.preprocessing,
            interface=self.interface,
            source_sha256=self.source_sha256,
            origin=self.origin,
            credits_=self.credits_,
        )

    @property
    def network_shape(self) -> tuple[int, int, int]:
        """(C, H, W) of one input of the network."""
        return len(self.preprocessing.mean), self.preprocessing.img_size, self.preprocessing.img_size

    @property
    def example(self) -> torch.Tensor:
        """An input of the file; of two images where it takes any number."""
        return torch.zeros(self.batch or 2, *self.interface.shape(self.preprocessing))

    def check_names(self) -> None:
        """Refuse names that cannot be written.

        Raises:
            InputError: the model's name cannot name a file, or a label is no text.
        """
        if not SAFE_NAME.fullmatch(self.model_name):
            raise InputError(
                f"model name {shown(self.model_name)} cannot name a file; "
                f"use up to 100 letters, digits, '.', '_' and '-'"
            )
        for index, label in enumerate(self.labels):
            if not label.isascii() and label.encode("utf-8", "replace").decode() != label:
                raise InputError(f"labels[{index}] is {shown(label)}, which is no valid text; rename the class")

    def num_classes(self, model: nn.Module) -> int:
        """Return the number of logits of ``model``, after checking its channels and the labels against it.

        Raises:
            InputError: it takes other channels, cannot run, or has another number of classes than there are labels.
        """
        num_chs = self.network_shape[0]
        in_chs = _in_chs(model)
        if in_chs not in {None, num_chs}:
            raise InputError(f"the model takes {in_chs} channels, preprocessing has {num_chs} means; must be equal")
        try:
            logits = module_answer(model)(torch.zeros(1, *self.network_shape).numpy())
        except (RuntimeError, ValueError, TypeError, AttributeError) as error:
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise InputError(f"the model cannot run on one image {self.network_shape}: {reason}") from error
        if self.labels and len(self.labels) != logits.shape[1]:
            raise InputError(f"{len(self.labels)} labels were given for {logits.shape[1]} logits; must be equal")
        return int(logits.shape[1])

    def artifact(
        self,
        path: Path,
        *,
        num_classes: int,
        verification: VerificationRecord | None,
        layers: tuple[LayerPrecision, ...],
    ) -> Artifact:
        """Return the record of the file that was written to ``path``."""
        names = (path.name,) if path.is_dir() else tuple(each.name for each in files_of(path))  # a folder counts as one
        return Artifact(
            format=self.exporter.format,
            precision=self.precision,
            files=names,
            file_bytes=model_bytes(path),
            sha256=model_sha256(path.parent, names),
            model=self.model_name,
            input=InputSpec(
                name=ExportOptions().input_name,
                shape=(self.batch or "batch", *self.interface.shape(self.preprocessing)),
                layout=self.interface.layout,
                values=self.interface.values,
            ),
            output=self.interface.output,
            num_classes=num_classes,
            labels=self.labels,
            preprocessing=self.interface.recipe(self.preprocessing),
            transposes=self.exporter.transposes(path) if verification is not None else None,
            source_sha256=self.source_sha256,
            weights_file_sha256=self.origin.get("weights_file_sha256"),
            weights_source=self.origin.get("weights_source"),
            verification=verification,
            layers=layers,
            environment=capture_environment(),
        )


def own_preprocessing(model: nn.Module) -> Preprocessing:
    """Return how ``model`` says that its images are prepared.

    Raises:
        InputError: it does not.
    """
    own = getattr(model, "preprocessing", None)
    if not isinstance(own, Preprocessing):
        raise InputError(
            f"{type(model).__name__} does not know its input size; give preprocessing=Preprocessing(img_size=…)"
        )
    return own


def _in_chs(model: nn.Module) -> int | None:
    """Return the channels that ``model`` takes: its own ``in_chans``, else those of its first convolution."""
    own = getattr(model, "in_chans", None)
    if isinstance(own, int):
        return own
    return next((module.in_channels for module in model.modules() if isinstance(module, nn.Conv2d)), None)
