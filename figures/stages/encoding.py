"""Frames of an animation as a file: GIF and WebP by Pillow, MP4 by ffmpeg."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from matplotlib.animation import FFMpegWriter
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

__all__ = ["check_suffix"]

FORMATS = (".gif", ".webp", ".mp4")
FPS = 10  # a second
DPI, SHADES = 100, 250  # of a film's screen, which does not matter; colours of a GIF


def check_suffix(path: Path) -> None:
    """Raise unless an animation can be written under this name.

    Parameters
    ----------
    path : Path

    Raises
    ------
    ValueError
        If its suffix is of no known format, or of one that needs ffmpeg where there is none.
    """
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        raise ValueError(
            f"`animate` must name a file ending in {', '.join(FORMATS)}, got {path.name}; rename it"
        )
    if suffix == ".mp4" and not FFMpegWriter.isAvailable():
        raise ValueError(
            "`animate` needs the program ffmpeg for .mp4, which is not installed; install it, or "
            "name a .gif or .webp"
        )


def encoded_film(images: list[Image.Image], copies: list[int], path: Path) -> bytes:
    """Return frames in the format of a path, each as many FPS-ths of a second as it has copies."""
    suffix = path.suffix.lower()
    return _mp4(images, copies) if suffix == ".mp4" else _pictures(images, copies, suffix[1:])


def _pictures(images: list[Image.Image], copies: list[int], format_: str) -> bytes:
    """Encode frames as GIF, in the same colours throughout, or as WebP."""
    kept, found = images, BytesIO()
    if format_ == "gif":
        width, height = images[0].size
        sample = Image.new("RGB", (width, 3 * height))
        for place, share in enumerate((0.1, 0.4, 1.0)):
            sample.paste(images[round(share * (len(images) - 1))], (0, place * height))
        shades = sample.quantize(SHADES, Image.Quantize.FASTOCTREE)
        kept = [image.quantize(palette=shades, dither=Image.Dither.NONE) for image in images]
    seconds = [1000 * count // FPS for count in copies]
    look: dict[str, Any] = {"quality": 80} if format_ == "webp" else {"optimize": True}
    kept[0].save(
        found, format_, save_all=True, append_images=kept[1:], duration=seconds, loop=0, **look
    )
    return found.getvalue()


def _mp4(images: list[Image.Image], copies: list[int]) -> bytes:
    """Encode frames by ffmpeg."""
    width, height = (side - side % 2 for side in images[0].size)  # as its codec wants them
    screen = Figure(figsize=(width / DPI, height / DPI), dpi=DPI)
    FigureCanvasAgg(screen)
    writer = FFMpegWriter(fps=FPS)
    with TemporaryDirectory() as folder:
        place = Path(folder) / "film.mp4"
        with writer.saving(screen, str(place), dpi=DPI):
            for image, count in zip(images, copies, strict=True):
                screen.clear()
                screen.figimage(np.asarray(image)[:height, :width])
                for _ in range(count):
                    writer.grab_frame()
        return place.read_bytes()
