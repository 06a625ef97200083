"""The programs beside exported files: JavaScript and C++ against `edgewise predict`, Kotlin's preprocessing against ours."""

from __future__ import annotations

import itertools
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from sklearn.datasets import load_sample_image
from tests.conftest import randomise, settled
from tests.e2e.program_packages import KOTLIN, NODE_MODULES, cpp_command, kotlinc, node

import edgewise
from edgewise.data.normalise import normalise
from edgewise.data.transforms import EvalTransform
from edgewise.records.artifact import Preprocessing

HERE = Path(__file__).parent / "programs"
SNIPPETS = Path(edgewise.__file__).parent / "deploy" / "snippets"
SHARED = Path(__file__).parents[2].parent / "shared" / "data" / "photos"
LABELS = tuple(
    f"{word} {number}" for number, word in enumerate(["été", 'a "b"', "c\\d", "猫", "<i>", "x", "y", "z", "v", "w"])
)
ANSWER = re.compile(r"(?P<label>.+?) (?P<percent>\d+\.\d)%(?:, |$)")


def write_photos(folder: Path) -> list[Path]:
    """Write two real photos in the forms that cameras and editors write: sides that no stride divides, any orientation."""
    flower, china = (Image.fromarray(load_sample_image(name)) for name in ("flower.jpg", "china.jpg"))
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        flower.crop((40, 0, 441, 307)).save(folder / f"turned{orientation}.jpg", exif=exif, quality=95)
    china.save(folder / "progressive.jpg", progressive=True, subsampling="4:4:4")
    china.convert("L").save(folder / "grey.jpg", quality=80)
    china.save(folder / "china.png")
    china.convert("L").save(folder / "grey.png")
    china.quantize(64).save(folder / "palette.png")
    wide = np.asarray(china.convert("L"), np.int64) * 257 + np.random.default_rng(0).integers(
        -128, 128, china.size[::-1]
    )
    Image.fromarray(np.clip(wide, 0, 65535).astype(np.uint16)).save(folder / "grey16.png")
    linear = PngInfo()
    linear.add(b"gAMA", (100_000).to_bytes(4, "big"))
    china.save(folder / "gamma.png", pnginfo=linear)
    china.save(folder / "turned.png", exif=exif)
    fading = Image.fromarray(np.tile(np.arange(china.width) % 256, (china.height, 1)).astype(np.uint8))
    Image.merge("RGBA", (*china.split(), fading)).save(folder / "alpha.png")
    flower.resize((31, 20)).save(folder / "small.png")
    return sorted(folder.iterdir())


def shared_photos(*suffixes: str) -> list[Path]:
    """Return the project's photos, where they are at hand, that take no time: under 200 kB each."""
    return [p for p in sorted(SHARED.glob("*/*")) if p.suffix.lower() in suffixes and p.stat().st_size < 200_000]


@dataclass(frozen=True)
class Exported:
    folder: Path
    photos: list[Path]
    """Written by `write_photos`."""
    folded: Path
    """The same network in a file that takes pixels, channels last, and gives probabilities."""


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """A network whose answers hang on each pixel, beside real photos."""
    root = tmp_path_factory.mktemp("programs")
    (root / "photos").mkdir()
    photos = write_photos(root / "photos")
    preprocessing = Preprocessing(img_size=64, crop_pct=0.9)
    pixels = torch.stack([EvalTransform(preprocessing)(path.read_bytes()) for path in photos])
    network = edgewise.create_model("mobilenetv4_conv_small", num_classes=len(LABELS), img_size=64)
    network = settled(randomise(network), normalise(pixels, preprocessing.mean, preprocessing.std))
    edgewise.export(network, root / "out", preprocessing=preprocessing, labels=LABELS)
    ends = {"fold_normalize": True, "softmax": True, "layout": "nhwc"}
    edgewise.export(network, root / "folded", preprocessing=preprocessing, labels=LABELS, **ends)
    return Exported(root / "out", photos, root / "folded")


@pytest.fixture(scope="module")
def compiled(exported: Exported, tmp_path_factory: pytest.TempPathFactory) -> Path:
    program = exported.folder / "predict"
    command = cpp_command(tmp_path_factory.mktemp("libraries"))
    subprocess.run([*command, exported.folder / "predict.cpp", "-o", program], check=True)
    return program


def with_recipe(exported: Exported, folder: Path, **changes: object) -> Path:
    """Copy the exported folder, its preprocessing changed."""
    shutil.copytree(exported.folder, folder)
    record = json.loads((folder / "artifact.json").read_text(encoding="utf-8"))
    record["preprocessing"] |= changes
    (folder / "artifact.json").write_text(json.dumps(record), encoding="utf-8")
    return folder


def check_answers(cli, folder: str | Path, photos: Sequence[Path], command: Sequence[str | Path]) -> None:
    """Compare what ``command`` prints of ``photos`` with `edgewise predict`: labels in order, probabilities within 1e-3."""
    wanted = cli("predict", folder, *photos, "--json", "--no-draw")
    assert wanted.code == 0, wanted.err
    found = subprocess.run([*command, *photos], capture_output=True, text=True, encoding="utf-8", check=False)
    assert found.returncode == 0, found.stderr
    lines = found.stdout.splitlines()
    assert len(lines) == len(photos)
    for photo, row, line in zip(photos, wanted.json(), lines, strict=True):
        top = [(each["label"], each["probability"]) for each in row["top"]]
        answers = [(m["label"], float(m["percent"]) / 100) for m in ANSWER.finditer(line.removeprefix(f"{photo}: "))]
        assert [label for label, _ in answers] == [label for label, _ in top], photo
        assert [value for _, value in answers] == pytest.approx([value for _, value in top], abs=1e-3), photo


RECIPES = pytest.mark.parametrize(
    "changes", [{}, {"interpolation": "bilinear", "crop_pct": 0.875, "mean": [0.5, 0.4, 0.3]}]
)


@RECIPES
def test_python_answers_like_predict(cli, exported: Exported, tmp_path: Path, changes) -> None:
    folder = with_recipe(exported, tmp_path / "out", **changes)
    check_answers(cli, folder, exported.photos, [sys.executable, "-I", folder / "predict.py"])


@RECIPES
def test_javascript_answers_like_predict(cli, exported: Exported, tmp_path: Path, changes) -> None:
    (tmp_path / "node_modules").symlink_to(NODE_MODULES)
    folder = with_recipe(exported, tmp_path / "out", **changes)
    photos = exported.photos + ([] if changes else shared_photos(".jpg", ".jpeg", ".png", ".webp"))
    check_answers(cli, folder, photos, [node(), folder / "predict.mjs"])


@RECIPES
def test_cpp_answers_like_predict(cli, exported: Exported, compiled: Path, tmp_path: Path, changes) -> None:
    folder = with_recipe(exported, tmp_path / "out", **changes)
    photos = exported.photos + ([] if changes else shared_photos(".jpg", ".jpeg", ".png"))
    check_answers(cli, folder, photos, [folder / compiled.name])


@pytest.mark.parametrize("language", ["python", "javascript", "c++"])
def test_a_file_that_takes_pixels_and_gives_probabilities(
    cli, exported: Exported, tmp_path: Path, language: str, request: pytest.FixtureRequest
) -> None:
    """Each program beside it answers as `edgewise predict` does with the plain file."""
    folder = Path(shutil.copytree(exported.folded, tmp_path / "out"))
    if language == "c++":
        command = [shutil.copy(request.getfixturevalue("compiled"), folder / "predict")]
    elif language == "javascript":
        (tmp_path / "node_modules").symlink_to(NODE_MODULES)
        command = [node(), folder / "predict.mjs"]
    else:
        command = [sys.executable, "-I", folder / "predict.py"]
    check_answers(cli, exported.folder, exported.photos, command)
    if language == "python":
        plain, folded = (
            cli("predict", each, *exported.photos, "--json", "--no-draw").json() for each in (exported.folder, folder)
        )
        for one, other in zip(plain, folded, strict=True):
            assert [each["label"] for each in one["top"]] == [each["label"] for each in other["top"]]
            values = [[each["probability"] for each in row["top"]] for row in (one, other)]
            assert values[0] == pytest.approx(values[1], abs=1e-4)


def test_cpp_says_which_file_is_no_picture(exported: Exported, compiled: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.jpg").write_text("not a picture")
    found = subprocess.run(
        [compiled, tmp_path / "notes.jpg", exported.photos[0]], capture_output=True, text=True, check=False
    )
    assert (found.returncode, found.stderr) == (1, f"{tmp_path / 'notes.jpg'}: is neither JPEG nor PNG\n")
    assert found.stdout.startswith(f"{exported.photos[0]}: "), "the others are answered"


# ---- preprocessing alone, to the pixel ----


@dataclass(frozen=True)
class Case:
    source: Path
    rgba: NDArray[np.uint8]
    recipe: Preprocessing
    target: Path

    @property
    def line(self) -> str:
        height, width = self.rgba.shape[:2]
        recipe = self.recipe
        mean, std = (",".join(map(str, values)) for values in (recipe.mean, recipe.std))
        sizes = f"{width} {height} {recipe.img_size} {recipe.crop_pct} {recipe.interpolation}"
        return f"{self.source} {sizes} {mean} {std} {self.target}\n"


@pytest.fixture
def cases(tmp_path: Path) -> list[Case]:
    """Noise of awkward sizes, half of it transparent, under recipes that shrink, enlarge and leave as it is."""
    generator = np.random.default_rng(0)
    sizes = [(1, 3), (8, 8), (33, 32), (61, 97), (97, 61), (203, 140), (40, 900), (256, 256)]
    recipes = [
        Preprocessing(img_size=size, crop_pct=crop_pct, interpolation=interpolation, mean=mean, std=std)
        for (size, crop_pct, (mean, std)), interpolation in itertools.product(
            [
                (32, 1.0, ((0.5,), (0.25,))),
                (33, 0.875, ((0.5, 0.4, 0.3), (0.2, 0.3, 0.1))),
                (64, 0.95, ((0,) * 3, (1,) * 3)),
            ],
            ("bilinear", "bicubic"),
        )
    ]
    found = []
    for number, ((height, width), recipe) in enumerate(itertools.product(sizes, recipes)):
        rgba = generator.integers(0, 256, (height, width, 4), dtype=np.uint8)
        rgba[..., 3] = np.where(generator.random((height, width)) < 0.5, rgba[..., 3], 255)
        source = tmp_path / f"{number}.rgba"
        source.write_bytes(rgba.tobytes())
        found.append(Case(source, rgba, recipe, tmp_path / f"{number}.float32"))
    return found


def wanted_input(case: Case) -> NDArray[np.float32]:
    image = Image.fromarray(case.rgba)
    paper = Image.new("RGBA", image.size, (255, 255, 255, 255))
    pixels = EvalTransform(case.recipe)(np.asarray(Image.alpha_composite(paper, image).convert("RGB")))
    return normalise(pixels[None], case.recipe.mean, case.recipe.std).numpy()


def check_inputs(cases: Sequence[Case], command: Sequence[str | Path], tmp_path: Path) -> None:
    """Let ``command`` write the input of each case, and compare: one level of one pixel would be at least 1/255."""
    (tmp_path / "cases").write_text("".join(case.line for case in cases))
    subprocess.run([*command, tmp_path / "cases"], check=True)
    for case in cases:
        found = np.fromfile(case.target, np.float32)
        np.testing.assert_allclose(found, wanted_input(case).ravel(), rtol=0, atol=1e-5, err_msg=str(case.recipe))


def test_javascripts_input_is_ours(cases: list[Case], tmp_path: Path) -> None:
    check_inputs(cases, [node(), HERE / "preprocess_cases.mjs", SNIPPETS / "preprocess.mjs"], tmp_path)


def test_kotlins_input_is_ours(cases: list[Case], tmp_path: Path) -> None:
    """Compiled with the part for Android, which stands on stand-ins here, and run without it."""
    sources = [*SNIPPETS.glob("*.kt"), *HERE.glob("*.kt"), *HERE.glob("android/*.kt")]
    subprocess.run([kotlinc(), "-Werror", "-d", tmp_path / "classes", *sources], check=True)
    classes = f"{tmp_path / 'classes'}:{KOTLIN / 'lib' / 'kotlin-stdlib.jar'}"
    check_inputs(cases, ["java", "-cp", classes, "PreprocessCasesKt"], tmp_path)
    for case in cases:
        last = np.fromfile(f"{case.target}.nhwc", np.float32).reshape(case.recipe.img_size, case.recipe.img_size, -1)
        np.testing.assert_array_equal(last.transpose(2, 0, 1).ravel(), np.fromfile(case.target, np.float32))
