"""From what a person named (a file, a folder, a hub id) to a weights file on this machine."""

from __future__ import annotations

import re
from pathlib import Path

from edgewise.errors import WeightsError, shown
from edgewise.models.hub import HUB_PREFIX, hub_file

LOCAL_PREFIX = "local-dir:"
HUB_ID = re.compile(r"[\w.-]+/[\w.-]+(@[\w./-]+)?")
HUB_FILES = ("model.safetensors", "pytorch_model.bin")
"""Tried in this order; the second is read as plain tensors or not at all."""
WEIGHT_SUFFIXES = {".safetensors", ".pth", ".pt", ".bin", ".ckpt", ".tar", ".pkl", ".onnx", ".h5", ".keras"}
RUN_WEIGHTS = Path("weights", "best.safetensors")
FOLDER_FILES = (RUN_WEIGHTS, *map(Path, HUB_FILES))
"""What a folder's weights may be called: a run's, or as on the hub."""


def locate_weights(source: str | Path) -> Path:
    """Return the path of the weights file that ``source`` names, downloading it where it is a hub id.

    Args:
        source: a file; the folder of a run or of a repository, also as ``local-dir:PATH``;
            ``hf-hub:org/name[@revision]``, or ``org/name`` where no such path can be meant.

    Raises:
        WeightsError: there is nothing of that name, or the hub cannot give it.
        MissingExtraError: a hub id, and huggingface-hub is not installed.
    """
    is_local = isinstance(source, str) and source.startswith(LOCAL_PREFIX)
    path = Path(str(source).removeprefix(LOCAL_PREFIX))
    try:
        hub_id = hub_id_of(source) if isinstance(source, str) and not is_local else None
        is_folder = path.is_dir()
    except OSError as error:
        raise WeightsError(f"{shown(source)} cannot be read: {error.strerror}") from error
    if hub_id is not None:
        return hub_file(hub_id, HUB_FILES, str(source))
    if is_folder:
        return weights_in(path)
    if is_local:
        raise WeightsError(f"{shown(source)}: there is no such folder")
    return path


def weights_in(folder: Path) -> Path:
    """Return the weights file in the folder of a run, or of a repository that was downloaded.

    Raises:
        WeightsError: there is none.
    """
    for name in FOLDER_FILES:
        if (folder / name).exists():
            return folder / name
    listed = ", ".join(name.as_posix() for name in FOLDER_FILES)
    raise WeightsError(f"{shown(folder)} is a folder without {listed}; give a weights file or a run's folder")


def hub_id_of(source: str) -> str | None:
    """Return ``owner/name[@revision]`` where ``source`` means the hub, None where it means this machine.

    Raises:
        WeightsError: it means the hub and is no id, or is an address.
    """
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


def shown_source(source: str | Path) -> str:
    """Return a source as records keep it: a hub id as it is, of a path the last part, which tells no folder of anybody's."""
    text = str(source)
    return text if text.startswith(HUB_PREFIX) else Path(text.removeprefix(LOCAL_PREFIX)).name or text
