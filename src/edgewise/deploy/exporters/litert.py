"""LiteRT's `.tflite` files through litert-torch."""

from __future__ import annotations

import json
import re
import zipfile
from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.export import ExportedProgram

from edgewise.deploy.exporters.protocol import ExportOptions, input_shape
from edgewise.deploy.runtimes.quiet import quiet
from edgewise.deploy.runtimes.sdk import Sdk
from edgewise.errors import ExportError
from edgewise.records.artifact import Layout

METADATA = "metadata.json"
"""Name in the zip that is appended to the flatbuffer, where TensorFlow Lite keeps associated files."""


WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")


class LiteRtExporter:
    """Writer of `.tflite` files with one input (N, C, H, W) of a fixed batch and one output."""

    format = "tflite"
    suffix = ".tflite"
    precisions = ("fp32", "fp16", "int8", "int8-weights")
    layouts: tuple[Layout, ...] = ("nhwc", "nchw")
    runtime = "litert"
    sdks = (
        Sdk(package="litert-torch", module="litert_torch", install="'edgewise[litert]'"),
        Sdk(package="ai-edge-litert", module="ai_edge_litert", install="'edgewise[litert]'"),
        Sdk(package="ai-edge-quantizer", module="ai_edge_quantizer", install="'edgewise[litert]'"),
    )
    can_batch = batches_by_default = names_input = False

    def export(self, program: ExportedProgram, path: Path, options: ExportOptions) -> None:
        """Write ``program`` to ``path``.

        Raises:
            ExportError: its batch is dynamic.
        """
        import litert_torch

        shape = input_shape(program)
        if None in shape:
            raise ExportError("tflite files have a fixed batch")
        example = torch.zeros([size or 1 for size in shape])
        litert_torch.convert(program.module(), (example,)).export(str(path))
        if options.precision == "int8":
            _quantise(path, options.calibration_images())
        elif options.precision != "fp32":
            _compress(path, num_bits=16 if options.precision == "fp16" else 8)
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr(METADATA, json.dumps(dict(options.metadata), sort_keys=True, ensure_ascii=False))

    def transposes(self, path: Path) -> int:
        """Count the operators of the flatbuffer that transpose."""
        return sum(each["op_name"] == "TRANSPOSE" for each in _plain_interpreter(path)._get_ops_details())

    def metadata(self, path: Path) -> dict[str, str]:
        """Read back the text that the file at ``path`` carries."""
        with zipfile.ZipFile(path) as archive:
            text: dict[str, str] = json.loads(archive.read(METADATA))
        return text


def _quantise(path: Path, images: NDArray[np.float32]) -> None:
    """Turn weights (per channel) and activations of the file at ``path`` into int8; input and output stay float32.

    So does what was put around the network: a softmax in eight bits would give 256 different probabilities, and ties among labels;
    normalisation would round the image twice.
    """
    from ai_edge_litert.interpreter import Interpreter
    from ai_edge_quantizer import quantizer, recipe

    ((signature, ports),) = Interpreter(str(path)).get_signature_list().items()
    work = quantizer.Quantizer(str(path))
    work.load_quantization_recipe(recipe.static_wi8_ai8())
    for end in (recipe.TFLOperationName.INPUT, recipe.TFLOperationName.OUTPUT):
        work.update_quantization_recipe(regex=".*", operation_name=end, algorithm_key=recipe.AlgorithmName.NO_QUANTIZE)
    for name, operation in _ends(path):
        work.update_quantization_recipe(
            regex=f"^{re.escape(name)}(;|$)",
            operation_name=recipe.TFLOperationName[operation],
            algorithm_key=recipe.AlgorithmName.NO_QUANTIZE,
        )
    name = ports["inputs"][0]
    ranges = work.calibrate({signature: [{name: np.array(image[None])} for image in images]})
    work.quantize(ranges).export_model(str(path), overwrite=True)


def _ends(path: Path) -> list[tuple[str, str]]:
    """Return output tensor and operator of a softmax at the end, and of the arithmetic ahead of the first layer."""
    interpreter = _plain_interpreter(path)
    names = {each["index"]: each["name"] for each in interpreter.get_tensor_details()}
    operators = [(each["op_name"], int(each["outputs"][0])) for each in interpreter._get_ops_details()]
    ends = {each["index"] for each in interpreter.get_output_details()}
    softmax = [(names[index], name) for name, index in operators if name == "SOFTMAX" and index in ends]
    ahead = takewhile(lambda each: each[0] not in WEIGHTED, operators)
    return softmax + [(names[index], name) for name, index in ahead if name in ("SUB", "MUL")]


def _plain_interpreter(path: Path) -> Any:
    """Return the file at ``path`` opened without a delegate, which would stand in for the operators that it took."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    with quiet():
        return Interpreter(str(path), experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES)


def _compress(path: Path, *, num_bits: int) -> None:
    """Turn the weights of the file at ``path`` into fp16, or into int8 per channel; LiteRT computes in float32."""
    from ai_edge_quantizer import quantizer
    from ai_edge_quantizer.recipe import AlgorithmName, TFLOperationName
    from ai_edge_quantizer.recipe_manager import RecipeManager

    manager = RecipeManager()
    manager.add_weight_only_config(
        regex=".*",
        operation_name=TFLOperationName.ALL_SUPPORTED,
        num_bits=num_bits,
        algorithm_key=AlgorithmName.FLOAT_CASTING if num_bits == 16 else AlgorithmName.MIN_MAX_UNIFORM_QUANT,
    )
    work = quantizer.Quantizer(str(path))
    work.load_quantization_recipe(manager.get_quantization_recipe())
    work.quantize().export_model(str(path), overwrite=True)
