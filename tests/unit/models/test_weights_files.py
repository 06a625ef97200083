"""Files that must be refused by content, whatever their name; nothing in them may run."""

import io
import json
import os
import pickle
import struct
import sys
import tarfile
import time
import zipfile

import pytest
import torch
from safetensors.torch import save
from torch import nn

from edgewise.errors import WeightsError
from edgewise.models import regular_file, safetensors_format
from edgewise.models.weights import load_weights


def model() -> nn.Module:
    torch.manual_seed(0)
    whole = nn.Module()
    whole.stem = nn.Conv2d(3, 4, 3)
    whole.norm = nn.BatchNorm2d(4)
    whole.classifier = nn.Linear(4, 5)
    return whole


def refused(path, **options) -> str:
    target = model()
    before = {name: value.clone() for name, value in target.state_dict().items()}
    start = time.monotonic()
    with pytest.raises(WeightsError) as caught:
        load_weights(target, path, **options)
    assert time.monotonic() - start < 3
    assert all(torch.equal(value, before[name]) for name, value in target.state_dict().items())
    text = str(caught.value)
    assert text.startswith(f"'{path}'")
    assert "\n" not in text
    return text


def write(path, content: bytes):
    path.write_bytes(content)
    return path


class Payload:
    """Unpickling it would make a file."""

    def __init__(self, sentinel):
        self.sentinel = sentinel

    def __reduce__(self):
        return os.mkdir, (str(self.sentinel),)


def legacy(content) -> bytes:
    stream = io.BytesIO()
    torch.save(content, stream, _use_new_zipfile_serialization=False)
    return stream.getvalue()


def zipped(content) -> bytes:
    stream = io.BytesIO()
    torch.save(content, stream)
    return stream.getvalue()


def hidden_in_storage(sentinel) -> bytes:
    evil = pickle.dumps(Payload(sentinel))
    return zipped({"a": torch.frombuffer(bytearray(evil), dtype=torch.uint8)})


MAKERS = {
    **{f"pickle protocol {p}": lambda evil, p=p: pickle.dumps({"a": evil}, protocol=p) for p in range(6)},
    "bare pickle": pickle.dumps,
    "torch zip": lambda evil: zipped({"state_dict": evil}),
    "torch legacy": lambda evil: legacy({"state_dict": evil}),
}


@pytest.mark.parametrize("name", ["evil.pkl", "evil.pth", "evil.safetensors", "evil.onnx", "evil"])
@pytest.mark.parametrize("maker", MAKERS)
def test_a_pickle_with_code_is_refused_and_never_run(tmp_path, maker, name):
    sentinel = tmp_path / "sentinel"
    content = MAKERS[maker](Payload(sentinel))
    text = refused(write(tmp_path / name, content))
    assert "holds a pickle that is not plain tensors; refused, nothing was run" in text
    assert not sentinel.exists()
    if maker == "bare pickle":
        pickle.loads(content)
        assert sentinel.exists(), "the payload works where pickle is let loose"


def test_a_payload_hidden_in_a_storage_is_only_numbers(tmp_path):
    sentinel = tmp_path / "sentinel"
    assert "is of another model: it holds 'a'" in refused(write(tmp_path / "a.pth", hidden_in_storage(sentinel)))
    assert not sentinel.exists()


def test_a_pickle_that_names_a_missing_module_is_refused(tmp_path):
    text = refused(write(tmp_path / "a.pkl", b"cno_such_module_xyz\nThing\n."))
    assert "holds a pickle that is not plain tensors" in text
    assert "no_such_module_xyz" not in sys.modules


def test_torchscript_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "script.pt", "w") as archive:
        for name in ("data.pkl", "constants.pkl", "code/__torch__.py", "version"):
            archive.writestr(f"script/{name}", b"3")
    assert "is a TorchScript archive, which holds code; refused" in refused(tmp_path / "script.pt")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_entries_of_one_name_are_refused(tmp_path):
    path = write(tmp_path / "a.pth", zipped(model().state_dict()))
    with zipfile.ZipFile(path, "a") as archive:
        name = next(name for name in archive.namelist() if name.endswith("data.pkl"))
        archive.writestr(name, pickle.dumps({}))
    assert "holds 2 entries of one name, " in refused(path)


def test_compressed_and_foreign_archives_are_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "bomb.pth", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/data.pkl", bytes(10_000_000))
    assert "holds compressed entries" in refused(tmp_path / "bomb.pth")
    with zipfile.ZipFile(tmp_path / "net.keras", "w") as archive:
        archive.writestr("config.json", "{}")
    assert "is a zip archive, but not one of torch's" in refused(tmp_path / "net.keras")


def test_a_tar_style_checkpoint_is_refused(tmp_path):
    sentinel = tmp_path / "sentinel"
    evil = pickle.dumps(Payload(sentinel))
    with tarfile.open(tmp_path / "old.pth", "w") as archive:
        for name in ("sys_info", "pickle", "storages", "tensors"):
            member = tarfile.TarInfo(name)
            member.size = len(evil)
            archive.addfile(member, io.BytesIO(evil))
    assert "is a tar archive" in refused(tmp_path / "old.pth")
    assert not sentinel.exists()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty; accepted: safetensors, or a torch file of plain tensors"),
        (b"\x89HDF\r\n\x1a\n" + bytes(100), "is an HDF5 (Keras) file"),
        (b"\x08\x0a\x12\x07pytorch" + bytes(50), "is an ONNX file"),
        (b"\x1c\0\0\0TFL3" + bytes(50), "is a LiteRT (TFLite) file"),
        (b"\x93NUMPY\x01\0" + bytes(50), "is a NumPy array"),
        (b"<!DOCTYPE html><html>", "is a web page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "is a Git LFS pointer"),
        (b"\xff\xd8\xff\xe0" + bytes(50), "is no weights file, or a damaged one: it begins with ff d8 ff e0"),
        (b"\0", "is no weights file"),
        (b"PK\x05\x06" + bytes(18), "is a zip archive, but not one of torch's"),
    ],
    ids=lambda value: value if isinstance(value, str) else "file",
)
def test_other_formats_are_named(tmp_path, content, reason):
    assert reason in refused(write(tmp_path / "net.safetensors", content))


@pytest.mark.parametrize("share", [0.01, 0.08, 0.5, 0.99])
@pytest.mark.parametrize("form", ["safetensors", "zip", "legacy"])
def test_truncated_files_are_refused(tmp_path, share, form):
    state = model().state_dict()
    content = {"safetensors": save, "zip": zipped, "legacy": legacy}[form](state)
    path = write(tmp_path / "net", content)
    load_weights(model(), path)
    text = refused(write(path, content[: int(len(content) * share)]))
    assert any(word in text for word in ("cut short", "damaged", "not plain tensors"))


def sealed(header: str | bytes, data: bytes = b"", length: int | None = None) -> bytes:
    raw = header.encode() if isinstance(header, str) else header
    return struct.pack("<Q", len(raw) if length is None else length) + raw + data


def entry(start=0, end=4, shape="[1]", dtype='"F32"') -> str:
    return f'{{"dtype":{dtype},"shape":{shape},"data_offsets":[{start},{end}]}}'


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (sealed("{}", length=2**63), "its header should be 9223372036854775808 bytes long, the file has 2: cut short"),
        (sealed("{}", length=100), "its header should be 100 bytes long"),
        (sealed("{}" + " " * safetensors_format.MAX_HEADER_BYTES), "at most 33554432 are accepted"),
        (sealed("{not json"), "its header is not JSON"),
        (sealed(b'{"\xff":1}'), "its header is not JSON"),
        (sealed('{"a":' + "[" * 100_000 + "]" * 100_000 + "}"), "its header is nested too deeply"),
        (sealed(f'{{"a":{entry()},"a":{entry()}}}', bytes(4)), "its header names 'a' twice"),
        (sealed('{"a":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}}', bytes(4)), "'dtype' twice"),
        (sealed(f'{{"a":{entry()},"b":{entry(2, 6)}}}', bytes(6)), "'b' overlaps another tensor at byte 2"),
        (sealed(f'{{"a":{entry()},"b":{entry()}}}', bytes(4)), "'b' overlaps another tensor at byte 0"),
        (sealed(f'{{"a":{entry()},"b":{entry(8, 12)}}}', bytes(12)), "there are 4 unused bytes before 'b'"),
        (sealed(f'{{"a":{entry()}}}', bytes(9)), "there are 5 unused bytes after the last tensor"),
        (sealed(f'{{"a":{entry()}}}', bytes(3)), "its tensors need 4 bytes, the file has 3: cut short"),
        (sealed(f'{{"a":{entry(shape="[2]")}}}', bytes(4)), "'a' of shape '[2]' needs 8 bytes, its offsets give 4"),
        (sealed(f'{{"a":{entry(shape="[4294967296,4294967296]")}}}', bytes(4)), "needs 73786976294838206464 bytes"),
        (sealed(f'{{"a":{entry(4, 0)}}}', bytes(4)), "needs 4 bytes, its offsets give -4"),
        (sealed(f'{{"a":{entry(shape="[-1]")}}}', bytes(4)), "the number '-1'; only whole numbers from 0"),
        (sealed(f'{{"a":{entry(shape="[-0]")}}}', bytes(4)), "the number '-0'"),
        (sealed(f'{{"a":{entry(shape="[1e999]")}}}', bytes(4)), "the number '1e999'"),
        (sealed(f'{{"a":{entry(shape="[NaN]")}}}', bytes(4)), "the number 'NaN'"),
        (sealed(f'{{"a":{entry(shape="[" + "9" * 5000 + "]")}}}', bytes(4)), "its header holds the number '999"),
        (sealed(f'{{"a":{entry(shape="[true]")}}}', bytes(4)), "the shape of 'a' is not a list"),
        (
            sealed(f'{{"a":{entry(shape="[" + ",".join("1" * 17) + "]")}}}', bytes(4)),
            "a list of at most 16 whole numbers",
        ),
        (sealed(f'{{"a":{entry(dtype=chr(34) + "F7" + chr(34))}}}', bytes(4)), "'a' has the dtype 'F7'; accepted: F64"),
        (sealed(f'{{"a":{entry(dtype="[]")}}}', bytes(4)), "'a' has the dtype '[]'"),
        (sealed('{"a":{"dtype":"F32","shape":[1],"data_offsets":[0]}}', bytes(4)), "the data_offsets of 'a'"),
        (sealed('{"a":7}'), "the entry of 'a' must have dtype, shape and data_offsets"),
        (sealed('{"__metadata__":{"a":{}}}'), "its metadata is not a table of texts"),
        (sealed("{}"), "holds no table of tensors"),
    ],
    ids=lambda value: value if isinstance(value, str) else "file",
)
def test_unsound_safetensors_headers_are_refused(tmp_path, content, reason):
    assert reason in refused(write(tmp_path / "net.safetensors", content))


def test_a_million_tensors_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(safetensors_format, "MAX_TENSORS", 1000)
    header = json.dumps({f"t{i}": {"dtype": "U8", "shape": [1], "data_offsets": [i, i + 1]} for i in range(1001)})
    assert "it names 1001 tensors; at most 1000 are accepted" in refused(
        write(tmp_path / "a", sealed(header, bytes(1001)))
    )


def test_a_header_length_that_begins_like_a_pickle_is_still_safetensors(tmp_path):
    state = model().state_dict()
    header_bytes = len(save(state)) - sum(value.nbytes for value in state.values()) - 8
    padding = 0x0480 - header_bytes
    content = save(state)
    content = struct.pack("<Q", 0x0480) + content[8 : 8 + header_bytes] + b" " * padding + content[8 + header_bytes :]
    assert content[:2] == b"\x80\x04"
    assert load_weights(model(), write(tmp_path / "net", content)).loaded == len(state)


@pytest.mark.timeout(20)
def test_what_is_no_file_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert "a named pipe, not a file" in refused(tmp_path / "pipe")
    (tmp_path / "link.safetensors").symlink_to(tmp_path / "gone")
    assert "a link to a file that is not there" in refused(tmp_path / "link.safetensors")
    (tmp_path / "folder").mkdir()
    assert "is a folder without weights/best.safetensors" in refused(tmp_path / "folder")
    assert "cannot be read: No such file or directory" in refused(tmp_path / "none.safetensors")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert "a link to a file that is not there" in refused(tmp_path / "loop")


def test_a_device_is_refused():
    with pytest.raises(WeightsError, match="'/dev/zero' cannot be read: a device, not a file"):
        load_weights(model(), "/dev/zero")


def test_a_file_too_large_for_memory_is_refused(tmp_path):
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(regular_file.MAX_FILE_BYTES + 1)
    assert "at most 4294967296 are read" in refused(tmp_path / "sparse")


def test_torch_files_that_hold_no_plain_dense_tensors_are_refused(tmp_path):
    state = model().state_dict()
    assert "holds a list, not a table" in refused(write(tmp_path / "list", zipped([torch.zeros(1)])))
    state["stem.bias"] = torch.zeros(4).to_sparse()
    assert "'stem.bias' is no plain tensor (Tensor)" in refused(write(tmp_path / "sparse", zipped(state)))
    state["stem.bias"] = torch.zeros(4, device="meta")
    text = refused(write(tmp_path / "meta", zipped(state)))
    assert "'stem.bias' is no plain tensor" in text or "not plain tensors" in text


def test_a_tensor_that_pretends_to_be_huge_is_refused_by_its_shape(tmp_path):
    state = model().state_dict()
    state["stem.bias"] = torch.zeros(1).expand(2**50)
    assert "'stem.bias' has shape (1125899906842624,)" in refused(write(tmp_path / "huge", zipped(state)))
