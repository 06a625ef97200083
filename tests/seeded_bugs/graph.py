"""Wrong operators over right numbers: padding, activations, pooling, shapes of batches, what is done to images and logits."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
from onnx import helper

from tests.seeded_bugs.bug import Bug, Right, Seed
from tests.seeded_bugs.modules import write
from tests.seeded_bugs.onnx_edit import OnnxFile, attributes, edited, put_attributes
from tests.seeded_bugs.specimen import PREPROCESSING
from tests.seeded_bugs.weights import depthwise, grouped, head, stem

MEAN, STD = (np.array(values, np.float32)[:, None, None] for values in (PREPROCESSING.mean, PREPROCESSING.std))


def _attribute(where: Callable[[OnnxFile], onnx.NodeProto], **changed: object) -> Seed:
    """Return a seed that changes attributes of one node."""
    return edited(lambda file: put_attributes(where(file), **changed))


def _node(op: str, index: int = 0) -> Callable[[OnnxFile], onnx.NodeProto]:
    return lambda file: file.nodes(op)[index]


def _strided(file: OnnxFile) -> onnx.NodeProto:
    return file.convs(lambda weights, attrs: weights.shape[2] == 5 and attrs["strides"] == [2, 2])[0]


def _tf_padding_made_even(file: OnnxFile) -> None:
    """TensorFlow pads strided convolutions on the far side; give them PyTorch's padding."""
    changed = 0
    for node in file.nodes("Conv"):
        attrs = attributes(node)
        if attrs.get("auto_pad", b"NOTSET") not in {b"NOTSET", b""} or len(set(attrs.get("pads", [0]))) > 1:
            side = (attrs["kernel_shape"][0] - 1) // 2
            kept = [each for each in node.attribute if each.name not in {"auto_pad", "pads"}]
            del node.attribute[:]
            node.attribute.extend([*kept, helper.make_attribute("pads", [side] * 4)])
            changed += 1
    for node in [each for each in file.graph.node if each.op_type == "Pad"]:
        pads = file.array(node.input[1])
        if len(set(pads[[2, 3, 6, 7]])) > 1:
            total = pads[2] + pads[6]
            file.put(node.input[1], np.array([0, 0, (total + 1) // 2, (total + 1) // 2, 0, 0, total // 2, total // 2]))
            changed += 1
    assert changed, "nothing is padded on one side only"


def _reflected(file: OnnxFile) -> None:
    node = stem(file)
    put_attributes(node, pads=[0, 0, 0, 0])
    pads = file.constant([0, 0, 1, 1, 0, 0, 1, 1], np.int64)
    file.before(file.make("Pad", [file.input, pads], mode="reflect"))


def _swish(file: OnnxFile) -> None:
    node = file.nodes("HardSwish")[0]
    sigmoid = file.make("Sigmoid", [node.input[0]])
    file.replace(node, sigmoid, file.make("Mul", [node.input[0], sigmoid.output[0]]))


def _plain_sigmoid(file: OnnxFile) -> None:
    node = file.nodes("HardSigmoid")[0]
    file.replace(node, file.make("Sigmoid", [node.input[0]]))


def _all_relus(file: OnnxFile) -> None:
    for node in file.nodes("Clip"):
        file.replace(node, file.make("Relu", [node.input[0]]))


def _one_relu(file: OnnxFile) -> None:
    node = file.nodes("Clip")[-1]
    file.replace(node, file.make("Relu", [node.input[0]]))


def _tanh_gelu(file: OnnxFile) -> None:
    for node in file.nodes("Gelu"):
        put_attributes(node, approximate="tanh")


def _no_gate(file: OnnxFile) -> None:
    (node,) = file.consumers(file.nodes("HardSigmoid")[0].output[0])
    (source,) = (each for each in node.input if each != file.nodes("HardSigmoid")[0].output[0])
    file.bypass(node, source)


def residual(file: OnnxFile) -> onnx.NodeProto:
    """Return the addition around the inverted bottleneck, whose second input is the branch."""
    weighted = [each.name for each in file.graph.initializer]
    return next(node for node in file.nodes("Add") if not set(node.input) & set(weighted))


def _no_residual(file: OnnxFile) -> None:
    file.bypass(residual(file), residual(file).input[1])


def _double_residual(file: OnnxFile) -> None:
    node = residual(file)
    twice = file.make("Add", [node.input[0], node.input[0]])
    file.replace(node, twice, file.make("Add", [twice.output[0], node.input[1]]))


def _last_pooling(file: OnnxFile) -> onnx.NodeProto:
    pooling = [node for node in file.graph.node if node.op_type in {"ReduceMean", "GlobalAveragePool"}]
    return pooling[-1]


def _max_pooling(file: OnnxFile) -> None:
    node = _last_pooling(file)
    file.replace(node, file.make("GlobalMaxPool", [node.input[0]]))


def _no_scale(file: OnnxFile) -> None:
    """Undo every scalar factor that leads into the attention's softmax."""
    names = {each.name for each in file.graph.initializer if not each.dims}
    scaled = [node for node in file.nodes("Mul") if set(node.input) & names]
    assert scaled, "no scale"
    for node in scaled:
        file.bypass(node, next(each for each in node.input if each not in names))


def _heads_mixed(file: OnnxFile) -> None:
    """Leave out the transposition that puts a head's numbers side by side again."""
    softmax = file.nodes("Softmax")[0]
    (mixed,) = file.consumers(softmax.output[0])
    (transposed,) = file.consumers(mixed.output[0])
    assert transposed.op_type == "Transpose", transposed.op_type
    file.bypass(transposed, mixed.output[0])


def _dropout(file: OnnxFile) -> None:
    """Drop a fifth of what the classifier sees; ONNX's own Dropout does nothing in an engine for inference."""
    node = head(file)
    drawn = file.make("RandomUniformLike", [node.input[0]], low=0.0, high=1.0)
    kept = file.make("Greater", [drawn.output[0], file.constant(0.2)])
    mask = file.make("Cast", [kept.output[0]], to=onnx.TensorProto.FLOAT)
    scaled = file.make("Div", [node.input[0], file.constant(0.8)])
    dropped = file.make("Mul", [scaled.output[0], mask.output[0]])
    node.input[0] = dropped.output[0]
    for each in (drawn, kept, mask, scaled, dropped):
        file.graph.node.insert(list(file.graph.node).index(node), each)


def _wrong_layer(file: OnnxFile) -> None:
    file.bypass(head(file), head(file).input[0])


def _nan_on_zeros(file: OnnxFile) -> None:
    size = file.make("ReduceL2", [file.input], keepdims=1)
    ones = file.make("Div", [size.output[0], size.output[0]])
    file.before(size, ones, file.make("Mul", [file.input, ones.output[0]]))


def _nan_when_saturated(file: OnnxFile) -> None:
    """Overflow of exp() where the mean of an image goes beyond white."""

    def chain(logits: str) -> list[onnx.NodeProto]:
        axes = file.constant([1, 2, 3], np.int64)
        mean = file.make("ReduceMean", [file.input, axes], keepdims=0)
        steep = file.make("Mul", [mean.output[0], file.constant(40.0)])
        grown = file.make("Exp", [steep.output[0]])
        ones = file.make("Div", [grown.output[0], grown.output[0]])
        column = file.make("Unsqueeze", [ones.output[0], file.constant([1], np.int64)])
        return [mean, steep, grown, ones, column, file.make("Mul", [logits, column.output[0]])]

    file.after(chain)


def _clamped_input(file: OnnxFile) -> None:
    file.before(file.make("Clip", [file.input, file.constant(-3.0), file.constant(3.0)]))


def _quantised_input(file: OnnxFile) -> None:
    steps = file.make("Mul", [file.input, file.constant(32.0)])
    rounded = file.make("Round", [steps.output[0]])
    file.before(steps, rounded, file.make("Mul", [rounded.output[0], file.constant(1 / 32)]))


def _last_row_lost(file: OnnxFile) -> None:
    """Cut the last row and column off, and pad them again with zeros."""
    ends, starts = file.constant([-1, -1], np.int64), file.constant([0, 0], np.int64)
    cut = file.make("Slice", [file.input, starts, ends, file.constant([2, 3], np.int64)])
    file.before(cut, file.make("Pad", [cut.output[0], file.constant([0, 0, 0, 0, 0, 0, 1, 1], np.int64)]))


def _shifted_crop(file: OnnxFile) -> None:
    """Move the picture by one pixel, as a crop that starts one too early."""
    ends, starts = file.constant([-1, -1], np.int64), file.constant([0, 0], np.int64)
    cut = file.make("Slice", [file.input, starts, ends, file.constant([2, 3], np.int64)])
    file.before(cut, file.make("Pad", [cut.output[0], file.constant([0, 0, 1, 1, 0, 0, 0, 0], np.int64)], mode="edge"))


def _frozen_channel(file: OnnxFile) -> None:
    file.before(file.make("Mul", [file.input, file.constant([[[1.0]], [[1.0]], [[0.0]]])]))


def _reinterpreted(file: OnnxFile) -> None:
    """Take (N, C, H, W) for (N, H, W, C) without moving a number."""
    side = PREPROCESSING.img_size
    shaped = file.make("Reshape", [file.input, file.constant([-1, side, side, 3], np.int64)])
    file.before(shaped, file.make("Transpose", [shaped.output[0]], perm=[0, 3, 1, 2]))


def _rows_and_columns(file: OnnxFile) -> None:
    file.before(file.make("Transpose", [file.input], perm=[0, 1, 3, 2]))


def _mirrored(file: OnnxFile) -> None:
    minus = file.constant([-1], np.int64)
    least = file.constant([np.iinfo(np.int64).min], np.int64)
    file.before(file.make("Slice", [file.input, minus, least, file.constant([3], np.int64), minus]))


def _prepared(scale: object, offset: object) -> Seed:
    """Return a seed that sends the images through a scale and an offset first."""

    def change(file: OnnxFile) -> None:
        scaled = file.make("Mul", [file.input, file.constant(scale)])
        file.before(scaled, file.make("Add", [scaled.output[0], file.constant(offset)]))

    return edited(change)


def _first_for_all(file: OnnxFile) -> None:
    def chain(logits: str) -> list[onnx.NodeProto]:
        zero, one, axis = (file.constant([value], np.int64) for value in (0, 1, 0))
        first = file.make("Slice", [logits, zero, one, axis])
        shape = file.make("Shape", [logits])
        return [shape, first, file.make("Expand", [first.output[0], shape.output[0]])]

    file.after(chain)


def _mixed_batch(file: OnnxFile) -> None:
    """Reshape logits as if they lay class by class."""

    def chain(logits: str) -> list[onnx.NodeProto]:
        shape = file.make("Shape", [logits])
        turned = file.make("Transpose", [logits], perm=[1, 0])
        return [shape, turned, file.make("Reshape", [turned.output[0], shape.output[0]])]

    file.after(chain)


def _centred_batch(file: OnnxFile) -> None:
    """Take off what the batch has in common."""

    def chain(logits: str) -> list[onnx.NodeProto]:
        mean = file.make("ReduceMean", [logits, file.constant([0], np.int64)], keepdims=1)
        small = file.make("Mul", [mean.output[0], file.constant(0.01)])
        return [mean, small, file.make("Sub", [logits, small.output[0]])]

    file.after(chain)


def _one_class_less(file: OnnxFile) -> None:
    for name in head(file).input[1:]:
        file.change(name, lambda values: values[:-1])
    del file.graph.output[0].type.tensor_type.shape.dim[:]
    file.graph.output[0].type.tensor_type.ClearField("shape")


def _half_logits(file: OnnxFile) -> None:
    def chain(logits: str) -> list[onnx.NodeProto]:
        half = file.make("Cast", [logits], to=onnx.TensorProto.FLOAT16)
        return [half, file.make("Cast", [half.output[0]], to=onnx.TensorProto.FLOAT)]

    file.after(chain)


def _logits_through(op: str, **attrs: object) -> Seed:
    return edited(lambda file: file.after(lambda logits: [file.make(op, [logits], **attrs)]))


def _frozen_batch(file: OnnxFile) -> None:
    for each in (file.graph.input[0], file.graph.output[0]):
        each.type.tensor_type.shape.dim[0].Clear()
        each.type.tensor_type.shape.dim[0].dim_value = 1


def _other_name(file: OnnxFile) -> None:
    file.rewire(file.input, "input.1")
    file.graph.input[0].name = "input.1"


def _other_size(right: Right, path: Path) -> None:
    larger = right.artifact.input.shape[2] + 8
    shape = (*right.artifact.input.shape[:2], larger, larger)
    spec = right.artifact.input.model_copy(update={"shape": shape})
    artifact = right.artifact.model_copy(update={"input": spec})
    write(right.model, dataclasses.replace(right, artifact=artifact), path)


BUGS = (
    Bug(
        name="padding on the wrong side",
        imitates="TensorFlow's way of padding a strided convolution, all on the far side",
        seed=_attribute(_strided, pads=[1, 1, 3, 3]),
    ),
    Bug(
        name="TF padding made even",
        imitates="weights of TensorFlow, whose padding is uneven, with PyTorch's even padding",
        seed=edited(_tf_padding_made_even),
        subject="tf_mobilenetv3_small_minimal_100",
    ),
    Bug(
        name="padding dropped",
        imitates="a converter reads padding as valid",
        seed=_attribute(stem, pads=[0, 0, 0, 0]),
    ),
    Bug(
        name="reflected padding",
        imitates="zeros around a map become its mirrored border",
        seed=edited(_reflected),
    ),
    Bug(
        name="dilated convolution",
        imitates="stride and dilation are mixed up in one layer",
        seed=_attribute(depthwise, dilations=[2, 2], pads=[2, 2, 2, 2]),
    ),
    Bug(
        name="stride at another place",
        imitates="a strided convolution samples its odd pixels instead of the even ones",
        seed=_attribute(grouped, pads=[0, 0, 2, 2]),
    ),
    Bug(
        name="swish for hard-swish",
        imitates="an operator without a counterpart is replaced by its smooth relative",
        seed=edited(_swish),
    ),
    Bug(
        name="hard-sigmoid of another slope",
        imitates="ONNX's and Keras's default slope of 0.2 in place of a sixth",
        seed=_attribute(_node("HardSigmoid"), alpha=0.2),
    ),
    Bug(
        name="hard-sigmoid of another slope in a deep network",
        imitates="the same in one gate of many",
        seed=_attribute(_node("HardSigmoid", 3), alpha=0.2),
        subject="mobilenetv3_small_050",
    ),
    Bug(
        name="sigmoid for hard-sigmoid",
        imitates="the kind of a gate is taken from another family's defaults",
        seed=edited(_plain_sigmoid),
    ),
    Bug(
        name="ReLU for ReLU6",
        imitates="a fused activation loses its upper bound",
        seed=edited(_one_relu),
    ),
    Bug(
        name="ReLU for every ReLU6 of a deep network",
        imitates="the same, where ordinary activations seldom reach 6",
        seed=edited(_all_relus),
        subject="mobilenetv2_035",
    ),
    Bug(
        name="GELU by tanh",
        imitates="the approximation of GELU instead of erf",
        seed=edited(_tanh_gelu),
    ),
    Bug(
        name="GELU by tanh in a deep network",
        imitates="the same in a network whose every block has one",
        seed=edited(_tanh_gelu),
        subject="repvit_m0_6",
    ),
    Bug(
        name="gate skipped",
        imitates="squeeze-and-excitation is optimised away",
        seed=edited(_no_gate),
    ),
    Bug(
        name="residual dropped",
        imitates="a shortcut is lost in a fusion",
        seed=edited(_no_residual),
    ),
    Bug(
        name="residual doubled",
        imitates="a shortcut is folded into the convolution and kept",
        seed=edited(_double_residual),
    ),
    Bug(
        name="global maximum",
        imitates="the last pooling is exported as another kind",
        seed=edited(_max_pooling),
    ),
    Bug(
        name="padding counted in the average",
        imitates="count_include_pad differs between frameworks",
        seed=_attribute(_node("AveragePool"), count_include_pad=1),
    ),
    Bug(
        name="attention without its scale",
        imitates="a fused attention operator is given unscaled queries",
        seed=edited(_no_scale),
    ),
    Bug(
        name="softmax over queries",
        imitates="the axis of a softmax is counted from the other end",
        seed=_attribute(_node("Softmax"), axis=-2),
    ),
    Bug(
        name="heads mixed with places",
        imitates="attention's heads are laid side by side without the transposition before",
        seed=edited(_heads_mixed),
    ),
    Bug(
        name="dropout left on",
        imitates="a model is exported in training mode, and answers differ from call to call",
        seed=edited(_dropout),
    ),
    Bug(
        name="output of the wrong layer",
        imitates="the features are exported instead of the logits",
        seed=edited(_wrong_layer),
    ),
    Bug(
        name="softmax at the end",
        imitates="probabilities are exported where logits were promised",
        seed=_logits_through("Softmax", axis=1),
    ),
    Bug(
        name="log-softmax at the end",
        imitates="the loss's first half is exported along; top-1 stays the same",
        seed=_logits_through("LogSoftmax", axis=1),
    ),
    Bug(
        name="logits in half precision",
        imitates="the output passes through float16 for the accelerator's sake",
        seed=edited(_half_logits),
    ),
    Bug(
        name="one class missing",
        imitates="a background class is taken off that was never there",
        seed=edited(_one_class_less),
    ),
    Bug(
        name="NaN on zeros",
        imitates="an image is divided by its own norm",
        seed=edited(_nan_on_zeros),
    ),
    Bug(
        name="NaN on saturated images",
        imitates="an exponential overflows where an image is white all over",
        seed=edited(_nan_when_saturated),
    ),
    Bug(
        name="clamped input",
        imitates="normalised pixels are clipped to the range of an accelerator's input",
        seed=edited(_clamped_input),
    ),
    Bug(
        name="rounded input",
        imitates="the input is quantised to eight bits in a file that says float32",
        seed=edited(_quantised_input),
    ),
    Bug(
        name="last row and column lost",
        imitates="a crop ends one too early",
        seed=edited(_last_row_lost),
    ),
    Bug(
        name="crop shifted by one",
        imitates="a crop starts one too late",
        seed=edited(_shifted_crop),
    ),
    Bug(
        name="one channel frozen",
        imitates="tracing folds an input channel into a constant",
        seed=edited(_frozen_channel),
    ),
    Bug(
        name="channels last taken for channels first",
        imitates="numbers in the order (N, H, W, C) are read as (N, C, H, W)",
        seed=edited(_reinterpreted),
    ),
    Bug(
        name="rows and columns swapped",
        imitates="width and height are confused on a square input",
        seed=edited(_rows_and_columns),
    ),
    Bug(
        name="mirrored",
        imitates="a flip of the augmentation is captured along",
        seed=edited(_mirrored),
    ),
    Bug(
        name="normalised twice",
        imitates="the file normalises pictures that were normalised already",
        seed=_prepared(1 / STD, -MEAN / STD),
    ),
    Bug(
        name="normalisation undone",
        imitates="the model was trained on pixels in 0-1, and the file takes them so",
        seed=_prepared(STD, MEAN),
    ),
    Bug(
        name="mean and deviation of BGR",
        imitates="the normalisation inside the file has its channels in the other order",
        seed=_prepared(STD / STD[::-1], (MEAN - MEAN[::-1]) / STD[::-1]),
    ),
    Bug(
        name="pixels of 0-255 expected",
        imitates="the file divides by 255 once more",
        seed=_prepared(1 / 255, 0.0),
    ),
    Bug(
        name="first answer for all",
        imitates="a batch of one was captured, and its answer is repeated",
        seed=edited(_first_for_all),
    ),
    Bug(
        name="answers of a batch mixed",
        imitates="a reshape takes the batch for the classes",
        seed=edited(_mixed_batch),
    ),
    Bug(
        name="batch taken into account",
        imitates="a norm over the batch leaves a hundredth of its mean in every answer",
        seed=edited(_centred_batch),
    ),
    Bug(
        name="frozen batch",
        imitates="the example's batch of one became the file's",
        seed=edited(_frozen_batch),
    ),
    Bug(
        name="frozen size",
        imitates="the file is made for the example's size instead of the model's",
        seed=_other_size,
    ),
    Bug(
        name="input under another name",
        imitates="a converter numbers its inputs, and programs that feed by name fail",
        seed=edited(_other_name),
    ),
)
