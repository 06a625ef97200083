"""The table of export formats."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import get_args

from edgewise.deploy.exporters.coreml import CoreMlExporter
from edgewise.deploy.exporters.executorch import ExecuTorchExporter
from edgewise.deploy.exporters.litert import LiteRtExporter
from edgewise.deploy.exporters.ncnn import NcnnExporter
from edgewise.deploy.exporters.onnx import OnnxExporter
from edgewise.deploy.exporters.openvino import OpenVinoExporter
from edgewise.deploy.exporters.protocol import Exporter, MixingExporter
from edgewise.deploy.exporters.torch_export import TorchExporter
from edgewise.deploy.support import LEFT_OUT
from edgewise.errors import ConfigError, MissingExtraError, unknown_name
from edgewise.records.artifact import Layout

LAYOUTS = get_args(Layout)
_ALL: tuple[Exporter, ...] = (
    OnnxExporter(),
    OpenVinoExporter(),
    LiteRtExporter(),
    ExecuTorchExporter(),
    NcnnExporter(),
    CoreMlExporter(),
    TorchExporter(),
)
EXPORTERS: Mapping[str, Exporter] = MappingProxyType({each.format: each for each in _ALL})
_BY_RUNTIME: Mapping[str, Exporter] = MappingProxyType({each.runtime: each for each in _ALL})


def get_exporter(name: str) -> Exporter:
    """Return the exporter of format ``name``, or of the files of the runtime ``name``, as in ``litert`` for ``tflite``.

    Raises:
        UnknownNameError: there is no such format; the nearest name is suggested.
    """
    found = EXPORTERS.get(name) or _BY_RUNTIME.get(name)
    if found is None:
        raise unknown_name("format", name, EXPORTERS)
    return found


def check_installed(exporter: Exporter) -> None:
    """Refuse an exporter whose packages are not installed.

    Raises:
        MissingExtraError: one is not; the message says what to install.
    """
    for sdk in exporter.sdks:
        if not sdk.availability().ok:
            raise MissingExtraError(f"{exporter.format} files need {sdk.package}: pip install {sdk.install}")


def check_precision(exporter: Exporter, precision: str) -> None:
    """Refuse a precision that ``exporter`` does not write.

    Raises:
        ConfigError: it is left out on purpose; the message says why.
        UnknownNameError: it does not; those that it writes are listed.
    """
    if precision not in exporter.precisions:
        if reason := LEFT_OUT.get((exporter.format, precision)):
            accepted = ", ".join(exporter.precisions)
            raise ConfigError(f"{exporter.format} has no {precision}: {reason}; accepted: {accepted}")
        raise unknown_name(f"{exporter.format} precision", precision, exporter.precisions)


def layout_of(exporter: Exporter, layout: str | None) -> Layout:
    """Return the order of axes that a file takes its images in: ``layout``, or what its runtime likes best.

    Raises:
        UnknownNameError: there is no such layout.
        ConfigError: files of ``exporter`` cannot have it.
    """
    if layout is None:
        return exporter.layouts[0]
    if layout not in LAYOUTS:
        raise unknown_name("layout", layout, LAYOUTS)
    for each in exporter.layouts:
        if each == layout:
            return each
    raise ConfigError(f"{exporter.format} files take {', '.join(exporter.layouts)} alone; layout is {layout}")


def check_mixing(exporter: Exporter, precision: str) -> None:
    """Refuse mixed precision where it does not exist.

    Raises:
        ConfigError: ``exporter`` cannot leave layers in float, or ``precision`` is not int8.
    """
    if precision != "int8" or not isinstance(exporter, MixingExporter):
        can = ", ".join(name for name, each in EXPORTERS.items() if isinstance(each, MixingExporter))
        raise ConfigError(
            f"{exporter.format} {precision} cannot be mixed; layers can be kept in float in int8 files of {can}"
        )
