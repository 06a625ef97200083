"""Core ML packages through coremltools."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch.export import ExportedProgram

from edgewise.deploy.exporters.protocol import ExportOptions
from edgewise.deploy.mil_program import load_program
from edgewise.deploy.runtimes.quiet import quiet
from edgewise.deploy.runtimes.sdk import Sdk
from edgewise.records.artifact import Layout

OWN_FIELDS = {"author": "author", "license": "license", "version": "versionString"}
"""Metadata that the format has a field for, by the name of ours."""


class CoreMlExporter:
    """Writer of `.mlpackage` folders (ML programs, iOS 17 and macOS 14 upwards) with one input and one output."""

    format = "mlpackage"
    suffix = ".mlpackage"
    precisions = ("fp32", "fp16", "int8-weights")
    layouts: tuple[Layout, ...] = ("nchw",)
    runtime = "coreml"
    sdks = (Sdk(package="coremltools", module="coremltools", install="'edgewise[coreml]'"),)
    can_batch = batches_by_default = False
    names_input = True

    def export(self, program: ExportedProgram, path: Path, options: ExportOptions) -> None:
        """Write ``program`` to the folder ``path``; with int8 weights it computes in fp16, which Apple's neural engine takes."""
        import coremltools as ct

        precision = ct.precision.FLOAT32 if options.precision == "fp32" else ct.precision.FLOAT16
        model: Any = ct.convert(
            program.run_decompositions({}),
            convert_to="mlprogram",
            minimum_deployment_target=ct.target.iOS17,
            compute_precision=precision,
            skip_model_load=True,
        )
        if options.precision == "int8-weights":
            model = _compressed(model)
        spec = model.get_spec()
        ct.utils.rename_feature(spec, spec.description.input[0].name, options.input_name, rename_outputs=False)
        ct.utils.rename_feature(spec, spec.description.output[0].name, options.output_name, rename_inputs=False)
        renamed = ct.models.MLModel(spec, weights_dir=model.weights_dir, skip_model_load=True)
        for key, value in options.metadata.items():
            if key in OWN_FIELDS:
                setattr(renamed, key, value)
            else:
                renamed.user_defined_metadata[key] = value
        renamed.save(str(path))

    def transposes(self, path: Path) -> int:
        """Count the operators of the program that transpose."""
        with quiet():
            operators = load_program(path).functions["main"].operations
        return sum(op.op_type == "transpose" for op in operators)

    def metadata(self, path: Path) -> dict[str, str]:
        """Read back the text that the package at ``path`` carries."""
        import coremltools as ct

        found = ct.utils.load_spec(str(path)).description.metadata
        return {key: getattr(found, field) for key, field in OWN_FIELDS.items()} | dict(found.userDefined)


def _compressed(model: Any) -> Any:
    """Return ``model`` with int8 weights, a scale per output channel; tensors of up to 2048 values stay as they are."""
    from coremltools.optimize.coreml import OpLinearQuantizerConfig, OptimizationConfig, linear_quantize_weights

    symmetric = OpLinearQuantizerConfig(mode="linear_symmetric", dtype="int8", granularity="per_channel")
    return linear_quantize_weights(model, OptimizationConfig(global_config=symmetric))
