import io
import json
import os
import pickle
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from edgewise.deploy.runtimes import sdk
from edgewise.deploy.runtimes.formats import format_of, model_bytes
from edgewise.deploy.runtimes.onnx_file import external_files, is_onnx
from edgewise.deploy.runtimes.protocol import RuntimeOptions
from edgewise.deploy.runtimes.pt2_file import check_pt2
from edgewise.deploy.runtimes.registry import RUNTIMES, availabilities, get_runtime, runtime_for
from edgewise.deploy.runtimes.sdk import Sdk, one_line
from edgewise.errors import InputError, MissingExtraError, UnknownNameError

OPTIONS = RuntimeOptions(threads=1)
X = np.random.default_rng(0).standard_normal((2, 3, 8, 8), dtype=np.float32)


class Tiny(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 4, 3, stride=2, padding=1)

    def forward(self, x):
        return self.conv(x).relu().mean((2, 3))


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return Tiny().eval()


@pytest.fixture(scope="module")
def pt2(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("pt2") / "tiny.pt2"
    dynamic = ({0: torch.export.Dim("batch"), 2: torch.export.Dim("height", min=4)},)
    torch.export.save(torch.export.export(model, (torch.from_numpy(X),), dynamic_shapes=dynamic), path)
    return path


@pytest.fixture
def onnx_model(model):
    weights = [
        numpy_helper.from_array(value.detach().numpy(), name)
        for name, value in (("w", model.conv.weight), ("b", model.conv.bias))
    ]
    nodes = [
        helper.make_node("Conv", ["x", "w", "b"], ["c"], strides=[2, 2], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("GlobalAveragePool", ["r"], ["g"]),
        helper.make_node("Flatten", ["g"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 3, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 4])],
        weights,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


@pytest.fixture
def onnx_file(onnx_model, tmp_path):
    path = tmp_path / "tiny.onnx"
    onnx.save(onnx_model, path)
    return path


def move_out(onnx_model, path, location):
    """Save with the weights in a file at ``location``, and say so in the model."""
    onnx.save(onnx_model, path, save_as_external_data=True, location="beside.bin", size_threshold=0)
    moved = onnx.load(path, load_external_data=False)
    for tensor in moved.graph.initializer:
        for entry in tensor.external_data:
            if entry.key == "location":
                entry.value = location
    path.write_bytes(moved.SerializeToString())
    return path


@pytest.mark.parametrize("name", ["onnx_file", "pt2"])
def test_each_runtime_answers_like_the_model(request, model, name):
    path = request.getfixturevalue(name)
    session = runtime_for(path).load(path, OPTIONS)
    (output,) = session.run([X])
    with torch.no_grad():
        expected = model(torch.from_numpy(X)).numpy()
    np.testing.assert_allclose(output, expected, atol=1e-5)
    session.close()


def test_sessions_describe_their_inputs(onnx_file, pt2):
    (first,) = get_runtime("onnxruntime").load(onnx_file, OPTIONS).inputs
    (second,) = get_runtime("torch").load(pt2, OPTIONS).inputs
    assert (first.name, first.shape, first.dtype) == ("x", (None, 3, 8, 8), "float32")
    assert (second.name, second.shape, second.dtype) == ("x", (None, 3, None, 8), "float32")


def test_threads_are_set_in_onnxruntime(onnx_file):
    session = get_runtime("onnxruntime").load(onnx_file, RuntimeOptions(threads=2))
    settings = session._session.get_session_options()
    assert (settings.intra_op_num_threads, settings.inter_op_num_threads) == (2, 1)
    assert settings.execution_mode.name == "ORT_SEQUENTIAL"


def test_torch_gives_the_number_of_threads_back(pt2):
    before = torch.get_num_threads()
    session = get_runtime("torch").load(pt2, RuntimeOptions(threads=before + 1))
    assert torch.get_num_threads() == before + 1
    session.close()
    assert torch.get_num_threads() == before
    with pytest.raises(RuntimeError, match="this session is closed"):
        session.run([X])


def test_names_are_those_of_the_table():
    assert set(RUNTIMES) == {"onnxruntime", "openvino", "litert", "executorch", "ncnn", "coreml", "torch"}
    assert all(runtime.name == name for name, runtime in RUNTIMES.items())
    with pytest.raises(UnknownNameError, match=r"^unknown runtime 'onnx-runtime'; did you mean 'onnxruntime'"):
        get_runtime("onnx-runtime")


def test_availability_tells_versions_and_what_to_install():
    found = availabilities()
    assert all(one.version for one in found.values())
    assert [name for name, one in found.items() if not one.ok] == ([] if sys.platform == "darwin" else ["coreml"])
    assert found["coreml"].ok or found["coreml"].reason == "runs on macOS alone; packages are made here, not run"
    absent = Sdk(package="no-such-sdk", module="no_such_sdk", install="'edgewise[no]'")
    assert absent.availability().reason == "no-such-sdk is not installed: pip install 'edgewise[no]'"
    with pytest.raises(
        MissingExtraError, match=r"^no-such-sdk cannot be imported \(No module named 'no_such_sdk'\): pip"
    ):
        absent.require()


def test_the_registry_imports_no_sdk():
    code = (
        "import sys, edgewise.deploy.runtimes.registry as registry; registry.availabilities()\n"
        "print({'torch', 'onnxruntime', 'onnx', 'openvino', 'ai_edge_litert', 'executorch', 'ncnn', 'coremltools'} & set(sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout.strip() == b"set()"


def test_an_sdk_text_becomes_one_short_line():
    assert one_line(ValueError("a\n  b\tc")) == "a b c"
    assert one_line(ValueError()) == "ValueError"
    assert len(one_line(ValueError("x" * 999))) == 200
    assert sdk.one_line(ValueError("x" * 200)) == "x" * 200


def test_the_format_is_told_by_content(onnx_file, pt2, tmp_path):
    disguised = tmp_path / "model.onnx.txt"
    shutil.copy(pt2, disguised)
    assert (format_of(onnx_file), format_of(disguised)) == ("onnx", "pt2")
    assert runtime_for(disguised).name == "torch"


@pytest.mark.parametrize(
    "content",
    [b"", b"hello, I am no model", b"\x00" * 64, pickle.dumps({"w": 1}), b"\x08\x07", b"PK\x03\x04"],
)
def test_other_files_are_refused_by_content(tmp_path, content):
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    for load in (runtime_for, lambda p: get_runtime("onnxruntime").load(p, OPTIONS)):
        with pytest.raises(
            InputError, match=r"model\.onnx' is no model file by its content; accepted: \.onnx, \.pt2, \.tflite, "
        ):
            load(path)


def test_missing_files_folders_and_wrong_runtimes_are_refused(tmp_path, onnx_file, pt2):
    with pytest.raises(InputError, match=r"nix\.onnx' cannot be read: No such file or directory$"):
        runtime_for(tmp_path / "nix.onnx")
    with pytest.raises(InputError, match=r"is a folder; give a model file \(\.onnx, \.pt2, \.tflite, "):
        runtime_for(tmp_path)
    with pytest.raises(InputError, match=r"is a \.onnx file; torch runs \.pt2$"):
        get_runtime("torch").load(onnx_file, OPTIONS)
    with pytest.raises(InputError, match=r"is a \.pt2 file; onnxruntime runs \.onnx$"):
        get_runtime("onnxruntime").load(pt2, OPTIONS)


def test_cut_files_are_refused_in_one_line(onnx_file, pt2, tmp_path):
    for source, runtime in ((onnx_file, "onnxruntime"), (pt2, "torch")):
        content = source.read_bytes()
        for size in range(1, len(content), max(1, len(content) // 12)):
            path = tmp_path / "cut"
            path.write_bytes(content[:size])
            with pytest.raises(InputError) as caught:
                get_runtime(runtime).load(path, OPTIONS)
            assert "cut'" in str(caught.value)
            assert "\n" not in str(caught.value)


def test_an_onnx_file_that_the_runtime_refuses_is_an_input_error(onnx_file):
    onnx_file.write_bytes(onnx_file.read_bytes().replace(b"Relu", b"Rolu"))
    with pytest.raises(InputError, match=r"tiny\.onnx' cannot be loaded by ONNX Runtime: .*Rolu") as caught:
        get_runtime("onnxruntime").load(onnx_file, OPTIONS)
    assert "\n" not in str(caught.value)


def test_weights_beside_the_file_are_loaded_and_counted(onnx_model, onnx_file, tmp_path):
    (tmp_path / "out").mkdir()
    path = move_out(onnx_model, tmp_path / "out" / "m.onnx", "beside.bin")
    assert [file.name for file in external_files(path)] == ["beside.bin"]
    assert model_bytes(path) == path.stat().st_size + path.with_name("beside.bin").stat().st_size
    assert model_bytes(onnx_file) == onnx_file.stat().st_size
    outputs = [get_runtime("onnxruntime").load(file, OPTIONS).run([X])[0] for file in (path, onnx_file)]
    assert np.array_equal(*outputs)


@pytest.mark.parametrize(
    "location", ["../secret.bin", "/etc/passwd", "sub/../../secret.bin", "C:\\secret.bin", "..\\s.bin", "link.bin"]
)
def test_weights_outside_the_folder_are_refused(onnx_model, tmp_path, location):
    (tmp_path / "secret.bin").write_bytes(bytes(4096))
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "sub").mkdir()
    (folder / "link.bin").symlink_to(tmp_path / "secret.bin")
    path = move_out(onnx_model, folder / "m.onnx", location)
    with pytest.raises(InputError, match=r"m\.onnx' keeps tensors in '.*', outside its own folder; refused$"):
        get_runtime("onnxruntime").load(path, OPTIONS)


def test_missing_weights_beside_the_file_are_named(onnx_model, tmp_path):
    path = move_out(onnx_model, tmp_path / "m.onnx", "gone.bin")
    with pytest.raises(InputError, match=r"m\.onnx' keeps tensors in 'gone\.bin', which is missing beside it$"):
        get_runtime("onnxruntime").load(path, OPTIONS)


def test_weights_outside_are_found_in_inner_graphs_and_attributes(onnx_model, tmp_path):
    tensor = TensorProto(name="t", data_type=TensorProto.FLOAT, dims=[1], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="../../x.bin")
    constant = helper.make_node("Constant", [], ["k"], value=tensor)
    inner = helper.make_graph([constant], "inner", [], [helper.make_tensor_value_info("k", TensorProto.FLOAT, [1])])
    onnx_model.graph.node.append(helper.make_node("If", ["x"], ["z"], then_branch=inner, else_branch=inner))
    path = tmp_path / "m.onnx"
    path.write_bytes(onnx_model.SerializeToString())
    with pytest.raises(InputError, match=r"keeps tensors in '\.\./\.\./x\.bin', outside its own folder"):
        external_files(path)


def test_graphs_nested_without_end_are_refused(tmp_path):
    def field(number, content):
        size, head = len(content), bytearray([*_varint(number << 3 | 2)])
        return bytes(head) + _varint(size) + content

    graph = b""
    for _ in range(200):
        graph = field(1, field(5, field(6, graph)))
    path = tmp_path / "deep.onnx"
    path.write_bytes(field(8, b"") + field(7, graph))
    assert is_onnx(path)
    with pytest.raises(InputError, match="is a damaged ONNX file: its graphs are nested too deep"):
        external_files(path)


def _varint(value):
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def rewrite(source, target, change):
    """Copy an archive; ``change(inner name, content)`` gives the new content."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            new.writestr(name, change(name.partition("/")[2], old.read(name)))
    return target


class Bomb:
    def __reduce__(self):
        return (Path.touch, (Path(os.environ["BOMB"]),))


def pickled():
    buffer = io.BytesIO()
    torch.save((Bomb(),), buffer)
    return buffer.getvalue()


def edit(inner, change):
    def apply(name, content):
        if name != inner:
            return content
        document = json.loads(content)
        change(document)
        return json.dumps(document).encode()

    return apply


def first_weight(document):
    next(iter(document["config"].values()))["use_pickle"] = True


def first_target(document):
    document["graph_module"]["graph"]["nodes"][0]["target"] = "torch.serialization.os.system"


def first_size(document):
    def walk(node):
        if isinstance(node, dict) and "expr_str" in node:
            node["expr_str"] = "exec(chr(49))"
        for value in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
            walk(value)

    walk(document)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (
            lambda n, c: pickled() if n.startswith("data/sample_inputs/") else c,
            "sample inputs that are not plain tensors",
        ),
        (edit("data/weights/model_weights_config.json", first_weight), "a pickled tensor"),
        (edit("models/model.json", first_target), "the foreign operator 'torch.serialization.os.system'"),
        (edit("models/model.json", first_size), r"the foreign size expression 'exec\(chr\(49\)\)'"),
    ],
)
def test_a_pt2_that_could_run_code_is_refused(pt2, tmp_path, monkeypatch, change, text):
    monkeypatch.setenv("BOMB", str(tmp_path / "exploded"))
    path = rewrite(pt2, tmp_path / "bad.pt2", change)
    with pytest.raises(InputError, match=rf"bad\.pt2' holds {text}; only plain exported programs are loaded$"):
        get_runtime("torch").load(path, OPTIONS)
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize(
    ("name", "text"),
    [("data/constants/custom_obj_0", "a pickled object"), ("data/aotinductor/model/x.so", "a compiled library")],
)
def test_a_pt2_with_foreign_parts_is_refused(pt2, tmp_path, name, text):
    path = tmp_path / "bad.pt2"
    shutil.copy(pt2, path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(f"tiny/{name}", b"x")
    with pytest.raises(InputError, match=f"holds {text}; only plain"):
        check_pt2(path)


def test_a_pt2_with_a_flipped_bit_is_refused(pt2, tmp_path):
    content = bytearray(pt2.read_bytes())
    content[content.index(b'"graph_module"') + 3] ^= 1
    path = tmp_path / "bad.pt2"
    path.write_bytes(content)
    with pytest.raises(
        InputError, match=r"bad\.pt2' is a damaged \.pt2 file \(tiny/models/model\.json\); export it again$"
    ):
        check_pt2(path)
