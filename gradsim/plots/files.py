"""Figures on disk: PNG, SVG and PDF, the same figure being the same file."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from PIL import Image

PRINT_DPI = 200
# Without the day and numbers that are drawn by chance.
_UNDATED = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure in the format that the name ends in, for print."""
    with mpl.rc_context({"svg.hashsalt": "gradsim"}):
        figure.savefig(path, dpi=PRINT_DPI, metadata=_UNDATED.get(path.suffix.lower()))


def png(picture: Image.Image, dpi: float | None = None) -> bytes:
    """A picture in RGB or with a palette as a PNG file.

    Without the filters that guess a pixel from its neighbors: drawings are smaller so, and done in half the time, which
    other threads can use.
    """
    pixels = np.asarray(picture)
    lines = np.zeros((picture.height, 1 + pixels[0].size), np.uint8)
    lines[:, 1:] = pixels.reshape(picture.height, -1)
    head = struct.pack(">IIBBBBB", picture.width, picture.height, 8, 3 if picture.mode == "P" else 2, 0, 0, 0)
    chunks = [(b"IHDR", head)]
    if picture.mode == "P":
        chunks.append((b"PLTE", bytes(picture.getpalette())))
    if dpi:
        per_meter = round(dpi / 0.0254)
        chunks.append((b"pHYs", struct.pack(">IIB", per_meter, per_meter, 1)))
    chunks += [(b"IDAT", zlib.compress(lines, 6)), (b"IEND", b"")]
    framed = [
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(framed)
