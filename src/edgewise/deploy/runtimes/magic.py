"""What the files of the smaller formats begin with."""

from __future__ import annotations

from pathlib import Path

HEAD_BYTES = 512
NCNN_MAGIC = b"7767517\n"
MLPACKAGE_MANIFEST = "Manifest.json"
MLPACKAGE_MODEL = Path("Data", "com.apple.CoreML", "model.mlmodel")


def is_tflite(path: Path) -> bool:
    """Say whether ``path`` is a LiteRT flatbuffer."""
    return _head(path)[4:8] == b"TFL3"


def is_pte(path: Path) -> bool:
    """Say whether ``path`` is an ExecuTorch flatbuffer."""
    return _head(path)[4:8] == b"ET12"


def is_openvino(path: Path) -> bool:
    """Say whether ``path`` is the graph of an OpenVINO IR."""
    head = _head(path).lstrip()
    return head.startswith(b"<?xml") and b"<net " in head


def is_ncnn(path: Path) -> bool:
    """Say whether ``path`` is the graph of an ncnn network."""
    return _head(path).startswith(NCNN_MAGIC)


def is_mlpackage(path: Path) -> bool:
    """Say whether ``path`` is a Core ML package: a folder with a manifest and a model."""
    return (path / MLPACKAGE_MANIFEST).is_file() and (path / MLPACKAGE_MODEL).is_file()


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(HEAD_BYTES)
