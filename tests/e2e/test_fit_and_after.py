"""`fit`, and every command on what it left."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from edgewise.errors import OutputError, VerificationError
from edgewise.pipeline import deployment, fit
from edgewise.records.artifact import Artifact
from edgewise.records.run import Job, RunRecord
from edgewise.train.config import load_config

FILES = (
    *("config.yaml", "results.csv", "curves.png", "confusion_matrix.png", "train_batch0.png", "labels.txt"),
    *("weights/best.safetensors", "report.html", "run.json", "eval.json"),
    *(f"export/{form}/artifact.json" for form in ("pt2-fp32", "onnx-fp32", "onnx-int8")),
)


def test_the_run_folder_is_whole(fitted) -> None:
    missing = [name for name in FILES if not (fitted.run / name).is_file() or not (fitted.run / name).stat().st_size]
    assert missing == []
    assert list((fitted.run / "weights" / "last").iterdir())
    assert (fitted.run / "labels.txt").read_text() == "blue\ngreen\nred\n"
    with (fitted.run / "results.csv").open() as file:
        assert [row["epoch"] for row in csv.DictReader(file)] == ["1", "2", "3", "4", "5", "6"]
    config = load_config(fitted.run / "config.yaml")
    assert (config.width_mult, config.preprocessing.img_size, config.batch, config.lr) == (0.1, 16, 4, 0.004)
    for picture in ("curves.png", "confusion_matrix.png", "train_batch0.png"):
        Image.open(fitted.run / picture).verify()


def test_the_record_says_what_was_done(fitted) -> None:
    run = RunRecord.load(fitted.run / "run.json")
    assert [file.name for file in run.files] == ["torch", "onnx-fp32", "onnx-int8"]
    assert run.training is not None
    assert run.training.best_top1 >= 0.9
    for file in run.files:
        assert file.top1 is not None
        assert file.top1 >= 0.9
        assert file.agreement is not None
        assert file.agreement >= 0.9
        assert file.measurement is not None
        assert file.measurement.latency_ms > 0
    assert run.files[1].agreement == 1.0
    assert run.data.labels == ("blue", "green", "red")
    page = (fitted.run / "report.html").read_text(encoding="utf-8")
    assert all(each in page for each in ("onnx-int8", "mobilenetv4_conv_small", "green"))


def test_a_form_that_fails_is_left_out_and_the_run_ends_well(fitted, cli, tmp_path, monkeypatch) -> None:
    """A resumed `fit` whose training is over deploys anew; int8 now fails its verification."""
    run = tmp_path / "runs" / "fit"
    shutil.copytree(fitted.run, run, ignore=shutil.ignore_patterns("export", "report.html", "run.json"))
    earlier = RunRecord.load(fitted.run / "run.json")
    (run / "export" / ".onnx-fp32.killed.new").mkdir(parents=True)

    def export(model: object, out_dir: Path, *, precision: str, **_: Any) -> Artifact:
        if precision == "int8":
            raise VerificationError("the int8 file's top-1 falls by 40 points")
        shutil.copytree(fitted.export(out_dir.name), out_dir)
        return Artifact.load(out_dir / "artifact.json")

    monkeypatch.setattr(deployment, "export", export)
    timed = [file.measurement for file in earlier.files]
    monkeypatch.setattr(deployment, "measure_cases", lambda cases, launches, progress: timed[: len(cases)])
    found = cli("fit", "--resume", run, "--json")
    assert found.code == 0
    assert [file["name"] for file in found.json()["files"]] == ["torch", "onnx-fp32"]
    assert "onnx-int8 is left out: the int8 file's top-1 falls by 40 points" in found.err
    assert (run / "report.html").is_file()
    assert sorted(each.name for each in (run / "export").iterdir()) == ["onnx-fp32", "pt2-fp32"]


def test_fp32_onnx_must_succeed(fitted, cli, tmp_path, monkeypatch) -> None:
    run = tmp_path / "fit"
    shutil.copytree(fitted.run, run, ignore=shutil.ignore_patterns("export", "report.html", "run.json"))

    def export(*_: Any, **options: Any) -> Artifact:
        raise VerificationError(f"the {options['format']} file differs")

    monkeypatch.setattr(deployment, "export", export)
    found = cli("fit", "--resume", run)
    assert found.code == 1
    assert found.error_line == "error: the onnx file differs"
    assert not (run / "run.json").exists()
    assert (run / "weights" / "best.safetensors").is_file()


def test_fit_deploys_to_the_formats_of_its_job(fitted, cli, tmp_path) -> None:
    run = tmp_path / "fit"
    shutil.copytree(fitted.run, run, ignore=shutil.ignore_patterns("export", "report.html", "run.json"))
    job = Job.load(run / "job.json")
    assert job.formats == ("onnx",)
    job.model_copy(update={"formats": ("ncnn", "onnx")}).save(run / "job.json")
    found = cli("fit", "--resume", run, "--json")
    assert found.code == 0
    files = {file["name"]: file for file in found.json()["files"]}
    assert list(files) == ["torch", "ncnn-fp32", "onnx-fp32", "onnx-int8"]
    assert files["ncnn-fp32"]["agreement"] == 1.0
    assert files["ncnn-fp32"]["measurement"]["runtime"] == "ncnn"
    assert files["ncnn-fp32"]["measurement"]["launch_sizes"] == [10, 10, 10]


def test_fit_takes_the_formats_that_are_asked_for(fitted, cli, tmp_path, monkeypatch) -> None:
    jobs = []

    def start(folder: object, job: Job, *_: object) -> None:
        jobs.append(job)
        raise OutputError("enough")

    monkeypatch.setattr(fit, "start", start)
    cli("fit", fitted.data, "--project", tmp_path, "--formats", "openvino, litert")
    cli("fit", fitted.data, "--project", tmp_path, "--model", "mobilenetv4_conv_small", "--runtime", "openvino")
    assert [job.formats for job in jobs] == [("openvino", "tflite"), ("openvino", "onnx")]
    found = cli("fit", fitted.data, "--project", tmp_path, "--formats", "openvin")
    assert (found.code, found.error_line[:41]) == (2, "error: unknown format 'openvin'; did you ")
    assert len(jobs) == 2


def test_report_is_written_anew(fitted, cli, tmp_path) -> None:
    run = shutil.copytree(fitted.run, tmp_path / "copy")
    (run / "report.html").unlink()
    found = cli("report", run, "--json")
    assert found.code == 0
    assert found.json()["folder"] == str(run)
    assert found.err == ""
    assert (run / "report.html").read_text() == (fitted.run / "report.html").read_text()
    text = cli("report", run)
    assert text.code == 0
    assert f"Report: {run / 'report.html'}" in text.out
    assert "edgewise predict" in text.out


def test_paths_with_brackets_are_shown_as_they_are(fitted, cli, tmp_path) -> None:
    run = shutil.copytree(fitted.run, tmp_path / "[red] x[" / "fit")
    found = cli("report", run)
    assert found.code == 0
    assert f"Report: {run / 'report.html'}" in found.out


def test_val_agrees_between_run_and_file(fitted, cli) -> None:
    records = [
        cli("val", source, fitted.data, "--json") for source in (fitted.run, fitted.onnx, fitted.export("onnx-fp32"))
    ]
    assert [each.code for each in records] == [0, 0, 0]
    model, file, folder = (each.json() for each in records)
    assert model["top1"] == file["top1"] == folder["top1"] >= 0.9
    assert model["confusion"] == file["confusion"]
    assert model["loss"] == pytest.approx(file["loss"], rel=1e-4)
    assert {"num_images", "loss", "top1", "top5", "confusion", "labels", "classes"} <= set(model)
    text = cli("val", fitted.run, fitted.data)
    assert "top-1" in text.out
    assert "green" in text.out


NAMES = ("a b.png", "-dash.png", "🙂.png", "two\nlines.png", "[bold]x.png", "quote'\".png")


@pytest.fixture
def pictures(tmp_path, fitted) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name in NAMES:
        shutil.copy(fitted.data / "red" / "00.png", folder / name)
    return folder


def test_predict_a_folder_with_hard_names(fitted, cli, pictures, tmp_path) -> None:
    out = tmp_path / "answers"
    found = cli("predict", fitted.run, pictures, "--json", "--out", out)
    assert found.code == 0
    assert found.err == ""
    rows = found.json()
    assert len(rows) == len(NAMES)
    for row in rows:
        assert row["error"] == ""
        assert row["top"][0]["label"] == "red"
        assert sum(each["probability"] for each in row["top"]) == pytest.approx(1, abs=1e-4)
        Image.open(row["drawn"]).verify()
    assert len(list(out.iterdir())) == len(NAMES)
    text = cli("predict", fitted.run, pictures)
    assert len(text.out.splitlines()) == len(NAMES)
    assert "[bold]x.png: red" in text.out
    assert "two\\nlines.png: red" in text.out


def test_predict_globs_files_and_a_leading_dash(fitted, cli, pictures, monkeypatch) -> None:
    monkeypatch.chdir(pictures)
    found = cli("predict", "--json", "--top", 2, fitted.onnx, "--", "-dash.png", "*b.png")
    assert found.code == 0
    rows = found.json()
    assert [row["path"] for row in rows] == ["-dash.png", "a b.png"]
    assert [len(row["top"]) for row in rows] == [2, 2]


def test_a_file_whose_name_looks_like_a_setting_is_a_file_behind_two_dashes(fitted, cli, pictures, monkeypatch) -> None:
    monkeypatch.chdir(pictures)
    Path("a b.png").rename("top=3.png")
    found = cli("predict", "--json", fitted.run, "--", "top=3.png")
    assert found.code == 0
    assert [row["path"] for row in found.json()] == ["top=3.png"]


def test_predict_a_name_that_is_no_utf_8(fitted, cli, pictures, tmp_path) -> None:
    bad = pictures / b"\xff.png".decode("utf-8", "surrogateescape")
    shutil.copy(fitted.data / "red" / "00.png", bad)
    found = cli("predict", fitted.run, bad, "--json", "--out", tmp_path / "answers")
    assert found.code == 0
    assert [row["error"] for row in found.json()] == [""]
    found.out.encode("utf-8")


def test_predict_reports_what_it_cannot_read(fitted, cli, pictures) -> None:
    broken = pictures / "broken.png"
    broken.write_bytes(b"\x89PNG\r\n\x1a\n123")
    found = cli("predict", fitted.run, broken, pictures / "a b.png")
    assert found.code == 0
    assert "broken.png" in found.err
    assert found.out.count("a b.png: red") == 1
    alone = cli("predict", fitted.run, broken)
    assert alone.code == 2
    assert alone.error_line == "error: none of the pictures could be read"


@pytest.mark.parametrize("precision", ["fp32", "int8", "int8-weights"])
def test_export(fitted, cli, tmp_path, precision) -> None:
    out = tmp_path / precision
    source = fitted.run if precision != "fp32" else fitted.run / "weights" / "best.safetensors"
    found = cli("export", source, "--out", out, "--precision", precision, "--json")
    assert found.code == 0, found.err
    record = found.json()
    assert record["folder"] == str(out)
    assert record["precision"] == precision
    assert record["labels"] == ["blue", "green", "red"]
    assert record["verification"]["checks"]
    paired = record["verification"]["paired"]
    assert (paired is None) == (precision == "fp32")
    assert paired is None or paired["drop_low"] < paired["drop"] == 0.0 < paired["drop_high"]
    assert (out / record["files"][0]).stat().st_size == record["file_bytes"]
    assert cli("predict", out, fitted.data / "red", "--json").json()[0]["top"][0]["label"] == "red"


def test_bench_of_an_exported_file(fitted, cli) -> None:
    found = cli("bench", fitted.onnx, "--json")
    assert found.code == 0, found.err
    (record,) = (each["measurement"] for each in found.json())
    assert record["latency_ms"] > 0
    assert record["ci_low_ms"] <= record["latency_ms"] <= record["ci_high_ms"]
    assert record["verdict"] in {"trusted", "noisy", "rejected"}
    assert len(record["block_medians_ms"]) >= 30
    assert record["input_shape"] == [1, 3, 16, 16]


def test_list_info_and_doctor(cli) -> None:
    rows = cli("list", "--json").json()
    assert {row["name"] for row in rows} >= {"mobilenetv4_conv_small", "mobilenetv4_hybrid_large"}
    assert all({"name", "img_size", "params", "macs", "top1", "source"} <= set(row) for row in rows)
    assert "mobilenetv4_conv_small" in cli("list", "*conv*").out
    cost = cli("info", "mobilenetv4_conv_small", "--json", "img_size=64").json()
    assert cost["params"] == next(row["params"] for row in rows if row["name"] == "mobilenetv4_conv_small")
    assert cost["stages"]
    text = cli("info", "mobilenetv4_conv_small", "--imgsz", "64", "--layers")
    assert f"{cost['macs']:,}" in text.out
    found = cli("doctor", "--json")
    assert found.code == 0
    assert {"environment", "checks"} == set(found.json())
    assert "onnxruntime" in cli("doctor").out


def test_key_values_short_runs_and_numbered_names(fitted, cli, tmp_path) -> None:
    settings = ("epochs=1", "imgsz=16", "batch=8", "width-mult=0.1", "warmup_epochs=0", f"project={tmp_path / 'runs'}")
    first = cli("train", fitted.data, *settings, "--json")
    assert first.code == 0, first.err
    assert first.json()["folder"] == str(tmp_path / "runs" / "train")
    assert len(first.json()["epochs"]) == 1
    assert "Training mobilenetv4_conv_small at 16 px" in first.err
    second = cli("train", fitted.data, *settings, "--quiet")
    assert second.code == 0
    assert second.err == ""
    assert sorted(each.name for each in (tmp_path / "runs").iterdir()) == ["train", "train2"]
    assert f"Report: {tmp_path / 'runs' / 'train2' / 'report.html'}" in second.out


def test_compare_two_runtimes(cli, fitted) -> None:
    found = cli("compare", fitted.run, "--runtime", "onnxruntime,torch", "--json")
    assert found.code == 0, found.err
    answer = found.json()
    assert [each["runtime"] for each in answer["measurements"]] == ["onnxruntime", "torch"]
    assert answer["outcome"] in ("slower", "not comparable")
    assert answer["ratio"] > 1, "torch is never the faster one on so small a network"
    assert answer["basis"] == "interleaved"
    assert "(torch)" in answer["text"]
    assert "(onnxruntime)" in answer["text"]
