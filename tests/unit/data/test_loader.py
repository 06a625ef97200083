from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from generated_images import encoded, noise

from edgewise.data import workers
from edgewise.data.augment import AugmentConfig, TrainTransform
from edgewise.data.dataset import Sample
from edgewise.data.loader import Batch, EvalLoader, TrainLoader, sample_order
from edgewise.data.sources import FileImage, MemoryImage
from edgewise.data.transforms import EvalTransform
from edgewise.errors import ConfigError, DataError, TrainingError
from edgewise.records.artifact import Preprocessing


@pytest.fixture
def samples() -> list[Sample]:
    return [Sample(MemoryImage(encoded(noise(i))), i % 3, f"{i}.jpg") for i in range(22)]


def loader(samples: list[Sample], workers: int = 0, batch_size: int = 4, **more: bool) -> TrainLoader:
    return TrainLoader(samples, TrainTransform(AugmentConfig(), 16), batch_size, 7, workers=workers, **more)


def plain(batches: Iterator[Batch]) -> list[tuple[bytes, list[int], list[int]]]:
    return [(b.images.numpy().tobytes(), b.targets.tolist(), b.positions.tolist()) for b in batches]


def test_order_is_an_exact_permutation() -> None:
    for epoch in range(5):
        assert sorted(sample_order(3, epoch, 101)) == list(range(101))
    orders = {tuple(sample_order(seed, epoch, 101)) for seed in range(3) for epoch in range(3)}
    assert len(orders) == 9
    assert list(sample_order(0, 0, 8)) == [2, 0, 3, 7, 4, 1, 6, 5]  # written down: resume needs it for ever


def test_batches_hold_what_the_order_says(samples: list[Sample]) -> None:
    batches = list(loader(samples).epoch(2))
    order = sample_order(7, 2, 22)
    assert len(batches) == len(loader(samples)) == 5
    positions = torch.cat([batch.positions for batch in batches])
    assert positions.tolist() == list(range(20))
    assert torch.cat([batch.targets for batch in batches]).tolist() == [int(order[p]) % 3 for p in range(20)]
    assert batches[0].images.shape == (4, 3, 16, 16)
    assert batches[0].images.dtype == torch.uint8
    assert batches[0].targets.dtype == batches[0].positions.dtype == torch.int64


def test_views_change_with_epoch_place_and_seed(samples: list[Sample]) -> None:
    one = loader(samples[:1] * 4)
    first, second = next(one.epoch(0)).images, next(one.epoch(1)).images
    other = next(TrainLoader(samples[:1] * 4, TrainTransform(AugmentConfig(), 16), 4, 8).epoch(0)).images
    views = [view.numpy().tobytes() for images in (first, second, other) for view in images]
    assert len(set(views)) == 12


def test_last_batch_and_small_sets(samples: list[Sample]) -> None:
    assert [len(b.targets) for b in loader(samples, drop_last=False).epoch(0)] == [4, 4, 4, 4, 4, 2]
    small = loader(samples[:3], batch_size=64)
    assert len(small) == 1
    assert [len(b.targets) for b in small.epoch(0)] == [3]


def test_any_number_of_workers_gives_the_same_bits(samples: list[Sample]) -> None:
    expected = [plain(loader(samples).epoch(epoch)) for epoch in range(3)]
    torch.manual_seed(5)
    before = torch.get_rng_state()
    for count in (1, 2):
        apart = loader(samples, workers=count)
        assert plain(apart.epoch(0)) == expected[0]
        assert plain(apart.epoch(1, start_batch=2)) == expected[1][2:]
        next(half := apart.epoch(1))
        del half
        assert plain(apart.epoch(2)) == expected[2]
        apart.close()
    assert torch.equal(torch.get_rng_state(), before)


def test_start_in_mid_epoch_is_the_tail(samples: list[Sample]) -> None:
    whole = plain(loader(samples).epoch(4))
    for start in range(6):
        assert plain(loader(samples).epoch(4, start_batch=start)) == whole[start:]


def test_eval_is_in_order_and_repeatable(samples: list[Sample]) -> None:
    view = EvalTransform(Preprocessing(img_size=16))
    here, apart = EvalLoader(samples, view, 5), EvalLoader(samples, view, 5, workers=2)
    first = plain(iter(here))
    assert len(here) == len(first) == 5
    assert [place for _, _, positions in first for place in positions] == list(range(22))
    assert first == plain(iter(here)) == plain(iter(apart)) == plain(iter(apart))
    apart.close()


@pytest.mark.parametrize("count", [0, 1])
@pytest.mark.parametrize("fault", ["gone", "garbage"])
def test_a_file_lost_in_mid_epoch_is_named(tmp_path: Path, count: int, fault: str) -> None:
    path = tmp_path / "a\nb.jpg"
    if fault == "garbage":
        path.write_bytes(b"garbage")
    files = loader([Sample(FileImage(str(path)), 0, "cat/a\nb.jpg")], workers=count)
    with pytest.raises(
        DataError, match=r"^'cat/a\\nb.jpg' can no longer be (read: No such file|decoded: not an image)"
    ):
        list(files.epoch(0))
    files.close()


class Slow:
    def read(self) -> bytes:
        time.sleep(0.2)
        return encoded(noise(1))


def test_a_killed_worker_ends_in_a_typed_error() -> None:
    apart = loader([Sample(Slow(), 0, "x")] * 80, workers=2)
    begun = time.monotonic()
    batches = apart.epoch(0)
    next(batches)
    with pytest.raises(TrainingError, match="loading images stopped: worker"):  # noqa: PT012
        for _ in batches:
            os.kill(multiprocessing.active_children()[0].pid, signal.SIGKILL)
    assert time.monotonic() - begun < 10
    apart.close()


def test_a_hung_worker_ends_in_a_typed_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "STALL_SECONDS", 0.1)
    apart = loader([Sample(Slow(), 0, "x")] * 80, workers=1)
    with pytest.raises(TrainingError, match=r"loading images stopped: timed out after 0\.1 seconds"):
        list(apart.epoch(0))


def test_an_exit_in_mid_epoch_does_not_hang() -> None:
    program = """
from edgewise.data.augment import AugmentConfig, TrainTransform
from edgewise.data.dataset import Sample
from edgewise.data.loader import TrainLoader
from edgewise.data.sources import MemoryImage
import io, PIL.Image
file = io.BytesIO()
PIL.Image.new("RGB", (8, 8)).save(file, "PNG")
samples = [Sample(MemoryImage(file.getvalue()), 0, "x")] * 400
batches = TrainLoader(samples, TrainTransform(AugmentConfig(), 16), 4, 0, workers=2).epoch(0)
next(batches)
raise SystemExit(3)
"""
    assert subprocess.run([sys.executable, "-c", program], timeout=60, check=False).returncode == 3


def test_workers_leave_signals_to_the_parent(samples: list[Sample]) -> None:
    apart = loader(samples * 20, workers=2)
    batches = apart.epoch(0)
    next(batches)
    for worker in multiprocessing.active_children():
        os.kill(worker.pid, signal.SIGINT)
        os.kill(worker.pid, signal.SIGTERM)
    assert len(list(batches)) == len(apart) - 1
    apart.close()
    deadline = time.monotonic() + 5
    while multiprocessing.active_children() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not multiprocessing.active_children()


def test_workers_leave_signals_to_the_parent_from_their_first_moment(samples: list[Sample], monkeypatch) -> None:
    inner = workers._settle

    def slowly(number: int) -> None:
        time.sleep(0.6)
        inner(number)

    def signal_all() -> None:
        time.sleep(0.2)
        for worker in multiprocessing.active_children():
            os.kill(worker.pid, signal.SIGINT)
            os.kill(worker.pid, signal.SIGTERM)

    monkeypatch.setattr(workers, "_settle", slowly)
    apart = loader(samples, workers=2)
    sender = threading.Thread(target=signal_all)
    sender.start()
    assert len(list(apart.epoch(0))) == len(apart)
    sender.join()
    apart.close()


@pytest.mark.parametrize(
    ("batch", "count", "text"), [(0, 0, "batch_size is 0"), (-1, 0, "batch_size is -1"), (1, -1, "workers")]
)
def test_settings_out_of_range(samples: list[Sample], batch: int, count: int, text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        loader(samples, workers=count, batch_size=batch)
    with pytest.raises(ConfigError, match="no samples"):
        loader([])


@pytest.mark.parametrize("workers", [0, 1])
def test_a_small_evaluation_set_is_decoded_once(tmp_path: Path, workers: int) -> None:
    files = [tmp_path / f"{i}.jpg" for i in range(5)]
    for index, file in enumerate(files):
        file.write_bytes(encoded(noise(index)))
    samples = [Sample(FileImage(str(file)), 0, file.name) for file in files]
    view = EvalTransform(Preprocessing(img_size=16))
    needed = 5 * 3 * 16 * 16
    kept = EvalLoader(samples, view, 2, workers, keep_bytes=needed)
    too_large = EvalLoader(samples, view, 2, workers, keep_bytes=needed - 1)
    next(iter(kept))  # a pass that is broken off keeps nothing
    first = plain(kept)
    assert plain(too_large) == first
    for file in files:
        file.unlink()
    assert plain(kept) == first
    with pytest.raises(DataError, match=r"0\.jpg"):
        plain(too_large)
