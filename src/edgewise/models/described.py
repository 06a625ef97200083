"""What a network tells of itself beside its layers: how images become its input, and where its weights come from."""

from __future__ import annotations

from torch import nn

from edgewise.models.layout import Layout
from edgewise.models.pretrained import Tag
from edgewise.records.artifact import Preprocessing
from edgewise.spec.model import ModelSpec


class Described(nn.Module):
    """Base of the networks. `create_model` and `load_weights` fill in what the weights bring."""

    spec: ModelSpec
    layout: Layout
    in_chans: int
    preprocessing: Preprocessing
    """How images become the input."""
    tag: Tag | None = None
    """Published weights whose preprocessing this is; None where nobody published any."""
    weights_sha256: str | None = None
    """Of the file that was loaded last; None before. Training afterwards does not change it."""
    weights_source: str | None = None
    """What that file is called, for people."""
    weights_notes: tuple[str, ...] = ()
    """What had to be changed to load it, a line each: an adapted first convolution, a head that was left out."""

    @property
    def pretrained_cfg(self) -> dict[str, object]:
        """Return how to prepare images for this model, and what is known of its weights, under timm's names."""
        recipe = self.preprocessing
        cfg: dict[str, object] = {
            "architecture": self.spec.name,
            "input_size": (self.in_chans, recipe.img_size, recipe.img_size),
            "crop_pct": recipe.crop_pct,
            "crop_mode": "center",
            "interpolation": recipe.interpolation,
            "mean": recipe.mean,
            "std": recipe.std,
            "num_classes": self.spec.num_classes,
            "first_conv": _one_or_all(self._first_convs()),
            "classifier": _one_or_all(self._classifiers()),
        }
        return cfg | (_published(self.tag, self.in_chans) if self.tag else {})

    default_cfg = pretrained_cfg

    def _first_convs(self) -> list[str]:
        """Return the paths of the convolutions that see the image: several where the stem has branches."""
        convs = [(path, m) for path, m in self.named_modules() if isinstance(m, nn.Conv2d)]
        return [p for p, m in convs if p.partition(".")[0] in self.layout.stem and m.in_channels == self.in_chans]

    def _classifiers(self) -> list[str]:
        """Return the paths of the last linear layers: two in a distilled head, none without classes."""
        prefix = f"{self.layout.classifier}."
        return [path for path, m in self.named_modules() if isinstance(m, nn.Linear) and f"{path}.".startswith(prefix)]


def _one_or_all(paths: list[str]) -> str | tuple[str, ...]:
    return paths[0] if len(paths) == 1 else tuple(paths)


def _published(tag: Tag, in_chans: int) -> dict[str, object]:
    """Return what belongs to the weights alone; `num_classes` is theirs, as in timm, whatever the model was built for."""
    known: dict[str, object] = {
        "tag": tag.tag,
        "hf_hub_id": tag.hf_hub_id,
        "file": tag.file,
        "url": tag.url,
        "license": tag.license,
        "test_input_size": (in_chans, tag.test_img_size, tag.test_img_size) if tag.test_img_size else None,
        "test_crop_pct": tag.test_crop_pct,
        "label_names": tag.label_names,
        "top1": tag.top1,
        "top5": tag.top5,
        "test_top1": tag.test_top1,
        "test_top5": tag.test_top5,
        "num_classes": tag.num_classes,
    }
    return {name: value for name, value in known.items() if value not in (None, "", ())}


def remember_weights(model: nn.Module, *, sha256: str, source: str, notes: tuple[str, ...]) -> None:
    """Note on any module which file its weights were loaded from, so that what is made of it can say so."""
    for name, value in (("weights_sha256", sha256), ("weights_source", source), ("weights_notes", notes)):
        setattr(model, name, value)
