"""What a machine is measured with: the kernels do their work, in the precision that they say, and no other."""

from pathlib import Path

import numpy as np
import pytest

from edgewise.bench import gemm_kernels
from edgewise.bench.caches import read_caches
from edgewise.bench.device import DEVICE_COMMAND
from edgewise.bench.gemm_kernels import NotComputedError, has_bf16, kernels, together
from edgewise.bench.memory_kernels import WALKS, buffer_sizes
from edgewise.bench.occupancy import Occupancy, share_lost, waited_s
from edgewise.bench.worker_process import WorkerProcess
from edgewise.records.device import Cache

KIB = 1024
CACHES = (
    Cache(level="L1", size_bytes=32 * KIB),
    Cache(level="L2", size_bytes=512 * KIB),
    Cache(level="L3", size_bytes=32 * KIB * KIB, num_sharing=2),
)


def cpu_folder(root, *caches):
    for number, (level, kind, size, sharing) in enumerate(caches):
        folder = root / "cpu1" / "cache" / f"index{number}"
        folder.mkdir(parents=True)
        for name, value in (("level", level), ("type", kind), ("size", size), ("shared_cpu_list", sharing)):
            (folder / name).write_text(f"{value}\n")
    return root


def test_caches_are_read_as_linux_tells_them(tmp_path):
    root = cpu_folder(
        tmp_path,
        ("1", "Instruction", "64K", "1"),
        ("3", "Unified", "32M", "0-7,16-23"),
        ("1", "Data", "32K", "1"),
        ("2", "Unified", "1024K", "0,1"),
        ("4", "Unified", "64M", "0-7"),
    )
    assert read_caches(1, root) == (
        Cache(level="L1", size_bytes=32 * KIB),
        Cache(level="L2", size_bytes=1024 * KIB, num_sharing=2),
        Cache(level="L3", size_bytes=32 * KIB * KIB, num_sharing=16),
    )
    assert read_caches(0, root) == ()


@pytest.mark.parametrize("level", ["L1", "L2", "L3"])
@pytest.mark.parametrize("threads", [1, 2])
def test_buffers_live_in_their_level_and_not_in_the_one_before(level, threads):
    order = ("L1", "L2", "L3")
    sizes = {cache.level: cache.size_bytes * max(1, threads // cache.num_sharing) for cache in CACHES}
    found = buffer_sizes(level, CACHES, threads, 1 << 34)
    assert found
    for size in found:
        assert size <= 0.75 * sizes[level]
        assert level == "L1" or size >= 2 * sizes[order[order.index(level) - 1]]


def test_buffers_for_dram_are_four_caches_and_leave_memory_free():
    assert buffer_sizes("DRAM", CACHES, 1, 1 << 34) == [128 << 20]
    assert buffer_sizes("DRAM", CACHES, 1, 500 << 20) == []
    assert buffer_sizes("DRAM", (), 1, 1 << 34) == [256 << 20]
    assert buffer_sizes("L2", (), 1, 1 << 34) == []


def test_a_cache_hardly_larger_than_the_one_before_cannot_be_told_from_it():
    close = (Cache(level="L1", size_bytes=256 * KIB), Cache(level="L2", size_bytes=512 * KIB))
    assert buffer_sizes("L2", close, 1, 1 << 34) == []


@pytest.mark.parametrize("name", WALKS)
def test_walks_go_through_all_of_their_buffers_as_often_as_they_say(name, monkeypatch):
    walk = WALKS[name]
    first, second = np.arange(1000, dtype=np.float32), np.zeros(1000, np.float32)
    out = []
    matmul = np.matmul
    monkeypatch.setattr(np, "matmul", lambda *a, **kw: out.append(matmul(*a, **kw)))
    if walk.access == "read":
        second += 2
        walk.prepare(first, second, 7)()
        assert out[0].shape == (7, 1, 1)
        assert np.allclose(out[0], 2 * first.sum())
    else:
        walk.prepare(first, second, 7)()
        assert np.array_equal(abs(second), first)


@pytest.mark.parametrize("threads", [1, 2])
def test_the_bytes_of_a_call_are_those_of_both_buffers_for_all_threads(threads):
    run, moved = WALKS["numpy negative"].prepared(24 * KIB * threads, threads)
    assert run() is None or isinstance(run(), np.ndarray)
    assert moved % (24 * KIB * threads) == 0
    assert moved == pytest.approx(64 << 20, rel=0.01)


def test_together_runs_all_and_lets_their_errors_through():
    done = []
    together([lambda: done.append(1), lambda: done.append(2)])()
    assert sorted(done) == [1, 2]
    with pytest.raises(ZeroDivisionError):
        together([lambda: 1 / 0])()


def test_every_product_has_the_shape_that_its_name_says(monkeypatch):
    monkeypatch.setattr(gemm_kernels, "SIDES", (32,))
    monkeypatch.setattr(gemm_kernels, "CHANNELS", 16)
    monkeypatch.setattr(gemm_kernels, "PIXELS", 4)
    left, right = gemm_kernels._matrices(32)
    (by_numpy,) = kernels("numpy", "fp32")
    assert (by_numpy.name, by_numpy.macs_of_call(2)) == ("numpy matmul 32 x 32 x 32", 2 * 32**3)
    assert np.allclose(by_numpy.prepare(1)(), left @ right)
    (by_torch,) = kernels("torch", "fp32")
    assert (by_torch.macs, by_torch.macs_of_call(2)) == (32**3, 32**3)
    assert np.allclose(by_torch.prepare(1)().numpy(), left @ right, atol=1e-3)
    for precision, kinds in {"fp32": ("float32", "float32"), "int8": ("int32", "uint8")}.items():
        product, conv = kernels("onnxruntime", precision)
        assert (product.macs, conv.macs) == (32**3, 16 * 16 * 4 * 4)
        for kernel, shape, kind in zip((product, conv), ((32, 32), (1, 16, 4, 4)), kinds, strict=True):
            (answer,) = kernel.prepare(1)()
            assert (answer.shape, answer.dtype) == (shape, kind)


def test_libraries_have_only_the_arithmetic_that_is_theirs():
    assert {
        library: [bool(kernels(library, p)) for p in ("fp32", "fp16", "bf16", "int8")]
        for library in gemm_kernels.LIBRARIES
    } == {
        "numpy": [True, False, False, False],
        "onnxruntime": [True, False, False, True],
        "openvino": [True, False, True, True],
        "torch": [True, False, True, False],
    }


@pytest.mark.parametrize(("precision", "makes"), [("fp32", "int8"), ("int8", "fp32")])
def test_openvino_is_asked_what_it_computes_in(monkeypatch, precision, makes):
    monkeypatch.setattr(gemm_kernels, "CHANNELS", 16)
    monkeypatch.setattr(gemm_kernels, "PIXELS", 4)
    conv = kernels("openvino", precision)[-1]
    (answer,) = conv.prepare(1)().values()
    assert answer.shape == (1, 16, 4, 4)
    # a graph of the other precision is noticed: its time would be no peak of this one
    of_the_other = gemm_kernels._openvino_model(makes, 0)
    monkeypatch.setattr(gemm_kernels, "_openvino_model", lambda *_: of_the_other)
    with pytest.raises(NotComputedError, match=f"OpenVINO computes {precision} in"):
        conv.prepare(1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("flags\t\t: fpu avx512_bf16 fma\n", True), ("Features\t: fp asimd bf16\n", True), ("flags : fpu avx2\n", False)],
)
def test_bf16_is_what_linux_says(tmp_path, text, expected):
    path = tmp_path / "cpuinfo"
    path.write_text("model name : bf16 of all things\n" + text)
    assert has_bf16(path) is expected
    assert has_bf16(tmp_path / "missing") is False


def test_torch_without_bf16_arithmetic_is_no_measure_of_it(monkeypatch):
    monkeypatch.setattr(gemm_kernels, "has_bf16", lambda: False)
    with pytest.raises(NotComputedError, match="no bf16 arithmetic"):
        kernels("torch", "bf16")[0].prepare(1)


def test_the_real_worker_times_what_it_is_told():
    with WorkerProcess(Path("this machine"), 1, 60.0, DEVICE_COMMAND) as worker:
        assert set(worker.ask("start", threads=1)) == {"caches"}
        names = worker.ask("names", library="numpy", precision="fp32")["kernels"]
        peak = worker.ask("peak", library="numpy", precision="fp32", kernel=names[0], num_blocks=3)
        walk = worker.ask("walk", walk="memcpy", buffer_bytes=1 << 20, num_blocks=2)
    assert peak["units"] == 192**3
    assert all(0 < each < 60 for each in peak["call_s"])
    for answer, blocks in ((peak, 3), (walk, 2)):
        assert {len(answer[name]) for name in ("call_s", "reference_ms", "lost", "occupancies")} == {blocks}
        assert answer["occupancies"][0]["num_watched"] == 1
        assert all(0 <= each <= 1 for each in answer["lost"])


def occupancy(process_s):
    return Occupancy(
        wall_s=0.01, process_s=process_s, cores_busy_s=0.02, machine_busy_s=0.02, num_watched=2, num_cores=4
    )


def test_time_that_was_lost_is_time_without_a_core():
    assert share_lost(occupancy(0.015), waited=0.001) == pytest.approx(0.05)
    assert share_lost(occupancy(0.015), waited=None) == pytest.approx(0.25)
    assert share_lost(occupancy(0.015), waited=1.0) == pytest.approx(0.25), "its threads waited for each other"
    assert share_lost(occupancy(-1.0), waited=1.0) == 1.0
    assert share_lost(occupancy(0.015), waited=-0.001) == 0.0, "a thread that ended took its waiting along"


def test_waiting_threads_add_up(tmp_path):
    for number, text in enumerate(("5 2000000 7\n", "1 3000000 1\n", "")):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "schedstat").write_text(text)
    assert waited_s(tmp_path) == pytest.approx(0.005)
    (tmp_path / "0/schedstat").write_text("5 0 7")
    (tmp_path / "1/schedstat").write_text("5 0 7")
    assert waited_s(tmp_path) == 0.0
    assert waited_s(tmp_path / "missing") is None
