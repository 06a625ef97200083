"""`device measure`: this machine's peaks and bandwidths, measured and kept."""

from __future__ import annotations

from pathlib import Path

from edgewise.bench.device import measure_device
from edgewise.cost.device_files import check_device_path, this_cpu_path, write_device_file
from edgewise.pipeline.listener import JobListener
from edgewise.records.device import DeviceProfile


def measure_and_keep(out: Path | None, listener: JobListener) -> tuple[DeviceProfile, Path]:
    """Measure this machine and write its profile.

    Args:
        out: a YAML or JSON file; where `bench` looks for this machine's profile by default.
        listener: hears of it.

    Returns:
        The profile and where it was written.

    Raises:
        ConfigError: ``out`` is no name for a profile; nothing was measured.
        BenchError: no process could be started.
        OutputError: the file cannot be written.
    """
    path = out if out is not None else this_cpu_path()
    check_device_path(path)
    listener.on_stage("Measuring peaks and bandwidths of this machine, about a minute; leave it alone meanwhile")
    profile = measure_device(progress=listener.on_progress, say=listener.on_message)
    write_device_file(profile, path)
    return profile, path
