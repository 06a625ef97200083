"""ONNX files: fp32 through torch's own converter, int8 through ONNX Runtime's static quantiser, int8 weights by rounding them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch.export import ExportedProgram

from edgewise.deploy.exporters.protocol import ExportOptions
from edgewise.deploy.onnx_sensitivity import layer_sensitivities
from edgewise.deploy.onnx_weights import compress_weights
from edgewise.deploy.quantise import quantise_onnx
from edgewise.deploy.runtimes.sdk import Sdk
from edgewise.errors import ExportError, InputError
from edgewise.records.artifact import LayerPrecision, Layout

BATCH_SYMBOL = "batch"


class OnnxExporter:
    """Writer of ``.onnx`` files with one input, one output and all weights inside."""

    format = "onnx"
    suffix = ".onnx"
    precisions = ("fp32", "int8", "int8-weights")
    layouts: tuple[Layout, ...] = ("nchw", "nhwc")
    runtime = "onnxruntime"
    sdks = (Sdk(package="onnxscript", module="onnxscript", install="onnxscript"),)
    can_batch = batches_by_default = names_input = True

    def export(self, program: ExportedProgram, path: Path, options: ExportOptions) -> None:
        """Write ``program`` to ``path``.

        Raises:
            ExportError: the converter has no counterpart for an operator of the program.
        """
        if options.precision == "fp32":
            _convert(program, path, options)
        else:
            with _plain(program, options) as plain:
                if options.precision == "int8":
                    quantise_onnx(
                        plain,
                        path,
                        calibration=options.calibration,
                        keep_float=options.keep_float,
                        work=options.work,
                    )
                else:
                    compress_weights(plain, path)
        _finish(path, options.metadata)

    def sensitivities(self, program: ExportedProgram, options: ExportOptions) -> tuple[LayerPrecision, ...]:
        """Return the layers of ``program``, each with what int8 costs there.

        Raises:
            InputError: there are no images to calibrate on.
        """
        if options.calibration is None:
            raise InputError("sensitivities are measured on real images; none were given")
        with _plain(program, options) as plain:
            return layer_sensitivities(plain, options.work or plain.parent, calibration=options.calibration)

    def transposes(self, path: Path) -> int:
        """Count the nodes that transpose, those of functions too."""
        import onnx

        model = onnx.load(path, load_external_data=False)
        graphs = (model.graph, *model.functions)
        return sum(node.op_type == "Transpose" for graph in graphs for node in graph.node)

    def metadata(self, path: Path) -> dict[str, str]:
        """Read back the text that the file at ``path`` carries."""
        import onnx

        return {entry.key: entry.value for entry in onnx.load(path, load_external_data=False).metadata_props}


@contextmanager
def _plain(program: ExportedProgram, options: ExportOptions) -> Iterator[Path]:
    """Give the fp32 file of ``program``: the one that an earlier call left in the folder for work, or a new one."""
    with tempfile.TemporaryDirectory() as folder:
        plain = (options.work or Path(folder)) / "fp32.onnx"
        if not plain.is_file():
            _convert(program, plain, options)
        yield plain


def _convert(program: ExportedProgram, path: Path, options: ExportOptions) -> None:
    is_dynamic = bool(program.range_constraints)
    converted = torch.onnx.export(
        program,
        dynamo=True,
        external_data=False,
        optimize=True,
        verbose=False,
        input_names=[options.input_name],
        output_names=[options.output_name],
        dynamic_shapes=({0: BATCH_SYMBOL},) if is_dynamic else None,  # names the axis; it is dynamic already
    )
    if converted is None:
        raise ExportError("torch.onnx gave no program back")
    converted.save(path, external_data=False)


def _finish(path: Path, metadata: Mapping[str, str]) -> None:
    """Add ``metadata`` and drop the converter's own notes, which hold source lines and paths of this machine."""
    import onnx

    model = onnx.load(path)
    _drop_notes(model.graph)
    for function in model.functions:
        _drop_notes(function)
    del model.metadata_props[:]
    for key, value in sorted(metadata.items()):
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


def _drop_notes(graph: Any) -> None:
    parts = [graph, *graph.node]
    for name in ("value_info", "input", "output", "initializer"):
        parts += getattr(graph, name, [])
    for part in parts:
        part.doc_string = ""
        del part.metadata_props[:]
