"""Where figures that no paper has come from."""

from __future__ import annotations

from typing import Final

TIMM: Final = "timm (huggingface/pytorch-image-models, commit aa4b5850)"


def timm_result(tag: str) -> str:
    """Return the source of an accuracy that timm measured with the weights called ``tag``."""
    return f"{TIMM}, results-imagenet.csv, tag {tag}"


def torchvision_result(weights: str) -> str:
    """Return the source of an accuracy that torchvision states for its weights."""
    return f"torchvision 0.29.2, metadata of the weights {weights}"
