"""Pictures for people: the first batch as the network sees it, and one picture with the model's answers."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edgewise.records.files import write_atomically
from edgewise.report.formatting import format_percent
from edgewise.report.text_on_pictures import fit_text, load_font

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw

MIN_TILE, MAX_TILE = 128, 224
"""Images are scaled so that a tile's longer side on a contact sheet lies between these, in pixels."""
GAP, CAPTION = 8, 22
MIN_SIDE, MAX_SIDE = 320, 960
"""The picture with answers is scaled so that its longer side lies between these."""
MIN_WIDTH = 420
ROW, PADDING = 30, 14
PAPER, INK, MUTED, ACCENT, TRACK = "#ffffff", "#1b2026", "#59636e", "#1f5fbf", "#e6e9ed"


def contact_sheet(images: NDArray[np.uint8], captions: Sequence[str], path: Path, columns: int = 8) -> None:
    """Write a grid of captioned images to ``path`` as PNG, whole or not at all.

    Args:
        images: (N, H, W, 3), RGB, N at least 1.
        captions: N texts; what does not fit its tile is cut.
        path: the file to write.
        columns: tiles in a row, at least 1.

    Raises:
        ValueError: the shape or the number of captions does not fit.
        OSError: ``path`` cannot be written.
    """
    import PIL.Image
    import PIL.ImageDraw

    if images.ndim != 4 or images.shape[-1] != 3 or not len(images):
        raise ValueError(f"images has shape {images.shape}; must be (N, H, W, 3) with N >= 1")
    if len(captions) != len(images):
        raise ValueError(f"{len(captions)} captions for {len(images)} images; must be as many")
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    tile = min(max(*images.shape[1:3], MIN_TILE), MAX_TILE)
    pitch_x, pitch_y = tile + GAP, tile + CAPTION + GAP
    sheet = PIL.Image.new("RGB", (columns * pitch_x + GAP, rows * pitch_y + GAP), PAPER)
    draw = PIL.ImageDraw.Draw(sheet)
    font = load_font(13)
    for index, (image, caption) in enumerate(zip(images, captions, strict=True)):
        x, y = GAP + index % columns * pitch_x, GAP + index // columns * pitch_y
        picture = _scaled(PIL.Image.fromarray(image), tile, tile)
        sheet.paste(picture, (x + (tile - picture.width) // 2, y + (tile - picture.height) // 2))
        draw.text((x, y + tile + 3), fit_text(caption, font, tile), fill=INK, font=font)
    _save_png(sheet, path)


def draw_top5(image: Image | NDArray[np.uint8], answers: Sequence[tuple[str, float]], path: Path) -> None:
    """Write a picture with the five most likely answers and their probabilities below it, as PNG.

    Args:
        image: of any mode and size; as array (H, W, 3) or (H, W). Shown with a longer side of 320-960 pixels.
        answers: labels with probabilities 0-1, most likely first; the first five are drawn.
        path: the file to write, whole or not at all.

    Raises:
        OSError: ``path`` cannot be written.
    """
    import PIL.Image
    import PIL.ImageDraw

    picture = _scaled(
        _opaque(PIL.Image.fromarray(image) if isinstance(image, np.ndarray) else image), MIN_SIDE, MAX_SIDE
    )
    shown = answers[:5]
    width = max(picture.width, MIN_WIDTH)
    height = picture.height + (2 * PADDING + ROW * len(shown) if shown else 0)
    canvas = PIL.Image.new("RGB", (width, height), PAPER)
    canvas.paste(picture, ((width - picture.width) // 2, 0))
    draw = PIL.ImageDraw.Draw(canvas)
    for index, (label, probability) in enumerate(shown):
        _draw_answer(draw, label, probability, picture.height + PADDING + ROW * index, width)
    _save_png(canvas, path)


def _draw_answer(draw: ImageDraw, label: str, probability: float, y: int, width: int) -> None:
    font = load_font(15)
    bar_left, bar_right = width // 2, width - PADDING - 66
    draw.text((PADDING, y + 5), fit_text(label, font, bar_left - 2 * PADDING), fill=INK, font=font)
    draw.rectangle((bar_left, y + 8, bar_right, y + 21), fill=TRACK)
    # not (p >= 0): a NaN draws no bar
    share = min(probability, 1.0) if probability >= 0 else 0.0
    if share > 0:
        draw.rectangle((bar_left, y + 8, bar_left + round((bar_right - bar_left) * share), y + 21), fill=ACCENT)
    draw.text((width - PADDING, y + 5), format_percent(probability), fill=MUTED, font=font, anchor="ra")


def _scaled(image: Image, min_side: int, max_side: int) -> Image:
    import PIL.Image

    longer = max(image.size)
    factor = min(max(1.0, min_side / longer), max_side / longer)
    size = (max(1, round(image.width * factor)), max(1, round(image.height * factor)))
    # hard edges where pixels become large: they are what the network sees
    return image.resize(size, PIL.Image.Resampling.NEAREST if factor >= 2 else PIL.Image.Resampling.LANCZOS)


def _opaque(image: Image) -> Image:
    import PIL.Image

    if image.mode.startswith(("I", "F")):
        return _stretched(image)
    if "A" not in image.getbands() and "transparency" not in image.info:
        return image.convert("RGB")
    colours = image.convert("RGBA")
    paper = PIL.Image.new("RGBA", colours.size, PAPER)
    return PIL.Image.alpha_composite(paper, colours).convert("RGB")


def _stretched(image: Image) -> Image:
    """Bring 16-bit, 32-bit and float grey to 8 bits over the range that the picture uses."""
    import PIL.Image

    values = np.nan_to_num(np.asarray(image, dtype=np.float64))
    low, high = values.min(), values.max()
    grey = 255 * (values - low) / (high - low) if high > low else np.zeros_like(values)
    return PIL.Image.fromarray(grey.astype(np.uint8)).convert("RGB")


def _save_png(image: Image, path: Path) -> None:
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    write_atomically(path, buffer.getvalue())
