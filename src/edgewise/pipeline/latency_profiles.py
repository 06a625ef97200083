"""Where this machine's latency profiles are kept, and whether one may be believed here."""

from __future__ import annotations

from pathlib import Path

from edgewise.data.cache import cache_folder
from edgewise.deploy.runtimes.registry import get_runtime
from edgewise.errors import InputError, shown
from edgewise.records.environment import cpu_name, usable_cores
from edgewise.records.latency_profile import LatencyProfile
from edgewise.report.formatting import format_threads


def profile_path(runtime: str, threads: int) -> Path:
    """Return where this machine's profile of a runtime is kept."""
    return cache_folder() / "latency_profiles" / f"{runtime}-{threads}.json"


def load_profile(path: Path | None, runtime: str, threads: int) -> LatencyProfile:
    """Return the profile at ``path``, or this machine's.

    Raises:
        UnknownNameError: there is no such runtime.
        InputError: there is no profile, or it is damaged.
    """
    if path is not None:
        return LatencyProfile.load(path)
    get_runtime(runtime)
    own = profile_path(runtime, threads)
    if not own.is_file():
        raise InputError(
            f"{runtime} was not calibrated with {format_threads(threads)} on this machine; "
            f"run: edgewise calibrate --runtime {runtime} --threads {threads}"
        )
    return LatencyProfile.load(own)


def differences(profile: LatencyProfile) -> list[str]:
    """Say in what this machine and its versions differ from those that ``profile`` was made on."""
    made, found = profile.environment, []
    here = f"{cpu_name()}, {usable_cores()} cores"
    there = f"{made.cpu}, {made.num_cores} cores"
    if here != there:
        found.append(f"the profile is of another machine ({shown(there)}); this is {shown(here)}")
    runtime = get_runtime(profile.runtime)
    now, then = runtime.availability().version, made.versions.get(runtime.sdk.package, "")
    if now != then:
        found.append(
            f"the profile is of {profile.runtime} {then or 'of an unknown version'}; installed is {now or 'none'}"
        )
    return found
