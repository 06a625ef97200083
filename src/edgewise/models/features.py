"""Which feature maps a network offers, under timm's names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypedDict

from edgewise.errors import ConfigError
from edgewise.models.layout import Layout
from edgewise.spec.model import ModelSpec
from edgewise.spec.walk import walk


class FeatureEntry(TypedDict):
    """One feature map."""

    num_chs: int
    reduction: int
    """Input pixels per map pixel."""
    module: str
    stage: int
    """Index into the network's stages; -1 is the stem."""


class FeatureInfo(Sequence[FeatureEntry]):
    """The maps of a network, finest first; each is the last one at its resolution."""

    def __init__(self, entries: Sequence[FeatureEntry]) -> None:
        self._entries = tuple(entries)

    def __getitem__(self, index: int) -> FeatureEntry:  # type: ignore[override]
        return self._entries[index]

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[FeatureEntry]:
        return iter(self._entries)

    @property
    def last_chs(self) -> int:
        """Return the width of the coarsest map."""
        return self._entries[-1]["num_chs"]

    def channels(self) -> list[int]:
        """Return the width of each map."""
        return [entry["num_chs"] for entry in self._entries]

    def reduction(self) -> list[int]:
        """Return the stride of each map."""
        return [entry["reduction"] for entry in self._entries]

    def module_name(self) -> list[str]:
        """Return the dotted name of the module that makes each map."""
        return [entry["module"] for entry in self._entries]

    def select(self, indices: Sequence[int]) -> FeatureInfo:
        """Return the entries at ``indices``."""
        return FeatureInfo([self._entries[index] for index in indices])


def feature_info(spec: ModelSpec, layout: Layout) -> FeatureInfo:
    """Return the maps of ``spec``: the stem's and each stage's, where the resolution changes behind them or the network ends.

    The coarsest map is the one after the 1x1 convolution before pooling (960 channels in MobileNetV4), as in timm; TF's
    detectors tap the block before it.
    """
    stem: FeatureEntry = {
        "num_chs": spec.stem.out_chs,
        "reduction": spec.stem.stride,
        "module": layout.stem[-1] if layout.stem[-1] != "act1" else "bn1",
        "stage": -1,
    }
    ends: dict[int, FeatureEntry] = {spec.stem.stride: stem}
    for number, step in enumerate(walk(spec)):
        stage = number if layout.has_tokens else step.stage
        ends[step.reduction] = {
            "num_chs": step.out_chs,
            "reduction": step.reduction,
            "module": f"{layout.stages}.{stage}",
            "stage": stage,
        }
    return FeatureInfo(list(ends.values()))


def chosen(indices: Sequence[int] | int | None, num_maps: int) -> list[int]:
    """Resolve ``out_indices``: None = all, an int = the last n, negative ones count from the end.

    Raises:
        ConfigError: an index lies outside the maps, none is given, or one is given twice.
    """
    if indices is None:
        return list(range(num_maps))
    if isinstance(indices, int):
        if not 1 <= indices <= num_maps:
            raise ConfigError(f"out_indices is {indices}; as a count it must lie within 1 and {num_maps}")
        return list(range(num_maps - indices, num_maps))
    wanted = [index + num_maps if index < 0 else index for index in indices]
    if not wanted or any(not 0 <= index < num_maps for index in wanted) or len(set(wanted)) != len(wanted):
        raise ConfigError(f"out_indices is {tuple(indices)}; accepted: distinct indices within 0 and {num_maps - 1}")
    return sorted(wanted)
