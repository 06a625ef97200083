"""From what a person named (a file, a run's folder, a hub id) to a file on this machine."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from edgewise.errors import MissingExtraError, WeightsError, shown

HUB_PREFIX = "hf-hub:"
HUB_ID = re.compile(r"[\w.-]+/[\w.-]+(@[\w./-]+)?")
HUB_FILES = ("model.safetensors", "pytorch_model.bin")
"""Tried in this order; the second is read as plain tensors or not at all."""
WEIGHT_SUFFIXES = {".safetensors", ".pth", ".pt", ".bin", ".ckpt", ".tar", ".pkl", ".onnx", ".h5", ".keras"}
RUN_WEIGHTS = Path("weights", "best.safetensors")


def locate_weights(source: str | Path) -> Path:
    """Return the path of the weights file that ``source`` names, downloading it where it is a hub id.

    Args:
        source: a file; the folder of a run; ``hf-hub:org/name[@revision]``, or ``org/name`` where no such path can be
            meant.

    Raises:
        WeightsError: there is nothing of that name, or the hub cannot give it.
        MissingExtraError: a hub id, and huggingface-hub is not installed.
    """
    path = Path(source)
    try:
        hub_id = _hub_id(source) if isinstance(source, str) else None
        is_folder = path.is_dir()
    except OSError as error:
        raise WeightsError(f"{shown(source)} cannot be read: {error.strerror}") from error
    if hub_id is not None:
        return _download(hub_id, str(source))
    if not is_folder:
        return path
    if not (path / RUN_WEIGHTS).exists():
        raise WeightsError(
            f"{shown(path)} is a folder without {RUN_WEIGHTS.as_posix()}; give a weights file or a run's folder"
        )
    return path / RUN_WEIGHTS


def _hub_id(source: str) -> str | None:
    if source.startswith(HUB_PREFIX):
        hub_id = source.removeprefix(HUB_PREFIX)
        if not HUB_ID.fullmatch(hub_id):
            raise WeightsError(
                f"{shown(source)} is no hub id; accepted: {HUB_PREFIX}org/name or {HUB_PREFIX}org/name@revision"
            )
        return hub_id
    if "://" in source:
        raise WeightsError(f"{shown(source)} is an address; download it first, or give {HUB_PREFIX}org/name")
    path = Path(source)
    is_local = path.is_symlink() or path.exists() or path.parent.exists() or path.suffix.lower() in WEIGHT_SUFFIXES
    return None if is_local or not HUB_ID.fullmatch(source) else source


def _download(hub_id: str, source: str) -> Path:
    try:
        import huggingface_hub
        from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError
    except ImportError as error:
        raise MissingExtraError(f"{shown(source)} needs huggingface-hub: install edgewise[hub]") from error
    repository, _, revision = hub_id.partition("@")
    for name in HUB_FILES:
        try:
            return Path(huggingface_hub.hf_hub_download(repository, name, revision=revision or None))
        except LocalEntryNotFoundError as error:
            raise _unreachable(source, error) from error
        except EntryNotFoundError:
            continue
        except (OSError, ValueError) as error:
            raise _unreachable(source, error) from error
    raise WeightsError(f"{shown(source)} has no {' or '.join(HUB_FILES)} on the hub")


def _unreachable(source: str, error: Any) -> WeightsError:
    first_line = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return WeightsError(f"{shown(source)} is no file here, and the hub did not give it: {shown(first_line, 160)}")
