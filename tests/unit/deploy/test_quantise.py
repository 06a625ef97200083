"""Int8: what it needs, what comes out, and how it is judged."""

from __future__ import annotations

import copy
from functools import partial

import numpy as np
import onnx
import pytest
import torch
from export_nets import LABELS, PREPROCESSING, in_batches

from edgewise.deploy.evaluate import agreement, evaluate_file
from edgewise.deploy.quantise import Batches, check_calibration, quantise_onnx
from edgewise.deploy.verify import verify
from edgewise.errors import InputError


def test_int8_file_is_judged_on_labels(int8, trained):
    record = int8[0].verification
    assert record is not None
    assert record.passed
    assert (record.max_drop, record.tolerance) == (0.01, 0.0)
    assert record.top1_model is not None
    assert record.top1_file is not None
    assert record.top1_model > 0.9, "the network learnt its task, so that a fall could show"
    assert record.top1_model - record.top1_file <= 0.01
    paired = record.paired
    assert paired is not None
    assert paired.num_images == len(trained.targets)
    assert paired.drop == pytest.approx(record.top1_model - record.top1_file)
    assert paired.drop_low < paired.drop < paired.drop_high
    answers = evaluate_file(int8[1] / "tiny.onnx", trained.labelled(), runtime="onnxruntime", keep_logits=True)
    assert answers.top1 == record.top1_file


def test_int8_answers_like_fp32(fp32, int8, trained):
    plain, quantised = (
        evaluate_file(folder / "tiny.onnx", trained.labelled(), runtime="onnxruntime", keep_logits=True)
        for folder in (fp32[1], int8[1])
    )
    assert agreement(plain.predicted, quantised.predicted) >= 0.98
    noise = np.square(quantised.logits - plain.logits).sum()
    assert 10 * np.log10(np.square(plain.logits).sum() / noise) >= 20
    assert noise > 0, "it is another file"


def test_int8_weights_are_bytes_per_channel_and_activations_unsigned(int8):
    model = onnx.load(int8[1] / "tiny.onnx")
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    weights = [tensor for tensor in tensors.values() if len(tensor.dims) == 4]
    assert len(weights) == 6
    assert {tensor.data_type for tensor in weights} == {onnx.TensorProto.INT8}
    largest = max(int(np.abs(onnx.numpy_helper.to_array(tensor).astype(int)).max()) for tensor in weights)
    assert largest == 64, "eight bits overflow in the 16-bit sums of processors without VNNI"
    scales = {node.input[0]: tensors[node.input[1]] for node in model.graph.node if node.op_type == "DequantizeLinear"}
    assert [list(scales[weight.name].dims) for weight in weights] == [[weight.dims[0]] for weight in weights]
    zeros = {tensors[node.input[2]].data_type for node in model.graph.node if node.op_type == "QuantizeLinear"}
    assert zeros == {onnx.TensorProto.UINT8}


def test_int8_file_carries_the_same_metadata(int8):
    inside = {entry.key: entry.value for entry in onnx.load(int8[1] / "tiny.onnx").metadata_props}
    assert inside["precision"] == "int8"
    assert LABELS[3] in inside["names"]


def test_fall_of_top1_fails(fp32, trained):
    """A file that is right on fewer images than its model: the model here is the better one, the file stays."""
    images = np.concatenate([batch for batch, _ in trained.labelled()])
    with torch.no_grad():
        answers = trained.model(torch.from_numpy(images)).numpy().argmax(1)
    spoilt = copy.deepcopy(trained.model)
    spoilt.classifier.weight.data = spoilt.classifier.weight.data.roll(1, 0)
    spoilt.classifier.bias.data = spoilt.classifier.bias.data.roll(1, 0)
    judge = partial(verify, fp32[1] / "tiny.onnx", runtime="onnxruntime", preprocessing=PREPROCESSING, precision="int8")
    record = judge(spoilt, labelled=partial(in_batches, images, (answers + 1) % 10))
    assert (record.top1_model, record.top1_file, record.passed) == (1.0, 0.0, False)
    assert record.reason == "top-1 falls from 100.00% to 0.00% on the labelled images; accepted fall 1.00%"
    assert judge(spoilt, labelled=partial(in_batches, images, (answers + 1) % 10), max_drop=1.0).passed
    assert not judge(spoilt, real=trained.real).passed
    assert judge(trained.model, real=trained.real).passed


def test_right_and_wrong_answers_are_paired(fp32, trained):
    """The file's answers are the labels but on the first 30 images, the model's are never."""
    images = np.concatenate([batch for batch, _ in trained.labelled()])[:100]
    path = fp32[1] / "tiny.onnx"
    answers = evaluate_file(path, [(images, np.zeros(100))], runtime="onnxruntime").predicted
    targets = np.where(np.arange(100) < 30, (answers + 1) % 10, answers)
    other = copy.deepcopy(trained.model)
    other.classifier.weight.data = other.classifier.weight.data.roll(1, 0)
    other.classifier.bias.data = other.classifier.bias.data.roll(1, 0)
    labelled = partial(in_batches, images, targets)
    record = verify(
        path, other, runtime="onnxruntime", preprocessing=PREPROCESSING, precision="int8", labelled=labelled
    )
    paired = record.paired
    assert (paired.num_both, paired.num_model_only, paired.num_file_only, paired.num_neither) == (0, 30, 70, 0)
    assert (record.top1_model, record.top1_file, record.passed) == (0.3, 0.7, True)


def test_a_small_set_is_called_too_small(fp32, trained):
    images = np.concatenate([batch for batch, _ in trained.labelled()])[:50]
    path = fp32[1] / "tiny.onnx"
    answers = evaluate_file(path, [(images, np.zeros(50))], runtime="onnxruntime").predicted
    targets = answers.copy()
    targets[0] = (targets[0] + 1) % 10

    class Better(torch.nn.Module):
        def forward(self, x):
            logits = trained.model(x)
            first = (x == torch.from_numpy(images[0])).flatten(1).all(1)
            return torch.where(first[:, None], logits.roll(1, 1), logits)

    record = verify(
        path,
        Better(),
        runtime="onnxruntime",
        preprocessing=PREPROCESSING,
        precision="int8",
        labelled=partial(in_batches, images, targets),
    )
    assert record.fell_too_far
    assert record.reason == (
        "top-1 falls from 100.00% to 98.00% on the labelled images; accepted fall 1.00%; "
        "50 images are too few to be sure: the true fall may be as small as 0 points"
    )


def test_max_drop_is_the_border(fp32, trained):
    """Labels that the file misses on exactly 2 of 100 images and the model never."""
    images = np.concatenate([batch for batch, _ in trained.labelled()])[:100]
    other = copy.deepcopy(trained.model)
    answers = evaluate_file(fp32[1] / "tiny.onnx", [(images, np.zeros(100))], runtime="onnxruntime").predicted

    class Better(torch.nn.Module):
        def forward(self, x):
            logits = other(x)
            moved = torch.isin(x.sum((1, 2, 3)), sums)
            return torch.where(moved[:, None], logits.roll(1, 1), logits)

    sums = torch.from_numpy(images).sum((1, 2, 3))[:2]
    targets = answers.copy()
    targets[:2] = (targets[:2] + 1) % 10
    judge = partial(
        verify,
        fp32[1] / "tiny.onnx",
        Better(),
        runtime="onnxruntime",
        preprocessing=PREPROCESSING,
        precision="int8",
        labelled=partial(in_batches, images, targets),
    )
    assert judge(max_drop=0.02).passed
    assert not judge(max_drop=0.0199).passed
    assert not judge().passed


def test_empty_labelled_set_fails(fp32, trained):
    record = verify(
        fp32[1] / "tiny.onnx",
        trained.model,
        runtime="onnxruntime",
        preprocessing=PREPROCESSING,
        precision="int8",
        labelled=lambda: iter(()),
    )
    assert record.reason == "labelled images are needed to judge the file; the set is empty"


def images(num: int, *, size: int = 16, different: bool = True) -> np.ndarray:
    made = np.random.default_rng(0).standard_normal((num, 3, size, size)).astype(np.float32)
    return made if different else np.repeat(made[:1], num, axis=0)


def infinite() -> np.ndarray:
    made = images(40)
    made[3, 0, 0, 0] = np.inf
    return made


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (None, "at least 32 different real images to calibrate on; none were given"),
        (images(31), "at least 32 different real images to calibrate on; got 31"),
        (images(64, different=False), "at least 32 different real images to calibrate on; got 1"),
        (images(40, size=8), r"calibration images are float32 \(40, 3, 8, 8\); must be float32 \(N, 3, 16, 16\)"),
        (images(40).astype(np.float64), r"calibration images are float64"),
        (infinite(), "calibration images hold NaN or infinite values"),
    ],
)
def test_calibration_images_are_checked(given, message):
    with pytest.raises(InputError, match=message):
        check_calibration(given, in_chs=3, img_size=16)


def test_good_calibration_images_pass():
    check_calibration(images(32), in_chs=3, img_size=16)


def test_quantising_without_images_is_refused(fp32, tmp_path):
    with pytest.raises(InputError, match="none were given"):
        quantise_onnx(fp32[1] / "tiny.onnx", tmp_path / "out.onnx", calibration=None)
    assert list(tmp_path.iterdir()) == []


def test_the_file_is_what_onnx_runtimes_own_function_makes(fp32, trained, tmp_path):
    from onnxruntime.quantization import CalibrationMethod, QuantType, quant_pre_process, quantize_static

    np.save(tmp_path / "images.npy", trained.calibration)
    quantise_onnx(fp32[1] / "tiny.onnx", tmp_path / "ours.onnx", calibration=tmp_path / "images.npy")
    quant_pre_process(fp32[1] / "tiny.onnx", tmp_path / "prepared.onnx")
    quantize_static(
        tmp_path / "prepared.onnx",
        tmp_path / "theirs.onnx",
        Batches(trained.calibration, input_name="images", batch=8),
        per_channel=True,
        reduce_range=True,
        weight_type=QuantType.QInt8,
        activation_type=QuantType.QUInt8,
        calibrate_method=CalibrationMethod.Percentile,
        extra_options={"CalibPercentile": 99.999, "CalibStridedMinMax": 1},
    )
    ours, theirs = (onnx.load(tmp_path / name).graph for name in ("ours.onnx", "theirs.onnx"))
    assert [(node.op_type, *node.input) for node in ours.node] == [(node.op_type, *node.input) for node in theirs.node]
    held = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in ours.initializer}
    assert held.keys() == {tensor.name for tensor in theirs.initializer}
    for tensor in theirs.initializer:
        np.testing.assert_array_equal(held[tensor.name], onnx.numpy_helper.to_array(tensor))


def test_all_calibration_batches_are_handed_out_once():
    given = images(40)
    batches = Batches(given, input_name="images", batch=8)
    handed = []
    for start in range(len(batches)):
        batches.set_range(start, start + 1)
        while (batch := batches.get_next()) is not None:
            handed.append(batch["images"])
    np.testing.assert_array_equal(np.concatenate(handed), given)
