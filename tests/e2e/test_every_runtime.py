"""One trained run through every format and runtime of this machine, by the command line."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from edgewise.deploy.exporters.registry import EXPORTERS
from edgewise.deploy.support import LEFT_OUT

ONCE = ("--launches", "1")
"""What is told of a measurement is looked at here, not how good it is."""


def test_export_to_all_formats(cli, fitted) -> None:
    found = cli("export", fitted.run, "--format", "all", "--out", "deployed", "--json")
    assert found.code == 0, found.err
    rows = {row["format"]: row for row in found.json()}
    assert rows.keys() == EXPORTERS.keys()
    for name, row in rows.items():
        assert row["artifact"]["verification"]["passed"], name
        assert row["artifact"]["labels"] == ["blue", "green", "red"]
        assert (Path("deployed") / f"{name}-fp32" / row["artifact"]["files"][0]).exists()
        if name != "mlpackage":
            answers = cli("val", Path("deployed") / f"{name}-fp32", fitted.data, "--json")
            assert answers.code == 0, answers.err
            assert answers.json()["top1"] == pytest.approx(
                row["artifact"]["verification"]["top1_model"] or 1.0, abs=0.2
            )
    shown = cli("export", fitted.run, "--format", "openvino,ncnn", "--out", "two")
    assert shown.code == 0, shown.err
    assert "difference: the largest of all inputs" in shown.err
    assert len([line for line in shown.out.splitlines() if "openvino" in line or "ncnn" in line]) >= 2


def test_predict_answers_alike_in_every_runtime(cli, fitted) -> None:
    picture = next((fitted.data / "red").glob("*.png"))
    answers = []
    for format_ in ("onnx", "openvino", "tflite"):
        assert cli("export", fitted.run, "--format", format_, "--out", format_).code == 0
        found = cli("predict", format_, picture, "--json", "--no-draw")
        assert found.code == 0, found.err
        answers.append([(top["label"], round(top["probability"], 3)) for top in found.json()[0]["top"]])
    assert answers[0] == answers[1] == answers[2]


@pytest.mark.parametrize("format_", [name for name in EXPORTERS if name != "mlpackage"])
def test_the_program_beside_a_file_answers_like_predict(cli, fitted, format_) -> None:
    """On a photo with sides that no stride divides and an orientation, from another folder, without Edgewise."""
    from sklearn.datasets import load_sample_image

    photo = Image.fromarray(load_sample_image("flower.jpg")[:401, :307])
    exif = photo.getexif()
    exif[0x0112] = 6
    photo.save("flower.jpg", exif=exif, quality=95)
    assert cli("export", fitted.run, "--format", format_, "--out", "out").code == 0
    wanted = cli("predict", next(Path("out").glob(f"*{EXPORTERS[format_].suffix}")), "flower.jpg", "--no-draw")
    assert wanted.code == 0, wanted.err
    text = Path("out/predict.py").read_text(encoding="utf-8")
    assert "edgewise" not in text.lower()
    found = subprocess.run(
        [sys.executable, "-I", "out/predict.py", "flower.jpg"], capture_output=True, text=True, check=True
    )
    assert _numbers(found.stdout) == pytest.approx(_numbers(wanted.out), abs=0.11)
    assert [w for w in found.stdout.split() if w.isalpha()] == [w for w in wanted.out.split() if w.isalpha()]


def _numbers(text: str) -> list[float]:
    return [float(each) for each in re.findall(r"(\d+\.\d) ?%", text)]


def test_bench_over_runtimes_precisions_and_threads(cli, fitted) -> None:
    found = cli("bench", fitted.run, "--runtime", "onnxruntime,litert", "--precision", "fp32,int8", *ONCE, "--json")
    assert found.code == 0, found.err
    cases = [(row["runtime"], row["precision"], row["threads"]) for row in found.json()]
    assert cases == [
        ("onnxruntime", "fp32", 1),
        ("onnxruntime", "int8", 1),
        ("litert", "fp32", 1),
        ("litert", "int8", 1),
    ]
    assert all(row["measurement"]["latency_ms"] > 0 for row in found.json())
    assert found.json()[1]["accuracy"]["source"] == "labelled"
    assert found.json()[1]["accuracy"]["of_this_file"]
    assert found.json()[2]["accuracy"]["source"] == "validation"
    for path in Path(
        "runs/bench/cases"
    ).iterdir():  # a busy machine's times are rejected, and nothing is recommended then
        path.write_text(path.read_text().replace('"verdict": "rejected"', '"verdict": "noisy"'))
    drawn = cli("pareto", "runs/bench", "--min-top1", "1", "--published", "pixel6_cpu", "--json")
    assert drawn.code == 0, drawn.err
    assert len(drawn.json()["points"]) > 20
    assert drawn.json()["front"]
    assert drawn.json()["sentence"].startswith("Fastest with at least 1 % top-1: mobilenetv4_conv_small, ")
    assert {"pareto.png", "pareto.html", "pareto.csv"} <= {path.name for path in Path("runs/bench").iterdir()}


def test_what_cannot_be_exported_is_left_out(cli, fitted) -> None:
    found = cli(
        "bench", "mobilenetv4_conv_small", "--img-size", "32", "--runtime", "onnxruntime", "--precision", "all", *ONCE
    )
    assert found.code == 0, found.err
    assert "onnxruntime int8 is left out: int8 needs real images to calibrate with: give --data FOLDER" in found.err
    assert "mobilenetv4_conv_small fp32" in found.out


def test_where_operators_run_is_told_by_the_runtimes_that_know(cli, fitted) -> None:
    found = cli("bench", fitted.run, "--runtime", "openvino,litert,executorch", *ONCE, "--json")
    assert found.code == 0, found.err
    openvino, litert, executorch = (row["measurement"]["placement"] for row in found.json())
    assert list(openvino) == ["f32"]
    assert list(litert) == ["XNNPACK"]
    assert list(executorch) == ["XnnpackBackend"]
    again = cli("bench", "--resume", "runs/bench", "--json")
    assert again.code == 0, again.err
    assert again.json() == found.json()


def test_the_support_matrix(cli) -> None:
    rows = cli("doctor", "--matrix", "--json").json()
    assert [row["format"] for row in rows] == list(EXPORTERS)
    assert all(row["can_make"] for row in rows)
    assert ["int8", LEFT_OUT["ncnn", "int8"]] in next(row for row in rows if row["format"] == "ncnn")["left_out"]
    shown = cli("doctor", "--matrix").out
    assert "executorch" in shown
    assert "mlpackage has no int8: coremltools calibrates activations by running the package" in shown


def test_compare_needs_two(cli, fitted) -> None:
    found = cli("compare", fitted.onnx)
    assert found.code == 2
    assert found.error_line.startswith("error: 2 cases are needed, these are 1: ")
