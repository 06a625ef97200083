"""Counting bare ONNX files: exactly, or not at all."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgewise.cost.onnx_work import onnx_work


def saved(path, nodes, weights, shape=("batch", 3, 8, 8), out=("batch", "c", "h", "w")):
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, list(shape))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, list(out))],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    return path


def zeros(*shape, kind=np.float32):
    return np.zeros(shape, kind)


def test_convolutions_count_by_hand(tmp_path):
    nodes = [
        helper.make_node("Conv", ["x", "full"], ["a"], pads=[1, 1, 1, 1], strides=[2, 2]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Conv", ["b", "depthwise"], ["y"], group=16, pads=[1, 1, 1, 1]),
    ]
    path = saved(tmp_path / "m.onnx", nodes, {"full": zeros(16, 3, 3, 3), "depthwise": zeros(16, 1, 3, 3)})
    for batch in (1, 5):
        found = onnx_work(path, (batch, 3, 8, 8))
        assert found.macs == batch * (16 * 4 * 4 * 27 + 16 * 4 * 4 * 9)
        assert found.weight_bytes == 4 * (16 * 27 + 16 * 9)
        assert found.io_bytes == 4 * batch * (3 * 8 * 8 + 16 * 4 * 4)


@pytest.mark.parametrize("turned", [0, 1])
def test_matrix_products_count_by_hand(tmp_path, turned):
    nodes = [
        helper.make_node("Gemm", ["x", "w"], ["a"], transA=turned, transB=1),
        helper.make_node("MatMul", ["a", "v"], ["y"]),
    ]
    shape, out = ((6, 5), (5, 2)) if turned else ((5, 6), (5, 2))
    path = saved(tmp_path / "m.onnx", nodes, {"w": zeros(7, 6), "v": zeros(7, 2)}, shape, out)
    assert onnx_work(path, shape).macs == 5 * 7 * 6 + 5 * 2 * 7


def test_transposed_convolutions_count_their_input(tmp_path):
    nodes = [helper.make_node("ConvTranspose", ["x", "w"], ["y"], strides=[2, 2])]
    path = saved(tmp_path / "m.onnx", nodes, {"w": zeros(3, 4, 2, 2)})
    assert onnx_work(path, (1, 3, 8, 8)).macs == 3 * 8 * 8 * 4 * 2 * 2


def test_int8_weights_are_a_byte_each(tmp_path):
    nodes = [
        helper.make_node("DequantizeLinear", ["w8", "scale"], ["w"]),
        helper.make_node("Conv", ["x", "w"], ["y"]),
    ]
    path = saved(tmp_path / "m.onnx", nodes, {"w8": zeros(16, 3, 1, 1, kind=np.int8), "scale": np.float32(1)})
    found = onnx_work(path, (1, 3, 8, 8))
    assert (found.macs, found.weight_bytes) == (16 * 3 * 64, 16 * 3 + 4)
    # nothing is quantised on the way: the weights are brought back and multiplied in float32
    assert found.precision == "fp32"


def test_a_file_that_quantises_multiplies_in_int8(tmp_path):
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "scale"], ["x8"]),
        helper.make_node("DequantizeLinear", ["x8", "scale"], ["xf"]),
        helper.make_node("Conv", ["xf", "w"], ["y"]),
    ]
    path = saved(tmp_path / "m.onnx", nodes, {"w": zeros(16, 3, 1, 1), "scale": np.float32(1)})
    assert onnx_work(path, (1, 3, 8, 8)).precision == "int8"


@pytest.mark.parametrize(("kind", "precision"), [(np.float32, "fp32"), (np.float16, "fp16"), (np.float64, None)])
def test_the_weights_tell_the_precision(tmp_path, kind, precision):
    nodes = [
        helper.make_node("Cast", ["x"], ["c"], to=helper.np_dtype_to_tensor_dtype(np.dtype(kind))),
        helper.make_node("Conv", ["c", "w"], ["z"]),
        helper.make_node("Cast", ["z"], ["y"], to=TensorProto.FLOAT),
    ]
    found = onnx_work(saved(tmp_path / "m.onnx", nodes, {"w": zeros(16, 3, 1, 1, kind=kind)}), (1, 3, 8, 8))
    assert (found and found.precision) == precision


@pytest.mark.parametrize(
    "node",
    [
        helper.make_node("Einsum", ["x", "w"], ["y"], equation="bchw,oc->bohw"),
        helper.make_node("Conv", ["x", "w"], ["y"], domain="com.example"),
    ],
)
def test_a_file_with_an_unknown_operator_is_not_counted(tmp_path, node):
    assert onnx_work(saved(tmp_path / "m.onnx", [node], {"w": zeros(16, 3)}), (1, 3, 8, 8)) is None


def test_a_file_with_sizes_that_cannot_be_told_is_not_counted(tmp_path):
    nodes = [helper.make_node("Reshape", ["x", "to"], ["r"]), helper.make_node("Conv", ["r", "w"], ["y"])]
    graph = saved(tmp_path / "m.onnx", nodes, {"w": zeros(16, 3, 1, 1)})
    model = onnx.load(graph)
    model.graph.input.append(helper.make_tensor_value_info("to", TensorProto.INT64, [4]))
    onnx.save(model, graph)
    assert onnx_work(graph, (1, 3, 8, 8)) is None
