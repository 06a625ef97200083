"""What can be proved of a Core ML package where Core ML does not run: its input, its output and its weights."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from torch.export import ExportedProgram

from edgewise.deploy.runtimes.quiet import quiet
from edgewise.deploy.runtimes.sdk import one_line
from edgewise.records.artifact import Preprocessing, VerificationRecord

Tensor = np.ndarray[Any, Any]

MIN_WEIGHTS = 64
"""Tensors below are passed over: converters fold scalars and reshape small constants as they like."""
HALF_PRECISION = 1e-3
"""Share of the largest value by which half precision, of values and of scales, may move one."""
SINGLE_PRECISION = 1e-4
"""The same where float32 holds the values, which converters multiply once or twice."""


def verify_structure(
    path: Path, program: ExportedProgram, *, preprocessing: Preprocessing, num_classes: int, precision: str = "fp32"
) -> VerificationRecord:
    """Reload the package at ``path`` and compare it with ``program``; nothing is computed.

    Args:
        path: the package.
        program: what it was made from.
        preprocessing: tells channels and size of the input.
        num_classes: of the output.
        precision: of the package; weights in int8 are compared within the step that they were rounded by.

    Returns:
        The record; its kind is ``structure``, and `reason` says what differs.
    """
    try:
        with quiet():
            reason = _difference(path, program, preprocessing, num_classes, precision)
    except Exception as error:  # noqa: BLE001  whatever coremltools raises on this package means that it does not work
        reason = f"coremltools cannot read the package: {one_line(error)}"
    return VerificationRecord(
        runtime="coreml", kind="structure", passed=not reason, tolerance=0.0, checks=(), batch_sizes=(), reason=reason
    )


def _difference(
    path: Path, program: ExportedProgram, preprocessing: Preprocessing, num_classes: int, precision: str
) -> str:
    import coremltools as ct

    spec = ct.utils.load_spec(str(path))
    description = spec.description
    shapes = [tuple(each.type.multiArrayType.shape)[1:] for each in (*description.input, *description.output)]
    side = preprocessing.img_size
    wanted = [(len(preprocessing.mean), side, side), (num_classes,)]
    if shapes != wanted:
        return f"input and output are {shapes}; must be {wanted}"
    held, rounded = _constants(spec, path)
    if precision == "int8-weights" and not rounded:
        return "no weights of the package are in int8"
    for name, parameter in _weights(program).items():
        if not any(_is_same(each, parameter) for each in held) and not any(
            _is_rounded(each, parameter) for each in rounded
        ):
            return f"the weights {name} are not in the package as they are in the model"
    return ""


def _weights(program: ExportedProgram) -> dict[str, Tensor]:
    """Return the parameters that meet the image in some operator; converters compute the rest in advance, as what tokens start from."""
    names = program.graph_signature.inputs_to_parameters
    live = set(program.graph_signature.user_inputs)
    found = {}
    for node in program.graph.nodes:
        sources = [each.name for each in node.all_input_nodes]
        if node.op != "call_function" or not live.intersection(sources):
            continue
        live.add(node.name)
        for each in sources:
            if each in names and program.state_dict[names[each]].numel() >= MIN_WEIGHTS:
                found[names[each]] = program.state_dict[names[each]].detach().numpy()
    return found


def _constants(spec: Any, path: Path) -> tuple[list[Tensor], list[Tensor]]:
    """Return the tensors that the program of ``spec`` holds as they are, and those that it holds in int8, brought back to floats.

    Args:
        spec: read from the package at ``path``.
        path: the package.
    """
    from coremltools.converters.mil.frontend.milproto import load as milproto

    weights = path / "Data" / "com.apple.CoreML" / "weights"
    program = milproto.load(spec, spec.specificationVersion, str(weights))
    main = program.functions["main"]
    values = [op.val.val for op in main.find_ops(op_type="const")]
    rounded = [op.materialized_val_inference() for op in main.find_ops(op_type="constexpr_affine_dequantize")]
    return [value for value in values if isinstance(value, np.ndarray) and value.size >= MIN_WEIGHTS], rounded


def _is_rounded(given: Tensor, exact: Tensor) -> bool:
    """Say whether ``given`` is ``exact``, in any order and up to a common factor, rounded to int8.

    With 127 steps to the largest value of a channel no value moves by more than a 254th of the largest of all, nor does any in
    the sorted order.
    """
    if given.size != exact.size or not given.any() or not exact.any():
        return False
    one, other = (np.sort(values.astype(np.float64).ravel() / np.abs(values).max()) for values in (given, exact))
    return bool(np.abs(one - other).max() <= 1 / 254 + HALF_PRECISION)


def _is_same(given: Tensor, exact: Tensor) -> bool:
    """Say whether both hold the same values, whatever their order and shape, to the digits of what ``given`` is held in.

    A common factor changes nothing: converters fold scales, such as attention's, into weights.
    """
    tolerance = 2 * HALF_PRECISION if given.dtype == np.float16 else SINGLE_PRECISION
    return given.size == exact.size and math.isclose(_spread(given), _spread(exact), rel_tol=tolerance)


def _spread(values: Tensor) -> float:
    """Return the sum of squares where the largest value is 1."""
    exact = values.astype(np.float64).ravel()
    largest = np.abs(exact).max()
    return float(((exact / largest) ** 2).sum()) if largest > 0 else 0.0
