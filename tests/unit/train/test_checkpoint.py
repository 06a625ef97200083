import errno
import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from edgewise.errors import CheckpointError
from edgewise.train import checkpoint_folder
from edgewise.train.checkpoint import CheckpointStore, save_weights

FILES = ("tensors.safetensors", "state.json", "manifest.json")


def tensors(seed: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    image = torch.randn(2, 3, 4, 4, generator=generator)
    return {
        "conv": image.to(memory_format=torch.channels_last),
        "view": image[:, 1],
        "same": image,
        "transposed": torch.randn(5, 3, generator=generator).t(),
        "half": torch.randn(7, generator=generator).to(torch.bfloat16),
        "count": torch.tensor(2**62 + seed),
        "scalar": torch.tensor(float("nan")),
        "flags": torch.tensor([True, False]),
        "rng": torch.arange(9, dtype=torch.uint8),
        "nothing": torch.zeros(0, 4),
        "a name with 'quotes' and\nlines ü": torch.ones(1),
    }


def assert_same(one, other):
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert other[name].dtype == value.dtype
        assert other[name].shape == value.shape
        assert torch.equal(
            other[name].contiguous().reshape(-1).view(torch.uint8), value.contiguous().reshape(-1).view(torch.uint8)
        )


def filled(folder: Path, steps=(10, 20)) -> CheckpointStore:
    store = CheckpointStore(folder)
    for step in steps:
        assert store.save(step, tensors(step), {"step": step}).ok
    return store


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_everything_comes_back_bit_for_bit(tmp_path):
    store = CheckpointStore(tmp_path / "weights" / "last")
    assert store.load_latest() is None
    state = {
        "lr": 0.1 + 0.2,
        "best": float("-inf"),
        "note": "ü\n",
        "rows": [{"loss": 1e-308}],
        "none": None,
        "on": True,
    }
    result = store.save(120, tensors(1), state)
    assert result.ok, result.reason
    assert result.path == tmp_path / "weights/last/step-000120"
    assert names(result.path) == sorted(FILES)
    loaded = CheckpointStore(tmp_path / "weights/last").load_latest()
    assert loaded.step == 120
    assert loaded.skipped == ()
    assert loaded.state == state
    assert_same(tensors(1), loaded.tensors)
    loaded.tensors["conv"].add_(1)


def test_files_are_read_by_the_safetensors_library(tmp_path):
    path = CheckpointStore(tmp_path).save(1, tensors(1), {}).path
    assert_same(tensors(1), load_file(path / "tensors.safetensors"))


def test_a_dtype_that_safetensors_lacks_is_a_programming_error_and_leaves_nothing(tmp_path):
    store = filled(tmp_path)
    with pytest.raises(TypeError, match=r"tensor 'z' is torch.complex64; accepted: F64"):
        store.save(30, {"z": torch.zeros(1, dtype=torch.complex64)}, {})
    assert names(tmp_path) == ["step-000010", "step-000020"]


@pytest.mark.parametrize("keep", [2, 3])
def test_the_oldest_are_dropped_and_enough_are_kept(tmp_path, keep):
    store = CheckpointStore(tmp_path, keep=keep)
    for step in range(5):
        store.save(step, tensors(step), {})
    assert names(tmp_path) == [f"step-{step:06d}" for step in range(5 - keep, 5)]


def test_keeping_fewer_than_two_is_refused(tmp_path):
    with pytest.raises(ValueError, match="keep is 1; must be at least 2"):
        CheckpointStore(tmp_path, keep=1)


def test_million_steps_sort_as_numbers(tmp_path):
    filled(tmp_path, steps=(999_999, 1_000_000))
    assert CheckpointStore(tmp_path).load_latest().step == 1_000_000


def test_a_step_saved_twice_keeps_both_until_dropped_and_loads_the_second(tmp_path):
    store = filled(tmp_path)
    assert store.save(20, tensors(99), {"second": True}).ok
    assert names(tmp_path) == ["step-000020", "step-000020.2"]
    assert CheckpointStore(tmp_path).load_latest().state == {"second": True}


def test_a_step_saved_again_and_again_keeps_two_and_loads_the_last(tmp_path):
    """A finished run that is resumed saves its last step once more each time."""
    for attempt in range(6):
        assert CheckpointStore(tmp_path).save(20, tensors(attempt), {"attempt": attempt}).ok
        assert len(names(tmp_path)) == min(2, attempt + 1)
        assert CheckpointStore(tmp_path).load_latest().state == {"attempt": attempt}


def test_a_save_after_going_back_drops_the_damaged_and_the_abandoned_not_the_whole(tmp_path):
    filled(tmp_path, steps=(100, 200))
    (tmp_path / "step-000200/state.json").write_text("{}")
    store = CheckpointStore(tmp_path)
    assert store.load_latest().step == 100
    store.save(150, tensors(150), {})
    assert names(tmp_path) == ["step-000100", "step-000150"]


def test_a_save_at_an_earlier_step_abandons_the_later_ones(tmp_path):
    store = filled(tmp_path, steps=(100, 200))
    store.save(150, tensors(150), {})
    assert names(tmp_path) == ["step-000100", "step-000150"]
    assert store.load_latest().step == 150


def test_a_damaged_older_checkpoint_does_not_count_as_kept(tmp_path):
    filled(tmp_path, steps=(10, 20))
    flip(tmp_path / "step-000020/tensors.safetensors", 700)
    assert CheckpointStore(tmp_path).save(30, tensors(30), {}).ok
    assert names(tmp_path) == ["step-000010", "step-000030"]


def flip(path: Path, bit: int) -> None:
    content = bytearray(path.read_bytes())
    content[bit // 8 % len(content)] ^= 1 << bit % 8
    path.write_bytes(content)


def test_any_single_flipped_bit_is_found_and_the_older_one_is_used(tmp_path):
    filled(tmp_path / "good")
    order = random.Random(20)
    for trial in range(24):
        folder = tmp_path / f"trial{trial}"
        shutil.copytree(tmp_path / "good", folder)
        victim = folder / "step-000020" / FILES[trial % 3]
        flip(victim, order.randrange(victim.stat().st_size * 8))
        loaded = CheckpointStore(folder).load_latest()
        assert loaded.step == 10
        assert_same(tensors(10), loaded.tensors)
        assert len(loaded.skipped) == 1
        assert "step-000020' is damaged and passed over: " in loaded.skipped[0]


def truncate(share):
    return lambda path: path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])


def make_pipe(path):
    path.unlink()
    os.mkfifo(path)


DAMAGE = {
    "cut at 0 %": truncate(0),
    "cut at 50 %": truncate(0.5),
    "cut at 99 %": truncate(0.99),
    "longer": lambda path: path.write_bytes(path.read_bytes() + b"\0"),
    "zero page": lambda path: path.write_bytes(bytes(min(4096, path.stat().st_size)) + path.read_bytes()[4096:]),
    "missing": Path.unlink,
    "garbage": lambda path: path.write_text("[1, 2"),
    "nested": lambda path: path.write_text("[" * 100_000),
    "other JSON": lambda path: path.write_text('{"body": [], "sha256": ""}'),
    "a pipe": make_pipe,
}


@pytest.mark.timeout(20)
@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_found_and_said(tmp_path, damage, file):
    store = filled(tmp_path)
    DAMAGE[damage](tmp_path / "step-000020" / file)
    loaded = store.load_latest()
    assert loaded.step == 10
    assert file in loaded.skipped[0]


def test_a_renamed_checkpoint_is_damaged(tmp_path):
    filled(tmp_path)
    (tmp_path / "step-000020").rename(tmp_path / "step-000030")
    assert "it was saved at step 20" in CheckpointStore(tmp_path).load_latest().skipped[0]


def test_all_damaged_is_an_error_that_names_each(tmp_path):
    filled(tmp_path)
    for step in (10, 20):
        (tmp_path / f"step-{step:06d}/manifest.json").unlink()
    with pytest.raises(CheckpointError, match=r"holds no whole checkpoint.*step-000020'.*step-000010'") as caught:
        CheckpointStore(tmp_path).load_latest()
    assert "\n" not in str(caught.value)


def test_a_newer_schema_is_named_not_taken_for_damage_and_never_removed(tmp_path, monkeypatch):
    filled(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint_folder, "SCHEMA_VERSION", 7)
        body = {"version": 7, "step": 20, "new": {"field": 1}}
        (tmp_path / "step-000020/manifest.json").write_bytes(checkpoint_folder._sealed(body))
    with pytest.raises(
        CheckpointError, match=r"step-000020' has checkpoint version 7, this Edgewise reads up to version 1"
    ):
        CheckpointStore(tmp_path).load_latest()
    assert CheckpointStore(tmp_path).save(30, tensors(30), {}).ok
    assert names(tmp_path) == ["step-000010", "step-000020", "step-000030"]


def test_an_edited_manifest_is_refused_even_with_matching_files(tmp_path):
    filled(tmp_path)
    path = tmp_path / "step-000020/manifest.json"
    manifest = json.loads(path.read_bytes())
    manifest["body"]["step"] = 21
    path.write_text(json.dumps(manifest, sort_keys=True))
    assert "does not match its own checksum" in CheckpointStore(tmp_path).load_latest().skipped[0]


class Faults:
    """Counts the calls that change the disk and fails the one asked for."""

    def __init__(self, monkeypatch, fail_at=None, code=errno.ENOSPC):
        self.calls = []
        self.fail_at = fail_at
        self.code = code
        for name in ("write", "fsync", "replace", "mkdir"):
            monkeypatch.setattr(os, name, self.wrapped(name, getattr(os, name)))

    def wrapped(self, name, real):
        def call(*args, **kwargs):
            self.calls.append(name)
            if len(self.calls) - 1 == self.fail_at:
                if name == "write":
                    real(args[0], bytes(args[1])[: len(args[1]) // 2])
                raise OSError(self.code, os.strerror(self.code))
            return real(*args, **kwargs)

        return call


def disk_calls(tmp_path) -> list[str]:
    with pytest.MonkeyPatch.context() as patch:
        faults = Faults(patch)
        filled(tmp_path / "probe", steps=(10,)).save(20, tensors(20), {})
    return faults.calls[len(faults.calls) // 2 :]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EROFS, errno.EDQUOT])
def test_a_disk_that_fails_at_any_call_leaves_the_older_ones_and_training_goes_on(tmp_path, code):
    num_calls = len(disk_calls(tmp_path))
    assert num_calls > 15
    for fail_at in range(num_calls):
        folder = tmp_path / str(fail_at)
        store = filled(folder)
        with pytest.MonkeyPatch.context() as patch:
            faults = Faults(patch, fail_at, code)
            result = store.save(30, tensors(30), {})
        if result.ok:
            assert "could not be removed" in result.reason
            assert faults.calls[fail_at] == "replace"
        else:
            assert result.path is None
            assert os.strerror(code) in result.reason
            assert f"needs {result.bytes_needed} bytes" in result.reason
            assert names(folder) == ["step-000010", "step-000020"]
            assert CheckpointStore(folder).load_latest().step == 20
        assert store.save(31, tensors(31), {}).ok, "the disk is well again"
        assert len(names(folder)) == 2
        assert CheckpointStore(folder).load_latest().step == 31


def test_bytes_needed_is_what_the_save_takes(tmp_path):
    result = CheckpointStore(tmp_path).save(1, {"a": torch.zeros(100_000)}, {"text": "x" * 5000})
    taken = sum(path.stat().st_size for path in result.path.iterdir())
    assert taken <= result.bytes_needed <= taken * 1.01


def test_what_reads_back_differently_is_not_kept(tmp_path, monkeypatch):
    store = filled(tmp_path)
    real = os.write
    seen = []

    def forgetful(descriptor, content):
        seen.append(1)
        return real(descriptor, bytes(len(content)) if len(seen) == 3 else content)

    monkeypatch.setattr(os, "write", forgetful)
    result = store.save(30, tensors(30), {})
    assert not result.ok
    assert "tensors.safetensors does not match its checksum" in result.reason
    assert names(tmp_path) == ["step-000010", "step-000020"]


def test_short_writes_are_continued(tmp_path, monkeypatch):
    real = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, content: real(descriptor, content[:7]))
    store = filled(tmp_path)
    monkeypatch.undo()
    assert_same(tensors(20), store.load_latest().tensors)


def test_an_interrupt_in_mid_save_leaves_no_temporary(tmp_path, monkeypatch):
    store = filled(tmp_path)

    def interrupt(descriptor):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        store.save(30, tensors(30), {})
    assert names(tmp_path) == ["step-000010", "step-000020"]


def test_files_are_durable_before_the_rename_and_the_rename_before_the_drop(tmp_path, monkeypatch):
    filled(tmp_path)
    calls = Faults(monkeypatch).calls
    CheckpointStore(tmp_path).save(30, tensors(30), {})
    order = [name for name in calls if name != "write"]
    assert order == ["mkdir", "fsync", "fsync", "fsync", "fsync", "replace", "fsync", "replace"]


KILLER = """
import os, signal, sys
from pathlib import Path
import torch
from edgewise.train.checkpoint import CheckpointStore
torch.set_num_threads(1)
root, total, trials = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
tensors = {f"t{i}": torch.full((400,), 30.0) for i in range(4)}
for trial in range(trials):
    folder = root / str(trial)
    store = CheckpointStore(folder)
    for step in (10, 20):
        store.save(step, {f"t{i}": torch.full((400,), float(step)) for i in range(4)}, {"step": step})
    pid = os.fork()
    if pid == 0:
        left, real = total * (trial + 1) // trials, os.write
        def write(descriptor, content):
            global left
            if len(content) >= left:
                real(descriptor, content[:left])
                os.kill(os.getpid(), signal.SIGKILL)
            left -= len(content)
            return real(descriptor, content)
        os.write = write
        store.save(30, tensors, {"step": 30})
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL, status
"""


def test_a_kill_at_any_byte_leaves_the_old_or_the_new_whole(tmp_path):
    probe = CheckpointStore(tmp_path / "probe")
    written = probe.save(30, {f"t{i}": torch.full((400,), 30.0) for i in range(4)}, {"step": 30}).path
    total = sum(path.stat().st_size for path in written.iterdir())
    command = [sys.executable, "-c", KILLER, str(tmp_path / "kills"), str(total), "20"]
    subprocess.run(command, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"}, timeout=120)
    for trial in range(20):
        folder = tmp_path / "kills" / str(trial)
        assert len([name for name in names(folder) if not name.startswith("step-")]) == 1
        store = CheckpointStore(folder)
        loaded = store.load_latest()
        assert loaded.step == 20
        assert loaded.skipped == ()
        assert loaded.state == {"step": 20}
        assert all((value == 20).all() for value in loaded.tensors.values())
        assert store.save(30, loaded.tensors, {}).ok
        assert names(folder) == ["step-000020", "step-000030"]


def test_a_kill_at_every_call_that_changes_the_disk_leaves_old_or_new(tmp_path):
    class KilledError(BaseException):
        pass

    for kill_at in range(40):
        folder = tmp_path / str(kill_at)
        store = filled(folder)
        done = []

        def killing(real, done=done, kill_at=kill_at):
            def call(*args, **kwargs):
                if len(done) >= kill_at:
                    raise KilledError
                done.append(1)
                return real(*args, **kwargs)

            return call

        with pytest.MonkeyPatch.context() as patch:
            for name in ("write", "fsync", "replace", "mkdir", "unlink", "rmdir"):
                patch.setattr(os, name, killing(getattr(os, name)))
            try:
                store.save(30, tensors(30), {})
                finished = True
            except KilledError:
                finished = False
        assert len([name for name in names(folder) if not name.startswith("step-")]) <= 1
        loaded = CheckpointStore(folder).load_latest()
        assert loaded.step in {20, 30}
        assert loaded.skipped == ()
        assert_same(tensors(loaded.step), loaded.tensors)
        assert CheckpointStore(folder).save(40, tensors(40), {}).ok
        assert len(names(folder)) == 2
        if finished:
            break
    assert finished
    assert kill_at > 20


def test_weights_are_written_whole_with_metadata(tmp_path):
    path = tmp_path / "weights" / "best.safetensors"
    result = save_weights(path, tensors(1), {"model": "mobilenetv4_conv_small", "labels": '["a", "ü"]'})
    assert result.ok
    assert result.path == path
    assert_same(tensors(1), load_file(path))
    with safe_open(path, "pt") as file:
        assert file.metadata() == {"model": "mobilenetv4_conv_small", "labels": '["a", "ü"]'}
    assert names(path.parent) == ["best.safetensors"]


@pytest.mark.parametrize("call", ["write", "fsync", "replace"])
def test_a_failed_write_of_weights_keeps_the_former_file(tmp_path, monkeypatch, call):
    path = tmp_path / "best.safetensors"
    assert save_weights(path, tensors(1), {}).ok

    def full(*args):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, call, full)
    result = save_weights(path, tensors(2), {})
    assert not result.ok
    assert result.reason.startswith(f"'{path}' was not saved: No space left on device; it needs ")
    assert names(tmp_path) == ["best.safetensors"]
    assert_same(tensors(1), load_file(path))
