"""What an exporter is: something that turns a captured program into a file of one format."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from torch.export import ExportedProgram

from edgewise.deploy.runtimes.sdk import Sdk
from edgewise.errors import InputError
from edgewise.records.artifact import LayerPrecision, Layout


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportOptions:
    """What an exporter is told beside the program."""

    precision: str = "fp32"
    input_name: str = "images"
    output_name: str = "logits"
    metadata: Mapping[str, str] = field(default_factory=dict)
    """Travels inside the file."""
    calibration: Path | None = None
    """A ``.npy`` file of real images as the program takes them, float32; needed by ``int8``."""
    keep_float: tuple[str, ...] = ()
    """Layers that stay in float, by the names that `MixingExporter.sensitivities` gives."""
    work: Path | None = None
    """A folder for what is the same for every choice of such layers."""

    def calibration_images(self) -> NDArray[np.float32]:
        """Return the images to calibrate on, read as they are used.

        Raises:
            InputError: there are none.
        """
        if self.calibration is None:
            raise InputError(f"{self.precision} needs real images to calibrate on; none were given")
        images: NDArray[np.float32] = np.load(self.calibration, mmap_mode="r", allow_pickle=False)
        return images


class Exporter(Protocol):
    """A writer of one file format."""

    @property
    def format(self) -> str:
        """The name that users type, as in ``onnx``."""
        ...

    @property
    def suffix(self) -> str:
        """The file name's ending, with its dot."""
        ...

    @property
    def precisions(self) -> tuple[str, ...]:
        """The precisions that it writes, as in ``("fp32", "int8")``."""
        ...

    @property
    def runtime(self) -> str:
        """The runtime in which its files are verified."""
        ...

    @property
    def sdks(self) -> tuple[Sdk, ...]:
        """The packages that it needs."""
        ...

    @property
    def can_batch(self) -> bool:
        """Whether its files may take any batch size; else it is fixed."""
        ...

    @property
    def batches_by_default(self) -> bool:
        """Whether they do where nobody said, as it costs no speed."""
        ...

    @property
    def layouts(self) -> tuple[Layout, ...]:
        """The orders that its files may take an image's axes in, the one that its runtime likes best first."""
        ...

    @property
    def names_input(self) -> bool:
        """Whether its files call their input by the name of the options; other formats have names of their own, or none."""
        ...

    def export(self, program: ExportedProgram, path: Path, options: ExportOptions) -> None:
        """Write ``program`` to ``path``; called in a process of its own, so SDK errors may pass as they are."""
        ...

    def transposes(self, path: Path) -> int:
        """Count the operators of the file at ``path`` that do nothing but reorder axes. SDK errors pass as they are."""
        ...

    def metadata(self, path: Path) -> Mapping[str, str] | None:
        """Read back the text that the file at ``path`` carries; None where the format holds none. SDK errors pass as they are."""
        ...


@runtime_checkable
class MixingExporter(Exporter, Protocol):
    """One that can leave layers of an ``int8`` file in float."""

    def sensitivities(self, program: ExportedProgram, options: ExportOptions) -> tuple[LayerPrecision, ...]:
        """Return the layers of ``program``, each with what int8 costs there; called in a process of its own."""
        ...


def input_shape(program: ExportedProgram) -> tuple[int | None, ...]:
    """Return the sizes of the one input of ``program``; None is a dynamic size."""
    inputs = set(program.graph_signature.user_inputs)
    value = next(node.meta["val"] for node in program.graph.nodes if node.op == "placeholder" and node.name in inputs)
    return tuple(size if isinstance(size, int) else None for size in value.shape)
