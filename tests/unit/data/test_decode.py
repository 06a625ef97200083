from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from generated_images import encoded, noise
from PIL import Image

from edgewise.data.colour import to_rgb
from edgewise.data.decode import check_image, decode, image_format, jpeg_size
from edgewise.data.exif import jpeg_orientation
from edgewise.errors import ImageError


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format=kind, **options)
    return buffer.getvalue()


def mean(content: bytes) -> list[float]:
    pixels = decode(content)
    assert pixels.dtype == np.uint8
    assert pixels.ndim == 3
    assert pixels.flags["C_CONTIGUOUS"]
    return list(pixels.reshape(-1, 3).mean(0))


def without_adobe(content: bytes) -> bytes:
    at = content.index(b"\xff\xee")
    length = struct.unpack(">H", content[at + 2 : at + 4])[0]
    assert content[at + 4 : at + 9] == b"Adobe"
    return content[:at] + content[at + 2 + length :]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "GIF"])
def test_each_format_keeps_its_colour(kind: str) -> None:
    content = saved(Image.new("RGB", (16, 12), (200, 100, 40)), kind)
    assert image_format(content[:16]) == kind
    assert mean(content) == pytest.approx([200, 100, 40], abs=4)
    assert decode(content).shape == (12, 16, 3)


def test_cmyk_with_and_without_adobes_mark() -> None:
    ink = (30, 120, 200, 20)
    expected = Image.new("CMYK", (16, 16), ink).convert("RGB").getpixel((0, 0))
    marked = saved(Image.new("CMYK", (16, 16), ink), "JPEG", quality=98)
    assert mean(marked) == pytest.approx(expected, abs=5)
    # Pillow writes inverted values beside the mark; without the mark they must be taken as they stand
    plain = without_adobe(saved(Image.new("CMYK", (16, 16), tuple(255 - value for value in ink)), "JPEG", quality=98))
    assert mean(plain) == pytest.approx(expected, abs=5)


def test_sixteen_bit_grey_is_scaled_not_clipped() -> None:
    ramp = np.linspace(0, 65535, 64 * 64).astype(np.uint16).reshape(64, 64)
    assert mean(saved(Image.fromarray(ramp), "PNG")) == pytest.approx([127.5] * 3, abs=1)


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (Image.new("I", (8, 8), 257 * 90), 90),
        (Image.new("F", (8, 8), 0.5), 128),
        (Image.new("F", (8, 8), 90.0), 90),
        (Image.new("1", (8, 8), 1), 255),
        (Image.new("L", (8, 8), 77), 77),
    ],
)
def test_grey_modes(image: Image.Image, expected: int) -> None:
    pixels = to_rgb(image)
    assert pixels.shape == (8, 8, 3)
    assert pixels.mean() == pytest.approx(expected, abs=1)


def test_one_bit_png_is_not_all_white() -> None:
    image = Image.new("1", (8, 8), 0)
    image.paste(1, (0, 0, 4, 8))
    assert mean(saved(image, "PNG")) == pytest.approx([127.5] * 3, abs=1)


def test_alpha_lies_over_white() -> None:
    assert mean(saved(Image.new("RGBA", (8, 8), (200, 0, 0, 0)), "PNG")) == [255, 255, 255]
    assert mean(saved(Image.new("RGBA", (8, 8), (200, 0, 0, 128)), "WEBP", lossless=True)) == pytest.approx(
        [227, 127, 127], abs=2
    )
    assert mean(saved(Image.new("LA", (8, 8), (0, 51)), "PNG")) == pytest.approx([204] * 3, abs=1)


def test_palette_with_a_transparent_entry() -> None:
    image = Image.new("P", (8, 8), 0)
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.paste(1, (0, 0, 4, 8))
    content = saved(image, "PNG", transparency=0)
    pixels = decode(content)
    assert tuple(pixels[0, 0]) == (200, 100, 50)
    assert tuple(pixels[0, 7]) == (255, 255, 255)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_animated_gives_its_first_frame(kind: str) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ((250, 0, 0), (0, 250, 0))]
    content = saved(frames[0], kind, save_all=True, append_images=frames[1:])
    assert mean(content) == pytest.approx([250, 0, 0], abs=6)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_exif_orientation(orientation: int, kind: str) -> None:
    upright = noise(3, 24, 40)
    stored = {
        1: upright, 2: upright[:, ::-1], 3: upright[::-1, ::-1], 4: upright[::-1],
        5: upright.transpose(1, 0, 2), 6: np.rot90(upright), 7: upright[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }[orientation]  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = encoded(np.ascontiguousarray(stored), kind, exif=exif, **({"quality": 98} if kind == "JPEG" else {}))
    assert np.abs(decode(content).astype(int) - upright).max() <= (16 if kind == "JPEG" else 0)
    if kind == "JPEG":
        assert jpeg_size(content) == (24, 40)


@pytest.mark.parametrize(
    "block",
    [b"", b"II*\0", b"II*\0\xff\xff\xff\xff", b"XX*\0\x08\0\0\0", b"\xff" * 60000,
     b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x63\0\0\0"],
)  # fmt: skip
def test_corrupt_exif_means_upright(block: bytes) -> None:
    content = encoded(noise(1))
    broken = content[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 8) + b"Exif\0\0" + block + content[2:]
    assert jpeg_orientation(broken) == 1
    assert np.array_equal(decode(broken), decode(content))


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99, 1.0])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_cut_short_at_any_point(share: float, kind: str) -> None:
    content = encoded(noise(1, 64, 64), kind)
    with pytest.raises(ImageError, match=r"damaged|cut short|empty"):
        check_image(content[: min(int(len(content) * share), len(content) - 13)])


def test_every_cut_of_a_jpeg_is_found() -> None:
    content = encoded(noise(1))
    for length in range(len(content)):
        with pytest.raises(ImageError):
            check_image(content[:length])


def test_png_with_a_wrong_checksum() -> None:
    content = bytearray(encoded(noise(1), "PNG"))
    content[content.index(b"IDAT") + 20] ^= 255
    with pytest.raises(ImageError, match="damaged PNG"):
        check_image(bytes(content))


def png_header(width: int, height: int) -> bytes:
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body)) + b"\0" * 64


@pytest.mark.parametrize(
    "content",
    [
        png_header(30000, 30000),
        b"GIF89a" + struct.pack("<HH", 65535, 65535) + b"\0" * 32,
        b"BM" + b"\0" * 12 + struct.pack("<Iii", 40, 30000, -30000) + b"\0" * 32,
        b"RIFF\0\0\0\0WEBPVP8X" + b"\0" * 8 + b"\xff\x3f\0\xff\x3f\0" + b"\0" * 32,
    ],
)
def test_bombs_are_refused_by_their_header(content: bytes) -> None:
    with pytest.raises(ImageError, match="64 Mpixel"):
        decode(content)


def test_jpeg_bomb() -> None:
    content = bytearray(encoded(noise(1)))
    at = content.index(b"\xff\xc0")
    content[at + 5 : at + 9] = struct.pack(">HH", 60000, 60000)
    with pytest.raises(ImageError, match="60000x60000 pixels"):
        decode(bytes(content))


def test_jpeg_of_thousands_of_scans() -> None:
    content = encoded(noise(1), progressive=True)
    at = content.index(b"\xff\xda")
    with pytest.raises(ImageError, match="256 scans"):
        decode(content[:at] + content[at:-2] * 300 + content[-2:])


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"", "empty"),
        (b"hello world, this is text", "not an image"),
        (b"II*\0" + b"\0" * 30, "TIFF"),
        (b"8BPS" + b"\0" * 30, "PSD"),
        (b"%PDF-1.4" + b"\0" * 30, "PDF"),
        (b"\0\0\0\x18ftypheic" + b"\0" * 30, "HEIC"),
        (b"\0\0\0\x18ftypavif" + b"\0" * 30, "AVIF"),
        (b"<svg xmlns=''></svg>", "SVG"),
        (b"BMW and other cars, a text", "not an image"),
    ],
)
def test_other_formats_are_named(content: bytes, kind: str) -> None:
    with pytest.raises(ImageError, match=kind):
        decode(content)


def test_tiny_sides() -> None:
    with pytest.raises(ImageError, match="1x9 pixels; sides of at least 2"):
        check_image(encoded(noise(1, 9, 1), "PNG"))
    check_image(encoded(noise(1, 2, 2)))


def test_min_side_decodes_smaller_but_never_too_small() -> None:
    content = encoded(noise(1, 240, 320))
    small = decode(content, min_side=100)
    assert 100 <= small.shape[0] < 240
    assert decode(content, min_side=500).shape == (240, 320, 3)
    assert np.abs(small.reshape(-1, 3).mean(0) - decode(content).reshape(-1, 3).mean(0)).max() < 3


def test_polyglot_is_its_pixels() -> None:
    content = encoded(noise(1))
    assert np.array_equal(decode(content + b"PK\x03\x04<html>"), decode(content))
