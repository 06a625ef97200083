"""Wrong operators over right numbers: padding, strides, activations, gates, residuals, pooling, attention."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
from onnx import helper

from tests.seeded_bugs.bug import Bug, Seed
from tests.seeded_bugs.onnx_edit import OnnxFile, attributes, edited, put_attributes
from tests.seeded_bugs.weights import depthwise, grouped, head, stem


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
)
