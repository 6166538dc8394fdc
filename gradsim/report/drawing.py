"""Figures drawn and made into pictures, in this process and beside it in another.

matplotlib draws one figure at a time in a process, and drawing is most of a report's work: a helper, a bare Python that
is told what to draw through a pipe, takes about half of it to the second core.
"""

from __future__ import annotations

import base64
import contextlib
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from PIL import Image

from gradsim.plots.files import png, save_figure
from gradsim.plots.papers import on_both_papers

Pictures = dict[str, Any]
"""Of a figure: "light" and "dark" as data URIs, and "inches", its size."""

WAITING = 2
"""Figures that the helper is given at a time: the one that it draws, and the next."""

SENT = 10_000_000
"""Bytes of an order to the helper at most: what has more data is drawn where they are."""

_HELPER = (
    "import pickle, sys; sys.path[:] = pickle.load(sys.stdin.buffer); import gradsim.report.drawing as d; d.serve()"
)


@dataclass(frozen=True)
class Drawing:
    """What to draw (a partial of a function of `gradsim.plots`), the file for print without its suffix, formats beside
    PNG, and dots per inch in print and on screens."""

    draw: Callable[[], Figure]
    file: Path
    formats: tuple[str, ...]
    print_dpi: float
    screen_dpi: float

    def rendered(self) -> tuple[Figure, Image.Image, Image.Image]:
        """The figure, in its formats on disk, and as pixels on light and dark paper."""
        figure = self.draw()
        pictures = on_both_papers(figure, self.print_dpi)
        for kind in self.formats:
            save_figure(figure, self.file.with_name(f"{self.file.name}.{kind}"))
        return figure, *pictures

    def pictures(self, figure: Figure, light: Image.Image, dark: Image.Image) -> Pictures:
        """Save the picture for print; those for screens."""
        self.file.with_name(f"{self.file.name}.png").write_bytes(png(light, self.print_dpi))
        small = self.screen_dpi / self.print_dpi
        uris = {theme: _data_uri(picture, small) for theme, picture in (("light", light), ("dark", dark))}
        return uris | {"inches": tuple(figure.get_size_inches())}


def _data_uri(picture: Image.Image, scale: float) -> str:
    """A smaller copy as a palette PNG, a third of the size of full color and no worse to look at."""
    small = picture.resize([round(side * scale) for side in picture.size], Image.Resampling.HAMMING)
    few = small.quantize(192, method=Image.Quantize.FASTOCTREE)
    # The quantizer shifts the paper by a shade, which would show as a box on the page's own paper.
    palette, corner = few.getpalette(), 3 * few.getpixel((0, 0))
    palette[corner : corner + 3] = small.getpixel((0, 0))
    few.putpalette(palette)
    return "data:image/png;base64," + base64.b64encode(png(few)).decode("ascii")


class Crew:
    """Draws here, and in a helper where one is wanted and can be had; use as a context."""

    def __init__(self, helped: bool):
        self._helper = _hire() if helped and (os.cpu_count() or 1) > 1 else None
        self._told, self._pressed = ThreadPoolExecutor(1), ThreadPoolExecutor(1)
        self._theirs: list[Future] = []
        self._ours: Future | None = None

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, *_: object) -> None:
        for pool in (self._told, self._pressed):
            pool.shutdown(cancel_futures=True)
        if self._helper:
            with contextlib.suppress(OSError):  # it has ended already
                self._helper.stdin.close()
            self._helper.stdout.close()
            self._helper.wait()

    def draw(self, drawing: Drawing) -> Callable[[], Pictures]:
        """Draw it, or have it drawn; call what is returned for the pictures, when all is drawn."""
        self._theirs = [one for one in self._theirs if not one.done()]
        if self._helper and len(self._theirs) < WAITING:
            order = pickle.dumps(drawing)
            if len(order) <= SENT:
                theirs = self._told.submit(self._ask, order)
                self._theirs.append(theirs)
                return lambda: theirs.result() or drawing.pictures(*drawing.rendered())
        rendered = drawing.rendered()
        if self._ours:  # no more pictures wait than one, for memory's sake
            self._ours.result()
        # Not Python's work, most of it: the next figure is drawn meanwhile.
        self._ours = self._pressed.submit(drawing.pictures, *rendered)
        return self._ours.result

    def _ask(self, order: bytes) -> Pictures | None:
        """The helper's answer; None where it has none, and what is wrong will be found here."""
        try:
            self._helper.stdin.write(order)
            self._helper.stdin.flush()
            return pickle.load(self._helper.stdout)
        except Exception:  # it has ended, most likely: whatever it is, this process can do without
            return None


def _hire() -> subprocess.Popen | None:
    if not sys.executable or getattr(sys, "frozen", False):
        return None
    try:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        helper = subprocess.Popen([sys.executable, "-P", "-c", _HELPER], **pipes)
        pickle.dump(sys.path, helper.stdin)
        helper.stdin.flush()
    except OSError:
        return None
    return helper


def serve() -> None:
    """Draw what is read from the standard input until it ends. The helper's whole life."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whom it helps hears that, and closes the pipe
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whatever is printed is no answer
    while True:
        try:
            drawing = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        try:
            answer = drawing.pictures(*drawing.rendered())
        except Exception:
            answer = None
        pickle.dump(answer, answers)
        answers.flush()
