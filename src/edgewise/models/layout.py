"""Whose names the parts of a network have: one table row for each way in which published checkpoints are laid out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgewise.spec.model import ModelSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Names of a network's direct children, as they stand at the front of its state-dict keys."""

    stem: tuple[str, ...]
    """Modules that run one after another before the stages."""
    stages: str
    has_tokens: bool = False
    """Whether tokens go along from row to row. The rows of all stages then lie in one list, without stages in their names."""
    classifier: str
    """Prefix of the keys that depend on the number of classes."""


MOBILENET = Layout(stem=("conv_stem", "bn1", "act1"), stages="blocks", classifier="classifier")
"""timm's EfficientNet and MobileNetV3 classes: MobileNetV1 to V4."""

STAGED = Layout(stem=("stem",), stages="stages", classifier="head")
"""timm's ByobNet and RepVit classes: RepVGG, MobileOne, RepViT."""

FORMER = Layout(stem=("stem",), stages="features", has_tokens=True, classifier="classifier.classifier")
"""Mobile-Former's authors' names."""


def layout_of(spec: ModelSpec) -> Layout:
    """Return the names that the network of ``spec`` has; see `ModelSpec`."""
    if spec.tokens is not None:
        return FORMER
    return MOBILENET if spec.stem.kind == "conv" else STAGED
