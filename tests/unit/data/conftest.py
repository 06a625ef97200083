from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

MakeSet = Callable[..., Path]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEWISE_CACHE", str(tmp_path / "cache"))


def noise(seed: int, height: int = 20, width: int = 24) -> np.ndarray:
    """Smooth noise that JPEG keeps well."""
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


def encoded(pixels: np.ndarray, kind: str = "JPEG", **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format=kind, **options)
    return buffer.getvalue()


@pytest.fixture
def make_set(tmp_path: Path) -> MakeSet:
    def make(name: str = "set", splits: tuple[str, ...] = ("train", "val"), classes: tuple[str, ...] = ("cat", "dog"),
             count: int = 3) -> Path:
        root = tmp_path / name
        seed = 0
        for split in splits:
            for label in classes:
                folder = root / split / label
                folder.mkdir(parents=True)
                for index in range(count):
                    seed += 1
                    (folder / f"{index}.jpg").write_bytes(encoded(noise(seed)))
        return root

    return make
