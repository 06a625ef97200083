import pytest

from edgewise.cost.device_files import find_device
from edgewise.cost.roofline import roofline
from edgewise.errors import ConfigError
from edgewise.records.cost import CostReport, KernelCost
from edgewise.records.device import Bandwidth, Cache, ComputePeak, DeviceProfile, FittedRoofline
from edgewise.records.environment import capture_environment


def kernel(macs, weight_bytes, read_bytes=0, written_bytes=0, kind="pointwise"):
    return KernelCost(
        module="m",
        kind=kind,
        ops=(),
        macs=macs,
        weight_bytes=weight_bytes,
        read_bytes=read_bytes,
        written_bytes=written_bytes,
        accesses=0,
    )


def report(*kernels, dtype="int8", peak=0):
    return CostReport(
        model="net",
        input_shape=(1, 3, 8, 8),
        params=0,
        macs=sum(each.macs for each in kernels),
        activations=0,
        stages=(),
        blocks=(),
        ops=(),
        kernels=kernels,
        dtype=dtype,
        weight_bytes=sum(each.weight_bytes for each in kernels),
        peak_activation_bytes=peak,
    )


def stated(**more):
    return DeviceProfile(
        name="phone",
        title="a phone",
        kind="cpu",
        peaks=(ComputePeak(precision="int8", macs_per_s=100e9), ComputePeak(precision="fp32", macs_per_s=25e9)),
        memory=(Bandwidth(level="DRAM", bytes_per_s=10e9),),
        **more,
    )


def test_a_kernel_takes_the_longer_of_arithmetic_and_bytes():
    found = roofline(
        report(kernel(100_000_000, 1_000_000), kernel(1_000_000, 2_000_000, 1_000_000, 1_000_000)), stated()
    )
    assert [each.time_ms for each in found.kernels] == pytest.approx([1.0, 0.4])
    assert [each.bound for each in found.kernels] == ["compute", "memory"]
    assert [each.share for each in found.kernels] == pytest.approx([1 / 1.4, 0.4 / 1.4])
    assert [each.intensity for each in found.kernels] == pytest.approx([100.0, 0.25])
    assert (found.total_ms, found.ridge_point, found.basis) == (pytest.approx(1.4), pytest.approx(10.0), "stated")
    assert found.share_of_roof is None


def test_a_measured_latency_stands_beside():
    found = roofline(report(kernel(100_000_000, 0)), stated(), measured_ms=4.0)
    assert found.share_of_roof == pytest.approx(0.25)


def test_a_kernel_has_a_fixed_cost_where_one_is_known():
    found = roofline(report(kernel(1_000, 10), kernel(100_000_000, 10)), stated(), overhead_us=5)
    assert [each.bound for each in found.kernels] == ["overhead", "compute"]
    assert found.total_ms == pytest.approx(0.010 + 1e-5 + 1.0, rel=1e-3)


def test_fitted_figures_come_first_and_stated_ones_on_demand():
    fitted = FittedRoofline(
        precision="int8",
        ridge_point_macs_per_byte=20,
        macs_per_s=50e9,
        bytes_per_s=2.5e9,
        constant_s=0.001,
        num_models=9,
        families="all",
        median_error=0.04,
        loo_median_error=0.06,
        loo_within_10_percent=0.6,
    )
    device = stated(fitted=fitted)
    found = roofline(report(kernel(100_000_000, 1_000)), device)
    assert (found.basis, found.constant_ms, found.total_ms) == ("fitted", 1.0, pytest.approx(3.0))
    assert roofline(report(kernel(100_000_000, 1_000)), device, stated=True).total_ms == pytest.approx(1.0)
    assert roofline(report(kernel(100_000_000, 1_000), dtype="fp32"), device).basis == "stated", "fitted for int8 alone"


def test_int8_weights_multiply_in_float():
    assert roofline(report(kernel(25_000_000, 1), dtype="int8-weights"), stated()).total_ms == pytest.approx(1.0)


def test_what_a_device_lacks_is_named():
    with pytest.raises(ConfigError, match=r"phone has no peak for fp16; it has int8, fp32$"):
        roofline(report(kernel(1, 1), dtype="fp16"), stated())
    bare = stated().model_copy(update={"memory": ()})
    with pytest.raises(ConfigError, match="phone has no memory bandwidth; it has int8, fp32"):
        roofline(report(kernel(1, 1)), bare)
    with pytest.raises(ConfigError, match="phone has no peak for int8 with 4 threads"):
        roofline(report(kernel(1, 1)), stated(), threads=4)


def test_on_a_measured_machine_bytes_come_from_the_cache_that_holds_them():
    rates = {"L1": 100e9, "L2": 50e9, "L3": 20e9, "DRAM": 5e9}
    device = DeviceProfile(
        name="here",
        title="here",
        kind="cpu",
        peaks=(ComputePeak(precision="fp32", threads=1, macs_per_s=1e12),),
        memory=tuple(Bandwidth(level=level, threads=1, bytes_per_s=rate) for level, rate in rates.items()),
        caches=(
            Cache(level="L1", size_bytes=32_768),
            Cache(level="L2", size_bytes=1_000_000),
            Cache(level="L3", size_bytes=10_000_000),
        ),
        environment=capture_environment(),
    )
    small, large = kernel(1, 0, 10_000, 10_000), kernel(1, 0, 4_000_000, 4_000_000)
    found = roofline(report(small, large, dtype="fp32"), device, threads=1)
    assert [each.time_ms for each in found.kernels] == pytest.approx([20_000 / 100e6, 8_000_000 / 20e6])
    heavy = roofline(report(kernel(1, 400_000), kernel(1, 40_000_000), dtype="fp32"), device, threads=1)
    assert heavy.kernels[0].time_ms == pytest.approx(400_000 / 5e6), "all weights together come from the memory"
    assert (heavy.basis, heavy.bytes_per_s) == ("measured", 5e9)


def test_every_stated_device_with_figures_has_a_roof():
    from edgewise.cost.device_files import device_names

    roofs = 0
    for name in device_names():
        device = find_device(name)
        for peak in device.peaks:
            if device.bandwidth("DRAM") is not None:
                counted = report(kernel(10_000_000, 1_000), dtype=peak.precision)
                assert roofline(counted, device, stated=True).total_ms > 0
                roofs += 1
    assert roofs > 40
