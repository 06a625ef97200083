"""The table of export formats."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from edgewise.deploy.exporters.onnx import OnnxExporter
from edgewise.deploy.exporters.protocol import Exporter
from edgewise.deploy.exporters.torch_export import TorchExporter
from edgewise.errors import unknown_name

EXPORTERS: Mapping[str, Exporter] = MappingProxyType({"onnx": OnnxExporter(), "pt2": TorchExporter()})


def get_exporter(name: str) -> Exporter:
    """Return the exporter of format ``name``.

    Raises:
        UnknownNameError: there is no such format; the nearest name is suggested.
    """
    if name not in EXPORTERS:
        raise unknown_name("format", name, EXPORTERS)
    return EXPORTERS[name]


def check_precision(exporter: Exporter, precision: str) -> None:
    """Refuse a precision that ``exporter`` does not write.

    Raises:
        UnknownNameError: it does not; those that it writes are listed.
    """
    if precision not in exporter.precisions:
        raise unknown_name(f"{exporter.format} precision", precision, exporter.precisions)
