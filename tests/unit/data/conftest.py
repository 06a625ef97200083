from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from generated_images import encoded, noise

MakeSet = Callable[..., Path]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEWISE_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def make_set(tmp_path: Path) -> MakeSet:
    def make(
        name: str = "set",
        splits: tuple[str, ...] = ("train", "val"),
        classes: tuple[str, ...] = ("cat", "dog"),
        count: int = 3,
    ) -> Path:
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
