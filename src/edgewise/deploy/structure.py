"""What can be proved of a Core ML package where Core ML does not run: its text, its weights, and what its operators compute."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.export import ExportedProgram

from edgewise.deploy.answers import Images, Logits, module_answer, session_answer
from edgewise.deploy.description import check_description
from edgewise.deploy.exporters.protocol import ExportOptions
from edgewise.deploy.exporters.registry import get_exporter
from edgewise.deploy.inputs import edge_inputs
from edgewise.deploy.interface import PLAIN, Interface
from edgewise.deploy.mil_program import MilSession, UnknownOperatorError, load_program
from edgewise.deploy.runtimes.quiet import quiet
from edgewise.deploy.runtimes.sdk import one_line
from edgewise.deploy.verify import ROUNDING, TOLERANCE, compare
from edgewise.errors import EdgewiseError
from edgewise.records.artifact import InputCheck, Preprocessing, VerificationRecord

Tensor = np.ndarray[Any, Any]

JUDGED_IN_HALF = ("noise",)
HALF_TOLERANCE = 0.02
"""Accepted difference of logits, as a share of the largest, where weights are float16; or four times the model's own by that rounding."""
MIN_WEIGHTS = 64
"""Tensors below are passed over: converters fold scalars and reshape small constants as they like."""
HALF_PRECISION = 1e-3
"""Share of the largest value by which half precision, of values and of scales, may move one."""
SINGLE_PRECISION = 1e-5
"""The same where float32 holds the values, which converters multiply once or twice."""


def verify_structure(
    path: Path,
    program: ExportedProgram,
    *,
    preprocessing: Preprocessing,
    num_classes: int,
    interface: Interface = PLAIN,
    model: nn.Module | None = None,
    precision: str = "fp32",
    metadata: Mapping[str, str] | None = None,
) -> VerificationRecord:
    """Reload the package at ``path`` and compare it with ``program``; its operators are computed by torch, not by Core ML.

    Args:
        path: the package.
        program: what it was made from.
        preprocessing: of the model's input; tells channels and size.
        num_classes: of the output.
        interface: what the package takes and gives instead of normalised images and logits.
        model: what gives the right answers; None = the operators are not computed.
        precision: ``fp32`` is judged as in `verify`; for ``fp16``, answers to noise may differ by 2 %; for ``int8-weights``, weights are
            compared within the step that they were rounded by.
        metadata: the text that was to travel inside the package; None = none is looked for.

    Returns:
        The record; its kind is ``structure``, and `reason` says what differs. It has no checks where an operator has no rule.
    """
    checks: tuple[InputCheck, ...] = ()
    try:
        with quiet():
            loaded = load_program(path)
            reason = _difference(path, loaded, program, preprocessing, num_classes, interface, precision)
        if metadata is not None and not reason:
            check_description(path, get_exporter("mlpackage"), metadata, interface.recipe(preprocessing))
        if model is not None and not reason:
            checks, reason = _computed(MilSession(loaded), model, preprocessing, interface, precision)
    except EdgewiseError as error:
        reason = str(error)
    except Exception as error:  # noqa: BLE001  whatever coremltools raises on this package means that it does not work
        reason = f"coremltools cannot read the package: {one_line(error)}"
    return VerificationRecord(
        runtime="coreml",
        kind="structure",
        passed=not reason,
        tolerance=TOLERANCE if checks and precision == "fp32" else 0.0,
        checks=checks,
        batch_sizes=(),
        reason=reason,
    )


def _difference(
    path: Path,
    loaded: Any,
    program: ExportedProgram,
    preprocessing: Preprocessing,
    num_classes: int,
    interface: Interface,
    precision: str,
) -> str:
    import coremltools as ct

    description = ct.utils.load_spec(str(path)).description
    names = [each.name for each in (*description.input, *description.output)]
    wanted_names = [ExportOptions().input_name, interface.output]
    if names != wanted_names:
        return f"input and output are called {names}; must be {wanted_names}"
    shapes = [tuple(each.type.multiArrayType.shape)[1:] for each in (*description.input, *description.output)]
    wanted = [interface.shape(preprocessing), (num_classes,)]
    if shapes != wanted:
        return f"input and output are {shapes}; must be {wanted}"
    held, rounded = _constants(loaded)
    if precision == "int8-weights" and not rounded:
        return "no weights of the package are in int8"
    for name, parameter in _weights(program).items():
        if not any(_is_same(each, parameter) for each in held) and not any(
            _is_rounded(each, parameter) for each in rounded
        ):
            return f"the weights {name} are not in the package as they are in the model"
    return ""


def _computed(
    session: MilSession, model: nn.Module, preprocessing: Preprocessing, interface: Interface, precision: str
) -> tuple[tuple[InputCheck, ...], str]:
    """Return one check per kind of input, and why the first bad one is bad; nothing where an operator has no rule."""
    kinds, reference, given = edge_inputs(preprocessing), module_answer(model), session_answer(session, (1,))

    def answer(images: Images) -> Logits:
        return given(interface.given(images, preprocessing))

    try:
        checks, reason = compare(
            kinds,
            reference,
            answer,
            model if precision == "fp32" else None,
            gives_probabilities=interface.softmax,
        )
    except UnknownOperatorError:
        return (), ""
    if precision == "fp16":
        rounded = module_answer(_in_half(model))
        own = {name: float(np.abs(rounded(kinds[name]) - reference(kinds[name])).max()) for name in JUDGED_IN_HALF}
        reason = next(filter(None, (_judge_half(each, own[each.name]) for each in checks if each.name in own)), "")
    return checks, reason


def _judge_half(check: InputCheck, own: float) -> str:
    accepted = max(HALF_TOLERANCE * check.max_abs_logit, ROUNDING * own)
    if check.max_abs_diff <= accepted:
        return ""
    return f"{check.name}: logits differ by up to {check.max_abs_diff:.3g}, accepted {accepted:.3g} in half precision"


def _in_half(model: nn.Module) -> nn.Module:
    """Return a copy of ``model`` whose weights went through float16."""
    rounded = copy.deepcopy(model)
    with torch.no_grad():
        for tensor in [*rounded.parameters(), *rounded.buffers()]:
            if tensor.is_floating_point():
                tensor.copy_(tensor.half())
    return rounded


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


def _constants(loaded: Any) -> tuple[list[Tensor], list[Tensor]]:
    """Return the tensors that a package's program holds as they are, and those that it holds in int8, brought back to floats."""
    main = loaded.functions["main"]
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
    tolerance = 3 * HALF_PRECISION if given.dtype == np.float16 else SINGLE_PRECISION
    return given.size == exact.size and math.isclose(_spread(given), _spread(exact), rel_tol=tolerance)


def _spread(values: Tensor) -> float:
    """Return the sum of squares where the largest value is 1."""
    exact = values.astype(np.float64).ravel()
    largest = np.abs(exact).max()
    return float(((exact / largest) ** 2).sum()) if largest > 0 else 0.0
