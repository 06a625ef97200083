"""The layers of an OpenVINO model, and how much each loses when it alone is in int8."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch.export import ExportedProgram

from edgewise.deploy.layers import Operator, layers_of
from edgewise.deploy.sensitivity import compared_images, sqnr_db
from edgewise.records.artifact import LayerPrecision

KINDS = {"convolution": "aten.conv2d.default", "linear": "aten.linear.default"}
"""What the converter calls the operators of a captured program, with a number from the second on."""
NUMBERED = re.compile(r"(convolution|linear)(?:_(\d+))?/")


def openvino_layers(model: Any, program: ExportedProgram) -> dict[str, tuple[str, ...]]:
    """Return the names of the operators of each layer of ``model``, which was converted from ``program``; see `layers_of`."""
    return layers_of(_operators(model, program))


def layer_sensitivities(
    model: Any, quantised: Any, layers: Mapping[str, tuple[str, ...]], calibration: NDArray[np.float32]
) -> tuple[LayerPrecision, ...]:
    """Return each layer with its signal-to-noise ratio in dB: that of the logits with it alone in int8, against all in float.

    Nothing is calibrated again: all other layers of the quantised model are given their float inputs and weights back.

    Args:
        model: in float.
        quantised: the same in int8.
        layers: of both.
        calibration: normalised real images (N, C, H, W).
    """
    images = compared_images(calibration)
    weights = {op.friendly_name: op.input_value(1).get_node() for op in model.get_ops() if _has_weights(op)}
    exact = _logits(model, images)
    return tuple(
        LayerPrecision(name=name, sqnr_db=sqnr_db(exact, _logits(_alone(quantised, members, weights), images)))
        for name, members in layers.items()
    )


def _operators(model: Any, program: ExportedProgram) -> Iterator[Operator]:
    names = _weight_names(program)
    for op in model.get_ordered_ops():
        if op.get_type_name() in ("Constant", "Parameter", "Result"):
            continue
        found = NUMBERED.match(op.friendly_name)
        weights = names.get((found[1], int(found[2] or 0)), "") if found else ""
        yield Operator(
            name=op.friendly_name,
            sources=tuple(value.get_node().friendly_name for value in op.input_values()),
            weights=weights if _has_weights(op) else None,
        )


def _weight_names(program: ExportedProgram) -> dict[tuple[str, int], str]:
    """Return the parameters that are the weights of ``program``'s convolutions and linear layers, by kind and number."""
    parameters = program.graph_signature.inputs_to_parameters
    found = {}
    for kind, target in KINDS.items():
        nodes = [node for node in program.graph.nodes if str(node.target) == target]
        found.update({(kind, number): parameters.get(node.args[1].name, "") for number, node in enumerate(nodes)})
    return found


def _has_weights(op: Any) -> bool:
    if op.get_type_name() not in ("Convolution", "GroupConvolution", "MatMul"):
        return False
    return bool(op.input_value(1).get_node().get_type_name() == "Constant")


def _alone(quantised: Any, members: tuple[str, ...], weights: Mapping[str, Any]) -> Any:
    """Return ``quantised`` with everything but ``members`` in float again."""
    import openvino

    model = quantised.clone()
    for op in model.get_ops():
        if op.friendly_name in members or op.get_type_name() == "FakeQuantize":
            continue
        for port in op.inputs():
            source = port.get_source_output().get_node()
            if source.get_type_name() == "FakeQuantize":
                port.replace_source_output(source.input_value(0))
        if op.friendly_name in weights:
            whole = openvino.opset13.constant(weights[op.friendly_name].data)
            op.input(1).replace_source_output(whole.output(0))
    return model


def _logits(model: Any, images: NDArray[np.float32]) -> NDArray[np.float32]:
    import openvino

    compiled = openvino.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    fixed = compiled.inputs[0].get_partial_shape()[0]
    batch = fixed.get_length() if fixed.is_static else 1
    parts = [images[start : start + batch] for start in range(0, len(images) // batch * batch, batch)]
    return np.concatenate([compiled(part)[0] for part in parts])
