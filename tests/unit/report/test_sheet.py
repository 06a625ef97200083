"""Contact sheets and pictures with answers."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from edgewise.report.sheet import ACCENT, contact_sheet, draw_top5
from edgewise.report.text_on_pictures import drawable, fit_text, load_font, plot_label

ANSWERS = [
    ("tabby cat", 0.75),
    ("猫 \n 🙂", 0.2),
    ("a very long label " * 9, 0.04),
    ("x", 0.01),
    ("y", 0.0),
    ("sixth", 0.0),
]


def random_image(*shape):
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize(
    ("shape", "columns", "size"),
    [
        ((18, 32, 32, 3), 8, (8 * 136 + 8, 3 * 158 + 8)),
        ((3, 8, 4, 3), 8, (3 * 136 + 8, 166)),
        ((2, 400, 300, 3), 1, (240, 516)),
    ],
)
def test_a_sheet_holds_every_tile(tmp_path, shape, columns, size):
    path = tmp_path / "sheet.png"
    contact_sheet(random_image(*shape), [f"label {i}" for i in range(shape[0])], path, columns=columns)
    with Image.open(path) as sheet:
        assert sheet.format == "PNG"
        assert sheet.size == size


def test_a_tile_shows_its_pixels(tmp_path):
    images = np.zeros((1, 2, 2, 3), dtype=np.uint8)
    images[0, 0, 1] = (255, 0, 0)
    contact_sheet(images, ["x"], tmp_path / "sheet.png")
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.getpixel((8 + 65, 8 + 1)) == (255, 0, 0)
        assert sheet.getpixel((8 + 1, 8 + 1)) == (0, 0, 0)


def test_sheets_refuse_what_does_not_fit(tmp_path):
    with pytest.raises(ValueError, match=r"2 captions for 1 images"):
        contact_sheet(random_image(1, 4, 4, 3), ["a", "b"], tmp_path / "sheet.png")
    with pytest.raises(ValueError, match=r"images has shape \(0, 4, 4, 3\); must be \(N, H, W, 3\)"):
        contact_sheet(random_image(0, 4, 4, 3), [], tmp_path / "sheet.png")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("width", "height", "size"),
    [(8, 8, (420, 320)), (500, 300, (500, 300)), (6000, 4000, (960, 640)), (1, 5000, (420, 960)), (5000, 1, (960, 1))],
)
def test_answers_are_drawn_on_any_size(tmp_path, width, height, size):
    path = tmp_path / "answers.png"
    draw_top5(Image.new("RGB", (width, height)), ANSWERS, path)
    with Image.open(path) as picture:
        assert picture.format == "PNG"
        assert picture.size == (size[0], size[1] + 2 * 14 + 5 * 30)


def test_bars_are_as_long_as_their_probabilities(tmp_path):
    draw_top5(np.zeros((400, 600, 3), dtype=np.uint8), [("a", 0.5), ("b", float("nan"))], tmp_path / "answers.png")
    with Image.open(tmp_path / "answers.png") as picture:
        pixels = np.asarray(picture)
    accent = np.array([int(ACCENT[i : i + 2], 16) for i in (1, 3, 5)])
    first, second = (np.all(pixels[414 + row + 15, 300:] == accent, axis=1).sum() for row in (0, 30))
    assert first == 111  # half of 300..520, both ends drawn
    assert second == 0


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I", "I;16", "F", "YCbCr"])
def test_every_mode_is_drawn(tmp_path, mode):
    draw_top5(Image.new(mode, (16, 16)), ANSWERS[:1], tmp_path / "answers.png")
    with Image.open(tmp_path / "answers.png") as picture:
        assert picture.mode == "RGB"


def test_sixteen_bits_are_stretched_and_transparency_lies_on_paper(tmp_path):
    ramp = Image.fromarray(np.array([[0, 30_000, 60_000]], dtype=np.uint16))
    draw_top5(ramp, [], tmp_path / "ramp.png")
    clear = Image.new("RGBA", (4, 4), (0, 0, 0, 0))
    draw_top5(clear, [], tmp_path / "clear.png")
    with Image.open(tmp_path / "ramp.png") as ramp, Image.open(tmp_path / "clear.png") as clear:
        assert [ramp.getpixel((x, 1))[0] for x in (60, 210, 360)] == [0, 127, 255]
        assert clear.getpixel((200, 100)) == (255, 255, 255)


def test_texts_are_made_drawable():
    assert drawable("été 猫\n") == "été □\\n"
    assert drawable("x" * 50) == "x" * 39 + "…"
    assert plot_label("a$b$") == r"a\$b\$"
    font = load_font(13)
    cut = fit_text("w" * 100, font, 90)
    assert cut.endswith("…")
    assert 70 < font.getlength(cut) <= 90
    assert fit_text("short", font, 90) == "short"
