"""What an exported file says of the weights file that it goes back to."""

from __future__ import annotations

import hashlib

import onnx
import torch
from export_nets import PREPROCESSING, TinyNet
from safetensors.torch import save_file

import edgewise
from edgewise.deploy.export import export
from edgewise.deploy.metadata import origin_of
from edgewise.models.factory import create_model
from edgewise.records.artifact import Artifact


def test_a_loaded_files_hash_reaches_the_artifact_and_the_file(tmp_path):
    torch.manual_seed(0)
    save_file(TinyNet().state_dict(), tmp_path / "net.safetensors")
    sha256 = hashlib.sha256((tmp_path / "net.safetensors").read_bytes()).hexdigest()
    model = TinyNet().eval()
    edgewise.load_weights(model, tmp_path / "net.safetensors")
    artifact = export(model, tmp_path / "out", preprocessing=PREPROCESSING, model_name="tiny", verify=False)
    assert (artifact.weights_file_sha256, artifact.weights_source) == (sha256, "net.safetensors")
    assert Artifact.load(tmp_path / "out" / "artifact.json") == artifact
    inside = {each.key: each.value for each in onnx.load(tmp_path / "out" / "tiny.onnx").metadata_props}
    assert (inside["weights_file_sha256"], inside["weights_source"]) == (sha256, "net.safetensors")


def test_fresh_weights_have_no_file(fp32):
    assert (fp32[0].weights_file_sha256, fp32[0].weights_source) == (None, None)
    inside = {each.key: each.value for each in onnx.load(fp32[1] / "tiny.onnx").metadata_props}
    assert not {"weights_file_sha256", "weights_source"} & inside.keys()


def test_published_weights_bring_their_licence(tmp_path):
    name = "mobilenetv3_small_050.lamb_in1k"
    fresh = create_model(name)
    assert origin_of(fresh) == {}, "a licence is of weights, not of preprocessing"
    save_file(fresh.state_dict(), tmp_path / "net.safetensors")
    loaded = create_model(name, checkpoint_path=tmp_path / "net.safetensors")
    assert origin_of(loaded)["license"] == "apache-2.0"
    assert origin_of(loaded.fuse()) == origin_of(loaded)
    assert "license" not in origin_of(
        create_model("mobilenetv3_small_050", checkpoint_path=tmp_path / "net.safetensors")
    )
