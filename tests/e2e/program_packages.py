"""What scripts/install_test_packages.sh installs, as the tests of the exported programs find it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import onnxruntime
import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ROOT / ".test-packages"
NODE_MODULES = PACKAGES / "node_modules"
KOTLIN = NODE_MODULES / "kotlin-compiler"


def need(found: object, what: str) -> None:
    """Skip the test without ``what``; in CI, where all is installed before, fail."""
    if found:
        return
    reason = f"{what} is missing; scripts/install_test_packages.sh installs it"
    if os.environ.get("CI") == "true":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def node() -> str:
    """Return the program `node`, with the packages of NODE_MODULES."""
    found = shutil.which("node")
    need(found, "node")
    need(
        (NODE_MODULES / "sharp").is_dir() and (NODE_MODULES / "onnxruntime-node").is_dir(), "onnxruntime-node or sharp"
    )
    return str(found)


def cpp_command(folder: Path) -> list[str]:
    """Return a compiler with the flags that find what predict.cpp includes and links.

    Args:
        folder: gets links to the wheel's library, by the names that linking and running ask for; must stay.
    """
    need(shutil.which("g++"), "g++")
    need((PACKAGES / "include" / "onnxruntime_cxx_api.h").is_file(), "ONNX Runtime's C++ headers")
    (library,) = (Path(onnxruntime.__file__).parent / "capi").glob("libonnxruntime.so.*")
    for name in ("libonnxruntime.so", "libonnxruntime.so.1"):
        (folder / name).symlink_to(library)
    return [
        *("g++", "-std=c++17", "-O1", "-Wall", "-Wextra", "-Werror", "-isystem", str(PACKAGES / "include")),
        *(f"-L{folder}", f"-Wl,-rpath,{folder}", "-Wl,--push-state,--no-as-needed"),
        *("-lonnxruntime", "-lturbojpeg", "-lpng", "-Wl,--pop-state"),
    ]


def kotlinc() -> str:
    """Return the Kotlin compiler."""
    need(shutil.which("java"), "java")
    need((KOTLIN / "bin" / "kotlinc").is_file(), "kotlinc")
    return str(KOTLIN / "bin" / "kotlinc")
