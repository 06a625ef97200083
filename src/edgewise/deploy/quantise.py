"""Static int8 quantisation of an ONNX file, calibrated on real images."""

from __future__ import annotations

import copy
import hashlib
import json
import tempfile
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgewise.deploy.onnx_layers import WEIGHTED, onnx_layers
from edgewise.errors import InputError

Ranges = Mapping[str, tuple[float, float]]

MIN_CALIBRATION_IMAGES = 32
MAX_BATCH = 8
PERCENTILE = 99.999


def check_calibration(images: NDArray[np.float32] | None, *, in_chs: int, img_size: int) -> None:
    """Refuse calibration images that would give ranges that no real image has.

    Args:
        images: normalised real images (N, `in_chs`, `img_size`, `img_size`), float32.
        in_chs: channels that the network takes.
        img_size: side in pixels that the network takes.

    Raises:
        InputError: there are fewer than 32 different ones, or they are of another shape or dtype, or not finite.
    """
    need = f"int8 needs at least {MIN_CALIBRATION_IMAGES} different real images to calibrate on"
    if images is None:
        raise InputError(f"{need}; none were given")
    wanted = (in_chs, img_size, img_size)
    if images.dtype != np.float32 or images.shape[1:] != wanted:
        need_shape = f"(N, {', '.join(map(str, wanted))})"
        raise InputError(f"calibration images are {images.dtype} {tuple(images.shape)}; must be float32 {need_shape}")
    different = len({hashlib.sha256(np.ascontiguousarray(image).tobytes()).digest() for image in images})
    if different < MIN_CALIBRATION_IMAGES:
        raise InputError(f"{need}; got {different}")
    if not np.isfinite(images).all():
        raise InputError("calibration images hold NaN or infinite values; must be finite, normalised pixels")


def quantise_onnx(
    source: Path, target: Path, *, calibration: Path | None, keep_float: Collection[str] = (), work: Path | None = None
) -> None:
    """Write ``source`` to ``target`` with int8 weights (per channel) and uint8 activations.

    Args:
        source: an fp32 ONNX file with one input.
        target: where to write; replaced if it exists.
        calibration: a ``.npy`` file of normalised real images (N, C, H, W), float32.
        keep_float: layers that stay in float, by the names that `onnx_layers` gives.
        work: a folder where the calibrated ranges are kept, and found again by the next call for the same source and images.

    Raises:
        InputError: ``calibration`` is missing.
    """
    import onnx

    if calibration is None:
        raise InputError(f"int8 needs at least {MIN_CALIBRATION_IMAGES} real images to calibrate on; none were given")
    with tempfile.TemporaryDirectory() as folder:
        model, ranges = prepare(source, work or Path(folder), calibration=calibration)
        excluded = [node for layer, nodes in onnx_layers(model.graph).items() if layer in keep_float for node in nodes]
        onnx.save(quantised(model, ranges, exclude=excluded), target)


def prepare(source: Path, work: Path, *, calibration: Path) -> tuple[Any, Ranges]:
    """Return ``source`` made ready for the quantiser, and the range of each of its tensors; both are kept in ``work``.

    Percentile 99.999 over min-max and entropy: on a trained MobileNetV4 Conv-S it kept the logits nearest to fp32
    (28.6 dB against 28.2 and 28.2) at the same latency, and one outlier among the images widens no range.

    Args:
        source: an fp32 ONNX file with one input.
        work: a folder; what it holds from an earlier call for the same source and images is taken.
        calibration: a ``.npy`` file of normalised real images (N, C, H, W), float32.
    """
    import onnx
    from onnxruntime.quantization import quant_pre_process

    prepared, kept = work / "prepared.onnx", work / "ranges.json"
    if not prepared.is_file():
        quant_pre_process(source, prepared)
        model = onnx.load(prepared)
        for number, node in enumerate(model.graph.node):
            node.name = node.name or f"{node.op_type}_{number}"
        onnx.save(model, prepared)
    if not kept.is_file():
        kept.write_text(json.dumps(_ranges(prepared, np.load(calibration, mmap_mode="r", allow_pickle=False))))
    return onnx.load(prepared), json.loads(kept.read_text())


def quantised(model: Any, ranges: Ranges, *, only: Collection[str] = (), exclude: Collection[str] = ()) -> Any:
    """Return a copy of ``model`` in int8, which is what `onnxruntime.quantization.quantize_static` makes of it.

    Weights have seven bits: processors without VNNI add two products of eight bits each in sixteen, which overflows and takes top-1 along
    (a trained MobileNetV3 Small: 81.9 % in float, 49.6 % with eight bits, 80.8 % with seven on an AVX2 processor), and a file that was
    judged on another processor would hide it.

    What was put around the network stays in float: a softmax in eight bits would give 256 different probabilities, and ties among labels;
    normalisation would round the image twice.

    Args:
        model: a prepared one.
        ranges: of its tensors.
        only: nodes to quantise; empty for all.
        exclude: nodes to leave as they are.
    """
    from onnxruntime.quantization import CalibrationMethod, QDQQuantizer, QuantType
    from onnxruntime.quantization.calibrate import TensorsData

    known = {name: (np.float32(low), np.float32(high)) for name, (low, high) in ranges.items()}
    quantizer = QDQQuantizer(
        copy.deepcopy(model),
        per_channel=True,
        reduce_range=True,
        weight_qType=QuantType.QInt8,
        activation_qType=QuantType.QUInt8,
        tensors_range=TensorsData(CalibrationMethod.MinMax, known),
        nodes_to_quantize=list(only),
        nodes_to_exclude=[*exclude, *_ends(model.graph)],
        op_types_to_quantize=_quantisable(),
        extra_options={},
    )
    quantizer.quantize_model()
    quantizer.model.topological_sort()
    return quantizer.model.model


def _ends(graph: Any) -> list[str]:
    """Return the names of a softmax at the end, and of multiplications ahead of the first layer."""
    outputs = {each.name for each in graph.output}
    softmax = [node.name for node in graph.node if node.op_type == "Softmax" and outputs.intersection(node.output)]
    first = next((place for place, node in enumerate(graph.node) if node.op_type in WEIGHTED), 0)
    return softmax + [node.name for node in graph.node[:first] if node.op_type == "Mul"]


def _ranges(prepared: Path, images: NDArray[np.float32]) -> Ranges:
    """Return the lowest and the highest value of each tensor, outliers left out."""
    from onnxruntime.quantization import CalibrationMethod, create_calibrator

    reader = _reader(prepared, images)
    with tempfile.TemporaryDirectory() as folder:
        calibrator = create_calibrator(
            prepared,
            _quantisable(),
            augmented_model_path=str(Path(folder) / "augmented.onnx"),
            calibrate_method=CalibrationMethod.Percentile,
            extra_options={"percentile": PERCENTILE},
        )
        # Batch by batch the histograms grow; at once the activations of all images would stay in memory.
        for index in range(len(reader)):
            reader.set_range(index, index + 1)
            calibrator.collect_data(reader)
        found = calibrator.compute_data()
    return {name: (float(data.lowest), float(data.highest)) for name, data in found.items()}


def _quantisable() -> list[str]:
    from onnxruntime.quantization.registry import QDQRegistry, QLinearOpsRegistry

    return sorted({*QDQRegistry, *QLinearOpsRegistry})


class Batches:
    """ONNX Runtime's view of the calibration images: a range of batches, handed out one at a time."""

    def __init__(self, images: NDArray[np.float32], *, input_name: str, batch: int) -> None:
        self.images, self.input_name, self.batch = images, input_name, batch
        self.set_range(0, len(self))

    def __len__(self) -> int:
        return len(self.images) // self.batch

    def set_range(self, start_index: int, end_index: int) -> None:
        """Continue with the batches from ``start_index`` up to, but without, ``end_index``."""
        self._left: Iterator[int] = iter(range(start_index, end_index))

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        """Return the next batch by input name, or nothing at the end of the range."""
        index = next(self._left, None)
        if index is None:
            return None
        return {self.input_name: np.array(self.images[index * self.batch : (index + 1) * self.batch])}


def _reader(model: Path, images: NDArray[np.float32]) -> Batches:
    import onnx

    tensor = onnx.load(model, load_external_data=False).graph.input[0]
    fixed = tensor.type.tensor_type.shape.dim[0].dim_value
    return Batches(images, input_name=tensor.name, batch=fixed or MAX_BATCH)
