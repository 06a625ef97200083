import pytest

from edgewise.deploy.exporters.registry import EXPORTERS
from edgewise.errors import ConfigError, MissingExtraError, UnknownNameError
from edgewise.pipeline import forms
from edgewise.pipeline.forms import formats_to_deploy, forms_of


def test_the_runtimes_own_format_comes_first_and_onnx_beside_it():
    assert formats_to_deploy((), "onnxruntime") == ("onnx",)
    assert formats_to_deploy((), "openvino") == ("openvino", "onnx")
    assert formats_to_deploy((), "torch") == ("pt2", "onnx")


def test_formats_are_named_by_themselves_or_by_their_runtime_once_each():
    assert formats_to_deploy(("tflite", "ncnn", "litert"), "onnxruntime") == ("tflite", "ncnn")


def test_all_is_what_is_installed_and_runs_here(monkeypatch):
    monkeypatch.setattr(forms, "can_run", lambda runtime: runtime != "coreml")
    here = formats_to_deploy(("all",), "litert")
    assert here[0] == "tflite"
    assert set(here) == set(EXPORTERS) - {"mlpackage"}

    def missing(exporter):
        if exporter.format == "ncnn":
            raise MissingExtraError("ncnn files need pnnx")

    monkeypatch.setattr(forms, "check_installed", missing)
    assert "ncnn" not in formats_to_deploy(("all",), "litert")
    with pytest.raises(MissingExtraError, match="ncnn files need pnnx"):
        formats_to_deploy(("ncnn",), "onnxruntime")


def test_what_cannot_be_judged_here_is_refused(monkeypatch):
    monkeypatch.setattr(forms, "can_run", lambda runtime: runtime != "coreml")
    with pytest.raises(ConfigError, match="mlpackage files cannot be judged on this platform"):
        formats_to_deploy(("mlpackage",), "onnxruntime")
    with pytest.raises(UnknownNameError, match=r"unknown format 'openvin'; did you mean 'openvino'"):
        formats_to_deploy(("openvin",), "onnxruntime")


def test_each_format_has_fp32_and_int8_where_it_can_and_the_first_is_required():
    found = forms_of(("openvino", "onnx", "pt2"))
    assert [(form.name, form.required) for form in found] == [
        ("pt2-fp32", False),
        ("openvino-fp32", True),
        ("openvino-int8", False),
        ("onnx-fp32", False),
        ("onnx-int8", False),
    ]
    assert [(form.runtime, form.mixed) for form in found[:3]] == [
        ("torch", False),
        ("openvino", False),
        ("openvino", True),
    ]
    assert [(form.name, form.required) for form in forms_of(("pt2",))] == [("pt2-fp32", True)]
