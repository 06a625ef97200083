"""Encoded bytes to RGB pixels: libjpeg-turbo for ordinary JPEG, Pillow for all else, nothing outside the allow-list."""

from __future__ import annotations

import io
import struct
from functools import partial

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from edgewise.data.colour import to_rgb
from edgewise.data.exif import jpeg_orientation, swaps_sides, turned
from edgewise.errors import ImageError

MAX_PIXELS = 64 * 2**20
"""Images with more are refused by their header, before a pixel is decoded."""

MAX_JPEG_SCANS = 256
"""A progressive JPEG has about ten; thousands make a small file take minutes."""

_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF")
_HARMLESS = ("Invalid SOS parameters", "Unknown Adobe color transform")
_FOREIGN = {
    b"II*\0": "TIFF", b"MM\0*": "TIFF", b"8BPS": "PSD", b"%PDF": "PDF", b"%!PS": "PostScript", b"PK\x03\x04": "zip",
    b"SIMPLE": "FITS", b"<svg": "SVG", b"<?xml": "XML", b"\xff\x0a": "JPEG XL",
}  # fmt: skip


def image_format(head: bytes) -> str | None:
    """Return ``JPEG``, ``PNG``, ``WEBP``, ``BMP`` or ``GIF`` by a file's first 16 bytes, None for anything else."""
    if head.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "GIF"
    # "BM" alone begins many texts; the reserved words of a bitmap are zero
    if head.startswith(b"BM") and head[6:10] == b"\0\0\0\0":
        return "BMP"
    return None


def decode(content: bytes, *, min_side: int | None = None) -> NDArray[np.uint8]:
    """Decode an image file to RGB, turned by its EXIF orientation; the first frame of an animated one.

    Args:
        content: a whole JPEG, PNG, WebP, BMP or GIF file; judged by content.
        min_side: a JPEG may be decoded smaller, with its shorter side at least this; None for full size.

    Returns:
        (H, W, 3), at full size exactly what Pillow decodes; alpha over white, 16-bit grey scaled to 8, CMYK converted,
        ICC profiles ignored.

    Raises:
        ImageError: not one of the formats, damaged, cut short, or more than `MAX_PIXELS`. The text has no file name.
    """
    if image_format(content[:16]) == "JPEG":
        height, width, space = _jpeg_header(content)
        if space not in {"CMYK", "YCCK"}:
            _check_size(width, height)
            return turned(_decode_jpeg(content, min_side), jpeg_orientation(content))
    return _decode_with_pillow(content)


def jpeg_size(content: bytes) -> tuple[int, int] | None:
    """Return (height, width) of a JPEG after turning by EXIF, by its header alone; None if it is not a JPEG.

    Raises:
        ImageError: the header is damaged.
    """
    if image_format(content[:16]) != "JPEG":
        return None
    height, width, _ = _jpeg_header(content)
    return (width, height) if swaps_sides(jpeg_orientation(content)) else (height, width)


def check_image(content: bytes, min_side: int = 2) -> None:
    """Decode an image as cheaply as finds every fault; raise where `decode` would, or for a side under ``min_side``.

    Raises:
        ImageError: as `decode`, or the shorter side is too small.
    """
    pixels = decode(content, min_side=1)
    size = jpeg_size(content) or pixels.shape[:2]
    if min(size) < min_side:
        raise ImageError(f"{size[1]}x{size[0]} pixels; sides of at least {min_side} are needed")


def _jpeg_header(content: bytes) -> tuple[int, int, str]:
    try:
        height, width, space, _ = simplejpeg.decode_jpeg_header(content, strict=False)
    except (ValueError, KeyError) as error:  # KeyError: its answer to a header cut before the colour space
        reason = "cut short in its header" if isinstance(error, KeyError) else error
        raise ImageError(f"damaged JPEG: {reason}") from error
    return height, width, space


def _decode_jpeg(content: bytes, min_side: int | None) -> NDArray[np.uint8]:
    if content.count(b"\xff\xda") > MAX_JPEG_SCANS:
        raise ImageError(f"JPEG with more than {MAX_JPEG_SCANS} scans")
    side = min_side or 0
    # the accurate transform and smooth chroma are what Pillow uses, and cost nothing measurable
    read = partial(simplejpeg.decode_jpeg, content, min_height=side, min_width=side, fastdct=False, fastupsample=False)
    try:
        pixels = read()
    except ValueError as error:
        if not str(error).startswith(_HARMLESS):
            raise ImageError(f"damaged JPEG: {error}") from error
        pixels = read(strict=False)
    return pixels  # type: ignore[no-any-return]


def _decode_with_pillow(content: bytes) -> NDArray[np.uint8]:
    if not content:
        raise ImageError("an empty file")
    kind = image_format(content[:16])
    if kind is None:
        raise ImageError(f"{_foreign_kind(content)}; accepted are JPEG, PNG, WebP, BMP and GIF")
    _check_size(*_header_size(content, kind))
    if kind == "PNG" and b"IEND" not in content:  # Pillow takes one that lacks only its last bytes
        raise ImageError("damaged PNG: cut short")
    try:
        with Image.open(io.BytesIO(content), formats=_FORMATS) as image:
            _check_size(*image.size)
            image.load()
            orientation = jpeg_orientation(content) if kind == "JPEG" else _orientation(image)
            return turned(to_rgb(image), orientation)
    except ImageError:
        raise
    except UnidentifiedImageError as error:
        raise ImageError(f"damaged {kind}") from error
    except Exception as error:  # decoders raise nearly anything on damaged files
        raise ImageError(f"damaged {kind}: {error}") from error


def _orientation(image: Image.Image) -> int:
    try:
        value = image.getexif().get(0x0112, 1)
    except Exception:  # noqa: BLE001  a corrupt EXIF block is no reason to lose the picture
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _foreign_kind(content: bytes) -> str:
    if content[4:8] == b"ftyp":
        return "AVIF file" if content[8:12] in {b"avif", b"avis"} else "HEIC or other ISO media file"
    for magic, kind in _FOREIGN.items():
        if content.startswith(magic):
            return f"{kind} file"
    return "not an image"


def _header_size(content: bytes, kind: str) -> tuple[int, int]:
    """Return (width, height) as the header claims them; Pillow itself would only warn of a bomb."""
    try:
        if kind == "PNG":
            return struct.unpack_from(">II", content, 16)
        if kind == "GIF":
            return struct.unpack_from("<HH", content, 6)
        if kind == "BMP":
            width, height = struct.unpack_from("<ii" if content[14] >= 40 else "<HH", content, 18)
            return abs(width), abs(height)
        if kind == "WEBP":
            return _webp_size(content)
    except (struct.error, IndexError) as error:
        raise ImageError(f"{kind} cut short in its header") from error
    height, width, _ = _jpeg_header(content)
    return width, height


def _webp_size(content: bytes) -> tuple[int, int]:
    form = content[12:16]
    if form == b"VP8X":
        return int.from_bytes(content[24:27], "little") + 1, int.from_bytes(content[27:30], "little") + 1
    if form == b"VP8L":
        bits = int.from_bytes(content[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    width, height = struct.unpack_from("<HH", content, 26)
    return width & 0x3FFF, height & 0x3FFF


def _check_size(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise ImageError(f"{width}x{height} pixels; at most {MAX_PIXELS // 2**20} Mpixel are accepted")
