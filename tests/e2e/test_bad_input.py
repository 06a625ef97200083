"""Bad input: exit code 2, one line that names the thing and what is accepted, and nothing half-written."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path

import pytest
from tests.e2e.conftest import paint_classes

RUN = "RUN"
"""Stands for the fitted run in the arguments below."""


class _Payload:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (Path("sentinel"),)  # type: ignore[return-value]


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    """The working folder, with every kind of data set that is refused."""
    monkeypatch.chdir(tmp_path)
    paint_classes(Path("photos"))
    paint_classes(Path("pets"), 4, ("cat", "dog"))
    paint_classes(Path("one"), names=("blue",))
    shutil.copytree("pets", "hole")
    Path("hole/mouse").mkdir()
    paint_classes(Path("differ/train"), names=("cat", "dog"))
    paint_classes(Path("differ/val"), names=("cat", "fox"))
    shutil.copytree("pets", "loose")
    shutil.copy("pets/cat/00.png", "loose/stray.png")
    shutil.copytree("pets", "broken")
    Path("broken/cat/cut.png").write_bytes(Path("pets/cat/00.png").read_bytes()[:200])
    Path("empty").mkdir()
    Path("norun").mkdir()
    Path("plain.txt").write_text("hello")
    return tmp_path


REFUSED = [
    ("fitt photos", "Did you mean 'fit'"),
    ("fit photos --modle x", "did you mean '--model'"),
    ("fit photos --epochs many", "--epochs"),
    ("fit photos --model mobilenetv4_conv_smal", "did you mean 'mobilenetv4_conv_small'"),
    ("fit photos --runtime onnxruntim", "unknown runtime 'onnxruntim'; did you mean 'onnxruntime'"),
    ("fit photos --recipe foo", "unknown recipe 'foo'; accepted"),
    ("fit photos --threads 0", "threads is 0; accepted"),
    ("fit photos --threads 100000", "threads is 100000; accepted"),
    ("fit", "DATA is missing"),
    ("fit missing", "'missing' does not exist; give a folder or a tar"),
    ("fit empty", "'empty' holds no images: expected root/train"),
    ("fit plain.txt", "'plain.txt' is no archive of images; give a folder"),
    ("fit one", "'one' holds 1 class ('blue'); at least 2"),
    ("fit hole", "'hole' has classes without a usable image: 'mouse'"),
    ("fit differ", "only in train: 'dog'; only in val: 'fox'"),
    ("fit loose", "1 images lie loose in the root of 'loose', as 'stray.png'"),
    ("fit broken", "'broken': 1 of 9 files cannot be used (at most 1% may be skipped): 'cat/cut.png'"),
    ("fit photos lr=nan", "lr is 'nan'; must be"),
    ("fit photos lr=-1", "lr is '-1.0'; must be"),
    ("fit photos batch=0", "batch is '0'; must be"),
    ("fit photos --epochs -1", "epochs is '-1'; must be"),
    ("train photos epochs=0", "epochs is '0'; must be"),
    ("fit photos --img-size 7", "img_size is 7; must be within 8 and 4096"),
    ("train photos imgsz=5000", "img_size is 5000; must be within 8 and 4096"),
    ("fit photos --device gpu", "device is 'gpu'; this machine offers:"),
    ("fit photos --time-budget soon", "time budget 'soon' is no duration; accepted: 90s, 20m, 1.5h"),
    ("train photos --time nan", "time budget 'nan' is no duration"),
    ("fit photos --max-ms 0", "max_ms is 0.0; must be above 0"),
    ("fit photos --max-ms nan", "max_ms is nan; must be above 0"),
    ("fit photos --max-drop nan", "max_drop is nan; must be"),
    ("fit photos --val-share 1", "val_share is 1.0; must be between 0 and 1"),
    ("fit photos --amp fp8", "amp is 'fp8'; must be 'off', 'bf16' or 'fp16'"),
    ("fit photos --name ../../x", "run name '../../x' is not accepted; use letters"),
    ("fit photos --name=", "run name '' is not accepted"),
    ("train photos --name=", "run name '' is not accepted"),
    (f"train photos --name {'x' * 200}", "is not accepted; use letters"),
    ("fit photos --project plain.txt", "'plain.txt' cannot hold runs"),
    ("fit photos --project plain.txt/below", "'plain.txt/below' cannot hold runs"),
    ("fit --resume norun", "'norun' holds no run (config.yaml"),
    ("train --resume missing", "'missing' holds no run"),
    ("report norun", "'norun' holds no run"),
    ("info mobilenetv4_conv_small --img-size 7", "img_size is 7"),
    ("list mobilenetv9", "unknown model 'mobilenetv9'"),
    ("bench mobilenetv4_conv_smal", "did you mean 'mobilenetv4_conv_small'"),
    ("bench missing.onnx", "'missing.onnx' does not exist; give"),
    ("bench plain.txt", "'plain.txt' is no model file by its content; accepted: .onnx, .pt2, .tflite, "),
    ("bench mobilenetv4_conv_small --threads 100000", "threads is 100000; accepted: 1 to"),
    ("bench mobilenetv4_conv_small --batch 0", "batch is 0"),
    ("predict missing photos/red", "'missing' is neither a run's folder nor a weights file"),
    ("predict plain.txt photos/red", "'plain.txt' is no weights file"),
]


@pytest.mark.parametrize(("line", "says"), REFUSED, ids=[line[:60] for line, _ in REFUSED])
def test_refused(place, cli, line, says) -> None:
    before = sorted(place.rglob("*"))
    found = cli(*line.split(" "))
    assert found.code == 2, found.err
    assert says in found.error_line
    assert found.out == ""
    assert sorted(place.rglob("*")) == before


WITH_A_RUN = [
    ("val RUN pets", "knows other classes than the data set: missing ['blue', 'green', 'red'], new ['cat', 'dog']"),
    ("val RUN/export/onnx-fp32 pets", "knows other classes than the data set"),
    ("val RUN missing", "'missing' does not exist"),
    ("predict RUN missing.png", "'missing.png' names no picture; give files"),
    ("predict RUN empty", "'empty' names no picture"),
    ("predict RUN photos/red --top 0", "top is 0; must be 1 or more"),
    ("predict RUN photos/red --out plain.txt", "'plain.txt' is a file"),
    ("export RUN --out full", "'full' holds files and is no earlier export; give the name of a new folder"),
    ("export RUN --out plain.txt", "'plain.txt' is no folder"),
    ("export RUN --out new --format onx", "unknown format 'onx'; did you mean 'onnx'"),
    ("export RUN --out new --precision int4", "did you mean 'int8'"),
    ("export RUN --out new --precision int8 --data missing", "'missing' does not exist"),
    ("export RUN/weights/best.safetensors --out new --precision int8", "int8 needs real images"),
    ("bench RUN --runtime foo", "unknown runtime 'foo'; accepted: coreml, executorch, litert, "),
    ("bench RUN --threads 0", "threads is 0"),
    ("bench RUN --threads 1,two", "threads is two; must be whole numbers, with commas between them"),
    ("bench RUN --precision int9", "unknown precision 'int9'; did you mean 'int8'"),
    ("bench mobilenetv4_conv_small --runtime coreml", "coreml cannot be used here: runs on macOS alone"),
    ("export RUN --format all --precision int9", "unknown precision 'int9'; did you mean 'int8'"),
    ("export RUN --format onnx,tflit", "unknown format 'tflit'; did you mean 'tflite'"),
    ("export RUN --format ncnn --precision int8", "ncnn has no int8: ncnn's tools calibrate on picture files"),
    (
        "export RUN --format coreml --precision int8",
        "mlpackage has no int8: coremltools calibrates activations by running",
    ),
    ("export RUN --format pte --precision bf16", "unknown pte precision 'bf16'; accepted: fp32, int8"),
    ("export RUN --precision int8 --format onnx,tflite --mixed", "tflite int8 cannot be mixed; layers can be kept in"),
    ("export RUN --mixed", "onnx fp32 cannot be mixed"),
    ("export RUN --precision int8 --max-drop -1", "max_drop is -0.01; must be a fraction within 0 and 1"),
    ("predict cut.safetensors photos/red", "'cut.safetensors' is no sound safetensors file"),
    ("predict altered.safetensors photos/red", "'altered.safetensors' was altered after it was written"),
    ("predict pickle.safetensors photos/red", "'pickle.safetensors'"),
    ("predict short photos/red", "was altered after its export (sha256 differs from artifact.json); export again"),
    ("bench short", "was altered after its export"),
    ("predict corrupt photos/red", "'corrupt/artifact.json' cannot be read as JSON; export again"),
    ("val corrupt photos", "'corrupt/artifact.json' cannot be read as JSON"),
    ("fit photos --project RUN", "holds a run itself"),
]


@pytest.fixture
def place_with_run(place, fitted) -> Path:
    Path("full").mkdir()
    Path("full/precious.txt").write_text("x")
    raw = (fitted.run / "weights" / "best.safetensors").read_bytes()
    Path("cut.safetensors").write_bytes(raw[: len(raw) // 2])
    Path("altered.safetensors").write_bytes(raw[:-3] + bytes([raw[-3] ^ 1]) + raw[-2:])
    Path("pickle.safetensors").write_bytes(pickle.dumps(_Payload(), protocol=2))
    for name in ("short", "corrupt"):
        shutil.copytree(fitted.export("onnx-fp32"), name)
    model = next(Path("short").glob("*.onnx"))
    model.write_bytes(model.read_bytes()[:-1000])
    Path("corrupt/artifact.json").write_text('{"format": ')
    return place


@pytest.mark.parametrize(("line", "says"), WITH_A_RUN, ids=[line[:60] for line, _ in WITH_A_RUN])
def test_refused_with_a_run(place_with_run, fitted, cli, line, says) -> None:
    before = sorted(place_with_run.rglob("*")), sorted(fitted.run.rglob("*"))
    found = cli(*line.replace(RUN, str(fitted.run)).split(" "))
    assert found.code == 2, found.err
    assert says in found.error_line
    assert found.out == ""
    assert (sorted(place_with_run.rglob("*")), sorted(fitted.run.rglob("*"))) == before
    assert not Path("sentinel").exists()


def test_a_run_with_its_weights_gone_names_the_way_on(fitted, cli, tmp_path) -> None:
    run = shutil.copytree(fitted.run, tmp_path / "run")
    (run / "weights" / "best.safetensors").unlink()
    found = cli("predict", run, fitted.data / "red")
    assert found.code == 2
    assert f"edgewise train --resume {run}" in found.error_line


def test_no_arguments_show_the_help_without_complaint(cli) -> None:
    found = cli()
    assert "quickstart" in found.out + found.err
    assert "error:" not in found.err
